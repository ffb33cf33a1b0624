"""Logistic regression: two levels, the log odds linear in the predictors."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack
from scipy.special import expit, log_expit

from ...errors import PlanError
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Problem, Sketch, estimate, repeated, sketched
from ..numerics.newton import Likelihood, Peak, Thinned, draw, information_root, squares
from ..numerics.separation import AUGMENTED, NEVER, Columns, Extra, augmentation, columns, narrowed, observed
from ..numerics.shrinkage import refuse_both, shared

__all__ = ["Logistic", "LogisticFitted"]


@dataclass(frozen=True, slots=True)
class Logistic:
    """Two levels, drawn from a logistic regression whose coefficients are drawn first.

    Parameters
    ----------
    firth : bool, default False
        Whether to maximise the likelihood times Jeffreys' prior (Firth 1993). It has a top for every data set and
        less bias for rare events.
    rescue : {"augment", "firth"}
        What is done when the data are separated and the likelihood has no top: augmentation rows (White, Daniel &
        Royston 2010), or Firth's penalty. An analysis takes the second, for it must not see rows that are not there.

    shrink : bool, default False
        Whether the coefficients of the levels of one predictor share a normal prior around 0, its spread estimated:
        rare levels borrow strength.

    Notes
    -----
    1. Find the estimate b, and the information I of the log-likelihood there.
    2. Draw the coefficients from N(b, I^-1), once per fit.
    3. Draw each value from its Bernoulli distribution.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, pp. 169-170.

    Firth, D. (1993). Bias reduction of maximum likelihood estimates. *Biometrika* 80(1), 27-38.
    doi:10.1093/biomet/80.1.27

    Heinze, G. and Schemper, M. (2002). A solution to the problem of separation in logistic regression. *Statistics in
    Medicine* 21(16), 2409-2419. doi:10.1002/sim.1047

    Examples
    --------
    >>> X, terms = np.ones((4, 1)), np.zeros(1, dtype=np.int64)
    >>> visit = Visit(np.array([0.0, 1, 1, 1]), X, terms, Kind.BINARY, n_levels=2)
    >>> fitted = Logistic().fit(visit, np.random.default_rng(1))
    >>> fitted.warm[0].round(4)  # the log odds, before the draw
    array([1.0986])
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.BINARY})
    reference: ClassVar[str] = (  # pp. 169-170
        "Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. New York: Wiley. "
        "doi:10.1002/9780470316696"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), unseen=False, weighted=True, truncates=False, linear=True, offset=True,
        curvature=True, by_cluster="2l.logit", called="logistic regression", link="the log odds of the last level",
    )  # fmt: skip

    firth: bool = False
    rescue: str = "augment"
    shrink: bool = False

    def __post_init__(self) -> None:
        if self.rescue not in _RESCUED:
            raise PlanError(
                f"rescue is {self.rescue!r}.", known=", ".join(_RESCUED), do="mifit.Logistic(rescue='firth')"
            )
        refuse_both(self.firth, self.shrink, "Logistic")

    def fit(self, visit: Visit, rng: np.random.Generator) -> LogisticFitted:
        """Estimate, then draw the coefficients."""
        X, y = visit.X, visit.y
        peak = self._again(visit)
        if peak is not None:
            return LogisticFitted(draw(peak.estimate, peak.root, rng), visit.warm.then(peak, len(y)))
        levels, position, count, events = observed(y, 2)
        coef = np.zeros(X.shape[1])
        if len(levels) < 2:
            coef[:1] = NEVER * (2 * levels - 1) if len(levels) else 0.0
            return LogisticFitted(coef, visit.warm, events)
        found = columns(X, visit.terms, visit.squares())
        problem = self._problem(visit, found, position, count)
        peak, warm_start, said = estimate(problem, found, levels, visit.warm, len(y))
        root = peak.root
        if self.firth or (warm_start.rescued and self.rescue == "firth"):  # the information of the data alone
            root = information_root(_bernoulli(found.X, y, None, visit.offset)(peak.estimate)[2])
        coef[found.kept] = draw(peak.estimate, root, rng)
        return LogisticFitted(coef, warm_start, found.events + events + said, found.dropped)

    def _again(self, visit: Visit) -> Peak | None:
        """The estimate from the previous one; None where that does not suffice."""
        many = 2 if 0 < np.count_nonzero(visit.y) < len(visit.y) else 1
        make = functools.partial(_Bernoulli, visit.X, visit.y, visit.offset, visit.weights)
        return repeated(visit.warm, visit.X.shape, many, 2, make)

    def _problem(self, visit: Visit, found: Columns, position: npt.NDArray[np.int64], count: Array) -> Problem:
        """Likelihood, its rescue, and what stands for them."""
        X, y, offset, weights, width = found.X, visit.y, visit.offset, visit.weights, len(found.kept)
        null = np.zeros(width)
        null[0] = np.log(count[1] / count[0]) - (0.0 if offset is None else np.mean(offset))

        def likelihood(rescue: bool) -> Likelihood:
            if self.firth or (rescue and self.rescue == "firth"):
                return _penalised(X, y, offset)
            return _bernoulli(X, y, augmentation(X, 2) if rescue else None, offset, weights)

        yardstick = np.full(width, np.inf) if self.firth else found.unit * (1 / count).sum() * len(y)
        some = None if self.firth or weights is not None else sketched(position, 2, width)
        return Problem(
            likelihood, null, yardstick, _RESCUED[self.rescue].format(4 * (width - 1)),
            some and Sketch(
                _bernoulli(X[some], y[some], None, None if offset is None else offset[some]),
                functools.partial(_bernoulli(X, y, None, offset), some=some),
            ),
            groups=shared(visit.terms[found.kept]) if self.shrink else None,
            keeps_curvature=not self.firth,
        )  # fmt: skip


_RESCUED = {"augment": AUGMENTED, "firth": "separation: no finite estimate; parameters drawn from the Firth fit"}


@dataclass(frozen=True, slots=True, eq=False)
class LogisticFitted:
    """Drawn coefficients of a logistic regression."""

    likelihood: ClassVar[str] = "bernoulli"
    coef: Array  #: (p,) log odds of level 1 are X @ coef; 0 for dropped columns
    warm: Any  #: estimate before the draw, columns, levels, whether augmented
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def log_odds(self, X: Array) -> Array:
        """Log odds of level 1, shape (n_draw,)."""
        return np.asarray(X @ self.coef)

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of level 0 and of level 1, shape (n_draw, 2)."""
        linear = X @ self.coef
        return np.column_stack([log_expit(-linear), log_expit(linear)])

    def sample(self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0) -> Array:
        """Draw codes 0 and 1, shape (n_draw,); `shift` is added to the log odds."""
        return (rng.random(len(X)) < expit(X @ self.coef + shift)).astype(np.float64)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of the level that y, shape (n,), has under the log odds `linear`."""
        margin = (2 * y - 1) * linear
        return np.minimum(margin, 0.0) - np.log1p(np.exp(-np.abs(margin)))

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        sign = 2 * y - 1
        miss = expit(-sign * linear)
        return sign * miss, miss * (1.0 - miss)


class _Bernoulli:
    """The slope and the curve of :func:`_bernoulli`, in few steps."""

    def __init__(self, X: Array, y: Array, offset: Array | None, weight: Array | None) -> None:
        self.X, self.y, self.offset, self.weight = narrowed(X), y, offset, weight

    def _miss(self, beta: Array) -> tuple[Array, Array]:
        """Probabilities of level 1, and what the gradient weighs the rows by."""
        odds = self.X @ beta
        if self.offset is not None:
            odds += self.offset
        share = 1.0 / (1.0 + np.exp(-odds))  # twice as fast as expit, where the last digit does not matter
        miss = self.y - share
        return share, miss if self.weight is None else self.weight * miss

    def slope(self, beta: Array) -> Array:
        """Gradient."""
        return self.X.T @ self._miss(beta)[1]

    def curve(self, beta: Array) -> tuple[Array, Array]:
        """Gradient and Hessian."""
        share, miss = self._miss(beta)
        bend = share * share
        bend -= share
        if self.weight is not None:
            bend *= self.weight
        return self.X.T @ miss, squares(self.X, bend)


def _bernoulli(X: Array, y: Array, extra: Extra | None, offset: Array | None, prior: Array | None = None) -> Thinned:
    """Log-likelihood of a weighed logistic regression, part of its log odds known; of added rows the mean part."""
    sign = 2 * y - 1
    weight: Array | float = 1.0 if prior is None else prior
    if extra is not None:
        X = np.vstack([X, extra.X])
        weight = np.concatenate([np.ones(len(y)) * weight, np.full(len(extra.X), extra.weight)])
        sign = np.concatenate([sign, 2.0 * extra.level - 1])
        offset = None if offset is None else np.concatenate([offset, np.full(len(extra.X), offset.mean())])
    pull = weight * sign

    def likelihood(beta: Array, some: slice | None = None) -> tuple[float, Array, Array]:
        linear = X @ beta
        margin = sign * (linear if offset is None else linear + offset)
        tail = np.exp(-np.abs(margin))
        total = 1.0 + tail
        loss = np.minimum(margin, 0.0) - np.log(total)
        value = loss.sum() if isinstance(weight, float) else weight @ loss
        miss = np.where(margin >= 0, tail, 1.0) / total
        bend = (tail if isinstance(weight, float) else weight * tail) / (total * total)
        if some is None:
            return float(value), X.T @ (pull * miss), -squares(X, bend)
        rows = X[some]
        return float(value), X.T @ (pull * miss), (-len(X) / len(rows)) * squares(rows, bend[some])

    return likelihood


def _penalised(X: Array, y: Array, offset: Array | None) -> Likelihood:
    """Log-likelihood plus half the log determinant of the information (Firth 1993).

    Its score is that of the rows plus, for each, half its leverage in successes and half in failures (Heinze & Schemper
    2002); the Hessian takes the leverages as given.
    """
    size = np.exp2(np.round(np.log2(np.sqrt(np.mean(X * X, axis=0)))))
    plain = _bernoulli(X, y, None, offset)

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        value, score, hessian = plain(beta)
        root, info = lapack.dpotrf(-hessian / np.outer(size, size), lower=1, clean=1)
        if info != 0:
            return -np.inf, score, hessian
        probability = expit(X @ beta + (0.0 if offset is None else offset))
        weight = probability * (1 - probability)
        half = lapack.dtrtrs(root, (X * np.sqrt(weight)[:, None] / size).T, lower=1)[0]
        leverage = np.einsum("ij,ij->j", half, half)
        score = score + X.T @ (leverage * (0.5 - probability))
        weighted = X * np.sqrt(leverage * weight)[:, None]
        return value + float(np.sum(np.log(np.diag(root)))), score, hessian - weighted.T @ weighted

    return likelihood

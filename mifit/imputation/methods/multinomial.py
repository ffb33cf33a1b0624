"""Multinomial logistic regression: unordered levels, each with its own coefficients against level 0."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Problem, Sketch, estimate, repeated, sketched
from ..numerics.newton import BLOCK, Likelihood, Thinned, draw, information_root
from ..numerics.separation import AUGMENTED, NEVER, Columns, Extra, augmentation, columns, marginal, observed
from ..numerics.shrinkage import refuse_both, shared

__all__ = ["Multinomial", "MultinomialFitted", "draw_levels"]


@dataclass(frozen=True, slots=True)
class Multinomial:
    """Unordered levels, drawn from a multinomial logistic regression whose coefficients are drawn first.

    Parameters
    ----------
    firth : bool, default False
        Whether to maximise the likelihood times Jeffreys' prior: finite for every data set, less bias for rare levels.
    shrink : bool, default False
        Whether the coefficients of one predictor share a normal prior around 0 over the levels, its spread estimated:
        rare levels borrow strength.

    Notes
    -----
    1. Find the estimate b of the stacked coefficients and their information I.
    2. Draw the stacked coefficients from N(b, I^-1), once per fit.
    3. Draw each value from its probabilities.

    A level without a row in the fit keeps log odds so low that it is never drawn.

    References
    ----------
    White, I. R., Royston, P. and Wood, A. M. (2011). Multiple imputation using chained equations: issues and
    guidance for practice. *Statistics in Medicine* 30(4), 377-399, section 2.4. doi:10.1002/sim.4067

    Kosmidis, I. and Firth, D. (2011). Multinomial logit bias reduction via the Poisson log-linear model. *Biometrika*
    98(3), 755-759. doi:10.1093/biomet/asr026
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NOMINAL, Kind.BINARY, Kind.ORDINAL})
    reference: ClassVar[str] = (
        "White, I. R., Royston, P. and Wood, A. M. (2011). Multiple imputation using chained equations: "
        "issues and guidance for practice. Statistics in Medicine 30(4), 377-399. doi:10.1002/sim.4067"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), unseen=False, weighted=True, truncates=False, linear=True, curvature=True,
        called="multinomial logistic regression", link="the log odds of each level against the first",
    )  # fmt: skip

    firth: bool = False
    shrink: bool = False

    def __post_init__(self) -> None:
        refuse_both(self.firth, self.shrink, "Multinomial")

    def fit(self, visit: Visit, rng: np.random.Generator) -> MultinomialFitted:
        """Estimate, then draw the stacked coefficients."""
        X, y, weights = visit.X, visit.y, visit.weights
        levels, position, count, events = observed(y, visit.n_levels)
        many = len(levels)
        if many < 2:
            coef = _over_levels(np.zeros((X.shape[1], 0)), levels, visit.n_levels)
            return MultinomialFitted(coef, visit.warm, events)
        peak = repeated(visit.warm, X.shape, many, visit.n_levels, lambda: _Categorical(X, position, many, weights))
        if peak is not None:
            coef = draw(peak.estimate, peak.root, rng).reshape(many - 1, X.shape[1]).T
            return MultinomialFitted(coef, visit.warm.then(peak, len(y)))
        found = columns(X, visit.terms, visit.squares())
        problem = self._problem(visit, found, position, count)
        peak, warm_start, said = estimate(problem, found, levels, visit.warm, len(y))
        root = peak.root
        if self.firth:  # the draw takes the information of the data alone
            root = information_root(_categorical(found.X, position, many, None)(peak.estimate)[2])
        contrast = np.zeros((X.shape[1], many - 1))
        contrast[found.kept] = draw(peak.estimate, root, rng).reshape(many - 1, -1).T
        coef = _over_levels(contrast, levels, visit.n_levels)
        return MultinomialFitted(coef, warm_start, found.events + events + said, found.dropped)

    def _problem(self, visit: Visit, found: Columns, position: npt.NDArray[np.int64], count: Array) -> Problem:
        """Likelihood, its rescue, and what stands for them."""
        X, weights, many, width = found.X, visit.weights, len(count), len(found.kept)
        null = np.zeros((many - 1, width))
        null[:, 0] = marginal(count)

        def likelihood(rescue: bool) -> Likelihood:
            if self.firth:
                return _firth(X, position, many)
            return _categorical(X, position, many, augmentation(X, many) if rescue else None, weights)

        some = None if self.firth or weights is not None else sketched(position, many, width)
        return Problem(
            likelihood, null.ravel(), np.outer(len(position) * (1 / count[1:] + 1 / count[0]), found.unit).ravel(),
            AUGMENTED.format(2 * (width - 1) * many),
            some and Sketch(
                _categorical(X[some], position[some], many, None),
                functools.partial(_categorical(X, position, many, None), some=some),
            ),
            groups=shared(visit.terms[found.kept], many - 1) if self.shrink else None,
            keeps_curvature=not self.firth, near=self.firth,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class MultinomialFitted:
    """Drawn coefficients of a multinomial logistic regression."""

    likelihood: ClassVar[str] = "categorical"
    coef: Array  #: (p, K - 1) log odds of levels 1..K-1 against level 0 are X @ coef; 0 for dropped columns
    warm: Any  #: stacked estimates before the draw, columns, levels, whether augmented
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of every level, shape (n_draw, K)."""
        return _log_softmax(X @ self.coef)

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw codes, shape (n_draw,); `shift` is added to the log odds of every level but the first."""
        return draw_levels(_log_softmax(X @ self.coef + np.reshape(shift, (-1, 1))), rng)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of the level that y, shape (n,), has under the log odds `linear`, shape (n, K - 1)."""
        return np.asarray(_log_softmax(linear)[np.arange(len(y)), y.astype(np.int64)])

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivatives of :meth:`log_accept` by `linear`, (n, K - 1), and minus the second, (n, K - 1, K - 1)."""
        share = np.exp(_log_softmax(linear)[:, 1:])
        minus = -share[:, :, None] * share[:, None, :]
        each = np.arange(share.shape[1])
        minus[:, each, each] += share
        return (y[:, None] == each + 1) - share, minus


def draw_levels(log_weights: Array, rng: np.random.Generator) -> Array:
    """Draw one level code per row with probabilities proportional to exp(log_weights).

    Parameters
    ----------
    log_weights : ndarray, shape (n, K)
        Any constant may be added to a row; -inf is a level that cannot be.
    rng : Generator

    Returns
    -------
    ndarray, shape (n,)
        Codes 0..K-1 as float64.

    Examples
    --------
    >>> draw_levels(np.log([[1e-300, 1e-290], [1.0, 1e-20]]), np.random.default_rng(1))
    array([1., 0.])
    """
    top = np.max(log_weights, axis=1, keepdims=True) if len(log_weights) else np.zeros((0, 1))
    upto = np.cumsum(np.exp(log_weights - top), axis=1)
    return np.sum(upto[:, :-1] <= (rng.random(len(upto)) * upto[:, -1])[:, None], axis=1).astype(np.float64)


def _over_levels(contrast: Array, levels: npt.NDArray[np.int64], n_levels: int) -> Array:
    """Turn contrasts with the first observed level, (p, L - 1), into contrasts with level 0, (p, K - 1)."""
    if len(levels) == n_levels or not len(levels):
        return contrast if len(levels) else np.zeros((len(contrast), n_levels - 1))
    full = np.zeros((len(contrast), n_levels))
    full[0] = -NEVER
    full[0, levels] = 0.0
    full[:, levels[1:]] += contrast
    return full[:, 1:] - full[:, :1]


def _log_softmax(linear: Array) -> Array:
    """Log probabilities of K levels, shape (n, K), from K - 1 log odds against the first."""
    top = np.maximum(np.max(linear, axis=1, initial=0.0), 0.0)
    total = top + np.log(np.exp(-top) + np.sum(np.exp(linear - top[:, None]), axis=1))
    return np.column_stack([-total, linear - total[:, None]])


class _Categorical:
    """The slope and the curve of :func:`_categorical`, in few steps."""

    def __init__(self, X: Array, position: npt.NDArray[np.int64], n_levels: int, weight: Array | None) -> None:
        self.X, self.many, self.weight = X, n_levels - 1, weight
        self.one_hot = (np.arange(1, n_levels)[:, None] == position).astype(np.float64)

    def _shares(self, stacked: Array) -> tuple[Array, Array]:
        """Probabilities of all levels but the first, and the gradient."""
        linear = stacked.reshape(self.many, -1) @ self.X.T
        top = np.maximum(linear.max(axis=0), 0.0)
        linear -= top
        share = np.exp(linear, out=linear)
        share /= np.exp(-top) + share.sum(axis=0)
        miss = self.one_hot - share
        if self.weight is not None:
            miss *= self.weight
        return share, (miss @ self.X).ravel()

    def slope(self, stacked: Array) -> Array:
        """Gradient."""
        return self._shares(stacked)[1]

    def curve(self, stacked: Array) -> tuple[Array, Array]:
        """Gradient and Hessian."""
        share, gradient = self._shares(stacked)
        half = self.X if self.weight is None else self.X * np.sqrt(self.weight)[:, None]
        return gradient, _curvature(half, share)


def _categorical(
    X: Array, position: npt.NDArray[np.int64], n_levels: int, extra: Extra | None, prior: Array | None = None
) -> Thinned:
    """Log-likelihood of a multinomial regression; parameters are stacked by level, the first level left out."""
    weight = prior
    if extra is not None:
        X = np.vstack([X, extra.X])
        own = np.ones(len(position)) if prior is None else prior
        weight = np.concatenate([own, np.full(len(extra.X), extra.weight)])
        position = np.concatenate([position, extra.level])
    n, q = X.shape
    one_hot = (np.arange(1, n_levels)[:, None] == position).astype(np.float64)
    half = X if weight is None else X * np.sqrt(weight)[:, None]
    mass: Array | float = 1.0 if weight is None else weight

    def likelihood(stacked: Array, some: slice | None = None) -> tuple[float, Array, Array]:
        linear = stacked.reshape(n_levels - 1, q) @ X.T
        top = np.maximum(linear.max(axis=0), 0.0)
        share = np.exp(linear - top)
        total = np.exp(-top) + share.sum(axis=0)
        share /= total
        value = np.sum(mass * (np.sum(one_hot * linear, axis=0) - top - np.log(total)))
        gradient = ((one_hot - share) * mass) @ X
        if some is None:
            return float(value), gradient.ravel(), _curvature(half, share)
        rows = half[some]
        return float(value), gradient.ravel(), _curvature(rows, share[:, some]) * (len(half) / len(rows))

    return likelihood


def _firth(X: Array, position: npt.NDArray[np.int64], n_levels: int) -> Likelihood:
    """Log-likelihood plus half the log determinant of the information; the Hessian is that of the first."""
    plain, many, q = _categorical(X, position, n_levels, None), n_levels - 1, X.shape[1]

    def likelihood(stacked: Array) -> tuple[float, Array, Array]:
        value, score, hessian = plain(stacked)
        size = np.sqrt(np.abs(hessian.diagonal()))
        root, info = lapack.dpotrf(-hessian / np.outer(size, size), lower=1, clean=1)
        if info != 0:
            return -np.inf, score, hessian
        half = lapack.dtrtri(root, lower=1)[0]
        inverse = (half.T @ half / np.outer(size, size)).reshape(many, q, many, q)
        share = np.exp(_log_softmax((stacked.reshape(many, q) @ X.T).T))[:, 1:]
        variance = np.empty((len(X), many, many))  # of the linear predictors of each row
        for j in range(many):
            for k in range(many):
                variance[:, j, k] = np.einsum("ij,ij->i", X @ inverse[j, :, k, :], X)
        pull = np.einsum("ijj->ij", variance) - 2.0 * np.einsum("ijk,ik->ij", variance, share)
        pull = share * (pull - np.sum(share * pull, axis=1, keepdims=True))
        bonus = float(np.sum(np.log(root.diagonal())) + np.sum(np.log(size)))
        return value + bonus, score + 0.5 * (pull.T @ X).ravel(), hessian

    return likelihood


def _curvature(half: Array, share: Array) -> Array:
    """Hessian from the weighted design, shape (n, q), and the probabilities, shape (L - 1, n), in row blocks.

    The block of two levels is X' diag(w) X, w the product of their probabilities.
    """
    many, q = len(share), half.shape[1]
    if many >= _MANY_LEVELS:
        return _curvature_of_many(half, share)
    blocks = np.zeros((many, many, q, q))
    scaled = np.empty((min(BLOCK, len(half)), q))
    for first in range(0, len(half), BLOCK):
        rows, weight = half[first : first + BLOCK], share[:, first : first + BLOCK]
        for k in range(many):
            for level in range(k, many):
                other = 1.0 - weight[k] if level == k else weight[level]
                weighted = np.multiply(rows, (weight[k] * other)[:, None], out=scaled[: len(rows)])
                blocks[k, level] += weighted.T @ rows
    for k in range(many):
        blocks[k, k] *= -1.0
        blocks[k + 1 :, k] = blocks[k, k + 1 :]
    return blocks.transpose(0, 2, 1, 3).reshape(many * q, many * q)


_MANY_LEVELS = 20  # levels from which one product of all pairs is faster than a product for each


def _curvature_of_many(half: Array, share: Array) -> Array:
    """The same by one product: the rows of the design times the probability of each level, shape (n, (L - 1) q)."""
    many, q = len(share), half.shape[1]
    whole = np.zeros((many * q, many * q))
    own = np.zeros((many, q * q))
    rows = max(BLOCK // many, 64)
    for first in range(0, len(half), rows):
        X, weight = half[first : first + rows], share[:, first : first + rows]
        each = (weight.T[:, :, None] * X[:, None, :]).reshape(len(X), many * q)
        whole += each.T @ each
        own += (weight * (1.0 - weight)) @ (X[:, :, None] * X[:, None, :]).reshape(len(X), q * q)
    levels = np.arange(many)
    blocks = whole.reshape(many, q, many, q)
    blocks[levels, :, levels, :] = -own.reshape(many, q, q)
    return whole

"""Counts with more zeros than a Poisson or a negative binomial has, the log of the mean linear in the predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, log_expit

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import WarmStart, resume
from ..numerics.newton import Likelihood, Peak, draw, maximise
from ..numerics.priors import weak_prior
from ..numerics.separation import Columns, columns
from .negbin import BOUNDS, GAIN, NegBin, NegBinFitted, negative_binomial
from .poisson import CLIP, NO_LEVELS, ceiling, poisson, poisson_estimate

__all__ = ["ZeroInflated", "ZeroInflatedFitted", "zero_inflated_peak"]

ODDS = (-12.0, 12.0)  #: of the share of zeros that are there whatever the mean, its log odds


@dataclass(frozen=True, slots=True)
class ZeroInflated:
    """Counts that are 0 in a share of the rows and Poisson or negative binomial in the others.

    The share is the same in all rows and the mean over both is exp(X beta), that of the analysis: a mean multiplied by
    0, or by 1 / (1 - share).

    Notes
    -----
    1. Find the estimates of (beta, logit share) and, where it adds more than half a unit of log-likelihood, log alpha;
       and their observed information I.
    2. Draw them from N(., I^-1), once per fit.
    3. Draw each value: 0, or a count of the others.

    Where the share adds less than half a unit to the log-likelihood of a Poisson, a negative binomial is drawn, as
    :class:`~mifit.imputation.methods.negbin.NegBin` says.

    References
    ----------
    Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in manufacturing.
    *Technometrics* 34(1), 1-14. doi:10.2307/1269547
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.COUNT})
    reference: ClassVar[str] = (
        "Lambert, D. (1992). Zero-inflated Poisson regression, with an application to defects in manufacturing. "
        "Technometrics 34(1), 1-14. doi:10.2307/1269547"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), truncates=False, lowest=0.0, called="zero-inflated count regression",
        link="the log of the mean",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> ZeroInflatedFitted | NegBinFitted:
        """Estimate, then draw coefficients, share and dispersion."""
        X, y, offset = visit.X, visit.y, visit.offset
        if not np.any(y > 0):
            return NegBin().fit_from(visit, visit.warm, rng)
        found = columns(X, visit.terms)
        plain, warm_start, events = poisson_estimate(found, y, visit.warm, offset)
        peak = zero_inflated_peak(found, y, plain, warm_start.rescued, visit.warm, 0.0 if offset is None else offset)
        constant = bool(np.all(X[:, 0] == 1.0))  # without one the mean of the others is not a line in the same terms
        if not constant or peak is None or peak.value - plain.value <= GAIN:
            return NegBin().fit_from(visit, warm_start, rng)
        q, coef = len(found.kept), np.zeros(X.shape[1])
        theta = draw(peak.estimate, peak.root, rng)
        share = float(expit(np.clip(theta[-1], *ODDS)))
        coef[found.kept] = theta[:q]
        coef[found.kept[0]] += np.log1p(-share)
        alpha = float(np.exp(np.clip(theta[q], *BOUNDS))) if len(theta) == q + 2 else 0.0
        others = NegBinFitted(coef, alpha, ceiling(y), None)
        warm_start = warm_start._replace(joint=peak.estimate)
        return ZeroInflatedFitted(coef, share, others, warm_start, found.events + events, found.dropped)


@dataclass(frozen=True, slots=True, eq=False)
class ZeroInflatedFitted:
    """Drawn coefficients, share of zeros and dispersion."""

    coef: Array  #: (p,) log means are X @ coef, the zeros included; 0 for dropped columns
    share: float  #: of rows that are 0 whatever their mean
    others: NegBinFitted  #: the other rows, but for their means: those are 1 / (1 - share) times as large
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    @property
    def raised(self) -> float:
        """What the log mean of the other rows has more than that of all."""
        return -float(np.log1p(-self.share))

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of the counts 0..K - 1, shape (n_draw, K), K - 1 beyond every row's 1 - 1e-8 quantile."""
        wide = np.column_stack([X, np.ones(len(X))])
        found = _raised(self.others, self.raised).log_probabilities(wide) - self.raised
        found[:, 0] = np.logaddexp(np.log(self.share), found[:, 0])
        return found

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw counts, shape (n_draw,); `shift` is added to the log mean."""
        drawn = self.others.sample(X, rng, shift + self.raised)
        return np.where(rng.random(len(X)) < self.share, 0.0, drawn)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of counts y under log means `linear`, minus its largest over all means, shape (n,)."""
        found = self.others.log_accept(y, linear + self.raised)
        zero = y == 0
        return np.where(zero, np.log(self.share + (1 - self.share) * np.exp(np.where(zero, found, 0.0))), found)

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        first, minus = self.others.derivatives(y, linear + self.raised)
        counted = np.where(y == 0, self._counted(linear), 1.0)  # probability that a row is one of the others
        return counted * first, counted * (minus - (1.0 - counted) * first * first)

    def _counted(self, linear: Array) -> Array:
        """Probability that a zero is a count, shape (n,)."""
        zero = (1 - self.share) * np.exp(self.others.log_accept(np.zeros(len(linear)), linear + self.raised))
        return np.asarray(zero / (self.share + zero))


def _raised(others: NegBinFitted, by: float) -> NegBinFitted:
    """The same with a last coefficient, of a column of ones."""
    return NegBinFitted(np.append(others.coef, by), others.alpha, others.largest, None)


def zero_inflated_peak(
    found: Columns, y: Array, plain: Peak, rescued: bool, warm: Any, offset: Array | float
) -> Peak | None:
    """Estimate (gamma, [log alpha], logit share), gamma of the other rows' log mean; None where the share is 0."""
    q, zeros = len(plain.estimate), y == 0
    mean = np.exp(np.minimum(found.X @ plain.estimate + offset, CLIP))
    excess = float(np.sum(zeros) - np.sum(np.exp(-mean)))
    if excess <= 0:
        return None
    old = warm.joint if isinstance(warm, WarmStart) else None
    if resume(warm, found.kept, NO_LEVELS, q)[0] is None:
        old = None
    share = min(excess / len(y), 0.95)
    start = np.append(plain.estimate, np.log(share / (1 - share)))
    start[0] -= np.log1p(-share)
    simple = _top(found, y, offset, rescued, False, old if old is not None and len(old) == q + 1 else None, start)
    begin = start if simple is None else simple.estimate
    start = np.concatenate([begin[:q], [-1.0], begin[q:]])
    double = _top(found, y, offset, rescued, True, old if old is not None and len(old) == q + 2 else None, start)
    if double is not None and (simple is None or double.value - simple.value > GAIN):
        return double
    return simple


def _top(
    found: Columns, y: Array, offset: Array | float, rescued: bool, dispersed: bool, old: Array | None, start: Array
) -> Peak | None:
    """The top from where it was, else from a start; None where there is none inside the bounds."""
    likelihood = _likelihood(found.X, y, offset, dispersed)
    if rescued:
        likelihood = weak_prior(likelihood, found.X)
    peak = None if old is None else maximise(likelihood, old, warm=True)
    if peak is None or not peak.converged:
        peak = maximise(likelihood, start)
    inside = ODDS[0] < peak.estimate[-1] < ODDS[1]
    if dispersed:
        inside = inside and BOUNDS[0] < peak.estimate[-2] < BOUNDS[1]
    return peak if peak.converged and inside else None


def _likelihood(X: Array, y: Array, offset: Array | float, dispersed: bool) -> Likelihood:
    """Log-likelihood in (gamma, [log alpha], logit share), without the factorials."""
    zero = y == 0
    of_zeros, shift = X[zero], offset[zero] if isinstance(offset, np.ndarray) else offset
    there = offset[~zero] if isinstance(offset, np.ndarray) else offset
    positive = negative_binomial(X[~zero], y[~zero], there) if dispersed else poisson(X[~zero], y[~zero], there)
    many, q = float(np.sum(~zero)), X.shape[1]

    def likelihood(theta: Array) -> tuple[float, Array, Array]:
        size = len(theta)
        if not ODDS[0] < theta[-1] < ODDS[1]:
            return -np.inf, theta, np.eye(size)
        value, slope, curve = positive(theta[:-1])
        if not np.isfinite(value):
            return -np.inf, theta, np.eye(size)
        share, kept = float(expit(theta[-1])), float(log_expit(-theta[-1]))
        gradient, hessian = np.append(slope, -share * many), np.zeros((size, size))
        hessian[:-1, :-1] = curve
        hessian[-1, -1] = -share * (1 - share) * len(y)
        alpha = float(np.exp(theta[q])) if dispersed else 0.0
        log_zero, first, second = _zero(of_zeros @ theta[:q] + shift, alpha)
        always = float(log_expit(theta[-1]))
        total = np.logaddexp(always, kept + log_zero)
        chance = np.exp(kept + log_zero - total)  # that a zero is one of the others
        apart = chance * (1 - chance)
        names = [of_zeros] if not dispersed else [of_zeros, np.ones((len(of_zeros), 1))]
        wide = [part * one[:, None] for part, one in zip(names, first, strict=True)]
        ahead = np.column_stack([*wide, -np.ones(len(of_zeros))])
        gradient[:-1] += chance @ ahead[:, :-1]
        gradient[-1] += float(np.sum(1 - chance - share))
        hessian += (ahead * apart[:, None]).T @ ahead
        for i, first_part in enumerate(names):
            for j, right in enumerate(names):
                block = (first_part * (chance * second[i + j])[:, None]).T @ right
                hessian[_span(i, q), _span(j, q)] += block
        return float(value + many * kept + np.sum(total)), gradient, hessian

    return likelihood


def _span(number: int, q: int) -> slice:
    """Where a part of the parameters stands: the coefficients, or log alpha."""
    return slice(0, q) if number == 0 else slice(q, q + 1)


def _zero(linear: Array, alpha: float) -> tuple[Array, list[Array], list[Array]]:
    """Log probability of 0, its derivatives by the log mean and by log alpha, and those of second order."""
    mean = np.exp(np.minimum(linear, CLIP))
    if alpha == 0.0:
        return -mean, [-mean], [-mean]
    part = mean / (1 + alpha * mean)
    level = np.log1p(alpha * mean) / alpha
    bent = alpha * part * part
    return -level, [-part, level - part], [bent - part, bent, part + bent - level]

"""Negative binomial regression of another kind: counts whose variance is a multiple of their mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import betainc, digamma, gammaln, polygamma

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import WarmStart, resume
from ..numerics.newton import Likelihood, Peak, draw, maximise
from ..numerics.priors import weak_prior
from ..numerics.separation import Columns, columns
from .negbin import GAIN, NegBin, NegBinFitted
from .poisson import CLIP, NO_LEVELS, ceiling, mean_of, poisson_estimate, support

__all__ = ["NB1", "NB1Fitted", "nb1_peak"]

BOUNDS = (-12.0, 8.0)  #: of log(delta)
_LEAST = 1e-300
_STEPS = 30  # Newton steps for the mean under which a count is most likely: about six suffice


@dataclass(frozen=True, slots=True)
class NB1:
    """Counts with variance (1 + delta) mean (NB1), coefficients and log(delta) drawn jointly first.

    Notes
    -----
    1. Find the estimates of (beta, log delta) and their observed information I.
    2. Draw (beta, log delta) from N(., I^-1), once per fit.
    3. Draw each value: a gamma mean, then a Poisson count.

    Where delta adds less than half a unit of log-likelihood, NB2 or a Poisson regression is drawn, as
    :class:`~mifit.imputation.methods.negbin.NegBin` says.

    References
    ----------
    Cameron, A. C. and Trivedi, P. K. (1986). Econometric models based on count data: comparisons and applications of
    some estimators and tests. *Journal of Applied Econometrics* 1(1), 29-53. doi:10.1002/jae.3950010104
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.COUNT})
    reference: ClassVar[str] = (
        "Cameron, A. C. and Trivedi, P. K. (1986). Econometric models based on count data: comparisons and "
        "applications of some estimators and tests. Journal of Applied Econometrics 1(1), 29-53. "
        "doi:10.1002/jae.3950010104"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), truncates=False, lowest=0.0, called="negative binomial regression (NB1)",
        link="the log of the mean",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> NB1Fitted | NegBinFitted:
        """Estimate, then draw coefficients and dispersion."""
        X, y, offset = visit.X, visit.y, visit.offset
        if not np.any(y > 0):
            return NegBin().fit_from(visit, visit.warm, rng)
        found = columns(X, visit.terms)
        plain, warm_start, events = poisson_estimate(found, y, visit.warm, offset)
        peak = nb1_peak(found, y, plain, warm_start.rescued, visit.warm, 0.0 if offset is None else offset)
        if peak is None or peak.value - plain.value <= GAIN:
            return NegBin().fit_from(visit, warm_start, rng)
        theta = draw(peak.estimate, peak.root, rng)
        coef = np.zeros(X.shape[1])
        coef[found.kept] = theta[:-1]
        delta = float(np.exp(np.clip(theta[-1], *BOUNDS)))
        seen = np.unique(y)
        return NB1Fitted(
            coef, delta, ceiling(y), seen, _height(seen, delta), warm_start._replace(joint=peak.estimate),
            found.events + events, found.dropped,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class NB1Fitted:
    """Drawn coefficients and dispersion."""

    coef: Array  #: (p,) log means are X @ coef; 0 for dropped columns
    delta: float  #: the variance is (1 + delta) mean
    largest: int  #: largest count that is enumerated; means are held below a quarter of it
    seen: Array  #: (k,) counts that occurred, ascending
    height: Array  #: (k,) the largest log-likelihood of each, over all means
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def mean(self, X: Array, shift: float = 0.0) -> Array:
        """Means, shape (n_draw,), in counts."""
        return mean_of(X @ self.coef + shift, self.largest)

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of the counts 0..K - 1, shape (n_draw, K), K - 1 beyond every row's 1 - 1e-8 quantile."""
        mean, odds = self.mean(X), self.delta
        top = float(np.max(mean, initial=0.0))
        counts = support(lambda k: float(betainc(k + 1, top / odds, odds / (1 + odds))), top, self.largest)
        return _log_mass(counts, mean[:, None], odds) - gammaln(counts + 1)

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw counts, shape (n_draw,); `shift` is added to the log mean."""
        rate = rng.gamma(self.mean(X, shift) / self.delta, self.delta)
        return rng.poisson(np.minimum(rate, 1e15)).astype(np.float64)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of counts y under log means `linear`, minus its largest over all means, shape (n,)."""
        place = np.minimum(np.searchsorted(self.seen, y), len(self.seen) - 1)
        top = self.height[place]
        other = self.seen[place] != y
        if other.any():
            top = np.where(other, _height(np.maximum(y, 0.0), self.delta), top)
        value = _log_mass(np.maximum(y, 0.0), np.exp(np.clip(linear, -2 * CLIP, 2 * CLIP)), self.delta) - top
        value = np.where(np.isnan(value), -np.inf, value)  # a mean beyond all numbers
        return np.asarray(np.where(y < 0, -np.inf, np.minimum(value, 0.0)))

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        size = np.maximum(np.exp(np.clip(linear, -CLIP, CLIP)) / self.delta, _LEAST)
        count = np.maximum(y, 0.0)
        first = size * (digamma(count + size) - digamma(size) - np.log1p(self.delta))
        return first, -first - size * size * (polygamma(1, count + size) - polygamma(1, size))


def nb1_peak(found: Columns, y: Array, plain: Peak, rescued: bool, warm: Any, offset: Array | float) -> Peak | None:
    """Estimate (beta, log delta) from the Poisson estimate; None where there is no estimate inside the bounds."""
    mean = np.exp(np.minimum(found.X @ plain.estimate + offset, CLIP))
    score = float(np.sum((y - mean) ** 2 / np.maximum(mean, _LEAST) - 1.0)) / len(y)
    start = np.append(plain.estimate, np.log(np.clip(score, 0.05, 10.0)))
    likelihood = _likelihood(found.X, y, offset)
    if rescued:
        likelihood = weak_prior(likelihood, found.X)
    old = warm.joint if isinstance(warm, WarmStart) else None
    peak = None
    if (
        old is not None
        and len(old) == len(start)
        and resume(warm, found.kept, NO_LEVELS, len(start) - 1)[0] is not None
    ):
        peak = maximise(likelihood, old, warm=True)
    if peak is None or not peak.converged:
        peak = maximise(likelihood, start)
    return peak if peak.converged and BOUNDS[0] < peak.estimate[-1] < BOUNDS[1] else None


def _log_mass(y: Array, mean: Array, delta: float) -> Array:
    """Log probability of counts, without the factorials."""
    size = np.maximum(mean / delta, _LEAST)
    return np.asarray(
        gammaln(y + size) - gammaln(size) - size * np.log1p(delta) + y * (np.log(delta) - np.log1p(delta))
    )


def _height(y: Array, delta: float) -> Array:
    """The largest log-likelihood of each count over all means, shape of y; of 0 it is 0, under a mean of 0.

    Newton's method on the log of the size y = mean / delta solves digamma(y + size) - digamma(size) = log(1 + delta).
    """
    size, goal = np.maximum(y, 1.0) / delta, np.log1p(delta)
    for _ in range(_STEPS):
        slope = digamma(y + size) - digamma(size) - goal
        bend = size * (polygamma(1, y + size) - polygamma(1, size))
        step = np.where(bend < 0, np.clip(-slope / np.where(bend < 0, bend, -1.0), -2.0, 2.0), 0.0)
        size = size * np.exp(step)
        if np.max(np.abs(step), initial=0.0) < 1e-9:
            break
    return np.where(y > 0, _log_mass(y, size * delta, delta), 0.0)


def _likelihood(X: Array, y: Array, offset: Array | float) -> Likelihood:
    """Log-likelihood in (beta, log delta), without the factorials."""
    q = X.shape[1]

    def likelihood(theta: Array) -> tuple[float, Array, Array]:
        if not BOUNDS[0] < theta[q] < BOUNDS[1]:
            return -np.inf, theta, np.eye(q + 1)
        delta = float(np.exp(theta[q]))
        mean = np.exp(np.clip(X @ theta[:q] + offset, -2 * CLIP, CLIP))
        size = np.maximum(mean / delta, _LEAST)
        rise = size * (digamma(y + size) - digamma(size) - np.log1p(delta))
        bend = rise + size * size * (polygamma(1, y + size) - polygamma(1, size))
        share, excess = mean / (1 + delta), (y - mean) / (1 + delta)
        hessian = np.empty((q + 1, q + 1))
        hessian[:q, :q] = (X * bend[:, None]).T @ X
        hessian[q, :q] = hessian[:q, q] = -(X.T @ (bend + share))
        hessian[q, q] = np.sum(bend + share - delta * excess / (1 + delta))
        gradient = np.append(X.T @ rise, np.sum(excess - rise))
        return float(np.sum(_log_mass(y, mean, delta))), gradient, hessian

    return likelihood

"""Negative binomial regression: counts that vary more than a Poisson, the log mean linear in the predictors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import betainc, digamma, gammaln, pdtrc, polygamma

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import WarmStart, resume
from ..numerics.newton import Likelihood, Peak, draw, maximise
from ..numerics.priors import weak_prior
from ..numerics.separation import Columns, columns
from .poisson import CLIP, NO_LEVELS, PoissonFitted, all_zero, ceiling, mean_of, poisson_estimate, support

__all__ = ["BOUNDS", "GAIN", "NegBin", "NegBinFitted", "negative_binomial", "overdispersed"]

GAIN = 0.5  #: log-likelihood that alpha must add; with less it is within about one standard error of 0
BOUNDS = (-20.0, 8.0)  #: of log(alpha)
TABLE = 100_000  #: sums over 0..y-1 are tabled up to here


@dataclass(frozen=True, slots=True)
class NegBin:
    """Counts with variance mean + alpha mean^2 (NB2), coefficients and log(alpha) drawn jointly first.

    Notes
    -----
    1. Find the estimates of (beta, log alpha) and their observed information I.
    2. Draw (beta, log alpha) from N(., I^-1), once per fit.
    3. Draw each value: a gamma mean, then a Poisson count.

    Where the data show no overdispersion (alpha adds less than half a unit of log-likelihood, that is, lies within
    about one standard error of 0) a Poisson regression is drawn instead: the normal approximation to log(alpha) has
    no meaning there. A group with zeros only is treated as in :class:`~mifit.imputation.methods.poisson.Poisson`, and
    means are held below the same ceiling; a heavy tail is enumerated up to the largest count only.

    References
    ----------
    Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. *Canadian Journal of Statistics* 15(3),
    209-225. doi:10.2307/3314912
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.COUNT})
    reference: ClassVar[str] = (
        "Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. Canadian Journal of "
        "Statistics 15(3), 209-225. doi:10.2307/3314912"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), truncates=False, lowest=0.0, doubted="count",
        called="negative binomial regression", link="the log of the mean",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> NegBinFitted:
        """Estimate, then draw coefficients and dispersion."""
        return self.fit_from(visit, visit.warm, rng)

    def fit_from(self, visit: Visit, warm: Any, rng: np.random.Generator) -> NegBinFitted:
        """The same from a warm start that is not the visit's own."""
        X, y = visit.X, visit.y
        if not np.any(y > 0):
            coef, largest = all_zero(X.shape[1])
            return NegBinFitted(coef, 0.0, largest, warm)
        found = columns(X, visit.terms)
        coef, offset = np.zeros(X.shape[1]), visit.offset
        plain, warm_start, events = poisson_estimate(found, y, warm, offset)
        peak = overdispersed(found, y, plain, warm_start.rescued, warm, 0.0 if offset is None else offset)
        theta = draw(plain.estimate, plain.root, rng) if peak is None else draw(peak.estimate, peak.root, rng)
        coef[found.kept] = theta[: len(found.kept)]
        alpha = 0.0 if peak is None else float(np.exp(np.clip(theta[-1], *BOUNDS)))
        warm_start = warm_start._replace(joint=None if peak is None else peak.estimate)
        return NegBinFitted(coef, alpha, ceiling(y), warm_start, found.events + events, found.dropped)

    def judged(self, visit: Visit) -> tuple[float, float]:
        """Largest log-likelihood of counts, some above 0, and how many it expects beyond the largest of them."""
        found, y = columns(visit.X, visit.terms), visit.y
        plain, warm_start, _ = poisson_estimate(found, y, None)
        peak = overdispersed(found, y, plain, warm_start.rescued, None, 0.0)
        best = plain if peak is None else peak
        mean = np.exp(np.minimum(found.X @ best.estimate[: len(found.kept)], CLIP))
        if peak is None:
            beyond = pdtrc(y.max(), mean)
        else:
            odds = np.exp(best.estimate[-1]) * mean
            beyond = betainc(y.max() + 1, np.exp(-best.estimate[-1]), odds / (1 + odds))
        return best.value - float(np.sum(gammaln(y + 1))), float(np.sum(beyond))


@dataclass(frozen=True, slots=True, eq=False)
class NegBinFitted:
    """Drawn coefficients and dispersion of a negative binomial regression."""

    coef: Array  #: (p,) log means are X @ coef; 0 for dropped columns
    alpha: float  #: the variance is mean + alpha mean^2; 0 is a Poisson
    largest: int  #: largest count that is enumerated; means are held below a quarter of it
    warm: Any  #: the Poisson estimate and the joint one, before the draw
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def mean(self, X: Array, shift: float = 0.0) -> Array:
        """Means, shape (n_draw,), in counts."""
        return mean_of(X @ self.coef + shift, self.largest)

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of the counts 0..K - 1, shape (n_draw, K), K - 1 beyond every row's 1 - 1e-8 quantile."""
        mean, alpha = self.mean(X), self.alpha
        top = float(np.max(mean, initial=0.0))
        odds = alpha * top

        def survival(k: int) -> float:
            return float(betainc(k + 1, 1 / alpha, odds / (1 + odds)) if alpha > 0 else pdtrc(k, top))

        counts = support(survival, top, self.largest)
        shape = np.log1p(alpha * mean) / alpha if alpha > 0 else mean
        rising = np.concatenate([[0.0], np.cumsum(np.log1p(alpha * counts[:-1]))]) - gammaln(counts + 1)
        # y log(mean) - (y + 1/alpha) log(1 + alpha mean), the two powers of y together
        return np.asarray((np.log(mean) - alpha * shape)[:, None] * counts - shape[:, None] + rising)

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw counts, shape (n_draw,); `shift` is added to the log mean."""
        mean = self.mean(X, shift)
        if self.alpha > 0:
            mean = np.minimum(rng.gamma(1 / self.alpha, self.alpha * mean), 1e15)
        return rng.poisson(mean).astype(np.float64)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of counts y under log means `linear`, minus that under the mean y, shape (n,)."""
        if self.alpha <= 0:
            return PoissonFitted(self.coef, self.largest, None).log_accept(y, linear)
        positive, alpha = y > 0, self.alpha
        distance = np.minimum(linear - np.log(np.where(positive, y, 1.0)), 2 * CLIP)
        ratio = np.expm1(distance)
        share = alpha * y / (1 + alpha * y)
        inside = np.maximum(np.where(positive, share * ratio, alpha * (1 + ratio)), -1.0)
        # log((1 + alpha mean) / (1 + alpha y)) without a difference of large logarithms
        value = np.where(positive, y * distance, 0.0) - (y + 1 / alpha) * np.log1p(inside)
        return np.asarray(np.where(y < 0, -np.inf, np.minimum(value, 0.0)))

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        mean = np.exp(np.minimum(linear, CLIP))
        kept = 1.0 / (1.0 + self.alpha * mean)
        return (y - mean) * kept, mean * kept * (1.0 + self.alpha * y) * kept


def overdispersed(
    found: Columns, y: Array, plain: Peak, rescued: bool, warm: Any, offset: Array | float
) -> Peak | None:
    """Estimate (beta, log alpha) from the Poisson estimate; None where the data show no overdispersion."""
    beta = plain.estimate
    mean = np.exp(np.minimum(found.X @ beta + offset, CLIP))
    score = float(np.sum((y - mean) ** 2 - y))
    if score <= 0:
        return None
    q = len(beta)
    start = np.append(beta, np.log(np.clip(score / np.sum(mean * mean), 1e-4, 10.0)))
    old = warm.joint if isinstance(warm, WarmStart) else None  # older files hold plain tuples
    likelihood = negative_binomial(found.X, y, offset)
    if rescued:
        likelihood = weak_prior(likelihood, found.X)
    peak = None
    if old is not None and len(old) == q + 1 and resume(warm, found.kept, NO_LEVELS, q)[0] is not None:
        peak = maximise(likelihood, old, warm=True)
    if peak is None or not peak.converged:
        peak = maximise(likelihood, start)
    inside = peak.converged and BOUNDS[0] < peak.estimate[-1] < BOUNDS[1]
    return peak if inside and peak.value - plain.value > GAIN else None


def negative_binomial(X: Array, y: Array, offset: Array | float) -> Likelihood:
    """Log-likelihood of a negative binomial regression in (beta, log alpha), without the factorials."""
    q = X.shape[1]
    rising = _rising(y)

    def likelihood(theta: Array) -> tuple[float, Array, Array]:
        if not BOUNDS[0] < theta[q] < BOUNDS[1]:
            return -np.inf, theta, np.eye(q + 1)
        alpha = float(np.exp(theta[q]))
        linear = np.minimum(X @ theta[:q] + offset, CLIP)
        mean = np.exp(linear)
        odds = alpha * mean
        whole, grown = 1 + odds, 1 + alpha * y
        level = np.log1p(odds) / alpha
        sums = rising(alpha)
        value = sums[0] + y @ linear - np.sum(level * grown)
        part = mean / whole
        residual = (y - mean) / whole
        first = sums[1] + np.sum(level - grown * part)
        second = sums[2] + np.sum(2 * (part - level) + grown * alpha * part * part)
        hessian = np.empty((q + 1, q + 1))
        root = X * np.sqrt(part * grown / whole)[:, None]
        hessian[:q, :q] = -(root.T @ root)
        hessian[q, :q] = hessian[:q, q] = -(X.T @ (alpha * part * residual))
        hessian[q, q] = second + first
        return float(value), np.append(X.T @ residual, first), hessian

    return likelihood


def _rising(y: Array) -> Callable[[float], tuple[float, float, float]]:
    """Return alpha -> sum over rows of sum_{j<y} log(1 + alpha j), with alpha and alpha^2 times its derivatives."""
    top = int(np.max(y))
    if top <= TABLE:
        beyond = len(y) - np.cumsum(np.bincount(y.astype(np.int64), minlength=top + 1))[:top]
        steps = np.arange(top, dtype=np.float64)

        def tabled(alpha: float) -> tuple[float, float, float]:
            reach = alpha * steps
            ratio = reach / (1 + reach)
            return float(beyond @ np.log1p(reach)), float(beyond @ ratio), -float(beyond @ (ratio * ratio))

        return tabled

    def gamma(alpha: float) -> tuple[float, float, float]:
        size = 1 / alpha
        first = size * (digamma(size + y) - digamma(size))
        second = size * size * (polygamma(1, size + y) - polygamma(1, size))
        value = gammaln(size + y) - gammaln(size) + y * np.log(alpha)
        # alpha dS = y - first; alpha^2 d2S = first + (first + second) - y
        return float(np.sum(value)), float(np.sum(y - first)), float(np.sum(2 * first + second - y))

    return gamma

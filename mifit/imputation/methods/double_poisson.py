"""Poisson regression with a learned dispersion: counts that vary less than a Poisson, or numbers that are no counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import gammaln, logsumexp, pdtrc, xlogy

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.newton import draw
from ..numerics.separation import columns
from .negbin import NegBin, NegBinFitted
from .poisson import CLIP, PoissonFitted, ceiling, mean_of, poisson_estimate, support

__all__ = ["DoublePoisson", "DoublePoissonFitted"]

_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, slots=True)
class DoublePoisson:
    """Counts with mean exp(X beta) and a variance of about phi times it; phi is drawn, then the coefficients.

    Notes
    -----
    1. Find the Poisson estimate b and its information I.
    2. Draw the dispersion phi = Pearson's X² / chi², n - p degrees of freedom.
    3. Draw the coefficients from N(b, phi I^-1).
    4. The log-likelihood of a value is that of a Poisson divided by phi.

    References
    ----------
    Efron, B. (1986). Double exponential families and their use in generalized linear regression. *Journal of the
    American Statistical Association* 81(395), 709-721. doi:10.1080/01621459.1986.10478327
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.COUNT})
    reference: ClassVar[str] = (
        "Efron, B. (1986). Double exponential families and their use in generalized linear regression. Journal of "
        "the American Statistical Association 81(395), 709-721. doi:10.1080/01621459.1986.10478327"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), truncates=False, lowest=0.0, called="double Poisson regression",
        link="the log of the mean",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> DoublePoissonFitted | NegBinFitted:
        """Estimate, then draw dispersion and coefficients."""
        X, y, offset = visit.X, visit.y, visit.offset
        if not np.any(y > 0):
            return NegBin().fit_from(visit, visit.warm, rng)
        found = columns(X, visit.terms)
        peak, warm_start, events = poisson_estimate(found, y, visit.warm, offset)
        mean = np.exp(np.minimum(found.X @ peak.estimate + (0.0 if offset is None else offset), CLIP))
        pearson = float(np.sum((y - mean) ** 2 / np.maximum(mean, _TINY)))
        phi = max(pearson, _TINY) / float(rng.chisquare(max(len(y) - len(found.kept), 1)))
        coef = np.zeros(X.shape[1])
        coef[found.kept] = draw(peak.estimate, peak.root / np.sqrt(phi), rng)
        return DoublePoissonFitted(coef, phi, ceiling(y), warm_start, found.events + events, found.dropped)


@dataclass(frozen=True, slots=True, eq=False)
class DoublePoissonFitted:
    """Drawn coefficients and dispersion."""

    coef: Array  #: (p,) log means are X @ coef; 0 for dropped columns
    phi: float  #: the variance is about phi times the mean
    largest: int  #: largest count that is enumerated; means are held below a quarter of it
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of the counts 0..K - 1, shape (n_draw, K), K - 1 beyond every row's 1 - 1e-8 quantile."""
        weights = self._weights(mean_of(X @ self.coef, self.largest))
        return np.asarray(weights - logsumexp(weights, axis=1, keepdims=True))

    def _weights(self, mean: Array) -> Array:
        """Efron 1986, eq. 2.11, without the constant: a Poisson mass whose distance from the mean counts 1 / phi."""
        top = float(np.max(mean, initial=0.0))
        width = max(self.phi, 1.0)
        counts = support(lambda k: float(pdtrc(k, top)) if k < width * (top + 8) else 0.0, width * top, self.largest)
        saturated = xlogy(counts, counts) - counts
        distance = np.log(mean)[:, None] * counts - mean[:, None] - saturated
        return np.asarray(distance / self.phi + saturated - gammaln(counts + 1))

    def sample(self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0) -> Array:
        """Draw counts, shape (n_draw,); `shift` is added to the log mean."""
        drawn = np.empty(len(X))
        mean = mean_of(X @ self.coef + shift, self.largest)
        for block in np.array_split(np.arange(len(X)), 1 + len(X) // 2_000):
            if len(block):
                weights = self._weights(mean[block])
                total = np.cumsum(np.exp(weights - weights.max(axis=1, keepdims=True)), axis=1)
                drawn[block] = (total < rng.random(len(block))[:, None] * total[:, -1:]).sum(axis=1)
        return drawn

    def log_accept(self, y: Array, linear: Array) -> Array:
        """The log-likelihood of a Poisson, at most 0, over phi, shape (n,)."""
        return PoissonFitted(self.coef, self.largest, None).log_accept(y, linear) / self.phi

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        first, minus = PoissonFitted(self.coef, self.largest, None).derivatives(y, linear)
        return first / self.phi, minus / self.phi

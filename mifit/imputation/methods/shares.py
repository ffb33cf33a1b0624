"""Shares of trials that resemble each other, and shares without trials: a binomial whose dispersion is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.separation import columns
from .glm import Data, Glm, GlmFitted, drawn_from, top_of

__all__ = ["Shares", "SharesFitted", "correlation", "dispersion"]

_MOST = 0.95  # correlation
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares whose mean is that of a binomial regression and whose variance is learned.

    Parameters
    ----------
    family : object
        A binomial family with its link, as statsmodels has it.
    trials : bool, default True
        Whether the prior weights count the trials of each row, and the trials of a row have a correlation rho: the
        variance of a share is mean (1 - mean) (1 + (k - 1) rho) / k. Otherwise it is phi mean (1 - mean) / weight.

    Notes
    -----
    1. Find the binomial estimate and with it rho from the moment equation E[(y - mean)² / (mean (1 - mean))] =
       (1 + (k - 1) rho) / k, the rows weighted as in a Bayesian bootstrap; or phi = Pearson's X² / chi², n - p degrees
       of freedom.
    2. Divide the weights by 1 + (k - 1) rho, or by phi; estimate again and draw the coefficients from N(b, I^-1).
    3. The log-likelihood of a row is that of the binomial with these weights. Missing shares are drawn from a
       beta-binomial, or a beta distribution, of that mean and variance.

    References
    ----------
    Williams, D. A. (1982). Extra-binomial variation in logistic linear models. *Applied Statistics* 31(2), 144-148.
    doi:10.2307/2347977
    """

    family: Any = None
    trials: bool = True
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC})
    reference: ClassVar[str] = (
        "Williams, D. A. (1982). Extra-binomial variation in logistic linear models. Applied Statistics 31(2), "
        "144-148. doi:10.2307/2347977"
    )
    facts: ClassVar[Facts] = Facts(offers=Offers(), truncates=False)

    def __post_init__(self) -> None:
        Glm(self.family)  # refuses what is no family

    def fit(self, visit: Visit, rng: np.random.Generator) -> SharesFitted:
        """Estimate, then draw dispersion and coefficients."""
        X, y = visit.X, visit.y
        k = np.ones(len(y)) if visit.weights is None else visit.weights
        offset = np.zeros(len(y)) if visit.offset is None else visit.offset
        found = columns(X, visit.terms)
        data = Data(self.family, found.X, y, k, offset)
        peak, warm_start, events = top_of(data, found, visit.warm)
        rho, phi = self._dispersion(data, peak.estimate, rng)
        fitted = SharesFitted(self.family, np.zeros(X.shape[1]), rho, phi, warm_start, events, found.dropped)
        heavy = data._replace(weight=fitted.worth(k) / fitted.phi)
        if self.trials:
            peak, warm_start, events = top_of(heavy, found, warm_start)
            root = peak
        else:
            root = peak._replace(root=peak.root / np.sqrt(fitted.phi))
        fitted.coef[found.kept] = drawn_from(heavy, root, 1.0, rng)
        return fitted

    def _dispersion(self, data: Data, estimate: Array, rng: np.random.Generator) -> tuple[float, float]:
        """Draw the correlation of the trials of a row, and the dispersion where the trials are not known."""
        y, k, (n, p) = data.y, data.weight, data.X.shape
        mean = data.mean(estimate)
        assert mean is not None  # an estimate lies in the domain
        if self.trials:
            return correlation(y, mean, k, rng.standard_exponential(len(y)), p)[0], 1.0
        return 0.0, max(dispersion(y, mean, k) * n, _TINY) / float(rng.chisquare(max(n - p, 1)))


@dataclass(frozen=True, slots=True, eq=False)
class SharesFitted:
    """Drawn coefficients and dispersion."""

    family: Any
    coef: Array  #: (p,)
    rho: float  #: correlation of the trials of a row; 0 where they are not known
    phi: float  #: dispersion where they are not known; else 1
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()

    def worth(self, weights: Array) -> Array:
        """Prior weights of rows as these shares have them, shape (n,)."""
        return weights / (1.0 + np.maximum(weights - 1.0, 0.0) * self.rho)

    def sample(
        self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0, weights: Array | None = None
    ) -> Array:
        """Draw one share per row, shape (n_draw,); ``shift`` is added to the linear predictor."""
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.inverse(X @ self.coef + shift), dtype=np.float64)
        mean = np.clip(np.nan_to_num(mean, nan=0.5), _TINY, 1 - _TINY)
        heavy = np.ones(len(mean)) if weights is None else weights
        if self.phi != 1.0:
            size = np.maximum(heavy / self.phi - 1.0, _TINY)
            return _beta(mean, size, rng)
        trials = np.maximum(np.rint(heavy), 1.0)
        chance = _beta(mean, np.full(len(mean), 1 / self.rho - 1), rng) if self.rho > 0 else mean
        return rng.binomial(trials.astype(np.int64), chance) / trials

    def possible(self, linear: Array) -> Any:
        """Where the mean lies in its domain or is a rounding away from it, shape (n,)."""
        return self._binomial().possible(linear)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Minus half the unit deviance over the dispersion, shape (n,); -inf where the mean leaves its domain."""
        return self._binomial().log_accept(y, linear)

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        return self._binomial().derivatives(y, linear)

    def _binomial(self) -> GlmFitted:
        return GlmFitted(self.family, self.coef, self.phi, None)


def correlation(y: Array, mean: Array, k: Array, weight: Array, p: int) -> tuple[float, float]:
    """Correlation of the trials of a row by its moment equation, at least 0, and its standard error.

    Parameters
    ----------
    y, mean : ndarray, shape (n,)
        Shares and their means.
    k : ndarray, shape (n,)
        Trials.
    weight : ndarray, shape (n,)
        Of the rows.
    p : int
        Coefficients that the means have.
    """
    weight = weight / np.mean(weight)
    more = 1.0 - 1.0 / k
    size = float(weight @ (more * more))
    if size <= 0:
        return 0.0, np.inf
    excess = (y - mean) ** 2 / np.maximum(mean * (1 - mean), _TINY) * (len(y) / max(len(y) - p, 1)) - 1.0 / k
    found = float(weight @ (excess * more)) / size
    error = float(np.sqrt(np.sum((weight * more * (excess - found * more)) ** 2))) / size
    return min(max(found, 0.0), _MOST), error


def dispersion(y: Array, mean: Array, weight: Array) -> float:
    """Pearson's statistic of shares over their number."""
    return float(np.mean(weight * (y - mean) ** 2 / np.maximum(mean * (1 - mean), _TINY)))


def _beta(mean: Array, size: Array, rng: np.random.Generator) -> Array:
    """Beta draws of a mean and a precision."""
    return np.asarray(rng.beta(np.maximum(mean * size, _TINY), np.maximum((1 - mean) * size, _TINY)))

"""Generalised linear models of any family and link, given as an object with its link and deviance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...calls import Code
from ...errors import ModelError, call
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Estimate, Problem, WarmStart, estimate, incidents, resume
from ..numerics.newton import Likelihood, Peak, draw, information_root, maximise
from ..numerics.priors import weak_prior
from ..numerics.separation import Columns, columns
from .poisson import NO_LEVELS, SHRUNK

__all__ = ["Data", "Glm", "GlmFitted", "drawn_from", "top_of"]

#: family -> open interval in which its means lie; tested before a library could clip them
_DOMAIN = {
    "Gaussian": (-np.inf, np.inf),
    "Binomial": (0.0, 1.0),
    "Poisson": (0.0, np.inf),
    "NegativeBinomial": (0.0, np.inf),
    "Gamma": (0.0, np.inf),
    "InverseGaussian": (0.0, np.inf),
    "Tweedie": (0.0, np.inf),
}
_FIXED = ("Binomial", "Poisson", "NegativeBinomial")  # families whose dispersion is 1
_EPS = float(np.finfo(float).eps)
_TINY = float(np.finfo(float).tiny)
_NO_SPREAD = 1e-16  # least share of its size that an outcome varies by, squared
_LARGEST = 1e15  # means beyond this are not drawn
_TRIES = 50  # draws of the coefficients before they are pulled towards the estimate


@dataclass(frozen=True, slots=True, eq=False)
class GlmFitted:
    """Drawn coefficients and dispersion."""

    family: Any
    coef: Array  #: (p,)
    dispersion: float  #: drawn; 1 for Binomial, Poisson, negative binomial
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()

    def sample(
        self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0, weights: Array | None = None
    ) -> Array:
        """Draw one outcome per row, shape (n_draw,); ``shift`` is added to the linear predictor.

        Weights, shape (n_draw,), divide the variance: a share of that many trials, a mean of that many values.
        """
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.inverse(X @ self.coef + shift), dtype=np.float64)
        low, high = _DOMAIN[type(self.family).__name__]
        inner = np.nextafter(low, np.inf) if np.isfinite(low) else low
        mean = np.clip(np.nan_to_num(mean, nan=inner, posinf=np.inf), inner, min(high, _LARGEST))
        weight = np.ones(len(mean)) if weights is None else weights
        return np.asarray(_DRAWS[type(self.family).__name__](mean, self.dispersion, weight, self.family, rng))

    def possible(self, linear: Array) -> Any:
        """Where the mean lies in its domain or is a rounding away from it, shape (n,)."""
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.inverse(linear), dtype=np.float64)
        edge = np.isfinite(mean) & np.isin(mean, _DOMAIN[type(self.family).__name__])
        return _inside(self.family, mean) | edge

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Minus half the unit deviance over the dispersion, shape (n,); -inf where the mean leaves its domain."""
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.inverse(linear), dtype=np.float64)
            inside = _inside(self.family, mean)
            deviance = np.maximum(self.family.resid_dev(y, np.where(inside, mean, 0.5)) ** 2, 0.0)
        # A mean rounded to the edge of its domain explains the outcome at that edge, and no other.
        edge = np.isin(mean, _DOMAIN[type(self.family).__name__]) & (mean == y)
        return np.where(inside, -0.5 * deviance / self.dispersion, np.where(edge, 0.0, -np.inf))

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,); 0 outside the domain."""
        link, variance = self.family.link, self.family.variance
        with np.errstate(all="ignore"):
            mean = np.asarray(link.inverse(linear), dtype=np.float64)
            slope, bend = link.inverse_deriv(linear), link.inverse_deriv2(linear)
            spread, change = variance(mean), variance.deriv(mean)
            first = (y - mean) * slope / spread
            minus = (slope * slope - (y - mean) * (bend - slope * slope * change / spread)) / spread
        good = _inside(self.family, mean) & np.isfinite(first) & np.isfinite(minus)
        return np.where(good, first / self.dispersion, 0.0), np.where(good, minus / self.dispersion, 0.0)


@dataclass(frozen=True, slots=True)
class Glm:
    """An outcome drawn from a generalised linear model, which also gives the likelihood of its predictors.

    Parameters
    ----------
    family : object
        With ``link`` (and its ``inverse``, ``inverse_deriv``, ``inverse_deriv2``, ``deriv``), ``variance`` (and its
        ``deriv``), ``starting_mu`` and ``resid_dev``, as statsmodels' families have them.

    Notes
    -----
    1. Find the estimate b by Newton's method, and the expected information I at dispersion 1.
    2. Draw the dispersion: RSS / chi² (Gaussian), Pearson's X² / chi² (Gamma, Tweedie), deviance / chi² (inverse
       Gaussian), 1 otherwise; n - p degrees of freedom.
    3. Draw the coefficients from N(b, dispersion I^-1), until every mean of the fit rows lies in the family's
       domain: under links such as the identity the posterior ends there.

    Where a binomial, or a log-linear count, has no finite estimate the slopes of the standardised predictors get a
    N(0, 2.5^2) prior (Gelman et al. 2008).

    References
    ----------
    McCullagh, P. and Nelder, J. A. (1989). *Generalized Linear Models*, 2nd ed. Chapman & Hall, chapters 2 and 8.
    """

    family: Any = None
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT, Kind.BINARY})
    reference: ClassVar[str] = (
        "McCullagh, P. and Nelder, J. A. (1989). Generalized Linear Models, 2nd ed. London: Chapman and Hall. "
        "doi:10.1007/978-1-4899-3242-6"
    )
    facts: ClassVar[Facts] = Facts(offers=Offers(), truncates=False, offset=True, doubted="family")

    def __post_init__(self) -> None:
        if type(self.family).__name__ not in _DOMAIN:
            raise ModelError(
                f"family {type(self.family).__name__} has no likelihood here.",
                known=", ".join(_DOMAIN),
                do=call("df.mice.impute", family=Code("sm.families.Poisson()")),
            )

    def fit(self, visit: Visit, rng: np.random.Generator) -> GlmFitted:
        """Estimate, then draw dispersion and coefficients."""
        X, y = visit.X, visit.y
        weight = np.ones(len(y)) if visit.weights is None else visit.weights
        offset = np.zeros(len(y)) if visit.offset is None else visit.offset
        found = columns(X, visit.terms)
        data = Data(self.family, found.X, y, weight, offset)
        peak, warm_start, events = top_of(data, found, visit.warm)
        dispersion = self._dispersion(found.X @ peak.estimate + offset, y, weight, found.X.shape[1], rng)
        coef = np.zeros(X.shape[1])
        coef[found.kept] = drawn_from(data, peak, dispersion, rng)
        return GlmFitted(self.family, coef, dispersion, warm_start, events, found.dropped)

    def _dispersion(self, linear: Array, y: Array, weight: Array, p: int, rng: np.random.Generator) -> float:
        """Draw the dispersion around its estimate."""
        name = type(self.family).__name__
        if name in _FIXED:
            return 1.0
        mean = self.family.link.inverse(linear)
        if name in ("Gaussian", "InverseGaussian"):
            total = float(np.sum(weight * self.family.resid_dev(y, mean) ** 2))
        else:
            total = float(np.sum(weight * (y - mean) ** 2 / self.family.variance(mean)))
        least = _NO_SPREAD * float(np.sum(weight * y * y / self.family.variance(mean)))  # an outcome that is constant
        return max(total, least, _TINY) / float(rng.chisquare(max(len(y) - p, 1)))


class Data(NamedTuple):
    """What a fit sees."""

    family: Any
    X: Array  #: (n, q)
    y: Array  #: (n,)
    weight: Array  #: (n,)
    offset: Array  #: (n,)

    def mean(self, beta: Array) -> Array | None:
        """The means, shape (n,); None where one leaves its domain. A binomial's stay a rounding away from 0 and 1."""
        with np.errstate(all="ignore"):
            mean = np.asarray(self.family.link.inverse(self.X @ beta + self.offset), dtype=np.float64)
        if type(self.family).__name__ == "Binomial" and np.all((mean >= 0.0) & (mean <= 1.0)):
            return np.clip(mean, _EPS, 1.0 - _EPS)
        return mean if _inside(self.family, mean).all() else None


def _inside(family: Any, mean: Array) -> Any:
    """Where means lie in their family's domain, shape (n,)."""
    low, high = _DOMAIN[type(family).__name__]
    return np.isfinite(mean) & (mean > low) & (mean < high)


def top_of(data: Data, found: Columns, warm: Any) -> Estimate:
    """The estimate with its expected information, under a weak prior where it is not finite."""
    family, start = data.family, _start(*data)
    name, link = type(family).__name__, type(family.link).__name__
    if name == "Binomial" or (name in _FIXED and link == "Log"):
        level = np.array([float(np.average(_shrunken(family, data.y), weights=data.weight))])
        worth = float(np.mean(data.weight) / (family.link.deriv(level) ** 2 * family.variance(level))[0])

        def likelihood(rescue: bool) -> Likelihood:
            plain = _deviance(data, True)
            return weak_prior(plain, found.X) if rescue else plain

        problem = Problem(likelihood, start, found.unit / worth, SHRUNK, keeps_curvature=False)
        peak, warm_start, events = estimate(problem, found, NO_LEVELS, warm, len(data.y))
    else:
        old, _ = resume(warm, found.kept, NO_LEVELS, len(found.kept))
        peak = maximise(_deviance(data, True), start if old is None else old, warm=old is not None)
        for observed in (True, False):
            if not peak.converged:
                peak = maximise(_deviance(data, observed), start)
        warm_start, events = WarmStart(peak.estimate, found.kept, NO_LEVELS, False), incidents(peak, False, "")
    value, _, hessian = _deviance(data, False)(peak.estimate)
    if warm_start.rescued or not np.isfinite(value):
        return Estimate(peak, warm_start, events)
    return Estimate(peak._replace(root=information_root(hessian)), warm_start, events)


def drawn_from(data: Data, peak: Peak, dispersion: float, rng: np.random.Generator) -> Array:
    """Draw coefficients under which every mean is possible."""
    root = peak.root / np.sqrt(dispersion)
    for _ in range(_TRIES):
        beta = draw(peak.estimate, root, rng)
        if data.mean(beta) is not None:
            return beta
    for _ in range(_TRIES):  # the estimate lies on the edge of the domain: shrink the draw towards it
        beta = 0.5 * (beta + peak.estimate)
        if data.mean(beta) is not None:
            return beta
    return peak.estimate


def _deviance(data: Data, observed: bool) -> Likelihood:
    """Minus half the deviance, its gradient, and its observed or expected Hessian; -inf outside the domain."""
    family, X, y, weight, offset = data

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        mean = data.mean(beta)
        if mean is None:
            return -np.inf, np.zeros(X.shape[1]), -np.eye(X.shape[1])
        with np.errstate(all="ignore"):
            # On the linear scale: under a square root the mean also grows below 0, where link.deriv has the wrong sign.
            linear = X @ beta + offset
            slope, variance = family.link.inverse_deriv(linear), family.variance(mean)
            pull = weight * (y - mean) / variance
            work = weight * slope**2 / variance
            value = -0.5 * float(np.sum(weight * family.resid_dev(y, mean) ** 2))
            gradient = X.T @ (pull * slope)
            if observed:
                bend = slope**2 * family.variance.deriv(mean) / variance - family.link.inverse_deriv2(linear)
                work = work + pull * bend
        return value, gradient, -(X.T * work) @ X

    return likelihood


def _start(family: Any, X: Array, y: Array, weight: Array, offset: Array) -> Array:
    """Least squares of the link of a shrunken outcome: a start inside the domain."""
    mean = _shrunken(family, y)
    target = family.link(mean) - offset
    root = np.sqrt(weight)
    size = np.sqrt((X * X).sum(axis=0))
    beta = np.linalg.lstsq(X * root[:, None] / size, target * root, rcond=None)[0] / size
    with np.errstate(all="ignore"):
        if _inside(family, np.asarray(family.link.inverse(X @ beta + offset))).all():
            return np.asarray(beta)
    level = np.full(len(y), float(np.average(mean, weights=weight)))
    return np.asarray(np.linalg.lstsq(X / size, family.link(level) - offset, rcond=None)[0] / size)


def _binomial(mean: Array, dispersion: float, weight: Array, family: Any, rng: np.random.Generator) -> Array:
    """The share of successes among as many trials as the weight says."""
    trials = np.maximum(np.rint(weight), 1.0)
    return rng.binomial(trials.astype(np.int64), mean) / trials


def _negative_binomial(mean: Array, dispersion: float, weight: Array, family: Any, rng: np.random.Generator) -> Array:
    """Poisson of a gamma mean, variance mean + alpha mean²."""
    rate = mean * rng.gamma(1.0 / family.alpha, family.alpha, len(mean))
    return rng.poisson(np.minimum(rate, _LARGEST)).astype(np.float64)


def _shrunken(family: Any, y: Array) -> Array:
    """The outcome half-way to its mean, inside the domain also where all are 0."""
    mean = np.asarray(family.starting_mu(y), dtype=np.float64)
    return np.where(_inside(family, mean), mean, 0.5 / (len(y) + 1.0))


def _gamma(mean: Array, dispersion: float, weight: Array, family: Any, rng: np.random.Generator) -> Array:
    """Gamma with shape weight / dispersion."""
    shape = weight / dispersion
    return rng.gamma(shape, mean / shape)


def _tweedie(mean: Array, dispersion: float, weight: Array, family: Any, rng: np.random.Generator) -> Array:
    """A Poisson number of gamma jumps, variance power between 1 and 2."""
    power, phi = family.var_power, dispersion / weight
    if power == 1:
        return rng.poisson(np.minimum(mean / phi, _LARGEST)) * phi
    if power == 2:
        return _gamma(mean, dispersion, weight, family, rng)
    jumps = rng.poisson(np.minimum(mean ** (2 - power) / (phi * (2 - power)), _LARGEST))
    shape = np.maximum(jumps * (2 - power) / (power - 1), 1e-12)
    return np.where(jumps > 0, rng.gamma(shape, phi * (power - 1) * mean ** (power - 1)), 0.0)


_DRAWS: dict[str, Any] = {
    "Gaussian": lambda mean, phi, w, family, rng: mean + np.sqrt(phi / w) * rng.standard_normal(len(mean)),
    "Binomial": _binomial,
    "Poisson": lambda mean, phi, w, family, rng: rng.poisson(np.minimum(w * mean, _LARGEST)) / w,
    "NegativeBinomial": _negative_binomial,
    "Gamma": _gamma,
    "InverseGaussian": lambda mean, phi, w, family, rng: rng.wald(mean, w / phi),
    "Tweedie": _tweedie,
}

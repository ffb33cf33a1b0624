"""Linear regression with a learned error law: a mixture of normals around the mean, its spread perhaps unequal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array, Rows
from ..contract import Facts, Offers, Visit
from ..numerics.linear import draw_coefficients, draw_sigma, solve
from ..numerics.mixture import LEAST, MOST_LOG_SD, Law, first_law, gibbs_pass, log_weights, pick, summed
from .norm import NO_SPREAD

__all__ = ["Labelled", "Mixture", "MixtureFitted"]

OPENING = 15  #: passes from a cold start
_ROOT = float(np.log(2.0 * np.pi) / 2.0)


@dataclass(frozen=True, slots=True)
class MixtureFitted:
    """Drawn coefficients and error law of the standardised response."""

    coef: Array  #: (p,)
    law: Law  #: of the standardised response; its ``coef`` are those above
    log_sd_slope: Array | None  #: (p,) coefficients of the log spread; None where all rows have the same
    centre: float  #: the response is centre + scale * standardised
    scale: float
    dropped: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    warm: Any = None

    def log_spread(self, X: Array) -> Array:
        """Log of each row's spread relative to an ordinary one, shape (n_draw,)."""
        if self.log_sd_slope is None:
            return np.zeros(len(X))
        return np.clip(X @ self.log_sd_slope, -MOST_LOG_SD, MOST_LOG_SD)

    def mean_sd(self, X: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of all components together, each (n_draw,), in the user's units."""
        law = self.law
        total = float(np.sqrt(law.weight @ (law.variance + law.mean**2)))
        return self.centre + self.scale * (X @ self.coef), self.scale * total * np.exp(self.log_spread(X))

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw a component and then a value for each row, shape (n_draw,)."""
        labels = pick(np.repeat(np.log(self.law.weight)[:, None], len(X), axis=1), rng)
        return self.of(X, labels).sample(X, rng, shift)

    def of(self, X: Array, labels: Rows) -> Labelled:
        """The normal law of each row, its component given."""
        spread = self.scale * np.exp(self.log_spread(X))
        mean = self.centre + self.scale * (X @ self.coef) + spread * self.law.mean[labels]
        return Labelled(mean, spread * np.sqrt(self.law.variance[labels]))

    def labelled(self, X: Array, values: Array, rng: np.random.Generator) -> Labelled:
        """Draw the component of each row given its value, shape (n_draw,), as a step of Gibbs."""
        return self.of(X, pick(log_weights(self._errors(values, X), self.law), rng))

    def forward(self, values: Array) -> Array:
        """The scale is the user's own."""
        return values

    def backward(self, scaled: Array) -> Array:
        """The scale is the user's own."""
        return scaled

    def log_density(self, values: Array, X: Array) -> Array:
        """Log density, components summed out, shape (n_draw,)."""
        found = summed(log_weights(self._errors(values, X), self.law))
        return found - self.log_spread(X) - np.log(self.scale) - _ROOT

    def standardised(self, y: Array) -> Array:
        """The response on the scale of the linear predictor, shape (n,)."""
        return (y - self.centre) / self.scale

    def log_accept(self, y: Array, linear: Array, log_spread: Array | float = 0.0) -> Array:
        """Log density of the residual, components summed out, minus a bound of it, shape (n,)."""
        u = (self.standardised(y) - linear) * np.exp(-log_spread)
        top = np.log(np.sum(self.law.weight / np.sqrt(self.law.variance)))
        return np.minimum(summed(log_weights(u, self.law)) - top, 0.0)

    def derivatives(self, y: Array, linear: Array, log_spread: Array | float = 0.0) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        narrow = np.exp(-np.asarray(log_spread))
        u = (self.standardised(y) - linear) * narrow
        share = log_weights(u, self.law)
        share = np.exp(share - summed(share))
        pull = (u - self.law.mean[:, None]) / self.law.variance[:, None]
        first = (share * pull).sum(axis=0)
        minus = (share * (1.0 / self.law.variance[:, None] - pull * pull)).sum(axis=0) + first * first
        return narrow * first, narrow * narrow * minus

    def _errors(self, values: Array, X: Array) -> Array:
        """Standardised errors of values, shape (n_draw,)."""
        return (self.standardised(values) - X @ self.coef) * np.exp(-self.log_spread(X))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A normal law for each row: what the own model is once the components are drawn."""

    mean: Array  #: (n_draw,) in the user's units
    sd: Array  #: (n_draw,)

    def mean_sd(self, X: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of each row."""
        return self.mean, self.sd

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        return self.mean + shift + self.sd * rng.standard_normal(len(self.mean))

    def forward(self, values: Array) -> Array:
        """The scale is the user's own."""
        return values

    def backward(self, scaled: Array) -> Array:
        """The scale is the user's own."""
        return scaled


@dataclass(frozen=True, slots=True)
class Mixture:
    """Draw a number from a regression on its predictors whose error law is learned from the data.

    The mean is that of the linear regression; the errors follow a mixture of normals of mean zero, so that skewness,
    heavy tails and outliers of the data are those of the draws. Every fit is one pass of a Gibbs sampler.

    Parameters
    ----------
    components : int, default 5
        Normals in the mixture; those that are not needed stay empty.
    spread : bool, default False
        Whether the spread of the errors may differ with the predictors.
    columns : tuple of int, optional
        Columns of the design that the spread may differ with; all but the first if not given.

    Notes
    -----
    See :func:`~mifit.imputation.numerics.mixture.gibbs_pass` for the model, its priors and the steps. A fit without a
    warm start makes 15 passes from least squares. With fewer than 10 residual degrees of freedom it is the ordinary
    normal regression.

    References
    ----------
    Diebolt, J. and Robert, C. P. (1994). Estimation of finite mixture distributions through Bayesian sampling.
    *JRSS B* 56(2), 363-375.
    """

    components: int = 5
    spread: bool = False
    columns: tuple[int, ...] | None = None

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = (
        "Diebolt, J. and Robert, C. P. (1994). Estimation of finite mixture distributions through Bayesian sampling. "
        "Journal of the Royal Statistical Society: Series B 56(2), 363-375. doi:10.1111/j.2517-6161.1994.tb01985.x"
    )

    facts: ClassVar[Facts] = Facts(
        offers=Offers(normal=True, direct=True, gaussian=True, components=True),
        weighted=True, truncates=False, opened=True,
        called="Bayesian linear regression with an error law learned from the data",
    )  # fmt: skip

    def bound(self, columns: Rows) -> Mixture:
        """The method with the columns that its spread may differ with, where it may."""
        return replace(self, columns=tuple(int(place) for place in columns)) if self.spread else self

    @property
    def spread_columns(self) -> tuple[int, ...]:
        """The columns that the spread may differ with, where it may and they are known."""
        return self.columns or () if self.spread else ()

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixtureFitted:
        """One Gibbs pass from where the last one ended."""
        X, warm = visit.X, visit.warm
        if not _fits(warm, X, self):
            warm = None
        centre, scale = _standard(visit.y, X) if warm is None else (float(warm[6]), float(warm[7]))
        z = (visit.y - centre) / scale
        known = None if visit.weights is None else 1.0 / np.sqrt(visit.weights)
        found = None if len(z) < X.shape[1] + LEAST else self._passes(visit, z, known, warm, rng)
        if found is None:
            return _normal(visit, z, centre, scale, rng)
        law, dropped = found
        places, log_sd_slope = self._places(X), None
        if self.spread:
            log_sd_slope = np.zeros(X.shape[1])
            log_sd_slope[places] = law.log_sd_slope
        return MixtureFitted(law.coef, law, log_sd_slope, centre, scale, dropped, (), (*law, centre, scale))

    def _passes(
        self, visit: Visit, z: Array, known: Array | None, warm: Any, rng: np.random.Generator
    ) -> tuple[Law, tuple[int, ...]] | None:
        """One pass, or several from a cold start; None where the residuals have no spread."""
        X = visit.X
        Z = X[:, self._places(X)]
        law = first_law(X, z, visit.terms, self.components, Z.shape[1]) if warm is None else Law(*warm[:6])
        residual = z - X @ law.coef
        if not np.sqrt(np.mean(residual**2)) > NO_SPREAD * np.sqrt(np.mean(z**2)):
            return None
        dropped: tuple[int, ...] = ()
        for _ in range(OPENING if warm is None else 1):
            law, dropped = gibbs_pass(X, z, Z, visit.terms, law, rng, known)
        return law, dropped

    def _places(self, X: Array) -> Rows:
        """Columns of the design that the spread may differ with."""
        if not self.spread:
            return np.empty(0, dtype=np.int64)
        return np.arange(1, X.shape[1]) if self.columns is None else np.array(self.columns, dtype=np.int64)


def _fits(warm: Any, X: Array, method: Mixture) -> bool:
    """Whether a warm start is one of this model."""
    if not isinstance(warm, tuple | list) or len(warm) != 8:
        return False
    return len(warm[0]) == method.components and len(warm[4]) == X.shape[1] and len(warm[5]) == len(method._places(X))


def _standard(y: Array, X: Array) -> tuple[float, float]:
    """Centre and scale of a response, the scale a power of two; without a constant there is no centre."""
    constant = len(y) > 0 and X.shape[1] > 0 and bool((X[:, 0] == 1.0).all())
    centre = float(y.mean()) if constant else 0.0
    size = float(np.sqrt(np.mean((y - centre) ** 2))) if len(y) else 0.0
    return centre, float(2.0 ** np.round(np.log2(size))) if size > 0 and np.isfinite(size) else 1.0


def _normal(visit: Visit, z: Array, centre: float, scale: float, rng: np.random.Generator) -> MixtureFitted:
    """The ordinary normal regression, as a mixture of one component."""
    cross = visit.cross()
    solution = solve(cross, visit.terms)
    sigma = draw_sigma(solution, rng)
    coef = draw_coefficients(solution, sigma, rng)
    one, none = np.ones(1), np.empty(0)
    law = Law(one, np.zeros(1), np.array([max(sigma, NO_SPREAD) ** 2]), 1.0, coef, none)
    return MixtureFitted(coef, law, None, cross.centre, cross.scale, solution.dropped)

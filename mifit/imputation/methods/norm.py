"""Bayesian linear regression: the normal model of a number given its predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.linear import draw_coefficients, draw_sigma, solve
from ..numerics.truncated import truncated_regression

__all__ = ["NO_SPREAD", "Normal", "NormalFitted"]

NO_SPREAD = 1e-9  # smallest residual sd in a likelihood, in units of the outcome's sd: finite for an exact relation


@dataclass(frozen=True, slots=True)
class NormalFitted:
    """Drawn coefficients and residual spread of the standardised response."""

    likelihood: ClassVar[str] = "normal"
    coef: Array  #: (p,)
    sigma: float  #: of the standardised response
    centre: float  #: the response is centre + scale * standardised
    scale: float
    dropped: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    warm: Any = None

    def mean_sd(self, X: Array) -> tuple[Array, float]:
        """Mean (n_draw,) and standard deviation in the user's units."""
        return self.centre + self.scale * (X @ self.coef), self.scale * self.sigma

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        mean, sd = self.mean_sd(X)
        return mean + shift + sd * rng.standard_normal(len(X))

    def forward(self, values: Array) -> Array:
        """The scale is the user's own."""
        return values

    def backward(self, scaled: Array) -> Array:
        """The scale is the user's own."""
        return scaled

    def log_density(self, values: Array, X: Array) -> Array:
        """Log density, shape (n_draw,)."""
        mean, sd = self.mean_sd(X)
        return -0.5 * ((values - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi))

    def standardised(self, y: Array) -> Array:
        """The response on the scale of the linear predictor, shape (n,)."""
        return (y - self.centre) / self.scale

    @property
    def residual_sd(self) -> float:
        """Residual sd of the standardised response, kept above 0 in likelihoods."""
        return max(self.sigma, NO_SPREAD)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Minus half the squared standardised residual, shape (n,)."""
        return -0.5 * ((self.standardised(y) - linear) / self.residual_sd) ** 2

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        weight = 1.0 / self.residual_sd**2
        return weight * (self.standardised(y) - linear), np.full(len(linear), weight)


@dataclass(frozen=True, slots=True)
class Normal:
    """Draw a number from a Bayesian linear regression on its predictors.

    Notes
    -----
    sigma*² = RSS / chi²(n - q); beta* ~ N(beta_hat, sigma*² (X'X)^-1). Within bounds that the variable never leaves
    it is the truncated regression of :func:`~mifit.imputation.numerics.truncated.truncated_regression`.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, p. 167.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = (  # pp. 166-167
        "Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. New York: Wiley. "
        "doi:10.1002/9780470316696"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(normal=True, direct=True, gaussian=True), weighted=True, linear=True, cross=True,
        doubted="number", errors_learned=True, by_cluster="2l.norm", called="Bayesian linear regression",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> NormalFitted:
        """Estimate, then draw the residual spread and the coefficients."""
        cross = visit.cross()
        solution = solve(cross, visit.terms)
        if visit.limits is not None:
            low, high = ((limit - cross.centre) / cross.scale for limit in visit.limits)
            z = (visit.y - cross.centre) / cross.scale
            cut = truncated_regression(visit.X, z, low, high, solution, visit.warm, rng)
            if cut is not None:
                fitted = (cut.coef, cut.sigma, cross.centre, cross.scale, solution.dropped, cut.events, cut.warm)
                return NormalFitted(*fitted)
        sigma = draw_sigma(solution, rng)
        coef = draw_coefficients(solution, sigma, rng)
        return NormalFitted(coef, sigma, cross.centre, cross.scale, solution.dropped)

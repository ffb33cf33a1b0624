"""Proper draws of the parameters of an MMRM: they carry the uncertainty that the trial leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from ..imputation.numerics.linear import rooted
from ..typing import Array
from .completion import Alike, Course, completed
from .covariance import matrix
from .mmrm import Fit, Moments, Profiles, coefficients, information, log_likelihood, moments

__all__ = ["Posterior", "posterior"]

_SWEEPS = 25  # of data augmentation: where 60 % of the information is missing, 0.6**25 of the start is left
_STEPS = 60  # of independence Metropolis, of which more than half are accepted
_TAIL = 6.0  # degrees of freedom of the proposals


@dataclass(frozen=True, eq=False)
class Posterior:
    """The posterior of coefficients and covariance matrices, ready to be drawn from."""

    profiles: Profiles
    fit: Fit
    sums: list[Moments]
    course: Course  #: the profiles as an imputation under MAR
    alike: list[Alike]

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Coefficients (p,) and covariance matrices (G, T, T)."""
        return _unstructured(self, rng) if self.fit.structure == "unstructured" else _structured(self, rng)


def posterior(profiles: Profiles, fit: Fit) -> Posterior:
    """Make the posterior of an MMRM around its optimum.

    Notes
    -----
    Unstructured: data augmentation under the usual flat priors, p(V) proportional to |V|^-(T+1)/2; in turn the missing
    visits, V from an inverse Wishart distribution, and the coefficients given V from the visits seen alone. The
    other structures: independence Metropolis steps on their parameters (logarithms of standard deviations, uniform
    partial autocorrelations), the coefficients integrated out, with proposals from a multivariate t around the optimum.

    References
    ----------
    Schafer, J. L. (1997). *Analysis of Incomplete Multivariate Data*. Chapman & Hall, section 5.4.
    """
    n = len(profiles.outcome)
    nobody = np.full(n, profiles.n_visits)
    course = Course(
        profiles.outcome, profiles.design, profiles.design, profiles.group, 0, nobody, ("MAR",) * n
    )  # fmt: skip
    return Posterior(profiles, fit, moments(profiles), course, course.alike())


def _unstructured(made: Posterior, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw by data augmentation that begins at the optimum."""
    profiles = made.profiles
    covariance = made.fit.covariance
    seen = ~np.isnan(profiles.outcome).all(axis=1)
    members = [np.flatnonzero(seen & (profiles.group == g)) for g in range(profiles.n_groups)]
    coef = _around(made.fit.coef, made.fit.coef_cov, rng)
    for _ in range(_SWEEPS):
        filled = completed(made.course, made.alike, coef, covariance, rng.standard_normal(profiles.outcome.shape))
        residuals = filled - profiles.design @ coef
        covariance = np.array([_inverse_wishart(residuals[rows], rng) for rows in members])
        coef = _around(*coefficients(made.sums, covariance), rng)
    return coef, covariance


def _around(mean: Array, covariance: Array, rng: np.random.Generator) -> Array:
    """A normal vector; the covariance may be singular."""
    return mean + rooted(covariance, rng.standard_normal(len(mean)))


def _inverse_wishart(residuals: Array, rng: np.random.Generator) -> Array:
    """Draw a covariance matrix given residuals of shape (n, T), by the decomposition of Bartlett (1933)."""
    n, size = residuals.shape
    root = np.linalg.cholesky(residuals.T @ residuals)
    lower = np.tril(rng.standard_normal((size, size)), -1)
    lower[np.diag_indices(size)] = np.sqrt(rng.chisquare(n - np.arange(size)))
    # the inverse is Wishart: L^-T A A' L^-1 with S = L L', so the draw is (L A^-T)(L A^-T)'
    half = solve_triangular(lower, root.T, lower=True).T
    found: Array = half @ half.T
    return found


def _structured(made: Posterior, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the parameters of a structure by independence Metropolis, then the coefficients."""
    profiles, fit = made.profiles, made.fit
    sums, n_visits, centre = made.sums, profiles.n_visits, fit.theta
    values, vectors = np.linalg.eigh(information(centre, fit.structure, sums, n_visits))
    root = (vectors / np.sqrt(np.maximum(values, 1e-8 * values[-1]))) @ vectors.T  # whatever signs the vectors have
    size = centre.size

    def weight(theta: Array, distance: float) -> float:
        """Logarithm of the posterior over that of the proposal."""
        partial = theta[:, n_visits:]
        prior = -2 * np.log(np.cosh(partial)).sum()  # uniform in the partial autocorrelation, tanh of it
        proposal = -0.5 * (_TAIL + size) * np.log1p(distance / _TAIL)
        return log_likelihood(theta, fit.structure, sums, n_visits, True) + float(prior) - proposal

    theta, held = centre, weight(centre, 0.0)
    for _ in range(_STEPS):
        z = rng.standard_normal(size) * np.sqrt(_TAIL / rng.chisquare(_TAIL))
        tried = centre + (root @ z).reshape(centre.shape)
        offered = weight(tried, float(z @ z))
        if np.log(rng.random()) < offered - held:
            theta, held = tried, offered
    covariance = np.array([matrix(fit.structure, one, n_visits) for one in theta])
    return _around(*coefficients(sums, covariance), rng), covariance

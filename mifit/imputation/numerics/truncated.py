"""Truncated normals: quantiles that keep their digits in the tails, and regressions whose response is cut off."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtri_exp, stdtr, stdtrit

from ...typing import Array
from .linear import Solution
from .newton import Likelihood, Peak, draw, maximise

__all__ = ["Cut", "tails", "truncated_fit", "truncated_normal", "truncated_regression", "truncated_student"]

_PRIOR = 0.7  # sd of the log of the spread around that of least squares, where the data do not determine it
_WIDE = 5.0  # an untruncated spread of so many times that of least squares is not determined by the data
_DRAWS = 50  # most attempts to draw an sd above 0
_SHRUNK = "the data do not determine the sd beyond the bounds: sd kept near that of least squares"


def tails(low: Array, high: Array) -> tuple[npt.NDArray[np.bool_], Array, Array]:
    """Whether (low, high) is mirrored; log probability below its upper end; share of that below its lower end."""
    mirrored = low > 0.0  # the lower tail of a standard normal keeps its digits
    top = log_ndtr(np.where(mirrored, -low, high))
    lower = log_ndtr(np.where(mirrored, -high, low))
    return mirrored, top, np.exp(np.subtract(lower, top, out=np.full_like(lower, -np.inf), where=np.isfinite(top)))


def truncated_normal(mean: Array, sd: float | Array, low: float | Array, high: float | Array, share: Array) -> Array:
    """Quantiles of normals truncated to (low, high).

    Parameters
    ----------
    mean : ndarray, shape (n,)
    sd : float or ndarray, shape (n,)
        Above 0.
    low, high : float or ndarray, shape (n,)
        Bounds; infinite where open.
    share : ndarray, shape (n,)
        Probabilities in [0, 1], counted from below, or from above where both bounds exceed the mean.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> truncated_normal(np.zeros(2), 1.0, 0.0, np.inf, np.array([0.5, 0.9])).round(4)
    array([0.6745, 1.6449])
    """
    mirrored, top, below = tails((low - mean) / sd, (high - mean) / sd)
    z = ndtri_exp(top + np.log(np.maximum(below + share * (1.0 - below), np.finfo(float).tiny)))
    found = np.clip(mean + sd * np.where(mirrored, -z, z), low, high)
    # Bounds so far from the mean that their logarithm has no number: only the nearer one matters.
    return np.asarray(np.where(np.isfinite(top), found, np.where(mirrored, low, high)))


def truncated_student(
    centre: Array, scale: Array, df: float, low: float | Array, high: float | Array, share: Array
) -> Array:
    """Quantiles of Student's t, moved and scaled, truncated to (low, high).

    Parameters
    ----------
    centre, scale : ndarray, shape (n,)
        The scale is above 0.
    df : float
        Degrees of freedom.
    low, high : float or ndarray, shape (n,)
        Bounds; infinite where open.
    share : ndarray, shape (n,)
        Probabilities in [0, 1], counted from below, or from above where both bounds exceed the centre.

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> truncated_student(np.zeros(2), np.ones(2), 8.0, 0.0, np.inf, np.array([0.5, 0.9])).round(4)
    array([0.7064, 1.8595])
    """
    below, above = (low - centre) / scale, (high - centre) / scale
    mirrored = below > 0.0  # the lower tail keeps its digits
    least, most = stdtr(df, np.where(mirrored, -above, below)), stdtr(df, np.where(mirrored, -below, above))
    z = stdtrit(df, np.clip(least + share * (most - least), np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg))
    return np.asarray(np.clip(centre + scale * np.where(mirrored, -z, z), low, high))


class Cut(NamedTuple):
    """Drawn parameters of a truncated regression."""

    coef: Array  #: (p,)
    sigma: float
    warm: Array  #: (q + 1,) the estimate, from which the next may start
    events: tuple[str, ...] = ()


def truncated_regression(
    X: Array, z: Array, low: Array, high: Array, solution: Solution, warm: Array | None, rng: np.random.Generator
) -> Cut | None:
    """Draw the parameters of a normal regression of which only values between bounds can be seen.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    z : ndarray, shape (n,)
        The response, within its bounds.
    low, high : ndarray, shape (n,)
        Bounds, infinite where open.
    solution : Solution
        Least squares of the same data.
    warm : ndarray, shape (q + 1,), optional
        Estimate of almost the same data.
    rng : Generator

    Returns
    -------
    Cut or None
        None where there is nothing to estimate, as the response follows exactly from X.

    Notes
    -----
    In g = coefficients / sigma and h = 1 / sigma the log-likelihood is log h - (h z - X g)² / 2 minus the log of the
    probability between h low - X g and h high - X g. Its top is found by Newton's method; (g, h) is drawn from the
    normal around it. Where the data are flat towards an infinite spread (a normal cut far out in its tail looks like an
    exponential), log h is given a normal prior around least squares.

    References
    ----------
    Olsen, R. J. (1978). Note on the uniqueness of the maximum likelihood estimator for the Tobit model. *Econometrica*
    46(5), 1211-1215. doi:10.2307/1911445

    Orme, C. (1989). On the uniqueness of the maximum likelihood estimator in truncated regression models. *Econometric
    Reviews* 8(2), 217-222. doi:10.1080/07474938908800171
    """
    kept, found = solution.kept, _top(X, z, low, high, solution, warm)
    if found is None:
        return None
    peak, events = found
    theta = peak.estimate
    for _ in range(_DRAWS):
        theta = draw(peak.estimate, peak.root, rng)
        if theta[-1] > 0.0:
            break
    else:
        theta = peak.estimate
    coef = np.zeros(X.shape[1])
    coef[kept] = theta[:-1] / theta[-1]
    return Cut(coef, float(1.0 / theta[-1]), peak.estimate, events)


def truncated_fit(X: Array, z: Array, low: Array, high: Array, solution: Solution) -> tuple[Array, float] | None:
    """Estimated coefficients, shape (p,), and spread of the model of :func:`truncated_regression`, or None as there."""
    found = _top(X, z, low, high, solution, None)
    if found is None or not found[0].estimate[-1] > 0.0:
        return None
    theta, coef = found[0].estimate, np.zeros(X.shape[1])
    coef[solution.kept] = theta[:-1] / theta[-1]
    return coef, float(1.0 / theta[-1])


def _top(
    X: Array, z: Array, low: Array, high: Array, solution: Solution, warm: Array | None
) -> tuple[Peak, tuple[str, ...]] | None:
    """The maximum of the log-likelihood in (g, h), and events; None where the sd is 0."""
    kept, df = solution.kept, max(solution.df, 1.0)
    residual_sd = float(np.sqrt(solution.rss / df))
    if not residual_sd > 0.0:
        return None
    start = np.append(solution.beta[kept], 1.0) / residual_sd
    own = _truncated(X[:, kept], z, low, high)
    first = warm if warm is not None and len(warm) == len(start) else start
    peak = maximise(own, first)
    if peak.converged and peak.estimate[-1] * residual_sd >= 1.0 / _WIDE:
        return peak, ()
    return maximise(_held(own, residual_sd), start), (_SHRUNK,)


def _truncated(X: Array, z: Array, low: Array, high: Array) -> Likelihood:
    """Log-likelihood of a truncated regression in (coefficients / sigma, 1 / sigma)."""
    below, above = np.isfinite(low), np.isfinite(high)
    minus = -X
    of_value = np.column_stack([minus, z])
    of_low = np.column_stack([minus, np.where(below, low, 0.0)])
    of_high = np.column_stack([minus, np.where(above, high, 0.0)])

    def likelihood(theta: Array) -> tuple[float, Array, Array]:
        q, h = len(theta), float(theta[-1])
        if not h > 0.0:
            return -np.inf, theta, np.eye(q)
        residual = of_value @ theta
        a = np.where(below, of_low @ theta, -np.inf)
        b = np.where(above, of_high @ theta, np.inf)
        _, top, share = tails(a, b)
        inside = top + np.log1p(-np.minimum(share, 1.0 - 1e-16))
        # Densities at the bounds over the probability between them; 0 where there is no bound.
        at_low = np.exp(-0.5 * np.where(below, a, 0.0) ** 2 - inside) * below / _ROOT
        at_high = np.exp(-0.5 * np.where(above, b, 0.0) ** 2 - inside) * above / _ROOT
        value = float(np.sum(np.log(h) - 0.5 * residual**2 - inside))
        gradient = -residual @ of_value + at_low @ of_low - at_high @ of_high
        gradient[-1] += len(z) / h
        low_low = np.where(below, a, 0.0) * at_low - at_low**2
        high_high = -np.where(above, b, 0.0) * at_high - at_high**2
        mixed = of_low.T @ ((at_low * at_high)[:, None] * of_high)
        hessian = -(of_value.T @ of_value) - of_low.T @ (low_low[:, None] * of_low)
        hessian -= of_high.T @ (high_high[:, None] * of_high) + mixed + mixed.T
        hessian[-1, -1] -= len(z) / h**2
        return value, gradient, hessian

    return likelihood


def _held(likelihood: Likelihood, residual_sd: float) -> Likelihood:
    """The same with a normal prior on the log of the spread, around that of least squares."""

    def posterior(theta: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = likelihood(theta)
        if not np.isfinite(value):
            return value, gradient, hessian
        h = float(theta[-1])
        away = np.log(h * residual_sd) / _PRIOR**2
        gradient[-1] -= away / h
        hessian[-1, -1] -= (1.0 / _PRIOR**2 - away) / h**2
        return value - 0.5 * away * np.log(h * residual_sd), gradient, hessian

    return posterior


_ROOT = float(np.sqrt(2.0 * np.pi))

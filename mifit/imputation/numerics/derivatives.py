"""First and second derivatives of a log-likelihood along a line: in closed form, or from differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...typing import Array

__all__ = ["along", "differences"]

_STEP = 1e-3  # of a linear predictor; of another quantity in its spreads


def along(fitted: Any, y: Array, linear: Array, slope: Array) -> tuple[Array, Array]:
    """Derivatives of ``fitted.log_accept(y, linear + t slope)`` by t, where t is 0.

    Parameters
    ----------
    fitted : ScoresOutcome
        Its ``derivatives`` are used where it has them; else differences of ``log_accept`` are taken.
    y : ndarray, shape (n,)
        The outcome, as ``log_accept`` is given it.
    linear, slope : ndarray, shape (n,) or (n, k)
        The linear predictors, and how they change.

    Returns
    -------
    first, minus_second : ndarray, each (n,)
        The first derivative, and minus the second; 0 in rows where they are not finite.

    Notes
    -----
    Samplers take from them where to propose. Proposals are accepted or refused by ``log_accept`` itself, so that a
    derivative that is somewhat off costs acceptance and not the distribution.

    Examples
    --------
    >>> from mifit.imputation.methods.poisson import PoissonFitted
    >>> fitted = PoissonFitted(np.zeros(1), 100, None)
    >>> along(fitted, np.array([3.0]), np.array([0.0]), np.array([2.0]))  # y - 1 times 2, and 1 times 2 squared
    (array([4.]), array([4.]))
    """
    with np.errstate(all="ignore"):
        if not hasattr(fitted, "derivatives"):
            size = np.abs(slope) if slope.ndim == 1 else np.abs(slope).max(axis=1)
            unit = np.where(size > 0, size, 1.0)
            direction = slope / (unit if slope.ndim == 1 else unit[:, None])

            def moved(step: float) -> Array:
                return np.asarray(fitted.log_accept(y, linear + step * direction))

            first, minus = differences(moved)
            return first * size, minus * size * size
        first, minus = fitted.derivatives(y, linear)
        if slope.ndim == 1:
            first, minus = first * slope, minus * slope * slope
        else:
            first, minus = np.einsum("ij,ij->i", first, slope), np.einsum("ij,ijk,ik->i", slope, minus, slope)
    good = np.isfinite(first) & np.isfinite(minus)
    return np.where(good, first, 0.0), np.where(good, minus, 0.0)


def differences(moved: Callable[[float], Array], step: float = _STEP) -> tuple[Array, Array]:
    """First derivative and minus the second by central differences; 0 where a value is not finite.

    Parameters
    ----------
    moved : callable
        Values (n,) after a step from where the derivatives are taken.
    step : float
        Where the function changes by about 1 over a distance of 1.

    Returns
    -------
    first, minus_second : ndarray, each (n,)

    Examples
    --------
    >>> first, minus = differences(lambda step: -((np.array([1.0]) + step) ** 2))
    >>> first.round(6), minus.round(6)
    (array([-2.]), array([2.]))
    """
    with np.errstate(all="ignore"):
        below, here, above = moved(-step), moved(0.0), moved(step)
        first, minus = (above - below) / (2.0 * step), (2.0 * here - above - below) / step**2
    good = np.isfinite(first) & np.isfinite(minus)
    return np.where(good, first, 0.0), np.where(good, minus, 0.0)

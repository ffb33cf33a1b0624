"""The model of a censored number, chosen by the likelihood of observed values and censoring intervals."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from ...frame.table import Table
from ...typing import Array
from ..methods import Power
from ..methods.power import PowerScale
from ..numerics.truncated import tails
from .defaults import design

__all__ = ["normal_or_power_censored"]

Mask = npt.NDArray[np.bool_]

_BETTER = 3.0  # log-likelihood by which the best exponent must beat a normal; it costs one parameter
_POWERS = 13  # exponents that are tried
_STEPS = 60  # of the EM algorithm
_MOST = 2_000  # rows that are looked at
_ENOUGH = 20


def normal_or_power_censored(
    table: Table, name: Hashable, predictors: Sequence[Hashable], ends: tuple[Array, Array]
) -> tuple[str, str]:
    """Choose the model of a censored number.

    Observed values are a part of all: their skewness is that of what was cut off too. The likelihood knows both.

    Parameters
    ----------
    table : Table
    name : hashable
        A numeric column.
    predictors : sequence of hashable
        Columns of its own model.
    ends : tuple of ndarray, each (n_rows,)
        Where a missing value lies, infinite where that is not known.

    Returns
    -------
    method : str
        "power" where a normal on some power scale is likelier than a normal by more than 3, else "norm".
    why : str

    Notes
    -----
    The likelihood of a regression is the product of the densities of observed values and of the probabilities of the
    intervals of the missing ones (Tobin 1958), found by the EM algorithm for each of 13 exponents.

    References
    ----------
    Tobin, J. (1958). Estimation of relationships for limited dependent variables. *Econometrica* 26(1), 24-36.
    doi:10.2307/1907382
    """
    column = table[name]
    seen = ~np.isin(np.arange(table.n_rows), column.missing)
    told = ~seen & (np.isfinite(ends[0]) | np.isfinite(ends[1]))
    rows, X = design(table, predictors, np.flatnonzero(seen | told), _MOST)
    seen, values = seen[rows], column.values[rows]
    if seen.sum() < _ENOUGH or np.ptp(values[seen]) == 0:
        return "norm", "too few observed values to choose a distribution"
    low, high = (np.where(seen, values, end[rows]) for end in ends)
    on = Power().tuned(values[seen]).on
    assert on is not None
    unit = (low - on.centre) / on.scale, (high - on.centre) / on.scale
    normal = _likelihood(X, *unit, seen) - float(seen.sum()) * np.log(on.scale)
    if on.positive and np.any(high <= 0):
        return "norm", "its missing values lie below 0"
    powers = np.linspace(*on.range, _POWERS)
    found = [_on_scale(on, power, X, low, high, seen) for power in powers]
    best = int(np.argmax(found))
    gain = found[best] - normal
    if gain > _BETTER:
        return "power", f"censored: a normal on a power scale is likelier (log-likelihood {gain:+.1f})"
    return "norm", f"censored: no power scale makes it likelier (log-likelihood {gain:+.1f})"


def _on_scale(on: PowerScale, power: float, X: Array, low: Array, high: Array, seen: Mask) -> float:
    """Log-likelihood on a power scale, in the user's units."""
    least, most = on.limits((low, high), power)
    jacobian = float(np.sum(on.log_slope(low[seen], power)))
    return _likelihood(X, least, most, seen) + jacobian


def _likelihood(X: Array, low: Array, high: Array, seen: Mask) -> float:
    """Largest log-likelihood of a normal regression of values (where both ends agree) and of intervals."""
    y = np.where(np.isfinite(high), high, np.where(np.isfinite(low), low, float(np.median(low[seen]))))
    solve, n, away = np.linalg.pinv(X), len(y), np.zeros(len(y))
    for _ in range(_STEPS):
        mean = X @ (solve @ y)
        sd = max(float(np.sqrt((np.sum((y - mean) ** 2) + away.sum()) / n)), 1e-12 * float(np.abs(y).max()))
        if not sd > 0.0:
            return -np.inf
        a, b = (low[~seen] - mean[~seen]) / sd, (high[~seen] - mean[~seen]) / sd
        _, top, below = tails(a, b)
        inside = top + np.log1p(-np.minimum(below, 1.0 - 1e-16))
        at_low, at_high = (np.exp(-0.5 * end**2 - 0.5 * np.log(2 * np.pi) - inside) for end in (a, b))
        shift = at_low - at_high
        edges = np.where(np.isfinite(a), a, 0.0) * at_low - np.where(np.isfinite(b), b, 0.0) * at_high
        y, away = y.copy(), away.copy()
        y[~seen] = mean[~seen] + sd * shift
        away[~seen] = sd**2 * np.maximum(1.0 + edges - shift**2, 0.0)
    residual = (low[seen] - mean[seen]) / sd
    return float(np.sum(inside) - 0.5 * residual @ residual - seen.sum() * np.log(sd * np.sqrt(2 * np.pi)))

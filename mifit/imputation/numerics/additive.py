"""Additive splines with a penalty: the mean of a number as a smooth function of each predictor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array

__all__ = ["Additive", "additive"]

_KNOTS = (0.05, 0.275, 0.5, 0.725, 0.95)  # quantiles (Harrell 2015, p. 27)
_CONTINUOUS = 8  # different values from which a predictor bends
_PENALTIES = 10.0 ** np.arange(-7.0, 3.0)  # of the curved part, chosen by generalised cross-validation
_RIDGE = 1e-8  # of all columns, relative to the largest


class Additive(NamedTuple):
    """A fitted additive spline."""

    knots: tuple[Array | None, ...]  #: for each predictor; None: it enters as a line
    coef: Array  #: of the basis

    def predict(self, X: Array) -> Array:
        """Fitted values, shape (n,), of predictors, shape (n, p), a column of ones first."""
        return np.asarray(_basis(X, self.knots)[0] @ self.coef)


def additive(X: Array, y: Array, weights: Array, knots: tuple[Array | None, ...] | None = None) -> Additive:
    """Fit an additive natural cubic spline by penalised least squares.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Predictors, a column of ones first.
    y, weights : ndarray, shape (n,)
    knots : tuple, optional
        As another fit had them.

    Returns
    -------
    Additive

    Notes
    -----
    Lines are free, what bends is penalised by a ridge that generalised cross-validation chooses for all predictors
    together.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 200)
    >>> X = np.column_stack([np.ones(200), x])
    >>> fit = additive(X, np.sin(2 * x), np.ones(200))
    >>> bool(np.abs(fit.predict(X) - np.sin(2 * x))[20:-20].max() < 0.1)
    True
    """
    knots = tuple(_knots(column) for column in X.T) if knots is None else knots
    B, bends = _basis(X, knots)
    W = B * weights[:, None]
    cross, right = W.T @ B, W.T @ y
    ridge = _RIDGE * np.trace(cross) / len(cross)
    size = np.where(bends, np.diag(cross), 0.0)
    total, best, yy = float(weights.sum()), np.inf, float(y @ (weights * y))
    coef: Array = np.zeros(len(right))
    if not bends.any():
        return Additive(knots, np.linalg.solve(cross + ridge * np.eye(len(cross)), right))
    for penalty in _PENALTIES.tolist():
        inside = cross + np.diag(ridge + float(penalty) * size)
        found = np.asarray(np.linalg.solve(inside, np.column_stack([right, cross])), dtype=np.float64)
        beta, used = found[:, 0], float(np.trace(found[:, 1:]))
        rss = max(yy - 2.0 * float(beta @ right) + float(beta @ cross @ beta), 0.0)
        score = rss / max(total - used * total / len(y), 1e-9) ** 2
        if score < best:
            best, coef = score, np.array(beta)
    return Additive(knots, coef)


def _knots(column: Array) -> Array | None:
    """Knots of a predictor; None where it has few values."""
    values = np.unique(column[:2000])
    if len(values) < _CONTINUOUS:
        return None
    found = np.unique(np.quantile(column, _KNOTS))
    return found if len(found) >= 3 else None


def _basis(X: Array, knots: tuple[Array | None, ...]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The natural cubic spline basis of each predictor (Harrell 2015, eq. 2.25), and which columns bend."""
    columns, bends = [], []
    for column, at in zip(X.T, knots, strict=True):
        columns.append(column)
        bends.append(False)
        if at is None:
            continue
        last, before = at[-1], at[-2]
        unit = (last - at[0]) ** 2
        for knot in at[:-2]:
            cubes = np.maximum(column - knot, 0) ** 3
            cubes -= np.maximum(column - before, 0) ** 3 * (last - knot) / (last - before)
            cubes += np.maximum(column - last, 0) ** 3 * (before - knot) / (last - before)
            columns.append(cubes / unit)
            bends.append(True)
    return np.column_stack(columns), np.array(bends)

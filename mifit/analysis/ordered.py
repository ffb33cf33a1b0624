"""The observed information of an ordered model in closed form; arrays only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr

from ..typing import Array

__all__ = ["DISTRIBUTIONS", "climb_of", "information", "row_scores", "score"]

Curve = Callable[[Array], Array]


def _bell(z: Array) -> Array:
    """Return the normal density."""
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))


#: name of the latent distribution -> its distribution function, density, and the density's slope
DISTRIBUTIONS: dict[str, tuple[Curve, Curve, Curve]] = {
    "logit": (expit, lambda z: expit(z) * expit(-z), lambda z: expit(z) * expit(-z) * (1 - 2 * expit(z))),
    "probit": (ndtr, _bell, lambda z: -z * _bell(z)),
}


def information(codes: npt.NDArray[np.int64], exog: Array, linear: Array, cuts: Array, distribution: str) -> Array:
    r"""Observed information of slopes and cut points.

    statsmodels takes second derivatives by finite differences, which leaves five digits of a standard error.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
        Level of each row, 0 to K - 1.
    exog : ndarray, shape (n, p)
    linear : ndarray, shape (n,)
        Linear predictor, offset included.
    cuts : ndarray, shape (K - 1,)
        Increasing.
    distribution : {"logit", "probit"}

    Returns
    -------
    ndarray, shape (p + K - 1, p + K - 1)

    Notes
    -----
    A row's probability is P = F(a) - F(b), a and b its cut points minus the linear predictor; minus the second
    derivatives of log P are P'P'^T / P^2 - P'' / P.

    References
    ----------
    McCullagh, P. (1980). Regression models for ordinal data. *Journal of the Royal Statistical Society B* 42(2),
    109-142.

    Examples
    --------
    >>> information(np.array([0, 1]), np.zeros((2, 0)), np.zeros(2), np.zeros(1), "logit")
    array([[0.5]])
    """
    chance, change, bend = _derivatives(codes, exog, linear, cuts, distribution)
    rows = change / chance[:, None]
    return np.asarray(rows.T @ rows - bend)


def score(codes: npt.NDArray[np.int64], exog: Array, linear: Array, cuts: Array, distribution: str) -> Array:
    """Derivative of the log-likelihood by slopes and cut points.

    Parameters
    ----------
    codes, exog, linear, cuts, distribution
        As in :func:`information`.

    Returns
    -------
    ndarray, shape (p + K - 1,)

    Examples
    --------
    >>> score(np.array([0, 0, 1]), np.zeros((3, 0)), np.zeros(3), np.zeros(1), "logit")
    array([0.5])
    """
    return np.asarray(row_scores(codes, exog, linear, cuts, distribution).sum(axis=0))


def climb_of(
    codes: npt.NDArray[np.int64], exog: Array, linear: Array, cuts: Array, distribution: str
) -> tuple[float, Array, Array]:
    """The log-likelihood, its derivative (q,) and its information (q, q); minus infinity where a level has no chance.

    Examples
    --------
    >>> height, slope, bend = climb_of(np.array([0, 1]), np.zeros((2, 0)), np.zeros(2), np.zeros(1), "logit")
    >>> round(height, 4), slope.tolist(), bend.tolist()
    (-1.3863, [0.0], [[0.5]])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        chance, change, bend = _derivatives(codes, exog, linear, cuts, distribution)
        rows = change / chance[:, None]
        height = float(np.log(chance).sum()) if (chance > 0).all() else -np.inf
    return height, rows.sum(axis=0), rows.T @ rows - bend


def row_scores(codes: npt.NDArray[np.int64], exog: Array, linear: Array, cuts: Array, distribution: str) -> Array:
    """Each row's share of the :func:`score`, shape (n, p + K - 1)."""
    chance, change, _ = _derivatives(codes, exog, linear, cuts, distribution, bent=False)
    return np.asarray(change / chance[:, None])


def _derivatives(
    codes: npt.NDArray[np.int64], exog: Array, linear: Array, cuts: Array, distribution: str, bent: bool = True
) -> tuple[Array, Array, Array]:
    """Return each row's probability (n,), its first derivatives (n, q), and the sum of P'' / P (q, q)."""
    cdf, pdf, slope = DISTRIBUTIONS[distribution]
    n, p, k = len(codes), exog.shape[1], len(cuts)
    ends = np.concatenate([[-np.inf], cuts, [np.inf]])
    chance = cdf(ends[codes + 1] - linear) - cdf(ends[codes] - linear)
    change, bend = np.zeros((n, p + k)), np.zeros((p + k, p + k))
    for at, sign in ((codes, 1.0), (codes - 1, -1.0)):
        rows = np.flatnonzero((at >= 0) & (at < k))  # the outermost ends are infinite and do not move
        z = cuts[at[rows]] - linear[rows]
        jacobian = np.zeros((len(rows), p + k))
        jacobian[:, :p] = -exog[rows]
        jacobian[np.arange(len(rows)), p + at[rows]] = 1.0
        change[rows] += sign * pdf(z)[:, None] * jacobian
        if bent:
            bend += (jacobian.T * (sign * slope(z) / chance[rows])) @ jacobian
    return chance, change, bend

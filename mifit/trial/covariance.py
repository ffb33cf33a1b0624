"""Covariance structures of repeated measures, each as a matrix that is positive definite for any numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..typing import Array

__all__ = ["STRUCTURES", "gradient", "matrix", "n_parameters", "parameters"]

#: the structures, the least restrictive first: the order in which one takes the place of another
STRUCTURES = ("unstructured", "toeplitz", "ar1")


def n_parameters(structure: str, n_visits: int) -> int:
    """Number of parameters of a structure.

    Examples
    --------
    >>> [n_parameters(structure, 4) for structure in STRUCTURES]
    [10, 7, 5]
    """
    pairs = {"unstructured": n_visits * (n_visits - 1) // 2, "toeplitz": n_visits - 1, "ar1": min(n_visits - 1, 1)}
    return n_visits + pairs[structure]


def matrix(structure: str, theta: Any, n_visits: int) -> Any:
    """Covariance matrix of the visits.

    Parameters
    ----------
    structure : {"unstructured", "toeplitz", "ar1"}
    theta : ndarray, shape (k,)
        Unstructured: the logarithms of the diagonal of the Cholesky factor, then its elements beneath, row by row.
        The others: the logarithms of the standard deviations (one for each visit), then partial autocorrelations as
        their inverse hyperbolic tangents. Complex numbers are allowed: they give exact derivatives.
    n_visits : int

    Returns
    -------
    ndarray, shape (n_visits, n_visits)

    Examples
    --------
    >>> matrix("ar1", np.array([0.0, 0.0, np.log(2), np.arctanh(0.5)]), 3).round(2).tolist()
    [[1.0, 0.5, 0.5], [0.5, 1.0, 1.0], [0.5, 1.0, 4.0]]
    """
    if structure == "unstructured":
        lower = np.zeros((n_visits, n_visits), dtype=theta.dtype)
        lower[np.diag_indices(n_visits)] = np.exp(theta[:n_visits])
        lower[np.tril_indices(n_visits, -1)] = theta[n_visits:]
        return lower @ lower.T
    sd, partial = np.exp(theta[:n_visits]), np.tanh(theta[n_visits:])
    if structure == "ar1":
        along = partial[0] ** np.arange(n_visits) if n_visits > 1 else np.ones(1, dtype=theta.dtype)
    else:
        along = _autocorrelations(partial)
    lag = np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits)))
    return sd[:, None] * along[lag] * sd


def _autocorrelations(partial: Any) -> Any:
    """Autocorrelations from partial ones, by the recursion of Levinson and Durbin; shape (len(partial) + 1,)."""
    found = [np.ones((), dtype=partial.dtype)]
    weights: Any = np.zeros(0, dtype=partial.dtype)
    for place, one in enumerate(partial):
        past = np.array(found[1:], dtype=partial.dtype)
        left = 1.0 - (weights * past).sum() if place else 1.0
        found.append((weights * past[::-1]).sum() + one * left)
        weights = np.concatenate([weights - one * weights[::-1], [one]])
    return np.array(found, dtype=partial.dtype)


def gradient(structure: str, theta: Array, n_visits: int) -> Array:
    """Derivative of the covariance matrix by each parameter, shape (k, n_visits, n_visits); exact to rounding."""
    step = 1e-30  # of a complex step: no difference is taken, so nothing is cancelled
    moved = theta + 1j * step * np.eye(len(theta))
    return np.array([matrix(structure, one, n_visits).imag for one in moved]) / step


def parameters(structure: str, covariance: Array) -> Array:
    """Parameters of a structure that come near a covariance matrix: where a fit begins.

    Parameters
    ----------
    structure : str
    covariance : ndarray, shape (n_visits, n_visits)
        Positive definite.

    Returns
    -------
    ndarray, shape (k,)

    Examples
    --------
    >>> theta = np.array([0.1, -0.2, 0.3, 0.5])
    >>> parameters("ar1", matrix("ar1", theta, 3)).round(6).tolist()
    [0.1, -0.2, 0.3, 0.5]
    """
    n_visits = len(covariance)
    if structure == "unstructured":
        lower = np.linalg.cholesky(covariance)
        return np.concatenate([np.log(np.diag(lower)), lower[np.tril_indices(n_visits, -1)]])
    sd = np.sqrt(np.diag(covariance))
    correlation = covariance / sd / sd[:, None]
    first = np.diagonal(correlation, 1).mean() if n_visits > 1 else 0.0
    start = np.zeros(n_parameters(structure, n_visits) - n_visits)
    start[:1] = np.arctanh(np.clip(first, -0.95, 0.95))
    return np.concatenate([np.log(sd), start])

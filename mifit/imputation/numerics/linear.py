"""Linear models from cross-products: which columns are independent, least squares, posterior draws.

Everything is solved on the correlation scale of the columns, so that units do not matter; there is no ridge.
A column that a Cholesky factorisation finds dependent on the columns before it takes its whole term away.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

from ...typing import Array, Rows
from ..contract import Cross

__all__ = ["DEPENDENT", "Solution", "draw_coefficients", "draw_sigma", "independent", "rooted", "solve"]

DEPENDENT = 1e-11  #: a pivot below this share of its column's sum of squares marks a dependent column


class Solution(NamedTuple):
    """Least squares on independent columns."""

    beta: Array  #: (p,) estimates; 0 for dropped columns
    kept: Rows  #: positions of the columns used, sorted
    root: Array  #: (q, q) lower Cholesky factor of the kept columns' correlation matrix
    size: Array  #: (q,) square roots of the kept columns' sums of squares
    rss: float  #: residual sum of squares of the standardised response
    df: float  #: residual degrees of freedom, fit rows minus rank
    dropped: tuple[int, ...]  #: terms that were dropped


def independent(xx: Array, terms: Rows, before: Array | None = None) -> tuple[Rows, Array, Array, tuple[int, ...]]:
    """Find columns that are linearly independent, dropping whole terms.

    Parameters
    ----------
    xx : ndarray, shape (p, p)
        Cross-products of the columns.
    terms : ndarray, shape (p,)
        The term of each column. Of two dependent terms the later one goes.
    before : ndarray, shape (p,), optional
        Sums of squares from which others were subtracted to give those of ``xx``: what cancelled took digits with it.

    Returns
    -------
    kept : ndarray, shape (q,)
        Positions of the columns that stay.
    root : ndarray, shape (q, q)
        Lower Cholesky factor of their correlation matrix.
    size : ndarray, shape (q,)
        Square roots of their sums of squares.
    dropped : tuple of int
        The terms that went.
    """
    squares = np.maximum(xx.diagonal(), 0.0)
    size, positive = np.sqrt(squares), len(terms) > 0 and squares.min() > 0
    limit: Any = DEPENDENT
    if before is not None:
        limit = DEPENDENT * np.maximum(before / (squares if positive else np.where(squares > 0, squares, 1.0)), 1.0)
    if positive and (before is None or limit.max() < 1.0):  # the rule: all columns are independent
        root, info = lapack.dpotrf((xx / (size[:, None] * size)).T, lower=1, clean=1, overwrite_a=1)
        if info == 0 and (root.diagonal() ** 2 >= limit).all():
            return np.arange(len(terms)), root, size, ()
    limit = np.broadcast_to(limit, len(terms))
    dropped = set(terms[(squares == 0) | (limit >= 1.0)].tolist())
    while True:
        kept = np.flatnonzero(~np.isin(terms, list(dropped))) if dropped else np.arange(len(terms))
        scale = size[kept]
        block = xx if len(kept) == len(terms) else xx[np.ix_(kept, kept)]
        root, info = lapack.dpotrf(block / (scale[:, None] * scale), lower=1, clean=1)
        short = np.flatnonzero((root.diagonal() ** 2 < limit[kept])[: info - 1 if info > 0 else None])
        if info == 0 and not len(short):
            return kept, root, scale, tuple(sorted(dropped))
        first = int(short[0]) if len(short) else info - 1
        dropped.add(int(terms[kept[first]]))


def solve(cross: Cross, terms: Rows) -> Solution:
    """Least squares from cross-products; units and origins of the columns do not matter."""
    kept, root, size, dropped = independent(cross.xx, terms, cross.before)
    half, _ = lapack.dtrtrs(root, (cross.xy[kept] if dropped else cross.xy) / size, lower=1)
    beta = lapack.dtrtrs(root, half, lower=1, trans=1)[0] / size
    if dropped:
        found, beta = beta, np.zeros(len(terms))
        beta[kept] = found
    rss = max(cross.yy - float(half @ half), 0.0)
    return Solution(beta, kept, root, size, rss, cross.n - len(kept), dropped)


def draw_sigma(solution: Solution, rng: np.random.Generator) -> float:
    """Draw the residual standard deviation from its posterior (Rubin 1987, p. 167)."""
    return float(np.sqrt(solution.rss / rng.chisquare(max(solution.df, 1.0))))


def draw_coefficients(solution: Solution, sigma: float, rng: np.random.Generator) -> Array:
    """Draw coefficients around their estimates, shape (p,); dropped columns keep 0."""
    noise = rng.standard_normal(len(solution.kept))
    move = sigma * lapack.dtrtrs(solution.root, noise, lower=1, trans=1)[0] / solution.size
    if not solution.dropped:
        return np.asarray(solution.beta + move)
    beta = solution.beta.copy()
    beta[solution.kept] += move
    return beta


def rooted(covariance: Array, noise: Array) -> Array:
    """The symmetric square root of covariance matrices times standard normal numbers: normal vectors.

    Eigenvectors have arbitrary signs, which differ between processors; the symmetric root has none, and the draws
    follow smoothly from the matrix, which may be singular.

    Parameters
    ----------
    covariance : ndarray, shape (..., w, w)
    noise : ndarray, shape (..., w)

    Returns
    -------
    ndarray, shape (..., w)

    Examples
    --------
    >>> rooted(np.diag([4.0, 0.0]), np.array([1.0, 1.0])).tolist()
    [2.0, 0.0]
    """
    values, vectors = np.linalg.eigh(covariance)
    turned = np.einsum("...kl,...k->...l", vectors, noise)
    return np.asarray(np.einsum("...kl,...l->...k", vectors, np.sqrt(np.maximum(values, 0.0)) * turned))

"""The likelihood of a linear mixed model from cross-products by group; arrays only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["GroupSums", "composed", "fixed_covariance", "group_sums", "loglik", "packed_columns", "spread_covariance"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

#: step of the central differences, on log and arctanh scales
_STEP = 1e-3

#: a random effect with less than this share of the residual variance has none
_NOTHING = 1e-5


@dataclass(frozen=True, slots=True)
class GroupSums:
    """Cross-products of n rows in G groups: p fixed columns X, q random columns Z, residuals r."""

    n_rows: int
    zz: Array  #: (G, q, q)
    zx: Array  #: (G, q, p)
    zr: Array  #: (G, q)
    xx: Array  #: (p, p)
    xr: Array  #: (p,)
    rr: float


def group_sums(residuals: Array, exog: Array, random: Array, groups: Codes) -> GroupSums:
    """Sum products over the rows of each group, all that the likelihood of a mixed model needs of the data.

    Parameters
    ----------
    residuals : ndarray, shape (n,)
        Outcome minus the fixed effects at some coefficients.
    exog : ndarray, shape (n, p)
    random : ndarray, shape (n, q)
    groups : ndarray of int, shape (n,)

    Returns
    -------
    GroupSums
    """
    order = np.argsort(groups, kind="stable")
    r, x, z = residuals[order], exog[order], random[order]
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    return GroupSums(
        n_rows=len(r),
        zz=np.add.reduceat(z[:, :, None] * z[:, None, :], starts),
        zx=np.add.reduceat(z[:, :, None] * x[:, None, :], starts),
        zr=np.add.reduceat(z * r[:, None], starts),
        xx=x.T @ x,
        xr=x.T @ r,
        rr=float(r @ r),
    )


def packed_columns(matrix: Array, groups: Codes) -> Array:
    """Push the columns that are not zero in a group to the left: levels nested in groups need no column of their own.

    Parameters
    ----------
    matrix : ndarray, shape (n, c)
        Such as one column for each classroom of every school.
    groups : ndarray of int, shape (n,)

    Returns
    -------
    ndarray, shape (n, w)
        w the most columns that one group has; columns of different groups are different effects.

    Examples
    --------
    >>> packed_columns(np.eye(4), np.array([0, 0, 1, 1]))
    array([[1., 0.],
           [0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order]) != 0) + 1)
    kept = [np.flatnonzero(matrix[rows].any(axis=0)) for rows in parts]
    out = np.zeros((len(matrix), max(map(len, kept), default=0)))
    for rows, columns in zip(parts, kept, strict=True):
        out[rows[:, None], np.arange(len(columns))] = matrix[np.ix_(rows, columns)]
    return out


def composed(psi: Array, components: Array, widths: Sequence[int]) -> Array:
    """Covariance of all random effects: those of the groups, then independent ones of equal variance.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
    components : ndarray, shape (c,)
        Variance of each component.
    widths : sequence of int, length c
        How many effects each component has in a group.

    Returns
    -------
    ndarray, shape (q + sum(widths), q + sum(widths))

    Examples
    --------
    >>> composed(np.array([[2.0]]), np.array([0.5]), [2]).diagonal()
    array([2. , 0.5, 0.5])
    """
    q = len(psi)
    out = np.diag(np.concatenate([np.zeros(q), np.repeat(components, widths)]))
    out[:q, :q] = psi
    return out


def loglik(sums: GroupSums, psi: Array, residual: float, reml: bool = False, profile: bool = False) -> float:
    r"""Log-likelihood of a linear mixed model, V = residual I + Z psi Z' in every group.

    Parameters
    ----------
    sums : GroupSums
        Residuals taken at the coefficients in question.
    psi : ndarray, shape (q, q)
        Covariance of the random effects.
    residual : float
        Residual variance.
    reml : bool, default False
        Add the term of restricted likelihood, -1/2 log det X'V^-1X (its constant left out).
    profile : bool, default False
        Take the coefficients that are best for these variances instead.

    Returns
    -------
    float

    Notes
    -----
    With psi = L L' and M = residual I + L'Z'ZL: V^-1 = (I - Z L M^-1 L'Z') / residual and
    log det V = (n - q) log residual + log det M, so that a singular psi is no special case.

    Examples
    --------
    >>> one = np.ones((2, 1))
    >>> sums = group_sums(np.array([1.0, -1.0]), one, one, np.array([0, 1]))
    >>> bool(np.isclose(loglik(sums, np.array([[0.5]]), 0.5), -np.log(2 * np.pi) - 1))
    True
    """
    weights, log_det = _woodbury(sums, psi, residual)
    quadratic = (sums.rr - np.einsum("gi,gij,gj->", sums.zr, weights, sums.zr)) / residual
    out = -0.5 * (sums.n_rows * np.log(2 * np.pi) + log_det)
    if reml or profile:
        information = (sums.xx - np.einsum("gia,gij,gjb->ab", sums.zx, weights, sums.zx)) / residual
        out -= 0.5 * np.linalg.slogdet(information)[1] if reml else 0.0
    if profile:
        score = (sums.xr - np.einsum("gia,gij,gj->a", sums.zx, weights, sums.zr)) / residual
        quadratic -= score @ np.linalg.solve(information, score)
    return float(out - 0.5 * quadratic)


def fixed_covariance(sums: GroupSums, psi: Array, residual: float) -> Array:
    """Covariance of the coefficients by generalised least squares, (X'V^-1X)^-1, shape (p, p).

    References
    ----------
    Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics* 38(4),
    963-974, eq. 3.3. doi:10.2307/2529876
    """
    weights, _ = _woodbury(sums, psi, residual)
    information = (sums.xx - np.einsum("gia,gij,gjb->ab", sums.zx, weights, sums.zx)) / residual
    inverse = np.linalg.inv(information)
    return (inverse + inverse.T) / 2


def spread_covariance(
    sums: GroupSums,
    psi: Array,
    residual: float,
    reml: bool,
    components: Array | None = None,
    widths: Sequence[int] = (),
) -> tuple[Array, Array] | None:
    """Variance components on scales where they are roughly normal, and their covariance.

    Parameters
    ----------
    sums : GroupSums
    psi : ndarray, shape (q, q)
    residual : float
    reml : bool
        Whether they were estimated by restricted likelihood.
    components : ndarray, shape (c,), optional
        Variances of further random effects.
    widths : sequence of int, length c
        How many columns each of them has, after the first q.

    Returns
    -------
    estimates : ndarray, shape (q (q + 1) / 2 + c + 1,)
        Logarithms of the q variances, inverse hyperbolic tangents of their correlations (in the order of the
        lower triangle, by rows), logarithms of the components and of the residual variance.
    covariance : ndarray
        Inverse of the observed information, by central differences of the profile likelihood.
        None at the boundary: a variance of (about) zero, a correlation of one, or no maximum there.
    """
    q, further = len(psi), np.zeros(0) if components is None else components
    variances = np.diag(psi)
    mean_square = np.einsum("gii->i", sums.zz) / sums.n_rows
    shares = np.diag(composed(psi, further, widths)) * mean_square
    blocks = [*shares[:q], *(block.sum() for block in np.split(shares[q:], np.cumsum(widths)[:-1]) if len(widths))]
    lower = np.tril_indices(q, -1)
    if any(share <= _NOTHING * residual for share in blocks):
        return None
    correlations = (psi / np.sqrt(np.outer(variances, variances)))[lower]
    if (np.abs(correlations) > 1 - 1e-6).any():
        return None
    at = np.concatenate([np.log(variances), np.arctanh(correlations), np.log(further), [np.log(residual)]])
    rest = len(at) - 1 - len(further)

    def height(point: Array) -> float:
        sd = np.exp(point[:q] / 2)
        matrix = np.eye(q)
        matrix[lower] = matrix.T[lower] = np.tanh(point[q:rest])
        whole = composed(matrix * np.outer(sd, sd), np.exp(point[rest:-1]), widths)
        return loglik(sums, whole, float(np.exp(point[-1])), reml=reml, profile=True)

    information = -_hessian(height, at)
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        return None
    return at, np.asarray(np.linalg.inv(information), dtype=np.float64)


def _woodbury(sums: GroupSums, psi: Array, residual: float) -> tuple[Array, float]:
    """Return L M^-1 L' of each group, shape (G, q, q), and the sum of log det V."""
    values, vectors = np.linalg.eigh(psi)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    inner = residual * np.eye(len(psi)) + root.T @ sums.zz @ root
    weights = root @ np.linalg.solve(inner, np.broadcast_to(root.T, inner.shape))
    n_random = inner.shape[0] * inner.shape[1]
    return weights, float((sums.n_rows - n_random) * np.log(residual) + np.linalg.slogdet(inner)[1].sum())


def _hessian(height: Callable[[Array], float], at: Array) -> Array:
    """Return second derivatives by central differences, shape (k, k)."""
    steps = _STEP * np.eye(len(at))
    out = np.empty((len(at), len(at)))
    for i, a in enumerate(steps):
        for j, b in enumerate(steps[: i + 1]):
            corners = height(at + a + b) - height(at + a - b) - height(at - a + b) + height(at - a - b)
            out[i, j] = out[j, i] = corners / (4 * _STEP**2)
    return out

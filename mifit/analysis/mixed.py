"""The likelihood of a linear mixed model from cross-products by group; arrays only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..typing import Array

__all__ = [
    "GroupSums",
    "composed",
    "fixed_covariance",
    "group_sums",
    "loglik",
    "packed_columns",
    "spread_covariance",
    "spread_distance",
]

Codes = npt.NDArray[np.int64]

#: step of the central differences, on log and arctanh scales
_STEP = 1e-3

#: a random effect with less than this share of the residual variance has none
_NOTHING = 1e-5

#: a variance below this share that falls on is on its way to the boundary
_SMALL = 1e-3

#: a log-likelihood that gains no more than this away from the boundary has its maximum there
_NO_GAIN = 1e-2


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
    found = _profile(sums, psi, residual, reml, components, widths)
    if found is None:
        return None
    height, at = found
    information = -_hessian(height, at)
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        return None
    return at, np.asarray(np.linalg.inv(information), dtype=np.float64)


def spread_distance(
    sums: GroupSums,
    psi: Array,
    residual: float,
    reml: bool,
    components: Array,
    widths: Sequence[int],
    fixed: Array,
) -> float:
    """Squared distance of a mixed model from its maximum, in squared standard errors.

    Parameters
    ----------
    sums, psi, residual, reml, components, widths
        As in :func:`spread_covariance`.
    fixed : ndarray, shape (p, p)
        Covariance of the coefficients.

    Returns
    -------
    float
        Of the coefficients and of the variance components on the scales of :func:`spread_covariance`. A variance
        that is small and would be smaller still is at its boundary and is not judged; where all are, twice what the
        log-likelihood gains when the variances leave the boundary.
    """
    weights, _ = _woodbury(sums, composed(psi, components, widths), residual)
    score = (sums.xr - np.einsum("gia,gij,gj->a", sums.zx, weights, sums.zr)) / residual
    away = float(score @ fixed @ score)
    found = _profile(sums, psi, residual, reml, components, widths)
    if found is None:
        return away + _gain(sums, psi, residual, reml, components, widths)
    height, at = found
    steps = _STEP * np.eye(len(at))
    rise = np.array([(height(at + step) - height(at - step)) / (2 * _STEP) for step in steps])
    information = -_hessian(height, at)
    q, c = len(psi), len(components)
    small = np.exp(at) * _mean_squares(sums, q, widths, len(at)) < _SMALL * residual
    where = np.arange(len(at))
    variance = (where < q) | ((where >= len(at) - 1 - c) & (where < len(at) - 1))
    kept = ~(small & variance & (rise < 0))
    inner = information[np.ix_(kept, kept)]
    if np.linalg.eigvalsh(inner)[0] <= 0:
        return away + _gain(sums, psi, residual, reml, components, widths)
    return away + float(rise[kept] @ np.linalg.solve(inner, rise[kept]))


def _mean_squares(sums: GroupSums, q: int, widths: Sequence[int], size: int) -> Array:
    """Return what a unit of each variance adds to the variance of a row; 1 for what is no variance."""
    mean = np.einsum("gii->i", sums.zz) / sums.n_rows
    out = np.ones(size)
    out[:q] = mean[:q]
    at = q
    for j, width in enumerate(widths):
        out[size - 1 - len(widths) + j] = mean[at : at + width].sum()
        at += width
    return out


def _gain(sums: GroupSums, psi: Array, residual: float, reml: bool, components: Array, widths: Sequence[int]) -> float:
    """Return twice what the log-likelihood gains when variances leave their boundary a little, or nothing."""
    mean = np.einsum("gii->i", sums.zz) / sums.n_rows
    here = composed(psi, components, widths)
    before = loglik(sums, here, residual, reml=reml, profile=True)
    blocks = np.split(np.arange(len(here)), np.cumsum([*[1] * len(psi), *widths])[:-1]) if len(here) else []
    best = 0.0
    for block in blocks:
        for share in (1e-4, 1e-3, 1e-2, 1e-1):
            more = np.zeros(len(here))
            more[block] = share * residual / max(float(mean[block].sum()), np.finfo(float).tiny)
            for left in (residual, residual * (1 - share)):
                there = loglik(sums, here + np.diag(more), left, reml=reml, profile=True)
                best = max(best, there - before)
    return 2 * best if best > _NO_GAIN else 0.0


def _profile(
    sums: GroupSums, psi: Array, residual: float, reml: bool, components: Array | None, widths: Sequence[int]
) -> tuple[Callable[[Array], float], Array] | None:
    """Return the profile likelihood on the scales of the variances, and where it stands; None at the boundary."""
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

    return height, at


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

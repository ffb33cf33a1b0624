"""A linear mixed model by groups: columns without origin or unit, the likelihood and its slope; arrays only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..typing import Array

__all__ = ["Grouped", "Point", "composed", "grouped", "loglik_at", "orthogonal", "packed_columns", "point", "root_of"]

Codes = npt.NDArray[np.int64]

#: a column whose part beyond the columns before it is a smaller share of it than this has none
_NOTHING_LEFT = 1e-11


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Sufficient statistics of a mixed model for n rows in G groups: p fixed columns X, outcome y, w random columns Z.

    The fixed columns and the first q random ones are made orthogonal over the rows, all columns have mean square 1, and
    the outcome is what least squares leave of it: whatever origins and units the user's columns have, these are alike.
    In every group Z = Q R, Q orthonormal, and [X y] is divided into a part within Q and the rest.
    """

    n_rows: int
    factors: Array  #: (G, r, w) R of each group, r the most columns of a Q
    seen: Array  #: (G, r, p + 1) Q'[X y] of each group
    rest: Array  #: (p + 1, p + 1) cross-products of what is outside Q, over all groups
    faint: float  #: a deviation of random effects that these rows cannot tell from none, that of the residuals being 1
    fixed: Array  #: (p, p) raw coefficients from those here
    random: Array  #: (q, q) raw random effects from those here
    sizes: Array  #: (c,) of each further component: a raw effect from one here
    widths: tuple[int, ...]  #: how many columns each further component has, after the first q
    least: Array  #: (p,) raw coefficients by least squares
    unit: float  #: size of the outcome here, in raw units

    @property
    def slices(self) -> list[slice]:
        """Where the columns of each further component are."""
        ends = np.cumsum([len(self.random), *self.widths]).tolist()
        return [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A mixed model at some covariance of its random effects, all other parameters maximised given that."""

    loglik: float  #: but for the units of the outcome and of the fixed columns
    slope: Array  #: (w, w) derivative of ``loglik`` by the root of the covariance
    coefficients: Array  #: (p,) by generalised least squares
    information: Array  #: (p, p) of the coefficients, times the residual variance
    squares: float  #: generalised sum of squares of the residuals
    residual: float  #: residual variance


def grouped(endog: Array, exog: Array, random: Array, parts: Sequence[Array], groups: Codes) -> Grouped:
    """Reduce the rows of each group to what the likelihood of a mixed model needs of them.

    Parameters
    ----------
    endog : ndarray, shape (n,)
    exog : ndarray, shape (n, p)
    random : ndarray, shape (n, q)
        Columns whose effects have a covariance without restrictions.
    parts : sequence of ndarray, shape (n, w_j)
        Columns of each further component: independent effects of equal variance.
    groups : ndarray of int, shape (n,)

    Returns
    -------
    Grouped

    Raises
    ------
    FloatingPointError
        If the fixed columns leave nothing of the outcome.
    """
    x, fixed = orthogonal(exog)
    z, back = orthogonal(random)
    n = len(endog)
    own = x.T @ endog / n
    remainder = endog - x @ own
    more = x.T @ remainder / n  # what rounding left of the projection
    remainder = remainder - x @ more
    unit = float(np.sqrt(remainder @ remainder / n))
    if not unit > 1e-13 * np.sqrt(endog @ endog / n):
        raise FloatingPointError("the fixed effects leave no residual variance")
    sizes = np.array([float(np.sqrt((part**2).sum() / n)) or 1.0 for part in parts])
    z = np.hstack([z, *(part / size for part, size in zip(parts, sizes, strict=True))])
    factors, seen, rest = _factored(z, np.column_stack([x, remainder / unit]), groups)
    products = float(((factors.transpose(0, 2, 1) @ factors) ** 2).sum())
    return Grouped(
        n_rows=n,
        factors=factors,
        seen=seen,
        rest=rest,
        faint=(products / z.shape[1] ** 2) ** -0.25 if products else 1.0,
        fixed=fixed,
        random=back,
        sizes=1 / sizes,
        widths=tuple(part.shape[1] for part in parts),
        least=fixed @ (own + more),
        unit=unit,
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

    Roots are composed in the same way.

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


def root_of(data: Grouped, psi: Array, components: Array, residual: float) -> Array:
    """Root of the covariance of all random effects, in units of the residual variance.

    Parameters
    ----------
    data : Grouped
    psi : ndarray, shape (q, q)
        Covariance of the effects of the user's own columns.
    components : ndarray, shape (c,)
        Variances of the further components, on the user's scale too.
    residual : float

    Returns
    -------
    ndarray, shape (w, w)
    """
    there = np.linalg.inv(data.random)
    values, vectors = np.linalg.eigh(there @ psi @ there.T)
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    return composed(half, np.sqrt(np.maximum(components, 0.0)) / data.sizes, data.widths) / np.sqrt(residual)


def point(data: Grouped, root: Array, reml: bool, residual: float | None = None) -> Point:
    r"""Likelihood of a mixed model where its random effects have covariance residual root root'.

    Parameters
    ----------
    data : Grouped
    root : ndarray, shape (w, w)
    reml : bool
        Restricted likelihood.
    residual : float, optional
        Residual variance, in the units of ``data``; by default the one that is best for the root.

    Returns
    -------
    Point

    Notes
    -----
    With :math:`M = I + R L L'R'` in every group, L the root, Q of dimension r: :math:`\log\det V = n \log\sigma^2 +
    \log\det M` and :math:`V^{-1} = (I - Q Q' + Q M^{-1} Q') / \sigma^2`. A singular covariance is no special case, and
    nothing cancels where random effects are thousands of times as large as the residuals. Coefficients, and the
    residual variance unless it is given, are profiled out, so that they add nothing to the slope.

    References
    ----------
    Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects models using lme4.
    *Journal of Statistical Software* 67(1), 1-48. doi:10.18637/jss.v067.i01
    """
    p, w = len(data.rest) - 1, len(root)
    inner, weighed, total = _weighed(data, root)
    information, cross = total[:p, :p], total[:p, p]
    coefficients: Array = np.asarray(np.linalg.solve(information, cross), dtype=np.float64)
    squares = float(total[p, p] - cross @ coefficients)
    df = data.n_rows - (p if reml else 0)
    residual = squares / df if residual is None else residual
    if not residual > 0:
        raise FloatingPointError("the residual variance is zero")
    height = inner + df * np.log(2 * np.pi * residual) + squares / residual
    remainder = data.factors.transpose(0, 2, 1) @ weighed
    fixed, apart = remainder[:, :, w : w + p], remainder[:, :, w + p] - remainder[:, :, w : w + p] @ coefficients
    slope = (remainder[:, :, :w].sum(axis=0) - apart.T @ apart / residual) @ root
    if reml and p:
        height += float(np.linalg.slogdet(information)[1])
        slope -= np.tensordot(fixed @ np.linalg.inv(information), fixed, axes=((0, 2), (0, 2))) @ root
    return Point(-0.5 * height, -slope, coefficients, information, squares, residual)


def loglik_at(data: Grouped, coefficients: Array, psi: Array, components: Array, residual: float) -> float:
    """Log-likelihood of a mixed model at given parameters, all of them on the user's scale.

    Parameters
    ----------
    data : Grouped
    coefficients : ndarray, shape (p,)
    psi : ndarray, shape (q, q)
    components : ndarray, shape (c,)
    residual : float

    Returns
    -------
    float

    Examples
    --------
    >>> one = np.ones((2, 1))
    >>> data = grouped(np.array([1.0, -1.0]), one, one, [], np.array([0, 1]))
    >>> found = loglik_at(data, np.zeros(1), np.array([[0.5]]), np.zeros(0), 0.5)
    >>> bool(np.isclose(found, -np.log(2 * np.pi) - 1))
    True
    """
    inner, _, total = _weighed(data, root_of(data, psi, components, residual))
    away = np.append(-np.linalg.solve(data.fixed, coefficients - data.least) / data.unit, 1.0)
    squares = float(away @ total @ away) * data.unit**2
    return -0.5 * (inner + data.n_rows * np.log(2 * np.pi * residual) + squares / residual)


def _weighed(data: Grouped, root: Array) -> tuple[float, Array, Array]:
    """Return the sum of log det M, M^-1 [R Q'X Q'y] of each group, and [X y]'V^-1[X y] times the residual variance."""
    half = data.factors @ root
    middle = half @ half.transpose(0, 2, 1)
    middle += np.eye(middle.shape[1])
    weighed = np.linalg.solve(middle, np.concatenate([data.factors, data.seen], axis=2))
    width = data.seen.shape[2]
    total = data.rest + data.seen.reshape(-1, width).T @ weighed[:, :, len(root) :].reshape(-1, width)
    return float(np.linalg.slogdet(middle)[1].sum()), np.asarray(weighed, dtype=np.float64), (total + total.T) / 2


def orthogonal(columns: Array) -> tuple[Array, Array]:
    """Return columns of mean square 1, orthogonal over the rows, and the effects of the given ones from theirs."""
    n, p = columns.shape
    size = np.sqrt((columns**2).mean(axis=0))
    size = np.where(size > 0, size, 1.0)
    alike = columns / size
    if n >= p:
        turned, upper = np.linalg.qr(alike)
        if (np.abs(np.diag(upper)) > _NOTHING_LEFT * np.sqrt(n)).all():
            return turned * np.sqrt(n), np.linalg.inv(upper) * np.sqrt(n) / size[:, None]
    return alike, np.diag(1 / size)


def _factored(z: Array, a: Array, groups: Codes) -> tuple[Array, Array, Array]:
    """Return R and Q'a of each group, groups in any order, and the cross-products of what Q leaves of a."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    sizes = np.diff(np.r_[starts, len(order)])
    rank, factors, seen, rest = min(z.shape[1], sizes.max()), [], [], np.zeros((a.shape[1], a.shape[1]))
    for size in np.unique(sizes):  # groups of one size at once
        rows = order[starts[sizes == size][:, None] + np.arange(size)]
        axes, upper = np.linalg.qr(z[rows])
        within = axes.transpose(0, 2, 1) @ a[rows]
        remainder = (a[rows] - axes @ within).reshape(-1, a.shape[1])
        short = max(rank - size, 0)
        factors.append(np.pad(upper, ((0, 0), (0, short), (0, 0))))
        seen.append(np.pad(within, ((0, 0), (0, short), (0, 0))))
        rest += remainder.T @ remainder
    return np.concatenate(factors), np.concatenate(seen), rest

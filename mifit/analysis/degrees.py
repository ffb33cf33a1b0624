"""Complete-data degrees of freedom of each coefficient of a mixed model: between-within, and Satterthwaite's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..typing import Array
from .mixed_maximum import MixedFit, fixed_covariance, information_at

__all__ = ["RULES", "between_within", "satterthwaite", "units_of", "within_groups"]

Codes = npt.NDArray[np.int64]

#: what ``dfcom=`` can ask of a mixed model
RULES = ("between-within", "satterthwaite")

#: share of a column that, left within its units, is rounding
_NO_SPREAD = 1e-20

#: a curvature below this share of the largest says nothing of its direction
_FLAT = 1e-8


def between_within(exog: Array, units: Sequence[Codes], random: Array) -> Array:
    """Degrees of freedom by where a column varies: between groups, between units nested in them, or within all.

    Parameters
    ----------
    exog : ndarray, shape (n, p)
    units : sequence of ndarray of int, shape (n,)
        Unit of each row: the groups first, then units nested in them, the larger before the smaller.
    random : ndarray, shape (n, q)
        Columns of the random effects.

    Returns
    -------
    ndarray, shape (p,)
        At least 1.

    Notes
    -----
    Of J groups, columns that are constant within groups have J minus their number (the constant is one of them). What
    varies between K units nested in J larger ones has K - J minus the number of such columns, and what varies within
    the smallest has n - K minus its own. A column whose effect varies between groups, a random slope x, is estimated
    from one slope for each group: such columns, x times a constant of the group, have J minus their number too. In
    balanced designs all of these are exact.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (2000). *Mixed-Effects Models in S and S-PLUS*. Springer, section 2.4.2.
    Schluchter, M. D. and Elashoff, J. T. (1990). Small-sample adjustments to tests with unbalanced repeated measures
    assuming several covariance structures. *Journal of Statistical Computation and Simulation* 37, 69-87.

    Examples
    --------
    >>> group = np.repeat(np.arange(10), 5)
    >>> exog = np.column_stack([np.ones(50), np.arange(50) % 5, group])
    >>> between_within(exog, [group], np.ones((50, 1)))
    array([ 8., 39.,  8.])
    """
    n, p = exog.shape
    out, left = np.zeros(p), np.ones(p, dtype=bool)
    sizes = [0, *(len(np.unique(one)) for one in units)]
    for unit, before, many in zip(units, sizes, sizes[1:], strict=False):
        here = left & _multiples(exog, np.ones(n), unit)
        out[here], left = many - before - here.sum(), left & ~here
    for column in random.T:
        here = left & _multiples(exog, column, units[0])
        groups = len(np.unique(units[0][column != 0]))
        out[here], left = groups - here.sum(), left & ~here
    out[left] = n - sizes[-1] - left.sum()
    return np.maximum(out, 1.0)


def satterthwaite(fit: MixedFit) -> Array:
    r"""Degrees of freedom of each coefficient after Satterthwaite.

    Parameters
    ----------
    fit : MixedFit
        At its maximum.

    Returns
    -------
    ndarray, shape (p,)

    Notes
    -----
    :math:`2 v^2 / (g' A g)`, v the variance of the coefficient as a function of the parameters of spread, g its
    gradient and A the inverse of their observed information. Parameters of spread at their boundary are left out.

    References
    ----------
    Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest package: tests in linear mixed effects
    models. *Journal of Statistical Software* 82(13), 1-26. doi:10.18637/jss.v082.i13
    """
    information, moved = information_at(fit)
    k = len(information) - 1
    variance = np.diag(fixed_covariance(fit))
    step = 1e-4
    gradient = np.array(
        [
            (np.diag(fixed_covariance(moved(step * way))) - np.diag(fixed_covariance(moved(-step * way)))) / (2 * step)
            for way in np.eye(k)
        ]
        + [variance]  # by the logarithm of the residual variance
    )
    values, vectors = np.linalg.eigh(information)
    kept = values > _FLAT * values[-1]
    along = vectors.T[kept] @ gradient
    spread = (along**2 / values[kept, None]).sum(axis=0)
    return np.asarray(2 * variance**2 / spread)


def units_of(groups: Codes, parts: Sequence[Array]) -> list[Codes]:
    """Groups, and the units nested in them that variance components stand for, the larger before the smaller.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
    parts : sequence of ndarray, shape (n, w)
        Columns of each component, packed as :func:`~mifit.analysis.mixed.packed_columns` does it. One whose rows have
        a single 1 each is a division of the groups into units; others are none.

    Returns
    -------
    list of ndarray of int, shape (n,)

    Examples
    --------
    >>> [one.tolist() for one in units_of(np.array([0, 0, 1]), [np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])])]
    [[0, 0, 1], [0, 1, 2]]
    """
    found = []
    for part in parts:
        if part.shape[1] > 1 and ((part == 0) | (part == 1)).all() and (part.sum(axis=1) == 1).all():
            pairs = np.column_stack([groups, part.argmax(axis=1)])
            found.append(np.unique(pairs, axis=0, return_inverse=True)[1].ravel().astype(np.int64))
    return [groups, *sorted(found, key=lambda codes: int(codes.max()))]


def within_groups(groups: Codes, outcome: Array, counts: bool) -> int:
    """Rows less groups, over the groups whose outcome tells a conditional model something.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
    outcome : ndarray, shape (n,)
    counts : bool
        Whether the outcome is a count: a group of nothing but zeros then tells nothing, else one of equal values.

    Returns
    -------
    int

    Examples
    --------
    >>> within_groups(np.array([0, 0, 1, 1, 1]), np.array([1.0, 1, 0, 1, 1]), False)
    2
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    low, high = (extreme.reduceat(outcome[order], starts) for extreme in (np.minimum, np.maximum))
    sizes = np.diff(np.r_[starts, len(order)])
    varies = high > 0 if counts else high > low
    return int((sizes[varies] - 1).sum())


def _multiples(exog: Array, column: Array, unit: Codes) -> npt.NDArray[np.bool_]:
    """Tell which columns are a column times one number for each unit, shape (p,)."""
    _, codes = np.unique(unit, return_inverse=True)
    size = np.bincount(codes, column**2)
    safe = np.where(size > 0, size, 1.0)
    out = np.zeros(exog.shape[1], dtype=bool)
    for j, own in enumerate(exog.T):
        factor = np.bincount(codes, column * own) / safe
        left = own - column * factor[codes]
        out[j] = left @ left <= _NO_SPREAD * (own @ own)
    return out

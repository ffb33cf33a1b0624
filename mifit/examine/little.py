"""Little's test of values missing completely at random: means of the patterns under one normal distribution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import Array, Rows

__all__ = ["CAVEAT", "LittleTest", "little_test", "normal_moments"]

Mask = npt.NDArray[np.bool_]

_STEPS = 500  # most steps of the EM algorithm
_TOLERANCE = 1e-8  # of a step, in standard deviations
_RIDGE = 1e-9  # of a variance: keeps columns that follow from others solvable
_MOST = 40  # columns: of more, patterns are as many as rows
_RANK = 1e-9  # of the largest eigenvalue: below it a direction is no direction

CAVEAT = (
    "A small p-value speaks against MCAR. A large one does not show it: the test sees differences of means only, and "
    "in few rows hardly those. Nor does it concern what imputation needs: no test can tell whether values are missing "
    "at random given what was observed."
)


class LittleTest(NamedTuple):
    """Little's test of values missing completely at random."""

    statistic: float  #: chi-squared
    df: int  #: degrees of freedom
    p_value: float  #: NaN without a degree of freedom
    patterns: int  #: that have an observed value

    def __str__(self) -> str:
        if np.isnan(self.statistic):
            return f"Little's test is not made for more than {_MOST} columns"
        if not self.df:
            return "Little's test: no two patterns have a column in common with different rows"
        return f"Little's test of MCAR: chi2 = {self.statistic:.2f}, df = {self.df}, p = {self.p_value:.3g}"


def little_test(values: Array) -> LittleTest:
    r"""Test whether the means of columns differ between patterns of missing values.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing; categories as columns of zeros and ones.

    Returns
    -------
    LittleTest
        Without a figure for more than 40 columns.

    Notes
    -----
    With the maximum likelihood estimates :math:`\mu` and :math:`\Sigma` of a normal distribution, found by EM, and
    pattern j of :math:`n_j` rows that observes the columns o,

    .. math:: d^2 = \sum_j n_j (\bar y_j - \mu_o)' \Sigma_{oo}^{-1} (\bar y_j - \mu_o)

    is chi-squared with :math:`\sum_j p_j - p` degrees of freedom if values are missing completely at random. Columns
    that follow from others count once.

    References
    ----------
    Little, R. J. A. (1988). A test of missing completely at random for multivariate data with missing values. *JASA*
    83(404), 1198-1202. doi:10.1080/01621459.1988.10478722

    Examples
    --------
    >>> y = np.array([[1.0, 2.0], [2.0, 3.5], [3.0, 3.0], [4.0, np.nan]])
    >>> little_test(y).df
    1
    """
    from scipy.special import chdtrc

    if values.shape[1] > _MOST:
        return LittleTest(np.nan, 0, np.nan, 0)
    centre, scale = _standard(values)
    z = (values - centre) / scale
    mean, covariance = normal_moments(z)
    statistic, freedom, patterns = 0.0, 0, 0
    for seen, rows in _patterns(z):
        if not seen.any():
            continue
        off = z[rows][:, seen].mean(axis=0) - mean[seen]
        inverse, rank = _inverse(covariance[np.ix_(seen, seen)])
        statistic += len(rows) * float(off @ inverse @ off)
        freedom, patterns = freedom + rank, patterns + 1
    freedom -= _inverse(covariance)[1] if patterns else 0
    return LittleTest(statistic, freedom, float(chdtrc(freedom, statistic)) if freedom > 0 else np.nan, patterns)


def _standard(values: Array) -> tuple[Array, Array]:
    """Means and standard deviations of what was observed."""
    seen = ~np.isnan(values)
    count = np.maximum(seen.sum(axis=0), 1)
    mean = np.where(seen, values, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(seen, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return mean, np.where(spread > 0, spread, 1.0)


def _patterns(values: Array) -> list[tuple[Mask, Rows]]:
    """Which columns each pattern observes, and its rows."""
    shown, which = np.unique(~np.isnan(values), axis=0, return_inverse=True)
    return [(seen.astype(bool), np.flatnonzero(which.ravel() == k)) for k, seen in enumerate(shown)]


def _inverse(covariance: Array) -> tuple[Array, int]:
    """The generalised inverse of a covariance matrix, and its rank."""
    roots, vectors = np.linalg.eigh(covariance)
    kept = roots > _RANK * max(float(roots.max(initial=0.0)), 1e-300)
    return (vectors[:, kept] / roots[kept]) @ vectors[:, kept].T, int(kept.sum())


def normal_moments(values: Array) -> tuple[Array, Array]:
    """Return the maximum likelihood mean and covariance of a normal distribution, from incomplete rows.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing; best standardised.

    Returns
    -------
    mean : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)

    References
    ----------
    Dempster, A. P., Laird, N. M. and Rubin, D. B. (1977). Maximum likelihood from incomplete data via the EM
    algorithm. *JRSS B* 39(1), 1-38.

    Examples
    --------
    >>> normal_moments(np.array([[1.0], [3.0], [np.nan]]))
    (array([2.]), array([[1.]]))
    """
    mean, spread = _standard(values)
    covariance = np.diag(spread**2)
    groups = [(seen, values[rows][:, seen], len(rows)) for seen, rows in _patterns(values)]
    groups = [(seen, part, many) for seen, part, many in groups if seen.any()]
    n = sum(many for _, _, many in groups)
    for _ in range(_STEPS if n else 0):
        total, square = np.zeros(len(mean)), np.zeros_like(covariance)
        for seen, part, many in groups:
            filled, rest = _expected(mean, covariance, seen, part)
            total += filled.sum(axis=0)
            square += filled.T @ filled + many * rest
        found = total / n
        spread_ = square / n - np.outer(found, found)
        moved = max(np.abs(found - mean).max(), np.abs(spread_ - covariance).max())
        mean, covariance = found, spread_
        if moved < _TOLERANCE:
            break
    return mean, covariance


def _expected(mean: Array, covariance: Array, seen: Mask, part: Array) -> tuple[Array, Array]:
    """Rows of one pattern with expected values, shape (n, p), and the covariance of what is missing, shape (p, p)."""
    own = covariance[np.ix_(seen, seen)]
    slope = np.linalg.solve(own + np.diag(_RIDGE * (own.diagonal() + _RIDGE)), covariance[np.ix_(seen, ~seen)])
    filled = np.empty((len(part), len(mean)))
    filled[:, seen] = part
    filled[:, ~seen] = mean[~seen] + (part - mean[seen]) @ slope
    rest = np.zeros_like(covariance)
    rest[np.ix_(~seen, ~seen)] = covariance[np.ix_(~seen, ~seen)] - covariance[np.ix_(~seen, seen)] @ slope
    return filled, rest

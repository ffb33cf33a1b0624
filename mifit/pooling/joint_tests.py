"""Joint hypotheses: m estimates, chi-squares or log-likelihoods become one F test of k parameters at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, fdtrc

from ..errors import PoolingError
from ..typing import Array

__all__ = ["ARIVS", "DF2_METHODS", "Joint", "d1", "d2", "d3", "d4", "d4_robust", "f_pvalue", "li", "reiter"]


#: what becomes of a relative increase in variance that comes out negative
ARIVS = ("positive", "raw")

#: the denominator degrees of freedom that ``d1`` can use
DF2_METHODS = ("reiter", "li")


@dataclass(frozen=True, slots=True)
class Joint:
    """One test of k parameters at once, over m completed data sets."""

    statistic: float  #: F
    df1: float  #: k
    df2: float
    p_value: float
    riv: float  #: relative increase in variance, averaged over the k parameters
    method: str  #: "D1", "D2", "D3", "D4"
    note: str = ""  #: what was done where a formula has no answer


def d1(
    estimate: Array,
    within: Array,
    between: Array,
    m: int,
    df_complete: float = np.inf,
    df_method: str = "reiter",
) -> Joint:
    r"""Wald test of k parameters from their pooled estimates and covariances.

    The pooled covariance T cannot be used as it stands: between m sets there are only m - 1 directions. D1
    takes the shape of the within covariance and one common increase.

    Parameters
    ----------
    estimate : ndarray, shape (k,)
        Pooled estimates less their values under the hypothesis.
    within, between : ndarray, shape (k, k)
        Their W and B.
    m : int
        Number of completed data sets.
    df_complete : float, default inf
        Residual degrees of freedom had nothing been missing.
    df_method : {"reiter", "li"}
        ``"reiter"`` corrects for small samples and equals ``"li"`` when ``df_complete`` is infinite.

    Returns
    -------
    Joint

    Raises
    ------
    PoolingError
        If W is singular (the hypotheses repeat each other), m < 2, or ``df_method`` is unknown.

    Notes
    -----
    :math:`r = (1 + 1/m)\,\mathrm{tr}(B W^{-1})/k`, :math:`F = q' W^{-1} q / (k (1 + r))`. Where Reiter's degrees
    of freedom do not exist, the smaller of Li's and :math:`\nu(\nu + 1)/(\nu + 3)` is used and said in ``note``.

    References
    ----------
    Li, K. H., Raghunathan, T. E. and Rubin, D. B. (1991). Large-sample significance levels from multiply imputed
    data using moment-based statistics and an F reference distribution. *JASA* 86, 1065-1073.

    Examples
    --------
    >>> test = d1(np.array([1.0, 2.0]), np.eye(2), np.eye(2) / 4, m=5, df_complete=96)
    >>> round(test.statistic, 3), round(test.df2, 2), round(test.p_value, 3)
    (1.923, 31.43, 0.163)
    """
    if df_method not in DF2_METHODS:
        raise PoolingError(f"unknown df_method {df_method!r}.", known=", ".join(DF2_METHODS))
    k = len(estimate)
    size = np.sqrt(np.diag(within))  # units differ: solve on the correlation scale
    shape = within / np.outer(size, size)
    if m < 2 or np.linalg.matrix_rank(shape, tol=1e-10) < k:
        raise PoolingError(
            f"the {k} hypotheses repeat each other, or there are fewer than 2 sets: m = {m}.",
            do="res.wald_test('x1 = x2 = 0')   # each hypothesis once",
        )
    distance = float(estimate / size @ np.linalg.solve(shape, estimate / size))
    riv = (1 + 1 / m) * float(np.trace(np.linalg.solve(shape, between / np.outer(size, size)))) / k
    df2, note = _df2(k, m, riv, df_complete if df_method == "reiter" else np.inf)
    return _joint(distance / (k * (1 + riv)), k, df2, riv, "D1", note)


def d2(chi_squares: Array, k: int) -> Joint:
    r"""Test of k parameters from m chi-squares alone.

    For statistics whose estimates and covariances are not at hand; less sharp than D1, D3 and D4.

    Parameters
    ----------
    chi_squares : ndarray, shape (m,)
        Wald or likelihood-ratio statistic of each set.
    k : int
        Their degrees of freedom.

    Returns
    -------
    Joint
        The statistic may come out negative; its p-value is then 1.

    Raises
    ------
    PoolingError
        If m < 2.

    Notes
    -----
    :math:`r = (1 + 1/m)\,\mathrm{var}(\sqrt{d})`,
    :math:`F = (\bar d/k - r (m + 1)/(m - 1)) / (1 + r)`, :math:`\nu = k^{-3/m} (m - 1) (1 + 1/r)^2`.

    References
    ----------
    Li, K. H., Meng, X. L., Raghunathan, T. E. and Rubin, D. B. (1991). Significance levels from repeated p-values
    with multiply-imputed data. *Statistica Sinica* 1, 65-92.

    Examples
    --------
    >>> test = d2(np.array([5.0, 7.0, 6.0]), k=2)
    >>> round(test.statistic, 3), round(test.riv, 4)
    (2.735, 0.056)
    """
    d = np.maximum(np.asarray(chi_squares, float), 0.0)  # rounding may leave -1e-12
    m = _sets(d)
    root = np.sqrt(d) - np.sqrt(d[0])  # equal chi-squares leave exactly zero
    riv = (1 + 1 / m) * float(np.var(root, ddof=1))
    statistic = (float(d.mean()) / k - (m + 1) / (m - 1) * riv) / (1 + riv)
    return _joint(statistic, k, k ** (-3 / m) * (m - 1) * _growth(riv), riv, "D2")


def d3(own: Array, pooled: Array, k: int, ariv: str = "positive") -> Joint:
    r"""Likelihood-ratio test of k parameters, with the likelihoods also taken at the pooled estimates.

    Parameters
    ----------
    own : ndarray, shape (m,)
        Likelihood-ratio statistic of each set at its own estimates.
    pooled : ndarray, shape (m,)
        The same with both models' parameters fixed at their averages over the sets.
    k : int
        Number of parameters tested.
    ariv : {"positive", "raw"}
        ``"positive"`` takes a negative increase in variance as zero, ``"raw"`` keeps it.

    Returns
    -------
    Joint

    Raises
    ------
    PoolingError
        If m < 2, or ``ariv`` is unknown.

    Notes
    -----
    :math:`r = (m + 1)(\bar d - \tilde d)/(k (m - 1))`, :math:`F = \tilde d/(k (1 + r))`; degrees of freedom as
    Li's for D1. It depends on how the parameters are written.

    References
    ----------
    Meng, X. L. and Rubin, D. B. (1992). Performing likelihood ratio tests with multiply-imputed data sets.
    *Biometrika* 79, 103-111.

    Examples
    --------
    >>> round(d3(np.array([5.0, 7.0, 6.0]), np.array([4.0, 6.0, 5.0]), k=2).statistic, 2)
    1.25
    """
    m, fixed = _sets(own), float(np.mean(pooled))
    riv, note = _riv((m + 1) * (float(np.mean(own)) - fixed) / (k * (m - 1)), float(np.mean(own)), ariv)
    return _joint(fixed / (k * (1 + riv)), k, li(k, m, riv), riv, "D3", note)


def d4(own: Array, stacked: float, k: int, ariv: str = "positive") -> Joint:
    r"""Likelihood-ratio test of k parameters, with the m sets also fitted as one.

    Does not depend on how the parameters are written.

    Parameters
    ----------
    own, k, ariv
        As :func:`d3` takes them; what it returns and raises holds here too.
    stacked : float
        Likelihood-ratio statistic of the m sets stacked, divided by m.

    Notes
    -----
    :math:`r = (m + 1)(\bar d - \hat d)/(k (m - 1))`, :math:`F = \hat d/(k (1 + r))`,
    :math:`\nu = k (m - 1) (1 + 1/r)^2`.

    References
    ----------
    Chan, K. W. and Meng, X. L. (2022). Multiple improvements of multiple imputation likelihood ratio tests.
    *Statistica Sinica* 32, 1489-1514.

    Examples
    --------
    >>> test = d4(np.array([5.0, 7.0, 6.0]), 5.0, k=2)
    >>> round(test.statistic, 2), round(test.df2, 1)
    (1.25, 16.0)
    """
    m = _sets(own)
    riv, note = _riv((m + 1) * (float(np.mean(own)) - stacked) / (k * (m - 1)), float(np.mean(own)), ariv)
    return _joint(stacked / (k * (1 + riv)), k, k * (m - 1) * _growth(riv), riv, "D4", note)


def d4_robust(stacked: float, k: int, loglik: Array, loglik_stacked: float, n_params: int) -> Joint:
    r"""Return D4 with the increase in variance estimated from the larger model alone.

    It stays right when the hypothesis is far from true, at the price of assuming that all parameters of the
    larger model lose the same share of information.

    Parameters
    ----------
    stacked : float
        Likelihood-ratio statistic of the m sets stacked, divided by m.
    k : int
        Number of parameters tested.
    loglik : ndarray, shape (m,)
        Log-likelihood of the larger model in each set.
    loglik_stacked : float
        Its log-likelihood on the m sets stacked, divided by m.
    n_params : int
        Number of its parameters h, a residual variance among them.

    Returns
    -------
    Joint

    Notes
    -----
    :math:`r = (m + 1) (2 \bar\ell - 2 \hat\ell)/(h (m - 1))`, :math:`\nu = h (m - 1)(1 + 1/r)^2`.

    References
    ----------
    Chan, K. W. and Meng, X. L. (2022). *Statistica Sinica* 32, 1489-1514.

    Examples
    --------
    >>> round(d4_robust(5.0, 2, np.array([-10.0, -12.0, -11.0]), -12.0, 3).statistic, 2)
    1.07
    """
    m = _sets(loglik)
    riv = max((m + 1) * 2 * (float(np.mean(loglik)) - loglik_stacked) / (n_params * (m - 1)), 0.0)
    return _joint(stacked / (k * (1 + riv)), k, n_params * (m - 1) * _growth(riv), riv, "D4")


def li(k: int, m: int, riv: float) -> float:
    """Denominator degrees of freedom of D1 and D3 in large samples.

    Parameters
    ----------
    k : int
        Number of parameters tested.
    m : int
        Number of completed data sets.
    riv : float
        Relative increase in variance, averaged over the parameters.

    Returns
    -------
    float
        Infinite where nothing is missing.

    References
    ----------
    Li, K. H., Raghunathan, T. E. and Rubin, D. B. (1991). *JASA* 86, 1065-1073, eq. 1.18 and 1.19.

    Examples
    --------
    >>> li(2, 5, 0.3), round(li(2, 2, 0.3), 2)
    (53.0, 28.17)
    """
    if riv == 0:
        return np.inf
    t = k * (m - 1)
    return 4 + (t - 4) * (1 + (1 - 2 / t) / riv) ** 2 if t > 4 else t * (1 + 1 / k) * (1 + 1 / riv) ** 2 / 2


def reiter(k: int, m: int, riv: float, df_complete: float) -> float:
    """Denominator degrees of freedom of D1 in small samples.

    Parameters
    ----------
    k, m, riv
        As in :func:`li`.
    df_complete : float
        Residual degrees of freedom had nothing been missing; finite.

    Returns
    -------
    float
        NaN where the formula has no answer: k (m - 1) <= 4, or too few complete-data degrees of freedom.

    References
    ----------
    Reiter, J. P. (2007). Small-sample degrees of freedom for multi-component significance tests with multiple
    imputation for missing data. *Biometrika* 94, 502-508.

    Examples
    --------
    >>> round(reiter(2, 5, 0.3, 96), 2), reiter(1, 5, 0.3, 96)
    (31.43, nan)
    """
    t = k * (m - 1)
    if t <= 4:
        return np.nan
    a, v = riv * t / (t - 2), _complete(df_complete)
    c1, c2 = v - 2 * (1 + a), v - 4 * (1 + a)
    if c2 <= 0:
        return np.nan
    series = (
        a**2 * c1 / ((1 + a) ** 2 * c2)
        + 8 * a**2 * c1 / ((1 + a) * c2**2)
        + 4 * a**2 / ((1 + a) * c2)
        + 4 * a**2 / (c2 * c1)
        + 16 * a**2 * c1 / c2**3
        + 8 * a**2 / c2**2
    )
    return 4 + 1 / (1 / c2 + series / (t - 4))


def f_pvalue(statistic: float, df1: float, df2: float) -> float:
    """Upper tail of F; chi-square over ``df1`` where ``df2`` is infinite, 1 for a negative statistic.

    Examples
    --------
    >>> round(f_pvalue(3.0, 2, 10), 4), round(f_pvalue(3.0, 2, np.inf), 4), f_pvalue(-0.1, 2, 10)
    (0.0954, 0.0498, 1.0)
    """
    if statistic <= 0:
        return 1.0
    return float(chdtrc(df1, df1 * statistic) if np.isinf(df2) else fdtrc(df1, df2, statistic))


def _df2(k: int, m: int, riv: float, df_complete: float) -> tuple[float, str]:
    """Return the denominator degrees of freedom of D1, and what to say where Reiter's do not exist."""
    large = li(k, m, riv)
    if np.isinf(df_complete):
        return large, ""
    small = reiter(k, m, riv, df_complete)
    if np.isfinite(small):
        return small, ""
    fact = f"k(m - 1) = {k * (m - 1)}" if k * (m - 1) <= 4 else f"df_complete = {df_complete:g} is too few"
    note = f"Reiter's degrees of freedom do not exist ({fact}); the smaller of Li's and the complete data's are used."
    return min(large, _complete(df_complete)), note


def _complete(df_complete: float) -> float:
    """Return the degrees of freedom that an estimate without missing values has."""
    return df_complete * (df_complete + 1) / (df_complete + 3)


def _riv(riv: float, size: float, ariv: str) -> tuple[float, str]:
    """Return the increase in variance to use, and what to say where it came out negative."""
    if ariv not in ARIVS:
        raise PoolingError(f"unknown ariv {ariv!r}.", known=", ".join(ARIVS))
    if abs(riv) <= 1e-10 * max(size, 1.0):  # two sums of log-likelihoods agree to no more digits
        return 0.0, ""
    if riv > 0 or ariv == "raw":
        return riv, ""
    return 0.0, f"The increase in variance came out negative ({riv:.3g}) and is taken as 0."


def _growth(riv: float) -> float:
    """Return (1 + 1/r)², infinite where nothing is missing."""
    return np.inf if riv == 0 else (1 + 1 / riv) ** 2


def _sets(values: Array) -> int:
    """Return m, or refuse a single set."""
    if len(values) < 2:
        raise PoolingError(f"pooling needs at least 2 completed data sets, got {len(values)}.")
    return len(values)


def _joint(statistic: float, k: int, df2: float, riv: float, method: str, note: str = "") -> Joint:
    """Return the finished test."""
    df2 = float(df2)
    return Joint(float(statistic), float(k), df2, f_pvalue(statistic, k, df2), float(riv), method, note)

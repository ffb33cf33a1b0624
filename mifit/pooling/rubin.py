"""Rubin's rules: m estimates and their covariances become one estimate, one covariance, one t distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from ..errors import PoolingError, call
from ..typing import Array

__all__ = [
    "DF_METHODS",
    "Each",
    "Pooled",
    "barnard_rubin",
    "columns",
    "each",
    "pool",
    "rubin",
    "t_pvalue",
    "t_quantile",
    "upper_level",
]


#: the degrees of freedom ``pool`` can use
DF_METHODS = ("barnard-rubin", "rubin")


@dataclass(frozen=True, slots=True, eq=False)
class Pooled:
    """One set of coefficients, pooled over m completed data sets; q coefficients."""

    params: Array  #: (q,) mean of the m estimates
    within: Array  #: (q, q) W, mean of the m covariances: what complete data would leave uncertain
    between: Array  #: (q, q) B, covariance of the m estimates: what the missing values add
    total: Array  #: (q, q) T = W + (1 + 1/m) B
    riv: Array  #: (q,) relative increase in variance, (1 + 1/m) B / W
    lambda_: Array  #: (q,) share of the variance that is due to the missing values, (1 + 1/m) B / T
    fmi: Array  #: (q,) fraction of missing information
    df: Array  #: (q,) degrees of freedom of each coefficient's t
    m: int
    df_complete: float  #: residual degrees of freedom had nothing been missing; the fewest where coefficients differ
    df_method: str
    df_each: Array | None = None  #: (q,) the same of each coefficient, where they differ

    @property
    def std_error(self) -> Array:
        """Standard error of each coefficient, shape (q,)."""
        return np.sqrt(np.diag(self.total))

    @property
    def complete(self) -> float | Array:
        """Complete-data degrees of freedom, of each coefficient where they differ, as :func:`pool` takes them."""
        return self.df_complete if self.df_each is None else self.df_each

    def df_of(self, matrix: Array) -> Array:
        """Complete-data degrees of freedom of linear combinations.

        Parameters
        ----------
        matrix : ndarray, shape (k, q)

        Returns
        -------
        ndarray, shape (k,)
            The fewest of the coefficients that a combination has in it.
        """
        if self.df_each is None:
            return np.full(len(matrix), self.df_complete)
        within = np.where(np.asarray(matrix) != 0, self.df_each, np.inf)
        return np.asarray(within.min(axis=1, initial=np.inf))

    @property
    def mc_error(self) -> Array:
        """Monte-Carlo error of each coefficient, sqrt(B / m), shape (q,): what another seed would change."""
        return np.sqrt(np.diag(self.between) / self.m)


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    """Many figures pooled one by one, without their covariances; q figures."""

    params: Array  #: (q,)
    variance: Array  #: (q,) T = W + (1 + 1/m) B
    riv: Array  #: (q,)
    lambda_: Array  #: (q,)
    fmi: Array  #: (q,)
    df: Array  #: (q,)
    m: int

    @property
    def std_error(self) -> Array:
        """Standard error of each figure, shape (q,)."""
        return np.sqrt(self.variance)


def each(
    params: Array,
    within: Array,
    between: Array,
    m: int,
    df_complete: float | Array = np.inf,
    df_method: str = "barnard-rubin",
) -> Each:
    """Pool many figures one by one, from their means and variances over the sets.

    For predictions: a covariance of 100,000 rows with each other would not fit in memory.

    Parameters
    ----------
    params, within, between : ndarray, shape (q,)
        Mean of the m estimates, mean of their variances, variance of the estimates.
    m : int
    df_complete, df_method
        As in :func:`pool`.

    Returns
    -------
    Each
        A figure without variance (the prediction at x = 0 without an intercept) has standard error 0.

    Examples
    --------
    >>> each(np.array([2.0]), np.array([2.0]), np.array([1.0]), 3, df_complete=96).df.round(2)
    array([10.23])
    """
    added = (1 + 1 / m) * between
    total = within + added
    riv, share = _over(added, within), _over(added, total)
    df = barnard_rubin(m, share, df_complete) if df_method == "barnard-rubin" else rubin(m, share)
    return Each(params, total, riv, share, (riv + 2 / (df + 3)) / (1 + riv), df, m)


def pool(
    estimates: Array,
    covariances: Array,
    df_complete: float | Array = np.inf,
    df_method: str = "barnard-rubin",
    names: Sequence[str] | None = None,
) -> Pooled:
    r"""Pool the estimates of m completed data sets.

    Parameters
    ----------
    estimates : ndarray, shape (m, q)
        One row of coefficients for each completed data set, on a scale where they are near normal.
    covariances : ndarray, shape (m, q, q)
        Their covariance matrices.
    df_complete : float or ndarray of shape (q,), default inf
        Residual degrees of freedom had nothing been missing: of all coefficients, or of each.
    df_method : {"barnard-rubin", "rubin"}
        ``"barnard-rubin"`` corrects for small samples, ``"rubin"`` is the rule of 1987.
    names : sequence of str, optional
        Names of the q coefficients, for error messages.

    Returns
    -------
    Pooled

    Raises
    ------
    PoolingError
        If m < 2, if a figure is not finite, if a coefficient has variance zero in some set (an absent level,
        not a certainty), if ``df_complete`` is not positive, or if ``df_method`` is unknown.

    Notes
    -----
    W is the mean of the covariances, B the covariance of the estimates with divisor m - 1, and
    :math:`T = W + (1 + 1/m) B`. The fraction of missing information is
    :math:`(r + 2/(\nu + 3)) / (1 + r)`, with r the relative increase in variance and :math:`\nu` the degrees of
    freedom that the test uses.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, section 3.1.

    Examples
    --------
    >>> pooled = pool(np.array([[1.0], [2.0], [3.0]]), np.full((3, 1, 1), 2.0), df_complete=96)
    >>> pooled.params, pooled.total[0].round(3), pooled.df.round(2)
    (array([2.]), array([3.333]), array([10.23]))
    """
    estimates, covariances = np.asarray(estimates, float), np.asarray(covariances, float)
    _refuse(estimates, covariances, df_complete, df_method, names)
    m = len(estimates)
    from_first = estimates - estimates[0]  # equal estimates leave B exactly zero
    shift = from_first.mean(axis=0)
    deviation = from_first - shift
    within = covariances.mean(axis=0)
    between = deviation.T @ deviation / (m - 1)
    total = within + (1 + 1 / m) * between
    one = each(estimates[0] + shift, np.diag(within), np.diag(between), m, df_complete, df_method)
    own = np.asarray(df_complete, float)
    return Pooled(
        one.params, within, between, total, one.riv, one.lambda_, one.fmi, one.df, m,
        float(own.min(initial=np.inf)), df_method, own if own.ndim else None,
    )  # fmt: skip


def barnard_rubin(m: int, share: Array, df_complete: float | Array = np.inf) -> Array:
    r"""Degrees of freedom of a pooled coefficient, corrected for small samples.

    With few imputations or few rows the pooled estimate follows a t, not a normal. Rubin's rule alone can
    return more degrees of freedom than the complete data would have had.

    Parameters
    ----------
    m : int
        Number of completed data sets, at least 2.
    share : ndarray, shape (q,)
        Share of each total variance that is due to the missing values, (1 + 1/m) B / T; in [0, 1].
    df_complete : float or ndarray of shape (q,), default inf
        Residual degrees of freedom had nothing been missing.

    Returns
    -------
    ndarray, shape (q,)
        Never above ``df_complete``.

    Raises
    ------
    PoolingError
        If ``m`` < 2: one data set has no between-imputation variance.

    References
    ----------
    Barnard, J. and Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation.
    *Biometrika* 86(4), 948-955, eq. 3. doi:10.1093/biomet/86.4.948

    Examples
    --------
    >>> barnard_rubin(20, np.array([0.0, 0.3]), df_complete=96).round(2)
    array([94.06, 50.19])
    """
    share = _checked(m, share)
    complete = np.asarray(df_complete, float)
    if np.isinf(complete).all():
        return rubin(m, share)
    with np.errstate(invalid="ignore"):
        observed = np.where(np.isinf(complete), np.inf, (1 - share) * complete * (complete + 1) / (complete + 3))
    # both rules as one over themselves: a rule that is infinite adds nothing
    return _inverse(share**2 / (m - 1) + _inverse(observed))


def rubin(m: int, share: Array) -> Array:
    """Degrees of freedom of a pooled coefficient when the sample is large.

    Parameters
    ----------
    m : int
        Number of completed data sets, at least 2.
    share : ndarray, shape (q,)
        Share of each total variance that is due to the missing values; in [0, 1].

    Returns
    -------
    ndarray, shape (q,)
        (m - 1) / share², infinite where nothing is missing.

    Raises
    ------
    PoolingError
        If ``m`` < 2.

    References
    ----------
    Rubin, D. B. (1987). *Multiple Imputation for Nonresponse in Surveys*. Wiley, eq. 3.1.6.

    Examples
    --------
    >>> rubin(5, np.array([0.0, 0.375])).round(2)
    array([  inf, 28.44])
    """
    return _inverse(_checked(m, share) ** 2 / (m - 1))


def columns(pooled: Pooled | Each, alpha: float = 0.05) -> dict[str, Array]:
    """Everything about each coefficient, under the names of a tidy table.

    Parameters
    ----------
    pooled : Pooled or Each
    alpha : float, default 0.05
        One minus the coverage of the limits.

    Returns
    -------
    dict of str to ndarray, each of shape (q,)
        estimate, std_error, statistic, df, p_value, conf_low, conf_high, riv, lambda, fmi.

    Examples
    --------
    >>> pooled = pool(np.array([[1.0], [2.0], [3.0]]), np.full((3, 1, 1), 2.0), df_complete=96)
    >>> columns(pooled)["conf_high"].round(2)
    array([6.06])
    """
    statistic = pooled.params / pooled.std_error
    half = t_quantile(upper_level(alpha), pooled.df) * pooled.std_error
    return {
        "estimate": pooled.params,
        "std_error": pooled.std_error,
        "statistic": statistic,
        "df": pooled.df,
        "p_value": t_pvalue(statistic, pooled.df),
        "conf_low": pooled.params - half,
        "conf_high": pooled.params + half,
        "riv": pooled.riv,
        "lambda": pooled.lambda_,
        "fmi": pooled.fmi,
    }


def t_pvalue(statistic: Array, df: Array) -> Array:
    """Two-sided p-value of a t statistic; normal where ``df`` is infinite.

    Parameters
    ----------
    statistic, df : ndarray, shape (q,)

    Returns
    -------
    ndarray, shape (q,)

    Examples
    --------
    >>> t_pvalue(np.array([2.0, 2.0]), np.array([10.0, np.inf])).round(4)
    array([0.0734, 0.0455])
    """
    tail = -np.abs(statistic)
    pvalue: Array = 2 * np.where(np.isinf(df), ndtr(tail), stdtr(df, tail))
    return pvalue


def t_quantile(probability: float, df: Array) -> Array:
    """Quantile of the t distribution; normal where ``df`` is infinite.

    Parameters
    ----------
    probability : float
        In (0, 1).
    df : ndarray, shape (q,)

    Returns
    -------
    ndarray, shape (q,)

    Examples
    --------
    >>> t_quantile(0.975, np.array([10.0, np.inf])).round(3)
    array([2.228, 1.96 ])
    """
    quantile: Array = np.where(np.isinf(df), ndtri(probability), stdtrit(df, probability))
    return quantile


def upper_level(alpha: float) -> float:
    """Probability below the upper of two limits.

    Parameters
    ----------
    alpha : float
        One minus the coverage, in (0, 1).

    Returns
    -------
    float
        1 - alpha / 2.

    Raises
    ------
    PoolingError
        If ``alpha`` is no number between 0 and 1.

    Examples
    --------
    >>> upper_level(0.05)
    0.975
    """
    if not isinstance(alpha, Real) or not 0 < alpha < 1:
        raise PoolingError(f"alpha is {alpha!r}; one minus the coverage lies between 0 and 1.", do="res.conf_int(0.05)")
    return 1 - float(alpha) / 2


def _inverse(x: Array) -> Array:
    """Return 1 / x, infinite where x is zero."""
    return np.divide(1.0, x, out=np.full_like(x, np.inf), where=x > 0)


def _over(part: Array, whole: Array) -> Array:
    """Return part / whole, zero where both are."""
    return np.divide(part, whole, out=np.zeros_like(np.asarray(part, float)), where=whole > 0)


def _checked(m: int, share: Array) -> Array:
    """Return the shares as floats, or refuse a single data set."""
    if m < 2:
        raise PoolingError(
            f"pooling needs at least 2 completed data sets, got {m}: one has no between-imputation variance.",
            do=call("df.mice.impute", "y ~ x1 + x2", m=20),
        )
    return np.asarray(share, float)


def _refuse(
    estimates: Array, covariances: Array, df_complete: float | Array, df_method: str, names: Sequence[str] | None
) -> None:
    """Raise PoolingError for whatever has no pooled answer."""
    m, q = estimates.shape
    _checked(m, estimates)
    if df_method not in DF_METHODS:
        raise PoolingError(f"unknown df_method {df_method!r}.", known=", ".join(DF_METHODS))
    if covariances.shape != (m, q, q):
        raise PoolingError(f"estimates {estimates.shape} and covariances {covariances.shape} do not match.")
    if not (isinstance(df_complete, Real) or np.shape(df_complete) == (q,)):
        raise PoolingError(
            f"dfcom is {df_complete!r}; a positive number is needed.", do="imp.fit('y ~ x1 + x2', dfcom=96)"
        )
    fewest = float(np.min(np.asarray(df_complete, float), initial=np.inf))
    if not fewest > 0:
        raise PoolingError(
            f"the complete data leave {fewest:g} degrees of freedom: a t test needs more than 0.",
            do="imp.fit('y ~ x1 + x2', dfcom=float('inf'))",
        )
    labels = list(names) if names is not None else [f"number {j}" for j in range(q)]
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    finite = np.isfinite(estimates) & np.isfinite(variances)
    for bad, fact in (
        (~finite, "has no finite estimate or variance"),
        (variances <= 0, "has variance zero (an absent level, not a certainty)"),
    ):
        if bad.any():
            sets, columns = np.nonzero(bad)
            j = columns[0]
            raise PoolingError(
                f"coefficient {labels[j]!r} {fact} in {np.sum(columns == j)} of {m} sets.",
                sets=", ".join(str(k) for k in sets[columns == j][:20]),
                do=f"imp[{sets[0]}]   # look at that set; leave the term out or merge its levels",
            )

"""How many imputations: the Monte-Carlo error of every pooled figure, and the m that makes it small."""

from __future__ import annotations

from numbers import Real

import numpy as np
import numpy.typing as npt

from ..errors import PoolingError
from ..typing import Array
from .rubin import columns, pool

__all__ = ["decimals", "fmi_limit", "jackknife", "recommended"]


def jackknife(
    estimates: Array,
    covariances: Array,
    df_complete: float | Array = np.inf,
    df_method: str = "barnard-rubin",
    alpha: float = 0.05,
) -> dict[str, Array]:
    r"""Monte-Carlo error of every pooled figure: what other imputations of the same data would change.

    Parameters
    ----------
    estimates : ndarray, shape (m, q)
    covariances : ndarray, shape (m, q, q)
    df_complete, df_method
        As in :func:`mifit.pooling.rubin.pool`.
    alpha : float, default 0.05
        One minus the coverage of the limits.

    Returns
    -------
    dict of str to ndarray, each of shape (q,)
        The columns of :func:`mifit.pooling.rubin.columns`; NaN, but for the estimate, with fewer than 3 sets.

    Notes
    -----
    Pooled without set l each figure s is :math:`s_{(-l)}`; its error is
    :math:`\sqrt{(m - 1)/m \sum_l (s_{(-l)} - \bar s)^2}`. For the estimate this is :math:`\sqrt{B/m}`.

    References
    ----------
    White, I. R., Royston, P. and Wood, A. M. (2011). Multiple imputation using chained equations: issues and
    guidance for practice. *Statistics in Medicine* 30, 377-399, section 7.

    Examples
    --------
    >>> errors = jackknife(np.array([[1.0], [2.0], [4.0]]), np.full((3, 1, 1), 2.0))
    >>> errors["estimate"].round(3), errors["std_error"].round(3)
    (array([0.882]), array([0.752]))
    """
    m = len(estimates)
    full = columns(pool(estimates, covariances, df_complete, df_method), alpha)
    if m < 3:
        errors = {name: np.full_like(values, np.nan) for name, values in full.items()}
    else:
        without = [np.arange(m) != k for k in range(m)]
        without_one = [columns(pool(estimates[w], covariances[w], df_complete, df_method), alpha) for w in without]
        errors = {name: _jackknife_sd(np.array([one[name] for one in without_one])) for name in full}
    errors["estimate"] = np.sqrt(np.var(estimates - estimates[0], axis=0, ddof=1) / m)
    return errors


def fmi_limit(fmi: Array, m: int) -> Array:
    """Upper 95 % limit of a fraction of missing information that m sets have estimated.

    Parameters
    ----------
    fmi : ndarray, shape (q,)
        In [0, 1].
    m : int

    Returns
    -------
    ndarray, shape (q,)

    Examples
    --------
    >>> fmi_limit(np.array([0.3]), 20).round(3)
    array([0.443])
    """
    clipped = np.clip(np.asarray(fmi, float), 1e-4, 1 - 1e-4)
    limit: Array = 1 / (1 + np.exp(-(np.log(clipped / (1 - clipped)) + 1.96 * np.sqrt(2 / m))))
    return limit


def recommended(fmi: Array, m: int, cv: float = 0.05) -> npt.NDArray[np.int64]:
    r"""Return how many imputations make the standard errors replicable.

    Parameters
    ----------
    fmi : ndarray, shape (q,)
        Fractions of missing information, as estimated from m sets.
    m : int
        Number of sets they come from.
    cv : float, default 0.05
        Wanted coefficient of variation of each standard error, over other seeds.

    Returns
    -------
    ndarray of int, shape (q,)
        At least 2.

    Raises
    ------
    PoolingError
        If ``cv`` is not positive.

    Notes
    -----
    :math:`1 + (\gamma/c)^2/2` with the upper 95 % limit of :math:`\gamma`.

    References
    ----------
    von Hippel, P. T. (2020). How many imputations do you need? A two-stage calculation using a quadratic rule.
    *Sociological Methods & Research* 49, 699-718.

    Examples
    --------
    >>> recommended(np.array([0.3]), 20)
    array([41])
    """
    if not isinstance(cv, Real) or not cv > 0:
        raise PoolingError(f"cv is {cv!r}; a positive share is needed.", do="res.recommend_m(cv=0.05)")
    return np.maximum(np.ceil(1 + (fmi_limit(fmi, m) / cv) ** 2 / 2), 2).astype(np.int64)


def decimals(error: Array, most: int = 8) -> npt.NDArray[np.int64]:
    """Return how many decimals a Monte-Carlo error supports: the last is right to within two of its units.

    Parameters
    ----------
    error : ndarray, shape (q,)
        Monte-Carlo errors; NaN and zero support ``most``.
    most : int, default 8

    Returns
    -------
    ndarray of int, shape (q,)
        Negative where even whole numbers say too much: -2 is hundreds.

    References
    ----------
    White, I. R., Royston, P. and Wood, A. M. (2011). *Statistics in Medicine* 30, 377-399, section 7: an error of
    0.01 is small enough for a p-value of 0.05, one of 0.02 for 0.1.

    Examples
    --------
    >>> decimals(np.array([0.03, 0.02, 150.0, 0.0]))
    array([ 1,  2, -2,  8])
    """
    error = np.asarray(error, float)
    known = np.isfinite(error) & (error > 0)
    places = np.floor(-np.log10(np.where(known, error, 1.0) / 2) + 1e-12)
    return np.where(known, np.minimum(places, most), most).astype(np.int64)


def _jackknife_sd(without_one: Array) -> Array:
    """Return the jackknife error of m figures, each without one set, shape (q,); equal infinite figures have none."""
    m = len(without_one)
    with np.errstate(invalid="ignore"):
        deviation = without_one - without_one[0]
        deviation = np.where(without_one == without_one[0], 0.0, deviation)
        deviation = deviation - deviation.mean(axis=0)
    return np.asarray(np.sqrt((m - 1) / m * (deviation**2).sum(axis=0)))

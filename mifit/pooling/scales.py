"""Scales on which estimates are near normal: to them, pooled there, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from ..errors import PoolingError, near, nearest
from ..typing import Array
from .rubin import Pooled, pool, t_quantile, upper_level

__all__ = ["SCALES", "OnScale", "Scale", "adjusted", "auc_delong", "on_scale", "pool_rsquared", "scale_named"]


@dataclass(frozen=True, slots=True)
class Scale:
    """A monotone function and what it takes to go there and back."""

    name: str
    forward: Callable[[Array], Array]
    backward: Callable[[Array], Array]
    slope: Callable[[Array], Array]  #: derivative of ``forward``
    low: float  #: open range of the figure
    high: float
    meant_for: str

    def variance(self, estimate: Array, variance: Array) -> Array:
        """Variance on the scale by the delta method, from that of the figure itself; any shape."""
        return np.asarray(self.slope(estimate) ** 2 * variance)


@dataclass(frozen=True, slots=True, eq=False)
class OnScale:
    """One or more figures pooled on a scale and brought back, q figures."""

    estimate: Array  #: (q,)
    conf_low: Array  #: (q,)
    conf_high: Array  #: (q,)
    pooled: Pooled  #: on the scale


_ONE = np.ones_like
_ALL = (
    Scale("identity", np.asarray, np.asarray, _ONE, -np.inf, np.inf, "coefficients, means, differences"),
    Scale("log", np.log, np.exp, lambda x: 1 / x, 0.0, np.inf, "ratios, rates, variances, standard deviations"),
    Scale("logit", logit, expit, lambda x: 1 / (x * (1 - x)), 0.0, 1.0, "proportions, areas under the curve"),
    Scale("fisher", np.arctanh, np.tanh, lambda x: 1 / (1 - x**2), -1.0, 1.0, "correlations"),
    Scale(
        "cloglog",
        lambda x: np.log(-np.log(x)),
        lambda x: np.exp(-np.exp(x)),
        lambda x: 1 / (x * np.log(x)),
        0.0,
        1.0,
        "survival probabilities",
    ),
)

#: every scale, by name
SCALES = {scale.name: scale for scale in _ALL}

_NEVER = {
    "p": "p-values are not pooled: pool estimate and variance, or test with D1 to D4",
    "pvalue": "p-values are not pooled: pool estimate and variance, or test with D1 to D4",
    "p_value": "p-values are not pooled: pool estimate and variance, or test with D1 to D4",
    "odds": "odds ratios are pooled on the log scale",
    "odds ratio": "odds ratios are pooled on the log scale",
    "chi2": "chi-squares have no scale: mifit.pool_statistics(values, df) tests with D2",
    "quantile": "quantiles are pooled as they are, with their own variance",
    "r2": "R² has its own rule: res.rsquared",
}


def scale_named(name: str | None) -> Scale:
    """Return a scale by its name.

    Parameters
    ----------
    name : str or None
        "identity" (also None), "log", "logit", "fisher" or "cloglog".

    Returns
    -------
    Scale

    Raises
    ------
    PoolingError
        If there is no such scale, or the figure named has none.

    Examples
    --------
    >>> scale_named("logit").forward(np.array([0.5]))
    array([0.])
    """
    if name is None:
        return SCALES["identity"]
    if name not in SCALES:
        why = _NEVER.get(str(name).lower())
        raise PoolingError(
            f"unknown scale {name!r}{nearest(name, SCALES)}." if why is None else f"no scale {name!r}: {why}.",
            known="; ".join(f"{s.name} ({s.meant_for})" for s in _ALL),
            do=f"scale = {near(name, SCALES) or 'logit'!r}  # for .pool(scale=scale)",
        )
    return SCALES[name]


def on_scale(
    estimates: Array,
    variances: Array,
    scale: Scale,
    df_complete: float = np.inf,
    alpha: float = 0.05,
    names: list[str] | None = None,
) -> OnScale:
    """Pool figures on a scale and bring estimate and limits back.

    Parameters
    ----------
    estimates, variances : ndarray, shape (m, q)
        Figures of each set and their variances, as they are (not on the scale).
    scale : Scale
    df_complete : float, default inf
        Residual degrees of freedom had nothing been missing.
    alpha : float, default 0.05
        One minus the coverage of the limits.
    names : list of str, optional
        Names of the q figures, for error messages.

    Returns
    -------
    OnScale

    Raises
    ------
    PoolingError
        If a figure lies on or beyond the end of the scale in some set: there it has no finite variance.

    Examples
    --------
    >>> found = on_scale(np.array([[0.2], [0.3]]), np.full((2, 1), 0.001), scale_named("logit"))
    >>> found.estimate.round(3), found.conf_high.round(2)
    (array([0.247]), array([0.93]))
    """
    estimates, variances = np.asarray(estimates, float), np.asarray(variances, float)
    outside = ~((estimates > scale.low) & (estimates < scale.high))
    if outside.any():
        sets, columns = np.nonzero(outside)
        label = "the figure" if names is None else repr(names[columns[0]])
        raise PoolingError(
            f"{label} is {estimates[sets[0], columns[0]]:g} in set {sets[0]}: "
            f"the {scale.name} scale ends there ({scale.low:g} to {scale.high:g}).",
            sets=", ".join(str(k) for k in sets[columns == columns[0]][:20]),
            do=f"imp[{sets[0]}]   # look at that set; a figure at its boundary has no normal scale",
        )
    moved = scale.variance(estimates, variances)
    covariances = np.zeros((*moved.shape, moved.shape[1]))
    covariances[:, np.arange(moved.shape[1]), np.arange(moved.shape[1])] = moved
    return _back(pool(scale.forward(estimates), covariances, df_complete, names=names), scale.backward, alpha)


def pool_rsquared(rsquared: Array, n_obs: int, alpha: float = 0.05) -> OnScale:
    r"""Pool R² as the Fisher z of its root.

    Parameters
    ----------
    rsquared : ndarray, shape (m,)
        R² of each set; an adjusted one may be negative.
    n_obs : int
        Rows of each set, more than 3.
    alpha : float, default 0.05

    Returns
    -------
    OnScale
        Arrays of shape (1,). A limit below zero keeps its sign.

    Raises
    ------
    PoolingError
        If some R² is 1, or there are too few rows.

    Notes
    -----
    :math:`z = \operatorname{artanh}\sqrt{R^2}` with variance :math:`1/(n - 3)`, pooled with infinite complete-data
    degrees of freedom and normal limits; back by :math:`\operatorname{sign}(z) \tanh^2 z`.

    References
    ----------
    Harel, O. (2009). The estimation of R² and adjusted R² in incomplete data sets using multiple imputation.
    *Journal of Applied Statistics* 36, 1109-1118.

    Examples
    --------
    >>> found = pool_rsquared(np.array([0.5, 0.6]), 100)
    >>> found.estimate.round(3), found.conf_low.round(3)
    (array([0.552]), array([0.314]))
    """
    rsquared = np.asarray(rsquared, float)
    if n_obs <= 3 or not (np.abs(rsquared) < 1).all():
        raise PoolingError(f"R² has no Fisher z: it is {rsquared.max():g} in some set, with {n_obs} rows.", do="imp[0]")
    z = np.arctanh(np.sign(rsquared) * np.sqrt(np.abs(rsquared)))
    pooled = pool(z[:, None], np.full((len(z), 1, 1), 1 / (n_obs - 3)))
    return _back(pooled, lambda x: np.sign(x) * np.tanh(x) ** 2, alpha, normal=True)


def adjusted(rsquared: Array, n_obs: int, n_params: int) -> Array:
    """Adjusted R² of a pooled R², or of its limits.

    Parameters
    ----------
    rsquared : ndarray, any shape
    n_obs : int
        Rows of each set.
    n_params : int
        Coefficients, the intercept among them.

    Returns
    -------
    ndarray, of the same shape
        1 - (1 - R²)(n - 1)/(n - p).

    Examples
    --------
    >>> adjusted(np.array([0.5]), 101, 5).round(4)
    array([0.4792])
    """
    return 1 - (1 - np.asarray(rsquared, float)) * (n_obs - 1) / (n_obs - n_params)


def auc_delong(positive: Array, score: Array) -> tuple[float, float]:
    r"""Area under the ROC curve of one data set and its variance.

    Parameters
    ----------
    positive : ndarray, shape (n,)
        1 where the event happened, else 0.
    score : ndarray, shape (n,)
        Larger where it is likelier.

    Returns
    -------
    auc, variance : float

    Raises
    ------
    PoolingError
        If there are fewer than two events, or fewer than two rows without.

    Notes
    -----
    The share of pairs (event, no event) that the score puts in order, ties counted half. The variance adds those of
    each row's own share among the events and among the others.

    References
    ----------
    DeLong, E. R., DeLong, D. M. and Clarke-Pearson, D. L. (1988). Comparing the areas under two or more correlated
    receiver operating characteristic curves. *Biometrics* 44, 837-845.

    Examples
    --------
    >>> auc, variance = auc_delong(np.array([0.0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    >>> auc, variance
    (0.75, 0.125)
    """
    hit = np.asarray(positive) == 1
    yes, no = score[hit], score[~hit]
    if min(len(yes), len(no)) < 2:
        raise PoolingError(f"{len(yes)} events and {len(no)} without: too few for a curve.", do="df[outcome].mean()")
    above = _share(yes, np.sort(no))
    below = 1 - _share(no, np.sort(yes))
    return float(above.mean()), float(np.var(above, ddof=1) / len(yes) + np.var(below, ddof=1) / len(no))


def _share(values: Array, others: Array) -> Array:
    """Return for each value the share of the sorted others below it, ties counted half."""
    first, last = (np.searchsorted(others, values, side=side) for side in ("left", "right"))
    return np.asarray((first + last) / (2 * len(others)))


def _back(pooled: Pooled, backward: Callable[[Array], Array], alpha: float, normal: bool = False) -> OnScale:
    """Return estimate and limits as they were before the scale; a falling scale swaps the limits."""
    if normal:  # 1.96 itself, as R's mice has it
        quantile = 1.96 if alpha == 0.05 else t_quantile(upper_level(alpha), np.full_like(pooled.df, np.inf))
    else:
        quantile = t_quantile(upper_level(alpha), pooled.df)
    half = quantile * pooled.std_error
    ends = np.array([backward(pooled.params - half), backward(pooled.params + half)])
    return OnScale(np.asarray(backward(pooled.params)), ends.min(axis=0), ends.max(axis=0), pooled)

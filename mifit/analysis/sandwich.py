"""Sandwich covariances from the scores of the rows; arrays only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..typing import Array

__all__ = ["cox_scores", "sandwich"]


def sandwich(scores: Array, bread: Array, cov_type: str, cov_kwds: Mapping[str, Any]) -> Array:
    """Sandwich covariance of a maximum likelihood estimate.

    Parameters
    ----------
    scores : ndarray, shape (n, q)
        Derivative of each row's log-likelihood.
    bread : ndarray, shape (q, q)
        Inverse information.
    cov_type : {"HC0", "HC1", "HC2", "HC3", "cluster", "HAC"}
        The four HC are one: corrections for leverage are those of linear models.
    cov_kwds : mapping
        As statsmodels takes them: ``groups``, ``use_correction``, ``maxlags``, ``weights_func``.

    Returns
    -------
    ndarray, shape (q, q)

    References
    ----------
    White, H. (1982). Maximum likelihood estimation of misspecified models. *Econometrica* 50(1), 1-25.
    """
    from statsmodels.stats import sandwich_covariance

    if cov_type == "cluster":
        groups = np.asarray(cov_kwds["groups"])
        corrected = bool(cov_kwds.get("use_correction", True))
        if groups.ndim == 1:
            found = sandwich_covariance.cov_cluster((scores, bread), groups, use_correction=corrected)
        else:
            both = sandwich_covariance.cov_cluster_2groups((scores, bread), groups, use_correction=corrected)
            found = both[0]
    elif cov_type == "HAC":
        words = {word: cov_kwds[word] for word in ("weights_func", "use_correction") if word in cov_kwds}
        found = sandwich_covariance.cov_hac((scores, bread), nlags=cov_kwds["maxlags"], **words)
    else:
        found = bread @ (scores.T @ scores) @ bread
    return np.asarray(found, dtype=np.float64)


def cox_scores(
    exog: Array, linear: Array, time: Array, event: Array, entry: Array | None, strata: Array | None, efron: bool
) -> Array:
    r"""Score residuals of a Cox model, whose sum is the derivative of its log partial likelihood.

    Parameters
    ----------
    exog : ndarray, shape (n, p)
    linear : ndarray, shape (n,)
        Log hazard ratio of each row, offset included.
    time, event : ndarray, shape (n,)
    entry, strata : ndarray, shape (n,), optional
    efron : bool
        How ties are broken; else Breslow's way.

    Returns
    -------
    ndarray, shape (n, p)

    Notes
    -----
    Of d deaths at one time the j-th sees all at risk, the dying with weight 1 - j/d (Efron) or 1 (Breslow), j from 0:
    :math:`S_j` the sum of their hazards, :math:`\bar x_j` their mean. Row i has the mean over j of
    :math:`x_i - \bar x_j` where it dies, and loses :math:`(x_i - \bar x_j) e^{\eta_i} / S_j`, so weighted, for every
    j of every time at which it is at risk.

    References
    ----------
    Therneau, T. M. and Grambsch, P. M. (2000). *Modeling Survival Data: Extending the Cox Model*. Springer, section
    4.6 and 7.1.
    """
    found = np.zeros_like(exog)
    stratum = np.zeros(len(time)) if strata is None else np.asarray(strata)
    start = np.full(len(time), -np.inf) if entry is None else np.asarray(entry)
    for level in np.unique(stratum):
        rows = np.flatnonzero(stratum == level)
        if event[rows].any():
            found[rows] = _of_stratum(exog[rows], linear[rows], time[rows], event[rows] > 0, start[rows], efron)
    return found


def _of_stratum(
    exog: Array, linear: Array, time: Array, event: npt.NDArray[np.bool_], start: Array, efron: bool
) -> Array:
    """Score residuals of the rows of one stratum."""
    times = np.unique(time[event])
    hazard = np.exp(linear - linear.max())
    both = np.column_stack([hazard, hazard[:, None] * exog])
    own = np.searchsorted(times, time[event])  # the time of each death
    deaths = np.bincount(own, minlength=len(times))
    place = np.repeat(np.arange(len(times)), deaths)
    turn = np.arange(len(place)) - np.repeat(np.cumsum(deaths) - deaths, deaths)
    share = turn / deaths[place] if efron else np.zeros(len(place))
    dying = np.zeros((len(times), both.shape[1]))
    np.add.at(dying, own, both[event])
    sums = (_from(times, time, both) - _from(times, start, both))[place] - share[:, None] * dying[place]
    mean = sums[:, 1:] / sums[:, :1]
    steps = np.column_stack([np.ones(len(place)), mean]) / sums[:, :1]

    def summed(values: Array) -> Array:
        out = np.zeros((len(times), values.shape[1]))
        np.add.at(out, place, values)
        return out

    cumulative = np.vstack([np.zeros((1, steps.shape[1])), np.cumsum(summed(steps), axis=0)])
    load = cumulative[np.searchsorted(times, time, side="right")] - cumulative[np.searchsorted(times, start, "right")]
    load[event] -= summed(share[:, None] * steps)[own]
    found = -hazard[:, None] * (exog * load[:, :1] - load[:, 1:])
    found[event] += exog[event] - (summed(mean) / deaths[:, None])[own]
    return np.asarray(found)


def _from(times: Array, ends: Array, values: Array) -> Array:
    """Sums of the values whose end is not before each time."""
    order = np.argsort(ends, kind="stable")
    tail = np.vstack([np.cumsum(values[order][::-1], axis=0)[::-1], np.zeros((1, values.shape[1]))])
    return np.asarray(tail[np.searchsorted(ends[order], times, side="left")])

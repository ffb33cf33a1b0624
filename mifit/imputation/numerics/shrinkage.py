"""Hierarchical normal prior: coefficients of one term share an estimated variance, so rare levels are shrunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import PlanError
from ...typing import Array
from .newton import Likelihood, Peak, maximise, variances
from .priors import normal_prior

__all__ = ["SHRUNK", "refuse_both", "shared", "shrunk", "spreads"]

SHRUNK = "coefficients of {} term{} shrunk by a common normal prior, its spread estimated"

_ROUNDS = 40  # most re-estimations of the prior variances from a cold start
_SETTLED = 1e-2  # relative change of the prior sds at which they have converged
_LEAST = 1e-4  # prior variance below which a term has no effect

Codes = npt.NDArray[np.int64]


def shared(terms: Codes, levels: int = 1) -> Codes:
    """Which prior each coefficient has: the number of its term, or -1 for a constant and for what stands alone.

    Parameters
    ----------
    terms : ndarray, shape (q,)
        The term of each column, the constant first.
    levels : int, default 1
        Rows of stacked coefficients: log odds of so many levels.

    Returns
    -------
    ndarray, shape (levels * q,)

    Examples
    --------
    >>> shared(np.array([0, 1, 2, 2]))
    array([-1, -1,  2,  2])
    """
    group = np.tile(terms, levels)
    many = np.array([np.sum(group == term) for term in group])
    return np.where((many < 2) | (group == terms[0]), -1, group)


def shrunk(likelihood: Likelihood, start: Array, group: Codes, warm: Array | None = None) -> tuple[Peak, Array]:
    """Maximise a likelihood times normal priors whose variances are estimated along with it.

    Parameters
    ----------
    likelihood : callable
        As :func:`~mifit.imputation.numerics.newton.maximise` takes it.
    start : ndarray, shape (q,)
    group : ndarray, shape (q,)
        The prior of each parameter; -1 for none.
    warm : ndarray, optional
        Variances of the groups in almost the same data.

    Returns
    -------
    peak : Peak
        Of the posterior at the estimated variances.
    variance : ndarray, shape (n_groups,)
        In the order of the groups' numbers.

    Notes
    -----
    EM: a group's variance becomes the mean of estimate² + posterior variance over its members. The Laplace
    approximation stands for the posterior.

    References
    ----------
    Dempster, A. P., Rubin, D. B. and Tsutakawa, R. K. (1981). Estimation in covariance components models. *JASA*
    76(374), 341-353. doi:10.1080/01621459.1981.10477653
    """
    names = np.unique(group[group >= 0])
    variance = np.ones(len(names)) if warm is None or len(warm) != len(names) else warm
    place = np.searchsorted(names, group)
    inside = np.flatnonzero(group >= 0)
    peak = maximise(likelihood, start) if not len(names) else None
    for _ in range(_ROUNDS if warm is None else 2):
        if not len(names):
            break
        precision = np.zeros(len(start))
        precision[inside] = 1.0 / variance[place[inside]]
        peak = maximise(normal_prior(likelihood, precision), start if peak is None else peak.estimate)
        moments = peak.estimate**2 + variances(peak.root)
        fresh = np.bincount(place[inside], moments[inside]) / np.bincount(place[inside])
        fresh = np.maximum(fresh, _LEAST)
        moved, variance = float(np.max(np.abs(np.log(fresh / variance)))), fresh
        if moved < _SETTLED:
            break
    assert peak is not None  # at least one round
    return peak, variance


def spreads(warm: Any) -> Array | None:
    """Prior variances of the previous fit."""
    return warm[4] if warm is not None and len(warm) > 4 else None


def refuse_both(firth: bool, shrink: bool, name: str) -> None:
    """firth= and shrink= cannot be combined: no published method does so."""
    if firth and shrink:
        raise PlanError("firth= and shrink= are two penalties; one is enough.", do=f"mifit.{name}(shrink=True)")

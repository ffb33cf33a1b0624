"""Ordered models fitted by Newton's method on their slopes and cut points, with derivatives in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from scipy.special import logit, ndtri

from ..typing import Array
from .climb import Point, climbed
from .job import Job
from .ordered import DISTRIBUTIONS, climb_of

__all__ = ["OrderedFit", "maximised"]

_QUANTILES = {"logit": logit, "probit": ndtri}


@dataclass(frozen=True, slots=True, eq=False)
class OrderedFit:
    """An ordered model at its maximum, as far as a result of statsmodels is asked for it."""

    params: Array  #: (p + K - 1,) slopes, the first cut point, logarithms of the increments
    llf: float
    df_resid: float  #: rows less parameters
    model: SimpleNamespace  #: without anything: derivatives are in closed form


def maximised(job: Job) -> OrderedFit | None:
    """Fit an ordered logit or probit; None for another distribution, or where no maximum is found.

    Parameters
    ----------
    job : Job
        Levels ``endog`` (n,), 0 to K - 1, each of which occurs; design ``exog`` (n, p); offset and ``distr`` among
        ``init``.

    Returns
    -------
    OrderedFit or None

    Notes
    -----
    Newton steps, halved where the likelihood does not rise or cut points change their order. Columns are centred and of
    unit length on the way.
    """
    given = job.init.get("distr", "probit")
    if not (isinstance(given, str) and given in DISTRIBUTIONS):
        return None
    codes, raw = job.endog.to_numpy().astype(np.int64), job.exog.to_numpy(dtype=np.float64)
    centre, size = raw.mean(axis=0), np.sqrt(raw.var(axis=0))
    shares = np.cumsum(np.bincount(codes))[:-1] / len(codes)
    if not (np.isfinite(size) & (size > 0)).all() or not ((shares > 0) & (shares < 1)).all():
        return None
    exog, p = (raw - centre) / size, raw.shape[1]
    offset = job.init.get("offset")
    shift = np.zeros(len(codes)) + (0.0 if offset is None else np.asarray(offset, dtype=np.float64))

    def of(at: Array) -> Point:
        return climb_of(codes, exog, exog @ at[:p] + shift, at[p:], given)

    start = np.concatenate([np.zeros(p), _QUANTILES[given](shares)])
    found = climbed(of, start, inside=lambda at: bool((np.diff(at[p:]) > 0).all()))
    if found is None:
        return None
    at, (top, _, _) = found
    slopes, cuts = at[:p] / size, at[p:] + centre @ (at[:p] / size)
    increments = np.concatenate([cuts[:1], np.log(np.diff(cuts))])
    return OrderedFit(np.concatenate([slopes, increments]), top, float(len(codes) - len(at)), SimpleNamespace())

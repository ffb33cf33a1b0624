"""Cox models fitted by Newton's method on sorted risk sets, each step in time proportional to the rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import Array, Rows
from .climb import climbed
from .job import Job

__all__ = ["CoxFit", "CoxModel", "Partial", "partial_likelihood"]


class Partial(NamedTuple):
    """The log partial likelihood at one point, p coefficients."""

    height: float
    score: Array  #: (p,)
    information: Array  #: (p, p)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Rows of all strata, the last end first within each; d deaths at g distinct times within strata."""

    rows: Rows  #: (n,) in that order
    segments: tuple[tuple[int, int], ...]  #: where each stratum begins and ends among them
    entered: Rows | None  #: (n,) the same rows, the last entry first; None where all enter before the first event
    death: Rows  #: (d,) positions of deaths among ``rows``, by group
    group: Rows  #: (d,) their groups
    share: Array  #: (d,) share of the tied deaths already gone, 0 under Breslow
    at_risk: Rows  #: (g,) position of the last row still at risk at each group
    not_yet: Rows  #: (g,) number of rows before it, in the order of entries, that enter at this time or later
    stratum_of: Rows  #: (g,) the segment of each group
    upto: Rows  #: (n,) by position, number of groups up to each row's end
    after: Rows  #: (n,) by position, number of groups up to each row's entry
    groups: tuple[tuple[int, int], ...]  #: where the groups of each stratum begin and end


class CoxModel:
    """The partial likelihood of a job: what an optimizer asks of it.

    Parameters
    ----------
    job : Job
        Times ``endog`` (n,), design ``exog`` (n, p); status, entry, strata, offset and ties among ``init``.
    """

    def __init__(self, job: Job) -> None:
        given = {word: job.init.get(word) for word in ("status", "entry", "strata", "offset")}
        time = job.endog.to_numpy(dtype=np.float64)
        self.ties = str(job.init.get("ties") or "breslow")
        event = np.ones(len(time)) if given["status"] is None else np.asarray(given["status"], dtype=np.float64)
        entry = None if given["entry"] is None else np.asarray(given["entry"], dtype=np.float64)
        stratum = None if given["strata"] is None else np.asarray(given["strata"])
        self._sorted = _sorted(time, event > 0, entry, stratum, self.ties == "efron")
        offset = 0.0 if given["offset"] is None else np.asarray(given["offset"], dtype=np.float64)
        exog = job.exog.to_numpy(dtype=np.float64)[self._sorted.rows]
        self._exog = np.ascontiguousarray(exog - exog.mean(axis=0))  # a partial likelihood has no origin
        self._offset = np.zeros(len(time)) + offset
        self._offset = self._offset[self._sorted.rows]

    def loglike(self, params: Array) -> float:
        """Return the log partial likelihood."""
        return self._at(params).height

    def score(self, params: Array) -> Array:
        """Return its derivative, shape (p,)."""
        return self._at(params).score

    def hessian(self, params: Array) -> Array:
        """Return its second derivatives, shape (p, p)."""
        return -self._at(params).information

    def maximised(self) -> CoxFit | None:
        """The maximum, by Newton steps that are halved where they do not climb; None where none is found.

        Columns are of unit length on the way: their unit does not matter.
        """
        size = np.sqrt(self._exog.var(axis=0))
        if not len(self._sorted.death) or not (np.isfinite(size) & (size > 0)).all():
            return None
        of = partial(partial_likelihood, self._sorted, self._exog / size, self._offset)
        found = climbed(of, np.zeros(len(size)))
        if found is None:
            return None
        at, (height, _, information) = found
        return CoxFit(self, at / size, np.linalg.inv(information) / np.outer(size, size), height)

    def _at(self, params: Array) -> Partial:
        """The likelihood and its derivatives at some coefficients."""
        return partial_likelihood(self._sorted, self._exog, self._offset, np.asarray(params, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class CoxFit:
    """A Cox model at its maximum, as far as a result of statsmodels is asked for it."""

    model: CoxModel
    params: Array  #: (p,)
    covariance: Array  #: (p, p) inverse information
    llf: float

    def cov_params(self) -> Array:
        """Return the covariance of the coefficients, shape (p, p)."""
        return self.covariance


def _sorted(
    time: Array, event: npt.NDArray[np.bool_], entry: Array | None, stratum: npt.NDArray[np.generic] | None, efron: bool
) -> _Sorted:
    """Sort rows by stratum and end, and find who is at risk at each death."""
    code = np.zeros(len(time), dtype=np.int64) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    code = code.reshape(-1)
    rows = np.lexsort((-time, code))
    stop, strata = time[rows], code[rows]
    bounds = np.flatnonzero(np.diff(strata, prepend=-1, append=strata[-1] + 1))
    segments = tuple(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))
    start = None if entry is None else entry[rows]
    found = [_of_stratum(stop[a:b], event[rows][a:b], None if start is None else start[a:b]) for a, b in segments]
    counts = np.array([len(one.times) for one in found])
    base = np.concatenate([[0], np.cumsum(counts)])
    begin = np.array([a for a, _ in segments])
    group = np.concatenate([one.group + base[k] for k, one in enumerate(found)])
    deaths = np.bincount(group, minlength=base[-1])
    turn = np.arange(len(group)) - np.repeat(np.cumsum(deaths) - deaths, deaths)
    late = entry is not None and any(one.not_yet.any() for one in found)
    return _Sorted(
        rows=rows,
        segments=segments,
        entered=np.concatenate([one.entered + begin[k] for k, one in enumerate(found)]) if late else None,
        death=np.concatenate([one.death + begin[k] for k, one in enumerate(found)]),
        group=group,
        share=turn / deaths[group] if efron else np.zeros(len(group)),
        at_risk=np.concatenate([one.at_risk + begin[k] for k, one in enumerate(found)]),
        not_yet=np.concatenate([one.not_yet for one in found]),
        stratum_of=np.repeat(np.arange(len(found)), counts),
        upto=np.concatenate([one.upto for one in found]),
        after=np.concatenate([one.after for one in found]),
        groups=tuple(zip(base[:-1].tolist(), base[1:].tolist(), strict=True)),
    )


class _Stratum(NamedTuple):
    """The same of one stratum, positions and groups counted within it."""

    times: Array
    death: Rows
    group: Rows
    at_risk: Rows
    entered: Rows
    not_yet: Rows
    upto: Rows
    after: Rows


def _of_stratum(stop: Array, event: npt.NDArray[np.bool_], start: Array | None) -> _Stratum:
    """Sort one stratum, whose rows come with the last end first."""
    times = np.unique(stop[event])
    death = np.flatnonzero(event)[::-1]  # by time
    group = np.searchsorted(times, stop[death])
    at_risk = np.searchsorted(-stop, -times, side="right") - 1
    upto = np.searchsorted(times, stop, side="right")
    if start is None:
        none = np.zeros(0, dtype=np.int64)
        return _Stratum(times, death, group, at_risk, none, np.zeros_like(at_risk), upto, np.zeros_like(upto))
    entered = np.argsort(-start, kind="stable")
    not_yet = np.searchsorted(-start[entered], -times, side="right")
    return _Stratum(times, death, group, at_risk, entered, not_yet, upto, np.searchsorted(times, start, side="right"))


def partial_likelihood(data: _Sorted, exog: Array, offset: Array, params: Array) -> Partial:
    r"""Log partial likelihood of sorted rows, its derivative and its information.

    Notes
    -----
    Of d deaths at one time the j-th sees all at risk, the dying with weight 1 - j/d (Efron) or 1 (Breslow), j from 0.
    The second moments of all risk sets are one product: :math:`\sum_i w_i c_i x_i x_i'`, where :math:`c_i` adds up
    :math:`1/S_j`, so weighted, over the deaths at which row i was at risk.

    References
    ----------
    Therneau, T. M. and Grambsch, P. M. (2000). *Modeling Survival Data: Extending the Cox Model*. Springer, section
    3.3 and 3.4.
    """
    linear = exog @ params + offset
    for begin, end in data.segments:  # a factor common to a stratum cancels
        linear[begin:end] -= linear[begin:end].max()
    with np.errstate(over="ignore"):
        hazard = np.exp(linear)
    both = np.column_stack([hazard, hazard[:, None] * exog])
    sums = _from_the_end(both, data.segments)[data.at_risk]
    if data.entered is not None:
        later = _from_the_end(both[data.entered], data.segments)
        begin_of = np.array([a for a, _ in data.segments])[data.stratum_of]
        waiting = data.not_yet > 0
        sums[waiting] -= later[(begin_of + data.not_yet - 1)[waiting]]
    first = np.flatnonzero(np.diff(data.group, prepend=-1))
    dying = np.add.reduceat(both[data.death], first, axis=0)
    each = sums[data.group] - data.share[:, None] * dying[data.group]
    mean = each[:, 1:] / each[:, :1]
    height = float(linear[data.death].sum() - np.log(each[:, 0]).sum())
    score = exog[data.death].sum(axis=0) - mean.sum(axis=0)
    weight = hazard * _exposure(data, 1.0 / each[:, 0], first)
    return Partial(height, score, exog.T @ (weight[:, None] * exog) - mean.T @ mean)


def _exposure(data: _Sorted, inverse: Array, first: Rows) -> Array:
    """The sum of 1/S over the deaths at which each row was at risk, shape (n,); less for the dying under Efron."""
    total = np.add.reduceat(inverse, first)
    exposure = np.empty(len(data.rows))
    for (begin, end), (low, high) in zip(data.segments, data.groups, strict=True):
        grown = np.concatenate([[0.0], np.cumsum(total[low:high])])
        exposure[begin:end] = grown[data.upto[begin:end]] - grown[data.after[begin:end]]
    gone = np.add.reduceat(inverse * data.share, first)
    exposure[data.death] -= gone[data.group]
    return exposure


def _from_the_end(values: Array, segments: tuple[tuple[int, int], ...]) -> Array:
    """Sums of each stratum's rows up to each position, shape as given: no risk set is the difference of two larger."""
    out = np.empty_like(values)
    for begin, end in segments:
        np.cumsum(values[begin:end], axis=0, out=out[begin:end])
    return out

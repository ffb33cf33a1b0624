"""Cox's proportional hazards model with ties, strata and left truncation: a likelihood for covariates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...errors import ModelError
from ...frame.kinds import Kind
from ...typing import Array, Rows
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Problem, estimate
from ..numerics.newton import Likelihood, Peak, draw, maximise
from ..numerics.priors import weak_prior
from ..numerics.separation import columns
from .poisson import NO_LEVELS, SHRUNK

__all__ = ["Cox", "CoxFitted", "NelsonAalen", "RiskSets", "Times", "nelson_aalen", "partial_peak", "risk_sets"]


class Times(NamedTuple):
    """When each row was at risk, by rank: units and origin of time do not matter."""

    stop: Rows  #: (n,) rank of the end within all times, strata far apart
    start: Rows  #: (n,) rank of the entry; below every end of its stratum where there is none
    last: Rows  #: (n,) first rank beyond the row's stratum
    event: Array  #: (n,) 1 at an event, 0 at censoring

    @classmethod
    def of(cls, time: Array, event: Array, entry: Array | None = None, strata: Array | None = None) -> Times:
        """Rank times within strata."""
        stratum = np.zeros(len(time), dtype=np.int64)
        if strata is not None:
            stratum = np.unique(strata, return_inverse=True)[1].reshape(-1)
        known = time if entry is None else np.concatenate([time, entry])
        rank = np.unique(known, return_inverse=True)[1].reshape(-1)
        width = int(rank.max()) + 2
        base = stratum * width
        start = base if entry is None else base + 1 + rank[len(time) :]
        return cls(base + 1 + rank[: len(time)], start, base + width, event.astype(np.float64))


class RiskSets(NamedTuple):
    """Distinct event times of some rows, and who is at risk at each; g of them, d events.

    Positions count the fit rows in order of their end, the last first: who is at risk at a time comes before the rest.
    """

    rows: Rows  #: (n_fit,)
    group: Rows  #: (g,) rank of each distinct event time
    deaths: Array  #: (g,)
    order: Rows  #: (n_fit,) fit rows, the last end first
    ended: Rows  #: (2, g) in that order: where the rows of later strata end, and where the rows at risk end
    split: bool  #: whether there are several strata
    entry: Rows  #: (n_fit,) positions, the last entry first
    entered: Rows  #: (2, g) in that order: where the rows of later strata end, and where the rows not yet entered end
    late: bool  #: whether any row enters after an event of its stratum
    died: Rows  #: (d,) positions of the rows with an event, in order of their time
    died_in: Rows  #: (d,) their group
    first: Rows  #: (g,) where each group begins among them
    share: Array  #: (d,) share of the tied deaths already gone at each, 0 under Breslow
    upto: Rows  #: (n_fit,) by position, number of groups up to each row's end
    after: Rows  #: (n_fit,) by position, number of groups up to each row's entry


def risk_sets(times: Times, rows: Rows, efron: bool) -> RiskSets:
    """Find the distinct event times of some rows and who is at risk at each."""
    stop, start, last, event = (x[rows] for x in times)
    # Summed from the last end backwards, so that a small risk set is not the difference of two large ones.
    order = np.argsort(-stop, kind="stable")
    stop, start, last, event = stop[order], start[order], last[order], event[order]
    died = np.flatnonzero(event > 0)
    died = died[np.argsort(stop[died], kind="stable")]
    group, first, died_in = np.unique(stop[died], return_index=True, return_inverse=True)
    died_in = died_in.reshape(-1)
    deaths = np.bincount(died_in, minlength=len(group)).astype(np.float64)
    entry = np.argsort(-start, kind="stable")
    bounds = np.vstack([last[died][first], group])
    ended = np.searchsorted(-stop, -bounds, side="right")
    entered = np.searchsorted(-start[entry], -bounds, side="right")
    late = bool(np.any(entered[0] < entered[1]))
    share = (np.arange(len(died)) - first[died_in]) / deaths[died_in] if efron else np.zeros(len(died))
    upto, after = (np.searchsorted(group, edge, side="right") for edge in (stop, start))
    return RiskSets(
        rows, group.astype(np.int64), deaths, order, ended, bool(ended[0].any()), entry, entered, late, died, died_in,
        first.astype(np.int64), share, upto, after,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class CoxFitted:
    """Drawn coefficients, and the baseline hazard that belongs to them."""

    coef: Array  #: (p,)
    hazard: Array  #: (n,) cumulative baseline hazard over each row's time at risk
    event: Array  #: (n,)
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Survival times are not drawn."""
        raise ModelError("survival times are not imputed.", do="df.mice.pattern()")

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log of u e^(1-u) at an event and of e^-u at censoring, u the cumulative hazard, shape (n,).

        Here y are row numbers: a row's outcome is its time at risk and whether it ended in an event.
        """
        rows = y.astype(np.int64)
        hazard, event = self.hazard[rows], self.event[rows]
        with np.errstate(all="ignore"):
            log_u = np.log(hazard) + linear
            u = np.exp(np.minimum(log_u, 700.0))
            died = np.minimum(log_u + 1.0 - u, 0.0)
        # Before the first event the baseline is 0: nothing is learnt from surviving it.
        return np.where(event > 0, np.where(hazard > 0, died, 0.0), -u)

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        rows = y.astype(np.int64)
        hazard, event = self.hazard[rows], self.event[rows]
        u = hazard * np.exp(np.minimum(linear, 300.0))
        return np.where((event > 0) & (hazard > 0), 1.0 - u, -u), u


@dataclass(frozen=True, slots=True)
class Cox:
    """Likelihood of covariate values under a Cox model (the outcome itself is not imputed).

    Parameters
    ----------
    ties : {"efron", "breslow"}
        How tied event times enter the partial likelihood.
    times, sets : Times and RiskSets of all rows, optional
        Bound when a chain starts; never part of a plan.

    Notes
    -----
    1. Maximise the partial likelihood, draw the coefficients from N(b, I^-1).
    2. Recompute Breslow's baseline at the drawn coefficients, per stratum, minus that at entry.

    A row is at risk after its entry, up to and including its end. Where the partial likelihood has no top (a group
    without events) the slopes of the standardised predictors get a N(0, 2.5^2) prior (Gelman et al. 2008).

    References
    ----------
    Efron, B. (1977). The efficiency of Cox's likelihood function for censored data. *JASA* 72(359), 557-565.
    Breslow, N. (1974). Covariance analysis of censored survival data. *Biometrics* 30(1), 89-99.
    Bartlett, J. W. et al. (2015). *SMMR* 24(4), 462-487, section 4.3.
    """

    ties: str = "breslow"
    times: Times | None = None
    sets: RiskSets | None = None
    kinds: ClassVar[frozenset[Kind]] = frozenset()
    reference: ClassVar[str] = (
        "Cox, D. R. (1972). Regression models and life-tables. Journal of the Royal Statistical Society B "
        "34(2), 187-220. doi:10.1111/j.2517-6161.1972.tb00899.x\n"
        "Breslow, N. (1974). Covariance analysis of censored survival data. Biometrics 30(1), 89-99. "
        "doi:10.2307/2529620"
    )
    facts: ClassVar[Facts] = Facts(offers=Offers(), truncates=False, survival=True)

    def bound(self, times: Times) -> Cox:
        """The same, knowing its times."""
        return Cox(self.ties, times, risk_sets(times, np.arange(len(times.stop)), self.ties == "efron"))

    def fit(self, visit: Visit, rng: np.random.Generator) -> CoxFitted:
        """Estimate, draw the coefficients, and recompute the baseline hazard; y are row numbers."""
        assert self.times is not None
        X, rows = visit.X, visit.y.astype(np.int64)
        sets = self.sets
        if sets is None or not np.array_equal(rows, sets.rows):
            sets = risk_sets(self.times, rows, self.ties == "efron")
        found = columns(X - X.mean(axis=0), visit.terms)
        offset = np.zeros(len(rows)) if visit.offset is None else visit.offset

        def likelihood(rescue: bool) -> Likelihood:
            plain = _partial(sets, found.X, offset)
            return weak_prior(plain, found.X, constant=False) if rescue else plain

        yardstick = found.unit * len(rows) / max(len(sets.died), 1)
        problem = Problem(likelihood, np.zeros(len(found.kept)), yardstick, SHRUNK, keeps_curvature=False)
        peak, warm_start, events = estimate(problem, found, NO_LEVELS, visit.warm, len(rows))
        coef = np.zeros(X.shape[1])
        coef[found.kept] = draw(peak.estimate, peak.root, rng)
        hazard = _baseline(sets, self.times, np.exp(X @ coef + offset))
        return CoxFitted(coef, hazard, self.times.event, warm_start, events, found.dropped)


class NelsonAalen:
    """Cumulative hazard without covariates, learnt once; a stateful transform of formulas.

    A covariate's model that knows the event indicator and this hazard approximates what a Cox analysis implies.

    References
    ----------
    White, I. R. and Royston, P. (2009). Imputing missing covariate values for the Cox model. *Statistics in
    Medicine* 28(15), 1982-1998. doi:10.1002/sim.3618
    """

    def __init__(self) -> None:
        self.steps: dict[Any, tuple[Array, Array]] = {}

    def memorize_chunk(self, time: Any, event: Any, entry: Any = None, strata: Any = None) -> None:
        """Learn the hazard of each stratum from all rows."""
        time, event = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=np.float64)
        stratum = np.zeros(len(time)) if strata is None else np.asarray(strata)
        for level in np.unique(stratum):
            rows = np.flatnonzero(stratum == level)
            late = None if entry is None else np.asarray(entry, dtype=np.float64)[rows]
            sets = risk_sets(Times.of(time[rows], event[rows], late), np.arange(len(rows)), False)
            risk = _at_risk(sets, np.ones((1, len(rows))))[0]
            self.steps[level] = (np.unique(time[rows][event[rows] > 0]), np.cumsum(sets.deaths / risk))

    def memorize_finish(self) -> None:
        """No further step is needed after the first pass."""

    def transform(self, time: Any, event: Any, entry: Any = None, strata: Any = None) -> Array:
        """Each row's cumulative hazard over its time at risk, shape (n,)."""
        found = np.zeros(len(np.asarray(time)))
        stratum = np.zeros(len(found)) if strata is None else np.asarray(strata)
        for level, (times, hazard) in self.steps.items():
            rows = np.flatnonzero(stratum == level)
            steps = np.concatenate([[0.0], hazard])
            found[rows] = steps[np.searchsorted(times, np.asarray(time)[rows], side="right")]
            if entry is not None:
                found[rows] -= steps[np.searchsorted(times, np.asarray(entry)[rows], side="right")]
        return found


def nelson_aalen(time: Any, event: Any, entry: Any = None, strata: Any = None) -> Array:
    """Cumulative hazard of each row over its time at risk, shape (n,); in a formula, learnt once.

    Examples
    --------
    >>> nelson_aalen(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 1.0])).round(3)
    array([0.333, 0.333, 1.333])
    """
    learnt = NelsonAalen()
    learnt.memorize_chunk(time, event, entry, strata)
    return learnt.transform(time, event, entry, strata)


nelson_aalen.__patsy_stateful_transform__ = NelsonAalen  # type: ignore[attr-defined]


def partial_peak(times: Times, X: Array, ties: str = "breslow") -> Peak:
    """The top of the log partial likelihood of a design, shape (n, p)."""
    sets = risk_sets(times, np.arange(len(X)), ties == "efron")
    return maximise(_partial(sets, X - X.mean(axis=0)), np.zeros(X.shape[1]))


def _tails(values: Array, bounds: Rows, split: bool) -> Array:
    """Sums of the values between each pair of bounds, shape (k, g); values are (k, n)."""
    total = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    found = total[:, bounds[1]]
    return found - total[:, bounds[0]] if split else found


def _at_risk(sets: RiskSets, values: Array) -> Array:
    """Sums over everyone at risk at each event time, shape (k, g); values are (k, n_fit) by position."""
    there = _tails(values, sets.ended, sets.split)
    return there - _tails(values[:, sets.entry], sets.entered, True) if sets.late else there


def _partial(sets: RiskSets, X: Array, offset: Array | float = 0.0) -> Likelihood:
    """Log partial likelihood, its gradient and Hessian; ``offset`` is the known part of the log hazard."""
    died, died_in, tied = sets.died, sets.died_in, bool(np.any(sets.share > 0))
    n, q = X.shape
    X = np.ascontiguousarray(X[sets.order].T)
    known = offset[sets.order] if isinstance(offset, np.ndarray) else offset
    events = X[:, died].sum(axis=1)
    weighted = np.empty((q + 1, n))
    cumulative = np.zeros(len(sets.group) + 1)
    entered = bool(sets.after.any())

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        linear = beta @ X + known
        top = float(linear.max())
        weight = np.exp(linear - top, out=weighted[q])
        np.multiply(X, weight, out=weighted[:q])
        sums = _at_risk(sets, weighted)
        copies = sets.deaths
        if tied:
            gone = np.add.reduceat(weighted[:, died], sets.first, axis=1)
            sums = sums[:, died_in] - sets.share * gone[:, died_in]
            copies = np.ones(len(died))
        total = sums[q]
        if not (total > 0).all():
            return -np.inf, np.zeros(q), -np.eye(q)
        mean = sums[:q] / total
        rise = copies / total
        np.cumsum(np.bincount(died_in, rise, len(sets.group)) if tied else rise, out=cumulative[1:])
        load = cumulative[sets.upto]
        if entered:
            load -= cumulative[sets.after]
        if tied:
            load[died] -= np.bincount(died_in, sets.share * rise, len(sets.group))[died_in]
        value = float(linear[died].sum() - copies @ np.log(total)) - top * len(died)
        hessian = (mean * copies) @ mean.T - (weighted[:q] * load) @ X.T
        return value, events - mean @ copies, hessian

    return likelihood


def _baseline(sets: RiskSets, times: Times, weight: Array) -> Array:
    """Breslow's cumulative baseline hazard over each row's time at risk, for all rows, shape (n,)."""
    risk = _at_risk(sets, weight[None, sets.order])[0]
    cumulative = np.concatenate([[0.0], np.cumsum(sets.deaths / risk)])
    if len(sets.rows) == len(times.stop):  # all rows were fitted
        hazard = np.empty(len(sets.rows))
        hazard[sets.rows[sets.order]] = cumulative[sets.upto] - cumulative[sets.after]
        return hazard
    upto = np.searchsorted(sets.group, times.stop, side="right")
    after = np.searchsorted(sets.group, times.start, side="right")
    return np.asarray(cumulative[upto] - cumulative[after])

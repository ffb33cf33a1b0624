"""Repeat a chain with the same random numbers and record the last draw of one missing value, for `imp.explain`.

The streams are those of the imputation, so the bits are too.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...formula.derived import Derived
from ...formula.design import Designs
from ...frame.table import Table
from ...typing import Array, Rows
from ..contract import facts_of
from ..methods.pmm import nearest
from ..plan.groups import rows_of
from ..plan.plan import Plan
from ..seed import Seed
from .chain import ChainState, VisitRecord, with_effect
from .collapsed_term import together
from .engine import Engine
from .first_fill import start
from .likelihood_terms import ScoresValues
from .runs import one_thread
from .samplers import TransformedOutcome

__all__ = ["ReplayedDraw", "ValueDistribution", "replay"]

_GRID = np.linspace(-8.0, 8.0, 4001)  # standard deviations of the own model, where the likelihood terms are evaluated


@dataclass(frozen=True, slots=True)
class ValueDistribution:
    """A distribution of one value: its median and where 90 % of it lie, or a probability for each level."""

    low: float = np.nan  #: 5 % lie below
    median: float = np.nan
    high: float = np.nan  #: 5 % lie above
    levels: tuple[float, ...] = ()  #: probabilities of the levels, in order


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ReplayedDraw:
    """Record of the last draw of one missing value."""

    value: float  #: drawn: a number or a level code
    names: tuple[str, ...]  #: columns of the own model (p)
    stood: Array  #: (p,) their values in this row, in the user's units
    coef: Array  #: (p,) or (p, k) drawn coefficients in the user's units
    own: ValueDistribution | None  #: distribution under the own model alone; None where it has no density
    weighed: ValueDistribution | None  #: the same after all likelihood terms; None where there is none
    acceptance: (
        float  #: probability that a proposal of the own model is accepted in this row; NaN without likelihood terms
    )
    terms: tuple[str, ...]  #: names of the likelihood terms
    donors: Rows  #: rows whose values could have been taken, nearest first; empty but for matching
    distances: Array  #: of the donors' predictions from this row's
    sampler: str = "own"  #: which drew it
    power: float | None = None  #: exponent of the scale, where the own model has one


def replay(
    table: Table, plan: Plan, seed: Seed, number: int, sweeps: int, name: Hashable, row: int,
    derived: Sequence[Derived] = (), designs: Designs | None = None, attempt: int = 0,
) -> ReplayedDraw:  # fmt: skip
    """Run a chain again and watch the last visit to one missing value.

    Parameters
    ----------
    table : Table
        As the plan reads it.
    plan : Plan
    seed : Seed
    number : int
        Which chain.
    sweeps : int
        How many it has done.
    name : hashable
        The column.
    row : int
        A row of its missing values.
    derived : sequence of Derived, optional
    designs : Designs, optional
        Of the plan's analyses on the table, where some were frozen before.
    attempt : int, default 0
        How often the chain was drawn before.

    Returns
    -------
    ReplayedDraw
        Costs as much as one of the m chains did.
    """
    if plan.groups:
        for place, (rows, (_, inner)) in enumerate(
            zip(rows_of(table, plan.options.by).values(), plan.groups, strict=True)
        ):
            if row in rows:
                at = int(np.searchsorted(rows, row))
                seen = replay(
                    table.part(rows), inner, seed.child(place), number, sweeps, name, at, derived, attempt=attempt
                )
                return replace(seen, donors=rows[seen.donors])
    found: list[ReplayedDraw] = []
    with one_thread():
        engine = Engine(table, plan, derived, designs=designs)
        state, at = ChainState(engine, None), int(np.searchsorted(table[name].missing, row))

        def watch(record: VisitRecord) -> None:
            if record.variable.name == name:
                found.append(_Seen(engine, state, record, at).witnessed())

        seed = seed.again(attempt)
        start(state, seed.stream(number, 0))
        for sweep in range(1, sweeps + 1):
            state.sweep(seed.stream(number, sweep), sweep, watch if sweep == sweeps else None)
    return found[0]


class _Seen:
    """What a visit says of one missing value, while the columns are as it saw them.

    Parameters
    ----------
    engine : Engine
    state : ChainState
    record : VisitRecord
    at : int
        Position of the value among the missing ones of its variable.
    """

    def __init__(self, engine: Engine, state: ChainState, record: VisitRecord, at: int) -> None:
        self.engine, self.state, self.record, self.at = engine, state, record, at
        self.name, self.own, self.model = record.variable.name, record.own.fitted, record.own.model
        self.effect = None if record.effect is None else float(record.effect[at])
        self.constraint = engine.constraint(self.name, state.values)
        self.x = state.store.gathered(self.name)[at, self.model.columns]

    def witnessed(self) -> ReplayedDraw:
        """The record of the draw."""
        layout, columns = self.engine.layout, self.model.columns
        own, weighed, acceptance = self._spreads()
        stood = layout.centre[columns] + self.x * layout.scale[columns]
        shown = columns != 0 if hasattr(self.own, "cuts") else slice(None)  # cut points stand for the constant
        labels, stood, coef = tuple(map(layout.label, columns[shown])), stood[shown], self._in_units()[shown]
        if self.effect is not None:
            added = self.effect * getattr(self.own, "scale", 1.0)
            labels, stood, coef = (*labels, "its cluster"), np.append(stood, 1.0), np.append(coef, added)
        donors, distances = self._donors()
        return ReplayedDraw(
            value=float(self.record.draw.values[self.at]), names=labels, stood=stood, coef=coef, own=own,
            weighed=weighed, acceptance=acceptance, terms=self._labels(), donors=donors, distances=distances,
            sampler=self.engine.choices[self.name].sampler.value, power=getattr(self.own, "power", None),
        )  # fmt: skip

    def _donors(self) -> tuple[Rows, Array]:
        """Rows whose values could have been taken, nearest first, and their distances."""
        seen = self.record.own.seen
        if seen is None or not facts_of(self.record.own.method).matches:
            return np.empty(0, dtype=np.int64), np.empty(0)
        every = np.arange(self.engine.table.n_rows)
        rows, distances = nearest(seen, self.own, self.x, every if seen.rows is None else seen.rows)
        once = np.sort(np.unique(rows, return_index=True)[1])  # a row may stand for several
        return rows[once], distances[once]

    def _labels(self) -> tuple[str, ...]:
        """Names of the likelihood terms and of the constraint."""
        found, constraint = list(self.record.labels), self.constraint
        if constraint is not None:
            found += ["its bounds"] * constraint.bounded + ["conditions"] * (constraint.allowed is not None)
        return tuple(found)

    def _in_units(self) -> Array:
        """Drawn coefficients of the own model, from centred and scaled columns back to the user's units."""
        coef = getattr(self.own, "coef", None)
        layout, columns = self.engine.layout, self.model.columns
        if coef is None or len(coef) != len(columns):
            return np.full(len(columns), np.nan)
        flat = np.asarray(coef, dtype=np.float64).reshape(len(columns), -1)
        centre, scale = getattr(self.own, "centre", 0.0), getattr(self.own, "scale", 1.0)
        if facts_of(self.record.own.method).matches and self.record.own.seen is not None:  # it keeps neither
            cross = self.record.own.seen.cross()
            centre, scale = cross.centre, cross.scale
        slope = scale * flat / layout.scale[columns][:, None]
        shift = centre - layout.centre[columns] @ slope
        slope[columns == 0] += shift
        return slope.reshape(np.shape(coef))

    def _spreads(self) -> tuple[ValueDistribution | None, ValueDistribution | None, float]:
        """Distribution of the row under its own model, alone and weighted, and the probability of acceptance."""
        own, at, x, constraint = self.own, self.at, self.x, self.constraint
        if self.effect is not None:
            own, wider = with_effect(own, x[None, :], np.array([self.effect]))
            x = wider[0]
        terms: list[ScoresValues] = list(self.record.terms)
        grouped_rows = self.engine.grouped_rows.get(self.name)
        if grouped_rows is not None:
            terms = [together(term, grouped_rows) for term in terms]
            at = int(grouped_rows.unit[at])
            constraint = None if constraint is None else constraint.shared(grouped_rows)
        inverse = self.engine.inverse(self.name)
        if inverse is not None:
            own = TransformedOutcome(own, self.name, *inverse)
        if hasattr(own, "mean_sd"):
            mean, sd = own.mean_sd(x[None, :])
            weight, shift = self._weight()
            points = own.backward(mean[0] + shift + np.ravel(sd)[0] / np.sqrt(weight) * _GRID)
            start = np.exp(-0.5 * _GRID**2)
            if hasattr(own, "labelled"):
                start = np.exp(own.log_density(points, np.tile(x, (len(points), 1))))
            if getattr(own, "reach", None) is not None:
                low, high = own.ends(mean + shift)
                points[(own.forward(points) < low) | (own.forward(points) > high)] = np.nan
        elif hasattr(own, "log_probabilities"):
            start = np.exp(own.log_probabilities(x[None, :])[0])
            points = np.arange(len(start), dtype=np.float64)
        else:
            return None, None, np.nan
        levels, whole = self.engine.table[self.name].kind.discrete, not hasattr(own, "mean_sd")
        good = np.isfinite(points)
        start = start / start.sum()
        terms = terms if constraint is None else [*terms, constraint]
        liked = np.exp(_score(terms, at, points[good]))
        shown = _distribution(points[good], start[good], levels, whole)
        if not terms or not (start[good] * liked).any():
            return shown, None, np.nan
        choice = self.record.choice
        # Proposals come from the normal into which some terms are multiplied, within the bounds.
        first = [term for term, normal in zip(terms, choice.multiplied, strict=False) if normal]
        proposed = start.copy()
        proposed[good] *= np.exp(_score(first, at, points[good]))
        if constraint is not None and constraint.bounded and choice.normals:
            numbers = constraint.numbers(points[good])
            proposed[good] *= (constraint.low[at] <= numbers) & (numbers <= constraint.high[at])
        weighed = _distribution(points[good], start[good] * liked, levels, whole)
        return shown, weighed, float((start[good] * liked).sum() / proposed.sum())

    def _weight(self) -> tuple[float, float]:
        """Prior weight and offset of the row in its own factor."""
        runtime, row = self.engine.own_factor[self.name], self.engine.table[self.name].missing[self.at]
        if runtime is None:
            return 1.0, 0.0
        weights, offset = runtime.weights, runtime.offset
        return 1.0 if weights is None else float(weights[row]), 0.0 if offset is None else float(offset[row])


def _score(terms: Sequence[ScoresValues], at: int, points: Array) -> Array:
    """Log weight of some values in one row, summed over the terms, at most 0, shape (len(points),)."""
    where = np.full(len(points), at)
    total = np.zeros(len(points))
    for term in terms:
        total += term.log_accept(where, points)
    return total


def _distribution(points: Array, weights: Array, levels: bool, whole: bool) -> ValueDistribution:
    """Quantiles of weighted points in ascending order, or the share of each."""
    weights = weights / weights.sum()
    if levels:
        return ValueDistribution(levels=tuple(weights.tolist()))
    quantiles = [0.05, 0.5, 0.95]
    if whole:
        low, median, high = points[np.searchsorted(np.cumsum(weights), quantiles)].tolist()
    else:
        low, median, high = np.interp(quantiles, np.cumsum(weights) - 0.5 * weights, points).tolist()
    return ValueDistribution(low, median, high)

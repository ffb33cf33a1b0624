"""A visit once more: a chain run again to the moment when it drew one hole for the last time, and what it saw there.

The streams are those of the imputation, so the bits are too.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..formula.derived import Derived
from ..frame.kinds import Rows
from ..frame.table import Table
from .bench import Judging, Together
from .chain import Running, Seed
from .contract import Array, Fitted
from .drawing import Draw, Undone
from .engine import Engine, Ready
from .groups import rows_of
from .methods.pmm import PMMFitted, nearest
from .plan import Plan, Variable
from .runs import one_thread
from .store import Model

__all__ = ["Spread", "Witnessed", "replay"]

_GRID = np.linspace(-8.0, 8.0, 4001)  # standard deviations of the own model, where the judges are asked


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution of one value: its median and where 90 % of it lie, or a probability for each level."""

    low: float = np.nan  #: 5 % lie below
    median: float = np.nan
    high: float = np.nan  #: 5 % lie above
    levels: tuple[float, ...] = ()  #: probabilities of the levels, in order


@dataclass(frozen=True, slots=True, eq=False)
class Witnessed:
    """What was seen of one hole at its last visit."""

    value: float  #: drawn: a number or a level code
    names: tuple[str, ...]  #: columns of the own model (p)
    stood: Array  #: (p,) their values in this row, in the user's units
    coef: Array  #: (p,) or (p, k) drawn coefficients in the user's units
    own: Spread | None  #: what the own model alone says of this row; None where it has no density
    weighed: Spread | None  #: the same after all judges; None where there is none
    acceptance: float  #: probability that a proposal of the own model is accepted in this row; NaN without judges
    judges: tuple[str, ...]  #: who weighs
    donors: Rows  #: rows whose values could have been taken, nearest first; empty but for matching
    distances: Array  #: of the donors' predictions from this row's
    sampler: str = "own"  #: which drew it
    power: float | None = None  #: exponent of the scale, where the own model has one


def replay(
    table: Table, plan: Plan, seed: Seed, number: int, sweeps: int, name: Hashable, row: int,
    derived: Sequence[Derived] = (),
) -> Witnessed:  # fmt: skip
    """Run a chain again and watch the last visit to one hole.

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
        A row of its holes.
    derived : sequence of Derived, optional

    Returns
    -------
    Witnessed
        Costs as much as one of the m chains did.
    """
    if plan.groups:
        for place, (rows, (_, inner)) in enumerate(
            zip(rows_of(table, plan.wishes.by).values(), plan.groups, strict=True)
        ):
            if row in rows:
                at = int(np.searchsorted(rows, row))
                seen = replay(table.part(rows), inner, seed.child(place), number, sweeps, name, at, derived)
                return replace(seen, donors=rows[seen.donors])
    with one_thread():
        witness = _Witness(Engine(table, plan, derived), name, int(np.searchsorted(table[name].missing, row)))
        witness.start(seed.stream(number, 0))
        for sweep in range(1, sweeps + 1):
            witness.watching = sweep == sweeps
            witness.sweep(seed.stream(number, sweep), sweep)
    assert witness.witnessed is not None
    return witness.witnessed


class _Witness(Running):
    """A chain that remembers one hole."""

    def __init__(self, engine: Engine, name: Hashable, at: int) -> None:
        super().__init__(engine, None)
        self.name, self.at, self.watching = name, at, False
        self.witnessed: Witnessed | None = None
        self.own: Any = None
        self.model: Model = Model(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        self.judges: list[tuple[str, Judging]] = []
        self.donors: tuple[Rows, Array] = np.empty(0, dtype=np.int64), np.empty(0)
        self.units = 0.0, 1.0  #: centre and scale of the response, where the fitted model does not keep them
        self.visited: Any = None

    def _draw_column(self, variable: Variable, rng: np.random.Generator) -> Draw:
        """The draw of plain chained equations, watched."""
        drawn = super()._draw_column(variable, rng)
        return self._watched(variable, drawn)

    def _draw_joint(self, variable: Variable, rng: np.random.Generator) -> Draw:
        """The draw from the joint model, watched."""
        self.judges = []
        drawn = super()._draw_joint(variable, rng)
        return self._watched(variable, drawn)

    def _own(self, variable: Variable, rng: np.random.Generator) -> tuple[Fitted, Model]:
        self.own, self.model = super()._own(variable, rng)
        return self.own, self.model

    def _bench(self, ready: Ready, name: Hashable, rng: np.random.Generator) -> Any:
        bench = super()._bench(ready, name, rng)
        self.judges.append((ready.label, bench))
        return bench

    def _visit(self, name: Hashable, model: Model, rows: Rows | None, warm: Any) -> Any:
        self.visited = super()._visit(name, model, rows, warm), rows
        self.model = model
        return self.visited[0]

    def _noted(self, key: Any, fitted: Fitted, label: Hashable) -> Fitted:
        if key == self.name:
            self.own = fitted
            if self.watching and isinstance(fitted, PMMFitted) and self.visited is not None:
                X = self.store.gathered(self.name)[[self.at]][:, self.model.columns]
                visit, rows = self.visited
                cross = visit.cross()
                self.units = cross.centre, cross.scale
                rows = np.arange(self.table.n_rows) if rows is None else rows
                self.donors = nearest(visit, fitted, X[0], rows)
        return super()._noted(key, fitted, label)

    def _watched(self, variable: Variable, drawn: Draw) -> Draw:
        """Keep what was seen, before the values are written."""
        if self.watching and variable.name == self.name:
            layout, columns = self.engine.layout, self.model.columns
            x = self.store.gathered(self.name)[self.at, columns]
            own, weighed, acceptance = self._spreads(x)
            stood = layout.centre[columns] + x * layout.scale[columns]
            shown = columns != 0 if hasattr(self.own, "cuts") else slice(None)  # cut points stand for the constant
            self.witnessed = Witnessed(
                float(drawn.values[self.at]), tuple(map(layout.label, columns[shown])), stood[shown],
                self._in_units()[shown], own, weighed, acceptance, self._labels(),
                *self.donors, self.engine.choices[self.name].sampler.value, getattr(self.own, "power", None),
            )  # fmt: skip
        return drawn

    def _labels(self) -> tuple[str, ...]:
        """Who judges, and what is known of the value."""
        found, fence = [label for label, _ in self.judges], self.engine.fence(self.name, self.values)
        if fence is not None:
            found += ["its bounds"] * fence.bounded + ["conditions"] * (fence.allowed is not None)
        return tuple(found)

    def _in_units(self) -> Array:
        """Drawn coefficients of the own model, from centred and scaled columns back to the user's units."""
        coef = getattr(self.own, "coef", None)
        layout, columns = self.engine.layout, self.model.columns
        if coef is None or len(coef) != len(columns):
            return np.full(len(columns), np.nan)
        flat = np.asarray(coef, dtype=np.float64).reshape(len(columns), -1)
        centre, scale = (getattr(self.own, "centre", self.units[0]), getattr(self.own, "scale", self.units[1]))
        slope = scale * flat / layout.scale[columns][:, None]
        shift = centre - layout.centre[columns] @ slope
        slope[columns == 0] += shift
        return slope.reshape(np.shape(coef))

    def _spreads(self, x: Array) -> tuple[Spread | None, Spread | None, float]:
        """What the own model says of the row, alone and weighed, and the probability of acceptance."""
        own, at = self.own, self.at
        judges: list[Judging] = [bench for _, bench in self.judges]
        fence = self.engine.fence(self.name, self.values)
        members = self.engine.members.get(self.name)
        if members is not None:
            judges, at = [Together(bench, members) for bench in judges], int(members.unit[at])  # type: ignore[arg-type]
            fence = None if fence is None else fence.shared(members)
        inverse = self.engine.inverse(self.name) if self.name in self.engine.own_factor else None
        if inverse is not None:
            own = Undone(own, self.name, *inverse)
        if hasattr(own, "mean_sd"):
            mean, sd = own.mean_sd(x[None, :])
            weight, shift = self._weight()
            points = own.backward(mean[0] + shift + np.ravel(sd)[0] / np.sqrt(weight) * _GRID)
            start = np.exp(-0.5 * _GRID**2)
            if getattr(own, "reach", None) is not None:
                low, high = own.ends(mean + shift)
                points[(own.forward(points) < low) | (own.forward(points) > high)] = np.nan
        elif hasattr(own, "log_probabilities"):
            start = np.exp(own.log_probabilities(x[None, :])[0])
            points = np.arange(len(start), dtype=np.float64)
        else:
            return None, None, np.nan
        levels, whole = self.table[self.name].kind.discrete, not hasattr(own, "mean_sd")
        good = np.isfinite(points)
        start = start / start.sum()
        judges = judges if fence is None else [*judges, fence]
        liked = np.exp(_score(judges, at, points[good]))
        shown = _spread(points[good], start[good], levels, whole)
        if not judges or not (start[good] * liked).any():
            return shown, None, np.nan
        choice = self.engine.choices[self.name]
        # Proposals come from the normal into which some judges are multiplied, within the bounds.
        first = [judge for judge, normal in zip(judges, choice.multiplied, strict=False) if normal]
        proposed = start.copy()
        proposed[good] *= np.exp(_score(first, at, points[good]))
        if fence is not None and fence.bounded and choice.normals:
            numbers = fence.numbers(points[good])
            proposed[good] *= (fence.low[at] <= numbers) & (numbers <= fence.high[at])
        weighed = _spread(points[good], start[good] * liked, levels, whole)
        return shown, weighed, float((start[good] * liked).sum() / proposed.sum())

    def _weight(self) -> tuple[float, float]:
        """Prior weight and offset of the row in its own factor."""
        ready, row = self.engine.own_factor[self.name], self.table[self.name].missing[self.at]
        if ready is None:
            return 1.0, 0.0
        weights, offset = ready.weights, ready.offset
        return 1.0 if weights is None else float(weights[row]), 0.0 if offset is None else float(offset[row])


def _score(judges: Sequence[Judging], at: int, points: Array) -> Array:
    """How much all judges like some values in one row, at most 0, shape (len(points),)."""
    where = np.full(len(points), at)
    total = np.zeros(len(points))
    for judge in judges:
        total += judge.log_accept(where, points)
    return total


def _spread(points: Array, weights: Array, levels: bool, whole: bool) -> Spread:
    """Quantiles of weighted points in ascending order, or the share of each."""
    weights = weights / weights.sum()
    if levels:
        return Spread(levels=tuple(weights.tolist()))
    quantiles = [0.05, 0.5, 0.95]
    if whole:
        low, median, high = points[np.searchsorted(np.cumsum(weights), quantiles)].tolist()
    else:
        low, median, high = np.interp(quantiles, np.cumsum(weights) - 0.5 * weights, points).tolist()
    return Spread(low, median, high)

"""Constraint: bounds and conditions on missing values, row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array, Rows
from ..plan.bounds import HALF
from ..plan.derived_constraints import SLACK, Held, amiss, completed_numbers
from .likelihood_terms import GroupedRows

__all__ = ["Constraint", "constraint", "cut_off", "narrowed"]
_UNLESS = -1e6  # finite stand-in for −inf: used when, given the other columns' current values, no allowed value exists


@dataclass(frozen=True, slots=True, eq=False)
class Constraint:
    """An indicator as a likelihood term: log weight 0 where a value is allowed, -inf where it is not."""

    low: Array  #: (n_mis,) in the user's units, -inf where open
    high: Array  #: (n_mis,) inf where open
    numbers: Callable[[Array], Array]  #: from values or level codes to the user's units
    allowed: Callable[[Rows, Array], npt.NDArray[np.bool_]] | None = None  #: what else must hold
    components: bool = False

    @property
    def bounded(self) -> bool:
        """Whether any missing value has a bound."""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    def shared(self, grouped_rows: GroupedRows) -> Constraint:
        """The constraint of units whose values are drawn together: what holds for a unit holds for all its rows."""
        allowed, order, begin = self.allowed, grouped_rows.order, grouped_rows.begin[:-1]

        def all_of(at: Rows, values: Array) -> npt.NDArray[np.bool_]:
            assert allowed is not None
            cells, position = grouped_rows.expanded(at)
            return np.bincount(position[~allowed(cells, values[position])], minlength=len(at)) == 0

        low, high = np.maximum.reduceat(self.low[order], begin), np.minimum.reduceat(self.high[order], begin)
        return Constraint(low, high, self.numbers, None if allowed is None else all_of)

    def log_accept(self, at: Rows, values: Array) -> Array:
        """0 within the constraint, -inf outside its bounds, very low where a condition is violated, (len(at),)."""
        score = np.zeros(len(at))
        if self.allowed is not None:
            score[~self.allowed(at, values)] = _UNLESS
        if self.bounded:
            found = self.numbers(values)
            score[(found < self.low[at]) | (found > self.high[at])] = -np.inf
        return score

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """0: within it no value is likelier than another."""
        return np.zeros(len(at)), np.zeros(len(at))

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """None: it is no normal factor."""
        return None


def constraint(column: Column, ends: tuple[Array, Array] | None) -> Constraint:
    """The constraint on the missing values of a column."""
    none = np.full(len(column.missing), np.inf)
    low, high = (-none, none) if ends is None else (end[column.missing] for end in ends)
    numbers = column.numbers if column.kind.discrete else (lambda values: values)
    return Constraint(low, high, numbers)


_ULPS = 1e-12  # share of a bound by which draws stay inside it


def _span(
    held: Held, name: Hashable, table: Table, values: Mapping[Hashable, Array], rows: Rows
) -> tuple[Array, Array]:
    """Between which numbers of one parent a derived column stays between its ends, the others as they stand.

    Returns
    -------
    low, high : ndarray, each (len(rows),)
        Infinite where open; crossed where nothing lies between.
    """
    data = held.numbers(table, values, rows)
    seen = np.where(np.isfinite(data[name]), data[name], 0.0)
    unit = np.maximum(np.abs(seen), 1.0)
    here, there = (held.one.value({**data, name: at}) for at in (seen, seen + unit))
    with np.errstate(all="ignore"):
        slope = (there - here) / unit
        ends = [seen + (end[rows] - here) / slope for end in (held.low, held.high)]
    inside = np.abs(seen) + np.abs(here) / np.where(slope == 0, 1.0, np.abs(slope))
    low, high = np.where(slope > 0, ends[0], ends[1]), np.where(slope > 0, ends[1], ends[0])
    low = np.where(np.isfinite(low), low + _ULPS * (inside + np.abs(np.where(np.isfinite(low), low, 0.0))), -np.inf)
    high = np.where(np.isfinite(high), high - _ULPS * (inside + np.abs(np.where(np.isfinite(high), high, 0.0))), np.inf)
    free = ~np.isfinite(slope) | (slope == 0)
    low, high = np.where(free, -np.inf, low), np.where(free, np.inf, high)
    if table[name].coding.whole and not table[name].kind.discrete:
        low, high = np.ceil(low - SLACK * inside), np.floor(high + SLACK * inside)
        if table[name].kind is Kind.NUMERIC:
            low, high = low - HALF, high + HALF
    return low, high


def narrowed(
    around: Constraint, held: Sequence[Held], name: Hashable, unseen: bool, table: Table,
    values: Mapping[Hashable, Array], tied: Rows, grouped_rows: GroupedRows | None,
) -> Constraint:  # fmt: skip
    """The constraint on a column's missing values, narrowed to what keeps derived columns within their bounds.

    Exact where the derived column is linear in it; else a draw outside is refused. Where the other columns as they
    stand leave nothing, the nearest value that there can be is left: later visits of the others mend it.
    """
    column = table[name]
    rows = column.missing
    low, high = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for one in (one for one in held if name in one.linear):
        least, most = _span(one, name, table, values, rows)
        low, high = np.maximum(low, least), np.minimum(high, most)
    if grouped_rows is not None:  # one value for all rows of an id
        least, most = np.full(len(grouped_rows.first_rows), -np.inf), np.full(len(grouped_rows.first_rows), np.inf)
        np.maximum.at(least, grouped_rows.unit, low)
        np.minimum.at(most, grouped_rows.unit, high)
        low, high = least[grouped_rows.unit], most[grouped_rows.unit]
    low, high = np.maximum(low, around.low), np.minimum(high, around.high)
    with np.errstate(invalid="ignore"):
        point = np.clip(0.5 * (low + high), around.low, around.high)
    crossed = low > high
    low, high = np.where(crossed, point, low), np.where(crossed, point, high)
    low, high = _reach(low, high, column, unseen)
    loose = np.isin(rows, tied)
    low, high = np.where(loose, around.low, low), np.where(loose, around.high, high)
    curved = [one for one in held if name not in one.linear]
    if not curved:
        return dataclasses.replace(around, low=low, high=high)

    def allowed(at: Rows, drawn: Array) -> npt.NDArray[np.bool_]:
        cells, position = (
            (at, np.arange(len(at))) if grouped_rows is None else grouped_rows.expanded(grouped_rows.unit[at])
        )
        some, good = rows[cells], np.ones(len(cells), dtype=bool)
        for one in curved:
            data = {**one.numbers(table, values, some), name: completed_numbers(table, name, drawn[position])}
            found = one.one.value(data)
            good &= amiss(one, found, some) <= 0
        good |= loose[cells]
        return np.bincount(position, ~good, len(at)) == 0

    return dataclasses.replace(around, low=low, high=high, allowed=allowed)


def _reach(low: Array, high: Array, column: Column, unseen: bool) -> tuple[Array, Array]:
    """Bounds widened to the nearest value that a method can draw, where none lies between them."""
    if column.kind.discrete:
        support = np.sort(column.numbers(np.arange(float(column.n_levels))))
    elif not unseen:
        support = np.unique(column.values[column.observed])
    elif column.kind is Kind.COUNT:
        most = np.where(np.isfinite(high), np.floor(high), np.inf)
        bad = (np.ceil(low) > most) | (most < 0)
        point = np.maximum(np.rint(np.where(np.isfinite(low), low, np.where(np.isfinite(high), high, 0.0))), 0.0)
        return np.where(bad, point, low), np.where(bad, point, high)
    else:
        return low, high
    first = np.minimum(np.searchsorted(support, low), len(support) - 1)
    bad = (support[first] < low) | (support[first] > high)
    if bad.any():
        wanted = np.where(np.isfinite(low), low, high)[bad]
        low, high = low.copy(), high.copy()
        low[bad] = high[bad] = support[np.abs(support[None, :] - wanted[:, None]).argmin(axis=1)]
    return low, high


def cut_off(
    static: tuple[Array, Array] | None, held: Sequence[Held], name: Hashable, table: Table,
    values: Mapping[Hashable, Array],
) -> tuple[Array, Array] | None:  # fmt: skip
    """Where a column's distribution is cut off, given the other columns of each row, each (n,)."""
    column, every = table[name], np.arange(table.n_rows)
    low, high = (np.full(len(every), -np.inf), np.full(len(every), np.inf)) if static is None else static
    for one in held:
        least, most = _span(one, name, table, values, every)
        low, high = np.maximum(low, least), np.minimum(high, most)
    seen = column.numbers(values[name]) if column.kind.discrete else values[name]
    outside = ~((low <= seen) & (seen <= high))  # derived columns still outside their bounds
    low, high = np.where(outside, -np.inf, low), np.where(outside, np.inf, high)
    return (low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None

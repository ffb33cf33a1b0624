"""What derived columns say of their parents: bounds that draws keep, and observed values that they add up to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import DataError, PlanError, call, listed
from ...formula.derived import Derived, solve_for
from ...formula.linear import linear_in
from ...frame.kinds import Kind
from ...frame.table import Table
from ...typing import Array, Rows
from .bounds import HALF
from .deductive import shared_parents
from .filled_before import determined
from .options import Options
from .read_bounds import understood
from .skip_rules import Skip

__all__ = ["SLACK", "Held", "Relations", "Tie", "amiss", "completed_numbers", "derived_value", "relations"]

SLACK = 1e-9  # share of the size of a value that rounding may cost
_SHOWN = 3  # rows that an error names
_TRIED = 200  # complete rows on which a solution is tried


@dataclass(frozen=True, eq=False)
class Held:
    """A derived column between two ends."""

    one: Derived
    low: Array  #: (n,) -inf where open
    high: Array  #: (n,) inf where open
    linear: frozenset[Hashable]  #: parents in which it is linear
    always: bool  #: whether no row lies outside, so that the models of its parents are truncated there
    skips: Mapping[Hashable, Skip]  #: parents that stay missing outside a condition, where nothing is held

    def numbers(self, table: Table, values: Mapping[Hashable, Array], rows: Rows) -> dict[Hashable, Array]:
        """The parents as completed sets have them, NaN where they stay missing, each (len(rows),)."""
        return _asked_for(
            {p: completed_numbers(table, p, values[p][rows]) for p in self.one.parents}, self.skips, table, values, rows
        )


class Tie(NamedTuple):
    """Rows in which an observed derived value moves two missing parents together."""

    one: Derived
    free: Hashable  #: the parent that is proposed
    pivot: Hashable  #: the parent that is solved for
    rows: Rows
    linear: bool  #: whether the pivot is solved for in closed form

    @property
    def named(self) -> str:
        """What moves, in words."""
        return f"{self.free} with {self.pivot}, which {self.one.name} ties"


class Relations(NamedTuple):
    """All that derived columns say."""

    held: tuple[Held, ...] = ()
    ties: tuple[Tie, ...] = ()
    loose: Mapping[Hashable, int] = {}  #: derived column -> rows in which it is observed and cannot be kept

    def held_by(self, name: Hashable) -> list[Held]:
        """What is held by drawing a column."""
        return [held for held in self.held if name in held.one.parents]

    def tied(self, name: Hashable) -> Rows:
        """Rows in which a column moves with others only, sorted."""
        rows = [tie.rows for tie in self.ties if name in (tie.free, tie.pivot)]
        return np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)


def relations(
    derived: Sequence[Derived], table: Table, order: Sequence[Hashable], options: Options,
    skips: Mapping[Hashable, Skip],
) -> Relations:  # fmt: skip
    """Find what draws must keep.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table
        With the missing values that are drawn.
    order : sequence of hashable
        Columns drawn, in the order of the visits.
    options : Options
    skips : mapping
        Column -> where it is asked for: outside, where it stays missing, a derived column is missing too.

    Returns
    -------
    Relations

    Raises
    ------
    PlanError
        If observed derived values cannot be kept, or complete rows lie outside the bounds of a derived column.
    """
    if not derived:
        return Relations()
    fixed = shared_parents(derived, table, options.id)
    skips = {name: skip for name, skip in skips.items() if skip.value is None}
    held = [_held(one, table, options, skips) for one in derived if one.name in options.bounds]
    ties: list[Tie] = []
    loose: dict[Hashable, int] = {}
    for one in derived:
        more, also, many = _kept(one, table, order, fixed, skips)
        ties += more
        held += also
        if many:
            loose[one.name] = many
    return Relations(tuple(held), tuple(_apart(ties, table)), loose)


def completed_numbers(table: Table, name: Hashable, values: Array) -> Array:
    """Values of a column as numbers of the completed set: whole ones rounded; shape as ``values``."""
    column = table[name]
    if not column.kind.discrete:
        return column.completed(values)
    found = np.full(len(values), np.nan)
    known = ~np.isnan(values)
    found[known] = column.numbers(values[known])
    return found


def _asked_for(
    numbers: dict[Hashable, Array], skips: Mapping[Hashable, Skip], table: Table, values: Mapping[Hashable, Array],
    rows: Rows,
) -> dict[Hashable, Array]:  # fmt: skip
    """Numbers of some columns, NaN in rows where they stay missing."""
    for name in [name for name in numbers if name in skips]:
        numbers[name] = np.where(np.isin(rows, skips[name].inside(table, values)), numbers[name], np.nan)
    return numbers


def derived_value(one: Derived, table: Table, values: Mapping[Hashable, Array], rows: Rows) -> Array:
    """A derived column as completed sets have it, (len(rows),)."""
    return one.value({p: completed_numbers(table, p, values[p][rows]) for p in one.parents})


def amiss(held: Held, found: Array, rows: Rows) -> Array:
    """How far derived values lie outside their ends, (len(rows),); 0 inside but for rounding."""
    low, high = held.low[rows], held.high[rows]
    away = np.maximum(np.maximum(low - found, found - high), 0.0)
    size = np.abs(found) + np.minimum(np.abs(low), np.abs(high))
    return np.where(away > SLACK * size, away, 0.0)


def _held(one: Derived, table: Table, options: Options, skips: Mapping[Hashable, Skip]) -> Held:
    """The bounds of a derived column; refused where complete rows lie outside."""
    values, every = {name: column.values for name, column in table.columns.items()}, np.arange(table.n_rows)
    column = table[one.name]
    known = understood(one.name, options, table, derived=True)
    low, high = known.ends(table, column)
    if column.coding.whole and column.kind is Kind.NUMERIC:
        low, high = low + HALF, high - HALF
    held = Held(one, low, high, linear_in(one.code, one.parents), True, skips)
    found = one.value(held.numbers(table, values, every))
    complete = table.complete_rows(one.parents)
    wrong = complete[amiss(held, found[complete], complete) > 0]
    if len(wrong):
        raise PlanError(
            f"{one.name!r} lies outside its bounds in {len(wrong)} of {len(complete)} complete rows.",
            derived=f"{one.name} = {one.code}",
            rows=listed((f"{row}: {found[row]:g}" for row in wrong.tolist()), _SHOWN),
            do=call("df.mice.impute", bounds={one.name: None}),
        )
    return held


def _kept(
    one: Derived, table: Table, order: Sequence[Hashable], fixed: Set[Hashable], skips: Mapping[Hashable, Skip]
) -> tuple[list[Tie], list[Held], int]:
    """How observed values of a derived column are kept: by solving for a parent, or by refusing other draws."""
    gone = {p: table.gone(p) for p in one.parents}
    drawn = [p for p in order if p in one.parents and p not in fixed]
    seen = ~table.gone(one.name) & ~np.isnan(table[one.name].values)
    for skip in (skips[p] for p in one.parents if p in skips):  # missing with its parent
        values = {v: table[v].values for v in skip.condition.variables}
        seen &= np.isin(np.arange(table.n_rows), skip.inside(table, values))
    several = seen & np.any(list(gone.values()), axis=0)
    cannot = np.any([gone[p] for p in one.parents if p not in drawn], axis=0) if set(one.parents) - {*drawn} else False
    loose = int((several & cannot).sum())
    rows = np.flatnonzero(several & ~cannot)
    if not len(rows):
        return [], [], loose
    linear = linear_in(one.code, one.parents)
    pivots = [p for p in drawn if p in linear or _solvable(one, p, table)]
    ties, left = [], np.ones(len(rows), dtype=bool)
    patterns = np.array([gone[p][rows] for p in drawn]).T
    for pattern in np.unique(patterns, axis=0):
        names = [p for p, missing in zip(drawn, pattern, strict=True) if missing]
        can = [p for p in names if p in pivots]
        if can and len(names) > 1:
            at = (patterns == pattern).all(axis=1)
            left &= ~at
            ties += [Tie(one, p, can[-1], rows[at], can[-1] in linear) for p in names if p != can[-1]]
    if not left.any():
        return ties, [], loose
    return ties, [_selected(one, table, rows[left])], loose


def _solvable(one: Derived, parent: Hashable, table: Table) -> bool:
    """Whether a derived value and the other parents determine a parent, tried on complete rows."""
    rows = table.complete_rows(one.parents)[:_TRIED]
    data = {p: completed_numbers(table, p, table[p].values[rows]) for p in one.parents}
    if len(rows) < 2 or table[parent].kind is Kind.BINARY:
        return False
    seen = completed_numbers(table, parent, table[parent].values)
    found = solve_for(one, parent, {**data, one.name: one.value(data)}, seen)
    sd = float(np.nanstd(seen)) or 1.0
    return bool(np.all(np.isfinite(found)) and np.all(np.abs(found - data[parent]) <= 1e-6 * sd))


def _selected(one: Derived, table: Table, rows: Rows) -> Held:
    """An observed value of a class, such as a flag: draws of other classes are refused."""
    complete = table.complete_rows(one.parents)
    usual = derived_value(one, table, {p: table[p].values for p in one.parents}, complete)
    seen = completed_numbers(table, one.name, table[one.name].values[rows])
    if len(np.unique(usual)) > max(2, len(usual) // 3):
        raise PlanError(
            f"{len(rows)} observed values of {one.name!r} do not determine what is missing of "
            f"{', '.join(map(str, one.parents))}, and cannot be kept.",
            derived=f"{one.name} = {one.code}",
            rows=listed(rows.tolist(), _SHOWN),
            do=f"df = df.drop(columns=[{one.name!r}])  # derived= computes it again",
        )
    _refuse_made_before(one, table, rows, seen, usual)
    low, high = np.full(table.n_rows, -np.inf), np.full(table.n_rows, np.inf)
    low[rows] = high[rows] = seen
    return Held(one, low, high, frozenset(), False, {})


def _refuse_made_before(one: Derived, table: Table, rows: Rows, seen: Array, usual: Array) -> None:
    """A comparison with a missing value is False: a flag made before imputing is no observation."""
    every = {p: completed_numbers(table, p, table[p].values) for p in one.parents}
    open_ = ~determined(one, {**every, one.name: completed_numbers(table, one.name, table[one.name].values)}, rows)
    rows, seen = rows[open_], seen[open_]
    raw = one.unmasked({p: column[rows] for p, column in every.items()})
    by_chance = float(np.sum(np.log(np.maximum(np.mean(usual == seen[:, None], axis=1), 1e-12))))
    if len(rows) < 2 or not np.array_equal(raw, seen) or by_chance > np.log(_CHANCE):
        return
    parents = [p for p in one.parents if len(table[p].missing)]
    known = " & ".join(f"df[{p!r}].notna()" for p in parents)
    raise DataError(
        f"{one.name!r} was made before imputing: in all {len(rows)} rows where {' or '.join(map(repr, parents))} is "
        "missing it is what a comparison with a missing value gives.",
        derived=f"{one.name} = {one.code}",
        rows=listed(rows.tolist(), _SHOWN),
        do=f"df[{one.name!r}] = df[{one.name!r}].where({known})",
    )


_CHANCE = 0.01  # if agreement by chance is less probable than this, the flag was computed before imputation


def _apart(ties: list[Tie], table: Table) -> list[Tie]:
    """Ties of which each move keeps every other observed derived value; refused where they do not."""
    kept: list[Tie] = []
    for tie in ties:
        others = [k for k in kept if k.one is not tie.one and {tie.free, tie.pivot} & {k.free, k.pivot}]
        clash = [k for k in others if len(np.intersect1d(k.rows, tie.rows))]
        if not clash:
            kept.append(tie)
            continue
        if all(_alike(tie, k, table) for k in clash):  # the same condition in other words
            rest = np.setdiff1d(tie.rows, np.concatenate([k.rows for k in clash]))
            if len(rest):
                kept.append(tie._replace(rows=rest))
            continue
        rows = np.intersect1d(clash[0].rows, tie.rows)
        raise PlanError(
            f"{clash[0].one.name!r} and {tie.one.name!r} are both observed in {len(rows)} rows where "
            f"{tie.free!r} and {tie.pivot!r} are missing: they cannot both be kept.",
            rows=listed(rows.tolist(), _SHOWN),
            do=f"df = df.drop(columns=[{tie.one.name!r}])  # derived= computes it again",
        )
    return kept


def _alike(tie: Tie, other: Tie, table: Table) -> bool:
    """Whether two derived columns move alike with the same two parents, linear in both."""
    if {tie.free, tie.pivot} != {other.free, other.pivot}:
        return False
    if not all({tie.free, tie.pivot} <= linear_in(t.one.code, t.one.parents) for t in (tie, other)):
        return False
    rows = table.complete_rows((*tie.one.parents, *other.one.parents))[:_TRIED]

    def slope(one: Derived, name: Hashable) -> Array:
        data = {p: completed_numbers(table, p, table[p].values[rows]) for p in one.parents}
        return one.value({**data, name: data[name] + 1.0}) - one.value(data)

    cross = slope(tie.one, tie.free) * slope(other.one, tie.pivot)
    return bool(len(rows) and np.allclose(cross, slope(tie.one, tie.pivot) * slope(other.one, tie.free)))

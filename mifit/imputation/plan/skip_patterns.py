"""Skip patterns: nested conditions, and what observed dependent columns imply for the missing values of a condition."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError, ImputationError, listed
from ...formula.condition import Condition
from ...formula.derived import Derived, spelled_out
from ...frame.table import Column, Table
from ...typing import Array, Rows
from .bounds import HALF
from .skip_rules import Skip, ancestors, elsewhere, known_outside, nested, skips

__all__ = ["Demand", "SkipPattern", "questionnaire", "refuse_contradiction"]

_TRIED_VALUES = 200  # observed values of a number among those at which conditions on it are tried
_CONTEXTS = 40  # values of a condition's other columns at which it is tried
_POINTS = 60  # numbers that are kept of those
_HALVINGS = 50  # of the interval between a value that suits and one that does not
_BLOCK = 400_000  # combinations of values worked on at once


class Demand:
    """What observed values ask of the missing values of one column, in some of its rows."""

    def __init__(self, pattern: SkipPattern, name: Hashable, values: Mapping[Hashable, Array]) -> None:
        self.pattern, self.name, self.values = pattern, name, values
        self.rows = pattern.bound_rows(name)  #: rows where something is asked, sorted
        self.points = pattern.points(name)
        suits = self._tried(self.rows, pattern.below(name))
        stuck = ~suits.any(axis=1)
        if stuck.any():  # other columns as they stand leave nothing: those drawn later may still change
            suits[stuck] = self._tried(self.rows[stuck], pattern.later(name))
        self.stuck = np.zeros(pattern.table.n_rows, dtype=bool)
        self.stuck[self.rows[stuck]] = True
        self.suits = suits  #: (len(rows), len(points))

    def _tried(self, rows: Rows, free: Sequence[Hashable]) -> npt.NDArray[np.bool_]:
        """Whether each point suits each row, (len(rows), len(points))."""
        many = len(self.points)
        at, drawn = np.repeat(rows, many), np.tile(self.points, len(rows))
        return self.pattern.possible(at, self.name, drawn, self.values, free).reshape(len(rows), many)

    def suitable(self, rows: Rows, drawn: Array) -> npt.NDArray[np.bool_]:
        """Whether drawn values agree with what was observed, shape (len(rows),)."""
        good = np.ones(len(rows), dtype=bool)
        place = np.searchsorted(self.rows, rows)
        conditioned = np.flatnonzero(np.append(self.rows, -1)[np.minimum(place, len(self.rows))] == rows)
        if not len(conditioned):
            return good
        if self.pattern.table[self.name].kind.discrete:
            good[conditioned] = self.suits[place[conditioned], drawn[conditioned].astype(np.int64)]
            return good
        for stuck, free in ((False, self.pattern.below(self.name)), (True, self.pattern.later(self.name))):
            some = conditioned[self.stuck[rows[conditioned]] == stuck]
            if len(some):
                good[some] = self.pattern.possible(rows[some], self.name, drawn[some], self.values, free)
        return good

    def interval(self) -> tuple[Array, Array, bool]:
        """The smallest interval of a number that holds all that suits, each end (n,), and whether all in it suits."""
        n = self.pattern.table.n_rows
        low, high = np.full(n, -np.inf), np.full(n, np.inf)
        some = np.flatnonzero(self.suits.any(axis=1))
        suits, rows = self.suits[some], self.rows[some]
        first, last = suits.argmax(axis=1), suits.shape[1] - 1 - suits[:, ::-1].argmax(axis=1)
        whole = bool(np.all(suits.sum(axis=1) == last - first + 1))
        for ends, edge, step in ((low, first, -1), (high, last, 1)):
            inner = np.flatnonzero((edge + step >= 0) & (edge + step < suits.shape[1]))
            ends[rows[inner]] = self._edge(rows[inner], self.points[edge[inner]], self.points[edge[inner] + step])
        return low, high, whole and len(some) == len(self.rows)

    def _edge(self, rows: Rows, good: Array, bad: Array) -> Array:
        """The last value that suits, between one that does and one that does not, shape (len(rows),)."""
        if self.pattern.table[self.name].coding.whole:
            return np.where(np.abs(good - bad) == 1.0, good + HALF * np.sign(bad - good), good)
        beside = np.nextafter(bad, good)  # most often one of the two is the edge itself
        fine = self.suitable(rows, beside)
        found = np.where(fine, beside, good)
        rest = np.flatnonzero(~fine)
        rest = rest[self.suitable(rows[rest], np.nextafter(good[rest], bad[rest]))]
        good, bad = good[rest], bad[rest]
        for _ in range(_HALVINGS if len(rest) else 0):
            middle = 0.5 * (good + bad)
            fine = self.suitable(rows[rest], middle)
            good, bad = np.where(fine, middle, good), np.where(fine, bad, middle)
        found[rest] = good
        return found


class SkipPattern:
    """All conditions on a table, and what depends on what.

    Parameters
    ----------
    table : Table
        With the missing values that are drawn.
    skips : mapping
        Column -> Skip.
    order : sequence of hashable
        Columns that are drawn, each after the columns of its condition.
    """

    def __init__(self, table: Table, skips: Mapping[Hashable, Skip], order: Sequence[Hashable]) -> None:
        self.table, self.skips, self.order = table, dict(skips), list(order)
        self._missing: dict[Hashable, npt.NDArray[np.bool_]] = {}
        self._points: dict[Hashable, Array] = {}
        self._below: dict[Hashable, list[Hashable]] = {}
        self._linked: dict[Hashable, list[Hashable]] = {}
        self._bound: dict[Hashable, Rows] = {}
        self._lasting: dict[Hashable, Demand] = {}

    @cached_property
    def wanted(self) -> dict[Hashable, Array]:
        """Column -> what its observed values say of its condition, (n,): 1 it holds, 0 it does not, NaN nothing."""
        found = {}
        for name, skip in self.skips.items():
            wanted = skip.wanted(self.table, self.table[name])
            wanted[self.table.complete_rows(skip.condition.variables)] = np.nan  # nothing is drawn there
            found[name] = wanted
        if any(np.any(wanted == 0.0) for wanted in found.values()):
            # That a value is seen only elsewhere is a guess: it gives way to what was observed.
            self.__dict__["wanted"] = found
            for name, rows in self.impossible().items():
                for other in self.linked(name):
                    found[other][rows[found[other][rows] == 0.0]] = np.nan
        return found

    @cached_property
    def above(self) -> dict[Hashable, frozenset[Hashable]]:
        """Column -> all columns that its condition, and theirs, look at."""
        return {name: ancestors(name, self.skips) for name in self.skips}

    def missing(self, name: Hashable) -> npt.NDArray[np.bool_]:
        """Whether a column is drawn, shape (n,)."""
        if name not in self._missing:
            marked = np.zeros(self.table.n_rows, dtype=bool)
            if name in self.order:
                marked[self.table[name].missing] = True
            self._missing[name] = marked
        return self._missing[name]

    def dependents(self, name: Hashable) -> list[Hashable]:
        """Columns whose conditions, or those above them, look at a column."""
        return [other for other in self.skips if name in self.above[other]]

    def below(self, name: Hashable) -> list[Hashable]:
        """Missing columns that depend on a column and that some condition looks at, each after those above it."""
        if name not in self._below:
            parents = {v for other in self.dependents(name) for v in self.skips[other].condition.variables}
            found = [other for other in self.dependents(name) if other in parents and self.missing(other).any()]
            self._below[name] = sorted(found, key=self.order.index)
        return self._below[name]

    def later(self, name: Hashable) -> list[Hashable]:
        """Missing columns of all connected conditions that are drawn after a column."""
        others = self.connected(name)
        return others[others.index(name) + 1 :] if name in others else others

    def connected(self, name: Hashable) -> list[Hashable]:
        """Columns that are drawn and that the conditions connected with a column look at, in the order of the draws."""
        looked = {v for other in self.linked(name) for v in self.skips[other].condition.variables}
        return [v for v in self.order if v in looked]

    def linked(self, name: Hashable) -> list[Hashable]:
        """Columns whose conditions are connected with a column, by those that they look at and that are drawn."""
        if name not in self._linked:
            links = {n: {n, *skip.condition.variables} & {n, *self.order} for n, skip in self.skips.items()}
            reach: set[Hashable] = set()
            wider = {name}
            while wider != reach:
                reach = wider
                wider = reach.union(*(link for link in links.values() if link & reach))
            self._linked[name] = [other for other, link in links.items() if link & reach]
        return self._linked[name]

    def demand(self, name: Hashable, values: Mapping[Hashable, Array]) -> Demand:
        """What observed values ask of a column, the others as they stand."""
        if name in self._lasting:
            return self._lasting[name]
        found = Demand(self, name, values)
        if set(self.connected(name)) <= {name}:  # no other column that is drawn has a say
            self._lasting[name] = found
        return found

    def bound_rows(self, name: Hashable) -> Rows:
        """Rows where a column is missing and an observed value below it says something, sorted."""
        if name not in self._bound:
            said = [~np.isnan(self.wanted[other]) for other in self.dependents(name)]
            marked = self.missing(name) & np.any(said, axis=0) if said else np.zeros(self.table.n_rows, dtype=bool)
            self._bound[name] = np.flatnonzero(marked)
        return self._bound[name]

    def points(self, name: Hashable) -> Array:
        """Values at which conditions on a column are tried: its levels, or numbers between which nothing changes."""
        if name not in self._points:
            self._points[name] = self._tried(self.table[name])
        return self._points[name]

    def _tried(self, column: Column) -> Array:
        """The same, found by trying many numbers: of those between which no condition changes two are kept."""
        if column.kind.discrete:
            return np.arange(column.n_levels, dtype=np.float64)
        conditions = [s.condition for s in self.skips.values() if column.name in s.condition.variables]
        seen = np.unique(column.values[column.observed])
        some = (
            seen
            if len(seen) <= _TRIED_VALUES
            else np.quantile(seen, np.linspace(0, 1, _TRIED_VALUES), method="nearest")
        )
        named = np.array(sorted({n for one in conditions for n in _numbers_in(one.code)}), dtype=np.float64)
        edges = np.concatenate([named, *(named[:, None] + sign * named for sign in (-1.0, 1.0)), some], axis=None)
        with np.errstate(all="ignore"):
            ratios = [named[:, None] * named, named[:, None] / named]
        edges = np.concatenate([edges, *ratios], axis=None)
        edges = np.unique(edges[np.isfinite(edges)])
        reach = float(np.ptp(edges)) or max(float(np.abs(edges).max()), 1.0)
        edges = np.concatenate([edges, 0.5 * (edges[1:] + edges[:-1]), [edges[0] - reach, edges[-1] + reach]])
        tried = np.unique(np.rint(edges) if column.coding.whole else edges)
        truth = np.hstack([self._along(column.name, tried, one) for one in conditions])
        change = np.any(truth[1:] != truth[:-1], axis=1)
        kept = np.flatnonzero(np.concatenate([[True], change]) | np.concatenate([change, [True]]))
        return np.asarray(
            tried[kept if len(kept) <= _POINTS else kept[np.linspace(0, len(kept) - 1, _POINTS).astype(int)]]
        )

    def _along(self, name: Hashable, tried: Array, one: Condition) -> npt.NDArray[np.bool_]:
        """Whether a condition holds at many values of a column, the others as in some rows, (len(tried), contexts)."""
        rng = np.random.default_rng(0)
        many = 1 if len(one.variables) == 1 else _CONTEXTS
        held = {name: np.repeat(tried, many)}
        for other in (v for v in one.variables if v != name):
            column = self.table[other]
            found = rng.choice(column.values[column.observed], many)
            if column.kind.discrete:
                found[: column.n_levels] = np.arange(column.n_levels)[:many]
            held[other] = np.tile(found, len(tried))
        return one.holds(self.table, held).reshape(len(tried), many)

    def possible(
        self, rows: Rows, name: Hashable, drawn: Array, values: Mapping[Hashable, Array], free: Sequence[Hashable]
    ) -> npt.NDArray[np.bool_]:
        """Whether some values of the free columns agree with all that was observed, shape (len(rows),).

        Parameters
        ----------
        rows : ndarray of int, shape (k,)
            May repeat.
        name : hashable
            A column, with the values ``drawn``, (k,), in these rows.
        values : mapping
            Column -> values as they stand, (n,).
        free : sequence of hashable
            Columns that are yet to be drawn where they are missing, each after those of its condition.
        """
        conditioned = [other for other in self.linked(name) if not np.isnan(self.wanted[other][rows]).all()]
        needed = {
            v for other in (*conditioned, *free) if other in self.skips for v in self.skips[other].condition.variables
        }
        free = [v for v in free if v in needed and self.missing(v)[rows].any()]
        combinations = 1
        for other in free:
            combinations *= len(self.points(other))
        size = max(1, _BLOCK // combinations)
        blocks = [slice(start, start + size) for start in range(0, len(rows), size)]
        found = [self._possible(rows[b], {name: drawn[b]}, values, free, conditioned, needed) for b in blocks]
        return np.concatenate(found) if found else np.zeros(0, dtype=bool)

    def _possible(
        self, rows: Rows, given: dict[Hashable, Array], values: Mapping[Hashable, Array], free: list[Hashable],
        conditioned: list[Hashable], needed: set[Hashable],
    ) -> npt.NDArray[np.bool_]:  # fmt: skip
        """The same for one block, column by column; combinations that contradict something are given up at once."""
        at = np.arange(len(rows))  # position of each combination
        held = {v: values[v][rows] for v in needed if v not in given} | given
        waiting = list(conditioned)
        for place in range(len(free) + 1):
            unknown = set(free[place:])
            decidable = [other for other in waiting if not unknown & set(self.skips[other].condition.variables)]
            waiting = [other for other in waiting if other not in decidable]
            for other in decidable:
                wanted = self.wanted[other][rows[at]]
                good = np.isnan(wanted) | (self.skips[other].condition.holds(self.table, held) == (wanted == 1.0))
                at, held = at[good], {v: one[good] for v, one in held.items()}
            if place < len(free):
                at, held = self._widened(free[place], rows, at, held)
        found = np.zeros(len(rows), dtype=bool)
        found[at] = True
        return found

    def _widened(
        self, name: Hashable, rows: Rows, at: Rows, held: dict[Hashable, Array]
    ) -> tuple[Rows, dict[Hashable, Array]]:
        """Combinations times the values that one more column can have in each."""
        points, column, skip = self.points(name), self.table[name], self.skips.get(name)
        drawn = self.missing(name)[rows[at]]
        holds = np.ones(len(at), dtype=bool) if skip is None else skip.condition.holds(self.table, held)
        several = drawn & holds
        counts = np.where(several, len(points), 1)
        index = np.repeat(np.arange(len(at)), counts)
        step = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
        wide = {v: one[index] for v, one in held.items()}
        single = np.where(drawn, 0.0 if skip is None else elsewhere(column, skip), held[name])
        wide[name] = np.where(several[index], points[step], single[index])
        return at[index], wide

    def contradicted(self, values: Mapping[Hashable, Array]) -> dict[Hashable, Rows]:
        """Column -> rows where it contradicts its condition, given all columns as drawn."""
        found = {}
        for name, skip in self.skips.items():
            holds, wanted = skip.condition.holds(self.table, values), self.wanted[name]
            wrong = ~np.isnan(wanted) & (wanted != holds)
            wrong |= self.missing(name) & ~holds & (values[name] != elsewhere(self.table[name], skip))
            if wrong.any():
                found[name] = np.flatnonzero(wrong)
        return found

    def impossible(self) -> dict[Hashable, Rows]:
        """Column -> rows where observed values contradict each other whatever is drawn for it and beside it."""
        values = {name: column.values for name, column in self.table.columns.items()}
        found, done = {}, {name: np.zeros(self.table.n_rows, dtype=bool) for name in self.order}
        for name in self.order:
            rows, others = self.bound_rows(name), self.connected(name)
            rows = rows[~done[name][rows]]
            points, free = self.points(name) if len(rows) else np.empty(0), [v for v in others if v != name]
            at, drawn = np.repeat(rows, len(points)), np.tile(points, len(rows))
            good = self.possible(at, name, drawn, values, free).reshape(len(rows), len(points)).any(axis=1)
            if not good.all():
                found[name] = rows[~good]
            for other in others:
                done[other][rows] = True
        return found


def questionnaire(
    options: Mapping[Hashable, Any], derived: Sequence[Derived], table: Table, scope: Mapping[str, Any]
) -> tuple[dict[Hashable, Skip], Table, list[str]]:
    """Read all conditions, and fill the values that follow from them.

    Parameters
    ----------
    options : mapping
        Column -> condition, or (condition, value elsewhere).
    derived : sequence of Derived
    table : Table
    scope : mapping
        Where other names are looked up.

    Returns
    -------
    skips : dict
        Column -> Skip, each after those that it depends on.
    table : Table
        As :func:`~mifit.imputation.plan.skip_rules.known_outside` fills it.
    events : list of str

    Raises
    ------
    PlanError, DataError
        As :func:`~mifit.imputation.plan.skip_rules.skips`; if observed values contradict each other.
    """
    found = skips(_written_out(options, derived, table), table, scope)
    known, events = known_outside(table, found)
    _refuse_impossible(known, found)
    return found, known, events


def _written_out(options: Mapping[Hashable, Any], derived: Sequence[Derived], table: Table) -> Mapping[Hashable, Any]:
    """Conditions with incomplete derived columns written as expressions of their parents."""
    codes = {one.name: one.code for one in derived if len(table[one.name].missing)}
    found = dict(options)
    for name, option in options.items() if codes else ():
        code, *rest = list(option) if isinstance(option, tuple | list) and option else [option]
        if isinstance(code, str):
            with contextlib.suppress(SyntaxError, TokenError):  # refused where conditions are read
                code = spelled_out(code, codes)
                found[name] = (code, *rest) if rest else code
    return found


def _refuse_impossible(table: Table, skips: Mapping[Hashable, Skip]) -> None:
    """Observed values below some conditions never contradict those above them.

    Raises
    ------
    DataError
        If in some row no values of the missing columns agree with all conditions.
    """
    looked = {v for skip in skips.values() for v in skip.condition.variables}
    looks = {name: skip.condition.variables for name, skip in skips.items()}
    drawn = nested([n for n in table.incomplete if n in skips or n in looked], looks)
    pattern = SkipPattern(table, skips, drawn)
    for name, rows in pattern.impossible().items():
        said = [other for other in pattern.dependents(name) if not np.isnan(pattern.wanted[other][rows]).all()]
        codes = "; ".join(f"{other} where {skips[other].condition.code}" for other in said)
        raise DataError(
            f"no value of {name!r} agrees, in {len(rows)} rows, with the observed columns that depend on it.",
            conditions=codes,
            rows=listed(rows, 5),
            do=f"df.iloc[{rows.tolist()}][{list(dict.fromkeys([name, *looks.get(name, ()), *said]))!r}]",
        )


def refuse_contradiction(pattern: SkipPattern, values: Mapping[Hashable, Array], number: int) -> None:
    """Raise if a finished chain violates a condition.

    Raises
    ------
    ImputationError
        If one does not hold in some row where it should, or the other way round.
    """
    for name, rows in pattern.contradicted(values).items() if pattern.skips else ():
        skip = pattern.skips[name]
        looked = [v for v in skip.condition.variables if pattern.missing(v)[rows].any()]
        raise ImputationError(
            f"chain {number}: {name!r} and what was drawn of its condition disagree in {len(rows)} rows.",
            condition=skip.condition.code,
            reason="no draw was found that agrees" + (f": {', '.join(map(repr, looked))}" if looked else ""),
            do=f"df.iloc[{rows[:30].tolist()}][{[name, *skip.condition.variables]!r}]",
        )


def _numbers_in(code: str) -> list[float]:
    """Numbers that an expression names."""
    named = [node.value for node in ast.walk(ast.parse(code, mode="eval")) if isinstance(node, ast.Constant)]
    found = [float(one) for one in named if isinstance(one, int | float) and not isinstance(one, bool)]
    return [*found, *(-number for number in found)]

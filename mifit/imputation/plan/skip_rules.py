"""Skip rules: columns that exist only where a condition holds, and their value elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ...calls import left_alone
from ...errors import DataError, PlanError, call, listed
from ...formula.column_code import rows_where
from ...formula.condition import Condition, condition
from ...formula.source import Captured, sourced
from ...formula.terms import take_apart
from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array, Rows

__all__ = ["Skip", "ancestors", "elsewhere", "known_outside", "nested", "skips"]

_FEW_ROWS = 30  # rows that an error lists one by one
_ERRORS = 0.05  # share of the observed values that may be errors of the data; of more the condition is the error
_LEAST_SHARE = 0.1  # minimum share of skipped rows that hold the same value; a smaller share is treated as a data error


class Skip(NamedTuple):
    """A column that has values only where a condition holds."""

    condition: Condition
    value: float | None  #: what it is elsewhere, as the chain sees it; None: it stays missing there

    def inside(self, table: Table, values: Mapping[Hashable, Array]) -> Rows:
        """Rows where it has a value of its own, sorted."""
        return np.flatnonzero(self.condition.holds(table, values))

    def recoded(self, column: Column) -> Skip:
        """The same where levels of a column are read as plain numbers, or numbers as levels."""
        if self.value is None:
            return self
        if column.kind.discrete:
            return self._replace(value=float(column.numbers(np.array([self.value]))[0]))
        seen = np.unique(column.values[column.observed])
        return self._replace(value=float(np.flatnonzero(seen == self.value)[0]) if self.value in seen else self.value)

    def wanted(self, table: Table, column: Column) -> Array:
        """What an observed value says of the condition, shape (n,): 1 it holds, 0 it does not, NaN nothing."""
        seen = column.values.copy()
        seen[column.missing] = np.nan
        if self.value is None:
            return np.where(np.isnan(seen), np.nan, 1.0)
        inside = self.condition.holds(table, {v: table[v].values for v in self.condition.variables})
        elsewhere_only = not np.any(seen[inside] == self.value)
        return np.where(np.isnan(seen), np.nan, np.where(seen != self.value, 1.0, 0.0 if elsewhere_only else np.nan))


def skips(options: Mapping[Hashable, Any], table: Table, scope: Mapping[str, Any]) -> dict[Hashable, Skip]:
    """Read the conditions of ``conditional=``.

    Parameters
    ----------
    options : mapping
        Column -> condition, or (condition, value elsewhere).
    table : Table
    scope : mapping
        Where other names are looked up.

    Returns
    -------
    dict
        Column -> Skip. Where no value is given, it is the one observed outside the condition, if there is one.

    Raises
    ------
    PlanError
        If a condition names its own column, never or always holds, or conditions depend on each other in a circle.
    DataError
        If observed values outside the condition contradict it.
    """
    conditions = {name: _condition(name, option, table, scope) for name, option in options.items()}
    for name in conditions:
        _refuse_circle(name, conditions, ())
    found: dict[Hashable, Skip] = {}
    for name in nested(conditions, {name: one.variables for name, one in conditions.items()}):
        above = {other: found[other] for other in conditions[name].variables if other in found}
        skip = _skip(name, options[name], table, _within(conditions[name], above))
        table, found[name] = _filled_outside(table, name, skip)[0], skip
    return found


def nested(names: Iterable[Hashable], looks: Mapping[Hashable, Iterable[Hashable]]) -> list[Hashable]:
    """Names in their order, each after those that it looks at.

    Examples
    --------
    >>> nested(["packs", "now", "ever"], {"packs": ["now"], "now": ["ever"]})
    ['ever', 'now', 'packs']
    """
    found: list[Hashable] = []
    waiting = list(names)
    while waiting:
        free = [name for name in waiting if not set(looks.get(name, ())) & set(waiting) - {name}]
        found.append((free or waiting)[0])
        waiting.remove(found[-1])
    return found


def ancestors(name: Hashable, found: Mapping[Hashable, Skip]) -> frozenset[Hashable]:
    """All columns that the condition of a column, and theirs, look at."""
    reach: set[Hashable] = set()
    waiting = [name]
    while waiting:
        skip = found.get(waiting.pop())
        fresh = () if skip is None else [v for v in skip.condition.variables if v not in reach]
        reach.update(fresh)
        waiting += fresh
    return frozenset(reach)


def _within(one: Condition, above: Mapping[Hashable, Skip]) -> Condition:
    """A condition that is false where it looks at a column that has no value there, its own condition not holding."""
    absent = {name: skip.condition for name, skip in above.items() if skip.value is None}
    if not absent:
        return one

    def inside(node: ast.expr) -> ast.expr:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            return ast.BinOp(inside(node.left), node.op, inside(node.right))
        for name in take_apart(ast.unparse(node), one.variables).variables:
            if name in absent:
                node = ast.BinOp(node, ast.BitAnd(), ast.parse(absent[name].code, mode="eval").body)
        return node

    code = ast.unparse(inside(ast.parse(one.code, mode="eval").body))
    variables = dict.fromkeys([*one.variables, *(v for other in absent.values() for v in other.variables)])
    parts = [*absent.values(), one]
    names = {word: value for part in parts for word, value in part.names.items()}
    live = all(isinstance(part.names, Captured) for part in parts)  # else the whole is approved before it is evaluated
    whole = sourced(code, *(part.code for part in parts))
    return Condition(whole, tuple(variables), Captured(names) if live else names)


def _condition(name: Hashable, option: Any, table: Table, scope: Mapping[str, Any]) -> Condition:
    """The condition of an option, as written."""
    column = table.require(name, "conditional=")
    code, *given = list(option) if isinstance(option, tuple | list) and len(option) else [option]
    word = f"the condition of {name!r}"
    if len(given) > 1:
        raise PlanError(
            f"{word} is a condition, or a condition and one value; it has {1 + len(given)} parts.",
            do=call("df.mice.impute", conditional={name: (code, given[0])}),
        )
    if column.kind is Kind.OTHER:
        raise PlanError(
            f"{name!r} {column.coding.problem}.",
            do=call("df.mice.impute", conditional={name: None}, **left_alone(name)),
        )
    found = condition(code, table, scope, word)
    if name in found.variables:
        raise PlanError(
            f"{word} looks at {name!r} itself: {found.code}.", do=call("df.mice.impute", conditional={name: None})
        )
    return found


def _skip(name: Hashable, option: Any, table: Table, found: Condition) -> Skip:
    """One condition and the value elsewhere, checked against what was observed."""
    column, word = table[name], f"the condition of {name!r}"
    given = list(option)[1:] if isinstance(option, tuple | list) else []
    values = {v: table[v].values for v in found.variables}
    holds, known = found.holds(table, values), np.ones(table.n_rows, dtype=bool)
    known[np.setdiff1d(np.arange(table.n_rows), table.complete_rows(found.variables))] = False
    if not holds.any():
        raise PlanError(f"{word} holds in no row: {found.code}.", do=_levels_of(found, table))
    outside = np.flatnonzero(known & ~holds)
    seen = column.values[np.setdiff1d(outside, column.missing)]
    if given and given[0] is not None:
        return Skip(found, _checked(name, table, given[0], np.setdiff1d(outside, column.missing), found))
    distinct = np.unique(seen)
    if len(distinct) > 1 or 0 < len(seen) < _LEAST_SHARE * len(outside):
        shown = listed(column.coding.decode(distinct))
        raise DataError(
            f"{name!r} has {len(seen)} values where its condition does not hold: {shown}.",
            condition=found.code,
            **_kept(column, np.setdiff1d(outside, column.missing)),
            do=_rewritten(column, np.setdiff1d(outside, column.missing), found, None, table.columns),
        )
    return Skip(found, float(distinct[0]) if len(distinct) else None)


def _rewritten(column: Column, rows: Rows, found: Condition, value: Any, columns: Iterable[Hashable]) -> str:
    """The assignment that ends a contradiction, in the rows that show it and no other."""
    name = column.name
    if len(rows) <= _FEW_ROWS:
        return f"df.iloc[{rows.tolist()}, df.columns.get_loc({name!r})] = {value!r}"
    other = "" if value is None else f", {value!r}"
    lost = f"  # {len(rows)} of {len(column.observed)} observed values are lost" if _are_many(column, rows) else ""
    return f"df[{name!r}] = df[{name!r}].mask({rows_where(found.code, columns, False)}{other}){lost}"


def _are_many(column: Column, rows: Rows) -> bool:
    """Whether contradictions are so many that the condition may be the error, not the values."""
    return len(rows) > max(_FEW_ROWS, _ERRORS * len(column.observed))


def _kept(column: Column, rows: Rows) -> dict[str, str]:
    """The call that keeps many observed values, as a line of the error."""
    return {"otherwise": call("df.mice.impute", conditional={column.name: None})} if _are_many(column, rows) else {}


def _checked(name: Hashable, table: Table, value: Any, rows: Rows, found: Condition) -> float:
    """The value elsewhere as the chain sees it; refused where it is none of the column's, or others were observed."""
    column, code = table[name], float("nan")
    if column.kind.discrete:
        levels = list(column.coding.levels)
        code = float(levels.index(value)) if value in levels else code
    elif isinstance(value, int | float | np.number):
        code = float(value)
    if np.isnan(code):
        shown = column.coding.levels[:5]
        raise PlanError(
            f"{value!r} is no value of {name!r}.",
            levels=", ".join(map(repr, shown)),
            do=call("df.mice.impute", conditional={name: found.code}),
        )
    other = rows[column.values[rows] != code]
    if len(other):
        first = column.coding.decode(column.values[other[:1]])[0]
        raise DataError(
            f"{name!r} is to be {value!r} where its condition does not hold, and is {first!r} in {len(other)} rows.",
            condition=found.code,
            **_kept(column, other),
            do=_rewritten(column, other, found, value, table.columns),
        )
    return code


def _levels_of(found: Condition, table: Table) -> str:
    """How to look at the values a condition may have meant."""
    return f"df[{found.variables[0]!r}].unique()" if found.variables else "df.head()"


def _refuse_circle(name: Hashable, found: Mapping[Hashable, Condition], above: tuple[Hashable, ...]) -> None:
    """Refuse conditions that depend on each other in a circle."""
    if name in above:
        raise PlanError(
            f"conditions depend on each other in a circle: {' -> '.join(map(str, (*above, name)))}.",
            do=call("df.mice.impute", conditional={above[-1]: None}),
        )
    for other in found[name].variables:
        if other in found:
            _refuse_circle(other, found, (*above, name))


def known_outside(table: Table, skipped: Mapping[Hashable, Skip]) -> tuple[Table, list[str]]:
    """Fill the missing values that follow from a condition: where all its columns are observed and it does not hold.

    Parameters
    ----------
    table : Table
    skipped : mapping
        Column -> Skip.

    Returns
    -------
    table : Table
        A cell that stays missing holds a value nobody looks at.
    events : list of str
    """
    events = []
    for name, skip in skipped.items():
        table, filled = _filled_outside(table, name, skip)
        if filled:
            column = table[name]
            shown = "stay missing" if skip.value is None else f"are {column.coding.decode(np.array([skip.value]))[0]}"
            events.append(f"{name!r}: {filled} missing values {shown}, for {skip.condition.code} does not hold there")
    return table, events


def _filled_outside(table: Table, name: Hashable, skip: Skip) -> tuple[Table, int]:
    """The table with the missing values filled that follow from a condition, and how many those are."""
    column = table[name]
    known = np.zeros(table.n_rows, dtype=bool)
    known[table.complete_rows(skip.condition.variables)] = True
    holds = skip.condition.holds(table, {v: table[v].values for v in skip.condition.variables})
    filled = column.missing[(known & ~holds)[column.missing]]
    if not len(filled) or not len(column.observed):
        return table, 0
    values = column.values.copy()
    values[filled] = elsewhere(column, skip)
    fewer = Column(name, column.coding, values, np.setdiff1d(column.missing, filled))
    return Table({**table.columns, name: fewer}, table.n_rows), len(filled)


def elsewhere(column: Column, skip: Skip) -> float:
    """The value in a chain where the condition does not hold: a placeholder if it stays missing."""
    return float(column.values[column.observed[0]]) if skip.value is None else skip.value

"""Parse and check bounds=, censored= and truncated=."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ...calls import Advice
from ...errors import PlanError, call, listed, near, nearest
from ...formula.terms import code_of
from ...frame.table import Column, Table
from ...typing import Rows
from .bounds import Bounds
from .options import Options

__all__ = ["gap", "named_ends", "understood"]

_IMPUTE = "df.mice.impute"
_WORDS = ("bounds", "censored", "truncated")
_SHOWN = 3  # rows that an error names


def understood(
    name: Hashable, options: Options, table: Table, inside: Rows | None = None, derived: bool = False
) -> Bounds:
    """Understand what is said of where the values of a column lie.

    Parameters
    ----------
    name : hashable
        A column of ``bounds=``, ``censored=`` or ``truncated=``.
    options : Options
        For each of these words (low, high): numbers or names of numeric columns, None for an open end.
    table : Table
    inside : ndarray of int, optional
        Rows where the column is asked for; by default all.
    derived : bool, default False
        Whether the column follows from others: its bounds are bounds of their draws, and may be columns.

    Returns
    -------
    Bounds

    Raises
    ------
    PlanError
        If an option is no pair, the column no number, the bounds cross, an observed value lies where the column is
        truncated, or ``bounds=`` may mean either of the two other words.
    """
    given = {word: getattr(options, word)[name] for word in _WORDS if name in getattr(options, word)}
    pairs = {word: _pair(name, option, word, table, options) for word, option in given.items()}
    if "bounds" in pairs and len(pairs) > 1:
        other = next(word for word in pairs if word != "bounds")
        raise PlanError(
            f"{name!r} stands in bounds= and in {other}=.",
            do=call(_IMPUTE, bounds={name: None}),
        )
    truncated, column = pairs.get("truncated"), table[name]
    low, high = pairs.get("censored") or pairs.get("bounds") or truncated or (None, None)
    found = Bounds(low, high, "censored" not in pairs, truncated if "censored" in pairs else None)
    least, most = found.ends(table, column)
    empty = (least > most) | np.isposinf(least) | np.isneginf(most)
    crossed = np.flatnonzero(empty[column.missing])
    if len(crossed):
        row = int(column.missing[crossed[0]])
        fact = f"nothing lies between the bounds of {name!r} in {len(crossed)} rows."
        rest = {word: {name: None} for word in given}
        raise PlanError(fact, row=f"{row}: from {least[row]:g} to {most[row]:g}", do=call(_IMPUTE, **rest))
    if derived:
        return found
    if truncated is not None:
        _refuse_beyond(name, found, options, table, inside)
    elif "bounds" in pairs and len(column.missing):
        _refuse_unclear(name, found, options, table, inside)
    return found


def named_ends(options: Options, name: Hashable) -> list[Hashable]:
    """Columns that bound the missing values of a column by ``censored=``."""
    return [end for end in options.censored.get(name, ()) if end is not None and not isinstance(end, _NUMBERS)]


_NUMBERS = (int, float, np.number)


def _pair(name: Hashable, option: Any, word: str, table: Table, options: Options) -> tuple[Any, Any]:
    """Two ends, each a float, a column or None."""
    column = table.require(name, f"{word}=")
    seen = column.numbers(column.values[column.observed]) if column.number else np.zeros(0)
    seen = seen[np.isfinite(seen)]
    pair = (int(np.floor(seen.min())), int(np.ceil(seen.max()))) if len(seen) else None
    example = call(_IMPUTE, **{word: {name: pair}})
    if isinstance(option, str) or not isinstance(option, tuple | list) or len(option) != 2:
        raise PlanError(f"{word}= of {name!r} is a pair (low, high), not {option!r}.", do=example)
    if not column.number:
        what = column.coding.problem or f"has {column.n_levels} levels"
        raise PlanError(f"{name!r} {what}: only numbers have bounds.", do=call(_IMPUTE, **{word: {name: None}}))
    for position, end in enumerate(option):
        _check_end(name, end, word, position == 0, table, options, example)
    low, high = (float(end) if isinstance(end, _NUMBERS) else end for end in option)
    return low, high


def _number_columns(table: Table, name: Hashable) -> list[Hashable]:
    """Columns that could bound a column: numbers."""
    return [n for n, c in table.columns.items() if c.number and n != name]


def _known_ends(name: Hashable, word: str, table: Table, options: Options) -> Advice | None:
    """The call with each end that is known, or the column that was probably meant; None where neither is."""
    kept: list[Any] = []
    for end in getattr(options, word)[name]:
        there = isinstance(end, _NUMBERS) and not isinstance(end, bool | np.bool_) and not np.isnan(end)
        there = there or (isinstance(end, Hashable) and end in table)
        kept.append(end if there else near(end, _number_columns(table, name)) if isinstance(end, str) else None)
    return None if kept == [None, None] else call(_IMPUTE, **{word: {name: tuple(kept)}})


def _check_end(
    name: Hashable, end: Any, word: str, lower: bool, table: Table, options: Options, example: str
) -> None:  # fmt: skip
    """An end is a number, None, or a column of numbers; one that is itself drawn is none."""
    if end is None or (isinstance(end, _NUMBERS) and not isinstance(end, bool) and not np.isnan(end)):
        return
    if isinstance(end, bool | np.bool_ | float) or not isinstance(end, Hashable) or end not in table:
        hint = nearest(end, _number_columns(table, name)) if isinstance(end, str) else ""
        raise PlanError(
            f"{end!r} bounds {name!r} and is neither a number nor a column{hint}.",
            do=_known_ends(name, word, table, options) or example,
        )
    if end == name:
        raise PlanError(f"{name!r} cannot bound itself.", do=example)
    other = table[end]
    if not other.number:
        raise PlanError(f"{end!r} bounds {name!r} and is no number.", do=example)
    many = len(other.missing) if word != "censored" else 0
    if many:
        raise PlanError(
            f"{end!r} bounds {name!r} and has {many} missing values itself.",
            do=gap(name, end, lower, word, options, table),
        )


def gap(name: Hashable, end: Hashable, lower: bool, word: str, options: Options, table: Table) -> str:
    """The call that keeps two columns in order where both have missing values: their difference is at least 0."""
    taken = {*table.columns, *options.derived}
    new = next(f"gap{number or ''}" for number in range(len(taken) + 1) if f"gap{number or ''}" not in taken)
    code = " - ".join(code_of(one) for one in ((name, end) if lower else (end, name)))
    low, high = getattr(options, word)[name]
    rest = (None, high) if lower else (low, None)
    changes: dict[str, Any] = {word: {name: None if rest == (None, None) else rest}}
    changes["bounds"] = {**changes.get("bounds", {}), new: (0, None)}
    return call(_IMPUTE, derived={new: code}, **changes)


def _refuse_unclear(name: Hashable, found: Bounds, options: Options, table: Table, inside: Rows | None) -> None:
    """``bounds=`` are constants that every observed value keeps; anything else has two meanings."""
    rows, many = _beyond(found, table, table[name], inside)
    columns = [end for end in found[:2] if end is not None and not isinstance(end, float)]
    if not len(rows) and not columns:
        return
    pair = options.bounds[name]
    calls = {
        word: call(_IMPUTE, bounds={name: None}, **{word: {name: tuple(pair)}}) for word in ("censored", "truncated")
    }
    why = f"{len(rows)} of {many} observed values lie outside" if len(rows) else f"{columns[0]!r} is a column"
    fact = f"bounds= of {name!r} has two meanings: {why}."
    if len(rows):
        other = f"truncated={{{name!r}: ...}} cuts off the whole column: no value may be observed outside"
        raise PlanError(fact, rows=_named(rows, table[name]), truncated=other, do=calls["censored"])
    other = calls["censored"].then("  # known of the missing values only")
    raise PlanError(fact, censored=other, do=calls["truncated"].then("  # no value of the column lies outside"))


def _refuse_beyond(name: Hashable, found: Bounds, options: Options, table: Table, inside: Rows | None) -> None:
    """No value is observed where a column is cut off."""
    cut = found[:2] if found.always else found.cut
    assert cut is not None
    rows, many = _beyond(Bounds(*cut, True), table, table[name], inside)
    if len(rows):
        pair = tuple(options.truncated[name])
        raise PlanError(
            f"{name!r} is truncated, and {len(rows)} of {many} observed values lie outside.",
            rows=_named(rows, table[name]),
            do=call(_IMPUTE, truncated={name: None}, censored={name: pair}),
        )


def _beyond(known: Bounds, table: Table, column: Column, inside: Rows | None) -> tuple[Rows, int]:
    """Rows of observed values outside bounds, and how many values were observed."""
    low, high = known.ends(table, column)
    seen = column.observed if inside is None else np.intersect1d(column.observed, inside)
    values = column.numbers(column.values[seen])
    return seen[(values < low[seen]) | (values > high[seen])], len(seen)


def _named(rows: Rows, column: Column) -> str:
    """A few rows by their position, with their values."""
    values = column.numbers(column.values[rows])
    return listed((f"{row}: {value:g}" for row, value in zip(rows.tolist(), values, strict=True)), _SHOWN)

"""Example values for options that map columns (methods=, bounds=, ...), of the user's own columns, for messages."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

from ...formula.terms import code_of
from ...frame.kinds import Kind
from ...frame.table import Column, Table, free_name, read
from ..contract import facts_of
from ..methods import METHODS
from .usable_columns import meant_method, suiting

__all__ = ["example"]


def example(word: str, given: Any, frame: Any, formula: Any = None) -> dict[str, Any]:
    """Words of a call that grant on columns of the frame what was asked of none.

    Parameters
    ----------
    word : str
        One that maps column names to settings.
    given : object
        What the user gave it.
    frame : DataFrame
    formula : object, optional
        The analysis: outcomes are drawn from it, and take no options of their own.

    Returns
    -------
    dict
        The word is None where no column of the frame can have such an option.
    """
    table = read(frame)
    outcome = " ".join(str(one).partition("~")[0] for one in ([formula] if isinstance(formula, str) else formula or ()))
    free = [table[n] for n in table.incomplete if not re.search(rf"(?<!\w){re.escape(str(n))}(?!\w)", outcome)]
    made = _SETTINGS[word]([c for c in free if c.kind is not Kind.OTHER], given, table)
    words: dict[str, Any] = {word: made or None}
    copies = word == "methods" and any(one in METHODS and not facts_of(METHODS[one]).density for one in made.values())
    if formula and copies:
        words["congeniality"] = "terms"  # what has no density is drawn by chained equations
    return words


def _methods(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """The method, on every column that it draws."""
    if isinstance(given, list | tuple):
        given = next((one for one in given if isinstance(one, str)), "")
    found = {}
    for column in free:
        suits = suiting(column, False)
        method = meant_method(str(given), suits)
        if method:
            found[column.name] = method
    return found or {column.name: suiting(column, True)[0] for column in free[:1]}


def _predictors(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """The first column that is drawn, given the columns that were named."""
    named = [n for n in (given if isinstance(given, list | tuple) else [given]) if isinstance(n, Hashable)]
    for column in free[:1]:
        others = [n for n in named if n in table and n != column.name]
        rest = [n for n, c in table.columns.items() if n != column.name and c.kind is not Kind.OTHER]
        return {column.name: others or rest[:2]} if others or rest else {}
    return {}


def _derived(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """A square, of a name that is not taken."""
    column = next((c for c in table.columns.values() if c.number), None)
    return {} if column is None else {free_name("squared", table.columns): f"{code_of(column.name)}**2"}


def _kinds(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """The kind that the first column has."""
    return {column.name: column.kind.value for column in free[:1]}


def _bounds(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """The pair that was given where all observed values keep it, else their range."""
    for column in (c for c in free if c.number):
        seen = column.numbers(column.values[column.observed])
        low, high = float(seen.min()), float(seen.max())
        pair = tuple(given) if isinstance(given, list | tuple) and len(given) == 2 else (low, high)
        try:
            kept = (pair[0] is None or float(pair[0]) <= low) and (pair[1] is None or float(pair[1]) >= high)
        except (TypeError, ValueError):
            kept = False
        return {column.name: pair if kept else (low, high)}
    return {}


def _conditional(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """A condition on a complete column, one that every row meets."""
    judge = next((c for c in table.columns.values() if c.number and not len(c.missing)), None)
    if judge is None or not free:
        return {}
    least = float(judge.numbers(judge.values).min())
    return {free[0].name: (f"{code_of(judge.name)} >= {least!r}", 0)}


def _collapse(free: list[Column], given: Any, table: Table) -> dict[Hashable, Any]:
    """The last two levels of a column together."""
    column = next((c for c in free if c.kind is Kind.NOMINAL and c.n_levels > 2), None)
    return {} if column is None else {column.name: {"other": list(column.coding.levels[-2:])}}


_SETTINGS: Mapping[str, Any] = {
    "methods": _methods, "predictors": _predictors, "derived": _derived, "kinds": _kinds, "bounds": _bounds,
    "censored": _bounds, "truncated": _bounds, "conditional": _conditional, "collapse": _collapse,
}  # fmt: skip

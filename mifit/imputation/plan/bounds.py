"""Bounds of one column, of all its values or of the missing ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...formula.derived import numbers
from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array

__all__ = ["HALF", "Bounds"]

HALF = 0.49999  #: a draw this near to a whole number becomes it in the completed set


class Bounds(NamedTuple):
    """What is known of where the values of one column lie."""

    low: Any  #: of the missing values: a number, a column, or None
    high: Any
    always: bool  #: whether no value of the column lies outside: then its own model is truncated there
    cut: tuple[Any, Any] | None = None  #: bounds of all its values, where those of the missing ones are others

    def ends(self, table: Table, column: Column) -> tuple[Array, Array]:
        """Lower and upper bound of a missing value in every row, each (n,), infinite where open."""
        low, high = _ends(self[:2], table, column)
        if self.cut is not None:
            least, most = _ends(self.cut, table, column)
            low, high = np.maximum(low, least), np.minimum(high, most)
        return low, high

    def limits(self, table: Table, column: Column) -> tuple[Array, Array] | None:
        """Where the column's distribution is cut off, each (n,); None where it is not."""
        cut = self[:2] if self.always else self.cut
        return None if cut is None else _ends(cut, table, column)

    def __str__(self) -> str:
        if self.always:
            return _said(self[:2])
        missing = f"missing values {_said(self[:2])}"
        return missing if self.cut is None else f"{_said(self.cut)}, {missing}"


def _said(pair: tuple[Any, Any]) -> str:
    """A pair of bounds in words."""
    low, high = (f"{end:g}" if isinstance(end, float) else str(end) for end in pair)
    if pair[0] is None and pair[1] is None:
        return "anywhere"
    if pair[0] is None or pair[1] is None:
        return f"at most {high}" if pair[0] is None else f"at least {low}"
    return f"from {low} to {high}"


def _ends(pair: tuple[Any, Any], table: Table, column: Column) -> tuple[Array, Array]:
    """A pair of bounds in every row, each (n,); of a column of whole numbers as far as they reach when rounded."""
    low, high = (_end(end, table, infinite) for end, infinite in zip(pair, (-np.inf, np.inf), strict=True))
    if column.kind is Kind.COUNT or (column.coding.whole and not column.kind.discrete):
        low, high = np.ceil(low), np.floor(high)
        if column.kind is Kind.NUMERIC:
            low, high = low - HALF, high + HALF
    return low, high


def _end(end: Any, table: Table, infinite: float) -> Array:
    """One bound of every row; a missing one is open."""
    if end is None:
        return np.full(table.n_rows, infinite)
    if isinstance(end, float):
        return np.full(table.n_rows, end)
    values = numbers(table, end)
    return np.where(np.isnan(values), infinite, values)

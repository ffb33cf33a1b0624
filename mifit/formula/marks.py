"""Columns in which one value only was ever written down: marks, of which a missing value often means no."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..frame.kinds import Kind
from ..frame.table import Column
from .column_code import says_no

__all__ = ["is_mark", "line_of_marks", "said_of_marks", "value_of_marks"]


def is_mark(column: Column) -> bool:
    """Whether one value was observed in a column that has missing values.

    Parameters
    ----------
    column : Column

    Returns
    -------
    bool
        False where nothing was observed, or the column is of no kind that is drawn.
    """
    if column.kind is Kind.OTHER or not len(column.missing) or not len(column.observed):
        return False
    return bool(np.ptp(column.values[column.observed]) == 0)


def line_of_marks(column: Column) -> str:
    """The line that makes 1 and 0 of a column of marks: 1 where it is marked, or where "no" is all that is written.

    Parameters
    ----------
    column : Column
        With one observed value.
    """
    seen = "isna" if says_no(value_of_marks(column)) else "notna"
    return f"df[{column.name!r}] = df[{column.name!r}].{seen}().astype(int)"


def said_of_marks(column: Column) -> str:
    """What a plan says of marks outside the analysis."""
    value, meant = value_of_marks(column), "yes" if says_no(value_of_marks(column)) else "no"
    return f"{column.name!r} is {value!r} or missing: if a missing value means {meant}, {line_of_marks(column)}"


def value_of_marks(column: Column) -> Any:
    """The one value, as it is written."""
    value = column.coding.decode(column.values[column.observed][:1]).tolist()[0]
    return int(value) if isinstance(value, float) and value.is_integer() else value

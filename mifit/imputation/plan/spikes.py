"""Columns with a spike: many equal values at an end, and others beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...frame.kinds import Kind
from ...frame.table import Column
from ..contract import Method
from ..methods import METHODS
from ..methods.two_part import commonest

__all__ = ["SPIKE", "two_parts"]

SPIKE = 0.1  #: share of equal values that is worth an event
_OTHERS = 20  # different values beside the spike, and rows: fewer are levels, not a number
_HEAPED = 3.0  # times as common as the next value; else values are heaped, as ages are at 0 and 5


def two_parts(column: Column) -> tuple[Method, str, str] | None:
    """The model in two parts of a number with a spike at its smallest or largest value; its name; why.

    Parameters
    ----------
    column : Column

    Returns
    -------
    tuple or None
        None without a spike: the commonest value has less than a tenth of the rows, lies between others, is not three
        times as common as the next, or hardly any other values were seen.

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.frame.table import read
    >>> df = pd.DataFrame({"cost": [0.0] * 30 + [1.5 * k for k in range(1, 41)]})
    >>> two_parts(read(df)["cost"])[1:]
    ('two-part', '43 % are 0, the others above')
    """
    if column.kind is not Kind.NUMERIC:
        return None
    values = column.values[column.observed]
    spike, share = commonest(values)
    others = values[values != spike]
    if share <= SPIKE or len(np.unique(others)) < _OTHERS or values.min() < spike < values.max():
        return None
    if share < _HEAPED * commonest(others)[1] * len(others) / len(values):
        return None
    made: Any = METHODS["two-part"]
    side = "above" if spike == values.min() else "below"
    return made.tuned(values), "two-part", f"{100 * share:.0f} % are {spike:g}, the others {side}"

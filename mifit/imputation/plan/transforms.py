"""total_within(x, id): sum of x over the rows of each id, for use in formulas."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import Array

__all__ = ["TotalWithin", "total_within"]


class TotalWithin:
    """Totals of a number over the rows of each unit, learnt once; a stateful transform of formulas."""

    def __init__(self) -> None:
        self.units: Any = None
        self.totals: Any = None

    def memorize_chunk(self, values: Any, unit: Any) -> None:
        """Learn the total of each unit from all rows."""
        self.units, position = np.unique(np.asarray(unit), return_inverse=True)
        self.totals = np.bincount(position.reshape(-1), np.asarray(values, dtype=np.float64))

    def memorize_finish(self) -> None:
        """No further step is needed after the first pass."""

    def transform(self, values: Any, unit: Any) -> Array:
        """Each row's total over its unit, shape (n,)."""
        return np.asarray(self.totals[np.searchsorted(self.units, np.asarray(unit))])


def total_within(values: Any, unit: Any) -> Array:
    """Total of a number over the rows of each unit, shape (n,); in a formula, learnt once.

    Examples
    --------
    >>> total_within([1.0, 2.0, 5.0], ["a", "a", "b"])
    array([3., 3., 5.])
    """
    learnt = TotalWithin()
    learnt.memorize_chunk(values, unit)
    return learnt.transform(values, unit)


total_within.__patsy_stateful_transform__ = TotalWithin  # type: ignore[attr-defined]

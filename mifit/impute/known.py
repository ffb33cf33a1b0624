"""What follows without drawing: holes that derived columns, their parents, or other rows of an id determine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ..errors import PlanError
from ..formula.derived import Derived, solve
from ..frame.kinds import Array
from ..frame.table import Column, Table
from .choices import constant_within

__all__ = ["fill", "with_derived"]


def fill(table: Table, derived: Sequence[Derived], unit: Hashable) -> tuple[Table, list[str]]:
    """Fill the holes that are no mystery.

    Parameters
    ----------
    table : Table
    derived : sequence of Derived
        A derived cell follows from observed parents, a parent from its derived column and the other parents.
    unit : hashable or None
        Column of ids: a value observed in one row of an id holds in all, for columns constant within ids.

    Returns
    -------
    known : Table
    events : list of str

    Raises
    ------
    DataError
        If a derived value contradicts its expression.
    PlanError
        If ``unit`` has holes.
    """
    events: list[str] = []
    values: dict[Hashable, Array] = {}
    if derived:
        values, events = solve(derived, table)
    if unit is not None:
        ids = table.require(unit, "id=")
        if len(ids.missing):
            raise PlanError(f"id={unit!r} has {len(ids.missing)} holes.", do=f"df = df.dropna(subset=[{unit!r}])")
        for name in table.incomplete:
            if name != unit and constant_within(table, name, unit):
                found = _from_siblings(values.get(name, table[name].values), ids.values)
                before = int(np.isnan(values.get(name, table[name].values)).sum())
                if before > np.isnan(found).sum():
                    events.append(f"{name!r}: {before - int(np.isnan(found).sum())} holes follow from the same {unit}")
                    values[name] = found
    columns = {name: _refilled(column, values.get(name)) for name, column in table.columns.items()}
    return Table(columns, table.n_rows), events


def with_derived(derived: Sequence[Derived], table: Table, values: Mapping[Hashable, Array]) -> dict[Hashable, Array]:
    """Holes of derived columns, computed from completed parents."""
    done = dict(values)
    found: dict[Hashable, Array] = {}
    for one in derived:
        rows = table[one.name].missing
        if len(rows) and all(not np.isnan(done[p]).any() for p in one.parents):
            numbers = {p: table[p].numbers(done[p][rows]) for p in one.parents}
            found[one.name] = one.value(numbers)
    return found


def _from_siblings(values: Array, ids: Array) -> Array:
    """Values with each id's observed one in all its rows."""
    position = np.unique(ids, return_inverse=True)[1].reshape(-1)
    seen = np.flatnonzero(~np.isnan(values))
    shared = np.full(position.max() + 1, np.nan)
    shared[position[seen]] = values[seen]
    return np.where(np.isnan(values), shared[position], values)


def _refilled(column: Column, values: Array | None) -> Column:
    """A column with fewer holes."""
    if values is None:
        return column
    return Column(column.name, column.coding, values, np.flatnonzero(np.isnan(values)))

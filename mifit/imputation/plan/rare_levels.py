"""Rare levels taken together while they are drawn, and taken apart again by their observed shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import PlanError, call, listed, nearest
from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array, Rows
from .options import Options

__all__ = ["Joined", "collapsed", "levels_together"]


class Joined(NamedTuple):
    """Levels of one column taken together."""

    levels: tuple[Any, ...]  #: those that are drawn
    place: Rows  #: (K,) which of them each level of the column belongs to
    seen: Array  #: (K,) rows in which each level of the column was observed

    def becomes(self, levels: Sequence[Any]) -> dict[Any, Any]:
        """Levels of the column that are drawn together with others, and what they are drawn as."""
        pairs = zip(levels, (self.levels[place] for place in self.place.tolist()), strict=True)
        return {level: whole for level, whole in pairs if level != whole}

    def apart(self, codes: Array, rng: np.random.Generator) -> Array:
        """Draw a level of the column for each drawn one, by observed shares; both (n_mis,)."""
        out = np.full(len(codes), np.nan)
        for code in range(len(self.levels)):
            rows, joined_levels = np.flatnonzero(codes == code), np.flatnonzero(self.place == code)
            share = self.seen[joined_levels] / self.seen[joined_levels].sum()
            out[rows] = joined_levels[0] if len(joined_levels) == 1 else rng.choice(joined_levels, len(rows), p=share)
        return out


def levels_together(table: Table, options: Options) -> dict[Hashable, Joined]:
    """Which levels are taken together: those asked for, and those observed in fewer than ``min_count`` rows.

    Parameters
    ----------
    table : Table
    options : Options

    Returns
    -------
    dict
        Column -> Joined.

    Raises
    ------
    PlanError
        If a column has no levels, a level is unknown or named twice, or fewer than two would remain.
    """
    found = {name: _joined(table.require(name, "collapse="), option) for name, option in options.collapse.items()}
    least = options.min_count
    if least is None:
        return found
    if isinstance(least, bool) or not isinstance(least, int | np.integer) or least < 1:
        raise PlanError(
            f"min_count is {least!r}; a whole number from 1 is needed.", do=call("df.mice.impute", min_count=5)
        )
    for name in table.incomplete:
        column = table[name]
        if name in found or column.kind is not Kind.NOMINAL or options.methods.get(name) == "leave":
            continue
        rare = [level for level, many in zip(column.coding.levels, _counts(column), strict=True) if many < least]
        if 1 < len(rare) < column.n_levels:
            found[name] = _joined(column, {_free("other", column): rare})
    return found


def _free(name: str, column: Column) -> str:
    """A name that is no level yet."""
    return name if name not in column.coding.levels else _free(name + "_", column)


def _counts(column: Column) -> Array:
    """Rows in which each level was observed, shape (K,)."""
    codes = column.values[column.observed].astype(np.int64)
    return np.bincount(codes, minlength=column.n_levels).astype(np.float64)


def _joined(column: Column, option: Any) -> Joined:
    """Levels that the user wants together."""
    name, levels = column.name, column.coding.levels
    example = call("df.mice.impute", collapse={name: {"other": list(levels[-2:])}})
    if not column.kind.discrete or column.number:
        raise PlanError(
            f"{name!r} has no levels to take together.",
            do=call("df.mice.impute", collapse={name: None}).then("  # without it among collapse"),
        )
    if not isinstance(option, Mapping) or any(
        isinstance(v, str) or not isinstance(v, list | tuple) for v in option.values()
    ):
        raise PlanError(f"collapse= of {name!r} maps a new level to a list of levels, not {option!r}.", do=example)
    into: dict[Any, Any] = {}
    for fresh, joined_levels in option.items():
        if fresh in levels and fresh not in joined_levels:
            raise PlanError(f"{fresh!r} is a level of {name!r} already.", do=example)
        for member in joined_levels:
            if member not in levels:
                raise PlanError(f"{member!r} is no level of {name!r}{nearest(member, levels)}.", do=example)
            if member in into:
                raise PlanError(f"collapse= names {member!r} of {name!r} twice.", do=example)
            into[member] = fresh
    named = [into.get(level, level) for level in levels]
    new = tuple(dict.fromkeys(named))
    if len(new) < 2:
        raise PlanError(f"collapse= leaves one level of {name!r}: nothing would be drawn.", do=example)
    return Joined(new, np.array([new.index(one) for one in named], dtype=np.int64), _counts(column))


def collapsed(table: Table, together: Mapping[Hashable, Joined]) -> tuple[Table, list[str]]:
    """The table with levels taken together, as the chains see it; what was done."""
    columns, events = dict(table.columns), []
    for name, found in together.items():
        column = columns[name]
        values = column.values.copy()
        seen = np.flatnonzero(~np.isnan(values))
        values[seen] = found.place[values[seen].astype(np.int64)]
        kind = Kind.BINARY if len(found.levels) == 2 else column.kind
        coding = dataclasses.replace(column.coding, kind=kind, levels=found.levels)
        columns[name] = Column(name, coding, values, column.missing)
        for code, level in enumerate(found.levels):
            joined_levels = np.flatnonzero(found.place == code)
            if len(joined_levels) > 1:
                shown = listed((repr(column.coding.levels[m]) for m in joined_levels), 6)
                shares = "observed shares"
                events.append(f"{name!r}: {shown} are drawn together as {level!r}, then one of them by {shares}")
    return Table(columns, table.n_rows), events

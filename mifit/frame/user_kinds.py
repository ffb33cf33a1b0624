"""Kinds as the user says they are, and levels taken together: how a column is read when its dtype does not tell."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..calls import Correction, left_alone
from ..errors import PlanError, call, listed, near, nearest
from .kinds import Coding, Kind, classify, is_missing
from .numbers_as_text import spelled
from .table import Column, Table

__all__ = ["codings", "recoded"]

_KINDS = ("numeric", "count", "binary", "nominal", "ordinal")


def codings(frame: pd.DataFrame, kinds: Mapping[Hashable, Any]) -> dict[Hashable, Coding]:
    """How to read columns whose kind the user says.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
    kinds : mapping
        Column -> "numeric", "count", "binary", "nominal" or "ordinal", or the list of its levels in order: ordinal.

    Returns
    -------
    dict
        Column -> Coding.

    Raises
    ------
    PlanError
        If a name is no column, a kind is unknown or does not suit the values, or a level is not in the list.

    Examples
    --------
    >>> frame = pd.DataFrame({"grade": ["low", "high", None, "mid"]})
    >>> codings(frame, {"grade": ["low", "mid", "high"]})["grade"].levels
    ('low', 'mid', 'high')
    """
    found = {}
    for name, option in kinds.items():
        if name not in frame.columns:
            fact = f"kinds= names {name!r}, which is not a column{nearest(name, frame.columns)}."
            raise PlanError(fact, do=Correction("kinds", name, near(name, frame.columns)))
        found[name] = _recast(name, frame[name], option)
    return found


_IMPUTE = "df.mice.impute"
_FEW = 20  # levels that are never too many
_ROWS = 3  # for each level, from which on numbers may be codes


def _recast(name: Hashable, series: pd.Series, option: Any) -> Coding:
    """One column as it is said to be."""
    own = classify(series)
    if isinstance(option, str):
        if option not in _KINDS:
            raise PlanError(
                f"kinds= says {name!r} is {option!r}{nearest(option, _KINDS)}.",
                known=", ".join(_KINDS),
                do=call(_IMPUTE, kinds={name: "nominal"}),
            )
        if own.problem:
            raise PlanError(
                f"{name!r} {own.problem}: it cannot be {option}.",
                do=call(_IMPUTE, kinds={name: None}, **left_alone(name)),
            )
        return (
            own if option == own.kind.value and own.kind is not Kind.ORDINAL else _as(name, series, own, Kind(option))
        )
    if isinstance(option, Sequence | np.ndarray | pd.Index):
        return _ordered(name, series, own, list(option))
    raise PlanError(
        f"kinds= wants the kind of {name!r} or the list of its levels, not {type(option).__name__}.",
        do=call(_IMPUTE, kinds={name: "ordinal"}),
    )


def _as(name: Hashable, series: pd.Series, own: Coding, kind: Kind) -> Coding:
    """A column as another kind than its dtype says."""
    levels = own.levels if own.kind.discrete else _distinct(series, own.whole)
    if kind in (Kind.NUMERIC, Kind.COUNT):
        if not own.number:
            raise PlanError(
                f"{name!r} holds {_shown(levels)}: it cannot be {kind.value}.",
                do=found.line(name) if (found := spelled(levels)) else _levels_as_numbers(name, levels),
            )
        values = np.asarray(levels, dtype=np.float64)
        if kind is Kind.COUNT and (np.any(values < 0) or np.any(values != np.rint(values))):
            raise PlanError(
                f"{name!r} has values that are no counts: {_shown(levels)}.",
                do=call(_IMPUTE, kinds={name: "numeric"}),
            )
        return Coding(kind, whole=own.whole)
    if kind is Kind.BINARY and len(levels) != 2:
        raise PlanError(
            f"{name!r} has {len(levels)} values and cannot be binary: {_shown(levels)}.",
            do=call(_IMPUTE, kinds={name: own.kind.value if _is_measured(levels, series) else "nominal"}),
        )
    if kind is Kind.NOMINAL and _is_measured(levels, series):
        raise PlanError(
            f"{name!r} has {len(levels)} different numbers in {int(series.notna().sum())} rows: "
            f"too many to be nominal: {_shown(levels)}.",
            do=call(_IMPUTE, kinds={name: own.kind.value}),
        )
    if kind is Kind.ORDINAL and not own.number and own.kind is not Kind.ORDINAL and len(levels) > 2:
        raise PlanError(
            f"the order of the levels of {name!r} is not known: {_shown(levels)}.",
            do=call(_IMPUTE, kinds={name: list(levels)}).then("  # in their order"),
        )
    if len(levels) == 2:
        return own if own.kind is Kind.BINARY else Coding(Kind.BINARY, levels, own.number, own.whole)
    number = own.number and kind is Kind.ORDINAL
    return Coding(kind, _numbers_as_such(levels, own.whole), number, own.whole)


def _is_measured(levels: Sequence[Any], series: pd.Series) -> bool:
    """Whether numbers are too many for levels: more than a few, and fractions or hardly ever twice the same."""
    if len(levels) <= _FEW or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in levels):
        return False
    return any(v != round(v) for v in levels) or len(levels) * _ROWS > int(series.notna().sum())


def _levels_as_numbers(name: Hashable, levels: Sequence[Any]) -> str:
    """The line that gives each level a number, to be filled in."""
    codes = {level: code for code, level in enumerate(levels)}
    return f"df[{name!r}] = df[{name!r}].astype(object).map({codes!r}).astype(float)  # the number of each level"


def _ordered(name: Hashable, series: pd.Series, own: Coding, levels: list[Any]) -> Coding:
    """A column with its levels in the order given; levels that do not occur are none."""
    seen = _distinct(series, own.whole) if not own.kind.discrete else own.levels
    absent = [level for level in seen if level not in levels]
    if absent or len(set(map(repr, levels))) < len(levels):
        what = (
            f"the level {absent[0]!r} of {name!r} is not in kinds=" if absent else f"kinds= repeats levels of {name!r}"
        )
        whole = [*dict.fromkeys(levels), *absent]
        raise PlanError(f"{what}.", do=call(_IMPUTE, kinds={name: whole}))
    kept = tuple(level for level in levels if level in seen)
    if len(kept) == 2 and own.kind is Kind.BINARY:
        return Coding(Kind.BINARY, kept, own.number, own.whole)
    rising = own.number and list(kept) == sorted(kept)
    return Coding(Kind.ORDINAL, _numbers_as_such(kept, own.whole), rising, own.whole)


def _distinct(series: pd.Series, whole: bool) -> tuple[Any, ...]:
    """Observed values, sorted."""
    present = series[~is_missing(series)]
    if isinstance(present.dtype, pd.SparseDtype):
        present = present.sparse.to_dense()
    found = {v.item() if isinstance(v, np.generic) else v for v in present.tolist()}
    return _numbers_as_such(tuple(sorted(found, key=lambda v: (str(type(v)), v))), whole)


def _numbers_as_such(levels: tuple[Any, ...], whole: bool) -> tuple[Any, ...]:
    """Whole numbers as integers: a category is named 2, not 2.0."""
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in levels)
    return tuple(int(v) if float(v).is_integer() else v for v in levels) if numbers else levels


def _shown(levels: Sequence[Any]) -> str:
    """The first few levels."""
    return listed(map(repr, levels))


def recoded(table: Table, names: Sequence[Hashable]) -> Table:
    """The table with some rating scales read as plain numbers, and some numbers read as ordered levels."""
    columns = dict(table.columns)
    for name in names:
        old = columns[name]
        known = np.flatnonzero(~np.isnan(old.values))
        values = old.values.copy()
        coding = Coding(Kind.NUMERIC, whole=old.coding.whole)
        if old.kind.discrete:
            values[known] = old.numbers(old.values[known])
        else:
            levels, codes = np.unique(old.values[known], return_inverse=True)
            coding = Coding(Kind.ORDINAL, tuple(levels.tolist()), whole=old.coding.whole)
            values[known] = codes.reshape(-1)
        columns[name] = Column(name, coding, values, old.missing)
    return Table(columns, table.n_rows)

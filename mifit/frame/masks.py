"""Masks: rows and cells that the user marks, aligned with the frame and kept small."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..calls import Code
from ..errors import PlanError, call, nearest
from .table import Column, Table

__all__ = ["Mask", "cells", "opened", "rows"]


@dataclass(frozen=True)
class Mask:
    """Which of n rows are marked, one bit for each."""

    n: int
    bits: bytes

    def __post_init__(self) -> None:
        if len(self.bits) != (self.n + 7) // 8:
            raise ValueError(f"a mask of {self.n} rows has {len(self.bits)} bytes")

    @classmethod
    def of(cls, marked: npt.NDArray[np.bool_]) -> Mask:
        """Pack an array of truth values, shape (n,)."""
        return cls(len(marked), np.packbits(marked).tobytes())

    @property
    def marked(self) -> npt.NDArray[np.bool_]:
        """The truth values, shape (n,)."""
        return np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.n).astype(bool)

    def __repr__(self) -> str:
        return "mask"


def cells(frame: pd.DataFrame, given: Any) -> dict[Hashable, Mask]:
    """Read a mask of cells.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
    given : DataFrame, ndarray of bool, shape (n, p), or mapping
        True where a cell is to be imputed. A DataFrame or mapping (column -> n truth values) may name some columns:
        the others keep their missing values.

    Returns
    -------
    dict
        Column -> Mask, for every column of the frame.

    Raises
    ------
    PlanError
        If shape, names or values do not fit.

    Examples
    --------
    >>> frame = pd.DataFrame({"x": [1.0, None], "y": [None, 2.0]})
    >>> cells(frame, {"x": [False, True]})["y"].marked.tolist()
    [False, False]
    """
    example = call("df.mice.impute", where=Code("df.isna()"))
    if isinstance(given, pd.DataFrame | Mapping):
        for name in given:
            if name not in frame.columns:
                fact = f"where= names {name!r}, which is not a column{nearest(name, frame.columns)}."
                raise PlanError(fact, do=example)
        named = {name: _truth(given[name], frame, f"where= of {name!r}", example) for name in given}
    else:
        values = np.asarray(given)
        if values.shape != frame.shape:
            fact = f"where= has the shape {values.shape}, the frame {frame.shape}."
            raise PlanError(fact, do=example)
        named = {n: _truth(values[:, k], frame, f"where= of {n!r}", example) for k, n in enumerate(frame.columns)}
    none = np.zeros(len(frame), dtype=bool)
    return {name: Mask.of(named.get(name, none)) for name in frame.columns}


def rows(frame: pd.DataFrame, given: Any, word: str) -> Mask:
    """Read a mask of rows: n truth values, by position, or a Series with the index of the frame."""
    return Mask.of(
        _truth(
            given,
            frame,
            word,
            call("df.mice.impute", **{word.split("=")[0]: None}).then(f"  # or {len(frame)} truth values"),
        )
    )


def _truth(given: Any, frame: pd.DataFrame, word: str, example: str) -> npt.NDArray[np.bool_]:
    """Return n truth values; a Series must have the frame's own index, for labels are never matched in silence."""
    if isinstance(given, pd.Series) and len(given) == len(frame) and not given.index.equals(frame.index):
        raise PlanError(f"{word} has another index than the frame.", do=example)
    values = np.asarray(given)
    if values.shape != (len(frame),):
        raise PlanError(f"{word} has {values.size} values for {len(frame)} rows.", do=example)
    if pd.isna(values).any() or not all(isinstance(v, bool | np.bool_) for v in values.tolist()):
        raise PlanError(f"{word} is not True or False everywhere.", do=example)
    return values.astype(bool)


def opened(table: Table, where: Mapping[Hashable, Mask]) -> tuple[Table, list[str]]:
    """Mark observed cells as missing so that they are imputed too (``where=``).

    Parameters
    ----------
    table : Table
    where : mapping
        Column -> Mask.

    Returns
    -------
    table : Table
    events : list of str
        How many cells were opened, and how many will stay missing.

    Raises
    ------
    PlanError
        If nothing of a column would be left to learn from.
    """
    columns, events = dict(table.columns), []
    for name, mask in where.items():
        column = columns[name]
        marked = np.flatnonzero(mask.marked)
        seen, kept = np.setdiff1d(marked, column.missing), np.setdiff1d(column.missing, marked)
        if len(kept):
            events.append(f"{name!r}: {len(kept)} missing cells are outside where= and stay missing")
        if not len(seen):
            continue
        missing = np.union1d(column.missing, seen)
        if len(missing) == table.n_rows:
            raise PlanError(
                f"where= leaves no value of {name!r} to learn from.", do=call("df.mice.impute", where=Code("df.isna()"))
            )
        values = column.values.copy()
        values[seen] = np.nan
        columns[name] = Column(name, column.coding, values, missing)
        events.append(f"{name!r}: {len(seen)} observed cells are imputed as if they were missing (where=)")
    return Table(columns, table.n_rows), events

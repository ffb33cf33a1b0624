"""Completed: the frame as given and the values that were drawn for it; the k-th set, and all in long format."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, call
from ..typing import Array, Rows
from .table import Column, Table, free_name

__all__ = ["Completed", "copied"]


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """m completed data sets, of which only the missing values are stored."""

    original: pd.DataFrame
    table: Table
    imputed: tuple[dict[Hashable, Array], ...]  #: per set: column -> (n_mis,) values or level codes

    def __len__(self) -> int:
        return len(self.imputed)

    @property
    def index(self) -> pd.Index:
        """The frame's own row labels."""
        return self.original.index

    @property
    def filled(self) -> dict[Hashable, int]:
        """Columns with missing values that were filled, and how many; cells that stay missing in every set are none."""
        counts = {}
        for name in self.table.incomplete:
            drawn = [one[name] for one in self.imputed if name in one]
            counts[name] = int((~np.all(np.isnan(drawn), axis=0)).sum()) if drawn else 0
        return {name: count for name, count in counts.items() if count}

    def fitting(self) -> Completed:
        """The same, after making sure that the smallest and the largest drawn numbers fit their columns' dtypes."""
        for name in self.filled:
            column, dtype = self.table[name], self.original[name].dtype
            if not column.kind.discrete and not isinstance(dtype, pd.SparseDtype):
                drawn = np.concatenate([one[name] for one in self.imputed])
                _as_dtype(column.coding.decode(np.array([np.nanmin(drawn), np.nanmax(drawn)])), dtype, column)
        return self

    def labels(self, k: int) -> pd.Index:
        """Row labels of the k-th set (n): the frame's own."""
        return self.original.index

    def take(self, k: int, given: Any) -> Any:
        """What was given for every row of the frame, for those of the k-th set: all of it."""
        return given

    def values(self, k: int) -> dict[Hashable, Array]:
        """The k-th set as numbers and level codes, as the completed frame has them; each of shape (n,)."""
        return {name: self._column(k, column) for name, column in self.table.columns.items()}

    def series(self, k: int, name: Hashable) -> pd.Series:
        """One column of the k-th set, rows numbered from 0."""
        column = self.table.require(name, "the analysis")
        position = self.original.columns.get_loc(name)
        given = self.original.iloc[:, position]
        return pd.Series(self._fill(given, k, column), dtype=given.dtype, name=name)

    def learnt(self) -> Table:
        """The table that knots and centres are learnt on: a column without an observed value is as in the first set."""
        unseen = [name for name, column in self.table.columns.items() if len(column.missing) == self.table.n_rows]
        if not unseen or not all(name in self.imputed[0] for name in unseen):
            return self.table
        first, none = self.values(0), np.empty(0, dtype=np.int64)
        filled = {name: replace(self.table[name], values=first[name], missing=none) for name in unseen}
        return Table({**self.table.columns, **filled}, self.table.n_rows)

    def part(self, rows: Rows, sets: int | None = None) -> Completed:
        """Some rows, in ascending order, of all sets or of the first few."""
        table = self.table.part(rows)
        inside = {name: np.isin(self.table[name].missing, rows) for name in (self.imputed[0] if self.imputed else ())}
        imputed = tuple({name: drawn[inside[name]] for name, drawn in one.items()} for one in self.imputed[:sets])
        return Completed(self.original.iloc[rows], table, imputed)

    def frame(self, k: int) -> pd.DataFrame:
        """The k-th completed DataFrame: index, columns, dtypes and observed values as they came."""
        frame = copied(self.original)
        for position, (name, column) in enumerate(self.table.columns.items()):
            if name in self.imputed[k] and len(column.missing):
                given = frame.iloc[:, position]
                # With its dtype said: pandas would take an object array of strings for its own text dtype.
                filled = pd.Series(self._fill(given, k, column), index=frame.index, dtype=given.dtype)
                frame.isetitem(position, filled)
        return frame

    def long(self, original: bool = True, imp: Hashable = ".imp", row: Hashable = ".id") -> pd.DataFrame:
        """All sets stacked, with the number of the set (0 is the incomplete frame) and of the row (from 1)."""
        words = {"imp": imp, "id": row}
        if imp == row:
            raise DataError(f"imp= and id= are both {imp!r}.", do="imp.to_long()")
        for name in words.values():
            if name in self.table:
                free = {w: free_name(f"{n}_", self.table.columns) if n in self.table else n for w, n in words.items()}
                given = ", ".join(f"{w}={n!r}" for w, n in free.items())
                raise DataError(
                    f"the frame has a column {name!r} of its own; the numbers of the long format need another name.",
                    do=f"imp.to_long({given})  # read again by mifit.from_long(long, {given})",
                )
        numbers = np.arange(1, self.table.n_rows + 1)
        parts = ([(0, self.original)] if original else []) + [(k + 1, f) for k, f in enumerate(self)]
        stacked = pd.concat([part for _, part in parts], ignore_index=True)
        stacked.index = self.original.index.take(np.tile(numbers - 1, len(parts)))  # pandas would infer its dtype anew
        if isinstance(stacked.columns, pd.CategoricalIndex):  # takes no new name
            stacked.columns = stacked.columns.astype(object)
        stacked.insert(0, row, np.tile(numbers, len(parts)))
        stacked.insert(0, imp, np.repeat([number for number, _ in parts], self.table.n_rows))
        return stacked

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self.frame(k) for k in range(len(self)))

    def _column(self, k: int, column: Column) -> Array:
        """One column of the k-th set; a missing value that was left stays NaN."""
        drawn = self.imputed[k].get(column.name)
        if drawn is None or not len(column.missing):
            return column.values
        filled = column.values.copy()
        filled[column.missing] = column.completed(drawn)
        return filled

    def _fill(self, series: pd.Series, k: int, column: Column) -> Any:
        """The k-th array of one column, of the dtype it came with."""
        drawn = self.imputed[k].get(column.name)
        if drawn is None or not len(column.missing):
            return series.array
        there = ~np.isnan(drawn)  # what is not there stays missing
        rows, values = column.missing[there], column.coding.decode(drawn[there])
        dtype = series.dtype
        if isinstance(dtype, pd.SparseDtype):
            dense = np.asarray(series.sparse.to_dense())
            dense = dense.copy()
            dense[rows] = values
            return pd.arrays.SparseArray(dense, dtype=dtype)
        filled = series.array.copy()
        filled[rows] = _as_dtype(values, dtype, column)
        return filled


def copied(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy that no later change reaches: for nothing where pandas copies on write, else deep."""
    lazy = int(pd.__version__.split(".")[0]) >= 3 or pd.options.mode.copy_on_write is True
    return frame.copy(deep=not lazy)


def _as_dtype(values: Any, dtype: Any, column: Column) -> Any:
    """Drawn values as an array of the column's own dtype."""
    if pd.api.types.is_object_dtype(dtype):
        return _objects([int(v) for v in values] if column.coding.whole and column.number else values.tolist())
    if isinstance(dtype, np.dtype) and dtype.kind in "iuf":
        cast = np.asarray(values, dtype=np.float64).astype(dtype)
        if not np.all(np.isfinite(cast)) or (dtype.kind in "iu" and np.any(cast != np.asarray(values))):
            raise _does_not_fit(column, dtype)
        return cast
    try:
        plain = [int(v) for v in values] if column.coding.whole and column.number else list(values)
        return pd.array(plain, dtype=dtype)
    except (OverflowError, ValueError, TypeError) as error:
        raise _does_not_fit(column, dtype) from error


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Python objects as an array of one dimension, tuples too."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _does_not_fit(column: Column, dtype: Any) -> DataError:
    """The error for a draw outside the range of its dtype."""
    name = column.name
    words = re.match("u?int[0-9]+", str(dtype).lower())
    limits = np.iinfo(words[0]) if words else None
    return DataError(
        f"a value drawn for {name!r} does not fit its dtype {dtype}.",
        do=f"df[{name!r}] = df[{name!r}].astype('Float64')"
        if limits is None
        else call("df.mice.impute", bounds={name: (int(limits.min), int(limits.max))}),
    )

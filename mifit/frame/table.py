"""Table: the user's frame as plain arrays, and where its missing values are."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..calls import Correction
from ..errors import DataError, call, listed, near, nearest
from ..typing import Array, Rows
from .kinds import Coding, Kind, classify, encode, is_missing

__all__ = ["Column", "Table", "Views", "check_frame", "free_name", "patterns", "read"]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column: its values as numbers or level codes."""

    name: Hashable
    coding: Coding
    values: Array  #: (n,) NaN where missing
    missing: Rows  #: (n_mis,) sorted rows of the missing values

    @property
    def kind(self) -> Kind:
        """The kind it is drawn as."""
        return self.coding.kind

    @property
    def n_levels(self) -> int:
        """Number of levels, 0 for numbers and counts."""
        return len(self.coding.levels)

    @property
    def observed(self) -> Rows:
        """Rows where it was observed, shape (n_obs,)."""
        mask = np.ones(len(self.values), dtype=bool)
        mask[self.missing] = False
        return np.flatnonzero(mask)

    @property
    def number(self) -> bool:
        """Whether formulas see it as one number."""
        return self.coding.number and self.kind is not Kind.OTHER

    def completed(self, values: Array) -> Array:
        """Values as the completed set has them: counts and numbers of a whole dtype rounded, all others as they are."""
        return np.rint(values) if (self.coding.whole and not self.kind.discrete) or self.kind is Kind.COUNT else values

    def numbers(self, values: Array) -> Array:
        """What a formula sees of a number: values as they are, level codes as their levels."""
        if self.kind.discrete:
            return np.asarray(self.coding.levels, dtype=np.float64)[values.astype(np.int64)]
        return values


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The frame as arrays; order of the columns kept."""

    columns: dict[Hashable, Column]
    n_rows: int

    def __getitem__(self, name: Hashable) -> Column:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def incomplete(self) -> tuple[Hashable, ...]:
        """Columns with missing values, in the frame's order."""
        return tuple(name for name, column in self.columns.items() if len(column.missing))

    def gone(self, name: Hashable) -> npt.NDArray[np.bool_]:
        """Whether a column is missing, shape (n,)."""
        marked = np.zeros(self.n_rows, dtype=bool)
        marked[self.columns[name].missing] = True
        return marked

    def complete_rows(self, names: Iterable[Hashable]) -> Rows:
        """Rows where all the named columns were observed."""
        mask = np.ones(self.n_rows, dtype=bool)
        for name in names:
            mask[self.columns[name].missing] = False
        return np.flatnonzero(mask)

    def part(self, rows: Rows) -> Table:
        """Some rows, in the order given; kinds and levels stay those of the whole."""
        columns = {}
        for name, column in self.columns.items():
            missing = np.flatnonzero(np.isin(rows, column.missing))
            columns[name] = Column(name, column.coding, column.values[rows], missing)
        return Table(columns, len(rows))

    def require(self, name: Hashable, word: str) -> Column:
        """Return a column, or refuse a name that is none."""
        if not isinstance(name, Hashable):
            first = next(iter(name), None)
            raise DataError(
                f"{word} names one column, not a {type(name).__name__}.",
                do="df.columns.tolist()" if first not in self.columns else call("df.mice.impute", **{word[:-1]: first}),
            )
        if name not in self.columns:
            raise DataError(
                f"{word} names {name!r}, which is not a column{nearest(name, self.columns)}.",
                columns=listed(self.columns, 8),
                do=Correction(word, name, near(name, self.columns)),
            )
        return self.columns[name]


class Views(NamedTuple):
    """One frame as arrays, in the three views that differ in what is missing and in how levels are read."""

    given: Table  #: as the user gave it
    filled: Table  #: with the values that follow from others, without a draw
    drawn: Table  #: what the chains run on: filled, with levels taken together

    @property
    def n_rows(self) -> int:
        """Number of rows, in every view."""
        return self.given.n_rows


def read(frame: pd.DataFrame, codings: dict[Hashable, Coding] | None = None) -> Table:
    """Turn a DataFrame into a Table.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Any index; column names unique and in one level.
    codings : dict, optional
        How to read columns, where it is known already.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If it is not a DataFrame, has no row or column, or its column names repeat or are in several levels.

    Examples
    --------
    >>> read(pd.DataFrame({"x": [1.5, None, 2.5, 9.0]})).incomplete
    ('x',)
    """
    check_frame(frame)
    columns: dict[Hashable, Column] = {}
    for position, label in enumerate(frame.columns):
        # equal to itself and hashed alike, but comparable with a label of any type: numpy's whole numbers raise
        name = label.item() if isinstance(label, np.integer | np.floating | np.bool_) else label
        series = frame.iloc[:, position]
        missing = is_missing(series)
        coding = (codings or {}).get(name) or classify(series, missing)
        columns[name] = Column(name, coding, encode(series, coding, missing), np.flatnonzero(missing))
    return Table(columns, len(frame))


def free_name(name: str, columns: Iterable[Hashable]) -> str:
    """Return a name that no column has: the one given, with as many underscores as it takes.

    Examples
    --------
    >>> free_name("event", ["time", "event"])
    'event_'
    """
    taken = set(columns)
    while name in taken:
        name += "_"
    return name


def check_frame(frame: object) -> None:
    """Refuse what is not a usable frame."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"a pandas DataFrame is needed, not {type(frame).__name__}.", do=f"df = {_as_pandas(frame)}")
    if frame.shape[0] == 0 or frame.shape[1] == 0:
        raise DataError(f"the frame is empty: {frame.shape[0]} rows, {frame.shape[1]} columns.", do="df.info()")
    if frame.columns.nlevels > 1:
        raise DataError(
            f"column names are in {frame.columns.nlevels} levels; formulas cannot name them.",
            do="df.columns = ['_'.join(map(str, c)) for c in df.columns]",
        )
    if frame.columns.hasnans:
        raise DataError(
            "a column has no name (None or NaN).",
            columns=listed(frame.columns, 8),
            do="df.columns = [f'x{i}' if pd.isna(c) else c for i, c in enumerate(df.columns)]",
        )
    if not frame.columns.is_unique:
        twice = listed(map(repr, frame.columns[frame.columns.duplicated()].unique()))
        raise DataError(f"column names repeat: {twice}.", do="df = df.loc[:, ~df.columns.duplicated()]")
    for name in filter(_half, frame.columns):
        raise DataError(
            f"the name {name!r} holds half a character, a lone surrogate: it can be neither printed nor parsed.",
            do=f"df = df.rename(columns=lambda c: {_WHOLE})",
        )
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        if isinstance(dtype, pd.CategoricalDtype) and any(map(_half, dtype.categories)):
            raise DataError(
                f"a level of {name!r} holds half a character, a lone surrogate: pandas compares no such categories.",
                do=f"df[{name!r}] = df[{name!r}].cat.rename_categories(lambda c: {_WHOLE})",
            )


_WHOLE = "c.encode('utf-8', 'replace').decode() if isinstance(c, str) else c"


def _half(text: object) -> bool:
    """Whether a text holds half a character."""
    return isinstance(text, str) and not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def _as_pandas(data: object) -> str:
    """The expression that makes a DataFrame of something else, names and dtypes kept where it has some."""
    package, kind = type(data).__module__.partition(".")[0], type(data).__name__
    if isinstance(data, pd.Series | pd.Index):
        return "data.to_frame()"
    if package == "polars":
        gathered = {"LazyFrame": "data.collect()", "Series": "data.to_frame()"}.get(kind, "data")
        return f"{gathered}.to_pandas(use_pyarrow_extension_array=True)"
    if package == "pyarrow":
        return "data.to_pandas(types_mapper=pd.ArrowDtype)"
    if package in ("dask", "dask_expr"):
        return "data.compute()"
    for method in ("to_pandas", "toPandas", "to_dataframe", "to_df"):
        if callable(getattr(data, method, None)) and not isinstance(data, type):
            return f"data.{method}()"
    if np.ndim(data) == 2 and not isinstance(data, dict):  # type: ignore[arg-type]
        return "pd.DataFrame(data).add_prefix('x')"
    return "pd.DataFrame(data)"


def patterns(frame: pd.DataFrame) -> pd.DataFrame:
    """Which columns are missing together, and how often; see :func:`mifit.pattern`.

    Examples
    --------
    >>> patterns(pd.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}))
           rows  holes     b      a
    0         2      0  True   True
    1         1      1  True  False
    total     3      1     0      1
    """
    check_frame(frame)
    missing = np.column_stack([is_missing(frame.iloc[:, position]) for position in range(frame.shape[1])])
    order = np.argsort(missing.sum(axis=0), kind="stable")
    shown, count = np.unique(missing[:, order], axis=0, return_counts=True)
    first = np.lexsort((shown.sum(axis=1), -count))
    observed = pd.DataFrame(~shown[first], columns=frame.columns[order]).astype(object)
    observed.loc["total"] = missing.sum(axis=0)[order]
    observed.insert(0, "holes", [*shown[first].sum(axis=1).tolist(), int(missing.sum())], allow_duplicates=True)
    observed.insert(0, "rows", [*count[first].tolist(), len(frame)], allow_duplicates=True)
    return observed

"""Frames of other libraries: read through Arrow without loss, and given back as the kind they came."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..errors import DataError

__all__ = ["Origin", "as_came", "taken_in"]

_NAMED = {"polars": "polars", "duckdb": "duckdb"}  # library -> its extra; all others come back as tables of pyarrow


@dataclass(frozen=True, slots=True)
class Origin:
    """What kind of frame came, and the types of its columns."""

    library: str  #: "polars", "duckdb" or "pyarrow"
    types: dict[str, Any]  #: column -> its type, as that library has it
    lazy: bool = False  #: whether it was a lazy frame of polars

    def out(self, frame: pd.DataFrame) -> Any:
        """A DataFrame as the kind of frame that came; columns that it did not have get the type that fits them."""
        return getattr(self, f"_{self.library}")(_table(frame))

    def _pyarrow(self, table: Any) -> Any:
        """Return a table, its columns cast to their types."""
        import pyarrow as pa

        for position, name in enumerate(table.column_names):
            kind = self.types.get(name)
            if kind is not None and table.schema.field(name).type != kind:
                column = table.column(position)
                if pa.types.is_dictionary(kind):
                    column = column.cast(kind.value_type).dictionary_encode().cast(kind)
                else:
                    column = column.cast(kind)
                table = table.set_column(position, pa.field(name, kind), column)
        return table

    def _polars(self, table: Any) -> Any:
        """Return a frame of polars, its columns cast to their types."""
        polars = importlib.import_module("polars")
        frame = polars.from_arrow(table)
        frame = frame.cast({n: t for n, t in self.types.items() if n in frame.columns and frame.schema[n] != t})
        return frame.lazy() if self.lazy else frame

    def _duckdb(self, table: Any) -> Any:
        """Return a relation that reads the rows where they lie."""
        return importlib.import_module("duckdb").from_arrow(self._pyarrow(table))


def taken_in(data: Any) -> tuple[Any, Origin | None]:
    """Read a frame of another library.

    Parameters
    ----------
    data : DataFrame or object
        Frames and lazy frames of polars, tables of pyarrow, relations of DuckDB, and whatever gives an Arrow stream.

    Returns
    -------
    frame : DataFrame or object
        With columns of Arrow's types, categories as categories; anything else as it is.
    origin : Origin or None
        None for a DataFrame, and for what is no frame.

    Raises
    ------
    DataError
        If pyarrow is not installed, or a column of polars holds objects of Python.

    Examples
    --------
    >>> import pyarrow as pa
    >>> frame, origin = taken_in(pa.table({"x": [1.5, None], "g": ["a", "b"]}))
    >>> frame["x"].isna().tolist(), origin.out(frame).schema.names
    ([False, True], ['x', 'g'])
    """
    library = type(data).__module__.partition(".")[0].removeprefix("_")
    lazy = library == "polars" and type(data).__name__ == "LazyFrame"
    data = data.collect() if lazy else data
    is_frame = hasattr(data, "__arrow_c_stream__") and hasattr(data, "columns")
    if isinstance(data, pd.DataFrame | pd.Series | type) or not is_frame:
        return data, None
    if library == "polars" and not hasattr(data, "get_columns"):  # a series
        return data, None
    if importlib.util.find_spec("pyarrow") is None:
        raise DataError(
            f"a frame of {library} is read through pyarrow, which is not installed.",
            do=f'pip install "mifit[{_NAMED.get(library, "io")}]"',
        )
    import pyarrow as pa

    if library == "polars":
        unknown = [name for name, kind in data.schema.items() if str(kind) == "Object"]
        if unknown:
            raise DataError(
                f"column {unknown[0]!r} holds Python objects, which have no type of Arrow.",
                do=f"df = df.drop({unknown[0]!r})",
            )
        # older Arrow has no views of text
        table = data.to_arrow(compat_level=importlib.import_module("polars").CompatLevel.oldest())
    else:
        table = pa.table(data)
    types = dict(data.schema) if library == "polars" else {one.name: one.type for one in table.schema}
    frame = _signed(table.unify_dictionaries()).to_pandas(types_mapper=_pandas_type)
    return frame, Origin(library if library in _NAMED else "pyarrow", types, lazy)


def _signed(table: Any) -> Any:
    """A table of Arrow whose categories are numbered by signed integers, which pandas wants."""
    import pyarrow as pa

    kinds = [
        pa.dictionary(pa.int32(), one.type.value_type, one.type.ordered)
        if pa.types.is_dictionary(one.type) and pa.types.is_unsigned_integer(one.type.index_type)
        else one.type
        for one in table.schema
    ]
    return table.cast(pa.schema([one.with_type(kind) for one, kind in zip(table.schema, kinds, strict=True)]))


def as_came(frame: pd.DataFrame, origin: Origin | None) -> Any:
    """A DataFrame as the kind of frame that came."""
    return frame if origin is None else origin.out(frame)


def _pandas_type(kind: Any) -> Any:
    """The dtype of pandas for a type of Arrow; categories are those of pandas."""
    import pyarrow as pa

    return None if pa.types.is_dictionary(kind) else pd.ArrowDtype(kind)


def _table(frame: pd.DataFrame) -> Any:
    """A DataFrame as a table, without the index."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)

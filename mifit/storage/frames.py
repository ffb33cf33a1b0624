"""A DataFrame as JSON and arrays, and back: index, columns, dtypes and every value as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import StorageError
from .serialize import Packer, Unpacker, zone, zone_of

__all__ = ["pack_frame", "unpack_frame"]

_EMPTY = 1_000_000  # rows of a frame without columns: they take no bytes in a file
_COUNTED = 10_000  # levels that may be written as a range where there are fewer rows: they take no bytes either


def pack_frame(packer: Packer, frame: pd.DataFrame) -> dict[str, Any]:
    """A frame as JSON; its arrays go to the packer.

    Raises
    ------
    StorageError
        If a column, a label or an entry of ``attrs`` is of a type that no file holds; it is named.
    """
    columns = []
    for position, name in enumerate(frame.columns):
        series = frame.iloc[:, position]
        with_name = f"column {name!r}"
        columns.append(_guarded(packer, lambda s=series: _pack_array(packer, s.array), with_name, f"df[[{name!r}]]"))
    return {
        "rows": len(frame),
        "index": _guarded(
            packer, lambda: _pack_index(packer, frame.index, len(frame)), "the index", "df = df.reset_index()"
        ),
        "columns": _guarded(
            packer, lambda: _pack_index(packer, frame.columns, frame.shape[1]), "a column name", "df.columns"
        ),
        "values": columns,
        "attrs": _guarded(packer, lambda: packer.value(dict(frame.attrs)), "df.attrs", "df.attrs.clear()"),
        "duplicates": frame.flags.allows_duplicate_labels,
    }


def _guarded(packer: Packer, pack: Any, what: str, do: str) -> Any:
    """Pack part of a frame; refuse what a file cannot hold as it is."""
    before = len(packer.owed)
    try:
        packed = pack()
    except (ValueError, TypeError, AttributeError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{what} cannot be kept in a file: {error}.", do=do) from error
    if len(packer.owed) > before:
        odd = next(reversed(packer.owed.values()))
        raise StorageError(f"{what} holds {type(odd).__name__}, which cannot be kept in a file.", do=do)
    return packed


def unpack_frame(unpacker: Unpacker, stored: Any) -> pd.DataFrame:
    """The frame that :func:`pack_frame` packed."""
    n = stored["rows"]
    if not stored["values"] and n > _EMPTY:
        raise ValueError(f"it has {n} rows without a column")
    _refuse_long_ranges(stored, max(n, len(stored["values"]), _COUNTED))
    index, columns = _unpack_index(unpacker, stored["index"]), _unpack_index(unpacker, stored["columns"])
    known: list[tuple[Any, pd.Index]] = []  # levels that columns share are made once
    arrays = [_unpack_array(unpacker, one, known) for one in stored["values"]]
    if len(index) != n or len(columns) != len(arrays) or any(len(array) != n for array in arrays):
        raise ValueError("its columns differ in length")
    # With its dtype said: pandas would take an object array of strings for its own text dtype.
    frame = pd.DataFrame({k: pd.Series(a, index=index, dtype=a.dtype) for k, a in enumerate(arrays)}, index=index)
    frame.columns = columns
    frame.attrs = unpacker.value(stored["attrs"])
    return frame if stored["duplicates"] is True else frame.set_flags(allows_duplicate_labels=False)


def _refuse_long_ranges(stored: Any, most: int) -> None:
    """Refuse a range with more members than there are rows, which would take memory that the file does not."""
    waiting = [stored]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and one.get("is") == "range" and len(range(*map(int, one["of"]))) > most:
            raise ValueError(f"it counts to more than {most}")
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())


def _pack_index(packer: Packer, index: pd.Index, most: int = _COUNTED) -> dict[str, Any]:
    """An index of any kind, names included; a range with more members than that is written out."""
    if isinstance(index, pd.MultiIndex):
        levels = [_pack_index(packer, level) for level in index.levels]
        codes = [packer.array(np.asarray(code)) for code in index.codes]
        return {"is": "multi", "levels": levels, "codes": codes, "names": packer.value(list(index.names))}
    if isinstance(index, pd.RangeIndex) and len(index) <= most:
        return {"is": "range", "of": [index.start, index.stop, index.step], "name": packer.value(index.name)}
    freq = getattr(index, "freqstr", None) if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None
    return {"is": "flat", "of": _pack_array(packer, index.array), "name": packer.value(index.name), "freq": freq}


def _unpack_index(unpacker: Unpacker, stored: Any) -> pd.Index:
    if stored["is"] == "multi":
        levels = [_unpack_index(unpacker, level) for level in stored["levels"]]
        codes = [unpacker.value(code) for code in stored["codes"]]
        return pd.MultiIndex(levels=levels, codes=codes, names=unpacker.value(stored["names"]))
    name = unpacker.value(stored["name"])
    if stored["is"] == "range":
        return pd.RangeIndex(*map(int, stored["of"]), name=name)
    array = _unpack_array(unpacker, stored["of"])
    index = pd.Index(array, dtype=array.dtype, name=name, tupleize_cols=False)
    if stored["freq"] is not None:
        index.freq = stored["freq"]
    return index


def _pack_array(packer: Packer, array: Any) -> dict[str, Any]:
    """A pandas array by its dtype."""
    dtype = array.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = packer.array(np.asarray(array.codes))
        return {
            "is": "category",
            "of": codes,
            "levels": _pack_index(packer, dtype.categories),
            "ordered": dtype.ordered,
        }
    if isinstance(dtype, pd.StringDtype):
        return {"is": "string", "of": _texts(array), "storage": dtype.storage, "nan": dtype.na_value is not pd.NA}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"is": "zoned", "of": packer.array(array.asi8), "unit": dtype.unit, "tz": zone(dtype.tz)}
    if isinstance(dtype, pd.PeriodDtype):
        return {"is": "period", "of": packer.array(array.asi8), "freq": array.freqstr}
    if isinstance(dtype, pd.IntervalDtype):
        edges = [_pack_index(packer, edge) for edge in (array.left, array.right)]
        return {"is": "interval", "of": edges, "closed": dtype.closed}
    if isinstance(dtype, pd.SparseDtype):
        dense = _pack_array(packer, pd.Series(array.to_dense()).array)
        return {"is": "sparse", "of": dense, "fill": packer.value(dtype.fill_value), "kind": array.kind}
    if isinstance(dtype, pd.ArrowDtype):
        return _pack_arrow(packer, array)
    if pd.api.types.is_extension_array_dtype(dtype) and hasattr(dtype, "numpy_dtype") and hasattr(array, "_mask"):
        mask = np.array(array.isna(), dtype=bool)
        values = array.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
        return {"is": "masked", "of": packer.array(values), "mask": packer.array(mask)}
    if pd.api.types.is_extension_array_dtype(dtype) and not hasattr(dtype, "numpy_dtype"):
        raise TypeError(f"its dtype {dtype} is unknown")
    return {"is": "plain", "of": packer.array(np.asarray(array))}


def _texts(array: Any) -> list[str | None]:
    """Text, None where missing."""
    return [one if isinstance(one, str) else None for one in array.tolist()]


def _unpack_levels(unpacker: Unpacker, stored: Any, known: list[tuple[Any, pd.Index]] | None) -> pd.Index:
    """The levels of a column; those of an earlier column where they are the same."""
    for told, levels in known or ():
        if told == stored:
            return levels
    made = _unpack_index(unpacker, stored)
    if known is not None:
        known.append((stored, made))
    return made


def _unpack_array(unpacker: Unpacker, stored: Any, known: list[tuple[Any, pd.Index]] | None = None) -> Any:
    kind = stored["is"]
    if kind == "category":
        dtype = pd.CategoricalDtype(_unpack_levels(unpacker, stored["levels"], known), ordered=stored["ordered"])
        return pd.Categorical.from_codes(unpacker.value(stored["of"]), dtype=dtype)
    if kind == "string":
        return _unpack_texts(stored)
    if kind == "zoned":
        moments = unpacker.value(stored["of"]).view(f"M8[{stored['unit']}]")
        return pd.Series(moments).dt.tz_localize("UTC").dt.tz_convert(zone_of(stored["tz"])).array
    if kind == "period":
        return pd.PeriodIndex.from_ordinals(unpacker.value(stored["of"]), freq=stored["freq"]).array
    if kind == "interval":
        left, right = (_unpack_index(unpacker, edge) for edge in stored["of"])
        return pd.arrays.IntervalArray.from_arrays(left, right, closed=stored["closed"])
    if kind == "sparse":
        dense = np.asarray(_unpack_array(unpacker, stored["of"]))
        dtype = pd.SparseDtype(dense.dtype, unpacker.value(stored["fill"]))
        return pd.arrays.SparseArray(dense, dtype=dtype, kind=stored["kind"])
    if kind == "arrow":
        return _unpack_arrow(unpacker, stored)
    if kind == "masked":
        values, mask = unpacker.value(stored["of"]), unpacker.value(stored["mask"])
        made = {"b": pd.arrays.BooleanArray, "f": pd.arrays.FloatingArray}.get(
            values.dtype.kind, pd.arrays.IntegerArray
        )
        return made(values, mask)
    if kind == "plain":
        return unpacker.value(stored["of"])
    raise ValueError(f"it holds a column of the kind {kind!r:.40}")


def _unpack_texts(stored: Any) -> Any:
    """Text of the dtype it had; kept by Python where pyarrow is not there."""
    storage = stored["storage"]
    if storage != "python":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            storage = "python"
    values = np.empty(len(stored["of"]), dtype=object)
    values[:] = [one if one is None or isinstance(one, str) else str(one) for one in stored["of"]]
    if stored["nan"] and "na_value" not in pd.StringDtype.__init__.__code__.co_varnames:
        raise StorageError("a column is text as pandas 3 keeps it.", do="pip install --upgrade pandas")
    dtype = pd.StringDtype(storage, na_value=np.nan) if stored["nan"] else pd.StringDtype(storage)
    return pd.array(values, dtype=dtype)


def _pack_arrow(packer: Packer, array: Any) -> dict[str, Any]:
    """A pyarrow column: its type in words, its values as numbers, text or Python's own."""
    told, chunked = _arrow_type(array.dtype.pyarrow_dtype), array.__arrow_array__()
    kind = next(iter(told))
    if kind == "dictionary":
        values = [None if one is None else one for one in chunked.to_pylist()]
        return {"is": "arrow", "type": told, "of": packer.value(values)}
    mask = np.asarray(array.isna())
    if kind == "plain" and told["plain"] in _ARROW_NUMBERS:
        dtype = np.dtype(_ARROW_NUMBERS[told["plain"]])
        numbers = array.to_numpy(dtype=dtype, na_value=dtype.type(0).item())
        return {"is": "arrow", "type": told, "of": packer.array(numbers), "mask": packer.array(mask)}
    if kind in ("timestamp", "duration", "time64") or told.get("plain") in ("date64",):
        numbers = _cast(chunked, "int64")
        return {"is": "arrow", "type": told, "of": packer.array(numbers), "mask": packer.array(mask), "as": "int64"}
    if kind == "time32" or told.get("plain") == "date32":
        numbers = _cast(chunked, "int32")
        return {"is": "arrow", "type": told, "of": packer.array(numbers), "mask": packer.array(mask), "as": "int32"}
    return {"is": "arrow", "type": told, "of": packer.value(chunked.to_pylist())}


def _cast(chunked: Any, to: str) -> Any:
    """Moments as whole numbers, 0 where missing."""
    import pyarrow as pa

    return np.asarray(chunked.cast(pa.type_for_alias(to)).fill_null(0).to_numpy())


def _unpack_arrow(unpacker: Unpacker, stored: Any) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise StorageError("a column is kept by pyarrow, which is not installed.", do="pip install pyarrow") from None
    kind, values = _arrow_made(stored["type"]), unpacker.value(stored["of"])
    if "mask" in stored:
        made = pa.array(values, mask=unpacker.value(stored["mask"]))
        made = made.cast(kind) if "as" in stored else pa.array(values, type=kind, mask=unpacker.value(stored["mask"]))
    elif pa.types.is_dictionary(kind):
        made = pa.array(values, type=kind.value_type).dictionary_encode().cast(kind)
    else:
        made = pa.array(values, type=kind)
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([made]))


_ARROW_NUMBERS = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    "bool": "bool", "halffloat": "float16", "float": "float32", "double": "float64",
}  # fmt: skip
_ARROW_PLAIN = (*_ARROW_NUMBERS, "string", "large_string", "binary", "large_binary", "date32", "date64", "null")


def _arrow_type(kind: Any) -> dict[str, Any]:
    """A pyarrow type in words."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return {"timestamp": [kind.unit, kind.tz]}
    for name in ("duration", "time32", "time64"):
        if getattr(pa.types, f"is_{name}")(kind):
            return {name: [kind.unit]}
    if pa.types.is_decimal128(kind):
        return {"decimal128": [kind.precision, kind.scale]}
    if pa.types.is_dictionary(kind):
        return {"dictionary": [_arrow_type(kind.index_type), _arrow_type(kind.value_type), kind.ordered]}
    name = str(kind).partition("[")[0]
    if name not in _ARROW_PLAIN:
        raise TypeError(f"its dtype {kind} is unknown")
    return {"plain": name}


def _arrow_made(told: Any) -> Any:
    """The pyarrow type that words describe."""
    import pyarrow as pa

    ((name, words),) = told.items()
    if name == "plain" and words in _ARROW_PLAIN:
        return pa.type_for_alias(words)
    if name == "dictionary":
        return pa.dictionary(_arrow_made(words[0]), _arrow_made(words[1]), ordered=words[2] is True)
    if name in ("timestamp", "duration", "time32", "time64", "decimal128"):
        return getattr(pa, name)(*words)
    raise ValueError(f"it holds a column of the type {told!r:.60}")

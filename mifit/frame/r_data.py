"""A data.frame as R's ``readRDS`` reads it: R's own format of files, version 2, written by hand."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

__all__ = ["write_rds"]

_NA_INT = -(2**31)
_NA_REAL = struct.unpack(">d", bytes.fromhex("7ff00000000007a2"))[0]  # R's missing number: a NaN that says 1954
_HEAD = b"X\n" + struct.pack(">iii", 2, 0x00030500, 0x00020300)
_LGL, _INT, _REAL, _STR, _VEC = 10, 13, 14, 16, 19
_HAS_ATTRIBUTES, _IS_OBJECT, _HAS_TAG = 0x200, 0x100, 0x400
_UTF8 = 8 << 12
_END = struct.pack(">i", 254)


def write_rds(frame: pd.DataFrame, target: BinaryIO) -> None:
    """Write a DataFrame as a data.frame of R: categories as factors, dates as dates, text as it is.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Its index is left out.
    target : binary file
    """
    columns = b"".join(_column(frame.iloc[:, k]) for k in range(frame.shape[1]))
    attributes = {
        "names": _text([str(name) for name in frame.columns]),
        "class": _text(["data.frame"]),
        "row.names": _vector(_INT, np.array([_NA_INT, -len(frame)], dtype=">i4")),
    }
    flags = struct.pack(">ii", _VEC | _IS_OBJECT | _HAS_ATTRIBUTES, frame.shape[1])
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed:
        packed.write(_HEAD + flags + columns + _pairs(attributes))


def _column(series: pd.Series) -> bytes:
    """One column as a vector of R."""
    gone, dtype = series.isna().to_numpy(), series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        codes = np.where(gone, _NA_INT, series.cat.codes.to_numpy().astype(np.int64) + 1).astype(">i4")
        kind = ["ordered", "factor"] if dtype.ordered else ["factor"]
        levels = _text([str(level) for level in dtype.categories])
        return _vector(_INT, codes, {"levels": levels, "class": _text(kind)})
    if pd.api.types.is_bool_dtype(dtype):
        return _vector(_LGL, np.where(gone, _NA_INT, series.to_numpy(dtype=object) == True).astype(">i4"))  # noqa: E712
    if pd.api.types.is_numeric_dtype(dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        if pd.api.types.is_integer_dtype(dtype) and np.abs(values[~gone]).max(initial=0.0) < 2**31 - 1:
            return _vector(_INT, np.where(gone, _NA_INT, np.where(gone, 0, values)).astype(">i4"))
        return _reals(values)
    if getattr(dtype, "kind", "") == "M" or isinstance(dtype, pd.DatetimeTZDtype):
        when = pd.to_datetime(series, utc=True)
        seconds = (when - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy()
        return _reals(seconds, {"class": _text(["POSIXct", "POSIXt"]), "tzone": _text(["UTC"])})
    return _text([None if lost else str(value) for value, lost in zip(series.tolist(), gone, strict=True)])


def _reals(values: Any, attributes: dict[str, bytes] | None = None) -> bytes:
    """Numbers, NaN as R's own missing value."""
    raw = np.asarray(values, dtype=">f8").copy()
    raw.view(">u8")[np.isnan(raw)] = struct.unpack(">Q", struct.pack(">d", _NA_REAL))[0]
    return _vector(_REAL, raw, attributes)


def _vector(kind: int, values: Any, attributes: dict[str, bytes] | None = None) -> bytes:
    """A vector of numbers."""
    flags = kind | ((_HAS_ATTRIBUTES | _IS_OBJECT) if attributes else 0)
    return struct.pack(">ii", flags, len(values)) + values.tobytes() + (_pairs(attributes) if attributes else b"")


def _text(values: Sequence[str | None]) -> bytes:
    """A vector of text."""
    return struct.pack(">ii", _STR, len(values)) + b"".join(map(_letters, values))


def _letters(value: str | None) -> bytes:
    """One text; None is R's missing one."""
    if value is None:
        return struct.pack(">ii", 9, -1)
    raw = value.encode("utf-8", "replace")
    return struct.pack(">ii", 9 | _UTF8, len(raw)) + raw


def _pairs(attributes: dict[str, bytes]) -> bytes:
    """Attributes, each behind its name."""
    head = struct.pack(">ii", 2 | _HAS_TAG, 1)  # a pair whose tag is a symbol
    return b"".join(head + _letters(name) + value for name, value in attributes.items()) + _END

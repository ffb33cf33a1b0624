"""What kind of variable a pandas column holds, and its values as plain numbers or level codes."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import listed
from ..typing import Array

__all__ = ["BEYOND_EXACT", "EXACT", "Coding", "Kind", "classify", "encode", "is_missing"]


COUNT_SUPPORT = 200  # whole numbers from 0 up to here are a count
RATING_LEVELS = range(3, 8)  # so many consecutive whole numbers without 0 are a rating scale
EXACT = 2.0**53  # from here on floating point leaves out whole numbers
BEYOND_EXACT = "holds whole numbers beyond 2**53, which floating point cannot tell apart"


class Kind(Enum):
    """How a variable is drawn."""

    NUMERIC = "numeric"
    COUNT = "count"
    BINARY = "binary"
    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    OTHER = "other"  #: neither drawn nor a predictor: dates, mixed types

    @property
    def discrete(self) -> bool:
        """Whether values are level codes."""
        return self in (Kind.BINARY, Kind.NOMINAL, Kind.ORDINAL)


@dataclass(frozen=True, slots=True)
class Coding:
    """How the values of a column are read.

    A rating scale 1..5 is drawn level by level (``kind`` ordinal) but enters formulas as its number
    (``number`` true); text enters as a category.
    """

    kind: Kind
    levels: tuple[Any, ...] = ()  #: of a discrete kind, in order
    number: bool = True  #: whether it enters formulas as a number
    whole: bool = False  #: whether the dtype holds whole numbers only
    problem: str = ""  #: why the column cannot be used, if it cannot
    unused: tuple[Any, ...] = field(default=(), compare=False)  #: categories declared but never observed

    def decode(self, values: Array) -> npt.NDArray[Any]:
        """Level codes back to levels (an object array); numbers stay, counts and those of a whole dtype rounded."""
        if self.kind.discrete:
            lookup = np.empty(len(self.levels), dtype=object)
            lookup[:] = self.levels
            return lookup[values.astype(np.int64)]
        return np.rint(values) if self.whole or self.kind is Kind.COUNT else values

    def view(self, values: Array) -> Any:
        """Return what a formula sees: floats, numpy booleans, or a categorical with frozen levels."""
        if not self.kind.discrete:
            return values
        codes = values.astype(np.int64)
        if self.number:
            return np.asarray(self.levels, dtype=np.float64)[codes]
        if self.levels in ((False, True), (False,), (True,)):
            return np.asarray(self.levels, dtype=np.bool_)[codes]
        return pd.Categorical.from_codes(codes, categories=pd.Index(self.levels))

    def series(self, values: Array) -> Any:
        """The view as pandas would hold it, whole numbers as integers: what names of levels are taken from."""
        view = self.view(values)
        if isinstance(view, pd.Categorical):
            return view
        return pd.Series(view.astype(np.int64) if self.whole and self.number else view)


def classify(series: pd.Series, missing: npt.NDArray[np.bool_] | None = None) -> Coding:
    """Decide the kind of a column from its dtype and its observed values.

    Parameters
    ----------
    series : Series, shape (n,)
        A column of any dtype.
    missing : ndarray of bool, shape (n,), optional
        Where it has no value, if that is known already.

    Returns
    -------
    Coding
        Two observed values are binary whatever their codes; text is nominal; whole numbers from 0 to at most
        200 are a count (a plan may find that they are none); 3 to 7 consecutive whole numbers without 0 are a
        rating scale (ordinal, entering formulas as numbers); unused categories are not levels. What cannot be
        imputed has kind *other* and says why in ``problem``.

    Examples
    --------
    >>> classify(pd.Series([1, 2, 2, None])).kind
    <Kind.BINARY: 'binary'>
    >>> classify(pd.Series([0, 2, 7, None])).kind
    <Kind.COUNT: 'count'>
    """
    dtype = series.dtype
    missing = is_missing(series) if missing is None else missing
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return _number(series.to_numpy(dtype=np.float64)[~missing], whole=False)
    if isinstance(dtype, pd.CategoricalDtype):
        seen = np.bincount(series.cat.codes.to_numpy()[~missing], minlength=len(dtype.categories)).tolist()
        levels = tuple(level for level, count in zip(dtype.categories, seen, strict=True) if count)
        unused = tuple(_once(level) for level, count in zip(dtype.categories, seen, strict=True) if not count)
        return replace(_discrete(levels, Kind.ORDINAL if dtype.ordered else Kind.NOMINAL), unused=unused)
    present = series[~missing]
    if pd.api.types.is_bool_dtype(dtype):
        return _discrete(tuple(sorted({bool(v) for v in present})), Kind.NOMINAL)
    if pd.api.types.is_complex_dtype(dtype):
        return Coding(Kind.OTHER, problem="holds complex numbers")
    if pd.api.types.is_numeric_dtype(dtype):
        whole = pd.api.types.is_integer_dtype(dtype)
        return _whole(_floats(present), present) if whole else _number(_floats(present), whole=False)
    if isinstance(dtype, pd.ArrowDtype) and str(dtype).startswith("dictionary<"):
        return _object(list(present))
    if isinstance(dtype, pd.StringDtype) or pd.api.types.is_object_dtype(dtype) or pd.api.types.is_string_dtype(dtype):
        return _object(list(present))
    if _is_span(dtype):
        return Coding(Kind.OTHER, problem="holds spans of time")
    if _is_time(dtype):
        return Coding(Kind.OTHER, problem="holds dates or times")
    return Coding(Kind.OTHER, problem=f"has the dtype {dtype}, which mifit does not know")


def encode(series: pd.Series, coding: Coding, missing: npt.NDArray[np.bool_] | None = None) -> Array:
    """Values of a column as floats or level codes, shape (n,); NaN where missing (found here unless it is known)."""
    missing = is_missing(series) if missing is None else missing
    values = np.full(len(series), np.nan)
    if coding.kind is Kind.OTHER:
        return values
    if not coding.kind.discrete and isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
        return series.to_numpy(dtype=np.float64, copy=True)
    lookup = {level: float(code) for code, level in enumerate(coding.levels)}
    if coding.kind.discrete and isinstance(series.dtype, pd.CategoricalDtype):
        by_code = np.array([*(lookup.get(_plain(v), np.nan) for v in series.dtype.categories.tolist()), np.nan])
        return by_code[series.cat.codes.to_numpy()]
    present = series[~missing]
    if coding.kind.discrete:
        codes, seen = pd.factorize(present)
        values[~missing] = np.array([lookup.get(_plain(v), np.nan) for v in seen.tolist()])[codes]
    else:
        values[~missing] = _floats(present)
    return values


def is_missing(series: pd.Series) -> npt.NDArray[np.bool_]:
    """Where a column has no value, shape (n,): what pandas calls missing, and a NaN that a nullable dtype kept."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "f":
        return np.isnan(series.to_numpy())
    missing = np.array(series.isna(), dtype=bool)
    if pd.api.types.is_extension_array_dtype(series.dtype) and pd.api.types.is_float_dtype(series.dtype):
        missing |= np.isnan(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return missing


def _discrete(levels: tuple[Any, ...], kind: Kind, number: bool = False) -> Coding:
    """A coding by levels; two of them are binary."""
    return Coding(Kind.BINARY if len(levels) == 2 else kind, tuple(_once(_plain(v)) for v in levels), number)


def _whole(values: Array, given: Iterable[Any]) -> Coding:
    """A coding of whole numbers, refused where floating point makes a level another number, or some of them equal.

    Where it makes all of them equal the column is a constant, which no draw can miss by more than a rounding error.
    """
    found = _number(values, whole=True)
    if found.problem or np.max(np.abs(values), initial=0.0) < EXACT:
        return found
    exact, rounded = {int(v) for v in given}, set(values.tolist())
    if 1 < len(rounded) < len(exact) or (found.kind.discrete and exact != {int(v) for v in rounded}):
        return Coding(Kind.OTHER, whole=True, problem=BEYOND_EXACT)
    return found


def _number(values: Array, whole: bool) -> Coding:
    """A coding of numbers: binary, count, rating scale or continuous."""
    if not np.isfinite(values).all():
        return Coding(Kind.NUMERIC, whole=whole, problem="holds infinite values")
    support = np.unique(values[: 5 * COUNT_SUPPORT])  # enough to see that most columns are no count
    if len(support) <= COUNT_SUPPORT + 1:
        support = np.unique(values)
    if len(support) == 2:
        return Coding(Kind.BINARY, tuple(support.tolist()), True, whole)
    if len(support) < 2 or len(support) > COUNT_SUPPORT + 1 or np.any(support != np.rint(support)):
        return Coding(Kind.NUMERIC, whole=whole)
    if support[0] == 0 and support[-1] <= COUNT_SUPPORT:
        return Coding(Kind.COUNT, whole=whole)
    width = support[-1] - support[0] + 1
    if width == len(support) and len(support) in RATING_LEVELS and (support[0] > 0 or support[-1] < 0):
        return Coding(Kind.ORDINAL, tuple(support.tolist()), True, whole)
    return Coding(Kind.NUMERIC, whole=whole)


def _object(present: list[Any]) -> Coding:
    """A coding of strings, booleans or numbers kept as Python objects."""
    plain = [_plain(v) for v in present]
    types = {type(v) for v in plain}
    if types <= {str}:
        return _discrete(tuple(sorted(set(plain))), Kind.NOMINAL)
    if types == {bool}:
        return _discrete(tuple(sorted(set(plain))), Kind.NOMINAL)
    if types <= {int, float}:
        try:
            values = np.asarray(plain, dtype=np.float64)
            return _whole(values, plain) if types == {int} else _number(values, whole=False)
        except OverflowError:
            return Coding(Kind.OTHER, problem="holds whole numbers beyond 1e308")
    names = ", ".join(sorted(t.__name__ for t in types))
    if types <= {str, int, float}:
        # words first: a few of them tell whether the rest are numbers
        texts = sorted({v for v in plain if isinstance(v, str)}, key=lambda v: (any(map(str.isdigit, v)), v))
        firsts = {v.strip()[:1]: v for v in reversed(texts) if v.strip()[:1] in "<>"}  # limits from both sides
        some = listed(map(repr, dict.fromkeys([*(v for v in texts[:1]), *sorted(firsts.values()), *texts])))
        return Coding(Kind.OTHER, problem=f"mixes values of the types {names} ({some})")
    return Coding(Kind.OTHER, problem=f"mixes values of the types {names}" if len(types) > 1 else f"holds {names}")


def _floats(present: pd.Series) -> Array:
    """Numbers without missing values as float64."""
    if isinstance(present.dtype, pd.SparseDtype):
        present = present.sparse.to_dense()
    return present.to_numpy(dtype=np.float64, copy=True)


def _plain(value: Any) -> Any:
    """A numpy scalar as its Python twin."""
    return value.item() if isinstance(value, np.generic) else value


def _once(level: Any) -> Any:
    """A level, text as the one object of its letters: columns that share thousands of levels share their memory."""
    return sys.intern(level) if type(level) is str else level


def _is_span(dtype: Any) -> bool:
    """Whether a dtype holds spans of time."""
    arrow = isinstance(dtype, pd.ArrowDtype)
    return dtype.kind == "m" if arrow else bool(pd.api.types.is_timedelta64_dtype(dtype))


def _is_time(dtype: Any) -> bool:
    """Whether a dtype holds dates or times of day."""
    api = pd.api.types
    if isinstance(dtype, pd.PeriodDtype):
        return True
    if isinstance(dtype, pd.ArrowDtype):
        return dtype.kind in "mM" or "date" in str(dtype) or "time" in str(dtype)
    return bool(api.is_datetime64_any_dtype(dtype))

"""A digest of what was asked: the same on every machine and with every version of pandas."""

from __future__ import annotations

import dataclasses
import datetime
import dis
import enum
import functools
import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..analysis.families import plain_family
from ..formula.question import Question, Reference
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from ..imputation.methods.estimators import code_of_estimator, is_estimator
from ..imputation.plan.plan import Plan
from ..imputation.seed import Seed

__all__ = ["canonical", "digest_of_request", "digest_of_values"]

#: Raised by one where the same call draws other numbers than before ("Results may differ" in the changelog).
DRAWS = 2

_NOISE = 1e-12  # of the largest value of a column: relative size below which a value counts as rounding error of zero
_EXACT_IN_SINGLE = 2.0**24  # whole numbers up to here have all their digits in single precision
_WHOLE = 2.0**63 - 1024  # the largest float that is a whole number of 64 bits
_DEPTH = 12  # how far into objects of unknown classes one looks


def digest_of_values(table: Table, sets: Sequence[Mapping[Hashable, Any]]) -> str:
    """Eight characters that stand for the drawn values of completed sets, bit for bit.

    Parameters
    ----------
    table : Table
        For the order of the columns.
    sets : sequence of mapping
        Per set: column -> (n_mis,).
    """
    digest = hashlib.sha256()
    for values in sets:
        for name in (name for name in table.columns if name in values):
            digest.update(repr(name).encode() + np.ascontiguousarray(values[name]).tobytes())
    return digest.hexdigest()[:8]


def digest_of_request(table: Table, frame: pd.DataFrame, *told: Any) -> str:
    """Eight characters that stand for a frame and what was asked of it.

    Parameters
    ----------
    table : Table
        The frame as the plan reads it.
    frame : DataFrame, shape (n, p)
        The same as given, for its row labels and for columns that no model reads.
    *told
        Plan, seed, numbers of the chains: whatever else determines the draws.

    Returns
    -------
    str
        Eight hexadecimal digits.

    Notes
    -----
    Numbers count in single precision: the last digits of a logarithm differ from processor to processor.
    """
    columns = [_column(table[name], frame, name) for name in table.columns]
    index = frame.index
    labels = [index.get_level_values(k) for k in range(index.nlevels)]
    return canonical(DRAWS, columns, labels, *told).hex()[:8]


def canonical(*given: Any) -> bytes:
    """A digest of plain data that is the same on every machine, 32 bytes.

    Numbers count in single precision; mappings and sets without their order; a list as a tuple; a dataclass by its
    fields that are not at their defaults; a function by its name, constants and operations.

    Examples
    --------
    >>> canonical({"a": 1, "b": 2.0}) == canonical({"b": 2, "a": 1 + 1e-14})
    True
    >>> canonical([1, 2]) == canonical([1, 3])
    False
    """
    return _told(given, 0)


def _column(column: Column, frame: pd.DataFrame, name: Hashable) -> bytes:
    """One column: how it is read, and its values."""
    coding = column.coding
    head = (name, coding.kind, coding.levels, coding.number, coding.whole)
    if coding.kind is Kind.OTHER and name in frame.columns:
        return canonical(head, frame[name])
    large = (
        coding.whole and not column.kind.discrete and np.nanmax(np.abs(column.values), initial=0.0) >= _EXACT_IN_SINGLE
    )
    exact = np.clip(np.nan_to_num(column.values), -_WHOLE, _WHOLE).astype(np.int64) if large else None
    return canonical(head, column.values, exact)


#: classes that were renamed -> what digests call them
_AS_BEFORE = {"Options": "Wishes"}


@functools.singledispatch
def _parts(given: Any, depth: int) -> Any:
    """What any other object consists of: the name of its class, and its attributes."""
    kind = type(given)
    family = plain_family(given)
    if family is not None:
        return "family", family
    if is_estimator(given):
        return "estimator", code_of_estimator(given)
    if isinstance(given, tuple):  # a named one too
        return "list", kind.__name__ if hasattr(given, "_fields") else "", *given
    if dataclasses.is_dataclass(given):
        fields = {f.name: getattr(given, f.name) for f in dataclasses.fields(given) if f.compare}
        return (
            "object",
            _AS_BEFORE.get(kind.__qualname__, kind.__qualname__),
            {n: v for n, v in fields.items() if not _usual(given, n, v)},
        )
    if callable(given) and hasattr(given, "__code__"):
        return "function", given.__name__, *_does(given.__code__)
    if callable(given) and hasattr(given, "__qualname__"):
        return "named", given.__qualname__
    return "object", kind.__qualname__, {} if depth > _DEPTH else dict(getattr(given, "__dict__", {}))


def _told(given: Any, depth: int) -> bytes:
    """The digest of one value."""
    if given is None or given is pd.NA or given is pd.NaT:
        return _digest(b"none")
    if isinstance(given, bool | np.bool_):
        return _digest(b"true" if given else b"false")
    if isinstance(given, int | float | np.integer | np.floating):
        return _number(given)
    if isinstance(given, str):
        return _digest(b"text", given.encode("utf-8", "surrogatepass"))
    if isinstance(given, bytes):
        return _digest(b"bytes", given)
    if isinstance(given, np.ndarray):
        return _array(given)
    if isinstance(given, Mapping):
        return _digest(b"map", *sorted(_told(k, depth + 1) + _told(v, depth + 1) for k, v in given.items()))
    if isinstance(given, set | frozenset):
        return _digest(b"set", *sorted(_told(one, depth + 1) for one in given))
    return _digest(b"parts", *(_told(one, depth + 1) for one in _parts(given, depth)))


def _digest(*parts: bytes) -> bytes:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part)
    return found.digest()


def _number(given: Any) -> bytes:
    """A number: whole ones exactly, others in single precision."""
    if isinstance(given, int | np.integer) and abs(int(given)) >= _EXACT_IN_SINGLE:
        return _digest(b"whole", str(int(given)).encode())
    return _digest(b"number", _single(np.array([given], dtype=np.float64)))


def _single(values: npt.NDArray[np.float64]) -> bytes:
    """Numbers in single precision, of one byte order, with one zero and one NaN."""
    top = np.max(np.abs(values), initial=0.0, where=np.isfinite(values))
    values = np.where(np.abs(values) <= _NOISE * top, 0.0, values)
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    single[np.isnan(values)] = np.nan
    return single.astype(">f4").tobytes()


def _array(given: npt.NDArray[Any]) -> bytes:
    """An array: numbers, moments, text or anything else, by what they are and not by their dtype."""
    shape, kind = str(given.shape).encode(), given.dtype.kind
    if kind in "biuf":
        values = given.astype(np.float64)
        exact = kind in "iu" and np.max(np.abs(values), initial=0.0) >= _EXACT_IN_SINGLE
        return _digest(b"array", shape, _single(values), given.astype(">i8").tobytes() if exact else b"")
    if kind in "mM":
        return _digest(b"moments", shape, given.astype(f"{kind}8[us]").astype(">i8").tobytes())
    return _digest(b"objects", shape, *(_told(one, 0) for one in given.ravel().tolist()))


@_parts.register
def _(given: list, depth: int) -> Any:  # type: ignore[type-arg]
    return "list", "", *given


@_parts.register
def _(given: enum.Enum, depth: int) -> Any:
    return "enum", type(given).__name__, given.value


@_parts.register
def _(given: type, depth: int) -> Any:
    return "named", given.__qualname__


@_parts.register
def _(given: Reference, depth: int) -> Any:
    return "named", given.path


@_parts.register(pd.Timestamp | pd.Timedelta | pd.Period | pd.Interval | datetime.date | datetime.time)
@_parts.register(datetime.timedelta | complex)
def _(given: Any, depth: int) -> Any:
    return "moment", str(given)


@_parts.register(pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
def _(given: Any, depth: int) -> Any:
    if isinstance(given.dtype, np.dtype) and given.dtype.kind in "biufmM":
        return "list", "", given.to_numpy()
    values = np.empty(len(given), dtype=object)
    values[:] = given.tolist()
    return "list", "", values


@_parts.register
def _(given: Question, depth: int) -> Any:
    return "question", given.formula, given.model, given.level, given.keywords, given.names


@_parts.register
def _(given: Plan, depth: int) -> Any:
    # Sweeps are counted by the chains: more of them may have been added later. What is said of choices is no choice.
    options = dataclasses.replace(given.options, iterations=None)
    drawn = [(v.name, v.role, v.method, v.together) for v in given.variables]
    return "plan", given.questions, given.extra, given.mode, options, given.order, given.numeric, drawn, given.groups


@_parts.register
def _(given: Seed, depth: int) -> Any:
    entropy = given.entropy if isinstance(given.entropy, Iterable) else [given.entropy]
    return "seed", [str(one) for one in entropy], [str(one) for one in given.key]


def _usual(given: Any, name: str, value: Any) -> bool:
    """Whether a field has its default value: options added later do not change the digest of calls without them."""
    (field,) = (f for f in dataclasses.fields(given) if f.name == name)
    if field.default_factory is not dataclasses.MISSING:
        return bool(value is None or (isinstance(value, Mapping | Sequence) and not len(value)))
    return value is field.default or (isinstance(value, str | int | float) and value == field.default)


def _does(code: Any) -> list[Any]:
    """The constants, names and operators of a function, as far as versions of Python agree on them."""
    said: list[Any] = [code.co_varnames]
    for step in dis.get_instructions(code):
        if hasattr(step.argval, "co_code"):
            said.append(_does(step.argval))
        elif step.opname.startswith(("LOAD_", "RETURN_CONST")):
            said += step.argval if isinstance(step.argval, tuple) else [step.argval]
        elif step.opname == "BINARY_OP":
            said.append(step.argrepr)
    return [one for one in said if one is not None]

"""Convert values to JSON and arrays and back: plain data, dataclasses of mifit, references to functions by name."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import fractions
import importlib
import math
import re
import types
import typing
import uuid
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.families import family_of, plain_family
from ..calls import written
from ..errors import StorageError
from ..formula.functions import givable, trusted
from ..formula.question import refer
from ..formula.source import EARLIER, FileText, Passed, Reference
from ..imputation.methods.estimators import Absent, code_of_estimator, is_estimator
from ..typing import AnyArray
from .archive import dtype_of
from .classes import class_named, fields_in_file, name_of

__all__ = ["Packer", "Unpacker", "fits", "passed", "refuse_lacking", "zone", "zone_of"]

_INLINE = 4096  # bytes up to which an array stands in the document itself
_DATA = ("mifit.frame.",)  # whose nouns hold no code
_FRACTION = re.compile(r"-?\d{1,5000}(/\d{1,5000})?")


class Packer:
    """Turns values into JSON; large arrays and whatever must be passed back are gathered on the way.

    Attributes
    ----------
    arrays : dict
        Name -> array, as ``{"is": "array", "of": name}`` refers to it.
    owed : dict
        Name -> object that no file can hold: a function made in a script, a user-defined method.
    estimators : dict
        The code of each estimator as key: a file tells of them, and brings none with it.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, AnyArray] = {}
        self.owed: dict[str, Any] = {}
        self.estimators: dict[str, None] = {}
        self._seen: dict[int, tuple[str, Any]] = {}

    def value(self, given: Any, label: str = "") -> Any:
        """One value as JSON; ``label`` is the name under which it would be passed back."""
        kind = type(given)
        if kind is FileText:
            return str.__str__(given)
        if given is None or kind in (bool, str, int) or (kind is float and math.isfinite(given)):
            return given
        if kind is list:
            return [self.value(one) for one in given]
        if kind in _SIMPLE:
            name, plain = _SIMPLE[kind]
            return {"is": name, "of": self.value(plain(given))}
        if kind is np.ndarray:
            return self.array(given)
        if kind in (Reference, Passed):
            return {"is": "name", "of": label or given.path, "path": given.path}
        if isinstance(given, Mapping):
            pairs = [[self.value(k), self.value(v, k if isinstance(k, str) else "")] for k, v in given.items()]
            return {"is": "dict", "of": pairs}
        if isinstance(given, np.generic):
            return {"is": "scalar", "of": self.array(np.asarray(given))}
        known = name_of(kind)
        if known is not None:
            return self._noun(given, known)
        family = plain_family(given)
        if family is not None:
            return {"is": "family", "of": family}
        if is_estimator(given):
            text = code_of_estimator(given)
            self.estimators[text] = None
            return {"is": "estimator", "of": text}
        return self._odd(given, label)

    def array(self, given: AnyArray) -> Any:
        """An array: in the document if it is small, else beside it."""
        if given.dtype.hasobject:
            return {"is": "objects", "shape": list(given.shape), "of": [self.value(one) for one in given.ravel()]}
        dtype_of(given.dtype.str)
        if given.nbytes <= _INLINE:
            text = base64.b64encode(np.asarray(given, order="C").tobytes()).decode()
            return {"is": "array", "dtype": given.dtype.str, "shape": list(given.shape), "of": text}
        if id(given) not in self._seen:  # the array is kept, so that no other takes its id
            self._seen[id(given)] = (str(len(self.arrays)), given)
            self.arrays[str(len(self.arrays))] = given
        return {"is": "array", "of": self._seen[id(given)][0]}

    def _noun(self, given: Any, name: str) -> Any:
        """Store an instance of a class of the package under the name of its class, field by field."""
        if isinstance(given, enum.Enum):
            return {"is": "noun", "class": name, "of": self.value(given.value)}
        fields = fields_in_file(type(given))
        return {
            "is": "noun",
            "class": name,
            "of": {there: self.value(getattr(given, n)) for n, there in fields.items()},
        }

    def _odd(self, given: Any, label: str) -> Any:
        """What pandas or Python knows and JSON does not; else a name to be passed back."""
        if isinstance(given, pd.Timestamp):
            return {"is": "timestamp", "of": given.value, "unit": given.unit, "tz": zone(given.tz)}
        if isinstance(given, pd.Timedelta):
            return {"is": "timedelta", "of": given.value, "unit": given.unit}
        if isinstance(given, pd.Period):
            return {"is": "period", "of": given.ordinal, "freq": given.freqstr}
        if isinstance(given, pd.Interval):
            return {"is": "interval", "of": [self.value(given.left), self.value(given.right)], "closed": given.closed}
        if isinstance(given, pd.Series | pd.Index):
            return self.value(given.to_numpy())
        referred = refer(given)
        if isinstance(referred, Reference):
            return self.value(referred, label)
        name = label if callable(given) and label else getattr(given, "__name__", type(given).__name__)
        while name in self.owed and self.owed[name] is not given:
            name += "_"
        self.owed[name] = given
        return {"is": "name", "of": name, "path": None}


class Unpacker:
    """Turns JSON back into values.

    Parameters
    ----------
    arrays : mapping
        Name -> array.
    names : mapping
        What the reader of the file passes back: functions, modules, methods. Nothing else of that sort is used.

    Attributes
    ----------
    used : dict
        Names that code in the nouns read so far captured, as references or constants, and all that the reader passed.
        Every text in a noun comes out as a :class:`~mifit.formula.source.FileText` that refers to them: none of it is
        ever evaluated unless it was approved.
    """

    def __init__(self, arrays: Mapping[str, AnyArray], names: Mapping[str, Any]) -> None:
        self.arrays, self.names = arrays, names
        self.used: dict[str, Any] = {name: refer(value) for name, value in names.items() if isinstance(name, str)}

    def value(self, stored: Any) -> Any:
        """One value from JSON."""
        if stored is None or isinstance(stored, bool | str | int | float):
            return stored
        if isinstance(stored, list):
            return [self.value(one) for one in stored]
        kind = stored["is"]
        if kind in _RESTORED:
            return _RESTORED[kind](self.value(stored["of"]))
        return getattr(self, f"_{kind}")(stored) if kind in _READ else _refuse(f"a value of the kind {kind!r:.40}")

    def _array(self, stored: Any) -> AnyArray:
        if "dtype" not in stored:
            return self.arrays[stored["of"]]
        body = base64.b64decode(stored["of"], validate=True)
        return np.frombuffer(body, dtype_of(stored["dtype"])).reshape(stored["shape"]).copy()

    def _scalar(self, stored: Any) -> Any:
        return self._array(stored["of"]).reshape(())[()]

    def _objects(self, stored: Any) -> AnyArray:
        found = np.empty(len(stored["of"]), dtype=object)
        found[:] = [self.value(one) for one in stored["of"]]
        return found.reshape(stored["shape"])

    def _dict(self, stored: Any) -> dict[Any, Any]:
        return {self.value(key): self.value(value) for key, value in stored["of"]}

    def _name(self, stored: Any) -> Any:
        name, path = stored["of"], stored["path"]
        path = EARLIER.get(path, path) if isinstance(path, str) else path
        if name in self.names:
            given = self.names[name]
            if isinstance(given, Passed):
                return dataclasses.replace(given, path=path if isinstance(path, str) else name)
            return refer(given)
        if path is not None and trusted(path):
            return Reference(path)
        raise _lacking([(name, path)])

    def _family(self, stored: Any) -> Any:
        return family_of(stored["of"])

    def _estimator(self, stored: Any) -> Any:
        """What the reader passes under the code of an estimator; else only that code."""
        text = stored["of"] if isinstance(stored["of"], str) else _refuse("an estimator that is no text")
        given = self.names.get(text, Absent(text))
        if not is_estimator(given) or code_of_estimator(given) != text:
            raise StorageError(
                f"the file tells of {text:.200}, not of {written(given):.200}.",
                do=f"mifit.load(path, names={{{text!r}: {text}}})",
            )
        return given

    def _timestamp(self, stored: Any) -> Any:
        made = pd.Timestamp(int(stored["of"]), unit="ns").as_unit(_unit(stored["unit"]))
        return made if stored["tz"] is None else made.tz_localize("UTC").tz_convert(zone_of(stored["tz"]))

    def _timedelta(self, stored: Any) -> Any:
        return pd.Timedelta(int(stored["of"]), unit="ns").as_unit(_unit(stored["unit"]))

    def _period(self, stored: Any) -> Any:
        return pd.Period(ordinal=int(stored["of"]), freq=stored["freq"])

    def _interval(self, stored: Any) -> Any:
        left, right = self.value(stored["of"])
        return pd.Interval(left, right, closed=stored["closed"])

    def _noun(self, stored: Any) -> Any:
        made, content = class_named(stored["class"]), stored["of"]
        if issubclass(made, enum.Enum):
            return made(self.value(content))
        declared = _hints(made)
        called = {there: name for name, there in fields_in_file(made).items()}
        values = {called.get(name, name): self.value(value) for name, value in content.items()}
        for name, value in values.items():
            if not fits(value, declared[name]):
                raise ValueError(f"{made.__name__}.{name} cannot be {type(value).__name__}")
        if made is Reference:
            raise ValueError(f"{values['path']!r:.60} is referred to")
        for name, value in values.items():
            if name == "names" and isinstance(value, Mapping):
                self.used.update({n: one for n, one in value.items() if n not in self.names})
            elif not made.__module__.startswith(_DATA):
                values[name] = self._marked(value, declared[name])
        return made(**values)

    def _marked(self, value: Any, declared: Any) -> Any:
        """Text of a noun as text from a file; labels of columns, which are declared hashable, stay what they are."""
        if isinstance(value, str):
            return value if declared is Hashable else FileText(value, self.used)
        inner = typing.get_args(declared)
        if isinstance(value, dict):
            rest = inner[-1] if inner and not isinstance(declared, types.UnionType) else Any
            return {key: self._marked(one, rest) for key, one in value.items()}
        if type(value) in (list, tuple, set, frozenset):
            rest = inner[0] if inner and inner[0] is Hashable else Any
            return type(value)(self._marked(one, rest) for one in value)
        return value


def passed(document: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """What the reader of a document passes, the functions of one module gathered: ``{"mine.half": mine.half}``.

    Raises
    ------
    StorageError
        If a whole module is passed: the file would choose among its functions.
    """
    modules = [n for n, v in names.items() if isinstance(v, types.ModuleType) and not trusted(v.__name__)]
    if modules:
        used = [_functions_of(n, document) or [f"{n}.f"] if n in modules else [n] for n in names]
        given = ", ".join(f"{one!r}: {one}" for some in used for one in some)
        raise StorageError(
            f"{modules[0]!r} is a module: the file would choose what it calls of it; functions are passed one by one.",
            do=f"mifit.load(path, names={{{given}}})",
        )
    found: dict[str, Any] = {}
    for name, value in names.items():
        module, _, function = name.rpartition(".") if isinstance(name, str) else ("", "", name)
        if module.isidentifier():
            known = found[module].functions if isinstance(found.get(module), Passed) else {}
            found[module] = Passed(module, {**known, function: value})
        else:
            found[name] = value
    return found


def _functions_of(module: str, document: Any) -> list[str]:
    """The functions of a module that texts of a document call, as they are written there."""
    found, waiting = {}, [document]
    spelled = re.compile(rf"(?<![\w.]){re.escape(module)}\.[A-Za-z]\w*(?=\()")
    while waiting:
        one = waiting.pop()
        found.update(dict.fromkeys(spelled.findall(one)) if isinstance(one, str) else {})
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    return sorted(found)


def refuse_lacking(document: Any, names: Mapping[str, Any]) -> None:
    """Tell at once of all functions, modules and methods that the reader of a document is to pass.

    Raises
    ------
    StorageError
        If some were not passed, with the call that passes all.
    """
    found, waiting = {}, [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict) and one.get("is") == "name" and not trusted(one.get("path")):
            found[one["of"]] = one["path"]
        waiting.extend(reversed(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()))
    absent = [(name, path) for name, path in found.items() if name not in names]
    lacking = []
    for name, path in absent:
        inside = _functions_of(name, document) if path and ":" not in path else []
        lacking += [(one, f"{path}:{one.partition('.')[2]}") for one in inside] or [(name, path)]
    if lacking:
        raise _lacking([*lacking, *((name, None) for name in names if name.isidentifier())], len(lacking))


def _lacking(owed: Sequence[tuple[Any, Any]], n: int = 1) -> StorageError:
    """The refusal of a study that uses what no file can hold; the first ``n`` of ``owed`` were not passed."""
    said = [f"{name!r:.80}" + (f" ({path.replace(':', '.'):.80})" if path else "") for name, path in owed[:n]]
    fact = f"the study uses {', '.join(said)}, which a file cannot bring with it"
    if not all(givable(path or name) for name, path in owed):
        do = 'imp.save("study.mifit")  # of an analysis whose columns were made beforehand'
        return StorageError(f"{fact} and may not call.", do=do)
    modules = dict.fromkeys(path.partition(":")[0] for _, path in owed if path and not path.startswith("builtins:"))
    given = [f"{name!r}: {(path or name).removeprefix('builtins:').replace(':', '.')}" for name, path in owed]
    call = f"mifit.load(path, names={{{', '.join(given)}}})"
    return StorageError(f"{fact}.", do=f"import {', '.join(modules)}; {call}" if modules else call)


_READ = frozenset(name[1:] for name in vars(Unpacker) if name[0] == "_" and name[1] != "_")


def fits(value: Any, declared: Any) -> bool:
    """Whether a value is of the type that a field declares.

    Examples
    --------
    >>> fits((1, 2), tuple[int, ...]), fits({"a": "b"}, Mapping[str, int])
    (True, False)
    """
    if declared is Any or isinstance(declared, typing.TypeVar):
        return True
    origin, inner = typing.get_origin(declared), typing.get_args(declared)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if declared is Hashable:
        return isinstance(value, Hashable)
    if origin is np.ndarray:
        return isinstance(value, np.ndarray)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(inner) == 2 and inner[1] is ...:
            return all(fits(one, inner[0]) for one in value)
        return len(value) == len(inner) and all(map(fits, value, inner))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(k, inner[0]) and fits(v, inner[1]) for k, v in value.items())
    if isinstance(origin, type) and issubclass(origin, Sequence | frozenset):
        return isinstance(value, origin) and all(fits(one, inner[0]) for one in value)
    if declared in (int, float):
        return isinstance(value, int | float if declared is float else int) and not isinstance(value, bool)
    return isinstance(value, declared if isinstance(declared, type) else object)


def zone(tz: Any) -> Any:
    """A time zone by its name or its distance from UTC."""
    if tz is None:
        return None
    if tz is datetime.UTC:
        return {"fixed": 0}
    name = getattr(tz, "key", None) or getattr(tz, "zone", None)
    if isinstance(name, str):
        return {type(tz).__module__.partition(".")[0]: name}
    if isinstance(tz, datetime.timezone):
        offset = tz.utcoffset(None)
        return {"fixed": offset.total_seconds()}
    raise StorageError(
        f"the time zone {tz!r} has no name that a file could keep.", do="df[x] = df[x].dt.tz_convert('UTC')"
    )


def zone_of(stored: Any) -> Any:
    """A time zone from its name or its distance from UTC."""
    ((source, name),) = stored.items()
    if source == "fixed":
        return datetime.timezone(datetime.timedelta(seconds=name)) if name else datetime.UTC
    if source == "zoneinfo":
        return importlib.import_module("zoneinfo").ZoneInfo(str(name))
    if source == "pytz":
        return importlib.import_module("pytz").timezone(str(name))
    raise ValueError(f"a time zone of {source!r:.40}")


def _unit(text: Any) -> Any:
    """A unit of time."""
    return text if text in ("s", "ms", "us", "ns") else _refuse(f"the unit of time {text!r:.40}")


def _refuse(what: str) -> Any:
    raise ValueError(f"it holds {what}")


def _hints(kind: type[Any]) -> dict[str, Any]:
    """The declared type of each field of a noun that files hold; any other in a file is refused."""
    hints = typing.get_type_hints(kind)
    return {name: hints[name] for name in fields_in_file(kind)}


def _float(text: Any) -> float:
    return float(text) if text in ("nan", "inf", "-inf") else float(_refuse("no number"))


def _fraction(text: Any) -> fractions.Fraction:
    """A fraction written as Python writes it; 1e99999999 would be as many digits."""
    return fractions.Fraction(text) if _FRACTION.fullmatch(str(text)) else _refuse(f"the fraction {text!r:.40}")


#: type -> its word in a file, and its value as plainer data
_SIMPLE: dict[type, tuple[str, Any]] = {
    float: ("float", str),
    tuple: ("tuple", list),
    set: ("set", list),
    frozenset: ("frozenset", list),
    complex: ("complex", lambda z: [z.real, z.imag]),
    bytes: ("bytes", bytes.hex),
    datetime.date: ("date", datetime.date.isoformat),
    datetime.datetime: ("datetime", lambda t: [t.isoformat(), t.fold] if t.tzinfo is None else _refuse("a zoned time")),
    datetime.time: ("time", datetime.time.isoformat),
    datetime.timedelta: ("span", lambda t: [t.days, t.seconds, t.microseconds]),
    decimal.Decimal: ("decimal", str),
    fractions.Fraction: ("fraction", str),
    uuid.UUID: ("uuid", str),
    type(pd.NA): ("NA", lambda _: None),
    type(pd.NaT): ("NaT", lambda _: None),
    type(...): ("ellipsis", lambda _: None),
}

_RESTORED: dict[str, Any] = {
    "float": _float,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "complex": lambda parts: complex(*parts),
    "bytes": bytes.fromhex,
    "date": datetime.date.fromisoformat,
    "datetime": lambda parts: datetime.datetime.fromisoformat(parts[0]).replace(fold=parts[1]),
    "time": datetime.time.fromisoformat,
    "span": lambda parts: datetime.timedelta(*parts),
    "decimal": decimal.Decimal,
    "fraction": _fraction,
    "uuid": uuid.UUID,
    "NA": lambda _: pd.NA,
    "NaT": lambda _: pd.NaT,
    "ellipsis": lambda _: ...,
}

"""The one place where code of formulas is evaluated: a caller's as he wrote it, a file's after it was approved."""

from __future__ import annotations

import ast
import types
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import patsy
from patsy.eval import VarLookupDict

from .allowed import Approved, approve
from .functions import BUILTINS, PYTHON, of_module
from .source import Captured, Reference, resolve

__all__ = ["Confined", "environment", "evaluated", "known_names"]


def environment(names: Mapping[str, Any], usual: Mapping[str, Any] = BUILTINS) -> patsy.EvalEnvironment:
    """Where code is evaluated that uses some names.

    Parameters
    ----------
    names : mapping
        What the code captured. Its type says who wrote it: :class:`~mifit.formula.source.Captured` a live caller, any
        other a file.
    usual : mapping
        Functions that need no capturing, for a live caller.

    Returns
    -------
    patsy.EvalEnvironment
        A :class:`Confined` one for code from a file.
    """
    if isinstance(names, Captured):
        return patsy.EvalEnvironment([{**usual, **resolve(names)}])
    return Confined(names)


def known_names(names: Mapping[str, Any]) -> dict[str, Any]:
    """The functions that code may use, by name: patsy's own and what it captured."""
    return {**BUILTINS, **resolve(names)}


class Confined(patsy.EvalEnvironment):
    """Where code from a file is evaluated: nothing but approved code, and nothing around it but what it may use.

    Parameters
    ----------
    names : mapping
        What the code captured: references, constants, what the reader of the file passed.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        held = {name: _held(value) for name, value in names.items()}
        numpy = _namespace("numpy")
        super().__init__([{**BUILTINS, **PYTHON, "np": numpy, "numpy": numpy, **held}])
        self.names = names
        self._approved: dict[tuple[Any, ...], Approved] = {}

    def with_outer_namespace(self, outer_namespace: Any) -> Confined:
        """Itself: nothing is added from outside."""
        return self

    def subset(self, names: Any) -> Confined:
        """Itself: it holds no more than may be used."""
        return self

    def eval(self, expr: str, source_name: str = "<string>", inner_namespace: Any = None) -> Any:
        """Evaluate code on columns; refuse what was not approved.

        Raises
        ------
        StorageError
            If the code does more than compute; nothing of it was evaluated.
        """
        data = {} if inner_namespace is None else inner_namespace
        return evaluated(self.approve(expr, data), self._namespaces[0], data)

    def approve(self, code: str, data: Any) -> Approved:
        """Approve code for some columns, whose types count: text takes no arithmetic."""
        columns = [label for label in _labels(code) if label in data]
        odd = [label for label in columns if not _is_number(data[label])]
        key = (code, *columns, None, *odd)
        if key not in self._approved:
            self._approved[key] = approve(code, columns, self.names, odd)
        return self._approved[key]


def evaluated(approved: Approved, names: Mapping[str, Any], data: Any) -> Any:
    """What approved code comes to on columns; nothing of Python's own stands around it."""
    if not isinstance(approved, Approved):
        raise TypeError("only approved code is evaluated")

    def named(label: Hashable) -> Any:
        return data[label]

    return eval(approved.compiled, {"__builtins__": {}}, VarLookupDict([data, {**names, "Q": named}]))


def _held(value: Any) -> Any:
    """A captured name as approved code sees it: of numpy and scipy only what computes."""
    if isinstance(value, Reference) and value.path in ("numpy", "scipy", "scipy.special"):
        return _namespace(value.path)
    return value.load() if isinstance(value, Reference) else value


@lru_cache(maxsize=4)
def _namespace(module: str) -> types.SimpleNamespace:
    """What approved code may use of a module."""
    within = {"special": _namespace("scipy.special")} if module == "scipy" else {}
    return types.SimpleNamespace(**of_module(module), **within)


@lru_cache(maxsize=1024)
def _labels(code: str) -> tuple[Hashable, ...]:
    """Names that may be those of columns, quoted ones too; none where the code does not parse."""
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    found: list[Hashable] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not node.id.startswith("_patsy_"):
            found.append(node.id)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Q" and len(node.args) == 1:
            try:
                label = ast.literal_eval(node.args[0])
                hash(label)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue
            found.append(label)
    return tuple(dict.fromkeys(found))


def _is_number(values: Any) -> bool:
    """Whether a column holds numbers or truth values."""
    return getattr(getattr(values, "dtype", np.asarray(0.0).dtype), "kind", "O") in "biuf"

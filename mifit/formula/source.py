"""Where the text of a formula comes from: a caller, who may say what he likes, or a file, which may only compute."""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "EARLIER",
    "HELPERS",
    "Captured",
    "FileText",
    "Passed",
    "PassedFunctions",
    "Reference",
    "names_of",
    "resolve",
    "scope_of_text",
    "sourced",
    "told_by",
]

#: functions of this package that its own formulas call: what they are called in a file -> the module that has them
HELPERS = {
    "mifit:nelson_aalen": "mifit.imputation.methods.cox",
    "mifit:total_within": "mifit.imputation.plan.transforms",
}

#: what files of the first protocol called them
EARLIER = {
    "mifit.impute.methods.cox:nelson_aalen": "mifit:nelson_aalen",
    "mifit.impute.within:total_within": "mifit:total_within",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A function or module by its dotted path, so that it can cross a process."""

    path: str

    def load(self) -> Any:
        """Import what the path names."""
        module, _, attribute = self.path.partition(":")
        loaded = importlib.import_module(HELPERS.get(self.path, module))
        for name in attribute.split(".") if attribute else ():
            loaded = getattr(loaded, name)
        return loaded


@dataclass(frozen=True, slots=True)
class Passed(Reference):
    """A module of which the reader of a file passed some functions; it is never imported."""

    functions: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def load(self) -> Any:
        """The functions that were passed, as attributes."""
        return PassedFunctions(self)


class PassedFunctions(types.SimpleNamespace):
    """What stands for a module where code of a file is evaluated: the functions that the reader passed."""

    def __init__(self, told: Passed) -> None:
        super().__init__(**told.functions)
        self.__dict__["."] = told  # under no name that code could say

    def __reduce__(self) -> Any:
        return PassedFunctions, (told_by(self),)


def told_by(functions: PassedFunctions) -> Passed:
    """What the reader of the file passed."""
    found: Passed = vars(functions)["."]
    return found


class FileText(str):
    """Text that was read from a file, with the names that code in it may use.

    It equals the plain text, and is kept apart from it by its type alone: who takes formulas, conditions and
    expressions asks :func:`names_of` and :func:`scope_of_text`, and what is made from such a text is evaluated
    after it was approved, never as it stands.

    Parameters
    ----------
    text : str
    names : mapping
        Name -> :class:`Reference`, constant, or what the reader of the file passed.

    Examples
    --------
    >>> FileText("x > 1", {}) == "x > 1", type(sourced("~ " + FileText("x", {}), FileText("x", {}))).__name__
    (True, 'FileText')
    """

    names: Mapping[str, Any]

    def __new__(cls, text: str, names: Mapping[str, Any]) -> FileText:
        """Mark a text."""
        made = super().__new__(cls, text)
        made.names = names
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return FileText, (str.__str__(self), self.names)


class Captured(dict[str, Any]):
    """Names that the code of a live caller uses. Names of any other type belong to code that is approved first."""


def sourced(text: str, *pieces: Any) -> str:
    """A text put together from others; from a file if one of them is."""
    found = [piece for piece in pieces if isinstance(piece, FileText)]
    if not found:
        return text
    names = found[0].names if len(found) == 1 else {n: v for piece in found for n, v in piece.names.items()}
    return FileText(text, names)


def names_of(text: Any) -> dict[str, Any]:
    """An empty mapping for the names that a text uses: its type says how their code is evaluated."""
    return {} if isinstance(text, FileText) else Captured()


def scope_of_text(text: Any, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the names of a text are looked up: in the file it came from, else in the caller's scope."""
    return resolve(text.names) if isinstance(text, FileText) else scope


def resolve(names: Mapping[str, Any]) -> dict[str, Any]:
    """Turn captured names into live objects."""
    return {name: value.load() if isinstance(value, Reference) else value for name, value in names.items()}

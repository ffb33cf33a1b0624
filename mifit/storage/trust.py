"""What a formula from a file may say: columns, arithmetic, and functions known to do no more than compute."""

from __future__ import annotations

import ast
import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ..errors import FormulaError, StorageError
from ..formula.factor import BUILTINS
from ..formula.terms import parse

__all__ = ["check_code", "check_formula", "trusted", "under_own_name"]

#: what of numpy a formula from a file may use beyond its elementwise functions
_NUMPY = frozenset({"where", "clip", "round", "around", "nan_to_num", "isin", "interp", "digitize", "pi", "e"})
_NUMPY |= {"inf", "nan", "float64", "int64", "array", "log1p", "real", "imag", "sinc", "angle", "i0", "select"}
_PYTHON = frozenset({"abs", "bool", "float", "int", "len", "max", "min", "round", "str", "True", "False"})
_REFERENCES = ("numpy", "numpy:", "scipy.special", "scipy.special:", "mifit.impute.methods.cox:nelson_aalen")

_NODES: tuple[type[ast.AST], ...] = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.keyword, ast.Name, ast.Load,
    ast.Attribute, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.IfExp, ast.boolop, ast.unaryop, ast.cmpop, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor,
)  # fmt: skip
_SPLINES = ("bs", "cr", "cc", "te")  # functions that make as many columns as they are told
_LONGEST = 100_000  # characters of a formula
_LARGEST = 1000  # of a whole number that tells a function how much to make, or that is an exponent


def trusted(path: str) -> bool:
    """Whether a dotted path may be followed because a file names it.

    Examples
    --------
    >>> trusted("numpy"), trusted("os:system"), trusted("numpy:load")
    (True, False, False)
    """
    if path in _REFERENCES:
        return not path.endswith(":")
    module, _, name = path.partition(":")
    if module == "numpy":
        return _of_numpy(name)
    if module == "patsy.builtins":
        return name in BUILTINS
    if module.startswith("scipy.special") and name.isidentifier():
        import scipy.special

        return isinstance(getattr(scipy.special, name, None), np.ufunc)
    return False


def _of_numpy(name: str) -> bool:
    """Whether a formula from a file may use this of numpy."""
    return name in _NUMPY or isinstance(getattr(np, name, None), np.ufunc)


def check_formula(
    formula: Any, columns: Collection[Any], names: Mapping[str, Any], given: Collection[str], left: bool = True
) -> None:
    """Refuse a formula that does more than compute.

    Parameters
    ----------
    formula : str
    columns : collection
        Names of columns.
    names : mapping
        Names that the study captured: functions and modules by reference, constants as they are.
    given : collection of str
        Names that the reader passes; they are trusted.
    left : bool, default True
        Whether the left side is ever evaluated.

    Raises
    ------
    StorageError
        Naming the piece; nothing was evaluated.
    """
    if not isinstance(formula, str) or len(formula) > _LONGEST or "\x00" in formula:
        raise StorageError("a formula of the file is no formula.", do='mifit.load("study.mifit")')
    try:
        terms = parse(formula, columns)
    except FormulaError as error:
        raise StorageError(f"a formula of the file does not parse: {formula!r:.80}.", said=error.fact) from None
    for code in (
        *([terms.outcome] if left else []),
        *dict.fromkeys(code for factors in terms.factors for code in factors),
    ):
        check_code(code, columns, names, given)


def check_code(code: Any, columns: Collection[Any], names: Mapping[str, Any], given: Collection[str]) -> None:
    """Refuse a piece of code that does more than compute; see :func:`check_formula`."""
    try:
        tree = ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise StorageError(f"a formula of the file does not parse: {code!r:.80}.") from None
    for node in ast.walk(tree):
        fault = _fault(node, columns, names, given)
        if fault:
            raise StorageError(
                f"a formula of the file says {code!r:.80}; {fault}. Nothing of it was evaluated.",
                do=f"mifit.load(path, names={{{_head(node)!r}: ...}})  # only if you know this function and the file",
            )


def _head(node: ast.AST) -> str:
    """The name to be passed for a node that is refused."""
    return next((inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)), "f")


def _fault(node: ast.AST, columns: Collection[Any], names: Mapping[str, Any], given: Collection[str]) -> str:
    """What is wrong with one node of a formula; nothing if it only computes."""
    if not isinstance(node, _NODES):
        return f"{type(node).__name__} is not allowed there"
    if isinstance(node, ast.Name) and node.id not in {*columns, *names, *given, *BUILTINS, *_PYTHON, "np", "numpy"}:
        return f"{node.id!r} is neither a column nor a function that files may call"
    if isinstance(node, ast.Attribute):
        return _fault_of_attribute(node, names, given)
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute):
        return _fault_of_call(node, names, given)
    if isinstance(node, ast.BinOp):
        return _fault_of_operation(node)
    if isinstance(node, ast.keyword) and node.arg in (None, "out"):
        return "a function may not be told where to write"
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str | None):
        return f"a {type(node.value).__name__} has no place there"
    return ""


def _fault_of_call(node: ast.Call, names: Mapping[str, Any], given: Collection[str]) -> str:
    """A function by its bare name: a column or a constant of that name would not stand in for Python's own."""
    name = getattr(node.func, "id", "")
    referred = ":" in getattr(names.get(name), "path", "")
    if name not in {*given, *BUILTINS, *_PYTHON} and not referred:
        return f"{name or ast.unparse(node.func)!r} is not a function that files may call"
    told = [part for one in (*node.args[1:], *(k.value for k in node.keywords)) for part in ast.walk(one)]
    large = any(type(size) is int and abs(size) > _LARGEST for size in (getattr(p, "value", 0) for p in told))
    if name in _SPLINES and (large or any(isinstance(part, ast.BinOp) for part in told)):
        return f"{name!r} is asked for too much"
    return ""


def under_own_name(names: Mapping[str, Any]) -> dict[str, Any]:
    """Those of some names that mean the same to everybody: modules, and functions that are called what they are.

    Examples
    --------
    >>> from mifit.formula.question import Reference
    >>> list(under_own_name({"exp": Reference("numpy:exp"), "system": Reference("numpy:exp")}))
    ['exp']
    """
    paths = {name: getattr(value, "path", "") for name, value in names.items()}
    return {n: names[n] for n, path in paths.items() if path and path.partition(":")[2].rpartition(".")[2] in ("", n)}


def _fault_of_attribute(node: ast.Attribute, names: Mapping[str, Any], given: Collection[str]) -> str:
    """A function of a module: of numpy those that only compute, of a module that was passed all but private ones."""
    if node.attr.startswith("_") or not isinstance(node.value, ast.Name):
        return f"{ast.unparse(node)!r} reaches too far"
    head = node.value.id
    if head in given:
        return ""
    path = getattr(names.get(head), "path", "numpy" if head in ("np", "numpy") and head not in names else "")
    if path and ":" not in path and trusted(f"{path}:{node.attr}"):
        return ""
    return f"{ast.unparse(node)!r} is not a function that files may call"


def _fault_of_operation(node: ast.BinOp) -> str:
    """Arithmetic whose result could be as large as one likes."""
    if any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in (node.left, node.right)):
        return "text takes no arithmetic"
    if any(isinstance(side, ast.List | ast.Tuple | ast.Dict) for side in (node.left, node.right)):
        return "a list takes no arithmetic"
    if isinstance(node.op, ast.Pow):
        exponents = [part.value for part in ast.walk(node.right) if isinstance(part, ast.Constant)]
        heavy = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow) for part in ast.walk(node.right))
        nested = any(isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow) for part in ast.walk(node.left))
        large = any(isinstance(e, int | float) and not (math.fabs(e) <= _LARGEST) for e in exponents)
        if large or heavy or (nested and not any(isinstance(part, ast.Name) for part in ast.walk(node.left))):
            return "a power is too large"
    return ""

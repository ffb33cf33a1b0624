"""Allowed code in a file: columns, arithmetic, and functions that only compute."""

from __future__ import annotations

import ast
import builtins
import math
import re
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import StorageError
from .functions import BUILTINS, CONSTANTS, GIVEN, MODULES, NUMPY, PYTHON, givable, of_module, trusted
from .source import Passed, Reference

__all__ = ["Approved", "Found", "approve", "refused_code"]

LONGEST = 20_000  # characters of one piece of code
_DEEPEST = 100  # calls and parentheses inside one another
_MOST = 4_000  # nodes of the syntax tree
_LISTED = 1_000  # members of a list
_LARGEST = 2.0**63  # of a whole number: beyond it Python's have as many digits as one likes
_EXPONENT = 1_000  # of a power, and of powers of powers together
_WIDEST = 250  # columns of a spline
_WIDE = 2_000  # columns of a product of splines
_TIMES = 1e6  # a whole number that may multiply what a function of the reader's returns
_STATEFUL = re.compile(r"_patsy_stobj\d+__(\w+)__")  # how patsy spells a function that has learnt


class Found(NamedTuple):
    """What is known of a piece of code before it is evaluated."""

    kind: str  #: "number", "text", "list", "wide" (several columns, or levels), "function", "none", "any"
    size: float | None = None  #: at most this large, where it may be one of Python's whole numbers; else None
    power: float = 1.0  #: product of the exponents inside
    width: int = 1  #: columns


@dataclass(frozen=True, slots=True)
class Approved:
    """Approved code that may be evaluated; made by :func:`approve` alone."""

    code: str
    compiled: types.CodeType
    width: int  #: columns it makes; 0 where it makes as many as there are levels


_NUMBER, _TEXT, _LIST, _NONE, _ANY = (Found(kind) for kind in ("number", "text", "list", "none", "any"))

_COMPARING = ("equal", "not_equal", "isin")  # take text and say true or false
_CHOOSING = ("where", "select")  # may return text


_SPLINES = {
    **dict.fromkeys(("bs",), ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound")),
    **dict.fromkeys(("cr", "cc"), ("df", "knots", "lower_bound", "upper_bound", "constraints")),
    "te": ("constraints",),
}
#: what may list the knots of a spline
_KNOTS = tuple(f"numpy:{name}" for name in ("array", "asarray", "quantile", "percentile", "nanquantile"))
_SCALING = {"center": (), "standardize": ("center", "rescale", "ddof"), "scale": ("center", "rescale", "ddof")}
_CODING = ("Treatment", "Poly", "Sum", "Helmert", "Diff", "ContrastMatrix")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd, ast.BitOr, ast.BitXor)


def approve(code: Any, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any] = ()) -> Approved:
    """Approve code that only computes; refuse any other before anything is evaluated.

    Parameters
    ----------
    code : str
        One expression.
    columns : collection
        Names of columns: data, never functions, whatever they are called.
    names : mapping
        Names that the code may use besides: references, constants, and what the reader of the file passed.
    odd : collection
        Columns that are no numbers.

    Returns
    -------
    Approved

    Raises
    ------
    StorageError
        Naming the piece; nothing was evaluated.

    Examples
    --------
    >>> approve("np.log(x + 1)", ["x"], {}).code
    'np.log(x + 1)'
    """
    if not isinstance(code, str) or len(code) > LONGEST or "\x00" in code:
        raise StorageError(
            "a formula of the file is no formula, or longer than any. Nothing of it was evaluated.", do=_OTHERWISE
        )
    try:
        tree = ast.parse(code.strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > _MOST:
            raise _Refused("it is longer than any formula")
        found = _Reader(columns, names, odd).read(tree.body)
        return Approved(str(code), compile(code.strip(), "<file>", "eval"), found.width)
    except _Refused as refused:
        refused.code = str(code)
        raise StorageError(
            f"a formula of the file says {str(code)!r:.80}; {refused}. Nothing of it was evaluated.",
            do=f"mifit.load(path, names={{{refused.cure!r}: {refused.cure}}})  # if you know it and trust the file"
            if refused.cure else _OTHERWISE,
        ) from None  # fmt: skip
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError, OverflowError):
        raise StorageError(
            f"a formula of the file does not parse: {str(code)!r:.80}. Nothing of it was evaluated.", do=_OTHERWISE
        ) from None


_OTHERWISE = 'imp.save("study.mifit")  # of an analysis whose columns were made beforehand'


def refused_code(error: StorageError) -> tuple[str, str]:
    """The piece of code that :func:`approve` refused with an error, and why; two empty texts for any other error."""
    refused = error.__context__
    return (refused.code, str(refused)) if isinstance(refused, _Refused) else ("", "")


class _Refused(Exception):
    """A piece of ``code`` that is not approved; ``cure`` is the name whose passing would approve it."""

    def __init__(self, fault: str, cure: str = "") -> None:
        super().__init__(fault)
        self.cure, self.code = cure, ""


class _Reader:
    """Reads a syntax tree from the outside in; refuses every unknown node."""

    def __init__(self, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any]) -> None:
        self.columns = columns if isinstance(columns, set | frozenset | dict) else set(columns)
        self.names, self.odd, self.depth = names, odd, 0

    def read(self, node: ast.AST) -> Found:
        """What is known of one node and all within it."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Refused("it is nested deeper than any formula")
        reader = getattr(self, f"_{type(node).__name__}", None)
        if reader is None:
            raise _Refused(f"{type(node).__name__} is not allowed there")
        found: Found = reader(node)
        self.depth -= 1
        return found

    def number(self, node: ast.AST, what: str) -> Found:
        """The same of a node that must be a number."""
        found = self.read(node)
        if found.kind not in ("number", "any"):
            raise _Refused(f"{what} takes numbers, not {_PLAINLY.get(found.kind, found.kind)}: {_short(node)}")
        return found

    def _Constant(self, node: ast.Constant) -> Found:
        return _of_value(node.value)

    def _Name(self, node: ast.Name) -> Found:
        if node.id in self.columns:
            return _TEXT if node.id in self.odd else _NUMBER
        if node.id in self.names:
            value = self.names[node.id]
            referred = isinstance(value, Reference) or callable(value) or isinstance(value, types.ModuleType)
            return Found("function") if referred else _of_value(value)
        if node.id in BUILTINS:
            return Found("function")
        raise _Refused(f"{node.id!r} is neither a column nor a name that files may use", _curable(node.id))

    def _Attribute(self, node: ast.Attribute) -> Found:
        path = self._path(node)
        if path.startswith("numpy:") and node.attr in CONSTANTS:
            return _NUMBER
        return _ANY if path == "given:" else Found("function")

    def _UnaryOp(self, node: ast.UnaryOp) -> Found:
        return self.number(node.operand, "a sign")._replace(width=1)

    def _BinOp(self, node: ast.BinOp) -> Found:
        spine: list[ast.BinOp] = [node]  # a + b + c + ... leans to the left, and is as deep as it is long
        while isinstance(spine[-1].left, ast.BinOp):
            spine.append(spine[-1].left)
        left = self.number(spine[-1].left, "arithmetic")
        for one in reversed(spine):
            if not isinstance(one.op, _ARITHMETIC):
                raise _Refused(f"{type(one.op).__name__} is not allowed there")
            left = _computed(one, left, self.number(one.right, "arithmetic"))
        return left

    def _BoolOp(self, node: ast.BoolOp) -> Found:
        return _either([self.read(value) for value in node.values])

    def _IfExp(self, node: ast.IfExp) -> Found:
        self.read(node.test)
        return _either([self.read(node.body), self.read(node.orelse)])

    def _Compare(self, node: ast.Compare) -> Found:
        for side in (node.left, *node.comparators):
            if self.read(side).kind in ("wide", "function"):
                raise _Refused(f"{_short(side)} is not compared")
        return Found("number", 1.0)

    def _List(self, node: ast.List | ast.Tuple) -> Found:
        if len(node.elts) > _LISTED:
            raise _Refused("a list is longer than any in a formula")
        for one in node.elts:
            if not _literal(one) or self.read(one).kind == "none":
                raise _Refused(f"a list holds numbers and text, not {_short(one)}")
        return _LIST

    _Tuple = _List

    def _Call(self, node: ast.Call) -> Found:
        if any(isinstance(one, ast.Starred) for one in node.args) or any(k.arg is None for k in node.keywords):
            raise _Refused("a call with stars is not allowed there")
        path = self._path(node.func)
        module, _, name = path.partition(":")
        if module == "given":
            return self._given(node)
        if module == "patsy.builtins":
            return self._patsy(node, name)
        if module in ("numpy", "scipy.special"):
            return self._numpy(node, module, name)
        if module == "builtins":
            found = [self.number(one, f"{name}()") for one in node.args]
            self._keywords(node, ())
            if name == "round":
                self._decimals(node.args[1:])
            sizes = [one.size for one in found if one.size is not None]
            size = None if name in ("float", "round") or not sizes else max(sizes)
            size = {"bool": 1.0, "len": 1e9}.get(name, size)
            return Found("number", size, max((one.power for one in found), default=1.0))
        for one in (*node.args, *(k.value for k in node.keywords)):  # the package's own
            if self.read(one).kind not in ("number", "text", "any", "none"):
                raise _Refused(f"{_short(node)} takes columns")
        return _NUMBER

    def _path(self, node: ast.AST) -> str:
        """The function that a node names: "numpy:log"; "given:" for what the reader passed."""
        if isinstance(node, ast.Attribute):
            return self._path_of_attribute(node)
        if not isinstance(node, ast.Name):
            raise _Refused(f"{_short(node)} is not a function that files may call")
        name = node.id
        if name in self.names:
            value = self.names[name]
            if isinstance(value, Reference):
                if not trusted(value.path):
                    if not givable(value.path):
                        raise _Refused(f"{name!r} is not a function that files may call")
                    return "given:"
                if ":" in value.path:
                    return value.path
            elif callable(value):
                return "given:"
        elif name in BUILTINS:
            return f"patsy.builtins:{name}"
        elif name in PYTHON:
            return f"builtins:{name}"
        raise _Refused(f"{name!r} is not a function that files may call", _curable(name))

    def _path_of_attribute(self, node: ast.Attribute) -> str:
        """A function of a module: of numpy those that only compute, of any other those that were passed by name."""
        if isinstance(node.value, ast.Name):
            stateful = _STATEFUL.fullmatch(node.value.id)
            if stateful and node.attr in ("transform", "memorize_chunk"):
                return self._path(ast.Name(stateful[1]))
        dotted = ast.unparse(node.value)
        head, *rest = dotted.split(".")
        value = self.names.get(head)
        if value is None and head in ("np", "numpy"):
            value = Reference("numpy")
        base = value.path if isinstance(value, Reference) else ""
        if node.attr.startswith("_") or any(one.startswith("_") or not one.isidentifier() for one in (head, *rest)):
            raise _Refused(f"{_short(node)} reaches too far")
        if base in MODULES:
            path = f"{'.'.join([base, *rest])}:{node.attr}"
            if trusted(path):
                return path
            raise _Refused(f"{_short(node)} is not a function that files may call")
        if rest:
            raise _Refused(f"{_short(node)} reaches too far")
        if isinstance(value, Passed):
            if node.attr in value.functions:
                return "given:"
            raise _Refused(f"{_short(node)} was not passed", _curable(f"{head}.{node.attr}"))
        if base and ":" not in base and givable(base):  # when it is written: no reader passes a module
            return "given:"
        unknown = value is None or isinstance(value, types.ModuleType)
        cure = _curable(f"{head}.{node.attr}") if unknown else ""
        raise _Refused(f"{_short(node)} is not a function that files may call", cure)

    def _keywords(self, node: ast.Call, known: Sequence[str]) -> dict[str, ast.expr]:
        """Keywords of a call, all of them known."""
        for one in node.keywords:
            if one.arg not in known or self.read(one.value).kind in ("function", "wide"):
                raise _Refused(f"{one.arg}={_short(one.value)} is not allowed there")
        return {str(one.arg): one.value for one in node.keywords}

    def _given(self, node: ast.Call) -> Found:
        """A function that the reader passed: it is trusted, its arguments are not."""
        for one in (*node.args, *(k.value for k in node.keywords)):
            self.read(one)
        return _ANY

    def _numpy(self, node: ast.Call, module: str, name: str) -> Found:
        """A function that computes from numbers; text is compared or chosen, and nothing else."""
        function = of_module(module)[name]
        most, known = (function.nin, ()) if isinstance(function, np.ufunc) else NUMPY.get(name, (0, ()))
        if len(node.args) > most:
            raise _Refused(f"{name}() may not be told where to write")
        self._keywords(node, known)
        if name in ("round", "around"):
            self._decimals([*node.args[1:], *(k.value for k in node.keywords)])
        if name == "select":
            return self._select(node)
        found = [self.read(one) for one in node.args]
        for argument, one in zip(node.args, found, strict=True):
            text = name in (*_COMPARING, *_CHOOSING) and one.kind == "text"
            if one.kind not in ("number", "list", "any") and not text:
                raise _Refused(f"{name}() takes numbers, not {_PLAINLY.get(one.kind, one.kind)}: {_short(argument)}")
        text = name in _CHOOSING and any(one.kind in ("text", "list") for one in found[1:])
        size = 1e9 if name == "size" else None  # one of Python's whole numbers, as len() gives
        return Found("text" if text else "number", size, max((one.power for one in found), default=1.0))

    def _decimals(self, nodes: Sequence[ast.AST]) -> None:
        """To how many places one rounds: numpy counts up to them one by one."""
        for one in nodes:
            captured = self.names.get(one.id) if isinstance(one, ast.Name) and one.id not in self.columns else None
            places = captured if isinstance(captured, int) else _exponent(one)
            if places is None or not abs(places) <= _EXPONENT:
                raise _Refused(f"one does not round to {_short(one)} places")

    def _select(self, node: ast.Call) -> Found:
        """np.select: the one function that takes lists of arrays."""
        parts = [one for side in node.args[:2] for one in getattr(side, "elts", [side])]
        return _either([self.read(one) for one in (*parts, *node.args[2:])])._replace(size=None)

    def _patsy(self, node: ast.Call, name: str) -> Found:
        """A function of patsy; whatever tells a spline how much to make is a number as it stands."""
        if name == "Q":
            label = ast.literal_eval(node.args[0]) if len(node.args) == 1 and _plain(node.args[0]) else None
            if node.keywords or label not in self.columns:
                raise _Refused(f"{_short(node)} names no column")
            return _TEXT if label in self.odd else _NUMBER
        if name == "I":
            if len(node.args) != 1 or node.keywords:
                raise _Refused(f"{_short(node)} takes one expression")
            return self.read(node.args[0])
        if name in _SCALING:
            self._keywords(node, _SCALING[name])
            found = [self.read(one) for one in node.args]
            if len(found) != 1 or found[0].kind not in ("number", "wide", "any"):
                raise _Refused(f"{name}() takes one number")
            return found[0]._replace(size=None)
        if name in _SPLINES:
            return self._spline(node, name)
        for one in (*node.args[name == "C" :], *(k.value for k in node.keywords)):
            self._contrast(one)
        if name == "C" and (not node.args or self.read(node.args[0]).kind not in ("number", "text", "any", "wide")):
            raise _Refused(f"{_short(node)} makes levels of a column")
        return Found("wide", width=0) if name == "C" else Found("function")

    def _spline(self, node: ast.Call, name: str) -> Found:
        """A spline: its width is bounded before it is built."""
        told = self._keywords(node, _SPLINES[name])
        if name == "te":
            width = math.prod(self.read(one).width for one in node.args)
            if width > _WIDE:
                raise _Refused(f"{name}() is asked for {width} columns")
            return Found("wide", width=width)
        first = node.args[:1]
        if not first or len(node.args) > 1 + len(_SPLINES[name]):
            raise _Refused(f"{name}() takes one column")
        self.number(first[0], f"{name}()")
        limits = [told[word] for word in ("lower_bound", "upper_bound") if word in told]
        others = [one for one in (*node.args[1:], *told.values()) if one not in limits]
        width = int(max([4, *map(self._asked, others)]))
        for one in limits:
            self.number(one, f"{name}()")
        if width > _WIDEST:
            raise _Refused(f"{name}() is asked for {width} columns")
        return Found("wide", width=width)

    def _asked(self, node: ast.AST) -> float:
        """How much a spline is asked for: a number as it stands, or the length of a list of knots."""
        self.read(node)
        if isinstance(node, ast.Name) and node.id in self.names and node.id not in self.columns:
            value = self.names[node.id]
            return abs(float(value)) if isinstance(value, int | float | np.number) else float(np.size(value)) + 4
        if isinstance(node, ast.List | ast.Tuple):
            return len(node.elts) + 4.0
        if isinstance(node, ast.Call) and self._path(node.func) in _KNOTS and isinstance(node.args[-1], ast.List):
            return len(node.args[-1].elts) + 4.0
        number = _exponent(node)
        if number is None and not isinstance(node, ast.Constant):
            raise _Refused(f"a spline is told {_short(node)}, which is no number as it stands")
        return abs(number or 0.0)

    def _contrast(self, node: ast.AST) -> None:
        """How levels are coded: a name, a matrix, a list of levels."""
        if isinstance(node, ast.List | ast.Tuple):
            if len(node.elts) > _LISTED:
                raise _Refused("a list is longer than any in a formula")
            for one in node.elts:
                self._contrast(one)
            return
        named = isinstance(node, ast.Name) and node.id in self.names and node.id not in self.columns
        if self.read(node).kind not in ("function", "list", "none", "any") and not (_literal(node) or named):
            raise _Refused(f"{_short(node)} is no coding of levels")


_PLAINLY = {"list": "a list", "wide": "several columns", "function": "a function", "none": "None"}


def _of_value(value: Any) -> Found:
    """What is known of a constant, or of one that the study captured."""
    if value is None:
        return _NONE
    if isinstance(value, str):
        if len(value) > LONGEST:
            raise _Refused("a text is longer than any in a formula")
        return _TEXT
    if isinstance(value, bool | np.bool_):
        return Found("number", 1.0)
    if isinstance(value, int):
        if abs(value) >= _LARGEST:
            raise _Refused("a whole number is too large; with a point, 1e30, it is not")
        return Found("number", float(abs(value)))
    if isinstance(value, float | np.number):
        return _NUMBER
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "biufU":
            raise _Refused("an array of the study is no list of numbers")
        return _LIST if value.dtype.kind == "U" else _NUMBER
    listed = isinstance(value, list | tuple) and len(value) <= LONGEST
    if listed and all(_of_value(one).kind in ("number", "text", "none") for one in value):
        return _LIST
    raise _Refused(f"a {type(value).__name__} has no place there")


def _computed(node: ast.BinOp, left: Found, right: Found) -> Found:
    """Arithmetic of two numbers; refused where a whole number, or a power of powers, might be as large as one likes."""
    power, size = max(left.power, right.power), None
    if isinstance(node.op, ast.Pow):
        exponent = _exponent(node.right)
        if exponent is None and _whole(node.right):
            raise _Refused("an exponent is a number as it stands, or a column")
        power = max(left.power * max(abs(exponent or 1.0), 1.0), right.power)
        if power > _EXPONENT or (exponent is not None and not math.isfinite(exponent)):
            raise _Refused("a power is too large")
    if left.size is not None and right.size is not None and not isinstance(node.op, ast.Div):
        size = _size(node.op, left.size, right.size)
        if not size < _LARGEST:
            raise _Refused("a whole number is too large; with a point, 1e30, it is not")
    any_ = "any" in (left.kind, right.kind)
    if any_ and isinstance(node.op, ast.Mult) and max(left.size or 0.0, right.size or 0.0) > _TIMES:
        raise _Refused("a whole number is too large there; with a point, 1e9, it is not")
    return Found("any" if any_ else "number", size, power)


def _size(op: ast.operator, left: float, right: float) -> float:
    """The most that two whole numbers can come to."""
    if isinstance(op, ast.Pow):
        return max(1.0, left ** min(right, 64.0)) if left < _LARGEST else math.inf
    return max(left * right, left + right) if isinstance(op, ast.Mult) else left + right + 1.0


def _exponent(node: ast.AST) -> float | None:
    """The number that a node is as it stands; None where it is computed."""
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        node = node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):  # x ** (1 / 3)
        above, below = _exponent(node.left), _exponent(node.right)
        return None if above is None or not below else above / below
    value = node.value if isinstance(node, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(node: ast.AST) -> bool:
    """Whether a node without a column in it is computed: a power could hide there."""
    return not any(isinstance(one, ast.Name) for one in ast.walk(node)) or any(
        isinstance(one, ast.BinOp) and isinstance(one.op, ast.Pow) for one in ast.walk(node)
    )


def _either(found: Sequence[Found]) -> Found:
    """One of several pieces, it is not known which."""
    kinds = [one.kind for one in found]
    if any(kind not in ("number", "text", "any", "list", "none") for kind in kinds):
        raise _Refused("several columns, or a function, are no value to choose")
    kind = next((one for one in ("text", "list", "none", "any") if one in kinds), "number")
    sizes = [one.size for one in found if one.size is not None]
    return Found("text" if kind in ("list", "none") else kind, max(sizes, default=None), max(o.power for o in found))


def _literal(node: ast.AST) -> bool:
    """Whether a node is a number or text as it stands, or a fraction of numbers."""
    return isinstance(node, ast.Constant) or _exponent(node) is not None


def _plain(node: ast.AST) -> bool:
    """Whether a node is a literal, or a tuple of them: the label of a column."""
    return _literal(node) or (isinstance(node, ast.Tuple) and all(map(_plain, node.elts)))


def _curable(name: str) -> str:
    """A name that the reader may pass; none where no name is the cure."""
    barred = name.startswith("_") or name in ("np", "numpy") or (hasattr(builtins, name) and name not in GIVEN)
    return "" if barred or not givable(name) else name


def _short(node: ast.AST) -> str:
    """A piece of code as an error shows it."""
    return f"{ast.unparse(node)!r:.60}"

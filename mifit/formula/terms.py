"""Terms: a formula taken apart into plain strings, and the variables each piece needs."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import patsy
from patsy.parse_formula import parse_formula

from ..calls import Code
from ..errors import FormulaError, StorageError, call
from .source import FileText

__all__ = ["Pieces", "Terms", "code_of", "described", "in_pandas", "nodes_of", "parse", "quoted", "take_apart"]


@dataclass(frozen=True, slots=True)
class Pieces:
    """The names in one piece of Python code."""

    variables: tuple[Hashable, ...]  #: columns it uses, ``Q('a b')`` read
    called: tuple[str, ...]  #: functions and modules
    free: tuple[str, ...]  #: other names: no column, not called


@dataclass(frozen=True, slots=True)
class Terms:
    """A parsed formula."""

    formula: str
    outcome: str  #: code of the left side
    codes: tuple[str, ...]  #: code of each term, ``"Intercept"`` for the constant
    factors: tuple[tuple[str, ...], ...]  #: codes of the factors (building blocks) of each term


def parse(formula: str, columns: Iterable[Hashable] = ()) -> Terms:
    """Take a formula apart.

    Parameters
    ----------
    formula : str
        With one outcome on the left: ``"y ~ x1 * x2"``.
    columns : iterable of hashable, optional
        Names of columns, to tell which of them the formula must spell ``Q("...")``.

    Returns
    -------
    Terms

    Raises
    ------
    FormulaError
        If it is no text, does not parse (a caret stands under the place), or has no single outcome.

    Examples
    --------
    >>> parse("y ~ x1*x2").codes
    ('Intercept', 'x1', 'x2', 'x1:x2')
    """
    if not isinstance(formula, str):
        raise FormulaError(f"a formula is text, not {type(formula).__name__}.", do=_EXAMPLE)
    if isinstance(formula, FileText):
        _refuse_vast(formula)
    if any("\ud800" <= letter <= "\udfff" for letter in formula):
        raise FormulaError(f"{formula!r:.200} holds half a character (a lone surrogate).", do=_EXAMPLE)
    advice = _advice(formula, columns)
    try:
        model = described(formula)
    except patsy.PatsyError as error:
        place = "\n" + error.origin.caretize(indent=2) if error.origin is not None else ""
        raise FormulaError(f"the formula does not parse: {error.message}{place}", **advice) from None
    except SyntaxError as error:
        raise FormulaError(f"the formula does not parse: {error.msg}\n  {formula}", **advice) from None
    except AssertionError:  # of patsy's reader of tokens
        raise FormulaError(f"the formula does not parse:\n  {formula}", **advice) from None
    except (RecursionError, MemoryError):
        raise FormulaError(f"the formula is nested deeper than Python reads: {formula:.60}...", **advice) from None
    for factor in (factor for term in (*model.lhs_termlist, *model.rhs_termlist) for factor in term.factors):
        _check_code(factor, advice)
    left = model.lhs_termlist
    if len(left) == 2:
        raise FormulaError(
            "the formula needs one outcome on its left side.",
            formula=formula,
            counts="successes and failures are written as a share of the trials",
            do=_as_share(formula, columns, [term.name() for term in left]),
        )
    if len(left) != 1 or len(left[0].factors) != 1:
        raise FormulaError("the formula needs one outcome on its left side.", formula=formula, do=_EXAMPLE)
    right = model.rhs_termlist
    return Terms(
        formula,
        left[0].factors[0].name(),
        tuple(term.name() for term in right),
        tuple(tuple(factor.name() for factor in term.factors) for term in right),
    )


def nodes_of(formula: str) -> Iterator[Any]:
    """Every node of a formula as patsy parses it, the outermost first."""
    waiting = [parse_formula(formula)]
    while waiting:
        yield waiting[0]
        waiting[:1] = waiting[0].args


def _refuse_vast(formula: FileText) -> None:
    """Refuse a formula from a file that patsy would take long to expand: a product of many terms, a power of them."""
    fact = ""
    if len(formula) > _LONGEST or len(_OPERATOR.findall(formula)) > _OPERATORS:
        fact = f"a formula of the file has {len(formula)} characters: {formula!r:.60}."
    else:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(usual + 3 * len(_OPERATOR.findall(formula)))
        try:
            most = _terms_at_most(parse_formula(formula))
        except (patsy.PatsyError, SyntaxError):
            return  # as parse will say
        finally:
            sys.setrecursionlimit(usual)
        if most > _EXPANDED:
            fact = f"a formula of the file has more than {_EXPANDED} terms: {formula!r:.60}."
    if fact:
        raise StorageError(
            f"{fact} Nothing of it was evaluated.", do='imp.save("study.mifit")  # of a smaller analysis'
        )


def _terms_at_most(node: Any) -> float:
    """How many terms a formula, or a part of one, has before equal ones are taken together; at most."""
    sides = [_terms_at_most(one) for one in node.args]
    if node.type == "~":
        return sum(sides)
    if not sides or len(sides) == 1:
        return max(sides, default=1.0)
    left, right = min(sides[0], 1e9), min(sides[1], 1e9)
    if node.type == "**":
        number = node.args[1].token.extra if node.args[1].token else ""
        powers = min(float(number) if number.isdecimal() else 1.0, left, 40.0)
        return float(sum(left**k for k in range(1, int(powers) + 1)))
    return left + right + (left * right if node.type in ("*", ":", "/") else 0.0)


def _as_share(formula: str, columns: Iterable[Hashable], codes: Sequence[str]) -> str:
    """The call that analyses counts of successes and failures."""
    names = [take_apart(code, columns).variables[:1] or (code,) for code in codes]
    hits, misses = (f"df[{name!r}]" for (name,) in names)
    leave = {name: "leave" for (name,) in names}
    share = "share ~ " + formula.partition("~")[2].strip()
    wide = f"df.assign(trials={hits} + {misses}, share={hits} / ({hits} + {misses}))"
    family = Code("sm.families.Binomial()")
    made = call(f"{wide}.mice.impute", share, model="glm", family=family, var_weights="trials", methods=leave)
    return made.in_place_of(formula)


@lru_cache(maxsize=64)
def described(formula: str) -> patsy.ModelDesc:
    """A formula as patsy describes it, however many terms it has: patsy goes three calls deeper with each of them."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(usual + 3 * len(_OPERATOR.findall(formula)))
    try:
        return patsy.ModelDesc.from_formula(formula)
    finally:
        sys.setrecursionlimit(usual)


def _advice(formula: str, columns: Iterable[Hashable]) -> dict[str, str]:
    """What an error says when a formula does not parse: which column must be quoted, if one does."""
    spelled = quoted(formula, columns)
    if spelled == formula:
        return {"do": _EXAMPLE}
    return {
        "spelling": "a name that is no word of Python is written Q('...')",
        "do": call("df.mice.impute", spelled).in_place_of(formula),
    }


def quoted(formula: str, columns: Iterable[Hashable]) -> str:
    """The formula with ``Q('...')`` around columns whose names are no Python names.

    Examples
    --------
    >>> quoted("y ~ class + sys bp (mmHg)", ["y", "class", "sys bp (mmHg)"])
    "y ~ Q('class') + Q('sys bp (mmHg)')"
    """
    odd = [n for n in columns if isinstance(n, str) and code_of(n) != n and n not in ("C", "Q", "I")]
    odd = [re.escape(n) for n in sorted(odd, key=len, reverse=True) if any(letter.isalpha() for letter in n)]
    if not odd:
        return formula
    pattern = rf"Q\((?:'[^']*'|\"[^\"]*\")\)|(?<![\w.])(?:{'|'.join(odd)})(?![\w.])"
    return re.sub(pattern, lambda found: found[0] if found[0].startswith("Q(") else f"Q({found[0]!r})", formula)


def _check_code(factor: Any, advice: dict[str, str]) -> None:
    """Refuse a piece that is no Python expression: patsy would find out only when it evaluates it."""
    try:
        ast.parse(factor.code, mode="eval")
    except SyntaxError as error:
        place = "\n" + factor.origin.caretize(indent=2)
        raise FormulaError(f"the formula does not parse: {error.msg}{place}", **advice) from None
    except (RecursionError, MemoryError):
        fact = f"the formula is nested deeper than Python reads: {factor.code:.60}..."
        raise FormulaError(fact, **advice) from None


def take_apart(code: str, columns: Iterable[Hashable]) -> Pieces:
    """Find the columns, functions and other names in one piece of a formula.

    Examples
    --------
    >>> take_apart("np.log(x + Q('a b'))", ["x", "a b"])
    Pieces(variables=('x', 'a b'), called=('np',), free=())
    """
    known = columns if isinstance(columns, Mapping) else set(columns)
    names, called = _names_in(code)
    variables = tuple(dict.fromkeys(name for name in names if name in known))
    return Pieces(variables, called, tuple(dict.fromkeys(str(name) for name in names if name not in known)))


@lru_cache(maxsize=1024)
def _names_in(code: str) -> tuple[tuple[Hashable, ...], tuple[str, ...]]:
    """Names in a piece of a formula that stand for values, in order; names that are called."""
    try:
        tree = ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = str(error).partition("(")[0].strip() or type(error).__name__
        raise FormulaError(f"{code!r:.80} is no expression: {said}.", do=_EXAMPLE) from None
    plain: list[tuple[int, Hashable]] = [(node.col_offset, node.id) for node in _bare(tree)]
    called: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Q" and node.args:
            plain.append((node.col_offset, _literal(node.args[0])))
        elif isinstance(node, ast.Call | ast.Attribute):
            called.append(_base(node.func if isinstance(node, ast.Call) else node) or "")
    names = tuple(name for _, name in sorted(plain, key=lambda pair: pair[0]))
    return names, tuple(dict.fromkeys(filter(None, called)))


def code_of(name: Hashable) -> str:
    """How a formula spells a column.

    Examples
    --------
    >>> code_of("bmi"), code_of("alk.phos")
    ('bmi', "Q('alk.phos')")
    """
    if isinstance(name, str) and name.isidentifier() and name not in _RESERVED:
        return name
    return f"Q({name!r})"


_EXAMPLE = call("df.mice.impute", "y ~ x1 + x2")
_OPERATOR = re.compile(r"[-+*/:~^]")
_LONGEST = 100_000  # characters of a formula from a file
_OPERATORS = 5_000
_EXPANDED = 20_000  # terms
_RESERVED = frozenset({*keyword.kwlist, "C", "Q", "I"})


def in_pandas(code: str, columns: Iterable[Hashable]) -> str:
    """An expression of a formula as a user computes it on the frame.

    Examples
    --------
    >>> in_pandas("I(y / Q('body mass'))", ["y", "body mass"])
    "df['y'] / df['body mass']"
    """
    known = set(columns)

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return _of_frame(node.id) if node.id in known else node

        def visit_Call(self, node: ast.Call) -> ast.AST:
            called = getattr(node.func, "id", "")
            if called == "Q" and node.args:
                return _of_frame(_literal(node.args[0]))
            self.generic_visit(node)
            if called == "I" and node.args:
                return node.args[0]
            if called in ("center", "standardize", "scale") and node.args:
                return _scaled(node, called)
            if called in patsy.builtins.__all__:
                node.func = ast.Attribute(ast.Name("patsy"), called)
            return node

    return ast.unparse(ast.fix_missing_locations(Put().visit(ast.parse(code, mode="eval"))))


def _scaled(node: ast.Call, called: str) -> ast.AST:
    """A column less its mean, over its standard deviation, as pandas computes them from what is observed."""
    given = {str(k.arg): ast.unparse(k.value) for k in node.keywords}
    order = ("center", "rescale", "ddof")
    given.update(zip(order, map(ast.unparse, node.args[1:]), strict=False))
    inner, ddof = ast.unparse(node.args[0]), given.get("ddof", "0")
    whole = inner if isinstance(node.args[0], ast.Subscript | ast.Call) else f"({inner})"
    made = whole if given.get("center", "True") == "False" else f"({whole} - {whole}.mean())"
    if called != "center" and given.get("rescale", "True") != "False":
        made = f"{made} / {whole}.std(ddof={ddof})"
    return ast.parse(made, mode="eval").body


def _of_frame(name: Hashable) -> ast.expr:
    """A column of df."""
    return ast.Subscript(ast.Name("df"), ast.Constant(name))  # type: ignore[arg-type]


def _literal(node: ast.AST) -> Hashable:
    """The name inside a Q(): a string, a number, a tuple; anything else as its code."""
    try:
        found: Hashable = ast.literal_eval(ast.unparse(node))
        return found
    except ValueError:
        return ast.unparse(node)


def _base(node: ast.AST) -> str | None:
    """The first name of ``np.linalg.norm`` or ``f``."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _bare(tree: ast.AST) -> list[ast.Name]:
    """Names that stand for values: neither called nor the head of an attribute."""
    not_columns = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            not_columns.add(id(node.func))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            not_columns.add(id(node.value))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in not_columns]

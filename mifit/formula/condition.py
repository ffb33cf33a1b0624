"""Conditions: which rows an expression of other columns selects, such as ``smoker == 'yes'``."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import patsy

from ..errors import FormulaError, MifitError
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from ..typing import Array
from .evaluate import environment
from .question import capture
from .source import sourced
from .terms import take_apart

__all__ = ["Condition", "condition"]


@dataclass(frozen=True)
class Condition:
    """An expression that is true or false in every row."""

    code: str
    variables: tuple[Hashable, ...]
    names: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, table: Table, values: Mapping[Hashable, Array]) -> npt.NDArray[np.bool_]:
        """Where it is true, shape (n,); false where one of its columns is missing.

        Parameters
        ----------
        table : Table
            How values are to be read.
        values : mapping
            Column -> values or level codes, each (n,); those of the condition's columns are looked at, numbers of a
            whole dtype as a completed set has them.
        """
        missing = np.any([np.isnan(values[v]) for v in self.variables], axis=0)
        rows = np.flatnonzero(~missing)
        found = np.zeros(len(missing), dtype=bool)
        data = {v: _seen(table[v], values[v][rows]) for v in self.variables}
        env = environment(self.names, {"Q": patsy.builtins.Q})
        try:
            with np.errstate(all="ignore"):
                truth = np.asarray(env.eval(self.code, inner_namespace=data))
            found[rows] = np.broadcast_to(truth, rows.shape).astype(bool)
        except MifitError:
            raise
        except Exception as error:
            both = "; join conditions by & and |, each in parentheses" if "ambiguous" in str(error) else ""
            raise FormulaError(
                f"the condition {self.code!r} cannot be evaluated: {error}{both}.", do=_example(self.variables)
            ) from error
        return found


def condition(code: Any, table: Table, scope: Mapping[str, Any], word: str) -> Condition:
    """Understand a condition.

    Parameters
    ----------
    code : str
        An expression of columns: ``"smoker == 'yes'"``, ``"(age >= 18) & (sex == 'f')"``.
    table : Table
    scope : mapping
        Where other names are looked up.
    word : str
        The word of ``impute`` it stands in, for errors.

    Returns
    -------
    Condition

    Raises
    ------
    FormulaError
        If it is no expression, or names no column.
    """
    example = _example(list(table.columns)[:1])
    if not isinstance(code, str):
        raise FormulaError(f"{word} wants a condition in words, not {type(code).__name__}.", do=example)
    code = sourced(" ".join(code.split()), code)
    try:
        tree = ast.parse(code, mode="eval")
        plain = ast.unparse(_Plain(table).visit(ast.parse(code, mode="eval")))
        changed = ast.unparse(tree) != plain
    except SyntaxError as error:
        raise FormulaError(f"{word} does not parse: {error.msg}.", condition=code, do=example) from None
    except (RecursionError, MemoryError):
        fact = f"{word} is nested deeper than Python reads."
        raise FormulaError(fact, condition=f"{code:.60}...", do=example) from None
    except ValueError as error:  # null or half a character
        raise FormulaError(f"{word} does not parse: {error}.", condition=repr(code), do=example) from None
    code = sourced(plain, code) if changed else code
    names = capture(code, table, scope, code)
    variables = take_apart(code, table.columns).variables
    if not variables:
        raise FormulaError(f"{word} names no column.", condition=code, do=example)
    for name in variables:
        if table[name].kind is Kind.OTHER:
            fact = f"{word} looks at {name!r}, which {table[name].coding.problem}."
            raise FormulaError(fact, condition=code, do=example)
    return Condition(code, variables, names)


class _Plain(ast.NodeTransformer):
    """Membership in a list, lying between two values, and the words of Python, as operations on whole columns.

    What is true of one value is asked of every row: ``and``, ``or`` and ``not`` become ``&``, ``|`` and ``~``.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """``x > 1 and g == 'a'``."""
        self.generic_visit(node)
        sign = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        return _joined([self._truth(one) for one in node.values], sign)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """``not x > 1``."""
        self.generic_visit(node)
        return ast.UnaryOp(ast.Invert(), self._truth(node.operand)) if isinstance(node.op, ast.Not) else node

    def _truth(self, node: ast.expr) -> ast.expr:
        """A side of ``and``; a column of numbers is true where it is not 0."""
        quoted = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Q" and len(node.args) == 1
        name = getattr(node.args[0], "value", None) if quoted else getattr(node, "id", None)  # type: ignore[attr-defined]
        if name in self.table and self.table[name].number:
            return ast.Compare(node, [ast.NotEq()], [ast.Constant(0)])
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """``x.isin([1, 2])`` and ``x.between(1, 2)``."""
        self.generic_visit(node)
        word, given = getattr(node.func, "attr", ""), node.args
        if not isinstance(node.func, ast.Attribute) or node.keywords:
            return node
        if word == "isin" and len(given) == 1 and isinstance(given[0], ast.List | ast.Tuple | ast.Set):
            return _one_of(node.func.value, given[0].elts)
        if word == "between" and len(given) == 2:
            ends = zip((ast.GtE(), ast.LtE()), given, strict=True)
            low, high = (ast.Compare(node.func.value, [sign], [end]) for sign, end in ends)
            return ast.BinOp(low, ast.BitAnd(), high)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """``x in [1, 2]`` and ``x not in [1, 2]``."""
        self.generic_visit(node)
        listed = node.comparators[0]
        if len(node.ops) > 1:  # 0 < x < 5
            sides = [node.left, *node.comparators]
            each = zip(sides, node.ops, sides[1:], strict=False)
            return _joined([ast.Compare(left, [sign], [right]) for left, sign, right in each], ast.BitAnd())
        if not isinstance(listed, ast.List | ast.Tuple | ast.Set):
            return node
        if isinstance(node.ops[0], ast.In):
            return _one_of(node.left, listed.elts)
        if isinstance(node.ops[0], ast.NotIn):
            return ast.UnaryOp(ast.Invert(), _one_of(node.left, listed.elts))
        return node


def _joined(conditions: list[ast.expr], sign: ast.operator) -> ast.expr:
    """Conditions joined by one sign."""
    found = conditions[0]
    for one in conditions[1:]:
        found = ast.BinOp(found, sign, one)
    return found


def _one_of(value: ast.expr, listed: list[ast.expr]) -> ast.expr:
    """Whether a value is one of some."""
    found: ast.expr | None = None
    for one in listed:
        same = ast.Compare(value, [ast.Eq()], [one])
        found = same if found is None else ast.BinOp(found, ast.BitOr(), same)
    return ast.Compare(value, [ast.NotEq()], [value]) if found is None else found


def _seen(column: Column, values: Array) -> Any:
    """What the expression sees of a column: whole numbers are rounded, as they will be in the completed set."""
    return column.coding.view(column.completed(values))


def _example(names: Any) -> str:
    """A condition as it may be written."""
    shown = next(iter(names), "smoker")
    return f"df.query({str(shown) + ' == ...'!r})  # an expression that is true or false in every row"

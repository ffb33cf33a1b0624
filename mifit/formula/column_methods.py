"""Arithmetic and methods of columns in a formula, ``x - x.mean()``: said as a formula says them, or refused."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import patsy

from ..errors import FormulaError, call
from ..frame.kinds import Kind
from ..frame.table import Column
from .column_code import of_expression, with_outcome
from .model_facts import MODEL_OF_LEVELS, MODEL_OF_ORDERED_LEVELS
from .terms import Terms, code_of, nodes_of, take_apart

__all__ = ["centred", "no_number", "refuse_subtraction", "replaced", "without_method"]

_FEW_LEVELS = 10  #: of a number, up to which its values may be levels
#: methods of a column that give each row a value of its own -> numpy's function
_ELEMENTWISE = {"clip": "clip", "abs": "abs", "round": "round", "pow": "power", "add": "add", "sub": "subtract"}


def centred(code: str) -> str:
    """A piece of a formula that centres or standardizes an expression, as the transform that learns its mean once.

    Examples
    --------
    >>> centred("I(x - x.mean())"), centred("(x - np.mean(x)) / x.std()"), centred("I(x / x.mean())")
    ('center(x)', 'standardize(x, ddof=1)', '')
    """
    tree = ast.parse(code, mode="eval").body
    if isinstance(tree, ast.Call) and getattr(tree.func, "id", "") == "I" and len(tree.args) == 1:
        tree = tree.args[0]
    spread = ""
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div):
        of, spread = _statistic(tree.right)
        if spread not in ("std", "np.std"):
            return ""
        tree = tree.left
    else:
        of = None
    if not (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Sub)):
        return ""
    column, (mean_of, mean) = ast.unparse(tree.left), _statistic(tree.right)
    if mean not in ("mean", "np.mean") or mean_of != column or of not in (None, column):
        return ""
    return {"": f"center({column})", "std": f"standardize({column}, ddof=1)"}.get(spread, f"standardize({column})")


def refuse_subtraction(formula: str, columns: Iterable[Hashable]) -> None:
    """Refuse ``y ~ x - z`` where no term is z: a formula's minus takes terms away, and would take none away here."""
    tilde = formula.find("~")
    for node in nodes_of(formula) if "-" in formula else ():
        if node.type != "-" or len(node.args) != 2:
            continue
        outcome = node.origin.start < tilde
        whole, taken = (patsy.ModelDesc.from_formula(f"~ 0 + {_text(one)}").rhs_termlist for one in node.args)
        if outcome or not {*taken} - {patsy.INTERCEPT} <= {*whole}:
            fact = "takes nothing away from an outcome" if outcome else "takes away a term that is not there"
            raise FormulaError(
                f"'- {_text(node.args[1])}' {fact}: arithmetic stands within I().",
                formula=formula,
                do=_as_outcome(formula, columns) if outcome else _as_difference(formula, node),
            )


def no_number(terms: Terms, column: Column, why: str) -> FormulaError:
    """The refusal of a left side that is no number for each row, such as ``C(y)``: the column itself is analysed."""
    right = terms.formula.partition("~")[2].strip()
    levels = len(np.unique(column.values[column.observed]))
    of_levels = MODEL_OF_ORDERED_LEVELS if column.kind is Kind.ORDINAL else MODEL_OF_LEVELS
    model = {} if levels == 2 or (column.number and levels > _FEW_LEVELS) else {"model": of_levels}
    return FormulaError(
        f"the left side {terms.outcome!r} is not one number for each row ({why}).",
        formula=terms.formula,
        reason="a category is named as it is; the model says what is done with it",
        do=call("df.mice.impute", f"{code_of(column.name)} ~ {right}", **model).in_place_of(terms.formula),
    )


def _as_outcome(formula: str, columns: Iterable[Hashable]) -> str:
    """The lines that make a column of the left side, and analyse it."""
    known = list(columns)
    left = formula.partition("~")[0].strip()
    return with_outcome(of_expression(left, known), formula, known, {}, take_apart(left, known).variables)


def _as_difference(formula: str, node: Any) -> str:
    """The call whose formula takes the difference of numbers, centres them where it is one from their mean."""
    last = node.args[0]
    while last.type in ("+", "-") and len(last.args) == 2:
        last = last.args[1]
    start, end = last.origin.start, node.origin.end
    meant = centred(formula[start:end]) or f"I({formula[start:end]})"
    return call("df.mice.impute", f"{formula[:start]}{meant}{formula[end:]}").in_place_of(formula)


def without_method(code: str, node: ast.Attribute) -> str:
    """A piece of a formula with numpy's function in place of a column's method; empty where it is none of one row.

    Examples
    --------
    >>> without_method("np.log(x.clip(1))", ast.parse("x.clip", mode="eval").body)
    'np.log(np.clip(x, 1, None))'
    """
    if found := centred(code):
        return found
    name = ast.unparse(node)

    class Said(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.AST:
            self.generic_visit(call)
            if ast.unparse(call.func) != name or node.attr not in _ELEMENTWISE:
                return call
            given = list(call.args)
            if node.attr == "clip":
                named = {one.arg: one.value for one in call.keywords}
                limits = [*given, *[ast.Constant(None)] * 2][:2]
                given = [named.get(word, limit) for word, limit in zip(("lower", "upper"), limits, strict=True)]
            called = ast.Attribute(ast.Name("np"), _ELEMENTWISE[node.attr])
            return ast.Call(called, [node.value, *given], [])

    made = ast.unparse(ast.fix_missing_locations(Said().visit(ast.parse(code, mode="eval"))))
    return made if name not in made else ""


def replaced(formula: str, code: str, meant: str) -> str:
    """A formula with another piece in place of one.

    Examples
    --------
    >>> replaced("y ~ I(x-x.mean()) + z", "I(x - x.mean())", "center(x)")
    'y ~ center(x) + z'
    """
    for node in nodes_of(formula):
        if node.type == "PYTHON_EXPR" and patsy.EvalFactor(node.token.extra).code == code:
            return f"{formula[: node.origin.start]}{meant}{formula[node.origin.end :]}"
    return formula.replace(code, meant)


def _statistic(node: ast.AST) -> tuple[str, str]:
    """The expression and the name of a statistic of it: of ``x.mean()`` and ``np.mean(x)``; empty where it is none."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.keywords:
        return "", ""
    of, name = node.func.value, node.func.attr
    if ast.unparse(of) in ("np", "numpy"):
        return (ast.unparse(node.args[0]), f"np.{name}") if len(node.args) == 1 else ("", "")
    return (ast.unparse(of), name) if not node.args else ("", "")


def _text(node: Any) -> str:
    """A part of a formula as it was written."""
    return str(node.origin.code[node.origin.start : node.origin.end])

"""Queries: the rows an analysis is asked of, as a piece of a formula."""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import FormulaError
from .terms import code_of, parse, take_apart

__all__ = ["as_factor", "crossed", "named_in", "widened_by"]


def named_in(query: str, columns: Iterable[Hashable]) -> tuple[Hashable, ...]:
    """Columns that a query names; all of them where it does not parse as one expression.

    Examples
    --------
    >>> named_in("age > 50 and `sys bp` < @limit", ["age", "sex", "sys bp"])
    ('age', 'sys bp')
    """
    columns = list(columns)
    try:
        return take_apart(_spelled(query, {}, lambda name: "None"), columns).variables
    except (SyntaxError, ValueError, FormulaError):
        return tuple(columns)


def as_factor(query: str, columns: Iterable[Hashable], names: Mapping[str, Any]) -> str | None:
    """A query as a factor of a formula, true in its rows; None where a formula cannot say it.

    Parameters
    ----------
    query : str
        As ``DataFrame.query`` reads it.
    columns : iterable of hashable
        Columns of the frame.
    names : mapping
        Where ``@name`` is looked up.

    Returns
    -------
    str or None

    Examples
    --------
    >>> as_factor("age > 50 and sex == 'f'", ["age", "sex"], {})
    "I((age > 50) & (sex == 'f'))"
    """
    columns = list(columns)
    try:
        tree = ast.parse(_spelled(query, names, repr), mode="eval")
        said = _said(tree.body, set(map(str, columns)))
        code = parse(f"outcome ~ I({said})").codes[-1]
        return code if take_apart(code, columns).variables and not take_apart(code, columns).free else None
    except (SyntaxError, ValueError, KeyError):
        return None


def widened_by(formula: str, factors: Iterable[str]) -> str:
    """A formula in which every term, the constant too, may differ by some factors.

    Examples
    --------
    >>> widened_by("y ~ x + z", ["g"])
    'y ~ x + z + g + x:g + z:g'
    """
    terms = parse(formula)
    parts = [":".join(one) for one in terms.factors if one]
    constant = "Intercept" in terms.codes
    crosses = [":".join(some) for some in _subsets(list(factors))]
    wide = [*parts, *(crosses if constant else []), *(f"{part}:{cross}" for cross in crosses for part in parts)]
    if not constant:
        wide = ["0", *parts, *crosses, *wide[len(parts) :]]
    return f"{terms.outcome} ~ {' + '.join(wide)}"


def crossed(formula: str, variables: Iterable[Hashable]) -> str:
    """A formula in which every term interacts with some columns and their products."""
    return widened_by(formula, [code_of(name) for name in variables])


def _subsets(factors: list[str]) -> list[list[str]]:
    """All subsets but the empty one, small ones first."""
    found: list[list[str]] = [[]]
    for one in factors:
        found += [[*some, one] for some in found]
    return sorted(found[1:], key=len)


def _spelled(query: str, names: Mapping[str, Any], shown: Any) -> str:
    """A query in Python's words: backticks as Q(), values from outside written out."""
    query = re.sub(r"`([^`]*)`", lambda found: code_of(found[1]), query.strip().replace("\n", " "))

    def outside(found: re.Match[str]) -> str:
        value: Any = names.get(found[1])
        value = value.item() if np.ndim(value) == 0 and hasattr(value, "item") else value
        if shown is repr and not isinstance(value, bool | int | float | str | list | tuple):
            raise ValueError(found[1])
        return str(shown(value))

    return re.sub(r"@(\w+)", outside, query)


def _said(node: ast.AST, columns: set[str]) -> str:
    """One node of a query as an expression over arrays."""
    if isinstance(node, ast.BoolOp) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr)):
        parts = node.values if isinstance(node, ast.BoolOp) else [node.left, node.right]
        sign = " & " if isinstance(node.op, ast.And | ast.BitAnd) else " | "
        return sign.join(f"({_said(part, columns)})" for part in parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        return f"({_said(node.operand, columns)}) == False"
    if isinstance(node, ast.Compare):
        return _compared(node)
    if isinstance(node, ast.Name | ast.Call) and ast.unparse(node).startswith(("Q(", *columns)):
        return f"{ast.unparse(node)} == True"
    raise ValueError(ast.unparse(node))


def _compared(node: ast.Compare) -> str:
    """A comparison, a chain of them, or membership in a list."""
    sides, pairs = [node.left, *node.comparators], []
    for left, sign, right in zip(sides, node.ops, sides[1:], strict=False):
        listed = right.elts if isinstance(right, ast.List | ast.Tuple) else None
        ordered = isinstance(sign, ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        text = [one for one in (left, right) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if (ordered and text) or not all(_plain(one) for one in (left, *(listed or [right]))):
            raise ValueError(ast.unparse(node))
        if listed is None and isinstance(sign, ast.In | ast.NotIn):
            raise ValueError(ast.unparse(node))
        if listed is None:
            one = ast.unparse(ast.Compare(left, [sign], [right]))
            pairs.append(one)
            continue
        among = " | ".join(f"({ast.unparse(left)} == {ast.unparse(one)})" for one in listed) or "False"
        pairs.append(among if isinstance(sign, ast.In | ast.Eq) else f"({among}) == False")
    return pairs[0] if len(pairs) == 1 else " & ".join(f"({pair})" for pair in pairs)


def _plain(node: ast.AST) -> bool:
    """Whether a side is arithmetic of columns and numbers: no method, no text of a column."""
    allowed = (ast.Name, ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
    return all(
        isinstance(one, allowed) or (isinstance(one, ast.Call) and getattr(one.func, "id", "") == "Q")
        for one in ast.walk(node)
    )

"""In which of its columns an expression is linear."""

from __future__ import annotations

import ast
import functools
from collections.abc import Hashable, Sequence

__all__ = ["additive_in", "linear_in"]


def linear_in(code: str, columns: Sequence[Hashable]) -> frozenset[Hashable]:
    """Find the columns in which an expression is linear while the others are held.

    Parameters
    ----------
    code : str
    columns : sequence of hashable

    Returns
    -------
    frozenset of hashable

    Examples
    --------
    >>> sorted(linear_in("wgt / (hgt/100)**2 - 2 * (a + b) * c", ["wgt", "hgt", "a", "b", "c"]))
    ['a', 'b', 'c', 'wgt']
    """
    tree = ast.parse(code.strip(), mode="eval").body
    return frozenset(name for name in columns if _degree(tree, name) == 1)


@functools.cache
def additive_in(code: str) -> frozenset[Hashable]:
    """Find the columns that an expression adds or subtracts as they stand: its slope in each is 1 or -1.

    Examples
    --------
    >>> sorted(additive_in("a - (b + I(c)) + 2 * d"))
    ['a', 'b', 'c']
    """
    found: list[Hashable] = []

    def add(node: ast.AST) -> None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            add(node.left)
            add(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
            add(node.operand)
        elif isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
            inner = node.args[0]
            if node.func.id == "Q" and isinstance(inner, ast.Constant) and isinstance(inner.value, Hashable):
                found.append(inner.value)
            elif node.func.id == "I":
                add(inner)

    tree = ast.parse(code.strip(), mode="eval").body
    add(tree)
    return frozenset(name for name in found if sum(_is(node, name) for node in ast.walk(tree)) == 1)


def _degree(node: ast.AST, name: Hashable) -> int | None:
    """0 without the column, 1 linear in it, None otherwise."""
    if _is(node, name):
        return 1
    if not any(_is(inner, name) for inner in ast.walk(node)):
        return 0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        return _degree(node.operand, name)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "I" and len(node.args) == 1:
        return _degree(node.args[0], name)
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _degree(node.left, name), _degree(node.right, name)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Add | ast.Sub):
        return max(left, right)
    if isinstance(node.op, ast.Mult) and left + right == 1:
        return 1
    return left if isinstance(node.op, ast.Div) and right == 0 else None


def _is(node: ast.AST, name: Hashable) -> bool:
    """Whether a piece of an expression is a column, as it stands or in Q()."""
    if isinstance(node, ast.Name):
        return node.id == name
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Q"
    return called and any(isinstance(a, ast.Constant) and a.value == name for a in node.args)  # type: ignore[attr-defined]

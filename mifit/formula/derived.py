"""Derived columns: known functions of other columns, such as a body mass index, kept in step with them."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import patsy

from ..errors import DataError, FormulaError
from ..frame.kinds import Array
from ..frame.table import Table
from .question import capture, resolve
from .terms import code_of, take_apart

__all__ = ["Derived", "solve", "substitute", "understand"]

_ROUNDED = 0.01  # a derived value may differ from its expression by this share of its spread: it was rounded


@dataclass(frozen=True)
class Derived:
    """One derived column."""

    name: Hashable
    code: str  #: its expression, derived parents replaced by theirs
    parents: tuple[Hashable, ...]
    names: Mapping[str, Any] = field(default_factory=dict)

    def value(self, data: Mapping[Hashable, Array]) -> Array:
        """The expression on any rows, shape (n,); NaN where a parent is missing."""
        env = patsy.EvalEnvironment([{**resolve(self.names), "Q": patsy.builtins.Q}])
        with np.errstate(all="ignore"):
            found = env.eval(self.code, inner_namespace={p: data[p] for p in self.parents})
        size = len(data[self.parents[0]])
        return np.array(np.broadcast_to(np.asarray(found, dtype=np.float64), (size,)))


def understand(wishes: Mapping[Hashable, str], table: Table, scope: Mapping[str, Any]) -> tuple[Derived, ...]:
    """Check the expressions of derived columns and put parents before children.

    Parameters
    ----------
    wishes : mapping
        Column -> expression: ``{"bmi": "wgt / (hgt/100)**2"}``.
    table : Table
    scope : mapping
        Where functions are looked up.

    Returns
    -------
    tuple of Derived
        Expressions of derived parents are written out, so that every parent is a plain column.

    Raises
    ------
    FormulaError
        If an expression does not parse, names what is not there, or columns derive from each other in a circle.
    """
    codes: dict[Hashable, str] = {}
    for name, code in wishes.items():
        table.require(name, "derived=")
        try:
            ast.parse(str(code), mode="eval")
        except SyntaxError as error:
            raise FormulaError(
                f"derived={{{name!r}: ...}} does not parse: {error.msg}.",
                expression=code,
                do='df.mice.impute(formula, derived={"bmi": "wgt / (hgt/100)**2"})',
            ) from None
        codes[name] = str(code)
    found = []
    for name in codes:
        code = _written_out(name, codes, ())
        captured = capture(code, table, scope, code)
        parents = take_apart(code, table.columns).variables
        for parent in parents:
            if not table[parent].number:
                raise FormulaError(
                    f"{name!r} derives from {parent!r}, which is no number.",
                    expression=code,
                    do=f"df[{parent!r}] = df[{parent!r}].astype('float64')",
                )
        found.append(Derived(name, code, parents, captured))
    return tuple(found)


def _written_out(name: Hashable, codes: Mapping[Hashable, str], above: tuple[Hashable, ...]) -> str:
    """An expression with derived parents replaced by theirs."""
    if name in above:
        circle = " -> ".join(map(str, (*above, name)))
        raise FormulaError(
            f"derived columns go round in a circle: {circle}.", do="derived={...}  # without one of them"
        )
    others = {
        other: _written_out(other, codes, (*above, name))
        for other in codes
        if other in take_apart(codes[name], codes).variables
    }
    return _replaced(codes[name], others, inside=True)


def substitute(formula: str, derived: Sequence[Derived]) -> str:
    """A formula with derived columns on its right side written as expressions of their parents.

    Examples
    --------
    >>> bmi = Derived("bmi", "wgt / hgt**2", ("wgt", "hgt"))
    >>> substitute("y ~ age * bmi + np.log(bmi)", [bmi])
    'y ~ age * I(wgt / hgt**2) + np.log((wgt / hgt**2))'
    """
    left, tilde, right = formula.partition("~")
    return left + tilde + _replaced(right, {one.name: one.code for one in derived}, inside=False)


def _replaced(code: str, codes: Mapping[Hashable, str], inside: bool) -> str:
    """Replace names in a piece of a formula; what stands outside any call is wrapped in I()."""
    spelled = {code_of(name): expression for name, expression in codes.items()}
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.string]
    calls: list[bool] = []
    pieces: list[tuple[int, int, str]] = []
    skip = -1
    for position, token in enumerate(tokens):
        if position <= skip:
            continue
        before, after = (tokens[p].string if 0 <= p < len(tokens) else "" for p in (position - 1, position + 1))
        if token.string in "([{":
            calls.append(token.string != "(" or (position > 0 and tokens[position - 1].type == tokenize.NAME))
        elif token.string in ")]}":
            calls = calls[:-1]
        elif token.type == tokenize.NAME and before != ".":
            end = position
            if token.string == "Q" and after == "(" and position + 3 < len(tokens):
                end = position + 3
            written = code[token.start[1] : tokens[end].end[1]]
            known = spelled.get(written.replace('"', "'"))
            if known is not None and (end > position or after != "("):
                wrap = "(" if inside or any(calls) else "I("
                pieces.append((token.start[1], tokens[end].end[1], f"{wrap}{known})"))
                skip = end
    for start, stop, text in reversed(pieces):
        code = code[:start] + text + code[stop:]
    return code


def solve(derived: Sequence[Derived], table: Table) -> tuple[dict[Hashable, Array], list[str]]:
    """Find what derived columns and their parents tell about each other's holes.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table

    Returns
    -------
    known : dict
        Column -> values, shape (n,), with more holes filled: a derived cell whose parents are observed, a parent
        whose derived column and other parents are.
    events : list of str

    Raises
    ------
    DataError
        If an observed derived value contradicts its expression.
    """
    names = dict.fromkeys(n for one in derived for n in (one.name, *one.parents))
    values = {name: _numbers(table, name) for name in names}
    events: list[str] = []
    for one in derived:
        for parent in one.parents:
            others = [p for p in one.parents if p != parent]
            known = ~np.isnan(values[one.name]) & np.isnan(values[parent])
            known &= ~np.any([np.isnan(values[p]) for p in others], axis=0) if others else True
            rows = np.flatnonzero(known)
            if len(rows):
                solved = _solve(one, parent, {v: values[v][rows] for v in (*one.parents, one.name)}, values[parent])
                good = np.isfinite(solved)
                values[parent][rows[good]] = solved[good]
                events.append(f"{parent!r}: {good.sum()} holes follow from {one.name!r}")
    for one in derived:
        computed = one.value(values)
        _refuse_contradiction(one, values[one.name], computed)
        rows = np.flatnonzero(np.isnan(values[one.name]) & np.isfinite(computed))
        values[one.name][rows] = computed[rows]
    return {name: _coded(table, name, numbers) for name, numbers in values.items()}, events


def _numbers(table: Table, name: Hashable) -> Array:
    """A column as numbers, shape (n,); NaN where missing."""
    column = table[name]
    found = column.values.copy()
    known = np.flatnonzero(~np.isnan(found))
    found[known] = column.numbers(found[known])
    return found


def _coded(table: Table, name: Hashable, numbers: Array) -> Array:
    """Numbers as the table keeps them: level codes of a rating scale; a number that is no level stays a hole."""
    column = table[name]
    if not column.kind.discrete:
        return numbers
    levels = np.asarray(column.coding.levels, dtype=np.float64)
    codes = np.full(len(numbers), np.nan)
    known = np.flatnonzero(~np.isnan(numbers))
    nearest = np.abs(numbers[known, None] - levels).argmin(axis=1)
    close = np.isclose(numbers[known], levels[nearest], rtol=1e-6)
    codes[known[close]] = nearest[close]
    return codes


def _refuse_contradiction(one: Derived, observed: Array, computed: Array) -> None:
    """An observed derived value agrees with its expression, but for rounding."""
    both = np.flatnonzero(np.isfinite(observed) & np.isfinite(computed))
    if not len(both):
        return
    spread = float(np.std(observed[both])) or float(np.abs(observed[both]).max()) or 1.0
    far = both[np.abs(observed[both] - computed[both]) > _ROUNDED * spread]
    if len(far):
        row = int(far[0])
        raise DataError(
            f"column {one.name!r} contradicts {one.code!r} in {len(far)} rows.",
            row=f"{row}: {observed[row]:.6g} against {computed[row]:.6g}",
            do=f"df[{one.name!r}] = df.eval({one.code!r})",
        )


def _solve(one: Derived, parent: Hashable, data: Mapping[Hashable, Array], seen: Array) -> Array:
    """The parent's values that give the derived ones, by bisection between wide bounds; NaN where none is bracketed."""
    known = seen[np.isfinite(seen)]
    reach = (known.max() - known.min()) or max(abs(known.max()), 1.0)
    low, high = known.min() - 3 * reach, known.max() + 3 * reach
    if known.min() > 0:
        low = known.min() / 10
    target = data[one.name]

    def miss(x: Array) -> Array:
        return one.value({**{p: data[p] for p in one.parents}, parent: x}) - target

    left, right = np.full(len(target), low), np.full(len(target), high)
    at_left, at_right = miss(left), miss(right)
    bracketed = np.isfinite(at_left) & np.isfinite(at_right) & (np.sign(at_left) != np.sign(at_right))
    for _ in range(200):
        middle = 0.5 * (left + right)
        same = np.sign(miss(middle)) == np.sign(at_left)
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return np.where(bracketed, 0.5 * (left + right), np.nan)

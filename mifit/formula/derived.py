"""Derived columns: known functions of other columns, such as a body mass index, kept consistent with them."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import patsy

from ..errors import DataError, FormulaError, MifitError, call
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from ..typing import Array, Rows
from .column_code import numbers as as_numbers
from .evaluate import environment
from .question import capture
from .source import FileText, sourced
from .terms import code_of, in_pandas, take_apart

__all__ = ["Derived", "follow", "numbers", "solve", "solve_for", "spelled_out", "substitute", "understand"]

_ROUNDED = 0.02  # a derived value may differ from its expression by its last decimal and this share of its spread
_EXACT = 1e-6  # share by which values of a column that is exact in most rows may differ in the others
_GRID = 65  # points between which a parent is bracketed
_LEARNING = frozenset({*patsy.builtins.__all__} - {"Q", "I"})  # functions that learn from all rows
_LONGEST = 20_000  # characters of an expression, derived parents written out
_HALVINGS = 60  # of a bracket, down to the last bit


@dataclass(frozen=True)
class Derived:
    """One derived column."""

    name: Hashable
    code: str  #: its expression, derived parents replaced by theirs
    parents: tuple[Hashable, ...]
    names: Mapping[str, Any] = field(default_factory=dict)

    def value(self, data: Mapping[Hashable, Array]) -> Array:
        """The expression on any rows, shape (n,); NaN where a parent is missing."""
        values = self.unmasked(data)
        values[np.any([np.isnan(data[p]) for p in self.parents], axis=0)] = np.nan  # nan > 30 is False
        return values

    def unmasked(self, data: Mapping[Hashable, Array]) -> Array:
        """The same as Python has it where a parent is missing: ``nan > 30`` is False."""
        env = environment(self.names, {"Q": patsy.builtins.Q, "I": patsy.builtins.I})
        size = len(data[self.parents[0]])
        try:
            with np.errstate(all="ignore"):
                found = env.eval(self.code, inner_namespace={p: data[p] for p in self.parents})
            return np.array(np.broadcast_to(np.asarray(found, dtype=np.float64), (size,)))
        except MifitError:
            raise
        except Exception as error:  # whatever a function of the user's may raise
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise FormulaError(
                f"derived column {self.name!r} cannot be computed.",
                expression=self.code,
                said=said,
                do=f"df[{list(self.parents)!r}].dtypes   # one number for each row is needed",
            ) from error


def understand(options: Mapping[Hashable, str], table: Table, scope: Mapping[str, Any]) -> tuple[Derived, ...]:
    """Check the expressions of derived columns and put parents before children.

    Parameters
    ----------
    options : mapping
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
        If an expression does not parse or names what is not there, a column is no number, or columns derive from
        each other in a circle.
    """
    codes = {name: _parsed(name, code) for name, code in options.items()}
    found = []
    for name in codes:
        code = sourced(_written_out(name, codes, ()), *options.values())
        captured = capture(code, table, scope, code)
        parents = take_apart(code, table.columns).variables
        for parent in parents:
            if not (table[parent].number or _is_boolean(table[parent])):
                raise FormulaError(
                    f"{name!r} derives from {parent!r}, which is no number.",
                    expression=code,
                    do=as_numbers(table[parent]),
                )
        if name in table and not (table[name].number or _is_boolean(table[name])):
            raise FormulaError(
                f"derived column {name!r} is no number.", expression=code, do=f"df = df.drop(columns=[{name!r}])"
            )
        found.append(Derived(name, code, parents, captured))
        _refuse_other_rows(found[-1], table)
    return tuple(found)


def _parsed(name: Hashable, code: Any) -> str:
    """An expression, or a refusal of what is none."""
    example = call("df.mice.impute", derived={name: None}).then(f"  # or {{{name!r}: 'wgt / (hgt/100)**2'}}, as text")
    if not isinstance(code, str):
        raise FormulaError(f"derived={{{name!r}: ...}} is text, not {type(code).__name__}.", do=example)
    try:
        ast.parse(code.strip(), mode="eval")
    except SyntaxError as error:
        fact = f"derived={{{name!r}: ...}} does not parse: {error.msg}."
        raise FormulaError(fact, expression=code, do=example) from None
    except (RecursionError, MemoryError):
        fact = f"derived={{{name!r}: ...}} is nested deeper than Python reads."
        raise FormulaError(fact, expression=f"{code:.60}...", do=example) from None
    except ValueError as error:  # null or half a character
        fact = f"derived={{{name!r}: ...}} does not parse: {error}."
        raise FormulaError(fact, expression=repr(code), do=example) from None
    return " ".join(code.split("\n")).strip()


def _refuse_other_rows(one: Derived, table: Table) -> None:
    """A derived value is made from its own row: no means, no centring."""
    learnt = [f for f in take_apart(one.code, table.columns).called if f not in one.names and f in _LEARNING]
    rows = table.complete_rows(one.parents)
    data = {p: numbers(table, p)[rows] for p in one.parents}
    half = {p: values[::2] for p, values in data.items()}
    if learnt or (len(rows) > 1 and not np.array_equal(one.value(data)[::2], one.value(half), equal_nan=True)):
        raise FormulaError(
            f"derived column {one.name!r} depends on other rows than its own{f': {learnt[0]}()' if learnt else ''}.",
            expression=one.code,
            do=call("df.mice.impute", f"y ~ {one.code}", derived={one.name: None}).then(
                "  # your formula, with the expression in it"
            ),
        )


def _is_boolean(column: Column) -> bool:
    """Whether a column holds truth values: they count as 0 and 1."""
    return column.kind.discrete and set(column.coding.levels) <= {False, True}


def _written_out(name: Hashable, codes: Mapping[Hashable, str], above: tuple[Hashable, ...]) -> str:
    """An expression with derived parents replaced by theirs."""
    if name in above:
        circle = " -> ".join(map(str, (*above, name)))
        raise FormulaError(
            f"derived columns depend on each other in a circle: {circle}.",
            do=call("df.mice.impute", derived=dict.fromkeys(above)),
        )
    others = {
        other: _written_out(other, codes, (*above, name))
        for other in codes
        if other in take_apart(codes[name], codes).variables
    }
    written = _replaced(codes[name], others, inside=True)
    if len(written) > _LONGEST:
        fact = f"derived column {name!r} comes to {len(written)} characters, the columns it derives from written out"
        made = in_pandas(codes[name], take_apart(codes[name], ()).free)
        raise FormulaError(
            f"{fact}.", expression=f"{codes[name]:.60}", do=f"df[{name!r}] = {made}  # before imputing, not in derived="
        )
    return written


def substitute(formula: str, derived: Sequence[Derived]) -> str:
    """A formula with derived columns on its right side written as expressions of their parents.

    Examples
    --------
    >>> bmi = Derived("bmi", "wgt / hgt**2", ("wgt", "hgt"))
    >>> substitute("y ~ age * bmi + np.log(bmi)", [bmi])
    'y ~ age * I(wgt / hgt**2) + np.log((wgt / hgt**2))'
    """
    left, tilde, right = formula.replace("\n", " ").partition("~")
    written = left + tilde + _replaced(right, {one.name: one.code for one in derived}, inside=False)
    return sourced(written, formula, *(one.code for one in derived)) if isinstance(formula, FileText) else written


def spelled_out(code: str, codes: Mapping[Hashable, str]) -> str:
    """An expression with some columns written as expressions of others.

    Examples
    --------
    >>> spelled_out("bmi > 30", {"bmi": "wgt / hgt**2"})
    '(wgt / hgt**2) > 30'
    """
    return sourced(_replaced(code, codes, inside=True), code, *codes.values())


def _replaced(code: str, codes: Mapping[Hashable, str], inside: bool) -> str:
    """Replace names in a piece of a formula; what stands outside any call is wrapped in I()."""
    spelled = {code: expression for name, expression in codes.items() for code in (code_of(name), f"Q({name!r})")}
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
            if known is not None and (end > position or after not in ("(", "=")):
                wrap = "(" if inside or any(calls) else "I("
                pieces.append((token.start[1], tokens[end].end[1], f"{wrap}{known})"))
                skip = end
    for start, stop, text in reversed(pieces):
        code = code[:start] + text + code[stop:]
    return code


def solve(derived: Sequence[Derived], table: Table) -> tuple[dict[Hashable, Array], list[str]]:
    """Find what derived columns and their parents tell about each other's missing values.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table

    Returns
    -------
    known : dict
        Column -> values, shape (n,), with more values filled: a derived cell whose parents are observed, a parent
        whose derived column and other parents are, where one value only fits.
    events : list of str

    Raises
    ------
    DataError
        If an observed derived value contradicts its expression.
    """
    names = dict.fromkeys(n for one in derived for n in (one.name, *one.parents))
    values = {name: numbers(table, name) for name in names}
    given = {name: int(np.isnan(found).sum()) for name, found in values.items()}
    source: dict[Hashable, Hashable] = {}
    for one in list(derived) * len(derived):  # what one column tells may help with the next
        for parent in one.parents:
            others = [p for p in one.parents if p != parent]
            known = ~np.isnan(values[one.name]) & np.isnan(values[parent])
            known &= ~np.any([np.isnan(values[p]) for p in others], axis=0) if others else True
            rows = np.flatnonzero(known)
            if len(rows):
                solved = solve_for(one, parent, {v: values[v][rows] for v in (*one.parents, one.name)}, values[parent])
                good = np.isfinite(solved)
                values[parent][rows[good]] = solved[good]
                values[parent] = _numbers_of(table[parent], _coded(table, parent, values[parent]))
                source.setdefault(parent, one.name)
    events = [
        f"{parent!r}: {given[parent] - int(np.isnan(values[parent]).sum())} missing values follow from {name!r}"
        for parent, name in source.items()
        if given[parent] > np.isnan(values[parent]).sum()
    ]
    for one in derived:
        computed = one.value(values)
        _refuse_contradiction(one, values[one.name], computed)
        rows = np.flatnonzero(np.isnan(values[one.name]) & np.isfinite(computed))
        values[one.name][rows] = computed[rows]
    return {name: _coded(table, name, found) for name, found in values.items()}, events


def follow(
    derived: Sequence[Derived], table: Table, values: Mapping[Hashable, Array], fixed: Set[Hashable] = frozenset()
) -> dict[Hashable, Array]:
    """Drawn parents made to agree with observed derived values, where several parents were missing.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table
        With the missing values that were drawn.
    values : mapping
        Column -> completed values or level codes, shape (n,).
    fixed : set of hashable
        Columns that keep their draws.

    Returns
    -------
    dict
        Column -> values, shape (n,), of the parents that follow; a draw stays where not exactly one value agrees.

    Notes
    -----
    The other missing parents keep their draws, which do not know the derived value. The parent that follows is the one
    most correlated with it, so that little is lost by that.
    """
    done = dict(values)
    followed = {}
    for one, parent, rows in _to_follow(derived, table, fixed):
        known = {p: _numbers_of(table[p], done[p][rows]) for p in one.parents}
        known[one.name] = numbers(table, one.name)[rows]
        solved = solve_for(one, parent, known, numbers(table, parent))
        found = _coded_of(table[parent], table[parent].completed(solved))
        agrees = np.isfinite(found) & ~np.isnan(done[parent][rows])  # what is left alone stays missing
        followed[parent] = done[parent] = done[parent].copy()
        done[parent][rows[agrees]] = found[agrees]
    return followed


def _to_follow(
    derived: Sequence[Derived], table: Table, fixed: Set[Hashable]
) -> Iterator[tuple[Derived, Hashable, Rows]]:
    """Which parent follows which observed derived value, in which rows: one parent of a row at most."""
    taken = np.zeros(table.n_rows, dtype=bool)
    for one in derived:
        missing = {p: table.gone(p) for p in one.parents}
        several = ~table.gone(one.name) & (np.sum(list(missing.values()), axis=0) > 1)
        for parent in sorted(set(one.parents) - fixed, key=lambda p: -_nearness(table, one, p)):
            rows = np.flatnonzero(several & missing[parent] & ~taken)
            taken[rows] = True
            if len(rows):
                yield one, parent, rows


def _nearness(table: Table, one: Derived, parent: Hashable) -> float:
    """How strongly a parent is correlated with what derives from it."""
    rows = table.complete_rows([one.name, parent])
    pair = np.array([_relative(numbers(table, name)[rows]) for name in (one.name, parent)])
    return float(abs(np.corrcoef(pair)[0, 1])) if len(rows) > 2 and np.ptp(pair, axis=1).all() else 0.0


def _relative(values: Array) -> Array:
    """Distances from the mean in units of the largest, so that no square of them is lost; shape (n,)."""
    largest = float(np.abs(values).max(initial=0.0))
    if not 0.0 < largest < np.inf:
        return np.zeros(len(values))
    found = np.asarray(values / largest)
    found -= found.mean()
    return np.asarray(found / (float(np.abs(found).max()) or 1.0))


def numbers(table: Table, name: Hashable) -> Array:
    """A column as numbers, shape (n,); NaN where missing."""
    return _numbers_of(table[name], table[name].values)


def _numbers_of(column: Column, values: Array) -> Array:
    """Values or level codes as numbers, shape (n,); NaN where missing."""
    found = values.copy()
    known = np.flatnonzero(~np.isnan(found))
    found[known] = column.numbers(found[known])
    return found


def _coded(table: Table, name: Hashable, numbers: Array) -> Array:
    """Numbers as the table keeps them, by the column's name."""
    return _coded_of(table[name], numbers)


def _coded_of(column: Column, numbers: Array) -> Array:
    """Numbers as a column keeps them: level codes of a rating scale; a number that is no level is missing."""
    if column.kind is Kind.COUNT:
        return np.where(np.isclose(numbers, np.rint(numbers), rtol=1e-9, atol=1e-9), np.rint(numbers), numbers)
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
    largest = float(np.abs(observed[both]).max())
    sd = float(np.std(observed[both] / (largest or 1.0))) * largest or largest or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        decimals = next((k for k in range(7) if np.array_equal(observed[both], observed[both].round(k))), None)
    with np.errstate(over="ignore"):  # infinitely far is far
        away = np.abs(observed[both] - computed[both])
        least = _EXACT * np.maximum(np.abs(observed[both]), sd) + np.finfo(np.float64).tiny
    exact = np.mean(away <= least) > 0.5  # then nothing was rounded
    allowed = least if exact else _ROUNDED * sd + (0.0 if decimals is None else 0.5 * 10.0**-decimals)
    far = both[away > allowed]
    if len(far):
        shown = ", ".join(f"{row}: {observed[row]:.6g} against {computed[row]:.6g}" for row in far[:3].tolist())
        raise DataError(
            f"column {one.name!r} contradicts {one.code!r} in {len(far)} rows of {len(both)}.",
            rows=shown + (", ..." if len(far) > 3 else ""),
            do=f"df = df.drop(columns=[{one.name!r}])  # derived= computes it again",
        )


def solve_for(one: Derived, parent: Hashable, data: Mapping[Hashable, Array], seen: Array) -> Array:
    """The parent's values that give the derived ones, shape (n,), by bisection; NaN where not exactly one does."""
    known = seen[np.isfinite(seen)]
    if not len(known):
        return np.full(len(data[one.name]), np.nan)
    reach = (known.max() - known.min()) or max(abs(known.max()), 1.0)
    low = known.min() / 10 if known.min() > 0 else known.min() - 3 * reach
    grid = np.linspace(low, known.max() + 3 * reach, _GRID)

    def miss(x: Array) -> Array:
        return one.value({**{p: data[p] for p in one.parents}, parent: x}) - data[one.name]

    n = len(data[one.name])
    at = np.array([miss(np.full(n, point)) for point in grid])
    step = np.diff(at, axis=0)
    defined = np.isfinite(step)
    monotone = np.all((step > 0) | ~defined, axis=0) | np.all((step < 0) | ~defined, axis=0)
    crossed = defined & ((at[:-1] <= 0) != (at[1:] <= 0))
    first = crossed.argmax(axis=0)
    left, right = grid[first], grid[first + 1]
    below = at[first, np.arange(n)] <= 0
    for _ in range(_HALVINGS):
        middle = 0.5 * (left + right)
        same = (miss(middle) <= 0) == below
        left, right = np.where(same, middle, left), np.where(same, right, middle)
    return np.where(monotone & (crossed.sum(axis=0) == 1), 0.5 * (left + right), np.nan)

"""Numeric columns that are another one in other units, so that the missing values of both must agree."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ...errors import PlanError, call
from ...formula.column_code import without
from ...formula.question import Question
from ...formula.terms import code_of
from ...frame.table import Table
from ...typing import Array
from .options import Options

__all__ = ["allowances", "linear_copies", "linear_copy", "numbers_of", "short"]

_ENOUGH_ROWS = 10  # rows in which both are observed
_SCREEN = 500  # rows that a first look takes
_ROUNDED = 0.02  # largest distance from the line, in standard deviations; what derived= allows for rounding too
_EXACT = (1e-13, 1e-10)  # the same where nothing is rounded, relative to the largest value
_SINGLE = 5e-7  # the same for numbers that were computed in float32
_DIGITS = 16


def linear_copies(
    table: Table, numbers: Mapping[Hashable, Array], questions: Sequence[Question], options: Options
) -> dict[Hashable, tuple[Hashable, str, int]]:
    """Find columns that are linear in another one.

    Parameters
    ----------
    table : Table
    numbers : mapping
        Column that is not left alone -> its numbers, (n,); NaN where missing.
    questions : sequence of Question
    options : Options

    Returns
    -------
    dict
        Column -> the other one, its expression, the rows where both are observed; pairs without missing values are
        not looked at.

    Raises
    ------
    PlanError
        If an analysis has a column and its exact copy, each as a term: no data tell their coefficients apart.
    """
    names = [n for n in numbers if n != options.id and len(table[n].missing) < table.n_rows]
    if len(names) < 2 or not any(len(table[n].missing) for n in names):
        return {}
    values = {n: numbers[n] for n in names}
    outcomes = {v for q in questions for v in q.outcome}
    reserved = {v for q in questions for v in (*q.variables(table), *q.reserved(table))} - outcomes
    named = {*options.methods, *options.predictors, *(options.order or ())}

    def stays(name: Hashable) -> tuple[bool, bool, bool, int]:
        return name not in outcomes, name not in named, name not in reserved, len(table[name].missing)

    found: dict[Hashable, tuple[Hashable, str, int]] = {}
    pairs = [sorted(pair, key=stays) for pair in _alike(list(values.values()), names)]
    for base, copy in sorted(pairs, key=lambda pair: stays(pair[0])):
        if not (len(table[base].missing) or len(table[copy].missing)) or {base, copy} & {*found} or copy in outcomes:
            continue
        line = linear_copy(values[base], values[copy])
        if line is not None:
            _refuse_both(questions, table, base, copy, line, values)
            both = int(np.sum(~np.isnan(values[base] + values[copy])))
            found[copy] = (base, _written(base, *line), both)
    return found


def _refuse_both(
    questions: Sequence[Question], table: Table, base: Hashable, copy: Hashable, line: tuple[float, float],
    values: Mapping[Hashable, Array],
) -> None:  # fmt: skip
    """Refuse an analysis with a term for each of two columns that are one; rounded copies are only noted."""
    both = ~np.isnan(values[base] + values[copy])
    x, y = values[base][both], values[copy][both]
    if float(np.abs(y - line[0] * x - line[1]).max()) > _EXACT[1] * float(np.abs(y).max()):
        return
    code = _written(base, *line)
    for question in questions:
        if {code_of(base), code_of(copy)} <= {*question.terms.codes}:
            raise PlanError(
                f"{copy!r} is {code} in all {int(both.sum())} rows where both are observed: "
                "the analysis cannot tell their coefficients apart.",
                analysis=question.formula,
                do=call("df.mice.impute", without(question.terms, copy, table.columns), derived={copy: code})
                .in_place_of(question.formula),
            )  # fmt: skip


def linear_copy(x: Array, y: Array) -> tuple[float, float] | None:
    """Slope and intercept of the line on which all rows lie, in as few digits as will do; None where there is none.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
        NaN where missing.

    Returns
    -------
    tuple of float, or None
        Each row's y is within half of its last decimal of the line and within 2 % of a standard deviation, or
        within 1e-10 of the largest value where y has no last decimal (5e-7 for float32).

    Examples
    --------
    >>> inches = np.arange(60.0, 75.0)
    >>> linear_copy(inches, (2.54 * inches).round(1))
    (2.54, 0.0)
    >>> linear_copy(inches, inches**2) is None
    True
    """
    both = np.flatnonzero(~np.isnan(x) & ~np.isnan(y))
    x, y = x[both], y[both]
    if len(both) < _ENOUGH_ROWS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    if min(np.unique(x, return_counts=True)[1].min(), _ENOUGH_ROWS) < _ENOUGH_ROWS // 2 and len(np.unique(x)) == 2:
        return None  # two values agree by accident
    size, scale = float(np.abs(x).max()), float(np.abs(y).max())
    u, v = x / size, y / scale
    centred = u - u.mean()
    slope = float(centred @ (v - v.mean()) / (centred @ centred)) * scale / size
    for allowed in allowances(y, scale, float(np.std(v)) * scale):
        line = _line(slope, x, y, allowed)
        if line is not None:
            return line
    return None


def allowances(y: Array, scale: float, variation: float) -> list[float]:
    """How far rows may be from the line, the strictest first."""
    found = [share * scale for share in _EXACT]
    with np.errstate(over="ignore", under="ignore"):
        if np.array_equal(y, y.astype(np.float32).astype(np.float64)):
            found.append(_SINGLE * scale)
    decimals = next((k for k in range(7) if np.array_equal(y, y.round(k))), None)
    found += [] if decimals is None else [0.5 * 10.0**-decimals * (1.0 + 1e-9)]
    return [min(allowed, _ROUNDED * variation) for allowed in found]


def _line(slope: float, x: Array, y: Array, allowed: float) -> tuple[float, float] | None:
    """The line in as few digits as keep every row within what is allowed."""
    for digits in range(1, _DIGITS):
        a = float(f"{slope:.{digits - 1}e}")
        rest = y - a * x
        middle = 0.5 * float(rest.min()) + 0.5 * float(rest.max())
        if a == 0.0 or float(np.ptp(rest)) > 2.0 * allowed:
            continue
        for b in (0.0, *(float(f"{middle:.{k - 1}e}") for k in range(1, _DIGITS + 2))):
            if float(np.abs(rest - b).max()) <= allowed:
                return a, b
    return None


def numbers_of(table: Table, name: Hashable) -> Array:
    """A column as numbers, shape (n,); NaN where missing."""
    column = table[name]
    if not column.kind.discrete:
        return column.values
    found, known = column.values.copy(), column.observed
    found[known] = column.numbers(found[known])
    return np.asarray(found)


def _alike(values: Sequence[Array], names: Sequence[Hashable]) -> list[tuple[Hashable, Hashable]]:
    """Pairs of columns that are correlated by nearly 1 in some rows, those where both are observed; a first look."""
    step = max(1, len(values[0]) // _SCREEN)
    some = np.array([one[::step] for one in values]).T
    seen = ~np.isnan(some)
    some = np.where(seen, some, 0.0)
    size = np.abs(some).max(axis=0)
    some = some / np.where(size > 0, size, 1.0)
    some -= np.where(seen, some.sum(axis=0) / np.maximum(seen.sum(axis=0), 1), some)
    size = np.abs(some).max(axis=0)
    single = (some / np.where(size > 0, size, 1.0)).astype(np.float32)
    mask = seen.astype(np.float32)
    many = np.maximum(mask.T @ mask, 1.0)
    total, square = single.T @ mask, (single * single).T @ mask
    variation = np.maximum(square - total * total / many, 0.0)
    product = single.T @ single - total * total.T / many
    limit = np.sqrt(variation * variation.T)
    near = np.abs(product) >= (1.0 - 2.0 * _ROUNDED**2) * limit
    near &= limit > 0
    return [(names[i], names[j]) for i, j in zip(*np.nonzero(np.triu(near, 1)), strict=True)]


def _written(name: Hashable, slope: float, intercept: float) -> str:
    """A line as an expression of a column."""
    code = code_of(name)
    text = code if slope == 1.0 else f"-{code}" if slope == -1.0 else f"{short(slope)} * {code}"
    if intercept == 0.0:
        return text
    return f"{text} {'-' if intercept < 0 else '+'} {short(abs(intercept))}"


def short(number: float) -> str:
    """A number as it is written, whole where it is."""
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else repr(number)

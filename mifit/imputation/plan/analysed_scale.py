"""The scale on which an analysis has a number, such as its logarithm: covariates' own models have it too."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import MifitError
from ...formula.design import freeze
from ...formula.question import Question, ask_right
from ...formula.source import resolve
from ...formula.terms import code_of, take_apart
from ...frame.table import Column, Table
from ...typing import Array

__all__ = ["Scale", "on_their_scales", "scales"]

_FEWEST = 5  # different values that tell how an expression runs
_LINE = 1e-9  # distance from a line, relative to the range, within which an expression is a change of units


class Scale(NamedTuple):
    """A rising or falling expression of one column."""

    code: str
    values: Array  #: (n,) NaN where the column is missing


def scales(questions: Sequence[Question], table: Table, scope: Mapping[str, Any]) -> dict[Hashable, Scale]:
    """Find the numbers that analyses have on another scale, and only there.

    Parameters
    ----------
    questions : sequence of Question
    table : Table
    scope : mapping
        Where other names are looked up.

    Returns
    -------
    dict
        Column -> Scale. Only where every analysis has the column in one and the same expression of it alone, which
        rises or falls over all observed values and is no line: ``np.log(x)``, not ``x + np.log(x)``, ``x + I(x**2)``,
        ``I(x / z)`` or a spline.

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.formula.question import ask
    >>> from mifit.frame.table import read
    >>> table = read(pd.DataFrame({"y": [1.5, 2, 4, 3, 1, 6], "a": [1.1, 2, 3, 4, 5, 6], "b": [2.1, 3, 5, 7, 9, 4]}))
    >>> {name: scale.code for name, scale in scales([ask("y ~ np.log(a) * b", table)], table, {}).items()}
    {'a': 'np.log(a)'}
    """
    codes: dict[Hashable, dict[str, Question]] = {}
    for question in questions:
        for code in dict.fromkeys(code for factors in question.terms.factors for code in factors):
            for name in take_apart(code, table.columns).variables:
                codes.setdefault(name, {})[code] = question
    found = {}
    for name, written in codes.items():
        if len(written) == 1 and not table[name].kind.discrete:
            ((code, question),) = written.items()
            if code != code_of(name) and len(take_apart(code, table.columns).variables) == 1:
                scale = _scale(code, name, table, {**scope, **resolve(question.names)})
                if scale is not None:
                    found[name] = scale
    return found


def _scale(code: str, name: Hashable, table: Table, scope: Mapping[str, Any]) -> Scale | None:
    """The scale of an expression; None where it is none."""
    column = table[name]
    at = np.asarray(column.observed)
    try:
        design = freeze(ask_right(code, table, scope), table)
        which = [position for position, one in enumerate(design.columns) if one.parts]
        if len(which) != 1:
            return None
        with np.errstate(all="ignore"):
            seen = design.evaluate(which, {name: column.values[at]}, len(at))[:, 0]
    except (MifitError, KeyError):
        return None
    if not np.isfinite(seen).all() or not _bends(*_apart(column.values[at], seen)):
        return None
    values = np.full(table.n_rows, np.nan)
    values[at] = seen
    return Scale(code, values)


def _apart(x: Array, seen: Array) -> tuple[Array, Array]:
    """Different values, sorted, and their expressions; values that differ by rounding only are the same."""
    order = np.argsort(x, kind="stable")
    x = x[order]
    new = np.diff(x, prepend=-np.inf) > _LINE * np.ptp(x) if len(x) else np.zeros(0, dtype=bool)
    return x[new], seen[order][new]


def _bends(x: Array, seen: Array) -> bool:
    """Whether an expression rises or falls throughout, and is no line."""
    steps = np.diff(seen)
    if len(x) < _FEWEST or not (np.all(steps > 0) or np.all(steps < 0)):
        return False
    line = seen[0] + (seen[-1] - seen[0]) * (x - x[0]) / (x[-1] - x[0])
    return bool(np.abs(seen - line).max() > _LINE * np.ptp(seen))


def on_their_scales(table: Table, found: Mapping[Hashable, Scale]) -> Table:
    """The table with columns as the analyses have them: how predictors are looked at when a model is chosen."""
    changed: dict[Hashable, Column] = {
        name: dataclasses.replace(table[name], values=scale.values) for name, scale in found.items()
    }
    return Table({**table.columns, **changed}, table.n_rows) if changed else table

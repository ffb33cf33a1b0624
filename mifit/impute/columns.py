"""Which columns can be used at all: what is left alone, what is set aside, what is refused."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError, PlanError, nearest
from ..formula.question import Question
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from .choices import is_identifier
from .methods import METHODS
from .plan import Wishes

__all__ = ["check_wishes", "is_constant", "set_aside"]


def check_wishes(table: Table, wishes: Wishes) -> None:
    """Refuse a wish that names no column, no method, or no known word.

    Raises
    ------
    DataError
        If a name is not a column.
    PlanError
        If a method, ``congeniality`` or ``auxiliary`` is unknown.
    """
    named: tuple[tuple[str, Any], ...] = (
        ("methods=", wishes.methods), ("predictors=", wishes.predictors), ("order=", wishes.order or ())
    )  # fmt: skip
    for word, names in named:
        for name in names:
            table.require(name, word)
    for name, method in wishes.methods.items():
        if not _is_method(method):
            raise PlanError(
                f"unknown method {method!r} for {name!r}{nearest(method, [*METHODS, 'leave'])}.",
                known=", ".join(METHODS) + ", leave",
                do=f"df.mice.impute(methods={{{name!r}: 'pmm'}})",
            )
    _check_word("congeniality", wishes.congeniality, ("compatible", "terms", "ignore"))
    if not isinstance(wishes.auxiliary, Mapping):
        _check_word("auxiliary", wishes.auxiliary, ("response", "ignore"))
        return
    unknown = set(wishes.auxiliary) - {"baseline"}
    if unknown:
        raise PlanError(f"auxiliary= has the word {unknown.pop()!r}.", do='auxiliary={"baseline": ["age0"]}')
    for name in wishes.auxiliary.get("baseline", ()):
        table.require(name, "auxiliary=")


def set_aside(table: Table, questions: Sequence[Question], wishes: Wishes) -> tuple[dict[Hashable, str], list[str]]:
    """Find the columns that are neither drawn nor predictors.

    Parameters
    ----------
    table : Table
    questions : sequence of Question
    wishes : Wishes

    Returns
    -------
    left : dict
        Column -> why it is left.
    events : list of str
        What a reader should know.

    Raises
    ------
    DataError
        If a column that has holes can neither be used nor was left alone.
    PlanError
        If the analysis needs a column that is left with holes.
    """
    asked = {v for q in questions for v in (*q.variables(table), *q.outcome)}
    left: dict[Hashable, str] = {}
    events: list[str] = []
    for name, column in table.columns.items():
        if wishes.methods.get(name) == "leave":
            left[name] = "left alone, as asked"
            continue
        reason = _unusable(table, column, name in asked)
        if reason:
            left[name] = reason
            events.append(f"{name!r} {reason}: not used as a predictor")
    for name in asked & set(left):
        if len(table[name].missing):
            raise PlanError(
                f"the analysis needs {name!r}, which has {len(table[name].missing)} holes and is left alone.",
                analysis=questions[0].formula,
                do=f"df.mice.impute({questions[0].formula!r})  # without {name!r} among methods",
            )
    return left, events


def is_constant(column: Column) -> bool:
    """Whether one value was observed."""
    seen = column.values[column.observed]
    return bool(np.ptp(seen) == 0)


def _unusable(table: Table, column: Column, asked: bool) -> str:
    """Why a column is set aside; empty if it is of use. What has holes and is of no use is refused."""
    name, holes = column.name, len(column.missing)
    if column.coding.problem == "holds infinite values":
        rows = np.flatnonzero(np.isinf(column.values))
        raise DataError(
            f"column {name!r} holds infinite values.",
            rows=", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else ""),
            do=f"df[{name!r}] = df[{name!r}].replace([np.inf, -np.inf], np.nan)",
        )
    if holes == table.n_rows:
        raise DataError(f"all {holes} values of column {name!r} are missing.", do=_leave(name))
    reason = ""
    if column.kind is Kind.OTHER:
        reason = column.coding.problem
    elif not asked and not holes and is_constant(column):
        reason = "is constant"
    elif not asked and is_identifier(table, name):
        reason = "only names its rows"
    if reason and holes:
        raise DataError(f"column {name!r} {reason} and has {holes} holes.", do=_leave(name))
    return reason


def _leave(name: Hashable) -> str:
    """The call that leaves a column alone."""
    return f"df.mice.impute(methods={{{name!r}: 'leave'}})"


def _check_word(word: str, given: Any, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of the known ones."""
    if given not in known:
        raise PlanError(
            f"{word} is {given!r}{nearest(given, known)}.",
            known=", ".join(known),
            do=f'df.mice.impute("y ~ x", {word}={known[0]!r})',
        )


def _is_method(wish: Any) -> bool:
    """Whether a wish is a registered name or behaves like a method."""
    if isinstance(wish, str):
        return wish in METHODS or wish == "leave"
    return callable(getattr(wish, "fit", None)) and hasattr(wish, "kinds")

"""Analyses of marks, of which one value only was ever written down: whether a missing value means no is asked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from ...errors import PlanError, call
from ...formula.column_code import says_no
from ...formula.marks import is_mark, line_of_marks, value_of_marks
from ...formula.model_facts import USUAL_MODEL_OF_TWO
from ...formula.question import Question
from ...formula.terms import take_apart
from ...frame.table import Column, Table

__all__ = ["refuse_marks"]

_MANY = 0.1  # share of missing values of a number that is no constant


def refuse_marks(questions: Sequence[Question], table: Table, derived: Iterable[Hashable] = ()) -> None:
    """Refuse an analysis of marks: their missing values would all become the one value.

    Parameters
    ----------
    questions : sequence of Question
    table : Table
        With the values that follow from others filled in.
    derived : iterable of hashable, optional
        Columns that follow from others: they are left to those.

    Raises
    ------
    PlanError
        If an outcome, a covariate or ``status=`` has one observed value and missing values; a covariate that is one
        number with few missing values is a constant, of which the plan speaks.
    """
    known = {*derived}
    for question in questions:
        status = question.keywords.get("status")
        named = [*question.outcome, *question.variables(table), *([status] if isinstance(status, str) else [])]
        for name in dict.fromkeys(named):
            stated = name in question.outcome or name == status
            if name in table and name not in known and is_mark(table[name]) and (stated or _may_mean_no(table[name])):
                _refuse(question, table[name], table)


def _may_mean_no(column: Column) -> bool:
    """Whether missing values are too many, or the value too much of a word, for a constant."""
    return not column.number or len(column.missing) >= _MANY * (len(column.missing) + len(column.observed))


def _refuse(question: Question, column: Column, table: Table) -> None:
    """Ask whether a missing value means no, and say how that is written."""
    name, value = column.name, value_of_marks(column)
    role = "status" if question.keywords.get("status") == name else "outcome" if name in question.outcome else ""
    meaning = {"status": "censored" if not says_no(value) else "an event"}.get(role, "yes" if says_no(value) else "no")
    line = line_of_marks(column)
    raise PlanError(
        f"{name!r} is {value!r} or missing ({len(column.missing)} of {table.n_rows} rows): does a missing value mean "
        f"{meaning}? Drawn values would all be {value!r}.",
        analysis=question.formula,
        do=f"{line}  # 1 or 0 in the formula" if _compared(question, name, table) else _again(question, name, line),
    )


def _again(question: Question, name: Hashable, line: str) -> str:
    """The line and the same analysis, of two values where the column is the outcome and had levels."""
    named = name in question.outcome and question.facts.levels
    words: dict[str, Any] = {"model": USUAL_MODEL_OF_TWO} if named else {}
    return call("df.mice.impute", question.formula, **words).after(f"{line}; ")


def _compared(question: Question, name: Hashable, table: Table) -> bool:
    """Whether the formula has the column in an expression, such as a comparison with its value."""
    codes = {question.terms.outcome, *(code for factors in question.terms.factors for code in factors)}
    plain = {str(name), f"C({name})", f"Q({name!r})", f'Q("{name}")', f"C(Q({name!r}))"}
    return any(name in take_apart(code, table.columns).variables and code not in plain for code in codes)

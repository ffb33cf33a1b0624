"""The rows of an analysis: those of a query or mask, or with an observed outcome; and whether they were foreseen."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np

from ..errors import CongenialityError, DataError, call
from ..examine.verdict import Where
from ..formula.derived import substitute
from ..formula.query import as_factor, crossed, named_in, widened_by
from ..formula.question import Question, ask, caller_scope, resolve
from ..formula.source import sourced
from ..frame.completed import Completed
from ..frame.subset import Sample, rows_where
from ..frame.table import Table
from ..imputation.plan.plan import Factor, Plan
from ..record.record import Record

__all__ = ["refuse_informed", "sample_notes", "sample_of", "where_of"]


def sample_of(record: Record, question: Question, given: Any) -> Completed | Sample:
    """The rows of each completed set that an analysis uses; the completed sets themselves if it uses all rows.

    Raises
    ------
    DataError
        If the number of rows differs from set to set and ``varying_n`` does not allow it, or a set has none.
    """
    completed: Completed = record.completed
    if given.subset is None and not given.drop_imputed_outcome:
        return completed
    if isinstance(given.subset, Sample):  # the rows of another analysis of these sets
        return given.subset
    everything = np.arange(record.table.n_rows)
    rows = (everything,) * len(completed)
    if given.subset is not None:
        rows = rows_where(completed, given.subset, caller_scope())
    if given.drop_imputed_outcome:
        observed = record.table.given.complete_rows(question.outcome)
        rows = tuple(np.intersect1d(one, observed) for one in rows)
    counts = [len(one) for one in rows]
    if min(counts) == 0:
        raise DataError(
            f"no row of completed set {int(np.argmin(counts))} is left.", do="imp.fit(drop_imputed_outcome=False)"
        )
    if len(set(counts)) > 1 and not given.varying_n:
        shown = ", ".join(f"{k}: {n}" for k, n in enumerate(counts[:20])) + (", ..." if len(counts) > 20 else "")
        raise DataError(
            f"the subset {given.subset!r} has {min(counts)} to {max(counts)} rows, by completed set.",
            **{"rows by set": shown},
            do=f"imp.fit({question.formula!r}, subset={given.subset!r}, varying_n=True)",
        )
    return completed if all(len(one) == len(everything) for one in rows) else Sample(completed, rows)


def where_of(record: Record, question: Question, given: Any, sample: Completed | Sample) -> Where | None:
    """The rows of an analysis as the certificate describes them; None if they are all."""
    if not isinstance(sample, Sample):
        return None
    rows = np.unique(np.concatenate(sample.rows))
    if given.subset is None:
        return Where("", rows)
    if not isinstance(given.subset, str):
        return Where("the mask", rows)
    columns, scope = list(record.table.given.columns), caller_scope()
    factor = as_factor(given.subset, columns, scope)
    variables = named_in(given.subset, columns)
    if factor is None:
        return Where(given.subset, rows, variables)
    wide = _question_of(record, question, widened_by(question.formula, [factor]), scope)
    return Where(
        given.subset, rows, variables, wide, _question_of(record, question, crossed(question.formula, variables), scope)
    )


def _question_of(record: Record, question: Question, formula: str, scope: Any) -> Question:
    """The same analysis with another right side, in terms of what was drawn."""
    derived = record.derived
    names = {**scope, **{n: v for one in derived for n, v in resolve(one.names).items()}, **resolve(question.names)}
    formula = sourced(formula, question.formula)
    written = substitute(formula, derived) if derived else formula
    found = ask(written, record.table.given, model=question.model, keywords=question.keywords, scope=names)
    return dataclasses.replace(found, said=question.said)


def sample_notes(record: Record, question: Question, given: Any, sample: Completed | Sample) -> list[str]:
    """What a reader of the summary must know about the rows."""
    if not isinstance(sample, Sample):
        return []
    notes, counts = [], [len(rows) for rows in sample.rows]
    if len(set(counts)) > 1:
        notes.append(f"The subset has {min(counts)} to {max(counts)} rows, by set; the least is counted.")
    elif not sample.alike:
        notes.append("The rows of the subset differ between the sets.")
    if given.drop_imputed_outcome:
        n_dropped = record.table.n_rows - len(record.table.given.complete_rows(question.outcome))
        notes.append(
            f"{n_dropped} rows with an imputed outcome were imputed and left out of the fits (von Hippel 2007)."
        )
    return notes


def refuse_informed(plan: Plan | None, question: Question, table: Table) -> None:
    """Refuse to leave out rows with an imputed outcome where a column outside the analysis says something about it.

    Such a column makes the imputed outcomes better than what the analysis knows; without it they only add noise.

    Raises
    ------
    CongenialityError

    References
    ----------
    von Hippel, P. T. (2007). Regression with missing Ys: an improved strategy for analyzing multiply imputed data.
    *Sociological Methodology* 37(1), 83-117. doi:10.1111/j.1467-9531.2007.00180.x
    """
    if plan is None or not any(len(table[name].missing) for name in question.outcome):
        return
    own = {*question.variables(table), *question.reserved(table)}
    informing = [
        name for factor in plan.factors for name in _told_by(plan, factor, question.outcome, table) if name not in own
    ]
    for variable in (one for one in plan.variables if one.name in question.outcome):
        informing += [name for piece in variable.pieces for name in _named(plan, piece, table) if name not in own]
    if informing:
        raise CongenialityError(
            f"{informing[0]!r} predicts the imputed values of {question.outcome[0]!r}, so rows with an imputed "
            "outcome carry information.",
            analysis=question.formula,
            do=call("df.mice.impute", auxiliary="ignore").then(".fit(drop_imputed_outcome=True)"),
        )


def _told_by(plan: Plan, factor: Factor, outcome: tuple[Hashable, ...], table: Table) -> tuple[Hashable, ...]:
    """The columns that a factor judges an outcome by: its own, where the outcome is among its predictors."""
    sides = {name for piece in factor.pieces for name in _named(plan, piece, table)}
    if not sides & set(outcome):
        return ()
    return (factor.variable,) if factor.question is None else plan.questions[factor.question].outcome


def _named(plan: Plan, piece: Any, table: Table) -> tuple[Hashable, ...]:
    """Columns that a piece of a model is computed from."""
    if piece.what == "outcome":
        return plan.questions[piece.which].outcome
    if piece.what == "formula":
        return [*plan.questions, *plan.extra][piece.which].variables(table)
    return (piece.which[0] if piece.what == "mean" else piece.which,)

"""Columns outside the analysis: which of them are factors of the joint model, and in which order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from ...errors import PlanError, call
from ...formula.design import Design
from ...frame.kinds import Kind
from ...frame.table import Column
from ...typing import Array, Rows
from ..contract import Method, facts_of
from .association import Associations
from .defaults import nearly_determines
from .draft import Draft
from .usable_columns import is_constant

__all__ = ["COPIES", "LEFT_OUT", "TOO_MANY", "choose_auxiliaries", "most_telling", "turn"]

TOO_MANY, COPIES = "one auxiliary too many", "(nearly) determines the outcome"  #: why columns are no auxiliaries
LEFT_OUT = "no room for it in the joint model: it adds less than the auxiliaries"  #: said of complete ones
_ROWS_EACH = 20  # rows for each auxiliary
_PIVOT = 1e-8  # share of its variance that the columns before it must leave of one that explains others


def choose_auxiliaries(
    draft: Draft, designs: list[Design], covariates: list[Hashable], outcomes: tuple[Hashable, ...]
) -> list[Hashable]:
    """Choose the columns outside the analysis that become further outcomes; the others are excluded, and why.

    Parameters
    ----------
    draft : Draft
    designs : list of Design
        Of the analyses.
    covariates, outcomes : sequence of hashable
        Their columns.

    Returns
    -------
    list of hashable
        At most one for every 20 rows.

    Raises
    ------
    PlanError
        If predictors are asked for one of them: those of an auxiliary are the analysis and earlier auxiliaries.
    """
    table = draft.table
    if draft.options.auxiliary == "ignore":
        return []
    reserved = {v for q in draft.questions for v in q.reserved(table)}
    found = [n for n in table.columns if n not in {*covariates, *outcomes, *reserved} and n not in draft.excluded]
    for name in [n for n in found if n in draft.skips and draft.skips[n].value is None and not draft.n_missing(n)]:
        draft.excluded[name] = "has no value in some rows"
        found.remove(name)
    responses = [d.response({v: table[v].values for v in d.question.outcome}) for d in designs]
    for name in [n for n in found if any(nearly_determines(table, n, r) for r in responses)]:
        draft.excluded[name] = COPIES
        draft.events.append(f"{name!r} (nearly) determines the outcome: not an auxiliary")
        found.remove(name)
    most = max(1, table.n_rows // _ROWS_EACH)
    constant = [n for n in found if is_constant(table[n])]  # a constant predicts nothing
    found = [n for n in found if n not in constant]
    if len(found) > most:
        known = (*covariates, *outcomes)
        kept = {*most_telling(draft.associations, found, [n for n in known if draft.n_missing(n)], known, most)}
        draft.events.append(
            f"{len(found) - most} of {len(found)} auxiliaries left out: at most {most} for {table.n_rows} rows, "
            "those that add most to the prediction of what is missing, or of whether it is"
        )
        draft.excluded.update((n, TOO_MANY) for n in found if n not in kept)
        found = [n for n in found if n in kept]
    found += constant
    _refuse_predictors(draft, found)
    return found


def _refuse_predictors(draft: Draft, names: Sequence[Hashable]) -> None:
    """Refuse predictors of an auxiliary."""
    refused = [n for n in names if n in draft.options.predictors]
    if refused:
        given = draft.options.auxiliary
        baseline = given["baseline"] if isinstance(given, Mapping) else ()
        raise PlanError(
            f"{refused[0]!r} is an auxiliary: its predictors are the analysis and earlier auxiliaries.",
            do=call("df.mice.impute", auxiliary={"baseline": [*baseline, refused[0]]}),
        )


def turn(column: Column, method: Method) -> int:
    """Which auxiliaries come first: levels, then counts, numbers that are normal, other numbers.

    A number is thereby a predictor of numbers alone, and drawn by the closed form for the product of normal factors.
    """
    if column.kind is Kind.NUMERIC:
        return 2 if facts_of(method).errors_learned else 3
    return 1 if column.kind is Kind.COUNT else 0


def most_telling(
    known: Associations, candidates: Sequence[Hashable], incomplete: Sequence[Hashable], given: Sequence[Hashable],
    most: int,
) -> list[Hashable]:  # fmt: skip
    r"""Choose the candidates that add most to the prediction of incomplete columns, or of where they are missing.

    Parameters
    ----------
    known : Associations
        Of the table.
    candidates : sequence of hashable
    incomplete : sequence of hashable
        Columns whose missing values are to be predicted.
    given : sequence of hashable
        Columns that predict in any case; those of ``incomplete`` may be among them.
    most : int
        How many are chosen.

    Returns
    -------
    list of hashable
        The most telling first.

    Notes
    -----
    One after the other: each time the candidate with the largest squared partial correlation with an incomplete
    column, or with its missingness, given the columns ``given`` and those chosen before. With :math:`b` the coefficient
    of column :math:`t` in the regression of the candidate on all of these, :math:`v` the residual variance of :math:`t`
    given the others and :math:`s` that of the candidate, :math:`b^2 v / s` is what the candidate's model adds to the
    precision of a missing value of :math:`t`, relative to what is known without it; the squared partial correlation is
    :math:`b^2 v / (b^2 v + s)`. All of them are read from one cross-product matrix, swept by the columns chosen
    (Goodnight 1979). Of a column with many levels the correlation takes the place of the partial one.

    References
    ----------
    Goodnight, J. H. (1979). A tutorial on the SWEEP operator. *The American Statistician* 33(3), 149-158.
    """
    matrix, blocks = known.matrix, known.blocks
    missing = known.missingness(incomplete)
    cross = np.hstack([matrix, missing])
    cross = cross.T @ cross
    gone = np.arange(matrix.shape[1], cross.shape[0])
    targets = np.concatenate([np.empty(0, dtype=np.int64), *(blocks[n] for n in incomplete if n in blocks)])
    for name in dict.fromkeys([*given, *incomplete]):
        _sweep(cross, blocks.get(name, targets[:0]))
    counted = [n for n in candidates if n not in blocks]
    alone = {n: float(np.max([known.of(t, [n])[0] ** 2 for t in incomplete], initial=0.0)) for n in counted}
    chosen: list[Hashable] = []
    rest = list(candidates)
    for _ in range(min(most, len(rest))):
        told = _told(cross, targets, gone)
        score = [alone[n] if n in alone else float(told[blocks[n]].max(initial=0.0)) for n in rest]
        best = rest.pop(int(np.argmax(score)))
        chosen.append(best)
        _sweep(cross, blocks.get(best, targets[:0]))
    return chosen


def _sweep(cross: Array, columns: Rows) -> None:
    """Sweep a cross-product matrix of unit vectors by some columns, in place; those that others explain stay."""
    for k in columns:
        pivot = cross[k, k]
        if pivot < _PIVOT:
            continue
        column, row = cross[:, k] / pivot, cross[k].copy()
        cross -= np.outer(column, row)
        cross[:, k], cross[k], cross[k, k] = column, row / pivot, -1.0 / pivot


def _told(cross: Array, targets: Rows, gone: Rows) -> Array:
    """Largest squared partial correlation of each column with a target or with what says where it is missing, (p,)."""
    left = np.diag(cross)
    free = left > _PIVOT  # not among the columns swept, nor explained by them
    spread = np.where(free, left, 1.0)
    swept = targets[left[targets] < 0]
    added = cross[swept] ** 2 / -left[swept][:, None]
    found = (added / (added + spread)).max(axis=0, initial=0.0)
    told = gone[left[gone] > _PIVOT]
    found = np.maximum(found, (cross[told] ** 2 / (left[told][:, None] * spread)).max(axis=0, initial=0.0))
    return np.where(free, found, 0.0)

"""The plan of plain chained equations, and of analysis terms as predictors."""

from __future__ import annotations

from collections.abc import Hashable

from ...errors import PlanError, call
from ...formula.marks import said_of_marks
from ...formula.question import Question
from ...formula.terms import code_of, take_apart
from ...frame.kinds import Kind
from ..contract import Method, facts_of
from ..methods import CHAINED, METHODS
from .check_analysis import check_copies
from .clusters import mixed_outcome
from .defaults import MOST_LEVELS, constant_within, is_monotone, nearly_determines
from .draft import Draft, by_kind, hazard_of
from .levels import by_cluster, random_pieces
from .plan import Piece
from .restrictions import beyond_donors, donors_within, many_levels, refuse_without_donors, tied
from .usable_columns import is_constant

__all__ = ["method_of", "plan_chained"]


def plan_chained(draft: Draft) -> None:
    """Draw each column from the main effects of all others; in terms mode from the analysis terms too."""
    table, draft.clusters = draft.table, draft.options.clusters
    in_analysis = tuple(n for n in draft.in_analysis if n not in _times(draft))
    reserved = {v for q in draft.questions for v in q.reserved(table)} - set(in_analysis)
    alone = draft.options.auxiliary == "ignore" and bool(draft.questions)
    _refuse_ids_and_hazard(draft)
    for name in [n for n in _copies_of_time(draft) if n not in in_analysis]:
        draft.excluded.setdefault(name, "(nearly) determines the survival time")
        draft.events.append(f"{name!r} (nearly) determines the survival time: not a predictor")
    usable = [
        n for n in table.columns if n not in draft.excluded and n not in reserved and (n in in_analysis or not alone)
    ]
    for name in (n for n in table.columns if n in reserved):
        draft.excluded.setdefault(name, "belongs to the analysis")
    draft.ignore_rest(usable)
    if draft.mode == "terms":
        check_copies(draft.questions, table, [n for n in usable if draft.n_missing(n)])
    draft.order = draft.ordered([n for n in usable if draft.n_missing(n)])
    monotone = _one_visit_suffices(draft)
    related = any(draft.relations.held_by(n) or tied(draft, n) for n in draft.order)
    monotone = monotone and not related
    needs_sweeps = related or any(
        draft.n_missing(n) and n in draft.bounds and not draft.bounds[n].always for n in draft.order
    )
    for position, name in enumerate(draft.order):
        later = set(draft.order[position:]) if monotone else {name}
        others = [n for n in usable if n not in later]
        method, label, why = by_cluster(draft, name, *method_of(draft, name))
        pieces, shown = draft.predictors(name, others, in_analysis, table.n_rows - draft.n_missing(name))
        if draft.mode == "terms" and name not in draft.options.predictors:
            for question in draft.questions:
                right = _terms_of(draft, question, name)
                if right:
                    pieces, shown = (*pieces, Piece("formula", draft.formula(name, right))), (*shown, right)
        if draft.mode == "terms" and name not in draft.options.predictors:
            given, named = draft.around(name, others)
            pieces, shown = (*pieces, *given), (*shown, *named)
        alone = facts_of(method).clustered and draft.options.clusters is None  # an outcome, by its analysis
        if name not in draft.options.predictors and not alone:
            means = draft.cluster_means(name, others)
            pieces, shown = (*pieces, *means), (*shown, *(f"mean({p.which[0]}) by {p.which[1]}" for p in means))
        draft.add(name, "column", method, label, (*pieces, *random_pieces(draft, method)), shown, why)
    if (len(draft.order) == 1 or monotone) and not needs_sweeps:
        draft.iterations = 1
    elif any(draft.n_missing(n) > table.n_rows / 2 for n in draft.order):
        draft.iterations = 20


def _times(draft: Draft) -> set[Hashable]:
    """Survival times: their event and hazard stand for them."""
    return {v for q in draft.questions if q.facts.hazard for v in q.outcome}


def _copies_of_time(draft: Draft) -> list[Hashable]:
    """Columns outside the analyses that (nearly) determine a survival time, such as its logarithm."""
    table = draft.table
    reserved = {v for q in draft.questions for v in q.reserved(table)}
    others = [n for n in table.columns if n not in draft.excluded and n not in reserved]
    times = [table[v].values for v in _times(draft) if table[v].number and not table[v].kind.discrete]
    return [n for n in others if any(nearly_determines(table, n, time) for time in times)]


def _refuse_ids_and_hazard(draft: Draft) -> None:
    """Event and hazard of one interval do not stand for those of its subject."""
    unit = draft.options.id
    if draft.mode != "terms" or unit is None:
        return
    for question in (q for q in draft.questions if q.facts.hazard):
        level = [
            n for n in question.variables(draft.table) if draft.n_missing(n) and constant_within(draft.table, n, unit)
        ]
        if level:
            raise PlanError(
                f"{level[0]!r} is constant within {unit!r}: terms of single rows do not draw it; compatible draws do.",
                analysis=question.formula,
                do=call("df.mice.impute", congeniality="compatible"),
            )


def _one_visit_suffices(draft: Draft) -> bool:
    """Whether missing values are nested, so that every column can be drawn once from complete and earlier columns."""
    free = draft.mode != "terms" and not (draft.options.predictors or draft.options.order or draft.skips)
    return free and len(draft.order) > 1 and is_monotone(draft.table, draft.order)


def method_of(draft: Draft, name: Hashable) -> tuple[Method, str, str]:
    """The method of a column, its name, and why."""
    stated = draft.stated_method(name)
    if stated is not None:
        refuse_without_donors(draft, name, stated[0])
        if tied(draft, name) and not facts_of(stated[0]).density:
            raise PlanError(
                f"{stated[1]!r} has no density, and {name!r} is drawn given an observed value that derives from it.",
                do=call("df.mice.impute", methods={name: "norm"}),
            )
        return stated
    column = draft.table[name]
    if is_constant(column):
        draft.events.append(f"{name!r} has one observed value: every missing value gets it")
        draft.events.append(said_of_marks(column))
        return METHODS["sample"], "sample", "constant"
    if column.kind is Kind.NOMINAL and column.n_levels > MOST_LEVELS:
        draft.events.append(many_levels(name, column.n_levels))
        return METHODS["sample"], "sample", f"{column.n_levels} levels"
    if (clustered := mixed_outcome(draft, name)) is not None:
        return clustered, "2l.norm", f"an outcome, by {clustered.unit}"
    label = CHAINED[column.kind]
    facts = facts_of(METHODS[label])
    if not facts.density and tied(draft, name):
        method, label, _ = beyond_donors(draft, name)
        return method, label, "drawn given what derives from it"
    known = draft.bounds.get(name)
    if facts.donors and known is not None and not (known.always and donors_within(draft, name)):
        return beyond_donors(draft, name)
    return METHODS[label], label, by_kind(column)


def _terms_of(draft: Draft, question: Question, name: Hashable) -> str:
    """The terms an analysis lends to a column's model: outcome, companions, and their products."""
    if name in question.outcome:
        return " + ".join(":".join(factors) for factors in question.terms.factors if factors)

    def uses(code: str) -> bool:
        return name in take_apart(code, draft.table.columns).variables

    companions = [
        code for factors in question.terms.factors if any(map(uses, factors)) for code in factors if not uses(code)
    ]
    mixed = [
        code_of(v) for factors in question.terms.factors for code in factors if uses(code)
        for v in take_apart(code, draft.table.columns).variables if v != name
    ]  # fmt: skip
    companions = list(dict.fromkeys([*companions, *mixed]))
    if question.facts.hazard:
        outcome = hazard_of(question, draft.table, log_time=False)
        return f"({outcome}) * ({' + '.join(companions)})" if companions else outcome
    if not companions:
        return ""
    return f"({' + '.join(code_of(v) for v in question.outcome)}) * ({' + '.join(companions)})"

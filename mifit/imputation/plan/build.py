"""Build the plan of one table from its questions and options."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from ...formula.derived import Derived
from ...formula.design import Designs
from ...formula.question import Question
from ...frame.kinds import Kind
from ...frame.table import Table
from ..methods import method_of_option
from .analysis_weights import check_weights_as
from .chained import plan_chained
from .check_analysis import check_keywords
from .deductive import said_of_ids
from .draft import Draft
from .joint import plan_joint
from .levels import check_clusters
from .likelihoods import likelihood_of
from .made_columns import said_of_made
from .methods_by_kind import spread
from .options import Options
from .plan import Plan
from .restrictions import apply_restrictions, check_weights
from .skip_rules import Skip
from .survival_times import doubts_of_times
from .usable_columns import check_options, set_aside

__all__ = ["build"]


def build(
    table: Table, questions: Sequence[Question], options: Options, scope: Mapping[str, Any],
    skips: Mapping[Hashable, Skip] | None = None, derived: Sequence[Derived] = (),
) -> tuple[Plan, Designs]:  # fmt: skip
    """Decide what is done to every column; see :func:`~mifit.imputation.make_plan.make`."""
    check_options(table, options, bool(questions) and options.congeniality == "compatible")
    check_keywords(questions, table)
    check_clusters(options, table)
    options, _ = spread(options, table, set(), leave=True)
    excluded, events = set_aside(table, questions, options)
    mode = _mode(questions, table, options, events)
    drawn_by_analysis = {v for q in questions for v in q.outcome} if mode == "compatible" else set()
    options, said = spread(options, table, {*excluded, *drawn_by_analysis}, leave=False)
    events += said
    events += [*doubts_of_times(questions, table), *said_of_made(table, questions, options, excluded)]
    events += said_of_ids(table, questions, options)
    draft = Draft(
        table, tuple(questions), options, scope, mode, excluded, events, skips=skips or {}, derived=tuple(derived)
    )
    check_weights_as(draft)
    apply_restrictions(draft)
    draft.recode([n for n, option in options.methods.items() if _reads_numbers(option)], {Kind.ORDINAL})
    (plan_joint if mode == "compatible" else plan_chained)(draft)
    check_weights(draft)
    return draft.plan(), draft.designs


def _reads_numbers(option: Any) -> bool:
    """Whether a method draws numbers, and no levels of a rating scale."""
    if isinstance(option, str) and option == "leave":
        return False
    kinds = method_of_option(option).kinds
    return Kind.NUMERIC in kinds and Kind.ORDINAL not in kinds


def _mode(questions: Sequence[Question], table: Table, options: Options, events: list[str]) -> str:
    """How the analyses enter the imputation."""
    if not questions:
        return "plain"
    without = [q for q in questions if likelihood_of(q, table) is None]
    if options.congeniality == "compatible" and without:
        words = f" with {', '.join(without[0].keywords)}" if without[0].keywords else ""
        events.append(
            f"model {without[0].model!r}{words} has no compatible draws: its terms serve as predictors (approximate)"
        )
        return "terms"
    return options.congeniality

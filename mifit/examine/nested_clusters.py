"""Analyses of clusters: which of those declared leave room for another one, and what its clusters were never given."""

from __future__ import annotations

from collections.abc import Hashable

from ..formula.design import Designs, covered
from ..formula.question import Question, ask_right, resolve
from ..formula.source import sourced
from ..frame.table import Table
from ..imputation.contract import facts_of
from ..imputation.plan.likelihoods import AROUND, likelihood_of
from ..imputation.plan.plan import Plan

__all__ = ["declared_mixed", "never_differed", "working_model"]


def declared_mixed(plan: Plan, question: Question, table: Table) -> list[Question]:
    """The declared linear mixed analyses whose clusters are those of another linear analysis, or that has none.

    Parameters
    ----------
    plan : Plan
    question : Question
        The analysis asked for.
    table : Table

    Returns
    -------
    list of Question
        Empty where the imputations know nothing of its clusters, or it is not linear.
    """
    unit, facts, words = question.keywords.get("groups"), question.facts, question.keywords
    linear = facts.clustered or facts.family == ("Gaussian", "Identity")
    linear = linear and type(words.get("family")).__name__ in ("NoneType", "Gaussian")
    linear = linear and all(words.get(word) is None for word in AROUND)
    found = []
    for declared in plan.questions if linear else ():
        method = likelihood_of(declared, table)
        same = declared.terms.outcome == question.terms.outcome and unit in (None, declared.keywords.get("groups"))
        if method is not None and facts_of(method).clustered and same:
            found.append(declared)
    return found


def working_model(question: Question, table: Table) -> str:
    """Why an estimating equation is approximate; empty where its draws have its mean, or it is none."""
    method = likelihood_of(question, table)
    if method is None or not (question.facts.by_family and facts_of(method).clustered and facts_of(method).link):
        return ""
    return "drawn from the mixed model of the same terms"


def never_differed(question: Question, declared: list[Question], designs: Designs) -> tuple[str, ...]:
    """Terms that differ by cluster in an analysis, and in none of those declared."""
    known = [designs.of(_random(one, designs.table)) for one in declared]
    asked = _random(question, designs.table)
    if not question.facts.clustered or question.facts.by_family or covered(designs.of(asked), known):
        return ()
    beyond = []
    for code in asked.terms.codes:
        alone = ask_right("1" if code == "Intercept" else f"0 + {code}", designs.table, resolve(question.names))
        if not covered(designs.of(alone), known):
            beyond.append("the level" if code == "Intercept" else f"the slope of {code}")
    return tuple(beyond) or ("its effects",)


def _random(question: Question, table: Table) -> Question:
    """The right side of what differs by cluster."""
    given: Hashable = question.keywords.get("re_formula")
    right = sourced(given.rpartition("~")[2], given) if isinstance(given, str) else "1"
    return ask_right(right, table, resolve(question.names))

"""The certificate: whether an analysis fits the imputations it is made on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..formula.design import Design, covered, freeze
from ..formula.identity import likelihood
from ..formula.question import Question, ask, resolve
from ..formula.terms import code_of
from ..frame.table import Table
from ..impute.methods import name_of
from ..impute.plan import Plan

__all__ = ["Verdict", "verdict"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One word on an analysis, and why.

    ``exact``: the declared analysis. ``implied``: nested in it. ``approximate``: the draws use a working model.
    ``absent``: the imputations never saw it. ``unknown``: the sets were made elsewhere.
    """

    word: str
    reason: str
    unseen: tuple[str, ...] = ()  #: terms of the analysis outside the span of the imputation's

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


def verdict(plan: Plan | None, table: Table, question: Question, robust: bool = False) -> Verdict:
    """Compare an analysis with what the imputations were made for.

    Parameters
    ----------
    plan : Plan or None
        None for sets made elsewhere.
    table : Table
    question : Question
        The analysis asked for.
    robust : bool, default False
        Whether its covariance does without the likelihood.

    Returns
    -------
    Verdict

    Notes
    -----
    Span and likelihood decide, not labels: the columns of the frozen design must lie in the span of the imputation
    model's for the same outcome, family, link and keywords.
    """
    if plan is None:
        return Verdict("unknown", "the sets were made elsewhere")
    used = (*question.variables(table), *question.reserved(table))
    if not any(len(table[name].missing) for name in used):
        return Verdict("exact", "no imputed value is used")
    design = freeze(question, table)
    found = _by_mode(plan, table, question, design)
    if robust and found.word in ("exact", "implied"):
        return Verdict("approximate", "the draws use the model's likelihood, the standard errors do not")
    return found


def _by_mode(plan: Plan, table: Table, question: Question, design: Design) -> Verdict:
    """The verdict of a plan on an analysis that uses imputed values."""
    if plan.mode in ("plain", "ignore"):
        said = "no analysis declared" if plan.mode == "plain" else "the analysis ignored, as asked"
        usual = likelihood(question)[2:] in (("Gaussian", "Identity"), ("Binomial", "Logit"))
        straight = _straight_outcome(question, table)
        if usual and straight and _main_effects(design):
            return Verdict("approximate", f"chained equations with main effects, {said}")
        beyond = _beyond(design, []) if straight else (question.terms.outcome,)
        what = ", ".join(beyond) or f"model {question.model!r}"
        return Verdict(
            "absent", f"{what} never declared" if plan.mode == "plain" else f"{what} ignored, as asked", beyond
        )
    same = [q for q in plan.questions if likelihood(q) == likelihood(question)]
    if not same:
        declared = "; ".join(f"{q.formula} ({_shown(q)})" for q in plan.questions)
        return Verdict("absent", f"declared was {declared}")
    known = [freeze(_widened(q, plan, table), table) for q in same]
    if not covered(design, known):
        beyond = _beyond(design, known)
        return Verdict("absent", f"the imputations never saw {', '.join(beyond)}", beyond)
    if plan.mode == "terms":
        return Verdict("approximate", "analysis terms as predictors")
    twofold = _drawn_as_levels(plan, question)
    if twofold:
        return Verdict("approximate", twofold)
    if any(covered(freeze(q, table), [design]) for q in same):
        return Verdict("exact", "as declared")
    return Verdict("implied", f"nested in {' and '.join(q.formula for q in same)}")


def _drawn_as_levels(plan: Plan, question: Question) -> str:
    """Why an analysis of numbers whose incomplete outcome has two values is approximate; empty where it is not."""
    for factor in plan.factors:
        declared = None if factor.question is None else plan.questions[factor.question]
        if declared is None or likelihood(declared) != likelihood(question) or name_of(factor.method) != "logistic":
            continue
        if likelihood(question)[2:4] != ("Binomial", "Logit"):
            return f"{question.terms.outcome} has two values and is drawn by logistic"
    return ""


def _shown(question: Question) -> str:
    """A model as a reason names it, a generalized linear one with family and link."""
    if question.model != "glm":
        return question.model
    return f"glm, {', '.join(map(str, likelihood(question)[2:4]))}"


def _widened(question: Question, plan: Plan, table: Table) -> Question:
    """The outcome's formula with the baseline auxiliaries that joined it."""
    auxiliary = plan.wishes.auxiliary
    baseline = auxiliary.get("baseline", ()) if isinstance(auxiliary, Mapping) else ()
    if not baseline or plan.mode != "compatible":
        return question
    formula = " + ".join([question.formula, *map(code_of, baseline)])
    return ask(formula, table, model=question.model, keywords=question.keywords, scope=resolve(question.names))


def _straight_outcome(question: Question, table: Table) -> bool:
    """Whether the outcome is a column as it stands, or affine in one."""
    inverse = question.inverse(table)
    return question.bare or (inverse is not None and inverse.name in ("identity", "affine"))


def _main_effects(design: Design) -> bool:
    """Whether every column is a variable as it stands, or a level of one."""
    return not _beyond(design, [])


def _beyond(design: Design, known: Sequence[Design]) -> tuple[str, ...]:
    """Terms with a column outside the span of other designs; without any, terms that are no main effects."""
    codes = design.question.terms.codes
    found: dict[str, None] = {}
    for column in design.columns:
        alone = Design(design.question, design.table, (column,), design.blocks, design.info)
        if known:
            outside = not covered(alone, known)
        else:
            parts = [design.blocks[block] for block, _, _ in column.parts]
            outside = len(parts) > 1 or any(not b.bare and (b.lookup is None or b.categories is None) for b in parts)
            outside = outside and not (len(parts) == 1 and _is_level(parts[0], column.variables))
            if outside and len(column.variables) == 1:  # center(x) is x
                outside = not alone.affine_in(next(iter(column.variables)))
        if outside:
            found[codes[column.term]] = None
    return tuple(found)


def _is_level(block: Any, variables: frozenset[Hashable]) -> bool:
    """Whether a factor is one discrete variable by its number."""
    return block.lookup is not None and len(variables) == 1

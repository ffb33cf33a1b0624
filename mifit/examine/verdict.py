"""The certificate: whether an analysis fits the imputations it is made on."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formula.design import Design, Designs, covered
from ..formula.identity import likelihood
from ..formula.question import Question, ask, resolve
from ..formula.source import sourced
from ..formula.terms import code_of, take_apart
from ..frame.table import Table
from ..imputation.plan.defaults import constant_within
from ..imputation.plan.error_law import DECLARED, ErrorLaw
from ..imputation.plan.plan import Plan
from ..imputation.plan.support import truncated_unawares
from ..imputation.plan.survival_times import late_cases
from ..imputation.plan.working_law import WorkingLaw
from ..typing import Rows
from .nested_clusters import declared_mixed, never_differed, working_model

__all__ = ["Verdict", "Where", "law_of", "verdict"]

_NOT_ROBUST = "the draws use the model's likelihood, the standard errors do not"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One word on an analysis, and why.

    ``exact``: the declared analysis, and nothing speaks against its likelihood. ``same mean``: the declared analysis,
    its error law learned from the data. ``implied``: nested in it. ``approximate``: the draws use a working model.
    ``absent``: the imputations never saw it. ``unknown``: the sets were made elsewhere.
    """

    word: str
    reason: str
    unseen: tuple[str, ...] = ()  #: terms of the analysis outside the span of the imputation's

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


@dataclass(frozen=True, slots=True, eq=False)
class Where:
    """The rows an analysis is asked of, where it is not all of them."""

    said: str  #: the query as the user wrote it; empty where no query chose the rows
    rows: Rows  #: positions that the analysis has in some set
    variables: tuple[Hashable, ...] = ()  #: columns that decide
    wide: Question | None = None  #: every term may differ inside and outside; None where no formula says it
    crossed: Question | None = None  #: every term interacts with those columns


def verdict(
    plan: Plan | None, designs: Designs, question: Question, robust: str = "", where: Where | None = None
) -> Verdict:
    """Compare an analysis with what the imputations were made for.

    Parameters
    ----------
    plan : Plan or None
        None for sets made elsewhere.
    designs : Designs
        Of analyses, on the table whose missing values were drawn.
    question : Question
        The analysis asked for.
    robust : str, default ""
        What its covariance allows for beyond the likelihood: "" for nothing, "spread" for unequal variances,
        "dependence" for rows that depend on one another.
    where : Where, optional
        The rows, if they are not all.

    Returns
    -------
    Verdict

    Notes
    -----
    Span and likelihood decide, not labels: the columns of the frozen design must lie in the span of the imputation
    model's for the same outcome, family, link and keywords. In some rows only, each column times the indicator of those
    rows must lie there too, or each term interact with the columns that decide which rows they are.
    """
    if plan is None:
        return Verdict("unknown", "the sets were made elsewhere")
    table = designs.table
    used = (*question.variables(table), *question.reserved(table))
    if not _imputed(table, used, where):
        return Verdict("exact", "no imputed value is used")
    design = designs.of(question)
    found = _by_mode(plan, designs, question, design)
    if where is not None and where.said and found.word != "absent":
        found = _in_rows(plan, designs, question, where, found)
    loose = _without_derived(plan, table, used) or _not_cut_off(plan, table, (*used, *question.outcome))
    loose = loose or late_cases(question, table)
    if loose and found.word in ("exact", "implied"):
        return Verdict("approximate", loose)
    if found.word not in ("exact", "implied"):
        return found
    law = law_of(plan, question)
    known = robust == "dependence" and plan.mode == "compatible" and declared_mixed(plan, question, table)
    if robust and not known and (robust != "spread" or law is None or not (law.learned or law.supported)):
        alone = "the draws take the rows for independent, the standard errors do not"
        found = Verdict("approximate", alone if law is not None and law.learned else _NOT_ROBUST)
    return found if law is None else _with_law(found, law)


def law_of(plan: Plan, question: Question) -> ErrorLaw | WorkingLaw | None:
    """The law of an analysis' outcome around its mean, where it is known."""
    for factor in plan.factors:
        declared = None if factor.question is None else plan.questions[factor.question]
        if declared is not None and likelihood(declared) == likelihood(question):
            return factor.law
    return None


def _with_law(found: Verdict, law: ErrorLaw | WorkingLaw) -> Verdict:
    """A verdict on the mean of an analysis, and what is known of its error law."""
    if law.doubt:
        more = "; error_law='learned'" if law.option == DECLARED and law.against else ""
        return Verdict("approximate", law.doubt + more)
    if found.word == "approximate" or not law.said:
        return found
    word = "same mean" if law.learned and found.word == "exact" else found.word
    return Verdict(word, f"{found.reason}; {law.said}")


def _without_derived(plan: Plan, table: Table, used: Sequence[Hashable]) -> str:
    """Which observed derived values the draws of several missing parents did not know; empty where there are none."""
    unit = plan.options.id
    for name, code in plan.options.derived.items() if unit is not None else ():
        parents = take_apart(code, table.columns).variables
        rows = np.setdiff1d(np.concatenate([table[p].missing for p in parents]), table[name].missing)
        shared = any(constant_within(table, p, unit) for p in parents)
        if len(rows) and shared and {*parents} & {*used}:
            return f"parents of {name} were drawn without it in {len(rows)} rows where it was observed"
    return ""


def _not_cut_off(plan: Plan, table: Table, used: Sequence[Hashable]) -> str:
    """Which truncated column is drawn from a model that knows of no truncation; empty where there is none."""
    for v in (v for v in plan.variables if v.name in used and v.n_missing):
        if truncated_unawares(v.bounds, v.name, v.role, v.method, plan.questions, table):
            return f"{v.name} is truncated, its model is not: only its draws are"
    return ""


def _imputed(table: Table, used: Sequence[Hashable], where: Where | None) -> bool:
    """Whether an analysis uses imputed values, in its rows or to choose them."""
    if where is None:
        return any(len(table[name].missing) for name in used)
    chosen = any(len(table[name].missing) for name in where.variables)
    return chosen or any(np.isin(table[name].missing, where.rows).any() for name in used)


def _in_rows(plan: Plan, designs: Designs, question: Question, where: Where, found: Verdict) -> Verdict:
    """The verdict on an analysis of some rows, from that on the same analysis of all rows."""
    if where.wide is None or where.crossed is None:
        return Verdict("absent", f"nothing says what the rows of {where.said} have in common")
    table = designs.table
    least = min(50 * table.n_rows // len(where.rows), 50_000)  # probe rows, so that the chosen ones are among them
    same = [q for q in plan.questions if likelihood(q) == likelihood(question)]
    known = [designs.of(_widened(q, plan, table)) for q in same]
    wide, crossed = designs.of(where.wide), designs.of(where.crossed)
    if known and (covered(wide, known, least) or covered(crossed, known, least)):
        if found.word == "approximate":
            return found
        if question.facts.shared:
            return Verdict("approximate", f"{question.facts.shared} for all rows, not for {where.said} alone")
        return Verdict("implied", f"{' and '.join(q.formula for q in same)} lets every term differ by {where.said}")
    codes = wide.question.terms.codes
    beyond = {codes.index(code) for code in _beyond(wide, known, least)} if known else set(range(len(codes)))
    unseen = _differing(question, wide.question, beyond)
    shown = ", ".join(unseen)
    return Verdict("absent", f"the imputations never let {shown} differ by {where.said}", unseen)


def _differing(question: Question, wide: Question, beyond: set[int]) -> tuple[str, ...]:
    """Terms of a question whose widening is among the terms that the imputations never saw."""
    own = {frozenset(factors): code for factors, code in zip(question.terms.factors, question.terms.codes, strict=True)}
    outside = [frozenset(wide.terms.factors[i]) for i in beyond]
    found = {code for factors, code in own.items() for one in outside if factors <= one and len(one - factors) <= 1}
    return tuple(code for code in question.terms.codes if code in found) or question.terms.codes


def _by_mode(plan: Plan, designs: Designs, question: Question, design: Design) -> Verdict:
    """The verdict of a plan on an analysis that uses imputed values."""
    if plan.mode in ("plain", "ignore"):
        said = "no analysis declared" if plan.mode == "plain" else "the analysis ignored, as asked"
        usual = likelihood(question)[2:] in (("Gaussian", "Identity"), ("Binomial", "Logit"))
        straight = _straight_outcome(question, designs.table)
        if usual and straight and _main_effects(design):
            return Verdict("approximate", f"chained equations with main effects, {said}")
        beyond = _beyond(design, []) if straight else (question.terms.outcome,)
        what = ", ".join(beyond) or f"model {question.model!r}"
        return Verdict(
            "absent", f"{what} never declared" if plan.mode == "plain" else f"{what} ignored, as asked", beyond
        )
    same = [q for q in plan.questions if likelihood(q) == likelihood(question)]
    wider = [] if same or plan.mode != "compatible" else declared_mixed(plan, question, designs.table)
    if wider:
        same, beyond = wider, never_differed(question, wider, designs)
        if beyond:
            unit = question.keywords.get("groups")
            return Verdict("absent", f"the imputations never let {', '.join(beyond)} differ by {unit}")
    if not same:
        declared = "; ".join(f"{q.formula} ({_shown(q)})" for q in plan.questions)
        return Verdict("absent", f"declared was {declared}")
    known = [designs.of(_widened(q, plan, designs.table)) for q in same]
    if not covered(design, known):
        beyond = _beyond(design, known)
        return Verdict("absent", f"the imputations never saw {', '.join(beyond)}", beyond)
    if plan.mode == "terms":
        return Verdict("approximate", "analysis terms as predictors")
    if loose := _without_weights(plan, question):
        return Verdict("approximate", loose)
    before = list(dict.fromkeys(one.terms.outcome for q in same for one in _earlier(q, plan)))
    if before and likelihood(question)[2:4] != ("Gaussian", "Identity"):
        return Verdict("approximate", f"drawn in sequence, given {', '.join(before)} too")
    if loose := working_model(question, designs.table):
        return Verdict("approximate", loose)
    if not wider and any(covered(designs.of(q), [design]) for q in same):
        return Verdict("exact", "as declared")
    return Verdict("implied", f"nested in {' and '.join(q.formula for q in same)}")


_BESIDE = {
    "predictor": ", the weight among the predictors of the covariates",
    "auxiliary": ", the weight an auxiliary that follows the outcome",
    "none": "",
}


def _without_weights(plan: Plan, question: Question) -> str:
    """Why a weighted analysis is approximate; empty where its weights are part of the draws, or it has none."""
    for factor in plan.factors:
        declared = None if factor.question is None else plan.questions[factor.question]
        if declared is not None and likelihood(declared) == likelihood(question) and factor.weighting != "likelihood":
            return f"drawn without weights{_BESIDE.get(factor.weighting, '')}"
    return ""


def _shown(question: Question) -> str:
    """A model as a reason names it, a generalized linear one with family and link."""
    if not question.facts.by_family:
        return question.model
    return ", ".join(dict.fromkeys(filter(None, [question.model, *map(str, likelihood(question)[2:4])])))


def _widened(question: Question, plan: Plan, table: Table) -> Question:
    """The outcome's formula with what joined it: baseline auxiliaries, earlier outcomes of a sequence."""
    if plan.mode != "compatible":
        return question
    auxiliary = plan.options.auxiliary
    joined = [code_of(name) for name in (auxiliary.get("baseline", ()) if isinstance(auxiliary, Mapping) else ())]
    joined += [one.terms.outcome for one in _earlier(question, plan)]
    if not joined:
        return question
    formula = sourced(" + ".join([question.formula, *joined]), question.formula)
    names = {**resolve(question.names), **{k: v for q in plan.questions for k, v in resolve(q.names).items()}}
    return ask(formula, table, model=question.model, keywords=question.keywords, scope=names)


def _earlier(question: Question, plan: Plan) -> list[Question]:
    """Analyses whose outcomes come before a declared one's in a sequence and stand in formulas as they are."""
    if plan.options.link != "sequence":
        return []
    first = next(n for n, q in enumerate(plan.questions) if likelihood(q) == likelihood(question))
    before = {q.terms.outcome: q for q in plan.questions[:first] if not q.facts.hazard}
    return [q for code, q in before.items() if code != question.terms.outcome]


def _straight_outcome(question: Question, table: Table) -> bool:
    """Whether the outcome is a column as it stands, or affine in one."""
    inverse = question.inverse(table)
    return question.bare or (inverse is not None and inverse.name in ("identity", "affine"))


def _main_effects(design: Design) -> bool:
    """Whether every column is a variable as it stands, or a level of one."""
    return not _beyond(design, [])


def _beyond(design: Design, known: Sequence[Design], least: int = 50) -> tuple[str, ...]:
    """Terms with a column outside the span of other designs; without any, terms that are no main effects."""
    codes = design.question.terms.codes
    found: dict[str, None] = {}
    for column in design.columns:
        alone = Design(design.question, design.table, (column,), design.blocks, design.info)
        if known:
            outside = not covered(alone, known, least)
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

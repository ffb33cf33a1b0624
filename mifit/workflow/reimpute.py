"""Impute again for an analysis that the imputations did not foresee, with all other options unchanged."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .. import errors
from ..calls import Advice
from ..errors import CongenialityError, CongenialityWarning, MifitError
from ..examine.verdict import Verdict, Where
from ..formula.derived import substitute
from ..formula.identity import likelihood
from ..formula.query import widened_by
from ..formula.question import Question, ask, caller_scope, resolve
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..record.record import Present, Record
from ..record.request import IMPUTE, request_of
from .prepare import planned, prepare
from .run import chains_of
from .stopping import salvaged

__all__ = ["call_for", "foreseen", "meant", "reimputed", "scope_for"]


def reimputed(
    record: Record,
    analysis: Question,
    found: Verdict,
    where: Where | None,
    uncovered: str,
    n_jobs: int | None,
    present: Present,
) -> Record:
    """Impute again for an analysis that was not foreseen, or refuse."""
    question = meant(analysis, where)
    assert record.plan is not None
    if where is not None and where.said and where.wide is None:
        raise CongenialityError(
            f"the analysis of {where.said} was not foreseen, and no condition describes those rows.",
            analysis=analysis.formula, otherwise="uncovered='ignore' fits it as it is",
            do=errors.call("df.assign(chosen=mask).mice.impute", widened_by(analysis.formula, ["chosen"]))
            .after("imp = "),
        )  # fmt: skip
    shown, do = call_for(record, question)
    pairs = zip(record.written, record.plan.questions, strict=True)
    declared = tuple(q for one, q in pairs if one in shown[:-1])
    questions = (*declared, foreseen(record, question))
    if uncovered == "raise":
        advised, apart = _advised(record, question, shown, do)
        raise CongenialityError(
            "the analysis was not foreseen by the imputations.",
            analysis=analysis.formula, reason=found.reason, **({"declared": apart} if apart else {}), do=advised,
        )  # fmt: skip
    started = time.perf_counter()
    scope = scope_for(record)
    again, without = _replanned(record, questions, shown, scope, analysis, do)
    plan = again.plan
    assert plan is not None
    do = call_for(record, question, plan)[1]
    both, apart = _advised(record, question, shown, do)
    do = do if apart else both
    sweeps = plan.iterations + max(record.iterations - record.plan.iterations, 0)  # as many more as were asked for

    again = again.with_chains((), record.seed)

    def partial(chains: Sequence[Chain]) -> Any:
        return present(again.with_chains(chains))

    with salvaged(partial, record.m, lambda: errors.call(IMPUTE, checkpoint="chains").after("imp = ").joined(do)):
        done = again.with_chains(chains_of(again, range(record.m), sweeps, n_jobs))
    seconds = time.perf_counter() - started
    if without:
        found = dataclasses.replace(found, reason=f"{found.reason}; its terms serve as predictors, as {without}")
    text = f"{analysis.formula}: {found.reason}. Imputed again in {seconds:.1f} s; to avoid it: {do}"
    errors.warn(text, CongenialityWarning)
    return done


def _advised(record: Record, question: Question, shown: Sequence[str], do: Advice) -> tuple[Advice, str]:
    """The call for an analysis beside all that were declared, else for itself under another name; why not beside them.

    Without it two analyses that were not foreseen take turns: the call for one makes imputations without the other.
    """
    plan = record.plan
    left = [one for one in record.written if one not in shown]
    if plan is None or not left:
        return do, ""
    alike = all(q.model == question.model and q.keywords == question.keywords for q in record.questions)
    every = [*record.written, question.formula]
    if alike:
        try:
            scope = scope_for(record)
            read_in, events = prepare(record.frame, plan.options, scope)
            planned(read_in, (*plan.questions, foreseen(record, question)), plan.options, scope, every, events)
        except MifitError as error:
            return do.with_name("imp2"), error.fact
        model = question.model if question.said == f"model={question.model!r}" else ""
        return request_of(plan, record.m, record.seed, every, model, question.keywords).after("imp = "), ""
    return do.with_name("imp2"), f"{left[0]}, by another model"


def _replanned(
    record: Record,
    questions: Sequence[Question],
    shown: Sequence[str],
    scope: Mapping[str, Any],
    analysis: Question,
    do: Advice,
) -> tuple[Record, str]:
    """The plan for analyses that were not foreseen, with every option of before; why it has no compatible draws.

    Plain chained equations grant options that compatible draws cannot: weights of the imputation models, methods
    without a density, predictors that name the outcome. Weights that the analysis has itself are its own. Otherwise the
    terms of the analysis become predictors of the same equations, which keeps all that was asked for.
    """
    assert record.plan is not None
    options = record.plan.options
    if options.weights is not None and _weighs(questions[-1], options.weights):
        options = dataclasses.replace(options, weights=None)
    tried, first = [options], None
    if options.congeniality == "compatible":
        tried.append(dataclasses.replace(record.plan.options, congeniality="terms"))
    for attempt in tried:
        try:
            read_in, events = prepare(record.frame, attempt, scope)
            found = planned(read_in, questions, attempt, scope, shown, events)
        except MifitError as error:
            first = first or error
        else:
            return found, "" if first is None else first.fact.rstrip(".")
    assert first is not None
    first.complete(do)
    raise CongenialityError(
        f"the analysis was not foreseen, and imputing again with the same options fails: {first.fact}",
        analysis=analysis.formula, do=first.do or do,
    ) from first  # fmt: skip


def _weighs(question: Question, weights: Any) -> bool:
    """Whether an analysis has the weights of the imputation models itself."""
    name = next(iter(weights.values())) if isinstance(weights, Mapping) else weights
    return any(
        question.keywords.get(word) == name
        for word in ("weights", "freq_weights", "var_weights")
        if isinstance(question.keywords.get(word), str)
    )


def foreseen(record: Record, question: Question) -> Question:
    """An analysis in terms of drawn columns: derived ones replaced by their expressions."""
    if not record.derived:
        return question
    formula = substitute(question.formula, record.derived)
    scope = {**_derived_scope(record), **resolve(question.names)}
    asked = ask(formula, record.table.given, model=question.model, keywords=question.keywords, scope=scope)
    return dataclasses.replace(asked, said=question.said)


def call_for(record: Record, question: Question, plan: Plan | None = None) -> tuple[list[str], Advice]:
    """Formulas that imputations for an analysis would be made for, and the call, with the options of a plan."""
    declared = record.questions
    joins = bool(declared) and all(likelihood(q) == likelihood(question) for q in declared)
    shown = [*(one for one in record.written if joins and one != question.formula), question.formula]
    model = question.model if question.said == f"model={question.model!r}" else ""
    again = request_of(plan or record.plan, record.m, record.seed, shown, model, question.keywords)
    return shown, again.after("imp = ")


def scope_for(record: Record) -> dict[str, Any]:
    """The variables that formulas may use when sets are drawn again: the caller's, and those of derived columns."""
    return {**caller_scope(), **_derived_scope(record)}


def _derived_scope(record: Record) -> dict[str, Any]:
    """Functions that derived columns are made with."""
    return {name: value for one in record.derived for name, value in resolve(one.names).items()}


def meant(question: Question, where: Where | None) -> Question:
    """The analysis that imputations must be made for: for a subset, one whose terms may differ inside it."""
    return question if where is None or where.wide is None else where.wide

"""From what the user asks of an imputed set to pooled results, imputing again for what was not foreseen.

The functions take the ImputedSet itself; it stands above them and hands them on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .. import errors
from ..analysis.fit import fit_one, fit_sets
from ..analysis.models import call, is_robust, model_name, spec, with_link
from ..calls import Advice
from ..errors import (
    CongenialityError,
    CongenialityWarning,
    ConvergenceWarning,
    DataError,
    FormulaError,
    MifitError,
    ModelError,
    PlanError,
    PoolingError,
)
from ..examine.certificate import certificate, judged
from ..examine.convergence import unsettled
from ..examine.verdict import Verdict, Where
from ..formula.derived import substitute
from ..formula.design import freeze
from ..formula.identity import likelihood
from ..formula.query import widened_by
from ..formula.question import Question, ask, ask_right, caller_scope, parsed, resolve
from ..imputation.plan.plan import Plan
from ..pooling.rubin import pool
from ..results.pooled import PooledResults
from .calls import IMPUTE, request_in, request_of
from .describe import header_of, notes_of, warn_of_times
from .prepare import Ground, by_column, chains_of, ground, planned, require_columns, scope_of
from .stopping import salvaged
from .subset import refuse_informed, sample_notes, sample_of, where_of

__all__ = ["Request", "call_for", "certified", "fitted", "foreseen", "question_of", "scope_for"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the user wrote; see :meth:`mifit.ImputedSet.fit` for each word."""

    formula: str | None = None
    model: Any = None
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: words of the model and of its fit
    fit_kwds: Mapping[str, Any] | None = None
    dfcom: float | None = None
    df_method: str = "barnard-rubin"
    uncovered: str = "reimpute"
    keep: str | None = None
    n_jobs: int | None = None
    subset: Any = None
    varying_n: bool = False
    drop_imputed_outcome: bool = False


def fitted(imp: Any, asked: Request) -> PooledResults:
    """Fit an analysis to each set of an ImputedSet and pool; see :meth:`mifit.ImputedSet.fit`."""
    _refuse(asked)
    try:
        return _fitted(imp, asked)
    except FormulaError as error:
        # what is wrong with a formula is found before anyone knows who asked
        if isinstance(error.do, Advice) and (error.do.formula or error.do.words):
            error.complete(_asked(asked), "imp.fit")
        raise
    except MifitError as error:
        error.complete(_asked(asked))
        error.complete(request_of(imp.plan, imp.m, imp._seed))
        raise


def _asked(asked: Request) -> Advice:
    """The call of ``fit`` as the user wrote it."""
    usual, model = Request(), asked.model
    with contextlib.suppress(ModelError):  # of a class that is no model the name alone is known
        model = model if isinstance(model, str | None) else model_name(model)
    words = {"model": model, **asked.keywords}
    for name in [one.name for one in dataclasses.fields(Request)[3:]]:
        given, nothing = getattr(asked, name), getattr(usual, name)
        if given is not nothing and not (isinstance(given, str) and given == nothing):
            words[name] = given
    return request_in("imp.fit", asked.formula, words)


def _fitted(imp: Any, asked: Request) -> PooledResults:
    """Fit an analysis whose words are known."""
    question, words = question_of(imp, asked)
    if asked.drop_imputed_outcome:
        refuse_informed(imp.plan, question, imp._table)
    if imp.m < 2:
        cure = f"imp.extend(m=19).fit({question.formula!r})"
        raise PoolingError(
            "one completed set has no between-imputation variance: at least 2 are needed to pool.",
            do=errors.call(IMPUTE, question.formula, m=20) if imp.plan is None else cure,
        )
    sample = sample_of(imp, question, asked)
    where = where_of(imp, question, asked, sample)
    robust, written_out = is_robust(words.cov_type) or bool(words.clusters), foreseen(imp, question)
    found, doubt = judged(imp.plan, imp._ground.known, written_out, question, robust, where)
    used = imp
    if likelihood(question) not in map(likelihood, imp.plan.questions if imp.plan else ()):
        warn_of_times([question], imp._table, lambda: request_of(imp.plan, imp.m, imp._seed))
    if found.word == "absent" and asked.uncovered != "ignore" and imp.plan is not None and imp.plan.mode != "ignore":
        used = _again(imp, question, found, asked, where)
        sample = sample_of(used, question, asked)
        found, doubt = judged(used.plan, used._ground.known, written_out, question, robust, where)
        if found.word == "exact" or (where is not None and found.word == "implied"):
            found = dataclasses.replace(found, reason="imputed again for it")
    if doubt:
        errors.warn(f"{question.formula}: {doubt}.", CongenialityWarning)
    if used.plan is not None and (against := unsettled(used._settled, used.iterations)):
        cure = f"imp = imp.extend(iterations={used.iterations}); imp.convergence()"
        errors.warn(f"the chains may not have settled: {against}. Do: {cure}", ConvergenceWarning)
    beside = [ask_right(one, imp._table, caller_scope()) for one in words.formulas]
    named = [*words.columns, *(v for one in beside for v in one.variables(imp._table))]
    _require_complete(used, question, named)
    design, completed = freeze(question, used._ground.known), sample  # the knots of the imputation
    fits = fit_sets(design, completed, words, keep=asked.keep == "results", n_jobs=asked.n_jobs, dfcom=asked.dfcom)
    pooled = pool(fits.estimates, fits.covariances, fits.df_complete, asked.df_method, names=fits.names)
    return PooledResults(
        pooled, fits, refit=lambda k: fit_one(design, completed, words, k),
        header=header_of(used, question, asked.subset),
        notes=[*sample_notes(used, question, asked, sample), *notes_of(used)],
        imputations=used, congeniality=found, design=design, completed=completed, call=words,
        incomplete=_incomplete(used, [*question.variables(used._table), *question.outcome, *named], completed),
    )  # fmt: skip


def certified(imp: Any, asked: Request) -> pd.DataFrame:
    """Judge an analysis term by term; see :meth:`mifit.ImputedSet.check`."""
    question, words = question_of(imp, asked)
    robust = is_robust(words.cov_type) or bool(words.clusters)
    where = where_of(imp, question, asked, sample_of(imp, question, asked))
    do = call_for(imp, _meant(question, where))[1]
    return certificate(imp.plan, imp._ground.known, foreseen(imp, question), question, robust, do, where)


def question_of(imp: Any, asked: Request) -> tuple[Question, Any]:
    """The analysis asked for, its words sorted by who takes them; what was declared of it is inherited."""
    formula, (model, keywords) = asked.formula, with_link(asked.model, asked.keywords)
    declared = imp.plan.questions if imp.plan else ()
    written = imp._written
    if formula is None and len(declared) != 1:
        calls = "  or  ".join(f'imp.fit("{one}")' for one in written) or 'imp.fit("y ~ x1 + x2")'
        raise PlanError(f"{len(declared) or 'no'} analyses were declared; say which to fit.", do=calls)
    formula = written[0] if formula is None else formula
    wanted = None if model is None else spec(model, str(formula), given=keywords).name
    pairs = zip(written, declared, strict=True)
    keywords = by_column(keywords, imp._table, [formula])
    same = [q for one, q in pairs if one == formula and wanted in (None, q.model)]
    outcome = parsed(formula, imp._table).outcome
    alike = [*same, *(q for q in declared if q.terms.outcome == outcome and wanted in (None, q.model))]
    if alike:
        model, keywords = alike[0].model, {**alike[0].keywords, **keywords}
    scope = scope_of(declared, same)
    name = spec(model).name if model is not None else ask(formula, imp._table, scope=scope).model
    words = call(name, keywords, asked.fit_kwds, formula)
    require_columns(imp._table, words)
    question = ask(formula, imp._table, model=model and name, keywords=words.init, scope=scope)
    if alike:
        question = dataclasses.replace(question, said=alike[0].said)
    return question, words


def foreseen(imp: Any, question: Question) -> Question:
    """An analysis in terms of what was drawn: derived columns written out."""
    if not imp._ground.derived:
        return question
    formula = substitute(question.formula, imp._ground.derived)
    scope = {**_derived_scope(imp), **resolve(question.names)}
    asked = ask(formula, imp._table, model=question.model, keywords=question.keywords, scope=scope)
    return dataclasses.replace(asked, said=question.said)


def call_for(imp: Any, question: Question, plan: Plan | None = None) -> tuple[list[str], Advice]:
    """Formulas that imputations for an analysis would be made for, and the call, with the wishes of a plan."""
    declared = imp.plan.questions if imp.plan else ()
    joins = bool(declared) and all(likelihood(q) == likelihood(question) for q in declared)
    shown = [*(one for one in imp._written if joins and one != question.formula), question.formula]
    model = question.model if question.said == f"model={question.model!r}" else ""
    again = request_of(plan or imp.plan, imp.m, imp._seed, shown, model, question.keywords)
    return shown, again.after("imp = ")


def _refuse(asked: Request) -> None:
    """Refuse words nobody knows."""
    if asked.uncovered not in ("reimpute", "raise", "ignore"):
        raise PlanError(
            f"uncovered is {asked.uncovered!r}.", known="reimpute, raise, ignore", do='imp.fit(uncovered="raise")'
        )
    if asked.keep not in (None, "results"):
        raise PlanError(f"keep is {asked.keep!r}.", known='None, "results"', do='imp.fit(keep="results")')


def scope_for(imp: Any) -> dict[str, Any]:
    """Where names are looked up when an imputed set is drawn anew: the caller's, and what derived columns need."""
    return {**caller_scope(), **_derived_scope(imp)}


def _derived_scope(imp: Any) -> dict[str, Any]:
    """Functions that derived columns are made with."""
    return {name: value for one in imp._ground.derived for name, value in resolve(one.names).items()}


def _meant(question: Question, where: Where | None) -> Question:
    """The analysis that imputations must be made for: of some rows, one whose terms may differ there."""
    return question if where is None or where.wide is None else where.wide


def _again(imp: Any, analysis: Question, found: Verdict, asked: Request, where: Where | None) -> Any:
    """Impute again for an analysis that was not foreseen, or refuse."""
    question = _meant(analysis, where)
    if where is not None and where.said and where.wide is None:
        raise CongenialityError(
            f"the analysis of {where.said} was not foreseen, and nothing says what those rows have in common.",
            analysis=analysis.formula, otherwise="uncovered='ignore' fits it as it is",
            do=errors.call("df.assign(chosen=mask).mice.impute", widened_by(analysis.formula, ["chosen"]))
            .after("imp = "),
        )  # fmt: skip
    shown, do = call_for(imp, question)
    pairs = zip(imp._written, imp.plan.questions, strict=True)
    declared = tuple(q for one, q in pairs if one in shown[:-1])
    questions = (*declared, foreseen(imp, question))
    if asked.uncovered == "raise":
        raise CongenialityError(
            "the analysis was not foreseen by the imputations.",
            analysis=analysis.formula, reason=found.reason, do=do,
        )  # fmt: skip
    started = time.perf_counter()
    scope = scope_for(imp)
    plan, given, without = _replanned(imp, questions, shown, scope, analysis, do)
    do = call_for(imp, question, plan)[1]
    sweeps = plan.iterations + max(imp.iterations - imp.plan.iterations, 0)  # as many more as were asked for

    def make(chains: Sequence[Any]) -> Any:
        return type(imp)(imp._frame, given, plan, chains, imp._seed)

    with salvaged(make, imp.m, lambda: errors.call(IMPUTE, checkpoint="chains").after("imp = ").joined(do)):
        again = make(chains_of(given, plan, range(imp.m), sweeps, imp._seed, asked.n_jobs, None))
    seconds = time.perf_counter() - started
    if without:
        found = dataclasses.replace(found, reason=f"{found.reason}; its terms serve as predictors, as {without}")
    text = f"{analysis.formula}: {found.reason}. Imputed again in {seconds:.1f} s; to avoid it: {do}"
    errors.warn(text, CongenialityWarning)
    return again


def _replanned(
    imp: Any,
    questions: Sequence[Question],
    shown: Sequence[str],
    scope: Mapping[str, Any],
    analysis: Question,
    do: Advice,
) -> tuple[Plan, Ground, str]:
    """The plan for analyses that were not foreseen, with every wish of before; why it is not one of compatible draws.

    Plain chained equations grant wishes that compatible draws cannot: weights of the imputation models, methods without
    a density, predictors that name the outcome. Weights that the analysis has itself are its own. Otherwise the terms
    of the analysis become predictors of the same equations, which keeps all that was asked for.
    """
    wishes = imp.plan.wishes
    if wishes.weights is not None and _weighs(questions[-1], wishes.weights):
        wishes = dataclasses.replace(wishes, weights=None)
    tried, first = [wishes], None
    if wishes.congeniality == "compatible":
        tried.append(dataclasses.replace(imp.plan.wishes, congeniality="terms"))
    for wished in tried:
        try:
            given, events = ground(imp._frame, wished, scope)
            plan, given = planned(given, questions, wished, scope, shown, events)
        except MifitError as error:
            first = first or error
        else:
            return plan, given, "" if first is None else first.fact.rstrip(".")
    assert first is not None
    first.complete(do)
    raise CongenialityError(
        f"the analysis was not foreseen, and imputing again as before fails: {first.fact}",
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


def _require_complete(imp: Any, question: Question, columns: Sequence[Hashable]) -> None:
    """Refuse an analysis of a column that was left with holes."""
    for name in dict.fromkeys((*question.variables(imp._table), *question.outcome, *columns)):
        column = imp._table.require(name, "the analysis")
        drawn = imp._completed.holes[0].get(name)
        kept = len(column.missing) if drawn is None else int(np.isnan(drawn).sum())
        if kept:
            raise DataError(
                f"the analysis needs {name!r}, which was not imputed and has {kept} holes.",
                do=errors.call(IMPUTE, question.formula, methods={name: None}).after("imp = "),
            )


def _incomplete(imp: Any, columns: Sequence[Hashable], sample: Any) -> tuple[str, ...]:
    """Columns of an analysis whose values were drawn in some of its rows."""
    rows = getattr(sample, "rows", None)
    known = imp._ground.known
    drawn = {name: known[name].missing for name in dict.fromkeys(columns) if name in known}
    kept = [n for n, missing in drawn.items() if (len(missing) if rows is None else np.isin(rows[0], missing).any())]
    return tuple(map(str, kept))

"""Fit an analysis to every completed set, and pool the results."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .. import errors
from ..analysis.fit import fit_one, fit_sets
from ..analysis.models import is_robust, model_name, sorted_words, spec, with_link
from ..calls import Advice
from ..errors import (
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
from ..formula.column_code import among
from ..formula.identity import likelihood
from ..formula.question import Question, ask, ask_right, caller_scope, parsed
from ..formula.terms import code_of
from ..frame.kinds import Kind
from ..pooling.rubin import pool
from ..record.record import Present, Record
from ..record.request import IMPUTE, request_in, request_of
from ..results.pooled import PooledResults
from .describe import convergence_of, header_of, notes_of, warn_of_times
from .prepare import by_column, require_columns, scope_of
from .reimpute import call_for, foreseen, meant, reimputed
from .subset import refuse_informed, sample_notes, sample_of, where_of

__all__ = ["FitArguments", "certified", "fitted", "question_of", "with_covariance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitArguments:
    """The arguments of ``fit``, unchecked; see :meth:`mifit.ImputedSet.fit`."""

    formula: str | None = None
    model: Any = None
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: words of the model and of its fit
    fit_kwds: Mapping[str, Any] | None = None
    dfcom: float | str | None = None
    df_method: str = "barnard-rubin"
    uncovered: str = "reimpute"
    keep: str | None = None
    n_jobs: int | None = None
    subset: Any = None
    varying_n: bool = False
    drop_imputed_outcome: bool = False


def with_covariance(keywords: Mapping[str, Any], cov_type: str | None) -> dict[str, Any]:
    """Keywords of an analysis, the type of its covariance among them."""
    return {**keywords, **({} if cov_type is None else {"cov_type": cov_type})}


def fitted(record: Record, given: FitArguments, present: Present) -> PooledResults:
    """Fit an analysis to each completed set and pool; see :meth:`mifit.ImputedSet.fit`.

    Parameters
    ----------
    record : Record
    given : FitArguments
    present : callable
        Makes what the user sees of a record, for the results: an ImputedSet.
    """
    _refuse(given)
    try:
        return _fitted(record, given, present)
    except FormulaError as error:
        # what is wrong with a formula is found before anyone knows who asked
        if isinstance(error.do, Advice) and (error.do.formula or error.do.words):
            error.complete(_call_of_fit(given), "imp.fit")
        raise
    except MifitError as error:
        error.complete(_call_of_fit(given))
        error.complete(request_of(record.plan, record.m, record.seed))
        error.rename({"mask": given.subset}, caller_scope())
        raise


def _call_of_fit(given: FitArguments) -> Advice:
    """The call of ``fit`` as the user wrote it."""
    usual, model = FitArguments(), given.model
    with contextlib.suppress(ModelError):  # of a class that is no model the name alone is known
        model = model if isinstance(model, str | None) else model_name(model)
    words = {"model": model, **given.keywords}
    for name in [
        one.name for one in dataclasses.fields(FitArguments) if one.name not in ("formula", "model", "keywords")
    ]:
        value, nothing = getattr(given, name), getattr(usual, name)
        if value is not nothing and not (isinstance(value, str) and value == nothing):
            words[name] = value
    return request_in("imp.fit", given.formula, words)


def _fitted(record: Record, given: FitArguments, present: Present) -> PooledResults:
    """Fit an analysis whose arguments were checked."""
    question, words = question_of(record, given)
    if given.drop_imputed_outcome:
        refuse_informed(record.plan, question, record.table.given)
    if record.m < 2:
        cure = f"imp.extend(m=19).fit({question.formula!r})"
        raise PoolingError(
            "one completed set has no between-imputation variance: at least 2 are needed to pool.",
            do=errors.call(IMPUTE, question.formula, m=20) if record.plan is None else cure,
        )
    sample = sample_of(record, question, given)
    where = where_of(record, question, given, sample)
    robust, written_out = _allowed_for(words), foreseen(record, question)
    found, doubt = judged(record.plan, record.designs, written_out, question, robust, where)
    used = record
    if likelihood(question) not in map(likelihood, record.questions):
        warn_of_times([question], record.table.given, lambda: request_of(record.plan, record.m, record.seed))
    if (
        found.word == "absent"
        and given.uncovered != "ignore"
        and record.plan is not None
        and record.plan.mode != "ignore"
    ):
        used = reimputed(record, question, found, where, given.uncovered, given.n_jobs, present)
        sample = sample_of(used, question, given)
        found, doubt = judged(used.plan, used.designs, written_out, question, robust, where)
        if where is not None and found.word == "implied":
            found = dataclasses.replace(found, reason="imputed again for it")
        elif found.word in ("exact", "same mean"):
            found = dataclasses.replace(found, reason=found.reason.replace("as declared", "imputed again for it"))
    if doubt:
        errors.warn(f"{question.formula}: {doubt}.", CongenialityWarning)
    if used.plan is not None and (against := unsettled(convergence_of(used), used.iterations)):
        cure = f"imp = imp.extend(iterations={used.iterations}); imp.convergence()"
        errors.warn(f"the chains may not have settled: {against}. Do: {cure}", ConvergenceWarning)
    beside = [ask_right(one, record.table.given, caller_scope()) for one in words.formulas]
    named = [*words.columns, *(v for one in beside for v in one.variables(record.table.given))]
    _require_complete(used, question, named)
    _refuse_drawn_clusters(used, question, words.clusters, sample)
    in_it = [*question.variables(used.table.given), *question.outcome]
    design, completed = used.design(question), sample  # the knots of the imputation
    fits = fit_sets(design, completed, words, keep=given.keep == "results", n_jobs=given.n_jobs, dfcom=given.dfcom)
    pooled = pool(fits.estimates, fits.covariances, fits.complete, given.df_method, names=fits.names)
    return PooledResults(
        pooled, fits, refit=lambda k: fit_one(design, completed, words, k),
        header=header_of(used, question, given.subset),
        notes=[*sample_notes(used, question, given, sample), *notes_of(used)],
        imputations=present(used), congeniality=found, design=design, completed=completed, call=words,
        incomplete=tuple(map(str, _incomplete(used, [*in_it, *named], sample))),
    )  # fmt: skip


def certified(record: Record, given: FitArguments) -> pd.DataFrame:
    """Judge an analysis term by term; see :meth:`mifit.ImputedSet.check`."""
    question, words = question_of(record, given)
    robust = _allowed_for(words)
    where = where_of(record, question, given, sample_of(record, question, given))
    do = call_for(record, meant(question, where))[1]
    return certificate(record.plan, record.designs, foreseen(record, question), question, robust, do, where)


def _allowed_for(words: Any) -> str:
    """What a covariance allows for beyond the likelihood: nothing, unequal spread, or dependence of rows."""
    if words.clusters or (is_robust(words.cov_type) and not str(words.cov_type).upper().startswith("HC")):
        return "dependence"
    return "spread" if is_robust(words.cov_type) else ""


def _of_numbers(record: Record) -> str:
    """A formula of columns of the frame, as an example: the numbers before other columns."""
    table = record.table.given
    usable = [name for name, column in table.columns.items() if column.kind is not Kind.OTHER]
    names = [code_of(name) for name in sorted(usable, key=lambda name: not table[name].number)][:3]
    return f"{names[0]} ~ {' + '.join(names[1:]) or 1}" if names else "y ~ x1 + x2"


def question_of(record: Record, given: FitArguments) -> tuple[Question, Any]:
    """The analysis to fit, and its keywords, of the model and of its fit; a declared analysis passes on its own."""
    formula, (model, keywords) = given.formula, with_link(given.model, given.keywords)
    declared = record.questions
    written = record.written
    if formula is None and len(declared) != 1:
        calls = "  or  ".join(str(errors.call("imp.fit", one)) for one in written or [_of_numbers(record)])
        raise PlanError(f"{len(declared) or 'no'} analyses were declared; say which to fit.", do=calls)
    formula = written[0] if formula is None else formula
    wanted = None if model is None else spec(model, str(formula), given=keywords).name
    pairs = zip(written, declared, strict=True)
    keywords = by_column(keywords, record.table.given, [formula])
    same = [q for one, q in pairs if one == formula and wanted in (None, q.model)]
    outcome = parsed(formula, record.table.given).outcome
    alike = [*same, *(q for q in declared if q.terms.outcome == outcome and wanted in (None, q.model))]
    if alike:
        model, keywords = alike[0].model, {**alike[0].keywords, **keywords}
    scope = scope_of(declared, same)
    name = spec(model).name if model is not None else ask(formula, record.table.given, scope=scope).model
    words = sorted_words(name, keywords, given.fit_kwds, formula)
    require_columns(record.table.given, words)
    question = ask(formula, record.table.given, model=model and name, keywords=words.init, scope=scope)
    if alike:
        question = dataclasses.replace(question, said=alike[0].said)
    return question, words


def _refuse(given: FitArguments) -> None:
    """Refuse unknown values of ``uncovered`` and ``keep``."""
    if given.uncovered not in ("reimpute", "raise", "ignore"):
        meant = "ignore" if str(given.uncovered).lower() in ("no", "none", "off", "false", "skip") else "raise"
        raise PlanError(
            f"uncovered is {given.uncovered!r}; it is 'reimpute', 'raise' or 'ignore'.",
            known="reimpute imputes again, raise refuses, ignore fits the sets as they are",
            do=errors.call("imp.fit", given.formula, uncovered=meant),
        )
    if given.keep not in (None, "results"):
        raise PlanError(f"keep is {given.keep!r}.", known='None, "results"', do='imp.fit(keep="results")')


def _require_complete(record: Record, question: Question, columns: Sequence[Hashable]) -> None:
    """Refuse an analysis of a column that was left with missing values."""
    for name in dict.fromkeys((*question.variables(record.table.given), *question.outcome, *columns)):
        column = record.table.given.require(name, "the analysis")
        drawn = record.completed.imputed[0].get(name)
        kept = len(column.missing) if drawn is None else int(np.isnan(drawn).sum())
        if kept:
            raise DataError(
                f"the analysis needs {name!r}, which was not imputed and has {kept} missing values.",
                do=errors.call(IMPUTE, question.formula, methods={name: None}).after("imp = "),
            )


def _refuse_drawn_clusters(record: Record, question: Question, clusters: Sequence[Hashable], sample: Any) -> None:
    """Refuse standard errors by clusters that were drawn: a row that changes its cluster ties together what is not."""
    for name in _incomplete(record, clusters, sample):
        many = len(record.table.filled[name].missing)
        raise DataError(
            f"{name!r} defines the clusters and was imputed in {many} rows: no standard errors by imputed clusters.",
            analysis=question.formula,
            do=among(f"df[{name!r}].notna()", f"a value of {name!r}"),
        )


def _incomplete(record: Record, columns: Sequence[Hashable], sample: Any) -> tuple[Hashable, ...]:
    """Columns of an analysis whose values were drawn in some of its rows."""
    rows = getattr(sample, "rows", None)
    known = record.table.filled
    drawn = {name: known[name].missing for name in dict.fromkeys(columns) if name in known}
    return tuple(n for n, gone in drawn.items() if (len(gone) if rows is None else np.isin(rows[0], gone).any()))

"""Read a frame, formulas and options into a record with its plan."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .. import errors
from ..analysis.models import Call, sorted_words, spec, with_link
from ..analysis.models import words as words_of
from ..calls import Advice, with_request, written
from ..errors import PlanError, listed
from ..formula.analyses_not_built import refuse_unbuilt
from ..formula.column_code import renamed
from ..formula.derived import numbers, substitute, understand
from ..formula.design import Designs
from ..formula.formulas_without_tilde import refuse_names
from ..formula.model_facts import USUAL_MODEL
from ..formula.question import Question, ask, caller_scope, resolve
from ..frame.completed import copied
from ..frame.kinds import Kind
from ..frame.masks import opened
from ..frame.table import Table, Views, check_frame, read
from ..frame.user_kinds import codings, recoded
from ..imputation.make_plan import make
from ..imputation.plan.analyses_of_marks import refuse_marks
from ..imputation.plan.check_arguments import options_of, refuse_words
from ..imputation.plan.deductive import (
    fill,
    refuse_chained,
    refuse_clustered,
    refuse_derived,
    refuse_derived_outcome,
    refuse_undefined,
    shared_parents,
    with_levels,
)
from ..imputation.plan.filled_before import refuse_filled
from ..imputation.plan.options import Arguments, Options
from ..imputation.plan.plan import Plan
from ..imputation.plan.rare_levels import collapsed, levels_together
from ..imputation.plan.skip_patterns import questionnaire
from ..record.record import Record
from ..record.request import IMPUTE, request_of

__all__ = ["by_column", "checked", "plan_for", "planned", "prepare", "require_columns", "scope_of", "with_plan"]


def prepare(frame: pd.DataFrame, options: Options, scope: Mapping[str, Any]) -> tuple[Record, list[str]]:
    """Read a frame, fill the missing values that follow from observed ones, and list what was filled."""
    events: list[str] = []
    if options.derived:
        check_frame(frame)
        refuse_derived(options, [*frame.columns, *options.derived])
        frame = _with_columns(frame, options.derived, scope)
    check_frame(frame)
    table = read(frame, codings(frame, options.kinds))
    if options.where is not None:
        table, more = opened(table, options.where)
        events += more
    table = recoded(table, [n for n in options.derived if n in table and table[n].number and table[n].kind.discrete])
    derived = understand(options.derived, table, scope)
    refuse_filled(derived, table, options.conditional)
    known, more = fill(table, derived, options.id)
    skipped, known, outside = questionnaire(options.conditional, derived, known, scope)
    shared = shared_parents(derived, known, options.id)
    events += [*more, *outside]
    return Record(frame, Views(table, known, known), Designs(known), derived, skipped, options.where, shared), events


def _with_columns(frame: pd.DataFrame, options: Mapping[Hashable, str], scope: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with the derived columns that it did not have, made where their parents are observed."""
    absent = [name for name in options if name not in frame.columns]
    if not absent:
        return frame
    wider = copied(frame)
    for name in absent:
        wider[name] = np.nan
    table = read(wider)
    for one in (one for one in understand(options, table, scope) if one.name in absent):
        wider[one.name] = one.value({p: numbers(table, p) for p in one.parents})
    return wider


def plan_for(frame: pd.DataFrame, given: Arguments) -> Record:
    """The record of a frame with the plan that was asked for."""
    check_frame(frame)
    scope, options, formula = caller_scope(), options_of(given, frame), given.formula
    read_in, events = prepare(frame, options, scope)
    formulas = [] if formula is None else [formula] if isinstance(formula, str) else formula
    if not isinstance(formulas, (list, tuple)):
        formulas = [formula]
    refuse_names(formulas, read_in.table.given)
    model, keywords = with_link(given.model, _of_model(given))
    models = _each(model, formulas)
    also = {} if given.weights is None else {"weights": given.weights}
    for one, wanted in zip(formulas, models, strict=True):
        refuse_unbuilt(wanted, {**keywords, **also}, one, read_in.table.given)
    pairs = list(zip(models, formulas, strict=True))
    names = [
        None if wanted is None else spec(wanted, str(one), "df.mice.impute", keywords).name for wanted, one in pairs
    ]
    taken_by = [init for init, _ in (words_of(name or USUAL_MODEL) for name in names)] if keywords else []
    refuse_words(keywords, Arguments.names(), frozenset().union(*taken_by), frame, formulas or None)
    if given.weights is not None and any(
        _takes_weights(name or ask(f, read_in.table.given, scope=scope).model)
        for f, name in zip(formulas, names, strict=True)
    ):
        keywords, options = {**keywords, "weights": given.weights}, dataclasses.replace(options, weights=None)
    keywords = by_column(keywords, read_in.table.given, formulas)
    questions = []
    for one, name in zip(formulas, names, strict=True):
        chosen = name or ask(one, read_in.table.given, scope=scope).model
        taken = _taken(keywords, chosen, names) if isinstance(model, (list, tuple)) else keywords
        words = sorted_words(chosen, taken, formula=one, verb="df.mice.impute")
        if words.fit:
            word, value = next(iter(words.fit.items()))
            raise PlanError(
                f"{word}= is an argument of fit(), not of impute().",
                do=errors.call(IMPUTE, **{word: None}).then(f".fit({word}={written(value, otherwise=word)})"),
            )
        if words.spec.groups and words.init.get("groups") is None:
            _refuse_no_groups(chosen, one, read_in.table.given)
        require_columns(read_in.table.given, words)
        spelled = substitute(one, read_in.derived) if read_in.derived else one
        questions.append(ask(spelled, read_in.table.given, model=name, keywords=dict(words.init), scope=scope))
    levels = with_levels(options, questions, read_in.table.given)
    if levels is not options:
        options, (read_in, events) = levels, prepare(frame, levels, scope)
    return planned(read_in, questions, options, scope, tuple(formulas), events)


def _refuse_no_groups(model: str, formula: str, table: Table) -> None:
    """Refuse a model of clusters without their column."""
    repeated = [
        n for n, c in table.columns.items()
        if not len(c.missing) and 2 < len(np.unique(c.values)) <= table.n_rows / 2 and c.kind is not Kind.OTHER
        and (not c.number or np.array_equal(c.values, np.rint(c.values)))
    ]  # fmt: skip
    named = [n for n in repeated if _CLUSTER.search(str(n))]
    group = next(iter([*named, *repeated]), None)
    raise PlanError(
        f"a {model} model needs to know the groups.",
        analysis=formula,
        do=errors.call(IMPUTE, formula, model="ols")
        if group is None
        else errors.call(IMPUTE, groups=group).then(f"  # if {group!r} says which rows belong together"),
    )


_CLUSTER = re.compile(
    r"id$|^id|subject|person|patient|cluster|group|site|cent(er|re)|school|clinic|hospital|household|family|pupil|region",
    re.IGNORECASE,
)


def _each(model: Any, formulas: Sequence[str]) -> list[Any]:
    """The model of each analysis: the same for all, or one each."""
    if not isinstance(model, (list, tuple)):
        if model is not None and not formulas:
            spec(model)  # an unknown name is refused even where nothing is analysed
        return [model] * len(formulas)
    if len(model) != len(formulas):
        raise PlanError(
            f"{len(model)} models for {len(formulas)} analyses.",
            do=errors.call(IMPUTE, model=(list(model) + [USUAL_MODEL] * len(formulas))[: len(formulas)]),
        )
    return list(model)


def _taken(keywords: Mapping[str, Any], model: str, models: Sequence[str | None]) -> dict[str, Any]:
    """The keywords that a model takes, and those that no model takes."""
    known = {name: frozenset().union(*words_of(name)) for name in {model, *filter(None, models)}}
    return {w: v for w, v in keywords.items() if w in known[model] or not any(w in one for one in known.values())}


def _takes_weights(model: str) -> bool:
    """Whether a model has the keyword weights."""
    return "weights" in words_of(model)[0]


def by_column(keywords: Mapping[str, Any], table: Table, formulas: Sequence[str]) -> dict[str, Any]:
    """Keywords with each array replaced by the name of the column that holds its values.

    If the frame holds the values of an array too, that column would be used twice: as a part of the analysis and as an
    auxiliary.
    """
    return {word: _column_of(word, value, table, formulas) for word, value in keywords.items()}


def _column_of(word: str, value: Any, table: Table, formulas: Sequence[str]) -> Any:
    """The name of the column with the values of an array, else the array; refused if it follows from a column."""
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != table.n_rows or np.ndim(value) != 1:
        return value
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return value
    for name, column in table.columns.items():
        if column.number and not len(column.missing) and np.array_equal(column.numbers(column.values), numbers):
            return name
    for name, column in table.columns.items():
        if column.number and not len(column.missing) and _follows(column.numbers(column.values), numbers):
            logarithm = word == "offset" and (column.values > 0).all() and np.allclose(np.log(column.values), numbers)
            array = written(value, caller_scope(), word)
            named = errors.call(IMPUTE, **{word: word}, methods={name: "leave"}).after(f"df[{word!r}] = {array}; ")
            raise PlanError(
                f"{word}= is an array that follows from {name!r}, which would be used twice; name a column instead.",
                do=errors.call(IMPUTE, **{word: None}, exposure=name) if logarithm else named,
            )
    return value


def _follows(column: Any, numbers: Any) -> bool:
    """Whether both arrays are sorted by one order, both increasing, with the same ties."""
    order = np.argsort(column, kind="stable")
    steps, others = np.diff(column[order]), np.diff(numbers[order])
    return bool(np.array_equal(steps > 0, others > 0) and (others >= 0).all() and (steps > 0).sum() > 1)


def planned(
    read_in: Record, questions: Sequence[Question], options: Options, scope: Mapping[str, Any], written: Sequence[str],
    events: Sequence[str],
) -> Record:  # fmt: skip
    """The record with a plan for some questions, its tables coded as the plan reads them."""
    known = read_in.table.filled
    refuse_derived_outcome(questions, known, read_in.derived)
    refuse_marks(questions, known, options.derived)
    refuse_chained(questions, known, options)
    refuse_clustered(questions, known, options)
    together = levels_together(known, options)
    for name in (name for q in questions for name in (*q.variables(known), *q.outcome) if name in together):
        raise PlanError(
            f"the analysis distinguishes the levels of {name!r}, but some of them are drawn together.",
            levels=listed(together[name].levels, 6),
            do=renamed(name, together[name].becomes(known[name].coding.levels))
            + "  # the analysis with fewer levels too",
        )
    drawn, joined = collapsed(known, together)
    plan, designs = make(drawn, questions, options, scope, read_in.skips, read_in.derived)
    refuse_undefined(read_in.derived, known, read_in.skips)
    drawn = filled = designs.table
    if together:
        filled = Table({**drawn.columns, **{name: known[name] for name in together}}, drawn.n_rows)
        designs = designs.on(filled)
    plan = dataclasses.replace(plan, written=tuple(written), together=together)
    request = request_of(plan)
    every = (*events, *joined, *(str(with_request(event, request)) for event in plan.events))
    plan = dataclasses.replace(plan, events=every)
    table = Views(recoded(read_in.table.given, plan.numeric), filled, drawn)
    return dataclasses.replace(read_in, plan=plan, table=table, designs=designs)


def _of_model(given: Arguments) -> dict[str, Any]:
    """Keywords of the model."""
    return {word: value for word, value in given.model_keywords.items() if word != "random_state"}


#: what may be said of a plan that is made
_OF_RUNS = frozenset({"m", "iterations", "rng", "random_state", "n_jobs", "progress", "checkpoint"})


def checked(plan: Plan, frame: pd.DataFrame, given: Arguments) -> Record:
    """The record of a frame with a finished plan, which is checked against it."""
    for word in given.given():
        if word not in _OF_RUNS:
            raise PlanError(f"{word}= cannot change a plan that is already made.", do=_anew())
    read_in, _ = prepare(frame, plan.options, scope_of(plan.questions, plan.questions))
    table = read_in.table.given
    if tuple(table.columns) != plan.columns or table.n_rows != plan.n_rows:
        raise PlanError(
            f"the plan was made for {plan.n_rows} rows and columns {listed(plan.columns, 6)}; "
            f"this frame has {table.n_rows} rows and {listed(table.columns, 6)}.",
            do=_anew(),
        )
    found = with_plan(read_in, plan)
    iterations = options_of(given, frame).iterations
    if iterations is None:
        return found
    return dataclasses.replace(found, plan=dataclasses.replace(plan, iterations=iterations))


def with_plan(read_in: Record, plan: Plan) -> Record:
    """The record with a plan that was made before, its tables coded as the plan reads them.

    Raises
    ------
    PlanError
        If other columns have missing values, or are of another kind.
    """
    filled = read_in.table.filled
    together = levels_together(filled, plan.options)
    drawn = recoded(collapsed(filled, together)[0], plan.numeric)
    filled = recoded(filled, plan.numeric) if together else drawn
    table = Views(recoded(read_in.table.given, plan.numeric), filled, drawn)
    _refuse_other_columns(plan, table.drawn)
    return dataclasses.replace(
        read_in, plan=dataclasses.replace(plan, together=together), table=table, designs=Designs(filled)
    )


def _refuse_other_columns(plan: Plan, table: Table) -> None:
    """Refuse a plan if other columns are incomplete, their kinds differ, or a model does not suit its column."""
    planned = {v.name: v.kind for v in plan.variables if v.n_missing}
    for name in table.columns:
        now, then = name in table.incomplete, name in planned
        if now != then:
            which = "with" if then else "without"
            fact = f"the plan was made for {name!r} {which} missing values; now it is the other way."
            raise PlanError(fact, do=_anew())
        kind = table[name].kind
        if then and kind is not planned[name]:
            raise PlanError(
                f"the plan was made for {name!r} as {planned[name].value}; now it is {kind.value}.",
                do=_anew(),
            )
    for factor in plan.factors:
        kind = Kind.OTHER if factor.variable not in table else table[factor.variable].kind
        if factor.question is None and kind not in getattr(factor.method, "kinds", frozenset({kind})):
            fact = f"the plan gives {factor.variable!r} a model of other values; now it is {kind.value}."
            raise PlanError(fact, do=_anew())


def _anew() -> Advice:
    """The call that makes a plan for the frame as it is; what was asked joins it."""
    return errors.call("df.mice.plan").after("plan = ")


def scope_of(declared: Sequence[Question], same: Sequence[Question]) -> dict[str, Any]:
    """The variables that formulas may use; those that a declared formula used keep their values."""
    captured = {name: value for question in declared for name, value in resolve(question.names).items()}
    return {**caller_scope(), **captured} if same else {**captured, **caller_scope()}


def require_columns(table: Table, words: Call) -> None:
    """Refuse keywords that name a column the frame does not have."""
    for name in words.columns:
        table.require(name, "the analysis")

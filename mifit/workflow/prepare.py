"""From what the user wrote to a plan, a seed and chains: everything that happens before an ImputedSet exists."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .. import errors
from ..analysis.models import Call, call, spec, with_link
from ..analysis.models import words as words_of
from ..calls import Advice, completed, written
from ..errors import PlanError, StorageWarning
from ..formula.derived import Derived, follow, numbers, substitute, understand
from ..formula.onesided import refuse_names
from ..formula.question import Question, ask, caller_scope, resolve
from ..formula.recipe import renamed
from ..formula.unbuilt import refuse_unbuilt
from ..frame.completed import Completed, copied
from ..frame.masks import Mask, opened
from ..frame.recast import codings, recoded
from ..frame.table import Table, check_frame, read
from ..imputation.make_plan import make
from ..imputation.plan.bounds import Skip
from ..imputation.plan.deductive import (
    fill,
    refuse_chained,
    refuse_clustered,
    refuse_derived,
    refuse_derived_outcome,
    refuse_undefined,
    shared_parents,
    with_derived,
)
from ..imputation.plan.options import USUAL, Asked, is_whole, refuse_other_holes, refuse_words
from ..imputation.plan.plan import Plan, Wishes
from ..imputation.plan.rare_levels import Joined, collapsed, levels_together
from ..imputation.plan.skip_patterns import questionnaire
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.runs import run
from ..imputation.seed import Seed
from ..storage.checkpoint import Checkpoint
from ..workers import Halted, alone
from .calls import IMPUTE, request_of

__all__ = [
    "Ground",
    "by_column",
    "chains_of",
    "checked",
    "completed_of",
    "ground",
    "more_chains",
    "plan_for",
    "planned",
    "refuse_run",
    "require_columns",
    "scope_of",
]

_NO_SWEEP = 2**31  # number of a stream that no sweep draws from
_MANY = 200_000  # values drawn, times sweeps, from which a progress bar may be worth it


class Ground(NamedTuple):
    """What is known before anything is drawn."""

    table: Table  #: the frame as the plan reads it
    known: Table  #: the same, with the holes filled that follow from derived columns and ids
    derived: tuple[Derived, ...] = ()
    frame: pd.DataFrame | None = None  #: as given, with the derived columns it did not have
    skips: Mapping[Hashable, Skip] = {}  #: columns asked for only where a condition holds
    where: Mapping[Hashable, Mask] | None = None  #: cells to be completed
    shared: Set[Hashable] = frozenset()  #: parents of derived columns that all rows of an id share


def ground(frame: pd.DataFrame, wishes: Wishes, scope: Mapping[str, Any]) -> tuple[Ground, list[str]]:
    """Read a frame and fill what follows from what is there; say what was filled."""
    events: list[str] = []
    if wishes.derived:
        check_frame(frame)
        refuse_derived(wishes, [*frame.columns, *wishes.derived])
        frame = _with_columns(frame, wishes.derived, scope)
    check_frame(frame)
    table = read(frame, codings(frame, wishes.kinds))
    if wishes.where is not None:
        table, more = opened(table, wishes.where)
        events += more
    table = recoded(table, [n for n in wishes.derived if n in table and table[n].number and table[n].kind.discrete])
    derived = understand(wishes.derived, table, scope)
    known, more = fill(table, derived, wishes.id)
    skipped, known, outside = questionnaire(wishes.conditional, derived, known, scope)
    shared = shared_parents(derived, known, wishes.id)
    events += [*more, *outside]
    return Ground(table, known, derived, frame, skipped, wishes.where, shared), events


def _with_columns(frame: pd.DataFrame, wishes: Mapping[Hashable, str], scope: Mapping[str, Any]) -> pd.DataFrame:
    """The frame with the derived columns that it did not have, made where their parents are observed."""
    absent = [name for name in wishes if name not in frame.columns]
    if not absent:
        return frame
    wider = copied(frame)
    for name in absent:
        wider[name] = np.nan
    table = read(wider)
    for one in (one for one in understand(wishes, table, scope) if one.name in absent):
        wider[one.name] = one.value({p: numbers(table, p) for p in one.parents})
    return wider


def plan_for(
    frame: pd.DataFrame, formula: Any, model: Any, asked: Asked, keywords: Mapping[str, Any]
) -> tuple[Plan, Ground]:
    """Plan an imputation; see :func:`mifit.plan`."""
    check_frame(frame)
    scope, wishes = caller_scope(), asked.wishes(frame, formula)
    given, events = ground(frame, wishes, scope)
    formulas = [] if formula is None else [formula] if isinstance(formula, str) else formula
    if not isinstance(formulas, (list, tuple)):
        formulas = [formula]
    refuse_names(formulas, given.table)
    model, keywords = with_link(model, keywords)
    models = _each(model, formulas)
    also = {} if asked.weights is None else {"weights": asked.weights}
    for one, wanted in zip(formulas, models, strict=True):
        refuse_unbuilt(wanted, {**keywords, **also}, one, given.table)
    pairs = list(zip(models, formulas, strict=True))
    names = [
        None if wanted is None else spec(wanted, str(one), "df.mice.impute", keywords).name for wanted, one in pairs
    ]
    taken_by = [init for init, _ in (words_of(name or "ols") for name in names)] if keywords else []
    refuse_words(keywords, _WORDS, frozenset().union(*taken_by), frame, formulas or None)
    if asked.weights is not None and any(
        _takes_weights(name or ask(f, given.table, scope=scope).model) for f, name in zip(formulas, names, strict=True)
    ):
        keywords, wishes = {**keywords, "weights": asked.weights}, dataclasses.replace(wishes, weights=None)
    keywords = by_column(keywords, given.table, formulas)
    questions = []
    for one, name in zip(formulas, names, strict=True):
        chosen = name or ask(one, given.table, scope=scope).model
        taken = _taken(keywords, chosen, names) if isinstance(model, (list, tuple)) else keywords
        words = call(chosen, taken, formula=one, verb="df.mice.impute")
        if words.fit:
            word, value = next(iter(words.fit.items()))
            raise PlanError(
                f"{word}= belongs to the fit, not to the imputation.",
                do=errors.call(IMPUTE, **{word: None}).then(f".fit({word}={written(value, otherwise=word)})"),
            )
        require_columns(given.table, words)
        spelled = substitute(one, given.derived) if given.derived else one
        questions.append(ask(spelled, given.table, model=name, keywords=dict(words.init), scope=scope))
    return planned(given, questions, wishes, scope, tuple(formulas), events)


def _each(model: Any, formulas: Sequence[str]) -> list[Any]:
    """The model of each analysis: the same for all, or one each."""
    if not isinstance(model, (list, tuple)):
        if model is not None and not formulas:
            spec(model)  # an unknown name is refused even where nothing is analysed
        return [model] * len(formulas)
    if len(model) != len(formulas):
        raise PlanError(
            f"{len(model)} models for {len(formulas)} analyses.",
            do=errors.call(IMPUTE, model=(list(model) + ["ols"] * len(formulas))[: len(formulas)]),
        )
    return list(model)


def _taken(keywords: Mapping[str, Any], model: str, models: Sequence[str | None]) -> dict[str, Any]:
    """The words that a model takes, and those that none of the models does."""
    known = {name: frozenset().union(*words_of(name)) for name in {model, *filter(None, models)}}
    return {w: v for w, v in keywords.items() if w in known[model] or not any(w in one for one in known.values())}


def _takes_weights(model: str) -> bool:
    """Whether weights are a word of the analysis."""
    return "weights" in words_of(model)[0]


def by_column(keywords: Mapping[str, Any], table: Table, formulas: Sequence[str]) -> dict[str, Any]:
    """Keywords with arrays replaced by the columns they are.

    An array is a fact about the rows that the frame may hold too; left among the columns it would be used twice, as a
    part of the analysis and as an auxiliary.
    """
    return {word: _column_of(word, value, table, formulas) for word, value in keywords.items()}


def _column_of(word: str, value: Any, table: Table, formulas: Sequence[str]) -> Any:
    """The name of the column an array is; the array where it is none; refused where it follows from one."""
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
                f"{word}= is an array that follows from column {name!r}; named, the column is not used twice.",
                do=errors.call(IMPUTE, **{word: None}, exposure=name) if logarithm else named,
            )
    return value


def _follows(column: Any, numbers: Any) -> bool:
    """Whether one order sorts both, up and with the same ties."""
    order = np.argsort(column, kind="stable")
    steps, others = np.diff(column[order]), np.diff(numbers[order])
    return bool(np.array_equal(steps > 0, others > 0) and (others >= 0).all() and (steps > 0).sum() > 1)


def planned(
    given: Ground, questions: Sequence[Question], wishes: Wishes, scope: Mapping[str, Any], written: Sequence[str],
    events: Sequence[str],
) -> tuple[Plan, Ground]:  # fmt: skip
    """Make the plan of some questions; the ground as the plan reads it."""
    refuse_derived_outcome(questions, given.known, given.derived)
    refuse_chained(questions, given.known, wishes)
    refuse_clustered(questions, given.known, wishes)
    together = levels_together(given.known, wishes)
    for name in (name for q in questions for name in (*q.variables(given.known), *q.outcome) if name in together):
        raise PlanError(
            f"the analysis needs {name!r} level by level: levels drawn together do not know their difference.",
            levels=", ".join(map(str, together[name].levels[:6])),
            do=renamed(name, together[name].becomes(given.known[name].coding.levels))
            + "  # the analysis with fewer levels too",
        )
    seen, joined = collapsed(given.known, together)
    plan, known = make(seen, questions, wishes, scope, given.skips, given.derived)
    refuse_undefined(given.derived, given.known, given.skips)
    known = Table({**known.columns, **{name: given.known[name] for name in together}}, known.n_rows)
    plan = dataclasses.replace(plan, written=tuple(written))
    asked = request_of(plan)
    every = (*events, *joined, *(str(completed(event, asked)) for event in plan.events))
    plan = dataclasses.replace(plan, events=every)
    return plan, given._replace(table=recoded(given.table, plan.numeric), known=known)


_WORDS = (*Asked._fields, "model", "m", "rng", "n_jobs", "progress", "checkpoint")


def checked(
    plan: Plan, frame: pd.DataFrame, model: str | None, asked: Asked, keywords: Mapping[str, Any]
) -> tuple[Plan, Ground]:
    """A finished plan, checked against the frame it is to run on."""
    late = (
        "methods", "predictors", "order", "kinds", "bounds", "censored", "truncated", "conditional", "where", "ignore",
        "collapse",
    )  # fmt: skip
    given = [w for w in late if getattr(asked, w) is not None] + list(keywords)
    given += [w for w, usual in USUAL.items() if getattr(asked, w) != usual]
    if given or model is not None:
        raise PlanError(f"the plan is made; {(given or ['model'])[0]}= comes too late.", do=_anew())
    given_now, _ = ground(frame, plan.wishes, scope_of(plan.questions, plan.questions))
    table = given_now.table
    if tuple(table.columns) != plan.columns or table.n_rows != plan.n_rows:
        raise PlanError(
            f"the plan was made for {plan.n_rows} rows and columns {', '.join(map(str, plan.columns[:6]))}; "
            f"this frame has {table.n_rows} rows and {', '.join(map(str, list(table.columns)[:6]))}.",
            do=_anew(),
        )
    refuse_other_holes(plan, collapsed(given_now.known, levels_together(given_now.known, plan.wishes))[0])
    iterations = asked.wishes(frame).iterations
    if iterations is not None:
        plan = dataclasses.replace(plan, iterations=iterations)
    known = recoded(given_now.known, plan.numeric)
    return plan, given_now._replace(table=recoded(table, plan.numeric), known=known)


def _anew() -> Advice:
    """The call that makes a plan for the frame as it is; what was asked joins it."""
    return errors.call("df.mice.plan").after("plan = ")


def refuse_run(
    plan: Plan, given: Ground, seed: Seed, n_jobs: int | None, checkpoint: str | os.PathLike[str] | None
) -> None:
    """Refuse, as the run itself would, workers or a folder that it could not use; nothing is made or drawn."""
    if not plan.order:
        return
    alone(n_jobs)
    if checkpoint is not None:
        there = os.path.abspath(checkpoint) if isinstance(checkpoint, str | os.PathLike) else ""
        while there and not os.path.exists(there) and os.path.dirname(there) != there:
            there = os.path.dirname(there)
        if not there or os.path.exists(checkpoint) or not os.path.isdir(there):
            table, _ = collapsed(given.known, levels_together(given.known, plan.wishes))
            Checkpoint(checkpoint, table, plan, seed)


def chains_of(
    given: Ground, plan: Plan, numbers: Sequence[int], sweeps: int, seed: Seed, n_jobs: int | None,
    progress: bool | None, before: Sequence[Chain] | None = None, checkpoint: str | os.PathLike[str] | None = None,
) -> list[Chain]:  # fmt: skip
    """Run chains, with a bar when it is wished or when someone watches and there is much to do.

    Those that a checkpoint has are not run again, and those that are finished go there at once.
    """
    table, _ = collapsed(given.known, levels_together(given.known, plan.wishes))
    if not plan.order:
        return run(table, plan, numbers, 0, seed)
    folder = None if checkpoint is None else Checkpoint(checkpoint, table, plan, seed)
    found = {} if folder is None else folder.found(numbers, sweeps)
    rest = [number for number in numbers if number not in found]
    begin = [chain for chain in before or () if chain.number not in found]
    steps = sweeps * len(rest) - sum(chain.sweeps for chain in begin)
    finished, single = dict(found), len(rest) < 2 or alone(n_jobs)

    def keep(chain: Chain) -> None:
        finished[chain.number] = chain
        if folder is not None:
            folder.keep(chain)
            # Two sets can be handed over; before that, after the last, beside other workers, going on loses nothing.
            if folder.lost is not None and single and 2 <= len(finished) < len(numbers):
                raise folder.lost

    try:
        with _bar(sum(len(table[name].missing) for name in plan.order) * steps, steps, progress) as tick:
            fresh = run(
                table, plan, rest, sweeps, seed, derived=given.derived, before=begin or None, n_jobs=n_jobs, tick=tick,
                keep=keep,
            )  # fmt: skip
    except Halted as halted:
        done = {**found, **{chain.number: chain for chain in halted.finished}}
        kept = [done[number] for number in numbers if number in done]
        raise Halted(kept, [rest[position] for position in halted.begun], halted.cause) from halted.cause
    found.update({chain.number: chain for chain in fresh})
    chains = [found[number] for number in numbers]
    if folder is not None and folder.lost is not None:
        try:
            errors.warn(f"all chains are drawn, some are not kept: {folder.lost.fact}", StorageWarning)
        except StorageWarning as error:
            raise Halted(chains, [], error) from error
    return chains


@contextlib.contextmanager
def _bar(work: int, steps: int, progress: bool | None) -> Iterator[Callable[[int], Any] | None]:
    """What is told of sweeps that are done: a bar, or nothing."""
    if not steps or not (progress if progress is not None else sys.stderr.isatty() and work > _MANY):
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(total=steps, desc="imputing", unit="sweep", delay=0.0 if progress else 2.0) as bar:
        yield bar.update


def more_chains(
    imp: Any, m: int | None, iterations: int | None, n_jobs: int | None, progress: bool | None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Chain]:  # fmt: skip
    """The chains of an ImputedSet, with more of them or more sweeps in each; see :meth:`mifit.ImputedSet.extend`."""
    if imp.plan is None or imp._seed is None:
        raise PlanError(
            "sets made elsewhere cannot be extended.", do=errors.call(IMPUTE, "y ~ x1 + x2", m=imp.m + (m or 0))
        )
    for word, given in (("m", m), ("iterations", iterations)):
        if given is not None and not is_whole(given):
            raise PlanError(f"{word} is {given!r}; a whole number is needed.", do=f"imp.extend({word}=10)")
    more, sweeps = m or 0, imp.iterations + (iterations or 0)
    if more < 0 or (iterations or 0) < 0 or not (m or iterations):
        raise PlanError(
            f"extend needs more sets or more sweeps, not m={m}, iterations={iterations}.", do="imp.extend(m=10)"
        )
    chains, given, plan, seed = list(imp._chains), imp._ground, imp.plan, imp._seed
    numbers = [chain.number for chain in chains]
    if iterations and plan.order:
        chains = chains_of(given, plan, numbers, sweeps, seed, n_jobs, progress, chains, checkpoint)
    # Where a run was stopped some numbers are not taken; they come first.
    free = [number for number in range(len(numbers) + more) if number not in set(numbers)][:more]
    try:
        chains += chains_of(given, plan, free, sweeps, seed, n_jobs, progress, None, checkpoint) if more else []
    except Halted as halted:
        raise Halted([*chains, *halted.finished], halted.begun, halted.cause) from halted.cause
    return sorted(chains, key=lambda chain: chain.number)


def completed_of(
    frame: pd.DataFrame, given: Ground, chains: Sequence[Chain], plan: Plan | None = None, seed: Seed | None = None
) -> Completed:
    """The completed sets: drawn values, what followed without drawing, and derived columns in step."""
    together = {} if plan is None else levels_together(given.known, plan.wishes)
    if together and seed is not None:
        chains = [_apart(chain, together, seed) for chain in chains]
    return Completed(frame, given.table, tuple(_holes(given, chain) for chain in chains))


def _apart(chain: Chain, together: Mapping[Hashable, Joined], seed: Seed) -> Chain:
    """A chain whose levels that were drawn together are told apart, from a stream of its own."""
    rng = seed.stream(chain.number, _NO_SWEEP)
    told = {name: one.apart(chain.holes[name], rng) for name, one in together.items() if name in chain.holes}
    return dataclasses.replace(chain, holes={**chain.holes, **told})


def _holes(given: Ground, chain: Chain) -> dict[Hashable, Any]:
    """Values of one set at all holes of the frame; NaN in those that stay missing."""
    found = _drawn(given, chain)
    table, drawn = given.table, dict(found)
    for name, mask in (given.where or {}).items():
        if name in found:
            found[name] = np.where(mask.marked[table[name].missing], found[name], np.nan)
    for name, skip in given.skips.items():
        if name in found and skip.value is None:
            values = {v: table[v].values.copy() for v in skip.condition.variables}
            for v in (v for v in values if v in drawn):
                values[v][table[v].missing] = drawn[v]
            inside = np.isin(table[name].missing, skip.inside(table, values))
            found[name] = np.where(inside, found[name], np.nan)
            for one in (one for one in given.derived if name in one.parents and one.name in found):
                none = np.isin(table[one.name].missing, table[name].missing[~inside])
                found[one.name] = np.where(none, np.nan, found[one.name])
    return found


def _drawn(given: Ground, chain: Chain) -> dict[Hashable, Any]:
    """Values of one set at all holes, drawn or known."""
    table, known, derived = given.table, given.known, given.derived
    if not derived and all(known[n].missing is table[n].missing for n in table.incomplete):
        return dict(chain.holes)
    names = {one.name for one in derived}
    values = {}
    for name in table.columns:
        values[name] = known[name].values.copy()
        if name in chain.holes:
            values[name][known[name].missing] = chain.holes[name]
    values.update({name: table[name].completed(values[name]) for name in table.columns})
    values.update(follow(derived, known, values, given.shared))
    found = {
        name: values[name][table[name].missing]
        for name in table.incomplete
        if name not in names and not np.isnan(values[name]).any()
    }
    return {**found, **with_derived(derived, table, values)}


def scope_of(declared: Sequence[Question], same: Sequence[Question]) -> dict[str, Any]:
    """Where names of a formula are looked up: what a declared formula captured stays what it was."""
    captured = {name: value for question in declared for name, value in resolve(question.names).items()}
    return {**caller_scope(), **captured} if same else {**captured, **caller_scope()}


def require_columns(table: Table, words: Call) -> None:
    """Refuse words that name a column which is none."""
    for name in words.columns:
        table.require(name, "the analysis")

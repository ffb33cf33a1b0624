"""From what the user wrote to a plan, a seed and chains: everything that happens before an ImputedSet exists."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .analysis.models import Call, call, spec
from .errors import PlanError, nearest
from .formula.derived import Derived, substitute, understand
from .formula.question import Question, ask, caller_scope, resolve
from .frame.completed import Completed
from .frame.table import Table, read
from .impute.chain import Chain, Seed, run
from .impute.known import fill, with_derived
from .impute.plan import Plan, Wishes
from .impute.planning import make, recoded
from .impute.wishes import USUAL, Asked, is_whole, refuse_other_holes

__all__ = [
    "Ground",
    "as_written",
    "chains_of",
    "checked",
    "completed_of",
    "ground",
    "plan_for",
    "planned",
    "require_columns",
    "scope_of",
    "seed_of",
]

_MANY = 200_000  # values drawn, times sweeps, from which a progress bar may be worth it


class Ground(NamedTuple):
    """What is known before anything is drawn."""

    table: Table  #: the frame as the plan reads it
    known: Table  #: the same, with the holes filled that follow from derived columns and ids
    derived: tuple[Derived, ...] = ()


def ground(frame: pd.DataFrame, wishes: Wishes, scope: Mapping[str, Any]) -> tuple[Ground, list[str]]:
    """Read a frame and fill what follows from what is there; say what was filled."""
    table = read(frame)
    table = recoded(table, [n for n in wishes.derived if n in table and table[n].number and table[n].kind.discrete])
    derived = understand(wishes.derived, table, scope)
    known, events = fill(table, derived, wishes.id)
    return Ground(table, known, derived), events


def plan_for(
    frame: pd.DataFrame, formula: Any, model: Any, asked: Asked, keywords: Mapping[str, Any]
) -> tuple[Plan, Ground]:
    """Plan an imputation; see :func:`mifit.plan`."""
    scope, wishes = caller_scope(), asked.wishes()
    given, events = ground(frame, wishes, scope)
    formulas = [] if formula is None else [formula] if isinstance(formula, str) else formula
    if not isinstance(formulas, (list, tuple)):
        formulas = [formula]
    name = spec(model).name if model is not None else None
    for word in keywords:
        if not formulas or difflib.get_close_matches(word, _WORDS, cutoff=0.8):
            raise PlanError(
                f"impute takes no word {word!r}{nearest(word, _WORDS) or ' without a formula'}.",
                known=", ".join(_WORDS),
                do='df.mice.impute("y ~ x1 + x2", m=20, rng=1)',
            )
    questions = []
    for one in formulas:
        chosen = name or ask(one, given.table, scope=scope).model
        words = call(chosen, keywords)
        if words.fit:
            word, value = next(iter(words.fit.items()))
            raise PlanError(
                f"{word}= belongs to the fit, not to the imputation.",
                do=f"df.mice.impute({one!r}).fit({word}={value!r})",
            )
        require_columns(given.table, words)
        written = substitute(one, given.derived) if given.derived else one
        questions.append(ask(written, given.table, model=name, keywords=dict(words.init), scope=scope))
    return planned(given, questions, wishes, scope, tuple(formulas), events)


def planned(
    given: Ground, questions: Sequence[Question], wishes: Wishes, scope: Mapping[str, Any], written: Sequence[str],
    events: Sequence[str],
) -> tuple[Plan, Ground]:  # fmt: skip
    """Make the plan of some questions; the ground as the plan reads it."""
    plan, known = make(given.known, questions, wishes, scope)
    plan = dataclasses.replace(plan, written=tuple(written), events=(*events, *plan.events))
    return plan, Ground(recoded(given.table, plan.numeric), known, given.derived)


_WORDS = (*Asked._fields, "model", "m", "rng", "n_jobs", "progress")


def checked(
    plan: Plan, frame: pd.DataFrame, model: str | None, asked: Asked, keywords: Mapping[str, Any]
) -> tuple[Plan, Ground]:
    """A finished plan, checked against the frame it is to run on."""
    given = [w for w in ("methods", "predictors", "order") if getattr(asked, w) is not None] + list(keywords)
    given += [w for w, usual in USUAL.items() if getattr(asked, w) != usual]
    if given or model is not None:
        raise PlanError(f"the plan is made; {(given or ['model'])[0]}= comes too late.", do="df.mice.plan(...)")
    given_now, _ = ground(frame, plan.wishes, caller_scope())
    table = given_now.table
    if tuple(table.columns) != plan.columns or table.n_rows != plan.n_rows:
        raise PlanError(
            f"the plan was made for {plan.n_rows} rows and columns {', '.join(map(str, plan.columns[:6]))}; "
            f"this frame has {table.n_rows} rows and {', '.join(map(str, list(table.columns)[:6]))}.",
            do="df.mice.plan(...)",
        )
    refuse_other_holes(plan, given_now.known)
    iterations = asked.wishes().iterations
    if iterations is not None:
        plan = dataclasses.replace(plan, iterations=iterations)
    known = recoded(given_now.known, plan.numeric)
    return plan, Ground(recoded(table, plan.numeric), known, given_now.derived)


def seed_of(rng: Any) -> Seed:
    """Where the random streams come from; a Generator spawns a child, so that its next use differs."""
    if isinstance(rng, np.random.Generator):
        child = rng.bit_generator.seed_seq.spawn(1)[0]  # type: ignore[attr-defined]
        return Seed(child.entropy, tuple(child.spawn_key))
    if isinstance(rng, np.random.SeedSequence):
        return Seed(rng.entropy, tuple(rng.spawn_key))
    if is_whole(rng) and rng < 0:
        raise PlanError(f"rng is {rng}; a whole number from 0 is needed.", do="df.mice.impute(rng=1)")
    if rng is None or is_whole(rng):
        return Seed(np.random.SeedSequence(None if rng is None else int(rng)).entropy)
    raise PlanError(
        f"rng is {type(rng).__name__}; an int, SeedSequence or Generator is needed.", do="df.mice.impute(rng=1)"
    )


def chains_of(
    table: Table, plan: Plan, numbers: Sequence[int], sweeps: int, seed: Seed, n_jobs: int | None,
    progress: bool | None, before: Sequence[Chain] | None = None,
) -> list[Chain]:  # fmt: skip
    """Run chains, with a bar when it is wished or when someone watches and there is much to do."""
    if not plan.order:
        return run(table, plan, numbers, 0, seed)
    work = sum(len(table[name].missing) for name in plan.order) * sweeps * len(numbers)
    watched = progress if progress is not None else sys.stderr.isatty() and work > _MANY
    if not watched:
        return run(table, plan, numbers, sweeps, seed, before=before, n_jobs=n_jobs)
    from tqdm.auto import tqdm

    done = before[0].sweeps if before else 0
    delay = 0.0 if progress else 2.0
    with tqdm(total=(sweeps - done) * len(numbers), desc="imputing", unit="sweep", delay=delay) as bar:
        return run(table, plan, numbers, sweeps, seed, before=before, n_jobs=n_jobs, tick=bar.update)


def completed_of(frame: pd.DataFrame, given: Ground, chains: Sequence[Chain]) -> Completed:
    """The completed sets: drawn values, what followed without drawing, and derived columns in step."""
    return Completed(frame, given.table, tuple(_holes(given, chain) for chain in chains))


def _holes(given: Ground, chain: Chain) -> dict[Hashable, Any]:
    """Values of one set at all holes of the frame."""
    table, known, derived = given
    if not derived and all(known[n].missing is table[n].missing for n in table.incomplete):
        return dict(chain.holes)
    names = {one.name for one in derived}
    values = {}
    for name in table.columns:
        values[name] = known[name].values.copy()
        if name in chain.holes:
            values[name][known[name].missing] = chain.holes[name]
    values.update({name: _whole(table, name, values[name]) for name in table.columns})
    found = {
        name: values[name][table[name].missing]
        for name in table.incomplete
        if name not in names and not np.isnan(values[name]).any()
    }
    return {**found, **with_derived(derived, table, values)}


def _whole(table: Table, name: Hashable, values: Any) -> Any:
    """Numbers of a whole dtype as the completed set has them."""
    return np.rint(values) if table[name].coding.whole and not table[name].kind.discrete else values


def scope_of(declared: Sequence[Question], same: Sequence[Question]) -> dict[str, Any]:
    """Where names of a formula are looked up: what a declared formula captured stays what it was."""
    captured = {name: value for question in declared for name, value in resolve(question.names).items()}
    return {**caller_scope(), **captured} if same else {**captured, **caller_scope()}


def require_columns(table: Table, words: Call) -> None:
    """Refuse words that name a column which is none."""
    for name in words.columns:
        table.require(name, "the analysis")


def as_written(value: Any) -> str:
    """A keyword as the user would write it, statsmodels families included."""
    if not hasattr(value, "link"):
        return repr(value)
    link = type(value.link).__name__
    usual = type(type(value)().link).__name__
    return f"sm.families.{type(value).__name__}({'' if link == usual else f'sm.families.links.{link}()'})"

"""m chains, here or through joblib; what an error of one of them says."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...calls import left_alone
from ...errors import FormulaError, ImputationError, MifitError, PlanError, call
from ...formula.derived import Derived
from ...formula.design import Designs
from ...frame.table import Table
from ...workers import run_jobs
from ..plan.groups import rows_of
from ..plan.plan import Plan
from ..seed import Seed
from .chain import Chain, ChainState
from .engine import Engine
from .first_fill import start

__all__ = ["engines", "joined", "one_thread", "run", "tables_of"]


def run(
    table: Table, plan: Plan, numbers: Sequence[int], sweeps: int, seed: Seed, *, derived: Sequence[Derived] = (),
    before: Sequence[Chain] | None = None, n_jobs: int | None = None, tick: Callable[[int], Any] | None = None,
    keep: Callable[[Chain], Any] | None = None, designs: Designs | None = None, attempt: int = 0,
) -> list[Chain]:  # fmt: skip
    """Run chains, each with one BLAS thread.

    Parameters
    ----------
    table : Table
        As the plan reads it.
    plan : Plan
    numbers : sequence of int
        Which chains: their numbers choose their random streams.
    sweeps : int
        How many sweeps each has done in the end.
    seed : Seed
    derived : sequence of Derived, optional
        Columns that follow from those that are drawn: their bounds and observed values are kept.
    before : sequence of Chain, optional
        Chains to go on from, one per number.
    n_jobs : int, optional
        Workers, through joblib; None follows an ambient ``joblib.parallel_config``.
    tick : callable, optional
        Told how many sweeps were done since it was told last.
    keep : callable, optional
        Given each chain as soon as it is finished.
    designs : Designs, optional
        Of the plan's analyses on the table, where some were frozen before; workers freeze their own.
    attempt : int, default 0
        How often these chains were drawn before; one that goes on keeps its own.

    Returns
    -------
    list of Chain

    Raises
    ------
    Halted
        If a chain cannot go on, a worker dies or the keyboard interrupts; it holds the finished chains.
    """
    starts = list(before) if before is not None else [None] * len(numbers)
    work = _Work(table, plan, tuple(derived), sweeps, seed, designs, attempt)
    with one_thread():  # here too: chains in threads of this process end at different times
        return run_jobs(work, list(zip(numbers, starts, strict=True)), n_jobs, tick=tick, keep=keep)


@dataclass(frozen=True, eq=False)
class _Work:
    """What the chains of one run share; a worker receives it once, and makes its own engines."""

    table: Table
    plan: Plan
    derived: tuple[Derived, ...]
    sweeps: int
    seed: Seed
    designs: Designs | None
    attempt: int = 0

    @cached_property
    def engines(self) -> list[Engine]:
        """What runs in this process."""
        return engines(self.table, self.plan, self.derived, self.designs)

    def __reduce__(self) -> tuple[object, ...]:
        return _Work, (self.table, self.plan, self.derived, self.sweeps, self.seed, None, self.attempt)

    def __call__(self, pair: tuple[int, Chain | None], tick: Callable[[], Any] | None = None) -> Chain:
        """One chain, in this process; where groups are imputed separately, one of each, put together."""
        number, before = pair
        attempt = self.attempt if before is None else before.attempt
        with one_thread():
            if not self.plan.groups:
                return _chain(self.engines[0], number, before, self.sweeps, self.seed, tick, attempt)
            parts = [
                _chain(
                    engine, number, None if before is None else before.parts[place],
                    self.sweeps if engine.plan.order else 0, self.seed.child(place), None if place else tick,
                    attempt,
                )
                for place, engine in enumerate(self.engines)
            ]  # fmt: skip
        return joined(self.table, self.plan, parts, self.sweeps)


def engines(table: Table, plan: Plan, derived: tuple[Derived, ...], designs: Designs | None = None) -> list[Engine]:
    """What runs: one engine, or one for each group."""
    if not plan.groups:
        return [Engine(table, plan, derived, designs=designs)]
    parts = zip(tables_of(table, plan), plan.groups, strict=True)
    return [Engine(part, inner, derived) for part, (_, inner) in parts]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Arithmetic as every chain does it: one BLAS thread, without warnings where a number overflows."""
    with _blas().limit(limits=1, user_api="blas"), np.errstate(over="ignore", under="ignore"):
        yield


@functools.cache
def _blas() -> Any:
    """What limits BLAS threads; looking for the libraries takes longer than a short chain."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _chain(
    engine: Engine, number: int, before: Chain | None, sweeps: int, seed: Seed, tick: Callable[[], Any] | None,
    attempt: int,
) -> Chain:  # fmt: skip
    """One chain, up to a number of sweeps."""
    state: ChainState | None = None
    seed = seed.again(attempt)
    first = 0 if before is None else before.sweeps
    sweep = first
    try:
        state = ChainState(engine, before)
        if before is None:
            start(state, seed.stream(number, 0))
        for sweep in range(first + 1, sweeps + 1):
            state.sweep(seed.stream(number, sweep), sweep)
            if tick is not None:
                tick()
    except ImputationError as error:
        raise (error if state is None else _named(error, state)) from error
    except MemoryError as error:
        raise ImputationError(
            f"chain {number}, sweep {sweep}: memory ran out while {_visited(state)[1]} was drawn.",
            do=_way_out(engine, None),
        ) from error
    except Exception as error:  # whatever a function of the user's may raise; not all of it crosses a process
        if isinstance(error, MifitError) and not isinstance(error, FormulaError):
            raise
        said = str(error).partition("\n")[0] or type(error).__name__
        visiting, what = _visited(state)
        raise ImputationError(
            f"chain {number}, sweep {sweep}: {what} could not be drawn ({said}).",
            do=_way_out(engine, visiting),
        ) from error
    return dataclasses.replace(state.freeze(number, max(sweeps, first)), attempt=attempt)


def _visited(state: ChainState | None) -> tuple[Hashable, str]:
    """The column that was being drawn, and what to call it; None before the first."""
    name = None if state is None else state.visiting
    return name, "the first fill" if name is None else repr(name)


def _way_out(engine: Engine, visiting: Hashable) -> str:
    """The call that does without what could not be drawn: the column, its model, or compatible draws."""
    plan = engine.plan
    if visiting is None:
        return call("df.mice.plan").after("plan = ")
    in_analysis = {v for q in plan.questions for v in (*q.variables(engine.table), *q.outcome)}
    if visiting in plan.order and visiting not in in_analysis:
        return call("df.mice.impute", **left_alone(visiting))
    if plan.mode == "compatible":
        return call("df.mice.impute", congeniality="terms")
    return call("df.mice.impute", methods={visiting: "sample"})


def _named(error: ImputationError, state: ChainState) -> ImputationError:
    """The same error, with the column that was being drawn and what was known of it."""
    name = state.visiting
    if name is None:
        return error
    known = state.engine.variables[name].bounds if name in state.engine.variables else None
    lines = {**error.lines, **({} if known is None else {"bounds": str(known)})}
    do = call("df.mice.impute", **({"methods": {name: "norm"}} if known else left_alone(name)))
    return ImputationError(f"{name!r}: {error.fact}", do=do, **lines)


def tables_of(table: Table, plan: Plan) -> list[Table]:
    """The rows of each group of a plan, as tables."""
    split = rows_of(table, plan.options.by)
    if list(split) != [level for level, _ in plan.groups]:
        raise PlanError("the plan was made for other groups.", do=call("df.mice.plan").after("plan = "))
    return [table.part(rows) for rows in split.values()]


def joined(table: Table, plan: Plan, parts: Sequence[Chain], sweeps: int) -> Chain:
    """Chains of the groups as one chain of the whole, with theirs in ``parts``."""
    split = rows_of(table, plan.options.by)
    imputed = {name: np.full(len(table[name].missing), np.nan) for name in plan.order}
    traces: dict[str, Any] = {}
    events: dict[str, int] = {}
    first: dict[str, tuple[Hashable, int]] = {}
    sampled: dict[Hashable, tuple[int, int, int]] = {}
    for (level, rows), chain in zip(split.items(), parts, strict=True):
        ahead = f"{plan.options.by} = {level}: "
        for name, drawn in chain.imputed.items():
            imputed[name][np.isin(table[name].missing, rows)] = drawn
        traces.update({ahead + name: trace for name, trace in chain.traces.items()})
        events.update({ahead + event: visits for event, visits in chain.events.items()})
        first.update({ahead + event: seen for event, seen in chain.first.items()})
        for name, (drawn_, tried, stayed) in chain.sampled.items():
            past = sampled.get(name, (0, 0, 0))
            sampled[name] = (past[0] + drawn_, past[1] + tried, past[2] + stayed)
    return Chain(parts[0].number, sweeps, imputed, traces, {}, events, sampled, first, tuple(parts), parts[0].attempt)

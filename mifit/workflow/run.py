"""Run the chains of a record: seeds, workers, progress, checkpoints; more of them, or more sweeps."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import errors
from ..errors import PlanError, StorageWarning
from ..imputation.plan.check_arguments import is_whole
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.runs import run
from ..imputation.sampler.siblings import ATTEMPTS, DRAWN_AGAIN, STAYS, apart
from ..record.record import Record
from ..record.request import IMPUTE
from ..storage.checkpoint import Checkpoint
from ..workers import Halted, alone

__all__ = ["chains_of", "finished", "more_chains", "refuse_run"]

_MANY_VALUES = 200_000  # values drawn, times sweeps, from which a progress bar may be worth it


def refuse_run(record: Record, n_jobs: int | None, checkpoint: str | os.PathLike[str] | None) -> None:
    """Refuse workers or a folder that the run itself would refuse; nothing is created or drawn."""
    plan, seed = record.plan, record.seed
    assert plan is not None and seed is not None
    if not plan.order:
        return
    alone(n_jobs)
    if checkpoint is not None:
        there = os.path.abspath(checkpoint) if isinstance(checkpoint, str | os.PathLike) else ""
        while there and not os.path.exists(there) and os.path.dirname(there) != there:
            there = os.path.dirname(there)
        if not there or os.path.exists(checkpoint) or not os.path.isdir(there):
            Checkpoint(checkpoint, record.table.drawn, plan, seed)


def chains_of(
    record: Record, numbers: Sequence[int], sweeps: int, n_jobs: int | None = None, progress: bool | None = None,
    before: Sequence[Chain] | None = None, checkpoint: str | os.PathLike[str] | None = None,
) -> list[Chain]:  # fmt: skip
    """Run chains, with a progress bar if asked for, or in a terminal if there is much to do.

    Those that a checkpoint has are not run again, and those that are finished go there at once.
    """
    table, plan, seed = record.table.drawn, record.plan, record.seed
    assert plan is not None and seed is not None
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
                table, plan, rest, sweeps, seed, derived=record.derived, before=begin or None, n_jobs=n_jobs, tick=tick,
                keep=keep, designs=record.designs.on(table),
            )  # fmt: skip
    except Halted as halted:
        done = {**found, **{chain.number: chain for chain in halted.finished}}
        kept = [done[number] for number in numbers if number in done]
        raise Halted(kept, [rest[position] for position in halted.begun], halted.cause) from halted.cause
    found.update({chain.number: chain for chain in fresh})
    if before is None:
        _draw_trapped_again(record, found, sweeps, n_jobs, keep)
    chains = [found[number] for number in numbers]
    if folder is not None and folder.lost is not None:
        try:
            errors.warn(f"all chains are drawn, some are not kept: {folder.lost.fact}", StorageWarning)
        except StorageWarning as error:
            raise Halted(chains, [], error) from error
    return chains


def _draw_trapped_again(
    record: Record, found: dict[int, Chain], sweeps: int, n_jobs: int | None, keep: Callable[[Chain], Any]
) -> None:
    """Draw again chains that stay far from all others; each says so among its events.

    What is drawn again follows from the chains alone, so that workers and checkpoints make no difference.
    """
    plan, seed = record.plan, record.seed
    assert plan is not None and seed is not None
    beside = [chain for chain in record.chains if chain.number not in found]
    for _ in range(ATTEMPTS + 1):
        every = sorted([*beside, *found.values()], key=lambda chain: chain.number)
        far = {number: trace for number, trace in apart(every).items() if number in found}
        for number, trace in far.items():
            if found[number].attempt >= ATTEMPTS:
                found[number] = _told(found[number], f"{trace}: {STAYS}")
        again = {number: trace for number, trace in far.items() if found[number].attempt < ATTEMPTS}
        for attempt in sorted({found[number].attempt + 1 for number in again}):
            numbers = [number for number in again if found[number].attempt == attempt - 1]
            try:
                fresh = run(
                    record.table.drawn, plan, numbers, sweeps, seed, derived=record.derived, n_jobs=n_jobs,
                    designs=record.designs.on(record.table.drawn), attempt=attempt,
                )  # fmt: skip
            except Halted as halted:
                raise Halted(list(found.values()), [], halted.cause) from halted.cause
            for chain in fresh:
                found[chain.number] = _told(chain, f"{again[chain.number]}: {DRAWN_AGAIN}")
                keep(found[chain.number])
        if not again:
            return


def _told(chain: Chain, event: str) -> Chain:
    """A chain with one more event."""
    return dataclasses.replace(chain, events={**chain.events, event: 1}, first={**chain.first, event: ("", 0)})


@contextlib.contextmanager
def _bar(work: int, steps: int, progress: bool | None) -> Iterator[Callable[[int], Any] | None]:
    """Context manager: a function that moves a progress bar, or None."""
    if not steps or not (progress if progress is not None else sys.stderr.isatty() and work > _MANY_VALUES):
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(total=steps, desc="imputing", unit="sweep", delay=0.0 if progress else 2.0) as bar:
        yield bar.update


def more_chains(
    record: Record, m: int | None, iterations: int | None, n_jobs: int | None, progress: bool | None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> list[Chain]:  # fmt: skip
    """The chains of a record, with more of them or more sweeps in each; see :meth:`mifit.ImputedSet.extend`."""
    if record.plan is None or record.seed is None:
        raise PlanError(
            "sets made elsewhere cannot be extended; the call below imputes anew.",
            do=errors.call(IMPUTE, m=record.m + (m or 0)),
        )
    for word, given in (("m", m), ("iterations", iterations)):
        if given is not None and not is_whole(given):
            raise PlanError(f"{word} is {given!r}; a whole number is needed.", do=f"imp.extend({word}=10)")
    more, sweeps = m or 0, record.iterations + (iterations or 0)
    if more < 0 or (iterations or 0) < 0 or not (m or iterations):
        raise PlanError(
            f"extend needs more sets or more sweeps, not m={m}, iterations={iterations}.", do="imp.extend(m=10)"
        )
    chains, plan = list(record.chains), record.plan
    numbers = [chain.number for chain in chains]
    if iterations and plan.order:
        chains = chains_of(record, numbers, sweeps, n_jobs, progress, chains, checkpoint)
    # Where a run was stopped some numbers are not taken; they come first.
    free = [number for number in range(len(numbers) + more) if number not in set(numbers)][:more]
    try:
        chains += chains_of(record, free, sweeps, n_jobs, progress, None, checkpoint) if more else []
    except Halted as halted:
        raise Halted([*chains, *halted.finished], halted.begun, halted.cause) from halted.cause
    return sorted(chains, key=lambda chain: chain.number)


def finished(record: Record, chains: Sequence[Chain]) -> Record:
    """The record with its chains; refused where a drawn number does not fit its column's dtype."""
    found = record.with_chains(chains)
    found.completed.fitting()
    return found

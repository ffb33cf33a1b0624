"""Make the plan of an imputation, and run its chains."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..calls import Advice
from ..errors import IncompleteWarning, MifitError, StorageError, call, warn
from ..frame.completed import copied
from ..frame.other_frames import Origin
from ..imputation.plan.check_arguments import is_whole, one_seed, refuse_number, refuse_unseeded, seed_of
from ..imputation.plan.options import Arguments
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed
from ..record.record import Present, Record
from ..record.request import request, request_of
from .describe import remaining, said_of_incomplete, warn_of_clusters, warn_of_times, warn_of_values
from .prepare import checked, plan_for
from .run import chains_of, finished, more_chains, refuse_run
from .stopping import call_again, salvaged

__all__ = ["extended", "imputed", "plan_of"]


def plan_of(frame: pd.DataFrame, given: Arguments) -> Plan:
    """The plan of an imputation, without drawing anything; see :func:`mifit.plan`."""
    with _advice_for(given):
        planned = _planned(frame, given)
        # A generator would give another seed the next time; it is not to move for a plan.
        seed = Seed(0) if isinstance(one_seed(given), np.random.Generator) else seed_of(one_seed(given))
        refuse_run(planned.with_chains((), seed), given.n_jobs, given.checkpoint)
    assert planned.plan is not None
    return planned.plan


def imputed(frame: pd.DataFrame, given: Arguments, present: Present, came_as: Origin | None = None) -> Record:
    """The frame with m sets of drawn values; see :func:`mifit.impute`.

    Parameters
    ----------
    frame : DataFrame
    given : Arguments
    present : callable
        Makes what the user sees of a record, for the error where the run stops before its end.
    came_as : Origin, optional
        What the frame was before it became a DataFrame.
    """
    with _advice_for(given):
        planned = _planned(frame, given)
        seed = seed_of(one_seed(given))
        planned = dataclasses.replace(planned, frame=copied(planned.frame), seed=seed, came_as=came_as)
        plan, numbers = planned.plan, range(int(given.m))
        assert plan is not None
        warn_of_values(plan)
        warn_of_times(planned.questions, planned.table.filled, lambda: request(given))
        warn_of_clusters(planned, lambda: request(given))

        def again() -> Advice:
            return call_again(request(given), seed, given.checkpoint)

        with salvaged(_with_chains(planned, present), len(numbers), again, given.checkpoint):
            run = (plan.iterations, given.n_jobs, given.progress, None, given.checkpoint)
            found = finished(planned, chains_of(planned, numbers, *run))
        if text := said_of_incomplete(remaining(found), plan, lambda: request(given)):
            warn(text, IncompleteWarning)
    return found


def extended(
    record: Record, present: Present, m: int | None, iterations: int | None, n_jobs: int | None, progress: bool | None,
    checkpoint: Any,
) -> Record:  # fmt: skip
    """The record with more chains, or more sweeps; see :meth:`mifit.ImputedSet.extend`."""
    folder = "chains" if checkpoint is None else str(checkpoint)
    again = call("imp.extend", m=m, iterations=iterations, n_jobs=n_jobs, checkpoint=folder)
    total = record.m + (int(m) if m is not None and is_whole(m) else 0)
    try:
        with salvaged(_with_chains(record, present), total, lambda: again, checkpoint):
            return finished(record, more_chains(record, m, iterations, n_jobs, progress, checkpoint))
    except StorageError as error:  # of the folder
        error.complete(again, "imp.extend")
        raise
    except MifitError as error:
        error.complete(request_of(record.plan, record.m, record.seed))
        raise


def _planned(frame: pd.DataFrame, given: Arguments) -> Record:
    """The record with its plan, after all arguments were checked."""
    refuse_unseeded(given.checkpoint, one_seed(given))
    refuse_number(given.m)
    return checked(given.formula, frame, given) if isinstance(given.formula, Plan) else plan_for(frame, given)


@contextlib.contextmanager
def _advice_for(given: Arguments) -> Iterator[None]:
    """Context manager: an error advises a change of the user's own call."""
    try:
        yield
    except MifitError as error:
        error.complete(request(given))
        raise


def _with_chains(record: Record, present: Present) -> Callable[[Sequence[Chain]], Any]:
    """A function that makes what the user sees of the record from chains."""
    return lambda chains: present(finished(record, chains))

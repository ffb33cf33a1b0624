"""Rehearse a study: simulate frames from its fitted models, delete values as they were missing, impute and analyse."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.fit import Fits, fit_sets
from ..analysis.models import Call
from ..calls import Advice
from ..errors import FitError, MifitError, PlanError, StorageError, call
from ..files import path_of, write_text
from ..formula.design import Design, Designs
from ..formula.question import Question
from ..frame.completed import Completed
from ..frame.table import Column, Table
from ..imputation.contract import facts_of
from ..imputation.plan.check_arguments import is_whole
from ..imputation.plan.plan import Plan
from ..imputation.sampler.new_rows import complete_rows
from ..imputation.sampler.runs import one_thread
from ..imputation.seed import Seed
from ..planning.ampute import ampute, emptied
from ..planning.rehearsal import WAYS, Rehearsal
from ..pooling.rubin import pool
from ..record.record import Record
from ..workers import Halted, run_jobs
from .fit import FitArguments, question_of
from .missing_model import MissingModel, fit_missing
from .prepare import planned, prepare, scope_of
from .run import chains_of

__all__ = ["rehearsed"]

_WORLD = 20_000  # rows from which frames are sampled
_TIMES = 5  # at least so many times the rows of a frame
_SWEEPS = 20  # visits to every simulated column
_STREAM = (1_000_001,)  # of the world and of the frames; no chain has this number
_REFUSED = ("by", "conditional", "collapse", "min_count", "id", "where", "ignore", "derived", "censored")

#: way -> (3, q): estimates, standard errors, degrees of freedom; or why it failed
Found = dict[str, Any]


def rehearsed(
    record: Record, frames: int = 200, n: int | None = None, m: int | None = None, formula: str | None = None,
    missing: Mapping[str, Any] | None = None, n_jobs: int | None = None, progress: bool | None = None,
    checkpoint: Any = None,
) -> Rehearsal:  # fmt: skip
    """Rehearse the study of a record; see :meth:`mifit.ImputedSet.rehearse`."""
    words = {"frames": frames, "n": n, "m": m, "formula": formula, "missing": missing, "checkpoint": checkpoint}
    plan, seed = _refuse(record, words)
    n, m = int(n or record.table.n_rows), int(m or record.m)
    question, fit_words = question_of(record, FitArguments(formula=formula))
    world = _world(record, plan, seed, max(_WORLD, _TIMES * n))
    model = None if missing is not None else fit_missing(record.table.given, plan.order)
    if model is not None and not model.steps:
        raise PlanError(
            "no value of the frame is missing: say how values are to be deleted.",
            do=_again(words, missing={"share": 0.3}),
        )
    study = _Study(world, plan, question, fit_words, record.written, record.table.filled, model, missing, n, m, seed)
    truth = study.truth()
    found = _run(study, range(frames), n_jobs, progress, _folder(checkpoint, record, study, words))
    return _rehearsal(study, truth, found)


def _refuse(record: Record, words: Mapping[str, Any]) -> tuple[Plan, Seed]:
    """The plan and the seed; refuse what cannot be rehearsed, and numbers that are none."""
    plan, seed = record.plan, record.seed
    if plan is None or seed is None:
        raise PlanError(
            "sets made elsewhere have no models to simulate from; the call below imputes anew.",
            do=call("df.mice.impute", m=record.m).after("imp = ").then(".rehearse()"),
        )
    for word in _REFUSED:
        if getattr(plan.options, word) not in (None, {}, ()):
            formula = record.written[0] if len(record.written) == 1 else list(record.written)
            raise PlanError(
                f"a study with {word}= cannot be rehearsed.",
                do=call("df.mice.impute", formula, m=record.m).then(".rehearse()"),
            )
    for word, least in (("frames", 2), ("n", 10), ("m", 2)):
        value = words[word]
        if value is not None and (not is_whole(value) or value < least):
            raise PlanError(
                f"{word} is {value!r}; a whole number from {least} is needed.",
                do=_again(words, **{word: {"frames": 200, "n": 100, "m": 5}[word]}),
            )
    if record.m < 2 and words["m"] is None:
        raise PlanError("one completed set has no between-imputation variance.", do=_again(words, m=20))
    return plan, seed


def _again(words: Mapping[str, Any], **changed: Any) -> Advice:
    """The call with other words."""
    kept = {word: value for word, value in {**words, **changed}.items() if value is not None}
    return call("imp.rehearse", **kept)


@dataclass(frozen=True, eq=False)
class _World:
    """Rows from which frames are sampled: complete where something is drawn."""

    frame: pd.DataFrame
    table: Table


def _world(record: Record, plan: Plan, seed: Seed, rows: int) -> _World:
    """Simulate rows from the joint model under the parameters of the first chain.

    Columns without a model are those of rows drawn with replacement from the first completed set; all that has one,
    complete outcomes among it, is drawn given them, by as many sweeps as it takes to leave its start.
    """
    rng, table = seed.stream(*_STREAM, 0), record.table.drawn
    drawn = list(plan.order)
    for factor in plan.factors:
        if not facts_of(factor.method).survival:
            named = (factor.variable,) if factor.question is None else plan.questions[factor.question].outcome
            drawn += [name for name in named if name not in drawn]
    taken = rng.integers(0, table.n_rows, rows)
    first = record.completed.values(0)
    every, none = np.arange(rows), np.empty(0, dtype=np.int64)
    columns = {}
    for name, column in table.columns.items():
        values = first[name][taken]
        columns[name] = (
            Column(name, column.coding, np.full(rows, np.nan), every)
            if name in drawn
            else Column(name, column.coding, values, np.flatnonzero(np.isnan(values)) if len(column.missing) else none)
        )
    sweeps = max(_SWEEPS, 2 * plan.iterations)
    found = complete_rows(
        table, Table(columns, rows), plan, record.chains[:1], seed, sweeps, (), list(table.columns), ""
    )[0]
    base = record.frame.iloc[taken].reset_index(drop=True)
    completed = Completed(base, Table(columns, rows), (found,))
    filled = completed.values(0)
    whole = {n: Column(n, c.coding, filled[n], np.flatnonzero(np.isnan(filled[n]))) for n, c in columns.items()}
    return _World(completed.frame(0), Table(whole, rows))


@dataclass(frozen=True, eq=False)
class _Study:
    """What all frames share; a worker receives it once."""

    world: _World
    plan: Plan
    question: Question
    words: Call
    written: tuple[str, ...]
    known: Table  #: that knots and levels of the analysis are learnt on
    model: MissingModel | None
    missing: Mapping[str, Any] | None
    n: int
    m: int
    seed: Seed

    @cached_property
    def design(self) -> Design:
        """The analysis, with its levels and knots."""
        return Designs(self.known).of(self.question)

    def __reduce__(self) -> tuple[object, ...]:
        return _Study, tuple(getattr(self, name) for name in self.__dataclass_fields__)

    def truth(self) -> pd.Series:
        """Coefficients of the analysis in the world."""
        with _silent():
            fits = self._fits(Completed(self.world.frame, self.world.table, ({},)))
        return pd.Series(fits.estimates[0], index=list(fits.names), name="truth")

    def __call__(self, number: int, tick: Callable[[], Any] | None = None) -> tuple[int, Found]:
        """One frame: sampled, deleted, analysed in all ways."""
        rng = self.seed.stream(*_STREAM, 1, number)
        taken = rng.integers(0, self.world.table.n_rows, self.n)
        frame = self.world.frame.iloc[taken].reset_index(drop=True)
        table = self.world.table.part(taken)
        with one_thread(), _silent():
            if self.model is not None:
                gone = self.model.deleted(table, rng)
                given = emptied(frame, gone)
            else:
                given = ampute(frame, **{"rng": rng, **(self.missing or {})})
            found: Found = {"missing": (given.isna().to_numpy() & ~frame.isna().to_numpy()).mean(axis=0).tolist()}
            for way, do in zip(WAYS, (self._whole, self._complete, self._imputed), strict=True):
                try:
                    found[way] = do(frame, table, given, number)
                except (MifitError, np.linalg.LinAlgError) as error:
                    found[way] = getattr(error, "fact", str(error))
        if tick is not None:
            tick()
        return number, found

    def _fits(self, completed: Completed) -> Fits:
        """The analysis of completed sets, on the design of the study."""
        return fit_sets(self.design, completed, self.words, n_jobs=1)

    def _whole(self, frame: pd.DataFrame, table: Table, given: pd.DataFrame, number: int) -> list[list[float]]:
        """Nothing is missing."""
        return _single(self._fits(Completed(frame, table, ({},))))

    def _complete(self, frame: pd.DataFrame, table: Table, given: pd.DataFrame, number: int) -> list[list[float]]:
        """Rows in which nothing that the analysis uses was deleted."""
        used = [*self.question.variables(self.known), *self.question.outcome, *self.words.columns]
        rows = np.flatnonzero(given[[name for name in used if name in given.columns]].notna().all(axis=1))
        if not len(rows):
            raise FitError("no row is complete in the columns of the analysis.", do="df.mice.pattern()")
        return _single(self._fits(Completed(frame, table, ({},)).part(rows)))

    def _imputed(self, frame: pd.DataFrame, table: Table, given: pd.DataFrame, number: int) -> list[list[float]]:
        """The plan is made and run again, as for the study."""
        plan, scope = self.plan, scope_of(self.plan.questions, self.plan.questions)
        read_in, events = prepare(given, plan.options, scope)
        record = planned(read_in, plan.questions, plan.options, scope, self.written, events)
        assert record.plan is not None
        iterations = record.plan.iterations
        record = record.with_chains((), Seed(self.seed.entropy, (*self.seed.key, *_STREAM, 2, number)))
        record = record.with_chains(chains_of(record, range(self.m), iterations, 1, False))
        fits = self._fits(record.completed)
        pooled = pool(fits.estimates, fits.covariances, fits.df_complete)
        return [
            pooled.params.tolist(),
            pooled.std_error.tolist(),
            np.broadcast_to(pooled.df, (len(fits.names),)).tolist(),
        ]


def _single(fits: Fits) -> list[list[float]]:
    """Estimates, standard errors and degrees of freedom of one fit."""
    error = np.sqrt(np.diag(fits.covariances[0]))
    return [fits.estimates[0].tolist(), error.tolist(), [float(fits.df_complete)] * len(error)]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Context manager: warnings of single frames are not told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _run(
    study: _Study, numbers: Sequence[int], n_jobs: int | None, progress: bool | None, folder: _Folder | None
) -> list[tuple[int, Found]]:
    """Rehearse frames, here or in workers; those that a folder has are not done again."""
    done = {} if folder is None else folder.found(numbers)
    rest = [number for number in numbers if number not in done]

    def keep(result: tuple[int, Found]) -> None:
        done[result[0]] = result[1]
        if folder is not None:
            folder.keep(*result)

    with _bar(len(rest), progress) as tick:
        try:
            run_jobs(study, rest, n_jobs, tick=tick, keep=keep)
        except Halted as halted:
            if folder is not None and not isinstance(halted.cause, KeyboardInterrupt):
                raise halted.cause from None
            raise halted.cause from halted
    return [(number, done[number]) for number in numbers]


@contextlib.contextmanager
def _bar(steps: int, progress: bool | None) -> Iterator[Callable[[int], Any] | None]:
    """Context manager: a function that moves a progress bar, or None."""
    if not steps or not (progress if progress is not None else sys.stderr.isatty()):
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(total=steps, desc="rehearsing", unit="frame", delay=0.0 if progress else 2.0) as bar:
        yield bar.update


class _Folder:
    """Finished frames, each in a file of its own."""

    def __init__(self, path: str, of: str, again: Advice) -> None:
        self.path, self.of, self.again = Path(path_of(path, "{}", "frames")), of, again
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as error:
            raise StorageError(f"checkpoint={path!r} cannot be used: {error.strerror or error}.", do=again) from error

    def _file(self, number: int) -> Path:
        return self.path / f"frame-{number:05d}.json"

    def found(self, numbers: Sequence[int]) -> dict[int, Found]:
        """Frames that are finished; a file that cannot be read is written again, one of another study refused."""
        done: dict[int, Found] = {}
        for number in numbers:
            try:
                held = json.loads(self._file(number).read_text(encoding="utf-8"))
                of, found = held["of"], held["found"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if of != self.of:
                raise StorageError(f"checkpoint={str(self.path)!r} holds frames of another study.", do=self.again)
            done[number] = found
        return done

    def keep(self, number: int, found: Found) -> None:
        """Write a finished frame, whole or not at all."""
        write_text(
            self._file(number), json.dumps({"of": self.of, "found": found}), "imp.rehearse(checkpoint={})", "frames"
        )


def _folder(checkpoint: Any, record: Record, study: _Study, words: Mapping[str, Any]) -> _Folder | None:
    """The folder of finished frames, if one was asked for."""
    if checkpoint is None:
        return None
    of = f"{record.identity} {record.fingerprint} n={study.n} m={study.m} {study.question.formula} {study.missing!r}"
    return _Folder(os.fspath(checkpoint), of, _again(words, checkpoint=f"{os.fspath(checkpoint)}-2"))


def _rehearsal(study: _Study, truth: pd.Series, found: Sequence[tuple[int, Found]]) -> Rehearsal:
    """Put the frames together."""
    parts: list[pd.DataFrame] = []
    failed: dict[str, tuple[int, str]] = {}
    terms = list(truth.index)
    for way in WAYS:
        for number, one in found:
            if isinstance(one[way], str) or len(one[way][0]) != len(terms):
                why = one[way] if isinstance(one[way], str) else "it has other coefficients"
                failed[way] = (failed.get(way, (0, why))[0] + 1, failed.get(way, (0, why))[1])
                continue
            estimate, error, df = (np.array(values) for values in one[way])
            parts.append(pd.DataFrame({"frame": number, "way": way, "term": terms, "estimate": estimate,
                                       "std_error": error, "df": df}))  # fmt: skip
    if not parts:
        raise FitError(
            "no frame could be analysed.", reason=next(iter(failed.values()))[1], do="imp.rehearse(frames=2)"
        )
    shares = np.mean([one["missing"] for _, one in found], axis=0)
    gone = {name: share for name, share in zip(study.world.frame.columns, shares, strict=True) if share > 0}
    return Rehearsal(
        study.question.formula, study.question.model, len(found), study.n, study.m, truth,
        pd.Series(gone, name="missing", dtype=np.float64), pd.concat(parts, ignore_index=True), failed,
    )  # fmt: skip

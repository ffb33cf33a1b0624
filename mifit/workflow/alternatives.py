"""Why an estimate changes: one analysis on complete cases and under each way to impute, and each variable's share."""

from __future__ import annotations

import dataclasses
import textwrap
import warnings
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.fit import Fits, fit_sets
from ..analysis.models import Call
from ..display import block, facts, notes, table
from ..errors import FitError, MifitError
from ..formula.design import Design
from ..formula.question import Question
from ..frame.completed import Completed
from ..imputation.plan.options import Options
from ..imputation.seed import Seed
from ..pooling.rubin import columns, pool
from ..record.record import Present, Record
from .fit import FitArguments, fitted, question_of
from .prepare import planned, prepare
from .reimpute import foreseen, scope_for
from .run import chains_of

__all__ = ["Alternatives", "alternatives"]

_MODES = {"main effects": "ignore", "terms": "terms", "compatible": "compatible"}
_SMALL_SHIFT = 0.1  # standard errors of the complete-case estimate below which a shift has no shares
_TOGETHER = "together"


@dataclass(frozen=True, eq=False)
class Alternatives:
    """One analysis, answered in several ways; prints side by side."""

    formula: str
    model: str
    figures: Mapping[str, pd.DataFrame]  #: way -> term by estimate, std_error, ..., fmi, as ``res.to_frame()``
    rows: Mapping[str, int]  #: way -> rows used
    shifts: pd.DataFrame  #: term by shift from complete cases: each variable alone, together, total
    failed: Mapping[str, str]  #: way -> why it could not be done
    results: Mapping[str, Any]  #: way -> PooledResults

    @property
    def shares(self) -> pd.DataFrame:
        """Each part of a shift over the whole: rows sum to 1; NaN where it is under a tenth of a standard error."""
        large = self.shifts["total"].abs() >= _SMALL_SHIFT * self._unit()
        return self.shifts.drop(columns="total").div(self.shifts["total"].where(large), axis=0)

    def to_frame(self) -> pd.DataFrame:
        """Everything in long format: columns way, term, rows and the figures."""
        parts = [
            f.rename_axis("term").reset_index().assign(way=way, rows=self.rows[way]) for way, f in self.figures.items()
        ]
        long = pd.concat(parts, ignore_index=True)
        return long[["way", "term", "rows", *(name for name in long if name not in ("way", "term", "rows"))]]

    def _unit(self) -> Any:
        """Standard errors of the complete cases, or of the first way there is."""
        return self.figures.get("complete cases", next(iter(self.figures.values())))["std_error"]

    def _estimates(self) -> pd.DataFrame:
        """Estimates with their standard errors, as text."""
        cells = {
            way: [f"{r.estimate:.4g} ({r.std_error:.3g})" for r in figures.itertuples()]
            for way, figures in self.figures.items()
        }
        terms = next(iter(self.figures.values())).index
        frame = pd.DataFrame(cells, index=terms)
        frame.loc["rows"] = [str(self.rows[way]) for way in self.figures]
        return frame

    def _moved(self) -> pd.DataFrame:
        """The shifts and their shares, as text."""
        if not len(self.shifts):
            return pd.DataFrame()
        unit, shares = self._unit(), self.shares
        frame = pd.DataFrame(index=self.shifts.index)
        frame["shift"] = [f"{value:.4g}" for value in self.shifts["total"]]
        frame["in s.e."] = [f"{value:.2f}" for value in self.shifts["total"] / unit]
        for name in shares:
            frame[str(name)] = ["" if np.isnan(share) else f"{100 * share:.0f} %" for share in shares[name]]
        return frame

    def _notes(self) -> list[str]:
        """What the figures mean, and what could not be done."""
        failed = [f"{way}: {why}" for way, why in self.failed.items()]
        if not len(self.shifts):
            return failed
        end = list(self.figures)[-1]
        return [f"Shift: from complete cases to {end}. {_MEANING}", *failed]

    def __str__(self) -> str:
        parts = [f"{self.formula}   ({self.model}): estimate (standard error)", self._estimates().to_string()]
        if len(self.shifts):
            parts += ["", "What the imputed values of each variable bring", self._moved().to_string()]
        return "\n".join([*parts, "", *(textwrap.fill(note, 100) for note in self._notes())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""

        def shown(frame: pd.DataFrame) -> Any:
            rows = [[label, *cells] for label, cells in zip(frame.index, frame.to_numpy(), strict=True)]
            return table(["", *frame.columns], rows, numbers=range(1, 1 + frame.shape[1]))

        moved = [shown(self._moved())] if len(self.shifts) else []
        said = facts([("analysis", f"{self.formula}   ({self.model})")])
        return block(
            "Alternatives: estimate (standard error)", said, shown(self._estimates()), *moved, notes(self._notes())
        )


_MEANING = (
    "A variable's part: the change when rows in which only that variable is missing are added, with its imputed "
    "values; together: the rest, from rows with several missing values. No shares where the shift is below 0.1 "
    "standard errors."
)


def alternatives(record: Record, given: FitArguments, present: Present) -> Alternatives:
    """Answer one analysis in several ways; see :meth:`mifit.ImputedSet.alternatives`."""
    question, words = question_of(record, given)
    design = record.design(question)
    used = tuple(dict.fromkeys([*question.variables(record.table.given), *question.outcome, *words.columns]))
    figures: dict[str, pd.DataFrame] = {}
    rows: dict[str, int] = {}
    results: dict[str, Any] = {}
    failed: dict[str, str] = {}
    complete = record.table.given.complete_rows(used)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            figures["complete cases"] = _frame_of(_part(design, record.completed, words, complete, sets=1))
            rows["complete cases"] = len(complete)
        except MifitError as error:
            failed["complete cases"] = error.fact
        for way, sets in _ways(record, question, failed):
            try:
                found = fitted(sets, dataclasses.replace(given, uncovered="ignore"), present)
            except MifitError as error:
                failed[way] = error.fact
                continue
            figures[way], rows[way], results[way] = found.to_frame(), found.nobs, found
        shifts = _shifts(design, words, used, figures, results)
    if not figures:
        raise FitError(
            "the analysis could be fitted neither to the complete cases nor after any way to impute.",
            **_few(failed),
            do="imp.fit()",
        )
    return Alternatives(question.formula, question.model, figures, rows, shifts, failed, results)


def _few(failed: Mapping[str, str]) -> dict[str, object]:
    """The first reasons, as lines of an error."""
    return dict([(way.replace(" ", "_"), why) for way, why in failed.items()][:3])


def _ways(record: Record, question: Question, failed: dict[str, str]) -> Iterable[tuple[str, Record]]:
    """The imputed sets of each way to impute: these ones if they were made that way, otherwise drawn again."""
    if record.plan is None:
        yield "as given", record
    for way, mode in _MODES.items():
        mine = (
            record.plan is not None and record.plan.mode == mode and foreseen(record, question) in record.plan.questions
        )
        if mine:
            yield way, record
            continue
        try:
            yield way, _redrawn(record, question, mode)
        except MifitError as error:
            failed[way] = error.fact


def _redrawn(record: Record, question: Question, mode: str) -> Record:
    """The same frame, options, m and seed, imputed for one analysis in one mode."""
    options = dataclasses.replace(record.plan.options if record.plan else Options(), congeniality=mode)
    scope = scope_for(record)
    read_in, events = prepare(record.frame, options, scope)
    found = planned(read_in, (foreseen(record, question),), options, scope, (question.formula,), events)
    assert found.plan is not None
    sweeps = max(found.plan.iterations, record.iterations)
    found = found.with_chains((), record.seed or Seed(0))
    return found.with_chains(chains_of(found, range(record.m), sweeps))


def _shifts(
    design: Design, words: Call, used: tuple[Hashable, ...], figures: Mapping[str, pd.DataFrame],
    results: Mapping[str, Any],
) -> pd.DataFrame:  # fmt: skip
    """Shift of each coefficient from complete cases: each variable alone, together, total."""
    if "complete cases" not in figures or not results:
        return pd.DataFrame()
    last = results.get("compatible") or next(iter(results.values()))
    completed, start = last.completed, figures["complete cases"]["estimate"]
    total = last.params - start
    parts = {}
    for name in (name for name in used if len(completed.table[name].missing)):
        rows = completed.table.complete_rows(other for other in used if other != name)
        try:
            parts[name] = _frame_of(_part(design, completed, words, rows))["estimate"] - start
        except MifitError:
            parts[name] = total * np.nan
    alone = pd.DataFrame(parts, index=total.index)
    if alone.shape[1] > 1:
        alone[_TOGETHER] = total - alone.sum(axis=1, skipna=False)
    return alone.assign(total=total)


def _part(design: Design, completed: Completed, words: Call, rows: Any, sets: int | None = None) -> Fits:
    """Fit some rows of the completed sets on the same design."""
    if not len(rows):
        raise FitError("no row is complete in the columns of the analysis.", do="df.mice.pattern()")
    part = completed.part(rows, sets)
    n = completed.table.n_rows

    def chosen(value: Any) -> Any:
        is_column = not isinstance(value, str) and np.ndim(value) == 1 and len(value) == n
        return np.asarray(value)[rows] if is_column else value

    fewer = dataclasses.replace(words, init={word: chosen(value) for word, value in words.init.items()})
    return fit_sets(dataclasses.replace(design, table=part.table), part, fewer)


def _frame_of(fits: Fits) -> pd.DataFrame:
    """Figures of one fit, or of several pooled, as ``res.to_frame()`` has them."""
    estimates, covariances = fits.estimates, fits.covariances
    if len(estimates) == 1:  # nothing between sets; the degrees of freedom are the model's own
        pooled = pool(np.repeat(estimates, 2, axis=0), np.repeat(covariances, 2, axis=0), fits.complete, "rubin")
        pooled = dataclasses.replace(pooled, df=np.broadcast_to(fits.complete, estimates.shape[1:]).copy())
    else:
        pooled = pool(estimates, covariances, fits.complete)
    return pd.DataFrame(columns(pooled, 0.05), index=list(fits.names))

"""Sensitivity analysis: one analysis under a range of departures from missing at random, and where it changes."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Hashable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ..errors import CongenialityError, ConvergenceWarning, DataError, PlanError, call, listed, near, nearest
from ..examine.sensitivity import Sensitivity, Tipping
from ..formula.evaluate import environment
from ..formula.source import Captured
from ..frame.table import Table
from ..imputation.contract import facts_of
from ..imputation.plan.not_at_random import Departure, departed, least_sweeps
from ..imputation.plan.plan import Piece, Plan
from ..imputation.sampler.engine import Engine
from ..imputation.sampler.runs import run
from ..record.record import Record
from ..record.request import request_of
from ..typing import Array
from .fit import FitArguments, certified, fitted, question_of

__all__ = ["KINDS", "SCALES", "Departing", "sensitivity"]

KINDS = ("selection", "delta")
SCALES = ("sd", "unit", "share")
_ROOT_STEPS = 12  # analyses that the search for a tipping point may take


@dataclasses.dataclass(frozen=True, eq=False)
class Departing:
    """What is varied, and the analysis that is asked under each value."""

    record: Record
    given: FitArguments
    kind: str
    units: Mapping[Hashable, float]  #: column -> what a value of the grid is multiplied by
    times: Mapping[Hashable, Array]  #: column -> (n,) what delta is multiplied by in each row
    n_jobs: int | None

    def at(self, values: Mapping[Hashable, float]) -> pd.DataFrame:
        """The analysis under some values: one row for each coefficient.

        The chains have the seeds of the imputation, so that what differs between two values is the assumption.
        """
        record = self._imputed(values)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of the chains at random: said once, of the base
            frame = fitted(record, self.given, lambda _: None).to_frame()
        rows = pd.DataFrame({"term": list(frame.index)})
        for name, value in values.items():
            rows.insert(0, name, value)
        for word in ("estimate", "std_error", "df", "conf_low", "conf_high", "p_value", "fmi"):
            rows[word] = frame[word].to_numpy()
        for name in values:
            rows[f"difference({name})"] = _difference(record, name)
        return rows

    def _imputed(self, values: Mapping[Hashable, float]) -> Record:
        """The record with chains that were drawn under these values."""
        record, plan, seed = self.record, self.record.plan, self.record.seed
        assert plan is not None and seed is not None
        departures = [Departure(n, self.kind, v * self.units[n], self.times.get(n)) for n, v in values.items()]
        table, changed = departed(record.table.drawn, plan, departures, _placed)
        numbers = [chain.number for chain in record.chains]
        chains = run(table, changed, numbers, least_sweeps(plan), seed, derived=record.derived, n_jobs=self.n_jobs)
        return record.with_chains(chains)


def _placed(table: Table, plan: Plan, name: Hashable) -> tuple[int, float, float]:
    """Term, scale and centre of the main effect of a column in the chains."""
    layout = Engine(table, plan).layout
    model = layout.model((Piece("main", name),))
    place = int(model.columns[-1])
    return int(model.terms[-1]), float(layout.scale[place]), float(layout.centre[place])


def _difference(record: Record, name: Hashable) -> float:
    """Mean of the imputed values less that of the observed ones; of two levels, the share of the last."""
    column, completed = record.table.given[name], record.completed
    drawn = np.concatenate([one[name] for one in completed.imputed])
    seen = column.values[column.observed]
    return float(column.numbers(drawn).mean() - column.numbers(seen).mean()) if column.number else float(
        drawn.mean() - seen.mean()
    )  # fmt: skip


def sensitivity(
    record: Record, grid: Mapping[Hashable, Any], given: FitArguments, kind: str | None, scale: str,
    times: Mapping[Hashable, Any] | None, n_jobs: int | None,
) -> Sensitivity:  # fmt: skip
    """The analysis on a grid of departures; see :meth:`mifit.ImputedSet.sensitivity`."""
    if record.plan is None or record.seed is None:
        raise PlanError(
            "sets made elsewhere cannot be drawn under another assumption; the call below imputes anew.",
            do=call("df.mice.impute", m=record.m),
        )
    _refuse_uncovered(record, given)
    lists = _grid(record, grid)
    kind = _kind(record, list(lists), kind)
    units = {name: _unit(record, name, kind, scale) for name in lists}
    rows = {name: _times(record, name, code) for name, code in (times or {}).items()}
    strangers = [name for name in rows if name not in lists]
    if strangers or (rows and kind == "selection"):
        raise PlanError(
            "times= multiplies the delta of a column of the grid.", do=f"imp.sensitivity({dict(lists)!r}, kind='delta')"
        )
    question, _ = question_of(record, given)
    departing = Departing(record, dataclasses.replace(given, uncovered="ignore"), kind, units, rows, n_jobs)
    points = [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]
    frame = pd.concat([departing.at(point) for point in points], ignore_index=True)
    frame = frame[[*lists, *(c for c in frame.columns if c not in lists)]]
    said = {name: _said(record, name, kind, scale) for name in lists}
    solve = _Solver(departing, tuple(lists), frame)
    return Sensitivity(frame, tuple(lists), kind, said, question.formula, record.m, solve)


@dataclasses.dataclass(frozen=True, eq=False)
class _Solver:
    """Finds where along one column a figure crosses a value, by drawing anew at each step."""

    departing: Departing
    names: tuple[Hashable, ...]
    frame: pd.DataFrame

    def __call__(self, term: str, column: Hashable, figure: str, target: float) -> Tipping:
        """The value of a column, the others at 0 or the nearest value of the grid, where the figure is the target."""
        others = {n: min(self.frame[n].unique(), key=abs) for n in self.names if n != column}
        line = self.frame[(self.frame["term"] == term)]
        for name, value in others.items():
            line = line[line[name] == value]
        line = line.sort_values(column)
        x, gap = line[column].to_numpy(dtype=float), line[figure].to_numpy(dtype=float) - target
        crossed = np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) <= 0)
        if not len(crossed):
            return Tipping(term, column, figure, target, None, (x[0], x[-1]), None)
        at = min(crossed, key=lambda k: min(abs(x[k]), abs(x[k + 1])))  # the smallest departure
        value, row = self._root(term, column, figure, target, others, (x[at], gap[at]), (x[at + 1], gap[at + 1]))
        return Tipping(term, column, figure, target, value, (x[0], x[-1]), row)

    def _root(
        self, term: str, column: Hashable, figure: str, target: float, others: Mapping[Hashable, float],
        low: tuple[float, float], high: tuple[float, float],
    ) -> tuple[float, pd.Series]:  # fmt: skip
        """Regula falsi with halved ends (the Illinois rule); p-values are compared by their logarithm."""

        def bend(gap: float) -> float:
            return float(np.log(max(gap + target, 1e-300) / target)) if figure == "p_value" else gap

        (a, fa), (b, fb) = (low[0], bend(low[1])), (high[0], bend(high[1]))
        width, row = abs(b - a), None
        for _ in range(_ROOT_STEPS):
            c = (a * fb - b * fa) / (fb - fa) if fb != fa else (a + b) / 2
            found = self.departing.at({**others, column: c})
            row = found[found["term"] == term].iloc[0]
            fc = bend(float(row[figure]) - target)
            if abs(fc) < 1e-3 or abs(b - a) < 1e-3 * width:
                break
            if np.sign(fc) == np.sign(fa):
                a, fa, fb = c, fc, fb / 2
            else:
                b, fb, fa = c, fc, fa / 2
        assert row is not None
        return float(c), row


def _refuse_uncovered(record: Record, given: FitArguments) -> None:
    """Refuse an analysis that the imputations never saw: an assumption on top of a wrong model says nothing."""
    found = certified(record, dataclasses.replace(given, varying_n=True))
    absent = found.index[found["verdict"] == "absent"].tolist()
    if absent:
        raise CongenialityError(
            f"the imputations never saw {listed(map(str, absent))}; sensitivity needs an analysis they were made for.",
            do=str(found.loc[absent[0], "do"]),
        )


def _grid(record: Record, grid: Any) -> dict[Hashable, list[float]]:
    """The values of each column."""
    plan = record.plan
    assert plan is not None
    if not isinstance(grid, Mapping) or not 1 <= len(grid) <= 2:
        raise PlanError(
            "sensitivity takes a mapping of one or two columns to the values that are tried.",
            do=f"imp.sensitivity({{{next(iter(plan.order), 'x')!r}: [-1, 0, 1]}})",
        )
    for name in grid:
        if name not in plan.order:
            shown = record.table.given
            fact = "is not a column" if name not in shown else "has no missing values that are drawn"
            meant = near(name, plan.order)
            raise DataError(
                f"{name!r} {fact}{nearest(name, plan.order)}.",
                drawn=listed(plan.order, 8),
                do=f"imp.sensitivity({{{plan.order[0] if meant is None else meant!r}: [-1, 0, 1]}})",
            )
    return {name: _numbers(name, values) for name, values in grid.items()}


def _numbers(name: Hashable, values: Any) -> list[float]:
    """Different finite numbers, in order."""
    many = isinstance(values, Sequence | np.ndarray | pd.Series) and not isinstance(values, str)
    found = list(values) if many else []
    if not found or not all(isinstance(v, Real) and np.isfinite(float(v)) for v in found):
        raise PlanError(
            f"the values of {name!r} are numbers in a list, not {values!r}.",
            do=f"imp.sensitivity({{{name!r}: [-1, 0, 1]}})",
        )
    return sorted({float(v) for v in found})


def _kind(record: Record, names: Sequence[Hashable], kind: str | None) -> str:
    """The kind that was asked; by default selection for covariates of a joint model, delta for all else."""
    if kind is None:
        plan = record.plan
        assert plan is not None
        return "selection" if all(plan[name].role == "covariate" for name in names) else "delta"
    if kind not in KINDS:
        raise PlanError(
            f"kind= is {kind!r}{nearest(kind, KINDS)}.", known=", ".join(KINDS),
            do=f"imp.sensitivity({{{names[0]!r}: [-1, 0, 1]}}, kind={near(kind, KINDS) or 'selection'!r})",
        )  # fmt: skip
    return kind


def _unit(record: Record, name: Hashable, kind: str, scale: str) -> float:
    """What a value of the grid is multiplied by: a standard deviation, 1, or the mean of what was observed."""
    column = record.table.drawn[name]
    if scale not in SCALES or (scale == "share" and (kind == "selection" or not column.number)):
        raise PlanError(
            f"scale= is {scale!r}; "
            + ("'sd' or 'unit' is needed." if scale in SCALES else f"{', '.join(map(repr, SCALES))} are known."),
            do=f"imp.sensitivity({{{name!r}: [-1, 0, 1]}}, kind={kind!r}, scale='sd')",
        )
    if scale == "unit" or column.kind.discrete or not column.number or (kind == "delta" and _on_link(record, name)):
        return 1.0
    seen = column.values[column.observed]
    found = float(np.abs(seen.mean()) if scale == "share" else seen.std(ddof=1))
    return found if kind == "delta" else 1 / found


def _on_link(record: Record, name: Hashable) -> bool:
    """Whether the own model of a column is linear on another scale than its values."""
    plan = record.plan
    assert plan is not None
    return bool(facts_of(plan[name].method).link)


def _said(record: Record, name: Hashable, kind: str, scale: str) -> str:
    """What a value of a column means, in words."""
    column = record.table.drawn[name]
    levels = column.kind.discrete and column.n_levels == 2
    if kind == "selection":
        unit = "the last level against the first" if levels else "one unit" if scale == "unit" else _of_sd(record, name)
        return f"log odds ratio of being missing for {unit} of {name}"
    if column.kind.discrete or _on_link(record, name):
        return f"added to the linear predictor (log odds, log of a mean) of {name} where it is missing"
    sd = _of_sd(record, name).replace("one standard deviation", "standard deviations")
    units = {"sd": sd, "unit": "its units", "share": "shares of the observed mean"}
    return f"added to {name} where it is missing, in {units[scale]}"


def _of_sd(record: Record, name: Hashable) -> str:
    """The standard deviation in words."""
    column = record.table.drawn[name]
    return f"one standard deviation ({column.values[column.observed].std(ddof=1):.3g})"


def _times(record: Record, name: Hashable, code: Any) -> Array:
    """What delta is multiplied by in each row: an expression of complete columns, or a sequence."""
    frame = record.frame
    if not isinstance(code, str):
        values: Any = code
    else:
        columns = {str(c): frame[c].to_numpy() for c in frame.columns}
        try:
            values = environment(Captured({})).eval(code, inner_namespace=columns)
        except (NameError, TypeError, ValueError, SyntaxError) as error:
            raise PlanError(f"times= of {name!r} cannot be computed: {error}.", do="df.columns.tolist()") from error
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (len(frame),) or not np.isfinite(found[record.table.drawn[name].missing]).all():
        raise PlanError(
            f"times= of {name!r} is one number for each row where it is missing.",
            do=request_of(record.plan, record.m, record.seed),
        )
    return np.where(np.isfinite(found), found, 0.0)

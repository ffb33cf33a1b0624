"""Joint Metropolis moves of missing parents that keep their observed derived value."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ImputationError, call, listed
from ...formula.derived import solve_for
from ...formula.linear import additive_in, linear_in
from ...frame.kinds import Kind
from ...frame.table import Table
from ...typing import Array, Rows
from ..plan.derived_constraints import SLACK, Tie, amiss, completed_numbers, derived_value
from ..plan.options import Options
from .engine import Engine, FactorRuntime
from .likelihood_terms import prior_weights
from .store import ColumnStore, Model

__all__ = ["MOVES", "Conditional", "begin", "check", "move"]

MOVES = "moves"  # as plans name it
STEPS = 20  # Metropolis steps of each pair of parents in a sweep
_LEAST = -2.5  # log10 of the smallest step, in standard deviations of the observed values
_MOST = 0.5
_NEAREST, _START = (
    1e-6,
    0.01,
)  # smallest positive value as a fraction of the smallest observed one: during the moves; at the start
_TRIES = 200  # random starts of rows whose parents cannot be solved for in closed form


class Conditional:
    """Density of a variable given all others: its own model times the models that contain it as a predictor.

    Parameters
    ----------
    own : Fitted
        Its own model, parameters drawn; with ``log_density`` or ``log_probabilities``.
    model : Model
        Columns of the own model.
    terms : sequence of (fitted, FactorRuntime)
        The models that it feeds.
    engine : Engine
    store : ColumnStore
        From which means within clusters are taken, as they stand.
    """

    def __init__(
        self, name: Hashable, own: Any, model: Model, terms: Sequence[tuple[Any, FactorRuntime]], engine: Engine,
        store: ColumnStore,
    ) -> None:  # fmt: skip
        if not (hasattr(own, "log_density") or hasattr(own, "log_probabilities")):
            raise ImputationError(
                f"{name!r} moves with other missing values, and its method has no density.",
                do=call("df.mice.impute", methods={name: "norm"}),
            )
        self.name, self.own, self.model, self.terms = name, own, model, terms
        self.engine, self.store = engine, store
        self.responses: dict[int, Array | None] = {}  #: of terms whose outcome is complete
        for _, runtime in terms:
            drawn = any(len(engine.table[v].missing) for v in runtime.outcome)
            self.responses[runtime.position] = None if drawn else runtime.response(store.values)

    def log_density(self, data: Mapping[Hashable, Array], rows: Rows) -> Array:
        """Log density of its values in some rows, up to a constant of the row, (len(rows),); -inf where impossible."""
        X, values = self._design(self.model, data, rows), data[self.name]
        with np.errstate(all="ignore"):
            if hasattr(self.own, "log_density"):
                total = self.own.log_density(values, X)
            else:
                table = self.own.log_probabilities(X)
                codes = values.astype(np.int64)
                inside = (codes >= 0) & (codes < table.shape[1])
                total = np.where(inside, table[np.arange(len(rows)), np.clip(codes, 0, table.shape[1] - 1)], -np.inf)
            for fitted, runtime in self.terms:
                total = total + self._judged(fitted, runtime, data, rows)
        return np.where(np.isnan(total), -np.inf, total)

    def _design(self, model: Model, data: Mapping[Hashable, Array], rows: Rows) -> Array:
        """Columns of a model with other values, (len(rows), p)."""
        X = self.engine.layout.standard(model.columns, data, len(rows))
        for place in set(self.engine.layout.means.values()):
            X[:, model.columns == place] = self.store.X[rows, place][:, None]
        return X

    def _judged(self, fitted: Any, runtime: FactorRuntime, data: Mapping[Hashable, Array], rows: Rows) -> Array:
        """Log-likelihood of its values under a model that contains it, (len(rows),)."""
        X = self._design(runtime.model, data, rows)
        linear = X @ fitted.coef
        linear = linear if runtime.offset is None else linear + runtime.offset[rows]
        whole = self.responses[runtime.position]
        response = runtime.response(data) if whole is None else whole[rows]
        if runtime.components:
            score = fitted.log_density(response, X)
        else:
            score = fitted.log_accept(response, linear)
        heavy = prior_weights(fitted, runtime.weights, rows)
        score = score if heavy is None else score * heavy
        return score if runtime.rows is None else np.where(np.isin(rows, runtime.rows), score, 0.0)


def move(
    ties: Sequence[Tie], conditionals: Mapping[Hashable, Conditional], engine: Engine, values: Mapping[Hashable, Array],
    rng: np.random.Generator,
) -> tuple[dict[Hashable, Array], dict[str, tuple[int, int]]]:  # fmt: skip
    """Move tied parents by Metropolis steps, along values that give what was observed.

    Parameters
    ----------
    ties : sequence of Tie
    conditionals : mapping
        Column -> Conditional, of every free parent and pivot.
    engine : Engine
    values : mapping
        Column -> completed values or level codes, (n,).
    rng : Generator

    Returns
    -------
    done : dict
        Column -> values, (n,), of the parents that moved.
    counted : dict
        For each pair that moves, the steps taken and those proposed.

    Notes
    -----
    From (a, b) to (a', b'), b' solved for from a': with the full conditionals f of a and g of b, the ratio of the joint
    density is f(a' | b) g(b' | a') / {f(a | b) g(b | a')} (Brook's lemma). The density on the curve is that divided by
    the slope of the derived column in b. Proposals are symmetric in a.

    References
    ----------
    Besag, J. (1974). Spatial interaction and the statistical analysis of lattice systems. *JRSS B* 36(2), 192-225,
    eq. 2.2. doi:10.1111/j.2517-6161.1974.tb00999.x
    """
    table = engine.table
    done = {n: values[n].copy() for tie in ties for n in (tie.free, tie.pivot)}
    counted: dict[str, tuple[int, int]] = {}
    for tie in ties:
        past = counted.get(tie.named, (0, 0))
        rows, names = tie.rows, (tie.free, tie.pivot)
        data = {n: done.get(n, column)[rows] for n, column in values.items()}
        free, pivot = conditionals[tie.free], conditionals[tie.pivot]
        target = completed_numbers(table, tie.one.name, table[tie.one.name].values[rows])
        wrong = _wrong(engine, data, rows, names)
        for _ in range(STEPS):
            proposed = {**data, tie.free: _step(table, tie.free, data[tie.free], rng)}
            proposed[tie.pivot] = _pivot(tie, table, proposed, target)
            can = np.isfinite(proposed[tie.free]) & np.isfinite(proposed[tie.pivot])
            for n in names:
                proposed[n] = np.where(can, proposed[n], data[n])
            away = _wrong(engine, proposed, rows, names)
            can &= (away <= 0) | (away < wrong)
            between = {**data, tie.free: proposed[tie.free]}
            new = free.log_density(between, rows) + pivot.log_density(proposed, rows)
            old = free.log_density(data, rows) + pivot.log_density(between, rows)
            old = np.where(np.isfinite(new) & np.isneginf(old), -np.inf, old)
            stretch = _stretch(tie, table, proposed, data)
            with np.errstate(invalid="ignore"):
                good = can & np.isfinite(new) & ((np.log(rng.random(len(rows))) < new - old + stretch) | (away < wrong))
            for n in names:
                data[n] = np.where(good, proposed[n], data[n])
            wrong = np.where(good, away, wrong)
            past = past[0] + int(good.sum()), past[1] + len(rows)
        counted[tie.named] = past
        for n in names:
            done[n][rows] = data[n]
    return done, counted


def _step(table: Table, name: Hashable, values: Array, rng: np.random.Generator) -> Array:
    """Other values, proposed symmetrically around those there are; NaN where there is no such level."""
    column = table[name]
    if column.kind.discrete:
        jump = rng.integers(1, column.n_levels, len(values)) if column.n_levels > 1 else np.zeros(len(values))
        return np.asarray((values + jump) % column.n_levels)
    size = float(np.std(column.values[column.observed])) or 1.0
    away = size * 10.0 ** rng.uniform(_LEAST, _MOST, len(values)) * rng.standard_normal(len(values))
    if _whole(table, name):
        away = np.sign(away) * np.maximum(np.rint(np.abs(away)), 1.0)
    return values + away


def _whole(table: Table, name: Hashable) -> bool:
    """Whether a column holds whole numbers only."""
    column = table[name]
    return not column.kind.discrete and (column.coding.whole or column.kind is Kind.COUNT)


def _positive(engine: Engine, name: Hashable) -> bool:
    """Whether a column's model has a density above 0 only, as a Box-Cox scale has."""
    return bool(getattr(getattr(engine.plan[name].method, "on", None), "positive", False))


def _pivot(tie: Tie, table: Table, data: Mapping[Hashable, Array], target: Array) -> Array:
    """The pivot's values or level codes that give the derived ones; NaN where none does."""
    numbers = {p: completed_numbers(table, p, data[p]) for p in tie.one.parents}
    found = _solved(tie, table, numbers, target)
    column = table[tie.pivot]
    if column.kind.discrete:
        levels = np.asarray(column.numbers(np.arange(float(column.n_levels))))
        away = np.abs(found[:, None] - levels)
        nearest = np.where(np.isfinite(away), away, np.inf).argmin(axis=1)
        unit = float(np.min(np.diff(np.sort(levels)))) if len(levels) > 1 else 1.0
        return np.where(np.abs(found - levels[nearest]) <= 1e-6 * unit, nearest.astype(np.float64), np.nan)
    if _whole(table, tie.pivot):
        near = np.rint(found)
        least = 0.0 if column.kind is Kind.COUNT else -np.inf
        return np.where((np.abs(found - near) <= 1e-6 * np.maximum(np.abs(near), 1.0)) & (near >= least), near, np.nan)
    return found


def _solved(tie: Tie, table: Table, numbers: Mapping[Hashable, Array], target: Array) -> Array:
    """The number that the pivot must be, (n,); NaN where there is none."""
    if not tie.linear:
        seen = completed_numbers(table, tie.pivot, table[tie.pivot].values)
        return solve_for(tie.one, tie.pivot, {**numbers, tie.one.name: target}, seen)
    at = np.where(np.isfinite(numbers[tie.pivot]), numbers[tie.pivot], 0.0)
    for _ in range(2):  # a second pass removes rounding errors
        unit = np.maximum(np.abs(at), 1.0)
        here, there = (tie.one.value({**numbers, tie.pivot: x}) for x in (at, at + unit))
        with np.errstate(all="ignore"):
            at = at + (target - here) * unit / (there - here)
    return np.where(np.isfinite(at), at, np.nan)


def _stretch(tie: Tie, table: Table, proposed: Mapping[Hashable, Array], data: Mapping[Hashable, Array]) -> Array:
    """Log ratio of the slopes of the derived column in its pivot, which the density on the curve is divided by."""
    if {tie.free, tie.pivot} <= additive_in(tie.one.code) or table[tie.pivot].kind.discrete or _whole(table, tie.pivot):
        return np.zeros(len(data[tie.free]))

    def slope(values: Mapping[Hashable, Array]) -> Array:
        numbers = {p: completed_numbers(table, p, values[p]) for p in tie.one.parents}
        at = numbers[tie.pivot]
        unit = 1e-5 * np.maximum(np.abs(at), 1e-8)
        with np.errstate(all="ignore"):
            low, high = (tie.one.value({**numbers, tie.pivot: at + step}) for step in (-unit, unit))
            return np.log(np.abs(high - low) / unit)

    change = slope(data) - slope(proposed)
    return np.where(np.isfinite(change), change, 0.0)


def _wrong(engine: Engine, data: Mapping[Hashable, Array], rows: Rows, names: Sequence[Hashable]) -> Array:
    """How far values lie outside their own bounds and those of derived columns, (len(rows),)."""
    table, total = engine.table, np.zeros(len(rows))
    for name in names:
        seen = table[name].numbers(data[name]) if table[name].kind.discrete else data[name]
        if name in engine.limits:
            low, high = (end[rows] for end in engine.limits[name])
            total += np.maximum(np.maximum(low - seen, seen - high), 0.0)
        if _positive(engine, name):
            total += np.maximum(_NEAREST * float(table[name].values[table[name].observed].min()) - seen, 0.0)
    for held in {id(h): h for name in names for h in engine.relations.held_by(name)}.values():
        found = held.one.value({p: completed_numbers(table, p, data[p]) for p in held.one.parents})
        total += amiss(held, found, rows)
    return total


def begin(
    engine: Engine, values: Mapping[Hashable, Array], rng: np.random.Generator
) -> dict[Hashable, Array]:  # fmt: skip
    """First values of tied parents: those they have, changed as little as makes them give what was observed.

    Raises
    ------
    ImputationError
        If no values within the bounds do.
    """
    table, ties = engine.table, engine.relations.ties
    done = {n: values[n].copy() for tie in ties for n in (tie.free, tie.pivot)}
    groups: dict[tuple[int, Hashable, bytes], list[Tie]] = {}
    for tie in ties:
        groups.setdefault((id(tie.one), tie.pivot, tie.rows.tobytes()), []).append(tie)
    for group in groups.values():
        tie, rows = group[0], group[0].rows
        names = [*(one.free for one in group), tie.pivot]
        target = completed_numbers(table, tie.one.name, table[tie.one.name].values[rows])
        data = {n: done.get(n, column)[rows] for n, column in values.items()}
        for n in names:
            if _whole(table, n):
                data[n] = np.rint(data[n])
        waiting = np.ones(len(rows), dtype=bool)
        for attempt in range(_TRIES):
            at = np.flatnonzero(waiting)
            if not len(at):
                break
            some = {n: data[n][at] for n in data}
            if attempt:
                some.update({n: rng.choice(table[n].values[table[n].observed], len(at)) for n in names})
            _share(group, engine, some, target[at], rows[at])
            some[tie.pivot] = _pivot(tie, table, some, target[at])
            fine = np.isfinite(some[tie.pivot])
            for n in names:
                some[n] = np.where(fine, some[n], data[n][at])
            fine &= _wrong(engine, some, rows[at], names) <= 0
            for n in names:
                data[n][at[fine]] = some[n][fine]
            waiting[at[fine]] = False
        if waiting.any():
            raise ImputationError(
                f"no values of {', '.join(map(repr, names))} within their bounds give the observed {tie.one.name!r} in "
                f"{int(waiting.sum())} rows.",
                derived=f"{tie.one.name} = {tie.one.code}",
                rows=listed(rows[waiting].tolist()),
                do=_way_out(engine, names),
            )
        for n in names:
            done[n][rows] = data[n]
    return _mended(engine, {**values, **done}, done, rng) if engine.relations.held else done


def _way_out(engine: Engine, names: Sequence[Hashable]) -> str:
    """The call without the bounds of some columns, and with models that have values of either sign."""
    normal = {n: "norm" for n in names if _positive(engine, n)}
    return call("df.mice.impute", bounds=None, censored=None, truncated=None, methods=normal)


def _mended(
    engine: Engine, values: Mapping[Hashable, Array], done: dict[Hashable, Array], rng: np.random.Generator
) -> dict[Hashable, Array]:
    """First values of parents whose derived columns would lie outside their ends: observed ones, then others near."""
    table, relations = engine.table, engine.relations
    names = [n for n in engine.plan.order if relations.held_by(n) and n not in engine.grouped_rows]
    gone = {n: np.setdiff1d(table[n].missing, relations.tied(n)) for n in names}
    found = {n: done.get(n, values[n]).copy() for n in names}
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *gone.values()]))
    now = {n: found.get(n, column) for n, column in values.items()}
    for attempt in range(_TRIES):
        wrong = _wrong(engine, {n: column[rows] for n, column in now.items()}, rows, names)
        rows, wrong = rows[wrong > 0], wrong[wrong > 0]
        if not len(rows):
            break
        tried = {n: column[rows] for n, column in now.items()}
        for n in names:
            column, at = table[n], np.isin(rows, gone[n])
            drawn = rng.choice(column.values[column.observed], len(rows))
            if attempt > _TRIES // 4 and not column.kind.discrete:
                drawn = drawn + float(np.std(column.values[column.observed])) * rng.standard_normal(len(rows))
                drawn = np.maximum(np.rint(drawn), 0.0) if column.kind is Kind.COUNT else drawn
            tried[n] = np.where(at, drawn, tried[n])
        better = _wrong(engine, tried, rows, names) < wrong
        for n in names:
            found[n][rows[better]] = tried[n][better]
    return {**done, **found}


def _share(
    group: Sequence[Tie], engine: Engine, data: dict[Hashable, Array], target: Array, rows: Rows
) -> None:  # fmt: skip
    """Move free parents within their ranges until the pivot can be within its own; changes ``data``."""
    tie, table = group[0], engine.table
    if not tie.linear:
        return
    for one in group:
        if one.free not in linear_in(one.one.code, one.one.parents):
            continue
        numbers = {p: completed_numbers(table, p, data[p]) for p in one.one.parents}
        need = _solved(tie, table, numbers, target)
        low, high = _range(engine, tie.pivot, rows)
        kept = np.clip(need, low, high)
        wanted = _solved(one._replace(pivot=one.free), table, {**numbers, tie.pivot: kept}, target)
        low, high = _range(engine, one.free, rows)
        moved = np.where(kept == need, numbers[one.free], np.clip(wanted, low, high))
        column = table[one.free]
        if column.kind.discrete:
            levels = np.asarray(column.numbers(np.arange(float(column.n_levels))))
            data[one.free] = np.abs(moved[:, None] - levels).argmin(axis=1).astype(np.float64)
        else:
            data[one.free] = np.rint(moved) if _whole(table, one.free) else moved


def _range(engine: Engine, name: Hashable, rows: Rows) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Between which numbers a column lies: its bounds, its levels, not below 0 where nothing observed is."""
    column = engine.table[name]
    seen = column.numbers(column.values[column.observed])
    least = 0.0 if _whole(engine.table, name) else _START * float(seen.min())  # a logarithm has none at 0
    low, high = np.full(len(rows), least if seen.min() >= 0 else -np.inf), np.full(len(rows), np.inf)
    if column.kind.discrete:
        levels = np.asarray(column.numbers(np.arange(float(column.n_levels))))
        low, high = np.maximum(low, levels.min()), np.minimum(high, levels.max())
    if name in engine.limits:
        low, high = np.maximum(low, engine.limits[name][0][rows]), np.minimum(high, engine.limits[name][1][rows])
    if _whole(engine.table, name):
        low, high = np.ceil(low), np.floor(high)
    return low, high


def check(engine: Engine, values: Mapping[Hashable, Array]) -> None:
    """After the last sweep: no completed value lies outside its bounds, and observed derived values are kept.

    Raises
    ------
    ImputationError
        If one does not; it names the column, the count and the rows.
    """
    table, options = engine.table, engine.plan.options
    for name, (low, high) in engine.limits.items():
        column = table[name]
        rows, skip = column.missing, engine.variables[name].skip
        if skip is not None:
            rows = np.intersect1d(rows, skip.inside(table, values))
        seen = column.numbers(values[name][rows]) if column.kind.discrete else values[name][rows]
        size = SLACK * np.abs(seen)
        _refuse_outside(repr(name), rows[(seen < low[rows] - size) | (seen > high[rows] + size)], options, {})
    for held in engine.relations.held:
        rows = np.unique(np.concatenate([table[p].missing for p in held.one.parents]))
        found = held.one.value(held.numbers(table, values, rows))
        wrong = rows[amiss(held, found, rows) > 0]
        _refuse_outside(repr(held.one.name), wrong, options, {"derived": f"{held.one.name} = {held.one.code}"})
    for tie in engine.relations.ties:
        found = derived_value(tie.one, table, values, tie.rows)
        wanted = completed_numbers(table, tie.one.name, table[tie.one.name].values[tie.rows])
        sd = float(np.nanstd(completed_numbers(table, tie.one.name, table[tie.one.name].values)))
        wrong = tie.rows[~(np.abs(found - wanted) <= 1e-6 * (np.abs(wanted) + sd))]
        _refuse_outside(repr(tie.one.name), wrong, options, {"derived": f"{tie.one.name} = {tie.one.code}"})


def _refuse_outside(name: str, rows: Rows, options: Options, lines: Mapping[str, str]) -> None:
    """None: no drawn value lies outside."""
    if len(rows):
        raise ImputationError(
            f"{len(rows)} completed values of {name} lie outside what is known of them: no draw within was found.",
            rows=listed(rows.tolist()),
            do=call("df.mice.impute", iterations=max(2 * (options.iterations or 10), 20)), **lines,
        )  # fmt: skip

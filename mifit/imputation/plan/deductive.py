"""Deductive imputation: missing values that derived columns, their parents, or other rows of an id determine."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...calls import Advice
from ...errors import FormulaError, PlanError, call, listed
from ...formula.derived import Derived, solve
from ...formula.question import Question
from ...formula.terms import code_of, take_apart
from ...frame.kinds import BEYOND_EXACT, EXACT, Kind
from ...frame.table import Column, Table
from ...typing import Array
from .defaults import constant_within
from .options import Options
from .skip_rules import Skip

__all__ = [
    "BUT_FOR",
    "fill",
    "refuse_chained",
    "refuse_clustered",
    "refuse_derived",
    "refuse_derived_outcome",
    "refuse_undefined",
    "said_of_ids",
    "shared_parents",
    "with_derived",
    "with_levels",
]

_NO_ACCIDENT = (
    10  # minimum number of within-group repeats: by chance a binary column would show them with probability 2^−10
)

BUT_FOR = "drawn for each row by itself"  # what a sentence on columns that nearly belong to an id says
_FEW_DIFFER = 0.05  # share of ids with several values, up to which these look like slips
_BY_CHANCE = 10  # times as many ids would have several values if rows were independent


def refuse_derived(options: Options, columns: Sequence[Hashable]) -> None:
    """A derived column follows from its parents: it takes no option, and is no predictor.

    Raises
    ------
    PlanError
        If one stands in ``methods=``, ``order=``, ``auxiliary=``, ``id=`` or on either side of ``predictors=``.
    """
    baseline = options.auxiliary.get("baseline", ()) if isinstance(options.auxiliary, Mapping) else ()
    wanted: dict[str, Any] = {
        "methods": options.methods, "order": options.order or (), "predictors": options.predictors,
        "auxiliary": baseline, "id": () if options.id is None else (options.id,),
    }  # fmt: skip
    for word, names in wanted.items():
        for name in (n for n in options.derived if n in names):
            raise PlanError(
                f"{name!r} is derived: it follows from its parents and cannot stand in {word}=.",
                derived=f"{name} = {options.derived[name]}",
                do=call("df.mice.impute", **_without(options, word, name)).then(f"  # without {name!r} in {word}="),
            )
    for target, option in options.predictors.items():
        named: Any = take_apart(f"({option})", columns).variables if isinstance(option, str) else option
        for name in (n for n in options.derived if n in named):
            parents = [n for n in take_apart(options.derived[name], columns).variables if n != target]
            raise PlanError(
                f"{name!r} is derived and predicts nothing by itself; its parents do.",
                derived=f"{name} = {options.derived[name]}",
                do=call("df.mice.impute", predictors={target: parents}),
            )


def _without(options: Options, word: str, name: Hashable) -> dict[str, Any]:
    """A word of the request without one of its columns."""
    if word == "id":
        return {word: None}
    if word == "order":
        return {word: [other for other in options.order or () if other != name] or None}
    if word == "auxiliary":
        return {word: {"baseline": [other for other in options.auxiliary["baseline"] if other != name]}}
    return {word: {name: None}}


def refuse_derived_outcome(questions: Sequence[Question], table: Table, derived: Sequence[Derived]) -> None:
    """An outcome that is derived has no missing values: it would be drawn from the analysis and break its expression.

    Raises
    ------
    PlanError
        If one has.
    """
    for question in questions:
        for one in (one for one in derived if one.name in question.outcome and len(table[one.name].missing)):
            raise PlanError(
                f"the outcome {one.name!r} is derived and has {len(table[one.name].missing)} missing values.",
                derived=f"{code_of(one.name)} = {one.code}",
                do=call("df.mice.impute", derived={one.name: None}).then(f"  # {one.name!r} drawn by its analysis"),
            )


def refuse_chained(questions: Sequence[Question], table: Table, options: Options) -> None:
    """Rows that take over where another row of the same subject ends belong together: ``id=`` must say so.

    Raises
    ------
    PlanError
        If an analysis has ``entry=``, a column chains the intervals, something is missing, and there is no ``id=``.
    """
    for question in questions:
        entry = question.keywords.get("entry")
        if options.id is not None or not isinstance(entry, Hashable) or entry not in table or not question.bare:
            continue
        stop = question.outcome[0]
        in_analysis = (*question.variables(table), *question.reserved(table))
        if not any(len(table[n].missing) for n in in_analysis) or len(table[stop].missing) or len(table[entry].missing):
            continue
        start, end = (table[name].numbers(table[name].values) for name in (entry, stop))
        others = [n for n in table.columns if n not in question.reserved(table) and not len(table[n].missing)]
        found = {n: _chained(table[n].values, start, end) for n in others if table[n].kind is not Kind.OTHER}
        if any(found.values()):  # subjects, rather than a covariate that tells them apart
            unit = max(
                found, key=lambda n: (found[n], n not in in_analysis, not table[n].number or table[n].coding.whole)
            )
            raise PlanError(
                f"{found[unit]} rows continue the interval of another row with the same {unit!r}; without id= they "
                "would be imputed independently.",
                analysis=question.formula,
                do=call("df.mice.impute", id=unit),
            )


def with_levels(options: Options, questions: Sequence[Question], table: Table) -> Options:
    """The options with the clusters that are named as ids, where an incomplete column has one value for each of them.

    A column of which no two observed values lie in one cluster is of clusters or of rows: then nothing is implied.

    Parameters
    ----------
    options : Options
    questions : sequence of Question
    table : Table
        As it was given.

    Returns
    -------
    Options
    """
    named = [options.clusters, *(question.keywords.get("groups") for question in questions)]
    for unit in (unit for unit in named if isinstance(unit, Hashable) and unit in table):
        if options.id is not None or len(table[unit].missing):
            continue
        names = [n for n in table.incomplete if options.methods.get(n) != "leave" and table[n].kind is not Kind.OTHER]
        varying = [n for n in names if len(np.unique(table[n].values[table[n].observed])) > 1]
        level = [n for n in varying if constant_within(table, n, unit)]
        if level and all(_of_groups(table[n], table[unit].values) for n in level):
            return dataclasses.replace(options, id=unit)
    return options


def refuse_clustered(questions: Sequence[Question], table: Table, options: Options) -> None:
    """What belongs to whole groups is drawn once for each: ``id=`` must say so.

    Raises
    ------
    PlanError
        If an analysis has ``groups=``, one of its incomplete covariates is constant within them, and there is no
        ``id=``.
    """
    for question in questions:
        unit = question.keywords.get("groups")
        if options.id is not None or not isinstance(unit, Hashable) or unit not in table or len(table[unit].missing):
            continue
        for name in (n for n in question.variables(table) if len(table[n].missing)):
            if _of_groups(table[name], table[unit].values) and constant_within(table, name, unit):
                raise PlanError(
                    f"{name!r} is constant within {unit!r} and has {len(table[name].missing)} missing values: "
                    "without id= its rows would be imputed independently.",
                    analysis=question.formula,
                    do=call("df.mice.impute", id=unit),
                )


def _of_groups(column: Column, unit: Array) -> bool:
    """Whether rows of a group repeat what others of it say often enough, ten times, that it is no accident."""
    seen = column.values[column.observed]
    repeats = len(seen) - len(np.unique(unit[column.observed]))
    return bool(repeats >= _NO_ACCIDENT and np.ptp(seen) > 0)


def _chained(unit: Array, start: Array, end: Array) -> int:
    """How many rows enter just where the one before of their unit ends; 0 if any two rows of a unit overlap."""
    order = np.lexsort((start, unit))
    same = unit[order][1:] == unit[order][:-1]
    gap = start[order][1:][same] - end[order][:-1][same]
    tied = int((gap == 0).sum())
    return tied if np.all(gap >= 0) and 2 * tied >= len(gap) else 0


def said_of_ids(table: Table, questions: Sequence[Question], options: Options) -> list[Advice]:
    """Name columns that have one value in nearly all ids: a single cell decides how all their rows are drawn.

    Parameters
    ----------
    table : Table
    questions : sequence of Question
    options : Options

    Returns
    -------
    list of Advice
        A sentence for each incomplete column, with the rows that differ from the others of their id and the call that
        makes them missing; they follow from these others then.
    """
    if options.id is None or options.id not in table:
        return []
    outcomes, found = {v for q in questions for v in q.outcome}, []
    for name in (n for n in table.incomplete if n != options.id and n not in outcomes):
        if table[name].kind is Kind.OTHER or options.methods.get(name) == "leave":
            continue
        several, many, rows = _slips(table[name], table[options.id].values)
        if many:
            line = f"df[{name!r}] = df[{name!r}].mask(np.isin(np.arange(len(df)), {rows})); "
            fact = (
                f"{name!r} has one value for each {options.id} but for {many} of {several}, and is {BUT_FOR}; "
                f"rows that differ: {listed(rows)}; if these are wrong: "
            )
            found.append(call("df.mice.impute").after(line).after(fact))
    return found


def _slips(column: Column, unit: Array) -> tuple[int, int, list[int]]:
    """Ids with several observed rows, those with several values if these are few, and the rows that differ in them."""
    seen = column.observed
    ids, values = np.unique(unit[seen], return_inverse=True)[1].reshape(-1), column.values[seen]
    size = np.bincount(ids)
    levels, coded, counts = np.unique(values, return_inverse=True, return_counts=True)
    pairs, at, within = np.unique(
        np.column_stack([ids, coded.reshape(-1)]), axis=0, return_inverse=True, return_counts=True
    )
    mixed = np.bincount(pairs[:, 0]) > 1
    many, several = int(mixed.sum()), int((size > 1).sum())
    same = np.array([np.sum((counts / len(values)) ** k) for k in range(size.max() + 1)])
    if not 0 < many <= max(_FEW_DIFFER * several, 1) or np.sum(1.0 - same[size]) < _BY_CHANCE * many:
        return several, 0, []
    usual = {int(k): pairs[pairs[:, 0] == k][np.argmax(within[pairs[:, 0] == k])][1] for k in np.flatnonzero(mixed)}
    differ = [
        row for row, k, code in zip(seen, ids, pairs[at.reshape(-1), 1], strict=True) if usual.get(int(k), code) != code
    ]
    return several, many, [int(row) for row in differ]


def _own_unit(column: Column) -> str:
    """The line that makes a subject of its own of every row whose subject is not known."""
    shown = f"df[{column.name!r}]"
    known = f"{shown}.astype({'float' if column.number else 'object'})"
    fresh = f"{known}.max() + 1 + np.arange(len(df))" if column.number else "[f'row {k}' for k in range(len(df))]"
    return f"{shown} = np.where({shown}.notna(), {known}, {fresh})  # each of these rows a subject of its own"


def fill(table: Table, derived: Sequence[Derived], unit: Hashable) -> tuple[Table, list[str]]:
    """Deductive imputation: fill missing values that follow from other values without a random draw.

    Parameters
    ----------
    table : Table
    derived : sequence of Derived
        A derived cell follows from observed parents, a parent from its derived column and the other parents.
    unit : hashable or None
        Column of ids: a value observed in one row of an id holds in all, for columns constant within ids.

    Returns
    -------
    known : Table
    events : list of str

    Raises
    ------
    DataError
        If a derived value contradicts its expression.
    PlanError
        If ``unit`` has missing values, or values that cannot be told apart.
    """
    events: list[str] = []
    values: dict[Hashable, Array] = {}
    if derived:
        values, events = solve(derived, table)
    if unit is not None:
        ids = table.require(unit, "id=")
        if len(ids.missing):
            raise PlanError(f"id={unit!r} has {len(ids.missing)} missing values.", do=_own_unit(ids))
        merged = ids.coding.whole and np.ptp(ids.values) == 0 and abs(ids.values[0]) >= EXACT
        if ids.kind is Kind.OTHER or merged:
            problem = ids.coding.problem or BEYOND_EXACT
            raise PlanError(f"id={unit!r} {problem}.", do=f"df[{unit!r}] = df[{unit!r}].astype(str)")
        for name in table.incomplete:
            if name != unit and constant_within(table, name, unit):
                found = _from_siblings(values.get(name, table[name].values), ids.values)
                before = int(np.isnan(values.get(name, table[name].values)).sum())
                if before > np.isnan(found).sum():
                    filled = before - int(np.isnan(found).sum())
                    events.append(f"{name!r}: {filled} missing values follow from the same {unit}")
                    values[name] = found
    columns = {name: _refilled(column, values.get(name)) for name, column in table.columns.items()}
    return Table(columns, table.n_rows), events


def refuse_undefined(derived: Sequence[Derived], table: Table, skips: Mapping[Hashable, Skip]) -> None:
    """A derived column is a finite number wherever its parents are, whatever is drawn of them.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table
        With the missing values filled that follow.
    skips : mapping
        Parents that are asked for only in some rows; where one is not, there is nothing to derive.

    Raises
    ------
    FormulaError
        If its expression is none in a row with observed parents, or where missing ones are each at the least, the
        middle, the largest or the smallest of their observed values.
    """
    for one in derived:
        to_check = np.ones(table.n_rows, dtype=bool)
        for parent in (p for p in one.parents if p in skips):
            inside = skips[parent].inside(table, {name: column.values for name, column in table.columns.items()})
            to_check[np.setdiff1d(np.arange(table.n_rows), inside)] = False
        to_check[table[one.name].observed] = False
        if not to_check.any():
            continue
        for pick in _PICKS:
            data = {p: _picked(table[p], pick)[to_check] for p in one.parents}
            wrong = np.flatnonzero(~np.isfinite(one.unmasked(data)))
            if len(wrong):
                row = int(np.flatnonzero(to_check)[wrong[0]])
                drawn = [p for p in one.parents if row in table[p].missing]
                shown = ", ".join(f"{p} = {data[p][wrong[0]]:.6g}" + " (drawn)" * (p in drawn) for p in one.parents)
                raise FormulaError(
                    f"derived column {one.name!r} is not a finite number in row {row}.",
                    derived=f"{code_of(one.name)} = {one.code}",
                    where=shown,
                    do=f"df.iloc[[{row}]]   # leave it out of derived=, and make it in each set: imp.map(...)",
                )


#: values that a missing parent may well be drawn near
_PICKS = (np.nanmedian, np.nanmin, np.nanmax, lambda values: values[np.nanargmin(np.abs(values))])


def _picked(column: Column, pick: Any) -> Array:
    """A column as numbers, shape (n,), each missing value filled with one observed value."""
    hidden = np.isnan(column.values)
    values = np.full(len(hidden), np.nan)
    values[~hidden] = column.numbers(column.values[~hidden])
    values[hidden] = pick(values[~hidden]) if not hidden.all() else np.nan
    return values


def shared_parents(derived: Sequence[Derived], table: Table, unit: Hashable) -> frozenset[Hashable]:
    """Parents of derived columns that all rows of an id share: one row cannot change them."""
    parents = {p for one in derived for p in one.parents}
    return frozenset(p for p in parents if unit is not None and constant_within(table, p, unit))


def with_derived(derived: Sequence[Derived], table: Table, values: Mapping[Hashable, Array]) -> dict[Hashable, Array]:
    """Missing values of derived columns, computed from completed parents."""
    done = dict(values)
    found: dict[Hashable, Array] = {}
    for one in derived:
        rows = table[one.name].missing
        if len(rows) and all(not np.isnan(done[p]).any() for p in one.parents):
            numbers = {p: table[p].numbers(done[p][rows]) for p in one.parents}
            found[one.name] = one.value(numbers)
    return found


def _from_siblings(values: Array, ids: Array) -> Array:
    """Values with each id's observed one in all its rows."""
    position = np.unique(ids, return_inverse=True)[1].reshape(-1)
    seen = np.flatnonzero(~np.isnan(values))
    shared = np.full(position.max() + 1, np.nan)
    shared[position[seen]] = values[seen]
    return np.where(np.isnan(values), shared[position], values)


def _refilled(column: Column, values: Array | None) -> Column:
    """A column with fewer missing values."""
    if values is None:
        return column
    return Column(column.name, column.coding, values, np.flatnonzero(np.isnan(values)))

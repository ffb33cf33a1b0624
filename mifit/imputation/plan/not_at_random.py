"""Values that are not missing at random: a plan, and its table, with one assumption more for each column in question.

A *selection* adds a factor for the indicator that the column is missing: its log odds are linear in all other columns
(coefficients drawn) and in the column itself (coefficient given). A *delta* gives the column's own model a term that is
1, or a stated number, where the column is missing and 0 elsewhere (coefficient given). Both are coefficients that are
held, of columns that are complete: chains know nothing new.

References
----------
Molenberghs, G. and Kenward, M. G. (2007). *Missing Data in Clinical Studies*. Wiley, chapters 15 and 19.

Tompsett, D. M., Leacy, F., Moreno-Betancur, M., Heron, J. and White, I. R. (2018). On the use of the not-at-random
fully conditional specification (NARFCS) procedure in practice. *Statistics in Medicine* 37(15), 2338-2353.
doi:10.1002/sim.7643
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...errors import PlanError, call
from ...frame.kinds import Coding, Kind
from ...frame.table import Column, Table, free_name
from ...typing import Array, Rows
from ..contract import facts_of
from ..methods import METHODS
from ..methods.held import Held, Moved, can_hold
from .plan import Factor, Piece, Plan, Variable

__all__ = ["Departure", "departed", "least_sweeps"]

_SWEEPS = 20  # where parameters depend on values that are drawn


@dataclass(frozen=True)
class Departure:
    """How one column departs from missing at random."""

    column: Hashable
    kind: str  #: "selection" or "delta"
    value: float  #: log odds ratio for one unit; or what is added on the scale of the own model
    times: Array | None = None  #: (n,) delta: what it is multiplied by in each row; None for 1


class _Place(NamedTuple):
    """Where a column stands among the columns that chains keep."""

    term: int
    scale: float
    centre: float


def least_sweeps(plan: Plan) -> int:
    """Sweeps of a chain under the plan."""
    return max(plan.iterations, _SWEEPS)


def departed(
    table: Table, plan: Plan, departures: Sequence[Departure], placed: Callable[[Table, Plan, Hashable], Any]
) -> tuple[Table, Plan]:
    """The table and the plan with what is assumed.

    Parameters
    ----------
    table : Table
        As the plan reads it.
    plan : Plan
    departures : sequence of Departure
    placed : callable
        Of a table, a plan and a column: the term, scale and centre of its main effect in the chains.

    Raises
    ------
    PlanError
        If a column is not drawn by the plan, or its model cannot have a given coefficient.
    """
    if plan.groups:
        raise PlanError("sensitivity to missing values is not built for by=.", do=call("df.mice.impute", by=None))
    marks: dict[Hashable, Hashable] = {}
    for one in departures:
        _refuse(table, plan, one)
        name = free_name(f"missing({one.column})", table.columns)
        table, marks[one.column] = _with_mark(table, one, name), name
    drafts = _changed(table, plan, departures, marks, None)
    places = {d.column: _Place(*placed(table, drafts, _held_column(d, marks))) for d in departures}
    return table, _changed(table, plan, departures, marks, places)


def _held_column(one: Departure, marks: Mapping[Hashable, Hashable]) -> Hashable:
    """The column whose coefficient is given: the column itself, or where it is missing."""
    return one.column if one.kind == "selection" else marks[one.column]


def _refuse(table: Table, plan: Plan, one: Departure) -> None:
    """Refuse what cannot be assumed of a column."""
    variable = plan[one.column]
    if variable.skip is not None:
        raise PlanError(
            f"{one.column!r} is asked only where a condition holds; sensitivity is not built for it.",
            do=call("df.mice.impute", conditional={one.column: None}),
        )
    if one.kind == "delta":
        return
    if variable.role == "column":
        raise PlanError(
            f"a selection of {one.column!r} is one more factor of a joint model; these are chained equations.",
            do="imp.sensitivity(" + repr({one.column: [0.0, 1.0]}) + ", kind='delta')",
        )
    if not table[one.column].number and table[one.column].n_levels > 2:
        raise PlanError(
            f"{one.column!r} has {table[one.column].n_levels} levels; the odds of being missing follow a number or two "
            "levels.",
            do=f"df[{one.column!r}].value_counts()  # which two are told apart?",
        )


def _with_mark(table: Table, one: Departure, name: Hashable) -> Table:
    """The table with a complete column: whether the other is missing, or what multiplies delta there."""
    missing = np.zeros(table.n_rows)
    missing[table[one.column].missing] = 1.0
    none: Rows = np.empty(0, dtype=np.int64)
    if one.kind == "selection":
        column = Column(name, Coding(Kind.BINARY, (0.0, 1.0)), missing, none)
    else:
        values = missing if one.times is None else missing * one.times
        column = Column(name, Coding(Kind.NUMERIC), values, none)
    return Table({**table.columns, name: column}, table.n_rows)


def _changed(
    table: Table, plan: Plan, departures: Sequence[Departure], marks: Mapping[Hashable, Hashable],
    places: Mapping[Hashable, _Place] | None,
) -> Plan:  # fmt: skip
    """The plan with all that is assumed; before the columns have places, with coefficients of 0."""
    for one in departures:
        place = _Place(-1, 1.0, 0.0) if places is None else places[one.column]
        mark = marks[one.column]
        plan = (
            _selected(table, plan, one, mark, place)
            if one.kind == "selection"
            else _shifted(plan, one, mark, place, table[one.column].number)
        )
    return plan


def _selected(table: Table, plan: Plan, one: Departure, mark: Hashable, place: _Place) -> Plan:
    """One more factor: the odds that the column is missing, given itself and all others."""
    known = [v for q in plan.questions for v in (*q.outcome, *q.variables(table))]
    known += [f.variable for f in plan.factors if f.question is None]
    others = [v for v in dict.fromkeys(known) if v in table and v != one.column and table[v].kind is not Kind.OTHER]
    pieces = tuple(Piece("main", name) for name in (one.column, *others))
    method: Any = Held(METHODS["logistic"], one.value * place.scale, place.term)
    rows = "units" if plan[one.column].together else "all"
    factor = Factor("auxiliary", method, pieces, variable=mark, rows=rows)
    factors = [
        dataclasses.replace(f, rows="all") if f.question is not None and f.rows == "observed" and _is_of(plan, f, one)
        else f
        for f in plan.factors
    ]  # fmt: skip
    return dataclasses.replace(plan, factors=(*factors, factor))


def _is_of(plan: Plan, factor: Factor, one: Departure) -> bool:
    """Whether the column is the outcome of an analysis: what is observed of it is then no random sample."""
    return factor.question is not None and one.column in plan.questions[factor.question].outcome


def _shifted(plan: Plan, one: Departure, mark: Hashable, place: _Place, number: bool) -> Plan:
    """The own model of the column with a given coefficient; other covariates' models may differ where it is missing."""
    piece = Piece("main", mark)

    def wider(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        return (*pieces, piece)

    variables = tuple(
        dataclasses.replace(v, method=_moved(v, v.method, one, place, number), pieces=wider(v.pieces))
        if v.name == one.column
        else dataclasses.replace(v, pieces=wider(v.pieces))
        if v.role in ("covariate", "column") and v.n_missing
        else v
        for v in plan.variables
    )  # fmt: skip
    factors = tuple(
        dataclasses.replace(f, method=_moved(plan[one.column], f.method, one, place, number), pieces=wider(f.pieces))
        if _is_of(plan, f, one) or (f.question is None and f.variable == one.column)
        else f
        for f in plan.factors
    )
    return dataclasses.replace(plan, variables=variables, factors=factors)


def _moved(variable: Variable, method: Any, one: Departure, place: _Place, number: bool) -> Any:
    """The method with a coefficient given; an error law that was learned or a power gives way to the normal."""
    coefficient, facts = one.value * place.scale, facts_of(method)
    if can_hold(method):
        return Held(method, coefficient, place.term)
    if variable.kind.discrete or facts.clustered or (variable.kind is Kind.COUNT and facts.link):
        other = "poisson" if variable.kind is Kind.COUNT else "norm"
        named = variable.kind is Kind.NOMINAL or not number
        raise PlanError(
            f"{one.column!r} is drawn by {variable.label or facts.called}, which takes no delta.",
            do=f"df[{one.column!r}].value_counts()  # two levels take one"
            if named
            else call("df.mice.impute", methods={one.column: other}, kinds={one.column: "numeric"})
            if variable.kind is Kind.ORDINAL
            else call("df.mice.impute", methods={one.column: other}),
        )
    if variable.role == "column":
        return Moved(method, coefficient, -place.centre / place.scale, place.term)
    return Held(METHODS["norm"], coefficient, place.term)

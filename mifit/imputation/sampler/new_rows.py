"""Imputation of new rows: drawn with the parameters of each finished chain; the models are not fitted again."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Hashable, Sequence
from typing import Any

import numpy as np

from ...errors import PlanError, call, listed
from ...formula.derived import Derived
from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array, Rows
from ..contract import facts_of
from ..methods import name_of
from ..plan.plan import Plan, Variable
from ..plan.usable_columns import is_constant
from ..seed import Seed
from .chain import Chain, ChainState
from .engine import Engine
from .metropolis import begin, check
from .runs import one_thread

__all__ = ["complete_rows", "needed"]


def complete_rows(
    known: Table, new: Table, plan: Plan, chains: Sequence[Chain], seed: Seed, sweeps: int,
    derived: Sequence[Derived], given: Collection[Hashable], together: str,
) -> list[dict[Hashable, Array]]:  # fmt: skip
    """Draw the missing values of new rows, once for each chain.

    Parameters
    ----------
    known : Table
        The rows that were imputed, as the plan reads them.
    new : Table
        The new rows, read alike; the same columns.
    plan : Plan
    chains : sequence of Chain
    seed : Seed
    sweeps : int
        Visits to every incomplete column of the new rows.
    given : collection of hashable
        Columns that the new rows have; others are missing in all of them.
    together : str
        The call that imputes old and new rows as one frame, for the refusal.

    Returns
    -------
    list of dict
        Per chain: column -> values or level codes at its missing values among the new rows.

    Raises
    ------
    PlanError
        If a column has missing values in the new rows only, and no model draws it.

    Notes
    -----
    For chain k:

    1. From its completed set draw the parameters of every model that is needed, as the next sweep would:
       a draw from their posterior given that set. Nothing but the set and the seed has to be stored for it.
    2. Fill the new rows with observed values; then visit each incomplete column in turn and draw it
       from its own model times the models it feeds, all parameters held.

    The fits see the old rows only, so new rows change neither them nor one another's parameters.
    """
    for question in plan.questions:
        for word, value in question.keywords.items():
            if hasattr(value, "__len__") and not isinstance(value, str | tuple) and len(value) == known.n_rows:
                raise PlanError(
                    f"{word}= is an array of the {known.n_rows} rows that were imputed; the new rows have none.",
                    do=call("df.mice.impute", **{word: word}).then(f"  # df[{word!r}] the array"),
                )
    drawn = _for_new(known, new, plan, derived, given, together)
    if not drawn.order:
        return [{} for _ in chains]
    with one_thread():
        old = Engine(known, drawn, derived)
        engine = Engine(_below(known, new, drawn.order), drawn, derived, like=old)
        return [_draws_of_set(engine, old, chain, seed, sweeps) for chain in chains]


def needed(known: Table, plan: Plan, derived: Sequence[Derived] = ()) -> set[Hashable]:
    """Columns that new rows must have: those that some model reads."""
    engine = Engine(known, plan, derived)
    models = [*engine.own.values(), *(runtime.model for runtime in engine.factors)]
    found = set().union(*(engine.layout.needs(model.columns) for model in models), plan.order)
    found |= {name for runtime in engine.factors for name in runtime.outcome}
    found |= {name for question in plan.questions for name in question.reserved(known)}
    means = [p.which for v in plan.variables for p in v.pieces if p.what == "mean"]
    found |= {p for held in engine.relations.held for p in held.one.parents}
    found |= {end for option in plan.options.truncated.values() for end in option if end in known}
    return found | {name for pair in means for name in pair} | ({plan.options.id} - {None})


def _for_new(
    known: Table, new: Table, plan: Plan, derived: Sequence[Derived], given: Collection[Hashable], together: str
) -> Plan:
    """The plan for the new rows: what was drawn, and outcomes and auxiliaries that were complete."""
    needs = needed(known, plan, derived) | (set(given) & _imputable(known, plan))
    incomplete = [name for name in new.incomplete if name in needs]
    factors = {
        name: factor for factor in plan.factors
        for name in (plan.questions[factor.question].outcome if factor.question is not None else (factor.variable,))
    }  # fmt: skip
    extra = []
    for name in (name for name in incomplete if name not in plan.order):
        factor = factors.get(name)
        if factor is None or facts_of(factor.method).survival:
            judged = [n for n in factors if not facts_of(factors[n].method).survival]
            drawn = listed(map(repr, dict.fromkeys([*plan.order, *judged])), 8)
            many = len(new[name].missing)
            gap = "is missing in all new rows" if many == new.n_rows else f"is missing in {many} of the new rows"
            raise PlanError(
                f"{name!r} {gap}, and no model draws it.",
                reason="survival times are not imputed" if factor else "it was complete in the rows that were imputed",
                drawn=drawn or "nothing",
                do=f"imp.impute_new(new[new[{name!r}].notna()])" if factor and name in given else together,
            )
        kind, role = known[name].kind, "auxiliary" if factor.question is None else "outcome"
        one = Variable(
            name=name, kind=kind, n_missing=0, role=role, method=factor.method, label=name_of(factor.method),
            sampler="own", pieces=factor.pieces, why="for new rows",
        )  # fmt: skip
        extra.append(one)
    extra.sort(key=lambda variable: variable.role)
    variables = [v for v in plan.variables if v.name not in {one.name for one in extra}]
    order = (*(n for n in plan.order if n in incomplete), *(variable.name for variable in extra))
    return dataclasses.replace(plan, variables=(*variables, *extra), order=order)


def _imputable(known: Table, plan: Plan) -> set[Hashable]:
    """Columns that the plan would have drawn, had they had missing values; one value seen is drawn as well."""
    excluded = {v.name for v in plan.variables if v.role == "left"}
    excluded -= {n for n in excluded if known[n].kind is not Kind.OTHER and is_constant(known[n])}
    excluded |= {n for n, option in plan.options.methods.items() if option == "leave"} | {
        *plan.options.derived,
        plan.options.id,
    }
    return set(plan.columns) - excluded


def _below(known: Table, new: Table, order: Collection[Hashable]) -> Table:
    """Old and new rows as one table, in which the missing values are those of the new rows that are drawn."""
    n = known.n_rows
    columns = {
        name: Column(
            name, column.coding, np.concatenate([column.values, new[name].values]),
            n + new[name].missing if name in order else np.empty(0, dtype=np.int64),
        )
        for name, column in known.columns.items()
    }  # fmt: skip
    return Table(columns, n + new.n_rows)


def _draws_of_set(engine: Engine, old: Engine, chain: Chain, seed: Seed, sweeps: int) -> dict[Hashable, Array]:
    """The missing values of the new rows under the parameters of one chain."""
    rng = seed.stream(chain.number, chain.sweeps, 1)
    state = ChainState(engine, chain, _opening(engine, old, chain, rng), _old_rows(old))
    state.put(begin(engine, state.values, rng))
    for _ in range(sweeps):
        state.visit_all(rng)
    check(engine, state.values)
    return {name: state.values[name][engine.table[name].missing] for name in engine.plan.order}


def _opening(engine: Engine, old: Engine, chain: Chain, rng: np.random.Generator) -> dict[Hashable, Array]:
    """Whole columns, (n,) each: among the old rows as the chain completed them, among the new filled with observed."""
    values = {name: engine.table[name].values.copy() for name in {*chain.imputed, *engine.plan.order}}
    for name, drawn in chain.imputed.items():
        values[name][old.table[name].missing] = drawn
    for name in engine.plan.order:
        column, missing = old.table[name], engine.table[name].missing
        values[name][missing] = rng.choice(column.values[column.observed], len(missing))
    return values


def _old_rows(old: Engine) -> dict[Any, Rows]:
    """Rows from which each model's parameters are drawn: those of a sweep, and none of the new ones."""
    every = np.arange(old.table.n_rows)
    rows: dict[Any, Rows] = {}
    for name, variable in old.variables.items():
        rows[name] = old.table[name].observed if variable.role == "column" else every
        if variable.together and old.unit_first_rows is not None:
            rows[name] = np.intersect1d(rows[name], old.unit_first_rows)
    for runtime in old.factors:
        rows[runtime.key] = every if runtime.rows is None else runtime.rows
    return rows

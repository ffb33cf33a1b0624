"""Make a plan: of the whole table or of each group, with the sampler of every column."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formula.derived import Derived
from ..formula.design import Designs
from ..formula.question import Question
from ..frame.table import Table
from .plan.build import build
from .plan.groups import plan_groups
from .plan.options import Options
from .plan.plan import Plan
from .plan.skip_rules import Skip
from .sampler.engine import Engine
from .sampler.learned_laws import with_error_laws
from .sampler.metropolis import MOVES
from .sampler.working_laws import with_working_laws

__all__ = ["make"]


def make(
    table: Table, questions: Sequence[Question], options: Options, scope: Mapping[str, Any],
    skips: Mapping[Hashable, Skip] | None = None, derived: Sequence[Derived] = (),
) -> tuple[Plan, Designs]:  # fmt: skip
    """Decide what is done to every column.

    Parameters
    ----------
    table : Table
    questions : sequence of Question
        The analyses declared; empty for plain chained equations.
    options : Options
    scope : mapping
        Where functions in formulas of ``predictors=`` are looked up.
    skips : mapping, optional
        Column -> where it is asked for, and what it is elsewhere.
    derived : sequence of Derived, optional
        Columns that follow from others.

    Returns
    -------
    plan : Plan
    designs : Designs
        Of its analyses, on the table as the plan reads it: in ``designs.table`` a rating scale that is drawn as a
        number is a number.

    Raises
    ------
    PlanError
        If an option names what is not there, contradicts another, or asks for a method that does not suit its column.
    DataError
        If a column cannot be used and is not left alone.
    """
    if options.by is not None:
        return plan_groups(make, table, questions, options, scope, skips or {}, derived)
    plan, designs = build(table, questions, options, scope, skips, derived)
    return _with_samplers(plan, designs, derived), designs


def _with_samplers(plan: Plan, designs: Designs, derived: Sequence[Derived]) -> Plan:
    """The plan with the sampler of every column as its chains will choose it."""
    engine = Engine(designs.table, plan, derived, designs=designs)
    for with_laws in (with_working_laws, with_error_laws):
        drafted, plan = plan, with_laws(plan, engine)
        if _methods(plan) != _methods(drafted):
            engine = Engine(designs.table, plan, derived, designs=designs)
    stated = [
        dataclasses.replace(v, sampler=_stated(engine, v.name)) if v.name in engine.choices else v
        for v in plan.variables
    ]
    return dataclasses.replace(plan, variables=tuple(stated))


def _methods(plan: Plan) -> list[Any]:
    """The methods of all factors and variables: an engine depends on these, not on what is said of their laws."""
    return [*(factor.method for factor in plan.factors), *(variable.method for variable in plan.variables)]


def _stated(engine: Engine, name: Hashable) -> str:
    """How a column is drawn: by its sampler, by moves with another column, or each in some rows."""
    sampler, tied = engine.choices[name].sampler.value, engine.relations.tied(name)
    if not len(tied):
        return sampler
    alone = np.setdiff1d(engine.table[name].missing, tied)
    return f"{sampler}, {MOVES}" if len(alone) else MOVES

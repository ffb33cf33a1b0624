"""What the tests of error laws and of working laws share: which factors are asked, and the plan with what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

from ..contract import Method
from ..methods import name_of
from ..plan.plan import Plan, Variable
from .engine import Engine, FactorRuntime

__all__ = ["matters", "rows_drawn", "with_laws"]


def with_laws(plan: Plan, engine: Engine, choose: Callable[[FactorRuntime], tuple[Method, Any] | None]) -> Plan:
    """The plan with the law that was chosen for each factor, and the method that draws from it.

    Parameters
    ----------
    plan : Plan
    engine : Engine
        Of the plan, or of one with the same methods.
    choose : callable
        Of a factor, its method and its law; None where it stays as it is.

    Returns
    -------
    Plan
        An incomplete outcome or auxiliary is drawn by the method of its factor.
    """
    factors, changed = [], {}
    for factor, runtime in zip(plan.factors, engine.factors, strict=True):
        found = choose(runtime)
        if found is None:
            factors.append(factor)
            continue
        method, law = found
        if method is not factor.method:
            changed.update(dict.fromkeys(runtime.outcome, method))
        label = name_of(method) if runtime.question is None and runtime.outcome[0] in changed else factor.label
        factors.append(dataclasses.replace(factor, method=method, law=law, label=label))
    variables = tuple(_following(variable, changed) for variable in plan.variables)
    return dataclasses.replace(plan, factors=tuple(factors), variables=variables)


def _following(variable: Variable, changed: dict[Hashable, Method]) -> Variable:
    """An incomplete outcome or auxiliary, drawn by the method of its factor."""
    if variable.name not in changed or variable.role not in ("outcome", "auxiliary"):
        return variable
    method = changed[variable.name]
    return dataclasses.replace(variable, method=method, label=name_of(method))


def matters(engine: Engine, runtime: FactorRuntime) -> bool:
    """Whether some incomplete column is drawn from a factor, or weighed by it."""
    names = engine.layout.needs(runtime.model.columns) | set(runtime.outcome)
    return any(len(engine.table[name].missing) for name in names)


def rows_drawn(engine: Engine) -> bool:
    """Whether the rows that count for a model depend on what is drawn."""
    return bool(engine.layout.means) or any(variable.skip for variable in engine.variables.values())

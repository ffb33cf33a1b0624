"""What the tests of error laws and of working laws share: which factors are asked, and the plan with what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from scipy.special import expit

from ...frame.kinds import Kind
from ...typing import Array, Rows
from ..contract import Method, Visit
from ..methods import Logistic, name_of
from ..plan.plan import Plan, Variable
from .engine import Engine, FactorRuntime

__all__ = ["matters", "representative", "rows_drawn", "with_laws"]

_GOES_WITH = 4.0  # standard errors from which being complete goes with a column
_ODDS = 3.0  # log odds beyond which no row is taken to be rarer
_FEW_LEVELS = 6  # levels of a column that may tell who is complete
_ENOUGH = 100  # thinned rows that still have power; with fewer, what selection does to errors is hardly seen either


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


def representative(engine: Engine, rows: Rows) -> Rows:
    r"""Complete rows thinned to a sample of all rows, where being complete goes with what is known of every row.

    Errors of rows that were selected by their outcome are skewed and narrow where those of all rows are normal.

    Parameters
    ----------
    engine : Engine
    rows : ndarray of int
        Complete ones of some model, increasing.

    Returns
    -------
    ndarray of int
        These rows, if nothing that is known of all rows tells them from the others, or too few would be left.

    Notes
    -----
    A row is kept with a probability proportional to :math:`1 / \hat\pi`, :math:`\hat\pi` its chance to be complete by a
    logistic regression on the complete variables of the analyses, outcomes among them. Under missing at random given
    these, what is kept is a sample of the population, so that a test on it keeps its level.
    """
    every = np.arange(engine.table.n_rows)
    every = every if engine.ignored is None else every[~engine.ignored]
    Z = _known_of_all(engine, every)
    if len(rows) >= len(every) or Z.shape[1] == 1 or len(rows) < 5 * Z.shape[1]:
        return rows
    good = np.isin(every, rows)
    visit = Visit(good.astype(np.float64), Z, np.arange(Z.shape[1], dtype=np.int64), Kind.BINARY, n_levels=2)
    fit = Logistic().fit(visit, np.random.default_rng(0)).warm
    Z, estimate = Z[:, fit.kept], fit.estimate
    chance = expit(Z @ estimate)
    errors = np.sqrt(np.diag(np.linalg.pinv((Z.T * (chance * (1 - chance))) @ Z)))
    if not (np.abs(estimate[1:]) > _GOES_WITH * errors[1:]).any():
        return rows
    weight = 1.0 + np.exp(-np.clip((Z @ estimate)[good], -_ODDS, _ODDS))
    kept = np.random.default_rng(0).random(len(weight)) < weight / weight.max()
    return every[good][kept] if np.count_nonzero(kept) >= _ENOUGH else rows


def _known_of_all(engine: Engine, rows: Rows) -> Array:
    """A constant, and the complete variables of the analyses, standardised; levels as indicators."""
    asked = [f for f in engine.factors if f.question is not None]
    names = dict.fromkeys(v for f in asked for v in (*f.outcome, *engine.layout.needs(f.model.columns)))
    found = [np.ones(len(rows))]
    for column in (engine.table[name] for name in sorted(names, key=str)):
        values = column.values[rows]
        if len(column.missing) or (column.kind.discrete and column.n_levels > _FEW_LEVELS):
            continue
        if column.kind.discrete:
            found += [(values == level).astype(np.float64) for level in range(1, column.n_levels)]
        elif (size := float(np.std(values))) > 0:
            found.append((values - np.mean(values)) / size)
    return np.column_stack(found)


def rows_drawn(engine: Engine) -> bool:
    """Whether the rows that count for a model depend on what is drawn."""
    return bool(engine.layout.means) or any(variable.skip for variable in engine.variables.values())

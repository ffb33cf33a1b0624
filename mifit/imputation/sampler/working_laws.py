"""The working laws of a plan: what the complete rows say of each model of counts, shares or two values."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array, Rows
from ..contract import Visit, facts_of
from ..methods import Logistic
from ..plan.plan import Plan
from ..plan.working_law import Choice, of_counts, of_shares, of_two_values
from .engine import Engine, FactorRuntime
from .factor_laws import matters, rows_drawn, with_laws

__all__ = ["with_working_laws"]

_LEAST_ROWS, _PER_COLUMN = 20, 3  # complete rows without which nothing is asked
_GLANCE = 100  # values that tell most outcomes from one of two values
_ODDS = 3.0  # log odds beyond which no row is taken to be rarer
_LINKS = {"Log": "log", "Identity": "identity"}


def with_working_laws(plan: Plan, engine: Engine) -> Plan:
    """Ask the complete rows of every model of counts, shares or two values; draw from another law where they object.

    Parameters
    ----------
    plan : Plan
    engine : Engine
        Of the plan.

    Returns
    -------
    Plan
        Factors with their ``law``, some with another method; the incomplete columns that they draw alike.
    """
    if plan.mode != "compatible":
        return plan
    return with_laws(plan, engine, lambda runtime: _choice(plan, engine, runtime))


def _choice(plan: Plan, engine: Engine, runtime: FactorRuntime) -> Choice | None:
    """The method and the law of a factor; None of one that is not asked, or of which no value is drawn."""
    kind, option, method = _kind(runtime), plan.options.error_law, runtime.factor.method
    if not kind or not matters(engine, runtime):
        return None
    if runtime.question is None and runtime.factor.variable in plan.options.methods:
        return None
    if kind == "two values":
        return of_two_values(method, _LINKS.get(_link(method), _link(method)), option)
    if rows_drawn(engine):
        return None
    (each,) = (one for one in engine.models if one.runtime is runtime)
    rows = engine.complete_rows(each)
    if len(rows) < max(_LEAST_ROWS, _PER_COLUMN * len(runtime.model.columns)):
        return None
    seen = engine.seen(each, rows)
    weight = _weights(engine, runtime, rows)
    weight = weight if engine.copies is None else np.repeat(weight, engine.copies[rows])
    if not len(seen.y) or not np.isfinite(seen.X).all():
        return None
    return (of_shares if kind == "shares" else of_counts)(method, seen, weight, option)


def _link(method: Any) -> str:
    """The link of the declared likelihood."""
    family = getattr(method, "family", None)
    if family is not None:
        return type(family.link).__name__
    return "Log" if facts_of(method).doubted == "count" else "Identity"


def _kind(runtime: FactorRuntime) -> str:
    """What kind of outcome a likelihood has that may not suit it; empty where none is known."""
    method: Any = runtime.factor.method
    question, doubted = runtime.question, facts_of(method).doubted
    if question is None:
        return "counts" if doubted == "count" else ""
    if not doubted or question.level is not None:
        return ""
    y = runtime.response({v: runtime.table[v].values for v in question.outcome})
    y = y[np.isfinite(y)]
    if len(np.unique(y[:_GLANCE])) <= 2 and len(values := np.unique(y)) == 2:
        complete = not any(len(runtime.table[v].missing) for v in question.outcome)
        codes = question.bare or (complete and values.tolist() == [0.0, 1.0])
        binomial = doubted == "family" and type(method.family).__name__ == "Binomial"
        weighed = runtime.weights is not None and complete
        suits = weighed or not codes or (binomial and _link(method) not in _LINKS)
        return "" if suits else "two values"
    if doubted == "family":
        return "shares" if type(method.family).__name__ == "Binomial" else ""
    return "counts" if doubted == "count" else ""


def _weights(engine: Engine, runtime: FactorRuntime, rows: Rows) -> Array:
    """One over the chance of a row to be complete given its outcome and complete columns, shape (len(rows),)."""
    told = engine.table.complete_rows(runtime.outcome)
    if engine.ignored is not None:
        told = told[~engine.ignored[told]]
    if len(rows) >= len(told):
        return np.ones(len(rows))
    columns = runtime.model.columns
    whole = [not any(len(engine.table[v].missing) for v in engine.layout.needs([p])) for p in columns.tolist()]
    known = columns[np.array(whole, dtype=bool) & (columns != 0)]
    data = {name: engine.table[name].values[told] for name in engine.layout.needs(known)}
    y = runtime.response({name: column.values for name, column in engine.table.columns.items()})[told]
    seen = np.log1p(y) if np.all(y >= 0) else y
    spread = np.std(seen)
    outcome = (seen - np.mean(seen)) / (spread if spread > 0 else 1.0)
    Z = np.column_stack([np.ones(len(told)), outcome, engine.layout.standard(known, data, len(told))])
    good = np.isin(told, rows)
    visit = Visit(good.astype(np.float64), Z, np.arange(Z.shape[1], dtype=np.int64), Kind.BINARY, n_levels=2)
    warm_start = Logistic().fit(visit, np.random.default_rng(0)).warm
    odds = Z[:, warm_start.kept] @ warm_start.estimate
    return 1.0 + np.exp(-np.clip(odds[good], -_ODDS, _ODDS))

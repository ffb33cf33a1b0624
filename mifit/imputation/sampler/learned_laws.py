"""The error laws of a plan: tests of normal errors of each numeric model on complete rows, and the resulting method."""

from __future__ import annotations

import dataclasses

import numpy as np

from ...typing import Array, Rows
from ..contract import Method, Visit, facts_of
from ..methods import Mixture
from ..methods.mixture import OPENING
from ..numerics.linear import solve
from ..numerics.mixture import Law, first_law, gibbs_pass, score_test, shape_of
from ..plan.error_law import DECLARED, FEW_VALUES, LEARNED, NORMAL_AT, SPREAD_AT, WITH_SPREAD, ErrorLaw, repeated
from ..plan.plan import Plan, Variable
from .engine import Engine, FactorRuntime, ModelInfo
from .factor_laws import matters, representative, rows_drawn, with_laws
from .mixture_term import spread_columns
from .store import Model

__all__ = ["with_error_laws"]

_LEAST_ROWS = 30  # fewest complete rows for a test
_PER_COLUMN = 5  # fewest complete rows per coefficient
_PER_LOG_SD = 20  # fewest complete rows per predictor of the residual sd
_MANY_ROWS, _COMPONENTS = 1_000, (5, 8)
OWN_AT = 0.01  #: p-value of the normality test below which a covariate's error law is learned (after a transformation)


def with_error_laws(plan: Plan, engine: Engine) -> Plan:
    """Test the errors of every normal factor on complete rows; where they are not normal, their law is learned.

    Parameters
    ----------
    plan : Plan
    engine : Engine
        Of the plan.

    Returns
    -------
    Plan
        Factors with their ``law``, some with another method; the incomplete columns that they draw alike.

    Notes
    -----
    Complete rows decide the form of the law only. Where they are selected by the outcome they are thinned to a sample
    of all rows; a skewed law passes for unequal spread in the usual tests, so the spread is tested under the law as
    learned from these rows.
    """
    if plan.mode != "compatible":
        return plan

    def choose(runtime: FactorRuntime) -> tuple[Method, ErrorLaw] | None:
        law = _law(plan, engine, runtime)
        if law is None:
            return None
        return (_mixture(law) if law.learned else runtime.factor.method), law

    found = with_laws(plan, engine, choose)
    return dataclasses.replace(found, variables=tuple(_own(plan, engine, one) for one in found.variables))


def _mixture(law: ErrorLaw) -> Mixture:
    """The method that draws from a learned law."""
    return Mixture(law.components, law.form == WITH_SPREAD)


def _law(plan: Plan, engine: Engine, runtime: FactorRuntime) -> ErrorLaw | None:
    """The error law of a factor; None of one that has none, or of which no value is drawn."""
    option = plan.options.error_law
    if not facts_of(runtime.method).errors_learned or runtime.factor.rows == "units" or not matters(engine, runtime):
        return None
    if runtime.question is None and runtime.factor.variable in plan.options.methods:
        return None
    if runtime.weights is not None or any(n in engine.limits for n in runtime.outcome):
        return None
    if rows_drawn(engine):
        return None
    (each,) = (one for one in engine.models if one.runtime is runtime)
    return _said_by_rows(engine, each, option, NORMAL_AT)


def _own(plan: Plan, engine: Engine, variable: Variable) -> Variable:
    """A covariate that is normal by default: its law is learned where the test on complete rows rejects normality."""
    name = variable.name
    if variable.role != "covariate" or not facts_of(variable.method).errors_learned or name in plan.options.methods:
        return variable
    if engine.own_factor[name] is not None:  # one of the factors of the joint model
        return variable
    if plan.options.error_law == DECLARED or variable.together or variable.bounds is not None or rows_drawn(engine):
        return variable
    (each,) = (one for one in engine.models if one.key == name)
    law = _said_by_rows(engine, each, "auto", OWN_AT)
    if law is None or not law.learned:
        return variable
    return dataclasses.replace(variable, method=_mixture(law), label="mixture", why=f"{variable.why}; {law.said}")


def _said_by_rows(engine: Engine, each: ModelInfo, option: str, least: float) -> ErrorLaw | None:
    """What the complete rows of a model say of its errors: the law, or why it was not tested."""
    rows = representative(engine, engine.complete_rows(each))
    known = ErrorLaw(form=DECLARED, option=option, rows=len(rows))
    if len(rows) < max(_LEAST_ROWS, _PER_COLUMN * len(each.model.columns)):
        return dataclasses.replace(known, untested=f"{len(rows)} complete rows are too few to test it")
    seen = engine.seen(each, rows)
    distinct = len(np.unique(seen.y))
    if distinct <= FEW_VALUES:
        return dataclasses.replace(known, untested=f"{distinct} distinct values are not tested")
    value, share = repeated(seen.y)
    if share:
        return dataclasses.replace(known, value=value, share=share)
    return _tested(seen, engine, each.model, option, least)


def _tested(seen: Visit, engine: Engine, model: Model, option: str, least: float) -> ErrorLaw | None:
    """The law of a model by the tests of normal errors, below the p-value ``least``, and of equal spread."""
    cross = seen.cross()
    solution = solve(cross, seen.terms)
    z, n = (seen.y - cross.centre) / cross.scale, len(seen.y)
    residual = z - seen.X @ solution.beta
    shape = shape_of(residual)
    if not shape.p_value >= 0.0 or not np.sqrt(np.mean(residual**2)) > 1e-8 * np.sqrt(np.mean(z**2)):
        return None
    components = _COMPONENTS[engine.table.n_rows >= _MANY_ROWS]
    skewed = shape.p_value < least or option == LEARNED
    places = spread_columns(engine.layout, model.columns)
    spread, each = _unequal(seen, z, places, components if skewed else 1, solution.beta)
    heteroscedastic = spread is not None and spread < SPREAD_AT
    learned = option != DECLARED and (skewed or heteroscedastic)
    form = DECLARED if not learned else WITH_SPREAD if heteroscedastic else LEARNED
    by: tuple[str, ...] = ()
    if heteroscedastic:
        labels = [engine.layout.label(int(place)) for place in model.columns[places]]
        by = tuple(dict.fromkeys(name for name, p in zip(labels, each, strict=True) if p < SPREAD_AT))
    return ErrorLaw(
        form=form, option=option, rows=n, components=components if learned else 0, normal=shape.p_value,
        skewness=shape.skewness, tails=shape.tails, spread=spread, by=by,
    )  # fmt: skip


def _unequal(seen: Visit, z: Array, places: Rows, components: int, beta: Array) -> tuple[float | None, Array]:
    """Test equal spread under the law of the complete rows; p-values of all columns together and of each."""
    if not len(places) or len(z) < _PER_LOG_SD * len(places):
        return None, np.ones(len(places))
    none = np.empty((len(z), 0))
    if components == 1:
        law = Law(np.ones(1), np.zeros(1), np.array([np.mean((z - seen.X @ beta) ** 2)]), 1.0, beta, np.empty(0))
    else:
        law, rng = first_law(seen.X, z, seen.terms, components), np.random.default_rng(0)
        for _ in range(OPENING):
            law, _ = gibbs_pass(seen.X, z, none, seen.terms, law, rng)
    return score_test(seen.X, z, seen.X[:, places], law)

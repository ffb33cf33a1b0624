"""Write imputed sets to files and read them: what is stored, and what is computed again from it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..errors import StorageError
from ..files import target_of
from ..frame.completed import Completed
from ..frame.table import Table, read
from ..imputation.plan.groups import rows_of
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.engine import Engine
from ..imputation.sampler.runs import engines, tables_of
from ..record.record import Record
from ..storage.study import Contents, damaged, read_study, write_study
from .prepare import prepare, with_plan

__all__ = ["loaded", "saved"]


def saved(record: Record, path: str | os.PathLike[str]) -> None:
    """Write an ImputedSet; see :meth:`mifit.ImputedSet.save`."""
    target_of(path, "imp.save({})", "study.mifit")
    if record.plan is None:
        codings = {name: column.coding for name, column in record.table.given.columns.items()}
        study = Contents(record.frame, codings=codings, imputed=record.completed.imputed, said=record.origin)
    else:
        names = [*(one.names for one in record.derived), *(skip.condition.names for skip in record.skips.values())]
        helpers = {name: value for one in names for name, value in one.items()}
        study = Contents(record.frame, record.plan, record.chains, record.seed, helpers)
    write_study(path, study)


def loaded(path: str | os.PathLike[str], names: Mapping[str, Any] | None) -> Record:
    """Read a record; see :func:`mifit.load`."""
    if names is not None and not isinstance(names, Mapping):
        raise StorageError(
            f"names= maps names to functions; it cannot be {type(names).__name__}.",
            do='mifit.load("study.mifit", names={"f": f})',
        )
    study = read_study(path, names or {})
    with damaged(path):
        if study.plan is None:
            return _elsewhere(study)
        plan = study.plan
        found = with_plan(_read_again(study, plan), plan).with_chains(study.chains, study.seed)
        known = found.table.drawn
        if any(plan[name].method is None for name in plan.order):
            raise ValueError("its plan has no method for a column that it draws")
        for chain in study.chains:
            _check_chain(chain, plan, known)
        if len({chain.number for chain in study.chains}) < max(len(study.chains), 2) or study.seed is None:
            raise ValueError("its chains repeat, or are fewer than two")
        study.seed.stream(0, 0)  # a seed that is none is refused here too
        if plan.order:
            for engine in engines(known, plan, found.derived):
                _check_factors(engine)  # a plan that cannot run is refused here, not at some later call
        return found


def _read_again(study: Contents, plan: Plan) -> Record:
    """What was known before anything was drawn, computed again from the frame."""
    found, _ = prepare(study.frame, plan.options, {})
    if tuple(found.table.given.columns) != plan.columns or found.table.n_rows != plan.n_rows:
        raise ValueError("its plan was made for another frame")
    return found


def _check_factors(engine: Engine) -> None:
    """Every factor has an outcome, as its method sees it."""
    values = {name: column.values for name, column in engine.table.columns.items()}
    for runtime in engine.factors:
        if runtime.response(values).shape != (engine.table.n_rows,):
            raise ValueError(f"its plan gives {runtime.label} no outcome")


def _check_chain(chain: Chain, plan: Plan, known: Table) -> None:
    """A chain has a value for every missing value that is drawn, and each is one its column can have."""
    if set(chain.imputed) != set(plan.order) or chain.number < 0 or chain.sweeps < 0:
        raise ValueError(f"chain {chain.number} does not belong to its plan")
    swept = {len(trace) for trace in chain.traces.values()} or {0}
    if swept != {chain.sweeps}:
        raise ValueError(f"chain {chain.number} has not done as many iterations as it says")
    if plan.groups:
        for (_, inner), part, rows in zip(plan.groups, chain.parts, tables_of(known, plan), strict=True):
            _check_chain(part, inner, rows)
            if part.sweeps != (chain.sweeps if inner.order else 0):
                raise ValueError(f"chain {chain.number} has not done as many iterations in every group")
    for name, values in chain.imputed.items():
        column = known[name]
        if values.shape != column.missing.shape or values.dtype != np.float64:
            raise ValueError(f"chain {chain.number} does not fill the missing values of {name!r}")
        values = values[_drawn_in(name, plan, known)]
        if not np.isfinite(values).all():
            raise ValueError(f"chain {chain.number} does not fill the missing values of {name!r}")
        if column.kind.discrete and not np.isin(values, np.arange(column.n_levels)).all():
            raise ValueError(f"chain {chain.number} holds a level that {name!r} does not have")


def _drawn_in(name: Hashable, plan: Plan, known: Table) -> Any:
    """Which missing values of a column are drawn, shape (n_mis,): those of the groups whose plan draws it."""
    missing = known[name].missing
    if not plan.groups:
        return np.ones(len(missing), dtype=bool)
    split = rows_of(known, plan.options.by)
    drawn = [split[level] for level, inner in plan.groups if name in inner.order and level in split]
    return np.isin(missing, np.concatenate(drawn)) if drawn else np.zeros(len(missing), dtype=bool)


def _elsewhere(study: Contents) -> Record:
    """Sets that were made elsewhere."""
    table = read(study.frame, dict(study.codings))
    for one in study.imputed:
        for name, values in one.items():
            if values.shape != table[name].missing.shape or values.dtype != np.float64:
                raise ValueError(f"its sets do not fill the missing values of {name!r}")
    if len(study.imputed) < 2:
        raise ValueError("it holds fewer than two sets")
    completed = Completed(study.frame, table, tuple(dict(one) for one in study.imputed))
    return Record.elsewhere(completed, study.said)

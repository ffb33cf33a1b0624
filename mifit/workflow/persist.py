"""Imputed sets into files and back: what is written, and what is made again from it."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import StorageError
from ..files import target_of
from ..frame.completed import Completed
from ..frame.recast import recoded
from ..frame.table import Table, read
from ..imputation.plan.groups import rows_of
from ..imputation.plan.options import refuse_other_holes
from ..imputation.plan.plan import Plan
from ..imputation.plan.rare_levels import collapsed, levels_together
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.engine import Engine
from ..imputation.sampler.runs import engines, tables_of
from ..imputation.seed import Seed
from ..storage.study import Study, damaged, read_study, write_study
from .prepare import Ground, ground

__all__ = ["Parts", "loaded", "saved"]


class Parts(NamedTuple):
    """What an ImputedSet is made from."""

    frame: pd.DataFrame
    ground: Ground
    plan: Plan | None
    chains: tuple[Chain, ...]
    seed: Seed | None
    completed: Completed | None = None
    said: str = ""


def saved(imp: Any, path: str | os.PathLike[str]) -> None:
    """Write an ImputedSet; see :meth:`mifit.ImputedSet.save`."""
    target_of(path, "imp.save({})", "study.mifit")
    if imp.plan is None:
        codings = {name: column.coding for name, column in imp._table.columns.items()}
        study = Study(imp._frame, codings=codings, holes=imp._completed.holes, said=imp._said)
    else:
        made_with = [*imp._ground.derived, *(skip.condition for skip in imp._ground.skips.values())]
        helpers = {name: value for one in made_with for name, value in one.names.items()}
        study = Study(imp._frame, imp.plan, imp._chains, imp._seed, helpers)
    write_study(path, study)


def loaded(path: str | os.PathLike[str], names: Mapping[str, Any] | None) -> Parts:
    """Read what an ImputedSet is made from; see :func:`mifit.load`."""
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
        given = _ground(study, plan)
        refuse_other_holes(plan, collapsed(given.known, levels_together(given.known, plan.wishes))[0])
        given = given._replace(table=recoded(given.table, plan.numeric), known=recoded(given.known, plan.numeric))
        known = collapsed(given.known, levels_together(given.known, plan.wishes))[0]
        if any(plan[name].method is None for name in plan.order):
            raise ValueError("its plan draws a column by no method")
        for chain in study.chains:
            _check_chain(chain, plan, known)
        if len({chain.number for chain in study.chains}) < max(len(study.chains), 2) or study.seed is None:
            raise ValueError("its chains repeat, or are fewer than two")
        study.seed.stream(0, 0)  # a seed that is none is refused here too
        if plan.order:
            for engine in engines(known, plan, tuple(given.derived)):
                _check_factors(engine)  # a plan that cannot run is refused here, not at some later call
        return Parts(study.frame, given, plan, study.chains, study.seed)


def _ground(study: Study, plan: Plan) -> Ground:
    """What was known before anything was drawn, made again from the frame."""
    given, _ = ground(study.frame, plan.wishes, {})
    if tuple(given.table.columns) != plan.columns or given.table.n_rows != plan.n_rows:
        raise ValueError("its plan is one for another frame")
    return given


def _check_factors(engine: Engine) -> None:
    """Every factor has an outcome, as its method sees it."""
    values = {name: column.values for name, column in engine.table.columns.items()}
    for ready in engine.factors:
        if ready.response(values).shape != (engine.table.n_rows,):
            raise ValueError(f"its plan gives {ready.label} no outcome")


def _check_chain(chain: Chain, plan: Plan, known: Table) -> None:
    """A chain has a value for every hole that is drawn, and each is one its column can have."""
    if set(chain.holes) != set(plan.order) or chain.number < 0 or chain.sweeps < 0:
        raise ValueError(f"chain {chain.number} is not one of its plan")
    swept = {len(trace) for trace in chain.traces.values()} or {0}
    if swept != {chain.sweeps}:
        raise ValueError(f"chain {chain.number} has not done as many iterations as it says")
    if plan.groups:
        for (_, inner), part, rows in zip(plan.groups, chain.parts, tables_of(known, plan), strict=True):
            _check_chain(part, inner, rows)
            if part.sweeps != (chain.sweeps if inner.order else 0):
                raise ValueError(f"chain {chain.number} has not done as many iterations in every group")
    for name, values in chain.holes.items():
        column = known[name]
        if values.shape != column.missing.shape or values.dtype != np.float64:
            raise ValueError(f"chain {chain.number} does not fill the holes of {name!r}")
        values = values[_drawn_in(name, plan, known)]
        if not np.isfinite(values).all():
            raise ValueError(f"chain {chain.number} does not fill the holes of {name!r}")
        if column.kind.discrete and not np.isin(values, np.arange(column.n_levels)).all():
            raise ValueError(f"chain {chain.number} holds a level that {name!r} does not have")


def _drawn_in(name: Hashable, plan: Plan, known: Table) -> Any:
    """Which holes of a column are drawn, shape (n_mis,): those of the groups whose plan draws it."""
    missing = known[name].missing
    if not plan.groups:
        return np.ones(len(missing), dtype=bool)
    split = rows_of(known, plan.wishes.by)
    drawn = [split[level] for level, inner in plan.groups if name in inner.order and level in split]
    return np.isin(missing, np.concatenate(drawn)) if drawn else np.zeros(len(missing), dtype=bool)


def _elsewhere(study: Study) -> Parts:
    """Sets that were made elsewhere."""
    table = read(study.frame, dict(study.codings))
    for one in study.holes:
        for name, values in one.items():
            if values.shape != table[name].missing.shape or values.dtype != np.float64:
                raise ValueError(f"its sets do not fill the holes of {name!r}")
    if len(study.holes) < 2:
        raise ValueError("it holds fewer than two sets")
    completed = Completed(study.frame, table, tuple(dict(one) for one in study.holes))
    return Parts(study.frame, Ground(table, completed.learnt()), None, (), None, completed, study.said)

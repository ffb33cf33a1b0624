"""Starting values of a chain: a random observed value in each missing cell, then a draw given complete columns."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ...typing import Rows
from ..contract import facts_of
from ..methods import CHAINED, METHODS
from ..plan.defaults import allowed_parameters
from ..plan.plan import Piece, Variable
from .chain import ChainState, Fit
from .engine import Engine
from .metropolis import begin
from .samplers import draw
from .store import Model

__all__ = ["start"]

_COLUMNS = 50  # most predictors of a first fill; each sweep redraws all values
_ROWS = 1_000  # most rows for the parameters of a first fill, or ten per parameter


def start(state: ChainState, rng: np.random.Generator) -> None:
    """Fill the missing values for the first time; find rows for the first parameter draws."""
    engine, table = state.engine, state.table
    columns = [table[name] for name in engine.plan.order]
    first = {c.name: rng.choice(c.values[engine.observed[c.name]], len(c.missing)) for c in columns}
    for name, (low, high) in engine.limits.items():  # these values are replaced before any model uses them
        if not table[name].kind.discrete:
            first[name] = np.clip(first[name], low[table[name].missing], high[table[name].missing])
    state.fill(first)
    if engine.plan.mode == "compatible":
        state.start_rows = engine.starts
    if not state.start_rows:
        _ordinary_pass(state, rng)
    state.warm.update(engine.opening)
    state.put(begin(engine, state.values, rng))


def _ordinary_pass(state: ChainState, rng: np.random.Generator) -> None:
    """One visit each, from least to most missing, each from complete or already filled columns."""
    engine, table = state.engine, state.table
    filled = dict.fromkeys(name for name in engine.layout.main if not len(table[name].missing))
    complete = [
        Piece("outcome", runtime.factor.question) for runtime in engine.factors
        if runtime.question is not None and not any(len(table[v].missing) for v in runtime.outcome)
    ]  # fmt: skip
    for name in sorted(engine.plan.order, key=lambda n: len(table[n].missing)):
        if engine.plan.mode != "compatible" and table[name].kind.discrete:
            continue  # a random observed level is a sufficient start: every column is drawn again in sweep 1
        state.visiting, variable = name, engine.variables[name]
        model = _model(engine, variable, complete, filled)
        method, rows = _method(engine, variable), _rows(engine, name, model, rng)
        own = Fit(method.fit(state.seen_by(name, model, rows, None), rng), method, model)
        fitted, X = state.widened(own, name)
        constraint, current = engine.constraint(name, state.values), state.values[name][table[name].missing]
        found = draw(engine.choice_alone(name, method), fitted, X, (), constraint, current, rng)
        state.store.write(name, state.where_asked(variable, found).values)
        if name in engine.layout.main:
            filled[name] = None


def _model(engine: Engine, variable: Variable, complete: Iterable[Piece], filled: Mapping[Hashable, None]) -> Model:
    """The columns of a first model: complete outcomes, then predictors that are filled, as there is room."""
    name = variable.name
    named = [p.which for p in variable.pieces if p.what == "main" and p.which in filled]
    room = max(allowed_parameters(engine.table, name, len(engine.observed[name])), 2)
    room = room if engine.plan.mode == "compatible" else min(room, _COLUMNS)
    pieces: list[Piece] = []
    width = 1
    for piece in itertools.chain(complete, (Piece("main", other) for other in named or filled)):
        wider = width + (len(engine.layout.main[piece.which]) if piece.what == "main" else 1)
        if wider <= room:
            pieces.append(piece)
            width = wider
        if width == room:
            break
    return engine.layout.model(pieces)


def _method(engine: Engine, variable: Variable) -> Any:
    """The method of a first draw: the default of its kind, or its own where that matters."""
    usual = variable.role != "column" and variable.bounds is None
    method: Any = METHODS[CHAINED[engine.table[variable.name].kind]] if usual else variable.method
    if engine.plan.mode != "compatible" and facts_of(method).matches:
        return METHODS["norm"]  # draws of parameters too, without the matching
    return method


def _rows(engine: Engine, name: Hashable, model: Model, rng: np.random.Generator) -> Rows:
    """Observed rows for the fit; a random subset of many."""
    column, rows = engine.table[name], engine.observed[name]
    enough = max(_ROWS, 10 * len(model.columns) * max(column.n_levels - 1, 1))
    if enough < min(len(rows), len(column.missing)):
        return np.sort(rng.choice(rows, enough, replace=False))
    return rows

"""Average marginal effects: what one unit, or one level, changes in the mean, averaged over the sample and pooled."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..errors import FormulaError, ModelError, nearest
from ..frame.kinds import Kind
from ..pooling.rubin import columns, pool
from ..typing import Array
from .newdata import Link, in_numbers, link_of, numeric_design, offset_of
from .predict import positions, require_source
from .predict_levels import Levelled, is_levelled, levelled

if TYPE_CHECKING:
    from ..formula.design import Design
    from .estimates import PooledEstimates

__all__ = ["marginal_effects"]


_STEP = 1e-4  # of a standard deviation: the error of a central difference is about its square


class _Change(NamedTuple):
    """A change of one variable: every row from one value to another, or by a small step around its own."""

    label: str
    variable: Hashable
    upper: float | None  #: value of every row after; None for a step
    lower: float
    step: float


class _Mean(NamedTuple):
    """What a variable can change: the mean, or the probability of a level."""

    label: str
    columns: list[int]  #: columns of the design that it has
    at: Callable[[Array, Array, Array], tuple[Array, Array]]  #: design, parameters, offset -> mean (n,), slopes (n, q)


def marginal_effects(results: PooledEstimates, variables: Any = None, alpha: float = 0.05) -> pd.DataFrame:
    """Average marginal effects; see :meth:`PooledResults.marginal_effects`."""
    design, completed, call = require_source(results, "marginal effects")
    if call.spec.facts.hazard:
        raise ModelError(
            "a Cox model has no mean that a variable could change: its effects are hazard ratios.",
            do="res.to_frame(exponentiate=True)",
        )
    means = _means(results)
    changes = [c for v in _chosen(design, variables) for c in _changes(design, v)]
    wide = numeric_design(design)
    effects, covariances, gradients = [], [], []
    for k in range(results.m):
        data = in_numbers(design, completed.values(k))
        offset = offset_of(call, partial(completed.series, k), len(completed.labels(k)), partial(completed.take, k))
        weights = _weights(call, completed, k)
        beta = results.fits.estimates[k]
        found = [_effect(wide, mean, data, beta, change, offset, weights) for mean in means for change in changes]
        gradient = np.array([g for _, g in found])
        effects.append([e for e, _ in found])
        gradients.append(gradient)
        covariances.append(gradient @ results.fits.covariances[k] @ gradient.T)
    labels = [f"{mean.label}{change.label}" for mean in means for change in changes]
    pooled = results.pooled
    about = (pooled.df_of(sum(np.abs(one) for one in gradients)), pooled.df_method)
    return pd.DataFrame(columns(pool(np.array(effects), np.array(covariances), *about, names=labels), alpha), labels)


def _effect(
    design: Design, mean: _Mean, data: dict[Hashable, Array], beta: Array, change: _Change, offset: Array,
    weights: Array | None,
) -> tuple[float, Array]:  # fmt: skip
    """Return the average change in the mean and its gradient in the coefficients."""
    n, which = len(offset), mean.columns
    if change.upper is None:
        own = data[change.variable]
        high, low = (_at(design, which, data, change.variable, own + s * change.step) for s in (1, -1))
        here = _at(design, which, data, change.variable, own)
        steps = np.full(n, 2 * change.step)
        for side in (high, low):  # at the outermost knot one side is undefined: half a step
            outside = ~np.isfinite(side).all(axis=1)
            side[outside] = here[outside]
            steps[outside] -= change.step
    else:
        high, low = (
            _at(design, which, data, change.variable, np.full(n, value)) for value in (change.upper, change.lower)
        )
        steps = np.ones(n)
    (above, upwards), (below, downwards) = mean.at(high, beta, offset), mean.at(low, beta, offset)
    effect, slope = (above - below) / steps, (upwards - downwards) / steps[:, None]
    return float(np.average(effect, weights=weights)), np.average(slope, axis=0, weights=weights)


def _means(results: PooledEstimates) -> list[_Mean]:
    """Return the mean of a model, or the probabilities of its levels."""
    if is_levelled(results):
        model = levelled(results)
        each = [partial(_level_at, model, j) for j in range(len(model.labels))]
        return [_Mean(f"{label}:", model.columns, at) for label, at in zip(model.labels, each, strict=True)]
    which, own = positions(results)
    return [_Mean("", which, partial(_mean_at, link_of(results.call), own))]  # type: ignore[arg-type]


def _mean_at(link: Link, own: list[int], X: Array, params: Array, offset: Array) -> tuple[Array, Array]:
    """Return the mean of each row and its slopes in all parameters."""
    linear = X @ params[own] + offset
    slope = np.zeros((len(X), len(params)))
    slope[:, own] = link.slope(linear)[:, None] * X
    return link.mean(linear), slope


def _level_at(model: Levelled, level: int, X: Array, params: Array, offset: Array) -> tuple[Array, Array]:
    """Return the probability of a level in each row and its slopes in all parameters."""
    linear = model.linear(X, params, offset)
    return model.chances(linear)[:, level], model.slope(X, linear, level)


def _at(design: Design, which: Sequence[int], data: dict[Hashable, Array], variable: Hashable, values: Array) -> Array:
    """Return the design with one variable changed, shape (n, p)."""
    return design.evaluate(which, {**data, variable: values}, len(values))


def _chosen(design: Design, variables: Any) -> list[Hashable]:
    """Return the variables asked for, by default all of the right side."""
    known = list(design.variables)
    if variables is None:
        return known
    chosen = list(variables) if isinstance(variables, list) else [variables]
    for name in chosen:
        if name not in known:
            raise FormulaError(
                f"{name!r} is no variable of the right side{nearest(name, known)}.",
                formula=design.formula,
                variables=", ".join(map(str, known)),
                do=f"res.marginal_effects({(known or ['x'])[0]!r})",
            )
    return chosen


def _changes(design: Design, variable: Hashable) -> list[_Change]:
    """Return dy/dx of a number; the contrast of two values; each level against the first."""
    column = design.table[variable]
    levels = column.coding.levels
    if column.kind is Kind.BINARY or (column.kind.discrete and not column.number):
        values = [float(v) for v in levels] if column.number else list(range(len(levels)))
        shown = [f"{v:g}" if column.number else str(v) for v in levels]
        return [
            _Change(f"{variable}: {shown[j]} - {shown[0]}", variable, float(values[j]), float(values[0]), 1.0)
            for j in range(1, len(levels))
        ]
    sd = float(np.std(column.numbers(column.values[column.observed]))) or 1.0
    return [_Change(str(variable), variable, None, 0.0, _STEP * sd)]


def _weights(call: Any, completed: Any, k: int) -> Array | None:
    """Return how many rows each row stands for, if the model was told."""
    given = call.init.get("freq_weights")
    if given is None:
        return None
    column = completed.series(k, given) if isinstance(given, str) else completed.take(k, np.asarray(given))
    return np.asarray(column, dtype=np.float64)

"""Predictions of a mixed model for the groups of its data, and the random effects themselves."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from .. import calls
from ..analysis.build import random_design
from ..analysis.random_effects import GroupEffects, effects_of, linear_of
from ..errors import DataError, ModelError, nearest
from ..pooling.rubin import columns, each
from ..typing import Array
from .estimates import PooledEstimates
from .newdata import as_frame, column_of, link_of, matrix_of, offset_of
from .predict import Prediction, positions, require_source

__all__ = ["predict_groups", "random_effects"]


def predict_groups(results: PooledEstimates, newdata: Any = None) -> Prediction:
    """Predict rows with the random effects of their groups; see :meth:`PooledResults.get_prediction`."""
    design, completed, call = _source(results)
    link, (chosen, own), m = link_of(call), positions(results), results.m
    linear, within = [], []
    frame = None if newdata is None else as_frame(newdata)
    for k in range(m):
        effects = effects_of(design, completed, call, k)
        matrix, random, labels, offset = _rows(results, frame, k)
        codes = effects.labels.get_indexer(labels)
        covariance = results.fits.covariances[k][np.ix_(own, own)]
        added, variance = linear_of(effects, matrix[:, chosen], random, codes, covariance)
        linear.append(matrix[:, chosen] @ results.fits.estimates[k][own] + offset + added)
        within.append(variance)
    index = completed.labels(0) if frame is None else frame.index
    mean, between, inside = np.mean(linear, axis=0), np.var(linear, axis=0, ddof=1), np.mean(within, axis=0)
    about = (m, np.inf, results.pooled.df_method)
    observation = each(mean, inside + results.scale, between, *about) if call.spec.equation == "mixed" else None
    return Prediction(index, each(mean, inside, between, *about), link, observation)


def random_effects(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Random effects of every group; see :meth:`PooledResults.random_effects`."""
    design, completed, call = _source(results)
    found = [effects_of(design, completed, call, k) for k in range(results.m)]
    own, chosen = positions(results)[1], found[0].labels
    names = _names(results)
    estimates = np.array([one.means @ one.turn.T for one in found])
    variances = [_variance(one, v[np.ix_(own, own)]) for one, v in zip(found, results.fits.covariances, strict=True)]
    size = estimates[0].size
    pooled = each(
        estimates.mean(axis=0).ravel(), np.mean(variances, axis=0).ravel(),
        estimates.var(axis=0, ddof=1).ravel(), results.m, np.inf, results.pooled.df_method,
    )  # fmt: skip
    group = str(call.init["groups"]) if isinstance(call.init["groups"], str) else "group"
    index = pd.MultiIndex.from_product([chosen, names], names=[group, "effect"])
    assert len(index) == size
    return pd.DataFrame(columns(pooled, alpha), index=index)[["estimate", "std_error", "conf_low", "conf_high", "fmi"]]


def _variance(effects: GroupEffects, covariance: Array) -> Array:
    """Return the variance of each random effect of the user's columns less its mean, shape (J, q)."""
    whole = effects.variances + effects.pulls @ covariance @ effects.pulls.transpose(0, 2, 1)
    return np.asarray(np.einsum("ai,jik,ak->ja", effects.turn, whole, effects.turn))


def _names(results: PooledEstimates) -> list[str]:
    """Return the names of the random effects."""
    spread = results.fits.spread
    assert spread is not None
    return [name.removesuffix(" Var") for name in spread.names if name.endswith(" Var") and name != "Residual Var"]


def _rows(results: PooledEstimates, frame: pd.DataFrame | None, k: int) -> tuple[Array, Array, Any, Array]:
    """Return fixed design, random design, groups and offset of the rows to predict in set k."""
    design, completed, call = results.design, results.completed, results.call
    assert call is not None
    formula, groups = call.init.get("re_formula"), call.init["groups"]
    further = None if formula is None else random_design(design, formula, call.model)
    if frame is None:
        values, n = completed.values(k), len(completed.labels(k))
        random = np.ones((n, 1)) if further is None else further.matrix(values)
        labels = completed.series(k, groups) if isinstance(groups, str) else completed.take(k, np.asarray(groups))
        offset = offset_of(call, partial(completed.series, k), n, partial(completed.take, k))
        return design.matrix(values), random, labels, offset
    if not isinstance(groups, str):
        raise ModelError(
            "groups= was an array; the groups of new rows are not known.",
            do=calls.call("imp.fit", design.formula, model=call.model, groups="id").then("   # a column"),
        )
    if groups not in frame.columns:
        raise DataError(
            f"newdata lacks {groups!r}, the groups of the model{nearest(groups, frame.columns)}.",
            do="res.get_prediction(newdata)   # without the random effects",
        )
    random = np.ones((len(frame), 1)) if further is None else matrix_of(further, frame)
    return matrix_of(design, frame), random, frame[groups], offset_of(call, partial(column_of, frame), len(frame))


def _source(results: PooledEstimates) -> tuple[Any, Any, Any]:
    """Return design, sets and call of a model whose random effects can be had, or refuse."""
    design, completed, call = require_source(results, "random effects")
    if call.spec.spread is None:
        raise ModelError(f"{call.spec.label} has no random effects.", do="res.get_prediction()")
    if call.init.get("vc_formula") or call.spec.facts.levels:
        what = "of vc_formula=" if call.init.get("vc_formula") else "of an ordinal model"
        raise ModelError(f"random effects {what} are not predicted.", do="res.results[0].random_effects   # of one set")
    return design, completed, call

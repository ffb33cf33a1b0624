"""Probabilities of the levels of an outcome: their predictions and their slopes in the parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy.special import expit, logit, softmax

from ..analysis.build import outcome_levels
from ..analysis.ordered import DISTRIBUTIONS
from ..pooling.rubin import Each, each, t_quantile, upper_level
from ..typing import Array
from .estimates import PooledEstimates
from .newdata import as_frame, column_of, matrix_of, offset_of

__all__ = ["LevelPrediction", "Levelled", "Multinomial", "Ordered", "is_levelled", "levelled", "predict_levels"]


@dataclass(frozen=True, slots=True)
class Multinomial:
    """Logarithms of the odds against the first of K levels are linear in p columns; q parameters, level by level."""

    labels: tuple[str, ...]  #: (K,)
    columns: list[int]  #: columns of the design that it has (p)

    def linear(self, X: Array, params: Array, offset: Array) -> Array:
        """Return log-odds against the first level, that one's own zeros included, shape (n, K)."""
        odds = X @ params.reshape(len(self.labels) - 1, -1).T
        return np.column_stack([np.zeros(len(X)), odds])

    def chances(self, linear: Array) -> Array:
        """Return the probabilities, shape (n, K)."""
        return np.asarray(softmax(linear, axis=1))

    def slope(self, X: Array, linear: Array, level: int) -> Array:
        """Return p_j (1[j = k] - p_k) x for each level k but the first, shape (n, q)."""
        chance = self.chances(linear)
        own = np.eye(len(self.labels))[level]
        weight = chance[:, [level]] * (own - chance)
        return np.hstack([weight[:, [k]] * X for k in range(1, len(self.labels))])


@dataclass(frozen=True, slots=True)
class Ordered:
    """Cut points minus a linear predictor, through a distribution function; p slopes first, then K - 1 cut points."""

    labels: tuple[str, ...]
    columns: list[int]
    cdf: Callable[[Array], Array]
    pdf: Callable[[Array], Array]
    further: int = 0  #: parameters of spread, which come last and change no probability of a usual group

    def linear(self, X: Array, params: Array, offset: Array) -> Array:
        """Return each cut point minus the linear predictor, shape (n, K - 1)."""
        p = X.shape[1]
        return np.asarray(params[p : p + len(self.labels) - 1] - (X @ params[:p] + offset)[:, None])

    def chances(self, linear: Array) -> Array:
        """Return the probabilities, shape (n, K)."""
        n = len(linear)
        return np.diff(np.column_stack([np.zeros(n), self.cdf(linear), np.ones(n)]), axis=1)

    def slope(self, X: Array, linear: Array, level: int) -> Array:
        """Return the density at both cut points: their own derivatives, and minus those of the slopes, shape (n, q)."""
        n, k = linear.shape
        out = np.zeros((n, X.shape[1] + k + self.further))
        for cut, sign in ((level, 1.0), (level - 1, -1.0)):
            if 0 <= cut < k:
                density = sign * self.pdf(linear[:, cut])
                out[:, : X.shape[1]] -= density[:, None] * X
                out[:, X.shape[1] + cut] += density
        return out


Levelled: TypeAlias = Multinomial | Ordered


def is_levelled(results: PooledEstimates) -> bool:
    """Tell whether an analysis predicts a probability for each level instead of one mean."""
    spec = None if results.call is None else results.call.spec
    return spec is not None and spec.facts.levels and not spec.conditional


def levelled(results: PooledEstimates) -> Levelled:
    """Return how an analysis gives the probabilities of its levels.

    Parameters
    ----------
    results : PooledResults
        Of a multinomial or an ordered model.

    Returns
    -------
    Levelled
    """
    design, call = results.design, results.call
    assert call is not None
    labels = outcome_levels(design, results.completed, call).labels
    columns = [i for i, name in enumerate(design.names) if call.spec.constant or name != "Intercept"]
    if not call.spec.facts.ordered:
        return Multinomial(labels, columns)
    given: Any = call.init.get("distr", "probit") if call.spec.spread is None else "logit"
    cdf, pdf = DISTRIBUTIONS[given][:2] if isinstance(given, str) and given in DISTRIBUTIONS else (given.cdf, given.pdf)
    return Ordered(labels, columns, cdf, pdf, results.fits.n_scale)


@dataclass(frozen=True, eq=False, repr=False)
class LevelPrediction:
    """Pooled probabilities of K levels for n rows.

    Linear predictors are averaged over the sets, so that the probabilities of a row add up to one; limits are those of
    each probability's logit, with variances by the delta method in each set and Rubin's rules.
    """

    index: pd.Index
    labels: tuple[str, ...]
    chances: Array  #: (n, K)
    log_odds: tuple[Each, ...]  #: the logit of each level's probability (K times n)

    @property
    def predicted_mean(self) -> pd.DataFrame:
        """Probability of each level, one column a level (n, K)."""
        return pd.DataFrame(self.chances, self.index, list(self.labels))

    @property
    def se_mean(self) -> pd.DataFrame:
        """Standard error of each probability (n, K)."""
        errors = [one.std_error for one in self.log_odds]
        return self.predicted_mean * (1 - self.predicted_mean) * np.column_stack(errors)

    @property
    def df(self) -> pd.DataFrame:
        """Degrees of freedom of each interval (n, K)."""
        return pd.DataFrame(np.column_stack([one.df for one in self.log_odds]), self.index, list(self.labels))

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return limits of each probability; rows as in :meth:`summary_frame`, columns lower and upper."""
        frame = self.summary_frame(alpha)
        return frame[["mean_ci_lower", "mean_ci_upper"]].set_axis(["lower", "upper"], axis=1)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return probabilities and their limits.

        Parameters
        ----------
        alpha
            As in :meth:`~mifit.results.predict.Prediction.summary_frame`.

        Returns
        -------
        DataFrame, shape (n K, 4)
            Index (row, level); columns mean, mean_se, mean_ci_lower, mean_ci_upper.
        """
        parts = []
        for j, one in enumerate(self.log_odds):
            half = t_quantile(upper_level(alpha), one.df) * one.std_error
            ends = [expit(one.params + sign * half) for sign in (-1, 1)]
            parts.append(np.column_stack([self.chances[:, j], self.se_mean.iloc[:, j], *ends]))
        rows = np.stack(parts, axis=1).reshape(-1, 4)
        codes = [
            np.repeat(np.arange(len(self.index)), len(self.labels)),
            np.tile(np.arange(len(self.labels)), len(self.index)),
        ]
        labels = pd.MultiIndex.from_arrays(
            [self.index.take(codes[0]), np.array(self.labels, dtype=object)[codes[1]]], names=[self.index.name, "level"]
        )
        return pd.DataFrame(rows, labels, ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper"])

    def __repr__(self) -> str:
        return f"<Prediction of {len(self.index)} rows x {len(self.labels)} levels; summary_frame() holds the limits>"

    def _repr_html_(self) -> str:
        """Show probabilities and limits in a notebook."""
        return str(self.summary_frame().to_html(max_rows=20))


def predict_levels(results: PooledEstimates, newdata: Any = None) -> LevelPrediction:
    """Predict the probability of each level; see :meth:`PooledResults.get_prediction`."""
    model, fits, pooled = levelled(results), results.fits, results.pooled
    designs, offsets, index = _rows(results, model, newdata)
    each_set = [model.linear(x, b, o) for x, b, o in zip(designs, fits.estimates, offsets, strict=True)]
    mean = model.chances(np.mean(each_set, axis=0))
    found = []
    for j in range(len(model.labels)):
        odds, variances, slopes = [], [], []
        for x, linear, covariance in zip(designs, each_set, fits.covariances, strict=True):
            chance = model.chances(linear)[:, j]
            slope = model.slope(x, linear, j) / (chance * (1 - chance))[:, None]
            odds.append(logit(chance))
            slopes.append(slope)
            variances.append(np.maximum(np.einsum("ij,ij->i", slope @ covariance, slope), 0.0))
        between = np.var(odds, axis=0, ddof=1)
        df = pooled.df_of(np.abs(slopes).sum(axis=0))
        found.append(each(logit(mean[:, j]), np.mean(variances, axis=0), between, pooled.m, df, pooled.df_method))
    return LevelPrediction(index, model.labels, mean, tuple(found))


def _rows(results: PooledEstimates, model: Levelled, newdata: Any) -> tuple[list[Array], list[Array], pd.Index]:
    """Return design and offset of the rows to predict in each set, and their labels."""
    design, completed, call, m = results.design, results.completed, results.call, results.m
    assert call is not None
    if newdata is not None:
        frame = as_frame(newdata)
        matrix = matrix_of(design, frame)[:, model.columns]
        offset = offset_of(call, partial(column_of, frame), len(frame))
        return [matrix] * m, [offset] * m, frame.index
    designs = [design.matrix(completed.values(k))[:, model.columns] for k in range(m)]
    index = completed.labels(0)
    offsets = [offset_of(call, partial(completed.series, k), len(index), partial(completed.take, k)) for k in range(m)]
    return designs, offsets, index

"""Predictions from a pooled analysis: pooled on the link scale, with Rubin's intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ModelError
from ..pooling.rubin import Each, columns, each, t_quantile, upper_level
from ..typing import Array
from .estimates import PooledEstimates
from .newdata import Link, as_frame, column_of, link_of, matrix_of, offset_of
from .predict_levels import LevelPrediction, is_levelled, predict_levels

__all__ = ["Prediction", "get_prediction", "positions", "require_source"]


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Pooled predictions of n rows, under statsmodels' names."""

    index: pd.Index
    linear: Each  #: the linear predictor (n)
    link: Link
    observation: Each | None  #: the linear predictor of a new observation, where the model has one

    @property
    def predicted_mean(self) -> pd.Series:
        """Mean of each row, the pooled linear predictor brought through the link (n)."""
        return pd.Series(self.link.mean(self.linear.params), index=self.index, name=self.link.what)

    @property
    def se_mean(self) -> pd.Series:
        """Standard error of each mean, by the delta method (n)."""
        error = np.abs(self.link.slope(self.linear.params)) * self.linear.std_error
        return pd.Series(error, index=self.index, name=f"{self.link.what}_se")

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of each row's interval (n)."""
        return pd.Series(self.linear.df, index=self.index, name="df")

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return limits of each mean, made on the link scale; columns lower and upper."""
        return pd.DataFrame(dict(zip(("lower", "upper"), self._ends(self.linear, alpha), strict=True)), self.index)

    def linear_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return the linear predictor as a tidy frame: estimate, std_error, ..., riv, lambda, fmi."""
        return pd.DataFrame(columns(self.linear, alpha), index=self.index)

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return predictions and their limits.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame, shape (n, 4 or 6)
            Columns mean, mean_se, mean_ci_lower, mean_ci_upper; linear models also obs_ci_lower and obs_ci_upper, the
            limits of a new observation. A Cox model has relative_hazard in the place of mean: the hazard over that of
            the mean covariates.
        """
        limits = self.conf_int(alpha)
        what = self.link.what
        parts = {what: self.predicted_mean, f"{what}_se": self.se_mean}
        parts |= {f"{what}_ci_lower": limits["lower"], f"{what}_ci_upper": limits["upper"]}
        if self.observation is not None:
            parts |= dict(zip(("obs_ci_lower", "obs_ci_upper"), self._ends(self.observation, alpha), strict=True))
        return pd.DataFrame(parts, index=self.index)

    def __repr__(self) -> str:
        return f"<Prediction of {len(self.index)} rows; summary_frame() holds means and limits>"

    def _repr_html_(self) -> str:
        """Show means and limits in a notebook."""
        return str(self.summary_frame().to_html(max_rows=20))

    def _ends(self, one: Each, alpha: float) -> tuple[Array, Array]:
        """Return both limits on the scale of the mean; a falling link swaps them."""
        half = t_quantile(upper_level(alpha), one.df) * one.std_error
        low, high = self.link.mean(one.params - half), self.link.mean(one.params + half)
        return np.minimum(low, high), np.maximum(low, high)


def get_prediction(results: PooledEstimates, newdata: Any = None) -> Prediction | LevelPrediction:
    """Predict new rows, or those of the analysis; see :meth:`PooledResults.get_prediction`."""
    design, completed, call = require_source(results, "predictions")
    if newdata is None:
        _refuse_other_rows(completed)
    if is_levelled(results):
        return predict_levels(results, newdata)
    link, m = link_of(call), results.m
    chosen, own = positions(results)
    pooled, fits = results.pooled, results.fits
    origin = _mean_covariates(results, chosen) if link.what == "relative_hazard" else np.zeros(len(chosen))
    if newdata is None:
        rows = [completed.values(k) for k in range(m)]
        designs = [design.matrix(values)[:, chosen] - origin for values in rows]
        used = np.any([x != 0 for x in designs], axis=0)
        index = completed.labels(0)
        take = [partial(completed.take, k) for k in range(m)]
        offsets = [offset_of(call, partial(completed.series, k), len(index), take[k]) for k in range(m)]
        linear = np.array([x @ b + o for x, b, o in zip(designs, fits.estimates[:, own], offsets, strict=True)])
        covariances = fits.covariances[:, own][:, :, own]
        within = np.mean([_quadratic(x, v) for x, v in zip(designs, covariances, strict=True)], axis=0)
        mean, between = linear.mean(axis=0), linear.var(axis=0, ddof=1)
    else:
        frame = as_frame(newdata)
        matrix = matrix_of(design, frame)[:, chosen] - origin
        mean = matrix @ pooled.params[own] + offset_of(call, partial(column_of, frame), len(frame))
        used = matrix != 0
        within, between = (_quadratic(matrix, part[np.ix_(own, own)]) for part in (pooled.within, pooled.between))
        index = frame.index
    about = (m, _df_of_rows(results, used, own), pooled.df_method)
    observation = None
    if link.linear:
        observation = each(mean, within + results.scale, between, *about)
    return Prediction(index, each(mean, within, between, *about), link, observation)


def require_source(results: PooledEstimates, what: str) -> tuple[Any, Any, Any]:
    """Return the design, the completed sets and the call behind an analysis, or refuse.

    Raises
    ------
    ModelError
        If the results were pooled from fits made elsewhere.
    """
    if results.design is None or results.completed is None or results.call is None:
        raise ModelError(
            f"these results were pooled from fits made elsewhere; {what} need the completed sets.",
            do="mifit.from_long(long).fit('y ~ x1 + x2')",
        )
    return results.design, results.completed, results.call


def _refuse_other_rows(completed: Any) -> None:
    """Refuse predictions for the rows of the analysis where each set has its own."""
    if not getattr(completed, "alike", True):
        raise ModelError(
            "the rows of the subset differ between the sets; say for which rows to predict.",
            do="res.predict(imp[0].head())",
        )


def positions(results: PooledEstimates) -> tuple[list[int], list[int]]:
    """Return which design columns have a coefficient, and where it stands among the parameters."""
    names = {name: j for j, name in enumerate(results.fits.names)}
    both = [(i, names[name]) for i, name in enumerate(results.design.names) if name in names]
    return [i for i, _ in both], [j for _, j in both]


def _mean_covariates(results: PooledEstimates, chosen: list[int]) -> Array:
    """Return the mean of each design column over rows and sets, shape (p,): where a relative hazard is 1."""
    sets = (results.completed.values(k) for k in range(results.m))
    return np.asarray(np.mean([results.design.matrix(values)[:, chosen].mean(axis=0) for values in sets], axis=0))


def _df_of_rows(results: PooledEstimates, used: Array, own: list[int]) -> Array:
    """Return complete-data degrees of freedom of each row's linear predictor, shape (n,): the fewest in it."""
    pooled = results.pooled
    if pooled.df_each is None:
        return np.full(len(used), pooled.df_complete)
    return np.asarray(np.where(used, pooled.df_each[own], np.inf).min(axis=1, initial=np.inf))


def _quadratic(matrix: Array, covariance: Array) -> Array:
    """Return x' V x of each row, shape (n,); never below zero."""
    return np.maximum(np.einsum("ij,ij->i", matrix @ covariance, matrix), 0.0)

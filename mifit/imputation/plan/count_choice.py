"""Whether whole numbers from 0 are drawn as a count, level by level, or as any number."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import log_ndtr

from ...frame.kinds import Kind
from ...frame.table import Table
from ...typing import Array
from ..contract import Visit
from ..methods import NegBin, Ordinal
from .defaults import design, normal_or_power

__all__ = ["count_model"]

FEW = 12  #: distinct values that can be drawn level by level
_AGAINST = 3.0  # log-likelihood at which a count model is given up: chance brings it about in one of exp(3) frames
_ENOUGH = 20  # rows below which the values tell nothing about their shape
_MOST = 2_000  # rows that are looked at
_COUNT = "negbin", "whole numbers from 0"


def count_model(
    table: Table, name: Hashable, predictors: Sequence[Hashable], limits: tuple[Array, Array] | None = None
) -> tuple[str, str]:
    """Choose the model of whole numbers from 0.

    Parameters
    ----------
    table : Table
    name : hashable
        A column of kind count.
    predictors : sequence of hashable
        Columns of its own model.
    limits : tuple of ndarray, each (n_rows,), optional
        Where no value can be seen below and above.

    Returns
    -------
    method : str
        "negbin", unless the complete rows speak against it; then "ordinal" for at most 12 different values, "norm" or
        "power" for more.
    why : str

    Notes
    -----
    A sum of independent rare events is a Poisson variable given all that its mean depends on, and a mixture of such
    given less: its variance is at least its mean, and it has no largest possible value. A score from 0 to 4 or an age
    is nothing of the kind. What speaks against a count is, in units of log-likelihood,

    1. the number of values that the fitted count model expects beyond the largest one: that none is there has the
       probability exp(-number);
    2. by how much another model with the same predictors is likelier, less Akaike's penalty (corrected for few rows):
       a normal rounded to whole numbers, or, where there are few values, proportional odds, with one parameter more
       for each whole number between them that was never observed. If the count model is true,
       another one that is given is likelier by c with a probability of at most exp(-c).

    References
    ----------
    Hurvich, C. M. and Tsai, C.-L. (1989). Regression and time series model selection in small samples. *Biometrika*
    76(2), 297-307. doi:10.1093/biomet/76.2.297

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.frame.table import read
    >>> count_model(read(pd.DataFrame({"pain": [0, 1, 2, 2, 3, 3, 3, 4, 4, 4] * 20})), "pain", [])[0]
    'ordinal'
    >>> falls = [0] * 80 + [1] * 60 + [2] * 30 + [3] * 18 + [4] * 8 + [5] * 3 + [7]
    >>> count_model(read(pd.DataFrame({"falls": falls})), "falls", [])[0]
    'negbin'
    """
    rows, X = design(table, predictors, table[name].observed, _MOST)
    y = table[name].values[rows]
    different, width = np.unique(y), X.shape[1]
    if len(y) < _ENOUGH or len(different) < 3:
        return _COUNT
    visit = Visit(y, X, np.arange(width), Kind.COUNT)
    likelihood, beyond = NegBin().judged(visit)
    few = len(different) <= FEW
    likelihood -= _penalty(width + 1, len(y))
    others = [_rounded_normal(X, y) - _penalty(width + 1, len(y))]
    if few:
        never = y.max() + 1 - len(different)  # a gap is known from the data, as a parameter is
        others.append(Ordinal().log_likelihood(visit) - _penalty(width + len(different) - 2, len(y)) - never)
    if not max(others) - likelihood + beyond > _AGAINST:
        return _COUNT
    shape = "vary less than a count" if np.var(y) < np.mean(y) else "no count by their shape"
    if few:
        return "ordinal", f"{len(different)} whole numbers, {shape}: drawn level by level, enters as its number"
    wider = None if limits is None else (limits[0] - 0.5, limits[1] + 0.5)  # as far as rounding reaches
    method, why = normal_or_power(table, name, predictors, False, wider)
    return method, f"whole numbers, {shape}; {why}"


def _penalty(parameters: int, n: int) -> float:
    """Akaike's penalty in units of log-likelihood, corrected for few rows."""
    return parameters * n / (n - parameters - 1) if n > parameters + 1 else np.inf


def _rounded_normal(X: Array, y: Array) -> float:
    """Log-likelihood of whole numbers as rounded normals by least squares, near its top."""
    fitted = X @ np.linalg.lstsq(X, y, rcond=1e-10)[0]
    # Sheppard's correction: a rounding error is uniform and has the variance 1/12
    spread = np.sqrt(max(float(np.mean((y - fitted) ** 2)) - 1.0 / 12.0, 1.0 / 12.0))
    away = np.abs(y - fitted)  # the upper tail keeps its digits
    top, below = log_ndtr(-(away - 0.5) / spread), log_ndtr(-(away + 0.5) / spread)
    return float(np.sum(top + np.log(-np.expm1(below - top))))

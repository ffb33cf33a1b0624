"""Designs on one scale: some optimizers stop early where a column is a calendar year or an income."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .job import Job
from .models import MODELS
from .shapes import Reading

__all__ = ["Scaled", "scaled"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """A job whose design is standardised, and the way back for its p coefficients."""

    job: Job
    matrix: Array  #: (p, p) raw coefficients from standardised ones
    shift: Array  #: (p,) what each standardised coefficient adds to a cut point

    def raw(self, reading: Reading) -> Reading:
        """Return estimates and covariance for the design as it was."""
        back = self.back(len(reading.names), _start(self.job, reading.names), self._cuts(len(reading.names)))
        return replace(reading, estimate=back @ reading.estimate, covariance=back @ reading.covariance @ back.T)

    def params(self, params: Array, names: Sequence[str]) -> Array:
        """Return parameters for the design as it was, cut points as they are."""
        return np.asarray(self.back(len(params), _start(self.job, names), self._cuts(len(params))) @ params)

    def start(self, result: Any) -> Array:
        """Return what statsmodels can start from on the design as it was; increments of cut points stay."""
        params = np.asarray(result.params, dtype=np.float64)
        start = _start(self.job, tuple(result.params.index))
        return np.asarray(self.back(len(params), start, self._cuts(len(params))[:1]) @ params)

    def back(self, q: int, start: int, cuts: Sequence[int]) -> Array:
        """Return the matrix of the way back, shape (q, q): coefficients from ``start``, cut points at ``cuts``."""
        out, p = np.eye(q), len(self.shift)
        out[start : start + p, start : start + p] = self.matrix
        for cut in cuts:
            out[cut, :p] += self.shift
        return out

    def _cuts(self, q: int) -> range:
        """Return where the cut points of an ordered model are."""
        return range(len(self.shift), q) if self.job.model == "ordinal" else range(0)


def scaled(job: Job) -> Scaled | None:
    """Standardise the design of a job.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Scaled or None
        None where the model needs no help, the user gave ``start_params`` or there are no predictors. Columns are
        centred where an intercept, a cut point or the conditioning takes up the mean, and divided by their
        standard deviation.
    """
    spec = MODELS[job.model]
    if not spec.scaled or not len(job.exog.columns) or job.fit.get("start_params") is not None:
        return None
    columns = job.exog.to_numpy()
    intercept = [i for i, name in enumerate(job.exog.columns) if name == "Intercept"]
    varies = np.ptp(columns, axis=0) > 0
    centre = np.where(varies, columns.mean(axis=0), 0.0) if intercept or not spec.constant else np.zeros(len(varies))
    size = np.where(varies, np.sqrt(((columns - centre) ** 2).mean(axis=0)), 1.0)
    matrix = np.diag(1 / size)
    for row in intercept:
        matrix[row] -= centre / size
    exog = pd.DataFrame((columns - centre) / size, index=job.exog.index, columns=job.exog.columns)
    shift = centre / size if job.model == "ordinal" else np.zeros(len(size))
    return Scaled(replace(job, exog=exog), matrix, shift)


def _start(job: Job, names: Sequence[str]) -> int:
    """Return where the coefficients begin among the parameters."""
    return list(map(str, names)).index(str(job.exog.columns[0]))

"""Standardised designs: some optimizers stop early where columns have very different sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..typing import Array
from .job import Job
from .models import MODELS
from .parameters import Reading

__all__ = ["Scaled", "scaled", "standardised"]


#: columns whose sizes differ by more than this, from each other or from the constant, are standardised for any model
_UNEVEN = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """A job whose design is standardised, and the transformation back for its p coefficients."""

    job: Job
    matrix: Array  #: (p, p) raw coefficients from standardised ones
    shift: Array  #: (p,) what each standardised coefficient adds to a cut point
    unit: float = 1.0  #: what the outcome was divided by

    def raw(self, reading: Reading) -> Reading:
        """Return estimates and covariance for the design as it was."""
        q = len(reading.names)
        back = self.back(q, self._starts(reading.names), self._cuts(q))
        return replace(reading, estimate=back @ reading.estimate, covariance=back @ reading.covariance @ back.T)

    def params(self, params: Array, names: Sequence[str]) -> Array:
        """Return parameters for the design as it was, cut points as they are."""
        return np.asarray(self.back(len(params), self._starts(names), self._cuts(len(params))) @ params)

    def start(self, result: Any) -> Array:
        """Return what statsmodels can start from on the design as it was; increments of cut points stay."""
        params = np.ravel(np.asarray(result.params, dtype=np.float64), order="F")
        if MODELS[self.job.model].likelihood == "choice":  # term by term, not level by level
            raw = self.back(params.size, range(0, params.size, len(self.shift)), ()) @ params
            return np.asarray(raw.reshape(-1, len(self.shift)).ravel(order="F"))
        index = getattr(result.params, "index", None)
        one = params.size == len(self.shift)
        names = self.job.exog.columns if one or index is None or self.job.levels else index
        starts = self._starts(list(map(str, names)), params.size)
        return np.asarray(self.back(len(params), starts, self._cuts(len(params))[:1]) @ params)

    def back(self, q: int, starts: Sequence[int], cuts: Sequence[int]) -> Array:
        """Return the matrix of the way back, shape (q, q): coefficients from ``starts``, cut points at ``cuts``."""
        out, p = np.eye(q), len(self.shift)
        for start in starts:
            out[start : start + p, start : start + p] = self.matrix * self.unit
        for cut in cuts:
            out[cut, :p] += self.shift
        return out

    def _cuts(self, q: int) -> range:
        """Return where the cut points of an ordered model are."""
        return range(len(self.shift), q) if MODELS[self.job.model].facts.ordered else range(0)

    def _starts(self, names: Sequence[str], q: int | None = None) -> Sequence[int]:
        """Return where blocks of coefficients begin among the parameters: one, or one for each level."""
        p, size = len(self.shift), len(names) if q is None else q
        facts = MODELS[self.job.model].facts
        if facts.levels and not facts.ordered:
            return range(0, size, p)
        return [list(map(str, names)).index(str(self.job.exog.columns[0]))]


def scaled(job: Job) -> Scaled | None:
    """Standardise the design of a job where its model or its columns need that.

    Parameters
    ----------
    job : Job

    Returns
    -------
    Scaled or None
        None where the model needs no help and the columns are of similar size, the user gave ``start_params`` or there
        are no predictors; a mixed model is fitted on columns of its own. Columns are centred where an intercept, a cut
        point or the conditioning takes up the mean, and divided by their standard deviation.
    """
    if not len(job.exog.columns) or MODELS[job.model].equation == "mixed" or job.fit.get("start_params") is not None:
        return None
    return standardised(job) if MODELS[job.model].scaled or _uneven(job) else None


def standardised(job: Job) -> Scaled:
    """Standardise the design of a job, of some models the outcome too.

    Parameters
    ----------
    job : Job
        With at least one column.

    Returns
    -------
    Scaled
    """
    spec = MODELS[job.model]
    columns = job.exog.to_numpy()
    intercept = [i for i, name in enumerate(job.exog.columns) if name == "Intercept"]
    varies = np.ptp(columns, axis=0) > 0
    centre = np.where(varies, columns.mean(axis=0), 0.0) if intercept or not spec.constant else np.zeros(len(varies))
    apart = np.abs(columns - centre)
    farthest = np.where(varies, apart.max(axis=0, initial=0.0), 1.0)
    size = np.where(varies, farthest * np.sqrt(((apart / farthest) ** 2).mean(axis=0)), 1.0)  # squares may be no number
    matrix = np.diag(1 / size)
    for row in intercept:
        matrix[row] -= centre / size
    exog = pd.DataFrame((columns - centre) / size, index=job.exog.index, columns=job.exog.columns)
    shift = centre / size if MODELS[job.model].facts.ordered else np.zeros(len(size))
    unit = _unit(job)
    return Scaled(replace(job, exog=exog, endog=job.endog / unit if unit != 1.0 else job.endog), matrix, shift, unit)


def _uneven(job: Job) -> bool:
    """Tell whether columns, or an outcome whose units matter, are of very different sizes."""
    columns = job.exog.to_numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->j", columns, columns) / max(len(columns), 1)
        sd = columns.std(axis=0)
    if not np.isfinite(squares).all():
        return True
    sizes = np.sqrt(squares[squares > 0])
    moves = not MODELS[job.model].constant or "Intercept" in job.exog.columns
    if moves and (np.sqrt(squares) > _UNEVEN * sd)[sd > 0].any():
        return True  # far from its origin
    unit = _unit(job)
    return bool(len(sizes) and sizes.max() > _UNEVEN * sizes.min()) or max(unit, 1 / unit) > _UNEVEN**0.5


def _unit(job: Job) -> float:
    """Return the spread of an outcome whose units an optimizer minds; 1 elsewhere."""
    spec = MODELS[job.model]
    if not spec.in_units or (spec.facts.by_family and not _is_linear(job.init.get("family"))):
        return 1.0
    sd = float(np.std(job.endog.to_numpy(dtype=np.float64)))
    return sd if np.isfinite(sd) and sd > 0 and job.init.get("offset") is None else 1.0


def _is_linear(family: Any) -> bool:
    """Tell whether a family is the normal one with its usual link, which is also what no family means."""
    return family is None or (type(family).__name__ == "Gaussian" and type(family.link).__name__ == "Identity")

"""Whether a design determines every coefficient, whatever the origins and units of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..typing import Array
from .job import Job
from .models import MODELS

__all__ = ["full_rank", "ranked"]


#: share of a column's size that, left after its mean, is rounding
_NO_SPREAD = 1e-13

#: share of a column that the others must leave unexplained
_NOTHING_LEFT = 1e-9


def full_rank(job: Job, result: Any = None) -> bool:
    """Tell whether the design of a job determines every coefficient.

    Parameters
    ----------
    job : Job
    result : statsmodels results, optional
        Of the job on its own scale, where the model has judged its design already.

    Returns
    -------
    bool
    """
    rank = MODELS[job.model].rank
    if rank is not None and result is not None:
        return rank(result) >= job.exog.shape[1]
    if not job.exog.shape[1]:
        return True
    if len(job.exog) < job.exog.shape[1]:
        return False
    spec, columns = MODELS[job.model], job.exog.to_numpy()
    if not (spec.constant or spec.conditional or job.init.get("strata") is not None):
        columns = np.column_stack([np.ones(len(columns)), columns])
    if (spec.constant or columns.shape[1] > job.exog.shape[1]) and _far_from_doubt(columns):
        return True  # at a fraction of the price
    columns = ranked(job).to_numpy()
    if len(columns) < columns.shape[1]:
        return False
    if _far_from_doubt(columns):
        return True
    norms = np.sqrt((columns**2).sum(axis=0))
    if not (norms > 0).all():
        return False
    return bool(np.linalg.matrix_rank(np.linalg.qr(columns / norms, mode="r"), tol=_NOTHING_LEFT) == columns.shape[1])


def ranked(job: Job) -> pd.DataFrame:
    """Return the design whose rank decides.

    Parameters
    ----------
    job : Job

    Returns
    -------
    DataFrame
        Columns about their means where an intercept takes these up, about those within groups or strata where each has
        a constant of its own: a column of 1e9 + N(0, 1) is not the intercept, and 1e9 + N(0, 1e-9) is. Columns
        without any spread left are 0; units are gone.
    """
    spec, exog = MODELS[job.model], job.exog
    within = job.init.get("groups" if spec.conditional else "strata") if not spec.constant else None
    if within is not None:
        return _about(exog, exog.groupby(np.asarray(within)).transform("mean").to_numpy())
    if not spec.constant:
        exog = pd.concat([pd.Series(1.0, index=exog.index, name="constant"), exog], axis=1)
    means = exog.to_numpy().mean(axis=0)
    means[: _columns_to_constant(exog.to_numpy())] = 0.0
    return _about(exog, means)


def _about(exog: pd.DataFrame, means: Array) -> pd.DataFrame:
    """Return columns about their means, 0 where nothing but rounding is left."""
    columns = exog.to_numpy()
    largest = np.abs(columns).max(axis=0, initial=0.0)
    columns = columns / np.where(largest > 0, largest, 1.0)
    remainder = columns - np.asarray(means) / np.where(largest > 0, largest, 1.0)
    none = np.sqrt((remainder**2).sum(axis=0)) <= _NO_SPREAD * np.sqrt((columns**2).sum(axis=0))
    return pd.DataFrame(np.where(none, 0.0, remainder), index=exog.index, columns=exog.columns)


def _columns_to_constant(columns: Array) -> int:
    """Return how many columns it takes, from the first, to combine to a constant: an intercept, or all levels."""
    norms = np.abs(columns).max(axis=0, initial=0.0)
    ones, unit = np.ones(len(columns)), columns / np.where(norms > 0, norms, 1.0)
    for many in range(1, columns.shape[1]):
        if norms[many - 1] > 0 and np.ptp(columns[:, many - 1]) == 0:
            return many
        if (columns[:, :many] != 0).any(axis=1).all():
            remainder = ones - unit[:, :many] @ np.linalg.lstsq(unit[:, :many], ones, rcond=_NOTHING_LEFT)[0]
            if np.abs(remainder).max() < _NOTHING_LEFT:
                return many
    return columns.shape[1]


def _far_from_doubt(columns: Array) -> bool:
    """Tell whether no column is anywhere near a combination of the others."""
    with np.errstate(over="ignore", invalid="ignore"):
        products = columns.T @ columns
    norms = np.sqrt(np.diag(products))
    return bool(
        (norms > 0).all()
        and np.isfinite(products).all()
        and np.linalg.eigvalsh(products / np.outer(norms, norms))[0] > 1e-6
    )

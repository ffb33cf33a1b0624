"""Random effects of the groups of one completed set, given the outcome: their means and what is uncertain of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..typing import Array
from .build import job_of
from .glmm_model import GeneralisedMixedResults
from .job import CompletedSets, FrozenDesign, Job
from .mixed_maximum import MixedFit
from .models import Call
from .settling import settled_fit

__all__ = ["GroupEffects", "effects_of", "linear_of"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupEffects:
    """Standardised random effects v of J groups; p coefficients, q effects. A row's share of v is (z turn)'v."""

    labels: pd.Index  #: (J,) values of the column that makes the groups
    turn: Array  #: (q, q) the user's random columns, as rows, to those of v; the user's effects from v, transposed
    means: Array  #: (J, q)
    variances: Array  #: (J, q, q) of v less its mean, at known coefficients
    pulls: Array  #: (J, q, p) what the mean loses where the coefficients rise
    prior: float  #: variance of v in a group that was not seen


def effects_of(design: FrozenDesign, completed: CompletedSets, call: Call, k: int) -> GroupEffects:
    """Fit set k and return the random effects of its groups.

    Parameters
    ----------
    design, completed, call
        As in :func:`~mifit.analysis.fit.fit_sets`; a mixed model without further components.
    k : int
        Number of the set, from 0.

    Returns
    -------
    GroupEffects

    Notes
    -----
    With B the rows' shares of v, W the weights of the working model and H = I + B'WB: the variance of v given the
    outcome is H^-1 (times the residual variance of a linear model), and its mean moves by -H^-1 B'WX with the
    coefficients.

    References
    ----------
    Robinson, G. K. (1991). That BLUP is a good thing: the estimation of random effects. *Statistical Science* 6, 15-32.
    """
    job = job_of(design, completed, call, k)
    result: Any = settled_fit(job).result
    codes = np.asarray(job.init["groups"])
    given = call.init.get("groups")
    values = completed.series(k, given) if isinstance(given, str) else pd.Series(np.asarray(completed.take(k, given)))
    labels = pd.factorize(values, sort=True)[1]
    random = job.init["exog_re"].to_numpy() if "exog_re" in job.init else np.ones((len(codes), 1))
    if isinstance(result, MixedFit):
        turn = result.data.random @ result.root
        left = job.endog.to_numpy(dtype=np.float64) - job.exog.to_numpy() @ result.fe_params
        return _effects(job, random @ turn, turn, codes, np.ones(len(codes)), pd.Index(labels), left, result.scale)
    return _generalised(job, result, random, codes, pd.Index(labels))


def linear_of(
    effects: GroupEffects, matrix: Array, random: Array, codes: npt.NDArray[np.int64], covariance: Array
) -> tuple[Array, Array]:
    """What the random effects add to linear predictors, and the variance of the sums.

    Parameters
    ----------
    effects : GroupEffects
    matrix : ndarray, shape (n, p)
        Design of the fixed part.
    random : ndarray, shape (n, q)
        Design of the random effects.
    codes : ndarray of int, shape (n,)
        Group of each row, -1 for one that was not seen.
    covariance : ndarray, shape (p, p)
        Of the coefficients.

    Returns
    -------
    added, variance : ndarray, shape (n,)
    """
    shares, known = random @ effects.turn, codes >= 0
    added = np.where(known, (shares * effects.means[codes]).sum(axis=1), 0.0)
    moved = matrix - np.where(known[:, None], np.einsum("ni,nip->np", shares, effects.pulls[codes]), 0.0)
    own = np.einsum("ni,nij,nj->n", shares, effects.variances[codes], shares)
    new = effects.prior * (shares**2).sum(axis=1)
    fixed = np.einsum("ni,ij,nj->n", moved, covariance, moved)
    return added, np.maximum(fixed + np.where(known, own, new), 0.0)


def _effects(
    job: Job, rows: Array, turn: Array, codes: npt.NDArray[np.int64], weights: Array, labels: pd.Index, left: Array,
    scale: float,
) -> GroupEffects:  # fmt: skip
    """Return the effects of a linear model, from what its fixed part leaves of the outcome."""
    inverse, weighed = _curvature(rows, codes, weights)
    means = np.einsum("jik,jk->ji", inverse, _sums(weighed * left[:, None], codes))
    return GroupEffects(labels, turn, means, scale * inverse, _pulls(inverse, weighed, job, codes), scale)


def _generalised(
    job: Job, result: GeneralisedMixedResults, random: Array, codes: npt.NDArray[np.int64], labels: pd.Index
) -> GroupEffects:
    """Return the effects of a generalised model: modes, and the curvature there."""
    fit = result.fit
    turn = fit.rows.random @ fit.root
    linear = result.model.exog @ fit.coefficients + result.model.offset + (random @ turn * fit.modes[codes]).sum(axis=1)
    mean = np.exp(linear) if result.model.family == "poisson" else 1 / (1 + np.exp(-linear))
    weights = mean if result.model.family == "poisson" else mean * (1 - mean)
    inverse, weighed = _curvature(random @ turn, codes, weights)
    return GroupEffects(labels, turn, fit.modes, inverse, _pulls(inverse, weighed, job, codes), 1.0)


def _curvature(rows: Array, codes: npt.NDArray[np.int64], weights: Array) -> tuple[Array, Array]:
    """Return H^-1 of each group, shape (J, q, q), and the weighed rows."""
    q, weighed = rows.shape[1], rows * weights[:, None]
    pairs = _sums((weighed[:, :, None] * rows[:, None, :]).reshape(len(rows), -1), codes)
    return np.asarray(np.linalg.inv(np.eye(q) + pairs.reshape(-1, q, q)), dtype=np.float64), weighed


def _pulls(inverse: Array, weighed: Array, job: Job, codes: npt.NDArray[np.int64]) -> Array:
    """Return H^-1 B'WX of each group, shape (J, q, p)."""
    exog, q = job.exog.to_numpy(), weighed.shape[1]
    products = np.stack([_sums(exog * weighed[:, [i]], codes) for i in range(q)], axis=1)
    return np.asarray(inverse @ products)


def _sums(values: Array, codes: npt.NDArray[np.int64]) -> Array:
    """Return sums over the rows of each group, (n, c) -> (J, c)."""
    out = np.zeros((int(codes.max()) + 1, values.shape[1]))
    np.add.at(out, codes, values)
    return out

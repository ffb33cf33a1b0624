"""Mixed model for repeated measures (MMRM): normal profiles with a covariance matrix of the visits, by REML or ML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..typing import Array, Rows
from .covariance import gradient, matrix, n_parameters, parameters

__all__ = [
    "Fit",
    "Moments",
    "Pattern",
    "Profiles",
    "coefficients",
    "fit",
    "information",
    "log_likelihood",
    "moments",
]

_STEPS = 100  # of Fisher scoring: from the optimum of nearly the same data it takes 3 or 4
_CLOSE = 1e-10  # gain in likelihood of the last step: the next would move an estimate by 1e-5 standard errors


class Pattern(NamedTuple):
    """The subjects of one group who were seen at the same visits."""

    group: int
    visits: Rows  #: (k,) positions of the visits
    subjects: Rows  #: positions of the subjects
    both: Array  #: (subjects, k * q) design and outcome side by side, visit after visit


class Moments(NamedTuple):
    """Sums over the subjects of a pattern: all that a likelihood needs, whatever the covariance matrix."""

    group: int
    visits: Rows
    weight: float  #: sum of the weights of the subjects
    products: Array  #: (k * k, q * q) products of design and outcome: pairs of visits by pairs of columns


class _State(NamedTuple):
    """The likelihood at some parameters."""

    theta: Array
    covariance: Array  #: (G, T, T)
    inverses: list[Array]  #: of each pattern's covariance
    total: Array  #: (q, q) products of design and outcome, weighed by these
    value: float


@dataclass(frozen=True, eq=False)
class Profiles:
    """What an MMRM is fitted to: n subjects, T visits, p coefficients."""

    design: Array  #: (n, T, p)
    outcome: Array  #: (n, T) NaN where missing
    group: Rows  #: (n,) which covariance matrix a subject has: 0, 1, ...

    @property
    def n_visits(self) -> int:
        """Number of visits T."""
        return self.outcome.shape[1]

    @property
    def n_groups(self) -> int:
        """Number of covariance matrices."""
        return int(self.group.max()) + 1

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """The subjects by group and visits seen; those never seen are in none."""
        seen = ~np.isnan(self.outcome)
        rows, which = np.unique(np.column_stack([self.group, seen]), axis=0, return_inverse=True)
        found = []
        for place, row in enumerate(rows):
            visits, subjects = np.flatnonzero(row[1:]), np.flatnonzero(which.ravel() == place)
            if len(visits):
                cells = np.ix_(subjects, visits)
                both = np.concatenate([self.design[cells], self.outcome[cells][:, :, None]], axis=2)
                found.append(Pattern(int(row[0]), visits, subjects, both.reshape(len(subjects), -1)))
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """The optimum of an MMRM; G groups of K parameters each."""

    structure: str
    theta: Array  #: (G, K) parameters of the covariance matrices
    coef: Array  #: (p,)
    covariance: Array  #: (G, T, T)
    coef_cov: Array  #: (p, p) of the coefficients, given the covariance matrices
    log_likelihood: float
    converged: bool


def moments(profiles: Profiles, weights: Array | None = None) -> list[Moments]:
    """Sums over subjects, pattern by pattern.

    Parameters
    ----------
    profiles : Profiles
    weights : ndarray, shape (n,), optional
        How often each subject counts: 0 for one left out, the number of times it was drawn in a bootstrap.
    """
    q, found = profiles.design.shape[2] + 1, []
    for one in profiles.patterns:
        weight = np.ones(len(one.subjects)) if weights is None else weights[one.subjects]
        if weight.any():
            k = len(one.visits)
            products = (one.both.T @ (weight[:, None] * one.both)).reshape(k, q, k, q).transpose(0, 2, 1, 3)
            found.append(Moments(one.group, one.visits, float(weight.sum()), products.reshape(k * k, q * q)))
    return found


def fit(
    profiles: Profiles,
    structure: str = "unstructured",
    *,
    reml: bool = True,
    weights: Array | None = None,
    start: Array | None = None,
) -> Fit:
    """Fit an MMRM by Fisher scoring.

    Parameters
    ----------
    profiles : Profiles
    structure : {"unstructured", "toeplitz", "ar1"}
    reml : bool, default True
        Restricted maximum likelihood; else maximum likelihood.
    weights : ndarray, shape (n,), optional
        As in :func:`moments`.
    start : ndarray, shape (G, K), optional
        Parameters to begin with, such as those of nearly the same data.

    Returns
    -------
    Fit
        ``converged`` is False where no optimum was reached or the data do not determine one.

    Notes
    -----
    With V the covariance of a subject's visits, P that of the residuals' projection and G_j the derivative of V by a
    parameter, the score is -tr(P G_j)/2 + r'V^-1 G_j V^-1 r/2 and the expected information tr(P G_j P G_k)/2. A step
    that does not increase the likelihood is halved.

    References
    ----------
    Jennrich, R. I. and Schluchter, M. D. (1986). Unbalanced repeated-measures models with structured covariance
    matrices. *Biometrics* 42(4), 805-820. doi:10.2307/2530695
    """
    sums = moments(profiles, weights)
    shape = (profiles.n_groups, n_parameters(structure, profiles.n_visits))
    theta = _start(profiles, structure) if start is None else start.reshape(shape)
    state, settled = _state(theta, structure, sums, profiles.n_visits, reml), False
    for _ in range(_STEPS):
        score, expected = _score(state, structure, sums, reml) if np.isfinite(state.value) else (theta, None)
        step = None if expected is None else _solved(expected, score)
        if step is None:
            break
        tried = _moved(state, step.reshape(shape), structure, sums, reml)
        settled = float(score @ step) < (_CLOSE if tried is not None else 1e-6)
        state = state if tried is None else tried
        if settled or tried is None:
            break
    coef, coef_cov = _least_squares(state.total)
    return Fit(structure, state.theta, coef, state.covariance, coef_cov, state.value, settled)


def coefficients(sums: Sequence[Moments], covariance: Array) -> tuple[Array, Array]:
    """Generalised least squares: coefficients (p,) and their covariance (p, p), given the covariance matrices."""
    return _least_squares(_weighed(sums, _inverses(sums, covariance)))


def log_likelihood(theta: Array, structure: str, sums: Sequence[Moments], n_visits: int, reml: bool) -> float:
    """Log-likelihood, restricted or not, without its constant; minus infinity where it is not defined."""
    return _state(theta, structure, sums, n_visits, reml).value


def information(theta: Array, structure: str, sums: Sequence[Moments], n_visits: int, reml: bool = True) -> Array:
    """Expected information of all parameters of the covariance matrices, shape (G * K, G * K)."""
    return _score(_state(theta, structure, sums, n_visits, reml), structure, sums, reml)[1]


def _state(theta: Array, structure: str, sums: Sequence[Moments], n_visits: int, reml: bool) -> _State:
    """The likelihood at some parameters, and what it is made of."""
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = np.array([matrix(structure, one, n_visits) for one in theta])
    nowhere = _State(theta, covariance, [], np.zeros((0, 0)), -np.inf)
    try:
        inverses = _inverses(sums, covariance)
    except np.linalg.LinAlgError:
        return nowhere
    total = _weighed(sums, inverses)
    if not np.isfinite(total).all():
        return nowhere
    signs, volumes = np.linalg.slogdet(total[:-1, :-1])
    squares = total[-1, -1] - total[:-1, -1] @ _least_squares(total)[0]
    each = [np.linalg.slogdet(inverse) for inverse in inverses]
    if signs <= 0 or any(sign <= 0 for sign, _ in each):
        return nowhere
    left = sum(one.weight * volume for one, (_, volume) in zip(sums, each, strict=True))
    return _State(theta, covariance, inverses, total, 0.5 * float(left - squares - (volumes if reml else 0.0)))


def _least_squares(total: Array) -> tuple[Array, Array]:
    """Coefficients and their covariance from weighed products of design and outcome."""
    try:
        found = np.linalg.inv(total[:-1, :-1])
    except np.linalg.LinAlgError:
        found = np.linalg.pinv(total[:-1, :-1], hermitian=True)
    coef_cov = np.asarray(found, dtype=np.float64)
    return coef_cov @ total[:-1, -1], coef_cov


def _start(profiles: Profiles, structure: str) -> Array:
    """Parameters from the variances of least-squares residuals, with correlations of one half."""
    seen = ~np.isnan(profiles.outcome)
    coef = np.linalg.lstsq(profiles.design[seen], profiles.outcome[seen], rcond=None)[0]
    residuals = profiles.outcome - profiles.design @ coef
    least = np.nanvar(profiles.outcome) * 1e-8 + np.finfo(float).tiny
    with np.errstate(all="ignore"):
        variance = np.maximum(np.nan_to_num(np.nanmean(residuals**2, axis=0), nan=least), least)
    start = np.full((profiles.n_visits, profiles.n_visits), 0.5) + 0.5 * np.eye(profiles.n_visits)
    one = parameters(structure, start * np.sqrt(variance) * np.sqrt(variance)[:, None])
    return np.tile(one, (profiles.n_groups, 1))


def _moved(state: _State, step: Array, structure: str, sums: Sequence[Moments], reml: bool) -> _State | None:
    """The state after a step, halved until the likelihood is no lower; None where it stays lower."""
    share = min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))  # no parameter by more than 2 at once
    for _ in range(30):
        tried = _state(state.theta + share * step, structure, sums, state.covariance.shape[1], reml)
        if tried.value >= state.value:
            return tried
        share /= 2
    return None


def _inverses(sums: Sequence[Moments], covariance: Array) -> list[Array]:
    """Inverse of the covariance of each pattern's visits."""
    return [np.linalg.inv(covariance[one.group][one.visits[:, None], one.visits]) for one in sums]


def _weighed(sums: Sequence[Moments], inverses: Sequence[Array]) -> Array:
    """Products of design and outcome weighed by the inverse covariances, shape (p + 1, p + 1)."""
    total = sum(w.ravel() @ one.products for w, one in zip(inverses, sums, strict=True))
    size = int(np.sqrt(sums[0].products.shape[1]))
    return np.asarray(total).reshape(size, size)


def _score(state: _State, structure: str, sums: Sequence[Moments], reml: bool) -> tuple[Array, Array]:
    """Score and expected information of the parameters of all groups."""
    groups, size = state.theta.shape
    slopes = [gradient(structure, one, state.covariance.shape[1]) for one in state.theta]
    coef, coef_cov = _least_squares(state.total)
    q = len(coef) + 1
    contrast, padded = np.append(-coef, 1.0), np.zeros((q, q))
    padded[:-1, :-1] = coef_cov
    score, expected = np.zeros((groups, size)), np.zeros((groups, size, groups, size))
    changes = np.zeros((groups, size, q, q))
    for one, inverse in zip(sums, state.inverses, strict=True):
        g, k = one.group, len(one.visits)
        turned = inverse @ slopes[g][:, one.visits[:, None], one.visits]  # (K, k, k)
        flat, other = turned.reshape(size, k * k), turned.transpose(0, 2, 1).reshape(size, k * k)
        score[g] -= 0.5 * one.weight * np.trace(turned, axis1=1, axis2=2)
        expected[g, :, g] += 0.5 * one.weight * (flat @ other.T)
        changes[g] -= ((turned @ inverse).reshape(size, k * k) @ one.products).reshape(size, q, q)
        if reml:
            spread = (one.products @ padded.ravel()).reshape(k, k)
            weighed = (turned @ inverse @ spread).transpose(0, 2, 1).reshape(size, k * k)
            expected[g, :, g] -= (flat @ weighed.T + weighed @ flat.T) / 2
    score -= 0.5 * (changes @ contrast @ contrast)
    if reml:
        scaled = (padded @ changes).reshape(groups * size, q, q)
        score -= 0.5 * np.trace(scaled, axis1=1, axis2=2).reshape(groups, size)
        pairs = scaled.reshape(groups * size, -1) @ scaled.transpose(0, 2, 1).reshape(groups * size, -1).T
        expected += 0.5 * pairs.reshape(expected.shape)
    return score.ravel(), expected.reshape(groups * size, groups * size)


def _solved(expected: Array, score: Array) -> Array | None:
    """The scoring step; None where the data do not determine every parameter."""
    scale = np.sqrt(np.abs(np.diag(expected)))
    if not np.isfinite(expected).all() or (scale == 0).any():
        return None
    values, vectors = np.linalg.eigh(expected / scale / scale[:, None])
    if values[0] < 1e-9 * values[-1]:
        return None
    step: Array = vectors @ (vectors.T @ (score / scale) / values) / scale
    return step

"""Regressions with a random intercept whose likelihood has no closed form: draws by quadrature in every cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows

__all__ = ["Family", "LevelDraw", "draw_levels", "draw_random_intercept", "log_integral"]

_WIDE, _DF = 5.0, 2.0  # half-t prior of the intercepts' standard deviation
_FLAT = 10.0  # sd of the normal prior of a coefficient of a column of sd 1
_NODES, _FINE, _REACH = 13, 31, 4.5  # points in a cluster, those its level is drawn on, how many sds they reach
_CANDIDATES, _FIRST = 12, 5  # proposals of a step of resampling; such steps where there is no current value
_TAIL, _WIDER = 5.0, 1.15  # degrees of freedom of the proposals, their spread
_LEAST = -6.0  # log sd of the intercepts below which nothing is sought


class Family(NamedTuple):
    """A likelihood by row, less its largest value, and its derivatives by the linear predictor."""

    log_accept: Callable[[Array, Array], Array]
    derivatives: Callable[[Array, Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class _Clustered:
    """Rows sorted by cluster; sums over the clusters that have some."""

    begin: Rows  #: (k,) where each begins
    at: Rows  #: (n,) which of them a row belongs to

    @classmethod
    def of(cls, codes: Rows) -> _Clustered:
        """From sorted codes."""
        new = np.append(True, np.diff(codes) != 0) if len(codes) else np.zeros(0, dtype=bool)
        return cls(np.flatnonzero(new), np.cumsum(new) - 1)

    def total(self, rows: Array) -> Array:
        """Sums over the rows of each cluster, along the first axis."""
        return np.asarray(np.add.reduceat(rows, self.begin, axis=0))


def _modes(
    family: Family, y: Array, known: Array, clusters: _Clustered, log_sd: float, level: Array, rounds: int = 12
) -> tuple[Array, Array]:
    """Most likely level of each cluster, and its standard deviation, each (k,)."""
    precision = np.exp(-2.0 * log_sd)
    spread = np.full(len(level), np.exp(log_sd))
    for _ in range(rounds):
        first, second = family.derivatives(y, known + level[clusters.at])
        curve = clusters.total(second) + precision
        step = np.clip((clusters.total(first) - precision * level) / curve, -1.5, 1.5)
        level, spread = level + step, 1.0 / np.sqrt(curve)
        if (np.abs(step) < 1e-3 * spread).all():
            break
    return level, spread


def _heights(family: Family, y: Array, known: Array, clusters: _Clustered, log_sd: float, nodes: Array) -> Array:
    """Log of likelihood times density of levels at nodes (k, K)."""
    many = nodes.shape[1]
    linear = (known[:, None] + nodes[clusters.at]).ravel()
    rows = family.log_accept(np.repeat(y, many), linear).reshape(-1, many)
    scaled = nodes * np.exp(-log_sd)
    return clusters.total(rows) - 0.5 * scaled * scaled - log_sd - 0.5 * np.log(2 * np.pi)


def _integrated(heights: Array, spread: Array, width: float) -> Array:
    """Logs of integrals over equidistant nodes, (k,)."""
    top = heights.max(axis=1)
    return np.asarray(top + np.log(np.exp(heights - top[:, None]).sum(axis=1) * spread * width))


def log_integral(family: Family, y: Array, known: Array, codes: Rows, log_sd: float) -> Array:
    """Log-likelihood of the rows of clusters with their levels integrated out.

    Parameters
    ----------
    family : Family
    y : ndarray, shape (n,)
        Outcomes of rows sorted by cluster.
    known : ndarray, shape (n,)
        Linear predictors without the level.
    codes : ndarray of int, shape (n,)
        Sorted.
    log_sd : float
        Logarithm of the standard deviation of the levels.

    Returns
    -------
    ndarray, shape (k,)
        One for each cluster that occurs.

    Notes
    -----
    The trapezoid rule at 13 nodes that reach 4.5 standard deviations around each cluster's most likely level.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (1995). Approximations to the log-likelihood function in the nonlinear
    mixed-effects model. *Journal of Computational and Graphical Statistics* 4(1), 12-35.
    """
    clusters = _Clustered.of(codes)
    level, spread = _modes(family, y, known, clusters, log_sd, np.zeros(len(clusters.begin)))
    t = np.linspace(-_REACH, _REACH, _NODES)
    heights = _heights(family, y, known, clusters, log_sd, level[:, None] + spread[:, None] * t)
    return _integrated(heights, spread, t[1] - t[0])


def draw_levels(
    family: Family, y: Array, known: Array, codes: Rows, many: int, log_sd: float, rng: np.random.Generator
) -> Array:
    """Draw the level of every cluster given its rows, (many,); rows sorted by cluster, clusters without rows too."""
    found = np.exp(log_sd) * rng.standard_normal(many)
    if not len(codes):
        return found
    clusters = _Clustered.of(codes)
    level, spread = _modes(family, y, known, clusters, log_sd, np.zeros(len(clusters.begin)))
    t = np.linspace(-_REACH, _REACH, _FINE)
    heights = _heights(family, y, known, clusters, log_sd, level[:, None] + spread[:, None] * t)
    density = np.exp(heights - heights.max(axis=1, keepdims=True))
    piece = 0.5 * (density[:, 1:] + density[:, :-1])
    mass = np.cumsum(piece, axis=1)
    share = rng.random(len(level)) * mass[:, -1]
    at = np.minimum((mass <= share[:, None]).sum(axis=1), piece.shape[1] - 1)
    every = np.arange(len(level))
    rest = (share - mass[every, at] + piece[every, at]) / piece[every, at]
    left, right = density[every, at], density[every, at + 1]
    rise = right - left
    flat = np.abs(rise) < 1e-9 * (left + right)
    root = np.sqrt(left * left + rest * rise * (left + right))
    within = np.where(flat, rest, (root - left) / np.where(flat, 1.0, rise))
    found[codes[clusters.begin]] = level + spread * (t[at] + within * (t[1] - t[0]))
    return found


class LevelDraw(NamedTuple):
    """One draw from the posterior of a regression with a random intercept."""

    coef: Array  #: (p,)
    log_sd: float  #: of the levels
    levels: Array  #: (J,)
    warm: Array  #: (2 (p + 1),) where the density is highest, and the parameters drawn


def draw_random_intercept(
    family: Family, X: Array, y: Array, codes: npt.NDArray[np.int64], many: int, rng: np.random.Generator,
    warm: Array | None = None,
) -> LevelDraw:  # fmt: skip
    """Draw coefficients, the standard deviation of the levels, and the levels, given complete rows.

    Parameters
    ----------
    family : Family
    X : ndarray, shape (n, p)
        A column of ones, and others centred and scaled near 1.
    y : ndarray, shape (n,)
    codes : ndarray of int, shape (n,)
        The cluster of each row.
    many : int
        Clusters, those without a row too.
    rng : Generator
    warm : ndarray, shape (2 (p + 1),), optional
        What the last draw left: part of the state of a chain.

    Returns
    -------
    LevelDraw

    Notes
    -----
    Coefficients have normal priors of standard deviation 10, which also keep them finite under separation; that of the
    levels a half-t with 2 degrees of freedom and scale 5. Levels are integrated out by :func:`log_integral`;
    parameters are drawn by iterated sampling-importance-resampling around the mode, the current ones among the
    candidates; levels from their densities on 31 points.
    """
    order = np.argsort(codes, kind="stable")
    rows = _Rows(family, X[order], y[order], _Clustered.of(codes[order]))
    k = X.shape[1] + 1
    usable = warm is not None and warm.shape == (2 * k,) and bool(np.isfinite(warm).all())
    start, now = (warm[:k], warm[k:]) if usable else (np.append(np.zeros(k - 1), -0.5), None)  # type: ignore[index]
    mode, covariance, level, spread = rows.mode(start)
    root = _WIDER * np.linalg.cholesky(covariance)
    for _ in range(1 if usable else _FIRST):
        noise = rng.standard_normal((_CANDIDATES, k))
        noise /= np.sqrt(rng.chisquare(_TAIL, _CANDIDATES) / _TAIL)[:, None]
        points = mode + noise @ root.T
        if now is not None:
            noise = np.vstack([noise, np.linalg.solve(root, now - mode)])
            points = np.vstack([points, now])
        proposed = -0.5 * (_TAIL + k) * np.log1p((noise**2).sum(axis=1) / _TAIL)
        score = np.array([rows.log_density(point, mode, level, spread) for point in points]) - proposed
        share = np.cumsum(np.exp(score - score.max()))
        now = points[min(int(np.searchsorted(share, rng.random() * share[-1])), len(share) - 1)]
    assert now is not None
    coef, log_sd = now[:-1], float(now[-1])
    levels = draw_levels(family, rows.y, rows.X @ coef, codes[order], many, log_sd, rng)
    return LevelDraw(coef, log_sd, levels, np.concatenate([mode, now]))


def _log_prior(point: Array) -> float:
    """Log prior density of coefficients and the log deviation."""
    squares = float(point[:-1] @ point[:-1])
    return float(point[-1] - 0.5 * (_DF + 1) * np.log1p(np.exp(2 * point[-1]) / (_DF * _WIDE**2))) - 0.5 * squares / (
        _FLAT**2
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows sorted by cluster, as a function of the parameters."""

    family: Family
    X: Array
    y: Array
    clusters: _Clustered

    def log_density(self, point: Array, mode: Array, level: Array, spread: Array) -> float:
        """Log posterior density; nodes of the mode's levels follow the coefficients."""
        known = self.X @ point[:-1]
        if point[-1] < _LEAST or point[-1] > -_LEAST or not np.isfinite(known).all():
            return -np.inf
        moved, spread = _modes(self.family, self.y, known, self.clusters, float(point[-1]), level, 3)
        t = np.linspace(-_REACH, _REACH, _NODES)
        heights = _heights(
            self.family, self.y, known, self.clusters, float(point[-1]), moved[:, None] + spread[:, None] * t
        )
        return float(_integrated(heights, spread, t[1] - t[0]).sum()) + _log_prior(point)

    def mode(self, point: Array) -> tuple[Array, Array, Array, Array]:
        """Parameters of highest density, (k,), their covariance (k, k), levels there and their sds, each (J,).

        The slope is the mean of that given the levels (Fisher's identity); the curvature of coefficients is that with
        the levels at their most likely, of the log deviation the sum of its squared slopes.
        """
        t = np.linspace(-_REACH, _REACH, _NODES)
        level, best, held = np.zeros(len(self.clusters.begin)), -np.inf, point
        step, size = np.zeros(len(point)), 1.0
        covariance: Array = np.eye(len(point))
        for _ in range(40):
            log_sd = float(point[-1])
            known = self.X @ point[:-1]
            level, spread = _modes(self.family, self.y, known, self.clusters, log_sd, level)
            nodes = level[:, None] + spread[:, None] * t
            heights = _heights(self.family, self.y, known, self.clusters, log_sd, nodes)
            value = float(_integrated(heights, spread, t[1] - t[0]).sum()) + _log_prior(point)
            if value < best - 1e-6 and size > 0.02:  # too far: half the step
                size *= 0.5
                point = held + size * step
                continue
            best, held = value, point
            slope, information = self._derivatives(point, known, level, spread, nodes, heights)
            covariance = np.asarray(np.linalg.inv(information))
            step = covariance @ slope
            if slope @ step < 3e-3:
                break
            size = min(1.0, 2.0 / float(np.abs(step).max()))
            point = point + size * step
            point[-1] = np.clip(point[-1], _LEAST + 0.1, -_LEAST - 0.1)
        return held, covariance, level, spread

    def _derivatives(
        self, point: Array, known: Array, level: Array, spread: Array, nodes: Array, heights: Array
    ) -> tuple[Array, Array]:
        """Slope (k,) and information (k, k) of the log density."""
        weight = np.exp(heights - heights.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        many, at = nodes.shape[1], self.clusters.at
        linear = (known[:, None] + nodes[at]).ravel()
        first = self.family.derivatives(np.repeat(self.y, many), linear)[0].reshape(-1, many)
        expected = (first * weight[at]).sum(axis=1)
        second = self.family.derivatives(self.y, known + level[at])[1]
        weighted = self.X * second[:, None]
        lost = self.clusters.total(weighted)
        k = len(point)
        information = np.zeros((k, k))
        information[:-1, :-1] = self.X.T @ weighted - lost.T @ (lost * (spread**2)[:, None])
        information[np.arange(k - 1), np.arange(k - 1)] += _FLAT**-2
        own = (weight * nodes * nodes).sum(axis=1) * np.exp(-2 * point[-1]) - 1.0
        information[-1, -1] = max(float(own @ own), 1.0)
        spread_of = np.exp(2 * point[-1])
        prior = 1.0 - (_DF + 1) * spread_of / (_DF * _WIDE**2 + spread_of)
        return np.append(self.X.T @ expected - point[:-1] * _FLAT**-2, own.sum() + prior), information

"""Generalised mixed models: likelihood by adaptive quadrature or Laplace, its slope and curvature; arrays only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from ..typing import Array

__all__ = ["NODES", "Clustered", "Height", "clustered", "height", "information", "levelled"]

Codes = npt.NDArray[np.int64]
#: log density, its derivative by the linear predictor, minus the second one, and the derivative of that
Curves = tuple[Array, Array, Array, Array]

#: nodes of the adaptive Gauss-Hermite rule
NODES = 25

#: longest step of the mode of a random effect, in standard deviations, and steps at most
_LONGEST, _MANY_STEPS = 2.0, 60

#: step of finite differences, in natural units
_STEP = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """Rows of a generalised mixed model, sorted by group: N rows, Q coefficients, q random effects in each of J groups.

    The linear predictor is offset + design theta + random root v, v standard normal and shared by the rows of a group.
    """

    family: str  #: "logit" or "poisson"
    outcome: Array  #: (N,)
    design: Array  #: (N, Q)
    random: Array  #: (N, q)
    offset: Array  #: (N,)
    codes: Codes  #: (N,) 0 to J - 1
    starts: Codes  #: (J,) first row of each group
    between: Array  #: (K - 2,) rows of each level but the outermost of an ordered outcome, whose cuts come last

    def total(self, rows: Array) -> Array:
        """Sums over the rows of each group, (N, ...) -> (J, ...)."""
        return np.asarray(np.add.reduceat(rows, self.starts, axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Height:
    """Log-likelihood at some parameters, its derivative, and the modes of the random effects there."""

    loglik: float
    slope: Array  #: (Q + k,) by coefficients, then by the lower triangle of the root
    modes: Array  #: (J, q) of v


def clustered(family: str, outcome: Array, design: Array, random: Array, offset: Array, groups: Codes) -> Clustered:
    """Sort the rows of a model by group.

    Parameters
    ----------
    family : {"logit", "poisson"}
    outcome, offset : ndarray, shape (n,)
    design : ndarray, shape (n, Q)
    random : ndarray, shape (n, q)
    groups : ndarray of int, shape (n,)

    Returns
    -------
    Clustered
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    codes = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(order)]))
    none = np.zeros(0)
    return Clustered(family, outcome[order], design[order], random[order], offset[order], codes, starts, none)


def levelled(levels: Codes, n_levels: int, exog: Array, random: Array, offset: Array, groups: Codes) -> Clustered:
    r"""Rows of a cumulative logit model: each is one or two rows of a logit model.

    Parameters
    ----------
    levels : ndarray of int, shape (n,)
        0 to ``n_levels`` - 1.
    n_levels : int
    exog : ndarray, shape (n, p)
    random : ndarray, shape (n, q)
    offset : ndarray, shape (n,)
    groups : ndarray of int, shape (n,)

    Returns
    -------
    Clustered
        With p slopes, then ``n_levels`` - 1 cut points.

    Notes
    -----
    With :math:`a > b` the cut points around a level less the linear predictor, its probability is
    :math:`F(a) - F(b) = F(a) (1 - F(b)) (1 - e^{b - a})`: a yes at a, a no at b, and a factor without random effects.
    """
    cuts = np.eye(n_levels - 1)
    upper, lower = np.flatnonzero(levels < n_levels - 1), np.flatnonzero(levels > 0)
    rows = np.concatenate([upper, lower])
    design = np.column_stack([-exog[rows], np.vstack([cuts[levels[upper]], cuts[levels[lower] - 1]])])
    yes = np.concatenate([np.ones(len(upper)), np.zeros(len(lower))])
    found = clustered("logit", yes, design, -random[rows], -offset[rows], groups[rows])
    between = np.bincount(levels, minlength=n_levels)[1:-1].astype(np.float64)
    return Clustered(
        found.family, found.outcome, found.design, found.random, found.offset, found.codes, found.starts, between
    )


def height(data: Clustered, theta: Array, root: Array, modes: Array | None = None, nodes: int = NODES) -> Height:
    r"""Log-likelihood of a generalised mixed model and its slope.

    Parameters
    ----------
    data : Clustered
    theta : ndarray, shape (Q,)
    root : ndarray, shape (q, q)
        Lower triangular; the random effects have covariance root root'.
    modes : ndarray, shape (J, q), optional
        Where the search for the modes begins.
    nodes : int, default 25
        Of the quadrature for one random effect; several random effects, or 1 node, are integrated by Laplace's method.

    Returns
    -------
    Height

    Notes
    -----
    Quadrature: the slope is the mean of the complete-data slope over the random effects given the outcome (Fisher's
    identity). Laplace: the derivative of :math:`f(\hat v) - \tfrac12 \log\det H`, the modes moving along.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (1995). Approximations to the log-likelihood function in the nonlinear
    mixed-effects model. *Journal of Computational and Graphical Statistics* 4, 12-35.
    """
    linear = data.offset + data.design @ theta
    rows = data.random @ root
    v, inverse = _modes(data, linear, rows, modes)
    if root.shape == (1, 1) and nodes > 1:
        loglik, slope = _quadrature(data, linear, rows[:, 0], v[:, 0], np.sqrt(inverse[:, 0, 0]), nodes)
    else:
        loglik, slope = _laplace(data, linear, rows, v, inverse)
    more, gaps = _gaps(data, theta)
    slope[len(theta) - len(gaps) : len(theta)] += gaps
    return Height(loglik + more, slope, v)


def information(data: Clustered, theta: Array, root: Array, modes: Array | None = None, nodes: int = NODES) -> Array:
    """Minus the second derivatives of the log-likelihood, shape (Q + k, Q + k).

    Parameters
    ----------
    data, theta, root, modes, nodes
        As in :func:`height`.

    Returns
    -------
    ndarray
        By quadrature where that is used (Louis's identity), else by central differences of the slope.

    References
    ----------
    Louis, T. A. (1982). Finding the observed information matrix when using the EM algorithm. *Journal of the Royal
    Statistical Society B* 44, 226-233.
    """
    if root.shape == (1, 1) and nodes > 1:
        linear = data.offset + data.design @ theta
        v, inverse = _modes(data, linear, data.random @ root, modes)
        out = _louis(data, linear, (data.random @ root)[:, 0], v[:, 0], np.sqrt(inverse[:, 0, 0]), nodes)
    else:
        out = _differences(data, theta, root, modes, nodes)
    k = len(data.between) + 1
    cuts = slice(len(theta) - k, len(theta))
    if len(data.between) and not _by_differences(root, nodes):
        out[cuts, cuts] += _gap_curvature(data, theta)
    return out


def _by_differences(root: Array, nodes: int) -> bool:
    """Tell whether the information comes from differences of the slope, which has everything in it."""
    return root.shape != (1, 1) or nodes == 1


def _logit(outcome: Array, linear: Array) -> Curves:
    """Curves of a yes-no outcome."""
    small = np.exp(-np.abs(linear))
    chance = np.where(linear > 0, 1.0, small) / (1 + small)
    weight = chance * (1 - chance)
    return (
        outcome * linear - np.maximum(linear, 0.0) - np.log1p(small),
        outcome - chance,
        weight,
        weight * (1 - 2 * chance),
    )


def _poisson(outcome: Array, linear: Array) -> Curves:
    """Curves of a count, but for the logarithm of its factorial."""
    mean = np.exp(np.minimum(linear, 300.0))
    return outcome * linear - mean, outcome - mean, mean, mean


_FAMILIES: dict[str, Callable[[Array, Array], Curves]] = {"logit": _logit, "poisson": _poisson}


def _modes(data: Clustered, linear: Array, rows: Array, start: Array | None) -> tuple[Array, Array]:
    """Return the modes of v given the outcome, shape (J, q), and the inverse curvature there, shape (J, q, q)."""
    curves, q = _FAMILIES[data.family], rows.shape[1]
    v = np.zeros((len(data.starts), q)) if start is None else start.copy()
    pairs = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    for _ in range(_MANY_STEPS):
        _, residual, weight, _ = curves(data.outcome, linear + (rows * v[data.codes]).sum(axis=1))
        curvature = data.total(pairs * weight[:, None]).reshape(-1, q, q) + np.eye(q)
        step = np.linalg.solve(curvature, (data.total(rows * residual[:, None]) - v)[:, :, None])[:, :, 0]
        longest = np.abs(step).max(axis=1, initial=0.0)
        v = v + step * np.minimum(1.0, _LONGEST / np.maximum(longest, 1e-300))[:, None]
        if not longest.max(initial=0.0) > 1e-10:
            break
    _, _, weight, _ = curves(data.outcome, linear + (rows * v[data.codes]).sum(axis=1))
    curvature = data.total(pairs * weight[:, None]).reshape(-1, q, q) + np.eye(q)
    return v, np.asarray(np.linalg.inv(curvature), dtype=np.float64)


def _posterior(
    data: Clustered, linear: Array, rows: Array, v: Array, sd: Array, nodes: int
) -> tuple[Array, Array, float]:
    """Return nodes and their probabilities given the outcome, both (J, K), and the log-likelihood."""
    curves = _FAMILIES[data.family]
    at, weights = np.polynomial.hermite.hermgauss(nodes)
    places = v[:, None] + np.sqrt(2.0) * sd[:, None] * at
    logs = -0.5 * places**2 + (at**2 + np.log(weights))
    for k in range(nodes):
        logs[:, k] += data.total(curves(data.outcome, linear + rows * places[data.codes, k])[0])
    top = logs.max(axis=1, keepdims=True)
    chances = np.exp(logs - top)
    sums = chances.sum(axis=1, keepdims=True)
    loglik = float((top + np.log(sums)).sum() + np.log(sd).sum() - 0.5 * len(sd) * np.log(np.pi)) - _factorials(data)
    return places, chances / sums, loglik


def _quadrature(data: Clustered, linear: Array, rows: Array, v: Array, sd: Array, nodes: int) -> tuple[float, Array]:
    """Return the log-likelihood by adaptive quadrature and its slope."""
    curves = _FAMILIES[data.family]
    places, chances, loglik = _posterior(data, linear, rows, v, sd, nodes)
    residual, along = np.zeros(len(rows)), np.zeros(len(rows))
    for k in range(nodes):
        part = curves(data.outcome, linear + rows * places[data.codes, k])[1] * chances[data.codes, k]
        residual += part
        along += part * places[data.codes, k]
    return loglik, np.append(residual @ data.design, along @ data.random[:, 0])


def _louis(data: Clustered, linear: Array, rows: Array, v: Array, sd: Array, nodes: int) -> Array:
    """Return the information by quadrature: the mean of the complete data's less the covariance of their slopes."""
    curves, q = _FAMILIES[data.family], data.design.shape[1]
    places, chances, _ = _posterior(data, linear, rows, v, sd, nodes)
    weights, mean, products = np.zeros((3, len(rows))), np.zeros((len(sd), q + 1)), np.zeros((q + 1, q + 1))
    for k in range(nodes):
        at, chance = places[:, k], chances[:, k]
        _, residual, weight, _ = curves(data.outcome, linear + rows * at[data.codes])
        part = weight * chance[data.codes]
        weights += part * at[data.codes] ** np.arange(3)[:, None]
        slopes = np.column_stack(
            [data.total(data.design * residual[:, None]), at * data.total(data.random[:, 0] * residual)]
        )
        mean += chance[:, None] * slopes
        products += (slopes * chance[:, None]).T @ slopes
    out = np.empty((q + 1, q + 1))
    out[:q, :q] = (data.design * weights[0][:, None]).T @ data.design
    out[:q, q] = out[q, :q] = (weights[1] * data.random[:, 0]) @ data.design
    out[q, q] = weights[2] @ data.random[:, 0] ** 2
    return np.asarray(out - products + mean.T @ mean)


def _laplace(data: Clustered, linear: Array, rows: Array, v: Array, inverse: Array) -> tuple[float, Array]:
    """Return the log-likelihood by Laplace's method and its slope, the modes moving with the parameters."""
    q, codes = rows.shape[1], data.codes
    values, residual, weight, bend = _FAMILIES[data.family](data.outcome, linear + (rows * v[codes]).sum(axis=1))
    loglik = values.sum() - 0.5 * (v**2).sum() + 0.5 * np.linalg.slogdet(inverse)[1].sum() - _factorials(data)
    along = np.einsum("nij,nj->ni", inverse[codes], rows)  # H^-1 b of each row
    leverage = (along * rows).sum(axis=1)
    pull = np.einsum("jik,jk->ji", inverse, data.total(rows * (bend * leverage)[:, None]))
    own = residual - 0.5 * bend * leverage + 0.5 * weight * (rows * pull[codes]).sum(axis=1)
    moved = own[:, None] * v[codes] - 0.5 * residual[:, None] * pull[codes] - weight[:, None] * along
    moved = own[:, None] * v[codes] - 0.5 * residual[:, None] * pull[codes] - weight[:, None] * along
    by_root = data.random.T @ moved
    return float(loglik), np.append(own @ data.design, by_root[np.tril_indices(q)])


def _differences(data: Clustered, theta: Array, root: Array, modes: Array | None, nodes: int) -> Array:
    """Return minus the second derivatives by central differences of the slope."""
    q, n_theta = len(root), len(theta)
    lower = np.tril_indices(q)
    size = n_theta + len(lower[0])
    out = np.empty((size, size))
    for j in range(size):
        sides = []
        for sign in (1.0, -1.0):
            at, there = theta.copy(), root.copy()
            if j < n_theta:
                at[j] += sign * _STEP
            else:
                there[lower[0][j - n_theta], lower[1][j - n_theta]] += sign * _STEP
            sides.append(height(data, at, there, modes, nodes).slope)
        out[j] = (sides[1] - sides[0]) / (2 * _STEP)
    return (out + out.T) / 2


def _gaps(data: Clustered, theta: Array) -> tuple[float, Array]:
    """Return the log-likelihood's part of the distances between cut points, and its slope by these."""
    if not len(data.between):
        return 0.0, np.zeros(0)
    gaps = np.diff(theta[len(theta) - len(data.between) - 1 :])
    if not (gaps > 0).all():
        return -np.inf, np.zeros(len(gaps) + 1)
    rise = data.between / np.expm1(np.minimum(gaps, 500.0))
    return float((data.between * np.log1p(-np.exp(-gaps))).sum()), np.append(0.0, rise) - np.append(rise, 0.0)


def _gap_curvature(data: Clustered, theta: Array) -> Array:
    """Return minus the second derivatives of the same part."""
    gaps = np.minimum(np.diff(theta[len(theta) - len(data.between) - 1 :]), 300.0)
    bend = data.between * np.exp(gaps) / np.expm1(gaps) ** 2
    out = np.diag(np.append(0.0, bend) + np.append(bend, 0.0))
    which = np.arange(len(gaps))
    out[which, which + 1] = out[which + 1, which] = -bend
    return out


def _factorials(data: Clustered) -> float:
    """Return the sum of the logarithms of the factorials of counts."""
    return float(gammaln(data.outcome + 1).sum()) if data.family == "poisson" else 0.0

"""The maximum of a generalised mixed model's likelihood, on columns without origin or unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..typing import Array
from .glmm import NODES, Clustered, clustered, height, information, levelled
from .mixed import orthogonal

__all__ = ["GeneralisedFit", "Rows", "at_boundary", "maximised", "prepared", "scale_figures"]

#: a squared distance from the maximum, in squared standard errors, from which one step more leads there
_ARRIVED = 1e-10

#: steps of Newton's method at most
_MANY_STEPS = 100

#: a variance without which the log-likelihood is lower by no more than this is at its boundary
_NO_GAIN = 1e-3

#: a curvature below this share of the largest is none
_FLAT = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a model on columns of its own, and the way back to the user's; Q coefficients, q random effects."""

    data: Clustered
    back: Array  #: (Q, Q) the user's coefficients from those here
    random: Array  #: (q, q) the user's random effects from those here
    groups: npt.NDArray[np.int64]  #: (J,) code of each group, in the order of the rows here


@dataclass(frozen=True, slots=True, eq=False)
class GeneralisedFit:
    """A generalised mixed model at its maximum, on the columns of its rows."""

    rows: Rows
    theta: Array  #: (Q,)
    root: Array  #: (q, q)
    loglik: float
    slope: Array  #: (Q + k,)
    information: Array  #: (Q + k, Q + k)
    modes: Array  #: (J, q) of the standardised random effects
    nodes: int

    @property
    def coefficients(self) -> Array:
        """Coefficients of the user's columns, cut points last, shape (Q,)."""
        return np.asarray(self.rows.back @ self.theta)

    @property
    def psi(self) -> Array:
        """Covariance of the random effects of the user's columns, shape (q, q)."""
        half = self.rows.random @ self.root
        return np.asarray(half @ half.T)

    @property
    def effects(self) -> Array:
        """Most likely random effects of the user's columns, shape (J, q)."""
        return np.asarray(self.modes @ (self.rows.random @ self.root).T)

    @property
    def distance(self) -> float:
        """Squared distance from the maximum, in squared standard errors."""
        return _distance(self.slope, self.information)


def prepared(
    family: str, outcome: Array, exog: Array, random: Array, offset: Array, groups: npt.NDArray[np.int64],
    n_levels: int = 0,
) -> Rows:  # fmt: skip
    """Bring the columns of a model to mean square 1, orthogonal over the rows.

    Parameters
    ----------
    family : {"logit", "poisson"}
    outcome, offset : ndarray, shape (n,)
        Codes of levels from 0 where ``n_levels`` is given.
    exog : ndarray, shape (n, p)
    random : ndarray, shape (n, q)
    groups : ndarray of int, shape (n,)
    n_levels : int, default 0
        Of an ordered outcome, whose model has cut points and no constant.

    Returns
    -------
    Rows
    """
    middle = exog.mean(axis=0) if n_levels else np.zeros(exog.shape[1])
    x, fixed = orthogonal(exog - middle)
    z, back = orthogonal(random)
    if n_levels:
        data = levelled(outcome.astype(np.int64), n_levels, x, z, offset, groups)
        p, whole = exog.shape[1], np.eye(exog.shape[1] + n_levels - 1)
        whole[:p, :p], whole[p:, :p] = fixed, middle @ fixed
    else:
        data, whole = clustered(family, outcome, x, z, offset, groups), fixed
    return Rows(data, whole, back, np.unique(groups))


def maximised(rows: Rows, nodes: int = NODES, starts: Sequence[float] = (0.5, 2.0, 0.1)) -> GeneralisedFit:
    """Maximise the likelihood over coefficients and a root of the random effects' covariance.

    Parameters
    ----------
    rows : Rows
    nodes : int, default 25
        As in :func:`~mifit.analysis.glmm.height`.
    starts : sequence of float
        Standard deviations of the random effects from which it is tried, until one ends inside.

    Returns
    -------
    GeneralisedFit

    Raises
    ------
    FloatingPointError
        If Newton's method comes to no end.

    Notes
    -----
    Newton's method with halved steps. A variance of zero is no edge of these coordinates: only a point where the slope
    by the root is zero.
    """
    data, q = rows.data, rows.data.random.shape[1]
    theta, _ = _climbed(rows, _begin(data), np.zeros((q, q)), nodes, alone=True)
    found = []
    for size in starts:
        at, root = _climbed(rows, theta, size * np.eye(q), nodes)
        here = _fit(rows, at, root, nodes)
        found.append(here)
        if not at_boundary(here):
            break
    return max(found, key=lambda one: one.loglik)


def at_boundary(fit: GeneralisedFit) -> bool:
    """Tell whether the log-likelihood is as high without the variance along some axis of the random effects."""
    axes, sizes, _ = np.linalg.svd(fit.root)
    for j in range(len(sizes)):
        less = sizes.copy()
        less[j] = 0.0
        root = np.asarray(np.linalg.qr((axes * less).T, mode="r")).T
        if fit.loglik - height(fit.rows.data, fit.theta, root, fit.modes * 0.0, fit.nodes).loglik <= _NO_GAIN:
            return True
    return False


def scale_figures(fit: GeneralisedFit) -> tuple[Array, Array]:
    """Log variances and correlations (inverse hyperbolic tangents), and their derivatives.

    Parameters
    ----------
    fit : GeneralisedFit

    Returns
    -------
    figures : ndarray, shape (k,)
        Of the user's columns; correlations in the order of the lower triangle, by rows.
    jacobian : ndarray, shape (k, k)
        By the lower triangle of the root.
    """
    lower = np.tril_indices(len(fit.root))

    def figures(at: Array) -> Array:
        root = np.zeros_like(fit.root)
        root[lower] = at
        half = fit.rows.random @ root
        sizes = np.sqrt((half**2).sum(axis=1))
        ways = half / sizes[:, None]
        pairs = [(ways[i], ways[j]) for i in range(len(ways)) for j in range(i)]
        # one minus a squared correlation has no digits where effects are nearly the same
        sines = [float(np.linalg.norm(one - (one @ other) * other)) for one, other in pairs]
        cosines = [float(one @ other) for one, other in pairs]
        turned = [np.arcsinh(cosine / sine) for cosine, sine in zip(cosines, sines, strict=True)]
        return np.concatenate([2 * np.log(sizes), turned])

    at = fit.root[lower]
    steps = 1e-6 * max(float(np.abs(at).max()), 1e-3) * np.eye(len(at))
    slopes = [(figures(at + step) - figures(at - step)) / (2 * step.max()) for step in steps]
    return figures(at), np.array(slopes).T


def _begin(data: Clustered) -> Array:
    """Return coefficients to start from: none, cut points at the shares of the levels."""
    theta = np.zeros(data.design.shape[1])
    k = len(data.between) + 1
    if not len(data.between):
        if data.family == "poisson":  # columns have mean square 1, the first of them often a constant
            level = np.log(max(float(data.outcome.mean()), 1e-8)) - float(np.average(data.offset))
            return np.asarray(np.linalg.lstsq(data.design, np.full(len(data.design), level), rcond=None)[0])
        return theta
    cuts = np.argmax(data.design[:, -k:], axis=1)
    upper = np.array([data.outcome[cuts == cut].sum() for cut in range(k)])  # rows of each level but the last
    n_rows = upper.sum() + (data.outcome[cuts == k - 1] == 0).sum()
    share = np.clip(np.cumsum(upper) / n_rows, 1e-6, 1 - 1e-6)
    theta[-k:] = np.log(share / (1 - share))
    return theta


def _climbed(rows: Rows, theta: Array, root: Array, nodes: int, alone: bool = False) -> tuple[Array, Array]:
    """Maximise by Newton's method with halved steps; with ``alone`` the coefficients, without random effects."""
    data, lower, many = rows.data, np.tril_indices(len(root)), len(theta)
    nodes = 2 if alone and len(root) == 1 else nodes
    here = height(data, theta, root, None, nodes)
    for _ in range(_MANY_STEPS):
        bend = information(data, theta, root, here.modes, nodes)
        slope = here.slope
        if alone:
            bend, slope = bend[:many, :many], slope[:many]
        values, vectors = np.linalg.eigh(bend)
        sizes = np.maximum(np.abs(values), _FLAT * max(float(np.abs(values).max()), 1.0))
        step = vectors @ ((vectors.T @ slope) / sizes)
        gain, share = float(slope @ step), 1.0
        share = min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        while True:
            at = theta + share * step[:many]
            there = root.copy()
            if not alone:
                there[lower] += share * step[many:]
            new = height(data, at, there, here.modes, nodes)
            if np.isfinite(new.loglik) and new.loglik >= here.loglik + 1e-4 * share * gain:
                break
            if gain <= _ARRIVED or share < 1e-10:  # the log-likelihood has no digits left
                return theta, root
            share /= 2
        theta, root, here = at, there, new
        if gain <= _ARRIVED:
            return theta, root
    raise FloatingPointError("Newton's method did not converge")


def _fit(rows: Rows, theta: Array, root: Array, nodes: int) -> GeneralisedFit:
    """Return the fit at some parameters."""
    here = height(rows.data, theta, root, None, nodes)
    bend = information(rows.data, theta, root, here.modes, nodes)
    return GeneralisedFit(rows, theta, root, here.loglik, here.slope, bend, here.modes, nodes)


def _distance(slope: Array, bend: Array) -> float:
    """Return s'V s, directions without curvature left out."""
    values, vectors = np.linalg.eigh(bend)
    along = vectors.T @ slope
    size = np.maximum(values, _FLAT * max(float(np.abs(values).max()), 1.0))
    return float((along**2 / size).sum())

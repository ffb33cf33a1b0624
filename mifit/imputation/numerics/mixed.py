"""Linear mixed models from sums by cluster: joint draws of variances, coefficients and effects; arrays only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array
from .linear import rooted

__all__ = ["ClusterSums", "Covariances", "MixedDraw", "cluster_sums", "draw_effects", "draw_mixed", "shrinkage"]

WIDE = 10.0  #: scale of the half-t prior of a standard deviation of effects, that of the residuals being 1
_DF = 2.0  # its degrees of freedom (Huang and Wand 2013)
_GRID = 33  # points at which the density of one log deviation is known
_DEEP = 14.0  # how far below its top a log density is nothing
_CANDIDATES = 24  # proposals of one step of sampling-importance-resampling
_FEW_CLUSTERS, _MORE = 20, 48  # clusters below which the shape is odd, and the proposals then
_FIRST = 6  # such steps where there is no current value
_TAIL = 5.0  # degrees of freedom of the proposals
_WIDER = 1.1  # their spread, that of the posterior being 1
_STEP = 1e-3  # of differences, in logarithms of deviations


class ClusterSums(NamedTuple):
    """What n rows in J clusters say of a linear mixed model with p columns X, response y and w random columns Z."""

    n: float
    whole: Array  #: (p + 1, p + 1) cross-products of [X y]
    mixed: Array  #: (J, w, p + 1) Z'[X y] of each cluster
    within: Array  #: (J, w, w) Z'Z of each cluster


def cluster_sums(D: Array, Z: Array, codes: npt.NDArray[np.int64], many: int) -> ClusterSums:
    """Sum the products of columns by cluster.

    Parameters
    ----------
    D : ndarray, shape (n, p + 1)
        The columns of a model and its response.
    Z : ndarray, shape (n, w)
        Columns whose effects differ by cluster.
    codes : ndarray of int, shape (n,)
        The cluster of each row.
    many : int
        Clusters J, those without a row too.

    Returns
    -------
    ClusterSums

    Examples
    --------
    >>> rows = cluster_sums(np.array([[1.0, 2.0], [1.0, 4.0]]), np.ones((2, 1)), np.array([0, 0]), 2)
    >>> rows.mixed[:, 0].tolist(), rows.within[:, 0, 0].tolist()
    ([[2.0, 6.0], [0.0, 0.0]], [2.0, 0.0])
    """
    width, p = Z.shape[1], D.shape[1]
    mixed, within = np.empty((many, width, p)), np.empty((many, width, width))
    for k in range(width):
        z = Z[:, k]
        plain = bool((z == 1.0).all())
        for j in range(p):
            mixed[:, k, j] = np.bincount(codes, D[:, j] if plain else z * D[:, j], many)
        for j in range(k + 1):
            within[:, k, j] = within[:, j, k] = np.bincount(codes, z * Z[:, j], many)
    return ClusterSums(float(len(D)), D.T @ D, mixed, within)


_triangle = lru_cache(np.tril_indices)


class Covariances(NamedTuple):
    """How random effects vary: q with a covariance of their own, then components of equal variance each.

    Covariances are relative to the residual variance, and known by their log-Cholesky parameters: the lower triangle of
    a root of the first q effects' with the logarithms of its diagonal, then the log deviation of each component.
    """

    q: int
    widths: tuple[int, ...] = ()  #: effects of each component

    @property
    def width(self) -> int:
        """All effects of a cluster."""
        return self.q + sum(self.widths)

    @property
    def many(self) -> int:
        """How many parameters they have."""
        return self.q * (self.q + 1) // 2 + len(self.widths)

    def roots(self, points: Array) -> Array:
        """Lower roots of the covariance of all effects, shape (G, w, w), from parameters (G, k)."""
        found = np.zeros((len(points), self.width, self.width))
        i, j = _triangle(self.q)
        found[:, i, j] = points[:, : len(i)]
        found[:, np.arange(self.q), np.arange(self.q)] = np.exp(points[:, : len(i)][:, i == j])
        start = self.q
        for number, width in enumerate(self.widths):
            at = np.arange(start, start + width)
            found[:, at, at] = np.exp(points[:, len(i) + number])[:, None]
            start += width
        return found

    def log_prior(self, points: Array) -> Array:
        """Log prior density of parameters, (G,): Huang and Wand (2013) for the first q, half-t for each component."""
        q, triangle = self.q, self.q * (self.q + 1) // 2
        total = np.zeros(len(points))
        if q:
            i, j = _triangle(q)
            logs = points[:, :triangle][:, i == j]
            inverse = np.linalg.inv(Covariances(q).roots(points[:, :triangle]))
            precision = np.einsum("gki,gki->gi", inverse, inverse)
            jacobian = logs @ (q + 1.0 - np.arange(q))
            shape = (_DF + 2 * q) * logs.sum(axis=1)
            total += jacobian - shape - 0.5 * (_DF + q) * np.log(_DF * precision + WIDE**-2).sum(axis=1)
        for logs in points[:, triangle:].T:
            total += logs - 0.5 * (_DF + 1) * np.log1p(np.exp(2 * logs) / (_DF * WIDE**2))
        return total


def shrinkage(roots: Array, within: Array) -> tuple[Array, Array]:
    """How far effects follow their cluster's rows.

    Parameters
    ----------
    roots : ndarray, shape (G, w, w)
        Lower roots L of relative covariances of the effects.
    within : ndarray, shape (J, w, w)
        Z'Z of each cluster.

    Returns
    -------
    inner : ndarray, shape (G, J, w, w)
        L (I + L'Z'Z L)^-1 L': covariance of the effects given the rows, the residual variance being 1.
    log_det : ndarray, shape (G, J)
        Logarithm of det(I + L'Z'Z L), that of the rows' covariance.
    """
    width = roots.shape[-1]
    if width == 1:
        spread = roots[:, 0, 0, None] ** 2
        grown = 1.0 + spread * within[:, 0, 0]
        return (spread / grown)[:, :, None, None], np.log(grown)
    mid = np.swapaxes(roots, -1, -2)[:, None] @ (within @ roots[:, None])
    if width == 2:
        a, b, d = mid[..., 0, 0] + 1.0, mid[..., 1, 0], mid[..., 1, 1] + 1.0
        det = a * d - b * b
        inverse = np.empty_like(mid)
        inverse[..., 0, 0], inverse[..., 1, 1] = d / det, a / det
        inverse[..., 0, 1] = inverse[..., 1, 0] = -b / det
        log_det = np.log(det)
    else:
        mid[..., np.arange(width), np.arange(width)] += 1.0
        inverse, log_det = np.asarray(np.linalg.inv(mid)), np.asarray(np.linalg.slogdet(mid)[1])
    return roots[:, None] @ inverse @ np.swapaxes(roots, -1, -2)[:, None], log_det


@dataclass(frozen=True)
class _Posterior:
    """Posterior of the relative covariances of effects: coefficients, residual variance and effects integrated out."""

    sums: ClusterSums
    covariances: Covariances

    @cached_property
    def _alike(self) -> tuple[Array, Array, Array]:
        """Kinds of clusters: Z'Z (S, w, w), how many (S,), and summed products of Z'[X y] (S * t, (p + 1)²)."""
        mixed, within = self.sums.mixed, self.sums.within
        many, width, p = mixed.shape
        if width > 1:
            i, j = _triangle(width)
            products = mixed[:, i, :, None] * mixed[:, j, None, :]
            products = (products + np.swapaxes(products, -1, -2)) * np.where(i == j, 0.5, 1.0)[:, None, None]
            return within, np.ones(many), products.reshape(-1, p * p)
        sizes, kind, count = np.unique(within[:, 0, 0], return_inverse=True, return_counts=True)
        order = np.argsort(kind.reshape(-1), kind="stable")
        ordered, begin = mixed[order, 0], np.cumsum(count) - count
        if len(sizes) > many // 4:
            products = np.add.reduceat((ordered[:, :, None] * ordered[:, None, :]).reshape(many, -1), begin)
        else:
            ends = zip(begin, begin + count, strict=True)
            products = np.array([(ordered[a:b].T @ ordered[a:b]).ravel() for a, b in ends])
        return sizes[:, None, None], count.astype(np.float64), products

    def reduced(self, points: Array) -> tuple[Array, Array]:
        """[X y]'H^-1[X y], shape (G, p + 1, p + 1), and log det H, (G,), at parameters (G, k)."""
        within, count, products = self._alike
        inner, log_det = shrinkage(self.covariances.roots(points), within)
        i, j = _triangle(self.covariances.width)
        p = len(self.sums.whole)
        lost = inner[:, :, i, j].reshape(len(points), -1) @ products
        return self.sums.whole - lost.reshape(-1, p, p), log_det @ count

    def log_density(self, points: Array) -> Array:
        """Log density of parameters (G, k), but for a constant, (G,); -inf where rounding leaves no density."""
        with np.errstate(all="ignore"):
            total, log_det = self.reduced(points)
            root = _roots(total)
            diagonal = np.log(np.einsum("gii->gi", root))
            free = self.sums.n - (diagonal.shape[1] - 1)
            found = -0.5 * log_det - diagonal[:, :-1].sum(axis=1) - free * diagonal[:, -1]
            found += self.covariances.log_prior(points)
        return np.where(np.isfinite(found), found, -np.inf)


def _roots(matrices: Array) -> Array:
    """Cholesky factors (G, p, p); NaN where a matrix has none."""
    try:
        return np.asarray(np.linalg.cholesky(matrices))
    except np.linalg.LinAlgError:
        found = np.full(matrices.shape, np.nan)
        for k, one in enumerate(matrices):
            try:
                found[k] = np.linalg.cholesky(one)
            except np.linalg.LinAlgError:
                continue
        return found


class MixedDraw(NamedTuple):
    """One draw from the posterior of a linear mixed model."""

    coef: Array  #: (p,)
    variance: float  #: of the residuals
    root: Array  #: (w, w) lower root of the effects' covariance over ``variance``
    effects: Array  #: (J, w)
    warm: Array | None  #: (2 k,) where the density is highest, and the parameters drawn; None of one deviation


def draw_mixed(
    sums: ClusterSums, covariances: Covariances, rng: np.random.Generator, warm: Array | None = None
) -> MixedDraw:
    """Draw variances, coefficients and effects jointly, given complete rows.

    Parameters
    ----------
    sums : ClusterSums
    covariances : Covariances
    rng : Generator
    warm : ndarray, shape (2 k,), optional
        What the last draw left: part of the state of a chain.

    Returns
    -------
    MixedDraw

    Raises
    ------
    FloatingPointError
        If the rows leave no residual variance.

    Notes
    -----
    With H_j = I + Z_j Lam Z_j', flat priors of b and of the log residual variance:

    1. Lam given y, b, sigma² and u integrated out: the restricted likelihood (Harville 1974) times its prior. One
       deviation is drawn from its density on a grid, several parameters by iterated sampling-importance-resampling: t
       proposals around the mode, the current value among them (Andrieu, Doucet and Holenstein 2010, section 2).
    2. sigma² = RSS / chi²(n - p), RSS the generalised sum of squares.
    3. b ~ N((X'H^-1X)^-1 X'H^-1y, sigma² (X'H^-1X)^-1).
    4. u_j ~ N(W_j Z_j'(y_j - X_j b), sigma² W_j), W_j = (Z_j'Z_j + Lam^-1)^-1.

    References
    ----------
    Harville, D. A. (1974). Bayesian inference for variance components using only error contrasts. *Biometrika* 61(2),
    383-385.

    Andrieu, C., Doucet, A. and Holenstein, R. (2010). Particle Markov chain Monte Carlo methods. *Journal of the Royal
    Statistical Society B* 72(3), 269-342.
    """
    posterior = _Posterior(sums, covariances)
    if covariances.many == 1 and covariances.width == 1:
        point, warm = _on_grid(posterior.log_density, float(sums.within.mean()), rng), None
    else:
        point, warm = _resampled(posterior, warm, rng)
    total = posterior.reduced(point[None])[0][0]
    root = _roots(total[None])[0]
    if not root[-1, -1] > 0:
        raise FloatingPointError("the columns leave no residual variance")
    p = len(root) - 1
    variance = float(root[-1, -1] ** 2 / rng.chisquare(max(sums.n - p, 1.0)))
    noise = np.sqrt(variance) * rng.standard_normal(p)
    coef = np.linalg.solve(root[:-1, :-1].T, root[-1, :-1] + noise)
    lower = covariances.roots(point[None])
    inner = shrinkage(lower, sums.within)[0][0]
    toward = sums.mixed[:, :, -1] - sums.mixed[:, :, :-1] @ coef
    return MixedDraw(coef, variance, lower[0], draw_effects(inner, toward, variance, rng), warm)


def draw_effects(inner: Array, toward: Array, variance: float, rng: np.random.Generator) -> Array:
    """Draw the effects of clusters given everything else.

    Parameters
    ----------
    inner : ndarray, shape (J, w, w)
        As :func:`shrinkage` gives it.
    toward : ndarray, shape (J, w)
        Z'(y - X b) of each cluster.
    variance : float
        Of the residuals.
    rng : Generator

    Returns
    -------
    ndarray, shape (J, w)
    """
    mean = np.einsum("jkl,jl->jk", inner, toward)
    noise = np.sqrt(variance) * rng.standard_normal(mean.shape)
    if mean.shape[1] == 1:
        return np.asarray(mean + np.sqrt(inner[:, :, 0]) * noise)
    return np.asarray(mean + rooted(inner, noise))


def _on_grid(log_density: Callable[[Array], Array], rows: float, rng: np.random.Generator) -> Array:
    """Draw one log deviation from its density, log-linear between points; its own window is found first."""
    middle = -0.5 * np.log(rows) if rows > 0 else 0.0
    low, high = middle - 8.0, middle + 9.0
    for _ in range(8):
        points = np.linspace(low, high, _GRID)
        heights = log_density(points[:, None])
        if not np.isfinite(heights.max()):
            raise FloatingPointError("the columns leave no residual variance")
        seen = np.flatnonzero(heights > heights.max() - _DEEP)
        first, last = max(int(seen[0]) - 1, 0), min(int(seen[-1]) + 1, _GRID - 1)
        if last - first >= _GRID // 2:
            break
        low, high = points[first], points[last]
    points, heights = points[first : last + 1], np.maximum(heights[first : last + 1] - heights.max(), -60.0)
    rise, step = np.diff(heights), points[1] - points[0]
    rise = np.where(np.abs(rise) < 1e-8, 1e-8, rise)
    mass = np.cumsum(np.exp(heights[:-1]) * np.expm1(rise) / rise)
    piece = min(int(np.searchsorted(mass, rng.random() * mass[-1])), len(mass) - 1)
    return np.array([points[piece] + step * np.log1p(rng.random() * np.expm1(rise[piece])) / rise[piece]])


def _resampled(posterior: _Posterior, warm: Array | None, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw several parameters around their mode, the current ones among the candidates; and what the next may use."""
    k, q = posterior.covariances.many, posterior.covariances.q
    triangle = q * (q + 1) // 2
    usable = warm is not None and warm.shape == (2 * k,) and bool(np.isfinite(warm).all())
    start, now = (warm[:k], warm[k:]) if usable else (np.zeros(k), None)  # type: ignore[index]
    if not usable:
        i, j = _triangle(q)
        start[:triangle][i == j] = -1.0
        start[triangle:] = -1.0
    mode, covariance = _mode(posterior.log_density, start)
    root = _WIDER * np.linalg.cholesky(covariance)
    candidates = _CANDIDATES if len(posterior.sums.within) >= _FEW_CLUSTERS else _MORE
    for _ in range(1 if usable else _FIRST):
        noise = rng.standard_normal((candidates, k))
        noise /= np.sqrt(rng.chisquare(_TAIL, candidates) / _TAIL)[:, None]
        if now is not None:
            noise = np.vstack([noise, np.linalg.solve(root, now - mode)])
        points = mode + noise @ root.T
        if now is not None:
            points[-1] = now
        proposed = -0.5 * (_TAIL + k) * np.log1p((noise**2).sum(axis=1) / _TAIL)
        score = posterior.log_density(points) - proposed
        share = np.cumsum(np.exp(score - score.max()))
        now = points[min(int(np.searchsorted(share, rng.random() * share[-1])), len(share) - 1)]
    assert now is not None
    return now, np.concatenate([mode, now])


def _mode(height: Callable[[Array], Array], at: Array) -> tuple[Array, Array]:
    """Where a log density is highest, (k,), and minus its inverse curvature there, (k, k): damped Newton steps."""
    covariance = 0.25 * np.eye(len(at))
    for _ in range(30):
        value, slope, curvature = _differences(height, at)
        if not (np.isfinite(slope).all() and np.isfinite(curvature).all()):
            break
        values, vectors = np.linalg.eigh(-curvature)
        values = np.maximum(np.abs(values), 0.3)
        covariance = (vectors / values) @ vectors.T
        step = covariance @ slope
        if slope @ step < 1e-3:
            break
        sizes = np.array([1.0, 0.5, 0.25, 0.1, 0.03]) * min(1.0, 2.0 / np.abs(step).max())
        tried = height(at + sizes[:, None] * step)
        if not tried.max() > value:
            break
        at = at + sizes[int(tried.argmax())] * step
    return at, covariance


def _differences(height: Callable[[Array], Array], at: Array) -> tuple[float, Array, Array]:
    """Value, slope (k,) and curvature (k, k) of a function from one batch of its values."""
    k = len(at)
    unit = _STEP * np.eye(k)
    i, j = np.tril_indices(k, -1)
    pairs = unit[i] + unit[j]
    found = height(at + np.vstack([np.zeros((1, k)), unit, -unit, pairs, -pairs]))
    middle, up, down = found[0], found[1 : k + 1], found[k + 1 : 2 * k + 1]
    both, neither = found[2 * k + 1 : 2 * k + 1 + len(i)], found[2 * k + 1 + len(i) :]
    curvature = np.diag(up - 2 * middle + down)
    curvature[i, j] = curvature[j, i] = 0.5 * (both + neither - up[i] - up[j] - down[i] - down[j] + 2 * middle)
    return float(middle), (up - down) / (2 * _STEP), curvature / _STEP**2

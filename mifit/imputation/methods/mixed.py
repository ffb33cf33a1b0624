"""Random intercepts and slopes: the normal model of a number whose rows come in clusters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Clusters, Facts, Offers, Visit
from ..numerics.linear import draw_coefficients, draw_sigma, solve
from .norm import NormalFitted

__all__ = ["Mixed", "MixedFitted"]

_FIRST = 60  # Gibbs steps from no random effects; later fits go on from where the last one ended
_NEXT = 8
_WIDE = 10.0  # prior scale of a standard deviation of random effects, in units of the outcome's
_DF = 2.0  # degrees of freedom of its half-t prior


@dataclass(frozen=True, slots=True)
class MixedFitted(NormalFitted):
    """Drawn coefficients, residual spread, and the effects of every cluster, of the standardised response."""

    effects: Array | None = None  #: (n_clusters, q)
    random: tuple[int, ...] = ()  #: (q,) columns of the design whose effects differ by cluster

    def effect(self, X: Array, codes: Any) -> Array | float:
        """What the clusters add to the mean of rows, in the user's units, shape (n_draw,)."""
        if self.effects is None:
            return 0.0
        return np.asarray(self.scale * np.einsum("ij,ij->i", X[:, list(self.random)], self.effects[codes]))

    def redrawn(self, X: Array, y: Array, clusters: Clusters, rng: np.random.Generator) -> MixedFitted:
        """The same parameters with effects drawn anew, given rows (n, p) and their values: clusters that came later."""
        if self.effects is None:
            return self
        sums = _sums(np.column_stack([X, self.standardised(y)]), X[:, list(self.random)], clusters)
        psi, variance = _split(self.warm)
        return replace(self, effects=_effects(sums, _inner(sums, psi, variance), self.coef, variance, rng))


@dataclass(frozen=True, slots=True)
class Mixed:
    """Draw a number from a linear mixed model: its cluster's own level, and slopes, are drawn with everything else.

    Parameters
    ----------
    unit : hashable
        The column of clusters.
    slopes : tuple of hashable
        Columns whose slopes differ by cluster too.

    Notes
    -----
    Gibbs steps with y = X b + Z u + e, u ~ N(0, Psi) for each cluster, e ~ N(0, sigma²), Z the constant and the slopes'
    columns:

    1. b given Psi and sigma², the effects integrated out (generalised least squares), then u given b;
    2. sigma² from RSS / chi²(n);
    3. Psi from an inverse Wishart, under the prior of Huang and Wand (2013): each standard deviation half-t with 2
       degrees of freedom and a scale of ten standard deviations of the outcome.

    60 steps from u = 0 the first time, 8 more at each later visit. Without clusters it is
    :class:`~mifit.imputation.methods.norm.Normal`, with one step of its own.

    References
    ----------
    Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics* 38, 963-974.
    Huang, A. and Wand, M. P. (2013). Simple marginally noninformative prior distributions for covariance matrices.
    *Bayesian Analysis* 8, 439-452.
    """

    unit: Hashable = None
    slopes: tuple[Hashable, ...] = ()
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = (
        "Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. "
        "Biometrics, 38(4), 963-974. doi:10.2307/2529876\n"
        "Huang, A. and Wand, M. P. (2013). Simple marginally noninformative prior distributions for covariance "
        "matrices. Bayesian Analysis, 8(2), 439-452. doi:10.1214/13-BA815"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(), truncates=False, linear=True, clustered=True, called="a linear mixed model"
    )

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixedFitted:
        """Draw coefficients, variances and the effects of all clusters."""
        cross = visit.cross()
        solution = solve(cross, visit.terms)
        kept, clusters = solution.kept, visit.clusters
        if clusters is None or not solution.rss > 0:
            sigma = draw_sigma(solution, rng)
            coef = draw_coefficients(solution, sigma, rng)
            return MixedFitted(coef, sigma, cross.centre, cross.scale, solution.dropped)
        random = tuple(j for j in clusters.random if j in kept)
        z = (visit.y - cross.centre) / cross.scale
        sums = _sums(np.column_stack([visit.X[:, kept], z]), visit.X[:, list(random)], clusters)
        state = visit.warm if _usable(visit.warm, len(random)) else None
        first = np.append(np.ravel(np.eye(len(random))) * 0.1, 1.0) * solution.rss / max(solution.df, 1.0)
        psi, variance = _split(first if state is None else state)
        for _ in range(_FIRST if state is None else _NEXT):
            b, u = _coefficients(sums, psi, variance, rng)
            variance = _residual(sums, b, u) / rng.chisquare(sums.n)
            psi = _covariance(u, psi, rng)
        coef = np.zeros(len(visit.terms))
        coef[kept] = b
        warm = np.append(np.ravel(psi), variance)
        return MixedFitted(
            coef, float(np.sqrt(variance)), cross.centre, cross.scale, solution.dropped, (), warm, u, random
        )


class _Sums(NamedTuple):
    """What the rows say of a mixed model: D = [X y] and Z, J clusters."""

    n: int
    whole: Array  #: (p + 1, p + 1) D'D
    mixed: Array  #: (J, q, p + 1) Z'D of each cluster
    within: Array  #: (J, q, q) Z'Z of each cluster


def _sums(D: Array, Z: Array, clusters: Clusters) -> _Sums:
    """Cross-products by cluster."""
    many, codes = clusters.many, clusters.codes

    def added(left: Array, right: Array) -> Array:
        out = np.empty((many, left.shape[1], right.shape[1]))
        for i in range(left.shape[1]):
            for j in range(right.shape[1]):
                out[:, i, j] = np.bincount(codes, left[:, i] * right[:, j], many)
        return out

    return _Sums(len(D), D.T @ D, added(Z, D), added(Z, Z))


def _coefficients(sums: _Sums, psi: Array, variance: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Coefficients with the effects integrated out, (p,), and the effects given them, (J, q)."""
    inner = _inner(sums, psi, variance)
    total = sums.whole - np.einsum("jka,jkl,jlb->ab", sums.mixed, inner, sums.mixed, optimize=True)
    root = np.linalg.cholesky((total[:-1, :-1] + total[:-1, :-1].T) / 2)
    half = np.linalg.solve(root, total[:-1, -1]) + np.sqrt(variance) * rng.standard_normal(len(root))
    b = np.linalg.solve(root.T, half)
    return b, _effects(sums, inner, b, variance, rng)


def _inner(sums: _Sums, psi: Array, variance: float) -> Array:
    """Covariance of each cluster's effects given the coefficients, over the residual variance, (J, q, q)."""
    return np.asarray(np.linalg.inv(sums.within + variance * np.linalg.inv(psi)))


def _effects(sums: _Sums, inner: Array, b: Array, variance: float, rng: np.random.Generator) -> Array:
    """Effects of all clusters given the coefficients, (J, q)."""
    mean = np.einsum("jkl,jl->jk", inner, sums.mixed[:, :, -1] - sums.mixed[:, :, :-1] @ b)
    root = np.linalg.cholesky((inner + inner.transpose(0, 2, 1)) / 2) * np.sqrt(variance)
    return np.asarray(mean + np.einsum("jkl,jl->jk", root, rng.standard_normal(mean.shape)))


def _residual(sums: _Sums, b: Array, u: Array) -> float:
    """Residual sum of squares."""
    own = np.append(-b, 1.0)
    left = sums.mixed @ own
    return float(own @ sums.whole @ own - 2 * np.sum(u * left) + np.einsum("jk,jkl,jl->", u, sums.within, u))


def _covariance(u: Array, psi: Array, rng: np.random.Generator) -> Array:
    """Covariance of the effects, given them: an inverse Wishart, its scale drawn too."""
    q = len(psi)
    rate = _DF * np.diag(np.linalg.inv(psi)) + _WIDE**-2
    scale = rng.gamma((_DF + q) / 2, 1.0, q) / rate
    root = np.linalg.cholesky(np.linalg.inv(u.T @ u + 2 * _DF * np.diag(scale)))
    df = len(u) + _DF + q - 1
    lower = np.tril(rng.standard_normal((q, q)), -1) + np.diag(np.sqrt(rng.chisquare(df - np.arange(q))))  # Bartlett
    made = root @ lower
    found = np.linalg.inv(made @ made.T)
    return np.asarray((found + found.T) / 2)


def _usable(warm: Any, q: int) -> bool:
    """Whether a fit can go on from what the last one left."""
    return isinstance(warm, np.ndarray) and warm.shape == (q * q + 1,) and bool(np.isfinite(warm).all())


def _split(warm: Array) -> tuple[Array, float]:
    """Covariance of the effects and residual variance."""
    q = int(np.sqrt(len(warm) - 1))
    return warm[:-1].reshape(q, q), float(warm[-1])

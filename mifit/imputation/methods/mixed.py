"""Random intercepts and slopes: the normal model of a number whose rows come in clusters."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Clusters, Cross, Facts, Offers, Visit
from ..numerics.linear import Solution, draw_coefficients, draw_sigma, solve
from ..numerics.mixed import Covariances, cluster_sums, draw_effects, draw_mixed, shrinkage
from .norm import NO_SPREAD, NormalFitted

__all__ = ["Mixed", "MixedFitted"]

_FEWEST = 2  # clusters with rows, below which their level is the constant


@dataclass(frozen=True, slots=True)
class MixedFitted(NormalFitted):
    """Drawn coefficients, residual spread and effects of every cluster, of the standardised response."""

    effects: Array | None = None  #: (J, w); None where rows tell nothing of clusters
    root: Array | None = None  #: (w, w) lower root of the effects' covariance over the residual variance

    def added(self, Z: Array, codes: Any) -> Array:
        """What the clusters of rows add to the linear predictor, (n,), given their random columns (n, w)."""
        if self.effects is None:
            return np.zeros(len(Z))
        return np.asarray(np.einsum("ij,ij->i", Z, self.effects[codes]))

    def inner(self, within: Array) -> Array:
        """Covariance of effects given their cluster's rows, the residual variance being 1, (J, w, w); from Z'Z."""
        if self.root is None:
            return np.zeros_like(within)
        return shrinkage(self.root[None], within)[0][0]

    def redrawn(self, X: Array, y: Array, clusters: Clusters, rng: np.random.Generator) -> MixedFitted:
        """The same parameters with effects drawn anew, given rows (n, p) and their values: clusters that came later."""
        if self.effects is None:
            return self
        sums = cluster_sums(np.column_stack([X, self.standardised(y)]), clusters.Z, clusters.codes, clusters.many)
        toward = sums.mixed[:, :, -1] - sums.mixed[:, :, :-1] @ self.coef
        return replace(self, effects=draw_effects(self.inner(sums.within), toward, self.sigma**2, rng))


@dataclass(frozen=True, slots=True)
class Mixed:
    """Draw a number from a linear mixed model: its cluster's own level, and slopes, are drawn with everything else.

    Parameters
    ----------
    random : str, default "~1"
        Right side of a formula: what differs between clusters. ``"~x"``: the level and the slope of x.
    unit : hashable, optional
        The column of clusters; by default that of ``groups=`` or ``clusters=``.
    components : tuple of str
        Columns of clusters within clusters, each with a level of its own.

    Notes
    -----
    y = X b + Z u + e, u ~ N(0, Psi) for each cluster, e ~ N(0, sigma²), Z the constant and the slopes' columns. Psi,
    sigma², b and all u are one joint draw from their posterior
    (:func:`~mifit.imputation.numerics.mixed.draw_mixed`), under the prior of Huang and Wand (2013): the standard
    deviation of each effect, that of the residuals being 1, is half-t with 2 degrees of freedom and scale 10, nearly
    flat; correlations are flat.

    Without clusters it is :class:`~mifit.imputation.methods.norm.Normal`.

    References
    ----------
    Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics* 38, 963-974.

    Huang, A. and Wand, M. P. (2013). Simple marginally noninformative prior distributions for covariance matrices.
    *Bayesian Analysis* 8, 439-452.
    """

    random: str = "~1"
    unit: Hashable = None
    components: tuple[str, ...] = ()
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = (
        "Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. "
        "Biometrics, 38(4), 963-974. doi:10.2307/2529876\n"
        "Huang, A. and Wand, M. P. (2013). Simple marginally noninformative prior distributions for covariance "
        "matrices. Bayesian Analysis, 8(2), 439-452. doi:10.1214/13-BA815"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(normal=True, direct=True, gaussian=True), truncates=False, linear=True, clustered=True,
        called="a linear mixed model",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixedFitted:
        """Draw coefficients, variances and the effects of all clusters."""
        cross = visit.cross()
        solution = solve(cross, visit.terms)
        found = None if visit.clusters is None else _clustered(visit, visit.clusters, cross, solution, rng)
        if found is not None:
            return found
        sigma = draw_sigma(solution, rng)
        coef = draw_coefficients(solution, sigma, rng)
        return MixedFitted(coef, sigma, cross.centre, cross.scale, solution.dropped)


def _clustered(
    visit: Visit, clusters: Clusters, cross: Cross, solution: Solution, rng: np.random.Generator
) -> MixedFitted | None:
    """Parameters and effects; None where the rows tell nothing of clusters."""
    several = np.count_nonzero(np.bincount(clusters.codes)) >= _FEWEST
    if not (several and solution.df > 0 and solution.rss > NO_SPREAD**2 * cross.yy):
        return None
    D = np.column_stack([visit.X[:, solution.kept], (visit.y - cross.centre) / cross.scale])
    sums = cluster_sums(D, clusters.Z, clusters.codes, clusters.many)
    covariances = Covariances(clusters.Z.shape[1] - sum(clusters.widths), clusters.widths)
    try:
        drawn = draw_mixed(sums, covariances, rng, visit.warm if isinstance(visit.warm, np.ndarray) else None)
    except FloatingPointError:
        return None
    coef = np.zeros(len(visit.terms))
    coef[solution.kept] = drawn.coef
    return MixedFitted(
        coef, float(np.sqrt(drawn.variance)), cross.centre, cross.scale, solution.dropped, (), drawn.warm,
        drawn.effects, drawn.root,
    )  # fmt: skip

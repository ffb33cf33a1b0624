"""Logistic regression with a level of its own for every cluster."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array, Rows
from ..contract import Clusters, Facts, Offers, Visit
from ..numerics.linear import independent
from ..numerics.quadrature import Family, draw_levels, draw_random_intercept, log_integral
from .logistic import Logistic, LogisticFitted

__all__ = ["MixedLogistic", "MixedLogisticFitted"]

_FEWEST = 2  # clusters with rows, below which their level is the constant


def _bernoulli() -> Family:
    """The likelihood of two levels, as the regression without clusters states it."""
    one = LogisticFitted(np.zeros(1), None)
    return Family(one.log_accept, one.derivatives)


@dataclass(frozen=True, slots=True, eq=False)
class MixedLogisticFitted(LogisticFitted):
    """Drawn coefficients of a logistic regression, and levels of every cluster."""

    effects: Array | None = None  #: (J, 1) log odds that each cluster adds; None where rows tell nothing of clusters
    log_sd: float = -np.inf  #: logarithm of their standard deviation

    def added(self, Z: Array, codes: Any) -> Array:
        """What the clusters of rows add to the log odds, shape (n,)."""
        return np.zeros(len(Z)) if self.effects is None else np.asarray(self.effects[codes, 0])

    def redrawn(self, X: Array, y: Array, clusters: Clusters, rng: np.random.Generator) -> MixedLogisticFitted:
        """The same parameters with levels drawn anew, given rows (n, p) and their values: clusters that came later."""
        if self.effects is None:
            return self
        order = np.argsort(clusters.codes, kind="stable")
        known, codes = X[order] @ self.coef, clusters.codes[order]
        levels = draw_levels(_bernoulli(), y[order], known, codes, clusters.many, self.log_sd, rng)
        return replace(self, effects=levels[:, None])

    def integrated(self, y: Array, linear: Array, codes: Rows) -> Array:
        """Log-likelihood of the rows of clusters, sorted by cluster, with their levels integrated out, (k,)."""
        if self.effects is None:
            begin = np.flatnonzero(np.append(True, np.diff(codes) != 0))
            return np.asarray(np.add.reduceat(self.log_accept(y, linear), begin))
        return log_integral(_bernoulli(), y, linear, codes, self.log_sd)


@dataclass(frozen=True, slots=True)
class MixedLogistic:
    """Two levels, drawn from a logistic regression with a level of its own for every cluster.

    Parameters
    ----------
    random : str, default "~1"
        Right side of a formula: what differs between clusters; here their level alone.
    unit : hashable, optional
        The column of clusters; by default that of ``groups=`` or ``clusters=``.

    Notes
    -----
    log odds = X a + v, v ~ N(0, s²) for each cluster. a and s are drawn with the levels integrated out, the levels
    given both (:func:`~mifit.imputation.numerics.quadrature.draw_random_intercept`).

    Without clusters, or where one level occurs, it is :class:`~mifit.imputation.methods.logistic.Logistic`.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (1995). Approximations to the log-likelihood function in the nonlinear
    mixed-effects model. *Journal of Computational and Graphical Statistics* 4(1), 12-35.
    """

    random: str = "~1"
    unit: Hashable = None
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.BINARY})
    reference: ClassVar[str] = (
        "Pinheiro, J. C. and Bates, D. M. (1995). Approximations to the log-likelihood function in the nonlinear "
        "mixed-effects model. Journal of Computational and Graphical Statistics, 4(1), 12-35. "
        "doi:10.1080/10618600.1995.10474663"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), unseen=False, truncates=False, linear=True, clustered=True,
        called="a logistic regression with a random intercept", link="the log odds of the last level",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixedLogisticFitted:
        """Draw coefficients, the spread of the levels, and the levels of all clusters."""
        clusters, y = visit.clusters, visit.y
        both = 0 < np.count_nonzero(y) < len(y)
        if clusters is None or not both or np.count_nonzero(np.bincount(clusters.codes)) < _FEWEST:
            alone = Visit(visit.y, visit.X, visit.terms, visit.kind, visit.n_levels)
            found = Logistic().fit(alone, rng)
            return MixedLogisticFitted(found.coef, None, found.events, found.dropped)
        kept, _, _, dropped = independent(*visit.squares()[:1], visit.terms)
        warm = visit.warm if isinstance(visit.warm, np.ndarray) else None
        drawn = draw_random_intercept(_bernoulli(), visit.X[:, kept], y, clusters.codes, clusters.many, rng, warm)
        coef = np.zeros(visit.X.shape[1])
        coef[kept] = drawn.coef
        return MixedLogisticFitted(coef, drawn.warm, (), dropped, drawn.levels[:, None], drawn.log_sd)

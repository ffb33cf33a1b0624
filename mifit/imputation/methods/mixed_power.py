"""A skewed number whose rows come in clusters: a linear mixed model on a power scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Clusters, Facts, Offers, Visit
from .mixed import Mixed, MixedFitted
from .power import Power, PowerFitted, PowerScale, within_reach

__all__ = ["MixedPower", "MixedPowerFitted"]


@dataclass(frozen=True, slots=True)
class MixedPowerFitted(PowerFitted):
    """Drawn exponent and coefficients, and effects of every cluster on the power scale."""

    effects: Array | None = None  #: (J, w); None where rows tell nothing of clusters
    root: Array | None = None  #: (w, w) lower root of the effects' covariance over the residual variance

    def _linear(self) -> MixedFitted:
        """The same as a mixed model of the power of the values."""
        given = (self.coef, self.sigma, self.centre, self.scale, self.dropped, (), None, self.effects, self.root)
        return MixedFitted(*given)

    def added(self, Z: Array, codes: Any) -> Array:
        """What the clusters of rows add to the linear predictor, shape (n,)."""
        return self._linear().added(Z, codes)

    def inner(self, within: Array) -> Array:
        """Covariance of effects given their cluster's rows, the residual variance being 1, (J, w, w); from Z'Z."""
        return self._linear().inner(within)

    def redrawn(self, X: Array, y: Array, clusters: Clusters, rng: np.random.Generator) -> MixedPowerFitted:
        """The same parameters with effects drawn anew, given rows (n, p) and their values: clusters that came later."""
        return dataclasses.replace(self, effects=self._linear().redrawn(X, self.forward(y), clusters, rng).effects)


@dataclass(frozen=True, slots=True)
class MixedPower:
    """Draw a skewed number from a linear mixed model on a Box-Cox or Yeo-Johnson scale.

    Parameters
    ----------
    on : PowerScale, optional
        Frozen constants; taken from the observed values when the plan is made.
    random : str, default "~1"
        Right side of a formula: what differs between clusters.
    unit : hashable, optional
        The column of clusters; by default that of ``groups=`` or ``clusters=``.

    Notes
    -----
    The exponent is drawn as in :class:`~mifit.imputation.methods.power.Power`, from the profile likelihood of the rows
    without their clusters; then all else as in :class:`~mifit.imputation.methods.mixed.Mixed`, on its scale.

    References
    ----------
    Box, G. E. P. and Cox, D. R. (1964). An analysis of transformations. *JRSS B* 26(2), 211-252.
    """

    on: PowerScale | None = None
    random: str = "~1"
    unit: Hashable = None
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = f"{Power.reference}\n{Mixed.reference}"
    facts: ClassVar[Facts] = Facts(
        offers=Offers(normal=True, gaussian=True), cross=True, tuned=True, truncates=False, clustered=True,
        called="a linear mixed model on a power-transformed scale",
    )  # fmt: skip

    def tuned(self, observed: Array) -> MixedPower:
        """The method with its constants taken from observed values."""
        return dataclasses.replace(self, on=self.on or Power().tuned(observed).on)

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixedPowerFitted:
        """Draw the exponent, then coefficients, variances and effects at the drawn one."""
        free = Visit(visit.y, visit.X, visit.terms, visit.kind, warm=visit.warm)
        plain = Power(self.on).fit(free, rng)
        fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(plain)}
        if visit.clusters is None:
            return MixedPowerFitted(**fields)
        carried = Visit(plain.forward(visit.y), visit.X, visit.terms, visit.kind, clusters=visit.clusters)
        fitted = Mixed().fit(carried, rng)
        names = ("coef", "sigma", "centre", "scale", "dropped", "effects", "root")
        found = MixedPowerFitted(**{**fields, **{name: getattr(fitted, name) for name in names}})
        wide = np.column_stack([visit.X, found.added(visit.clusters.Z, visit.clusters.codes)])
        ends = dataclasses.replace(found, coef=np.append(found.coef, 1.0), reach=None)
        reach = within_reach(ends, wide, visit.y, visit.observed(), None).reach
        return dataclasses.replace(found, reach=reach)

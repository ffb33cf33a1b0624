"""Predictive mean matching whose predictions contain the level of each cluster."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Clusters, Facts, Offers, Visit
from .mixed import Mixed, MixedFitted
from .pmm import PMM, PMMFitted

__all__ = ["MixedPMM", "MixedPMMFitted"]


@dataclass(frozen=True, slots=True)
class MixedPMMFitted(PMMFitted):
    """Donors in order of their prediction, drawn coefficients for the recipients, and the mixed model of both."""

    mixed: MixedFitted | None = None

    @property
    def effects(self) -> Array | None:
        """Effects of every cluster, (J, w); None where rows tell nothing of clusters."""
        return None if self.mixed is None else self.mixed.effects

    def added(self, Z: Array, codes: Any) -> Array:
        """What the clusters of rows add to their prediction, shape (n,)."""
        return np.zeros(len(Z)) if self.mixed is None else self.mixed.added(Z, codes)

    def redrawn(self, X: Array, y: Array, clusters: Clusters, rng: np.random.Generator) -> MixedPMMFitted:
        """The same with effects drawn anew, given rows (n, p) and their values: clusters that came later."""
        return self if self.mixed is None else replace(self, mixed=self.mixed.redrawn(X, y, clusters, rng))


@dataclass(frozen=True, slots=True)
class MixedPMM:
    """Take the value of a row whose prediction is near, predictions those of a linear mixed model.

    Parameters
    ----------
    donors : int, default 5
        How many of the nearest to choose from, whatever their cluster.
    random : str, default "~1"
        Right side of a formula: what differs between clusters.
    unit : hashable, optional
        The column of clusters; by default that of ``groups=`` or ``clusters=``.

    Notes
    -----
    One draw of all parameters, as in :class:`~mifit.imputation.methods.mixed.Mixed`, gives the predictions of donors
    and recipients (type 2 matching of Little 1988).
    """

    donors: int = 5
    random: str = "~1"
    unit: Hashable = None
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = f"{PMM.reference}\n{Mixed.reference}"
    facts: ClassVar[Facts] = Facts(
        offers=Offers(donors=True), density=False, unseen=False, truncates=False, linear=True, clustered=True,
        called="predictive mean matching by a linear mixed model",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> MixedPMMFitted:
        """Draw the mixed model, and sort the donors by their predictions."""
        fitted = Mixed().fit(visit, rng)
        predicted = visit.X @ fitted.coef
        if visit.clusters is not None:
            predicted = predicted + fitted.added(visit.clusters.Z, visit.clusters.codes)
        order = np.argsort(predicted, kind="stable")
        return MixedPMMFitted(
            fitted.coef, predicted[order], visit.y[order], self.donors, fitted.dropped, (), fitted.warm, fitted
        )

"""Likelihood terms of a mixed model for values that a whole cluster shares, the cluster's effects integrated out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...typing import Array, Rows
from .likelihood_terms import GroupedRows, GroupedTerm, LikelihoodTerm
from .visit import ClusterCodes

__all__ = ["CollapsedTerm", "IntegratedTerm", "together", "without_effects"]


def without_effects(term: LikelihoodTerm, grouped_rows: GroupedRows, clusters: ClusterCodes) -> Any:
    """The likelihood term of values that clusters share, their effects integrated out."""
    if hasattr(term.fitted, "integrated"):
        return IntegratedTerm(term, grouped_rows)
    return CollapsedTerm.of(term, grouped_rows, clusters)


def together(term: Any, grouped_rows: GroupedRows) -> Any:
    """The likelihood term of values that rows share."""
    whole = isinstance(term, CollapsedTerm | IntegratedTerm)
    return term if whole else GroupedTerm(term, grouped_rows)


@dataclass(frozen=True, slots=True, eq=False)
class CollapsedTerm:
    """The normal likelihood of all rows of a cluster as a function of a value that they share.

    Given its effects u a cluster's value would hardly move: they carry its last value. With them integrated out the
    rows r = y - X b have covariance sigma² (I + Z Lam Z'), and

        log p(r) = -(r'r - (Z'r)' W (Z'r)) / (2 sigma²) + constant,    W = (Z'Z + Lam^-1)^-1.
    """

    term: LikelihoodTerm  #: without effects
    grouped_rows: GroupedRows
    Z: Array  #: (n_mis, w) random columns, 0 in rows without an outcome
    inner: Array  #: (n_units, w, w) W of each cluster

    @classmethod
    def of(cls, term: LikelihoodTerm, grouped_rows: GroupedRows, clusters: ClusterCodes) -> CollapsedTerm:
        """The term of all rows of each cluster, the rows in which the variable is missing."""
        fitted: Any = term.fitted
        Z = clusters.columns(term.store.gathered(term.variable))
        if term.without_outcome is not None:
            Z[term.without_outcome] = 0.0
        width, unit, many = Z.shape[1], grouped_rows.unit, len(grouped_rows.first_rows)
        within = np.empty((many, width, width))
        for i in range(width):
            for j in range(i + 1):
                within[:, i, j] = within[:, j, i] = np.bincount(unit, Z[:, i] * Z[:, j], many)
        return cls(term, grouped_rows, Z, fitted.inner(within))

    @property
    def components(self) -> bool:
        """Its errors are normal."""
        return False

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Log-likelihood of values of some clusters minus its largest, at most 0; -inf outside the factor's domain."""
        cells, position = self.grouped_rows.expanded(at)
        gap = self._gap(cells, self.term.linear(cells, values[position]))
        apart = np.isfinite(gap)
        gap = np.where(apart, gap, 0.0)
        squares = np.bincount(position, gap * gap, len(at))
        toward = self._sums(self.Z[cells] * gap[:, None], position, len(at))
        explained = np.einsum("jk,jkl,jl->j", toward, self.inner[at], toward)
        fitted: Any = self.term.fitted
        score = -0.5 * np.maximum(squares - explained, 0.0) / fitted.residual_sd**2
        return np.where(np.bincount(position, ~apart, len(at)) > 0, -np.inf, score)

    def derivatives(self, at: Rows, values: Array) -> None:
        """None: differences of :meth:`log_accept` are taken."""
        return None

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """Precision that all rows of each cluster add, and precision times distance from ``mean``, each (n_units,)."""
        unit_of, many = self.grouped_rows.unit, len(self.grouped_rows.first_rows)
        line = self.term.line_at(backward, mean[unit_of], unit)
        if line is None:
            return None
        slope, middle = line
        gap = self._gap(slice(None), middle)
        if self.term.without_outcome is not None:
            slope = slope.copy()
            slope[self.term.without_outcome] = 0.0
        turned, toward = (self._sums(self.Z * one[:, None], unit_of, many) for one in (slope, gap))
        held = np.einsum("jkl,jl->jk", self.inner, turned)
        precision = np.bincount(unit_of, slope * slope, many) - np.einsum("jk,jk->j", turned, held)
        pull = np.bincount(unit_of, slope * gap, many) - np.einsum("jk,jk->j", toward, held)
        fitted: Any = self.term.fitted
        variance = fitted.residual_sd**2
        return np.maximum(precision, 0.0) / variance, pull / variance

    def _gap(self, at: Rows | slice, linear: Array) -> Array:
        """Outcome less its linear predictor in some rows; 0 in those without an outcome."""
        fitted, term = self.term.fitted, self.term
        gap: Array = fitted.standardised(term.response[at]) - linear  # type: ignore[attr-defined]
        if term.without_outcome is None:
            return gap
        every = np.arange(len(term.rows))[at] if isinstance(at, slice) else at
        return np.where(np.isin(every, term.without_outcome) & np.isfinite(linear), 0.0, gap)

    @staticmethod
    def _sums(rows: Array, unit: Rows, many: int) -> Array:
        """Sums of columns over the rows of each cluster, (many, w)."""
        return np.column_stack([np.bincount(unit, column, many) for column in rows.T])


@dataclass(frozen=True, slots=True, eq=False)
class IntegratedTerm:
    """The same where the likelihood is not normal: the level of each cluster is integrated out by quadrature."""

    term: LikelihoodTerm  #: without effects
    grouped_rows: GroupedRows

    @property
    def components(self) -> bool:
        """Its errors are as the family says."""
        return False

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Log-likelihood of values of some clusters, at most 0; -inf outside the factor's domain."""
        cells, position = self.grouped_rows.expanded(at)
        linear, fitted = self.term.linear(cells, values[position]), self.term.fitted
        good = np.isfinite(linear)
        outside = np.bincount(position, ~good, len(at)) > 0
        if self.term.without_outcome is not None:
            good &= ~np.isin(cells, self.term.without_outcome)
        found = np.zeros(len(at))
        if good.any():
            seen = position[good]
            known: Any = fitted
            found[np.unique(seen)] = known.integrated(self.term.response[cells[good]], linear[good], seen)
        return np.where(outside, -np.inf, np.minimum(found, 0.0))

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """None: it is not normal."""
        return None

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """None: differences serve."""
        return None

"""Likelihood terms: the log-likelihood of a fitted factor as a function of one variable's candidate values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...typing import Array, Rows
from ..contract import ScoresOutcome
from ..numerics.derivatives import along
from .store import ColumnStore, Model
from .visit import ClusterCodes, Response

__all__ = [
    "GroupedRows",
    "GroupedTerm",
    "LikelihoodTerm",
    "LinearInVariable",
    "ScoresValues",
    "prior_weights",
    "product",
]


#: log weight of a candidate whose mean is outside the domain of the family, in rows without an observed outcome: very
#: unlikely, but not impossible
_NOWHERE = -1e6


class ScoresValues(Protocol):
    """What the samplers ask of a likelihood term."""

    @property
    def components(self) -> bool:
        """Whether the errors of the factor are a mixture of normals, the component of each row to be drawn."""
        ...

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Log-likelihood of candidate values minus its maximum (≤ 0), one per unit, shape (len(at),)."""
        ...

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """Precision added by a normal factor, and precision times (its mean - current), each (n_units,), or None."""
        ...

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """First derivative of ``log_accept`` by the values, and minus the second, each (len(at),), or None."""
        ...


class LinearInVariable(NamedTuple):
    """Linear predictors that are lines in a variable: height + slope * (value - origin)."""

    origin: Array  #: (n_mis,)
    height: Array  #: (n_mis,) or (n_mis, k)
    slope: Array  #: the same


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodTerm:
    """One factor as a function of a variable's values: what does not depend on them is computed once."""

    fitted: ScoresOutcome
    store: ColumnStore
    variable: Hashable
    rows: Rows  #: (n_mis,) rows where the variable is missing
    response: Array  #: (n_mis,) the factor's outcome there, in the user's units
    without_outcome: Rows | None  #: positions among ``rows`` where the factor is omitted
    places: Rows  #: store columns that change with the variable
    slope: Array  #: their coefficients
    weights: Array | None = None  #: (n_mis,) prior weights of the factor
    own_slope: Array | None = None  #: (n_mis, k) what the cluster of each row adds to the coefficients
    rest: Array | None = None  #: linear predictor without the columns that change, where it is no line
    line: LinearInVariable | None = None  #: the linear predictor, where it is a line in the variable

    @classmethod
    def of_factor(
        cls,
        fitted: ScoresOutcome,
        model: Model,
        store: ColumnStore,
        variable: Hashable,
        response: Response,
        without_outcome: Rows | None = None,
        affine: bool = False,
        effects: Array | None = None,
    ) -> LikelihoodTerm:
        """Split the linear predictor into what stays and what changes with the variable.

        Where every column is a product with the variable it is a line in it, and evaluated as such; ``affine`` says
        that it is one anyway. Coefficients of a row are those of its cluster where there are ``effects``, (J, w).
        """
        rows = store.layout.table[variable].missing
        staying, changing = store.layout.split(model, variable)
        places, slope = model.columns[changing], fitted.coef[changing]
        y, row_weights = response.y[rows], prior_weights(fitted, response.weights, rows)
        level: Any = 0.0
        own_slope = None
        if effects is not None and response.clusters is not None:
            places, slope, own_slope, level = _of_clusters(store, variable, places, slope, response.clusters, effects)
        given = (rows, y, without_outcome, places, slope, row_weights, own_slope)
        of_factor = functools.partial(cls, fitted, store, variable, *given)
        steps = store.steps(variable, places) if store.finite else None
        full = model.wide(fitted.coef, len(store.layout)) if store.finite else None
        if steps is None and full is not None:
            full[places] = 0.0
        seen = store.gathered(variable)
        known = seen[:, model.columns[staying]] @ fitted.coef[staying] if full is None else seen @ full
        known = known if response.offset is None else known + response.offset[rows]
        known = known + level if effects is not None else known
        if steps is not None:
            rise = steps @ slope
            if own_slope is not None:
                rise = rise + np.einsum("ij,ij->i", steps, own_slope)
                known = known + np.einsum("ij,ij->i", seen[:, places], own_slope)
            return of_factor(line=LinearInVariable(store.values[variable][rows], known, rise))
        term = of_factor(rest=known)
        return of_factor(rest=known, line=term._straight()) if affine else term

    def _straight(self) -> LinearInVariable:
        """The linear predictor as a line in the variable, from its values at two points."""
        layout = self.store.layout
        own = layout.main.get(self.variable, self.places)[0]
        origin, unit = float(layout.centre[own]), float(layout.scale[own])
        every, points = np.arange(len(self.rows)), np.full(len(self.rows), origin)
        here = self.linear(every, points)
        return LinearInVariable(points, here, (self.linear(every, points + unit) - here) / unit)

    def linear(self, at: Rows | slice, values: Array) -> Array:
        """The linear predictor of some rows (positions among the missing values) at other values."""
        if self.line is not None:
            slope = self.line.slope[at]
            step = values - self.line.origin[at]
            return np.asarray(self.line.height[at] + slope * (step if slope.ndim == 1 else step[:, None]))
        fresh = self.store.imagine(self.places, self.variable, self.rows[at], values)
        assert self.rest is not None
        found = np.asarray(self.rest[at] + fresh @ self.slope)
        return found if self.own_slope is None else found + np.einsum("ij,ij->i", fresh, self.own_slope[at])

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Log-likelihood of values minus its maximum, at most 0; -inf outside the factor's domain."""
        linear = self.linear(at, values)
        score = self.fitted.log_accept(self.response[at], linear)
        if self.weights is not None:
            score = score * self.weights[at]
        if self.without_outcome is None and math.isfinite(score.sum() + linear.sum()):
            return score
        outside = ~np.isfinite(linear if linear.ndim == 1 else linear.sum(axis=1))
        score = np.where(outside | np.isnan(score), -np.inf, score)
        if (
            self.without_outcome is not None
        ):  # a row without observed outcome contributes only the domain of the mean, no likelihood
            possible = getattr(self.fitted, "possible", None)
            quiet = np.isin(at, self.without_outcome) & ~outside
            score = np.where(quiet, 0.0 if possible is None else np.where(possible(linear), 0.0, _NOWHERE), score)
        return score

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """First derivative of the log-likelihood by the variable, and minus the second.

        Parameters
        ----------
        at : ndarray, shape (n_at,)
            Positions among the missing values.
        values : ndarray, shape (n_at,)
            Where the derivatives are taken.

        Returns
        -------
        tuple of ndarray, each (n_at,), or None
            0 in rows without an outcome; None where the linear predictor is no line in the variable.
        """
        if self.line is None:
            return None
        first, minus = along(self.fitted, self.response[at], self.linear(at, values), self.line.slope[at])
        if self.weights is not None:
            first, minus = first * self.weights[at], minus * self.weights[at]
        if self.without_outcome is not None:
            uninformative = np.isin(at, self.without_outcome)
            first, minus = np.where(uninformative, 0.0, first), np.where(uninformative, 0.0, minus)
        return first, minus

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """What a normal factor, affine in what is drawn, adds to a normal around ``mean``.

        Parameters
        ----------
        backward : callable
            From what is drawn to the user's units.
        mean : ndarray, shape (n_mis,)
        unit : float
            A distance at which slopes are taken.

        Returns
        -------
        tuple of ndarray, each (n_mis,), or None
            Precision, and precision times the distance from ``mean``; None where it is not defined.
        """
        line = self.line_at(backward, mean, unit)
        return None if line is None else self._added(*line)

    def line_at(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """Slope and height of the linear predictor where what is drawn is ``mean``, each (n_mis,), or None."""
        at = slice(None)
        if self.line is not None and backward(mean) is mean:
            return self.line.slope, self.linear(at, mean)
        left, right = self.linear(at, backward(mean - unit)), self.linear(at, backward(mean + unit))
        if not (np.isfinite(left).all() and np.isfinite(right).all()):
            return None
        return (right - left) / (2.0 * unit), 0.5 * (left + right)

    def _added(self, slope: Array, middle: Array) -> tuple[Array, Array]:
        """Precision and pull from the slopes, and the linear predictor where the current mean is."""
        fitted: Any = self.fitted
        gap = fitted.standardised(self.response) - middle
        weight = (1.0 if self.weights is None else self.weights) / fitted.residual_sd**2
        precision, pull = weight * slope * slope, weight * slope * gap
        if self.without_outcome is not None:
            precision[self.without_outcome], pull[self.without_outcome] = 0.0, 0.0
        return precision, pull

    @property
    def components(self) -> bool:
        """Its errors are as the family says."""
        return False


def _of_clusters(
    store: ColumnStore, variable: Hashable, places: Rows, slope: Array, clusters: ClusterCodes, effects: Array
) -> tuple[Rows, Array, Array | None, Array]:
    """Columns that change with a variable, those whose effects differ by cluster among them; what effects do in a row.

    Returns
    -------
    places : ndarray, shape (k,)
    slope : ndarray, shape (k,)
        Their fixed coefficients.
    own_slope : ndarray, shape (n_mis, k), or None
        What a row's cluster adds to these.
    level : ndarray, shape (n_mis,)
        What it adds to the linear predictor through the other columns.
    """
    rows = store.layout.table[variable].missing
    own = effects[clusters.codes[rows]]
    moving = np.isin(clusters.places, store.layout.depends.get(variable, np.empty(0, dtype=np.int64)))
    seen = clusters.columns(store.gathered(variable))
    level = np.einsum("ij,ij->i", seen[:, ~moving], own[:, ~moving])
    if not moving.any():
        return places, slope, None, level
    more = clusters.places[moving]
    every = np.concatenate([places, np.setdiff1d(more, places)])
    added = np.zeros((len(rows), len(every)))
    added[:, [int(np.flatnonzero(every == place)[0]) for place in more]] = own[:, moving]
    return every, np.concatenate([slope, np.zeros(len(every) - len(places))]), added, level


def prior_weights(fitted: ScoresOutcome, weights: Array | None, rows: Rows) -> Array | None:
    """Prior weights of a factor on some rows, as its fitted half has them; None where all are 1."""
    if weights is None:
        return None
    worth = getattr(fitted, "worth", None)
    heavy = weights[rows]
    return heavy if worth is None else np.asarray(worth(heavy))


class GroupedRows(NamedTuple):
    """Rows drawn together: the missing values of a variable that is constant within an id."""

    unit: Rows  #: (n_mis,) unit of each missing value
    order: Rows  #: (n_mis,) missing values sorted by unit
    begin: Rows  #: (n_units + 1,) where each unit's missing values begin in that order
    first_rows: Rows  #: (n_units,) the first missing value of each unit

    @classmethod
    def of(cls, unit: Rows) -> GroupedRows:
        """Sort missing values by their unit, 0..n_units-1."""
        order = np.argsort(unit, kind="stable")
        begin = np.searchsorted(unit[order], np.arange(unit.max(initial=-1) + 2))
        return cls(unit, order, begin, order[begin[:-1]])

    def expanded(self, at: Rows) -> tuple[Rows, Rows]:
        """Missing values of some units, and for each the position of its unit among them."""
        counts = self.begin[at + 1] - self.begin[at]
        position = np.repeat(np.arange(len(at)), counts)
        step = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.order[self.begin[at][position] + step], position


@dataclass(frozen=True, slots=True, eq=False)
class GroupedTerm:
    """The likelihood term of values that all rows of an id share: the product over its rows."""

    term: Any  #: LikelihoodTerm, or MixtureTerm
    grouped_rows: GroupedRows

    @property
    def components(self) -> bool:
        """Whether the errors of the factor are a mixture of normals."""
        return bool(self.term.components)

    @property
    def moving(self) -> bool:
        """Whether the spread of such errors changes with the variable."""
        return bool(self.term.moving)

    def information_of_components(
        self, backward: Callable[[Array], Array], mean: Array, spread: Array, unit: float, rng: np.random.Generator,
        current: Array,
    ) -> tuple[Array, Array] | None:  # fmt: skip
        """Draw the component of each row given the value of its unit; then sums over the rows of each unit."""
        unit_of = self.grouped_rows.unit
        args = (backward, mean[unit_of], spread[unit_of], unit, rng, current[unit_of])
        return self._summed(self.term.information_of_components(*args))

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Sum over the rows of each unit, shape (len(at),)."""
        cells, position = self.grouped_rows.expanded(at)
        score = self.term.log_accept(cells, values[position])
        return np.bincount(position, score, len(at)).astype(np.float64)

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """Sums over the rows of each unit, each (len(at),)."""
        cells, position = self.grouped_rows.expanded(at)
        found = self.term.derivatives(cells, values[position])
        if found is None:
            return None
        first, minus = (np.bincount(position, part, len(at)).astype(np.float64) for part in found)
        return first, minus

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """Sums over the rows of each unit, each (n_units,)."""
        return self._summed(self.term.information(backward, mean[self.grouped_rows.unit], unit))

    def _summed(self, found: tuple[Array, Array] | None) -> tuple[Array, Array] | None:
        """Sums over the rows of each unit."""
        if found is None:
            return None
        n_units = len(self.grouped_rows.first_rows)
        precision, pull = (np.bincount(self.grouped_rows.unit, part, n_units).astype(np.float64) for part in found)
        return precision, pull


def product(mean: Array, row_sd: Array, precision: Array, pull: Array) -> tuple[Array, Array]:
    """Mean and spread of a normal times another one."""
    narrowed = 1.0 / (1.0 / row_sd**2 + precision)
    return mean + narrowed * pull, np.sqrt(narrowed)

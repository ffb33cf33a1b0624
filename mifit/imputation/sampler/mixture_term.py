"""Likelihood terms of a factor whose errors are a mixture: normal once the component of each row is drawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from ..methods.mixture import MixtureFitted
from ..numerics.mixture import MOST_LOG_SD, pick, summed
from .likelihood_terms import LikelihoodTerm, product
from .store import ColumnStore, Layout, Model
from .visit import Response

__all__ = ["MixtureTerm", "spread_columns"]


#: Metropolis steps of a variable with which the spread changes: in the first sweep, which begins anywhere; in others
FIRST_STEPS, STEPS = 15, 2


class _LogSd(NamedTuple):
    """The log spread of a factor as a linear predictor."""

    coef: Array  #: (p,)
    events: tuple[str, ...] = ()

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Zero: it is no likelihood term by itself."""
        return np.zeros(len(linear))


@dataclass(frozen=True, slots=True, eq=False)
class MixtureTerm:
    """A factor with a learned error law as a function of one variable's values."""

    term: LikelihoodTerm  #: its mean
    fitted: MixtureFitted
    still: Array  #: (n_mis,) log spread of each row, where it does not change with the variable
    log_sd: LikelihoodTerm | None = None  #: log sd, where it changes with the variable
    steps: int = STEPS

    @classmethod
    def of(
        cls, term: LikelihoodTerm, model: Model, store: ColumnStore, variable: Hashable, steps: int = STEPS
    ) -> MixtureTerm:
        """A likelihood term whose factor has a learned error law."""
        fitted: Any = term.fitted
        known = np.zeros(len(term.rows)) if term.weights is None else -0.5 * np.log(term.weights)
        if fitted.log_sd_slope is None:
            return cls(term, fitted, known)
        log_sd: Any = _LogSd(fitted.log_sd_slope)
        spread = LikelihoodTerm.of_factor(log_sd, model, store, variable, Response(np.zeros(store.n_rows)))
        if spread.slope.any():
            return cls(term, fitted, known, spread, steps)
        seen = store.gathered(variable)[:, model.columns]
        return cls(term, fitted, known + fitted.log_spread(seen))

    @property
    def components(self) -> bool:
        """Its errors are a mixture of normals."""
        return True

    @property
    def moving(self) -> bool:
        """Whether the spread changes with the variable."""
        return self.log_sd is not None

    def log_spread(self, at: Rows | slice, values: Array) -> Array:
        """Log spread of some rows at other values of the variable."""
        if self.log_sd is None:
            return self.still[at]
        return self.still[at] + np.clip(self.log_sd.linear(at, values), -MOST_LOG_SD, MOST_LOG_SD)

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Log-likelihood of values less a bound of it, components summed out; 0 in rows without an outcome."""
        linear = self.term.linear(at, values)
        spread = self.log_spread(at, values)
        with np.errstate(invalid="ignore", over="ignore"):  # far out there is no density
            score = self.fitted.log_accept(self.term.response[at], linear, spread)
        if self.log_sd is not None:  # the density is the higher, the smaller the spread
            score = score - (spread - self.still[at]) - MOST_LOG_SD
        score = np.where(np.isfinite(linear) & ~np.isnan(score), score, -np.inf)
        if self.term.without_outcome is None:
            return score
        return np.where(np.isin(at, self.term.without_outcome) & np.isfinite(linear), 0.0, score)

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """First derivative of :meth:`log_accept` by the variable, and minus the second; None where the spread moves."""
        line = self.term.line
        if line is None or self.log_sd is not None:
            return None
        linear, slope = self.term.linear(at, values), line.slope[at]
        first, minus = self.fitted.derivatives(self.term.response[at], linear, self.still[at])
        first, minus = first * slope, minus * slope * slope
        if self.term.without_outcome is not None:
            uninformative = np.isin(at, self.term.without_outcome)
            first, minus = np.where(uninformative, 0.0, first), np.where(uninformative, 0.0, minus)
        return first, minus

    def information_of_components(
        self, backward: Callable[[Array], Array], mean: Array, spread: Array, unit: float, rng: np.random.Generator,
        current: Array | None = None,
    ) -> tuple[Array, Array] | None:  # fmt: skip
        """Draw the component of each row; then what the factor adds to a normal around ``mean``.

        Parameters
        ----------
        backward : callable
            From what is drawn to the user's units.
        mean, spread : ndarray, shape (n_mis,)
            Of what is drawn, without this factor.
        unit : float
            A distance at which slopes are taken.
        rng : Generator
        current : ndarray, shape (n_mis,), optional
            What is drawn, as it stands: components are drawn given it, else with what is drawn summed out.

        Returns
        -------
        tuple of ndarray, each (n_mis,), or None
            Precision, and precision times the distance from ``mean``; None where it is not defined.
        """
        line = self.term.line_at(backward, mean, unit)
        if line is None:
            return None
        slope, middle = line
        size = np.exp(self.still)
        height, wide = (middle, spread) if current is None else (middle + slope * (current - mean), 0.0)
        labels = pick(self._shares(slope, height, wide, size), rng)
        return self._given(labels, slope, middle, size)

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> None:
        """Nothing before the components are drawn."""
        return None

    def _shares(self, slope: Array, middle: Array, spread: Array | float, size: Array) -> Array:
        """Log weight of each component in each row, the variable summed out, shape (K, n_mis)."""
        law = self.fitted.law
        gap = self.fitted.standardised(self.term.response) - middle
        variance = np.multiply.outer(law.variance, size * size)
        variance += (slope * spread) ** 2
        found = gap - np.multiply.outer(law.mean, size)
        found *= found
        found /= variance
        found += np.log(variance)
        found *= -0.5
        found += np.log(law.weight)[:, None]
        return np.asarray(found)

    def _given(self, labels: Rows, slope: Array, middle: Array, size: Array) -> tuple[Array, Array]:
        """Precision of the factor given its components, and precision times the distance from the mean."""
        law = self.fitted.law
        gap = self.fitted.standardised(self.term.response) - middle - law.mean[labels] * size
        weight = 1.0 / (law.variance[labels] * size * size)
        pull = weight * slope
        precision, pull = pull * slope, pull * gap
        if self.term.without_outcome is not None:
            precision[self.term.without_outcome], pull[self.term.without_outcome] = 0.0, 0.0
        return precision, pull

    def stepped(
        self, backward: Callable[[Array], Array], mean: Array, spread: Array, current: Array, unit: float,
        rng: np.random.Generator,
    ) -> tuple[Array, npt.NDArray[np.bool_]]:  # fmt: skip
        """Metropolis steps of a variable with which the spread changes: proposed as if the spread stayed as it is.

        Parameters
        ----------
        backward : callable
            From what is drawn to the user's units.
        mean, spread : ndarray, shape (n_mis,)
            Of what is drawn, without this factor.
        current : ndarray, shape (n_mis,)
            What is drawn, as it stands.
        unit : float
            A distance at which slopes are taken.
        rng : Generator

        Returns
        -------
        values : ndarray, shape (n_mis,)
        moved : ndarray of bool, shape (n_mis,)
            Rows of which a step was accepted.

        Notes
        -----
        With f(x; s) the mixture's density of the residual at x under the spread s, and Z(s) its integral over the
        normal of x, a proposal x' has the density N(x') f(x'; s) / Z(s): the ratio of Hastings is
        f(x'; s') f(x; s') Z(s) / (f(x; s) f(x'; s) Z(s')), where s belongs to x and s' to x'.
        """
        line = self.term.line_at(backward, mean, unit)
        if line is None:
            return current, np.zeros(len(current), dtype=bool)
        slope, middle = line
        every, moved = slice(None), np.zeros(len(current), dtype=bool)

        def density(x: Array, size: Array) -> Array:
            return summed(self._shares(slope, middle + slope * (x - mean), 0.0, size))

        for _ in range(self.steps):
            size = np.exp(self.log_spread(every, backward(current)))
            shares = self._shares(slope, middle, spread, size)
            precision, pull = self._given(pick(shares, rng), slope, middle, size)
            middle_given, spread_given = product(mean, spread, precision, pull)
            drawn = middle_given + spread_given * rng.standard_normal(len(mean))
            other = np.exp(self.log_spread(every, backward(drawn)))
            ratio = density(drawn, other) + density(current, other) - summed(self._shares(slope, middle, spread, other))
            ratio -= density(current, size) + density(drawn, size) - summed(shares)
            if self.term.without_outcome is not None:
                ratio[self.term.without_outcome] = 0.0
            good = _accepted(ratio, rng)
            current, moved = np.where(good, drawn, current), moved | good
        return current, moved


def _accepted(ratio: Array, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which proposals the rule of Metropolis and Hastings accepts, from log ratios, shape (n,)."""
    return np.log(rng.random(len(ratio))) < ratio


def spread_columns(layout: Layout, places: Rows) -> Rows:
    """Positions among some columns of those that the spread may differ with: of one variable, or an outcome."""
    found = []
    for at, place in enumerate(places.tolist()):
        slot = layout.slots[place]
        outcome = slot.design is not None and slot.position is None
        if outcome or (slot.unit is None and len(layout.needs(places[at : at + 1])) == 1):
            found.append(at)
    return np.array(found, dtype=np.int64)

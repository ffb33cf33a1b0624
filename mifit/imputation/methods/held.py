"""A regression of which one coefficient is given, not estimated: what a sensitivity analysis assumes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Fitted, Method, Offers, Visit, facts_of

__all__ = ["Held", "Moved", "MovedFitted", "can_hold"]


def can_hold(method: Method) -> bool:
    """Whether a method can be fitted with one coefficient given: the normal regression, or one that uses an offset."""
    facts = facts_of(method)
    return facts.offset or _is_normal(facts)


def _is_normal(facts: Facts) -> bool:
    """Whether values are normal around a linear predictor, in the user's own units."""
    offers = facts.offers or Offers()
    other = offers.components or facts.matches or facts.clustered
    return facts.linear and offers.direct and offers.gaussian and not other


@dataclass(frozen=True)
class Held:
    """A regression with the coefficient of one column given; the others are drawn given it.

    Parameters
    ----------
    method : Method
        One that :func:`can_hold`.
    coefficient : float
        Of the standardised column: its coefficient in the user's units times the column's scale.
    term : int, default -1
        The term of the column among ``Visit.terms``; where no column has it the method is as it is without.

    Notes
    -----
    The given part of the linear predictor is an offset, subtracted from the response of a normal regression. What is
    fitted has all columns again, so that it draws, and is a likelihood of each of them, as any other regression.
    """

    method: Any
    coefficient: float
    term: int = -1

    @property
    def kinds(self) -> frozenset[Kind]:
        """Those of the method."""
        return frozenset(self.method.kinds)

    @property
    def reference(self) -> str:
        """That of the method."""
        return str(self.method.reference)

    @property
    def facts(self) -> Facts:
        """Those of the method; it is fitted anew each time, and its error law was chosen before."""
        return facts_of(self.method)._replace(curvature=False, opened=False, cross=False, doubted="", tuned=False)

    def fit(self, visit: Visit, rng: np.random.Generator) -> Fitted:
        """Draw the other coefficients given this one."""
        places = np.flatnonzero(visit.terms == self.term)
        if not len(places):
            return self.method.fit(visit, rng)
        place, X = int(places[0]), visit.X
        given = self.coefficient * X[:, place]
        fitted: Any = self.method.fit(self._without(visit, X, place, given), rng)
        unit = fitted.scale if _is_normal(facts_of(self.method)) else 1.0
        return replace(fitted, coef=np.insert(fitted.coef, place, self.coefficient / unit))

    def _without(self, visit: Visit, X: Array, place: int, given: Array) -> Visit:
        """What the method sees: the other columns, the given part known."""
        y, offset, limits = visit.y, visit.offset, visit.limits
        if _is_normal(facts_of(self.method)):
            y = y - given
            limits = None if limits is None else (limits[0] - given, limits[1] - given)
        else:
            offset = given if offset is None else offset + given
        others = np.delete(np.arange(X.shape[1]), place)
        return Visit(
            y, X[:, others], visit.terms[others], visit.kind, visit.n_levels, warm=visit.warm, weights=visit.weights,
            offset=offset, limits=limits,
        )  # fmt: skip


@dataclass(frozen=True)
class Moved:
    """Any method of numbers, what it draws moved by a given multiple of one column: it is fitted where that is 0.

    Parameters
    ----------
    method : Method
    coefficient : float
        Of the standardised column, in the user's units.
    origin : float
        The standardised column where it is 0.
    term : int
    """

    method: Any
    coefficient: float
    origin: float = 0.0
    term: int = -1

    @property
    def kinds(self) -> frozenset[Kind]:
        """Those of the method."""
        return frozenset(self.method.kinds)

    @property
    def reference(self) -> str:
        """That of the method."""
        return str(self.method.reference)

    @property
    def facts(self) -> Facts:
        """It draws, and nothing else is asked of it."""
        return Facts(offers=Offers(), density=False, weighted=facts_of(self.method).weighted)

    def fit(self, visit: Visit, rng: np.random.Generator) -> Fitted:
        """Fit the method without the column."""
        places = np.flatnonzero(visit.terms == self.term)
        if not len(places):
            return self.method.fit(visit, rng)
        others = np.delete(np.arange(len(visit.terms)), places)
        seen = Visit(
            visit.y, visit.X[:, others], visit.terms[others], visit.kind, visit.n_levels, warm=visit.warm,
            weights=visit.weights, offset=visit.offset, limits=visit.limits,
        )  # fmt: skip
        return MovedFitted(self.method.fit(seen, rng), int(places[0]), self.coefficient, self.origin)


@dataclass(frozen=True)
class MovedFitted:
    """What a method fitted, its draws moved."""

    fitted: Any
    place: int
    coefficient: float
    origin: float

    @property
    def warm(self) -> Any:
        """That of what is fitted."""
        return self.fitted.warm

    @property
    def events(self) -> tuple[str, ...]:
        """Those of what is fitted."""
        return tuple(self.fitted.events)

    def sample(self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0) -> Array:
        """Draw, then move, shape (n_draw,)."""
        drawn = self.fitted.sample(np.delete(X, self.place, axis=1), rng, shift)
        return np.asarray(drawn + self.coefficient * (X[:, self.place] - self.origin))

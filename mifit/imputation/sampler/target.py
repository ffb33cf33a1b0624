"""Target: the density of missing values on the scale of their own factor, a normal times likelihood terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array, Rows
from .likelihood_terms import ScoresValues

__all__ = ["Target", "total_score"]


class Target(NamedTuple):
    """What is to be drawn for some missing values, up to a constant in each row."""

    own: Any  #: the own factor, with ``forward`` and ``backward``
    mean: Array  #: (n,) of the own normal, other normal factors multiplied into it
    sd: Array  #: (n,) above 0
    terms: Sequence[ScoresValues]
    at: Rows  #: (n,) positions of these rows among all missing values of the variable
    low: Array  #: (n,) bounds on the scale of the own factor, -inf where open
    high: Array  #: (n,) inf where open

    def of(self, some: Rows) -> Target:
        """The same of some of these rows."""
        return self._replace(
            mean=self.mean[some], sd=self.sd[some], at=self.at[some], low=self.low[some], high=self.high[some]
        )

    def log_density(self, scaled: Array, values: Array) -> Array:
        """Log density, (n,), at points of the own scale and the values they stand for; -inf where there is none."""
        within = (self.low <= scaled) & (scaled <= self.high)
        score = total_score(self.terms, self.at, values if within.all() else np.where(within, values, np.nan))
        with np.errstate(invalid="ignore", over="ignore"):
            found = score - 0.5 * ((scaled - self.mean) / self.sd) ** 2
        return np.where(np.isfinite(found), found, -np.inf)


def total_score(terms: Sequence[ScoresValues], at: Rows, values: Array) -> Array:
    """Sum of all likelihood terms, shape (len(at),); -inf where a value is outside a scale or a domain."""
    possible = np.isfinite(values)
    if len(terms) == 1 and possible.all():
        return terms[0].log_accept(at, values)
    score = np.full(len(values), -np.inf)
    if not possible.any():
        return score
    good = np.flatnonzero(possible)
    total = np.zeros(len(good))
    for term in terms:
        total += term.log_accept(at[good], values[good])
    score[good] = total
    return score

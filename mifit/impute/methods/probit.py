"""Probit regression: two levels, the normal quantile of the probability linear in the predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_ndtr, ndtr

from ...frame.kinds import Kind
from ..contract import Array, Visit
from ..newton import Likelihood, draw
from ..separation import NEVER, columns, incidents, observed, resume, settle

__all__ = ["Probit", "ProbitFitted"]

_SHRUNK = "separation: no finite estimate; parameters drawn under a weak normal prior"
_PRIOR = 2.5  # standard deviation of that prior per standard deviation of a column


@dataclass(frozen=True, slots=True)
class Probit:
    """Two levels, drawn from a probit regression whose coefficients are drawn first.

    References
    ----------
    Finney, D. J. (1947). *Probit Analysis*. Cambridge University Press.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.BINARY})
    reference: ClassVar[str] = "Finney (1947), Probit Analysis, Cambridge University Press"

    def fit(self, visit: Visit, rng: np.random.Generator) -> ProbitFitted:
        """Estimate, then draw the coefficients."""
        X, y = visit.X, visit.y
        levels, _, count, events = observed(y, 2)
        coef = np.zeros(X.shape[1])
        if len(levels) < 2:
            coef[:1] = NEVER * (2 * levels - 1) if len(levels) else 0.0
            return ProbitFitted(coef, visit.warm, events)
        found = columns(X, visit.terms, visit.squares())
        null = np.zeros(len(found.kept))
        start, rescued = resume(visit.warm, found.kept, levels, len(null))
        spread = found.X.std(axis=0)
        offset = 0.0 if visit.offset is None else visit.offset

        def make(rescue: bool) -> Likelihood:
            return _normal(found.X, y, (spread / _PRIOR) ** 2 if rescue else 0.0 * spread, offset)

        yardstick = found.unit * np.sum(1 / count) * len(y)
        peak, rescued = settle(make, null, start, yardstick, rescued)
        events += incidents(peak, rescued, _SHRUNK)
        coef[found.kept] = draw(peak.estimate, peak.root, rng)
        warm = (peak.estimate, found.kept, levels, rescued)
        return ProbitFitted(coef, warm, found.events + events, found.dropped)


@dataclass(frozen=True, slots=True, eq=False)
class ProbitFitted:
    """Drawn coefficients of a probit regression."""

    coef: Array  #: (p,)
    warm: Any
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of level 0 and of level 1, shape (n_draw, 2)."""
        linear = X @ self.coef
        return np.column_stack([log_ndtr(-linear), log_ndtr(linear)])

    def sample(self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0) -> Array:
        """Draw codes 0 and 1, shape (n_draw,); `shift` is added to the linear predictor."""
        return (rng.random(len(X)) < ndtr(X @ self.coef + shift)).astype(np.float64)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of the level that y, shape (n,), has under the linear predictor."""
        return np.asarray(log_ndtr((2 * y - 1) * linear))


def _normal(X: Array, y: Array, precision: Array, offset: Array | float) -> Likelihood:
    """Log-likelihood of a probit regression, part of it known, with a normal prior of some precision on each slope."""
    sign = 2 * y - 1

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        margin = sign * (X @ beta + offset)
        log_share = log_ndtr(margin)
        ratio = np.exp(-0.5 * margin * margin - log_share) / np.sqrt(2 * np.pi)
        root = X * np.sqrt(np.maximum(ratio * (ratio + margin), 0.0))[:, None]
        value = float(np.sum(log_share) - 0.5 * precision @ (beta * beta))
        return value, X.T @ (sign * ratio) - precision * beta, -(root.T @ root) - np.diag(precision)

    return likelihood

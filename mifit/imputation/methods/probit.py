"""Probit regression: two levels, the normal quantile of the probability linear in the predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_ndtr, ndtr

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Problem, estimate
from ..numerics.newton import Likelihood, draw
from ..numerics.priors import weak_prior
from ..numerics.separation import NEVER, columns, observed

__all__ = ["Probit", "ProbitFitted"]

_SHRUNK = "separation: no finite estimate; parameters drawn under a weak normal prior"


@dataclass(frozen=True, slots=True)
class Probit:
    """Two levels, drawn from a probit regression whose coefficients are drawn first.

    References
    ----------
    Finney, D. J. (1947). *Probit Analysis*. Cambridge University Press.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.BINARY})
    reference: ClassVar[str] = (
        "Finney, D. J. (1947). Probit Analysis: A Statistical Treatment of the Sigmoid Response Curve. "
        "Cambridge: Cambridge University Press"
    )
    facts: ClassVar[Facts] = Facts(offers=Offers(levels=True), unseen=False, truncates=False, offset=True)

    def fit(self, visit: Visit, rng: np.random.Generator) -> ProbitFitted:
        """Estimate, then draw the coefficients."""
        X, y = visit.X, visit.y
        levels, _, count, events = observed(y, 2)
        coef = np.zeros(X.shape[1])
        if len(levels) < 2:
            coef[:1] = NEVER * (2 * levels - 1) if len(levels) else 0.0
            return ProbitFitted(coef, visit.warm, events)
        found = columns(X, visit.terms, visit.squares())
        offset = 0.0 if visit.offset is None else visit.offset

        def likelihood(rescue: bool) -> Likelihood:
            plain = _probit(found.X, y, offset)
            return weak_prior(plain, found.X, constant=False) if rescue else plain

        yardstick = found.unit * np.sum(1 / count) * len(y)
        problem = Problem(likelihood, np.zeros(len(found.kept)), yardstick, _SHRUNK, keeps_curvature=False)
        peak, warm_start, said = estimate(problem, found, levels, visit.warm, len(y))
        coef[found.kept] = draw(peak.estimate, peak.root, rng)
        return ProbitFitted(coef, warm_start, found.events + events + said, found.dropped)


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

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        sign = 2 * y - 1
        margin = sign * linear
        ratio = np.exp(-0.5 * margin * margin - log_ndtr(margin)) / np.sqrt(2 * np.pi)
        return sign * ratio, np.maximum(ratio * (ratio + margin), 0.0)


def _probit(X: Array, y: Array, offset: Array | float) -> Likelihood:
    """Log-likelihood of a probit regression, part of its linear predictor known."""
    sign = 2 * y - 1

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        margin = sign * (X @ beta + offset)
        log_share = log_ndtr(margin)
        ratio = np.exp(-0.5 * margin * margin - log_share) / np.sqrt(2 * np.pi)
        root = X * np.sqrt(np.maximum(ratio * (ratio + margin), 0.0))[:, None]
        return float(np.sum(log_share)), X.T @ (sign * ratio), -(root.T @ root)

    return likelihood

"""Proportions: a normal regression of their log odds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit, logit

from ...errors import PlanError
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from .norm import Normal, NormalFitted

__all__ = ["LogitNormal", "LogitNormalFitted"]

_WIDER = 0.5  # of a row's share: how far the ends lie beyond values that reach them


@dataclass(frozen=True, slots=True)
class LogitNormalFitted:
    """Drawn parameters on the scale of the log odds."""

    inner: NormalFitted
    low: float
    high: float
    events: tuple[str, ...] = ()
    warm: Any = None

    def mean_sd(self, X: Array) -> tuple[Array, float]:
        """Mean (n_draw,) and standard deviation of the log odds."""
        return self.inner.mean_sd(X)

    def forward(self, values: Array) -> Array:
        """Log odds of the place between the ends; NaN outside."""
        with np.errstate(all="ignore"):
            return np.asarray(logit((values - self.low) / (self.high - self.low)))

    def backward(self, scaled: Array) -> Array:
        """From log odds to the user's units."""
        return self.low + (self.high - self.low) * expit(scaled)

    def log_density(self, values: Array, X: Array) -> Array:
        """Log density of values in the user's units, shape (n_draw,)."""
        share = (values - self.low) / (self.high - self.low)
        with np.errstate(all="ignore"):
            slope = np.log(share) + np.log1p(-share) + np.log(self.high - self.low)
        return self.inner.log_density(self.forward(values), X) - slope

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        return self.backward(self.inner.sample(X, rng, shift))


@dataclass(frozen=True, slots=True)
class LogitNormal:
    """Draw a proportion, or another number between two ends, from a Bayesian linear regression of its log odds.

    Parameters
    ----------
    low, high : float, default 0 and 1
        The ends. Where a value reaches or passes one, both ends lie farther out by half the share of one row of the
        range, so that its log odds are finite.

    References
    ----------
    Aitchison, J. and Shen, S. M. (1980). Logistic-normal distributions: some properties and uses. *Biometrika* 67(2),
    261-272. doi:10.1093/biomet/67.2.261

    Examples
    --------
    >>> import mifit
    >>> mifit.check_method(LogitNormal())
    """

    low: float = 0.0
    high: float = 1.0
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC})
    reference: ClassVar[str] = (
        "Aitchison, J. and Shen, S. M. (1980). Logistic-normal distributions: some properties and uses. Biometrika "
        "67(2), 261-272. doi:10.1093/biomet/67.2.261"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(normal=True), tuned=True, scores=False, called="Bayesian linear regression of log odds"
    )

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise PlanError(f"low is {self.low} and high {self.high}.", do="mifit.LogitNormal(low=0.0, high=1.0)")

    def tuned(self, observed: Array) -> LogitNormal:
        """The same with ends beyond every observed value."""
        low, high = self._ends(observed)
        return replace(self, low=low, high=high)

    def fit(self, visit: Visit, rng: np.random.Generator) -> LogitNormalFitted:
        """Draw the parameters of the regression of the log odds."""
        low, high = self._ends(visit.y)
        y = np.asarray(logit((visit.y - low) / (high - low)))
        inner = Normal().fit(Visit(y, visit.X, visit.terms, visit.kind, weights=visit.weights), rng)
        return LogitNormalFitted(inner, low, high, inner.events)

    def _ends(self, values: Array) -> tuple[float, float]:
        """The ends, farther out where a value reaches them."""
        least, most = float(values.min(initial=self.high)), float(values.max(initial=self.low))
        if self.low < least and most < self.high:
            return self.low, self.high
        low, high = min(self.low, least), max(self.high, most)
        gap = _WIDER * (high - low) / (len(values) + 1)
        return low - gap, high + gap

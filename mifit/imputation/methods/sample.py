"""Random draws from the observed values, for variables without predictors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit

__all__ = ["Sample", "SampleFitted"]


@dataclass(frozen=True, slots=True)
class SampleFitted:
    """Observed values and a drawn weight for each."""

    values: Array  #: (n_fit,)
    cumulative: Array  #: (n_fit,) drawn weights, summed up
    events: tuple[str, ...] = ()
    warm: Any = None

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one observed value per row, shape (n_draw,)."""
        at = np.searchsorted(self.cumulative, rng.random(len(X)) * self.cumulative[-1])
        return self.values[np.minimum(at, len(self.values) - 1)]


@dataclass(frozen=True, slots=True)
class Sample:
    """Draw from the observed values, ignoring every predictor (Bayesian bootstrap).

    References
    ----------
    Rubin, D. B. (1981). The Bayesian bootstrap. *Annals of Statistics* 9(1), 130-134.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset(set(Kind) - {Kind.OTHER})
    reference: ClassVar[str] = (
        "Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9(1), 130-134. doi:10.1214/aos/1176345338"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(), density=False, unseen=False, called="the Bayesian bootstrap of the observed values",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> SampleFitted:
        """Draw the weights of the observed values."""
        return SampleFitted(visit.y.copy(), np.cumsum(rng.standard_exponential(len(visit.y))))

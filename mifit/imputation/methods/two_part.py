"""Numbers that are 0, or at a limit, in many rows: whether they are there, and their value elsewhere."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from .logistic import Logistic
from .power import Power

__all__ = ["TwoPart", "TwoPartFitted", "commonest"]


@dataclass(frozen=True, slots=True)
class TwoPartFitted:
    """Drawn parameters of both parts."""

    spike: float
    side: float  #: 1: all other values lie above the spike; -1: below; 0: on both sides
    elsewhere: Any  #: fitted logistic regression: 1 where the value is not at the spike
    rest: Any  #: fitted model of the distance from the spike, or of the value; None where no other was seen
    events: tuple[str, ...] = ()
    warm: Any = None

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        if self.rest is None:
            return np.full(len(X), self.spike)
        there = self.elsewhere.sample(X, rng)
        values = self.rest.sample(X, rng)
        values = values if self.side == 0 else self.spike + self.side * values
        return np.where(there == 1.0, values + shift, self.spike)


@dataclass(frozen=True, slots=True)
class TwoPart:
    """Draw whether a value is at its spike by a logistic regression, and what it is elsewhere by a power model.

    Costs, doses and intakes that are 0 in many rows, and measurements at a limit. The column enters formulas as its
    number; an analysis judges both parts at once.

    Parameters
    ----------
    spike : float, optional
        The value that many rows have; by default the commonest one.
    rest : Power
        The model of all other values: of their distance from the spike where they lie on one side of it.

    References
    ----------
    Javaras, K. N. and van Dyk, D. A. (2003). Multiple imputation for incomplete data with semicontinuous variables.
    *JASA* 98(463), 703-715. doi:10.1198/016214503000000611

    Examples
    --------
    >>> import numpy as np, pandas as pd, mifit
    >>> rng = np.random.default_rng(1)
    >>> cost = np.where(rng.random(200) < 0.4, 0.0, rng.gamma(2.0, 3.0, 200))
    >>> df = pd.DataFrame({"y": cost + rng.normal(size=200), "cost": np.where(rng.random(200) < 0.2, np.nan, cost)})
    >>> imp = df.mice.impute("y ~ cost", m=2, rng=1)
    >>> imp.plan["cost"].label, bool((imp[0]["cost"] >= 0).all())
    ('two-part', True)
    """

    spike: float | None = None
    rest: Power = field(default_factory=lambda: Power(heteroscedastic=True))
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC})
    reference: ClassVar[str] = (
        "Javaras, K. N. and van Dyk, D. A. (2003). Multiple imputation for incomplete data with semicontinuous "
        "variables. Journal of the American Statistical Association 98(463), 703-715. doi:10.1198/016214503000000611"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(), tuned=True, scores=False,
        called="models in two parts (whether a value is at its limit; its value elsewhere)",
    )  # fmt: skip

    def tuned(self, observed: Array) -> TwoPart:
        """The same with its spike and the constants of the scale taken from observed values."""
        spike = commonest(observed)[0] if self.spike is None else self.spike
        distance, _ = _distance(observed[observed != spike], spike)
        rest = self.rest.tuned(distance) if len(distance) else self.rest
        return dataclasses.replace(self, spike=spike, rest=rest)

    def fit(self, visit: Visit, rng: np.random.Generator) -> TwoPartFitted:
        """Draw the parameters of both parts."""
        spike = commonest(visit.y)[0] if self.spike is None else self.spike
        there = visit.y != spike
        other, side = _distance(visit.y[there], spike)
        two = Visit(there.astype(np.float64), visit.X, visit.terms, Kind.BINARY, 2, weights=visit.weights)
        elsewhere = Logistic().fit(two, rng)
        weights = None if visit.weights is None else visit.weights[there]
        others = Visit(other, visit.X[there], visit.terms, visit.kind, weights=weights)
        rest = self.rest.fit(others, rng) if len(other) else None
        return TwoPartFitted(spike, side, elsewhere, rest, () if rest is None else rest.events)


def commonest(values: Array) -> tuple[float, float]:
    """The value seen most often and its share.

    Examples
    --------
    >>> commonest(np.array([0.0, 2.0, 0.0]))
    (0.0, 0.6666666666666666)
    """
    seen, counts = np.unique(values, return_counts=True)
    return (float(seen[counts.argmax()]), float(counts.max() / len(values))) if len(seen) else (0.0, 0.0)


def _distance(values: Array, spike: float) -> tuple[Array, float]:
    """How far values lie from the spike where all are on one side of it, and the side; else the values and 0."""
    if len(values) and (values > spike).all():
        return values - spike, 1.0
    if len(values) and (values < spike).all():
        return spike - values, -1.0
    return values, 0.0

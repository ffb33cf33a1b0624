"""Log-likelihoods of many factors of one family at once, summed over the factors row by row.

Arrays have a row for each factor (for each linear predictor, where a factor has several) and a column for each row of
the frame, so that sums over factors run along memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...typing import Array
from ..numerics.derivatives import along

__all__ = ["Bernoullis", "Categoricals", "Cumulatives", "Family", "Normals", "Others", "Stacked", "family_of"]

_AT_ONCE = 20  # factors of which one logarithm is taken
_FAR = 30.0  # log odds up to which the product of so many is a number
_OVERFLOW = 500.0


class Stacked(NamedTuple):
    """What a family needs of some factors on some rows, beside their linear predictors."""

    of: Sequence[Any]  #: (q,) fitted halves
    seen: tuple[Array, ...]  #: of their outcomes; rows of the frame are the last axis

    def on(self, some: Any) -> Stacked:
        """The same on some of the rows."""
        return Stacked(self.of, tuple(part[..., some] for part in self.seen))


class Family(Protocol):
    """The sums of one family."""

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """What is needed of q factors, from their outcomes on the rows, each (n,) in the user's units."""
        ...

    def score(self, linear: Array, known: Stacked) -> Array:
        """Sum of log-likelihoods less a bound of each, shape (n,), at linear predictors (lines, n)."""
        ...

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """First derivative of that sum along ``slope``, (lines, n) or (lines, 1), and minus the second, each (n,)."""
        ...


class Normals:
    """Outcomes that are normal on some scale."""

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """Outcomes on the scale of the linear predictor."""
        return Stacked(of, (np.array([one.standardised(seen) for one, seen in zip(of, y, strict=True)]),))

    def weight(self, known: Stacked) -> Array:
        """Precision of each factor, shape (q,)."""
        return np.array([one.residual_sd for one in known.of]) ** -2.0

    def score(self, linear: Array, known: Stacked) -> Array:
        """Minus half the sum of squared standardised residuals."""
        return np.asarray(-0.5 * (self.weight(known) @ (known.seen[0] - linear) ** 2))

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """Precision times slope times residual, and precision times slope squared."""
        weight, gap = self.weight(known), known.seen[0] - linear
        if slope.shape[1] == 1:
            line = weight * slope[:, 0]
            return line @ gap, np.full(linear.shape[1], float(line @ slope[:, 0]))
        return weight @ (slope * gap), weight @ (slope * slope)


class Bernoullis:
    """Two levels, by logistic regression."""

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """1 for level 1 and -1 for level 0."""
        return Stacked(of, (2.0 * np.array(y) - 1.0,))

    def score(self, linear: Array, known: Stacked) -> Array:
        """Sum of log probabilities: one logarithm for the product of many."""
        margin = linear * known.seen[0]
        if not margin.min(initial=0.0) > -_FAR:
            return np.asarray((np.minimum(margin, 0.0) - np.log1p(np.exp(-np.abs(margin)))).sum(axis=0))
        np.negative(margin, out=margin)
        np.exp(margin, out=margin)
        margin += 1.0
        total = np.zeros(margin.shape[1])
        for first in range(0, len(margin), _AT_ONCE):
            total -= np.log(np.multiply.reduce(margin[first : first + _AT_ONCE], axis=0))
        return total

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """Slope times what is missed, and slope squared times p (1 - p)."""
        sign = known.seen[0]
        miss = 1.0 / (1.0 + np.exp(np.clip(linear * sign, -_OVERFLOW, _OVERFLOW)))
        bend = miss * (1.0 - miss)
        miss *= sign
        return _weighed(slope, miss, bend)


class Categoricals:
    """Levels without an order, by multinomial regression; all factors have as many."""

    def __init__(self, lines: int) -> None:
        self.lines = lines  #: of each factor

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """Whether the outcome is each of the levels but the first, shape (q, K - 1, n)."""
        codes = np.array(y)
        return Stacked(of, ((codes[:, None, :] == np.arange(1.0, self.lines + 1)[:, None]).astype(np.float64),))

    def score(self, linear: Array, known: Stacked) -> Array:
        """Sum of log probabilities."""
        odds = linear.reshape(-1, self.lines, linear.shape[1])
        top = np.maximum(odds.max(axis=1), 0.0)
        total = np.exp(-top) + np.exp(odds - top[:, None]).sum(axis=1)
        return np.asarray(((known.seen[0] * odds).sum(axis=1) - top - np.log(total)).sum(axis=0))

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """Slope of the level less the mean slope, and the variance of the slopes over levels."""
        odds, line = (part.reshape(-1, self.lines, part.shape[1]) for part in (linear, slope))
        top = np.maximum(odds.max(axis=1, keepdims=True), 0.0)
        share = np.exp(odds - top)
        share /= np.exp(-top) + share.sum(axis=1, keepdims=True)
        mean = (share * line).sum(axis=1)
        first = (known.seen[0] * line).sum(axis=1) - mean
        minus = (share * line * line).sum(axis=1) - mean * mean
        return first.sum(axis=0), minus.sum(axis=0)


class Cumulatives:
    """Ordered levels, by proportional odds."""

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """Cut points below and above the outcome, each (q, n)."""
        ends = [one.between(seen) for one, seen in zip(of, y, strict=True)]
        return Stacked(of, (np.array([low for low, _ in ends]), np.array([high for _, high in ends])))

    def score(self, linear: Array, known: Stacked) -> Array:
        """Sum of log probabilities, but for what does not depend on the linear predictors."""
        low, high = known.seen
        return np.asarray(-(np.logaddexp(0.0, linear - high) + np.logaddexp(0.0, low - linear)).sum(axis=0))

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """By the chances beyond both cut points."""
        low, high = known.seen
        up = 1.0 / (1.0 + np.exp(np.clip(linear - low, -_OVERFLOW, _OVERFLOW)))
        down = 1.0 / (1.0 + np.exp(np.clip(high - linear, -_OVERFLOW, _OVERFLOW)))
        return _weighed(slope, up - down, up * (1.0 - up) + down * (1.0 - down))


class Others:
    """Any other family with one linear predictor: factor by factor."""

    def stacked(self, of: Sequence[Any], y: Sequence[Array]) -> Stacked:
        """The outcomes as they are."""
        return Stacked(of, (np.array(y),))

    def score(self, linear: Array, known: Stacked) -> Array:
        """Sum of what each factor says."""
        total = np.zeros(linear.shape[1])
        for one, y, line in zip(known.of, known.seen[0], linear, strict=True):
            total += one.log_accept(y, line)
        return np.where(np.isnan(total), -np.inf, total)

    def derivatives(self, linear: Array, slope: Array, known: Stacked) -> tuple[Array, Array]:
        """Sums of the derivatives of each factor."""
        first, minus = np.zeros(linear.shape[1]), np.zeros(linear.shape[1])
        for one, y, line, rate in zip(known.of, known.seen[0], linear, slope, strict=True):
            found = along(one, y, line, np.broadcast_to(rate, line.shape))
            first, minus = first + found[0], minus + found[1]
        return first, minus


def _weighed(slope: Array, first: Array, minus: Array) -> tuple[Array, Array]:
    """Sums over lines of the slope times a first derivative, and of its square times a second."""
    if slope.shape[1] == 1:
        line = slope[:, 0]
        return line @ first, (line * line) @ minus
    return (slope * first).sum(axis=0), (slope * slope * minus).sum(axis=0)


def family_of(fitted: Any) -> tuple[Any, Family] | None:
    """The family of a fitted half, and a key of it that is equal for factors summed together; None where there is none.

    Mixtures of normals have components to be drawn, mixed models their clusters: those are terms by themselves.
    """
    if hasattr(fitted, "labelled") or hasattr(fitted, "effect"):
        return None
    name, lines = getattr(fitted, "likelihood", ""), 1 if fitted.coef.ndim == 1 else fitted.coef.shape[1]
    if name == "categorical":
        return (name, lines), Categoricals(lines)
    if name in _NAMED:
        return name, _NAMED[name]()
    return ("other", Others()) if lines == 1 else None


#: what a fitted half calls its ``likelihood`` -> its sums
_NAMED: dict[str, Callable[[], Family]] = {"bernoulli": Bernoullis, "cumulative": Cumulatives, "normal": Normals}

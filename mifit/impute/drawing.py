"""The samplers: draw a variable from its own factor times every factor it feeds.

A discrete variable is enumerated. For a continuous one, all normal factors that are affine in it are multiplied
into its own normal (the closed form); what remains is settled by rejection, and rows that wait too long take
elliptical slice steps from their current value.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ImputationError
from ..formula.design import Design
from ..formula.question import Inverse
from ..frame.kinds import Rows
from .bench import Judging
from .contract import Array, Discrete

__all__ = ["Draw", "Undone", "draw_continuous", "draw_discrete", "draw_proposed"]


ROUNDS = (6, 24, 120)  # proposals per waiting row, 150 in all
SLICE_STEPS = 5
METROPOLIS_STEPS = 50
_SMALL = 1_000  # rows that are one block however many levels there are
_BLOCK = 200_000  # candidate rows worked on at once: a few MB


class Draw:
    """Values drawn, and how it went."""

    __slots__ = ("sliced", "tried", "values")

    def __init__(self, values: Array, tried: int = 0, sliced: int = 0) -> None:
        self.values, self.tried, self.sliced = values, tried, sliced


class Undone:
    """An outcome expression's own factor: drawn as log(y), judged and kept as y."""

    def __init__(self, own: Any, name: Hashable, inverse: Inverse, design: Design) -> None:
        self.own, self.name, self.inverse, self.design = own, name, inverse, design

    def mean_sd(self, X: Array) -> tuple[Array, float]:
        """Mean (n_draw,) and standard deviation of the expression."""
        found: tuple[Array, float] = self.own.mean_sd(X)
        return found

    def forward(self, values: Array) -> Array:
        """From the column to its expression."""
        return self.design.response({self.name: values})

    def backward(self, scaled: Array) -> Array:
        """From the expression to the column; NaN where no value has this expression."""
        return self.inverse.undo(scaled)


def draw_discrete(own: Discrete, X: Array, benches: Sequence[Judging], rng: np.random.Generator) -> Draw:
    """Weight every level by the own factor and all judges, then draw; exact."""
    n = len(X)
    out = np.empty(n)
    if n == 0:
        return Draw(out)
    if n <= _SMALL:
        return Draw(_draw_levels(_weights(own, X, np.arange(n), benches), rng))
    levels = own.log_probabilities(X[:1]).shape[1]
    size = max(1, _BLOCK // max(levels, 1))
    for start in range(0, n, size):
        at = np.arange(start, min(start + size, n))
        out[at] = _draw_levels(_weights(own, X[at], at, benches), rng)
    return Draw(out)


def _weights(own: Discrete, X: Array, at: Rows, benches: Sequence[Judging]) -> Array:
    """Log weights of all levels, shape (len(at), K)."""
    weights = own.log_probabilities(X)
    levels = weights.shape[1]
    repeated = np.repeat(at, levels)
    values = np.tile(np.arange(levels, dtype=np.float64), len(at))
    for bench in benches:
        weights = weights + bench.log_accept(repeated, values).reshape(len(at), levels)
    return weights


def _draw_levels(weights: Array, rng: np.random.Generator) -> Array:
    """Draw one level per row from log weights."""
    top = weights.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise ImputationError("every level of a variable is impossible in some row.", do="df.mice.plan(...)")
    cumulative = np.cumsum(np.exp(weights - top), axis=1)
    share = rng.random(len(weights)) * cumulative[:, -1]
    drawn = (cumulative <= share[:, None]).sum(axis=1).astype(np.float64)
    return np.minimum(drawn, weights.shape[1] - 1.0)


def draw_continuous(
    own: Any, X: Array, benches: Sequence[Judging], affine: Sequence[bool], current: Array, rng: np.random.Generator,
    weights: Array | None = None,
) -> Draw:  # fmt: skip
    """Draw a continuous variable.

    Parameters
    ----------
    own : Scaled
        Its own factor, normal on some scale.
    X : ndarray, shape (n_mis, p)
        Predictors of the own factor.
    benches : sequence of Bench
        The factors it feeds.
    affine : sequence of bool
        Whether each factor's linear predictor is affine in the variable.
    current : ndarray, shape (n_mis,)
        Current values, from which slice steps start.
    rng : Generator
    weights : ndarray, shape (n_mis,), optional
        Prior weights of the own factor, where it is a weighted analysis.

    Returns
    -------
    Draw
    """
    mean, sd = own.mean_sd(X)
    spread = np.full(len(X), sd) if weights is None else sd / np.sqrt(weights)
    waiting: list[Judging] = []
    # On a power scale a factor that is affine in the variable is not affine in what is drawn.
    direct = isinstance(own, Undone) or own.forward(current) is current
    for bench, straight in zip(benches, affine, strict=True):
        product = _multiply(own, mean, spread, bench, float(sd)) if direct and straight and bench.gaussian else None
        if product is None:
            waiting.append(bench)
        else:
            mean, spread = product
    if not waiting:
        drawn = own.backward(mean + spread * rng.standard_normal(len(X)))
        if np.isfinite(drawn).all():
            return Draw(drawn)
    return _settle(own, mean, spread, waiting, current, rng)


def draw_proposed(
    own: Any, X: Array, benches: Sequence[Judging], current: Array, rng: np.random.Generator, shift: Any = 0.0,
    weights: Array | None = None,
) -> Draw:  # fmt: skip
    """Propose from any own factor, accept by the judges; rows still waiting take Metropolis steps from their value."""
    n = len(X)
    out, waiting, tried = current.copy(), np.arange(n), 0
    shift = np.broadcast_to(np.asarray(shift, dtype=np.float64), (n,))

    def propose(at: Rows) -> Array:
        heavy = () if weights is None else (weights[at],)
        return np.asarray(own.sample(X[at], rng, shift[at], *heavy))

    for proposals in ROUNDS:
        if not len(waiting):
            return Draw(out, tried)
        at = np.repeat(waiting, proposals)
        values, log_share = propose(at), np.log(rng.random(len(at)))
        tried += len(at)
        accepted = (log_share < _score(benches, at, values)).reshape(-1, proposals)
        first, got = accepted.argmax(axis=1), accepted.any(axis=1)
        out[waiting[got]] = values.reshape(-1, proposals)[got, first[got]]
        waiting = waiting[~got]
    if not len(waiting):
        return Draw(out, tried)
    # Proposals do not depend on where a row stands: all are judged at once, then each row steps through its own.
    at = np.repeat(waiting, METROPOLIS_STEPS)
    values, log_share = propose(at), np.log(rng.random(len(at))).reshape(-1, METROPOLIS_STEPS)
    score, values = _score(benches, at, values).reshape(log_share.shape), values.reshape(log_share.shape)
    level = _score(benches, waiting, out[waiting])
    for step in range(METROPOLIS_STEPS):
        # Not a difference: a row whose current value is impossible takes the first possible one.
        good = log_share[:, step] + level < score[:, step]
        out[waiting[good]], level[good] = values[good, step], score[good, step]
    return Draw(out, tried, len(waiting))


def _multiply(own: Any, mean: Array, spread: Array, bench: Judging, unit: float) -> tuple[Array, Array] | None:
    """Multiply a normal by a normal factor that is affine in what is drawn; None where it is not defined."""
    if unit == 0.0:
        return mean, spread
    known = bench.information(own.backward, mean, unit)
    if known is None:
        return None
    precision, pull = known
    narrowed = 1.0 / (1.0 / spread**2 + precision)
    return mean + narrowed * pull, np.sqrt(narrowed)


def _settle(
    own: Any, mean: Array, spread: Array, benches: Sequence[Judging], current: Array, rng: np.random.Generator
) -> Draw:
    """Propose from the normal, accept by the judges; rows still waiting take slice steps."""
    n = len(mean)
    out = current.copy()
    waiting = np.arange(n)
    tried = 0
    for proposals in ROUNDS:
        if not len(waiting):
            break
        tried += proposals * len(waiting)
        still = []
        for block in np.array_split(waiting, 1 + len(waiting) * proposals // _BLOCK):
            values, accepted = _propose(own, mean, spread, benches, block, proposals, rng)
            first = accepted.argmax(axis=1)
            got = accepted[np.arange(len(block)), first]
            out[block[got]] = values[got, first[got]]
            still.append(block[~got])
        waiting = np.concatenate(still)
    if len(waiting):
        out[waiting] = _slice(own, mean, spread, benches, waiting, current[waiting], rng)
    return Draw(out, tried, len(waiting))


def _propose(
    own: Any, mean: Array, spread: Array, benches: Sequence[Judging], at: Rows, proposals: int,
    rng: np.random.Generator,
) -> tuple[Array, npt.NDArray[np.bool_]]:  # fmt: skip
    """Several proposals for each row and whether each is accepted, both (len(at), proposals)."""
    w = mean[at, None] + spread[at, None] * rng.standard_normal((len(at), proposals))
    values = own.backward(w)
    log_share = np.log(rng.random((len(at), proposals)))
    score = _score(benches, np.repeat(at, proposals), values.ravel()).reshape(values.shape)
    return values, log_share < score


def _score(benches: Sequence[Judging], at: Rows, values: Array) -> Array:
    """Sum of all judges; -inf where the value is outside a scale or a domain."""
    possible = np.isfinite(values)
    if len(benches) == 1 and possible.all():
        return benches[0].log_accept(at, values)
    score = np.full(len(values), -np.inf)
    if not possible.any():
        return score
    good = np.flatnonzero(possible)
    total = np.zeros(len(good))
    for bench in benches:
        total += bench.log_accept(at[good], values[good])
    score[good] = total
    return score


def _slice(
    own: Any, mean: Array, spread: Array, benches: Sequence[Judging], at: Rows, current: Array,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Elliptical slice steps (Murray, Adams & MacKay 2010) from the current values."""
    values = current.copy()
    w = own.forward(values) - mean[at]
    level = _score(benches, at, values)
    for _ in range(200):  # a row whose current value is impossible starts from the first possible one
        lost = np.flatnonzero(~np.isfinite(level))
        if not len(lost):
            break
        w[lost] = spread[at[lost]] * rng.standard_normal(len(lost))
        values[lost] = own.backward(w[lost] + mean[at[lost]])
        level[lost] = _score(benches, at[lost], values[lost])
    for _ in range(SLICE_STEPS):
        ellipse = spread[at] * rng.standard_normal(len(at))
        floor = level + np.log(rng.random(len(at)))
        angle = rng.random(len(at)) * 2.0 * np.pi
        low, high = angle - 2.0 * np.pi, angle.copy()
        moving = np.arange(len(at))
        for _ in range(200):
            if not len(moving):
                break
            step = w[moving] * np.cos(angle[moving]) + ellipse[moving] * np.sin(angle[moving])
            proposed = own.backward(step + mean[at[moving]])
            score = _score(benches, at[moving], proposed)
            good = (score > floor[moving]) | (np.isfinite(score) & ~np.isfinite(floor[moving]))
            hit = moving[good]
            w[hit], values[hit], level[hit] = step[good], proposed[good], score[good]
            moving, miss = moving[~good], angle[moving[~good]]
            low[moving] = np.where(miss < 0, miss, low[moving])
            high[moving] = np.where(miss < 0, high[moving], miss)
            angle[moving] = low[moving] + rng.random(len(moving)) * (high[moving] - low[moving])
    return values

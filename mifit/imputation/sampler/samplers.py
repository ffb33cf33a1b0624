"""The samplers: draw a variable from its own model times every factor that contains it as a predictor.

Which of them draws a column is decided in ``sampler_choice.py``; :func:`draw` does as decided.

A discrete variable is enumerated. For a continuous one, all normal factors that are affine in it are multiplied
into its own normal (the closed form). With other factors it is drawn around the top of the density
(``laplace.py``), or on a grid where a linear predictor is no line in it (``grid.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ...errors import ImputationError, call
from ...formula.design import Design
from ...formula.question import Inverse
from ...typing import Array, Rows
from ..contract import Discrete
from ..numerics.truncated import truncated_normal
from ..plan.sampler_choice import ACCEPTING, Choice, Sampler
from .constraint import _UNLESS, Constraint
from .grid import draw_on_grid
from .laplace import draw_around_top
from .likelihood_terms import ScoresValues, product
from .own_mixture import draw_own_mixture
from .panel import PanelTerm
from .target import Target, total_score

__all__ = ["Draw", "TransformedOutcome", "draw", "draw_continuous", "draw_discrete", "draw_proposed"]


ROUNDS = (3, 12, 135)  # proposals per waiting row of an own factor without a density, 150 in all
METROPOLIS_STEPS = 50
_IMPOSSIBLE = "every level of a variable is impossible in some row."
_LEAST = 1e-150  # standard deviation whose square has an inverse
_SMALL = 1_000  # rows that are one block however many levels there are
_BLOCK = 200_000  # candidate rows worked on at once: a few MB


class Draw:
    """Values drawn, with counts: draws, proposals (0 where none is refused), and rows that kept their value."""

    __slots__ = ("drawn", "stayed", "tried", "values")

    def __init__(self, values: Array, tried: int = 0, stayed: int = 0) -> None:
        self.values, self.drawn, self.tried, self.stayed = values, len(values), tried, stayed

    def with_values(self, values: Array) -> Draw:
        """The same draw with other values: shared by several rows, or replaced in some."""
        found = Draw(values, self.tried, self.stayed)
        found.drawn = self.drawn
        return found


class TransformedOutcome:
    """Own model of a transformed outcome: drawn on the scale of, say, log(y), stored and evaluated as y."""

    def __init__(self, own: Any, name: Hashable, inverse: Inverse, design: Design) -> None:
        self.own, self.name, self.inverse, self.design = own, name, inverse, design

    def mean_sd(self, X: Array) -> tuple[Array, Array | float]:
        """Mean (n_draw,) and standard deviation of the expression."""
        found: tuple[Array, Array | float] = self.own.mean_sd(X)
        return found

    def forward(self, values: Array) -> Array:
        """From the column to its expression."""
        return self.design.response({self.name: values})

    def backward(self, scaled: Array) -> Array:
        """From the expression to the column; NaN where no value has this expression."""
        return self.inverse.undo(scaled)


def draw(
    choice: Choice, own: Any, X: Array, terms: Sequence[ScoresValues], constraint: Constraint | None, current: Array,
    rng: np.random.Generator, shift: Any = 0.0, weights: Array | None = None,
) -> Draw:  # fmt: skip
    """Draw a variable by the sampler that was chosen for it.

    Parameters
    ----------
    choice : Choice
    own : Fitted
        Its own factor, with what the choice asks for.
    X : ndarray, shape (n_mis, p)
        Predictors of the own factor.
    terms : sequence of LikelihoodTerm
        The factors it feeds.
    constraint : Constraint, optional
        What is known of the values: bounds truncate them, nothing is clipped.
    current : ndarray, shape (n_mis,)
        Current values, from which steps start.
    rng : Generator
    shift : float or ndarray, shape (n_mis,)
        Offset of the own factor.
    weights : ndarray, shape (n_mis,), optional
        Prior weights of the own factor.

    Returns
    -------
    Draw
        With the number of proposals wherever some may be refused.
    """
    if choice.normals:
        found = draw_continuous(own, X, terms, choice, current, rng, weights, constraint)
    elif choice.sampler is Sampler.OWN:
        found = Draw(_own_draws(own, X, constraint, rng, shift, weights))
    else:
        terms = terms if constraint is None else (*terms, constraint)
        if choice.sampler is Sampler.ENUMERATE:
            return draw_discrete(own, X, terms, rng)
        found = draw_proposed(own, X, terms, current, rng, shift, weights)
    if choice.sampler in ACCEPTING and not found.tried:
        found.tried = len(X)  # no likelihood term: every proposal is accepted
    return found


def _own_draws(
    own: Any, X: Array, constraint: Constraint | None, rng: np.random.Generator, shift: Any, weights: Array | None
) -> Array:
    """Values that the own factor draws; within a constraint it copies those observed values that are allowed."""
    if constraint is None:
        return np.asarray(own.sample(X, rng, shift, *(() if weights is None else (weights,))))
    if constraint.allowed is None:
        return np.asarray(own.sample_within(X, rng, constraint.low, constraint.high))
    good, group = _donors(own.values, constraint, len(X))
    return np.asarray(own.sample_among(X, rng, good, group))


def _donors(values: Array, constraint: Constraint, n: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which observed values each missing value may take: the distinct sets of them, and the set of each."""
    blocks = np.array_split(np.arange(n), 1 + n * len(values) // _BLOCK)
    found = [
        constraint.log_accept(np.repeat(at, len(values)), np.tile(values, len(at))).reshape(len(at), -1)
        for at in blocks
    ]
    score = np.vstack(found)
    good, group = np.unique(score == score.max(axis=1, keepdims=True, initial=_UNLESS), axis=0, return_inverse=True)
    return good, group.reshape(-1).astype(np.int64)


def draw_discrete(own: Discrete, X: Array, terms: Sequence[ScoresValues], rng: np.random.Generator) -> Draw:
    """Weight every level by the own factor and all likelihood terms, then draw; exact."""
    n = len(X)
    out = np.empty(n)
    if n == 0:
        return Draw(out)
    if hasattr(own, "log_odds"):
        return Draw(_draw_binary(own.log_odds(X), terms, rng))
    if n <= _SMALL:
        return Draw(_draw_levels(_weights(own, X, np.arange(n), terms), rng))
    levels = own.log_probabilities(X[:1]).shape[1]
    size = max(1, _BLOCK // max(levels, 1))
    for start in range(0, n, size):
        at = np.arange(start, min(start + size, n))
        out[at] = _draw_levels(_weights(own, X[at], at, terms), rng)
    return Draw(out)


def _draw_binary(log_odds: Array, terms: Sequence[ScoresValues], rng: np.random.Generator) -> Array:
    """Draw level 0 or 1 from the log odds of level 1 and what all likelihood terms add to them."""
    n = len(log_odds)
    every, no, yes = np.arange(n), np.zeros(n), np.ones(n)
    with np.errstate(invalid="ignore"):
        for term in terms:
            if isinstance(term, PanelTerm):
                both = term.levels(every, 2)
                log_odds = log_odds + (both[:, 1] - both[:, 0])
            else:
                log_odds = log_odds + (term.log_accept(every, yes) - term.log_accept(every, no))
    if np.isnan(log_odds).any():
        raise ImputationError(_IMPOSSIBLE, do=call("df.mice.plan").after("plan = "))
    return (rng.random(n) >= expit(-log_odds)).astype(np.float64)


def _weights(own: Discrete, X: Array, at: Rows, terms: Sequence[ScoresValues]) -> Array:
    """Log weights of all levels, shape (len(at), K)."""
    weights = own.log_probabilities(X)
    levels = weights.shape[1]
    repeated = np.repeat(at, levels)
    values = np.tile(np.arange(levels, dtype=np.float64), len(at))
    for term in terms:
        if isinstance(term, PanelTerm):
            weights = weights + term.levels(at, levels)
        else:
            weights = weights + term.log_accept(repeated, values).reshape(len(at), levels)
    return weights


def _draw_levels(weights: Array, rng: np.random.Generator) -> Array:
    """Draw one level per row from log weights."""
    top = weights.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise ImputationError(_IMPOSSIBLE, do=call("df.mice.plan").after("plan = "))
    cumulative = np.cumsum(np.exp(weights - top), axis=1)
    share = rng.random(len(weights)) * cumulative[:, -1]
    drawn = (cumulative <= share[:, None]).sum(axis=1).astype(np.float64)
    return np.minimum(drawn, weights.shape[1] - 1.0)


def draw_continuous(
    own: Any, X: Array, terms: Sequence[ScoresValues], choice: Choice, current: Array, rng: np.random.Generator,
    weights: Array | None = None, constraint: Constraint | None = None,
) -> Draw:  # fmt: skip
    """Draw a continuous variable.

    Parameters
    ----------
    own : Scaled
        Its own factor, normal on some scale.
    X : ndarray, shape (n_mis, p)
        Predictors of the own factor.
    terms : sequence of LikelihoodTerm
        The factors it feeds.
    choice : Choice
        Which terms are multiplied into the own normal, which components are drawn, and how the rest is settled.
    current : ndarray, shape (n_mis,)
        Current values, which rows keep whose proposals are refused.
    rng : Generator
    weights : ndarray, shape (n_mis,), optional
        Prior weights of the own factor, where it is a weighted analysis.
    constraint : Constraint, optional
        Bounds of every value: the draw is truncated to them.

    Returns
    -------
    Draw
    """
    found = _with_own_mixture(own, X, terms, choice, current, rng) if choice.joint else None
    if found is not None:
        return found
    own = _with_components(own, X, current, rng) if choice.labelled else own
    mean, sd = own.mean_sd(X)
    row_sd = np.broadcast_to(sd, len(X)) if weights is None else sd / np.sqrt(weights)
    waiting: list[ScoresValues] = []
    mixed: list[Any] = []
    unit = float(np.max(sd, initial=0.0))
    for term, normal in zip(terms, choice.multiplied, strict=True):
        if normal and term.components:
            mixed.append(term)
            continue
        product = _multiply(own, mean, row_sd, term, unit) if normal else None
        if product is None:
            waiting.append(term)
        else:
            mean, row_sd = product
    if mixed:
        alone = choice.summed_out and not waiting
        mean, row_sd, last = _components_drawn(own, mean, row_sd, mixed, waiting, current, unit, alone, rng)
        if last is not None:
            stepped, moved = last.stepped(own.backward, mean, row_sd, own.forward(current), unit, rng)
            return Draw(own.backward(stepped), len(X), int((~moved).sum()))
    limits = None if constraint is None else _limits(own, constraint)
    if getattr(own, "reach", None) is not None:
        limits, current = _reached(own, X, limits, current)
    if constraint is not None and constraint.allowed is not None:
        waiting.append(constraint)
    if not waiting:
        drawn = own.backward(_normals(mean, row_sd, limits, rng))
        if np.isfinite(drawn).all():
            return Draw(
                drawn if constraint is None else np.clip(drawn, constraint.low, constraint.high)
            )  # rounding may put a truncated draw 1 ulp outside its bound
    if unit == 0.0:  # no spread: the mean is all there is
        return Draw(own.backward(mean))
    found = _settled(own, mean, row_sd, waiting, np.arange(len(X)), choice, current, rng, limits)
    return found if constraint is None else found.with_values(np.clip(found.values, constraint.low, constraint.high))


def _settled(
    own: Any, mean: Array, row_sd: Array, terms: Sequence[ScoresValues], at: Rows, choice: Choice, current: Array,
    rng: np.random.Generator, limits: tuple[Array, Array] | None = None,
) -> Draw:  # fmt: skip
    """Draw from a normal times likelihood terms, around its top or on a grid."""
    low, high = limits or (np.full(len(mean), -np.inf), np.full(len(mean), np.inf))
    target = Target(own, mean, np.maximum(row_sd, _LEAST), terms, at, *np.broadcast_arrays(low, high))
    on_grid = choice.sampler is Sampler.GRID
    values, moved = (draw_on_grid if on_grid else draw_around_top)(target, current, rng)
    return Draw(values, len(values), int((~moved).sum()))


def _with_own_mixture(
    own: Any, X: Array, terms: Sequence[ScoresValues], choice: Choice, current: Array, rng: np.random.Generator
) -> Draw | None:
    """Draw component and value together; rows without an accepted proposal are drawn with their component given."""
    pairs = list(zip(terms, choice.multiplied, strict=True))
    normals, others = [term for term, normal in pairs if normal], [term for term, normal in pairs if not normal]
    found = draw_own_mixture(own, X, normals, others, total_score, rng)
    if found is None:
        return None
    values, drawn, tried = found
    if drawn.all():
        return Draw(values, tried)
    at = np.flatnonzero(~drawn)
    held = own.labelled(X[at], current[at], rng)
    mean, sd = held.mean_sd(X[at])
    rest = _settled(held, mean, sd, terms, at, choice, current[at], rng)
    values[at] = rest.values
    return Draw(values, tried, rest.stayed)


def _with_components(own: Any, X: Array, current: Array, rng: np.random.Generator) -> Any:
    """An own model whose errors are a mixture, the component of each row drawn given its current value."""
    if isinstance(own, TransformedOutcome):
        inner = _with_components(own.own, X, own.forward(current), rng)
        return TransformedOutcome(inner, own.name, own.inverse, own.design)
    return own.labelled(X, current, rng)


def _components_drawn(
    own: Any, mean: Array, row_sd: Array, mixed: Sequence[Any], waiting: list[ScoresValues], current: Array,
    unit: float, alone: bool, rng: np.random.Generator,
) -> tuple[Array, Array, Any]:  # fmt: skip
    """Multiply factors whose errors are mixtures into a normal: each is normal once its components are drawn.

    They are drawn given the current values; of the last factor, where nothing else is known (``alone``), together with
    the new values, so that no row is held by its component. A factor whose spread changes with the variable cannot be
    multiplied: it is returned where it is the last one of all, else it waits.
    """
    if unit == 0.0:
        return mean, row_sd, None
    ordered = sorted(mixed, key=lambda term: term.moving)
    for position, term in enumerate(ordered, start=1):
        last = alone and not waiting and position == len(ordered)
        if term.moving and last:
            return mean, row_sd, term
        given, known = () if last else (own.forward(current),), None
        if not term.moving:
            known = term.information_of_components(own.backward, mean, row_sd, unit, rng, *given)
        if known is None:
            waiting.append(term)
        else:
            mean, row_sd = product(mean, row_sd, *known)
    return mean, row_sd, None


def _limits(own: Any, constraint: Constraint) -> tuple[Array, Array]:
    """Bounds of what is drawn, each (n_mis,): those of the constraint on the scale of the own factor."""
    with np.errstate(all="ignore"):
        low, high = (own.forward(end) for end in (constraint.low, constraint.high))
    low = np.where(np.isnan(low) | np.isinf(constraint.low), -np.inf, low)
    high = np.where(np.isnan(high) | np.isinf(constraint.high), np.inf, high)
    return low, high


def _reached(
    own: Any, X: Array, limits: tuple[Array, Array] | None, current: Array
) -> tuple[tuple[Array, Array], Array]:
    """Bounds of what is drawn, those of the own factor's reach among them, and the current values within these."""
    mean, _ = own.mean_sd(X)
    least, most = (np.full(len(X), -np.inf), np.full(len(X), np.inf)) if limits is None else limits
    near, far = own.ends(np.clip(mean, least, most))  # a row whose bounds lie far out reaches on from there
    low, high = np.maximum(near, least), np.minimum(far, most)
    w = own.forward(current)
    return (low, high), np.where((low <= w) & (w <= high), current, own.backward(np.clip(w, low, high)))


def _normals(mean: Array, row_sd: Array, limits: tuple[Array, Array] | None, rng: np.random.Generator) -> Array:
    """Normal draws of the shape of ``mean``, truncated where there are limits."""
    if limits is None:
        return np.asarray(mean + row_sd * rng.standard_normal(mean.shape))
    size = np.where(row_sd > 0, row_sd, np.finfo(float).tiny)
    return truncated_normal(mean, size, *limits, np.asarray(rng.random(mean.shape)))


def draw_proposed(
    own: Any, X: Array, terms: Sequence[ScoresValues], current: Array, rng: np.random.Generator, shift: Any = 0.0,
    weights: Array | None = None,
) -> Draw:  # fmt: skip
    """Propose from any own factor, accept by the likelihood terms; rows still waiting take Metropolis steps."""
    n = len(X)
    out, waiting, tried = current.copy(), np.arange(n), 0
    shift = np.broadcast_to(np.asarray(shift, dtype=np.float64), (n,))

    def propose(at: Rows) -> Array:
        row_weights = () if weights is None else (weights[at],)
        return np.asarray(own.sample(X[at], rng, shift[at], *row_weights))

    for proposals in ROUNDS:
        if not len(waiting):
            return Draw(out, tried)
        at = np.repeat(waiting, proposals)
        values, log_share = propose(at), np.log(rng.random(len(at)))
        accepted = (log_share < total_score(terms, at, values)).reshape(-1, proposals)
        first, got = accepted.argmax(axis=1), np.asarray(accepted.any(axis=1))
        tried += _needed(first, got, proposals)
        out[waiting[got]] = values.reshape(-1, proposals)[got, first[got]]
        waiting = waiting[~got]
    if not len(waiting):
        return Draw(out, tried)
    # Proposals do not depend on where a row stands: all are weighed at once, then each row steps through its own.
    at = np.repeat(waiting, METROPOLIS_STEPS)
    values, log_share = propose(at), np.log(rng.random(len(at))).reshape(-1, METROPOLIS_STEPS)
    score, values = total_score(terms, at, values).reshape(log_share.shape), values.reshape(log_share.shape)
    level, moved = total_score(terms, waiting, out[waiting]), np.zeros(len(waiting), dtype=bool)
    for step in range(METROPOLIS_STEPS):
        # Not a difference: a row whose current value is impossible takes the first possible one.
        good = log_share[:, step] + level < score[:, step]
        out[waiting[good]], level[good], moved[good] = values[good, step], score[good, step], True
    return Draw(out, tried, int((~moved).sum()))


def _multiply(own: Any, mean: Array, row_sd: Array, term: ScoresValues, unit: float) -> tuple[Array, Array] | None:
    """Multiply a normal by a normal factor that is affine in what is drawn; None where it is not defined."""
    if unit == 0.0:
        return mean, row_sd
    known = term.information(own.backward, mean, unit)
    if known is None:
        return None
    return product(mean, row_sd, *known)


def _needed(first: Rows, got: npt.NDArray[np.bool_], proposals: int) -> int:
    """Proposals of one round up to the first accepted one of each row: later ones are not needed."""
    return int((first[got] + 1).sum()) + proposals * int((~got).sum())

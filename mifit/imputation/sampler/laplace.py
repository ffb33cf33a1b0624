"""Numbers drawn around the top of their density: proposals from a normal and from a Student t, accepted or refused."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from ..numerics.derivatives import differences
from ..numerics.truncated import truncated_normal, truncated_student
from .grid import draw_on_grid
from .target import Target

__all__ = ["draw_around_top", "top_of"]

#: degrees of freedom of the proposals of a visit, one after the other: a normal fits best; the tails of a t bring rows
#: back that are far out
PROPOSALS = (np.inf, 8.0)

_STEPS = 11  # of Newton, at most; two or three suffice on plain scales
_FARTHEST = 3.0  # standard deviations of the own normal in one step
_ARRIVED = 0.2  # standard deviations: a step that ends the search of a row
_STEEPEST = 1e300  # largest curvature: its root has an inverse
_BESIDE = 2.5  # standard deviations from the top, where the density is compared with the normal's
_APART = 0.6  # largest difference of the logarithms there
_LIGHTER = 0.3  # what a lighter tail counts: proposals are refused more often, and no row is held by its value
_NEAR = 1e-3  # standard deviations at which the slope of the own scale is taken


def draw_around_top(
    target: Target, current: Array, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:  # fmt: skip
    """Draw numbers whose density has one top, by the rule of Metropolis and Hastings.

    Parameters
    ----------
    target : Target
        Of n rows.
    current : ndarray, shape (n,)
        Values as they stand, in the user's units.
    rng : Generator

    Returns
    -------
    values : ndarray, shape (n,)
        In the user's units.
    moved : ndarray of bool, shape (n,)
        Rows in which a proposal was accepted; the others keep their value.

    Notes
    -----
    1. Find the top w and the curvature there by Newton's method (:func:`top_of`), from the own mean.
    2. Propose from a normal with that top and curvature; accept with probability min(1, p(new) q(current) / (p(current)
       q(new))), p the density of the target and q that of the proposal.
    3. The same with a Student t of 8 degrees of freedom.

    Top and curvature depend on everything but the current value. So the rule is exact whether or not Newton's method
    has arrived; where it has not, rows keep their value more often. Bounds truncate the proposals.

    References
    ----------
    Tierney, L. (1994). Markov chains for exploring posterior distributions. *Annals of Statistics* 22(4), 1701-1728
    (independence chains). doi:10.1214/aos/1176325750
    """
    centre, sd = top_of(target)
    n, beside = len(current), _BESIDE * sd
    tried = [_proposals(target, centre, sd, df, rng) for df in PROPOSALS]
    looked = [np.clip(w, target.low, target.high) for w in (centre, centre - beside, centre + beside)]
    points = np.concatenate([target.own.forward(current), *tried, *looked])
    values = np.asarray(target.own.backward(points))
    values = np.concatenate([current, values[n:]])
    # At once: what is proposed does not depend on the current value.
    height = target.of(np.tile(np.arange(n), len(points) // n if n else 1)).log_density(points, values)
    points, values, height = (part.reshape(-1, n) for part in (points, values, height))
    last = 1 + len(PROPOSALS)
    drawn, moved = _accepted(points[:last], values[:last], height[:last], centre, sd, rng)
    other = _other_than_normal(points[last:], height[last:], centre, sd)
    if len(other):
        drawn[other], moved[other] = draw_on_grid(target.of(other), current[other], rng)
    return drawn, moved


def _other_than_normal(points: Array, height: Array, centre: Array, sd: Array) -> Rows:
    """Rows whose log density differs much from the normal's at two points beside its top: (top, left, right)."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = height - _log_density(points, centre, sd, np.inf)
        apart = apart[1:] - apart[0]
        worst = np.where(apart > 0, apart, -_LIGHTER * apart).max(axis=0)
    return np.flatnonzero(~(worst <= _APART))


def _accepted(
    points: Array, values: Array, height: Array, centre: Array, sd: Array, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """What becomes of the current value, the first of each row, when each proposal in turn is accepted or refused."""
    drawn, now, level = values[0].copy(), points[0], height[0]
    moved = np.zeros(len(drawn), dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        for there, proposed, other, df in zip(points[1:], values[1:], height[1:], PROPOSALS, strict=True):
            ratio = other - level + _log_density(now, centre, sd, df) - _log_density(there, centre, sd, df)
            good = np.isfinite(other) & ((np.log(rng.random(len(drawn))) < ratio) | ~np.isfinite(level))
            drawn, level = np.where(good, proposed, drawn), np.where(good, other, level)
            now, moved = np.where(good, there, now), moved | good
    return drawn, moved


def top_of(target: Target) -> tuple[Array, Array]:
    """Where the density has its top, and the spread of a normal with the curvature there, each (n,).

    Beside a bound the centre is that of the normal which has the slope of the density at the bound.
    """
    w = np.clip(target.mean, target.low, target.high)
    centre, sd = w.copy(), target.sd.copy()
    bounded = np.isfinite(target.low) | np.isfinite(target.high)
    moving = np.arange(len(w))
    for _ in range(_STEPS):
        part = target if len(moving) == len(w) else target.of(moving)
        slope, curve = _slope_and_curve(part, w[moving])
        step, reach = slope / curve, _FARTHEST * part.sd
        near = np.clip(step, -reach, reach)
        centre[moving] = w[moving] + np.where(bounded[moving], step, near)
        sd[moving] = 1.0 / np.sqrt(curve)
        there = np.clip(w[moving] + near, part.low, part.high)
        done = np.abs(there - w[moving]) <= _ARRIVED * sd[moving]
        w[moving] = there
        moving = moving[~done]
        if not len(moving):
            break
    return centre, sd


def _slope_and_curve(target: Target, w: Array) -> tuple[Array, Array]:
    """First derivative of the log density on the own scale, and minus the second: at least half that of the normal."""
    own, prior = target.own, 1.0 / target.sd**2
    values = own.backward(w)
    rate, bend = _rates(target, w, values)
    slope, curve, other = (target.mean - w) * prior, np.zeros(len(w)), np.zeros(len(w))
    for term in target.terms:
        known = term.derivatives(target.at, values)
        if known is None:  # no line in the variable: differences on the scale of what is drawn
            first, minus = differences(lambda step: term.log_accept(target.at, own.backward(w + step * target.sd)))  # noqa: B023
            slope, curve = slope + first / target.sd, curve + minus * prior
        else:
            slope, curve, other = slope + known[0] * rate, curve + known[1] * rate * rate, other - known[0] * bend
    least = 0.5 * (prior + np.maximum(curve, 0.0))
    return slope, np.minimum(np.maximum(prior + curve + other, least), _STEEPEST)


def _rates(target: Target, w: Array, values: Array) -> tuple[Array | float, Array | float]:
    """First and second derivative of the values by the own scale: 1 and 0 where that is in the user's units."""
    own, h = target.own, _NEAR * target.sd
    if values is w:
        return 1.0, 0.0
    with np.errstate(all="ignore"):
        if hasattr(own, "rates"):
            found = own.rates(values)
        else:
            below, above = own.backward(w - h), own.backward(w + h)
            found = (above - below) / (2.0 * h), (above - 2.0 * values + below) / (h * h)
    rate, bend = (np.nan_to_num(part, posinf=0.0, neginf=0.0) for part in found)
    return rate, bend


def _proposals(target: Target, centre: Array, sd: Array, df: float, rng: np.random.Generator) -> Array:
    """Proposals on the own scale, a normal's or a Student t's, truncated where there are bounds, shape (n,)."""
    n, plain = len(centre), not np.isfinite(df)
    if not (np.isfinite(target.low).any() or np.isfinite(target.high).any()):
        return centre + sd * (rng.standard_normal(n) if plain else rng.standard_t(df, n))
    share = rng.random(n)
    if plain:
        return truncated_normal(centre, sd, target.low, target.high, share)
    return truncated_student(centre, sd, df, target.low, target.high, share)


def _log_density(w: Array, centre: Array, sd: Array, df: float) -> Array:
    """Log density of proposals on the own scale, but for a constant in each row."""
    z = (w - centre) / sd
    return -0.5 * z * z if not np.isfinite(df) else -0.5 * (df + 1.0) * np.log1p(z * z / df)

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
    other = _other_than_normal(target, centre, sd)
    if not len(other):
        return _around(target, centre, sd, current, rng)
    values, moved = current.copy(), np.zeros(len(current), dtype=bool)
    values[other], moved[other] = draw_on_grid(target.of(other), current[other], rng)
    rest = np.setdiff1d(np.arange(len(current)), other)
    values[rest], moved[rest] = _around(target.of(rest), centre[rest], sd[rest], current[rest], rng)
    return values, moved


def _other_than_normal(target: Target, centre: Array, sd: Array) -> Rows:
    """Rows whose density differs much from the normal around its top, at two points beside it."""
    top, worst = np.clip(centre, target.low, target.high), np.zeros(len(centre))
    with np.errstate(invalid="ignore", over="ignore"):
        height = target.log_density(top, target.own.backward(top)) - _log_density(top, centre, sd, np.inf)
        for side in (-_BESIDE, _BESIDE):
            w = np.clip(centre + side * sd, target.low, target.high)
            apart = target.log_density(w, target.own.backward(w)) - _log_density(w, centre, sd, np.inf) - height
            worst = np.maximum(worst, np.where(apart > 0, apart, -_LIGHTER * apart))
    return np.flatnonzero(~(worst <= _APART))


def _around(
    target: Target, centre: Array, sd: Array, current: Array, rng: np.random.Generator
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """A proposal from the normal and one from the Student t, each accepted or refused."""
    now, values, moved = target.own.forward(current), current.copy(), np.zeros(len(current), dtype=bool)
    with np.errstate(invalid="ignore", over="ignore"):
        height = target.log_density(now, current)
        for df in PROPOSALS:
            there = _proposals(target, centre, sd, df, rng)
            proposed = target.own.backward(there)
            other = target.log_density(there, proposed)
            ratio = other - height + _log_density(now, centre, sd, df) - _log_density(there, centre, sd, df)
            good = np.isfinite(other) & ((np.log(rng.random(len(now))) < ratio) | ~np.isfinite(height))
            values, height = np.where(good, proposed, values), np.where(good, other, height)
            now, moved = np.where(good, there, now), moved | good
    return values, moved


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

"""Numbers drawn from their density on a grid of points, then accepted or refused: for densities of any shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from .target import Target, total_score

__all__ = ["draw_on_grid"]

FIRST, POINTS = 65, 33  #: points of the first grid, over 6 standard deviations to each side; of the narrower ones
ROUNDS = (3, 12)  #: proposals per row from the own normal, which are often accepted where the terms say little

_WIDTH = 6.0  # standard deviations of the own normal, to each side
_NARROWED = 5  # times, at most
_ENOUGH = 17  # points at which the density matters
_WIDER = 4  # times a grid is moved on whose highest point is its last
_DEPTH = 15.0  # log density below the top that is left out when a grid is narrowed
_FLOOR = 1e-4  # of the density's top: no point of the grid is out of reach
_TOPS = 6  # of a row, at most
_NOWHERE = -1e300  # log density of impossible points of a first grid
_PROPOSALS = 2  # of a row from its grids
_ELSEWHERE = 0.01  # share of proposals from the own normal: nothing beyond the grid is out of reach
_BLOCK = 200_000  # candidate rows worked on at once: a few MB


def draw_on_grid(target: Target, current: Array, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Draw numbers of any density, one with several tops too.

    Parameters
    ----------
    target : Target
        Of n rows; its likelihood terms are at most 0.
    current : ndarray, shape (n,)
        Values as they stand, in the user's units.
    rng : Generator

    Returns
    -------
    values : ndarray, shape (n,)
        In the user's units.
    moved : ndarray of bool, shape (n,)
        Rows whose value was drawn anew; the others keep theirs.

    Notes
    -----
    1. Propose up to 15 values from the own normal and accept the first by the likelihood terms; such rows are done.
    2. Of the others evaluate the density on 65 points; around each of up to six tops narrow a grid of 33 points
       until the density matters at half of them.
    3. Twice propose from the density interpolated between the points, or, 1 time in 100, from the own normal; accept
       with probability min(1, p(new) q(current) / (p(current) q(new))), p the density and q that of such proposals.

    Which rows are done in step 1, and the grids, depend on everything but the current values: the draw is exact.

    References
    ----------
    Ritter, C. and Tanner, M. A. (1992). Facilitating the Gibbs sampler: the Gibbs stopper and the griddy-Gibbs sampler.
    *Journal of the American Statistical Association* 87(419), 861-868. doi:10.1080/01621459.1992.10475289
    """
    values, moved = current.copy(), np.zeros(len(current), dtype=bool)
    for block in np.array_split(np.arange(len(current)), 1 + len(current) * FIRST // _BLOCK):
        waiting = block
        for proposals in ROUNDS:
            if len(waiting):
                found, got = _proposed(target.of(waiting), proposals, rng)
                values[waiting[got]], moved[waiting[got]] = found[got], True
                waiting = waiting[~got]
        if len(waiting):
            values[waiting], moved[waiting] = _on_grid(target.of(waiting), current[waiting], rng)
    return values, moved


def _proposed(target: Target, proposals: int, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The first accepted of several proposals from the own normal, and whether there is one, each (n,)."""
    n = len(target.mean)
    w = target.mean[:, None] + target.sd[:, None] * rng.standard_normal((n, proposals))
    values, at = np.asarray(target.own.backward(w)), np.repeat(target.at, proposals)
    within = (target.low[:, None] <= w) & (w <= target.high[:, None])
    score = total_score(target.terms, at, np.where(within, values, np.nan).ravel()).reshape(n, proposals)
    accepted = -rng.standard_exponential((n, proposals)) < score
    first = accepted.argmax(axis=1)
    return values[np.arange(n), first], np.asarray(accepted.any(axis=1))


class _Grids(NamedTuple):
    """Densities that are linear between equally spaced points: a grid for each top, so that a row may have several."""

    row: Rows  #: (g,) ascending: the row of each grid
    start: Array  #: (g,)
    width: Array  #: (g,) of a cell
    density: Array  #: (g, points) up to a constant of the row
    upto: Array  #: (g, points) mass below each point, the width not counted

    @property
    def mass(self) -> Array:
        """Mass of each grid, (g,), up to a constant of the row."""
        return self.upto[:, -1] * self.width

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        """A value of each of n rows: its grid by mass, then a quantile of that."""
        below = np.cumsum(self.mass)
        last = np.searchsorted(self.row, np.arange(n), side="right") - 1
        floor = np.concatenate([[0.0], below[last[:-1]]])
        chosen = np.searchsorted(below, floor + rng.random(n) * (below[last] - floor))
        chosen = np.clip(chosen, np.searchsorted(self.row, np.arange(n)), last)
        density, upto = self.density[chosen], self.upto[chosen]
        wanted, every = rng.random(n) * upto[:, -1], np.arange(n)
        cell = np.clip((upto <= wanted[:, None]).sum(axis=1) - 1, 0, density.shape[1] - 2)
        a, b, rest = density[every, cell], density[every, cell + 1], wanted - upto[every, cell]
        part = 2.0 * rest / (a + np.sqrt(np.maximum(a * a + 2.0 * (b - a) * rest, 0.0)))
        return np.asarray(self.start[chosen] + self.width[chosen] * (cell + np.clip(part, 0.0, 1.0)))

    def at(self, w: Array) -> Array:
        """Density of such draws at a value of each row, shape (n,); 0 beyond its grids."""
        place, every = (w[self.row] - self.start) / self.width, np.arange(len(self.row))
        inside = (place >= 0.0) & (place <= self.density.shape[1] - 1)
        place = np.where(inside, place, 0.0)
        cell = np.minimum(place.astype(np.int64), self.density.shape[1] - 2)
        a, b = self.density[every, cell], self.density[every, cell + 1]
        found = np.bincount(self.row, np.where(inside, a + (b - a) * (place - cell), 0.0), len(w))
        return np.asarray(found / np.bincount(self.row, self.mass, len(w)))


def _on_grid(target: Target, current: Array, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Two proposals from the interpolated density, each accepted or refused."""
    grids, n = _grids(target), len(current)

    def log_proposal(w: Array) -> Array:
        normal = np.exp(-0.5 * ((w - target.mean) / target.sd) ** 2) / (target.sd * np.sqrt(2.0 * np.pi))
        return np.log((1.0 - _ELSEWHERE) * grids.at(np.nan_to_num(w)) + _ELSEWHERE * normal)

    now, values, moved = target.own.forward(current), current.copy(), np.zeros(n, dtype=bool)
    with np.errstate(all="ignore"):
        level = target.log_density(now, current) - log_proposal(now)
        for _ in range(_PROPOSALS):
            elsewhere = rng.random(n) < _ELSEWHERE
            there = np.where(elsewhere, target.mean + target.sd * rng.standard_normal(n), grids.drawn(n, rng))
            proposed = target.own.backward(there)
            other = target.log_density(there, proposed)
            weight = other - log_proposal(there)
            good = np.isfinite(other) & ((np.log(rng.random(n)) < weight - level) | ~np.isfinite(level))
            values, level, moved = np.where(good, proposed, values), np.where(good, weight, level), moved | good
    return values, moved


def _grids(target: Target) -> _Grids:
    """The grids of each row, where its density matters: narrowed around each top by itself."""
    low, high = _first_ends(target)
    w = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, FIRST)
    row, low, high = _around_tops(w, _heights(target, w))
    share, score, narrow = np.linspace(0.0, 1.0, POINTS), np.empty((len(row), POINTS)), np.arange(len(row))
    for _ in range(_NARROWED):
        w = low[narrow, None] + (high - low)[narrow, None] * share
        found = _heights(target.of(row[narrow]), w)
        score[narrow] = found
        matters = found > found.max(axis=1, keepdims=True) - _DEPTH
        few = np.flatnonzero((matters.sum(axis=1) < _ENOUGH) & np.isfinite(found).any(axis=1))
        if not len(few):
            break
        first, end = matters.argmax(axis=1)[few], POINTS - 1 - matters[:, ::-1].argmax(axis=1)[few]
        narrow = narrow[few]
        low[narrow], high[narrow] = w[few, np.maximum(first - 1, 0)], w[few, np.minimum(end + 1, POINTS - 1)]
    else:
        score[narrow] = _heights(target.of(row[narrow]), low[narrow, None] + (high - low)[narrow, None] * share)
    top = np.full(len(target.mean), -np.inf)
    np.maximum.at(top, row, score.max(axis=1))
    top = np.where(np.isfinite(top), top, 0.0)
    density = np.exp(score - top[row, None])
    density += np.maximum(_FLOOR * density.max(axis=1, keepdims=True), np.finfo(float).tiny)
    mass = np.cumsum(0.5 * (density[:, 1:] + density[:, :-1]), axis=1)
    width = np.maximum((high - low) / (POINTS - 1), np.finfo(float).tiny)
    return _Grids(row, low, width, density, np.column_stack([np.zeros(len(row)), mass]))


def _around_tops(w: Array, score: Array) -> tuple[Rows, Array, Array]:
    """Rows, and the ends around each top of their log density on a first grid; at most six tops of a row.

    Parameters
    ----------
    w, score : ndarray, shape (n, points)

    Returns
    -------
    row, low, high : ndarray, each (g,)
        A top that lies within the ends of a higher one is no other.
    """
    n, points = score.shape
    score = np.where(np.isfinite(score), score, _NOWHERE)
    beside = np.pad(score, ((0, 0), (1, 1)), constant_values=-np.inf)
    tops = (score >= beside[:, :-2]) & (score > beside[:, 2:])
    tops[np.arange(n), score.argmax(axis=1)] = True
    rank = np.argsort(np.argsort(np.where(tops, -score, np.inf), axis=1, kind="stable"), axis=1)
    row, place = np.nonzero(tops & (rank < _TOPS))
    of, height, at = score[row], score[row, place][:, None], np.arange(points)
    left = np.where((of <= height - _DEPTH) & (at < place[:, None]), at, -1).max(axis=1)
    right = np.where((of <= height - _DEPTH) & (at > place[:, None]), at, points).min(axis=1)
    inside = (left[:, None] < at) & (at < right[:, None])
    first = np.where(inside, of, -np.inf).argmax(axis=1) == place
    row, left, right = row[first], np.maximum(left[first], 0), np.minimum(right[first], points - 1)
    return row, w[row, left], w[row, right]


def _first_ends(target: Target) -> tuple[Array, Array]:
    """Between which points of the own scale to look first: moved on where the density still rises at an end."""
    reach = _WIDTH * target.sd
    middle = np.clip(target.mean, target.low, target.high)
    low, high = np.maximum(middle - reach, target.low), np.minimum(middle + reach, target.high)
    rising = np.arange(len(low))
    for _ in range(_WIDER):
        part = target.of(rising)
        w = low[rising, None] + (high - low)[rising, None] * np.array([0.0, 0.02, 0.98, 1.0])
        score = _heights(part, w)
        down = (score[:, 0] > score[:, 1]) & (score[:, 0] >= score[:, 3]) & (low[rising] > part.low)
        up = (score[:, 3] > score[:, 2]) & (score[:, 3] >= score[:, 0]) & (high[rising] < part.high)
        low[rising] = np.where(down, np.maximum(low[rising] - 2.0 * reach[rising], part.low), low[rising])
        high[rising] = np.where(up, np.minimum(high[rising] + 2.0 * reach[rising], part.high), high[rising])
        rising = rising[down | up]
        if not len(rising):
            break
    return low, high


def _heights(target: Target, w: Array) -> Array:
    """Log density of several points of each row, shape (n, points)."""
    n, points = w.shape
    values = np.asarray(target.own.backward(w.ravel()))
    found = total_score(target.terms, np.repeat(target.at, points), values).reshape(n, points)
    return np.asarray(found - 0.5 * ((w - target.mean[:, None]) / target.sd[:, None]) ** 2)

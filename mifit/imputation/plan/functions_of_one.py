"""Which columns are a known function of one other: steps of a number, groups of levels, powers and logarithms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from .copies_in_other_units import linear_copy

__all__ = ["Curve", "Levels", "Steps", "curves", "levels", "steps", "unlikely"]

_ENOUGH = 10  # rows in which both are observed
_FEWEST = 3  # rows of a level, below which it says nothing
_PER_LEVEL, _GLANCE = 25, 10  # rows of a level that a first look takes, and a glance before it
_AT_ONCE = 1_000_000  # numbers that a glance holds
_MOST_LEVELS = 12
_SCREEN = 64  # rows, in fours, whose order a first look takes
_CHANCE = np.log(1e-9)  # of a relation that no data support


@dataclass(frozen=True)
class Steps:
    """A column that is constant between cuts of another."""

    child: int
    source: int
    cuts: tuple[float, ...]  #: from the lowest; the greatest value below each cut
    above: tuple[float, ...]  #: the least value above each cut
    values: tuple[float, ...]  #: of the child, one more than cuts
    rows: int


@dataclass(frozen=True)
class Levels:
    """A column that is the same wherever another one has the same level."""

    child: int
    source: int
    values: tuple[tuple[float, float], ...]  #: level of the source, value of the child
    rows: int


@dataclass(frozen=True)
class Curve:
    """A column that is a line in a curved function of another."""

    child: int
    source: int
    function: str  #: with ``{}`` where the other stands
    slope: float
    intercept: float
    rows: int


def unlikely(counts: npt.NDArray[Any], functions: float, pairs: float) -> bool:
    """Whether values of a column, so many of each, would hardly ever follow one of so many functions by chance.

    Parameters
    ----------
    counts : ndarray, shape (k,)
        How often each value occurs.
    functions : float
        Logarithm of the number of functions that are tried.
    pairs : float
        How many pairs of columns are tried.

    Examples
    --------
    >>> unlikely(np.array([50, 50]), np.log(2), 10), unlikely(np.array([2, 98]), np.log(2), 10)
    (True, False)
    """
    share = counts / counts.sum()
    return bool(counts @ np.log(share) + functions + np.log(max(pairs, 1.0)) < _CHANCE)


def steps(values: Array, seen: Mapping[int, Array], sources: Rows) -> Iterator[Steps]:
    """Find columns of few values that are constant between cuts of a number.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    seen : mapping
        Column of few values -> these.
    sources : ndarray of int
        Columns of many.

    Yields
    ------
    Steps
        A column of two values may be one of them between two cuts.
    """
    if not len(sources):
        return
    others = np.ascontiguousarray(values[:, sources])
    groups = {
        child: [np.flatnonzero(values[:, child] == value) for value in known]
        for child, known in seen.items()
        if 2 <= len(known) <= _MOST_LEVELS
    }
    possible = _at_a_glance(others, groups)
    for child, rows in groups.items():
        near = possible[child]
        near = near[_in_steps(_some(others[:, near], [rows], _PER_LEVEL))[0]] if len(near) else near
        for source in (int(k) for k in sources[near] if k != child):
            one = _all_steps(values[:, source], values[:, child], seen[child], len(seen) * len(sources))
            if one is not None:
                yield Steps(child, source, *one)


def _at_a_glance(others: Array, groups: Mapping[int, list[Rows]]) -> dict[int, Rows]:
    """Columns of ``others``, (n, p), that a few rows of each level leave possible as the source of each child."""
    found: dict[int, Rows] = {}
    together = max(1, _AT_ONCE // (_GLANCE * _MOST_LEVELS * others.shape[1]))
    for many in {len(rows) for rows in groups.values()}:
        children = [child for child, rows in groups.items() if len(rows) == many]
        for first in range(0, len(children), together):
            some = children[first : first + together]
            near = _in_steps(_some(others, [groups[child] for child in some], _GLANCE))
            found.update((child, np.flatnonzero(one)) for child, one in zip(some, near, strict=True))
    return found


def _some(others: Array, groups: list[list[Rows]], most: int) -> Array:
    """A few rows of every level of every child, shape (children, levels, most, columns); few rows are repeated."""
    places = np.arange(most)
    rows = np.array([[one[places * (len(one) - 1) // (most - 1)] for one in levels] for levels in groups])
    return np.asarray(others[rows])


def _spread(rows: Rows, most: int) -> Rows:
    """Some rows, from all over the frame."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _in_steps(data: Array) -> npt.NDArray[np.bool_]:
    """Whether levels do not overlap, or one of two lies in a gap of the other.

    Of rows (children, levels, rows, p); shape (children, p).
    """
    low, high = np.fmin.reduce(data, axis=2), np.fmax.reduce(data, axis=2)
    order = np.argsort(low, axis=1)
    lows, highs = np.take_along_axis(low, order, 1), np.take_along_axis(high, order, 1)
    apart = np.all((highs[:, :-1] < lows[:, 1:]) | np.isnan(lows[:, 1:]), axis=1) & ~np.isnan(lows[:, 1])
    if data.shape[1] == 2:
        for inner, outer in ((0, 1), (1, 0)):
            between = (data[:, outer] >= low[:, inner, None]) & (data[:, outer] <= high[:, inner, None])
            apart |= ~between.any(axis=1) & ~np.isnan(low).any(axis=1)
    return np.asarray(apart)


def _all_steps(
    x: Array, child: Array, seen: Array, pairs: int
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], int] | None:
    """Cuts and values where the child is constant between them in all rows, or None."""
    both = np.flatnonzero(~np.isnan(x) & ~np.isnan(child))
    order = both[np.argsort(x[both], kind="stable")]
    x, child = x[order], child[order]
    turns = np.flatnonzero(child[1:] != child[:-1])
    many = np.array([np.sum(child == value) for value in seen])
    many = many[many > 0]
    most = 2 if len(many) == 2 else len(many) - 1
    if len(x) < _ENOUGH or len(many) < 2 or len(turns) > most or many.min() < _FEWEST:
        return None
    runs = np.diff([-1, *turns, len(x) - 1])  # rows between cuts: one or two are an accident
    if np.any(x[turns] == x[turns + 1]) or runs.min() < _FEWEST:
        return None
    if not unlikely(many, most * np.log(max(len(many), 2)), pairs):
        return None
    below, above = tuple(x[turns].tolist()), tuple(x[turns + 1].tolist())
    return below, above, (*child[turns].tolist(), float(child[-1])), len(x)


def levels(values: Array, seen: Mapping[int, Array]) -> Iterator[Levels]:
    """Find columns of few values that follow from the level of another.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    seen : mapping
        Column of few values -> these.

    Yields
    ------
    Levels
        Of two columns that follow from one another, each.
    """
    names = [c for c, known in seen.items() if 2 <= len(known) <= _MOST_LEVELS]
    if len(names) < 2:
        return
    some = _spread(np.arange(len(values)), 4 * _SCREEN)
    with np.errstate(invalid="ignore"):
        marked = np.concatenate([values[some, c][:, None] == seen[c] for c in names], axis=1).astype(np.float32)
    starts = np.cumsum([0, *(len(seen[c]) for c in names)])[:-1]
    table = marked.T @ marked > 0
    pure = np.add.reduceat(table, starts, axis=1, dtype=np.int64) <= 1
    told = np.logical_and.reduceat(pure, starts, axis=0)
    for i, j in zip(*np.nonzero(told), strict=True):
        if i != j:
            one = _all_levels(values[:, names[i]], values[:, names[j]], seen[names[i]], len(names) ** 2)
            if one is not None:
                yield Levels(names[j], names[i], *one)


def _all_levels(
    source: Array, child: Array, seen: Array, pairs: int
) -> tuple[tuple[tuple[float, float], ...], int] | None:
    """The child's value at each level of the source, where it has one only; None where it has several."""
    both = ~np.isnan(source) & ~np.isnan(child)
    found, thin, usual = [], 0, list[float]()
    for level in seen:
        here = child[both & (source == level)]
        if len(here) and np.ptp(here) > 0:
            return None
        found += [(float(level), float(here[0]))] if len(here) else []
        thin += 0 < len(here) < _FEWEST
        usual += [float(here[0])] if len(here) >= _FEWEST else []
    if thin and len({*usual}) == len(usual):  # the same but for a row or two
        return None
    many = np.unique(child[both], return_counts=True)[1]
    if both.sum() < _ENOUGH or len(many) < 2 or many.min() < _FEWEST:
        return None
    return (tuple(found), int(both.sum())) if unlikely(many, len(found) * np.log(len(many)), pairs) else None


def _functions(x: Array) -> Iterator[tuple[str, Array]]:
    """Curved functions of a number, the most usual first, (n,) each."""
    known = x[~np.isnan(x)]
    yield "{} ** 2", x**2
    if known.min() > 0:
        yield from (("np.log({})", np.log(x)), ("np.log10({})", np.log10(x)), ("np.log2({})", np.log2(x)))
    if known.min() >= 0:
        yield from (("np.log1p({})", np.log1p(x)), ("np.sqrt({})", np.sqrt(x)), ("np.log({} + 0.5)", np.log(x + 0.5)))
    if np.all(known != 0):
        yield from (("1 / {}", 1 / x), ("1 / {} ** 2", 1 / x**2))
    yield "{} ** 3", x**3
    yield "np.abs({})", np.abs(x)
    if known.max() < 50:
        yield "np.exp({})", np.exp(x)
    for middle in (float(known.mean()), float(np.median(known))):
        shown = f"({{}} - {middle!r})" if middle >= 0 else f"({{}} + {-middle!r})"
        yield from ((f"{shown} ** 2", (x - middle) ** 2), (f"np.abs{shown}", np.abs(x - middle)))


def curves(values: Array, columns: Rows) -> Iterator[Curve]:
    """Find numbers that are a line in a square, a logarithm, a root or the like of another.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    columns : ndarray of int
        Columns of many values.

    Yields
    ------
    Curve
        Of two columns that are functions of one another, each where both functions are usual.
    """
    every = values[:, columns]
    some = every[_spread(np.arange(len(values)), 4 * _SCREEN)]
    centre = np.nansum(every, axis=0) / np.maximum(np.sum(~np.isnan(every), axis=0), 1)
    shapes = [some, np.abs(some), np.abs(some - centre)]
    moves = [np.nan_to_num(np.sign(np.diff(one, axis=0))).astype(np.float32) for one in shapes]  # counts are exact
    tried = set()
    for one in moves:
        agree, both = one.T @ moves[0], np.abs(one).T @ np.abs(moves[0])
        near = (np.abs(agree) >= both) & (both >= _ENOUGH)
        np.fill_diagonal(near, False)
        for i, j in zip(*np.nonzero(near), strict=True):
            if (i, j) in tried:
                continue
            tried.add((i, j))
            found = _curve(values[:, columns[i]], values[:, columns[j]])
            if found is not None:
                yield Curve(int(columns[j]), int(columns[i]), *found)


def _curve(x: Array, y: Array) -> tuple[str, float, float, int] | None:
    """The first usual function of x in which y is a line, slope and intercept in few digits; None where none is."""
    both = ~np.isnan(x) & ~np.isnan(y)
    if both.sum() < _ENOUGH:
        return None
    found = []
    with np.errstate(all="ignore"):
        for text, made in _functions(x):
            line = linear_copy(made, y) if np.isfinite(made[both]).all() else None
            found += [] if line is None else [(len(repr(line)), text, *line)]
    if not found:
        return None
    return (*min(found, key=lambda one: one[0])[1:], int(both.sum()))

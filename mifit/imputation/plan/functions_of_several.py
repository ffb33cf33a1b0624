"""Which numbers are a sum, difference, product or ratio of others: exact linear dependence, of logarithms too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...typing import Array, Flags, Rows
from .copies_in_other_units import allowances

__all__ = ["Product", "Sum", "gated", "products", "sums"]

_NEAR = 0.02  # distance from what others explain, in standard deviations, that rounding may make
_EXACT = 1e-8  # the same where nothing is rounded
_MOST = 30  # columns of a sum
_FACTORS = 4  # columns of a product
_DIGITS = 16
_CLEAR = 8.0  # standard errors from 0, from which a coefficient belongs to a rounded sum
_ZEROS = 0.05  # share of zeros from which a number has no logarithm


@dataclass(frozen=True)
class Sum:
    """Columns that add up: intercept + sum of coefficient times column = 0."""

    columns: tuple[int, ...]
    coefficients: tuple[float, ...]  #: that of the first is -1
    intercept: float
    rows: int


@dataclass(frozen=True)
class Product:
    """A column that is a constant times powers of others."""

    child: int
    sources: tuple[int, ...]
    powers: tuple[float, ...]
    factor: float
    rows: int


def sums(values: Array, columns: Sequence[int]) -> Iterator[Sum]:
    """Find columns that are exact sums of others, with any coefficients.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    columns : sequence of int
        Numbers.

    Yields
    ------
    Sum
        Once for each dependence; the first column is the latest of the frame.
    """
    for child, sources in _dependent(values, columns, ~np.isnan(values[:, columns])):
        found = _line(values[:, sources], values[:, child])
        if found is not None:
            coefficients, intercept, rows = found
            kept = [k for k, one in enumerate(coefficients) if one != 0.0]
            if len(kept) > 1:
                yield Sum(
                    (child, *(sources[k] for k in kept)), (-1.0, *(coefficients[k] for k in kept)), intercept, rows
                )


def products(values: Array, columns: Sequence[int]) -> Iterator[Product]:
    """Find columns that are products or ratios of powers of others, such as a body mass index.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    columns : sequence of int
        Numbers.

    Yields
    ------
    Product
        Powers are halves or whole numbers.
    """
    numbers = values[:, columns]
    kept = np.mean(numbers == 0, axis=0) <= _ZEROS
    numbers, places = numbers[:, kept], np.asarray(columns)[kept].tolist()
    seen = ~np.isnan(numbers) & (numbers != 0)
    for place, sources in _dependent(numbers, range(len(places)), seen, _log):
        found = _power(numbers, seen, place, sources) if 2 <= len(sources) <= _FACTORS else None
        if found is not None:
            child, sources, powers, factor, rows = found
            yield Product(places[child], tuple(places[k] for k in sources), powers, factor, rows)


def _log(values: Array) -> Array:
    """Logarithms of absolute values."""
    return np.asarray(np.log(np.abs(values)))


def gated(values: Array, columns: Sequence[int], gates: Sequence[int]) -> Iterator[Product]:
    """Find numbers that are another one where a 0/1 column is 1, and 0 elsewhere.

    Parameters
    ----------
    values : ndarray, shape (n, p)
        NaN where missing.
    columns : sequence of int
        Numbers.
    gates : sequence of int
        Columns of 0 and 1.

    Yields
    ------
    Product
    """
    if not len(gates):
        return
    numbers = values[:, columns]
    for child in (columns[int(k)] for k in np.flatnonzero(np.mean(numbers == 0, axis=0) >= _ZEROS)):
        found = values[:, child]
        rows = np.flatnonzero(~np.isnan(found) & (found != 0))
        if len(np.unique(found[rows[:50]])) < 5:
            continue
        some = rows[:: max(1, len(rows) // 25)]
        same = (numbers[some] == found[some, None]) | np.isnan(numbers[some])
        for source in (columns[int(k)] for k in np.flatnonzero(same.all(axis=0)) if columns[int(k)] != child):
            for gate in gates:
                made = values[:, source] * values[:, gate]
                both = ~np.isnan(made) & ~np.isnan(found)
                if both.sum() >= 10 and np.array_equal(made[both], found[both]) and np.ptp(values[both, gate]) > 0:
                    yield Product(child, (gate, source), (1.0, 1.0), 1.0, int(both.sum()))
                    break


def _dependent(
    values: Array, columns: Sequence[int], seen: Flags, scale: Callable[[Array], Array] = np.asarray
) -> Iterator[tuple[int, list[int]]]:
    """Columns that others explain but for rounding, each with those that do, in rows where all are observed.

    ``seen`` marks what is observed, shape (n, len(columns)); ``scale`` is taken of the values there.
    """
    chosen, rows = _together(seen, columns)
    if len(chosen) < 3:
        return
    X: Array = scale(values[rows[:, None], chosen])
    size = np.abs(X).max(axis=0)
    X = X / np.where(size > 0, size, 1.0)
    X = X - X.mean(axis=0)
    norm = np.sqrt(np.sum(X * X, axis=0))
    good = np.flatnonzero(norm > 1e-9 * np.sqrt(len(X)))
    chosen, X = [chosen[k] for k in good], X[:, good] / norm[good]
    if _clearly_free(X):
        return
    R: Array = np.asarray(np.linalg.qr(X, mode="r"))
    left = np.abs(np.diag(R))
    free = left >= _NEAR
    for k in np.flatnonzero(~free):
        before = np.flatnonzero(free[:k])
        if len(before) < 2:
            continue
        solved, *_ = np.linalg.lstsq(R[:, before], R[:, k], rcond=None)
        rest = R[:, k] - R[:, before] @ solved
        residual = float(np.sqrt(rest @ rest))
        if residual >= _NEAR:
            continue
        if residual < _EXACT:
            kept = np.abs(solved) > 1e-6
        else:
            inverse = np.linalg.pinv(R[:, before])
            errors = residual / np.sqrt(max(len(X) - len(before) - 1, 1)) * np.sqrt(np.sum(inverse**2, axis=1))
            kept = np.abs(solved) > _CLEAR * errors
        if 2 <= kept.sum() <= _MOST:
            yield chosen[k], [chosen[b] for b in before[kept]]


def _clearly_free(X: Array) -> bool:
    """Whether no column of unit length is near to what those before it explain; the same as by QR, at less cost."""
    try:
        return bool(np.diag(np.linalg.cholesky(X.T @ X)).min(initial=1.0) > 2.0 * _NEAR)
    except np.linalg.LinAlgError:
        return False


def _together(seen: Flags, columns: Sequence[int]) -> tuple[list[int], Rows]:
    """As many columns as leave enough rows in which all are observed, in the frame's order, and such rows."""
    by_column = np.ascontiguousarray(seen.T)
    rows = np.ones(len(seen), dtype=bool)
    chosen: list[int] = []
    for k in np.argsort(-by_column.sum(axis=1), kind="stable"):
        with_it = rows & by_column[k]
        if np.count_nonzero(with_it) >= 2 * (len(chosen) + 1) + 20:
            rows = with_it
            chosen.append(int(k))
    found = np.flatnonzero(rows)
    most = 2 * len(chosen) + 100
    found = found if len(found) <= most else found[np.linspace(0, len(found) - 1, most).astype(np.int64)]
    return [columns[k] for k in sorted(chosen)], found


def _line(X: Array, y: Array) -> tuple[list[float], float, int] | None:
    """Coefficients and intercept, in few digits, that give y in all rows but for its rounding; None where none do."""
    both = ~np.isnan(y) & ~np.isnan(X).any(axis=1)
    X, y = X[both], y[both]
    scale, size = float(np.abs(y).max()), np.abs(X).max(axis=0)
    middle = X.mean(axis=0)
    if not scale or not size.all():
        return None
    solved, *_ = np.linalg.lstsq((X - middle) / size, (y - y.mean()) / scale, rcond=None)
    solved = solved * scale / size
    many = round(1.0 / float(np.mean(np.abs(solved))))  # a mean of so many
    shares = [] if many < 2 else [(np.sign(solved) / many).tolist()]
    for allowed in allowances(y, scale, float(np.std(y))):
        for short in [*shares, *([float(f"{one:.{digits - 1}e}") for one in solved] for digits in range(1, _DIGITS))]:
            rest = y - X @ np.array(short)
            if float(np.ptp(rest)) > 2.0 * allowed:
                continue
            centre = 0.5 * float(rest.min()) + 0.5 * float(rest.max())
            for b in (0.0, *(float(f"{centre:.{k - 1}e}") for k in range(1, _DIGITS + 2))):
                if float(np.abs(rest - b).max()) <= allowed:
                    return short, b, len(y)
    return None


def _power(
    values: Array, seen: Flags, child: int, sources: list[int]
) -> tuple[int, list[int], tuple[float, ...], float, int] | None:
    """The product that a dependence of logarithms means, where it holds in all rows; None where it does not."""
    both = np.flatnonzero(seen[:, [child, *sources]].all(axis=1))
    X, y = _log(values[both[:, None], sources]), _log(values[both, child])
    X = X - X.mean(axis=0)
    solved, *_ = np.linalg.lstsq(X, y - y.mean(), rcond=None)
    powers = np.round(2 * solved) / 2
    every = ~np.isnan(values[:, [child, *sources]]).any(axis=1)
    with np.errstate(all="ignore"):
        made = np.prod(values[every][:, sources] ** powers, axis=1)
        found = values[every, child]
        ratio = found / made
    known = np.isfinite(ratio) & (found != 0)
    if np.any(powers == 0) or not known.sum() or not np.isfinite(made).all():
        return None
    middle, scale = float(np.median(ratio[known])), float(np.abs(found).max())
    for allowed in allowances(found, scale, float(np.std(found))):
        for digits in range(1, _DIGITS):
            factor = float(f"{middle:.{digits - 1}e}")
            if factor and float(np.abs(found - factor * made).max()) <= allowed:
                return child, sources, tuple(powers.tolist()), factor, len(found)
    return None

"""Values that were filled in before imputing: made of columns as if their missing values were known."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import DataError, listed
from ...formula.derived import Derived, numbers
from ...formula.terms import code_of
from ...frame.table import Table
from ...typing import Array, Rows
from .copies_in_other_units import allowances

__all__ = ["Filled", "determined", "filled_before", "line_that_empties", "refuse_filled"]

_FEW = 12  # values up to which a column is a few levels
_LEAST = 3  # rows that must agree where a column has more values than that
_CHANCE = np.log(0.0001)  # of true values that look as if they were filled in
_TRIED = 200  # complete rows on which the chance is counted
_SHOWN = 3  # rows that an error names


class Filled(NamedTuple):
    """Values of a column that are no observations."""

    name: Hashable
    without: tuple[Hashable, ...]  #: the columns of which it is made, or that are made of it, with missing values
    rows: Rows
    where: str  #: "in all 40 rows where 'x' is missing"
    what: str  #: a number, or the expression with what stands for its missing values
    one_value: bool  #: whether they are all the same


def refuse_filled(derived: Sequence[Derived], table: Table, conditional: Collection[Hashable]) -> None:
    """Refuse derived columns whose values stand for missing ones: parents would be solved from them.

    Parameters
    ----------
    derived : sequence of Derived
    table : Table
        As the frame was given.
    conditional : collection of hashable
        Columns that are missing where they are not asked for: rows where they are missing say nothing.

    Raises
    ------
    DataError
        If a derived column, or a parent of it, was filled in before imputing.
    """
    for one in derived:
        values = {name: numbers(table, name) for name in (one.name, *one.parents)}
        asked = [~np.isnan(values[p]) for p in one.parents if p in conditional]
        asked_for = np.all(asked, axis=0) if asked else np.ones(table.n_rows, dtype=bool)
        found = filled_before(one, {name: column[asked_for] for name, column in values.items()})
        if found is not None:
            rows = np.flatnonzero(asked_for)[found.rows]
            raise DataError(
                f"{found.name!r} was made before imputing: {found.where} it is {found.what}.",
                derived=f"{code_of(one.name)} = {one.code}",
                rows=listed(rows.tolist(), _SHOWN),
                do=line_that_empties(found),
            )


def line_that_empties(found: Filled) -> str:
    """The line that makes a column missing where what it was made of is, to stand before a call.

    Examples
    --------
    >>> line_that_empties(Filled("lx", ("x",), np.arange(3), "", "", False))
    "df['lx'] = df['lx'].where(df['x'].notna())"
    >>> line_that_empties(Filled("tot", ("a", "b"), np.arange(3), "", "", False))
    "df['tot'] = df['tot'].where(df[['a', 'b']].notna().all(axis=1))"
    """
    known = f"df[{found.without[0]!r}].notna()"
    if len(found.without) > 1:
        known = f"df[{[*found.without]!r}].notna().all(axis=1)"
    return f"df[{found.name!r}] = df[{found.name!r}].where({known})"


def filled_before(one: Derived, values: Mapping[Hashable, Array], computable: bool = True) -> Filled | None:
    """Find values of a column, or of what it is made of, that were filled in before imputing.

    Parameters
    ----------
    one : Derived
    values : mapping
        Column -> numbers or level codes, shape (n,); NaN where missing.
    computable : bool, default True
        Whether the expression can be computed of these values; level codes are no numbers.

    Returns
    -------
    Filled or None

    Notes
    -----
    Each is looked for in all rows where it could be:

    1. the column has one value wherever a source is missing, though it could have others there;
    2. it is the expression of the parts that are observed, as ``df[parts].sum(axis=1)`` or their mean or product are;
    3. it is the expression with one number in place of a missing source;
    4. a source has one value wherever the column made of it is missing.

    True values that look so with a probability of 1 in 10,000 or more are none of these.
    """
    gone = np.any([np.isnan(values[p]) for p in one.parents], axis=0)
    rows = np.flatnonzero(gone & ~np.isnan(values[one.name]))
    if computable and len(rows):
        rows = rows[~determined(one, values, rows)]
    without = tuple(p for p in one.parents if np.isnan(values[p][rows]).any())
    if _one_value(values[one.name], rows, ~gone):
        value = f"{values[one.name][rows[0]]:.6g}"
        return Filled(one.name, without, rows, _where(rows, without), value, True)
    if computable and len(rows) > 1:
        for what, made in _guesses(one, values, rows):
            short = tuple(p for p in one.parents if np.isnan(values[p][made]).any())
            return Filled(one.name, without, made, _where(made, short), what, False)
    lost = np.isnan(values[one.name]) & ~gone
    for parent in one.parents:
        at, seen = np.flatnonzero(lost), ~np.isnan(values[one.name]) & ~np.isnan(values[parent])
        if len(np.unique(values[parent][seen])) > 1 and _one_value(values[parent], at, seen, unusual=True):
            value = f"{values[parent][at[0]]:.6g}"
            return Filled(parent, (one.name,), at, _where(at, (one.name,)), value, True)
    return None


def _where(rows: Rows, missing: Sequence[Hashable]) -> str:
    """Where a column was filled in, in words."""
    return f"in all {len(rows)} rows where {' or '.join(map(repr, missing))} is missing"


def determined(one: Derived, values: Mapping[Hashable, Array], rows: Rows) -> npt.NDArray[np.bool_]:
    """Rows whose value is the same whatever is missing, such as one of two conditions that holds; (len(rows),)."""
    ends = []
    for end in (np.nanmin, np.nanmax):
        data = {p: values[p][rows] for p in one.parents}
        fill = {p: end(values[p]) if not np.isnan(values[p]).all() else np.nan for p in one.parents}
        ends.append(one.unmasked({p: np.where(np.isnan(v), fill[p], v) for p, v in data.items()}))
    seen = values[one.name][rows]
    several = np.sum([~np.isnan(values[p][rows]) for p in one.parents], axis=0) > 0
    return np.asarray(several & (ends[0] == seen) & (ends[1] == seen), dtype=bool)


def _one_value(column: Array, rows: Rows, elsewhere: npt.NDArray[np.bool_], unusual: bool = False) -> bool:
    """Whether a column has one value in some rows, and hardly by accident; if unusual, one that it has nowhere else."""
    known = column[elsewhere & ~np.isnan(column)]
    if len(rows) < 2 or not len(known) or np.ptp(column[rows]) > 0:
        return False
    share = float(np.mean(known == column[rows[0]]))
    many = len(np.unique(known)) > _FEW
    if (many and len(rows) < _LEAST) or (unusual and share and not many):
        return False
    return bool((len(rows) - (many or not share)) * np.log(max(share, 1 / (len(known) + 1))) < _CHANCE)


def _guesses(one: Derived, values: Mapping[Hashable, Array], rows: Rows) -> Iterator[tuple[str, Rows]]:
    """What the given values are in all rows, in words, with the rows."""
    parts = np.array([values[p] for p in one.parents])
    seen = ~np.isnan(parts)
    means = np.where(seen, parts, 0.0).sum(axis=0) / np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)
    for words, fill in (("as 0", 0.0), ("as 1", 1.0), ("as the mean of the others", means)):
        filled = np.where(seen, parts, fill)
        if _agrees(one, values, filled, rows) and _unlikely(one, values, seen, fill, rows):
            yield f"{one.code} with missing values counted {words}", rows
    for k, parent in enumerate(one.parents):
        alone = rows[~seen[k, rows] & np.delete(seen, k, axis=0)[:, rows].all(axis=0)]
        if len(alone) < _LEAST:
            continue
        number = _solved(one, values, parent, alone[0])
        agrees = np.isfinite(number) and _agrees(one, values, np.where(seen, parts, number), alone)
        if agrees and _unlikely(one, values, seen, number, alone[1:]):  # the first row gave the number
            yield f"{one.code} with {number:.6g} for {parent!r}", alone


def _solved(one: Derived, values: Mapping[Hashable, Array], parent: Hashable, row: int) -> float:
    """The number for a parent that gives one row's value, where the expression is a line in it."""
    at = {p: np.repeat(values[p][row], 2) for p in one.parents}
    at[parent] = np.array([0.0, 1.0])
    low, high = one.unmasked(at)
    with np.errstate(all="ignore"):
        return float((values[one.name][row] - low) / (high - low))


def _agrees(one: Derived, values: Mapping[Hashable, Array], filled: Array, rows: Rows) -> bool:
    """Whether the expression of filled parents, (p, n), is the given value in all of some rows, but for rounding."""
    return bool(np.all(_near(one, values, one.unmasked(dict(zip(one.parents, filled[:, rows], strict=True))), rows)))


def _near(one: Derived, values: Mapping[Hashable, Array], made: Array, rows: Rows) -> Array:
    """Where made values are the given ones but for their rounding, (len(rows),)."""
    given = values[one.name]
    known = given[~np.isnan(given)]
    scale = float(np.abs(known).max()) or 1.0
    allowed = allowances(known, scale, float(np.std(known / scale)) * scale)[-1]
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(made - given[rows]) <= allowed)


def _unlikely(
    one: Derived, values: Mapping[Hashable, Array], seen: npt.NDArray[np.bool_], fill: Array | float, rows: Rows
) -> bool:
    """Whether true values would hardly agree with so many filled ones, as counted on complete rows."""
    complete = np.flatnonzero(seen.all(axis=0) & ~np.isnan(values[one.name]))
    complete = complete[:: max(1, len(complete) // _TRIED)]
    if not len(complete):
        return True
    parts = np.array([values[p][complete] for p in one.parents])
    total = 0.0
    patterns, many = np.unique(~seen[:, rows], axis=1, return_counts=True)
    for pattern, count in zip(patterns.T, many, strict=True):
        left = parts[~pattern]
        middle = left.mean(axis=0) if len(left) else np.nan
        with_fill = np.where(pattern[:, None], fill if np.ndim(fill) == 0 else middle, parts)
        found = one.unmasked(dict(zip(one.parents, with_fill, strict=True)))
        share = float(np.mean(_near(one, values, found, complete)))
        total += count * np.log(max(share, 1 / (len(complete) + 1)))
    return bool(total < _CHANCE)

"""How strongly columns are associated with each other and with missing values; the predictors that this leaves."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array, Rows
from .defaults import main_effects

__all__ = ["Associations", "strongest"]

_DENSE = 10  # levels up to which a column is kept as indicators; the products of more are counted


class Associations:
    """Correlations of the columns of a table with one another, and with whether they are missing.

    Parameters
    ----------
    table : Table

    Notes
    -----
    Of a column of levels, the indicators of all levels but the first are correlated; missing values count as the mean.
    Products of indicators of many levels are counts of pairs of levels: no matrix of them is made.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._levels: dict[Hashable, _Levels] = {}

    def of(self, name: Hashable, candidates: Sequence[Hashable]) -> Array:
        """Largest absolute correlation of each candidate with a column or its missingness, shape (len(candidates),).

        Examples
        --------
        >>> import pandas as pd
        >>> from mifit.frame.table import read
        >>> frame = pd.DataFrame({"x": [1.5, None, 3.0, 9.0], "z": [3.0, 5.0, 6.0, 18.0], "gone": [0.5, 9.5, 0.5, 0.5]})
        >>> Associations(read(frame)).of("x", ["z", "gone"]).round(2)
        array([0.96, 1.  ])
        """
        missing = self.missingness([name])
        matrix, starts, places = self._effects
        own = self._own(name)
        wanted = np.hstack([own, missing])
        largest = np.abs(wanted.T @ matrix).max(axis=0, initial=0.0)
        by_column = np.maximum.reduceat(largest, starts) if len(starts) else largest
        return np.array([
            by_column[places[c]] if c in places else self._with_levels(c, name, own, missing) for c in candidates
        ])  # fmt: skip

    @property
    def matrix(self) -> Array:
        """Standardised main effects of all columns but those of many levels, side by side, (n, p)."""
        return self._effects[0]

    @cached_property
    def blocks(self) -> dict[Hashable, Rows]:
        """Where the main effects of each column stand in the matrix."""
        matrix, starts, places = self._effects
        ends = [*starts[1:].tolist(), matrix.shape[1]]
        return {n: np.arange(starts[k], ends[k]) for n, k in places.items()}

    def missingness(self, names: Sequence[Hashable]) -> Array:
        """Standardised indicators of where some columns are missing, (n, len(names))."""
        gone = [self.table.gone(n) for n in names]
        return _standardised(np.array(gone, dtype=np.float64).reshape(len(gone), self.table.n_rows).T)

    @cached_property
    def parameters(self) -> dict[Hashable, int]:
        """How many coefficients the main effects of each column have."""
        columns = self.table.columns.values()
        return {c.name: 1 if c.number else max(1, c.n_levels - 1) for c in columns}

    @cached_property
    def _effects(self) -> tuple[Array, Rows, dict[Hashable, int]]:
        """Standardised main effects side by side, where each column's begin, and which column is which."""
        rows = np.arange(self.table.n_rows)
        names = [n for n, column in self.table.columns.items() if _known(column) and not self._counted(n)]
        parts = [main_effects(self.table, n, rows) for n in names]
        parts = [part if part.shape[1] else np.zeros((len(rows), 1)) for part in parts]
        starts = np.cumsum([0, *(part.shape[1] for part in parts)])[:-1]
        matrix = _standardised(np.hstack(parts)) if parts else np.empty((len(rows), 0))
        return matrix, starts.astype(np.int64), {n: k for k, n in enumerate(names)}

    def _own(self, name: Hashable) -> Array:
        """The standardised main effects of one column."""
        if name in self.blocks:
            return self.matrix[:, self.blocks[name]]
        return _standardised(main_effects(self.table, name, np.arange(self.table.n_rows)))

    def _counted(self, name: Hashable) -> bool:
        """Whether a column has so many levels that their products are counted."""
        column = self.table[name]
        return column.n_levels > _DENSE and not column.number

    def _with_levels(self, candidate: Hashable, name: Hashable, own: Array, missing: Array) -> float:
        """Largest absolute correlation of a column of many levels with a column or its missingness."""
        if not _known(self.table[candidate]):
            return 0.0
        levels = self._of(candidate)
        found = levels.products(missing)
        if self._counted(name):
            return float(max(np.max(np.abs(found), initial=0.0), np.max(np.abs(levels.pairs(self._of(name))))))
        return float(np.max(np.abs(np.hstack([found, levels.products(own)])), initial=0.0))

    def _of(self, name: Hashable) -> _Levels:
        """The indicators of a column of many levels, as codes."""
        if name not in self._levels:
            self._levels[name] = _Levels.of(self.table[name])
        return self._levels[name]


@dataclass(frozen=True)
class _Levels:
    """Indicators of many levels, centred and of unit length, that are never written out."""

    codes: Rows  #: (n,) 0 where missing
    seen: Array  #: (n,) 1 where observed
    share: Array  #: (levels,) among the observed
    size: Array  #: (levels,) length of the centred indicator, 1 of one that is 0

    @classmethod
    def of(cls, column: Column) -> _Levels:
        """Those of a column."""
        seen = ~np.isnan(column.values)
        codes = np.where(seen, column.values, 0.0).astype(np.int64)
        counts = np.bincount(codes[seen], minlength=column.n_levels).astype(np.float64)
        share = counts / max(counts.sum(), 1.0)
        size = np.sqrt(counts * (1.0 - share))
        return cls(codes, seen.astype(np.float64), share, np.where(size > 0, size, 1.0))

    def products(self, others: Array) -> Array:
        """Scalar products of all indicators but the first with other columns, shape (levels - 1, others)."""
        kept = others * self.seen[:, None]
        sums = np.array([np.bincount(self.codes, weights=one, minlength=len(self.share)) for one in kept.T]).T
        return np.asarray((sums - self.share[:, None] * kept.sum(axis=0)) / self.size[:, None])[1:]

    def pairs(self, other: _Levels) -> Array:
        """The same with the indicators of another column of many levels, from counts of pairs of levels."""
        many, both = (len(self.share), len(other.share)), self.seen * other.seen
        place = self.codes * many[1] + other.codes
        counts = np.bincount(place, weights=both, minlength=many[0] * many[1]).reshape(many)
        rows, columns = counts.sum(axis=1), counts.sum(axis=0)
        found = counts - np.outer(self.share, columns) - np.outer(rows, other.share)
        found += both.sum() * np.outer(self.share, other.share)
        return np.asarray(found / np.outer(self.size, other.size))[1:, 1:]


def strongest(
    known: Associations, name: Hashable, candidates: Sequence[Hashable], first: Sequence[Hashable], most: int
) -> list[Hashable]:
    """Keep as many predictors as there is room for.

    Parameters
    ----------
    known : Associations
        Of the table.
    name : hashable
        The column predicted.
    candidates : sequence of hashable
        Its possible predictors.
    first : sequence of hashable
        Those that stay whatever their number.
    most : int
        Parameters allowed.

    Returns
    -------
    list of hashable
        In the order of ``candidates``; chosen by absolute correlation with the column and its missingness.
    """
    cost = known.parameters
    if 1 + sum(cost[c] for c in candidates) <= most:
        return list(candidates)
    always = set(first)
    stay = [c for c in candidates if c in always]
    room = most - 1 - sum(cost[c] for c in stay)
    rest = [c for c in candidates if c not in always]
    score = known.of(name, rest)
    for index in np.argsort(-score, kind="stable"):
        if cost[rest[index]] <= room or (not stay and room == most - 1):
            stay.append(rest[index])
            room -= cost[rest[index]]
    kept = set(stay)
    return [c for c in candidates if c in kept]


def _standardised(columns: Array) -> Array:
    """Centred columns of unit length, missing and infinite values at the mean."""
    seen = np.isfinite(columns)
    found = np.where(seen, columns, 0.0)
    largest = np.abs(found).max(axis=0, initial=0.0)
    found /= np.where(largest > 0, largest, 1.0)
    found -= seen * (found.sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    size = np.sqrt(np.einsum("ij,ij->j", found, found))
    return np.asarray(found / np.where(size > 0, size, 1.0))


def _known(column: Column) -> bool:
    """Whether a column is numbers or levels, some of them observed."""
    return column.kind is not Kind.OTHER and len(column.missing) < len(column.values)

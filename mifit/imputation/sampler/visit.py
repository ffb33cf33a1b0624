"""What a method sees of one variable, read from the store when it asks."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from ..contract import Clusters, Cross, Visit
from .store import BLOCK, ColumnStore, Model

__all__ = ["ClusterCodes", "Response", "StoreVisit"]

_FEW = 3  # cross-products of observed rows: subtract the missing rows when they are fewer than 1/3 of all


class ClusterCodes(NamedTuple):
    """The cluster of every row of the table."""

    codes: Rows  #: (n,)
    many: int
    places: Rows  #: (w,) columns of the store whose effects differ by cluster
    widths: tuple[int, ...] = ()  #: how many of the last columns share one variance, for each further component

    def columns(self, X: Array) -> Array:
        """The random columns among those of the store on some rows, (n, w)."""
        return X.take(self.places, axis=1)

    def on(self, store: ColumnStore, rows: Rows | None) -> Clusters:
        """The same on some rows, with the columns as they stand; None for all."""
        X = store.X if rows is None else store.X.take(rows, axis=0)
        return Clusters(self.codes if rows is None else self.codes[rows], self.many, self.columns(X), self.widths)


class Response(NamedTuple):
    """The variable that a model is of, in all rows, and what belongs to its rows."""

    y: Array  #: (n,) in the user's units; level codes of discrete kinds
    kind: Any = None
    n_levels: int = 0
    weights: Array | None = None  #: (n,) prior weights
    offset: Array | None = None  #: (n,) known part of the linear predictor
    limits: tuple[Array, Array] | None = None  #: (n,) each: bounds that the variable never leaves
    missing: Rows | None = None  #: rows where it was drawn
    clusters: ClusterCodes | None = None

    def on(self, rows: Rows | None) -> Response:
        """The same on some rows, its values left to who asks for them; None for all."""
        if rows is None:
            return self
        return self._replace(
            weights=None if self.weights is None else self.weights[rows],
            offset=None if self.offset is None else self.offset[rows],
            limits=None if self.limits is None else (self.limits[0][rows], self.limits[1][rows]),
        )


class StoreVisit(Visit):
    """A visit that computes its design columns on first use."""

    __slots__ = ("_X", "_cross", "_y", "missing", "model", "place", "rows", "store", "without")

    def __init__(
        self, store: ColumnStore, model: Model, response: Response, place: int | None, *,
        rows: Rows | None = None, without: Hashable | None = None, warm: Any = None,
    ) -> None:  # fmt: skip
        self.store, self.model, self.place, self.rows, self.without = store, model, place, rows, without
        self.terms, self.warm, seen = model.terms, warm, response.on(rows)
        self._y, self.kind, self.n_levels, self.missing = seen.y, seen.kind, seen.n_levels, seen.missing
        self.weights, self.offset, self.limits = seen.weights, seen.offset, seen.limits
        self.clusters = None if response.clusters is None else response.clusters.on(store, rows)
        self._X: Array | None = None

    @property
    def y(self) -> Array:  # type: ignore[override]
        """The response on the fit rows, in the user's units."""
        return self._y if self.rows is None else self._y[self.rows]

    @property
    def X(self) -> Array:  # type: ignore[override]
        """The predictors on the fit rows."""
        if self._X is None:
            store, columns, rows = self.store, self.model.columns, self.rows
            if rows is None or len(rows) <= BLOCK:
                self._X = (store.X if rows is None else store.X.take(rows, axis=0)).take(columns, axis=1)
            else:
                self._X = np.empty((len(rows), len(columns)))
                for first in range(0, len(rows), BLOCK):
                    seen = store.X.take(rows[first : first + BLOCK], axis=0)
                    seen.take(columns, axis=1, out=self._X[first : first + BLOCK], mode="clip")
        return self._X

    def release(self) -> None:
        """Free the gathered predictors; they are computed again on the next use."""
        self._X = None

    def observed(self) -> npt.NDArray[np.bool_]:
        """Which of the fit rows hold an observed value, not one that was drawn."""
        if self.missing is None:
            return super().observed()
        seen = np.ones(self.store.n_rows, dtype=np.bool_)
        seen[self.missing] = False
        return seen if self.rows is None else seen[self.rows]

    def linear(self, coef: Array) -> Array:
        """The linear predictor of the fit rows, without gathering the columns."""
        few = self.rows is not None and _FEW * len(self.rows) < self.store.n_rows
        if coef.ndim > 1 or few or not self.store.finite:
            return self.X @ coef
        found = self.store.X @ self.model.wide(coef, len(self.store.layout))
        return found if self.rows is None else found[self.rows]

    def cross(self) -> Cross:
        """Cross-products of the fit rows: a block of the store's, less the missing rows where they are few."""
        if self.place is None or not self.store.grams or self.weights is not None:
            return super().cross()
        columns, layout = self.model.columns, self.store.layout
        if self._subtracts() and 2 * len(columns) < len(layout):  # most columns of the store are not needed
            places = np.append(columns, self.place)
            gone = self.store.gathered(self.without).take(places, axis=1)
            some = self.store.gram[places[:, None], places] - gone.T @ gone
            block, xy, yy, subtracted = some[:-1, :-1], some[:-1, -1], some[-1, -1], True
        else:
            whole, subtracted = self._whole()
            block, xy, yy = self.model.among(whole), whole[columns, self.place], whole[self.place, self.place]
        n = self.store.n_rows if self.rows is None else len(self.rows)
        return Cross(
            block, xy, float(yy), float(n), float(layout.centre[self.place]), float(layout.scale[self.place]),
            self.store.gram.diagonal()[columns] if subtracted else None,
        )  # fmt: skip

    def squares(self) -> tuple[Array, Array | None]:
        """Cross-products of the design on the fit rows: a block of the store's, where that spares a pass."""
        spares = self.rows is None or self._subtracts()
        if not self.store.grams or not spares:
            return super().squares()
        whole, subtracted = self._whole()
        before = self.store.gram.diagonal()[self.model.columns] if subtracted else None
        return self.model.among(whole), before

    def _subtracts(self) -> bool:
        """Whether the rows where a variable is missing are few, so that they are subtracted."""
        return (
            self.rows is not None
            and self.without is not None
            and _FEW * (self.store.n_rows - len(self.rows)) < self.store.n_rows
        )

    def _whole(self) -> tuple[Array, bool]:
        """Cross-products of all columns on the fit rows, shape (P, P), and whether rows were subtracted for them."""
        store = self.store
        if self.rows is None:
            return store.gram, False
        if self._subtracts():
            gone = store.gathered(self.without)
            return store.gram - gone.T @ gone, True
        total = np.zeros((store.X.shape[1], store.X.shape[1]))
        for first in range(0, len(self.rows), BLOCK):
            seen = store.X.take(self.rows[first : first + BLOCK], axis=0)
            total += seen.T @ seen
        return total, False

"""ColumnStore: the design columns of all models, updated when values are drawn; what changes during a chain.

Columns: constant | main effects of every variable | formula columns not already there | outcomes. A model is an
array of positions among them. Columns are centred and scaled (by powers of two) with constants fixed before
the first sweep; cross-products exist only where a linear model asks for them.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...formula.design import Design
from ...frame.table import Table
from ...typing import Array, Rows
from ..plan.plan import Piece

__all__ = ["BLOCK", "Change", "ColumnStore", "Layout", "Model", "Step"]


BLOCK = 4_096  # rows that are computed at once
_REBUILT = 200_000  # products up to which all are made anew, when asked for, sooner than changed


@dataclass(frozen=True, eq=False)
class Model:
    """A model resolved to positions in the store."""

    columns: Rows  #: (p,) positions
    terms: Rows  #: (p,) term of each
    random: Rows = field(default_factory=lambda: np.empty(0, dtype=np.int64))  #: (w,) whose effects differ by cluster

    def among(self, gram: Array) -> Array:
        """Its cross-products, (p, p), among the store's."""
        return gram.take(self.columns, axis=0).take(self.columns, axis=1)

    def wide(self, coef: Array, among: int) -> Array:
        """Coefficients of all columns of the store, shape (P,) or (P, k): 0 for those that are not in the model."""
        full = np.zeros((among, *coef.shape[1:]))
        full[self.columns] = coef
        return full


class Change(NamedTuple):
    """Some columns that change with a variable, and what it takes to compute them."""

    places: Rows  #: (k,) positions in the store
    needs: tuple[Hashable, ...]  #: the other variables they are computed from
    centre: Array  #: (k,)
    scale: Array  #: (k,)
    costly: bool  #: whether some are splines, logarithms or user-defined functions


class _Imagined(NamedTuple):
    """Columns computed last for candidate values."""

    change: Change
    rows: Rows
    values: Array
    columns: Array

    def matches(self, change: Change, rows: Rows, values: Array) -> bool:
        """Whether they are these."""
        return change is self.change and np.array_equal(values, self.values) and np.array_equal(rows, self.rows)


class Step(NamedTuple):
    """How a column moves with a variable of which it is a multiple."""

    unit: float  #: its change when the variable changes by 1 and the others are 1
    others: tuple[tuple[Hashable, Array | None], ...]  #: the other variables of the product, as they stand or by level


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where one column of the store comes from."""

    label: str
    variable: Hashable | None = None  #: main effects: the variable
    level: int | None = None  #: main effects of a category: the level that is 1
    design: int | None = None  #: formula columns and outcomes: the design
    position: int | None = None  #: formula columns: the column of the design
    unit: Hashable | None = None  #: cluster means of the variable: the column of clusters


class Layout:
    """Which columns the store has, their centres and scales: the same for every chain."""

    def __init__(
        self, table: Table, designs: Sequence[Design], mains: Sequence[Hashable],
        means: Sequence[tuple[Hashable, Hashable]] = (),
    ) -> None:  # fmt: skip
        self.table, self.designs = table, tuple(designs)
        self.slots: list[_Slot] = [_Slot("Intercept")]
        self.terms: list[int] = [0]
        self.main: dict[Hashable, list[int]] = {}
        self.means: dict[tuple[Hashable, Hashable], int] = {}
        self.formula: list[list[int]] = []
        self.outcome: list[int] = []
        for variable in mains:
            self._add_main(variable)
        for variable, unit in means:
            self.means[table[variable].name, table[unit].name] = len(self.slots)
            self.slots.append(_Slot(f"mean({variable}) by {unit}", variable=variable, unit=unit))
            self.terms.append(max(self.terms) + 1)
        for number in range(len(self.designs)):
            self._add_formula(number)
        self.depends = self._dependence()
        self.centre = np.zeros(len(self.slots))
        self.scale = np.ones(len(self.slots))
        self._products: dict[int, list[tuple[Hashable, Array | None]]] = {}
        self._changes: dict[tuple[Hashable, bytes], Change] = {}
        self._steps: dict[tuple[Hashable, bytes], list[Step] | None] = {}
        self._splits: dict[tuple[Model, Hashable], tuple[Rows, Rows]] = {}
        self._standardise()
        designed = (
            place for place, slot in enumerate(self.slots) if slot.design is not None and slot.position is not None
        )
        #: columns that are NaN where a variable leaves their domain: splines, logarithms, user-defined functions
        self.narrow = np.array([place for place in designed if not self._product(place)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.slots)

    def on(self, table: Table) -> Layout:
        """The same columns, centres and scales for a table with other rows."""
        other = copy.copy(self)
        other.table = table
        return other

    def model(self, pieces: Sequence[Piece], constant: bool = False) -> Model:
        """Resolve pieces to positions; the constant comes first, unless a formula says there is none.

        An auxiliary's model always has one (``constant``), whatever the analysis says.
        """
        found: list[int] = [0]
        random: list[int] = []
        for piece in pieces:
            if piece.what == "random":
                random += [0] if piece.which is None else self.formula[piece.which]
            elif piece.what == "main":
                found += self.main[piece.which]
            elif piece.what == "mean":
                found.append(self.means[piece.which])
            elif piece.what == "formula":
                found += self.formula[piece.which]
                if not constant and not self._has_constant(piece.which):
                    found = [column for column in found if column]
            else:
                found.append(self.outcome[piece.which])
        columns, differing = (np.array(list(dict.fromkeys(some)), dtype=np.int64) for some in (found, random))
        return Model(columns, np.array([self.terms[column] for column in columns], dtype=np.int64), differing)

    def term_label(self, term: int) -> str:
        """Name of a term, for events."""
        return self.slots[self.terms.index(term)].label

    def label(self, place: int) -> str:
        """Name of a column, as a reader of its model would write it."""
        slot = self.slots[place]
        if slot.level is None or slot.variable is None:
            return slot.label
        level = self.table[slot.variable].coding.levels[slot.level]
        return f"{slot.label}[T.{level}]"

    def _add_main(self, variable: Hashable) -> None:
        column = self.table[variable]
        levels: Sequence[int | None] = [None] if column.number else range(1, column.n_levels)
        term = max(self.terms) + 1
        self.main[variable] = []
        for level in levels:
            self.main[variable].append(len(self.slots))
            self.slots.append(_Slot(str(variable), variable=variable, level=level))
            self.terms.append(term)

    def _add_formula(self, number: int) -> None:
        design = self.designs[number]
        constant = self._has_constant(number)
        places: list[int] = []
        first = max(self.terms) + 1
        for position, column in enumerate(design.columns):
            place = self._already(design, position) if constant else None
            if place is None:
                place = len(self.slots)
                self.slots.append(_Slot(design.names[position], design=number, position=position))
                self.terms.append(first + column.term)
            places.append(place)
        self.formula.append(places)
        if design.question.model == "predictors":
            self.outcome.append(-1)
            return
        self.outcome.append(len(self.slots))
        self.slots.append(_Slot(design.question.terms.outcome, design=number))
        self.terms.append(max(self.terms) + 1)

    def _has_constant(self, number: int) -> bool:
        return "Intercept" in self.designs[number].question.terms.codes

    def _already(self, design: Design, position: int) -> int | None:
        """The store's column that a formula column repeats: the constant or a main effect."""
        column = design.columns[position]
        if not column.parts:
            return 0
        if len(column.parts) > 1 or len(column.variables) != 1:
            return None
        block, part, contrast = column.parts[0]
        variable = design.blocks[block].variables[0]
        places = self.main.get(variable)
        if places is None:
            return None
        if design.blocks[block].bare:
            return places[0]
        lookup = design.blocks[block].lookup
        if lookup is None:
            return None
        by_level = lookup[:, part] if contrast is None else contrast[lookup[:, 0].astype(np.int64)]
        for place in places:
            if np.array_equal(by_level, self._levels(place)):
                return place
        return None

    def _levels(self, place: int) -> Array:
        """Values of a discrete main effect by level."""
        column, level = self.table[self.slots[place].variable], self.slots[place].level
        codes = np.arange(column.n_levels, dtype=np.float64)
        return column.numbers(codes) if level is None else (codes == level).astype(np.float64)

    def _dependence(self) -> dict[Hashable, Rows]:
        """Columns that change with each variable."""
        found: dict[Hashable, list[int]] = {}
        for place, slot in enumerate(self.slots):
            if slot.unit is not None:
                continue
            if slot.variable is not None:
                found.setdefault(slot.variable, []).append(place)
            elif slot.design is not None:
                design = self.designs[slot.design]
                names: Any = (
                    design.question.outcome if slot.position is None else design.columns[slot.position].variables
                )
                for name in names:
                    found.setdefault(name, []).append(place)
        return {name: np.array(sorted(places), dtype=np.int64) for name, places in found.items()}

    def _standardise(self) -> None:
        """Fix centre and scale on the rows where a column's own variables are observed."""
        rows_of: dict[frozenset[Hashable], Rows] = {}
        for place, slot in enumerate(self.slots):
            if place == 0:
                continue
            if slot.unit is not None and slot.variable is not None:  # on the scale of the variable itself
                own = self.main[slot.variable][0]
                self.centre[place], self.scale[place] = self.centre[own], self.scale[own]
                continue
            names = self._names(slot)
            if names not in rows_of:
                rows_of[names] = self.table.complete_rows(names)
            rows = rows_of[names]
            data = {name: self.table[name].values[rows] for name in names}
            values = self.raw([place], data, len(rows))[:, 0]
            finite = np.isfinite(values)
            values = values if finite.all() else values[finite]
            if not len(values):
                continue
            keep = slot.design is not None and not self._has_constant(slot.design)
            self.centre[place] = 0.0 if keep else values.mean()
            apart = values - self.centre[place]
            sd = float(np.sqrt(apart @ apart / len(apart)))
            if sd > 0 and np.isfinite(sd):
                self.scale[place] = 2.0 ** np.round(np.log2(sd))

    def _names(self, slot: _Slot) -> frozenset[Hashable]:
        if slot.variable is not None:
            return frozenset([slot.variable] if slot.unit is None else ())
        assert slot.design is not None
        design = self.designs[slot.design]
        return frozenset(design.question.outcome) if slot.position is None else design.columns[slot.position].variables

    def raw(self, places: Sequence[int] | Rows, data: Mapping[Hashable, Array], n_rows: int) -> Array:
        """Columns in the user's units on any rows, shape (n_rows, len(places))."""
        out = np.empty((n_rows, len(places)), order="F")
        wanted: dict[int, list[tuple[int, int]]] = {}
        for at, place in enumerate(places):
            product = self._product(int(place))
            if product:
                for number, (variable, by_level) in enumerate(product):
                    piece = data[variable] if by_level is None else by_level[data[variable].astype(np.int64)]
                    out[:, at] = piece if not number else out[:, at] * piece
                continue
            slot = self.slots[place]
            if slot.unit is not None:
                out[:, at] = self.centre[place]  # filled in by the store, which sees all rows
            elif slot.design is None:
                out[:, at] = 1.0
            elif slot.position is None:
                out[:, at] = self.designs[slot.design].response(data)
            else:
                wanted.setdefault(slot.design, []).append((at, slot.position))
        for number, pairs in wanted.items():
            found = self.designs[number].evaluate([position for _, position in pairs], data, n_rows)
            for index, (at, _) in enumerate(pairs):
                out[:, at] = found[:, index]
        return out

    def standard(self, places: Rows, data: Mapping[Hashable, Array], n_rows: int) -> Array:
        """Columns as the store has them, centred and scaled, on any rows, shape (n_rows, len(places))."""
        found = self.raw(places, data, n_rows)
        found -= self.centre[places]
        found /= self.scale[places]
        return found

    def _product(self, place: int) -> list[tuple[Hashable, Array | None]]:
        """A column as a product of variables, as they stand or by level; empty where it is none. Found once."""
        if place not in self._products:
            slot, found = self.slots[place], []
            if slot.variable is not None and slot.unit is None:
                column = self.table[slot.variable]
                found = [(slot.variable, self._levels(place) if column.n_levels else None)]
            elif slot.design is not None and slot.position is not None:
                design = self.designs[slot.design]
                for number, part, contrast in design.columns[slot.position].parts:
                    block = design.blocks[number]
                    if not block.bare and block.lookup is None:
                        found = []
                        break
                    by_level = None if block.lookup is None else block.lookup[:, part if contrast is None else 0]
                    if by_level is not None and contrast is not None:
                        known = np.isfinite(by_level)
                        by_level = np.where(known, contrast[np.where(known, by_level, 0).astype(np.int64)], np.nan)
                    found.append((block.variables[0], by_level))
            self._products[place] = found
        return self._products[place]

    def change(self, variable: Hashable, places: Rows) -> Change:
        """What it takes to compute some columns from other values of a variable; found once."""
        key = (variable, places.tobytes())
        if key not in self._changes:
            others = tuple(sorted(self.needs(places) - {variable}, key=repr))
            costly = bool(np.isin(places, self.narrow).any())
            self._changes[key] = Change(places, others, self.centre[places], self.scale[places], costly)
        return self._changes[key]

    def split(self, model: Model, variable: Hashable) -> tuple[Rows, Rows]:
        """Positions in a model of the columns that stay when a variable changes, and of those that do not."""
        key = (model, variable)
        if key not in self._splits:
            changing = np.isin(model.columns, self.depends[variable])
            self._splits[key] = np.flatnonzero(~changing), np.flatnonzero(changing)
        return self._splits[key]

    def steps(self, variable: Hashable, places: Rows) -> list[Step] | None:
        """How some columns move with a variable; None unless each is a product with it. Found once."""
        key = (variable, places.tobytes())
        if key not in self._steps:
            found = [self._step(variable, place) for place in places.tolist()]
            self._steps[key] = [step for step in found if step is not None] if None not in found else None
        return self._steps[key]

    def _step(self, variable: Hashable, place: int) -> Step | None:
        """How a column moves with a variable; None unless it is a product with it."""
        product = self._product(place)
        own = [by_level for v, by_level in product if v == variable]
        if len(own) != 1:
            return None
        ends = np.array([0.0, 1.0]) if own[0] is None else own[0]
        if len(ends) != 2 or not np.isfinite(ends).all():  # three levels make no line
            return None
        others = tuple((v, by_level) for v, by_level in product if v != variable)
        return Step(float(ends[1] - ends[0]) / float(self.scale[place]), others)

    def needs(self, places: Sequence[int] | Rows) -> frozenset[Hashable]:
        """Variables that some columns are computed from."""
        return frozenset().union(*(self._names(self.slots[p]) for p in places if p))


class ColumnStore:
    """The filled values of one chain and all columns computed from them.

    Parameters
    ----------
    layout : Layout
    values : dict
        Column -> filled values or level codes, shape (n,); changed in place by ``write``.
    held_at_zero : sequence of int
        Positions of outcomes that stay 0 (their centre) in rows where the outcome was missing: no model may
        look at them there.
    grams : bool
        Whether any linear model asks for cross-products.
    """

    def __init__(self, layout: Layout, values: dict[Hashable, Array], held_at_zero: Sequence[int], grams: bool) -> None:
        self.layout, self.values, self.held_at_zero, self.grams = layout, values, frozenset(held_at_zero), grams
        self.X = self._build()
        self._gram: Array | None = None
        self._imagined: _Imagined | None = None
        self._gathered: dict[Hashable, Array] = {}
        self._places: dict[Hashable, Rows] = {}

    @property
    def gram(self) -> Array:
        """Cross-products of all columns, shape (P, P)."""
        if self._gram is None:
            self._gram = self.X.T @ self.X
        return self._gram

    @property
    def finite(self) -> bool:
        """Whether all columns are; where not, a product with coefficients of 0 for the others would be NaN."""
        return not len(self.layout.narrow) or bool(np.isfinite(self.X[:, self.layout.narrow]).all())

    @property
    def n_rows(self) -> int:
        """Rows of the frame."""
        return len(self.X)

    def gathered(self, variable: Hashable) -> Array:
        """All columns on the rows where a variable is missing, shape (n_mis, P)."""
        if variable not in self._gathered:
            self._gathered[variable] = self.X.take(self.layout.table[variable].missing, axis=0)
        return self._gathered[variable]

    def refresh(self) -> None:
        """Rebuild the cross-products, so that a sweep depends on the filled values alone."""
        for (variable, unit), place in self.layout.means.items():
            self.X[:, place] = self._cluster_means(variable, unit, place)
        self._gram = self._imagined = None
        self._gathered.clear()

    def imagine(self, places: Rows, variable: Hashable, rows: Rows, values: Array) -> Array:
        """Columns computed for candidate values of a variable, shape (len(rows), len(places))."""
        change = self.layout.change(variable, places)
        held = self._imagined
        if change.costly and held is not None and held.matches(change, rows, values):
            return held.columns
        data = {name: self.values[name][rows] for name in change.needs}
        data[variable] = values
        found = self.layout.raw(places, data, len(rows))
        found -= change.centre
        found /= change.scale
        if change.costly:  # every factor with the same terms asks for the same
            self._imagined = _Imagined(change, rows, values.copy(), found)
        return found

    def steps(self, variable: Hashable, places: Rows) -> Array | None:
        """What columns change by when a variable changes by 1, (n_mis, len(places)); None unless they are products."""
        found, rows = self.layout.steps(variable, places), self.layout.table[variable].missing
        if found is None:
            return None
        out = np.empty((len(rows), len(places)), order="F")
        for at, (unit, others) in enumerate(found):
            out[:, at] = unit
            for name, by_level in others:
                values = self.values[name][rows]
                out[:, at] *= values if by_level is None else by_level[values.astype(np.int64)]
        return out

    def write(self, variable: Hashable, drawn: Array) -> None:
        """Write the missing values of a variable and update every column and cross-product."""
        missing = self.layout.table[variable].missing
        self.values[variable][missing] = drawn
        places = self._written(variable)
        if not len(places):
            return
        fresh = self.imagine(places, variable, missing, drawn)
        if self.X.size * len(self.layout) <= _REBUILT:
            self._gram = None
        elif self._gram is not None:
            before = self.gathered(variable)
            old = before[:, places]
            change = before.T @ (fresh - old)
            change[places] = fresh.T @ fresh - old.T @ old
            self._gram[:, places] += change
            self._gram[places, :] = self._gram[:, places].T
        for at, place in enumerate(places.tolist()):
            self.X[missing, place] = fresh[:, at]
        self._imagined = None
        self._gathered.clear()

    def _written(self, variable: Hashable) -> Rows:
        """Columns that change with a variable and are kept, shape (k,)."""
        if variable not in self._places:
            depends = self.layout.depends.get(variable, ())
            self._places[variable] = np.array([p for p in depends if p not in self.held_at_zero], dtype=np.int64)
        return self._places[variable]

    def verify(self) -> float:
        """Rebuild everything; return the largest difference, in units of a column's spread."""
        fresh = self._build()
        worst = float(np.abs(fresh - self.X).max())
        if self._gram is not None:
            worst = max(worst, float(np.abs(fresh.T @ fresh - self.gram).max()) / self.n_rows)
        return worst

    def _build(self) -> Array:
        """Compute all columns from the filled values."""
        layout, n = self.layout, self.layout.table.n_rows
        X = np.empty((n, len(layout)))
        for first in range(0, n, BLOCK):
            rows = slice(first, min(first + BLOCK, n))
            values = {name: column[rows] for name, column in self.values.items()}
            X[rows] = layout.standard(np.arange(len(layout)), values, rows.stop - first)
        for (variable, unit), place in layout.means.items():
            X[:, place] = self._cluster_means(variable, unit, place)
        for place in self.held_at_zero:
            X[np.isnan(X[:, place]) | self._missing_outcome(place), place] = 0.0
        return X

    def _cluster_means(self, variable: Hashable, unit: Hashable, place: int) -> Array:
        """Means of a number within clusters, as they stood when the sweep began, shape (n,)."""
        layout = self.layout
        cluster = np.unique(layout.table[unit].values, return_inverse=True)[1].reshape(-1)
        numbers = layout.table[variable].numbers(self.values[variable])
        means = np.bincount(cluster, numbers) / np.bincount(cluster)
        return np.asarray((means[cluster] - layout.centre[place]) / layout.scale[place])

    def _missing_outcome(self, place: int) -> npt.NDArray[np.bool_]:
        mask = np.zeros(self.layout.table.n_rows, dtype=bool)
        for name in self.layout._names(self.layout.slots[place]):
            mask[self.layout.table[name].missing] = True
        return mask

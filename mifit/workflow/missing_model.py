"""A model of which cells are missing, at random: fitted to a frame, and used to delete cells of complete rows."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..examine.missingness import contrasts
from ..examine.response import ResponseModel, response_model
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from ..typing import Array

__all__ = ["MissingModel", "Step", "fit_missing"]

_FOR_EACH = 10  # missing or observed values, whichever are fewer, for each predictor
_LEVELS = 10  # levels of a predictor: more are labels
_NONE = np.empty(0, dtype=np.int64)

Mask = npt.NDArray[np.bool_]


class Step(NamedTuple):
    """Columns that are missing together, and the model of that."""

    columns: tuple[Hashable, ...]
    names: tuple[Hashable, ...]  #: columns that may serve as predictors
    seen: Mapping[Hashable, bool]  #: which of them count only where they are observed themselves
    chosen: tuple[int, ...]  #: positions of the predictors that are used
    centre: Array
    scale: Array
    model: ResponseModel | None  #: None where the share is all that is known
    share: float


class MissingModel(NamedTuple):
    """Steps of deletion; each sees complete columns, and of the columns before it what was not deleted."""

    steps: tuple[Step, ...]

    def deleted(self, table: Table, rng: np.random.Generator) -> dict[Hashable, Mask]:
        """Cells to delete.

        Parameters
        ----------
        table : Table
            Rows without missing values in the columns of the model.
        rng : Generator

        Returns
        -------
        dict
            Column -> (n,).
        """
        gone: dict[Hashable, Mask] = {}
        for step in self.steps:
            chance = np.full(table.n_rows, step.share)
            if step.model is not None:
                X = _predictors(table, step.names, step.seen, gone)[:, step.chosen]
                chance = step.model.probability((X - step.centre) / step.scale)
            marked = rng.random(table.n_rows) < chance
            gone.update(dict.fromkeys(step.columns, marked))
        return gone


def fit_missing(table: Table, drawn: Sequence[Hashable]) -> MissingModel:
    r"""Fit the probability of each column's being missing.

    Parameters
    ----------
    table : Table
        As it was given.
    drawn : sequence
        Columns whose missing values are drawn.

    Returns
    -------
    MissingModel

    Notes
    -----
    Columns are taken in the order of their missing values, those that are always missing together as one. The model of
    each is a logistic regression on the complete columns, on whether the columns before it are missing, and on their
    values where they are not. So the probability of a pattern, the product of the steps, depends on what it leaves
    observed: values are missing at random.

    References
    ----------
    Robins, J. M. and Gill, R. D. (1997). Non-response models for the analysis of non-monotone ignorable missing data.
    *Statistics in Medicine* 16(1), 39-56.
    """
    order = sorted((n for n in drawn if len(table[n].missing)), key=lambda n: len(table[n].missing))
    complete = [n for n, c in table.columns.items() if not len(c.missing) and _serves(c)]
    gone: dict[Hashable, Mask] = {}
    steps: list[Step] = []
    while order:
        name, marked = order[0], table.gone(order[0])
        together = tuple(n for n in order if np.array_equal(table[n].missing, table[name].missing))
        order = [n for n in order if n not in together]
        before = [n for step in steps for n in step.columns if _serves(table[n])]
        seen = {**dict.fromkeys(complete, False), **dict.fromkeys(before, True)}
        steps.append(_step(table, together, marked, seen, gone))
        gone.update(dict.fromkeys(together, marked))
    return MissingModel(tuple(steps))


def _serves(column: Column) -> bool:
    """Whether a column may be a predictor."""
    differs = len(np.unique(column.values[column.observed])) > 1
    return column.kind is not Kind.OTHER and differs and (column.number or column.n_levels <= _LEVELS)


def _step(
    table: Table, together: tuple[Hashable, ...], marked: Mask, seen: Mapping[Hashable, bool],
    gone: Mapping[Hashable, Mask],
) -> Step:  # fmt: skip
    """The model of one step, on the predictors that go with it most."""
    names, share = tuple(seen), float(marked.mean())
    X = _predictors(table, names, seen, gone)
    centre, scale = X.mean(axis=0), X.std(axis=0)
    most = max(int(min(marked.sum(), (~marked).sum())) // _FOR_EACH, 1)
    usable = np.flatnonzero(scale > 0)
    strength = np.abs((marked - share) @ ((X[:, usable] - centre[usable]) / scale[usable]))
    chosen = np.sort(usable[np.argsort(-strength, kind="stable")[:most]])
    nothing = Step(together, names, seen, (), np.empty(0), np.empty(0), None, share)
    if not len(chosen) or share in (0.0, 1.0):
        return nothing
    model = response_model(marked.astype(np.float64), (X[:, chosen] - centre[chosen]) / scale[chosen])
    return Step(together, names, seen, tuple(chosen.tolist()), centre[chosen], scale[chosen], model, share)


def _predictors(
    table: Table, names: Sequence[Hashable], seen: Mapping[Hashable, bool], gone: Mapping[Hashable, Mask]
) -> Array:
    """Columns of the model: values of complete columns; of others whether they are missing, and values where not."""
    columns: list[Array] = []
    for name in names:
        column = table[name]
        hidden = gone[name] if seen[name] else np.zeros(table.n_rows, dtype=bool)
        columns += [hidden.astype(np.float64)] if seen[name] else []
        whole = Column(name, column.coding, np.where(hidden, np.nan, column.values), np.flatnonzero(hidden))
        for _, values in contrasts(whole):
            columns.append(np.where(hidden, 0.0, values))  # what a hidden value stands for is in the mark's coefficient
    return np.column_stack(columns) if columns else np.empty((table.n_rows, 0))

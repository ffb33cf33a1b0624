"""Panel: the models of all auxiliaries in one, so that a visit evaluates them by matrix products and not one by one."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...typing import Array, Rows
from .engine import FactorRuntime
from .families import Family, Stacked, family_of
from .store import ColumnStore

__all__ = ["Panel", "PanelTerm", "fits_in"]

_BLOCK = 2_048  # rows that are evaluated at once: lines times rows stay in the cache


def fits_in(runtime: FactorRuntime) -> bool:
    """Whether a factor may be part of a panel: an auxiliary's, of all rows, without weights, offset and clusters."""
    plain = runtime.weights is None and runtime.offset is None and runtime.clusters is None and not runtime.components
    return plain and runtime.question is None and runtime.rows is None and runtime.factor.rows != "units"


@dataclass(frozen=True, eq=False)
class _Stack:
    """Factors of one family: their coefficients side by side."""

    family: Family
    position: Rows  #: (q,) in the plan, ascending
    outcome: Sequence[Hashable]  #: (q,) the auxiliaries
    fitted: Sequence[Any]  #: (q,)
    coef: Array  #: (q lines, P) coefficients of all columns of the store, 0 for those that are not in a model
    lines: int  #: linear predictors of a factor

    def on(self, which: Rows) -> Array:
        """Coefficients of some of the factors, (lines, P)."""
        every = (which[:, None] * self.lines + np.arange(self.lines)).ravel()
        return self.coef if len(which) == len(self.position) else self.coef[every]


class Panel:
    """The models of auxiliaries with the parameters of one sweep.

    Parameters
    ----------
    factors : sequence of (FactorRuntime, fitted half)
    store : ColumnStore
    """

    def __init__(self, factors: Sequence[tuple[FactorRuntime, Any]], store: ColumnStore) -> None:
        self.store, self.stacks = store, list[_Stack]()
        grouped: dict[Any, tuple[Family, list[tuple[FactorRuntime, Any]]]] = {}
        for runtime, fitted in factors:
            found = family_of(fitted)
            if found is not None:
                grouped.setdefault(found[0], (found[1], []))[1].append((runtime, fitted))
        for family, members in grouped.values():
            lines = 1 if members[0][1].coef.ndim == 1 else members[0][1].coef.shape[1]
            coef = np.zeros((len(members) * lines, len(store.layout)))
            for at, (runtime, fitted) in enumerate(members):
                coef[at * lines : (at + 1) * lines, runtime.model.columns] = fitted.coef.T
            position = np.array([runtime.position for runtime, _ in members])
            names = [runtime.outcome[0] for runtime, _ in members]
            self.stacks.append(_Stack(family, position, names, [fitted for _, fitted in members], coef, lines))
        self.inside = frozenset(int(p) for stack in self.stacks for p in stack.position)
        self.last = max(self.inside, default=0)

    def terms(
        self, variable: Hashable, fed: Mapping[int, bool], straight: bool, values: Mapping[Hashable, Array]
    ) -> list[tuple[PanelTerm, bool]]:
        """Likelihood terms of a variable: of the factors that are multiplied into its own normal, and of the others.

        Parameters
        ----------
        variable : hashable
        fed : mapping
            Position of each factor of the panel that contains it, and whether it is multiplied.
        straight : bool
            Whether the linear predictors of all of them are lines in the variable.
        values : mapping
            Column -> (n,) its values as they stand.

        Returns
        -------
        list of (PanelTerm, bool)
            At most two.
        """
        found = []
        for multiplied in (True, False):
            wanted = [position for position, normal in fed.items() if normal == multiplied]
            if wanted:
                found.append((PanelTerm(self, variable, np.array(wanted), straight, values), multiplied))
        return found


@dataclass(frozen=True, eq=False, slots=True)
class _Seen:
    """The factors of one stack as one variable sees them, on the rows where it is missing."""

    family: Family
    here: Array  #: (lines, n_mis) linear predictors as they stand
    coef: Array  #: (lines, k) of the columns that change with the variable
    slope: Array | None  #: (lines, n_mis) or (lines, 1) how they change with the variable; None where they are no lines
    known: Stacked


class PanelTerm:
    """Likelihood term of several factors at once: the sum of theirs.

    Parameters
    ----------
    panel : Panel
    variable : hashable
    positions : ndarray
        Of the factors in the plan.
    straight : bool
        Whether their linear predictors are known to be lines in the variable.
    values : mapping
        Column -> (n,) its values as they stand.
    """

    components = False
    moving = False

    def __init__(
        self, panel: Panel, variable: Hashable, positions: Rows, straight: bool, values: Mapping[Hashable, Array]
    ) -> None:
        store = panel.store
        self.store, self.variable, self.rows = store, variable, store.layout.table[variable].missing
        X, depends = store.gathered(variable), store.layout.depends[variable]
        wanted = np.zeros(panel.last + 1, dtype=bool)
        wanted[positions] = True
        chosen = [(stack, np.flatnonzero(wanted[stack.position])) for stack in panel.stacks]
        chosen = [(stack, which) for stack, which in chosen if len(which)]
        coef = [stack.on(which) for stack, which in chosen]
        used = np.any([np.any(one[:, depends] != 0.0, axis=0) for one in coef], axis=0)
        self.places = depends[used]
        self.origin, self.now = values[variable][self.rows], X[:, self.places]
        steps = store.steps(variable, self.places) if store.finite else None
        if steps is None and straight:  # each column is affine in the variable: its change over one unit
            unit = float(store.layout.scale[self.places[0]])
            ends = (store.imagine(self.places, variable, self.rows, self.origin + far) for far in (0.0, unit))
            below, above = (end.copy() for end in ends)
            steps = (above - below) / unit
        self.straight = steps is not None
        self.seen: list[_Seen] = []
        for (stack, which), full in zip(chosen, coef, strict=True):
            moved = full[:, self.places]
            fitted, names = ([part[at] for at in which.tolist()] for part in (stack.fitted, stack.outcome))
            known = stack.family.stacked(fitted, [values[name][self.rows] for name in names])
            self.seen.append(_Seen(stack.family, full @ X.T, moved, _slopes(moved, steps), known))

    def log_accept(self, at: Rows, values: Array) -> Array:
        """Sum of the log-likelihoods of candidate values, each less a bound of it, shape (len(at),)."""
        return self._summed(at, values)

    def levels(self, at: Rows, n_levels: int) -> Array:
        """The same of every level of a discrete variable, shape (len(at), n_levels)."""
        found = [self._summed(at, np.full(len(at), float(level))) for level in range(n_levels)]
        return np.column_stack(found)

    def derivatives(self, at: Rows, values: Array) -> tuple[Array, Array] | None:
        """First derivative of the sum by the variable, and minus the second, each (len(at),); None where no lines."""
        if not self.straight:
            return None
        first, minus = np.zeros(len(at)), np.zeros(len(at))
        for part in _blocks(len(at)):
            some, step = self._some(at[part]), values[part] - self.origin[at[part]]
            for each in self.seen:
                assert each.slope is not None
                slope = each.slope if each.slope.shape[1] == 1 else each.slope[:, some]
                linear = each.here[:, some] + slope * step
                found = each.family.derivatives(linear, slope, each.known.on(some))
                first[part] += found[0]
                minus[part] += found[1]
        return first, minus

    def information(self, backward: Callable[[Array], Array], mean: Array, unit: float) -> tuple[Array, Array] | None:
        """What normal factors, affine in what is drawn, add to a normal around ``mean``: precision and pull."""
        every = np.arange(len(self.rows))
        if self.straight and backward(mean) is mean:
            found = self.derivatives(every, mean)
            assert found is not None
            return found[1], found[0]
        precision, pull = np.zeros(len(mean)), np.zeros(len(mean))
        left, right = self._linear(every, backward(mean - unit)), self._linear(every, backward(mean + unit))
        for each, below, above in zip(self.seen, left, right, strict=True):
            slope, middle = (above - below) / (2.0 * unit), 0.5 * (above + below)
            if not (np.isfinite(slope).all() and np.isfinite(middle).all()):
                return None
            found = each.family.derivatives(middle, slope, each.known)
            pull, precision = pull + found[0], precision + found[1]
        return precision, pull

    def _summed(self, at: Rows, values: Array) -> Array:
        """The sum over all factors, in blocks of rows; -inf where a linear predictor is none."""
        total = np.empty(len(at))
        for part in _blocks(len(at)):
            some, score = self._some(at[part]), np.zeros(len(at[part]))
            with np.errstate(invalid="ignore", over="ignore"):
                for each, linear in zip(self.seen, self._linear(at[part], values[part]), strict=True):
                    score += each.family.score(linear, each.known.on(some))
            total[part] = np.where(np.isnan(score), -np.inf, score)
        return total

    def _linear(self, at: Rows, values: Array) -> list[Array]:
        """Linear predictors at other values of the variable, (lines, len(at)) of each family."""
        some = self._some(at)
        if self.straight:
            step = values - self.origin[at]
            slopes = [each.slope for each in self.seen]
            return [
                each.here[:, some] + (slope if slope.shape[1] == 1 else slope[:, some]) * step
                for each, slope in zip(self.seen, slopes, strict=True)
                if slope is not None
            ]
        moved = (self.store.imagine(self.places, self.variable, self.rows[at], values) - self.now[at]).T
        return [each.here[:, some] + each.coef @ moved for each in self.seen]

    def _some(self, at: Rows) -> Rows | slice:
        """Positions among the missing values, as a slice where they are all."""
        whole = len(at) == len(self.rows) and (not len(at) or (at[0] == 0 and at[-1] == len(at) - 1))
        return slice(None) if whole and bool(np.all(np.diff(at) == 1)) else at


def _slopes(moved: Array, steps: Array | None) -> Array | None:
    """How linear predictors change with a variable, (lines, n_mis), or (lines, 1) where all rows have the same."""
    if steps is None:
        return None
    constant = len(steps) > 0 and bool(np.all(steps == steps[0]))
    return moved @ steps[:1].T if constant else moved @ steps.T


def _blocks(n: int) -> list[slice]:
    """Rows in blocks."""
    return [slice(first, min(first + _BLOCK, n)) for first in range(0, n, _BLOCK)]

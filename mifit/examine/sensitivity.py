"""Sensitivity: estimates over a range of departures from missing at random, as a table, a picture and words."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, listed, near, nearest
from ..results.axes import axes_of

__all__ = ["Sensitivity", "Tipping"]


@dataclass(frozen=True, eq=False)
class Tipping:
    """The departure at which a conclusion changes."""

    term: str
    column: Hashable
    figure: str  #: "p_value" or "estimate"
    target: float
    value: float | None  #: None where it does not change within the range
    within: tuple[float, float]
    row: pd.Series | None  #: all figures at that value

    def __repr__(self) -> str:
        what = f"{'p' if self.figure == 'p_value' else 'the estimate'} of {self.term} is {self.target:g}"
        if self.value is None or self.row is None:
            return f"{what} for no value of {self.column} within {self.within[0]:g} to {self.within[1]:g}"
        moved = self.row[f"difference({self.column})"]
        return f"{what} at {self.column} = {self.value:.3g} (imputed less observed mean: {moved:.3g})"


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """One analysis under a grid of departures from missing at random.

    Attributes
    ----------
    frame : DataFrame
        One row for each point of the grid and coefficient: the values of the columns, ``term``, ``estimate``,
        ``std_error``, ``df``, ``conf_low``, ``conf_high``, ``p_value``, ``fmi``, and for each column
        ``difference(x)``, the mean of its imputed less that of its observed values.
    names : tuple
        The columns that depart.
    kind : {"selection", "delta"}
    said : mapping
        What a value of each column means.
    """

    frame: pd.DataFrame
    names: tuple[Hashable, ...]
    kind: str
    said: Mapping[Hashable, str]
    formula: str
    m: int
    solve: Callable[[str, Hashable, str, float], Tipping]

    def to_frame(self) -> pd.DataFrame:
        """Return the tidy frame."""
        return self.frame.copy()

    def tipping(
        self, term: str, *, along: Hashable | None = None, p_value: float = 0.05, estimate: float | None = None
    ) -> Tipping:
        """Find the departure at which a conclusion changes.

        Parameters
        ----------
        term : str
            A coefficient, such as ``"x1:x2"``.
        along : hashable, optional
            The column that departs; by default the first. A second one stays at 0, or at the value next to it.
        p_value : float, default 0.05
            The p-value that is crossed.
        estimate : float, optional
            The estimate that is crossed, instead of a p-value.

        Returns
        -------
        Tipping
            ``value`` is the departure, None where there is none within the grid; printed, it says so. The one nearest
            to 0 where there are several.

        Raises
        ------
        DataError
            If the analysis has no such coefficient, or the grid no such column.

        Notes
        -----
        Between the two points of the grid around it the imputations are drawn again at each step of the search.
        """
        self._require(term)
        column = self.names[0] if along is None else along
        if column not in self.names:
            raise DataError(
                f"{column!r} is no column of the grid{nearest(column, self.names)}.",
                do=f"sens.tipping({term!r}, along={self.names[0]!r})",
            )
        figure, target = ("p_value", p_value) if estimate is None else ("estimate", float(estimate))
        return self.solve(term, column, figure, target)

    def plot(self, term: str, ax: Any = None) -> Any:
        """Draw a coefficient over the departures: a curve with its limits, or contours for two columns.

        Parameters
        ----------
        term : str
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes
        """
        self._require(term)
        axes = axes_of(ax, 6.0, 4.0)
        part = self.frame[self.frame["term"] == term]
        return _contour(axes, part, self.names, term) if len(self.names) > 1 else _curve(axes, part, self, term)

    def methods_text(self) -> str:
        """A paragraph for the methods section, with its references."""
        meant = "; ".join(f"{self.said[name]}: {_values(self.frame[name])}" for name in self.names)
        how = (
            "A selection model was added to the joint model: the log odds that the column is missing are linear in "
            "all other columns and in the column itself, whose coefficient is the sensitivity parameter; the analysis "
            "model is unchanged (Molenberghs & Kenward 2007)."
            if self.kind == "selection"
            else "Within each iteration imputed values were shifted on the scale of their own model (not-at-random "
            "fully conditional specification; Tompsett et al. 2018)."
        )
        return (
            f"Sensitivity to values not missing at random was examined for {listed(map(str, self.names))} in "
            f"{self.formula}, with {self.m} imputations at each value. {how} Parameter: {meant}. Random numbers "
            "were the same at each value."
        )

    def __repr__(self) -> str:
        shown = self.frame.copy()
        for word in shown.columns:
            if word not in ("term",):
                shown[word] = [f"{value:.3g}" for value in shown[word]]
        shown = shown.drop(columns=["df", "fmi"])
        lines = [f"{self.formula}: {self.kind}, m = {self.m} at each value"]
        lines += [textwrap.fill(f"  {name}: {self.said[name]}", 100, subsequent_indent="    ") for name in self.names]
        lines += ["", shown.to_string(index=False)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _require(self, term: str) -> None:
        """Refuse a coefficient that the analysis does not have."""
        terms = list(dict.fromkeys(self.frame["term"]))
        if term not in terms:
            meant = near(term, terms) or terms[-1]
            raise DataError(
                f"the analysis has no coefficient {term!r}{nearest(term, terms)}.",
                coefficients=listed(map(str, terms), 10),
                do=f"sens.tipping({meant!r})",
            )


def _values(values: pd.Series) -> str:
    """The values of a grid."""
    found = sorted(set(values))
    return listed([f"{value:g}" for value in found], 8)


def _curve(axes: Any, part: pd.DataFrame, made: Sensitivity, term: str) -> Any:
    """Estimate and limits over one column."""
    name = made.names[0]
    part = part.sort_values(name)
    x = part[name].to_numpy()
    axes.fill_between(x, part["conf_low"], part["conf_high"], alpha=0.2, color="#0072b2", linewidth=0)
    axes.plot(x, part["estimate"], color="#0072b2", marker="o", markersize=3)
    axes.axhline(0.0, color="0.5", linewidth=0.8)
    axes.axvline(0.0, color="0.5", linewidth=0.8, linestyle=":")
    axes.set_xlabel(textwrap.fill(made.said[name], 60))
    axes.set_ylabel(term)
    return axes


def _contour(axes: Any, part: pd.DataFrame, names: tuple[Hashable, ...], term: str) -> Any:
    """Estimate over two columns, and where p is 0.05."""
    wide, p = (part.pivot(index=names[1], columns=names[0], values=word) for word in ("estimate", "p_value"))
    x, y = wide.columns.to_numpy(dtype=float), wide.index.to_numpy(dtype=float)
    if min(len(x), len(y)) < 2:
        raise DataError("contours need two values of each column.", do="sens.to_frame()")
    if np.ptp(wide.to_numpy()) > 0:
        lines = axes.contour(x, y, wide.to_numpy(), colors="#0072b2", linewidths=1)
        axes.clabel(lines, fontsize=8)
    low, high = p.to_numpy().min(), p.to_numpy().max()
    if low < 0.05 < high:
        axes.contour(x, y, p.to_numpy(), levels=[0.05], colors="#d55e00", linestyles="--")
    axes.set_xlabel(str(names[0]))
    axes.set_ylabel(str(names[1]))
    axes.set_title(f"{term} (dashed: p = 0.05)", fontsize=10)
    return axes

"""Pictures of imputations: chains over their sweeps, drawn beside observed values, where values are missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, listed, nearest
from ..formula.column_code import usable
from ..frame.completed import Completed
from ..frame.kinds import Kind
from ..frame.table import Column
from ..results.axes import IMPUTED, INK, MUTED, OBSERVED, axes_of, handle, legend, panels, plain, written
from ..results.plots import fmi_frame
from ..typing import Array
from .patterns import draw_pattern, pattern_frame

__all__ = ["Plots", "points_frame", "values_frame"]


_PANELS = 100  # in one figure
_SETS = 20  # side by side in a strip plot
_POINTS = 400  # of one strip; more are a sample
_BARS = 12  # levels of one category; the rest are one bar
_FEW_VALUES = 5  # values of one set that make no curve of their own
_TAIL = 0.002  # share of values at either end that may lie beyond the picture, if they are far
_LEAST_SD = 1e-290  # spread that bins can divide
_COUNTS = 10  # different whole numbers that are still bars


@dataclass(frozen=True, repr=False)
class Plots:
    """Pictures of imputations.

    Those of several panels return a Figure, those of one the Axes; given ``ax=``, all draw there and return it. pyplot
    is never touched: ``figure.savefig("name.png")`` writes, a notebook shows. ``data(...)`` returns what is shown.

    Parameters
    ----------
    completed : Completed
        The m sets.
    traces : callable
        Returns all traces in long form.
    convergence : callable
        Returns the table of convergence.
    fit : callable
        Fits the declared analysis.

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)
    >>> imp.plot.data("density", "bmi").groupby("origin").size().to_dict()
    {'imputed': 180, 'observed': 16}
    """

    completed: Completed
    traces: Callable[[], pd.DataFrame]
    convergence: Callable[[], pd.DataFrame]
    fit: Callable[[], Any]

    def __call__(self, *names: Hashable, **words: Any) -> Any:
        """Draw the traces of the chains; sets without chains, the densities."""
        return self.trace(*names, **words) if len(self.traces()) else self.density(*names, **words)

    def __repr__(self) -> str:
        return (
            "<plots of imputations: trace(), density(), strip(), scatter('x', 'y'), pattern(), fmi(); data('density')>"
        )

    def trace(self, which: Any = None, ax: Any = None) -> Any:
        """Draw the traces over iterations, one line a chain, their mean in black; titles say whether they drift.

        Parameters
        ----------
        which : name or list of names, optional
            Columns, coefficients or single traces ("mean(bmi)"); by default all (with more than 100, those that drift
            first).
        ax : Axes, optional
            Where to draw one trace.

        Returns
        -------
        Figure or Axes

        Raises
        ------
        DataError
            If a name is none, or ``ax`` is to take several.
        PlanError
            If the sets were made elsewhere.
        """
        frame, table = self.data("trace", which), self.convergence()
        names = list(dict.fromkeys(frame["trace"]))
        if len(names) > _PANELS:
            names.sort(key=lambda name: table["verdict"][name] != "drifts")
        shown = names[:_PANELS]
        figure, axes = _places(ax, shown, "trace", 6, 2.5, 1.75)
        traces = frame["trace"].to_numpy()
        for one, name in zip(axes, shown, strict=True):
            _draw_trace(one, name, frame[traces == name], str(table["verdict"][name]))
        return _finished(figure, axes, ax, [handle(IMPUTED, "one chain"), handle(INK, "mean of chains")], names)

    def density(self, which: Any = None, ax: Any = None) -> Any:
        """Draw how imputed values are distributed, beside the observed; bars for categories, a mark for each set.

        Parameters
        ----------
        which : name or list of names, optional
            Columns; by default all that were imputed.
        ax : Axes, optional
            Where to draw one column.

        Returns
        -------
        Figure or Axes

        Raises
        ------
        DataError
            If a name is none, or ``ax`` is to take several.
        """
        return self._columns(which, ax, _draw_density)

    def strip(self, which: Any = None, ax: Any = None) -> Any:
        """Draw every value, those observed first, then those of each set; bars for categories.

        Parameters
        ----------
        which, ax
            As :meth:`density` takes them; what it returns and raises holds here too.
        """
        return self._columns(which, ax, _draw_strip)

    def scatter(self, x: Hashable, y: Hashable, k: int = 0, ax: Any = None) -> Any:
        """Draw one column against another in one completed set, points with an imputed coordinate marked.

        Parameters
        ----------
        x, y : name
            Columns.
        k : int, default 0
            The set, as in ``imp[k]``.
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes

        Raises
        ------
        DataError
            If a name is none, or there is no such set.
        """
        return _draw_scatter(self.completed, self.data("scatter", x, y, k), x, y, k, ax)

    def pattern(self, ax: Any = None) -> Any:
        """Draw which columns were missing together, and in how many rows; see ``df.mice.plot_pattern()``."""
        return draw_pattern(self.data("pattern"), ax)

    def fmi(self, results: Any = None, ax: Any = None) -> Any:
        """Draw the fraction of missing information of each coefficient.

        Parameters
        ----------
        results : PooledResults, optional
            By default those of the declared analysis.
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes
        """
        return (self.fit() if results is None else results).plot.fmi(ax)

    def data(self, plot: str, *args: Any) -> pd.DataFrame:
        """Return what a picture shows, in long form.

        Parameters
        ----------
        plot : {"trace", "density", "strip", "scatter", "pattern", "fmi"}
        *args
            As the picture takes them, but for ``ax``.

        Returns
        -------
        DataFrame
            Values: columns ``variable``, ``origin`` ("observed" or "imputed"), ``set`` (k of ``imp[k]``, missing where
            observed), ``row`` (from 0) and ``value``.
        """
        frames: dict[str, Callable[..., pd.DataFrame]] = {
            "trace": lambda which=None: _chosen_traces(self.traces(), which),
            "density": lambda which=None: values_frame(self.completed, which),
            "strip": lambda which=None: values_frame(self.completed, which),
            "scatter": lambda x, y, k=0: points_frame(self.completed, x, y, k),
            "pattern": lambda: pattern_frame(self.completed.original),
            "fmi": lambda results=None: fmi_frame(self.fit() if results is None else results),
        }
        if plot not in frames:
            raise DataError(
                f"there is no plot {plot!r}{nearest(plot, frames)}.", known=", ".join(frames),
                do="imp.plot.data('density')",
            )  # fmt: skip
        return frames[plot](*args)

    def _columns(self, which: Any, ax: Any, draw: Callable[..., None]) -> Any:
        """One panel a column."""
        names = _chosen(self.completed, which)
        shown, table = names[:_PANELS], self.completed.table
        per_row = min(5, max(2, math.ceil(math.sqrt(len(shown)))))
        levels = [_n_bars(self.completed, name) for name in shown]
        rows = [levels[j : j + per_row] for j in range(0, len(shown), per_row)]
        word = "strip" if draw is _draw_strip else "density"
        figure, axes = _places(ax, shown, word, per_row, 2.9, [max(2.1, 0.75 + 0.24 * max(row)) for row in rows])
        for one, name in zip(axes, shown, strict=True):
            values = values_frame(self.completed, name)
            if _n_bars(self.completed, name):
                _draw_bars(one, table[name], values)
            else:
                draw(one, values, len(self.completed))
            one.set_title(written(name, 34), fontsize=9)
        mark: dict[str, Any] = (
            {"marker": "s"} if all(levels) else {"marker": "o", "markersize": 4} if word == "strip" else {}
        )
        handles = [
            handle(OBSERVED, "observed", **mark),
            handle(IMPUTED, f"imputed, {len(self.completed)} sets", **mark),
        ]
        bars = [handle(INK, "share in one set", marker="|", markersize=7)] if any(levels) else []
        return _finished(figure, axes, ax, [*handles, *bars], names)


def values_frame(completed: Completed, which: Any = None) -> pd.DataFrame:
    """Return observed and imputed values of some columns, see :meth:`Plots.data`."""
    parts = []
    for name in _chosen(completed, which):
        column = completed.table[name]
        seen = column.coding.decode(column.values[column.observed])
        there = [~np.isnan(values[name]) for values in completed.imputed]  # what is not there stays missing
        drawn = [column.coding.decode(one[name][some]) for one, some in zip(completed.imputed, there, strict=True)]
        rows = [column.observed, *(column.missing[some] for some in there)]
        values = np.concatenate([seen, *drawn])
        sets = np.repeat(np.arange(-1, len(drawn)), [len(one) for one in rows])
        parts.append(
            pd.DataFrame(
                {
                    "variable": pd.Series([name] * len(sets), dtype=object),
                    "origin": np.where(sets < 0, "observed", "imputed"),
                    "set": pd.array(sets, dtype="Int64"),
                    "row": np.concatenate(rows),
                    "value": pd.Series(values, dtype=values.dtype),
                }
            )
        )
        parts[-1].loc[sets < 0, "set"] = pd.NA
    return pd.concat(parts, ignore_index=True)


def points_frame(completed: Completed, x: Hashable, y: Hashable, k: int = 0) -> pd.DataFrame:
    """Return two columns of one completed set.

    Returns
    -------
    DataFrame
        Columns x, y and origin ("observed", "x imputed", "y imputed", "both imputed", by the columns' names), rows
        numbered from 0; without the rows that still have a missing value.
    """
    if not isinstance(k, int | np.integer) or not 0 <= k < len(completed):
        raise DataError(
            f"there is no set {k!r}: they are numbered 0 to {len(completed) - 1}.",
            do=f"imp.plot.scatter({x!r}, {y!r}, k=0)",
        )
    columns = [completed.table.require(name, "scatter") for name in (x, y)]
    values, incomplete = [], []
    for column in columns:
        if column.kind is Kind.OTHER:
            raise DataError(
                f"{column.name!r} {column.coding.problem}; only numbers and categories are drawn.",
                do=usable(column),
            )
        filled = column.values.copy()
        filled[column.missing] = completed.imputed[k].get(column.name, np.nan)
        values.append(filled)
        incomplete.append(np.isin(np.arange(len(filled)), column.missing))
    known = ~np.isnan(values[0]) & ~np.isnan(values[1])
    origin = np.select(
        [incomplete[0] & incomplete[1], *incomplete],
        ["both imputed", f"{x} imputed", f"{y} imputed"],
        default="observed",
    )
    whole = {word: c.coding.decode(v[known]) for word, c, v in zip(("x", "y"), columns, values, strict=True)}
    return pd.DataFrame({**whole, "origin": origin[known]}, index=np.flatnonzero(known))


def _chosen(completed: Completed, which: Any) -> list[Hashable]:
    """Imputed columns that were asked for."""
    known = list(completed.filled)
    if not known:
        raise DataError("nothing was imputed: there is nothing to draw.", do="df.mice.plot_pattern()")
    chosen = known if which is None else list(which) if isinstance(which, list) else [which]
    for name in chosen:
        completed.table.require(name, "the plot")
        if name not in known:
            raise DataError(
                f"nothing was imputed in {name!r}.", imputed=listed(known, 8),
                do=f"imp.plot.density({known[0]!r})",
            )  # fmt: skip
    return chosen


def _chosen_traces(frame: pd.DataFrame, which: Any) -> pd.DataFrame:
    """Traces that were asked for; of two levels, one says all."""
    if frame.empty:
        raise DataError("nothing was imputed: there are no traces to draw.", do="df.mice.plot_pattern()")
    if which is None:
        shares: dict[Hashable, dict[str, None]] = {}
        for variable, trace in frame.loc[frame["statistic"] == "share", ["variable", "trace"]].itertuples(index=False):
            shares.setdefault(variable, {})[trace] = None
        double = {next(iter(one)) for one in shares.values() if len(one) == 2}
        return frame[[trace not in double for trace in frame["trace"]]].reset_index(drop=True)
    chosen = which if isinstance(which, list) else [which]
    known = {*frame["variable"], *frame["trace"]}
    for name in chosen:
        if name not in known:
            raise DataError(
                f"no trace is called {name!r}{nearest(name, known)}.",
                traces=listed(frame["trace"].unique(), 8), do="imp.convergence().index.tolist()",
            )  # fmt: skip
    return frame[frame["variable"].isin(chosen) | frame["trace"].isin(chosen)].reset_index(drop=True)


def _places(
    ax: Any, names: Sequence[Any], plot: str, per_row: int, width: float, height: float | Sequence[float]
) -> tuple[Any, list[Any]]:
    """Panels for some names: the axes given, where one panel is wanted, or a figure of them."""
    if ax is None:
        return panels(len(names), per_row, width, height)
    if len(names) != 1:
        raise DataError(
            f"ax= takes one panel; {len(names)} are to be drawn.", panels=listed(names, 6),
            do=f"imp.plot.{plot}({names[0]!r}, ax=ax)",
        )  # fmt: skip
    return None, [axes_of(ax, width, 1.0)]


def _finished(figure: Any, axes: Sequence[Any], ax: Any, handles: Sequence[Any], names: Sequence[Any]) -> Any:
    """The figure with its legend, and a word on the panels that are left out; or the axes that were given."""
    if figure is None:
        legend(ax, handles, given=True)
        return ax
    legend(figure, handles)
    if len(names) > len(axes):
        figure.suptitle(f"{len(axes)} of {len(names)} panels; name others to see them", fontsize=9, x=0.01, ha="left")
    return figure


def _draw_trace(ax: Any, name: str, frame: pd.DataFrame, verdict: str) -> None:
    """One trace: a line a chain, their mean, the verdict in the title."""
    from matplotlib.ticker import MaxNLocator

    plain(ax)
    wide = frame.pivot(index="iteration", columns="chain", values="value")
    mark = "o" if len(wide) == 1 else None
    for chain in wide:
        ax.plot(wide.index, wide[chain], color=IMPUTED, alpha=0.45, linewidth=0.7, marker=mark, markersize=3)
    ax.plot(wide.index, wide.mean(axis=1), color=INK, linewidth=1.6, marker=mark, markersize=3)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    if len(wide) == 1:
        ax.set_xticks([1])
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_title(f"{written(name, 34)}\n{verdict}", fontsize=8, fontweight="bold" if verdict == "drifts" else "normal")
    ax.set_xlabel("iteration")


def _draw_density(ax: Any, frame: pd.DataFrame, m: int) -> None:
    """Smooth distributions: one line a set, the observed values in front."""
    values = frame["value"].to_numpy(dtype=np.float64)
    seen = values[(frame["origin"] == "observed").to_numpy()]
    sets = [values[(frame["set"] == k).fillna(False).to_numpy(dtype=bool)] for k in range(m)]
    top = float(np.abs(values).max(initial=0.0))
    usual = _bandwidth(seen) or _bandwidth(values) or (top if top > _LEAST_SD else 1.0)
    grid, beyond = _view(values, usual)
    said = [f"{beyond} values beyond (range {values.min():.5g} to {values.max():.5g})"] if beyond else []
    if len(sets[0]) < _FEW_VALUES:
        said.append(f"{len(sets[0])} imputed in each set: all sets in one line")
        sets = [np.concatenate(sets)]
    for one in filter(len, sets):
        width, thin = max(_bandwidth(one), usual / 2), len(sets) > 1
        curve = _smooth(one, grid, width)
        ax.plot(grid, curve, color=IMPUTED, alpha=0.45 if thin else 1.0, linewidth=0.8 if thin else 1.6)
    ax.plot(grid, _smooth(seen, grid, usual), color=OBSERVED, linewidth=2)
    if said:
        ax.set_xlabel("\n".join(said), fontsize=7.5)
    plain(ax)
    ax.set_ylim(bottom=0)
    ax.set_yticks([])
    ax.set_ylabel("density")


def _draw_strip(ax: Any, frame: pd.DataFrame, m: int) -> None:
    """Every value, jittered: observed on the left, then the sets."""
    rng = np.random.default_rng(0)  # of the jitter alone
    values = frame["value"].to_numpy(dtype=np.float64)
    groups = [(frame["origin"] == "observed").to_numpy()]
    groups += [(frame["set"] == k).fillna(False).to_numpy(dtype=bool) for k in range(min(m, _SETS))]
    places = [-2.0, *range(len(groups) - 1)]  # as imp[k]; the observed stand apart
    for place, mask in zip(places, groups, strict=True):
        some = values[mask]
        if len(some) > _POINTS:
            some = rng.choice(some, _POINTS, replace=False)
        jitter = place + rng.uniform(-0.28, 0.28, len(some))
        color = OBSERVED if place < 0 else IMPUTED
        ax.plot(jitter, some, "o", color=color, alpha=0.6, markersize=2.5, markeredgewidth=0)
    plain(ax)
    ticks = [places[0], *places[1 :: 1 if len(groups) <= 7 else 5]]
    ax.set_xticks(ticks, ["obs.", *(str(k) for k in ticks[1:])])
    ax.set_xlabel("set" + (f" (first {_SETS} of {m})" if m > _SETS else ""))


def _draw_bars(ax: Any, column: Column, frame: pd.DataFrame) -> None:
    """Shares of levels: observed and imputed bars side by side, a mark for each set."""
    levels, shown = _levels(column, frame)
    seen = _shares(frame[frame["origin"] == "observed"], levels, len(shown))
    drawn = frame[frame["origin"] == "imputed"].groupby("set", observed=True)
    each = np.array([_shares(some, levels, len(shown)) for _, some in drawn])
    heights = np.arange(len(shown))[::-1]
    ax.barh(heights + 0.2, seen, 0.38, color=OBSERVED, label="observed")
    ax.barh(heights - 0.2, each.mean(axis=0), 0.38, color=IMPUTED, alpha=0.55, label="imputed")
    for one in each:
        ax.plot(one, heights - 0.2, "|", color=INK, alpha=0.5, markersize=4, markeredgewidth=0.7)
    plain(ax, across=False)
    ax.set_yticks(heights, [written(level, 22, 2) for level in shown])
    ax.set_xlim(left=0)
    ax.set_xlabel("share")


def _levels(column: Column, frame: pd.DataFrame) -> tuple[list[Any], list[str]]:
    """Levels that have a bar, and their names; the rare ones of many share the last bar."""
    levels = list(column.coding.levels) if column.kind.discrete else sorted(set(frame["value"]))
    if len(levels) > _BARS:
        frequent = set(frame["value"].value_counts().index[: _BARS - 1])
        kept = [level for level in levels if level in frequent]
        return kept, [*map(_short, kept), f"{len(levels) - len(kept)} other levels"]
    return levels, [_short(level) for level in levels]


def _short(level: Any) -> str:
    """A level as a label; whole numbers without a point."""
    return f"{level:g}" if isinstance(level, float) else str(level)


def _shares(frame: pd.DataFrame, levels: Sequence[Any], bars: int) -> Array:
    """Share of each level, and of all others where they have a bar, shape (bars,)."""
    seen = frame["value"].dropna()
    share = {level: count / len(seen) for level, count in Counter(seen).items()}  # by the level, never by a position
    found = np.array([share.get(level, 0.0) for level in levels])
    return found if bars == len(levels) else np.append(found, max(1 - found.sum(), 0.0))


def _n_bars(completed: Completed, name: Hashable) -> int:
    """How many bars a column makes; 0 for one that is drawn as a density."""
    column = completed.table[name]
    if column.kind.discrete:
        return min(column.n_levels, _BARS)
    values = np.concatenate([column.values[column.observed], *(imputed[name] for imputed in completed.imputed)])
    values = values[~np.isnan(values)]
    different = len(np.unique(np.rint(values))) if column.coding.whole or column.kind is Kind.COUNT else _COUNTS + 1
    return different if different <= _COUNTS else 0


def _bandwidth(values: Array) -> float:
    """Silverman's rule of thumb; 0 where there is no spread but that of rounding."""
    if len(values) < 2 or np.ptp(values) <= max(1e-12 * np.abs(values).max(), _LEAST_SD):
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    sd = min(filter(None, (float(values.std(ddof=1)), float(high - low) / 1.349)), default=0.0)
    return 0.9 * sd * len(values) ** -0.2


def _view(values: Array, width: float) -> tuple[Array, int]:
    """Where densities are drawn, and how many values of a long tail lie beyond, which would squeeze all others."""
    low, high = values.min() - 2 * width, values.max() + 2 * width
    inner = np.quantile(values, [_TAIL, 1 - _TAIL]) + np.array([-2, 2]) * width
    beyond = 0
    if high - low > 2 * (inner[1] - inner[0]):
        low, high = max(low, inner[0]), min(high, inner[1])
        beyond = int(((values < low) | (values > high)).sum())
    return np.linspace(max(low, 0.0) if values.min() >= 0 else low, high, 300), beyond


def _smooth(values: Array, grid: Array, width: float) -> Array:
    """Density of some values on a grid: a Gaussian kernel over narrow bins, so that a million cost as a thousand."""
    count, edges = np.histogram(values, 400, (grid[0] - 3 * width, grid[-1] + 3 * width))
    middle = (edges[:-1] + edges[1:]) / 2
    kernel = np.exp(-0.5 * ((grid[:, None] - middle) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    return np.asarray(kernel @ count / max(len(values), 1))


def _draw_scatter(completed: Completed, frame: pd.DataFrame, x: Hashable, y: Hashable, k: int, ax: Any) -> Any:
    """Points of one set: observed ones as blue dots, imputed ones by which coordinate was missing."""
    given, rng = ax is not None, np.random.default_rng(0)  # of the jitter alone
    ax = plain(axes_of(ax, 6.4, 4.2))
    ax.grid(axis="x", color=MUTED, alpha=0.25, linewidth=0.6)
    places = {}
    for word, name, axis in (("x", x, ax.xaxis), ("y", y, ax.yaxis)):
        column = completed.table[name]
        places[word] = frame[word].to_numpy()
        if (column.kind.discrete and not column.number) or column.kind is Kind.BINARY:
            position = {level: j for j, level in enumerate(column.coding.levels)}
            places[word] = np.array([position[v] for v in frame[word]], float) + rng.uniform(-0.2, 0.2, len(frame))
            axis.set_ticks(list(position.values()), [written(_short(level), 16) for level in position])
        elif column.kind.discrete:
            places[word] = places[word].astype(np.float64) + rng.uniform(-0.15, 0.15, len(frame))
    styles = {"observed": (OBSERVED, "o"), f"{x} imputed": (IMPUTED, "^"), f"{y} imputed": (IMPUTED, "s")}
    handles = []
    for origin, (color, marker) in (styles | {"both imputed": (IMPUTED, "D")}).items():
        mask = (frame["origin"] == origin).to_numpy()
        if mask.any():
            alpha = 0.75 if mask.sum() < 500 else 0.35
            ax.plot(places["x"][mask], places["y"][mask], marker, color=color, markersize=4.5, alpha=alpha, mec="none")
            handles.append(handle(color, f"{written(origin, 22)} ({mask.sum()})", marker=marker, markersize=5))
    ax.set_xlabel(written(x, 60))
    ax.set_ylabel(written(y, 40))
    ax.set_title(f"imp[{k}] of {len(completed)} sets", fontsize=8, loc="left", color=INK)
    legend(ax, handles, given=given)
    return ax

"""Pictures of a pooled analysis: estimates with their intervals, predictions with bands, missing information."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, nearest
from ..frame.table import Column
from .axes import GROUPS, IMPUTED, INK, MUTED, OBSERVED, axes_of, handle, legend, plain, written
from .complete_cases import complete_cases
from .estimates import PooledEstimates
from .newdata import link_of
from .predict import get_prediction, require_source
from .tables import coefficient_head, forest

__all__ = ["ResultPlots", "fmi_frame", "forest_frame", "predictions_frame"]

_POINTS = 101  # of a curve
_AT = (0.1, 0.5, 0.9)  # quantiles at which a number makes groups
_LEVELS = 20  # groups that one picture can bear


class ResultPlots:
    """Pictures of a pooled analysis.

    Each takes ``ax=None`` and returns the Axes; ``ax.figure.savefig("name.png")`` writes it, a notebook shows it.
    pyplot is never touched. ``data(...)`` returns the figures behind a picture.

    Parameters
    ----------
    results : PooledResults

    Examples
    --------
    >>> import mifit
    >>> res = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1).fit()
    >>> res.plot.data("forest", complete_cases=True).groupby("rows", sort=False).size().to_dict()
    {'imputed': 3, 'complete cases': 3}
    """

    def __init__(self, results: PooledEstimates) -> None:
        self._results = results

    def __call__(self, **words: Any) -> Any:
        """Draw the forest plot; see :meth:`forest`, and :meth:`predictions` and :meth:`fmi` for others."""
        return self.forest(**words)

    def __repr__(self) -> str:
        return "<plots of pooled results: forest(), predictions('x', by='z'), fmi(); data('forest')>"

    def forest(
        self, alpha: float = 0.05, exponentiate: bool = False, complete_cases: bool = False, ax: Any = None
    ) -> Any:
        """Draw each coefficient with its interval.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the intervals.
        exponentiate : bool, default False
            Ratios, on a logarithmic axis, instead of coefficients.
        complete_cases : bool, default False
            Beside each, what the complete rows alone would have given.
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes
        """
        return _forest(self._results, self.data("forest", alpha, exponentiate, complete_cases), exponentiate, ax)

    def predictions(
        self, variable: Hashable, by: Hashable | None = None, at: Mapping[Hashable, Any] | None = None,
        alpha: float = 0.05, ax: Any = None,
    ) -> Any:  # fmt: skip
        """Draw the predicted mean along a variable, with limits by Rubin's rules.

        Parameters
        ----------
        variable : name
            A number makes curves over its observed range, levels make points.
        by : name, optional
            One curve for each level; of a number with many values at its 10 %, 50 % and 90 % quantile.
        at : mapping, optional
            Values of other columns; by default medians and most frequent levels of what was observed.
        alpha : float, default 0.05
            One minus the coverage of the bands.
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes

        Raises
        ------
        DataError
            If a name is none of the analysis.
        """
        return _predictions(self._results, self.data("predictions", variable, by, at, alpha), variable, by, ax)

    def fmi(self, ax: Any = None) -> Any:
        """Draw the fraction of missing information of each coefficient.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes
        """
        return _fmi(self._results, self.data("fmi"), ax)

    def data(self, plot: str, *args: Any, **keywords: Any) -> pd.DataFrame:
        """Return what a picture shows, in long form.

        Parameters
        ----------
        plot : {"forest", "predictions", "fmi"}
        *args, **keywords
            As the picture takes them, but for ``ax``.

        Returns
        -------
        DataFrame
        """
        if plot not in _FRAMES:
            raise DataError(
                f"there is no plot {plot!r}{nearest(plot, _FRAMES)}.", known=", ".join(_FRAMES),
                do="res.plot.data('forest')",
            )  # fmt: skip
        return _FRAMES[plot](self._results, *args, **keywords)


def forest_frame(
    results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False, complete_cases: bool = False
) -> pd.DataFrame:
    """Return the figures of a forest plot: one row a coefficient and kind of rows.

    Returns
    -------
    DataFrame
        Columns term, rows ("imputed" or "complete cases"), n, estimate, conf_low, conf_high, p_value, reference.
    """
    pooled = forest(results, alpha, exponentiate).drop(columns=["label", "position"])
    frame = pooled.assign(rows="imputed", n=results.nobs)
    if complete_cases:
        alone = _complete(results, alpha, exponentiate, list(pooled["term"]))
        frame = pd.concat([frame, alone.assign(reference=pooled["reference"].iloc[0])], ignore_index=True)
    return frame[["term", "rows", "n", "estimate", "conf_low", "conf_high", "p_value", "reference"]]


def _complete(results: PooledEstimates, alpha: float, exponentiate: bool, terms: list[str]) -> pd.DataFrame:
    """Estimates and limits from the complete rows alone, of some coefficients."""
    found = complete_cases(results, alpha)
    shown = found.loc[terms, ["estimate", "conf_low", "conf_high", "p_value"]]
    if exponentiate:
        shown[["estimate", "conf_low", "conf_high"]] = np.exp(shown[["estimate", "conf_low", "conf_high"]])
    return shown.rename_axis("term").reset_index().assign(rows="complete cases", n=found.attrs["rows"])


def _forest(results: PooledEstimates, frame: pd.DataFrame, ratios: bool, ax: Any) -> Any:
    """Draw a forest plot: terms from top to bottom, complete cases beneath each estimate."""
    terms, kinds = list(dict.fromkeys(frame["term"])), list(dict.fromkeys(frame["rows"]))
    given, step = ax is not None, 0.32
    ax = plain(axes_of(ax, 6.4, 1.0 + 0.34 * len(terms) * (1 + 0.4 * (len(kinds) - 1))), across=False)
    ax.axvline(frame["reference"].iloc[0], color=INK, linewidth=0.8, zorder=1)
    handles = []
    for j, (kind, color, marker) in enumerate(zip(kinds, (IMPUTED, OBSERVED), "os", strict=False)):
        some = frame[frame["rows"] == kind]
        heights = [-terms.index(term) - (j - (len(kinds) - 1) / 2) * step for term in some["term"]]
        ax.hlines(heights, some["conf_low"], some["conf_high"], color=color, linewidth=1.6)
        ax.plot(some["estimate"], heights, marker, color=color, markersize=5)
        name = f"{results.m} imputations" if kind == "imputed" else kind
        handles.append(handle(color, f"{name} (n = {some['n'].iloc[0]})", marker=marker, markersize=5, linestyle="-"))
    ax.set_yticks(-np.arange(len(terms)), [written(term, 36) for term in terms])
    ax.set_ylim(-len(terms) + 0.4, 0.6)
    if ratios:
        _log_axis(ax, frame)
    outcome = written(results.fits.outcome)
    ax.set_xlabel(f"{coefficient_head(results, ratios) if ratios else 'coefficient'} (outcome {outcome})")
    legend(ax, handles, given=given)
    return ax


def _log_axis(ax: Any, frame: pd.DataFrame) -> None:
    """A logarithmic axis for ratios, ticks as plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ends = frame[["conf_low", "conf_high"]].to_numpy()
    ends = ends[np.isfinite(ends) & (ends > 0)]
    ax.set_xscale("log")
    wide = len(ends) and ends.max() / ends.min() > 50
    ax.xaxis.set_major_locator(LogLocator(10, (1.0,) if wide else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def predictions_frame(
    results: PooledEstimates, variable: Hashable, by: Hashable | None = None, at: Mapping[Hashable, Any] | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:  # fmt: skip
    """Return predicted means along a variable, with every other column of the analysis at one value.

    Returns
    -------
    DataFrame
        The columns of the analysis, then what ``get_prediction(...).summary_frame(alpha)`` says.
    """
    design, completed, call = require_source(results, "predictions")
    link_of(call)  # a model without one mean is refused here
    fixed = dict.fromkeys((*design.variables, *_exposures(call, completed)))
    for name in (variable, *([] if by is None else [by]), *(at or {})):
        if name not in fixed:
            raise DataError(
                f"{name!r} is no variable of the right side{nearest(name, fixed)}.",
                variables=", ".join(map(str, fixed)), do=f"res.plot.predictions({next(iter(fixed), 'x')!r})",
            )  # fmt: skip
    table = completed.table
    along = _along(table[variable])
    groups = [None] if by is None or by == variable else _groups(table[by])
    usual = {name: _usual(table[name]) for name in fixed} | dict(at or {})
    parts = []
    for group in groups:
        values = {**usual, variable: along, **({} if group is None else {by: group})}
        parts.append(pd.DataFrame(values))
    frame = pd.concat(parts, ignore_index=True)
    predicted = get_prediction(results, frame).summary_frame(alpha)
    for name in frame.columns.intersection(predicted.columns):
        raise DataError(
            f"a column is called {name!r}, which is also a column of the predictions.",
            do=f"df = df.rename(columns={{{name!r}: 'x_{name}'}})",
        )
    return frame.join(predicted)


def _exposures(call: Any, completed: Any) -> list[Hashable]:
    """Columns that stand for an offset or exposure."""
    words = (call.init.get("offset"), call.init.get("exposure"))
    return [name for name in words if isinstance(name, str) and name in completed.table]


def _observed(column: Column) -> Any:
    """Observed values of a column: numbers, or levels as they are."""
    return column.coding.decode(column.values[column.observed])


def _is_curve(column: Column) -> bool:
    """Whether predictions along a column make a curve."""
    return column.number and len(np.unique(column.values[column.observed])) > 2


def _along(column: Column) -> list[Any]:
    """Where to predict: over the observed range of a number, at each level of a category."""
    if not _is_curve(column):
        return list(column.coding.levels)
    values = np.asarray(_observed(column), dtype=np.float64)
    return np.linspace(values.min(), values.max(), _POINTS).tolist()


def _groups(column: Column) -> list[Any]:
    """What makes one curve each: levels, or three quantiles of a number with many values."""
    if column.kind.discrete:
        if column.n_levels > _LEVELS:
            raise DataError(
                f"{column.name!r} has {column.n_levels} levels; a picture shows at most {_LEVELS}.",
                do=f"res.plot.predictions('x', at={{{column.name!r}: {column.coding.levels[0]!r}}})",
            )
        return list(column.coding.levels)
    values = np.asarray(_observed(column), dtype=np.float64)
    found = np.unique(values)
    return [float(v) for v in (found if len(found) <= len(_AT) else np.unique(np.quantile(values, _AT)))]


def _usual(column: Column) -> Any:
    """The median of a number, the most frequent level of a category."""
    values = column.values[column.observed]
    if column.number and column.n_levels != 2:
        return float(np.median(np.asarray(_observed(column), dtype=np.float64)))
    return column.coding.levels[int(np.bincount(values.astype(np.int64)).argmax())]


def _predictions(results: Any, frame: pd.DataFrame, variable: Hashable, by: Hashable | None, ax: Any) -> Any:
    """Draw means and bands, one colour a group."""
    given, table = ax is not None, results.completed.table
    ax = plain(axes_of(ax, 6.0, 4.0))
    curve = _is_curve(table[variable])
    what = link_of(results.call).what
    groups = [(None, frame)] if by is None or by == variable else list(frame.groupby(by, sort=False, observed=True))
    handles = []
    for j, (group, some) in enumerate(groups):
        color, style = (INK if by is None else GROUPS[j % len(GROUPS)]), ("-", "--", ":", "-.")[j // len(GROUPS) % 4]
        low, high = some[f"{what}_ci_lower"], some[f"{what}_ci_upper"]
        if curve:
            ax.fill_between(
                some[variable], low, high, color=color, alpha=0.15 if len(groups) < 5 else 0.06, linewidth=0
            )
            ax.plot(some[variable], some[what], color=color, linestyle=style, linewidth=1.8)
            handles.append(handle(color, _group_label(group), linestyle=style))
        else:
            places = np.arange(len(some)) + (j - (len(groups) - 1) / 2) * min(0.12, 0.7 / len(groups))
            ax.vlines(places, low, high, color=color, linewidth=1.6)
            marker = "osD^v"[j // len(GROUPS) % 5]
            ax.plot(places, some[what], marker, color=color, markersize=5)
            handles.append(handle(color, _group_label(group), marker=marker, markersize=5))
    if not curve:
        levels = groups[0][1][variable]
        slanted = sum(min(len(str(level)), 16) for level in levels) > 50
        turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        ax.set_xticks(np.arange(len(levels)), [written(level, 40 if slanted else 16) for level in levels], **turned)
        ax.set_xlim(-0.6, len(levels) - 0.4)
    ax.set_xlabel(written(variable, 60))
    ax.set_ylabel(("relative hazard, " if what == "relative_hazard" else "") + written(results.fits.outcome, 40))
    held = [name for name in frame.columns[: list(frame.columns).index(what)] if name not in (variable, by)]
    ax.set_title(_held(frame, held), fontsize=8, loc="left", color=INK)
    if by is not None and by != variable:
        quantiles = "\n(10, 50, 90 % quantiles)" if _is_curve(table[by]) and not table[by].kind.discrete else ""
        legend(ax, handles, title=written(by, 24) + quantiles, given=given)
    return ax


def _group_label(group: Any) -> str:
    """A group in a legend."""
    return f"{group:.4g}" if isinstance(group, float) else written(group, 24)


def _held(frame: pd.DataFrame, names: Sequence[Any]) -> str:
    """At which values the other columns are held, in lines."""
    if not names:
        return ""
    shown = [f"{name} = {_group_label(frame[name].iloc[0])}" for name in names[:6]]
    more = f", and {len(names) - 6} more" if len(names) > 6 else ""
    return written("at " + ", ".join(shown) + more, 80, 4)


def fmi_frame(results: PooledEstimates) -> pd.DataFrame:
    """Return the fraction of missing information: columns term, fmi."""
    return results.fmi.rename("fmi").rename_axis("term").reset_index()


def _fmi(results: PooledEstimates, frame: pd.DataFrame, ax: Any) -> Any:
    """Draw a dot for each coefficient on a line from 0 to 1."""
    ax = plain(axes_of(ax, 5.4, 0.9 + 0.26 * len(frame)), across=False)
    heights = -np.arange(len(frame))
    ax.hlines(heights, 0, frame["fmi"], color=MUTED, linewidth=1.2)
    ax.plot(frame["fmi"], heights, "o", color=IMPUTED, markersize=6, clip_on=False)
    ax.set_yticks(heights, [written(term, 36) for term in frame["term"]])
    ax.set_ylim(-len(frame) + 0.4, 0.6)
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"fraction of missing information (outcome {written(results.fits.outcome)}, m = {results.m})")
    return ax


_FRAMES: Mapping[str, Callable[..., pd.DataFrame]] = {
    "forest": forest_frame,
    "predictions": predictions_frame,
    "fmi": fmi_frame,
}

"""Which columns are missing together, drawn: one row a pattern, one column a variable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..frame.table import patterns
from ..results.axes import IMPUTED, INK, OBSERVED, axes_of, handle, legend, written

__all__ = ["draw_pattern", "pattern_frame"]

_PATTERNS = 25  # rows of the picture; rarer patterns share the last line
_LETTERS = 28  # of a name in one line


def pattern_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the patterns of missing values in long form.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    DataFrame
        Columns ``pattern`` (from 0, the most frequent first), ``rows`` that show it, ``variable`` (fewest missing
        first),
        ``observed``, and ``missing``, the missing values of the variable in all rows.

    Raises
    ------
    DataError
        If the frame is empty or its column names repeat.

    Examples
    --------
    >>> pattern_frame(pd.DataFrame({"a": [1, None, 3], "b": [1, 2, 3]}))[["pattern", "rows", "variable", "observed"]]
       pattern  rows variable  observed
    0        0     2        b      True
    1        0     2        a      True
    2        1     1        b      True
    3        1     1        a     False
    """
    table = patterns(frame)
    names, observed = list(table.columns[2:]), table.iloc[:-1, 2:].to_numpy(dtype=bool)
    shown, count = len(observed), table.iloc[:-1, 0].to_numpy(dtype=np.int64)
    return pd.DataFrame(
        {
            "pattern": np.repeat(np.arange(shown), len(names)),
            "rows": np.repeat(count, len(names)),
            "variable": pd.Series(names * shown, dtype=object),
            "observed": observed.ravel(),
            "missing": np.tile(table.iloc[-1, 2:].to_numpy(dtype=np.int64), shown),
        }
    )


def draw_pattern(frame: pd.DataFrame, ax: Any = None) -> Any:
    """Draw the patterns of :func:`pattern_frame`; see ``df.mice.plot_pattern()``."""
    names = list(dict.fromkeys(frame["variable"]))
    observed = frame["observed"].to_numpy().reshape(-1, len(names))
    rows = frame["rows"].to_numpy()[:: len(names)]
    missing = frame["missing"].to_numpy()[: len(names)]
    shown = observed[:_PATTERNS]
    given = ax is not None
    longest = min(max(len(str(name)) for name in names), _LETTERS)
    room = 1.5 + 0.26 * min(len(observed), _PATTERNS + 1) + 0.07 * max(longest - 12, 0)  # inches
    ax = axes_of(ax, max(4.4, 2.6 + 0.36 * len(names)), room)
    from matplotlib.colors import ListedColormap

    ax.pcolormesh(
        shown.astype(np.float64), cmap=ListedColormap([IMPUTED, OBSERVED]), vmin=0, vmax=1, edgecolors="white",
        linewidth=1.2,
    )  # fmt: skip
    heights, labels = list(np.arange(len(shown)) + 0.5), [str(n) for n in rows[:_PATTERNS]]
    rest = rows[_PATTERNS:]
    if len(rest):
        ax.text(len(names) / 2, len(shown) + 0.5, f"{len(rest)} rarer patterns", ha="center", va="center", fontsize=8)
        heights, labels = [*heights, len(shown) + 0.5], [*labels, str(rest.sum())]
    ax.set_ylim(len(heights), 0)
    ax.set_yticks(heights, labels)
    ax.set_ylabel(f"rows (of {rows.sum()})", fontsize=8.5)
    top = ax.secondary_xaxis("top")
    top.set_xticks(
        np.arange(len(names)) + 0.5, [written(name, _LETTERS, 2) for name in names],
        rotation=90 if longest > 6 else 0, fontsize=8,
    )  # fmt: skip
    ax.set_xticks(np.arange(len(names)) + 0.5, [str(n) for n in missing], rotation=90 if missing.max() > 999 else 0)
    ax.set_xlabel("missing values in each column", fontsize=8.5)
    for axis in (ax, top):
        axis.tick_params(length=0, labelsize=8, colors=INK)
        axis.spines[:].set_visible(False)
    words = {"marker": "s", "markersize": 7}
    legend(ax, [handle(OBSERVED, "observed", **words), handle(IMPUTED, "missing", **words)], given=given)
    return ax

"""Pictures of the check of the models: observed values against redrawn ones, and their ranks among them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..results.axes import IMPUTED, INK, MUTED, OBSERVED, axes_of, panels, plain, written

__all__ = ["draw_overimputed", "draw_shares"]

_POINTS = 200  # cells of one panel
_BARS = 10


def _places(names: Sequence[Hashable], ax: Any) -> tuple[Any, list[Any]]:
    """Axes for each column, and what is returned."""
    if ax is not None or len(names) == 1:
        one = axes_of(ax, 4.6, 4.0)
        return one, [one] * len(names)
    return panels(len(names), min(3, len(names)), 3.1, 2.9)


def draw_overimputed(cells: pd.DataFrame, names: Sequence[Hashable], ax: Any = None) -> Any:
    """Draw observed against redrawn values; see :meth:`ModelCheck.plot`."""
    found, places = _places(names, ax)
    for name, one in zip(names, places, strict=False):
        shown = cells[cells["column"] == name]
        if len(shown) > _POINTS:
            shown = shown.iloc[np.linspace(0, len(shown) - 1, _POINTS).round().astype(int)]
        inside = ((shown["low"] <= shown["observed"]) & (shown["observed"] <= shown["high"])).to_numpy()
        colors = np.where(inside, OBSERVED, IMPUTED)
        one.vlines(shown["observed"], shown["low"], shown["high"], colors=colors, linewidth=0.6, alpha=0.6)
        one.scatter(shown["observed"], shown["mean"], c=colors, s=8, zorder=3)
        ends = [float(shown["observed"].min()), float(shown["observed"].max())]
        one.plot(ends, ends, color=INK, linewidth=0.9)
        one.set_title(written(name, 28, 1), fontsize=9)
        one.set_xlabel("observed", fontsize=8)
        one.set_ylabel("redrawn, 90 %", fontsize=8)
        plain(one)
    return found


def draw_shares(cells: pd.DataFrame, names: Sequence[Hashable], ax: Any = None) -> Any:
    """Draw histograms of the probability integral transforms; see :meth:`ModelCheck.plot`."""
    found, places = _places(names, ax)
    for name, one in zip(names, places, strict=False):
        shares = cells.loc[cells["column"] == name, "share"].to_numpy(dtype=np.float64)
        counts, edges = np.histogram(shares, bins=_BARS, range=(0, 1))
        n = len(shares)
        half = 1.96 * np.sqrt((1 - 1 / _BARS) / _BARS / max(n, 1)) * _BARS
        one.axhspan(1 - half, 1 + half, color=MUTED, alpha=0.25, linewidth=0)
        one.bar(
            edges[:-1], counts * _BARS / max(n, 1), width=1 / _BARS, align="edge", color=OBSERVED, edgecolor="white"
        )
        one.axhline(1, color=INK, linewidth=0.8)
        one.set_xlim(0, 1)
        one.set_title(written(name, 28, 1), fontsize=9)
        one.set_xlabel("share of redrawn values below", fontsize=8)
        plain(one)
    return found

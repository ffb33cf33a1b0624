"""Pictures of missing values: how columns help one another, and what goes with a missing value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..results.axes import IMPUTED, INK, MUTED, OBSERVED, axes_of, plain, written

__all__ = ["draw_flux", "draw_odds"]

_CLOSE = 0.045  # share of the height that a label takes
_ODDS = 30  # lines of the picture
_WIDEST = 100.0  # odds ratio at either end of the picture


def draw_flux(flux: pd.DataFrame, ax: Any = None) -> Any:
    """Draw influx against outflux; see :meth:`Missingness.plot`."""
    ax = axes_of(ax, 5.2, 4.4)
    ax.plot([0, 1], [1, 0], color=MUTED, linewidth=0.8, linestyle=":")
    incomplete = (flux["missing"] > 0).to_numpy()
    ax.scatter(flux["influx"], flux["outflux"], c=np.where(incomplete, IMPUTED, OBSERVED), s=26, zorder=3)
    widest = max(0.1, 1.4 * float(flux["influx"].max()))
    for near in _near(flux, widest):
        shown = near.sort_values("influx")
        text = ", ".join(written(name, 14, 1) for name in shown.index[:3]) + (" ..." if len(shown) > 3 else "")
        at = (float(shown["influx"].max()), float(shown["outflux"].max()))
        ax.annotate(text, at, (5, 4), textcoords="offset points", fontsize=8, color=INK)
    plain(ax)
    ax.set_xlim(-0.02, widest)
    ax.set_ylim(-0.04, 1.08)
    ax.set_xlabel("influx: its missing values meet observed ones", fontsize=8.5)
    ax.set_ylabel("outflux: its values meet missing ones", fontsize=8.5)
    return ax


def _near(flux: pd.DataFrame, widest: float) -> list[pd.DataFrame]:
    """Columns whose labels would lie over one another, together."""
    groups: list[list[int]] = []
    x, y = (flux["influx"] / widest).to_numpy(), flux["outflux"].to_numpy()
    for at in np.lexsort((x, -y)).tolist():
        for group in groups:
            if abs(y[at] - y[group[-1]]) < _CLOSE and abs(x[at] - x[group[-1]]) < 5 * _CLOSE:
                group.append(at)
                break
        else:
            groups.append([at])
    return [flux.iloc[group] for group in groups]


def draw_odds(predictors: pd.DataFrame, ax: Any = None) -> Any:
    """Draw odds ratios of a missing value, the smallest p-values; see :meth:`Missingness.plot`."""
    shown = predictors.sort_values("p_value", kind="stable").head(_ODDS).iloc[::-1]
    ax = axes_of(ax, 6.0, 0.9 + 0.27 * len(shown))
    at = np.arange(len(shown))
    low, middle, high = (shown[name].clip(1 / _WIDEST, _WIDEST) for name in ("low", "odds_ratio", "high"))
    ax.axvline(1, color=MUTED, linewidth=0.8)
    ax.hlines(at, low, high, color=INK, linewidth=1)
    ax.scatter(middle, at, color=IMPUTED, s=22, zorder=3)
    ax.set_xscale("log")
    labels = [
        f"{written(one.missing, 16, 1)} missing: {written(one.given, 16, 1)}"
        + ("" if one.level is None else f" = {written(one.level, 12, 1)}")
        for one in shown.itertuples()
    ]
    ax.set_yticks(at, labels, fontsize=8)
    ax.set_ylim(-0.7, len(shown) - 0.3)
    plain(ax)
    ax.set_xlabel("odds ratio of a missing value, 95 % interval", fontsize=8.5)
    return ax

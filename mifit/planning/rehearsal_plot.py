"""The picture of a rehearsal: bias of each coefficient, way by way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..results.axes import IMPUTED, INK, MUTED, OBSERVED, axes_of, handle, legend, plain, written

__all__ = ["draw_bias"]


def draw_bias(found: pd.DataFrame, ax: Any = None) -> Any:
    """Draw bias in empirical standard errors; see :meth:`Rehearsal.plot`."""
    terms, ways = list(dict.fromkeys(found["term"])), list(dict.fromkeys(found["way"]))
    colors = dict(zip(("no missing values", "complete cases", "imputation"), (INK, OBSERVED, IMPUTED), strict=True))
    given = ax is not None
    ax = axes_of(ax, 6.0, 1.2 + 0.5 * len(terms))
    ax.axvline(0, color=MUTED, linewidth=0.8)
    for place, way in enumerate(ways):
        one = found[found["way"] == way].set_index("term").reindex(terms)
        at = np.arange(len(terms))[::-1] + 0.22 * (1 - place)
        middle, half = one["bias"] / one["empirical_se"], 1.96 * one["bias_mce"] / one["empirical_se"]
        ax.hlines(at, middle - half, middle + half, color=colors[way], linewidth=1.2)
        ax.scatter(middle, at, color=colors[way], s=20, zorder=3)
    ax.set_yticks(np.arange(len(terms))[::-1], [written(term, 26, 1) for term in terms], fontsize=8)
    plain(ax)
    ax.set_xlabel("bias in standard errors, with Monte-Carlo interval", fontsize=8.5)
    legend(ax, [handle(colors[way], way, marker="o", markersize=5) for way in ways], given=given)
    return ax

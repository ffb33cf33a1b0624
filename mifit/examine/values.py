"""Imputed beside observed values, column by column: what lies beyond all that was observed comes first."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..frame.completed import Completed
from ..typing import Array

__all__ = ["Strayed", "strayed", "value_table"]

_LABELS = ("column", "level")
_FAR_OUT = 0.5  # observed ranges beyond the observed range from which a value is said to be far out


class Strayed(NamedTuple):
    """A number that was imputed far beyond its observed range, and bounds that keep it out."""

    name: Hashable
    observed: tuple[float, float]
    imputed: tuple[float, float]
    bounds: tuple[float | None, float | None]

    def __str__(self) -> str:
        low, high = self.imputed
        least, most = self.observed
        return f"{self.name} is imputed from {low:.5g} to {high:.5g} (observed from {least:.5g} to {most:.5g})"


def value_table(completed: Completed) -> pd.DataFrame:
    """The range of every imputed column beside its observed one; see :meth:`mifit.ImputedSet.check_values`."""
    rows: list[dict[str, Any]] = []
    for name in completed.filled:
        column = completed.table[name]
        seen, drawn = column.values[column.observed], _drawn(completed, name)
        if column.kind.discrete:
            rows += _shares(name, column.coding.levels, seen, drawn)
        else:
            rows.append(_range(name, seen, drawn))
    table = pd.DataFrame({word: [row.get(word, np.nan) for row in rows] for word in _COLUMNS if word not in _LABELS})
    for place, word in enumerate(_LABELS):  # names and levels of any sort: no dtype of text holds all of them
        table.insert(place, word, pd.Series([row.get(word) for row in rows], dtype=object))
    worst = table.groupby("column", sort=False)["far"].transform("max") if len(table) else table["far"]
    return table.iloc[np.argsort(-worst.to_numpy(dtype=np.float64), kind="stable")].reset_index(drop=True)


def strayed(completed: Completed) -> list[Strayed]:
    """Numbers imputed far beyond what was observed, or below 0 where no observed value is, the farthest first."""
    found = []
    for name in completed.filled:
        column = completed.table[name]
        if column.kind.discrete or not len(column.observed):
            continue
        seen, drawn = column.values[column.observed], _drawn(completed, name)
        least, most, low, high = (float(v) for v in (seen.min(), seen.max(), drawn.min(), drawn.max()))
        reach = _FAR_OUT * (most - least)
        below = 0.0 if low < 0.0 <= least else least if low < least - reach else None
        above = 0.0 if high > 0.0 >= most and most < 0.0 else most if high > most + reach else None
        if most > least and (below is not None or above is not None):
            far = max(least - low, high - most) / (most - least)
            found.append((far, Strayed(name, (least, most), (low, high), (below, above))))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]


_COLUMNS = (
    "column", "level", "observed", "imputed", "observed_min", "observed_max", "observed_mean", "observed_sd",
    "imputed_min", "imputed_max", "imputed_mean", "imputed_sd", "beyond", "far",
)  # fmt: skip


def _drawn(completed: Completed, name: Hashable) -> Array:
    """All imputed values of a column, over all sets, as completed sets have them."""
    column = completed.table[name]
    drawn = np.concatenate([one[name] for one in completed.imputed if name in one])
    drawn = drawn[~np.isnan(drawn)]
    return column.completed(drawn)


def _range(name: Hashable, seen: Array, drawn: Array) -> dict[str, Any]:
    """Minimum, maximum, mean and spread of observed and of imputed numbers."""
    row: dict[str, Any] = {"column": name, "level": None, "observed": len(seen), "imputed": len(drawn)}
    for word, values in (("observed", seen), ("imputed", drawn)):
        if len(values):
            unit = float(np.abs(values).max()) or 1.0  # of a number of 1e-200 there is no square
            sd = float((values / unit).std(ddof=1)) * unit if len(values) > 1 else np.nan
            figures = (float(values.min()), float(values.max()), float(values.mean()), sd)
            row |= dict(zip((f"{word}_{one}" for one in ("min", "max", "mean", "sd")), figures, strict=True))
    if len(seen) and len(drawn):
        least, most = seen.min(), seen.max()
        row["beyond"] = float(np.mean((drawn < least) | (drawn > most)))
        out = max(least - drawn.min(), drawn.max() - most, 0.0)
        row["far"] = float(out / (most - least)) if most > least else (np.inf if out > 0 else 0.0)
    return row


def _shares(name: Hashable, levels: Any, seen: Array, drawn: Array) -> list[dict[str, Any]]:
    """Share of each level among observed and among imputed values; it stands where a number has its mean."""
    rows = []
    for code, level in enumerate(levels):
        was, now = float(np.mean(seen == code)) if len(seen) else np.nan, float(np.mean(drawn == code))
        row = {
            "column": name,
            "level": level,
            "observed": int((seen == code).sum()),
            "imputed": int((drawn == code).sum()),
        }
        rows.append({**row, "observed_mean": was, "imputed_mean": now, "beyond": 0.0, "far": 0.0})
    return rows

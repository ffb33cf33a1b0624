"""What an analysis of a trial returns: effects and adjusted means at each visit, with both variances."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..pooling.rubin import t_pvalue, t_quantile, upper_level
from .variances import Inference

__all__ = ["TrialResults"]


@dataclass(frozen=True, eq=False)
class TrialResults:
    """Effects of each arm against the reference, and adjusted means of the arms (least-squares means), by visit.

    Printed with both variances, which answer different questions. Rubin's keeps the share of information that the
    missing visits take, as if they were missing at random; that of repeated trials (jackknife, bootstrap) is how much
    the estimate varies if the assumption holds, which is less: borrowing from the reference arm adds certainty.
    """

    title: str
    lines: tuple[str, ...]
    visits: tuple[Any, ...]
    arms: tuple[Any, ...]
    inferences: tuple[Inference, ...]
    alpha: float = 0.05

    @property
    def effects(self) -> pd.DataFrame:
        """Each arm less the reference: rows of :meth:`to_frame`."""
        frame = self.to_frame()
        return frame[frame["estimand"].isin(self._names[: len(self.arms) - 1])].reset_index(drop=True)

    @property
    def means(self) -> pd.DataFrame:
        """Adjusted means of the arms: rows of :meth:`to_frame`."""
        frame = self.to_frame()
        return frame[frame["estimand"].isin(self._names[len(self.arms) - 1 :])].reset_index(drop=True)

    @property
    def _names(self) -> list[str]:
        """What is estimated at each visit, in order."""
        return [f"{one} - {self.arms[0]}" for one in self.arms[1:]] + [f"mean of {one}" for one in self.arms]

    def to_frame(self) -> pd.DataFrame:
        """Return everything as a tidy frame.

        Returns
        -------
        DataFrame
            Columns ``visit``, ``estimand`` ("DRUG - PLACEBO", "mean of DRUG"), ``variance`` ("rubin", "jackknife" or
            "bootstrap"), ``estimate``, ``std_error``, ``df``, ``conf_low``, ``conf_high``, ``p_value`` (of effects; NaN
            for means) and ``fmi`` (of Rubin's).
        """
        parts = []
        for one in self.inferences:
            half = t_quantile(upper_level(self.alpha), one.df) * one.std_error
            p = t_pvalue(one.estimate / one.std_error, one.df)
            p[len(self.arms) - 1 :] = np.nan
            for k, visit in enumerate(self.visits):
                columns = {
                    "visit": [visit] * len(p), "estimand": self._names, "variance": _word(one),
                    "estimate": one.estimate[:, k], "std_error": one.std_error[:, k], "df": one.df[:, k],
                    "conf_low": (one.estimate - half)[:, k], "conf_high": (one.estimate + half)[:, k],
                    "p_value": p[:, k], "fmi": one.fmi[:, k],
                }  # fmt: skip
                parts.append(pd.DataFrame(columns))
        return pd.concat(parts, ignore_index=True)

    def __repr__(self) -> str:
        return "\n".join([self.title, *self.lines, "", *self._table(self.effects), "", *self._table(self.means)])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"

    def _table(self, frame: pd.DataFrame) -> list[str]:
        """Rows by visit and estimand, the variances side by side."""
        words = [_word(one) for one in self.inferences]
        keys = frame[["visit", "estimand"]].drop_duplicates()
        label = "difference" if frame["p_value"].notna().any() else "adjusted mean"
        names = [n.removeprefix("mean of ") for n in keys["estimand"]] if label != "difference" else keys["estimand"]
        columns = [["visit", *map(str, keys["visit"])], [label, *map(str, names)]]
        above = ["", ""]
        for word, one in zip(words, self.inferences, strict=True):
            part = frame[frame["variance"] == word]
            made = _columns_of(part, self.alpha)
            above += [one.method, *[""] * (len(made) - 1)]
            columns += made
        return _aligned(columns, above, 2)


def _word(one: Inference) -> str:
    """The variance in one word."""
    return next(word for word in ("rubin", "jackknife", "bootstrap") if word in one.method.lower())


def _columns_of(part: pd.DataFrame, alpha: float) -> list[list[str]]:
    """Columns of text: estimate, standard error, limits, p."""
    limits = [f"[{low:.3f}, {high:.3f}]" for low, high in zip(part["conf_low"], part["conf_high"], strict=True)]
    found = [
        ["estimate", *(f"{x:.3f}" for x in part["estimate"])],
        ["std.err.", *(f"{x:.3f}" for x in part["std_error"])],
        [f"{100 * (1 - alpha):g} % limits", *limits],
    ]
    if part["p_value"].notna().any():
        found.append(["p", *("<0.001" if p < 0.001 else f"{p:.3f}" for p in part["p_value"])])
    return found


def _aligned(columns: Sequence[Sequence[str]], above: Sequence[str], n_left: int) -> list[str]:
    """Columns as lines, the first ones flush left; headings of groups of columns above them."""
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = [
            cell.ljust(width) if k < n_left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    top, place = "", 0
    for k, (text, width) in enumerate(zip(above, widths, strict=True)):
        if text:
            top = top.ljust(place + (2 if k else 0)) + text
        place += width + 2
    return [top.rstrip(), *lines] if top.strip() else lines

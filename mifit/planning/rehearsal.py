"""What a rehearsal found: bias, coverage and width of each coefficient of a study, with Monte-Carlo errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..display import block, notes, table
from ..pooling.rubin import t_quantile, upper_level
from ..typing import Array
from .rehearsal_plot import draw_bias

__all__ = ["WAYS", "Rehearsal"]

#: in what ways each rehearsed frame is analysed
WAYS = ("no missing values", "complete cases", "imputation")


@dataclass(frozen=True, eq=False, repr=False)
class Rehearsal:
    """A study acted out many times in a world where the truth is known; what ``rehearse`` returns.

    Attributes
    ----------
    draws : DataFrame
        One row for each frame, way and term: ``frame``, ``way``, ``term``, ``estimate``, ``std_error``, ``df``.
    truth : Series
        The coefficients of the analysis in the world from which the frames were sampled.
    missing : Series
        Mean share of deleted values of each column.
    failed : dict
        Way -> in how many frames it could not be done, and why in the first of them.
    """

    formula: str
    model: str
    frames: int
    n: int
    m: int
    truth: pd.Series
    missing: pd.Series
    draws: pd.DataFrame
    failed: Mapping[str, tuple[int, str]]

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Bias, coverage and width of each way and term.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the nominal coverage.

        Returns
        -------
        DataFrame
            Columns ``way``, ``term``, ``truth``; ``bias`` of the estimates and ``bias_mce``, its Monte-Carlo error;
            ``coverage`` of the intervals, in [0, 1], and ``coverage_mce``; ``width``, their mean width, and
            ``width_mce``; ``empirical_se``, the standard deviation of the estimates over frames; ``model_se``, the root
            of their mean variance; ``power``, the share of intervals without 0; ``frames``, how many were analysed.

        References
        ----------
        Morris, T. P., White, I. R. and Crowther, M. J. (2019). Using simulation studies to evaluate statistical
        methods. *Statistics in Medicine* 38(11), 2074-2102, table 6. doi:10.1002/sim.8086
        """
        lines = []
        for (way, term), one in self.draws.groupby(["way", "term"], sort=False):
            truth = float(self.truth[term])
            estimate, error, df = (one[name].to_numpy(dtype=np.float64) for name in ("estimate", "std_error", "df"))
            lines.append((way, term, truth, *_measures(estimate, error, df, truth, alpha)))
        names = ["way", "term", "truth", "bias", "bias_mce", "coverage", "coverage_mce", "width", "width_mce",
                 "empirical_se", "model_se", "power", "frames"]  # fmt: skip
        return pd.DataFrame(lines, columns=names)

    @property
    def verdict(self) -> str:
        """One line on the imputations: which coefficients are biased or covered too seldom, by more than chance."""
        found = self.to_frame()
        one = found[found["way"] == WAYS[-1]]
        biased = one[(one["bias"].abs() > 3 * one["bias_mce"]) & (one["bias"].abs() > 0.2 * one["empirical_se"])]
        seldom = one[one["coverage"] + 3 * one["coverage_mce"].clip(lower=1e-9) < _NOMINAL]
        said = [f"{t.term} is biased by {t.bias:+.3g}" for t in biased.itertuples()]
        said += [f"{t.term} is covered in {100 * t.coverage:.0f} %" for t in seldom.itertuples()]
        return "; ".join(said) or "no bias and no lack of coverage beyond chance"

    def __repr__(self) -> str:
        shown = self._shown()
        lines = [self._title(), f"  analysis : {self.formula}   ({self.model})"]
        lines.append("  missing  : " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.missing.items()))
        for way in dict.fromkeys(shown["way"]):
            part = shown[shown["way"] == way].drop(columns="way").set_index("term")
            lines += ["", way, part.to_string()]
        return "\n".join([*lines, *self._failures(), "", self.verdict])

    def _title(self) -> str:
        return f"Rehearsal: {self.frames} frames of {self.n} rows, m = {self.m}"

    def _failures(self) -> list[str]:
        """What could not be done."""
        return [f"{way}: failed in {many} frames, first: {why}" for way, (many, why) in self.failed.items()]

    def _shown(self) -> pd.DataFrame:
        """The table as texts, Monte-Carlo errors behind the figures."""
        found = self.to_frame()
        made = found[["way", "term"]].copy()
        made["truth"] = [f"{one:.4g}" for one in found["truth"]]
        for name, digits in (("bias", 3), ("coverage", 3), ("width", 3)):
            pairs = zip(found[name], found[f"{name}_mce"], strict=True)
            made[name] = [f"{one:.{digits}f} ({error:.{digits}f})" for one, error in pairs]
        made["power"] = [f"{one:.2f}" for one in found["power"]]
        return made

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        shown = self._shown()
        cells = [tuple(row) for row in shown.itertuples(index=False, name=None)]
        head = ["", "term", "truth", "bias (MC error)", "coverage", "width", "power"]
        lead = f"{self.formula} ({self.model}): {self.verdict}."
        return block(self._title(), lead, table(head, cells, range(2, 7)), notes(self._failures()))

    def plot(self, ax: Any = None) -> Any:
        """Draw the bias of each coefficient in standard errors, with Monte-Carlo intervals, one colour for each way.

        Parameters
        ----------
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes
        """
        return draw_bias(self.to_frame(), ax)


_NOMINAL = 0.95


def _measures(estimate: Array, error: Array, df: Array, truth: float, alpha: float) -> tuple[float, ...]:
    """Bias, coverage and width with their Monte-Carlo errors, standard errors, power and number of frames."""
    n = len(estimate)
    half = t_quantile(upper_level(alpha), df) * error
    covered = np.abs(estimate - truth) <= half
    spread = float(estimate.std(ddof=1)) if n > 1 else np.nan
    coverage = float(covered.mean())
    return (
        float(estimate.mean() - truth), spread / np.sqrt(n), coverage, float(np.sqrt(coverage * (1 - coverage) / n)),
        float(2 * half.mean()), float(2 * half.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan, spread,
        float(np.sqrt(np.mean(error**2))), float(np.mean(np.abs(estimate) > half)), n,
    )  # fmt: skip

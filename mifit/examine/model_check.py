"""What the check of the models found: tables, a verdict, pictures; see :meth:`mifit.ImputedSet.check_model`."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..display import block, notes
from ..errors import PlanError
from ..frame.table import Column
from ..pooling.rubin import pool, t_pvalue
from ..typing import Array, Rows
from .missingness import in_html, printed
from .model_check_plot import draw_overimputed, draw_shares
from .predictive import ALONG, MOMENTS, Difference, departures, mean_departure, ranks

__all__ = ["CAVEAT", "Checked", "ModelCheck", "Tables", "coefficient_table", "column_table", "response_table"]

_LEVEL = 0.01  # of all comparisons of one table together
_SIZE = 0.1  # a departure that is worth a word: of a standardised moment or a correlation
_SHIFT = 0.5  # standard errors that a coefficient may move
_TOLD = 4  # respects that are named
_NORMAL = np.array(np.inf)  # degrees of freedom
_APART = 0.1  # standard deviations between imputed and observed values

CAVEAT = (
    "The parameters were estimated from the same values, so that departures are found less often than a new sample "
    "would find them: what is found is there, and what is not found may be. The analysis weighs the redrawn values "
    "too; if it is wrong, that shows here."
)


class Checked(NamedTuple):
    """A column whose observed values were redrawn."""

    column: Column
    label: str  #: of its method, or what it is
    rows: Rows  #: (n,) the cells
    redrawn: Array  #: (sets, n, d)
    names: tuple[str, ...]  #: (q,) of columns that it may depend on
    given: Array  #: (sets, n, q) their values


class Tables(NamedTuple):
    """The table of the columns, and the cells behind it."""

    frame: pd.DataFrame
    cells: pd.DataFrame


@dataclass(frozen=True, eq=False, repr=False)
class ModelCheck:
    """Observed values redrawn by the models that imputed; what :meth:`mifit.ImputedSet.check_model` returns.

    Attributes
    ----------
    columns, coefficients, response : DataFrame
        See :meth:`mifit.ImputedSet.check_model`.
    cells : DataFrame
        The redrawn cells: ``column``, ``row`` (from 0), ``observed`` (a number or a level code), ``mean``, ``low`` and
        ``high`` (5 and 95 % of the redrawn values), ``share`` (the probability integral transform in the first set).
    """

    columns: pd.DataFrame
    coefficients: pd.DataFrame
    response: pd.DataFrame
    cells: pd.DataFrame
    m: int

    @property
    def verdict(self) -> str:
        """One line: what departs from its model, or that nothing does."""
        found = [f"{name}: {one.respect}" for name, one in self.columns.iterrows() if one.verdict == "departs"]
        moved = self.coefficients[self.coefficients["verdict"] == "moves"]
        found += [f"{one.term} moves when {one.column} is redrawn" for one in moved.itertuples()]
        apart = self.response[self.response["verdict"] == "differs"]
        found += [
            f"{one.column}: imputed values differ from observed ones as likely to be missing"
            for one in apart.drop_duplicates("column").itertuples()
        ]
        if found:
            return "; ".join(found)
        many = int((self.columns["verdict"] == "fits").sum())
        if not many:
            return "no column has observed values enough to be judged"
        return f"no departure found in {many} column{'s' * (many != 1)}"

    @property
    def departs(self) -> bool:
        """Whether something departs from its model."""
        return not self.verdict.startswith("no ")

    def parts(self) -> list[tuple[str, pd.DataFrame]]:
        """What is printed: headings and tables."""
        found = [("Observed values among redrawn ones", self.columns.drop(columns=["do", "size"]))]
        if len(self.coefficients):
            worst = self.coefficients.sort_values("p_value", kind="stable").set_index("term")
            found.append(("Coefficients when the observed values of one column are redrawn", worst))
        if len(self.response):
            heading = "Imputed less observed values, given the probability of being missing (standard deviations)"
            found.append((heading, self.response.set_index("column")))
        return found

    def advice(self) -> list[str]:
        """Calls that may cure what was found."""
        return list(dict.fromkeys(one for one in self.columns["do"] if one))

    def __repr__(self) -> str:
        lines = [f"Model check over {self.m} sets: {self.verdict}"]
        for heading, frame in self.parts():
            lines += ["", heading, printed(frame.head(_LINES)).to_string()]
            if len(frame) > _LINES:
                lines.append(f"... and {len(frame) - _LINES} more")
        lines += ["", *(f"do: {one}" for one in self.advice())]
        return "\n".join([*lines, *textwrap.wrap(CAVEAT, 100)])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        parts: list[object] = [f"{self.verdict}."]
        for heading, frame in self.parts():
            parts += [heading, in_html(frame.head(_LINES))]
        return block("Model check", *parts, notes(self.advice()), CAVEAT)

    def plot(self, what: str = "overimputed", columns: Any = None, ax: Any = None) -> Any:
        """Draw observed values against what the models redraw for them, or their probability integral transforms.

        Parameters
        ----------
        what : {"overimputed", "shares"}
            Observed against redrawn values, with the interval that holds 90 % of the latter, a panel a column; or
            histograms of the transforms, flat if the model is right, with the band that holds 95 % of the bars.
        columns : hashable or sequence, optional
            By default all.
        ax : matplotlib Axes, optional
            For one column.

        Returns
        -------
        Figure or Axes

        Raises
        ------
        PlanError
            If ``what`` is neither, or a column was not checked.
        """
        known = list(self.columns.index)
        names = known if columns is None else [columns] if columns in known else list(columns)
        wrong = [name for name in names if name not in known]
        if what not in ("overimputed", "shares") or wrong or not names:
            fact = f"there is no picture {what!r}." if not wrong and names else f"{wrong or columns!r} was not checked."
            raise PlanError(fact, do="imp.check_model().plot('overimputed')")
        draw = draw_overimputed if what == "overimputed" else draw_shares
        return draw(self.cells, names, ax)


_LINES = 12  # of each table that are printed


def column_table(checked: Sequence[Checked], rng: np.random.Generator) -> Tables:
    """Judge each column: how many values lie inside the intervals, and in what respect they depart."""
    lines, cells = [], []
    comparisons = sum(len(MOMENTS) + len(ALONG) * (1 + len(one.names)) for one in checked)
    for one in checked:
        observed, pooled = one.column.values[one.rows], np.hstack(list(one.redrawn))
        # Set by set: over sets, redrawn values gather around an observed one that was used to impute its row.
        shares = [ranks(observed, drawn, rng) for drawn in one.redrawn]
        found = mean_departure(
            [
                departures(each, np.column_stack([drawn.mean(axis=1), beside]))
                for each, drawn, beside in zip(shares, one.redrawn, one.given, strict=True)
            ]
        )
        said = [*MOMENTS, *(text.format(name) for name in ("its mean", *one.names) for text in ALONG)]
        p = t_pvalue(found.z, _NORMAL)
        flagged = (p * comparisons < _LEVEL) & (np.abs(found.size) > _SIZE)
        order = np.argsort(-np.abs(found.z), kind="stable").tolist()
        worst = [k for k in order if flagged[k]] or order[:1]
        told = sorted(worst, key=lambda k: k >= len(MOMENTS))  # what is true of all values comes first
        respect = ", ".join(said[k] for k in told[:_TOLD]) if flagged.any() else ""
        own = shares[0][:, 0]
        every = np.concatenate([each[:, 0] for each in shares])
        inside = [float(np.mean(np.abs(every - 0.5) < half / 2)) for half in (0.5, 0.95)]
        verdict = "departs" if flagged.any() else "fits"
        size, p_value = float(found.size[worst[0]]), float(min(p[worst[0]] * comparisons, 1.0))
        lines.append((one.label, len(own), *inside, size, p_value, verdict, respect, ""))
        low, high = np.quantile(pooled, [0.05, 0.95], axis=1)
        cells.append(
            pd.DataFrame(
                {
                    "column": pd.Series([one.column.name] * len(own), dtype=object), "row": one.rows,
                    "observed": observed, "mean": pooled.mean(axis=1), "low": low, "high": high, "share": own,
                }
            )
        )  # fmt: skip
    names = ["method", "cells", "inside_50", "inside_95", "size", "p_value", "verdict", "respect", "do"]
    index = pd.Index([one.column.name for one in checked], name="column", dtype=object)
    texts = dict.fromkeys(("method", "verdict", "respect", "do"), object)
    frame = pd.DataFrame(lines, columns=names, index=index).astype(texts)
    empty = pd.DataFrame(columns=["column", "row", "observed", "mean", "low", "high", "share"])
    return Tables(frame, pd.concat(cells, ignore_index=True) if cells else empty)


def coefficient_table(found: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Judge how the coefficients of the analyses move when the observed values of one column are redrawn.

    References
    ----------
    He, Y. and Zaslavsky, A. M. (2012). Diagnosing imputation models by applying target analyses to posterior replicates
    of completed data. *Statistics in Medicine* 31(1), 1-18. doi:10.1002/sim.4413
    """
    lines, comparisons = [], sum(len(names) for _, _, names, *_ in found)
    for formula, name, names, real, other, error in found:
        moved = other - real
        mean, spread = moved.mean(axis=0), moved.std(axis=0, ddof=1) if len(moved) > 1 else np.full(len(names), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            p = t_pvalue(mean / spread, np.array(max(len(moved) - 1, 1)))
        for k, term in enumerate(names):
            shift = mean[k] / error[k]
            verdict = "moves" if p[k] * comparisons < _LEVEL and abs(shift) > _SHIFT else "stays"
            figures = (real[:, k].mean(), other[:, k].mean(), shift, p[k], verdict)
            lines.append((formula, name, term, *map(_plain, figures)))
    columns = ["formula", "column", "term", "estimate", "redrawn", "shift", "p_value", "verdict"]
    texts = dict.fromkeys(("formula", "column", "term", "verdict"), object)
    return pd.DataFrame(lines, columns=columns).astype(texts)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, np.floating) else value


def response_table(found: Sequence[tuple[Hashable, Any, Sequence[Difference], int]]) -> pd.DataFrame:
    """Judge imputed against observed values, pooled over the sets."""
    lines = []
    for name, level, each, missing in found:
        estimates = np.array([[one.adjusted] for one in each])
        variances = np.array([[[one.variance]] for one in each])
        if not np.isfinite(estimates).all():
            continue
        if len(each) > 1:
            pooled = pool(estimates, variances, np.inf)
            error, df = float(pooled.std_error[0]), pooled.df[:1]
        else:
            error, df = float(np.sqrt(variances[0, 0, 0])), _NORMAL
        adjusted = float(estimates.mean())
        p = float(np.ravel(t_pvalue(np.array([adjusted / error]), df))[0]) if error > 0 else np.nan
        verdict = "differs" if p * len(found) < _LEVEL and abs(adjusted) > _APART else "alike"
        lines.append((name, level, missing, float(np.mean([one.raw for one in each])), adjusted, error, p, verdict))
    names = ["column", "level", "missing", "raw", "adjusted", "std_error", "p_value", "verdict"]
    made = {k: pd.Series([line[at] for line in lines], dtype=object if k in ("column", "level", "verdict") else None)
            for at, k in enumerate(names)}  # fmt: skip
    return pd.DataFrame(made)

"""What is known of missing values before imputing: who has them, what goes with them, how columns help one another."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..display import block, facts, table
from ..errors import PlanError, call
from ..frame.kinds import Kind
from ..frame.table import Column, Table, read
from ..typing import Array
from .little import CAVEAT, LittleTest, little_test
from .missingness_plot import draw_flux, draw_odds
from .response import response_model

__all__ = ["Missingness", "contrasts", "in_html", "missingness_of", "printed"]

_PAIRS = 500  # of columns, those with the smallest p-values, whose odds ratios are estimated
_SHOWN = 8  # lines of each table that are printed
_Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Missingness:
    """Where a frame has missing values, and what goes with them; what :func:`mifit.missingness` returns.

    Attributes
    ----------
    flux : DataFrame
        One row a column; see :func:`mifit.missingness`.
    rows : DataFrame
        Complete against incomplete rows.
    predictors : DataFrame
        What goes with a value's being missing.
    little : LittleTest
        Little's test of MCAR.
    """

    table: Table

    @cached_property
    def flux(self) -> pd.DataFrame:
        """How well the columns are connected; index the columns."""
        return _flux(self.table)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Complete against incomplete rows, column by column."""
        return _rows(self.table)

    @cached_property
    def predictors(self) -> pd.DataFrame:
        """What goes with a value's being missing, the smallest p-value of each column first."""
        return _predictors(self.table)

    @cached_property
    def little(self) -> LittleTest:
        """Little's test of values missing completely at random."""
        parts = [values for column in _usable(self.table) for _, values in contrasts(column)]
        return little_test(np.column_stack(parts)) if parts else LittleTest(0.0, 0, np.nan, 0)

    @property
    def complete(self) -> int:
        """Number of rows without a missing value."""
        return len(self.table.complete_rows(self.table.columns))

    def plot(self, what: str = "flux", ax: Any = None) -> Any:
        """Draw influx against outflux of each column, or the odds ratios of a missing value.

        Parameters
        ----------
        what : {"flux", "odds"}
        ax : matplotlib Axes, optional

        Returns
        -------
        Axes

        Raises
        ------
        PlanError
            If ``what`` is neither, or there is nothing to draw.
        """
        if what not in ("flux", "odds"):
            raise PlanError(
                f"there is no picture {what!r}; it is 'flux' or 'odds'.",
                do=call("df.mice.missingness").then(".plot('flux')"),
            )
        if what == "odds" and not len(self.predictors):
            raise PlanError(
                "nothing is known that could go with a missing value.",
                do=call("df.mice.missingness").then(".plot('flux')"),
            )
        return draw_flux(self.flux, ax) if what == "flux" else draw_odds(self.predictors, ax)

    def parts(self) -> list[tuple[str, pd.DataFrame]]:
        """What is printed: headings and tables, the most telling lines first."""
        incomplete = self.flux[self.flux["missing"] > 0].sort_values("missing", ascending=False, kind="stable")
        parts = [("How the columns help one another", incomplete.drop(columns="observed"))]
        if len(self.rows) and 0 < self.complete < self.table.n_rows:
            first = self.rows.sort_values("p_value", kind="stable")
            parts.append(("Complete against incomplete rows", first.set_index("column")))
        if len(self.predictors):
            shown = self.predictors.sort_values("p_value", kind="stable").set_index("missing")
            parts.append(("What goes with a missing value: odds ratios", shown))
        return parts

    def _title(self) -> str:
        n = self.table.n_rows
        return f"{n} rows, {self.complete} complete ({100 * self.complete / n:.0f} %)"

    def __repr__(self) -> str:
        lines = [f"Missingness: {self._title()}"]
        if not self.table.incomplete:
            return f"{lines[0]}; no value is missing"
        for heading, frame in self.parts():
            lines += ["", heading, printed(frame.head(_SHOWN)).to_string()]
            if len(frame) > _SHOWN:
                lines.append(f"... and {len(frame) - _SHOWN} more")
        return "\n".join(
            [*lines, "", f"{self.little}", *textwrap.wrap(CAVEAT, 90, initial_indent="  ", subsequent_indent="  ")]
        )

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        if not self.table.incomplete:
            return block("Missingness", self._title())
        parts: list[object] = [self._title()]
        for heading, frame in self.parts():
            parts += [heading, in_html(frame.head(_SHOWN))]
        return block("Missingness", *parts, facts([("Little's test", str(self.little)), ("", CAVEAT)]))


def in_html(frame: pd.DataFrame) -> Any:
    """Return a frame as a table, its index first, numbers to the right."""
    shown = printed(frame)
    cells = [(label, *row) for label, row in zip(frame.index, shown.itertuples(index=False, name=None), strict=True)]
    numeric = [k for k, one in enumerate(frame.columns, start=1) if pd.api.types.is_numeric_dtype(frame[one])]
    return table([frame.index.name or "", *(str(one).replace("_", " ") for one in frame.columns)], cells, numeric)


def printed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as texts: three decimals, nothing for nothing."""

    def text(value: Any, name: str) -> str:
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return ""
        if not isinstance(value, float):
            return str(value).encode("utf-8", "backslashreplace").decode()  # half a character is no text
        return (
            "<0.001" if name == "p_value" and value < 0.0005 else f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"
        )

    columns = {name: [text(value, name) for value in frame[name]] for name in frame.columns}
    return pd.DataFrame(columns, index=frame.index)


def missingness_of(frame: pd.DataFrame) -> Missingness:
    """Look at the missing values of a frame; see :func:`mifit.missingness`."""
    return Missingness(read(frame))


def _usable(table: Table) -> list[Column]:
    """Columns that are numbers or categories, with two different values."""
    return [
        column
        for column in table.columns.values()
        if column.kind is not Kind.OTHER and len(np.unique(column.values[column.observed])) > 1
    ]


def contrasts(column: Column) -> list[tuple[Any, Array]]:
    """Return a column as numbers: itself, the code of an order or of two levels, or a contrast for each level.

    Parameters
    ----------
    column : Column
        A number or a category.

    Returns
    -------
    list of (level, ndarray of shape (n,))
        NaN where missing; level None of a number or an order.
    """
    if column.number or column.kind is Kind.ORDINAL:
        values = np.full(len(column.values), np.nan)
        values[column.observed] = column.numbers(column.values[column.observed]) if column.number else column.values[
            column.observed
        ]  # fmt: skip
        return [(None, values)]
    found = []
    for code, level in enumerate(column.coding.levels[1:], start=1):
        found.append((level, np.where(np.isnan(column.values), np.nan, column.values == code)))
    return found


def _flux(table: Table) -> pd.DataFrame:
    """Influx and outflux of each column."""
    gone = np.column_stack([table.gone(name) for name in table.columns])
    seen: npt.NDArray[np.bool_] = np.logical_not(gone)
    per_row_seen, per_row_gone = seen.sum(axis=1), gone.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        influx = (gone * per_row_seen[:, None]).sum(axis=0) / seen.sum()
        outflux = (seen * per_row_gone[:, None]).sum(axis=0) / gone.sum() if gone.any() else np.zeros(seen.shape[1])
        some = gone.sum(axis=1) > 0
        fico = seen[some].sum(axis=0) / seen.sum(axis=0)
    figures = {
        "missing": gone.mean(axis=0), "observed": seen.mean(axis=0), "influx": influx, "outflux": outflux, "fico": fico,
    }  # fmt: skip
    return pd.DataFrame(figures, index=pd.Index(list(table.columns), name="column", dtype=object))


def _rows(table: Table) -> pd.DataFrame:
    """Means of complete and of incomplete rows."""
    complete = np.isin(np.arange(table.n_rows), table.complete_rows(table.columns))
    found: list[tuple[Any, ...]] = []
    for column in _usable(table):
        p = _score_test(complete.astype(np.float64), [values for _, values in contrasts(column)])
        shown = contrasts(column)
        if column.kind.discrete and not column.number:
            codes = column.values
            shown = [
                (level, np.where(np.isnan(codes), np.nan, codes == k)) for k, level in enumerate(column.coding.levels)
            ]
        for level, values in shown:
            inside, outside = (values[(complete == one) & ~np.isnan(values)] for one in (True, False))
            if not len(inside) or not len(outside):
                continue
            spread = np.sqrt((inside.var() + outside.var()) / 2)
            off = outside.mean() - inside.mean()
            smd = off / spread if spread > 0 else np.nan
            found.append((column.name, level, inside.mean(), outside.mean(), smd, p))
    names = ["column", "level", "complete", "incomplete", "smd", "p_value"]
    return _framed(found, names, 2)


def _predictors(table: Table) -> pd.DataFrame:
    """Odds ratios of each column's being missing, one other column at a time."""
    pairs: list[tuple[float, int, Any, Column]] = []
    usable = [(column, contrasts(column)) for column in _usable(table)]
    parts = {column.name: each for column, each in usable}
    for place, name in enumerate(table.incomplete):
        gone = table.gone(name).astype(np.float64)
        for column, each in usable:
            rows = column.observed
            if column.name != name and 0 < gone[rows].sum() < len(rows):
                pairs.append((_score_test(gone[rows], [v[rows] for _, v in each]), place, name, column))
    kept = [pairs[k] for k in np.argsort([pair[0] for pair in pairs], kind="stable")[:_PAIRS]]
    found: list[tuple[Any, ...]] = []
    for p, _, name, column in sorted(kept, key=lambda pair: (pair[1], pair[0])):
        rows = column.observed
        X = np.column_stack([values[rows] for _, values in parts[column.name]])
        if parts[column.name][0][0] is None:
            X = (X - X.mean(axis=0)) / X.std(axis=0)
        model = response_model(table.gone(name)[rows].astype(np.float64), X)
        for (level, _), b, se in zip(parts[column.name], model.coef[1:], model.error[1:], strict=True):
            low, high = (float(np.exp(np.clip(b + k * _Z * se, -700, 700))) for k in (-1, 1))
            found.append((name, column.name, level, float(np.exp(b)), low, high, p, len(rows)))
    names = ["missing", "given", "level", "odds_ratio", "low", "high", "p_value", "rows"]
    return _framed(found, names, 3)


def _score_test(marked: Array, columns: list[Array]) -> float:
    """P-value of the score test of a 0/1 variable on some columns; rows with a missing value are left out."""
    from scipy.special import chdtrc

    X = np.column_stack(columns)
    rows = ~np.isnan(X).any(axis=1)
    X, y = X[rows] - X[rows].mean(axis=0), marked[rows] - marked[rows].mean()
    size = np.sqrt((X**2).sum(axis=0))
    X = X[:, size > 0] / size[size > 0]
    total = float(y @ y)
    if not X.shape[1] or not total > 0:
        return float("nan")
    fit, _, rank, _ = np.linalg.lstsq(X, y, rcond=None)
    return float(chdtrc(rank, len(y) * float(y @ (X @ fit)) / total))


def _framed(rows: list[tuple[Any, ...]], names: list[str], objects: int) -> pd.DataFrame:
    """Rows as a frame whose first columns hold names and levels as they are, None among them."""
    made = {}
    for place, name in enumerate(names):
        values = [row[place] for row in rows]
        made[name] = pd.Series(values, dtype=object if place < objects else None if rows else np.float64)
    return pd.DataFrame(made)

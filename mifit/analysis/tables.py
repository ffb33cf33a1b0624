"""Tables and summaries of statsmodels for other packages, imported on use."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from typing import Any

from ..display import latex, one_line

__all__ = ["coefficient_table", "contrast_results", "header_table", "summary_of"]

#: statsmodels' own look: "=" above, "-" under the column heads, blanks between columns
_LOOK = {"table_dec_above": "=", "table_dec_below": "=", "header_dec_below": "-", "row_pre": "", "row_post": ""}


def header_table(left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]], title: str, width: int) -> Any:
    """Return the top of a summary: labelled facts in two columns.

    Parameters
    ----------
    left, right : sequence of (label, value)
        The shorter side is padded with blanks.
    title : str
    width : int
        Width of the whole table, in characters.

    Returns
    -------
    SimpleTable

    Examples
    --------
    >>> print(header_table([("Model:", "OLS")], [("Imputations:", "20")], "Pooled", 40))
                     Pooled
    ========================================
    Model:           OLS   Imputations:   20
    ========================================
    """
    rows = max(len(left), len(right))
    sides = [[*side, *[("", "")] * (rows - len(side))] for side in (left, right)]
    half = (width + 1) // 2
    table = _labelled(sides[0], width - 1 - half, "", title)
    table.extend_right(_labelled(sides[1], half, "  ", title))
    return _escaping(table)


def coefficient_table(
    rows: Sequence[Sequence[str]], headers: Sequence[str], stubs: Sequence[str], widths: Sequence[int]
) -> Any:
    """Return the table of coefficients.

    Parameters
    ----------
    rows : sequence of sequence of str, shape (q, c)
        Cells, already formatted.
    headers : sequence of str, length c
    stubs : sequence of str, length q
        Names of the coefficients.
    widths : sequence of int, length c + 1
        Width of the names and of each column.

    Returns
    -------
    SimpleTable

    Examples
    --------
    >>> print(coefficient_table([["1.5", "0.2"]], ["coef", "std err"], ["x"], [6, 8, 8]))
    ========================
               coef  std err
    ------------------------
    x           1.5      0.2
    ========================
    """
    from statsmodels.iolib.table import SimpleTable

    padded = [f"{stub:<{widths[0]}}" for stub in stubs]
    cells = [[f"{cell:>{w}}" for cell, w in zip(row, widths[1:], strict=True)] for row in rows]
    headings = [f"{head:>{w}}" for head, w in zip(headers, widths[1:], strict=True)]
    return _escaping(SimpleTable(cells, headers=headings, stubs=padded, txt_fmt={**_LOOK, "colsep": " "}))


def contrast_results(effect: Any, std_error: Any, df: Any) -> Any:
    """Return statsmodels' result of t tests, each row on its own degrees of freedom.

    Parameters
    ----------
    effect, std_error, df : ndarray, shape (k,)

    Returns
    -------
    statsmodels.stats.contrast.ContrastResults
        With ``effect``, ``sd``, ``tvalue``, ``pvalue``, ``conf_int(alpha)``, ``summary_frame(alpha)``.

    Examples
    --------
    >>> import numpy as np
    >>> contrast_results(np.array([1.0]), np.array([0.5]), np.array([10.0])).tvalue
    array([2.])
    """
    from statsmodels.stats.contrast import ContrastResults

    return ContrastResults(effect=effect, t=effect / std_error, sd=std_error, df_denom=df)


def summary_of(tables: Sequence[Any], notes: Sequence[str]) -> Any:
    """Return statsmodels' own summary object around some tables.

    Parameters
    ----------
    tables : sequence of SimpleTable
    notes : sequence of str
        Lines below the tables.

    Returns
    -------
    statsmodels.iolib.summary.Summary
        With ``as_text``, ``as_html``, ``as_latex`` and ``as_csv``.
    """
    summary = _classes()["_Summary"]()
    summary.tables = list(tables)
    if notes:
        summary.add_extra_txt(list(notes))
    return summary


def _labelled(pairs: Sequence[tuple[str, str]], width: int, indent: str, title: str) -> Any:
    """Return one half of a header, exactly ``width`` characters wide."""
    from statsmodels.iolib.table import SimpleTable

    widest = max(len(label) for label, _ in pairs)
    stubs = [f"{indent}{label:<{widest}}" for label, _ in pairs]
    values = [[f"{value:>{max(width - len(indent) - widest - 1, 1)}}"] for _, value in pairs]
    return SimpleTable(values, stubs=stubs, title=title, txt_fmt={**_LOOK, "colsep": " "})


@functools.cache
def _classes() -> dict[str, Any]:
    """Statsmodels' cells and summary, which write names into HTML and LaTeX unescaped, made to escape them."""
    from statsmodels.iolib.summary import Summary
    from statsmodels.iolib.table import Cell

    class _Cell(Cell):
        """A cell whose text stays text in every markup."""

        def format(self, width: int, output_format: str = "txt", **words: Any) -> str:
            write = _WRITERS.get(output_format)
            if write is None:
                return super().format(width, output_format, **words)
            plain = Cell(write(self.data), self._datatype, self.row, **self._fmt)
            return plain.format(width, output_format, **{**words, "replacements": {}})

    class _Summary(Summary):
        """A summary whose notes stay text in every markup."""

        def as_html(self) -> str:
            return _noted(self, html.escape).as_html()

        def as_latex(self) -> str:
            return _noted(self, latex).as_latex()

    def _noted(summary: Any, write: Callable[[str], str]) -> Any:
        plain = Summary()
        plain.tables = summary.tables
        if summary.extra_txt is not None:
            plain.extra_txt = "\n".join(map(write, summary.extra_txt.split("\n")))
        return plain

    found = {"_Cell": _Cell, "_Summary": _Summary}
    for name, one in found.items():
        one.__module__, one.__qualname__ = __name__, name  # so that they pickle
    return found


def __getattr__(name: str) -> Any:
    """The classes above, which are made once statsmodels is needed."""
    if name in ("_Cell", "_Summary"):
        return _classes()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _in_html(data: Any) -> str:
    return html.escape(one_line(data))


#: form of statsmodels' tables, under each of its names -> what writes a text in it
_WRITERS: dict[str, Callable[[Any], str]] = {"html": _in_html, "htm": _in_html, "latex": latex, "ltx": latex}


def _escaping(table: Any) -> Any:
    """A table whose cells escape."""
    kind = _classes()["_Cell"]
    for row in table:
        row[:] = [kind(cell.data, cell._datatype, row, **cell._fmt) for cell in row]
    return table

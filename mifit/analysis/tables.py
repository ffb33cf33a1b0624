"""The few statsmodels tools that other rooms need, imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    return table


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
    heads = [f"{head:>{w}}" for head, w in zip(headers, widths[1:], strict=True)]
    return SimpleTable(cells, headers=heads, stubs=padded, txt_fmt={**_LOOK, "colsep": " "})


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
    from statsmodels.iolib.summary import Summary

    summary = Summary()
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

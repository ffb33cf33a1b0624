"""The printed summary of a pooled analysis, in statsmodels' look."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..analysis.tables import coefficient_table, header_table, summary_of

if TYPE_CHECKING:
    from .pooled import PooledResults

__all__ = ["summarise"]

#: widths of coef, std err, t, df, P>|t|, lower limit, upper limit, FMI
_WIDTHS = (10, 9, 8, 8, 7, 10, 10, 7)


def summarise(results: PooledResults, alpha: float = 0.05) -> Any:
    """Lay out a pooled analysis as a statsmodels summary.

    Parameters
    ----------
    results : PooledResults
    alpha : float, default 0.05
        One minus the coverage of the intervals.

    Returns
    -------
    statsmodels.iolib.summary.Summary
        Prints, and has ``as_text``, ``as_html``, ``as_latex``, ``as_csv``.
    """
    names = [str(name) for name in results.params.index]
    widths = (max(14, *map(len, names)), *_WIDTHS)
    width = sum(widths) + len(_WIDTHS)
    facts = _facts(results)
    room = width // 2 - 4 - max(map(len, facts))  # beside the widest label, its colon and the blanks between
    short = {label: text for label, text in facts.items() if len(text) <= room}
    split = (len(short) + 1) // 2
    pairs = [(f"{label}:", text) for label, text in short.items()]
    long = [f"{label}: {text}" for label, text in facts.items() if label not in short]
    title = f"Pooled {results.fits.label} Regression Results"
    tables = [
        header_table(pairs[:split], pairs[split:], title, width),
        coefficient_table(_rows(results, alpha), _headers(alpha), names, widths),
    ]
    return summary_of(tables, _notes([*long, *results.notes], width))


def _facts(results: PooledResults) -> dict[str, str]:
    """Return the labelled facts of the header, statsmodels' first."""
    fits = results.fits
    facts: Mapping[str, str] = {
        "Dep. Variable": fits.outcome,
        "Model": fits.label,
        **fits.facts,
        "Covariance Type": fits.cov_label,
        "No. Observations": f"{fits.n_obs:d}",
        "Df Complete Data": f"{_number(fits.df_complete)} ({fits.df_source})",
        "Df Method": results.df_method,
        "Imputations (m)": f"{results.m:d}",
    }
    verdict = {} if results.congeniality is None else {"Congeniality": str(results.congeniality)}
    return {**facts, **verdict, **results.header}


def _rows(results: PooledResults, alpha: float) -> list[list[str]]:
    """Return the formatted cells, one row a coefficient."""
    frame = results.to_frame(alpha)
    return [
        [
            _figure(row.estimate, 4),
            _figure(row.std_error, 3),
            _figure(row.statistic, 3),
            _number(row.df),
            f"{row.p_value:.3f}",
            _figure(row.conf_low, 3),
            _figure(row.conf_high, 3),
            f"{row.fmi:.3f}",
        ]
        for row in frame.itertuples(index=False)
    ]


def _headers(alpha: float) -> list[str]:
    """Return the column heads, the limits as statsmodels writes them."""
    return ["coef", "std err", "t", "df", "P>|t|", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]", "FMI"]


def _notes(lines: Sequence[str], width: int) -> list[str]:
    """Return the notes, numbered and wrapped to the width of the tables."""
    wrapped = []
    for number, line in enumerate(lines, start=1):
        label = f"[{number}] "
        wrapped += textwrap.wrap(line, width, initial_indent=label, subsequent_indent=" " * len(label))
    return ["Notes:", *wrapped] if wrapped else []


def _figure(value: float, digits: int) -> str:
    """Return a figure with fixed digits, or in scientific notation when they would say nothing."""
    size = abs(value)
    plain = size == 0 or (10.0**-digits <= size < 1e4)
    return f"{value:.{digits}f}" if plain and math.isfinite(value) else f"{value:.{digits}g}"


def _number(value: float) -> str:
    """Return degrees of freedom: one decimal while it matters, "inf" when there is no end."""
    if math.isinf(value):
        return "inf"
    return (
        f"{value:.1f}" if value < 1000 and value != round(value) else f"{value:.0f}" if value < 1e6 else f"{value:.2g}"
    )

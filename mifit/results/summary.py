"""The printed summary of a pooled analysis, in statsmodels' look."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.fit import Fits
from ..analysis.tables import coefficient_table, header_table, summary_of
from ..calls import call
from ..display import Markup, block, facts, folded, notes, table
from .estimates import PooledEstimates
from .monte_carlo import supported_digits, undecided
from .tables import coefficient_head, endless, tidy
from .variance_components import FIGURES, mixed_rsquared, variance_components

__all__ = ["coefficients", "shown", "summarise"]

#: widths of coef, std err, t, df, P>|t|, lower limit, upper limit, FMI
_WIDTHS = (10, 9, 8, 8, 7, 10, 10, 7)

#: widths of estimate, standard deviation, limits, FMI of variance components
_COMPONENT_WIDTHS = (10, 9, 10, 10, 7)

#: figures printed, and their decimals
_DECIMALS = {
    "estimate": 4, "std_error": 3, "statistic": 3, "df": 1, "p_value": 3, "conf_low": 3, "conf_high": 3, "fmi": 3,
}  # fmt: skip


def summarise(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> Any:
    """Lay out a pooled analysis as a statsmodels summary.

    Parameters
    ----------
    results : PooledResults
    alpha : float, default 0.05
        One minus the coverage of the intervals.
    exponentiate : bool, default False
        Print ratios instead of coefficients.

    Returns
    -------
    statsmodels.iolib.summary.Summary
        Prints, and has ``as_text``, ``as_html``, ``as_latex``, ``as_csv``.
    """
    names = _terms(results)
    widths = (max([14, *map(len, names)]), *_WIDTHS)
    width = sum(widths) + len(_WIDTHS)
    facts = _facts(results)
    room = width // 2 - 4 - max(map(len, facts))  # beside the widest label, its colon and the blanks between
    short = {label: text for label, text in facts.items() if len(text) <= room}
    split = (len(short) + 1) // 2
    pairs = [(f"{label}:", text) for label, text in short.items()]
    long = [f"{label}: {text}" for label, text in facts.items() if label not in short]
    reason = [] if results.congeniality is None else _verdict(results)[1]
    title = f"Pooled {results.fits.label} Regression Results"
    tables = [
        header_table(pairs[:split], pairs[split:], title, width),
        coefficient_table(_rows(results, alpha, exponentiate), _headers(results, alpha, exponentiate), names, widths),
    ]
    tables = tables if names else tables[:1]
    tables += [] if results.fits.spread is None else [_components(results, alpha, widths[0])]
    return summary_of(tables, _notes([*reason, *long, *results.notes, *_precision(results)], width))


def shown(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> str:
    """Return the same for a notebook: the table of coefficients first, the facts of the header beneath.

    Parameters
    ----------
    results : PooledResults
    alpha : float, default 0.05
    exponentiate : bool, default False

    Returns
    -------
    str
        HTML.
    """
    title = f"Pooled {results.fits.label} regression"
    word, reason = ("", []) if results.congeniality is None else _verdict(results)
    verdict = f"; congeniality {word}" if word else ""
    return block(
        title, f"{results.fits.formula}; n = {results.nobs}, m = {results.m} imputations{verdict}",
        coefficients(results, alpha, exponentiate),
        *_components_shown(results, alpha),
        notes([*reason, *results.notes, *_precision(results)]),
        folded("About this fit", facts(_facts(results).items())),
    )  # fmt: skip


def _components_shown(results: PooledEstimates, alpha: float) -> list[Markup]:
    """Return the table of variance components as HTML, for a model that has them."""
    if results.fits.spread is None:
        return []
    headers, names, rows = _component_cells(results, alpha)
    return [table(["", *headers], [[name, *row] for name, row in zip(names, rows, strict=True)], numbers=range(1, 6))]


def coefficients(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> Markup:
    """Return the table of coefficients alone, as HTML, its figures as printed."""
    rows = [[name, *row] for name, row in zip(_terms(results), _rows(results, alpha, exponentiate), strict=True)]
    return table(["", *_headers(results, alpha, exponentiate)], rows, numbers=range(1, 9))


def _terms(results: PooledEstimates) -> list[str]:
    """Return the names in the table of coefficients; variance components have a table of their own."""
    names = [str(name) for name in results.params.index]
    return names if results.fits.spread is None else names[: len(names) - results.fits.n_scale]


def _components(results: PooledEstimates, alpha: float, width: int) -> Any:
    """Return the table of variance components."""
    headers, names, rows = _component_cells(results, alpha)
    return coefficient_table(rows, headers, names, (max([width, *map(len, names)]), *_COMPONENT_WIDTHS))


def _component_cells(results: PooledEstimates, alpha: float) -> tuple[list[str], list[str], list[list[str]]]:
    """Return column heads, names and formatted cells of the variance components and R²."""
    spread = variance_components(results, alpha)
    frame = pd.concat([spread, mixed_rsquared(results, alpha)])
    rows = [
        ["" if np.isnan(row[name]) else _component_cell(name, float(row[name])) for name in FIGURES[:-1]]
        for _, row in frame.iterrows()
    ]
    headers = ["estimate", "std dev", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]", "FMI"]
    return headers, [str(name) for name in frame.index], rows


def _component_cell(name: str, value: float) -> str:
    """Return one figure of the variance components as printed."""
    return f"{value:.3f}" if name == "fmi" else _figure(value, 4 if name == "estimate" else 3)


def _span(fits: Fits) -> str:
    """Return the complete-data degrees of freedom, the fewest and the most where coefficients differ."""
    each = np.unique([] if fits.df_each is None else fits.df_each[: len(fits.names) - fits.n_scale])
    if len(each) < 2:
        return _number(fits.df_complete)
    return f"{_number(each[0])} to {_number(each[-1])}"


def _facts(results: PooledEstimates) -> dict[str, str]:
    """Return the labelled facts of the header, statsmodels' first."""
    fits = results.fits
    facts: Mapping[str, str] = {
        "Dep. Variable": fits.outcome,
        "Model": fits.label,
        **fits.facts,
        "Covariance Type": fits.cov_label,
        "No. Observations": f"{fits.n_obs:d}" if fits.n_obs else "not reported",
        "Df Complete Data": f"{_span(fits)} ({fits.df_source})",
        "Df Method": results.df_method,
        "Imputations (m)": f"{results.m:d}",
    }
    verdict = {} if results.congeniality is None else {"Congeniality": _verdict(results)[0]}
    return {**facts, **verdict, **results.header}


def _verdict(results: PooledEstimates) -> tuple[str, list[str]]:
    """Return the verdict for the header, which has room for one word, and its reason for the notes.

    What was declared needs no note.
    """
    said = str(results.congeniality)
    word, _, reason = said.partition(": ")
    if reason in ("", "as declared"):
        return said, []
    offered = _bootstrap(results) if word == "approximate" and hasattr(results.imputations, "bootstrap") else ""
    return word, [f"Congeniality: {said}", *([f"Variance that allows for it: {offered}"] if offered else [])]


def _bootstrap(results: PooledEstimates) -> str:
    """Return the call that repeats imputation and analysis on bootstrap samples."""
    words = results.call
    if words is None:
        return ""
    given = {word: value for word, value in {**words.init, **words.fit}.items() if value is not None}
    return call("imp.bootstrap", results.fits.formula, **{"model": words.model, **given})


def _rows(results: PooledEstimates, alpha: float, exponentiate: bool) -> list[list[str]]:
    """Return the formatted cells, one row a coefficient."""
    frame = tidy(results, alpha, exponentiate)[list(_DECIMALS)].iloc[: len(_terms(results))]
    known = None if results.settled is None else supported_digits(results, alpha, exponentiate)[list(_DECIMALS)]
    supported = np.full(frame.shape, 99) if known is None else known.to_numpy()[: len(frame)]
    return [
        [_cell(figure, value, int(most)) for figure, value, most in zip(frame.columns, row, places, strict=True)]
        for row, places in zip(frame.to_numpy(), supported, strict=True)
    ]


def _cell(figure: str, value: float, supported: int) -> str:
    """Return one figure as printed, with no more decimals than its Monte-Carlo error supports."""
    if figure == "df":
        return _number(value)
    digits = _DECIMALS[figure]
    if figure in ("p_value", "fmi"):
        return f"{value:.{max(min(digits, supported), 0)}f}"
    return _figure(value, digits, supported)


def _headers(results: PooledEstimates, alpha: float, exponentiate: bool) -> list[str]:
    """Return the column heads, the limits as statsmodels writes them."""
    head = coefficient_head(results, exponentiate)
    return [head, "std err", "t", "df", "P>|t|", f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]", "FMI"]


def _precision(results: PooledEstimates) -> list[str]:
    """Return what was asked of the Monte-Carlo error, and the p-values it leaves undecided."""
    if results.settled is None:
        return []
    open_ = undecided(results)
    about = f"Other imputations could bring the p-value of {', '.join(open_)} to the other side of 0.05."
    shown = "Figures are printed to the digits that their Monte-Carlo error supports."
    return [f"{results.settled.what}. {shown}", *([about] if open_ else [])]


def _notes(lines: Sequence[str], width: int) -> list[str]:
    """Return the notes, numbered and wrapped to the width of the tables."""
    wrapped = []
    for number, line in enumerate(lines, start=1):
        label = f"[{number}] "
        wrapped += textwrap.wrap(line, width, initial_indent=label, subsequent_indent=" " * len(label))
    return ["Notes:", *wrapped] if wrapped else []


def _figure(value: float, digits: int, supported: int = 99) -> str:
    """Return a figure with fixed digits, or in scientific notation when they would say nothing."""
    size = abs(value)
    if size == 0 or (10.0**-digits <= size < 1e4):
        return f"{value:.{max(min(digits, supported), 0)}f}"
    if not math.isfinite(value):
        return f"{value:g}"
    significant = supported + math.floor(math.log10(size)) + 1
    return f"{value:.{max(min(digits, significant), 1)}g}"


def _number(value: float) -> str:
    """Return degrees of freedom: one decimal while it matters, "inf" where the t is the normal."""
    if math.isinf(endless(value)):
        return "inf"
    if value < 0.1:
        return f"{value:.1g}"
    return (
        f"{value:.1f}" if value < 1000 and value != round(value) else f"{value:.0f}" if value < 1e6 else f"{value:.2g}"
    )

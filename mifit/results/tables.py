"""Tables for papers: tidy frames, ratios, HTML, LaTeX, Markdown, and the figures of a forest plot."""

from __future__ import annotations

import html
import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..display import harmless, latex, markdown
from ..errors import ModelError
from ..pooling.rubin import columns
from .estimates import PooledEstimates
from .fit_statistics import rsquared, rsquared_adj
from .hypotheses import positions_by_term

__all__ = [
    "coefficient_head",
    "endless",
    "forest",
    "maketables_coefficients",
    "maketables_stat",
    "ready_for_stargazer",
    "stargazer_data",
    "tidy",
    "to_text",
]

_HEADS = ("coef", "std err", "t", "df", "p", "lower", "upper", "FMI")

#: degrees of freedom from which a t is the normal to the last digit
_ENDLESS = 1e15

#: what the exponential of a coefficient is, by family and link
_RATIOS = {
    ("Binomial", "Logit"): "odds ratio",
    ("Binomial", "Log"): "risk ratio",
    ("Poisson", "Log"): "rate ratio",
    ("NegativeBinomial", "Log"): "rate ratio",
    ("Gamma", "Log"): "mean ratio",
    ("Gaussian", "Log"): "mean ratio",
}


def tidy(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> pd.DataFrame:
    """Everything about each coefficient; see :meth:`PooledResults.to_frame`."""
    if not isinstance(exponentiate, bool | np.bool_):
        raise ModelError(
            f"exponentiate is {exponentiate!r}; True or False is needed.", do="res.to_frame(exponentiate=True)"
        )
    frame = pd.DataFrame(columns(results.pooled, alpha), index=pd.Index(list(results.fits.names), name="term"))
    if exponentiate:
        rows = frame.index[_coefficients(results)]
        ends = ["estimate", "conf_low", "conf_high"]
        with np.errstate(over="ignore"):
            frame.loc[rows, ends] = np.exp(frame.loc[rows, ends])
            frame.loc[rows, "std_error"] *= frame.loc[rows, "estimate"]
    return frame


def forest(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> pd.DataFrame:
    """Figures of a forest plot; see :meth:`PooledResults.forest`."""
    frame = tidy(results, alpha, exponentiate).iloc[_coefficients(results, without="Intercept")]
    kept = frame[["estimate", "conf_low", "conf_high", "p_value"]].rename_axis("term").reset_index()
    kept["label"] = [
        f"{_cell(r.estimate, 2)} ({_cell(r.conf_low, 2)} to {_cell(r.conf_high, 2)})" for r in kept.itertuples()
    ]
    kept["reference"] = 1.0 if exponentiate else 0.0
    return kept.assign(position=np.arange(len(kept))[::-1])


def coefficient_head(results: PooledEstimates, exponentiate: bool) -> str:
    """Return the head of the column of estimates: what the exponential of a coefficient is in this model."""
    if not exponentiate:
        return "coef"
    facts = results.fits.facts
    if "Link Function" in facts:
        return _RATIOS.get((facts.get("Model Family", ""), facts["Link Function"]), "exp(coef)")
    return (results.call.spec.ratio if results.call is not None else "") or "exp(coef)"


def to_text(
    results: PooledEstimates, form: str, alpha: float = 0.05, exponentiate: bool = False, digits: int = 3
) -> str:
    """Return the table of coefficients in a markup.

    Parameters
    ----------
    results : PooledResults
    form : {"html", "latex", "markdown"}
    alpha : float, default 0.05
    exponentiate : bool, default False
    digits : int, default 3
        Decimals of estimates, standard errors and limits.

    Returns
    -------
    str
    """
    frame = tidy(results, alpha, exponentiate)
    frame["df"] = [endless(df) for df in frame["df"]]
    headings = ["", coefficient_head(results, exponentiate), *_HEADS[1:5], *_limits(alpha), "FMI"]
    figures = ["estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "fmi"]
    rows = [
        [
            str(name),
            *(_cell(*((endless(v), 1) if figure == "df" else (v, digits))) for figure, v in row[figures].items()),
        ]
        for name, row in frame.iterrows()
    ]
    note = f"{results.fits.label}, {results.fits.outcome}; n = {results.nobs}, m = {results.m} imputations"
    return {"html": _html, "latex": _latex, "markdown": _markdown}[form](headings, rows, note)


def maketables_coefficients(results: PooledEstimates) -> pd.DataFrame:
    """Return the coefficients under the names that the package maketables looks for."""
    frame = tidy(results)
    names = {"estimate": "b", "std_error": "se", "statistic": "t", "p_value": "p", "conf_low": "ci95l"}
    return frame.rename(index=harmless, columns={**names, "conf_high": "ci95u"}).rename_axis("Coefficient")


def maketables_stat(results: PooledEstimates, key: str) -> Any:
    """Return a figure of the whole model under the key that maketables asks for; None for one unknown."""
    if key in ("r2", "adj_r2"):
        return getattr(results, "rsquared" if key == "r2" else "rsquared_adj", None)
    known = {"N": results.nobs, "m": results.m, "se_type": results.fits.cov_label, "df_resid": results.dfcom}
    return known.get(key)


def ready_for_stargazer(kind: type) -> None:
    """Tell the package stargazer how to read pooled results, if it has been imported."""
    translators = sys.modules.get("stargazer.translators")
    if translators is not None:
        translators.register_class(kind, stargazer_data)


def stargazer_data(results: PooledEstimates) -> dict[str, Any]:
    """Return the figures of a model under the keys that the package stargazer asks for; None where there is none."""
    limits, scale = results.conf_int(), getattr(results, "scale", None)
    has_r2 = hasattr(results, "rsquared")
    absent = dict.fromkeys(("pseudo_r2", "f_statistic", "f_p_value", "degree_freedom"))
    params, bse, pvalues, lower, upper = (
        one.rename(harmless) for one in (results.params, results.bse, results.pvalues, limits[0], limits[1])
    )
    return {
        **absent,
        "dependent_variable": harmless(results.fits.outcome),
        "cov_names": params.index.to_numpy(),
        "cov_values": params,
        "cov_std_err": bse,
        "p_values": pvalues,
        "conf_int_low_values": lower,
        "conf_int_high_values": upper,
        "r2": rsquared(results) if has_r2 else None,
        "r2_adj": rsquared_adj(results) if has_r2 else None,
        "resid_std_err": math.sqrt(scale) if has_r2 and scale is not None else None,
        "degree_freedom_resid": results.dfcom,
        "nobs": results.nobs,
    }


def endless(df: float) -> float:
    """Return degrees of freedom, infinite where a t is the normal to the last digit.

    What rounding leaves between equal sets has 1e50 degrees of freedom by the formula.
    """
    return math.inf if df >= _ENDLESS else df


def _coefficients(results: PooledEstimates, without: str = "") -> list[int]:
    """Return the positions of the coefficients of terms: no thresholds, no variances, not one term if named."""
    if results.design is None:
        return [j for j, name in enumerate(results.fits.names) if name != without]
    terms = positions_by_term(results).items()
    return sorted(j for term, which in terms if term != without for j in which)


def _limits(alpha: float) -> list[str]:
    """Return the heads of the limits: ``[0.025`` and ``0.975]``."""
    return [f"[{alpha / 2:.4g}", f"{1 - alpha / 2:.4g}]"]


def _cell(value: float, digits: int) -> str:
    """Return a figure with fixed decimals, or in scientific notation where they would say nothing."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if math.isnan(value):
        return ""
    plain = value == 0 or 10.0**-digits / 2 <= abs(value) < 1e6
    return f"{value:.{digits}f}" if plain else f"{value:.{digits}g}"


def _html(headings: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a plain table."""
    top = "".join(f"<th>{html.escape(head)}</th>" for head in headings)
    body = "\n".join(
        f"<tr><th>{html.escape(row[0])}</th>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in rows
    )
    caption = f"<caption>{html.escape(note)}</caption>"
    return f'<table class="mifit">\n{caption}\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def _latex(headings: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a tabular with rules of the package booktabs."""

    def line(cells: Sequence[str]) -> str:
        # In braces: a bracket after a line break would be read as its length.
        return " & ".join("{" + latex(cell) + "}" for cell in cells) + r" \\"

    body = "\n".join(line(row) for row in rows)
    comment = "% " + latex(note)
    rules = (r"\toprule", line(headings), r"\midrule", body, r"\bottomrule")
    return "\n".join([comment, rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}", *rules, r"\end{tabular}"])


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a table of pipes."""
    escaped = [[markdown(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(3, *(len(row[j]) for row in escaped)) for j in range(len(headings))]
    lines = [
        "| " + " | ".join(c.ljust(w) if not j else c.rjust(w) for j, (c, w) in enumerate(zip(row, widths, strict=True)))
        + " |"
        for row in escaped
    ]  # fmt: skip
    rule = "|" + "|".join("-" * (w + 1) + ("-" if not j else ":") for j, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:], "", markdown(note)])

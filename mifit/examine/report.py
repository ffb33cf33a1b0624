"""The report: everything one must be able to say of an imputation and its analysis, on one page."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..display import Markup, bar, chip, facts, notes, table
from ..errors import PlanError
from ..files import path_of, target_of, write_text
from ..record.record import Record
from ..results.monte_carlo import undecided
from ..results.summary import coefficients
from .convergence import convergence
from .events import events_of, far_out
from .little import CAVEAT
from .methods_text import paragraph, versions
from .missingness import Missingness, in_html
from .model_check import CAVEAT as MODEL_CAVEAT
from .model_check import ModelCheck
from .page import Section, page, picture, scrolled, tiles
from .plots import Plots
from .values import value_table

__all__ = ["report"]

_CALL, _NAME = "imp.report({}, imp.fit())", "study.html"
_PANELS = 12  # of the picture of redrawn values
_FEW_ROWS = 10  # of the tables on missing values
_MANY_ROWS = 40  # rows of a table that are shown; the rest are counted


def report(
    record: Record,
    plots: Plots,
    check: Callable[..., pd.DataFrame],
    path: Any,
    results: Any = None,
    title: str = "Imputation report",
    also: Sequence[Any] = (),
    model: Callable[[], ModelCheck | None] = lambda: None,
) -> Path:
    """Write the report of an imputed set; see :meth:`mifit.ImputedSet.report`."""
    _refuse_target(path)
    record.require_own(results, f"report({str(path)!r}, res)")
    sections = [
        _missing(record, plots), *_predicted(record), _plan(record), _variables(record), _values(record),
        _convergence(record, plots), *_models(record, model()), _congeniality(record, plots, check, results),
        *_analysis(record, results), _assumption(record), *_also(also), _provenance(record), _methods(record, results),
    ]  # fmt: skip
    lead = "; ".join(record.written) or (results.fits.formula if results is not None else "no analysis declared")
    foot = f"Imputed set {record.identity}. Written by mifit {versions()['mifit']}."
    text = page(title, lead, [_headline(record, results)], sections, foot)
    return write_text(path, text, _CALL, _NAME)


def _refuse_target(path: Any) -> None:
    """Refuse what cannot be the file to write, before anything is computed."""
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise PlanError(f"the report needs the name of a file, not {path!r}.", do=_CALL.format(repr(_NAME)))
    text = path_of(path, _CALL, _NAME)
    if os.path.isdir(text):
        raise PlanError(f"{text!r} is a directory.", do=_CALL.format(repr(os.path.join(text, _NAME))))
    there, folder = target_of(text, _CALL, _NAME)[1], os.path.dirname(text)
    if there is None and folder and not os.path.isdir(folder):
        raise PlanError(f"there is no directory {folder!r}.", do=_CALL.format(repr(os.path.basename(text))))


def _headline(record: Record, results: Any) -> Markup:
    """The figures one asks for first."""
    n = record.table.n_rows
    shown: list[tuple[object, object]] = [
        (f"{n:,}", "observations"),
        (f"{100 * record.incomplete_rows / n:.0f} %", "of them incomplete"),
        (record.m, "completed data sets"),
    ]
    if results is not None:
        if results.congeniality is not None:
            shown.append((str(results.congeniality).partition(":")[0], "fit of imputations to analysis"))
        shown.append((f"{results.fmi.max():.2f}", "largest fraction of missing information"))
    return tiles(shown)


def _missing(record: Record, plots: Plots) -> Section:
    """What was missing."""
    parts: list[object] = [Markup(f"<p>{paragraph(record, None, 'html')[0][0]}</p>")]
    n = record.table.n_rows
    if record.filled:
        rows = [
            (v, record.table.given[v].kind.value, k, f"{100 * k / n:.1f} %", bar(k / n))
            for v, k in record.filled.items()
        ]
        head = ("column", "kind", "missing", "share", "")
        parts.append(scrolled(table(head, _most(rows), numbers=(2, 3))))
    kept_missing = {
        v: len(record.table.given[v].missing) for v in record.table.given.incomplete if v not in record.filled
    }
    if kept_missing:
        parts.append(f"Left with their missing values, and in no model: {_named(kept_missing)}.")
    rest = {v: len(record.table.given[v].missing) - k for v, k in record.filled.items()}
    if any(rest.values()):
        parts.append(f"Cells that stay missing: {_named({v: k for v, k in rest.items() if k})}.")
    if record.filled:
        caption = "Which columns are missing together: one line a pattern, with the number of rows that show it."
        parts.append(picture(plots.pattern, caption))
    return Section("What was missing", parts)


def _predicted(record: Record) -> list[Section]:
    """Who has missing values, and what goes with them."""
    if not record.filled:
        return []
    found = Missingness(record.table.given)
    parts: list[object] = []
    for heading, frame in found.parts():
        parts += [f"{heading}:", scrolled(in_html(frame.head(_FEW_ROWS)))]
        if len(frame) > _FEW_ROWS:
            parts.append(f"and {len(frame) - _FEW_ROWS} more; df.mice.missingness() has them all.")
    parts += [f"{found.little}.", CAVEAT]
    return [Section("Who has missing values?", parts)]


def _named(counts: dict[Hashable, int]) -> str:
    """Columns and their missing values."""
    return ", ".join(f"{name} ({k})" for name, k in counts.items())


def _most(rows: Sequence[Any]) -> list[Any]:
    """Rows, the first few; the last line counts the others."""
    if len(rows) <= _MANY_ROWS:
        return list(rows)
    return [*rows[:_MANY_ROWS], (f"and {len(rows) - _MANY_ROWS} more", *[""] * (len(rows[0]) - 1))]


def _plan(record: Record) -> Section:
    """What was decided."""
    if record.plan is None:
        return Section("The plan", [f"The sets were made elsewhere ({record.origin}); how is not known to mifit."])
    first, pairs = record.plan.told()
    return Section("The plan", [first[:1].upper() + first[1:], facts(pairs), notes(record.plan.events)])


def _variables(record: Record) -> Section:
    """How each column was drawn, and why so."""
    title = "How each variable was drawn, and why"
    if record.plan is None or not record.plan.order:
        return Section(title, ["Nothing was drawn here."])
    accepted = _accepted(record)
    head = ("column", "kind", "role", "method", "given", "drawn by", "why")
    rows = []
    for variable in (record.plan[name] for name in record.plan.order):
        how = variable.sampler if variable.name not in accepted else f"{variable.sampler} ({accepted[variable.name]})"
        given = ", ".join(variable.predictors) or "nothing else"
        cells = (variable.name, variable.kind.value, variable.role, chip(variable.label), given, how, variable.why)
        rows.append(cells)
    shown = scrolled(table(head, _most(rows), labelled=True), stacked=True)
    return Section(title, [shown, facts(record.plan.legend())])


def _values(record: Record) -> Section:
    """Observed beside imputed values, the worst column first."""
    title = "Are the imputed values possible?"
    found = value_table(record.completed)
    if not len(found):
        return Section(title, ["Nothing was imputed."])
    said = [f"{one}." for one in far_out(record)]
    said = said or ["No column was imputed far beyond its observed range."]
    cells = [
        ("" if value is None else _number(value) for value in row) for row in found.itertuples(index=False, name=None)
    ]
    head = [name.replace("_", " ") for name in found.columns]
    shown = scrolled(table(head, _most([tuple(row) for row in cells]), numbers=range(2, len(head))))
    return Section(title, [*said, "Of a level the mean is its share.", shown])


def _accepted(record: Record) -> dict[Hashable, str]:
    """Share of values that a visit drew anew, by column."""
    found = {}
    for name in dict.fromkeys(name for chain in record.chains for name in chain.sampled):
        drawn, _, stayed = np.sum([chain.sampled.get(name, (0, 0, 0)) for chain in record.chains], axis=0)
        found[name] = f"{100 * (drawn - stayed) / drawn:.3g} % drawn anew"
    return found


def _convergence(record: Record, plots: Plots) -> Section:
    """Whether the chains have settled."""
    if record.plan is None or not record.plan.order:
        return Section("Convergence", ["There are no chains to judge."])
    said = f"{record.m} independent chains of {record.iterations} iterations, each from its own start."
    judged = convergence(record.chains, record.plan, record.table.drawn)
    counts = [
        (chip(word), f"{count} of {len(judged)} traces") for word, count in judged["verdict"].value_counts().items()
    ]
    parts: list[object] = [said, facts(counts)]
    doubtful = judged[judged["verdict"].isin(["drifts"]) | judged["mixing"].isin(["slow"])]
    if len(doubtful):
        cells = [
            (name, *(_number(value) for value in row))
            for name, row in zip(doubtful.index, doubtful.to_numpy(), strict=True)
        ]
        parts += [
            "These have not settled; imp.extend(iterations=...) goes on:",
            scrolled(table(["trace", *doubtful.columns], _most(cells), numbers=range(1, 5))),
        ]
    caption = (
        "Mean and spread of what was drawn, and the coefficients of the analysis, over the iterations; a line a chain."
    )
    return Section("Convergence", [*parts, picture(plots.trace, caption, panels=True)])


def _models(record: Record, found: ModelCheck | None) -> list[Section]:
    """Whether the models could have produced the observed values."""
    if record.plan is None or not record.plan.order:
        return []
    title = "Do the models fit the observed values?"
    if found is None:
        return [Section(title, ["This was not looked at; imp.check_model() does, where it can."])]
    parts: list[object] = [f"{found.verdict[:1].upper()}{found.verdict[1:]}."]
    for heading, frame in found.parts():
        parts += [f"{heading}:", scrolled(in_html(frame.head(_FEW_ROWS)))]
    caption = (
        "Observed values against those that the models redraw for them, with intervals that hold 90 % of the latter."
    )
    parts += [notes(found.advice()), MODEL_CAVEAT]
    shown = list(found.columns.index[:_PANELS])
    parts += [picture(lambda: found.plot(columns=shown), caption, panels=True)] if shown else []
    return [Section(title, parts)]


def _congeniality(record: Record, plots: Plots, check: Callable[..., pd.DataFrame], results: Any) -> Section:
    """Whether the imputations were made for the analysis, term by term; observed beside imputed values."""
    title = "Do imputations and analysis agree?"
    if results is None or results.call is None:
        parts: list[object] = ["No result was handed over, so there is no analysis to compare with."]
    else:
        found = check(results.fits.formula, results.call.model, **{**results.call.init, **results.call.fit})
        cells = [(term, chip(row.verdict), row.imputed, row.reason) for term, row in found.iterrows()]
        words = dict.fromkeys(found["verdict"])
        head = ("term", "verdict", "imputed cells", "reason")
        parts = [str(results.congeniality) + ".", scrolled(table(head, _most(cells), (2,), True), True)]
        parts.append(facts((chip(word), _VERDICTS[word]) for word in words if word in _VERDICTS))
    if record.filled:
        parts.append(picture(plots.density, "Observed beside imputed values of each column.", panels=True))
    return Section(title, parts)


_VERDICTS = {
    "exact": "the analysis that the imputations were made for",
    "same mean": "the analysis that the imputations were made for; its error law was learned from the data",
    "implied": "nested in an analysis that they were made for",
    "approximate": "the draws rest on a working model of the analysis",
    "absent": "the imputations never saw it: its estimate is pulled towards what they assumed",
    "unknown": "the sets were made elsewhere",
}


def _analysis(record: Record, results: Any) -> list[Section]:
    """The pooled table, and how far it can be trusted."""
    if results is None:
        return [Section("The pooled analysis", ["No result was handed over: imp.report(path, imp.fit()) adds it."])]
    named = " of ".join(filter(None, [results.fits.label, results.fits.formula]))
    about = (
        f"{named}, fitted to each of the {results.m} completed data sets "
        f"({results.nobs} rows) and pooled by Rubin's rules. Intervals cover 95 %; each coefficient has its own "
        "degrees of freedom. FMI is the fraction of missing information: how much of the uncertainty is there because "
        "values are missing."
    )
    parts: list[object] = [about, scrolled(coefficients(results)), notes(results.notes)]
    if len(results.forest()):
        parts.append(picture(results.plot.forest, "Estimates with 95 % intervals."))
    return [Section("The pooled analysis", parts), _precision(results)]


def _precision(results: Any) -> Section:
    """Monte-Carlo errors and advice on m."""
    title = "Are there enough imputations?"
    needed, judged = results.recommend_m(), results.stability()
    verdict = f"{results.m} imputations were made; {needed} are needed for standard errors that another seed would"
    advice = "That is enough." if results.m >= needed else f"imp.extend(m={needed - results.m}) adds them."
    parts: list[object] = [f"{verdict} repeat to 5 % (von Hippel 2020). {advice}"]
    if results.m < 3:
        return Section(title, [*parts, "Monte-Carlo errors need at least 3 sets."])
    frame, errors = results.to_frame(), results.mc_error()
    pairs = [part[figure] for figure in ("estimate", "std_error", "p_value") for part in (frame, errors)]
    rows = [
        (name, *map(_number, cells[:4]), *map(_probability, cells[4:]))
        for name, *cells in zip(frame.index, *pairs, strict=True)
    ]
    head = ("", "coef", "± MC error", "std err", "± MC error", "P>|t|", "± MC error")
    parts.append(scrolled(table(head, rows, numbers=range(1, 7))))
    open_ = undecided(results)
    if open_:
        parts.append(f"Another seed could bring the p-value of {', '.join(open_)} to the other side of 0.05.")
    else:
        parts.append("No p-value is so near 0.05 that another seed would bring it to the other side.")
    if judged.what and results.settled is not None:
        parts.append(f"{judged.what}.")
    return Section(title, parts)


def _number(value: Any) -> str:
    """A figure as a reader wants it: three significant digits behind leading zeros."""
    if not isinstance(value, float):
        return str(value)
    if np.isnan(value):
        return ""
    return f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def _probability(value: float) -> str:
    """A p-value, or its Monte-Carlo error, with four decimals."""
    return "" if np.isnan(value) else f"{value:.4f}" if value >= 5e-5 else "<0.0001"


def _assumption(record: Record) -> Section:
    """What the whole rests on."""
    said = (
        "All of this assumes that values are missing at random: given what was observed, whether a value is missing "
        "does not depend on the value itself. The data cannot say whether that is so. How far the estimates would move "
        "if it were not is no part of this page; where it is in doubt, an analysis under other assumptions belongs "
        "beside it."
    )
    return Section("Sensitivity", [said])


def _also(also: Sequence[Any]) -> list[Section]:
    """What the user wants on the page besides: anything that a notebook can show."""
    parts: list[object] = []
    for one in also:
        shown = getattr(one, "_repr_html_", None)
        parts.append(Markup(f'<div class="scroll">{shown()}</div>') if callable(shown) else str(one))
    return [Section("Further", parts)] if parts else []


def _provenance(record: Record) -> Section:
    """Software, seed, identity: what it takes to make the same again."""
    found = versions()
    pairs = [("imputed set", record.identity), ("seed", record.seed_text or "made elsewhere")]
    pairs += [("iterations", str(record.iterations)), ("software", ", ".join(f"{k} {v}" for k, v in found.items()))]
    incidents = events_of(record)[events_of(record)["source"] == "chain"]
    told = [f"{one.event} (in {one.chains} of {record.m} chains)" for one in incidents.itertuples()]
    parts: list[object] = [
        "The same data, calls, seed and versions give the same bits.",
        facts(pairs),
        *(["What happened while the chains ran:", notes(told[:_MANY_ROWS])] if told else []),
    ]
    return Section("Software and seed", parts)


def _methods(record: Record, results: Any) -> Section:
    """The paragraph to copy."""
    sentences, cited = paragraph(record, results, "html")
    items = "".join(f"<li>{_linked(one)}.</li>" for one in cited)
    return Section(
        "Methods paragraph", [Markup(f'<div class="paper"><p>{" ".join(sentences)}</p><ol>{items}</ol></div>')]
    )


def _linked(citation: str) -> str:
    """A citation with its doi as a link; nothing is loaded from there."""
    return re.sub(r"doi:(10\.\S+)", r'<a href="https://doi.org/\1">doi:\1</a>', html.escape(citation))

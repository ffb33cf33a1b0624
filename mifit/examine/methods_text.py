"""The methods paragraph: what a journal wants to read about an imputation, with its references."""

from __future__ import annotations

import html
import platform
import textwrap
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..analysis.models import MODELS
from ..display import latex
from ..errors import PlanError, nearest
from ..formula.model_facts import model_facts
from ..imputation.contract import facts_of
from ..imputation.plan.error_law import ErrorLaw
from ..imputation.plan.plan import Factor, Variable
from ..imputation.plan.working_law import DECLARED, WorkingLaw
from ..record.record import Record
from .events import events_of
from .references import KNOWN, Numbered, software

__all__ = ["citation", "methods_text", "paragraph", "versions"]

_MANY_COLUMNS = 8  # incomplete columns from which they are summed up


@dataclass(frozen=True, slots=True)
class _Style:
    """How one medium writes names from the data, shares and equations."""

    name: Callable[[object], str]
    share: Callable[[float], str]
    equal: Callable[[str, object], str]
    escape: Callable[[str], str]


_STYLES = {
    "plain": _Style(str, lambda share: f"{100 * share:.1f}%", lambda name, value: f"{name} = {value}", str),
    "latex": _Style(
        lambda text: rf"\texttt{{{latex(text)}}}", lambda share: rf"{100 * share:.1f}\%",
        lambda name, value: f"${name} = {value}$", latex,
    ),
    "html": _Style(
        lambda text: f"<code>{html.escape(str(text))}</code>", lambda share: f"{100 * share:.1f}&#8239;%",
        lambda name, value: f"<i>{name}</i>&nbsp;=&nbsp;{value}", html.escape,
    ),
}  # fmt: skip


def methods_text(record: Record, results: Any = None, style: str = "plain") -> str:
    """Write the methods paragraph and its numbered references; see :meth:`mifit.ImputedSet.methods_text`."""
    if style not in ("plain", "latex"):
        raise PlanError(
            f"style is {style!r}{nearest(style, ('plain', 'latex'))}.", known="plain, latex",
            do='imp.methods_text(style="plain")',
        )  # fmt: skip
    record.require_own(results, "methods_text(res)")
    sentences, cited = paragraph(record, results, style)
    if style == "latex":
        items = "\n".join(rf"\item {latex(one)}." for one in cited)
        return f"{' '.join(sentences)}\n\n\\begin{{enumerate}}\n{items}\n\\end{{enumerate}}"
    body = textwrap.fill(" ".join(sentences), 100, break_long_words=False, break_on_hyphens=False)
    return "\n".join([body, "", "References", *_listed(cited)])


def citation(record: Record) -> str:
    """Return what to cite: the software, then the methods that were used; see :meth:`mifit.ImputedSet.citation`."""
    cited = paragraph(record, None, "plain")[1]
    own = software(versions()["mifit"])
    needed = [own, *(one for one in cited if one not in (own, KNOWN["mar"]))]
    return "\n".join(["Please cite the software and the methods that were used:", "", *_listed(needed)])


def _listed(citations: Sequence[str]) -> list[str]:
    """Numbered citations, wrapped under their numbers."""
    lines = []
    for number, one in enumerate(citations, start=1):
        label = f"[{number}] "
        lines += textwrap.wrap(
            one + ".", 100, initial_indent=label, subsequent_indent=" " * len(label),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines


def versions() -> dict[str, str]:
    """Return the versions of everything that computed: package -> version."""
    found = {"Python": platform.python_version()}
    for package in ("mifit", "statsmodels", "numpy", "pandas", "scipy", "patsy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # run from a source tree that was never installed
            found[package] = "0+unknown"
    return found


def paragraph(record: Record, results: Any, style: str) -> tuple[list[str], list[str]]:
    """Return the sentences of the paragraph and the citations they number.

    Parameters
    ----------
    record : Record
    results : PooledResults or None
    style : {"plain", "latex", "html"}

    Returns
    -------
    sentences : list of str
        In the markup of the style.
    citations : list of str
        In plain text, the first is [1].
    """
    cite, write = Numbered(), _STYLES[style]
    parts = [_missing(record, write)]
    if record.filled:
        parts += [
            _at_random(cite),
            *_imputing(record, write, cite),
            *_models(record, write, cite),
            *_rest(record, write),
        ]
        parts += _incidents(record, cite)
    parts += [*_pooling(record, results, write, cite), _software(record, write, cite)]
    return [one for one in parts if one], cite.citations


def _and(words: Iterable[str]) -> str:
    """Words as a reader lists them: a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _counted(many: int, noun: str, plural: str = "") -> str:
    """A number and its noun."""
    return f"{many:,} {noun if many == 1 else plural or noun + 's'}"


def _missing(record: Record, write: _Style) -> str:
    """What was missing, and how much of it."""
    n, filled, short = record.table.n_rows, record.filled, record.incomplete_rows
    if not filled:
        return f"No value was missing in {_counted(n, 'observation')}."
    if len(filled) == 1:
        name, k = next(iter(filled.items()))
        return f"{write.name(name)} was missing in {k:,} of {_counted(n, 'observation')} ({write.share(k / n)})."
    verb = "was" if short == 1 else "were"
    start = f"Of {_counted(n, 'observation')}, {short:,} ({write.share(short / n)}) {verb} incomplete"
    if len(filled) > _MANY_COLUMNS:
        least, most = min(filled, key=lambda v: filled[v]), max(filled, key=lambda v: filled[v])
        ranged = f"from {write.share(filled[least] / n)} ({write.name(least)}) to {write.share(filled[most] / n)}"
        return f"{start}; the share missing in {len(filled)} variables ranged {ranged} ({write.name(most)})."
    first, *others = ((write.name(v), f"{k:,} ({write.share(k / n)})") for v, k in filled.items())
    return f"{start}: {_and([f'{first[0]} was missing in {first[1]}', *(f'{v} in {k}' for v, k in others)])}."


def _at_random(cite: Numbered) -> str:
    """The assumption."""
    return (
        "Values were assumed to be missing at random: given what was observed, whether a value is missing does not "
        f"depend on the value itself{cite('mar')}."
    )


def _imputing(record: Record, write: _Style, cite: Numbered) -> list[str]:
    """How often, by which principle, and for which analysis."""
    times, plan = f"imputed {record.m} times ({write.equal('m', record.m)}){cite('rubin')}", record.plan
    if plan is None:
        return [f"Missing values had been {times} before this analysis ({write.escape(record.origin)})."]
    questions = zip(record.written, plan.questions, strict=True)
    named = (
        _and(f"a {_model(q.model, q.keywords)} of {write.name(one)}" for one, q in questions) if plan.questions else ""
    )
    verb = "analysis was" if len(plan.questions) == 1 else "analyses were"
    said = [f"The {verb} {named.replace('a ordinal', 'an ordinal')}."] if named else []
    if plan.mode == "compatible":
        fed = any(plan[name].role == "covariate" for name in plan.order)
        how = "each covariate was drawn from its distribution given the other covariates, weighted by the likelihood of"
        how = f"{how} the outcome in the analysis model, so that imputations and analysis are congenial"
        tail = f": {how}." if fed else ", here from the analysis model itself."
        tail += _weights(record)
        principle = f"by fully conditional specification compatible with the analysis{cite('compatible')}"
        return [*said, f"Missing values were {times} {principle}{tail}", _chains(record)]
    principle = f"by chained equations{cite('chained')}"
    if plan.mode == "terms":
        among = f"with the terms of the analysis among the predictors{cite('chained practice')}"
        tail = f"{among}, which agrees with it approximately"
    else:
        tail = "with main effects as predictors; these models were not derived from an analysis"
    return [*said, f"Missing values were {times} {principle} {tail}.", _chains(record)]


def _weights(record: Record) -> str:
    """What became of sampling weights."""
    found = {factor.weighting for factor in record.plan.factors} if record.plan is not None else set()
    if not found & {"predictor", "auxiliary", "none"}:
        return ""
    among = "; they were among the predictors" if "predictor" in found else ""
    among = "; they were an auxiliary variable" if "auxiliary" in found else among
    return f" The sampling weights of the analysis did not enter this likelihood{among}."


def _chains(record: Record) -> str:
    """How long the chains ran."""
    return (
        f"Each completed data set came from a separate chain of {_counted(record.iterations, 'iteration')}."
        if record.iterations
        else ""
    )


def _model(name: str, keywords: Any = None) -> str:
    """The name of an analysis model in a journal."""
    family, entry = (keywords or {}).get("family"), MODELS.get(name)
    called = (entry.called if entry is not None else "") or f"{name} model"
    if model_facts(name).by_family and family is not None:
        return f"{called} ({type(family).__name__}, link {type(family.link).__name__})"
    return called


def _models(record: Record, write: _Style, cite: Numbered) -> list[str]:
    """The model of each variable, those of one kind together."""
    if record.plan is None:
        return []
    plan = record.plan
    drawn = [v for v in map(plan.__getitem__, plan.order) if v.method is not None]
    outcomes = [v for v in drawn if v.role == "outcome"]
    own = [v for v in drawn if v.role != "outcome"]
    groups = {label: [v for v in own if _called(v) == label] for label in dict.fromkeys(map(_called, own))}
    said = []
    if groups:
        each = _and(
            f"{write.escape(label)}{cite(*_sources(group))} for {_and(write.name(v.name) for v in group)}"
            for label, group in groups.items()
        )
        said.append(f"The imputation {'model was' if len(groups) == 1 else 'models were'} {each}.")
    if outcomes:
        names = _and(write.name(v.name) for v in outcomes)
        said.append(
            f"Missing values of the {'outcome' if len(outcomes) == 1 else 'outcomes'} {names} were drawn from the "
            "analysis model, its parameters from their posterior distribution."
        )
    return [*said, *(_law(factor, record, write, cite) for factor in plan.factors if _differs(factor))]


def _differs(factor: Factor) -> bool:
    """Whether an analysis is drawn from another law than its own."""
    return factor.question is not None and factor.law is not None and factor.law.form != DECLARED


def _law(factor: Factor, record: Record, write: _Style, cite: Numbered) -> str:
    """The law that the outcome of an analysis is drawn from, where it is not the declared one."""
    return (_learned if isinstance(factor.law, ErrorLaw) else _worked)(factor, record, write, cite)


def _learned(factor: Factor, record: Record, write: _Style, cite: Numbered) -> str:
    """How the errors of an analysis were drawn that are not normal."""
    assert record.plan is not None and isinstance(factor.law, ErrorLaw) and factor.question is not None
    outcome = write.name(record.plan.questions[factor.question].terms.outcome)
    spread_clause = ", with a spread that depends on the predictors" if factor.law.heteroscedastic else ""
    return (
        f"The residuals of {outcome} were taken to follow a mixture of {factor.law.components} normal distributions "
        f"around the mean of the analysis{cite(*_sources([factor]))}{spread_clause}, re-estimated in every iteration."
    )


def _worked(factor: Factor, record: Record, write: _Style, cite: Numbered) -> str:
    """How an outcome of counts, shares or two values was drawn that is not as declared."""
    assert record.plan is not None and isinstance(factor.law, WorkingLaw) and factor.question is not None
    outcome = write.name(record.plan.questions[factor.question].terms.outcome)
    called = facts_of(factor.method).called or "binomial regression with a dispersion learned from the data"
    mean = "the mean of the analysis" if factor.law.learned else "the terms of the analysis"
    why = f" ({write.escape(factor.law.fact)})" if factor.law.learned else ""
    return (
        f"The likelihood of {outcome} in these draws was that of {_article(called)} {called}"
        f"{cite(*_sources([factor]))} with {mean}, its parameters re-estimated in every iteration{why}."
    )


def _article(noun: str) -> str:
    """The indefinite article of a noun."""
    return "an" if noun[0] in "aeiou" else "a"


def _called(variable: Variable) -> str:
    """What the method of a variable is called in a journal."""
    donors = getattr(variable.method, "donors", None)
    extra = f" with {_counted(donors, 'donor')}" if isinstance(donors, int) and facts_of(variable.method).donors else ""
    if getattr(variable.method, "heteroscedastic", False):
        extra += " with a residual spread that may change with the mean"
    return (facts_of(variable.method).called or f"the method {variable.label}") + extra


def _sources(group: Sequence[Variable | Factor]) -> list[str]:
    """Citations of the methods of some variables; none where the user's own method has none."""
    texts = [str(getattr(one.method, "reference", "") or "") for one in group]
    return list(dict.fromkeys(line.strip() for text in texts for line in text.split("\n") if line.strip()))


def _rest(record: Record, write: _Style) -> list[str]:
    """Auxiliaries, derived columns, ids, and columns that were left."""
    if record.plan is None:
        return []
    plan, said = record.plan, []
    beside: list[Hashable] = [factor.variable for factor in plan.factors if factor.role == "auxiliary"]
    if beside:
        is_one, names = len(beside) == 1, _and(write.name(v) for v in beside)
        said.append(
            f"{names} {'is' if is_one else 'are'} not part of the analysis and served as "
            f"{'an auxiliary variable' if is_one else 'auxiliary variables'}, modelled given its outcome and terms."
        )
    for name, code in plan.options.derived.items():
        said.append(f"{write.name(name)} was not imputed but computed as {write.name(code)} in every data set.")
    for variable in (v for v in plan.variables if v.bounds is not None):
        said.append(_where(variable, write))
    if any(v.together for v in plan.variables):
        said.append(
            f"Values that are constant within {write.name(plan.options.id)} were imputed once for all its rows."
        )
    return said


def _where(variable: Variable, write: _Style) -> str:
    """What was known of where the values of a column lie."""
    known, name = variable.bounds, write.name(variable.name)
    if known is None or known.always:
        return f"{name} was truncated ({write.name(str(known))}), and so were its imputations."
    cut = "" if known.cut is None else ", as the whole distribution was truncated"
    return f"{name} was censored ({write.name(str(known))}): its imputations were drawn within these bounds{cut}."


def _incidents(record: Record, cite: Numbered) -> list[str]:
    """What a referee would ask about the chains."""
    told = events_of(record)["event"].astype(str)
    if not told.str.contains("augmented with").any():
        return []
    return [
        "Where a categorical variable was perfectly predicted, its model was fitted to data augmented with a few "
        f"observations of small weight{cite('separation')}."
    ]


def _pooling(record: Record, results: Any, write: _Style, cite: Numbered) -> list[str]:
    """How the sets were analysed and combined; figures where there is a result."""
    if results is None and not record.filled:
        return []
    if results is None:
        combined = f"Estimates are combined over the completed data sets by Rubin's rules{cite('rubin')}"
        return [f"{combined}, with the degrees of freedom of Barnard and Rubin{cite('barnard-rubin')}."]
    label = results.fits.cov_label
    robust = "" if label == "nonrobust" else f" with {write.escape(label)} standard errors"
    df = f", with the degrees of freedom of Barnard and Rubin{cite('barnard-rubin')}"
    rules = f"by Rubin's rules{cite('rubin')}{df if results.df_method == 'barnard-rubin' else ''}"
    if results.call is None:
        said = [f"Fits made elsewhere ({write.escape(results.fits.label)}) were combined {rules}."]
    else:
        analysis = f"{_model(results.call.model, results.call.init)} of {write.name(results.fits.formula)}{robust}"
        said = [f"The {analysis} was fitted to each completed data set, and the estimates were combined {rules}."]
    if not record.filled:
        return said
    return [*said, _agreement(results, write), _information(results, write), _enough(results, write, cite)]


def _agreement(results: Any, write: _Style) -> str:
    """Whether the imputations were made for the analysis."""
    word, _, reason = str(results.congeniality or "").partition(": ")
    told = {
        "exact": "The imputations were made for this analysis.",
        "same mean": "The imputations were made for this analysis; the law of its errors was learned from the data.",
        "implied": "This analysis is nested in the one that the imputations were made for.",
        "approximate": f"Imputations and analysis agree approximately ({write.escape(reason)}).",
        "absent": f"The imputations were not made for this analysis ({write.escape(reason)}): it may be biased.",
    }
    return told.get(word, "")


def _information(results: Any, write: _Style) -> str:
    """The fractions of missing information."""
    fmi = results.fmi
    least, most = fmi.idxmin(), fmi.idxmax()
    if len(fmi) == 1 or least == most:
        return f"The fraction of missing information was {fmi.iloc[0]:.2f}."
    return (
        f"The fraction of missing information ranged from {fmi[least]:.2f} ({write.name(least)}) to "
        f"{fmi[most]:.2f} ({write.name(most)})."
    )


def _enough(results: Any, write: _Style, cite: Numbered) -> str:
    """Whether m is large enough for standard errors that others can reproduce."""
    needed = results.recommend_m()
    rule = f"For standard errors that vary by no more than {write.share(0.05).replace('5.0', '5')} between repetitions"
    verdict = f"{_counted(needed, 'imputation')} {'is' if needed == 1 else 'are'} needed{cite('how many')}"
    return f"{rule}, {verdict}; {'' if results.m >= needed else 'only '}{results.m} were made."


def _software(record: Record, write: _Style, cite: Numbered) -> str:
    """Programs, versions, seed."""
    found = versions()
    own = f"mifit {write.escape(found['mifit'])}{cite(software(found['mifit']))}"
    others = ", ".join(f"{name} {write.escape(found[name])}" for name in ("numpy", "pandas", "scipy"))
    models = f"statsmodels {write.escape(found['statsmodels'])}{cite('statsmodels')}"
    seed = f", random seed {record.seed_text}" if record.seed_text else ""
    return f"Computations were done with {own} and {models} in Python {found['Python']} ({others}){seed}."

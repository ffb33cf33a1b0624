"""Options about rows and cells become part of a plan: bounds, conditions, rows and weights of the fits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...calls import Code, left_alone
from ...errors import PlanError, call, listed
from ...formula.column_code import among, repeated, rows_where
from ...formula.condition import condition
from ...formula.question import Question
from ...formula.terms import take_apart
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Method, facts_of
from ..methods import METHODS
from .censored_choice import normal_or_power_censored
from .count_choice import count_model
from .derived_constraints import relations
from .draft import Draft
from .read_bounds import gap, named_ends, understood
from .usable_columns import suiting

__all__ = [
    "apply_restrictions",
    "beyond_donors",
    "censored_model",
    "check_weights",
    "count_or_not",
    "cut_of",
    "donors_within",
    "many_levels",
    "refuse_without_donors",
    "tied",
]

#: why a column whose missing values lie beyond the observed ones is normal
CENSORED = "the observed values are a part of all: their shape does not tell"
_IMPUTE = "df.mice.impute"
_LIE = ("bounds", "censored", "truncated")  # words that say where values lie

_ITEM = 12  # values up to which whole numbers look like those of an item


def apply_restrictions(draft: Draft) -> None:
    """Check what is known of cells and rows, and enter it in the draft.

    Raises
    ------
    PlanError
        If an option names what is not there, or cannot be met in this kind of plan.
    """
    _skips(draft)
    _where_values_lie(draft)
    _relate(draft)
    _ignore(draft)


def _where_values_lie(draft: Draft) -> None:
    """What ``bounds=``, ``censored=`` and ``truncated=`` say; what else the columns that they name are good for."""
    options = draft.options
    for name in dict.fromkeys([*options.bounds, *options.censored, *options.truncated]):
        if name in options.derived:
            _refuse_words_of_derived(draft, name)
            continue
        skip = draft.skips.get(name)
        values = {v: draft.table[v].values for v in draft.table.columns}
        found = understood(name, options, draft.table, None if skip is None else skip.inside(draft.table, values))
        if not draft.n_missing(name):
            draft.events.append(f"bounds of {name!r}: it has no missing values")
            continue
        if options.methods.get(name) == "leave":
            words = {word: {name: None} for word in _LIE}
            raise PlanError(f"{name!r} is left alone and takes no bounds.", do=call(_IMPUTE, **words))
        if not found.always:
            draft.events.append(f"{name!r} is censored: bounds of its missing values, observed ones lie anywhere")
        draft.bounds[name] = found
        for end in named_ends(options, name):
            _set_aside_end(draft, name, end)


def _refuse_words_of_derived(draft: Draft, name: Hashable) -> None:
    """A derived column is bounded by ``bounds=``; it has no missing values and no distribution of its own."""
    for word in ("censored", "truncated"):
        option = getattr(draft.options, word)
        if name in option:
            do = call(_IMPUTE, **{word: {name: None}}, bounds={name: option[name]})
            raise PlanError(f"{name!r} is derived: {word}= is said of columns that are drawn.", do=do)


def _relate(draft: Draft) -> None:
    """What derived columns say of those that are drawn: their bounds, and observed values to be kept."""
    order = draft.ordered([n for n in draft.table.columns if draft.n_missing(n) and n not in draft.excluded])
    draft.relations = relations(draft.derived, draft.table, order, draft.options, draft.skips)
    for name, many in draft.relations.loose.items():
        fact = f"{name!r}: {many} observed values do not determine what is missing of its parents"
        draft.events.append(f"{fact}: drawn without them, then solved for where one value agrees (approximate)")
    for name in dict.fromkeys(tie.one.name for tie in draft.relations.ties):
        ties = [tie for tie in draft.relations.ties if tie.one.name == name]
        free, pivots = ({repr(tie[k]): None for tie in ties} for k in (1, 2))
        rows = len(np.unique(np.concatenate([tie.rows for tie in ties])))
        kept = f"{name!r}: {rows} observed values are kept: {', '.join(free)} drawn given them"
        draft.events.append(f"{kept}, {' or '.join(pivots)} solved for")
    _say_range(draft)
    for held in (held for held in draft.relations.held if not held.always):
        rows = int(np.isfinite(held.low).sum())
        draft.events.append(f"{held.one.name!r}: {rows} observed values are kept: draws of other ones are refused")


def _say_range(draft: Draft) -> None:
    """Items of a total are drawn as whole numbers without an end: say so, with the call that keeps their range."""
    ranges = {}
    tied_names = {n for tie in draft.relations.ties for n in (tie.free, tie.pivot)}
    for name in (n for n in draft.table.columns if n in tied_names):
        column = draft.table[name]
        known = np.unique(column.numbers(column.values[column.observed]))
        whole = np.array_equal(known, np.rint(known)) and len(known) <= _ITEM
        if whole and name not in draft.options.bounds and name not in draft.options.methods:
            ranges[name] = (int(known[0]), int(known[-1]))
    if ranges:
        names = ", ".join(map(repr, ranges))
        fact = f"{names}: drawn given their total, not within the range that was observed; with it: "
        draft.events.append(call(_IMPUTE, bounds=ranges).after(fact))


def tied(draft: Draft, name: Hashable) -> bool:
    """Whether missing values of a column move with others, and need a density for it."""
    return len(draft.relations.tied(name)) > 0


def _set_aside_end(draft: Draft, name: Hashable, end: Hashable) -> None:
    """A column that says where missing values of another lie is no predictor, unless it is asked for."""
    options, column = draft.options, draft.table[end]
    named: set[Hashable] = set()
    for option in options.predictors.values():
        named |= {*(take_apart(option, draft.table.columns).variables if isinstance(option, str) else option)}
    baseline = options.auxiliary["baseline"] if isinstance(options.auxiliary, Mapping) else ()
    methods = [one for one, method in options.methods.items() if method != "leave"]
    drawn = {*methods, *options.bounds, *options.censored, *options.truncated, *(options.order or ())}
    if end in {*draft.in_analysis, *named, *baseline, *drawn}:
        if len(column.missing):
            low = options.censored[name][0]
            raise PlanError(
                f"{end!r} bounds {name!r} and has {len(column.missing)} missing values itself, "
                "which are to be imputed.",
                do=gap(name, end, end == low, "censored", options, draft.table),
            )
        return
    draft.excluded.setdefault(end, f"says where missing values of {name!r} lie")
    both = len(np.intersect1d(column.missing, draft.table[name].missing))
    if both:
        draft.events.append(f"{end!r} is missing in {both} rows where {name!r} is: it bounds nothing there")


def _skips(draft: Draft) -> None:
    """Conditions that this kind of plan can meet."""
    for name, skip in draft.skips.items():
        code = skip.condition.code
        incomplete = [v for v in skip.condition.variables if draft.n_missing(v)]
        excluded = [v for v in incomplete if v in draft.excluded]
        if excluded:
            raise PlanError(
                f"the condition of {name!r} looks at {excluded[0]!r}, which keeps its missing values.",
                condition=code,
                do=call(_IMPUTE, methods={excluded[0]: None}).then(f"  # {excluded[0]!r} not left alone"),
            )
        if skip.value is None and name in draft.in_analysis:
            raise PlanError(
                f"the analysis needs {name!r}, which has no value where its condition does not hold.",
                condition=code,
                do=call(_IMPUTE, conditional={name: (code, 0)}).then("  # its value there"),
            )
        if skip.value is None:
            inner = [n for n in draft.skips if n != name and not draft.uninformative(name, n)]
            told = f"it predicts {listed(map(repr, inner))} alone" if inner else "it predicts no other column"
            draft.events.append(f"{name!r} has no value where {code} does not hold: {told}")
        if incomplete and draft.mode == "compatible" and draft.n_missing(name):
            raise PlanError(
                f"the condition of {name!r} looks at {incomplete[0]!r}, which has missing values: "
                "chained equations draw both.",
                condition=code,
                do=call(_IMPUTE, congeniality="terms"),
            )


def _ignore(draft: Draft) -> None:
    """Rows that no model is fitted on."""
    option = draft.options.ignore
    if option is None:
        return
    if isinstance(option, str):
        found = condition(option, draft.table, draft.scope, "ignore=")
        incomplete = [v for v in found.variables if draft.n_missing(v)]
        if incomplete:
            raise PlanError(
                f"ignore= looks at {incomplete[0]!r}, which has {draft.n_missing(incomplete[0])} missing values.",
                do=call(_IMPUTE, ignore=Code(rows_where(found.code, draft.table.columns, True))).then(
                    "  # where it is not known, the row is not ignored"
                ),
            )
        marked = found.holds(draft.table, {v: draft.table[v].values for v in found.variables})
        draft.ignored = found
    else:
        marked, draft.ignored = option.marked, option
    kept = np.flatnonzero(~marked)
    for name in draft.table.incomplete:
        seen = len(np.setdiff1d(kept, draft.table[name].missing))
        if name not in draft.excluded and seen < 2:
            raise PlanError(
                f"without the rows of ignore=, {name!r} has {seen} observed values to learn from.",
                do=call(_IMPUTE, **left_alone(name)),
            )
    draft.events.append(f"{int(marked.sum())} of {len(marked)} rows are imputed, and no model is fitted on them")


def check_weights(draft: Draft) -> None:
    """Weights of the imputation models: complete, positive, and taken by every method."""
    option = draft.options.weights
    if option is None:
        return
    frequency = isinstance(option, Mapping)
    if frequency and list(option) != ["frequency"]:
        raise PlanError(
            f"weights= names a column, or {{'frequency': column}}, not {option!r}.",
            do=call(_IMPUTE, weights=Code(repr({"frequency": next(iter(option.values()), "n")}))),
        )
    name = option["frequency"] if frequency else option
    if not isinstance(name, Hashable):
        raise PlanError("weights= names a column.", do=call(_IMPUTE, weights="w").then("  # df['w'] the weights"))
    column = draft.table.require(name, "weights=")
    if draft.mode == "compatible":
        formula = draft.questions[0].formula
        cure = _weighted(draft.questions[0], name, frequency)
        raise PlanError(
            "in compatible draws the analysis has weights, not the imputation models.",
            analysis=formula,
            do=call(_IMPUTE, **cure),
        )
    values = column.numbers(column.values) if column.number and not len(column.missing) else None
    whole = "whole numbers above 0" if frequency else "numbers above 0"
    if values is None or not np.all(values > 0) or (frequency and np.any(values != np.rint(values))):
        what = f"has {len(column.missing)} missing values" if len(column.missing) else "has others"
        raise PlanError(
            f"weights are {whole} in every row; {name!r} {what}.", do=among(f"df[{name!r}] > 0", "a weight above 0")
        )
    for variable in (draft.variables[n] for n in draft.order):
        many = int(np.sum(values[draft.table[variable.name].missing] != 1))
        if frequency and many:
            raise PlanError(
                f"{variable.name!r} is missing in {many} rows that stand for several: "
                "each has a missing value of its own.",
                do=f"{repeated(name)}.reset_index(drop=True)",
            )
        penalty = getattr(variable.method, "firth", False) or getattr(variable.method, "rescue", "") == "firth"
        if not frequency and penalty:
            raise PlanError(
                f"Firth's penalty of {variable.name!r} takes no weights.",
                do=call(_IMPUTE, methods={variable.name: variable.label}),
            )
        if not frequency and not facts_of(variable.method).weighted:
            suits = [m for m in suiting(draft.table[variable.name], False) if facts_of(METHODS[m]).weighted]
            raise PlanError(
                f"method {variable.label!r} of {variable.name!r} takes no weights.",
                suits=", ".join(suits),
                do=call(_IMPUTE, methods={variable.name: (suits or ["leave"])[0]}),
            )
    draft.events.append(f"imputation models are fitted with the {'frequencies' if frequency else 'weights'} {name!r}")


def _weighted(question: Question, name: Hashable, frequency: bool) -> dict[str, Any]:
    """Words with which an analysis has the weights of the imputation models, or by which these keep them."""
    word = "freq_weights" if frequency else "var_weights"
    if any(question.keywords.get(one) is not None for one in ("weights", "var_weights", "freq_weights")):
        return {"weights": None}
    facts = question.facts
    if facts.family in (("Binomial", "Logit"), ("Poisson", "Log")):
        return {"model": "glm", "family": Code(f"sm.families.{facts.family[0]}()"), "weights": None, word: name}
    if facts.by_family or (frequency and facts.one_variance):
        return {"model": "glm", "weights": None, word: name}
    return {"model": "wls"} if facts.one_variance and not frequency else {"congeniality": "terms"}


def donors_within(draft: Draft, name: Hashable) -> bool:
    """Whether every missing value of a bounded column has an observed value between its bounds."""
    column, known = draft.table[name], draft.bounds.get(name)
    if known is None:
        return True
    low, high = known.ends(draft.table, column)
    values = np.sort(column.numbers(column.values[column.observed]))
    least, most = low[column.missing], high[column.missing]
    first = np.searchsorted(values, least)
    return bool(np.all((first < len(values)) & (values[np.minimum(first, len(values) - 1)] <= most)))


def refuse_without_donors(draft: Draft, name: Hashable, method: Method) -> None:
    """Matching copies observed values: where none lies between the bounds, it cannot."""
    if facts_of(method).donors and not donors_within(draft, name):
        raise PlanError(
            f"no observed value of {name!r} lies within its bounds in some rows: there is nothing to match.",
            bounds=str(draft.bounds[name]),
            do=call(_IMPUTE, methods={name: "norm"}),
        )


def beyond_donors(draft: Draft, name: Hashable) -> tuple[Method, str, str]:
    """A model with a density for a column whose missing values lie where none were observed."""
    if draft.table[name].kind is Kind.COUNT:
        label, _ = count_or_not(draft, name, ())
        return METHODS[label], label, "nothing to match within the bounds"
    label, why = censored_model(draft, name, ())
    return METHODS[label], label, why


def censored_model(draft: Draft, name: Hashable, predictors: Sequence[Hashable]) -> tuple[str, str]:
    """The model of a number whose missing values lie where few or none were observed, and why."""
    known = draft.bounds.get(name)
    if known is None or known.always or known.cut is not None or draft.table[name].kind.discrete:
        return "norm", CENSORED
    return normal_or_power_censored(draft.seen_by(name), name, predictors, known.ends(draft.table, draft.table[name]))


def count_or_not(draft: Draft, name: Hashable, predictors: Sequence[Hashable]) -> tuple[str, str]:
    """The model of whole numbers from 0, and why; a count where it is one, is said to be, or takes unseen values."""
    if draft.options.kinds.get(name) == "count":
        return "negbin", "a count, as asked"
    if tied(draft, name) or name in draft.bounds and not (draft.bounds[name].always and donors_within(draft, name)):
        return "negbin", "whole numbers from 0"
    return count_model(draft.seen_by(name), name, predictors, cut_of(draft, name))


def cut_of(draft: Draft, name: Hashable) -> tuple[Array, Array] | None:
    """Where the distribution of a column's observed values is cut off, each (n,); None where it is not."""
    known = draft.bounds.get(name)
    return None if known is None else known.limits(draft.table, draft.table[name])


def many_levels(name: Hashable, many: int) -> str:
    """What is said of a column with more levels than a model of them can have."""
    rest = f"collapse={{{name!r}: ...}} or min_count= takes rare ones together"
    return f"{name!r} has {many} levels: drawn from the observed values whatever the other columns say; {rest}"

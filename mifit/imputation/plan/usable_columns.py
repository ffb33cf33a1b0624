"""Usable columns of the frame: which are excluded, which are refused."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...calls import Code, left_alone
from ...errors import DataError, FormulaError, PlanError, call, listed, nearest
from ...formula.column_code import masked, renamed, usable, without
from ...formula.question import Question
from ...formula.terms import code_of, parse, take_apart
from ...frame.kinds import Kind
from ...frame.numbers_as_text import codes_of_missing, spelled, words_of_missing
from ...frame.table import Column, Table
from ..contract import facts_of
from ..methods import CHAINED, COMPATIBLE, METHODS, method_of_option, name_of
from ..methods.estimators import code_of_estimator, draws_levels, is_estimator
from .defaults import is_identifier
from .methods_by_kind import kind_words
from .options import Options

__all__ = ["MAY_BE_MISSING", "check_options", "is_constant", "meant_method", "set_aside", "suiting", "with_article"]

_IMPUTE = "df.mice.impute"
MAY_BE_MISSING = "if that stands for a missing value"  # what is said of codes such as -99
_LARGEST = 1e150  # beyond this a square overflows
_CODES = 10  # so many levels of text that are numbers may be codes; more are a number kept as text


def suiting(column: Column, density: bool) -> list[str]:
    """Methods that can draw a column, its default first.

    Parameters
    ----------
    column : Column
    density : bool
        Only those with a density, as a draw compatible with an analysis needs.

    Returns
    -------
    list of str
        Empty where nothing draws such a column.
    """
    usual = (COMPATIBLE if density else CHAINED).get(column.kind)
    kinds = {column.kind, *([Kind.NUMERIC] if column.kind is Kind.ORDINAL and column.number else [])}
    found = [n for n, method in METHODS.items() if kinds & method.kinds and not facts_of(method).clustered]
    return sorted((n for n in found if facts_of(METHODS[n]).density or not density), key=lambda name: name != usual)


def with_article(word: str) -> str:
    """A noun with its article.

    Examples
    --------
    >>> with_article("ordinal column"), with_article("binary column")
    ('an ordinal column', 'a binary column')
    """
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def check_options(table: Table, options: Options, density: bool = False) -> None:
    """Refuse an option that names no column, no method, or no known word; ``density``: the plan is compatible.

    Raises
    ------
    DataError
        If a name is not a column.
    PlanError
        If a method, ``congeniality`` or ``auxiliary`` is unknown.
    """
    named: tuple[tuple[str, Any], ...] = (
        ("methods=", options.methods), ("predictors=", options.predictors), ("order=", options.order or ())
    )  # fmt: skip
    by_kind = kind_words(options.methods, table)
    for word, names in named:
        for name in (n for n in names if not (word == "methods=" and n in by_kind)):
            table.require(name, word)
    for name, method in options.methods.items():
        if not _is_method(method):
            suits = _suiting(name, table, density)
            meant = meant_method(str(method), suits)
            shown = method.__name__ if isinstance(method, type) else repr(method)
            raise PlanError(
                f"unknown method {shown} for {name!r}{f' (did you mean {meant!r}?)' if meant else ''}.",
                suits=", ".join(suits),
                do=call(_IMPUTE, methods=_as_meant(table, options, density)),
            )
        if is_estimator(method) and draws_levels(method) is None:
            suits = _suiting(name, table, density)
            raise PlanError(
                f"{code_of_estimator(method):.200} for {name!r} is neither a regressor nor a classifier.",
                suits=", ".join(suits),
                do=call(_IMPUTE, methods={name: suits[0]}),
            )
        if name not in by_kind:
            _check_kind(table[name], method)
    _check_predictors_and_order(table, options)
    _check_word("error_law", options.error_law, ("auto", "declared", "learned"))
    _check_word("link", options.link, ("independent", "sequence"))
    _check_word("congeniality", options.congeniality, ("compatible", "terms", "ignore"))
    _check_auxiliary(table, options.auxiliary)


def _suiting(name: Hashable, table: Table, density: bool) -> list[str]:
    """Methods that suit a column, or every column of a kind."""
    if name in table:
        return [*suiting(table[name], density), "leave"]
    columns = [c for c in table.columns.values() if c.kind.value == name] or list(table.columns.values())[:1]
    return [*suiting(columns[0], density), "leave"]


def _as_meant(table: Table, options: Options, density: bool) -> dict[Hashable, Any]:
    """Methods as they were probably meant, for all columns whose method is unknown."""
    found: dict[Hashable, Any] = {}
    for name, option in options.methods.items():
        if not _is_method(option):
            suits = _suiting(name, table, density)
            made = Code(f"{option.__name__}()") if _is_class(option) else meant_method(str(option), suits)
            found[name] = made or suits[0]
    return found


def _is_class(option: Any) -> bool:
    """Whether something is the class of an estimator, which makes one when it is called."""
    return isinstance(option, type) and hasattr(option, "get_params")


#: methods of other programs, in small letters -> the same here
_ELSEWHERE = {
    **dict.fromkeys(
        ("norm.nob", "norm.boot", "norm.predict", "regression", "linear", "gaussian", "mean", "lm"), "norm"
    ),
    **dict.fromkeys(("midastouch", "matching", "hotdeck", "knn"), "pmm"),
    **dict.fromkeys(("logreg", "logreg.boot", "logit", "binomial", "lda"), "logistic"),
    **dict.fromkeys(("polyreg", "multinom", "mlogit", "mnlogit"), "multinomial"),
    **dict.fromkeys(("polr", "ologit", "ordered"), "ordinal"),
    **dict.fromkeys(("nb", "nbreg", "negativebinomial"), "negbin"),
    **dict.fromkeys(
        (
            "rf",
            "ranger",
            "randomforest",
            "random_forest",
            "mforest",
            "missforest",
            "trees",
            "forests",
            "xgb",
            "lightgbm",
        ),
        "forest",
    ),
    **dict.fromkeys(("tree", "rpart", "ctree"), "cart"),
    **dict.fromkeys(("none", "skip", "ignore", ""), "leave"),
}


def meant_method(given: str, suits: Sequence[str]) -> str:
    """The method that a word means, among those that suit a column; empty where none is.

    Examples
    --------
    >>> meant_method("polyreg", ["multinomial"]), meant_method("nrom", ["pmm", "norm"]), meant_method("rf", ["forest"])
    ('multinomial', 'norm', 'forest')
    """
    word = given.lower()
    found = _ELSEWHERE.get(word, word)
    if found in suits or found == "leave":
        return found
    near = [] if word in _ELSEWHERE else difflib.get_close_matches(word, suits, n=1, cutoff=0.5)
    return near[0] if near else ""


def set_aside(table: Table, questions: Sequence[Question], options: Options) -> tuple[dict[Hashable, str], list[str]]:
    """Find the columns that are neither drawn nor predictors.

    Parameters
    ----------
    table : Table
    questions : sequence of Question
    options : Options

    Returns
    -------
    excluded : dict
        Column -> why it is left.
    events : list of str
        What a reader should know.

    Raises
    ------
    DataError
        If a column that has missing values can neither be used nor was left alone.
    PlanError
        If the analysis needs a column that is left with missing values.
    """
    in_analysis = {v for q in questions for v in (*q.variables(table), *q.outcome)}
    excluded: dict[Hashable, str] = {}
    events: list[str] = []
    telling = _tell_ignored(table, options)
    for name, column in table.columns.items():
        if name in telling and name not in in_analysis and name not in options.methods:
            excluded[name] = "tells which rows are ignored"
            events.append(f"{name!r} tells which rows are ignored: not used as a predictor")
            continue
        if options.methods.get(name) == "leave":
            excluded[name] = "left alone, as asked"
            continue
        if name in options.derived:
            excluded[name] = f"derived: {options.derived[name]}"
            continue
        if name in (options.id, options.clusters) and name is not None and name not in in_analysis:
            excluded[name] = "names the subjects" if name == options.id else "names the clusters"
            continue
        said = name in options.kinds or name in options.methods
        if not said:
            _refuse_spelled(column)
            if name in in_analysis:
                _refuse_numbers_as_levels(table, column, questions)
        if _is_number_as_text(column, _CODES if said or name not in in_analysis else 2):
            events.append(
                f"{name!r} holds numbers as text, read as {column.n_levels} levels: "
                f"df[{name!r}] = pd.to_numeric(df[{name!r}]) makes it a number"
            )
        events += [] if said else _stand_for_missing(column) + _alike(column)
        if name in in_analysis and not said:
            _refuse_names(table, column, questions)
        if column.coding.unused and (name in in_analysis or len(column.missing)):
            events.append(_never_observed(column))
        reason = _unusable(table, column, name in in_analysis, name in options.methods)
        if reason:
            excluded[name] = reason
            events.append(f"{name!r} {reason}: not used as a predictor")
    for question in questions:
        for name in (*question.outcome, *question.variables(table)):
            if name in excluded and len(table[name].missing):
                raise PlanError(
                    f"the analysis needs {name!r}, which has {len(table[name].missing)} missing values "
                    "and is left alone.",
                    analysis=question.formula,
                    do=call(_IMPUTE, methods={name: None}).then(f"  # without {name!r} among methods"),
                )
    return excluded, events


def _tell_ignored(table: Table, options: Options) -> set[Hashable]:
    """Complete columns of levels that say which rows are ignored: no model has seen the levels of those rows."""
    option = options.ignore
    levelled = [c for c in table.columns.values() if not len(c.missing) and (c.n_levels == 2 or not c.number)]
    if isinstance(option, str):
        try:
            used = take_apart(" ".join(option.split()), table.columns).variables
        except FormulaError:  # refused where it is read
            return set()
        return {column.name for column in levelled if column.name in used and column.kind.discrete}
    if option is None:
        return set()
    marked = option.marked
    if len(marked) != table.n_rows or marked.all() or not marked.any():
        return set()
    told = [c for c in levelled if c.kind.discrete and c.n_levels <= table.n_rows / 2]
    return {c.name for c in told if not set(c.values[marked].tolist()) & set(c.values[~marked].tolist())}


def _refuse_spelled(column: Column) -> None:
    """Refuse numbers kept as text with a decimal comma or beside a word for missing: as levels they mislead."""
    found = spelled(column.coding.levels) if column.kind.discrete else None
    if found is not None and found.odd:
        raise DataError(found.said(column.name), levels=f"read as {column.n_levels} levels", do=found.line(column.name))


def _refuse_numbers_as_levels(table: Table, column: Column, questions: Sequence[Question]) -> None:
    """Refuse an analysis with a coefficient for each of many numbers kept as text, unless it says ``C(x)``."""
    name = column.name
    if not _is_number_as_text(column, _CODES):
        return
    for question in questions:
        codes = {code for factors in question.terms.factors for code in factors}
        among = [code for code in codes if name in take_apart(code, table.columns).variables]
        if any(not code.startswith("C(") for code in among):
            raise DataError(
                f"{name!r} is numbers kept as text: the analysis would have a coefficient for each of "
                f"{column.n_levels} levels.",
                analysis=question.formula,
                do=f"df[{name!r}] = pd.to_numeric(df[{name!r}]){_else(column)}",
            )


def _stand_for_missing(column: Column) -> list[str]:
    """What a reader should know of values that may stand for a missing one."""
    name = column.name
    if column.kind.discrete and not column.number:
        words = words_of_missing(column.coding.levels)
        code = masked(name, words)
        return (
            [f"{name!r} has the level {listed(map(repr, words))}: {MAY_BE_MISSING}, {code}{_else(column)}"]
            if words
            else []
        )
    if not column.number:
        return []
    values = column.values.copy()
    values[column.observed] = column.numbers(values[column.observed])
    found = codes_of_missing(values)
    if not found:
        return []
    shown = " and ".join(f"{code:g} in {many} row{'' if many == 1 else 's'}" for code, (many, _) in found.items())
    code = masked(name, sorted(found))
    following = next(iter(found.values()))[1]
    return [f"{name!r} is {shown}, the next value is {following:g}: {MAY_BE_MISSING}, {code}{_else(column)}"]


def _alike(column: Column) -> list[str]:
    """What a reader should know of levels that are the same but for capital letters and spaces: "Yes" and "yes"."""
    if not column.kind.discrete or column.number:
        return []
    groups: dict[str, list[str]] = {}
    for level in column.coding.levels:
        if isinstance(level, str):
            groups.setdefault(" ".join(level.split()).casefold(), []).append(level)
    counts = dict(zip(*np.unique(column.values[column.observed], return_counts=True), strict=True))
    often = {level: counts.get(float(code), 0) for code, level in enumerate(column.coding.levels)}
    kept = {key: max(levels, key=lambda level: often[level]) for key, levels in groups.items() if len(levels) > 1}
    if not kept:
        return []
    meant = {level: one for key, one in kept.items() for level in groups[key] if level != one}
    pairs = listed((f"{level!r} beside {one!r}" for level, one in meant.items()), 4)
    return [f"{column.name!r} has the level {pairs}: if they are the same, {renamed(column.name, meant)}"]


def _else(column: Column) -> str:
    """How to say that a code is a value."""
    return f"  # else kinds={ {column.name: column.kind.value}!r}".replace("= ", "=")


def _refuse_names(table: Table, column: Column, questions: Sequence[Question]) -> None:
    """Refuse a formula with a coefficient for each row: text that names the rows."""
    if column.kind is not Kind.NOMINAL or not is_identifier(table, column.name):
        return
    name = column.name
    for question in (q for q in questions if name in q.variables(table)):
        plain = without(question.terms, name, table.columns)
        raise PlanError(
            f"{name!r} has {column.n_levels} levels in {table.n_rows - len(column.missing)} rows: it names the rows, "
            "and the analysis would have a coefficient for each.",
            analysis=question.formula,
            do=call(_IMPUTE, plain),
        )


def _never_observed(column: Column) -> str:
    """What a reader should know of categories without a row: they are neither drawn nor estimated."""
    unused = column.coding.unused
    return f"{column.name!r}: {listed(map(repr, unused), 5)} never observed: not drawn, no coefficient"


def _check_kind(column: Column, method: Any) -> None:
    """Refuse a method for a complete column that it could not draw; where there are missing values, the plan does."""
    if len(column.missing) or column.kind is Kind.OTHER or (isinstance(method, str) and method == "leave"):
        return
    kinds = method_of_option(method).kinds
    if column.kind in kinds or (column.number and Kind.NUMERIC in kinds):
        return
    suits = suiting(column, False)
    raise PlanError(
        f"method {name_of(method_of_option(method))!r} does not draw "
        f"{with_article(column.kind.value)} column such as {column.name!r}, which has no missing values anyway.",
        suits=", ".join(suits),
        do=call(_IMPUTE, methods={column.name: None}).then(f"  # without {column.name!r} among methods"),
    )


def _check_predictors_and_order(table: Table, options: Options) -> None:
    """Refuse a formula that predicts a column from itself, and a column visited twice."""
    for name, option in options.predictors.items():
        named = _named_in(option, table) if isinstance(option, str) else ()
        if name in named:
            others = " + ".join(code_of(other) for other in named if other != name) or "..."
            raise PlanError(f"{name!r} cannot predict itself.", do=call(_IMPUTE, predictors={name: others}))
    order = list(options.order or ())
    twice = [name for name in order if order.count(name) > 1]
    if twice:
        raise PlanError(f"order= names {twice[0]!r} twice.", do=call(_IMPUTE, order=list(dict.fromkeys(order))))


def _named_in(option: str, table: Table) -> tuple[Hashable, ...]:
    """Columns in the right side of a formula."""
    return tuple(
        v for codes in parse(f"y ~ {option}").factors for c in codes for v in take_apart(c, table.columns).variables
    )


def _check_auxiliary(table: Table, given: Any) -> None:
    """Refuse auxiliary= that is neither a known word nor a list of baseline columns."""
    if isinstance(given, list | tuple):
        raise PlanError(
            "auxiliary= does not say what the list is: columns known to precede the outcome are its baseline.",
            do=call(_IMPUTE, auxiliary={"baseline": list(given)}),
        )
    if not isinstance(given, Mapping):
        _check_word("auxiliary", given, ("response", "ignore"))
        return
    unknown = [word for word in given if word != "baseline"]
    if unknown:
        raise PlanError(
            f"auxiliary= has the word {unknown[0]!r}{nearest(unknown[0], ['baseline'])}.",
            known="baseline",
            do=call(_IMPUTE, auxiliary={unknown[0]: None, "baseline": list(given[unknown[0]])}),
        )
    names = given.get("baseline", ())
    if isinstance(names, str):
        raise PlanError(
            f"auxiliary= wants a list of baseline columns, not {names!r}.",
            do=call(_IMPUTE, auxiliary={"baseline": [names]}),
        )
    for name in names:
        table.require(name, "auxiliary=")


def is_constant(column: Column) -> bool:
    """Whether one value was observed."""
    seen = column.values[column.observed]
    return bool(np.ptp(seen) == 0)


def _is_number_as_text(column: Column, most: int) -> bool:
    """Whether more levels of text than ``most`` are all numbers; codes that begin with a 0 are not."""
    levels = column.coding.levels
    if column.kind is not Kind.NOMINAL or len(levels) <= most or not all(isinstance(v, str) for v in levels):
        return False
    try:
        found = np.array([float(v) for v in levels])
    except ValueError:
        return False
    return bool(np.isfinite(found).all()) and not any(v[0] == "0" and v.isdigit() and len(v) > 1 for v in levels)


def _unusable(table: Table, column: Column, in_analysis: bool, has_method: bool) -> str:
    """Why a column is set aside; empty if it is of use. Dates and mixed types with missing values are refused."""
    name, n_missing = column.name, len(column.missing)
    if column.coding.problem == "holds infinite values":
        rows = np.flatnonzero(np.isinf(column.values))
        raise DataError(
            f"column {name!r} holds infinite values.",
            rows=listed(rows, 5),
            do=f"df[{name!r}] = df[{name!r}].replace([np.inf, -np.inf], np.nan)",
        )
    largest = float(np.max(np.abs(column.values[column.observed]), initial=0.0)) if column.number else 0.0
    if largest > _LARGEST:
        raise DataError(
            f"column {name!r} has values up to {largest:.3g}: their squares overflow (float64); rescale it.",
            do=f"df[{name!r}] = df[{name!r}] / {10.0 ** np.floor(np.log10(largest)):g}",
        )
    if n_missing == table.n_rows:
        cure = f"df = df.drop(columns=[{name!r}])  # and leave it out of the formula" if in_analysis else _leave(name)
        raise DataError(f"all {n_missing} values of column {name!r} are missing.", do=cure)
    reason = ""
    if column.kind is Kind.OTHER:
        reason = column.coding.problem
    elif not in_analysis and not n_missing and is_constant(column):
        reason = "is constant"
    elif not in_analysis and not (n_missing and has_method) and is_identifier(table, name):
        return "only names its rows"
    if reason and n_missing:
        cure = usable(column) if column.kind is Kind.OTHER else _leave(name)
        text = in_analysis or "to_numeric" in cure
        raise DataError(
            f"column {name!r} {reason} and has {n_missing} missing values.", do=cure if text else _leave(name)
        )
    return reason


def _leave(name: Hashable) -> str:
    """The call that leaves a column alone."""
    return call(_IMPUTE, **left_alone(name))


def _check_word(word: str, given: Any, known: tuple[str, ...]) -> None:
    """Refuse a word that is none of the known ones."""
    if given not in known:
        raise PlanError(
            f"{word} is {given!r}{nearest(given, known)}.",
            known=", ".join(known),
            do=call(_IMPUTE, **{word: (difflib.get_close_matches(str(given), known, 1, 0.5) or known)[0]}),
        )


def _is_method(option: Any) -> bool:
    """Whether an option is a registered name or behaves like a method."""
    if isinstance(option, str):
        return option in METHODS or option == "leave"
    return is_estimator(option) or (callable(getattr(option, "fit", None)) and hasattr(option, "kinds"))

"""Checks of an analysis' data: complete keywords, events coded 0 and 1, outcomes that its family allows."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Hashable, Sequence

import numpy as np

from ...calls import Advice, Code, left_alone
from ...errors import FormulaError, PlanError, call, listed
from ...formula.column_code import (
    among,
    masked,
    numbers,
    of_expression,
    renamed,
    repeated,
    with_event,
    with_outcome,
    without,
)
from ...formula.design import Design
from ...formula.model_facts import USUAL_MODEL, model_facts
from ...formula.question import Question
from ...formula.terms import code_of
from ...frame.kinds import Kind
from ...frame.numbers_as_text import codes_of_missing
from ...frame.table import Column, Table
from ...typing import Array
from ..contract import Method, facts_of
from .likelihoods import AROUND, keyword_vector, likelihood_of

__all__ = ["as_column", "check_copies", "check_keywords", "check_outcomes"]

_MOST_LEVELS = 50
_WORDS = (*AROUND, "status", "freq_weights")

#: family -> which values its outcome may have
_SUPPORT = {
    "Binomial": "between 0 and 1",
    "Poisson": "0 or more",
    "NegativeBinomial": "0 or more",
    "Tweedie": "0 or more",
    "Gamma": "above 0",
    "InverseGaussian": "above 0",
}

_WHOLE = ("Poisson", "NegativeBinomial")  # families of counts
_NUMBERS = (*_WHOLE, "Gamma", "InverseGaussian", "Tweedie")  # families of numbers


def check_keywords(questions: Sequence[Question], table: Table) -> None:
    """Columns named in keywords belong to the analysis: complete, of the right length, in range."""
    for question in questions:
        for word, value in question.keywords.items():
            if isinstance(value, Hashable) and value in table:
                _refuse_missing(question, word, value, table)
            elif isinstance(value, str) and word in _WORDS:
                table.require(value, f"{word}=")
        if question.facts.hazard:
            _check_times(question, table)
        for word in _WORDS:
            _check_range(question, word, table)


def check_outcomes(questions: Sequence[Question], designs: Sequence[Design], table: Table) -> None:
    """Observed outcomes must be possible under their model; those with missing values must be drawn as they stand."""
    for question, design in zip(questions, designs, strict=True):
        method = likelihood_of(question, table)
        _check_distribution(question, table)
        if question.facts.hazard:
            _refuse_negative_times(question, design, table)
        _refuse_untold_levels(question, table)
        if question.facts.levels or question.facts.hazard or method is None:
            continue
        if not question.bare and not _normal(method) and any(len(table[v].missing) for v in question.outcome):
            raise FormulaError(
                f"outcome {question.terms.outcome!r} has missing values; only a linear analysis draws an expression.",
                formula=question.formula,
                do=as_column(question, table),
            )
        rows = table.complete_rows(question.outcome)
        if question.level is None:
            y = design.response({v: table[v].values[rows] for v in question.outcome})
            _check_support(question, y)
            _refuse_fractions(question, y, table)


def _normal(method: Method) -> bool:
    """Whether outcomes are normal as they stand, so that an expression can be drawn."""
    offered = facts_of(method).offers
    return offered is not None and offered.gaussian and offered.direct


_IMPUTE = "df.mice.impute"
_TAKEN = ("exposure", "freq_weights", "offset", "var_weights")  # words of a generalized linear model


def as_column(question: Question, table: Table) -> str:
    """The lines that make an outcome expression a column, and ask for that one."""
    made = of_expression(question.terms.outcome, table.columns)
    model = question.model
    if model == USUAL_MODEL and not question.said.startswith("model=") and _is_condition(question.terms.outcome):
        model = "logit"
    return with_outcome(made, question.formula, table.columns, {"model": model}, question.outcome)


def _is_condition(code: str) -> bool:
    """Whether an expression is true or false: a comparison, or one of several, also inside I()."""
    node = ast.parse(code.strip(), mode="eval").body
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "I" and len(node.args) == 1:
        node = node.args[0]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        return isinstance(node.left, ast.Compare) and isinstance(node.right, ast.Compare)
    return isinstance(node, ast.Compare)


def _with_model(question: Question, *, model: str, family: str = "") -> Advice:
    """The call with another model, and without the words that it does not take."""
    taken = _TAKEN if model_facts(model).by_family else ()
    gone = {word: None for word in question.keywords if word not in taken}
    return call(_IMPUTE, question.formula, **{**gone, "model": model, **({"family": Code(family)} if family else {})})


def _check_distribution(question: Question, table: Table) -> None:
    """Refuse what has too many levels, or an incomplete outcome whose family has no distribution."""
    column = table[question.outcome[0]]
    _refuse_text(question, column)
    if question.facts.levels and column.n_levels > _MOST_LEVELS:
        raise PlanError(
            f"{question.model} needs an outcome of a few levels; {question.outcome[0]!r} has {column.n_levels}.",
            analysis=question.formula,
            do=_with_model(question, model=USUAL_MODEL),
        )
    power = getattr(question.keywords.get("family"), "var_power", 1.5)
    if not 1 <= power <= 2 and len(column.missing):
        raise PlanError(
            f"outcome {question.outcome[0]!r} has missing values; a Tweedie of var_power={power} is not drawn.",
            analysis=question.formula,
            do=call(_IMPUTE, family=Code("sm.families.Tweedie(var_power=1.5)")),
        )


def _refuse_untold_levels(question: Question, table: Table) -> None:
    """Refuse a level of a covariate that is never observed with the outcome: its coefficient cannot be estimated."""
    outcome = question.outcome[0]
    rows = table.complete_rows(question.outcome)
    if len(rows) == table.n_rows:
        return
    for name in question.variables(table):
        column = table[name]
        if column.kind is not Kind.BINARY and (column.number or not column.kind.discrete):
            continue
        told = set(column.values[rows][~np.isnan(column.values[rows])].astype(np.int64).tolist())
        untold = [level for code, level in enumerate(column.coding.levels) if code not in told]
        if untold:
            kept = [level for code, level in enumerate(column.coding.levels) if code in told]
            plain = without(question.terms, name, table.columns)
            raise PlanError(
                f"{name!r} is {untold[0]!r} only where {outcome!r} is missing: its coefficient cannot be estimated.",
                analysis=question.formula,
                rows=str(int(np.sum(column.values[column.observed] == column.coding.levels.index(untold[0])))),
                do=f"{renamed(name, dict.fromkeys(untold, kept[-1]))}  # the level that it is taken together with"
                if len(kept) > 1
                else call(_IMPUTE, plain, **left_alone(name)),
            )


def _refuse_text(question: Question, column: Column) -> None:
    """Refuse levels that are no numbers where the model is one of counts or positive numbers."""
    if not question.bare or column.number or not (question.facts.counts or _family(question) in _NUMBERS):
        return
    levels = column.coding.levels
    raise PlanError(
        f"{_shown(question)} needs an outcome in numbers; {column.name!r} holds {listed(map(repr, levels))}.",
        analysis=question.formula,
        do=numbers(column),
    )


def _refuse_fractions(question: Question, y: Array, table: Table) -> None:
    """Refuse to draw counts into the missing values of an outcome whose observed values are not whole."""
    missing = len(table[question.outcome[0]].missing)
    many = int(np.sum(y != np.floor(y)))
    if not missing or not many or not (question.facts.counts or _family(question) in _WHOLE):
        return
    name = question.terms.outcome
    family = "Tweedie(var_power=1.5, " if (y == 0).any() else "Gamma("
    raise PlanError(
        f"{_shown(question)} would draw counts for the {missing} missing values of {name!r}; "
        f"{many} of its values are not whole.",
        analysis=question.formula,
        whole=f"df[{question.outcome[0]!r}] = df[{question.outcome[0]!r}].round()",
        do=_with_model(question, model="glm", family=f"sm.families.{family}link=sm.families.links.Log())"),
    )


def _family(question: Question) -> str:
    """The family that a generalized linear model was given; empty elsewhere."""
    return type(question.keywords.get("family")).__name__ if question.facts.by_family else ""


def _shown(question: Question) -> str:
    """The family of a generalized linear model, the model itself elsewhere."""
    return f"family {_family(question)}" if question.facts.by_family else question.model


def check_copies(questions: Sequence[Question], table: Table, drawn: Sequence[Hashable]) -> None:
    """A row that stands for several must be complete: each of them has missing values of its own."""
    for question in questions:
        copies = keyword_vector(question, "freq_weights", table)
        missing = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(table[name].missing for name in drawn)]))
        many = 0 if copies is None else int(np.sum(copies[missing] != 1))
        if many:
            word = question.keywords["freq_weights"]
            raise PlanError(
                f"{many} incomplete rows have a frequency weight other than 1; each stands for several unlike rows.",
                analysis=question.formula,
                do=f"{repeated(word if isinstance(word, str) else 'weights')}.reset_index(drop=True)",
            )


def _refuse_missing(question: Question, word: str, name: Hashable, table: Table) -> None:
    """What an analysis is given must be complete."""
    if len(table[name].missing):
        raise PlanError(
            f"{word}={name!r} has {len(table[name].missing)} missing values; "
            "what an analysis is given must be complete.",
            analysis=question.formula,
            do=among(f"df[{name!r}].notna()", f"a value of {name!r}"),
        )


def _check_times(question: Question, table: Table) -> None:
    """Times at risk must be complete, and end after they began."""
    time = question.outcome[0]
    if any(len(table[v].missing) for v in question.outcome):
        raise PlanError(
            f"survival time {time!r} has missing values; it is not imputed.",
            missing=len(table[time].missing),
            analysis=question.formula,
            do=among(f"df[{time!r}].notna()", "a time"),
        )
    entry = _numbers(question, "entry", table)
    if entry is not None and len(question.outcome) == 1 and question.bare:
        stop = table[time].numbers(table[time].values) if table[time].number else table[time].values
        many = int(np.sum(entry >= stop))
        if many:
            raise PlanError(
                f"entry={question.keywords['entry']!r} is not before {time!r} in {many} rows; none is at risk.",
                analysis=question.formula,
                do=among(f"df[{question.keywords['entry']!r}] < df[{time!r}]", "time at risk"),
            )


def _refuse_negative_times(question: Question, design: Design, table: Table) -> None:
    """Times at risk are not negative: their logarithm has the same ranks, and another meaning."""
    times = design.response({v: table[v].values for v in question.outcome})
    if (times < 0).any():
        name, right = question.outcome[0], question.formula.partition("~")[2].strip()
        plain = call(_IMPUTE, f"{code_of(name)} ~ {right}")
        raise PlanError(
            f"survival time {question.terms.outcome!r} is negative in {int((times < 0).sum())} rows.",
            analysis=question.formula,
            do=among(f"df[{name!r}] >= 0", "a time from 0") if question.bare else plain,
        )


def _check_range(question: Question, word: str, table: Table) -> None:
    """Events are 0 and 1, exposures and weights positive, frequencies whole."""
    found = _numbers(question, word, table)
    if found is None:
        return
    name = question.keywords[word]
    shown = name if isinstance(name, str) else word
    seen = set(np.unique(found).tolist()) if word == "status" else set()
    column = table[name] if isinstance(name, Hashable) and name in table else None
    text = word == "status" and column is not None and not _tells_events(column)
    if text or not seen <= {0.0, 1.0}:
        levels = column.coding.levels if text and column is not None else sorted(seen)
        raise _no_events(None if column is None else column.name, levels, table)
    if word == "freq_weights":
        wrong, must = int(np.sum((found < 0) | (found != np.floor(found)))), "whole numbers"
    elif word in ("exposure", "weights", "var_weights"):
        wrong, must = int(np.sum(~(found > 0))), "above 0"
    else:
        wrong, must = int(np.sum(~np.isfinite(found))), "finite"
    if word == "freq_weights" and wrong and (found > 0).all() and column is not None:
        raise PlanError(
            f"freq_weights={shown!r} are not whole numbers in {wrong} rows: no number of rows is meant.",
            analysis=question.formula,
            do=call(_IMPUTE, question.formula, freq_weights=None, weights=None, var_weights=name),
        )
    if wrong:
        raise PlanError(
            f"{word}={shown!r} must be {must}; it is not in {wrong} rows.",
            analysis=question.formula,
            do={
                "finite": among(f"np.isfinite(df[{shown!r}].astype(float))", "a finite one"),
                "whole numbers": f"df[{shown!r}] = df[{shown!r}].round().clip(lower=0)",
            }.get(must, among(f"df[{shown!r}] > 0", "one above 0")),
        )


def _no_events(name: Hashable | None, levels: Sequence[object], table: Table) -> PlanError:
    """The error of a status that is not 1 for an event and 0 for censoring; an array has no name."""
    some = listed(f"{v:g}" if isinstance(v, float) else v for v in levels)
    causes = {"causes": "competing risks are not built; the hazard of one cause alone takes the others as censored"}
    named = "status" if name is None else name
    before = "df['status'] = status; " if name is None else ""
    made = with_event(named, levels, [*table.columns, named], before)
    return PlanError(
        f"status={named!r} holds {some}; an event is 1, censoring 0.",
        **(causes if len(levels) > 2 else {}),
        do=made,
    )


def _tells_events(column: Column) -> bool:
    """Whether a status is numbers or truth values."""
    return column.number or set(column.coding.levels) <= {False, True}


def _numbers(question: Question, word: str, table: Table) -> Array | None:
    """A keyword as numbers; named if it is neither a column nor as long as the frame."""
    try:
        return keyword_vector(question, word, table)
    except (TypeError, ValueError) as reason:
        given = question.keywords[word]
        if word == "status" and not isinstance(given, str) and np.shape(given) == (table.n_rows,):
            levels = sorted(set(np.asarray(given, dtype=object).tolist()), key=str)
            raise _no_events(None, levels, table) from None
        raise PlanError(
            f"{word}= is neither a column nor {table.n_rows} numbers.",
            given=repr(question.keywords[word])[:60],
            analysis=question.formula,
            do=call(_IMPUTE, **{word: _column_meant(question.keywords[word], table)}),
        ) from reason


def _column_meant(given: object, table: Table) -> Hashable | None:
    """The complete column of numbers whose name is nearest to what was given; None where there is none."""
    names = [str(n) for n, c in table.columns.items() if c.number and not len(c.missing)]
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.5) if isinstance(given, str) else []
    return near[0] if near and near[0] in table else None


def _check_support(question: Question, y: Array) -> None:
    """Refuse an outcome that its family cannot have."""
    must = question.facts.support or _SUPPORT.get(_family(question))
    wrong = {
        "between 0 and 1": (y < 0) | (y > 1),
        "0 or more": y < 0,
        "above 0": y <= 0,
        "whole numbers from 0": (y < 0) | (y != np.floor(y)),
        "of two values": (y != 0) & (y != 1),
        None: np.zeros(0, dtype=bool),
    }[must]
    if wrong.any():
        shares = bool(((y >= 0) & (y <= 1)).all())
        tweedie = "sm.families.Tweedie(var_power=1.5)"
        family = {
            "of two values": "sm.families.Binomial()" if shares else "",
            "above 0": tweedie if (y >= 0).all() else "",
            "whole numbers from 0": tweedie if (y >= 0).all() else "",
        }.get(str(must), "")
        codes = sorted(codes_of_missing(y)) if question.bare else []
        codes = codes if wrong[np.isin(y, codes)].any() else []
        instead = _with_model(question, model="glm" if family else USUAL_MODEL, family=family)
        raise PlanError(
            f"{question.model} needs an outcome {must}; {question.terms.outcome!r} is not in {int(wrong.sum())} rows.",
            analysis=question.formula,
            **({"otherwise": instead} if codes else {}),
            do=f"{masked(question.outcome[0], codes)}  # if that stands for a missing value" if codes else instead,
        )

"""Lines to paste that make a column of others: a value that is missing there stays missing here."""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import patsy

from ..calls import Advice, left_alone
from ..errors import call
from ..frame.kinds import BEYOND_EXACT
from ..frame.numbers_as_text import codes_of_missing, spelled, words_of_missing
from ..frame.table import Column, free_name
from .terms import Terms, in_pandas, take_apart

__all__ = [
    "above",
    "among",
    "event",
    "event_of",
    "is_level",
    "masked",
    "numbers",
    "of_expression",
    "renamed",
    "repeated",
    "rows_where",
    "says_no",
    "tells_event",
    "unknown",
    "usable",
    "with_event",
    "with_outcome",
    "without",
]

#: what a level is called that is an event, and what one is called that is none
_EVENT = (
    "1", "death", "dead", "died", "deceased", "d", "event", "yes", "y", "true", "relapse", "recurrence", "failure",
    "failed", "fail", "case",
)  # fmt: skip
_YES = ("yes", "y", "true", "1")
_NO_EVENT = (
    "0", "alive", "living", "lives", "censored", "censor", "cens", "no", "n", "none", "false", "no event", "lost",
    "event-free", "control", "healthy", "survived", "survivor", "negative", "withdrawn",
)  # fmt: skip


def is_level(name: Hashable, level: Any, levels: Iterable[Any] = ()) -> str:
    """Code for whether a column has a level, missing where it is missing or holds what stands for a missing value.

    Parameters
    ----------
    name : hashable
    level : object
    levels : iterable, optional
        All levels of the column, among which some may stand for a missing value: ``""``, ``"NA"``, -9.

    Examples
    --------
    >>> is_level("g", "c")
    "(df['g'] == 'c').where(df['g'].notna())"
    >>> is_level("g", "yes", ["", "no", "yes"])
    "(df['g'] == 'yes').where(df['g'].notna() & ~df['g'].isin(['']))"
    """
    return f"(df[{name!r}] == {_plain(level)!r}).where({_there(name, unknown(levels))})"


def unknown(levels: Iterable[Any]) -> list[Any]:
    """Levels that may stand for a missing value: words, and numbers far from the others.

    Examples
    --------
    >>> unknown([0, 1, 9]), unknown(["yes", "no", "NA"]), unknown([0, 1, 2]), unknown(["1", "2", "-9"])
    ([9], ['NA'], [], ['-9'])
    """
    every = list(levels)
    words = words_of_missing(every)
    rest = [v for v in every if v not in words and not isinstance(v, bool | np.bool_)]
    if not all(_is_number(v) for v in rest):
        return [v for v in every if v in words]
    codes = codes_of_missing(np.repeat(np.array([float(v) for v in rest]), _OFTEN))
    return [v for v in every if v in words or (v in rest and float(v) in codes)]


_OFTEN = 3  # how often a number must occur to be taken for a code


def masked(name: Hashable, codes: Iterable[Any]) -> str:
    """The line that makes values missing which stand for a missing value.

    Examples
    --------
    >>> masked("age", [-99.0])
    "df['age'] = df['age'].mask(df['age'].isin([-99]))"
    """
    return f"df[{name!r}] = df[{name!r}].mask(df[{name!r}].isin({[_plain(code) for code in codes]!r}))"


def _there(name: Hashable, codes: Sequence[Any]) -> str:
    """Code for the rows where a column has a value."""
    rest = f" & ~df[{name!r}].isin({[_plain(code) for code in codes]!r})" if codes else ""
    return f"df[{name!r}].notna(){rest}"


def above(name: Hashable, values: Any) -> str:
    """Code for whether a number lies above the middle of its values: some do, and some do not."""
    given = np.asarray(values, dtype=np.float64)
    codes = sorted(codes_of_missing(given))
    known = given[~np.isin(given, codes)]
    seen = np.unique(known)
    cut = float(np.median(known))
    cut = float(seen[-2]) if len(seen) > 1 and cut >= seen[-1] else cut
    return f"(df[{name!r}] > {cut:g}).where({_there(name, codes)})"


def event(name: Hashable, levels: Sequence[Any], columns: Iterable[Hashable]) -> str:
    """The line that makes a column of events, 1, and censored times, 0, of a status with other codes.

    Parameters
    ----------
    name : hashable
        Column of the status.
    levels : sequence
        Its values.
    columns : iterable of hashable
        Names that are taken.

    Returns
    -------
    str
        The greatest number is taken for the event (2 of 1 and 2, as in R; the last of several causes), a level by what
        it is called; a remark says which, for the user to decide.

    Examples
    --------
    >>> event("status", [0, 1, 2], ["t", "status"])
    "df['event'] = (df['status'] == 2).where(df['status'].notna())  # if 2 is the event; then status='event'"
    """
    codes = unknown(levels)
    known, new = [v for v in levels if v not in codes] or list(levels), free_name("event", columns)
    found = event_of(known)
    if len(known) > 3 and all(isinstance(v, int | float) for v in known) and min(known) == 0:  # a count of events
        made = f"(df[{name!r}] > 0).where({_there(name, codes)})"
        return f"df[{new!r}] = {made}  # if all above 0 are events; then status={new!r}"
    return f"df[{new!r}] = {is_level(name, found, levels)}  # if {_plain(found)!r} is the event; then status={new!r}"


def with_event(name: Hashable, levels: Sequence[Any], columns: Iterable[Hashable], before: str = "") -> Advice:
    """The line that makes a column of events of a status, and the call on the rows with one: no event is imputed.

    The call leaves the status itself out, which would be imputed although it is the outcome.

    Parameters
    ----------
    name, levels, columns
        As :func:`event` takes them.
    before : str
        Code that makes the status a column.

    Examples
    --------
    >>> print(with_event("died", [1, 2], ["t", "died"]))  # doctest: +NORMALIZE_WHITESPACE
    df['event'] = (df['died'] == 2).where(df['died'].notna());
    df[df['event'].notna()].mice.impute(status='event', methods={'died': 'leave'})  # if 2 is the event
    """
    line, _, remark = event(name, levels, columns).partition("  # ")
    new = free_name("event", columns)
    made = call(f"df[df[{new!r}].notna()].mice.impute", status=new, **left_alone(name))
    return made.after(f"{before}{line}; ").then(f"  # {remark.partition('; then')[0]}")


def event_of(levels: list[Any], turned: bool = False) -> Any:
    """The level that is most likely the event; ``turned``: the column is named after being without one.

    Examples
    --------
    >>> event_of([0, 1]), event_of([0, 1], turned=True), event_of(["alive", "dead"], turned=True)
    (1, 0, 'dead')
    """
    if all(isinstance(v, int | float | np.number) for v in levels):
        return min(levels) if turned and len(levels) == 2 else max(levels)
    words = {_word(v): v for v in levels}
    if all(_is_number(word) for word in words):
        found = words[max(words, key=float)]
    else:
        rest = [v for word, v in words.items() if not _is_none(word)]
        named = [words[word] for word in _EVENT if word in words]
        found = (named or rest or levels)[-1 if not named else 0]
    if turned and len(levels) == 2 and _word(found) in _YES:
        return next(v for v in levels if v != found)
    return found


def tells_event(levels: Sequence[Any]) -> bool:
    """Whether the words of some levels leave no doubt which is the event.

    Examples
    --------
    >>> tells_event(["alive", "dead"]), tells_event(["a", "b"])
    (True, False)
    """
    happened = [v for v in levels if _word(v) in _EVENT]
    return len(happened) == 1 or (not happened and sum(_is_none(_word(v)) for v in levels) == len(levels) - 1)


def says_no(level: Any) -> bool:
    """Whether a level says that nothing happened: 0, False, "no", "alive".

    Examples
    --------
    >>> says_no(0.0), says_no(False), says_no("Alive"), says_no("X"), says_no(1)
    (True, True, True, False, False)
    """
    return _is_none(_word(_plain(level)))


def _word(level: Any) -> str:
    """A level as the lists of words have it."""
    return str(level).strip().lower()


def _is_none(word: str) -> bool:
    """Whether a word says that nothing happened."""
    return word in _NO_EVENT or word.startswith("cens")


def numbers(column: Column) -> str:
    """The line that makes numbers of a column: as its text spells them, else each level by a number to fill in."""
    name, levels = column.name, column.coding.levels
    if column.coding.problem:
        return usable(column)
    found = spelled(levels)
    if found is not None:
        return found.line(name)
    codes = _coded(list(levels))
    if levels and len(levels) <= 20:
        return f"df[{name!r}] = df[{name!r}].astype(object).map({codes!r}).astype(float)  # the number of each level"
    return f"df[{name!r}] = pd.to_numeric(df[{name!r}].astype(str), errors='coerce')  # what is no number is missing"


def _coded(levels: list[Any]) -> dict[Any, float]:
    """A number for each level: its own where it is one, 1 for an event beside none, else its place."""
    known = [v for v in levels if v not in unknown(levels)]
    if all(not isinstance(v, bool) and _is_number(v) for v in known):
        return {_plain(v): _plain(float(v)) for v in known}
    if len(known) == 2 and any(_is_none(_word(v)) or _word(v) in _EVENT for v in known):
        happened = event_of(known)
        known = sorted(known, key=lambda v: v == happened)
    return {_plain(v): place for place, v in enumerate(known)}


def usable(column: Column) -> str:
    """The line that makes numbers of a column of dates, of mixed types or of a dtype that is not known."""
    name, problem = column.name, column.coding.problem
    shown = f"df[{name!r}]"
    if "dates or times" in problem or re.search(r"\b(date|datetime|Timestamp)\b", problem):
        return (
            f"dates = pd.to_datetime({shown}.astype(str), errors='coerce', format='mixed', utc=True); "
            f"{shown} = (dates - dates.min()).dt.total_seconds() / 86400  # days since the first"
        )
    if "spans of time" in problem or "timedelta" in problem:
        return f"{shown} = pd.to_timedelta({shown}).dt.total_seconds()  # seconds"
    if problem == BEYOND_EXACT:
        return f"{shown} = ({shown} - {shown}.min()).astype(float)  # from the smallest on"
    if "infinite" in problem:
        return f"{shown} = {shown}.replace([np.inf, -np.inf], np.nan)"
    if problem.startswith("mixes") and "str" in problem:
        texts = [one[1:-1] for one in re.findall(r"'[^']*'|\"[^\"]*\"", problem)]
        found = spelled([1.0, 2.0, 3.0, *texts])
        if found is not None and "bool" not in problem:
            return found.line(name)
        return f"{shown} = {shown}.astype(object).map(str, na_action='ignore')  # levels as text"
    if "Decimal" in problem or "complex" in problem or problem.startswith("mixes"):
        real = ".map(complex, na_action='ignore').map(abs, na_action='ignore')" if "complex" in problem else ""
        return f"{shown} = {shown}.astype(object){real}.astype(float)"
    return f"{shown} = {shown}.astype(object).map(str, na_action='ignore')  # levels as text"


def of_expression(code: str, columns: Iterable[Hashable]) -> str:
    """Code on the frame for an expression of a formula, missing where a column of it is missing.

    Examples
    --------
    >>> of_expression("I(y + 1)", ["y"]), of_expression("I(y > 1)", ["y"])
    ("df['y'] + 1", "pd.Series(df['y'] > 1, index=df.index).where(df['y'].notna())")
    """
    known = list(columns)
    written = in_pandas(code, known)
    tree = ast.parse(code, mode="eval").body
    if _keeps_missing(tree):
        return written
    pieces = take_apart(code, known)
    used = pieces.variables or tuple(name for name in known if name in pieces.called)  # x.rank()
    if isinstance(columns, Mapping):  # a missing value of a nullable dtype is neither true nor false
        calls = any(isinstance(n, ast.Call) and getattr(n.func, "id", "") not in ("Q", "I") for n in ast.walk(tree))
        for name in used:
            plain = ".astype(float)" if columns[name].number else ".to_numpy(object, na_value=None)" if calls else ""
            written = written.replace(f"df[{name!r}]", f"df[{name!r}]{plain}")
    there = f"df[{used[0]!r}].notna()" if len(used) == 1 else f"df[{list(used)!r}].notna().all(axis=1)"
    return f"pd.Series({written}, index=df.index).where({there})"


def renamed(name: Hashable, levels: Mapping[Any, Any]) -> str:
    """The line that gives some levels of a column the name of another; all else stays as it is.

    Examples
    --------
    >>> renamed("g", {"d": "c"})
    "df['g'] = df['g'].astype(object).map(lambda level: {'d': 'c'}.get(level, level))"
    """
    mapped = {_plain(old): _plain(new) for old, new in levels.items()}
    return f"df[{name!r}] = df[{name!r}].astype(object).map(lambda level: {mapped!r}.get(level, level))"


def among(rows: str, kept: str) -> Advice:
    """The call that imputes some rows of the frame and leaves the frame as it is.

    Examples
    --------
    >>> among("df['t'].notna()", "a time")
    "df[df['t'].notna()].mice.impute()  # the rows with a time; df keeps all"
    """
    return call(f"df[{rows}].mice.impute").then(f"  # the rows with {kept}; df keeps all")


def repeated(name: Hashable) -> str:
    """The line that writes out rows that stand for several: each as often as its frequency says."""
    return f"df = df.iloc[np.repeat(np.arange(len(df)), df[{name!r}].astype(int))].assign(**{{{name!r}: 1}})"


def rows_where(code: str, columns: Iterable[Hashable], truth: bool) -> str:
    """Code for the rows where a condition is known to hold, or known not to.

    Examples
    --------
    >>> rows_where("g == 'c'", ["g"], False)
    "pd.Series(df['g'] == 'c', index=df.index).where(df['g'].notna()).eq(False).fillna(False).astype(bool)"
    """
    return f"{of_expression(code, columns)}.eq({truth}).fillna(False).astype(bool)"


def with_outcome(
    code: str, formula: str, columns: Iterable[Hashable], words: Mapping[str, Any], source: Sequence[Hashable]
) -> str:
    """The lines that make an outcome of an expression, and the call that analyses it.

    Parameters
    ----------
    code : str
        On the frame.
    formula : str
        The analysis, of which the right side stays.
    columns : iterable of hashable
        Names that are taken.
    words : mapping
        Of the analysis.
    source : sequence of hashable
        Columns that the outcome is made of; what is not on the right side is left alone, for it is the outcome again.
    """
    known = list(columns)
    new, right = free_name("outcome", known), formula.partition("~")[2].strip()
    used = _variables(right, known)
    left = left_alone(*(name for name in source if name not in used))
    made = call("df.mice.impute", f"{new} ~ {right}", **words, **left).in_place_of(formula)
    return made.after(f"df[{new!r}] = {code}; ")


def without(terms: Terms, name: Hashable, columns: Iterable[Hashable]) -> str:
    """A formula without the terms of one column."""
    known = list(columns)
    kept = [
        ":".join(codes) for codes in terms.factors
        if codes and not any(name in take_apart(code, known).variables for code in codes)
    ]  # fmt: skip
    constant = [] if "Intercept" in terms.codes and kept else ["1" if "Intercept" in terms.codes else "0"]
    return f"{terms.outcome} ~ {' + '.join([*constant, *kept])}"


def _variables(right: str, columns: list[Hashable]) -> set[Hashable]:
    """Columns in the right side of a formula; those whose names occur where it cannot be read."""
    try:
        terms = patsy.ModelDesc.from_formula(f"~ {right}").rhs_termlist
        codes = [factor.code for term in terms for factor in term.factors]
        return {v for code in codes for v in take_apart(code, columns).variables}
    except (patsy.PatsyError, SyntaxError):
        return {name for name in columns if str(name) in right}


def _keeps_missing(node: ast.AST) -> bool:
    """Whether an expression of numbers is missing wherever one of them is: arithmetic and numpy's functions of one."""
    if isinstance(node, ast.Name | ast.Constant):
        return True
    if isinstance(node, ast.BinOp):
        return not isinstance(node.op, ast.BitAnd | ast.BitOr | ast.BitXor) and all(
            map(_keeps_missing, (node.left, node.right))
        )
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.UAdd) and _keeps_missing(node.operand)
    if isinstance(node, ast.Call) and (not node.keywords or getattr(node.func, "id", "") in ("standardize", "scale")):
        called = getattr(node.func, "id", "")
        if called == "Q" or getattr(node.func, "attr", "") in _METHODS:
            return True
        ufunc = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("np", "numpy")
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        inner = ufunc and name in _ARITHMETIC
        return (called in ("I", "center", "standardize", "scale") or inner) and all(map(_keeps_missing, node.args))
    return False


#: methods of a column whose values are missing where the column is, or tell one number of it
_METHODS = (
    "rank", "shift", "diff", "cumsum", "pct_change", "mean", "median", "std", "var", "min", "max", "sum", "quantile",
)  # fmt: skip
_ARITHMETIC = (
    "log", "log2", "log10", "log1p", "exp", "expm1", "sqrt", "cbrt", "abs", "square", "sin", "cos", "tan", "arctan",
    "add", "subtract", "multiply", "divide", "power", "negative", "reciprocal", "floor", "ceil", "rint", "clip",
)  # fmt: skip


def _is_number(word: Any) -> bool:
    """Whether a word or a level is a number."""
    try:
        return bool(np.isfinite(float(word)))
    except (TypeError, ValueError):
        return False


def _plain(level: Any) -> Any:
    """A level as it is written: 2, not 2.0."""
    if isinstance(level, np.generic):
        level = level.item()
    return int(level) if isinstance(level, float) and level.is_integer() else level

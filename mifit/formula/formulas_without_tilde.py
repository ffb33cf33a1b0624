"""Names of columns where a formula should be: written as an analysis, with an outcome on the left."""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from ..calls import Advice, call
from ..errors import FormulaError
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from .hints import model_for
from .terms import code_of, quoted

__all__ = ["analysis", "corrected", "recased", "refuse_names"]

_SHOWN = 2  # predictors that stand in an advice where none was named
_MANY_LEVELS = 10  # levels from which a column is no predictor to show
_LEFT = "  # your outcome on the left"


def refuse_names(formulas: Sequence[Any], table: Table) -> None:
    """Refuse a list of columns where formulas should be.

    Raises
    ------
    FormulaError
        With the analysis of the first column by the others.
    """
    texts = [one for one in formulas if isinstance(one, str)]
    if not texts or len(texts) < len(formulas) or any("~" in one for one in texts):
        return
    known = [_known(one, table) for one in texts]
    if len(texts) > 1 and all(len(one) == 1 for one in known):
        shown = ", ".join(map(repr, texts[:4])) + (", ..." if len(texts) > 4 else "")
        named = [one[0] for one in known]
        raise FormulaError(
            f"[{shown}] names columns; an analysis is a formula, its outcome on the left.",
            do=_of_names(named, table, "*"),
        )


def analysis(formula: Any, table: Table) -> str:
    """The call for a text or list of columns without a tilde, or without an outcome; empty where it has both.

    Parameters
    ----------
    formula : object
        As the user gave it.
    table : Table

    Returns
    -------
    str
    """
    given = formula if isinstance(formula, str) else "*"
    if isinstance(formula, list | tuple):
        formula = " ".join(map(str, formula)) if formula and "~" not in str(formula) else ""
    if not isinstance(formula, str):
        formula = ""
    left, tilde, right = formula.partition("~")
    if not tilde and re.search(r"(?<![=!<>(])=(?!=)", formula) and "(" not in formula:  # chl = age + bmi
        left, tilde, right = formula.partition("=")
        return _called(f"{_spelled(left, table)} ~ {_spelled(right, table)}", _known(left, table), table, given)
    if tilde and left.strip():
        spelled = " ~ ".join(_spelled(side, table) for side in (left, right))
        return "" if spelled.split() == formula.split() else _called(spelled, _known(left, table), table, given)
    named = _known(right if tilde else formula, table)
    if tilde or re.search(r"[+*:(|]", formula):
        outcome = next((n for n in _outcomes(table) if n not in named), None)
        if outcome is None:
            return ""
        spelled = _spelled(right if tilde else formula, table)
        return _called(f"{code_of(outcome)} ~ {spelled}", [outcome], table, given, _LEFT)
    return _of_names(named or _outcomes(table)[:1], table, given) if named or _outcomes(table) else ""


def recased(formula: str, columns: Iterable[Hashable]) -> str:
    """A formula with its names written as the columns are: ``BMI`` for bmi; the same where nothing is meant by it.

    Examples
    --------
    >>> recased("CHL ~ np.log(Age) + bmi", ["chl", "age", "bmi"])
    'chl ~ np.log(age) + bmi'
    """
    known = [name for name in columns if isinstance(name, str)]
    small = [name.lower() for name in known]
    meant = {low: name for low, name in zip(small, known, strict=True) if small.count(low) == 1}

    def one(found: re.Match[str]) -> str:
        name = found[0]
        return name if name in known else code_of(meant[name.lower()]) if name.lower() in meant else name

    return re.sub(r"(?<![\w.'\"])[^\W\d]\w*(?![\w.'\"]|\s*\()", one, formula)


def corrected(formula: str, name: str, near: str) -> str:
    """A formula with a name replaced by the one that was probably meant; empty where nothing is near.

    Parameters
    ----------
    formula, name : str
    near : str
        What :func:`mifit.errors.nearest` says of the name.

    Examples
    --------
    >>> corrected("y ~ agee", "agee", " (did you mean 'age'?)")
    'y ~ age'
    """
    said = near.partition("did you mean ")[2].rpartition("?")[0]
    if not said:
        return ""
    code = code_of(ast.literal_eval(said))
    return re.sub(rf"(?<![\w.'\"]){re.escape(name)}(?![\w'\"])", lambda _: code, formula)


def _of_names(named: Sequence[Hashable], table: Table, given: str) -> str:
    """The call that analyses the first column by the others; by some of the frame where there are no others."""
    outcome, *others = dict.fromkeys(named)
    remark = "" if others else "  # your predictors on the right"
    others = others or [n for n, c in table.columns.items() if n != outcome and _shows(c)][:_SHOWN]
    right = " + ".join(map(code_of, others)) or "1"
    return _called(f"{code_of(outcome)} ~ {right}", [outcome], table, given, remark)


def _called(formula: str, outcome: Sequence[Hashable], table: Table, given: str, remark: str = "") -> str:
    """The call of a formula in place of the one given, with a model where its outcome needs to be told one."""
    column = table[outcome[0]] if outcome else None
    if column is None or column.number or column.kind is Kind.BINARY:
        return call("df.mice.impute", formula).in_place_of(given).then(remark)
    made = model_for(column, formula)
    return made.in_place_of(given).then(remark) if isinstance(made, Advice) else made


def _outcomes(table: Table) -> list[Hashable]:
    """Columns that may be an outcome, measurements first."""
    found = [n for n, c in table.columns.items() if c.kind is not Kind.OTHER and (c.number or c.kind is Kind.BINARY)]
    return sorted(found, key=lambda n: table[n].kind is not Kind.NUMERIC)


def _shows(column: Column) -> bool:
    """Whether a column may stand in an example of an analysis."""
    if column.kind is Kind.OTHER or not len(column.observed):
        return False
    seen = column.values[column.observed]
    return bool(seen.min() < seen.max()) and (column.number or column.n_levels <= _MANY_LEVELS)


def _spelled(text: str, table: Table) -> str:
    """A side of a formula with its columns as they are written in one."""
    for name in (n for n in table.columns if isinstance(n, str) and n.strip() and code_of(n) != n):
        literal = name.replace("\\", r"\\")
        text = re.sub(rf"(?<![\w.]){re.escape(name)}(?![\w.])", literal, text, flags=re.IGNORECASE)
    return quoted(recased(text, table.columns), table.columns).strip()


def _known(text: str, table: Table) -> list[Hashable]:
    """Columns that a text names, in order; names with blanks before their parts, whatever the case of their letters."""
    text = re.sub(r"Q\((['\"])(.*?)\1\)", r"\2", text)
    names = sorted((n for n in table.columns if isinstance(n, str) and n.strip()), key=len, reverse=True)
    if not names:
        return []
    exact = "|".join(map(re.escape, names))
    found = re.findall(rf"(?<![\w.])(?:{exact})(?![\w.])", text, flags=re.IGNORECASE)
    small = {n.lower(): n for n in reversed(names)}
    return list(dict.fromkeys(n if n in table else small[n.lower()] for n in found))

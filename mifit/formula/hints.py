"""What a user of another program may have meant: the formula said again as it is said here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ModelError
from ..frame.kinds import Kind
from ..frame.spelled import spelled
from ..frame.table import Column
from .recipe import usable

_MANY = 10  # levels of text that are numbers, from which they are no codes

__all__ = ["instead_of", "model_for", "refuse_unbuilt"]

_SURVIVAL = re.compile(r"\s*Surv\(([^()]*)\)\s*")
_STRATA = re.compile(r"(?:\+\s*)?\bstrata\(([^()]*)\)")


def instead_of(name: str, formula: str) -> str:
    """The call that does what an unknown function would have done; empty where none is known.

    Parameters
    ----------
    name : str
        The function: one of numpy's without its module, or ``Surv`` and ``strata`` as in R.
    formula : str

    Returns
    -------
    str

    Examples
    --------
    >>> instead_of("log", "y ~ log(bmi)")
    "df.mice.impute('y ~ np.log(bmi)')"
    >>> instead_of("Surv", "Surv(t, d) ~ x + strata(site)")
    "df.mice.impute('t ~ x', model='phreg', status='d', strata='site')"
    """
    if name in ("Surv", "strata"):
        return _proportional_hazards(formula)
    if isinstance(getattr(np, name, None), np.ufunc):
        spelled = re.sub(rf"(?<![.\w]){name}(?=\()", f"np.{name}", formula)
        return f"df.mice.impute({spelled!r})"
    return ""


def model_for(column: Column, formula: str) -> str:
    """The call that models an outcome of several levels: in order, or without."""
    if column.kind is Kind.OTHER:
        return usable(column)
    if (found := spelled(column.coding.levels)) is not None and (found.odd or len(column.coding.levels) > _MANY):
        return found.line(column.name)
    return f"df.mice.impute({formula!r}, model={'ordinal' if column.kind is Kind.ORDINAL else 'mnlogit'!r})"


def refuse_unbuilt(model: Any, words: Iterable[str], formula: str) -> None:
    """Refuse by name the survival analyses that are not built, with what to do meanwhile.

    Parameters
    ----------
    model : object
        As the user gave it; None where none was named.
    words : iterable of str
        Keywords of the analysis.
    formula : str

    Raises
    ------
    ModelError
        For interval censoring, case-cohort samples, competing risks and effects that vary with time.
    """
    cls = getattr(model, "__self__", model)  # of a formula function
    name = str(getattr(cls, "__name__", cls)).lower()
    survival = name in ("phreg", "cox", "coxph") or "Surv(" in formula
    for fact, (models, given, called, do) in _UNBUILT.items():
        asked = name in models or (survival and given & set(words)) or re.search(called, formula)
        if asked:
            raise ModelError(f"{fact} not built yet.", formula=formula, do=do)


_UNBUILT = {
    "interval censoring is": (
        {"icenreg", "ic_sp", "intreg", "intcox", "stintreg"},
        {"upper", "lower", "left", "right", "time2", "interval"},
        r"\bSurv\(.*interval",
        "df['time'] = (df['lower'] + df['upper']) / 2"
        "  # meanwhile: midpoints, and once more with lower and upper to see what it matters",
    ),
    "the weighting of case-cohort samples is": (
        {"cch"},
        {"subcohort", "subcoh", "cohort_size", "case_weights", "weights", "pweights"},
        r"(?!)",
        "df.mice.impute('time ~ x', model='phreg', status='died')"
        "  # meanwhile: all rows of the cohort, what was measured in the sample only left missing",
    ),
    "a model of competing risks is": (
        {"finegray", "crr", "cuminc", "stcrreg", "fine-gray"},
        {"cause", "causes", "failcode", "fstatus", "event_type", "competing"},
        r"\b(?:crr|finegray|Hist)\(",
        "df['event'] = (df['cause'] == 1).where(df['cause'].notna())"
        "  # meanwhile: the hazard of one cause, the others censored: model='phreg', status='event'",
    ),
    "an effect that varies with time is": (
        {"timecox", "aalen", "coxtimevarying"},
        {"tt", "tvc"},
        r"\b(?:tt|tvc)\(",
        "df.mice.impute('stop ~ x*period', model='phreg', status='died', entry='start', id='subject')"
        "  # meanwhile: rows split into periods",
    ),
}


def _proportional_hazards(formula: str) -> str:
    """R's ``Surv(start, stop, event) ~ x + strata(g)`` as a formula and keywords; empty where it is neither."""
    left, _, right = formula.partition("~")
    words = ["model='phreg'"]
    survival = _SURVIVAL.fullmatch(left)
    if survival is not None:
        parts = [part.strip() for part in survival[1].split(",")]
        if not 1 <= len(parts) <= 3:
            return ""
        left = f"{parts[-2] if len(parts) > 1 else parts[0]} "
        words += [f"status={parts[-1]!r}"] if len(parts) > 1 else []
        words += [f"entry={parts[0]!r}"] if len(parts) == 3 else []
    strata = _STRATA.search(right)
    if strata is not None:
        right = _STRATA.sub("", right).strip().removeprefix("+")
        words.append(f"strata={strata[1].strip()!r}")
    return f"df.mice.impute({f'{left.strip()} ~ {right.strip() or 1}'!r}, {', '.join(words)})"

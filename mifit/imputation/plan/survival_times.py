"""Checks of survival times: delayed entry that looks like a coding error, and a missing ``status=``."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from ...calls import Advice, left_alone
from ...errors import call
from ...formula.column_code import event_of, tells_event, without
from ...formula.question import Question
from ...frame.table import Column, Table, free_name
from ...typing import Array
from .likelihoods import keyword_vector

__all__ = ["NO_STATUS", "doubts_of_times", "late_cases", "unnamed_status"]

NO_STATUS = "no status= is given: every time counts as that of an event, none as censored"
_TINY = 0.005  # of the usual time at risk: nobody is followed for so little by chance
_FEWEST, _SHARE = 5, 0.05  # events that enter so late, in number and among all, that are a pattern
_NAMED = re.compile(
    r"status|event|dead|death|died|deceas|decess|exitus|mortal|cens|fail|relaps|recur|progress|outcome|vital|alive|surviv",
    re.IGNORECASE,
)
# whole words of a name
_SHORT = frozenset(["d", "delta", "δ", "dth", "dod", "ev", "evt", "stat", "fstat", "arrest", "indicator"])
_FIRST = re.compile(r"status|event|dead|death|died|deceas", re.IGNORECASE)
_BRIEF = 0.05  # of the usual time at risk: as little, to the digit the same for many events, is a convention
_TIED, _CHANCE = 3, 1e-3  # rows at the end of all follow-up that have one value, and how rarely they would by chance
_CENSORED = re.compile(r"cens|alive|surviv", re.IGNORECASE)


def doubts_of_times(questions: Sequence[Question], table: Table) -> list[str]:
    """Sentences on the survival analyses among some questions, for the plan and for warnings."""
    found: list[str] = []
    for question in questions:
        if question.facts.hazard:
            found += filter(None, [unnamed_status(question, table), late_cases(question, table)])
    return found


def late_cases(question: Question, table: Table) -> str:
    """What is said where many events enter just before they end; empty where they do not.

    Notes
    -----
    A case-cohort sample is often written as left truncation: cases outside the subcohort enter a moment before their
    event. That is a pseudo-likelihood (Prentice 1986), not the likelihood of left truncated data, and the models of
    the covariates see cases too often.

    References
    ----------
    Prentice, R. L. (1986). A case-cohort design for epidemiologic cohort studies and disease prevention trials.
    *Biometrika* 73(1), 1-11. doi:10.1093/biomet/73.1.1
    """
    if not question.facts.hazard or len(question.outcome) != 1 or not question.bare:
        return ""
    column, entry = table[question.outcome[0]], keyword_vector(question, "entry", table)
    if entry is None or not column.number or len(column.missing):
        return ""
    status = keyword_vector(question, "status", table)
    known = np.isfinite(entry) if status is None else np.isfinite(entry) & np.isfinite(status)
    event = known if status is None else known & (status != 0)
    risk = column.numbers(column.values) - entry
    rest = known & ~event if (known & ~event).any() else known
    late = _moments(risk, event, float(np.median(risk[rest]))) if rest.any() else np.zeros(len(risk), dtype=bool)
    many, events = int((late & event).sum()), int(event.sum())
    others = float(late[known & ~event].mean()) if (known & ~event).any() else 0.0
    if many < max(_FEWEST, _SHARE * events) or 5 * others > many / events:
        return ""
    return (
        f"{many} of {events} events enter just before they end, as cases outside the subcohort of a case-cohort sample "
        "do: left truncation is no likelihood of them; impute all rows of the cohort, without entry="
    )


def _moments(risk: Array, event: npt.NDArray[np.bool_], usual: float) -> npt.NDArray[np.bool_]:
    """Rows that are followed for a moment: hardly at all, or for the same short time, such as a day, (n,)."""
    least = float(risk[event].min()) if event.any() else np.inf
    same = np.abs(risk - least) <= 1e-9 * np.abs(risk).max()
    return np.asarray((risk <= _TINY * usual) | (same & (least <= _BRIEF * usual)))


def unnamed_status(question: Question, table: Table) -> str:
    """What is said of a survival analysis without ``status=``; the call to paste where a column looks like one."""
    if not question.facts.hazard or question.keywords.get("status") is not None:
        return ""
    used = {*question.outcome, *(v for v in question.keywords.values() if isinstance(v, str))}
    found = {name: _event_of(name, column) for name, column in table.columns.items() if name not in used}
    at_end = {k: v for k, v in _at_the_end(question, table).items() if k not in question.variables(table)}
    named = [name for name in found if _usual(name) and _of_few_values(table[name])]
    named.sort(key=lambda name: not _FIRST.search(str(name)))
    shown = [*named, *(name for name in at_end if name in found and name not in named)]
    values = {name: at_end.get(name) if name not in named else found[name] for name in shown}
    first = next((name for name in shown if values[name] is not None), None)
    others = ", ".join(repr(name) for name in shown if name != first)
    if first is None:
        return f"{NO_STATUS}; look at {others}, which may say who had the event" if others else NO_STATUS
    also = f"; {others} may say so too" if others else ""
    advice = _advised(question, table, first, values[first])
    return advice.after(f"{NO_STATUS}{also}; if {first!r} says who had the event: ")


def _usual(name: Hashable) -> bool:
    """Whether a column is named as those of events usually are, in any case and with anything before or after."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name)))
    return bool(_NAMED.search(str(name))) or any(word.lower() in _SHORT for word in words)


def _of_few_values(column: Column) -> bool:
    """Whether a column has two values, or the three of 0, 1 and 2."""
    seen = np.unique(column.values[column.observed])
    return len(seen) == 2 or (len(seen) == 3 and _event_of("", column) is not None)


def _at_the_end(question: Question, table: Table) -> dict[Hashable, object]:
    """Columns of two values of which one alone occurs where follow-up ends for many, and the other: the event."""
    if len(question.outcome) != 1 or not question.bare or not table[question.outcome[0]].number:
        return {}
    time = table[question.outcome[0]].values
    last = np.flatnonzero(time == np.nanmax(time)) if np.isfinite(time).any() else np.empty(0, dtype=np.int64)
    found: dict[Hashable, object] = {}
    for name, column in table.columns.items():
        seen, counts = np.unique(column.values[column.observed], return_counts=True)
        there = column.values[np.intersect1d(last, column.observed)]
        if len(seen) != 2 or len(there) < _TIED or np.ptp(there) > 0:
            continue
        share = counts[seen == there[0]][0] / counts.sum()
        value = column.coding.decode(seen[seen != there[0]]).tolist()[0]
        if share ** len(there) < _CHANCE and isinstance(value, str | bool | int | float):
            found[name] = value
    return found


def _event_of(name: Hashable, column: Column) -> object | None:
    """The value that means an event, in a column of two or three values that looks like a status; None in others."""
    seen = column.coding.decode(np.unique(column.values[column.observed]))
    values = [v.item() if isinstance(v, np.generic) else v for v in seen]
    turned = bool(_CENSORED.search(str(name)))
    if len(values) == 2 and all(isinstance(v, str) for v in values):
        return event_of(values, turned) if tells_event(values) else None
    if not 2 <= len(values) <= 3 or not all(isinstance(v, bool | int | float) for v in values):
        return None
    if len(values) == 3 and any(v not in (0, 1, 2) for v in values):
        return None
    found: object = event_of(values, turned)
    return found


def _advised(question: Question, table: Table, name: Hashable, value: object) -> Advice:
    """The call with its status; rows without one stay out, for a status is not imputed."""
    column, frame, formula = table[name], "df", question.formula
    if name in question.variables(table):  # who had the event is no covariate of when
        formula = without(question.terms, name, table.columns)
    if len(column.missing):
        frame = f"df[df[{name!r}].notna()]"
    values = set(column.coding.decode(np.unique(column.values[column.observed])).tolist())
    if isinstance(name, str) and values == {0, 1} and value == 1 and not isinstance(value, bool):
        return call(f"{frame}.mice.impute", formula, model=question.model, status=name)
    fresh = free_name("had_event" if "event" in table else "event", table.columns)
    made = f"lambda d: (d[{name!r}] == {value!r}).astype(float)"
    return call(
        f"{frame}.assign({fresh}={made}).mice.impute", formula, model=question.model, status=fresh, **left_alone(name)
    )

"""Survival analyses that are not built: refused by name, with what to do meanwhile on the user's own columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ..calls import Advice, call
from ..errors import ModelError
from ..frame.kinds import Kind
from ..frame.table import Table, free_name
from .column_code import event, is_level
from .model_facts import model_facts
from .terms import code_of, quoted

__all__ = ["refuse_unbuilt"]

_SURV = re.compile(r"\s*Surv\(([^()]*)\)\s*")
_STATUS = ("status", "event", "dead", "died", "death", "fstatus", "cause", "delta", "cens")
_PAIRS = (("lower", "upper"), ("left", "right"), ("start", "stop"), ("time1", "time2"), ("time", "time2"), ("l", "u"))
_LOOK = "df.dtypes"  # where no column is found


def refuse_unbuilt(model: Any, words: Mapping[str, Any], formula: Any, table: Table) -> None:
    """Refuse by name the survival analyses that are not built.

    Parameters
    ----------
    model : object
        As the user gave it; None where none was named.
    words : mapping
        Keywords of the analysis.
    formula : object
        As the user gave it.
    table : Table

    Raises
    ------
    ModelError
        For interval censoring, case-cohort samples, competing risks and effects that vary with time.
    """
    cls, formula = getattr(model, "__self__", model), str(formula)  # of a formula function
    name = str(getattr(cls, "__name__", cls)).lower()
    survival = model_facts(name).hazard or name in ("cox", "coxph") or "Surv(" in formula
    for fact, (models, given, called, meanwhile) in _UNBUILT.items():
        if name in models or (survival and given & set(words)) or re.search(called, formula):
            raise ModelError(f"{fact} not built yet.", formula=formula, do=meanwhile(formula, words, table))


def _midpoints(formula: str, words: Mapping[str, Any], table: Table) -> str:
    """Events at the middle of their intervals; an open interval is censored at its lower end."""
    named: list[Hashable] = [one for one in _surv(formula) if one in table]
    named += [v for w in ("lower", "left", "time", "upper", "right", "time2") if (v := _column(words, w, table))]
    named = list(dict.fromkeys(named))
    time = _time(formula, table)
    if len(named) == 1 and time is not None and time not in named:
        named.insert(0, time)
    if len(named) < 2:
        small = {str(n).lower(): n for n in table.columns if table[n].number}
        named = next(([small[a], small[b]] for a, b in _PAIRS if a in small and b in small), [])
    if len(named) < 2 or not all(table[n].number for n in named[:2]):
        return _LOOK
    lower, upper = (f"df[{n!r}].astype(float)" for n in named[:2])
    middle, fresh = free_name("midpoint", table.columns), free_name("event", table.columns)
    leave = dict.fromkeys(named[:2], "leave")
    made = (
        f"low, high = {lower}.fillna(0), {upper}.replace(np.inf, np.nan); "
        f"df = df.assign(**{{{middle!r}: ((low + high) / 2).fillna(low), {fresh!r}: high.notna().astype(float)}}); "
    )
    analysis = _of(formula, middle, table, named[:2])
    return (
        _advice(analysis, formula, words, status=fresh, methods=leave)
        .after(made)
        .then("  # meanwhile: middles of the intervals")
    )


def _whole_cohort(formula: str, words: Mapping[str, Any], table: Table) -> str:
    """All rows of the cohort; what was measured in the sample only is missing elsewhere, and imputed."""
    time, status = _time(formula, table), _status(formula, words, table)
    if time is None:
        return _LOOK
    made = _advice(_of(formula, time, table), formula, words, **({} if status is None else {"status": status}))
    return made.then("  # meanwhile: all rows of the cohort, what was measured in the sample only left missing")


def _one_cause(formula: str, words: Mapping[str, Any], table: Table) -> str:
    """The hazard of one cause, the others censored."""
    causes = ("cause", "causes", "fstatus", "event_type", "competing", "status")
    named = [v for w in causes if (v := _column(words, w, table))]
    found = named[0] if named else _status(formula, words, table)
    time = _time(formula, table)
    if found is None or time is None:
        return _LOOK
    column = table[found]
    seen = column.coding.decode(np.unique(column.values[column.observed])).tolist()
    code = words.get("failcode", 1)
    fresh = free_name("event", table.columns)
    line = event(found, seen, table.columns).partition("  #")[0]
    if code in seen and len(seen) > 2:
        line = f"df[{fresh!r}] = {is_level(found, code)}"
    cause = re.search(r"== (.*?)\)", line)
    what = f"the hazard of cause {cause[1]}" if cause else "the hazard of one cause"
    made = _advice(_of(formula, time, table, [found]), formula, words, status=fresh, methods={found: "leave"})
    return made.after(f"{line}; ").then(f"  # meanwhile: {what}, the others censored")


def _periods(formula: str, words: Mapping[str, Any], table: Table) -> str:
    """Rows split at the median time, with an effect for each of the two periods."""
    time, status = _time(formula, table), _status(formula, words, table)
    varying = re.findall(r"\b(?:tt|tvc)\(\s*([^()]+?)\s*\)", formula)
    right = re.sub(r"\b(?:tt|tvc)\(\s*([^()]+?)\s*\)", r"\1", formula.partition("~")[2]).strip()
    varying += [str(v) for w in ("tt", "tvc") if (v := _column(words, w, table)) is not None]
    if time is None or status is None or not table[time].number:
        return _LOOK
    if not varying:
        words_ = [one for one in map(str.strip, right.split("+")) if re.fullmatch(r"\w+", one) and one in table]
        varying = words_[:1]
    if not varying:
        return _LOOK
    start, stop, late, subject, event_ = (
        free_name(one, table.columns) for one in ("start", "stop", "late", "subject", "event")
    )
    t, d, kept = f"df[{time!r}]", f"df[{status!r}]", quoted(right, table.columns)
    effects = " + ".join(dict.fromkeys([kept, *(f"{quoted(v, table.columns)}:{late}" for v in varying)]))
    early = f"{start!r}: 0.0, {stop!r}: {t}.clip(upper=cut), {event_!r}: {d}.where({t} <= cut, 0), {late!r}: 0"
    later = f"{start!r}: cut, {stop!r}: {t}, {event_!r}: {d}, {late!r}: 1"
    made = (
        f"cut = {t}.median(); df = df.assign(**{{{subject!r}: range(len(df))}}); "
        f"long = pd.concat([df.assign(**{{{early}}}), df.assign(**{{{later}}})[{t} > cut]], ignore_index=True); "
    )
    advice = _advice(
        f"{stop} ~ {effects}", formula, words, status=event_, entry=start, id=subject,
        methods={time: "leave", status: "leave"},
    )  # fmt: skip
    remark = "  # meanwhile: an effect before and one after the median time"
    return advice.with_verb("long.mice.impute").after(made).then(remark)


def _advice(analysis: str, formula: str, given: Mapping[str, Any], **words: Any) -> Advice:
    """The call of a model of hazards in place of an analysis, without words that only the other one takes."""
    foreign = dict.fromkeys(sorted((set(given) & _FOREIGN) - set(words)))
    return call("df.mice.impute", analysis, model="phreg", **words, **foreign).in_place_of(formula)


def _surv(formula: str) -> list[str]:
    """What stands in R's Surv(), without words."""
    found = _SURV.match(formula.partition("~")[0])
    parts = [] if found is None else [one.strip() for one in found[1].split(",")]
    return [one for one in parts if "=" not in one]


def _of(formula: str, outcome: Hashable, table: Table, without: Sequence[Hashable] = ()) -> str:
    """The analysis of another outcome by the same right side."""
    right = re.sub(r"\+?\s*\b(?:cluster|strata|tt|tvc)\([^()]*\)", "", formula.partition("~")[2]).strip().strip("+ ")
    terms = [one for one in map(str.strip, right.split("+")) if one not in set(map(str, without))]
    return f"{code_of(outcome)} ~ {quoted(' + '.join(filter(None, terms)) or '1', table.columns)}"


def _column(words: Mapping[str, Any], word: str, table: Table) -> Hashable | None:
    """The column that a word names."""
    given = words.get(word)
    return given if isinstance(given, Hashable) and given is not None and given in table else None


def _time(formula: str, table: Table) -> Hashable | None:
    """The survival time of an analysis."""
    parts, left = _surv(formula), formula.partition("~")[0].strip()
    found = parts[1] if len(parts) > 2 and parts[1] in table else parts[0] if parts else left
    literal = re.fullmatch(r"Q\((['\"])(.*)\1\)", found)
    found = literal[2] if literal else found
    return found if found in table else None


def _status(formula: str, words: Mapping[str, Any], table: Table) -> Hashable | None:
    """The column of events: as named, as the last in Surv(), or one that is called so."""
    given = _column(words, "status", table)
    parts = _surv(formula)
    if given is None and len(parts) > 1 and parts[-1] in table:
        given = parts[-1]
    if given is not None:
        return given
    small = {str(n).lower(): n for n in table.columns}
    found = [small[one] for one in _STATUS if one in small and not len(table[small[one]].missing)]
    return min(found, key=lambda n: table[n].kind is not Kind.BINARY, default=None)


_Meanwhile = Callable[[str, Mapping[str, Any], Table], str]
_UNBUILT: dict[str, tuple[set[str], set[str], str, _Meanwhile]] = {
    "interval censoring is": (
        {"icenreg", "ic_sp", "intreg", "intcox", "stintreg"},
        {"upper", "lower", "left", "right", "time2", "interval"},
        r"\bSurv\(.*interval",
        _midpoints,
    ),
    "the weighting of case-cohort samples is": (
        {"cch"},
        {"subcohort", "subcoh", "cohort_size", "case_weights", "weights", "pweights"},
        r"(?!)",
        _whole_cohort,
    ),
    "a model of competing risks is": (
        {"finegray", "crr", "cuminc", "stcrreg", "fine-gray"},
        {"cause", "causes", "failcode", "fstatus", "event_type", "competing"},
        r"\b(?:crr|finegray|Hist)\(",
        _one_cause,
    ),
    "an effect that varies with time is": (
        {"timecox", "aalen", "coxtimevarying"},
        {"tt", "tvc"},
        r"\b(?:tt|tvc)\(",
        _periods,
    ),
}

_FOREIGN = frozenset().union(*(given for _, given, _, _ in _UNBUILT.values()))

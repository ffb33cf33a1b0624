"""Texts about an imputed set: its printed lines, the header and the notes of a summary, its warnings."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from ..calls import Advice, left_alone, with_request
from ..errors import ClusterWarning, call, warn
from ..examine.convergence import convergence, state, unsettled
from ..examine.events import events_of, far_out
from ..formula.question import Question
from ..formula.terms import take_apart
from ..frame.table import Table
from ..imputation.plan.clusters import drawn_without_clusters
from ..imputation.plan.deductive import BUT_FOR
from ..imputation.plan.made_columns import APART
from ..imputation.plan.plan import FOLLOWS, Plan
from ..imputation.plan.survival_times import NO_STATUS, doubts_of_times
from ..imputation.plan.usable_columns import MAY_BE_MISSING
from ..record.record import Record, remembered
from ..record.request import IMPUTE

__all__ = [
    "convergence_of",
    "described",
    "header_of",
    "notes_of",
    "remaining",
    "said_of_incomplete",
    "said_of_remaining",
    "warn_of_clusters",
    "warn_of_times",
    "warn_of_values",
]


def described(record: Record) -> list[str]:
    """Lines of the repr of an ImputedSet: size, analyses, how each column was drawn."""
    n, p = record.frame.shape
    filled, rest = record.completed.filled, remaining(record)
    lines = [
        f"ImputedSet {record.identity}: {record.m} completed sets of {n} rows x {p} columns; "
        f"{sum(filled.values())} missing values in {len(filled)} columns{said_of_remaining(rest)}"
    ]
    if record.plan is None:
        return [*lines, f"  made elsewhere ({record.origin})"]
    pairs = zip(record.written, record.plan.questions, strict=True)
    lines += [f"  analysis : {one}   ({q.model})" for one, q in pairs]
    sweeps = f"{record.iterations} iteration{'s' * (record.iterations != 1)}"
    lines.append("  drawn    : " + ", ".join(filter(None, [record.plan.title, sweeps, state(convergence_of(record))])))
    checked = record.memo.get("mifit.workflow.check_model.model_check_of")
    lines += [] if checked is None else [f"  models   : {checked.verdict}"]
    width = min(max([12, *(len(str(name)) for name in filled)]), 40)
    for name, count in filled.items():
        lines.append(f"  {name!s:<{width}.{width}} {100 * count / n:5.1f} % missing   {_how(record.plan, name)}")
    lines += [f"  far out  : {one}; see imp.check_values()" for one in far_out(record)]
    lines += [f"  look at  : {line}" for text in _doubts_of_values(record.plan) for line in text.split("\n")]
    if rest:
        lines.append("  still missing: " + ", ".join(f"{name} ({count})" for name, count in rest.items()))
    return lines


def _how(plan: Plan, name: Hashable) -> str:
    """Method and sampler of a column, or why nothing is drawn of it."""
    if name not in plan:
        return FOLLOWS
    variable = plan[name]
    if variable.method is None:
        return variable.why
    return variable.label + (f", {variable.sampler}" if variable.sampler not in ("own", "") else "")


@remembered
def convergence_of(record: Record) -> pd.DataFrame:
    """Whether the chains have settled, trace by trace; see :meth:`mifit.ImputedSet.convergence`."""
    return convergence(record.chains, record.plan, record.table.drawn)


def remaining(record: Record) -> dict[Hashable, int]:
    """Count the cells of each column that stay missing in every set, those outside where= and conditional= aside."""
    completed, plan = record.completed, record.plan
    if plan is not None and plan.options.where is not None:
        return {}
    skipped = set() if plan is None else {*plan.options.conditional}
    filled = completed.filled
    counts = {n: len(completed.table[n].missing) - filled.get(n, 0) for n in completed.table.incomplete}
    derived = {} if plan is None else plan.options.derived
    skipped |= {n for n in derived if {*take_apart(derived[n], [*completed.table.columns]).variables} & skipped}
    return {name: count for name, count in counts.items() if count and name not in skipped}


def said_of_remaining(rest: Mapping[Hashable, int]) -> str:
    """What the first printed line adds if values stay missing."""
    if not rest:
        return ""
    return f"; {sum(rest.values())} values in {len(rest)} column{'s' * (len(rest) != 1)} still missing"


def _unasked(rest: Mapping[Hashable, int], plan: Plan | None) -> dict[Hashable, int]:
    """Columns with remaining missing values, without those that the user asked to leave alone."""
    if plan is None:
        return {}
    options = plan.options
    told = {n for n, method in options.methods.items() if isinstance(method, str) and method == "leave"}
    outside = {v.name for v in plan.variables if v.why == "outside the analysis"}
    ends = {
        end for pair in options.censored.values() for end in pair if isinstance(end, Hashable)
    }  # a missing end is open
    named = told | ends | (outside if options.auxiliary == "ignore" else set())
    unasked = {name: count for name, count in rest.items() if name not in named}
    parents = {n: take_apart(code, plan.columns).variables for n, code in options.derived.items() if n in unasked}
    return {n: k for n, k in unasked.items() if not named & {*parents.get(n, ())}}


def said_of_incomplete(rest: Mapping[Hashable, int], plan: Plan | None, request: Callable[[], Advice]) -> str:
    """The warning about values that stay missing although nobody asked for it; empty if there are none."""
    unasked = _unasked(rest, plan)
    if not unasked:
        return ""
    named = ", ".join(f"{name!r} ({count})" for name, count in unasked.items())
    do = call(IMPUTE, **left_alone(*unasked)).joined(request())
    return f"values stay missing in all completed sets: {named}. The plan says why; on purpose: {do}"


def header_of(record: Record, question: Question, subset: Any = None) -> dict[str, str]:
    """Facts of the imputation for a summary."""
    rows = {} if subset is None else {"Subset": subset if isinstance(subset, str) else "a mask"}
    if record.plan is None:
        return {**rows, "Imputed Set": record.identity, "Missing Values": f"made elsewhere; {record.origin}"}
    seed = record.seed.entropy if record.seed else None
    shown = {"Seed": str(seed)} if isinstance(seed, int) and seed < 10**10 else {}
    chosen = {"Model Chosen": question.said} if not question.said.startswith("model=") else {}
    facts = {**rows, **chosen, "Iterations": f"{record.iterations}", "Imputed Set": record.identity, **shown}
    return {**facts, "Missing Values": record.plan.short_title}


def notes_of(record: Record) -> list[str]:
    """Incidents worth a line in a summary: chains that have not settled, then the most frequent."""
    against = unsettled(convergence_of(record), record.iterations) if record.plan is not None else ""
    head = [f"the chains may not have settled: {against}"] if against else []
    events = events_of(record)
    if not len(events):
        return head
    chain = events[events["source"] == "chain"].sort_values("visits", ascending=False, kind="stable")
    lines = [f"{e.event} (in {e.chains} of {record.m} chains)" for e in chain.itertuples()]
    more = [f"{len(lines) - 4} more in imp.events"] if len(lines) > 5 else []
    return [*head, *lines[: 4 if more else 5], *more]


def warn_of_times(questions: Sequence[Question], known: Table, request: Callable[[], Advice]) -> None:
    """Warn if times or events of a survival analysis may not mean what the model assumes."""
    for text in doubts_of_times(questions, known):
        if text != NO_STATUS:
            warn(with_request(text, request()))


def warn_of_clusters(record: Record, request: Callable[[], Advice]) -> None:
    """Warn of incomplete outcomes that are analysed by cluster and drawn without."""
    if record.plan is not None:
        for fact, do in drawn_without_clusters(record.plan):
            warn(do.joined(request()).after(fact), ClusterWarning)


def _doubts_of_values(plan: Plan) -> list[str]:
    """What was found in the data that makes results wrong: columns made of others, slips, codes for missing."""
    codes = [event for event in plan.events if MAY_BE_MISSING in event]
    return [event for event in plan.events if APART in event or BUT_FOR in event] + (
        ["\n".join(codes)] if codes else []
    )


def warn_of_values(plan: Plan) -> None:
    """Warn of columns made of others, of those that nearly belong to an id, and of codes that may stand for missing."""
    for text in _doubts_of_values(plan):
        warn(text)

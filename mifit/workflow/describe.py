"""What an imputed set says of itself: its identity, its printed lines, what happened while it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..calls import Advice, completed, left_alone
from ..errors import call, warn
from ..examine.convergence import state, unsettled
from ..formula.question import Question
from ..formula.terms import take_apart
from ..frame.completed import Completed
from ..frame.table import Table
from ..imputation.plan.follow_up import NO_STATUS, doubts_of_times
from ..imputation.plan.plan import Plan
from ..storage.asked import asked
from .calls import IMPUTE, request_of

__all__ = [
    "NEW_ROWS",
    "described",
    "events_of",
    "fingerprint_of",
    "header_of",
    "identity_of",
    "notes_of",
    "remaining",
    "said_of_incomplete",
    "said_of_remaining",
    "warn_of_times",
    "within",
]

NEW_ROWS = "new rows, completed with the draws of "  # what is said of them, before the identity of those draws


def identity_of(imp: Any) -> str:
    """Eight characters that tell what was asked from any other request; see :attr:`mifit.ImputedSet.identity`."""
    if imp.plan is not None:
        numbers = sorted(chain.number for chain in imp._chains)
        return asked(imp._ground.table, imp._frame, imp.plan, imp._seed, numbers, imp.iterations)
    # Of sets made elsewhere nothing is known but their values; new rows follow from the draws that they name.
    holes = [] if imp._said.startswith(NEW_ROWS) else imp._completed.holes
    return asked(imp._completed.table, imp._frame, imp._said.split(";")[0] if not holes else "", holes, imp.m)


def fingerprint_of(imp: Any) -> str:
    """Eight characters that tell completed sets from any others; see :attr:`mifit.ImputedSet.fingerprint`."""
    digest = hashlib.sha256()
    for holes in imp._completed.holes:
        for name in (name for name in imp._table.columns if name in holes):
            digest.update(repr(name).encode() + np.ascontiguousarray(holes[name]).tobytes())
    return digest.hexdigest()[:8]


def described(imp: Any) -> list[str]:
    """Lines of the repr of an ImputedSet: size, analyses, how each column was drawn."""
    n, p = imp._frame.shape
    holes, rest = imp._completed.filled, imp._remaining
    lines = [
        f"ImputedSet {imp.identity}: {imp.m} completed sets of {n} rows x {p} columns; "
        f"{sum(holes.values())} holes in {len(holes)} columns{said_of_remaining(rest)}"
    ]
    if imp.plan is None:
        return [*lines, f"  made elsewhere ({imp._said})"]
    pairs = zip(imp._written, imp.plan.questions, strict=True)
    lines += [f"  analysis : {one}   ({q.model})" for one, q in pairs]
    sweeps = f"{imp.iterations} iteration{'s' * (imp.iterations != 1)}"
    lines.append("  drawn    : " + ", ".join(filter(None, [imp.plan.title, sweeps, state(imp._settled)])))
    width = min(max([12, *(len(str(name)) for name in holes)]), 40)
    for name, count in holes.items():
        variable = imp.plan[name]
        drawn = variable.label + (f", {variable.sampler}" if variable.sampler not in ("own", "") else "")
        how = variable.why if variable.method is None else drawn
        lines.append(f"  {name!s:<{width}.{width}} {100 * count / n:5.1f} % missing   {how}")
    lines += [f"  far out  : {one}; see imp.check_values()" for one in imp._strayed]
    if rest:
        lines.append("  still missing: " + ", ".join(f"{name} ({count})" for name, count in rest.items()))
    return lines


def remaining(completed: Completed, plan: Plan | None) -> dict[Hashable, int]:
    """Columns with cells that stay missing in every set, and how many; what where= and conditional= leave is none."""
    if plan is not None and plan.wishes.where is not None:
        return {}
    skipped = set() if plan is None else {*plan.wishes.conditional}
    filled = completed.filled
    counts = {n: len(completed.table[n].missing) - filled.get(n, 0) for n in completed.table.incomplete}
    derived = {} if plan is None else plan.wishes.derived
    skipped |= {n for n in derived if {*take_apart(derived[n], [*completed.table.columns]).variables} & skipped}
    return {name: count for name, count in counts.items() if count and name not in skipped}


def said_of_remaining(rest: Mapping[Hashable, int]) -> str:
    """What the first line of an imputed set adds where values stay missing."""
    if not rest:
        return ""
    return f"; {sum(rest.values())} values in {len(rest)} column{'s' * (len(rest) != 1)} still missing"


def _unasked(rest: Mapping[Hashable, int], plan: Plan | None) -> dict[Hashable, int]:
    """Those of the columns with remaining missing values that nobody asked to leave alone."""
    if plan is None:
        return {}
    wishes = plan.wishes
    told = {n for n, method in wishes.methods.items() if isinstance(method, str) and method == "leave"}
    outside = {v.name for v in plan.variables if v.why == "outside the analysis"}
    ends = {
        end for pair in wishes.censored.values() for end in pair if isinstance(end, Hashable)
    }  # a missing end is open
    named = told | ends | (outside if wishes.auxiliary == "ignore" else set())
    left = {name: count for name, count in rest.items() if name not in named}
    parents = {n: take_apart(code, plan.columns).variables for n, code in wishes.derived.items() if n in left}
    return {n: k for n, k in left.items() if not named & {*parents.get(n, ())}}


def said_of_incomplete(rest: Mapping[Hashable, int], plan: Plan | None, asked: Callable[[], Advice]) -> str:
    """What is warned of where values stay missing without anybody's asking for it; empty where none do."""
    left = _unasked(rest, plan)
    if not left:
        return ""
    named = ", ".join(f"{name!r} ({count})" for name, count in left.items())
    do = call(IMPUTE, **left_alone(*left)).joined(asked())
    return f"values stay missing in all completed sets: {named}. The plan says why; on purpose: {do}"


def events_of(imp: Any) -> pd.DataFrame:
    """What a reader of an ImputedSet should know; see :attr:`mifit.ImputedSet.events`."""
    every = ", ".join(str(chain.number) for chain in imp._chains)
    plan = list(imp.plan.events if imp.plan else ())
    if imp.plan is not None and not imp.plan.order:
        plan.append("nothing is missing: the m sets are equal")
    rows: list[tuple[Any, ...]] = [("plan", text, imp.m, 1, "", every, 0) for text in plan]
    for text in dict.fromkeys(text for chain in imp._chains for text in chain.events):
        saw = [chain for chain in imp._chains if text in chain.events]
        variable, first = min((chain.first.get(text, ("", 0)) for chain in saw), key=lambda pair: pair[1])
        which, visits = ", ".join(str(chain.number) for chain in saw), sum(chain.events[text] for chain in saw)
        rows.append(("chain", text, len(saw), visits, variable, which, first))
    for name in dict.fromkeys(name for chain in imp._chains for name in chain.sampled):
        drawn, tried, sliced = np.sum([chain.sampled.get(name, (0, 0, 0)) for chain in imp._chains], axis=0)
        text = f"{name}: {100 * (drawn - sliced) / tried:.1f} % of proposals accepted"
        text += f", {100 * sliced / drawn:.1f} % of draws by slice steps" if sliced else ""
        rows.append(("sampler", text, imp.m, int(drawn), name, every, 1))
    for one in imp._strayed if imp.plan is not None else ():
        rows.append(("values", f"{one}: {within(imp, one.name, one.bounds)}", imp.m, 1, one.name, every, 0))
    events = pd.DataFrame(rows, columns=["source", "event", "chains", "visits", "variable", "which", "first"])
    return events.assign(consequence=[_consequence(text) for text in events["event"]])


def within(imp: Any, name: Hashable, bounds: tuple[float | None, float | None]) -> str:
    """The call that imputes again, with a column within bounds."""
    asked = request_of(imp.plan, imp.m, imp._seed)
    return call(IMPUTE, bounds={name: bounds}).after("imp = ").joined(asked)


def _consequence(event: str) -> str:
    """What follows from an event for those who use the sets."""
    return next((so for what, so in _CONSEQUENCES if what in event), "")


#: what an event says -> what follows
_CONSEQUENCES = (
    ("is imputed from", "values that cannot be weigh in means and slopes: bounds keep them out"),
    ("separation", "effects without a finite estimate are drawn closer to no effect"),
    ("did not converge", "parameters were drawn around the last step: look at the traces"),
    ("which depends on other predictors", "what it predicts is predicted by the others"),
    ("dependent term", "what it predicts is predicted by the others"),
    ("predictions lie outside", "matching cannot reach beyond the observed values"),
    ("without a row to fit on", "such a level is never drawn"),
    ("no row to fit on", "these draws rest on no data"),
    ("by slice steps", "these draws depend on those before them: look at the traces"),
    ("do not determine what is missing", "analyses of these columns are approximate"),
    ("holes remain", "the columns keep their holes in every set"),
    ("has one observed value", "every set has that value"),
    ("has no compatible draws", "pooled results of this analysis are approximate"),
    ("nothing is missing", "the standard errors are those of the complete data"),
)


def header_of(imp: Any, question: Question, subset: Any = None) -> dict[str, str]:
    """Facts of the imputation for a summary."""
    rows = {} if subset is None else {"Subset": subset if isinstance(subset, str) else "a mask"}
    if imp.plan is None:
        return {**rows, "Imputed Set": imp.identity, "Holes": f"made elsewhere; {imp._said}"}
    seed = imp._seed.entropy if imp._seed else None
    shown = {"Seed": str(seed)} if isinstance(seed, int) and seed < 10**10 else {}
    chosen = {"Model Chosen": question.said} if not question.said.startswith("model=") else {}
    facts = {**rows, **chosen, "Iterations": f"{imp.iterations}", "Imputed Set": imp.identity, **shown}
    return {**facts, "Holes": imp.plan.short_title}


def notes_of(imp: Any) -> list[str]:
    """Incidents worth a line in a summary: chains that have not settled, then the most frequent."""
    against = unsettled(imp._settled, imp.iterations) if imp.plan is not None else ""
    head = [f"the chains may not have settled: {against}"] if against else []
    events = imp.events
    if not len(events):
        return head
    chain = events[events["source"] == "chain"].sort_values("visits", ascending=False, kind="stable")
    lines = [f"{e.event} (in {e.chains} of {imp.m} chains)" for e in chain.itertuples()]
    more = [f"{len(lines) - 4} more in imp.events"] if len(lines) > 5 else []
    return [*head, *lines[: 4 if more else 5], *more]


def warn_of_times(questions: Sequence[Question], known: Table, asked: Callable[[], Advice]) -> None:
    """Warn where the times or the events of a survival analysis are not what they are taken for."""
    for text in doubts_of_times(questions, known):
        if text != NO_STATUS:
            warn(completed(text, asked()))

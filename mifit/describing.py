"""What an imputed set says of itself: its identity, its printed lines, what happened while it was made."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pandas as pd

from .examine.convergence import state, unsettled
from .formula.question import Question
from .frame.completed import Completed

__all__ = ["described", "events_of", "header_of", "identity_of", "notes_of"]


def identity_of(columns: Iterable[Hashable], completed: Completed) -> str:
    """Eight characters that tell completed sets from any others: a digest of what fills their holes."""
    digest = hashlib.sha256()
    for holes in completed.holes:
        for name in (name for name in columns if name in holes):
            digest.update(repr(name).encode() + np.ascontiguousarray(holes[name]).tobytes())
    return digest.hexdigest()[:8]


def described(imp: Any) -> list[str]:
    """Lines of the repr of an ImputedSet: size, analyses, how each column was drawn."""
    n, p = imp._frame.shape
    holes = {name: len(imp._table[name].missing) for name in imp._completed.holes[0]}
    lines = [
        f"ImputedSet {imp.identity}: {imp.m} completed sets of {n} rows x {p} columns; "
        f"{sum(holes.values())} holes in {len(holes)} columns"
    ]
    if imp.plan is None:
        return [*lines, f"  made elsewhere ({imp._said})"]
    pairs = zip(imp._written, imp.plan.questions, strict=True)
    lines += [f"  analysis : {one}   ({q.model})" for one, q in pairs]
    sweeps = f"{imp.iterations} iteration{'s' * (imp.iterations != 1)}"
    lines.append("  drawn    : " + ", ".join(filter(None, [imp.plan.title, sweeps, state(imp._settled)])))
    for name, count in holes.items():
        variable = imp.plan[name]
        if variable.method is None:
            lines.append(f"  {name!s:<12.12} {100 * count / n:5.1f} % missing   {variable.why}")
            continue
        how = variable.label + (f", {variable.sampler}" if variable.sampler not in ("own", "") else "")
        lines.append(f"  {name!s:<12.12} {100 * count / n:5.1f} % missing   {how}")
    return lines


def events_of(imp: Any) -> pd.DataFrame:
    """What a reader of an ImputedSet should know; see :attr:`mifit.ImputedSet.events`."""
    rows = [("plan", text, imp.m, 1) for text in (imp.plan.events if imp.plan else ())]
    if imp.plan is not None and not imp.plan.order:
        rows.append(("plan", "nothing is missing: the m sets are equal", imp.m, 1))
    seen: dict[str, list[int]] = {}
    for chain in imp._chains:
        for text, visits in chain.events.items():
            seen.setdefault(text, []).append(visits)
    rows += [("chain", text, len(visits), sum(visits)) for text, visits in seen.items()]
    for name in dict.fromkeys(name for chain in imp._chains for name in chain.sampled):
        drawn, tried, sliced = np.sum([chain.sampled.get(name, (0, 0, 0)) for chain in imp._chains], axis=0)
        text = f"{name}: {100 * (drawn - sliced) / tried:.1f} % of proposals accepted"
        by_slice = f", {100 * sliced / drawn:.1f} % of draws by slice steps" if sliced else ""
        rows.append(("sampler", text + by_slice, imp.m, int(drawn)))
    return pd.DataFrame(rows, columns=["source", "event", "chains", "visits"])


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

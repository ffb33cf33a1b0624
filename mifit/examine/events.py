"""What a reader of imputations should know: choices of the plan, incidents in the chains, values out of range."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from ..errors import call
from ..record.record import Record, remembered
from ..record.request import IMPUTE, request_of
from .values import Strayed, strayed

__all__ = ["events_of", "far_out", "within"]


_MANY = 0.2  # share of rows that keep their value at a visit, above which chains are slow to settle


@remembered
def far_out(record: Record) -> list[Strayed]:
    """Numbers that were imputed far beyond what was observed."""
    return strayed(record.completed)


def events_of(record: Record) -> pd.DataFrame:
    """What a reader of an ImputedSet should know; see :attr:`mifit.ImputedSet.events`."""
    every = ", ".join(str(chain.number) for chain in record.chains)
    plan = list(record.plan.events if record.plan else ())
    if record.plan is not None and not record.plan.order:
        plan.append("nothing is missing: the m sets are equal")
    rows: list[tuple[Any, ...]] = [("plan", text, record.m, 1, "", every, 0) for text in plan]
    for text in dict.fromkeys(text for chain in record.chains for text in chain.events):
        saw = [chain for chain in record.chains if text in chain.events]
        variable, first = min((chain.first.get(text, ("", 0)) for chain in saw), key=lambda pair: pair[1])
        which, visits = ", ".join(str(chain.number) for chain in saw), sum(chain.events[text] for chain in saw)
        rows.append(("chain", text, len(saw), visits, variable, which, first))
    for name in dict.fromkeys(name for chain in record.chains for name in chain.sampled):
        drawn, tried, stayed = np.sum([chain.sampled.get(name, (0, 0, 0)) for chain in record.chains], axis=0)
        if record.plan is not None and name not in record.plan.order:
            text = f"{name}: {100 * drawn / tried:.1f} % of proposals accepted"
        elif stayed > _MANY * drawn:
            text = f"{name}: {100 * stayed / drawn:.0f} % of rows kept their value at a visit"
        else:
            continue
        rows.append(("sampler", text, record.m, int(drawn), name, every, 1))
    for one in far_out(record) if record.plan is not None else ():
        rows.append(("values", f"{one}: {within(record, one.name, one.bounds)}", record.m, 1, one.name, every, 0))
    events = pd.DataFrame(rows, columns=["source", "event", "chains", "visits", "variable", "which", "first"])
    return events.assign(consequence=[_consequence(text) for text in events["event"]])


def within(record: Record, name: Hashable, bounds: tuple[float | None, float | None]) -> str:
    """The call that imputes again, with a column within bounds."""
    request = request_of(record.plan, record.m, record.seed)
    return call(IMPUTE, bounds={name: bounds}).after("imp = ").joined(request)


def _consequence(event: str) -> str:
    """What follows from an event for those who use the sets."""
    return next((so for what, so in _CONSEQUENCES if what in event), "")


#: what an event says -> what follows
_CONSEQUENCES = (
    ("is imputed from", "impossible values bias means and slopes: use bounds="),
    ("separation", "effects without a finite estimate are drawn closer to no effect"),
    ("did not converge", "parameters were drawn around the last step: look at the traces"),
    ("which depends on other predictors", "what it predicts is predicted by the others"),
    ("dependent term", "what it predicts is predicted by the others"),
    ("predictions lie outside", "matching cannot reach beyond the observed values"),
    ("without a row to fit on", "such a level is never drawn"),
    ("no row to fit on", "these draws rest on no data"),
    ("kept their value", "these draws depend on those before them: look at the traces"),
    ("do not determine what is missing", "analyses of these columns are approximate"),
    ("missing values remain", "the columns keep their missing values in every set"),
    ("has one observed value", "every set has that value"),
    ("has no compatible draws", "pooled results of this analysis are approximate"),
    ("was drawn again", "the other chains are as they were"),
    ("stays far from all others", "its coefficients widen the pooled standard errors: look at the traces"),
    ("nothing is missing", "the standard errors are those of the complete data"),
)

"""What an error says of attributes that an ImputedSet lacks: which verb does what users of other programs look for."""

from __future__ import annotations

from collections.abc import Sized

import pandas as pd

__all__ = ["said_of_absent"]

#: what users of other programs look for -> where it is
_INSTEAD = {
    **dict.fromkeys(
        (
            "complete",
            "complete_data",
            "completed",
            "get_completed",
            "next_sample",
            "data",
            "frames",
            "datasets",
            "sets",
        ),
        "set k is imp[k], all of them list(imp), stacked imp.to_long()",
    ),
    **dict.fromkeys(
        ("to_frame", "to_dataframe", "as_frame", "df"),
        "one completed frame is imp[0], all of them stacked imp.to_long()",
    ),
    **dict.fromkeys(("pool", "pooled", "analyze", "analyse", "with_", "summary"), "imp.fit() fits each set and pools"),
    **dict.fromkeys(
        ("mice", "impute", "transform"), "it is imputed; more sets: imp.extend(m=10), new rows: imp.impute_new(new)"
    ),
    **dict.fromkeys(("loggedEvents", "logged_events", "log"), "incidents are in imp.events"),
    **dict.fromkeys(
        ("chainMean", "chainVar", "traces", "plot_trace"), "traces are in imp.trace, drawn by imp.plot.trace()"
    ),
}

_AVERAGING = frozenset({"mean", "median", "std", "var", "describe", "sum", "average", "groupby", "corr"})


def said_of_absent(name: str, sets: Sized) -> str:
    """The message about an attribute that imputed sets do not have."""
    if name in _AVERAGING:
        return (
            f"an ImputedSet has no {name}(): averaging completed sets loses the uncertainty between them. "
            f'Estimate in each and pool: imp.fit("y ~ 1")'
        )
    if name in _INSTEAD:
        return f"an ImputedSet has no {name!r}; {_INSTEAD[name]}"
    if name.startswith("to_") and hasattr(pd.DataFrame, name):
        return (
            f"an ImputedSet has no {name!r}: it holds {len(sets)} completed frames. All of them, stacked: "
            f"imp.to_long().{name}(...); one alone: imp[0].{name}(...)"
        )
    known = f"; a completed DataFrame has one: imp[0].{name}" if hasattr(pd.DataFrame, name) else ""
    return f"'ImputedSet' object has no attribute {name!r}{known}"

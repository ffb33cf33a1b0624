"""Groups imputed separately: one plan and one set of chains for each, put together row by row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...calls import Advice, left_alone
from ...errors import MifitError, PlanError, call, listed
from ...formula.column_code import renamed
from ...formula.derived import Derived
from ...formula.design import Designs
from ...formula.question import Question
from ...frame.kinds import Kind
from ...frame.masks import Mask
from ...frame.table import Table
from ...frame.user_kinds import recoded
from ...typing import Rows
from .options import Options
from .plan import Plan
from .skip_rules import Skip

__all__ = ["plan_groups", "rows_of"]

_LEAST_ROWS = 10  # rows of a group
_LEAST_OBSERVED = 5  # observed values of every incomplete column in a group


def plan_groups(
    plan_one: Callable[..., tuple[Plan, Designs]],
    table: Table, questions: Sequence[Question], options: Options, scope: Mapping[str, Any],
    skips: Mapping[Hashable, Skip], derived: Sequence[Derived] = (),
) -> tuple[Plan, Designs]:  # fmt: skip
    """Plan each group by itself.

    Parameters
    ----------
    plan_one : callable
        Plans one group: :func:`~mifit.imputation.make_plan.make`.
    table, questions, options, scope, skips, derived
        As ``plan_one`` takes them; ``wishes.by`` names the column of groups.

    Returns
    -------
    plan : Plan
        With one plan for each group in ``groups``.
    designs : Designs
        On the table as the plans read it.

    Raises
    ------
    PlanError
        If the column of groups has missing values or fewer than two values, or a group is too small.
    """
    by = options.by
    split = rows_of(table, by)
    _refuse_small(table, by, split, options)
    found = []
    for level, rows in split.items():
        ignore = Mask.of(options.ignore.marked[rows]) if isinstance(options.ignore, Mask) else options.ignore
        inner = dataclasses.replace(options, by=None, ignore=ignore)
        try:
            plan, _ = plan_one(table.part(rows), questions, inner, scope, skips, derived)
        except MifitError as error:
            raise type(error)(f"group {by} = {level}: {error.fact}", do=error.do, **error.lines) from error
        found.append((level, plan))
    plans = [plan for _, plan in found]
    drawn = {name for plan in plans for name in plan.order}
    variables = {v.name: v for plan in reversed(plans) for v in plan.variables}
    whole = [
        dataclasses.replace(v, n_missing=len(table[v.name].missing)) for v in variables.values() if v.name != by
    ]  # fmt: skip
    events = [
        event.after(f"{by} = {level}: ") if isinstance(event, Advice) else f"{by} = {level}: {event}"
        for level, plan in found
        for event in plan.events
    ]
    return dataclasses.replace(
        plans[0], variables=tuple(whole), order=tuple(n for n in table.columns if n in drawn), options=options,
        iterations=max(plan.iterations for plan in plans), events=tuple(events), n_rows=table.n_rows,
        groups=tuple(found),
    ), Designs(recoded(table, plans[0].numeric))  # fmt: skip


def rows_of(table: Table, by: Hashable) -> dict[Any, Rows]:
    """Rows of each group, sorted; groups in the order of their values or levels."""
    column = table.require(by, "by=")
    if len(column.missing):
        raise PlanError(
            f"by={by!r} has {len(column.missing)} missing values.",
            do=call("df.mice.impute", by=None).then(f"  # {by!r} is imputed as well"),
        )
    if column.kind is Kind.OTHER:
        raise PlanError(f"by={by!r} {column.coding.problem}.", do=f"df[{by!r}] = df[{by!r}].astype(str)")
    values, group = np.unique(column.values, return_inverse=True)
    if len(values) < 2:
        raise PlanError(
            f"by={by!r} has one value: there is one group.", do=call("df.mice.impute", by=None).then("  # without by=")
        )
    shown = column.coding.decode(values)
    return {
        (v.item() if isinstance(v, np.generic) else v): np.flatnonzero(group.reshape(-1) == k)
        for k, v in enumerate(shown)
    }


def _joined(small: list[Any], split: Mapping[Any, Rows]) -> Any:
    """What small groups are called together: the largest group where all of them are too few."""
    if sum(len(split[level]) for level in small) < _LEAST_ROWS:
        return max(split, key=lambda level: len(split[level]))
    return "other" if all(isinstance(level, str) for level in split) else small[0]


def _refuse_small(table: Table, by: Hashable, split: Mapping[Any, Rows], options: Options) -> None:
    """A group must have rows, and values to learn from."""
    small = [level for level, rows in split.items() if len(rows) < _LEAST_ROWS]
    if small:
        shown = listed((f"{level} ({len(split[level])} rows)" for level in small), 5)
        raise PlanError(
            f"{len(small)} of {len(split)} groups of {by!r} have fewer than {_LEAST_ROWS} rows: {shown}.",
            do=f"{renamed(by, dict.fromkeys(small, _joined(small, split)))}  # small groups together",
        )
    for name in (n for n in table.incomplete if options.methods.get(n) != "leave"):
        seen = table[name].observed
        for level, rows in split.items():
            many, missing = len(np.intersect1d(rows, seen)), len(np.intersect1d(rows, table[name].missing))
            if missing and many < _LEAST_OBSERVED:
                raise PlanError(
                    f"{name!r} has {many} observed values where {by} = {level}: too few to fit a model.",
                    do=call("df.mice.impute", **left_alone(name)),
                )

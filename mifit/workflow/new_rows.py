"""Read new rows with the codings of the original frame; refuse unknown levels and dtypes."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from ..calls import Code
from ..errors import DataError, PlanError, call, listed, nearest
from ..formula.design import Designs
from ..frame.completed import Completed, copied
from ..frame.kinds import Coding, Kind, is_missing
from ..frame.table import Column, Table, Views, check_frame, read
from ..imputation.plan.check_arguments import is_whole
from ..imputation.plan.deductive import fill
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.new_rows import complete_rows, needed
from ..record.record import NEW_ROWS, Record
from ..record.request import request_of

__all__ = ["completed_rows"]


def completed_rows(record: Record, frame: pd.DataFrame, iterations: int | None) -> Record:
    """New rows completed with the draws of an ImputedSet; see :meth:`mifit.ImputedSet.impute_new`."""
    if record.plan is None or record.seed is None:
        raise PlanError(
            "sets made elsewhere have no models for new rows; the call below imputes anew.",
            do=call("df.mice.impute", m=record.m),
        )
    if iterations is not None and (not is_whole(iterations) or iterations < 1):
        raise PlanError(f"iterations is {iterations!r}; a whole number from 1 is needed.", do="imp.impute_new(new)")
    check_frame(frame)
    plan, old = record.plan, record.table.filled
    for word in ("by", "where", "conditional", "collapse", "min_count"):
        if getattr(plan.options, word):
            raise PlanError(
                f"new rows are not completed for imputations with {word}=.",
                do=_whole(record),
            )
    given = copied(frame)
    wide = _read(given, old, needed(old, plan, record.derived) | set(plan.order))
    _refuse_known_units(record, wide)
    known, _ = fill(wide, record.derived, plan.options.id)
    sweeps = iterations or max(plan.iterations, 1)
    derived = record.derived
    imputed = complete_rows(
        old, known, plan, record.chains, record.seed, sweeps, derived, list(given.columns), _together(record)
    )
    chains = [Chain(k, sweeps, one, {}, {}) for k, one in enumerate(imputed)]
    parts = Record(
        given, Views(wide, known, known), Designs(known), record.derived, shared=record.shared, chains=tuple(chains)
    )
    made = parts.completed.imputed
    shown = Table({name: _as_given(wide[name], given[name]) for name in given.columns if name in wide}, wide.n_rows)
    for name in given.columns:
        if name not in shown:
            shown.columns[name] = read(given[[name]])[name]
    own = tuple({name: values for name, values in one.items() if name in given.columns} for one in made)
    ordered = Table({name: shown[name] for name in given.columns}, wide.n_rows)
    said = f"{NEW_ROWS}{record.identity}"
    said += f" in {sweeps} iteration{'s' * (sweeps > 1)}" if iterations else ""
    rest = [repr(name) for name in ordered.incomplete if name not in own[0]]
    said += f"; missing values remain in {listed(rest)}" if rest else ""
    return Record(
        given, Views(ordered, ordered, ordered), Designs(ordered), sets=Completed(given, ordered, own), origin=said
    )


def _whole(record: Record) -> str:
    """The call that imputes old and new rows as one frame."""
    request, masks = request_of(record.plan, record.m, record.seed), {}
    assert record.plan is not None
    if "where" in request.words:
        masks["where"] = Code(f"np.vstack([{request.words['where']}, new[df.columns].isna()])")
    if "ignore" in request.words and not isinstance(record.plan.options.ignore, str):
        masks["ignore"] = Code(f"np.r_[{request.words['ignore']}, [False] * len(new)]")
    return call("pd.concat([df, new]).mice.impute", **masks).after("imp = ").joined(request)


def _together(record: Record) -> str:
    """The call that imputes old and new rows as one frame, by models that learn from the old rows only."""
    rows = Code(f"both.index >= {record.table.filled.n_rows}")
    together = call("both.mice.impute", ignore=rows).after("both = pd.concat([df, new], ignore_index=True); imp = ")
    return together.joined(request_of(record.plan, record.m, record.seed))


def _read(frame: pd.DataFrame, old: Table, used: set[Hashable]) -> Table:
    """The new rows as the plan reads the old ones; a column that is absent is missing in every row."""
    columns = {}
    for name, column in old.columns.items():
        if name in frame.columns:
            columns[name] = _column(frame[name], column, name in used)
        else:
            every = np.arange(len(frame))
            columns[name] = Column(name, column.coding, np.full(len(frame), np.nan), every)
    absent = [name for name in used if name not in frame.columns]
    if len(absent) == len(used) and used:
        raise DataError(
            f"the new rows have none of the columns that were imputed{nearest(absent[0], frame.columns)}.",
            columns=listed(old.columns, 8),
            do="imp.impute_new(new)",
        )
    return Table(columns, len(frame))


def _column(series: pd.Series, old: Column, used: bool) -> Column:
    """One column read with the levels that are known; others are refused."""
    name, coding, missing = old.name, old.coding, is_missing(series)
    present = series[~missing]
    try:
        table = read(series.to_frame(), {name: coding})
    except (ValueError, TypeError):
        raise DataError(
            f"column {name!r} of the new rows has the dtype {series.dtype}; it was {coding.kind.value}.",
            do=f"new[{name!r}] = new[{name!r}].astype(df[{name!r}].dtype)",
        ) from None
    values = table[name].values
    if coding.kind is Kind.OTHER or not used:
        return table[name]
    if not coding.kind.discrete and not np.isfinite(values[~missing]).all():
        raise DataError(f"column {name!r} of the new rows holds infinite values.", do=f"new[~np.isinf(new[{name!r}])]")
    unknown = present[np.isnan(values[~missing])]
    if len(unknown):
        strange = listed(map(repr, unknown.drop_duplicates().tolist()))
        known = list(coding.levels)
        raise DataError(
            f"column {name!r} of the new rows has {len(unknown)} values that were never seen: {strange}.",
            levels=listed(known, 8),
            do=f"imp.impute_new(new[new[{name!r}].isin({known[:8]!r}) | new[{name!r}].isna()])",
        )
    lacking = _lacking(series, coding) if missing.any() else []
    if lacking:
        raise DataError(
            f"column {name!r} of the new rows is a category without the level {lacking[0]!r}, which may be drawn.",
            do=f"new[{name!r}] = new[{name!r}].astype(df[{name!r}].dtype)",
        )
    return table[name]


def _lacking(series: pd.Series, coding: Coding) -> list[Any]:
    """Levels that a categorical column cannot hold."""
    if not isinstance(series.dtype, pd.CategoricalDtype):
        return []
    return [level for level in coding.levels if level not in series.dtype.categories]


def _as_given(column: Column, series: pd.Series) -> Column:
    """The column as its new dtype keeps it: whole numbers stay whole."""
    whole = column.coding.whole or bool(pd.api.types.is_integer_dtype(series.dtype))
    return dataclasses.replace(column, coding=dataclasses.replace(column.coding, whole=whole))


def _refuse_known_units(record: Record, new: Table) -> None:
    """Rows of a subject or cluster that was imputed would have to agree with what was drawn for it."""
    plan, old = record.plan, record.table.filled
    assert plan is not None
    units = {p.which[1] for v in plan.variables for p in v.pieces if p.what == "mean"} | ({plan.options.id} - {None})
    for unit in units:
        both = np.intersect1d(old[unit].values, new[unit].values)
        if len(both):
            raise DataError(
                f"{len(both)} of the new rows' {unit!r} were imputed already, the first is "
                f"{old[unit].coding.decode(both[:1]).tolist()[0]!r}: rows of one {unit!r} are drawn together.",
                do=_whole(record),
            )

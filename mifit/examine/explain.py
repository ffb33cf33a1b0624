"""Explain an imputed cell: its equation, the predictors at the last draw, donors or acceptance, all m values."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ..display import block, facts, folded, table
from ..errors import DataError, PlanError, listed
from ..imputation.contract import facts_of
from ..imputation.plan.derived_constraints import relations
from ..imputation.plan.plan import FOLLOWS, Plan
from ..imputation.sampler.replay import ReplayedDraw, ValueDistribution, replay
from ..record.record import Record

__all__ = ["Explanation", "explain"]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One imputed cell, explained; prints as a page and has its parts as frames."""

    row: Any  #: label of the row
    column: Hashable
    said: tuple[tuple[str, str], ...]  #: labelled facts, in reading order
    values: pd.Series  #: the m values, numbered from 0
    equation: pd.DataFrame = field(default_factory=pd.DataFrame)  #: term -> value in this row, coefficient, product
    donors: pd.DataFrame = field(default_factory=pd.DataFrame)  #: row -> observed value, distance of its prediction
    levels: pd.DataFrame = field(default_factory=pd.DataFrame)  #: level -> probabilities and share among the m values

    @property
    def title(self) -> str:
        """What is explained."""
        return f"{self.column} in row {self.row}"

    def _tables(self) -> list[tuple[str, pd.DataFrame]]:
        """The frames that are there, with their titles."""
        frames = (("levels", self.levels), ("equation", self.equation), ("donors", self.donors))
        return [(title, frame) for title, frame in frames if len(frame)]

    def __str__(self) -> str:
        width = max(len(label) for label, _ in self.said)
        lines = [self.title, *(f"  {label:<{width}} : {text}" for label, text in self.said)]
        for title, frame in self._tables():
            lines += ["", title, frame.to_string(float_format=lambda number: f"{number:.4g}")]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        parts = [folded(title, _table_of(frame)) for title, frame in self._tables()]
        return block(self.title, facts(self.said), *parts)


def _table_of(frame: pd.DataFrame) -> Any:
    """A frame as a table of a notebook."""
    rows = [[label, *(_text(cell) for cell in row)] for label, row in zip(frame.index, frame.to_numpy(), strict=True)]
    return table([frame.index.name or "", *frame.columns], rows, numbers=range(1, 1 + frame.shape[1]))


def _text(value: Any) -> str:
    """A cell: four significant digits of a number."""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def explain(record: Record, row: Any, column: Hashable, position: bool = False, k: int = 0) -> Explanation:
    """Explain one imputed cell; see :meth:`mifit.ImputedSet.explain`."""
    place = _place(record, row, column, position)
    label, at = record.completed.index[place], int(np.searchsorted(record.table.given[column].missing, place))
    if not isinstance(k, int | np.integer) or not 0 <= k < record.m:
        raise PlanError(
            f"there is no set {k!r}: the {record.m} sets are numbered 0 to {record.m - 1}.",
            do=f"imp.explain({row!r}, {column!r}, k=0)",
        )
    coding = record.table.given[column].coding
    codes = np.array([values[column][at] for values in record.completed.imputed], dtype=np.float64)
    there = ~np.isnan(codes)
    if not there[k]:
        raise DataError(
            f"{column!r} stays missing in row {row!r} of set {k}; there is nothing to explain.",
            do=f"imp[{k}].loc[{row!r}]",
        )
    kept, codes = np.flatnonzero(there), codes[there]
    if coding.whole and not coding.kind.discrete:
        codes = np.rint(codes)
    values = pd.Series(coding.decode(codes), index=kept, name=column)
    plan, known = record.plan, record.table.drawn
    if plan is None:
        return Explanation(label, column, (("made", record.origin), *_seen(record, column, codes)), values)
    if column not in plan.order or place not in known[column].missing:
        return Explanation(
            label, column, (("computed", _followed(record, column)), *_seen(record, column, codes)), values
        )
    told = _moved(record, plan, column, place)
    if told:
        return Explanation(label, column, (("together", told), *_seen(record, column, codes)), values)
    assert record.seed is not None
    chain = record.chains[k]
    seen = replay(
        known, plan, record.seed, chain.number, record.iterations, column, place, record.derived,
        record.designs.on(known), chain.attempt,
    )  # fmt: skip
    same = seen.value == chain.imputed[column][int(np.searchsorted(known[column].missing, place))]
    said = [*_how(record, column, seen), *_weighed(record, column, seen), *_seen(record, column, codes)]
    shown = f"set {k} of 0 to {record.m - 1}, at its last visit: {_text(values.loc[k])} was drawn"
    if not same:
        shown += " (run again on this machine the last bits differ)"
    return Explanation(
        label, column, (*said, ("shown", shown)), values, _equation(seen), _donors(record, column, seen),
        _levels(record, column, seen, codes),
    )  # fmt: skip


def _place(record: Record, row: Any, column: Hashable, position: bool) -> int:
    """The number of the row; refused where the cell is none, was observed, or is one of several."""
    missing = record.table.given.require(column, "explain").missing
    index, n = record.completed.index, record.table.n_rows
    if column not in record.filled:
        why = "has no missing values" if not len(missing) else "was left with its missing values"
        known = listed(map(repr, record.filled), 6)
        do = f"imp.explain({_first(record, next(iter(record.filled)))}" if record.filled else "imp.plan"
        raise DataError(f"column {column!r} {why}; there is nothing to explain.", imputed=known or "nothing", do=do)
    if position:
        places = np.array([row]) if isinstance(row, int | np.integer) and 0 <= row < n else np.empty(0, dtype=np.int64)
    else:
        places = _labelled(index, row)
    if not len(places):
        what = f"position {row!r} is not one of 0 to {n - 1}" if position else f"no row is labelled {row!r}"
        raise DataError(f"{what}.", do=f"imp.explain({_first(record, column)}")
    missing_places = places[np.isin(places, missing)]
    if not len(missing_places):
        value = record.completed.original[column].iloc[int(places[0])]
        raise DataError(f"{column!r} was observed in row {row!r}: {value}.", do=f"imp.explain({_first(record, column)}")
    if len(missing_places) > 1:
        raise DataError(
            f"{len(missing_places)} rows labelled {row!r} have missing values in {column!r}.",
            positions=listed(missing_places.tolist(), 6),
            do=f"imp.explain({int(missing_places[0])}, {column!r}, position=True)",
        )
    return int(missing_places[0])


def _labelled(index: pd.Index, row: Any) -> Any:
    """Numbers of the rows with a label."""
    try:
        found = index.get_loc(row)
    except (KeyError, TypeError, pd.errors.InvalidIndexError):
        return np.empty(0, dtype=np.int64)
    return np.atleast_1d(np.arange(len(index))[found])


def _first(record: Record, column: Hashable) -> str:
    """Arguments that explain the first missing value of a column."""
    place = int(record.table.given[column].missing[0])
    label = record.completed.index[place]
    label = label.item() if isinstance(label, np.generic) else label
    unique = record.completed.index.is_unique
    return f"{label!r}, {column!r})" if unique else f"{place}, {column!r}, position=True)"


def _moved(record: Record, plan: Plan, column: Hashable, place: int) -> str:
    """What a cell was drawn together with to keep an observed derived value; empty if it was drawn alone."""
    skips = {v.name: v.skip for v in plan.variables if v.skip is not None}
    ties = relations(record.derived, record.table.filled, plan.order, plan.options, skips).ties
    mine = [tie for tie in ties if column in (tie.free, tie.pivot) and place in tie.rows]
    if not mine:
        return ""
    one, others = mine[0].one, dict.fromkeys(n for tie in mine for n in (tie.free, tie.pivot) if n != column)
    return (
        f"drawn together with {', '.join(map(str, others))}, so that {one.name} = {one.code} keeps its observed value"
    )


def _followed(record: Record, column: Hashable) -> str:
    """How a missing value was filled without a draw."""
    assert record.plan is not None
    if column in record.plan.options.derived:
        return f"{column} = {record.plan.options.derived[column]}, from the values of each set"
    return FOLLOWS


def _how(record: Record, column: Hashable, seen: ReplayedDraw) -> list[tuple[str, str]]:
    """Method and reason from the plan; the sampler that drew the cell."""
    assert record.plan is not None
    variable = record.plan[column]
    donors = getattr(variable.method, "donors", None)
    method = variable.label + (f", {donors} donors" if donors else "")
    predictors = ", ".join(variable.predictors) or "nothing"
    said = [("method", f"{method}: {variable.why}"), ("given", predictors)]
    if seen.sampler != "own":
        said.append(("sampler", seen.sampler))
    return said + ([("together", "one value for all rows of the id")] if variable.together else [])


def _weighed(record: Record, column: Hashable, seen: ReplayedDraw) -> list[tuple[str, str]]:
    """The prediction of the column's own model, alone and weighted by the other models."""
    said = []
    assert record.plan is not None
    link = facts_of(record.plan[column].method).link
    if seen.power is not None:
        link = f"the value on a power scale with exponent {seen.power:.3g}"
    if link:
        said.append(("equation", f"for {link}"))
    if seen.own is not None and not seen.own.levels:
        said.append(("own model", _mean(seen.own)))
    if seen.weighed is None:
        return said
    names = [" and ".join(record.written) if label == "the analysis" else label for label in seen.terms]
    said.append(("weighed by", listed(dict.fromkeys(names), 6)))
    if not seen.weighed.levels:
        said.append(("after that", _mean(seen.weighed)))
    if seen.sampler == "rejection":
        share = f"{100 * seen.acceptance:.3g} %" if seen.acceptance >= 1e-4 else "under 0.01 %"
        said.append(("acceptance", f"{share} of proposals would be accepted in this row"))
    return said


def _mean(values: ValueDistribution) -> str:
    """A median and a range."""
    return f"median {values.median:.4g}, 90 % between {values.low:.4g} and {values.high:.4g}"


def _seen(record: Record, column: Hashable, codes: Any) -> list[tuple[str, str]]:
    """What became of the cell in the m sets, beside what was observed in the column."""
    table_column = record.table.given[column]
    if table_column.kind.discrete:
        counts = np.bincount(codes.astype(np.int64), minlength=table_column.n_levels)
        shares = [f"{_text(level)}: {n}" for level, n in zip(table_column.coding.levels, counts, strict=True) if n]
        return [("m values", f"{', '.join(shares)} of {record.m}")]
    observed = table_column.values[table_column.observed]
    sd = codes.std(ddof=1) if len(codes) > 1 else 0.0
    drawn = f"mean {codes.mean():.4g}, sd {sd:.3g}, from {codes.min():.4g} to {codes.max():.4g}"
    if not len(observed):
        return [("m values", drawn), ("observed", "nothing: the whole column was filled")]
    there = f"mean {observed.mean():.4g}, sd {observed.std():.3g}, from {observed.min():.4g} to {observed.max():.4g}"
    return [("m values", drawn), ("observed", f"{there} (the column's other rows)")]


def _equation(seen: ReplayedDraw) -> pd.DataFrame:
    """The own model in this row: value times coefficient, term by term."""
    names = pd.Index(seen.names, name="term")
    if seen.coef.ndim == 2:
        headings = [f"coefficient {level}" for level in range(1, seen.coef.shape[1] + 1)]
        return pd.DataFrame(seen.coef, index=names, columns=headings).assign(value=seen.stood)[["value", *headings]]
    if not np.isfinite(seen.coef).any():
        return pd.DataFrame({"value": seen.stood}, index=names)
    product = seen.stood * seen.coef + 0.0  # no -0
    frame = pd.DataFrame({"value": seen.stood, "coefficient": seen.coef, "product": product}, index=names)
    frame.loc["sum", "product"] = product.sum()
    return frame.astype(object).where(frame.notna(), "")


def _donors(record: Record, column: Hashable, seen: ReplayedDraw) -> pd.DataFrame:
    """Rows whose values could have been taken."""
    if not len(seen.donors):
        return pd.DataFrame()
    index = record.completed.index[seen.donors]
    index = index.rename("row") if index.nlevels == 1 else index
    values = record.completed.original[column].iloc[seen.donors].to_numpy()
    return pd.DataFrame({"observed": values, "distance": seen.distances}, index=index)


def _levels(record: Record, column: Hashable, seen: ReplayedDraw, codes: Any) -> pd.DataFrame:
    """Probability of each level, alone and weighed, beside its share among the m sets."""
    if seen.own is None or not seen.own.levels:
        return pd.DataFrame()
    levels = pd.Index(record.table.drawn[column].coding.levels, name=str(column), tupleize_cols=False)
    codes = codes.astype(np.int64)
    together = {} if record.plan is None else record.plan.together
    if column in together:  # of the m values, those that were drawn
        codes = together[column].place[codes]
    columns = {"own model": seen.own.levels}
    if seen.weighed is not None:
        columns["weighed"] = seen.weighed.levels
    shares = np.bincount(codes, minlength=len(levels)) / record.m
    return pd.DataFrame({**columns, "share of the m values": shares}, index=levels)

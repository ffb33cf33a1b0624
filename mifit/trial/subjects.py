"""A long frame of a trial as profiles: one row for each subject, one column for each visit."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, PlanError, call, listed, near, nearest
from ..formula.question import Question, ask_right, caller_scope
from ..formula.terms import code_of, take_apart
from ..frame.kinds import Kind, is_missing
from ..frame.table import Table, check_frame, read
from ..typing import Array, Flags, Rows
from .request import Request

__all__ = ["Trial", "read_trial"]


@dataclass(frozen=True, eq=False)
class Trial:
    """The frame of a trial; n subjects, T visits."""

    frame: pd.DataFrame
    request: Request
    subjects: tuple[Any, ...]  #: in order of appearance
    visits: tuple[Any, ...]  #: in order of time
    arms: tuple[Any, ...]  #: the reference first
    arm: Rows  #: (n,) position of each subject's arm
    outcome: Array  #: (n, T) NaN where missing or without a row
    place: Rows  #: (n, T) row of the frame; -1 where there is none
    first: Rows  #: (n,) the first row of each subject
    covariates: tuple[Hashable, ...]
    baseline: pd.DataFrame  #: (n, covariates) one row for each subject

    @property
    def n_visits(self) -> int:
        """Number of visits T."""
        return len(self.visits)

    @property
    def absent(self) -> Flags:
        """Visits without a row, shape (n, T)."""
        return self.place < 0

    @property
    def dropout(self) -> Rows:
        """Position of the first visit from which on nothing was seen; T for subjects seen at the last one."""
        seen = ~np.isnan(self.outcome)
        after = np.where(seen, np.arange(1, self.n_visits + 1), 0)
        last: Rows = after.max(axis=1)
        return last

    def table(self, visit: int, baseline: pd.DataFrame | None = None) -> Table:
        """One row for each subject: covariates, own arm, and a visit, as formulas see them."""
        used = self.baseline if baseline is None else baseline
        columns = {name: used[name] for name in self.covariates}
        labels, visits = list(self.arms), list(self.visits)
        columns[self.request.arm] = pd.Series(pd.Categorical.from_codes(self.arm, categories=labels))
        codes = np.full(len(self.arm), visit)
        columns[self.request.visit] = pd.Series(pd.Categorical.from_codes(codes, categories=visits))
        return read(pd.DataFrame(columns))

    def question(self, right: str) -> Question:
        """The right side of a formula over covariates, arm and visit."""
        return ask_right(right, _over_visits(self), caller_scope())

    def long(self, baseline: pd.DataFrame | None = None) -> Table:
        """All subjects at all visits, visit after visit: n * T rows."""
        return _over_visits(self, baseline)


def _over_visits(trial: Trial, baseline: pd.DataFrame | None = None) -> Table:
    """Covariates, arm and visit of n * T rows, the subjects of the first visit first."""
    used, times = trial.baseline if baseline is None else baseline, trial.n_visits
    rows = np.tile(np.arange(len(trial.arm)), times)
    columns = {name: used[name].iloc[rows].reset_index(drop=True) for name in trial.covariates}
    columns[trial.request.arm] = pd.Series(pd.Categorical.from_codes(trial.arm[rows], categories=list(trial.arms)))
    codes = np.repeat(np.arange(times), len(trial.arm))
    columns[trial.request.visit] = pd.Series(pd.Categorical.from_codes(codes, categories=list(trial.visits)))
    return read(pd.DataFrame(columns))


def read_trial(frame: pd.DataFrame, request: Request) -> Trial:
    """Read a long frame: rows and cells may be absent, labels may be text, numbers or categories.

    Raises
    ------
    DataError
        If a column is absent, a subject, visit or arm is missing, a subject has a visit twice or two arms, a covariate
        differs between rows of a subject, or the outcome is no number.
    """
    check_frame(frame)
    _require(frame, request)
    subject, visit = frame[request.subject], frame[request.visit]
    for name in (request.subject, request.visit):
        _refuse_missing(frame, name)
    codes, who = pd.factorize(subject)
    subjects = tuple(who.tolist())
    visits = _visits(visit, request)
    at = pd.Index(visits).get_indexer(pd.Index(visit.tolist()))
    _refuse_twice(codes, at, subjects, visits, request)
    first = np.array([rows[0] for rows in _rows_of(codes, len(subjects))])
    arm, arms = _arms(frame, codes, subjects, request)
    values = _numbers(frame, request)
    outcome, place = np.full((len(subjects), len(visits)), np.nan), np.full((len(subjects), len(visits)), -1)
    outcome[codes, at], place[codes, at] = values, np.arange(len(frame))
    _refuse_empty(outcome, visits, request)
    covariates = _covariates(frame, request)
    baseline = pd.DataFrame(
        {name: _one_each(frame, name, codes, subjects, request, "a covariate") for name in covariates},
        index=range(len(subjects)),
    )
    return Trial(
        frame, request, subjects, visits, arms, arm, outcome, place, first, covariates, baseline
    )  # fmt: skip


def _require(frame: pd.DataFrame, request: Request) -> None:
    """Refuse a word that names no column, or a column that two words name."""
    for word in ("outcome", "visit", "subject", "arm"):
        name = getattr(request, word)
        if not isinstance(name, Hashable) or name not in frame.columns:
            meant = near(name, frame.columns)
            raise DataError(
                f"{word}= names {name!r}, which is not a column{nearest(name, frame.columns)}.",
                columns=listed(frame.columns, 8),
                do="df.columns.tolist()" if meant is None else request.call(**{word: meant}),
            )
    named = [request.outcome, request.visit, request.subject, request.arm]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise DataError(f"column {twice!r} is named by two of outcome=, visit=, subject=, arm=.", do="df.head()")


def _refuse_missing(frame: pd.DataFrame, name: Hashable) -> None:
    """Refuse rows that belong to no subject or to no visit."""
    missing = is_missing(frame[name])
    if missing.any():
        raise DataError(
            f"{name!r} is missing in {int(missing.sum())} rows: what they belong to is not known.",
            do=f"df = df.dropna(subset=[{name!r}])",
        )


def _visits(visit: pd.Series, request: Request) -> tuple[Any, ...]:
    """The visits in order of time: of categories their order, of numbers and dates theirs, of text by its numbers."""
    present = list(dict.fromkeys(visit.tolist()))
    if isinstance(visit.dtype, pd.CategoricalDtype):
        return tuple(level for level in visit.cat.categories.tolist() if level in set(present))
    if not any(isinstance(one, str) for one in present):
        return tuple(sorted(present))
    numbers = [re.findall(r"\d+(?:\.\d+)?", str(one)) for one in present]
    if all(len(one) == 1 for one in numbers) and len({float(one[0]) for one in numbers}) == len(present):
        return tuple(sorted(present, key=lambda one: float(re.findall(r"\d+(?:\.\d+)?", str(one))[0])))
    if len(present) == 1:
        return tuple(present)
    name = request.visit
    raise DataError(
        f"the order of the visits in {name!r} is not known: they are words.",
        visits=listed(map(repr, present), 8),
        do=f"df[{name!r}] = pd.Categorical(df[{name!r}], {present!r}, ordered=True)  # in order of time",
    )


def _refuse_twice(codes: Rows, at: Rows, subjects: Sequence[Any], visits: Sequence[Any], request: Request) -> None:
    """Refuse two rows of one subject at one visit."""
    cells = codes * len(visits) + at
    cell, count = np.unique(cells, return_counts=True)
    if (count > 1).any():
        one = int(cell[count > 1][0])
        keys = [request.subject, request.visit]
        raise DataError(
            f"subject {subjects[one // len(visits)]!r} has several rows at {request.visit} "
            f"{visits[one % len(visits)]!r}, one of {int((count > 1).sum())} such visits.",
            do=f"df = df.drop_duplicates({keys!r})  # or their mean",
        )


def _rows_of(codes: Rows, n: int) -> list[Rows]:
    """Rows of each subject."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=n))[:-1])


def _one_each(
    frame: pd.DataFrame, name: Hashable, codes: Rows, subjects: Sequence[Any], request: Request, what: str
) -> pd.Series:
    """The value of a column that is the same in all rows of a subject, missing where it is missing in all of them."""
    column = frame[name]
    missing = is_missing(column)
    which = np.full(len(subjects), -1)
    for rows in _rows_of(codes, len(subjects)):
        seen = rows[~missing[rows]]
        which[codes[rows[0]]] = seen[0] if len(seen) else rows[0]
    numbered, _ = pd.factorize(column)
    differs = (numbered != numbered[which][codes]) & ~missing
    if differs.any():
        who = codes[np.flatnonzero(differs)[0]]
        where = ", ".join(repr(one) for one in dict.fromkeys(column[(codes == who) & ~missing].tolist()))
        first = f"df.groupby({request.subject!r})[{name!r}].transform('first')"
        raise DataError(
            f"{name!r} is {what}, but differs between the visits of subject {subjects[who]!r}.",
            values=where,
            do=f"df[{name!r}] = {first}  # if the first value is meant",
        )
    return column.iloc[which].reset_index(drop=True)


def _arms(frame: pd.DataFrame, codes: Rows, subjects: Sequence[Any], request: Request) -> tuple[Rows, tuple[Any, ...]]:
    """The arm of each subject, and the arms, the reference first."""
    column = _one_each(frame, request.arm, codes, subjects, request, "the arm")
    missing = is_missing(column)
    if missing.any():
        who = subjects[np.flatnonzero(missing)[0]]
        raise DataError(
            f"{int(missing.sum())} subjects have no arm, the first is {who!r}.",
            do=f"df = df.dropna(subset=[{request.arm!r}])",
        )
    present = list(dict.fromkeys(column.tolist()))
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = [level for level in column.cat.categories.tolist() if level in present]
    else:
        present = sorted(present, key=lambda one: (str(type(one)), one))
    if len(present) < 2:
        raise DataError(f"all subjects are in one arm, {present[0]!r}; a trial has two or more.", do="df.describe()")
    reference = present[0] if request.reference is None else request.reference
    if reference not in present:
        meant = near(reference, present)
        raise PlanError(
            f"reference= is {reference!r}, which is no arm of {request.arm!r}{nearest(reference, present)}.",
            arms=listed(map(repr, present), 8),
            do=request.call(reference=present[0] if meant is None else meant),
        )
    arms = (reference, *(one for one in present if one != reference))
    return pd.Index(arms).get_indexer(pd.Index(column.tolist())).astype(np.int64), arms


def _numbers(frame: pd.DataFrame, request: Request) -> Array:
    """The outcome as numbers, NaN where missing."""
    column = frame[request.outcome]
    missing = is_missing(column)
    values = np.full(len(frame), np.nan)
    try:
        if pd.api.types.is_bool_dtype(column.dtype) or isinstance(column.dtype, pd.CategoricalDtype):
            raise TypeError
        values[~missing] = np.array(column[~missing].tolist(), dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"the outcome {request.outcome!r} holds no numbers; profiles are drawn from a normal distribution.",
            dtype=str(column.dtype),
            do=f"df[{request.outcome!r}] = pd.to_numeric(df[{request.outcome!r}])",
        ) from None
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(f"the outcome {request.outcome!r} is infinite in row {row}.", do=f"df.loc[df.index[{row}]]")
    return values


def _refuse_empty(outcome: npt.NDArray[np.float64], visits: Sequence[Any], request: Request) -> None:
    """Refuse visits at which nothing is seen, or everyone has one value: a baseline among the visits."""
    for place, one in enumerate(visits):
        seen = outcome[~np.isnan(outcome[:, place]), place]
        if len(seen) and np.ptp(seen) > 0:
            continue
        fact = f"is {seen[0]:g} for everyone" if len(seen) else "was never seen"
        raise DataError(
            f"{request.outcome!r} {fact} at {request.visit} {one!r}: no visit to impute.",
            do=f"df = df[df[{request.visit!r}] != {one!r}]",
        )


def _covariates(frame: pd.DataFrame, request: Request) -> tuple[Hashable, ...]:
    """Columns in the formula of the covariates, without arm and visit."""
    if request.covariates is None:
        return ()
    if not isinstance(request.covariates, str):
        raise PlanError(
            f"covariates= is the right side of a formula, not {type(request.covariates).__name__}.",
            do=request.call(covariates="+".join(map(code_of, _as_list(request.covariates))) or None),
        )
    table = read(frame)
    right = request.covariates.rpartition("~")[2]
    terms = ask_right(right, table, caller_scope()).terms
    codes = [code for factors in terms.factors for code in factors]
    used = tuple(dict.fromkeys(v for code in codes for v in take_apart(code, table.columns).variables))
    for name in (request.outcome, request.subject):
        if name in used:
            raise PlanError(f"{name!r} is the outcome or the subject, no covariate.", do=request.call(covariates=None))
    found = tuple(v for v in used if v not in (request.arm, request.visit))
    for name in found:
        column = table[name]
        if column.kind is Kind.OTHER:
            raise DataError(
                f"the covariate {name!r} {column.coding.problem}.", do=call("df.drop", columns=[name]).after("df = ")
            )
    return found


def _as_list(given: Any) -> list[Any]:
    """What was given in place of a formula, as names."""
    return list(given) if isinstance(given, list | tuple) else []

"""What is assumed of each subject: the first visit that an event affects, the strategy, and what delta adds."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, PlanError, listed, near, nearest
from ..formula.evaluate import environment
from ..formula.source import Captured
from ..frame.kinds import is_missing
from ..typing import Array, Flags, Rows
from .request import Request
from .strategies import STRATEGIES
from .subjects import Trial

__all__ = ["deltas_of", "events_of", "strategies_of"]


def events_of(trial: Trial) -> Rows:
    """First visit that the event of each subject affects, shape (n,); T for none.

    Without ``event=`` it is the first visit from which on nothing was seen.
    """
    given, request = trial.request.event, trial.request
    if given is None:
        return trial.dropout
    if isinstance(given, Mapping | pd.Series):
        values = dict(given.items())
        _refuse_strangers(values, trial, "event")
        return np.array([_visit(values.get(who), trial, who) for who in trial.subjects], dtype=np.int64)
    if not isinstance(given, Hashable) or given not in trial.frame.columns:
        raise DataError(
            f"event= names {given!r}, which is not a column{nearest(given, trial.frame.columns)}.",
            columns=listed(trial.frame.columns, 8),
            do=request.call(event=None) + "  # the first visit from which on nothing was seen",
        )
    return _from_column(trial, given)


def _from_column(trial: Trial, name: Hashable) -> Rows:
    """Events from a column: the visit, in any row of the subject; or True from the first visit it affects."""
    column, found = trial.frame[name], np.full(len(trial.subjects), trial.n_visits)
    missing, labels = is_missing(column), column.tolist()
    marks = all(isinstance(value, bool) for value, gone in zip(labels, missing, strict=True) if not gone)
    for i, row in enumerate(trial.place):
        known = [(k, labels[place]) for k, place in enumerate(row) if place >= 0 and not missing[place]]
        if marks:
            found[i] = next((k for k, value in known if value), trial.n_visits)
            continue
        values = list(dict.fromkeys(value for _, value in known))
        if len(values) > 1:
            raise DataError(
                f"event= is {name!r}, which differs between the rows of subject {trial.subjects[i]!r}.",
                values=listed(map(repr, values), 8),
                do=f"df.loc[df[{trial.request.subject!r}] == {trial.subjects[i]!r}]",
            )
        found[i] = _visit(values[0] if values else None, trial, trial.subjects[i])
    return found


def _visit(value: Any, trial: Trial, who: Any) -> int:
    """Position of a visit; T where there is no event."""
    if value is None or (np.isscalar(value) and pd.isna(value)):
        return trial.n_visits
    if value in trial.visits:
        return trial.visits.index(value)
    raise DataError(
        f"the event of subject {who!r} is at {value!r}, which is no visit{nearest(value, trial.visits)}.",
        visits=listed(map(repr, trial.visits), 8),
        do=trial.request.call(event=None) + "  # or name the first visit that it affects",
    )


def strategies_of(trial: Trial, event: Rows) -> tuple[str, ...]:
    """The strategy of each subject; those without an event are missing at random."""
    given, request = trial.request.strategy, trial.request
    if isinstance(given, Mapping | pd.Series):
        values = dict(given.items())
        _refuse_strangers(values, trial, "strategy")
        each = [values.get(who, "MAR") for who in trial.subjects]
    elif isinstance(given, str) and given.upper() in STRATEGIES:
        each = [given] * len(trial.subjects)
    elif isinstance(given, Hashable) and given in trial.frame.columns:
        column = trial.frame[given]
        rows = [row[row >= 0] for row in trial.place]
        values_of = [[v for v in column.iloc[r].tolist() if not pd.isna(v)] for r in rows]
        each = [one[0] if one else "MAR" for one in values_of]
    else:
        each = [given]
    for one in each:
        if not isinstance(one, str) or one.upper() not in STRATEGIES:
            raise PlanError(
                f"strategy= is {one!r}, which is none{nearest(str(one).upper(), STRATEGIES)}.",
                known=", ".join(STRATEGIES),
                do=request.call(strategy=near(str(one).upper(), STRATEGIES) or "J2R"),
            )
    named = tuple(
        one.upper() if event[i] < trial.n_visits else "MAR" for i, one in enumerate(each)
    )  # fmt: skip
    if request.reference is None and set(named) & {"J2R", "CR", "CIR"}:
        raise PlanError(
            f"{listed(sorted(set(named) - {'MAR', 'LMCF'}))} needs to know the reference arm.",
            arms=listed(map(repr, trial.arms), 8),
            do=request.call(reference=_control(trial.arms)),
        )
    return named


def _control(arms: tuple[Any, ...]) -> Any:
    """The arm that is probably the reference."""
    words = ("placebo", "control", "ctrl", "standard", "usual")
    return next((one for one in arms if any(word in str(one).lower() for word in words)), arms[0])


def _refuse_strangers(values: Mapping[Any, Any], trial: Trial, word: str) -> None:
    """Refuse subjects that the frame does not have."""
    strangers = [who for who in values if who not in set(trial.subjects)]
    if strangers:
        raise DataError(
            f"{word}= names {strangers[0]!r}, which is no subject{nearest(strangers[0], trial.subjects)}.",
            subjects=listed(map(repr, trial.subjects), 4),
            do=f"{{k: v for k, v in {word}.items() if k in set(df[{trial.request.subject!r}])}}",
        )


def deltas_of(trial: Trial, delta: Any, imputed: Flags, request: Request) -> Array:
    """What is added to each imputed value from the event on, shape (n, T).

    Parameters
    ----------
    trial : Trial
    delta : None, number, mapping or str
        A number; a mapping of arms, or of visits, to numbers (others 0); an expression of arm, visit and covariates.
    imputed : ndarray of bool, shape (n, T)
        The imputed values from the event on.
    request : Request
    """
    shape = trial.outcome.shape
    if delta is None:
        return np.zeros(shape)
    if isinstance(delta, Mapping):
        found = _of_mapping(trial, delta, request)
    elif isinstance(delta, str):
        found = _of_expression(trial, delta, request)
    elif isinstance(delta, bool) or not isinstance(delta, Real) or not np.isfinite(float(delta)):
        raise PlanError(
            f"delta= is {delta!r}: a number, a mapping of arms or visits to numbers, or an expression is needed.",
            do=request.call(delta={trial.arms[-1]: 1.0}),
        )
    else:
        found = np.full(shape, float(delta))
    return np.where(imputed, found, 0.0)


def _of_mapping(trial: Trial, delta: Mapping[Any, Any], request: Request) -> Array:
    """Delta by arm or by visit."""
    if set(delta) <= set(trial.arms):
        by_arm = np.array([float(delta.get(one, 0.0)) for one in trial.arms])
        return np.repeat(by_arm[trial.arm][:, None], trial.n_visits, axis=1)
    if set(delta) <= set(trial.visits):
        return np.tile([float(delta.get(one, 0.0)) for one in trial.visits], (len(trial.arm), 1))
    known = (*trial.arms, *trial.visits)
    odd = next(one for one in delta if one not in trial.visits or one not in trial.arms)
    raise PlanError(
        f"delta= names {odd!r}; its keys are all arms or all visits{nearest(odd, known)}.",
        known=listed(map(repr, known), 10),
        do=request.call(delta={trial.arms[-1]: 1.0}),
    )


def _of_expression(trial: Trial, delta: str, request: Request) -> Array:
    """Delta as an expression of arm, visit and covariates, such as ``"2 * (arm == 'active')"``."""
    columns: dict[str, Any] = {str(name): trial.baseline[name].to_numpy() for name in trial.covariates}
    columns[str(request.arm)] = np.array(trial.arms, dtype=object)[trial.arm]
    found = np.zeros(trial.outcome.shape)
    for k, visit in enumerate(trial.visits):
        columns[str(request.visit)] = np.array([visit] * len(trial.arm), dtype=object)
        try:
            values = environment(Captured({})).eval(delta, inner_namespace=columns)
            found[:, k] = np.asarray(values, dtype=np.float64)
        except (NameError, TypeError, ValueError, SyntaxError) as error:
            raise PlanError(
                f"delta= cannot be computed: {error}.",
                known=listed(columns, 8),
                do=request.call(delta=f"1.0 * ({request.arm} == {trial.arms[-1]!r})"),
            ) from error
    return found

"""Completed long frames: the rows as they came, and rows for the visits that had none."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd

from ..frame.completed import copied
from ..frame.kinds import is_missing
from ..typing import Array, Flags, Rows
from .subjects import Trial

__all__ = ["completed_frame", "scheduled"]


def scheduled(trial: Trial) -> pd.DataFrame:
    """The frame with a row for each subject and visit: its own rows first, then those that were absent.

    The added rows have the values that are the same in all rows of their subject; other columns are missing there.
    """
    who, when = np.nonzero(trial.absent)
    frame = trial.frame
    if not len(who):
        return copied(frame)
    rows = np.concatenate([np.arange(len(frame)), trial.first[who]])
    added = np.arange(len(rows)) >= len(frame)
    full = frame.iloc[rows].copy()
    full.index = _index(trial, who, when)
    for name in frame.columns:
        if name == trial.request.visit:
            labels = [*frame[name].tolist(), *(trial.visits[k] for k in when)]
            full[name] = pd.Series(labels, index=full.index, dtype=frame[name].dtype)
        elif name == trial.request.outcome or not _constant(trial, name):
            full[name] = full[name].where(~added)
    for name in (*trial.covariates, trial.request.arm):
        full[name] = full[name].where(~added, _of_subjects(trial, name, rows, full.index))
    return full


def completed_frame(trial: Trial, outcome: Array, baseline: pd.DataFrame | None) -> pd.DataFrame:
    """The scheduled frame with every outcome, and every covariate where some were drawn."""
    full, name = scheduled(trial), trial.request.outcome
    subject, visit = _cells(trial)
    seen = ~np.isnan(trial.outcome[subject, visit])
    values = np.where(seen, trial.outcome[subject, visit], outcome[subject, visit])
    if not seen.all():
        dtype = full[name].dtype if pd.api.types.is_float_dtype(full[name].dtype) else "float64"
        full[name] = pd.Series(values, index=full.index).astype(dtype)
    if baseline is not None:
        for column in trial.covariates:
            missing = np.asarray(full[column].isna())
            drawn = baseline[column].iloc[subject]
            drawn.index = full.index
            full[column] = full[column].where(~missing, drawn)
    return full


def _cells(trial: Trial) -> tuple[Rows, Rows]:
    """Subject and visit of each row of the scheduled frame."""
    who, when = np.nonzero(~trial.absent)
    order = np.argsort(trial.place[who, when])
    absent = np.nonzero(trial.absent)
    return np.concatenate([who[order], absent[0]]), np.concatenate([when[order], absent[1]])


def _of_subjects(trial: Trial, name: Hashable, rows: Rows, index: pd.Index) -> pd.Series:
    """The value of each subject for its rows: the one that any of its rows has."""
    if name == trial.request.arm:
        labels = np.array(trial.arms, dtype=object)[trial.arm]
        values = pd.Series(labels).astype(trial.frame[name].dtype)
    else:
        values = trial.baseline[name]
    subject, _ = _cells(trial)
    found = values.iloc[subject[: len(rows)]]
    found.index = index
    return found


def _constant(trial: Trial, name: Hashable) -> bool:
    """Whether a column is the same in all rows of each subject."""
    column = trial.frame[name]
    try:
        codes, _ = pd.factorize(column)
    except TypeError:  # lists and the like
        return False
    missing = is_missing(column)
    subject, _ = _cells(trial)
    subject = subject[: len(column)]
    same: Flags = (codes == codes[trial.first[subject]]) & ~missing
    return bool(same.all())


def _index(trial: Trial, who: Rows, when: Rows) -> pd.Index:
    """Row labels: the frame's own; numbers go on, others get labels of their own."""
    index = trial.frame.index
    if pd.api.types.is_integer_dtype(index.dtype) and index.is_unique:
        top = int(index.max())
        return pd.Index([*index.tolist(), *range(top + 1, top + 1 + len(who))], name=index.name)
    labels = [f"{trial.subjects[i]} {trial.visits[k]}" for i, k in zip(who, when, strict=True)]
    if index.nlevels > 1:
        pad = (None,) * (index.nlevels - 1)
        return pd.MultiIndex.from_tuples([*index.tolist(), *((one, *pad) for one in labels)], names=index.names)
    return pd.Index([*index.tolist(), *labels], name=index.name, dtype=object)

"""Baseline covariates with missing values: drawn given arm, other covariates and the subject's own course."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pandas as pd

from ..formula.terms import code_of
from ..frame.kinds import is_missing
from ..frame.table import free_name
from ..imputation.plan.options import Arguments
from ..imputation.seed import Seed
from ..record.record import Record
from ..workflow.impute import imputed
from .subjects import Trial

__all__ = ["drawn_baselines", "incomplete"]


def incomplete(trial: Trial) -> list[Hashable]:
    """Covariates with missing values."""
    return [name for name in trial.covariates if is_missing(trial.baseline[name]).any()]


def drawn_baselines(trial: Trial, main: str, by_arm: bool, m: int, seed: Seed) -> list[pd.DataFrame]:
    """Completed tables of the covariates, one row for each subject.

    Parameters
    ----------
    trial : Trial
    main : str
        The right side of a formula: arm and covariates, without visits.
    by_arm : bool
        Whether the visits depend on one another otherwise in each arm.
    m : int
    seed : Seed

    Notes
    -----
    The visits are the outcomes of a sequence of linear models, each given arm, covariates and all visits before: the
    same normal distribution with an unstructured covariance matrix that the MMRM has. Covariates are drawn from their
    own models times these (compatible draws).
    """
    wide = trial.baseline.copy()
    wide[trial.request.arm] = pd.Categorical.from_codes(trial.arm, categories=list(trial.arms))
    formulas: list[str] = []
    before: list[str] = []
    for k in range(trial.n_visits):
        name = free_name(f"visit_{k + 1}", wide.columns)
        wide[name] = trial.outcome[:, k]
        past = "" if not before else f" + {code_of(trial.request.arm)} * ({' + '.join(before)})" if by_arm else ""
        past = past or "".join(f" + {one}" for one in before)
        formulas.append(f"{name} ~ {main}{past}")
        before.append(name)
    given = Arguments(
        formula=formulas if len(formulas) > 1 else formulas[0], link="sequence" if len(formulas) > 1 else "independent",
        model=["ols"] * len(formulas) if len(formulas) > 1 else "ols", m=m, error_law="declared",
        rng=np.random.SeedSequence(seed.entropy, spawn_key=(*seed.key, 0)),
    )  # fmt: skip
    record: Record = imputed(wide, given, lambda one: one)
    frames = [record.completed.frame(k) for k in range(m)]
    return [frame[list(trial.covariates)] for frame in frames]

"""Designs of a trial: the mean model over visits, and the analysis at one visit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..formula.design import Design, freeze
from ..formula.terms import code_of, take_apart
from ..typing import Array
from .subjects import Trial

__all__ = ["AnalysisDesign", "MeanDesign", "analysis_design", "main_effects", "mean_design"]


@dataclass(frozen=True, eq=False)
class MeanDesign:
    """Means of all visits as a frozen formula: arm and covariates may act at each visit in their own way."""

    trial: Trial
    design: Design

    def arrays(self, baseline: pd.DataFrame | None = None) -> tuple[Array, Array]:
        """Design in each subject's own arm and in each of the arms: (n, T, p) and (arms, n, T, p).

        Parameters
        ----------
        baseline : DataFrame, optional
            Completed covariates; by default those given.
        """
        trial = self.trial
        table = trial.long(baseline)
        values = {name: table[name].values for name in self.design.variables}
        shape = (trial.n_visits, len(trial.arm), len(self.design.columns))

        def filled(arm: int | None) -> Array:
            own = values if arm is None else {**values, trial.request.arm: np.full(table.n_rows, float(arm))}
            return self.design.matrix(own).reshape(shape).transpose(1, 0, 2)

        return filled(None), np.array([filled(k) for k in range(len(trial.arms))])


@dataclass(frozen=True, eq=False)
class AnalysisDesign:
    """The analysis at one visit as a frozen formula: arm and covariates."""

    trial: Trial
    design: Design
    right: str

    def arrays(self, baseline: pd.DataFrame | None = None) -> Array:
        """Design with every subject in each of the arms, shape (arms, n, p)."""
        trial = self.trial
        table = trial.table(0, baseline)
        values = {name: table[name].values for name in self.design.variables}
        n = len(trial.arm)
        return np.array(
            [self.design.matrix({**values, trial.request.arm: np.full(n, float(k))}) for k in range(len(trial.arms))]
        )


def mean_design(trial: Trial, covariates: str | None) -> MeanDesign:
    """The formula ``arm * visit`` and the covariates, frozen on all subjects at all visits."""
    arm, visit = code_of(trial.request.arm), code_of(trial.request.visit)
    base = arm if trial.n_visits == 1 else f"{arm} * {visit}"
    right = base if covariates is None else f"{base} + {covariates.rpartition('~')[2].strip()}"
    if trial.n_visits == 1 and covariates is not None:
        right = " + ".join([base, *main_effects(trial, covariates)])
    question = trial.question(right)
    return MeanDesign(trial, freeze(question, trial.long()))


def analysis_design(trial: Trial, covariates: str | None) -> AnalysisDesign:
    """The formula of an analysis at one visit; by default all terms of the mean model without the visit."""
    terms = main_effects(trial, covariates)
    right = " + ".join([code_of(trial.request.arm), *terms])
    table = trial.table(0)
    return AnalysisDesign(trial, freeze(trial.question(right), table), right)


def main_effects(trial: Trial, covariates: str | None) -> list[str]:
    """Terms of the covariates without the visit, each once: ``"basval*visit"`` gives basval."""
    if covariates is None:
        return []
    parsed, visit = trial.question(covariates.rpartition("~")[2]).terms, trial.request.visit
    columns = [*trial.covariates, trial.request.arm, visit]

    def without_visit(factors: Iterable[str]) -> str:
        kept = [code for code in factors if visit not in take_apart(code, columns).variables]
        return ":".join(kept)

    found = dict.fromkeys(without_visit(factors) for factors in parsed.factors)
    return [term for term in found if term and term != code_of(trial.request.arm)]

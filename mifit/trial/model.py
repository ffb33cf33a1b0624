"""The MMRM of a trial, fitted and ready to be drawn from; what it is fitted to, and whom it completes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from ..errors import FitError, PlanError, near
from ..typing import Array, Rows
from .completion import Alike, Course, completed
from .covariance import STRUCTURES
from .design import MeanDesign
from .mmrm import Fit, Profiles, fit
from .posterior import Posterior, posterior

__all__ = ["TrialModel", "trial_model"]


@dataclass(frozen=True, eq=False)
class TrialModel:
    """One table of covariates: the MMRM given it, and the subjects to complete."""

    profiles: Profiles  #: what the model is fitted to: nothing that follows an event
    course: Course  #: what is completed: all that was seen
    arms: Array  #: (arms, n, T, p) design with everyone in each arm
    fit: Fit

    @cached_property
    def alike(self) -> list[Alike]:
        """Incomplete subjects who are completed in the same way."""
        return self.course.alike()

    @cached_property
    def posterior(self) -> Posterior:
        """The parameters as the trial leaves them uncertain."""
        return posterior(self.profiles, self.fit)

    def draw(self, rng: np.random.Generator) -> Array:
        """One completed outcome (n, T): parameters are drawn, then the missing visits."""
        coef, covariance = self.posterior.draw(rng)
        return completed(self.course, self.alike, coef, covariance, rng.standard_normal(self.course.outcome.shape))

    def conditional_mean(self, weights: Array | None = None) -> Array:
        """The outcome (n, T) with conditional means, the model fitted to subjects with these weights."""
        found = self.fit
        if weights is not None:
            found = fit(self.profiles, found.structure, weights=weights, start=found.theta)
            if not np.isfinite(found.coef).all():
                raise FitError(
                    "the model could not be fitted to a part of the subjects.", do="sets.ancova(variance=None)"
                )
        return completed(self.course, self.alike, found.coef, found.covariance)


def trial_model(
    mean: MeanDesign, event: Rows, strategy: Sequence[str], by_arm: bool, baseline: pd.DataFrame | None = None
) -> TrialModel:
    """Fit the MMRM of a trial.

    Parameters
    ----------
    mean : MeanDesign
    event : ndarray, shape (n,)
        First visit that the event affects, T for none.
    strategy : sequence of str
        Of each subject. What is seen after an event enters the fit only where it is MAR.
    by_arm : bool
        A covariance matrix for each arm, or one for all.
    baseline : DataFrame, optional
        Completed covariates.

    Raises
    ------
    FitError
        If the data do not determine the model.
    """
    trial = mean.trial
    own, arms = mean.arrays(baseline)
    group = trial.arm if by_arm else np.zeros_like(trial.arm)
    after = np.arange(trial.n_visits) >= event[:, None]
    hidden = after & (np.array(strategy) != "MAR")[:, None]
    profiles = Profiles(own, np.where(hidden, np.nan, trial.outcome), group)
    _refuse_dependent(mean, profiles)
    course = Course(trial.outcome, own, arms[0], group, 0, event, tuple(strategy))
    return TrialModel(profiles, course, arms, _fitted(mean, profiles))


def _refuse_dependent(mean: MeanDesign, profiles: Profiles) -> None:
    """Refuse a mean model with a coefficient that the visits seen do not determine."""
    seen = ~np.isnan(profiles.outcome)
    rows = profiles.design[seen]
    scaled = rows / np.maximum(np.linalg.norm(rows, axis=0), np.finfo(float).tiny)
    ranks = [int(np.linalg.matrix_rank(scaled[:, : k + 1], tol=1e-9 * np.sqrt(k + 1))) for k in range(scaled.shape[1])]
    if ranks[-1] == scaled.shape[1]:
        return
    place = next(k for k, rank in enumerate(ranks) if rank <= k)
    request = mean.trial.request
    raise PlanError(
        f"the visits seen do not determine {mean.design.names[place]!r}, which follows from the terms before it.",
        formula=mean.design.formula,
        do=request.call(covariates=None) if request.covariates else request.call() + "  # with fewer visits or arms",
    )


def _fitted(mean: MeanDesign, profiles: Profiles) -> Fit:
    """The fit of the structure asked for; by default the first that the data determine."""
    request = mean.trial.request
    asked = request.covariance
    if asked != "auto" and asked not in STRUCTURES:
        known = ("auto", *STRUCTURES)
        raise PlanError(
            f"covariance= is {asked!r}, which is none.", known=", ".join(known),
            do=request.call(covariance=near(asked, known) or "auto"),
        )  # fmt: skip
    seen = ~np.isnan(profiles.outcome).all(axis=1)
    smallest = int(np.bincount(profiles.group[seen], minlength=profiles.n_groups).min())
    least = profiles.n_visits + profiles.design.shape[2] // profiles.n_visits + 1
    for structure in STRUCTURES if asked == "auto" else (asked,):
        if structure == "unstructured" and smallest <= least:
            continue
        found = fit(profiles, structure)
        if found.converged:
            return found
    other = next((one for one in reversed(STRUCTURES) if one != asked), "ar1")
    raise FitError(
        f"{int(seen.sum())} subjects at {profiles.n_visits} visits do not determine "
        f"{'any' if asked == 'auto' else 'the ' + asked} covariance matrix.",
        do=request.call(by_arm=False, covariates=None) if asked == "auto" else request.call(covariance=other),
    )

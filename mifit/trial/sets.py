"""TrialSets: m completed trials, of which only the missing visits are drawn; what is done with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError, PlanError, listed, near, nearest
from ..imputation.plan.check_arguments import is_whole, seed_of
from ..imputation.seed import Seed
from ..typing import Array, Flags, Rows
from .analyses import Analysis, Ancova, Repeated
from .assumptions import deltas_of, events_of, strategies_of
from .design import MeanDesign, analysis_design, mean_design
from .frames import completed_frame, scheduled
from .incomplete_covariates import drawn_baselines, incomplete
from .model import TrialModel, trial_model
from .request import Request
from .results import TrialResults
from .said import described, methods_text
from .subjects import Trial, read_trial
from .variances import Inference, bootstrap_of_means, jackknife_of_means, rubin_of_draws

__all__ = ["TrialSets", "imputed_trial"]

_FEW = 20  # completed tables of covariates for which the conditional means are repeated


class TrialSets:
    """m completed trials: long frames with a row for each subject and visit.

    Indexing and iterating give completed DataFrames; ``ancova`` and ``mmrm`` analyse all of them.

    Examples
    --------
    >>> import mifit
    >>> df = mifit.datasets.load("antidepressant")
    >>> sets = mifit.trial.impute(
    ...     df, outcome="CHANGE", visit="VISIT", subject="PATIENT", arm="THERAPY", reference="PLACEBO",
    ...     strategy="J2R", covariates="BASVAL*VISIT", m=2, rng=1,
    ... )
    >>> len(sets), sets[0].shape, int(sets[1]["CHANGE"].isna().sum())
    (2, (688, 11), 0)
    """

    def __init__(self, trial: Trial, m: int, seed: Seed) -> None:
        self._trial, self._m, self._seed = trial, m, seed
        self._event = events_of(trial)
        self._strategy = strategies_of(trial, self._event)
        self._mean: MeanDesign = mean_design(trial, trial.request.covariates)
        after = np.arange(trial.n_visits) >= self._event[:, None]
        self._shifted: Flags = np.isnan(trial.outcome) & after
        self._delta = deltas_of(trial, trial.request.delta, self._shifted, trial.request)
        self._outcomes = [
            self._models[k if len(self._models) > 1 else 0].draw(seed.stream(1 + k, 0)) + self._delta for k in range(m)
        ]

    @property
    def m(self) -> int:
        """Number of completed sets."""
        return self._m

    @property
    def original(self) -> pd.DataFrame:
        """The frame as given, with a row for each visit that had none; its outcome is missing there."""
        return scheduled(self._trial)

    @property
    def subjects(self) -> pd.DataFrame:
        """What is assumed of each subject.

        Returns
        -------
        DataFrame, shape (n, 5)
            Index the subjects; columns ``arm``, ``event`` (first visit that the event affects, None where there is
            none), ``strategy``, ``seen`` and ``imputed`` (numbers of visits).
        """
        trial = self._trial
        events = [None if k >= trial.n_visits else trial.visits[k] for k in self._event]
        missing = np.isnan(trial.outcome).sum(axis=1)
        index = pd.Index(trial.subjects, name=trial.request.subject)
        columns = {
            "arm": [trial.arms[k] for k in trial.arm], "event": pd.Series(events, index, dtype=object),
            "strategy": list(self._strategy), "seen": trial.n_visits - missing, "imputed": missing,
        }  # fmt: skip
        return pd.DataFrame(columns, index=index)

    def __len__(self) -> int:
        return self._m

    def __getitem__(self, k: int) -> pd.DataFrame:
        """The k-th completed frame, from 0."""
        if not is_whole(k) or not -self._m <= k < self._m:
            raise IndexError(f"there is no set {k!r}: the {self._m} sets are numbered 0 to {self._m - 1}")
        k = int(k) % self._m
        return completed_frame(self._trial, self._outcomes[k], None if not self._baselines else self._baselines[k])

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (self[k] for k in range(self._m))

    def __repr__(self) -> str:
        return "\n".join(described(self._trial, self._event, self._strategy, self._models[0].fit, self._m))

    def under(self, **changes: Any) -> TrialSets:
        """The same trial under other assumptions, with the same random numbers.

        Parameters
        ----------
        **changes
            Words of :func:`mifit.trial.impute`: ``strategy="CIR"``, ``delta={"active": 2.0}``.

        Returns
        -------
        TrialSets
        """
        strangers = [word for word in changes if word not in Request.__dataclass_fields__]
        if strangers:
            known = list(Request.__dataclass_fields__)
            raise PlanError(
                f"under() has no {strangers[0]!r}{nearest(strangers[0], known)}.",
                known=", ".join(known),
                do=f"sets.under({near(strangers[0], known) or 'strategy'}=...)",
            )
        request = self._trial.request.changed(**changes)
        seed = seed_of(changes["rng"]) if "rng" in changes else self._seed
        return imputed_trial(self._trial.frame, request, seed)

    def ancova(
        self, visit: Any = None, *, covariates: str | None = None, variance: str | None = "jackknife",
        samples: int = 200, alpha: float = 0.05,
    ) -> TrialResults:  # fmt: skip
        """Analysis of covariance at each visit: the arm and baseline covariates, by least squares.

        Parameters
        ----------
        visit : label or list, optional
            The visits to report; by default all.
        covariates : str, optional
            The right side of a formula; by default the covariates of the imputation, without the visit.
        variance : {"jackknife", "bootstrap", None}, default "jackknife"
            How the variance over repeated trials is estimated, beside Rubin's: n fits or ``samples`` fits.
        samples : int, default 200
            Bootstrap samples of subjects, drawn within their arms.
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        TrialResults
            Effects against the reference arm and adjusted means (everyone in each arm, averaged over the subjects),
            once by Rubin's rules over the draws, once from conditional means.

        Raises
        ------
        PlanError
            If a word is unknown, or a covariate was not one of the imputation.

        Notes
        -----
        Where covariates were drawn, the second variance is that given the covariates, averaged over up to 20 sets, and
        1 + 1/sets times the variance between them.

        Examples
        --------
        >>> import mifit
        >>> df = mifit.datasets.load("antidepressant")
        >>> sets = mifit.trial.impute(
        ...     df, outcome="CHANGE", visit="VISIT", subject="PATIENT", arm="THERAPY", reference="PLACEBO",
        ...     strategy="J2R", covariates="BASVAL*VISIT", m=2, rng=1,
        ... )
        >>> effects = sets.ancova(visit=7).effects
        >>> effects.query("variance == 'jackknife'")[["estimand", "estimate", "std_error"]].round(3).values.tolist()
        [['DRUG - PLACEBO', -2.126, 0.858]]
        """
        given = self._trial.request.covariates if covariates is None else covariates
        self._refuse_others(covariates)
        design = analysis_design(self._trial, given)
        tables = self._baselines or [None]
        analyses = [Ancova(design.arrays(table), self._trial.arm) for table in tables]
        title = f"ANCOVA at each visit: {self._trial.request.outcome} ~ {design.right}"
        return self._analysed(analyses, title, visit, variance, samples, alpha)

    def mmrm(
        self, visit: Any = None, *, variance: str | None = "jackknife", samples: int = 200, alpha: float = 0.05
    ) -> TrialResults:
        """Mixed model for repeated measures over all visits, fitted to each completed set by REML.

        Parameters
        ----------
        visit, variance, samples, alpha
            As in :meth:`ancova`.

        Returns
        -------
        TrialResults
            As from :meth:`ancova`; the mean model is that of the imputation.
        """
        structure = self._models[0].fit.structure
        analyses = [Repeated(one.course.own, one.arms, one.course.group, structure) for one in self._models]
        title = f"MMRM ({structure}): {self._trial.request.outcome} ~ {self._mean.design.formula}"
        return self._analysed(analyses, title, visit, variance, samples, alpha)

    def methods_text(self) -> str:
        """A paragraph for the methods section, with its references."""
        return methods_text(self._trial, self._event, self._strategy, self._models[0].fit, self._m)

    @cached_property
    def _baselines(self) -> list[pd.DataFrame]:
        """Completed tables of covariates, one for each set; none where they are complete."""
        if not incomplete(self._trial):
            return []
        right = analysis_design(self._trial, self._trial.request.covariates).right
        return drawn_baselines(self._trial, right, self._trial.request.by_arm, self._m, self._seed)

    @cached_property
    def _models(self) -> list[TrialModel]:
        """The model of each table of covariates."""
        by_arm = self._trial.request.by_arm
        tables = self._baselines or [None]
        return [trial_model(self._mean, self._event, self._strategy, by_arm, table) for table in tables]

    def _shift(self, outcome: Array) -> Array:
        """A completed outcome with delta."""
        return outcome + self._delta

    def _analysed(
        self, analyses: Sequence[Analysis], title: str, visit: Any, variance: str | None, samples: int, alpha: float
    ) -> TrialResults:
        """Both inferences of an analysis, for some visits."""
        places = self._places(visit)
        everyone = np.arange(len(self._trial.arm))
        each = [
            analyses[k if len(analyses) > 1 else 0].figures(outcome, everyone)
            for k, outcome in enumerate(self._outcomes)
        ]
        found = [rubin_of_draws(each)]
        if variance == "jackknife":
            found.append(jackknife_of_means(self._models[:_FEW], analyses[:_FEW], self._shift))
        elif variance == "bootstrap":
            rng = self._seed.stream(0, 1)
            found.append(
                bootstrap_of_means(self._models[:_FEW], analyses[:_FEW], self._shift, samples, rng, self._trial.arm)
            )
        elif variance is not None:
            raise PlanError(
                f"variance= is {variance!r}; 'jackknife', 'bootstrap' or None is needed.",
                do="sets.ancova(variance='jackknife')",
            )
        lines = described(self._trial, self._event, self._strategy, self._models[0].fit, self._m)[1:4]
        return TrialResults(
            title, tuple(lines), tuple(self._trial.visits[k] for k in places), self._trial.arms,
            tuple(_at(one, places) for one in found), alpha,
        )  # fmt: skip

    def _places(self, visit: Any) -> Rows:
        """Positions of the visits asked for."""
        visits = self._trial.visits
        if visit is None:
            return np.arange(len(visits))
        asked = visit if isinstance(visit, list | tuple) else [visit]
        for one in asked:
            if one not in visits:
                raise PlanError(
                    f"visit= is {one!r}, which is no visit{nearest(one, visits)}.",
                    visits=listed(map(repr, visits), 8),
                    do=f"sets.ancova(visit={visits[-1] if near(one, visits) is None else near(one, visits)!r})",
                )
        return np.array([visits.index(one) for one in asked])

    def _refuse_others(self, covariates: str | None) -> None:
        """Refuse covariates of an analysis that the imputation did not have."""
        if covariates is None:
            return
        asked = read_trial(self._trial.frame, self._trial.request.changed(covariates=covariates)).covariates
        others = [name for name in asked if name not in self._trial.covariates]
        if others:
            both = " + ".join([*filter(None, [self._trial.request.covariates]), *map(str, others)])
            raise DataError(
                f"the analysis has {others[0]!r}, which the imputation did not have.",
                do=f"sets.under(covariates={both!r}).ancova(covariates={covariates!r})",
            )


def _at(one: Inference, places: Rows) -> Inference:
    """The figures of some visits."""
    return Inference(
        one.method, one.estimate[:, places], one.std_error[:, places], one.df[:, places], one.fmi[:, places]
    )


def imputed_trial(frame: pd.DataFrame, request: Request, seed: Seed) -> TrialSets:
    """Read a trial, check what was asked, draw; see :func:`mifit.trial.impute`."""
    if not is_whole(request.m) or request.m < 2:
        raise PlanError(f"m is {request.m!r}; pooling needs at least 2 completed sets.", do=request.call(m=100))
    return TrialSets(read_trial(frame, request), int(request.m), seed)

"""Randomised trials with repeated measures: reference-based imputation of subjects who stopped, and its analyses."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from ..imputation.plan.check_arguments import seed_of
from .request import Request
from .results import TrialResults
from .sets import TrialSets, imputed_trial

__all__ = ["TrialResults", "TrialSets", "impute"]


def impute(
    frame: pd.DataFrame,
    *,
    outcome: Hashable,
    visit: Hashable,
    subject: Hashable,
    arm: Hashable,
    reference: Any = None,
    strategy: Any = "MAR",
    covariates: str | None = None,
    event: Any = None,
    delta: Any = None,
    covariance: str = "auto",
    by_arm: bool = False,
    m: int = 100,
    rng: Any = None,
) -> TrialSets:
    """Complete a trial with repeated measures m times, under an assumption on those who stopped.

    Parameters
    ----------
    frame : DataFrame, shape (rows, columns)
        Long: one row for each subject and visit. Any index. Visits may be absent as rows or missing as values.
    outcome, visit, subject, arm : hashable
        Columns. The outcome is a number; visits are in the order of their categories, of their numbers ("week 4"
        before "week 12") or dates; an arm is the same in all rows of a subject.
    reference : label, optional
        The reference arm. Needed for J2R, CR and CIR.
    strategy : {"MAR", "J2R", "CR", "CIR", "LMCF"}, column or mapping
        What is assumed from the event on: missing at random, jump to reference, copy reference, copy increments in
        reference, last mean carried forward. A column or a mapping of subjects gives each its own; those not named are
        MAR.
    covariates : str, optional
        Right side of a formula of baseline covariates, with or without the visit: ``"basval*visit"``. Means by arm and
        visit are in the model anyway. Missing covariates are drawn too.
    event : column or mapping, optional
        The first visit that each subject's event affects (missing: none), or a column that is True from there on. By
        default the first visit from which on nothing was seen. Of those with another strategy than MAR, what was seen
        from there on stays in the completed sets but not in the model.
    delta : number, mapping or str, optional
        Added to imputed values from the event on, at the end: for all, by arm (``{"active": 2.0}``), by visit, or an
        expression of arm, visit and covariates (``"2 * (arm == 'active')"``).
    covariance : {"auto", "unstructured", "toeplitz", "ar1"}
        Of the visits, with a variance for each; "auto" takes the first that the data determine.
    by_arm : bool, default False
        A covariance matrix for each arm.
    m : int, default 100
        Number of completed sets.
    rng : int, SeedSequence or Generator, optional
        Source of randomness; the same one gives the same bits, whatever ``m`` is.

    Returns
    -------
    TrialSets
        ``.ancova()`` and ``.mmrm()`` analyse it; ``mifit.from_frames(list(sets), sets.original)`` makes an ImputedSet.

    Raises
    ------
    DataError
        If the frame is no such trial; the column is named.
    PlanError
        If a word is unknown, or a strategy needs a reference arm.
    FitError
        If the data do not determine the model.

    Notes
    -----
    (1) Fit the MMRM by REML. (2) Draw coefficients and covariance matrices from their posterior. (3) Join the means and
    covariances of own and reference arm by the strategy. (4) Draw the missing visits given those seen. (5) Add delta.

    References
    ----------
    Carpenter, J. R., Roger, J. H. and Kenward, M. G. (2013). Analysis of longitudinal trials with protocol deviation.
    *Journal of Biopharmaceutical Statistics* 23(6), 1352-1371. doi:10.1080/10543406.2013.834911

    Cro, S., Carpenter, J. R. and Kenward, M. G. (2019). Information-anchored sensitivity analysis. *JRSS A* 182(2),
    623-645. doi:10.1111/rssa.12423

    Examples
    --------
    >>> import mifit
    >>> df = mifit.datasets.load("antidepressant")
    >>> sets = mifit.trial.impute(
    ...     df, outcome="CHANGE", visit="VISIT", subject="PATIENT", arm="THERAPY", reference="PLACEBO",
    ...     strategy="J2R", covariates="BASVAL*VISIT", m=2, rng=1,
    ... )
    >>> sets.subjects["event"].value_counts().to_dict()
    {7: 20, 5: 13, 6: 10}
    """
    request = Request(
        outcome=outcome, visit=visit, subject=subject, arm=arm, reference=reference, strategy=strategy,
        covariates=covariates, event=event, delta=delta, covariance=covariance, by_arm=by_arm, m=m, rng=rng,
    )  # fmt: skip
    return imputed_trial(frame, request, seed_of(rng))

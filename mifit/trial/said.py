"""Words about a trial's imputation: what is printed, and the paragraph for a paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import listed
from ..typing import Rows
from .mmrm import Fit
from .subjects import Trial

__all__ = ["described", "methods_text"]

_NAMES = {
    "MAR": "missing at random", "J2R": "jump to reference", "CR": "copy reference",
    "CIR": "copy increments in reference", "LMCF": "last mean carried forward",
}  # fmt: skip


def described(trial: Trial, event: Rows, strategy: Sequence[str], fit: Fit, m: int) -> list[str]:
    """Lines about the trial, its events and its model."""
    missing = np.isnan(trial.outcome)
    arms = [f"{one} {int((trial.arm == k).sum())}" for k, one in enumerate(trial.arms)]
    stopped = [int(((trial.arm == k) & (event < trial.n_visits)).sum()) for k in range(len(trial.arms))]
    kinds = {s: sum(one == s and event[i] < trial.n_visits for i, one in enumerate(strategy)) for s in _NAMES}
    after = np.arange(trial.n_visits) >= event[:, None]
    between = int((missing & ~after).sum())
    groups = "one covariance matrix" if len(fit.covariance) == 1 else "a covariance matrix for each arm"
    lines = [
        f"{m} completed trials: {len(trial.arm)} subjects ({', '.join(arms)}), {trial.n_visits} visits "
        f"({listed(map(str, trial.visits), 8)})",
        f"{trial.request.outcome}: {int(missing.sum())} of {missing.size} visits imputed; "
        f"{sum(stopped)} subjects stopped ({', '.join(f'{a} {s}' for a, s in zip(trial.arms, stopped, strict=True))})",
        "from the event on: "
        + (", ".join(f"{_NAMES[s]} ({s}) {count}" for s, count in kinds.items() if count) or "nothing is missing")
        + f"; reference {trial.arms[0]}",
        f"model: MMRM, {fit.structure}, {groups}, REML; {trial.request.outcome} ~ mean by arm and visit"
        + (f" + {trial.request.covariates}" if trial.request.covariates else ""),
    ]
    if between:
        lines.insert(3, f"before it: missing at random ({between} visit{'s' if between > 1 else ''} in between)")
    if trial.request.covariance == "auto" and fit.structure != "unstructured":
        lines.append(f"the data do not determine an unstructured covariance matrix: {fit.structure} was taken")
    if trial.request.delta is not None:
        lines.append(f"delta added from the event on: {trial.request.delta}")
    return lines


def methods_text(trial: Trial, event: Rows, strategy: Sequence[str], fit: Fit, m: int) -> str:
    """A paragraph for the methods section."""
    missing = np.isnan(trial.outcome)
    used = [s for s in _NAMES if any(one == s and event[i] < trial.n_visits for i, one in enumerate(strategy))]
    assumed = listed([f"{_NAMES[s]} ({s})" for s in used], 5) if used else "no assumption was needed"
    of_arms = "with a covariance matrix for each arm" if len(fit.covariance) > 1 else "with a common covariance matrix"
    parts = [
        f"{int(missing.sum())} of {missing.size} values of {trial.request.outcome} were missing. They were imputed "
        f"{m} times from a mixed model for repeated measures (visits {listed(map(str, trial.visits), 8)}; "
        f"{fit.structure}, {of_arms}; means by arm and visit"
        + (f", covariates {trial.request.covariates}" if trial.request.covariates else "")
        + "), its parameters drawn from their posterior distribution (Carpenter, Roger & Kenward 2013).",
        f"After the event the assumption was: {assumed}, reference arm {trial.arms[0]}. Visits missing before it were "
        "taken as missing at random.",
    ]
    if trial.request.delta is not None:
        parts.append(f"To imputed values from the event on, delta was added: {trial.request.delta}.")
    parts.append(
        "Two variances are reported: Rubin's, which keeps the information that the missing values take as under "
        "missing at random (Cro, Carpenter & Kenward 2019), and that of conditional mean imputation over repeated "
        "trials (Wolbers et al. 2022)."
    )
    return " ".join(parts)

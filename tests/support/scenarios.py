"""Incomplete frames with a known truth: complete data, what is lost given what stays, what should be found."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

import mifit
from mifit.pooling.rubin import pool, t_quantile

__all__ = [
    "BIAS",
    "COVERAGE",
    "Estimate",
    "Loss",
    "Scenario",
    "breaches",
    "coin",
    "estimates",
    "expit",
    "promise",
    "run_after_run",
    "summarise",
]

BIAS, COVERAGE = 0.02, 0.93  # what is promised


@contextmanager
def run_after_run() -> Iterator[None]:
    """Many fits, of whose imputations one or two in a hundred are said to drift though they have settled."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the chains may not have settled", mifit.ConvergenceWarning)
        yield


Estimate = tuple[list[str], np.ndarray, np.ndarray]  # names, (p,) estimates, (p, p) covariance


class Loss(NamedTuple):
    """A value is lost with log odds ``level + slope * z``, z the standardised score of what stays."""

    given: str | Callable[[pd.DataFrame], Any]  #: a column without losses, or a function of all of them
    level: float
    slope: float


@dataclass(frozen=True)
class Scenario:
    """A way to make frames, the analysis, and the true value of each of its coefficients.

    Parameters
    ----------
    complete : callable
        ``complete(rng, n_rows)`` draws a frame without missing values from a model in which the analysis is true.
    losses : mapping
        What happens to each incomplete column. A loss depends on columns that lose nothing, so that values
        are missing at random by construction.
    formula : str
    truth : mapping
        The figure of every name that the analysis gives.
    hardest : tuple of str
        The figures that an uncongenial imputation model gets wrong first.
    n_rows : int
    model : str
    keywords : mapping
        Of the analysis, as `mifit.impute` and ``fit`` take them.
    fit : callable, optional
        The analysis of one complete frame where it is neither OLS nor Logit, or where other figures than coefficients
        are judged; then the completed frames are fitted by it and pooled, instead of by mifit's own ``fit``.
    declared : str, optional
        What the imputations are made for, if it is another formula.
    subset : str, optional
        The rows that are analysed.
    """

    complete: Callable[[np.random.Generator, int], pd.DataFrame]
    losses: Mapping[str, Loss]
    formula: str
    truth: Mapping[str, float]
    hardest: tuple[str, ...]
    n_rows: int = 500
    model: str = "ols"
    keywords: Mapping[str, Any] = field(default_factory=dict)
    fit: Callable[[pd.DataFrame], Estimate] | None = None
    declared: str | None = None
    subset: str | None = None

    def frames(self, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The complete frame and the same with its losses."""
        full = self.complete(rng, self.n_rows)
        holed, stays = full.copy(), full.drop(columns=list(self.losses))
        for column, loss in self.losses.items():
            score = np.asarray(stays[loss.given] if isinstance(loss.given, str) else loss.given(stays))
            z = (score - score.mean()) / score.std()
            holed.loc[rng.random(len(full)) < expit(loss.level + loss.slope * z), column] = np.nan
        return full, holed

    def analyse(self, full: pd.DataFrame) -> Estimate:
        """The analysis of a complete frame, by statsmodels."""
        if self.fit is not None:
            return self.fit(full)
        full = full if self.subset is None else full.query(self.subset)
        result = smf.ols(self.formula, full).fit() if self.model == "ols" else smf.logit(self.formula, full).fit(disp=0)
        return list(result.params.index), result.params.to_numpy(), result.cov_params().to_numpy()

    def imputed(self, holed: pd.DataFrame, m: int, rng: Any, **options: Any) -> Estimate:
        """Pooled figures: names, estimates, and the ends of the 95 % intervals, shape (2, p)."""
        words = {"model": self.model, **self.keywords}
        imp = mifit.impute(holed, self.declared or self.formula, m=m, rng=rng, **words, **options)
        if self.fit is None:
            foreseen = "ignore" if self.declared is None else "reimpute"
            found = imp.fit(self.formula, uncovered=foreseen, subset=self.subset).to_frame()
            return list(found.index), found["estimate"].to_numpy(), found[["conf_low", "conf_high"]].to_numpy().T
        sets = [self.fit(one) for one in imp]
        pooled = pool(np.array([one[1] for one in sets]), np.array([one[2] for one in sets]))
        half = t_quantile(0.975, pooled.df) * pooled.std_error
        return sets[0][0], pooled.params, np.array([pooled.params - half, pooled.params + half])


def expit(log_odds: Any) -> Any:
    """The probability of log odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))


def coin(rng: np.random.Generator, n: int) -> Any:
    """A fair binary, as 0.0 and 1.0."""
    return (rng.random(n) < 0.5).astype(float)


def estimates(scenario: Scenario, frames: int, m: int, seed: int, first: int = 0, **options: Any) -> pd.DataFrame:
    """Run a scenario on some frames.

    Parameters
    ----------
    scenario : Scenario
    frames : int
    m : int
        Imputations of each frame.
    seed : int
        Frame ``k`` comes from ``(seed, k)``, whatever the other arguments.
    first : int, default 0
        The first k.
    **options
        Further arguments of ``mifit.impute``.

    Returns
    -------
    DataFrame
        One row per frame and figure: ``frame, coefficient, truth``, the pooled ``estimate, low, high`` (95 %), and
        ``full, full_low, full_high`` from the frame before its losses.
    """
    names = list(scenario.truth)
    runs = []
    for number in range(first, first + frames):
        full, holed = scenario.frames(np.random.default_rng([seed, number]))
        with run_after_run():
            warnings.simplefilter("ignore", mifit.CongenialityWarning)  # a scenario may ask for what was not foreseen
            found, estimate, (low, high) = scenario.imputed(
                holed, m, np.random.SeedSequence([seed, number, 1]), **options
            )
        order = [found.index(name) for name in names]
        known, complete, covariance = scenario.analyse(full)
        full_order = [known.index(name) for name in names]
        half = 1.96 * np.sqrt(np.diag(covariance))
        runs.append(
            pd.DataFrame({
                "frame": number, "coefficient": names, "truth": list(scenario.truth.values()),
                "estimate": estimate[order], "low": low[order], "high": high[order], "full": complete[full_order],
                "full_low": (complete - half)[full_order], "full_high": (complete + half)[full_order],
            })
        )  # fmt: skip
    return pd.concat(runs, ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Judge what ``estimates`` found, figure by figure.

    Parameters
    ----------
    runs : DataFrame

    Returns
    -------
    DataFrame
        Indexed by coefficient: ``truth``; ``bias``, the mean of estimate minus truth; ``gap``, the mean of estimate
        minus the estimate on full data, whose Monte-Carlo error is smaller; ``coverage`` of the 95 % intervals;
        ``full_coverage`` of those on full data; ``width`` of an interval relative to that on full data; and the
        Monte-Carlo standard errors ``bias_error``, ``gap_error`` and ``coverage_error`` (were the coverage 95 %).
    """
    truth, low, high = runs["truth"], runs["low"], runs["high"]
    by = pd.DataFrame({
        "coefficient": runs["coefficient"], "truth": truth,
        "bias": runs["estimate"] - truth, "gap": runs["estimate"] - runs["full"],
        "coverage": (low <= truth) & (truth <= high),
        "full_coverage": (runs["full_low"] <= truth) & (truth <= runs["full_high"]),
        "wide": high - low, "full": runs["full_high"] - runs["full_low"],
    }).groupby("coefficient", sort=False)  # fmt: skip
    found = by.mean()
    found["width"] = found.pop("wide") / found.pop("full")
    found["bias_error"], found["gap_error"] = by["bias"].sem(), by["gap"].sem()
    found["coverage_error"] = np.sqrt(0.95 * 0.05 / by.size())
    return found


def promise(found: pd.DataFrame) -> pd.DataFrame:
    """Whether each figure keeps the promise.

    Parameters
    ----------
    found : DataFrame
        Of ``summarise``.

    Returns
    -------
    DataFrame
        ``unbiased``: within 3 Monte-Carlo errors or 2 % of what full data give, for what the analysis gets wrong on
        full data, as a logistic one does in small samples, is no fault of the imputations. ``covers``: at least 93 %
        less 2 Monte-Carlo errors.
    """
    room = (3 * found["gap_error"]).clip(lower=BIAS * found["truth"].abs())
    enough = found["coverage"] >= COVERAGE - 2 * found["coverage_error"]
    return pd.DataFrame({"unbiased": found["gap"].abs() <= room, "covers": enough})


def breaches(found: pd.DataFrame) -> list[str]:
    """The figures that break the promise, and how."""
    kept = promise(found)
    return [
        *(f"bias of {name}" for name in found.index[~kept["unbiased"]]),
        *(f"coverage of {name}" for name in found.index[~kept["covers"]]),
    ]

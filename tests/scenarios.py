"""Incomplete frames with a known truth: complete data, what is lost given what stays, what should be found."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

import mifit

__all__ = ["SCENARIOS", "Loss", "Scenario", "estimates", "run_after_run", "summarise"]


@contextmanager
def run_after_run() -> Iterator[None]:
    """Many fits, of whose imputations one or two in a hundred are said to drift though they have settled."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the chains may not have settled", mifit.ConvergenceWarning)
        yield


class Loss(NamedTuple):
    """A value is lost with log odds ``level + slope * z``, z the standardised values of the column ``given``."""

    given: str
    level: float
    slope: float


@dataclass(frozen=True)
class Scenario:
    """A way to make frames, the analysis, and the true value of each of its coefficients.

    Parameters
    ----------
    complete : callable
        ``complete(rng, n_rows)`` draws a frame without holes from a model in which the analysis is true.
    losses : mapping
        What happens to each incomplete column. A loss depends on a column that loses nothing, so that values
        are missing at random by construction.
    formula, model : str
        The analysis; ``model`` is "ols" or "logit".
    truth : mapping
        The coefficient of every term.
    hardest : tuple of str
        The coefficients that an uncongenial imputation model gets wrong first.
    n_rows : int
    """

    complete: Callable[[np.random.Generator, int], pd.DataFrame]
    losses: Mapping[str, Loss]
    formula: str
    truth: Mapping[str, float]
    hardest: tuple[str, ...]
    n_rows: int = 500
    model: str = "ols"

    def __post_init__(self) -> None:
        assert all(loss.given not in self.losses for loss in self.losses.values()), "not missing at random"

    def frames(self, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The complete frame and the same with its losses."""
        full = self.complete(rng, self.n_rows)
        holed = full.copy()
        for column, loss in self.losses.items():
            score = full[loss.given].to_numpy()
            z = (score - score.mean()) / score.std()
            holed.loc[rng.random(len(full)) < _expit(loss.level + loss.slope * z), column] = np.nan
        return full, holed

    def fit(self, full: pd.DataFrame) -> Any:
        """The analysis of a complete frame, by statsmodels."""
        if self.model == "logit":
            return smf.logit(self.formula, full).fit(disp=0)
        return smf.ols(self.formula, full).fit()


def _expit(log_odds: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-log_odds))


def _coin(rng: np.random.Generator, n: int) -> Any:
    """A fair binary, as 0.0 and 1.0."""
    return (rng.random(n) < 0.5).astype(float)


def _interaction(rng: np.random.Generator, x2: Any) -> pd.DataFrame:
    """A linear analysis: a continuous x1 that interacts with x2."""
    x1 = 0.5 * x2 + rng.normal(size=len(x2))
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.normal(size=len(x2))
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2})


def _binary_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return _interaction(rng, _coin(rng, n))


def _continuous_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return _interaction(rng, rng.normal(size=n))


def _follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A later measurement of the outcome, correlation 0.95."""
    frame = _binary_partner(rng, n)
    return frame.assign(later=frame["y"] + 0.33 * np.std(frame["y"]) * rng.normal(size=n))


def _logistic(rng: np.random.Generator, x2: Any) -> pd.DataFrame:
    """A two-valued outcome: a continuous x1 that interacts with x2."""
    x1 = 0.5 * x2 + rng.normal(size=len(x2))
    y = rng.random(len(x2)) < _expit(-0.5 + 0.5 * x1 + 0.5 * x2 + 0.8 * x1 * x2)
    return pd.DataFrame({"y": y.astype(float), "x1": x1, "x2": x2})


def _logistic_binary_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return _logistic(rng, _coin(rng, n))


def _logistic_continuous_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    return _logistic(rng, rng.normal(size=n))


def _quadratic(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + 0.5 * z + x + 0.5 * x**2 + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z})


def _lognormal(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = np.exp(0.4 * z + 0.6 * rng.normal(size=n))
    y = 1 + 0.7 * x + 0.5 * z + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z})


def _mixed(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A number, a binary, a nominal and a rating scale."""
    z = rng.normal(size=n)
    g = np.array(list("abc"))[np.digitize(0.5 * z + rng.normal(size=n), [-0.5, 0.6])]
    b = (rng.random(n) < _expit(0.5 * z)).astype(float)
    r = 1.0 + np.digitize(0.6 * z + rng.normal(size=n), [-1.0, 0.0, 1.0])
    x = 0.4 * z + 0.5 * b + rng.normal(size=n)
    y = 1 + x + 0.8 * b + 0.7 * (g == "b") - 0.5 * (g == "c") + 0.4 * r + 0.5 * z + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "b": b, "g": pd.Categorical(g), "r": r, "z": z})


def _counts(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """An overdispersed count and a binary coded 1 and 2."""
    z = rng.normal(size=n)
    c = rng.poisson(np.exp(0.5 + 0.4 * z) * rng.gamma(1.5, 1 / 1.5, size=n)).astype(float)
    k = 1.0 + (rng.random(n) < _expit(0.6 * z))
    y = 1 + 0.5 * c + 1.0 * k + 0.5 * z + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "c": c, "k": k, "z": z})


def _outcome_and_follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + x + 0.5 * z + 0.5 * x * z + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "later": y + rng.normal(size=n)})


_LINEAR = {"Intercept": 1.0, "x1": 1.0, "x2": 1.0, "x1:x2": 1.0}
_LOGISTIC = {"Intercept": -0.5, "x1": 0.5, "x2": 0.5, "x1:x2": 0.8}
_BOTH = {"x1": Loss("y", -1.0, 0.6), "x2": Loss("y", -1.0, -0.6)}

SCENARIOS: dict[str, Scenario] = {
    "linear interaction": Scenario(
        _binary_partner, {"x1": Loss("y", -0.4, 0.8)}, "y ~ x1 * x2", _LINEAR, ("x1:x2",)
    ),
    "linear interaction, binary partner incomplete": Scenario(
        _binary_partner, _BOTH, "y ~ x1 * x2", _LINEAR, ("x1:x2", "x2")
    ),
    "linear interaction, continuous partner incomplete": Scenario(
        _continuous_partner, _BOTH, "y ~ x1 * x2", _LINEAR, ("x1:x2", "x2")
    ),
    "68 % missing": Scenario(
        _binary_partner, {"x1": Loss("y", 0.85, 0.7)}, "y ~ x1 * x2", _LINEAR, ("x1:x2",)
    ),
    "follow-up auxiliary": Scenario(
        _follow_up, {"x1": Loss("y", -0.4, 0.8)}, "y ~ x1 * x2", _LINEAR, ("x1:x2",)
    ),
    "logistic interaction": Scenario(
        _logistic_binary_partner, {"x1": Loss("y", -0.8, 0.5)}, "y ~ x1 * x2", _LOGISTIC, ("x1:x2",), 1000, "logit"
    ),
    "logistic interaction, continuous partner": Scenario(
        _logistic_continuous_partner, {"x1": Loss("y", -0.4, 0.8)}, "y ~ x1 * x2", _LOGISTIC, ("x1:x2",), 1000, "logit"
    ),
    "logistic interaction, binary partner incomplete": Scenario(
        _logistic_binary_partner, _BOTH, "y ~ x1 * x2", _LOGISTIC, ("x1:x2", "x2"), 1000, "logit"
    ),
    "logistic interaction, continuous partner incomplete": Scenario(
        _logistic_continuous_partner, _BOTH, "y ~ x1 * x2", _LOGISTIC, ("x1:x2", "x2"), 1000, "logit"
    ),
    "quadratic": Scenario(
        _quadratic, {"x": Loss("y", -0.9, 0.6)}, "y ~ z + x + I(x**2)",
        {"Intercept": 1.0, "z": 0.5, "x": 1.0, "I(x ** 2)": 0.5}, ("I(x ** 2)", "z"),
    ),
    "log-normal covariate": Scenario(
        _lognormal, {"x": Loss("y", -0.5, 0.7)}, "y ~ x + z", {"Intercept": 1.0, "x": 0.7, "z": 0.5}, ("x", "z")
    ),
    "mixed kinds": Scenario(
        _mixed,
        {"x": Loss("y", -1.7, 0.5), "b": Loss("y", -1.7, -0.5), "g": Loss("y", -1.7, 0.5), "r": Loss("y", -1.7, -0.4)},
        "y ~ x + b + g + r + z",
        {"Intercept": 1.0, "x": 1.0, "b": 0.8, "g[T.b]": 0.7, "g[T.c]": -0.5, "r": 0.4, "z": 0.5},
        ("x", "b", "g[T.c]", "r"),
    ),
    "overdispersed count, binary 1/2": Scenario(
        _counts, {"c": Loss("y", -1.0, 0.5), "k": Loss("y", -1.0, -0.5)}, "y ~ c + k + z",
        {"Intercept": 1.0, "c": 0.5, "k": 1.0, "z": 0.5}, ("c", "k", "z"),
    ),
    "incomplete outcome, auxiliary": Scenario(
        _outcome_and_follow_up, {"y": Loss("later", -1.0, 0.8), "x": Loss("later", -1.0, -0.6)}, "y ~ x * z",
        {"Intercept": 1.0, "x": 1.0, "z": 0.5, "x:z": 0.5}, ("x:z", "x"),
    ),
}  # fmt: skip


def estimates(scenario: Scenario, frames: int, m: int, seed: int, **wishes: Any) -> pd.DataFrame:
    """Run a scenario on some frames.

    Parameters
    ----------
    scenario : Scenario
    frames : int
    m : int
        Imputations of each frame.
    seed : int
        Frame ``k`` comes from ``(seed, k)``, whatever the other arguments.
    **wishes
        Further arguments of ``mifit.impute``.

    Returns
    -------
    DataFrame
        One row per frame and coefficient: ``frame, coefficient, truth``, the pooled ``estimate, low, high`` (95 %), and
        ``full, full_low, full_high`` from the frame before its losses.
    """
    names = list(scenario.truth)
    runs = []
    for number in range(frames):
        full, holed = scenario.frames(np.random.default_rng([seed, number]))
        imp = mifit.impute(holed, scenario.formula, m=m, rng=np.random.SeedSequence([seed, number, 1]), **wishes)
        with run_after_run():
            pooled = imp.fit(uncovered="ignore").to_frame().loc[names]
        complete = scenario.fit(full)
        interval = complete.conf_int().loc[names]
        runs.append(
            pd.DataFrame({
                "frame": number, "coefficient": names, "truth": list(scenario.truth.values()),
                "estimate": pooled["estimate"].to_numpy(), "low": pooled["conf_low"].to_numpy(),
                "high": pooled["conf_high"].to_numpy(), "full": complete.params[names].to_numpy(),
                "full_low": interval[0].to_numpy(), "full_high": interval[1].to_numpy(),
            })
        )  # fmt: skip
    return pd.concat(runs, ignore_index=True)


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Judge what ``estimates`` found, coefficient by coefficient.

    Parameters
    ----------
    runs : DataFrame

    Returns
    -------
    DataFrame
        Indexed by coefficient: ``truth``; ``bias``, the mean of estimate minus truth; ``gap``, the mean of estimate
        minus the estimate on full data, whose Monte-Carlo error is smaller; ``coverage`` of the 95 % intervals;
        ``width`` of an interval relative to that on full data; and the Monte-Carlo standard errors ``bias_error``,
        ``gap_error`` and ``coverage_error`` (were the coverage 95 %).
    """
    truth, low, high = runs["truth"], runs["low"], runs["high"]
    by = pd.DataFrame({
        "coefficient": runs["coefficient"], "truth": truth,
        "bias": runs["estimate"] - truth, "gap": runs["estimate"] - runs["full"],
        "coverage": (low <= truth) & (truth <= high), "wide": high - low, "full": runs["full_high"] - runs["full_low"],
    }).groupby("coefficient", sort=False)  # fmt: skip
    found = by.mean()
    found["width"] = found.pop("wide") / found.pop("full")
    found["bias_error"], found["gap_error"] = by["bias"].sem(), by["gap"].sem()
    found["coverage_error"] = np.sqrt(0.95 * 0.05 / by.size())
    return found

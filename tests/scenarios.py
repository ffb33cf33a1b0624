"""Incomplete frames with a known truth: each scenario makes one, missing at random given what stays observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["SCENARIOS", "Scenario", "Summary", "estimates", "summarise"]

Frame = Callable[[np.random.Generator, int], pd.DataFrame]


@dataclass(frozen=True)
class Scenario:
    """A way to make frames, the analysis, and the true value of every coefficient that is watched."""

    make: Frame
    formula: str
    truth: Mapping[str, float]
    n_rows: int = 500
    wishes: Mapping[str, Any] = field(default_factory=dict)
    binary_truth: bool = False


def _expit(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def _lose(frame: pd.DataFrame, column: str, score: Any, level: float, slope: float, rng: np.random.Generator) -> None:
    """Lose values of a column with a chance that rises with a standardised, fully observed score."""
    z = (score - np.mean(score)) / np.std(score)
    frame.loc[rng.random(len(frame)) < _expit(level + slope * z), column] = np.nan


def linear_interaction(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """x1 continuous, x2 binary, 40 % of x1 missing given y."""
    x2 = (rng.random(n) < 0.5).astype(float)
    x1 = 0.5 * x2 + rng.normal(size=n)
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    _lose(frame, "x1", y, -0.4, 0.8, rng)
    return frame


def linear_interaction_both(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Both continuous, both incomplete given y."""
    x2 = rng.normal(size=n)
    x1 = 0.5 * x2 + rng.normal(size=n)
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    _lose(frame, "x1", y, -1.0, 0.6, rng)
    _lose(frame, "x2", y, -1.0, -0.6, rng)
    return frame


def logistic_interaction(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A two-valued outcome, x1 missing given it."""
    x2 = (rng.random(n) < 0.5).astype(float)
    x1 = 0.5 * x2 + rng.normal(size=n)
    y = (rng.random(n) < _expit(-0.5 + 0.5 * x1 + 0.5 * x2 + 0.8 * x1 * x2)).astype(float)
    frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    _lose(frame, "x1", y, -0.8, 0.5, rng)
    return frame


def quadratic(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A square of the incomplete covariate."""
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + 0.5 * z + x + 0.5 * x**2 + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": x, "z": z})
    _lose(frame, "x", y, -0.9, 0.6, rng)
    return frame


def lognormal(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A skewed covariate."""
    z = rng.normal(size=n)
    x = np.exp(0.4 * z + 0.6 * rng.normal(size=n))
    y = 1 + 0.7 * x + 0.5 * z + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": x, "z": z})
    _lose(frame, "x", y, -0.5, 0.7, rng)
    return frame


def mixed(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A number, a binary, a nominal and a rating scale, all incomplete given y or a complete column."""
    z = rng.normal(size=n)
    g = np.array(list("abc"))[np.digitize(0.5 * z + rng.normal(size=n), [-0.5, 0.6])]
    b = (rng.random(n) < _expit(0.5 * z)).astype(float)
    r = 1.0 + np.digitize(0.6 * z + rng.normal(size=n), [-1.0, 0.0, 1.0])
    x = 0.4 * z + 0.5 * b + rng.normal(size=n)
    y = 1 + x + 0.8 * b + 0.7 * (g == "b") - 0.5 * (g == "c") + 0.4 * r + 0.5 * z + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": x, "b": b, "g": pd.Categorical(g), "r": r, "z": z})
    for column, slope in (("x", 0.5), ("b", -0.5), ("g", 0.5), ("r", -0.4)):
        _lose(frame, column, y, -1.7, slope, rng)
    return frame


def follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """The linear interaction, with a later measurement of the outcome as an auxiliary, correlation .95."""
    frame = linear_interaction(rng, n)
    frame["later"] = frame["y"] + 0.33 * np.std(frame["y"]) * rng.normal(size=n)
    return frame


def much_missing(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """68 % of x1 missing given y."""
    x2 = (rng.random(n) < 0.5).astype(float)
    x1 = 0.5 * x2 + rng.normal(size=n)
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    _lose(frame, "x1", y, 0.85, 0.7, rng)
    return frame


def counts(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """An overdispersed count and a binary coded 1/2, both incomplete."""
    z = rng.normal(size=n)
    c = rng.poisson(np.exp(0.5 + 0.4 * z) * rng.gamma(1.5, 1 / 1.5, size=n)).astype(float)
    k = 1.0 + (rng.random(n) < _expit(0.6 * z)).astype(float)
    y = 1 + 0.5 * c + 1.0 * k + 0.5 * z + 1.5 * rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "c": c, "k": k, "z": z})
    _lose(frame, "c", y, -1.0, 0.5, rng)
    _lose(frame, "k", y, -1.0, -0.5, rng)
    return frame


def incomplete_outcome(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Holes in the outcome and in a covariate, given a complete covariate and a complete auxiliary."""
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + x + 0.5 * z + 0.5 * x * z + rng.normal(size=n)
    later = y + rng.normal(size=n)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "later": later})
    _lose(frame, "y", later, -1.0, 0.8, rng)
    _lose(frame, "x", later, -1.0, -0.6, rng)
    return frame


_LINEAR = {"Intercept": 1.0, "x1": 1.0, "x2": 1.0, "x1:x2": 1.0}
SCENARIOS: dict[str, Scenario] = {
    "linear interaction": Scenario(linear_interaction, "y ~ x1 * x2", _LINEAR),
    "linear interaction, both incomplete": Scenario(linear_interaction_both, "y ~ x1 * x2", _LINEAR),
    "logistic interaction": Scenario(
        logistic_interaction, "y ~ x1 * x2", {"Intercept": -0.5, "x1": 0.5, "x2": 0.5, "x1:x2": 0.8}, 1000
    ),
    "quadratic": Scenario(
        quadratic, "y ~ z + x + I(x**2)", {"Intercept": 1.0, "z": 0.5, "x": 1.0, "I(x ** 2)": 0.5}
    ),
    "log-normal covariate": Scenario(lognormal, "y ~ x + z", {"Intercept": 1.0, "x": 0.7, "z": 0.5}),
    "mixed kinds": Scenario(
        mixed, "y ~ x + b + g + r + z",
        {"Intercept": 1.0, "x": 1.0, "b": 0.8, "g[T.b]": 0.7, "g[T.c]": -0.5, "r": 0.4, "z": 0.5},
    ),
    "follow-up auxiliary": Scenario(follow_up, "y ~ x1 * x2", _LINEAR),
    "68 % missing": Scenario(much_missing, "y ~ x1 * x2", _LINEAR),
    "overdispersed count, binary 1/2": Scenario(
        counts, "y ~ c + k + z", {"Intercept": 1.0, "c": 0.5, "k": 1.0, "z": 0.5}
    ),
    "incomplete outcome, auxiliary": Scenario(
        incomplete_outcome, "y ~ x * z", {"Intercept": 1.0, "x": 1.0, "z": 0.5, "x:z": 0.5}
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Bias and coverage of one coefficient."""

    bias: float  #: mean of estimate minus truth
    error: float  #: its Monte-Carlo standard error
    coverage: float  #: share of 95 % intervals that hold the truth
    truth: float
    frames: int

    @property
    def coverage_error(self) -> float:
        """Monte-Carlo standard error of the coverage, were it 95 %."""
        return float(np.sqrt(0.95 * 0.05 / self.frames))


def estimates(scenario: Scenario, frames: int, m: int, seed: int, **wishes: Any) -> pd.DataFrame:
    """One row per frame: estimate and cover of each coefficient."""
    import mifit

    rows = []
    for number in range(frames):
        rng = np.random.default_rng([seed, number])
        frame = scenario.make(rng, scenario.n_rows)
        imp = mifit.impute(frame, scenario.formula, m=m, rng=number, **{**scenario.wishes, **wishes})
        found = imp.fit(uncovered="ignore").to_frame()
        row = {}
        for name, truth in scenario.truth.items():
            row[name] = found.loc[name, "estimate"] - truth
            row[f"{name} covered"] = found.loc[name, "conf_low"] <= truth <= found.loc[name, "conf_high"]
        rows.append(row)
    return pd.DataFrame(rows)


def summarise(scenario: Scenario, runs: pd.DataFrame) -> dict[str, Summary]:
    """Bias and coverage of every coefficient."""
    return {
        name: Summary(
            float(runs[name].mean()), float(runs[name].std(ddof=1) / np.sqrt(len(runs))),
            float(runs[f"{name} covered"].mean()), truth, len(runs),
        )
        for name, truth in scenario.truth.items()
    }  # fmt: skip

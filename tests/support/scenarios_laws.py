"""Incomplete frames whose analysis is right in the mean and wrong in the law around it: counts, shares, two values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf

from support.scenarios import Estimate, Loss, Scenario, coin, expit

__all__ = ["COUNTS_AND_SHARES", "sized"]

Outcome = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # from the log means
_FORMULA, _CROSSED = "y ~ x + z", "y ~ x * z"
_TRUTH = {"Intercept": 0.5, "x": 0.3, "z": 0.2}


def _counts(outcome: Outcome, level: float = 0.5, slopes: tuple[float, ...] = (0.3, 0.2)) -> Any:
    """An outcome whose log mean is a line in x and z, or has their product too."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        z = rng.normal(size=n)
        x = 0.5 * z + rng.normal(size=n)
        linear = level + sum(slope * each for slope, each in zip(slopes, (x, z, x * z), strict=False))
        return pd.DataFrame({"y": outcome(rng, linear).astype(float), "x": x, "z": z})

    return made


def _nb2(alpha: float) -> Outcome:
    return lambda rng, linear: rng.poisson(rng.gamma(1 / alpha, alpha * np.exp(linear)))


def _nb1(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """Variance 2.5 times the mean."""
    return rng.poisson(rng.gamma(np.exp(linear) / 1.5, 1.5))


def _zero_inflated(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """Two fifths are zeros whatever the mean."""
    return rng.poisson(np.exp(linear) / 0.6) * (rng.random(len(linear)) < 0.6)


def _under(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """Less spread than a Poisson."""
    return rng.binomial(8, np.minimum(np.exp(linear), 7.9) / 8)


def _risk(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Two values whose log probability is a line."""
    z = coin(rng, n)
    x = 0.5 * z + rng.normal(size=n)
    y = rng.random(n) < np.minimum(np.exp(-1.2 + 0.25 * x + 0.2 * z), 0.97)
    return pd.DataFrame({"y": y.astype(float), "x": x, "z": z})


def _large_risk(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = np.clip(0.5 * z + rng.normal(size=n), -2.5, 2.5)
    y = rng.random(n) < np.minimum(np.exp(-1.3 + 0.45 * x), 0.98)
    return pd.DataFrame({"y": y.astype(float), "x": x, "z": z})


def _risk_difference(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.uniform(-1, 1, n)
    x = 0.5 * z + rng.uniform(-1, 1, n)
    y = rng.random(n) < np.clip(0.5 + 0.25 * x + 0.1 * z, 0.02, 0.98)
    return pd.DataFrame({"y": y.astype(float), "x": x, "z": z})


def _shares(correlation: float) -> Any:
    """Successes among 5 to 29 trials, with a correlation of the trials within a row."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        z = rng.normal(size=n)
        x = 0.5 * z + rng.normal(size=n)
        k, p = rng.integers(5, 30, n), expit(-0.5 + 0.4 * x + 0.3 * z)
        if correlation > 0:
            size = 1 / correlation - 1
            p = rng.beta(size * p, size * (1 - p))
        return pd.DataFrame({"y": rng.binomial(k, p) / k, "x": x, "z": z, "k": k.astype(float)})

    return made


def _fitted(result: Any) -> Estimate:
    """Names, estimates and robust covariance."""
    return list(result.params.index), result.params.to_numpy(), result.cov_params().to_numpy()


def _poisson(formula: str) -> Any:
    return lambda frame: _fitted(smf.glm(formula, frame, family=sm.families.Poisson()).fit(cov_type="HC1"))


def _share(formula: str) -> Any:
    def fit(frame: pd.DataFrame) -> Estimate:
        model = smf.glm(formula, frame, family=sm.families.Binomial(), var_weights=frame["k"])
        return _fitted(model.fit(cov_type="HC1"))

    return fit


def _linear(formula: str) -> Any:
    return lambda frame: _fitted(smf.ols(formula, frame).fit(cov_type="HC1"))


_LOST = {"x": Loss(lambda frame: np.log1p(frame["y"]), -0.6, 0.8)}
_BOTH = {"x": _LOST["x"], "z": Loss(lambda frame: np.log1p(frame["y"]), -1.0, 0.8)}


def _of_counts(outcome: Outcome, level: float = 0.5, **words: Any) -> Scenario:
    truth = {**_TRUTH, "Intercept": level}
    return Scenario(
        _counts(outcome, level), _LOST, _FORMULA, truth, ("x", "z"), model="poisson", fit=_poisson(_FORMULA), **words
    )


def _crossed_counts(outcome: Outcome) -> Scenario:
    """Both covariates of an interaction are incomplete."""
    truth = {**_TRUTH, "x:z": 0.15}
    made = _counts(outcome, 0.5, (0.3, 0.2, 0.15))
    return Scenario(made, _BOTH, _CROSSED, truth, ("x", "x:z"), model="poisson", fit=_poisson(_CROSSED))


def _of_shares(correlation: float) -> Scenario:
    truth = {"Intercept": -0.5, "x": 0.4, "z": 0.3}
    words = {"family": sm.families.Binomial(), "var_weights": "k"}
    return Scenario(
        _shares(correlation), {"x": Loss("y", -0.6, 0.8)}, _FORMULA, truth, ("x", "z"), model="glm", keywords=words,
        fit=_share(_FORMULA),
    )  # fmt: skip


def _of_two_values(complete: Any, truth: dict[str, float], model: str = "poisson") -> Scenario:
    fit = _linear(_FORMULA) if model == "ols" else _poisson(_FORMULA)
    return Scenario(complete, {"x": Loss("y", -0.6, 0.8)}, _FORMULA, truth, ("x",), 700, model, fit=fit)


COUNTS_AND_SHARES = {
    "Poisson": _of_counts(lambda rng, linear: rng.poisson(np.exp(linear))),
    "counts, variance mu + mu²/0.8": _of_counts(_nb2(1 / 0.8)),
    "counts, variance mu + mu²/3": _of_counts(_nb2(1 / 3)),
    "counts, variance 2.5 mu": _of_counts(_nb1),
    "counts, less spread than Poisson": _of_counts(_under, 0.6),
    "counts, two fifths zeros": _of_counts(_zero_inflated),
    "counts, interaction, both incomplete": _crossed_counts(_nb2(1 / 3)),
    "risk ratio": _of_two_values(_risk, {"Intercept": -1.2, "x": 0.25, "z": 0.2}),
    "risk ratio, large": _of_two_values(_large_risk, {"Intercept": -1.3, "x": 0.45}),
    "risk difference": _of_two_values(_risk_difference, {"Intercept": 0.5, "x": 0.25, "z": 0.1}, "ols"),
    "shares, correlation 0.1": _of_shares(0.1),
    "shares, binomial": _of_shares(0.0),
}


def sized(scenario: Scenario, n_rows: int) -> Scenario:
    """The same with another number of rows."""
    import dataclasses

    return dataclasses.replace(scenario, n_rows=n_rows)

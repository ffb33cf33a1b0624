"""Incomplete frames for analyses other than linear: two values, counts, positive numbers, levels, survival times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mifit.imputation.methods.cox import Times, partial_peak
from support.scenarios import Estimate, Loss, Scenario, coin, expit

__all__ = ["LIKELIHOODS", "MORE", "with_echo"]

Complete = Callable[[np.random.Generator, int], pd.DataFrame]
Outcome = Callable[[np.random.Generator, np.ndarray], np.ndarray]  # from the linear predictor
INTERACTION = "y ~ x1 * x2"
_SLOPES = {"x1": 0.4, "x2": 0.3, "x1:x2": 0.4}
_TRUTH = {"Intercept": 0.2, **_SLOPES}


def _partner(continuous: bool, rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=n) if continuous else coin(rng, n)


def _logistic(continuous: bool = False) -> Complete:
    """A two-valued outcome: a continuous x1 that interacts with x2."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x2 = _partner(continuous, rng, n)
        x1 = 0.5 * x2 + rng.normal(size=n)
        y = rng.random(n) < expit(-0.5 + 0.5 * x1 + 0.5 * x2 + 0.8 * x1 * x2)
        return pd.DataFrame({"y": y.astype(float), "x1": x1, "x2": x2})

    return made


def _logistic_follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A later measurement that nearly tells the outcome."""
    frame = _logistic()(rng, n)
    return frame.assign(later=frame["y"] + 0.3 * rng.normal(size=n))


def _logistic_lognormal(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = np.exp(0.3 * z + 0.6 * rng.normal(size=n))
    y = (rng.random(n) < expit(-1 + 0.6 * x + 0.4 * z)).astype(float)
    return pd.DataFrame({"y": y, "x": x, "z": z})


def _crossed(outcome: Outcome, shrink: float = 0.5, continuous: bool = False) -> Complete:
    """An outcome whose linear predictor has an interaction."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x2 = _partner(continuous, rng, n) * (0.8 if continuous else 1.0)
        x1 = shrink * x2 + rng.normal(size=n) * 0.8
        return pd.DataFrame({"y": outcome(rng, 0.2 + 0.4 * x1 + 0.3 * x2 + 0.4 * x1 * x2), "x1": x1, "x2": x2})

    return made


def _with_follow_up(complete: Complete) -> Complete:
    """A later look at the outcome, with as much noise as it varies."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        frame = complete(rng, n)
        return frame.assign(later=frame["y"] + np.std(frame["y"]) * rng.normal(size=n))

    return made


def _poisson(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return rng.poisson(np.exp(linear)).astype(float)


def _gamma(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return rng.gamma(2.0, np.exp(linear) / 2.0)


def _negbin(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return rng.poisson(np.exp(linear) * rng.gamma(1.5, 1 / 1.5, len(linear))).astype(float)


def _probit(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return (linear - 0.3 + rng.normal(size=len(linear)) > 0).astype(float)


def _normal(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return linear + rng.normal(size=len(linear))


def _rising(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return np.exp(linear) + rng.normal(size=len(linear))


def _logit(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return (linear + rng.logistic(size=len(linear)) > 0).astype(float)


def _cloglog(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return (rng.random(len(linear)) < -np.expm1(-np.exp(linear - 0.7))).astype(float)


def _wald(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    return rng.wald(np.exp(linear), 4.0)


def _tweedie(rng: np.random.Generator, linear: np.ndarray) -> np.ndarray:
    """Poisson numbers of exponential jumps: variance power 1.5, dispersion 1."""
    mean = np.exp(linear)
    jumps = rng.poisson(2 * np.sqrt(mean))
    return rng.gamma(np.maximum(jumps, 1e-12), 0.5 * np.sqrt(mean)) * (jumps > 0)


def _ordinal(rng: np.random.Generator, linear: np.ndarray) -> pd.Categorical:
    latent = 2 * (linear - 0.2) + rng.logistic(size=len(linear))
    return pd.Categorical.from_codes(np.digitize(latent, [-0.5, 0.6, 2.0]), list("abcd"), ordered=True)


def _multinomial(rng: np.random.Generator, n: int) -> pd.DataFrame:
    x2 = coin(rng, n)
    x1 = 0.5 * x2 + rng.normal(size=n) * 0.8
    first = 2 * (0.2 + 0.4 * x1 + 0.3 * x2 + 0.4 * x1 * x2)
    score = np.column_stack([0 * x1, first, -0.2 - 0.6 * x1 + 0.5 * x2 + 0.8 * x1 * x2])
    codes = np.argmax(score + rng.gumbel(size=score.shape), axis=1)
    return pd.DataFrame({"y": pd.Categorical.from_codes(codes, list("abc")), "x1": x1, "x2": x2})


def _survival(skewed: bool, censored_at: float = 12.0, rate: float = 0.1) -> Complete:
    """Exponential times, administrative and random censoring."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x2 = coin(rng, n)
        x1 = 0.5 * x2 + rng.normal(size=n) * 0.8
        linear = 0.5 * x1 + 0.4 * x2 + 0.5 * x1 * x2
        if skewed:
            x1 = np.exp(0.4 * x2 + 0.6 * rng.normal(size=n))
            linear = 0.3 * x1 + 0.4 * x2
        event = rng.exponential(1 / (rate * np.exp(linear)))
        ended = np.minimum(rng.exponential(20, n), censored_at)
        died = (event <= ended).astype(float)
        return pd.DataFrame({"time": np.minimum(event, ended), "died": died, "x1": x1, "x2": x2})

    return made


def _rank(frame: pd.DataFrame) -> Any:
    """The outcome's ranks."""
    return (frame["y"].cat.codes if isinstance(frame["y"].dtype, pd.CategoricalDtype) else frame["y"]).rank()


def _hazard(frame: pd.DataFrame) -> Any:
    return frame["died"] - 0.1 * frame["time"]


def _result(result: Any, keep: int | None = None) -> Estimate:
    cov = np.asarray(result.cov_params())
    return list(result.params.index)[:keep], result.params.to_numpy()[:keep], cov[:keep, :keep]


def _fit_glm(family: Callable[[], Any]) -> Callable[[pd.DataFrame], Estimate]:
    return lambda frame: _result(smf.glm(INTERACTION, frame, family=family()).fit())


def _design(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"x1": frame["x1"], "x2": frame["x2"], "x1:x2": frame["x1"] * frame["x2"]})


def _fit_negbin(frame: pd.DataFrame) -> Estimate:
    X = sm.add_constant(_design(frame)).rename(columns={"const": "Intercept"})
    model = sm.NegativeBinomial(frame["y"], X)
    near = model.fit(disp=0, maxiter=300, warn_convergence=False)
    return _result(model.fit(disp=0, method="newton", start_params=near.params), 4)


def _fit_ordinal(frame: pd.DataFrame) -> Estimate:
    return _result(OrderedModel(frame["y"], _design(frame), distr="logit").fit(method="bfgs", disp=0), 3)


def _fit_multinomial(frame: pd.DataFrame) -> Estimate:
    X = sm.add_constant(_design(frame)).rename(columns={"const": "Intercept"})
    result = sm.MNLogit(frame["y"].cat.codes.to_numpy(), X).fit(disp=0)
    names = [f"{level}:{name}" for level in (1, 2) for name in X.columns]
    return names, np.asarray(result.params).T.ravel(), np.asarray(result.cov_params())


def _fit_probit(frame: pd.DataFrame) -> Estimate:
    return _result(smf.probit(INTERACTION, frame).fit(disp=0))


def _fit_cox(crossed: bool) -> Callable[[pd.DataFrame], Estimate]:
    def fit(frame: pd.DataFrame) -> Estimate:
        X = _design(frame) if crossed else frame[["x1", "x2"]]
        times = Times.of(frame["time"].to_numpy(), frame["died"].to_numpy())
        peak = partial_peak(times, X.to_numpy())  # test_likelihoods holds it against PHReg, which takes 0.2 s
        return list(X.columns), peak.estimate, np.linalg.inv(peak.root @ peak.root.T)

    return fit


def _log_gamma() -> Any:
    return sm.families.Gamma(sm.families.links.Log())


_LOGISTIC = {"Intercept": -0.5, "x1": 0.5, "x2": 0.5, "x1:x2": 0.8}
_MULTINOMIAL = {
    "1:Intercept": 0.4, "1:x1": 0.8, "1:x2": 0.6, "1:x1:x2": 0.8,
    "2:Intercept": -0.2, "2:x1": -0.6, "2:x2": 0.5, "2:x1:x2": 0.8,
}  # fmt: skip
_COX = {"status": "died", "ties": "breslow"}
_HARD = ("x1:x2",)
_BOTH_Y = {"x1": Loss("y", -1.0, 0.6), "x2": Loss("y", -1.0, -0.6)}
_X1 = {"x1": Loss(_rank, -0.68, 0.7)}
_BOTH = {"x1": Loss(_rank, -1.0, 0.6), "x2": Loss(_rank, -1.0, -0.6)}
_LATER = {"y": Loss("later", -1.0, 0.7), "x1": Loss("later", -1.0, -0.6)}
_POISSON: dict[str, Any] = {
    "model": "glm", "keywords": {"family": sm.families.Poisson()}, "fit": _fit_glm(sm.families.Poisson), "n_rows": 600
}  # fmt: skip
_GAMMA: dict[str, Any] = {
    "model": "glm", "keywords": {"family": _log_gamma()}, "fit": _fit_glm(_log_gamma), "n_rows": 600
}  # fmt: skip
_ORDINAL: dict[str, Any] = {
    "model": "ordinal", "keywords": {"distr": "logit"}, "fit": _fit_ordinal, "n_rows": 600
}  # fmt: skip
_SURVIVAL: dict[str, Any] = {"model": "phreg", "keywords": _COX, "fit": _fit_cox(True), "n_rows": 600}
_TWICE = {name: 2 * value for name, value in _SLOPES.items()}
_COX_TRUTH = {"x1": 0.5, "x2": 0.4, "x1:x2": 0.5}

LIKELIHOODS: dict[str, Scenario] = {
    "logistic interaction": Scenario(
        _logistic(), {"x1": Loss("y", -0.8, 0.5)}, INTERACTION, _LOGISTIC, _HARD, 1000, "logit"
    ),
    "logistic interaction, continuous partner": Scenario(
        _logistic(True), {"x1": Loss("y", -0.4, 0.8)}, INTERACTION, _LOGISTIC, _HARD, 1000, "logit"
    ),
    "logistic interaction, binary partner incomplete": Scenario(
        _logistic(), _BOTH_Y, INTERACTION, _LOGISTIC, ("x1:x2", "x2"), 1000, "logit"
    ),
    "logistic interaction, continuous partner incomplete": Scenario(
        _logistic(True), _BOTH_Y, INTERACTION, _LOGISTIC, ("x1:x2", "x2"), 1000, "logit"
    ),
    "logistic, log-normal covariate": Scenario(
        _logistic_lognormal, {"x": Loss("y", -0.5, 0.7)}, "y ~ x + z", {"Intercept": -1.0, "x": 0.6, "z": 0.4}, ("x",),
        1000, "logit",
    ),
    "logistic interaction, follow-up auxiliary": Scenario(
        _logistic_follow_up, {"x1": Loss("y", -0.8, 0.5)}, INTERACTION, _LOGISTIC, _HARD, 1000, "logit"
    ),
    "logistic interaction, incomplete outcome": Scenario(
        _with_follow_up(_logistic()), _LATER, INTERACTION, _LOGISTIC, _HARD, 1000, "logit"
    ),
    "probit interaction": Scenario(
        _crossed(_probit), _X1, INTERACTION, {**_TRUTH, "Intercept": -0.1}, _HARD, 600, "probit", fit=_fit_probit
    ),
    "Poisson interaction": Scenario(_crossed(_poisson), _X1, INTERACTION, _TRUTH, _HARD, **_POISSON),
    "Poisson interaction, both incomplete": Scenario(
        _crossed(_poisson, continuous=True), _BOTH, INTERACTION, _TRUTH, ("x1:x2", "x2"), **_POISSON
    ),
    "Poisson interaction, incomplete outcome": Scenario(
        _with_follow_up(_crossed(_poisson)), _LATER, INTERACTION, _TRUTH, _HARD, **_POISSON
    ),
    "Gamma interaction": Scenario(_crossed(_gamma), _X1, INTERACTION, _TRUTH, _HARD, **_GAMMA),
    "Gamma interaction, both incomplete": Scenario(
        _crossed(_gamma), _BOTH, INTERACTION, _TRUTH, ("x1:x2", "x2"), **_GAMMA
    ),
    "Gamma interaction, incomplete outcome": Scenario(
        _with_follow_up(_crossed(_gamma)), _LATER, INTERACTION, _TRUTH, _HARD, **_GAMMA
    ),
    "negative binomial interaction": Scenario(
        _crossed(_negbin), _X1, INTERACTION, _TRUTH, _HARD, 600, "negativebinomial", fit=_fit_negbin
    ),
    "ordinal interaction": Scenario(_crossed(_ordinal), _X1, INTERACTION, _TWICE, _HARD, **_ORDINAL),
    "ordinal interaction, both incomplete": Scenario(
        _crossed(_ordinal), _BOTH, INTERACTION, _TWICE, ("x1:x2", "x2"), **_ORDINAL
    ),
    "multinomial interaction": Scenario(
        _multinomial, _X1, INTERACTION, _MULTINOMIAL, ("1:x1:x2", "2:x1:x2"), 2500, "mnlogit", fit=_fit_multinomial
    ),
    "Cox interaction": Scenario(
        _survival(False), {"x1": Loss(_hazard, -0.68, 0.7)}, "time ~ x1 * x2", _COX_TRUTH, _HARD, **_SURVIVAL
    ),
    "Cox interaction, both incomplete, 60 % censored": Scenario(
        _survival(False, 4.0, 0.08), {"x1": Loss(_hazard, -1.0, 0.6), "x2": Loss(_hazard, -1.0, -0.6)},
        "time ~ x1 * x2", _COX_TRUTH, ("x1:x2", "x2"), **{**_SURVIVAL, "n_rows": 1000},
    ),
    "Cox, log-normal covariate": Scenario(
        _survival(True), {"x1": Loss(_hazard, -0.68, 0.7)}, "time ~ x1 + x2", {"x1": 0.3, "x2": 0.4}, ("x1",),
        **{**_SURVIVAL, "fit": _fit_cox(False)},
    ),
}  # fmt: skip


_LOG = sm.families.links.Log()
_FAMILIES = {
    "Gaussian log": (_rising, sm.families.Gaussian(_LOG), _TRUTH),
    "binomial cloglog": (_cloglog, sm.families.Binomial(sm.families.links.CLogLog()), {**_TRUTH, "Intercept": -0.5}),
    "negative binomial, alpha known": (_negbin, sm.families.NegativeBinomial(alpha=1 / 1.5), _TRUTH),
    "inverse Gaussian log": (_wald, sm.families.InverseGaussian(_LOG), _TRUTH),
    "Tweedie log": (_tweedie, sm.families.Tweedie(_LOG, var_power=1.5), _TRUTH),
}

#: held against an appended auxiliary only: their bias and coverage are those of their neighbours
MORE: dict[str, Scenario] = {
    "linear": Scenario(_crossed(_normal), _X1, INTERACTION, _TRUTH, _HARD, 600),
    "logistic": Scenario(_crossed(_logit), _X1, INTERACTION, _TRUTH, _HARD, 600, "logit"),
    "ordered probit": Scenario(
        _crossed(_ordinal), _X1, INTERACTION, _SLOPES, _HARD, 600, "ordinal",
        fit=lambda f: _result(OrderedModel(f["y"], _design(f), distr="probit").fit(method="bfgs", disp=0), 3),
    ),
    **{
        name: Scenario(
            _crossed(law), _X1, INTERACTION, truth, _HARD, 600, "glm", {"family": family},
            _fit_glm(lambda family=family: family),
        )
        for name, (law, family, truth) in _FAMILIES.items()
    },
}  # fmt: skip


def with_echo(scenario: Scenario) -> Scenario:
    """The same frames with a complete column appended that echoes the outcome and noise."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        frame = scenario.complete(rng, n)
        echo = frame["time"] if "time" in frame else frame["y"]
        echo = echo.cat.codes if isinstance(echo.dtype, pd.CategoricalDtype) else echo
        noise = np.random.default_rng(rng.integers(2**31)).normal(size=n)
        frame["echo"] = echo + 1.5 * np.std(echo) * noise
        return frame

    return replace(scenario, complete=made)

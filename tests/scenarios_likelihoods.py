"""Incomplete frames for analyses beyond OLS and Logit; imputed at the lower level, fitted by statsmodels, pooled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mifit.formula.question import ask
from mifit.frame.completed import Completed
from mifit.frame.table import read
from mifit.impute.chain import Seed
from mifit.impute.methods.cox import Times, partial_peak
from mifit.impute.plan import Wishes
from mifit.impute.planning import make
from mifit.impute.runs import run
from mifit.pool.rubin import pool, t_quantile

__all__ = ["ANALYSES", "MORE", "Analysis", "Found", "completed", "estimates", "summarise", "with_auxiliary"]

Frame = Callable[[np.random.Generator, int], pd.DataFrame]
Estimate = tuple[list[str], np.ndarray, np.ndarray]  # names, estimates, covariance
INTERACTION = "y ~ x1 * x2"


@dataclass(frozen=True)
class Analysis:
    """A way to make frames, the analysis of one complete frame, and the truth."""

    make: Frame
    model: str
    fit: Callable[[pd.DataFrame], Estimate]
    truth: Mapping[str, float]
    formula: str = INTERACTION
    n_rows: int = 600
    keywords: Mapping[str, Any] = field(default_factory=dict)


def _lose(frame: pd.DataFrame, column: str, score: Any, level: float, slope: float, rng: np.random.Generator) -> None:
    """Lose values of a column with a chance that rises with a standardised, fully observed score."""
    z = (score - np.mean(score)) / np.std(score)
    frame.loc[rng.random(len(frame)) < 1 / (1 + np.exp(-level - slope * z)), column] = np.nan


def _covariates(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """x1 continuous, x2 binary, correlated."""
    x2 = (rng.random(n) < 0.5).astype(float)
    return 0.5 * x2 + rng.normal(size=n) * 0.8, x2


def _interaction(outcome: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]) -> Frame:
    """Frames with an interaction; about 35 % of x1 missing given the outcome's ranks."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x1, x2 = _covariates(rng, n)
        y = outcome(x1, x2, rng)
        frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
        _lose(frame, "x1", pd.Series(y).rank().to_numpy(), -0.68, 0.7, rng)
        return frame

    return made


def _linear(x1: np.ndarray, x2: np.ndarray) -> np.ndarray:
    return 0.2 + 0.4 * x1 + 0.3 * x2 + 0.4 * x1 * x2


LINEAR = {"Intercept": 0.2, "x1": 0.4, "x2": 0.3, "x1:x2": 0.4}
SLOPES = {name: value for name, value in LINEAR.items() if name != "Intercept"}


def _poisson(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(np.exp(_linear(x1, x2))).astype(float)


def _gamma(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.gamma(2.0, np.exp(_linear(x1, x2)) / 2.0)


def _negbin(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.poisson(np.exp(_linear(x1, x2)) * rng.gamma(1.5, 1 / 1.5, len(x1))).astype(float)


def _ordinal(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    latent = 2 * (_linear(x1, x2) - 0.2) + rng.logistic(size=len(x1))
    return np.digitize(latent, [-0.5, 0.6, 2.0]).astype(float)


def _mnlogit(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    score = np.column_stack([0 * x1, _linear(x1, x2) * 2, -0.2 - 0.6 * x1 + 0.5 * x2 + 0.8 * x1 * x2])
    return np.argmax(score + rng.gumbel(size=score.shape), axis=1).astype(float)


def _probit(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (_linear(x1, x2) - 0.3 + rng.normal(size=len(x1)) > 0).astype(float)


def _normal(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return _linear(x1, x2) + rng.normal(size=len(x1))


def _rising(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.exp(_linear(x1, x2)) + rng.normal(size=len(x1))


def _logit(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (_linear(x1, x2) - 0.2 + rng.logistic(size=len(x1)) > 0).astype(float)


def _cloglog(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(x1)) < -np.expm1(-np.exp(_linear(x1, x2) - 0.7))).astype(float)


def _wald(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.wald(np.exp(_linear(x1, x2)), 4.0)


def _tweedie(x1: np.ndarray, x2: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson numbers of exponential jumps: variance power 1.5, dispersion 1."""
    mean = np.exp(_linear(x1, x2))
    jumps = rng.poisson(2 * np.sqrt(mean))
    return rng.gamma(np.maximum(jumps, 1e-12), 0.5 * np.sqrt(mean)) * (jumps > 0)


def _levels(frame: Frame, ordered: bool) -> Frame:
    """The outcome as a category."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        found = frame(rng, n)
        found["y"] = pd.Categorical.from_codes(found["y"].astype(int), list("abcd" if ordered else "abc"), ordered)
        return found

    return made


def _survival(skewed: bool) -> Frame:
    """Exponential times, administrative and random censoring, a covariate missing given event and time."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x1, x2 = _covariates(rng, n)
        linear = 0.5 * x1 + 0.4 * x2 + 0.5 * x1 * x2
        if skewed:
            x1 = np.exp(0.4 * x2 + 0.6 * rng.normal(size=n))
            linear = 0.3 * x1 + 0.4 * x2
        event = rng.exponential(1 / (0.1 * np.exp(linear)))
        ended = np.minimum(rng.exponential(20, n), 12.0)
        time = np.minimum(event, ended)
        frame = pd.DataFrame({"time": time, "died": (event <= ended).astype(float), "x1": x1, "x2": x2})
        _lose(frame, "x1", frame["died"].to_numpy() - 0.1 * time, -0.68, 0.7, rng)
        return frame

    return made


def _incomplete(outcome: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]) -> Frame:
    """Holes in the outcome and in x1, given a later, complete look at the outcome."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        x1, x2 = _covariates(rng, n)
        y = outcome(x1, x2, rng)
        later = y + np.std(y) * rng.normal(size=n)
        frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2, "later": later})
        _lose(frame, "y", later, -1.0, 0.7, rng)
        _lose(frame, "x1", later, -1.0, -0.6, rng)
        return frame

    return made


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


def _fit_mnlogit(frame: pd.DataFrame) -> Estimate:
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


GAMMA = {"family": sm.families.Gamma(sm.families.links.Log())}
POISSON = {"family": sm.families.Poisson()}
MULTINOMIAL = {
    "1:Intercept": 0.4, "1:x1": 0.8, "1:x2": 0.6, "1:x1:x2": 0.8,
    "2:Intercept": -0.2, "2:x1": -0.6, "2:x2": 0.5, "2:x1:x2": 0.8,
}  # fmt: skip
COX = {"status": "died", "ties": "breslow"}

#: held against an appended auxiliary only: their bias and coverage are in scenarios.py or those of their neighbours
_LOG = sm.families.links.Log()
MORE: dict[str, Analysis] = {
    "linear": Analysis(_interaction(_normal), "ols", lambda f: _result(smf.ols(INTERACTION, f).fit()), LINEAR),
    "logistic": Analysis(
        _interaction(_logit), "logit", lambda f: _result(smf.logit(INTERACTION, f).fit(disp=0)), LINEAR
    ),
    "ordered probit": Analysis(
        _levels(_interaction(_ordinal), True), "ordinal",
        lambda f: _result(OrderedModel(f["y"], _design(f), distr="probit").fit(method="bfgs", disp=0), 3), SLOPES,
    ),
    **{
        name: Analysis(
            _interaction(law), "glm", _fit_glm(lambda family=family: family), LINEAR, keywords={"family": family}
        )
        for name, law, family in (
            ("gaussian log", _rising, sm.families.Gaussian(_LOG)),
            ("binomial cloglog", _cloglog, sm.families.Binomial(sm.families.links.CLogLog())),
            ("negative binomial, alpha known", _negbin, sm.families.NegativeBinomial(alpha=1 / 1.5)),
            ("inverse gaussian log", _wald, sm.families.InverseGaussian(_LOG)),
            ("tweedie log", _tweedie, sm.families.Tweedie(_LOG, var_power=1.5)),
        )
    },
}  # fmt: skip

ANALYSES: dict[str, Analysis] = {
    "poisson": Analysis(_interaction(_poisson), "glm", _fit_glm(sm.families.Poisson), LINEAR, keywords=POISSON),
    "gamma log": Analysis(
        _interaction(_gamma), "glm", _fit_glm(lambda: sm.families.Gamma(sm.families.links.Log())), LINEAR,
        keywords=GAMMA,
    ),
    "negative binomial": Analysis(_interaction(_negbin), "negativebinomial", _fit_negbin, LINEAR),
    "ordinal": Analysis(
        _levels(_interaction(_ordinal), True), "ordinal", _fit_ordinal, {k: 2 * v for k, v in SLOPES.items()},
        keywords={"distr": "logit"},
    ),
    "multinomial": Analysis(_levels(_interaction(_mnlogit), False), "mnlogit", _fit_mnlogit, MULTINOMIAL, n_rows=2500),
    "probit": Analysis(_interaction(_probit), "probit", _fit_probit, {**LINEAR, "Intercept": -0.1}),
    "cox": Analysis(
        _survival(False), "phreg", _fit_cox(True), {"x1": 0.5, "x2": 0.4, "x1:x2": 0.5},
        "time ~ x1 * x2", keywords=COX,
    ),
    "cox, skewed covariate": Analysis(
        _survival(True), "phreg", _fit_cox(False), {"x1": 0.3, "x2": 0.4}, "time ~ x1 + x2", keywords=COX
    ),
    "poisson, incomplete outcome": Analysis(
        _incomplete(_poisson), "glm", _fit_glm(sm.families.Poisson), LINEAR, keywords=POISSON
    ),
    "gamma, incomplete outcome": Analysis(
        _incomplete(_gamma), "glm", _fit_glm(lambda: sm.families.Gamma(sm.families.links.Log())), LINEAR,
        keywords=GAMMA,
    ),
}  # fmt: skip


def with_auxiliary(analysis: Analysis) -> Analysis:
    """The same frames with a complete column appended that echoes the outcome and noise."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        frame = analysis.make(rng, n)
        echo = frame["time"] if "time" in frame else frame["y"]
        echo = echo.cat.codes if isinstance(echo.dtype, pd.CategoricalDtype) else echo
        noise = np.random.default_rng(rng.integers(2**31)).normal(size=n)
        frame["echo"] = echo + 1.5 * np.std(echo) * noise
        return frame

    return replace(analysis, make=made)


def completed(analysis: Analysis, frame: pd.DataFrame, m: int, seed: int, **wishes: Any) -> Completed:
    """Impute a frame for its analysis."""
    table = read(frame)
    question = ask(analysis.formula, table, model=analysis.model, keywords=dict(analysis.keywords))
    plan, table = make(table, [question], Wishes(**wishes), {})
    assert plan.mode == "compatible"
    chains = run(table, plan, range(m), plan.iterations, Seed(seed))
    return Completed(frame, table, tuple(dict(chain.holes) for chain in chains))


@dataclass(frozen=True)
class Found:
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


def summarise(analysis: Analysis, runs: pd.DataFrame) -> dict[str, Found]:
    """Bias and coverage of every coefficient."""
    n = len(runs)
    return {
        name: Found(runs[name].mean(), runs[name].std(ddof=1) / np.sqrt(n), runs[f"{name} covered"].mean(), truth, n)
        for name, truth in analysis.truth.items()
    }


def estimates(analysis: Analysis, frames: int, m: int, seed: int, first: int = 0, **wishes: Any) -> pd.DataFrame:
    """One row per frame: error and cover of each coefficient."""
    rows = []
    for number in range(first, first + frames):
        frame = analysis.make(np.random.default_rng([seed, number]), analysis.n_rows)
        sets = [analysis.fit(one) for one in completed(analysis, frame, m, number, **wishes)]
        names = sets[0][0]
        pooled = pool(np.array([s[1] for s in sets]), np.array([s[2] for s in sets]))
        half = t_quantile(0.975, pooled.df) * pooled.std_error
        low, high = pooled.params - half, pooled.params + half
        row: dict[str, float] = {}
        for name, truth in analysis.truth.items():
            at = names.index(name)
            row[name] = pooled.params[at] - truth
            row[f"{name} covered"] = low[at] <= truth <= high[at]
        rows.append(row)
    return pd.DataFrame(rows)

"""Weights of an analysis in compatible draws: precisions multiply the likelihood, sampling weights do not."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit import PlanError

FAST = {"m": 2, "iterations": 5, "rng": 1}
LOGIT = {"model": "glm", "family": sm.families.Binomial(), "var_weights": "w"}
LOOSE = "approximate: drawn without weights, the weight "


def expit(value):
    return 1 / (1 + np.exp(-value))


def surveyed(kind, seed, n=500):
    """A sample with its weights, before and after losses; the slope of x is .7 under logit, else .5."""
    rng, many = np.random.default_rng(seed), 12 * n
    z, region, w = rng.normal(size=many), rng.integers(0, 4, many), None
    x = 0.5 * z + rng.normal(size=many)
    y = 1 + 0.5 * x + 0.5 * z + rng.normal(size=many)
    if kind == "known variances":
        w = np.exp(0.8 * rng.normal(size=many))
        y = y + (w**-0.5 - 1) * (y - 1 - 0.5 * x - 0.5 * z)
        chance = np.full(many, 0.5)
    elif kind == "outcome":
        chance = expit(-2 + 0.5 * y)
    elif kind == "both ends":
        chance = expit(-3 + 1.2 * np.abs(y - 1))
    elif kind == "covariate":
        chance = expit(-2 + 0.7 * z + 0.5 * rng.normal(size=many))
    elif kind == "region":
        x, y = x + 0.5 * (region - 1.5), y + 0.65 * (region - 1.5)  # the slope of y by region is .4 given x
        chance = np.array([0.04, 0.08, 0.16, 0.32])[region]
    else:
        y = (rng.random(many) < expit(-2 + 0.7 * x + 0.5 * z)).astype(float)
        chance = np.where(y == 1, 0.6, 0.1) * (1 - 0.5 * (z > 0))
        if kind == "two values":
            chance = expit(-2 + 0.7 * z + 0.5 * rng.normal(size=many))
    frame = pd.DataFrame({"x": x, "z": z, "y": y, "w": 1 / chance if w is None else w})
    full = frame[rng.random(many) < chance].sample(n, random_state=seed).reset_index(drop=True)
    holed, score = full.copy(), (full["y"] - full["y"].mean()) / full["y"].std()
    holed.loc[rng.random(n) < expit(-0.6 + 0.8 * score), "x"] = np.nan
    return full, holed


@pytest.mark.parametrize("kind, weighting", [
    ("known variances", "likelihood"), ("outcome", "none"), ("both ends", "predictor"), ("covariate", "predictor"),
    ("region", "predictor"), ("cases", "auxiliary"),
])  # fmt: skip
def test_complete_rows_tell_precisions_from_sampling_weights(kind, weighting):
    """Of 20 frames of each kind 20, 20, 19, 20 and 20 were told right."""
    frames = [surveyed(kind, seed)[1] for seed in range(4)]
    words = LOGIT if kind == "cases" else {"model": "wls", "weights": "w"}
    found = [frame.mice.plan("y ~ x + z", **words).factors[0].weighting for frame in frames]
    assert found.count(weighting) >= 3


@pytest.mark.parametrize("kind", ["region", "known variances"])
def test_the_plan_says_how_the_weights_were_taken_and_prints_the_other_way(kind):
    df = surveyed(kind, 3)[1]
    plan = df.mice.plan("y ~ x + z", model="wls", weights="w")
    note = next(str(event) for event in plan.events if str(event).startswith("weights='w': taken for"))
    assert ("sampling weights" in note) == (kind == "region")
    other = eval(note.partition("if they are not: ")[2].replace("impute(", "plan("), {"df": df})
    assert {plan.factors[0].weighting, other.factors[0].weighting} == {"predictor", "likelihood"}
    assert any(str(event).startswith("weights='w': ") and "taken" not in str(event) for event in other.events)


@pytest.mark.parametrize("kind, predictors, said, told", [
    ("two values", ("z", "np.log(w)"), "among the predictors of the covariates", "were among the predictors"),
    ("cases", ("z",), "an auxiliary that follows the outcome", "were an auxiliary variable"),
])  # fmt: skip
def test_what_sampling_weights_are_is_said(kind, predictors, said, told):
    df = surveyed(kind, 1)[1]
    imp = df.mice.impute("y ~ x + z", **LOGIT, **FAST)
    assert imp.plan["x"].predictors == predictors
    assert str(imp.fit(cov_type="HC1").congeniality) == str(imp.fit().congeniality) == LOOSE + said
    text = " ".join(imp.methods_text().split())
    assert f"sampling weights of the analysis did not enter this likelihood; they {told}" in text
    fit = sm.GLM.from_formula("y ~ x + z", imp[0], family=sm.families.Binomial(), var_weights=df["w"]).fit()
    np.testing.assert_allclose(imp.fit(cov_type="HC1").fits.estimates[0], fit.params, rtol=1e-6)


def test_draws_are_those_of_the_same_analysis_without_weights_and_their_logarithm_as_baseline():
    df = surveyed("two values", 2)[1]
    imp = df.mice.impute("y ~ x + z", **LOGIT, **FAST)
    beside = df.assign(lw=np.log(df["w"])).drop(columns="w")
    same = beside.mice.impute("y ~ x + z", model="logit", auxiliary={"baseline": ["lw"]}, **FAST)
    np.testing.assert_allclose(imp[1]["x"], same[1]["x"], rtol=1e-8)


@pytest.mark.parametrize("how, alike", [("sampling", True), ("precision", False)])
def test_how_many_a_row_stands_for_makes_no_row_surer(how, alike):
    df = surveyed("two values", 4)[1]
    one, many = (
        frame.mice.impute("y ~ x + z", weights_as=how, **LOGIT, **FAST)[0]["x"]
        for frame in (df, df.assign(w=1000 * df["w"]))
    )
    assert np.allclose(one, many, rtol=1e-6) == alike


def test_equal_sampling_weights_are_no_weights():
    df = surveyed("cases", 5)[1].assign(w=3.0)
    imp = df.mice.impute("y ~ x + z", weights_as="sampling", **LOGIT, **FAST)
    plain = df.drop(columns="w").mice.impute("y ~ x + z", model="logit", **FAST)
    pd.testing.assert_series_equal(imp[1]["x"], plain[1]["x"])


def test_weights_that_follow_from_the_outcome_do_not_stand_for_it():
    """Among the predictors of x alone they brought +17 %, and in the model of a count as well -8 %."""
    df = surveyed("outcome", 1)[1]
    imp = df.mice.impute("y ~ x + z", model="wls", weights="w", **FAST)
    assert imp.plan["x"].predictors == ("z",)
    assert str(imp.fit().congeniality) == "approximate: drawn without weights"
    assert any("follows from the outcome: not a predictor" in str(event) for event in imp.plan.events)


def test_weights_of_a_few_values_are_classes():
    df = surveyed("region", 2)[1]
    imp = df.mice.impute("y ~ x + z", model="wls", weights="w", **FAST)
    assert imp.plan["x"].predictors == ("z", "C(w)")
    same = df.assign(c=df["w"].round(3).astype(str)).drop(columns="w")
    beside = same.mice.impute("y ~ x + z", auxiliary={"baseline": ["c"]}, m=40, rng=1)
    found = df.mice.impute("y ~ x + z", model="wls", weights="w", m=40, rng=2)
    gap = np.mean([one["x"] for one in found], axis=0) - np.mean([one["x"] for one in beside], axis=0)
    lost = df["x"].isna()
    assert abs(gap[lost].mean()) < 0.06 and gap[lost].std() < 0.35  # a draw of one row has sd 1, a mean of 40 .15


def test_trials_are_precisions_and_keep_the_verdict():
    rng = np.random.default_rng(1)
    trials, x = rng.integers(2, 40, 300), rng.normal(size=300)
    df = pd.DataFrame({"share": rng.binomial(trials, expit(0.5 * x)) / trials, "x": x, "trials": trials})
    df.loc[::4, "x"] = np.nan
    words = {"model": "glm", "family": sm.families.Binomial(), "var_weights": "trials"}
    imp = df.mice.impute("share ~ x", **words, **FAST)
    assert imp.plan.factors[0].weighting == "likelihood"
    assert set(imp.check()["verdict"]) == {"exact"}
    said = df.mice.impute("share ~ x", weights_as="precision", **words, **FAST)
    pd.testing.assert_frame_equal(said[0], imp[0])


def test_how_weights_are_taken_comes_back_from_a_file(tmp_path):
    imp = surveyed("region", 1)[1].mice.impute("y ~ x + z", model="wls", weights="w", weights_as="sampling", **FAST)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    assert back.plan.factors == imp.plan.factors and back.plan.options == imp.plan.options
    pd.testing.assert_frame_equal(back.extend(m=3)[2], imp.extend(m=3)[2])


@pytest.mark.parametrize("words, said", [
    ({"model": "wls", "weights": "w", "weights_as": "pweight"}, "weights_as is 'pweight'"),
    ({"weights_as": "sampling"}, "none has any"),
])  # fmt: skip
def test_other_words_are_refused_with_a_call_that_runs(words, said):
    df = surveyed("region", 1, n=100)[1]
    with pytest.raises(PlanError, match=said) as told:
        df.mice.impute("y ~ x + z", **words, **FAST)
    assert eval(told.value.do, {"df": df}).m == 2


def gaps(kind, truth, frames, words):
    """Estimates of x less those of full data, their share of the truth, and whether the interval covers it."""
    found = []
    for seed in range(frames):
        full, holed = surveyed(kind, seed)
        family = words.get("family", sm.families.Gaussian())
        direct = sm.GLM.from_formula("y ~ x + z", full, family=family, var_weights=full["w"]).fit()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            res = holed.mice.impute("y ~ x + z", m=5, rng=seed, **words).fit(cov_type="HC1")
        low, high = res.conf_int().loc["x"]
        found.append(((res.params["x"] - direct.params["x"]) / truth, low < truth < high))
    return np.array(found, dtype=float)


@pytest.mark.slow
@pytest.mark.parametrize("kind, truth, words", [
    ("cases", 0.7, LOGIT), ("two values", 0.7, LOGIT), ("covariate", 0.5, {"model": "wls", "weights": "w"}),
    ("outcome", 0.5, {"model": "wls", "weights": "w"}), ("region", 0.69, {"model": "wls", "weights": "w"}),
])  # fmt: skip
def test_weighted_analyses_lose_nothing_by_imputation(kind, truth, words):
    """Bias below 3 % or three Monte-Carlo errors, coverage at least 90 % of 60 frames (chance of less under 95 %: .03).

    Multiplied into the likelihood the weights of cases brought +105 %.
    """
    found = gaps(kind, truth, 60, words)
    error = found[:, 0].std() / np.sqrt(len(found))
    assert abs(found[:, 0].mean()) < max(0.03, 3 * error)
    assert found[:, 1].mean() >= 0.9

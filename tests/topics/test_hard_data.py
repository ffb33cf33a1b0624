"""Data that break other programs: it works, or it is one clear error; never a missing value, a crash or a NaN."""

import time

import numpy as np
import pandas as pd
import pytest

from mifit import MifitError

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

FAST = {"m": 2, "rng": 1, "iterations": 5}


def numbers(n=60, p=3, seed=0):
    """Normal columns y, x1, x2, ... of which x1 has missing values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    frame = pd.DataFrame(X, columns=[f"x{j + 1}" for j in range(p)])
    frame.insert(0, "y", X.sum(axis=1) + rng.normal(size=n))
    frame["x1"] = frame["x1"].mask(rng.random(n) < 0.3)
    return frame


def complete(imp):
    """Whether no missing value and no infinite value is left in any set."""
    return all(
        not f.isna().any().any() and np.isfinite(f.select_dtypes("number").to_numpy(dtype=float)).all() for f in imp
    )


BOTH = pytest.mark.parametrize("formula", [None, "y ~ x1 + x2"], ids=["chained", "compatible"])


@BOTH
def test_one_missing_cell(formula):
    frame = numbers().assign(x1=numbers(seed=1)["x2"])
    frame.loc[7, "x1"] = np.nan
    imp = frame.mice.impute(formula, m=5, rng=1)
    assert complete(imp) and len({f.loc[7, "x1"] for f in imp}) > 1


@BOTH
def test_one_row_with_data_in_a_column_is_an_error_or_works(formula):
    frame = numbers()
    frame.loc[1:, "x1"] = np.nan
    try:
        assert complete(frame.mice.impute(formula, **FAST))
    except MifitError as error:
        assert "'x1'" in str(error).splitlines()[0]


@BOTH
@pytest.mark.parametrize("n", [3, 5, 8])
def test_a_handful_of_rows(formula, n):
    frame = numbers(n=n).round(3)
    frame.loc[0, "x1"], frame.loc[1, "x1"], frame.loc[2, "x1"] = np.nan, 0.3, 0.7
    assert complete(frame.mice.impute(formula, **FAST))


@BOTH
def test_more_columns_than_rows(formula):
    frame = numbers(n=30, p=50)
    frame = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.1)
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    if formula is None:
        return
    said = " ".join(imp.events["event"])
    assert "48 of 48 auxiliaries" not in said and "auxiliaries left out: at most 1 for 30 rows" in said
    assert "drawn after the joint model, given all other columns, and predicting none: " in said


@BOTH
def test_a_constant_column_with_and_without_holes(formula):
    frame = numbers().assign(full=5.0, holed=5.0, word="a")
    frame.loc[:9, "holed"] = np.nan
    frame.loc[:5, "word"] = None
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    assert (imp[0]["holed"] == 5.0).all() and (imp[1]["word"] == "a").all()


@BOTH
def test_a_constant_covariate_of_the_analysis(formula):
    frame = numbers()
    frame["x2"] = 3.0
    frame.loc[:4, "x2"] = np.nan
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp) and (imp[0]["x2"] == 3.0).all()


@BOTH
@pytest.mark.parametrize("noise", [0.0, 1e-13, 1e-9, 1e-6])
def test_collinear_columns_leave_no_hole(formula, noise):
    frame = numbers(p=2)
    rng = np.random.default_rng(3)
    frame["copy"] = 2.0 * frame["x2"] + 1.0 + noise * rng.normal(size=len(frame))
    frame["sum"] = frame["x2"] + frame["copy"]
    frame["x2"] = frame["x2"].mask(rng.random(len(frame)) < 0.2)
    assert complete(frame.mice.impute(formula, **FAST))


@pytest.mark.parametrize("noise", [0.0, 1e-12])
def test_collinear_covariates_of_one_analysis_leave_no_hole_and_are_named(noise):
    frame = numbers()
    frame["x3"] = 2.0 * frame["x2"] + noise * np.random.default_rng(3).normal(size=len(frame))
    imp = frame.mice.impute("y ~ x1 + x2 + x3", **FAST)
    assert complete(imp)
    assert imp.events["event"].str.contains("x3|x2").any()
    if noise == 0.0:
        with pytest.raises(MifitError, match="x3"):
            imp.fit()


@BOTH
@pytest.mark.parametrize("power", [-12, 12])
def test_columns_of_very_different_scales(formula, power):
    plain = numbers()
    frame = plain.assign(x1=plain["x1"] * 10.0**power, x2=plain["x2"] * 10.0**-power)
    one, other = (f.mice.impute(formula, **FAST) for f in (plain, frame))
    assert complete(other)
    np.testing.assert_allclose(other[0]["x1"] / 10.0**power, one[0]["x1"], rtol=1e-6)


@BOTH
@pytest.mark.parametrize("origin", [1e6, -1e9])
def test_columns_far_from_zero(formula, origin):
    frame = numbers().assign(x1=lambda f: f["x1"] + origin)
    imp = frame.mice.impute(formula, **FAST)
    drawn = imp[0]["x1"] - origin
    assert complete(imp) and drawn.abs().max() < 10


@BOTH
def test_two_columns_that_are_never_seen_together(formula):
    frame = numbers()
    frame["x1"] = numbers(seed=5)["x2"].mask(frame.index < 30)
    frame["x2"] = frame["x2"].mask(frame.index >= 30)
    assert complete(frame.mice.impute(formula, **FAST))


@BOTH
def test_rows_with_nothing_in_them(formula):
    frame = numbers()
    frame.loc[:4, :] = np.nan
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp) and imp[0].shape == frame.shape


@BOTH
def test_rare_and_unused_levels(formula):
    frame = numbers(n=120)
    levels = pd.CategoricalDtype(["common", "rare", "once", "never"])
    frame["g"] = pd.Series(["common"] * 100 + ["rare"] * 19 + ["once"], dtype=levels)
    frame.loc[:30, "g"] = np.nan
    formula = formula and "y ~ x1 + g"
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    assert all(f["g"].dtype == levels and (f["g"] != "never").all() for f in imp)


SEPARATED = {
    "binary": lambda x: np.where(x > 0, "yes", "no"),
    "nominal": lambda x: np.select([x < -0.5, x < 0.5], ["a", "b"], "c"),
    "ordinal": lambda x: pd.Categorical(np.select([x < -0.5, x < 0.5], ["lo", "mid"], "hi"), ["lo", "mid", "hi"], True),
}


@pytest.mark.parametrize("kind", SEPARATED)
@pytest.mark.parametrize("where", ["chained", "covariate", "auxiliary"])
def test_perfect_separation(kind, where):
    frame = numbers(n=120)
    full = numbers(n=120)["x2"]
    frame["g"] = pd.Series(SEPARATED[kind](full))
    frame["g"] = frame["g"].mask(np.random.default_rng(4).random(120) < 0.2)
    formula = {"chained": None, "covariate": "y ~ x2 + g", "auxiliary": "y ~ x1 + x2"}[where]
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    gone = frame["g"].isna()
    if where != "auxiliary":
        truth = np.asarray(SEPARATED[kind](full))[gone]
        assert np.mean([np.mean(f["g"][gone].astype(str) == truth) for f in imp]) > 0.7


def test_a_separated_analysis_is_drawn_and_its_fit_warns():
    frame = numbers(n=120)
    frame["o"] = np.where(frame["x2"] > 0, 1, 0)
    imp = frame.mice.impute("o ~ x1 + x2", **FAST)
    assert complete(imp)


@BOTH
def test_heavy_ties(formula):
    frame = numbers(n=200)
    frame["x1"] = frame["x1"].round(0)
    frame["x2"] = (frame["x2"] > 1).astype(float)
    frame["t"] = np.where(np.random.default_rng(0).random(200) < 0.9, 0.0, 7.5)
    frame.loc[:20, ["t", "x2"]] = np.nan
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp) and set(imp[0]["t"]) <= {0.0, 7.5} and set(imp[0]["x2"]) <= {0.0, 1.0}


def test_an_outcome_with_few_observed_values():
    frame = numbers(n=80)
    frame.loc[6:, "y"] = np.nan
    assert complete(frame.mice.impute("y ~ x1 + x2", **FAST))


def test_more_than_half_of_everything_missing():
    frame = numbers(n=200)
    rng = np.random.default_rng(1)
    frame = frame.mask(rng.random(frame.shape) < 0.6)
    imp = frame.mice.impute("y ~ x1*x2", m=2, rng=1)
    assert complete(imp) and imp.iterations == 20


@BOTH
def test_text_with_a_level_of_its_own_in_every_row(formula):
    frame = numbers().assign(name=[f"patient {i}" for i in range(60)])
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp) and "only names its rows" in " ".join(imp.events["event"])


def test_three_hundred_columns_take_seconds_and_no_long_formula():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(400, 5))
    X = factor @ rng.normal(size=(5, 300)) + rng.normal(size=(400, 300))
    frame = pd.DataFrame(X, columns=[f"v{j}" for j in range(300)])
    frame = frame.mask(rng.random(frame.shape) < 0.05)
    started = time.process_time()
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    assert complete(imp) and imp.plan.extra == () and imp.plan.questions == ()
    compatible = frame.mice.impute("v0 ~ v1*v2", m=2, rng=1, iterations=2)
    assert all(len(q.terms.codes) <= 4 for q in compatible.plan.questions) and compatible.plan.extra == ()
    assert time.process_time() - started < 30


@pytest.mark.parametrize("seed", range(4))
def test_forty_levels_and_a_constant_leave_a_binary_column_without_predictors(seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"place": [f"p{i % 40}" for i in range(120)], "one": 1.0, "b": rng.choice(["u", "v"], 120)})
    frame["o"] = pd.Categorical(rng.choice(list("abc"), 120), ordered=True)
    for name in ("b", "o"):
        frame[name] = frame[name].mask(rng.random(120) < 0.2)
    assert complete(frame.mice.impute(m=2, rng=seed, iterations=3))


def test_three_rows_with_a_hole_in_each_kind():
    frame = pd.DataFrame({"y": [1.0, 2, 4], "x": [np.nan, 3, 5], "g": ["a", None, "b"]})
    assert complete(frame.mice.impute(m=5, rng=1))

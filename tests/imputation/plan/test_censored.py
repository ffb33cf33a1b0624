"""Censored and truncated columns: two words for two models, and no guess between them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

import mifit
from mifit import PlanError
from mifit.imputation.plan.options import Options

FAST = {"m": 2, "rng": 1, "iterations": 3}


def coarsened(n=1200, seed=0):
    """y = 0.5 x + e is known to the next whole number only in half of the rows; the others are exact."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = 0.5 * x + rng.normal(size=n)
    gone = rng.random(n) < 0.5
    ends = {"lo": np.where(gone, np.floor(y), np.nan), "hi": np.where(gone, np.floor(y) + 1, np.nan)}
    return pd.DataFrame({"y": np.where(gone, np.nan, y), "x": x, **ends})


@pytest.mark.parametrize("formula", [None, "y ~ x"])
def test_coarsened_values_give_back_the_slope_and_lie_where_they_are_known_to(formula):
    frame = coarsened()
    imp = frame.mice.impute(formula, censored={"y": ("lo", "hi")}, m=10, rng=1)
    gone = frame["y"].isna()
    assert all(one["y"][gone].between(frame["lo"][gone], frame["hi"][gone]).all() for one in imp)
    res = imp.fit("y ~ x")
    assert abs(res.params["x"] - 0.5) < 3.9 * res.bse["x"]  # false alarm 1e-4
    # coarsening tells nearly all: the interval is far shorter than that of the complete cases
    assert res.bse["x"] < 0.8 * mifit_complete(frame)
    assert imp.plan["lo"].role == imp.plan["hi"].role == "left"


def mifit_complete(frame):
    """Standard error of the slope in the rows where y is exact."""
    import statsmodels.formula.api as smf

    return smf.ols("y ~ x", frame).fit().bse["x"]


@pytest.mark.parametrize("formula", [None, "y ~ x"])
def test_one_odd_row_changes_no_other_rows_model(formula):
    """An observed value outside its own interval is exact all the same; it flips nothing."""
    frame = coarsened(300)
    odd = frame.copy()
    row = frame.index[frame["y"].notna()][0]
    odd.loc[row, ["lo", "hi"]] = [90.0, 91.0]
    one, other = (f.mice.impute(formula, censored={"y": ("lo", "hi")}, **FAST) for f in (frame, odd))
    pd.testing.assert_series_equal(one[1]["y"], other[1]["y"], check_exact=True)


def test_values_below_a_limit_are_no_truncation_and_the_slopes_differ():
    """Tobit: rows below 0 are known to be there; least squares on the others is far off."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=1500)
    y = 0.5 * x + rng.normal(size=1500)
    frame = pd.DataFrame({"y": np.where(y < 0, np.nan, y), "x": x})
    imp = frame.mice.impute("y ~ x", censored={"y": (None, 0)}, m=10, rng=1, iterations=40)
    res = imp.fit()
    assert abs(res.params["x"] - 0.5) < 3.9 * res.bse["x"]  # false alarm 1e-4
    assert np.polyfit(x[y >= 0], y[y >= 0], 1)[0] < 0.36  # the test can fail
    assert set(imp.check()["verdict"]) == {"exact"}


@pytest.mark.parametrize("formula", [None, "w ~ z + x"])
def test_a_truncated_column_has_the_law_of_a_truncated_regression(formula):
    """Nothing was ever seen below 0: the draws follow the truncated law at the true parameters."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=6000)
    z = 0.5 * x + rng.normal(size=6000)
    x, z = x[z > 0], z[z > 0]
    frame = pd.DataFrame({"z": z, "x": x, "w": rng.normal(size=len(x))})
    gone = rng.random(len(x)) < 0.2
    frame["z"] = frame["z"].mask(gone)
    imp = frame.mice.impute(formula, truncated={"z": (0, None)}, methods={"z": "norm"}, m=2, rng=1)
    mean = 0.5 * x[gone]
    share = 1 - stats.norm.sf(imp[0]["z"][gone] - mean) / stats.norm.sf(-mean)
    assert stats.kstest(share, "uniform").pvalue > 1e-3  # 600 draws at drawn parameters: false alarm below 1e-3


def test_both_words_at_once():
    """Concentrations are above 0; those below the limit of detection are known to be."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=500)
    y = np.abs(1 + 0.5 * x + rng.normal(size=500))
    frame = pd.DataFrame({"y": np.where(y < 0.4, np.nan, y), "x": x})
    imp = frame.mice.impute(censored={"y": (None, 0.4)}, truncated={"y": (0, None)}, methods={"y": "norm"}, **FAST)
    drawn = imp[0]["y"][frame["y"].isna()]
    assert drawn.between(0, 0.4).all() and drawn.nunique() == len(drawn)
    assert "at least 0, missing values at most 0.4" in imp.plan["y"].why


@pytest.mark.parametrize(
    ("option", "word"),
    [({"y": ("lo", "hi")}, "'lo' is a column"), ({"y": (0, None)}, "of .* observed values lie outside")],
)
def test_bounds_that_may_mean_either_are_refused_with_calls_that_run(option, word):
    frame = coarsened(300).assign(lo=-9.0, hi=9.0)
    with pytest.raises(PlanError, match=f"two meanings: .*{word}") as caught:
        frame.mice.impute("y ~ x", bounds=option, derived={"twice": "2 * x"}, m=2, rng=1)
    text = str(caught.value)
    assert "censored" in text and "truncated" in text
    calls = [v for v in (caught.value.do, *caught.value.lines.values()) if str(v).startswith("df.mice.impute(")]
    for call in calls:
        assert "'y ~ x'" in call and "derived={'twice': '2 * x'}" in call
        made = eval(call.replace("df.mice.impute(", "df.mice.plan("), {"df": frame})
        assert made["y"].bounds is not None


def test_constants_that_every_observed_value_keeps_are_the_shorthand_they_were():
    frame = coarsened(300)
    frame["y"] = frame["y"].clip(-2, 2)
    frame = frame[["y", "x"]]
    option = {"methods": {"y": "norm"}, **FAST}
    short, long = (frame.mice.impute(**{word: {"y": (-2, 2)}}, **option) for word in ("bounds", "truncated"))
    pd.testing.assert_frame_equal(short[1], long[1], check_exact=True)


def test_a_value_observed_where_the_column_is_cut_off_is_refused_by_count_and_row():
    frame = coarsened(300)[["y", "x"]]
    below = int((frame["y"] < 0).sum())
    with pytest.raises(PlanError, match=f"'y' is truncated, and {below} of .* observed values lie outside") as caught:
        frame.mice.impute(truncated={"y": (0, None)}, m=2, rng=1)
    assert "rows" in caught.value.lines
    eval(caught.value.do.replace("impute(", "plan("), {"df": frame})


def test_no_row_counts_where_its_condition_says_the_column_is_not_asked_for():
    rng = np.random.default_rng(5)
    smoker = rng.random(300) < 0.5
    frame = pd.DataFrame({"smoker": smoker, "n": np.where(smoker, rng.poisson(9, 300) + 1.0, 0.0)})
    frame.loc[rng.random(300) < 0.2, "n"] = np.nan
    made = frame.mice.plan(conditional={"n": ("smoker", 0)}, truncated={"n": (1, None)}, methods={"n": "pmm"})
    assert made["n"].bounds.always


@pytest.mark.parametrize(("lower", "other"), [(True, None), (False, None), (True, 250), (False, 10)])
def test_an_end_that_is_drawn_itself_is_advised_as_a_difference_with_its_sign(lower, other):
    rng = np.random.default_rng(6)
    low = rng.normal(80, 9, 200)
    frame = pd.DataFrame({"low p": low, "high p": low + rng.gamma(4, 10, 200), "z": rng.normal(size=200)})
    frame["low p"] = frame["low p"].mask(rng.random(200) < 0.2)
    frame["high p"] = frame["high p"].mask(rng.random(200) < 0.2)
    name, end = ("high p", "low p") if lower else ("low p", "high p")
    pair = (end, other) if lower else (other, end)
    with pytest.raises(PlanError, match="missing values itself") as caught:
        frame.mice.impute(truncated={name: pair}, derived={"gap": "2 * z"}, methods={"z": "norm"}, m=2)
    call = caught.value.do
    assert "'gap': '2 * z'" in call and "methods={'z': 'norm'}" in call and "'gap1': (0, None)" in call
    assert "\"Q('high p') - Q('low p')\"" in call
    made = eval(call.replace("impute(", "plan("), {"df": frame})
    assert (made[name].bounds is None) is (other is None)


def test_words_follow_into_files_old_and_new(tmp_path):
    frame = coarsened(200)
    imp = frame.mice.impute("y ~ x", censored={"y": ("lo", "hi")}, **FAST)
    imp.save(tmp_path / "one.mifit")
    again = mifit.load(tmp_path / "one.mifit")
    assert again.plan.options == imp.plan.options and again.plan["y"].bounds == imp.plan["y"].bounds
    pd.testing.assert_frame_equal(again.extend(1)[2], imp.extend(1)[2], check_exact=True)
    from mifit.storage.serialize import Packer, Unpacker

    stored = Packer().value(Options(bounds={"y": (0, None)}))
    stored["of"] = {k: v for k, v in stored["of"].items() if k not in ("censored", "truncated")}  # as it was written
    assert Unpacker({}, {}).value(stored) == Options(bounds={"y": (0, None)})
    bounds = Packer().value(imp.plan["y"].bounds)
    del bounds["of"]["cut"]
    assert Unpacker({}, {}).value(bounds) == imp.plan["y"].bounds


def test_groups_new_rows_and_the_texts_know_the_words():
    frame = coarsened(400).assign(site=np.arange(400) % 2)
    imp = frame.mice.impute(censored={"y": ("lo", "hi")}, by="site", **FAST)
    gone = frame["y"].isna()
    assert imp[0]["y"][gone].between(frame["lo"][gone], frame["hi"][gone]).all()
    whole = frame.mice.impute("y ~ x", censored={"y": ("lo", "hi")}, **FAST)
    new = coarsened(50, seed=9).assign(site=0)
    done = whole.impute_new(new)[0]
    lost = new["y"].isna()
    assert done["y"][lost].between(new["lo"][lost], new["hi"][lost]).all()
    assert "censored" in whole.methods_text()
    assert "missing values from lo to hi" in str(whole.plan)


def test_a_guess_is_never_exact():
    """An outcome whose analysis knows of no truncation, and a count whose method knows of none."""
    rng = np.random.default_rng(7)
    x, c = rng.normal(size=300), rng.poisson(3, 300) + 1.0
    frame = pd.DataFrame({"y": np.abs(x + rng.normal(size=300)), "x": x, "c": c, "w": rng.normal(size=300)})
    for name in "yc":
        frame[name] = frame[name].mask(rng.random(300) < 0.2)
    option = {"truncated": {"y": (0, None), "c": (1, None)}, "kinds": {"c": "count"}}
    imp = frame.mice.impute(["y ~ x", "w ~ x + c"], **option, **FAST)
    for formula in ("y ~ x", "w ~ x + c"):
        assert set(imp.check(formula)["verdict"]) == {"approximate"}
    assert sum("as if nothing were cut off" in event for event in imp.plan.events) == 2


@pytest.mark.parametrize("formula, words, bounds, word", [
    ("np.log(y) ~ x", {}, (0, None), "exact"), ("np.log(y) ~ x", {}, (0, 60), "approximate"),
    ("np.log1p(y) ~ x", {}, (-1, None), "exact"), ("np.log1p(y) ~ x", {}, (0, None), "approximate"),
    ("np.sqrt(y) ~ x", {}, (0, None), "exact"), ("y ~ x", {}, (0, None), "approximate"),
    ("y ~ x", {"model": "glm", "family": sm.families.Gamma(sm.families.links.Log())}, (0, None), "exact"),
    ("k ~ x", {"model": "poisson"}, (0, None), "exact"), ("k ~ x", {"model": "poisson"}, (0, 40), "approximate"),
    ("b ~ x", {"model": "logit"}, (0, 1), "exact"),
])  # fmt: skip
def test_a_bound_that_the_model_keeps_by_itself_is_no_truncation(formula, words, bounds, word):
    rng = np.random.default_rng(4)
    x = rng.normal(size=200)
    y = np.exp(0.5 * x + rng.normal(size=200))
    whole = pd.DataFrame({"x": x, "y": y, "k": rng.poisson(np.exp(0.3 * x)) + 0.0, "b": (y > 1) + 0.0})
    name = next(one for one in "ykb" if one in formula.partition("~")[0].replace("log", "").replace("sqrt", ""))
    frame = whole[["x", name]].copy()
    frame.loc[rng.random(200) < 0.3, name] = np.nan
    imp = frame.mice.impute(formula, truncated={name: bounds}, m=2, iterations=5, rng=1, **words)
    assert set(imp.check()["verdict"]) == {word}
    assert any("as if nothing were cut off" in event for event in imp.plan.events) == (word == "approximate")
    low, high = (-np.inf if bounds[0] is None else bounds[0]), (np.inf if bounds[1] is None else bounds[1])
    assert all(one[name].between(low, high).all() for one in imp)

"""Sensitivity to values not missing at random: truth by simulation, mice's figures, smooth curves, tipping points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import mifit
from mifit.errors import CongenialityError, DataError, PlanError


def selected(n=4000, seed=1, phi=1.0):
    """The frame of y ~ x*z in which large values of x are missing more often."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + 0.5 * x + 0.5 * z + 0.5 * x * z + rng.normal(size=n)
    gone = rng.random(n) < expit(-1 + phi * x + 0.5 * z)
    return pd.DataFrame({"x": np.where(gone, np.nan, x), "z": z, "y": y}), x


TRUTH = {"Intercept": 1.0, "x": 0.5, "z": 0.5, "x:z": 0.5}


def rows(frame, column, value):
    """Rows of one value, by coefficient."""
    return frame[frame[column] == value].set_index("term")


def test_a_selection_with_the_true_odds_ratio_finds_the_truth_and_missing_at_random_does_not():
    df, x = selected()
    frame = df.mice.impute("y ~ x*z", m=10, rng=1).sensitivity({"x": [0, 1]}, scale="unit").to_frame()
    right, wrong = rows(frame, "x", 1.0), rows(frame, "x", 0.0)
    for term, truth in TRUTH.items():
        assert abs(right.loc[term, "estimate"] - truth) < 4 * right.loc[term, "std_error"]
    assert abs(wrong.loc["Intercept", "estimate"] - 1) > 4 * wrong.loc["Intercept", "std_error"]
    gone = df["x"].isna()
    true_gap = x[gone].mean() - x[~gone].mean()
    # 1,300 imputed values with a standard deviation below 1
    assert abs(right.loc["x", "difference(x)"] - true_gap) < 4 / np.sqrt(gone.sum())
    assert abs(wrong.loc["x", "difference(x)"] - true_gap) > 0.3


def test_a_selection_of_the_outcome_refits_the_analysis_to_all_rows():
    rng = np.random.default_rng(2)
    n = 4000
    x = rng.normal(size=n)
    y = 1 + x + rng.normal(size=n)
    df = pd.DataFrame({"x": x, "y": np.where(rng.random(n) < expit(-1 + 0.8 * y), np.nan, y)})
    frame = df.mice.impute("y ~ x", m=10, rng=1).sensitivity({"y": [0, 0.8]}, kind="selection", scale="unit").to_frame()
    right, wrong = rows(frame, "y", 0.8), rows(frame, "y", 0.0)
    for term in ("Intercept", "x"):
        assert abs(right.loc[term, "estimate"] - 1) < 4 * right.loc[term, "std_error"]
        assert abs(wrong.loc[term, "estimate"] - 1) > 4 * wrong.loc[term, "std_error"]


def test_a_selection_of_two_levels_is_the_odds_of_the_last():
    rng = np.random.default_rng(3)
    n = 6000
    z = rng.normal(size=n)
    g = rng.random(n) < expit(0.5 * z)
    y = 1 + g + z + rng.normal(size=n)
    gone = rng.random(n) < expit(-1.5 + 1.5 * g)
    df = pd.DataFrame({"g": np.where(gone, None, np.where(g, "yes", "no")), "z": z, "y": y})
    frame = df.mice.impute("y ~ g*z", m=10, rng=1).sensitivity({"g": [0, 1.5]}).to_frame()
    truth = g[gone].mean() - g[~gone].mean()
    assert abs(rows(frame, "g", 1.5)["difference(g)"].iloc[0] - truth) < 0.06
    assert abs(rows(frame, "g", 0.0)["difference(g)"].iloc[0] - truth) > 0.1
    right = rows(frame, "g", 1.5)
    assert abs(right.loc["Intercept", "estimate"] - 1) < 4 * right.loc["Intercept", "std_error"]


def test_a_delta_of_a_covariate_keeps_its_own_model_and_the_analysis_apart():
    # pattern mixture: x is higher by 1 where it is missing, given z; y follows the analysis everywhere
    rng = np.random.default_rng(4)
    n = 4000
    z, gone = rng.normal(size=n), rng.random(n) < 0.35
    x = 0.5 * z + 1.0 * gone + rng.normal(size=n)
    y = 1 + 0.5 * x + 0.5 * z + 0.5 * x * z + rng.normal(size=n)
    df = pd.DataFrame({"x": np.where(gone, np.nan, x), "z": z, "y": y})
    frame = df.mice.impute("y ~ x*z", m=10, rng=1).sensitivity({"x": [0, 1]}, kind="delta", scale="unit").to_frame()
    right = rows(frame, "x", 1.0)
    for term, truth in TRUTH.items():
        assert abs(right.loc[term, "estimate"] - truth) < 4 * right.loc[term, "std_error"]
    assert abs(right.loc["x", "difference(x)"] - (x[gone].mean() - x[~gone].mean())) < 4 / np.sqrt(gone.sum())
    # at random, y tells part of it: not all
    assert rows(frame, "x", 0.0).loc["x", "difference(x)"] < right.loc["x", "difference(x)"] - 0.2


def for_mice():
    """The data that mice 3.15 imputed 200 times."""
    rng = np.random.default_rng(11)
    n = 300
    z = rng.normal(size=n)
    y = 1 + z + rng.normal(size=n)
    x = 0.5 * z + 0.4 * y + rng.normal(size=n)
    y2, x2 = np.where(rng.random(n) < 0.3, np.nan, y), np.where(rng.random(n) < 0.3, np.nan, x)
    b = (rng.random(n) < expit(z + 0.5 * y)).astype(float)
    b2 = np.where(rng.random(n) < 0.3, np.nan, b)
    return {"y": (y2, z, None), "x": (y, z, x2), "b": (y, z, np.where(b2 == 1, "yes", np.where(b2 == 0, "no", None)))}


# mice 3.15, method mnar.norm or mnar.logreg, ums = delta, m = 200, seed 1: lm, pooled estimates and standard errors
MICE = {
    ("y", -1.0): {"Intercept": (0.76364, 0.0791357), "z": (1.08295, 0.0856273)},
    ("y", 0.0): {"Intercept": (1.06732, 0.0745458), "z": (1.06711, 0.0805629)},
    ("y", 1.0): {"Intercept": (1.37099, 0.0791791), "z": (1.05127, 0.0856752)},
    ("x", -1.0): {"Intercept": (0.954013, 0.0576948), "z": (0.837545, 0.0787227), "x": (0.286039, 0.0507880)},
    ("x", 1.0): {"Intercept": (0.758331, 0.0671453), "z": (0.812449, 0.0770127), "x": (0.302583, 0.0469723)},
    ("b", -1.0): {"Intercept": (0.814046, 0.0979059), "z": (1.022258, 0.0745267), "b[T.yes]": (0.381729, 0.1537305)},
    ("b", 1.0): {"Intercept": (0.752627, 0.113032), "z": (1.019529, 0.073936), "b[T.yes]": (0.409064, 0.155522)},
}


@pytest.mark.parametrize("name", ["y", "x", "b"])
def test_delta_in_chained_equations_agrees_with_mice(name):
    y, z, third = for_mice()[name]
    df = pd.DataFrame({"y": y, "z": z} if third is None else {"y": y, "z": z, name: third})
    formula = "y ~ z" if third is None else f"y ~ z + {name}"
    imp = df.mice.impute(methods={} if name == "b" else {name: "norm"}, m=100, rng=1)
    values = [value for column, value in MICE if column == name]
    frame = imp.sensitivity({name: values}, formula, kind="delta", scale="unit").to_frame()
    for value in values:
        for term, (estimate, error) in MICE[name, value].items():
            found = rows(frame, name, value).loc[term]
            between = found["fmi"] * found["std_error"] ** 2
            # two runs of 100 and 200 sets: 4 Monte-Carlo errors of a mean, and of a standard error
            assert abs(found["estimate"] - estimate) < 4 * np.sqrt(between * (1 / 100 + 1 / 200))
            assert abs(found["std_error"] - error) < 4 * between * np.sqrt(2 / 99 + 2 / 199) / (2 * error) + 1e-3


def small(n=200, seed=5):
    df, _ = selected(n, seed)
    return df


def test_delta_of_an_outcome_moves_it_by_exactly_that_in_the_same_draws():
    df = small()
    df["y"] = df["y"].where(df["z"] < 0.8)
    df["x"] = df["x"].fillna(0)
    df["arm"] = np.where(np.arange(len(df)) % 2, "active", "control")
    imp = df.mice.impute("y ~ x + z + arm", m=3, rng=1)
    frame = imp.sensitivity({"y": [-1, 0, 1, 2]}, kind="delta", scale="unit").to_frame()
    wide = frame.pivot(index="y", columns="term", values="estimate")
    np.testing.assert_allclose(np.diff(wide, 2, axis=0), 0, atol=1e-9)  # least squares are linear in the outcome
    gap = frame.drop_duplicates("y").set_index("y")["difference(y)"]
    np.testing.assert_allclose(gap.diff().dropna(), 1.0, atol=1e-9)
    base = imp.fit().params
    np.testing.assert_allclose(rows(frame, "y", 0.0).loc[base.index, "estimate"], base, atol=0.2)
    half = imp.sensitivity({"y": [0, 2]}, kind="delta", scale="unit", times={"y": "arm == 'active'"}).to_frame()
    gap = half.drop_duplicates("y").set_index("y")["difference(y)"]
    share = (df["arm"][df["y"].isna()] == "active").mean()
    assert gap[2.0] - gap[0.0] == pytest.approx(2 * share, abs=1e-9)


@pytest.mark.parametrize(("scale", "unit"), [("sd", lambda y: y.std()), ("share", lambda y: abs(y.mean()))])
def test_delta_is_in_standard_deviations_or_shares_of_the_mean(scale, unit):
    df = small().drop(columns="x")
    df["y"] = df["y"].where(df["z"] < 0.5)
    gap = df.mice.impute("y ~ z", m=2, rng=1).sensitivity({"y": [0, 1]}, kind="delta", scale=scale).to_frame()
    moved = gap.drop_duplicates("y").set_index("y")["difference(y)"].diff().iloc[-1]
    assert moved == pytest.approx(unit(df["y"]), rel=1e-9)


def test_delta_moves_donors_of_predictive_mean_matching_too():
    df = small()
    imp = df.mice.impute(methods={"x": "pmm"}, m=3, rng=1)
    frame = imp.sensitivity({"x": [0, 5]}, "y ~ x + z", kind="delta", scale="unit").to_frame()
    gap = frame.drop_duplicates("x").set_index("x")["difference(x)"]
    assert gap[5.0] - gap[0.0] == pytest.approx(5.0, abs=1e-9)


def test_a_curve_of_selections_is_smooth_for_the_random_numbers_are_the_same():
    frame = small().mice.impute("y ~ x*z", m=10, rng=1).sensitivity({"x": np.linspace(-1, 1, 9)}).to_frame()
    part = frame[frame["term"] == "Intercept"].sort_values("x")
    assert (part["difference(x)"].diff().dropna() > 0).all()
    noise = np.sqrt(part["fmi"].mean()) * part["std_error"].mean() / np.sqrt(10)  # Monte-Carlo error of one point
    assert np.abs(np.diff(part["estimate"], 2)).max() < 2 * noise


def test_the_tipping_point_is_where_the_analysis_crosses():
    df = small().drop(columns="x")
    df["y"] = (df["y"] - 0.35 * df["z"]).where(df["z"] < 0.7)
    sens = df.mice.impute("y ~ z", m=5, rng=1).sensitivity({"y": [-4, -2, 0, 2, 4]}, kind="delta", scale="unit")
    found = sens.tipping("z", estimate=0.0)
    assert found.value is not None and abs(found.row["estimate"]) < 0.002
    assert f"at y = {found.value:.3g}" in repr(found)
    p = sens.tipping("z", p_value=0.05)
    assert p.value is not None and p.row["p_value"] == pytest.approx(0.05, rel=0.01)
    nowhere = sens.tipping("z", estimate=1e6)
    assert nowhere.value is None and "no value of y within -4 to 4" in repr(nowhere)


def test_two_columns_make_contours_and_one_a_curve():
    pytest.importorskip("matplotlib")
    df = small(150)
    df["y"] = df["y"].where(np.arange(150) % 5 > 0)
    imp = df.mice.impute("y ~ x*z", m=3, rng=1)
    both = imp.sensitivity({"x": [-1, 0, 1], "y": [0, 1]}, kind="delta")
    assert len(both.to_frame()) == 6 * 4 and both.names == ("x", "y")
    assert both.plot("x:z").get_xlabel() == "x"
    one = imp.sensitivity({"x": [-1, 1]})
    assert "log odds ratio of being missing" in one.plot("x:z").get_xlabel().replace("\n", " ")
    assert "Molenberghs & Kenward 2007" in one.methods_text() and "Tompsett" in both.methods_text()


def test_the_imputation_itself_stays_as_it_was():
    imp = small().mice.impute("y ~ x*z", m=3, rng=1)
    before = imp.fingerprint
    imp.sensitivity({"x": [1]})
    assert imp.fingerprint == before


def test_an_analysis_that_was_not_foreseen_is_refused():
    imp = small().mice.impute("y ~ x + z", m=2, rng=1)
    with pytest.raises(CongenialityError, match="never saw x:z"):
        imp.sensitivity({"x": [0, 1]}, "y ~ x*z")


REFUSED = {
    "a column without missing values": (lambda imp: imp.sensitivity({"z": [0, 1]}), DataError, "no missing values"),
    "no column": (lambda imp: imp.sensitivity({"xx": [0, 1]}), DataError, "'xx' is not a column"),
    "words for values": (lambda imp: imp.sensitivity({"x": ["a"]}), PlanError, "values of 'x' are numbers"),
    "no mapping": (lambda imp: imp.sensitivity([0, 1]), PlanError, "takes a mapping"),
    "a kind that is none": (lambda imp: imp.sensitivity({"x": [0]}, kind="pattern"), PlanError, "kind= is 'pattern'"),
    "a scale that is none": (lambda imp: imp.sensitivity({"x": [0]}, scale="z"), PlanError, "scale= is 'z'"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_is_refused_ends_in_a_call_that_runs(fault):
    call, kind, fact = REFUSED[fault]
    imp = small(100).mice.impute("y ~ x + z", m=2, rng=1)
    with pytest.raises(kind, match=fact) as caught:
        call(imp)
    found = eval(str(caught.value.do), {"imp": imp})
    assert len(found.to_frame()) == 9


def test_chained_equations_have_no_selection_but_the_call_for_delta():
    imp = small(100).mice.impute(m=2, rng=1)
    with pytest.raises(PlanError, match="one more factor of a joint model") as caught:
        imp.sensitivity({"x": [0, 1]}, "y ~ x + z", kind="selection")
    assert str(caught.value.do) == "imp.sensitivity({'x': [0.0, 1.0]}, kind='delta')"


def test_sets_made_elsewhere_are_refused():
    imp = small(100).mice.impute("y ~ x + z", m=2, rng=1)
    with pytest.raises(PlanError, match="made elsewhere"):
        mifit.from_long(imp.to_long()).sensitivity({"x": [0, 1]}, "y ~ x + z")


@pytest.mark.parametrize("kind", ["selection", "delta"])
def test_levels_in_words_take_neither_and_the_line_shows_them(kind):
    df = small(100).drop(columns="x")
    df["o"] = pd.Categorical.from_codes(np.arange(100) % 3, ["a", "b", "c"]).astype(object)
    df.loc[::7, "o"] = np.nan
    imp = df.mice.impute("y ~ z + o", m=2, rng=1)
    with pytest.raises(PlanError, match="'o' has 3 levels|which takes no delta") as caught:
        imp.sensitivity({"o": [0, 1]}, kind=kind)
    assert len(eval(str(caught.value.do), {"df": df})) == 3

"""The check of the models: calm on right ones, loud on wrong ones; the same bits; plans of every kind."""

import numpy as np
import pandas as pd
import pytest

import mifit


def study(kind, n=500, seed=1):
    """Return a frame whose x and g are incomplete, at random; one of its models may be wrong."""
    rng = np.random.default_rng(seed)
    z, g, e = rng.normal(size=n), rng.integers(0, 2, n), rng.normal(size=n)
    x = 0.5 * z + 0.8 * (
        rng.exponential(size=n) - 1 if kind == "skewed x" else e * np.exp(0.5 * z * (kind == "spread x"))
    )
    error = rng.exponential(size=n) - 1 if kind == "skewed y" else rng.normal(size=n)
    error = error * np.exp(0.4 * z) if kind == "spread y" else error
    y = 1 + x + 0.5 * z * g - 0.5 * g + error + (0.5 * z**2 if kind == "curved y" else 0)
    df = pd.DataFrame({"y": y, "x": x, "z": z, "g": np.where(g, "a", "b")})
    df.loc[rng.random(n) < 1 / (1 + np.exp(0.8 - z)), "x"] = np.nan
    df.loc[rng.random(n) < 0.15, "g"] = np.nan
    return df


def imputed(df, m=5, **words):
    return df.mice.impute("y ~ x + z*g", m=m, rng=1, error_law="declared", methods={"x": "norm"}, **words)


@pytest.mark.parametrize(
    ("kind", "column", "respect"),
    [
        ("skewed x", "x", "spread changes with y"),  # it is skewed given z; given y too, that is what is left
        ("spread x", "x", "spread changes with z"),
        ("skewed y", "y", "skewed"),
        ("spread y", "y", "spread changes with z"),
        ("curved y", "y", "curved in z"),
    ],
)
def test_a_wrong_model_is_found_and_named(kind, column, respect):
    found = imputed(study(kind)).check_model()
    assert found.departs and column in found.verdict
    assert found.columns.loc[column, "verdict"] == "departs" and respect in found.columns.loc[column, "respect"]


def test_right_models_are_left_in_peace():
    """Eight frames; at most 3 % of them alarm in the long run."""
    for seed in range(8):
        found = imputed(study("right", 300, seed), m=4).check_model()
        assert (found.columns["verdict"] == "fits").all(), found
        assert found.columns["inside_95"].between(0.9, 1).all() and found.columns["inside_50"].between(0.38, 0.62).all()
        assert set(found.response["verdict"]) == {"alike"}


def test_the_transforms_of_a_right_model_are_uniform():
    found = imputed(study("right", 1500)).check_model(cells=1500)
    for _, cells in found.cells.groupby("column"):
        share = np.sort(cells["share"].to_numpy())
        off = np.abs(share - (np.arange(len(share)) + 0.5) / len(share)).max()
        assert off < 1.63 / np.sqrt(len(share))  # Kolmogorov and Smirnov, 1 %; less often for estimated parameters


def test_the_analysis_moves_when_the_model_of_a_covariate_leaves_out_what_it_needs():
    """Draws of x that do not know y: its coefficient dies in the replicates."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=400)
    x = z + rng.normal(size=400)
    df = pd.DataFrame({"y": x - z + rng.normal(size=400), "x": np.where(rng.random(400) < 0.3, np.nan, x), "z": z})
    imp = df.mice.impute(
        "y ~ x + z", m=10, rng=1, congeniality="ignore", predictors={"x": ["z"]}, methods={"x": "norm"}
    )
    found = imp.check_model()
    moved = found.coefficients.set_index(["column", "term"]).loc[("x", "x")]
    assert moved["verdict"] == "moves" and moved["shift"] < -3
    assert "slope of y" in found.columns.loc["x", "respect"]


def test_imputed_values_that_differ_from_observed_ones_as_likely_to_be_missing_are_found():
    """Draws that ignore what drives both the value and its being missing."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=800)
    x = z + rng.normal(size=800)
    x[rng.random(800) < 1 / (1 + np.exp(-z))] = np.nan
    df = pd.DataFrame({"x": x, "z": z})
    wrong = df.mice.impute(m=5, rng=1, methods={"x": "sample"}).check_model().response.iloc[0]
    right = df.mice.impute(m=5, rng=1, methods={"x": "norm"}).check_model().response.iloc[0]
    assert wrong["verdict"] == "differs" and wrong["adjusted"] < -0.15 < wrong["raw"] < 0.15
    assert right["verdict"] == "alike" and right["raw"] > 0.3 > abs(right["adjusted"])


def test_it_is_the_same_every_time_and_kept():
    imp = imputed(study("right", 200))
    first = imp.check_model()
    again = imputed(study("right", 200)).check_model()
    for name in ("columns", "coefficients", "response", "cells"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    assert imp.check_model() is first and "models   : no departure" in repr(imp)
    assert imp.fit().params.notna().all()


def test_the_cure_that_is_printed_cures():
    df = study("skewed x")
    imp = df.mice.impute("y ~ x + z*g", m=5, rng=1, error_law="declared", methods={"x": "norm"})
    found, space = imp.check_model().columns.loc["x"], {"df": df, "mifit": mifit}
    exec(found["do"], space)
    assert space["imp"].plan["x"].label != "norm"
    again = space["imp"].check_model().columns.loc["x"]
    assert abs(again["inside_50"] - 0.5) < abs(found["inside_50"] - 0.5) and again["p_value"] > found["p_value"]
    for kind, word in (("spread x", "heteroscedastic"), ("skewed y", "error_law='auto'")):
        df = study(kind)
        found = imputed(df).check_model().advice()
        assert any(word in one for one in found), found
        for one in found:
            exec(one, {"df": df, "mifit": mifit})


def kinds():
    rng = np.random.default_rng(4)
    n = 150
    base = pd.DataFrame({"z": rng.normal(size=n), "k": rng.poisson(2, n), "o": rng.integers(1, 5, n)})
    base["b"] = rng.random(n) < 0.5
    base["c"] = rng.choice(["p", "q", "r"], n)
    base["y"] = base["z"] + rng.normal(size=n)
    base["t"] = rng.exponential(size=n)
    base["d"] = rng.integers(0, 2, n)
    holey = base.astype({"b": "boolean", "k": "Int64", "o": "Int64"}).mask(
        (rng.random(base.shape) < 0.15) & ~base.columns.isin(["t", "d"])
    )
    return {
        "chained": (holey.drop(columns=["t", "d"]), {}),
        "linear": (holey[["y", "z", "c", "k"]], {"formula": "y ~ z + c"}),
        "logit": (holey[["b", "z", "o"]], {"formula": "b ~ z + o"}),
        "poisson": (holey[["k", "z", "c"]], {"formula": "k ~ z * c", "model": "poisson"}),
        "cox": (holey[["t", "d", "z", "c"]], {"formula": "t ~ z + c", "model": "phreg", "status": "d"}),
        "log outcome": (holey[["y", "z"]].assign(y=lambda d: np.exp(d["y"])), {"formula": "np.log(y) ~ z"}),
        "bounds": (holey[["y", "z"]], {"formula": "y ~ z", "bounds": {"z": (-9, 9)}}),
        "derived": (holey[["y", "z", "k"]], {"formula": "y ~ z + zz", "derived": {"zz": "z * 2 + 1"}}),
        "terms": (holey[["y", "z", "c"]], {"formula": "y ~ z*c", "congeniality": "terms"}),
        "two": (holey[["y", "z", "k"]], {"formula": ["y ~ z", "k ~ z"]}),
    }


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("name", kinds())
def test_plans_of_every_kind_are_checked(name):
    df, words = kinds()[name]
    if name == "derived":
        words = {"formula": "y ~ z + k", "derived": {"s": "z + k"}}
    imp = df.mice.impute(m=3, rng=1, iterations=3, **words)
    found = imp.check_model()
    assert len(found.columns) and found.columns["inside_95"].min() > 0.85, found
    assert found.columns[["inside_50", "inside_95", "p_value"]].notna().all(axis=None)
    assert repr(found) and found._repr_html_()
    assert found.plot(columns=found.columns.index[0]).figure is not None and found.plot("shares") is not None


@pytest.mark.parametrize("words", [{"by": "g"}, {"min_count": 3}, {"id": "who"}])
def test_what_cannot_be_checked_is_refused_with_what_can(words):
    df = study("right", 120).assign(who=np.arange(120) // 2)
    df = df if "id" in words else df.drop(columns="who")
    df["g"] = df["g"].fillna("a")
    with pytest.raises(mifit.PlanError, match="not checked") as error:
        df.mice.impute(m=2, rng=1, iterations=2, **words).check_model()
    exec(str(error.value.do), {"df": df})


def test_a_column_without_a_model_is_refused():
    imp = imputed(study("right", 100), m=2)
    for column in ("z", "w"):
        with pytest.raises(mifit.DataError) as error:
            imp.check_model([column])
        assert eval(str(error.value.do), {"imp": imp, "df": imp[0]}) is not None
    with pytest.raises(mifit.PlanError) as error:
        imp.check_model().plot("pie")
    assert eval(str(error.value.do), {"imp": imp}) is not None


def test_the_report_has_a_section_of_it(tmp_path):
    text = imputed(study("skewed x"), m=3).report(tmp_path / "study.html").read_text(encoding="utf-8")
    assert "Do the models fit the observed values?" in text and "X: spread changes" in text

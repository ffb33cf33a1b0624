"""What goes with missing values: figures that R's mice gives, tests by hand, frames of all kinds, pictures."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm

import mifit
from mifit.examine.response import response_model

#: flux() of R's mice 3.15
FLUX = {
    "nhanes2": {
        "age": (0.0, 1.0, 0.48), "bmi": (0.1643836, 0.1111111, 0.1875), "hyp": (0.1232877, 0.1481481, 0.2352941),
        "chl": (0.2191781, 0.1111111, 0.1333333),
    },
    "airquality": {
        "Ozone": (0.20938215, 0.1136364, 0.04310345), "Solar.R": (0.03775744, 0.7954545, 0.23972603),
        "Wind": (0.0, 1.0, 0.2745098),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FLUX)
def test_flux_is_that_of_mice(name):
    found = mifit.missingness(mifit.datasets.load(name)).flux
    for column, figures in FLUX[name].items():
        assert np.allclose(found.loc[column, ["influx", "outflux", "fico"]].astype(float), figures, atol=1e-6)


def study(n=600, seed=1):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame({"age": rng.normal(50, 10, n), "g": rng.choice(["a", "b", "c"], n), "x": rng.normal(size=n)})
    df["s"] = pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True)
    df.loc[rng.random(n) < 1 / (1 + np.exp(-(df["age"] - 55) / 10)), "x"] = np.nan
    df.loc[(df["g"] == "b") & (rng.random(n) < 0.5), "s"] = np.nan
    return df


def test_the_odds_ratios_are_those_of_logistic_regression():
    df = study()
    found = df.mice.missingness().predictors
    gone = df["x"].isna().astype(float)
    z = (df["age"] - df["age"].mean()) / df["age"].std(ddof=0)
    fit = sm.Logit(gone, sm.add_constant(z)).fit(disp=0)
    row = found[(found["missing"] == "x") & (found["given"] == "age")].iloc[0]
    assert np.isclose(np.log(row["odds_ratio"]), fit.params["age"], rtol=0.01)  # Firth's penalty moves it a little
    assert np.allclose(np.log(row[["low", "high"]].astype(float)), fit.conf_int().loc["age"], atol=0.01)
    assert row["level"] is None and row["rows"] == len(df)
    levels = found[(found["missing"] == "s") & (found["given"] == "g")]
    assert levels["level"].tolist() == ["b", "c"] and levels["odds_ratio"].iloc[0] > 50
    assert np.isfinite(levels[["odds_ratio", "low", "high"]].to_numpy(dtype=float)).all()  # c and a: separated


def test_the_p_value_of_a_category_is_that_of_pearsons_test():
    df = study()
    row = df.mice.missingness().predictors.query("missing == 'x' and given == 'g'").iloc[0]
    expected = scipy.stats.chi2_contingency(pd.crosstab(df["x"].isna(), df["g"]), correction=False).pvalue
    assert np.isclose(row["p_value"], expected)


def test_rows_are_compared_by_what_was_observed():
    df = study()
    found = df.mice.missingness().rows
    complete = df.notna().all(axis=1)
    age, shares = (found[found["column"] == name] for name in ("age", "g"))
    assert age["level"].tolist() == [None] and shares["level"].tolist() == ["a", "b", "c"]
    assert np.isclose(age["complete"].item(), df["age"][complete].mean())
    assert np.isclose(age["incomplete"].item(), df["age"][~complete].mean())
    assert np.allclose(shares[["complete", "incomplete"]].sum(), 1) and shares["p_value"].nunique() == 1
    assert np.isclose(shares["complete"].iloc[1], (df["g"][complete] == "b").mean())


def test_a_response_model_leaves_out_what_follows_from_the_others():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 2))
    marked = (rng.random(80) < 0.4).astype(float)
    one, other = response_model(marked, X), response_model(marked, np.column_stack([X, X[:, 0] + X[:, 1]]))
    assert np.allclose(one.coef, other.coef[:3]) and other.coef[3] == 0 and np.isnan(other.error[3])
    assert np.allclose(one.probability(X).mean(), marked.mean(), atol=0.02)


def awkward():
    rng = np.random.default_rng(5)
    dates = pd.date_range("2020-01-01", periods=30)
    return [
        pd.DataFrame({"x": [1.0, 2.0, 3.0]}),
        pd.DataFrame({"x": [np.nan] * 4, "y": [1, 2, 3, 4]}),
        pd.DataFrame({"x": [1.0, np.nan, 1.0, 1.0], "y": [np.nan, 1.0, 1.0, 1.0]}),
        pd.DataFrame({"day": dates.where(rng.random(30) < 0.8), "id": [f"p{i}" for i in range(30)], 3: [1, None] * 15}),
        pd.DataFrame({"a": rng.normal(size=30), "b": rng.normal(size=30)}).mask(rng.random((30, 2)) < 0.3),
        mifit.datasets.load("nhanes2").convert_dtypes(),
        pd.DataFrame({"flag": pd.array([True, None, False] * 10, dtype="boolean"), "x": range(30)}, index=[0, 1] * 15),
    ]


@pytest.mark.parametrize("frame", awkward(), ids=range(len(awkward())))
def test_any_frame_can_be_looked_at(frame, tmp_path):
    before = frame.copy(deep=True)
    found = frame.mice.missingness()
    assert repr(found) and "<" in found._repr_html_()
    assert found.plot().figure is not None
    if len(found.predictors):
        assert found.plot("odds").figure is not None
        assert np.isfinite(found.predictors[["odds_ratio", "low", "high"]].to_numpy(dtype=float)).all()
    pd.testing.assert_frame_equal(frame, before)


def test_what_cannot_be_drawn_is_refused_with_what_can():
    df = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    for what in ("pie", "odds"):
        with pytest.raises(mifit.PlanError) as error:
            df.mice.missingness().plot(what)
        assert eval(error.value.do, {"df": df}).figure is not None


def test_the_report_says_who_has_missing_values(tmp_path):
    imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
    text = imp.report(tmp_path / "study.html").read_text(encoding="utf-8")
    for said in (
        "Who has missing values?",
        "Complete against incomplete rows",
        "test of MCAR: chi2",
        "no test can tell",
    ):
        assert said in text

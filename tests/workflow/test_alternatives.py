"""One analysis in several ways: each way is what it says, and the parts of a shift sum to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit

ALL = ["complete cases", "main effects", "terms", "compatible"]


def study(n: int = 150, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    frame = pd.DataFrame({"y": x + z + x * z + rng.normal(size=n), "x": x, "z": z, "g": rng.choice(["a", "b"], n)})
    frame.loc[rng.random(n) < 0.2, "z"] = np.nan
    frame.loc[rng.random(n) < 1 / (1 + np.exp(-frame["y"])), "x"] = np.nan
    return frame


@pytest.fixture(scope="module")
def imp():
    return study().mice.impute("y ~ x * z", m=4, rng=1, iterations=3)


@pytest.fixture(scope="module")
def told(imp):
    return imp.alternatives()


def test_complete_cases_are_what_statsmodels_says_of_the_complete_rows(told):
    frame = study()
    known = smf.ols("y ~ x * z", frame.dropna()).fit()
    figures = told.figures["complete cases"]
    assert told.rows["complete cases"] == int(known.nobs)
    for ours, theirs in (("estimate", known.params), ("std_error", known.bse), ("p_value", known.pvalues)):
        np.testing.assert_allclose(figures[ours], theirs, rtol=1e-8)
    np.testing.assert_allclose(figures[["conf_low", "conf_high"]], known.conf_int(), rtol=1e-8)
    assert (figures["fmi"] == 0).all()


def test_a_way_that_was_gone_already_is_not_gone_again(imp, told):
    pd.testing.assert_frame_equal(told.figures["compatible"], imp.fit().to_frame())
    assert told.results["compatible"].imputations is imp


def test_other_ways_are_the_calls_that_name_them(told):
    for way, mode in (("main effects", "ignore"), ("terms", "terms")):
        other = study().mice.impute("y ~ x * z", m=4, rng=1, iterations=3, congeniality=mode)
        figures = other.fit(uncovered="ignore").to_frame()
        pd.testing.assert_frame_equal(told.figures[way], figures)


def test_the_parts_of_a_shift_sum_to_it(told):
    parts = told.shifts.drop(columns="total")
    assert list(parts) == ["x", "z", "together"]
    np.testing.assert_allclose(parts.sum(axis=1), told.shifts["total"], rtol=1e-12, atol=0)
    total = told.figures["compatible"]["estimate"] - told.figures["complete cases"]["estimate"]
    np.testing.assert_allclose(told.shifts["total"], total, rtol=1e-12)
    seen = told.shares.dropna()
    assert len(seen)
    np.testing.assert_allclose(seen.sum(axis=1), 1.0)


def test_the_part_of_a_variable_is_the_fit_on_the_rows_that_lack_nothing_else(imp, told):
    """By hand: Rubin's mean of the estimates on those rows of each completed set."""
    rows = study()["z"].notna()
    by_hand = np.mean([smf.ols("y ~ x * z", one[rows]).fit().params for one in imp], axis=0)
    start = told.figures["complete cases"]["estimate"]
    np.testing.assert_allclose(told.shifts["x"], by_hand - start, rtol=1e-7)


def test_the_only_incomplete_variable_brings_the_whole_shift():
    frame = study().drop(columns="g").assign(z=lambda d: d["z"].fillna(0.0))
    told = frame.mice.impute("y ~ x * z", m=3, rng=1, iterations=2).alternatives()
    assert list(told.shifts) == ["x", "total"]
    np.testing.assert_allclose(told.shares["x"].dropna(), 1.0)


def test_a_small_shift_has_no_shares():
    frame = study().drop(columns="g").dropna().reset_index(drop=True)
    frame.loc[0, "z"] = np.nan
    told = frame.mice.impute("y ~ x + z", m=3, rng=1, iterations=2).alternatives()
    small = told.shifts["total"].abs() < 0.1 * told.figures["complete cases"]["std_error"]
    assert small.any() and told.shares[small.to_numpy()].isna().all(axis=None)


def test_it_needs_no_declared_analysis_and_takes_every_word_of_fit():
    imp = study().mice.impute(m=3, rng=1, iterations=2)
    told = imp.alternatives("y ~ x + g", cov_type="HC1")
    assert list(told.figures) == ALL and not told.failed
    known = smf.ols("y ~ x + g", study().dropna(subset=["y", "x"])).fit(cov_type="HC1")
    np.testing.assert_allclose(told.figures["complete cases"]["std_error"], known.bse, rtol=1e-8)
    told = imp.alternatives("g ~ x", "logit")
    assert list(told.figures) == ALL


def test_arrays_among_the_words_are_cut_to_the_rows_as_well():
    frame = study()
    weights = np.linspace(0.5, 2.0, len(frame))
    told = frame.assign(w=weights).mice.impute("y ~ x", model="wls", weights="w", m=3, rng=1, iterations=2)
    seen = frame["x"].notna()
    known = smf.wls("y ~ x", frame[seen], weights=weights[seen]).fit().params
    np.testing.assert_allclose(told.alternatives().figures["complete cases"]["estimate"], known, rtol=1e-8)


def test_sets_made_elsewhere_stand_beside_the_others():
    frame = study()[["y", "x", "z"]]
    imp = mifit.from_frames([frame.fillna(0.0), frame.fillna(1.0)], original=frame)
    told = imp.alternatives("y ~ x * z")
    assert list(told.figures) == ["complete cases", "as given", *ALL[1:]]


def test_a_way_that_cannot_be_gone_says_why():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=["y", "a", "b"])
    frame.loc[:19, "a"], frame.loc[20:, "b"] = np.nan, np.nan  # no row is complete
    told = frame.mice.impute("y ~ a", m=3, rng=1, iterations=2).alternatives("y ~ a + b")
    assert "complete cases" in told.failed and told.shifts.empty
    assert told.failed["complete cases"] == "no row is complete in the columns of the analysis."
    assert told.failed["complete cases"] in str(told) and "compatible" in told.figures


def test_what_is_printed_names_every_way_and_what_the_shares_mean(told):
    text = str(told)
    for word in (*ALL, "y ~ x * z", "together", "rows"):
        assert word in text
    assert "A variable's part" in text
    page = told._repr_html_()
    assert page.count("<table>") == 2 and "compatible" in page
    assert list(told.to_frame()["way"].unique()) == ALL


def test_a_derived_column_is_one_variable_of_the_shift():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"w": rng.normal(70, 8, 80), "h": rng.normal(1.7, 0.1, 80)})
    frame["y"] = frame["w"] / frame["h"] ** 2 + rng.normal(size=80)
    frame.loc[rng.random(80) < 0.3, "w"] = np.nan
    imp = frame.mice.impute("y ~ bmi", derived={"bmi": "w / h**2"}, m=3, rng=1, iterations=2)
    told = imp.alternatives()
    assert "bmi" in told.shifts and "compatible" in told.figures

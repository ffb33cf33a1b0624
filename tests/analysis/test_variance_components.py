"""Variance components by formula: statsmodels' own fits, likelihoods and random slopes."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit.analysis.likelihood import loglik_fits, stacked
from mifit.analysis.mixed import packed_columns
from mifit.errors import DataError, MifitError, ModelError
from support.pooled import imputed

SITE = {"room": "0 + C(room)"}


def sets(m=3, equal=False):
    """25 schools of 3 rooms of 6 pupils; x differs between the sets unless they are to be equal."""
    rng = np.random.default_rng(6)
    n = 25 * 3 * 6
    d = pd.DataFrame({"school": np.repeat(np.arange(25), 18), "room": np.repeat(np.arange(75), 6)})
    d["x"], d["z"] = rng.normal(size=n), rng.normal(size=n)
    d["y"] = 1 + d["x"] + rng.normal(size=25)[d["school"]] + 0.8 * rng.normal(size=75)[d["room"]] + rng.normal(size=n)
    d["y"] += 0.7 * rng.normal(size=25)[d["school"]] * d["x"] + 0.7 * rng.normal(size=25)[d["school"]] * d["z"]
    d["room"] = "r" + d["room"].astype(str)
    hole = np.zeros(n, bool) if equal else rng.random(n) < 0.2
    return [d.assign(x=d["x"].where(~hole, rng.normal(size=n))) for _ in range(m)]


@pytest.mark.parametrize("re_formula", [None, "1", "~ z"])
def test_components_are_statsmodels_own(re_formula):
    frames = sets(m=2, equal=True)
    res = imputed(frames).fit("y ~ x + z", "mixedlm", groups="school", re_formula=re_formula, vc_formula=SITE)
    own = smf.mixedlm("y ~ x + z", frames[0], groups="school", re_formula=re_formula, vc_formula=SITE).fit()
    np.testing.assert_allclose(res.params[:3], own.fe_params, rtol=1e-4)
    np.testing.assert_allclose(res.bse[:3], own.bse_fe, rtol=5e-3)
    if "log(room Var)" in res.params:
        np.testing.assert_allclose(np.exp(res.params["log(room Var)"]), own.vcomp[0], rtol=2e-3)
        assert "log(school Var)" in res.params or re_formula is None
    assert res.results[0].llf == pytest.approx(own.llf, abs=1e-4)


def test_a_component_for_the_groups_themselves_is_the_random_intercept():
    frames = sets()
    one = imputed(frames).fit("y ~ x", "mixedlm", groups="school")
    other = imputed(frames).fit("y ~ x", "mixedlm", groups="school", vc_formula={"school": "1"})
    np.testing.assert_allclose(one.params, other.params, rtol=1e-3)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-3)
    assert list(one.params.index) == list(other.params.index)


def test_likelihoods_and_their_tests_count_the_components():
    frames = sets(m=2, equal=True)
    imp = imputed(frames)
    res = imp.fit("y ~ x + z", "mixedlm", groups="school", re_formula="1", vc_formula=SITE)
    fits = loglik_fits(res.design, res.completed, res.call)
    words = {"groups": "school", "re_formula": "1", "vc_formula": SITE}
    own, less = (smf.mixedlm(f, frames[0], **words).fit(reml=False).llf for f in ("y ~ x + z", "y ~ x"))
    np.testing.assert_allclose(fits.logliks, own, atol=1e-4)
    assert stacked(res.design, res.completed, res.call) == pytest.approx(2 * own, abs=1e-3)
    for method in ("D3", "D4"):
        assert res.compare("y ~ x", method).statistic == pytest.approx(2 * (own - less), abs=1e-3)
    assert res.wald_test_terms().loc["x", "p_value"] < 1e-6


def test_columns_of_the_random_part_must_be_complete_or_imputed():
    frame = sets(m=1)[0]
    frame.loc[::10, "x"] = np.nan
    frame.loc[3:6, "z"] = np.nan
    imp = frame.mice.impute("y ~ x", m=2, rng=1, iterations=5, methods={"z": "leave"})
    with pytest.raises(DataError, match="'z', which was not imputed and has 4 missing values"):
        imp.fit("y ~ x", "mixedlm", groups="school", re_formula="~ z", uncovered="ignore")
    with pytest.raises(DataError, match="'z', which was not imputed"):
        imp.fit("y ~ x", "mixedlm", groups="school", vc_formula={"z": "0 + z"}, uncovered="ignore")
    with pytest.raises(MifitError, match="'zz', which is not a column"):
        imp.fit("y ~ x", "mixedlm", groups="school", re_formula="~ zz", uncovered="ignore")


def test_imputed_values_of_each_set_enter_the_random_part():
    frames = sets()
    res = imputed(frames).fit("y ~ x", "mixedlm", groups="school", re_formula="~ x")
    own = [smf.mixedlm("y ~ x", f, groups="school", re_formula="~ x").fit() for f in frames]
    np.testing.assert_allclose(res.fits.estimates[:, :2], [one.fe_params for one in own], rtol=1e-3)


def test_components_that_are_no_formulas_are_refused():
    imp = imputed(sets(m=2))
    with pytest.raises(ModelError, match="a mapping of names to formulas"):
        imp.fit("y ~ x", "mixedlm", groups="school", vc_formula="0 + C(room)")
    with pytest.raises(ModelError, match="given by formulas"):
        imp.fit("y ~ x", "mixedlm", groups="school", exog_vc=SITE)


def test_columns_of_groups_are_packed_to_the_left():
    matrix = np.array([[0.0, 0, 2], [0, 1, 0], [3, 0, 0]])
    np.testing.assert_array_equal(packed_columns(matrix, np.array([1, 1, 0])), [[0, 2], [1, 0], [3, 0]])


def test_pooled_components_have_names_and_survive_with_a_subset():
    imp = mifit.from_frames(sets())
    res = imp.fit("y ~ x", "mixedlm", groups="school", vc_formula=SITE, re_formula="1", subset="school < 15")
    assert list(res.params.index) == ["Intercept", "x", "log(school Var)", "log(room Var)", "log(Residual Var)"]
    assert res.nobs == 15 * 18

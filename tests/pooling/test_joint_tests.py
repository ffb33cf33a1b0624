"""Tests of several coefficients at once: R's figures, the complete-data tests as limits, and what is refused."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats

import mifit
from mifit.errors import FormulaError, ModelError, PoolingError, listed
from mifit.pooling.joint_tests import d1, d2, d3, d4, d4_robust, f_pvalue, li, reiter
from mifit.pooling.rubin import pool
from mifit.results.compare import anova
from support import pooled
from support.pooled import fit, frames, imputed
from support.references import CASES, read

TESTS = [(name, j) for name in CASES for j in range(len(read(name)[1]["tests"]))]


def agrees(found, wanted, rtol=1e-9):
    """Compare a test with R's figures."""
    for mine, theirs in (("statistic", "statistic"), ("df1", "df1"), ("df2", "df2"), ("riv", "riv")):
        np.testing.assert_allclose(getattr(found, mine), float(wanted[theirs]), rtol=rtol, atol=1e-12, err_msg=mine)
    np.testing.assert_allclose(found.p_value, float(wanted["p.value"]), rtol=1e-7, atol=1e-300)


@pytest.mark.parametrize(("name", "j"), TESTS)
def test_the_formulas_alone_give_every_joint_test_of_r(name, j):
    case, expected = read(name)
    fits, test = expected["per_imputation"], expected["tests"][j]
    estimates, covariances = np.array(fits["estimate"]), np.array(fits["vcov"])
    which = [fits["terms"].index(term) for term in test["terms"]]
    k, m = len(which), case["m"]
    part = pool(estimates[:, which], covariances[:, which][:, :, which])
    dfcom = float(case["dfcom"])
    agrees(d1(part.params, part.within, part.between, m), test["D1"])
    found = d1(part.params, part.within, part.between, m, dfcom)
    if test.get("D1_reiter"):
        agrees(found, test["D1_reiter"])
        assert found.note == ""
    elif np.isfinite(dfcom):
        v = dfcom * (dfcom + 1) / (dfcom + 3)
        assert found.df2 == min(li(k, m, found.riv), v)
        assert "Reiter's degrees of freedom do not exist" in found.note
    wald = np.array(
        [
            q @ np.linalg.solve(u, q)
            for q, u in zip(estimates[:, which], covariances[:, which][:, :, which], strict=True)
        ]
    )
    np.testing.assert_allclose(wald, test["D2"]["chisq"], rtol=1e-8)
    agrees(d2(wald, k), test["D2"], rtol=1e-7)
    if "loglik_full" not in test:
        return
    full, null = np.array(test["loglik_full"]), np.array(test["loglik_null"])
    agrees(d2(2 * (full - null), k), test["D2_lrt"], rtol=1e-7)
    if "D3" in test:
        at_pooled = np.full(m, test["D3"]["lrt_at_pooled"])
        agrees(d3(2 * (full - null), at_pooled, k), test["D3"], rtol=1e-7)
    if "D4" in test:
        over = test["loglik_stacked_over_m"]
        stacked = 2 * (over["full"] - over["null"])
        agrees(d4(2 * (full - null), stacked, k, "raw"), test["D4"], rtol=1e-7)
        agrees(d4(2 * (full - null), stacked, k), test["D4_positive"], rtol=1e-7)
        robust = d4_robust(stacked, k, full, over["full"], test["n_parameters_full"])
        agrees(robust, test["D4_robust"], rtol=1e-7)


def test_equal_sets_give_the_complete_data_tests():
    chi = np.full(6, 7.3)
    for found in (d2(chi, 3), d3(chi, chi, 3), d4(chi, 7.3, 3)):
        assert (found.statistic, found.df2, found.riv) == (pytest.approx(7.3 / 3), np.inf, 0.0)
        assert found.p_value == pytest.approx(stats.chi2.sf(7.3, 3), rel=1e-12)
    found = d1(np.array([1.0, 2.0]), np.eye(2), np.zeros((2, 2)), 6, df_complete=40)
    assert found.statistic == pytest.approx(2.5)
    assert found.df2 == pytest.approx(40 * 41 / 43)


def test_reiters_degrees_of_freedom_meet_their_limits():
    for k, m, dfcom in ((2, 5, 30.0), (3, 20, 100.0), (7, 3, 500.0)):
        assert reiter(k, m, 1e-12, dfcom) == pytest.approx(dfcom * (dfcom + 1) / (dfcom + 3), rel=1e-9)
        assert reiter(k, m, 0.4, 1e12) == pytest.approx(li(k, m, 0.4), rel=1e-6)
        assert reiter(k, m, 0.4, dfcom) < min(li(k, m, 0.4), dfcom)
    assert np.isnan(reiter(2, 3, 0.4, 100.0))  # k(m - 1) = 4
    assert np.isnan(reiter(2, 5, 5.0, 20.0))  # too few complete-data degrees of freedom


def test_d1_of_one_parameter_is_the_squared_t():
    rng = np.random.default_rng(2)
    one = pool(rng.normal(size=(8, 1)), np.full((8, 1, 1), 0.3), 50)
    found = d1(one.params, one.within, one.between, 8, 50)
    assert found.statistic == pytest.approx(float((one.params / one.std_error)[0] ** 2))
    assert found.riv == pytest.approx(one.riv[0])


def test_d1_does_not_depend_on_units_or_on_the_basis_of_the_hypotheses():
    rng = np.random.default_rng(4)
    roots = rng.normal(size=(9, 3, 3))
    three = pool(rng.normal(size=(9, 3)), roots @ roots.transpose(0, 2, 1) + np.eye(3))
    found = d1(three.params, three.within, three.between, 9, 60)
    for turn in (np.diag([1e9, 1.0, 1e-9]), np.array([[1, 1, 0], [0, 1, 0], [2, 0, 1.0]])):
        other = d1(turn @ three.params, turn @ three.within @ turn.T, turn @ three.between @ turn.T, 9, 60)
        assert other.statistic == pytest.approx(found.statistic, rel=1e-8)
        assert other.df2 == pytest.approx(found.df2, rel=1e-8)


def test_a_negative_increase_in_variance_is_zero_and_said_or_kept():
    own = np.array([3.0, 4.0, 5.0])
    positive, raw = d4(own, 4.5, 2), d4(own, 4.5, 2, "raw")
    assert (positive.riv, positive.df2, positive.statistic) == (0.0, np.inf, 2.25)
    assert "negative (-0.5)" in positive.note
    assert (raw.riv, raw.note) == (-0.5, "")
    assert d3(own, own + 1, 2).riv == 0.0


def test_p_values_are_those_of_scipy():
    for f, k, v in ((3.0, 2, 7.5), (0.4, 5, 1e9), (1e-9, 1, 3.0)):
        assert f_pvalue(f, k, v) == pytest.approx(stats.f.sf(f, k, v), rel=1e-9)
    assert f_pvalue(3.0, 2, np.inf) == pytest.approx(stats.chi2.sf(6.0, 2), rel=1e-12)


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(PoolingError, match="repeat each other"):
        d1(np.ones(2), np.ones((2, 2)), np.eye(2), 5)
    with pytest.raises(PoolingError, match="unknown df_method"):
        d1(np.ones(1), np.eye(1), np.eye(1), 5, df_method="rubin")
    with pytest.raises(PoolingError, match="unknown ariv"):
        d4(np.ones(3), 1.0, 1, "negative")
    with pytest.raises(PoolingError, match="at least 2"):
        d2(np.ones(1), 1)


# On results


@pytest.fixture(scope="module")
def imp():
    return imputed(frames())


@pytest.fixture(scope="module")
def res(imp):
    return fit(imp, "y ~ x + z + C(g)")


def test_hypotheses_in_words_matrices_and_names_are_the_same(res):
    q = len(res.params)
    j, i = list(res.params.index).index("x"), list(res.params.index).index("z")
    words = res.wald_test("x = z = 0")
    for other in (res.wald_test(["x = 0", "z = 0"]), res.wald_test(np.eye(q)[[j, i]]), res.wald_test({"x": 0, "z": 0})):
        assert (other.statistic, other.df2) == (pytest.approx(words.statistic), pytest.approx(words.df2))
    shifted = res.wald_test((np.eye(q)[[j, i]], [1.0, -0.5]))
    assert shifted.statistic == pytest.approx(res.wald_test(["x = 1", "z = -0.5"]).statistic)
    # "x = z" and "z = 0" state the same
    assert res.wald_test(["x = z", "z = 0"]).statistic == pytest.approx(words.statistic)
    part = pool(res.fits.estimates[:, [j, i]], res.fits.covariances[:, [j, i]][:, :, [j, i]])
    by_hand = d1(part.params, part.within, part.between, res.m, res.dfcom)
    assert (words.statistic, words.df2) == (pytest.approx(by_hand.statistic), pytest.approx(by_hand.df2))
    assert (words.fvalue, words.pvalue, words.df_num, words.df_denom) == (
        words.statistic, words.p_value, words.df1, words.df2,
    )  # fmt: skip


def test_one_hypothesis_is_the_t_test(res):
    found = res.wald_test("x = 0")
    assert found.method == "t"
    assert found.df2 == pytest.approx(res.df["x"])
    assert found.p_value == pytest.approx(res.pvalues["x"], rel=1e-9)
    named = res.wald_test("x = 0", df_method="reiter")  # k(m - 1) = 3: Reiter's do not exist
    limits = li(1, res.m, res.riv["x"]), res.dfcom * (res.dfcom + 1) / (res.dfcom + 3)
    assert named.df2 == pytest.approx(min(limits))


def test_contrasts_are_pooled_themselves(res):
    found = res.t_test(["x - z", "x = 1"])
    i, j = (list(res.params.index).index(name) for name in "xz")
    difference = res.fits.estimates[:, i] - res.fits.estimates[:, j]
    u = res.fits.covariances
    by_hand = pool(difference[:, None], (u[:, i, i] + u[:, j, j] - 2 * u[:, i, j])[:, None, None], res.dfcom)
    assert found.effect[0] == pytest.approx(by_hand.params[0])
    assert found.sd[0] == pytest.approx(by_hand.std_error[0])
    assert found.df_denom[0] == pytest.approx(by_hand.df[0])
    assert found.effect[1] == pytest.approx(res.params["x"] - 1)
    assert found.df_denom[1] == pytest.approx(res.df["x"])
    assert found.conf_int(0.1).shape == (2, 2)
    assert "c1" in str(found)
    np.testing.assert_allclose(res.t_test(np.eye(len(res.params))).pvalue, res.pvalues)


def test_terms_are_tested_whole(res):
    table = res.wald_test_terms()
    assert list(table.index) == ["Intercept", "C(g)", "x", "z"]
    assert table.loc["C(g)", "df1"] == 2
    both = res.wald_test("C(g)[T.mid] = C(g)[T.top] = 0")
    assert table.loc["C(g)", "statistic"] == pytest.approx(both.statistic)
    np.testing.assert_allclose(table.loc[["x", "z"], "p_value"].astype(float), res.pvalues[["x", "z"]])


def test_copies_of_one_data_set_give_statsmodels_own_tests():
    sets = frames(m=5, equal=True)
    res = fit(imputed(sets), "y ~ x + z + C(g)")
    own = smf.ols("y ~ x + z + C(g)", sets[0]).fit()
    for text in ("x = z = 0", "C(g)[T.mid] = C(g)[T.top]"):
        mine, theirs = res.wald_test(text), own.f_test(text)
        assert mine.statistic == pytest.approx(float(theirs.fvalue))
        v = own.df_resid
        assert mine.df2 == pytest.approx(v * (v + 1) / (v + 3))
    assert res.compare(fit(res.imputations, "y ~ z"), "D2").df2 == np.inf
    terms = res.wald_test_terms()["statistic"].astype(float)
    wanted = own.wald_test_terms(scalar=True).table["statistic"]
    np.testing.assert_allclose(terms.to_numpy(), wanted[terms.index].astype(float))


@pytest.mark.parametrize(
    ("model", "formula", "null", "keywords"),
    [
        ("ols", "y ~ x + g", "y ~ x", {}),
        ("logit", "b ~ x + g", "b ~ g", {}),
        ("poisson", "c ~ x + g", "c ~ 1", {"exposure": "t"}),
        ("glm", "c ~ x + g", "c ~ x", {"family": sm.families.Poisson(), "offset": "z"}),
        ("phreg", "w ~ x + z", "w ~ x", {"status": "b", "ties": "efron"}),
        ("phreg", "w ~ x + z", "w ~ x", {"status": "b", "ties": "breslow"}),
    ],
)
def test_copies_of_one_data_set_give_the_ordinary_likelihood_ratio(model, formula, null, keywords):
    imp = imputed([f.assign(w=np.ceil(4 * f["t"])) for f in frames(m=3, equal=True)])  # tied times
    larger, smaller = fit(imp, formula, model, **keywords), fit(imp, null, model, **keywords)
    one, other = larger.results[0], smaller.results[0]
    wanted = 2 * (one.llf - other.llf)
    k = len(larger.params) - len(smaller.params)
    for method in ("D4", "D3"):
        found = larger.compare(smaller, method)
        assert found.statistic == pytest.approx(wanted / k, rel=1e-6)
        assert (found.riv, found.df2) == (0, np.inf)
        assert found.p_value == pytest.approx(stats.chi2.sf(wanted, k), rel=1e-4)
    assert larger.compare(smaller).method == "D4"


def test_another_reference_level_changes_no_test_of_its_term(imp, res):
    other = fit(imp, "y ~ x + z + C(g, Treatment('top'))").wald_test_terms()
    mine = res.wald_test_terms()
    figures = ["statistic", "df1", "df2", "p_value"]
    np.testing.assert_allclose(
        other.loc["C(g, Treatment('top'))", figures].astype(float), mine.loc["C(g)", figures].astype(float)
    )


def test_constants_added_to_other_columns_change_nothing(res):
    moved = imputed([f.assign(z=f["z"] + 1000) for f in frames()])
    other = fit(moved, "y ~ x + z + C(g)")
    np.testing.assert_allclose(other.wald_test("x = z = 0").statistic, res.wald_test("x = z = 0").statistic, rtol=1e-6)
    np.testing.assert_allclose(other.to_frame().loc["x"], res.to_frame().loc["x"], rtol=1e-6)


def test_reordering_a_formula_changes_no_test(imp, res):
    other = fit(imp, "y ~ z + C(g) + x")
    for text in ("x = z = 0", "x - z"):
        assert other.wald_test(text).statistic == pytest.approx(res.wald_test(text).statistic)
    smaller = fit(imp, "y ~ z")
    assert other.compare(smaller, "D1").p_value == pytest.approx(res.compare(smaller, "D1").p_value)


def test_models_are_compared_by_name(imp, res):
    smaller = fit(imp, "y ~ z")
    found = res.compare(smaller, "D1")
    assert found.hypothesis == "C(g)[T.mid], C(g)[T.top], x = 0"
    assert found.statistic == pytest.approx(res.wald_test("C(g)[T.mid] = C(g)[T.top] = x = 0").statistic)
    chi = res.compare(smaller, "D2")
    assert chi.df1 == 3


def test_variances_at_a_boundary_do_not_make_models_unlike():
    # without groups that differ, the variance of the larger or the smaller model is 0 in some sets and left out
    imp = imputed([f.assign(site=np.arange(len(f)) % 30) for f in frames()])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        larger, smaller = (fit(imp, f, "mixedlm", groups="site") for f in ("y ~ x + g", "y ~ x"))
        assert larger.compare(smaller, "D1").df1 == 2
    assert larger.compare(smaller, "D1").hypothesis == "g[T.mid], g[T.top] = 0"


def test_models_that_are_not_nested_or_not_on_the_same_sets_are_refused(imp, res):
    with pytest.raises(ModelError, match="not nested: the smaller one has t"):
        res.compare(fit(imp, "y ~ t"), "D1")
    with pytest.raises(ModelError, match="the larger one") as caught:
        fit(imp, "y ~ x").compare(res, "D1")
    assert caught.value.do == "larger.compare(smaller)"
    with pytest.raises(ModelError, match="outcomes differ"):
        res.compare(fit(imp, "t ~ x"), "D1")
    with pytest.raises(ModelError, match="not the same model"):
        fit(imp, "b ~ x + z", "ols").compare(fit(imp, "b ~ x", "logit"), "D1")
    other = fit(imputed(frames(seed=9)), "y ~ x")
    with pytest.raises(ModelError, match="different completed sets") as caught:
        res.compare(other, "D1")
    assert caught.value.do == "smaller = larger.imputations.fit('y ~ x')"
    with pytest.raises(ModelError, match="no comparison method='D5'"):
        res.compare(res, "D5")


def test_a_column_of_the_same_name_must_be_the_same_column(imp, monkeypatch):
    monkeypatch.setattr(pooled, "power", 2, raising=False)
    larger = fit(imp, "y ~ z + I(x ** power)")
    monkeypatch.setattr(pooled, "power", 3)
    smaller = fit(imp, "y ~ I(x ** power)")
    with pytest.raises(ModelError, match="not the same column"):
        larger.compare(smaller, "D1")


def test_the_table_of_several_models_is_in_order(imp, res):
    table = anova(res, fit(imp, "y ~ 1"), fit(imp, "y ~ x"), method="D1")
    assert table["n_params"].tolist() == [1, 2, 5]
    assert list(table.index) == ["y ~ 1", "y ~ x", "y ~ x + z + C(g)"]
    assert np.isnan(table["statistic"].iloc[0])
    assert table["df1"].tolist()[1:] == [1.0, 3.0]
    with pytest.raises(ModelError, match="1 model"):
        anova(res)


def test_hypotheses_that_cannot_be_read_name_the_nearest_coefficient(res):
    with pytest.raises(FormulaError, match=r"did you mean 'C\(g\)\[T.mid\]'"):
        res.wald_test("C(g)[T.mib] = 0")
    with pytest.raises(FormulaError, match="does not match 5 coefficients"):
        res.wald_test(np.eye(3))


def test_robust_and_clustered_covariances_are_tested_with_d1(imp):
    larger, smaller = (fit(imp, f, cov_type="HC1") for f in ("y ~ x + z", "y ~ x"))
    found = larger.compare(smaller)
    assert found.method == "D1"
    assert "D1 instead of a likelihood ratio: cov_type='HC1'" in found.note
    with pytest.raises(ModelError, match="no likelihood ratio") as caught:
        larger.compare(smaller, "D4")
    assert caught.value.do == "res.compare(smaller, method='D1')"


def test_a_test_prints_its_hypothesis_and_its_figures(res):
    text = str(res.wald_test("x = z = 0"))
    assert text.startswith("D1: x = z = 0\n  F(2, ")
    frame = res.wald_test("x = z = 0").summary_frame()
    assert list(frame.columns) == ["statistic", "df1", "df2", "p_value", "riv", "method"]


_SLOW_FITS = ("lmer_random_intercept",)  # mixed models, fitted for every test statistic


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in _SLOW_FITS else name
        for name in CASES
        if read(name)[1]["tests"]
    ],
)
def test_results_give_rs_tests(name):
    from support.references import models_of, read_long

    case, expected = read(name)
    imp = mifit.from_long(read_long(name, case), imp=".imp", id=".id")
    tolerance = 100 * max(case["tolerance"]["default_fit"]["pooled_std.error"], 1e-9)
    keywords = models_of(case)[0]
    res = fit(imp, case["formula"], **keywords)
    for test in expected["tests"]:
        small = fit(imp, test["null_formula"], **keywords)
        for method, options, key in (
            ("D1", {"df_method": "li"}, "D1"),
            ("D1", {}, "D1_reiter"),
            ("D2", {}, "D2"),
            ("D2", {"use": "likelihood"}, "D2_lrt"),
            ("D3", {"ariv": "raw"}, "D3"),
            ("D4", {"ariv": "raw"}, "D4"),
            ("D4", {}, "D4_positive"),
            ("D4", {"ariv": "robust"}, "D4_robust"),
        ):
            if test.get(key):
                agrees_roughly(res.compare(small, method, **options), test[key], tolerance)


def agrees_roughly(found, wanted, rtol):
    """Compare with R's figures within the tolerance of the fits."""
    for mine in ("statistic", "df1", "df2", "riv"):
        np.testing.assert_allclose(getattr(found, mine), float(wanted[mine]), rtol=rtol, atol=rtol, err_msg=mine)
    np.testing.assert_allclose(found.p_value, float(wanted["p.value"]), rtol=100 * rtol, atol=rtol)


def test_a_term_may_be_tested_by_its_name(res):
    term = res.wald_test_terms().loc["C(g)"]
    for hypothesis in ("C(g)", "C(g) = 0"):
        assert res.wald_test(hypothesis).p_value == term["p_value"]
    assert res.wald_test("x").df1 == 1


def test_a_stranger_in_a_hypothesis_is_named(res):
    for hypothesis, said in {
        "x = smoker": "'smoker' is no coefficient",
        "C(g) = x": r"'C\(g\)' is no coefficient but a term of several: C\(g\)\[T.mid\], C\(g\)\[T.top\]",
        "2 * x + zz = 1": "'zz' is no coefficient",
        "x = = 0": "cannot be read",
    }.items():
        with pytest.raises(FormulaError, match=said) as caught:
            res.wald_test(hypothesis)
        assert "did you mean 'x'" not in str(caught.value)
    assert listed("abcdefghij", 8) == "a, b, c, d, e, f, g, h, ... (10)"


def test_a_smaller_model_may_be_a_formula(imp):
    larger = fit(imp, "y ~ x + z", cov_type="HC1")
    named = larger.compare("y ~ x")
    assert str(named) == str(larger.compare(fit(imp, "y ~ x", cov_type="HC1")))
    with pytest.raises(ModelError, match="a smaller model is pooled results or a formula, not 3"):
        larger.compare(3)

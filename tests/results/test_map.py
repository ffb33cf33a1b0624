"""Any function of a completed frame, fits of any package, tables of estimates: pooled by the same rules."""

import inspect

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats as st

import mifit
from mifit.errors import FitError, MifitWarning, ModelError, PoolingError
from mifit.pooling.rubin import pool as rubin_pool
from mifit.results.external import pool, pool_table
from mifit.results.map import Mapped, map_sets
from support.pooled import fit, frames, imputed

#: scipy called it another word before 1.15
SEED = {"rng" if "rng" in inspect.signature(st.permutation_test).parameters else "random_state": 1}


@pytest.fixture(scope="module")
def sets():
    return frames()


def mapped(sets, func):
    return Mapped(map_sets(sets, func), len(sets[0]))


def test_means_with_their_variances_pool_as_a_regression_on_nothing(sets):
    found = mapped(sets, lambda d: (d["x"].mean(), d["x"].var() / len(d), len(d) - 1)).pool()
    wanted = fit(imputed(sets), "x ~ 1").to_frame()
    np.testing.assert_allclose(found.loc["estimate"], wanted.loc["Intercept"], rtol=1e-9)
    assert list(found.columns) == list(wanted.columns)


def test_several_figures_each_have_their_scale(sets):
    def figures(d):
        p = (d["g"] == "top").mean()
        return {"top": (p, p * (1 - p) / len(d)), "sd": (d["x"].std(), d["x"].var() / (2 * len(d)))}

    found = mapped(sets, figures).pool({"top": "logit", "sd": "log"}, alpha=0.1)
    assert list(found.index) == ["top", "sd"]
    p = np.array([(d["g"] == "top").mean() for d in sets])
    assert found.loc["top", "estimate"] == pytest.approx(1 / (1 + np.exp(-np.log(p / (1 - p)).mean())))
    assert np.isnan(found.loc["top", "p_value"])  # nobody asks whether a share is one half
    sd = np.array([d["x"].std() for d in sets])
    assert found.loc["sd", "estimate"] == pytest.approx(np.exp(np.log(sd).mean()))
    one = rubin_pool(np.log(sd)[:, None], np.full((4, 1, 1), 1 / (2 * 150)))
    assert found.loc["sd", "std_error"] == pytest.approx(one.std_error[0] * found.loc["sd", "estimate"])
    assert found.loc["sd", "df"] == pytest.approx(one.df[0])


def test_a_correlation_needs_no_variance_on_fishers_scale(sets):
    found = mapped(sets, lambda d: d["x"].corr(d["y"])).pool("fisher").loc["estimate"]
    z = np.arctanh([d["x"].corr(d["y"]) for d in sets])
    one = rubin_pool(z[:, None], np.full((4, 1, 1), 1 / 147))
    assert found["estimate"] == pytest.approx(np.tanh(one.params[0]))
    assert found["statistic"] == pytest.approx(one.params[0] / one.std_error[0])
    assert found["fmi"] == pytest.approx(one.fmi[0])


def test_figures_without_variance_have_an_estimate_only(sets):
    with pytest.warns(MifitWarning, match=r"no variance for x, z: a standard error needs \(estimate, variance\)"):
        found = mapped(sets, lambda d: d[["x", "z"]].median()).pool()
    assert found.attrs["reason"].startswith("the function returned no variance")
    assert found["estimate"].to_dict() == pytest.approx({c: np.mean([d[c].median() for d in sets]) for c in ("x", "z")})
    assert found.drop(columns="estimate").isna().all(axis=None)


def test_the_results_of_each_set_are_at_hand(sets):
    each = mapped(sets, len)
    assert (each.m, each[0], each[-1], each[:2], list(each)) == (4, 150, 150, [150, 150], [150] * 4)
    assert "pool() makes one" in repr(each)


def test_two_workers_do_as_one(sets):
    assert map_sets(sets, lambda d: d["x"].sum(), n_jobs=2) == map_sets(sets, lambda d: d["x"].sum())


def test_the_users_degrees_of_freedom_win(sets):
    each = mapped(sets, lambda d: (d["x"].mean(), d["x"].var() / len(d), 10.0))
    assert each.pool(dfcom=1e9)["df"].iloc[0] > each.pool()["df"].iloc[0]
    assert each.pool()["df"].iloc[0] < 10


def test_functions_that_fail_or_give_something_else_are_refused(sets):
    with pytest.raises(FitError, match="failed on completed set 0: KeyError") as caught:
        map_sets(sets, lambda d: d["nowhere"])
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(PoolingError, match="set 0 gave DataFrame"):
        mapped(sets, lambda d: d).pool()
    with pytest.raises(PoolingError, match="other estimates for set 1 than for set 0: b"):
        Mapped([{"a": 1.0}, {"a": 1.0, "b": 2.0}], 9).pool()
    with pytest.raises(PoolingError, match="scale= names 'sd'"):
        Mapped([1.0, 2.0], 9).pool({"sd": "log"})
    with pytest.raises(PoolingError, match="at least 2"):
        Mapped([(1.0, 1.0)], 9).pool()
    with pytest.raises(PoolingError, match="at least 2"):
        Mapped([], 9).pool()


# Fits made elsewhere


@pytest.mark.parametrize(
    ("entry", "formula", "keywords"),
    [("ols", "y ~ x + g", {}), ("logit", "b ~ x + g", {}), ("glm", "b ~ x", {"family": sm.families.Binomial()})],
)
def test_statsmodels_fits_pool_as_mifits_own(sets, entry, formula, keywords):
    quiet = {"disp": 0} if entry == "logit" else {}
    found = pool([getattr(smf, entry)(formula, d, **keywords).fit(**quiet) for d in sets])
    wanted = fit(imputed(sets), formula, entry, **keywords)
    np.testing.assert_allclose(found.to_frame(), wanted.to_frame(), rtol=1e-6)
    assert list(found.params.index) == list(wanted.params.index)
    assert (found.dfcom, found.fits.df_source) == (wanted.dfcom, "residual")
    assert found.model.endog_names == formula[0]
    assert "Pooled" in str(found.summary())


class Linear:
    """As linearmodels has it."""

    def __init__(self, own):
        self.params, self.cov, self.df_resid = own.params, own.cov_params(), own.df_resid


class Life:
    """As lifelines has it."""

    def __init__(self, own):
        self.params_, self.variance_matrix_ = own.params, own.cov_params()


def test_other_packages_are_read_by_what_they_have(sets):
    own = [smf.ols("y ~ x + z", d).fit() for d in sets]
    wanted = pool(own)
    pd.testing.assert_frame_equal(pool([Linear(o) for o in own]).to_frame(), wanted.to_frame())
    life = pool([Life(o) for o in own])
    assert (life.dfcom, life.fits.df_source) == (np.inf, "not reported")
    np.testing.assert_allclose(life.bse, wanted.bse)
    pairs = pool([(o.params, o.cov_params()) for o in own], dfcom=own[0].df_resid)
    pd.testing.assert_frame_equal(pairs.to_frame(), wanted.to_frame())
    tables = [pd.DataFrame({"estimate": o.params, "std_error": o.bse}) for o in own]
    np.testing.assert_allclose(pool(tables).bse, wanted.bse)
    numbers = pool([(float(o.params["x"]), float(o.bse["x"] ** 2)) for o in own], names=["x"], dfcom=147.0)
    np.testing.assert_allclose(numbers.to_frame().loc["x"], wanted.to_frame().loc["x"])


def test_coefficients_are_matched_by_name_not_by_place(sets):
    own = [smf.ols("y ~ x + z" if k % 2 else "y ~ z + x", d).fit() for k, d in enumerate(sets)]
    found, wanted = pool(own), pool([smf.ols("y ~ z + x", d).fit() for d in sets])
    pd.testing.assert_frame_equal(found.to_frame(), wanted.to_frame())


def test_odd_shapes_of_statsmodels_are_read(sets):
    several = pool([sm.MNLogit(d["c"].clip(upper=2), sm.add_constant(d[["x"]])).fit(disp=0) for d in sets])
    assert len(several.params) == 4
    assert len(set(several.params.index)) == 4
    cox = [sm.PHReg(d["t"], d[["x", "z"]], status=d["b"], ties="efron").fit() for d in sets]
    found = pool(cox)
    assert list(found.params.index) == ["x", "z"]
    assert (found.dfcom, found.fits.df_source) == (sets[0]["b"].sum() - 2, "events - coefficients")


def test_fits_that_do_not_match_are_refused(sets):
    own = [smf.ols("y ~ x", d).fit() for d in sets]
    with pytest.raises(PoolingError, match="fit 1 has other coefficients than fit 0: z"):
        pool([own[0], smf.ols("y ~ x + z", sets[1]).fit()])
    with pytest.raises(PoolingError, match=r"fit 0 \(object\) has no estimates"):
        pool([object(), object()])
    with pytest.raises(PoolingError, match="1 fit; at least 2"):
        pool(own[:1])
    with pytest.raises(PoolingError, match="1 names for 2 coefficients"):
        pool(own, names=["x"])


def test_what_needs_the_completed_sets_says_so(sets):
    found = pool([smf.ols("y ~ x + z", d).fit() for d in sets])
    assert found.wald_test(np.eye(3)[[1, 2]]).method == "D1"
    assert found.results[0].nobs == 150
    for ask in (lambda: found.predict(sets[0]), lambda: found.marginal_effects("x"), lambda: found.auc()):
        with pytest.raises(ModelError, match="pooled from fits made elsewhere"):
            ask()
    with pytest.raises(ModelError, match="come from no formula"):
        found.wald_test_terms()
    words, matrix = found.wald_test("x = z = 0"), found.wald_test(np.eye(3)[[1, 2]])
    assert words.statistic == pytest.approx(matrix.statistic)
    own = [smf.ols("y ~ x + z", d).fit() for d in sets]
    assert found.rsquared == pytest.approx(np.tanh(np.mean(np.arctanh(np.sqrt([o.rsquared for o in own])))) ** 2)


# Tables


def test_a_table_of_estimates_pools_each_term(sets):
    rows = []
    for k, d in enumerate(sets):
        own = smf.ols("y ~ x", d).fit()
        rows.append(pd.DataFrame({"imp": k, "term": own.params.index, "estimate": own.params, "std.error": own.bse}))
    table = pd.concat(rows, ignore_index=True)
    wanted = pool([smf.ols("y ~ x", d).fit() for d in sets]).to_frame()
    found = pool_table(table, dfcom=148)
    pd.testing.assert_frame_equal(found, wanted, check_names=False)
    pd.testing.assert_frame_equal(pool_table(pd.concat(rows).drop(columns="term"), dfcom=148), found)
    renamed = table.rename(columns={"estimate": "b", "std.error": "e", "term": "what"})
    pd.testing.assert_frame_equal(pool_table(renamed, "b", "e", "what", dfcom=148), found)
    with pytest.raises(PoolingError, match="no column of estimates 'beta'"):
        pool_table(table, "beta")
    with pytest.raises(PoolingError, match="some estimates are missing in some sets"):
        pool_table(table.iloc[:-1])


def two_columns(n=60, m=4):
    """Completed frames of numbers and groups, a little different from set to set."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"x": rng.normal(size=n), "g": np.resize(["a", "b", "c"], n)})
    frame["y"] = 0.4 * frame["x"] + rng.normal(size=n)
    return mifit.from_frames([frame.assign(y=frame["y"] + 0.1 * rng.normal(size=n)) for _ in range(m)])


def parts(d):
    return [d["x"][d["g"] == one] for one in "abc"]


def by_hand(d):
    statistic, p = st.ansari(*parts(d)[:2])
    return statistic, p


def of_another(d):
    return by_hand(d)


#: what a user may write of a test, and hand over as two bare numbers
BARE = {
    "mannwhitneyu": lambda d: tuple(st.mannwhitneyu(*parts(d)[:2])),
    "wilcoxon": lambda d: st.wilcoxon(d["x"], d["y"])[:2],
    "ks_2samp": lambda d: (st.ks_2samp(*parts(d)[:2]).statistic, st.ks_2samp(*parts(d)[:2]).pvalue),
    "shapiro, rounded": lambda d: [round(float(one), 3) for one in st.shapiro(d["x"])],
    "f_oneway": lambda d: tuple(st.f_oneway(*parts(d))),
    "levene": lambda d: np.array(st.levene(*parts(d))).tolist(),
    "Welch's t": lambda d: st.ttest_ind(*parts(d)[:2], equal_var=False)[:2],
    "permutation_test": lambda d: (lambda r: (r.statistic, r.pvalue))(
        st.permutation_test(parts(d)[:2], lambda a, b: a.mean() - b.mean(), n_resamples=99, **SEED)
    ),
    "kendalltau of few rows": lambda d: tuple(st.kendalltau(d["x"][:20], d["y"][:20])),
    "fisher_exact": lambda d: tuple(st.fisher_exact(pd.crosstab(d["x"] > 0, d["y"] > 0))),
    "dunnett": lambda d: (lambda r: (r.statistic, r.pvalue))(st.dunnett(*parts(d)[1:], control=parts(d)[0], **SEED)),
    "unpacked": by_hand,
    "in another function": of_another,
    "pearsonr, one-sided": lambda d: (lambda one: (float(one[0]), float(one[1])))(
        st.pearsonr(d["x"], d["y"], alternative="greater")
    ),
    "spearmanr, one-sided": lambda d: tuple(map(float, st.spearmanr(d["x"], d["y"], alternative="less"))),
    "a t of statsmodels, with its df": lambda d: sm.stats.ttest_ind(*parts(d)[:2]),
    "F of two fits, with its df": lambda d: (
        smf.ols("y ~ x", d).fit().compare_f_test(smf.ols("y ~ 1", d).fit())
    ),
    "likelihood ratio, with its df": lambda d: (
        smf.ols("y ~ x", d).fit().compare_lr_test(smf.ols("y ~ 1", d).fit())
    ),
    "a z of shares": lambda d: sm.stats.proportions_ztest([(d["y"] > 0).sum()], [len(d)], 0.4),
    "two results in a list": lambda d: [st.pearsonr(d["x"], d["y"]), st.spearmanr(d["x"], d["y"])],
    "pairs in a list": lambda d: [(d["x"].mean(), 0.1), (d["y"].mean(), 0.2)],
    "a mapping": lambda d: {"W": 0.97, "p": float(st.shapiro(d["y"])[1])},
    "a row of a table": lambda d: pd.DataFrame({"T": [1.5], "p-val": [0.14]}).iloc[0],
    "credible intervals": lambda d: st.bayes_mvs(d["y"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BARE)
def test_a_statistic_and_its_p_value_are_no_estimate_and_variance(name):
    imp = two_columns()
    with pytest.raises(PoolingError) as caught:
        imp.map(BARE[name]).pool()
    assert caught.value.do


ESTIMATES = {
    "a mean": lambda d: (d["y"].mean(), d["y"].var() / len(d)),
    "a correlation, by hand": lambda d: (
        st.pearsonr(d["x"], d["y"]).statistic, (1 - st.pearsonr(d["x"], d["y"])[0] ** 2) ** 2 / (len(d) - 1)
    ),
    "Kendall's tau, by hand": lambda d: (
        st.kendalltau(d["x"], d["y"]).statistic, 2 * (2 * len(d) + 5) / (9 * len(d) * (len(d) - 1))
    ),
    "named, beside a test": lambda d: {"mean": (d["y"].mean(), d["y"].var() / len(d) * (st.shapiro(d["y"])[1] < 2))},
    "vectors": lambda d: ([d["x"].mean(), d["y"].mean()], [0.1, 0.2]),
    "a fit": lambda d: (lambda r: (r.params, r.cov_params()))(smf.ols("y ~ x", d).fit()),
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATES)
def test_an_estimate_and_its_variance_are_pooled_by_rubins_rules(name):
    imp = two_columns()
    func = ESTIMATES[name]
    table = imp.map(func).pool("identity")
    given = [func(d) for d in imp]
    given = [next(iter(one.values())) if isinstance(one, dict) else one for one in given]
    estimates = np.array([np.atleast_1d(one[0]) for one in given])
    within = np.array([np.diag(v) if np.ndim(v := np.atleast_1d(one[1])) == 2 else v for one in given])
    total = within.mean(axis=0) + (1 + 1 / len(given)) * estimates.var(axis=0, ddof=1)
    np.testing.assert_allclose(table["estimate"], estimates.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(table["std_error"], np.sqrt(total), rtol=1e-12)


P_OF_FITS = {
    "one": lambda m: (m.params["x"], m.pvalues["x"]),
    "vectors": lambda m: (m.params, m.pvalues),
    "lists": lambda m: (m.params.tolist(), m.pvalues.tolist()),
    "of the whole model": lambda m: (m.rsquared, m.f_pvalue),
    "of its table": lambda m: (m.summary2().tables[1]["Coef."], m.summary2().tables[1]["P>|t|"]),
}


@pytest.mark.parametrize("form", P_OF_FITS)
def test_a_p_value_of_a_fit_is_no_variance(sets, form):
    of_fit = P_OF_FITS[form]

    def func(d):
        return of_fit(smf.ols("z ~ x", d).fit())

    with pytest.raises(PoolingError, match="asks for p-values"):
        imputed(sets).map(func).pool()


def test_the_variances_of_a_fit_pool_beside_its_p_values_by_name(sets):
    def func(d):
        m = smf.ols("z ~ x", d).fit()
        assert (m.pvalues >= 0).all()
        return {"x": (m.params["x"], m.bse["x"] ** 2, m.df_resid)}

    found, wanted = imputed(sets).map(func).pool(), fit(imputed(sets), "z ~ x").to_frame()
    assert found.loc["x", "std_error"] == pytest.approx(wanted.loc["x", "std_error"], rel=1e-8)


def fitted(d):
    return smf.ols("y ~ x", d).fit()


#: what is no variance, by what a user may write
NO_VARIANCE = {
    "standard errors": lambda d: (fitted(d).params, fitted(d).bse),
    "one of them, by name": lambda d: {"x": (fitted(d).params["x"], fitted(d).bse["x"])},
    "t values": lambda d: (fitted(d).params, fitted(d).tvalues),
    "robust ones": lambda d: (fitted(d).params, fitted(d).HC1_se),
    "limits, as a matrix": lambda d: (fitted(d).params, fitted(d).conf_int()),
    "limits, as numbers": lambda d: (fitted(d).params["x"], *fitted(d).conf_int().loc["x"]),
    "limits, in another function": lambda d: limits(d),
    "p-values by name": lambda d: {"x": (fitted(d).params, fitted(d).pvalues)},
    "a lone p-value": lambda d: fitted(d).pvalues["x"],
    "a lone p-value of a test": lambda d: {"two groups": st.ttest_ind(*parts(d)[:2]).pvalue},
    "a standard error of the mean": lambda d: (d["y"].mean(), d["y"].sem()),
    "a standard deviation": lambda d: (d["y"].mean(), d["y"].std()),
    "numpy's": lambda d: {"y": (np.mean(d["y"]), np.std(d["y"], ddof=1) / len(d))},
    "a table's column": lambda d: tuple(fitted(d).summary2().tables[1].loc["x", ["Coef.", "Std.Err."]]),
}  # fmt: skip


def limits(d):
    m = fitted(d)
    return m.params.to_numpy(), m.conf_int().to_numpy()


@pytest.mark.parametrize("name", NO_VARIANCE)
def test_standard_errors_ratios_limits_and_p_values_are_no_variances(name):
    imp = two_columns()
    with pytest.raises(PoolingError) as caught:
        imp.map(NO_VARIANCE[name]).pool()
    assert len(
        eval(caught.value.do, {"imp": imp}).to_frame() if "imp.fit" in caught.value.do else eval(caught.value.do)
    )
    if "fitted(d)" in name or name in ("standard errors", "t values", "robust ones"):
        assert caught.value.do == "imp.fit('y ~ x')"


#: the same, squared in the ways in which people square
SQUARED = {
    "to a power": lambda d: (fitted(d).params, fitted(d).bse ** 2),
    "multiplied": lambda d: (fitted(d).params, fitted(d).bse * fitted(d).bse),
    "by numpy": lambda d: (fitted(d).params, np.square(fitted(d).bse)),
    "in a name": lambda d: squared(d),
    "from the covariance": lambda d: (fitted(d).params, np.diag(fitted(d).cov_params())),
}


def squared(d):
    m = fitted(d)
    se = m.bse
    return m.params, se * se


@pytest.mark.parametrize("name", SQUARED)
def test_squared_standard_errors_are_variances(name):
    imp = two_columns()
    found, wanted = imp.map(SQUARED[name]).pool(), imp.fit("y ~ x").to_frame()
    np.testing.assert_allclose(found["std_error"], wanted["std_error"], rtol=1e-8)


def test_second_numbers_that_vary_as_p_values_do_are_refused():
    pairs = [(0.3, 0.0004), (0.1, 0.6), (0.2, 0.03)]
    with pytest.raises(PoolingError, match="so much do p-values vary"):
        mifit.from_frames([pd.DataFrame({"x": one}) for one in pairs]).map(lambda d: tuple(d["x"])).pool()


#: tests, and the figures that the advised line pools: those of a fit, or a mean with its variance
ADVISED = {
    "two groups": (lambda d: st.ttest_ind(d["y"][d["h"] == "a"], d["y"][d["h"] == "b"]), "imp.fit('y ~ h')"),
    "ranks of two groups": (
        lambda d: st.mannwhitneyu(d["y"][d["h"] == "a"], d["y"][d["h"] == "b"]),
        "imp.fit('y ~ h')",
    ),
    "two columns": (
        lambda d: st.ttest_ind(d["x"], d["y"]),
        lambda d: (d["x"].mean() - d["y"].mean(), (d["x"].var() + d["y"].var()) / len(d)),
    ),
    "pairs": (
        lambda d: st.ttest_rel(d["x"], d["y"]),
        lambda d: ((d["x"] - d["y"]).mean(), (d["x"] - d["y"]).var() / len(d), len(d) - 1),
    ),
    "one sample": (lambda d: st.ttest_1samp(d["y"], 0), lambda d: (d["y"].mean(), d["y"].var() / len(d), len(d) - 1)),
}


@pytest.mark.parametrize("name", ADVISED)
def test_the_advised_line_pools_what_the_test_is_about(name):
    func, wanted = ADVISED[name]
    imp = mifit.from_frames([d.assign(h=np.where(d["g"] == "a", "a", "b")) for d in two_columns()])
    with pytest.raises(PoolingError) as caught:
        imp.map(func).pool()
    if isinstance(wanted, str):
        assert caught.value.do.startswith(wanted)
        assert len(eval(caught.value.do, {"imp": imp}).params) == 2
    else:
        pd.testing.assert_frame_equal(eval(caught.value.do, {"imp": imp}), imp.map(wanted).pool())


def test_the_advised_line_knows_the_degrees_of_freedom():
    imp = two_columns()
    forms = {
        "df=2, kind='F'": lambda d: st.f_oneway(*parts(d)),
        "df=2, kind='chi2'": lambda d: st.kruskal(*parts(d)),
        "df=1, kind='chi2'": lambda d: st.friedmanchisquare(d["x"], d["y"], d["x"]) and st.bartlett(*parts(d)[:2]),
        "df=3, kind='chi2'": lambda d: st.friedmanchisquare(d["x"], d["y"], d["x"] + d["y"], d["x"] - d["y"]),
    }
    for end, func in forms.items():
        with pytest.raises(PoolingError) as caught:
            imp.map(func).pool()
        assert caught.value.do.endswith(f"{end})"), caught.value.do
        assert eval(caught.value.do, {"mifit": mifit}).df1 == float(end[3])


@pytest.mark.parametrize(
    "made",
    [
        {"variance": lambda t: t["std_error"] ** 2},
        {"var": lambda t: t["std_error"] ** 2},
        {
            "conf.low": lambda t: t["estimate"] - 1.96 * t["std_error"],
            "conf.high": lambda t: t["estimate"] + 1.96 * t["std_error"],
        },
    ],
)
def test_a_table_without_standard_errors_is_sent_to_those_it_implies(made):
    frame = pd.DataFrame({"term": ["a", "b"] * 3, "estimate": np.arange(6.0), "std_error": np.arange(1.0, 7.0)})
    wanted = pool_table(frame)
    other = frame.assign(**made).drop(columns="std_error")
    with pytest.raises(PoolingError) as caught:
        pool_table(other)
    pd.testing.assert_frame_equal(eval(caught.value.do, {"mifit": mifit, "frame": other, "np": np}), wanted)


def test_models_that_are_not_nested_are_sent_to_the_terms_of_both(sets):
    imp = imputed(sets)
    with pytest.raises(ModelError, match="not nested") as caught:
        imp.fit("y ~ x").compare("y ~ z")
    found = eval(str(caught.value.do), {"imp": imp})
    assert found.p_value == pytest.approx(imp.fit("y ~ x + z").compare(imp.fit("y ~ z")).p_value)


def test_an_analysis_that_was_not_declared_is_asked_for_by_columns_of_the_frame():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"id": ["a", "b", "c"] * 10, "x": rng.normal(size=30), "w": rng.normal(size=30)})
    df.loc[:4, "x"] = np.nan
    imp = df.mice.impute(m=2, rng=1)
    with pytest.raises(mifit.PlanError) as caught:
        imp.fit()
    assert list(eval(str(caught.value.do), {"imp": imp}).params.index) == ["Intercept", "id[T.b]", "id[T.c]", "w"]

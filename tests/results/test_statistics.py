"""Results of tests: never an estimate with its variance; statistics pooled by D2 from their values alone."""

from collections import namedtuple
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mifit
from mifit.errors import PoolingError
from mifit.pooling.rubin import pool as rubin_pool
from mifit.results.map import Mapped
from support.pooled import frames


@pytest.fixture(scope="module")
def sets():
    return frames()


def mapped(sets, func):
    return Mapped([func(d) for d in sets], len(sets[0]))


#: tests of scipy whose statistic has no standard error
REFUSED = {
    "ttest_ind": lambda d: stats.ttest_ind(d["x"], d["y"]),
    "ttest_rel": lambda d: stats.ttest_rel(d["x"], d["y"]),
    "ttest_1samp": lambda d: stats.ttest_1samp(d["x"], 0),
    "chi2_contingency": lambda d: stats.chi2_contingency(pd.crosstab(d["g"], d["x"] > 0)),
    "chisquare": lambda d: stats.chisquare([10, 20, 30]),
    "fisher_exact": lambda d: stats.fisher_exact([[10, 20], [20, 10]]),
    "mannwhitneyu": lambda d: stats.mannwhitneyu(d["x"], d["y"]),
    "wilcoxon": lambda d: stats.wilcoxon(d["x"], d["y"]),
    "kruskal": lambda d: stats.kruskal(d["x"], d["y"]),
    "friedman": lambda d: stats.friedmanchisquare(d["x"], d["y"], d["z"]),
    "f_oneway": lambda d: stats.f_oneway(d["x"], d["y"]),
    "levene": lambda d: stats.levene(d["x"], d["y"]),
    "bartlett": lambda d: stats.bartlett(d["x"], d["y"]),
    "shapiro": lambda d: stats.shapiro(d["x"]),
    "ks_2samp": lambda d: stats.ks_2samp(d["x"], d["y"]),
    "normaltest": lambda d: stats.normaltest(d["x"]),
    "jarque_bera": lambda d: stats.jarque_bera(d["x"]),
    "binomtest": lambda d: stats.binomtest(10, 30),
    "theilslopes": lambda d: stats.theilslopes(d["x"], d["y"]),
    "siegelslopes": lambda d: stats.siegelslopes(d["x"], d["y"]),
    "kendalltau": lambda d: stats.kendalltau(d["x"], d["y"]),
    "a test by name": lambda d: {"statistic": 2.0, "p_value": 0.04},
    "a Series": lambda d: pd.Series({"r": 0.3, "p-val": 0.04}),
    "inside a mapping": lambda d: {"group": stats.ttest_ind(d["x"], d["y"])},
    "another package's": lambda d: namedtuple("Found", "statistic pvalue")(2.0, 0.04),
    "other fields": lambda d: namedtuple("Found", "estimate std_error")(2.0, 0.04),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_test_is_never_an_estimate_with_its_variance(name, sets):
    with pytest.raises(PoolingError) as caught:
        mapped(sets, REFUSED[name]).pool()
    assert caught.value.do.startswith(("mifit.pool_statistics(", "imp.map(", "imp.fit("))


CHI_SQUARES = {
    "chi2_contingency",
    "kruskal",
    "friedman",
    "bartlett",
    "fligner",
    "normaltest",
    "chisquare",
    "f_oneway",
    "levene",
}


@pytest.mark.parametrize("name", REFUSED)
def test_only_chi_squares_and_f_statistics_are_sent_to_pool_statistics(name, sets):
    with pytest.raises(PoolingError) as caught:
        mapped(sets, REFUSED[name]).pool()
    assert caught.value.do.startswith("mifit.pool_statistics(") == (name.split()[0] in CHI_SQUARES)


BARE = {
    "pearsonr": lambda d: tuple(stats.pearsonr(d["x"], d["y"])),
    "ttest_ind": lambda d: tuple(stats.ttest_ind(d["x"], d["y"])),
    "a list": lambda d: list(stats.ttest_rel(d["x"], d["y"])),
    "z": lambda d: (1.7, 2 * stats.norm.sf(1.7)),
    "chi-square": lambda d: (7.1, stats.chi2.sf(7.1, 3)),
}


@pytest.mark.parametrize("name", BARE)
def test_a_statistic_with_its_p_value_is_no_estimate_with_its_variance(name, sets):
    with pytest.raises(PoolingError, match="its p-value"):
        mapped(sets, BARE[name]).pool()


@pytest.mark.parametrize("given", [None, "fisher"])
def test_a_pearson_correlation_is_pooled_on_fishers_scale_with_the_rows_it_used(sets, given):
    found = mapped(sets, lambda d: stats.pearsonr(d["x"][:80], d["y"][:80])).pool(given).loc["correlation"]
    z = np.arctanh([np.corrcoef(d["x"][:80], d["y"][:80])[0, 1] for d in sets])
    one = rubin_pool(z[:, None], np.full((len(sets), 1, 1), 1 / 77))
    assert found["estimate"] == pytest.approx(np.tanh(one.params[0]))
    assert found["statistic"] == pytest.approx(one.params[0] / one.std_error[0])
    assert found["fmi"] == pytest.approx(one.fmi[0])


def test_a_rank_correlation_has_the_wider_variance_of_ranks(sets):
    found = mapped(sets, lambda d: stats.spearmanr(d["x"], d["y"])).pool().loc["correlation"]
    z = np.arctanh([stats.spearmanr(d["x"], d["y"]).statistic for d in sets])
    one = rubin_pool(z[:, None], np.full((len(sets), 1, 1), 1.06 / (len(sets[0]) - 3)))
    assert found["estimate"] == pytest.approx(np.tanh(one.params[0]))
    assert found["statistic"] == pytest.approx(one.params[0] / one.std_error[0])


def test_a_regression_of_scipy_is_pooled_as_that_of_statsmodels(sets):
    from support.pooled import fit, imputed

    found = mapped(sets, lambda d: stats.linregress(d["x"], d["y"])).pool()
    wanted = fit(imputed(sets), "y ~ x").to_frame()
    np.testing.assert_allclose(found.loc["slope"], wanted.loc["x"], rtol=1e-8)
    np.testing.assert_allclose(found.loc["intercept"], wanted.loc["Intercept"], rtol=1e-8)


def test_vectors_are_pooled_element_by_element(sets):
    columns = ["x", "z"]
    found = mapped(sets, lambda d: (d[columns].mean(), d[columns].var() / len(d), len(d) - 1)).pool()
    for name in columns:
        alone = mapped(sets, lambda d, name=name: (d[name].mean(), d[name].var() / len(d), len(d) - 1)).pool()
        np.testing.assert_allclose(found.loc[name], alone.loc["estimate"])
    bare = mapped(sets, lambda d: (d[columns].mean().to_numpy(), d[columns].cov().to_numpy() / len(d))).pool()
    assert list(bare.index) == ["x0", "x1"]
    np.testing.assert_allclose(bare["std_error"].iloc[0], found["std_error"].iloc[0])
    turned = mapped(sets, lambda d: (d[columns].mean(), (d[columns].var() / len(d))[::-1])).pool()
    np.testing.assert_allclose(turned["std_error"], found["std_error"])
    with pytest.raises(PoolingError, match="do not match element by element"):
        mapped(sets, lambda d: ([1.0, 2.0], [0.1, 0.2, 0.3])).pool()


def test_a_named_tuple_that_names_its_variance_is_read(sets):
    made = namedtuple("Made", "mean variance df")
    found = mapped(sets, lambda d: made(d["x"].mean(), d["x"].var() / len(d), len(d) - 1)).pool()
    plain = mapped(sets, lambda d: (d["x"].mean(), d["x"].var() / len(d), len(d) - 1)).pool()
    pd.testing.assert_frame_equal(found, plain)


@pytest.mark.parametrize("kind, times", [("chi2", 1.0), ("lr", 1.0), ("F", 3.0)])
def test_statistics_follow_the_formula_of_li_meng_raghunathan_and_rubin(kind, times):
    values = np.array([7.3, 11.2, 9.0, 4.4, 8.8])
    found = mifit.pool_statistics(values / times, df=3, kind=kind)
    m, k = 5, 3
    root = np.sqrt(values)
    r = (1 + 1 / m) * np.sum((root - root.mean()) ** 2) / (m - 1)
    statistic = (values.mean() / k - (m + 1) / (m - 1) * r) / (1 + r)
    df2 = k ** (-3 / m) * (m - 1) * (1 + 1 / r) ** 2
    assert found.statistic == pytest.approx(statistic)
    assert found.df2 == pytest.approx(df2)
    assert found.p_value == pytest.approx(stats.f.sf(statistic, k, df2))
    assert "Only 5 statistics" in str(found) and "low power" in str(found)


def test_equal_statistics_leave_the_test_as_it_was():
    found = mifit.pool_statistics([6.2] * 30, df=2)
    assert found.p_value == pytest.approx(stats.chi2.sf(6.2, 2))
    assert "low power" in found.note


def test_statistics_of_a_chi_square_equal_those_of_compare(sets):
    from support.pooled import fit, imputed

    larger, smaller = (fit(imputed(sets), one) for one in ("y ~ x + z", "y ~ x"))
    wanted = larger.compare(smaller, method="D2")
    position = list(larger.params.index).index("z")
    wald = larger.fits.estimates[:, position] ** 2 / larger.fits.covariances[:, position, position]
    assert mifit.pool_statistics(wald, df=1).p_value == pytest.approx(wanted.p_value)


@pytest.mark.parametrize(
    "values, words",
    [
        ([1.0], {"df": 1}),
        ([1.0, -0.5], {"df": 1}),
        ([1.0, np.nan], {"df": 1}),
        ([1.0, "2"], {"df": 1}),
        (5.0, {"df": 1}),
        ("12", {"df": 1}),
        ([1.0, 2.0], {"df": 0}),
        ([1.0, 2.0], {"df": "1"}),
        ([1.0, 2.0], {"df": 1, "method": "D1"}),
        ([1.0, 2.0], {"df": 1, "kind": "p"}),
    ],
)
def test_what_are_no_statistics_is_refused_with_a_call(values, words):
    with pytest.raises(PoolingError) as caught:
        mifit.pool_statistics(values, **words)
    assert caught.value.do.startswith("mifit.pool_statistics([")


def test_the_message_about_chi_squares_names_the_function(sets):
    with pytest.raises(PoolingError, match="mifit.pool_statistics"):
        mapped(sets, lambda d: 3.0).pool("chi2")


RANKS = {"kendalltau": (0.437, 4), "spearmanr": (1.06, 3)}


@pytest.mark.parametrize(
    ("name", "written"),
    [("kendalltau", "whole"), *product(RANKS, ["unpacked", "by attribute"])],
)
def test_the_advised_line_pools_a_rank_correlation_with_its_own_variance(name, written):
    rng = np.random.default_rng(4)
    df = pd.DataFrame({"x": rng.normal(size=90), "z": rng.normal(size=90)}).assign(
        y=lambda d: d.x + rng.normal(size=90)
    )
    df.loc[:30, "x"] = np.nan
    imp = df.round(1).mice.impute(m=4, rng=1)  # ties: the p-value does not tell the rows
    func = getattr(stats, name)
    forms = {
        "whole": {"kendalltau": lambda d: stats.kendalltau(d["x"], d["y"])},
        "unpacked": {
            "kendalltau": lambda d: tuple(stats.kendalltau(d["x"], d["y"])),
            "spearmanr": lambda d: tuple(stats.spearmanr(d["x"], d["y"])),
        },
        "by attribute": {
            "kendalltau": lambda d: (stats.kendalltau(d.x, d.y).statistic, stats.kendalltau(d.x, d.y).pvalue),
            "spearmanr": lambda d: (stats.spearmanr(d.x, d.y).statistic, stats.spearmanr(d.x, d.y).pvalue),
        },
    }
    with pytest.raises(PoolingError) as caught:
        imp.map(forms[written][name]).pool()
    table = eval(caught.value.do, {"imp": imp})
    size, less = RANKS[name]
    z = np.arctanh([func(d["x"], d["y"]).statistic for d in imp])
    total = size / (len(df) - less) + (1 + 1 / len(z)) * z.var(ddof=1)
    half = stats.t.ppf(0.975, (len(z) - 1) * (total / (total - size / (len(df) - less))) ** 2) * np.sqrt(total)
    np.testing.assert_allclose(table["estimate"], np.tanh(z.mean()))
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], [np.tanh([z.mean() - half, z.mean() + half])])


def test_the_advised_line_holds_the_statistics_of_all_sets(sets):
    with pytest.raises(PoolingError) as caught:
        mapped(sets, lambda d: stats.kruskal(d["x"], d["y"], d["z"])).pool()
    expected = mifit.pool_statistics([stats.kruskal(d["x"], d["y"], d["z"]).statistic for d in sets], df=2, kind="chi2")
    assert eval(caught.value.do, {"mifit": mifit}).pvalue == pytest.approx(expected.pvalue, rel=1e-4)


def test_statistics_that_look_like_p_values_are_noted():
    assert "p-values are not pooled by this rule" in mifit.pool_statistics([0.03, 0.2, 0.6], df=1).note
    assert "p-values" not in mifit.pool_statistics([0.03, 2.0, 0.6], df=1).note

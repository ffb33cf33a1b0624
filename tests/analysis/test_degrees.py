"""Degrees of freedom of mixed models: lmerTest's, independent derivatives, and designs where they are exact."""

import json

import numpy as np
import pandas as pd
import pytest

from mifit.analysis.degrees import between_within, satterthwaite, units_of
from mifit.analysis.mixed import grouped
from mifit.analysis.mixed_maximum import maximised
from mifit.errors import ModelError
from support.pooled import imputed
from support.references import stored


def case(name):
    """One of lme4's data sets, with a column of the groups."""
    data = pd.read_csv(stored("lmer_slopes") / "data.csv")
    data = data[data["case"] == name].reset_index(drop=True)
    return data.assign(w=np.sin(data["g"]))


def fitted(data, exog, random, groups):
    """The REML fit of some columns."""
    return maximised(grouped(data, exog, random, [], groups), True)


@pytest.mark.parametrize("name", ["correlated", "small groups", "rooms"])
@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_satterthwaite_is_that_of_lmertest(name, shift):
    wanted = json.loads((stored("lmer_slopes") / "degrees.json").read_text())[name]
    frame = case(name).assign(x=lambda d: d["x"] + shift)
    words = {"vc_formula": {"room": "0 + C(room)"}} if name == "rooms" else {"re_formula": "~ x"}
    words |= {"re_formula": "1"} if name == "rooms" else {}
    res = imputed([frame, frame]).fit("y ~ x + w", "mixedlm", groups="g", dfcom="satterthwaite", **words)
    which = [0, 1, 2] if shift == 0 else [1, 2]  # another origin is another intercept
    np.testing.assert_allclose(res.fits.df_each[which], np.array(wanted["df"])[which], rtol=2e-3)
    np.testing.assert_allclose(res.bse.iloc[which], np.array(wanted["error"])[which], rtol=1e-4)
    assert res.fits.df_source == "satterthwaite"
    assert np.isinf(res.fits.df_each[3:]).all()


def dense_reml(y, exog, groups, variances):
    """Restricted log-likelihood and covariance of the coefficients with a random intercept, by whole matrices."""
    v = variances[1] * np.eye(len(y)) + variances[0] * (groups[:, None] == groups)
    inverse = np.linalg.inv(v)
    information = exog.T @ inverse @ exog
    beta = np.linalg.solve(information, exog.T @ inverse @ y)
    left = y - exog @ beta
    height = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1] + left @ inverse @ left
    return -0.5 * height, np.linalg.inv(information)


def test_satterthwaite_is_the_formula_by_whole_matrices_and_differences():
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 9, 60)
    exog = np.column_stack([np.ones(60), rng.normal(size=60), np.cos(groups)])
    y = rng.normal(size=9)[groups] + rng.normal(size=60)
    fit = fitted(y, exog, np.ones((60, 1)), groups)
    at, step = np.array([fit.cov_re[0, 0], fit.scale]), 1e-4
    ways = step * np.eye(2)

    def height(where):
        return dense_reml(y, exog, groups, where)[0]

    hessian = np.array(
        [
            [(height(at + a + b) - height(at + a - b) - height(at - a + b) + height(at - a - b)) / (4 * step**2)
             for a in ways]
            for b in ways
        ]
    )  # fmt: skip
    variance = np.diag(dense_reml(y, exog, groups, at)[1])
    slopes = np.array(
        [
            np.diag(dense_reml(y, exog, groups, at + way)[1] - dense_reml(y, exog, groups, at - way)[1]) / (2 * step)
            for way in ways
        ]
    )
    wanted = 2 * variance**2 / np.einsum("ij,ik,kj->j", slopes, np.linalg.inv(-hessian), slopes)
    np.testing.assert_allclose(satterthwaite(fit), wanted, rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_both_rules_are_exact_where_every_group_has_the_same_rows(seed):
    rng = np.random.default_rng(seed)
    n_groups, k = 14, 6
    groups, x = np.repeat(np.arange(n_groups), k), np.tile(np.arange(k) - 2.5, n_groups)
    w = rng.normal(size=n_groups)[groups]
    y = 1 + w + x * (1 + rng.normal(size=n_groups)[groups]) + 2 * rng.normal(size=n_groups)[groups]
    y += rng.normal(size=len(y))
    exog = np.column_stack([np.ones(len(y)), x, w])
    random = exog[:, :2]
    fit = fitted(y, exog[:, :2], random, groups)
    # the means and the slopes of the groups are samples of 14: 13 degrees of freedom each
    np.testing.assert_allclose(satterthwaite(fit), [13, 13], rtol=1e-4)
    np.testing.assert_array_equal(between_within(exog[:, :2], [groups], random), [13, 13])
    np.testing.assert_array_equal(between_within(exog, [groups], random), [12, 13, 12])
    crossed = np.column_stack([exog, x * w])
    np.testing.assert_array_equal(between_within(crossed, [groups], random), [12, 12, 12, 12])
    np.testing.assert_allclose(satterthwaite(fitted(y, crossed, random, groups)), 12, rtol=1e-4)
    # without a random slope x and x:w are of the rows within groups
    n = len(y)
    np.testing.assert_array_equal(between_within(crossed, [groups], random[:, :1]), [12, n - 16, 12, n - 16])


def test_units_within_groups_have_degrees_of_their_own():
    school = np.repeat(np.arange(10), 12)
    room = np.tile(np.repeat(np.arange(3), 4), 10)
    packed = np.eye(3)[room]
    units = units_of(school, [packed, np.arange(120.0)[:, None]])
    assert [len(np.unique(one)) for one in units] == [10, 30]
    rng = np.random.default_rng(1)
    exog = np.column_stack(
        [np.ones(120), rng.normal(size=10)[school], rng.normal(size=30)[school * 3 + room], rng.normal(size=120)]
    )
    np.testing.assert_array_equal(between_within(exog, units, np.ones((120, 1))), [8, 8, 19, 89])


def test_without_random_effects_left_satterthwaite_has_the_residual_degrees():
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), 4)
    y = rng.normal(size=80)
    y -= pd.Series(y).groupby(groups).transform("mean").to_numpy()  # less alike within groups than by chance
    exog = np.column_stack([np.ones(80), rng.normal(size=80)])
    fit = fitted(y, exog, np.ones((80, 1)), groups)
    assert fit.cov_re[0, 0] < 1e-8
    np.testing.assert_allclose(satterthwaite(fit), 78, rtol=1e-6)


def test_a_rule_is_asked_by_name_and_others_are_refused():
    frame = case("correlated")
    imp = imputed([frame, frame])
    with pytest.raises(ModelError, match="dfcom is 'kenward', which MixedLM does not have") as caught:
        imp.fit("y ~ x", "mixedlm", groups="g", dfcom="kenward")
    assert "satterthwaite" in caught.value.lines["known"]
    with pytest.raises(ModelError, match="which OLS does not have"):
        imp.fit("y ~ x", dfcom="satterthwaite")
    near = imp.fit("y ~ x", "mixedlm", groups="g", dfcom="between-within")
    np.testing.assert_array_equal(near.df, imp.fit("y ~ x", "mixedlm", groups="g").df)


def test_tests_of_several_coefficients_have_the_fewest_degrees_of_these():
    rng = np.random.default_rng(2)
    sets = [case("correlated").assign(x=lambda d: d["x"] + 0.3 * rng.normal(size=len(d))) for _ in range(4)]
    res = imputed(sets).fit("y ~ x + w", "mixedlm", groups="g")
    n = len(sets[0])
    np.testing.assert_array_equal(res.fits.df_each[:3], [28, n - 31, 28])
    pair = res.t_test("x - w").pooled
    np.testing.assert_array_equal(pair.df_each, [28])
    large = imputed(sets).fit("y ~ x + w", "mixedlm", groups="g", dfcom=n - 31)
    assert res.wald_test("x = w = 0").df2 < large.wald_test("x = w = 0").df2
    given = imputed(sets).fit("y ~ x + w", "mixedlm", groups="g", dfcom=28)
    assert res.wald_test("x = w = 0").df2 == given.wald_test("x = w = 0").df2
    assert res.compare("y ~ 1", "D1").df2 == given.compare("y ~ 1", "D1").df2
    assert res.compare("y ~ w", "D1").df2 == large.compare("y ~ w", "D1").df2
    row = {"x": [1.0], "w": [0.5]}
    assert res.get_prediction(row).df.iloc[0] == given.get_prediction(row).df.iloc[0]

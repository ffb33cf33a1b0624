"""Scales: there and back, the delta method, R's pooled R², and areas under a curve."""

import numpy as np
import pytest
from scipy import stats

import mifit
from mifit.errors import PoolingError
from mifit.pooling.monte_carlo import decimals, fmi_limit, jackknife, recommended
from mifit.pooling.rubin import columns, each, pool, t_quantile
from mifit.pooling.scales import SCALES, adjusted, auc_delong, on_scale, pool_rsquared, scale_named
from support.references import CASES, models_of, read, read_long

INSIDE = {
    "identity": [-3.0, 0.0, 9.0],
    "log": [1e-6, 1.0, 1e6],
    "logit": [1e-6, 0.5, 0.999],
    "fisher": [-0.99, 0.0, 0.7],
    "cloglog": [0.01, 0.5, 0.99],
}


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_comes_back_and_its_slope_is_its_derivative(name):
    scale, x = SCALES[name], np.array(INSIDE[name])
    np.testing.assert_allclose(scale.backward(scale.forward(x)), x, rtol=1e-9, atol=1e-12)
    room = np.minimum(x - scale.low, scale.high - x)
    h = 1e-6 * np.where(np.isinf(room), 1.0, room)
    numeric = (scale.forward(x + h) - scale.forward(x - h)) / (2 * h)
    np.testing.assert_allclose(scale.slope(x) * np.ones_like(x), numeric, rtol=1e-5)


def test_figures_are_pooled_on_their_scale():
    p, variance = np.array([[0.1], [0.2], [0.15]]), np.full((3, 1), 0.002)
    found = on_scale(p, variance, scale_named("logit"), df_complete=50)
    moved = np.log(p / (1 - p))
    by_hand = pool(moved, (variance / (p * (1 - p)) ** 2)[:, :, None], 50)
    half = t_quantile(0.975, by_hand.df) * by_hand.std_error
    assert found.estimate == pytest.approx(1 / (1 + np.exp(-by_hand.params)))
    assert found.conf_low == pytest.approx(1 / (1 + np.exp(-(by_hand.params - half))))


def test_a_falling_scale_keeps_its_limits_in_order():
    found = on_scale(np.array([[0.7], [0.8]]), np.full((2, 1), 1e-4), scale_named("cloglog"))
    assert found.conf_low < found.estimate < found.conf_high


def test_what_has_no_scale_is_refused():
    with pytest.raises(PoolingError, match=r"unknown scale 'loigt' \(did you mean 'logit'\?\)"):
        scale_named("loigt")
    with pytest.raises(PoolingError, match="p-values are not pooled"):
        scale_named("pvalue")
    with pytest.raises(PoolingError, match="odds ratios are pooled on the log scale"):
        scale_named("odds ratio")
    with pytest.raises(PoolingError, match=r"'share' is 1 in set 1: the logit scale ends there \(0 to 1\)"):
        on_scale(np.array([[0.9], [1.0]]), np.ones((2, 1)), scale_named("logit"), names=["share"])
    with pytest.raises(PoolingError, match="R² has no Fisher z"):
        pool_rsquared(np.array([1.0, 0.9]), 50)


@pytest.mark.parametrize("name", [name for name in CASES if "r.squared" in read(name)[1]])
def test_rsquared_is_that_of_r(name):
    _, expected = read(name)
    for key in ("r.squared", "adj.r.squared"):
        wanted = expected[key]
        found = pool_rsquared(np.array(wanted["per_imputation"]), expected["n"])
        np.testing.assert_allclose(found.estimate[0], wanted["est"], rtol=1e-9)
        np.testing.assert_allclose(found.conf_low[0], wanted["signed"]["lo95"], rtol=1e-8)
        np.testing.assert_allclose(found.conf_high[0], wanted["signed"]["hi95"], rtol=1e-8)
        np.testing.assert_allclose(found.pooled.fmi[0], wanted["fmi"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CASES if "r.squared" in read(name)[1]])
def test_a_users_rsquared_is_that_of_r(name):
    case, expected = read(name)
    imp = mifit.from_long(read_long(name, case))
    res = imp.fit(case["formula"], **models_of(case)[0])
    frame = res.rsquared_frame()
    for row, key in (("R-squared", "r.squared"), ("Adj. R-squared", "adj.r.squared")):
        wanted = expected[key]
        limits = [wanted["signed"][end] for end in ("est", "lo95", "hi95")]
        np.testing.assert_allclose(frame.loc[row].iloc[:3], limits, rtol=1e-8)
        np.testing.assert_allclose(frame.loc[row, "fmi"], wanted["fmi"], rtol=1e-8, atol=1e-12)
    of_pooled = frame.loc["Adj. R-squared (of the pooled)", "estimate"]
    n, p = expected["n"], len(expected["pooled"])
    assert of_pooled == res.rsquared_adj == pytest.approx(1 - (1 - res.rsquared) * (n - 1) / (n - p))


def test_the_adjustment_of_rsquared_is_the_textbooks():
    assert adjusted(np.array(0.5), 101, 5) == pytest.approx(1 - 0.5 * 100 / 96)


def test_the_area_under_a_curve_counts_pairs_and_its_variance_is_that_of_a_bootstrap():
    rng = np.random.default_rng(0)
    y = (rng.random(200) < 0.4).astype(float)
    score = np.round(y + rng.normal(size=200), 1)  # ties
    yes, no = score[y == 1], score[y == 0]
    auc, variance = auc_delong(y, score)
    assert auc == pytest.approx(np.mean((yes[:, None] > no) + 0.5 * (yes[:, None] == no)))
    assert auc == pytest.approx(stats.mannwhitneyu(yes, no).statistic / len(yes) / len(no))
    again = []
    for _ in range(1500):
        one, other = rng.choice(yes, len(yes)), rng.choice(no, len(no))
        again.append(np.mean((one[:, None] > other) + 0.5 * (one[:, None] == other)))
    assert np.sqrt(variance) == pytest.approx(np.std(again), rel=0.1)  # at this seed; alarm below 1 in 1000
    with pytest.raises(PoolingError, match="too few"):
        auc_delong(np.array([0.0, 1, 1]), np.array([1.0, 2, 3]))


def test_figures_one_by_one_are_those_of_the_matrix():
    rng = np.random.default_rng(3)
    roots = rng.normal(size=(7, 4, 4))
    whole = pool(rng.normal(size=(7, 4)), roots @ roots.transpose(0, 2, 1), 33)
    single = each(whole.params, np.diag(whole.within), np.diag(whole.between), 7, 33)
    for name, values in columns(whole).items():
        np.testing.assert_allclose(columns(single)[name], values, err_msg=name)
    nothing = each(np.zeros(1), np.zeros(1), np.zeros(1), 7, 33)
    assert (nothing.std_error[0], nothing.df[0]) == (0.0, pytest.approx(33 * 34 / 36))


def test_von_hippels_rule_is_the_quadratic():
    gamma = np.array([0.05, 0.3, 0.8])
    upper = 1 / (1 + np.exp(-(np.log(gamma / (1 - gamma)) + 1.96 * np.sqrt(2 / 10))))
    np.testing.assert_allclose(fmi_limit(gamma, 10), upper)
    np.testing.assert_array_equal(recommended(gamma, 10, 0.1), np.maximum(np.ceil(1 + 0.5 * (upper / 0.1) ** 2), 2))
    assert np.isfinite(fmi_limit(np.array([0.0, 1.0]), 5)).all()


def test_an_error_supports_no_more_decimals_than_it_leaves_certain():
    np.testing.assert_array_equal(decimals(np.array([0.2, 0.0201, 0.02, np.nan])), [1, 1, 2, 8])


def test_infinite_degrees_of_freedom_have_no_monte_carlo_error():
    errors = jackknife(np.ones((4, 1)), np.ones((4, 1, 1)))
    assert {name: float(e[0]) for name, e in errors.items()} == dict.fromkeys(errors, 0.0)

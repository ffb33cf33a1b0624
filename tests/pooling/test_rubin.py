"""Pooling: Rubin's rules against hand figures, limits, and laws they obey."""

import numpy as np
import pytest

from mifit import PoolingError
from mifit.pooling.rubin import barnard_rubin, pool, rubin, t_pvalue, t_quantile


def pooled_with(m, w, b, df_complete):
    """Pool one coefficient whose estimates have variance b and whose variances are w."""
    spread = np.linspace(-1, 1, m)
    estimates = 3 + spread * np.sqrt(b / spread.var(ddof=1))
    return pool(estimates[:, None], np.full((m, 1, 1), float(w)), df_complete)


@pytest.mark.parametrize(
    ("m", "w", "b", "old", "share", "observed", "df"),
    [
        (5, 5, 2.5, 28.44, 0.375, 58.16, 19.10),
        (5, 1, 0.1, 348.4, 0.107, 83.09, 67.09),
        (20, 1, 0.1, 2104.3, 0.095, 84.22, 80.98),
        (20, 1, 0.5, 160.3, 0.344, 61.02, 44.20),
        (100, 1, 0.25, 2435.9, 0.202, 74.30, 72.10),
    ],
)
def test_hand_figures_of_the_degrees_of_freedom(m, w, b, old, share, observed, df):
    pooled = pooled_with(m, w, b, 95)
    assert pooled.lambda_ == pytest.approx(share, abs=5e-4)
    assert rubin(m, pooled.lambda_) == pytest.approx(old, rel=3e-4)
    assert (1 - pooled.lambda_) * 95 * 96 / 98 == pytest.approx(observed, abs=5e-3)
    assert pooled.df == pytest.approx(df, abs=6e-3)


def test_hand_figures_of_the_missing_information():
    assert pooled_with(5, 1, 0.5, np.inf).fmi == pytest.approx(0.4148, abs=5e-5)
    assert pooled_with(5, 1, 0.5, 95).fmi == pytest.approx(0.4316, abs=5e-5)


def test_pooling_follows_the_matrix_formulas():
    rng = np.random.default_rng(3)
    estimates = rng.normal(size=(7, 3))
    roots = rng.normal(size=(7, 3, 3))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    pooled = pool(estimates, covariances, 40.0)
    np.testing.assert_allclose(pooled.params, estimates.mean(axis=0))
    np.testing.assert_allclose(pooled.within, covariances.mean(axis=0))
    np.testing.assert_allclose(pooled.between, np.cov(estimates.T), atol=1e-14)
    np.testing.assert_allclose(pooled.total, pooled.within + (8 / 7) * pooled.between)
    np.testing.assert_allclose(pooled.lambda_, pooled.riv / (1 + pooled.riv))
    np.testing.assert_allclose(pooled.std_error**2, np.diag(pooled.total))
    np.testing.assert_allclose(pooled.mc_error, estimates.std(axis=0, ddof=1) / np.sqrt(7))


def test_copies_of_one_data_set_have_no_between_variance_at_all():
    pooled = pool(np.tile([0.1, 1e9 / 3], (7, 1)), np.tile(np.eye(2), (7, 1, 1)), 59)
    assert not pooled.between.any()
    assert not pooled.riv.any()
    np.testing.assert_array_equal(pooled.params, [0.1, 1e9 / 3])
    np.testing.assert_allclose(pooled.df, 59 * 60 / 62)
    np.testing.assert_allclose(pooled.fmi, 2 / (59 * 60 / 62 + 3))


def test_no_missing_information_and_no_end_of_rows_give_the_normal():
    pooled = pool(np.ones((2, 1)), np.ones((2, 1, 1)))
    assert np.isinf(pooled.df).all()
    assert pooled.fmi == [0.0]
    np.testing.assert_allclose(t_quantile(0.975, pooled.df), 1.959963984540054)
    np.testing.assert_allclose(t_pvalue(np.array([1.959963984540054]), pooled.df), 0.05)


def test_degrees_of_freedom_never_exceed_the_complete_data_and_fall_with_the_share():
    share = np.linspace(0, 1, 101)
    for m in (2, 5, 100):
        for complete in (1.0, 7.0, 95.0, 1e6):
            df = barnard_rubin(m, share, complete)
            assert (df <= complete).all()
            assert (np.diff(df) <= 0).all()
            assert df[-1] == 0
        np.testing.assert_array_equal(barnard_rubin(m, share), rubin(m, share))


def test_huge_samples_return_to_the_rule_of_1987():
    share = np.array([0.05, 0.3, 0.9])
    np.testing.assert_allclose(barnard_rubin(10, share, 1e12), rubin(10, share), rtol=1e-6)


def test_two_imputations_suffice():
    pooled = pool(np.array([[1.0], [2.0]]), np.ones((2, 1, 1)), 20)
    np.testing.assert_allclose(pooled.total, [[1.75]])
    assert 0 < pooled.df[0] < 20


def test_units_of_the_outcome_change_nothing_but_the_scale():
    rng = np.random.default_rng(5)
    estimates, variances = rng.normal(size=(5, 1)), rng.uniform(1, 2, size=(5, 1, 1))
    plain, scaled = pool(estimates, variances, 30), pool(1024 * estimates, 1024**2 * variances, 30)
    for figure in ("riv", "lambda_", "fmi", "df"):
        np.testing.assert_array_equal(getattr(plain, figure), getattr(scaled, figure))
    np.testing.assert_array_equal(1024 * plain.std_error, scaled.std_error)


def test_the_rule_of_1987_is_chosen_by_name():
    estimates, variances = np.array([[1.0], [2.0]]), np.ones((2, 1, 1))
    pooled = pool(estimates, variances, 20, df_method="rubin")
    np.testing.assert_allclose(pooled.df, 1 / pooled.lambda_**2)
    with pytest.raises(PoolingError, match=r"unknown df_method 'reiter'"):
        pool(estimates, variances, df_method="reiter")


def test_one_imputation_is_refused():
    with pytest.raises(PoolingError, match="at least 2 completed data sets, got 1"):
        pool(np.ones((1, 1)), np.ones((1, 1, 1)))
    with pytest.raises(PoolingError, match="at least 2"):
        rubin(1, np.array([0.5]))


def test_a_variance_of_zero_is_an_absent_level_not_a_certainty():
    covariances = np.tile(np.eye(2), (3, 1, 1))
    covariances[1, 1, 1] = 0
    with pytest.raises(PoolingError, match=r"'age\[T.60-99\]' has variance zero .*in 1 of 3 sets") as caught:
        pool(np.ones((3, 2)), covariances, names=["Intercept", "age[T.60-99]"])
    assert "imp[1]" in str(caught.value)


def test_figures_that_are_not_finite_are_refused_by_name():
    estimates = np.ones((3, 2))
    estimates[2, 0] = np.nan
    with pytest.raises(PoolingError, match="'x' has no finite estimate or variance in 1 of 3 sets"):
        pool(estimates, np.tile(np.eye(2), (3, 1, 1)), names=["x", "z"])


def test_no_degrees_of_freedom_left_is_refused():
    with pytest.raises(PoolingError, match="leave 0 degrees of freedom"):
        pool(np.ones((2, 1)), np.ones((2, 1, 1)), 0)


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(PoolingError, match="do not match"):
        pool(np.ones((3, 2)), np.ones((3, 1, 1)))


def test_quantiles_and_p_values_are_each_others_inverse():
    df = np.array([0.7, 1.0, 4.4, 95.0, 1e7, np.inf])
    for alpha in (0.5, 0.05, 1e-4):
        np.testing.assert_allclose(t_pvalue(t_quantile(1 - alpha / 2, df), df), alpha, rtol=1e-6)

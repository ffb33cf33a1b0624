"""Additive splines: lines where a predictor has few values or nothing bends, curves where it does."""

from __future__ import annotations

import numpy as np

from mifit.imputation.numerics.additive import additive


def test_predictors_of_few_values_are_fitted_by_weighted_least_squares():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(80), rng.integers(0, 2, 80), rng.integers(0, 3, 80)]).astype(float)
    y, w = rng.normal(size=80), rng.exponential(size=80)
    root = np.sqrt(w)
    expected = X @ np.linalg.lstsq(X * root[:, None], y * root, rcond=None)[0]
    np.testing.assert_allclose(additive(X, y, w).predict(X), expected, atol=1e-6)


def test_a_sum_of_curves_is_found_and_goes_on_as_a_line_beyond_the_outermost_knots():
    rng = np.random.default_rng(1)
    z = rng.uniform(-2, 2, (2000, 2))
    truth = z[:, 0] ** 2 + np.sin(1.5 * z[:, 1])
    X = np.column_stack([np.ones(2000), z])
    fit = additive(X, truth + rng.normal(0, 0.5, 2000), np.ones(2000))
    assert np.sqrt(np.mean((fit.predict(X) - truth) ** 2)) < 0.12
    far = np.column_stack([np.ones(5), np.linspace(2, 6, 5), np.zeros(5)])
    np.testing.assert_allclose(np.diff(fit.predict(far), 2), 0, atol=1e-8)


def test_where_nothing_bends_the_fit_is_nearly_the_line():
    rng = np.random.default_rng(2)
    x = rng.normal(size=500)
    X = np.column_stack([np.ones(500), x])
    y = 2 + 3 * x + rng.normal(size=500)
    line = X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert np.sqrt(np.mean((additive(X, y, np.ones(500)).predict(X) - line) ** 2)) < 0.12


def test_collinear_and_constant_columns_do_no_harm():
    x = np.linspace(-1, 1, 60)
    X = np.column_stack([np.ones(60), x, 2 * x, np.zeros(60)])
    assert np.abs(additive(X, x, np.ones(60)).predict(X) - x).max() < 1e-3

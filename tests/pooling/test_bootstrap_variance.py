"""Bootstrap, then impute: the variance is that of an analysis of variance, and unbiased where its parts are known."""

from __future__ import annotations

import numpy as np
import pytest

from mifit.errors import PoolingError
from mifit.pooling.bootstrap import pool_bootstrap


def test_the_figures_are_those_of_an_analysis_of_variance():
    rng = np.random.default_rng(1)
    B, M = 7, 3
    estimates = rng.normal(size=(B, M, 2)) + 2 * rng.normal(size=(B, 1, 2))
    found = pool_bootstrap(estimates)
    grand, means = estimates.mean(axis=(0, 1)), estimates.mean(axis=1)
    msb = M * ((means - grand) ** 2).sum(axis=0) / (B - 1)
    msw = ((estimates - means[:, None]) ** 2).sum(axis=(0, 1)) / (B * (M - 1))
    np.testing.assert_allclose(found.between, msb)
    np.testing.assert_allclose(found.within, msw)
    variance = (1 + 1 / B) * (msb - msw) / M + msw / (B * M)
    np.testing.assert_allclose(found.variance, variance)
    # Satterthwaite: the variance of a mean square is twice its square over its degrees of freedom
    of_msb, of_msw = (1 + 1 / B) / M, 1 / (B * M) - (1 + 1 / B) / M
    spread = of_msb**2 * 2 * msb**2 / (B - 1) + of_msw**2 * 2 * msw**2 / (B * (M - 1))
    np.testing.assert_allclose(found.df, 2 * variance**2 / spread)


def test_the_variance_is_unbiased_where_its_parts_are_known():
    # samples vary by 1, imputations by 4 around them: the mean of infinitely many imputations has variance 1
    rng = np.random.default_rng(2)
    B, M, many = 20, 2, 4000
    estimates = rng.normal(size=(B, 1, many)) + 2 * rng.normal(size=(B, M, many))
    found = pool_bootstrap(estimates)
    variance = np.where(np.isnan(found.variance), (found.between * (B + 1) / B - found.within) / M, found.variance)
    expected = 1 + 1 / B + 4 / (B * M)  # sampling; and the mean of the bootstrap estimates around its own limit
    assert abs(variance.mean() - expected) < 4 * variance.std() / np.sqrt(many)


def test_a_variance_that_is_not_positive_is_not_reported():
    found = pool_bootstrap(np.array([[[0.0], [10.0]], [[0.1], [9.9]]]))
    assert np.isnan(found.variance[0]) and np.isnan(found.df[0])


@pytest.mark.parametrize("shape", [(1, 2, 1), (2, 1, 1)])
def test_one_sample_or_one_imputation_is_refused(shape):
    with pytest.raises(PoolingError, match="both are at least 2"):
        pool_bootstrap(np.zeros(shape))

"""Calibration of probabilities: the prior where there are no rows, the truth where there are many."""

from __future__ import annotations

import numpy as np

from mifit.imputation.numerics.calibration import calibrated


def test_without_rows_the_draws_are_those_of_the_prior():
    rng = np.random.default_rng(0)
    none = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    draws = [calibrated(*none, rng) for _ in range(4000)]
    slopes, first = np.array([d.slope for d in draws]), np.array([d.intercepts[0] for d in draws])
    np.testing.assert_allclose([slopes.mean(), first.mean()], [1, 0], atol=0.05)
    np.testing.assert_allclose([slopes.std(), first.std()], [0.5, 1], rtol=0.06)


def test_what_was_distorted_is_found_again():
    rng = np.random.default_rng(1)
    said = np.log(rng.dirichlet([1.0, 1.0, 1.0], 30_000))
    eta = np.array([0.4, 0.0, -0.4]) + 0.6 * said
    truth = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    codes = (truth.cumsum(axis=1) < rng.random(30_000)[:, None]).sum(axis=1)
    found = calibrated(said, codes, rng)
    assert abs(found.slope - 0.6) < 0.04
    np.testing.assert_allclose(found.intercepts - found.intercepts.mean(), [0.4, 0.0, -0.4], atol=0.07)
    np.testing.assert_allclose(np.exp(found.log_probabilities(said)), truth, atol=0.03)


def test_the_spread_of_the_draws_is_that_of_the_posterior_on_a_grid():
    """Two levels, 40 rows: intercept and slope against a fine grid of the exact posterior."""
    rng = np.random.default_rng(2)
    p = np.clip(rng.random(40), 0.05, 0.95)
    codes = (rng.random(40) < p).astype(int)
    odds = np.log(p / (1 - p))
    a, b = np.meshgrid(np.linspace(-4, 4, 201), np.linspace(-1, 3, 201), indexing="ij")
    eta = a[..., None] + b[..., None] * odds
    log = (codes * eta - np.logaddexp(0, eta)).sum(axis=-1) - a**2 / 4 - (b - 1) ** 2 / 0.5  # a: of two N(0, 1)
    weight = np.exp(log - log.max()) / np.exp(log - log.max()).sum()
    mean = np.array([(weight * a).sum(), (weight * b).sum()])
    sd = np.sqrt([(weight * (a - mean[0]) ** 2).sum(), (weight * (b - mean[1]) ** 2).sum()])
    said = np.log(np.column_stack([1 - p, p]))
    draws = [calibrated(said, codes, rng) for _ in range(2000)]
    found = np.array([(d.intercepts[1] - d.intercepts[0], d.slope) for d in draws])
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.15)  # a normal approximation
    np.testing.assert_allclose(found.std(axis=0), sd, rtol=0.12)

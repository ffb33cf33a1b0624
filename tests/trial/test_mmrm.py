"""The MMRM: against R, against its own likelihood by brute force, and where subjects count twice or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import mifit.datasets
from mifit.trial.covariance import STRUCTURES, gradient, matrix, n_parameters, parameters
from mifit.trial.mmrm import Profiles, _score, _state, fit, log_likelihood, moments
from mifit.trial.posterior import posterior


def antidepressant(by_arm=False):
    """The trial of the published figures; coefficients: four means, four effects, four slopes of the baseline."""
    df = mifit.datasets.load("antidepressant")
    wide = df.pivot(index="PATIENT", columns="VISIT", values="CHANGE")
    each = df.drop_duplicates("PATIENT").set_index("PATIENT").loc[wide.index]
    arm = (each["THERAPY"] == "DRUG").to_numpy(dtype=float)
    design = np.zeros((len(wide), 4, 12))
    for k in range(4):
        design[:, k, k], design[:, k, 4 + k], design[:, k, 8 + k] = 1.0, arm, each["BASVAL"]
    return Profiles(design, wide.to_numpy(dtype=float), (arm if by_arm else 0 * arm).astype(int))


# nlme 3.1 gls(CHANGE ~ THERAPY*VISIT + BASVAL*VISIT, corSymm or corAR1(form=~t|PATIENT), varIdent(form=~1|VISIT))
@pytest.mark.parametrize(
    ("structure", "reml", "expected"),
    [("unstructured", True, -1747.101426), ("unstructured", False, -1741.303), ("ar1", True, -1760.788)],
)
def test_the_maximum_is_that_of_gls_in_r(structure, reml, expected):
    found = fit(antidepressant(), structure, reml=reml)
    assert found.converged
    constant = 0.5 * np.log(2 * np.pi) * (608 - 12 * reml)
    assert found.log_likelihood - constant == pytest.approx(expected, abs=5e-4)
    if structure == "unstructured":
        assert found.coef[4] == pytest.approx(0.091806446, abs=1e-7)
    if reml and structure == "unstructured":
        assert found.coef[7] - found.coef[4] == pytest.approx(-2.8936, abs=1e-4)  # where its optimizer stops


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("n_visits", [1, 2, 5])
def test_any_numbers_give_a_covariance_matrix_and_its_derivatives(structure, n_visits):
    theta = np.random.default_rng(3).normal(size=n_parameters(structure, n_visits))
    found = matrix(structure, theta, n_visits)
    assert np.linalg.eigvalsh(found).min() > 0
    steps = 1e-6 * np.eye(len(theta))
    near = [(matrix(structure, theta + s, n_visits) - matrix(structure, theta - s, n_visits)) / 2e-6 for s in steps]
    np.testing.assert_allclose(gradient(structure, theta, n_visits), near, atol=1e-7)
    assert matrix(structure, parameters(structure, found), n_visits).shape == found.shape


def test_a_toeplitz_matrix_has_one_correlation_for_each_distance():
    theta = np.array([0.0, 0.3, -0.2, 0.1, 0.8, -0.4, 0.3])
    found = matrix("toeplitz", theta, 4)
    sd = np.sqrt(np.diag(found))
    correlation = found / sd / sd[:, None]
    for distance in (1, 2, 3):
        assert np.ptp(np.diagonal(correlation, distance)) < 1e-14
    # partial autocorrelations by regression: of the second visit apart, given the one between
    direct = np.linalg.inv(correlation[:3, :3])
    assert -direct[0, 2] / np.sqrt(direct[0, 0] * direct[2, 2]) == pytest.approx(np.tanh(-0.4))


def test_the_likelihood_is_that_of_a_normal_distribution_summed_over_subjects():
    profiles = antidepressant()
    found = fit(profiles, reml=False)
    total = 0.0
    for x, y in zip(profiles.design, profiles.outcome, strict=True):
        seen = np.flatnonzero(~np.isnan(y))
        if len(seen):
            total += multivariate_normal.logpdf(y[seen], x[seen] @ found.coef, found.covariance[0][np.ix_(seen, seen)])
    assert found.log_likelihood - 304 * np.log(2 * np.pi) == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("reml", [True, False])
def test_the_score_is_the_slope_of_the_likelihood(structure, reml):
    profiles = antidepressant(by_arm=True)
    sums = moments(profiles)
    theta = fit(profiles, structure).theta + 0.1
    score, expected = _score(_state(theta, structure, sums, 4, reml), structure, sums, reml)
    steps = 1e-5 * np.eye(theta.size).reshape(theta.size, *theta.shape)
    near = [
        (log_likelihood(theta + s, structure, sums, 4, reml) - log_likelihood(theta - s, structure, sums, 4, reml))
        / 2e-5
        for s in steps
    ]
    np.testing.assert_allclose(score, near, rtol=1e-5, atol=1e-5)
    assert np.linalg.eigvalsh(expected).min() > 0


def test_weights_leave_subjects_out_and_count_them_twice():
    profiles = antidepressant()
    weights = np.ones(172)
    weights[[3, 70]], weights[[5, 6, 7]] = 0.0, 2.0
    rows = np.repeat(np.arange(172), weights.astype(int))
    alone = Profiles(profiles.design[rows], profiles.outcome[rows], profiles.group[rows])
    start = fit(profiles).theta
    np.testing.assert_allclose(fit(profiles, weights=weights, start=start).coef, fit(alone).coef, rtol=1e-7)


def test_data_that_do_not_determine_a_covariance_are_said_not_to_converge():
    outcome = np.random.default_rng(1).normal(size=(6, 2))
    outcome[:3, 0], outcome[3:, 1] = np.nan, np.nan  # no subject is seen at both visits
    design = np.tile(np.eye(2), (6, 1, 1))
    assert not fit(Profiles(design, outcome, np.zeros(6, dtype=int))).converged


@pytest.mark.parametrize("structure", ["unstructured", "ar1"])
def test_draws_have_the_known_posterior_where_nothing_is_missing(structure):
    # One visit: V is S over a chi-square with n - p degrees of freedom whatever the structure (Gelman et al. 2013).
    rng = np.random.default_rng(5)
    n, p = 25, 2
    design = np.concatenate([np.ones((n, 1, 1)), rng.normal(size=(n, 1, 1))], axis=2)
    profiles = Profiles(design, rng.normal(size=(n, 1)), np.zeros(n, dtype=int))
    coef, squares = np.linalg.lstsq(design[:, 0], profiles.outcome[:, 0], rcond=None)[:2]
    made = posterior(profiles, fit(profiles, structure))
    draws = [made.draw(np.random.default_rng([7, k])) for k in range(400)]
    precision = squares[0] / np.array([v[0, 0, 0] for _, v in draws])
    # mean n - p with standard deviation sqrt(2(n - p)); both within 4 Monte-Carlo errors (1 in 16,000 each)
    assert abs(precision.mean() - (n - p)) < 4 * np.sqrt(2 * (n - p) / 400)
    assert abs(precision.var() / (2 * (n - p)) - 1) < 4 * np.sqrt(2.6 / 400)
    scaled = np.array([b for b, _ in draws]) - coef
    expected = squares[0] / (n - p - 2) * np.linalg.inv(design[:, 0].T @ design[:, 0])
    assert np.all(np.abs(scaled.mean(axis=0)) < 4 * np.sqrt(np.diag(expected) / 400))
    assert np.all(np.abs(scaled.var(axis=0) / np.diag(expected) - 1) < 4 * np.sqrt(2.6 / 400))


def test_draws_of_an_unstructured_matrix_are_inverse_wishart_where_nothing_is_missing():
    rng = np.random.default_rng(6)
    n, size = 30, 3
    profiles = Profiles(np.tile(np.eye(size), (n, 1, 1)), rng.normal(size=(n, size)), np.zeros(n, dtype=int))
    residuals = profiles.outcome - profiles.outcome.mean(axis=0)
    made = posterior(profiles, fit(profiles))
    draws = np.array([made.draw(np.random.default_rng([8, k]))[1][0] for k in range(400)])
    # flat priors: inverse Wishart with n - 1 degrees of freedom, mean S / (n - 1 - size - 1)
    expected = residuals.T @ residuals / (n - 1 - size - 1)
    error = draws.std(axis=0) / np.sqrt(400)
    assert np.all(np.abs(draws.mean(axis=0) - expected) < 4 * error)
    inverse = np.linalg.inv(draws)  # Wishart: mean (n - 1) S^-1
    error = inverse.std(axis=0) / np.sqrt(400)
    assert np.all(np.abs(inverse.mean(axis=0) - (n - 1) * np.linalg.inv(residuals.T @ residuals)) < 4 * error)

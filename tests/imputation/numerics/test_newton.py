"""The one Newton: it climbs, it stops where it should, and units leave no trace."""

import functools

import numpy as np
import pytest

from mifit.imputation.methods.logistic import _bernoulli
from mifit.imputation.numerics.newton import draw, maximise, variances


def quadratic(centre, precision):
    """A log-likelihood with a known top; counts its calls."""
    calls = []

    def likelihood(theta):
        calls.append(theta)
        gap = centre - theta
        return -0.5 * gap @ precision @ gap, precision @ gap, -precision

    return likelihood, calls


def test_a_quadratic_is_climbed_in_one_step():
    precision = np.array([[4.0, 1.0], [1.0, 9.0]])
    likelihood, calls = quadratic(np.array([1.0, -2.0]), precision)
    peak = maximise(likelihood, np.zeros(2))
    assert peak.converged
    np.testing.assert_allclose(peak.estimate, [1.0, -2.0], rtol=1e-12)
    np.testing.assert_allclose(peak.root @ peak.root.T, precision, rtol=1e-12)
    assert len(calls) == 2


@pytest.mark.parametrize(("moved", "evaluations"), [(0.05, 1), (0.5, 2)])
def test_a_warm_start_takes_a_second_step_only_after_a_tenth_of_a_standard_error(moved, evaluations):
    likelihood, calls = quadratic(np.array([3.0]), np.array([[16.0]]))
    peak = maximise(likelihood, np.array([3.0 - moved / 4]), warm=True)
    assert peak.converged
    assert len(calls) == evaluations


def test_a_step_that_lowers_the_likelihood_is_halved():
    # log sech: Newton from 2 overshoots to -25 and beyond
    peak = maximise(lambda t: (-np.log(np.cosh(t[0])), -np.tanh(t), -np.diag(np.cosh(t) ** -2.0)), np.array([2.0]))
    assert peak.converged
    assert abs(peak.estimate[0]) < 1e-12


def test_a_likelihood_that_is_not_concave_at_the_start_is_climbed_all_the_same():
    # log density of a Cauchy is convex beyond 1
    def cauchy(t):
        square = 1 + t[0] ** 2
        return -np.log(square), -2 * t / square, np.array([[2 * (t[0] ** 2 - 1) / square**2]])

    peak = maximise(cauchy, np.array([5.0]))
    assert peak.converged
    assert abs(peak.estimate[0]) < 1e-10


def test_a_likelihood_without_a_top_does_not_converge():
    peak = maximise(lambda t: (t[0], np.ones(1), np.zeros((1, 1))), np.zeros(1))
    assert not peak.converged


def test_powers_of_two_in_the_units_change_no_bit():
    rng = np.random.default_rng(1)
    half = rng.standard_normal((6, 4))
    precision, centre, unit = half.T @ half, rng.standard_normal(4), 2.0 ** np.array([0, 30, -30, 7])
    plain = maximise(quadratic(centre, precision)[0], np.zeros(4))
    other = maximise(quadratic(centre / unit, precision * np.outer(unit, unit))[0], np.zeros(4))
    assert np.array_equal(plain.estimate, other.estimate * unit)
    seeds = (np.random.default_rng(2), np.random.default_rng(2))
    drawn = [draw(peak.estimate, peak.root, rng) for peak, rng in zip((plain, other), seeds, strict=True)]
    assert np.array_equal(drawn[0], drawn[1] * unit)


def test_draws_have_the_inverse_information_as_covariance():
    precision = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, -2.0], [0.5, -2.0, 3.0]])
    root, rng = np.linalg.cholesky(precision), np.random.default_rng(3)
    draws = np.array([draw(np.array([1.0, 2.0, 3.0]), root, rng) for _ in range(20_000)])
    wanted = np.linalg.inv(precision)
    np.testing.assert_allclose(variances(root), np.diag(wanted), rtol=1e-12)
    spread = np.sqrt((wanted**2 + np.outer(np.diag(wanted), np.diag(wanted))) / len(draws))
    # nine covariances and three means, five standard errors each: false alarm below 1e-5
    assert np.all(np.abs(np.cov(draws.T) - wanted) < 5 * spread)
    assert np.all(np.abs(draws.mean(axis=0) - [1, 2, 3]) < 5 * np.sqrt(np.diag(wanted) / len(draws)))


def test_a_rough_first_hessian_leads_to_the_same_top():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 3))
    y = (rng.random(4000) < 1 / (1 + np.exp(-X @ [1.0, -0.5, 0.2]))).astype(float)
    likelihood = _bernoulli(X, y, None, np.zeros(len(y)))
    top = maximise(likelihood, np.zeros(3)).estimate
    rough = functools.partial(likelihood, some=slice(None, None, 8))
    peak = maximise(likelihood, top + 0.02, warm=True, rough=rough)
    error = (peak.estimate - top) / np.sqrt(variances(peak.root))
    assert peak.converged
    assert np.abs(error).max() < 0.02
    # The Hessian of the peak is that of all rows
    np.testing.assert_allclose(peak.root @ peak.root.T, -likelihood(top)[2], rtol=0.02)


def test_a_rough_hessian_alone_is_never_the_last_word():
    likelihood, calls = quadratic(np.array([3.0]), np.array([[16.0]]))
    peak = maximise(likelihood, np.array([3.0]), warm=True, rough=likelihood)
    assert peak.converged
    assert len(calls) == 2


def logistic(n):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    y = (rng.random(n) < 1 / (1 + np.exp(-X @ [1.0, -0.5, 0.2]))).astype(float)
    return _bernoulli(X, y, None, None)


def counted(likelihood, calls, name):
    def evaluated(theta):
        calls.append(name)
        return likelihood(theta)

    return evaluated


@pytest.mark.parametrize(("moved", "order"), [(0.5, ["rough", "exact"]), (3.0, ["rough", "rough", "exact"])])
def test_one_exact_hessian_ends_a_warm_climb_that_began_with_rough_ones(moved, order):
    likelihood, calls = logistic(4000), []
    top = maximise(likelihood, np.zeros(3))
    start = top.estimate + moved * np.sqrt(variances(top.root))
    rough = counted(functools.partial(likelihood, some=slice(None, None, 8)), calls, "rough")
    peak = maximise(counted(likelihood, calls, "exact"), start, warm=True, rough=rough)
    assert calls == order
    assert peak.converged
    assert np.abs((peak.estimate - top.estimate) / np.sqrt(variances(top.root))).max() < 0.01

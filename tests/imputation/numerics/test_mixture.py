"""The Gibbs pass of a regression with a learned error law: against its priors, least squares, and other units."""

import numpy as np
import pytest
from scipy import stats

from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit, facts_of
from mifit.imputation.methods import Mixture, Normal
from mifit.imputation.numerics import mixture
from mifit.imputation.numerics.mixture import Law, first_law, gibbs_pass, score_test, shape_of
from support.known_parameters import LIMIT


def test_the_step_of_the_spread_keeps_the_prior():
    """Coefficients from the prior, errors given them, one step: the coefficients are as before (Geweke 2004)."""
    assert abs(_moved(2_500)).max() < LIMIT


def test_a_spread_step_with_another_prior_is_noticed(monkeypatch):
    monkeypatch.setattr(mixture, "_SLOPE_SD", 1.0)
    assert abs(_moved(2_500)).max() > 2 * LIMIT


def _moved(many):
    """Standard scores of what a step changes in the mean, the square and the fourth power of each coefficient."""
    rng = np.random.default_rng(5)
    before, after = np.empty((many, 2)), np.empty((many, 2))
    for k in range(many):
        Zs = rng.standard_normal((8, 2))
        mean, variance = 0.7 * rng.standard_normal(8), np.exp(rng.standard_normal(8))
        before[k] = 0.5 * rng.standard_normal(2)
        s = mixture.spread_of(Zs, before[k])
        e = s * (mean + np.sqrt(variance) * rng.standard_normal(8))
        after[k] = mixture._drawn_log_sd(Zs, e, mean, variance, before[k], rng)
    assert np.mean(before != after) > 0.3
    changes = np.column_stack([after**p - before**p for p in (1, 2, 4)])
    return changes.mean(axis=0) / (changes.std(axis=0) / np.sqrt(many))


def test_components_are_drawn_from_prior_times_likelihood():
    """Of one component: its mean and variance against a grid of normal likelihood, normal and inverse gamma priors."""
    rng = np.random.default_rng(6)
    u = np.concatenate([rng.normal(0.5, 1.2, 12), rng.normal(-3.0, 0.4, 30)])
    labels, rate = np.repeat([0, 1], [12, 30]), 0.8
    law = Law(np.full(2, 0.5), np.zeros(2), np.ones(2), rate, np.zeros(1), np.empty(0))
    drawn, moved = zip(*(mixture._components(u, labels, law, rng) for _ in range(20_000)), strict=True)
    means = np.array([one.mean[0] for one in drawn]) + np.array(moved)
    variances = np.array([one.variance[0] for one in drawn])
    m, v = np.meshgrid(np.linspace(-2, 4, 401), np.exp(np.linspace(-3, 4, 601)), indexing="ij")
    score = stats.norm(m[..., None], np.sqrt(v[..., None])).logpdf(u[:12]).sum(axis=-1)
    score += stats.norm(u.mean(), np.sqrt(v / 0.05)).logpdf(m) + stats.invgamma(2, scale=rate).logpdf(v) + np.log(v)
    mass = np.exp(score - score.max())
    for values, grid, axis in ((means, m[:, 0], 1), (variances, v[0], 0)):
        marginal = np.cumsum(mass.sum(axis=axis)) / mass.sum()
        assert (
            stats.kstest(values, lambda at, grid=grid, marginal=marginal: np.interp(at, grid, marginal)).pvalue > 1e-3
        )
    weights = np.array([one.weight[0] for one in drawn])
    assert stats.kstest(weights, stats.beta(12.3, 30.3).cdf).pvalue > 1e-3
    rates = np.array(
        [stats.gamma(4.5, scale=1 / (1.5 / u.var() + (1 / one.variance).sum())).cdf(one.rate) for one in drawn]
    )
    assert stats.kstest(rates, "uniform").pvalue > 1e-3
    centred = [abs(one.weight @ one.mean) for one in drawn[:100]]
    assert max(centred) < 1e-12


def regression(errors, n=300, seed=7):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    return X, X @ [1.0, 2.0, -1.0] + errors(rng, n)


def passes(X, z, many, log_sd_slope=0, seed=8):
    law, rng, found = first_law(X, z, np.arange(3), 5, log_sd_slope), np.random.default_rng(seed), []
    for number in range(many + 100):
        law, _ = gibbs_pass(X, z, X[:, 3 - log_sd_slope :], np.arange(3), law, rng)
        found += [law] if number >= 100 else []
    return found


def test_under_normal_errors_the_posterior_is_that_of_least_squares():
    X, z = regression(lambda rng, n: rng.standard_normal(n))
    coef = np.array([law.coef for law in passes(X, z, 4_000)])
    exact = np.linalg.inv(X.T @ X)
    beta = exact @ X.T @ z
    error = np.sqrt(np.diag(exact) * np.sum((z - X @ beta) ** 2) / (len(z) - 3))
    assert np.abs(coef.mean(axis=0) - beta).max() < 0.3 * error.min()
    assert np.abs(coef.std(axis=0) / error - 1.0).max() < 0.15


def test_outliers_and_skewness_do_not_move_the_mean_and_sharpen_the_slopes():
    X, z = regression(lambda rng, n: 2.0 * (rng.exponential(size=n) - 1.0))
    coef = np.array([law.coef for law in passes(X, z, 2_000)])
    least = np.sqrt(np.diag(np.linalg.inv(X.T @ X)) * 4.0)
    assert np.abs((coef.mean(axis=0) - [1.0, 2.0, -1.0]) / least).max() < 3.0
    assert (coef.std(axis=0)[1:] < 0.8 * least[1:]).all()


def test_a_spread_that_differs_is_found():
    rng = np.random.default_rng(9)
    X = np.column_stack([np.ones(500), rng.standard_normal((500, 2))])
    z = X @ [1.0, 2.0, -1.0] + np.exp(0.5 * X[:, 2]) * rng.standard_normal(500)
    log_sd_slope = np.mean([law.log_sd_slope for law in passes(X, z, 300, log_sd_slope=2)], axis=0)
    assert abs(log_sd_slope[0]) < 0.15
    assert abs(log_sd_slope[1] - 0.5) < 0.15


def test_units_do_not_matter():
    X, z = regression(lambda rng, n: rng.exponential(size=n))
    visit = Visit(z, X, np.arange(3), Kind.NUMERIC)
    other = Visit(1024.0 * z + 4096.0, X * [1.0, 2.0**20, 2.0**-20], np.arange(3), Kind.NUMERIC)
    method = Mixture(spread=True, columns=())
    one, two = (method.fit(v, np.random.default_rng(1)) for v in (visit, other))
    first, second = (f.sample(v.X, np.random.default_rng(2)) for f, v in ((one, visit), (two, other)))
    np.testing.assert_allclose(second, 1024.0 * first + 4096.0, rtol=1e-7)


def errors_of(kind, rng, n):
    found = {
        "normal": rng.standard_normal(n),
        "exponential": rng.exponential(size=n) - 1.0,
        "log-normal": np.exp(rng.standard_normal(n)) - np.exp(0.5),
        "t": rng.standard_t(3, size=n),
    }
    return found[kind]


@pytest.mark.parametrize("kind", ["normal", "exponential", "log-normal", "t"])
def test_errors_of_any_shape_do_not_pass_for_unequal_spread(kind):
    """Rejected at 1 %: expected 0.6 of 60 samples, more than 5 with probability 2e-5 if the size is right."""
    p_values, uneven = [], []
    for seed in range(60):
        rng = np.random.default_rng([13, seed])
        X = np.column_stack([np.ones(300), rng.standard_normal((300, 2))])
        e = errors_of(kind, rng, 300)
        for factor, found in ((1.0, p_values), (np.exp(0.7 * X[:, 1]), uneven)):
            z = X @ [0.0, 1.0, 1.0] + factor * e
            law = first_law(X, z, np.arange(3), 5)
            for _ in range(15):
                law, _ = gibbs_pass(X, z, X[:, :0], np.arange(3), law, rng)
            found.append(score_test(X, z, X[:, 1:], law)[0])
    assert np.sum(np.array(p_values) < 0.01) <= 5
    assert np.mean(np.array(uneven) < 0.01) > 0.8


def test_the_shape_of_residuals_is_tested_as_elsewhere():
    u = np.random.default_rng(3).exponential(size=200)
    found, known = shape_of(u), stats.jarque_bera(u)
    assert found.p_value == pytest.approx(known.pvalue)
    assert (found.skewness, found.tails) == (pytest.approx(stats.skew(u)), pytest.approx(stats.kurtosis(u)))


def test_the_mixture_offers_what_a_normal_does_given_its_components():
    assert facts_of(Mixture()).offers == facts_of(Normal()).offers._replace(components=True)

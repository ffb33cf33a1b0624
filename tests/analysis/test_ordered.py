"""The information of ordered models against finite differences of an independent likelihood, and against R."""

import numpy as np
import pytest
import scipy.stats

import mifit
from mifit.analysis.ordered import information
from support.references import read, read_long


def loglik(parameters, codes, exog, distribution):
    """Log-likelihood from scipy's own distribution functions."""
    p = exog.shape[1]
    cdf = {"logit": scipy.stats.logistic, "probit": scipy.stats.norm}[distribution].cdf
    ends = np.concatenate([[-np.inf], parameters[p:], [np.inf]])
    linear = exog @ parameters[:p]
    return np.log(cdf(ends[codes + 1] - linear) - cdf(ends[codes] - linear)).sum()


@pytest.mark.parametrize("distribution", ["logit", "probit"])
def test_the_information_is_minus_the_second_derivative_of_the_likelihood(distribution):
    rng = np.random.default_rng(4)
    exog, codes = rng.normal(size=(80, 2)), rng.integers(0, 4, 80)
    at, h = np.array([0.4, -0.3, -1.0, 0.2, 1.1]), 1e-4
    steps = h * np.eye(5)
    wanted = np.empty((5, 5))
    for i, a in enumerate(steps):
        for j, b in enumerate(steps):
            signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
            corners = [s * loglik(at + u * a + v * b, codes, exog, distribution) for u, v, s in signs]
            wanted[i, j] = -sum(corners) / (4 * h**2)
    found = information(codes, exog, exog @ at[:2], at[2:], distribution)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_with_two_levels_it_is_that_of_a_logistic_regression():
    rng = np.random.default_rng(5)
    exog, codes = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    slopes, cut = np.array([0.7, -0.2]), np.array([0.3])
    chance = scipy.stats.logistic.cdf(exog @ slopes - cut)
    design = np.column_stack([exog, -np.ones(50)])
    wanted = design.T @ (design * (chance * (1 - chance))[:, None])
    np.testing.assert_allclose(information(codes, exog, exog @ slopes, cut, "logit"), wanted, rtol=1e-12)


def test_standard_errors_of_every_set_are_those_of_r_to_seven_digits():
    case, expected = read("polr")
    res = mifit.from_long(read_long("polr", case)).fit(case["formula"], "ordinal", distr="logit")
    theirs = expected["per_imputation"]
    order = [theirs["terms"].index(name) for name in res.fits.names]
    mine = np.sqrt(np.diagonal(res.fits.covariances, axis1=1, axis2=2))
    np.testing.assert_allclose(mine, np.array(theirs["std.error"])[:, order], rtol=2e-7)

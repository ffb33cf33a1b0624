"""Penalties for rare levels and separation: Firth's against published figures, the shared prior against its theory."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
from scipy.special import expit

import mifit
from mifit import PlanError
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.logistic import Logistic, _bernoulli
from mifit.imputation.methods.multinomial import Multinomial, _firth
from mifit.imputation.methods.ordinal import Ordinal
from mifit.imputation.numerics.newton import maximise
from mifit.imputation.numerics.shrinkage import shared, shrunk
from support.references import stored


def endometrial():
    """The 79 women of Heinze and Schemper (2002), and the figures of R's brglm2."""
    firth = stored("firth")
    return pd.read_csv(firth / "endometrial.csv"), json.loads((firth / "expected.json").read_text())


def visit(y, X, kind=Kind.BINARY, levels=2, terms=None):
    """A visit of all rows."""
    terms = np.arange(X.shape[1]) if terms is None else terms
    return Visit(np.asarray(y, dtype=float), X, terms, kind, n_levels=levels)


def test_firths_logistic_regression_gives_the_published_figures():
    data, expected = endometrial()
    X = np.column_stack([np.ones(79), data[["NV", "PI", "EH"]]])
    fitted = Logistic(firth=True).fit(visit(data["HG"], X), np.random.default_rng(1))
    np.testing.assert_allclose(fitted.warm[0], expected["binary"], rtol=1e-6)
    # Heinze and Schemper (2002), table II
    np.testing.assert_allclose(fitted.warm[0].round(2), [3.77, 2.93, -0.03, -2.60])
    draws = [Logistic(firth=True).fit(visit(data["HG"], X), np.random.default_rng(k)).coef[1] for k in range(1000)]
    # the sd of 1000 draws is within 10 % of its expectation but for a false alarm below 1e-4
    assert abs(np.std(draws) / expected["binary_se"][1] - 1) < 0.1


def test_firths_multinomial_regression_gives_the_figures_of_r():
    data, expected = endometrial()
    grade = np.where(data["HG"] == 1, 0, np.where(data["EH"] > 1.5, 1, 2))
    X = np.column_stack([np.ones(79), data[["NV", "PI"]]])
    fitted = Multinomial(firth=True).fit(visit(grade, X, Kind.NOMINAL, 3), np.random.default_rng(1))
    np.testing.assert_allclose(fitted.warm[0].reshape(2, 3), expected["multinomial"], rtol=1e-5)
    assert fitted.events == ()


def test_firths_multinomial_of_two_levels_is_the_logistic_one():
    data, expected = endometrial()
    X = np.column_stack([np.ones(79), data[["NV", "PI", "EH"]]])
    fitted = Multinomial(firth=True).fit(visit(data["HG"], X), np.random.default_rng(1))
    np.testing.assert_allclose(fitted.warm[0], expected["binary"], rtol=1e-6)


def test_the_score_of_firths_multinomial_likelihood_is_its_slope():
    rng = np.random.default_rng(2)
    X, position = np.column_stack([np.ones(40), rng.normal(size=(40, 2))]), rng.integers(0, 4, 40)
    likelihood, theta, step = _firth(X, position, 4), 0.3 * rng.normal(size=9), 1e-5
    slope = [(likelihood(theta + step * e)[0] - likelihood(theta - step * e)[0]) / (2 * step) for e in np.eye(9)]
    np.testing.assert_allclose(likelihood(theta)[1], slope, rtol=1e-6, atol=1e-7)


def rare(n=400, seed=3):
    """A binary outcome and a category of 12 levels of which most are rare; true effects have sd 0.7."""
    rng = np.random.default_rng(seed)
    code = rng.choice(12, n, p=np.array([20, 20, 15, 15, 10, 8, 4, 3, 2, 1, 1, 1]) / 100)
    effect = np.append(0.0, 0.7 * rng.normal(size=11))
    X = np.column_stack([np.ones(n), *(code == k for k in range(1, 12))]).astype(float)
    return (rng.random(n) < expit(effect[code])).astype(float), X, np.array([0] + [1] * 11), effect


def test_a_shared_prior_has_the_mode_and_the_variance_of_its_own_equations():
    y, X, terms, _ = rare()
    likelihood = _bernoulli(X, y, None, np.zeros(len(y)))
    peak, variance = shrunk(likelihood, np.zeros(12), shared(terms))

    def minus(theta):
        linear = X @ theta
        return np.sum(np.logaddexp(0, linear)) - y @ linear + theta[1:] @ theta[1:] / (2 * variance[0])

    found = scipy.optimize.minimize(minus, np.zeros(12), method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(peak.estimate, found.x, atol=2e-3)
    p = expit(X @ peak.estimate)
    curvature = (X * (p * (1 - p))[:, None]).T @ X + np.diag([0.0] + [1 / variance[0]] * 11)
    moments = peak.estimate[1:] ** 2 + np.linalg.inv(curvature).diagonal()[1:]
    np.testing.assert_allclose(variance[0], moments.mean(), rtol=0.02)


def test_rare_levels_borrow_strength():
    worse = 0.0
    for seed in range(20):
        y, X, terms, effect = rare(seed=seed)
        peak, _ = shrunk(_bernoulli(X, y, None, np.zeros(len(y))), np.zeros(12), shared(terms))
        plain = Logistic().fit(visit(y, X, terms=terms), np.random.default_rng(1)).warm[0]
        error = [np.mean((theta[1:] - effect[1:]) ** 2) for theta in (peak.estimate, plain)]
        worse += error[0] < error[1]
    assert worse >= 15  # of 20 frames; by chance alone with probability 0.02


def test_two_ordered_levels_are_shrunk_as_the_same_two_in_a_logistic_regression():
    y, X, terms, _ = rare(seed=3)
    logistic = Logistic(shrink=True).fit(visit(y, X, terms=terms), np.random.default_rng(1)).warm
    ordinal = Ordinal(shrink=True).fit(visit(y, X, Kind.ORDINAL, terms=terms), np.random.default_rng(1)).warm
    slopes = len(logistic[0]) - 1
    np.testing.assert_allclose(ordinal[0][:slopes], logistic[0][1:], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ordinal[0][slopes], -logistic[0][0], rtol=1e-4)  # the cut point is minus the constant
    np.testing.assert_allclose(ordinal[4], logistic[4], rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*but imputed independently")  # the ordered column is made of the other
def test_ordered_levels_with_rare_predictor_levels_are_drawn_and_the_prior_is_said():
    frame = levels()
    frame["o"] = pd.Categorical(frame["g"], list("pqr"), ordered=True)
    imp = frame.mice.impute(m=2, rng=1, iterations=5, methods={"o": mifit.Ordinal(shrink=True)})
    assert not any(f.isna().any().any() for f in imp)
    events = imp.events
    assert events.loc[events["variable"] == "o", "event"].str.contains("common normal prior").any()


def test_without_levels_that_share_a_term_nothing_is_shrunk():
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(100), rng.normal(size=(100, 2))])
    y = (rng.random(100) < 0.4).astype(float)
    one, other = (m.fit(visit(y, X), np.random.default_rng(1)) for m in (Logistic(shrink=True), Logistic()))
    np.testing.assert_array_equal(one.coef, other.coef)
    assert maximise(_bernoulli(X, y, None, np.zeros(len(y))), np.zeros(3)).converged


def levels(n=300, seed=5):
    """A binary and a nominal column with missing values, and a category with rare levels that separates."""
    rng = np.random.default_rng(seed)
    site = np.array([f"s{k}" for k in range(9)])[rng.choice(9, n, p=[0.3, 0.3, 0.2, 0.1, 0.04, 0.03, 0.01, 0.01, 0.01])]
    frame = pd.DataFrame({"site": site, "z": rng.normal(size=n)})
    frame["b"] = np.where((rng.random(n) < 0.4) | np.isin(site, ["s7", "s8"]), "yes", "no")
    frame["g"] = np.array(["p", "q", "r"])[rng.choice(3, n, p=[0.6, 0.35, 0.05])]
    frame["y"] = frame["z"] + (frame["b"] == "yes") + rng.normal(size=n)
    for name in ("b", "g"):
        frame[name] = frame[name].mask(rng.random(n) < 0.25)
    return frame


CHOICES = {
    "augmented": ({}, "augmented"),
    "firth": ({"b": mifit.Logistic(firth=True), "g": mifit.Multinomial(firth=True)}, None),
    "shrunk": ({"b": mifit.Logistic(shrink=True), "g": mifit.Multinomial(shrink=True)}, "common normal prior"),
}


@pytest.mark.parametrize("formula", [None, "y ~ z + b", "y ~ b + site"])
@pytest.mark.parametrize("choice", CHOICES)
def test_every_penalty_completes_a_separated_frame_and_says_what_it_did(choice, formula):
    methods, said = CHOICES[choice]
    frame = levels()
    imp = frame.mice.impute(formula, m=2, rng=1, iterations=5, methods=methods)
    assert not any(f.isna().any().any() for f in imp)
    if said and (formula is None or "site" in formula or choice == "shrunk"):
        assert said in " ".join(imp.events["event"])


@pytest.mark.parametrize("method", [mifit.Logistic, mifit.Multinomial])
def test_two_penalties_at_once_are_refused(method):
    with pytest.raises(PlanError, match="two penalties"):
        method(firth=True, shrink=True)

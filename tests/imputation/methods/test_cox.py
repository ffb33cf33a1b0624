"""Cox's model: estimates, baseline and acceptance against PHReg and hand loops."""

import numpy as np
import pytest
import statsmodels.api as sm

from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods import cox
from mifit.imputation.methods.cox import Cox, CoxFitted, Times, nelson_aalen, partial_peak


def fit(method, X, seed=1):
    """Fit to all rows; the outcome is their number."""
    visit = Visit(np.arange(len(X), dtype=float), X, np.arange(X.shape[1]), Kind.NUMERIC)
    return method.fit(visit, np.random.default_rng(seed))


def survival(seed=0, n=300):
    """Tied times, censoring, strata, and entries that never fall on an event time."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    event = np.ceil(6 * rng.exponential(1 / np.exp(X @ [0.5, -0.3, 0.2])))
    ended = np.ceil(rng.exponential(8, n))
    time = np.minimum(event, ended)
    entry = np.minimum(np.where(rng.random(n) < 0.5, 0.0, rng.integers(0, 3, n) + 0.5), time - 0.5)
    return X, time, (event <= ended).astype(float), entry, rng.integers(0, 3, n)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_cox_estimates_and_covariance_equal_phreg(ties, late, split):
    X, time, event, entry, strata = survival()
    entry, strata = (entry if late else None), (strata if split else None)
    truth = sm.PHReg(time, X, event, entry=entry, strata=strata, ties=ties).fit(disp=0)
    times = Times.of(time, event, entry, strata)
    found = fit(Cox(ties).bound(times), X)
    np.testing.assert_allclose(found.warm[0], truth.params, rtol=1e-6, atol=1e-8)
    peak = partial_peak(times, X, ties)
    np.testing.assert_allclose(np.linalg.inv(peak.root @ peak.root.T), truth.cov_params(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("split", [False, True])
def test_the_baseline_at_the_drawn_coefficients_equals_a_hand_loop(late, split):
    X, time, event, entry, strata = survival(1)
    entry = entry if late else np.full(len(time), -1.0)
    strata = strata if split else np.zeros(len(time))
    found = fit(Cox().bound(Times.of(time, event, entry if late else None, strata)), X)
    weight, hand = np.exp(X @ found.coef), np.zeros(len(time))
    plain = np.zeros(len(time))
    for i in range(len(time)):
        same = strata == strata[i]
        for t in np.unique(time[(event == 1) & same]):
            if entry[i] < t <= time[i]:
                risk, deaths = same & (entry < t) & (time >= t), np.sum(event[same & (time == t)])
                hand[i] += deaths / weight[risk].sum()
                plain[i] += deaths / risk.sum()
    np.testing.assert_allclose(found.hazard, hand, rtol=1e-10)
    hazard = nelson_aalen(time, event, entry if late else None, strata if split else None)
    np.testing.assert_allclose(hazard, plain, rtol=1e-10, atol=1e-14)


def test_cox_keeps_small_risk_sets_next_to_huge_ones():
    rng = np.random.default_rng(0)
    x = np.sort(rng.normal(size=200))[::-1]
    time = np.arange(200) + 1.0
    linear = 30 * x  # the first to die weigh e^60 times the last
    fitted = Cox().bound(Times.of(time, np.ones(200)))
    hazard = cox._baseline(fitted.sets, fitted.times, np.exp(linear))
    hand = np.cumsum(1 / np.array([np.exp(linear[i:]).sum() for i in range(200)]))
    np.testing.assert_allclose(hazard, hand, rtol=1e-12)


def test_cox_acceptance_equals_the_formula():
    hazard, event = np.array([0.0, 0.2, 0.7, 3.0]), np.array([0.0, 1.0, 0.0, 1.0])
    fitted = CoxFitted(np.zeros(1), hazard, event, None)
    linear = np.array([0.5, 1.2, -0.3, 2.0])
    u = hazard * np.exp(linear)
    hand = np.where(event > 0, np.log(np.maximum(u, 1e-300)) + 1 - u, -u)
    found = fitted.log_accept(np.arange(4.0), linear)
    np.testing.assert_allclose(found, hand, rtol=1e-12)
    assert np.all(found <= 0)
    assert fitted.log_accept(np.array([1.0]), np.array([-np.log(0.2)]))[0] == pytest.approx(0.0, abs=1e-12)

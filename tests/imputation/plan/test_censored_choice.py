"""The model of a censored number: its likelihood knows what was cut off."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import optimize, stats

import mifit
from mifit.frame.table import read
from mifit.imputation.plan.censored_choice import _likelihood, normal_or_power_censored

SHAPES = {
    "normal": lambda rng, z: 3 + 0.5 * z + rng.normal(size=len(z)),
    "log-normal": lambda rng, z: np.exp(0.4 * z + 0.6 * rng.normal(size=len(z))),
    "gamma": lambda rng, z: rng.gamma(3, np.exp(0.3 * z)),
    "log-normal, negative": lambda rng, z: -np.exp(0.4 * z + 0.6 * rng.normal(size=len(z))),
}


def censored(shape, side, seed, n=400):
    """A number that is not seen below its 30 % quantile, or above that of 75 %."""
    rng = np.random.default_rng([seed, 11])
    z = rng.normal(size=n)
    x = SHAPES[shape](rng, z)
    limit = np.quantile(x, 0.3 if side == "low" else 0.75)
    gone = x < limit if side == "low" else x > limit
    y = 1 + x + 0.5 * z + rng.normal(size=n)
    full = pd.DataFrame({"y": y, "x": x, "z": z})
    return full, full.assign(x=full["x"].mask(gone)), limit


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_the_shape_is_that_of_all_values_seen_and_unseen(shape, side):
    found = []
    for seed in range(8):
        _, frame, limit = censored(shape, side, seed)
        ends = (np.full(400, -np.inf), np.full(400, limit)) if side == "low" else (
            np.full(400, limit), np.full(400, np.inf))  # fmt: skip
        found.append(normal_or_power_censored(read(frame), "x", ["z"], ends)[0])
    # a normal is taken for another where chance adds 3 to its log-likelihood: once in 70 frames by Wilks
    assert found.count("norm" if shape == "normal" else "power") >= 7, found


def test_the_likelihood_is_that_of_tobit():
    rng = np.random.default_rng(12)
    X = np.column_stack([np.ones(200), rng.normal(size=200)])
    y = 1 + X[:, 1] + rng.normal(size=200)
    low, high, seen = y.copy(), y.copy(), (y > 0.5) & (y < 2.5)
    low[y < 0.5], high[y < 0.5] = -np.inf, 0.5
    low[y > 2.5], high[y > 2.5] = 2.5, 4.0

    def lost(theta):
        law = stats.norm(X @ theta[:2], np.exp(theta[2]))
        between = law.cdf(high) - law.cdf(low)
        return -np.sum(np.where(seen, law.logpdf(y), np.log(np.where(seen, 1.0, between))))

    best = optimize.minimize(lost, [1.0, 1.0, 0.0], method="BFGS")
    assert _likelihood(X, low, high, seen) == pytest.approx(-best.fun, abs=1e-3)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_units_do_not_matter(unit):
    _, frame, limit = censored("gamma", "low", 1)
    ends = np.full(400, -np.inf), np.full(400, limit)
    one = normal_or_power_censored(read(frame), "x", ["z"], ends)
    other = normal_or_power_censored(read(frame.assign(x=unit * frame["x"])), "x", ["z"], (ends[0], unit * ends[1]))
    assert one == other


def test_a_skewed_column_below_its_limit_of_detection_keeps_its_slope():
    # As a normal it went down by 14 %, with draws below 0. Monte-Carlo error of the mean: 0.4 %.
    ratio = []
    for seed in range(6):
        full, frame, limit = censored("log-normal", "low", seed)
        imp = mifit.impute(
            frame.assign(limit=limit), "y ~ x + z", censored={"x": (None, "limit")}, m=3, rng=seed, iterations=6
        )
        assert imp.plan["x"].label == "power"
        gone = frame["x"].isna()
        assert all(one["x"][gone].between(0, limit).all() for one in imp)
        ratio.append(imp.fit("y ~ x + z").params["x"] / smf.ols("y ~ x + z", full).fit().params["x"])
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


def test_columns_that_tell_too_little_are_normal():
    few = pd.DataFrame({"x": [*np.arange(12.0), *[np.nan] * 8]})
    ends = np.full(20, 11.0), np.full(20, np.inf)
    assert normal_or_power_censored(read(few), "x", [], ends)[0] == "norm"
    below = pd.DataFrame({"x": [*np.exp(np.linspace(0, 3, 40)), *[np.nan] * 8]})
    assert normal_or_power_censored(read(below), "x", [], (np.full(48, -np.inf), np.zeros(48)))[0] == "norm"

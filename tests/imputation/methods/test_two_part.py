"""Columns with a spike, and proportions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.logit_normal import LogitNormal
from mifit.imputation.methods.two_part import TwoPart
from mifit.imputation.sampler.samplers import draw_proposed


def spiked(n=400, seed=0, limit=0.0, side=1.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = limit + side * np.where(rng.random(n) < 0.35, 0.0, np.exp(0.3 * z + 0.6 * rng.normal(size=n)))
    y = 1 + 0.7 * x + 0.5 * z + 0.5 * x * z + 1.2 * rng.normal(size=n)
    gone = rng.random(n) < 1 / (1 + np.exp(0.6 - 0.7 * (y - y.mean()) / y.std()))
    return pd.DataFrame({"y": y, "x": x, "z": z}), gone


@pytest.mark.parametrize(("limit", "side"), [(0.0, 1.0), (5.0, 1.0), (90.0, -1.0)])
def test_a_spike_at_an_end_is_drawn_in_two_parts_by_default(limit, side):
    full, gone = spiked(limit=limit, side=side)
    imp = full.assign(x=full["x"].mask(gone)).mice.impute("y ~ x * z", m=2, rng=1, iterations=5)
    assert imp.plan["x"].label == "two-part" and f"are {limit:g}" in imp.plan["x"].why
    drawn = imp[0]["x"][gone]
    assert 0.1 < (drawn == limit).mean() < 0.6 and (side * (drawn - limit) >= 0).all()


def test_what_is_heaped_or_has_few_values_or_a_spike_in_the_middle_is_left_as_it_is():
    rng = np.random.default_rng(0)
    ages = 5.0 * rng.integers(1, 19, 500) + np.where(rng.random(500) < 0.3, rng.integers(-2, 3, 500), 0) + 0.5
    few = rng.choice([0.0, 0.5, 1.5, 2.5], 500, p=[0.4, 0.3, 0.2, 0.1])
    middle = np.where(rng.random(500) < 0.3, 0.0, rng.normal(size=500))
    for x in (ages, few, middle):
        df = pd.DataFrame({"y": x + rng.normal(size=500), "x": np.where(rng.random(500) < 0.2, np.nan, x)})
        assert df.mice.plan("y ~ x")["x"].label != "two-part"


class Normal:
    """A likelihood term: y given x is normal around x."""

    def __init__(self, y):
        self.y = y

    def log_accept(self, at, values):
        return -0.5 * (self.y[at] - values) ** 2


def test_both_parts_are_judged_as_an_integral_says():
    """The share of zeros given y, and the mean of the others, against numerical integration of the drawn parts."""
    rng = np.random.default_rng(3)
    x = np.where(rng.random(500) < 0.35, 0.0, rng.gamma(3.0, 0.7, 500))
    fitted = TwoPart().tuned(x).fit(Visit(x, np.ones((500, 1)), np.arange(1), Kind.NUMERIC), rng)
    log_p = fitted.elsewhere.log_probabilities(np.ones((1, 1)))[0]
    n = 40_000
    for y in (0.5, 2.0):
        drawn = draw_proposed(fitted, np.ones((n, 1)), [Normal(np.full(n, y))], np.zeros(n), rng).values
        grid = np.linspace(1e-4, 15, 60_001)
        weight = np.exp(fitted.rest.log_density(grid, np.ones((len(grid), 1)))) * stats.norm.pdf(y, grid)
        there = integrate.trapezoid(weight, grid)
        zero = np.exp(log_p[0]) * stats.norm.pdf(y)
        share = zero / (zero + np.exp(log_p[1]) * there)
        assert abs(np.mean(drawn == 0) - share) < 4 * np.sqrt(share * (1 - share) / n) + 1e-3
        assert abs(drawn[drawn > 0].mean() - integrate.trapezoid(grid * weight, grid) / there) < 0.03


def test_bounds_are_kept_and_all_zeros_or_none_do_no_harm():
    full, gone = spiked()
    df = full.assign(x=full["x"].mask(gone))
    imp = df.mice.impute("y ~ x * z", bounds={"x": (0, 20)}, methods={"x": "two-part"}, m=2, rng=1, iterations=3)
    assert imp[0]["x"].between(0, 20).all()
    rng = np.random.default_rng(0)
    for x in (np.zeros(30), rng.gamma(2.0, 1.0, 30)):
        drawn = TwoPart().fit(Visit(x, np.ones((30, 1)), np.arange(1), Kind.NUMERIC), rng).sample(np.ones((9, 1)), rng)
        assert np.isfinite(drawn).all()


def test_a_study_with_two_parts_is_kept_in_a_file(tmp_path):
    full, gone = spiked()
    imp = full.assign(x=full["x"].mask(gone)).mice.impute("y ~ x * z", m=2, rng=1, iterations=3)
    imp.save(tmp_path / "study.mifit")
    assert mifit.load(tmp_path / "study.mifit").extend(m=3)[2].equals(imp.extend(m=3)[2])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::mifit.errors.ConvergenceWarning")
def test_the_bias_of_an_interaction_with_a_spiked_covariate_is_small():
    """60 frames: Monte-Carlo error .01 for the interaction, .5 in truth."""
    away = []
    for seed in range(60):
        full, gone = spiked(500, seed)
        X = np.column_stack([np.ones(500), full["x"], full["z"], full["x"] * full["z"]])
        imp = full.assign(x=full["x"].mask(gone)).mice.impute("y ~ x * z", m=5, rng=seed, iterations=20)
        away.append(imp.fit().params.to_numpy() - np.linalg.lstsq(X, full["y"], rcond=None)[0])
    assert np.abs(np.mean(away, axis=0)).max() < 0.05


def test_proportions_stay_between_their_ends_and_have_the_density_they_say():
    rng = np.random.default_rng(4)
    z = rng.normal(size=600)
    x = 1 / (1 + np.exp(-(0.8 * z + rng.normal(size=600))))
    X = np.column_stack([np.ones(600), z])
    fitted = LogitNormal().fit(Visit(x, X, np.arange(2), Kind.NUMERIC), rng)
    drawn = fitted.sample(X, rng)
    assert ((drawn > 0) & (drawn < 1)).all()
    row = X[:1]
    total = integrate.quad(lambda v: float(np.exp(fitted.log_density(np.array([v]), row)[0])), 1e-9, 1 - 1e-9)[0]
    assert abs(total - 1) < 1e-4
    df = pd.DataFrame({"x": np.where(rng.random(600) < 0.3, np.nan, x), "z": z})
    df["y"] = 2 * x + z + rng.normal(0, 0.5, 600)
    imp = df.mice.impute("y ~ x + z", methods={"x": "logit-normal"}, m=5, rng=1)
    assert all(one["x"].between(0, 1).all() for one in imp)
    assert abs(imp.fit().params["x"] - 2) < 0.35


def test_proportions_that_reach_an_end_are_drawn_with_ends_a_little_farther_out():
    tuned = LogitNormal().tuned(np.array([0.0, 0.3, 1.0]))
    assert tuned.low < 0 < 1 < tuned.high and tuned.high - 1 < 0.2
    assert LogitNormal().tuned(np.array([0.2, 0.3])) == LogitNormal()
    with pytest.raises(mifit.PlanError):
        LogitNormal(low=2.0)

"""Fits that go on from the last one: two steps, the first by the curvature found before."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import approx_fprime

from mifit.formula.question import ask
from mifit.frame.kinds import Kind
from mifit.frame.masks import Mask
from mifit.frame.table import read
from mifit.imputation.methods.logistic import Logistic, _Bernoulli, _bernoulli
from mifit.imputation.methods.multinomial import Multinomial, _Categorical, _categorical
from mifit.imputation.methods.ordinal import Ordinal, _Cumulative, _cumulative
from mifit.imputation.numerics.fit import WarmStart, repeated
from mifit.imputation.numerics.newton import again, maximise, variances
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.runs import run
from mifit.imputation.seed import Seed
from support.discrete import OWN, estimates, fit, frame, visit
from support.made import make

METHODS = [Logistic(), Multinomial(), Ordinal()]


def concave(method, y, X, weights=None, offset=None):
    """The log-likelihood that is climbed, and the one that fits go on with."""
    codes = y.astype(np.int64)
    if isinstance(method, Logistic):
        return _bernoulli(X, y, None, offset, weights), _Bernoulli(X, y, offset, weights)
    if isinstance(method, Multinomial):
        return _categorical(X, codes, 4, None, weights), _Categorical(X, codes, 4, weights)
    known = np.zeros(len(y)) if offset is None else offset
    seen = dataclasses.replace(visit(y, X, Kind.ORDINAL), weights=weights, offset=offset)
    return _cumulative(X[:, 1:], codes, 4, None, known, weights), _Cumulative(X, codes, 4, seen)


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_slope_and_curve_are_the_derivatives_of_the_log_likelihood(method, heavy):
    y, X = frame(OWN[type(method)], n=300)
    rng = np.random.default_rng(2)
    weights = rng.uniform(0.2, 3.0, 300) if heavy else None
    offset = rng.normal(size=300) if heavy and not isinstance(method, Multinomial) else None
    climbed, short = concave(method, y, X, weights, offset)
    theta = fit(method, y, X).warm.estimate + 0.1
    gradient, hessian = short.curve(theta)
    np.testing.assert_allclose(short.slope(theta), gradient, rtol=1e-12)
    near = approx_fprime(theta, lambda t: climbed(t)[0], 1e-6)
    np.testing.assert_allclose(gradient, near, rtol=1e-3, atol=0.01)
    _, wanted, bend = climbed(theta)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hessian, bend, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_two_steps_find_the_top_of_almost_the_same_data(method):
    y, X = frame(OWN[type(method)])
    left = fit(method, y, X).warm
    moved = X.copy()
    moved[:150, 1] = np.random.default_rng(5).standard_normal(150)
    climbed, short = concave(method, y, moved)
    top = maximise(climbed, left.estimate)
    apart = (top.estimate - left.estimate) / np.sqrt(variances(top.root))
    assert np.sqrt(np.mean(apart**2)) > 0.5  # there is a way to go
    peak = again(short, left.estimate, left.root)
    assert peak.converged
    assert np.abs((peak.estimate - top.estimate) / np.sqrt(variances(top.root))).max() < 0.01
    np.testing.assert_allclose(variances(peak.root), variances(top.root), rtol=0.02)


def test_a_long_second_step_is_left_to_a_climb():
    y, X = frame(Kind.BINARY)
    left = fit(Logistic(), y, X).warm
    assert again(_Bernoulli(X, 1 - y, None, None), left.estimate, left.root) is None
    other = fit(Logistic(), 1 - y, X, warm=left)
    error = (other.warm.estimate + left.estimate) / np.sqrt(variances(left.root))
    assert np.abs(error).max() < 0.01


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_units_leave_no_trace_in_a_fit_that_goes_on(method):
    y, X = frame(OWN[type(method)])
    unit = np.exp2([0, 30, -30, 7])
    drawn = []
    for scale in (np.ones(4), unit):
        left = fit(method, y, X * scale).warm
        moved = X * scale
        moved[:100, 1] = np.random.default_rng(5).standard_normal(100) * scale[1]
        found = fit(method, y, moved, warm=left)
        assert found.warm.root is not None
        drawn.append(found.coef.T * scale)
    assert np.array_equal(*drawn)


def test_more_rows_than_before_have_more_information():
    y, X = frame(Kind.BINARY)
    left = fit(Logistic(), y[:200], X[:200]).warm
    peak = repeated(left, X.shape, 2, 2, lambda: _Bernoulli(X, y, None, None))
    assert peak is not None  # with the curvature of a few rows the first step would be several times too long
    assert again(_Bernoulli(X, y, None, None), left.estimate, left.root) is None
    then = left.then(peak, len(y))
    np.testing.assert_allclose(then.yardstick * len(y), left.yardstick * 200)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_what_the_last_fit_could_not_know_is_found_out_anew(method):
    y, X = frame(OWN[type(method)])
    wide = np.column_stack([X, np.random.default_rng(3).standard_normal(len(y))])
    left = fit(method, y, wide).warm
    twin = np.column_stack([X, X[:, 1] - X[:, 2]])
    found = fit(method, y, twin, warm=left)
    assert found.dropped == (4,)
    np.testing.assert_allclose(estimates(method, found), estimates(method, fit(method, y, X)), rtol=1e-5, atol=1e-6)
    some = y != y.max()
    gone = fit(method, y[some], wide[some], warm=left)
    assert "never drawn" in gone.events[0]


def held(data, questions=(), **options):
    """An engine for some data."""
    table = read(data)
    plan, known = make(table, [ask(q, table, model="logit") for q in questions], Options(**options), {})
    return Engine(known, plan), known, plan


def with_holes(n, share, seed=4, together=False):
    """Two numbers and a binary, with missing values; in the same rows, if asked for."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    data = pd.DataFrame({"b": (rng.random(n) < 1 / (1 + np.exp(-x))).astype(int), "x": x, "z": z})
    gone = np.repeat(rng.random((n, 1)), 2, axis=1) if together else rng.random((n, 2))
    data[["b", "x"]] = data[["b", "x"]].mask(gone < share)
    return data


def test_finished_chains_hold_little_more_than_the_holes():
    rng = np.random.default_rng(1)
    wide = pd.DataFrame((rng.random((2_000, 40)) < 0.5).astype(int), columns=[f"b{k}" for k in range(40)])
    engine, known, plan = held(wide.mask(rng.random(wide.shape) < 0.01))
    chain = run(known, plan, [0], 2, Seed(1))[0]
    assert engine.room == 1_024
    assert all(left.root is None and left.yardstick is None for left in chain.warm.values())
    again_ = run(known, plan, [0], 2, Seed(1), before=run(known, plan, [0], 1, Seed(1)))[0]
    assert all(np.array_equal(values, again_.imputed[name]) for name, values in chain.imputed.items())
    small = run(*held(with_holes(300, 0.2))[1:], [0], 2, Seed(1))[0]
    assert small.warm["b"].root.shape == (3, 3)


def test_the_opening_is_that_of_a_fit_on_complete_rows():
    data = with_holes(400, 0.2)
    engine, _, _ = held(data)
    rows = data.notna().all(axis=1)
    fitted = sm.Logit(data["b"][rows], sm.add_constant(data[["x", "z"]][rows])).fit(disp=0)
    places = engine.own["b"].columns
    slopes = engine.opening["b"].estimate / engine.layout.scale[places]
    by_name = {engine.layout.label(place): slope for place, slope in zip(places, slopes, strict=True)}
    np.testing.assert_allclose([by_name["x"], by_name["z"]], fitted.params[["x", "z"]], rtol=1e-6)
    assert engine.opening["b"].n_fit == rows.sum()
    seen, _, _ = held(data, ignore=Mask.of(np.arange(400) < 100))
    assert seen.opening["b"].n_fit == rows[100:].sum()


def test_a_separation_of_the_complete_rows_alone_is_forgotten():
    rng = np.random.default_rng(5)
    g, z = rng.choice(list("abc"), 600, p=[0.6, 0.34, 0.06]), rng.normal(size=600)
    b = (rng.random(600) < np.where(g == "c", 0.35, 0.5)).astype(float)
    x = rng.normal(size=600) + b
    x[(rng.random(600) < 0.15) | ((g == "c") & (b == 1))] = np.nan
    b[rng.random(600) < 0.1] = np.nan
    data = pd.DataFrame({"x": x, "z": z, "g": pd.Categorical(g), "b": b})
    assert data.dropna().groupby("g", observed=True)["b"].max()["c"] == 0  # there; not among all rows
    engine, known, plan = held(data)
    assert "b" not in engine.opening
    assert not any("separation" in event for event in run(known, plan, [0], 5, Seed(1))[0].events)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("questions", [[], ["b ~ x + z"]])
def test_a_chain_is_the_same_whatever_ran_before_it(questions, together):
    _, known, plan = held(with_holes(300, 0.3, together=together), questions)
    both, alone = run(known, plan, [0, 1], 3, Seed(1))[1], run(known, plan, [1], 3, Seed(1))[0]
    assert both.events == alone.events
    assert all(np.array_equal(values, alone.imputed[name]) for name, values in both.imputed.items())
    for key, left in both.warm.items():
        if isinstance(left, WarmStart):
            assert all(np.array_equal(*pair) for pair in zip(left, alone.warm[key], strict=True))


def test_near_copies_missing_together_are_judged_alike_by_every_chain():
    rng = np.random.default_rng(6)
    x, q = rng.normal(size=(2, 300))
    b = (rng.random(300) < 1 / (1 + np.exp(-x + q))).astype(float)
    gone = rng.random(300) < 0.3
    near = x + np.sqrt(1e-11 * (1 + 0.6 * rng.random())) * rng.normal(size=300)
    data = pd.DataFrame({"q": q, "x": x, "near": near, "b": b})
    data.loc[gone, ["x", "near", "b"]] = np.nan
    _, known, plan = held(data)
    both, alone = run(known, plan, [0, 1], 3, Seed(1))[1], run(known, plan, [1], 3, Seed(1))[0]
    assert all(np.array_equal(values, alone.imputed[name]) for name, values in both.imputed.items())

"""Fits that go on from the last one: two steps, the first by the curvature found before."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import approx_fprime
from test_methods_discrete import OWN, estimates, fit, frame, visit

from mifit.formula.question import ask
from mifit.frame.kinds import Kind
from mifit.frame.table import read
from mifit.impute.chain import Seed
from mifit.impute.methods.logistic import Logistic, _Bernoulli, _bernoulli
from mifit.impute.methods.multinomial import Multinomial, _Categorical, _categorical
from mifit.impute.methods.ordinal import Ordinal, _Cumulative, _cumulative
from mifit.impute.newton import again, maximise, variances
from mifit.impute.planning import make
from mifit.impute.runs import run
from mifit.impute.separation import Left, repeated
from mifit.impute.wishes import Wishes

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


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_curvature_larger_than_a_column_is_not_kept(method):
    y, X = frame(OWN[type(method)], n=200)
    wide = np.column_stack([X, np.random.default_rng(3).standard_normal((200, 12))])
    small, large = fit(method, y, X).warm, fit(method, y, wide).warm
    assert isinstance(large, Left)
    assert small.root.size <= 200 < len(large.estimate) ** 2
    assert large.root is None
    assert fit(method, y, wide, warm=large).warm.root is None


def test_a_chain_is_the_same_whether_or_not_it_found_the_opening():
    y, X = frame(Kind.BINARY, n=300)
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": y, "x": X[:, 1], "b": (X[:, 2] > 0).astype(int), "z": X[:, 3]})
    data = data.mask(rng.random(data.shape) < [0.0, 0.2, 0.2, 0.0])
    for questions in ([], ["y ~ x * b + z"]):
        table = read(data)
        plan, known = make(table, [ask(q, table, model="logit") for q in questions], Wishes(), {})
        both = run(known, plan, [0, 1], 4, Seed(1))
        alone = run(known, plan, [1], 4, Seed(1))
        for name, values in alone[0].holes.items():
            assert np.array_equal(values, both[1].holes[name])
        assert both[0].events.keys() == alone[0].events.keys()

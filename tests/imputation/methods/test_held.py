"""A given coefficient: the fit of the others is that with an offset, and the sampler's target is that of a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_expit
from scipy.stats import kstest, norm

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods import METHODS
from mifit.imputation.methods.held import Held, Moved, can_hold
from mifit.imputation.plan.not_at_random import Departure, departed
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.first_fill import start
from mifit.imputation.sampler.samplers import draw
from mifit.workflow.sensitivity import _placed


def visit(kind, y, X):
    return Visit(y, X, np.arange(X.shape[1]), kind, 2 if kind is Kind.BINARY else 0)


def made(kind, n=4000):
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(n), rng.normal(size=n), rng.normal(size=n)])
    linear = X @ [0.3, 0.7, -0.4]
    y = {
        Kind.NUMERIC: lambda: linear + rng.normal(size=n), Kind.BINARY: lambda: (rng.random(n) < expit(linear)) * 1.0,
        Kind.COUNT: lambda: rng.poisson(np.exp(linear)) * 1.0,
    }[kind]()  # fmt: skip
    return y, X


@pytest.mark.parametrize(("label", "kind"), [("norm", "NUMERIC"), ("logistic", "BINARY"), ("poisson", "COUNT")])
def test_the_other_coefficients_are_fitted_given_this_one(label, kind):
    y, X = made(Kind[kind])
    fitted = Held(METHODS[label], 0.7, 1).fit(visit(Kind[kind], y, X), np.random.default_rng(2))
    unit, centre = getattr(fitted, "scale", 1.0), getattr(fitted, "centre", 0.0)
    coef = fitted.coef * unit + np.array([centre, 0, 0])
    assert coef[1] == pytest.approx(0.7, rel=1e-12)
    np.testing.assert_allclose(coef, [0.3, 0.7, -0.4], atol=4 * 2.5 / np.sqrt(4000))
    other = Held(METHODS[label], 0.0, 1).fit(visit(Kind[kind], y, X), np.random.default_rng(2))
    alone = METHODS[label].fit(visit(Kind[kind], y, X[:, [0, 2]]), np.random.default_rng(2))
    np.testing.assert_allclose(other.coef, np.insert(alone.coef, 1, 0.0))


def test_a_column_that_is_not_there_changes_nothing():
    y, X = made(Kind.NUMERIC)
    one = Held(METHODS["norm"], 0.7, 9).fit(visit(Kind.NUMERIC, y, X), np.random.default_rng(2))
    assert np.array_equal(one.coef, METHODS["norm"].fit(visit(Kind.NUMERIC, y, X), np.random.default_rng(2)).coef)


def test_methods_without_an_offset_cannot_hold():
    assert [name for name in METHODS if can_hold(METHODS[name])] == ["norm", "logistic", "poisson"]


def test_moved_draws_are_those_of_the_method_and_a_step():
    y, X = made(Kind.NUMERIC, 200)
    X[:, 2] = 0.0
    new = np.column_stack([np.ones(50), np.zeros(50), np.ones(50)])
    moved = Moved(METHODS["pmm"], 2.5, 0.0, 2).fit(visit(Kind.NUMERIC, y, X), np.random.default_rng(3))
    plain = METHODS["pmm"].fit(visit(Kind.NUMERIC, y, X[:, :2]), np.random.default_rng(3))
    rng = np.random.default_rng(4), np.random.default_rng(4)
    np.testing.assert_allclose(moved.sample(new, rng[0]), plain.sample(new[:, :2], rng[1]) + 2.5)


def test_draws_under_a_selection_have_the_density_of_a_grid():
    # own model x given z, the analysis y ~ x*z + x**2 with log(y) as outcome, and the odds of being missing
    rng = np.random.default_rng(6)
    n, phi = 60, 1.3
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = np.exp(0.5 * x * z + 0.4 * x**2 - 0.3 * x + 0.7 * rng.normal(size=n))
    df = mifit.datasets.load("airquality").head(n)[[]].assign(x=np.where(np.arange(n) < 8, np.nan, x), z=z, y=y)
    imp = df.mice.impute("np.log(y) ~ x*z + I(x**2)", m=2, rng=1)
    record = imp._record
    table, plan = departed(record.table.drawn, record.plan, [Departure("x", "selection", phi)], _placed)
    state = ChainState(Engine(table, plan), None)
    start(state, np.random.default_rng(7))
    state.sweep(np.random.default_rng(8), 1)
    visited = state.visit(state.engine.variables["x"], np.random.default_rng(9))
    own, X = state.widened(visited.own, "x")
    terms = list(visited.terms)
    layout = state.engine.layout

    def raw(fitted, model, columns):
        """Coefficients in the user's units: columns are functions of x and the row."""
        unit = getattr(fitted, "scale", 1.0)
        slope = unit * fitted.coef / layout.scale[model.columns]
        names = [layout.label(place) for place in model.columns]
        constant = getattr(fitted, "centre", 0.0) - float(slope @ layout.centre[model.columns])
        return lambda x, i: constant + sum(b * columns[name](x, i) for b, name in zip(slope, names, strict=True))

    columns = {
        "Intercept": lambda x, i: np.ones_like(x), "constant": lambda x, i: np.ones_like(x), "x": lambda x, i: x,
        "z": lambda x, i: z[i] + 0 * x, "x:z": lambda x, i: x * z[i], "I(x ** 2)": lambda x, i: x**2,
        "y": lambda x, i: y[i] + 0 * x,
    }  # fmt: skip
    runtimes = state.engine.feeds["x"]
    analysis, selection = (raw(term.fitted, r.model, columns) for term, r in zip(terms, runtimes, strict=True))
    points = np.linspace(-9, 9, 4001)
    mean, sd = own.mean_sd(X)
    # the coefficient of x in the odds is the one that was given
    assert np.ptp(np.diff(selection(points, 0)) / np.diff(points) - phi) < 1e-9
    many = 4000
    for i in (0, 3, 6):
        log = norm.logpdf(points, mean[i], sd) + log_expit(selection(points, i))
        log += norm.logpdf(np.log(y[i]), analysis(points, i), terms[0].fitted.scale * terms[0].fitted.residual_sd)
        mass = np.cumsum(np.exp(log - log.max()))
        cdf = mass / mass[-1]
        drawn = [
            draw(visited.choice, own, X, terms, None, state.values["x"][:8], np.random.default_rng([i, k]))
            for k in range(many // 8)
        ]
        values = np.array([one.values[i] for one in drawn])
        # one test in 1,000 fails by chance
        assert kstest(values, lambda q, cdf=cdf: np.interp(q, points, cdf)).pvalue > 0.001

"""Draws of a variable that feeds a factor whose errors are a mixture of normals, against a grid."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.methods.mixture import MixtureFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.methods.power import PowerFitted, PowerScale
from mifit.imputation.numerics.mixture import Law
from mifit.imputation.plan.options import Options
from mifit.imputation.plan.sampler_choice import Choice, Sampler
from mifit.imputation.sampler import mixture_term
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.likelihood_terms import LikelihoodTerm
from mifit.imputation.sampler.mixture_term import MixtureTerm
from mifit.imputation.sampler.samplers import draw_continuous
from mifit.imputation.sampler.visit import Response
from support.coefficients import coefficients
from support.made import make

DRAWS = 50_000
Z = 0.7  # of the row that is repeated
WEIGHT, MEAN, VARIANCE = np.array([0.5, 0.3, 0.2]), np.array([-0.6, 0.2, 1.2]), np.array([0.04, 0.5, 2.0])
UNEVEN = {"even": {}, "with z": {"Intercept": 0.2, "z": 0.5}, "with x": {"Intercept": -1.0, "x": 0.35}}
TERMS = {"x": ("x", "x", 0.8, lambda v: v), "x by z": ("x:z", "x:z", 1.2, lambda v: v * Z),
         "log x": ("np.log(x)", "np.log(x)", 1.5, np.log)}  # fmt: skip


def log_mixture(u):
    """Log density of the errors, by hand."""
    each = [w * stats.norm(m, np.sqrt(v)).pdf(u) for w, m, v in zip(WEIGHT, MEAN, VARIANCE, strict=True)]
    return np.log(np.sum(each, axis=0))


def own_model(name, layout, model):
    """The own model of x, and its log density by hand."""
    if name == "norm":
        return NormalFitted(coefficients(layout, model, {"Intercept": 2.5, "z": 0.5}), 1.0, 0.0, 1.0), stats.norm(
            2.5 + 0.5 * Z, 1.0
        ).logpdf
    if name == "mixture":
        coef = coefficients(layout, model, {"Intercept": 2.5, "z": 0.5})
        log_sd_slope = coefficients(layout, model, {"Intercept": 0.1, "z": 0.3})
        law = MixtureFitted(coef, Law(WEIGHT, MEAN, VARIANCE, 1.0, coef, np.empty(0)), log_sd_slope, 0.0, 1.0)
        size = np.exp(0.1 + 0.3 * Z)
        return law, lambda v: log_mixture((v - 2.5 - 0.5 * Z) / size) - np.log(size)
    coef = coefficients(layout, model, {"Intercept": 0.4, "z": 0.3})

    def log_density(v):
        u = v / 2.0
        return stats.norm(0.4 + 0.3 * Z, 0.6).logpdf(2 * (np.sqrt(u) - 1)) - 0.5 * np.log(u)

    return PowerFitted(coef, 0.6, 0.0, 1.0, 0.5, PowerScale(True, 0.0, 2.0), 0.5), log_density


class Seat(NamedTuple):
    """One missing value of x, repeated beside 200 complete rows: its own model and a factor that it feeds."""

    own: Any
    X: Any
    affine: bool


def seat(term, own, uneven="even"):
    """The seat, the term under the mixture, whether it is multiplied, and the log density by hand."""
    formula, label, slope, by_hand = TERMS[term]
    slopes, rng = UNEVEN[uneven], np.random.default_rng(1)
    z = np.concatenate([rng.standard_normal(200), np.full(DRAWS, Z)])
    x = np.concatenate([np.abs(3 + rng.standard_normal(200)) + 0.05, np.full(DRAWS, np.nan)])
    table = read(pd.DataFrame({"y": 1.0 + np.arange(DRAWS + 200.0), "x": x, "z": z}))
    plan, table = make(table, [ask(f"y ~ z + {formula}", table, scope={"np": np})], Options(), {})
    engine = Engine(table, plan)
    values = {name: column.values.copy() for name, column in table.columns.items()}
    values["x"][200:] = 3.0
    store, ready = engine.new_store(values), engine.factors[0]
    coef = coefficients(engine.layout, ready.model, {"Intercept": 0.2, "z": 0.4, label: slope})
    log_sd_slope = coefficients(engine.layout, ready.model, slopes) if slopes else None
    fitted = MixtureFitted(coef, Law(WEIGHT, MEAN, VARIANCE, 1.0, coef, np.empty(0)), log_sd_slope, 0.0, 1.0)
    plain = LikelihoodTerm.of_factor(fitted, ready.model, store, "x", Response(np.full(DRAWS + 200, 2.5)))
    made, own_density = own_model(own, engine.layout, engine.own["x"])
    affine = engine.affine(ready, "x")

    def log_target(v, times=1):
        with np.errstate(all="ignore"):
            linear = 0.2 + 0.4 * Z + slope * by_hand(v)
            log_s = slopes.get("Intercept", 0.0) + slopes.get("z", 0.0) * Z + slopes.get("x", 0.0) * v
            score = own_density(v) + times * (log_mixture((2.5 - linear) / np.exp(log_s)) - log_s)
        return np.where(np.isnan(score), -np.inf, score)

    found = Seat(made, store.gathered("x")[:, engine.own["x"].columns], affine)
    return found, MixtureTerm.of(plain, ready.model, store, "x"), affine and own in ("norm", "mixture"), log_target


def settled(found, terms, multiplied, rounds=1, seed=3):
    """Draws after some visits, from one value in all rows."""
    rng, values = np.random.default_rng(seed), np.full(DRAWS, 3.0)
    for _ in range(rounds):
        labelled = isinstance(found.own, MixtureFitted)
        sampler = Sampler.GRID if found.affine is False or any(term.moving for term in terms) else Sampler.METROPOLIS
        choice = Choice(sampler, True, tuple(multiplied), labelled, all(multiplied))
        drawn = draw_continuous(found.own, found.X, terms, choice, values, rng)
        values = drawn.values
    return drawn


def fits(values, log_target):
    """Kolmogorov and Smirnov's p-value: false alarm 1e-3 each where it is compared with that."""
    grid = np.linspace(-6.0, 30.0, 40_001)
    score = log_target(grid)
    density = np.exp(score - score.max())
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return stats.kstest(values, lambda v: np.interp(v, grid, mass / mass[-1])).pvalue


CASES = [(term, own) for term in ("x", "x by z", "log x") for own in ("norm", "power, root")]


@pytest.mark.parametrize("uneven", ["even", "with z"])
@pytest.mark.parametrize(("term", "own"), CASES)
def test_a_draw_has_the_density_of_its_own_model_times_the_mixture(term, own, uneven):
    found, bench, normal, log_target = seat(term, own, uneven)
    drawn = settled(found, [bench], [normal], 1 if normal else 5)
    assert normal == (own == "norm" and term != "log x")
    assert (drawn.tried == 0) == normal
    assert fits(drawn.values, log_target) > 1e-3


@pytest.mark.parametrize("own", ["norm", "power, root"])
def test_steps_reach_the_density_where_the_spread_changes_with_the_variable(own):
    found, bench, normal, log_target = seat("x", own, "with x")
    assert bench.moving
    assert fits(settled(found, [bench], [normal], rounds=40).values, log_target) > 1e-3


@pytest.mark.parametrize(("term", "uneven"), [("x", "even"), ("x", "with x"), ("log x", "even")])
def test_an_own_model_with_a_learned_law_is_multiplied(term, uneven):
    found, bench, normal, log_target = seat(term, "mixture", uneven)
    assert normal == (term == "x")
    assert fits(settled(found, [bench], [normal], rounds=40).values, log_target) > 1e-3


def test_an_own_model_with_a_learned_law_draws_alone():
    found, _, _, log_target = seat("x", "mixture")
    drawn = found.own.sample(found.X, np.random.default_rng(5))
    assert fits(drawn, lambda v: log_target(v, 0)) > 1e-3
    density = found.own.log_density(np.linspace(-3.0, 9.0, len(found.X)), found.X)
    np.testing.assert_allclose(density, log_target(np.linspace(-3.0, 9.0, len(found.X)), 0), atol=1e-9)


@pytest.mark.parametrize("second", [True, False], ids=["multiplied", "waits"])
def test_two_mixtures_are_multiplied(second):
    found, bench, _, log_target = seat("x", "norm")
    drawn = settled(found, [bench, bench], [True, second], rounds=40)
    assert fits(drawn.values, lambda v: log_target(v, 2)) > 1e-3


def test_the_score_of_a_value_is_its_density_less_a_bound_of_it():
    _, bench, _, _ = seat("x", "norm", "with z")
    at, values = np.zeros(400, dtype=np.int64), np.linspace(-5.0, 12.0, 400)
    score = bench.log_accept(at, values)
    log_s = 0.2 + 0.5 * Z
    by_hand = log_mixture((2.5 - 0.2 - 0.4 * Z - 0.8 * values) / np.exp(log_s))
    np.testing.assert_allclose(score - score[0], by_hand - by_hand[0], atol=1e-9)
    assert score.max() <= 0.0


def test_a_mixture_that_is_drawn_wrongly_is_noticed(monkeypatch):
    found, bench, _, log_target = seat("x", "norm")
    moving, term, _, moving_target = seat("x", "norm", "with x")
    shares, given = MixtureTerm._shares, MixtureTerm._given

    def without_the_variable(self, slope, middle, spread, size):
        return shares(self, slope, middle, 0.0 * np.asarray(spread), size)

    def without_means(self, labels, slope, middle, size):
        return given(self, labels, slope, middle + self.fitted.law.mean[labels] * size, size)

    with monkeypatch.context() as patch:
        patch.setattr(MixtureTerm, "_shares", without_the_variable)
        assert fits(settled(found, [bench], [True]).values, log_target) < 1e-8
    with monkeypatch.context() as patch:
        patch.setattr(MixtureTerm, "_given", without_means)
        assert fits(settled(found, [bench], [True]).values, log_target) < 1e-8
    with monkeypatch.context() as patch:  # whatever is proposed is accepted
        patch.setattr(mixture_term, "_accepted", lambda ratio, rng: np.ones(len(ratio), dtype=bool))
        assert fits(settled(moving, [term], [True], rounds=40).values, moving_target) < 1e-8

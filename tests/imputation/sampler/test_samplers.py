"""The samplers against the density they claim to draw from, normalised on a grid; parameters are held fixed."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mifit.errors import ImputationError
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.methods.logistic import LogisticFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.negbin import NegBinFitted
from mifit.imputation.methods.norm import Normal, NormalFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.power import Power, PowerFitted, PowerScale
from mifit.imputation.plan.options import Options
from mifit.imputation.plan.sampler_choice import Choice, Sampler, choose, multiplies, offers
from mifit.imputation.sampler import grid, laplace, samplers
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.likelihood_terms import LikelihoodTerm
from mifit.imputation.sampler.samplers import draw_continuous, draw_discrete
from mifit.imputation.sampler.visit import Response
from support.coefficients import coefficients
from support.made import make

DRAWS = 50_000
Z = 0.7  # of the row that is repeated


@dataclass
class Hole:
    """One missing value, repeated; its own factor, its judge, and the right side by hand."""

    engine: Any
    store: Any
    own: Any
    bench: Any
    X: Any
    affine: bool
    log_target: Any  #: function of v


TERMS = {
    "x": ("y ~ z + x", lambda v: v),
    "x squared": ("y ~ z + I(x**2)", lambda v: v**2),
    "x by z": ("y ~ z + x:z", lambda v: v * Z),
    "log x": ("y ~ z + np.log(x)", np.log),
    "spline": ("y ~ z + bs(x, df=4)", None),
}
SLOPE = {"x": 0.8, "x squared": 0.15, "x by z": 1.2, "log x": 1.5, "spline": np.array([1.0, -1.0, 2.0, 0.5])}


def normal_own(layout, model):
    """Normal with mean 2.5 + 0.5 z and spread 1."""
    coef = coefficients(layout, model, {"Intercept": 2.5, "z": 0.5})
    return NormalFitted(coef, 1.0, 0.0, 1.0), stats.norm(2.5 + 0.5 * Z, 1.0).logpdf


def power_own(positive, power, log_sd_slope=0.0):
    """Normal with mean 0.4 + 0.3 z and spread 0.6 exp(log_sd_slope z) on a power scale."""

    def make_own(layout, model):
        on = PowerScale(True, 0.0, 2.0) if positive else PowerScale(False, 2.5, 0.8)
        coef = coefficients(layout, model, {"Intercept": 0.4, "z": 0.3})

        def log_density(v):
            with np.errstate(all="ignore"):
                u = (v - on.centre) / on.scale
                if positive:
                    w = (u**power - 1) / power if power else np.log(u)
                    jump = (power - 1) * np.log(u)
                else:
                    w = stats.yeojohnson(u, power)
                    jump = (power - 1) * np.sign(u) * np.log1p(np.abs(u))
                law = stats.norm(0.4 + 0.3 * Z, 0.6 * np.exp(log_sd_slope * Z))
                return np.where(np.isfinite(w), law.logpdf(w) + jump, -np.inf)

        lean = coefficients(layout, model, {"z": log_sd_slope}) if log_sd_slope else None
        return PowerFitted(coef, 0.6, 0.0, 1.0, power, on, power, log_sd_slope=lean), log_density

    return make_own


OWNS = {
    "norm": normal_own,
    "power, root": power_own(True, 0.5),
    "power, reciprocal": power_own(True, -0.7),
    "power, Yeo-Johnson": power_own(False, 0.6),
    "power, uneven": power_own(True, 0.5, 0.8),
}


OFFERED = {own: offers(Normal() if own == "norm" else Power(), None) for own in OWNS}


def judge_normal(coef):
    return NormalFitted(coef, 0.8, 0.0, 1.0), 2.5, lambda eta: stats.norm(eta, 0.8).logpdf(2.5)


def judge_logit(coef):
    coef[0] -= 2.0
    return LogisticFitted(coef, None), 1.0, lambda eta: -np.logaddexp(0, -(eta - 2.0))


def judge_multinomial(coef):
    wide = np.column_stack([coef, -0.5 * coef])
    wide[0] += [-1.0, 1.0]

    def log_density(eta):
        linear = np.array([0 * eta, eta - 1.0, 1.0 - 0.5 * eta])
        return linear[1] - np.logaddexp.reduce(linear, axis=0)

    return MultinomialFitted(wide, None), 1.0, log_density


def judge_ordinal(coef):
    def log_density(eta):
        return np.log(stats.logistic.cdf(3.0 - eta) - stats.logistic.cdf(1.0 - eta))

    return OrdinalFitted(coef, np.array([1.0, 3.0, 4.5]), None), 1.0, log_density


def judge_poisson(coef):
    return PoissonFitted(0.5 * coef, 10_000, None), 4.0, lambda eta: stats.poisson(np.exp(0.5 * eta)).logpmf(4)


def judge_negbin(coef):
    def log_density(eta):
        mean = np.exp(0.5 * eta)
        return stats.nbinom(1 / 0.6, 1 / (1 + 0.6 * mean)).logpmf(5)

    return NegBinFitted(0.5 * coef, 0.6, 10_000, None), 5.0, log_density


JUDGES = {
    "OLS": judge_normal, "Logit": judge_logit, "multinomial": judge_multinomial, "ordinal": judge_ordinal,
    "Poisson": judge_poisson, "negative binomial": judge_negbin,
}  # fmt: skip


def hole(term, own, judge, n=DRAWS, slope=None):
    """Seat one factor over a missing value that is repeated n times beside 200 complete rows."""
    formula, by_hand = TERMS[term]
    slope = SLOPE[term] if slope is None else slope
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.standard_normal(200), np.full(n, Z)])
    x = 3 + rng.standard_normal(200)
    x = np.concatenate([np.abs(x) + 0.05, np.full(n, np.nan)])
    table = read(pd.DataFrame({"y": 1.0 + np.arange(n + 200.0), "x": x, "z": z}))
    plan, table = make(table, [ask(formula, table, scope={"np": np})], Options(), {})
    engine = Engine(table, plan)
    values = {name: column.values.copy() for name, column in table.columns.items()}
    values["x"][200:] = 3.0
    store, ready = engine.new_store(values), engine.factors[0]
    names = engine.designs[0].names
    slopes = dict(zip(names[2:], np.atleast_1d(slope), strict=True))
    fitted, response, log_density = JUDGES[judge](
        coefficients(engine.layout, ready.model, {"Intercept": 0.2, "z": 0.4, **slopes})
    )
    made, own_density = OWNS[own](engine.layout, engine.own["x"])
    bench = LikelihoodTerm.of_factor(fitted, ready.model, store, "x", Response(np.full(n + 200, response)))
    X = store.gathered("x")[:, engine.own["x"].columns]

    def log_target(v):
        with np.errstate(all="ignore"):
            if by_hand is None:
                from patsy import build_design_matrices, dmatrix

                seen = x[:200]
                info = dmatrix("bs(x, df=4) - 1", {"x": seen}).design_info
                inside = (v >= seen.min()) & (v <= seen.max())
                basis = np.asarray(build_design_matrices([info], {"x": np.where(inside, v, 3.0)})[0])[:, -4:]
                part = np.where(inside, basis @ slope, np.nan)
            else:
                part = slope * by_hand(v)
            found = own_density(v) + log_density(0.2 + 0.4 * Z + part)
        return np.where(np.isnan(found), -np.inf, found)

    return Hole(engine, store, made, bench, X, engine.affine(ready, "x"), log_target)


def grid_cdf(log_target, low=-6.0, high=30.0):
    """The distribution function of a density known up to a constant."""
    grid = np.linspace(low, high, 40_001)
    score = log_target(grid)
    density = np.exp(score - score.max())
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return lambda v: np.interp(v, grid, mass / mass[-1]), (grid, mass / mass[-1])


def kolmogorov(values, log_target):
    return stats.kstest(values, grid_cdf(log_target)[0]).pvalue


CASES = [
    (term, own, judge) for term in TERMS for own in OWNS for judge in JUDGES
    if own in ("norm", "power, root") or judge in ("OLS", "ordinal")
]  # fmt: skip


@pytest.mark.parametrize(("term", "own", "judge"), CASES)
def test_draws_have_the_density_of_own_factor_times_judge(term, own, judge):
    found = hole(term, own, judge)
    rng = np.random.default_rng([3, CASES.index((term, own, judge))])
    normal = multiplies(OFFERED[own], hasattr(found.bench.fitted, "standardised"), found.affine)
    choice = choose(OFFERED[own], [normal], straight=found.affine)
    drawn = visited(found, choice, np.full(DRAWS, 3.0), rng, 1 if choice.sampler is Sampler.CLOSED_FORM else 4)
    assert found.affine == (term in ("x", "x by z"))
    assert choice.sampler in (Sampler.CLOSED_FORM, Sampler.METROPOLIS if found.affine else Sampler.GRID)
    assert (drawn.tried == 0) == (found.affine and own == "norm" and judge == "OLS")
    assert drawn.stayed < DRAWS * 0.01
    # Kolmogorov-Smirnov: false alarm 1e-3 each
    assert kolmogorov(drawn.values, found.log_target) > 1e-3


METROPOLIS, GRID = (Choice(sampler, True, (False,)) for sampler in (Sampler.METROPOLIS, Sampler.GRID))


def visited(found, choice, values, rng, times=4, terms=None):
    """Several visits from some values; those of a row that kept its value are no draws yet."""
    for _ in range(times):
        drawn = draw_continuous(found.own, found.X, terms or [found.bench], choice, values, rng)
        values = drawn.values
    return drawn


@pytest.mark.parametrize("term", ["x", "x by z"])
def test_closed_form_metropolis_and_grid_agree(term, monkeypatch):
    found = hole(term, "norm", "OLS")
    rng = np.random.default_rng(4)
    current = np.full(DRAWS, 3.0)
    closed = draw_continuous(
        found.own, found.X, [found.bench], Choice(Sampler.CLOSED_FORM, True, (True,)), current, rng
    )
    around = visited(found, METROPOLIS, current, rng, 2)
    proposed = visited(found, GRID, current, rng, 2)
    monkeypatch.setattr(grid, "ROUNDS", ())
    alone = visited(found, GRID, current, rng, 2)
    assert closed.tried == 0 and around.tried == proposed.tried == DRAWS
    for drawn in (closed, around, proposed, alone):
        assert drawn.stayed < DRAWS * 0.005
        # Kolmogorov-Smirnov: false alarm 1e-3 each
        assert kolmogorov(drawn.values, found.log_target) > 1e-3


def test_two_normal_factors_are_multiplied_exactly():
    found = hole("x", "norm", "OLS")
    rng = np.random.default_rng(5)
    both = Choice(Sampler.CLOSED_FORM, True, (True, True))
    drawn = draw_continuous(found.own, found.X, [found.bench] * 2, both, np.full(DRAWS, 3.0), rng)
    own, one = stats.norm(2.5 + 0.5 * Z, 1.0).logpdf, found.log_target
    assert drawn.tried == 0
    assert kolmogorov(drawn.values, lambda v: 2 * one(v) - own(v)) > 1e-3
    one_waits = Choice(Sampler.METROPOLIS, True, (True, False))
    mixed = visited(found, one_waits, np.full(DRAWS, 3.0), rng, terms=[found.bench] * 2)
    assert mixed.tried > 0
    assert kolmogorov(mixed.values, lambda v: 2 * one(v) - own(v)) > 1e-3


def test_a_factor_has_no_likelihood_where_its_outcome_was_missing():
    found = hole("x squared", "norm", "OLS", n=20_000)
    without = np.arange(0, 20_000, 2)
    for affine, term in ((False, "x squared"), (True, "x")):
        found = hole(term, "norm", "OLS", n=20_000)
        kept = {f: getattr(found.bench, f) for f in found.bench.__slots__}
        bench = LikelihoodTerm(**kept | {"without_outcome": without})
        rng = np.random.default_rng(6)
        choice = Choice(Sampler.CLOSED_FORM, True, (True,)) if affine else GRID
        drawn = visited(found, choice, np.full(20_000, 3.0), rng, terms=[bench]).values
        assert kolmogorov(drawn[::2], stats.norm(2.5 + 0.5 * Z, 1.0).logpdf) > 1e-3
        assert kolmogorov(drawn[1::2], found.log_target) > 1e-3
        assert kolmogorov(drawn[::2], found.log_target) < 1e-6


def bimodal(n=20_000):
    """A square whose outcome says 4: modes near -2 and 2."""
    rng = np.random.default_rng(1)
    x = np.concatenate([2 * rng.standard_normal(200), np.full(n, np.nan)])
    table = read(pd.DataFrame({"y": np.arange(n + 200.0), "x": x}))
    plan, table = make(table, [ask("y ~ I(x**2)", table)], Options(), {})
    engine = Engine(table, plan)
    values = {name: column.values.copy() for name, column in table.columns.items()}
    values["x"][200:] = 2.0
    store, ready = engine.new_store(values), engine.factors[0]
    coef = coefficients(engine.layout, ready.model, {"Intercept": 0.0, "I(x ** 2)": 1.0})
    own = NormalFitted(coefficients(engine.layout, engine.own["x"], {"Intercept": 0.3}), 1.5, 0.0, 1.0)
    judge = NormalFitted(coef, 0.3, 0.0, 1.0)
    bench = LikelihoodTerm.of_factor(judge, ready.model, store, "x", Response(np.full(n + 200, 4.0)))
    X = store.gathered("x")[:, engine.own["x"].columns]
    return Hole(engine, store, own, bench, X, False,
                lambda v: stats.norm(0.3, 1.5).logpdf(v) + stats.norm(v**2, 0.3).logpdf(4.0))  # fmt: skip


@pytest.mark.parametrize("rounds", [grid.ROUNDS, ()], ids=["proposals first", "the grid alone"])
def test_the_grid_reaches_both_modes_of_a_square(rounds, monkeypatch):
    found = bimodal()
    monkeypatch.setattr(grid, "ROUNDS", rounds)
    drawn = visited(found, GRID, np.full(20_000, 2.0), np.random.default_rng(7), 2)
    assert drawn.stayed < 20_000 * 0.005
    assert 0.3 < np.mean(drawn.values < 0) < 0.6
    # Kolmogorov-Smirnov: false alarm 1e-3
    assert kolmogorov(drawn.values, found.log_target) > 1e-3


@pytest.mark.parametrize(
    ("term", "own", "judge", "choice"),
    [("x squared", "norm", "OLS", GRID), ("spline", "power, root", "ordinal", GRID), ("log x", "norm", "Logit", GRID),
     ("x by z", "power, Yeo-Johnson", "negative binomial", METROPOLIS),
     ("x", "power, reciprocal", "ordinal", METROPOLIS), ("x", "norm", "multinomial", METROPOLIS),
     ("x", "norm", "Poisson", GRID)],
)  # fmt: skip
def test_a_visit_leaves_the_target_as_it_is_and_forgets_where_it_stood(term, own, judge, choice):
    found = hole(term, own, judge)
    points, mass = grid_cdf(found.log_target)[1]
    rng = np.random.default_rng(9)
    exact = np.interp(rng.random(DRAWS), mass, points)
    moved = visited(found, choice, exact, rng, 1).values
    assert np.mean(moved != exact) > 0.99
    # Kolmogorov-Smirnov: false alarm 1e-3 each
    assert kolmogorov(moved, found.log_target) > 1e-3
    # independent draws have a correlation of sd 0.0045
    assert abs(np.corrcoef(moved, exact)[0, 1]) < 0.02


def test_a_ratio_that_leaves_the_proposal_out_is_noticed(monkeypatch):
    """Planted faults: no correction for how often a value is proposed; every proposal accepted."""
    found = hole("x", "norm", "Logit", slope=4.0)
    monkeypatch.setattr(laplace, "_APART", np.inf)  # nothing goes to the grid
    monkeypatch.setattr(laplace, "_log_density", lambda w, centre, sd, df: np.zeros(w.shape))
    drawn = visited(found, METROPOLIS, np.full(DRAWS, 3.0), np.random.default_rng(4), 8)
    assert kolmogorov(drawn.values, found.log_target) < 1e-10
    monkeypatch.undo()
    monkeypatch.setattr(grid, "_DEPTH", 0.1)
    monkeypatch.setattr(grid, "ROUNDS", ())
    monkeypatch.setattr(grid, "_ELSEWHERE", 0.0)
    drawn = visited(found, GRID, np.full(DRAWS, 3.0), np.random.default_rng(4), 3)
    assert kolmogorov(drawn.values, found.log_target) < 1e-10


def test_a_search_that_stops_early_costs_acceptance_and_nothing_else(monkeypatch):
    found = hole("x", "power, root", "Poisson", slope=2.5)
    monkeypatch.setattr(laplace, "_STEPS", 1)
    monkeypatch.setattr(laplace, "_APART", np.inf)  # nothing goes to the grid
    points, mass = grid_cdf(found.log_target)[1]
    rng = np.random.default_rng(5)
    drawn = visited(found, METROPOLIS, np.interp(rng.random(DRAWS), mass, points), rng, 5)
    assert drawn.stayed > DRAWS * 0.01
    assert kolmogorov(drawn.values, found.log_target) > 1e-3


def test_rows_that_start_far_out_come_back():
    """Seven standard deviations away: the tails of the second proposal bring them back in one visit."""
    found = hole("x", "norm", "Logit")
    drawn = visited(found, METROPOLIS, np.full(DRAWS, 10.0), np.random.default_rng(6), 1)
    assert np.mean(drawn.values == 10.0) < 0.01


@pytest.mark.parametrize("rounds", [(2, 2), (1,)])
def test_the_rows_that_wait_keep_the_right_law_when_proposals_run_out(rounds, monkeypatch):
    found = bimodal()
    points, mass = grid_cdf(found.log_target)[1]
    rng = np.random.default_rng(10)
    exact = np.interp(rng.random(20_000), mass, points)
    monkeypatch.setattr(grid, "ROUNDS", rounds)
    drawn = visited(found, GRID, exact, rng, 1)
    assert kolmogorov(drawn.values, found.log_target) > 1e-3


@pytest.mark.parametrize("choice", [GRID, METROPOLIS], ids=["grid", "metropolis"])
def test_a_row_that_starts_where_nothing_is_possible_finds_its_way(choice, monkeypatch):
    found = hole("log x", "norm", "OLS", n=2_000)
    monkeypatch.setattr(grid, "ROUNDS", ())
    values = visited(found, choice, np.full(2_000, -1.0), np.random.default_rng(11), 6).values
    assert np.all(values > 0)
    assert kolmogorov(values, found.log_target) > 1e-3


@pytest.mark.parametrize("own", list(OWNS))
@pytest.mark.parametrize("term", ["log x", "spline"])
def test_a_value_outside_a_scale_or_a_spline_is_never_accepted(own, term):
    found = hole(term, own, "OLS", n=20_000)
    rng = np.random.default_rng(12)
    drawn = visited(found, GRID, np.full(20_000, 3.0), rng).values
    seen = found.engine.table["x"].values[:200]
    low, high = (0.0, np.inf) if term == "log x" else (seen.min(), seen.max())
    assert np.all((drawn >= low) & (drawn <= high))
    outside = np.array([-2.0, low - 1e-6, high + 1e-6 if np.isfinite(high) else -1e-300])
    assert np.all(found.bench.log_accept(np.arange(3), outside) == -np.inf)


@pytest.mark.parametrize("judge", list(JUDGES))
def test_no_judge_is_ever_above_nought(judge):
    fitted, _, _ = JUDGES[judge](np.array([0.1, 0.3]))
    linear = np.concatenate([[0.0], *(s * np.geomspace(1e-12, 700, 80) for s in (-1, 1))])
    top = {"OLS": 0, "Logit": 2, "multinomial": 3, "ordinal": 4, "Poisson": 40, "negative binomial": 40}[judge]
    outcomes = np.arange(top) if top else np.array([-1e9, -1.0, 0.0, 1e-9, 1e9])
    for y in outcomes:
        eta = np.tile(linear[:, None], (1, 2)) if judge == "multinomial" else linear
        score = fitted.log_accept(np.full(len(linear), float(y)), eta)
        assert score.shape == linear.shape
        assert not np.isnan(score).any()
        assert np.all(score <= 0)


@pytest.mark.parametrize("judge", ["Poisson", "negative binomial"])
def test_a_count_is_judged_by_its_probability_over_the_largest_one(judge):
    fitted, _, _ = JUDGES[judge](np.array([0.1, 0.3]))
    mean = np.geomspace(0.01, 50, 40)

    def log_pmf(y, mu):
        return (
            stats.poisson(mu).logpmf(y) if judge == "Poisson" else stats.nbinom(1 / 0.6, 1 / (1 + 0.6 * mu)).logpmf(y)
        )

    for y in (0, 1, 5, 17):
        best = log_pmf(y, y) if y else 0.0
        found = fitted.log_accept(np.full(40, float(y)), np.log(mean))
        np.testing.assert_allclose(found, log_pmf(y, mean) - best, atol=1e-10)


def count_hole(slope, n=DRAWS):
    """A count that is missing n times beside 200 small ones; negative binomial, judged by OLS."""
    rng = np.random.default_rng(1)
    c = np.concatenate([rng.integers(0, 5, 200).astype(float), np.full(n, np.nan)])
    z = np.concatenate([rng.standard_normal(200), np.full(n, Z)])
    table = read(pd.DataFrame({"y": np.arange(n + 200.0), "c": c, "z": z}))
    plan, table = make(table, [ask("y ~ z + np.log1p(c)", table, scope={"np": np})], Options(), {})
    engine = Engine(table, plan)
    values = {name: column.values.copy() for name, column in table.columns.items()}
    values["c"][200:] = 2.0
    store, ready = engine.new_store(values), engine.factors[0]
    own = NegBinFitted(coefficients(engine.layout, engine.own["c"], {"Intercept": 1.0, "z": 0.5}), 0.8, 10_000, None)
    coef = coefficients(engine.layout, ready.model, {"Intercept": 0.2, "z": 0.4, "np.log1p(c)": slope})
    bench = LikelihoodTerm.of_factor(
        NormalFitted(coef, 0.8, 0.0, 1.0), ready.model, store, "c", Response(np.full(n + 200, 2.5))
    )
    return own, store.gathered("c")[:, engine.own["c"].columns], bench


@pytest.mark.parametrize("slope", [0.0, 1.1])
def test_a_count_is_drawn_from_its_probabilities_also_beyond_the_largest_one_observed(slope):
    own, X, bench = count_hole(slope)
    drawn = draw_discrete(own, X, [bench], np.random.default_rng(13)).values
    mean = np.exp(1.0 + 0.5 * Z)
    support = np.arange(400)
    weight = stats.nbinom(1 / 0.8, 1 / (1 + 0.8 * mean)).pmf(support)
    weight *= stats.norm(0.2 + 0.4 * Z + slope * np.log1p(support), 0.8).pdf(2.5)
    weight /= weight.sum()
    assert drawn.max() > 15
    assert np.mean(drawn > 4) > 0.2
    last = int(np.flatnonzero(np.cumsum(weight) > 1 - 20 / DRAWS)[0])
    seen = np.bincount(np.minimum(drawn, last).astype(int), minlength=last + 1)
    expected = DRAWS * np.append(weight[:last], weight[last:].sum())
    # chi-square: false alarm 1e-3 each
    assert stats.chisquare(seen, expected).pvalue > 1e-3


def test_levels_are_weighed_in_blocks_of_any_size(monkeypatch):
    own, X, bench = count_hole(1.1, 500)
    whole = draw_discrete(own, X, [bench], np.random.default_rng(14)).values
    monkeypatch.setattr(samplers, "_BLOCK", 700)
    np.testing.assert_array_equal(draw_discrete(own, X, [bench], np.random.default_rng(14)).values, whole)


def test_the_grid_works_in_blocks_of_any_size(monkeypatch):
    found = hole("x squared", "norm", "OLS", n=5_000)
    monkeypatch.setattr(grid, "_BLOCK", 10_000)
    drawn = visited(found, GRID, np.full(5_000, 3.0), np.random.default_rng(15))
    assert kolmogorov(drawn.values, found.log_target) > 1e-3


def test_levels_that_are_all_impossible_are_refused():
    with pytest.raises(ImputationError, match="impossible"):
        samplers._draw_levels(np.full((3, 2), -np.inf), np.random.default_rng(1))


@pytest.mark.parametrize("formula", ["y ~ k + z", "y ~ k * z"])
@pytest.mark.parametrize("codes", [(1, 2), (-1, 1), (5, 105)])
def test_the_codes_of_two_values_do_not_matter(formula, codes):
    from mifit.imputation.sampler.runs import run
    from mifit.imputation.seed import Seed

    rng = np.random.default_rng(16)
    z = rng.standard_normal(300)
    k = (rng.random(300) < 1 / (1 + np.exp(-z))).astype(float)
    y = k + z + 0.5 * k * z + rng.standard_normal(300)
    gone = rng.random(300) < 0.3

    def holes(low, high):
        table = read(pd.DataFrame({"y": y, "k": np.where(gone, np.nan, np.where(k > 0, high, low)), "z": z}))
        plan, table = make(table, [ask(formula, table)], Options(), {})
        return run(table, plan, [0, 1], 5, Seed(17), n_jobs=1)

    for plain, other in zip(holes(0, 1), holes(*codes), strict=True):
        np.testing.assert_array_equal(plain.imputed["k"], other.imputed["k"])
        assert 0 < plain.imputed["k"].mean() < 1


def test_no_holes_are_drawn_without_complaint():
    own, X, bench = count_hole(0.0, 10)
    assert draw_discrete(own, X[:0], [bench], np.random.default_rng(1)).values.shape == (0,)


@pytest.mark.parametrize("judge", ["OLS", "Logit", "multinomial", "ordinal", "Poisson"])
@pytest.mark.parametrize("term", ["x", "x by z"])
def test_a_line_in_the_variable_is_judged_as_the_design_is(term, judge):
    found = hole(term, "norm", judge, n=30)
    bench, values = found.bench, np.linspace(-4.0, 9.0, 30)
    at = np.arange(30)
    known = bench.store.gathered("x")
    full = found.engine.factors[0].model.wide(bench.fitted.coef, known.shape[1])
    full[bench.places] = 0.0
    plain = replace(bench, rest=known @ full, line=None)
    assert bench.line is not None
    for line in (bench, replace(bench, line=plain._straight())):
        np.testing.assert_allclose(line.linear(at, values), plain.linear(at, values), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(line.log_accept(at, values), plain.log_accept(at, values), rtol=1e-10, atol=1e-12)

"""Getting it right (Geweke 2004): what a sweep does to exact draws from the joint model must leave their law alone.

With the parameters held fixed the rows are independent, so thousands of rows are thousands of replications: rows are
drawn from the joint model, some of their values are declared missing, and one sweep redraws these. The law of every
row must be as before. With parameters drawn, a few complete rows serve as the prior, and the successive-conditional
simulator (sweep, then redraw the outcome) is compared with the marginal-conditional one.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mifit
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.methods import norm
from mifit.imputation.methods.mixture import MixtureFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.power import PowerFitted
from mifit.imputation.numerics.mixture import Law
from mifit.imputation.plan.options import Options
from mifit.imputation.plan.plan import Piece
from mifit.imputation.sampler import likelihood_terms
from mifit.imputation.sampler.chain import Chain, ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.runs import run
from mifit.imputation.seed import Seed
from support.coefficients import coefficients
from support.known_parameters import (
    COVARIATES,
    LIMIT,
    YEO_JOHNSON,
    Fixed,
    _from_yeo_johnson,
    _logistic,
    _normal,
    expit,
    figures,
    ordered,
    pick,
)
from support.made import make
from support.scenarios import run_after_run

ROWS = 40_000


# A mixture of normals: weights, means, variances.
MIXTURE = np.array([0.5, 0.3, 0.2]), np.array([-0.6, 0.2, 1.2]), np.array([0.04, 0.5, 2.0])


def _mixed(eta, rng):
    weight, mean, variance = MIXTURE
    c = rng.choice(3, size=len(eta), p=weight)
    return eta + mean[c] + np.sqrt(variance[c]) * rng.standard_normal(len(eta))


def _mixture(slopes, wider=1.0):
    weight, mean, variance = MIXTURE

    def maker(layout, model):
        coef = coefficients(layout, model, slopes)
        return MixtureFitted(coef, Law(weight, mean, wider * variance, 1.0, coef, np.empty(0)), None, 0.0, 1.0)

    return maker


# Outcomes: formula, draw given the linear predictor, factor given slopes.
OUTCOMES = {
    "OLS": ("y", lambda eta, rng: eta + 1.2 * rng.standard_normal(len(eta)), lambda slopes: _normal(slopes, 1.2)),
    "log": ("np.log(y)", lambda eta, rng: np.exp(eta + 1.2 * rng.standard_normal(len(eta))),
            lambda slopes: _normal(slopes, 1.2)),
    "Logit": ("y", lambda eta, rng: (rng.random(len(eta)) < expit(eta)).astype(float), _logistic),
    "mixture": ("y", _mixed, _mixture),
}  # fmt: skip


def _power_auxiliary(slopes):
    """On the Yeo-Johnson scale, which has no end: no judge sees the truncation of a Box-Cox scale."""
    return lambda layout, model: PowerFitted(
        0.4 * coefficients(layout, model, slopes), 0.5, 0.0, 1.0, 0.6, YEO_JOHNSON, 0.6
    )


AUXILIARIES = {
    "power": (
        lambda eta, rng: _from_yeo_johnson(0.4 * eta + 0.5 * rng.standard_normal(len(eta))),
        _power_auxiliary,
    ),
    "mixture": (_mixed, _mixture),
    "norm": (lambda eta, rng: eta + 0.7 * rng.standard_normal(len(eta)), lambda slopes: _normal(slopes, 0.7)),
    "binary": (lambda eta, rng: (rng.random(len(eta)) < expit(eta)).astype(float), _logistic),
    "count": (lambda eta, rng: rng.poisson(np.exp(0.3 * eta)).astype(float),
              lambda slopes: lambda layout, model: PoissonFitted(
                  0.3 * coefficients(layout, model, slopes), 100_000, None)),
    "ordinal": (lambda eta, rng: 1.0 + ordered(eta, np.array([-1.0, 1.0, 2.0]), rng),
                lambda slopes: lambda layout, model: OrdinalFitted(
                    coefficients(layout, model, slopes), np.array([-1.0, 1.0, 2.0]), None)),
    "nominal": (lambda eta, rng: pd.Categorical.from_codes(
                    pick(np.column_stack([0 * eta, eta, 0.3 - 0.5 * eta]), rng), list("abc")),
                lambda slopes: lambda layout, model: MultinomialFitted(
                    coefficients(layout, model, {k: v * np.array([1, -0.5]) + (k == "Intercept") * np.array([0, 0.3])
                                                 for k, v in slopes.items()}), None)),
}  # fmt: skip


@dataclass
class World:
    """A joint model of z, x, y and perhaps a; drawn by hand, and as factors with known parameters."""

    covariate: str
    outcome: str
    auxiliary: str | None = None
    square: bool = False
    placed: ClassVar[str] = "response"

    @property
    def formula(self):
        return f"{OUTCOMES[self.outcome][0]} ~ x * z" + (" + I(x**2)" if self.square else "")

    @property
    def slopes(self):
        """Slopes of the analysis by the labels of the store."""
        if self.covariate == "nominal":
            return {"Intercept": 0.2, "z": 0.3, ("x", 1): 1.3, ("x", 2): -0.9, "x[T.b]:z": 0.8, "x[T.c]:z": -0.7}
        return {"Intercept": 0.2, "z": 0.3, "x": 0.9, "x:z": 0.6, "I(x ** 2)": 0.3 * self.square}

    @property
    def auxiliary_slopes(self):
        outcome = OUTCOMES[self.outcome][0]
        own = {} if self.covariate == "nominal" else {"x": -0.8, "x:z": 0.4}
        return {"Intercept": 0.1, outcome: 0.6, "z": 0.2, **own}

    def draw(self, n, rng):
        z = rng.standard_normal(n)
        x = COVARIATES[self.covariate][0](z, rng)
        s = self.slopes
        if self.covariate == "nominal":
            c = x.codes
            eta = s["Intercept"] + s["z"] * z + np.array([0, s["x", 1], s["x", 2]])[c]
            eta = eta + np.array([0, s["x[T.b]:z"], s["x[T.c]:z"]])[c] * z
        else:
            eta = s["Intercept"] + s["z"] * z + s["x"] * x + s["x:z"] * x * z + s["I(x ** 2)"] * x**2
        y = OUTCOMES[self.outcome][1](eta, rng)
        frame = pd.DataFrame({"y": y, "x": x, "z": z})
        if self.auxiliary:
            shown = np.log(y) if self.outcome == "log" else y
            a = self.auxiliary_slopes
            eta = a["Intercept"] + a[OUTCOMES[self.outcome][0]] * shown + a["z"] * z
            if self.covariate != "nominal":
                eta = eta + a["x"] * x + a["x:z"] * x * z
            frame["a"] = AUXILIARIES[self.auxiliary][0](eta, rng)
        return frame

    def fix(self, plan, table):
        """The plan with every model replaced by its known parameters."""
        engine = Engine(table, plan)
        own = COVARIATES[self.covariate][1]
        variables = tuple(
            dataclasses.replace(v, method=Fixed(own(engine.layout, engine.own[v.name]))) if v.role == "covariate" else v
            for v in plan.variables
        )
        factors = []
        for factor, ready in zip(plan.factors, engine.factors, strict=True):
            if factor.role == "analysis":
                maker = OUTCOMES[self.outcome][2](self.slopes)
            else:
                maker = AUXILIARIES[self.auxiliary][1](self.auxiliary_slopes)
            factors.append(dataclasses.replace(factor, method=Fixed(maker(engine.layout, ready.model))))
        return dataclasses.replace(plan, variables=variables, factors=tuple(factors))


def strain(world, missing, seed=0, rows=ROWS, sweeps=1):
    """Largest |z| of the change that a sweep makes to exact draws; each row is complete or lacks one of `missing`."""
    complete = world.draw(rows, np.random.default_rng(seed))
    frame = complete.copy()
    group = np.arange(rows) % (len(missing) + 1)
    for number, names in enumerate(missing):
        frame.loc[group == number, list(names)] = np.nan
    table = read(frame)
    exact = read(complete, {name: column.coding for name, column in table.columns.items()})
    formulas = [world.formula] if isinstance(world.formula, str) else world.formula
    questions = [ask(formula, table, scope={"np": np}) for formula in formulas]
    plan, table = make(table, questions, Options(auxiliary=world.placed), {})
    assert set(plan.order) == {name for names in missing for name in names}
    values = {name: column.values for name, column in exact.columns.items()}
    start = Chain(0, 1, {name: values[name][table[name].missing] for name in plan.order}, {}, {})
    moved = run(table, world.fix(plan, table), [0], 1 + sweeps, Seed(seed), before=[start], n_jobs=1)[0]
    after = {name: column.copy() for name, column in values.items()}
    for name, drawn in moved.imputed.items():
        assert np.mean(drawn != start.imputed[name]) > 0.05
        after[name][table[name].missing] = drawn
    old, new = figures(values, exact), figures(after, exact)
    change = {name: new[name] - old[name] for name in old}
    scores = {name: d.mean() / (d.std() / np.sqrt(rows)) for name, d in change.items() if d.any()}
    worst = max(scores, key=lambda name: abs(scores[name]))
    return abs(scores[worst]), worst


ALONE = [
    World(x, y, square=x == "norm" and y == "OLS") for x in COVARIATES for y in ("OLS", "Logit")
]  # fmt: skip


@pytest.mark.parametrize("world", ALONE, ids=repr)
def test_a_sweep_leaves_a_covariate_and_its_outcome_as_they_are(world):
    score, worst = strain(world, [["x"]])
    assert score < LIMIT, worst


@pytest.mark.parametrize("outcome", list(OUTCOMES))
@pytest.mark.parametrize("covariate", ["norm", "nominal", "power, Box-Cox"])
def test_a_sweep_leaves_an_incomplete_outcome_as_it_is(outcome, covariate):
    score, worst = strain(World(covariate, outcome), [["y"], ["x", "y"], ["x"]], seed=1)
    assert score < LIMIT, worst


@pytest.mark.parametrize("auxiliary", list(AUXILIARIES))
@pytest.mark.parametrize("outcome", ["OLS", "Logit"])
@pytest.mark.parametrize("covariate", ["norm", "binary", "nominal"])
def test_a_sweep_leaves_an_auxiliary_as_it_is(covariate, outcome, auxiliary):
    score, worst = strain(World(covariate, outcome, auxiliary), [["x"], ["a"], ["x", "a"]], seed=2)
    assert score < LIMIT, worst


@pytest.mark.parametrize("auxiliary", list(AUXILIARIES))
@pytest.mark.parametrize("outcome", ["OLS", "log", "Logit"])
@pytest.mark.parametrize("covariate", ["norm", "ordinal"])
def test_a_sweep_leaves_everything_as_it_is_where_everything_has_holes(covariate, outcome, auxiliary):
    missing = [["x"], ["y"], ["a"], ["x", "y"], ["y", "a"], ["x", "a"], ["x", "y", "a"]]
    score, worst = strain(World(covariate, outcome, auxiliary), missing, seed=3)
    assert score < LIMIT, worst


@pytest.mark.parametrize("covariate", ["norm", "power, Box-Cox", "binary", "nominal"])
def test_a_sweep_leaves_a_covariate_and_a_mixed_outcome_as_they_are(covariate):
    score, worst = strain(World(covariate, "mixture"), [["x"], ["y"], ["x", "y"]], seed=11)
    assert score < LIMIT, worst


@pytest.mark.parametrize("auxiliary", ["mixture", "norm", "binary"])
def test_a_sweep_leaves_a_mixed_outcome_and_its_auxiliary_as_they_are(auxiliary):
    missing = [["x"], ["y"], ["a"], ["x", "a"], ["x", "y", "a"]]
    score, worst = strain(World("norm", "mixture", auxiliary), missing, seed=12)
    assert score < LIMIT, worst


def test_a_mixture_of_another_spread_is_noticed(monkeypatch):
    wider = ("y", _mixed, lambda slopes: _mixture(slopes, 9.0))
    monkeypatch.setitem(OUTCOMES, "mixture", wider)
    assert strain(World("norm", "mixture"), [["x"]], seed=11)[0] > 2 * LIMIT


def test_many_sweeps_do_not_drift():
    score, worst = strain(World("norm", "OLS", "norm", True), [["x", "y"], ["x", "a"], ["y"]], seed=4, sweeps=10)
    assert score < LIMIT, worst


@dataclass
class Chart:
    """Normal and logistic models side by side: columns in the order they arise, each with its slopes and its spread."""

    formula: Any
    models: dict[str, tuple[dict[str, float], float | None]]  #: by column; a spread of None makes it logistic
    own: dict[str, tuple[dict[str, float], float | None]]  #: covariates given the other covariates
    placed: Any = "response"

    def draw(self, n, rng):
        found = {"z": rng.standard_normal(n)}
        for name, (slopes, sigma) in self.models.items():
            eta = np.zeros(n)
            for label, slope in slopes.items():
                parts = [] if label == "Intercept" else label.split(":")
                eta = eta + slope * np.prod([found[part] for part in parts], axis=0)
            if sigma is None:
                found[name] = (rng.random(n) < expit(eta)).astype(float)
            else:
                found[name] = eta + sigma * rng.standard_normal(n)
        return pd.DataFrame(found)

    def fix(self, plan, table):
        engine = Engine(table, plan)

        def maker(slopes, sigma):
            return _logistic(slopes) if sigma is None else _normal(slopes, sigma)

        variables = tuple(
            dataclasses.replace(v, method=Fixed(maker(*self.own[v.name])(engine.layout, engine.own[v.name])))
            if v.role == "covariate" else v for v in plan.variables
        )  # fmt: skip
        factors = tuple(
            dataclasses.replace(f, method=Fixed(maker(*self.models[r.outcome[0]])(engine.layout, r.model)))
            for f, r in zip(plan.factors, engine.factors, strict=True)
        )
        return dataclasses.replace(plan, variables=variables, factors=factors)


# u given z is N(0.5 z, 1), v given u and z is N(0.6 u + 0.3 z, 0.8^2); turned round, u given v and z:
_SHARE = 1 / (1 + 0.6**2 / 0.8**2)
_TURNED = {"z": 0.5 * _SHARE - 0.6 * 0.3 / 0.8**2 * _SHARE, "v": 0.6 / 0.8**2 * _SHARE}
PAIR = {"u": ({"z": 0.5}, 1.0), "v": ({"u": 0.6, "z": 0.3}, 0.8)}
OWN_PAIR = {"u": (_TURNED, np.sqrt(_SHARE)), "v": PAIR["v"]}
CHARTS = {
    "two covariates that interact": Chart(
        "y ~ u * v + z", {**PAIR, "y": ({"Intercept": 1, "u": 1, "v": -0.5, "u:v": 0.7, "z": 0.3}, 1.0)}, OWN_PAIR),
    "two covariates, two values": Chart(
        "y ~ u * v + z", {**PAIR, "y": ({"Intercept": 1, "u": 1, "v": -0.5, "u:v": 0.7, "z": 0.3}, None)}, OWN_PAIR),
    "two auxiliaries, one after the other": Chart(
        "y ~ u:v + z", {**PAIR, "y": ({"Intercept": 1, "u:v": 0.7, "z": 0.3}, 1.0),
                        "a": ({"y": 0.8, "u:v": 0.3}, None), "b": ({"y": 0.5, "a": 1.0, "u:v": -0.4}, 0.7)}, OWN_PAIR),
    "a column known before the outcome": Chart(
        "y ~ u * z", {**PAIR, "y": ({"Intercept": 1, "u": 1, "z": 0.3, "u:z": 0.5, "v": 0.6}, 1.0)}, OWN_PAIR,
        {"baseline": ["v"]}),
    "two analyses of which one feeds the other": Chart(
        ["y ~ u * z", "w ~ y * u + v"],
        {**PAIR, "y": ({"Intercept": 1, "u": 1, "z": 0.3, "u:z": 0.5}, 1.0),
         "w": ({"Intercept": -1, "y": 0.5, "u": 0.5, "y:u": 0.3, "v": 0.4}, 1.0)}, OWN_PAIR),
    "two analyses, the second of two values": Chart(
        ["y ~ u + z", "w ~ y + u + v"],
        {**PAIR, "y": ({"Intercept": 1, "u": 1, "z": 0.3}, 1.0),
         "w": ({"Intercept": -1, "y": 0.5, "u": 0.5, "v": 0.4}, None)}, OWN_PAIR),
    "two formulas of one outcome": Chart(
        ["y ~ u + z", "y ~ u:v"], {**PAIR, "y": ({"Intercept": 1, "u": 1, "z": 0.3, "u:v": 0.6}, 1.0)}, OWN_PAIR),
    "no constant": Chart(
        "y ~ 0 + u * z", {"u": PAIR["u"], "y": ({"u": 1, "z": 0.3, "u:z": 0.5}, 1.0),
                          "a": ({"Intercept": 4, "y": 0.8, "u": -0.7}, 0.7)}, {"u": PAIR["u"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHARTS)
def test_a_sweep_leaves_several_models_side_by_side_as_they_are(name):
    chart = CHARTS[name]
    drawn = list(chart.models)
    missing = [[one] for one in drawn] + [[one, two] for i, one in enumerate(drawn) for two in drawn[i + 1 :]] + [drawn]
    score, worst = strain(chart, missing, seed=5, rows=60_000)
    assert score < LIMIT, worst


def silenced(self, at, values):
    return np.zeros(len(at))


@pytest.mark.parametrize("covariate", ["norm", "nominal"])
def test_a_judge_that_is_dropped_is_noticed(covariate, monkeypatch):
    monkeypatch.setattr(likelihood_terms.LikelihoodTerm, "log_accept", silenced)
    assert strain(World(covariate, "Logit"), [["x"]])[0] > 2 * LIMIT


def test_an_auxiliary_that_is_forgotten_is_noticed(monkeypatch):
    monkeypatch.setattr(Engine, "_fed", lambda self, name: [r for r in self.factors if r.question is not None]
                        if name == "x" else [])  # fmt: skip
    assert strain(World("norm", "OLS", "norm"), [["x"], ["a"], ["x", "a"]], seed=2)[0] > 2 * LIMIT


def test_an_outcome_drawn_without_its_auxiliary_is_noticed(monkeypatch):
    monkeypatch.setattr(Engine, "_fed", lambda self, name: [] if name == "y" else list(self.factors))
    assert strain(World("norm", "OLS", "norm"), [["y"]], seed=2)[0] > 2 * LIMIT


@pytest.mark.parametrize("slopes", [({"Intercept": 1.2, "z": 0.6}, 0.9), ({"Intercept": 1.0, "z": 0.6}, 0.7)])
def test_an_own_factor_that_is_a_little_wrong_is_noticed(slopes, monkeypatch):
    monkeypatch.setitem(COVARIATES, "norm", (COVARIATES["norm"][0], _normal(*slopes)))
    assert strain(World("norm", "OLS"), [["x"]])[0] > 2 * LIMIT


# Parameters drawn too. The prior: what a few complete rows say under p(beta, sigma) = 1 / sigma^2.

FEW, LOST = 14, 10


def posterior(X, y, rng):
    """Coefficients and spread given a few complete rows, by QR."""
    q, r = np.linalg.qr(X)
    beta = np.linalg.solve(r, q.T @ y)
    sigma = np.sqrt(np.sum((y - X @ beta) ** 2) / rng.chisquare(len(y) - X.shape[1]))
    return beta + sigma * np.linalg.solve(r, rng.standard_normal(len(beta))), sigma


def by_columns(x, z):
    return np.column_stack([np.ones(len(x)), x, z, x * z])


def watched(x, y, z, beta, sigma):
    """What the two simulators are compared by; bounded, so that heavy tails do not drown it."""
    spread = np.log(np.mean((x - x.mean()) ** 2))
    return [
        *np.tanh(np.concatenate([beta, [x.mean(), y.mean() / 3, np.mean(x * z), np.mean(x * y) / 5]])),
        np.log(sigma), np.log(sigma) ** 2, spread, spread**2, np.log(np.mean(y * y)), np.log(np.ptp(x)),
    ]  # fmt: skip


def simulators(iterations, monkeypatch, seed=0, spoil=lambda plan: plan):
    """Figures of the marginal-conditional and of the successive-conditional simulator, (iterations, p) each."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(FEW + LOST)
    x = 0.5 * z + rng.standard_normal(FEW + LOST)
    y = 1 + 0.5 * x + 0.3 * z + 0.4 * x * z + rng.standard_normal(FEW + LOST)
    few, lost = slice(0, FEW), slice(FEW, None)
    own_rows = np.column_stack([np.ones(FEW), z[few]])

    def outcome(x_lost, beta, sigma):
        return by_columns(x_lost, z[lost]) @ beta + sigma * rng.standard_normal(LOST)

    marginal = []
    for _ in range(iterations):
        phi, tau = posterior(own_rows, x[few], rng)
        beta, sigma = posterior(by_columns(x[few], z[few]), y[few], rng)
        x_lost = phi[0] + phi[1] * z[lost] + tau * rng.standard_normal(LOST)
        marginal.append(watched(x_lost, outcome(x_lost, beta, sigma), z[lost], beta, sigma))

    frame = pd.DataFrame({"y": y, "x": np.where(np.arange(FEW + LOST) < FEW, x, np.nan), "z": z})
    table = read(frame)
    plan, table = make(table, [ask("y ~ x * z", table)], Options(methods={"x": "norm"}), {})
    engine = Engine(table, spoil(plan))
    running = ChainState(engine, Chain(0, 1, {"x": x[lost]}, {}, {}))
    running.values["y"] = y.copy()
    monkeypatch.setattr(ChainState, "_record", lambda self, rng: None)
    columns = engine.factors[0].model.columns
    successive = []
    for _ in range(iterations):
        running.store = engine.new_store(running.values)
        running.sweep(rng, 2)
        fitted = running.drawn[0]
        beta = fitted.scale * fitted.coef / engine.layout.scale[columns]
        beta[0] += fitted.centre - beta[1:] @ engine.layout.centre[columns[1:]]
        beta = beta[[0, 2, 1, 3]] if engine.designs[0].names[1] == "z" else beta
        sigma = fitted.scale * fitted.sigma
        x_lost = running.values["x"][lost]
        running.values["y"][lost] = outcome(x_lost, beta, sigma)
        running.responses.clear()  # a complete outcome is read once, and this one has just changed
        successive.append(watched(x_lost, running.values["y"][lost], z[lost], beta, sigma))
    return np.array(marginal), np.array(successive)


def batch_means(marginal, successive, batches=40):
    """z of each figure's difference, the second simulator's error from the means of batches."""
    means = successive[: len(successive) // batches * batches].reshape(batches, -1, successive.shape[1]).mean(axis=1)
    error = np.sqrt(marginal.var(axis=0) / len(marginal) + means.var(axis=0, ddof=1) / batches)
    return (marginal.mean(axis=0) - means.mean(axis=0)) / error


@pytest.mark.parametrize("iterations", [6_000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_drawn_parameters_and_values_have_the_law_of_the_joint_model(iterations, monkeypatch):
    scores = batch_means(*simulators(iterations, monkeypatch))
    # t with 39 df, 14 figures: false alarm about 1e-3
    assert np.abs(scores).max() < 4.5


def _estimate(solution, rng):
    return float(np.sqrt(solution.rss / max(solution.df, 1.0)))


def test_a_spread_that_is_not_drawn_is_noticed(monkeypatch):
    monkeypatch.setattr(norm, "draw_sigma", _estimate)
    assert np.abs(batch_means(*simulators(3_000, monkeypatch))).max() > 6


def test_coefficients_that_are_not_drawn_are_noticed(monkeypatch):
    monkeypatch.setattr(norm, "draw_coefficients", lambda solution, sigma, rng: solution.beta)
    assert np.abs(batch_means(*simulators(3_000, monkeypatch))).max() > 6


def test_an_outcome_in_the_own_factor_is_noticed(monkeypatch):
    def spoil(plan):
        pieces = (*plan["x"].pieces, Piece("outcome", 0))
        return dataclasses.replace(plan, variables=(dataclasses.replace(plan["x"], pieces=pieces),))

    assert np.abs(batch_means(*simulators(3_000, monkeypatch, spoil=spoil))).max() > 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("covariate", "outcome"),
    [("norm", "OLS"), ("power, Box-Cox", "OLS"), ("nominal", "OLS"), ("ordinal", "Logit"), ("binary", "Logit")],
)
def test_intervals_hold_the_truth_as_often_as_they_say(covariate, outcome):
    # Simulation-based calibration (Cook, Gelman & Rubin 2006; Talts et al. 2018): the rank of the truth is uniform.
    ranks = []
    for number in range(120):
        rng = np.random.default_rng([11, number])
        world = World(covariate, outcome)
        frame = world.draw(400, rng)
        score = frame["y"] - frame["y"].mean()
        frame.loc[rng.random(400) < expit(-0.8 + 0.6 * score / score.std()), "x"] = np.nan
        with run_after_run():
            found = mifit.impute(frame, world.formula, m=15, iterations=6, rng=number).fit()
        s = world.slopes
        label, truth = ("x[T.b]:z", s["x[T.b]:z"]) if covariate == "nominal" else ("x:z", s["x:z"])
        ranks.append(stats.t(found.df[label]).cdf((truth - found.params[label]) / found.bse[label]))
    # Kolmogorov-Smirnov: false alarm 1e-3 each
    assert stats.kstest(ranks, "uniform").pvalue > 1e-3

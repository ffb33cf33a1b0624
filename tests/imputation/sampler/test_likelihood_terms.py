"""Draws of a covariate against the likelihood of its outcome, weights on whole frames, and refusals by name."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats as st
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy.special import expit, softmax
from statsmodels.genmod.families import links

from mifit.errors import DataError, FormulaError, ModelError, PlanError
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.methods.cox import CoxFitted
from mifit.imputation.methods.double_poisson import DoublePoissonFitted
from mifit.imputation.methods.glm import Glm, GlmFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.nb1 import NB1Fitted
from mifit.imputation.methods.negbin import NegBinFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.probit import ProbitFitted
from mifit.imputation.methods.shares import SharesFitted
from mifit.imputation.methods.zero_inflated import ZeroInflatedFitted
from mifit.imputation.plan.likelihoods import likelihood_of
from mifit.imputation.plan.options import Options
from mifit.imputation.plan.sampler_choice import Choice, Sampler
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.likelihood_terms import LikelihoodTerm
from mifit.imputation.sampler.runs import run
from mifit.imputation.sampler.samplers import draw_continuous, draw_proposed
from mifit.imputation.sampler.visit import Response
from mifit.imputation.seed import Seed
from support.made import make

GAMMA = {"family": sm.families.Gamma(links.Log())}
POISSON = {"family": sm.families.Poisson()}
BINOMIAL = {"family": sm.families.Binomial(), "var_weights": "trials"}
LOGIT = {"distr": "logit"}
N_DRAW = 20_000
Z, MEAN, SD = 0.8, 1.2, 0.7  # the companion, and the covariate's own normal, in every incomplete row
LEVEL, SLOPES = -0.4, {"z": 0.3, "x": 0.9, "x:z": 0.9, "np.log(x)": 1.4, "I(x ** 2)": 0.4}
SHAPES = {"x": "x + z", "x*z": "x * z", "log": "np.log(x) + z", "square": "I(x**2) + z"}


def plan_of(frame, formula, model, **keywords):
    table = read(frame)
    question = ask(formula, table, model=model, keywords=keywords, scope={"np": np})
    return make(table, [question], Options(), {})


def linear_of(shape, x):
    """The linear predictor in the user's units."""
    log = np.log(np.where(x > 0, x, np.nan))
    part = {"x": 0.9 * x, "x*z": 0.9 * x + 0.9 * x * Z, "log": 1.4 * log, "square": 0.4 * x**2}[shape]
    return LEVEL + 0.3 * Z + part


def analysis(outcome):
    """Model, keywords, the outcome in the incomplete rows, and its log density at a linear predictor."""
    return {
        "poisson": ("glm", POISSON, 3.0, lambda eta: st.poisson.logpmf(3, np.exp(eta))),
        "gamma": ("glm", GAMMA, 2.5, lambda eta: st.gamma.logpdf(2.5, 1 / 0.4, scale=0.4 * np.exp(eta))),
        "negbin": ("negativebinomial", {}, 4.0, lambda eta: st.nbinom.logpmf(4, 2.0, 1 / (1 + 0.5 * np.exp(eta)))),
        "nb1": ("poisson", {}, 4.0, lambda eta: st.nbinom.logpmf(4, np.exp(eta) / 1.5, 1 / 2.5)),
        "many zeros": (
            "poisson", {}, 0.0,
            lambda eta: np.log(0.3 + 0.7 * st.nbinom.pmf(0, 2.0, 1 / (1 + 0.5 * np.exp(eta) / 0.7))),
        ),
        "few zeros": ("poisson", {}, 3.0, lambda eta: np.log(0.7 * st.poisson.pmf(3, np.exp(eta) / 0.7))),
        "double poisson": ("poisson", {}, 3.0, lambda eta: st.poisson.logpmf(3, np.exp(eta)) / 0.6),
        "shares": ("glm", BINOMIAL, 0.4, lambda eta: st.binom.logpmf(2, 5, expit(eta)) / 1.8),
        "probit": ("probit", {}, 1.0, lambda eta: st.norm.logcdf(eta)),
        "cox": ("phreg", {"status": "died"}, 5.0, lambda eta: eta - LEVEL - 0.5 * np.exp(eta - LEVEL)),
        "ordinal": ("ordinal", LOGIT, "b", lambda eta: np.log(expit(1.5 - eta) - expit(0.2 - eta))),
        "ordered probit": ("ordinal", {}, "b", lambda eta: np.log(st.norm.cdf(1.5 - eta) - st.norm.cdf(0.2 - eta))),
        "multinomial": (
            "mnlogit", {}, "c",
            lambda eta: np.log(softmax(np.column_stack([0 * eta, 0.5 * eta, eta]), axis=1)[:, 2]),
        ),
    }[outcome]  # fmt: skip


def fixed(outcome, coef, level, n):
    """The analysis with its parameters held."""
    if outcome == "poisson":
        return PoissonFitted(np.r_[level, coef], 4096, None)
    if outcome == "gamma":
        return GlmFitted(GAMMA["family"], np.r_[level, coef], 0.4, None)
    if outcome == "negbin":
        return NegBinFitted(np.r_[level, coef], 0.5, 4096, None)
    if outcome == "nb1":
        return NB1Fitted(np.r_[level, coef], 1.5, 4096, np.zeros(1), np.zeros(1), None)
    if outcome in ("many zeros", "few zeros"):
        alpha, both = 0.5 if outcome == "many zeros" else 0.0, np.r_[level, coef]
        return ZeroInflatedFitted(both, 0.3, NegBinFitted(both, alpha, 4096, None), None)
    if outcome == "double poisson":
        return DoublePoissonFitted(np.r_[level, coef], 0.6, 4096, None)
    if outcome == "shares":
        return SharesFitted(BINOMIAL["family"], np.r_[level, coef], 0.2, 1.0, None)
    if outcome == "probit":
        return ProbitFitted(np.r_[level, coef], None)
    if outcome == "cox":
        return CoxFitted(coef, np.full(n, 0.5 * np.exp(level - LEVEL)), np.ones(n), None)
    if outcome in ("ordinal", "ordered probit"):
        link = "logit" if outcome == "ordinal" else "probit"
        return OrdinalFitted(np.r_[0.0, coef], np.array([0.2, 1.5]) - level, None, link=link)
    return MultinomialFitted(np.outer(np.r_[level, coef], [0.5, 1.0]), None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "outcome",
    [
        "poisson",
        "gamma",
        "negbin",
        "nb1",
        "many zeros",
        "few zeros",
        "double poisson",
        "shares",
        "probit",
        "cox",
        "ordinal",
        "ordered probit",
        "multinomial",
    ],
)
def test_draws_of_one_hole_follow_the_normalised_density(outcome, shape):
    model, keywords, seen, log_density = analysis(outcome)
    rng = np.random.default_rng(3)
    n = 60 + N_DRAW
    levels = ["a", "b", "c"] if outcome in ("ordinal", "ordered probit", "multinomial") else None
    few = {"probit": [0.0, 1.0], "shares": [0.2, 0.4, 0.8]}.get(outcome, [1.0, 2.0, 3.0])
    known = np.resize(levels or few, 60)
    y = pd.Series([*known, *[seen] * N_DRAW])
    if levels:
        y = y.astype(pd.CategoricalDtype(levels, ordered=outcome != "multinomial"))
    x = np.r_[rng.uniform(0.3, 3.0, 60), np.full(N_DRAW, np.nan)]
    z = np.r_[rng.normal(size=60), np.full(N_DRAW, Z)]
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "died": 1.0, "trials": 5.0})
    frame.loc[:9, "died"] = 0.0
    plan, table = plan_of(frame, f"y ~ {SHAPES[shape]}", model, **keywords)
    engine = Engine(table, plan)
    values = {name: column.values.copy() for name, column in table.columns.items()}
    values["x"][60:] = MEAN
    store = engine.new_store(values)
    ready, layout = engine.factors[0], engine.layout
    columns = ready.model.columns[ready.model.columns != 0]
    label = {place: name for name, place in zip(engine.designs[0].names, layout.formula[0], strict=True)}
    slope = np.array([SLOPES[label[place]] for place in columns])
    level = LEVEL + float(slope @ layout.centre[columns])
    judge = fixed(outcome, slope * layout.scale[columns], level, n)
    response = Response(ready.response(values), weights=ready.weights)
    bench = LikelihoodTerm.of_factor(judge, ready.model, store, "x", response)
    grid = np.linspace(0.05, 3.0, 7)
    wanted = linear_of(shape, grid) - (level if outcome in ("cox", "ordinal", "ordered probit") else 0.0)
    got = bench.linear(np.zeros(7, dtype=np.int64), grid)
    if outcome == "multinomial":
        got = got[:, 1]
    np.testing.assert_allclose(got, wanted, atol=1e-9)
    own = NormalFitted(np.zeros(1), SD, MEAN, 1.0)
    with np.errstate(all="ignore"):
        choice, drawn = (
            Choice(Sampler.METROPOLIS if shape in ("x", "x*z") else Sampler.GRID, True, (False,)),
            values["x"][60:],
        )
        for _ in range(3):
            draw = draw_continuous(own, np.ones((N_DRAW, 1)), [bench], choice, drawn, rng)
            drawn = draw.values
        assert draw.stayed < 0.01 * N_DRAW
        fine = np.linspace(MEAN - 7 * SD, MEAN + 7 * SD, 40_001)
        logs = st.norm.logpdf(fine, MEAN, SD) + log_density(linear_of(shape, fine))
    weight = np.exp(np.nan_to_num(logs, nan=-np.inf) - np.nanmax(logs))
    cumulative = np.cumsum(weight) / weight.sum()
    # 52 tests at 1e-3: false alarm 5 %, and the seed is fixed
    assert st.kstest(draw.values, lambda v: np.interp(v, fine, cumulative)).pvalue > 1e-3


def test_an_outcome_proposed_from_its_family_follows_the_product():
    class Later:
        """An auxiliary that saw log(y) with noise."""

        def log_accept(self, at, values):
            return -0.5 * ((np.log(values) - 0.9) / 0.2) ** 2

    fitted = GlmFitted(GAMMA["family"], np.array([0.3]), 0.5, None)
    rng = np.random.default_rng(0)
    draw = draw_proposed(fitted, np.ones((N_DRAW, 1)), [Later()], np.ones(N_DRAW), rng)
    fine = np.linspace(1e-4, 15, 60_001)
    logs = st.gamma.logpdf(fine, 2.0, scale=np.exp(0.3) / 2) - 0.5 * ((np.log(fine) - 0.9) / 0.2) ** 2
    weight = np.exp(logs - logs.max())
    cumulative = np.cumsum(weight) / weight.sum()
    assert st.kstest(draw.values, lambda v: np.interp(v, fine, cumulative)).pvalue > 1e-3


# Weights on whole frames


def counts(n=300, seed=0):
    """A Poisson outcome, and a covariate with missing values."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    frame = pd.DataFrame({"y": rng.poisson(np.exp(0.2 + 0.4 * x + 0.2 * z)).astype(float), "x": x, "z": z})
    frame.loc[rng.random(n) < 0.3, "x"] = np.nan
    return frame


def drawn(frame, formula, model, m=1, sweeps=5, **keywords):
    plan, table = plan_of(frame, formula, model, **keywords)
    return [chain.imputed for chain in run(table, plan, range(m), sweeps, Seed(1), n_jobs=1)]


REPEATED = [
    POISSON, GAMMA, {"family": sm.families.Poisson(links.Sqrt())}, {"family": sm.families.Gaussian()},
    {"family": sm.families.Gaussian(links.Log())}, {"family": sm.families.InverseGaussian(links.Log())},
    {"family": sm.families.NegativeBinomial(alpha=0.5)}, {"family": sm.families.Binomial()},
    {"family": sm.families.Binomial(links.LogLog())}, {"family": sm.families.Binomial(links.Cauchy())},
    {"family": sm.families.Tweedie(links.Log(), var_power=1.5)},
]  # fmt: skip


@pytest.mark.parametrize(
    "family", REPEATED, ids=lambda w: f"{type(w['family']).__name__}-{type(w['family'].link).__name__}"
)
def test_a_frequency_weight_of_two_equals_two_rows(family, monkeypatch):
    frame = counts()
    name = type(family["family"]).__name__
    frame["y"] += 0.5 if name in ("Gamma", "InverseGaussian", "Gaussian") else 0.0
    frame["y"] = (frame["y"] > 1) * 1.0 if name == "Binomial" else frame["y"]
    frame["w"] = np.where(frame["x"].isna(), 1, np.arange(len(frame)) % 3 + 1)
    twice = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True).drop(columns="w")
    fill = ChainState.fill  # a row may keep the value it starts with: it is the same in both frames
    monkeypatch.setattr(ChainState, "fill", lambda state, first: fill(state, {"x": np.full(len(first["x"]), 0.1)}))
    together = drawn(frame, "y ~ x * z", "glm", freq_weights="w", **family)[0]["x"]
    apart = drawn(twice, "y ~ x * z", "glm", **family)[0]["x"]
    np.testing.assert_allclose(together, apart, rtol=1e-6)


def test_incomplete_rows_take_no_frequency_weight():
    frame = counts().assign(w=2)
    with pytest.raises(PlanError, match=r"incomplete rows have a frequency weight other than 1"):
        plan_of(frame, "y ~ x", "glm", freq_weights="w", **POISSON)


def test_incomplete_shares_are_drawn_with_their_trials():
    rng = np.random.default_rng(0)
    n = 400
    x, trials = rng.normal(size=n), rng.integers(2, 9, n)
    frame = pd.DataFrame({"share": rng.binomial(trials, expit(x)) / trials, "x": x, "trials": trials})
    frame.loc[:99, "share"] = np.nan
    holes = drawn(frame, "share ~ x", "glm", family=sm.families.Binomial(), var_weights="trials")[0]["share"]
    hits = holes * trials[:100]
    np.testing.assert_allclose(hits, np.rint(hits), atol=1e-9)
    assert len(np.unique(holes)) > 10


def test_an_exposure_is_part_of_an_incomplete_count():
    rng = np.random.default_rng(0)
    n = 2000
    years = rng.uniform(1, 100, n)
    frame = pd.DataFrame({"y": rng.poisson(0.3 * years).astype(float), "x": rng.normal(size=n), "years": years})
    frame.loc[:499, "y"] = np.nan
    for model, keywords in (("poisson", {}), ("negativebinomial", {}), ("glm", POISSON)):
        holes = drawn(frame, "y ~ x", model, exposure="years", **keywords)[0]["y"]
        ratio = holes.sum() / (0.3 * years[:500]).sum()
        assert abs(ratio - 1) < 0.06


def test_terms_count_a_row_as_often_as_its_frequency_weight():
    frame = counts()
    frame["w"] = np.where(frame["x"].isna(), 1, np.arange(len(frame)) % 3 + 1)
    twice = frame.loc[frame.index.repeat(frame["w"])].reset_index(drop=True).drop(columns="w")
    found = []
    for one, words in ((frame, {"freq_weights": "w"}), (twice, {})):
        table = read(one)
        question = ask("y ~ x * z", table, model="glm", keywords={**POISSON, **words})
        plan, table = make(table, [question], Options(congeniality="terms", methods={"x": "norm"}), {})
        found.append(run(table, plan, [0], 1, Seed(1), n_jobs=1)[0].imputed["x"])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    with pytest.raises(PlanError, match="frequency weight other than 1"):
        make(read(counts().assign(w=2)), [question_of("w")], Options(congeniality="terms"), {})


def question_of(weights):
    """A Poisson analysis with frequency weights."""
    return ask("y ~ x", read(counts().assign(w=2)), model="glm", keywords={**POISSON, "freq_weights": weights})


OFFSETS = {
    "logit": {}, "probit": {}, "ordinal": {}, "ordinal logit": LOGIT, "poisson": {}, "negativebinomial": {},
    "phreg": {"status": "died"}, "phreg efron": {"status": "died", "ties": "efron", "strata": "site"},
    "glm": GAMMA, "glm binomial": {"family": sm.families.Binomial()},
    "glm loglog": {"family": sm.families.Binomial(links.LogLog())},
    "glm negative binomial": {"family": sm.families.NegativeBinomial(alpha=0.5)},
    "glm gaussian log": {"family": sm.families.Gaussian(links.Log())},
}  # fmt: skip


def outcome_for(label, frame):
    """The outcome of a frame of counts as an analysis needs it."""
    y = frame["y"].to_numpy()
    if label.split()[0] in ("logit", "probit") or "binomial" in label.split()[-1:] or "loglog" in label:
        return (y > 1).astype(float) if "negative" not in label else y
    if label.startswith("ordinal"):
        return pd.Categorical.from_codes(np.minimum(y, 3).astype(int), list("abcd"), ordered=True)
    return y + 0.5 if label in ("glm", "phreg", "phreg efron", "glm gaussian log") else y


@pytest.mark.parametrize("label", OFFSETS)
def test_an_offset_that_is_a_share_of_a_covariate_only_moves_its_coefficient(label):
    frame = counts()
    frame["y"] = outcome_for(label, frame)
    frame["died"], frame["site"] = (np.arange(len(frame)) % 4 > 0) * 1.0, np.resize(list("ab"), len(frame))
    model, words = label.split()[0], OFFSETS[label]
    keep = ["y", "x", "z", *(word for word in ("died", "site") if word in words.values())]
    alone = drawn(frame[keep], "y ~ x * z", model, **words)[0]["x"]
    moved = drawn(frame[keep].assign(off=0.7 * frame["z"]), "y ~ x * z", model, offset="off", **words)[0]["x"]
    other = drawn(
        frame[keep].assign(off=np.sin(7 * frame["y"].factorize()[0])), "y ~ x * z", model, offset="off", **words
    )
    # one draw in a thousand may hang on the last bit of an acceptance
    assert np.mean(np.abs(moved - alone) > 1e-4 * np.std(alone)) < 0.01
    assert np.mean(np.abs(other[0]["x"] - alone) > 1e-4 * np.std(alone)) > 0.5


# What an analysis is given predicts its covariates


def test_strata_entry_weights_offset_and_log_exposure_predict_a_covariate():
    frame = counts().assign(years=lambda d: np.exp(d["z"] / 3) + 1, off=0.1, w=1.0, site=0)
    frame["off"], frame["site"] = np.arange(300) % 7 / 7, np.arange(300) % 3
    frame["w"] = np.arange(300) % 2 + 1.0
    plan, _ = plan_of(frame[["y", "x", "z", "years", "off"]], "y ~ x + z", "poisson", exposure="years", offset="off")
    assert plan["x"].predictors == ("z", "off", "np.log(years)")
    plan, _ = plan_of(frame[["y", "x", "z", "w"]], "y ~ x + z", "wls", weights="w")
    assert plan["x"].predictors == ("z", "w")
    times = frame.assign(y=frame["y"] + 1.0, late=frame["off"] / 2)[["y", "x", "z", "site", "late"]]
    plan, _ = plan_of(times, "y ~ x + z", "phreg", strata="site", entry="late")
    assert plan["x"].predictors == ("z", "C(site)", "late")
    constant, _ = plan_of(frame.assign(w=2.0)[["y", "x", "z", "w"]], "y ~ x + z", "wls", weights="w")
    assert constant["x"].predictors == ("z",)
    many, _ = plan_of(times.assign(site=np.arange(300)), "y ~ x", "phreg", strata="site")
    assert any("'site' has more than 15 strata" in event for event in many.events)


def test_a_covariate_that_follows_the_exposure_is_drawn_around_its_logarithm():
    rng = np.random.default_rng(0)
    n = 4000
    years = np.exp(rng.normal(size=n))
    x = 2 * np.log(years) + 0.3 * rng.normal(size=n)
    frame = pd.DataFrame({"y": rng.poisson(years).astype(float), "x": x, "years": years})
    gone = np.arange(n) % 3 == 0
    frame.loc[gone, "x"] = np.nan
    holes = drawn(frame, "y ~ x", "poisson", exposure="years")[0]["x"]
    # the residual spread is 0.3: five standard errors, false alarm below 1e-6
    assert abs(np.std(holes - 2 * np.log(years[gone])) - 0.3) < 5 * 0.3 / np.sqrt(2 * len(holes))


# Which likelihood


def test_a_share_is_no_binary_outcome():
    shares = pd.DataFrame({"y": [0.2, 0.5, 0.9, 0.3], "x": [1.0, 2.0, 3.0, 5.0]})
    table = read(shares)
    keywords = {"family": sm.families.Binomial()}
    question = ask("y ~ x", table, model="glm", keywords=keywords)
    assert isinstance(likelihood_of(question, table), Glm)
    with pytest.raises(PlanError, match="logit needs an outcome of two values"):
        plan_of(shares, "y ~ x", "logit")


@pytest.mark.parametrize("model", ["mnlogit", "ordinal"])
@pytest.mark.parametrize("holes", [False, True])
def test_numbers_serve_as_levels(model, holes):
    rng = np.random.default_rng(0)
    code = rng.integers(0, 3, 300)
    x = np.where(rng.random(300) < 0.3, np.nan, rng.normal(size=300) + 0.5 * code)
    found = []
    for levels in ([0.0, 1.0, 2.0], [1.0, 5.0, 9.5], pd.Categorical(list("abc"), ordered=True)):
        frame = pd.DataFrame({"y": pd.Series(levels)[code].reset_index(drop=True), "x": x})
        frame.loc[range(20 if holes else 0), "y"] = None
        found.append(drawn(frame, "y ~ x", model)[0])
    for other in found[1:]:
        for name, values in found[0].items():
            np.testing.assert_allclose(other[name], values, rtol=1e-8)


@pytest.mark.parametrize("model, words", [("poisson", {}), ("negativebinomial", {}), ("glm", GAMMA)])
def test_an_incomplete_two_valued_outcome_keeps_its_two_values(model, words):
    frame = counts()
    frame["y"] = np.where(frame["y"] > 0, 2.0, 1.0)
    frame.loc[:20, "y"] = np.nan
    plan, table = plan_of(frame, "y ~ x", model, **words)
    assert str(plan.factors[0].law).startswith("a 0/1 outcome is drawn by a logistic model with the same terms")
    holes = run(table, plan, [0], 5, Seed(1))[0].imputed["y"]
    assert set(holes) <= {0.0, 1.0}  # level codes


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_incomplete_tweedie_outcomes_are_drawn(power):
    frame = counts()
    frame["y"] += float(power == 2)
    frame.loc[:20, "y"] = np.nan
    family = sm.families.Tweedie(links.Log(), var_power=power)
    assert np.all(drawn(frame, "y ~ x", "glm", family=family)[0]["y"] >= 0)
    with pytest.raises(PlanError, match="var_power=3 is not drawn"):
        plan_of(frame, "y ~ x", "glm", family=sm.families.Tweedie(links.Log(), var_power=3))


def test_words_without_a_likelihood_fall_to_terms_with_an_event():
    frame = counts().assign(time=1.5, died=1.0, w=1.0)
    plan, _ = plan_of(frame, "time ~ x + z", "phreg", status="died", weights="w")
    assert plan.mode == "terms"
    assert any("no compatible draws" in event for event in plan.events)


# Refusals


def patients():
    rng = np.random.default_rng(0)
    n = 60
    frame = pd.DataFrame(
        {"time": rng.exponential(size=n) + 1, "died": (rng.random(n) < 0.5) * 1.0, "x": rng.normal(size=n)}
    )
    frame["site"], frame["entry"], frame["w"] = np.resize(["a", "b", "c"], n), 0.5, 2.0
    frame.loc[:9, "x"] = np.nan
    return frame


@pytest.mark.parametrize("word, name", [("status", "died"), ("entry", "entry"), ("strata", "site"), ("status", "time")])
def test_incomplete_survival_columns_are_named(word, name):
    frame = patients()
    frame.loc[20:22, name] = None if name == "site" else np.nan
    keywords = {"status": "died", **({word: name} if name != "time" else {})}
    with pytest.raises(PlanError, match=rf"{name}.*has (3 )?missing values"):
        plan_of(frame, "time ~ x", "phreg", **keywords)


@pytest.mark.parametrize(
    "model, keywords",
    [("wls", {"weights": "w"}), ("poisson", {"offset": "w"}), ("glm", {"var_weights": "w", **GAMMA})],
)
def test_incomplete_weights_and_offsets_are_named(model, keywords):
    frame = patients().assign(time=lambda f: np.ceil(f["time"]))
    frame.loc[30, "w"] = np.nan
    with pytest.raises(PlanError, match=r"='w' has 1 missing values"):
        plan_of(frame, "time ~ x", model, **keywords)


@pytest.mark.parametrize(
    "change, words, fact",
    [
        ({"died": lambda f: f["died"] + 1}, {}, r"status='died' holds 1, 2; an event is 1"),
        ({"entry": lambda f: f["time"]}, {"entry": "entry"}, r"entry='entry' is not before 'time' in 60 rows"),
        ({}, {"strata": ["site", "w"]}, r"strata= is neither a column nor 60 numbers"),
    ],
)
def test_survival_columns_out_of_range_are_named(change, words, fact):
    with pytest.raises(PlanError, match=fact):
        plan_of(patients().assign(**change), "time ~ x", "phreg", **{"status": "died", **words})


@pytest.mark.parametrize(
    "model, words, fact",
    [
        ("poisson", {"exposure": "x0"}, r"exposure='x0' must be above 0; it is not in 60 rows"),
        ("wls", {"weights": "x0"}, r"weights='x0' must be above 0"),
        ("glm", {"freq_weights": "half", **POISSON}, r"freq_weights='half' are not whole numbers in 60 rows"),
    ],
)
def test_weights_out_of_range_are_named(model, words, fact):
    frame = patients().assign(x0=0.0, half=0.5)
    with pytest.raises(PlanError, match=fact):
        plan_of(frame, "time ~ x", model, **words)


@pytest.mark.parametrize(
    "model, keywords, fact",
    [
        ("glm", GAMMA, r"glm needs an outcome above 0; 'y' is not in 2 rows"),
        ("poisson", {}, r"poisson needs an outcome 0 or more; 'y' is not in 1 rows"),
        ("negativebinomial", {}, r"negativebinomial needs an outcome whole numbers from 0"),
        ("probit", {}, r"probit needs an outcome of two values"),
    ],
)
def test_outcomes_that_a_family_cannot_have_are_refused(model, keywords, fact):
    frame = pd.DataFrame({"y": [0.0, -1.0, 2.5, 3.0, 1.2], "x": [1.0, np.nan, 3.0, 5.0, 2.0]})
    with pytest.raises(PlanError, match=fact):
        plan_of(frame, "y ~ x", model, **keywords)


def test_a_keyword_that_names_no_column_is_refused():
    with pytest.raises(DataError, match="dyed"):
        plan_of(patients(), "time ~ x", "phreg", status="dyed")


def test_an_unknown_family_is_refused():
    class Strange:
        link = links.Log()

    with pytest.raises(ModelError, match="family Strange has no likelihood here"):
        plan_of(patients(), "time ~ x", "glm", family=Strange())


def test_an_expression_is_drawn_by_a_linear_analysis_only():
    frame = counts()
    frame["y"] += 1.0
    frame.loc[:20, "y"] = np.nan
    with pytest.raises(FormulaError, match="only a linear analysis draws an expression"):
        plan_of(frame, "np.log(y) ~ x", "glm", family=sm.families.Gaussian(links.Log()))


def test_every_level_of_a_binary_outside_the_domain_still_ends():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"y": rng.poisson(2.0, 200).astype(float), "b": np.resize([0.0, 1.0], 200)})
    frame.loc[:30, "b"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        identity = sm.families.Poisson(links.Identity())
    holes = drawn(frame, "y ~ b", "glm", family=identity)[0]["b"]
    assert set(holes) <= {0.0, 1.0}


# Missing outcomes

MODELS = {
    "ols": ("ols", {}), "wls": ("wls", {"weights": "w"}), "logit": ("logit", {"offset": "off"}),
    "probit": ("probit", {}), "poisson": ("poisson", {"exposure": "years"}),
    "negativebinomial": ("negativebinomial", {}), "ordinal": ("ordinal", {}), "mnlogit": ("mnlogit", {}),
    "gaussian log": ("glm", {"family": sm.families.Gaussian(links.Log())}),
    "binomial loglog": ("glm", {"family": sm.families.Binomial(links.LogLog())}),
    "binomial trials": ("glm", {"family": sm.families.Binomial(), "var_weights": "trials"}),
    "poisson sqrt": ("glm", {"family": sm.families.Poisson(links.Sqrt())}),
    "nb": ("glm", {"family": sm.families.NegativeBinomial(alpha=0.5)}),
    "gamma": ("glm", GAMMA), "inverse gaussian": ("glm", {"family": sm.families.InverseGaussian(links.Log())}),
    "tweedie": ("glm", {"family": sm.families.Tweedie(links.Log(), var_power=1.5)}),
}  # fmt: skip


def with_missing_outcomes(label, later):
    """A frame for an analysis, a quarter of its outcomes missing; ``later`` adds a look at the outcome."""
    words = MODELS[label][1]
    frame, rng = counts(400), np.random.default_rng(7)
    y = frame["y"].to_numpy()
    whole = {"logit": y > 1, "probit": y > 1, "binomial loglog": y > 1, "binomial trials": np.minimum(y, 3) / 3}.get(
        label, y + (label in ("gamma", "inverse gaussian", "gaussian log"))
    )
    frame["y"] = np.asarray(whole, dtype=float)
    if label in ("ordinal", "mnlogit"):
        frame["y"] = pd.Categorical.from_codes(np.minimum(y, 2).astype(int), list("abc"), ordered=label == "ordinal")
    frame = frame.assign(w=1.0 + (y > 0), off=0.1 * frame["z"], years=1.0 + rng.random(400), trials=3)
    frame = frame[["y", "x", "z", *(v for v in words.values() if isinstance(v, str))]].copy()
    if later:
        frame["a"] = y + rng.normal(size=400)
    frame.loc[np.arange(400) % 4 == 1, "y"] = None
    return frame


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("label", MODELS)
def test_missing_outcomes_are_drawn_anew_in_every_sweep(label, later):
    model, words = MODELS[label]
    frame = with_missing_outcomes(label, later)
    few, more = (drawn(frame, "y ~ x * z", model, sweeps=k, **words)[0]["y"] for k in (6, 7))
    kept = frame["y"].dropna()
    values = kept.cat.codes.to_numpy() if hasattr(kept, "cat") else kept.to_numpy()
    assert np.mean(few != more) > 0.2
    # five standard errors of a mean of 100, the spread known up to a tenth: false alarm below 1e-4 in all
    spread = np.std(values) * np.sqrt(1 / 100 + 1 / 300)
    assert abs(more.mean() - values.mean()) < 5 * spread
    assert 0.4 < np.std(more) / np.std(values) < 2.5


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("label", MODELS)
def test_a_missing_outcome_says_something_of_a_covariate_only_through_an_auxiliary(label, later):
    model, words = MODELS[label]
    plan, table = plan_of(with_missing_outcomes(label, later), "y ~ x * z", model, **words)
    chain = run(table, plan, [0], 2, Seed(1), n_jobs=1)[0]
    many = table["y"].n_levels
    moved = (chain.imputed["y"] + 1) % many if many else chain.imputed["y"] + (1.0 if later else 1e6)
    other = replace(chain, imputed={**chain.imputed, "y": moved})
    one, two = (run(table, plan, [0], 3, Seed(1), before=[c], n_jobs=1)[0].imputed["x"] for c in (chain, other))
    assert np.array_equal(one, two) != later


@pytest.mark.slow
@pytest.mark.parametrize("label", MODELS)
def test_one_incomplete_covariate_settles_in_five_sweeps(label):
    """Its mean and its slope on the companion after 5 sweeps and after 40, over 40 chains."""
    model, words = MODELS[label]
    frame = with_missing_outcomes(label, False).dropna(subset=["y"]).reset_index(drop=True)
    plan, table = plan_of(frame, "y ~ x * z", model, **words)
    rows = table["x"].missing
    z = table["z"].values[rows]
    found = []
    for sweeps in (5, 40):
        holes = [chain.imputed["x"] for chain in run(table, plan, range(40), sweeps, Seed(1), n_jobs=1)]
        found.append([(x.mean(), np.polyfit(z, x, 1)[0]) for x in holes])
    gap = np.array(found[1]) - np.array(found[0])
    # four standard errors on two figures for 16 analyses: false alarm 0.2 %, and the seed is fixed
    assert np.all(np.abs(gap.mean(axis=0)) < 4 * gap.std(axis=0, ddof=1) / np.sqrt(40))


# Analyses that are not built


@pytest.mark.parametrize(
    "formula, words, fact",
    [
        ("Surv(time, upper, type='interval2') ~ x", {}, "interval censoring is not built yet"),
        ("time ~ x", {"model": "phreg", "status": "died", "upper": "upper"}, "interval censoring is not built yet"),
        ("time ~ x", {"model": "phreg", "status": "died", "weights": "w"}, "case-cohort samples is not built yet"),
        ("time ~ x", {"model": "phreg", "status": "died", "subcohort": "w"}, "case-cohort samples is not built yet"),
        ("time ~ x", {"model": "cch"}, "case-cohort samples is not built yet"),
        ("time ~ x", {"model": "finegray", "status": "died"}, "competing risks is not built yet"),
        ("time ~ x", {"model": "phreg", "status": "died", "cause": "w"}, "competing risks is not built yet"),
        ("time ~ x + tt(x)", {"model": "phreg", "status": "died"}, "varies with time is not built yet"),
    ],
)
def test_survival_analyses_that_are_not_built_are_refused_by_name_with_what_to_do_meanwhile(formula, words, fact):
    with pytest.raises(ModelError, match=fact) as found:
        patients().assign(upper=9.0).mice.impute(formula, m=2, rng=1, **words)
    assert "# meanwhile: " in found.value.do


def test_weights_of_other_analyses_are_no_case_cohort():
    with pytest.raises(PlanError, match="the analysis has weights, not the imputation models"):
        patients().mice.impute("time ~ x", weights="w", m=2, rng=1)
    with pytest.raises(ModelError, match="case-cohort"):
        patients().mice.impute("time ~ x", model=smf.phreg, status="died", weights="w", m=2, rng=1)


def test_several_causes_are_one_against_the_others():
    frame = patients().assign(cause=np.resize([0, 1, 2], 60))
    with pytest.raises(PlanError, match="status='cause' holds 0, 1, 2") as found:
        frame.mice.impute("time ~ x", model="phreg", status="cause", m=2, rng=1)
    assert "competing risks are not built" in str(found.value)
    assert "if 2 is the event" in found.value.do
    event = made(found.value.do, frame.assign(cause=frame["cause"].where(frame.index > 2)))["event"]
    assert event[:3].isna().all() and (event[3:].astype(bool) == (frame["cause"][3:] == 2)).all()


def made(code, df):
    """The frame after a line that a message printed was run on it."""
    names = {"df": df.copy(), "np": np, "pd": pd}
    exec(code, names)
    return names["df"]


def test_a_status_in_words_and_a_negative_time_are_refused_before_anything_is_drawn():
    frame = patients()
    words = frame.assign(died=frame["died"].map({0.0: "alive", 1.0: "dead"}))
    with pytest.raises(PlanError, match="holds alive, dead; an event is 1") as found:
        words.mice.impute("time ~ x", model="phreg", status="died", m=2, rng=1)
    event = made(found.value.do, words.assign(died=words["died"].where(words.index > 2)))["event"]
    assert event[:3].isna().all() and (event[3:].astype(bool) == (words["died"][3:] == "dead")).all()
    with pytest.raises(PlanError, match="is negative in .* rows") as found:
        frame.assign(time=frame["time"] - 1).mice.impute("np.log(time) ~ x", model="phreg", status="died", m=2, rng=1)
    assert found.value.do.startswith("df.mice.impute('time ~ x', model='phreg'")


@pytest.mark.parametrize(
    "outcome, wanted",
    [
        ("I(y / years)", lambda df: df["y"] / df["years"]), ("np.arcsinh(y)", lambda df: np.arcsinh(df["y"])),
        ("I(1/y)", lambda df: 1 / df["y"]),
    ],
)  # fmt: skip
def test_an_outcome_that_cannot_be_undone_comes_with_the_column_to_make(outcome, wanted):
    frame = counts().assign(y=lambda d: d["y"] + 1.0, years=2.0)
    frame["years"] += np.arange(300) % 3
    frame.loc[:9, "y"] = np.nan
    with pytest.raises(FormulaError, match="cannot be inverted") as found:
        frame.mice.impute(f"{outcome} ~ x + z", m=2, rng=1)
    column, call = found.value.do.split("; ")
    pd.testing.assert_series_equal(made(column, frame)["outcome"], wanted(frame), check_names=False)
    assert call.startswith("df.mice.impute('outcome ~ x + z', model='ols'")
    df = frame
    exec(found.value.do.replace("impute(", "plan("), {"df": df, "np": np, "pd": pd})  # it is a call to paste

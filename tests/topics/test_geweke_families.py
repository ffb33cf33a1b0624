"""Getting it right (Geweke 2004) for every family and link, with offset, weights, auxiliary and an incomplete outcome.

As in test_geweke: rows drawn by hand from the joint model lose values, one sweep with the parameters held draws these
again, and the law of every row must be as before. Rows whose mean leaves the family's domain have no density: the joint
model is that of the rows inside it.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import links

from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.methods.glm import GlmFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.negbin import NegBinFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.probit import ProbitFitted
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler.chain import Chain
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.likelihood_terms import LikelihoodTerm
from mifit.imputation.sampler.runs import run
from mifit.imputation.seed import Seed
from support.coefficients import coefficients
from support.known_parameters import COVARIATES, LIMIT, Fixed, figures
from support.made import make

F, ROWS, PHI = sm.families, 30_000, 0.4
SLOPES = {"Intercept": 0.2, "z": 0.3, "x": 0.9, "x:z": 0.6}


def family(make_it, *args, **more):
    """A family; statsmodels warns of links that may leave its domain."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_it(*args, **more)


# The linear predictor of each is level + share * (0.2 + 0.3 z + 0.9 x + 0.6 x z) + offset.
FAMILIES = {
    "Gaussian": (family(F.Gaussian), 0.0, 1.0),
    "Gaussian log": (family(F.Gaussian, links.Log()), 0.5, 0.2),
    "Gaussian inverse": (family(F.Gaussian, links.InversePower()), 3.0, 0.2),
    "Binomial": (family(F.Binomial), 0.0, 1.0),
    "Binomial probit": (family(F.Binomial, links.Probit()), 0.0, 0.6),
    "Binomial cauchit": (family(F.Binomial, links.Cauchy()), 0.0, 1.0),
    "Binomial log": (family(F.Binomial, links.Log()), -1.0, 0.2),
    "Binomial logc": (family(F.Binomial, links.LogC()), -1.0, 0.2),
    "Binomial cloglog": (family(F.Binomial, links.CLogLog()), -0.5, 0.5),
    "Binomial loglog": (family(F.Binomial, links.LogLog()), 0.5, 0.5),
    "Binomial identity": (family(F.Binomial, links.Identity()), 0.5, 0.1),
    "Poisson": (family(F.Poisson), 0.0, 0.4),
    "Poisson identity": (family(F.Poisson, links.Identity()), 2.0, 0.5),
    "Poisson sqrt": (family(F.Poisson, links.Sqrt()), 1.5, 0.3),
    "NegativeBinomial": (family(F.NegativeBinomial, alpha=0.5), 0.0, 0.4),
    "NegativeBinomial identity": (family(F.NegativeBinomial, links.Identity(), alpha=0.5), 2.0, 0.5),
    "NegativeBinomial cloglog": (family(F.NegativeBinomial, links.CLogLog(), alpha=0.5), -0.5, 0.4),
    "NegativeBinomial own": (family(F.NegativeBinomial, links.NegativeBinomial(alpha=0.5), alpha=0.5), -1.0, 0.15),
    "NegativeBinomial power": (family(F.NegativeBinomial, links.Power(power=0.4), alpha=0.5), 1.3, 0.2),
    "Gamma inverse": (family(F.Gamma), 1.5, 0.2),
    "Gamma log": (family(F.Gamma, links.Log()), 0.0, 0.4),
    "Gamma identity": (family(F.Gamma, links.Identity()), 2.0, 0.5),
    "Gamma power": (family(F.Gamma, links.Power(power=0.3), check_link=False), 1.3, 0.2),
    "InverseGaussian": (family(F.InverseGaussian), 2.0, 0.3),
    "InverseGaussian inverse": (family(F.InverseGaussian, links.InversePower()), 1.5, 0.2),
    "InverseGaussian identity": (family(F.InverseGaussian, links.Identity()), 2.0, 0.3),
    "InverseGaussian log": (family(F.InverseGaussian, links.Log()), 0.0, 0.3),
    "Tweedie": (family(F.Tweedie, links.Log(), var_power=1.5), 0.0, 0.4),
    "Tweedie power": (family(F.Tweedie, links.Power(power=0.5), var_power=1.5), 1.3, 0.2),
}
HEAVY = ("Gaussian", "Binomial", "Gamma", "InverseGaussian", "Tweedie")  # families that take weights here


def seen(law, kind, mean, weight, rng):
    """Outcomes of a family, by numpy alone."""
    phi = PHI / weight
    if law == "Gaussian":
        return mean + np.sqrt(phi) * rng.standard_normal(len(mean))
    if law == "Binomial":
        return rng.binomial(weight.astype(int), mean) / weight
    if law == "Poisson":
        return rng.poisson(mean).astype(float)
    if law == "NegativeBinomial":
        return rng.poisson(mean * rng.gamma(1 / kind.alpha, kind.alpha, len(mean))).astype(float)
    if law == "Gamma":
        return rng.gamma(1 / phi, mean * phi)
    if law == "InverseGaussian":
        return rng.wald(mean, 1 / phi)
    jumps = rng.poisson(mean**0.5 / (0.5 * phi))
    return np.array([rng.gamma(1.0, 0.5 * s, k).sum() for s, k in zip(phi * mean**0.5, jumps, strict=True)])


@dataclass
class Law:
    """A joint model of z, x, y, and an auxiliary a; ``draw`` by hand, ``judge`` as a factor with known parameters."""

    formula: str
    model: str
    keywords: dict
    covariate: str
    draw: Any
    judge: Any
    echo: bool = True

    def frame(self, n, rng):
        z = rng.standard_normal(n)
        x = COVARIATES[self.covariate][0](z, rng)
        eta = SLOPES["Intercept"] + SLOPES["z"] * z + SLOPES["x"] * x + SLOPES["x:z"] * x * z
        off, w = rng.uniform(-0.1, 0.1, n), rng.integers(1, 4, n).astype(float)
        found = self.draw(pd.DataFrame({"x": x, "z": z, "off": off, "w": w}), eta, rng)
        found = found[[c for c in found if c not in ("off", "w") or c in self.keywords.values()]].reset_index(drop=True)
        if self.echo:
            found["a"] = 0.1 + found["y"] / found["y"].std() + 0.2 * found["z"] + 0.7 * rng.standard_normal(len(found))
        return found

    def fixed(self, plan, table, spread):
        """The plan with every model replaced by its known parameters."""
        engine = Engine(table, plan)
        own = COVARIATES[self.covariate][1]
        variables = tuple(
            replace(v, method=Fixed(own(engine.layout, engine.own[v.name]))) if v.role == "covariate" else v
            for v in plan.variables
        )
        factors = []
        for factor, ready in zip(plan.factors, engine.factors, strict=True):
            if factor.role == "analysis":
                fitted = self.judge(engine.layout, ready.model)
            else:
                slopes = coefficients(engine.layout, ready.model, {"Intercept": 0.1, "y": 1 / spread, "z": 0.2})
                fitted = NormalFitted(slopes, 0.7, 0.0, 1.0)
            factors.append(replace(factor, method=Fixed(fitted)))
        return replace(plan, variables=variables, factors=tuple(factors))


def of_family(name, covariate, echo=True):
    """The joint model around a generalized linear model."""
    kind, level, share = FAMILIES[name]
    law = type(kind).__name__
    keywords = {"family": kind, "offset": "off", **({"var_weights": "w"} if law in HEAVY else {})}

    def draw(found, eta, rng):
        weight = found["w"].to_numpy() if law in HEAVY else np.ones(len(found))
        with np.errstate(all="ignore"):
            mean = kind.link.inverse(level + share * eta + found["off"].to_numpy())
        top = 1.0 if law == "Binomial" else np.inf
        low = mean >= 0 if law == "Binomial" else mean > 0  # a probability may round to 0 or 1
        inside = np.isfinite(mean) & ((low & (mean <= top)) if law != "Gaussian" else True)
        found, mean, weight = found[inside].copy(), np.asarray(mean)[inside], weight[inside]
        return found.assign(y=seen(law, kind, mean, weight, rng))

    def judge(layout, model):
        slopes = {label: share * slope for label, slope in SLOPES.items()}
        slopes["Intercept"] += level
        phi = 1.0 if law in ("Binomial", "Poisson", "NegativeBinomial") else PHI
        return GlmFitted(kind, coefficients(layout, model, slopes), phi, None)

    return Law("y ~ x * z", "glm", keywords, covariate, draw, judge, echo)


def strain_of(law, missing, seed):
    """Largest |z| of the change that a sweep makes to exact draws; each row is complete or lacks one of `missing`."""
    complete = law.frame(ROWS, np.random.default_rng(seed))
    n = len(complete)
    frame = complete.copy()
    group = np.arange(n) % (len(missing) + 1)
    for number, names in enumerate(missing):
        frame.loc[group == number, list(names)] = None if frame[names[-1]].dtype == "category" else np.nan
    table = read(frame)
    exact = read(complete, {name: column.coding for name, column in table.columns.items()})
    question = ask(law.formula, table, model=law.model, keywords=law.keywords)
    plan, table = make(table, [question], Options(), {})
    values = {name: column.values for name, column in exact.columns.items()}
    start = Chain(0, 1, {name: values[name][table[name].missing] for name in plan.order}, {}, {})
    spread = float(complete["y"].std()) if law.echo else 1.0
    moved = run(table, law.fixed(plan, table, spread), [0], 2, Seed(seed), before=[start], n_jobs=1)[0]
    after = {name: column.copy() for name, column in values.items()}
    for name, drawn in moved.imputed.items():
        assert np.mean(drawn != start.imputed[name]) > 0.02
        after[name][table[name].missing] = drawn
    old, new = figures(values, exact), figures(after, exact)
    change = {name: new[name] - old[name] for name in old}
    scores = {name: d.mean() / (d.std() / np.sqrt(n)) for name, d in change.items() if d.any()}
    worst = max(scores, key=lambda name: abs(scores[name]))
    return abs(scores[worst]), worst


EVERYTHING = [["x"], ["y"], ["a"], ["x", "y"], ["y", "a"], ["x", "a"], ["x", "y", "a"]]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sweep_leaves_every_family_as_it_is_where_everything_has_holes(name):
    score, worst = strain_of(of_family(name, "norm"), EVERYTHING, seed=11)
    assert score < LIMIT, worst


@pytest.mark.parametrize("covariate", ["binary", "power, Box-Cox", "ordinal", "Poisson"])
@pytest.mark.parametrize("name", ["Binomial cloglog", "Gamma identity", "Tweedie", "NegativeBinomial power"])
def test_a_sweep_leaves_covariates_of_other_kinds_as_they_are(name, covariate):
    score, worst = strain_of(of_family(name, covariate), [["x"], ["x", "a"], ["y"]], seed=12)
    assert score < LIMIT, worst


@pytest.mark.parametrize("name", FAMILIES)
def test_a_sweep_without_an_auxiliary_leaves_an_incomplete_outcome_as_it_is(name):
    score, worst = strain_of(of_family(name, "norm", echo=False), [["x"], ["y"], ["x", "y"]], seed=13)
    assert score < LIMIT, worst


def _two(found, eta, rng):
    return found.assign(y=(eta + found["off"] + rng.standard_normal(len(eta)) > 0).astype(float))


CUTS = np.array([-0.7, 0.4, 1.5])


def _ordered(noise):
    def draw(found, eta, rng):
        codes = ((eta + found["off"].to_numpy() + noise(rng, len(eta)))[:, None] > CUTS).sum(axis=1)
        return found.assign(y=codes + 1.0)

    return draw


def _counts(alpha):
    def draw(found, eta, rng):
        mean = np.exp(0.4 * eta + found["off"].to_numpy())
        return found.assign(y=rng.poisson(mean * (rng.gamma(1 / alpha, alpha, len(eta)) if alpha else 1.0)) * 1.0)

    return draw


def _levels(found, eta, rng):
    odds = np.column_stack([0 * eta, eta, 0.3 - 0.5 * eta])
    return found.assign(y=pd.Categorical.from_codes(np.argmax(odds + rng.gumbel(size=odds.shape), axis=1), list("abc")))


def scaled(share):
    return {label: share * slope for label, slope in SLOPES.items()}


OFF = {"offset": "off"}
BY_LEVEL = {k: v * np.array([1, -0.5]) + (k == "Intercept") * np.array([0, 0.3]) for k, v in SLOPES.items()}
LAWS = {
    "probit": Law("y ~ x * z", "probit", OFF, "norm", _two,
                  lambda la, mo: ProbitFitted(coefficients(la, mo, SLOPES), None)),
    "poisson": Law("y ~ x * z", "poisson", OFF, "norm", _counts(0.0),
                   lambda la, mo: PoissonFitted(coefficients(la, mo, scaled(0.4)), 100_000, None)),
    "negativebinomial": Law("y ~ x * z", "negativebinomial", OFF, "norm", _counts(0.5),
                            lambda la, mo: NegBinFitted(coefficients(la, mo, scaled(0.4)), 0.5, 100_000, None)),
    "ordinal": Law("y ~ x * z", "ordinal", {"distr": "logit", **OFF}, "norm", _ordered(lambda r, n: r.logistic(size=n)),
                   lambda la, mo: OrdinalFitted(coefficients(la, mo, SLOPES), CUTS, None), echo=False),
    "ordered probit": Law("y ~ x * z", "ordinal", OFF, "norm", _ordered(lambda r, n: r.standard_normal(n)),
                          lambda la, mo: OrdinalFitted(coefficients(la, mo, SLOPES), CUTS, None, link="probit"),
                          echo=False),
    "mnlogit": Law("y ~ x * z", "mnlogit", {}, "norm", _levels,
                   lambda la, mo: MultinomialFitted(coefficients(la, mo, BY_LEVEL), None), echo=False),
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_a_sweep_leaves_the_other_likelihoods_as_they_are(name):
    law = LAWS[name]
    score, worst = strain_of(law, EVERYTHING if law.echo else [["x"], ["y"], ["x", "y"]], seed=14)
    assert score < LIMIT, worst


@pytest.mark.parametrize("name", ["Gamma log", "NegativeBinomial", "Poisson identity", "Tweedie"])
def test_an_offset_or_weight_that_is_forgotten_is_noticed(name, monkeypatch):
    of_factor = LikelihoodTerm.of_factor.__func__
    monkeypatch.setattr(
        LikelihoodTerm,
        "of_factor",
        classmethod(lambda cls, *a, **k: of_factor(cls, *a[:4], a[4]._replace(weights=None, offset=None), a[5])),
    )
    law = of_family(name, "norm", echo=False)
    wide = replace(law, draw=lambda f, eta, rng: law.draw(f.assign(off=20 * f["off"].abs()), eta, rng))
    assert strain_of(wide, [["x"]], seed=15)[0] > 2 * LIMIT


def test_every_family_is_here():
    tried = {type(kind).__name__: set() for kind, _, _ in FAMILIES.values()}
    for kind, _, _ in FAMILIES.values():
        tried[type(kind).__name__].add(type(kind.link))
    for name, found in tried.items():
        assert set(getattr(F, name).links) <= found, name

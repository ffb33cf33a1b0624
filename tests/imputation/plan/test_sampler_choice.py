"""The plan states the sampler that runs, for every family, kind of column and option; its acceptance is kept."""

import warnings
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.frame.table import read
from mifit.imputation.contract import Visit
from mifit.imputation.methods import METHODS, Glm, Probit
from mifit.imputation.methods.mixture import MixtureFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.plan.sampler_choice import ACCEPTING, Choice, Sampler, offers
from mifit.imputation.sampler import samplers
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.mixture_term import MixtureTerm
from support.plans import PLANS, Undeclared
from support.scenarios_likelihoods import LIKELIHOODS, with_echo
from support.scenarios_linear import LINEAR

SCENARIOS = {**LINEAR, **LIKELIHOODS}


class Watched:
    """What ran for each column of the chains: the primitives of the samplers, seen from outside of the choice."""

    def __init__(self, monkeypatch):
        self.ran, self.tried = defaultdict(set), defaultdict(bool)
        self.name = None
        for primitive, word in (
            ("draw_around_top", "metropolis"), ("draw_on_grid", "grid"), ("draw_proposed", "rejection"),
            ("draw_discrete", "enumerate"), ("product", "product"),
        ):  # fmt: skip
            monkeypatch.setattr(samplers, primitive, self._noting(getattr(samplers, primitive), word))
        monkeypatch.setattr(samplers, "draw_own_mixture", self._noting_joint(samplers.draw_own_mixture))
        monkeypatch.setattr(MixtureTerm, "stepped", self._noting(MixtureTerm.stepped, "steps"))
        monkeypatch.setattr(MixtureFitted, "labelled", self._noting(MixtureFitted.labelled, "given the value"))
        components = MixtureTerm.information_of_components
        monkeypatch.setattr(MixtureTerm, "information_of_components", self._noting_current(components))
        monkeypatch.setattr(ChainState, "visit", self._visiting(ChainState.visit))

    def _noting(self, inner, word):
        def noted(*args, **keywords):
            self.ran[self.name].add(word)
            return inner(*args, **keywords)

        return noted

    def _noting_joint(self, inner):
        def noted(own, X, normals, others, score, rng):
            if not others:
                self.ran[self.name].add("product")
            return inner(own, X, normals, others, score, rng)

        return noted

    def _noting_current(self, inner):
        def noted(term, backward, mean, spread, unit, rng, *current):
            if current:
                self.ran[self.name].add("given the value")
            return inner(term, backward, mean, spread, unit, rng, *current)

        return noted

    def _visiting(self, inner):
        def visited(running, variable, rng):
            self.name = variable.name
            found = inner(running, variable, rng)
            self.name = None  # the first fill of the next chain is no visit
            self.tried[variable.name] |= found.draw.tried > 0
            return found

        return visited

    def sampler(self, name, stated):
        """The sampler that drew a column, from what was seen."""
        ran = self.ran[name]
        for word in ("rejection", "grid", "metropolis"):
            if word in ran:
                return word
        if self.tried[name] and "steps" not in ran and stated in ("metropolis", "grid"):
            return stated  # a proposal might have been refused, but every draw of the product did
        if "enumerate" in ran:
            return "enumerate"
        if "steps" in ran:
            return "steps"
        if "given the value" in ran:
            return "Gibbs"
        return "closed form" if "product" in ran else "own"


def stated_and_seen(imp, watched):
    """Sampler of each column: by the plan, by what ran; share of values kept, of columns where that is counted."""
    stated = {v.name: v.sampler for v in imp.plan.variables if v.name in imp.plan.order}
    counted = {name for chain in imp._record.chains for name in chain.sampled}
    total = {name: np.sum([chain.sampled[name] for chain in imp._record.chains], axis=0) for name in counted}
    accepted = {name: stayed / drawn for name, (drawn, _, stayed) in total.items()}
    return stated, {name: watched.sampler(name, stated[name]) for name in stated}, accepted


def judged(imp, watched):
    stated, seen, accepted = stated_and_seen(imp, watched)
    assert stated == seen
    assert set(stated.values()) <= set(Sampler)
    assert set(accepted) == {name for name, sampler in stated.items() if Sampler(sampler) in ACCEPTING}
    assert all(0 <= share <= 1 for share in accepted.values())
    told = imp.events.loc[imp.events["source"] == "sampler"].set_index("variable")["event"]
    assert set(told.index) == {name for name, share in accepted.items() if share > 0.2}
    for name, text in told.items():
        assert f"{100 * accepted[name]:.0f} % of rows kept their value at a visit" in text


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_states_the_sampler_that_runs_and_acceptance_is_kept(name, monkeypatch):
    asked = PLANS[name]()
    watched = Watched(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        imp = asked.frame.mice.impute(asked.formula, m=2, iterations=2, rng=7, n_jobs=1, **asked.words)
    judged(imp, watched)


@pytest.mark.parametrize("echo", [False, True], ids=["", "with an auxiliary"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_so_it_does_in_every_scenario(name, echo, monkeypatch):
    scenario = with_echo(SCENARIOS[name]) if echo and name not in LINEAR else SCENARIOS[name]
    _, frame = scenario.frames(np.random.default_rng(1))
    if echo and name in LINEAR:
        frame["echo"] = np.random.default_rng(2).normal(size=len(frame))
    watched, words = Watched(monkeypatch), {"model": scenario.model, **scenario.keywords}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        asked = scenario.declared or scenario.formula
        imp = mifit.impute(frame, asked, m=2, iterations=2, rng=7, n_jobs=1, **words)
    judged(imp, watched)


@pytest.mark.parametrize(
    "method", [*METHODS.values(), Probit(), Glm(sm.families.Gaussian())], ids=lambda m: type(m).__name__
)
def test_what_a_method_is_said_to_offer_is_what_its_fitted_half_has(method):
    rng = np.random.default_rng(1)
    made = {
        "numeric": rng.normal(size=60), "count": rng.poisson(3, 60), "binary": rng.integers(0, 2, 60),
        "nominal": rng.choice(list("abc"), 60), "ordinal": pd.Categorical(rng.choice(list("abc"), 60), ordered=True),
    }  # fmt: skip
    table = read(pd.DataFrame(made))
    said = offers(method, table["numeric"])
    tried = [name for name in made if table[name].kind in method.kinds]
    assert tried
    for name in tried:
        column = table[name]
        y = column.values
        X = np.column_stack([np.ones(60), rng.normal(size=60)])
        visit = Visit(y, X, np.array([0, 1]), column.kind, column.n_levels)
        fitted = method.fit(visit, rng)
        assert said.normal == hasattr(fitted, "mean_sd")
        assert said.direct == (hasattr(fitted, "mean_sd") and fitted.forward(y) is y)
        assert said.levels == hasattr(fitted, "log_probabilities")
        assert said.donors == hasattr(fitted, "sample_within") == hasattr(fitted, "sample_among")
        assert said.gaussian == hasattr(fitted, "standardised")
        assert said.components == hasattr(fitted, "labelled")


@pytest.mark.parametrize("name", ["norm", "mixture", "power", "logistic", "negbin", "pmm", "sample"])
def test_a_method_that_is_none_of_ours_is_tried(name):
    rng = np.random.default_rng(1)
    values = {"logistic": rng.integers(0, 2, 80), "negbin": rng.poisson(4, 80)}.get(name, np.exp(rng.normal(size=80)))
    column = read(pd.DataFrame({"v": pd.Series(values).mask(rng.random(80) < 0.2)}))["v"]
    assert offers(Undeclared(name), column) == offers(METHODS[name], column)


def test_a_method_that_fails_on_trial_serves_as_proposals():
    class Picky(Undeclared):
        def fit(self, visit, rng):
            if visit.X.shape[1] == 1:
                raise ValueError("give me predictors")
            return super().fit(visit, rng)

    asked = PLANS["ols | x"]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        imp = asked.frame.mice.impute(asked.formula, m=2, iterations=2, rng=1, n_jobs=1, methods={"x": Picky("norm")})
    assert imp.plan["x"].sampler == "rejection"
    assert all(list(chain.sampled) == ["x"] for chain in imp._record.chains)


def test_acceptance_is_the_share_of_proposals_that_would_do():
    """A judge that accepts a proposal with probability p, whatever the value: the count of proposals says p."""

    class Even:
        components = False

        def __init__(self, share):
            self.share = share

        def log_accept(self, at, values):
            return np.full(len(at), np.log(self.share))

    for share in (1.0, 0.6, 0.2):
        for choice in (Choice(Sampler.REJECTION),):
            n = 20_000
            own = NormalFitted(np.array([0.3]), 1.2, 0.5, 1.0)
            found = samplers.draw(
                choice, own, np.ones((n, 1)), [Even(share)], None, np.zeros(n), np.random.default_rng(5)
            )
            # the proposals until the first success: sd of their mean sqrt(1 - p) / p; 5 sd: false alarm 6e-7 each
            apart = 5 * np.sqrt(1 - share) / share / np.sqrt(n)
            assert found.drawn == n and not found.stayed
            assert abs(found.tried / n - 1 / share) <= apart


@pytest.mark.parametrize("name", ["gamma | x", "ols | size", "plain norm, censored", "condition on norm",
                                  "two outcomes, the second with a square of the first", "id, y ~ size + z, size, 0",
                                  "groups", "ols | flag", "outcome np.sqrt(up)"])  # fmt: skip
def test_explanation_plan_report_and_repr_name_the_same_sampler(name, tmp_path):
    asked = PLANS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        imp = asked.frame.mice.impute(asked.formula, m=2, iterations=2, rng=7, n_jobs=1, **asked.words)
    for column in imp.plan.order:
        sampler = imp.plan[column].sampler
        row = int(np.flatnonzero(asked.frame[column].isna())[0])
        said = dict(imp.explain(row, column).said)
        assert said.get("sampler", "own") == sampler
        if "acceptance" in said:
            assert sampler == "rejection"
        if sampler == "rejection" and "weighed by" in said:
            assert "acceptance" in said
        line = next(line for line in repr(imp).splitlines() if line.startswith(f"  {column} "))
        assert line.endswith(sampler) or sampler == "own"
    imp.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("drawn anew)") == sum(Sampler(imp.plan[name].sampler) in ACCEPTING for name in imp.plan.order)

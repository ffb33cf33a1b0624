"""Keywords of an analysis: arrays that are columns, what a later fit inherits, and the call that is offered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.errors import CongenialityError, CongenialityWarning, PlanError


def visits(n: int = 300) -> pd.DataFrame:
    """Counts over unequal times, and survival, on a covariate that loses values."""
    rng = np.random.default_rng(5)
    x, years = rng.normal(size=n), rng.uniform(1, 5, n)
    time, end = rng.exponential(np.exp(-0.7 * x)), rng.exponential(1.5, n)
    frame = pd.DataFrame({"count": rng.poisson(years * np.exp(0.5 * x)), "years": years, "x": x})
    frame = frame.assign(z=rng.normal(size=n), time=np.minimum(time, end), died=(time < end).astype(int))
    return frame.assign(x=frame["x"].where(rng.random(n) > 0.4))


def test_an_array_that_is_a_column_is_that_column():
    frame = visits()
    survival, counts = frame[["time", "died", "x"]], frame[["count", "years", "x"]]
    for by_name, by_array in (
        (survival.mice.impute("time ~ x", model="phreg", status="died", m=2, rng=1),
         survival.mice.impute("time ~ x", model="phreg", status=frame["died"], m=2, rng=1)),
        (counts.mice.impute("count ~ x", model="poisson", exposure="years", m=2, rng=1),
         counts.mice.impute("count ~ x", model="poisson", exposure=frame["years"].to_numpy(), m=2, rng=1)),
    ):  # fmt: skip
        assert by_array.fingerprint == by_name.fingerprint
        assert by_array.plan.questions[0].keywords == by_name.plan.questions[0].keywords
        assert not [f for f in by_array.plan.factors if f.role == "auxiliary"]


def test_an_array_that_follows_from_a_column_is_refused_with_the_call_that_names_it():
    with pytest.raises(PlanError, match="follows from 'years'") as caught:
        visits().mice.impute("count ~ x", model="poisson", offset=np.log(visits()["years"]))
    assert caught.value.do == "df.mice.impute('count ~ x', model='poisson', exposure='years')"


def test_an_array_that_is_nobodys_is_taken_as_it_is():
    weights = np.random.default_rng(1).uniform(1, 2, 300)
    plan = visits().mice.plan("z ~ x", model="wls", weights=weights)
    assert plan.questions[0].keywords["weights"] is weights


def test_an_analysis_of_the_same_outcome_inherits_model_and_keywords():
    imp = visits().mice.impute("time ~ x", model="phreg", status="died", m=2, rng=1)
    for asked in (imp.fit("time ~ 1 + x"), imp.fit("time ~ x", model="phreg")):
        assert asked.fits.label == "PHReg"
        assert asked.congeniality.word == "exact"
    with pytest.warns(CongenialityWarning):
        wider = imp.fit("time ~ x + z")
    assert wider.fits.label == "PHReg"
    assert wider.imputations.plan.questions[-1].keywords["status"] == "died"


def test_arrays_among_keywords_can_be_compared():
    frame = visits()
    weights = np.random.default_rng(1).uniform(1, 2, 300)
    imp = frame.mice.impute("z ~ x", model="wls", weights=weights, m=2, rng=1)
    assert imp.fit("z ~ x", model="wls", weights=weights.copy()).congeniality.word == "exact"
    with pytest.warns(CongenialityWarning):
        imp.fit("z ~ x", model="wls", weights=weights[::-1])


def test_the_call_that_is_offered_draws_the_very_same_sets():
    frame = visits()
    imp = frame.mice.impute(
        "count ~ x", model="poisson", exposure="years", methods={"z": "leave"}, iterations=6, m=2, rng=7
    )
    with pytest.raises(CongenialityError) as caught:
        imp.fit("count ~ x * died", uncovered="raise")
    with pytest.warns(CongenialityWarning):
        again = imp.fit("count ~ x * died").imputations
    scope: dict[str, object] = {"df": frame}
    exec(caught.value.do, scope)
    assert scope["imp"].fingerprint == again.fingerprint


def test_a_plan_takes_the_words_that_only_impute_needs():
    frame = visits()
    assert frame.mice.plan("z ~ x", m=5, rng=1, n_jobs=2, progress=False) == frame.mice.plan("z ~ x")


def test_imputing_again_that_fails_says_that_it_was_imputing_again():
    frame = visits()
    imp = frame.mice.impute("z ~ x", derived={"d": "x * 2"}, m=2, rng=1)
    with pytest.raises(CongenialityError, match="with the same options fails: the outcome 'd' is derived"):
        imp.fit("d ~ count", model="ols")


def test_what_cannot_be_drawn_compatibly_again_is_drawn_with_the_terms_of_the_analysis():
    frame = visits()
    imp = frame.mice.impute("z ~ x", predictors={"x": ["count"]}, m=2, rng=1)
    with pytest.warns(CongenialityWarning, match="its terms serve as predictors") as caught:
        again = imp.fit("count ~ x", model="ols")
    assert again.congeniality.word == "approximate"
    scope: dict[str, object] = {"df": frame}
    exec(str(caught[0].message).partition("to avoid it: ")[2].splitlines()[0], scope)
    assert scope["imp"].fingerprint == again.imputations.fingerprint


def test_long_data_whose_columns_kept_their_holes_come_back():
    frame = visits().assign(comment=lambda f: pd.Series(["a", "b", "c"] * 100).where(f["z"] > 0))
    imp = frame.mice.impute("z ~ x", methods={"comment": "leave"}, m=2, rng=1)
    back = mifit.from_long(imp.to_long())
    assert back.fingerprint == imp.fingerprint
    pd.testing.assert_frame_equal(back[1].reset_index(drop=True), imp[1].reset_index(drop=True))


@pytest.mark.parametrize("model", ["glm", "poisson"])
def test_an_outcome_judges_once_however_its_analysis_is_spelled(model):
    frame = visits()[["count", "x", "z"]]
    imp = frame.mice.impute("count ~ x", model="glm", family=sm.families.Poisson(), m=2, rng=1)
    words = {"family": sm.families.Poisson()} if model == "glm" else {}
    with pytest.warns(CongenialityWarning):
        again = imp.fit("count ~ x * z", model=model, **words).imputations
    assert len([f for f in again.plan.factors if f.role == "analysis"]) == 1


_FAMILIES = sm.families
WEIGHTED = {
    "ols": ("y ~ x", {"model": "ols"}),
    "logit": ("b ~ x", {"model": "logit"}),
    "poisson": ("n ~ x", {"model": "poisson"}),
    "glm": ("b ~ x", {"model": "glm", "family": _FAMILIES.Binomial()}),
    "probit": ("b ~ x", {"model": "probit"}),
    "fractions as frequencies": ("b ~ x", {"model": "glm", "family": _FAMILIES.Binomial(), "freq_weights": "w"}),
    "variance weights": ("n ~ x", {"model": "glm", "family": _FAMILIES.Poisson(), "var_weights": "w"}),
}


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_call_that_a_refusal_of_weights_prints_runs_and_keeps_the_weights(name):
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"x": rng.normal(size=150), "w": rng.uniform(0.3, 4, 150)})
    df["y"] = df["x"] + rng.normal(size=150)
    df["b"], df["n"] = (df["y"] > 0).astype(float), rng.poisson(np.exp(0.3 * df["x"]))
    df.loc[::6, "x"] = np.nan
    formula, words = WEIGHTED[name]
    with pytest.raises(PlanError) as caught:
        df.mice.impute(formula, m=2, rng=1, iterations=2, weights="w", **words)
    imp = eval(caught.value.do, {"df": df, "sm": sm})
    question = imp.plan.questions[0]
    assert "w" in (*question.keywords.values(), imp.plan.options.weights)
    if question.model != "glm":
        return
    res, done = imp.fit(), imp[0]
    family = words.get("family") or {"logit": _FAMILIES.Binomial(), "poisson": _FAMILIES.Poisson()}[name]
    direct = sm.GLM(done[formula[0]], sm.add_constant(done["x"]), family=family, var_weights=done["w"]).fit()
    np.testing.assert_allclose(np.asarray(res.results[0].params), direct.params, rtol=1e-6)

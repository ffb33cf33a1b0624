"""Several analyses at once: one outcome under the union of its terms, several outcomes side by side or in sequence."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from mifit import CongenialityError, ModelError, PlanError

BOTH = ["y1 ~ x1*x2", "y2 ~ x1*x2"]
WISHES = {"m": 2, "rng": 1, "iterations": 5}


def frames(seed, n=600, link=0.8, holes=0.35):
    """Two outcomes whose residuals correlate; complete, and with missing values in both covariates."""
    rng = np.random.default_rng(seed)
    x1, e = rng.normal(size=(2, n))
    x2 = rng.integers(0, 2, n).astype(float)
    own = np.sqrt(1 - link**2) * rng.normal(size=n)
    full = pd.DataFrame({"x1": x1, "x2": x2, "y1": 1 + x1 / 2 + x2 / 2 + 0.7 * x1 * x2 + e})
    full["y2"] = -x1 / 2 + 0.3 * x2 + 0.6 * x1 * x2 + link * e + own
    frame = full.copy()
    frame.loc[rng.random(n) < holes, "x1"] = np.nan
    frame.loc[rng.random(n) < 0.2, "x2"] = np.nan
    return full, frame


def errors(link, order, n_frames=14):
    """Interaction of each outcome less that of the complete frame, shape (n_frames, 2)."""
    found = []
    for seed in range(n_frames):
        full, frame = frames(seed)
        imp = frame.mice.impute(order, link=link, m=3, rng=seed, iterations=6)
        found.append([imp.fit(f).params["x1:x2"] - smf.ols(f, full).fit().params["x1:x2"] for f in BOTH])
    return np.array(found)


def test_in_sequence_both_interactions_are_unbiased_though_residuals_correlate():
    """Within 3.5 standard errors of zero (1 in 1,000 over two); drawn as independent they are far off."""
    found = errors("sequence", BOTH)
    assert (np.abs(found.mean(axis=0)) < 3.5 * found.std(axis=0, ddof=1) / np.sqrt(len(found))).all()
    wrong = errors("independent", BOTH, 6)
    assert (wrong.mean(axis=0) > 0.06).all()


def test_one_outcome_is_imputed_under_the_union_of_its_terms():
    frame = frames(1)[1]
    union = ["y1 ~ x1*x2", "y1 ~ bs(x1, df=4)"]
    imp = frame.mice.impute(union, auxiliary="ignore", **WISHES)
    assert len([f for f in imp.plan.factors if f.role == "analysis"]) == 1
    for formula in union:
        assert set(imp.check(formula)["verdict"]) == {"exact"}
        assert str(imp.fit(formula).congeniality).startswith("exact: as declared; residuals: nothing speaks against")
    assert set(imp.check("y1 ~ x1 + x2")["verdict"]) == {"implied"}
    assert imp.check("y1 ~ x2*bs(x1, df=4)")["verdict"].iloc[-1] == "absent"


def test_different_outcomes_multiply_and_the_plan_says_how():
    frame = frames(1)[1]
    independent, sequence = (frame.mice.plan(BOTH, link=link) for link in ("independent", "sequence"))
    assert "outcomes   : independent given covariates" in str(independent)
    assert "outcomes   : each given the ones before it" in str(sequence)
    assert [f.label for f in independent.factors if f.role == "analysis"] == BOTH
    pieces = [[piece.what for piece in f.pieces] for f in sequence.factors if f.role == "analysis"]
    assert pieces == [["formula"], ["formula", "outcome"]]
    assert "outcomes   :" not in str(frame.mice.plan(BOTH[0]))


def test_an_outcome_is_never_a_predictor_of_a_covariate():
    plan = frames(1)[1].mice.plan(BOTH, link="sequence")
    assert plan["x1"].predictors == ("x2",)
    assert plan["x2"].predictors == ("x1",)


@pytest.mark.parametrize("link", ["independent", "sequence"])
def test_outcomes_with_holes_of_different_models_are_drawn(link):
    frame = frames(2)[1]
    frame["b"] = pd.Series(np.where(frame["y2"] > 0, "yes", "no")).mask(np.arange(600) % 7 == 0)
    frame.loc[::5, "y1"] = np.nan
    imp = frame.drop(columns="y2").mice.impute(["y1 ~ x1*x2", "b ~ x1*x2"], link=link, **WISHES)
    assert not imp[1].isna().any().any()
    assert imp.plan["b"].role == "outcome"
    rows = {f.label: f.rows for f in imp.plan.factors}
    assert rows == {"y1 ~ x1*x2": "all" if link == "sequence" else "observed", "b ~ x1*x2": "observed"}
    words = {"y1 ~ x1*x2": "same mean", "b ~ x1*x2": "exact" if link == "independent" else "approximate"}
    for formula, word in words.items():  # logistic given y1 is not logistic without it
        assert np.isfinite(imp.fit(formula).params).all()
        assert set(imp.check(formula)["verdict"]) == {word}


def test_in_sequence_an_outcome_covers_analyses_given_those_before_it():
    imp = frames(1)[1].mice.impute(BOTH, link="sequence", auxiliary="ignore", **WISHES)
    for formula in ("y2 ~ x1*x2 + y1", *BOTH):
        word = "exact" if formula == BOTH[0] else "same mean"  # the residuals of y2 are tested as not normal, by chance
        assert set(imp.check(formula)["verdict"]) == {word}
    assert imp.check("y1 ~ x1*x2 + y2")["verdict"].iloc[-1] == "absent"


def test_each_analysis_can_have_a_model_of_its_own_and_takes_the_words_it_knows():
    rng = np.random.default_rng(5)
    frame = frames(2)[1].assign(count=rng.poisson(2.0, 600), time=rng.exponential(size=600), years=1.5)
    frame["died"] = (np.arange(600) % 3 > 0) * 1
    formulas = ["y1 ~ x1*x2", "count ~ x1 + x2", "time ~ x1 + x2"]
    models = ["ols", "poisson", "phreg"]
    words = {"exposure": "years", "status": "died", "ties": "efron"}
    imp = frame.drop(columns="y2").mice.impute(formulas, model=models, **words, auxiliary="ignore", **WISHES)
    given = [set(question.keywords) for question in imp.plan.questions]
    assert given == [set(), {"exposure"}, {"status", "ties"}]
    words = [imp.fit(formula).congeniality.word for formula in formulas]
    assert words == ["same mean", "exact", "exact"]  # residuals of y1: p = .001, by chance
    with pytest.raises(PlanError, match="2 models for 3 analyses") as caught:
        frame.mice.plan(formulas, model=models[:2])
    assert caught.value.do == f"df.mice.impute({formulas!r}, model=['ols', 'poisson', 'ols'])"
    with pytest.raises(ModelError, match="stata"):
        frame.mice.plan(formulas, model=models, stata="died")


def test_fit_without_a_formula_lists_the_calls():
    imp = frames(1)[1].mice.impute(BOTH, **WISHES)
    for verb in (imp.fit, imp.check):
        with pytest.raises(PlanError, match="2 analyses were declared") as caught:
            verb()
        assert caught.value.do == "imp.fit('y1 ~ x1*x2')  or  imp.fit('y2 ~ x1*x2')"


def test_another_outcome_is_absent_and_refused_by_name():
    imp = frames(1)[1].mice.impute("y1 ~ x1*x2", **WISHES)
    assert set(imp.check("y2 ~ x1")["verdict"]) == {"absent"}
    with pytest.raises(CongenialityError, match="declared was y1"):
        imp.fit("y2 ~ x1", uncovered="raise")


def test_outcomes_that_explain_each_other_are_refused_however_far_round():
    frame = frames(1)[1]
    frame["y3"] = frame["y1"] - frame["y2"] + np.arange(600) % 3
    for circle in (["y1 ~ y2 + x1", "y2 ~ y1"], ["y1 ~ y2 + x1", "y2 ~ y3", "y3 ~ y1 + x2"]):
        with pytest.raises(PlanError, match="explain each other") as caught:
            frame.mice.plan(circle)
        assert caught.value.do == "df.mice.impute('y1 ~ y2 + x1')"
    frame.mice.plan(["y1 ~ y2 + x1", "y2 ~ y3", "y3 ~ x2"])  # a chain is none


def test_a_sequence_against_its_own_direction_is_refused_with_the_right_one():
    frame = frames(1)[1]
    with pytest.raises(PlanError, match="must come before it") as caught:
        frame.mice.plan(["y1 ~ y2 + x1", "y2 ~ x2"], link="sequence")
    assert caught.value.do == "df.mice.impute(['y2 ~ x2', 'y1 ~ y2 + x1'], link='sequence')"
    frame.mice.plan(["y2 ~ x2", "y1 ~ y2 + x1"], link="sequence")


def test_a_misspelt_link_is_refused():
    with pytest.raises(PlanError, match="did you mean 'sequence'"):
        frames(1)[1].mice.plan(BOTH, link="sequense")

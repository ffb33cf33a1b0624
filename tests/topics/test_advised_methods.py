"""Advice is a call to paste: with the user's own formula and model, and a method that is possible there."""

import numpy as np
import pandas as pd
import pytest
from statsmodels import api as sm

from mifit import FormulaError, MifitError, PlanError, plan

N = 90


def study():
    """Numbers, text, times; sex, age, bmi and dose have missing values."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=N),
            "age": rng.normal(50, 9, N),
            "bmi": rng.gamma(20, 1.2, N),
            "sex": rng.choice(["f", "m"], N),
            "dose": rng.gamma(2, 1, N),
            "t": rng.exponential(1, N),
            "n_ev": rng.integers(0, 4, N),
            "site": rng.choice(list("abc"), N),
        }
    )
    for name in ("age", "bmi", "sex", "dose"):
        frame.loc[rng.random(N) < 0.15, name] = np.nan
    return frame


def caught(formula=None, frame=None, **words):
    """The error of a plan."""
    with pytest.raises(MifitError) as found:
        plan(study() if frame is None else frame, formula, **words)
    return found.value


@pytest.mark.parametrize(
    "words",
    [
        {"iterations": 0},
        {"methods": ["age"]},
        {"methods": {"age": "nrom"}},
        {"methods": {"sex": "pmm"}},
        {"order": "age"},
        {"auxiliary": {"base": ["t"]}},
        {"congeniality": "compatibel"},
        {"predictors": {"age": ["age"]}},
        {"metods": {"age": "norm"}},
    ],
    ids=str,
)
def test_every_advice_begins_with_the_formula_of_the_user(words):
    assert caught("y ~ age + sex", **words).do.startswith("df.mice.impute('y ~ age + sex', ")


def test_a_seed_that_is_none_and_a_model_are_kept_in_the_advice():
    with pytest.raises(PlanError) as found:
        study().mice.impute("y ~ age", model="ols", rng="1")
    assert found.value.do == "df.mice.impute('y ~ age', model='ols', rng=1)"


@pytest.mark.parametrize("method", ["pmm", "norm", "nrom", "sample"])
def test_the_method_advised_for_text_is_possible_there(method):
    error = caught("y ~ age + sex", methods={"sex": method})
    assert error.do == "df.mice.impute('y ~ age + sex', methods={'sex': 'logistic'})"
    assert not {"pmm", "sample"} & set(error.lines["suits"].split(", "))
    assert eval(error.do, {"df": study()}) is not None


def test_a_misspelt_method_is_advised_as_it_was_meant():
    assert caught("y ~ age", methods={"age": "nrom"}).do.endswith("methods={'age': 'norm'})")


def test_an_ordered_column_has_its_article():
    frame = study().assign(g=pd.Categorical(study()["site"], ordered=True))
    frame.loc[:4, "g"] = np.nan
    assert "draw an ordinal column" in caught("y ~ g", frame, methods={"g": "norm"}).fact


@pytest.mark.parametrize(
    "words", [{"model": "poisson"}, {"model": "negativebinomial"}, {"model": "glm", "family": sm.families.Poisson()}]
)
def test_text_is_no_outcome_of_counts(words):
    error = caught("sex ~ age", **words)
    assert "needs an outcome in numbers; 'sex' holds 'f', 'm'" in error.fact
    assert error.do.startswith("df['sex'] = df['sex'].astype(object).map({'f': 0, 'm': 1}).astype(float)")


def test_counts_are_not_drawn_into_fractions():
    error = caught("dose ~ age", model="poisson")
    assert "would draw counts for" in error.fact
    assert eval(error.do.replace(")))", ")), m=2, rng=1, iterations=5)"), {"df": study(), "sm": sm}) is not None
    assert plan(study().dropna(subset=["dose"]), "dose ~ age", model="poisson").order


def test_a_status_that_counts_becomes_a_new_column():
    error = caught("t ~ age", model="phreg", status="n_ev")
    assert (
        error.do == "df['event'] = (df['n_ev'] > 0).where(df['n_ev'].notna()); "
        "df[df['event'].notna()].mice.impute('t ~ age', model='phreg', status='event', "
        "methods={'n_ev': 'leave'})  # if all above 0 are events"
    )
    frame = study().assign(dead=lambda d: 1 + (d["n_ev"] > 1), event=0)
    error = caught("t ~ age", frame, model="phreg", status="dead")
    line = "df['event_'] = (df['dead'] == 2).where(df['dead'].notna())"
    call = "df[df['event_'].notna()].mice.impute('t ~ age', model='phreg', status='event_', methods={'dead': 'leave'})"
    assert error.do == f"{line}; {call}  # if 2 is the event"


@pytest.mark.parametrize(
    ("formula", "do"),
    [
        ("y ~ class", "df.mice.impute(\"y ~ Q('class')\")"),
        ("y ~ age + lambda", "df.mice.impute(\"y ~ age + Q('lambda')\")"),
        ("y ~ sys bp (mmHg)", "df.mice.impute(\"y ~ Q('sys bp (mmHg)')\")"),
        ("y ~ a.b", "df.mice.impute(\"y ~ Q('a.b')\")"),
        ("y ~ log(bmi)", "df.mice.impute('y ~ np.log(bmi)')"),
        ("y ~ np.lg(bmi)", "df.mice.impute('y ~ np.log(bmi)')"),
        ("Surv(t, d) ~ age", "df.mice.impute('t ~ age', model='phreg', status='d')"),
        ("Surv(s, t, d) ~ age", "df.mice.impute('t ~ age', model='phreg', status='d', entry='s')"),
        ("t ~ age + strata(site)", "df.mice.impute('t ~ age', model='phreg', strata='site')"),
    ],
)
def test_a_formula_of_another_program_is_said_as_it_is_said_here(formula, do):
    odd = {"class": 1.0, "lambda": 2.0, "sys bp (mmHg)": 3.0, "a.b": 4.0}
    frame = study().assign(**odd, d=1, s=0.0)
    error = caught(formula, frame)
    assert type(error) is FormulaError and error.do == do


def test_an_outcome_of_levels_is_told_its_model():
    frame = study().assign(stage=pd.Categorical(study()["site"], ordered=True))
    assert caught("stage ~ bmi", frame).do == "df.mice.impute('stage ~ bmi', model='ordinal')"
    assert caught("site ~ bmi", frame).do == "df.mice.impute('site ~ bmi', model='mnlogit')"

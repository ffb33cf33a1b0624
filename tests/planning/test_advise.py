"""Advice from causal diagrams: the examples of the literature, and that the answers hold in simulated data."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit

#: Hughes and others (2019): where complete cases are valid and imputation is, by what causes the missing values
HUGHES = {
    "completely at random": ("x -> y; c -> {x y}; m -> R_x; m [latent]", True, True),
    "exposure by a covariate": ("x -> y; c -> {x y}; c -> R_x", True, True),
    "exposure by itself": ("x -> y; c -> {x y}; x -> R_x", True, False),
    "exposure by the outcome": ("x -> y; c -> {x y}; y -> R_x", False, True),
    "exposure by itself and the outcome": ("x -> y; c -> {x y}; {x y} -> R_x", False, False),
    "outcome by the exposure": ("x -> y; c -> {x y}; x -> R_y", True, True),
    "outcome by itself": ("x -> y; c -> {x y}; y -> R_y", False, False),
    "outcome by an auxiliary that causes it": ("x -> y; c -> {x y}; a -> {y R_y}", False, True),
    "a covariate by the outcome": ("x -> y; c -> {x y}; y -> R_c", False, True),
}


@pytest.mark.parametrize("name", HUGHES)
def test_the_cases_of_hughes_and_others(name):
    text, complete, imputation = HUGHES[name]
    found = mifit.advise(text, "y", "x")
    assert (found.identified, found.complete_cases, found.imputation) == (True, complete, imputation)
    assert found.adjust == ("c",)


def test_the_example_of_midoc():
    """Curnow and others: adjusting for education makes complete records valid; birth weight is a collider."""
    text = """matage -> bmi7; mated -> matage; mated -> bmi7; sep_unmeas -> mated; sep_unmeas -> R_bmi7
              pregsize -> bmi7; pregsize -> bwt; sep_unmeas -> bwt; sep_unmeas [latent]"""
    assert not mifit.advise(text, "bmi7", "matage", adjust=[]).complete_cases
    found = mifit.advise(text, "bmi7", "matage", adjust="mated")
    assert found.identified and found.complete_cases and found.imputation and found.with_ == ()
    assert found.auxiliaries["advice"].to_dict() == {"pregsize": "helps", "bwt": "leave out"}
    assert "collider" in found.auxiliaries.loc["bwt", "reason"]
    assert mifit.advise(text, "bmi7", "matage").adjust == ("mated",)


def test_an_auxiliary_that_imputation_needs_is_named_and_in_the_call():
    found = mifit.advise("x -> y; a -> {y R_y}; b -> y; d -> x", "y", "x")
    assert found.with_ == ("a",) and not found.complete_cases
    assert found.auxiliaries["advice"].to_dict() == {"a": "needed", "b": "helps", "d": "no use"}
    rng = np.random.default_rng(1)
    df = pd.DataFrame(rng.normal(size=(80, 5)), columns=list("yxabd"))
    df.loc[::3, "y"] = np.nan
    imp = eval(str(found.do), {"df": df})
    assert imp.m == 20 and "d" not in imp[0].columns and imp.plan.written == ("y ~ x",)


def test_a_confounded_effect_is_said_to_be_so():
    found = mifit.advise("x <-> y; x -> y", "y", "x")
    assert not found.identified and "no; " in repr(found)
    found = mifit.advise("x -> w -> y", "y", "x", adjust="w")
    assert not found.identified


def test_nothing_missing_needs_nothing():
    found = mifit.advise("x -> y; z -> {x y}", "y", "x")
    assert found.complete_cases and found.imputation and found.do is None
    assert repr(found) and found._repr_html_()


IN_DATA = {
    "exposure by itself": ("x", lambda d: 2 * d["x"]),
    "exposure by the outcome": ("x", lambda d: 0.5 * d["y"] - 1.5),
    "outcome by an auxiliary that causes it": ("y", lambda d: d["a"] * (1 + d["x"]) - 2),
}


@pytest.mark.parametrize("name", IN_DATA)
def test_the_answers_hold_in_data(name):
    """40,000 rows: the slope of complete cases and of imputations against its true value 1, standard error 0.007."""
    rng = np.random.default_rng(2)
    n = 40_000
    df = pd.DataFrame({"c": rng.normal(size=n), "a": rng.normal(size=n)})
    df["x"] = df["c"] + rng.normal(size=n)
    df["y"] = df["x"] + df["c"] + df["a"] + rng.normal(size=n)
    column, linear = IN_DATA[name]
    df.loc[rng.random(n) < 1 / (1 + np.exp(-linear(df))), column] = np.nan
    _, complete, imputation = HUGHES[name]
    alone = smf.ols("y ~ x + c", df.dropna()).fit().params["x"]
    imputed = df.mice.impute("y ~ x + c", m=2, rng=1, iterations=30, error_law="declared").fit().params["x"]
    assert (abs(alone - 1) < 0.03) == complete and (abs(imputed - 1) < 0.03) == imputation, (alone, imputed)


@pytest.mark.parametrize(
    "words",
    [
        {"outcome": "w", "exposure": "x"},
        {"outcome": "y", "exposure": "R_x"},
        {"outcome": "y", "exposure": "u"},
        {"outcome": "y", "exposure": "y"},
        {"outcome": "y", "exposure": "x", "adjust": "u"},
        {"outcome": "y", "exposure": "x", "adjust": ["q"]},
    ],
)
def test_a_node_that_cannot_be_meant_is_refused_with_a_call_that_works(words):
    dag = "z -> {x y}; x -> y; u -> y; u [latent]; z -> R_x"
    with pytest.raises(mifit.PlanError) as error:
        mifit.advise(dag, **words)
    assert eval(str(error.value.do), {"mifit": mifit, "dag": dag}).identified

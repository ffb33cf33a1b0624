"""Marks, of which one value only was written down: they are analysed once somebody says what a missing value means."""

import ast

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.duration.hazard_regression import PHReg

import mifit

N = 160
MARKS = {
    "1 and NaN": lambda ev: np.where(ev, 1.0, np.nan),
    "2 and NaN": lambda ev: np.where(ev, 2.0, np.nan),
    "True and None": lambda ev: pd.Series(np.where(ev, True, None), dtype=object),
    "nullable truth": lambda ev: pd.array(np.where(ev, True, None), dtype="boolean"),
    "nullable number": lambda ev: pd.array(np.where(ev, 1.0, np.nan), dtype="Int64"),
    "X and None": lambda ev: pd.Series(np.where(ev, "X", None), dtype=object),
    "x as string": lambda ev: pd.array(np.where(ev, "x", None), dtype="string"),
    "category": lambda ev: pd.Categorical(np.where(ev, "yes", None), categories=["yes"]),
    "no alone": lambda ev: pd.Series(np.where(ev, None, "no"), dtype=object),
    "0 alone": lambda ev: np.where(ev, np.nan, 0.0),
}


def study(marks):
    """Complete numbers, so that the truth is one fit; and marks of who had the event."""
    rng = np.random.default_rng(2)
    x, z = rng.normal(size=(2, N))
    t, c = rng.exponential(np.exp(-x)), rng.exponential(1.0, N)
    event = t <= c
    frame = pd.DataFrame({"x": x, "z": z, "t": np.minimum(t, c), "y": x + event + rng.normal(size=N)})
    return frame.assign(d=MARKS[marks](event)), event.astype(int)


def pasted(code, names):
    """Run statements and return the value of the last."""
    *before, last = ast.parse(code).body
    exec(compile(ast.Module(before, []), "pasted", "exec"), names)
    return eval(compile(ast.Expression(last.value), "pasted", "eval"), names)


def advised(df, *formula, **words):
    """What the call of the refusal gives, where df is as it was."""
    with pytest.raises(mifit.MifitError, match="does a missing value mean") as found:
        df.mice.impute(*formula, **words, m=2, rng=1)
    return pasted(found.value.do, {"df": df.copy(), "np": np, "pd": pd})


@pytest.mark.parametrize("marks", MARKS)
def test_a_status_of_marks_keeps_its_censored_rows(marks):
    df, event = study(marks)
    imp = advised(df, "t ~ x + z", model="phreg", status="d")
    truth = PHReg(df["t"], df[["x", "z"]], status=event, ties="efron").fit()
    found = imp.fit().to_frame()
    np.testing.assert_allclose(found["estimate"], truth.params, rtol=1e-5)
    assert len(imp[0]) == N


@pytest.mark.parametrize("marks", MARKS)
def test_marks_as_covariate_have_the_coefficient_of_yes_and_no(marks):
    df, event = study(marks)
    found = advised(df, "y ~ x + d").fit().to_frame()
    truth = smf.ols("y ~ x + d", df.assign(d=event)).fit()
    np.testing.assert_allclose(found["estimate"], truth.params, rtol=1e-8)
    np.testing.assert_allclose(found["std_error"], truth.bse, rtol=1e-8)


@pytest.mark.parametrize("model", [None, "logit", "mnlogit"])
@pytest.mark.parametrize("marks", MARKS)
def test_marks_as_outcome_are_modelled_as_yes_against_no(marks, model):
    df, event = study(marks)
    found = advised(df, "d ~ x + z", **({} if model is None else {"model": model})).fit().to_frame()
    truth = smf.logit("d ~ x + z", df.assign(d=event)).fit(disp=False)
    np.testing.assert_allclose(found["estimate"], truth.params, rtol=1e-5)


def test_a_comparison_with_the_mark_has_the_line_alone():
    df, event = study("X and None")
    with pytest.raises(mifit.PlanError) as found:
        df.mice.impute("y ~ x + I(d == 'X')", m=2, rng=1)
    exec(found.value.do, {"df": df})
    assert df["d"].tolist() == event.tolist()


@pytest.mark.parametrize("marks", MARKS)
def test_marks_beside_the_analysis_are_said_with_the_line(marks):
    df, event = study(marks)
    df.loc[:9, "x"] = np.nan
    line = next(e for e in df.mice.plan("y ~ x").events if "if a missing value means" in e).partition(", ")[2]
    exec(line, {"df": df})
    assert df["d"].tolist() == event.tolist()


def test_a_column_that_follows_from_others_is_no_mark():
    df, _ = study("1 and NaN")
    df = df.assign(w=(df["z"] > 0).astype(float).where(df["z"] > 0)).drop(columns="d")
    plan = df.mice.plan("y ~ x + w", derived={"w": "(z > 0) * 1.0"})
    assert not any("if a missing value means" in event for event in plan.events)

"""Numbers kept as text are no categories: an analysis is refused, with the line that reads them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit.frame.numbers_as_text import spelled

N = 200


def study(written, dtype=object, missing=0.1):
    """A frame with ages as text, and the numbers they are; None where one is missing."""
    rng = np.random.default_rng(5)
    age, gone = np.round(rng.normal(50, 10, N)), rng.random(N) < missing
    text = pd.Series([None if g else written.format(a) for a, g in zip(age, gone, strict=True)], dtype=object)
    frame = pd.DataFrame({"x": rng.normal(size=N), "y": age / 10 + rng.normal(size=N)})
    return frame.assign(age=text.astype(dtype)), np.where(gone, np.nan, age)


WRITTEN = ["{:.0f}", "{:.1f}", " {:.0f} ", "{:.2f}%", "{:.0f} %", "${:.2f}", "€ {:.0f}", "{:.1f} kg", "{:.0f}mmol/L"]


@pytest.mark.parametrize("dtype", [object, "string", "category"])
@pytest.mark.parametrize("written", WRITTEN)
def test_the_line_of_the_refusal_reads_the_numbers(written, dtype):
    df, age = study(written, dtype)
    with pytest.raises(mifit.DataError, match="'age'") as found:
        df.mice.impute("y ~ x + age", m=2, rng=1)
    exec(found.value.do, {"df": df, "pd": pd})
    np.testing.assert_array_equal(df["age"].to_numpy(np.float64, na_value=np.nan), age)
    assert len(df.mice.impute("y ~ x + age", m=2, rng=1, iterations=2).fit().to_frame()) == 3


def test_complete_numbers_as_text_are_refused_too_and_then_give_the_fit_of_the_numbers():
    df, age = study("{:.0f}", missing=0)
    with pytest.raises(mifit.DataError) as found:
        df.mice.impute("y ~ x + age", m=2, rng=1)
    exec(found.value.do, {"df": df, "pd": pd})
    truth = smf.ols("y ~ x + age", df.assign(age=age)).fit()
    np.testing.assert_allclose(df.mice.impute("y ~ x + age", m=2, rng=1).fit().params, truth.params, rtol=1e-8)


def test_a_code_among_them_is_said_once_they_are_numbers():
    df, _ = study("{:.0f}")
    df["age"] = df["age"].fillna("-99")
    with pytest.raises(mifit.DataError) as found:
        df.mice.impute("y ~ x + age", m=2, rng=1)
    exec(found.value.do, {"df": df, "pd": pd})
    assert any("-99" in event and "missing value" in event for event in df.mice.plan("y ~ x + age").events)


@pytest.mark.parametrize("formula, words", [("y ~ x + C(age)", {}), ("y ~ x + age", {"kinds": {"age": "nominal"}})])
def test_who_says_that_they_are_levels_has_levels(formula, words):
    df, _ = study("{:.0f}", missing=0)
    df["age"] = [str(10 + k % 12) for k in range(N)]
    assert len(df.mice.impute(formula, **words, m=2, rng=1).fit().to_frame()) == 13


def test_few_numbers_as_text_are_levels_with_a_note_where_they_are_analysed():
    df, _ = study("{:.0f}")
    df["age"] = [str(k % 5) for k in range(N)]
    noted = [e for e in df.mice.plan("y ~ x + age").events if "pd.to_numeric(df['age'])" in e]
    assert len(noted) == 1 and "read as 5 levels" in noted[0]
    assert not any("to_numeric" in e for e in df.mice.plan("y ~ x").events)


@pytest.mark.parametrize(
    "levels",
    [
        ["5 mg", "10 mg", "placebo", "none"],  # not all have a number
        ["5 mg", "10 ml", "15 mg"],  # units differ
        ["5 mg", "10", "15"],
        ["a1", "a2", "a3"],
        ["1st", "2nd", "3rd"],
        ["1-2 kg", "3-4 kg", "5-6 kg"],
    ],
)
def test_labels_with_a_number_in_them_are_no_numbers(levels):
    assert spelled(levels) is None or not spelled(levels).odd

"""What ``fit`` and ``pool`` say where something cannot be: advice that can be pasted, figures that are known."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import MifitError


def frame():
    rng = np.random.default_rng(1)
    n = 90
    out = pd.DataFrame({"x": rng.normal(size=n), "k": rng.integers(0, 3, n), "s": rng.choice(list("abc"), n)})
    out["two"] = rng.choice(["no", "yes"], n)
    out["u"] = out["x"] + rng.normal(size=n)
    out["odd name"] = rng.integers(0, 3, n)
    out.loc[:9, "x"] = np.nan
    return out


@pytest.fixture(scope="module")
def imp():
    return frame().mice.impute(m=2, iterations=1, rng=1)


@pytest.mark.parametrize("model", [None, "mnlogit", "ordinal"])
@pytest.mark.parametrize("left", ["C(k)", "C(s)", "C(two)", "C(Q('odd name'))"])
def test_a_left_side_that_is_no_number_is_refused_with_a_call_that_runs(imp, left, model):
    for call in (
        lambda: imp.fit(f"{left} ~ x", model=model, uncovered="ignore"),
        lambda: frame().mice.impute(f"{left} ~ x", model=model, m=2, iterations=1, rng=1),
    ):
        with pytest.raises(MifitError) as caught:
            call()
        assert left in str(caught.value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            eval(caught.value.do, {"imp": imp, "df": frame()})


def test_advice_to_a_fit_is_a_fit(imp):
    for model in (None, "glm", "quantreg"):
        with pytest.raises(MifitError, match="no column on its right side") as caught:
            imp.fit("u ~ 0", model=model)
        assert caught.value.do.startswith("imp.fit(")
        assert eval(caught.value.do, {"imp": imp}).params.index.tolist() == ["Intercept"]
    with pytest.raises(MifitError) as caught:
        frame().mice.impute("u ~ 0")
    assert caught.value.do.startswith("df.mice.impute(")


def test_rows_of_a_fit_made_elsewhere_are_counted_or_not_reported():
    class Lifelines:
        params_ = pd.Series({"x": 1.0})
        variance_matrix_ = pd.DataFrame([[0.1]], ["x"], ["x"])
        event_observed = pd.Series([1, 0, 1, 1])

    assert mifit.pool([Lifelines(), Lifelines()]).nobs == 4
    plain = mifit.pool([([1.0], [[0.1]]), ([1.2], [[0.1]])])
    text = str(plain.summary())
    assert "not reported" in text and "No. Observations:    0" not in text.replace("  ", " ")


def test_the_index_of_the_tidy_frame_has_a_name(imp):
    found = imp.fit("u ~ x", uncovered="ignore").to_frame()
    assert found.index.name == "term" and "term" in found.reset_index().columns


def test_the_note_that_nothing_was_imputed_is_about_the_columns_and_rows_of_the_analysis(imp):
    nothing = imp.fit("u ~ k", uncovered="ignore")
    assert any(note.startswith("No value it rests on was imputed") for note in nothing.notes)
    rows = imp.fit("u ~ x", uncovered="ignore", subset=np.arange(90) > 20)
    assert any(note.startswith("No value it rests on was imputed") for note in rows.notes)
    same = pd.concat([frame().fillna({"x": 0.5}).assign(**{".imp": k, ".id": np.arange(90)}) for k in (1, 2)])
    given = pd.concat([frame().assign(**{".imp": 0, ".id": np.arange(90)}), same]).reset_index(drop=True)
    equal = mifit.from_long(given).fit("u ~ x")
    assert any("although missing values of x were imputed" in note for note in equal.notes)
    assert not any(note.startswith("No value") for note in equal.notes)

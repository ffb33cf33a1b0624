"""Whole numbers that floating point cannot tell apart: kept as they are, or refused with the line that mends them."""

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import DataError, FormulaError, PlanError
from mifit.frame.kinds import Kind, classify

N = 300
LARGE = {
    "a running number": np.arange(N) + 2**60,
    "unsigned": np.arange(N, dtype="uint64") + np.uint64(2**63),
    "negative": -np.arange(N) - 2**60,
    "two values": np.resize([2**60 + 1, 2**60 + 1001], N),
    "five values": 2**53 + 1 + np.arange(N) % 5,
    "objects": pd.Series([2**70 + k for k in range(N)], dtype=object),
}


def study(large):
    """An incomplete covariate, its outcome, and a column of large numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=N), "k": large})
    frame["y"] = frame["x"] + rng.normal(size=N)
    frame["x"] = frame["x"].mask(rng.random(N) < 0.2)
    return frame


@pytest.mark.parametrize("name", LARGE)
def test_a_complete_column_comes_back_bit_for_bit_and_changes_no_draw(name, tmp_path):
    frame = study(LARGE[name])
    imp = frame.mice.impute("y ~ x", m=2, iterations=2, rng=1)
    for k in range(2):
        pd.testing.assert_series_equal(imp[k]["k"], frame["k"], check_exact=True)
    assert "2**53" in imp.plan["k"].why or name in ("objects", "unsigned")  # all equal: a constant
    without = frame.drop(columns="k").mice.impute("y ~ x", m=2, iterations=2, rng=1)
    pd.testing.assert_series_equal(imp[0]["x"], without[0]["x"], check_exact=True)
    imp.save(tmp_path / "study.mifit")
    pd.testing.assert_series_equal(mifit.load(tmp_path / "study.mifit")[1]["k"], frame["k"], check_exact=True)


@pytest.mark.parametrize("name", ["a running number", "negative", "five values"])
@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + k", None])
def test_an_incomplete_one_is_refused_by_name_and_the_advice_keeps_the_numbers_apart(name, formula):
    frame = study(pd.array(LARGE[name], dtype="Int64"))
    frame.loc[::7, "k"] = pd.NA
    with pytest.raises(DataError, match=r"column 'k' holds whole numbers beyond 2\*\*53") as refused:
        mifit.impute(frame, formula, m=2, iterations=2, rng=1)
    if formula == "y ~ x + k":
        df = frame.copy()
        exec(refused.value.do.partition(";")[0], {"df": df, "pd": pd, "np": np})
        assert df["k"].nunique() == frame["k"].nunique()
        assert df["k"].isna().sum() == frame["k"].isna().sum()
        assert mifit.impute(df, formula, m=2, iterations=2, rng=1)[0].notna().all(axis=None)


def test_a_formula_an_id_and_a_condition_refuse_it_by_name():
    frame = study(LARGE["a running number"])
    with pytest.raises(FormulaError, match="'k' holds whole numbers beyond"):
        frame.mice.impute("y ~ x + k", m=2, rng=1)
    constant = frame.assign(k=LARGE["objects"])
    for ids in (constant, frame):
        with pytest.raises(PlanError, match="id='k' holds whole numbers beyond") as refused:
            ids.mice.impute("y ~ x", m=2, rng=1, id="k")
    df = frame.copy()
    exec(refused.value.do, {"df": df})
    assert df["k"].nunique() == N
    assert df.mice.impute("y ~ x", m=2, iterations=2, rng=1, id="k")[0].notna().all(axis=None)


def test_an_id_whose_values_are_no_levels_is_refused_by_name():
    frame = study(pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(N) // 4, unit="D"))
    with pytest.raises(PlanError, match="id='k' holds dates or times") as refused:
        frame.mice.impute("y ~ x", m=2, rng=1, id="k")
    exec(refused.value.do, {"df": frame})
    assert frame.mice.impute("y ~ x", m=2, iterations=2, rng=1, id="k")[0]["x"].nunique() > N / 2


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.arange(N) + 2**53 - N, Kind.NUMERIC),  # each of them exact
        (np.arange(N) * 10**9 + 17 * 10**17, Kind.NUMERIC),  # moments in nanoseconds: rounded, and still different
        (np.resize([0, 2**60], N), Kind.BINARY),  # exact levels
        (np.arange(N) + 2**53, Kind.OTHER),
        (np.resize([0, 2**60 + 1], N), Kind.OTHER),
    ],
)
def test_only_numbers_that_are_no_longer_apart_are_refused(values, kind):
    assert classify(pd.Series(values)).kind is kind
    assert classify(pd.Series(values, dtype="Int64")).kind is kind
    assert classify(pd.Series(values.tolist(), dtype=object)).kind is kind

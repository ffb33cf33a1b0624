"""Conditions in the words of ``DataFrame.query``: and, or, not and chained comparisons select the same rows."""

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.formula.condition import condition
from mifit.frame.table import read

N = 200
_G = np.random.default_rng(2)
FRAME = pd.DataFrame({
    "age": _G.integers(18, 80, N), "x": _G.normal(size=N), "sex": _G.choice(["f", "m"], N), "kids": _G.poisson(1, N),
    "old one": _G.normal(size=N), "seen": _G.random(N) < 0.5,
})  # fmt: skip
WORDS = {
    "age > 50 and sex == 'f'": lambda d: (d["age"] > 50) & (d["sex"] == "f"),
    "age > 50 or sex == 'f'": lambda d: (d["age"] > 50) | (d["sex"] == "f"),
    "not sex == 'f'": lambda d: d["sex"] != "f",
    "not (age > 50 and x < 0) or kids == 2": lambda d: ~((d["age"] > 50) & (d["x"] < 0)) | (d["kids"] == 2),
    "age > 30 and age < 60 and not x > 0": lambda d: d["age"].between(31, 59) & (d["x"] <= 0),
    "30 < age <= 60": lambda d: (d["age"] > 30) & (d["age"] <= 60),
    "kids and age > 30": lambda d: (d["kids"] != 0) & (d["age"] > 30),
    "not kids": lambda d: d["kids"] == 0,
    "not seen": lambda d: ~d["seen"],
    "seen or x > 1": lambda d: d["seen"] | (d["x"] > 1),
    "Q('old one') > 0 and age in [20, 30, 40]": lambda d: (d["old one"] > 0) & d["age"].isin([20, 30, 40]),
    "sex not in ['f'] and not age in (20, 21)": lambda d: (d["sex"] == "m") & ~d["age"].isin([20, 21]),
}


@pytest.mark.parametrize("code", WORDS)
def test_a_condition_in_words_selects_the_rows_that_pandas_selects(code):
    table = read(FRAME)
    found = condition(code, table, {}, "ignore=").holds(table, {n: c.values for n, c in table.columns.items()})
    np.testing.assert_array_equal(found, WORDS[code](FRAME))


@pytest.mark.parametrize(
    ("code", "signs"),
    [
        ("age > 50 and sex == 'f'", "(age > 50) & (sex == 'f')"),
        ("not sex == 'f'", "~(sex == 'f')"),
        ("30 < age <= 60", "(30 < age) & (age <= 60)"),
    ],
)
def test_ignored_rows_and_conditional_columns_take_words_and_come_back(code, signs, tmp_path):
    rows = WORDS[code](FRAME)
    frame = FRAME[["age", "sex", "x"]].assign(y=_G.normal(size=N) + FRAME["x"])
    frame["x"] = frame["x"].mask(np.arange(N) % 4 == 0)
    words, other = (frame.mice.impute("y ~ x", m=2, iterations=2, rng=1, ignore=one) for one in (code, signs))
    pd.testing.assert_frame_equal(words[0], other[0], check_exact=True)
    assert any(f"{rows.sum()} of {N} rows" in one for one in words.plan.events)
    frame["x"] = frame["x"].where(rows)
    imp = frame.mice.impute(m=2, iterations=2, rng=1, conditional={"x": code})
    np.testing.assert_array_equal(imp[1]["x"].notna(), rows)
    imp.save(tmp_path / "study.mifit")
    pd.testing.assert_frame_equal(mifit.load(tmp_path / "study.mifit")[1], imp[1], check_exact=True)


def test_the_rows_of_an_analysis_take_words():
    frame = FRAME.assign(y=FRAME["x"] + _G.normal(size=N)).assign(x=FRAME["x"].mask(np.arange(N) % 4 == 0))
    imp = frame.mice.impute("y ~ x * sex", m=2, iterations=2, rng=1)
    words, signs = (imp.fit("y ~ x", subset=s) for s in ("sex == 'f' and not x == 99", "(sex == 'f') & ~(x == 99)"))
    pd.testing.assert_series_equal(words.params, signs.params, check_exact=True)

"""Lines that make a column of others: run on every coding, and what they make compared row by row."""

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.formula.column_code import above, event, is_level

N = 90
STATES = np.resize(np.array(["no", "yes", "gone"]), N)  # "gone": nothing is known


def coded(no, yes, gone, dtype=object):
    """A column of three codes."""
    return pd.Series([{"no": no, "yes": yes, "gone": gone}[one] for one in STATES]).astype(dtype)


#: column, and whether "gone" is missing already
CODINGS = {
    "0, 1, 9": coded(0, 1, 9, "float64"),
    "1, 2, -9": coded(1, 2, -9, "int64"),
    "0, 1, -1": coded(0, 2, -1, "int64"),
    "1, 2, 99, nullable": coded(1, 2, 99, "Int64"),
    "1, 2, missing": coded(1, 2, np.nan, "float64"),
    "numbers as text": coded("1", "2", "-9"),
    "an empty text": coded("no", "Yes", ""),
    "NA as text": coded("alive", "dead", "NA", "string"),
    "a question mark, category": coded("control", "case", "?", "category"),
    "truth values": coded(False, True, None),
    "nullable truth values": coded(False, True, pd.NA, "boolean"),
    "text, missing": coded("censored", "death", None),
}  # fmt: skip


def agrees(made):
    """Events are 1, none is 0, and what is not known is missing."""
    made = pd.Series(made).astype(object)
    assert made[STATES == "gone"].isna().all()
    assert (made[STATES == "yes"].astype(float) == 1).all() and (made[STATES == "no"].astype(float) == 0).all()


@pytest.mark.parametrize("name", CODINGS)
def test_a_status_of_any_coding_becomes_events_with_what_is_unknown_missing(name):
    df = pd.DataFrame({"status": CODINGS[name]})
    levels = sorted(df["status"].dropna().unique().tolist(), key=str)
    names = {"df": df}
    exec(event("status", levels, ["status"]), names)
    agrees(df["event"])


@pytest.mark.parametrize("name", [one for one in CODINGS if "missing" not in one and "truth" not in one])
@pytest.mark.parametrize("model", ["phreg", "logit", "poisson", "ols"])
def test_what_a_refusal_prints_keeps_values_that_stand_for_missing_ones_missing(name, model):
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"t": rng.exponential(size=N) + 0.1, "x": rng.normal(size=N), "had": CODINGS[name]})
    df.loc[::10, "x"] = np.nan
    words = {"status": "had"} if model == "phreg" else {}
    try:
        df.mice.plan("t ~ x" if words else "had ~ x", model=model, **words)
    except mifit.MifitError as error:
        line = error.do.partition("; df.mice")[0].partition("#")[0]
        names = {"df": df, "pd": pd, "np": np}
        if "df.mice" not in line:
            exec(line, names)
        new = [column for column in df if column not in ("t", "x", "had")] or ["had"]
        made = df[new[-1]].astype(object)
        if "to_numeric" in line:  # a note of the plan says what -9 may be
            return
        assert made[STATES == "gone"].isna().all()
        values = made[STATES != "gone"].astype(float)
        assert values[STATES[STATES != "gone"] == "yes"].min() > values[STATES[STATES != "gone"] == "no"].max()


def test_a_number_above_the_middle_is_not_asked_of_codes():
    values = np.r_[np.arange(1.0, 41.0), np.full(10, -99.0), np.full(5, np.nan)]
    df = pd.DataFrame({"y": values})
    made = eval(above("y", values[~np.isnan(values)]), {"df": df})
    assert made[40:].isna().all() and made[:20].eq(False).all() and made[20:40].eq(True).all()


def test_levels_that_are_words_are_left_alone():
    assert is_level("g", "c", ["a", "b", "c"]) == is_level("g", "c")
    assert "isin" not in event("s", [0, 1, 2], ["s"]) and "isin" not in event("s", [-1, 1], ["s"])

"""Observed beside imputed ranges: what cannot be is found, said, and cured by the call that is printed."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.examine import plots

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

FAST = {"m": 3, "iterations": 5, "rng": 1}


def doses(n=200, seed=0):
    """A positive number that a normal law takes below 0, and one that stays within its range."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    dose = np.abs(z + 0.5 * rng.normal(size=n)) + 0.01
    frame = pd.DataFrame({"z": z, "y": z + rng.normal(size=n), "dose": dose, "g": np.where(z > 0, "a", "b")})
    frame.loc[rng.random(n) < 0.3, "dose"] = np.nan
    frame.loc[rng.random(n) < 0.2, "g"] = None
    return frame


@pytest.mark.parametrize("formula", ["y ~ z + dose", None])
def test_a_value_that_cannot_be_is_said_with_the_call_that_keeps_it_out(formula):
    frame = doses()
    imp = frame.mice.impute(formula, methods={"dose": "norm"}, **FAST)
    told = imp.check_values()
    row = told.iloc[0]
    drawn = np.concatenate([one["dose"][frame["dose"].isna()] for one in imp])
    assert row["column"] == "dose" and row["imputed_min"] == drawn.min() < 0 and row["imputed_max"] == drawn.max()
    seen = frame["dose"].dropna()
    assert (row["observed_mean"], row["observed_sd"]) == pytest.approx((seen.mean(), seen.std()))
    assert row["beyond"] == np.mean((drawn < seen.min()) | (drawn > seen.max()))
    assert "far out  : dose is imputed from -" in repr(imp)
    event = imp.events[imp.events["source"] == "values"].iloc[0]
    assert "bounds={'dose': (0.0, None)}" in event["event"] and event["consequence"]
    names = {"df": frame}
    exec(event["event"].partition(": imp = ")[2].join(["imp = ", ""]), names)
    again = names["imp"]
    assert not (again.events["source"] == "values").any() and min(one["dose"].min() for one in again) >= 0


def test_levels_have_their_shares_and_numbers_within_their_range_are_not_said():
    frame = doses()
    imp = frame.mice.impute("y ~ z + g", methods={"dose": "leave"}, **FAST)
    told = imp.check_values().set_index("level")
    drawn = np.concatenate([one["g"][frame["g"].isna()] for one in imp])
    assert told.loc["a", "imputed_mean"] == pytest.approx(np.mean(drawn == "a"))
    assert told.loc["a", "observed_mean"] == pytest.approx((frame["g"].dropna() == "a").mean())
    assert not (imp.events["source"] == "values").any() and "far out" not in repr(imp)


def test_the_farthest_column_comes_first_and_stands_in_the_report(tmp_path):
    frame = doses().assign(w=lambda f: f["z"] * 10)
    frame.loc[:40, "w"] = np.nan
    sets = [frame.fillna({"dose": 0.5, "w": value, "g": "a"}) for value in (5000.0, 0.0)]
    imp = mifit.from_frames(sets, original=frame)
    told = imp.check_values()
    assert told["column"].iloc[0] == "w" and told["far"].iloc[0] > 50
    assert set(told["column"]) == {"w", "dose", "g"}
    page = imp.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Are the imputed values possible?" in page and "w is imputed from 0 to 5000" in page


def test_a_column_of_one_value_and_one_without_an_observed_value_are_in_the_table():
    sets = [pd.DataFrame({"x": [1.0, 1.0, value], "u": [value, 2.0, 3.0]}) for value in (2.0, 4.0)]
    original = pd.DataFrame({"x": [1.0, 1.0, None], "u": [None, None, None]}, dtype=float)
    told = mifit.from_frames(sets, original=original).check_values().set_index("column")
    assert (told.loc[["x"], "far"] == np.inf).all() and told.loc[["u"], "observed_min"].isna().all()


def test_a_notebook_and_a_printed_set_say_alike_how_many_values_are_still_missing():
    imp = doses().mice.impute("y ~ z + g", methods={"dose": "leave"}, **FAST)
    first = repr(imp).splitlines()[0].partition("; ")[2].partition("; ")[2]
    assert first.endswith("still missing") and first in imp._repr_html_()


@pytest.mark.parametrize("levels", [[False, True], [0, 1], [1, 0], [pd.Interval(0, 1), pd.Interval(1, 2)]])
def test_shares_are_found_by_the_level_and_never_by_its_position(levels):
    """Series.get takes a truth value, or a whole number, for a position, and warns of it."""
    values = pd.Series([levels[0]] * 3 + [levels[1]], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(plots._shares(pd.DataFrame({"value": values}), levels, 2), [0.75, 0.25])

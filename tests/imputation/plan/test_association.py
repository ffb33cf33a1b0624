"""Associations of columns with each other and with missing values, and the predictors that there is room for."""

import numpy as np
import pandas as pd
import pytest

from mifit.frame.table import read
from mifit.imputation.plan.association import Associations, strongest


def table(**columns):
    return read(pd.DataFrame(columns))


def test_with_room_every_predictor_stays_in_its_order():
    rng = np.random.default_rng(3)
    found = read(pd.DataFrame(rng.standard_normal((50, 6)), columns=list("xabcde")))
    assert strongest(Associations(found), "x", list("ebdca"), [], 6) == list("ebdca")


def test_without_room_the_strongest_stay_and_those_named_first_always():
    rng = np.random.default_rng(4)
    z = rng.standard_normal((200, 5))
    x = z @ [2.0, 1.0, 0.5, 0.1, 0.0] + 0.1 * rng.standard_normal(200)
    found = read(pd.DataFrame(np.column_stack([x, z]), columns=list("xabcde")))
    assert strongest(Associations(found), "x", list("edcba"), [], 3) == ["b", "a"]
    assert strongest(Associations(found), "x", list("edcba"), ["e"], 3) == ["e", "a"]
    assert strongest(Associations(found), "x", list("edcba"), ["e", "d", "c"], 3) == ["e", "d", "c"]


def test_a_category_costs_a_parameter_for_each_level_but_one():
    rng = np.random.default_rng(5)
    g = rng.integers(0, 5, 300)
    z = rng.standard_normal(300)
    x = 3.0 * (g == 2) + z + rng.standard_normal(300)
    found = table(x=x, g=pd.Categorical(g.astype(str)), z=z)
    assert strongest(Associations(found), "x", ["g", "z"], [], 6) == ["g", "z"]
    assert strongest(Associations(found), "x", ["g", "z"], [], 5) == ["g"]
    assert strongest(Associations(found), "x", ["z", "g"], ["z"], 5) == ["z"]


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_association_is_a_correlation_with_the_column_or_its_missingness(unit):
    rng = np.random.default_rng(6)
    x, z, w = rng.standard_normal((3, 500))
    z = x + z
    gone = w > 1
    found = table(x=unit * np.where(gone, np.nan, x), z=z, w=w / unit)
    scores = Associations(found).of("x", ["z", "w"])
    filled = np.where(gone, x[~gone].mean(), x)
    np.testing.assert_allclose(scores[0], abs(np.corrcoef(filled, z)[0, 1]), rtol=1e-10)
    np.testing.assert_allclose(scores[1], abs(np.corrcoef(gone, w)[0, 1]), rtol=1e-10)


def of_many_kinds(n, seed):
    """Numbers, two levels, four and thirty, a third of each missing."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n)
    frame = pd.DataFrame({"x": x, "z": x + rng.standard_normal(n), "b": np.where(x > rng.standard_normal(n), "y", "n")})
    for name, many in (("g", 4), ("h", 30), ("k", 40)):
        frame[name] = pd.Categorical([f"l{v:02.0f}" for v in np.floor(many * (0.6 * rng.random(n) + 0.4 * (x > 0)))])
    return frame.mask(rng.random(frame.shape) < 0.3)


def dummies(column):
    """What correlations are of, (n, k): numbers, or indicators of the levels but the first; missing ones the mean."""
    if column.dtype == "float64":
        found = column.to_numpy()[:, None]
    else:
        found = np.column_stack([column == level for level in sorted(column.dropna().unique())[1:]]).astype(float)
    seen = column.notna().to_numpy()[:, None]
    return np.where(seen, found, found.mean(axis=0, where=seen))


@pytest.mark.parametrize("name", list("xbghk"))
def test_associations_of_all_kinds_are_the_correlations_that_numpy_finds(name):
    frame = of_many_kinds(400, 8)
    others = [c for c in frame if c != name]
    wanted = np.column_stack([dummies(frame[name]), frame[name].isna()])
    k = wanted.shape[1]
    expected = [np.abs(np.corrcoef(wanted.T, dummies(frame[c]).T)[:k, k:]).max() for c in others]
    np.testing.assert_allclose(Associations(read(frame)).of(name, others), expected, rtol=1e-9)


def test_a_column_of_one_level_or_of_no_variation_is_associated_with_nothing():
    found = table(x=[1.5, 2.5, np.nan, 4.0], c=[7.25] * 4, g=pd.Categorical(["a"] * 4))
    np.testing.assert_array_equal(Associations(found).of("x", ["c", "g"]), [0.0, 0.0])

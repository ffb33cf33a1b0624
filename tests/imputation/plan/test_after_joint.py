"""Columns beyond the limit of auxiliaries are drawn after the joint model; what stays missing is said."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import IncompleteWarning

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

FAST = {"m": 2, "iterations": 5, "rng": 1}


def wide(n=200, p=20, seed=0):
    """Columns that share a factor; numbers, levels, counts; a fifth missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 1)) + rng.normal(size=(n, p))
    frame = pd.DataFrame(values, columns=[f"v{k}" for k in range(p)])
    frame["g"] = pd.Series(np.where(frame["v3"] > 0, "a", "b"), dtype="category")
    frame["k"] = pd.Series(rng.poisson(np.exp(frame["v4"] / 2)), dtype="Int64")
    return frame.mask(rng.random(frame.shape) < 0.2).set_index(rng.permutation(n) * 2)


def test_more_columns_than_auxiliaries_leave_no_value_missing():
    frame = wide()
    imp = frame.mice.impute("v0 ~ v1 + v2", **FAST)
    assert not any(one.isna().any().any() for one in imp)
    after = [v.name for v in imp.plan.variables if "after the joint model" in v.why]
    assert len(after) == len(frame.columns) - 3 - len(frame) // 20
    note = next(event for event in imp.plan.events if "drawn after the joint model" in event)
    assert all(repr(name) in note for name in after)
    assert "still missing" not in repr(imp)
    assert not imp.impute_new(frame.head(4).set_index(np.arange(4) + 10_000))[0].isna().any().any()


def test_what_is_drawn_after_the_joint_model_changes_no_draw_of_it():
    frame = wide()
    imp = frame.mice.impute("v0 ~ v1 + v2", **FAST)
    after = [v.name for v in imp.plan.variables if "after the joint model" in v.why]
    feeds = {p.which for f in imp.plan.factors for p in f.pieces if p.what == "main"}
    feeds |= {p.which for v in imp.plan.variables if v.name not in after for p in v.pieces if p.what == "main"}
    assert not feeds & set(after) and imp.plan.order[-len(after) :] == tuple(after)


def test_a_column_drawn_after_the_joint_model_keeps_its_relation_to_the_others():
    # v25 = v1 + noise of sd 0.5: slope 1 among the imputed values too; the standard error of a set is 0.04
    frame = wide(400, 26).drop(columns=["g", "k"])
    rng = np.random.default_rng(1)
    frame["v25"] = (frame["v1"].fillna(0) + 0.5 * rng.normal(size=400)).mask(
        frame["v1"].isna() | (rng.random(400) < 0.3)
    )
    noise = [f"v{k}" for k in range(3, 25)]
    frame[noise] = frame[noise].apply(lambda column: column.fillna(0.0)).mask(rng.random((400, len(noise))) < 0.05)
    imp = frame.mice.impute("v0 ~ v2", auxiliary="response", m=5, iterations=5, rng=1)
    rows = frame["v25"].isna() & frame["v1"].notna()
    slopes = [np.polyfit(one["v1"][rows], one["v25"][rows], 1)[0] for one in imp]
    assert abs(np.mean(slopes) - 1.0) < 0.25


def test_a_copy_of_the_outcome_with_missing_values_is_completed_too():
    frame = wide(150, 5)[["v0", "v1", "v2"]]
    frame["copy"] = np.exp(frame["v0"]).mask(np.random.default_rng(2).random(150) < 0.1)
    imp = frame.mice.impute("v0 ~ v1 + v2", **FAST)
    assert not imp[0].isna().any().any() and imp.plan["copy"].role == "column"


def test_values_that_stay_missing_stand_in_the_first_line_and_warn_once():
    frame = wide(120, 5)[["v0", "v1", "v2"]].assign(note=lambda f: [f"said {k}" for k in range(len(f))])
    frame.loc[frame.index[:7], "note"] = None
    with pytest.warns(IncompleteWarning, match=r"'note' \(7\)") as heard:
        imp = frame.mice.impute("v0 ~ v1", **FAST)
    assert len(heard) == 1 and heard[0].filename == __file__
    assert "; 7 values in 1 column still missing" in repr(imp).splitlines()[0]
    for words in ({"methods": {"note": "leave"}}, {"auxiliary": "ignore", "methods": {"note": "leave"}}):
        asked = frame.mice.impute("v0 ~ v1", **FAST, **words)
        assert "still missing" in repr(asked).splitlines()[0]
    where = frame.isna() & (frame.columns == "v1")
    assert "still missing" not in repr(frame.mice.impute("v0 ~ v1", where=where, methods={"note": "leave"}, **FAST))
    assert not issubclass(mifit.IncompleteWarning, mifit.StorageWarning)


@pytest.mark.parametrize("name", ["weight", "body weight", "größe.2", "if"])
def test_a_column_derived_from_one_that_was_left_alone_is_no_surprise_whatever_its_name(name):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({name: rng.normal(80, 9, 60), "x": rng.normal(size=60)}).mask(rng.random((60, 2)) < 0.2)
    frame["heavy"] = frame[name] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteWarning)
        imp = frame.mice.impute(
            derived={"heavy": f"Q({name!r}) * 2"}, methods={name: "leave"}, m=2, iterations=1, rng=1
        )
    assert imp[0]["heavy"].isna().any()


def test_the_call_that_keeps_two_columns_in_order_names_a_column_that_is_not_there():
    frame = pd.DataFrame({"lo": [1.0, None, 2.0, 3.0], "hi": [2.0, 3.0, None, 5.0], "gap": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(mifit.PlanError, match="'lo' bounds 'hi'") as caught:
        frame.mice.plan(truncated={"hi": ("lo", None)})
    assert "'gap1': 'hi - lo'" in caught.value.do

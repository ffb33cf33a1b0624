"""methods= for kinds of columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

import mifit


def frame(n=120):
    rng = np.random.default_rng(0)
    df = pd.DataFrame({
        "a": rng.normal(size=n), "b": rng.normal(size=n), "visits": rng.poisson(2, n), "g": rng.choice(list("xyz"), n),
        "h": rng.choice(list("uvw"), n), "yes": rng.integers(0, 2, n),
    })  # fmt: skip
    return df.mask(rng.random(df.shape) < np.array([0.2, 0.2, 0.2, 0.2, 0.0, 0.2]))


def labels(imp):
    return {name: imp.plan[name].label for name in imp.plan.order}


def test_a_kind_stands_for_its_incomplete_columns_and_a_named_column_for_itself():
    imp = frame().mice.impute(
        methods={"numeric": "norm", "nominal": RandomForestClassifier(2), "b": "sample"}, m=2, iterations=1, rng=1
    )
    expected = {"a": "norm", "b": "sample", "visits": "norm", "g": "RandomForestClassifier", "yes": "logistic"}
    assert labels(imp) == expected
    assert "h" not in imp.plan.options.methods


def test_counts_are_numbers_unless_counts_are_named_or_cannot_be_drawn():
    df = frame()
    named = df.mice.impute(methods={"numeric": "norm", "count": "negbin"}, m=2, iterations=1, rng=1)
    assert labels(named)["visits"] == "negbin" and labels(named)["a"] == "norm"
    bare = df.mice.impute(methods={"numeric": mifit.Power()}, m=2, iterations=1, rng=1)
    assert labels(bare)["visits"] == ("power" if mifit.Kind.COUNT in mifit.Power.kinds else "pmm")


def test_one_estimator_for_all_draws_what_it_can():
    imp = frame().mice.impute(methods=RandomForestRegressor(2), m=2, iterations=1, rng=1)
    found = labels(imp)
    assert {found[n] for n in ("a", "b", "visits")} == {"RandomForestRegressor"}
    assert found["g"] == "multinomial" and found["yes"] == "logistic"


def test_by_kind_and_by_name_draw_the_same():
    df = frame()
    one = df.mice.impute(methods={"numeric": "norm"}, m=2, iterations=2, rng=1)
    two = df.mice.impute(methods=dict.fromkeys(["a", "b", "visits"], "norm"), m=2, iterations=2, rng=1)
    assert one[0].equals(two[0]) and one.identity == two.identity


def test_a_column_that_is_called_like_a_kind_wins_and_it_is_said():
    df = frame().rename(columns={"a": "numeric"})
    imp = df.mice.impute(methods={"numeric": "norm"}, m=2, iterations=1, rng=1)
    assert labels(imp)["numeric"] == "norm" and labels(imp)["b"] == "pmm"
    assert any("is the column of that name" in event for event in imp.plan.events)


def test_a_kind_without_a_column_is_said():
    imp = frame().mice.impute(methods={"ordinal": "sample", "numeric": "norm"}, m=2, iterations=1, rng=1)
    assert any("'ordinal'" in event and "no such column" in event for event in imp.plan.events)


def test_a_kind_may_be_left_alone():
    imp = frame().mice.impute(methods={"nominal": "leave"}, m=2, iterations=1, rng=1)
    assert imp[0]["g"].isna().any() and not imp[0]["a"].isna().any() and "g" not in labels(imp)


def test_each_group_has_its_own_plan_by_kind():
    imp = frame().mice.impute(methods={"numeric": "norm"}, by="h", m=2, iterations=1, rng=1)
    assert all(plan["a"].label == "norm" for _, plan in imp.plan.groups)
    again = frame().mice.impute(imp.plan, m=2, rng=1)
    assert not again[0]["a"].isna().any()


@pytest.mark.parametrize(
    ("methods", "fact"),
    [
        ({"numeric": "nrom"}, "unknown method 'nrom' for 'numeric'"),
        ({"nominal": RandomForestRegressor(2)}, "does not draw a nominal column"),
        ({"numerical": "norm"}, "methods= names 'numerical'"),
    ],
)
def test_what_suits_no_column_of_the_kind_is_refused(methods, fact):
    df = frame()
    with pytest.raises(mifit.MifitError, match=fact) as caught:
        df.mice.impute(methods=methods, m=2, iterations=1, rng=1)
    if "impute" in caught.value.do:
        made = eval(caught.value.do, {"df": df, "RandomForestRegressor": RandomForestRegressor})
        assert made.m == 2


def test_in_a_compatible_plan_all_auxiliaries_are_answered_at_once():
    df = frame().dropna(subset="b")
    with pytest.raises(mifit.PlanError, match="draws covariates, and 'visits' is an auxiliary") as caught:
        df.mice.impute("b ~ a + g", methods="forest", m=2, rng=1, iterations=3)
    assert eval(caught.value.do, {"df": df}).fit().m == 2

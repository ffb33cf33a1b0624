"""A number that the analysis has on another scale predicts other columns on that scale too."""

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import PlanError
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.plan.analysed_scale import on_their_scales, scales


def squashed(x):
    """A function of the user."""
    return x / (1.0 + x)


def frame_of(seed=0, n=300):
    rng = np.random.default_rng([seed, 30])
    log_a = rng.normal(size=n)
    b = 3 + 0.6 * log_a + 0.7 * rng.normal(size=n)
    y = 1 + 0.5 * log_a + 0.6 * b + rng.normal(size=n)
    return pd.DataFrame({"y": y, "a": np.exp(log_a), "b": b, "z": rng.normal(size=n)})


def lost(frame, *names, seed=1):
    rng = np.random.default_rng(seed)
    return frame.assign(**{name: frame[name].mask(rng.random(len(frame)) < 0.3) for name in names})


def code_of(formula, frame=None, name="a"):
    table = read(frame_of() if frame is None else frame)
    found = scales([ask(formula, table, scope={"squashed": squashed})], table, {"squashed": squashed})
    return found[name].code if name in found else None


@pytest.mark.parametrize(
    "code",
    ["np.log(a)", "np.log1p(a)", "np.log2(a)", "np.log10(a)", "np.sqrt(a)", "I(a ** 2)", "I(1 / a)", "squashed(a)"],
)
def test_an_expression_that_rises_or_falls_is_a_scale(code):
    assert code_of(f"y ~ {code} + b") == code
    assert code_of(f"y ~ {code} * b") == code


@pytest.mark.parametrize(
    "right",
    [
        "a", "a + np.log(a)", "a + I(a ** 2)", "a:b + np.log(a)", "np.log(a) + np.sqrt(a)", "I(a / 10)", "center(a)",
        "standardize(a)", "np.log(a + b)", "I(a * b)", "bs(a, df=4)", "cr(a, df=3)", "I((a - 1) ** 2)", "np.cos(a)",
        "C(a > 1)",
    ],
)  # fmt: skip
def test_all_else_leaves_the_number_as_it_is(right):
    assert code_of(f"y ~ {right} + z") is None


def test_analyses_that_disagree_leave_the_number_as_it_is():
    table = read(frame_of())
    one, other = (ask(f"y ~ {code} + z", table) for code in ("np.log(a)", "a"))
    assert "a" in scales([one], table, {})
    assert "a" not in scales([one, other], table, {})


def test_values_are_those_of_the_expression_and_missing_where_the_column_is():
    frame = lost(frame_of(), "a")
    table = read(frame)
    found = scales([ask("y ~ np.log(a) + b", table)], table, {})
    seen = on_their_scales(table, found)
    np.testing.assert_allclose(seen["a"].values, np.log(frame["a"]), rtol=1e-12)
    assert seen["b"] is table["b"] and on_their_scales(table, {}) is table


def test_the_plan_says_so_and_the_user_decides():
    frame = lost(frame_of(), "a", "b")
    plan = frame.mice.plan("y ~ np.log(a) + b + z")
    assert plan["b"].predictors == ("np.log(a)", "z")
    assert plan["a"].predictors == ("b", "z")  # its own model is on its own scale
    assert any("'a' predicts other columns as np.log(a)" in event for event in plan.events)
    for given in (["a", "z"], "a + z"):
        own = frame.mice.plan("y ~ np.log(a) + b + z", predictors={"b": given})
        assert "np.log(a)" not in own["b"].predictors
        assert not any("predicts other columns as" in event for event in own.events)


def test_a_column_drawn_after_the_joint_model_sees_the_same_scale():
    frame = frame_of(n=60)
    extra = pd.DataFrame(np.random.default_rng(2).normal(size=(60, 4)), columns=list("pqrs"))
    frame = lost(pd.concat([frame, extra], axis=1), "b", *"pqrs")
    plan = frame.mice.plan("y ~ np.log(a) + b")
    late = [v for v in plan.variables if v.role == "column" and "after the joint model" in v.why]
    assert late
    assert all("a" not in v.predictors for v in late)


def test_a_call_with_the_expression_as_predictor_draws_the_same():
    """The scale is no more than what a user could have written."""
    frame = lost(frame_of(), "b")
    words = {"m": 2, "rng": 1, "iterations": 4, "methods": {"b": "norm"}}
    one = frame.mice.impute("y ~ np.log(a) + b + z", **words)
    other = frame.mice.impute("y ~ np.log(a) + b + z", predictors={"b": "np.log(a) + z"}, **words)
    # the columns of the two models stand in another order, and a formula's are not centred: equal up to rounding
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a["b"], b["b"], rtol=1e-6)


def test_the_residuals_that_choose_a_model_are_those_of_the_scale():
    rng = np.random.default_rng(3)
    a = np.exp(1.5 * rng.normal(size=600))
    b = 10 + np.log(a) + 0.1 * rng.normal(size=600)
    frame = lost(pd.DataFrame({"y": np.log(a) + b + rng.normal(size=600), "a": a, "b": b}), "b")
    assert frame.mice.plan("y ~ np.log(a) + b")["b"].label == "norm"
    assert frame.mice.plan("y ~ a + b")["b"].label == "power"


def test_a_line_in_the_logarithm_is_found_whether_or_not_the_number_is_complete():
    # With a itself as predictor the coefficient of b was 0.47 and that of log(a) 0.58; Monte-Carlo error 0.015.
    found = []
    for seed in range(12):
        names = ("b",) if seed % 2 else ("a", "b")
        full = frame_of(seed)
        rng = np.random.default_rng(seed)
        frame = lost(full, *(n for n in names if n != "b"), seed=seed)
        gone = rng.random(len(full)) < 1 / (1 + np.exp(0.6 - 0.8 * (full["y"] - full["y"].mean()) / full["y"].std()))
        imp = frame.assign(b=full["b"].mask(gone)).mice.impute("y ~ np.log(a) + b", m=3, rng=seed, iterations=6)
        whole = np.linalg.lstsq(
            np.column_stack([np.ones(len(full)), np.log(full["a"]), full["b"]]), full["y"], rcond=None
        )
        found.append(imp.fit("y ~ np.log(a) + b").params["b"] - whole[0][2])
    assert abs(np.mean(found)) < 0.06


def test_a_function_of_the_user_serves_and_is_kept(tmp_path):
    frame = lost(frame_of(), "a", "b")
    imp = frame.mice.impute("y ~ squashed(a) + b", m=2, rng=1, iterations=5)
    assert imp.plan["b"].predictors == ("squashed(a)",)
    imp.save(tmp_path / "one.mifit")
    again = mifit.load(tmp_path / "one.mifit", names={"squashed": squashed})
    pd.testing.assert_frame_equal(again[1], imp[1])


def test_a_predictor_that_is_no_column_is_refused_as_before():
    with pytest.raises(PlanError, match="predict itself"):
        lost(frame_of(), "a", "b").mice.plan("y ~ np.log(a) + b", predictors={"b": ["b"]})

"""Nominal columns with nearly as many levels as rows: fast enough, and named in the plan with a cure that runs."""

import re
import time

import numpy as np
import pandas as pd
import pytest

from mifit.imputation.methods import multinomial


def frame_of(levels, n=120, dtype=object):
    rng = np.random.default_rng(levels)
    g = pd.Series([f"s{i}" for i in [*range(levels), *rng.integers(0, levels, n - levels)]], dtype=dtype)
    frame = pd.DataFrame({"y": rng.standard_normal(n), "x": rng.standard_normal(n), "g": g})
    for name in ("x", "g"):
        frame[name] = frame[name].mask(rng.random(n) < 0.2)
    return frame


@pytest.mark.parametrize(("levels", "q", "n"), [(20, 1, 50), (39, 3, 96), (82, 2, 700), (25, 4, 3000)])
def test_one_product_for_all_pairs_of_levels_equals_one_for_each(levels, q, n, monkeypatch):
    rng = np.random.default_rng(0)
    X, share = rng.standard_normal((n, q)), rng.random((levels, n)) ** 8
    share /= share.sum(axis=0) * (1 + 1e-12)
    once = multinomial._curvature(X, share)
    monkeypatch.setattr(multinomial, "_MANY_LEVELS", 10**9)
    np.testing.assert_allclose(once, multinomial._curvature(X, share), rtol=1e-12, atol=1e-13 * n)


@pytest.mark.parametrize(("levels", "n"), [(40, 120), (93, 240)])
@pytest.mark.parametrize("formula", [None, "y ~ x", "y ~ x + g"])
def test_a_few_sweeps_take_seconds(levels, n, formula):
    began = time.process_time()
    imp = frame_of(levels, n).mice.impute(formula, m=2, iterations=2, rng=1)
    assert time.process_time() - began < 20  # 55 of them for five sets before; now well under one
    assert imp[0]["x"].notna().all()


@pytest.mark.parametrize("dtype", [object, "category", "string"])
@pytest.mark.parametrize("formula", [None, "y ~ x", "y ~ x + g"])
def test_thin_levels_are_named_with_a_cure_that_runs(formula, dtype):
    df = frame_of(45, dtype=dtype)
    [said] = [one for one in df.mice.plan(formula).events if "levels in" in one]
    cure = re.search(r"together: (.*)", said)[1]
    if cure.startswith("min_count"):
        plan = df.mice.plan(formula, **eval(f"dict({cure})"))
    else:
        missing = df["g"].isna()
        exec(cure, {"df": df})
        assert df["g"].isna().equals(missing)
        plan = df.mice.plan(formula)
    assert not [one for one in plan.events if "levels in" in one]


def test_few_levels_and_many_rows_need_no_word():
    assert not [one for one in frame_of(12).mice.plan().events if "levels in" in one]
    assert not [one for one in frame_of(30, 400).mice.plan().events if "levels in" in one]

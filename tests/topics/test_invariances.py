"""What must not matter does not matter: each invariance at its level, over generated frames and plans."""

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.first_fill import start
from mifit.imputation.seed import Seed
from mifit.pooling.rubin import pool
from support.made import make

EXAMPLES = {"derandomize": True, "deadline": None, "suppress_health_check": list(HealthCheck)}
FORMULAS = [None, "y ~ x + z", "y ~ x*z + g", "y ~ x + I(z**2)", "b ~ x + z", "y ~ b + o"]
METHODS = {"x": "norm", "z": "norm"}


@st.composite
def studies(draw, formulas=FORMULAS):
    """A frame of numbers, two values, levels and a rating, all but y with missing values; a formula or none."""
    n = draw(st.integers(50, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    z, x = rng.normal(size=(2, n))
    frame = pd.DataFrame({"x": x + 0.5 * z, "z": z, "y": 1 + x + z + rng.normal(size=n)})
    frame["b"] = np.where(rng.random(n) < 1 / (1 + np.exp(-x)), "yes", "no")
    frame["g"] = np.array(["p", "q", "r"])[rng.integers(0, 3, n)]
    frame["o"] = rng.integers(1, 5, n).astype(float)
    for name in ("x", "b", "g", "o"):
        gone = rng.random(n) < draw(st.sampled_from([0.1, 0.25]))
        frame[name] = frame[name].mask(gone)
    return frame, draw(st.sampled_from(formulas))


def drawn(frame, formula, m=2, iterations=3, **options):
    """Completed sets with the same seed every time."""
    return frame.mice.impute(formula, m=m, rng=11, iterations=iterations, methods=METHODS, **options)


def assert_same_bits(one, other):
    """Two lists of frames that agree in every bit."""
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


@settings(max_examples=15, **EXAMPLES)
@given(study=studies(), more=st.integers(1, 2), sweeps=st.integers(1, 3))
def test_extending_gives_the_bits_of_all_at_once(study, more, sweeps):
    frame, formula = study
    at_once = drawn(frame, formula, m=2 + more, iterations=3 + sweeps)
    assert_same_bits(drawn(frame, formula).extend(more).extend(iterations=sweeps), at_once)
    assert_same_bits(drawn(frame, formula).extend(iterations=sweeps).extend(more), at_once)


@settings(max_examples=15, **EXAMPLES)
@given(study=studies(), labels=st.sampled_from(["text", "duplicates", "falling", "dates"]))
def test_row_labels_change_no_bit(study, labels):
    frame, formula = study
    n = len(frame)
    index = {
        "text": [f"r{i}" for i in range(n)], "duplicates": np.arange(n) % 3, "falling": np.arange(n)[::-1],
        "dates": pd.date_range("2020", periods=n),
    }[labels]  # fmt: skip
    other = drawn(frame.set_axis(index), formula)
    assert_same_bits(drawn(frame, formula), [f.reset_index(drop=True) for f in other])


@settings(max_examples=15, **EXAMPLES)
@given(study=studies(), x=st.integers(-30, 30), y=st.integers(-30, 30))
def test_powers_of_two_in_the_units_change_no_bit(study, x, y):
    frame, formula = study
    scaled = frame.assign(x=frame["x"] * 2.0**x, y=frame["y"] * 2.0**y)
    for one, other in zip(drawn(frame, formula), drawn(scaled, formula), strict=True):
        back = other.assign(x=other["x"] / 2.0**x, y=other["y"] / 2.0**y)
        pd.testing.assert_frame_equal(one, back, check_exact=True)


@settings(max_examples=15, **EXAMPLES)
@given(study=studies(), factor=st.sampled_from([1e-6, 0.3, 1e3, 7e5]), origin=st.sampled_from([0.0, -5.0, 40.0]))
def test_other_units_and_origins_give_the_same_values_in_them(study, factor, origin):
    frame, formula = study
    moved = frame.assign(x=(frame["x"] + origin) * factor)
    one, other = drawn(frame, formula)[1], drawn(moved, formula)[1]
    tolerance = 1e-8 * (1 + abs(origin))  # the origin costs the digits it adds
    np.testing.assert_allclose(other["x"] / factor - origin, one["x"], rtol=0, atol=30 * tolerance)
    pd.testing.assert_frame_equal(one[["b", "g"]], other[["b", "g"]], check_exact=True)


@settings(max_examples=15, **EXAMPLES)
@given(study=studies([None, "y ~ x + z", "y ~ x*z + g"]))
def test_other_names_of_levels_in_the_same_order_give_the_same_levels(study):
    frame, formula = study
    names = {"p": "A long name", "q": "Bé", "r": "C"}
    one, other = drawn(frame, formula), drawn(frame.assign(g=frame["g"].map(names)), formula)
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(
            left.assign(g=left["g"].map(names).astype(right["g"].dtype)), right, check_exact=True
        )


@settings(max_examples=4, **EXAMPLES)
@given(study=studies([None, "y ~ x + z"]), how=st.sampled_from(["rows", "columns"]))
def test_the_order_of_rows_and_columns_changes_no_distribution(study, how):
    frame, formula = study
    other = frame.sample(frac=1.0, random_state=3) if how == "rows" else frame[frame.columns[::-1]]
    gone = frame["x"].isna()
    means = []
    for one in (frame, other):
        imp = drawn(one, formula, m=80, iterations=5)
        means.append([f.loc[gone[gone].index, "x"].mean() for f in imp])
    # t and F tests of 80 against 80 means, four examples each: a false alarm with probability 8e-4 in all
    assert stats.ttest_ind(*means).pvalue > 1e-4
    ratio = np.var(means[0]) / np.var(means[1])
    assert min(stats.f.sf(ratio, 79, 79), stats.f.cdf(ratio, 79, 79)) > 0.5e-4


@settings(max_examples=15, **EXAMPLES)
@given(study=studies(), sweeps=st.integers(1, 3))
def test_the_store_is_what_a_rebuild_gives_after_any_number_of_visits(study, sweeps):
    frame, formula = study
    table = read(frame)
    plan, table = make(table, [ask(formula, table)] if formula else [], Options(methods=METHODS), {})
    running = ChainState(Engine(table, plan), None)
    start(running, Seed(5).stream(0, 0))
    for sweep in range(1, sweeps + 1):
        running.sweep(Seed(5).stream(0, sweep), sweep)
        assert running.store.verify() < 1e-9


@settings(max_examples=40, **EXAMPLES)
@given(m=st.integers(2, 30), p=st.integers(1, 5), seed=st.integers(0, 2**20))
def test_pooling_does_not_depend_on_the_order_of_the_sets(m, p, seed):
    rng = np.random.default_rng(seed)
    estimates, roots = rng.normal(size=(m, p)), rng.normal(size=(m, p, p))
    covariances = roots @ roots.transpose(0, 2, 1) + np.eye(p)
    order = rng.permutation(m)
    one, other = pool(estimates, covariances, 50.0), pool(estimates[order], covariances[order], 50.0)
    for name in ("estimate", "within", "between", "total", "df", "fmi", "riv"):
        if hasattr(one, name):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-12)
    assert np.isfinite(np.asarray(one.total)).all()


@settings(max_examples=6, **EXAMPLES)
@given(study=studies(["y ~ x + z", "y ~ x*z + g"]))
def test_a_pooled_regression_does_not_depend_on_the_order_of_the_sets(study):
    from mifit import from_frames

    frame, formula = study
    imp = drawn(frame, formula, m=5)
    one = imp.fit()
    other = from_frames(list(imp)[::-1], original=frame).fit(formula)
    np.testing.assert_allclose(one.params, other.params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.bse, other.bse, rtol=1e-9)

"""Columns that are another one in other units: named in the plan, in step once the words it prints are pasted."""

import re

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.imputation.plan.copies_in_other_units import linear_copy

N = 120


def frame_of(seed=0, **made):
    """A frame of some columns, a fifth of each missing, and complete ones beside."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(N)
    frame = pd.DataFrame({"z": z, "y": z + rng.standard_normal(N)})
    for name, values in made.items():
        frame[name] = pd.Series(values).mask(rng.random(N) < 0.2)
    return frame


def base(seed=1):
    return np.random.default_rng(seed).standard_normal(N)


def whole(seed=2, top=6):
    return np.random.default_rng(seed).integers(1, top, N).astype(float)


def derived_in(plan):
    """What the plan advises; None where it advises nothing."""
    notes = [one for one in plan.events if "keeps them consistent" in one]
    assert len(notes) <= 1
    return eval(re.search(r"derived=(\{.*\})\) keeps", notes[0])[1]) if notes else None


INCHES = base().round(1) * 4 + 67
COPIES = {
    "a line": ({"a": base(), "b": 2 * base() + 1}, {"b": "2 * a + 1"}),
    "falling": ({"a": base(), "b": 3 - base()}, {"b": "-a + 3"}),
    "the same": ({"a": base(), "b": base()}, {"b": "a"}),
    "rounded": ({"inches": INCHES.round(1), "cm": (2.54 * INCHES.round(1)).round(1)}, {"cm": "2.54 * inches"}),
    "degrees": ({"c": 10 * base(), "f": 18 * base() + 32}, {"f": "1.8 * c + 32"}),
    "three": ({"a": base(), "b": 2 * base(), "c": 5 - base()}, {"b": "2 * a", "c": "-a + 5"}),
    "a scale": ({"q": whole(), "r": 6 - whole()}, {"r": "-q + 6"}),
    "binary": ({"s": whole(top=3), "t": whole(top=3) - 1}, {"t": "s - 1"}),
    "float32": ({"a": base().astype("float32"), "b": 2 * base().astype("float32") + 1}, {"b": "2 * a + 1"}),
    "tiny": ({"a": 1e-120 * base(), "b": 1e120 * base()}, None),
}


@pytest.mark.parametrize("formula", [None, "y ~ z"])
@pytest.mark.parametrize("case", COPIES)
def test_a_copy_is_named_and_the_pasted_words_keep_every_set_in_step(case, formula):
    made, expected = COPIES[case]
    frame = frame_of(**made)
    derived = derived_in(frame.mice.plan(formula))
    assert derived is not None
    if expected is not None and case not in ("binary", "a scale", "three"):  # written from any side
        assert derived == expected
    imp = frame.mice.impute(formula, derived=derived, m=2, iterations=3, rng=1)
    assert derived_in(imp.plan) is None
    for one in imp:
        assert one.notna().all().all()
        for copy, code in derived.items():
            gap = np.abs(one.eval(code) - one[copy])
            assert gap.max() <= (0.0501 if case == "rounded" else 1e-6 * np.abs(one[copy]).max())


def test_a_copy_of_the_outcome_derives_from_it_and_other_derived_columns_stay_in_the_call():
    frame = frame_of(a=base(), b=2 * base() + 1).assign(out=lambda d: d["b"], copy=lambda d: d["b"] / 4)
    assert derived_in(frame.drop(columns=["a", "b"]).mice.plan("out ~ z")) == {"copy": "0.25 * out"}
    found = derived_in(frame.drop(columns=["out", "copy"]).mice.plan("y ~ a + z2", derived={"z2": "z * z"}))
    assert found == {"z2": "z * z", "b": "2 * a + 1"}


def test_odd_names_can_be_pasted():
    frame = frame_of(a=base(), b=2 * base() + 1).rename(columns={"a": "in", "b": "kg / m"})
    derived = derived_in(frame.mice.plan())
    assert derived == {"kg / m": "2 * Q('in') + 1"}
    for one in frame.mice.impute(derived=derived, m=2, iterations=2, rng=1):
        np.testing.assert_allclose(one["kg / m"], 2 * one["in"] + 1)


@pytest.mark.parametrize(
    "made",
    [
        {"a": base(), "b": base() + 0.005 * base(9)},  # near copies
        {"a": whole(), "b": whole(seed=3)},
        {"a": whole(), "b": whole() + (np.arange(N) == 60)},  # one row apart
        {"s": np.arange(N) % 60 == 0, "t": np.arange(N) % 60 == 0},  # two rows tell nothing
        {"a": base(), "b": np.where(np.arange(N) < 8, 2 * base() + 1, np.nan)},  # too few rows
    ],
)
def test_near_copies_and_accidents_are_not_named(made):
    made = {name: np.asarray(values, dtype=float) for name, values in made.items()}
    assert derived_in(frame_of(**made).mice.plan()) is None


def test_complete_copies_are_not_named():
    assert derived_in(frame_of(w=base(4)).assign(a=base(), b=2 * base() + 1).mice.plan()) is None


@pytest.mark.parametrize("power", [-100, -3, 0, 4, 100])
def test_units_do_not_matter(power):
    x = base() * 10.0**power
    assert linear_copy(x, 2 * x) == (2.0, 0.0)
    assert linear_copy(x, base() + 1) == pytest.approx((10.0**-power, 1.0), rel=1e-9)
    assert linear_copy(x, x + 0.01 * 10.0**power * base(7)) is None


@pytest.mark.parametrize("slope", [1.0, 2.54, -1e6])
def test_an_analysis_of_a_column_and_its_exact_copy_is_refused_with_the_call_that_keeps_both(slope):
    rng = np.random.default_rng(5)
    df = pd.DataFrame({"x": rng.normal(size=200), "z": rng.normal(size=200)})
    df = df.assign(k=slope * df["x"], y=df["x"] + df["z"] + rng.normal(size=200))
    df.loc[:60, "x"], df.loc[30:90, "k"] = np.nan, np.nan
    for verb in ("impute", "plan"):
        with pytest.raises(mifit.PlanError, match="cannot tell their coefficients apart") as caught:
            getattr(df.mice, verb)("y ~ x + k + z", m=2, rng=1)
    imp = eval(caught.value.do)
    assert list(imp.fit().params.index) == ["Intercept", "x", "z"]
    for one in imp:
        np.testing.assert_allclose(one["k"], slope * one["x"], rtol=1e-9)
    assert "x" in df.mice.plan("y ~ x + I(k**2) + z")  # a curve is no copy

"""Arithmetic and methods of columns in a formula: what a line advises gives the analysis that was meant."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit  # noqa: F401
from mifit.errors import FormulaError

#: what is written -> what is analysed by the advised call
MEANT = {
    "y ~ x - z": "y ~ I(x - z)",
    "y ~ w + x - z": "y ~ w + I(x - z)",
    "y ~ x - z + w": "y ~ I(x - z) + w",
    "y ~ x - x.mean()": "y ~ center(x)",
    "y ~ I(x - x.mean()) * z": "y ~ center(x) * z",
    "y ~ I(x - np.mean(x))": "y ~ center(x)",
    "y ~ I((x - x.mean()) / x.std())": "y ~ standardize(x, ddof=1)",
    "y ~ I((x - np.mean(x)) / np.std(x))": "y ~ standardize(x)",
    "y ~ x.clip(0, 1)": "y ~ np.clip(x, 0, 1)",
    "y ~ x.clip(upper=1) + z": "y ~ np.clip(x, None, 1) + z",
    "y ~ np.log(x.abs()) + z": "y ~ np.log(np.abs(x)) + z",
    "y ~ x.pow(2) + z": "y ~ np.power(x, 2) + z",
}

#: what is written, and the column that the advised line makes before imputing
MADE = {
    "y ~ x.rank() + z": lambda d: d["x"].rank(),
    "y ~ x.shift(1) + z": lambda d: d["x"].shift(1),
    "y ~ I(x / x.max())": lambda d: d["x"] / d["x"].max(),
    "y ~ x.gt(0)": lambda d: (d["x"] > 0).where(d["x"].notna()),
    "y ~ I(x > x.mean())": lambda d: (d["x"] > d["x"].mean()).where(d["x"].notna()),
}


@pytest.fixture
def df():
    rng = np.random.default_rng(2)
    made = pd.DataFrame(rng.normal(size=(80, 3)), columns=["x", "z", "w"])
    made["y"] = made["x"] - made["z"] + rng.normal(size=80)
    return made.mask(rng.random(made.shape) < 0.1)


@pytest.mark.parametrize("formula", MEANT)
def test_the_advised_call_analyses_what_was_meant(df, formula):
    with pytest.raises(FormulaError) as caught:
        df.mice.impute(formula, m=2, rng=1)
    assert caught.value.do.startswith(f"df.mice.impute({MEANT[formula]!r}")
    imp = eval(str(caught.value.do), {"df": df, "np": np})
    wanted = smf.ols(MEANT[formula], imp[0]).fit().params
    learned_once = any(word in MEANT[formula] for word in ("center", "standardize"))  # from the observed values
    found = imp.fit().fits.estimates[0]
    if not learned_once:
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert len(found) == len(wanted)


@pytest.mark.parametrize("formula", MADE)
def test_the_advised_line_makes_the_column_and_keeps_its_missing_values(df, formula):
    with pytest.raises(FormulaError) as caught:
        df.mice.impute(formula, m=2, rng=1)
    exec(str(caught.value.do), {"df": df, "pd": pd, "np": np})
    pd.testing.assert_series_equal(df["new"], MADE[formula](df), check_names=False, check_dtype=False)


def test_a_difference_on_the_left_is_made_a_column(df):
    with pytest.raises(FormulaError, match="takes nothing away from an outcome") as caught:
        df.mice.impute("y - x ~ z", m=2, rng=1)
    made = df.copy()
    lines = {"df": made}
    *before, last = str(caught.value.do).split("; ")
    exec("; ".join(before), lines)
    pd.testing.assert_series_equal(made["outcome"], df["y"] - df["x"], check_names=False)
    assert list(eval(last, lines).fit().params.index) == ["Intercept", "z"]


@pytest.mark.parametrize(
    "formula",
    ["y ~ x*z - x", "y ~ x - 1", "y ~ 0 + x", "y ~ (x + z)**2 - z:x", "y ~ x*z - (x + z)", "y ~ x + z - z"],
)
def test_terms_that_are_there_are_taken_away(df, formula):
    imp = df.mice.impute(formula, m=2, rng=1)
    assert list(imp.fit().params.index) == list(smf.ols(formula, imp[0]).fit().params.index)


def test_a_category_on_the_left_is_sent_to_its_model(df):
    rng = np.random.default_rng(3)
    df["n"], df["h"] = rng.choice([*"abc"], 80), rng.choice(["yes", "no"], 80)
    df["g"] = pd.Categorical(rng.choice([*"abc"], 80), ordered=True)
    df.loc[:5, ["n", "h", "g"]] = np.nan
    for name, model in (("g", ", model='ordinal'"), ("n", ", model='mnlogit'"), ("h", "")):
        with pytest.raises(FormulaError) as caught:
            df.mice.impute(f"C({name}) ~ x", m=2, rng=1)
        assert str(caught.value.do) == f"df.mice.impute('{name} ~ x'{model}, m=2, rng=1)"
        assert len(eval(str(caught.value.do), {"df": df}).fit().params)

"""New rows: drawn under the parameters of each chain, without touching them; unlike rows are refused by name."""

import numpy as np
import pandas as pd
import pytest

import mifit
from support.mixed_kinds import ASKED, mixed, same


def halves(n=300, seed=0):
    """Rows to impute and rows that come later."""
    frame = mixed(n, seed)
    return frame.iloc[: n // 2], frame.iloc[n // 2 :]


@pytest.mark.parametrize("formula", [*ASKED.values(), "y ~ x * z + g"])
@pytest.mark.parametrize("mode", ["compatible", "terms"])
def test_new_rows_are_complete_and_what_was_observed_stays(formula, mode):
    frame, new = (part.assign(later=np.exp(part["later"] / 4)) for part in halves())
    imp = mifit.impute(frame, formula, m=3, iterations=3, rng=1, congeniality=mode if formula else "compatible")
    before = imp.fingerprint
    made = imp.impute_new(new)
    assert imp.fingerprint == before
    assert made.m == 3
    for one in made:
        assert not one.isna().any().any()
        assert one.index.equals(new.index) and one.dtypes.equals(new.dtypes)
        for name in new:
            seen = new[name].notna()
            assert one.loc[seen, name].equals(new.loc[seen, name])
    assert not made[0].equals(made[1])
    same(imp.impute_new(new), made)


def test_a_loaded_study_completes_new_rows_with_the_same_bits(tmp_path):
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x * z + g", m=3, iterations=3, rng=1)
    imp.save(tmp_path / "study.mifit")
    same(mifit.load(tmp_path / "study.mifit").impute_new(new), imp.impute_new(new))


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_the_parameters_do_not_see_the_new_rows():
    """A row's values may depend on how many came with it, the parameters may not: two batches, the same slope."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"z": rng.standard_normal(200)}).assign(x=lambda d: 2 * d["z"])
    frame.loc[::3, "x"] = np.nan  # an exact line: what is drawn tells the parameters to many digits
    imp = mifit.impute(frame, methods={"x": "norm"}, m=2, rng=1)
    far = pd.DataFrame({"z": np.linspace(-50, 50, 40), "x": np.nan})
    with_outlier = pd.concat([far, pd.DataFrame({"z": [0.0], "x": [1e6]})])
    for one, other in zip(imp.impute_new(far), imp.impute_new(with_outlier), strict=True):
        np.testing.assert_allclose(one["x"], 2 * far["z"], atol=1e-6)
        np.testing.assert_allclose(other["x"].iloc[:40], 2 * far["z"], atol=1e-6)


def test_draws_for_new_rows_have_the_mean_and_variance_that_the_theory_says():
    """x given y and z under y = x + z + e is normal; 4,000 new rows, false alarm below 1e-4 for each of the checks."""
    rng = np.random.default_rng(3)
    n = 4000

    def drawn(n):
        z, x = rng.standard_normal(n), rng.standard_normal(n)
        return pd.DataFrame({"y": 1 + x + z + rng.standard_normal(n), "x": x, "z": z})

    frame = drawn(n)
    frame.loc[rng.random(n) < 0.2, "x"] = np.nan
    imp = mifit.impute(frame, "y ~ x + z", m=2, iterations=5, rng=1)
    new = drawn(n)
    truth = new["x"].copy()
    mean = (new["y"] - 1 - new["z"]) / 2  # variance 1/2
    made = imp.impute_new(new.assign(x=np.nan))
    for one in made:
        gap = one["x"] - mean
        # Drawn parameters are off by about 1 / sqrt(n); 4 standard errors of a mean, twice over for that.
        assert abs(gap.mean()) < 2 * 4 * np.sqrt(0.5 / n)
        assert abs(gap.var() / 0.5 - 1) < 2 * 4 * np.sqrt(2 / n)
    # Draw and truth share their mean given the rest, half of their variance; standard error (1 - 1/4) / sqrt(n).
    assert abs(np.corrcoef(made[0]["x"], truth)[0, 1] - 0.5) < 2 * 4 * 0.75 / np.sqrt(n)


def test_a_missing_outcome_is_drawn_from_the_analysis_and_an_observed_one_informs():
    rng = np.random.default_rng(4)
    n = 2000
    frame = pd.DataFrame({"x": rng.standard_normal(n), "z": rng.standard_normal(n)})
    frame["y"] = 3 * frame["x"] + frame["z"] + 0.1 * rng.standard_normal(n)
    frame.loc[rng.random(n) < 0.3, "x"] = np.nan
    imp = mifit.impute(frame, "y ~ x + z", m=2, rng=1)  # the outcome is complete here
    new = pd.DataFrame({"x": [1.0, np.nan, 2.0], "z": [0.0, 1.0, -1.0], "y": [np.nan, 4.0, np.nan]})
    for one in imp.impute_new(new):
        np.testing.assert_allclose(one["y"], [3.0, 4.0, 5.0], atol=0.6)
        np.testing.assert_allclose(one["x"], [1.0, 1.0, 2.0], atol=0.3)
    without = imp.impute_new(new[["z", "x"]])  # not there at all
    assert list(without[0].columns) == ["z", "x"]
    assert without[0]["x"].notna().all()


def test_every_model_of_an_outcome_can_draw_it_or_says_that_it_cannot():
    rng = np.random.default_rng(5)
    frame = mixed().drop(columns="later").assign(time=rng.exponential(size=150), status=rng.random(150) < 0.7)
    for formula, words in (
        ("b ~ x + z", {}), ("c ~ x + z", {"model": "poisson"}), ("g ~ x + z", {"model": "mnlogit"}),
    ):  # fmt: skip
        complete = frame.dropna(subset=[formula[0]])
        imp = mifit.impute(complete, formula, m=2, iterations=2, rng=1, **words)
        new = frame.assign(**{formula[0]: frame[formula[0]].mask(np.arange(150) < 50)})
        for one in imp.impute_new(new):
            assert one[formula[0]].notna().all()
    imp = mifit.impute(frame, "time ~ x + z", model="phreg", status="status", m=2, iterations=2, rng=1)
    assert imp.impute_new(frame)[0][["x", "z", "g"]].notna().all().all()
    with pytest.raises(
        mifit.PlanError, match=r"'time' is missing in 3 of the new rows[\s\S]*survival times are not imputed"
    ):
        imp.impute_new(frame.assign(time=frame["time"].mask(np.arange(150) < 3)))


DTYPES = ["float32", "Float64", "object"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_new_rows_keep_their_own_dtypes(dtype):
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x + z", m=2, iterations=2, rng=1)
    new = new.assign(x=new["x"].astype(dtype), c=new["c"].astype("Int64"), b=new["b"].astype("Int8"))
    for one in imp.impute_new(new):
        assert one.dtypes.equals(new.dtypes)
        assert not one.isna().any().any()
    other = new.assign(g=new["g"].astype(object), extra="as it was", when=pd.Timestamp("2020-01-01"))
    other.index = pd.MultiIndex.from_product([["a"], range(len(other))])
    made = imp.impute_new(other)[0]
    assert made["g"].notna().all() and made["g"].dtype == object
    assert made[["extra", "when"]].equals(other[["extra", "when"]])
    assert made.index.equals(other.index)


def test_unlike_rows_are_refused_by_name():
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x + g + z", m=2, iterations=2, rng=1)
    odd = new.assign(g=new["g"].astype(object))
    odd.iloc[3, odd.columns.get_loc("g")] = "moon"
    with pytest.raises(mifit.DataError, match=r"'g' of the new rows has 1 values .* never seen: 'moon'"):
        imp.impute_new(odd)
    with pytest.raises(mifit.DataError, match=r"'g' .* without the level 'c'"):
        imp.impute_new(new[new["g"] != "c"].assign(g=lambda d: d["g"].cat.remove_categories("c")))
    with pytest.raises(mifit.DataError, match="'x' of the new rows has the dtype"):
        imp.impute_new(new.assign(x="tall"))
    with pytest.raises(mifit.DataError, match="'x' of the new rows holds infinite"):
        imp.impute_new(new.assign(x=np.inf))
    with pytest.raises(mifit.PlanError, match=r"'z' is missing in all new rows[\s\S]*it was complete"):
        imp.impute_new(new.assign(z=np.nan))
    with pytest.raises(mifit.PlanError, match=r"'z' is missing in all"):
        imp.impute_new(new.drop(columns="z"))
    with pytest.raises(mifit.DataError, match="none of the columns"):
        imp.impute_new(pd.DataFrame({"other": [1.0]}))
    with pytest.raises(mifit.DataError, match="a pandas DataFrame is needed"):
        imp.impute_new([1, 2])
    with pytest.raises(mifit.PlanError, match="made elsewhere"):
        mifit.from_long(imp.to_long()).impute_new(new)


def test_derived_columns_stay_in_step_and_subjects_must_be_new():
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ twice + z", derived={"twice": "2 * x"}, m=2, iterations=2, rng=1)
    for one in imp.impute_new(new.assign(twice=2 * new["x"])):
        np.testing.assert_allclose(one["twice"], 2 * one["x"])
    assert "twice" not in imp.impute_new(new)[0]
    frame = frame.assign(patient=np.repeat(np.arange(50), 3), sex=np.repeat(np.arange(50) % 2, 3).astype(float))
    frame.loc[frame["patient"] < 9, "sex"] = np.nan
    new = frame.assign(patient=frame["patient"] + 50)
    imp = mifit.impute(frame, "y ~ x * sex", id="patient", m=2, iterations=2, rng=1)
    for one in imp.impute_new(new):
        assert (one.groupby("patient")["sex"].nunique() == 1).all()
    with pytest.raises(mifit.DataError, match="'patient' were imputed already"):
        imp.impute_new(frame)


@pytest.mark.parametrize("formula", [None, "y ~ x * z + g", "y ~ x", ["y ~ x", "c ~ x + z"]])
@pytest.mark.parametrize("first", ["complete", "one incomplete", "incomplete"])
def test_a_missing_value_of_a_new_row_is_drawn_or_refused_with_a_call_that_draws_it(formula, first):
    df, new = halves()
    df, new = (part.drop(columns="later").assign(one="same") for part in (df, new))
    if first != "incomplete":
        df = df.dropna()
    if first == "one incomplete":
        df = df.assign(x=df["x"].mask(np.arange(len(df)) % 5 == 0))
    imp = mifit.impute(df, formula, m=2, iterations=5, rng=1)
    whole = new.dropna()
    refused = 0
    for name in df:
        some = whole.assign(**{name: whole[name].mask(np.arange(len(whole)) % 3 == 0)})
        try:
            made = imp.impute_new(some)
            # as the plan says of the first rows
            left = repr(name) in repr(made).partition("missing values remain in")[2]
            assert not left or imp.plan[name].role == "left"
            assert all(one.drop(columns=[name] * left).notna().all().all() for one in made)
        except mifit.PlanError as error:
            refused += 1
            assert repr(name) in str(error)
            names = {"pd": pd, "df": df, "new": some}
            exec(error.do, names)
            assert all(one.notna().all().all() and len(one) == len(df) + len(some) for one in names["imp"])
    assert refused or first == "incomplete"
    assert imp.impute_new(whole)[0].equals(whole)


def test_what_no_model_draws_is_said_and_arrays_of_the_old_rows_are_refused():
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x + z", m=2, iterations=2, rng=1, methods={"later": "leave"})
    made = imp.impute_new(new)
    assert made[0]["later"].isna().sum() == new["later"].isna().sum()
    assert "missing values remain in 'later'" in repr(made)
    weights = np.random.default_rng(1).random(len(frame)) + 0.5
    imp = mifit.impute(frame, "y ~ x + z", model="wls", weights=weights, m=2, iterations=2, rng=1)
    with pytest.raises(mifit.PlanError, match="weights= is an array of the 150 rows"):
        imp.impute_new(new)


def test_complete_rows_and_one_row_are_no_special_case():
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x + z", m=2, iterations=2, rng=1)
    whole = new.dropna()
    assert imp.impute_new(whole)[1].equals(whole)
    assert imp.impute_new(new.iloc[:1].assign(x=np.nan))[0]["x"].notna().all()


def test_pooled_predictions_for_new_rows_follow():
    frame, new = halves()
    imp = mifit.impute(frame, "y ~ x + z", m=3, iterations=3, rng=1)
    res = imp.fit()
    per_set = [res.predict(one) for one in imp.impute_new(new)]
    assert all(len(one) == len(new) and np.isfinite(one).all() for one in per_set)

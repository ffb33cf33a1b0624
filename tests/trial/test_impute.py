"""Messy frames give the answer of clean ones; what enters comes out; what cannot be is refused with a call to paste."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.errors import DataError, FitError, PlanError
from support.trials import WORDS, small_trial


def effects(frame, **changes):
    """Conditional-mean effects and their jackknife errors."""
    words = {**WORDS, "strategy": "CIR", "covariates": "base*visit", "m": 2, "rng": 1, **changes}
    found = mifit.trial.impute(frame, **words).ancova().effects
    return found[found["variance"] == "jackknife"][["estimate", "std_error"]].to_numpy()


def shuffled(df):
    return df.sample(frac=1, random_state=3)


MESSY = {
    "rows absent": lambda df: df.dropna(subset=["y"]),
    "some rows absent": lambda df: df[df["y"].notna() | (df["id"] % 2 == 0)],
    "shuffled": shuffled,
    "text index that repeats": lambda df: df.set_axis(["a"] * len(df), axis=0),
    "two levels of index": lambda df: shuffled(df).set_index(["id", "visit"], drop=False).rename_axis([None, "v"]),
    "visits as text": lambda df: df.assign(visit="week " + (df["visit"] * 6).astype(str)),
    "visits as categories": lambda df: df.assign(
        visit=pd.Categorical(df["visit"].map({1: "x", 2: "b", 3: "m"}), ["start", "x", "b", "m"], ordered=True)
    ),
    "visits as dates": lambda df: df.assign(visit=pd.Timestamp("2024-01-01") + pd.to_timedelta(df["visit"], "D")),
    "arms as categories": lambda df: df.assign(arm=pd.Categorical(df["arm"], ["none", "placebo", "active"])),
    "nullable numbers": lambda df: df.astype({"y": "Float64", "base": "Float64", "visit": "Int64", "id": "Int64"}),
    "outcome as objects": lambda df: df.assign(y=df["y"].astype(object)),
    "text subjects": lambda df: df.assign(id="s" + df["id"].astype(str)),
    "a covariate in one row only": lambda df: df.assign(base=df["base"].where(df["visit"] == 1)),
}


@pytest.mark.parametrize("kind", MESSY)
def test_a_messy_frame_gives_the_answer_of_the_clean_one(kind):
    df = small_trial()
    np.testing.assert_allclose(effects(MESSY[kind](df)), effects(df), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", MESSY)
def test_what_enters_comes_out_and_absent_visits_get_rows(kind):
    df = MESSY[kind](small_trial())
    before = df.copy()
    sets = mifit.trial.impute(df, **WORDS, strategy="J2R", covariates="base*visit", m=2, rng=1)
    pd.testing.assert_frame_equal(df, before)
    for one in sets:
        assert len(one) == 120 and list(one.columns) == list(df.columns)
        assert not one[["id", "visit", "arm", "y"]].isna().any().any()
        assert not one.duplicated(["id", "visit"]).any()
        top = one.iloc[: len(df)]
        assert [*top.index] == [*df.index]
        for name in ("id", "visit", "arm"):
            assert top[name].tolist() == df[name].tolist()
            assert one[name].dtype == df[name].dtype
        seen = df["y"].notna().to_numpy()
        assert top["y"][seen].tolist() == df["y"][seen].tolist()
        assert one.groupby("id")["arm"].nunique().eq(1).all()
    assert sets.original["y"].isna().sum() == np.isnan(small_trial()["y"]).sum()


def test_other_columns_of_added_rows_are_those_of_the_subject_or_missing():
    df = small_trial().assign(sex="f", day=lambda d: d["visit"] * 7 + d["id"] % 3).dropna(subset=["y"])
    one = mifit.trial.impute(df, **WORDS, m=2, rng=1)[0]
    added = one.iloc[len(df) :]
    assert (added["sex"] == "f").all() and added["day"].isna().all()
    assert added.index.tolist() == list(range(df.index.max() + 1, df.index.max() + 1 + len(added)))


def test_the_same_seed_gives_the_same_bits_and_fewer_sets_are_the_first_ones():
    df = small_trial()
    five, two = (mifit.trial.impute(df, **WORDS, strategy="CR", m=m, rng=7) for m in (5, 2))
    for k in range(2):
        pd.testing.assert_frame_equal(five[k], two[k])
    other = mifit.trial.impute(df, **WORDS, strategy="CR", m=2, rng=8)
    assert not other[0]["y"].equals(two[0]["y"])


def test_a_single_visit_is_a_trial_too():
    df = small_trial().query("visit == 3")
    found = mifit.trial.impute(df, **WORDS, strategy="J2R", covariates="base*visit", m=3, rng=1).ancova()
    assert found.effects["estimate"].notna().all() and len(found.effects) == 2


def test_three_arms_have_two_effects_and_each_arm_its_own_covariance():
    df = small_trial(60)
    df["arm"] = np.where(df["id"] >= 140, "high", df["arm"])
    sets = mifit.trial.impute(df, **WORDS, strategy="CIR", by_arm=True, m=3, rng=1)
    found = sets.ancova(3)
    assert found.effects["estimand"].unique().tolist() == ["active - placebo", "high - placebo"]
    assert "covariance matrix for each arm" in repr(sets)


def test_events_are_read_from_a_column_a_mapping_or_marks():
    df = small_trial(stop=0.0)
    stopped = {100: 2, 130: 3}
    visits = df["id"].map(stopped)
    ways = [stopped, pd.Series(stopped), "column", "marks"]
    frames = [df, df, df.assign(column=visits), df.assign(marks=df["visit"] >= visits)]
    found = [
        mifit.trial.impute(f, **WORDS, strategy="J2R", event=way, m=2, rng=1)
        for way, f in zip(ways, frames, strict=True)
    ]
    for one in found:
        assert one.subjects["event"].dropna().to_dict() == stopped
        pd.testing.assert_series_equal(one[0]["y"], found[0][0]["y"])


def test_what_is_seen_after_an_event_stays_but_does_not_enter_the_model():
    df = small_trial()
    wild = df.copy()
    wild.loc[(wild["id"] == 139) & (wild["visit"] == 3), "y"] = 1e4
    hidden = df.copy()
    hidden.loc[(hidden["id"] == 139) & (hidden["visit"] == 3), "y"] = np.nan
    words = {**WORDS, "strategy": "J2R", "m": 2, "rng": 1}
    event = {139: 3}
    one, other = (mifit.trial.impute(f, **words, event=event) for f in (wild, hidden))
    assert one[0].loc[df["id"] == 139, "y"].iloc[-1] == 1e4
    elsewhere = (df["id"] != 139).to_numpy()
    np.testing.assert_allclose(one[0]["y"][elsewhere], other[0]["y"][elsewhere])
    kept = mifit.trial.impute(wild, **{**words, "strategy": "MAR"}, event=event)
    assert abs(kept[0]["y"][elsewhere] - one[0]["y"][elsewhere]).max() > 1


def test_subjects_may_have_strategies_of_their_own():
    df = small_trial()
    mixed = df.assign(how=np.where(df["id"] < 120, "J2R", "LMCF"))
    by_column = mifit.trial.impute(mixed, **WORDS, strategy="how", m=2, rng=1)
    mapping = dict(zip(mixed["id"], mixed["how"], strict=True))
    by_mapping = mifit.trial.impute(df, **WORDS, strategy=mapping, m=2, rng=1)
    pd.testing.assert_series_equal(by_column[0]["y"], by_mapping[0]["y"])
    assert set(by_column.subjects["strategy"]) == {"MAR", "J2R", "LMCF"}
    assert (by_column.subjects.query("event.isna()")["strategy"] == "MAR").all()


def test_missing_covariates_are_drawn_given_the_course_of_the_subject():
    # base and y are jointly normal; the conditional distribution of a missing base given y and arm is known
    rng = np.random.default_rng(4)
    n, effect, slope = 800, 2.0, 0.8
    arm, base = np.arange(n) % 2, rng.normal(10, 2, n)
    y = slope * base[:, None] + effect * arm[:, None] + rng.normal(0, 1, (n, 1)) + rng.normal(0, 1, (n, 2))
    gone = rng.random(n) < 0.3
    df = pd.DataFrame({
        "id": np.repeat(np.arange(n), 2), "visit": np.tile([1, 2], n), "arm": np.repeat(arm, 2),
        "base": np.repeat(np.where(gone, np.nan, base), 2), "y": y.ravel(),
    })  # fmt: skip
    words = {**WORDS, "reference": 0, "covariates": "base*visit"}
    sets = mifit.trial.impute(df, **words, m=10, rng=1)
    drawn = np.array([one["base"].to_numpy()[::2][gone] for one in sets])
    # given y the precision is 1/4 + slope^2 1'V^-1 1 with V = I + 11'
    weight = np.linalg.solve(np.eye(2) + 1, np.ones(2))
    precision = 0.25 + slope**2 * weight.sum()
    mean = (10 / 4 + slope * (y - effect * arm[:, None]) @ weight) / precision
    error = drawn.mean(axis=0) - mean[gone]
    assert abs(error.mean()) < 0.15 and abs((drawn - mean[gone]).var() * precision - 1) < 0.1
    assert np.corrcoef(drawn.mean(axis=0), base[gone])[0, 1] > 0.7
    assert sets[0]["base"].notna().all() and sets[0]["base"][1::2].tolist() == sets[0]["base"][::2].tolist()
    found = sets.under(m=3).ancova(2)
    assert abs(found.effects["estimate"] - effect).max() < 0.5


def test_the_structure_falls_back_where_the_data_do_not_determine_it():
    df = small_trial(12, stop=0.0)
    df.loc[(df["id"] < 106) & (df["visit"] == 3), "y"] = np.nan
    df.loc[(df["id"] >= 106) & (df["visit"] == 1), "y"] = np.nan  # the first and third visit are never seen together
    df["arm"] = np.where(df["id"] % 2 == 0, "placebo", "active")
    sets = mifit.trial.impute(df, **WORDS, m=2, rng=1)
    assert "do not determine an unstructured covariance matrix: toeplitz" in repr(sets) or "ar1" in repr(sets)
    with pytest.raises(FitError, match="do not determine the unstructured"):
        mifit.trial.impute(df, **WORDS, covariance="unstructured", m=2, rng=1)


def test_the_printed_results_have_both_variances_side_by_side():
    text = repr(mifit.trial.impute(small_trial(), **WORDS, strategy="J2R", m=5, rng=1).ancova(3))
    assert "5 draws, Rubin's variance" in text and "conditional means, jackknife" in text
    assert "jump to reference (J2R)" in text and "reference placebo" in text
    both = mifit.trial.impute(small_trial(), **WORDS, strategy="J2R", m=5, rng=1)
    assert "Cro, Carpenter & Kenward 2019" in both.methods_text()


def refusals():
    """What is wrong, and the call that cures it: run on the frame it must go through."""
    df = small_trial()
    own = {**WORDS, "m": 2, "rng": 1}
    return {
        "a column that is not there": (df, {**own, "outcome": "yy"}, DataError, "outcome= names 'yy'"),
        "a reference that is no arm": (df, {**own, "reference": "placebos"}, PlanError, "reference= is 'placebos'"),
        "no reference": (df, {**own, "reference": None, "strategy": "J2R"}, PlanError, "needs to know the reference"),
        "a strategy that is none": (df, {**own, "strategy": "JTR"}, PlanError, "strategy= is 'JTR'"),
        "an event that is no column": (df, {**own, "event": "vist"}, DataError, "event= names 'vist'"),
        "an event at no visit": (df, {**own, "event": {100: 9}}, DataError, "event of subject 100 is at 9"),
        "a structure that is none": (df, {**own, "covariance": "toeplits"}, PlanError, "covariance= is 'toeplits'"),
        "one set": (df, {**own, "m": 1}, PlanError, "m is 1"),
        "delta of no arm": (df, {**own, "delta": {"activ": 1}}, PlanError, "delta= names 'activ'"),
        "delta that cannot be computed": (df, {**own, "delta": "2 * drug"}, PlanError, "delta= cannot be computed"),
        "the outcome among the covariates": (df, {**own, "covariates": "y"}, PlanError, "'y' is the outcome"),
    }  # fmt: skip


@pytest.mark.parametrize("fault", refusals())
def test_a_refusal_names_the_fault_and_its_call_runs(fault):
    df, words, kind, fact = refusals()[fault]
    with pytest.raises(kind, match=fact) as caught:
        mifit.trial.impute(df, **words)
    line = str(caught.value.do)
    assert line.startswith("mifit.trial.impute(df, ")
    sets = eval(line, {"mifit": mifit, "df": df, "event": None})
    assert sets[0]["y"].notna().all()


FRAMES = {
    "a visit twice": (lambda df: pd.concat([df, df.tail(1)]), "subject 139 has several rows at visit 3"),
    "two arms": (lambda df: df.assign(arm=np.where(df.index == 0, "active", df["arm"])), "differs between the visits"),
    "a covariate that varies": (lambda df: df.assign(base=df["base"] + df["visit"]), "'base' is a covariate, but"),
    "a visit without a name": (lambda df: df.assign(visit=df["visit"].where(df.index > 0)), "'visit' is missing in 1"),
    "a baseline among the visits": (
        lambda df: pd.concat([df, df[df["visit"] == 1].assign(visit=0, y=0.0)]), "is 0 for everyone at visit 0",
    ),
    "text as outcome": (lambda df: df.assign(y=df["y"].map("{:.1f}".format).replace("nan", None)), "holds no numbers"),
}  # fmt: skip


@pytest.mark.parametrize("fault", [name for name in FRAMES if name != "text as outcome"])
def test_a_frame_that_is_no_trial_is_cured_by_the_line_it_prints(fault):
    spoil, fact = FRAMES[fault]
    scope = {"df": spoil(small_trial()), "pd": pd}
    words = {**WORDS, "covariates": "base*visit", "m": 2, "rng": 1}
    with pytest.raises(DataError, match=fact) as caught:
        mifit.trial.impute(scope["df"], **words)
    exec(str(caught.value.do), scope)
    assert mifit.trial.impute(scope["df"], **words)[0]["y"].notna().all()


def test_visits_in_words_are_put_in_order_by_the_line_that_is_printed():
    df = small_trial()
    df["visit"] = df["visit"].map({1: "early", 2: "middle", 3: "late"})
    with pytest.raises(DataError, match="order of the visits in 'visit' is not known") as caught:
        mifit.trial.impute(df, **WORDS, m=2)
    scope = {"df": df, "pd": pd}
    exec(str(caught.value.do), scope)
    np.testing.assert_allclose(effects(scope["df"]), effects(small_trial()), rtol=1e-6)


def test_an_analysis_with_a_covariate_that_was_not_imputed_for_is_refused_with_the_call_that_does():
    df = small_trial().assign(age=lambda d: d["id"] % 7)
    sets = mifit.trial.impute(df, **WORDS, covariates="base*visit", m=2, rng=1)
    with pytest.raises(DataError, match="'age', which the imputation did not have") as caught:
        sets.ancova(covariates="base + age")
    found = eval(str(caught.value.do), {"sets": sets})
    assert "y ~ arm + base + age" in repr(found)


def test_a_subject_never_seen_is_completed_but_tells_the_model_nothing():
    df = small_trial(stop=0.0)
    df.loc[df["id"] == 130, "y"] = np.nan
    with_one = mifit.trial.impute(df, **WORDS, strategy="J2R", m=2, rng=1)
    assert with_one.subjects.loc[130, ["event", "strategy", "seen"]].tolist() == [1, "J2R", 0]
    assert with_one[0]["y"].notna().all()
    alone = mifit.trial.impute(df[df["id"] != 130], **WORDS, strategy="J2R", m=2, rng=1)
    gaps = [sets.ancova(2).effects.query("variance == 'jackknife'")["estimate"].iloc[0] for sets in (with_one, alone)]
    assert gaps[0] == pytest.approx(gaps[1] * 19 / 20, rel=1e-4)  # one of 20 has the mean of the reference arm

"""Survival analyses whose events are not named, or whose times are those of a case-cohort sample."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit


def cohort(seed=1, n=400):
    """Times, who had the event, a covariate with missing values."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    event_time, end = rng.exponential(np.exp(-0.5 * x) * 900), rng.uniform(200, 1500, n)
    frame = pd.DataFrame({"x": x, "z": rng.normal(size=n), "time": np.minimum(event_time, end)})
    frame["had"] = (event_time <= end).astype(int)
    frame["x"] = frame["x"].mask(rng.random(n) < 0.2)
    return frame


CODINGS = {
    "dead, 0/1": ("dead", lambda d: d),
    "status, 1/2": ("status", lambda d: d + 1),
    "Status, 0/1/2": ("Status", lambda d: 2 * d + (np.arange(len(d)) % 7 == 0) * (d == 0)),
    "died, boolean": ("died", lambda d: d == 1),
    "nullable boolean": ("event", lambda d: pd.array(d == 1, dtype="boolean")),
    "censored, 0/1": ("censored", lambda d: 1 - d),
    "vital, text": ("vital status", lambda d: np.where(d == 1, "dead", "alive")),
    "censored, text": ("censored", lambda d: np.where(d == 1, "no", "yes")),
    "floats": ("death", lambda d: d.astype(float)),
    "one letter": ("d", lambda d: d),
    "a Greek letter, with a suffix": ("Delta.os", lambda d: d),
    "capitals, with a number": ("EVENT1", lambda d: d),
    "two words in one": ("isDead", lambda d: d),
    "other numbers": ("fail_code", lambda d: 9 * d),
    "text, the censored named": ("outcome", lambda d: np.where(d == 1, "stroke", "censored")),
    "category": ("status", lambda d: pd.Categorical(np.where(d == 1, "died", "alive"))),
    "progression": ("progression-free", lambda d: d),
    "delta, 1/2": ("delta", lambda d: d + 1),
    "progression, text": ("progressed", lambda d: np.where(d == 1, "Yes", "no")),
}


@pytest.mark.parametrize("holes", [False, True], ids=["complete", "with missing values"])
@pytest.mark.parametrize("coding", CODINGS)
def test_a_status_that_was_not_named_is_warned_of_with_a_call_that_is_right(coding, holes):
    name, code = CODINGS[coding]
    df = cohort()
    had = df.pop("had")
    df[name] = code(had)
    df.index = np.arange(len(df)) // 2  # labels that occur twice
    if holes:
        df[name] = df[name].astype(object).where(np.arange(len(df)) % 9 != 0).infer_objects()
    with pytest.warns(mifit.MifitWarning, match="every time counts as that of an event") as seen:
        df.mice.impute("time ~ x + z", model="phreg", m=2, iterations=2, rng=1, auxiliary="ignore")
    text = next(str(w.message) for w in seen if "every time" in str(w.message))
    call = text.partition("event: ")[2].splitlines()[0].replace("mice.impute(", "mice.plan(")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = eval(call, {"df": df})
        frame = eval(call.partition(".mice.")[0], {"df": df})
    assert not any("no status=" in note for note in plan.events)
    expected = had.to_numpy()[df[name].notna().to_numpy()]
    if coding == "Status, 0/1/2":
        expected = (df[name][df[name].notna()] == 2).astype(int).to_numpy()
    status = frame[plan.questions[0].keywords["status"]].to_numpy(dtype=float)
    np.testing.assert_array_equal(status, expected)


def test_all_events_without_a_column_of_that_sort_is_a_note_and_no_warning():
    frame = cohort().drop(columns="had")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imp = frame.mice.impute("time ~ x + z", model="phreg", m=2, iterations=5, rng=1)
    assert any("no status= is given" in note for note in imp.plan.events)


@pytest.mark.parametrize(
    "before", [1e-3, 0.5, 7.0, lambda time: 1e-4 * time], ids=["a moment", "half a day", "a week", "a share"]
)
@pytest.mark.parametrize("split", [False, True], ids=["cases outside", "all cases split"])
def test_a_case_cohort_sample_is_noted_warned_of_and_not_exact(before, split):
    frame = cohort()
    frame["x"] = cohort(2)["x"].mask(np.random.default_rng(3).random(len(frame)) < 0.2)
    inside = np.random.default_rng(4).random(len(frame)) < 0.3
    gap = before(frame["time"]) if callable(before) else before
    late = (frame["had"] == 1) & (~inside | split)
    frame["entry"] = np.where(late, frame["time"] - gap, 0.0)
    frame = frame[inside | late].reset_index(drop=True)
    words = {"model": "phreg", "status": "had", "entry": "entry"}
    with pytest.warns(mifit.MifitWarning, match="enter just before they end"):
        imp = frame.mice.impute("time ~ x + z", m=2, iterations=5, rng=1, **words)
    assert any("case-cohort" in note for note in imp.plan.events)
    verdict = imp.check("time ~ x + z", **words)
    assert "approximate" in str(verdict) and "exact" not in str(verdict)


@pytest.mark.parametrize("kind", ["random entry", "whole days", "delayed entry for all", "intervals of a subject"])
def test_true_left_truncation_is_no_case_cohort_sample(kind):
    """Random entries: a gap below 0.005 of the median has probability below 0.01; five of them in 20: below 1e-5."""
    frame = cohort()
    rng = np.random.default_rng(5)
    if kind == "random entry":
        frame["entry"] = rng.uniform(0, 400, len(frame))
        frame = frame[frame["time"] > frame["entry"]]
    elif kind == "whole days":
        frame["entry"], frame["time"] = rng.integers(0, 400, len(frame)), np.ceil(frame["time"])
        frame = frame[frame["time"] > frame["entry"]]
    elif kind == "delayed entry for all":
        frame["entry"] = 100.0
        frame = frame[frame["time"] > 100]
    else:
        frame["entry"] = np.floor(frame["time"] / 30) * 30 * (rng.random(len(frame)) < 0.9)
        frame = frame[frame["time"] > frame["entry"]]
    frame = frame.reset_index(drop=True)
    plan = frame.mice.plan("time ~ x + z", model="phreg", status="had", entry="entry")
    assert not any("case-cohort" in note for note in plan.events)


@pytest.mark.parametrize("name", ["fu2", "x_1", "group"])
def test_a_column_that_never_changes_where_follow_up_ends_is_a_candidate_whatever_its_name(name):
    frame = cohort()
    frame["time"] = frame["time"].clip(upper=600)
    frame["had"] = frame["had"].where(frame["time"] < 600, 0)
    frame = frame.rename(columns={"had": name})
    note = "\n".join(frame.mice.plan("time ~ x + z", model="phreg").events)
    assert f"if {name!r} says who had the event" in note
    assert f"status={name!r}" in note.partition("event: ")[2]


def test_all_columns_with_a_usual_name_are_named():
    frame = cohort().rename(columns={"had": "Relapse"})
    frame = frame.assign(
        death=1 - frame["Relapse"], CENS_os=frame["Relapse"], status=np.where(frame["z"] > 0, "a", "b")
    )
    note = "\n".join(frame.mice.plan("time ~ x + z", model="phreg").events)
    assert all(repr(name) in note for name in ("Relapse", "death", "CENS_os", "status"))


def test_other_columns_are_no_candidates():
    frame = cohort().drop(columns="had")
    rng = np.random.default_rng(1)
    frame = frame.assign(
        sex=rng.integers(0, 2, len(frame)),
        drug=rng.choice(["a", "b"], len(frame)), dose=rng.integers(0, 2, len(frame)),
        died=rng.normal(size=len(frame)), status=rng.integers(0, 9, len(frame)),
    )  # fmt: skip
    assert "may say" not in str(frame.mice.plan("time ~ x + z", model="phreg").events)
    assert "says who" not in str(frame.mice.plan("time ~ x + z", model="phreg").events)


def test_who_had_the_event_is_no_covariate_and_the_call_leaves_it_out():
    frame = cohort().rename(columns={"had": "died"})
    with pytest.warns(mifit.MifitWarning, match="if 'died' says who had the event") as seen:
        frame.mice.impute("time ~ x + z + died", model="phreg", m=2, iterations=2, rng=1)
    text = next(str(w.message) for w in seen if "every time" in str(w.message))
    assert (
        text.partition("event: ")[2].splitlines()[0]
        == "df.mice.impute('time ~ x + z', model='phreg', status='died', iterations=2, m=2, rng=1)"
    )


@pytest.mark.filterwarnings("ignore::mifit.errors.CongenialityWarning")
@pytest.mark.parametrize("uncovered", ["ignore", "reimpute"])
def test_an_analysis_that_was_not_declared_is_warned_of_when_it_is_fitted(uncovered):
    frame = cohort().rename(columns={"had": "died"})
    imp = frame.mice.impute(m=2, iterations=2, rng=1)
    with pytest.warns(mifit.MifitWarning, match="status='died'"):
        imp.fit("time ~ x + z", model="phreg", uncovered=uncovered)
    late = frame.assign(entry=np.where(frame["died"] == 1, frame["time"] - 1e-3, 0.0))
    imp = late.mice.impute(m=2, iterations=2, rng=1)
    with pytest.warns(mifit.MifitWarning, match="enter just before they end"):
        imp.fit("time ~ x + z", model="phreg", status="died", entry="entry", uncovered=uncovered)


def test_a_fit_without_an_event_or_of_rows_never_at_risk_is_refused_in_words():
    frame = cohort().fillna({"x": 0.0})
    for given, words, said in (
        ({"had": 0}, {}, "'had' has no event in the 400 rows of set 0"),
        ({"entry": frame["time"]}, {"entry": "entry"}, "entry='entry' is not before 'time' in 400 rows of set 0"),
    ):
        imp = mifit.from_frames([frame.assign(**given), frame.assign(x=1.1 * frame["x"], **given)])
        with pytest.raises(mifit.ModelError, match=said) as caught:
            imp.fit("time ~ x + z", model="phreg", status="had", **words)
        exec(caught.value.do, {"imp": imp, "df": frame.assign(**given)})


@pytest.mark.parametrize("words", [{}, {"id": "subject"}, {"entry": "start"}], ids=str)
def test_a_time_of_zero_is_no_error_of_a_further_column(words):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"x": rng.normal(size=200), "t": rng.exponential(size=200).round(1) + 0.1, "start": -1.0})
    frame = frame.assign(d=rng.integers(0, 2, 200), z=rng.normal(size=200), subject=np.arange(200))
    frame["x"] = frame["x"].mask(rng.random(200) < 0.2)
    frame["z"] = frame["z"].mask(rng.random(200) < 0.2)
    asked = {"model": "phreg", "status": "d", "m": 2, "iterations": 2, "rng": 1, **words}
    frame = frame if "start" in words.values() else frame.drop(columns="start")
    frame = frame if "id" in words else frame.drop(columns="subject")
    above = frame.mice.impute("t ~ x", **asked)
    assert any("np.log(" in one.formula for one in above.plan.extra)
    frame.loc[[0, 7], "t"] = 0.0
    found = frame.mice.impute("t ~ x", **asked)
    assert not any("np.log(" in one.formula for one in found.plan.extra)
    assert any("nelson_aalen(" in one.formula for one in found.plan.extra)
    assert found[0].notna().all(axis=None)

"""What was asked as eight characters: one request is one identity on every machine, another request is another."""

import datetime
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.record.identity import DRAWS, canonical
from support.documents import difference

LEAN = {"m": 2, "rng": 1, "iterations": 2}


def study(n=80):
    """Every kind of column, a date and labels of rows."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=n), "z": np.exp(rng.normal(size=n)), "k": rng.integers(0, 5, n)})
    frame["y"] = frame["x"] + frame["z"] + rng.normal(size=n)
    frame["g"] = pd.Categorical(rng.choice(list("abc"), n))
    frame["text"], frame["flag"] = rng.choice(["no", "yes"], n), rng.random(n) < 0.5
    frame["day"] = pd.date_range("2020-01-01", periods=n)
    frame.loc[rng.random(n) < 0.2, "x"] = np.nan
    frame.loc[rng.random(n) < 0.2, "g"] = np.nan
    return frame.set_axis([f"p{i}" for i in range(n)])


def identity(frame=None, formula="y ~ x + z", **words):
    return (study() if frame is None else frame).mice.impute(formula, **{**LEAN, **words}).identity


SAME = {
    "a nudge of the last digits": lambda f: f.assign(z=f["z"] * (1 + 1e-14), x=f["x"] * (1 - 1e-14)),
    "nullable dtypes": lambda f: f.astype({"x": "Float64", "k": "Int64", "flag": "boolean"}),
    "smaller integers": lambda f: f.astype({"k": np.int32}),
    "text as pandas keeps it": lambda f: f.astype({"text": "string"}),
    "another unit of time": lambda f: f.astype({"day": "datetime64[s]"}),
    "other memory": lambda f: pd.DataFrame({name: f[name].copy() for name in f}),
    "negative zero": lambda f: f.assign(k=f["k"].where(f["k"] != 0, -0.0).astype(int)),
}
OTHER = {
    "a value": lambda f: f.assign(z=f["z"].where(np.arange(len(f)) != 7, 1.25)),
    "a value that no formula names": lambda f: f.assign(k=f["k"].where(np.arange(len(f)) != 7, f["k"] + 1)),
    "a missing value more": lambda f: f.assign(x=f["x"].mask(np.arange(len(f)) == f["x"].notna().argmax())),
    "a level": lambda f: f.assign(g=f["g"].cat.rename_categories({"a": "A"})),
    "ordered levels": lambda f: f.assign(g=f["g"].cat.as_ordered()),
    "a name": lambda f: f.rename(columns={"k": "K"}),
    "the order of columns": lambda f: f[[*f.columns[1:], f.columns[0]]],
    "labels of rows": lambda f: f.reset_index(drop=True),
    "the order of rows": lambda f: f.iloc[::-1],
    "a date": lambda f: f.assign(day=f["day"] + pd.Timedelta(hours=1)),
}
WORDS = {
    "m": {"m": 3}, "rng": {"rng": 2}, "iterations": {"iterations": 3}, "formula": {"formula": "y ~ z + x"},
    "methods": {"methods": {"x": "norm"}}, "predictors": {"predictors": {"x": ["z"]}},
    "bounds": {"bounds": {"x": (-9, 9)}},
    "auxiliary": {"auxiliary": "ignore"}, "order": {"order": ["g", "x"], "formula": None},
    "no formula": {"formula": None}, "kinds": {"kinds": {"k": "numeric"}},
    "model": {"formula": "flag ~ x + z", "model": "logit"}, "ignore": {"ignore": "k == 4"}, "by": {"by": "text"},
    "two analyses": {"formula": ["y ~ x + z", "z ~ x"]}, "derived": {"derived": {"w": "z * 2"}},
}  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_what_a_machine_or_a_version_changes_is_no_other_request(change):
    assert identity(SAME[change](study())) == identity()


@pytest.mark.parametrize("change", OTHER)
def test_another_frame_is_another_request(change):
    assert identity(OTHER[change](study())) != identity()


def test_other_words_are_other_requests():
    found = {word: identity(**words) for word, words in WORDS.items()}
    found["nothing"] = identity()
    assert len(set(found.values())) == len(found)


def test_families_arrays_and_functions_count_by_what_they_are():
    def sets(family, power, weights):
        def scaled(v):
            return v**power

        words = {"model": "glm", "family": family, "freq_weights": weights}
        return study().mice.impute(f"k ~ I(scaled(z)) + I(z**{power})", **LEAN, **words).identity

    one = np.ones(80)
    one[3] = 2
    plain = sets(sm.families.Poisson(), 2, one)
    assert plain == sets(sm.families.Poisson(), 2, one.astype(np.float32))
    others = [sets(sm.families.Gaussian(), 2, one), sets(sm.families.Poisson(), 3, one)]
    others.append(sets(sm.families.Poisson(), 2, one[::-1]))
    assert len({plain, *others}) == 4


def test_functions_differ_by_constants_operators_and_the_order_of_what_they_use():
    pairs = [lambda v, w: v - w, lambda v, w: w - v, lambda v, w: v + w, lambda v, w: v - w + 2, lambda v, w: v - w + 3]
    assert len({canonical(one) for one in pairs}) == len(pairs)
    assert canonical(pairs[0]) == canonical(lambda v, w: v - w)


def test_pieces_workers_plans_pickles_and_files_change_nothing(tmp_path):
    frame, formula = study(), "y ~ x * z"
    whole = frame.mice.impute(formula, m=4, rng=1, iterations=4)
    plan = frame.mice.plan(formula, iterations=4)
    whole.save(tmp_path / "whole.mifit")
    again = {
        "more sets": frame.mice.impute(formula, m=2, rng=1, iterations=4).extend(m=2),
        "more sweeps": frame.mice.impute(formula, m=4, rng=1, iterations=3).extend(iterations=1),
        "workers": frame.mice.impute(formula, m=4, rng=1, iterations=4, n_jobs=2),
        "a plan": frame.mice.impute(plan, m=4, rng=1),
        "a pickle": pickle.loads(pickle.dumps(whole)),
        "a file": mifit.load(tmp_path / "whole.mifit"),
    }
    for name, one in again.items():
        assert (one.identity, one.fingerprint) == (whole.identity, whole.fingerprint), name


def test_sets_made_elsewhere_are_known_by_their_values(tmp_path):
    imp = study().mice.impute("y ~ x + z", **LEAN)
    back, other = mifit.from_long(imp.to_long()), mifit.from_long(imp.extend(m=1).to_long())
    assert back.identity == mifit.from_long(imp.to_long(original=False), original=study()).identity
    assert len({back.identity, other.identity, imp.identity}) == 3
    assert back.fingerprint == imp.fingerprint
    moved = [f.assign(x=f["x"] + 0.01 * study()["x"].isna()) for f in imp]
    assert mifit.from_frames(moved, original=study()).identity != back.identity
    new = imp.impute_new(study().head(9))
    new.save(tmp_path / "new.mifit")
    assert mifit.load(tmp_path / "new.mifit").identity == new.identity
    others = [imp.impute_new(study().head(8)), imp.impute_new(study().head(9), iterations=9)]
    others.append(imp.extend(m=1).impute_new(study().head(9)))
    assert len({new.identity, *(one.identity for one in others)}) == 4


def test_models_are_compared_by_what_was_drawn_and_not_by_what_was_asked(monkeypatch):
    one = study().mice.impute("y ~ x + z", **LEAN)
    other = study().mice.impute("y ~ x + z", **{**LEAN, "rng": 2})
    monkeypatch.setitem(other._record.__dict__, "identity", one.identity)  # as if another machine had drawn it
    larger, smaller = one.fit(), other.fit("y ~ z")
    with pytest.raises(
        mifit.ModelError, match=f"{one.identity}, drawn as {one.fingerprint} and {one.identity}, drawn as"
    ):
        larger.compare(smaller)
    with pytest.raises(mifit.PlanError, match="as another machine drew it"):
        one.methods_text(other.fit())


def test_a_digest_takes_anything_plain():
    moment = pd.Timestamp("2020-01-01", tz="UTC")
    kinds = [
        None, True, 1, 1.5, "1", b"1", (1,), {1}, {"a": 1}, np.arange(3), moment, moment.date(), datetime.timedelta(1),
        pd.Interval(0, 1), pd.Period("2020", "Y"), 2**70, 2**24 + 1, 2**24 + 2, np.array(["a"]), float("inf"),
        pd.Series([1.5, 2.5]), np.float64, len, mifit.Normal(), mifit.PMM(donors=3), mifit.PMM(donors=4),
    ]  # fmt: skip
    assert len({canonical(one) for one in kinds}) == len(kinds)
    assert canonical(float("nan")) == canonical(np.float32("nan")) and canonical([1, 2]) == canonical((1, 2))
    large = np.array([2**40, 2**40 + 1])
    assert canonical(large) != canonical(large[::-1])


def test_the_draws_of_this_version():
    """Where these figures change the draws do: raise DRAWS in record/identity.py, and tell users in the changelog."""
    df = mifit.datasets.load("nhanes2")
    words = {"m": 3, "rng": 1, "iterations": 5}
    found = [df.mice.impute(**words), df.mice.impute("chl ~ age * bmi", **words), df.mice.impute("hyp ~ bmi", **words)]
    printed = " ".join(f"{imp[2][name].mean():.4f}" for imp in found for name in ("bmi", "chl"))
    assert (DRAWS, difference(FIGURES, printed)) == (2, ""), printed


FIGURES = "27.7680 187.3200 27.0630 194.3082 26.4688 180.7958"

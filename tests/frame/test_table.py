"""The frame around the columns: index, names, attrs, subclasses; patterns; the long format both ways."""

import pickle

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import DataError
from mifit.frame.table import read

N = 60


def incomplete(n=N, seed=2):
    """Numbers and text with missing values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n), "g": rng.choice(list("abc"), n)})
    frame["y"] += frame["x"]
    return frame.mask(rng.random(frame.shape) < 0.15)


class Study(pd.DataFrame):
    """A subclass that carries a word of its own."""

    _metadata = ["site"]

    @property
    def _constructor(self):
        return Study


INDEXES = {
    "range": pd.RangeIndex(5, 5 + 3 * N, 3, name="row"),
    "text": pd.Index([f"patient {i}" for i in range(N)]),
    "duplicates": pd.Index([0, 1, 1] * (N // 3)),
    "all the same": pd.Index(["a"] * N),
    "levels": pd.MultiIndex.from_product([range(N // 2), ["left", "right"]], names=["id", "eye"]),
    "dates": pd.date_range("2020-01-01", periods=N, tz="UTC", name="when"),
    "missing labels": pd.Index([np.nan, *range(N - 1)]),
}


@pytest.mark.parametrize("which", INDEXES)
def test_the_index_is_the_users(which):
    frame = incomplete().set_axis(INDEXES[which], axis=0)
    imp = frame.mice.impute("y ~ x + g", m=2, rng=1, iterations=5)
    pd.testing.assert_index_equal(imp[0].index, frame.index, exact=True)
    plain = incomplete().mice.impute("y ~ x + g", m=2, rng=1, iterations=5)
    for k in range(2):
        np.testing.assert_array_equal(imp[k].to_numpy(), plain[k].to_numpy())
    assert imp.fit().results[0].resid.index.equals(frame.index)


def test_an_index_label_never_decides_which_rows_meet():
    frame = incomplete()
    shuffled = frame.set_axis(np.random.default_rng(0).permutation(N), axis=0)
    one, other = (f.mice.impute(m=2, rng=1, iterations=2) for f in (frame, shuffled))
    np.testing.assert_array_equal(one[1].to_numpy(), other[1].to_numpy())


NAMES = {
    "numbers": [0, 1, 2],
    "tuples": [("x", 1), ("y", 1), ("g", 2)],
    "mixed": [1.5, "y", ("g", 2)],
    "spaces and quotes": ["it's x", 'a "y"', "g g"],
    "unicode": ["größe", "体重", "naïve µ"],
    "patsy's words": ["C", "I", "np"],
    "Python's words": ["class", "lambda", "None"],
    "formula signs": ["x:y", "y~x", "a + b"],
    "lines": ["a\nb", "", " "],
}


@pytest.mark.parametrize("which", NAMES)
def test_columns_may_have_any_name(which):
    frame = incomplete().set_axis(pd.Index(NAMES[which], tupleize_cols=False, name="variable"), axis=1)
    if which == "tuples" and frame.columns.nlevels > 1:
        pytest.skip("this pandas makes levels of them")
    imp = frame.mice.impute(m=2, rng=1, iterations=2)
    pd.testing.assert_index_equal(imp[0].columns, frame.columns)
    assert not imp[0].isna().any().any()
    assert all(str(name) in str(imp.plan) for name in frame.columns)
    assert len(imp.to_long().columns) == 5
    repr(imp), imp._repr_html_(), imp.plan._repr_html_()


@pytest.mark.parametrize("which", NAMES)
def test_a_formula_reaches_every_name_by_q(which):
    x, y, g = NAMES[which]
    frame = incomplete().set_axis(pd.Index([x, y, g], tupleize_cols=False), axis=1)
    imp = frame.mice.impute(f"Q({y!r}) ~ Q({x!r}) + Q({g!r})", m=2, rng=1, iterations=5)
    res = imp.fit()
    plain = incomplete().mice.impute("y ~ x + g", m=2, rng=1, iterations=5).fit()
    np.testing.assert_array_equal(res.params.to_numpy(), plain.params.to_numpy())
    assert list(res.params.index) == ["Intercept", f"Q({g!r})[T.b]", f"Q({g!r})[T.c]", f"Q({x!r})"]
    assert len(res.results[1].params) == 4


def test_attrs_and_the_name_of_the_columns_stay():
    frame = incomplete()
    frame.attrs = {"source": "somewhere", "array": [1, 2]}
    frame.columns.name = "variable"
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    assert imp[0].attrs == frame.attrs and imp[0].columns.name == "variable"


def test_a_subclass_of_dataframe_stays_one_with_its_own_words():
    frame = Study(incomplete())
    frame.site = "Lyon"
    completed = frame.mice.impute(m=2, rng=1, iterations=1)[1]
    assert type(completed) is Study and completed.site == "Lyon"


def test_changing_a_completed_set_changes_neither_the_frame_nor_the_next_look():
    frame = incomplete().assign(full=1.5)
    before = frame.copy(deep=True)
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    first = imp[0]
    first.loc[:, ["x", "full"]] = 0.0
    first.loc[3, "y"] = 9.0
    first["new"] = 1
    pd.testing.assert_frame_equal(frame, before)
    assert "new" not in imp[0] and imp[0]["x"].abs().sum() > 0 and (imp[0]["full"] == 1.5).all()


def test_changing_the_frame_afterwards_does_not_change_the_imputations():
    frame = incomplete()
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    kept = imp[0].copy(deep=True)
    frame.loc[:, "x"] = -1.0
    frame["y"] = 0.0
    pd.testing.assert_frame_equal(imp[0], kept)


def test_only_the_holes_are_stored():
    frame = incomplete()
    imp = frame.mice.impute(m=3, rng=1, iterations=1)
    stored = [len(values) for holes in imp._record.completed.imputed for values in holes.values()]
    assert sum(stored) == 3 * int(frame.isna().sum().sum())


def test_patterns_count_rows_and_holes():
    frame = pd.DataFrame({"a": [1, None, 3, None], "b": [1, 2, 3, None], "c": [1, 2, 3, 4]})
    shown = frame.mice.pattern()
    assert shown.index.tolist() == [0, 1, 2, "total"]
    assert shown["rows"].tolist() == [2, 1, 1, 4]
    assert shown["holes"].tolist() == [0, 1, 2, 3]
    assert shown.columns.tolist() == ["rows", "holes", "c", "b", "a"]
    assert shown.loc["total", ["c", "b", "a"]].tolist() == [0, 1, 2]
    assert shown["a"].tolist()[:3] == [True, False, False]


def test_patterns_of_a_frame_with_columns_called_rows_and_holes():
    frame = pd.DataFrame({"rows": [1.0, None], "holes": [2.0, 3.0]})
    assert frame.mice.pattern().columns.tolist() == ["rows", "holes", "holes", "rows"]


# The long format


def test_the_long_format_is_rs():
    frame = incomplete()
    imp = frame.mice.impute(m=3, rng=1, iterations=1)
    long = imp.to_long()
    assert long.columns.tolist() == [".imp", ".id", "x", "y", "g"]
    assert long[".imp"].tolist() == [k for k in range(4) for _ in range(N)]
    assert long[".id"].tolist() == list(range(1, N + 1)) * 4
    pd.testing.assert_frame_equal(long.iloc[:N, 2:], frame)
    pd.testing.assert_frame_equal(long.iloc[3 * N :, 2:], imp[2])
    assert imp.to_long(original=False)[".imp"].unique().tolist() == [1, 2, 3]


def test_from_long_finds_the_holes_in_set_0():
    imp = incomplete().mice.impute(m=3, rng=1, iterations=1)
    back = mifit.from_long(imp.to_long())
    assert back.fingerprint == imp.fingerprint
    assert "missing values from the rows numbered 0" in repr(back)
    assert back.plan is None and len(back.events) == 0


def test_from_long_finds_the_holes_in_the_original():
    frame = incomplete()
    imp = frame.mice.impute(m=3, rng=1, iterations=1)
    back = mifit.from_long(imp.to_long(original=False), original=frame)
    assert back.fingerprint == imp.fingerprint
    assert "missing values from original=" in repr(back)


def test_from_long_with_neither_takes_the_cells_that_differ_and_says_so():
    frame = incomplete()
    imp = frame.mice.impute(m=5, rng=1, iterations=2)
    back = mifit.from_long(imp.to_long(original=False))
    assert "cells that differ between sets" in repr(back)
    for k in range(5):
        pd.testing.assert_frame_equal(back[k], imp[k])
    found = read(back._record.frame)
    assert set(found["x"].missing) <= set(np.flatnonzero(frame["x"].isna()))


def test_a_column_that_differs_in_every_row_was_imputed_as_a_whole():
    rng = np.random.default_rng(0)
    observed = pd.DataFrame({"y": rng.normal(size=40), "g": rng.choice(["a", "b"], 40)})
    sets = [observed.assign(x=rng.normal(size=40)) for _ in range(3)]
    imp = mifit.from_frames(sets)
    own = [np.linalg.lstsq(np.c_[np.ones(40), f["x"]], f["y"], rcond=None)[0] for f in sets]
    for again in (imp, mifit.from_long(imp.to_long())):
        res = again.fit("y ~ x")
        np.testing.assert_allclose(res.params, np.mean(own, axis=0), rtol=1e-9)
        assert res.compare("y ~ 1").df1 == 1 and pickle.loads(pickle.dumps(res)).wald_test("x").df1 == 1
    assert "x was missing in 40 of 40" in imp.methods_text()
    assert "nothing: the whole column was filled" in str(imp.explain(0, "x"))
    assert list(imp.check("y ~ bs(x, 4)")["verdict"].unique()) == ["unknown"]


def test_from_long_fits_as_the_sets_it_came_from():
    imp = incomplete().mice.impute("y ~ x + g", m=4, rng=1, iterations=5)
    back = mifit.from_long(imp.to_long())
    pd.testing.assert_frame_equal(back.fit("y ~ x + g").to_frame(), imp.fit().to_frame(), check_exact=True)
    assert back.fit("y ~ x*g").congeniality.word == "unknown"


def test_from_long_takes_other_names_shuffled_rows_and_text_as_row_numbers():
    imp = incomplete().mice.impute(m=2, rng=1, iterations=1)
    long = imp.to_long().rename(columns={".imp": "set", ".id": "who"})
    long["who"] = "p" + long["who"].astype(str)
    order = np.argsort(np.where(long["set"] == 0, -1, np.random.default_rng(0).random(len(long))), kind="stable")
    back = mifit.from_long(long.iloc[order], imp="set", id="who")
    assert back.fingerprint == imp.fingerprint


def test_from_long_keeps_a_column_that_was_never_completed():
    frame = incomplete()
    imp = frame.mice.impute(m=2, rng=1, iterations=1, methods={"g": "leave"})
    assert imp[0]["g"].isna().sum() == frame["g"].isna().sum()
    back = mifit.from_long(imp.to_long())
    assert back.fingerprint == imp.fingerprint
    assert back[1]["g"].isna().sum() == frame["g"].isna().sum()


def broken_long(how):
    """Long formats that cannot be read."""
    long = incomplete().mice.impute(m=2, rng=1, iterations=1).to_long().reset_index(drop=True)
    return {
        "no column .imp": lambda: long.drop(columns=".imp"),
        "no column .id": lambda: long.drop(columns=".id"),
        "one set": lambda: long[long[".imp"] < 2],
        "a row less": lambda: long.iloc[:-1],
        "other rows": lambda: long.assign(**{".id": long[".id"] + 100 * (long[".imp"] == 2)}),
        "a row twice": lambda: pd.concat([long, long.iloc[-1:]]),
        "a missing value": lambda: long.assign(x=long["x"].mask(long[".imp"] == 2)),
        "no frame": lambda: long.to_dict(),
        "empty": lambda: long.iloc[:0],
    }[how]()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no column .imp", "'.imp'"),
        ("no column .id", "'.id'"),
        ("one set", "1 completed set"),
        ("a row less", "set 2 has other rows"),
        ("other rows", "set 2 has other rows"),
        ("a row twice", "set 2 has rows with the same '.id'"),
        ("a missing value", "column 'x' is still missing in set 2"),
        ("no frame", "a pandas DataFrame is needed, not dict"),
        ("empty", "the frame is empty"),
    ],
)
def test_a_long_format_that_cannot_be_read_is_one_clear_error(how, said):
    with pytest.raises(DataError) as caught:
        mifit.from_long(broken_long(how))
    lines = str(caught.value).splitlines()
    assert said in lines[0]
    assert lines[-1].split(":")[0].strip() == "do"


@pytest.mark.parametrize("original", [incomplete().iloc[:5], incomplete().drop(columns="x")], ids=["rows", "column"])
def test_an_original_that_does_not_match_is_refused(original):
    long = incomplete().mice.impute(m=2, rng=1, iterations=1).to_long(original=False)
    with pytest.raises(DataError, match="original="):
        mifit.from_long(long, original=original)


def test_columns_that_share_their_levels_share_their_memory(tmp_path):
    levels = pd.CategoricalDtype([f"level {k} of many" for k in range(3000)])
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({name: pd.Categorical.from_codes(rng.integers(0, 5, 60), dtype=levels) for name in "abc"})
    frame["x"] = np.where(np.arange(60) % 4, rng.normal(size=60), np.nan)
    first, second = (read(frame)[name].coding for name in "ab")
    same = [one is other for one, other in zip(first.unused, second.unused, strict=True)]
    assert len(same) == 2995 and all(same)
    imp = mifit.impute(frame, m=2, iterations=1, rng=1)
    assert max(map(len, imp.events["event"])) < 400
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")[0]
    assert back["a"].cat.categories is back["b"].cat.categories
    pd.testing.assert_frame_equal(back, imp[0])

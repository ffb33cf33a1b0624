"""Sets made elsewhere: nothing they hold is lost, and what the long format wrote comes back."""

import io

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import DataError

N = 40


def study(index=None):
    """Numbers, text, truth values and categories; x and g have missing values."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=N) / 3,
            "x": rng.normal(size=N) * 1e7 / 3,
            "g": rng.choice(["a", "b"], N),
            "flag": rng.choice([True, False], N),
            "alter in jahren": pd.Categorical(rng.choice(["jung", "alt", "mittel"], N)),
        },
        index=index,
    )
    frame.iloc[:9, 1] = np.nan
    frame.iloc[5:12, 2] = None
    return frame


def imputed(frame=None, m=2):
    return (study() if frame is None else frame).mice.impute(m=m, rng=1, iterations=1)


INDEXES = {
    "numbers from 0": pd.RangeIndex(N, name="row"),
    "text": pd.Index([f"p{i}" for i in range(N)], name="patient"),
    "dates": pd.date_range("2020-01-01", periods=N),
    "pairs": pd.MultiIndex.from_product([range(4), list("abcdefghij")], names=["site", None]),
    "repeated": pd.Index(np.arange(N) // 2, name="id"),
    "floats": pd.Index(np.arange(N) / 4),
    "categories": pd.CategoricalIndex([f"k{i}" for i in range(N)]),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("way", ["set 0", "original=", "neither", "frames"])
def test_the_index_comes_back(index, way):
    frame = study(index)
    imp = imputed(frame)
    back = {
        "set 0": lambda: mifit.from_long(imp.to_long()),
        "original=": lambda: mifit.from_long(imp.to_long(original=False), original=frame),
        "neither": lambda: mifit.from_long(imp.to_long(original=False)),
        "frames": lambda: mifit.from_frames(list(imp)),
    }[way]()
    for k in range(2):
        pd.testing.assert_frame_equal(back[k], imp[k], check_freq=False)


NUMBERED = {
    "text": lambda s: s.astype(str),
    "categories": lambda s: s.astype(str).astype("category"),
    "floats": lambda s: s.astype(float),
    "nullable": lambda s: s.astype("Int64"),
    "text of floats": lambda s: s.astype(float).astype(str),
    "objects": lambda s: s.astype(object),
    "a category never seen": lambda s: s.astype(pd.CategoricalDtype(range(40))),
    "arrow": lambda s: s.astype("int64[pyarrow]"),
}


@pytest.mark.parametrize("how", NUMBERED)
def test_the_numbers_of_the_sets_may_be_of_any_dtype(how):
    if how == "arrow":
        pytest.importorskip("pyarrow")
    imp = imputed(m=11)  # as text, "10" stands before "2"
    long = imp.to_long()
    long[".imp"] = NUMBERED[how](long[".imp"])
    back = mifit.from_long(long)
    assert "numbered 0" in repr(back) and back.m == 11
    for k in range(11):
        pd.testing.assert_frame_equal(back[k], imp[k])


@pytest.mark.parametrize(
    ("numbers", "said"),
    [([0, 1, None], "'.imp' is missing in 40 rows"), (["0", "1", "second"], "numbers some sets and names others")],
)
def test_a_set_without_a_number_is_refused_not_dropped(numbers, said):
    long = imputed().to_long()
    long[".imp"] = np.repeat(np.array(numbers, dtype=object), N)
    with pytest.raises(DataError, match=said):
        mifit.from_long(long)


@pytest.mark.parametrize("names", [[".imp"], [".id"], [".imp", ".id"], [".id", ".id_"]])
def test_columns_named_as_those_of_the_long_format_stay(names):
    frame = study().assign(**{name: np.arange(N) * 1.5 for name in names})
    imp = imputed(frame)
    with pytest.raises(DataError, match="a column '.i[md]p?' of its own") as caught:
        imp.to_long()
    call, again = caught.value.do.split("  # read again by ")
    back = eval(again, {"mifit": mifit, "long": eval(call, {"imp": imp})})
    for sets in (back, mifit.from_frames(list(imp))):
        for k in range(2):
            pd.testing.assert_frame_equal(sets[k], imp[k])


def test_columns_that_take_no_new_name_are_stacked_too():
    frame = study()
    frame.columns = pd.CategoricalIndex(frame.columns)
    assert imputed(frame).to_long().columns.tolist()[:3] == [".imp", ".id", "y"]


# A column made after imputing: false, not missing, where set 0 has no value.
MADE = {
    "numpy's where": lambda d: np.where(d["x"] > 0, "high", "low"),
    "a comparison": lambda d: d["x"] > 0,
    "as a number": lambda d: (d["g"] == "a").astype(int),
    "filled": lambda d: d["x"].fillna(0.0),
    "nullable": lambda d: (d["x"] > 0).astype("boolean"),
    "categories": lambda d: pd.Categorical(np.where(d["g"] == "a", "is a", "other")),
    "small changes": lambda d: d["y"] + 1e-9 * d["x"].isna(),
}


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("way", ["set 0", "text numbers", "original=", "frames"])
def test_a_column_made_with_missing_values_is_refused_and_the_call_that_is_shown_keeps_its_values(how, way):
    frame, imp = study(), imputed()
    name = "größer als 0"
    sets = [one.assign(**{name: MADE[how](one)}) for one in imp]
    zero = frame.assign(**{name: MADE[how](frame)})
    long = pd.concat([zero.assign(**{".imp": 0}), *(s.assign(**{".imp": k}) for k, s in enumerate(sets, 1))])
    long[".id"] = np.tile(np.arange(N), 3)
    if way == "text numbers":
        long = long.assign(Satz=long[".imp"].astype(str)).drop(columns=".imp")
    call = {
        "set 0": "mifit.from_long(long)",
        "text numbers": "mifit.from_long(long, imp='Satz')",
        "original=": "mifit.from_long(long[long['.imp'] > 0], original=zero)",
        "frames": "mifit.from_frames(frames, original=zero)",
    }[way]
    names = {"mifit": mifit, "long": long, "zero": zero, "frames": sets}
    many = sum(int((pd.Series(s[name]) != pd.Series(zero[name])).sum()) for s in sets)
    with pytest.raises(DataError, match=f"'{name}' has another value in {many} cells") as caught:
        eval(call, names)
    names["long"] = long[long[".imp"] > 0] if way == "original=" else long
    back = eval(caught.value.do, names)
    for k in range(2):
        pd.testing.assert_frame_equal(back[k], sets[k], check_dtype=False)  # a column of whole numbers has no missing


def test_a_value_that_a_set_lost_is_refused():
    imp, frame = imputed(), study()
    sets = [one.assign(y=one["y"].mask(np.arange(N) == 30)) for one in imp]
    with pytest.raises(DataError, match="'y' has another value in 2 cells"):
        mifit.from_frames(sets, original=frame)


@pytest.mark.parametrize("digits", [15, 17])
@pytest.mark.parametrize("way", ["set 0", "original="])
def test_what_went_through_a_file_is_what_it_was(digits, way):
    frame, imp = study(), imputed()
    text = imp.to_long(original=way == "set 0").to_csv(index=False, float_format=f"%.{digits}g")
    long = pd.read_csv(io.StringIO(text))
    back = mifit.from_long(long, original=None if way == "set 0" else frame)
    for k in range(2):
        pd.testing.assert_frame_equal(
            back[k].astype(object), imp[k].astype(object), check_exact=False, rtol=1e-14, atol=0
        )


def test_float32_dates_and_truth_values_went_through_a_file_too():
    frame = study().assign(small=lambda d: d["y"].astype("float32"), when=pd.date_range("2021-03-01", periods=N))
    imp = imputed(frame)
    text = imp.to_long(original=False).to_csv(index=False).replace("True", "TRUE").replace("False", "FALSE")
    back = mifit.from_long(pd.read_csv(io.StringIO(text)), original=frame)
    assert back.m == 2 and (back[0]["when"] == frame["when"]).all()


def test_completed_dates_are_refused_not_dropped():
    frame = study().assign(when=pd.Series(pd.date_range("2021-03-01", periods=N)).mask(np.arange(N) < 3).to_numpy())
    sets = [one.assign(when=pd.date_range("2021-03-01", periods=N)) for one in imputed()]
    with pytest.raises(DataError, match="'when' holds dates or times: its completed values cannot be taken"):
        mifit.from_frames(sets, original=frame)


def test_rows_in_another_order_are_refused():
    frame = study(INDEXES["text"])
    first, second = imputed(frame)
    with pytest.raises(DataError, match="frame 1 has the rows of frame 0 in another order") as caught:
        mifit.from_frames([first, second.iloc[::-1]])
    names = {"frames": [first, second.iloc[::-1]]}
    exec(caught.value.do, names)
    pd.testing.assert_frame_equal(mifit.from_frames(names["frames"])[1], second)
    with pytest.raises(DataError, match="original= has the rows of the sets in another order"):
        mifit.from_frames([first, second], original=frame.iloc[::-1])


def test_other_kinds_of_frames_are_told_how_to_become_one():
    frame = study()
    others = {"dict": frame.to_dict("list"), "array": np.zeros((4, 2)), "Series": frame["y"]}
    for name, data in others.items():
        with pytest.raises(DataError, match="a pandas DataFrame is needed") as caught:
            mifit.impute(data, m=2)
        names = {"data": data, "pd": pd}
        exec(caught.value.do, names)
        assert isinstance(names["df"], pd.DataFrame), name
        if name == "dict":
            assert names["df"].columns.tolist() == frame.columns.tolist()
            assert mifit.impute(names["df"], m=2, rng=1, iterations=1)[0]["x"].notna().all()
        if name == "array":
            assert mifit.impute(names["df"].assign(x1=[1.0, 2.0, None, 4.0]), "x0 ~ x1", m=2) is not None

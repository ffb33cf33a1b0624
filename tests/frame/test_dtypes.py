"""Whatever enters leaves as it was: one round trip for every dtype, and the hidden one that hypothesis finds."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mifit
from mifit.frame.kinds import Kind, classify

N = 48
PANDAS_3 = int(pd.__version__.split(".")[0]) >= 3


def base(kind, seed=3):
    """N values of a kind; no two neighbours of a missing value depend on it."""
    rng = np.random.default_rng(seed)
    return {
        "float": lambda: np.round(rng.normal(size=N) * 10, 1),
        "int": lambda: rng.integers(1, 100, N),
        "bool": lambda: rng.random(N) < 0.5,
        "text": lambda: np.array(["a", "b", "c"], dtype=object)[rng.integers(0, 3, N)],
        "code": lambda: rng.integers(0, 4, N),
    }[kind]()


def holes(seed=4):
    """About a quarter of the rows, never the first two."""
    mask = np.random.default_rng(seed).random(N) < 0.25
    mask[:2] = False
    return mask


def typed(kind, dtype):
    """A column of a dtype with missing values."""
    return pd.Series(base(kind), dtype=dtype).mask(pd.Series(holes()))


def objects(values, hole=None):
    """A column of Python objects with missing values."""
    cells = np.empty(N, dtype=object)
    cells[:] = [hole if gone else value for value, gone in zip(values, holes(), strict=True)]
    return pd.Series(cells, dtype=object)


def arrow(kind, name):
    """An arrow column with missing values; skipped where pyarrow is not installed."""
    pa = pytest.importorskip("pyarrow")
    values = [None if gone else value for value, gone in zip(base(kind).tolist(), holes(), strict=True)]
    if name == "dictionary":
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values).dictionary_encode()))
    if name == "nan":
        values = [float("nan") if value is None else value for value in values]
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(values)))
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(getattr(pa, name)())))


def pyarrow_text():
    """Pandas' own text dtype, kept by pyarrow."""
    pytest.importorskip("pyarrow")
    return typed("text", "string[pyarrow]")


def text_of_pandas_3():
    """The default text dtype of pandas 3."""
    if not PANDAS_3:
        pytest.skip("the text dtype came with pandas 3")
    return typed("text", "str")


def sparse(fill):
    """A sparse column whose fill value is a missing value, or a number."""
    values = base("float")
    values = np.where(holes(), np.nan, values if np.isnan(fill) else np.where(values > 0, values, 0.0))
    return pd.Series(pd.arrays.SparseArray(values, dtype=pd.SparseDtype("float64", fill)))


def tuples():
    """A category whose levels are tuples."""
    levels = pd.Index([("a", 1), ("b", 2), ("c", 3)], tupleize_cols=False)
    codes = np.where(holes(), -1, base("code") % 3)
    return pd.Series(pd.Categorical.from_codes(codes, categories=levels))


ORDERED = pd.CategoricalDtype(["c", "a", "b", "never seen"], ordered=True)
DAYS = pd.to_datetime("2020-01-01") + pd.to_timedelta(base("code"), unit="D")

COLUMNS = {
    **{name: (lambda name=name: typed("float", name)) for name in ("float16", "float32", "float64")},
    **{name: (lambda name=name: typed("int", name)) for name in ("Int8", "Int16", "Int32", "Int64")},
    **{name: (lambda name=name: typed("int", name)) for name in ("UInt8", "UInt16", "UInt32", "UInt64")},
    **{name: (lambda name=name: typed("float", name)) for name in ("Float32", "Float64")},
    "boolean": lambda: typed("bool", "boolean"),
    "big Int64": lambda: pd.Series(base("int") + 2**60, dtype="Int64").mask(pd.Series(holes())),
    "big UInt64": lambda: pd.Series(base("int").astype("uint64") + np.uint64(2**63), dtype="UInt64").mask(
        pd.Series(holes())
    ),
    "object text, None": lambda: objects(base("text")),
    "object text, nan": lambda: objects(base("text"), np.nan),
    "object text, NA": lambda: objects(base("text"), pd.NA),
    "object bools": lambda: objects(base("bool").tolist()),
    "object ints": lambda: objects(base("int").tolist()),
    "object floats": lambda: objects(base("float").tolist()),
    "object numpy ints": lambda: objects(list(base("int").astype("int32"))),
    "str": text_of_pandas_3,
    "string": lambda: typed("text", "string[python]"),
    "string[pyarrow]": pyarrow_text,
    "category": lambda: typed("text", "category"),
    "category, ordered and unused": lambda: typed("text", ORDERED),
    "category of ints": lambda: typed("code", "category"),
    "category of bools": lambda: typed("bool", "category"),
    "category of intervals": lambda: pd.Series(pd.cut(typed("float", "float64"), 4)),
    "category of dates": lambda: pd.Series(DAYS).mask(pd.Series(holes())).astype("category"),
    "category of tuples": tuples,
    "sparse, fill nan": lambda: sparse(np.nan),
    "sparse, fill 0": lambda: sparse(0.0),
    "arrow int64": lambda: arrow("int", "int64"),
    "arrow uint8": lambda: arrow("int", "uint8"),
    "arrow double": lambda: arrow("float", "float64"),
    "arrow double with NaN": lambda: arrow("float", "nan"),
    "arrow bool": lambda: arrow("bool", "bool_"),
    "arrow string": lambda: arrow("text", "string"),
    "arrow large string": lambda: arrow("text", "large_string"),
    "arrow dictionary": lambda: arrow("text", "dictionary"),
}


def frame_with(column):
    """The column between two others."""
    rng = np.random.default_rng(0)
    return pd.DataFrame({"z": rng.normal(size=N), "v": column.to_numpy(), "w": rng.normal(size=N)}).assign(v=column)


def assert_as_it_came(completed, given, drawn=("v",)):
    """Index, columns, dtypes and observed values of a completed frame are those of the frame; nothing is missing."""
    assert type(completed) is type(given)
    assert completed.index.equals(given.index) and completed.index.names == given.index.names
    assert completed.columns.equals(given.columns) and completed.columns.names == given.columns.names
    assert completed.dtypes.tolist() == given.dtypes.tolist()
    for position, name in enumerate(given.columns):
        here, there = completed.iloc[:, position], given.iloc[:, position]
        seen = np.flatnonzero(~there.isna().to_numpy())
        pd.testing.assert_series_equal(here.iloc[seen], there.iloc[seen], check_exact=True)
        if there.dtype == object:
            cells = zip(here.iloc[seen], there.iloc[seen], strict=True)
            assert all(type(one) is type(other) for one, other in cells)
        if name in drawn:
            assert not here.isna().any()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_with_its_dtype_and_its_observed_values(name):
    frame = frame_with(COLUMNS[name]())
    before = frame.copy(deep=True)
    imp = frame.mice.impute(m=2, rng=1, iterations=2)
    if name != "arrow double with NaN":  # its missing values are no NA for pandas, and observed for its isna()
        for completed in imp:
            assert_as_it_came(completed, frame)
    assert not np.isnan(imp[0]["v"].to_numpy(dtype=float, na_value=np.nan)).any() if "double" in name else True
    pd.testing.assert_frame_equal(frame, before, check_exact=True)


@pytest.mark.parametrize("name", COLUMNS)
def test_drawn_values_are_of_the_same_python_type_as_observed_ones(name):
    frame = frame_with(COLUMNS[name]())
    completed = frame.mice.impute(m=2, rng=1, iterations=1)[0]["v"]
    seen = ~frame["v"].isna()
    if frame["v"].dtype == object and name != "object numpy ints":
        assert {type(v) for v in completed[~seen]} == {type(v) for v in completed[seen]}
    assert len(completed) == N


@pytest.mark.parametrize("name", COLUMNS)
def test_the_long_format_brings_every_dtype_back(name):
    frame = frame_with(COLUMNS[name]())
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    back = mifit.from_long(imp.to_long())
    for k in range(2):
        pd.testing.assert_frame_equal(back[k], imp[k], check_exact=True)


@pytest.mark.parametrize(
    "dtype",
    ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool", "float16", "float32", "Int64"],
)
def test_a_complete_column_of_any_dtype_is_left_as_it_is_and_predicts(dtype):
    rng = np.random.default_rng(1)
    given = pd.Series(rng.integers(0, 2, N) if dtype == "bool" else base("int"), dtype=dtype)
    frame = pd.DataFrame({"c": given, "v": typed("float", "float64")})
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    assert_as_it_came(imp[0], frame)
    assert imp.plan["v"].predictors == ("c",)


@pytest.mark.parametrize(
    "dates",
    [
        pd.Series(pd.date_range("2020", periods=N)),
        pd.Series(pd.date_range("2020", periods=N, tz="Europe/Berlin")),
        pd.Series(pd.to_timedelta(np.arange(N), unit="h")),
        pd.Series(pd.period_range("2020", periods=N, freq="M")),
        pd.Series([dt.date(2020, 1, 1 + i % 28) for i in range(N)], dtype=object),
    ],
    ids=["dates", "dates with a zone", "spans", "periods", "Python dates"],
)
def test_complete_dates_pass_untouched_and_an_event_says_so(dates):
    frame = pd.DataFrame({"t": dates, "v": typed("float", "float64"), "z": base("float", 8)})
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    assert_as_it_came(imp[0], frame)
    assert any("'t'" in event and "not used as a predictor" in event for event in imp.events["event"])


def test_a_draw_outside_a_small_integer_dtype_is_an_error_that_names_the_column():
    frame = pd.DataFrame({"v": pd.Series([1, 120, 127, 4, None, 100] * 8, dtype="Int8"), "z": base("float")})
    with pytest.raises(mifit.DataError, match="'v' does not fit its dtype Int8") as refused:
        frame.mice.impute(m=5, rng=1, methods={"v": "norm"}, iterations=1)
    assert (
        refused.value.do == "df.mice.impute(methods={'v': 'norm'}, iterations=1, bounds={'v': (-128, 127)}, m=5, rng=1)"
    )
    imp = frame.mice.impute(m=5, rng=1, methods={"v": "norm"}, iterations=1, bounds={"v": (-128, 127)})
    assert all(one["v"].notna().all() and one["v"].dtype == "Int8" for one in imp)


KINDS = [
    ([1.5, 2.25, None, 3.75], Kind.NUMERIC),
    ([1, 2, 2, None], Kind.BINARY),
    ([0, 1, 1, None], Kind.BINARY),
    ([-1.5, 2.5, None, 2.5], Kind.BINARY),
    ([0, 2, 7, None], Kind.COUNT),
    ([*range(201), None], Kind.COUNT),
    ([*range(300), None], Kind.NUMERIC),
    ([*range(201), 10**6, None], Kind.NUMERIC),
    ([0, 1, 2, None], Kind.COUNT),
    ([0, 3, 201, None], Kind.NUMERIC),
    ([1, 2, 3, None], Kind.ORDINAL),
    ([1, 2, 3, 4, 5, 6, 7], Kind.ORDINAL),
    ([1, 2, 3, 4, 5, 6, 7, 8], Kind.NUMERIC),
    ([3, 4, 6, None], Kind.NUMERIC),
    ([-3, -2, -1, None], Kind.ORDINAL),
    ([-1, 0, 1, None], Kind.NUMERIC),
    ([5.0, 5.0, None], Kind.NUMERIC),
    (["a", "b", None], Kind.BINARY),
    (["a", "b", "c", None], Kind.NOMINAL),
    (["a", None, "a"], Kind.NOMINAL),
    ([True, False, None], Kind.BINARY),
    ([True, True, None], Kind.NOMINAL),
    ([True, 1, "a"], Kind.OTHER),
    ([b"a", b"b"], Kind.OTHER),
    ([1 + 2j, 2j], Kind.OTHER),
    ([dt.datetime(2020, 1, 1), None], Kind.OTHER),
    ([np.inf, 1.0, 2.5], Kind.NUMERIC),
]


@pytest.mark.parametrize(("values", "kind"), KINDS, ids=[str(values) for values, _ in KINDS])
def test_the_kind_follows_from_the_observed_values(values, kind):
    assert classify(pd.Series(values)).kind is kind
    if not any(isinstance(v, bool) for v in values):  # a bool among numbers would be taken for one
        assert classify(pd.Series(values, dtype=object)).kind is kind


def test_unused_categories_are_no_levels_and_the_order_is_the_dtypes():
    coding = classify(pd.Series(["b", "a", None, "c"], dtype=ORDERED))
    assert (coding.kind, coding.levels) == (Kind.ORDINAL, ("c", "a", "b"))
    assert classify(pd.Series(["b", "a"], dtype=ORDERED)).kind is Kind.BINARY


def test_missing_values_do_not_change_the_kind():
    values = pd.Series([1.0, 2.0, 3.0, 4.0])
    assert classify(values) == classify(values.reindex(range(9)))


@st.composite
def frames(draw):
    """Small frames of mixed columns with missing values, any index."""
    n = draw(st.integers(12, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    makers = {
        "f": lambda: pd.Series(rng.normal(size=n) * 10.0 ** draw(st.integers(-12, 12))),
        "i": lambda: pd.Series(rng.integers(-3, 400, n), dtype="Int32"),
        "c": lambda: pd.Series(rng.integers(0, 5, n), dtype="float32"),
        "t": lambda: pd.Series(rng.choice(["u", "v", "ä ö"], n), dtype=draw(st.sampled_from([object, "category"]))),
        "b": lambda: pd.Series(rng.random(n) < 0.5, dtype="boolean"),
        "o": lambda: pd.Series(rng.integers(1, 6, n), dtype="UInt8"),
    }
    names = draw(st.lists(st.sampled_from(sorted(makers)), min_size=2, max_size=5, unique=True))
    frame = pd.DataFrame({name: makers[name]() for name in names})
    for name in names:
        gone = rng.random(n) < draw(st.sampled_from([0.0, 0.1, 0.3]))
        gone[:4] = False
        frame[name] = frame[name].mask(gone)
    frame.index = pd.Index(rng.integers(0, n // 2, n) if draw(st.booleans()) else [f"r{i}" for i in range(n)])
    return frame


@settings(max_examples=20, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_any_frame_comes_back_as_it_was_but_for_its_holes(frame):
    before = frame.copy(deep=True)
    imp = frame.mice.impute(m=2, rng=7, iterations=1)
    for completed in imp:
        assert_as_it_came(completed, frame, drawn=frame.columns)
    pd.testing.assert_frame_equal(frame, before, check_exact=True)

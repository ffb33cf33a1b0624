"""Frames as users have them: each is completed without loss, or refused by one error that ends in a call."""

import datetime as dt
import decimal
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mifit
from mifit import DataError, FormulaError, MifitError, PlanError

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

N = 60


def base(n=N, seed=0):
    """Three normal columns, x with missing values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n) for name in ("y", "x", "z")})
    frame["x"] = frame["x"].mask(rng.random(n) < 0.25)
    return frame


def plus(**columns):
    """The frame with further columns."""
    return base().assign(**columns)


def some(values, every=7):
    """A column of objects, every so many-th value missing."""
    return pd.Series(values, dtype=object).mask(np.arange(N) % every == 3)


def cut_in_three():
    """Levels that another column settles."""
    return np.select([base()["z"] < -0.5, base()["z"] < 0.5], ["a", "b"], "c")


RNG = np.random.default_rng(1)
ZEROS = pd.Series(np.where(RNG.random(N) < 0.8, 0, RNG.poisson(20, N))).astype(float).mask(np.arange(N) < 7)
DAYS = pd.Series(pd.date_range("2020-01-01", periods=N))

#: name -> (frame, formula, model)
COMPLETED = {
    "one missing cell": (plus(x=base(seed=2)["z"].mask(np.arange(N) == 3)), "y ~ x + z", None),
    "three rows": (base().iloc[[0, 1, 8]], "y ~ x", None),
    "rows with nothing in them": (pd.concat([base(), base().iloc[:5] * np.nan]), "y ~ x + z", None),
    "constant columns": (plus(k=1, holed=some([2.0] * N)), "y ~ x + z", None),
    "a constant outcome": (plus(y=1.0), "y ~ x + z", None),
    "an exact copy": (plus(w=lambda f: 2 * f["z"] + 1), "y ~ x + z + w", None),
    "a near copy": (plus(w=lambda f: f["z"] * (1 + 1e-10)), "y ~ x + z + w", None),
    "a level seen once": (plus(g=pd.Series(["a"] * 58 + ["b", None])), "y ~ x + g", None),
    "unused levels": (plus(g=pd.Categorical(some(["a", "b"] * 30), ["c", "a", "b", "d"])), "y ~ x + g", None),
    "perfect separation": (plus(s=some(np.where(base()["z"] > 0, "hi", "lo"))), "y ~ z + s", None),
    "a separated outcome": (plus(s=some(np.where(base()["z"] > 0, "hi", "lo"))), "s ~ x + z", None),
    "quasi-separation": (
        plus(s=some(np.where(base()["z"].round(1) > 0, "hi", np.where(np.arange(N) % 9 == 0, "hi", "lo")))),
        "y ~ z + s", None,
    ),
    "separated levels": (plus(s=some(cut_in_three())), "y ~ z + s", None),
    "a separated outcome of levels": (plus(s=some(cut_in_three())), "s ~ x + z", "mnlogit"),
    "separated ordered levels": (
        plus(s=pd.Categorical(some(cut_in_three()), ["a", "b", "c"], ordered=True)), "y ~ z + s", None
    ),
    "a separated ordered outcome": (
        plus(s=pd.Categorical(some(cut_in_three()), ["a", "b", "c"], ordered=True)), "s ~ x + z", "ordinal"
    ),
    "many zeros": (plus(c=ZEROS), "y ~ c + z", None),
    "many zeros as an outcome": (plus(c=ZEROS), "c ~ x + z", "poisson"),
    "many zeros as an overdispersed outcome": (plus(c=ZEROS), "c ~ x + z", "negativebinomial"),
    "ties": (plus(x=lambda f: f["x"].round(0), z=lambda f: f["z"].round(0)), "y ~ x + z", None),
    "all but one value equal": (plus(x=pd.Series([0.0] * 57 + [1.5, np.nan, np.nan])), "y ~ x + z", None),
    "complete dates": (plus(d=DAYS), "y ~ x + z", None),
    "complete spans of time": (plus(d=DAYS - DAYS[0]), "y ~ x + z", None),
    "complete months": (plus(d=pd.period_range("2020", periods=N, freq="M")), "y ~ x + z", None),
    "complex numbers": (plus(c=1j), "y ~ x + z", None),
    "complete lists": (plus(c=pd.Series([[1]] * N, dtype=object)), "y ~ x + z", None),
    "truth values as objects": (plus(t=some([True, False] * 30)), "y ~ x + t", None),
    "an outcome of truth values": (plus(t=some([True, False] * 30)), "t ~ x + z", None),
    "a category of truth values": (plus(t=pd.Categorical(some([True, False] * 30))), "y ~ x + t", None),
    "a category of intervals": (plus(t=lambda f: pd.cut(f["x"], 3)), "y ~ z + t", None),
    "numbers in a falling order": (
        plus(t=pd.Categorical(some([1, 2, 3] * 20), [3, 2, 1], ordered=True)), "y ~ x + t", None
    ),
    "half precision": (base().astype("float16"), "y ~ x + z", None),
    "sparse columns": (base().astype(pd.SparseDtype("float64", np.nan)), "y ~ x + z", None),
    "empty words": (plus(t=some(["", " ", "a"] * 20)), "y ~ x + t", None),
    "long words": (plus(t=some(["x" * 10_000, "y"] * 30)), "y ~ x + t", None),
    "an outlier": (plus(x=lambda f: f["x"].where(f.index != 1, 1e15)), "y ~ x + z", None),
    "a number below the smallest": (plus(x=lambda f: f["x"] * 5e-324), "y ~ x + z", None),
    "an outcome seen twice": (plus(y=lambda f: f["y"].where(f.index < 2)), "y ~ x + z", None),
    "never seen together": (plus(y=lambda f: f["y"].where(f["x"].isna())), "y ~ x + z", None),
    "one column": (base()[["x"]], None, None),
    "nothing missing": (base().fillna(0.0), "y ~ x + z", None),
    "rows all called alike": (base().set_axis(np.zeros(N)), "y ~ x + z", None),
    "rows without a name": (base().set_axis(np.full(N, np.nan)), "y ~ x + z", None),
    "rows called by intervals": (base().set_axis(pd.interval_range(0, N)), "y ~ x + z", None),
    "rows called as a column": (base().rename_axis("x"), "y ~ x + z", None),
    "columns called Q, C and class": (
        base().rename(columns={"x": "Q", "z": "C", "y": "class"}), "Q('class') ~ C", None
    ),
    "columns called Intercept and .imp": (base().rename(columns={"x": "Intercept", "z": ".imp"}), None, None),
    "a column called nothing": (base().rename(columns={"x": ""}), None, None),
}  # fmt: skip

for _power in (-200, -100, -12, 12, 100, 140):
    COMPLETED[f"units of 1e{_power}"] = (plus(x=base()["x"] * 10.0**_power), "y ~ x + z", None)

REFUSED = {
    "one row": (base().iloc[[8]] * [1, np.nan, 1], None),
    "no rows": (base().iloc[:0], None),
    "no columns": (base()[[]], None),
    "nothing but missing values": (base() * np.nan, None),
    "a column of missing values": (plus(x=np.nan), "y ~ x + z"),
    "infinite values": (plus(z=lambda f: f["z"].where(f.index > 0, np.inf)), None),
    "units of 1e200": (plus(x=base()["x"] * 1e200), None),
    "units of 1e300 in an analysis": (plus(z=base()["z"] * 1e300), "y ~ x + z"),
    "mixed types with missing values": (plus(m=some([1, "a"] * 30)), None),
    "dictionaries with missing values": (plus(m=some([{"a": 1}] * N)), None),
    "decimals with missing values": (plus(m=some([decimal.Decimal("1.5")] * N)), None),
    "dates with missing values": (plus(d=DAYS.mask(np.arange(N) < 3)), "y ~ x"),
    "dates as objects with missing values": (plus(d=some([dt.date(2020, 1, 1)] * N)), None),
    "spans of time with missing values": (plus(d=(DAYS - DAYS[0]).mask(np.arange(N) < 3)), "y ~ x"),
    "dates in the formula": (plus(d=DAYS), "y ~ x + d"),
    "columns in levels": (base().set_axis(pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 3)]), axis=1), None),
    "columns called alike": (base().set_axis(["a", "a", "b"], axis=1), None),
    "a column called None": (base().set_axis([None, "a", "b"], axis=1), None),
    "a logarithm of what is below 0": (base(), "y ~ np.log(x)"),
}


def assert_unharmed(one, frame):
    """Index, columns, dtypes and observed values are those of the frame."""
    assert one.index.equals(frame.index) and one.index.names == frame.index.names
    assert one.columns.equals(frame.columns) and list(one.dtypes) == list(frame.dtypes)
    for position in range(frame.shape[1]):
        seen = np.flatnonzero(frame.iloc[:, position].notna().to_numpy())
        here, there = one.iloc[seen, position], frame.iloc[seen, position]
        pd.testing.assert_series_equal(here, there, check_exact=True)


@pytest.mark.filterwarnings("ignore:.*if that stands for a missing value")
@pytest.mark.parametrize("asked", [False, True], ids=["chained", "compatible"])
@pytest.mark.parametrize("name", COMPLETED)
def test_an_awkward_frame_is_completed_without_loss(name, asked):
    frame, formula, model = COMPLETED[name]
    if asked and formula is None:
        pytest.skip("no formula names its columns")
    imp = frame.mice.impute(formula if asked else None, model=model if asked else None, m=2, rng=1, iterations=5)
    for one in imp:
        assert_unharmed(one, frame)
        left = [n for n in frame.columns if one[n].isna().any()]
        assert all(repr(n) in " ".join(imp.events["event"]) for n in left), left
        numbers = one.select_dtypes("float").to_numpy(dtype=float)
        assert np.isfinite(numbers[~np.isnan(numbers)]).all()


@pytest.mark.parametrize("name", REFUSED)
def test_a_frame_that_cannot_be_used_is_refused_by_one_error_that_ends_in_a_call(name):
    frame, formula = REFUSED[name]
    with pytest.raises(MifitError) as found:
        frame.mice.impute(formula, m=2, rng=1)
    assert found.value.do and "\n" in str(found.value)


def test_five_hundred_columns_are_planned_in_seconds():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 500)), columns=[f"v{j}" for j in range(500)])
    frame = frame.mask(rng.random(frame.shape) < 0.02)
    started = time.perf_counter()
    plan = frame.mice.plan()
    assert len(plan.order) > 450 and time.perf_counter() - started < 40


@pytest.mark.parametrize("formula", [None, "y ~ x + z"])
def test_a_thousand_levels_are_completed_and_said(formula):
    rng = np.random.default_rng(0)
    frame = base(3000).assign(g=[f"l{i}" for i in rng.integers(0, 1000, 3000)])
    imp = frame.mice.impute(formula, m=2, rng=1, iterations=5)
    assert not imp[0].isna().any().any()
    holed = frame.assign(g=frame["g"].mask(rng.random(3000) < 0.1))
    imp = holed.mice.impute(formula, m=2, rng=1, iterations=5)
    assert not imp[0].isna().any().any() and set(imp[0]["g"]) <= set(holed["g"].dropna())
    assert "levels: drawn from the observed values" in " ".join(imp.events["event"])


def test_a_covariate_of_a_thousand_levels_with_holes_is_refused_by_name():
    rng = np.random.default_rng(0)
    frame = base(3000).assign(g=pd.Series([f"l{i}" for i in rng.integers(0, 1000, 3000)]).mask(rng.random(3000) < 0.1))
    with pytest.raises(PlanError, match=r"'g' has \d+ levels") as found:
        frame.mice.plan("y ~ x + g")
    holes = frame["g"].isna().sum()
    scope = {"df": frame}
    exec(found.value.do, scope)
    assert scope["df"]["g"].isna().sum() == holes and scope["df"]["g"].nunique() < 50


def test_the_call_that_an_error_of_units_ends_in_cures_it():
    frame = plus(x=base()["x"] * 1e200)
    with pytest.raises(DataError, match="squares") as found:
        frame.mice.impute(m=2)
    scope = {"df": frame}
    exec(found.value.do, scope)
    assert not scope["df"].mice.impute(m=2, rng=1)[0].isna().any().any()


NAMES = st.one_of(
    st.text(min_size=0, max_size=8),
    st.sampled_from(["Q", "C", "I", "class", "a b", "it's", '"', "x:y", "np", "y ~ x", "Intercept", "größe", "出力"]),
    st.integers(-5, 5),
    st.floats(-2, 2, allow_nan=False).filter(lambda v: not float(v).is_integer()),
    st.tuples(st.text(max_size=3), st.integers(0, 9)),
    st.frozensets(st.integers(0, 3), max_size=2),
    st.just(dt.date(2020, 1, 1)),
    st.just(pd.Timestamp("2021-02-03")),
    st.booleans(),
)


def _index(kind, n, rng):
    """An index of some kind."""
    made = {
        "range": lambda: pd.RangeIndex(5, 5 + n),
        "text": lambda: pd.Index([f"r{i}" for i in range(n)], name="who"),
        "duplicates": lambda: pd.Index(rng.integers(0, 3, n)),
        "levels": lambda: pd.MultiIndex.from_arrays(
            [rng.integers(0, 3, n), [f"r{i}" for i in range(n)]], names=["a", None]
        ),
        "dates": lambda: pd.date_range("2020", periods=n, tz="UTC"),
        "floats": lambda: pd.Index(rng.normal(size=n)),
        "nan": lambda: pd.Index(np.full(n, np.nan)),
        "category": lambda: pd.CategoricalIndex(rng.choice(["u", "v"], n)),
        "intervals": lambda: pd.interval_range(0, n),
        "falling": lambda: pd.Index(np.arange(n)[::-1]),
    }
    return made[kind]()


KINDS_OF_INDEX = ["range", "text", "duplicates", "levels", "dates", "floats", "nan", "category", "intervals", "falling"]


@st.composite
def named_frames(draw):
    """Frames with columns of any name and rows of any label."""
    n = draw(st.integers(12, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique_by=(hash, repr)))
    columns = [
        rng.normal(size=n), rng.integers(0, 9, n).astype(float), rng.choice(["u", "v", "ä"], n).astype(object),
        (rng.random(n) < 0.5).astype(object), rng.normal(size=n) ** 2,
    ]  # fmt: skip
    frame = pd.DataFrame({k: pd.Series(columns[k]) for k in range(len(names))})
    for k in range(len(names)):
        gone = rng.random(n) < draw(st.sampled_from([0.0, 0.2]))
        gone[:4] = False
        frame[k] = frame[k].mask(gone)
    frame.columns = pd.Index(names, tupleize_cols=False, dtype=object)
    frame.index = _index(draw(st.sampled_from(KINDS_OF_INDEX)), n, rng)
    return frame


@pytest.mark.filterwarnings("ignore:.*if that stands for a missing value")
@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=named_frames())
def test_any_name_and_any_index_come_back(frame):
    before = frame.copy(deep=True)
    imp = frame.mice.impute(m=2, rng=7, iterations=1)
    for one in imp:
        assert_unharmed(one, frame)
        assert not one.isna().any().any() and [type(n) for n in one.columns] == [type(n) for n in frame.columns]
    str(imp.plan), repr(imp), imp.events
    assert imp.to_long().shape == (3 * len(frame), frame.shape[1] + 2)
    pd.testing.assert_frame_equal(frame, before, check_exact=True)


HALF = "a\ud800"  # half a character: no encoding has it
ODD_FRAMES = {
    "whole numbers beyond any float": plus(big=pd.Series([10**400, 2**70, 5] * 20, dtype=object)),
    "whole numbers beyond 64 bits": plus(big=pd.Series([2**70, 2**71, 5] * 20, dtype=object)),
    "rows called by whole numbers beyond any float": base().set_axis(
        pd.Index([10**400 + k for k in range(N)], dtype=object)
    ),
    "rows called by half a character": base().set_axis(pd.Index([f"{HALF}{k}" for k in range(N)], dtype=object)),
    "levels of half a character": plus(g=some([HALF, "b", "c"] * 20)),
    "the smallest numbers there are": plus(x=base()["x"] * 5e-324),
    "long names": base().rename(columns={"x": "x" * 200, "z": "a name of many words " * 4, "y": 10**30}),
    "odd letters": base().rename(columns={"x": "a\nb\x00\x1b[31m", "z": "$\\frac{1}{2}$", "y": "\u202e{0}%s"}),
}


@pytest.mark.parametrize("name", ODD_FRAMES)
def test_every_verb_bears_an_odd_frame(name, tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    frame = ODD_FRAMES[name]
    imp = frame.mice.impute(m=2, iterations=1, rng=1)
    for one in imp:
        assert_unharmed(one, frame)
    long = imp.to_long()
    assert long.index[:N].equals(frame.index) and long.index.dtype == frame.index.dtype
    for one, other in zip(mifit.from_long(long), imp, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    assert back.identity == imp.identity and back.fingerprint == imp.fingerprint
    imp.report(tmp_path / "report.html"), repr(imp), imp._repr_html_(), imp.methods_text()
    for figure in (imp.plot.density(), imp.plot.strip(), imp.plot.trace(), imp.plot.pattern()):
        (figure if hasattr(figure, "savefig") else figure.figure).savefig(tmp_path / "figure.png", dpi=30)
    plt.close("all")


@pytest.mark.parametrize("frame, fact", [
    (plus(g=pd.Categorical(some([HALF, "b"] * 30))), "a level of 'g' holds half a character"),
    (plus(g=pd.Categorical(["b", "c"] * 30, categories=["b", "c", HALF, 3])), "a level of 'g' holds half a character"),
    (base().set_axis(pd.Index([5, *base().columns[1:-1], HALF], dtype=object), axis=1), "holds half a character"),
])  # fmt: skip
def test_the_call_that_an_error_of_half_a_character_ends_in_cures_it(frame, fact):
    with pytest.raises(DataError, match=fact) as found:
        frame.mice.impute(m=2)
    scope = {"df": frame.copy()}
    exec(found.value.do, scope)
    assert scope["df"].isna().sum().tolist() == frame.isna().sum().tolist()
    assert (
        not scope["df"].mice.impute(m=2, rng=1, iterations=1)[0].drop(columns="g", errors="ignore").isna().any().any()
    )


@pytest.mark.parametrize("right", ["{}", "center({})", "I({} > 0)"])
def test_a_column_that_is_called_as_patsy_calls_its_own_is_refused_with_its_cure(right):
    name = "_patsy_stobj0__center__"
    frame, formula = base().rename(columns={"z": name}), "y ~ x + " + right
    with pytest.raises(FormulaError, match="a name that patsy keeps for itself") as found:
        frame.mice.impute(formula.format(name), m=2)
    scope = {"df": frame}
    exec(found.value.do, scope)
    scope["df"].mice.impute(formula.format("patsy_stobj0__center"), m=2, rng=1, iterations=1)

"""Files: a study comes back as it was, bit for bit, goes on as if nothing had happened, and is written whole or not."""

import datetime
import decimal
import errno
import json
import os
import warnings
import zipfile
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mifit
from mifit.frame.kinds import Kind
from mifit.storage import archive
from mifit.storage.frames import pack_frame, unpack_frame
from mifit.storage.serialize import Packer, Unpacker
from support.mixed_kinds import mixed, same


def round_trip(frame):
    """A frame through JSON and arrays, as they would be in a file."""
    packer = Packer()
    stored = json.loads(json.dumps(pack_frame(packer, frame), allow_nan=False))
    return unpack_frame(Unpacker(packer.arrays, {}), stored)


def equal(left, right):
    """Whether two frames are the same in everything pandas knows of them."""
    pd.testing.assert_frame_equal(
        left, right, check_exact=True, check_index_type="exact", check_column_type="exact", check_freq=True
    )
    assert [type(name) for name in left.columns] == [type(name) for name in right.columns]
    for (_, one), (_, other) in zip(left.items(), right.items(), strict=True):
        assert one.dtype == other.dtype
        if one.dtype == object:
            assert [type(value) for value in one] == [type(value) for value in other]
    assert left.attrs == right.attrs
    assert left.flags.allows_duplicate_labels == right.flags.allows_duplicate_labels


def saved(imp, tmp_path, **words):
    """The same after a file."""
    imp.save(tmp_path / "study.mifit")
    return mifit.load(tmp_path / "study.mifit", **words)


# Frames


N = 6
MOMENTS = pd.date_range("2020-02-28 12:34:56.789", periods=N, freq="7h")
COLUMNS = {
    **{f"float{k}": np.array([1.5, np.nan, -0.0, np.inf, 2.0**-14, 7.0], f"float{k}") for k in (16, 32, 64)},
    **{f"int{k}": np.arange(-3, 3).astype(f"int{k}") for k in (8, 16, 32, 64)},
    **{f"uint{k}": np.arange(N).astype(f"uint{k}") for k in (8, 16, 32, 64)},
    **{name: pd.array([1, None, 3, 4, None, 0], dtype=name) for name in ("Int8", "Int64", "UInt16", "UInt64")},
    **{name: pd.array([1.5, None, 3, 4, None, 0], dtype=name) for name in ("Float32", "Float64")},
    "Float64 with NaN": pd.arrays.FloatingArray(np.array([1, np.nan, 3, 4, 5, 6.0]), np.arange(N) == 4),
    "largest": np.array([2**63 - 1, -(2**63), 0, 1, 2, 3]),
    "big endian": np.arange(N).astype(">f8"),
    "boolean": pd.array([True, None, False, None, True, True], dtype="boolean"),
    "bool": np.arange(N) % 2 == 0,
    "complex": np.arange(N) + 1j,
    "string": pd.array(["a", None, "ü\x00", "", "\ud800", "🐟"], dtype=pd.StringDtype("python")),
    "text": pd.Series(["a", None, "b", "", "c", "d"]),
    "object": pd.Series(["a", None, np.nan, pd.NA, True, 3], dtype=object),
    "odd objects": pd.Series(
        [decimal.Decimal("1.10"), datetime.date(2020, 2, 29), b"\xff", (1, (2.5, "x")), Fraction(1, 3), pd.NaT],
        dtype=object,
    ),
    "moments in objects": pd.Series(
        [MOMENTS[0], MOMENTS[0].tz_localize("Asia/Tokyo"), pd.Timedelta("3s"), datetime.datetime(2020, 1, 1),
         datetime.time(3, 4), pd.Period("2020-03", "M")], dtype=object,
    ),
    "numpy objects": pd.Series([np.float32(1.5), np.int8(3), np.bool_(True), np.float64(2), np.str_("a"), 1j],
                               dtype=object),
    "category": pd.Categorical(["b", "a", None, "b", "a", "b"], categories=["b", "a", "unused"], ordered=True),
    "category of numbers": pd.Categorical([3, 1, None, 3, 1, 1]),
    "category of floats": pd.Categorical([3.5, 1, None, 3.5, 1, 1]),
    "category of bools": pd.Categorical([True, False, None, True, True, True]),
    "category of intervals": pd.cut(np.arange(N), [-1, 2, 4, 9]),
    "category of moments": pd.Categorical(MOMENTS.tz_localize("UTC")),
    "category of objects": pd.Categorical(
        pd.Series(["b", "a", None, "a", "a", "b"], dtype=object), categories=pd.Index(["a", 3, "b"], dtype=object)
    ),
    **{f"moments in {u}": MOMENTS.as_unit(u) for u in ("s", "ms", "us", "ns")},
    "zoned": MOMENTS.tz_localize("Europe/Berlin"),
    "utc": pd.Series(MOMENTS.tz_localize("UTC")).mask(np.arange(N) == 2),
    "fixed": MOMENTS.tz_localize(datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    "spans": pd.to_timedelta([1, 2, None, 4, 5, 6], unit="h"),
    "periods": pd.period_range("2020-01", periods=N, freq="Q-MAR"),
    "intervals": pd.interval_range(0, N, closed="left"),
    "sparse": pd.arrays.SparseArray([0.0, 0, 1.5, 0, np.nan, 0], fill_value=0.0),
    "sparse of whole": pd.arrays.SparseArray([0, 0, 1, 0, 2, 0]),
}  # fmt: skip


@pytest.mark.parametrize("how", ["where", "conditional"])
def test_holes_that_stay_open_are_open_after_loading(how, tmp_path):
    rng = np.random.default_rng(1)
    smoker = np.where(rng.random(120) < 0.5, "yes", "no")
    asked = pd.DataFrame({"smoker": smoker, "cigarettes": np.where(smoker == "yes", rng.poisson(9, 120), np.nan)})
    asked["z"] = rng.normal(size=120)
    asked = asked.mask(rng.random(asked.shape) < [0.0, 0.2, 0.2])
    cells = pd.DataFrame({"z": asked["z"].isna() & (np.arange(120) < 60)})
    option = {"where": cells} if how == "where" else {"conditional": {"cigarettes": "smoker == 'yes'"}}
    leave = {"methods": {"cigarettes": "leave"}} if how == "where" else {}
    imp = asked.mice.impute(m=2, rng=1, iterations=2, **option, **leave)
    imp.save(tmp_path / "asked.mifit")
    assert imp[0].isna().any(axis=None)
    equal(mifit.load(tmp_path / "asked.mifit")[0], imp[0])


@pytest.mark.parametrize("name", COLUMNS)
def test_every_dtype_comes_back_as_it_was(name):
    frame = pd.DataFrame({"x": COLUMNS[name]}, index=pd.RangeIndex(N))
    back = round_trip(frame)
    equal(back, frame)
    if frame["x"].dtype.kind == "f" and isinstance(frame["x"].dtype, np.dtype):
        assert back["x"].to_numpy().tobytes() == frame["x"].to_numpy().tobytes()


ARROW = (
    "int8[pyarrow]", "uint64[pyarrow]", "float[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "string[pyarrow]",
    "large_string[pyarrow]", "date32[pyarrow]", "timestamp[us][pyarrow]", "timestamp[ns, tz=UTC][pyarrow]",
    "duration[ms][pyarrow]", "decimal128(7, 2)[pyarrow]", "dictionary", "time64[us][pyarrow]", "binary[pyarrow]",
)  # fmt: skip


@pytest.mark.parametrize("name", ARROW)
def test_every_pyarrow_dtype_comes_back_as_it_was(name):
    pa = pytest.importorskip("pyarrow")
    values = {"s": ["a", None, "b"], "l": ["a", None, "b"], "t": [MOMENTS[0], None, MOMENTS[1]]}.get(
        name[0], [1, None, 0]
    )
    if name.startswith("date"):
        values = [datetime.date(2020, 1, 1), None, datetime.date(1960, 1, 1)]
    elif name.startswith("duration"):
        values = [pd.Timedelta("1s"), None, pd.Timedelta("2ms")]
    elif name.startswith("decimal"):
        values = [decimal.Decimal("1.25"), None, decimal.Decimal("-7.00")]
    elif name.startswith("time64"):
        values = [datetime.time(1, 2, 3, 4), None, datetime.time(0)]
    elif name.startswith("binary"):
        values = [b"\x00\xff", None, b""]
    if name == "dictionary":
        array = pd.arrays.ArrowExtensionArray(pa.array(["b", "a", None, "b"]).dictionary_encode())
    elif "tz" in name:
        array = pd.array([None if v is None else v.tz_localize("UTC") for v in values],
                         dtype=pd.ArrowDtype(pa.timestamp("ns", "UTC")))  # fmt: skip
    elif name.startswith("decimal"):
        array = pd.array(values, dtype=pd.ArrowDtype(pa.decimal128(7, 2)))
    elif name == "large_string[pyarrow]":
        array = pd.array(values, dtype=pd.ArrowDtype(pa.large_string()))
    elif name == "string[pyarrow]":
        array = pd.array(values, dtype=pd.ArrowDtype(pa.string()))
    else:
        array = pd.array(values, dtype=name)
    equal(round_trip(pd.DataFrame({"x": array})), pd.DataFrame({"x": array}))


def test_text_of_pandas_keeps_where_it_is_kept():
    pytest.importorskip("pyarrow")
    for dtype in ("string[pyarrow]", pd.Series(["a"]).dtype):
        frame = pd.DataFrame({"x": pd.array(["a", None, "b"], dtype=dtype)})
        equal(round_trip(frame), frame)


INDICES = {
    "range": pd.RangeIndex(5, -7, -2, name="r"),
    "numbers": pd.Index([3, 3, 1, 2, 2, 9], name=("a", 1)),
    "text": pd.Index(["a", "b", "a", "", "ü", "c"]),
    "objects": pd.Index([1, "a", None, 2.5, (1, 2), True], dtype=object, tupleize_cols=False),
    "moments": MOMENTS,
    "zoned": pd.date_range("2020-03-28", periods=N, freq="D", tz="Europe/Berlin", name="when"),
    "spans": pd.timedelta_range("1h", periods=N, freq="30min"),
    "periods": pd.period_range("2020", periods=N, freq="Y"),
    "categories": pd.CategoricalIndex(list("abcabc"), categories=list("cab"), ordered=True, name="c"),
    "intervals": pd.interval_range(0.0, 3.0, periods=N),
    "nullable": pd.Index(pd.array([1, None, 3, 4, 5, 6], dtype="Int64")),
    "small": pd.Index(np.arange(N, dtype="int8")),
    "several": pd.MultiIndex.from_arrays(
        [list("aabbcc"), MOMENTS.tz_localize("UTC"), [1, 2, 1, 2, 1, 1]], names=["g", None, 3]
    ),
    "several with missing values": pd.MultiIndex.from_arrays([["a", None, "a", "a", "b", "b"], [1, 1, 1, 1, 2, 2]]),
}


@pytest.mark.parametrize("name", INDICES)
def test_every_index_comes_back_as_it_was(name):
    equal(round_trip(pd.DataFrame({"x": range(N)}, index=INDICES[name])), pd.DataFrame({"x": range(N)}, INDICES[name]))
    if name not in ("several", "several with missing values", "numbers"):
        frame = pd.DataFrame([range(N)], columns=INDICES[name])
        equal(round_trip(frame), frame)


def test_attributes_and_flags_come_back_and_odd_ones_are_refused_by_name():
    frame = pd.DataFrame({"x": [1.0]})
    frame.attrs = {"source": "trial 7", "units": {"x": ["kg", None]}, 3: (1, 2.5), "weights": np.arange(3.0)}
    back = round_trip(frame)
    np.testing.assert_array_equal(back.attrs.pop("weights"), frame.attrs.pop("weights"))
    equal(back, frame)
    equal(round_trip(frame.set_flags(allows_duplicate_labels=False)), frame.set_flags(allows_duplicate_labels=False))
    frame.attrs["f"] = lambda: 0
    with pytest.raises(mifit.StorageError, match=r"df.attrs holds function[\s\S]*df.attrs.clear\(\)"):
        round_trip(frame)


class Thing:
    def __eq__(self, other):
        return isinstance(other, Thing)

    def __hash__(self):
        return 1


def test_what_no_file_holds_is_refused_by_name():
    for frame, what in (
        (pd.DataFrame({"x": pd.Series([Thing(), 1], dtype=object)}), "column 'x' holds Thing"),
        (pd.DataFrame({Thing(): [1]}), "a column name holds Thing"),
        (pd.DataFrame({"x": [1]}, index=pd.Index([Thing()])), "the index holds Thing"),
    ):
        with pytest.raises(mifit.StorageError, match=what):
            round_trip(frame)


LABELS = st.one_of(
    st.text(max_size=6), st.integers(), st.booleans(), st.floats(allow_nan=False), st.dates(), st.binary(max_size=3),
    st.tuples(st.integers(), st.text(max_size=2)), st.decimals(allow_nan=False), st.fractions(),
    st.datetimes(pd.Timestamp("1700-01-01"), pd.Timestamp("2200-01-01")).map(pd.Timestamp),
    st.sampled_from([np.int64(3), np.float32(1.5), pd.Timedelta("1s"), pd.Interval(0, 1), frozenset([1, 2])]),
)  # fmt: skip
CELLS = st.one_of(LABELS, st.none(), st.just(np.nan), st.just(pd.NA), st.complex_numbers(allow_nan=False))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LABELS, min_size=1, max_size=4), st.lists(st.sampled_from(sorted(COLUMNS)), min_size=4, max_size=4),
       st.lists(CELLS, min_size=N, max_size=N), st.sampled_from(sorted(INDICES)))  # fmt: skip
def test_generated_frames_come_back_as_they_were(labels, kinds, cells, index):
    parts = [pd.Series(COLUMNS[kind]).set_axis(range(N)) for kind in kinds[: len(labels)]]
    parts[0] = pd.Series(cells, dtype=object)
    frame = pd.concat(parts, axis=1)
    frame.columns = pd.Index(labels, dtype=object, tupleize_cols=False)
    frame.index = INDICES[index]
    equal(round_trip(frame), frame)


# Studies


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (None, {}),
        (None, {"methods": {"x": "norm", "c": mifit.PMM(donors=3)}, "predictors": {"x": "z * np.exp(y)"}}),
        ("y ~ x * z + g + b + c", {}),
        ("y ~ z + x + I(x**2) + g + b", {"auxiliary": {"baseline": ["later"]}}),
        ("b ~ x * z + c", {}),
        ("np.log(pos) ~ bs(x, df=4, lower_bound=-9, upper_bound=9) + center(z)", {"methods": {"later": "leave"}}),
        (["y ~ x * z", "y ~ x + g"], {"derived": {"twice": "2 * x + np.abs(z)"}}),
        ("y ~ x * z + g", {"congeniality": "terms", "order": ["g", "x"]}),
        ("y ~ x + z", {"model": "quantreg"}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_a_study_goes_on_as_if_there_had_been_no_file(formula, words, tmp_path):
    frame = mixed().assign(pos=lambda d: np.exp(d["y"] / 4)).drop(columns=["y"] if formula and "pos" in formula else [])
    imp = mifit.impute(frame, formula, m=3, iterations=4, rng=7, **words)
    back = saved(imp, tmp_path)
    same(back, imp)
    equal(back._record.frame, imp._record.frame)
    assert (back.identity, back.fingerprint, back.iterations, back.m) == (imp.identity, imp.fingerprint, 4, 3)
    assert str(back.plan) == str(imp.plan)
    assert repr(back) == repr(imp)
    pd.testing.assert_frame_equal(back.events, imp.events)
    for one, other in zip(back._record.chains, imp._record.chains, strict=True):
        assert one.traces.keys() == other.traces.keys()
        for name, trace in one.traces.items():
            np.testing.assert_array_equal(trace, other.traces[name])
    same(back.extend(m=2), imp.extend(m=2))
    same(back.extend(iterations=2), imp.extend(iterations=2))
    if formula is not None:
        asked = formula[0] if isinstance(formula, list) else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            left, right = back.fit(asked), imp.fit(asked)
        pd.testing.assert_series_equal(left.params, right.params, check_exact=True)
        pd.testing.assert_series_equal(left.bse, right.bse, check_exact=True)
        pd.testing.assert_frame_equal(back.check(asked), imp.check(asked))
    same(saved(back.extend(m=1), tmp_path), imp.extend(m=1))


def test_an_analysis_that_was_not_foreseen_is_imputed_again_the_same_way(tmp_path):
    imp = mifit.impute(mixed(), "y ~ x + z", m=3, iterations=3, rng=7)
    back = saved(imp, tmp_path)
    with pytest.warns(mifit.CongenialityWarning):
        left = imp.fit("y ~ x * z")
    with pytest.warns(mifit.CongenialityWarning):
        right = back.fit("y ~ x * z")
    same(left.imputations, right.imputations)


def test_survival_counts_and_families_come_back(tmp_path):
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    frame = mixed().drop(columns="later").assign(
        time=rng.exponential(size=150), status=rng.random(150) < 0.7, site=np.arange(150) % 3,
        years=1.0 + rng.random(150),
    )  # fmt: skip
    for formula, words in (
        ("time ~ x + z", {"model": "phreg", "status": "status", "strata": "site"}),
        ("c ~ x + z", {"model": "glm", "family": sm.families.NegativeBinomial(alpha=0.5), "exposure": "years"}),
        ("c ~ x + z", {"model": "poisson", "offset": rng.random(150)}),
        ("g ~ x + z", {"model": "mnlogit"}),
    ):
        imp = mifit.impute(frame, formula, m=2, iterations=2, rng=7, **words)
        back = saved(imp, tmp_path)
        same(back.extend(m=1), imp.extend(m=1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pd.testing.assert_series_equal(back.fit().params, imp.fit().params, check_exact=True)


def test_patients_with_several_rows_come_back(tmp_path):
    frame = mixed().assign(patient=np.repeat(np.arange(50), 3))
    frame["sex"] = pd.Series(np.repeat(np.random.default_rng(1).integers(0, 2, 50), 3), dtype="Int64")
    frame.loc[frame["patient"] < 9, "sex"] = pd.NA
    imp = mifit.impute(frame, "y ~ x * sex", id="patient", m=2, iterations=3, rng=np.random.default_rng(3))
    same(saved(imp, tmp_path).extend(m=2), imp.extend(m=2))


def test_sets_made_elsewhere_come_back(tmp_path):
    imp = mifit.impute(mixed(), "y ~ x + z", m=3, iterations=2, rng=1)
    elsewhere = mifit.from_long(imp.to_long())
    back = saved(elsewhere, tmp_path)
    same(back, elsewhere)
    assert back.plan is None
    assert repr(back) == repr(elsewhere)
    pd.testing.assert_series_equal(back.fit("y ~ x").params, elsewhere.fit("y ~ x").params, check_exact=True)
    with pytest.raises(mifit.PlanError, match="made elsewhere"):
        back.extend(m=1)


def test_a_frame_without_holes_comes_back(tmp_path):
    imp = mifit.impute(mixed().dropna(), "y ~ x + z", m=2, rng=1)
    same(saved(imp, tmp_path), imp)


def half(x):
    return x / 2


def test_a_function_that_no_file_holds_is_named_and_passed_back(tmp_path):
    own = lambda x: np.tanh(x)  # noqa: E731
    imp = mifit.impute(mixed(), "y ~ own(x) + half(z)", m=2, iterations=2, rng=1)
    path = tmp_path / "study.mifit"
    with pytest.warns(mifit.StorageWarning, match=r"does not hold own; .*names=\{'own': own\}") as told:
        imp.save(path)
    assert told[0].filename == __file__
    both = r"import test_storage; mifit.load\('.*study.mifit', names=\{'own': own, 'half': test_storage.half\}\)"
    with pytest.raises(mifit.StorageError, match=rf"'own', 'half' \(test_storage.half\)[\s\S]*{both}"):
        mifit.load(path)
    both = r"names=\{'half': test_storage.half, 'own': own\}\)"
    with pytest.raises(mifit.StorageError, match=rf"uses 'half' \(test_storage.half\), which[\s\S]*{both}"):
        mifit.load(path, names={"own": own})
    same(mifit.load(path, names={"own": own, "half": half}).extend(m=1), imp.extend(m=1))


def test_numpy_under_another_name_and_patsy_by_import_need_no_passing(tmp_path):
    import numpy as onp
    from patsy import bs as spline
    from scipy.special import expit

    assert callable(expit) and callable(spline) and onp is np
    imp = mifit.impute(mixed(), "y ~ onp.tanh(x) + spline(z, df=3) + expit(z) + z", m=2, iterations=2, rng=1)
    same(saved(imp, tmp_path), imp)


class Median:
    """A method of one's own that keeps something no file holds."""

    kinds = frozenset({Kind.NUMERIC})
    reference = "none"

    def fit(self, visit, rng):
        return mifit.Normal().fit(visit, rng)


def test_a_method_of_ones_own_is_passed_back(tmp_path):
    mine = Median()
    imp = mifit.impute(mixed(), None, methods={"x": mine}, m=2, iterations=2, rng=1)
    with pytest.warns(mifit.StorageWarning, match="Median"):
        imp.save(tmp_path / "study.mifit")
    with pytest.raises(mifit.StorageError, match="Median"):
        mifit.load(tmp_path / "study.mifit")
    same(mifit.load(tmp_path / "study.mifit", names={"Median": mine}).extend(m=1), imp.extend(m=1))


# The file


def test_the_same_study_is_the_same_bytes_and_holds_no_pickle(tmp_path):
    imp = mifit.impute(mixed(400), "y ~ x + z + g", m=2, iterations=2, rng=1)
    imp.save(tmp_path / "a.mifit")
    mifit.load(tmp_path / "a.mifit").save(tmp_path / "b.mifit")
    one, other = ((tmp_path / name).read_bytes() for name in ("a.mifit", "b.mifit"))
    assert one == other
    with zipfile.ZipFile(tmp_path / "a.mifit") as parts:
        assert all(name.endswith((".json", ".npy")) for name in parts.namelist())
        assert json.loads(parts.read("manifest.json"))["protocol"] == archive.PROTOCOL


def test_a_file_of_a_later_protocol_is_refused_with_what_to_do(tmp_path, monkeypatch):
    imp = mifit.impute(mixed(), m=2, iterations=1, rng=1)
    monkeypatch.setattr(archive, "PROTOCOL", 99)
    imp.save(tmp_path / "study.mifit")
    monkeypatch.undo()
    with pytest.raises(mifit.StorageError, match=r"protocol 99[\s\S]*pip install --upgrade mifit"):
        mifit.load(tmp_path / "study.mifit")


def test_what_is_no_study_is_refused(tmp_path):
    for name, content in (("empty", b""), ("text", b"hello"), ("zip", b"PK\x05\x06" + bytes(18))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(mifit.StorageError, match=r"damaged or no study"):
            mifit.load(tmp_path / name)
    with pytest.raises(mifit.StorageError, match="could not be read"):
        mifit.load(tmp_path / "absent.mifit")
    with pytest.raises(mifit.StorageError, match="could not be read"):
        mifit.load(tmp_path)


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "chmod"])
@pytest.mark.parametrize("what", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_an_interruption_leaves_the_old_file_and_no_other(where, what, tmp_path, monkeypatch):
    first, second = (mifit.impute(mixed(), m=2, iterations=1, rng=seed) for seed in (1, 2))
    path = tmp_path / "study.mifit"
    first.save(path)
    before = path.read_bytes()

    def fail(*_, **__):
        raise what

    if where == "write":
        monkeypatch.setattr(archive.zipfile.ZipFile, "open", fail)
    else:
        monkeypatch.setattr(archive.os, where, fail)
    with pytest.raises(mifit.StorageError if isinstance(what, OSError) else KeyboardInterrupt) as caught:
        second.save(path)
    monkeypatch.undo()
    if isinstance(what, OSError):
        assert "No space left on device; the file that was there is as it was" in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["study.mifit"]
    second.save(path)
    same(mifit.load(path), second)


def test_a_folder_that_is_not_there_is_told(tmp_path):
    imp = mifit.impute(mixed(), m=2, iterations=1, rng=1)
    with pytest.raises(mifit.StorageError, match="could not be written: No such file"):
        imp.save(tmp_path / "no folder" / "study.mifit")


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    imp = mifit.impute(mixed(), m=2, iterations=1, rng=1)
    real, link = tmp_path / "real.mifit", tmp_path / "link.mifit"
    imp.save(real)
    real.chmod(0o640)
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("no links here")
    imp.save(link)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("other", [np.int64(3), np.int8(3), np.float64(2.5), np.bool_(True)])
def test_names_of_columns_of_any_types_come_back(other, tmp_path):
    """A whole number of numpy raises where it is compared with a decimal."""
    rng = np.random.default_rng(1)
    names = pd.Index([decimal.Decimal("1.5"), other, "y"], dtype=object)
    frame = pd.DataFrame(rng.normal(size=(40, 3)), columns=names)
    frame.iloc[::4, 0] = frame.iloc[1::5, 1] = np.nan
    imp = mifit.impute(frame, m=2, iterations=2, rng=1)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    pd.testing.assert_frame_equal(back.extend(m=3)[2], imp.extend(m=3)[2])
    assert [type(name) for name in back[0].columns] == [type(name) for name in names]

"""The table of observed beside imputed values on frames of every sort, against pandas on the completed frames."""

import decimal

import numpy as np
import pandas as pd
import pytest

import mifit

N = 60
HOLES = np.random.default_rng(7).random(N) < 0.2


def holed(values):
    return pd.Series(values).astype(object).where(~HOLES).infer_objects()


def columns():
    rng = np.random.default_rng(1)
    words, whole, real = pd.Series(rng.choice(list("ab"), N)), rng.integers(0, 30, N), rng.normal(size=N)
    return {
        "truth values with missing ones": holed(rng.random(N) > 0.5),
        "nullable truth values": pd.array(holed(rng.random(N) > 0.5).astype(object), dtype="boolean"),
        "nullable whole": pd.array(holed(whole), dtype="Int64"),
        "few nullable whole": pd.array(holed(rng.integers(0, 3, N)), dtype="Int8"),
        "nullable": pd.array(holed(real), dtype="Float64"),
        "short": holed(real).astype("float32"),
        "text": pd.array(holed(words), dtype="string"),
        "category, one level unused": pd.Categorical(holed(words), ["b", "a", "zz"]),
        "ordered": pd.Categorical(holed(words), ["b", "a"], ordered=True),
        "intervals": pd.cut(holed(real), 3),
        "constant": holed(np.ones(N)),
        "constant text": holed(["a"] * N),
        "one value": pd.Series([5.0] + [np.nan] * (N - 1)),
        "huge": holed(real) * 1e140,
        "tiny": holed(real) * 1e-200,
        "negative": -holed(rng.exponential(size=N)),
    }


def arrow():
    rng = np.random.default_rng(2)
    given = {
        "int64[pyarrow]": rng.integers(0, 30, N).tolist(), "double[pyarrow]": rng.normal(size=N).tolist(),
        "bool[pyarrow]": (rng.random(N) > 0.5).tolist(), "string[pyarrow]": rng.choice(list("ab"), N).tolist(),
        "decimal128(5, 2)[pyarrow]": [decimal.Decimal(int(v)) for v in rng.integers(0, 30, N)],
    }  # fmt: skip
    return {name: [None if hole else v for v, hole in zip(each, HOLES, strict=True)] for name, each in given.items()}


def agrees(frame, name):
    """Compare the rows of one column with what pandas says of the completed frames."""
    imp = mifit.impute(frame, "y ~ x", m=2, iterations=2, rng=1, progress=False)
    table = imp.check_values()
    rows = table[table["column"] == name]
    hidden = frame[name].isna().to_numpy()
    seen = frame[name][~hidden]
    drawn = pd.concat([imp[k][name][hidden] for k in range(2)])
    assert len(rows) and str(imp) and table.to_string()
    if rows["level"].isna().all():
        (row,) = rows.to_dict("records")
        for word, values in (("observed", seen), ("imputed", drawn)):
            values = values.to_numpy(dtype=np.float64)
            assert row[word] == len(values)
            size = np.abs(values).max() or 1.0
            figures = [(values / size).min(), (values / size).max(), (values / size).mean()]
            found = [row[f"{word}_{one}"] / size for one in ("min", "max", "mean")]
            np.testing.assert_allclose(found, figures, rtol=1e-6, atol=1e-12)
            if len(values) > 1:
                np.testing.assert_allclose(row[f"{word}_sd"] / size, (values / size).std(ddof=1), rtol=1e-6, atol=1e-12)
        low, high = seen.astype(float).min(), seen.astype(float).max()
        beyond = (drawn.astype(float) < low) | (drawn.astype(float) > high)
        assert row["beyond"] == pytest.approx(beyond.mean())
    else:
        for row in rows.to_dict("records"):
            assert row["observed"] == (seen.astype(object) == row["level"]).sum()
            assert row["imputed"] == (drawn.astype(object) == row["level"]).sum()
        assert rows["imputed"].sum() == len(drawn)


def study(values, name="v"):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": rng.normal(size=N), "x": holed(rng.normal(size=N))})
    frame[name] = values
    return frame


@pytest.mark.parametrize("kind", columns())
def test_figures_are_those_of_the_completed_frames(kind):
    agrees(study(columns()[kind]), "v")


@pytest.mark.parametrize("dtype", arrow())
def test_figures_of_arrow_columns(dtype):
    pa = pytest.importorskip("pyarrow")
    kind = {"int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(), "string": pa.string()}
    made = pa.array(arrow()[dtype], type=kind.get(dtype.partition("[")[0], pa.decimal128(5, 2)))
    agrees(study(pd.Series(pd.arrays.ArrowExtensionArray(made))), "v")


@pytest.mark.parametrize(
    "name", [("a", 1), 1, 1.5, True, pd.Timestamp("2020"), "column", "level", "far", "", " x", "é"]
)
def test_any_name(name):
    frame = study(np.random.default_rng(3).normal(size=N))
    frame.columns = pd.Index(["y", "x", name], dtype=object, tupleize_cols=False)
    frame[name] = frame[name].where(~HOLES)
    table = mifit.impute(frame, "y ~ x", m=2, iterations=2, rng=1, progress=False).check_values()
    assert {*table["column"]} == {"x", name}


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2020", periods=N), pd.Index([1] * N), pd.MultiIndex.from_arrays([range(N), ["a"] * N]),
        pd.Index([None] * N), pd.CategoricalIndex(["a"] * N), pd.interval_range(0, N), pd.RangeIndex(N, 0, -1),
    ],
    ids=lambda index: type(index).__name__,
)  # fmt: skip
def test_any_index(index):
    frame = study(columns()["nullable"])
    with_index = mifit.impute(frame.set_axis(index, axis=0), "y ~ x", m=2, iterations=2, rng=1, progress=False)
    plain = mifit.impute(frame, "y ~ x", m=2, iterations=2, rng=1, progress=False)
    pd.testing.assert_frame_equal(with_index.check_values(), plain.check_values())


@pytest.mark.parametrize(
    "values", [pd.date_range("2020", periods=N), pd.timedelta_range("1D", periods=N), [[1]] * N, np.full(N, np.nan)]
)
@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
def test_a_column_that_is_not_imputed_has_no_row(values):
    frame = study(values)
    words = {"methods": {"v": "leave"}} if frame["v"].isna().all() else {}
    imp = mifit.impute(frame, "y ~ x", m=2, iterations=2, rng=1, progress=False, **words)
    assert imp.check_values()["column"].tolist() == ["x"]

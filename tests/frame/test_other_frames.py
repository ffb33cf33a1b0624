"""Frames of polars, pyarrow and DuckDB: in without loss, out as the same kind."""

from __future__ import annotations

import datetime
import importlib.util
import pickle

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import mifit
from mifit.errors import DataError
from mifit.frame.other_frames import taken_in

N = 60


def columns():
    rng = np.random.default_rng(0)
    gone = rng.random((N, 6)) < 0.2
    x = rng.normal(size=N)

    def holed(values, k):
        return [None if lost else value for value, lost in zip(values, gone[:, k], strict=True)]

    return {
        "y": holed((x + rng.normal(size=N)).tolist(), 0), "x": x.tolist(),
        "n": holed(rng.integers(-9, 90, N).tolist(), 1),
        "s": holed(rng.choice(["a", "b", "ü"], N).tolist(), 2), "b": holed(rng.choice([True, False], N).tolist(), 3),
        "c": holed(rng.choice(["p", "q", "r"], N).tolist(), 4),
        "e": holed(rng.choice(["lo", "mid", "hi"], N).tolist(), 5),
        "big": [2**53 + 1 + k for k in range(N)], "day": [datetime.date(2020, 1, 1 + k % 28) for k in range(N)],
    }  # fmt: skip


def polars():
    types = {"c": pl.Categorical, "e": pl.Enum(["lo", "mid", "hi"]), "n": pl.Int16, "y": pl.Float32}
    return pl.DataFrame(columns(), schema_overrides=types)


def arrow():
    table = pa.table(columns())
    coded = pa.DictionaryArray.from_arrays(table["c"].combine_chunks().dictionary_encode().indices, ["p", "q", "r"])
    return table.set_column(table.schema.get_field_index("c"), "c", coded)


def duck():
    return duckdb.from_arrow(pa.table(columns()))


KINDS = {"polars": polars, "lazy": lambda: polars().lazy(), "pyarrow": arrow, "duckdb": duck}


def plain(frame):
    """Any frame as a table whose text is text."""
    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    return pl.from_arrow(pa.table(frame)).with_columns(pl.col("s", "c", "e").cast(pl.String))


@pytest.mark.parametrize("name", KINDS)
def test_completed_sets_are_of_the_kind_and_types_that_came_and_observed_values_stay(name):
    given = KINDS[name]()
    imp = mifit.impute(given, "y ~ x + n", m=2, iterations=2, rng=1)
    one, before = imp[0], plain(given)
    assert type(one) is type(given) and all(type(each) is type(given) for each in (*imp, *imp[0:2]))
    if name == "pyarrow":
        assert one.schema == given.schema
    elif name == "duckdb":
        assert one.columns == given.columns and one.types == given.types
    else:
        assert one.collect_schema() == given.collect_schema()
    after = plain(one)
    assert after["y"].null_count() == after["s"].null_count() == 0
    for column in before.columns:
        kept = before[column].is_not_null()
        assert after[column].filter(kept).equals(before[column].filter(kept)), column


@pytest.mark.parametrize("name", KINDS)
def test_the_draws_are_those_of_the_same_frame_in_pandas(name):
    given = KINDS[name]()
    columns = ["y", "x", "n", "b"]
    frame = plain(given).to_pandas()[columns]
    some = given.select(columns) if name != "duckdb" else given.select("y, x, n, b")
    ours, theirs = (mifit.impute(one, m=2, iterations=2, rng=3) for one in (some, frame))
    there = [plain_numbers(one) for one in (ours[1], pa.Table.from_pandas(theirs[1], preserve_index=False))]
    np.testing.assert_array_equal(*there)
    pd.testing.assert_series_equal(ours.fit("y ~ x + n").params, theirs.fit("y ~ x + n").params)


def plain_numbers(frame):
    frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    return np.column_stack([np.asarray(column.to_pylist(), dtype=float) for column in pa.table(frame).columns])


@pytest.mark.parametrize("name", KINDS)
def test_long_format_and_new_rows_and_more_sets_are_of_the_same_kind(name):
    given = KINDS[name]()
    imp = mifit.impute(given, m=2, iterations=1, rng=1)
    long = imp.to_long()
    assert type(long) is type(given) and plain(long).shape == (3 * N, 11)
    back = mifit.from_long(long)
    assert back.m == 2 and type(back[0]) is type(given) and plain(back[1]).equals(plain(imp[1]))
    assert type(imp.extend(m=1)[2]) is type(given)
    assert type(imp.impute_new(given)[0]) is type(given)
    assert type(mifit.from_frames(list(imp), original=given)[0]) is type(given)
    if name != "duckdb":
        assert plain(pickle.loads(pickle.dumps(imp))[1]).equals(plain(imp[1]))


def test_polars_frames_have_the_accessor_and_functions_see_polars():
    frame = polars()
    mifit.plan(frame)
    imp = frame.mice.impute(m=2, iterations=1, rng=1)
    assert imp.map(lambda d: d["x"].mean())[0] == pytest.approx(frame["x"].mean())
    assert frame.mice.plan("y ~ x")["y"].role == "outcome"
    assert frame.mice.pattern().loc["total", "y"] == frame["y"].null_count()


def test_a_nan_of_polars_is_a_missing_value():
    frame = pl.DataFrame({"x": [1.5, float("nan"), None, *np.arange(20.0)], "z": np.arange(23.0)})
    one = mifit.impute(frame, m=2, iterations=1, rng=1)[0]
    assert one["x"].is_finite().all()


def test_what_arrow_does_not_know_and_what_is_no_frame_is_refused():
    with pytest.raises(DataError, match="'x' holds Python objects"):
        mifit.impute(pl.DataFrame({"x": [object(), object()]}), m=2)
    for other in (pl.Series([1.0, None]), [1, 2], pd.Series([1.0, None]), {"x": [1.0]}):
        with pytest.raises(DataError, match="a pandas DataFrame is needed"):
            mifit.impute(other, m=2)


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyarrow" else found(name, *a))
    with pytest.raises(DataError, match="not installed") as caught:
        mifit.impute(polars(), m=2)
    assert caught.value.do == 'pip install "mifit[polars]"'


def test_a_study_in_a_file_is_read_as_a_dataframe(tmp_path):
    imp = mifit.impute(polars(), m=2, iterations=1, rng=1)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    assert back.identity == imp.identity and isinstance(back[0], pd.DataFrame)
    assert pl.from_pandas(back[0])["y"].equals(imp[0]["y"].cast(pl.Float32))


def test_chunks_with_dictionaries_of_their_own_are_one_column():
    chunks = [["a", "b", None], ["c", "a", "b"]]
    parts = [pa.table({"c": pa.array(values).dictionary_encode(), "z": [1.0, 2.0, 3.0]}) for values in chunks]
    frame, origin = taken_in(pa.concat_tables(parts * 10))
    assert frame["c"].isna().sum() == 10 and set(frame["c"].cat.categories) == {"a", "b", "c"}
    assert origin.out(frame)["c"].to_pylist()[:6] == ["a", "b", None, "c", "a", "b"]

"""Completed sets in files of R, Stata and SPSS."""

from __future__ import annotations

import importlib.util
import os
import re
import tempfile
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import DataError
from ..files import replacing
from .completed import Completed
from .r_data import write_rds
from .table import free_name

__all__ = ["to_r", "to_spss", "to_stata"]

_LONGEST = {"stata": 32, "spss": 64}


def to_r(completed: Completed, path: Any) -> str:
    """Write all sets as R's long format; see :meth:`mifit.ImputedSet.to_r`."""
    long = _levelled(completed, _long_of_r(completed))
    with replacing(path, "imp.to_r({})", "study.rds") as target:
        write_rds(long, target)
    return f"imp <- mice::as.mids(readRDS({_quoted(path)}))"


def to_stata(completed: Completed, path: Any) -> str:
    """Write all sets as Stata's flong; see :meth:`mifit.ImputedSet.to_stata`."""
    names = _names(completed, "stata", "mi_m", "mi_id")
    long = _long(completed, names, "mi_m", "mi_id")
    for position, name in enumerate(long.columns):
        long.isetitem(position, _for_stata(long[name]))
    labels = {names[old]: str(old)[:80] for old in completed.table.columns}
    dates = {name: "tc" for name in long.columns if long[name].dtype.kind == "M"}
    with replacing(path, "imp.to_stata({})", "study.dta") as target, warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        long.to_stata(target, write_index=False, version=118, variable_labels=labels, convert_dates=dates or None)
    drawn = " ".join(names[name] for name in completed.filled)
    return f"use {_quoted(path)}, clear\nmi import flong, m(mi_m) id(mi_id) imputed({drawn}) clear"


def to_spss(completed: Completed, path: Any) -> str:
    """Write all sets as SPSS expects them; see :meth:`mifit.ImputedSet.to_spss`."""
    if importlib.util.find_spec("pyreadstat") is None:
        raise DataError("a file of SPSS needs pyreadstat, which is not installed.", do='pip install "mifit[spss]"')
    import pyreadstat

    names = _names(completed, "spss", "Imputation_", "case_")
    long, values = _long(completed, names, "Imputation_", "case_"), {}
    for position, name in enumerate(long.columns):
        if isinstance(long[name].dtype, pd.CategoricalDtype):
            values[name] = {float(code): str(level) for code, level in enumerate(long[name].cat.categories, start=1)}
            codes = long[name].cat.codes.to_numpy().astype(np.float64) + 1.0
            long.isetitem(position, pd.Series(np.where(codes == 0, np.nan, codes)))
        else:
            long.isetitem(position, _for_stata(long[name]))
    labels: list[str | None] = [None, None, *map(str, completed.table.columns)]
    with tempfile.TemporaryDirectory() as folder:
        draft = os.path.join(folder, "study.sav")
        pyreadstat.write_sav(long, draft, column_labels=labels, variable_value_labels=values)
        with replacing(path, "imp.to_spss({})", "study.sav") as target:
            target.write(Path(draft).read_bytes())
    return f"GET FILE={_quoted(path)}.\nSPLIT FILE LAYERED BY Imputation_."


def _long(completed: Completed, names: dict[Hashable, str], imp: str, row: str) -> pd.DataFrame:
    """All sets stacked under names that the program takes, rows numbered from 0."""
    frames = [completed.original, *completed]
    long = _levelled(completed, pd.concat(frames, ignore_index=True))
    long.columns = pd.Index([names[name] for name in completed.table.columns])
    n = completed.table.n_rows
    long.insert(0, row, np.tile(np.arange(1, n + 1, dtype=np.int32), len(frames)))
    long.insert(0, imp, np.repeat(np.arange(len(frames), dtype=np.int16), n))
    return long


def _long_of_r(completed: Completed) -> pd.DataFrame:
    """All sets stacked, with names as R's ``make.names`` makes them: formulas of mice take no others."""
    frames, names = [completed.original, *completed], [".imp", ".id"]
    for name in completed.table.columns:
        plain = re.sub(r"[^\w.]", ".", str(name))
        names.append(free_name(plain if re.match(r"[^\W\d_]|\.(?!\d)", plain) else f"X{plain}", names))
    long = pd.concat(frames, ignore_index=True)
    return long.set_axis(names[2:], axis=1).assign(**_numbers(len(frames), completed.table.n_rows))[names]


def _numbers(sets: int, rows: int) -> dict[str, Any]:
    """The number of the set and of the row."""
    return {".imp": np.repeat(np.arange(sets), rows), ".id": np.tile(np.arange(1, rows + 1), sets)}


def _levelled(completed: Completed, long: pd.DataFrame) -> pd.DataFrame:
    """Text that was drawn as categories: other programs impute no text. The last columns are those of the frame."""
    ahead = long.shape[1] - len(completed.table.columns)
    for place, name in enumerate(completed.table.columns, start=ahead):
        levels, given = completed.table[name].coding.levels, long.iloc[:, place]
        text = levels and all(isinstance(level, str) for level in levels) and not _is_categorical(given)
        if text and name in completed.filled:
            long.isetitem(place, pd.Series(pd.Categorical(given.astype(object), list(levels)), index=long.index))
    return long


def _is_categorical(series: pd.Series) -> bool:
    """Whether a column has categories already."""
    return isinstance(series.dtype, pd.CategoricalDtype)


def _names(completed: Completed, program: str, *taken: str) -> dict[Hashable, str]:
    """A name for each column that the program takes: letters, digits and underscores, none twice whatever its case."""
    found: dict[Hashable, str] = {}
    used: list[str] = [name.lower() for name in taken]
    for name in completed.table.columns:
        plain = re.sub(r"\W", "_", str(name))
        plain = plain if plain[:1].isalpha() else f"v{plain}"
        plain = plain[: _LONGEST[program] - 3]
        free = free_name(plain.lower(), used)
        used.append(free)
        found[name] = plain + free[len(plain) :]
    return found


def _for_stata(series: pd.Series) -> pd.Series:
    """A column of a dtype that Stata's and SPSS's files can hold."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return series.cat.rename_categories([str(level) for level in dtype.categories])
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = not np.isnan(values).any() and not pd.api.types.is_float_dtype(dtype)
        return pd.Series(values.astype(np.int32) if whole and np.abs(values).max(initial=0.0) < 2**31 - 101 else values)
    if getattr(dtype, "kind", "") == "M":
        return pd.Series(pd.to_datetime(series, utc=True).dt.tz_localize(None).to_numpy(dtype="datetime64[ms]"))
    text = ["" if lost else str(value) for value, lost in zip(series.tolist(), series.isna(), strict=True)]
    return pd.Series(np.array(text, dtype=object), dtype=object)


def _quoted(path: Any) -> str:
    """A path as the programs read it."""
    return '"' + str(os.fspath(path)).replace("\\", "/") + '"'

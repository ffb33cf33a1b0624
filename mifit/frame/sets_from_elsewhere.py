"""Completed sets made elsewhere: read from frames or from R's long format, and checked against the incomplete frame."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import DataError, call, listed
from ..typing import Array
from .completed import Completed
from .kinds import Coding, Kind, classify, encode, is_missing
from .table import Table, check_frame, read

__all__ = ["from_frames", "from_long"]

_DIGITS = 1e-12  # a number written with 15 digits, or computed again on another processor, differs by less of itself
_SINGLE = 1e-6  # the same for a float32


def from_long(long: pd.DataFrame, imp: Hashable, row: Hashable, original: pd.DataFrame | None) -> tuple[Completed, str]:
    """Read completed sets in long format.

    Parameters
    ----------
    long : DataFrame
        The sets stacked. Rows numbered 0 in ``imp`` are the incomplete frame.
    imp, row : hashable
        Columns with the number of the set, and of the row within it.
    original : DataFrame or None
        The incomplete frame, where ``imp`` has no 0.

    Returns
    -------
    completed : Completed
    said : str
        How the missing values were found.

    Raises
    ------
    DataError
        If the sets differ in their rows, there are fewer than two, a completed cell is missing, or a set has another
        value where the incomplete frame has one.
    """
    several = list(long.values()) if isinstance(long, dict) else long
    if isinstance(several, list | tuple) and several and all(isinstance(one, pd.DataFrame) for one in several):
        raise DataError("the long format is one frame; several are taken by from_frames.", do="mifit.from_frames(long)")
    check_frame(long)
    long, imp, row = _as_others_write(long, imp, row)
    sets, zero, first = _split(long, imp, row)
    words = "".join(f", {w}={n!r}" for w, n, usual in (("imp", imp, ".imp"), ("id", row, ".id")) if n != usual)
    if zero is not None:
        said = "missing values from the rows numbered 0"
        without = f"mifit.from_long(long[long[{imp!r}] != {first!r}]{words})"
        if original is not None:
            _agree(_like(original, zero, without), [zero], "the rows numbered 0", f"mifit.from_long(long{words})")
    else:
        said, without = "missing values from original=", f"mifit.from_long(long{words})"
    return _read(sets, zero, original, said, without)


def _as_others_write(long: pd.DataFrame, imp: Hashable, row: Hashable) -> tuple[pd.DataFrame, Hashable, Hashable]:
    """Stata's columns where the usual ones are absent, without what numbers rows of the whole or marks missing ones."""
    known = set(long.columns)
    if imp == ".imp" and imp not in known and "_mi_m" in known:
        imp = "_mi_m"
    if row == ".id" and row not in known and "_mi_id" in known:
        row = "_mi_id"
    marks = ["_mi_miss"] if imp == "_mi_m" else []
    marks += ["Unnamed: 0"] if "Unnamed: 0" in known and long["Unnamed: 0"].is_unique else []  # R's names of rows
    gone = [name for name in marks if name in known and name not in (imp, row)]
    return (long.drop(columns=gone) if gone else long), imp, row


def from_frames(given: Any, original: pd.DataFrame | None) -> tuple[Completed, str]:
    """Read completed sets that are frames with the same rows; see :func:`from_long`."""
    if isinstance(given, pd.DataFrame):
        raise _single(given, original)
    frames = list(given.values()) if isinstance(given, Mapping) else list(given)
    if not frames:
        raise DataError("no completed set; at least 2 are needed to pool.", do="mifit.from_frames([frame1, frame2])")
    for frame in frames:
        check_frame(frame)
    first = frames[0]
    for k, frame in enumerate(frames):
        if list(frame.columns) != list(first.columns) or len(frame) != len(first):
            fact = f"frame {k} has {frame.shape[0]} rows x {frame.shape[1]} columns, or other columns than frame 0."
            raise DataError(fact, do=f"frames[{k}].columns.difference(frames[0].columns)")
        if not frame.index.equals(first.index) and frame.index.is_unique and set(frame.index) == set(first.index):
            fact = f"frame {k} has the rows of frame 0 in another order."
            raise DataError(fact, do="frames = [frame.loc[frames[0].index] for frame in frames]")
    if len(frames) < 2:
        fact = f"{len(frames)} completed set; at least 2 are needed to pool."
        raise DataError(fact, do="mifit.from_frames([frame1, frame2])")
    index = _common([frame.index for frame in frames])
    sets = [frame.set_axis(index, axis=0) for frame in frames]
    return _read(sets, None, original, "missing values from original=", "mifit.from_frames(frames)")


def _single(frame: pd.DataFrame, original: pd.DataFrame | None) -> DataError:
    """The error for one frame where several are wanted: in long format, or incomplete."""
    words = "" if original is None else ", original=df"
    found = {word: _numbering(frame, word) for word in ("imp", "id")}
    if all(found.values()):
        usual = {"imp": ".imp", "id": ".id"}
        named = "".join(f", {word}={name!r}" for word, name in found.items() if name != usual[word])
        return DataError("one frame in long format is taken by from_long.", do=f"mifit.from_long(frames{named}{words})")
    if is_missing(frame.iloc[:, 0]).any() or any(is_missing(frame.iloc[:, k]).any() for k in range(frame.shape[1])):
        return DataError(
            "from_frames takes a list of completed frames; this is one incomplete frame.",
            do=call("frames.mice.impute", m=20),
        )
    return DataError(
        "from_frames takes a list of completed frames, at least 2 to pool; this is one frame.",
        do=call("df.mice.impute", m=20).then("  # df as it was with its missing values"),
    )


def _numbering(long: pd.DataFrame, word: str) -> Hashable | None:
    """The column that numbers sets, or rows within them, by what it is called elsewhere; None where none is."""
    names = _SETS if word == "imp" else _ROWS
    return next((n for n in long.columns if isinstance(n, str) and n.strip("._ ").lower() in names), None)


_SETS = ("imp", "mi_m", "imputation", "imputations", "mj", "imputation_number", "imputationnumber")
_ROWS = ("id", "mi", "mi_id", "rowid", "row_id", "rownumber")


def _unnumbered(long: pd.DataFrame, name: Hashable, word: str, imp: Hashable, row: Hashable) -> DataError:
    """The error where no column numbers the sets, or the rows: the column that does, or the call that makes one."""
    columns = ", ".join(map(str, list(long.columns)[:8])) + (", ..." if len(long.columns) > 8 else "")
    found = {"imp": imp if imp in long.columns else _numbering(long, "imp"),
             "id": row if row in long.columns else _numbering(long, "id")}  # fmt: skip
    usual = {"imp": ".imp", "id": ".id"}
    fact = f"{word}= names {name!r}, which is not a column."
    if all(found.values()):
        named = "".join(f", {w}={n!r}" for w, n in found.items() if n != usual[w])
        return DataError(fact, columns=columns, do=f"mifit.from_long(long{named})")
    if found["imp"] is not None:  # rows are numbered within each set
        named = "" if found["imp"] == ".imp" else f", imp={found['imp']!r}"
        made = f"long['.id'] = long.groupby({found['imp']!r}).cumcount()"
        return DataError(fact, columns=columns, do=f"{made}; mifit.from_long(long{named})  # rows in the same order")
    if found["id"] == ".id" and not long[".id"].is_unique:
        incomplete = long.isna().any(axis=1).to_numpy()
        number = long.groupby(".id").cumcount()
        zero = bool(incomplete.any() and not incomplete[number.to_numpy() > 0].any())  # the incomplete frame is first
        made = f"long['.imp'] = long.groupby('.id').cumcount(){'' if zero else ' + 1'}"
        return DataError(fact, columns=columns, do=f"{made}; mifit.from_long(long)  # sets one after another")
    return DataError(
        fact,
        columns=columns,
        sets="nothing numbers them: is it the incomplete frame?",
        do=call("long.mice.impute", m=20),
    )


def _read(
    sets: Sequence[pd.DataFrame], zero: pd.DataFrame | None, original: pd.DataFrame | None, said: str, without: str
) -> tuple[Completed, str]:
    """Completed sets with the same rows in the same order, and where their values were missing.

    ``without`` is the call that takes the cells that differ for the missing ones.
    """
    source = "set 0" if zero is not None else "original="
    if zero is None and original is not None:
        check_frame(original)
        zero = _like(original, sets[0], without)
        left = [name for name in original.columns if name not in zero.columns]
        said += f"; not in the sets: {', '.join(map(str, left[:4]))}{', ...' if len(left) > 4 else ''}" if left else ""
    elif zero is None:
        zero, said = _differing(sets), "missing values are the cells that differ between sets"
        source = ""
    every = {name: [zero[name], *(s[name] for s in sets)] for name in zero.columns}
    codings = {name: classify(pd.concat(columns, ignore_index=True)) for name, columns in every.items()}
    table = read(zero, codings)
    imputed = tuple(_imputed_of(s, table, number) for number, s in enumerate(sets, start=1))
    for name in set().union(*imputed):
        lacking = [number for number, one in enumerate(imputed, start=1) if name not in one]
        if lacking:
            fact = f"column {name!r} is still missing in set {lacking[0]}, and not in others."
            raise DataError(fact, do=f"long[long[{name!r}].isna()]")
    if source:
        _agree(zero, sets, source, without)
    return Completed(zero, table, imputed), said


def _agree(zero: pd.DataFrame, sets: Sequence[pd.DataFrame], source: str, without: str) -> None:
    """Refuse sets that have another value where the incomplete frame has one: theirs would be lost."""
    for name in zero.columns:
        base = zero[name].reset_index(drop=True)
        observed = ~is_missing(base)
        differs = [observed & _contradicts(s[name].reset_index(drop=True), base) for s in sets]
        many = sum(int(one.sum()) for one in differs)
        if not many:
            continue
        k = next(k for k, one in enumerate(differs) if one.any())
        at = int(np.flatnonzero(differs[k])[0])
        raise DataError(
            f"{name!r} has another value in {many} cells of the sets where {source} has one already.",
            first=f"row {at}: {_plain(base, at)!r} in {source}, {_plain(sets[k][name], at)!r} in set {k + 1}",
            because="a column made of columns with missing values, such as df['x'] > 0, has a value there too; "
            "make it in the formula instead, imp.fit('y ~ I(x > 0)')",
            do=f"{without}  # missing are then the cells that differ between sets",
        )


def _plain(series: pd.Series, at: int) -> Any:
    """One value as Python has it."""
    return series.iloc[[at]].tolist()[0]


def _split(long: pd.DataFrame, imp: Hashable, row: Hashable) -> tuple[list[pd.DataFrame], pd.DataFrame | None, Any]:
    """The sets in order of their number, rows in order of their first appearance; set 0; the first number as given."""
    for name, word in ((imp, "imp"), (row, "id")):
        if name not in long.columns:
            raise _unnumbered(long, name, word, imp, row)
        many = int(is_missing(long[name]).sum())
        if many:
            raise DataError(
                f"{word}={name!r} is missing in {many} rows.", do=f"long[long[{name!r}].isna()]  # their number"
            )
    numbers, given = _numbers_of(long[imp], imp)
    parts = {number: long.iloc[np.flatnonzero(numbers == number)] for number in np.unique(numbers).tolist()}
    first = next(iter(parts.values()))[row]
    if not first.is_unique:
        raise _repeat(next(iter(parts)), imp, row)
    rest = [name for name in long.columns if name not in (imp, row)]
    aligned = {}
    for number, part in parts.items():
        if not part[row].is_unique:
            raise _repeat(number, imp, row)
        position = pd.Index(part[row]).get_indexer(pd.Index(first))
        if len(part) != len(first) or np.any(position < 0):
            raise DataError(
                f"set {number} has other rows than set {next(iter(parts))}.",
                rows=f"{len(part)} and {len(first)}",
                do=f"long.groupby({imp!r}).size()",
            )
        aligned[number] = part.iloc[position][rest]
    index = _common([part.index for part in aligned.values()])
    aligned = {number: part.set_axis(index, axis=0) for number, part in aligned.items()}
    zero = aligned.pop(0, None)
    if len(aligned) < 2:
        raise DataError(f"{len(aligned)} completed set; at least 2 are needed to pool.", do=f"long[{imp!r}].unique()")
    return list(aligned.values()), zero, given


def _numbers_of(column: pd.Series, name: Hashable) -> tuple[npt.NDArray[Any], Any]:
    """The number of each row's set, text read as numbers where it is some; and the least one as it was given."""
    given = np.array([str(v) if isinstance(v, str) else v for v in column.tolist()], dtype=object)
    if not any(isinstance(v, str) for v in given):
        numbers = np.asarray(given.tolist())
        return numbers, numbers.min().item()
    numbers = pd.to_numeric(pd.Series(given), errors="coerce").to_numpy(dtype=np.float64)
    odd = np.isnan(numbers)
    if odd.all():
        labels = given.astype(str)
        return labels, min(labels.tolist())
    if odd.any():
        raise DataError(
            f"imp={name!r} numbers some sets and names others, such as {given[odd][0]!r}.",
            do=f"long[{name!r}].unique()",
        )
    return numbers, given[int(np.argmin(numbers))]


def _common(indexes: Sequence[pd.Index]) -> pd.Index:
    """The row labels that all sets share; numbers from 0 where they share none."""
    first, n = indexes[0], len(indexes[0])
    if not all(one.equals(first) for one in indexes):
        return pd.RangeIndex(n)
    plain = pd.RangeIndex(n, name=first.name)
    return plain if first.nlevels == 1 and first.dtype == plain.dtype and first.equals(plain) else first


def _repeat(number: Any, imp: Hashable, row: Hashable) -> DataError:
    """The error for a row number that occurs twice in a set."""
    return DataError(f"set {number} has rows with the same {row!r}.", do=f"long[long.duplicated([{imp!r}, {row!r}])]")


def _like(original: pd.DataFrame, first: pd.DataFrame, without: str) -> pd.DataFrame:
    """The incomplete frame, its columns as in the sets; ``without`` is the call that does without it."""
    absent = [name for name in first.columns if name not in original.columns]
    if absent:
        many = f"{len(absent)} columns of the sets" if len(absent) > 1 else "a column of the sets"
        raise DataError(
            f"original= lacks {many}: {listed(map(repr, absent))}.",
            do=_narrowed(without, absent).removesuffix(")") + ", original=df)",
        )
    if len(original) != len(first):
        raise DataError(
            f"original= has {len(original)} rows, the sets have {len(first)}.",
            do=f"{without}  # missing are then the cells that differ between sets",
        )
    other = original.index.is_unique and not original.index.equals(first.index)
    if other and set(original.index) == set(first.index):
        fact = "original= has the rows of the sets in another order."
        order = "frames[0].index" if "from_frames" in without else "long.index.unique()"
        raise DataError(fact, do=f"{without.removesuffix(')')}, original=df.loc[{order}])")
    return original[list(first.columns)]


def _narrowed(without: str, absent: list[Hashable]) -> str:
    """A call that reads sets without some of their columns."""
    if "from_frames" in without:
        return without.replace("frames)", f"[frame.drop(columns={absent!r}) for frame in frames])")
    return without.replace("(long", f"(long.drop(columns={absent!r})", 1)


def _differing(sets: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The first set with a missing value wherever sets differ."""
    first = sets[0].copy()
    for position in range(first.shape[1]):
        base = sets[0].iloc[:, position]
        differs = np.zeros(len(base), dtype=bool)
        for other in sets[1:]:
            cell = other.iloc[:, position]
            differs |= _unlike(cell, base)
        if differs.any():
            first.isetitem(position, base.mask(differs))
    return first


def _unlike(cell: pd.Series, base: pd.Series) -> npt.NDArray[np.bool_]:
    """Where two columns differ, shape (n,); two missing values are alike."""
    left, right = is_missing(cell), is_missing(base)
    both = np.flatnonzero(~left & ~right)
    differs = left != right
    values = zip(cell.iloc[both].tolist(), base.iloc[both].tolist(), strict=True)
    differs[both] = [one != other for one, other in values]
    return differs


def _contradicts(cell: pd.Series, base: pd.Series) -> npt.NDArray[np.bool_]:
    """The same, but a value that went through a file, as text of 15 digits or as a float32, is what it was."""
    differs = _unlike(cell, base)
    doubtful = np.flatnonzero(differs & ~is_missing(cell) & ~is_missing(base))
    if not len(doubtful):
        return differs
    single = any(re.match(r"(?i)float(16|32|\[)|halffloat", str(v.dtype)) for v in (cell, base))
    pairs = list(zip(cell.iloc[doubtful].tolist(), base.iloc[doubtful].tolist(), strict=True))
    try:
        told = {pair: _same(*pair, _SINGLE if single else _DIGITS) for pair in dict.fromkeys(pairs)}
    except TypeError:  # lists and the like have no other spelling
        return differs
    differs[doubtful] = [not told[pair] for pair in pairs]
    return differs


def _same(one: Any, other: Any, share: float) -> bool:
    """Whether two unequal objects are one value: numbers but for a share of them, or one of them as text."""
    try:
        if isinstance(one, str) or isinstance(other, str):
            text, value = (one, other) if isinstance(one, str) else (other, one)
            if isinstance(value, str):
                return False
            if isinstance(value, bool):
                return bool(text.strip().lower() == str(value).lower())
            if not isinstance(value, int | float | Decimal):
                return bool(pd.Timestamp(text) == pd.Timestamp(value))
        first, second = float(one), float(other)
    except (TypeError, ValueError):
        return False
    return bool(abs(first - second) <= share * max(abs(first), abs(second)))


def _imputed_of(part: pd.DataFrame, table: Table, number: int) -> dict[Hashable, Array]:
    """The values of one set that were missing."""
    imputed = {}
    for name, column in table.columns.items():
        if not len(column.missing):
            continue
        series = part[name].iloc[column.missing]
        still = is_missing(series)
        if still.all():
            continue
        if still.any():
            row = int(column.missing[int(np.flatnonzero(still)[0])])
            raise DataError(
                f"column {name!r} is still missing in set {number}, row {row}.", do=f"long[long[{name!r}].isna()]"
            )
        coding: Coding = column.coding
        if coding.kind is Kind.OTHER:
            raise DataError(
                f"column {name!r} {coding.problem}: its completed values cannot be taken.",
                do=f"long = long.drop(columns=[{name!r}])",
            )
        imputed[name] = encode(series, coding)
    return imputed

"""Sample: the rows of each completed set that an analysis is asked of."""

from __future__ import annotations

import keyword
import re
import tokenize
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..calls import Code
from ..errors import DataError, call, listed, near
from ..typing import Array, Rows
from .completed import Completed
from .kinds import is_missing

__all__ = ["Sample", "rows_where"]

Mask = npt.NDArray[np.bool_]
_FEW = 5  # values up to which an example asks for one of them


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Some rows of each of m completed sets; to a fit it is what ``Completed`` is for all rows."""

    completed: Completed
    rows: tuple[Rows, ...]  #: per set, positions in the frame, in its order (n_k,)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> pd.Index:
        """Row labels of the whole frame (n)."""
        return self.completed.index

    @property
    def alike(self) -> bool:
        """Whether every set has the same rows."""
        return all(np.array_equal(rows, self.rows[0]) for rows in self.rows)

    def labels(self, k: int) -> pd.Index:
        """Row labels of the k-th set (n_k)."""
        return self.completed.index[self.rows[k]]

    def take(self, k: int, given: Any) -> Any:
        """What was given for every row of the frame, for those of the k-th set."""
        return given.iloc[self.rows[k]] if isinstance(given, pd.Series | pd.DataFrame) else given[self.rows[k]]

    def values(self, k: int) -> dict[Hashable, Array]:
        """The k-th set as numbers and level codes, each of shape (n_k,)."""
        return {name: values[self.rows[k]] for name, values in self.completed.values(k).items()}

    def series(self, k: int, name: Hashable) -> pd.Series:
        """One column of the k-th set, rows numbered from 0."""
        return self.completed.series(k, name).iloc[self.rows[k]].reset_index(drop=True)


def rows_where(completed: Completed, query: Any, names: Mapping[str, Any]) -> tuple[Rows, ...]:
    """Find the rows of each completed set that a query chooses.

    Parameters
    ----------
    completed : Completed
    query : str or sequence of bool, length n
        As ``DataFrame.query`` reads it, ``@name`` from ``names``; or a mask, the same for every set.
    names : mapping
        Where ``@name`` is looked up.

    Returns
    -------
    tuple of ndarray, length m
        Positions of the rows.

    Raises
    ------
    DataError
        If the query cannot be evaluated, is not true or false in every row, or chooses no row of some set.
    """
    if isinstance(query, str):
        masks = [_query_mask(query, completed, k, names) for k in range(len(completed))]
    else:
        masks = [_mask(query, completed.index, names)] * len(completed)
    for k, mask in enumerate(masks):
        if not mask.any():
            raise DataError(f"no row of completed set {k} is in the subset {query!r:.60}.", do=f"imp[{k}].describe()")
    return tuple(np.flatnonzero(mask) for mask in masks)


def _query_mask(query: str, completed: Completed, k: int, names: Mapping[str, Any]) -> Mask:
    """The query on one completed set, shape (n,)."""
    frame = completed.frame(k).reset_index(drop=True)
    wanted = {name: names[name] for name in re.findall(r"@(\w+)", query) if name in names}
    try:
        found = frame.eval(query, engine="python", local_dict=wanted, global_dict={})
    except Exception as error:
        unfinished = isinstance(error, SyntaxError | tokenize.TokenError)
        why = "it is not a whole condition" if unfinished else str(error).split(" (<unknown>")[0]
        raise DataError(
            f"the subset {query!r} cannot be evaluated: {why}.",
            columns=listed(frame.columns, 8),
            do=call("imp.fit", subset=_meant(query, frame, wanted)),
        ) from None
    return _truth(
        found, f"the subset {query!r}", len(frame), lambda: call("imp.fit", subset=_meant(query, frame, wanted))
    )


def _meant(query: str, frame: pd.DataFrame, wanted: Mapping[str, Any]) -> str:
    """The condition that was probably meant, else an example of one; it holds in some row."""
    text = re.sub(r"(?<![<>=!])=(?!=)", "==", query)
    text += ")" * (text.count("(") - text.count(")"))
    for word in re.findall(r"(?<![@\w.'\"])[^\W\d]\w*", text):
        known = word in frame.columns or keyword.iskeyword(word)
        other = None if known else near(word, frame.columns)
        if isinstance(other, str) and f"{word}(" not in text:
            text = re.sub(rf"(?<![@\w.'\"]){re.escape(word)}(?!\w)", _quoted(other), text)
    if text != query and _holds(text, frame, wanted):
        return text
    named = [name for name in frame.columns if isinstance(name, str) and name in text and "`" not in name]
    for name in [*named, *(n for n in frame.columns if isinstance(n, str) and "`" not in n)]:
        column = frame[name]
        number = pd.api.types.is_numeric_dtype(column) and column.nunique() > _FEW
        example = f"{_quoted(name)} > {column.median():.3g}" if number else f"{_quoted(name)} == {column.iloc[0]!r}"
        if _holds(example, frame, wanted):
            return example
    return "index >= 0"


def _quoted(name: str) -> str:
    """A column as a query names it."""
    return name if name.isidentifier() else f"`{name}`"


def _holds(query: str, frame: pd.DataFrame, wanted: Mapping[str, Any]) -> bool:
    """Whether a query is true or false in every row, and true in some."""
    try:
        found = frame.eval(query, engine="python", local_dict=wanted, global_dict={})
        return bool(_truth(found, "", len(frame), "").any())
    except Exception:  # whatever pandas finds wrong with a text
        return False


def _mask(given: Any, index: pd.Index, names: Mapping[str, Any]) -> Mask:
    """A mask given for the frame's rows; a Series must have the frame's own labels."""
    if isinstance(given, pd.Series) and not given.index.equals(index):
        own = next((name for name, one in names.items() if one is given and name.isidentifier()), "mask")
        raise DataError(
            "subset= is a Series with other row labels than the frame.",
            do=call("imp.fit", subset=Code(f"{own}.to_numpy()")),
        )
    return _truth(given, "subset=", len(index), "imp.fit(subset='age > 50')   # or True and False for every row")


def _truth(given: Any, who: str, n_rows: int, do: str | Callable[[], str]) -> Mask:
    """True and false of n rows; anything else is refused."""
    if np.ndim(given) != 1 or len(given) != n_rows:
        shape = f"{len(given)} values" if np.ndim(given) == 1 else f"a {type(given).__name__}"
        raise DataError(
            f"{who} gives {shape}; one truth value for each of {n_rows} rows is needed.",
            do=do if isinstance(do, str) else do(),
        )
    column = pd.Series(given).reset_index(drop=True)
    if is_missing(column).any():
        where = int(np.flatnonzero(is_missing(column))[0])
        raise DataError(
            f"{who} is neither true nor false in row {where}: a value it needs is missing.",
            do=do if isinstance(do, str) else do(),
        )
    if not column.isin([True, False]).all() or isinstance(column.iloc[0], str):
        raise DataError(
            f"{who} gives {_shown(column.iloc[0])}, not True or False, in row 0.",
            do=do if isinstance(do, str) else do(),
        )
    return np.asarray(column.astype(object), dtype=bool)


def _shown(value: Any) -> str:
    """A value as Python writes it."""
    return repr(value.item() if isinstance(value, np.generic) else value)

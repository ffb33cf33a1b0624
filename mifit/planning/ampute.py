"""Make values of a frame missing by a known mechanism, row by row, as Schouten, Lugtig and Vink (2018) do."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..calls import Code
from ..errors import DataError, MifitError, PlanError, call, listed, nearest
from ..frame.completed import copied
from ..frame.kinds import Kind, is_missing
from ..frame.table import Column, Table, read
from ..imputation.plan.check_arguments import seed_of
from ..record.request import request_in
from ..typing import Array

__all__ = ["TYPES", "ampute", "chances", "emptied"]

_CALL = "mifit.ampute"
_MECHANISMS = ("MCAR", "MAR", "MNAR")
#: shape -> what of the standardised score raises the probability
TYPES = ("right", "left", "mid", "tail")
_CENTRE = 0.75  # standard deviations: beyond it a score is in the tail
_SEED_KEY = 17  # its streams are not those of an imputation with the same seed


def ampute(
    frame: pd.DataFrame,
    share: float = 0.5,
    mechanism: str = "MAR",
    patterns: Sequence[Any] | None = None,
    weights: Any = None,
    type: str | Sequence[str] = "right",
    *,
    frequencies: Sequence[float] | None = None,
    odds: Any = None,
    by: str = "rows",
    rng: Any = None,
) -> pd.DataFrame:
    r"""Delete values by a mechanism that you choose, to try out what imputation does about it.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Any dtypes; values that are missing already stay missing.
    share : float, default 0.5
        Expected share of rows in which a pattern is deleted, in (0, 1); of cells with ``by="cells"``.
    mechanism : {"MAR", "MCAR", "MNAR"}
        Whether a row is deleted depends on the columns that its pattern keeps, on nothing, or on those it deletes.
    patterns : sequence, optional
        Columns that go missing together: ``["bmi", ["bmi", "chl"]]``. By default each column alone.
    weights : mapping or sequence of mappings, optional
        Column -> its weight in the score of a row, for all patterns or one mapping for each:
        ``{"age": 2, "bmi": -1}``; of a category, level -> weight: ``{"region": {"north": 1}}``. Numbers are
        standardised first. By default 1 for each number, scale and column of two values that the mechanism allows.
    type : {"right", "left", "mid", "tail"} or sequence of them
        Which scores are deleted more often: high, low, middling or extreme ones; one for all patterns or one for each.
    frequencies : sequence of float, optional
        How often each pattern is tried, relative to the others; by default equally often.
    odds : sequence of float, or sequence of such sequences, optional
        Instead of ``type``: rows are grouped by quantiles of the score, ``[1, 2, 3]`` into three groups, which are
        deleted in these proportions.
    by : {"rows", "cells"}
        What ``share`` counts.
    rng : int, SeedSequence or Generator, optional
        Source of randomness; the same one gives the same frame.

    Returns
    -------
    DataFrame, shape (n, p)
        A copy. Index, columns, dtypes and all remaining values are as they were, but for dtypes that hold no missing
        value: whole numbers become pandas' nullable ones (int64 -> Int64) and truth values boolean, and only in columns
        where something was deleted.

    Raises
    ------
    DataError
        If a column is not there, or its dtype holds no missing value.
    PlanError
        If an option is unknown, a share cannot be reached, or a pattern has nothing that its score could consist of.

    Notes
    -----
    1. Every row is tried with one pattern, drawn by ``frequencies``.
    2. Its score is the weighted sum of its standardised values; a value that is missing already counts as the mean.
    3. Among the rows of a pattern the score is standardised to z. The pattern is deleted with probability
       :math:`1/(1 + e^{-(s(z) + b)})`, with s(z) = z (right), -z (left), 0.75 - \|z\| (mid), \|z\| - 0.75 (tail), and b
       such that the mean probability is ``share``.

    References
    ----------
    Schouten, R. M., Lugtig, P. and Vink, G. (2018). Generating missing values for simulation purposes: a multivariate
    amputation procedure. *Journal of Statistical Computation and Simulation* 88(15), 2909-2930.
    doi:10.1080/00949655.2018.1491577

    Examples
    --------
    >>> import mifit
    >>> df = pd.DataFrame({"x": np.arange(200.0), "w": np.arange(200) % 7})
    >>> made = mifit.ampute(df, share=0.3, patterns=["w"], rng=1)
    >>> made.isna().sum().tolist(), str(made["w"].dtype)
    ([0, 55], 'Int64')
    """
    words = {
        "share": share, "mechanism": mechanism, "patterns": patterns, "weights": weights, "type": type,
        "frequencies": frequencies, "odds": odds, "by": by, "rng": rng,
    }  # fmt: skip
    usual = {"share": 0.5, "mechanism": "MAR", "type": "right", "by": "rows"}
    try:
        return _amputed(frame, **words)
    except MifitError as error:
        given = {
            w: v for w, v in words.items() if v is not None and not (isinstance(v, str | float) and v == usual.get(w))
        }
        error.complete(request_in(_CALL, Code("df"), given))
        raise


def _amputed(
    frame: pd.DataFrame, share: Any, mechanism: Any, patterns: Any, weights: Any, type: Any, frequencies: Any,
    odds: Any, by: Any, rng: Any,
) -> pd.DataFrame:  # fmt: skip
    """The frame with some cells missing; arguments as in :func:`ampute`, unchecked."""
    table = read(frame)
    _refuse_words(share, mechanism, by)
    together = _patterns(patterns, table)
    often = _frequencies(frequencies, len(together))
    wanted = _of_rows(share, by, together, often, table)
    scores = [
        None if mechanism == "MCAR" else _score(table, one, _of_pattern(weights, k, len(together)), mechanism)
        for k, one in enumerate(together)
    ]
    shapes = _shapes(type, odds, len(together))
    generator = seed_of(rng).stream(_SEED_KEY)
    tried = generator.choice(len(together), size=table.n_rows, p=often)
    below = generator.random(table.n_rows)
    gone: dict[Hashable, npt.NDArray[np.bool_]] = {}
    for k, columns in enumerate(together):
        rows, score = np.flatnonzero(tried == k), scores[k]
        chance = np.full(len(rows), wanted) if score is None else chances(score[rows], wanted, shapes[k])
        for name in columns:
            gone.setdefault(name, np.zeros(table.n_rows, dtype=bool))[rows[below[rows] < chance]] = True
    return emptied(frame, gone)


def chances(score: Array, share: float, shape: Any) -> Array:
    """Return the probability that each row is deleted, with a mean of ``share``.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Weighted sums; standardised here.
    share : float
        In (0, 1).
    shape : str or sequence of float
        One of ``TYPES``, or the proportions of groups of equal size, from the lowest scores to the highest.

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    PlanError
        If a group would have to be deleted with a probability above 1.

    Examples
    --------
    >>> chances(np.array([0.0, 1.0, 2.0, 3.0]), 0.25, [1, 3]).tolist()
    [0.125, 0.125, 0.375, 0.375]
    """
    spread = float(np.std(score)) if len(score) else 0.0
    if not isinstance(shape, str):
        return _by_group(score, share, np.asarray(shape, dtype=np.float64))
    if not spread > 0:
        return np.full(len(score), share)
    z = (score - score.mean()) / spread
    raised = {"right": z, "left": -z, "mid": _CENTRE - np.abs(z), "tail": np.abs(z) - _CENTRE}[shape]
    low, high = -np.log(1 / share - 1) - raised.max(), -np.log(1 / share - 1) - raised.min()
    for _ in range(200):  # the mean rises with the shift, and lies on either side of the share at the two ends
        middle = (low + high) / 2
        if _logistic(raised + middle).mean() < share:
            low = middle
        else:
            high = middle
    return _logistic(raised + (low + high) / 2)


def _logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0.0, -x))


def _by_group(score: Array, share: float, odds: Array) -> Array:
    """Probabilities in proportion to the odds of each group of equal size; rows of equal scores stay together."""
    if not len(score):
        return np.empty(0)
    cuts = np.quantile(score, np.arange(1, len(odds)) / len(odds))
    group = np.searchsorted(cuts, score, side="left")
    found = odds[group]
    found = found * share / found.mean() if found.any() else found
    if found.max() > 1:
        raise PlanError(
            f"odds={odds.tolist()} and share={share:g} give a group the probability {found.max():.2f}.",
            do=_again(share=round(0.8 * share / float(found.max()), 3), odds=odds.tolist()),
        )
    return found


def emptied(frame: pd.DataFrame, gone: Mapping[Hashable, npt.NDArray[np.bool_]]) -> pd.DataFrame:
    """Return a copy of a frame in which some cells are missing, and all else is as it was.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
    gone : mapping
        Column -> which of its cells, shape (n,).

    Returns
    -------
    DataFrame, shape (n, p)

    Raises
    ------
    DataError
        If a dtype holds no missing value and has no nullable twin.
    """
    made, names = copied(frame), read(frame).columns
    for place, name in enumerate(names):
        if name not in gone:
            continue
        series = frame.iloc[:, place]
        marked = gone[name] & ~is_missing(series)
        if not marked.any():
            continue
        wide = _nullable(series)
        found = wide.mask(marked)
        if found.dtype != wide.dtype:
            dense = ".sparse.to_dense()" if isinstance(series.dtype, pd.SparseDtype) else ".astype(object)"
            raise DataError(
                f"{name!r} has the dtype {series.dtype}, which holds no missing value.",
                do=f"df[{name!r}] = df[{name!r}]{dense}",
            )
        made.isetitem(place, found)
    return made


def _nullable(series: pd.Series) -> pd.Series:
    """A column whose dtype can hold a missing value: numpy's whole numbers and truth values become pandas' own."""
    dtype = series.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in "iub":
        return series
    name = {"i": "Int", "u": "UInt"}.get(dtype.kind, "boolean")
    return series.astype(name if dtype.kind == "b" else f"{name}{8 * dtype.itemsize}")


def _refuse_words(share: Any, mechanism: Any, by: Any) -> None:
    """Refuse a share that is none, and unknown words."""
    if not isinstance(share, int | float | np.number) or not 0 < share < 1:
        raise PlanError(f"share is {share!r}; a number between 0 and 1 is needed.", do=_again(share=0.3))
    if mechanism not in _MECHANISMS:
        word = str(mechanism).upper()
        meant = word if word in _MECHANISMS else "MAR"
        raise PlanError(
            f"mechanism is {mechanism!r}; it is one of {', '.join(_MECHANISMS)}.", do=_again(mechanism=meant)
        )
    if by not in ("rows", "cells"):
        raise PlanError(f"by is {by!r}; it is 'rows' or 'cells'.", do=_again(by="rows"))


def _again(**words: Any) -> Any:
    """The call with other words."""
    return call(_CALL, Code("df"), **words)


def _patterns(given: Any, table: Table) -> list[tuple[Hashable, ...]]:
    """The columns that each pattern deletes."""
    if given is None:
        found: list[tuple[Hashable, ...]] = [
            (name,) for name, column in table.columns.items() if column.kind is not Kind.OTHER
        ]
        if not found:
            raise PlanError("no column is a number or a category.", do=_again(patterns=[next(iter(table.columns))]))
        return found
    if isinstance(given, pd.DataFrame):  # as pattern() has it: True where observed
        rows = [tuple(name for name, kept in zip(given.columns, row, strict=True) if not kept) for row in
                given.to_numpy(dtype=bool)]  # fmt: skip
    elif isinstance(given, str) or not isinstance(given, Sequence):
        rows = [(given,)]
    else:
        rows = [tuple(one) if isinstance(one, list | tuple | set) and one not in table.columns else (one,)
                for one in map(_hashed, given)]  # fmt: skip
    for name in (name for one in rows for name in one):
        table.require(name, "patterns=")
    if not rows or not all(rows):
        raise PlanError("a pattern deletes nothing.", do=_again(patterns=list(table.columns)[:2]))
    return rows


def _hashed(one: Any) -> Any:
    """A list as a tuple, which may be looked up among names."""
    return tuple(one) if isinstance(one, list | set) else one


def _frequencies(given: Any, many: int) -> Array:
    """How often each pattern is tried; sums to 1."""
    found = np.ones(many) if given is None else np.asarray(given, dtype=np.float64)
    if found.shape != (many,) or not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
        raise PlanError(
            f"frequencies= needs {many} numbers from 0, one for each pattern, not {given!r}.",
            do=_again(frequencies=[1] * many),
        )
    return found / found.sum()


def _of_rows(share: float, by: str, together: Sequence[Any], often: Array, table: Table) -> float:
    """The share of rows that are deleted."""
    if by == "rows":
        return float(share)
    most = float(often @ [len(one) for one in together]) / len(table.columns)
    if share >= most:
        raise PlanError(
            f"{100 * share:.3g} % of all cells cannot be deleted: were every row deleted, {100 * most:.3g} % would be.",
            do=_again(share=round(most / 2, 3), by="cells"),
        )
    return float(share) / most


def _of_pattern(weights: Any, k: int, many: int) -> tuple[Mapping[Hashable, Any] | None, bool]:
    """The weights of one pattern, and whether they were given for it alone."""
    if weights is None or isinstance(weights, Mapping):
        return weights, False
    if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != many or not all(
        isinstance(one, Mapping) for one in weights
    ):  # fmt: skip
        raise PlanError(
            f"weights= maps columns to numbers, once or for each of the {many} patterns.",
            do=_again(weights=None, mechanism="MAR"),
        )
    return weights[k], True


def _score(
    table: Table, gone: tuple[Hashable, ...], weights: tuple[Mapping[Hashable, Any] | None, bool], mechanism: str
) -> Array:
    """The weighted sum of each row, shape (n,)."""
    given, alone = weights
    if given is None:
        usual = [n for n, c in table.columns.items() if c.kind not in (Kind.OTHER, Kind.NOMINAL)]
        given = {name: 1.0 for name in usual if (name in gone) == (mechanism == "MNAR")}
    own = [name for name in given if name in gone]
    if mechanism == "MAR" and own and alone:
        raise PlanError(
            f"whether {own[0]!r} is missing would depend on {own[0]!r} itself, which is not at random.",
            do=_again(mechanism="MNAR"),
        )
    total, any_ = np.zeros(table.n_rows), False
    for name, weight in given.items():
        table.require(name, "weights=")
        if mechanism == "MAR" and name in own:
            continue
        total, any_ = total + _weighed(table[name], weight), True
    if not any_:
        rest = "deletes" if mechanism == "MNAR" else "keeps"
        raise PlanError(
            f"the pattern of {listed(map(repr, gone))} {rest} no number that its score could consist of.",
            do=_again(mechanism="MCAR"),
        )
    return total


def _weighed(column: Column, weight: Any) -> Array:
    """What a column adds to the score, shape (n,): 0 where it is missing."""
    if isinstance(weight, Mapping):
        if not column.kind.discrete:
            raise PlanError(f"{column.name!r} has no levels to weigh.", do=_again(weights={column.name: 1}))
        for level in weight:
            if level not in column.coding.levels:
                raise PlanError(
                    f"weights= names the level {level!r}, which {column.name!r} does not have"
                    f"{nearest(level, column.coding.levels)}.",
                    do=_again(weights={column.name: {column.coding.levels[-1]: 1}}),
                )
        by_level = np.array([float(weight.get(level, 0.0)) for level in column.coding.levels])
        found = np.zeros(len(column.values))
        found[column.observed] = by_level[column.values[column.observed].astype(np.int64)]
        return found
    if column.kind is Kind.OTHER or column.kind is Kind.NOMINAL:
        what = column.coding.problem or "is a category without an order"
        some = dict.fromkeys(column.coding.levels[-1:], 1)
        raise PlanError(
            f"{column.name!r} {what}: it has no weighted sum.",
            do=_again(weights={column.name: some}) if some else _again(mechanism="MCAR"),
        )
    values = column.numbers(column.values) if column.number and not len(column.missing) else column.values
    seen = values[column.observed]
    spread = float(seen.std()) if len(seen) else 0.0
    found = np.zeros(len(values))
    if spread > 0:
        found[column.observed] = float(weight) * (seen - seen.mean()) / spread
    return found


def _shapes(type_: Any, odds: Any, many: int) -> list[Any]:
    """The shape of each pattern: a word, or the odds of its groups."""
    found: list[Any]
    if odds is None:
        found = [type_] * many if isinstance(type_, str) else list(type_)
        for one in found:
            if str(one).lower() not in TYPES:
                raise PlanError(f"type is {one!r}; it is one of {', '.join(TYPES)}.", do=_again(type="right"))
        _refuse_number("type", len(found), many, _again(type="right"))
        return [str(one).lower() for one in found]
    found = [odds] * many if np.ndim(odds[0]) == 0 else list(odds)
    for one in found:
        if len(one) < 2 or min(one) < 0 or not max(one) > 0:
            raise PlanError(
                f"odds are {list(one)!r}; at least two numbers from 0 are needed, not all 0.", do=_again(odds=[1, 2, 3])
            )
    _refuse_number("odds", len(found), many, _again(odds=[1, 2, 3]))
    return found


def _refuse_number(word: str, given: int, many: int, do: Any) -> None:
    """Refuse settings of which there are not as many as patterns."""
    if given != many:
        raise PlanError(f"{word}= has {given} entries for {many} patterns.", do=do)

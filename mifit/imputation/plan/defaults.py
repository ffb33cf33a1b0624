"""The statistical choices of a plan: distribution of each column, predictors if there are too many, sweeps."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from ...frame.kinds import Kind
from ...frame.table import Column, Table
from ...typing import Array
from ..contract import Visit
from ..numerics.linear import solve
from ..numerics.truncated import truncated_fit

__all__ = [
    "MOST_LEVELS",
    "allowed_parameters",
    "constant_within",
    "design",
    "is_identifier",
    "is_monotone",
    "main_effects",
    "nearly_determines",
    "normal_or_power",
    "rare_together",
    "thin_levels",
]

MOST_LEVELS = 100  #: a multinomial model of more has a million second derivatives
_THIN_ROWS = 5  # rows for each level, below which a model of more than _SOME_LEVELS levels is worth an event
_SOME_LEVELS = 20
_SKEWED = 0.25  # with skewness 0.4 and 40 % missing, a normal model biases the coefficient by 2 % (benchmarks/…)
_NEGATIVE_SHARE = 0.01  # maximum acceptable share of negative draws from a normal model of a positive column
_COPY = 0.98  # squared correlation above which a column nearly determines the outcome
_GLANCE, _NEAR_COPY = 200, 0.9  # rows of a first look at ranks, and what it asks for


def main_effects(table: Table, name: Hashable, rows: npt.NDArray[np.int64]) -> Array:
    """A column as numbers or indicators of its levels but the first, shape (len(rows), k); NaN where missing."""
    column = table[name]
    values = column.values[rows]
    if not column.kind.discrete:
        return values[:, None]
    codes = np.where(np.isnan(values), 0.0, values)
    if column.number:
        found = column.numbers(codes)[:, None]
    else:
        found = (codes[:, None] == np.arange(1, column.n_levels)).astype(np.float64)
    found[np.isnan(values)] = np.nan
    return found


def design(
    table: Table, predictors: Sequence[Hashable], rows: npt.NDArray[np.int64], most: int = 0
) -> tuple[npt.NDArray[np.int64], Array]:
    """Rows where some predictors were observed, and their main effects there, standardised after a column of ones.

    Without predictors where too few rows have them, or fewer than five for each column. More than ``most`` rows are
    thinned.
    """
    complete = np.intersect1d(rows, table.complete_rows(predictors)) if predictors else rows
    effects = [main_effects(table, p, complete) for p in predictors]
    if 1 + sum(found.shape[1] for found in effects) > len(complete) // 5:
        complete, effects = rows, []
    step = max(1, len(complete) // most) if most else 1
    X = np.column_stack([np.ones(len(complete)), *effects])[::step]
    sd = X[:, 1:].std(axis=0)
    X[:, 1:] = (X[:, 1:] - X[:, 1:].mean(axis=0)) / np.where(sd > 0, sd, 1.0)
    return complete[::step], X


def normal_or_power(
    table: Table, name: Hashable, predictors: Sequence[Hashable], needs_positive: bool,
    limits: tuple[Array, Array] | None = None,
) -> tuple[str, str]:  # fmt: skip
    """Choose the model of a numeric covariate.

    Parameters
    ----------
    table : Table
    name : hashable
        A numeric column.
    predictors : sequence of hashable
        Columns of its own model.
    needs_positive : bool
        Whether the formula is undefined where it is not positive.
    limits : tuple of ndarray, each (n_rows,), optional
        Where no value can be seen below and above. A normal that is cut off is skewed, and yet a normal: then not
        the residuals are examined, but what they would be of, had nothing been cut off (the normal quantiles of the
        truncated regression's probabilities).

    Returns
    -------
    method : str
        "power" when the formula needs it positive, when residuals on complete rows have a skewness beyond
        max(0.25, 2 sqrt(6/n)), or when it is positive and the normal would put more than 1 % of its draws below 0;
        else "norm".
    why : str
    """
    values = table[name].values[table[name].observed]
    positive = bool((values > 0).all())
    if needs_positive and positive:
        return "power", "the formula needs it positive"
    rows = table.complete_rows([name, *predictors])
    if len(rows) < 8:
        rows, predictors = table[name].observed, ()
    y = table[name].values[rows]
    X = np.column_stack([np.ones(len(rows)), *(main_effects(table, p, rows) for p in predictors)])
    if X.shape[1] > len(rows) // 3:
        X = X[:, :1]
    X[:, 1:] -= X[:, 1:].mean(axis=0)
    fitted = _fitted(X, y)
    residual = y - fitted
    sd = float(np.sqrt(np.mean(residual**2)))
    if sd <= 1e-13 * np.abs(y).max(initial=0.0) or len(y) < 3:
        return "norm", "constant residuals"
    below, cut = ndtr(-fitted / sd), None if limits is None else _uncut(X, y, limits[0][rows], limits[1][rows])
    if cut is not None:
        residual, below = cut
        sd = float(np.sqrt(np.mean(residual**2)))
    skewness = float(np.mean((residual / sd) ** 3))
    if abs(skewness) > max(_SKEWED, 2.0 * np.sqrt(6.0 / len(y))):
        return "power", f"skewness of residuals {skewness:.2f}"
    if positive and float(np.mean(below)) > _NEGATIVE_SHARE:
        return "power", "positive, and a normal would go below 0"
    return "norm", f"residuals near symmetric (skewness {skewness:.2f})"


def _uncut(X: Array, y: Array, low: Array, high: Array) -> tuple[Array, Array] | None:
    """Normal quantiles of a truncated regression's probabilities, and the probabilities of less than 0, each (n,).

    If the regression is true the quantiles are those of a normal that nothing has been cut off. None where there is
    nothing to cut or to fit.
    """
    if not (np.isfinite(low).any() or np.isfinite(high).any()):
        return None
    X = X * (np.sqrt(len(X)) / _size(X))
    visit = Visit(y, X, np.arange(X.shape[1]), Kind.NUMERIC)
    cross = visit.cross()
    centre, unit = cross.centre, cross.scale
    z, least, most = ((end - centre) / unit for end in (y, low, high))
    known = truncated_fit(X, z, least, most, solve(cross, visit.terms))
    if known is None:
        return None
    mean, sd = centre + unit * (X @ known[0]), unit * known[1]
    turned = np.where(low > mean, -1.0, 1.0)  # the lower tail of a normal keeps its digits
    ends = turned * (low - mean) / sd, turned * (high - mean) / sd
    least, most = ndtr(np.minimum(*ends)), ndtr(np.maximum(*ends))
    share = (ndtr(turned * (y - mean) / sd) - least) / (most - least)
    tiny = 1.0 / (2.0 * len(y))  # values at a bound, rounded to it, are no farther out than the last of so many
    nought = (ndtr(turned * -mean / sd) - least) / (most - least)
    nought = np.clip(np.where(turned > 0, nought, 1.0 - nought), 0.0, 1.0)
    return turned * ndtri(np.clip(share, tiny, 1.0 - tiny)), nought


def _size(X: Array) -> Array:
    """Column lengths, 1 for an empty column."""
    size = np.sqrt((X * X).sum(axis=0))
    return np.where(size > 0, size, 1.0)


def _fitted(X: Array, y: Array) -> Array:
    """Least-squares predictions, columns of any scale."""
    Z = X / _size(X)
    return np.asarray(Z @ np.linalg.lstsq(Z, y, rcond=1e-10)[0])


def allowed_parameters(table: Table, name: Hashable, n_fit: int) -> int:
    """How many parameters a conditional may have: a third of the rows, a fifth of the events."""
    column = table[name]
    if not column.kind.discrete:
        return n_fit // 3
    counts = np.bincount(column.values[column.observed].astype(np.int64), minlength=1)
    total = max(int(counts.sum()), 1)
    return (total - int(counts.max())) * n_fit // total // 5


def nearly_determines(table: Table, name: Hashable, outcome: Array) -> bool:
    """Whether a column (nearly) is the outcome: squared correlation above .98, by values or by ranks."""
    column = table[name]
    good = np.flatnonzero(~np.isnan(outcome) & ~np.isnan(column.values))
    if len(good) < 5:
        return False
    y, x = outcome[good], column.values[good]
    levelled = column.kind.discrete and not column.number
    if (column.n_levels - 1 if levelled else 1) + 2 > len(good) // 3 or np.ptp(y) == 0:
        return False
    if levelled:
        return _share_of_levels(x, y) > _COPY
    x = column.numbers(x)
    if _squared_correlation(x, y) > _COPY:
        return True
    some = slice(None, None, max(1, len(good) // _GLANCE))
    return (
        _squared_correlation(_ranks(x[some]), _ranks(y[some])) > _NEAR_COPY
        and _squared_correlation(_ranks(x), _ranks(y)) > _COPY
    )


def _squared_correlation(x: Array, y: Array) -> float:
    """Squared correlation; 0 of what does not vary."""
    x, y = x - x.mean(), y - y.mean()
    x, y = x / (np.abs(x).max() or 1.0), y / (np.abs(y).max() or 1.0)
    size = float(x @ x) * float(y @ y)
    return float(x @ y) ** 2 / size if size > 0 else 0.0


def _share_of_levels(codes: Array, y: Array) -> float:
    """Share of variance between levels."""
    centred = y - y.mean()
    centred /= np.abs(centred).max()
    codes = codes.astype(np.int64)
    sums, counts = np.bincount(codes, weights=centred), np.bincount(codes)
    return float(np.sum(sums**2 / np.maximum(counts, 1)) / (centred @ centred))


def _ranks(values: Array) -> Array:
    """Mid-ranks, centred."""
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - 0.5 * counts
    found = middle[position]
    return np.asarray(found - found.mean())


def thin_levels(column: Column, in_analysis: bool) -> str:
    """What is said of a nominal column with few rows for each of its many levels; empty elsewhere.

    An analysis that has the column keeps its levels apart, unless the frame itself has fewer.
    """
    many, rows = column.n_levels, len(column.observed)
    if many <= _SOME_LEVELS or rows >= _THIN_ROWS * many:
        return ""
    cure = f"min_count={_THIN_ROWS}"
    if in_analysis:
        cure = rare_together(column.name, _THIN_ROWS)
    return (
        f"{column.name!r} has {many} levels in {rows} rows: a model of all of them is slow and estimates each poorly; "
        f"rare ones together: {cure}"
    )


def rare_together(name: Hashable, least: int) -> str:
    """The lines that give the rare levels of a column one name.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"g": pd.Categorical(["a", "a", "b", None])})
    >>> exec(rare_together("g", 2))
    >>> df["g"].tolist()
    ['a', 'a', 'other', nan]
    """
    counted = f"n = df.groupby({name!r}, observed=True)[{name!r}].transform('size').fillna({least})"
    return f"{counted}; df[{name!r}] = df[{name!r}].astype(object).mask(n < {least}, 'other')"


def is_identifier(table: Table, name: Hashable) -> bool:
    """Whether a complete column only names its rows: unique text, or the whole numbers of a running index."""
    column = table[name]
    n = table.n_rows - len(column.missing)
    if n <= 10:
        return False
    if column.kind is Kind.NOMINAL:
        return column.n_levels > 10 and column.n_levels > n / 2
    # A running index that starts at 0 is read as a count.
    if column.kind not in (Kind.NUMERIC, Kind.COUNT) or not column.coding.whole or len(column.missing):
        return False
    values = column.values
    return bool(values.max() - values.min() == n - 1 and len(np.unique(values)) == n)


def constant_within(table: Table, name: Hashable, unit: Hashable) -> bool:
    """Whether a column has one observed value in every unit, and some unit has several rows."""
    codes = table[unit].values
    values = table[name].values
    seen = np.flatnonzero(~np.isnan(values))
    order = seen[np.argsort(codes[seen], kind="stable")]
    same = codes[order][1:] == codes[order][:-1]
    repeated = len(np.unique(codes)) < len(codes)
    return bool(repeated and np.all(values[order][1:][same] == values[order][:-1][same]))


def is_monotone(table: Table, order: Sequence[Hashable]) -> bool:
    """Whether each column's missing values lie within those of every later column."""
    return all(
        np.isin(table[left].missing, table[right].missing).all() for left, right in zip(order, order[1:], strict=False)
    )

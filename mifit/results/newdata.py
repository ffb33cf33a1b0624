"""The design of an analysis on new rows, and the link between its linear predictor and the mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from ..analysis.models import MODELS, Call
from ..errors import DataError, FormulaError, ModelError, nearest
from ..formula.design import Design
from ..frame.kinds import Coding, Kind, encode, is_missing
from ..typing import Array

__all__ = ["Link", "as_frame", "column_of", "in_numbers", "link_of", "matrix_of", "numeric_design", "offset_of"]


@dataclass(frozen=True, slots=True)
class Link:
    """From the linear predictor to the mean."""

    mean: Callable[[Array], Array]
    slope: Callable[[Array], Array]  #: derivative of ``mean``
    what: str = "mean"  #: what the link gives: a Cox model has hazards relative to that of mean covariates
    linear: bool = False  #: whether the mean is the linear predictor, with one residual variance


def link_of(call: Call) -> Link:
    """Return the link of a model.

    Parameters
    ----------
    call : Call

    Returns
    -------
    Link

    Raises
    ------
    ModelError
        If the model has no single mean per row (several levels, thresholds).

    Examples
    --------
    >>> float(link_of(Call("logit")).mean(np.array(0.0)))
    0.5
    """
    family = call.init.get("family")
    one_variance = call.spec.equation in ("least squares", "family")
    if call.spec.facts.by_family and family is not None:
        gaussian = type(family).__name__ == "Gaussian" and type(family.link).__name__ == "Identity"
        return Link(family.link.inverse, family.link.inverse_deriv, linear=gaussian and one_variance)
    if call.spec.facts.share and call.init.get("link") is not None:
        return Link(call.init["link"].inverse, call.init["link"].inverse_deriv)
    if not call.spec.mean:
        raise ModelError(
            f"{call.spec.label} has no single mean per row to predict.",
            known=", ".join(sorted(name for name, entry in MODELS.items() if entry.mean)),
            do="res.results[0].predict(newdata)   # one set alone",
        )
    found = _LINKS[call.spec.mean]
    return replace(found, linear=True) if found.mean is np.asarray and one_variance else found


def _normal_density(x: Array) -> Array:
    """Return the slope of the normal distribution function."""
    return np.asarray(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


def _logistic_density(x: Array) -> Array:
    """Return the slope of the logistic distribution function."""
    return np.asarray(expit(x) * expit(-x))


_ONE = np.ones_like
_LINKS: Mapping[str, Link] = {
    "identity": Link(np.asarray, _ONE),
    "log": Link(np.exp, np.exp),
    "log hazard": Link(np.exp, np.exp, "relative_hazard"),
    "log odds": Link(expit, _logistic_density),
    "normal quantile": Link(ndtr, _normal_density),
}


def matrix_of(design: Design, frame: pd.DataFrame) -> Array:
    """Evaluate a frozen design on new rows.

    Parameters
    ----------
    design : Design
        Levels, knots and centres as the fit learnt them.
    frame : DataFrame, shape (n, ...)
        Has the columns of the right side; others are ignored.

    Returns
    -------
    ndarray, shape (n, p)
        NaN in rows where a column is missing.

    Raises
    ------
    DataError
        If a column is absent, is not numeric, or has a level the fit never saw.
    FormulaError
        If a value lies outside a spline's knots or another factor's domain.
    """
    values = {name: _values(design, frame, name) for name in design.variables}
    known = np.all([~np.isnan(x) for x in values.values()], axis=0) if values else np.ones(len(frame), bool)
    seen = {name: x[known] for name, x in values.items()}
    found = numeric_design(design).evaluate(range(len(design.columns)), seen, int(known.sum()))
    if not np.isfinite(found).all():
        raise _outside(design, found, seen, frame.index[known])
    matrix = np.full((len(frame), len(design.columns)), np.nan)
    matrix[known] = found
    return matrix


def numeric_design(design: Design) -> Design:
    """Return the design reading ratings and two-valued numbers as numbers, so that values between levels count too.

    Parameters
    ----------
    design : Design

    Returns
    -------
    Design
        Its data are what :func:`in_numbers` returns.
    """
    blocks = []
    for block in design.blocks:
        codings = {v: _numeric(c) for v, c in block.codings.items()}
        changed = any(codings[v] is not block.codings[v] for v in codings)
        blocks.append(dataclasses.replace(block, codings=codings, lookup=None) if changed else block)
    return dataclasses.replace(design, blocks=tuple(blocks))


def in_numbers(design: Design, values: Mapping[Hashable, Array]) -> dict[Hashable, Array]:
    """Return the variables of the right side, codes of ratings as their numbers; each of shape (n,)."""
    columns = {name: design.table[name] for name in design.variables}
    return {name: c.numbers(values[name]) if c.number else values[name] for name, c in columns.items()}


def as_frame(newdata: Any) -> pd.DataFrame:
    """Return new rows as a DataFrame: a mapping may hold scalars, a Series is one row.

    Raises
    ------
    DataError
        If they cannot be one.
    """
    if isinstance(newdata, pd.DataFrame):
        return newdata
    if isinstance(newdata, pd.Series):
        return newdata.to_frame().T.infer_objects()
    if isinstance(newdata, Mapping):
        scalar = all(np.ndim(v) == 0 for v in newdata.values())
        return pd.DataFrame(dict(newdata), index=[0] if scalar else None)
    raise DataError(
        f"newdata is {type(newdata).__name__}; a DataFrame or a mapping of columns is needed.",
        do="res.get_prediction(imp[0].head())",
    )


def offset_of(call: Call, series: Callable[[str], Any], n_rows: int, take: Callable[[Any], Any] = np.asarray) -> Array:
    """Offset plus log exposure of some rows, from the columns that the model's words name.

    Parameters
    ----------
    call : Call
    series : callable
        Returns a column by its name.
    n_rows : int
    take : callable, optional
        Of an array given for every row of the frame, those of a set.

    Returns
    -------
    ndarray, shape (n_rows,)

    Raises
    ------
    ModelError
        If the model's word is an array of another length: new rows have none.
    """
    total = np.zeros(n_rows)
    for word in ("offset", "exposure"):
        given = call.init.get(word)
        if given is None:
            continue
        found = series(given) if isinstance(given, str) else take(np.asarray(given)) if np.ndim(given) else given
        column = np.asarray(found, dtype=np.float64)
        if column.ndim and len(column) != n_rows:
            raise ModelError(
                f"{word}= was an array of {len(column)} values; its values for the {n_rows} new rows are not known.",
                do=f"imp.fit('y ~ x1 + x2', {word}='column')   # then newdata has that column",
            )
        total = total + (np.log(column) if word == "exposure" else column)
    return total


def column_of(frame: pd.DataFrame, name: str) -> Any:
    """Return the column of new rows that a word of the model names.

    Parameters
    ----------
    frame : DataFrame
    name : str

    Returns
    -------
    Series

    Raises
    ------
    DataError
        If it is absent.
    """
    if name not in frame.columns:
        raise DataError(
            f"newdata lacks {name!r}, which the model takes as offset or exposure.",
            do=f"newdata = newdata.assign(**{{{name!r}: 1.0}})",
        )
    return frame[name]


def _values(design: Design, frame: pd.DataFrame, name: Hashable) -> Array:
    """Return one column of new rows as the design reads it, shape (n,); NaN where missing."""
    if name not in frame.columns:
        raise DataError(
            f"newdata lacks the column {name!r}{nearest(name, frame.columns)}.",
            formula=design.formula,
            do=_with_column(design, frame, name),
        )
    series, coding = frame[name], _numeric(design.table[name].coding)
    try:
        values = encode(series, coding)
    except (TypeError, ValueError):
        raise DataError(
            f"column {name!r} of newdata is not numeric, as it was in the fit.",
            do=f"newdata[{name!r}] = pd.to_numeric(newdata[{name!r}], errors='coerce')",
        ) from None
    strange = np.isnan(values) & ~is_missing(series)
    if strange.any():
        raise DataError(
            f"newdata has {name} = {series[strange].iloc[0]!r}, a level that the fit never saw.",
            levels=", ".join(map(repr, coding.levels[:12])),
            do=f"newdata[newdata[{name!r}].isin({list(coding.levels[:12])!r})]",
        )
    return values


def _with_column(design: Design, frame: pd.DataFrame, name: Hashable) -> str:
    """The line that gives new rows a column: the one of nearly that name, else the usual value of the analysis."""
    needed = set(design.variables)
    near = get_close_matches(str(name).lower(), [str(c).lower() for c in frame.columns if c not in needed], n=1)
    for column in frame.columns:
        if near and str(column).lower() == near[0] and column not in needed:
            return f"newdata = pd.DataFrame(newdata).rename(columns={{{column!r}: {name!r}}})"
    column = design.table[name]
    values = column.numbers(column.values[column.observed]) if column.number else column.values[column.observed]
    if column.number:
        usual = float(f"{np.median(values):.4g}")
        shown = repr(int(usual) if usual.is_integer() else usual)
    else:
        shown = repr(column.coding.levels[int(np.bincount(values.astype(int)).argmax())])
    return f"newdata = pd.DataFrame(newdata).assign(**{{{name!r}: {shown}}})  # or the values of the new rows"


def _numeric(coding: Coding) -> Coding:
    """Return how a number with few values is read as a number; any other coding as it is."""
    return Coding(Kind.NUMERIC) if coding.kind.discrete and coding.number else coding


def _outside(design: Design, found: Array, seen: Mapping[Hashable, Array], index: pd.Index) -> FormulaError:
    """Return the error for a new row outside a factor's domain."""
    row, position = np.argwhere(~np.isfinite(found))[0]
    column = design.columns[position]
    shown = ", ".join(f"{v} = {seen[v][row]:.6g}" for v in sorted(column.variables, key=str))
    splined = next((design.blocks[b] for b, _, _ in column.parts if design.blocks[b].knots), None)
    if splined is None:
        return FormulaError(f"{column.name!r} is not a finite number in newdata.", value=shown, row=index[row])
    low, high = splined.knots[0][1:]
    return FormulaError(
        f"newdata has {shown}, outside the outermost knots of {splined.code}.",
        row=index[row],
        knots=f"{low:.6g} to {high:.6g}",
        do=f"imp.fit({design.formula!r})   # with lower_bound= and upper_bound= inside bs()",
    )

"""Means within clusters of an incomplete column, and differences from them, that were made before imputing: refused."""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np

from ...errors import PlanError, call
from ...formula.column_code import without
from ...frame.table import Table
from ...typing import Array, Rows
from .draft import Draft

__all__ = ["refuse_cluster_means"]

_SAME = 1e-9  # share of a column's spread up to which two numbers are equal
_CLUSTERS = 3  # with both known, below which equal means are an accident


def refuse_cluster_means(draft: Draft) -> None:
    """Refuse an analysis with a cluster mean of an incomplete column, or with that column less its mean.

    Made of the observed values it stays, whatever is drawn; a drawn value would change it in all rows of its cluster.

    Raises
    ------
    PlanError
        With the call without that column, or with the column itself in place of the difference.
    """
    table, unit = draft.table, draft.clusters
    if unit is None:
        return
    codes: Rows = np.unique(table[unit].values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    for question in draft.questions:
        used = [n for n in question.variables(table) if table[n].number]
        for name in (n for n in table.incomplete if table[n].number and draft.options.methods.get(n) != "leave"):
            means = _means(table, name, codes)
            for other in (n for n in used if n != name):
                what = _made_of(table, name, other, means, codes)
                if what == "mean":
                    fewer = without(question.terms, other, table.columns)
                    fact = f"{other!r} is the mean of the observed {name!r} within {unit!r}"
                elif what == "difference":
                    fewer = re.sub(rf"\b{re.escape(str(other))}\b", str(name), question.formula)
                    fact = f"{other!r} is {name!r} less its mean within {unit!r}"
                else:
                    continue
                raise PlanError(
                    f"{fact}: the {len(table[name].missing)} values that are drawn would change it.",
                    analysis=question.formula,
                    reason=f"the model of {name} has a level of its own for each {unit}",
                    do=call("df.mice.impute", fewer).in_place_of(question.formula),
                )


def _means(table: Table, name: Hashable, codes: Rows) -> Array:
    """Means of the observed values of a column in each cluster, (J,); NaN where there are none."""
    column = table[name]
    values, where = column.numbers(column.values[column.observed]), codes[column.observed]
    many = int(codes.max()) + 1
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(where, values, many) / np.bincount(where, minlength=many))


def _made_of(table: Table, name: Hashable, other: Hashable, means: Array, codes: Rows) -> str:
    """Whether another column holds the means of a column, or what is left of it without them; else empty."""
    column, made = table[name], table[other]
    rows = np.intersect1d(made.observed, np.flatnonzero(np.isfinite(means[codes])))
    values = made.numbers(made.values[rows])
    spread = float(np.ptp(values)) if len(values) else 0.0
    if len(np.unique(codes[rows])) < _CLUSTERS or not spread > 0:
        return ""
    if np.all(np.abs(values - means[codes[rows]]) <= _SAME * spread):
        return "mean"
    both = np.intersect1d(rows, column.observed)
    apart = column.numbers(column.values[both]) - means[codes[both]]
    gap = np.abs(made.numbers(made.values[both]) - apart)
    return "difference" if len(both) and np.all(gap <= _SAME * spread) else ""

"""Columns of rows and of clusters: which are which, and the own models of both in a plan with a mixed analysis."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ...errors import PlanError, call
from ...formula.source import sourced
from ...frame.table import Table
from ..contract import Method, facts_of
from ..methods import METHODS
from .defaults import constant_within
from .draft import Draft
from .likelihoods import likelihood_of
from .options import Options
from .plan import Piece

__all__ = [
    "as_drawn",
    "before",
    "by_cluster",
    "check_clusters",
    "clusters_of",
    "constant_in_clusters",
    "random_pieces",
    "shared",
]

_FEWEST = 5  # clusters, for a column's own model to have their levels
_SMALLEST = 1.5  # mean rows of a cluster, for the same
_AT_LEAST = 2  # clusters


def clusters_of(draft: Draft) -> Hashable | None:
    """The column of clusters that was named, or of the mixed analyses; None where there is none."""
    if draft.options.clusters is not None:
        return draft.options.clusters
    methods = [likelihood_of(question, draft.table) for question in draft.questions]
    units = [method.unit for method in methods if facts_of(method).clustered]  # type: ignore[union-attr]
    return units[0] if units else None


def constant_in_clusters(draft: Draft, name: Hashable) -> bool:
    """Whether a column has one value for all rows of a cluster, and is drawn so."""
    unit = draft.options.id
    return unit is not None and constant_within(draft.table, name, unit)


def shared(draft: Draft, names: Sequence[Hashable]) -> tuple[list[Hashable], list[Hashable]]:
    """Columns of clusters, and columns of rows."""
    level = {name: constant_in_clusters(draft, name) for name in names}
    return [n for n in names if level[n]], [n for n in names if not level[n]]


def check_clusters(options: Options, table: Table) -> None:
    """Refuse clusters that are no column, that are not known in some rows, or that are one.

    Raises
    ------
    DataError, PlanError
    """
    if options.clusters is None:
        return
    column = table.require(options.clusters, "clusters=")
    if len(column.missing):
        raise PlanError(
            f"clusters={column.name!r} has {len(column.missing)} missing values.",
            do=call(f"df[df[{column.name!r}].notna()].mice.impute", clusters=column.name),
        )
    if len(np.unique(column.values)) < _AT_LEAST:
        raise PlanError(
            f"clusters={column.name!r} has one value: there is one cluster.", do=call("df.mice.impute", clusters=None)
        )


def as_drawn(draft: Draft, name: Hashable) -> Table:
    """The table as the own model of a column sees it: one row of each cluster, for a column of clusters."""
    table, unit = draft.seen_by(name), draft.options.id
    if draft.clusters is None or not constant_in_clusters(draft, name):
        return table
    return table.part(np.sort(np.unique(table[unit].values, return_index=True)[1]))


def before(draft: Draft, name: Hashable, covariates: Sequence[Hashable]) -> list[Hashable]:
    """The covariates that the own model of another one may contain.

    Columns of clusters come first, then those of rows that are complete, then the others by their missing values: each
    given the ones before it, a column of clusters given the other columns of clusters. So all models are one joint one.
    """
    above, rows = shared(draft, [n for n in covariates if n != name])
    if constant_in_clusters(draft, name):
        return above
    order = sorted([*rows, name], key=draft.n_missing)
    return [*above, *order[: order.index(name)]]


def by_cluster(draft: Draft, name: Hashable, method: Method, label: str, why: str) -> tuple[Method, str, str]:
    """The own model of a column of rows, with a level of its own for each cluster where there is such a model."""
    unit = draft.clusters
    facts, column = facts_of(method), draft.table[name]
    seen = column.observed
    asked = name in draft.options.methods or facts.clustered or len(np.unique(column.values[seen])) == 1
    if unit is None or asked or constant_in_clusters(draft, name):
        return method, label, why
    codes = draft.table[unit].values[seen]
    many = len(np.unique(codes))
    if many < _FEWEST or len(codes) < _SMALLEST * many:
        draft.note(f"{name!r}: drawn without a level for each {unit}, for it has {len(codes)} values in {many} of them")
        return method, label, why
    other = facts.by_cluster
    if not other or column.kind not in METHODS[other].kinds:
        draft.note(f"{name!r}: its own model has no level for each {unit} (approximate)")
        return method, label, why
    found: Any = METHODS[other]
    if facts_of(found).tuned:
        found = found.tuned(column.values[seen])
    return dataclasses.replace(found, unit=unit), other, f"{why}; a level for each {unit}"


def random_pieces(draft: Draft, method: Method) -> list[Piece]:
    """The columns of a mixed model whose effects differ by cluster."""
    mixed: Any = method
    if not facts_of(method).clustered or mixed.unit is None:
        return []
    right = sourced(mixed.random.rpartition("~")[2].strip(), mixed.random)
    return [Piece("random", None if right == "1" else draft.formula(None, right))]

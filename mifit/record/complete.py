"""Complete the table: drawn values, deductively imputed values, and derived columns computed from both."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from ..formula.derived import Derived, follow
from ..frame.masks import Mask
from ..frame.table import Table, Views
from ..imputation.plan.deductive import with_derived
from ..imputation.plan.rare_levels import Joined
from ..imputation.plan.skip_rules import Skip
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed

__all__ = ["completed_values"]

_NO_SWEEP = 2**31  # number of a stream that no sweep draws from


def completed_values(
    table: Views, derived: Sequence[Derived], skips: Mapping[Hashable, Skip],
    where: Mapping[Hashable, Mask] | None, shared: Set[Hashable], chains: Sequence[Chain],
    together: Mapping[Hashable, Joined], seed: Seed | None,
) -> list[dict[Hashable, Any]]:  # fmt: skip
    """Values of every completed set at all missing cells of the frame; NaN in those that stay missing.

    Parameters
    ----------
    table : Views
        The frame as the plan reads it.
    derived : sequence of Derived
    skips : mapping
        Column -> where it is asked for.
    where : mapping, optional
        Column -> cells to be completed.
    shared : set
        Parents of derived columns that all rows of an id share.
    chains : sequence of Chain
    together : mapping
        Column -> levels that were drawn together.
    seed : Seed, optional
        None where no levels were drawn together.

    Returns
    -------
    list of dict
        Per chain: column -> (n_mis,).
    """
    if together and seed is not None:
        chains = [_apart(chain, together, seed) for chain in chains]
    found = []
    for chain in chains:
        drawn = _drawn(table.given, table.filled, derived, shared, chain)
        found.append(_left_missing(table.given, derived, skips, where, drawn))
    return found


def _apart(chain: Chain, together: Mapping[Hashable, Joined], seed: Seed) -> Chain:
    """A chain in which levels that were drawn together are separated again, with a random stream of their own."""
    rng = seed.stream(chain.number, _NO_SWEEP)
    told = {name: one.apart(chain.imputed[name], rng) for name, one in together.items() if name in chain.imputed}
    return dataclasses.replace(chain, imputed={**chain.imputed, **told})


def _left_missing(
    table: Table, derived: Sequence[Derived], skips: Mapping[Hashable, Skip], where: Mapping[Hashable, Mask] | None,
    drawn: Mapping[Hashable, Any],
) -> dict[Hashable, Any]:  # fmt: skip
    """Drawn values, NaN where a cell was not to be completed, or its column is not asked for."""
    found = dict(drawn)
    for name, mask in (where or {}).items():
        if name in found:
            found[name] = np.where(mask.marked[table[name].missing], found[name], np.nan)
    for name, skip in skips.items():
        if name in found and skip.value is None:
            values = {v: table[v].values.copy() for v in skip.condition.variables}
            for v in (v for v in values if v in drawn):
                values[v][table[v].missing] = drawn[v]
            inside = np.isin(table[name].missing, skip.inside(table, values))
            found[name] = np.where(inside, found[name], np.nan)
            for one in (one for one in derived if name in one.parents and one.name in found):
                none = np.isin(table[one.name].missing, table[name].missing[~inside])
                found[one.name] = np.where(none, np.nan, found[one.name])
    return found


def _drawn(
    table: Table, known: Table, derived: Sequence[Derived], shared: Set[Hashable], chain: Chain
) -> dict[Hashable, Any]:
    """Values of one set at all missing cells, drawn or known."""
    if not derived and all(known[n].missing is table[n].missing for n in table.incomplete):
        return dict(chain.imputed)
    names = {one.name for one in derived}
    values = {}
    for name in table.columns:
        values[name] = known[name].values.copy()
        if name in chain.imputed:
            values[name][known[name].missing] = chain.imputed[name]
    values.update({name: table[name].completed(values[name]) for name in table.columns})
    values.update(follow(derived, known, values, shared))
    found = {
        name: values[name][table[name].missing]
        for name in table.incomplete
        if name not in names and not np.isnan(values[name]).any()
    }
    return {**found, **with_derived(derived, table, values)}

"""``methods=`` for all columns of a kind, or for all columns: become methods of single columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Set
from typing import Any

from ...frame.kinds import Kind
from ...frame.table import Table
from ..contract import facts_of
from ..methods import METHODS, compatible_with_density, method_of_option
from ..methods.estimators import is_estimator
from .defaults import is_identifier
from .options import Options

__all__ = ["for_every_kind", "kind_words", "spread", "without_density"]

_KINDS = {kind.value: kind for kind in Kind if kind is not Kind.OTHER}


def for_every_kind(given: Any) -> dict[Hashable, Any] | None:
    """One method for all columns as a mapping by kind; None for what does not draw every kind by its name.

    Examples
    --------
    >>> for_every_kind("forest")["ordinal"], for_every_kind("pmm")
    ('forest', None)
    """
    if isinstance(given, str):
        all_kinds = given in METHODS and METHODS[given].kinds >= set(_KINDS.values())
        return dict.fromkeys(_KINDS, given) if all_kinds else None
    if isinstance(given, type) or not (is_estimator(given) or hasattr(given, "kinds")):
        return None
    kinds = method_of_option(given).kinds
    return {word: given for word, kind in _KINDS.items() if kind in kinds}


def kind_words(methods: Mapping[Hashable, Any], table: Table) -> list[str]:
    """Keys of ``methods=`` that are kinds, and no columns."""
    return [word for word in methods if isinstance(word, str) and word in _KINDS and word not in table]


def spread(options: Options, table: Table, aside: Set[Hashable], *, leave: bool) -> tuple[Options, list[str]]:
    """Methods by kind as methods of the columns with missing values, where these have none of their own.

    Parameters
    ----------
    options : Options
    table : Table
    aside : set
        Columns that are left out, or drawn from an analysis.
    leave : bool
        Only the columns of kinds that are left alone, or only all others.

    Returns
    -------
    options : Options
        Without the kinds that were asked for.
    events : list of str
        Kinds without a column, and columns that are called like a kind.
    """
    methods, events = dict(options.methods), []
    words = kind_words(methods, table)
    for word in (word for word in words if _is_left(methods[word]) is leave):
        option = methods.pop(word)
        covered = {_KINDS[word]}
        if word == Kind.NUMERIC.value and Kind.COUNT.value not in words and _draws(option, Kind.COUNT):
            covered.add(Kind.COUNT)
        found = [
            n for n in table.incomplete
            if table[n].kind in covered and n not in methods and n not in aside and n not in options.derived
            and n != options.id and (leave or not is_identifier(table, n))
        ]  # fmt: skip
        methods.update(dict.fromkeys(found, option))
        if not found and len(set(map(id, options.methods.values()))) > 1:
            events.append(f"methods={{{word!r}: ...}}: no such column has missing values")
    if not leave:
        events += [
            f"{n!r} in methods= is the column of that name, not the columns of this kind"
            for n in options.methods if n in table and n in _KINDS
        ]  # fmt: skip
    return dataclasses.replace(options, methods=methods), events


def _draws(option: Any, kind: Kind) -> bool:
    """Whether a method draws a kind."""
    return _is_left(option) or kind in method_of_option(option).kinds


def without_density(options: Options, table: Table) -> list[Hashable]:
    """Columns whose method has no density, nor one that stands for it in a compatible plan."""
    found = []
    for name, option in options.methods.items():
        if not _is_left(option):
            method = method_of_option(option)
            if not facts_of(method).density and compatible_with_density(method, table[name].kind) is None:
                found.append(name)
    return found


def _is_left(option: Any) -> bool:
    """Whether columns are left alone."""
    return isinstance(option, str) and option == "leave"

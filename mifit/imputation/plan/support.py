"""The support of each model, and truncations that a model does not take into account."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ...formula.question import Question
from ...frame.table import Column, Table
from ..contract import facts_of
from .bounds import Bounds

__all__ = ["truncated_unawares"]

_ANYWHERE = (-np.inf, np.inf)
_POSITIVE = (0.0, np.inf)
#: outcome expression -> where what is undone from it lies
_UNDONE = {"log": _POSITIVE, "log10": _POSITIVE, "log2": _POSITIVE, "sqrt": _POSITIVE, "log1p": (-1.0, np.inf)}
#: family -> where its outcomes lie
_FAMILIES = {
    **dict.fromkeys(("Gamma", "InverseGaussian", "Poisson", "NegativeBinomial", "Tweedie"), _POSITIVE),
    "Binomial": (0.0, 1.0),
}


def truncated_unawares(
    known: Bounds | None, name: Hashable, role: str, method: Any, questions: Sequence[Question], table: Table
) -> bool:
    """Whether a column's distribution is cut off, and its model puts values there all the same.

    A bound that all values of the model keep is none: a logarithm is taken of positive values, a count is not negative.

    Parameters
    ----------
    known : Bounds or None
        What is known of the column.
    name : hashable
    role : str
        Of the variable.
    method : Method
        Its own.
    questions : sequence of Question
        The analyses; one of them draws an outcome.
    table : Table

    Returns
    -------
    bool

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.formula.question import ask
    >>> from mifit.frame.table import read
    >>> table = read(pd.DataFrame({"y": [0.1, 2.0, 3.5, None], "x": [1.2, 2.1, 3.3, 4.0]}))
    >>> from mifit.imputation.methods import Normal
    >>> known = Bounds(0.0, None, True)
    >>> for formula in ("y ~ x", "np.log(y) ~ x"):
    ...     print(truncated_unawares(known, "y", "outcome", Normal(), [ask(formula, table, scope={"np": np})], table))
    True
    False
    """
    cut = None if known is None else known[:2] if known.always else known.cut
    if cut is None or not (role in ("outcome", "auxiliary") or not facts_of(method).truncates):
        return False
    inside = _ANYWHERE
    of_outcome = [q for q in questions if role == "outcome" and name in q.outcome]
    undone = of_outcome[0].inverse(table) if of_outcome else None
    if undone is None or undone.name == "identity":
        inside = _of_model(method, table[name])
    elif undone.name in _UNDONE:
        inside = _UNDONE[undone.name]
    low, high = cut
    below = low is None or (isinstance(low, int | float) and low <= inside[0])
    return not (below and (high is None or (isinstance(high, int | float) and high >= inside[1])))


def _of_model(method: Any, column: Column) -> tuple[float, float]:
    """Where the values lie that a model draws for a column as it stands."""
    if column.kind.discrete:
        levels = np.asarray(column.coding.levels, dtype=np.float64) if column.number else np.empty(0)
        return (float(levels.min()), float(levels.max())) if len(levels) else _ANYWHERE
    if not facts_of(method).unseen and len(column.observed):
        seen = column.values[column.observed]
        return float(seen.min()), float(seen.max())
    by_family = _FAMILIES.get(type(getattr(method, "family", None)).__name__, _ANYWHERE)
    return max(by_family[0], facts_of(method).lowest), by_family[1]

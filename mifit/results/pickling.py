"""Pooled results as plain data that can cross a process, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..analysis.fit import fit_one
from ..errors import ModelError
from ..formula.design import freeze

__all__ = ["packed", "unpacked"]


def packed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of pooled results without patsy's design and statsmodels' results.

    Parameters
    ----------
    state : mapping
        Attribute -> value.

    Returns
    -------
    dict
        ``design`` is (question, table), from which it can be frozen again, or None.
    """
    design = state["design"]
    source = None if design is None else (design.question, design.table)
    kept = {name: value for name, value in state.items() if name != "results"}
    return {**kept, "design": source, "fits": dataclasses.replace(state["fits"], kept=None)}


def unpacked(state: Mapping[str, Any]) -> tuple[Any, Callable[[int], Any]]:
    """Return the design, frozen again, and what fits set k again.

    Parameters
    ----------
    state : mapping
        As :func:`packed` returns it.

    Returns
    -------
    design : Design or None
    refit : callable
        Refuses results whose fits were made elsewhere.
    """
    design = None if state["design"] is None else freeze(*state["design"])
    if design is None or state["completed"] is None or state["call"] is None:
        return design, _gone
    return design, partial(fit_one, design, state["completed"], state["call"])


def _gone(k: int) -> Any:
    """Refuse a single result that stayed behind."""
    raise ModelError(
        f"fit {k} was made elsewhere and was not pickled with the pooled results.", do="mifit.pool([fit1, fit2])"
    )

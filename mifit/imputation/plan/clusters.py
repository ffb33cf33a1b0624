"""Outcomes of analyses by cluster: which are drawn with their cluster's level, and what is said of the others."""

from __future__ import annotations

from collections.abc import Hashable

from ...calls import Advice
from ...errors import call
from ...formula.model_facts import model_facts
from ...frame.kinds import Kind
from ..contract import facts_of
from ..methods import Mixed
from .draft import Draft
from .plan import Plan

__all__ = ["drawn_without_clusters", "mixed_outcome"]


def mixed_outcome(draft: Draft, name: Hashable) -> Mixed | None:
    """The mixed model of an outcome that is analysed by cluster; None where the column is none, or cannot be normal."""
    column, restricted = draft.table[name], name in draft.bounds or name in draft.skips or draft.relations.held_by(name)
    if column.kind not in (Kind.NUMERIC, Kind.COUNT) or restricted or len(draft.relations.tied(name)):
        return None
    for question in draft.questions:
        unit = question.keywords.get("groups")
        family = type(question.keywords.get("family")).__name__
        normal = model_facts(question.model).clustered and family in ("NoneType", "Gaussian")
        if question.bare and name in question.outcome and normal and isinstance(unit, Hashable) and unit in draft.table:
            given = question.keywords.get("re_formula")
            return Mixed(given if isinstance(given, str) else "~1", unit)
    return None


def drawn_without_clusters(plan: Plan) -> list[tuple[str, Advice]]:
    """What is said of each incomplete outcome that is analysed by cluster and drawn as if its rows had none."""
    found = []
    for question in plan.questions:
        unit = question.keywords.get("groups")
        for name in question.outcome if unit is not None else ():
            drawn = next((v for v in plan.variables if v.name == name and v.n_missing and v.method is not None), None)
            if drawn is None or facts_of(drawn.method).clustered:
                continue
            shown = repr(unit) if isinstance(unit, str) else "their clusters"
            fact = (
                f"the {drawn.n_missing} missing values of the outcome {name!r} are drawn without {shown}: estimates "
                "may be far off where it depends on a cluster's other values what is missing. Without those rows: "
            )
            found.append((fact, call("df.mice.impute", auxiliary="ignore").then(".fit(drop_imputed_outcome=True)")))
    return found

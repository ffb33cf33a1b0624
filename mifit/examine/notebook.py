"""An imputed set as a notebook shows it."""

from __future__ import annotations

from collections.abc import Hashable

from ..display import Markup, bar, block, chip, facts, table
from ..imputation.plan.plan import Variable
from .study import Study

__all__ = ["holes_table", "imputed_html"]


def imputed_html(study: Study, rest: str = "") -> str:
    """Return what stands in a notebook for an imputed set: how many sets, for which analysis, each column's holes.

    ``rest`` is said of the values that stay missing.
    """
    n, p = study.table.n_rows, len(study.table.columns)
    holes = study.filled
    size = f"{study.m} completed sets of {n} rows × {p} columns"
    said = f"{size}; {sum(holes.values())} holes in {len(holes)} columns{rest}"
    if study.plan is None:
        pairs = [("made elsewhere", study.said)]
    else:
        questions = zip(study.written, study.plan.questions, strict=True)
        pairs = [("analysis", f"{one}   ({question.model})") for one, question in questions]
        pairs.append(("drawn", f"{study.plan.title}, {study.iterations} iterations"))
    return block(f"ImputedSet {study.identity}", said, facts(pairs), holes_table(study) if holes else "")


def holes_table(study: Study) -> Markup:
    """Return the columns with holes: how many, what share, and how they were filled."""
    n = study.table.n_rows
    rows = [(name, k, f"{100 * k / n:.1f} %", bar(k / n), *_how(study, name)) for name, k in study.filled.items()]
    return table(("column", "holes", "missing", "", "method", "sampler"), rows, numbers=(1, 2))


def _how(study: Study, name: Hashable) -> tuple[object, object]:
    """Method and sampler of a column."""
    if study.plan is None:
        return "made elsewhere", ""
    variable: Variable = study.plan[name]
    if variable.method is None:
        return variable.why, ""
    return chip(variable.label), variable.sampler if variable.sampler != "own" else ""

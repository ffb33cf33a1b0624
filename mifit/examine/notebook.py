"""An imputed set as a notebook shows it."""

from __future__ import annotations

from collections.abc import Hashable

from ..display import Markup, bar, block, chip, facts, table
from ..imputation.plan.plan import FOLLOWS, Variable
from ..record.record import Record

__all__ = ["imputed_html", "missing_table"]


def imputed_html(record: Record, rest: str = "") -> str:
    """Return what stands in a notebook for an imputed set: how many sets, for which analysis, which columns.

    ``rest`` is said of the values that stay missing.
    """
    n, p = record.table.n_rows, len(record.table.given.columns)
    filled = record.filled
    size = f"{record.m} completed sets of {n} rows × {p} columns"
    said = f"{size}; {sum(filled.values())} missing values in {len(filled)} columns{rest}"
    if record.plan is None:
        pairs = [("made elsewhere", record.origin)]
    else:
        questions = zip(record.written, record.plan.questions, strict=True)
        pairs = [("analysis", f"{one}   ({question.model})") for one, question in questions]
        pairs.append(("drawn", f"{record.plan.title}, {record.iterations} iterations"))
    return block(f"ImputedSet {record.identity}", said, facts(pairs), missing_table(record) if filled else "")


def missing_table(record: Record) -> Markup:
    """Return the columns with missing values: how many, what share, and how they were filled."""
    n = record.table.n_rows
    rows = [(name, k, f"{100 * k / n:.1f} %", bar(k / n), *_how(record, name)) for name, k in record.filled.items()]
    return table(("column", "missing", "share", "", "method", "sampler"), rows, numbers=(1, 2))


def _how(record: Record, name: Hashable) -> tuple[object, object]:
    """Method and sampler of a column."""
    if record.plan is None:
        return "made elsewhere", ""
    if name not in record.plan:
        return FOLLOWS, ""
    variable: Variable = record.plan[name]
    if variable.method is None:
        return variable.why, ""
    return chip(variable.label), variable.sampler if variable.sampler != "own" else ""

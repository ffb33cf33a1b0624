"""Plan: every choice made, checked and explained once, before a second is spent."""

from __future__ import annotations

import html
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..formula.question import Question
from ..frame.kinds import Kind
from .contract import Method
from .store import Piece

__all__ = ["Factor", "Plan", "Variable", "Wishes"]


@dataclass(frozen=True)
class Wishes:
    """What the user asked for, as given; kept so that the same can be asked again."""

    methods: Mapping[Hashable, Any] = field(default_factory=dict)
    predictors: Mapping[Hashable, Any] = field(default_factory=dict)
    auxiliary: Any = "response"
    congeniality: str = "compatible"
    order: tuple[Hashable, ...] | None = None
    iterations: int | None = None
    id: Hashable = None
    link: str = "independent"
    derived: Mapping[Hashable, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Variable:
    """All that is decided about one column."""

    name: Hashable
    kind: Kind
    n_missing: int
    role: str  #: "covariate", "outcome", "auxiliary", "column" (plain chained equations), "left"
    method: Method | None  #: its own model; None where nothing is drawn
    label: str  #: the method's name
    sampler: str  #: "own", "closed form", "rejection", "enumerate", ""
    pieces: tuple[Piece, ...]  #: predictors of its own model
    predictors: tuple[str, ...]  #: the same, as a reader names them
    why: str
    together: bool = False  #: drawn once for all rows of an id


@dataclass(frozen=True)
class Factor:
    """A model that judges its predictors: the analysis, or an auxiliary as a further outcome."""

    role: str  #: "analysis" or "auxiliary"
    method: Method
    pieces: tuple[Piece, ...]
    question: int | None = None  #: analysis: position of its question
    variable: Hashable = None  #: auxiliary: the column
    rows: str = "all"  #: "observed": fitted on, and applied to, rows where its outcome was observed
    label: str = ""


@dataclass(frozen=True)
class Plan:
    """The recipe of an imputation: plain and small, never the data.

    Printed, it says for every column what will be done and why. ``df.mice.impute(plan, m=20)`` runs it.
    """

    questions: tuple[Question, ...]
    mode: str  #: "compatible", "terms", "ignore" or "plain"
    extra: tuple[Question, ...]  #: right sides wished for as predictors, as formulas
    variables: tuple[Variable, ...]
    factors: tuple[Factor, ...]
    order: tuple[Hashable, ...]  #: columns drawn, in the order of the visits
    iterations: int
    numeric: tuple[Hashable, ...]  #: level codes read as numbers after all
    wishes: Wishes
    events: tuple[str, ...]
    columns: tuple[Hashable, ...]
    n_rows: int
    written: tuple[str, ...] = ()  #: the formulas as the user wrote them, derived columns by name

    def __getitem__(self, name: Hashable) -> Variable:
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    @property
    def title(self) -> str:
        """How the holes are drawn, in one line."""
        how = {
            "compatible": "compatible with the analysis",
            "terms": "approximate: analysis terms as predictors",
            "ignore": "chained equations, main effects (the analysis is ignored)",
            "plain": "chained equations, main effects",
        }
        return how[self.mode]

    @property
    def short_title(self) -> str:
        """The same in two words, for the head of a summary."""
        how = {"compatible": "compatible draws", "terms": "analysis terms", "ignore": "chained equations"}
        return how.get(self.mode, "chained equations")

    def _rows(self) -> list[tuple[str, ...]]:
        """Cells of the printed table."""
        shown = [v for v in self.variables if v.n_missing or v.role in ("left", "outcome")]
        return [
            (str(v.name), v.kind.value, str(v.n_missing), v.role, v.label, v.sampler, _listed(v.predictors), v.why)
            for v in shown
        ]

    def _facts(self) -> list[str]:
        """Lines above the table."""
        facts = [f"{len(self.order)} columns with holes will be drawn in {self.n_rows} rows; {self.title}."]
        for question in self.questions:
            facts.append(f"analysis   : {question.formula}   ({question.model}, {question.said})")
            for name, value in question.names.items():
                if not callable(value) and not hasattr(value, "path"):
                    facts.append(f"from scope : {name} = {value!r}")
        drawn = {v.name for v in self.variables}
        complete = [str(name) for name in self.columns if name not in drawn]
        if complete:
            facts.append(f"complete   : {_listed(complete, 8)}")
        for factor in self.factors:
            if factor.question is not None and set(self.questions[factor.question].outcome) & set(self.order):
                rows = "the rows with its outcome observed" if factor.rows == "observed" else "all rows"
                facts.append(f"parameters : {factor.label} drawn from {rows}")
        if sum(factor.question is not None for factor in self.factors) > 1:
            linked = (
                "each given the ones before it" if self.wishes.link == "sequence" else "independent given covariates"
            )
            facts.append(f"outcomes   : {linked}")
        auxiliaries = [str(f.variable) for f in self.factors if f.role == "auxiliary"]
        if auxiliaries:
            facts.append(f"auxiliary  : {_listed(auxiliaries, 8)} (further outcomes)")
        facts.append(f"iterations : {self.iterations}")
        return facts

    def __str__(self) -> str:
        rows = [_HEAD, *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "-" * max(len(line) for line in lines))
        notes = [f"note: {event}" for event in self.events]
        return "\n".join(["Imputation plan", *(f"  {fact}" for fact in self._facts()), "", *lines, *notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""

        def row(cells: Sequence[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells) + "</tr>"

        body = "".join(row(cells, "td") for cells in self._rows())
        facts = "<br>".join(html.escape(fact) for fact in (*self._facts(), *self.events))
        return f"<b>Imputation plan</b><br>{facts}<table>{row(_HEAD, 'th')}{body}</table>"


_HEAD = ("column", "kind", "holes", "role", "method", "sampler", "predictors", "why")


def _listed(names: Sequence[str], most: int = 4) -> str:
    """Names, the first few."""
    more = f" +{len(names) - most}" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more

"""Plan: every choice made, checked and explained once, before a second is spent."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...display import block, chip, facts, folded, notes, rows_of, table
from ...errors import listed
from ...formula.condition import Condition
from ...formula.question import Question
from ...frame.kinds import Kind
from ...frame.masks import Mask
from ..contract import Method, facts_of
from .bounds import Bounds
from .error_law import ErrorLaw
from .options import Options
from .rare_levels import Joined
from .skip_rules import Skip
from .working_law import WorkingLaw

__all__ = ["FOLLOWS", "Factor", "Piece", "Plan", "Variable"]

#: what is said of a column that the plan does not have although values of it are missing
FOLLOWS = "known without a draw: it follows from other columns, or from other rows of the same id"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """The decisions of a plan about one column."""

    name: Hashable
    kind: Kind
    n_missing: int
    role: str  #: "covariate", "outcome", "auxiliary", "column" (plain chained equations), "left" (excluded)
    method: Method | None = None  #: its own model; None where nothing is drawn
    label: str = ""  #: the method's name
    sampler: str = ""  #: one of sampler_choice.Sampler by its name; "" where nothing is drawn
    pieces: tuple[Piece, ...] = ()  #: predictors of its own model
    predictors: tuple[str, ...] = ()  #: the same, as a reader names them
    why: str = ""
    together: bool = False  #: drawn once for all rows of an id
    bounds: Bounds | None = None  #: where its values lie
    skip: Skip | None = None  #: condition under which it has values


@dataclass(frozen=True)
class Factor:
    """One factor of the joint model: the analysis, or an auxiliary; it enters the draw of each of its predictors."""

    role: str  #: "analysis" or "auxiliary"
    method: Method
    pieces: tuple[Piece, ...]
    question: int | None = None  #: analysis: position of its question
    variable: Hashable = None  #: auxiliary: the column
    rows: str = "all"  #: fitted on, and applied to: "observed" where its outcome was, "units" the first row of each id
    label: str = ""
    law: ErrorLaw | WorkingLaw | None = None  #: of its outcome around the mean; None where complete rows were not asked
    weighting: str = "likelihood"  #: what weights of the analysis are: that, "predictor", "auxiliary" or "none"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The specification of an imputation; it holds no data.

    Printed, it says for every column what will be done and why. ``df.mice.impute(plan, m=20)`` runs it.
    """

    questions: tuple[Question, ...]
    mode: str  #: "compatible", "terms", "ignore" or "plain"
    extra: tuple[Question, ...]  #: formulas without an outcome, whose terms are used as predictors
    variables: tuple[Variable, ...]
    factors: tuple[Factor, ...]
    order: tuple[Hashable, ...]  #: columns drawn, in the order of the visits
    iterations: int
    numeric: tuple[Hashable, ...]  #: level codes read as numbers after all
    options: Options
    events: tuple[str, ...]
    columns: tuple[Hashable, ...]
    n_rows: int
    written: tuple[str, ...] = ()  #: the formulas as the user wrote them, derived columns by name
    ignored: Condition | Mask | None = None  #: rows that no model is fitted on
    groups: tuple[tuple[Any, Plan], ...] = ()  #: ``by=``: level -> the plan of its rows
    together: Mapping[Hashable, Joined] = field(default_factory=dict, compare=False)  #: levels taken together

    def __getitem__(self, name: Hashable) -> Variable:
        for variable in self.variables:
            if variable.name == name:
                return variable
        raise KeyError(name)

    def __iter__(self) -> Iterator[Hashable]:
        """Names of the columns that the plan decides about."""
        return (variable.name for variable in self.variables)

    def __contains__(self, name: object) -> bool:
        """Whether the plan decides about a column."""
        return any(variable.name == name for variable in self.variables)

    @property
    def title(self) -> str:
        """How the missing values are drawn, in one line."""
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
        if self.groups:
            return [(str(level), *row) for level, plan in self.groups for row in plan._rows()]
        left = [v for v in self.variables if v.role == "left"]
        alike = [[v for v in left if v.why == why] for why in dict.fromkeys(v.why for v in left)]
        many = [group for group in alike if len(group) > _ALIKE_COLUMNS]
        folded = {id(v) for group in many for v in group}
        shown = [v for v in self.variables if (v.n_missing or v.role in ("left", "outcome")) and id(v) not in folded]
        rows: list[tuple[str, ...]] = [
            (str(v.name), v.kind.value, str(v.n_missing), _ROLES.get(v.role, v.role), *self._drawn_by(v), v.why)
            for v in shown
        ]
        for group in many:
            n_incomplete = sum(v.n_missing > 0 for v in group)
            why = group[0].why + (f"; missing values remain in {n_incomplete}" if n_incomplete else "")
            rows.append((f"{len(group)} columns", "", "", _ROLES["left"], "", "", "", why))
        return rows

    @staticmethod
    def _drawn_by(one: Variable) -> tuple[str, str, str]:
        """Method, sampler and predictors as the table prints them."""
        return one.label, one.sampler, _cut(listed(one.predictors))

    def _facts(self) -> list[str]:
        """Lines above the table."""
        drawn = f"{_counted(len(self.order), 'column')} with missing values will be drawn"
        facts = [f"{drawn} in {self.n_rows} rows; {self.title}."]
        if not self.order:
            n_incomplete = sum(v.n_missing > 0 for v in self.variables)
            kept = f"nothing will be drawn: {_counted(n_incomplete, 'column')} with missing values left alone"
            facts = [f"{kept if n_incomplete else 'nothing is missing'} in {self.n_rows} rows."]
        shown = self.written or tuple(question.formula for question in self.questions)
        for one, question in zip(shown, self.questions, strict=True):
            facts.append(f"analysis   : {one}   ({question.model}, {question.said})")
            for name, value in question.names.items():
                if not callable(value) and not hasattr(value, "path"):
                    facts.append(f"from scope : {name} = {value!r}")
        if self.groups:
            many = listed((level for level, _ in self.groups), 6)
            facts.append(f"by         : {self.options.by} ({many}), each group imputed separately")
        facts += [f"derived    : {name} = {code}" for name, code in self.options.derived.items()]
        planned = {v.name for v in self.variables}
        complete = [str(name) for name in self.columns if name not in planned]
        if complete:
            facts.append(f"complete   : {listed(complete, 8)}")
        for factor in self.factors:
            if factor.question is not None and set(self.questions[factor.question].outcome) & set(self.order):
                rows = "the rows with its outcome observed" if factor.rows == "observed" else "all rows"
                facts.append(f"parameters : {factor.label} drawn from {rows}")
        facts += [f"error law  : {_shown_outcome(self, factor)}: {factor.law}" for factor in self.factors if factor.law]
        if sum(factor.question is not None for factor in self.factors) > 1:
            linked = (
                "each given the ones before it" if self.options.link == "sequence" else "independent given covariates"
            )
            facts.append(f"outcomes   : {linked}")
        facts += _said_of_clusters(self)
        auxiliaries = [str(f.variable) for f in self.factors if f.role == "auxiliary"]
        if auxiliaries:
            facts.append(f"auxiliary  : {listed(auxiliaries, 20)} (outside the analysis, imputed compatibly with it)")
        if self.order:
            facts.append(f"iterations : {self.iterations}")
        return facts

    def told(self) -> tuple[str, list[tuple[str, str]]]:
        """What is decided as a whole: a sentence, then labelled facts."""
        first, *others = self._facts()
        return first, [rows_of(one) for one in others]

    def legend(self) -> list[tuple[str, str]]:
        """The words for roles and samplers that occur, and what they mean."""
        return [rows_of(one) for one in self._legend()]

    def _legend(self) -> list[str]:
        """What the words in the table mean, those that occur."""
        drawn = [v for v in self.variables if v.role != "left"]
        samplers = [word for v in drawn for word in v.sampler.split(", ")]
        words = dict.fromkeys([*(v.role for v in drawn if v.name in self.order), *samplers])
        known = [word for word in _LEGEND if word in words]
        return [f"{word:<11} : {_LEGEND[word]}" for word in known]

    def __str__(self) -> str:
        head = self._head()
        rows = [head, *self._rows()]
        if len(rows) == 1:
            return "\n".join(["Imputation plan", *(f"  {fact}" for fact in self._facts()), *self._notes()])
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "-" * max(len(line) for line in lines))
        legend = ["", *self._legend()] if self._legend() else []
        facts = [f"  {fact}" for fact in self._facts()]
        return "\n".join(["Imputation plan", *facts, "", *lines, *self._notes(), *legend])

    def _head(self) -> tuple[str, ...]:
        """Names of the columns of the printed table."""
        return (str(self.options.by), *_HEAD) if self.groups else _HEAD

    def _notes(self) -> list[str]:
        """Lines below the table."""
        return [f"note: {event}" for event in self.events]

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        rows = [(*cells[:4], chip(cells[4]) if cells[4] else "", *cells[5:]) for cells in self._rows()]
        legend, (first, said) = facts(self.legend()), self.told()
        return block(
            "Imputation plan", first, facts(said),
            table(self._head(), rows, numbers=(3 if self.groups else 2,)) if rows else "", notes(self.events),
            folded("What the words mean", legend),
        )  # fmt: skip


_HEAD = ("column", "kind", "missing", "role", "method", "sampler", "predictors", "why")


#: role or sampler -> what it means
_LEGEND = {
    "covariate": "in the analysis: from its own model given the other covariates, weighted by the analysis' likelihood",
    "outcome": "from the analysis itself, with parameters drawn from their posterior",
    "auxiliary": "outside the analysis: from a model of its own given the analysis' outcome and terms",
    "column": "from its own model given other columns",
    "own": "sampler: drawn directly from the column's own model",
    "closed form": "sampler: exact, from the product of the models that contain the column",
    "Gibbs": "sampler: the component of each learned error given the current value, then as closed form",
    "steps": "sampler: Metropolis steps, as the outcome's residual sd depends on the column",
    "metropolis": "sampler: proposed where the models that contain the column put it; accepted, or the value is kept",
    "grid": "sampler: proposed from the product of the models on a grid of points; accepted, or the value is kept",
    "rejection": "sampler: proposed from its own model, accepted with probability given by the other models with it",
    "moves": "sampler: Metropolis steps together with another source of an observed derived value, which they keep",
    "enumerate": "sampler: each level drawn with probability given by all models that contain the column",
}
_ROLES = {"left": "excluded"}  # role -> how it is printed
_ALIKE_COLUMNS = 4  # more columns excluded for one reason share a line
_WIDE_CELL = 48  # characters for predictors in the table


def _shown_outcome(plan: Plan, factor: Factor) -> str:
    """The outcome of a factor, as its formula has it."""
    return str(factor.variable) if factor.question is None else plan.questions[factor.question].terms.outcome


def _said_of_clusters(plan: Plan) -> list[str]:
    """What differs by cluster in each mixed analysis."""
    found: dict[str, None] = {}
    for factor in plan.factors:
        method: Any = factor.method
        if factor.question is not None and facts_of(method).clustered:
            right = method.random.rpartition("~")[2].strip()
            found[f"clusters   : {method.unit}; its level{'' if right == '1' else f' and slopes ({right})'}"] = None
    return list(found)


def _cut(text: str) -> str:
    """A cell of the table, not too wide."""
    return text if len(text) <= _WIDE_CELL else text[: _WIDE_CELL - 3] + "..."


def _counted(many: int, noun: str) -> str:
    """A number and its noun."""
    return f"{many} {noun}{'' if many == 1 else 's'}"


class Piece(NamedTuple):
    """Part of a model, by name: the main effects of a variable, a formula's columns, or an outcome."""

    what: str  #: "main", "formula", "outcome", "mean" (of a variable within clusters) or "random" (a formula's columns)
    which: Any  #: the variable, the position of the design, or (variable, clusters)

"""Draft: a plan while it is made; what both kinds of plan ask of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import PlanError, call, listed
from ...formula.condition import Condition
from ...formula.derived import Derived
from ...formula.design import Designs
from ...formula.question import Question, ask_right
from ...formula.terms import code_of
from ...frame.kinds import Kind
from ...frame.masks import Mask
from ...frame.table import Column, Table
from ...frame.user_kinds import recoded
from ..contract import Method, facts_of
from ..methods import method_of_option, name_of
from ..methods.cox import nelson_aalen
from .analysed_scale import Scale, on_their_scales
from .association import Associations, strongest
from .bounds import Bounds
from .defaults import allowed_parameters, constant_within, thin_levels
from .derived_constraints import Relations
from .likelihoods import AROUND
from .options import Options
from .plan import Factor, Piece, Plan, Variable
from .skip_rules import Skip, ancestors, nested
from .support import truncated_unawares
from .transforms import total_within
from .usable_columns import is_constant, suiting, with_article

__all__ = ["Draft", "by_kind", "hazard_of"]


@dataclass
class Draft:
    """A plan while it is made: decisions gather here, and nothing of it survives but the Plan."""

    table: Table
    questions: tuple[Question, ...]
    options: Options
    scope: Mapping[str, Any]
    mode: str
    excluded: dict[Hashable, str]  #: columns neither drawn nor predictors, and why
    events: list[str]
    variables: dict[Hashable, Variable] = field(default_factory=dict)
    factors: list[Factor] = field(default_factory=list)
    extra: list[Question] = field(default_factory=list)
    numeric: list[Hashable] = field(default_factory=list)
    order: list[Hashable] = field(default_factory=list)
    iterations: int = 10
    skips: Mapping[Hashable, Skip] = field(default_factory=dict)
    bounds: dict[Hashable, Bounds] = field(default_factory=dict)
    ignored: Condition | Mask | None = None
    derived: tuple[Derived, ...] = ()
    relations: Relations = field(default_factory=Relations)  #: what derived columns say of those that are drawn
    sampled: dict[int, list[Piece]] = field(default_factory=dict)  #: sampling weights of analyses, as predictors
    later: list[Hashable] = field(default_factory=list)  #: sampling weights that follow the outcome: auxiliaries
    scales: dict[Hashable, Scale] = field(default_factory=dict)  #: numbers that the analyses have on another scale
    fewer: dict[Hashable, str] = field(default_factory=dict)  #: columns for whose predictors there is no room
    clusters: Hashable = None  #: the column of clusters of mixed analyses
    frozen: Designs | None = None  #: on the table as it was when they were asked for
    associated: Associations | None = None  #: of the table as it was when they were asked for

    @property
    def designs(self) -> Designs:
        """The designs of analyses on the table as it is now read."""
        if self.frozen is None or self.frozen.table is not self.table:
            self.frozen = Designs(self.table)
        return self.frozen

    @property
    def associations(self) -> Associations:
        """The associations of columns on the table as it is now read."""
        if self.associated is None or self.associated.table is not self.table:
            self.associated = Associations(self.table)
        return self.associated

    @property
    def in_analysis(self) -> tuple[Hashable, ...]:
        """Columns of the analyses, outcomes too."""
        return tuple(dict.fromkeys(v for q in self.questions for v in (*q.variables(self.table), *q.outcome)))

    def n_missing(self, name: Hashable) -> int:
        """How many values of a column are missing."""
        return len(self.table[name].missing)

    def add(
        self, name: Hashable, role: str, method: Method, label: str, pieces: Sequence[Piece], shown: Sequence[str],
        why: str,
    ) -> None:  # fmt: skip
        """Decide a column that is drawn."""
        kind = self.table[name].kind
        unit = self.options.id
        together = unit is not None and role != "outcome" and constant_within(self.table, name, unit)
        if together:
            why = f"one value for each {unit}; {why}"
        known, skip = self.bounds.get(name), self.skips.get(name)
        if truncated_unawares(known, name, role, method, self.questions, self.table):
            self.note(f"{name!r}: fitted as if nothing were cut off, only its draws are truncated (approximate)")
        why = "; ".join([*([str(known)] if known else []), *([f"where {skip.condition.code}"] if skip else []), why])
        self.variables[name] = Variable(
            name=name, kind=kind, n_missing=self.n_missing(name), role=role, method=method, label=label,
            pieces=tuple(pieces), predictors=tuple(shown), why=why, together=together, bounds=known, skip=skip,
        )  # fmt: skip

    def stated_method(self, name: Hashable) -> tuple[Method, str, str] | None:
        """The method the user asked for, checked against the kind of its column; its name; why."""
        option = self.options.methods.get(name, "leave")
        if isinstance(option, str) and option == "leave":
            return None
        method: Any = method_of_option(option)
        column = self.table[name]
        if column.kind not in method.kinds:
            suits = suiting(column, self.mode == "compatible")
            raise PlanError(
                f"method {name_of(method)!r} does not draw {with_article(column.kind.value)} column such as {name!r}.",
                suits=", ".join(suits),
                do=call("df.mice.impute", methods={name: suits[0]}),
            )
        if facts_of(method).clustered and method.unit is None:
            if self.clusters is None:
                raise PlanError(
                    f"{name_of(method)!r} draws {name!r} with the level of its cluster; no clusters are named.",
                    do=call("df.mice.impute", clusters=self._repeated(name)),
                )
            method = dataclasses.replace(method, unit=self.clusters)
        if facts_of(method).tuned:
            method = method.tuned(column.values[column.observed])
        return method, name_of(method), "as asked"

    def _repeated(self, name: Hashable) -> Hashable:
        """A column whose values could be clusters: complete, the fewest rows each among those that repeat."""
        columns = [c for n, c in self.table.columns.items() if n != name and not len(c.missing)]
        many = {c.name: len(np.unique(c.values)) for c in columns if c.kind is not Kind.OTHER}
        good = [n for n, k in many.items() if 1 < k <= self.table.n_rows / 2]
        return max(good, key=lambda n: many[n], default="school")

    def predictors(
        self, name: Hashable, others: Sequence[Hashable], first: Sequence[Hashable], n_fit: int
    ) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """Main effects of the other columns, or what the user asked for; as pieces and as a reader names them."""
        others = [other for other in others if not self.uninformative(other, name)] if self.skips else others
        option = self.options.predictors.get(name)
        if isinstance(option, str):
            return (Piece("formula", self.formula(name, option)),), (option,)
        if option is not None:
            for other in option:
                self._check_predictor(name, other)
            return tuple(Piece("main", other) for other in option), tuple(map(str, option))
        most = max(allowed_parameters(self.table, name, n_fit), 2)
        kept = strongest(self.associations, name, others, first, most)
        if len(kept) < len(others):
            self.fewer[name] = f"{name!r} ({len(kept)} of {len(others)})"
        return self.mains(name, kept)

    def mains(self, name: Hashable, others: Sequence[Hashable]) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """Main effects in a column's own model, each on the scale that the analyses have it on; as pieces and words."""
        if not self.scales:
            return tuple(Piece("main", other) for other in others), tuple(map(str, others))
        pieces, shown = [], []
        for other in others:
            scale = self.scales.get(other)
            if scale is None:
                pieces.append(Piece("main", other))
            else:
                pieces.append(Piece("formula", self.formula(name, scale.code)))
                self.note(f"{other!r} predicts other columns as {scale.code}, as the analysis has it")
            shown.append(str(other) if scale is None else scale.code)
        return tuple(pieces), tuple(shown)

    def seen_by(self, name: Hashable) -> Table:
        """The table as the own model of a column looks at it: predictors on the scale of the analyses."""
        if name in self.options.predictors:
            return self.table
        return on_their_scales(self.table, {n: scale for n, scale in self.scales.items() if n != name})

    def uninformative(self, other: Hashable, name: Hashable) -> bool:
        """Whether a column is no predictor of another: it lacks values, or its condition depends on the other."""
        skip = self.skips.get(other)
        if skip is None:
            return False
        if skip.value is None and not self._asked_both(other, name):
            return True
        return self.n_missing(name) > 0 and name in ancestors(other, self.skips)

    def _asked_both(self, other: Hashable, name: Hashable) -> bool:
        """Whether a column has a value wherever another is asked for, by the other's condition."""
        skip = self.skips.get(name)
        return skip is not None and other in skip.condition.variables and not {"|", "~"} & set(skip.condition.code)

    def formula(self, name: Hashable, right: str) -> int:
        """Register the right side of a formula as a design; return its number."""
        question = ask_right(right, self.table, {**self.scope, **_HELPERS})
        for other in question.variables(self.table):
            self._check_predictor(name, other)
        known = [one.formula for one in self.extra]
        if question.formula not in known:
            self.extra.append(question)
            known.append(question.formula)
        return len(self.questions) + known.index(question.formula)

    def recode(self, names: Sequence[Hashable], kinds: set[Kind]) -> None:
        """Read rating scales among some columns as plain numbers, or numbers as levels: how they are then drawn."""
        found = [n for n in names if self.table[n].kind in kinds and self.table[n].number]
        fresh = [n for n in dict.fromkeys(found) if n not in self.numeric]
        self.numeric += fresh
        self.skips = {n: skip.recoded(self.table[n]) if n in fresh else skip for n, skip in self.skips.items()}
        self.table = recoded(self.table, fresh)

    def around(self, name: Hashable, others: Sequence[Hashable]) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """What an analysis is given and a covariate may follow: strata, entry, weights, offset, log exposure."""
        told = {v for q in self.questions for v in q.outcome} | {name}
        found: dict[str, Piece] = {}
        for number, question in enumerate(self.questions):
            words = [word for word in AROUND if not (number in self.sampled and word.endswith("weights"))]
            for piece in self.sampled.get(number, ()):
                found[self.shown(piece)] = piece
            for word in (word for word in words if question.keywords.get(word) is not None):
                given = question.keywords[word]
                if not isinstance(given, Hashable) or given not in self.table:
                    if np.ndim(given):
                        self.note(f"{word}= is no column: it is not used in the covariates' own models")
                    continue
                column, code = self.table[given], code_of(given)
                most = max(self.table.n_rows // 20, 2)
                if given in told or is_constant(column):
                    continue
                if word == "strata" and len(np.unique(column.values)) > most:
                    self.note(f"{given!r} has more than {most} strata: they are not used in the covariates' own models")
                elif word == "exposure" or (word == "strata" and column.number):
                    right = f"np.log({code})" if word == "exposure" else f"C({code})"
                    found[right] = Piece("formula", self.formula(None, right))
                elif given not in others:
                    found[code] = Piece("main", given)
        return tuple(found.values()), tuple(found)

    def shown(self, piece: Piece) -> str:
        """The right side of a registered formula."""
        return [*self.questions, *self.extra][piece.which].formula.partition("~")[2].strip()

    def note(self, event: str) -> None:
        """Keep an event, once."""
        if event not in self.events:
            self.events.append(event)

    def cluster_means(self, name: Hashable, others: Sequence[Hashable]) -> tuple[Piece, ...]:
        """Means of the numeric columns by cluster, where an analysis is clustered, or by id."""
        found = []
        units = [q.keywords.get("groups") for q in self.questions] if self.mode == "terms" else []
        units += [self.clusters] if self.mode != "compatible" else []
        if self.options.id is not None and constant_within(self.table, name, self.options.id):
            units.append(self.options.id)
        for unit in dict.fromkeys(unit for unit in units if isinstance(unit, Hashable)):
            if unit in self.table:
                numbers = [n for n in others if self.table[n].number and not constant_within(self.table, n, unit)]
                found += [Piece("mean", (n, unit)) for n in numbers]
        return tuple(found)

    def ordered(self, names: Sequence[Hashable]) -> list[Hashable]:
        """Fewest missing values first, or as asked."""
        option = [n for n in self.options.order or () if n in set(names)]
        found = option + [n for n in sorted(names, key=self.n_missing) if n not in option]
        looks = {n: skip.condition.variables for n, skip in self.skips.items()}
        for name in nested([n for n in found if n in looks], looks):  # once its condition is settled
            after = [found.index(v) for v in looks[name] if v in found]
            if after and max(after) > found.index(name):
                found.insert(max(after), found.pop(found.index(name)))
        return found

    def ignore_rest(self, used: Sequence[Hashable]) -> None:
        """Say what will keep its missing values."""
        known = set(used)
        for name in self.table.columns:
            if name not in known:
                self.excluded.setdefault(name, "outside the analysis")
        kept = [
            n
            for n in self.excluded
            if self.n_missing(n) and self.options.methods.get(n) != "leave" and n not in self.options.derived
        ]
        if kept:
            self.events.append(f"not imputed, missing values remain: {listed(map(repr, kept), len(kept))}")

    def plan(self) -> Plan:
        """Freeze the decisions."""
        if self.fewer:
            self.note(f"as many predictors as the rows allow, the most correlated: {listed(self.fewer.values(), 8)}")
        multinomial = [v.name for v in self.variables.values() if v.label == "multinomial"]
        multinomial += [
            f.variable for f in self.factors if f.role == "auxiliary" and name_of(f.method) == "multinomial"
        ]
        for name in dict.fromkeys(multinomial):
            if said := thin_levels(self.table[name], name in self.in_analysis):
                self.note(said)
        rest = [
            Variable(name=name, kind=self.table[name].kind, n_missing=self.n_missing(name), role="left", why=why)
            for name, why in self.excluded.items()
            if name not in self.variables
        ]
        rest += self._silent_parents({v.name for v in [*self.variables.values(), *rest]})
        iterations = self.iterations if self.options.iterations is None else self.options.iterations
        return Plan(
            questions=self.questions, mode=self.mode, extra=tuple(self.extra),
            variables=(*self.variables.values(), *rest), factors=tuple(self.factors), order=tuple(self.order),
            iterations=iterations, numeric=tuple(self.numeric), options=self.options, events=tuple(self.events),
            columns=tuple(self.table.columns), n_rows=self.table.n_rows, ignored=self.ignored,
        )  # fmt: skip

    def _silent_parents(self, listed: Set[Hashable]) -> list[Variable]:
        """Complete columns that stay missing outside a condition, where what derives from them is missing too."""
        parents = {p for one in self.derived if one.name in self.options.bounds for p in one.parents}
        found = {name: skip for name, skip in self.skips.items() if name in parents - listed and skip.value is None}
        return [
            Variable(name=name, kind=self.table[name].kind, n_missing=0, role="column", skip=skip)
            for name, skip in found.items()
        ]

    def _check_predictor(self, name: Hashable, other: Hashable) -> None:
        """Refuse a predictor that is no column, the variable itself, or keeps its missing values."""
        column = self.table.require(other, f"predictors of {name!r}")
        good = [n for n in self.table.columns if n not in (name, other) and n not in self.excluded][:3]
        do = call("df.mice.impute", predictors={name: good})
        if other == name:
            raise PlanError(f"{name!r} cannot predict itself.", do=do)
        if self.uninformative(other, name):
            raise PlanError(f"{other!r} has no value where {self.skips[other].condition.code} does not hold.", do=do)
        if len(column.missing) and other in self.excluded:
            raise PlanError(
                f"{other!r} predicts {name!r} but has {len(column.missing)} missing values and is not imputed.",
                do=do,
            )
        if column.kind is Kind.OTHER:
            raise PlanError(
                f"{other!r} {column.coding.problem}; it cannot predict {name!r}.",
                do=do,
            )


_HELPERS = {"nelson_aalen": nelson_aalen, "np": np, "total_within": total_within}


def hazard_of(question: Question, table: Table, log_time: bool = True, unit: Hashable = None) -> str:
    """What a survival outcome tells a linear model: the event, the cumulative hazard, the log of time.

    Of a unit with several rows: totals over its rows. Where a time is 0, its log is left out.
    """
    words = {word: question.keywords.get(word) for word in ("status", "entry", "strata")}
    named = {word: code_of(value) for word, value in words.items() if isinstance(value, str)}
    status = named.pop("status", None)
    arguments = [question.terms.outcome, status or f"1 + 0 * {question.terms.outcome}"]
    arguments += [f"{word}={code}" for word, code in named.items()]
    parts = [*([status] if status else []), f"nelson_aalen({', '.join(arguments)})"]
    time = question.terms.outcome
    if unit is not None:
        group = code_of(unit)
        parts = [f"total_within({part}, {group})" for part in parts]
        spell = f"{time} - {named['entry']}" if "entry" in named else time
        time = f"total_within({spell}, {group})"
    logged = log_time and _above_zero(question, table, unit)
    return " + ".join([*parts, f"np.log({time})"] if logged else parts)


def _above_zero(question: Question, table: Table, unit: Hashable) -> bool:
    """Whether the time of every row, or the total of every unit, has a logarithm."""
    if not question.bare:
        return True
    column = table[question.outcome[0]]
    time, entry = column.numbers(column.values), question.keywords.get("entry")
    if unit is None:
        return bool(np.all(time > 0))
    if isinstance(entry, str):
        time = time - table[entry].numbers(table[entry].values)
    return bool(np.all(total_within(time, table[unit].values) > 0))


def by_kind(column: Column) -> str:
    """Why a default method was chosen."""
    if column.kind is Kind.BINARY:
        return "two values: " + ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in column.coding.levels)
    if column.kind is Kind.ORDINAL:
        return f"{column.n_levels} ordered levels" + (" (enters as its number)" if column.number else "")
    if column.kind is Kind.NOMINAL:
        return f"{column.n_levels} levels"
    return "whole numbers from 0" if column.kind is Kind.COUNT else "numeric"

"""Engine: the plan prepared for its table: designs frozen, model columns resolved to positions in the store.

A pure function of (table, plan), made again in every process and shared by the chains there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...formula.derived import Derived
from ...formula.design import Design, Designs
from ...formula.question import Inverse, Question
from ...frame.kinds import Kind
from ...frame.masks import Mask
from ...frame.table import Table
from ...typing import Array, Rows
from ..contract import Method, Offers, Visit, facts_of
from ..methods.cox import Times
from ..plan.derived_constraints import relations
from ..plan.likelihoods import keyword_vector
from ..plan.plan import Factor, Piece, Plan, Variable
from ..plan.sampler_choice import Choice, ConstraintKind, Errors, choose, multiplies, offers
from ..plan.skip_patterns import SkipPattern
from .constraint import Constraint, constraint, cut_off, narrowed
from .likelihood_terms import GroupedRows
from .mixture_term import spread_columns
from .store import ColumnStore, Layout, Model
from .visit import ClusterCodes

__all__ = ["Engine", "FactorRuntime", "ModelInfo"]


_LITTLE = 1_024  # numbers that a finished chain may always keep


class ModelInfo(NamedTuple):
    """A model of the plan, and the variable or factor that it belongs to."""

    key: Any
    method: Any
    model: Model
    outcome: tuple[Hashable, ...]
    n_levels: int
    runtime: FactorRuntime | None  #: None of a variable's own model


class FactorRuntime:
    """One factor at run time: its columns, the rows it is fitted on, and how its outcome is read."""

    def __init__(self, engine: Engine, factor: Factor, position: int) -> None:
        self.factor, self.position = factor, position
        self.key = ("factor", position)
        self.table = engine.table
        self.question: Question | None = None if factor.question is None else engine.plan.questions[factor.question]
        self.design = None if factor.question is None else engine.designs[factor.question]
        self.outcome: tuple[Hashable, ...] = (factor.variable,) if self.question is None else self.question.outcome
        self.label = str(factor.variable) if self.question is None else "the analysis"
        self.rows: Rows | None = None
        if factor.rows == "observed":
            self.rows = engine.table.complete_rows(self.outcome)
        elif factor.rows == "units":
            self.rows = engine.first_rows
        self.method = self._bound()
        self.model = self._without_constant(engine.layout.model(factor.pieces, constant=factor.question is None))
        self.components = _components(self.method)
        if self.components:
            self.method = self.method.bound(spread_columns(engine.layout, self.model.columns))
        self.place = self._place(engine)
        self.kind, self.n_levels = self._kind()
        self.offset = self._offset()
        self.clusters = engine.cluster_codes(self.method, self.model)
        self.weights = self._product("weights", "var_weights") if factor.weighting == "likelihood" else None

    def response(self, values: Mapping[Hashable, Array]) -> Array:
        """The outcome with its current values, shape (n,): in the user's units, level codes, or row numbers."""
        if facts_of(self.method).survival:
            return np.arange(self.table.n_rows, dtype=np.float64)
        if self.design is None or self.question is None or self.question.facts.levels:
            return values[self.outcome[0]]
        found = self.design.response({v: values[v] for v in self.outcome})
        if self.kind is Kind.BINARY and self.question.level is None:
            last = self.table[self.outcome[0]].coding.levels[-1] if self.question.bare else 1.0
            return (found == last).astype(np.float64)
        return found

    def vector(self, word: str) -> Array | None:
        """A keyword's column or array as numbers, shape (n,); None where it is not given."""
        return None if self.question is None else keyword_vector(self.question, word, self.table)

    def _bound(self) -> Any:
        """The method; that of a survival analysis with its times."""
        method: Any = self.factor.method
        if not facts_of(method).survival or self.design is None:
            return method
        time = self.design.response({v: self.table[v].values for v in self.outcome})
        status = self.vector("status")
        event = np.ones(len(time)) if status is None else status
        times = Times.of(time, event, self.vector("entry"), self.vector("strata"))
        return method.bound(times)

    def _without_constant(self, model: Model) -> Model:
        """Whether a constant is included: a survival analysis has none."""
        keep = model.columns != 0 if facts_of(self.method).survival else slice(None)
        return Model(model.columns[keep], model.terms[keep], model.random)

    def _place(self, engine: Engine) -> int | None:
        """The store's column of the outcome, where its cross-products serve a linear model."""
        if self.factor.question is not None:
            return engine.layout.outcome[self.factor.question]
        return engine.place(self.factor.variable)

    def _kind(self) -> tuple[Kind, int]:
        if self.question is None or self.question.facts.levels:
            return self.table[self.outcome[0]].kind, self.table[self.outcome[0]].n_levels
        return (Kind.BINARY, 2) if self.method.kinds == {Kind.BINARY} else (Kind.NUMERIC, 0)

    def _offset(self) -> Array | None:
        """The known part of the linear predictor: offset plus log exposure."""
        offset, exposure = self.vector("offset"), self.vector("exposure")
        parts = [part for part in (offset, None if exposure is None else np.log(exposure)) if part is not None]
        return sum(parts[1:], parts[0]) if parts else None

    def _product(self, *words: str) -> Array | None:
        """The product of the weights given."""
        parts = [part for part in map(self.vector, words) if part is not None]
        return np.prod(parts, axis=0) if parts else None


def _written(pieces: Sequence[Piece]) -> list[int]:
    """The formulas among the pieces of a model."""
    return [p.which for p in pieces if p.what in ("formula", "random") and p.which is not None]


def _components(method: Any) -> bool:
    """Whether the errors of a method are a mixture of normals, its components to be drawn."""
    offered = facts_of(method).offers
    return offered is not None and offered.components


class Engine:
    """What all chains share.

    Parameters
    ----------
    table : Table
    plan : Plan
    derived : sequence of Derived
    like : Engine, optional
        The engine whose designs, centres and scales are taken: that of the first rows, where the table has more.
    designs : Designs, optional
        Of the plan's analyses on the table, where some were frozen before.
    """

    def __init__(
        self, table: Table, plan: Plan, derived: Sequence[Derived] = (), like: Engine | None = None,
        designs: Designs | None = None,
    ) -> None:  # fmt: skip
        self.table, self.plan, self.derived = table, plan, tuple(derived)
        self.designs: list[Design]
        self.layout: Layout
        self.copies = self._copies()
        self._codes: dict[Hashable, Rows] = {}
        self.variables = {name: plan[name] for name in plan.order}
        self.observed = {name: table[name].observed for name in plan.order}
        self.designs, self.layout = (
            self._columns(designs or Designs(table)) if like is None else (like.designs, like.layout.on(table))
        )
        self.own = {name: self.layout.model(v.pieces) for name, v in self.variables.items()}
        self.first_rows = self._first_rows()
        self.factors = [FactorRuntime(self, factor, position) for position, factor in enumerate(plan.factors)]
        self.own_factor = {name: self._own_factor(name) for name in plan.order}
        self.unit_first_rows, self.grouped_rows = self._units()
        self.clusters = {name: self._clusters(name) for name in self.variables}
        self.feeds = {name: self._fed(name) for name in plan.order}
        self.ignored = self._ignored()
        self.build_constraints()
        for runtime in self.factors:
            runtime.rows = self._learnt(runtime)
        self.grams = like is None and any(facts_of(h.method).cross for h in self._holders())
        self._inside = [tuple(_written(factor.pieces)) for factor in plan.factors]
        self._affine: dict[tuple[tuple[int, ...], Hashable], bool] = {}
        self._known: dict[frozenset[Hashable], Rows] = {}
        self.choices = self.chosen()

    def build_constraints(self) -> None:
        """Build the constraints on missing values: bounds, skip patterns, derived columns."""
        columns = ((v, self.table[name]) for name, v in self.variables.items())
        self.limits = {v.name: v.bounds.ends(self.table, c) for v, c in columns if v.bounds is not None}
        self.constraints = {name: constraint(self.table[name], ends) for name, ends in self.limits.items()}
        known = [(v.name, v.bounds) for v in self.variables.values() if v.bounds is not None]
        self.cuts = {name: found.limits(self.table, self.table[name]) for name, found in known}
        conditions = {v.name: v.skip for v in self.plan.variables if v.skip is not None}
        self.pattern = SkipPattern(self.table, conditions, self.plan.order)
        self.relations = relations(self.derived, self.table, self.plan.order, self.plan.options, conditions)

    def new_store(self, values: dict[Hashable, Array]) -> ColumnStore:
        """A store for one chain's values."""
        held_at_zero = [r.place for r in self.factors if r.factor.rows == "observed" and r.place is not None]
        return ColumnStore(self.layout, values, held_at_zero, self.grams)

    @cached_property
    def starts(self) -> dict[Any, Rows]:
        """Rows where all columns of each model were observed; empty if they do not suffice for one of them."""
        found: dict[Any, Rows] = {}
        for each in self.models:
            if each.runtime is None and self.variables[each.key].role == "column":
                continue  # columns of chained equations need no complete-case start
            found[each.key] = self.complete_rows(each)
            if len(found[each.key]) < 3 * len(each.model.columns) or not self._levels_present(each, found[each.key]):
                return {}
        return found

    @cached_property
    def opening(self) -> dict[Any, Any]:
        """Where first fits of models of levels and of error laws begin: on the rows that miss none of their columns.

        Only of those that have ten such rows for each parameter, and need no rescue there.
        """
        found: dict[Any, Any] = {}
        if self.layout.means or any(variable.skip for variable in self.variables.values()):
            return found  # the rows that count there depend on what is drawn
        for each in self.models:
            facts = facts_of(each.method)
            if not (facts.curvature or facts.opened):
                continue
            rows, enough = self.complete_rows(each), 10 * len(each.model.columns) * max(each.n_levels - 1, 1)
            if len(rows) >= enough and self._levels_present(each, rows):
                warm_start = each.method.fit(self.seen(each, rows), np.random.default_rng(0)).warm
                if warm_start is not None and not getattr(
                    warm_start, "rescued", False
                ):  # of one level there is nothing left
                    found[each.key] = warm_start
        return found

    @cached_property
    def room(self) -> int:
        """How many numbers the curvature of a model may take in a finished chain: together no more than all draws."""
        n_missing = sum(len(self.table[name].missing) for name in self.plan.order)
        return max(_LITTLE, n_missing // max(sum(facts_of(each.method).curvature for each in self.models), 1))

    @cached_property
    def models(self) -> list[ModelInfo]:
        """Every model: of each variable that has one of its own, and the factors."""
        own = [v for v in self.variables.values() if self.own_factor[v.name] is None]
        return [
            *(ModelInfo(v.name, v.method, self.own[v.name], (v.name,), self.table[v.name].n_levels, None) for v in own),
            *(ModelInfo(r.key, r.method, r.model, r.outcome, r.n_levels, r) for r in self.factors),
        ]

    def complete_rows(self, each: ModelInfo) -> Rows:
        """Rows where all columns of a model were observed, less the ignored; one of each id if it is fitted on ids."""
        names = self._named(each)
        if names not in self._known:
            rows = self.table.complete_rows(names)
            self._known[names] = rows if self.ignored is None else rows[~self.ignored[rows]]
        single = each.key in self.grouped_rows or (each.runtime is not None and each.runtime.factor.rows == "units")
        rows = self._known[names]
        return np.intersect1d(rows, self.first_rows) if single and self.first_rows is not None else rows

    def _levels_present(self, each: ModelInfo, rows: Rows) -> bool:
        """Whether every level of every column of a model occurs in some rows, and of a count drawn by its levels."""
        discrete = [self.table[name] for name in self._named(each) if self.table[name].kind.discrete]
        if not all(len(np.unique(column.values[rows])) == column.n_levels for column in discrete):
            return False
        own = self.table[each.outcome[0]]
        if own.kind is not Kind.COUNT or facts_of(each.method).unseen:
            return True
        return bool(np.isin(own.values[own.observed], own.values[rows]).all())

    def _named(self, each: ModelInfo) -> frozenset[Hashable]:
        """All columns of the table that a model contains."""
        return self.layout.needs(np.append(each.model.columns, each.model.random)) | set(each.outcome)

    def seen(self, each: ModelInfo, rows: Rows) -> Visit:
        """What a method sees of a model on rows where nothing is drawn."""
        columns, runtime = each.model.columns, each.runtime
        rows = rows if self.copies is None else np.repeat(rows, self.copies[rows])
        data = {name: self.table[name].values[rows] for name in self.layout.needs(columns)}
        X = self.layout.standard(columns, data, len(rows))
        values = {name: column.values for name, column in self.table.columns.items()}
        y = self.table[each.outcome[0]].values if runtime is None else runtime.response(values)
        weights, offset = (self.survey_weights(rows), None) if runtime is None else (runtime.weights, runtime.offset)
        return Visit(
            y[rows], X, each.model.terms, self.table[each.outcome[0]].kind, each.n_levels,
            weights=None if weights is None else weights[rows], offset=None if offset is None else offset[rows],
        )  # fmt: skip

    def repeated(self, rows: Rows | None) -> Rows | None:
        """Fit rows as often as their frequency weights say; None for every row once."""
        if self.copies is None:
            return rows
        every = np.arange(self.table.n_rows) if rows is None else rows
        return np.repeat(every, self.copies[every])

    def kept(self, name: Hashable, rows: Rows | None, values: Mapping[Hashable, Array]) -> Rows | None:
        """Rows on which a column's own model is fitted: its condition holds, it has a value, not ignored."""
        skip = self.variables[name].skip
        if self.ignored is None and skip is None:
            return rows
        found = np.arange(self.table.n_rows) if rows is None else rows
        if self.ignored is not None:
            found = found[~self.ignored[found]]
        return found if skip is None else np.intersect1d(found, skip.inside(self.table, values))

    def constraint(self, name: Hashable, values: Mapping[Hashable, Array]) -> Constraint | None:
        """What is known of the missing values of a column, given the other columns as they stand."""
        found = self._narrowed(name, values)
        if not len(self.pattern.bound_rows(name)):
            return found
        demand, missing = self.pattern.demand(name, values), self.table[name].missing
        found = found or constraint(self.table[name], None)
        if self.table[name].kind is Kind.NUMERIC and not facts_of(self.variables[name].method).donors:
            low, high, whole = demand.interval()
            low, high = np.maximum(low[missing], found.low), np.minimum(high[missing], found.high)
            if np.all(low <= high):
                found = dataclasses.replace(found, low=low, high=high)
                if whole:
                    return found
        return dataclasses.replace(found, allowed=lambda at, drawn: demand.suitable(missing[at], drawn))

    def _narrowed(self, name: Hashable, values: Mapping[Hashable, Array]) -> Constraint | None:
        """The bounds of a column, and those of what derives from it, the other columns as they stand."""
        found, held = self.constraints.get(name), self.relations.held_by(name)
        if not held:
            return found
        unseen = facts_of(self.variables[name].method).unseen
        around, tied = found or constraint(self.table[name], None), self.relations.tied(name)
        return narrowed(around, held, name, unseen, self.table, values, tied, self.grouped_rows.get(name))

    def cut(self, name: Hashable, values: Mapping[Hashable, Array]) -> tuple[Array, Array] | None:
        """Where a column's distribution is cut off in every row, each (n,); None where it is not."""
        static = self.cuts.get(name)
        held = [one for one in self.relations.held_by(name) if one.always and name in one.linear]
        return cut_off(static, held, name, self.table, values) if held else static

    def chosen(self) -> dict[Hashable, Choice]:
        """The sampler of every variable: what its chain runs, and what the plan states."""
        return {name: self._chosen(name) for name in self.plan.order}

    def _chosen(self, name: Hashable) -> Choice:
        """The sampler of a variable: from its own factor, the factors that contain it, and its constraint."""
        variable, runtime, column = self.variables[name], self.own_factor[name], self.table[name]
        assert variable.method is not None
        if variable.role == "column":
            return self.choice_alone(name, variable.method)
        own, undone = offers(variable.method if runtime is None else runtime.method, column), self.inverse(name)
        inverse = None if undone is None else undone[0]
        feeds = [(offers(f.method, self.table[f.outcome[0]]).gaussian, self.affine(f, name)) for f in self.feeds[name]]
        return choose(
            own, [multiplies(own, gaussian, affine, inverse) for gaussian, affine in feeds],
            self._constraint_kind(name), inverse=inverse, weights=runtime is not None and runtime.weights is not None,
            offset=runtime is not None and runtime.offset is not None,
            errors=[self._errors(f, name) for f in self.feeds[name]], shared=name in self.grouped_rows,
            straight=all(affine for _, affine in feeds),
        )  # fmt: skip

    def _errors(self, runtime: FactorRuntime, name: Hashable) -> Errors:
        """How the outcome of a factor varies around its mean, as a variable changes."""
        if not runtime.components:
            return Errors.DECLARED
        varying = runtime.model.columns[list(runtime.method.spread_columns)]
        return Errors.HETEROSCEDASTIC if name in self.layout.needs(varying) else Errors.MIXTURE

    def choice_alone(self, name: Hashable, method: Method) -> Choice:
        """The sampler of a variable with no likelihood terms."""
        constraint = self._constraint_kind(name)
        own = offers(method, self.table[name]) if any(constraint) else Offers()
        return choose(own, (), constraint)

    def _constraint_kind(self, name: Hashable) -> ConstraintKind:
        """The kind of constraint on the missing values of a variable."""
        held = self.relations.held_by(name)
        curved = any(name not in one.linear for one in held)
        return ConstraintKind(name in self.constraints or bool(held), len(self.pattern.bound_rows(name)) > 0 or curved)

    def place(self, name: Hashable) -> int | None:
        """The store's column of a number, where its cross-products serve a linear model."""
        column = self.table[name]
        return self.layout.main[name][0] if name in self.layout.main and column.number and not column.n_levels else None

    def affine(self, runtime: FactorRuntime, name: Hashable) -> bool:
        """Whether a factor's linear predictor is affine in what is drawn for a variable."""
        key = (self._inside[runtime.position], name)
        if key not in self._affine:
            inside = [self.designs[which] for which in key[0] if name in self.designs[which].variables]
            # An outcome expression is drawn as such: an auxiliary sees it as it is, another formula sees the column.
            self._affine[key] = all(self.inverse(name) is None and design.affine_in(name) for design in inside)
        return self._affine[key]

    def collapses(self, runtime: FactorRuntime, name: Hashable) -> bool:
        """Whether a mixed model sees values that its clusters share, so that their effects are integrated out."""
        clusters = runtime.clusters
        if clusters is None or name not in self.grouped_rows or runtime.method.unit != self.plan.options.id:
            return False
        return name not in self.layout.needs(clusters.places)

    def straight(self, runtime: FactorRuntime, name: Hashable) -> bool:
        """Whether a factor's linear predictor is a line in a number's own values."""
        return not self.table[name].kind.discrete and self.inverse(name) is None and self.affine(runtime, name)

    def inverse(self, name: Hashable) -> tuple[Inverse, Any] | None:
        """How an outcome expression is undone, and its design; None where the outcome is a column as it stands."""
        runtime = self.own_factor[name]
        if runtime is None or runtime.question is None or runtime.question.bare:
            return None
        inverse = runtime.question.inverse(self.table)
        assert inverse is not None  # the plan refuses an outcome that cannot be undone
        return inverse, self.designs[runtime.factor.question or 0]

    def _columns(self, frozen: Designs) -> tuple[list[Design], Layout]:
        """The designs, frozen on the table, and the columns of the store."""
        designs = [frozen.of(question) for question in self._formulas()]
        return designs, Layout(self.table, designs, self._mains(), self._means())

    def _first_rows(self) -> Rows | None:
        """The first row of every id, sorted; None where there are no ids."""
        unit = self.plan.options.id
        return None if unit is None else np.sort(np.unique(self.table[unit].values, return_index=True)[1])

    def _units(self) -> tuple[Rows | None, dict[Hashable, GroupedRows]]:
        """The first row of every id, and which missing values are drawn together."""
        together = [name for name, variable in self.variables.items() if variable.together]
        if not together:
            return None, {}
        codes = np.unique(self.table[self.plan.options.id].values, return_inverse=True)[1].reshape(-1)
        units = {name: np.unique(codes[self.table[name].missing], return_inverse=True)[1] for name in together}
        return self.first_rows, {name: GroupedRows.of(unit.reshape(-1)) for name, unit in units.items()}

    def cluster_codes(self, method: Any, model: Model) -> ClusterCodes | None:
        """The clusters of a mixed model, in all rows; None of any other."""
        if not facts_of(method).clustered or method.unit is None:
            return None
        if method.unit not in self._codes:
            self._codes[method.unit] = np.unique(self.table[method.unit].values, return_inverse=True)[1].reshape(-1)
        codes = self._codes[method.unit]
        return ClusterCodes(codes, int(codes.max()) + 1, model.random)

    def _clusters(self, name: Hashable) -> ClusterCodes | None:
        """The clusters of a column whose own model is mixed; None of any other."""
        runtime = self.own_factor[name]
        if runtime is not None:
            return runtime.clusters
        return self.cluster_codes(self.variables[name].method, self.own[name])

    def _ignored(self) -> npt.NDArray[np.bool_] | None:
        """Rows that no model is fitted on, shape (n,)."""
        found = self.plan.ignored
        if found is None or isinstance(found, Mask):
            return None if found is None else found.marked
        return found.holds(self.table, {v: self.table[v].values for v in found.variables})

    def _learnt(self, runtime: FactorRuntime) -> Rows | None:
        """Rows that a factor is fitted on and has a likelihood in; None for all."""
        variable = None if runtime.question is not None else self.variables.get(runtime.factor.variable)
        skip = None if variable is None else variable.skip
        if skip is None:
            return runtime.rows
        inside = skip.inside(self.table, {v: self.table[v].values for v in skip.condition.variables})
        return inside if runtime.rows is None else np.intersect1d(runtime.rows, inside)

    def survey_weights(self, rows: Rows | None) -> Array | None:
        """Survey weights of plain chained equations, shape (n,), of mean 1 on the fit rows; None without."""
        option = self.plan.options.weights
        if option is None or isinstance(option, Mapping):
            return None
        column = self.table[option]
        found = column.numbers(column.values)
        return np.asarray(found / np.mean(found if rows is None else found[rows]))

    def _copies(self) -> Rows | None:
        """How many rows each row stands for, shape (n,)."""
        option = self.plan.options.weights
        if isinstance(option, Mapping):
            column = self.table[option["frequency"]]
            return column.numbers(column.values).astype(np.int64)
        for question in self.plan.questions:
            found = keyword_vector(question, "freq_weights", self.table)
            if found is not None and self.plan.mode != "ignore":
                return found.astype(np.int64)
        return None

    def _holders(self) -> list[Variable | Factor]:
        """All that has a model."""
        return [*self.variables.values(), *self.plan.factors]

    def _formulas(self) -> list[Question]:
        """Questions whose columns some model uses; all, or none."""
        written = ("formula", "outcome", "random")
        used = any(piece.what in written for holder in self._holders() for piece in holder.pieces)
        return [*self.plan.questions, *self.plan.extra] if used else []

    def _mains(self) -> list[Hashable]:
        """Columns whose main effects the store keeps: predictors, and what is drawn."""
        mains = dict.fromkeys(p.which for holder in self._holders() for p in holder.pieces if p.what == "main")
        mains.update(dict.fromkeys(name for name, v in self.variables.items() if v.role != "outcome"))
        mains.update(dict.fromkeys(p.which[0] for h in self._holders() for p in h.pieces if p.what == "mean"))
        mains.update(dict.fromkeys(f.variable for f in self.plan.factors if f.question is None))
        return list(mains)

    def _means(self) -> list[tuple[Hashable, Hashable]]:
        """Columns whose cluster means some model uses."""
        return list(dict.fromkeys(p.which for h in self._holders() for p in h.pieces if p.what == "mean"))

    def _own_factor(self, name: Hashable) -> FactorRuntime | None:
        """The factor that is a variable's own model: of an outcome or an auxiliary."""
        if self.variables[name].role == "column":
            return None
        return next((runtime for runtime in self.factors if name in runtime.outcome), None)

    def _fed(self, name: Hashable) -> list[FactorRuntime]:
        """Factors whose right side contains a variable."""
        if self.variables[name].role == "column":
            return []
        changed = np.zeros(len(self.layout.slots), dtype=bool)
        changed[self.layout.depends.get(name, np.empty(0, dtype=np.int64))] = True
        models = [runtime.model for runtime in self.factors]
        fed = [changed[model.columns].any() or changed[model.random].any() for model in models]
        return [runtime for runtime, one in zip(self.factors, fed, strict=True) if one]

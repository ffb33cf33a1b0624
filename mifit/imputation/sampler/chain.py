"""One chain, sweep by sweep.

Sweep t of chain k draws from ``SeedSequence(entropy, spawn_key=(*parent_key, k, t))``. Between sweeps a chain is its
filled values and its warm starts. So workers, back ends and continued chains give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ...typing import Array, Rows
from ..contract import Fitted, facts_of
from ..numerics.fit import WarmStart
from ..plan.plan import Variable
from ..plan.sampler_choice import Choice
from ..plan.skip_patterns import refuse_contradiction
from ..plan.skip_rules import elsewhere
from .collapsed_term import together, without_effects
from .engine import Engine, FactorRuntime
from .likelihood_terms import LikelihoodTerm
from .metropolis import Conditional, check, move
from .mixture_term import FIRST_STEPS, STEPS, MixtureTerm
from .panel import Panel, fits_in
from .samplers import Draw, TransformedOutcome, draw
from .store import ColumnStore, Model
from .traces import Traces
from .visit import ClusterCodes, Response, StoreVisit

__all__ = ["Chain", "ChainState", "Fit", "VisitRecord", "with_effect"]


_TOGETHER = 2  # auxiliaries from which on their models are evaluated together
_STRAYED = 0.05  # share of recipients outside the donors' range that is worth an event


@dataclass(frozen=True)
class Chain:
    """Result of a chain: imputed values, traces, warm starts."""

    number: int
    sweeps: int
    imputed: Mapping[Hashable, Array]  #: column -> (n_mis,) values or level codes
    traces: Mapping[str, Array]  #: mean(x), sd(x), share(g = level), beta(term) -> (sweeps,)
    warm: Mapping[Any, Any] = field(repr=False)
    events: Mapping[str, int] = field(default_factory=dict)  #: what happened -> in how many visits
    sampled: Mapping[Hashable, tuple[int, int, int]] = field(default_factory=dict)  #: drawn, proposed, kept their value
    first: Mapping[str, tuple[Hashable, int]] = field(default_factory=dict)  #: event -> its variable, its first sweep
    parts: tuple[Chain, ...] = field(default=(), repr=False)  #: of groups that are imputed separately
    attempt: int = 0  #: how often it was drawn again, for it stayed far from the others


class Fit(NamedTuple):
    """A variable's own model with drawn parameters, and what it was fitted on."""

    fitted: Any
    method: Any
    model: Model
    seen: StoreVisit | None = None  #: None where the model is a factor of the plan


class VisitRecord(NamedTuple):
    """One visit: from what a variable was drawn, and what was drawn."""

    variable: Variable
    own: Fit
    labels: tuple[str, ...]  #: of the factors with the variable as a predictor
    terms: Sequence[Any]  #: likelihood terms: of such a factor, or of several auxiliaries together
    choice: Choice  #: how they were used
    draw: Draw
    effect: Array | None = None  #: (n_mis,) what the clusters of the rows add to its own linear predictor


class ChainState:
    """State of a running chain.

    Parameters
    ----------
    engine : Engine
    before : Chain, optional
        The chain that goes on.
    values : mapping, optional
        Column -> (n,) where it goes on from, instead of the values that ``before`` ended with.
    held_rows : mapping, optional
        Rows that each model's parameters are drawn from, once: they are held, as for rows that came later.
    """

    def __init__(
        self,
        engine: Engine,
        before: Chain | None,
        values: Mapping[Hashable, Array] | None = None,
        held_rows: Mapping[Any, Rows] | None = None,
    ) -> None:
        self.engine, self.table, self.plan, self.hold = engine, engine.table, engine.plan, held_rows is not None
        self.visiting: Hashable = None
        self.warm: dict[Any, Any] = dict(before.warm) if before else {}
        self.events: dict[str, int] = dict(before.events) if before else {}
        self.sampled: dict[Hashable, tuple[int, int, int]] = dict(before.sampled) if before else {}
        self.seen: dict[str, tuple[Hashable, int]] = dict(before.first) if before else {}
        self.traces = Traces(engine, before.traces if before else None)
        self.start_rows: dict[Any, Rows] = {}  #: rows for the first parameter draws, by model
        self.first: dict[Any, Rows] = dict(held_rows or {})  #: the same during the first sweep, or held
        self.number = 0  #: of the sweep
        self.drawn: dict[int, Any] = {}  #: parameters of factors drawn in this sweep
        self.panel: Panel | None = None  #: of this sweep
        self.joinable = frozenset(runtime.position for runtime in engine.factors if fits_in(runtime))
        self.held: dict[Hashable, Fit] = {}  #: own models that are drawn once
        self.responses: dict[int, Response] = {}  #: complete outcomes of factors
        self.values = {name: column.values for name, column in self.table.columns.items()} | dict(values or {})
        self.store: ColumnStore
        if values is not None:
            self.store = engine.new_store(self.values)
        elif before is not None:
            self.fill(before.imputed)

    def fill(self, imputed: Mapping[Hashable, Array]) -> None:
        """Put values into all missing values and build the store."""
        for name in self.plan.order:
            self.values[name] = self.table[name].values.copy()
            self.values[name][self.table[name].missing] = imputed[name]
        self.store = self.engine.new_store(self.values)

    def sweep(self, rng: np.random.Generator, number: int, watch: Callable[[VisitRecord], None] | None = None) -> None:
        """Visit every incomplete column once, and note what the traces need.

        ``watch`` is called after each visit, before what was drawn is written.
        """
        self.number = number
        self.first = self.start_rows if number == 1 else {}
        self.drawn = {}
        self.visit_all(rng, watch)
        self.visiting = "the analysis"
        self._record(rng)

    def visit_all(self, rng: np.random.Generator, watch: Callable[[VisitRecord], None] | None = None) -> None:
        """Visit every incomplete column once."""
        self.store.refresh()
        self.panel = None
        for name in self.plan.order:
            self.visiting = name
            self._keep(self.visit(self.engine.variables[name], rng), watch)  # one record at a time: each is large
        self.move(rng)

    def _keep(self, record: VisitRecord, watch: Callable[[VisitRecord], None] | None) -> None:
        """Write what a visit drew, and count its proposals."""
        if watch is not None:
            watch(record)
        name, found = record.variable.name, record.draw
        self.store.write(name, self.untied(name, found.values))
        if found.tried:
            past = self.sampled.get(name, (0, 0, 0))
            self.sampled[name] = (past[0] + found.drawn, past[1] + found.tried, past[2] + found.stayed)

    def untied(self, name: Hashable, drawn: Array) -> Array:
        """Draws of a column, but for rows in which it moves with others."""
        tied, missing = self.engine.relations.tied(name), self.table[name].missing
        return np.where(np.isin(missing, tied), self.values[name][missing], drawn) if len(tied) else drawn

    def put(self, found: Mapping[Hashable, Array]) -> None:
        """Write whole columns, (n,) each, into the store."""
        for name, values in found.items():
            self.store.write(name, values[self.table[name].missing])

    def move(self, rng: np.random.Generator) -> None:
        """Metropolis steps of the missing parents of observed derived values, jointly, keeping those values."""
        ties = self.engine.relations.ties
        if not ties:
            return
        conditionals = {}
        for name in dict.fromkeys(n for tie in ties for n in (tie.free, tie.pivot)):
            self.visiting, variable = name, self.engine.variables[name]
            own = self._own(variable, rng)
            terms = [(self._parameters(runtime, rng), runtime) for runtime in self.engine.feeds[name]]
            conditionals[name] = Conditional(name, own.fitted, own.model, terms, self.engine, self.store)
        moved, counted = move(ties, conditionals, self.engine, self.values, rng)
        self.put(moved)
        for named, (taken, proposed) in counted.items():
            past = self.sampled.get(named, (0, 0, 0))
            self.sampled[named] = (past[0] + taken, past[1] + proposed, 0)

    def visit(self, variable: Variable, rng: np.random.Generator) -> VisitRecord:
        """Draw a variable from its own model times every factor that contains it as a predictor."""
        name = variable.name
        own = self._own(variable, rng)
        terms, choice = self._terms(name, rng)
        fitted, X = self.widened(own, name)
        if variable.role == "column":
            self._note_extrapolation(variable, fitted, X)
        effect = self.effect(own, name, rng)
        if effect is not None:
            fitted, X = with_effect(fitted, X, effect)
        inverse = self.engine.inverse(name)
        if inverse is not None:
            fitted = TransformedOutcome(fitted, name, *inverse)
        found = self._drawn(variable, choice, fitted, X, terms, rng)
        labels = tuple(runtime.label for runtime in self.engine.feeds[name])
        return VisitRecord(variable, own, labels, terms, choice, found, effect)

    def effect(self, own: Fit, name: Hashable, rng: np.random.Generator) -> Any:
        """What the cluster of a row adds to its own linear predictor, shape (n_mis,); None where there are none."""
        clusters, fitted = self.engine.clusters.get(name), own.fitted
        if clusters is None:
            return None
        if self.hold:  # clusters of new rows had no row in the fit
            runtime = self.engine.own_factor[name]
            y = self.values[name] if runtime is None else self._response(runtime).y
            rows = None if self.engine.feeds[name] else self.engine.observed[name]
            fitted = self._for_new(fitted, own.model, clusters, rows, y, rng)
        return fitted.added(clusters.columns(self.store.gathered(name)), clusters.codes[self.table[name].missing])

    def _for_new(
        self, fitted: Any, model: Model, clusters: ClusterCodes, rows: Rows | None, y: Array, rng: np.random.Generator
    ) -> Any:
        """Held parameters with effects drawn anew, given all rows as they stand."""
        X, seen = self.store.X if rows is None else self.store.X.take(rows, axis=0), clusters.on(self.store, rows)
        return fitted.redrawn(X.take(model.columns, axis=1), y if rows is None else y[rows], seen, rng)

    def _note_extrapolation(self, variable: Variable, fitted: Any, X: Array) -> None:
        """Report rows without near donors in predictive mean matching."""
        name, alone = variable.name, variable.name not in self.engine.grouped_rows
        if alone and facts_of(variable.method).matches and self.number == 1 and fitted.outside(X) > _STRAYED:
            self._count(
                f"{name}: predictions lie outside those of all donors; methods={{{name!r}: 'norm'}} extrapolates"
            )

    def _drawn(
        self, variable: Variable, choice: Choice, own: Any, X: Array, terms: list[Any], rng: np.random.Generator
    ) -> Draw:
        """Draw from the product of a variable's own model and its likelihood terms, by the sampler chosen for it."""
        name = variable.name
        constraint, missing = self.engine.constraint(name, self.values), self.table[name].missing
        current, grouped_rows = self.values[name][missing], self.engine.grouped_rows.get(name)
        if grouped_rows is not None:  # one value for all rows of an id, weighted by the product over its rows
            terms = [together(term, grouped_rows) for term in terms]
            constraint = None if constraint is None else constraint.shared(grouped_rows)
            found = draw(
                choice, own, X[grouped_rows.first_rows], terms, constraint, current[grouped_rows.first_rows], rng
            )
            found = found.with_values(found.values[grouped_rows.unit])
        else:
            weights, shift = self._given(name, missing)
            found = draw(choice, own, X, terms, constraint, current, rng, shift, weights)
        return self.where_asked(variable, found)

    def where_asked(self, variable: Variable, found: Draw) -> Draw:
        """The draw where the column's condition holds, and its fixed value elsewhere."""
        name, skip = variable.name, variable.skip
        if skip is None:
            return found
        inside = np.isin(self.table[name].missing, skip.inside(self.table, self.values))
        return found.with_values(np.where(inside, found.values, elsewhere(self.table[name], skip)))

    def _given(self, name: Hashable, rows: Rows) -> tuple[Array | None, Any]:
        """Weights and offset of an own factor that is an analysis, on some rows."""
        runtime = self.engine.own_factor[name]
        weights, offset = (None, None) if runtime is None else (runtime.weights, runtime.offset)
        return None if weights is None else weights[rows], 0.0 if offset is None else offset[rows]

    def widened(self, own: Fit, name: Hashable) -> tuple[Any, Array]:
        """A fitted model and its predictors on the rows to draw; with coefficients for all columns none is copied."""
        X = self.store.gathered(name)
        fitted, model = own.fitted, own.model
        if facts_of(own.method).linear and self.store.finite:
            return replace(fitted, coef=model.wide(fitted.coef, X.shape[1])), X
        return fitted, X[:, model.columns]

    def _own_rows(self, variable: Variable) -> Rows | None:
        """Rows that plain chained equations fit on: observed ones, or all where missing values are censored."""
        beyond = variable.bounds is not None and not variable.bounds.always and facts_of(variable.method).density
        return None if beyond else self.engine.observed[variable.name]

    def _own(self, variable: Variable, rng: np.random.Generator) -> Fit:
        """A variable's own model with drawn parameters; where they are held, with those of the first time."""
        if variable.name in self.held:
            return self.held[variable.name]
        own = self._fit(variable, rng)
        if self.hold:
            self.held[variable.name] = own
        return own

    def _fit(self, variable: Variable, rng: np.random.Generator) -> Fit:
        """Draw the parameters of a variable's own model: where it is a factor as that says, else on its own rows."""
        name = variable.name
        runtime = self.engine.own_factor[name]
        if runtime is not None:
            return Fit(self._parameters(runtime, rng), runtime.method, runtime.model)
        assert variable.method is not None
        model = self.engine.own[name]
        seen = self.seen_by(name, model, self._fit_rows(variable), self.warm.get(name))
        fitted = self._noted(name, variable.method.fit(seen, rng), name)
        seen.release()
        return Fit(fitted, variable.method, model, seen)

    def _fit_rows(self, variable: Variable) -> Rows | None:
        """Rows that a variable's own model is fitted on; None for all."""
        name, first_rows = variable.name, self.engine.unit_first_rows
        if variable.role != "column":
            rows = self.first.get(name)
            return first_rows if variable.together and rows is None else rows
        rows = self.first[name] if name in self.first else self._own_rows(variable)
        if name in self.engine.grouped_rows and first_rows is not None:
            rows = first_rows if rows is None else np.intersect1d(rows, first_rows)
        return rows

    def seen_by(self, name: Hashable, model: Model, rows: Rows | None, warm: Any) -> StoreVisit:
        """What a column's own method sees; ``rows`` None for all."""
        column, limits = self.table[name], self.engine.cut(name, self.values)
        kept = self.engine.kept(name, rows, self.values)
        if kept is not None and len(kept) == self.table.n_rows:
            rows = kept = None
        whole = kept is not None and kept is rows and len(kept) + len(column.missing) == self.table.n_rows
        rows, without = kept, name if whole else None
        if self.engine.copies is not None:
            rows, without = self.engine.repeated(rows), None
        response = Response(
            self.values[name], column.kind, column.n_levels, weights=self.engine.survey_weights(rows), limits=limits,
            missing=column.missing, clusters=self.engine.clusters.get(name),
        )  # fmt: skip
        return StoreVisit(self.store, model, response, self.engine.place(name), rows=rows, without=without, warm=warm)

    def _parameters(self, runtime: FactorRuntime, rng: np.random.Generator) -> Any:
        """Draw a factor's parameters: the analysis before every use, an auxiliary's once a sweep."""
        again = runtime.question is not None or runtime.clusters is not None  # effects hold for one visit
        if runtime.position in self.drawn and (self.hold or not again):
            return self.drawn[runtime.position]
        rows = self.first.get(runtime.key, runtime.rows)
        whole = rows is runtime.rows and runtime.factor.rows != "units"
        single = runtime.outcome[0] if whole and len(runtime.outcome) == 1 else None
        if self.engine.ignored is not None:
            every = np.arange(self.table.n_rows) if rows is None else rows
            rows, single = every[~self.engine.ignored[every]], None
        if self.engine.copies is not None:
            rows, single = self.engine.repeated(rows), None
        warm, response = self.warm.get(runtime.key), self._response(runtime)
        visit = StoreVisit(self.store, runtime.model, response, runtime.place, rows=rows, without=single, warm=warm)
        self.drawn[runtime.position] = self._noted(runtime.key, runtime.method.fit(visit, rng), runtime.label)
        return self.drawn[runtime.position]

    def _response(self, runtime: FactorRuntime) -> Response:
        """A factor's outcome as it stands; one without missing values is made once."""
        if runtime.position in self.responses:
            return self.responses[runtime.position]
        y = runtime.response(self.values)
        found = Response(
            y, runtime.kind, runtime.n_levels, weights=runtime.weights, offset=runtime.offset, clusters=runtime.clusters
        )
        if not any(len(self.table[name].missing) for name in runtime.outcome):
            self.responses[runtime.position] = found
        return found

    def _terms(self, name: Hashable, rng: np.random.Generator) -> tuple[list[Any], Choice]:
        """The likelihood terms of a variable, auxiliaries together, and the choice that says which are multiplied."""
        engine, feeds, choice = self.engine, self.engine.feeds[name], self.engine.choices[name]
        normal = dict(zip((runtime.position for runtime in feeds), choice.multiplied, strict=False))
        panel = self._panel(rng) if sum(r.position in self.joinable for r in feeds) >= _TOGETHER else None
        inside = frozenset() if panel is None else panel.inside
        joined, alone = ([r for r in feeds if (r.position in inside) == within] for within in (True, False))
        terms = [self._term(runtime, name, rng) for runtime in alone]
        multiplied = [normal.get(runtime.position, False) for runtime in alone]
        if panel is not None and joined:
            fed = {runtime.position: normal.get(runtime.position, False) for runtime in joined}
            straight = all(engine.straight(runtime, name) for runtime in joined)
            for term, among in panel.terms(name, fed, straight, self.values):
                terms.append(term)
                multiplied.append(among)
        return terms, choice._replace(multiplied=tuple(multiplied))

    def _panel(self, rng: np.random.Generator) -> Panel:
        """The models of all auxiliaries, their parameters drawn once a sweep."""
        if self.panel is None:
            runtimes = [runtime for runtime in self.engine.factors if runtime.position in self.joinable]
            self.panel = Panel([(runtime, self._parameters(runtime, rng)) for runtime in runtimes], self.store)
        return self.panel

    def _term(self, runtime: FactorRuntime, name: Hashable, rng: np.random.Generator) -> Any:
        """Make the likelihood term of a factor for one variable."""
        fitted = self._parameters(runtime, rng)
        without_outcome = None
        if runtime.rows is not None:
            without_outcome = np.flatnonzero(np.isin(self.table[name].missing, runtime.rows, invert=True))
        straight = self.engine.straight(runtime, name)
        seen = self._response(runtime)
        effects, collapsed = None, self.engine.collapses(runtime, name)
        if runtime.clusters is not None and not collapsed:
            if self.hold:
                fitted = self._for_new(fitted, runtime.model, runtime.clusters, runtime.rows, seen.y, rng)
            effects = fitted.effects
        term = LikelihoodTerm.of_factor(
            fitted, runtime.model, self.store, name, seen, without_outcome, straight, effects
        )
        if runtime.components:
            return MixtureTerm.of(term, runtime.model, self.store, name, STEPS if self.number > 1 else FIRST_STEPS)
        if collapsed and runtime.clusters is not None:
            return without_effects(term, self.engine.grouped_rows[name], runtime.clusters)
        return term

    def _noted(self, key: Any, fitted: Fitted, label: Hashable) -> Fitted:
        """Keep the warm start and the events of a fit."""
        self.warm[key] = fitted.warm.within(self.engine.room) if isinstance(fitted.warm, WarmStart) else fitted.warm
        for event in fitted.events:
            self._count(f"{label}: {event}")
        for term in getattr(fitted, "dropped", ()):
            self._count(f"{label}: dropped {self.engine.layout.term_label(term)}, which depends on other predictors")
        return fitted

    def _count(self, event: str) -> None:
        self.events[event] = self.events.get(event, 0) + 1
        self.seen.setdefault(event, (self.visiting, self.number))

    def _record(self, rng: np.random.Generator) -> None:
        """Note mean and spread of what was drawn, shares of levels, and the analysis coefficients."""
        self.traces.of_values(self.values)
        analyses = [(runtime, runtime.question) for runtime in self.engine.factors if runtime.question is not None]
        for runtime, question in analyses:
            fitted = self.drawn.get(runtime.position) or self._parameters(runtime, rng)
            self.traces.of_analysis(runtime, fitted, f"{question.terms.outcome}: " if len(analyses) > 1 else "")

    def freeze(self, number: int, sweeps: int) -> Chain:
        """The chain as a value."""
        refuse_contradiction(self.engine.pattern, self.values, number)
        check(self.engine, self.values)
        imputed = {name: self.values[name][self.table[name].missing] for name in self.plan.order}
        return Chain(number, sweeps, imputed, self.traces.arrays(), self.warm, self.events, self.sampled, self.seen)


def with_effect(fitted: Any, X: Array, effect: Array) -> tuple[Any, Array]:
    """A fitted model and its predictors (n, p), what each row's cluster adds to the linear predictor as a last one."""
    return replace(fitted, coef=np.append(fitted.coef, 1.0)), np.column_stack([X, effect])

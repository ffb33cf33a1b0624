"""The plan of compatible draws: one joint model of covariates, analyses and auxiliaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import FormulaError, PlanError, call
from ...formula.design import Design
from ...formula.identity import likelihood
from ...formula.marks import said_of_marks
from ...formula.terms import code_of, take_apart
from ...frame.kinds import Kind
from ..contract import Method, facts_of
from ..methods import COMPATIBLE, METHODS, compatible_with_density, method_of_option, name_of
from ..methods.two_part import commonest
from .after_joint import draw_afterwards, waiting
from .analysed_scale import scales
from .analysis_weights import as_predictor, weigh_by
from .association import strongest
from .auxiliaries import COPIES, LEFT_OUT, TOO_MANY, choose_auxiliaries, turn
from .check_analysis import as_column, check_copies, check_outcomes
from .cluster_means import refuse_cluster_means
from .defaults import (
    MOST_LEVELS,
    allowed_parameters,
    constant_within,
    normal_or_power,
)
from .draft import Draft, by_kind, hazard_of
from .levels import as_drawn, before, by_cluster, clusters_of, constant_in_clusters, random_pieces, shared
from .likelihoods import likelihood_of
from .methods_by_kind import without_density
from .plan import Factor, Piece
from .restrictions import censored_model, count_or_not, cut_of, many_levels
from .spikes import SPIKE, two_parts
from .usable_columns import is_constant, suiting

__all__ = ["plan_joint"]

_LEAST_SWEEPS = 5  # a compatible draw needs the analysis' parameters to settle, also with one incomplete variable


def plan_joint(draft: Draft) -> None:
    """Specify p(covariates) p(outcome | covariates) p(auxiliaries | both), and the method of each column."""
    outcomes = tuple(dict.fromkeys(v for q in draft.questions for v in q.outcome))
    _check_outcomes(draft)
    _read_ratings_as_numbers(draft)
    table = draft.table
    draft.clusters = clusters_of(draft)
    refuse_cluster_means(draft)
    designs = [draft.designs.of(q) for q in draft.questions]
    check_outcomes(draft.questions, designs, table)
    draft.scales = scales(draft.questions, table, draft.scope)
    for label in (label for design in designs for label in design.redundant):
        draft.note(f"{label} follows from the columns before it: left out of the design")
    for sentence in (sentence for design in designs for sentence in design.confined):
        draft.note(sentence)
    baseline = tuple(draft.options.auxiliary["baseline"]) if isinstance(draft.options.auxiliary, Mapping) else ()
    covariates = [n for n in table.columns if n in {*draft.in_analysis, *baseline} and n not in outcomes]
    auxiliaries = choose_auxiliaries(draft, designs, covariates, outcomes)
    many = [n for n in auxiliaries if _has_many_levels(draft, n)]
    _set_aside_many_levels(draft, many)
    auxiliaries = [n for n in auxiliaries if n not in many]
    constant = [n for n in (*covariates, *auxiliaries) if draft.n_missing(n) and is_constant(table[n])]
    for name in (n for q in draft.questions for n in q.reserved(table) if n not in {*covariates, *outcomes}):
        draft.excluded[name] = "belongs to the analysis"
    after = waiting(draft, [n for n, why in draft.excluded.items() if why in (TOO_MANY, COPIES)])
    for name in after:
        del draft.excluded[name]
    draft.ignore_rest([*covariates, *outcomes, *auxiliaries, *after, *(n for n in many if draft.n_missing(n))])
    _draw_constants(draft, constant)
    for name in (n for n in many if draft.n_missing(n)):
        draft.add(name, "column", METHODS["sample"], "sample", (), (), f"{table[name].n_levels} levels")
    auxiliaries = [n for n in auxiliaries if n not in constant]
    _add_analyses(draft, designs, baseline)
    auxiliaries += [n for n in draft.later if n not in auxiliaries]
    why = _add_auxiliary_factors(draft, auxiliaries, baseline)
    _choose_outcome_rows(draft)
    _draw_covariates(draft, covariates, designs, outcomes)
    _draw_auxiliaries(draft, why)
    _draw_outcomes(draft)
    complete = [n for n, why in draft.excluded.items() if why == TOO_MANY and not draft.n_missing(n)]
    analyses = [f.question for f in draft.factors if f.question is not None]
    usable = [n for n in table.columns if n in {*covariates, *auxiliaries, *after, *complete}]
    draw_afterwards(draft, after, usable, [tuple(_outcome_pieces(draft, n)) for n in analyses])
    draft.excluded.update(dict.fromkeys(complete, LEFT_OUT + ("; predicts those drawn after it" if after else "")))
    drawn = [n for n in draft.variables if draft.n_missing(n)]
    early = draft.ordered([n for n in drawn if n not in outcomes and n not in after])
    if not draft.options.order:
        early.sort(key=lambda n: draft.variables[n].role != "covariate")
    if not draft.options.order and draft.clusters is not None:
        early.sort(key=lambda n: not draft.variables[n].together)
    draft.order = early + [n for n in drawn if n in outcomes]
    much = _much_missing(draft)
    draft.order += after
    check_copies(draft.questions, table, draft.order)
    draft.iterations = 20 if much else 10
    if draft.order and (draft.options.iterations or _LEAST_SWEEPS) < _LEAST_SWEEPS:
        draft.events.append(f"{draft.options.iterations} iterations: compatible draws need at least {_LEAST_SWEEPS}")


def _has_many_levels(draft: Draft, name: Hashable) -> bool:
    """Whether a column has more levels than a model of them can have."""
    column, option = draft.table[name], draft.options.methods.get(name)
    return column.kind is Kind.NOMINAL and column.n_levels > MOST_LEVELS and option is None


def _set_aside_many_levels(draft: Draft, names: Sequence[Hashable]) -> None:
    """Exclude auxiliaries with very many levels; a covariate with so many is refused."""
    for name in names:
        if draft.n_missing(name):
            draft.events.append(many_levels(name, draft.table[name].n_levels))
        else:
            draft.excluded[name] = f"{draft.table[name].n_levels} levels are too many for an auxiliary"
            draft.events.append(f"{name!r}: {draft.excluded[name]}")
    for name in (n for n in draft.in_analysis if draft.n_missing(n) and _has_many_levels(draft, n)):
        column, formula = draft.table[name], draft.questions[0].formula
        raise PlanError(
            f"{name!r} has {column.n_levels} levels and {draft.n_missing(name)} missing values; "
            f"no more than {MOST_LEVELS} can be "
            "weighed by the analysis.",
            analysis=formula,
            do=f"g = df[{name!r}].astype(object).map(str, na_action='ignore'); "
            f"df[{name!r}] = g.where(g.isin(g.value_counts().index[:30]) | g.isna(), 'other')",
        )


def _right_side(draft: Draft, factor: Factor) -> set[Hashable]:
    """Columns that a factor contains on its right side."""
    found: set[Hashable] = set()
    for piece in factor.pieces:
        if piece.what == "main":
            found.add(piece.which)
        elif piece.what in ("formula", "random") and piece.which is not None:
            found.update([*draft.questions, *draft.extra][piece.which].variables(draft.table))
        elif piece.what == "outcome":
            found.update(draft.questions[piece.which].outcome)
    return found


def _right_sides(draft: Draft) -> list[tuple[Factor, set[Hashable]]]:
    """All factors, each with the columns that it contains on its right side."""
    return [(factor, _right_side(draft, factor)) for factor in draft.factors]


def _check_outcomes(draft: Draft) -> None:
    """An outcome with missing values must be one that can be undone; outcomes do not explain each other in a circle."""
    for question in draft.questions:
        incomplete = [v for v in question.outcome if draft.n_missing(v)]
        if incomplete and question.inverse(draft.table) is None:
            raise FormulaError(
                f"outcome {question.terms.outcome!r} has missing values ({incomplete[0]!r}) and cannot be inverted.",
                formula=question.formula,
                do=as_column(question, draft.table),
            )
        for option, word in ((draft.options.methods, "method"), (draft.options.predictors, "predictors")):
            if incomplete and question.outcome[0] in option:
                raise PlanError(
                    f"the outcome {incomplete[0]!r} is drawn from its analysis; it takes no {word} of its own.",
                    analysis=question.formula,
                    do=call("df.mice.impute", **{"methods" if word == "method" else word: {question.outcome[0]: None}}),
                )
    _refuse_circle(draft)


def _refuse_circle(draft: Draft) -> None:
    """Outcomes that explain each other, however far round, have no joint law."""
    questions = draft.questions
    waiting: dict[Hashable, set[Hashable]] = {v: set() for q in questions for v in q.outcome}
    for question in questions:
        for v in question.outcome:
            waiting[v] |= set(question.variables(draft.table)) & set(waiting)
    in_order: list[Hashable] = []
    while free := [v for v in waiting if waiting[v] <= set(in_order)]:
        in_order += free
        waiting = {v: needs for v, needs in waiting.items() if v not in free}
    round_ = [q.formula for q in questions if set(q.outcome) & set(waiting)]
    if round_:
        shown = " and ".join(map(repr, round_))
        raise PlanError(
            f"{shown} explain each other.",
            do=call("df.mice.impute", [q.formula for q in questions if q.formula not in round_[1:]]),
        )
    sorted_ = sorted(questions, key=lambda q: max((in_order.index(v) for v in q.outcome), default=0))
    names = [v for q in questions for v in q.outcome]
    if draft.options.link == "sequence":
        for number, question in enumerate(questions):
            late = [v for v in question.variables(draft.table) if v in names[number:] and v not in question.outcome]
            if late:
                raise PlanError(
                    f"{late[0]!r} explains {question.terms.outcome!r} and must come before it in a sequence.",
                    do=call("df.mice.impute", [q.formula for q in sorted_]),
                )


def _read_ratings_as_numbers(draft: Draft) -> None:
    """Read a rating scale as a number where it is the outcome of a model of numbers, a number as levels elsewhere."""
    levelled = [q.outcome[0] for q in draft.questions if q.facts.levels]
    draft.recode([q.outcome[0] for q in draft.questions if not q.facts.levels and q.bare], {Kind.ORDINAL})
    draft.recode(levelled, {Kind.NUMERIC, Kind.COUNT})


def _add_analyses(draft: Draft, designs: list[Design], baseline: tuple[Hashable, ...]) -> None:
    """One factor per likelihood; formulas that share one join, so that no outcome enters the likelihood twice."""
    joined: dict[tuple[Any, ...], list[int]] = {}
    for number, question in enumerate(draft.questions):
        joined.setdefault(likelihood(question), []).append(number)
    for numbers in joined.values():
        question = draft.questions[numbers[0]]
        inside = {v for n in numbers for v in designs[n].variables} | set(question.outcome)
        pieces = [Piece("formula", n) for n in numbers] + [Piece("main", b) for b in baseline if b not in inside]
        weighting = weigh_by(draft, question, designs[numbers[0]])
        if weighting == "predictor":
            found = as_predictor(draft, question, designs[numbers[0]])
            draft.sampled.update(dict.fromkeys(numbers, found.pieces))
            draft.later += [n for n in found.after if n not in draft.later]
            pieces += found.pieces
            weighting = found.word
        method = likelihood_of(question, draft.table, weighting == "likelihood")
        assert method is not None  # other analyses are planned as terms
        if draft.options.link == "sequence":
            earlier = [f.question for f in draft.factors if f.question is not None]
            pieces += [piece for n in earlier for piece in _outcome_pieces(draft, n)]
        pieces += random_pieces(draft, method)
        label = " + ".join(draft.questions[n].formula for n in numbers)
        draft.factors.append(Factor("analysis", method, tuple(pieces), numbers[0], label=label, weighting=weighting))


def _add_auxiliary_factors(
    draft: Draft, auxiliaries: list[Hashable], baseline: tuple[Hashable, ...]
) -> dict[Hashable, str]:
    """Each auxiliary given outcomes, the analysis terms and the auxiliaries before it, levels first; why its model."""
    analyses = [f.question for f in draft.factors if f.question is not None]
    rest = [Piece("formula", n) for n in range(len(draft.questions))] + [Piece("main", b) for b in baseline]
    rest += list(dict.fromkeys(piece for pieces in draft.sampled.values() for piece in pieces))
    base = len(analyses) + len(rest) + sum(len(q.terms.codes) for q in draft.questions)
    chosen = {
        n: _method(draft, n, [], False, [v for v in draft.in_analysis if v != n], covariate=False) for n in auxiliaries
    }
    for name, (method, label, _) in chosen.items():
        _refuse_without_score(draft, name, method, label, auxiliaries)
    in_turn = sorted(auxiliaries, key=lambda n: (turn(draft.table[n], chosen[n][0]), draft.n_missing(n)))
    if draft.clusters is not None:
        in_turn = [name for one in shared(draft, in_turn) for name in one]
    for position, name in enumerate(in_turn):
        unit = draft.options.id
        level = unit is not None and constant_within(draft.table, name, unit)
        start = [piece for n in analyses for piece in _outcome_pieces(draft, n, unit if level else None)]
        start += _of_clusters(draft, name) if level and draft.clusters is not None else rest
        n_fit = len(np.unique(draft.table[unit].values)) if level else draft.table.n_rows
        before = [other for other in in_turn[:position] if not draft.uninformative(other, name)]
        if level and draft.clusters is not None:
            before = shared(draft, before)[0]
        room = allowed_parameters(draft.table, name, n_fit) - base
        earlier = strongest(draft.associations, name, before, (), room + 1) if room > 0 else []
        method, label, _ = by_cluster(draft, name, *chosen[name])
        pieces = (*start, *(Piece("main", e) for e in earlier), *random_pieces(draft, method))
        draft.factors.append(Factor("auxiliary", method, pieces, None, name, "units" if level else "all", label))
    return {n: why for n, (_, _, why) in chosen.items()}


def _of_clusters(draft: Draft, name: Hashable) -> list[Piece]:
    """What an auxiliary of clusters is given besides the outcome: covariates of clusters, means of complete ones."""
    outcomes = {v for q in draft.questions for v in q.outcome}
    above, rows = shared(draft, [n for n in draft.in_analysis if n not in outcomes])
    means = draft.cluster_means(name, [n for n in rows if not draft.n_missing(n)])
    return [*draft.mains(name, above)[0], *means]


def _refuse_without_score(
    draft: Draft, name: Hashable, method: Method, label: str, others: Sequence[Hashable], what: str = "an auxiliary"
) -> None:
    """Refuse a method for a column whose values it cannot score, where they tell of other columns."""
    if facts_of(method).scores:
        return
    asked = [n for n in others if n in draft.options.methods]
    instead = {n: suiting(draft.table[n], True)[0] for n in asked if _unscored(draft.options.methods[n])}
    raise PlanError(
        f"{label!r} draws covariates, and {name!r} is {what}: its own model has to weigh other columns too.",
        suits=", ".join(m for m in suiting(draft.table[name], True) if facts_of(METHODS[m]).scores),
        do=call("df.mice.impute", methods=instead),
    )


def _unscored(option: Any) -> bool:
    """Whether a method, or what it becomes in a compatible plan, has no likelihood of an outcome."""
    if isinstance(option, str) and option == "leave":
        return False
    facts = facts_of(method_of_option(option))
    return not (facts.scores and facts.density)


def _outcome_pieces(draft: Draft, number: int, unit: Hashable = None) -> list[Piece]:
    """An outcome as a predictor of what came after it; of what a whole unit shares, over all rows of the unit."""
    question = draft.questions[number]
    if question.facts.hazard:
        return [Piece("formula", draft.formula(None, hazard_of(question, draft.table, unit=unit)))]
    if (
        unit is not None
        and question.bare
        and draft.table[question.outcome[0]].number
        and not draft.n_missing(question.outcome[0])
    ):
        code, group = question.terms.outcome, code_of(unit)
        right = f"I(total_within({code}, {group}) / total_within(1 + 0 * {code}, {group}))"
        return [Piece("formula", draft.formula(None, right))]
    if draft.table[question.outcome[0]].kind in (Kind.NOMINAL, Kind.ORDINAL):
        return [Piece("main", question.outcome[0])]
    return [Piece("outcome", number)]


def _choose_outcome_rows(draft: Draft) -> None:
    """An analysis whose incomplete outcome predicts no other column is fitted on the rows where it was observed."""
    sides = _right_sides(draft)
    for position, factor in enumerate(draft.factors):
        if factor.role != "analysis" or factor.question is None:
            continue
        outcome = draft.questions[factor.question].outcome
        incomplete = any(draft.n_missing(v) for v in outcome)
        fed = any(set(outcome) & right for other, right in sides if other is not factor)
        censored = any(v in draft.bounds and not draft.bounds[v].always for v in outcome)
        if incomplete and not fed and not censored:
            draft.factors[position] = dataclasses.replace(factor, rows="observed")


def _draw_covariates(
    draft: Draft, covariates: list[Hashable], designs: list[Design], outcomes: tuple[Hashable, ...]
) -> None:
    """Each incomplete covariate given the other covariates, never the outcome."""
    for name in [n for n in covariates if draft.n_missing(n) and n not in draft.variables]:
        _refuse_outcome_as_predictor(draft, name, outcomes)
        others = [c for c in covariates if c != name]
        if draft.clusters is not None:
            others = before(draft, name, covariates)
        positive = any(d.needs_positive(name) for d in designs)
        method, label, why = _method(draft, name, others, positive)
        if facts_of(method).heteroscedastic:
            option: Any = method
            method = dataclasses.replace(option, heteroscedastic=name not in draft.bounds)
        method, label, why = by_cluster(draft, name, method, label, why)
        level = draft.clusters is not None and constant_in_clusters(draft, name)
        n_fit = len(np.unique(draft.table[draft.options.id].values)) if level else draft.table.n_rows
        pieces, shown = draft.predictors(name, others, others, n_fit)
        if name not in draft.options.predictors:
            given, named = draft.around(name, others)
            pieces, shown = (*pieces, *given), (*shown, *named)
            if level:
                complete = [c for c in covariates if not draft.n_missing(c)]
                means = draft.cluster_means(name, complete)
                pieces, shown = (*pieces, *means), (*shown, *(f"mean({p.which[0]}) by {p.which[1]}" for p in means))
        pieces = (*pieces, *random_pieces(draft, method))
        draft.add(name, "covariate", method, label, pieces, shown, why)
        if draft.clusters is not None and not level:
            _refuse_without_score(draft, name, method, label, covariates, "drawn by cluster")
            draft.factors.append(Factor("covariate", method, pieces, None, name, "all", label))


def _draw_constants(draft: Draft, names: Sequence[Hashable]) -> None:
    """What has one observed value gets it in every missing value, whatever the analysis says."""
    for name in names:
        draft.events.append(f"{name!r} has one observed value: every missing value gets it")
        draft.events.append(said_of_marks(draft.table[name]))
        draft.add(name, "column", METHODS["sample"], "sample", (), (), "constant")


def _refuse_outcome_as_predictor(draft: Draft, name: Hashable, outcomes: tuple[Hashable, ...]) -> None:
    """The outcome enters a compatible draw through the analysis only."""
    option: Any = draft.options.predictors.get(name) or ()
    named = take_apart(option, draft.table.columns).variables if isinstance(option, str) else option
    for outcome in outcomes:
        if outcome in named:
            raise PlanError(
                f"predictors of {name!r} name the outcome {outcome!r}; it enters through the analysis only.",
                analysis=draft.questions[0].formula,
                do=call("df.mice.impute", predictors={name: None}),
            )


def _draw_auxiliaries(draft: Draft, reasons: Mapping[Hashable, str]) -> None:
    """Incomplete auxiliaries are drawn from their own factor times the later ones."""
    for factor in [f for f in draft.factors if f.role == "auxiliary" and draft.n_missing(f.variable)]:
        shown = ("the analysis", *(str(p.which) for p in factor.pieces if p.what == "main"))
        why = reasons[factor.variable]
        draft.add(factor.variable, "auxiliary", factor.method, factor.label, factor.pieces, shown, why)


def _draw_outcomes(draft: Draft) -> None:
    """Incomplete outcomes are drawn from the analysis times the factors they feed."""
    for factor in [f for f in draft.factors if f.question is not None]:
        for name in draft.questions[factor.question].outcome:  # type: ignore[index]
            if draft.n_missing(name):
                label, why = name_of(factor.method), "the analysis itself"
                draft.add(name, "outcome", factor.method, label, factor.pieces, (factor.label,), why)


def _method(
    draft: Draft, name: Hashable, others: Sequence[Hashable], positive: bool, given: Sequence[Hashable] = (),
    covariate: bool = True,
) -> tuple[Method, str, str]:  # fmt: skip
    """The own model of a covariate or auxiliary: one with a density; its name; why.

    The distribution of a count is chosen given the others, or what else is ``given``.
    """
    column = draft.table[name]
    stated = draft.stated_method(name)
    if stated is not None:
        if not facts_of(stated[0]).density:
            twin = compatible_with_density(stated[0], column.kind)
            if twin is not None:
                twin = twin.tuned(column.values[column.observed]) if facts_of(twin).tuned else twin
                return twin, name_of(twin), f"as asked ({stated[1]}), weighed by the analysis"
            copying = without_density(draft.options, draft.table)
            raise PlanError(
                f"{stated[1]!r} has no density and cannot draw {name!r} compatibly with the analysis.",
                suits=", ".join(suiting(column, True)),
                do=call("df.mice.impute", methods={n: suiting(draft.table[n], True)[0] for n in copying}),
            )
        return stated
    censored = name in draft.bounds and not draft.bounds[name].always
    if column.kind is Kind.NUMERIC and censored and not positive:
        label, why = censored_model(draft, name, others)
    elif column.kind is Kind.NUMERIC:
        label, why = normal_or_power(as_drawn(draft, name), name, others, positive, cut_of(draft, name))
    elif column.kind is Kind.COUNT:
        label, why = count_or_not(draft, name, others or given)
    else:
        label, why = COMPATIBLE[column.kind], by_kind(column)
    if covariate and draft.clusters is None and not censored and (spiked := two_parts(column)) is not None:
        return spiked
    method: Any = METHODS[label]
    if facts_of(method).tuned:
        method = method.tuned(column.values[column.observed])
        spike, share = commonest(column.values[column.observed])
        if share > SPIKE:
            draft.events.append(f"{name!r}: {100 * share:.0f} % of its values are {spike:g}; a spike on any scale")
    return method, label, why


def _much_missing(draft: Draft) -> bool:
    """Whether more than half of a column is missing, a quarter of a skewed one: others settle within 10 sweeps.

    Measured by benchmarks/sweeps.py: the rows that miss something in some column, be they most, cost no more sweeps.
    """
    half = draft.table.n_rows / 2
    return any(draft.n_missing(n) > half / (2 if draft.variables[n].label == "power" else 1) for n in draft.order)

"""Columns computed from others before imputing: reported, with the call that keeps them consistent."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calls import Advice, left_alone
from ...errors import FormulaError, PlanError, call
from ...formula.column_code import without
from ...formula.derived import Derived, substitute
from ...formula.question import Question, capture
from ...formula.terms import code_of, take_apart
from ...frame.kinds import Kind
from ...frame.table import Column, Table, free_name
from ...typing import Array, Rows
from .copies_in_other_units import linear_copies, numbers_of, short
from .filled_before import Filled, filled_before, line_that_empties
from .functions_of_one import Curve, Levels, Steps, curves, levels, steps
from .functions_of_several import Product, Sum, gated, products, sums
from .options import Options
from .written_functions import levels_code, product_code, steps_code, sum_code

__all__ = ["APART", "Made", "said_of_made"]

APART = "but imputed independently"  # what a sentence of this kind says
_RICH = 20  # values from which a column is a number, not a few levels
_SAMPLE = 200
_LEVELS = 3  # values up to which no curve is told from a line
_SHOWN = 4  # columns whose relation is spelled out
_ROUNDS = 4  # of a look at columns, those that were filled in emptied


@dataclasses.dataclass(frozen=True)
class Made:
    """A column and how it was made."""

    name: Hashable
    sources: tuple[Hashable, ...]
    code: str  #: an expression of the sources, as a formula has it
    rows: int  #: where all are observed
    derivable: bool = True  #: whether ``derived=`` takes it: numbers of numbers
    turns: bool = False  #: whether the source does not follow from it
    sum: bool = False
    dummy: bool = False  #: whether it is a dummy of a category, and the sources are the others


def said_of_made(
    table: Table, questions: Sequence[Question], options: Options, left: Collection[Hashable]
) -> list[str]:
    """Name columns that are functions of others, with the call that keeps them consistent.

    Parameters
    ----------
    table : Table
    questions : sequence of Question
    options : Options
    left : collection of hashable
        Columns that are left alone.

    Returns
    -------
    list of str
        One sentence that ends in a call, or none; what has no missing values is not looked at.

    Raises
    ------
    PlanError
        If an analysis has a term for each of columns that add up: no data tell their coefficients apart.

    Notes
    -----
    Exact relations only, in all rows where the columns are observed: lines, squares, roots and logarithms, steps of a
    number, groups of levels, sums with any coefficients, products and ratios of powers. A relation that values such as
    these would have by chance is not named.
    """
    if not table.incomplete:
        return []
    ends = {end for pair in (*options.censored.values(), *options.bounds.values()) for end in _pair(pair)}
    left = {*left, *ends}
    filled: dict[Hashable, Filled] = {}
    for _ in range(_ROUNDS):
        found, seen = _look(table, questions, options, left)
        new = _filled(seen, table, questions, options)
        if not new:
            break
        table = _emptied(table, new)
        filled |= new
    return [_sentence(found, table, questions, options, filled)] if found else []


def _look(
    table: Table, questions: Sequence[Question], options: Options, left: Collection[Hashable]
) -> tuple[list[Made], list[Made]]:
    """Columns made of others, each once, and all relations between columns that were seen."""
    numbers = {n: numbers_of(table, n) for n, c in table.columns.items() if c.number and n not in left}
    found = [
        Made(name, (base,), code, rows)
        for name, (base, code, rows) in linear_copies(table, numbers, questions, options).items()
    ]
    more, seen = _made(table, numbers, questions, options, left, {one.name for one in found})
    return [*found, *more], [*found, *seen]


def _filled(seen: list[Made], table: Table, questions: Sequence[Question], options: Options) -> dict[Hashable, Filled]:
    """Columns that were filled in before imputing: of each relation the one that has most values."""
    kept = {v for q in questions for v in (*q.outcome, *q.reserved(table))} | {*options.conditional}
    told = _conditions(table, options)
    found = []
    for one in (one for one in seen if one.code and not {one.name, *one.sources} <= told):
        values = {n: numbers_of(table, n) if table[n].number else table[n].values for n in (one.name, *one.sources)}
        known = Derived(one.name, one.code, one.sources, capture(one.code, table, {"np": np}, one.code))
        one_filled = filled_before(known, values, one.derivable and all(table[n].number for n in one.sources))
        found += [] if one_filled is None or one_filled.name in kept else [one_filled]
    new: dict[Hashable, Filled] = {}
    for one_filled in sorted(found, key=lambda one: len(table[one.name].missing)):
        touched = {n for name, one in new.items() for n in (name, *one.without)}
        if not touched & {one_filled.name, *one_filled.without}:
            shown = _shown(table[one_filled.name], one_filled.rows[0]) if one_filled.one_value else one_filled.what
            new[one_filled.name] = one_filled._replace(what=shown)
    return new


def _emptied(table: Table, filled: Mapping[Hashable, Filled]) -> Table:
    """The table with columns missing where they were filled in."""
    columns = dict(table.columns)
    for name, one in filled.items():
        gone = np.any([table.gone(n) for n in (name, *one.without)], axis=0)
        values = np.where(gone, np.nan, table[name].values)
        columns[name] = dataclasses.replace(table[name], values=values, missing=np.flatnonzero(gone))
    return Table(columns, table.n_rows)


def _made(
    table: Table, numbers: Mapping[Hashable, Array], questions: Sequence[Question], options: Options,
    left: Collection[Hashable], copies: set[Hashable],
) -> tuple[list[Made], list[Made]]:  # fmt: skip
    """Columns made of others, each once; and all relations that were seen."""
    names = [
        n for n, c in table.columns.items()
        if n not in left and n not in copies and n != options.id and c.kind is not Kind.OTHER
        and len(c.missing) < table.n_rows
    ]  # fmt: skip
    if len(names) < 2:
        return [], []
    values = np.array([numbers.get(n, table[n].values) for n in names]).T  # a column's values lie side by side
    places = {n: k for k, n in enumerate(names)}
    outcomes = {v for q in questions for v in q.outcome}
    reserved = {v for q in questions for v in q.reserved(table)}
    told = _conditions(table, options)
    n_missing = np.array([len(table[n].missing) for n in names])
    gone = np.isnan(values)

    def rank(one: Made) -> tuple[Any, ...]:
        child, sources = places[one.name], [places[s] for s in one.sources]
        after = bool(np.all(gone[:, child] >= gone[:, sources].any(axis=1)))
        total = len(sources) > 2 and one.sum and " - " not in one.code
        others = max((places[s] for s in one.sources if s in accepted), default=-1)
        return others >= 0, not after, not one.derivable, not total, -child, -int(n_missing[child])

    def fits(one: Made) -> bool:
        every = {one.name, *one.sources}
        if one.name in accepted or one.name in outcomes | reserved or not n_missing[[places[v] for v in every]].any():
            return False
        if every <= told or one.name in options.conditional or _goes_round(one, accepted):
            return False
        return not any({*one.sources} & {*q.outcome} and one.name in q.variables(table) for q in questions)

    accepted: dict[Hashable, Made] = {}
    seen: list[Made] = []
    for kind in _kinds(table, names, values, accepted):
        candidates = list(kind)
        seen += candidates
        while candidates := [one for one in candidates if fits(one)]:
            best = min(candidates, key=rank)
            accepted[best.name] = best
    return list(accepted.values()), seen


def _pair(option: Any) -> list[Hashable]:
    """The ends of a bound that are columns."""
    return [end for end in option if isinstance(end, str)] if isinstance(option, tuple | list) else []


def _conditions(table: Table, options: Options) -> set[Hashable]:
    """Columns of skip patterns: what they have in common is the questionnaire's."""
    found: set[Hashable] = {*options.conditional}
    for one in options.conditional.values():
        code = one[0] if isinstance(one, tuple) else one
        try:
            found |= set(take_apart(code, table.columns).variables) if isinstance(code, str) else set()
        except FormulaError:  # refused where it is read
            continue
    return found


def _goes_round(one: Made, accepted: dict[Hashable, Made]) -> bool:
    """Whether a column would be made of itself."""
    todo, seen = [*one.sources], set[Hashable]()
    while todo:
        name = todo.pop()
        if name == one.name:
            return True
        if name in accepted and name not in seen:
            seen.add(name)
            todo += accepted[name].sources
    return False


def _kinds(
    table: Table, names: list[Hashable], values: Array, accepted: dict[Hashable, Made]
) -> Iterator[Iterator[Made]]:
    """Relations of each kind, looked for once those of the kinds before are known."""
    some = values[np.linspace(0, len(values) - 1, min(len(values), _SAMPLE)).astype(np.int64)]
    ordered = np.sort(some, axis=0)
    distinct = np.sum(ordered[1:] > ordered[:-1], axis=0) + 1
    many = distinct > min(_RICH, len(some) // 3)
    number = np.array([table[n].number for n in names])
    columns = (names, values, table)

    def free(mask: npt.NDArray[np.bool_]) -> Rows:
        return np.array([k for k in np.flatnonzero(mask) if names[k] not in accepted], dtype=np.int64)

    yield (_of_curve(one, *columns) for one in curves(values, free(number & (distinct > _LEVELS))))
    seen = {int(k): _few(table[names[k]], values[:, k]) for k in np.flatnonzero(~many)}
    gates = [k for k, known in seen.items() if number[k] and known.tolist() == [0.0, 1.0]]
    yield (_of_product(one, *columns) for one in gated(values, free(number).tolist(), gates))
    rest = free(number)
    yield (_of_steps(one, *columns) for one in steps(values, seen, np.flatnonzero(number & many)))
    yield (_of_levels(one, *columns) for one in levels(values, seen))
    yield (made for one in sums(values, rest.tolist()) for made in _of_sum(one, *columns, accepted))
    yield (_of_product(one, *columns) for one in products(values, free(number & many).tolist()))


def _few(column: Column, values: Array) -> Array:
    """The values of a column that has few of them, sorted."""
    if not column.kind.discrete or column.number:
        return np.asarray(np.unique(values[~np.isnan(values)]))
    return np.flatnonzero(np.bincount(values[~np.isnan(values)].astype(np.int64))).astype(np.float64)


def _two(values: Array) -> bool:
    """Whether a column holds 0 and 1 only."""
    return set(np.unique(values[~np.isnan(values)]).tolist()) == {0.0, 1.0}


def _of_curve(one: Curve, names: list[Hashable], values: Array, table: Table) -> Made:
    """A curve as an expression."""
    inner = one.function.format(code_of(names[one.source]))
    shown = inner if one.slope == 1.0 else f"{short(one.slope)} * {f'({inner})' if '/' in inner else inner}"
    end = "" if not one.intercept else f" {'-' if one.intercept < 0 else '+'} {short(abs(one.intercept))}"
    x = values[:, one.source]
    turns = "** 2" in one.function and np.nanmin(x) < 0 < np.nanmax(x)
    return Made(
        names[one.child], (names[one.source],), shown + end, one.rows,
        turns=bool(turns or "abs" in one.function or "} - " in one.function or "} + " in one.function),
    )  # fmt: skip


def _of_sum(
    one: Sum, names: list[Hashable], values: Array, table: Table, accepted: dict[Hashable, Made]
) -> Iterator[Made]:
    """A dependence as expressions of each column whose coefficient is 1 or -1; dummies of one category as such."""
    every = tuple(names[k] for k in one.columns)
    if all(_two(values[:, k]) for k in one.columns):
        if {*one.coefficients} == {-1.0} and one.intercept == 1.0 and not {*every} & {*accepted}:
            yield Made(every[0], every[1:], "", one.rows, derivable=False, dummy=True)
        return
    for name, slope in zip(every, one.coefficients, strict=True):
        if slope != -1.0 and (abs(slope) != 1.0 or {*map(abs, one.coefficients)} != {1.0}):
            continue
        terms = [(code_of(n), -c / slope) for n, c in zip(every, one.coefficients, strict=True) if n != name]
        yield Made(
            name, tuple(n for n in every if n != name), sum_code(terms, -one.intercept / slope), one.rows, sum=True
        )


def _of_product(one: Product, names: list[Hashable], values: Array, table: Table) -> Made:
    """A product as an expression."""
    sources = tuple(names[k] for k in one.sources)
    code = product_code([(code_of(n), p) for n, p in zip(sources, one.powers, strict=True)], one.factor)
    zero = any(np.any(values[:, k] == 0) for k in one.sources)
    even = any(p % 2 == 0 and np.nanmin(values[:, k]) < 0 for k, p in zip(one.sources, one.powers, strict=True))
    return Made(names[one.child], sources, code, one.rows, turns=bool(zero or even))


def _of_steps(one: Steps, names: list[Hashable], values: Array, table: Table) -> Made:
    """Steps as an expression."""
    child, source = table[names[one.child]], names[one.source]
    code = steps_code(code_of(source), one.cuts, one.above, [_level(child, v) for v in one.values])
    return Made(child.name, (source,), code, one.rows, derivable=_numeric(child))


def _of_levels(one: Levels, names: list[Hashable], values: Array, table: Table) -> Made:
    """Groups of levels as an expression."""
    child, source = table[names[one.child]], table[names[one.source]]
    pairs = [(_level(source, a), _level(child, b)) for a, b in one.values]
    return Made(
        child.name, (source.name,), levels_code(code_of(source.name), pairs), one.rows,
        derivable=_numeric(child) and _numeric(source),
    )  # fmt: skip


def _numeric(column: Column) -> bool:
    """Whether ``derived=`` takes a column: numbers and truth values."""
    return column.number or set(column.coding.levels) <= {False, True}


def _level(column: Column, value: float) -> Any:
    """A value as the frame has it: a number, a truth value or text."""
    if column.number:
        return value
    level = column.coding.levels[int(value)]
    return level if isinstance(level, bool | np.bool_) else str(level)


def _sentence(
    found: list[Made], table: Table, questions: Sequence[Question], options: Options, filled: Mapping[Hashable, Filled]
) -> str:
    """The warning about all of them, and the one call that keeps them consistent."""
    _refuse_redundant(found, table, questions)
    before, facts, written = list[str](), list[str](), list[Made]()
    dropped: dict[Hashable, None] = {}
    for one in found:
        if one.dummy:
            line, levels = _category(one, table)
            facts.append(f"one of {', '.join(map(repr, levels))} is 1 in all {one.rows} rows where all are observed")
            before.append(line)
            written += levels.values()
            dropped.update(dict.fromkeys(levels))
            continue
        at_fault = [filled[n] for n in (one.name, *one.sources) if n in filled]
        blank = "".join(_in_words(fill, one) for fill in at_fault)
        before += [f"{line_that_empties(fill)}; " for fill in at_fault if one.derivable or fill.name != one.name]
        facts.append(
            f"{one.name!r} is {one.code} in all {one.rows} rows where "
            f"{'both' if len(one.sources) == 1 else 'all'} are observed{blank}"
        )
        written += [] if one.derivable else [one]
        if not one.derivable or (one.turns and _seen_alone(one, table)):
            dropped[one.name] = None
    more = f" (and {len(facts) - _SHOWN} more)" if len(facts) > _SHOWN else ""
    advice = _call(found, [*dropped], written, questions, options).after("".join(dict.fromkeys(before)))
    lost = [repr(n) for n in dropped if any(one.name == n and not one.derivable for one in [*found, *written])]
    rest = f"; make {', '.join(lost)} in the completed sets" if lost else ""
    return advice.after(f"{'; '.join(facts[:_SHOWN])}{more}, {APART}; ").then(f" keeps them consistent{rest}")


def _category(one: Made, table: Table) -> tuple[str, dict[Hashable, Made]]:
    """The line that makes one column of the dummies of a category, and each dummy as what it says of that."""
    names = sorted([one.name, *one.sources], key=[*table.columns].index)
    stem = os.path.commonprefix([str(n) for n in names]).rstrip("_. =[") or "category"
    new = free_name(stem, table.columns)
    line = f"df[{new!r}] = df[{names!r}].eq(1).idxmax(axis=1).where(df[{names!r}].eq(1).any(axis=1)); "
    return line, {n: Made(n, (new,), f"{code_of(new)} == {n!r}", one.rows, derivable=False) for n in names}


def _call(
    found: list[Made], dropped: list[Hashable], written: list[Made], questions: Sequence[Question], options: Options
) -> Advice:
    """The call: what ``derived=`` takes, and else the expression in the formula."""
    verb = f"df.drop(columns={dropped!r}).mice.impute" if dropped else "df.mice.impute"
    derived = {one.name: one.code for one in found if one.derivable}
    gone = {one.name for one in [*found, *written]}
    words: dict[str, Any] = {"derived": derived} if derived else {}
    for word in left_alone():
        mentioned = [name for name in getattr(options, word) if name in gone] if hasattr(options, word) else []
        if mentioned and (word in ("methods", "predictors") or set(mentioned) & {*dropped}):
            words[word] = dict.fromkeys(mentioned)
    if options.order and gone & {*options.order}:
        words["order"] = [name for name in options.order if name not in gone] or None
    formulas = [
        substitute(q.formula, [Derived(one.name, one.code, one.sources) for one in written]) if written else q.formula
        for q in questions
    ]
    if all(new == q.formula for new, q in zip(formulas, questions, strict=True)):
        return call(verb, **words)
    return call(verb, formulas[0] if len(formulas) == 1 else formulas, **words).in_place_of("*")


def _in_words(fill: Filled, one: Made) -> str:
    """What is said of a column that was filled in before imputing."""
    said = f" and {fill.what}" if fill.name == one.name else f"; {fill.name!r} is {fill.what}"
    return f"{said} {fill.where}, as if that were known"


def _shown(column: Column, row: int) -> str:
    """The level of a row."""
    level = _level(column, float(column.numbers(column.values[[row]])[0]) if column.number else column.values[row])
    return f"{level:.6g}" if isinstance(level, float) else repr(level)


def _seen_alone(one: Made, table: Table) -> bool:
    """Whether a column is observed in rows where a source is missing."""
    return any(len(np.setdiff1d(table[s].missing, table[one.name].missing)) for s in one.sources)


def _refuse_redundant(found: list[Made], table: Table, questions: Sequence[Question]) -> None:
    """Refuse an analysis with a term for a sum and for each column that it sums."""
    for one in (one for one in found if one.sum):
        for question in questions:
            if {code_of(n) for n in (one.name, *one.sources)} <= {*question.terms.codes}:
                raise PlanError(
                    f"{one.name!r} is {one.code} in all {one.rows} rows where all are observed: "
                    "the analysis cannot tell their coefficients apart.",
                    analysis=question.formula,
                    do=call(
                        "df.mice.impute", without(question.terms, one.name, table.columns), derived={one.name: one.code}
                    ).in_place_of(question.formula),
                )

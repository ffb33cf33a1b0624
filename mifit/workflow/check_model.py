"""Check the models that draw: redraw observed cells, analyse the replicates, compare imputed with observed values."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from ..analysis.fit import fit_sets
from ..calls import Code
from ..errors import DataError, MifitError, PlanError, call, listed
from ..examine.missingness import contrasts
from ..examine.model_check import Checked, ModelCheck, coefficient_table, column_table, response_table
from ..examine.predictive import Difference, adjusted_difference
from ..examine.response import response_model
from ..frame.completed import Completed
from ..frame.kinds import Kind
from ..frame.table import Column, Table
from ..imputation.contract import facts_of
from ..imputation.plan.plan import Plan
from ..imputation.sampler.new_rows import complete_rows
from ..record.record import Record, remembered
from ..record.request import IMPUTE, request_of
from ..typing import Array, Rows
from .fit import FitArguments, question_of

__all__ = ["cheap_model_check", "checkable", "model_check_of", "model_checked"]

_DRAWS = 100  # redrawn values of a cell in one set
_SETS = 3  # in which cells are redrawn so often
_SWEEPS = 2  # visits to a redrawn cell: samplers that go step by step leave their start
_FEW = 20  # observed values, or missing ones, below which nothing is said
_PREDICTORS = 10  # observed or missing values, whichever are fewer, for each predictor of a response model
_CHEAP = 50_000  # values of all sets up to which a report checks without being asked
_FEW_COLUMNS = 12  # and columns
_CELLS = 4_000  # redrawn in all columns together
_BESIDE = 20  # other columns along which a column is compared
_STREAM = (1_000_000, 5)  # of the sample of cells and of ties; no chain has this number


def checkable(record: Record) -> str:
    """Why nothing can be redrawn; empty where it can."""
    if record.plan is None or record.seed is None:
        return "the sets were made elsewhere"
    for word in ("by", "conditional", "collapse", "min_count", "id"):
        if getattr(record.plan.options, word):
            return f"models with {word}= are not checked"
    return "" if record.plan.order else "nothing was drawn"


def model_checked(record: Record, columns: Sequence[Hashable] | None = None, cells: int = 400) -> ModelCheck:
    """Check the models of an imputation; see :meth:`mifit.ImputedSet.check_model`."""
    why = checkable(record)
    plan, seed = record.plan, record.seed
    if why or plan is None or seed is None:
        formula = record.written[0] if len(record.written) == 1 else list(record.written) or None
        raise PlanError(f"{why}.", do=call(IMPUTE, formula, m=record.m).after("imp = ").then("; imp.check_model()"))
    names = _chosen(plan, record.table.drawn, columns)
    rng = seed.stream(*_STREAM)
    cells = min(cells, max(_CELLS // max(len(names), 1), _FEW))
    rows = {name: _sample(record.table.drawn[name].observed, cells, rng) for name in names}
    redrawn, whole = _redrawn(record, rows) if names else ({}, {})
    table = record.table.drawn
    complete = list(map(record.completed.values, range(record.m)))
    known = _known(table, complete)
    outcomes, checked = {name for question in plan.questions for name in question.outcome}, []
    for name in names:
        labels, given = _beside(table, complete[:_SETS], [n for n in known if n != name])
        variable = plan[name] if name in [*plan] else None
        if variable is not None and facts_of(variable.method).matches:
            continue  # a few donors are no distribution
        label = variable.label if variable is not None and variable.method is not None else ""
        label = label or ("the analysis" if name in outcomes else "auxiliary")
        checked.append(Checked(table[name], label, rows[name], redrawn[name], labels, given[:, rows[name]]))
    shares = column_table(checked, rng)
    shares.frame["do"] = [_cure(record, name, one) for name, one in shares.frame["respect"].items()]
    return ModelCheck(
        shares.frame, coefficient_table(_coefficients(record, whole)), response_table(_responses(record, columns)),
        shares.cells, record.m,
    )  # fmt: skip


@remembered
def model_check_of(record: Record) -> ModelCheck:
    """The check of all columns, once."""
    return model_checked(record)


def cheap_model_check(record: Record) -> ModelCheck | None:
    """The check of all columns where it was made before or takes little time; else None."""
    if checkable(record):
        return None
    known = f"{__name__}.model_check_of" in record.memo
    columns = len(record.table.drawn.columns)
    cheap = columns <= _FEW_COLUMNS and record.m * record.table.n_rows * columns <= _CHEAP
    return model_check_of(record) if known or cheap else None


def _cure(record: Record, name: Hashable, respect: str) -> str:
    """The call that may cure a departure; empty where none is known."""
    plan = record.plan
    assert plan is not None
    request = request_of(plan, record.m, record.seed)
    law = any(word in respect for word in ("skewed", "tails", "spread"))
    outcomes = {name for question in plan.questions for name in question.outcome}
    if not law:
        return ""
    if name in outcomes:
        return (
            call(IMPUTE, error_law="auto").after("imp = ").joined(request)
            if plan.options.error_law == "declared"
            else ""
        )
    if name not in [*plan] or plan[name].label != "norm":
        return ""
    method = Code("mifit.Power(heteroscedastic=True)") if "spread" in respect else "power"
    return call(IMPUTE, methods={name: method}).after("imp = ").joined(request)


def _chosen(plan: Plan, table: Table, columns: Sequence[Hashable] | None) -> list[Hashable]:
    """Columns that a model draws or could draw, with observed values enough."""
    drawn = list(plan.order)
    for factor in plan.factors:
        if facts_of(factor.method).survival:
            continue
        drawn += [factor.variable] if factor.question is None else [*plan.questions[factor.question].outcome]
    drawn = [name for name in dict.fromkeys(drawn) if len(table[name].observed) >= _FEW]
    if columns is None:
        return drawn
    asked: list[Hashable] = [columns] if isinstance(columns, str) else list(columns)
    for name in asked:
        table.require(name, "columns=")
        if name not in drawn:
            raise DataError(
                f"{name!r} has no model to be checked, or too few observed values.",
                known=listed(map(str, drawn), 8), do="imp.check_model()",
            )  # fmt: skip
    return asked


def _sample(rows: Rows, cells: int, rng: np.random.Generator) -> Rows:
    """At most some of the rows, in order."""
    return rows if len(rows) <= cells else np.sort(rng.choice(rows, cells, replace=False))


def _redrawn(record: Record, rows: dict[Hashable, Rows]) -> tuple[dict[Hashable, Array], dict[Hashable, Array]]:
    """Values redrawn for some cells, (sets, cells, draws), and once for all observed cells in every set, (m, n_obs)."""
    plan, seed, table = record.plan, record.seed, record.table.drawn
    assert plan is not None and seed is not None
    every: dict[Hashable, list[Array]] = {name: [] for name in rows}
    whole: dict[Hashable, list[Array]] = {name: [] for name in rows}
    for place, chain in enumerate(record.chains):
        repeats = _DRAWS if place < _SETS else 1
        values = {name: column.values for name, column in table.columns.items()}
        for name, drawn in chain.imputed.items():
            values[name] = values[name].copy()
            values[name][table[name].missing] = drawn
        blocks = [(n, table[n].observed, np.tile(rows[n], repeats - 1)) for n in rows]
        new = _stacked(table, values, blocks)
        found = complete_rows(table, new, plan, [chain], seed, _SWEEPS, (), list(table.columns), "")[0]
        for name, observed, _ in blocks:
            drawn = table[name].completed(found[name])
            first = drawn[: len(observed)]
            whole[name].append(first)
            if repeats > 1:
                rest = drawn[len(observed) :].reshape(repeats - 1, -1)
                every[name].append(np.column_stack([first[np.searchsorted(observed, rows[name])], *rest]))
    return {n: np.array(v) for n, v in every.items()}, {n: np.array(v) for n, v in whole.items()}


def _stacked(table: Table, values: dict[Hashable, Array], blocks: Sequence[tuple[Hashable, Rows, Rows]]) -> Table:
    """Completed rows below one another: in each block one column is missing."""
    taken = np.concatenate([np.concatenate([first, rest]) for _, first, rest in blocks])
    none = np.empty(0, dtype=np.int64)
    columns = {n: Column(n, c.coding, values[n][taken], none) for n, c in table.columns.items()}
    start = 0
    for name, first, rest in blocks:
        many = len(first) + len(rest)
        here = columns[name].values.copy()
        here[start : start + many] = np.nan
        columns[name] = Column(name, table[name].coding, here, np.arange(start, start + many))
        start += many
    return Table(columns, len(taken))


def _coefficients(record: Record, whole: dict[Hashable, Array]) -> list[tuple[Any, ...]]:
    """Coefficients of each declared analysis when the observed values of one column are redrawn, and as they are."""
    found: list[tuple[Any, ...]] = []
    for formula in record.written:
        try:
            question, words = question_of(record, FitArguments(formula=formula))
            design = record.design(question)
            real = fit_sets(design, record.completed, words, n_jobs=1)
        except MifitError:  # an analysis that cannot be fitted is told by fit()
            continue
        error = np.sqrt(np.diagonal(real.covariances, axis1=1, axis2=2).mean(axis=0))
        used = {*question.variables(record.table.given), *question.outcome}
        for name in (name for name in whole if name in used):
            try:
                other = fit_sets(design, _replaced(record, name, whole[name]), words, n_jobs=1)
            except MifitError:
                continue
            if other.names == real.names:
                found.append((formula, name, real.names, real.estimates, other.estimates, error))
    return found


def _replaced(record: Record, name: Hashable, redrawn: Array) -> Completed:
    """The completed sets with redrawn values in all observed cells of a column."""
    given, filled = record.completed.table, record.table.drawn[name]
    every = np.arange(given.n_rows)
    column = given[name]
    values = np.where(np.isin(every, column.missing), np.nan, column.values)
    table = Table({**given.columns, name: Column(name, column.coding, values, every)}, given.n_rows)
    sets = []
    for k, one in enumerate(record.completed.imputed):
        whole = record.completed.values(k)[name].copy()
        whole[filled.observed] = redrawn[k]
        sets.append({**one, name: whole})
    return Completed(record.frame, table, tuple(sets))


def _responses(record: Record, columns: Sequence[Hashable] | None) -> list[tuple[Any, ...]]:
    """Imputed against observed values given the probability of a missing value: per column and level, over the sets."""
    plan, table = record.plan, record.table.drawn
    assert plan is not None
    asked = None if columns is None else [columns] if isinstance(columns, str) else list(columns)
    complete = list(map(record.completed.values, range(record.m)))
    known = _known(table, complete)
    found: list[tuple[Any, ...]] = []
    for name in (name for name in plan.order if asked is None or name in asked):
        column = table[name]
        marked = table.gone(name)
        fewer = min(int(marked.sum()), len(column.observed))
        if fewer < _FEW or name not in known:
            continue
        differences: dict[Any, list[Difference]] = {}
        for values in complete:
            X = _others(table, values, [n for n in known if n != name], marked, max(fewer // _PREDICTORS, 1))
            log_odds = np.zeros(len(marked))
            if X.shape[1]:
                model = response_model(marked.astype(np.float64), X)
                log_odds = model.coef[0] + X @ model.coef[1:]
            whole = Column(name, column.coding, values[name], np.empty(0, dtype=np.int64))
            for level, one in contrasts(whole):
                differences.setdefault(level, []).append(adjusted_difference(one, marked, log_odds))
        found += [(name, level, each, int(marked.sum())) for level, each in differences.items()]
    return found


def _known(table: Table, complete: Sequence[dict[Hashable, Array]]) -> list[Hashable]:
    """Columns without a missing value in the completed sets."""
    usable = [n for n, c in table.columns.items() if c.kind is not Kind.OTHER and _differs(c)]
    return [n for n in usable if not any(np.isnan(one[n]).any() for one in complete)]


def _beside(
    table: Table, complete: Sequence[dict[Hashable, Array]], names: Sequence[Hashable]
) -> tuple[tuple[str, ...], Array]:
    """Other columns as some sets have them: their names, and values of shape (sets, n, q)."""
    none = np.empty(0, dtype=np.int64)
    labels, columns = [], []
    for name in names[:_BESIDE]:
        each = [contrasts(Column(name, table[name].coding, values[name], none)) for values in complete]
        for place, (level, _) in enumerate(each[0]):
            labels.append(str(name) if level is None else f"{name} = {level}")
            columns.append([one[place][1] for one in each])
    whole = np.array(columns) if columns else np.empty((0, len(complete), table.n_rows))
    return tuple(labels), whole.transpose(1, 2, 0)


def _differs(column: Column) -> bool:
    """Whether two observed values differ."""
    return len(np.unique(column.values[column.observed])) > 1


def _others(table: Table, values: dict[Hashable, Array], names: Sequence[Hashable], marked: Any, most: int) -> Array:
    """Other columns, standardised, those first that go with the mark; shape (n, at most most)."""
    none = np.empty(0, dtype=np.int64)
    columns = [one for n in names for _, one in contrasts(Column(n, table[n].coding, values[n], none))]
    kept = [(one - one.mean()) / one.std() for one in columns if one.std() > 0]
    if not kept:
        return np.empty((len(marked), 0))
    X = np.column_stack(kept)
    strength = np.abs((marked - marked.mean()) @ X)
    return X[:, np.sort(np.argsort(-strength, kind="stable")[:most])]

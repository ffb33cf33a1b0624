"""Factor: one building block of a formula, memorised once on observed rows and evaluated on any."""

from __future__ import annotations

import ast
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import patsy
from patsy.categorical import categorical_to_int

from ..errors import FormulaError, StorageError, call
from ..frame.kinds import Coding
from ..frame.table import Table
from ..typing import Array, Rows
from .column_methods import centred, replaced
from .evaluate import Confined, known_names
from .question import Question
from .terms import code_of

__all__ = ["LARGEST", "Block", "Frozen", "block_of", "plain_view", "refuse_wide", "widened"]

LARGEST = 1e150  # beyond this a square overflows
_WIDEST = 10_000  # columns of a design that a file asks for


class Frozen:
    """A patsy factor memorised once, on the rows where its own variables were observed."""

    def __init__(self, factor: Any, variables: Sequence[Hashable], table: Table, names: Mapping[str, Any]) -> None:
        self.factor, self.variables, self.names = factor, tuple(variables), names
        self.table: Table | None = table
        self.own: dict[Hashable, Any] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and self.factor == other.factor

    def __hash__(self) -> int:
        return hash(self.factor)

    @property
    def origin(self) -> Any:
        """Where it stands in the formula."""
        return self.factor.origin

    def name(self) -> str:
        """How patsy names it."""
        return str(self.factor.name())

    def memorize_passes_needed(self, state: dict[str, Any], eval_env: Any) -> int:
        """Memorise all at once, on its own rows."""
        assert self.table is not None
        rows = self.table.complete_rows(self.variables)
        self.own = {v: self.table[v].coding.series(self.table[v].values[rows]) for v in self.variables}
        for which in range(self.factor.memorize_passes_needed(state, eval_env)):
            self.factor.memorize_chunk(state, which, self.own)
            self.factor.memorize_finish(state, which)
        return 0

    def memorize_chunk(self, state: dict[str, Any], which_pass: int, data: Any) -> None:
        """Nothing is left to memorise."""

    def memorize_finish(self, state: dict[str, Any], which_pass: int) -> None:
        """Nothing is left to memorise."""

    def columns_at_most(self, env: Confined) -> int:
        """How many columns it makes, before it is evaluated; what is not approved is refused."""
        assert self.table is not None
        views = {v: self.table[v].coding.view(self.table[v].values[self.table[v].observed]) for v in self.variables}
        width = env.approve(self.factor.code, views).width
        only = self.table[self.variables[0]] if len(self.variables) == 1 else None
        if only is not None and (only.kind.discrete or width == 0):
            return max(width, len(np.unique(only.values[only.observed])))
        return max(width, 1)

    def eval(self, state: dict[str, Any], data: Any) -> Any:
        """Evaluate on the data, while it is memorised on its own rows."""
        return self.factor.eval(state, data if self.own is None else self.own)


@dataclass(frozen=True)
class Block:
    """One factor, ready to be evaluated on any rows."""

    code: str
    variables: tuple[Hashable, ...]
    codings: dict[Hashable, Coding]
    state: dict[str, Any]
    factor: Any
    categories: tuple[Any, ...] | None  #: of a categorical factor
    bare: bool  #: the variable itself, a number
    lookup: Array | None  #: one row per level, when its only variable is discrete
    knots: tuple[tuple[str, float, float], ...]  #: spline arguments and the range they must keep
    width: int = 1  #: columns of a numerical factor

    def values(self, data: Mapping[Hashable, Array], n_rows: int) -> Array:
        """Numbers (n, width), or level codes (n, 1); NaN where the data leave the factor's domain."""
        if not n_rows:  # splines and user-defined functions may fail on an empty argument
            return np.empty((0, self.width))
        if self.lookup is not None:
            return self.lookup[data[self.variables[0]].astype(np.int64)]
        if self.bare:
            return data[self.variables[0]][:, None]
        seen = {v: plain_view(self.codings[v], data[v]) for v in self.variables}
        inside = self._inside(seen, n_rows)
        if inside is None:
            return self._evaluate(seen)
        whole = np.full((n_rows, self.width), np.nan)
        if len(inside):
            whole[inside] = self._evaluate({v: x[inside] for v, x in seen.items()})
        return whole

    def _evaluate(self, seen: dict[Hashable, Any]) -> Array:
        try:
            with np.errstate(all="ignore"):
                found = self.factor.eval(self.state, seen)
        except patsy.PatsyError as error:  # whatever a user's function raises
            fact = f"{self.code!r} cannot be computed from arrays: {error.message}"
            raise FormulaError(fact, do="df.dtypes") from None
        if self.categories is not None:
            return self._codes(found)
        numbers = np.asarray(found, dtype=np.float64)
        return numbers[:, None] if numbers.ndim == 1 else numbers

    def _codes(self, found: Any) -> Array:
        """Level codes, shape (n, 1); NaN for a value that is no level."""
        try:
            codes = categorical_to_int(found, self.categories, patsy.NAAction(NA_types=[])).astype(np.float64)
        except (patsy.PatsyError, TypeError):
            known = {level: float(code) for code, level in enumerate(self.categories or ())}
            codes = np.array([known.get(value, np.nan) for value in np.asarray(getattr(found, "data", found)).tolist()])
        return codes[:, None]

    def _inside(self, seen: dict[Hashable, Any], n_rows: int) -> Rows | None:
        """Rows within the knots of every spline; None when there are no splines or all rows are inside."""
        if not self.knots:
            return None
        good = np.ones(n_rows, dtype=bool)
        with np.errstate(all="ignore"):
            for inner, low, high in self.knots:
                argument = self.state["eval_env"].eval(inner, inner_namespace=seen)
                good &= (argument >= low) & (argument <= high)
        return None if good.all() else np.flatnonzero(good)


def refuse_wide(env: Any, question: Question, factors: Iterable[Frozen]) -> None:
    """Approve every factor of a formula from a file, and refuse one with more columns than any design has."""
    if not isinstance(env, Confined):
        return
    widths = {one.name(): one.columns_at_most(env) for one in factors}
    columns = sum(math.prod(widths[code] for code in term) for term in question.terms.factors)
    if columns > _WIDEST:
        raise StorageError(
            f"a formula of the file asks for up to {columns} columns: {question.formula!r:.80}.",
            do='imp.save("study.mifit")  # of a smaller analysis',
        )


def block_of(frozen: Frozen, info: Any, table: Table, names: dict[str, Any], question: Question) -> Block:
    """Make one factor ready for evaluation."""
    found = info.factor_infos[frozen]
    code = frozen.factor.code
    only = table[frozen.variables[0]] if len(frozen.variables) == 1 else None
    categories = tuple(found.categories) if found.type == "categorical" else None
    codings = {v: table[v].coding for v in frozen.variables}
    bare = only is not None and not only.kind.discrete and code in (str(only.name), f"Q({only.name!r})")
    width = 1 if categories is not None else found.num_columns
    knots = _knots(frozen, found.state)
    block = Block(code, frozen.variables, codings, found.state, frozen.factor, categories, bare, None, knots, width)
    if only is not None and only.kind.discrete:
        levels = {only.name: only.coding.view(np.arange(only.n_levels, dtype=np.float64))}
        object.__setattr__(block, "lookup", block._evaluate(levels))
    if not bare:
        _check_values(block, table, question)
        _check_levels(block, table, question)
    return block


def _check_values(block: Block, table: Table, question: Question) -> None:
    """Refuse a factor that is not finite on observed values, or that looks at other rows: ``I(x - np.mean(x))``."""
    rows = table.complete_rows(block.variables)
    data = {v: table[v].values[rows] for v in block.variables}
    halves = np.array_split(np.argsort(data[block.variables[0]], kind="stable"), 2)
    try:
        whole = block._evaluate({v: plain_view(block.codings[v], x) for v, x in data.items()})
        parts = [block.values({v: x[half] for v, x in data.items()}, len(half)) for half in halves if len(half)]
    except FormulaError as error:
        raise FormulaError(str(error).splitlines()[0], formula=question.formula, do="df.dtypes") from None
    if whole.ndim == 0:  # of all rows together: np.linalg.norm(x)
        whole, parts = whole.reshape(1, 1), [np.full((len(half), 1), np.nan) for half in halves]
    bad = np.flatnonzero(~np.isfinite(whole).all(axis=1))
    if block.categories is None and len(whole) == len(rows) and len(bad):
        row = int(rows[bad[0]])
        raise FormulaError(
            f"{block.code!r} is not a finite number in row {row}.",
            formula=question.formula,
            value=", ".join(f"{v} = {table[v].values[row]:.6g}" for v in block.variables),
            do=f"df.loc[df.index[{row}]]",
        )
    largest = float(np.abs(whole).max(initial=0.0)) if block.categories is None else 0.0
    if largest > LARGEST:
        unit = f"{10.0 ** np.floor(np.log10(largest)):g}"
        smaller = question.formula.replace(" ", "").replace(block.code.replace(" ", ""), f"I({block.code} / {unit})")
        raise FormulaError(
            f"{block.code!r} has values up to {largest:.3g}: their squares overflow (float64); rescale it.",
            formula=question.formula,
            do=call("df.mice.impute", smaller),
        )
    apart, together = np.concatenate(parts), whole[np.concatenate(halves)] if len(whole) == len(rows) else whole
    if apart.shape == together.shape:
        size = np.abs(whole).max(axis=0, initial=0.0)
        if np.all(np.abs(apart - together) <= 1e-9 * size):
            return
    name = code_of(block.variables[0])
    meant = centred(block.code) or f"center({name})"
    raise FormulaError(
        f"{block.code!r} depends on other rows, and would differ from set to set.",
        formula=question.formula,
        instead="center(x), standardize(x) and bs(x, df=4) learn once what they need",
        do=call("df.mice.impute", replaced(question.formula, block.code, meant)).in_place_of(question.formula),
    )


def _check_levels(block: Block, table: Table, question: Question) -> None:
    """Refuse ``C(x)`` of a number with missing values: what is drawn for a number is no level."""
    if block.categories is None or len(block.variables) != 1:
        return
    column = table[block.variables[0]]
    name = column.name
    first: Any = getattr(ast.parse(block.code, mode="eval").body, "args", None)
    levels = bool(first) and block.code.startswith("C(") and ast.unparse(first[0]) in (str(name), f"Q({name!r})")
    if len(column.missing) and not column.kind.discrete and levels:
        raise FormulaError(
            f"{block.code!r} makes levels of {name!r}, which is a number with {len(column.missing)} missing values.",
            formula=question.formula,
            do=f"df[{name!r}] = df[{name!r}].astype('category')",
        )


def _knots(frozen: Frozen, state: dict[str, Any]) -> tuple[tuple[str, float, float], ...]:
    """Arguments of B-splines and the range outside which they are undefined."""
    found = []
    for node in ast.walk(ast.parse(frozen.factor.code, mode="eval")):
        inner = _splined(node, frozen.names)
        if inner is None or not isinstance(node, ast.Call):
            continue
        argument = np.asarray(state["eval_env"].eval(inner, inner_namespace=frozen.own))
        bounds = {
            k.arg: state["eval_env"].eval(ast.unparse(k.value), inner_namespace={})
            for k in node.keywords if k.arg in ("lower_bound", "upper_bound")
        }  # fmt: skip
        low = bounds.get("lower_bound", argument.min())
        high = bounds.get("upper_bound", argument.max())
        found.append((inner, float(low), float(high)))
    return tuple(found)


def _splined(node: ast.AST, names: Mapping[str, Any]) -> str | None:
    """The argument of a call to patsy's ``bs``, under whatever name; None for any other node."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        return None
    if names.get(node.func.id) is not patsy.builtins.bs:
        return None
    given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "x")]
    return ast.unparse(given[0]) if given else None


def plain_view(coding: Coding, values: Array) -> npt.NDArray[Any]:
    """Values inside an expression of several variables: numbers, booleans, or the levels themselves."""
    if not coding.kind.discrete or coding.number:
        return np.asarray(coding.view(values))
    view = coding.view(values)
    return view if isinstance(view, np.ndarray) else coding.decode(values)


def widened(question: Question, block: Block, values: Mapping[Hashable, Array]) -> str:
    """The formula with bounds written into the splines of one factor, half their range beyond all values."""
    seen = {v: plain_view(block.codings[v], values[v]) for v in block.variables}
    tree = ast.parse(block.code, mode="eval")
    for inner, low, high in block.knots:
        argument = np.asarray(block.state["eval_env"].eval(inner, inner_namespace=seen))
        margin = (high - low) / 2
        step = 10.0 ** np.floor(np.log10(margin)) if margin > 0 else 1.0
        low = np.floor((min(low, argument.min()) - margin) / step) * step
        high = np.ceil((max(high, argument.max()) + margin) / step) * step
        bounds = {"lower_bound": low, "upper_bound": high}
        fresh = [ast.keyword(word, ast.Constant(float(f"{value:.6g}"))) for word, value in bounds.items()]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _splined(node, known_names(question.names)) == inner:
                node.keywords = [k for k in node.keywords if k.arg not in bounds] + fresh
    wider = ast.unparse(ast.fix_missing_locations(tree))
    codes = [term for term in question.terms.factors if term]
    terms = [":".join(wider if code == block.code else code for code in term) for term in codes]
    constant = [] if "Intercept" in question.terms.codes else ["0"]
    return f"{question.terms.outcome} ~ {' + '.join([*constant, *terms])}"

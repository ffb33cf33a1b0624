"""Design: the frozen design of a question; the same columns for imputing, fitting and predicting."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import patsy
from patsy.categorical import categorical_to_int

from ..errors import FormulaError
from ..frame.kinds import Array, Coding, Kind, Rows
from ..frame.table import Table
from .question import Question, resolve
from .terms import take_apart

__all__ = ["Design", "FormulaColumn", "covered", "freeze"]


class _Frozen:
    """A patsy factor memorised once, on the rows where its own variables were observed."""

    def __init__(self, factor: Any, variables: Sequence[Hashable], table: Table, names: Mapping[str, Any]) -> None:
        self.factor, self.variables, self.table, self.names = factor, tuple(variables), table, names
        self.own: dict[Hashable, Any] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self.factor == other.factor

    def __hash__(self) -> int:
        return hash(self.factor)

    @property
    def origin(self) -> Any:
        return self.factor.origin

    def name(self) -> str:
        return str(self.factor.name())

    def memorize_passes_needed(self, state: dict[str, Any], eval_env: Any) -> int:
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

    def eval(self, state: dict[str, Any], data: Any) -> Any:
        return self.factor.eval(state, data if self.own is None else self.own)


@dataclass(frozen=True)
class _Block:
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

    def values(self, data: Mapping[Hashable, Array], n_rows: int) -> Array:
        """Numbers (n, width), or level codes (n, 1); NaN where the data leave the factor's domain."""
        if self.lookup is not None:
            return self.lookup[data[self.variables[0]].astype(np.int64)]
        if self.bare:
            return data[self.variables[0]][:, None]
        seen = {v: _plain_view(self.codings[v], data[v]) for v in self.variables}
        inside = self._inside(seen, n_rows)
        if inside is None:
            return self._evaluate(seen)
        part = self._evaluate({v: x[inside] for v, x in seen.items()}) if len(inside) else np.empty((0, 1))
        whole = np.full((n_rows, part.shape[1]), np.nan)
        whole[inside] = part
        return whole

    def _evaluate(self, seen: dict[Hashable, Any]) -> Array:
        with np.errstate(all="ignore"):
            found = self.factor.eval(self.state, seen)
        if self.categories is not None:
            return categorical_to_int(found, self.categories, patsy.NAAction(NA_types=[]))[:, None].astype(np.float64)
        numbers = np.asarray(found, dtype=np.float64)
        return numbers[:, None] if numbers.ndim == 1 else numbers

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


@dataclass(frozen=True, slots=True)
class FormulaColumn:
    """One column of the design: a product of factor columns."""

    name: str
    term: int  #: position of its term in the formula
    parts: tuple[tuple[int, int, Array | None], ...]  #: (block, column of it, contrast by code)
    variables: frozenset[Hashable]


@dataclass(frozen=True, eq=False)
class Design:
    """The frozen design of a question on a table: a pure function of the two."""

    question: Question
    table: Table
    columns: tuple[FormulaColumn, ...]
    blocks: tuple[_Block, ...]
    info: Any = field(repr=False)  #: patsy's DesignInfo of the right side

    @property
    def formula(self) -> str:
        """The formula as it was given."""
        return self.question.formula

    @property
    def outcome_label(self) -> str:
        """The outcome as a summary names it."""
        return self.question.outcome_label

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns as statsmodels spells them."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def variables(self) -> tuple[Hashable, ...]:
        """Columns of the frame on the right side."""
        return self.question.variables(self.table)

    def columns_of(self, variable: Hashable) -> list[int]:
        """Positions of the design columns that change with a variable."""
        return [i for i, column in enumerate(self.columns) if variable in column.variables]

    def evaluate(self, which: Sequence[int], data: Mapping[Hashable, Array], n_rows: int) -> Array:
        """Some columns on any rows.

        Parameters
        ----------
        which : sequence of int
            Positions of the columns wanted.
        data : mapping
            Column of the frame -> values or level codes, each of shape (n_rows,).
        n_rows : int

        Returns
        -------
        ndarray, shape (n_rows, len(which))
            NaN where the data leave the domain of a factor: a spline's knots, the argument of a logarithm.
        """
        out = np.empty((n_rows, len(which)), order="F")
        found: dict[int, Array] = {}
        for position, index in enumerate(which):
            product: Any = None
            for block, part, contrast in self.columns[index].parts:
                if block not in found:
                    found[block] = self.blocks[block].values(data, n_rows)
                piece = found[block][:, part if contrast is None else 0]
                if contrast is not None:
                    piece = contrast[piece.astype(np.int64)]
                product = piece if product is None else product * piece
            out[:, position] = 1.0 if product is None else product
        return out

    def matrix(self, values: Mapping[Hashable, Array]) -> Array:
        """The whole design, shape (n, p); values outside a factor's domain are refused by name."""
        found = self.evaluate(range(len(self.columns)), values, self.table.n_rows)
        if not np.isfinite(found).all():
            raise self._outside(found, values)
        return found

    def outcome(self, values: Mapping[Hashable, Array]) -> Array:
        """The outcome as numbers, shape (n,); a value that is not finite is refused by row."""
        found = self.response(values)
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found))[0])
            raise FormulaError(
                f"outcome {self.question.terms.outcome!r} is not a finite number in row {row}.",
                formula=self.formula,
                do=f"df.loc[df.index[{row}]]",
            )
        return found

    def response(self, values: Mapping[Hashable, Array]) -> Array:
        """The outcome as numbers, shape (n,): 1 for the modelled level where it is no number; NaN where missing."""
        question = self.question
        rows = np.flatnonzero(~np.any([np.isnan(values[v]) for v in question.outcome], axis=0))
        seen = {v: values[v][rows] for v in question.outcome}
        found = np.full(len(values[question.outcome[0]]), np.nan)
        if question.bare:
            column = self.table[question.outcome[0]]
            codes = seen[question.outcome[0]]
            found[rows] = column.numbers(codes) if question.level is None else codes == column.n_levels - 1
            return found
        views = {v: _plain_view(self.table[v].coding, x) for v, x in seen.items()}
        with np.errstate(all="ignore"):
            env = patsy.EvalEnvironment([{**_BUILTINS, **resolve(question.names)}])
            found[rows] = np.asarray(env.eval(question.terms.outcome, inner_namespace=views), dtype=np.float64)
        return found

    def affine_in(self, variable: Hashable) -> bool:
        """Whether every column is affine in a numeric variable, others held: checked on 25 values."""
        column = self.table[variable]
        which = self.columns_of(variable)
        if not which or column.kind.discrete:
            return not which
        seen = column.values[column.observed]
        spread = float(seen.max() - seen.min()) or 1.0
        grid = np.concatenate([np.linspace(seen.min() - spread, seen.max() + spread, 16), np.quantile(seen, _SHARES)])
        data = {v: np.repeat(x, len(grid)) for v, x in self.probe(12).items()}
        data[variable] = np.tile(grid, 12)
        found = self.evaluate(which, data, 12 * len(grid)).reshape(12, len(grid), len(which))
        if not np.isfinite(found).all():
            return False
        slope = (found[:, 1] - found[:, 0]) / (grid[1] - grid[0])
        line = found[:, :1] + slope[:, None] * (grid - grid[0])[None, :, None]
        return bool(np.all(np.abs(found - line) <= 1e-9 * (np.abs(found).max(axis=(0, 1)) + 1e-300)))

    def needs_positive(self, variable: Hashable) -> bool:
        """Whether the design is undefined where a numeric variable is not positive."""
        column = self.table[variable]
        which = self.columns_of(variable)
        if not which or column.kind.discrete or not (column.values[column.observed] > 0).all():
            return False
        data = self.probe(12)
        data[variable] = -np.abs(data[variable])
        blocks = [b for i in which for b, _, _ in self.columns[i].parts]
        if any(self.blocks[b].knots for b in blocks):
            return False
        return not np.isfinite(self.evaluate(which, data, 12)).all()

    def probe(self, n_rows: int) -> dict[Hashable, Array]:
        """Rows whose variables are drawn independently of each other from observed values."""
        found = {}
        for v in self.variables:
            # Seeded by name, so that two designs see the same rows of a variable they share.
            rng = np.random.default_rng(list(repr(v).encode()))
            found[v] = self.table[v].values[rng.choice(self.table[v].observed, n_rows)]
        return found

    def _outside(self, found: Array, values: Mapping[Hashable, Array]) -> FormulaError:
        """The error for values outside a factor's domain."""
        row, index = np.argwhere(~np.isfinite(found))[0]
        column = self.columns[index]
        block = next((self.blocks[b] for b, _, _ in column.parts if self.blocks[b].knots), None)
        name = next(iter(column.variables))
        shown = f"{name} = {values[name][row]:.6g}"
        if block is None:
            return FormulaError(
                f"{column.name!r} is not a finite number in row {row}.",
                formula=self.formula,
                value=shown,
                do=f'imp = df.mice.impute("{self.formula}")',
            )
        _, low, high = block.knots[0]
        return FormulaError(
            f"row {row} has {shown}, outside the outermost knots of {block.code}.",
            formula=self.formula,
            knots=f"{low:.6g} to {high:.6g}, the observed range",
            do=_widened(self.formula, name, values[name]),
        )


_SHARES = np.linspace(0.05, 0.95, 9)
_BUILTINS = {name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__}


def freeze(question: Question, table: Table) -> Design:
    """Freeze the design of a question: levels, knots and centres are learnt once.

    Parameters
    ----------
    question : Question
    table : Table
        Each factor is memorised on the rows where its own variables were observed.

    Returns
    -------
    Design

    Raises
    ------
    FormulaError
        If a variable cannot be used, or a factor is not finite on observed values.
    """
    for variable in (*question.variables(table), *question.outcome):
        column = table[variable]
        if column.kind is Kind.OTHER:
            raise FormulaError(
                f"column {variable!r} {column.coding.problem}; the formula cannot use it.",
                formula=question.formula,
                do=f"df['number'] = df[{variable!r}]. ...",
            )
        if not len(column.observed):
            raise FormulaError(f"all values of {variable!r} are missing.", do=f"df.drop(columns=[{variable!r}])")
    names = {**_BUILTINS, **resolve(question.names)}
    right = patsy.ModelDesc.from_formula(question.formula).rhs_termlist
    factors: dict[Any, _Frozen] = {}
    for factor in dict.fromkeys(f for term in right for f in term.factors):
        factors[factor] = _Frozen(factor, take_apart(factor.code, table.columns).variables, table, names)
    terms = [patsy.Term([factors[f] for f in term.factors]) for term in right]
    info = _memorise(terms, names, question)
    blocks = [_block(frozen, info, table, names, question) for frozen in factors.values()]
    for frozen in factors.values():
        frozen.own = None
    position = {frozen: index for index, frozen in enumerate(factors.values())}
    return Design(question, table, tuple(_columns(info, blocks, position)), tuple(blocks), info)


def _memorise(terms: list[Any], names: dict[str, Any], question: Question) -> Any:
    """Let patsy find types, levels and codings."""
    env = patsy.EvalEnvironment([names])
    try:
        with np.errstate(all="ignore"):
            return patsy.design_matrix_builders(
                [terms], lambda: iter([{}]), env, NA_action=patsy.NAAction(NA_types=[])
            )[0]
    except patsy.PatsyError as error:
        place = "\n" + error.origin.caretize(indent=2) if error.origin is not None else ""
        raise FormulaError(f"the formula cannot be built: {error.message}{place}") from None


def _block(frozen: _Frozen, info: Any, table: Table, names: dict[str, Any], question: Question) -> _Block:
    """Make one factor ready for evaluation."""
    found = info.factor_infos[frozen]
    code = frozen.factor.code
    only = table[frozen.variables[0]] if len(frozen.variables) == 1 else None
    categories = tuple(found.categories) if found.type == "categorical" else None
    codings = {v: table[v].coding for v in frozen.variables}
    bare = only is not None and not only.kind.discrete and code in (str(only.name), f"Q({only.name!r})")
    block = _Block(
        code, frozen.variables, codings, found.state, frozen.factor, categories, bare, None, _knots(frozen, found.state)
    )
    if only is not None and only.kind.discrete:
        levels = {only.name: only.coding.view(np.arange(only.n_levels, dtype=np.float64))}
        object.__setattr__(block, "lookup", block._evaluate(levels))
    elif categories is None and not np.isfinite(block._evaluate(frozen.own or {})).all():
        rows = table.complete_rows(frozen.variables)
        row = int(rows[int(np.flatnonzero(~np.isfinite(block._evaluate(frozen.own or {})).all(axis=1))[0])])
        raise FormulaError(
            f"{code!r} is not a finite number in row {row}.",
            formula=question.formula,
            value=", ".join(f"{v} = {table[v].values[row]:.6g}" for v in frozen.variables),
            do=f"df.loc[df.index[{row}]]",
        )
    return block


def _columns(info: Any, blocks: list[_Block], position: dict[_Frozen, int]) -> list[FormulaColumn]:
    """The design columns in patsy's order: within an interaction the first factor varies fastest."""
    columns: list[FormulaColumn] = []
    for term, subterms in enumerate(info.term_codings.values()):
        for subterm in subterms:
            widths = [
                subterm.contrast_matrices[f].matrix.shape[1]
                if f in subterm.contrast_matrices
                else info.factor_infos[f].num_columns
                for f in subterm.factors
            ]
            for reversed_parts in itertools.product(*(range(w) for w in reversed(widths))):
                parts = tuple(
                    (
                        position[f],
                        part,
                        subterm.contrast_matrices[f].matrix[:, part] if f in subterm.contrast_matrices else None,
                    )
                    for f, part in zip(subterm.factors, reversed(reversed_parts), strict=True)
                )
                variables = frozenset(v for b, _, _ in parts for v in blocks[b].variables)
                columns.append(FormulaColumn(info.column_names[len(columns)], term, parts, variables))
    return columns


def _knots(frozen: _Frozen, state: dict[str, Any]) -> tuple[tuple[str, float, float], ...]:
    """Arguments of B-splines and the range outside which they are undefined."""
    found = []
    for node in ast.walk(ast.parse(frozen.factor.code, mode="eval")):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "bs" and node.args):
            continue
        inner = ast.unparse(node.args[0])
        if "bs" not in dir(patsy.builtins):
            continue
        argument = np.asarray(state["eval_env"].eval(inner, inner_namespace=frozen.own))
        bounds = {k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg in ("lower_bound", "upper_bound")}
        low = bounds.get("lower_bound", argument.min())
        high = bounds.get("upper_bound", argument.max())
        found.append((inner, float(low), float(high)))
    return tuple(found)


def _plain_view(coding: Coding, values: Array) -> npt.NDArray[Any]:
    """Values inside an expression of several variables: numbers, booleans, or the levels themselves."""
    if not coding.kind.discrete or coding.number:
        return np.asarray(coding.view(values))
    view = coding.view(values)
    return view if isinstance(view, np.ndarray) else coding.decode(values)


def _widened(formula: str, name: Hashable, values: Array) -> str:
    """The formula with bounds written into its spline."""
    low, high = float(np.floor(values.min())), float(np.ceil(values.max()))
    return f"bs({name}, df=4, lower_bound={low:g}, upper_bound={high:g})"


def covered(asked: Design, known: Sequence[Design]) -> bool:
    """Whether every column of one design lies in the span of others'.

    All are evaluated on rows whose variables are drawn independently of each other from observed values, so
    that no accident of the data makes two terms look alike.
    """
    n_rows = 4 * sum(len(design.columns) for design in (asked, *known)) + 50
    data: dict[Hashable, Array] = {}
    for design in (asked, *known):
        data.update(design.probe(n_rows))
    z = np.hstack([_standard(d.evaluate(range(len(d.columns)), data, n_rows)) for d in known])
    x = _standard(asked.evaluate(range(len(asked.columns)), data, n_rows))
    good = np.isfinite(z).all(axis=1) & np.isfinite(x).all(axis=1)
    return _rank(np.hstack([z[good], x[good]])) == _rank(z[good])


def _standard(matrix: Array) -> Array:
    """Columns of unit length."""
    size = np.sqrt(np.nansum(matrix * matrix, axis=0))
    return matrix / np.where(size > 0, size, 1.0)


def _rank(matrix: Array) -> int:
    """Numerical rank of columns of unit length."""
    return int(np.linalg.matrix_rank(matrix, tol=1e-9 * np.sqrt(matrix.shape[1])))

"""Design: the frozen design of a question; the same columns for imputing, fitting and predicting."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import patsy

from ..errors import FormulaError, call, listed
from ..frame.kinds import Kind
from ..frame.table import Table
from ..typing import Array
from .column_code import usable
from .column_methods import no_number
from .evaluate import environment, known_names
from .factor import LARGEST, Block, Frozen, block_of, plain_view, refuse_wide, widened
from .question import Question
from .terms import described, take_apart

__all__ = ["Design", "Designs", "FormulaColumn", "covered", "freeze"]


@dataclass(frozen=True, slots=True)
class FormulaColumn:
    """One column of the design: a product of factor columns."""

    name: str
    term: int  #: position of its term among the formula's
    parts: tuple[tuple[int, int, Array | None], ...]  #: (block, column of it, contrast by code)
    variables: frozenset[Hashable]


@dataclass(frozen=True, eq=False)
class Design:
    """The frozen design of a question on a table: a pure function of the two."""

    question: Question
    table: Table
    columns: tuple[FormulaColumn, ...]
    blocks: tuple[Block, ...]
    info: Any = field(repr=False)  #: patsy's DesignInfo of the right side; None where columns of it were left out
    redundant: tuple[str, ...] = ()  #: columns of splines left out, for they follow from those before them

    @property
    def formula(self) -> str:
        """The formula as it was given."""
        return self.question.formula

    @property
    def outcome_label(self) -> str:
        """The outcome as a summary names it."""
        return self.question.outcome_label

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Levels of the outcome where the model is one of several levels; else none."""
        if not self.question.facts.levels or not self.question.bare:
            return ()
        shown = self.table[self.question.outcome[0]].coding.levels
        return tuple(f"{level:g}" if isinstance(level, float) else str(level) for level in shown)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns as statsmodels spells them."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def variables(self) -> tuple[Hashable, ...]:
        """Columns of the frame on the right side."""
        return self.question.variables(self.table)

    @property
    def never_observed(self) -> tuple[str, ...]:
        """Sentences on categories that have no coefficient because no row has them."""
        unused = [(v, self.table[v].coding.unused) for v in dict.fromkeys((*self.question.outcome, *self.variables))]
        return tuple(
            f"{v!r}: {listed(map(repr, levels), _NAMED)} never observed: without a coefficient"
            for v, levels in unused
            if levels
        )

    @property
    def confined(self) -> tuple[str, ...]:
        """Sentences on incomplete variables whose draws a spline keeps within what was observed of them."""
        found = []
        for block in self.blocks:
            incomplete = [v for v in block.variables if len(self.table[v].missing)]
            if incomplete and block.knots and "_bound" not in block.code:
                low, high = block.knots[0][1:]
                data = {v: self.table[v].values[self.table[v].observed[:1]] for v in block.variables}
                found.append(
                    f"{incomplete[0]!r} is drawn within the outermost knots of {block.code}, {low:.6g} to {high:.6g}; "
                    f"if values beyond may be missing: {widened(self.question, block, data)!r}"
                )
        return tuple(found)

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
                    unknown = np.isnan(piece)
                    piece = np.where(unknown, np.nan, contrast[np.where(unknown, 0, piece).astype(np.int64)])
                product = piece if product is None else product * piece
            out[:, position] = 1.0 if product is None else product
        return out

    def matrix(self, values: Mapping[Hashable, Array]) -> Array:
        """The whole design, shape (n, p); values outside a factor's domain are refused by name."""
        found = self.evaluate(range(len(self.columns)), values, len(next(iter(values.values()))))
        if not (np.isfinite(found.sum()) or np.isfinite(found).all()):  # a sum is finite if all are, or it overflows
            raise self._outside(found, values)
        return found

    def outcome(self, values: Mapping[Hashable, Array]) -> Array:
        """The outcome as numbers, shape (n,); a value that is not finite is refused by row."""
        found = self.response(values)
        if not np.isfinite(found).all():
            raise self.not_finite(int(np.flatnonzero(~np.isfinite(found))[0]))
        return found

    def not_finite(self, row: int) -> FormulaError:
        """The error for an outcome that is no finite number in a row."""
        return FormulaError(
            f"outcome {self.question.terms.outcome!r} is not a finite number in row {row}.",
            formula=self.formula,
            do=f"df.loc[df.index[{row}]]",
        )

    def response(self, values: Mapping[Hashable, Array]) -> Array:
        """The outcome as numbers, shape (n,): 1 for the modelled level where it is no number; NaN where missing."""
        question = self.question
        rows = np.flatnonzero(~np.any([np.isnan(values[v]) for v in question.outcome], axis=0))
        seen = {v: values[v][rows] for v in question.outcome}
        found = np.full(len(values[question.outcome[0]]), np.nan)
        if question.bare:
            column = self.table[question.outcome[0]]
            codes = seen[question.outcome[0]]
            if question.level is None:
                levelled = question.facts.levels and column.kind.discrete
                found[rows] = column.numbers(codes) if column.number and not levelled else codes
            else:
                found[rows] = codes == column.n_levels - 1
            return found
        views = {v: plain_view(self.table[v].coding, x) for v, x in seen.items()}
        with np.errstate(all="ignore"):
            env = environment(question.names)
            try:
                found[rows] = np.asarray(env.eval(question.terms.outcome, inner_namespace=views), dtype=np.float64)
            except (TypeError, ValueError, AttributeError) as error:
                column = self.table[question.outcome[0]]
                raise no_number(question.terms, column, type(error).__name__) from error
        return found

    def affine_in(self, variable: Hashable) -> bool:
        """Whether every column is affine in a numeric variable, others held: checked on 25 values, once."""
        if variable not in self._affine:
            self._affine[variable] = self._is_affine_in(variable)
        return self._affine[variable]

    @cached_property
    def _affine(self) -> dict[Hashable, bool]:
        """Variables that were asked about, and the answers."""
        return {}

    def _is_affine_in(self, variable: Hashable) -> bool:
        """Whether every column is affine in a variable."""
        column = self.table[variable]
        which = self.columns_of(variable)
        if not which or column.kind.discrete:
            return not which
        seen = column.values[column.observed]
        width = float(seen.max() - seen.min()) or 1.0
        grid = np.concatenate([np.linspace(seen.min() - width, seen.max() + width, 16), np.quantile(seen, _SHARES)])
        data = {v: np.repeat(x, len(grid)) for v, x in self.probe(12, which).items()}
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
        data = self.probe(12, which)
        data[variable] = -np.abs(data[variable])
        blocks = [b for i in which for b, _, _ in self.columns[i].parts]
        if any(self.blocks[b].knots for b in blocks):
            return False
        return not np.isfinite(self.evaluate(which, data, 12)).all()

    def probe(self, n_rows: int, which: Sequence[int] | None = None) -> dict[Hashable, Array]:
        """Rows whose variables, or those of some columns, are drawn independently from observed values."""
        found = {}
        for v in self.variables if which is None else {v for i in which for v in self.columns[i].variables}:
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
                do=call("df.mice.impute", self.formula).after("imp = "),
            )
        low, high = block.knots[0][1:]
        return FormulaError(
            f"row {row} has {shown}, outside the outermost knots of {block.code}.",
            formula=self.formula,
            knots=f"{low:.6g} to {high:.6g}",
            do=f"imp.fit({widened(self.question, block, values)!r})",
        )


_SHARES = np.linspace(0.05, 0.95, 9)


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
    for variable in dict.fromkeys((*question.variables(table), *question.outcome)):
        column = table[variable]
        if column.kind is Kind.OTHER:
            raise FormulaError(
                f"column {variable!r} {column.coding.problem}; the formula cannot use it.",
                formula=question.formula,
                do=usable(column),
            )
        if not len(column.observed):
            raise FormulaError(f"all values of {variable!r} are missing.", do=f"df.drop(columns=[{variable!r}])")
    names, env = known_names(question.names), environment(question.names)
    right = described(question.formula).rhs_termlist
    if not right:
        raise FormulaError(
            "the formula has no column on its right side.",
            formula=question.formula,
            do=call("df.mice.impute", f"{question.terms.outcome} ~ 1"),
        )
    factors: dict[Any, Frozen] = {}
    for factor in dict.fromkeys(f for term in right for f in term.factors):
        factors[factor] = Frozen(factor, take_apart(factor.code, table.columns).variables, table, names)
    refuse_wide(env, question, factors.values())
    terms = [patsy.Term([factors[f] for f in term.factors]) for term in right]
    info = _memorise(terms, env, question)
    blocks = [block_of(frozen, info, table, names, question) for frozen in factors.values()]
    for frozen in factors.values():
        frozen.own, frozen.table = None, None
    position = {frozen: index for index, frozen in enumerate(factors.values())}
    columns = tuple(_columns(info, blocks, position, question.terms.codes))
    design = _without_redundant(Design(question, table, columns, tuple(blocks), info))
    if question.outcome:  # not predictors alone
        rows = table.complete_rows(question.outcome)
        bad = ~np.isfinite(design.response({v: table[v].values[rows] for v in question.outcome}))
        if bad.any():
            raise design.not_finite(int(rows[bad][0]))
    _refuse_products(design)
    return design


class Designs:
    """The designs of analyses on one table, each frozen when it is first asked for.

    Planning, drawing and fitting hand it on, so that each analysis is frozen once. A pickle of it has the table alone.

    Parameters
    ----------
    table : Table
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._frozen: list[Design] = []  #: the last of them

    def of(self, question: Question) -> Design:
        """The design of a question on the table."""
        found = next((design for design in self._frozen if design.question is question), None)
        if found is None:
            found = freeze(question, self.table)
            self._frozen = [*self._frozen[1 - _KEPT :], found]
        return found

    def on(self, table: Table) -> Designs:
        """The same on another view of the frame, of analyses whose columns are the very same there."""
        if table is self.table:
            return self
        found = Designs(table)
        for design in self._frozen:
            used = (*design.variables, *design.question.outcome)
            if all(name in table and table[name] is self.table[name] for name in used):
                found._frozen.append(replace(design, table=table))
        return found

    def __reduce__(self) -> tuple[object, ...]:
        return Designs, (self.table,)


_KEPT = 32  # designs of one table: more than analyses are declared together


def _refuse_products(design: Design) -> None:
    """Refuse products of terms whose squares are no numbers, as single terms of that size are."""
    table, numeric = design.table, {b for b, block in enumerate(design.blocks) if block.categories is None}
    products = [column for column in design.columns if len({b for b, _, _ in column.parts} & numeric) > 1]
    largest: dict[int, float] = {}
    for b in {b for column in products for b, _, _ in column.parts} & numeric:
        block = design.blocks[b]
        rows = table.complete_rows(block.variables)
        values = block.values({v: table[v].values[rows] for v in block.variables}, len(rows))
        largest[b] = float(np.nanmax(np.abs(values), initial=0.0))
    for column in products:
        parts = {b for b, _, _ in column.parts} & numeric
        size = sum(np.log10(largest[b]) for b in parts if largest[b] > 0)
        if size > np.log10(LARGEST):
            b = max(parts, key=lambda one: largest[one])
            block, unit = design.blocks[b], f"{10.0 ** np.floor(np.log10(largest[b])):g}"
            name = block.variables[0]
            raise FormulaError(
                f"{column.name!r} has values of about 1e{size:.0f}: their squares overflow (float64); rescale it.",
                formula=design.formula,
                do=f"df[{name!r}] = df[{name!r}] / {unit}",
            )


#: a number with more values than this is no category
_NAMED = 5  # categories that a sentence names


def _memorise(terms: list[Any], env: patsy.EvalEnvironment, question: Question) -> Any:
    """Let patsy find types, levels and codings."""
    try:
        with np.errstate(all="ignore"):
            return patsy.design_matrix_builders(
                [terms], lambda: iter([{}]), env, NA_action=patsy.NAAction(NA_types=[])
            )[0]
    except patsy.PatsyError as error:
        place = "\n" + error.origin.caretize(indent=2) if error.origin is not None else ""
        powers = re.sub(r"(\w+)\s*\^\s*(\d+)", r"I(\1**\2)", question.formula)
        do = call("df.mice.impute", powers) if powers != question.formula else "df.dtypes"
        raise FormulaError(f"the formula cannot be built: {error.message}{place}", do=do) from None


def _columns(info: Any, blocks: list[Block], position: dict[Frozen, int], codes: Sequence[str]) -> list[FormulaColumn]:
    """The design columns in patsy's order: within an interaction the first factor varies fastest."""
    columns: list[FormulaColumn] = []
    for patsy_term, subterms in info.term_codings.items():
        if patsy_term.name() not in codes:  # of a question that was made by hand
            fact = f"{patsy_term.name()!r:.80} is a term of the formula, and not among the terms of the question."
            raise FormulaError(fact, do="imp.plan.questions")
        term = codes.index(patsy_term.name())
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


def _without_redundant(design: Design) -> Design:
    """Leave out columns of splines that those before them determine: ``cr(x, df=4)`` sums to the constant."""
    wide = [any(design.blocks[b].width > 1 for b, _, _ in column.parts) for column in design.columns]
    if not any(wide):
        return design
    n_rows = 4 * len(wide) + 50
    gone = _dependent(design, wide, design.probe(n_rows), n_rows)
    if gone:  # not by an accident of few rows: on all complete ones too
        rows = design.table.complete_rows(design.variables)
        data = {v: design.table[v].values[rows] for v in design.variables}
        gone = [place for place in _dependent(design, wide, data, len(rows)) if place in gone]
    if not gone:
        return design
    columns = tuple(column for place, column in enumerate(design.columns) if place not in gone)
    names = tuple(design.names[place] for place in gone)
    return Design(design.question, design.table, columns, design.blocks, None, names)


def _dependent(design: Design, wide: Sequence[bool], data: Mapping[Hashable, Array], n_rows: int) -> list[int]:
    """Positions of the wide columns that add nothing to those before them on some rows."""
    X = _standard(design.evaluate(range(len(wide)), data, n_rows))
    X = X[np.isfinite(X).all(axis=1)]
    X = np.asarray(np.linalg.qr(X, mode="r")) if len(X) > X.shape[1] else X
    ranks = [0, *(_rank(X[:, : place + 1]) for place in range(len(wide)))]
    return [place for place, one in enumerate(wide) if one and ranks[place + 1] == ranks[place]]


def covered(asked: Design, known: Sequence[Design], least: int = 50) -> bool:
    """Whether every column of one design lies in the span of others'.

    All are evaluated on rows, ``least`` and four for each column, whose variables are drawn independently of each
    other from observed values, so that no accident of the data makes two terms look alike.
    """
    n_rows = 4 * sum(len(design.columns) for design in (asked, *known)) + least
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

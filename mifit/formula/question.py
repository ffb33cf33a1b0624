"""Question: what is to be estimated, as plain data."""

from __future__ import annotations

import ast
import builtins
import difflib
import sys
import types
from collections.abc import Hashable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import patsy.builtins

from ..calls import Correction
from ..errors import FormulaError, ModelError, call, listed, near, nearest
from ..frame.kinds import Kind
from ..frame.table import Table, free_name
from ..typing import Array
from .column_code import event_of, is_level, numbers, of_expression, unknown, with_outcome, without
from .column_methods import no_number, refuse_subtraction, replaced, without_method
from .evaluate import environment
from .formulas_without_tilde import analysis, corrected, recased
from .functions import PYTHON
from .hints import instead_of, mixed_models, model_for, respelled
from .marks import is_mark, value_of_marks
from .model_facts import (
    USUAL_MODEL,
    USUAL_MODEL_OF_TWO,
    ModelFacts,
    model_facts,
)
from .source import (
    HELPERS,
    FileText,
    PassedFunctions,
    Reference,
    names_of,
    resolve,
    scope_of_text,
    sourced,
    told_by,
)
from .terms import Pieces, Terms, parse, quoted, take_apart

__all__ = [
    "Inverse",
    "Question",
    "Reference",
    "ask",
    "ask_right",
    "caller_scope",
    "capture",
    "formulas_among",
    "parsed",
    "refer",
    "resolve",
]


_FORMULAS = ("re_formula", "vc_formula")  # keywords of models that are formulas


@dataclass(frozen=True, slots=True)
class Inverse:
    """An outcome expression that can be inverted: ``np.log(y)`` is drawn as a logarithm, kept as y."""

    name: str  #: "identity", "log", ..., "affine"
    shift: float = 0.0  #: affine: value of the expression at 0
    slope: float = 1.0  #: affine: its change per unit

    def undo(self, expression: Array) -> Array:
        """From values of the expression to values of the variable."""
        if self.name == "affine":
            return (expression - self.shift) / self.slope
        return _UNDO[self.name](expression)


@dataclass(frozen=True)
class Question:
    """One analysis: a formula, its model, and all it takes from elsewhere."""

    terms: Terms
    model: str  #: "ols", "logit", ...
    said: str  #: why this model
    outcome: tuple[Hashable, ...]  #: columns inside the outcome expression
    bare: bool  #: whether the outcome is a column as it stands
    level: Any = None  #: the level modelled, where the outcome is no number
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: the model's own
    names: Mapping[str, Any] = field(default_factory=dict)  #: taken from the caller's scope

    @property
    def facts(self) -> ModelFacts:
        """What is known of its model."""
        return model_facts(self.model)

    @property
    def formula(self) -> str:
        """The formula as it was given."""
        return self.terms.formula

    @property
    def outcome_label(self) -> str:
        """The outcome as a summary names it."""
        if self.level is None:
            return self.terms.outcome
        level = f"{self.level:g}" if isinstance(self.level, float) else str(self.level)
        return f"P({self.terms.outcome} = {level})"

    def variables(self, table: Table) -> tuple[Hashable, ...]:
        """Columns on the right side, in order of appearance."""
        codes = [code for factors in self.terms.factors for code in factors]
        return tuple(dict.fromkeys(v for code in codes for v in take_apart(code, table.columns).variables))

    def reserved(self, table: Table) -> tuple[Hashable, ...]:
        """Columns that belong to the analysis without being covariates: its outcome's and its keywords'."""
        named = [word for word in self.keywords.values() if isinstance(word, Hashable) and word in table]
        return tuple(dict.fromkeys([*self.outcome, *named]))

    def inverse(self, table: Table) -> Inverse | None:
        """The inverse of the outcome expression; None where it has none."""
        if self.bare:
            return Inverse("identity")
        if len(self.outcome) != 1 or not table[self.outcome[0]].number:
            return None
        return _inverse(self.terms.outcome, self.outcome[0], self.names)


def ask(
    formula: str,
    table: Table,
    *,
    model: str | None = None,
    keywords: Mapping[str, Any] | None = None,
    scope: Mapping[str, Any] | None = None,
) -> Question:
    """Understand an analysis: check every name of its formula, choose its model.

    Parameters
    ----------
    formula : str
    table : Table
    model : str, optional
        By default "ols" for a numeric outcome and "logit" for one with two values.
    keywords : mapping, optional
        The model's own words; a string may name a column.
    scope : mapping, optional
        Where functions and constants of the formula are looked up.

    Returns
    -------
    Question

    Raises
    ------
    FormulaError
        If a name is neither a column nor a known function.
    ModelError
        If the outcome has neither numbers nor two values and no model is named.
    """
    terms = parsed(formula, table)
    _refuse_foreign(terms, table)
    refuse_subtraction(formula, table.columns)
    names = names_of(formula)
    for code in (terms.outcome, *dict.fromkeys(code for factors in terms.factors for code in factors)):
        names.update(capture(code, table, scope or {}, formula))
    for right in formulas_among(keywords or {}):
        names.update(_ask_beside(right, formula, table, scope or {}))
    outcome = take_apart(terms.outcome, table.columns).variables
    if terms.outcome.rpartition(".")[2].startswith("C(") and len(outcome) == 1:
        raise no_number(terms, table[outcome[0]], "it makes levels")
    bare = len(outcome) == 1 and terms.outcome in (str(outcome[0]), f"Q({outcome[0]!r})", f'Q("{outcome[0]}")')
    right = {v for factors in terms.factors for code in factors for v in take_apart(code, table.columns).variables}
    both = [v for v in outcome if v in right]
    if both:
        raise FormulaError(
            f"{both[0]!r} stands on both sides of the formula.",
            formula=formula,
            do=call("df.mice.impute", without(terms, both[0], table.columns)).in_place_of(formula),
        )
    model, said = (model, f"model={model!r}") if model is not None else _default_model(terms, outcome, bare, table)
    level = _level(outcome[0], table, model, keywords or {}, formula) if bare else None
    return Question(terms, model, said, outcome, bare, level, dict(keywords or {}), names)


def parsed(formula: str, table: Table) -> Terms:
    """Take a formula of a table apart; where it cannot be, the error says how it is written here."""
    try:
        return parse(formula, table.columns)
    except FormulaError as error:
        said = (
            respelled(formula, table.columns, mixed_models(table))
            if isinstance(formula, str) and "~" in formula
            else ""
        )
        said = said or analysis(formula, table)
        if not said:
            raise
        lines = {label: line for label, line in error.lines.items() if label != "spelling"}
        raise FormulaError(error.fact, do=said, **lines) from None


def _refuse_foreign(terms: Terms, table: Table) -> None:
    """Refuse operators that mean something else in Python: ``x^2`` and R's ``(1 | id)``."""
    for code in (code for factors in terms.factors for code in factors):
        for node in ast.walk(ast.parse(code, mode="eval")):
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitXor | ast.BitOr)):
                continue
            power = isinstance(node.op, ast.BitXor) and isinstance(node.right, ast.Constant)
            group = getattr(node.right, "id", None)
            random = isinstance(node.op, ast.BitOr) and group in table and table[group].coding.levels != (False, True)
            said = respelled(terms.formula, table.columns, mixed_models(table))
            if (power or random) and said:
                what = "a power is written **" if power else "a random effect is not written with |"
                raise FormulaError(f"{what}: {code!r}.", formula=terms.formula, do=said)


def formulas_among(keywords: Mapping[str, Any]) -> Iterator[Any]:
    """Right sides of formulas among the keywords of a model: random slopes, variance components."""
    for word in _FORMULAS:
        given = keywords.get(word)
        yield from given.values() if isinstance(given, Mapping) else [] if given is None else [given]


def _ask_beside(right: Any, formula: str, table: Table, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Names that a keyword's formula takes from the scope; one from a file brings its own, unless both are from it."""
    if isinstance(right, FileText) and not isinstance(formula, FileText):
        return {}
    text = str(right)
    return ask_right(sourced(text.rpartition("~")[2], right), table, scope).names


def ask_right(right: str, table: Table, scope: Mapping[str, Any]) -> Question:
    """Understand the right side of a formula alone: predictors without an outcome."""
    terms = parse(sourced(f"outcome ~ {right}", right))
    names = names_of(right)
    for code in dict.fromkeys(code for factors in terms.factors for code in factors):
        names.update(capture(code, table, scope, right))
    return Question(terms, "predictors", "as asked", (), False, names=names)


def capture(code: str, table: Table, scope: Mapping[str, Any], formula: str) -> dict[str, Any]:
    """Check every name in a piece of a formula; keep what comes from the caller's scope.

    A name that is no column must be a function or module, or a constant handed to one: a list of knots, a
    number. It is never a silent stand-in for a misspelt column.
    """
    pieces = take_apart(code, table.columns)
    kept, scope = names_of(formula), scope_of_text(formula, scope)
    _refuse_shadow(code, pieces, {*table.columns} - {*scope, "np", "numpy"}, formula)
    _refuse_module_transform(code, scope, formula)
    _refuse_absent(code, scope, formula)
    for name in pieces.called:
        if callable(scope.get(name)) or isinstance(scope.get(name), types.ModuleType | PassedFunctions):
            kept[name] = refer(scope[name])
        elif name in ("np", "numpy"):
            kept[name] = Reference("numpy")
        elif hasattr(patsy.builtins, name) or name in PYTHON:
            continue
        elif hasattr(builtins, name):
            kept[name] = Reference(f"builtins:{name}")
        else:
            spelled = quoted(formula, table.columns)
            advice = (
                call("df.mice.impute", spelled).in_place_of(formula)
                if spelled != formula
                else instead_of(name, formula)
            )
            hint = "" if advice else nearest(name, patsy.builtins.__all__)
            meant = corrected(formula, name, hint)
            raise FormulaError(
                f"the formula calls {name!r}, which is not defined{hint}.",
                formula=formula,
                do=advice
                or (
                    call("df.mice.impute", meant).in_place_of(formula)
                    if meant
                    else f"def {name}(x): return x  # what it is, before this call"
                ),
            )
    for name in pieces.free:
        beside = bool(pieces.variables and pieces.called)
        if beside and name in patsy.builtins.__all__:  # C(g, Sum)
            continue
        value = scope.get(name)
        if beside and callable(value):
            kept[name] = refer(value)
            continue
        if not pieces.variables or not pieces.called or not _constant(value, table.n_rows):
            hint = nearest(name, table.columns)
            spelled = quoted(recased(formula, table.columns), table.columns)
            spelled = corrected(formula, name, hint) if spelled == formula and hint else spelled
            typo = Correction("", name, near(name, table.columns))
            raise FormulaError(
                f"the {'formula' if '~' in formula else 'expression'} names {name!r}, which is not a column{hint}.",
                formula=formula,
                columns=listed(table.columns, 8),
                do=typo
                if spelled == formula or "~" not in formula
                else call("df.mice.impute", spelled).in_place_of(formula),
            )
        kept[name] = value
    if not pieces.variables:
        raise FormulaError(f"{code!r} uses no column of the frame.", formula=formula, do="df.columns.tolist()")
    return kept


def _refuse_shadow(code: str, pieces: Pieces, columns: Set[Hashable], formula: str) -> None:
    """Refuse a method of a column, and a column that hides the very function its piece of the formula calls."""
    for node in ast.walk(ast.parse(code, mode="eval")):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in columns:
            raise FormulaError(
                f"{ast.unparse(node)!r} is a method of a column; a formula sees plain values, and m sets of them.",
                formula=formula,
                instead="center(x), standardize(x), np.log(x), a function of your own",
                do=_by_method(code, node, columns, formula),
            )
    called = {*pieces.called, *(["Q"] if "Q" in pieces.variables and "Q(" in code else [])}
    for name in pieces.variables:
        reserved = isinstance(name, str) and (name.startswith("_patsy_") or name == "Intercept")
        if isinstance(name, str) and (name in called or reserved):
            fact = "has a name that patsy keeps for itself" if reserved else "hides the function of that name"
            other = name.strip("_") if name.startswith("_") else f"{name}_"
            raise FormulaError(
                f"column {name!r} {fact} in {code!r}.",
                formula=formula,
                do=f"df = df.rename(columns={{{name!r}: {other!r}}})",
            )


def _by_method(code: str, node: ast.Attribute, columns: Set[Hashable], formula: str) -> str:
    """The call that says what a method of a column was meant for, else the line that makes a column of it."""
    meant = without_method(code, node)
    if meant and meant != code:
        return call("df.mice.impute", replaced(formula, code, meant)).in_place_of(formula)
    new = free_name("new", columns)
    return f"df[{new!r}] = {of_expression(code, columns)}  # before imputing; then {new} in the formula"


def _refuse_module_transform(code: str, scope: Mapping[str, Any], formula: str) -> None:
    """Refuse ``patsy.bs(x)``: only a bare ``bs(x)`` keeps its knots, the other learns them anew in every set."""
    for node in ast.walk(ast.parse(code, mode="eval")):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        module = scope.get(getattr(node.func.value, "id", ""))
        if hasattr(getattr(module, node.func.attr, None), "__patsy_stateful_transform__"):
            dotted = ast.unparse(node.func)
            raise FormulaError(
                f"{dotted}() would learn its parameters anew in every set; without the module it keeps them.",
                formula=formula,
                do=call("df.mice.impute", formula.replace(dotted, node.func.attr)).in_place_of(formula),
            )


def _refuse_absent(code: str, scope: Mapping[str, Any], formula: str) -> None:
    """Refuse ``np.lg(x)``: a function that its module does not have."""
    for node in ast.walk(ast.parse(code, mode="eval")):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        name = node.value.id
        module = scope.get(name, np if name in ("np", "numpy") else None)
        if isinstance(module, types.ModuleType) and not hasattr(module, node.attr):
            known = [k for k in dir(module) if k.islower() and callable(getattr(module, k, None))]
            close = difflib.get_close_matches(node.attr, known, n=1, cutoff=0.5)
            cured = formula.replace(f"{name}.{node.attr}", f"{name}.{close[0]}") if close else ""
            raise FormulaError(
                f"{module.__name__} has no {node.attr!r}{nearest(node.attr, known)}.",
                formula=formula,
                do=call("df.mice.impute", cured).in_place_of(formula) if close else f"dir({name})",
            )


def caller_scope() -> dict[str, Any]:
    """Names visible to the first frame outside this package; its context managers are called by contextlib."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] in ("mifit", "contextlib"):
        frame = frame.f_back
    return {} if frame is None else {**frame.f_globals, **frame.f_locals}


def refer(value: Any) -> Any:
    """A reference to what can be imported, else the object itself.

    Examples
    --------
    >>> refer(np), refer(np.dot), refer(3)
    (Reference(path='numpy'), Reference(path='numpy:dot'), 3)
    """
    if isinstance(value, types.ModuleType):
        return Reference(value.__name__)
    if isinstance(value, PassedFunctions):
        return told_by(value)
    own = next((name for name in patsy.builtins.__all__ if getattr(patsy.builtins, name) is value), None)
    if own is not None:  # patsy.bs under whatever name: it has none of its own to be found by
        return Reference(f"patsy.builtins:{own}")
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if isinstance(value, np.ufunc):  # some do not know where they live
        module, name = ("numpy" if hasattr(np, value.__name__) else "scipy.special"), value.__name__
    if module and name and module != "__main__" and "<" not in name:
        own = f"mifit:{name}"
        reference = Reference(own if HELPERS.get(own) == module else f"{module}:{name}")
        try:
            if reference.load() is value:
                return reference
        except (ImportError, AttributeError):
            pass
    return value


def _constant(value: Any, n_rows: int) -> bool:
    """Whether a value may stand in a formula beside columns: a scalar or a short list."""
    if isinstance(value, (bool, int, float, str, np.generic)):
        return True
    if isinstance(value, (list, tuple, np.ndarray)):
        return np.ndim(value) == 1 and len(value) != n_rows
    return False


def _default_model(terms: Terms, outcome: tuple[Hashable, ...], bare: bool, table: Table) -> tuple[str, str]:
    """OLS for numbers, Logit for two values."""
    if not bare:
        return USUAL_MODEL, "numeric outcome"
    column = table[outcome[0]]
    if column.kind is Kind.BINARY:
        return USUAL_MODEL_OF_TWO, "two-valued outcome"
    if column.number:
        return USUAL_MODEL, "numeric outcome"
    if is_mark(column):
        raise ModelError(
            f"outcome {outcome[0]!r} is {value_of_marks(column)!r} or missing: does a missing value mean no?",
            do=model_for(column, terms.formula),
        )
    shown = ", ".join(map(str, column.coding.levels[:5]))
    raise ModelError(
        f"outcome {outcome[0]!r} has neither numbers nor two values; name its model.",
        levels=shown or column.coding.problem,
        do=model_for(column, terms.formula),
    )


def _short(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords that can be written into a call."""
    return {word: value for word, value in keywords.items() if isinstance(value, str | int | float)}


def _level(name: Hashable, table: Table, model: str, keywords: Mapping[str, Any], formula: str) -> Any:
    """The level whose probability is modelled, when the outcome is no number."""
    column = table[name]
    if model_facts(model).levels:
        return None
    binomial = model_facts(model).binary or type(keywords.get("family")).__name__ == "Binomial"
    if column.number and not (binomial and column.kind is Kind.BINARY and column.coding.levels != (0.0, 1.0)):
        return None
    if column.n_levels > 2:
        levels = list(column.coding.levels)
        known = [v for v in levels if v not in unknown(levels)]
        chosen = event_of(known) if len(known) == 2 else levels[-1]
        raise ModelError(
            f"outcome {name!r} has {column.n_levels} levels; {model!r} needs a number or two values.",
            levels=", ".join(map(str, column.coding.levels[:5])),
            do=numbers(column)
            if not binomial
            else with_outcome(
                is_level(name, chosen, levels),
                formula,
                table.columns,
                {"model": model, **_short(keywords)},
                [name],
            ),
        )
    return column.coding.levels[-1] if column.n_levels else None


_UNDO: dict[str, Any] = {
    "identity": lambda z: z, "log": np.exp, "log10": lambda z: 10.0**z, "log2": np.exp2, "log1p": np.expm1,
    "sqrt": lambda z: np.where(z >= 0, np.square(z), np.nan), "exp": lambda z: np.log(np.where(z > 0, z, np.nan)),
}  # fmt: skip


def _inverse(code: str, name: Hashable, names: Mapping[str, Any]) -> Inverse | None:
    """Recognise log(y) and its like, and affine I(...)."""
    tree = ast.parse(code, mode="eval").body
    if not isinstance(tree, ast.Call) or len(tree.args) != 1 or tree.keywords:
        return None
    head = tree.func.attr if isinstance(tree.func, ast.Attribute) else getattr(tree.func, "id", "")
    inner = tree.args[0]
    if head in _UNDO and head != "identity" and _is_variable(inner, name):
        return Inverse(head)
    if head != "I" or not all(isinstance(node, _ARITHMETIC) or _is_variable(node, name) for node in _nodes(inner)):
        return None
    try:
        env = environment(names)
        at = [env.eval(code, inner_namespace={name: float(v)}) for v in (0, 1, 2, -50)]
    except ArithmeticError:  # 1/y at 0
        return None
    slope = at[1] - at[0]
    if slope == 0 or not np.allclose([at[2], at[3]], [at[0] + 2 * slope, at[0] - 50 * slope], rtol=1e-9, atol=0):
        return None
    return Inverse("affine", float(at[0]), float(slope))


_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Constant, ast.operator, ast.unaryop)


def _is_variable(node: ast.AST, name: Hashable) -> bool:
    """Whether a node is the column itself, by name or by Q()."""
    if isinstance(node, ast.Name):
        return node.id == name
    return (
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Q" and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant) and node.args[0].value == name
    )  # fmt: skip


def _nodes(node: ast.AST) -> list[ast.AST]:
    """All nodes, a Q() counted as one; contexts left out."""
    if isinstance(node, (ast.Call, ast.Name)):
        return [node]
    return [node, *(n for child in ast.iter_child_nodes(node) for n in _nodes(child))]

"""What a plan from a file may say: every text of it that would ever be evaluated, looked at before it is used."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import pandas as pd

from ..errors import FormulaError, MifitError, StorageError
from ..formula.allowed import approve, refused_code
from ..formula.condition import Condition
from ..formula.functions import BUILTINS
from ..formula.question import Question, formulas_among, refer
from ..formula.source import FileText
from ..formula.terms import code_of, parse, take_apart
from ..frame.kinds import classify
from ..imputation.plan.options import Options
from ..imputation.plan.plan import Plan

__all__ = ["check_code", "check_formula", "check_plan", "check_writable", "nouns_in", "without_numbers"]

_MODES = ("compatible", "terms", "ignore", "plain")
_SWEEPS = 1_000_000  # more iterations than anybody asks for


def check_plan(plan: Plan, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any] = ()) -> None:
    """Refuse a plan with a text in it, however deep, that does more than compute.

    What is evaluated later is approved once more by whoever evaluates it; this tells at once.

    Parameters
    ----------
    plan : Plan
    columns : collection
        Names of columns of the frame.
    names : mapping
        Names that the study captured, and those the reader passed.
    odd : collection
        Columns that are no numbers.

    Raises
    ------
    StorageError
        Naming the piece; nothing was evaluated.
    """
    columns = {*columns, *plan.options.derived}
    captured = {**names, **{k: v for one in nouns_in(plan) if isinstance(one, Question) for k, v in one.names.items()}}
    for noun in nouns_in(plan):
        if isinstance(getattr(noun, "random", None), str):  # a method with slopes that differ by cluster
            _check_right(noun.random, columns, captured, odd)
        if isinstance(noun, Plan):
            _check_plan(noun, columns, names, odd)
        elif isinstance(noun, Options):
            _check_options(noun, columns, names, odd)
        elif isinstance(noun, Question):
            _check_question(noun, columns, odd)
        elif isinstance(noun, Condition):
            check_code(noun.code, columns, noun.names, odd)
            if take_apart(noun.code, columns).variables != noun.variables:
                raise ValueError(f"{noun.code!r:.80} and its columns disagree")


def check_writable(plan: Plan, frame: pd.DataFrame, names: Mapping[str, Any]) -> None:
    """Refuse to write a plan that no call of load would accept, whatever names it is passed.

    Parameters
    ----------
    plan : Plan
        One of a live caller, who may evaluate what he likes.
    frame : DataFrame
    names : mapping
        Names that derived columns and conditions captured.

    Raises
    ------
    StorageError
        Naming the piece, and how to do without it.
    """
    found = [one.names for one in nouns_in(plan) if isinstance(one, Question | Condition)]
    captured = {name: refer(value) for one in (names, *found) for name, value in one.items()}
    try:
        check_plan(plan, frame.columns, captured, without_numbers(frame))
    except StorageError as error:
        code, why = refused_code(error)
        if not code:
            raise
        raise StorageError(
            f"a study with {code!r:.80} in its formulas cannot be kept in a file: {why}.",
            instead="a function with a name, which is passed when the file is loaded",
            do=_line_instead(code, frame.columns),
        ) from None
    except ValueError as error:  # a plan whose parts disagree: nobody makes one but by hand
        raise StorageError(f"the study cannot be kept in a file: {error}.", do="imp.plan") from None


def _line_instead(code: str, columns: Collection[Any]) -> str:
    """The call that gives a piece of a formula a name; where it is no code at all, what holds the formula."""
    try:
        return _with_a_name(code, columns)
    except (MifitError, SyntaxError, ValueError, RecursionError, MemoryError):  # of a plan that was made by hand
        return "imp.plan"


def _with_a_name(code: str, columns: Collection[Any]) -> str:
    """The call that gives a piece of a formula a name, and what then stands in its place."""
    tree = ast.parse(code.strip(), mode="eval").body
    head = getattr(tree.func, "id", "") if isinstance(tree, ast.Call) else ""
    if isinstance(tree, ast.Call) and head in BUILTINS and head != "Q" and tree.args:  # C(f(x)): f is named
        inner = ast.unparse(tree.args[0])
        if take_apart(inner, columns).called:
            made, _, place = _with_a_name(inner, columns).partition("   # and ")
            beside = "".join(f", {ast.unparse(one)}" for one in (*tree.args[1:], *tree.keywords))
            place = place.removesuffix(" in its place")
            return f"{made}   # and {place if head == 'I' else f'{head}({place}{beside})'} in its place"
    variables = take_apart(code, columns).variables
    letters = {name: name if code_of(name) == name else f"v{k}" for k, name in enumerate(variables)}
    body = ast.unparse(_Put(letters).visit(tree))
    call = f"new({', '.join(map(code_of, variables))})"
    return f"new = lambda {', '.join(map(str, letters.values()))}: {body}   # and {call} in its place"


class _Put(ast.NodeTransformer):
    """Puts plain names for quoted columns, and what stands in I() for the I()."""

    def __init__(self, letters: Mapping[Any, Any]) -> None:
        self.letters = letters

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """One call; those within it first."""
        called = getattr(node.func, "id", "")
        if called == "Q" and node.args and isinstance(node.args[0], ast.Constant):
            return ast.Name(str(self.letters.get(ast.literal_eval(node.args[0]), "v")))
        self.generic_visit(node)
        return node.args[0] if called == "I" and node.args else node


def without_numbers(frame: pd.DataFrame) -> set[Hashable]:
    """Columns that are neither numbers nor true or false."""
    if not frame.columns.is_unique:
        return set()
    known = {name: classify(frame[name]) for name in frame.columns}
    return {name for name, c in known.items() if not c.number and not {*c.levels} <= {False, True}}


def nouns_in(value: Any) -> Iterator[Any]:
    """A noun and all nouns within it, those in mappings and tuples too."""
    fields = dataclasses.fields(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else None
    if fields is not None or (isinstance(value, tuple) and hasattr(value, "_fields")):
        yield value
        for inner in value if fields is None else (getattr(value, field.name) for field in fields):
            yield from nouns_in(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from nouns_in(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from nouns_in(inner)


def check_formula(
    formula: Any,
    columns: Collection[Any],
    names: Mapping[str, Any],
    has_outcome: bool = True,
    odd: Collection[Any] = (),
) -> None:
    """Refuse a formula that does more than compute.

    Parameters
    ----------
    formula : str
    columns : collection
        Names of columns.
    names : mapping
        Names that the formula may use besides.
    has_outcome : bool, default True
        Whether the left side is ever evaluated.

    Raises
    ------
    StorageError
        Naming the piece; nothing was evaluated.
    """
    if not isinstance(formula, str) or "\x00" in formula:
        raise StorageError("a formula of the file is no formula.", do='mifit.load("study.mifit")')
    try:
        terms = parse(FileText(formula, names), columns)
    except FormulaError as error:
        raise StorageError(
            f"a formula of the file does not parse: {formula!r:.80}.", said=error.fact, do='imp.save("study.mifit")'
        ) from None
    for code in (
        *([terms.outcome] if has_outcome else []),
        *dict.fromkeys(code for factors in terms.factors for code in factors),
    ):
        check_code(code, columns, names, odd)


def check_code(code: Any, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any] = ()) -> None:
    """Refuse a piece of code that does more than compute; see :func:`~mifit.formula.allowed.approve`."""
    approve(code, columns, names, odd)


def _check_question(question: Question, columns: Collection[Any], odd: Collection[Any]) -> None:
    """An analysis: its terms are those of its formula, and its keywords' formulas only compute."""
    has_outcome = bool(question.outcome)
    check_formula(question.formula, columns, question.names, has_outcome, odd)
    if parse(question.formula, columns) != question.terms:
        raise ValueError(f"{question.formula!r:.80} and its terms disagree")
    if not has_outcome and question.terms.outcome != "outcome":
        raise ValueError(f"{question.formula!r:.80} has an outcome that is none")
    if has_outcome and take_apart(question.terms.outcome, columns).variables != question.outcome:
        raise ValueError(f"{question.formula!r:.80} and its outcome disagree")
    for right in formulas_among(question.keywords):
        _check_right(right, columns, question.names, odd)


def _check_right(right: Any, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any]) -> None:
    """The right side of a formula, as models and predictors= take it."""
    text = re.sub(r"^.*~", "", right) if isinstance(right, str) else right
    check_formula(f"outcome ~ {text}" if isinstance(text, str) else text, columns, names, False, odd)


def _check_options(options: Options, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any]) -> None:
    """What the user asked for: expressions, conditions, formulas of predictors."""
    for code in options.derived.values():
        check_code(code, columns, names, odd)
    for option in options.conditional.values():
        check_code(option[0] if isinstance(option, list | tuple) and option else option, columns, names, odd)
    if isinstance(options.ignore, str):
        check_code(options.ignore, columns, names, odd)
    for option in options.predictors.values():
        if isinstance(option, str):
            _check_right(option, columns, names, odd)
    if options.iterations is not None and options.iterations > _SWEEPS:
        raise ValueError(f"it asks for {options.iterations} iterations")


def _check_plan(plan: Plan, columns: Collection[Any], names: Mapping[str, Any], odd: Collection[Any]) -> None:
    """The formulas as the user wrote them, and words of a short list."""
    if plan.mode not in _MODES:
        raise ValueError(f"its mode is {plan.mode!r:.40}")
    if len(plan.written) not in (0, len(plan.questions)):
        raise ValueError("its formulas and analyses differ in number")
    for formula in plan.written:
        check_formula(formula, columns, names, odd=odd)
    if plan.iterations > _SWEEPS:
        raise ValueError(f"it asks for {plan.iterations} iterations")

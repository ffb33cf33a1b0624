"""The user's call, reconstructed as code, to which messages add what they suggest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.families import code_of_family
from ..calls import Advice, Code, coded
from ..formula.question import Question, caller_scope
from ..frame.masks import Mask
from ..imputation.plan.options import Arguments, Options, is_usual
from ..imputation.plan.plan import Plan
from ..imputation.seed import Seed

__all__ = ["IMPUTE", "code_of_seed", "model_of", "request", "request_in", "request_of"]

IMPUTE = "df.mice.impute"
_SHORT_ENTROPY = 10**10  # entropy from which on nobody wrote the seed


def request(given: Arguments) -> Advice:
    """Return the call of ``impute`` as the user wrote it, to which advice is joined.

    Parameters
    ----------
    given : Arguments

    Returns
    -------
    Advice
        Masks, functions and arrays under the names of the caller's variables.
    """
    names, formula = caller_scope(), given.formula
    base = Advice(IMPUTE, None, {word: _code(value, word, names) for word, value in given.given().items()})
    if isinstance(formula, Plan):
        whole = request_of(formula)
        return Advice(IMPUTE, whole.formula, {**whole.words, **base.words}, whole=True)
    several = isinstance(formula, Sequence) and not isinstance(formula, str)
    return Advice(IMPUTE, list(formula) if several else formula, base.words, whole=True)


def request_in(verb: str, formula: Any, words: Mapping[str, Any]) -> Advice:
    """Return any call as the user wrote it."""
    names = caller_scope()
    return Advice(verb, formula, {w: _code(value, w, names) for w, value in words.items()}, whole=True)


def request_of(
    plan: Plan | None, m: int | None = None, seed: Seed | None = None, formulas: Sequence[str] | None = None,
    model: Any = None, keywords: Mapping[str, Any] | None = None,
) -> Advice:  # fmt: skip
    """Return the call of ``impute`` that makes a plan; with other formulas, if some are given.

    Parameters
    ----------
    plan : Plan, optional
        None where the sets were made elsewhere.
    m : int, optional
    seed : Seed, optional
    formulas : sequence of str, optional
        By default those of the plan, with their models and keywords.
    model : str or list of str, optional
    keywords : mapping, optional
        Of the model.
    """
    questions = () if plan is None else plan.questions
    if formulas is None:
        formulas = () if plan is None else plan.written or [question.formula for question in questions]
        model, keywords = model_of(questions), {w: v for q in questions for w, v in q.keywords.items()}
    words = {**({"model": model} if model else {}), **(keywords or {})}
    if plan is not None:
        usual = Options()
        for field in dataclasses.fields(Options):
            value = getattr(plan.options, field.name)
            # weights of the analysis are its own
            if field.name not in words and not is_usual(value, getattr(usual, field.name)):
                words[field.name] = list(value) if isinstance(value, tuple) else value
    words.update({} if m is None else {"m": m})
    names = caller_scope()
    code = {word: _code(value, word, names) for word, value in words.items()}
    if seed is not None and not (isinstance(seed.entropy, int) and seed.entropy >= _SHORT_ENTROPY):
        code["rng"] = code_of_seed(seed)
    shown = list(formulas) if len(formulas) > 1 else formulas[0] if formulas else None
    return Advice(IMPUTE, shown, code, whole=True)


def model_of(questions: Iterable[Question]) -> str | list[str]:
    """Return the model that the user named for some analyses; empty where it was chosen for each of them."""
    every = list(questions)
    if all(question.said != f"model={question.model!r}" for question in every):
        return ""
    models = [question.model for question in every]
    return models[0] if len(set(models)) == 1 else models


def code_of_seed(seed: Seed) -> str:
    """Return a seed as ``rng=`` takes it."""
    if isinstance(seed.entropy, int) and not seed.key and seed.entropy < _SHORT_ENTROPY:
        return str(seed.entropy)
    key = f", spawn_key={tuple(seed.key)!r}" if seed.key else ""
    return f"np.random.SeedSequence({seed.entropy!r}{key})"


def _code(value: Any, word: str, names: Mapping[str, Any]) -> Any:
    """A word's value as code: families by their call, masks by the variable that holds them."""
    if hasattr(value, "link") and not isinstance(value, type):
        return code_of_family(value)
    if isinstance(value, np.random.SeedSequence):
        held = coded(value, word, names)
        return held if held != word else code_of_seed(Seed(value.entropy, tuple(value.spawn_key)))
    if isinstance(value, Mask) or (isinstance(value, Mapping) and any(isinstance(v, Mask) for v in value.values())):
        return Code(_mask(value, names) or word)
    if word == "model" and value is not None and not isinstance(value, str | list | tuple):
        return coded(getattr(value, "__name__", "model"), word, names)
    return coded(value, word, names)


def _mask(value: Any, names: Mapping[str, Any]) -> str:
    """The variable that holds what a mask says; empty where none does."""
    marked = value.marked if isinstance(value, Mask) else np.column_stack([one.marked for one in value.values()])
    for name, held in names.items():
        if isinstance(held, np.ndarray | pd.Series | pd.DataFrame) and held.shape == marked.shape:
            found = np.asarray(held)
            if found.dtype == bool and np.array_equal(found, marked):
                return name
    return ""

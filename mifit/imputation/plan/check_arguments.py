"""Check what ``impute`` was given, as far as it can be checked without a plan."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from ...errors import PlanError, call, nearest
from ...formula.hints import MEANT
from ...frame.masks import cells, rows
from ..seed import Seed
from .example_settings import example
from .methods_by_kind import for_every_kind
from .options import Arguments, Options

__all__ = ["is_whole", "one_seed", "options_of", "refuse_number", "refuse_unseeded", "refuse_words", "seed_of"]

_IMPUTE = "df.mice.impute"


def refuse_number(m: Any) -> None:
    """Refuse a number of completed sets that is none.

    Raises
    ------
    PlanError
        If it is not whole, or less than 1.
    """
    if not is_whole(m):
        try:
            whole = max(int(float(m)), 2)
        except (TypeError, ValueError, OverflowError):
            whole = 20
        raise PlanError(f"m must be a whole number, not {m!r}.", do=call(_IMPUTE, m=whole))
    if m < 1:
        raise PlanError(
            f"m is {m}; at least 1 completed set is drawn, and 2 are needed to pool.", do=call(_IMPUTE, m=20)
        )


def seed_of(rng: Any) -> Seed:
    """Where the random streams come from; a Generator spawns a child, so that its next use differs."""
    if isinstance(rng, np.random.Generator):
        child = rng.bit_generator.seed_seq.spawn(1)[0]  # type: ignore[attr-defined]
        return Seed(child.entropy, tuple(child.spawn_key))
    if isinstance(rng, np.random.SeedSequence):
        return Seed(rng.entropy, tuple(rng.spawn_key))
    if is_whole(rng) and rng < 0:
        raise PlanError(f"rng is {rng}; a whole number from 0 is needed.", do=call(_IMPUTE, rng=1))
    if rng is None or is_whole(rng):
        return Seed(np.random.SeedSequence(None if rng is None else int(rng)).entropy)
    raise PlanError(
        f"rng is {type(rng).__name__}; an int, SeedSequence or Generator is needed.", do=call(_IMPUTE, rng=1)
    )


def one_seed(given: Arguments) -> Any:
    """The seed, given by either of its two names."""
    if "random_state" not in given.model_keywords:
        return given.rng
    if given.rng is not None:
        raise PlanError("rng= and random_state= are the same; give one.", do=call(_IMPUTE, random_state=None))
    return given.model_keywords["random_state"]


def refuse_unseeded(checkpoint: Any, seed: Any) -> None:
    """A run can only go on where its seed is known."""
    if checkpoint is not None and seed is None:
        raise PlanError("checkpoint= needs rng=: without it no two calls are the same.", do=call(_IMPUTE, rng=1))


def refuse_words(
    given: Mapping[str, Any], known: Sequence[str], taken: Set[str], frame: Any, formula: Any
) -> None:  # fmt: skip
    """Refuse a word that impute does not take, and say which one does what was meant.

    Parameters
    ----------
    given : mapping
        Words beside impute's own, and their values.
    known : sequence of str
        The words of impute.
    taken : set of str
        Words of the model.
    frame : DataFrame
    formula : str, sequence of str or None
        With one, a model may take words.
    """
    analysed = formula is not None
    own = [word for word in known if word != "weights" or not analysed]  # a model may take weights too
    for word, value in given.items():
        meant = MEANT.get(word.lower().replace("_", "").replace(".", ""))
        if analysed and (word in taken or (meant is None and not difflib.get_close_matches(word, own, cutoff=0.8))):
            continue
        close = difflib.get_close_matches(word, own, n=1, cutoff=0.8)
        hint = f" (did you mean {meant!r}?)" if meant else nearest(word, known)
        meant = meant or (close[0] if close else None)
        instead = _as_meant(meant, value, frame, formula) if meant else {}
        raise PlanError(
            f"impute() has no argument {word!r}{hint or ' without a formula'}.",
            known=", ".join(known),
            do=call("df.mice.impute", **{word: None}, **instead),
        )


def _as_meant(word: str, value: Any, frame: Any, formula: Any) -> dict[str, Any]:
    """The right word, and the value as it takes it."""
    if word in ("m", "iterations", "rng", "n_jobs") and not isinstance(value, bool):
        try:
            return {word: int(value)}
        except (TypeError, ValueError):
            return {word: value}
    if word in _BY_COLUMN and not isinstance(value, Mapping):
        return example(word, value, frame, formula)
    if word == "order" and not isinstance(value, list | tuple):
        return {}
    return {word: value}


_BY_COLUMN = (
    "methods", "predictors", "derived", "kinds", "bounds", "censored", "truncated", "conditional", "collapse",
)  # fmt: skip


def options_of(given: Arguments, frame: Any) -> Options:
    """The options of a plan as plain data.

    Raises
    ------
    PlanError
        If one is no mapping, list or whole number where it has to be.
    """
    for_all = for_every_kind(given.methods)
    given = given if for_all is None else dataclasses.replace(given, methods=for_all)
    for word in _BY_COLUMN:
        value = getattr(given, word)
        if value is not None and not isinstance(value, Mapping):
            raise PlanError(
                f"{word}= maps column names to settings; it cannot be {type(value).__name__}.",
                do=call(_IMPUTE, **example(word, value, frame, given.formula)),
            )
    sweeps, order, ignore = given.iterations, given.order, given.ignore
    if sweeps is not None and (not is_whole(sweeps) or sweeps < 1):
        raise PlanError(f"iterations is {sweeps!r}; a whole number from 1 is needed.", do=call(_IMPUTE, iterations=10))
    if order is not None and (isinstance(order, str) or not isinstance(order, Iterable)):
        raise PlanError(f"order= is a list of columns, not {order!r}.", do=call(_IMPUTE, order=[order]))
    return Options(
        iterations=None if sweeps is None else int(sweeps),
        auxiliary=given.auxiliary,
        congeniality=given.congeniality,
        order=None if order is None else tuple(order),
        id=given.id,
        link=given.link,
        where=None if given.where is None else cells(frame, given.where),
        ignore=ignore if ignore is None or isinstance(ignore, str) else rows(frame, ignore, "ignore="),
        by=given.by,
        weights=given.weights,
        weights_as=given.weights_as,
        min_count=given.min_count,
        clusters=given.clusters,
        error_law=given.error_law,
        **{word: dict(getattr(given, word) or {}) for word in _BY_COLUMN},
    )


def is_whole(given: Any) -> bool:
    """Whether something is a whole number, and no bool."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)

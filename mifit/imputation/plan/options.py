"""The words of ``impute`` as the user gave them, checked for what they can be at all."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from ...errors import PlanError, call, nearest
from ...formula.hints import MEANT
from ...frame.kinds import Kind
from ...frame.masks import cells, rows
from ...frame.recast import recoded
from ...frame.table import Table
from ..seed import Seed
from .examples import example
from .plan import Options, Plan

__all__ = [
    "USUAL",
    "Arguments",
    "is_whole",
    "one_seed",
    "refuse_number",
    "refuse_other_holes",
    "refuse_unseeded",
    "refuse_words",
    "seed_of",
]

_IMPUTE = "df.mice.impute"

#: words that have a value where nothing is asked
USUAL = {
    "auxiliary": "response",
    "congeniality": "compatible",
    "derived": None,
    "id": None,
    "link": "independent",
    "by": None,
    "weights": None,
    "min_count": None,
}


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


def one_seed(rng: Any, keywords: dict[str, Any]) -> Any:
    """The seed by either of its two names; ``random_state`` is taken out of the keywords."""
    if "random_state" not in keywords:
        return rng
    if rng is not None:
        raise PlanError("rng= and random_state= are the same; give one.", do=call(_IMPUTE, random_state=None))
    return keywords.pop("random_state")


def refuse_unseeded(checkpoint: Any, seeded: bool) -> None:
    """A run can only go on where its seed is known."""
    if checkpoint is not None and not seeded:
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
            f"impute takes no word {word!r}{hint or ' without a formula'}.",
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


class Arguments(NamedTuple):
    """The words of ``impute`` that make a plan, as the user gave them."""

    iterations: Any
    methods: Any
    predictors: Any
    auxiliary: Any
    congeniality: Any
    order: Any
    derived: Any = None
    id: Any = None
    link: Any = "independent"
    kinds: Any = None
    bounds: Any = None
    conditional: Any = None
    where: Any = None
    ignore: Any = None
    by: Any = None
    weights: Any = None
    collapse: Any = None
    min_count: Any = None
    censored: Any = None
    truncated: Any = None

    def options(self, frame: Any, formula: Any = None) -> Options:
        """The same as plain data; what is no mapping or whole number is refused."""
        for word in _BY_COLUMN:
            given = getattr(self, word)
            if given is not None and not isinstance(given, Mapping):
                raise PlanError(
                    f"{word}= maps column names to settings; it cannot be {type(given).__name__}.",
                    do=call("df.mice.impute", **example(word, given, frame, formula)),
                )
        sweeps = self.iterations
        if sweeps is not None and (not is_whole(sweeps) or sweeps < 1):
            raise PlanError(
                f"iterations is {sweeps!r}; a whole number from 1 is needed.", do=call("df.mice.impute", iterations=10)
            )
        if self.order is not None and (isinstance(self.order, str) or not isinstance(self.order, Iterable)):
            raise PlanError(
                f"order= is a list of columns, not {self.order!r}.", do=call("df.mice.impute", order=[self.order])
            )
        return Options(
            dict(self.methods or {}),
            dict(self.predictors or {}),
            self.auxiliary,
            self.congeniality,
            None if self.order is None else tuple(self.order),
            None if sweeps is None else int(sweeps),
            self.id,
            self.link,
            dict(self.derived or {}),
            dict(self.kinds or {}),
            dict(self.bounds or {}),
            dict(self.conditional or {}),
            None if self.where is None else cells(frame, self.where),
            self.ignore if self.ignore is None or isinstance(self.ignore, str) else rows(frame, self.ignore, "ignore="),
            self.by,
            self.weights,
            dict(self.collapse or {}),
            self.min_count,
            dict(self.censored or {}),
            dict(self.truncated or {}),
        )


def refuse_other_holes(plan: Plan, table: Table) -> None:
    """A plan runs where the same columns are incomplete, their kinds are the same, and every model suits its column."""
    planned = {v.name: v.kind for v in plan.variables if v.n_missing}
    read_as = recoded(table, plan.numeric)
    for name in table.columns:
        now, then = name in table.incomplete, name in planned
        if now != then:
            which = "with" if then else "without"
            fact = f"the plan was made for {name!r} {which} missing values; now it is the other way."
            raise PlanError(fact, do=call("df.mice.plan").after("plan = "))
        kind = read_as[name].kind
        if then and kind is not planned[name]:
            raise PlanError(
                f"the plan was made for {name!r} as {planned[name].value}; now it is {kind.value}.",
                do=call("df.mice.plan").after("plan = "),
            )
    for factor in plan.factors:
        kind = Kind.OTHER if factor.variable not in read_as else read_as[factor.variable].kind
        if factor.question is None and kind not in getattr(factor.method, "kinds", frozenset({kind})):
            fact = f"the plan gives {factor.variable!r} a model of other values; now it is {kind.value}."
            raise PlanError(fact, do=call("df.mice.plan").after("plan = "))


def is_whole(given: Any) -> bool:
    """Whether something is a whole number, and no bool."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)

"""What ``impute`` is given: its arguments as they came, and as the options that a plan keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...frame.masks import Mask

__all__ = ["Arguments", "Options", "is_usual"]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The arguments of ``impute`` and ``plan`` beside the frame, unchecked; their defaults are those of ``impute``."""

    formula: Any = None
    model: Any = None
    m: Any = 20
    iterations: Any = None
    methods: Any = None
    predictors: Any = None
    auxiliary: Any = "response"
    congeniality: Any = "compatible"
    order: Any = None
    derived: Any = None
    id: Any = None
    link: Any = "independent"
    kinds: Any = None
    bounds: Any = None
    censored: Any = None
    truncated: Any = None
    conditional: Any = None
    where: Any = None
    ignore: Any = None
    by: Any = None
    weights: Any = None
    weights_as: Any = None
    collapse: Any = None
    min_count: Any = None
    clusters: Any = None
    error_law: Any = "auto"
    rng: Any = None
    n_jobs: Any = None
    progress: Any = None
    checkpoint: Any = None
    model_keywords: Mapping[str, Any] = field(default_factory=dict)  #: all others, ``random_state`` among them

    @classmethod
    def split(cls, formula: Any, given: Mapping[str, Any]) -> Arguments:
        """The arguments of a call; what is none of ``impute`` itself is a keyword of the model."""
        named = {word: given[word] for word in cls.names() if word in given}
        return cls(formula=formula, **named, model_keywords={w: v for w, v in given.items() if w not in named})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The keywords that are of ``impute`` itself, in the order of its signature."""
        return tuple(one.name for one in dataclasses.fields(cls) if one.name not in ("formula", "model_keywords"))

    def given(self) -> dict[str, Any]:
        """The keywords that say something else than what holds without them; those of the model behind."""
        usual = Arguments()
        own = {
            word: getattr(self, word)
            for word in self.names()
            if not is_usual(getattr(self, word), getattr(usual, word))
        }
        return {**own, **{word: value for word, value in self.model_keywords.items() if value is not None}}


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a plan: what the user asked for, as plain data, so that the same can be asked again."""

    methods: Mapping[Hashable, Any] = field(default_factory=dict)
    predictors: Mapping[Hashable, Any] = field(default_factory=dict)
    auxiliary: Any = "response"
    congeniality: str = "compatible"
    order: tuple[Hashable, ...] | None = None
    iterations: int | None = None
    id: Hashable = None
    link: str = "independent"
    derived: Mapping[Hashable, str] = field(default_factory=dict)
    kinds: Mapping[Hashable, Any] = field(default_factory=dict)
    bounds: Mapping[Hashable, Any] = field(default_factory=dict)
    conditional: Mapping[Hashable, Any] = field(default_factory=dict)
    where: Mapping[Hashable, Mask] | None = None
    ignore: str | Mask | None = None
    by: Hashable = None
    weights: Any = None
    collapse: Mapping[Hashable, Any] = field(default_factory=dict)
    min_count: int | None = None
    censored: Mapping[Hashable, Any] = field(default_factory=dict)
    truncated: Mapping[Hashable, Any] = field(default_factory=dict)
    error_law: str = "auto"
    weights_as: str | None = None
    clusters: Hashable = None


def is_usual(value: Any, usual: Any) -> bool:
    """Whether a word says what is the case where nothing is said."""
    if value is None or (isinstance(value, Mapping) and not value and usual is not None):
        return True
    return isinstance(value, str | int | Mapping) and bool(value == usual)

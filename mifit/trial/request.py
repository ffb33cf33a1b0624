"""What was asked of a trial's imputation, and the calls that messages advise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..calls import Advice, Code
from ..errors import call

__all__ = ["Request"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of :func:`mifit.trial.impute` as they came."""

    outcome: Hashable
    visit: Hashable
    subject: Hashable
    arm: Hashable
    reference: Any = None
    strategy: Any = "MAR"
    covariates: str | None = None
    event: Any = None
    delta: Any = None
    covariance: str = "auto"
    by_arm: bool = False
    m: Any = 100
    rng: Any = None

    def changed(self, **changes: Any) -> Request:
        """The same with other words."""
        return replace(self, **changes)

    def call(self, frame: str = "df", **changes: Any) -> Advice:
        """The call that asks for it, some words changed; those that are as by default are not printed."""
        words: dict[str, Any] = {}
        for field in fields(self):
            value = changes[field.name] if field.name in changes else getattr(self, field.name)
            usual = field.default
            if isinstance(value, Mapping) and len(value) > 4:
                value = Code(field.name)
            if value is not usual and not (isinstance(value, str | int) and value == usual):
                words[field.name] = value
        return call("mifit.trial.impute", Code(frame), **words)

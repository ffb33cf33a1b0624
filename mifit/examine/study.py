"""Study: all that is known of one imputation, in one place, for those who tell about it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..errors import PlanError
from ..formula.derived import Derived
from ..frame.completed import Completed
from ..frame.table import Table
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed

__all__ = ["Study"]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """An imputed set as those see it who tell about it: what came in, what was decided, what was drawn."""

    completed: Completed  #: the frame as given and the m values of each hole
    known: Table  #: the table with the holes filled that follow from others: what the chains ran on
    plan: Plan | None  #: None for sets made elsewhere
    chains: tuple[Chain, ...]
    seed: Seed | None
    events: pd.DataFrame
    identity: str
    fingerprint: str
    said: str = ""  #: where sets made elsewhere come from
    derived: tuple[Derived, ...] = ()  #: columns that follow from others

    @property
    def m(self) -> int:
        """Number of completed sets."""
        return len(self.completed)

    @property
    def table(self) -> Table:
        """The frame as given, as arrays."""
        return self.completed.table

    @property
    def iterations(self) -> int:
        """Sweeps each chain has done."""
        return self.chains[0].sweeps if self.chains else 0

    @property
    def written(self) -> tuple[str, ...]:
        """The declared formulas as the user wrote them."""
        if self.plan is None:
            return ()
        return self.plan.written or tuple(question.formula for question in self.plan.questions)

    @property
    def filled(self) -> dict[Hashable, int]:
        """Columns whose holes were filled, and how many holes each had."""
        return self.completed.filled

    @property
    def incomplete_rows(self) -> int:
        """Rows with at least one hole that was filled."""
        return self.table.n_rows - len(self.table.complete_rows(self.filled))

    @property
    def seed_text(self) -> str:
        """The seed as one would pass it on; empty where there is none."""
        if self.seed is None:
            return ""
        key = f", spawn_key={tuple(self.seed.key)}" if self.seed.key else ""
        return f"{self.seed.entropy}{key}"

    def require_own(self, results: Any, call: str) -> None:
        """Refuse results that were pooled from other imputations."""
        other = getattr(results, "imputations", None)
        if other is not None and other.fingerprint != self.fingerprint:
            fact = f"the results come from imputed set {other.identity}, not from {self.identity}."
            if other.identity == self.identity:
                fact = f"the results come from imputed set {other.identity} as another machine drew it."
            raise PlanError(fact, do=f"res.imputations.{call}")

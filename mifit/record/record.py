"""Record: one imputation as one value, from the frame as it was given to the completed sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, TypeVar

import pandas as pd

from ..errors import PlanError
from ..formula.derived import Derived
from ..formula.design import Design, Designs
from ..formula.question import Question
from ..frame.completed import Completed
from ..frame.masks import Mask
from ..frame.other_frames import Origin
from ..frame.table import Views
from ..imputation.plan.plan import Plan
from ..imputation.plan.skip_rules import Skip
from ..imputation.sampler.chain import Chain
from ..imputation.seed import Seed
from .complete import completed_values
from .identity import digest_of_request, digest_of_values

__all__ = ["NEW_ROWS", "Present", "Record", "remembered"]

Fact = TypeVar("Fact")

#: how the origin of new rows begins, before the identity of the draws
NEW_ROWS = "new rows, completed with the draws of "


@dataclass(frozen=True, eq=False)
class Record:
    """One imputation: what came in, what was decided, what was drawn.

    It grows by replacement: a frame that was read has no plan, a plan no chains. Nothing in it is changed; what is
    computed from it once is kept in its cached properties and, by functions of packages above, in its memo.
    """

    frame: pd.DataFrame  #: as given, with the derived columns that it did not have
    table: Views  #: the frame as the plan reads it
    designs: Designs  #: of analyses, on the view that is filled
    derived: tuple[Derived, ...] = ()  #: columns that are functions of others
    skips: Mapping[Hashable, Skip] = dataclasses.field(default_factory=dict)  #: columns with a condition
    where: Mapping[Hashable, Mask] | None = None  #: cells to be completed; None for all
    shared: Set[Hashable] = frozenset()  #: parents of derived columns that all rows of an id share
    plan: Plan | None = None  #: None before it is made, and of sets made elsewhere
    chains: tuple[Chain, ...] = ()
    seed: Seed | None = None
    sets: Completed | None = None  #: completed sets made elsewhere; all others follow from the chains
    origin: str = ""  #: where sets made elsewhere come from
    came_as: Origin | None = None  #: what the frame was before it became a DataFrame; None where it was one
    memo: dict[str, Any] = dataclasses.field(default_factory=dict, init=False, repr=False)  #: of :func:`remembered`

    @classmethod
    def elsewhere(cls, completed: Completed, origin: str, came_as: Origin | None = None) -> Record:
        """The record of completed sets that were made elsewhere."""
        learnt = completed.learnt()
        return cls(
            completed.original, Views(completed.table, learnt, learnt), Designs(learnt), sets=completed, origin=origin,
            came_as=came_as,
        )  # fmt: skip

    def with_chains(self, chains: Sequence[Chain], seed: Seed | None = None) -> Record:
        """The same imputation with other chains."""
        return dataclasses.replace(self, chains=tuple(chains), seed=seed or self.seed)

    @cached_property
    def completed(self) -> Completed:
        """The completed sets."""
        if self.sets is not None:
            return self.sets
        together = {} if self.plan is None else self.plan.together
        parts = (self.table, self.derived, self.skips, self.where, self.shared)
        values = completed_values(*parts, self.chains, together, self.seed)
        return Completed(self.frame, self.table.given, tuple(values))

    @cached_property
    def identity(self) -> str:
        """Eight characters that identify the request; see :attr:`mifit.ImputedSet.identity`."""
        if self.plan is not None:
            numbers = sorted(chain.number for chain in self.chains)
            return digest_of_request(self.table.given, self.frame, self.plan, self.seed, numbers, self.iterations)
        # Of sets made elsewhere nothing is known but their values; new rows follow from the draws that they name.
        values = [] if self.origin.startswith(NEW_ROWS) else self.completed.imputed
        origin = self.origin.split(";")[0] if not values else ""
        return digest_of_request(self.completed.table, self.frame, origin, values, self.m)

    @cached_property
    def fingerprint(self) -> str:
        """Eight characters that identify the drawn values; see :attr:`mifit.ImputedSet.fingerprint`."""
        return digest_of_values(self.table.given, self.completed.imputed)

    @property
    def m(self) -> int:
        """Number of completed sets."""
        return len(self.completed)

    @property
    def iterations(self) -> int:
        """Sweeps each chain has done."""
        return self.chains[0].sweeps if self.chains else 0

    @property
    def questions(self) -> tuple[Question, ...]:
        """The declared analyses."""
        return () if self.plan is None else self.plan.questions

    @property
    def written(self) -> tuple[str, ...]:
        """The declared formulas as the user wrote them."""
        if self.plan is None:
            return ()
        return self.plan.written or tuple(question.formula for question in self.plan.questions)

    @property
    def filled(self) -> dict[Hashable, int]:
        """Columns whose missing values were filled, and how many each had."""
        return self.completed.filled

    @property
    def incomplete_rows(self) -> int:
        """Rows with at least one missing value that was filled."""
        return self.table.n_rows - len(self.table.given.complete_rows(self.filled))

    @property
    def seed_text(self) -> str:
        """The seed as one would pass it on; empty where there is none."""
        if self.seed is None:
            return ""
        key = f", spawn_key={tuple(self.seed.key)}" if self.seed.key else ""
        return f"{self.seed.entropy}{key}"

    def design(self, question: Question) -> Design:
        """The design of an analysis, its levels and knots learnt on the view that is filled."""
        return self.designs.of(question)

    def require_own(self, results: Any, call: str) -> None:
        """Refuse results that were pooled from other imputations."""
        other = getattr(results, "imputations", None)
        if other is not None and other.fingerprint != self.fingerprint:
            fact = f"the results come from imputed set {other.identity}, not from {self.identity}."
            if other.identity == self.identity:
                fact = f"the results come from imputed set {other.identity} as another machine drew it."
            raise PlanError(fact, do=f"res.imputations.{call}")


#: makes what the user sees of a record: an ImputedSet
Present = Callable[[Record], Any]


def remembered(fact: Callable[[Record], Fact]) -> Callable[[Record], Fact]:
    """Compute a fact of a record once, as its own cached properties are; for functions of packages above."""
    key = f"{fact.__module__}.{fact.__qualname__}"

    @wraps(fact)
    def once(record: Record) -> Fact:
        if key not in record.memo:
            record.memo[key] = fact(record)
        found: Fact = record.memo[key]
        return found

    return once

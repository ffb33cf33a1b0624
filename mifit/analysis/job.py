"""One fit as plain data, and what it is made from: outcome, design and keywords of one completed data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..typing import Array

__all__ = ["CompletedSets", "FrozenDesign", "Job", "Levels"]


class FrozenDesign(Protocol):
    """What a fit needs of a design."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the matrix, as statsmodels spells them (p)."""

    @property
    def outcome_label(self) -> str:
        """The outcome as a summary names it."""

    @property
    def formula(self) -> str:
        """The formula as it was given."""

    @property
    def info(self) -> Any:
        """Return patsy's DesignInfo of the right side."""

    @property
    def never_observed(self) -> tuple[str, ...]:
        """Sentences on categories that have no coefficient because no row has them."""

    def outcome(self, values: Any) -> Array:
        """Outcome of one completed set, shape (n,)."""

    def matrix(self, values: Any) -> Array:
        """Design of one completed set, shape (n, p)."""


class CompletedSets(Protocol):
    """What a fit needs of the m completed sets."""

    @property
    def index(self) -> pd.Index:
        """Row labels of the user's frame (n)."""

    def __len__(self) -> int: ...

    def labels(self, k: int) -> pd.Index:
        """Row labels of set k: some or all of ``index`` (n)."""

    def take(self, k: int, given: Any) -> Any:
        """What was given for every row of the frame, for those of set k."""

    def values(self, k: int) -> Any:
        """Set k as the design wants it: column -> numbers or level codes, each of shape (n,)."""

    def series(self, k: int, name: str) -> pd.Series:
        """One column of set k, rows numbered from 0 (n)."""


class Levels(NamedTuple):
    """The levels of a categorical outcome; none where the outcome is a number."""

    labels: tuple[str, ...]  #: (K,) in order
    values: Array  #: (K,) what the design's ``outcome`` returns for each


@dataclass(frozen=True, slots=True)
class Job:
    """One fit, as plain data that can cross a process."""

    k: int
    endog: pd.Series  #: (n,) numbers, or codes of ``levels``
    exog: pd.DataFrame  #: (n, p)
    model: str
    init: dict[str, Any]
    fit: dict[str, Any]
    levels: tuple[str, ...] = ()  #: of a categorical outcome, in order
    named: Mapping[str, str] = field(default_factory=dict)  #: word -> the column it named

    @property
    def clusters(self) -> npt.NDArray[np.int64] | None:
        """Codes of the groups that the model or its covariance knows, shape (n,) or (n, 2); None without."""
        for given in (self.init, self.fit.get("cov_kwds") or {}, self.fit):
            if given.get("groups") is not None:
                return np.asarray(given["groups"], dtype=np.int64)
        return None

    @property
    def robust(self) -> str:
        """The covariance estimator that does without the likelihood, ``"HC0"``; empty without."""
        given = self.fit.get("cov_type")
        return "" if given in (None, "nonrobust", "fixed scale") else str(given)

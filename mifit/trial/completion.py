"""Missing visits given the visits seen, under each subject's strategy: their conditional means, or draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..typing import Array, Rows
from .strategies import covariance_after, mean_after

__all__ = ["Alike", "Course", "completed"]


class Alike(NamedTuple):
    """Subjects whose missing visits have the same distribution but for the means."""

    subjects: Rows
    strategy: str
    event: int
    group: int  #: covariance matrix of the own arm
    reference: int  #: and of the reference arm
    seen: Rows
    missing: Rows


@dataclass(frozen=True, eq=False)
class Course:
    """What is known of each subject's visits, and assumed of those after the event; n subjects, T visits."""

    outcome: Array  #: (n, T) NaN where missing
    own: Array  #: (n, T, p) design
    reference: Array  #: (n, T, p) the same in the reference arm
    group: Rows  #: (n,)
    reference_group: int
    event: Rows  #: (n,) first visit that the event affects, T for none
    strategy: tuple[str, ...]  #: of each subject

    def alike(self) -> list[Alike]:
        """Incomplete subjects by strategy, event, covariance matrix and visits seen."""
        found: dict[tuple[object, ...], list[int]] = {}
        missing = np.isnan(self.outcome)
        for i in np.flatnonzero(missing.any(axis=1)):
            key = (self.strategy[i], int(self.event[i]), int(self.group[i]), missing[i].tobytes())
            found.setdefault(key, []).append(int(i))
        return [
            Alike(
                np.array(rows), self.strategy[rows[0]], int(self.event[rows[0]]), int(self.group[rows[0]]),
                self.reference_group, np.flatnonzero(~missing[rows[0]]), np.flatnonzero(missing[rows[0]]),
            )
            for rows in found.values()
        ]  # fmt: skip


def completed(
    course: Course, alike: Sequence[Alike], coef: Array, covariance: Array, normal: Array | None = None
) -> Array:
    """The outcome with its missing visits filled.

    Parameters
    ----------
    course : Course
    alike : sequence of Alike
        ``course.alike()``.
    coef : ndarray, shape (p,)
    covariance : ndarray, shape (G, T, T)
    normal : ndarray, shape (n, T), optional
        Standard normal numbers: those of the missing cells become draws. Without them the conditional means are
        returned.

    Returns
    -------
    ndarray, shape (n, T)
    """
    found = course.outcome.copy()
    for one in alike:
        i, seen, missing = one.subjects, one.seen, one.missing
        mean = mean_after(one.strategy, course.own[i] @ coef, course.reference[i] @ coef, one.event)
        matrix = covariance_after(one.strategy, covariance[one.group], covariance[one.reference], one.event)
        slope = np.linalg.solve(matrix[np.ix_(seen, seen)], matrix[np.ix_(seen, missing)]).T
        values = mean[:, missing] + (found[np.ix_(i, seen)] - mean[:, seen]) @ slope.T
        if normal is not None:
            left = matrix[np.ix_(missing, missing)] - slope @ matrix[np.ix_(seen, missing)]
            values += normal[np.ix_(i, missing)] @ np.linalg.cholesky((left + left.T) / 2).T
        found[np.ix_(i, missing)] = values
    return found

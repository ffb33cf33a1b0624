"""Predictive mean matching: every imputed value was observed in a row with a similar prediction."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import ImputationError, PlanError, call
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.linear import draw_coefficients, draw_sigma, solve

__all__ = ["PMM", "PMMFitted", "ascending", "by_row", "match", "match_among", "nearest"]

_RADIX = 1_000  # values from which two passes over 16 bits beat comparisons
_EXCHANGES = 20  # rounds of exchanging neighbours before comparisons sort after all
_SAME = 1e-10  # predictions closer than this share of their spread are equal: a matrix product moves the last bits


@dataclass(frozen=True, slots=True)
class PMMFitted:
    """Donors in order of their prediction, and drawn coefficients for the recipients."""

    coef: Array  #: (p,) drawn, for the recipients
    predicted: Array  #: (n_fit,) predictions of the donors at the estimate, sorted
    values: Array  #: (n_fit,) values of the donors in the same order
    donors: int
    dropped: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    warm: Any = None

    def outside(self, X: Array) -> float:
        """Share of recipients whose prediction lies outside those of all donors."""
        target = X @ self.coef
        return float(np.mean((target < self.predicted[0]) | (target > self.predicted[-1]))) if len(X) else 0.0

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one observed value per row, shape (n_draw,)."""
        return self.values[match(self.predicted, X @ self.coef + shift, self.donors, rng)]

    def sample_within(self, X: Array, rng: np.random.Generator, low: Array, high: Array) -> Array:
        """Draw one observed value per row among those between its bounds, each (n_draw,)."""
        bounds, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        good = (bounds[:, :1] <= self.values) & (self.values <= bounds[:, 1:])
        return self.sample_among(X, rng, good, group.reshape(-1))

    def sample_among(
        self, X: Array, rng: np.random.Generator, good: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]
    ) -> Array:
        """Draw one observed value per row among the donors ``good``, (n_groups, n_fit), of its group, (n_draw,)."""
        return match_among(self.predicted, self.values, X @ self.coef, good, group, self.donors, rng)


@dataclass(frozen=True, slots=True)
class PMM:
    """Match each missing row to observed rows with similar predictions and copy one of their values.

    Robust to a wrong shape of the distribution; it never leaves the observed values and has no density: a covariate of
    a compatible plan is drawn by :class:`DonorResiduals` in its place.

    Parameters
    ----------
    donors : int, default 5
        Nearest observed rows to choose from; capped at the number there are.

    Notes
    -----
    Type 1 matching: donors are predicted at the estimate, recipients at drawn coefficients. One of the nearest is
    taken at random, then one uniformly within the run of rows whose prediction equals that donor's.

    References
    ----------
    Little, R. J. A. (1988). Missing-data adjustments in large surveys. *JBES* 6(3), 287-296.
    van Buuren, S. (2018). *Flexible Imputation of Missing Data*, 2nd ed., section 3.4. CRC Press.
    """

    donors: int = 5
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT, Kind.BINARY, Kind.ORDINAL})
    reference: ClassVar[str] = (
        "Little, R. J. A. (1988). Missing-data adjustments in large surveys. Journal of Business & Economic "
        "Statistics 6(3), 287-296. doi:10.1080/07350015.1988.10509663"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(donors=True), density=False, unseen=False, weighted=True, linear=True, cross=True, matches=True,
        by_cluster="2l.pmm", called="predictive mean matching",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.donors < 1:
            raise PlanError(f"donors is {self.donors}; at least 1 is needed.", do="mifit.PMM(donors=5)")

    def fit(self, visit: Visit, rng: np.random.Generator) -> PMMFitted:
        """Predict the donors, draw the coefficients for the recipients."""
        cross = visit.cross()
        solution = solve(cross, visit.terms)
        coef = draw_coefficients(solution, draw_sigma(solution, rng), rng)
        predicted = visit.linear(solution.beta)
        order = ascending(predicted)
        ordered = predicted[order]
        # Donors that are equal but for rounding stand in the order of their rows, whatever the processor rounds.
        rows = by_row(order, ordered, _SAME * (ordered[-1] - ordered[0])) if len(order) else order
        return PMMFitted(coef, ordered, visit.y[rows], self.donors, solution.dropped)


def nearest(visit: Visit, fitted: PMMFitted, x: Array, rows: npt.NDArray[np.int64]) -> tuple[Any, Array]:
    """The rows whose values one recipient can take.

    Parameters
    ----------
    visit : Visit
        What was fitted.
    fitted : PMMFitted
    x : ndarray, shape (p,)
        Predictors of the recipient.
    rows : ndarray of int, shape (n_fit,)
        Rows of the frame that were fitted.

    Returns
    -------
    rows : ndarray of int, shape (k,) or more where predictions tie
        Nearest first.
    distances : ndarray, the same shape
        Of their predictions from the recipient's.
    """
    cross = visit.cross()
    predicted = visit.linear(solve(cross, visit.terms).beta)
    distance = np.abs(predicted - x @ fitted.coef)
    order = np.argsort(distance, kind="stable")
    last = min(fitted.donors, len(order)) - 1
    tie = _SAME * (fitted.predicted[-1] - fitted.predicted[0])
    chosen = order[: max(last + 1, int(np.searchsorted(distance[order], distance[order[last]] + tie, side="right")))]
    return rows[chosen], distance[chosen] * cross.scale


def match(predicted: Array, target: Array, donors: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Choose one donor per recipient.

    Parameters
    ----------
    predicted : ndarray, shape (n_obs,)
        Predictions of the donors, sorted.
    target : ndarray, shape (n_mis,)
        Predictions of the recipients.
    donors : int
        How many of the nearest to choose from.
    rng : Generator

    Returns
    -------
    ndarray of int, shape (n_mis,)
        Positions among the sorted donors.
    """
    n_obs, k = len(predicted), min(donors, len(predicted))
    tie = _SAME * (predicted[-1] - predicted[0]) if n_obs else 0.0
    order = ascending(target)  # sorted look-ups stay in the cache
    order = by_row(order, target[order], tie)  # recipients that are equal but for rounding, too
    target = target[order]
    left = np.searchsorted(predicted, target - tie)
    # The k nearest are a run of sorted donors; its start moves right while the far right beats the far left.
    start = np.minimum(np.maximum(left - k, 0), max(n_obs - 2 * k, 0))
    for _ in range(min(k, n_obs - k)):
        start += (target - predicted[start]) - (predicted[start + k] - target) > tie
    chosen = start + (rng.random(len(target)) * k).astype(np.int64)
    tied = predicted[1:] - predicted[:-1] <= tie
    if tied.any():
        begins = np.flatnonzero(np.concatenate([[True], ~tied]))
        lengths = np.diff(np.append(begins, n_obs))
        run = np.searchsorted(begins, chosen, side="right") - 1
        chosen = begins[run] + (rng.random(len(target)) * lengths[run]).astype(np.int64)
    found = np.empty(len(order), dtype=np.int64)
    found[order] = chosen
    return found


def match_among(
    predicted: Array, values: Array, target: Array, good: npt.NDArray[np.bool_], group: npt.NDArray[np.int64],
    donors: int, rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Draw one observed value per recipient among the donors that may stand there.

    Parameters
    ----------
    predicted, values : ndarray, shape (n_obs,)
        Predictions of the donors, sorted, and their values.
    target : ndarray, shape (n_mis,)
        Predictions of the recipients.
    good : ndarray of bool, shape (n_groups, n_obs)
        Donors that may stand in the rows of each group.
    group : ndarray of int, shape (n_mis,)
    donors : int
        How many of the nearest to choose from.
    rng : Generator

    Returns
    -------
    ndarray, shape (n_mis,)

    Raises
    ------
    ImputationError
        If a group has no donor.
    """
    out = np.empty(len(target))
    for number, some in enumerate(good):
        rows, allowed = np.flatnonzero(group == number), np.flatnonzero(some)
        if not len(allowed):
            raise ImputationError(
                f"no observed value may stand in {len(rows)} of the missing values: there is nothing to match.",
                do=call("df.mice.plan").after("plan = "),
            )
        out[rows] = values[allowed[match(predicted[allowed], target[rows], donors, rng)]]
    return out


def by_row(order: npt.NDArray[np.int64], ordered: Array, tie: float) -> npt.NDArray[np.int64]:
    """An order that sorts values, with those that are equal but for rounding in the order of their rows.

    Parameters
    ----------
    order : ndarray of int, shape (n,)
    ordered : ndarray, shape (n,)
        The values in that order.
    tie : float
        Neighbours that differ by at most this are equal.

    Examples
    --------
    >>> by_row(np.array([2, 0, 1]), np.array([0.0, 1e-16, 3.0]), 1e-12)
    array([0, 2, 1])
    """
    tied = ordered[1:] - ordered[:-1] <= tie
    if not (tied & (order[1:] < order[:-1])).any():
        return order
    run = np.concatenate([[0], np.cumsum(~tied)])
    return order[np.lexsort((order, run))]


def ascending(values: Array) -> npt.NDArray[np.int64]:
    """Order that sorts finite values, shape (n,), equal ones in the order they came.

    Two passes of a radix sort over the position within the range, to 32 bits, leave few neighbours to exchange.

    Examples
    --------
    >>> ascending(np.array([0.5, -1.0, 2.0]))
    array([1, 0, 2])
    """
    n = len(values)
    low, high = (values.min(), values.max()) if n > _RADIX else (0.0, 0.0)
    step = (high - low) / (2.0**32 - 2.0)
    if not (np.isfinite(step) and step > 0):
        return np.argsort(values, kind="stable")  # others order equals as the processor's instructions have it
    halves = ((values - low) / step).astype(np.uint32).view(np.uint16).reshape(n, 2)
    low_first = halves if sys.byteorder == "little" else halves[:, ::-1]
    order = np.argsort(low_first[:, 0], kind="stable")
    order = order[np.argsort(low_first[order, 1], kind="stable")]
    for _ in range(_EXCHANGES):
        found = values[order]
        wrong = np.flatnonzero(found[1:] < found[:-1])
        if not len(wrong):
            return order
        if len(wrong) > n // 1000:
            break
        for at in wrong.tolist():
            order[at], order[at + 1] = order[at + 1], order[at]
    return np.argsort(values, kind="stable")

"""A covariate without an assumption on its shape: a learned mean and spread, and the residuals of nearby rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import PlanError
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.additive import Additive, additive
from .estimators import Absent, alone, code_of_estimator, seeded
from .pmm import ascending

__all__ = ["DonorResiduals", "DonorResidualsFitted"]

_FOLDS = 3  # an estimator is fitted so often; each row is predicted by one that has not seen it
_WIDEST = 2.0  # of the log of a spread, from its mean
_LARGEST = 700.0  # of a logarithm: its exponential is finite
_FEW = 10  # rows; with fewer the residuals are those around one mean
_SKEWED = 1.0  # skewness of positive values from which their logarithm is drawn, if that is less skewed


@dataclass(frozen=True, slots=True)
class DonorResidualsFitted:
    """A drawn mean and spread, and the standardised residuals of all rows in the order of their means."""

    mean: Any  #: Additive, or _CrossFitted
    spread: Additive | None  #: of the log of the absolute residual; None: the same everywhere
    middle: float  #: of that log
    ordered: Array  #: (n_fit,) fitted means, sorted
    residuals: Array  #: (n_fit,) standardised residuals in the same order
    cumulative: Array  #: (n_fit + 1,) drawn weights of the rows in the same order, summed up
    donors: int
    log: bool
    count: bool = False  #: whether values are whole numbers from 0
    events: tuple[str, ...] = ()
    warm: Any = None

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        mean = self.mean.predict(X)
        at = _near(self.ordered, self.cumulative, mean, self.donors, rng)
        found = mean + shift + _spread(self.spread, self.middle, X) * self.residuals[at]
        found = np.exp(np.minimum(found, _LARGEST)) if self.log else found
        return np.maximum(np.rint(found), 0.0) if self.count else found


@dataclass(frozen=True, slots=True)
class DonorResiduals:
    """Draw a number as its learned mean, and the residual of a row whose mean is near, spread as here.

    It is right for curved relations, several modes, skewed and unequally spread covariates of a compatible plan, where
    ``norm`` and ``power`` assume a shape. ``methods={"x": "pmm"}`` and estimators become this there.

    Parameters
    ----------
    estimator : estimator, optional
        A regressor in the manner of scikit-learn for the mean; by default an additive spline. It is fitted three times,
        so that each row is predicted by one that has not seen it.
    donors : int, default 100
        Rows to choose from.
    log : bool, default False
        Whether the logarithm is drawn.

    Notes
    -----
    1. Every row that is fitted, in a compatible draw all rows as they stand, gets a weight from the exponential
       distribution (Bayesian bootstrap): a draw of the parameters.
    2. The mean g is fitted with these weights, the outcome not among its predictors; then the log of the absolute
       residual, whose fit gives the spread s, within a factor e² of its mean.
    3. A value is g + s u with u the standardised residual of one of the `donors` rows with the nearest g, chosen by its
       weight and nearness. In a compatible draw such values are proposals, which the analysis accepts or not.

    References
    ----------
    Rubin, D. B. (1981). The Bayesian bootstrap. *Annals of Statistics* 9(1), 130-134. doi:10.1214/aos/1176345338

    Examples
    --------
    >>> import mifit
    >>> mifit.check_method(DonorResiduals(donors=20))
    """

    estimator: Any = None
    donors: int = 100
    log: bool = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar[str] = (
        "Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9(1), 130-134. doi:10.1214/aos/1176345338"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(), weighted=True, tuned=True, scores=False,
        called="a learned mean and spread with the residuals of nearby rows",
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.donors < 2:
            raise PlanError(f"donors is {self.donors}; at least 2 are needed.", do="mifit.DonorResiduals(donors=100)")

    @property
    def label(self) -> str:
        """What the plan calls it."""
        if self.estimator is None:
            return "donors"
        return code_of_estimator(self.estimator).partition("(")[0]

    def tuned(self, observed: Array) -> DonorResiduals:
        """The same, of the logarithm where values are positive and skewed."""
        if not len(observed) or (observed <= 0).any():
            return self
        plain, logged = _skewness(observed), _skewness(np.log(observed))
        return DonorResiduals(self.estimator, self.donors, self.log or (plain > _SKEWED and abs(logged) < plain))

    def fit(self, visit: Visit, rng: np.random.Generator) -> DonorResidualsFitted:
        """Draw weights of the rows; fit the mean and the spread with them."""
        log = self.log and bool((visit.y > 0).all())
        y = np.log(visit.y) if log else visit.y
        weights = rng.standard_exponential(len(y)) * (1.0 if visit.weights is None else visit.weights)
        events: list[str] = []
        if len(y) < _FEW or np.ptp(y) == 0:
            mean: Any = _Constant(float(np.average(y, weights=weights)))
        elif self.estimator is None:
            mean = additive(visit.X, y, weights)
        else:
            mean = _cross_fitted(self.estimator, visit.X, y, weights, rng, events)
        fitted = mean.predict(visit.X)
        residuals = y - fitted
        spread, middle = _learned_spread(visit.X, residuals, weights)
        order = ascending(fitted)
        standard = (residuals / _spread(spread, middle, visit.X))[order]
        cumulative = np.concatenate([[0.0], np.cumsum(weights[order])])
        return DonorResidualsFitted(
            mean, spread, middle, fitted[order], standard, cumulative, self.donors, log, visit.kind is Kind.COUNT,
            tuple(events),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Constant:
    """One mean for all rows."""

    value: float

    def predict(self, X: Array) -> Array:
        """The mean, shape (n,)."""
        return np.full(len(X), self.value)


@dataclass(frozen=True, slots=True)
class _CrossFitted:
    """Estimators fitted without one fold each; a row is predicted by that which has not seen it."""

    models: tuple[Any, ...]
    keys: npt.NDArray[np.void]  #: (n_distinct,) rows of the predictors, sorted
    folds: npt.NDArray[np.int64]  #: (n_distinct,) the fold of each

    def predict(self, X: Array) -> Array:
        """Predictions, shape (n,); the mean of all estimators for a row that was in no fold."""
        keys = _keys(X)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        fold = np.where(self.keys[place] == keys, self.folds[place], -1)
        out, inside = np.zeros(len(X)), X[:, 1:] if X.shape[1] > 1 else X
        with alone([]):
            for number, model in enumerate(self.models):
                at = np.flatnonzero((fold == number) | (fold == -1))
                if len(at):
                    found = np.asarray(model.predict(inside[at]), dtype=np.float64).reshape(len(at))
                    out[at] += found / np.where(fold[at] == -1, len(self.models), 1)
        return out


def _cross_fitted(
    estimator: Any, X: Array, y: Array, weights: Array, rng: np.random.Generator, events: list[str]
) -> _CrossFitted:
    """Fit an estimator without each fold, on a sample by weight; rows with the same predictors are in one fold."""
    if isinstance(estimator, Absent):
        raise estimator.refused()
    keys, which = np.unique(_keys(X), return_inverse=True)
    folds = rng.permutation(np.arange(len(keys)) % _FOLDS)
    fold = folds[which.reshape(-1)]
    inside, models = X[:, 1:] if X.shape[1] > 1 else X, []
    with alone(events):
        for number in range(min(_FOLDS, len(keys))):
            rows = np.flatnonzero(fold != number) if len(keys) > 1 else np.arange(len(y))
            drawn = rng.choice(rows, len(rows), p=weights[rows] / weights[rows].sum())
            models.append(seeded(estimator, rng).fit(inside[drawn], y[drawn]))
    return _CrossFitted(tuple(models), keys, folds)


def _keys(X: Array) -> npt.NDArray[np.void]:
    """Rows as values that can be sorted and looked up."""
    rows = np.ascontiguousarray(X) + 0.0  # one zero
    return rows.view([("", np.float64)] * rows.shape[1]).reshape(len(rows))


def _learned_spread(X: Array, residuals: Array, weights: Array) -> tuple[Additive | None, float]:
    """The log of the absolute residual as an additive spline of the predictors, and its mean; None without any."""
    size = float(np.sqrt(np.average(residuals**2, weights=weights))) if len(residuals) else 0.0
    if len(residuals) < _FEW or size == 0.0:
        return None, 0.0
    logs = np.log(np.abs(residuals) + 1e-3 * size)
    found = additive(X, logs, weights)
    return found, float(np.average(found.predict(X), weights=weights))


def _spread(spread: Additive | None, middle: float, X: Array) -> Array:
    """Spread of each row relative to the others, shape (n,)."""
    if spread is None:
        return np.ones(len(X))
    return np.exp(np.clip(spread.predict(X) - middle, -_WIDEST, _WIDEST))


def _near(
    ordered: Array, cumulative: Array, mean: Array, donors: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """One row for each mean, among those whose own are nearest in rank, by weight and nearness, shape (n_draw,).

    A window around the place of the mean, its half-width half the donors times the root of a uniform number: together
    the windows weigh rows less the farther they are.
    """
    n, share = len(ordered), rng.random((2, len(mean)))
    place = np.searchsorted(ordered, mean)
    half = np.ceil(0.5 * min(donors, n) * np.sqrt(share[0])).astype(np.int64)
    first = np.clip(place - half, 0, max(n - 1, 0))
    last = np.clip(place + half, first + 1, n)
    target = cumulative[first] + share[1] * (cumulative[last] - cumulative[first])
    at = np.searchsorted(cumulative, target, side="right") - 1
    return np.clip(at, first, last - 1)


def _skewness(values: Array) -> float:
    """Skewness; 0 of a constant."""
    centred = values - values.mean()
    sd = float(np.sqrt(np.mean(centred**2)))
    return float(np.mean(centred**3)) / sd**3 if sd > 0 else 0.0

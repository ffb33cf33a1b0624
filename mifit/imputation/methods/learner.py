"""Any estimator of scikit-learn as the model of a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...calls import Code
from ...errors import PlanError, call, nearest
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.calibration import Calibration, calibrated
from .donor_residuals import DonorResiduals
from .estimators import DOOVE, Absent, alone, code_of_estimator, draws_levels, is_estimator, seeded
from .pmm import ascending, match, match_among

__all__ = ["LearnedLevels", "LearnedNumbers", "Learner"]

_FEW = 10  # rows; with fewer nothing is learned, and values are drawn from the observed ones
_VALUES = ("match", "residual")


@dataclass(frozen=True, slots=True)
class LearnedNumbers:
    """A fitted regressor, and rows that it has not seen in the order of their predictions."""

    model: Any  #: None where too few rows were there to learn from
    predicted: Array  #: (n_out,) sorted
    values: Array  #: (n_out,) what was observed there
    donors: int
    residual: bool  #: whether the donor's residual is added to the prediction; else its value is taken
    count: bool = False  #: whether values are whole numbers from 0
    events: tuple[str, ...] = ()
    warm: Any = None

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row, shape (n_draw,)."""
        target = _predicted(self.model, X) + shift
        at = match(self.predicted, target, self.donors, rng)
        if not self.residual:
            return self.values[at]
        found = target + self.values[at] - self.predicted[at]
        return np.maximum(np.rint(found), 0.0) if self.count else found

    def sample_within(self, X: Array, rng: np.random.Generator, low: Array, high: Array) -> Array:
        """Draw one observed value per row among those between its bounds, each (n_draw,)."""
        bounds, group = np.unique(np.column_stack([low, high]), axis=0, return_inverse=True)
        good = (bounds[:, :1] <= self.values) & (self.values <= bounds[:, 1:])
        return self.sample_among(X, rng, good, group.reshape(-1))

    def sample_among(
        self, X: Array, rng: np.random.Generator, good: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]
    ) -> Array:
        """Draw one observed value per row among the donors ``good``, (n_groups, n_out), of its group, (n_draw,)."""
        return match_among(self.predicted, self.values, _predicted(self.model, X), good, group, self.donors, rng)


@dataclass(frozen=True, slots=True)
class LearnedLevels:
    """A fitted classifier and the correction of its probabilities."""

    model: Any  #: None where there was nothing to learn
    said: Array  #: (K,) log shares of the levels, drawn; what is said without a model
    possible: npt.NDArray[np.bool_]  #: (K,) levels that have a row
    least: float  #: smallest log probability that is believed
    correction: Calibration
    events: tuple[str, ...] = ()
    warm: Any = None

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of each level, shape (n_draw, K)."""
        said = _said(self.model, self.said, X, self.least)
        found = np.where(self.possible, self.correction.log_probabilities(said), -np.inf)
        with np.errstate(divide="ignore"):
            return np.asarray(found - np.log(np.exp(found).sum(axis=1, keepdims=True)))

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one level per row, shape (n_draw,)."""
        cumulative = np.cumsum(np.exp(self.log_probabilities(X)), axis=1)
        drawn = (cumulative <= (rng.random(len(X)) * cumulative[:, -1])[:, None]).sum(axis=1)
        return np.minimum(drawn, np.flatnonzero(self.possible).max(initial=0)).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Learner:
    """Draw a column from any estimator in the manner of scikit-learn, a pipeline or a forest or a boosted model.

    Parameters
    ----------
    estimator : estimator
        A regressor draws numbers and counts, a classifier draws levels. It is copied before each fit, and every
        ``random_state`` in it is set from the stream of the chain.
    values : {"match", "residual"}
        Of a regressor: the value of a row with a near prediction, or the prediction and the residual of such a row.
    donors : int, default 5
        Nearest rows to choose from.

    Notes
    -----
    1. A bootstrap sample of the fit rows is drawn, and the estimator fitted on it: a draw of the parameters.
    2. The rows that are not in the sample, about 37 %, are predicted. They have not been seen: their residuals are as
       large as those of the rows to be drawn, however closely the estimator follows the sample.
    3. Numbers: one of the `donors` rows among them whose predictions are nearest gives its value or its residual.
       Levels: the predicted probabilities are corrected by what these rows are
       (:func:`~mifit.imputation.numerics.calibration.calibrated`), and a level is drawn.

    References
    ----------
    Doove, L. L., van Buuren, S. and Dusseldorp, E. (2014). Recursive partitioning for missing data imputation in the
    presence of interaction effects. *CSDA* 72, 92-104. doi:10.1016/j.csda.2013.10.025

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from mifit.imputation.methods.check_method import check_method
    >>> check_method(Learner(Ridge(), values="residual"))
    """

    estimator: Any
    values: str = "match"
    donors: int = 5
    levels: bool = field(default=False, compare=False)  #: whether it draws levels; found out from the estimator

    def __post_init__(self) -> None:
        if not is_estimator(self.estimator):
            name = getattr(self.estimator, "__name__", "RandomForestRegressor")
            raise PlanError(
                f"an estimator with fit and predict is needed, not {self.estimator!r:.80}.",
                do=f"mifit.Learner({name}())",
            )
        if self.values not in _VALUES:
            raise PlanError(
                f"values is {self.values!r}{nearest(self.values, _VALUES)}.", known=", ".join(_VALUES),
                do=call("mifit.Learner", Code(code_of_estimator(self.estimator)), values="match"),
            )  # fmt: skip
        if self.donors < 1:
            raise PlanError(
                f"donors is {self.donors}; at least 1 is needed.",
                do=call("mifit.Learner", Code(code_of_estimator(self.estimator)), donors=5),
            )
        if isinstance(self.estimator, Absent):
            return
        levels = draws_levels(self.estimator)
        if levels is None:
            raise PlanError(
                f"{code_of_estimator(self.estimator):.200} is neither a regressor nor a classifier.",
                do="mifit.Learner(RandomForestRegressor())",
            )
        object.__setattr__(self, "levels", levels)

    @property
    def kinds(self) -> frozenset[Kind]:
        """What it draws."""
        return frozenset({Kind.BINARY, Kind.NOMINAL, Kind.ORDINAL} if self.levels else {Kind.NUMERIC, Kind.COUNT})

    @property
    def label(self) -> str:
        """The name of the estimator, of the last one of a pipeline."""
        if isinstance(self.estimator, Absent):
            return self.estimator.text.partition("(")[0]
        steps = getattr(self.estimator, "steps", None)
        return type(steps[-1][1] if steps else self.estimator).__name__

    @property
    def reference(self) -> str:
        """What a paper cites."""
        return (
            f"{DOOVE}\n"
            "Pedregosa, F. et al. (2011). Scikit-learn: Machine Learning in Python. Journal of Machine Learning "
            "Research 12, 2825-2830"
        )

    @property
    def facts(self) -> Facts:
        """What plans and chains know of it."""
        if self.levels:
            called = f"{self.label} with calibrated probabilities"
            return Facts(offers=Offers(levels=True), unseen=False, weighted=True, scores=False, called=called)
        how = "predictions with residuals" if self.values == "residual" else "matching on predictions"
        offers = Offers(donors=True)
        return Facts(
            offers=offers, density=False, unseen=False, weighted=True, called=f"{how} of {self.label} (bootstrapped)"
        )

    def compatible(self, kind: Kind) -> DonorResiduals:
        """The method with a density that it is in a compatible plan."""
        return DonorResiduals(self.estimator)

    def fit(self, visit: Visit, rng: np.random.Generator) -> LearnedNumbers | LearnedLevels:
        """Fit to a bootstrap sample; predict the rows outside it."""
        inside, outside = _split(visit, rng, self.levels)
        events: list[str] = []
        model = None
        if len(visit.y) >= _FEW and len(outside) and np.ptp(visit.y[inside]) > 0:
            y = visit.y[inside]
            with alone(events):
                model = seeded(self.estimator, rng).fit(
                    _seen(visit.X[inside]), y.astype(np.int64) if self.levels else y
                )
        else:
            seeded(self.estimator, rng)  # one that is absent is refused whatever the rows
            outside = inside
        if self.levels:
            return self._levels(visit, model, outside, tuple(events), rng)
        predicted = _predicted(model, visit.X[outside])
        order = ascending(predicted)
        return LearnedNumbers(
            model, predicted[order], visit.y[outside][order], self.donors, self.values == "residual",
            visit.kind is Kind.COUNT, tuple(events),
        )  # fmt: skip

    def _levels(
        self,
        visit: Visit,
        model: Any,
        outside: npt.NDArray[np.int64],
        events: tuple[str, ...],
        rng: np.random.Generator,
    ) -> LearnedLevels:
        """The classifier, and a drawn correction of its probabilities."""
        levels = max(visit.n_levels, 1 + int(visit.y.max(initial=0)))
        counts = np.bincount(visit.y.astype(np.int64), minlength=levels)
        share = np.log(np.maximum(rng.standard_gamma(np.maximum(counts, 1e-3)), 1e-300))
        least = -np.log(len(visit.y) + levels)
        correction = Calibration(np.zeros(levels), 1.0)
        if model is not None:
            said = _said(model, share, visit.X[outside], least)
            correction = calibrated(said, visit.y[outside].astype(np.int64), rng)
        return LearnedLevels(model, share, counts > 0, least, correction, events)


def _split(visit: Visit, rng: np.random.Generator, levels: bool) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A bootstrap sample of the fit rows, in which each level has a row, and the rows outside it."""
    n = len(visit.y)
    if visit.weights is None:
        inside = rng.integers(0, max(n, 1), n)
    else:
        inside = rng.choice(n, n, p=visit.weights / visit.weights.sum())
    if levels:
        for level in np.setdiff1d(visit.y, visit.y[inside]):
            inside = np.append(inside, rng.choice(np.flatnonzero(visit.y == level)))
    return np.sort(inside), np.setdiff1d(np.arange(n), inside)


def _seen(X: Array) -> Array:
    """Predictors as an estimator sees them: without the column of ones, unless there is no other."""
    return X[:, 1:] if X.shape[1] > 1 else X


def _predicted(model: Any, X: Array) -> Array:
    """Predictions, shape (n,); 0 without a model."""
    if model is None or not len(X):
        return np.zeros(len(X))
    with alone([]):
        return np.asarray(model.predict(_seen(X)), dtype=np.float64).reshape(len(X))


def _said(model: Any, share: Array, X: Array, least: float) -> Array:
    """Predicted log probability of each level, shape (n, K), none below a least one."""
    levels = len(share)
    if model is None:
        return np.broadcast_to(share, (len(X), levels))
    found = np.zeros((len(X), levels))
    if len(X):
        with alone([]):
            if hasattr(model, "predict_proba"):
                found[:, np.asarray(model.classes_, dtype=np.int64)] = model.predict_proba(_seen(X))
            else:
                found[np.arange(len(X)), np.asarray(model.predict(_seen(X)), dtype=np.int64)] = 1.0
    return np.log(np.maximum(found, np.exp(least)))

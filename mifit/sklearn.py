"""mifit in pipelines of scikit-learn: a transformer that completes rows, and a model of each completed set.

It needs the extra ``sklearn``; ``import mifit.sklearn`` loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .accessor import impute
from .errors import PlanError
from .frame.other_frames import taken_in

__all__ = ["MultipleImputer", "MultiplyImputed"]

_SEEDS = 2**31 - 1


class MultipleImputer(TransformerMixin, BaseEstimator):
    """Complete rows by models that were learned from other rows; nothing is learned from the rows that are completed.

    The outcome takes no part: a value is drawn from what will be known when a prediction is made.

    Parameters
    ----------
    m : int, default 5
        Number of completed sets.
    formula : str, optional
        An analysis among the columns of X that the draws are to agree with.
    methods : mapping, str or estimator, optional
        As in :func:`mifit.impute`.
    iterations : int, optional
        As in :func:`mifit.impute`.
    which : "mean" or int, default "mean"
        What ``transform`` gives: numbers averaged over the sets and the commonest level, or the set of that number.
    random_state : int, RandomState or None

    Attributes
    ----------
    imputation_ : ImputedSet
        The completed rows of ``fit``, with its plan, events and convergence.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X had names.

    Examples
    --------
    >>> import numpy as np
    >>> from mifit.sklearn import MultipleImputer
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 3))
    >>> X[:20, 0] = np.nan
    >>> imputer = MultipleImputer(m=3, iterations=2, random_state=1).fit(X[:80])
    >>> imputer.transform(X[80:]).shape, len(imputer.transform_all(X))
    ((20, 3), 3)
    """

    def __init__(
        self, m: int = 5, *, formula: str | None = None, methods: Any = None, iterations: int | None = None,
        which: str | int = "mean", random_state: Any = None,
    ) -> None:  # fmt: skip
        self.m = m
        self.formula = formula
        self.methods = methods
        self.iterations = iterations
        self.which = which
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> MultipleImputer:
        """Learn the models of all columns; ``y`` is not used.

        Parameters
        ----------
        X : array or DataFrame, shape (n, p)
            NaN, None and NaT are missing values.
        y : ignored

        Returns
        -------
        MultipleImputer
        """
        if not (self.which == "mean" or (isinstance(self.which, int) and 0 <= self.which < self.m)):
            raise PlanError(f"which is {self.which!r}: 'mean', or a set.", do="MultipleImputer(which='mean')")
        frame = self._framed(X, reset=True)
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(_SEEDS))
        # Any column may lack values in rows to come: of a complete one a value is set aside, so that it has a model.
        learned, place = frame.copy(), np.random.default_rng(seed)
        for position, name in enumerate(frame.columns):
            if not frame[name].isna().any() and frame[name].nunique() > 1 and len(frame) > 2 * frame.shape[1] + 10:
                column = frame[name].astype("float64" if frame[name].dtype.kind in "iu" else frame[name].dtype)
                learned.isetitem(position, column.mask(np.arange(len(frame)) == place.integers(len(frame))))
        self.imputation_ = impute(
            learned, self.formula, m=max(self.m, 2), methods=self.methods, iterations=self.iterations, rng=seed,
            progress=False,
        )  # fmt: skip
        return self

    def transform_all(self, X: Any) -> list[Any]:
        """All completed sets of some rows.

        Parameters
        ----------
        X : array or DataFrame, shape (n, p)
            With the columns of ``fit``.

        Returns
        -------
        list of array or DataFrame, each (n, p)
            Observed values as they are.
        """
        check_is_fitted(self)
        frame = self._framed(X, reset=False)
        if not frame.isna().any(axis=None):
            sets = [frame] * self.m
        else:
            made = self.imputation_.impute_new(self._as_learned(frame))
            sets = [_as_given(made[k], frame) for k in range(self.m)]
        return [one if isinstance(taken_in(X)[0], pd.DataFrame) else one.to_numpy(dtype=np.float64) for one in sets]

    def transform(self, X: Any) -> Any:
        """Complete some rows: the mean of all sets, or one of them.

        Parameters
        ----------
        X : array or DataFrame, shape (n, p)

        Returns
        -------
        array or DataFrame, shape (n, p)
        """
        sets = self.transform_all(X)
        if self.which != "mean":
            return sets[int(self.which)]
        if isinstance(sets[0], np.ndarray):
            return np.mean(sets, axis=0)
        middle = pd.DataFrame({name: _middle([one[name] for one in sets]) for name in sets[0].columns})
        return _as_given(middle, taken_in(X)[0])

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """Names of the columns that come out: those that went in."""
        check_is_fitted(self)
        if input_features is not None:
            return np.asarray(input_features, dtype=object)
        names = getattr(self, "feature_names_in_", None)
        return np.array([f"x{k}" for k in range(self.n_features_in_)], dtype=object) if names is None else names

    def _framed(self, X: Any, reset: bool) -> pd.DataFrame:
        """Rows as a DataFrame, checked against those of ``fit``."""
        data, _ = taken_in(X)
        if isinstance(data, pd.DataFrame):
            validate_data(self, X=data, reset=reset, skip_check_array=True)
            return data
        checked = validate_data(
            self,
            X=data,
            reset=reset,
            dtype=np.float64,
            ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )
        return pd.DataFrame(checked, columns=[f"x{k}" for k in range(checked.shape[1])])

    def _as_learned(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows with the dtypes of those that were learned from, where these hold numbers."""
        kinds = self.imputation_[0].dtypes
        return frame.astype(
            {n: k for n, k in kinds.items() if n in frame and k.kind == "f" and frame[n].dtype.kind in "iuf"}
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class MultiplyImputed(MetaEstimatorMixin, BaseEstimator):
    """Fit one model to each completed set; predictions, and probabilities, are averaged.

    Parameters
    ----------
    estimator : estimator
        A regressor or classifier, or a pipeline that ends in one.
    imputer : MultipleImputer, optional
        By default one with five sets.

    Attributes
    ----------
    imputer_ : MultipleImputer
    estimators_ : list of estimator
        One for each set.

    Notes
    -----
    Rows of ``fit`` and rows to predict are completed in the same way, by the same imputer, which never sees the
    outcome. In cross-validation the imputer is fitted to the rows of each fold alone.

    References
    ----------
    Sisk, R., Sperrin, M., Peek, N., van Smeden, M. and Martin, G. P. (2023). Imputation and missing indicators for
    handling missing data in the development and deployment of clinical prediction models. *SMMR* 32(8), 1461-1477.
    doi:10.1177/09622802231165001

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from mifit.sklearn import MultipleImputer, MultiplyImputed
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 2))
    >>> y = X[:, 0] + X[:, 1]
    >>> X[rng.random(200) < 0.3, 0] = np.nan
    >>> model = MultiplyImputed(LinearRegression(), MultipleImputer(m=3, random_state=1)).fit(X, y)
    >>> len(model.estimators_), model.predict(X[:4]).shape
    (3, (4,))
    """

    def __init__(self, estimator: Any, imputer: MultipleImputer | None = None) -> None:
        self.estimator = estimator
        self.imputer = imputer

    def fit(self, X: Any, y: Any, **fit_params: Any) -> MultiplyImputed:
        """Fit the imputer to X, and the estimator to each completed set and y."""
        self.imputer_ = clone(self.imputer) if self.imputer is not None else MultipleImputer()
        sets = self.imputer_.fit(X).transform_all(X)
        self.estimators_ = [clone(self.estimator).fit(one, y, **fit_params) for one in sets]
        self.n_features_in_ = self.imputer_.n_features_in_
        if hasattr(self.imputer_, "feature_names_in_"):
            self.feature_names_in_ = self.imputer_.feature_names_in_
        if is_classifier(self.estimator):
            self.classes_ = self.estimators_[0].classes_
        return self

    def predict(self, X: Any) -> Any:
        """Predict: the mean over the sets; of levels the one with the largest mean probability, or most votes."""
        check_is_fitted(self)
        if not is_classifier(self.estimator):
            return np.mean(self._asked("predict", X), axis=0)
        if hasattr(self.estimators_[0], "predict_proba"):
            return self.classes_[np.argmax(self.predict_proba(X), axis=1)]
        votes = np.array([[one == level for level in self.classes_] for one in self._asked("predict", X)])
        return self.classes_[votes.sum(axis=0).argmax(axis=0)]

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Probability of each level, averaged over the sets, shape (n, K)."""
        check_is_fitted(self)
        return np.mean(self._asked("predict_proba", X), axis=0)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of right predictions of a classifier, R² of a regressor."""
        measure = accuracy_score if is_classifier(self.estimator) else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    def _asked(self, verb: str, X: Any) -> list[Any]:
        """What the estimator of each set says of that set."""
        sets = self.imputer_.transform_all(X)
        return [getattr(model, verb)(one) for model, one in zip(self.estimators_, sets, strict=True)]

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.input_tags.allow_nan = True
        return tags


def _as_given(one: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """A completed set with the dtypes of columns that lacked no value."""
    same = {n: kind for n, kind in frame.dtypes.items() if one[n].dtype != kind and not frame[n].isna().any()}
    return one.astype(same)


def _middle(columns: Sequence[pd.Series]) -> pd.Series:
    """The mean of numbers, the commonest of levels, row by row."""
    first = columns[0]
    if pd.api.types.is_numeric_dtype(first.dtype) and not pd.api.types.is_bool_dtype(first.dtype):
        values = [one.to_numpy(dtype=np.float64, na_value=np.nan) for one in columns]
        return pd.Series(np.mean(values, axis=0), index=first.index, name=first.name)
    stacked = pd.concat([one.astype(object) for one in columns], axis=1)
    return stacked.mode(axis=1).iloc[:, 0].astype(first.dtype).rename(first.name)

"""mifit in pipelines: scikit-learn's own checks, no leakage, one model of each set."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import mifit
from mifit.sklearn import MultipleImputer, MultiplyImputed


def people(n=160, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame({"a": rng.normal(size=n), "k": rng.integers(20, 90, n), "g": rng.choice(["u", "v", "w"], n)})
    X["b"] = X["a"] + 0.5 * rng.normal(size=n)
    y = X["a"] + (X["g"] == "u") + rng.normal(0, 0.5, n)
    return X.mask(rng.random(X.shape) < np.array([0.3, 0.0, 0.2, 0.0])), y.to_numpy()


def test_the_checks_of_scikit_learn_are_passed():
    told = check_estimator(MultipleImputer(m=2, iterations=1, random_state=0), on_skip=None, on_fail=None)
    assert [(one["check_name"], one["exception"]) for one in told if one["status"] == "failed"] == []
    assert sum(one["status"] == "passed" for one in told) > 30


def test_frames_keep_their_names_dtypes_and_observed_values():
    X, _ = people()
    imputer = MultipleImputer(m=3, iterations=2, random_state=1).fit(X)
    out = imputer.transform(X)
    assert list(out) == list(X) == imputer.get_feature_names_out().tolist() and not out.isna().any(axis=None)
    assert out["k"].dtype == X["k"].dtype and out.index.equals(X.index)
    for name in X:
        kept = X[name].notna()
        pd.testing.assert_series_equal(out[name][kept], X[name][kept], check_names=False)
    sets = imputer.transform_all(X)
    np.testing.assert_allclose(out["a"], np.mean([one["a"] for one in sets], axis=0))
    second = clone(imputer).set_params(which=1).fit(X).transform(X)
    pd.testing.assert_frame_equal(second, sets[1])
    with pytest.raises(mifit.PlanError, match="which is 'median'"):
        MultipleImputer(which="median").fit(X)


def test_arrays_stay_arrays_and_set_output_names_them():
    X, _ = people()
    A = X[["a", "k", "b"]].to_numpy(dtype=float)
    imputer = MultipleImputer(m=2, iterations=1, random_state=1).fit(A)
    out = imputer.transform(A)
    assert isinstance(out, np.ndarray) and not np.isnan(out).any()
    named = imputer.set_output(transform="pandas").transform(A)
    assert list(named) == ["x0", "x1", "x2"]
    np.testing.assert_array_equal(named, out)
    assert isinstance(imputer.set_output(transform="polars").transform(A), pl.DataFrame)


def test_a_column_that_was_complete_may_lack_values_later():
    X, _ = people()
    imputer = MultipleImputer(m=2, iterations=2, random_state=1).fit(X)
    new = X.head(10).copy()
    new.loc[new.index[:3], "b"] = np.nan
    new["k"] = new["k"].astype(float)
    new.loc[new.index[:2], "k"] = np.nan
    assert not imputer.transform(new).isna().any(axis=None)


def test_nothing_is_learned_from_the_rows_that_are_completed():
    """Other values in other new rows, however far out, leave the draws of a row as they are, bit for bit.

    With normal regressions, whose random numbers go row by row: matching hands them out in the order of predictions.
    """
    X, _ = people()
    imputer = MultipleImputer(m=3, iterations=2, methods={"numeric": "norm"}, random_state=1).fit(X.head(120))
    new = X.tail(40)
    first = new["a"].isna() & new["g"].notna()
    wild = new.copy()
    wild.loc[~first, "b"] = 1e6
    wild.loc[~first & wild["a"].notna(), "a"] = -1e6
    for one, other in zip(imputer.transform_all(new), imputer.transform_all(wild), strict=True):
        assert one["a"][first].equals(other["a"][first])


def test_the_outcome_takes_no_part():
    X, y = people()
    one, other = (MultipleImputer(m=2, iterations=1, random_state=1).fit(X, target) for target in (y, -100 * y))
    assert one.transform(X).equals(other.transform(X))


def encoded(estimator):
    return make_pipeline(make_column_transformer((OneHotEncoder(), ["g"]), remainder=StandardScaler()), estimator)


def test_predictions_are_means_over_models_of_the_sets():
    X, y = people()
    model = MultiplyImputed(encoded(LinearRegression()), MultipleImputer(m=3, iterations=2, random_state=1)).fit(X, y)
    sets = model.imputer_.transform_all(X)
    by_hand = np.mean([encoded(LinearRegression()).fit(one, y).predict(one) for one in sets], axis=0)
    np.testing.assert_allclose(model.predict(X), by_hand)
    assert is_regressor(model) and not is_classifier(model) and model.score(X, y) > 0.6
    assert not hasattr(model, "predict_proba")


def test_classes_have_mean_probabilities_or_votes():
    X, y = people()
    level = np.where(y > 0, "high", "low")
    model = MultiplyImputed(encoded(LogisticRegression()), MultipleImputer(m=3, iterations=1, random_state=1))
    model.fit(X, level)
    p = model.predict_proba(X)
    assert is_classifier(model) and p.shape == (160, 2) and np.allclose(p.sum(axis=1), 1)
    assert np.array_equal(model.predict(X), model.classes_[p.argmax(axis=1)]) and model.score(X, level) > 0.7
    votes = MultiplyImputed(encoded(RidgeClassifier()), MultipleImputer(m=3, iterations=1, random_state=1)).fit(
        X, level
    )
    assert set(votes.predict(X)) <= {"high", "low"} and not hasattr(votes, "predict_proba")


def test_they_stand_in_pipelines_cross_validation_and_searches():
    X, y = people()
    A = X[["a", "k", "b"]].to_numpy(dtype=float)
    single = make_pipeline(MultipleImputer(m=2, iterations=1, random_state=1), StandardScaler(), LinearRegression())
    many = MultiplyImputed(LinearRegression(), MultipleImputer(m=2, iterations=1, random_state=1))
    for model in (single, many):
        assert (cross_val_score(model, A, y, cv=3) > 0.3).all()
    found = GridSearchCV(single, {"multipleimputer__which": ["mean", 1]}, cv=2).fit(A, y)
    assert found.best_params_["multipleimputer__which"] in ("mean", 1)


def test_unnoticed_rows_are_not_learned_in_cross_validation():
    """The imputer of a fold knows the rows of that fold alone."""
    X, y = people()
    many = MultiplyImputed(encoded(LinearRegression()), MultipleImputer(m=2, iterations=1, random_state=1))
    many.fit(X.head(100), y[:100])
    assert len(many.imputer_.imputation_[0]) == 100


def test_the_draws_may_agree_with_an_analysis_among_the_columns():
    X, _ = people()
    imputer = MultipleImputer(m=2, formula="b ~ a + g", iterations=5, random_state=1).fit(X)
    assert imputer.imputation_.plan["a"].role == "covariate"
    assert not imputer.transform(X.head(20)).isna().any(axis=None)

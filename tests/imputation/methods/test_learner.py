"""Estimators of scikit-learn as methods: bootstrapped, honest about their errors, seeded by the chain."""

from __future__ import annotations

import importlib.util
import random

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.estimators import code_of_estimator

ESTIMATORS = [
    RandomForestRegressor(5), HistGradientBoostingRegressor(max_iter=5), KNeighborsRegressor(),
    make_pipeline(StandardScaler(), SVR()), RandomForestClassifier(5), LogisticRegression(),
    make_pipeline(StandardScaler(), LinearSVC()),
]  # fmt: skip


def visit(y, x, kind=Kind.NUMERIC, n_levels=0):
    return Visit(y, np.column_stack([np.ones(len(x)), x]), np.arange(2), kind, n_levels)


def people(n=300, seed=0):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame({
        "Age": rng.normal(30, 12, n).clip(1).round(1), "Fare": np.exp(rng.normal(3, 1, n)), "Parch": rng.poisson(1, n),
        "Sex": rng.choice(["male", "female"], n), "Embarked": rng.choice(["S", "C", "Q"], n),
    })  # fmt: skip
    df["Age"] += 0.1 * df["Fare"]
    return df.mask(rng.random(df.shape) < 0.15)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=code_of_estimator)
def test_estimators_and_pipelines_keep_the_contract_of_a_method(estimator):
    mifit.check_method(mifit.Learner(estimator))


def test_residuals_are_added_on_request_and_counts_stay_counts():
    mifit.check_method(mifit.Learner(Ridge(), values="residual", donors=3))


def test_the_call_of_every_forum_works():
    df = people()
    imp = df.mice.impute(methods={"Age": RandomForestRegressor()}, m=2, iterations=1, rng=1)
    assert imp.plan["Age"].label == "RandomForestRegressor" and not imp[0].isna().any(axis=None)
    assert np.isin(imp[0]["Age"], df["Age"].dropna()).all()


def test_what_a_learner_has_memorised_is_not_taken_for_its_error():
    """A tree that knows each row of its sample by heart, of pure noise: draws must have the whole spread."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=600), rng.normal(size=600)
    grid = np.column_stack([np.ones(4000), np.full(4000, 0.1)])
    for values in ("match", "residual"):
        method = mifit.Learner(DecisionTreeRegressor(), values=values, donors=30)
        drawn = [method.fit(visit(y, x), rng).sample(grid, rng).std() for _ in range(30)]
        assert 0.85 < np.mean(drawn) < 1.15


def test_a_classifier_that_is_sure_of_everything_is_corrected():
    """A full tree says 0 or 1; whatever x is, three rows in ten are 1."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=1500), (rng.random(1500) < 0.3).astype(float)
    fitted = mifit.Learner(DecisionTreeClassifier()).fit(visit(y, x, Kind.BINARY, 2), rng)
    grid = np.column_stack([np.ones(400), np.linspace(-2, 2, 400)])
    said = np.exp(fitted.log_probabilities(grid))[:, 1]
    assert said.min() > 0.15 and said.max() < 0.5 and abs(said.mean() - 0.3) < 0.06


def test_a_curve_that_nobody_wrote_down_is_followed():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=600), "z": rng.normal(size=600)})
    frame["y"] = frame["x"] ** 2 + 2 * frame["z"] + rng.normal(0, 0.3, 600)
    gone = rng.random(600) < 0.3
    lost = frame.assign(y=frame["y"].mask(gone))
    follows = mifit.Learner(GradientBoostingRegressor(n_estimators=60), values="residual")
    boosted = lost.mice.impute(methods={"y": follows}, m=2, iterations=1, rng=1)[0]
    linear = lost.mice.impute(m=2, iterations=1, rng=1)[0]
    left = [(one["y"] - frame["y"])[gone].std() for one in (boosted, linear)]
    assert left[0] < 1.0 < 1.5 < left[1]  # of draws: .3 times sqrt(2) at best; the curve alone has sd 1.4


def test_the_bits_come_from_the_seed_and_neither_from_workers_nor_from_the_estimator():
    df = people()
    forest = RandomForestRegressor(4, random_state=7)
    methods = {"Age": forest, "Sex": RandomForestClassifier(3), "Fare": make_pipeline(StandardScaler(), SVR())}
    before, world = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - it must stay
    one, two = (df.mice.impute(methods=methods, m=3, iterations=2, rng=5, n_jobs=n) for n in (1, 2))
    assert all(a.equals(b) for a, b in zip(one, two, strict=True))
    assert np.array_equal(before, np.random.get_state()[1]) and world == random.getstate()  # noqa: NPY002
    assert not one[0]["Age"].equals(one[1]["Age"])  # a fixed random_state would make one forest of all
    assert forest.random_state == 7 and not hasattr(forest, "estimators_")
    assert not one[0].equals(df.mice.impute(methods=methods, m=3, iterations=2, rng=6)[0])


def test_bounds_are_kept_by_what_matches():
    df = people()
    imp = df.mice.impute(methods={"Age": LinearRegression()}, censored={"Age": (40, None)}, m=2, iterations=1, rng=1)
    assert (imp[0]["Age"][df["Age"].isna()] >= 40).all()


def test_warnings_of_an_estimator_become_events():
    df = people()
    lazy = LogisticRegression(max_iter=1)
    imp = df.mice.impute(methods={"Embarked": lazy}, m=2, iterations=1, rng=1)
    assert imp.events["event"].str.contains("Embarked: ConvergenceWarning").any()


def test_a_few_rows_teach_nothing_and_are_drawn_from():
    df = pd.DataFrame({"x": [1.0, 2.0, 4.0, np.nan], "g": ["a", "b", None, "a"], "z": [0.1, 0.5, 0.3, 0.9]})
    imp = df.mice.impute(methods={"x": RandomForestRegressor(2), "g": RandomForestClassifier(2)}, m=2, rng=1)
    assert imp[0]["x"].isin([1.0, 2.0, 4.0]).all() and imp[0]["g"].isin(["a", "b"]).all()


class Breaking(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        raise RuntimeError("no licence")

    def predict(self, X):
        return X[:, 0]


def test_an_estimator_that_fails_is_named_with_its_column():
    with pytest.raises(mifit.ImputationError, match=r"'Age' could not be drawn \(no licence\)"):
        people().mice.impute(methods={"Age": Breaking()}, m=2, rng=1)


REFUSED = [
    ({"Age": RandomForestRegressor}, "unknown method RandomForestReg", "methods={'Age': RandomForestRegressor()}"),
    ({"Sex": RandomForestRegressor()}, "does not draw a binary column", "methods={'Sex': 'logistic'}"),
    ({"Age": KMeans()}, "neither a regressor nor a classifier", "methods={'Age': 'pmm'}"),
    ({"Age": "ranger"}, r"did you mean 'forest'\?", "methods={'Age': 'forest'}"),
]  # fmt: skip


@pytest.mark.parametrize(("methods", "fact", "do"), REFUSED, ids=[fact for _, fact, _ in REFUSED])
def test_what_cannot_draw_is_refused_with_a_call_that_runs(methods, fact, do):
    df = people()
    with pytest.raises(mifit.PlanError, match=fact) as caught:
        df.mice.impute(methods=methods, m=2, iterations=1, rng=1)
    assert do in caught.value.do
    imp = eval(caught.value.do, {"df": df, "RandomForestRegressor": lambda: RandomForestRegressor(2)})
    assert imp.m == 2


@pytest.mark.parametrize("estimator", ["forest", RandomForestRegressor()], ids=str)
def test_without_scikit_learn_the_extra_is_named(estimator, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "sklearn" else found(name, *a))
    with pytest.raises(mifit.PlanError, match="needs scikit-learn") as caught:
        people().mice.impute(methods={"Age": estimator}, m=2, rng=1)
    assert caught.value.do == 'pip install "mifit[sklearn]"'


def test_options_of_a_learner_are_checked():
    for words in ({"values": "mach"}, {"donors": 0}):
        with pytest.raises(mifit.PlanError) as caught:
            mifit.Learner(Ridge(alpha=2.0), **words)
        assert eval(caught.value.do, {"mifit": mifit, "Ridge": Ridge}).estimator.alpha == 2.0
    with pytest.raises(mifit.PlanError, match="an estimator with fit and predict"):
        mifit.Learner("forest")


def test_an_estimator_is_written_as_the_code_that_makes_it():
    nested = make_pipeline(FunctionTransformer(np.log1p), RandomForestRegressor(50, max_depth=3))
    code = code_of_estimator(nested)
    names = {"np": np, **{type(one).__name__: type(one) for one in (nested, *nested.named_steps.values())}}
    assert code_of_estimator(eval(code, names)) == code
    assert "n_estimators=50" in code and "max_depth=3" in code and "func=np.log1p" in code
    with pytest.raises(mifit.PlanError) as caught:
        people().mice.impute(methods={"Age": RandomForestRegressor(2), "Sex": "rf"}, m=2, iterations=1, rng=1)
    assert "RandomForestRegressor(n_estimators=2)" in caught.value.do


def test_two_levels_are_weighed_in_a_compatible_draw():
    """A classifier has probabilities: as the own model of a covariate they are weighed by the outcome."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=800)
    x = (rng.random(800) < np.where(np.abs(z) > 0.7, 0.8, 0.2)).astype(float)
    full = pd.DataFrame({"y": x + 0.5 * z + rng.normal(size=800), "x": x, "z": z})
    df = full.assign(x=full["x"].mask(rng.random(800) < 1 / (1 + np.exp(1 - full["y"]))))
    method = {"x": RandomForestClassifier(20, min_samples_leaf=20)}
    imp = df.mice.impute("y ~ x + z", methods=method, m=5, rng=1)
    assert imp.plan["x"].sampler == "enumerate"
    assert abs(imp.fit().params["x"] - 1) < 0.2

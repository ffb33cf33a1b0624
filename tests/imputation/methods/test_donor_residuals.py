"""Residuals of donors: any shape of a covariate, weighed by the analysis; pmm and estimators in compatible plans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.neighbors import KNeighborsRegressor

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.donor_residuals import DonorResiduals


def visit(x, z, kind=Kind.NUMERIC):
    return Visit(x, np.column_stack([np.ones(len(z)), z]), np.arange(2), kind)


def two_modes(z, r):
    return np.where(r.random(len(z)) < 1 / (1 + np.exp(-z)), 2.0, -1.0) + 0.5 * r.normal(size=len(z))


def two_modes_below(x, z):
    high = 1 / (1 + np.exp(-z))
    return high * norm.cdf((x - 2) / 0.5) + (1 - high) * norm.cdf((x + 1) / 0.5)


#: how a covariate follows another, and the probability of a smaller value
SHAPES = {
    "curve": (lambda z, r: 0.6 * z**2 + 0.7 * r.normal(size=len(z)), lambda x, z: norm.cdf((x - 0.6 * z**2) / 0.7)),
    "two modes": (two_modes, two_modes_below),
    "unequal spread": (
        lambda z, r: np.exp(0.5 * z) * r.normal(size=len(z)),
        lambda x, z: norm.cdf(x / np.exp(0.5 * z)),
    ),
    "log-normal": (
        lambda z, r: np.exp(0.3 * z + 0.6 * r.normal(size=len(z))),
        lambda x, z: norm.cdf((np.log(x) - 0.3 * z) / 0.6),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_have_the_distribution_of_the_covariate_wherever_they_are(shape):
    """What is drawn at new places, put through the true distribution there, is uniform: in each third of the places."""
    rng = np.random.default_rng(0)
    make, below = SHAPES[shape]
    z, new = rng.normal(size=3000), np.sort(rng.normal(size=6000))
    x = make(z, rng)
    method, X = DonorResiduals().tuned(x), np.column_stack([np.ones(6000), new])
    drawn = [below(method.fit(visit(x, z), rng).sample(X, rng), new) for _ in range(5)]
    told = np.mean([np.sort(one.reshape(3, -1), axis=1) for one in drawn], axis=0)
    uniform = (np.arange(2000) + 0.5) / 2000
    assert np.abs(told - uniform).max() < 0.06  # of 1,000 rows of data in each third the standard error is .016 at most


def test_the_logarithm_is_drawn_of_positive_skewed_values_and_counts_stay_counts():
    rng = np.random.default_rng(1)
    z = rng.normal(size=500)
    assert DonorResiduals().tuned(np.exp(z)).log and not DonorResiduals().tuned(z).log
    drawn = DonorResiduals(log=True).fit(visit(np.exp(z), z), rng).sample(visit(z, z).X, rng)
    assert (drawn > 0).all()
    counts = DonorResiduals().fit(visit(rng.poisson(1.0, 500).astype(float), z, Kind.COUNT), rng)
    drawn = counts.sample(visit(z, z).X, rng)
    assert (drawn >= 0).all() and np.array_equal(drawn, np.rint(drawn))


def test_each_row_is_predicted_by_an_estimator_that_has_not_seen_it():
    """The nearest neighbour of a row it has seen is itself: residuals of 0. Of pure noise they have sd sqrt(2)."""
    rng = np.random.default_rng(2)
    z, x = rng.normal(size=900), rng.normal(size=900)
    fitted = DonorResiduals(KNeighborsRegressor(1)).fit(visit(x, z), rng)
    left = x - fitted.mean.predict(visit(x, z).X)
    assert abs(left.std() - np.sqrt(2)) < 0.12
    new = np.column_stack([np.ones(3), [0.123, 0.5, -0.7]])
    expected = np.mean([one.predict(new[:, 1:]) for one in fitted.mean.models], axis=0)
    np.testing.assert_allclose(fitted.mean.predict(new), expected)


def test_rows_with_the_same_predictors_are_in_one_fold():
    rng = np.random.default_rng(3)
    z = np.repeat(np.arange(12.0), 20)
    x = z + rng.normal(size=240)
    fitted = DonorResiduals(RandomForestRegressor(5)).fit(visit(x, z), rng)
    predicted = fitted.mean.predict(visit(x, z).X).reshape(12, 20)
    assert (predicted == predicted[:, :1]).all()


def study(seed=0, n=400, kind="curve"):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    df = pd.DataFrame({"x": SHAPES[kind][0](z, rng), "z": z})
    df["y"] = 1 + 0.7 * df["x"] + 0.5 * z + 0.5 * df["x"] * z + 1.2 * rng.normal(size=n)
    gone = rng.random(n) < 1 / (1 + np.exp(0.6 - 0.7 * (df["y"] - df["y"].mean()) / df["y"].std()))
    return df, df.assign(x=df["x"].mask(gone))


@pytest.mark.parametrize(
    "method", ["pmm", "donors", "forest", "cart", GradientBoostingRegressor(n_estimators=5)], ids=str
)
def test_what_copies_or_predicts_draws_a_covariate_of_a_compatible_plan(method):
    _, df = study()
    imp = df.mice.impute("y ~ x * z", methods={"x": method}, m=2, rng=1, iterations=3)
    assert imp.plan["x"].sampler == "rejection" and imp.plan["x"].why.startswith("as asked")
    assert imp.fit().congeniality.word in ("exact", "same mean")
    assert imp.fit().params["x"] > 0.3
    two = df.mice.impute("y ~ x * z", methods={"x": method}, m=2, rng=1, iterations=3, n_jobs=2)
    assert two[1].equals(imp[1])


def test_a_covariate_of_levels_is_not_matched_and_an_auxiliary_has_to_weigh():
    _, df = study()
    rng = np.random.default_rng(0)
    df = df.assign(b=pd.Series(rng.integers(0, 2, len(df))).where(df.index % 5 > 0))
    with pytest.raises(mifit.PlanError, match="no density"):
        df.mice.impute("y ~ x + b", methods={"b": "pmm"}, auxiliary="ignore", m=2, rng=1)
    df = df.drop(columns="b").assign(aux=df["y"] + rng.normal(size=len(df)))
    df.loc[::7, "aux"] = np.nan
    with pytest.raises(mifit.PlanError, match="'aux' is an auxiliary") as caught:
        df.mice.impute("y ~ x", methods={"aux": "two-part"}, m=2, rng=1, iterations=3)
    assert eval(caught.value.do, {"df": df}).plan["aux"].label == "norm"


def test_it_is_kept_in_a_file(tmp_path):
    _, df = study()
    imp = df.mice.impute("y ~ x * z", methods={"x": "pmm"}, m=2, rng=1, iterations=3)
    imp.save(tmp_path / "study.mifit")
    assert mifit.load(tmp_path / "study.mifit").extend(m=3)[2].equals(imp.extend(m=3)[2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["curve", "two modes", "unequal spread"])
def test_the_bias_of_an_interaction_is_small_whatever_the_shape(kind):
    """40 frames of 500: Monte-Carlo error of the differences from full data is .01 or less."""
    away = []
    for seed in range(40):
        full, df = study(seed, 500, kind)
        imp = df.mice.impute("y ~ x * z", methods={"x": "donors"}, m=5, rng=seed)
        X = np.column_stack([np.ones(500), full["x"], full["z"], full["x"] * full["z"]])
        away.append(imp.fit().params.to_numpy() - np.linalg.lstsq(X, full["y"], rcond=None)[0])
    assert np.abs(np.mean(away, axis=0)).max() < 0.04

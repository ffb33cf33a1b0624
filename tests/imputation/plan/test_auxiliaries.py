"""Columns outside the analysis: in which order they are factors of the joint model."""

import numpy as np
import pandas as pd
import pytest

import mifit  # noqa: F401


def of_all_kinds(n=400, seed=0):
    """A linear analysis and auxiliaries of every kind, the frame's order the reverse of the model's."""
    rng = np.random.default_rng(seed)
    y, x = rng.normal(size=(2, n))
    z = x + rng.normal(size=(6, n))
    frame = pd.DataFrame(
        {"skew": np.exp(z[0]), "num": z[1], "num2": z[2], "count": rng.poisson(np.exp(0.5 + z[3] / 3))}
    )
    frame["count"] = frame["count"].astype(float)
    frame["ordered"] = pd.Categorical(np.digitize(z[4], [-1.0, 0.0, 1.0]), ordered=True)
    frame["level"] = pd.Categorical(np.array(list("abc"))[np.digitize(z[5], [-0.7, 0.7])])
    frame["two"] = np.where(z[3] > 0, "yes", "no")
    frame = frame.mask(rng.random(frame.shape) < np.array([0.05, 0.3, 0.1, 0.2, 0.25, 0.15, 0.3]))
    return frame.assign(x=pd.Series(x).mask(rng.random(n) < 0.2), y=y + x)


def test_levels_are_factors_before_counts_and_counts_before_numbers():
    plan = of_all_kinds().mice.plan("y ~ x")
    order = [factor.variable for factor in plan.factors if factor.role == "auxiliary"]
    assert order == ["level", "ordered", "two", "count", "num2", "num", "skew"]
    predictors = {f.variable: {p.which for p in f.pieces if p.what == "main"} for f in plan.factors if f.variable}
    assert all(predictors[name] == {*order[:place]} for place, name in enumerate(order))


def test_an_auxiliary_number_is_drawn_by_the_closed_form_whatever_levels_there_are():
    plan = of_all_kinds().mice.plan("y ~ x")
    assert {plan[name].sampler for name in ("num", "num2")} == {"closed form"}


@pytest.mark.slow
def test_draws_have_the_moments_of_a_general_location_model():
    # 20 frames of 1,500 rows from known cells, means and one covariance; a third of each column is missing.
    # Means by cell, and the covariance within cells, of what was drawn: within 4 Monte-Carlo errors of the truth
    # (14 numbers at 4 errors: a false alarm in 1,000 runs)
    means = {"a": (0.0, 1.0), "b": (1.5, 0.5), "c": (-1.0, -1.0)}
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    found = []
    for seed in range(20):
        rng = np.random.default_rng([7, seed])
        d = rng.choice(list("abc"), 1_500, p=[0.5, 0.3, 0.2])
        u = np.array([means[level] for level in d]) + rng.multivariate_normal([0, 0], covariance, 1_500)
        frame = pd.DataFrame({"u1": u[:, 0], "u2": u[:, 1], "d": pd.Categorical(d)})
        gone = rng.random(frame.shape) < 1 / 3
        frame = frame.mask(gone).assign(x=rng.normal(size=1_500), y=0.3 * u[:, 0] + rng.normal(size=1_500))
        imp = frame.mice.impute("y ~ x", m=4, iterations=10, rng=seed)
        some = []
        for completed in imp:
            rows = completed[gone.any(axis=1)]
            centre = rows.groupby("d", observed=True)[["u1", "u2"]].mean()
            rest = rows[["u1", "u2"]].to_numpy() - centre.loc[rows["d"]].to_numpy()
            share = rows["d"].value_counts(normalize=True)[["a", "b", "c"]]
            some.append([*centre.to_numpy().ravel(), *(rest.T @ rest / len(rows))[np.tril_indices(2)], *share])
        found.append(np.mean(some, axis=0))
    truth = [*np.ravel(list(means.values())), 1.0, 0.6, 2.0, 0.5, 0.3, 0.2]
    error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
    assert np.all(np.abs(np.mean(found, axis=0) - truth) < 4 * error), (np.mean(found, axis=0) - truth) / error

"""Columns outside the analysis: in which order they are factors of the joint model."""

import numpy as np
import pandas as pd
import pytest

from mifit.frame.table import read
from mifit.imputation.plan.association import Associations
from mifit.imputation.plan.auxiliaries import most_telling


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


def partial_of(frame, target, candidate, given):
    """Squared partial correlation of two columns given others, from two regressions."""
    X = np.column_stack([np.ones(len(frame)), frame[given]])
    rest = [frame[v] - X @ np.linalg.lstsq(X, frame[v], rcond=None)[0] for v in (target, candidate)]
    return np.corrcoef(*rest)[0, 1] ** 2


def test_auxiliaries_are_chosen_by_partial_correlations_with_values_and_with_missingness():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(600, 9)) @ rng.normal(size=(9, 9)) + 0.5 * rng.normal(size=(600, 9))
    frame = pd.DataFrame(z, columns=["y", "x", "w", *"abcdef"])
    gone = rng.random(600) < 1 / (1 + np.exp(1 + 2 * frame["e"] / frame["e"].std()))
    holed = frame.assign(x=frame["x"].mask(gone))
    filled = holed.fillna(holed.mean()).assign(gone=gone.astype(float))
    expected, rest = [], list("abcdef")
    while rest:
        with_value, with_missingness = ["y", "w", *expected], ["y", "x", "w", *expected]
        score = {
            c: max(partial_of(filled, "x", c, with_value), partial_of(filled, "gone", c, with_missingness))
            for c in rest
        }
        expected.append(max(rest, key=score.get))
        rest.remove(expected[-1])
    assert most_telling(Associations(read(holed)), list("abcdef"), ["x"], ["y", "x", "w"], 6) == expected


def test_copies_of_one_column_leave_room_for_what_says_something_else():
    rng = np.random.default_rng(5)
    strong, weak = rng.normal(size=(2, 400))
    frame = pd.DataFrame({f"c{k}": strong + 0.05 * rng.normal(size=400) for k in range(30)}).assign(other=weak)
    frame["level"] = pd.Categorical(rng.choice([f"l{k:02d}" for k in range(15)], 400))  # of many levels, tells nothing
    x = strong + 0.5 * weak + 0.3 * rng.normal(size=400)
    frame = frame.assign(x=pd.Series(x).mask(rng.random(400) < 0.3), y=rng.normal(size=400))
    frame["c0"] = frame["c0"].mask(rng.random(400) < 0.1)
    frame["c1"] = frame["c1"].mask(rng.random(400) < 0.1)
    plan = frame.mice.plan("y ~ x")
    named = {f.variable for f in plan.factors if f.role == "auxiliary"}
    assert len(named) == 20 and "other" in named
    # all columns are accounted for: in the analysis, an auxiliary, drawn afterwards, or left out with a reason
    after = {v.name for v in plan.variables if v.role == "column"}
    left = {v.name: v.why for v in plan.variables if v.role == "left"}
    assert named | after | {*left, "x", "y"} == {*frame.columns}
    assert all("no room for it in the joint model" in why for why in left.values()) and len(left) + len(after) == 12
    assert all("predicts those drawn after it" in why for why in left.values()) == bool(after)


def test_an_analysis_whose_columns_are_one_another_leaves_the_choice_defined():
    rng = np.random.default_rng(6)
    x = rng.normal(size=60)
    frame = pd.DataFrame({f"a{k}": rng.normal(size=60) for k in range(8)}).assign(x=x, same=2 * x + 1, y=x)
    frame["x"] = frame["x"].mask(rng.random(60) < 0.3)
    chosen = most_telling(Associations(read(frame)), [f"a{k}" for k in range(8)], ["x"], ["y", "x", "same"], 3)
    assert len({*chosen}) == 3
    assert most_telling(Associations(read(frame)), ["a0", "a1"], [], ["y"], 1) == ["a0"]


@pytest.mark.parametrize("n", [12, 30, 60])
def test_short_and_wide_frames_keep_no_missing_value(n):
    rng = np.random.default_rng(n)
    frame = of_all_kinds(n, n)
    wide = frame.join(pd.DataFrame(rng.normal(size=(n, 2 * n))).mask(rng.random((n, 2 * n)) < 0.1).add_prefix("v"))
    imp = wide.mice.impute("y ~ x", m=2, iterations=5, rng=1)
    assert not imp[0].isna().any().any() and "still missing" not in repr(imp)
    factors, planned = {f.variable for f in imp.plan.factors}, {v.name for v in imp.plan.variables}
    assert {*wide.columns} - {"x", "y"} <= factors | planned

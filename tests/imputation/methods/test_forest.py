"""Trees and forests: leaves hold the donors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit


def regions(n=500, seed=0):
    """A number that lives on one of four islands, told by the signs of two predictors, and the islands."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (n, 2))
    island = 2 * (x[:, 0] > 0) + (x[:, 1] > 0)
    return rng, np.column_stack([np.ones(n), x]), island, 10.0 * island + rng.random(n)


@pytest.mark.parametrize("method", [mifit.Forest(features=1.0), mifit.Cart()], ids=lambda m: type(m).__name__)
def test_a_leaf_does_not_reach_over_a_clear_border(method):
    rng, X, _, y = regions()
    fitted = method.fit(Visit(y, X, np.arange(3), Kind.NUMERIC), rng)
    new = np.column_stack([np.ones(400), rng.uniform(-1, 1, (400, 2))])
    inside = np.abs(new[:, 1:]).min(axis=1) > 0.2
    island = 2 * (new[:, 1] > 0) + (new[:, 2] > 0)
    drawn = fitted.sample(new, rng)
    assert np.isin(drawn, y).all()
    assert (np.floor(drawn / 10)[inside] == island[inside]).mean() > 0.95


def test_levels_follow_an_interaction_that_nobody_wrote_down():
    rng, X, island, _ = regions(800)
    df = pd.DataFrame(X[:, 1:], columns=["a", "b"]).assign(g=np.array(["N", "E", "S", "W"])[island])
    gone = rng.random(800) < 0.25
    imp = df.assign(g=df["g"].mask(gone)).mice.impute(methods={"g": "forest"}, m=2, iterations=1, rng=1)
    assert (imp[0]["g"] == df["g"])[gone].mean() > 0.85


def test_a_leaf_gives_its_values_as_often_as_they_are_in_it():
    """One leaf holds all rows: draws are those of the bootstrap sample, its shares around the observed."""
    rng = np.random.default_rng(0)
    y = np.repeat([0.0, 1.0, 2.0], [50, 30, 20])
    visit = Visit(y, np.ones((100, 1)), np.arange(1), Kind.NOMINAL, 3)
    draws = [mifit.Cart(min_leaf=50).fit(visit, rng).sample(np.ones((2000, 1)), rng) for _ in range(200)]
    shares = [np.bincount(one.astype(int), minlength=3) / 2000 for one in draws]
    np.testing.assert_allclose(np.mean(shares, axis=0), [0.5, 0.3, 0.2], atol=0.015)  # 4 standard errors
    assert 0.035 < np.std(shares, axis=0)[0] < 0.065  # sqrt(.25 / 100) = .05, and a little from 2000 draws


def test_bounds_are_kept_even_where_a_leaf_has_no_value_between_them():
    rng, X, _, y = regions()
    fitted = mifit.Forest().fit(Visit(y, X, np.arange(3), Kind.NUMERIC), rng)
    low, high = np.where(X[:, 1] > 0, 0.0, 30.0), np.where(X[:, 1] > 0, 1.0, np.inf)  # the opposite island
    drawn = fitted.sample_within(X, rng, low, high)
    assert ((low <= drawn) & (drawn <= high)).all()
    with pytest.raises(mifit.ImputationError, match="no leaf holds one"):
        fitted.sample_within(X, rng, np.full(500, 99.0), np.full(500, 100.0))


def test_rows_of_weight_zero_give_no_value():
    rng, X, _, y = regions()
    light = np.arange(500) % 3 == 0
    visit = Visit(y + 1000.0 * light, X, np.arange(3), Kind.NUMERIC, weights=np.where(light, 0.0, 2.0))
    for method in (mifit.Forest(), mifit.Cart()):
        assert (method.fit(visit, rng).sample(X, rng) < 500).all()


def test_one_word_draws_every_kind_of_column_and_nothing_depends_on_workers():
    rng = np.random.default_rng(1)
    n = 200
    df = pd.DataFrame({
        "number": rng.normal(size=n), "count": rng.poisson(2, n), "two": rng.integers(0, 2, n),
        "text": rng.choice(list("abc"), n),
        "rating": pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True),
    }).mask(rng.random((n, 5)) < 0.15)  # fmt: skip
    for word in ("forest", "cart"):
        one, two = (df.mice.impute(methods=word, m=2, iterations=2, rng=1, n_jobs=n_jobs) for n_jobs in (1, 2))
        assert all(a.equals(b) for a, b in zip(one, two, strict=True)) and not one[0].isna().any(axis=None)
        assert {one.plan[name].label for name in df} == {word}
        assert (one[0].dtypes == df.dtypes).all()
        kept = df["number"].notna()
        assert one[0]["number"][kept].equals(df["number"][kept])


@pytest.mark.parametrize("words", [{"trees": 0}, {"min_leaf": 0}, {"features": 0.0}, {"features": 2.0}], ids=str)
def test_numbers_that_make_no_tree_are_refused(words):
    with pytest.raises(mifit.PlanError) as caught:
        mifit.Forest(**words)
    assert eval(caught.value.do, {"mifit": mifit})


@pytest.mark.slow
def test_an_interaction_is_seen_smaller_than_it_is_but_not_lost():
    """Doove and others (2014), Shah and others (2014): 20 frames; Monte-Carlo error about .01."""
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        df = pd.DataFrame(rng.normal(size=(600, 3)), columns=["x1", "x2", "z"])
        df["y"] = 0.3 * df["x1"] + 0.3 * df["x2"] + 0.5 * df["x1"] * df["x2"] + rng.normal(size=600)
        lost = df.mask(rng.random((600, 4)) < np.array([0.3, 0.0, 0.0, 0.3]))
        imp = lost.mice.impute(methods="forest", m=5, iterations=5, rng=seed)
        found.append(imp.fit("y ~ x1 * x2", uncovered="ignore").params["x1:x2"])
    assert 0.35 < np.mean(found) < 0.5

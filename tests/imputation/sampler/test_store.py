"""ColumnStore: whatever is written, its columns and cross-products are those of a rebuild."""

import numpy as np
import pandas as pd
import pytest

from mifit.formula.question import ask
from mifit.frame.kinds import Kind
from mifit.frame.table import read
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler import store as stores
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.visit import Response, StoreVisit
from support.made import make

FORMULAS = [
    "y ~ x * g + I(x**2) + np.exp(z / 10) * b + r:c + bs(w, df=4)",
    "y ~ x + g + b + r + c + w + z",
    "y ~ 0 + g:x + b + z",
    "np.log(p) ~ x * z * b + g + c",
]


def frame(n=150, seed=0, share=0.3, scale=1.0):
    """A column of every kind with missing values, and a complete one."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(n)
    w = rng.standard_normal(n)
    w[:2] = [-6.0, 6.0]
    found = pd.DataFrame({
        "y": z + rng.standard_normal(n), "x": scale * (100 + z + rng.standard_normal(n)), "w": w,
        "g": pd.Categorical(np.array(list("abcd"))[rng.integers(0, 4, n)]),
        "b": 1.0 + (rng.random(n) < 0.4), "r": 1.0 + rng.integers(0, 5, n),
        "c": rng.poisson(2.0, n).astype(float), "p": np.exp(rng.standard_normal(n)), "z": z,
    })  # fmt: skip
    for name in found.columns.drop("z"):
        found.loc[rng.random(n) < share, name] = np.nan
    found.loc[:1, "w"] = [-6.0, 6.0]
    return found


def prepared(formula, data, auxiliary="response", extra=(), **options):
    """An engine and a store whose missing values hold values drawn from the observed ones."""
    table = read(data)
    questions = [ask(f, table, scope={"np": np}) for f in ([formula] if formula else [])]
    plan, table = make(table, questions, Options(auxiliary=auxiliary, **options), {"np": np})
    engine = Engine(table, plan)
    rng = np.random.default_rng(9)
    values = {}
    for name, column in table.columns.items():
        values[name] = column.values.copy()
        if name in plan.order:
            values[name][column.missing] = rng.choice(column.values[column.observed], len(column.missing))
    return engine, engine.new_store(values), values


def other_values(column, rng):
    """Values a sampler may write: codes, counts, numbers between the observed ones."""
    n, seen = len(column.missing), column.values[column.observed]
    if column.kind.discrete:
        return rng.integers(0, column.n_levels, n).astype(float)
    if column.kind is Kind.COUNT:
        return rng.poisson(3.0, n).astype(float)
    return rng.uniform(seen.min(), seen.max(), n)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("auxiliary", ["response", "ignore"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("small", [False, True])
def test_after_any_sequence_of_writes_the_store_equals_a_rebuild(formula, auxiliary, seed, small, monkeypatch):
    if not small:
        monkeypatch.setattr(stores, "_REBUILT", -1)  # as in a large frame: cross-products are exchanged
    engine, store, values = prepared(formula, frame(seed=seed), auxiliary)
    assert store.grams
    rng = np.random.default_rng([seed, 1])
    for step in range(40):
        name = engine.plan.order[rng.integers(len(engine.plan.order))]
        drawn = other_values(engine.table[name], rng)
        held = store.gram
        store.write(name, drawn)
        assert (store.gram is held) != small or not len(store._written(name))
        np.testing.assert_array_equal(values[name][engine.table[name].missing], drawn)
        if step % 13 == 5:
            store.refresh()
        assert store.verify() < 1e-12
    np.testing.assert_array_equal(store.gram, store.gram.T)


@pytest.mark.parametrize("seed", range(3))
def test_columns_after_writes_are_those_of_a_rebuild_to_the_last_bit(seed):
    engine, store, values = prepared(FORMULAS[0], frame(seed=seed))
    rng = np.random.default_rng([seed, 2])
    for _ in range(10):
        for name in engine.plan.order:
            store.write(name, other_values(engine.table[name], rng))
    np.testing.assert_array_equal(store.X, engine.new_store(values).X)


def test_writing_keeps_what_was_observed():
    engine, store, values = prepared(FORMULAS[0], frame())
    rng = np.random.default_rng(1)
    for name in engine.plan.order:
        before = values[name].copy()
        store.write(name, other_values(engine.table[name], rng))
        seen = engine.table[name].observed
        np.testing.assert_array_equal(values[name][seen], before[seen])


@pytest.mark.parametrize("formula", FORMULAS[:3])
def test_imagining_changes_nothing_and_sees_what_writing_would_give(formula):
    engine, store, values = prepared(formula, frame())
    rng = np.random.default_rng(4)
    for name in engine.plan.order:
        missing, places = engine.table[name].missing, engine.layout.depends.get(name)
        if places is None:
            continue
        places = np.array([p for p in places if p not in store.held_at_zero], dtype=np.int64)
        drawn = other_values(engine.table[name], rng)
        before = store.X.copy(), store.gram.copy(), values[name].copy()
        imagined = store.imagine(places, name, missing, drawn)
        for old, new in zip(before, (store.X, store.gram, values[name]), strict=True):
            np.testing.assert_array_equal(old, new)
        store.write(name, drawn)
        np.testing.assert_array_equal(store.X[np.ix_(missing, places)], imagined)


def test_imagining_some_rows_equals_imagining_all_and_choosing():
    engine, store, _ = prepared(FORMULAS[0], frame())
    rng = np.random.default_rng(5)
    places, missing = engine.layout.depends["x"], engine.table["x"].missing
    drawn = other_values(engine.table["x"], rng)
    some = np.sort(rng.choice(len(missing), 7, replace=False))
    whole = store.imagine(places, "x", missing, drawn)
    # up to rounding: a product of matrices may add up the last rows in another order
    found = store.imagine(places, "x", missing[some], drawn[some])
    np.testing.assert_allclose(found, whole[some], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_cross_products_of_observed_rows_equal_direct_ones_by_subtraction_and_by_multiplication(share):
    engine, store, values = prepared(None, frame(n=400, share=share), methods={"x": "norm", "w": "norm", "y": "norm"})
    rng = np.random.default_rng(6)
    for name in engine.plan.order:
        store.write(name, other_values(engine.table[name], rng))
    for name in ("x", "w", "y"):
        rows = engine.table[name].observed
        assert (3 * (400 - len(rows)) < 400) == (share < 0.3)
        seen = StoreVisit(store, engine.own[name], Response(values[name]), engine.place(name), rows=rows, without=name)
        cross = seen.cross()
        z = (values[name][rows] - cross.centre) / cross.scale
        X = store.X[np.ix_(rows, engine.own[name].columns)]
        np.testing.assert_allclose(cross.xx, X.T @ X, atol=1e-10)
        np.testing.assert_allclose(cross.xy, X.T @ z, atol=1e-10)
        np.testing.assert_allclose(cross.yy, z @ z, rtol=1e-12)
        assert cross.n == len(rows)
        coef = rng.standard_normal(X.shape[1])
        np.testing.assert_allclose(seen.linear(coef), X @ coef, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(seen.y, values[name][rows])


def test_cross_products_of_all_rows_are_a_block_of_the_stores():
    engine, store, values = prepared(FORMULAS[1], frame())
    ready = engine.factors[0]
    seen = StoreVisit(store, ready.model, Response(ready.response(values)), ready.place)
    cross, X = seen.cross(), store.X[:, ready.model.columns]
    z = (seen.y - cross.centre) / cross.scale
    np.testing.assert_allclose(cross.xx, X.T @ X, atol=1e-10)
    np.testing.assert_allclose(cross.xy, X.T @ z, atol=1e-10)
    np.testing.assert_allclose(cross.yy, z @ z, rtol=1e-12)


def test_an_outcome_no_model_may_look_at_stays_nought():
    engine, store, values = prepared("y ~ x + z", frame(), "ignore")
    place, missing = engine.layout.outcome[0], engine.table["y"].missing
    assert store.held_at_zero == {place}
    rng = np.random.default_rng(8)
    for _ in range(3):
        for name in engine.plan.order:
            store.write(name, 1e6 * other_values(engine.table[name], rng) if name == "y" else
                        other_values(engine.table[name], rng))  # fmt: skip
        np.testing.assert_array_equal(store.X[missing, place], 0.0)
    assert store.verify() < 1e-12
    assert np.abs(store.gram[place]).max() < 1e4
    assert np.abs(values["y"][missing]).max() > 1e5


def test_an_outcome_that_feeds_an_auxiliary_is_written():
    engine, store, _ = prepared("y ~ x + z", frame(), "response")
    place, missing = engine.layout.outcome[0], engine.table["y"].missing
    assert not store.held_at_zero
    store.write("y", np.full(len(missing), 3.0))
    wanted = (3.0 - engine.layout.centre[place]) / engine.layout.scale[place]
    np.testing.assert_array_equal(store.X[missing, place], wanted)


def test_formula_columns_that_are_main_effects_are_stored_once():
    engine, store, _ = prepared("y ~ x + g + b + x:z + I(w**2)", frame(), "response")
    labels = [slot.label for slot in engine.layout.slots]
    assert sorted(labels) == sorted(
        ["Intercept", "x", "g", "g", "g", "b", "z", "w", "x:z", "I(w ** 2)", "y", "r", "c", "p"]
    )
    assert store.X.shape[1] == len(labels)


def test_a_formula_without_a_constant_keeps_its_columns_where_they_are():
    engine, store, values = prepared("y ~ 0 + g:x + z", frame(), "ignore")
    ready = engine.factors[0]
    X = store.X[:, ready.model.columns] * engine.layout.scale[ready.model.columns]
    np.testing.assert_allclose(X, engine.designs[0].matrix(values), rtol=1e-12)
    assert 0 not in ready.model.columns


@pytest.mark.parametrize("power", [-40, -3, 5, 60])
def test_a_power_of_two_in_the_units_gives_the_same_standardised_bits(power):
    formula = "y ~ x * g + I(x**2) + x:z + w"
    _, store, values = prepared(formula, frame())
    _, scaled, values_scaled = prepared(formula, frame(scale=2.0**power))
    np.testing.assert_array_equal(values_scaled["x"], values["x"] * 2.0**power)
    np.testing.assert_array_equal(scaled.X, store.X)
    np.testing.assert_array_equal(scaled.gram, store.gram)


def test_columns_are_centred_and_near_one_on_the_rows_where_they_are_observed():
    engine, store, _ = prepared(FORMULAS[0], frame())
    layout = engine.layout
    for place in range(1, len(layout)):
        rows = engine.table.complete_rows(layout._names(layout.slots[place]))
        seen = store.X[rows, place]
        assert abs(seen.mean()) < 1e-9
        assert 0.7 < np.sqrt(np.mean(seen**2)) < 1.42


def test_what_was_imagined_is_forgotten_when_something_is_written():
    engine, store, values = prepared("y ~ np.exp(z / 10) * b + bs(w, df=4) * np.log(p)", frame())
    rng = np.random.default_rng(5)
    places, missing = engine.layout.depends["w"], engine.table["w"].missing
    drawn = other_values(engine.table["w"], rng)
    first = store.imagine(places, "w", missing, drawn)
    assert store.imagine(places, "w", missing, drawn.copy()) is first
    assert store.imagine(places, "w", missing, drawn[::-1].copy()) is not first
    for name in engine.plan.order:
        if name != "w":
            store.write(name, other_values(engine.table[name], rng))
    found = store.imagine(places, "w", missing, drawn)
    assert not np.array_equal(found, first)
    np.testing.assert_array_equal(found, engine.new_store(values).imagine(places, "w", missing, drawn))

"""Transforms are learnt once: the same basis in imputation, fit and prediction, here and in workers."""

import gc
import pickle
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from patsy import bs as splines  # noqa: F401
from scipy import special  # noqa: F401

import mifit
from mifit.formula import design as design_module
from mifit.formula.design import Designs
from mifit.formula.question import ask
from mifit.frame.table import Table, read

knots = [1.5, 2.5]
rooted = lambda v: np.sqrt(v)  # noqa: E731


def squared(v):
    """A function of the module."""
    return v**2


def study(seed=1, n=160):
    """Odd names, categories, truth values; covariates are incomplete, and positive where a logarithm is taken."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"y": rng.normal(size=n), "my x": rng.uniform(0.5, 4, n), "class": rng.integers(1, 4, n)})
    frame["x"] = frame["my x"] + 0.2 * rng.normal(size=n) ** 2
    frame["g"] = pd.Categorical(rng.choice(list("abc"), n))
    frame["flag"] = pd.array(rng.random(n) < 0.5, dtype="boolean")
    frame["k"], frame[7] = rng.integers(1, 4, n), rng.normal(size=n)
    frame["y"] += frame["x"] + frame["flag"].astype(float)
    for name in ("my x", "g", "flag", "x"):
        frame.loc[rng.random(n) < 0.25, name] = pd.NA if name == "flag" else np.nan
    return frame


FORMULAS = """
y ~ bs(x, df=4) | y ~ bs(x, df=5, include_intercept=True) | y ~ bs(x, df=4, lower_bound=-1, upper_bound=9)
y ~ bs(np.log(x), df=4) | y ~ bs(x, knots=knots, degree=2) | y ~ splines(x, df=4) | y ~ cr(x, df=4)
y ~ cr(x, df=4)*k | y ~ cc(x, df=4) | y ~ te(cr(x, df=3), cr(k, df=3)) | y ~ center(x)*k | y ~ scale(x)
y ~ standardize(x):k | y ~ Q('my x')*Q('class') | y ~ np.log(Q('my x'))*flag | y ~ Q(7) + x
y ~ C(g, Treatment('b'))*x | y ~ C(k, Treatment(2)) + x | y ~ C(g, Sum) | y ~ C(g, Poly) | y ~ C(x > 2)
y ~ rooted(x) | y ~ squared(x):k | y ~ special.expit(x) | y ~ I(x/k**2) + np.log(x) | y ~ np.where(x > 1, x, 0)
y ~ I((x > 2)*1) + x | y ~ np.clip(x, 1, 3) | y ~ flag:x + flag | np.log(x) ~ k
"""
EVERY = [one.strip() for line in FORMULAS.strip().splitlines() for one in line.split("|")]


def inside(frame, formula):
    """The columns a formula names."""
    return frame[[c for c in frame if f"'{c}'" in formula or (isinstance(c, int) and "Q(7)" in formula)
                  or pd.Series([formula]).str.contains(rf"(?<!['\\w]){c}(?!['\\w])").all()]]  # fmt: skip


@pytest.mark.parametrize("formula", EVERY)
def test_the_basis_is_the_same_wherever_it_is_used(formula):
    frame = inside(study(), formula)
    imp = frame.mice.impute(formula, m=2, rng=1, iterations=5)
    # The residuals of two of these formulas are not normal: their error law is learned.
    assert set(imp.check()["verdict"]) <= {"exact", "same mean"}
    res = imp.fit()
    done = imp[0]
    assert not done.isna().to_numpy().any()
    whole = np.asarray(res.predict(done))
    parts = np.concatenate([res.predict(done.iloc[rows]) for rows in (slice(None, 1), slice(1, 90), slice(90, None))])
    np.testing.assert_allclose(parts, whole, rtol=1e-10)
    assert np.isfinite(whole).all()


@pytest.mark.parametrize("formula", ["y ~ splines(x, df=4)", "y ~ rooted(x)*k", "y ~ squared(x) + bs(x, knots=knots)"])
def test_workers_draw_the_same_bits_of_the_users_own_functions(formula):
    frame = inside(study(), formula)
    here, there = (frame.mice.impute(formula, m=2, rng=1, iterations=5, n_jobs=jobs) for jobs in (1, 2))
    for left, right in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_a_natural_spline_is_fitted_as_statsmodels_fits_it():
    """statsmodels' pseudo-inverse and a design without the redundant column have the same predictions."""
    import statsmodels.formula.api as smf

    frame = inside(study(), "y ~ cr(x, df=4)").dropna().reset_index(drop=True)
    with warnings.catch_warnings():  # it says that the design is not of full rank
        warnings.simplefilter("ignore")
        truth = smf.ols("y ~ cr(x, df=4)", frame).fit()
    imp = frame.mice.impute("y ~ cr(x, df=4)", m=2, rng=1)
    assert any("cr(x, df=4)[3] follows from the columns before it" in event for event in imp.plan.events)
    np.testing.assert_allclose(imp.fit().predict(frame), truth.fittedvalues, rtol=1e-9)


@pytest.mark.parametrize("model", ["ols", "poisson", "logit"])
@pytest.mark.parametrize("formula, low", [("{} ~ bs(x, df=4)*k", "knots"), ("{} ~ np.log(x) + k", 0.0)])
def test_draws_stay_in_the_domain_of_splines_and_logarithms(formula, low, model):
    frame = inside(study(), "y ~ x + k")
    frame["y"] = {"ols": frame["y"], "poisson": frame["y"].abs().round(), "logit": (frame["y"] > 2) * 1.0}[model]
    seen = frame["x"].dropna()
    for method in ("norm", "power"):
        imp = frame.mice.impute(formula.format("y"), model=model, m=3, rng=1, iterations=5, methods={"x": method})
        drawn = np.concatenate([done.loc[frame["x"].isna(), "x"] for done in imp])
        assert np.all(drawn > (0.0 if low == 0.0 else np.nextafter(seen.min(), 0)))
        if low == "knots":
            assert drawn.max() <= seen.max()


def test_a_factor_is_memorised_on_the_rows_of_its_own_variables():
    frame = inside(study(), "y ~ center(x) + my x".replace("my x", "Q('my x')"))
    imp = frame.mice.impute("y ~ center(x) + Q('my x')", m=2, rng=1, iterations=5)
    res = imp.fit()
    at = pd.DataFrame({"x": [frame["x"].mean()], "my x": [0.0]})
    # centred on every observed x, though Q('my x') is missing in some of those rows
    assert float(res.predict(at).iloc[0]) == pytest.approx(res.params["Intercept"], rel=1e-12)


@pytest.mark.parametrize(("later", "where"), [(-2, "^"), (40, r"chain 0, sweep \d+: .* could not be drawn \(")])
def test_what_a_users_function_raises_comes_back_by_name_from_a_plan_and_from_a_chain(later, where):
    class Unlucky(Exception):
        """Does not cross a process."""

        def __init__(self, one, two):
            super().__init__(one)

    state = {"calls": 0, "most": np.inf}

    def moody(v):
        state["calls"] += 1
        if state["calls"] > state["most"]:
            raise Unlucky("no more", 2)
        return np.asarray(v) * 1.0

    frame = inside(study(), "y ~ x + k")
    frame.mice.plan("y ~ moody(x)*k")
    state["calls"], state["most"] = 0, state["calls"] + later
    with pytest.raises(
        mifit.MifitError,
        match=where + r"'moody\(x\)' cannot be computed from arrays: Error evaluating factor: Unlucky: no more",
    ):
        frame.mice.impute("y ~ moody(x)*k", m=2, rng=1, iterations=50)


def test_a_frozen_design_does_not_keep_the_data_of_its_frame():
    table = read(study())
    Designs(table).of(ask("y ~ bs(x, df=4) + g", table))
    kept = weakref.ref(table["x"].values)
    del table
    gc.collect()
    assert kept() is None


def test_an_analysis_is_frozen_once_by_whoever_asks_first(monkeypatch):
    frozen, real = [], design_module.freeze
    monkeypatch.setattr(design_module, "freeze", lambda *given: frozen.append(given) or real(*given))
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=80), "z": rng.normal(size=80), "g": rng.choice(list("abcd"), 80)})
    frame["y"] = frame["x"] * frame["z"] + rng.normal(size=80)
    for name in ("x", "g"):
        frame[name] = frame[name].mask(rng.random(80) < 0.2)
    for words in ({}, {"collapse": {"g": {"rare": ["c", "d"]}}}):
        imp = frame.mice.impute("y ~ x * z", m=2, iterations=1, rng=1, n_jobs=1, **words)
        assert len(frozen) == 1  # planned, its samplers chosen, drawn
        imp.extend(1, n_jobs=1)
        imp.explain(int(np.flatnonzero(frame["x"].isna())[0]), "x")
        assert len(frozen) == 1
        frozen.clear()
        imp.fit(n_jobs=1)  # judged against what was declared, and fitted
        imp.fit("y ~ x", n_jobs=1)
        assert len(frozen) == 2
        frozen.clear()


def test_designs_are_those_of_the_table_and_pickle_without_them():
    table = read(pd.DataFrame({"y": [1.0, 2, 3, 5], "x": [1.0, 4, 9, 17]}))
    designs, question = Designs(table), ask("y ~ x", table)
    assert designs.of(question) is designs.of(question) is not designs.of(ask("y ~ x", table))
    with_more = Table({**table.columns, "z": table["x"]}, 4)
    assert designs.on(with_more).of(question).table is with_more and designs.on(table) is designs
    assert designs.on(with_more).of(question).columns is designs.of(question).columns
    copied = Table({name: replace(column, values=column.values.copy()) for name, column in table.columns.items()}, 4)
    assert designs.on(copied).of(question).columns is not designs.of(question).columns  # its values may be others
    again = pickle.loads(pickle.dumps(designs))
    assert again.of(question).names == ("Intercept", "x") and again.table is not table
    for _ in range(100):  # as many analyses as one likes, of which the last are kept
        last = designs.of(ask("y ~ x", table))
    assert designs.of(last.question) is last and designs.of(question).question is question

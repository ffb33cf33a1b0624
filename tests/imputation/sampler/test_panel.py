"""The panel of auxiliaries against its factors one by one: heights, derivatives, levels, precision and pull."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler import panel as panels
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.first_fill import start
from mifit.imputation.sampler.likelihood_terms import LikelihoodTerm
from mifit.imputation.sampler.panel import PanelTerm, fits_in
from support.made import make

KINDS = ("number", "skewed", "two", "three", "ordered", "count", "rare", "four")


def cohort(n=400, seed=1):
    """A logit analysis with an interaction, and two auxiliaries of every kind."""
    rng = np.random.default_rng(seed)
    x, z, w = rng.normal(size=(3, n))
    skewed = np.exp(0.5 * z + 0.4 * rng.normal(size=n))
    out = {
        "y": (rng.random(n) < 1 / (1 + np.exp(-0.5 * x - 0.4 * x * (w > 0)))).astype(int),
        "x": x, "z": skewed, "g": np.array(["u", "v"], dtype=object)[(w > 0).astype(int)],
        "h": np.array(list("pqr"), dtype=object)[np.digitize(w + rng.normal(size=n), [-0.5, 0.6])],
    }  # fmt: skip
    for k in range(2):
        for kind in KINDS:
            v = 0.6 * x + 0.4 * z - 0.3 * w + 0.8 * rng.normal(size=n)
            made = {
                "number": v, "skewed": np.exp(0.6 * v), "two": np.where(v > 0.3, "b", "a"),
                "three": np.array(list("abc"))[np.digitize(v, [-0.5, 0.5])],
                "four": np.array(list("abcd"))[np.digitize(v, [-0.8, 0.0, 0.8])],
                "ordered": pd.Categorical(np.array(list("lmh"))[np.digitize(v, [-0.6, 0.4])], list("lmh"), True),
                "count": rng.poisson(np.exp(0.4 * v)).astype(float),
                "rare": rng.poisson(np.exp(0.3 * v) * rng.gamma(1.0, 1.0, n)).astype(float),
            }[kind]  # fmt: skip
            out[f"{kind}{k}"] = made
    frame = pd.DataFrame(out)
    for name in frame.columns.drop("y"):
        frame.loc[rng.random(n) < 0.15, name] = None
    return frame


def running(frame, formula, sweeps=1, seed=3):
    """A chain after some sweeps, its parameters held as they are."""
    table = read(frame)
    plan, table = make(table, [ask(formula, table, model="logit", scope={"np": np})], Options(), {})
    state = ChainState(Engine(table, plan), None)
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start(state, rng)
        for number in range(1, sweeps + 1):
            state.sweep(rng, number)
    state._panel(rng)  # parameters of this sweep, where no visit asked for them
    return state, rng


@pytest.fixture(scope="module")
def chain():
    return running(cohort(), "y ~ x*g + z + h")


def parts(state, rng, name):
    """The terms of the panel, and those of the same factors one by one."""
    panel = state._panel(rng)
    fed = [r for r in state.engine.feeds[name] if r.position in panel.inside]
    straight = all(state.engine.straight(r, name) for r in fed)
    joined = PanelTerm(panel, name, np.array([r.position for r in fed]), straight, state.values)
    alone = [
        LikelihoodTerm.of_factor(
            state.drawn[r.position],
            r.model,
            state.store,
            name,
            state._response(r),
            None,
            state.engine.straight(r, name),
        )
        for r in fed
    ]
    return joined, alone


def inside(state, name, rng):
    """Candidate values around those that stand."""
    rows = state.table[name].missing
    now, sd = state.values[name][rows], float(np.std(state.values[name]))
    if state.table[name].kind.discrete:
        return rng.integers(0, state.table[name].n_levels, len(rows)).astype(float)
    return (
        np.abs(now + 0.3 * sd * rng.normal(size=len(rows))) + 1e-3
        if name.startswith(("z", "skewed"))
        else now + 0.3 * sd
    )


def test_every_family_is_there(chain):
    state, rng = chain
    families = {type(stack.family).__name__ for stack in state._panel(rng).stacks}
    assert families == {"Normals", "Bernoullis", "Categoricals", "Cumulatives", "Others"}
    outside = [r for r in state.engine.factors if r.position not in state._panel(rng).inside]
    assert all(r.question is not None or r.components for r in outside)


@pytest.mark.parametrize("formula", ["y ~ x*g + z + h", "y ~ x*g + I(x**2) + np.log(z) + h"])
def test_the_panel_says_what_its_factors_say(formula):
    state, rng = running(cohort(), formula)
    seen = 0
    for name in state.plan.order:
        if sum(map(fits_in, state.engine.feeds[name])) < 2:
            continue
        joined, alone = parts(state, rng, name)
        seen += 1
        every, values = np.arange(len(joined.rows)), inside(state, name, rng)
        now = state.values[name][joined.rows]

        def by_one(at, v, alone=alone):
            return sum(term.log_accept(at, v) for term in alone)

        # each is a likelihood up to a constant: differences are compared
        wanted = by_one(every, values) - by_one(every, now)
        found = joined.log_accept(every, values) - joined.log_accept(every, now)
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-7)
        assert np.all(joined.log_accept(every, values) <= 0)
        some = np.sort(rng.choice(every, 25))
        np.testing.assert_allclose(
            joined.log_accept(some, values[some]), joined.log_accept(every, values)[some], atol=1e-9
        )
        if state.table[name].kind.discrete:
            levels = joined.levels(every, state.table[name].n_levels)
            one = np.column_stack([by_one(every, np.full(len(every), float(k))) for k in range(levels.shape[1])])
            np.testing.assert_allclose(levels - levels[:, :1], one - one[:, :1], rtol=1e-7, atol=1e-7)
            continue
        if joined.straight:
            first, minus = joined.derivatives(every, values)
            apart = [term.derivatives(every, values) for term in alone]
            np.testing.assert_allclose(first, sum(a for a, _ in apart), rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(minus, sum(b for _, b in apart), rtol=1e-6, atol=1e-8)
            part, _ = joined.derivatives(some, values[some])
            np.testing.assert_allclose(part, first[some], rtol=1e-9, atol=1e-9)
        else:
            assert joined.derivatives(every, values) is None and formula != "y ~ x*g + z + h"
    assert seen >= 15


def test_normal_factors_add_the_precision_and_pull_of_each(chain):
    state, rng = chain
    panel, name = state._panel(rng), "x"
    normal = [r.position for s in panel.stacks if type(s.family).__name__ == "Normals" for r in state.engine.factors
              if r.position in s.position and r in state.engine.feeds[name]]  # fmt: skip
    joined = PanelTerm(panel, name, np.array(normal), True, state.values)
    _, alone = parts(state, rng, name)
    alone = [term for term in alone if hasattr(term.fitted, "standardised")]
    mean = state.values[name][joined.rows] + 0.2
    for backward in (lambda w: w, lambda w: 2.0 * w):
        wanted = [term.information(backward, mean, 1.0) for term in alone]
        found = joined.information(backward, mean, 1.0)
        assert len(wanted) == len(normal) >= 3
        for place in (0, 1):
            np.testing.assert_allclose(found[place], sum(w[place] for w in wanted), rtol=1e-7, atol=1e-9)


def test_blocks_of_rows_change_nothing(chain, monkeypatch):
    state, rng = chain
    joined, _ = parts(state, rng, "z")
    every, values = np.arange(len(joined.rows)), inside(state, "z", rng)
    whole, derived = joined.log_accept(every, values), joined.derivatives(every, values)
    monkeypatch.setattr(panels, "_BLOCK", 7)
    np.testing.assert_allclose(joined.log_accept(every, values), whole, rtol=1e-12)
    np.testing.assert_allclose(joined.derivatives(every, values), derived, rtol=1e-9, atol=1e-12)


def test_a_visit_through_the_panel_has_the_law_of_the_factors_one_by_one(monkeypatch):
    """The same state, drawn many times each way: means and spreads within four standard errors (false alarm 1e-2)."""
    state, rng = running(cohort(), "y ~ x*g + z + h", 2)
    held = dict(state.drawn)
    for name in ("x", "z", "h"):
        variable, own = state.engine.variables[name], state._own(state.engine.variables[name], rng)
        monkeypatch.setattr(ChainState, "_own", lambda *args, own=own: own)
        monkeypatch.setattr(ChainState, "_parameters", lambda self, runtime, rng: held[runtime.position])
        drawn = {}
        for together in (2, 10**9):
            monkeypatch.setattr("mifit.imputation.sampler.chain._TOGETHER", together)
            state.panel = None
            drawn[together] = np.array(
                [state.visit(variable, np.random.default_rng([7, k])).draw.values for k in range(150)]
            )
        one, other = drawn[2], drawn[10**9]
        se = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 150)
        z = (one.mean(axis=0) - other.mean(axis=0)) / np.maximum(se, 1e-9)
        moves = one.var(axis=0) > 0
        assert np.abs(z[moves]).max() < 4.5 and abs(z[moves].mean()) < 0.5
        assert np.log(one.var(axis=0)[moves].mean() / other.var(axis=0)[moves].mean()) == pytest.approx(0, abs=0.12)
        monkeypatch.undo()


def test_the_working_set_stays_within_three_designs():
    """Arrays of a term: its linear predictors and outcomes, for the rows that miss the variable."""
    state, rng = running(cohort(1_500), "y ~ x*g + z + h")
    design = state.store.X.nbytes
    for name in ("x", "z", "h", "number0"):
        joined, _ = parts(state, rng, name)
        held = sum(
            each.here.nbytes + each.coef.nbytes + (0 if each.slope is None else each.slope.nbytes)
            + sum(part.nbytes for part in each.known.seen)
            for each in joined.seen
        )  # fmt: skip
        assert held < design


def test_an_imputation_with_auxiliaries_is_explained_and_continued():
    frame = cohort(300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        imp = frame.mice.impute("y ~ x*g + z + h", model="logit", m=2, iterations=3, rng=1)
        longer = frame.mice.impute("y ~ x*g + z + h", model="logit", m=2, iterations=2, rng=1).extend(iterations=1)
    pd.testing.assert_frame_equal(imp[0], longer[0])
    row = int(np.flatnonzero(frame["x"].isna())[0])
    said = dict(imp.explain(row, "x").said)
    assert said["sampler"] == "metropolis" and "the analysis" not in said["weighed by"]
    assert said["weighed by"].startswith("y ~ x*g + z + h, ") and said["weighed by"].endswith("(16)")

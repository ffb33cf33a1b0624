"""Analyses without compatible draws: their terms as predictors, cluster means, hazards; and all of it says so."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from mifit import PlanError
from mifit.imputation.sampler.engine import Engine

WISHES = {"m": 2, "rng": 1, "iterations": 5}


def clusters(n=300):
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n))
    site = np.repeat(np.arange(30), n // 30)
    frame = pd.DataFrame({"x": x, "z": z, "site": site, "g": rng.choice(list("abc"), n)})
    frame["size"] = rng.normal(size=30)[site]
    frame["y"] = x + z + 0.5 * x * z + rng.normal(size=30)[site] + rng.normal(size=n)
    for name, share in (("x", 0.3), ("g", 0.1), ("y", 0.1)):
        frame[name] = frame[name].mask(rng.random(n) < share)
    return frame


def survival(n=250):
    rng = np.random.default_rng(1)
    x, z, w = rng.normal(size=(3, n))
    time = rng.exponential(np.exp(-0.5 * x - 0.3 * x * z))
    frame = pd.DataFrame(
        {"t": time, "ev": rng.integers(0, 2, n), "x": x, "z": z, "w": w, "s": rng.choice(["a", "b"], n)}
    )
    frame["start"] = time * rng.uniform(0, 0.5, n)
    frame["x"] = frame["x"].mask(rng.random(n) < 0.3)
    frame["z"] = frame["z"].mask(rng.random(n) < 0.1)
    return frame


MODELS = [
    ("gee", {"groups": "site", "cov_struct": sm.cov_struct.Autoregressive(grid=True)}),
    ("quantreg", {}),
    ("rlm", {}),
]


@pytest.mark.parametrize(("model", "words"), MODELS)
def test_plan_certificate_and_summary_say_approximate(model, words):
    imp = clusters().mice.impute("y ~ x*z + C(g)", model=model, **words, **WISHES)
    assert imp.plan.mode == "terms"
    assert "approximate: analysis terms as predictors" in str(imp.plan)
    assert any("has no compatible draws" in event and "approximate" in event for event in imp.plan.events)
    table = imp.check()
    assert list(table.index) == ["Intercept", "x", "z", "x:z", "C(g)"]
    assert set(table["verdict"]) == {"approximate"}
    assert set(table["do"]) == {""}  # nothing better is to be had
    assert "approximate" in str(imp.fit().congeniality)
    assert "approximate" in str(imp.fit().summary())
    assert not imp[1][["x", "y", "g"]].isna().any().any()


def test_terms_enter_with_the_outcome_and_their_companions():
    plan = clusters().mice.plan("y ~ x*z + C(g)", model="rlm")
    assert "(y) * (z)" in plan["x"].predictors
    assert "x + z + x:z + C(g)" in plan["y"].predictors
    assert not any("mean(" in name for variable in plan.variables for name in variable.predictors)


def test_clustered_analyses_get_cluster_means_of_what_varies_within():
    plan = clusters().mice.plan("y ~ x*z + size", model="mixedlm", groups="site", congeniality="terms")
    assert {"mean(y) by site", "mean(z) by site"} <= set(plan["x"].predictors)
    assert not any("mean(" in name for name in plan["y"].predictors)  # drawn with the level of its site itself
    assert plan["y"].label == "2l.norm"
    for name in plan.order:
        assert f"mean({name}) by site" not in plan[name].predictors
        assert "mean(size) by site" not in plan[name].predictors  # constant in a cluster: its own mean
        assert "site" not in plan[name].predictors


def test_cluster_means_are_those_of_the_filled_values():
    words = {"auxiliary": "ignore", "congeniality": "terms", **WISHES}
    imp = clusters().mice.impute("y ~ x", model="mixedlm", groups="site", **words)
    engine = Engine(imp._record.table.filled, imp.plan)
    done = imp[1]
    store = engine.new_store({name: done[name].to_numpy(dtype=float) for name in ("x", "y", "z", "site", "size")})
    layout = engine.layout
    for (name, unit), place in layout.means.items():
        found = store.X[:, place] * layout.scale[place] + layout.centre[place]
        np.testing.assert_allclose(found, done.groupby(unit)[name].transform("mean"))
    assert set(layout.means) == {("y", "site")}


def test_cluster_means_carry_what_clusters_share():
    """x depends on the cluster mean of y: drawn without it the clusters' means of x would be pulled together."""
    rng = np.random.default_rng(2)
    site = np.repeat(np.arange(60), 10)
    u = rng.normal(size=60)[site]
    frame = pd.DataFrame({"site": site, "x": 2 * u + rng.normal(size=600), "y": 2 * u + rng.normal(size=600)})
    full = frame["x"].copy()
    frame["x"] = frame["x"].mask(rng.random(600) < 0.4)
    with_means = frame.mice.impute("y ~ x", model="mixedlm", groups="site", **{**WISHES, "m": 5})
    without = frame.mice.impute("y ~ x", model="rlm", auxiliary="ignore", **{**WISHES, "m": 5})

    def miss(imp):
        return np.mean([(done["x"] - full)[frame["x"].isna()].var() for done in imp])

    assert miss(with_means) < 0.75 * miss(without)


COX = {"model": "phreg", "status": "ev", "congeniality": "terms"}


@pytest.mark.parametrize(
    ("formula", "words", "hazard"),
    [
        ("t ~ x*z", {}, "(ev + nelson_aalen(t, ev)) * (z)"),
        ("t ~ x + z", {}, "ev + nelson_aalen(t, ev)"),
        ("t ~ x + I(x*z)", {}, "(ev + nelson_aalen(t, ev)) * (z)"),
        ("t ~ x + z", {"strata": "s"}, "ev + nelson_aalen(t, ev, strata=s)"),
        ("t ~ x + z", {"entry": "start"}, "ev + nelson_aalen(t, ev, entry=start)"),
        ("t ~ x*z", {"entry": "start", "strata": "s"}, "(ev + nelson_aalen(t, ev, entry=start, strata=s)) * (z)"),
    ],
)
def test_cox_terms_are_event_and_hazard_with_products_and_never_time(formula, words, hazard):
    frame = survival() if "entry" in words else survival().drop(columns="start")
    plan = frame.mice.plan(formula, **COX, **words)
    assert hazard in plan["x"].predictors
    for name in plan.order:
        assert not {"t", "ev"} & {*plan[name].predictors}
        assert not any("log(t)" in shown for shown in plan[name].predictors)
    for name in ("t", "ev"):
        assert plan[name].why == "belongs to the analysis"


def test_a_logarithm_of_time_beside_the_analysis_is_no_predictor():
    frame = survival()
    frame["lt"] = np.log(frame["t"])
    plan = frame.mice.plan("t ~ x + z", **COX)
    assert "(nearly) determines the survival time" in plan["lt"].why
    assert all("lt" not in plan[name].predictors for name in plan.order)
    assert "w" in plan["x"].predictors


def test_cox_terms_say_approximate_and_name_the_compatible_call():
    imp = survival().mice.impute("t ~ x*z", **COX, **WISHES)
    table = imp.check()
    assert list(table.index) == ["x", "z", "x:z"]  # no constant
    assert set(table["verdict"]) == {"approximate"}
    assert "model='phreg', status='ev'" in table["do"].iloc[0]
    assert "congeniality" not in table["do"].iloc[0]
    assert "approximate" in str(imp.fit().summary())
    compatible = survival().mice.impute("t ~ x*z", **{**COX, "congeniality": "compatible"}, **WISHES)
    assert set(compatible.check()["verdict"]) == {"exact"}


def test_cox_terms_are_close_to_the_truth():
    """One frame of 250; the compatible draws as the yardstick, 0.2 is 2 standard errors."""
    frame = survival()
    found = [
        frame.mice.impute("t ~ x*z", **{**COX, "congeniality": how}, m=5, rng=1).fit().params
        for how in ("terms", "compatible")
    ]
    assert np.abs(found[0] - found[1]).max() < 0.2


@pytest.mark.parametrize("name", ["t", "ev"])
def test_holes_in_time_or_status_are_refused(name):
    frame = survival()
    frame[name] = frame[name].astype(float).mask(np.arange(250) < 5)
    with pytest.raises(PlanError, match="has missing values|has 5 missing values"):
        frame.mice.plan("t ~ x*z", **COX)

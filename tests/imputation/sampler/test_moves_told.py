"""Moves that keep an observed total are in the plan, in the events and in the certificate."""

import numpy as np
import pandas as pd
import pytest

import mifit


def totals(n=120, seed=1):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(5, 1, (2, n))
    out = pd.DataFrame({"y": a + b + rng.normal(size=n), "a": a, "b": b, "tot": a + b})
    both = rng.random(n) < 0.25
    out.loc[both, ["a", "b"]] = np.nan
    out.loc[rng.random(n) < 0.15, ["a", "tot"]] = np.nan
    return out


def test_plan_and_events_say_what_moved_and_how_often():
    frame = totals()
    imp = frame.mice.impute("y ~ a + b", derived={"tot": "a + b"}, m=3, iterations=4, rng=1)
    samplers = {v.name: v.sampler for v in imp.plan.variables}
    assert samplers["a"].endswith(", moves") and "moves" in samplers["b"]
    assert "moves       : sampler: Metropolis steps" in str(imp.plan)
    told = imp.events[imp.events["event"].str.contains("which tot ties")]
    assert len(told) == 1 and told["source"].item() == "sampler"
    share = float(told["event"].item().rpartition(": ")[2].split(" %")[0])
    assert 5 < share < 95
    for k in range(3):
        known = frame["tot"].notna()
        np.testing.assert_allclose((imp[k]["a"] + imp[k]["b"])[known], frame["tot"][known])


def test_without_an_observed_total_there_is_no_move():
    frame = totals().drop(columns="tot")
    imp = frame.mice.impute("y ~ a + b", derived={"tot": "a + b"}, m=2, iterations=2, rng=1)
    assert "moves" not in str(imp.plan) and not imp.events["event"].str.contains("ties").any()


def test_parents_that_all_rows_of_an_id_share_are_approximate_where_their_total_was_observed():
    units = totals(60)
    rows = np.repeat(np.arange(60), 3)
    frame = units.loc[rows].reset_index(drop=True).assign(id=rows)
    frame["y"] += np.random.default_rng(2).normal(size=len(frame))
    imp = frame.mice.impute("y ~ a + b", derived={"tot": "a + b"}, m=2, iterations=5, rng=1, id="id")
    assert any("(approximate)" in note for note in imp.plan.events)
    assert (imp.check()["verdict"].loc[["a", "b"]] == "approximate").all()


ANALYSES = {
    "a transformed outcome": ("np.log(w) ~ a + b", {}, {}),
    "an offset": ("c ~ a + b", {"model": "poisson", "offset": "off"}, {}),
    "weights": ("y ~ a + b", {"model": "wls", "weights": "w"}, {}),
    "a condition": ("y ~ a + b", {}, {"conditional": {"k": "z > 0"}}),
    "a condition of a parent": ("y ~ z", {}, {"conditional": {"a": ("z > -9", 0.0)}}),
}


@pytest.mark.parametrize("case", ANALYSES)
def test_totals_are_kept_whatever_the_analysis_or_are_refused(case):
    formula, model, words = ANALYSES[case]
    rng = np.random.default_rng(4)
    frame = totals(seed=3)
    frame = frame.assign(
        w=np.exp(0.1 * frame["y"].fillna(0)), c=rng.poisson(2, len(frame)), off=rng.normal(size=len(frame)),
        z=rng.normal(size=len(frame)), k=rng.normal(size=len(frame)),
    )  # fmt: skip
    frame["k"] = frame["k"].where(frame["z"] > 0).where(rng.random(len(frame)) > 0.2)
    try:
        plan = frame.mice.plan(formula, derived={"tot": "a + b"}, **model, **words)
    except mifit.PlanError as error:
        assert "tot" in str(error) or "condition" in str(error)
        return
    imp = frame.mice.impute(plan, m=2, rng=1)
    known = frame["tot"].notna()
    kept = [np.allclose((one["a"] + one["b"])[known], frame["tot"][known]) for one in imp]
    assert all(kept) or any("approximate" in note for note in plan.events)
    if all(kept):
        assert imp.events["event"].str.contains("which tot ties").sum() == 1

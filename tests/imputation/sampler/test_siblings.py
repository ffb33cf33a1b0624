"""A chain that one influential row has trapped is noticed beside the others, and drawn again."""

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.imputation.sampler.siblings import far_from_others
from support.scenarios_laws import COUNTS_AND_SHARES, sized


def holed(number):
    """Counts of 150 rows that vary more than a Poisson, whose declared draws trap a chain in some frames."""
    scenario = sized(COUNTS_AND_SHARES["counts, variance mu + mu²/0.8"], 150)
    return scenario.frames(np.random.default_rng([1, number]))[1]


def drawn(number, **words):
    return mifit.impute(holed(number), "y ~ x + z", model="poisson", m=5, rng=number, error_law="declared", **words)


def test_independent_chains_are_not_far_from_each_other():
    rng = np.random.default_rng(1)
    walks = rng.normal(size=(2_000, 5, 1)) + 0.5 * rng.normal(size=(2_000, 5, 5))  # more between chains than within
    # some thousand runs to one alarm
    assert sum(far_from_others(one).any() for one in walks) <= 10


@pytest.mark.parametrize("distance, far", [(4.0, False), (100.0, True), (-100.0, True)])
def test_one_chain_far_out_is_found_and_no_other(distance, far):
    values = np.random.default_rng(2).normal(size=(6, 8))
    values[4] += distance
    np.testing.assert_array_equal(far_from_others(values), [False, False, False, False, far, False])


def test_chains_without_any_spread_are_not_far():
    assert not far_from_others(np.ones((5, 6))).any()
    assert far_from_others(np.ones((5, 6)) + np.array([[0], [0], [1e-9], [0], [0]])).sum() == 0


def test_a_trapped_chain_is_drawn_again_and_says_so():
    imp = drawn(41)
    told = imp.events[imp.events["event"].str.contains("was drawn again")]
    assert told["event"].tolist() == ["beta(x): the chain stayed far from all others and was drawn again"]
    assert told["which"].tolist() == ["3"]
    assert told["consequence"].tolist() == ["the other chains are as they were"]
    # its coefficient lies among the others' now
    last = [trace[-1] for trace in imp.trace.query("trace == 'beta(x)'").groupby("chain")["value"].apply(list)]
    assert np.ptp(last) < 1.0


def test_workers_files_and_explanations_know_the_chain_that_was_drawn_again(tmp_path):
    imp = drawn(41)
    pd.testing.assert_frame_equal(imp[3], drawn(41, n_jobs=2)[3], check_exact=True)
    again = drawn(41, checkpoint=tmp_path / "finished")
    pd.testing.assert_frame_equal(imp[3], again[3], check_exact=True)
    pd.testing.assert_frame_equal(imp[3], drawn(41, checkpoint=tmp_path / "finished")[3], check_exact=True)
    imp.save(tmp_path / "set.mifit")
    found = mifit.load(tmp_path / "set.mifit")
    pd.testing.assert_frame_equal(imp.extend(iterations=2)[3], found.extend(iterations=2)[3], check_exact=True)
    row = int(np.flatnonzero(holed(41)["x"].isna())[0])
    assert "the last bits differ" not in str(imp.explain(row, "x", k=3))


def test_where_no_chain_is_trapped_every_chain_is_as_it_was_alone():
    frame = holed(3)
    five = mifit.impute(frame, "y ~ x + z", model="poisson", m=5, rng=3)
    two = mifit.impute(frame, "y ~ x + z", model="poisson", m=2, rng=3)
    assert not five.events["event"].str.contains("far from all others").any()
    pd.testing.assert_frame_equal(five[1], two[1], check_exact=True)

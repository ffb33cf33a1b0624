"""Draws of values under mixed models: sweeps keep the joint law, and planted faults are seen to break it."""

import numpy as np
import pytest

from mifit.imputation.methods.mixed import MixedFitted
from mifit.imputation.sampler import chain
from support.invariance import TwoLevels


def straight(x, w):
    return np.column_stack([np.ones(len(x)), x, w])


def crossed(x, w):
    return np.column_stack([np.ones(len(x)), x, w, x * w])


def curved(x, w):
    return np.column_stack([np.ones(len(x)), x, np.abs(w) ** 1.5])


MIXED = {"model": "mixedlm"}
LAWS = {
    "level": (TwoLevels(straight, [0]), "y ~ x + w", MIXED),
    "slope": (TwoLevels(straight, [0, 1]), "y ~ x + w", {**MIXED, "re_formula": "~x"}),
    "cross-level": (TwoLevels(crossed, [0]), "y ~ x*w", MIXED),
    "outcome": (TwoLevels(straight, [0], hide=("x", "w", "y")), "y ~ x + w", MIXED),
    "curve of a column of clusters": (TwoLevels(curved, [0]), "y ~ x + I(np.abs(w)**1.5)", MIXED),
    "whole clusters": (TwoLevels(straight, [0], hide=("x",), whole=3), "y ~ x + w", MIXED),
    "two values": (TwoLevels(straight, [0], binary=True, rows=6), "y ~ x + w", MIXED),
    "two values, crossed": (TwoLevels(crossed, [0], binary=True, rows=6), "y ~ x*w", MIXED),
}


@pytest.mark.parametrize("law", LAWS)
def test_two_sweeps_from_a_joint_draw_end_at_one(law):
    """12 functions or so of 60 replicates at 4.5 standard errors: a false alarm in 10,000 runs."""
    world, formula, words = LAWS[law]
    assert np.abs(world.scores(formula, words, 60)).max() < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_two_sweeps_keep_the_joint_law_over_many_replicates(law):
    world, formula, words = LAWS[law]
    assert np.abs(world.scores(formula, words, 600, seed=9)).max() < 4.5


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["effects forgotten in draws of rows", "rows of a cluster taken for independent"])
def test_a_planted_fault_is_found(fault, monkeypatch):
    if fault.startswith("effects"):
        monkeypatch.setattr(chain, "with_effect", lambda fitted, X, effect: (fitted, X))
    else:
        monkeypatch.setattr(MixedFitted, "inner", lambda self, within: np.zeros_like(within))
    world, formula, words = LAWS["level"]
    assert np.abs(world.scores(formula, words, 600, seed=9)).max() > 5

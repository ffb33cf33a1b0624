"""Every registered method keeps the contract, and so may a method of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Facts, Offers, Visit, facts_of
from mifit.imputation.methods import METHODS
from mifit.imputation.methods.norm import Normal, NormalFitted


@dataclass(frozen=True, slots=True)
class BootNormal:
    """Bayesian linear regression on a bootstrap sample."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.NUMERIC})
    reference: ClassVar[str] = "Efron (1994), JASA 89, 463-475"

    def fit(self, visit: Visit, rng: np.random.Generator) -> NormalFitted:
        """Fit to rows drawn with replacement."""
        rows = rng.integers(0, len(visit.y), len(visit.y))
        return Normal().fit(Visit(visit.y[rows], visit.X[rows], visit.terms, visit.kind), rng)


@pytest.mark.parametrize("name", METHODS)
def test_every_registered_method_keeps_the_contract(name):
    mifit.check_method(METHODS[name])
    assert METHODS[name].reference


def test_a_method_of_ones_own_is_checked_and_simply_handed_over():
    mifit.check_method(BootNormal())
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"y": 1 + x + rng.normal(size=200), "x": np.where(rng.random(200) < 0.3, np.nan, x)})
    plain = frame.mice.impute(methods={"x": BootNormal()}, m=3, rng=1)
    compatible = frame.mice.impute("y ~ x", methods={"x": BootNormal()}, m=3, rng=1)
    assert plain.plan["x"].label == compatible.plan["x"].label == "BootNormal"
    assert not any(one["x"].isna().any() for imp in (plain, compatible) for one in imp)
    assert abs(compatible.fit().params["x"] - 1) < 0.3


def test_a_method_of_ones_own_has_the_facts_that_it_states_or_inherits_and_else_the_defaults():
    class Copying(BootNormal):
        facts: ClassVar = Facts(density=False)

    class Robust(Normal):
        pass

    assert facts_of(BootNormal()) == Facts() and facts_of(Robust()) == Normal.facts
    frame = pd.DataFrame({"y": np.arange(40.0), "x": [*np.arange(39.0) ** 2 % 7.3, np.nan]})
    with pytest.raises(mifit.PlanError, match="no density"):
        frame.mice.impute("y ~ x", methods={"x": Copying()}, m=2, rng=1)
    weighed = frame.assign(w=1.0 + frame["y"] % 2)
    with pytest.raises(mifit.PlanError, match="takes no weights"):
        weighed.mice.impute(weights="w", methods={"x": BootNormal()}, m=2, rng=1)
    named, own = (weighed.mice.impute(weights="w", methods={"x": one}, m=2, rng=1) for one in ("norm", Robust()))
    assert np.array_equal(named[1]["x"], own[1]["x"])


def test_a_method_that_states_what_its_fitted_half_does_not_offer_is_caught():
    class Boasting(BootNormal):
        facts: ClassVar = Facts(offers=Offers(levels=True))

    with pytest.raises(mifit.PlanError, match="offers what facts say"):
        mifit.check_method(Boasting())


def test_a_rating_is_read_as_a_number_by_a_method_of_numbers_however_it_is_named():
    rng = np.random.default_rng(2)
    rating = pd.Series(rng.integers(1, 5, 60).astype(float)).mask(rng.random(60) < 0.2)
    frame, kinds = pd.DataFrame({"o": rating, "z": rng.normal(size=60)}), {"o": "ordinal"}
    named, own = (frame.mice.impute(kinds=kinds, methods={"o": one}, m=2, rng=1) for one in ("norm", Normal()))
    assert named[0].equals(own[0]) and named[1].equals(own[1])


def test_a_method_that_breaks_its_word_is_told_which_duty_failed():
    class Forgetful(BootNormal):
        def fit(self, visit, rng):
            return Normal().fit(visit, np.random.default_rng(0))  # never draws its parameters

    with pytest.raises(mifit.PlanError, match="parameters"):
        mifit.check_method(Forgetful())

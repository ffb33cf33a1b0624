"""The rank of a design is that of its columns about their means: no origin makes a column the intercept."""

import numpy as np
import pandas as pd
import pytest

import mifit
from support.scaled_models import CASES, completed

# A slope that varies between groups has another meaning at another origin; minutes for a multinomial choice.
EACH = [case for case in CASES if case not in ("mixedlm slopes", "conditional_mnlogit")]


def moved(origin):
    """Completed sets whose x and z lie far from 0."""
    return mifit.from_long(completed().to_long().assign(x=lambda d: d["x"] + origin, z=lambda d: d["z"] - origin))


@pytest.mark.parametrize("case", EACH)
def test_a_column_far_from_its_origin_has_the_same_slope(case):
    model, outcome, words = CASES[case]
    here = completed().fit(f"{outcome} ~ x + z", model=model, **words).fits
    there = moved(1e9).fit(f"{outcome} ~ x + z", model=model, **words).fits
    places = [j for j, name in enumerate(here.names) if name.rpartition(":")[2] in ("x", "z")]
    assert there.converged.all() and there.notes == here.notes
    for k in range(3):
        wanted = np.diag(here.covariances[k])[places] ** 0.5
        np.testing.assert_allclose((there.estimates[k] - here.estimates[k])[places] / wanted, 0, atol=1e-3)
        np.testing.assert_allclose(np.diag(there.covariances[k])[places] ** 0.5, wanted, rtol=1e-4)


def test_levels_without_an_intercept_take_up_the_mean_as_one_does():
    sets = completed()
    here = sets.fit("y ~ C(s) + x").fits
    there = moved(1e9).fit("y ~ 0 + C(s) + x").fits
    np.testing.assert_allclose(there.estimates[:, -1], here.estimates[:, -1], rtol=1e-6)
    np.testing.assert_allclose(there.covariances[:, -1, -1], here.covariances[:, -1, -1], rtol=1e-6)


DEFICIENT = {
    "a copy at another origin": "y ~ x + I(x - 5)",
    "a copy in another unit, far away": "y ~ x + I(1000 * x + 1e7)",
    "a sum": "y ~ x + z + I(x + z)",
    "a constant": "y ~ x + I(0 * x + 0.1)",
    "a constant of a size that has no digits left": "y ~ x + I(1e9 + 1e-9 * z)",
    "all levels and an intercept": "y ~ x + C(s) + I(s == 0) + I(s == 1)",
}


@pytest.mark.parametrize(
    "model, outcome, words", [("ols", "y", {}), ("logit", "b", {}), ("phreg", "t", {"status": "d"})]
)
@pytest.mark.parametrize("case", DEFICIENT)
def test_a_combination_of_other_columns_is_refused_at_any_origin(case, model, outcome, words):
    formula = DEFICIENT[case].replace("y ~", f"{outcome} ~")
    with pytest.raises(mifit.FitError, match="not of full rank|has no estimate"):
        completed().fit(formula, model=model, **words)


def test_a_column_that_is_constant_in_each_stratum_is_refused():
    with pytest.raises(mifit.FitError, match="not of full rank"):
        completed().fit("t ~ x + s", model="phreg", status="d", strata="s")
    with pytest.raises(mifit.FitError, match="not of full rank"):
        long = completed().to_long()
        sets = mifit.from_long(long.assign(w=1e6 + 0.1 * long["id"]))
        sets.fit("b ~ x + w", model="conditional_logit", groups="id")


def test_imputations_do_not_depend_on_the_origin():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, 150))
    data = pd.DataFrame({"y": x + z + rng.normal(size=150), "x": np.where(rng.random(150) < 0.3, np.nan, x), "z": z})
    found = [
        one.mice.impute("y ~ x + z", m=3, iterations=3, rng=1).fit().to_frame()
        for one in (data, data.assign(x=data["x"] + 1e9, z=data["z"] + 1e9))
    ]
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(found[1].loc[["x", "z"], column], found[0].loc[["x", "z"], column], rtol=1e-5)

"""Cox models by our own Newton steps: the numbers of statsmodels, and of R where entries are tied with events."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.hazard_regression import PHReg

import mifit
from mifit.analysis.cox_maximum import CoxModel
from mifit.analysis.job import Job


def study(n=300, seed=1, ties=False, strata=0, entry=False, offset=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    time, end = rng.exponential(size=n) * np.exp(-x @ [0.4, -0.3, 0.0]), rng.exponential(2.0, n)
    words = {"status": (time <= end).astype(int)}
    time = np.minimum(time, end)
    if ties:
        time = np.ceil(time * 10) / 10
    if entry:  # never tied with an event: statsmodels has such a row at risk
        words["entry"] = time * rng.uniform(0, 0.9, n) + 1e-7 * rng.uniform(size=n)
    if strata:
        words["strata"] = rng.integers(0, strata, n)
    if offset:
        words["offset"] = 0.2 * rng.normal(size=n)
    return time, x, words


def job_of(time, x, words):
    exog = pd.DataFrame(x, columns=[f"x{j}" for j in range(np.shape(x)[1])])
    return Job(0, pd.Series(np.asarray(time, dtype=float)), exog, "phreg", words, {})


SETTINGS = {
    "plain": {},
    "ties": {"ties": True},
    "strata": {"ties": True, "strata": 9},
    "entries and an offset": {"entry": True, "offset": True},
    "everything": {"ties": True, "strata": 4, "entry": True, "offset": True},
}


@pytest.mark.parametrize("ties", ["breslow", "efron"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_maximum_is_that_of_statsmodels(name, ties):
    time, x, words = study(**SETTINGS[name])
    theirs = PHReg(time, x, ties=ties, **words)
    model = CoxModel(job_of(time, x, {**words, "ties": ties}))
    at = np.array([0.2, -0.1, 0.3])
    np.testing.assert_allclose(model.loglike(at), theirs.loglike(at), rtol=1e-10)
    np.testing.assert_allclose(model.score(at), theirs.score(at), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(model.hessian(at), theirs.hessian(at), rtol=1e-8, atol=1e-8)
    fit, found = model.maximised(), theirs.fit(disp=0)
    np.testing.assert_allclose(fit.params, found.params, atol=1e-7 * np.abs(found.bse).max())
    np.testing.assert_allclose(fit.cov_params(), found.cov_params(), rtol=1e-6, atol=1e-12)
    assert fit.llf == pytest.approx(found.llf, rel=1e-10)


# survival 3.5-3 in R 4.2.2:
# d <- data.frame(s = c(0,0,1,1,2,0,2,3), e = c(1,2,2,3,3,4,4,5), d = c(1,1,1,1,1,0,1,1), x = c(1,0,2,1,3,1,0,2),
#                 g = c(1,1,1,1,1,2,2,2))
# coxph(Surv(s, e, d) ~ x, d, ties = "efron"), then ties = "breslow", then Surv(s, e, d) ~ x + strata(g)
OF_R = {
    ("efron", False): (0.2637297060, 0.2346684964, -7.0221254376),
    ("breslow", False): (0.1898007469, 0.2228527410, -7.6626436387),
    ("efron", True): (-0.1228790810, 0.2474879575, -4.2460002089),
}


@pytest.mark.parametrize(("ties", "strata"), OF_R)
def test_rows_that_enter_at_the_time_of_an_event_are_not_yet_at_risk(ties, strata):
    d = pd.DataFrame({
        "s": [0, 0, 1, 1, 2, 0, 2, 3], "e": [1, 2, 2, 3, 3, 4, 4, 5], "d": [1, 1, 1, 1, 1, 0, 1, 1],
        "x": [1, 0, 2, 1, 3, 1, 0, 2], "g": [1, 1, 1, 1, 1, 2, 2, 2],
    })  # fmt: skip
    words = {"status": d["d"].to_numpy(), "entry": d["s"].to_numpy(), "ties": ties}
    words |= {"strata": d["g"].to_numpy()} if strata else {}
    fit = CoxModel(job_of(d["e"], d[["x"]].to_numpy(dtype=float), words)).maximised()
    coef, variance, llf = OF_R[ties, strata]
    np.testing.assert_allclose([fit.params[0], fit.covariance[0, 0], fit.llf], [coef, variance, llf], rtol=1e-6)


def test_pooled_fits_and_the_results_that_are_kept_have_the_same_risk_sets():
    rng = np.random.default_rng(3)
    n = 200
    d = pd.DataFrame({"x": rng.normal(size=n), "s": rng.integers(0, 4, n).astype(float)})
    d["e"], d["d"] = d["s"] + rng.integers(1, 5, n), (rng.random(n) < 0.7).astype(int)
    imp = mifit.from_frames([d, d.assign(x=d["x"] + 0.01 * rng.normal(size=n))])
    for ties in ("efron", "breslow"):
        res = imp.fit("e ~ x", model="phreg", status="d", entry="s", ties=ties)
        np.testing.assert_allclose(res.results[0].params, res.fits.estimates[0], rtol=1e-8)
        assert res.results[0].llf == pytest.approx(
            CoxModel(job_of(d["e"], d[["x"]].to_numpy(), {"status": d["d"], "entry": d["s"], "ties": ties})).loglike(
                res.fits.estimates[0]
            )
        )


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_neither_unit_nor_origin_of_a_column_matters(unit):
    time, x, words = study(ties=True, strata=3)
    plain = CoxModel(job_of(time, x, words)).maximised()
    moved = CoxModel(job_of(time, (x + 1000.0) * unit, words)).maximised()
    np.testing.assert_allclose(moved.params * unit, plain.params, rtol=1e-6, atol=1e-9)


def test_what_has_no_maximum_is_left_to_other_ways():
    time = np.arange(1.0, 9.0)
    first = (time == 1.0).astype(float)[:, None]  # the one that dies first: its coefficient grows without end
    alone = CoxModel(job_of(time, first, {"status": (time == 1.0).astype(int)})).maximised()
    assert alone is None or alone.covariance[0, 0] > 1e6
    assert CoxModel(job_of(time, time[:, None], {"status": np.zeros(8, dtype=int)})).maximised() is None
    assert CoxModel(job_of(time, np.ones((8, 1)), {})).maximised() is None

"""Estimates without a finite value are named under every model, link and covariance, as the likelihood says it."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.errors import SeparationWarning

_FAMILIES = sm.families
_LINKS = _FAMILIES.links


def sets(apart):
    """Two completed sets; where q is 1 every outcome is at one end, unless one row there is not."""
    rng = np.random.default_rng(0)
    n = 200
    q = (rng.random(n) < 0.15).astype(float)
    x = rng.normal(size=n)
    frame = pd.DataFrame({"x": x, "q": q, "g": np.repeat(np.arange(40), 5), "years": 1.0})
    frame["event"] = np.where(q == 1, 1, rng.random(n) < 1 / (1 + np.exp(-x))).astype(float)
    frame["count"] = np.where(q == 1, 0, rng.poisson(1.5 * np.exp(0.3 * x))).astype(float)
    frame["kind"] = np.where(q == 1, "a", rng.choice(list("abc"), n))
    frame["time"], frame["died"] = rng.exponential(1, n) + 0.01, np.where(q == 1, 0, rng.random(n) < 0.7).astype(float)
    if not apart:
        odd = np.flatnonzero(q == 1)[:3]
        frame.loc[odd, ["event", "count", "died"]] = 0.0, 1.0, 1.0
        frame.loc[odd, "kind"] = ["b", "c", "b"]
    return mifit.from_frames([frame, frame.assign(x=x + 0.1 * rng.normal(size=n))])


FITS = {
    "logit": ("event", {}),
    "logit, HC1": ("event", {"model": "logit", "cov_type": "HC1"}),
    "logit, clusters": ("event", {"model": "logit", "cov_type": "cluster", "groups": "g"}),
    "probit, HC1": ("event", {"model": "probit", "cov_type": "HC1"}),
    "binomial, HC1": ("event", {"model": "glm", "family": _FAMILIES.Binomial(), "cov_type": "HC1"}),
    "complementary log": ("event", {"model": "glm", "family": _FAMILIES.Binomial(_LINKS.CLogLog())}),
    "complementary log, HC1": (
        "event", {"model": "glm", "family": _FAMILIES.Binomial(_LINKS.CLogLog()), "cov_type": "HC1"},
    ),
    "gee": ("event", {"model": "gee", "family": _FAMILIES.Binomial(), "groups": "g"}),
    "gee of counts": ("count", {"model": "gee", "family": _FAMILIES.Poisson(), "groups": "g"}),
    "poisson, HC1": ("count", {"model": "poisson", "cov_type": "HC1"}),
    "poisson, clusters": ("count", {"model": "poisson", "cov_type": "cluster", "groups": "g"}),
    "negative binomial, HC1": (
        "count", {"model": "glm", "family": _FAMILIES.NegativeBinomial(alpha=1.0), "cov_type": "HC1"},
    ),
    "tweedie": ("count", {"model": "glm", "family": _FAMILIES.Tweedie(var_power=1.5, link=_LINKS.Log())}),
    "mnlogit, HC1": ("kind", {"model": "mnlogit", "cov_type": "HC1"}),
    "cox, clusters": ("time", {"model": "phreg", "status": "died", "groups": "g"}),
}  # fmt: skip


@pytest.mark.parametrize("right", ["x + q", "x * q"])
@pytest.mark.parametrize("name", FITS)
def test_an_estimate_without_a_finite_value_is_named_whatever_the_covariance(name, right):
    outcome, words = FITS[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sets(apart=True).fit(f"{outcome} ~ {right}", **words)
    said = [str(w.message) for w in caught if w.category is SeparationWarning]
    assert len(said) == 1 and "in 2 of 2" in said[0]
    assert "q" in said[0].partition("estimates of ")[2].partition(" are not finite")[0]


@pytest.mark.parametrize("name", FITS)
def test_a_few_rows_that_contradict_make_it_finite(name):
    outcome, words = FITS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeparationWarning)
        res = sets(apart=False).fit(f"{outcome} ~ x + q", **words)
    assert np.abs(res.params.filter(like="q")).max() < 10

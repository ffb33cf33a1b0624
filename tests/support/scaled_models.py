"""Every model of the catalogue on three completed sets whose columns can be multiplied."""

import numpy as np
import pandas as pd
import statsmodels.api as sm

import mifit

N_GROUPS = 40


def frame(n=320, seed=3):
    """Outcomes of every kind on two columns, forty groups of eight."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    out = pd.DataFrame({"x": x, "z": z, "id": np.repeat(np.arange(N_GROUPS), n // N_GROUPS)})
    effect = rng.normal(size=N_GROUPS)[out["id"]]
    slope = 0.7 * rng.normal(size=N_GROUPS)[out["id"]]
    linear = 0.6 * x - 0.4 * z
    out["y"] = 1 + linear + effect + slope * x + rng.normal(size=n)
    out["b"] = (linear + rng.logistic(size=n) > 0).astype(float)
    out["c"] = rng.negative_binomial(2, 1 / (1 + 0.5 * np.exp(0.5 * linear + 0.5)))
    out["zero"] = np.where(rng.random(n) < 0.3, 0, rng.poisson(np.exp(0.5 + 0.5 * linear)))
    out["o"] = np.digitize(linear + rng.logistic(size=n), [-1.0, 0.5, 2.0])
    out["l"] = np.digitize(linear + rng.logistic(size=n), [-0.5, 0.7])
    out["p"] = np.clip(rng.beta(5 / (1 + np.exp(-linear)), 5 / (1 + np.exp(linear))), 1e-3, 1 - 1e-3)
    out["t"] = np.round(rng.exponential(np.exp(-linear)), 1) + 0.1
    out["early"] = np.minimum(0.4 * rng.random(n), 0.9 * out["t"])
    out["d"] = (rng.random(n) < 0.7).astype(int)
    out["w"] = rng.uniform(1, 3, n)
    out["s"] = rng.integers(0, 3, n)
    out["bg"] = (linear + effect + slope * x + rng.logistic(size=n) > 0).astype(float)
    out["cg"] = rng.poisson(np.exp(0.5 * (linear + effect)))
    out["og"] = np.digitize(linear + effect + rng.logistic(size=n), [-1.0, 0.5, 2.0])
    return out


def completed(**sizes):
    """Three completed sets that differ in x, some columns multiplied."""
    base, rng = frame(), np.random.default_rng(8)
    hole = rng.random(len(base)) < 0.2
    sets = [base.assign(x=np.where(hole, base["x"] + rng.normal(size=len(base)), base["x"])) for _ in range(3)]
    sets = [one.assign(**{name: one[name] * size for name, size in sizes.items()}) for one in sets]
    long = pd.concat([one.assign(**{".imp": k + 1, ".id": np.arange(len(base))}) for k, one in enumerate(sets)])
    return mifit.from_long(long.reset_index(drop=True))


#: name of the case -> model, outcome, words
CASES = {
    "ols": ("ols", "y", {}),
    "ols robust": ("ols", "y", {"cov_type": "HC3"}),
    "wls": ("wls", "y", {"weights": "w"}),
    "gls": ("gls", "y", {"sigma": "w"}),
    "rlm": ("rlm", "y", {}),
    "quantreg": ("quantreg", "y", {"q": 0.4}),
    "logit": ("logit", "b", {}),
    "logit clustered": ("logit", "b", {"cov_type": "cluster", "groups": "id"}),
    "probit": ("probit", "b", {}),
    "poisson": ("poisson", "c", {}),
    "negativebinomial": ("negativebinomial", "c", {}),
    "generalizedpoisson": ("generalizedpoisson", "c", {}),
    "zeroinflatedpoisson": ("zeroinflatedpoisson", "zero", {}),
    "mnlogit": ("mnlogit", "l", {}),
    "ordinal": ("ordinal", "o", {"distr": "logit"}),
    "ordinal probit": ("ordinal", "o", {"distr": "probit"}),
    "betareg": ("betareg", "p", {}),
    "glm": ("glm", "y", {}),
    "glm binomial": ("glm", "b", {"family": sm.families.Binomial()}),
    "glm gamma": ("glm", "t", {"family": sm.families.Gamma(sm.families.links.Log())}),
    "glm poisson": ("glm", "c", {"family": sm.families.Poisson()}),
    "gee": ("gee", "y", {"groups": "id", "cov_struct": sm.cov_struct.Exchangeable()}),
    "gee binomial": ("gee", "b", {"groups": "id", "family": sm.families.Binomial()}),
    "mixedlm": ("mixedlm", "y", {"groups": "id"}),
    "mixedlm slopes": ("mixedlm", "y", {"groups": "id", "re_formula": "~ x"}),
    "mixed_logit": ("mixed_logit", "bg", {"groups": "id"}),
    "mixed_logit slopes": ("mixed_logit", "bg", {"groups": "id", "re_formula": "~ x"}),
    "mixed_poisson": ("mixed_poisson", "cg", {"groups": "id"}),
    "mixed_ordinal": ("mixed_ordinal", "og", {"groups": "id"}),
    "phreg": ("phreg", "t", {"status": "d"}),
    "phreg efron": ("phreg", "t", {"status": "d", "ties": "efron", "strata": "s"}),
    "phreg entry": ("phreg", "t", {"status": "d", "entry": "early"}),
    "phreg clustered": ("phreg", "t", {"status": "d", "fit_kwds": {"groups": "id"}}),
    "conditional_logit": ("conditional_logit", "b", {"groups": "id"}),
    "conditional_poisson": ("conditional_poisson", "c", {"groups": "id"}),
    "conditional_mnlogit": ("conditional_mnlogit", "l", {"groups": "id"}),
}

"""Completed frames with outcomes of every kind, and the design of one of them."""

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

N_GROUPS = 30


def frames(m=3, n=240, seed=5):
    """Completed frames with missing values only in x: outcomes of every kind, thirty groups of eight."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    base = pd.DataFrame({"x": x, "z": z, "id": np.repeat(np.arange(N_GROUPS), n // N_GROUPS)})
    effect = rng.normal(size=N_GROUPS)[base["id"]]
    base["g"] = pd.Categorical(rng.choice(list("abc"), n))
    base["year"] = np.tile(np.arange(n // N_GROUPS), N_GROUPS)
    base["y"] = 1 + 0.5 * x + effect + rng.normal(size=n)
    base["b"] = (x + rng.logistic(size=n) > 0).astype(float)
    base["c"] = rng.negative_binomial(2, 1 / (1 + 0.5 * np.exp(0.3 * x + 0.5)))
    base["o"] = np.digitize(x + rng.logistic(size=n), [-1.0, 0.5, 2.0])
    base["p"] = np.clip(rng.beta(5 / (1 + np.exp(-x)), 5 / (1 + np.exp(x))), 1e-3, 1 - 1e-3)
    base["t"] = np.round(rng.exponential(np.exp(-0.5 * x)), 2) + 0.01
    base["d"] = (rng.random(n) < 0.7).astype(int)
    base["w"] = rng.uniform(1, 3, n)
    hole = rng.random(n) < 0.3
    return [base.assign(x=np.where(hole, x + rng.normal(size=n), x)) for _ in range(m)]


def design(frame, formula="x + g", constant=True):
    """Design of one frame, without its constant if wanted."""
    found = smf.ols(f"y ~ {formula}", frame)
    whole = pd.DataFrame(found.exog, columns=found.exog_names)
    return whole if constant else whole.drop(columns="Intercept")

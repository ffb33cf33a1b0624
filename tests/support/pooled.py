"""What the tests of pooled results share: completed sets and fits on them."""

import numpy as np
import pandas as pd

import mifit
from mifit.analysis.fit import fit_one, fit_sets
from mifit.formula.design import freeze
from mifit.pooling.rubin import pool
from mifit.results.pooled import PooledResults
from mifit.workflow.fit import FitArguments, question_of


def fit(imp, formula, model=None, dfcom=None, df_method="barnard-rubin", **keywords):
    """Fit on the completed sets as they are, whatever the imputations foresaw."""
    question, words = question_of(imp._record, FitArguments(formula=formula, model=model, keywords=keywords))
    design, completed = freeze(question, imp._record.table.given), imp._record.completed
    fits = fit_sets(design, completed, words, dfcom=dfcom)
    pooled = pool(fits.estimates, fits.covariances, fits.df_complete, df_method, names=fits.names)
    source = {"design": design, "completed": completed, "call": words}
    return PooledResults(pooled, fits, refit=lambda k: fit_one(design, completed, words, k), imputations=imp, **source)


def imputed(frames):
    """Completed sets from a list of frames."""
    n = len(frames[0])
    long = pd.concat(
        [f.assign(**{".imp": k + 1, ".id": np.arange(n)}) for k, f in enumerate(frames)], ignore_index=True
    )
    return mifit.from_long(long)


def frames(m=4, n=150, seed=3, equal=False):
    """Sets that differ in x and g unless they are to be equal; y numeric, b yes-no, c a count, t an exposure."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=n), rng.normal(size=n)
    base = pd.DataFrame({"x": x, "z": z, "g": rng.choice(["lo", "mid", "top"], n), "t": rng.uniform(0.5, 2, n)})
    level = base["g"].map({"lo": 0.0, "mid": 0.5, "top": -0.4}).to_numpy()
    base["s"] = rng.random(n) < 0.4
    base["y"] = 1 + x - 0.5 * z + level + rng.normal(size=n)
    base["b"] = (0.6 * x + level + rng.logistic(size=n) > 0).astype(int)
    base["c"] = rng.poisson(base["t"] * np.exp(0.3 + 0.3 * x + level))
    holes = rng.random(n) < (0.0 if equal else 0.25)
    sets = []
    for _ in range(m):
        moved = base.copy()
        moved.loc[holes, "x"] = x[holes] * 0.7 + rng.normal(size=holes.sum()) * 0.7
        moved.loc[holes, "g"] = rng.choice(["lo", "mid", "top"], holes.sum())
        sets.append(moved)
    return sets

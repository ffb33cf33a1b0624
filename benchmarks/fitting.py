"""Processor time of m fits by mifit against m bare statsmodels fits on ready matrices, one BLAS thread.

Run as ``python benchmarks/fitting.py [n] [m]``; both sides are timed in turn in one process, the best of three rounds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
import tracemalloc

import numpy as np
import pandas as pd
import statsmodels.api as sm

import mifit

P = 20


def frame(n: int, seed: int = 1) -> pd.DataFrame:
    """N rows of 20 numbers, a tenth of five of them missing, a linear and a yes-no outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, P))
    d = pd.DataFrame(x, columns=[f"x{j}" for j in range(P)])
    d["y"] = x[:, :5].sum(axis=1) + rng.normal(size=n)
    d["b"] = (x[:, :5].sum(axis=1) / 3 + rng.logistic(size=n) > 0).astype(int)
    for j in range(5):
        d.loc[rng.random(n) < 0.1, f"x{j}"] = np.nan
    return d


def completed(given: pd.DataFrame, m: int) -> list[pd.DataFrame]:
    """M completions by noise: what is timed is the fitting."""
    rng = np.random.default_rng(2)
    return [given.where(given.notna(), rng.normal(size=given.shape)) for _ in range(m)]


def timed(work) -> tuple[float, object]:  # type: ignore[no-untyped-def]
    """Processor seconds of one call, and what it returns."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main(n: int = 100_000, m: int = 20) -> None:
    """Print one row for each model."""
    given = frame(n)
    frames = completed(given, m)
    imp = mifit.from_frames(frames, original=given)
    names = [f"x{j}" for j in range(P)]
    right = " + ".join(names)
    cases = {
        "OLS": (f"y ~ {right}", "ols", {}, lambda y, X: sm.OLS(y, X)),
        "GLM": (f"b ~ {right}", "glm", {"family": sm.families.Binomial()}, _glm),
    }
    print(f"{n} rows x {P} columns, m = {m}; processor seconds")
    for name, (formula, model, words, bare) in cases.items():
        outcome = formula.partition(" ")[0]
        ready = [(f[outcome].to_numpy(float), sm.add_constant(f[names].to_numpy())) for f in frames]
        theirs, mine = [], []
        for _ in range(3):
            theirs.append(timed(lambda: [_kept(bare(y, X).fit()) for y, X in ready])[0])  # noqa: B023
            mine.append(timed(lambda: imp.fit(formula, model, **words))[0])  # noqa: B023
        print(f"  {name}: statsmodels {min(theirs):.2f}, mifit {min(mine):.2f}, ratio {min(mine) / min(theirs):.2f}")
        ready.clear()
        tracemalloc.start()
        res = imp.fit(formula, model, **words)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        one = n * (P + 2) * 8 / 1e6
        print(f"       kept {kept / 1e6:.1f} MB, peak {peak / 1e6:.1f} MB; one design has {one:.1f} MB (m = {res.m})")


def _glm(y, X):  # type: ignore[no-untyped-def]
    return sm.GLM(y, X, family=sm.families.Binomial())


def _kept(result):  # type: ignore[no-untyped-def]
    """Estimates and covariance: what is needed for pooling."""
    return result.params, result.cov_params()


if __name__ == "__main__":
    main(*(int(given) for given in sys.argv[1:]))

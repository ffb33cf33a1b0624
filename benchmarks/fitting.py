"""Processor time of m fits by mifit against m bare statsmodels fits on ready matrices, one BLAS thread.

Run as ``python benchmarks/fitting.py [n] [m]``; both sides are timed in turn in one process, the best of three rounds.
``python benchmarks/fitting.py mixed`` times mixed models beside statsmodels and, where R has it, lme4 and ordinal:
seconds for one set, bookkeeping and pooling included on mifit's side.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

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


#: groups and rows of each
SIZES = ((40, 10), (5000, 20))

#: what is timed: formula, model of mifit and its words, R's call (statsmodels has the linear ones)
MIXED = (
    ("y ~ x + w", "mixedlm", {}, "lmer(y ~ x + w + (1 | g), d)"),
    ("y ~ x + w", "mixedlm", {"re_formula": "~ x"}, "lmer(y ~ x + w + (1 + x | g), d)"),
    ("b ~ x + w", "mixed_logit", {}, "glmer(b ~ x + w + (1 | g), d, binomial, nAGQ = 13)"),
    ("c ~ x + w", "mixed_poisson", {}, "glmer(c ~ x + w + (1 | g), d, poisson, nAGQ = 13)"),
    ("o ~ x + w", "mixed_ordinal", {}, "clmm(ordered(o) ~ x + w + (1 | g), data = d, nAGQ = 13)"),
)


def grouped(n_groups: int, size: int, seed: int = 1) -> pd.DataFrame:
    """Rows in groups, with a random intercept and slope; outcomes of every kind."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), size)
    x, w = rng.normal(size=len(g)), rng.normal(size=n_groups)[g]
    linear = 0.8 * x + 0.5 * w + rng.normal(size=n_groups)[g]
    y = linear + 0.5 * rng.normal(size=n_groups)[g] * x + rng.normal(size=len(g))
    o = np.digitize(linear + rng.logistic(size=len(g)), [-1.0, 0.5, 2.0])
    b, c = (rng.logistic(size=len(g)) < linear).astype(int), rng.poisson(np.exp(linear / 2))
    return pd.DataFrame({"y": y, "b": b, "c": c, "o": o, "x": x, "w": w, "g": g})


def mixed(m: int = 3) -> None:
    """Print one row for each mixed model and size."""
    import statsmodels.formula.api as smf

    for n_groups, size in SIZES:
        print(f"{n_groups} groups of {size}; processor seconds for one set")
        frames = [grouped(n_groups, size, seed) for seed in range(m)]
        imp = mifit.from_frames(frames, original=None)
        for formula, model, words, call in MIXED:
            mine = min(timed(lambda: imp.fit(formula, model, groups="g", **words))[0] for _ in range(2)) / m  # noqa: B023
            theirs = ""
            if model == "mixedlm" and n_groups <= 1000:
                theirs = f", statsmodels {_statsmodels(smf, formula, frames[0], words):.3f}"
            print(f"  {model} {words or ''}: mifit {mine:.3f}{theirs}{_in_r(call, frames[0])}")


def _statsmodels(smf, formula, d, words):  # type: ignore[no-untyped-def]
    """Seconds of statsmodels' own fit, warnings left out."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(lambda: smf.mixedlm(formula, d, groups="g", **words).fit())[0]


def _in_r(call: str, d: pd.DataFrame) -> str:
    """Seconds of R's fit in words; empty without R."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.csv"
        d.to_csv(path, index=False)
        ready = f"suppressMessages({{library(lme4); library(ordinal)}}); d <- read.csv('{path}')"
        code = f"{ready}; t <- system.time({call}); cat(t[1])"
        try:
            done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return ""
    return f", R {float(done.stdout.split()[-1]):.3f}"


def _glm(y, X):  # type: ignore[no-untyped-def]
    return sm.GLM(y, X, family=sm.families.Binomial())


def _kept(result):  # type: ignore[no-untyped-def]
    """Estimates and covariance: what is needed for pooling."""
    return result.params, result.cov_params()


if __name__ == "__main__":
    mixed() if sys.argv[1:] == ["mixed"] else main(*(int(given) for given in sys.argv[1:]))

"""Pooled mixed models after imputing rows and clusters, beside the full frames: bias, coverage, seconds.

40 clusters of 15 rows, a column of rows and one of clusters each 30 % missing given the outcome:

    python benchmarks/two_levels.py level 100      # or slope, crossed
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd

import mifit

FORMULAS = {"level": "y ~ x + w", "slope": "y ~ x + w", "crossed": "y ~ x * w"}
TRUTH = {"Intercept": 0.0, "x": 0.5, "w": 0.5, "x:w": 0.3}


def frames(kind: str, rng: np.random.Generator, many: int = 40, rows: int = 15) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The full frame and the one with missing values."""
    g, w = np.repeat(np.arange(many), rows), rng.normal(size=many)
    x = 0.3 * w[g] + np.sqrt(0.2) * rng.normal(size=many)[g] + np.sqrt(0.8) * rng.normal(size=len(g))
    level, slope = rng.multivariate_normal([0, 0], [[0.3, 0.1], [0.1, 0.2]], many).T
    y = 0.5 * x + 0.5 * w[g] + level[g] + np.sqrt(0.7) * rng.normal(size=len(g))
    y += slope[g] * x if kind == "slope" else 0.3 * x * w[g] if kind == "crossed" else 0.0
    full = pd.DataFrame({"g": g, "x": x, "w": w[g], "y": y})
    mean = full.groupby("g")["y"].mean().to_numpy()
    lost = rng.random(many) < 1 / (1 + np.exp(1.0 - 1.2 * mean))
    hidden = {"x": rng.random(len(g)) < 1 / (1 + np.exp(1.05 - 0.9 * y)), "w": lost[g]}
    return full, full.assign(**{name: full[name].mask(rows) for name, rows in hidden.items()})


def main(kind: str, reps: int, m: int = 10) -> None:
    """Print the figures of some frames."""
    words = {"model": "mixedlm", "groups": "g", **({"re_formula": "~ x"} if kind == "slope" else {})}
    estimates, complete, covered, seconds = [], [], [], []
    for rep in range(reps):
        full, frame = frames(kind, np.random.default_rng([rep, 1]))
        began = time.process_time()
        imp = frame.mice.impute(FORMULAS[kind], m=m, rng=rep, **words)
        seconds.append(time.process_time() - began)
        found = imp.fit().to_frame()
        names = [name for name in TRUTH if name in found.index]
        truth = np.array([TRUTH[name] for name in names])
        estimates.append(found.loc[names, "estimate"].to_numpy())
        covered.append(((found.loc[names, "conf_low"] <= truth) & (truth <= found.loc[names, "conf_high"])).to_numpy())
        complete.append(mifit.from_frames([full, full]).fit(FORMULAS[kind], **words).params[names].to_numpy())
    apart = np.array(estimates) - np.array(complete)
    table = {"bias": np.mean(estimates, axis=0) - truth, "error": np.std(estimates, axis=0) / np.sqrt(reps)}
    table |= {"from full": apart.mean(axis=0), "its error": apart.std(axis=0) / np.sqrt(reps)}
    print(pd.DataFrame({**table, "coverage": np.mean(covered, axis=0)}, index=names).round(3))
    print(f"{reps} frames, {np.mean(seconds):.2f} s each for m = {m}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], int(sys.argv[2]))

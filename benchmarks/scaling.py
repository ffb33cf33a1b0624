"""How cost grows with rows, columns, share missing and m: a figure and the numbers behind it.

Run ``python benchmarks/scaling.py --output benchmarks/scaling.png``; a few minutes on one core.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import mifit

#: what varies -> its values; the rest stays as in USUAL
SERIES: dict[str, Sequence[float]] = {
    "rows": (10_000, 30_000, 100_000, 300_000, 1_000_000),
    "columns": (10, 20, 50, 100, 200, 500),
    "share missing": (0.02, 0.05, 0.1, 0.2, 0.4, 0.6),
    "m": (2, 5, 10, 20),
}
USUAL = {
    "rows": {"columns": 20},
    "columns": {"rows": 5_000},
    "share missing": {"rows": 20_000, "columns": 20},
    "m": {"rows": 20_000, "columns": 20},
}


def numeric(rows: int, columns: int, share: float) -> pd.DataFrame:
    """Numbers with three common factors, missing at random in all columns but the first."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, 3)) @ rng.normal(size=(3, columns)) + rng.normal(size=(rows, columns))
    values[:, 1:][rng.random((rows, columns - 1)) < share] = np.nan
    return pd.DataFrame(values, columns=[f"x{j}" for j in range(columns)])


def seconds(what: str, value: float, runs: int) -> float:
    """Processor time of one sweep of one chain, or of everything where m varies; the least of some runs."""
    wanted = {"rows": 5_000, "columns": 20, "share missing": 0.15, "m": 2, **USUAL[what], what: value}
    frame = numeric(int(wanted["rows"]), int(wanted["columns"]), wanted["share missing"])
    m = int(wanted["m"])
    found = []
    for _ in range(runs):
        start = time.process_time()
        mifit.impute(frame, m=m, iterations=1, rng=1)
        found.append(time.process_time() - start)
    return min(found) / (1 if what == "m" else m)


def main() -> None:
    """Time every point; print the table and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("scaling.png"))
    parser.add_argument("--runs", type=int, default=2)
    asked = parser.parse_args()
    seconds("rows", 1_000, 1)  # loads what is imported late
    figure, axes = plt.subplots(1, len(SERIES), figsize=(11, 2.8), constrained_layout=True)
    for axis, (what, values) in zip(axes, SERIES.items(), strict=True):
        found = [seconds(what, value, asked.runs) for value in values]
        slopes = np.diff(np.log(found)) / np.diff(np.log(values))
        for value, spent, slope in zip(values, found, [np.nan, *slopes], strict=True):
            print(f"| {what} | {value:g} | {spent:.3f} | {'' if np.isnan(slope) else f'{slope:.2f}'} |", flush=True)
        axis.loglog(values, found, "o-", color="black", markersize=4)
        for power in (1, 2) if what == "columns" else (1,):
            guide = found[-1] * (np.asarray(values) / values[-1]) ** power
            axis.loglog(values, guide, "--", color="grey", linewidth=0.8, label=f"power {power}")
        axis.set_xlabel(what)
        axis.legend(frameon=False, fontsize=7)
    axes[0].set_ylabel("seconds of one chain, one sweep")
    axes[-1].set_ylabel("seconds in all")
    figure.savefig(asked.output, dpi=90)


if __name__ == "__main__":
    main()

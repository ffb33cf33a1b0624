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
    found = {}
    for what, values in SERIES.items():
        found[what] = [seconds(what, value, asked.runs) for value in values]
        slopes = np.diff(np.log(found[what])) / np.diff(np.log(values))
        for value, spent, slope in zip(values, found[what], [np.nan, *slopes], strict=True):
            print(f"| {what} | {value:g} | {spent:.3f} | {'' if np.isnan(slope) else f'{slope:.2f}'} |", flush=True)
    draw(found, asked.output)


def draw(found: dict[str, list[float]], output: Path) -> None:
    """One panel for each series: on logarithmic scales with a line of known slope, shares on plain ones."""
    figure, axes = plt.subplots(1, len(found), figsize=(12, 3.4), constrained_layout=True)
    for axis, (what, spent) in zip(axes, found.items(), strict=True):
        values = SERIES[what]
        axis.plot(values, spent, "o-", color="black", markersize=4)
        axis.set_xlabel(what)
        if what == "share missing":
            axis.set_ylim(0.0, 1.15 * max(spent))
            continue
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.minorticks_off()
        for power, style in ((1, "--"), (2, ":")) if what == "columns" else ((1, "--"),):
            guide = spent[-1] * (np.asarray(values) / values[-1]) ** power
            axis.plot(values, guide, style, color="grey", linewidth=0.9, label=f"power {power}")
        axis.legend(frameon=False, fontsize=8)
        axis.set_xticks(
            values, [f"{value:,g}" if value < 10_000 else f"{value / 1000:,g}k" for value in values], fontsize=7
        )
    axes[0].set_ylabel("seconds, one chain and sweep")
    axes[-1].set_ylabel("seconds in all")
    figure.savefig(output, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    main()

"""How much sooner chains are done on several cores: seconds by the clock, the least of some runs, as a markdown table.

Run ``python benchmarks/parallel.py`` on an idle machine.
"""

from __future__ import annotations

import os
import time

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import pandas as pd
from frames import FRAMES

import mifit

RUNS = 3
JOBS = [(2, 2), (4, 5), (10, 5), (20, 10)]


def seconds(frame: pd.DataFrame, m: int, iterations: int, n_jobs: int) -> float:
    """One imputation, by the clock."""
    start = time.perf_counter()
    mifit.impute(frame, m=m, iterations=iterations, rng=1, n_jobs=n_jobs, progress=False)
    return time.perf_counter() - start


def main() -> None:
    """Time the medium frame with one worker, and with one on every core."""
    frame = FRAMES["medium"].make()
    seconds(frame, 2, 1, 1)  # loads what is imported late
    begun = seconds(frame, 2, 1, -1)
    print(f"The first call with workers, which starts them: {begun:.1f} s.\n")
    print(f"| m x iterations | 1 worker | {os.cpu_count()} workers | ratio |\n|---|---:|---:|---:|")
    for m, iterations in JOBS:
        one, many = (min(seconds(frame, m, iterations, n_jobs) for _ in range(RUNS)) for n_jobs in (1, -1))
        print(f"| {m} x {iterations} | {one:.2f} s | {many:.2f} s | {one / many:.2f} |", flush=True)


if __name__ == "__main__":
    main()

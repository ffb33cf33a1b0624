"""Bias, coverage and interval width on simulated frames with a known truth, as a markdown table.

Run ``python benchmarks/simulation.py`` for all scenarios; ``--help`` for the rest.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from scenarios import SCENARIOS, Scenario, estimates, summarise

HEADER = [
    "| scenario | coefficient | truth | bias % (MC error) | less full data % (MC error) | coverage % | width |",
    "|---|---|---:|---:|---:|---:|---:|",
]


def holds(found: pd.DataFrame) -> pd.Series:
    """Whether a coefficient is right: what ``tests/test_simulation.py`` asks of every scenario."""
    unbiased = found["gap"].abs() <= (3 * found["gap_error"]).clip(lower=0.02 * found["truth"].abs())
    return unbiased & (found["coverage"] >= 0.93 - 2 * found["coverage_error"])


def rows(name: str, scenario: Scenario, found: pd.DataFrame, every: bool) -> list[str]:
    """The lines of a scenario: its hardest coefficients, and any other that is not right (marked by a star)."""
    lines = []
    kept = found.index.isin(scenario.hardest) | ~holds(found) | every
    for coefficient, row in found[kept].iterrows():
        percent = 100 / abs(row["truth"])
        mark = "" if holds(found)[coefficient] else " *"
        lines.append(
            f"| {'' if lines else name} | `{coefficient}`{mark} | {row['truth']:g} "
            f"| {percent * row['bias']:+.1f} ({percent * row['bias_error']:.1f}) "
            f"| {percent * row['gap']:+.1f} ({percent * row['gap_error']:.1f}) "
            f"| {100 * row['coverage']:.1f} | {row['width']:.2f} |"
        )
    return lines


def main() -> None:
    """Run the scenarios asked for; print the table, and write it if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--m", type=int, default=10, help="imputations of each frame")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", nargs="*", default=list(SCENARIOS), help="scenarios; all unless named")
    parser.add_argument("--congeniality", default="compatible", choices=["compatible", "terms", "ignore"])
    parser.add_argument("--iterations", type=int, help="sweeps; by default mifit's own choice")
    parser.add_argument("--every", action="store_true", help="show every coefficient")
    parser.add_argument("--output", type=Path, help="also write the table here")
    parser.add_argument("--estimates", type=Path, help="a folder for the estimates of each frame, as csv")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="statsmodels")

    how = f"{asked.frames} frames each, m = {asked.m}, seed {asked.seed}, congeniality {asked.congeniality!r}"
    lines = [f"{how}. Monte-Carlo error of the coverage: {100 * (0.0475 / asked.frames) ** 0.5:.1f}.", "", *HEADER]
    print("\n".join(lines), flush=True)
    for name in asked.names:
        scenario, start = SCENARIOS[name], time.perf_counter()
        wishes = {"congeniality": asked.congeniality, "iterations": asked.iterations}
        runs = estimates(scenario, asked.frames, asked.m, asked.seed, **wishes)
        print(f"{name}: {(time.perf_counter() - start) / asked.frames:.2f} s per frame", file=sys.stderr)
        if asked.estimates:
            asked.estimates.mkdir(parents=True, exist_ok=True)
            runs.to_csv(asked.estimates / f"{name.replace('/', '-')}.csv", index=False)
        found = rows(name, scenario, summarise(runs), asked.every)
        print("\n".join(found), flush=True)
        lines += found
    if asked.output:
        asked.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

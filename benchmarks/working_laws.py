"""Analyses that are right in the mean under laws that are not the declared one: bias and coverage, as a table.

Counts, shares and two values; ``error_laws.py`` has numbers. Run ``python benchmarks/working_laws.py`` for all
scenarios; ``--help`` for the rest.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.scenarios import Scenario, estimates, summarise
from support.scenarios_laws import COUNTS_AND_SHARES

SCENARIOS: dict[str, Scenario] = {**COUNTS_AND_SHARES}
HEADER = [
    "| scenario | rows | frames | coefficient | less full data % (MC error) | coverage % | full data % | width |",
    "|---|---:|---:|---|---:|---:|---:|---:|",
]


def lines(name: str, asked: argparse.Namespace) -> list[str]:
    """The rows of a scenario in the table, one for each coefficient but the intercept."""
    scenario = SCENARIOS[name]
    if asked.rows:
        scenario = dataclasses.replace(scenario, n_rows=asked.rows)
    options = {"error_law": asked.error_law, "iterations": asked.iterations}
    runs = estimates(scenario, asked.frames, asked.m, asked.seed, asked.first, **options)
    written: list[str] = []
    for coefficient, row in summarise(runs).drop("Intercept").iterrows():
        percent = 100 / abs(row["truth"])
        first = [name, str(scenario.n_rows), str(asked.frames)] if not written else ["", "", ""]
        cells = [
            *first, f"`{coefficient}`", f"{percent * row['gap']:+.1f} ({percent * row['gap_error']:.1f})",
            f"{100 * row['coverage']:.0f}", f"{100 * row['full_coverage']:.0f}", f"{row['width']:.2f}",
        ]  # fmt: skip
        written.append("| " + " | ".join(cells) + " |")
    return written


def main() -> None:
    """Run the scenarios asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first frame")
    parser.add_argument("--rows", type=int, help="rows of each frame; by default the scenario's")
    parser.add_argument("--m", type=int, default=5, help="imputations of each frame")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--error-law", default="auto", choices=["auto", "declared", "learned"])
    parser.add_argument("--iterations", type=int, help="sweeps; by default mifit's own choice")
    parser.add_argument("--names", nargs="*", default=list(SCENARIOS), help="scenarios; all unless named")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print("\n".join(HEADER), flush=True)
    for name in asked.names:
        print("\n".join(lines(name, asked)), flush=True)


if __name__ == "__main__":
    main()

"""Bias, coverage and standard errors with 20 and 40 auxiliaries, used and ignored, as a markdown table.

Run ``python benchmarks/auxiliaries.py --estimates FOLDER``; what the folder has is not run again. In the scenarios of
``tests/support/scenarios_auxiliaries.py`` missingness depends on an auxiliary, so that ignoring it is biased.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.scenarios import estimates, summarise
from support.scenarios_auxiliaries import WITH_AUXILIARIES

USES = ("response", "ignore")
HEADER = [
    "| analysis | frames | coefficient | truth | less full data % (MC error) | coverage % | standard error "
    "| ignored: less full data % (MC error) | coverage % | standard error | used / ignored |",
    "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
]


def run(name: str, use: str, frames: int, asked: argparse.Namespace) -> pd.DataFrame:
    """The estimates of a scenario, its auxiliaries used or ignored: what the folder has, and more."""
    path = asked.estimates / f"{name}, {use}.csv"
    found = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["frame"])
    first = found["frame"].nunique()
    if first < frames:
        start = time.process_time()
        options = {"auxiliary": use, "iterations": asked.iterations}
        fresh = estimates(WITH_AUXILIARIES[name], frames - first, asked.m, asked.seed, first, **options)
        found = fresh if found.empty else pd.concat([found, fresh], ignore_index=True)
        found.to_csv(path, index=False)
        each = (time.process_time() - start) / (frames - first)
        print(f"{name}, {use}: {first} to {frames}, {each:.2f} s per frame", file=sys.stderr, flush=True)
    return found[found["frame"] < frames]


def lines(name: str, runs: dict[str, pd.DataFrame]) -> list[str]:
    """The lines of a scenario, one for each coefficient."""
    some = {use: found.assign(se=(found["high"] - found["low"]) / 3.92) for use, found in runs.items()}
    found = {use: summarise(one).join(one.groupby("coefficient")["se"].mean()) for use, one in some.items()}
    written: list[str] = []
    for coefficient in found["response"].index:
        truth = found["response"].loc[coefficient, "truth"]
        cells = [name, str(some["response"]["frame"].nunique())] if not written else ["", ""]
        cells += [f"`{coefficient}`", f"{truth:.3g}"]
        for use in USES:
            row = found[use].loc[coefficient]
            gap, error = (100 * row[word] / abs(truth) for word in ("gap", "gap_error"))
            cells += [f"{gap:+.1f} ({error:.1f})", f"{100 * row['coverage']:.0f}", f"{row['se']:.3f}"]
        ratio = found["response"].loc[coefficient, "se"] / found["ignore"].loc[coefficient, "se"]
        written.append("| " + " | ".join([*cells, f"{ratio:.2f}"]) + " |")
    return written


def main() -> None:
    """Run the scenarios asked for, some frames of each at a time, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--chunk", type=int, default=20, help="frames of a scenario before the next one's turn")
    parser.add_argument("--m", type=int, default=10, help="imputations of each frame")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, help="sweeps; by default mifit's own choice")
    parser.add_argument("--names", nargs="*", default=list(WITH_AUXILIARIES), help="scenarios; all unless named")
    parser.add_argument("--estimates", type=Path, required=True, help="a folder for the estimates of each frame")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    asked.estimates.mkdir(parents=True, exist_ok=True)
    for frames in [*range(asked.chunk, asked.frames, asked.chunk), asked.frames]:
        runs = {name: {use: run(name, use, frames, asked) for use in USES} for name in asked.names}
    print("\n".join(HEADER))
    for name in asked.names:
        print("\n".join(lines(name, runs[name])))


if __name__ == "__main__":
    main()

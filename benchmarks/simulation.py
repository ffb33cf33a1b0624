"""Bias, coverage and interval width on simulated frames with a known truth, beside R, as a markdown table.

Run ``python benchmarks/simulation.py`` for all scenarios; ``--help`` for the rest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from peers import PEERS, Peer, r_name

from support.scenarios import Scenario, estimates, promise, summarise
from support.scenarios_likelihoods import LIKELIHOODS
from support.scenarios_linear import LINEAR

SCENARIOS = {**LINEAR, **LIKELIHOODS}
OTHERS = ("smcfcs", "mice")
HEADER = [
    "| scenario | frames | coefficient | truth | bias % (MC error) | less full data % (MC error) | coverage % | width "
    "| smcfcs: less full data % | coverage % | mice: less full data % | coverage % |",
    "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
]
CHUNK = 20  # frames between two writes


def done(path: Path) -> pd.DataFrame:
    """What an earlier run left."""
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["frame"])


def run_own(name: str, asked: argparse.Namespace) -> pd.DataFrame:
    """The estimates of mifit: what the folder has, and frames up to the number asked for."""
    path = asked.estimates / "mifit" / f"{name.replace('/', '-')}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = done(path)
    options = {"congeniality": asked.congeniality, "iterations": asked.iterations}
    while (first := found["frame"].nunique()) < asked.frames:
        start = time.perf_counter()
        many = min(CHUNK, asked.frames - first)
        more = estimates(SCENARIOS[name], many, asked.m, asked.seed, first, **options)
        found = more if found.empty else pd.concat([found, more], ignore_index=True)
        found.to_csv(path, index=False)
        print(f"{name}: {(time.perf_counter() - start) / many:.2f} s per frame", file=sys.stderr, flush=True)
    return found


def run_peer(other: str, name: str, own: pd.DataFrame, asked: argparse.Namespace) -> pd.DataFrame:
    """The estimates of an R package on the first frames, beside those on full data."""
    path = asked.estimates / other / f"{name.replace('/', '-')}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    scenario, peer = SCENARIOS[name], PEERS.get(name, Peer())
    if (other == "smcfcs" and not peer.smtype) or not peer.analysis:
        return pd.DataFrame()
    found = done(path)
    if (first := found["frame"].nunique()) < asked.peer_frames:
        start = time.perf_counter()
        more = _call(other, scenario, peer, first, asked)
        found = more if found.empty else pd.concat([found, more], ignore_index=True)
        found.to_csv(path, index=False)
        each = (time.perf_counter() - start) / (asked.peer_frames - first)
        print(f"{other}, {name}: {each:.2f} s per frame", file=sys.stderr, flush=True)
    return found.merge(own.drop(columns=["estimate", "low", "high"]), on=["frame", "coefficient"])


def _call(other: str, scenario: Scenario, peer: Peer, first: int, asked: argparse.Namespace) -> pd.DataFrame:
    """Hand frames to R as csv files and read its estimates."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, asked.peer_frames):
            holed = scenario.frames(np.random.default_rng([asked.seed, number]))[1]
            holed.to_csv(Path(folder) / f"{number}.csv", index=False)
        names = {r_name(name): name for name in scenario.truth}
        orders = {c: list(d.cat.categories) for c, d in holed.items() if isinstance(d.dtype, pd.CategoricalDtype)}
        ordered = [c for c in orders if holed[c].cat.ordered]
        spec = {
            "package": other, "m": asked.peer_m, "names": list(names), "levels": orders, "ordered": ordered,
            "holes": list(scenario.losses), **vars(peer),
        }  # fmt: skip
        (Path(folder) / "spec.json").write_text(json.dumps(spec))
        script = Path(__file__).with_name("peers_simulation.R")
        subprocess.run(["Rscript", str(script), folder], check=True, stdout=subprocess.DEVNULL)
        more = pd.read_csv(Path(folder) / "found.csv")
    return more.assign(coefficient=more["coefficient"].map(names))


def rows(name: str, scenario: Scenario, runs: dict[str, pd.DataFrame], every: bool) -> list[str]:
    """The lines of a scenario: its hardest figures, and any other that breaks the promise (marked by a star)."""
    lines: list[str] = []
    found = {who: summarise(each) for who, each in runs.items()}
    frames = ", ".join(f"{runs[who]['frame'].nunique()}" for who in ("mifit", *OTHERS) if who in runs)
    own = found["mifit"]
    good = promise(own).all(axis=1)
    for coefficient, row in own[own.index.isin(scenario.hardest) | ~good | every].iterrows():
        percent = 100 / abs(row["truth"])
        cells = [
            "" if lines else name, "" if lines else frames,
            f"`{coefficient}`{'' if good[coefficient] else ' *'}", f"{row['truth']:.3g}",
            f"{percent * row['bias']:+.1f} ({percent * row['bias_error']:.1f})",
            f"{percent * row['gap']:+.1f} ({percent * row['gap_error']:.1f})",
            f"{100 * row['coverage']:.1f}", f"{row['width']:.2f}",
        ]  # fmt: skip
        for other in OTHERS:
            if other in found:
                it = found[other].loc[coefficient]
                cells.append(f"{percent * it['gap']:+.1f} ({percent * it['gap_error']:.1f})")
                cells.append(f"{100 * it['coverage']:.1f}")
            else:
                cells += ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    """Run the scenarios asked for; print the table, and write it if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--m", type=int, default=10, help="imputations of each frame")
    parser.add_argument("--peer-frames", type=int, default=100, help="of these, frames that R sees too; 0 for none")
    parser.add_argument("--peer-m", type=int, default=5, help="imputations of each frame by R")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", nargs="*", default=list(SCENARIOS), help="scenarios; all unless named")
    parser.add_argument("--congeniality", default="compatible", choices=["compatible", "terms", "ignore"])
    parser.add_argument("--iterations", type=int, help="sweeps; by default mifit's own choice")
    parser.add_argument("--every", action="store_true", help="show every coefficient")
    parser.add_argument("--output", type=Path, help="also write the table here")
    parser.add_argument("--estimates", type=Path, help="a folder for the estimates of each frame; what it has is kept")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore", module="statsmodels")
    with tempfile.TemporaryDirectory() as folder:
        asked.estimates = asked.estimates or Path(folder)
        table(asked)


def table(asked: argparse.Namespace) -> None:
    """Run, print, write."""
    peers = OTHERS if shutil.which("Rscript") and asked.peer_frames else ()
    how = f"m = {asked.m}, in R {asked.peer_m}; seed {asked.seed}, congeniality {asked.congeniality!r}"
    how += ". Monte-Carlo error of the coverage: 1.1 at 400 frames, 1.5 at 200, 2.2 at 100, 3.4 at 40"
    lines = [f"{how}.", "", *HEADER]
    print("\n".join(lines), flush=True)
    for name in asked.names:
        own = run_own(name, asked)
        found = {"mifit": own}
        for other in peers:
            runs = run_peer(other, name, own, asked)
            if len(runs):
                found[other] = runs
        some = rows(name, SCENARIOS[name], found, asked.every)
        print("\n".join(some), flush=True)
        lines += some
    if asked.output:
        asked.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

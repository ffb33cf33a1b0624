"""Time mifit, its peers and a floor on the same frames; prints a markdown table. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from frames import FRAMES, Timed

HERE = Path(__file__).parent
PEERS = {
    "mice": "R mice",
    "smcfcs": "R smcfcs",
    "sklearn": "scikit-learn",
    "statsmodels": "statsmodels",
    "miceforest": "miceforest",
}
NUMERIC = ("sklearn", "statsmodels")  # they impute numbers alone, and are compared with mifit on these
COLUMNS = ["frame", "m x iterations", "program", "imputation", "whole job", "peak MB", "/ mifit", "/ floor"]
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def missing(peers: list[str]) -> dict[str, str]:
    """Peers that cannot run here, and why."""
    why = {}
    for peer in peers:
        if peer in ("mice", "smcfcs"):
            if not shutil.which("Rscript"):
                why[peer] = "no Rscript"
            elif subprocess.run(["Rscript", "-e", f"library({peer})"], capture_output=True).returncode:
                why[peer] = "R package not installed"
        elif importlib.util.find_spec(peer) is None:
            why[peer] = "not installed"
    return why


def timed(script: str, path: Path, job: Timed, asked: argparse.Namespace) -> dict[str, float]:
    """The least of each figure over some processes; none where it fails, an infinite time where it takes too long."""
    command = ["Rscript"] if script.endswith(".R") else [sys.executable]
    command += [str(HERE / script), str(path.with_suffix(".csv" if script.endswith(".R") else ".pkl"))]
    command += [str(job.m), str(job.iterations), *([job.formula, json.dumps(job.keywords)] if job.formula else [])]
    pin = ["taskset", "-c", asked.core] if shutil.which("taskset") else []
    found: list[dict[str, float]] = []
    start = time.perf_counter()
    while len(found) < asked.runs and (not found or time.perf_counter() - start < asked.patience):
        try:
            done = subprocess.run(
                [*pin, *command], capture_output=True, text=True, env={**os.environ, **ONE_THREAD}, timeout=asked.limit
            )
        except subprocess.TimeoutExpired:
            return {"impute": math.inf}
        if done.returncode:
            print(f"{script} failed on {path.stem}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: min(run[key] for run in found) for key in found[0] if found[0][key] is not None}


def rows(name: str, peers: list[str], asked: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """The lines of one frame: mifit, the floor, then who else can do it."""
    job = FRAMES[name]
    frame = job.make()
    path = folder / name.replace(", ", "_").replace(",", "")
    frame.to_pickle(path.with_suffix(".pkl"))
    frame.to_csv(path.with_suffix(".csv"), index=False)
    start = [name, f"{job.m} x {job.iterations}"]
    own = timed("own.py", path, job, asked)
    if "numeric" not in own:  # failed, or stopped
        yield [*start, "mifit", *cells(own, own, {}, asked.limit)]
        return
    floor = {} if job.formula else timed("floor.py", path, job, asked)
    yield [*start, "mifit", *cells(own, own, floor, asked.limit)]
    if floor:
        yield [*start, "the floor", *cells(floor, own, {}, asked.limit)]
    if job.chained:
        plain = timed("own.py", path, replace(job, keywords={**job.keywords, "congeniality": "ignore"}), asked)
        yield [*start, "mifit, chained equations", *cells(plain, own, {}, asked.limit)]
    numeric = {"impute": own["numeric"]}
    mixed = frame.select_dtypes("number").shape != frame.shape
    able = [peer for peer in peers if peer in job.peers]
    if mixed and set(able) & set(NUMERIC):
        yield [*start, "mifit, numbers alone", *cells(numeric, numeric, {}, asked.limit)]
    for peer in able:
        other = timed(f"peer_{peer}.{'R' if peer in ('mice', 'smcfcs') else 'py'}", path, job, asked)
        alone = mixed and peer in NUMERIC
        yield [*start, PEERS[peer], *cells(other, numeric if alone else own, {} if alone else floor, asked.limit)]


def cells(found: Mapping[str, float], own: Mapping[str, float], floor: Mapping[str, float], limit: float) -> list[str]:
    """Seconds, memory, and the imputation against mifit's and against the floor's."""
    if not found:
        return ["failed", *[""] * 4]
    if math.isinf(found["impute"]):
        return [f"> {limit:.0f} s", *[""] * 4]
    return [
        f"{found['impute']:.3f} s",
        f"{found['job']:.3f} s" if "job" in found else "",
        f"{found['peak']:.0f}" if "peak" in found else "",
        times(found["impute"] / own["impute"]),
        times(found["impute"] / floor["impute"]) if floor else "",
    ]


def times(ratio: float) -> str:
    """A ratio as one reads it."""
    return f"{ratio:.0f} x" if ratio >= 10 else f"{ratio:.1f} x"


def main() -> None:
    """Run what is asked for and print it line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", nargs="*", default=list(FRAMES), choices=list(FRAMES), metavar="NAME")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="PEER")
    parser.add_argument("--runs", type=int, default=5, help="processes for each figure; the least is shown")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after which a figure gets no further run")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds after which a process is stopped")
    parser.add_argument("--core", default="0", help="the core that every process is pinned to")
    asked = parser.parse_args()
    skipped = missing(asked.peers)
    print("| " + " | ".join(COLUMNS) + " |\n|---|---|---|" + "---:|" * (len(COLUMNS) - 3), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.frames:
            peers = [peer for peer in asked.peers if peer not in skipped]
            for row in rows(name, peers, asked, Path(folder)):
                print("| " + " | ".join(row) + " |", flush=True)
    for peer, why in skipped.items():
        print(f"\nSkipped {PEERS[peer]}: {why}.")


if __name__ == "__main__":
    main()

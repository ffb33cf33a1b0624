"""Time mifit, its peers and a floor on the same frames; prints a markdown table. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from frames import FRAMES, Timed

HERE = Path(__file__).parent
PEERS = {"mice": "R mice", "smcfcs": "R smcfcs", "sklearn": "scikit-learn", "statsmodels": "statsmodels"}
NUMERIC = ("sklearn", "statsmodels")  # they impute numbers alone, and are compared with mifit on these
COLUMNS = ["frame", "m x iterations", "mifit", "first call", "whole job", "peak MB", "/ floor", *PEERS.values()]
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


def timed(script: str, path: Path, job: Timed, core: str, runs: int, patience: float) -> dict[str, float]:
    """The least of each figure over some processes; no new one is started when patience (seconds) has run out."""
    command = ["Rscript"] if script.endswith(".R") else [sys.executable]
    command += [str(HERE / script), str(path.with_suffix(".csv" if script.endswith(".R") else ".pkl"))]
    command += [
        str(job.m),
        str(job.iterations),
        *([job.formula, json.dumps(job.keywords)] if script == "own.py" and job.formula else []),
    ]
    pin = ["taskset", "-c", core] if shutil.which("taskset") else []
    found: list[dict[str, float]] = []
    start = time.perf_counter()
    while len(found) < runs and (not found or time.perf_counter() - start < patience):
        done = subprocess.run([*pin, *command], capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
        if done.returncode:
            print(f"{script} failed on {path.stem}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return {}
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: min(run[key] for run in found) for key in found[0] if found[0][key] is not None}


def row(name: str, peers: list[str], core: str, runs: int, patience: float, folder: Path) -> list[str]:
    """One line of the table."""
    job = FRAMES[name]
    frame = job.make()
    path = folder / name.replace(", ", "_").replace(",", "")
    frame.to_pickle(path.with_suffix(".pkl"))
    frame.to_csv(path.with_suffix(".csv"), index=False)
    own = timed("own.py", path, job, core, runs, patience)
    if not own:
        return [name, f"{job.m} x {job.iterations}", "failed", *[""] * (len(COLUMNS) - 3)]
    cells = [name, f"{job.m} x {job.iterations}", f"{own['impute']:.3f} s", f"{own['first']:.3f} s"]
    cells += [f"{own['job']:.3f} s", f"{own['peak']:.0f}"]
    floor = {} if job.formula else timed("floor.py", path, job, core, runs, patience)
    cells.append(f"{own['impute'] / floor['impute']:.1f}" if floor else "")
    for peer in PEERS:
        script = f"peer_{peer}.{'R' if peer in ('mice', 'smcfcs') else 'py'}"
        other = timed(script, path, job, core, runs, patience) if peer in job.peers and peer in peers else {}
        base = own["numeric" if peer in NUMERIC else "impute"]
        cells.append(_against(other, base) if other else "")
    return cells


def _against(other: dict[str, float], base: float) -> str:
    """A peer's seconds, how many times mifit's that is, and what memory it took where it tells."""
    memory = f", {other['peak']:.0f} MB" if "peak" in other else ""
    return f"{other['impute']:.2f} s = {other['impute'] / base:.2g} x{memory}"


def main() -> None:
    """Run what is asked for and print it line by line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", nargs="*", default=list(FRAMES), choices=list(FRAMES), metavar="NAME")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), metavar="PEER")
    parser.add_argument("--runs", type=int, default=5, help="processes for each figure; the least is shown")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds after which a figure gets no further run")
    parser.add_argument("--core", default="0", help="the core that every process is pinned to")
    asked = parser.parse_args()
    skipped = missing(asked.peers)
    print("| " + " | ".join(COLUMNS) + " |\n|---|---|" + "---:|" * (len(COLUMNS) - 2), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.frames:
            peers = [peer for peer in asked.peers if peer not in skipped]
            cells = row(name, peers, asked.core, asked.runs, asked.patience, Path(folder))
            print("| " + " | ".join(cells) + " |", flush=True)
    for peer, why in skipped.items():
        print(f"\nSkipped {PEERS[peer]}: {why}.")


if __name__ == "__main__":
    main()

"""Where the time goes in a visit of one column: a table from the profiler.

Run ``python benchmarks/visits.py large medium``; the names are those of ``frames.py``.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import time

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

from frames import FRAMES

import mifit

#: what it is -> file and function
PARTS = {
    "reading the frame": ("table.py", "read"),
    "planning": ("make_plan.py", "make"),
    "first fill": ("chain.py", "start"),
    "gathering the rows to draw": ("store.py", "gathered"),
    "cross-products of the fit rows": ("visit.py", "cross"),
    "least squares": ("linear.py", "solve"),
    "predictions of the donors": ("visit.py", "linear"),
    "matching": ("pmm.py", "match"),
    "sorting, also within matching": ("pmm.py", "ascending"),
    "numbers by predictive mean matching": ("pmm.py", "fit"),
    "numbers by a normal model": ("norm.py", "fit"),
    "binary": ("logistic.py", "fit"),
    "nominal": ("multinomial.py", "fit"),
    "ordinal": ("ordinal.py", "fit"),
    "Cox analysis": ("cox.py", "fit"),
    "drawing numbers by their factors": ("samplers.py", "draw_continuous"),
    "drawing levels by their factors": ("samplers.py", "draw_discrete"),
    "writing, and exchanging cross-products": ("store.py", "write"),
    "traces": ("chain.py", "_record"),
}


def profiled(name: str) -> pstats.Stats:
    """The profile of one imputation, in processor time, after one that loads what is imported late."""
    job, profile = FRAMES[name], cProfile.Profile(time.process_time)
    frame, formula = job.make(), [job.formula] if job.formula else []
    for times in (1, 2):
        if times == 2:
            profile.enable()
        mifit.impute(frame, *formula, m=job.m, iterations=job.iterations, rng=1, **job.keywords)
    profile.disable()
    return pstats.Stats(profile)


def main() -> None:
    """Print a table for each frame named."""
    for name in sys.argv[1:] or ["large", "medium", "interaction"]:
        stats = profiled(name)
        found = {
            (os.path.basename(path), function): (calls, together)
            for (path, _, function), (_, calls, _, together, _) in stats.stats.items()  # type: ignore[attr-defined]
            if f"{os.sep}mifit{os.sep}" in path
        }
        print(f"\n| {name}: part | times | ms each | share % |\n|---|---:|---:|---:|")
        for part, key in PARTS.items():
            if key in found:
                calls, spent = found[key]
                print(f"| {part} | {calls} | {1e3 * spent / calls:.3f} | {100 * spent / stats.total_tt:.0f} |")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()

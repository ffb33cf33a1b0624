"""Time mifit on one frame. Run as ``own.py FILE M ITERATIONS [FORMULA [KEYWORDS]]``; prints seconds as JSON.

Keywords are JSON. ``numeric`` is the time for the numeric columns alone, which is all that some peers impute; ``peak``
is the memory that the second call allocates beyond the frame, in MB.
"""

import json
import sys
import time
import tracemalloc

import pandas as pd

import mifit


def seconds(frame: pd.DataFrame, m: int, iterations: int, formula: list[str], keywords: dict[str, str]) -> float:
    """Processor time of one imputation."""
    start = time.process_time()
    mifit.impute(frame, *formula, m=m, iterations=iterations, rng=1, **keywords)
    return time.process_time() - start


path, *numbers = sys.argv[1:4]
formula, keywords = sys.argv[4:5], json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
frame = pd.read_pickle(path)
job = (int(numbers[0]), int(numbers[1]), formula, keywords)
first = seconds(frame, *job)  # also loads what the package imports late
found = {"first": first, "impute": min(seconds(frame, *job) for _ in range(1 if first > 1 else 3)), "job": None}
start = time.process_time()
imp = mifit.impute(frame, *formula, m=job[0], iterations=job[1], rng=1, **keywords)
made = time.process_time() - start
imp.fit(*([] if formula else ["x0 ~ x1 + x2"])).summary()
found["job"] = first + time.process_time() - start - made
numeric = frame.select_dtypes("number")
found["numeric"] = (
    found["impute"] if numeric.shape == frame.shape or formula else min(seconds(numeric, *job) for _ in range(2))
)
tracemalloc.start()
seconds(frame, *job)
found["peak"] = tracemalloc.get_traced_memory()[1] / 2**20
print(json.dumps(found))

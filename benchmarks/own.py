"""Time mifit on one frame. Run as ``own.py FILE M ITERATIONS [FORMULA]``; prints seconds as JSON."""

import json
import sys
import time

import pandas as pd

import mifit

path, m, iterations, *formula = sys.argv[1:]
frame = pd.read_pickle(path)
marks = [time.process_time()]
for _ in range(2):  # the first call also loads what the package imports late
    imp = mifit.impute(frame, *formula, m=int(m), iterations=int(iterations), rng=1)
    marks.append(time.process_time())
if formula:
    imp.fit().summary()
first, again, analysis = marks[1] - marks[0], marks[2] - marks[1], time.process_time() - marks[2]
print(json.dumps({"impute": again, "first": first, "job": first + analysis if formula else None}))

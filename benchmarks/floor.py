"""Time what a predictive mean matching visit cannot avoid, in bare numpy. Run as ``floor.py FILE M ITERATIONS``.

For each incomplete column: cross-products of the rows where it is missing, predictions of the rows where it is
observed, one sort of them. Every column counts as a number.
"""

import json
import sys
import time

import numpy as np
import pandas as pd

path, m, iterations = sys.argv[1:4]
frame = pd.read_pickle(path)
missing = [np.flatnonzero(frame[name].isna()) for name in frame.columns if frame[name].isna().any()]
X = np.random.default_rng(1).normal(size=frame.shape)
beta = np.ones(X.shape[1])
observed = np.ones(len(X), dtype=bool)
start = time.process_time()
for rows in missing * (int(m) * int(iterations)):
    gathered = X[rows]
    gathered.T @ gathered
    observed[rows] = False
    np.argsort((X @ beta)[observed])
    observed[rows] = True
print(json.dumps({"impute": time.process_time() - start}))

"""Time scikit-learn's IterativeImputer on the numeric columns. Run as ``peer_sklearn.py FILE M ITERATIONS``."""

import json
import resource
import sys
import time
import warnings

import pandas as pd
from analysed import analysed
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

warnings.filterwarnings("ignore")  # that it has not converged
path, m, iterations = sys.argv[1:4]
numeric = pd.read_pickle(path).select_dtypes("number")
words = {"sample_posterior": True, "max_iter": int(iterations), "tol": 0}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB here, on macOS bytes
start = time.process_time()
sets = [IterativeImputer(random_state=number, **words).fit_transform(numeric) for number in range(int(m))]
seconds = time.process_time() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
analysed(pd.DataFrame(completed, columns=numeric.columns) for completed in sets)
print(json.dumps({"impute": seconds, "job": time.process_time() - start, "peak": peak}))

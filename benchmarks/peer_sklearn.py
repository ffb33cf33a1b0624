"""Time scikit-learn's IterativeImputer on the numeric columns. Run as ``peer_sklearn.py FILE M ITERATIONS``."""

import json
import sys
import time
import warnings

import pandas as pd
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer

warnings.filterwarnings("ignore")  # that it has not converged
path, m, iterations = sys.argv[1:4]
numeric = pd.read_pickle(path).select_dtypes("number")
start = time.process_time()
for number in range(int(m)):
    IterativeImputer(sample_posterior=True, max_iter=int(iterations), tol=0, random_state=number).fit_transform(numeric)
print(json.dumps({"impute": time.process_time() - start}))

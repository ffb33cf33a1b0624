"""Time statsmodels' MICEData on the numeric columns. Run as ``peer_statsmodels.py FILE M ITERATIONS``."""

import json
import resource
import sys
import time

import pandas as pd
from analysed import analysed
from statsmodels.imputation.mice import MICEData

path, m, iterations = sys.argv[1:4]
numeric = pd.read_pickle(path).select_dtypes("number")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB here, on macOS bytes
start = time.process_time()
sets = []
for _ in range(int(m)):
    chain = MICEData(numeric)
    chain.update_all(int(iterations))
    sets.append(chain.data)
seconds = time.process_time() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
analysed(sets)
print(json.dumps({"impute": seconds, "job": time.process_time() - start, "peak": peak}))

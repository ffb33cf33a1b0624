"""Time statsmodels' MICEData on the numeric columns. Run as ``peer_statsmodels.py FILE M ITERATIONS``."""

import json
import sys
import time

import pandas as pd
from statsmodels.imputation.mice import MICEData

path, m, iterations = sys.argv[1:4]
numeric = pd.read_pickle(path).select_dtypes("number")
start = time.process_time()
for _ in range(int(m)):
    MICEData(numeric).update_all(int(iterations))
print(json.dumps({"impute": time.process_time() - start}))

"""Time miceforest with its defaults. Run as ``peer_miceforest.py FILE M ITERATIONS``."""

import json
import resource
import sys
import time
import warnings

import miceforest
import pandas as pd
from analysed import analysed

warnings.filterwarnings("ignore")
path, m, iterations = sys.argv[1:4]
frame = pd.read_pickle(path)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB here, on macOS bytes
start = time.process_time()
kernel = miceforest.ImputationKernel(frame, num_datasets=int(m), random_state=1)
kernel.mice(int(iterations), num_threads=1)
seconds = time.process_time() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
analysed(kernel.complete_data(number) for number in range(int(m)))
print(json.dumps({"impute": seconds, "job": time.process_time() - start, "peak": peak}))

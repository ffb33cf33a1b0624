"""Chains and fits on a Dask cluster of separate processes, one of which is killed on the way."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest

import mifit
from support.mixed_kinds import mixed, same

distributed = pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.filterwarnings("default"),  # what Dask and its dependencies warn of is not ours
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here"),
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def killed_after(folder, chains, pid, seen):
    """Kill a process once some chains are finished; note how many there were."""
    for _ in range(3000):
        done = len(list(folder.glob("chain-*.mifit"))) if folder.exists() else 0
        if done >= chains:
            os.kill(pid, signal.SIGKILL)
            seen.append(done)
            return
        time.sleep(0.01)


def test_a_run_survives_the_death_of_a_worker_with_the_same_bits(client, tmp_path):
    frame, words = mixed(), {"formula": "y ~ x * z + g", "m": 8, "iterations": 8, "rng": 7}
    alone = mifit.impute(frame, n_jobs=1, **words)
    seen, folder = [], tmp_path / "chains"
    victim = next(iter(client.run(os.getpid).values()))
    killer = threading.Thread(target=killed_after, args=(folder, 2, victim, seen))
    killer.start()
    with joblib.parallel_config(backend="dask"):
        imp = mifit.impute(frame, checkpoint=folder, **words)
        killer.join()
        assert seen and seen[0] < 8  # in the middle
        same(imp, alone)
        client.wait_for_workers(2, timeout=60)  # with one, joblib works here
        res = imp.fit()
        where = set(imp.map(lambda completed: os.getpid()))
    assert victim not in where and os.getpid() not in where
    np.testing.assert_array_equal(res.params, alone.fit(n_jobs=1).params)
    np.testing.assert_array_equal(res.bse, alone.fit(n_jobs=1).bse)

# %% [markdown]
# # Chains on a cluster
# mifit names no backend: whatever `joblib.parallel_config` says runs the chains, the fits and `imp.map`. Here it is a
# Dask cluster of two processes on this machine; for another, give `Client("scheduler:8786")`. A worker that is lost is
# made up for by the others, and the bits are those of one process. It needs `pip install "mifit[dask]"`.
#
# Processes that start others import this file again: what runs stands under `if __name__ == "__main__":`.

# %%
import os

import joblib

import mifit


def main():
    """Impute and fit on a cluster, and here."""
    from distributed import Client, LocalCluster

    pbc = mifit.datasets.load("pbc")[["albumin", "age", "bili", "hepato", "chol", "copper"]]
    words = {"formula": "albumin ~ age + np.log(bili) * hepato", "m": 8, "rng": 1}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        imp = pbc.mice.impute(**words)
        res = imp.fit()
        processes = set(imp.map(lambda frame: os.getpid()))
    print(res.summary())
    print("other processes than this one:", os.getpid() not in processes)
    print("the same bits as here:", imp.fingerprint == pbc.mice.impute(**words, n_jobs=1).fingerprint)


# %%
if __name__ == "__main__":
    main()

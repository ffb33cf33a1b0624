"""Small trials with repeated measures of which everything is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

WORDS = {"outcome": "y", "visit": "visit", "subject": "id", "arm": "arm", "reference": "placebo"}


def small_trial(n=40, seed=1, stop=0.3):
    """A long frame: numbers everywhere, some stop, one visit is missing in between; all have rows."""
    rng = np.random.default_rng(seed)
    arm = np.repeat(["placebo", "active"], n // 2)
    base = rng.normal(20, 4, n).round(1)
    own = rng.normal(0, 2, n)
    y = own[:, None] + 0.3 * base[:, None] + rng.normal(0, 1.5, (n, 3)) + np.outer(arm == "active", [1.0, 2.0, 3.0])
    last = np.where(rng.random(n) < stop, rng.integers(1, 3, n), 3)
    y = np.where(np.arange(3) < last[:, None], y, np.nan)
    y[np.flatnonzero(last == 3)[0], 1] = np.nan
    rows, visits = np.repeat(np.arange(n), 3), np.tile([1, 2, 3], n)
    return pd.DataFrame({"id": 100 + rows, "visit": visits, "arm": arm[rows], "base": base[rows], "y": y.ravel()})

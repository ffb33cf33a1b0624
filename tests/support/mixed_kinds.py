"""A frame with columns of every kind, analyses of it, and a comparison of imputed sets bit by bit."""

import numpy as np
import pandas as pd


def mixed(n=150, seed=0, share=0.25):
    """Columns of every kind with missing values, one complete; the outcome too has missing values."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(n)
    x = 0.5 * z + rng.standard_normal(n)
    g = np.array(list("abc"))[np.digitize(z + rng.standard_normal(n), [-0.5, 0.6])]
    b = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    c = rng.poisson(np.exp(0.4 + 0.3 * z)).astype(float)
    y = 1 + x + 0.5 * z + 0.3 * x**2 + 0.5 * b + 0.2 * c + (g == "b") + rng.standard_normal(n)
    frame = pd.DataFrame({
        "y": y, "x": x, "g": pd.Categorical(g), "b": b, "c": c, "z": z, "later": y + rng.standard_normal(n)
    })  # fmt: skip
    for name in ("y", "x", "g", "b", "c", "later"):
        frame.loc[rng.random(n) < share, name] = np.nan
    return frame


ASKED = {
    "plain": None,
    "closed form": "y ~ x * z + g + b + c",
    "rejection": "y ~ z + x + I(x**2) + g + b",
    "two values": "b ~ x * z + c",
    "log outcome": "np.log(later) ~ x * z",
}


def same(left, right):
    """Whether two imputed sets hold the same bits."""
    assert left.m == right.m
    for one, other in zip(left, right, strict=True):
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)

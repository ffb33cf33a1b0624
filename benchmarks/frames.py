"""The frames that are timed: made here from a seed, so that every peer sees the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import mifit

__all__ = ["FRAMES", "Timed", "cox_interaction", "holes", "interaction", "logistic_interaction", "mixed"]


def mixed(n: int, numeric: int, binary: int, nominal: int, ordered: int, seed: int) -> pd.DataFrame:
    """Columns of several kinds with common factors; 15 % missing in all but the first, given the first."""
    rng = np.random.default_rng(seed)
    p = numeric + binary + nominal + ordered
    q = max(3, p // 3)
    loadings = rng.normal(size=(p, q)) / np.sqrt(q)
    z = rng.normal(size=(n, q)) @ loadings.T + 0.7 * rng.normal(size=(n, p))
    cut = np.digitize(z, [-0.8, 0.0, 0.9])
    columns: dict[str, object] = {}
    for j in range(p):
        if j < numeric:
            columns[f"x{j}"] = z[:, j] * (j % 3 + 1) + j
        elif j < numeric + binary:
            columns[f"b{j}"] = pd.Categorical(np.where(z[:, j] > 0.3, "yes", "no"))
        elif j < numeric + binary + nominal:
            columns[f"g{j}"] = pd.Categorical(np.array(list("abcd"))[cut[:, j]])
        else:
            columns[f"o{j}"] = pd.Categorical(cut[:, j], ordered=True)
    frame = pd.DataFrame(columns)
    return holes(frame, dict.fromkeys(frame.columns[1:], (z[:, 0], -1.735, 0.5)), rng)


def interaction(n: int, seed: int = 7) -> pd.DataFrame:
    """A linear model with an interaction; both of its covariates incomplete given the outcome."""
    rng = np.random.default_rng(seed)
    x1, x2, z = _covariates(n, rng)
    y = 1 + x1 + x2 + x1 * x2 + 0.5 * z + 1.5 * rng.normal(size=n)
    return holes(pd.DataFrame({"y": y, "x1": x1, "x2": x2, "z": z}), {"x1": (y, -0.8, 0.5), "x2": (y, -0.8, -0.5)}, rng)


def logistic_interaction(n: int, seed: int = 8) -> pd.DataFrame:
    """A logistic model with an interaction; both of its covariates incomplete given the outcome."""
    rng = np.random.default_rng(seed)
    x1, x2, z = _covariates(n, rng)
    linear = -0.5 + 0.8 * x1 + 0.5 * x2 + 0.8 * x1 * x2 + 0.5 * z
    y = (rng.random(n) < 1 / (1 + np.exp(-linear))).astype(float)
    return holes(pd.DataFrame({"y": y, "x1": x1, "x2": x2, "z": z}), {"x1": (y, -0.8, 0.5), "x2": (y, -0.8, -0.5)}, rng)


def cox_interaction(n: int, seed: int = 9) -> pd.DataFrame:
    """Survival times with proportional hazards and an interaction; both of its covariates incomplete given status."""
    rng = np.random.default_rng(seed)
    x1, x2, z = _covariates(n, rng)
    death = rng.exponential(np.exp(-0.5 * x1 - 0.5 * x2 - 0.5 * x1 * x2 - 0.3 * z))
    censoring = rng.exponential(1.5, n)
    d = (death <= censoring).astype(float)
    frame = pd.DataFrame({"t": np.minimum(death, censoring), "d": d, "x1": x1, "x2": x2, "z": z})
    return holes(frame, {"x1": (d, -0.8, 0.5), "x2": (d, -0.8, -0.5)}, rng)


def _covariates(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A number, a binary and a complete number, correlated."""
    x2 = (rng.random(n) < 0.5).astype(float)
    x1 = 0.5 * x2 + rng.normal(size=n)
    return x1, x2, 0.3 * x1 + rng.normal(size=n)


def holes(
    frame: pd.DataFrame, losses: dict[str, tuple[np.ndarray, float, float]], rng: np.random.Generator
) -> pd.DataFrame:
    """Lose values with log odds ``level + slope * score``, the score standardised; a changed copy."""
    frame = frame.copy()
    for name, (score, level, slope) in losses.items():
        z = (score - score.mean()) / score.std()
        frame.loc[rng.random(len(frame)) < 1 / (1 + np.exp(-level - slope * z)), name] = np.nan
    return frame


@dataclass(frozen=True)
class Timed:
    """One row of the table: a frame, how much is asked, and who else can do it."""

    make: Callable[[], pd.DataFrame]
    m: int
    iterations: int
    formula: str = ""  #: the analysis; none means plain chained equations
    keywords: dict[str, str] = field(default_factory=dict)  #: its model and what else it is given
    peers: tuple[str, ...] = ("mice", "sklearn", "statsmodels", "miceforest")


FRAMES = {
    "small": Timed(lambda: mixed(2_000, 5, 1, 1, 1, 1), 5, 5),
    "medium": Timed(lambda: mixed(20_000, 20, 2, 2, 1, 2), 2, 2),
    "large": Timed(lambda: mixed(200_000, 30, 0, 0, 0, 3), 2, 1),
    "wide": Timed(lambda: mixed(2_000, 150, 0, 0, 0, 4), 2, 2),
    "nhanes2": Timed(lambda: mifit.datasets.load("nhanes2"), 20, 10, "chl ~ age + bmi", peers=("mice",)),
    "interaction": Timed(lambda: interaction(1_000), 5, 10, "y ~ x1 * x2 + z", peers=("smcfcs",)),
    "interaction, 20,000": Timed(lambda: interaction(20_000), 2, 5, "y ~ x1 * x2 + z", peers=("smcfcs",)),
    "logistic": Timed(lambda: logistic_interaction(1_000), 5, 10, "y ~ x1 * x2 + z", {"model": "logit"}, ("smcfcs",)),
    "cox": Timed(
        lambda: cox_interaction(1_000), 5, 10, "t ~ x1 * x2 + z", {"model": "phreg", "status": "d"}, ("smcfcs",)
    ),
}

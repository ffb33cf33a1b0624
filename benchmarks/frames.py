"""The frames that are timed: made here from a seed, so that every peer sees the same one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import mifit

__all__ = ["FRAMES", "Timed", "cohort", "cox_interaction", "holes", "interaction", "logistic_interaction", "mixed"]


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


def cohort(n: int, auxiliaries: int, seed: int = 10) -> pd.DataFrame:
    """An event, eight covariates of mixed kinds, and further columns that share their factors.

    The event depends on an interaction of smoking with body mass. Of ten auxiliaries five are numbers, one of them
    skewed, two have two values, one three levels, one is a count, one ordered. About 12 % are missing in all but three
    columns, more often with age and after the event.
    """
    rng = np.random.default_rng(seed)
    f = rng.normal(size=(n, 6))

    def levels(values: np.ndarray, cuts: list[float], labels: str = "") -> pd.Categorical:
        codes = np.digitize(values, cuts)
        return pd.Categorical(np.array(list(labels))[codes]) if labels else pd.Categorical(codes, ordered=True)

    frame = pd.DataFrame({"age": (55 + 9 * f[:, 0]).round(), "female": levels(rng.normal(size=n), [0.0], "ny")})
    frame["smoker"] = levels(f[:, 2] + rng.normal(size=n), [0.8], "ny")
    frame["bmi"] = np.exp(3.25 + 0.16 * f[:, 1])
    frame["sbp"] = 125 + 5 * f[:, 0] + 8 * f[:, 4] + 8 * rng.normal(size=n)
    frame["o_school"] = levels(f[:, 5] + rng.normal(size=n), [-1.0, 0.3, 1.5])
    frame["visits"] = rng.poisson(np.exp(0.4 + 0.4 * f[:, 3])).astype(float)
    frame["region"] = levels(f[:, 2] + rng.normal(size=n), [-0.9, 0.0, 0.9], "nesw")
    smokes = (frame["smoker"] == "y").to_numpy()
    linear = -1 + 0.4 * f[:, 0] + 0.3 * f[:, 1] + 0.4 * smokes + 0.4 * smokes * f[:, 1]
    frame["event"] = (rng.random(n) < 1 / (1 + np.exp(-linear))).astype(float)
    more: dict[str, object] = {}
    for j in range(auxiliaries):
        x = 0.6 * f[:, j % 6] + 0.8 * rng.normal(size=n)
        kind = "xxxbgxxbko"[j % 10]
        more[f"{kind}{j}"] = {
            "x": lambda x=x, j=j: 10 * np.exp(0.5 * x) if j % 10 == 5 else x,
            "b": lambda x=x: levels(x, [0.3], "ny"),
            "g": lambda x=x: levels(x, [-0.5, 0.5], "abc"),
            "k": lambda x=x: rng.poisson(np.exp(0.3 + 0.5 * x)).astype(float),
            "o": lambda x=x: levels(x, [-0.6, 0.2, 0.9]),
        }[kind]()
    frame = pd.concat([frame, pd.DataFrame(more)], axis=1)
    score = 0.8 * f[:, 0] + (frame["event"] == 1)
    return holes(frame, dict.fromkeys(frame.columns.drop(["age", "female", "event"]), (score, -2.1, 0.5)), rng)


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
    chained: bool = False  #: whether mifit's plain chained equations of the same frame have a row too


_EVENT = "event ~ age + female + smoker * bmi + sbp + o_school + visits + region"


def _cohort(n: int, auxiliaries: int, iterations: int = 5) -> Timed:
    """The cohort with so many auxiliaries."""
    return Timed(
        lambda: cohort(n, auxiliaries), 2, iterations, _EVENT, {"model": "logit"}, ("mice",) if n < 5_000 else (), True
    )


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
    **{f"cohort, {many}": _cohort(2_000, many) for many in (0, 10, 20, 50, 100)},
    **{f"cohort, {many}, 20,000": _cohort(20_000, many, 2) for many in (20, 50, 100)},
}

"""Linear analyses with errors of many kinds: bias and coverage of imputations under the declared and the learned law.

Run ``python benchmarks/error_laws.py --frames 60`` for the table of the documentation; ``--only log-normal`` for a row.
Every frame has n rows; a covariate is missing in about 40 % of them, more often where the outcome is high. Bias is
that of an estimate less the estimate of the same frame before the losses, in per cent of the truth, with its
Monte-Carlo error; coverage that of 95 % intervals of the truth.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

import mifit

Rng = np.random.Generator


class Kind(NamedTuple):
    """A world: its analysis, the true coefficients, and how an outcome is drawn given two covariates."""

    formula: str
    truth: dict[str, float]
    outcome: Callable[[np.ndarray, np.ndarray, Rng], np.ndarray]


LINE = {"Intercept": 1.0, "x1": 1.0, "x2": 1.0}
_DIGITS = {"bias": 1, "mc": 1, "covers": 0, "full": 0, "learned": 2, "spread": 2, "ms": 0}
CROSSED = {**LINE, "x1:x2": 0.5}


def _additive(errors: Callable[[Rng, int], np.ndarray]) -> Kind:
    """Main effects, and errors that do not depend on them."""
    return Kind("y ~ x1 + x2", LINE, lambda x1, x2, rng: 1 + x1 + x2 + 1.5 * errors(rng, len(x1)))


def _crossed(spread: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Kind:
    """An interaction, and normal errors of unequal spread."""
    return Kind(
        "y ~ x1 * x2", CROSSED,
        lambda x1, x2, rng: 1 + x1 + x2 + 0.5 * x1 * x2 + spread(x1, x2) * rng.standard_normal(len(x1)),
    )  # fmt: skip


def _log_normal(rng: Rng, n: int) -> np.ndarray:
    return (np.exp(rng.standard_normal(n)) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def _outliers(rng: Rng, n: int) -> np.ndarray:
    return np.where(rng.random(n) < 0.03, 8.0, 1.0) * rng.standard_normal(n)


def _gamma(x1: np.ndarray, x2: np.ndarray, rng: Rng) -> np.ndarray:
    mean = np.maximum(4 + 0.8 * x1 + 0.8 * x2, 0.3)
    return mean * rng.gamma(4, size=len(x1)) / 4


KINDS = {
    "normal": _additive(lambda rng, n: rng.standard_normal(n)),
    "log-normal": _additive(_log_normal),
    "exponential": _additive(lambda rng, n: rng.exponential(size=n) - 1),
    "skewness 1": _additive(lambda rng, n: (rng.gamma(4, size=n) - 4) / 2),
    "3 % outliers": _additive(_outliers),
    "t, 3 df": _additive(lambda rng, n: rng.standard_t(3, size=n) / np.sqrt(3)),
    "spread with x2": _crossed(lambda x1, x2: np.exp(0.5 * x2)),
    "spread with x1": _crossed(lambda x1, x2: np.exp(0.4 * x1)),
    "gamma, shape 4": Kind("y ~ x1 + x2", {"Intercept": 4.0, "x1": 0.8, "x2": 0.8}, _gamma),
}


def frames(kind: Kind, seed: list[int], n: int, both: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A frame before and after its losses."""
    rng = np.random.default_rng(seed)
    x2 = rng.standard_normal(n)
    x1 = 0.5 * x2 + np.sqrt(0.75) * rng.standard_normal(n)
    full = pd.DataFrame({"y": kind.outcome(x1, x2, rng), "x1": x1, "x2": x2})
    height = ((full["y"] - full["y"].mean()) / full["y"].std()).to_numpy()
    lost = full.copy()
    lost.loc[rng.random(n) < 1 / (1 + np.exp(0.45 - height - 0.3 * x2 * (not both))), "x1"] = np.nan
    if both:
        lost.loc[rng.random(n) < 1 / (1 + np.exp(1.2 - height)), "x2"] = np.nan
    return full, lost


def row(name: str, law: str, many: int, n: int, m: int, both: bool) -> pd.DataFrame:
    """Bias, coverage and time of one world under one law."""
    kind, errors, covered, full_covered, spent, forms = KINDS[name], [], [], [], 0.0, []
    truth = pd.Series(kind.truth)
    for seed in range(many):
        full, lost = frames(kind, [20, seed, len(name)], n, both)
        known = smf.ols(kind.formula, full).fit()
        start = time.process_time()
        imp = lost.mice.impute(kind.formula, m=m, rng=seed, error_law=law)
        spent += time.process_time() - start
        found = imp.fit()
        errors.append(100 * (found.params - known.params)[truth.index] / truth)
        covered.append(_holds(found.conf_int(), truth))
        full_covered.append(_holds(known.conf_int(), truth))
        forms.append(imp.plan.factors[0].law.form)
    bias = pd.DataFrame(errors)
    return pd.DataFrame({
        "errors": name, "law": law, "term": truth.index, "bias": bias.mean().to_numpy(),
        "mc": (bias.std() / np.sqrt(many)).to_numpy(), "covers": 100 * np.mean(covered, axis=0),
        "full": 100 * np.mean(full_covered, axis=0), "learned": np.mean([form != "declared" for form in forms]),
        "spread": np.mean([form == "learned, with spread" for form in forms]), "ms": 1000 * spent / many,
    })  # fmt: skip


def _holds(interval: pd.DataFrame, truth: pd.Series) -> np.ndarray:
    """Whether intervals hold the truth."""
    found = interval.loc[truth.index].to_numpy()
    return (found[:, 0] <= truth.to_numpy()) & (truth.to_numpy() <= found[:, 1])


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--frames", type=int, default=60)
    words.add_argument("--n", type=int, default=500)
    words.add_argument("--m", type=int, default=5)
    words.add_argument("--only", nargs="*", default=list(KINDS))
    words.add_argument("--laws", nargs="*", default=["declared", "auto"])
    words.add_argument("--both", action="store_true", help="x2 is incomplete too")
    given = words.parse_args()
    print(f"mifit {mifit.__version__}, {given.frames} frames of {given.n} rows, m = {given.m}", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in given.only:
            for law in given.laws:
                found = row(name, law, given.frames, given.n, given.m, given.both)
                first = name == given.only[0] and law == given.laws[0]
                print(found.round(_DIGITS).to_string(index=False, header=first), flush=True)


if __name__ == "__main__":
    main()

"""Analyses beside 20 and 40 columns of mixed kinds that tell of the covariates and of where they are missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from support.scenarios import Loss, Scenario, expit
from support.scenarios_likelihoods import LIKELIHOODS
from support.scenarios_linear import LINEAR

__all__ = ["BASES", "WITH_AUXILIARIES", "with_auxiliaries"]

_KINDS = "nbngnnknbn"  # of ten columns: numbers, levels, a count


def _tells(frame: pd.DataFrame) -> np.ndarray:
    """What the columns know of the outcome, shape (n,): the event, the value, the place of the level; standardised."""
    outcome = frame["died"] if "died" in frame else frame["y"]
    values = outcome.cat.codes if isinstance(outcome.dtype, pd.CategoricalDtype) else outcome
    z = np.asarray(values, dtype=float)
    return (z - z.mean()) / z.std()


def _columns(frame: pd.DataFrame, many: int, rng: np.random.Generator) -> pd.DataFrame:
    """A general location model given the analysis: levels and counts first, then numbers given those.

    Half of the columns tell much of x1 or x2, the others little.
    """
    loading = np.random.default_rng(many)  # the same in every frame
    x = np.column_stack([frame["x1"], frame["x2"], _tells(frame)])
    found: dict[str, Any] = {}
    for j in sorted(range(many), key=lambda j: _KINDS[j % 10] == "n"):
        kind, strength = _KINDS[j % 10], 0.8 if j % 2 == 0 else 0.15
        slopes = strength * loading.permutation([1.0, 0.4, 0.3]) * loading.choice([-1.0, 1.0], 3)
        linear = x @ slopes
        if kind == "n":
            levels = [values for name, values in found.items() if name[0] == "b"]
            found[f"n{j}"] = linear + 0.4 * sum(levels[:2]) + rng.normal(size=len(x))
        elif kind == "b":
            found[f"b{j}"] = (rng.random(len(x)) < expit(linear)).astype(float)
        elif kind == "k":
            found[f"k{j}"] = rng.poisson(np.exp(0.5 + 0.5 * linear)).astype(float)
        else:
            score = np.column_stack([0 * linear, linear, -linear]) + rng.gumbel(size=(len(x), 3))
            found[f"g{j}"] = pd.Categorical.from_codes(np.argmax(score, axis=1), list("pqr"))
    return pd.DataFrame(found)


def _score(frame: pd.DataFrame) -> np.ndarray:
    """What makes x1 and x2 missing: a complete auxiliary, where there is one, and the outcome."""
    if "n0" not in frame:
        return _tells(frame)
    z = np.asarray(frame["n0"])
    return (z - z.mean()) / z.std() + 0.5 * _tells(frame)


def with_auxiliaries(scenario: Scenario, many: int, n_rows: int, more: float = 0.0) -> Scenario:
    """A scenario whose covariates are missing depending on a column outside the analysis.

    The other such columns are incomplete by chance. x1 lacks about 35 % of its values, x2 27 %; ``more`` adds to the
    log odds of that.
    """

    def complete(rng: np.random.Generator, n: int) -> pd.DataFrame:
        frame = scenario.complete(rng, n)
        return pd.concat([frame, _columns(frame, many, rng)], axis=1)

    names = complete(np.random.default_rng(0), 50).columns
    lost = {name: Loss(_tells, -2.2, 0.0) for name in names if name[0] in "nbgk" and name != "n0"}
    losses = {"x1": Loss(_score, more - 0.7, 0.8), "x2": Loss(_score, more - 1.1, -0.8), **lost}
    return replace(scenario, complete=complete, losses=losses, n_rows=n_rows)


BASES = {
    "logit": LIKELIHOODS["logistic interaction, continuous partner incomplete"],
    "OLS": LINEAR["linear interaction, continuous partner incomplete"],
    "Cox": LIKELIHOODS["Cox interaction, both incomplete, 60 % censored"],
    "ordinal": LIKELIHOODS["ordinal interaction, both incomplete"],
}
WITH_AUXILIARIES = {
    f"{name}, {many} auxiliaries": with_auxiliaries(base, many, 1_000)
    for many in (20, 40)
    for name, base in BASES.items()
}

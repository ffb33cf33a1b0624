"""Values of a variable whose own model is a mixture of normals: component and value drawn together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...typing import Array, Rows
from ..methods.mixture import MixtureFitted
from ..numerics.mixture import pick
from .likelihood_terms import ScoresValues

__all__ = ["draw_own_mixture"]

PROPOSALS = 8  #: for each row; what still waits is then drawn with the component of its current value given

Score = Callable[[Sequence[ScoresValues], Rows, Array], Array]


def draw_own_mixture(
    own: MixtureFitted, X: Array, multiplied: Sequence[Any], others: Sequence[ScoresValues], score: Score,
    rng: np.random.Generator,
) -> tuple[Array, npt.NDArray[np.bool_], int] | None:  # fmt: skip
    """Draw component and value of each row together, so that no row is held by the component of its current value.

    Given its component a row is normal, and so is its product with terms that are normal and affine in the variable.
    The component's weight is its share times the integral of that product; what else is known accepts or rejects.

    Parameters
    ----------
    own : MixtureFitted
    X : ndarray, shape (n_mis, p)
        Predictors of the own factor.
    multiplied : sequence of LikelihoodTerm
        Terms that are normal in a linear predictor affine in the variable.
    others : sequence of LikelihoodTerm
    score : callable
        Sum of terms, at most 0, of some rows at some values.
    rng : Generator

    Returns
    -------
    (values, drawn, tried) : ndarray, shape (n_mis,), ndarray of bool, shape (n_mis,), and int
        Rows that are not drawn had no accepted proposal. None where a term has no finite information.
    """
    found = _components(own, X, multiplied, score)
    if found is None:
        return None
    height, mean, sd = found
    n = len(X)
    values, drawn, waiting, tried = np.zeros(n), np.zeros(n, dtype=bool), np.arange(n), 0
    for _ in range(PROPOSALS if others else 1):
        label = pick(height[:, waiting], rng)
        value = mean[label, waiting] + sd[label, waiting] * rng.standard_normal(len(waiting))
        good = np.isfinite(value)
        if others:
            good &= -rng.standard_exponential(len(waiting)) < score(others, waiting, value)
        values[waiting[good]], drawn[waiting[good]] = value[good], True
        tried += len(waiting)
        waiting = waiting[~good]
        if not len(waiting):
            break
    return values, drawn, tried if others else 0


def _components(
    own: MixtureFitted, X: Array, multiplied: Sequence[Any], score: Score
) -> tuple[Array, Array, Array] | None:
    """Log weight, mean and standard deviation of each component's product with the terms, each (K, n_mis)."""
    n, every = len(X), np.arange(len(X))
    heights, means, sds = [], [], []
    for component, share in enumerate(own.law.weight):
        mean, sd = own.of(X, np.full(n, component)).mean_sd(X)
        unit = float(np.max(sd, initial=0.0))
        known = [one for term in multiplied if (one := term.information(own.backward, mean, unit)) is not None]
        if unit == 0.0 or len(known) < len(multiplied):
            return None
        precision, pull = (sum((one[k] for one in known), np.zeros(n)) for k in (0, 1))
        variance = 1.0 / (1.0 / sd**2 + precision)
        with np.errstate(divide="ignore"):
            height = np.log(share) + 0.5 * np.log(variance / sd**2) + 0.5 * pull**2 * variance
        heights.append(height + (score(multiplied, every, mean) if multiplied else 0.0))
        means.append(mean + variance * pull)
        sds.append(np.sqrt(variance))
    return np.array(heights), np.array(means), np.array(sds)

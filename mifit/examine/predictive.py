"""Observed values among values redrawn by their model: ranks, and in what respect they are not like these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..typing import Array

__all__ = [
    "ALONG", "MOMENTS", "Departure", "Difference", "adjusted_difference", "departures", "mean_departure",
    "normal_scores", "ranks",
]  # fmt: skip

#: in what respects observed values are compared with redrawn ones: as they are, and along another column
MOMENTS = ("shifted", "another spread", "skewed", "other tails")
ALONG = ("another slope of {}", "curved in {}", "spread changes with {}")


_NOTHING = 1e-9  # a spread below which replicates do not differ


class Departure(NamedTuple):
    """Observed values in one respect, among redrawn ones."""

    size: Array  #: (r,) observed less redrawn, in the units of a standardised moment or of a correlation
    spread: Array  #: (r,) standard deviation of the same between replicates

    @property
    def z(self) -> Array:
        """Departures in standard deviations, shape (r,)."""
        return np.divide(self.size, self.spread, out=np.zeros_like(self.size), where=self.spread > _NOTHING)


class Difference(NamedTuple):
    """Imputed less observed, in standard deviations, given the probability of a missing value."""

    raw: float  #: without regard to it
    adjusted: float
    variance: float  #: of the adjusted one


def ranks(observed: Array, redrawn: Array, rng: np.random.Generator) -> Array:
    """Probability integral transform of each value among the redrawn ones of its cell, and of these among the others.

    Parameters
    ----------
    observed : ndarray, shape (n,)
    redrawn : ndarray, shape (n, d)
    rng : Generator
        Breaks ties, so that ranks are uniform for categories and counts too.

    Returns
    -------
    ndarray, shape (n, d + 1)
        In (0, 1); the first column is of the observed values. Uniform if the model is right.

    Examples
    --------
    >>> ranks(np.array([5.0]), np.array([[1.0, 2.0, 3.0]]), np.random.default_rng(1)).round(2)
    array([[0.83, 0.11, 0.46, 0.6 ]])
    """
    both = np.column_stack([observed, redrawn])
    order = np.lexsort((rng.random(both.shape), both), axis=1)
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.arange(both.shape[1])[None, :], axis=1)
    return np.asarray((place + rng.random(both.shape)) / both.shape[1])


def normal_scores(shares: Array) -> Array:
    """Shares in (0, 1) as normal quantiles, of the same shape."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(shares, 1e-9, 1 - 1e-9)))


def departures(shares: Array, given: Array) -> Departure:
    """Say in what respects the observed values are not like redrawn ones.

    Parameters
    ----------
    shares : ndarray, shape (n, d + 1)
        What :func:`ranks` returns.
    given : ndarray, shape (n, q)
        What the values may depend on: their expectation, other columns.

    Returns
    -------
    Departure
        4 + 3 q entries: the first four Hermite moments of the normal scores (``MOMENTS``), then for each column that
        is given (``ALONG``) the correlations of the first moment with it and with its square, and of the second with
        it.

    Notes
    -----
    The reference is the same figure of each replicate among the others: a posterior predictive check. The parameters
    were estimated from the observed values too, so that it alarms less often than its level says.

    References
    ----------
    Gelman, A., Meng, X.-L. and Stern, H. (1996). Posterior predictive assessment of model fitness via realized
    discrepancies. *Statistica Sinica* 6(4), 733-760.
    """
    z = normal_scores(shares)
    second = (z**2 - 1) / np.sqrt(2)
    found = [z.mean(axis=0), second.mean(axis=0), ((z**3 - 3 * z) / np.sqrt(6)).mean(axis=0)]
    found.append(((z**4 - 6 * z**2 + 3) / np.sqrt(24)).mean(axis=0))
    for column in given.T:
        along = _standard(column)
        square = _standard(along**2 - along * np.mean(along**3))
        found += [along @ z / len(z), square @ z / len(z), along @ second / len(z)]
    each = np.array(found)
    return Departure(each[:, 0] - each[:, 1:].mean(axis=1), each[:, 1:].std(axis=1, ddof=1))


def mean_departure(sets: Sequence[Departure]) -> Departure:
    """Return the mean over sets; its spread is that of one set, for the sets share what was observed."""
    size = np.mean([one.size for one in sets], axis=0)
    return Departure(size, np.sqrt(np.mean([one.spread**2 for one in sets], axis=0)))


def _standard(values: Array) -> Array:
    """Values with mean 0 and variance 1; all 0 where they do not differ."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def adjusted_difference(values: Array, imputed: npt.NDArray[np.bool_], log_odds: Array) -> Difference:
    r"""Compare imputed with observed values that were equally likely to be missing.

    Parameters
    ----------
    values : ndarray, shape (n,)
    imputed : ndarray of bool, shape (n,)
    log_odds : ndarray, shape (n,)
        Of being missing, given all other columns.

    Returns
    -------
    Difference
        In standard deviations of the observed values.

    Notes
    -----
    If values are missing at random and drawn from the right model, whether a value is imputed does not matter given the
    probability of its being missing. The adjusted difference is the coefficient of the mark "imputed" in a regression
    on it and on a cubic of the log odds, its variance by the sandwich.

    References
    ----------
    Bondarenko, I. and Raghunathan, T. (2016). Graphical and numerical diagnostic tools to assess suitability of
    multiple imputations and imputation models. *Statistics in Medicine* 35(17), 3007-3020. doi:10.1002/sim.6926
    """
    observed = values[np.logical_not(imputed)]
    spread = observed.std()
    if not spread > 0:
        return Difference(np.nan, np.nan, np.nan)
    y = (values - observed.mean()) / spread
    along = _standard(np.clip(log_odds, *np.quantile(log_odds, [0.005, 0.995])))
    X = np.column_stack([imputed, np.ones(len(y)), along, along**2, along**3])
    inverse = np.linalg.pinv(X.T @ X)
    coef = inverse @ (X.T @ y)
    meat = X * (y - X @ coef)[:, None]
    variance = (inverse @ (meat.T @ meat) @ inverse)[0, 0]
    return Difference(float(y[imputed].mean()), float(coef[0]), float(variance))

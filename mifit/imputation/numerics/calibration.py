"""Calibration of predicted probabilities: what a classifier says of rows it has not seen, against what they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array

__all__ = ["Calibration", "calibrated"]

_STEPS = 50  # Newton steps at most; the log posterior is concave
_CLOSE = 1e-8  # the squared Newton decrement at which they end
_INTERCEPT_SD = 1.0  # prior: e times as likely as was said, or as unlikely
_SLOPE_SD = 0.5  # prior: twice as sure as it may be, or half as sure, about 1


class Calibration(NamedTuple):
    """Drawn corrections of log probabilities."""

    intercepts: Array  #: (K,)
    slope: float

    def log_probabilities(self, said: Array) -> Array:
        """Corrected log probabilities, shape (n, K), of the log probabilities that were predicted."""
        eta = self.intercepts + self.slope * said
        eta = eta - eta.max(axis=1, keepdims=True)
        return np.asarray(eta - np.log(np.exp(eta).sum(axis=1, keepdims=True)))


def calibrated(said: Array, codes: npt.NDArray[np.int64], rng: np.random.Generator) -> Calibration:
    r"""Draw the calibration of a classifier from its posterior.

    Parameters
    ----------
    said : ndarray, shape (n, K)
        Finite log probabilities, predicted for rows that the classifier was not fitted on.
    codes : ndarray of int, shape (n,)
        Their levels.
    rng : Generator

    Returns
    -------
    Calibration
        A draw from the normal approximation of the posterior.

    Notes
    -----
    log P(level k) = a_k + b log p_k + constant, with priors a_k ~ N(0, 1) and b ~ N(1, 0.5²): without rows the
    classifier is believed. For two levels this is the sigmoid of Platt (1999).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> truth = np.clip(rng.random(20_000), 0.02, 0.98)
    >>> boast = truth**3 / (truth**3 + (1 - truth) ** 3)  # three times as sure as it may be
    >>> said = np.log(np.column_stack([1 - boast, boast]))
    >>> abs(calibrated(said, (rng.random(20_000) < truth).astype(int), rng).slope - 1 / 3) < 0.05
    True
    """
    n, levels = said.shape
    seen = np.zeros((n, levels))
    seen[np.arange(n), codes] = 1.0
    centre, precision = np.append(np.zeros(levels), 1.0), np.append(np.full(levels, _INTERCEPT_SD**-2), _SLOPE_SD**-2)
    theta, value = centre.copy(), _log_posterior(centre, said, seen, centre, precision)
    hessian = np.diag(precision)
    for _ in range(_STEPS):
        p = np.exp(Calibration(theta[:-1], theta[-1]).log_probabilities(said))
        mean = (p * said).sum(axis=1)
        gradient = np.append((seen - p).sum(axis=0), ((seen - p) * said).sum()) - precision * (theta - centre)
        hessian = np.diag(precision)
        hessian[:-1, :-1] += np.diag(p.sum(axis=0)) - p.T @ p
        hessian[:-1, -1] = hessian[-1, :-1] = (p * (said - mean[:, None])).sum(axis=0)
        hessian[-1, -1] += (p * (said - mean[:, None]) ** 2).sum()
        step = np.linalg.solve(hessian, gradient)
        length = 1.0
        while (found := _log_posterior(theta + length * step, said, seen, centre, precision)) < value and length > 1e-6:
            length /= 2
        if found > value:
            theta, value = theta + length * step, found
        if gradient @ step < _CLOSE or length <= 1e-6:
            break
    factor = np.linalg.cholesky(hessian)
    theta = theta + np.linalg.solve(factor.T, rng.standard_normal(levels + 1))
    return Calibration(theta[:-1], float(theta[-1]))


def _log_posterior(theta: Array, said: Array, seen: Array, centre: Array, precision: Array) -> float:
    """Log likelihood of the levels, and the prior."""
    fitted = Calibration(theta[:-1], theta[-1]).log_probabilities(said)
    return float((seen * fitted).sum() - 0.5 * (precision * (theta - centre) ** 2).sum())

"""The probability that a value is missing, by logistic regression that is finite whatever the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from ..frame.kinds import Kind
from ..imputation.contract import Visit
from ..imputation.methods import Logistic
from ..typing import Array

__all__ = ["ResponseModel", "response_model"]


class ResponseModel(NamedTuple):
    """A logistic regression with Firth's penalty."""

    coef: Array  #: (p + 1,) the constant first; 0 of a column that follows from those before it
    error: Array  #: (p + 1,) standard errors; NaN of such a column

    def probability(self, X: Array) -> Array:
        """Probability of a 1 for rows without the constant, shape (n,)."""
        return np.asarray(expit(self.coef[0] + X @ self.coef[1:]))


def response_model(marked: Array, X: Array) -> ResponseModel:
    """Fit a logistic regression with Firth's penalty.

    Parameters
    ----------
    marked : ndarray, shape (n,)
        0 or 1, both present.
    X : ndarray, shape (n, p)
        Without a constant; columns near 1 in size.

    Returns
    -------
    ResponseModel

    References
    ----------
    Heinze, G. and Schemper, M. (2002). A solution to the problem of separation in logistic regression. *Statistics in
    Medicine* 21(16), 2409-2419. doi:10.1002/sim.1047

    Examples
    --------
    >>> response_model(np.array([0.0, 0, 1, 1]), np.array([[0.0], [0], [1], [1]])).coef.round(3)  # separated
    array([-1.609,  3.219])
    """
    design = np.column_stack([np.ones(len(X)), X])
    visit = Visit(marked, design, np.arange(design.shape[1]), Kind.BINARY, n_levels=2)
    warm = Logistic(firth=True).fit(visit, np.random.default_rng(0)).warm
    coef, error = np.zeros(design.shape[1]), np.full(design.shape[1], np.nan)
    coef[warm.kept] = warm.estimate
    share = expit(design @ coef)
    kept = design[:, warm.kept] * np.sqrt(share * (1 - share))[:, None]
    error[warm.kept] = np.sqrt(np.diag(np.linalg.pinv(kept.T @ kept)))
    return ResponseModel(coef, error)

"""Normal priors on the coefficients of a model: the log-likelihood becomes a log posterior."""

from __future__ import annotations

import numpy as np

from ...typing import Array
from .newton import Likelihood

__all__ = ["WEAK", "normal_prior", "weak_prior"]

WEAK = 2.5  #: standard deviation of the weak prior, per standard deviation of a column (Gelman et al. 2008)


def normal_prior(likelihood: Likelihood, precision: Array) -> Likelihood:
    """Multiply a likelihood by independent normal priors around 0.

    Parameters
    ----------
    likelihood : callable
        As :func:`~mifit.imputation.numerics.newton.maximise` takes it, in q parameters.
    precision : ndarray, shape (r,)
        One over the prior variance of each of the first r <= q parameters; 0 for no prior. The others have none.

    Returns
    -------
    callable
        Log posterior without its constant, its gradient and its Hessian.
    """
    first = np.arange(len(precision))

    def posterior(theta: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = likelihood(theta)
        beta = theta[: len(precision)]
        gradient[first] -= precision * beta
        hessian[first, first] -= precision
        return value - float(precision @ (beta * beta)) / 2, gradient, hessian

    return posterior


def weak_prior(likelihood: Likelihood, X: Array, constant: bool = True) -> Likelihood:
    """Give every slope a weak normal prior, so that it is finite where the likelihood alone has no maximum.

    Parameters
    ----------
    likelihood : callable
        Its first parameters are the coefficients of the design.
    X : ndarray, shape (n_fit, q)
        The design.
    constant : bool, default True
        Whether its first column is the constant, which has no prior.

    References
    ----------
    Gelman, A., Jakulin, A., Pittau, M. G. and Su, Y.-S. (2008). A weakly informative default prior distribution for
    logistic and other regression models. *Annals of Applied Statistics* 2(4), 1360-1383. doi:10.1214/08-AOAS191
    """
    precision = (X.std(axis=0) / WEAK) ** 2
    if constant:
        precision[0] = 0.0
    return normal_prior(likelihood, precision)

"""How far a fit is from its optimum: the score of each model, in units of standard errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..typing import Array
from .job import Job
from .mixed_maximum import distance as mixed_distance
from .mixed_maximum import fit_of
from .models import MODELS
from .ordered import DISTRIBUTIONS, information, score
from .parameters import Reading, cut_points_of, hazard_scores

__all__ = ["SETTLED", "curvature", "distance", "height", "information_of", "log_odds", "params_of", "slope"]


#: squared distance to the optimum, in squared standard errors, that counts as none
SETTLED = 1e-6

#: a step of least squares below this share of every coefficient, or of the outcome, is rounding
_ROUNDING = 1e-9


def distance(result: Any, job: Job, reading: Reading) -> float:
    r"""Squared distance of a fit from the optimum of its criterion, in squared standard errors.

    An optimizer's own word for having converged depends on the units of the columns, and some give none.

    Parameters
    ----------
    result : statsmodels results
        Of the job, with its model attached.
    job : Job
    reading : Reading
        What the result says.

    Returns
    -------
    float
        For a likelihood :math:`s' V s`, s the score and V the inverse information. For an estimating equation the
        same with its own solution's step; for a quantile regression the least over the subgradients within a
        thousandth of a standard error. NaN where any of this is no number.

    References
    ----------
    Boyd, S. and Vandenberghe, L. (2004). *Convex Optimization*. Cambridge University Press, section 9.5.1.
    """
    kind = MODELS[job.model].equation
    with np.errstate(all="ignore"):
        try:
            return float(_DISTANCES[kind](result, job, reading))
        except (ArithmeticError, ValueError, np.linalg.LinAlgError):
            return float("nan")


def params_of(result: Any) -> Array:
    """Return the parameters as statsmodels' score takes them: level by level, of a conditional model term by term."""
    by_term = type(result.model).__name__ == "ConditionalMNLogit"
    return np.ravel(np.asarray(result.params, dtype=np.float64), order="C" if by_term else "F")


def height(model: Any, job: Job, params: Array) -> float:
    """Return what a likelihood model maximises; minus half the deviance of a family whose dispersion is free."""
    if MODELS[job.model].equation == "family":
        mean = model.predict(params)
        return -float(model.family.deviance(model.endog, mean, model.var_weights, model.freq_weights, 1.0)) / 2
    return float(model.loglike(params))


def slope(model: Any, job: Job, params: Array) -> Array:
    """Return the derivative of ``height``, shape (q,)."""
    found = model.score(params, scale=1.0) if MODELS[job.model].equation == "family" else model.score(params)
    return np.ravel(np.asarray(found, dtype=np.float64))


def curvature(model: Any, job: Job, params: Array) -> Array:
    """Return minus the second derivatives of ``height``, shape (q, q)."""
    found = model.hessian(params, scale=1.0) if MODELS[job.model].equation == "family" else model.hessian(params)
    matrix = -np.asarray(found, dtype=np.float64)
    return (matrix + matrix.T) / 2


def information_of(result: Any, job: Job) -> Array:
    """Return the inverse information at a result, shape (q, q), whatever covariance statsmodels attached."""
    spec = MODELS[job.model]
    if spec.equation == "estimating equations":
        return np.asarray(result.cov_naive, dtype=np.float64)
    found = getattr(getattr(result, "_results", result), "normalized_cov_params", None)
    params = params_of(result)
    if spec.facts.hazard or spec.facts.ordered or found is None or np.shape(found) != (len(params), len(params)):
        return np.asarray(np.linalg.inv(curvature(result.model, job, params)), dtype=np.float64)
    return np.asarray(found, dtype=np.float64) * (float(result.scale) if spec.equation == "family" else 1.0)


def log_odds(result: Any) -> Array | None:
    """Return the log odds of a binomial family's fitted means, (n,): another link is at its end long before them."""
    if type(getattr(result.model, "family", None)).__name__ != "Binomial":
        return None
    mean = np.clip(np.asarray(result.fittedvalues, dtype=np.float64), 1e-300, 1 - 1e-16)
    return np.log(mean) - np.log1p(-mean)


def _likelihood(result: Any, job: Job, reading: Reading) -> float:
    """Return s'Vs from the model's own score; of the coefficients alone where a dispersion is at its boundary."""
    model, params, spec = result.model, params_of(result), MODELS[job.model]
    # our own score of a Cox model takes a fifth of the time of statsmodels'
    s = hazard_scores(result, job).sum(axis=0) if spec.facts.hazard else slope(model, job, params)
    usable = spec.likelihood != "choice" and job.clusters is None
    inverse = getattr(getattr(result, "_results", result), "normalized_cov_params", None) if usable else None
    if inverse is None or np.shape(inverse) != (len(s), len(s)):
        inverse = np.linalg.inv(curvature(model, job, params))
    kept = slice(0, len(reading.estimate)) if reading.boundary else slice(None)
    if reading.boundary:
        inverse = reading.covariance
    return float(s[kept] @ np.asarray(inverse, dtype=np.float64) @ s[kept])


def _family(result: Any, job: Job, reading: Reading) -> float:
    """Return s'Vs of a generalised linear model, whose dispersion is a factor of both."""
    params = params_of(result)
    s, inverse = slope(result.model, job, params), np.asarray(result.normalized_cov_params, dtype=np.float64)
    step = inverse @ s
    if (np.abs(step) <= _ROUNDING * np.abs(params)).all():
        return 0.0
    dispersion = float(result.scale) if type(result.model.family).__name__ not in _FIXED else 1.0
    return float(s @ step) / dispersion


_FIXED = ("Binomial", "Poisson", "NegativeBinomial")


def _least_squares(result: Any, job: Job, reading: Reading) -> float:
    """Return s'Vs of a linear model: the residuals' projection on the design, over the residual variance."""
    model = result.model
    y, x = np.asarray(model.wendog, dtype=np.float64), np.asarray(model.wexog, dtype=np.float64)
    residuals = y - x @ params_of(result)
    s = x.T @ residuals
    squares = float(s @ np.asarray(model.normalized_cov_params, dtype=np.float64) @ s)
    if np.sqrt(max(squares, 0.0)) <= _ROUNDING * np.linalg.norm(y):
        return 0.0
    return squares / (float(residuals @ residuals) / max(len(y) - x.shape[1], 1))


def _ordered(result: Any, job: Job, reading: Reading) -> float:
    """Return s'Vs of an ordered model, in closed form where its distribution has one."""
    given = job.init.get("distr", "probit")
    if not (isinstance(given, str) and given in DISTRIBUTIONS):
        return _likelihood(result, job, reading)
    exog, params, offset = job.exog.to_numpy(), params_of(result), job.init.get("offset")
    p = exog.shape[1]
    linear = exog @ params[:p] + (0.0 if offset is None else np.asarray(offset, dtype=np.float64))
    data = job.endog.to_numpy().astype(np.int64), exog, linear, cut_points_of(params[p:]), given
    s = score(*data)
    return float(s @ (np.linalg.inv(information(*data)) if job.robust else reading.covariance) @ s)


def _equations(result: Any, job: Job, reading: Reading) -> float:
    """Return the distance of generalised estimating equations from their solution, by their own next step."""
    step, s = result.model._update_mean_params()
    if step is None:
        return float("nan")
    if (np.abs(step) <= _ROUNDING * np.abs(params_of(result))).all():
        return 0.0
    return float(np.ravel(step) @ np.ravel(s)) / float(result.scale)


def _robust(result: Any, job: Job, reading: Reading) -> float:
    """Return the distance of an M-estimate from its solution, by the next step of iterated least squares."""
    model, x = result.model, job.exog.to_numpy()
    residuals = job.endog.to_numpy(dtype=float) - x @ params_of(result)
    weights = np.asarray(model.M.weights(residuals / float(result.scale)), dtype=np.float64)
    size = np.sqrt((x**2).mean(axis=0))
    scaled = x / size
    step = np.linalg.solve(scaled.T @ (scaled * weights[:, None]), scaled.T @ (weights * residuals)) / size
    if (np.abs(step) <= _ROUNDING * np.abs(params_of(result))).all():
        return 0.0
    return _in_errors(step, reading.covariance)


def _quantile(result: Any, job: Job, reading: Reading) -> float:
    """Return how far zero is from the subgradients of a quantile regression near its estimate."""
    from scipy.optimize import lsq_linear

    x, tau = job.exog.to_numpy(), float(result.q)
    x = x / np.sqrt((x**2).mean(axis=0))
    residuals = job.endog.to_numpy(dtype=float) - job.exog.to_numpy() @ params_of(result)
    variance = np.einsum("ij,jk,ik->i", job.exog.to_numpy(), reading.covariance, job.exog.to_numpy())
    free = np.abs(residuals) <= np.sqrt(SETTLED * np.maximum(variance, 0.0)) + _ROUNDING * np.abs(job.endog).max()
    root = np.linalg.cholesky(tau * (1 - tau) * x.T @ x)
    s = np.linalg.solve(root, x[~free].T @ (tau - (residuals[~free] < 0)))
    if not free.any():
        return float(s @ s)
    found = lsq_linear(np.linalg.solve(root, x[free].T), -s, bounds=(tau - 1, tau))
    return float(2 * found.cost)


def _mixed(result: Any, job: Job, reading: Reading) -> float:
    """Return the distance of a mixed model, all its parameters at once."""
    return mixed_distance(fit_of(result, job))


def _in_errors(step: Array, covariance: Array) -> float:
    """Return the squared length of a step in squared standard errors."""
    size = np.sqrt(np.diag(covariance))
    return float(step / size @ np.linalg.solve(covariance / np.outer(size, size), step / size))


_DISTANCES: dict[str, Callable[[Any, Job, Reading], float]] = {
    "least squares": _least_squares,
    "likelihood": _likelihood,
    "family": _family,
    "ordered": _ordered,
    "estimating equations": _equations,
    "robust": _robust,
    "quantile": _quantile,
    "mixed": _mixed,
    "generalised mixed": lambda result, job, reading: float(result.fit.distance),
}

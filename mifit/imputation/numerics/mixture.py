"""Linear regression whose error law is learned: a mixture of normals around the mean, one Gibbs pass at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.special import chdtrc

from ...typing import Array, Rows
from ..contract import Cross
from .linear import draw_coefficients, solve

__all__ = [
    "LEAST",
    "MOST_LOG_SD",
    "Law",
    "Shape",
    "first_law",
    "gibbs_pass",
    "log_weights",
    "pick",
    "score_test",
    "shape_of",
    "spread_of",
    "summed",
]

LEAST = 10  #: residual degrees of freedom below which no law is learned
MOST_LOG_SD = 4.0  #: largest absolute log sd of a row, relative to an ordinary one: few rows cannot support more

_SPARSE = 0.3  # Dirichlet weight of a component: surplus components empty
_PULL = 0.05  # prior rows that a component's mean is worth
_DF = 4.0  # degrees of freedom of a component's variance, a priori
_SLOPE_SD = 0.5  # prior standard deviation of a coefficient of the log spread
_EMPTY = 1e-12  # least weight of a component


class Law(NamedTuple):
    """Drawn parameters of a regression and of its error law; the response is standardised."""

    weight: Array  #: (K,) of the components, sum 1
    mean: Array  #: (K,) their means, weighted sum 0: the mean of the response is the linear predictor
    variance: Array  #: (K,)
    rate: float  #: of the variances' prior
    coef: Array  #: (p,)
    log_sd_slope: Array  #: (q,) coefficients of the log spread; empty where all rows have one


class Shape(NamedTuple):
    """How residuals differ from normal ones."""

    p_value: float  #: of Jarque and Bera's test; NaN where there is no spread
    skewness: float
    tails: float  #: excess kurtosis


def shape_of(residual: Array) -> Shape:
    """Test residuals for a normal shape.

    References
    ----------
    Jarque, C. M. and Bera, A. K. (1987). A test for normality of observations and regression residuals.
    *International Statistical Review* 55(2), 163-172. doi:10.2307/1403192

    Examples
    --------
    >>> shape_of(np.array([-1.0, 1.0, -1.0, 1.0])).tails
    -2.0
    """
    centred = residual - residual.mean()
    size = float(np.sqrt(np.mean(centred * centred)))
    if not size > 0.0:
        return Shape(float("nan"), 0.0, 0.0)
    u = centred / size
    skewness, tails = float(np.mean(u**3)), float(np.mean(u**4) - 3.0)
    return Shape(float(chdtrc(2, len(u) * (skewness**2 / 6.0 + tails**2 / 24.0))), skewness, tails)


def first_law(X: Array, z: Array, terms: Rows, components: int, n_log_sd: int = 0) -> Law:
    """Least squares, and components spread over the quantiles of its residuals: where the passes begin."""
    beta = solve(Cross(X.T @ X, X.T @ z, float(z @ z), float(len(z)), 0.0, 1.0), terms).beta
    residual = z - X @ beta
    size = float(np.var(residual))
    points = np.quantile(residual, (np.arange(components) + 0.5) / components)
    even = np.full(components, 1.0 / components)
    mean, variance = 0.7 * (points - points.mean()), np.full(components, 0.4 * size)
    return Law(even, mean, variance, 0.3 * size, beta, np.zeros(n_log_sd))


def log_weights(u: Array, law: Law) -> Array:
    """Log of each component's share of the density at u, but for a constant, shape (K, n)."""
    curve = -0.5 / law.variance
    constant = np.log(law.weight) - 0.5 * np.log(law.variance) + curve * law.mean**2
    found = np.multiply.outer(curve, u)  # a polynomial of u: curve (u - mean)²
    found -= (2.0 * curve * law.mean)[:, None]
    found *= u
    found += constant[:, None]
    return np.asarray(found)


def summed(weights: Array) -> Array:
    """Log of the sum over components of log weights (K, n), shape (n,)."""
    top = weights.max(axis=0)
    return np.asarray(top + np.log(np.exp(weights - top).sum(axis=0)))


def pick(weights: Array, rng: np.random.Generator) -> Rows:
    """Draw one component for each row from log weights (K, n), shape (n,)."""
    reached = weights - weights.max(axis=0)
    np.exp(reached, out=reached)
    np.cumsum(reached, axis=0, out=reached)
    drawn = (reached < rng.random(weights.shape[1]) * reached[-1]).sum(axis=0)
    return np.asarray(drawn, dtype=np.int64)


def spread_of(Z: Array, log_sd_slope: Array) -> Array:
    """Spread of each row relative to an ordinary one, shape (n,)."""
    return np.asarray(np.exp(np.clip(Z @ log_sd_slope, -MOST_LOG_SD, MOST_LOG_SD)))


def gibbs_pass(
    X: Array, z: Array, Z: Array, terms: Rows, law: Law, rng: np.random.Generator, known: Array | None = None
) -> tuple[Law, tuple[int, ...]]:
    r"""Draw every parameter once, given the others and the data.

    Parameters
    ----------
    X : ndarray, shape (n, p)
        Predictors of the mean.
    z : ndarray, shape (n,)
        The response, standardised.
    Z : ndarray, shape (n, q)
        Predictors of the log spread, centred and scaled near 1; q may be 0.
    terms : ndarray, shape (p,)
        The term of each column of X; of dependent terms the later one goes.
    law : Law
        Where the pass begins.
    rng : Generator
    known : ndarray, shape (n,), optional
        Known part of the spread, 1 / sqrt(prior weight).

    Returns
    -------
    law : Law
    dropped : tuple of int
        Terms that depend on others.

    Notes
    -----
    :math:`z_i = x_i'\beta + s_i u_i`, :math:`u_i \sim \sum_k w_k N(\mu_k, \sigma_k^2)`, :math:`\sum_k w_k \mu_k = 0`,
    :math:`\log s_i = Z_i'g`. With :math:`S^2` the variance of the residuals, so that units do not matter:

    1. the label of each row, from :math:`w_k N(u_i; \mu_k, \sigma_k^2)`;
    2. :math:`\sigma_k^2 \sim IG(2, B)` and :math:`\mu_k \sim N(\bar u, \sigma_k^2 / 0.05)` a priori, drawn together;
    3. :math:`B \sim Gamma(1/2, 3 / (2 S^2))` a priori: against components that collapse;
    4. the weights, Dirichlet(0.3) a priori: components that are not needed empty;
    5. the mean of the mixture goes to the intercept;
    6. :math:`g`, :math:`N(0, 0.5^2)` a priori: one Newton step with noise, accepted by Metropolis and Hastings' rule;
    7. :math:`\beta` by weighted least squares of what the labels leave.

    References
    ----------
    Diebolt, J. and Robert, C. P. (1994). Estimation of finite mixture distributions through Bayesian sampling.
    *JRSS B* 56(2), 363-375. Richardson, S. and Green, P. J. (1997). On Bayesian analysis of mixtures with an unknown
    number of components. *JRSS B* 59(4), 731-792. Rousseau, J. and Mengersen, K. (2011). Asymptotic behaviour of the
    posterior distribution in overfitted mixture models. *JRSS B* 73(5), 689-710. Gamerman, D. (1997). Sampling from the
    posterior distribution in generalized linear mixed models. *Statistics and Computing* 7, 57-68.
    """
    base = np.ones(len(z)) if known is None else known
    spread = base * spread_of(Z, law.log_sd_slope) if len(law.log_sd_slope) else base
    u = (z - X @ law.coef) / spread
    labels = pick(log_weights(u, law), rng)
    law, moved = _components(u, labels, law, rng)
    coef = law.coef.copy()
    if np.ptp(X[:, 0]) == 0.0 and X[0, 0] != 0.0:  # the mean of the mixture is part of the constant
        coef[0] += moved * float(np.mean(spread)) / X[0, 0]
    log_sd_slope = law.log_sd_slope
    if len(log_sd_slope):
        e = (z - X @ coef) / base
        log_sd_slope = _drawn_log_sd(Z, e, law.mean[labels], law.variance[labels], log_sd_slope, rng)
        spread = base * spread_of(Z, log_sd_slope)
    heavy = 1.0 / (spread * spread * law.variance[labels])
    left, weighted = z - spread * law.mean[labels], X * heavy[:, None]
    squares = float(heavy @ (left * left))
    solution = solve(Cross(weighted.T @ X, left @ weighted, squares, float(len(z)), 0.0, 1.0), terms)
    return law._replace(coef=draw_coefficients(solution, 1.0, rng), log_sd_slope=log_sd_slope), solution.dropped


def _components(u: Array, labels: Rows, law: Law, rng: np.random.Generator) -> tuple[Law, float]:
    """Draw the components given the labels; the law, centred, and the mean that was taken out of it."""
    K = len(law.weight)
    count = np.bincount(labels, minlength=K)
    total, squares = np.bincount(labels, u, K), np.bincount(labels, u * u, K)
    middle = float(u.sum()) / len(u)
    size = max(float(u @ u) / len(u) - middle**2, np.finfo(float).tiny)
    rows = _PULL + count
    centre = (_PULL * middle + total) / rows
    about = np.maximum(squares + _PULL * middle**2 - rows * centre**2, 0.0)
    variance = (2.0 * law.rate + about) / rng.chisquare(_DF + count)
    mean = centre + np.sqrt(variance / rows) * rng.standard_normal(K)
    rate = float(rng.gamma(0.5 + 0.5 * _DF * K) / (1.5 / size + np.sum(1.0 / variance)))
    weight = np.maximum(rng.dirichlet(_SPARSE + count), _EMPTY)
    weight = weight / weight.sum()
    moved = float(weight @ mean)
    return law._replace(weight=weight, mean=mean - moved, variance=variance, rate=rate), moved


def _drawn_log_sd(
    Z: Array, e: Array, mean: Array, variance: Array, log_sd_slope: Array, rng: np.random.Generator
) -> Array:
    """Draw the coefficients of the log spread given labels: Gamerman's Newton step, accepted or not."""
    prior = 1.0 / _SLOPE_SD**2
    precision = (Z.T * (2.0 + mean**2 / variance)) @ Z + prior * np.eye(len(log_sd_slope))  # expected
    root = np.linalg.cholesky(precision)

    def target(at: Array) -> tuple[float, Array]:
        """Log posterior, and the point that one Newton step reaches."""
        linear = np.clip(Z @ at, -MOST_LOG_SD, MOST_LOG_SD)
        u = e * np.exp(-linear)
        t = (u - mean) / variance
        value = -float(linear.sum()) - 0.5 * float(t @ (u - mean)) - 0.5 * prior * float(at @ at)
        step = lapack.dpotrs(root, Z.T @ (u * t - 1.0) - prior * at, lower=1)[0]
        length = float(np.linalg.norm(root.T @ step))
        return value, at + step * min(1.0, 3.0 / max(length, 1e-9))

    value, centre = target(log_sd_slope)
    noise = rng.standard_normal(len(log_sd_slope))
    proposed = centre + lapack.dtrtrs(root, noise, lower=1, trans=1)[0]
    new, back = target(proposed)
    away = root.T @ (log_sd_slope - back)
    log_ratio = new - value + 0.5 * float(noise @ noise) - 0.5 * float(away @ away)
    return np.asarray(proposed if _accepts(log_ratio, rng) else log_sd_slope)


def _accepts(log_ratio: float, rng: np.random.Generator) -> bool:
    """Whether the Metropolis-Hastings rule accepts a proposal."""
    return bool(np.log(rng.random()) < log_ratio)


def score_test(X: Array, z: Array, Z: Array, law: Law) -> tuple[float, Array]:
    """Test whether the spread differs with columns of Z, under the law as learned.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    z : ndarray, shape (n,)
    Z : ndarray, shape (n, q)
    law : Law
        A homoscedastic one.

    Returns
    -------
    p_value : float
        Of all columns together: chi-squared with q degrees of freedom.
    each : ndarray, shape (q,)
        Of each column alone.

    Notes
    -----
    Scores of g = 0 with the labels summed out, made orthogonal to the scores of the coefficients and of one spread for
    all rows, squared by the sum of their outer products. Where the law is one normal it is the idea of Breusch and
    Pagan, and skewed errors do not pass for unequal spread.

    References
    ----------
    Breusch, T. S. and Pagan, A. R. (1979). A simple test for heteroscedasticity and random coefficient variation.
    *Econometrica* 47(5), 1287-1294. doi:10.2307/1911963
    """
    u = z - X @ law.coef
    log_share = log_weights(u, law)
    share = np.exp(log_share - log_share.max(axis=0))
    share /= share.sum(axis=0)
    psi = (share * ((u - law.mean[:, None]) / law.variance[:, None])).sum(axis=0)
    common = psi * u - 1.0
    nuisance = np.column_stack([X * psi[:, None], common])
    nuisance = nuisance / np.maximum(np.sqrt((nuisance**2).sum(axis=0)), np.finfo(float).tiny)
    scores = Z * common[:, None]
    scores = scores - nuisance @ np.linalg.lstsq(nuisance, scores, rcond=1e-10)[0]
    total, outer = scores.sum(axis=0), scores.T @ scores
    size = np.sqrt(np.maximum(outer.diagonal(), np.finfo(float).tiny))
    scaled = total / size
    rank = int(np.linalg.matrix_rank(outer / np.outer(size, size), tol=1e-8))
    statistic = float(scaled @ np.linalg.pinv(outer / np.outer(size, size), rcond=1e-8) @ scaled)
    return float(chdtrc(max(rank, 1), statistic)), np.asarray(chdtrc(1, scaled**2))

"""Newton-Raphson for all log-likelihoods: find the maximum, then draw from the normal approximation there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from scipy.linalg import lapack

from ...typing import Array

__all__ = [
    "BLOCK",
    "Concave",
    "Likelihood",
    "Peak",
    "Thinned",
    "again",
    "draw",
    "information_root",
    "maximise",
    "squares",
    "variances",
]

Likelihood = Callable[[Array], tuple[float, Array, Array]]


class Thinned(Protocol):
    """A log-likelihood whose Hessian can be approximated from a subsample of the rows."""

    def __call__(self, theta: Array, /, some: slice | None = None) -> tuple[float, Array, Array]:
        """Log-likelihood, gradient, and Hessian from `some` rows (default: all), scaled to all rows."""
        ...


class Concave(Protocol):
    """A concave log-likelihood that returns its gradient and Hessian without its value."""

    def slope(self, theta: Array) -> Array:
        """Gradient, shape (q,)."""
        ...

    def curve(self, theta: Array) -> tuple[Array, Array]:
        """Gradient and Hessian."""
        ...


BLOCK = 1_024  #: rows whose weighted copies stay in the cache
TIGHT = 1e-7  #: a cold start stops when the next step is this small; all steps are in standard errors
WARM_TOLERANCE = 0.1  #: a warm start stops at a first step this small: the error left is about 0.001 standard errors
LONG_STEP = 1.0  #: if the first step, with an approximate Hessian, was longer, so may the second use one
SECOND_TOLERANCE = 0.3  #: a warm start stops at a second step this small: the error left is at most about 0.01
STEPS = 60  #: most Newton steps of one fit: separated data take about 30, other data fewer than 10
HALVINGS = 30  #: most times that one step is halved


class Peak(NamedTuple):
    """The maximum of a log-likelihood."""

    estimate: Array  #: (q,) where it is
    root: Array  #: (q, q) lower Cholesky factor of the information, the negative Hessian
    value: float  #: log-likelihood at the last point evaluated
    converged: bool  #: False where there is no maximum, or none was reached


def maximise(likelihood: Likelihood, start: Array, *, warm: bool = False, rough: Likelihood | None = None) -> Peak:
    """Find the parameters with the highest log-likelihood.

    Parameters
    ----------
    likelihood : callable
        Takes parameters, shape (q,); returns the log-likelihood, its gradient, shape (q,), and its Hessian,
        shape (q, q). Outside its domain the log-likelihood is -inf.
    start : ndarray, shape (q,)
        Where to begin; nothing converges from where the log-likelihood is not finite.
    warm : bool, default False
        Whether `start` is the estimate of almost the same data. Two Newton steps are then the rule, the second
        only if the first moved more than a tenth of a standard error; a third if the second moved more than 0.3.
    rough : callable, optional
        The same log-likelihood and gradient with an approximate Hessian. It serves the first step, and where that
        moved more than a standard error the second one; another one then always follows.

    Returns
    -------
    Peak

    Notes
    -----
    The length of a step is its root mean square in standard errors, so that neither units nor the number of
    parameters matter. Parameters are scaled by powers of two before each solve: multiplying a predictor by a
    power of two changes no bit of its fitted values. A step that lowers the log-likelihood is halved; a Hessian
    that is not negative definite gets the smallest ridge that makes it so.

    Examples
    --------
    >>> peak = maximise(lambda t: (-(t[0] - 3) ** 2, -2 * (t - 3), np.array([[-2.0]])), np.zeros(1))
    >>> peak.estimate, peak.converged
    (array([3.]), True)
    """
    theta, tolerance, exact = start, WARM_TOLERANCE if warm else TIGHT, rough is None
    value, gradient, hessian = (rough or likelihood)(theta)
    if not np.isfinite(value):
        return Peak(theta, np.eye(len(theta)), value, False)
    before = 0.0
    for number in range(STEPS):
        root, size, sound = _factor(hessian)
        half = lapack.dtrtrs(root, gradient / size, lower=1)[0]
        step = lapack.dtrtrs(root, half, lower=1, trans=1)[0] / size
        moved = float(np.sqrt(half @ half / max(len(half), 1)))
        root = root * size[:, None]
        ahead = moved if warm or not before else min(moved, moved * (moved / before))  # shrinks at least as it did
        if exact and ahead <= (SECOND_TOLERANCE if warm and number else tolerance):
            return Peak(theta + step, root, value, sound)
        before = moved
        near = rough is None or number > 0 or moved <= LONG_STEP
        higher = _climb(likelihood if near else rough or likelihood, theta, step, value)
        if higher is None and exact:
            break
        exact = near or higher is None
        theta, (value, gradient, hessian) = higher or (theta, likelihood(theta))
    return Peak(theta, root, value, False)


def again(likelihood: Concave, start: Array, root: Array) -> Peak | None:
    """Find the maximum for almost the same data in two Newton steps, the first with the previous information matrix.

    Parameters
    ----------
    likelihood : Concave
    start : ndarray, shape (q,)
        The estimate of the data before.
    root : ndarray, shape (q, q)
        The root of their :class:`Peak`.

    Returns
    -------
    Peak or None
        None where the second step is longer than 0.3 standard errors: call :func:`maximise` then. The value of the
        peak is NaN.

    Notes
    -----
    Where the curvature of a concave function gives a short step, the maximum is near: its value need not be computed.
    The error left after the second step is at most about a hundredth of a standard error, in root mean square.

    Examples
    --------
    >>> class Parabola:
    ...     def slope(self, t):
    ...         return -2 * (t - 3)
    ...     def curve(self, t):
    ...         return self.slope(t), np.array([[-2.0]])
    >>> again(Parabola(), np.full(1, 2.5), np.array([[1.5]])).estimate
    array([3.])
    >>> again(Parabola(), np.zeros(1), np.array([[1.5]])) is None
    True
    """
    half = lapack.dtrtrs(root, likelihood.slope(start), lower=1)[0]
    theta = start + lapack.dtrtrs(root, half, lower=1, trans=1)[0]
    gradient, hessian = likelihood.curve(theta)
    fresh, info = lapack.dpotrf(-hessian, lower=1, clean=1)
    if info != 0:
        return None
    half = lapack.dtrtrs(fresh, gradient, lower=1)[0]
    if not half @ half <= SECOND_TOLERANCE**2 * len(half):
        return None
    return Peak(theta + lapack.dtrtrs(fresh, half, lower=1, trans=1)[0], fresh, np.nan, True)


def _climb(
    likelihood: Likelihood, theta: Array, step: Array, value: float
) -> tuple[Array, tuple[float, Array, Array]] | None:
    """Take the step, halved until the log-likelihood no longer falls; None when it always does."""
    floor = value - 1e-11 * abs(value)
    for _ in range(HALVINGS):
        there = likelihood(theta + step)
        if there[0] >= floor:
            return theta + step, there
        step = step / 2
    return None


def _factor(hessian: Array) -> tuple[Array, Array, bool]:
    """Cholesky factor of the scaled information, its scale, and whether it needed no ridge."""
    size = np.ldexp(1.0, np.frexp(np.sqrt(np.abs(hessian.diagonal())))[1])  # frexp(0) has the exponent 0
    block = -hessian / (size[:, None] * size)
    root, info = lapack.dpotrf(block, lower=1, clean=1)
    sound, ridge = info == 0, 1e-12
    while info != 0 and ridge < 1e6:
        root, info = lapack.dpotrf(block + ridge * np.eye(len(block)), lower=1, clean=1)
        ridge *= 10
    return root, size, sound


def information_root(hessian: Array) -> Array:
    """Lower Cholesky factor, shape (q, q), of the negative of a Hessian."""
    root, size, _ = _factor(hessian)
    return root * size[:, None]


def squares(X: Array, weight: Array) -> Array:
    """Weighted cross-products X' diag(w) X, shape (q, q), in row blocks that stay in the cache."""
    if len(X) <= BLOCK:
        return np.asarray((X * weight[:, None]).T @ X)
    total, scaled = np.zeros((X.shape[1], X.shape[1])), np.empty((BLOCK, X.shape[1]))
    for first in range(0, len(X), BLOCK):
        rows = X[first : first + BLOCK]
        total += np.multiply(rows, weight[first : first + BLOCK, None], out=scaled[: len(rows)]).T @ rows
    return total


def draw(estimate: Array, root: Array, rng: np.random.Generator) -> Array:
    """Draw parameters from N(estimate, information^-1), shape (q,); `root` is that of a :class:`Peak`."""
    return estimate + lapack.dtrtrs(root, rng.standard_normal(len(estimate)), lower=1, trans=1)[0]


def variances(root: Array) -> Array:
    """Return the diagonal of the inverse information, shape (q,)."""
    inverse = lapack.dtrtri(root, lower=1)[0]
    return np.asarray((inverse * inverse).sum(axis=0))

"""Discrete variables on a design, and methods fitted to them."""

import numpy as np
from scipy.special import expit

from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.logistic import Logistic
from mifit.imputation.methods.multinomial import Multinomial
from mifit.imputation.methods.negbin import NegBin
from mifit.imputation.methods.ordinal import Ordinal
from mifit.imputation.methods.poisson import Poisson

OWN = {Logistic: Kind.BINARY, Multinomial: Kind.NOMINAL, Ordinal: Kind.ORDINAL, Poisson: Kind.COUNT, NegBin: Kind.COUNT}
SLOPES = np.array([0.3, 0.8, -0.5, 0.2])


def frame(kind, n=400, seed=0, overdispersed=True):
    """A design of a constant and three predictors, and a variable of the kind."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 3))])
    linear = X @ SLOPES
    if kind is Kind.BINARY:
        return (rng.random(n) < expit(linear)).astype(float), X
    if kind is Kind.ORDINAL:
        return np.digitize(linear + rng.logistic(size=n), [-1.0, 0.2, 1.5]).astype(float), X
    if kind is Kind.NOMINAL:
        return np.argmax(np.outer(linear, [0, 1, -1, 0.5]) + rng.gumbel(size=(n, 4)), axis=1).astype(float), X
    mean = np.exp(linear) * (rng.gamma(1.5, 1 / 1.5, n) if overdispersed else 1.0)
    return rng.poisson(mean).astype(float), X


def visit(y, X, kind, warm=None, levels=None):
    """A visit whose every column is a term."""
    count = {Kind.BINARY: 2, Kind.COUNT: 0}.get(kind, 4) if levels is None else levels
    return Visit(y, X, np.arange(X.shape[1]), kind, count, warm)


def fit(method, y, X, seed=1, **more):
    """Fit a method to its own kind of data."""
    return method.fit(visit(y, X, OWN[type(method)], **more), np.random.default_rng(seed))


def estimates(method, fitted):
    """The estimates before the draw, in the order of `parameters`."""
    if isinstance(method, Ordinal):
        theta, p = fitted.warm[0], 3
        return np.concatenate([theta[: p + 1], np.log(np.diff(theta[p:]))])
    return fitted.warm.joint if isinstance(method, NegBin) else fitted.warm[0]

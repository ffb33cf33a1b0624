"""Methods with known parameters, covariates of every kind, and the figures that tell two joint laws apart."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import special, stats

from mifit.frame.kinds import Kind
from mifit.imputation.contract import Facts
from mifit.imputation.methods.logistic import LogisticFitted
from mifit.imputation.methods.mixture import Mixture, MixtureFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.negbin import NegBinFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.power import PowerFitted, PowerScale
from support.coefficients import coefficients

LIMIT = 4.5  # two-sided 7e-6 for each of some 500 figures: false alarm of the file 0.4 %


@dataclass(frozen=True)
class Fixed:
    """A method whose parameters are known."""

    fitted: Any
    kinds: ClassVar[frozenset[Kind]] = frozenset(Kind)
    reference: ClassVar[str] = "none"

    spread_columns: ClassVar[tuple[int, ...]] = ()

    @property
    def facts(self):
        """Those of the method whose parameters they are, where samplers must know them."""
        return Mixture.facts if isinstance(self.fitted, MixtureFitted) else Facts()

    def bound(self, columns):
        """The columns that the spread may differ with change nothing."""
        return self

    def fit(self, visit, rng):
        return self.fitted


def expit(eta):
    return 1 / (1 + np.exp(-eta))


def ordered(eta, cuts, rng):
    """Draw 0..K-1 with P(Y <= k) = expit(cut - eta)."""
    return (rng.logistic(size=len(eta))[:, None] + eta[:, None] > cuts).sum(axis=1)


def pick(log_odds, rng):
    """Draw 0..K-1 from log odds, shape (n, K), by adding Gumbel noise."""
    return np.argmax(log_odds + rng.gumbel(size=log_odds.shape), axis=1)


def _normal(slopes, sigma):
    return lambda layout, model: NormalFitted(coefficients(layout, model, slopes), sigma, 0.0, 1.0)


def _logistic(slopes):
    return lambda layout, model: LogisticFitted(coefficients(layout, model, slopes), None)


# Covariates: how x is drawn given z, as a column of the frame; its own factor.
BOX_COX, YEO_JOHNSON = PowerScale(True, 0.0, 2.0), PowerScale(False, 1.0, 0.8)


def _root(z, rng):
    return 2 * special.inv_boxcox(0.6 + 0.3 * z + 0.5 * rng.standard_normal(len(z)), 0.3)


def _yeo_johnson(z, rng):
    return _from_yeo_johnson(0.2 + 0.3 * z + 0.6 * rng.standard_normal(len(z)))


NOMINAL = np.array([[0.0, 0.0], [0.3, 0.8], [-0.2, -0.6]])
COVARIATES = {
    "norm": (lambda z, rng: 1 + 0.6 * z + 0.9 * rng.standard_normal(len(z)),
             _normal({"Intercept": 1.0, "z": 0.6}, 0.9)),
    "power, Box-Cox": (_root, lambda layout, model: PowerFitted(
        coefficients(layout, model, {"Intercept": 0.6, "z": 0.3}), 0.5, 0.0, 1.0, 0.3, BOX_COX, 0.3)),
    "power, Yeo-Johnson": (_yeo_johnson, lambda layout, model: PowerFitted(
        coefficients(layout, model, {"Intercept": 0.2, "z": 0.3}), 0.6, 0.0, 1.0, 0.6, YEO_JOHNSON, 0.6)),
    "binary": (lambda z, rng: (rng.random(len(z)) < expit(0.3 + 0.7 * z)).astype(float),
               _logistic({"Intercept": 0.3, "z": 0.7})),
    "binary -1/1": (lambda z, rng: np.where(rng.random(len(z)) < expit(0.3 + 0.7 * z), 1.0, -1.0),
                    _logistic({"Intercept": 0.3, "z": 0.7})),
    "nominal": (lambda z, rng: pd.Categorical.from_codes(pick(NOMINAL[:, 0] + np.outer(z, NOMINAL[:, 1]), rng),
                                                         list("abc")),
                lambda layout, model: MultinomialFitted(
                    coefficients(layout, model, {"Intercept": NOMINAL[1:, 0], "z": NOMINAL[1:, 1]}), None)),
    "ordinal": (lambda z, rng: 1.0 + ordered(0.8 * z, np.array([-1.0, 0.5, 1.5]), rng),
                lambda layout, model: OrdinalFitted(
                    coefficients(layout, model, {"z": 0.8}), np.array([-1.0, 0.5, 1.5]), None)),
    "Poisson": (lambda z, rng: rng.poisson(np.exp(0.4 + 0.3 * z)).astype(float),
                lambda layout, model: PoissonFitted(
                    coefficients(layout, model, {"Intercept": 0.4, "z": 0.3}), 10_000, None)),
    "negative binomial": (lambda z, rng: rng.poisson(np.exp(0.4 + 0.3 * z) * rng.gamma(2, 0.5, len(z))).astype(float),
                          lambda layout, model: NegBinFitted(
                              coefficients(layout, model, {"Intercept": 0.4, "z": 0.3}), 0.5, 10_000, None)),
}  # fmt: skip


def _from_yeo_johnson(w):
    grid = np.linspace(-30, 60, 400_001)
    return 1 + 0.8 * np.interp(w, stats.yeojohnson(grid, 0.6), grid)


def figures(values, exact):
    """Functions of each row whose means tell two joint laws apart, {name: (n,)}; cut-offs come from the exact draws."""
    parts = {}
    for name, column in exact.columns.items():
        if column.kind is Kind.NOMINAL:
            parts |= {f"{name}={k}": (values[name] == k).astype(float) for k in range(1, column.n_levels)}
        else:
            bounds = np.quantile(column.numbers(column.values), [0.001, 0.999])
            parts[name] = np.clip(column.numbers(values[name]), *bounds)
    found, names = {}, list(parts)
    for i, left in enumerate(names):
        found[left] = parts[left]
        if left in exact:
            found[f"{left} above its median"] = (values[left] > np.median(exact[left].values)).astype(float)
        for right in names[i:]:
            found[f"{left} {right}"] = parts[left] * parts[right]
            found[f"{left} {right} z"] = parts[left] * parts[right] * parts["z"]
    return found

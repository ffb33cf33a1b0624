"""Derivatives of likelihoods against differences of their logarithm, family by family, far out and at the edges too."""

from dataclasses import dataclass

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.genmod.families import links

from mifit.errors import PlanError
from mifit.imputation.contract import Differentiable
from mifit.imputation.methods.check_method import check_method
from mifit.imputation.methods.cox import CoxFitted
from mifit.imputation.methods.double_poisson import DoublePoissonFitted
from mifit.imputation.methods.glm import GlmFitted
from mifit.imputation.methods.logistic import Logistic, LogisticFitted
from mifit.imputation.methods.mixture import MixtureFitted
from mifit.imputation.methods.multinomial import MultinomialFitted
from mifit.imputation.methods.nb1 import NB1Fitted
from mifit.imputation.methods.negbin import NegBinFitted
from mifit.imputation.methods.norm import NormalFitted
from mifit.imputation.methods.ordinal import OrdinalFitted
from mifit.imputation.methods.poisson import PoissonFitted
from mifit.imputation.methods.power import PowerFitted, PowerScale
from mifit.imputation.methods.probit import ProbitFitted
from mifit.imputation.methods.shares import SharesFitted
from mifit.imputation.methods.zero_inflated import ZeroInflatedFitted
from mifit.imputation.numerics.derivatives import along, differences
from mifit.imputation.numerics.mixture import Law

F, ONE = sm.families, np.zeros(1)
LEVELS, COUNTS = np.arange(4.0), np.array([0.0, 1.0, 4.0, 30.0])
NEGBIN = NegBinFitted(ONE, 0.6, 10_000, None)
LAW = Law(np.array([0.3, 0.5, 0.2]), np.array([-1.0, 0.1, 1.2]), np.array([0.2, 0.5, 2.0]), 1.0, ONE, np.zeros(0))

#: fitted half, outcomes, linear predictors
FITTED = {
    "logistic": (LogisticFitted(ONE, None), LEVELS[:2], np.linspace(-12, 12, 9)),
    "probit": (ProbitFitted(ONE, None), LEVELS[:2], np.linspace(-9, 9, 9)),
    "multinomial": (MultinomialFitted(np.zeros((1, 3)), None), LEVELS, np.array([[0.3, -2, 5], [-9, 2, 1], [0, 0, 0]])),
    "ordinal": (OrdinalFitted(ONE, np.array([-1.0, 0.2, 2.5]), None), LEVELS, np.linspace(-12, 12, 9)),
    "ordinal, a level without a row": (
        OrdinalFitted(ONE, np.array([-1.0, -1.0, 2.5]), None), LEVELS, np.linspace(-5, 5, 5),
    ),
    "ordinal probit": (
        OrdinalFitted(ONE, np.array([-1.0, 0.2, 2.5]), None, link="probit"), LEVELS, np.linspace(-7, 7, 9),
    ),
    "poisson": (PoissonFitted(ONE, 10_000, None), COUNTS, np.linspace(-6, 5, 9)),
    "negbin": (NEGBIN, COUNTS, np.linspace(-6, 9, 9)),
    "negbin, no overdispersion": (NegBinFitted(ONE, 0.0, 10_000, None), COUNTS, np.linspace(-6, 5, 9)),
    "nb1": (NB1Fitted(ONE, 1.7, 10_000, np.array([-1.0]), np.zeros(1), None), COUNTS, np.linspace(-4, 5, 9)),
    "zero-inflated": (ZeroInflatedFitted(ONE, 0.3, NEGBIN, None), COUNTS, np.linspace(-6, 5, 9)),
    "double poisson": (DoublePoissonFitted(ONE, 0.4, 10_000, None), COUNTS, np.linspace(-6, 4, 9)),
    "cox": (
        CoxFitted(ONE, np.array([0.4, 1.5, 0.0, 0.2]), np.array([1.0, 0.0, 1.0, 0.0]), None), LEVELS,
        np.linspace(-6, 4, 9),
    ),
    "normal": (NormalFitted(ONE, 0.7, 0.4, 2.0), np.array([-2.0, 0.1, 9.0]), np.linspace(-5, 5, 5)),
    "power": (
        PowerFitted(ONE, 0.7, 0.4, 2.0, 0.5, PowerScale(True, 0.0, 2.0), 0.5), np.array([0.1, 2.0, 9.0]),
        np.linspace(-5, 5, 5),
    ),
    "shares": (SharesFitted(F.Binomial(), ONE, 0.0, 0.2, None), np.array([0.0, 0.3, 1.0]), np.linspace(-5, 5, 9)),
    "mixture": (MixtureFitted(ONE, LAW, None, 0.4, 2.0), np.array([-2.0, 0.1, 9.0]), np.linspace(-4, 6, 11)),
    "gamma log": (GlmFitted(F.Gamma(links.Log()), ONE, 0.5, None), np.array([0.1, 2.0, 9.0]), np.linspace(-3, 3, 7)),
    "gamma inverse": (GlmFitted(F.Gamma(), ONE, 0.5, None), np.array([0.1, 2.0, 9.0]), np.linspace(0.4, 3, 7)),
    "inverse gaussian": (
        GlmFitted(F.InverseGaussian(), ONE, 0.5, None), np.array([0.1, 2.0, 9.0]), np.linspace(0.4, 3, 7),
    ),
    "tweedie": (
        GlmFitted(F.Tweedie(links.Log(), var_power=1.5), ONE, 0.5, None), np.array([0.0, 2.0, 9.0]),
        np.linspace(-2, 3, 7),
    ),
    "negative binomial, its own link": (
        GlmFitted(F.NegativeBinomial(links.NegativeBinomial(alpha=0.7), alpha=0.7), ONE, 1.0, None), COUNTS,
        np.linspace(-3, -0.1, 7),
    ),
    "poisson sqrt": (GlmFitted(F.Poisson(links.Sqrt()), ONE, 1.0, None), COUNTS, np.linspace(0.2, 4, 7)),
    "binomial cloglog": (
        GlmFitted(F.Binomial(links.CLogLog()), ONE, 1.0, None), np.array([0.0, 0.4, 1.0]), np.linspace(-4, 1, 7),
    ),
    "binomial cauchit": (
        GlmFitted(F.Binomial(links.Cauchy()), ONE, 1.0, None), np.array([0.0, 0.4, 1.0]), np.linspace(-4, 4, 7),
    ),
    "gaussian inverse": (
        GlmFitted(F.Gaussian(links.InversePower()), ONE, 0.5, None), np.array([0.5, 2.0]), np.linspace(0.3, 3, 7),
    ),
}  # fmt: skip


def crossed(outcomes, linear):
    """Every outcome with every linear predictor."""
    at = np.repeat(np.arange(len(linear)), len(outcomes))
    return np.tile(outcomes, len(linear)), linear[at]


def directions(linear):
    """Along which the derivatives are compared: up, and for several predictors each and an oblique one."""
    if linear.ndim == 1:
        return [np.ones(len(linear)), np.full(len(linear), -0.6)]
    k = linear.shape[1]
    return [np.tile(line, (len(linear), 1)) for line in (*np.eye(k), np.linspace(-1.0, 0.7, k))]


@pytest.mark.parametrize("name", FITTED)
def test_derivatives_are_those_of_the_logarithm(name):
    fitted, outcomes, linear = FITTED[name]
    y, linear = crossed(outcomes, linear)
    assert isinstance(fitted, Differentiable)
    # fourth-order differences with a step of 0.002: error about 1e-11 / step², and step⁴ times the sixth derivative
    for line in directions(linear):
        step = 2e-3
        f = [fitted.log_accept(y, linear + k * step * line) for k in (-2, -1, 0, 1, 2)]
        first = (f[0] - 8 * f[1] + 8 * f[3] - f[4]) / (12 * step)
        second = (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * step * step)
        found = along(fitted, y, linear, line)
        np.testing.assert_allclose(found[0], first, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(found[1], -second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", FITTED)
def test_a_method_without_derivatives_has_those_of_differences(name):
    fitted, outcomes, linear = FITTED[name]
    y, linear = crossed(outcomes, linear)

    class Plain:
        log_accept = staticmethod(fitted.log_accept)

    for line in directions(linear):
        wanted, found = along(fitted, y, linear, line), along(Plain(), y, linear, line)
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-3, atol=1e-3)
    still = along(Plain(), y, linear, np.zeros(linear.shape))
    assert not np.any(still)


@pytest.mark.parametrize("name", [n for n in FITTED if not n.startswith(("normal", "power"))])
def test_derivatives_stay_finite_wherever_the_predictor_is(name):
    fitted, outcomes, linear = FITTED[name]
    far = np.array([-1e8, -700.0, -40.0, 40.0, 700.0, 1e8])
    far = far if linear.ndim == 1 else np.column_stack([far, -far, 0 * far])
    y, far = crossed(outcomes, far)
    with np.errstate(all="ignore"):
        first, second = fitted.derivatives(y, far)
    assert np.isfinite(first).all() and np.isfinite(second).all()


def test_every_built_in_likelihood_has_derivatives():
    fitted = {type(f[0]) for f in FITTED.values()}
    every = {c for c in _classes() if hasattr(c, "log_accept") and c.__module__.startswith("mifit.imputation.methods")}
    assert {c.__name__ for c in every if not hasattr(c, "derivatives")} == set()
    assert {c.__name__ for c in every - fitted} <= {
        "MixedFitted",
        "MixedPowerFitted",
        "MixedLogisticFitted",
    }  # a normal, a power and a logistic one, their clusters drawn


def _classes():
    """Every class of the modules of methods."""
    import sys

    return {
        thing
        for name, module in list(sys.modules.items())
        if name.startswith("mifit.imputation.methods")
        for thing in vars(module).values()
        if isinstance(thing, type)
    }


@dataclass(frozen=True, eq=False)
class AlteredFitted(LogisticFitted):
    """A logistic regression whose derivatives are multiplied by something."""

    times: tuple[float, float] = (1.0, 1.0)

    def derivatives(self, y, linear):
        first, minus = LogisticFitted.derivatives(self, y, linear)
        return self.times[0] * first, self.times[1] * minus


@dataclass(frozen=True)
class Altered:
    """The method that fits it."""

    first: float = 1.0
    second: float = 1.0
    kinds = Logistic.kinds
    reference = Logistic.reference

    def fit(self, visit, rng):
        found = Logistic().fit(visit, rng)
        return AlteredFitted(found.coef, found.warm, found.events, found.dropped, (self.first, self.second))


@pytest.mark.parametrize("wrong", [{"first": -1.0}, {"first": 1.1}, {"second": -1.0}, {"second": 0.5}])
def test_check_method_finds_derivatives_that_are_not_those_of_the_likelihood(wrong):
    check_method(Altered())
    with pytest.raises(PlanError, match="derivative is that of log_accept"):
        check_method(Altered(**wrong))


def test_differences_are_exact_for_a_parabola():
    first, minus = differences(lambda step: 3.0 - 2.0 * (np.array([0.5, -1.0]) + step) ** 2)
    np.testing.assert_allclose(first, [-2.0, 4.0], rtol=1e-9)
    np.testing.assert_allclose(minus, [4.0, 4.0], rtol=1e-6)

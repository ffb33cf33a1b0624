"""Linear analyses of incomplete frames: products, squares, ratios, splines, covariates of every kind and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import patsy
import statsmodels.api as sm

from support.scenarios import Estimate, Loss, Scenario, coin, expit

__all__ = ["LINEAR", "binary_partner", "continuous_partner"]

Complete = Callable[[np.random.Generator, int], pd.DataFrame]


def _interaction(rng: np.random.Generator, x2: Any) -> pd.DataFrame:
    """A linear analysis: a continuous x1 that interacts with x2."""
    x1 = 0.5 * x2 + rng.normal(size=len(x2))
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.normal(size=len(x2))
    return pd.DataFrame({"y": y, "x1": x1, "x2": x2})


def binary_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A continuous x1 that interacts with a binary x2."""
    return _interaction(rng, coin(rng, n))


def continuous_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A continuous x1 that interacts with a continuous x2."""
    return _interaction(rng, rng.normal(size=n))


def _follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A later measurement of the outcome, correlation 0.95."""
    frame = binary_partner(rng, n)
    return frame.assign(later=frame["y"] + 0.33 * np.std(frame["y"]) * rng.normal(size=n))


def _quadratic(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + 0.5 * z + x + 0.5 * x**2 + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z})


def _bimodal(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A square that leaves open whether a missing x is far above or far below 0."""
    z = rng.normal(size=n)
    x = 0.3 * z + rng.normal(size=n)
    return pd.DataFrame({"y": 1 + 0.3 * z + 0.2 * x + x**2 + rng.normal(size=n), "x": x, "z": z})


def _ratio(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Weight in kg, height in m, and what depends on their body mass index."""
    z = rng.normal(size=n)
    h = 1.7 + 0.02 * z + 0.08 * rng.normal(size=n)
    w = 25 * h**2 * np.exp(0.05 * z + 0.15 * rng.normal(size=n))
    return pd.DataFrame({"y": 100 + 1.5 * w / h**2 + 2 * z + 6 * rng.normal(size=n), "w": w, "h": h, "z": z})


def _curved(curve: Callable[[Any], Any]) -> Complete:
    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        z = rng.normal(size=n)
        x = 0.5 * z + rng.normal(size=n)
        return pd.DataFrame({"y": 2 + 0.5 * z + curve(x) + rng.normal(size=n), "x": x, "z": z})

    return made


# Cubics: whatever the knots of a cubic spline, it can be that.
def _bent(x: Any) -> Any:
    return 1.5 * x - 0.15 * x**3


def _steep(x: Any) -> Any:
    """The lowest x have the highest outcomes, and are lost with them."""
    return x + 0.5 * x**2 - 0.3 * x**3


PLACES = np.array([-1.0, 0.0, 1.0, 2.0])


def _fit_spline(frame: pd.DataFrame) -> Estimate:
    """The spline's mean at some places; those do not depend on where its knots lie."""
    design = patsy.dmatrix("bs(x, df=4) + z", frame)
    result = sm.OLS(frame["y"].to_numpy(), np.asarray(design)).fit()
    places = pd.DataFrame({"x": PLACES, "z": 0.0})
    rows = np.asarray(patsy.build_design_matrices([design.design_info], places)[0])
    rows = np.vstack([rows, np.eye(rows.shape[1])[-1]])
    return [*(f"at x = {x:g}" for x in PLACES), "z"], rows @ result.params, rows @ result.cov_params() @ rows.T


def _skewed(draw: Callable[[np.random.Generator, Any], Any], slope: float) -> Complete:
    """A covariate of some shape given z."""

    def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
        z = rng.normal(size=n)
        x = draw(rng, z)
        return pd.DataFrame({"y": 1 + slope * x + 0.5 * z + rng.normal(size=n), "x": x, "z": z})

    return made


def _lognormal(rng: np.random.Generator, z: Any) -> Any:
    return np.exp(0.4 * z + 0.6 * rng.normal(size=len(z)))


def _gamma(rng: np.random.Generator, z: Any) -> Any:
    return rng.gamma(2.0, np.exp(0.3 * z) / 2.0)


def _left(rng: np.random.Generator, z: Any) -> Any:
    """A score out of 100 that most nearly reach."""
    return 10 - 10 * rng.beta(2.0, 5.0 * np.exp(0.3 * z))


def _skewed_partner(rng: np.random.Generator, n: int) -> pd.DataFrame:
    x2 = coin(rng, n)
    x1 = np.exp(0.3 * x2 + 0.6 * rng.normal(size=n))
    return pd.DataFrame({"y": 1 + 0.7 * x1 + x2 + 0.7 * x1 * x2 + 1.2 * rng.normal(size=n), "x1": x1, "x2": x2})


def _mixed(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """A number, a binary, a nominal and a rating scale."""
    z = rng.normal(size=n)
    g = np.array(list("abc"))[np.digitize(0.5 * z + rng.normal(size=n), [-0.5, 0.6])]
    b = (rng.random(n) < expit(0.5 * z)).astype(float)
    r = 1.0 + np.digitize(0.6 * z + rng.normal(size=n), [-1.0, 0.0, 1.0])
    x = 0.4 * z + 0.5 * b + rng.normal(size=n)
    y = 1 + x + 0.8 * b + 0.7 * (g == "b") - 0.5 * (g == "c") + 0.4 * r + 0.5 * z + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "b": b, "g": pd.Categorical(g), "r": r, "z": z})


def _counts(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """An overdispersed count and a binary coded 1 and 2."""
    z = rng.normal(size=n)
    c = rng.poisson(np.exp(0.5 + 0.4 * z) * rng.gamma(1.5, 1 / 1.5, size=n)).astype(float)
    k = 1.0 + (rng.random(n) < expit(0.6 * z))
    y = 1 + 0.5 * c + 1.0 * k + 0.5 * z + 1.5 * rng.normal(size=n)
    return pd.DataFrame({"y": y, "c": c, "k": k, "z": z})


def _outcome_and_follow_up(rng: np.random.Generator, n: int) -> pd.DataFrame:
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + x + 0.5 * z + 0.5 * x * z + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "z": z, "later": y + rng.normal(size=n)})


_TRUTH = {"Intercept": 1.0, "x1": 1.0, "x2": 1.0, "x1:x2": 1.0}
_X1 = {"x1": Loss("y", -0.4, 0.8)}
_BOTH = {"x1": Loss("y", -1.0, 0.6), "x2": Loss("y", -1.0, -0.6)}
_X = {"x": Loss("y", -0.5, 0.7)}

LINEAR: dict[str, Scenario] = {
    "linear interaction": Scenario(binary_partner, _X1, "y ~ x1 * x2", _TRUTH, ("x1:x2",)),
    "linear interaction, binary partner incomplete": Scenario(
        binary_partner, _BOTH, "y ~ x1 * x2", _TRUTH, ("x1:x2", "x2")
    ),
    "linear interaction, continuous partner incomplete": Scenario(
        continuous_partner, _BOTH, "y ~ x1 * x2", _TRUTH, ("x1:x2", "x2")
    ),
    "linear interaction, skewed covariate": Scenario(
        _skewed_partner, _X1, "y ~ x1 * x2", {"Intercept": 1.0, "x1": 0.7, "x2": 1.0, "x1:x2": 0.7}, ("x1:x2",)
    ),
    "68 % missing": Scenario(binary_partner, {"x1": Loss("y", 0.85, 0.7)}, "y ~ x1 * x2", _TRUTH, ("x1:x2",)),
    "follow-up auxiliary": Scenario(_follow_up, _X1, "y ~ x1 * x2", _TRUTH, ("x1:x2",)),
    "interaction not foreseen": Scenario(
        binary_partner, _X1, "y ~ x1 * x2", _TRUTH, ("x1:x2",), declared="y ~ x1 + x2"
    ),
    "half of the rows": Scenario(
        binary_partner, _X1, "y ~ x1", {"Intercept": 2.0, "x1": 2.0}, ("x1",), declared="y ~ x1 * x2", subset="x2 == 1"
    ),
    "half of the rows, not foreseen": Scenario(
        binary_partner, _X1, "y ~ x1", {"Intercept": 2.0, "x1": 2.0}, ("x1",), declared="y ~ x1 + x2", subset="x2 == 1"
    ),
    "quadratic": Scenario(
        _quadratic, {"x": Loss("y", -0.9, 0.6)}, "y ~ z + x + I(x**2)",
        {"Intercept": 1.0, "z": 0.5, "x": 1.0, "I(x ** 2)": 0.5}, ("I(x ** 2)", "z"),
    ),
    "quadratic, two modes": Scenario(
        _bimodal, {"x": Loss("y", -0.7, 0.6)}, "y ~ z + x + I(x**2)",
        {"Intercept": 1.0, "z": 0.3, "x": 0.2, "I(x ** 2)": 1.0}, ("I(x ** 2)", "x"),
    ),
    "ratio of two incomplete columns": Scenario(
        _ratio, {"w": Loss("y", -1.2, 0.6), "h": Loss("y", -1.2, -0.5)}, "y ~ I(w / h**2) + z",
        {"Intercept": 100.0, "I(w / h ** 2)": 1.5, "z": 2.0}, ("I(w / h ** 2)", "z"),
    ),
    "spline": Scenario(
        _curved(_bent), {"x": Loss("y", -0.9, 0.6)}, "y ~ bs(x, df=4) + z",
        {**{f"at x = {x:g}": 2 + _bent(x) for x in PLACES}, "z": 0.5}, ("at x = -1", "at x = 2", "z"),
        fit=_fit_spline,
    ),
    "spline with bounds, its tail lost": Scenario(
        _curved(_steep), {"x": Loss("y", -0.9, 0.6)}, "y ~ bs(x, df=4) + z",
        {**{f"at x = {x:g}": 2 + _steep(x) for x in PLACES}, "z": 0.5}, ("at x = -1", "at x = 2", "z"),
        fit=_fit_spline, declared="y ~ bs(x, df=4, lower_bound=-6, upper_bound=6) + z",
    ),
    "log-normal covariate": Scenario(
        _skewed(_lognormal, 0.7), _X, "y ~ x + z", {"Intercept": 1.0, "x": 0.7, "z": 0.5}, ("x", "z")
    ),
    "gamma covariate": Scenario(
        _skewed(_gamma, 1.0), _X, "y ~ x + z", {"Intercept": 1.0, "x": 1.0, "z": 0.5}, ("x", "z")
    ),
    "covariate skewed to the left": Scenario(
        _skewed(_left, 0.7), _X, "y ~ x + z", {"Intercept": 1.0, "x": 0.7, "z": 0.5}, ("x", "z")
    ),
    "mixed kinds": Scenario(
        _mixed,
        {"x": Loss("y", -1.7, 0.5), "b": Loss("y", -1.7, -0.5), "g": Loss("y", -1.7, 0.5), "r": Loss("y", -1.7, -0.4)},
        "y ~ x + b + g + r + z",
        {"Intercept": 1.0, "x": 1.0, "b": 0.8, "g[T.b]": 0.7, "g[T.c]": -0.5, "r": 0.4, "z": 0.5},
        ("x", "b", "g[T.c]", "r"),
    ),
    "overdispersed count, binary 1/2": Scenario(
        _counts, {"c": Loss("y", -1.0, 0.5), "k": Loss("y", -1.0, -0.5)}, "y ~ c + k + z",
        {"Intercept": 1.0, "c": 0.5, "k": 1.0, "z": 0.5}, ("c", "k", "z"),
    ),
    "incomplete outcome, auxiliary": Scenario(
        _outcome_and_follow_up, {"y": Loss("later", -1.0, 0.8), "x": Loss("later", -1.0, -0.6)}, "y ~ x * z",
        {"Intercept": 1.0, "x": 1.0, "z": 0.5, "x:z": 0.5}, ("x:z", "x"),
    ),
}  # fmt: skip

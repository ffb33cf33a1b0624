# %% [markdown]
# # A method of your own
# Regression on a bootstrap sample, robust against heavy tails. `fit` draws the parameters, `sample` draws the values;
# `check_method` tries both on hard cases before any data of yours depend on them.

# %%
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import mifit


@dataclass(frozen=True)
class Line:
    """A fitted line: drawn parameters, ready to draw values."""

    coef: np.ndarray
    residuals: np.ndarray
    warm: None = None
    events: tuple = ()

    def sample(self, X, rng, shift=0.0):
        """Draw one value for each row."""
        return X @ self.coef + shift + rng.choice(self.residuals, len(X))


@dataclass(frozen=True)
class BootNormal:
    """Least squares on a bootstrap sample; noise from its residuals."""

    kinds: ClassVar = frozenset({mifit.Kind.NUMERIC})
    reference: ClassVar = "Efron (1994), JASA 89, 463-475"

    def fit(self, visit, rng):
        """Draw the parameters."""
        rows = rng.integers(0, len(visit.y), len(visit.y))
        coef, *_ = np.linalg.lstsq(visit.X[rows], visit.y[rows], rcond=None)
        return Line(coef, visit.y[rows] - visit.X[rows] @ coef)


# %%
mifit.check_method(BootNormal())
air = mifit.datasets.load("airquality")
methods = {"Ozone": BootNormal(), "Month": "leave", "Day": "leave"}
imp = air.mice.impute(m=10, rng=1, methods=methods, bounds={"Ozone": (0, None), "Solar.R": (0, None)})
print(imp)
print(imp.fit("Ozone ~ Wind + Temp", uncovered="ignore").to_frame()[["estimate", "std_error", "fmi"]].round(2))

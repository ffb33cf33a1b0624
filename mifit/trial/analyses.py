"""Analyses of completed outcomes: analysis of covariance at each visit, and an MMRM over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..typing import Array, Rows
from .mmrm import Profiles, fit

__all__ = ["Analysis", "Ancova", "Figures", "Repeated"]


class Figures(NamedTuple):
    """Contrasts of each further arm with the reference, then the mean of each arm; q rows, T visits."""

    values: Array  #: (q, T)
    variances: Array  #: (q, T)
    df: float  #: residual degrees of freedom


class Analysis(Protocol):
    """An analysis of one completed outcome."""

    def figures(self, outcome: Array, rows: Rows) -> Figures:
        """Analyse some subjects, each as often as it is named; outcome (n, T)."""
        ...


def _contrasts(means: Array) -> Array:
    """Rows of coefficients: arms less the reference, then the arms; from (arms, ..., p)."""
    return np.concatenate([means[1:] - means[:1], means])


@dataclass(frozen=True, eq=False)
class Ancova:
    """Least squares at each visit by itself."""

    arms: Array  #: (arms, n, p) design with everyone in each arm
    arm: Rows  #: (n,)

    def figures(self, outcome: Array, rows: Rows) -> Figures:
        """Adjusted means are means over these subjects, all of them in one arm."""
        design = self.arms[self.arm[rows], rows]
        turned, triangle = np.linalg.qr(design)
        inverse = np.linalg.pinv(triangle)
        coef = inverse @ (turned.T @ outcome[rows])
        residuals = outcome[rows] - design @ coef
        df = len(rows) - int(np.linalg.matrix_rank(triangle))
        wanted = _contrasts(self.arms[:, rows].mean(axis=1))
        spread = ((wanted @ inverse) ** 2).sum(axis=1)
        return Figures(wanted @ coef, np.outer(spread, (residuals**2).sum(axis=0) / df), float(df))


@dataclass(frozen=True, eq=False)
class Repeated:
    """One MMRM over all visits, by REML."""

    own: Array  #: (n, T, p)
    arms: Array  #: (arms, n, T, p)
    group: Rows  #: (n,)
    structure: str

    def figures(self, outcome: Array, rows: Rows) -> Figures:
        """Adjusted means at each visit; degrees of freedom between subjects."""
        profiles = Profiles(self.own[rows], outcome[rows], self.group[rows])
        found = fit(profiles, self.structure)
        wanted = _contrasts(self.arms[:, rows].mean(axis=1))  # (q, T, p)
        variances = np.einsum("qtp,pr,qtr->qt", wanted, found.coef_cov, wanted, optimize=True)
        between = len(rows) - self.own.shape[2] / self.own.shape[1]
        return Figures(wanted @ found.coef, variances, float(between))

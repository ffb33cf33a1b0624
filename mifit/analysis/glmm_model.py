"""Logit, Poisson and ordinal models with random effects, under statsmodels' names for models and results."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from ..errors import ModelError
from ..typing import Array
from .glmm import NODES, height
from .glmm_maximum import GeneralisedFit, Rows, at_boundary, maximised, prepared, scale_figures

__all__ = ["GeneralisedMixedResults", "MixedLogit", "MixedOrdinal", "MixedPoisson"]


class _GeneralisedMixed:
    """A generalised linear mixed model of one grouping, fitted by maximum likelihood.

    Parameters
    ----------
    endog : Series or ndarray, shape (n,)
        Yes and no as 1 and 0, counts, or an ordered categorical.
    exog : DataFrame or ndarray, shape (n, p)
    groups : ndarray of int, shape (n,)
    exog_re : DataFrame, shape (n, q), optional
        Columns of the random effects; a random intercept without.
    offset, exposure : ndarray, shape (n,), optional
        What is added to the linear predictor, itself or as a logarithm.
    """

    family = "logit"
    ordered = False

    def __init__(
        self, endog: Any, exog: Any, groups: Any, exog_re: Any = None, offset: Any = None, exposure: Any = None,
        **attached: Any,
    ) -> None:  # fmt: skip
        self.endog_names = str(getattr(endog, "name", None) or "y")
        self.exog_names = [str(name) for name in getattr(exog, "columns", range(0 if exog is None else exog.shape[1]))]
        self.levels: list[str] = []
        if self.ordered:
            category = pd.Series(endog).astype("category").cat
            self.levels = [str(level) for level in category.categories]
            endog = category.codes
        self.endog = np.asarray(endog, dtype=np.float64)
        n = len(self.endog)
        self.exog = np.zeros((n, 0)) if exog is None else np.asarray(exog, dtype=np.float64)
        self.groups = np.asarray(groups)
        self.random_names = ["Group"] if exog_re is None else [str(name) for name in exog_re.columns]
        self.random = np.ones((n, 1)) if exog_re is None else np.asarray(exog_re, dtype=np.float64)
        self.offset = np.zeros(n) + (0.0 if offset is None else np.asarray(offset, dtype=np.float64))
        if exposure is not None:
            self.offset += np.log(np.asarray(exposure, dtype=np.float64))
        self.attached = attached

    @cached_property
    def rows(self) -> Rows:
        """The rows on columns without origin or unit."""
        levels = len(self.levels) if self.ordered else 0
        return prepared(self.family, self.endog, self.exog, self.random, self.offset, self.groups, levels)

    @property
    def parameter_names(self) -> list[str]:
        """Names of the coefficients, cut points last."""
        return [*self.exog_names, *(f"{a}/{b}" for a, b in zip(self.levels, self.levels[1:], strict=False))]

    def fit(self, nodes: int = NODES) -> GeneralisedMixedResults:
        """Maximise the likelihood.

        Parameters
        ----------
        nodes : int, default 25
            Nodes of the adaptive Gauss-Hermite rule for one random effect; 1 is Laplace's method, which several random
            effects always have.
        """
        if not isinstance(nodes, int | np.integer) or not 1 <= nodes <= 100:
            raise ModelError(f"nodes is {nodes!r}; a whole number from 1 to 100 is needed.", do="imp.fit(nodes=25)")
        return GeneralisedMixedResults(self, maximised(self.rows, int(nodes)))

    def loglike(self, params: Array, nodes: int = NODES) -> float:
        """Log-likelihood at coefficients and the lower triangle of the random effects' covariance, by rows."""
        q, many = self.random.shape[1], len(self.rows.back)
        psi, lower = np.zeros((q, q)), np.tril_indices(q)
        psi[lower] = psi.T[lower] = np.asarray(params)[many:]
        there = np.linalg.inv(self.rows.random)
        values, vectors = np.linalg.eigh(there @ psi @ there.T)
        root = np.asarray(np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T, mode="r"), np.float64).T
        theta = np.asarray(np.linalg.solve(self.rows.back, np.asarray(params)[:many]), np.float64)
        return height(self.rows.data, theta, root, None, nodes).loglik


class MixedLogit(_GeneralisedMixed):
    """A logistic model with random effects."""


class MixedPoisson(_GeneralisedMixed):
    """A Poisson model with random effects."""

    family = "poisson"


class MixedOrdinal(_GeneralisedMixed):
    """A cumulative logit (proportional odds) model with random effects."""

    ordered = True


class GeneralisedMixedResults:
    """A fitted generalised mixed model.

    Parameters
    ----------
    model : MixedLogit, MixedPoisson or MixedOrdinal
    fit : GeneralisedFit
    """

    def __init__(self, model: _GeneralisedMixed, fit: GeneralisedFit) -> None:
        self.model, self.fit = model, fit

    @property
    def params(self) -> pd.Series:
        """Coefficients, then cut points of an ordinal model (Q)."""
        return pd.Series(self.fit.coefficients, index=self.model.parameter_names)

    @property
    def cov_re(self) -> pd.DataFrame:
        """Covariance of the random effects (q, q)."""
        names = self.model.random_names
        return pd.DataFrame(self.fit.psi, index=names, columns=names)

    @property
    def llf(self) -> float:
        """Log-likelihood."""
        return self.fit.loglik

    @property
    def converged(self) -> bool:
        """Whether it is at its maximum."""
        return self.fit.distance < 1e-6

    @property
    def nodes(self) -> int:
        """Nodes of the quadrature; 1 is Laplace's method."""
        return self.fit.nodes if len(self.fit.root) == 1 else 1

    @cached_property
    def singular(self) -> bool:
        """Whether a variance is at its boundary."""
        return at_boundary(self.fit)

    @cached_property
    def scale_figures(self) -> tuple[Array, Array]:
        """Log variances and Fisher's z of correlations (k,), and their derivatives by the root (k, k)."""
        return scale_figures(self.fit)

    @cached_property
    def joint(self) -> Array:
        """Covariance of coefficients and figures of spread, (Q + k, Q + k); of coefficients alone where singular."""
        many, bend, back = len(self.fit.theta), self.fit.information, self.fit.rows.back
        if self.singular:
            return np.asarray(back @ np.linalg.inv(bend[:many, :many]) @ back.T)
        whole = np.zeros(bend.shape)
        whole[:many, :many], whole[many:, many:] = back, self.scale_figures[1]
        return np.asarray(whole @ np.linalg.inv(bend) @ whole.T)

    def cov_params(self) -> pd.DataFrame:
        """Covariance of ``params`` (Q, Q)."""
        names = self.model.parameter_names
        return pd.DataFrame(self.joint[: len(names), : len(names)], index=names, columns=names)

    @property
    def bse(self) -> pd.Series:
        """Standard errors of ``params`` (Q)."""
        return pd.Series(np.sqrt(np.diag(self.cov_params())), index=self.model.parameter_names)

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over their standard errors (Q)."""
        return self.params / self.bse

    @property
    def random_effects(self) -> dict[Hashable, pd.Series]:
        """Most likely random effects of each group."""
        names, effects = self.model.random_names, self.fit.effects
        return {int(g): pd.Series(row, index=names) for g, row in zip(self.fit.rows.groups, effects, strict=True)}

    def summary(self) -> pd.DataFrame:
        """Return coefficients, standard errors and z statistics."""
        return pd.DataFrame({"coef": self.params, "std err": self.bse, "z": self.tvalues})

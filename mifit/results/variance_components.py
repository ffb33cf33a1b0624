"""Variance components of a mixed model, intraclass correlations and R², each pooled on its own scale."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import calls
from ..analysis.spread import CONDITIONAL, MARGINAL, Spread
from ..errors import ModelError
from ..pooling.rubin import columns, pool
from ..pooling.scales import SCALES
from .estimates import PooledEstimates

__all__ = ["FIGURES", "mixed_rsquared", "variance_components"]

#: columns of the tables
FIGURES = ("estimate", "std_dev", "conf_low", "conf_high", "fmi", "sets")

_R_SQUARED = (MARGINAL, CONDITIONAL)


def variance_components(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Variance components and intraclass correlations; see :meth:`PooledResults.variance_components`."""
    if results.fits.spread is None:
        formula = results.fits.formula or "y ~ x"
        raise ModelError(
            f"{results.fits.label} has no variance components: it has no random effects.",
            do=calls.call("imp.fit", formula, model="mixedlm", groups="id"),
        )
    table = _pooled(results.fits.spread, alpha)
    return table.drop(index=[name for name in _R_SQUARED if name in table.index])


def mixed_rsquared(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Return marginal and conditional R² of a mixed model, rows and columns as in ``rsquared_frame``."""
    assert results.fits.spread is not None
    return _pooled(results.fits.spread, alpha).loc[list(_R_SQUARED), ["estimate", "conf_low", "conf_high", "fmi"]]


def _pooled(spread: Spread, alpha: float) -> pd.DataFrame:
    """Pool each figure on its scale, over the sets where it has a variance."""
    rows = []
    for name, scale, own, variances in zip(
        spread.names, spread.scales, spread.estimates.T, spread.variances.T, strict=True
    ):
        on = SCALES[scale]
        usable = np.isfinite(variances) & (own > on.low) & (own < on.high)
        if usable.sum() > 1:
            one = pool(on.forward(own[usable])[:, None], variances[usable][:, None, None])
            figures = {key: float(value[0]) for key, value in columns(one, alpha).items()}
            ends = sorted(float(on.backward(np.array(figures[key]))) for key in ("conf_low", "conf_high"))
            estimate, fmi = float(on.backward(np.array(figures["estimate"]))), figures["fmi"]
        else:
            estimate, ends, fmi = float(np.mean(own)), [np.nan, np.nan], np.nan
        deviation = np.sqrt(estimate) if name.endswith(" Var") else np.nan
        rows.append([estimate, deviation, *ends, fmi, int(usable.sum())])
    return pd.DataFrame(rows, index=pd.Index(spread.names, name="component"), columns=list(FIGURES))

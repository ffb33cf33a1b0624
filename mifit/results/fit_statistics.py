"""How well a pooled model fits: R², and the area under the curve of a model for a yes-no outcome."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import MifitError, ModelError
from ..pooling.scales import OnScale, adjusted, auc_delong, on_scale, pool_rsquared, scale_named
from .estimates import PooledEstimates, of_each
from .predict import positions, require_source
from .variance_components import mixed_rsquared

__all__ = ["auc", "rsquared", "rsquared_adj", "rsquared_frame"]


def rsquared(results: PooledEstimates) -> float:
    """R²; see :meth:`PooledResults.rsquared`.

    Raises
    ------
    AttributeError
        If the model has none: whoever asks with ``hasattr`` is told the truth.
    """
    try:
        return float(_pooled(results).estimate[0])
    except ModelError as error:
        raise AttributeError(str(error)) from None


def rsquared_adj(results: PooledEstimates) -> float:
    """Adjusted R²; see :meth:`PooledResults.rsquared_adj`."""
    return float(adjusted(np.array(rsquared(results)), results.nobs, len(results.fits.names)))


def rsquared_frame(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """R² and adjusted R² with their limits; see :meth:`PooledResults.rsquared_frame`."""
    if results.fits.spread is not None:
        return mixed_rsquared(results, alpha)
    plain, own = (_figures(_pooled(results, alpha, name)) for name in ("rsquared", "rsquared_adj"))
    of_pooled = [*adjusted(plain[:3], results.nobs, len(results.fits.names)), plain[3]]
    index = ["R-squared", "Adj. R-squared", "Adj. R-squared (of the pooled)"]
    return pd.DataFrame([plain, own, of_pooled], index, ["estimate", "conf_low", "conf_high", "fmi"])


def auc(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Area under the ROC curve; see :meth:`PooledResults.auc`."""
    design, completed, _ = require_source(results, "the area under the curve")
    chosen, own = positions(results)
    found = []
    for k in range(results.m):
        values = completed.values(k)
        outcome = design.outcome(values)
        if not np.isin(outcome, (0.0, 1.0)).all():
            raise ModelError(
                f"the area under the curve needs an outcome of yes and no; {results.fits.outcome!r} has other values.",
                do="res.rsquared" if _has_rsquared(results) else "res.summary()",
            )
        score = design.matrix(values)[:, chosen] @ results.fits.estimates[k][own]
        found.append(auc_delong(outcome, score))
    areas = np.array(found)
    one = on_scale(areas[:, :1], areas[:, 1:], scale_named("logit"), alpha=alpha, names=["AUC"])
    row = {"estimate": one.estimate, "conf_low": one.conf_low, "conf_high": one.conf_high, "fmi": one.pooled.fmi}
    return pd.DataFrame(row, index=["AUC"])


def _has_rsquared(results: PooledEstimates) -> bool:
    """Return whether the model has R²."""
    meant = results.call is None or results.call.spec.equation == "least squares"
    return meant and of_each(results, "rsquared") is not None


def _yes_no(results: PooledEstimates) -> bool:
    """Return whether the outcome is 0 and 1, so that the area under the curve is known."""
    try:
        design, completed, _ = require_source(results, "the area under the curve")
        return bool(np.isin(design.outcome(completed.values(0)), (0.0, 1.0)).all())
    except MifitError:
        return False


def _instead(results: PooledEstimates) -> str:
    """Return what a model without one R² has."""
    if results.fits.spread is not None:
        return "res.rsquared_frame()"
    return "res.auc()" if _yes_no(results) else "res.summary()"


def _figures(one: OnScale) -> npt.NDArray[np.float64]:
    """Return estimate, limits and fmi of one figure, shape (4,)."""
    return np.array([one.estimate[0], one.conf_low[0], one.conf_high[0], one.pooled.fmi[0]])


def _pooled(results: PooledEstimates, alpha: float = 0.05, name: str = "rsquared") -> OnScale:
    """Return R² pooled, plain or adjusted in each set, or refuse a model that has none."""
    meant = results.call is None or results.call.spec.equation == "least squares"  # quantile regression inherits one
    found = of_each(results, name) if meant else None
    if found is None:
        raise ModelError(
            f"{results.fits.label} has no R².",
            known="ols, wls, gls; of mixed models marginal and conditional R²",
            do=_instead(results),
        )
    return pool_rsquared(found, results.nobs, alpha)

"""What a user of a peer does after it has imputed: the analysis of each completed set, pooled by Rubin's rules."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

__all__ = ["analysed"]


def analysed(sets: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Pooled estimates and standard errors of ``x0 ~ x1 + x2``, a row for each coefficient."""
    fits = [smf.ols("x0 ~ x1 + x2", completed).fit() for completed in sets]
    estimates = np.array([fit.params for fit in fits])
    within = np.mean([fit.bse**2 for fit in fits], axis=0)
    between = estimates.var(axis=0, ddof=1)
    total = within + (1 + 1 / len(fits)) * between
    return pd.DataFrame({"estimate": estimates.mean(axis=0), "se": np.sqrt(total)}, index=fits[0].params.index)

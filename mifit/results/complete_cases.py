"""The same analysis on the rows where nothing it uses was missing: what one would have had without imputing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from ..analysis.fit import fit_sets
from ..errors import FitError, MifitError, ModelError
from ..pooling.rubin import t_pvalue, t_quantile, upper_level
from .estimates import PooledEstimates
from .predict import require_source

__all__ = ["complete_cases"]


def complete_cases(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Fit an analysis again on the complete rows alone.

    Parameters
    ----------
    results : PooledResults
    alpha : float, default 0.05
        One minus the coverage of the limits.

    Returns
    -------
    DataFrame
        Index the coefficients; columns estimate, std_error, statistic, df, p_value, conf_low, conf_high;
        ``attrs["rows"]`` says how many rows were complete.

    Raises
    ------
    ModelError
        If the results were pooled from fits made elsewhere, or a word of the model is an array by row.
    FitError
        If the complete rows cannot bear the analysis.

    Notes
    -----
    Knots and levels are those of the pooled analysis, so that the coefficients mean the same.

    Examples
    --------
    >>> import mifit
    >>> res = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1).fit()
    >>> complete_cases(res).attrs["rows"], complete_cases(res)["estimate"].round(1).tolist()
    (13, [-28.9, 55.8, 104.7, 6.9])
    """
    design, completed, call = require_source(results, "complete cases")
    for word, value in {**call.init, **call.fit}.items():
        if not isinstance(value, str) and np.ndim(value) == 1 and len(value) == completed.table.n_rows:
            raise ModelError(
                f"{word}= is an array by row; complete cases need the name of a column.",
                do=f"imp.fit({design.formula!r}, {word}='column')",
            )
    used = (*design.variables, *design.question.outcome, *call.columns)
    rows = completed.table.complete_rows(used)
    alone = completed.part(rows, sets=1)
    try:
        fits = fit_sets(dataclasses.replace(design, table=alone.table), alone, call)
    except MifitError as failed:
        raise FitError(
            f"the analysis cannot be fitted to the complete cases: {len(rows)} of {completed.table.n_rows} rows.",
            said=failed.fact,
            do="df.mice.pattern()",
        ) from failed
    estimate, error = fits.estimates[0], np.sqrt(np.diag(fits.covariances[0]))
    df = np.broadcast_to(fits.complete, error.shape).copy()
    half = t_quantile(upper_level(alpha), df) * error
    frame = pd.DataFrame(
        {
            "estimate": estimate, "std_error": error, "statistic": estimate / error, "df": df,
            "p_value": t_pvalue(estimate / error, df), "conf_low": estimate - half,
            "conf_high": estimate + half,
        },
        index=list(fits.names),
    )  # fmt: skip
    frame.attrs["rows"] = len(rows)
    return frame

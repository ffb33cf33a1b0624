"""How some models of statsmodels are fitted, where its default optimizer stops too early or begins badly."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["fit_choice", "fit_mixed", "fit_ordinal", "fit_polished"]


def fit_ordinal(model: Any, words: Mapping[str, Any]) -> Any:
    """Fit by Newton's method, or by BFGS if that does not converge; statsmodels' default stops too early."""
    if "method" in words:
        return model.fit(**words)
    try:
        found = model.fit(**{"method": "newton", **words})
        if found.mle_retvals["converged"] and np.isfinite(np.asarray(found.cov_params())).all():
            return found
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        pass
    return model.fit(**{"method": "bfgs", "gtol": 1e-8, **words})


def fit_polished(model: Any, words: Mapping[str, Any]) -> Any:
    """Fit, and take Newton's last steps from there: BFGS stops at five digits."""
    found = model.fit(**words)
    if "method" in words:
        return found
    params = np.ravel(np.asarray(found.params, dtype=np.float64))
    try:
        better = model.fit(**{**words, "method": "newton", "start_params": params, "maxiter": 50})
        finite = np.isfinite(np.asarray(better.params)).all() and np.isfinite(better.llf)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):
        return found
    return better if finite and better.llf >= found.llf - 1e-9 * abs(found.llf) else found


def fit_mixed(model: Any, words: Mapping[str, Any]) -> Any:
    """Fit by BFGS to eight digits, as lme4, and as statsmodels does it where that stops short.

    Not by L-BFGS, second on statsmodels' own list: it can call a variance of zero converged.
    """
    if "method" in words:
        return model.fit(**words)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = model.fit(**{"gtol": 1e-8, **words, "method": "bfgs"})
    if not found.converged:
        return model.fit(**words, method=["bfgs", "cg", "powell"])
    for one in said:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return found


def fit_choice(model: Any, words: Mapping[str, Any]) -> Any:
    """Fit a conditional multinomial model from zero; statsmodels would start at random."""
    levels = len(np.unique(np.asarray(model.endog)))
    return fit_polished(model, {"start_params": np.zeros(model.exog.shape[1] * (levels - 1)), **words})

"""Are there enough imputations? Monte-Carlo errors of a pooled table, and what they leave undecided."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import PlanError, nearest
from ..pooling.monte_carlo import decimals, jackknife, recommended
from .estimates import PooledEstimates, Stability
from .tables import tidy

__all__ = ["mc_error", "more_sets_until", "recommend_m", "stable", "supported_digits", "undecided"]

Results = TypeVar("Results", bound=PooledEstimates)

#: what ``until=`` can ask for
_WORDS = {
    "se_cv": "coefficient of variation of every standard error, over other seeds",
    "estimate": "Monte-Carlo error of every estimate, in standard errors",
    "p_value": "Monte-Carlo error of every p-value",
}


def mc_error(results: PooledEstimates, alpha: float = 0.05) -> pd.DataFrame:
    """Monte-Carlo error of every column; see :meth:`PooledResults.mc_error`."""
    fits, pooled = results.fits, results.pooled
    errors = jackknife(fits.estimates, fits.covariances, pooled.complete, pooled.df_method, alpha)
    frame = pd.DataFrame(errors, index=list(fits.names))
    if results.m < 3:
        frame.attrs["reason"] = f"the jackknife needs at least 3 sets; there are {results.m}"
    return frame


def recommend_m(results: PooledEstimates, cv: float = 0.05) -> int:
    """How many imputations; see :meth:`PooledResults.recommend_m`."""
    return int(recommended(results.pooled.fmi, results.m, cv).max(initial=2))


def supported_digits(results: PooledEstimates, alpha: float = 0.05, exponentiate: bool = False) -> pd.DataFrame:
    """Return how many decimals of each figure of ``to_frame`` its Monte-Carlo error supports (q, 10)."""
    errors = mc_error(results, alpha)
    if exponentiate:
        ratios, plain = (tidy(results, alpha, exponentiate=also) for also in (True, False))
        times = ratios["std_error"] / plain["std_error"]  # the ratio itself; 1 for a row that is no coefficient
        own = errors["estimate"] * ratios["std_error"] * (times != 1)  # its standard error moves with it
        errors["std_error"] = np.hypot(errors["std_error"] * times, own)
        for name in ("estimate", "conf_low", "conf_high"):
            errors[name] *= np.where(times == 1, 1.0, ratios[name])
    return pd.DataFrame(decimals(errors.to_numpy()), errors.index, errors.columns)


def undecided(results: PooledEstimates, level: float = 0.05) -> list[str]:
    """Return coefficients whose p-value another seed could bring to the other side of a level.

    Parameters
    ----------
    results : PooledResults
    level : float, default 0.05

    Returns
    -------
    list of str
        Those nearer to the level than 1.96 Monte-Carlo errors; none can be named with fewer than 3 sets.
    """
    error = mc_error(results)["p_value"].to_numpy()
    near = np.abs(results.pvalues.to_numpy() - level) < 1.96 * error
    return [name for name, flagged in zip(results.fits.names, near, strict=True) if flagged]


def stable(results: PooledEstimates, until: Mapping[str, float]) -> Stability:
    """Judge whether there are enough imputations for a table.

    Parameters
    ----------
    results : PooledResults
    until : mapping
        What must be reached: ``{"se_cv": 0.05}`` (von Hippel's rule, at the upper 95 % limit of each fraction of
        missing information), ``{"estimate": 0.1}`` (Monte-Carlo error in standard errors), ``{"p_value": 0.005}``.

    Returns
    -------
    Stability

    Raises
    ------
    PlanError
        If a word is unknown or a limit is not positive.

    Notes
    -----
    Monte-Carlo errors fall with the root of m, which is how many sets would do is reckoned.

    References
    ----------
    von Hippel, P. T. (2020). *Sociological Methods & Research* 49, 699-718.
    """
    _refuse(until)
    if not results.fits.names:
        return Stability(True, "Nothing is estimated.", results.m)
    errors = mc_error(results)
    needed, lines = results.m, []
    for word, limit in until.items():
        if word == "se_cv":
            each = recommended(results.pooled.fmi, results.m, limit)
        else:
            size = errors["estimate"] / results.bse if word == "estimate" else errors["p_value"]
            each = _wanted(size.to_numpy(dtype=np.float64), results.m, limit)
        worst = int(np.argmax(each))
        if each[worst] > results.m:
            lines.append(f"{word} <= {limit:g} needs about m = {each[worst]} for {results.fits.names[worst]}")
            needed = max(needed, int(each[worst]))
    said = " and ".join(f"{word} <= {limit:g}" for word, limit in until.items())
    return Stability(not lines, "; ".join(lines) or f"{said} at m = {results.m}", needed)


def more_sets_until(
    fit: Callable[[Any], Results], imputations: Any, until: Mapping[str, float], max_m: int = 200
) -> Results:
    """Add imputations until a table is stable.

    Parameters
    ----------
    fit : callable
        Fits the analysis on an imputed set.
    imputations : ImputedSet
        Where to begin; ``extend(m=...)`` gives more of them.
    until : mapping
        As in :func:`stable`.
    max_m : int, default 200
        Not more sets than these.

    Returns
    -------
    PooledEstimates
        With ``stability()``; its summary prints only digits that the Monte-Carlo error supports.

    Raises
    ------
    PlanError
        If ``until`` cannot be read, ``max_m`` is no whole number from 3, or the sets were made elsewhere and are too
        few.

    Notes
    -----
    The number of sets at most doubles at each step: a forecast from few sets is rough. The jackknife needs three.
    """
    _refuse(until)
    if not isinstance(max_m, int | np.integer) or isinstance(max_m, bool) or max_m < 3:
        raise PlanError(
            f"max_m is {max_m!r}; a whole number from 3 is needed.", do="imp.fit(until={'se_cv': 0.05}, max_m=200)"
        )
    results, said = _heard(fit, imputations, {})
    while not (found := stable(results, until)).enough and results.m < max_m:
        wanted = min(found.m, 2 * results.m, max_m)
        results, said = _heard(fit, results.imputations.extend(m=max(wanted - results.m, 1)), said)
    short = "" if found.enough else f"Not stable at max_m = {max_m}: "
    results.settled = Stability(found.enough, short + found.what, found.m)
    for one in said.values():  # each kind once, as the last round had it
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return results


def _heard(
    fit: Callable[[Any], Results], imputations: Any, said: Mapping[type, Any]
) -> tuple[Results, dict[type, Any]]:
    """Fit once and keep the warnings; a later one replaces an earlier one of its kind."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = fit(imputations)
    return results, {**said, **{one.category: one for one in caught}}


def _wanted(error: npt.NDArray[np.float64], m: int, limit: float) -> npt.NDArray[np.int64]:
    """Return the m at which errors fall to a limit, shape (q,); twice as many where an error is not known."""
    wanted = np.where(np.isfinite(error), np.ceil(m * (error / limit) ** 2 - 1e-9), 2 * m)
    return np.minimum(wanted, 10**6).astype(np.int64)


def _refuse(until: Mapping[str, float]) -> None:
    """Raise PlanError for words nobody knows and limits that cannot be reached."""
    if not isinstance(until, Mapping) or not until:
        raise PlanError(f"until= is a mapping, not {until!r}.", do="imp.fit(until={'se_cv': 0.05})")
    for word, limit in until.items():
        if word not in _WORDS or not (isinstance(limit, int | float) and limit > 0):
            raise PlanError(
                f"until={{{word!r}: {limit!r}}} cannot be{nearest(word, _WORDS)}.",
                known="; ".join(f"{known} ({about})" for known, about in _WORDS.items()),
                do="imp.fit(until={'se_cv': 0.05})",
            )

"""Pooling what was fitted elsewhere: results of any package, pairs of arrays, tables of estimates."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..analysis.fit import Fits
from ..errors import PoolingError, listed
from ..pooling import rubin
from ..typing import Array
from .map import pool_figures
from .pooled import PooledResults

__all__ = ["pool", "pool_table"]


_ESTIMATES = ("estimate", "coef", "params", "Estimate", "Coef.")
_ERRORS = ("std_error", "std.error", "se", "bse", "std err", "Std. Error", "Std.Err.", "se(coef)")


#: what tables call a variance, in small letters, and the ends of an interval
_VARIANCES = ("variance", "var", "within", "ubar", "vcov")
_LIMITS = (("conf.low", "conf.high"), ("conf_low", "conf_high"), ("[0.025", "0.975]"), ("2.5 %", "97.5 %"))


class _Read(NamedTuple):
    """What is needed of one fit."""

    names: list[str]
    estimate: Array
    covariance: Array


def pool(
    fits: Sequence[Any],
    *,
    dfcom: float | None = None,
    df_method: str = "barnard-rubin",
    names: Sequence[str] | None = None,
) -> PooledResults:
    """Pool m fits made elsewhere by Rubin's rules.

    Parameters
    ----------
    fits : sequence of length m
        Results with ``params`` and ``cov_params()`` (statsmodels), ``params`` and ``cov`` (linearmodels), ``params_``
        and ``variance_matrix_`` (lifelines); or pairs (estimates, covariance); or frames with columns ``estimate``
        and ``std_error``.
    dfcom : float, optional
        Complete-data degrees of freedom; by default the least that the fits report, else infinite. The summary says
        which.
    df_method : {"barnard-rubin", "rubin"}
    names : sequence of str, optional
        Names of the coefficients, where the fits have none.

    Returns
    -------
    PooledResults
        Without what needs the completed sets: predictions, likelihood tests, hypotheses in words.

    Raises
    ------
    PoolingError
        If there are fewer than two fits, a fit has no covariance, or the fits name different coefficients.

    Examples
    --------
    >>> res = pool([([1.0, 2.0], np.eye(2)), ([1.4, 2.2], np.eye(2))], names=["a", "b"], dfcom=96)
    >>> res.params.to_dict()
    {'a': 1.2, 'b': 2.1}
    """
    if not isinstance(fits, Iterable) or isinstance(fits, str | Mapping | pd.DataFrame):
        raise PoolingError(
            f"mifit.pool takes a list of fits, one for each set, not {type(fits).__name__}.",
            do="mifit.pool([fit1, fit2])",
        )
    fits = list(fits)
    read = [_read(fit, k, names) for k, fit in enumerate(fits)]
    if len(read) < 2:
        raise PoolingError(f"{len(read)} fit; at least 2 are needed to pool.", do="mifit.pool([fit1, fit2, ...])")
    labels = read[0].names
    for k, one in enumerate(read):
        if len(one.names) != len(labels) or set(one.names) != set(labels) or len(set(labels)) < len(labels):
            odd = ", ".join(sorted(set(one.names) ^ set(labels))) or "names repeat"
            raise PoolingError(
                f"fit {k} has other coefficients than fit 0: {odd}.",
                do="df.astype({'g': 'category'})   # before imputing: every set then has the same levels",
            )
    orders = [[one.names.index(name) for name in labels] for one in read]
    estimates = np.array([one.estimate[order] for one, order in zip(read, orders, strict=True)])
    covariances = np.array([one.covariance[np.ix_(order, order)] for one, order in zip(read, orders, strict=True)])
    reported = [_df_of(fit) for fit in fits]
    source = "given" if dfcom is not None else min(reported)[1]
    df = dfcom if dfcom is not None else min(reported)[0]
    pooled = rubin.pool(estimates, covariances, df, df_method, names=labels)
    model = getattr(fits[0], "model", None)
    label = type(model).__name__ if model is not None and not isinstance(model, str) else type(fits[0]).__name__
    every = np.ones(len(fits), bool)
    no_more = Fits(
        names=tuple(labels), estimates=estimates, covariances=covariances, df_complete=pooled.df_complete,
        df_source=source, n_obs=min(map(_rows_of, fits)), label=label, outcome=_outcome(model), formula="",
        cov_label=str(getattr(fits[0], "cov_type", "as given")), facts={}, converged=every, separated=~every,
        notes=(), kept=tuple(fits),
    )  # fmt: skip
    return PooledResults(pooled, no_more, refit=lambda k: fits[k])


def pool_table(
    frame: pd.DataFrame,
    estimate: Hashable | None = None,
    std_error: Hashable | None = None,
    term: Hashable | None = None,
    *,
    dfcom: float | None = None,
    scale: str | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Pool a table of estimates and standard errors, one row for each figure and set.

    Parameters
    ----------
    frame : DataFrame
        The m tables stacked.
    estimate, std_error : hashable, optional
        Columns; by default found by their usual names.
    term : hashable, optional
        Column that names the figure; by default "term" if there is one, else the index if it repeats, else all rows
        are one figure.
    dfcom : float, optional
        Complete-data degrees of freedom.
    scale : str, optional
        As in :meth:`Mapped.pool`.
    alpha : float, default 0.05

    Returns
    -------
    DataFrame, one row a figure
        The columns of ``to_frame``.

    Raises
    ------
    PoolingError
        If a column is absent, or a figure is not there in every set.

    Examples
    --------
    >>> table = pd.DataFrame({"term": ["x", "x"], "estimate": [1.0, 2.0], "std_error": [1.0, 1.0]})
    >>> pool_table(table)["std_error"].round(3).to_dict()
    {'x': 1.323}
    """
    if not isinstance(frame, pd.DataFrame):
        raise PoolingError(
            f"mifit.pool_table takes a frame of estimates and standard errors, not {type(frame).__name__}.",
            do="mifit.pool_table(pd.concat([table1, table2]))",
        )
    values = frame[_column(frame, estimate, _ESTIMATES, "estimate")].to_numpy(dtype=np.float64)
    errors = frame[_column(frame, std_error, _ERRORS, "std_error")].to_numpy(dtype=np.float64)
    if term is not None or "term" in frame.columns:
        labels = frame["term" if term is None else term].astype(str).to_numpy()
    elif frame.index.has_duplicates:
        labels = frame.index.astype(str).to_numpy()
    else:
        labels = np.full(len(frame), "estimate")
    rows = {name: np.flatnonzero(labels == name) for name in dict.fromkeys(labels.tolist())}
    counts = {name: len(which) for name, which in rows.items()}
    if len(set(counts.values())) > 1:
        raise PoolingError(
            "some estimates are missing in some sets.",
            rows=listed((f"{name}: {count}" for name, count in counts.items()), 8),
            do="frame.groupby('term').size()",
        )
    m = next(iter(counts.values()))
    sets = [{name: (values[which[k]], errors[which[k]] ** 2) for name, which in rows.items()} for k in range(m)]
    return pool_figures(sets, None, scale, dfcom, alpha)


def _read(fit: Any, k: int, names: Sequence[str] | None) -> _Read:
    """Return the estimates and the covariance matrix of a fit, and the names of its coefficients."""
    if isinstance(fit, pd.DataFrame):
        estimate = fit[_column(fit, None, _ESTIMATES, "estimate")]
        covariance: Any = np.diag(fit[_column(fit, None, _ERRORS, "std_error")].to_numpy(dtype=np.float64) ** 2)
        labels = fit["term"] if "term" in fit.columns else fit.index
        estimate = pd.Series(estimate.to_numpy(), index=list(labels))
    elif isinstance(fit, tuple) and len(fit) == 2:
        estimate, covariance = fit
    else:
        estimate, covariance = _parts(fit, k)
    found = _labels(fit, estimate, covariance, names)
    values = np.ravel(np.asarray(estimate, dtype=np.float64), order="F")
    matrix = np.asarray(covariance, dtype=np.float64).reshape(len(values), len(values))
    if len(found) != len(values):
        raise PoolingError(f"{len(found)} names for {len(values)} coefficients of fit {k}.", names=listed(found, 8))
    return _Read(found, values, matrix)


def _parts(fit: Any, k: int) -> tuple[Any, Any]:
    """Return estimates and covariance of a result of some package."""
    if hasattr(fit, "fe_params"):  # mixed model: its variance components stand on another scale
        p = len(fit.fe_params)
        return fit.fe_params, np.asarray(fit.cov_params())[:p, :p]
    estimate = getattr(fit, "params", None)
    if estimate is None or callable(estimate):
        estimate = getattr(fit, "params_", None)
    covariance = fit.cov_params() if callable(getattr(fit, "cov_params", None)) else getattr(fit, "cov", None)
    covariance = getattr(fit, "variance_matrix_", None) if covariance is None or callable(covariance) else covariance
    if estimate is None or covariance is None:
        raise PoolingError(
            f"fit {k} ({type(fit).__name__}) has no estimates with a covariance.",
            wanted="params and cov_params(), params and cov, params_ and variance_matrix_, or (estimates, covariance)",
            do="mifit.pool([(estimate, covariance), ...], names=[...])",
        )
    return estimate, covariance


def _labels(fit: Any, estimate: Any, covariance: Any, names: Sequence[str] | None) -> list[str]:
    """Return the names of the coefficients, by levels where a model has several."""
    if names is not None:
        return list(names)
    if isinstance(estimate, pd.DataFrame):
        index = getattr(covariance, "index", None)
        pairs = list(index) if index is not None else [(c, r) for c in estimate.columns for r in estimate.index]
        return [":".join(map(str, pair)) for pair in pairs]
    if isinstance(estimate, pd.Series):
        return [":".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in estimate.index]
    known = getattr(getattr(fit, "model", None), "exog_names", None)
    return list(known) if known is not None else [f"x{j}" for j in range(np.size(estimate))]


def _df_of(fit: Any) -> tuple[float, str]:
    """Return the complete-data degrees of freedom of a fit and where they come from."""
    model, size = getattr(fit, "model", None), np.size(getattr(fit, "params", ()))
    if hasattr(fit, "fe_params"):
        return np.inf, "mixed model"
    if getattr(fit, "df_resid_inference", None) is not None:
        return float(fit.df_resid_inference), "as fitted"
    status, groups = (getattr(model, word, None) for word in ("status", "num_group"))
    if status is not None:
        return float(np.sum(status) - size), "events - coefficients"
    if groups is not None:
        return float(groups - size), "groups - coefficients"
    df = getattr(fit, "df_resid", None)
    return (np.inf, "not reported") if df is None or callable(df) else (float(df), "residual")


def _rows_of(fit: Any) -> int:
    """Return the number of rows behind a fit, 0 where it does not tell: statsmodels, linearmodels, lifelines."""
    model = getattr(fit, "model", None)
    event = getattr(fit, "event_observed", None)
    found = [getattr(fit, "nobs", None), getattr(model, "nobs", None), getattr(fit, "_n_examples", None)]
    found += [
        len(one)
        for one in (event, getattr(fit, "durations", None), getattr(model, "endog", None))
        if one is not None and hasattr(one, "__len__")
    ]
    for one in found:
        if isinstance(one, Real) and float(one) > 0:
            return int(float(one))
    return 0


def _outcome(model: Any) -> str:
    """Return the outcome's name, if the model tells."""
    name = getattr(model, "endog_names", "")
    return name if isinstance(name, str) else ", ".join(map(str, name))


def _meant(frame: pd.DataFrame, what: str) -> Hashable:
    """Return the column of numbers whose name is nearest to a figure's."""
    numeric = [n for n in frame.columns if pd.api.types.is_numeric_dtype(frame[n])] or list(frame.columns)
    near = difflib.get_close_matches(what, list(map(str, numeric)), n=1, cutoff=0.3)
    return next((n for n in numeric if str(n) in near), numeric[0] if numeric else what)


def _with_errors(frame: pd.DataFrame) -> str:
    """The call with the standard errors that a table has in another form: as variances, or as limits."""
    made = "mifit.pool_table(frame.assign(std_error={}))"
    variance = next((name for name in frame.columns if str(name).lower() in _VARIANCES), None)
    if variance is not None:
        return made.format(f"np.sqrt(frame[{variance!r}])")
    for low, high in _LIMITS:
        if low in frame.columns and high in frame.columns:
            return (
                made.format(f"(frame[{high!r}] - frame[{low!r}]) / 3.92") + "   # of limits at 95 %, by the normal law"
            )
    return f"mifit.pool_table(frame, std_error={_meant(frame, 'std_error')!r})"


def _column(frame: pd.DataFrame, given: Hashable | None, usual: Sequence[str], what: str) -> Hashable:
    """Return the column that holds a figure, or refuse."""
    found = [given] if given is not None else [name for name in usual if name in frame.columns]
    if not found or found[0] not in frame.columns:
        raise PoolingError(
            f"the table has no column of {what}s{'' if given is None else f' {given!r}'}.",
            columns=", ".join(map(str, list(frame.columns)[:10])),
            do=_with_errors(frame)
            if what == "std_error" and given is None
            else f"mifit.pool_table(frame, {what}={_meant(frame, what)!r})",
        )
    return found[0]

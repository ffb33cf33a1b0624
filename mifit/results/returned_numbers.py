"""Read what a user's function returned for one set: named estimates, with variances and degrees of freedom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from ..errors import PoolingError
from ..typing import Array
from .function_code import P_VALUES, RANKS, UNKNOWN, FunctionCode

__all__ = ["STATISTICS", "Figure", "figures_of"]

Figure = tuple[Any, ...]

#: stands for the statistics of all sets
STATISTICS = "[func(d).statistic for d in imp]"
_RHO = (
    "imp.map(lambda d: {'rho': (r := d.select_dtypes('number').iloc[:, :2].corr('spearman').iloc[0, 1], "
    "1.06 / (len(d) - 3) * (1 - r**2) ** 2)}).pool(scale='fisher')   # of two columns of numbers"
)
_EXAMPLE = "imp.map(lambda d: (d.mean(numeric_only=True), d.var(numeric_only=True) / len(d))).pool()"

#: results of scipy.stats whose statistic can be pooled: what it is, and its degrees of freedom where they never differ
_STATISTICS = {
    "AlexanderGovernResult": ("chi2", None),
    "BartlettResult": ("chi2", None),
    "Chi2ContingencyResult": ("chi2", None),
    "FlignerResult": ("chi2", None),
    "FriedmanchisquareResult": ("chi2", None),
    "KruskalResult": ("chi2", None),
    "MedianTestResult": ("chi2", None),
    "NormaltestResult": ("chi2", 2),
    "Power_divergenceResult": ("chi2", None),
    "F_onewayResult": ("F", None),
    "LeveneResult": ("F", None),
}

#: what a test statistic is called beside a p-value
_STATISTIC = ("stat", "statistic", "t", "z", "f", "u", "w", "h", "chi2", "chi-square", "tstat", "test")

#: what the second and third field of a named tuple must be called to be read as variance and degrees of freedom
_VARIANCES, _DEGREES = ("variance", "var", "within"), ("df", "dof", "df_resid", "dfcom")

#: variance of Fisher's transformation of Spearman's correlation, times n - 3 (Fieller, Hartley and Pearson 1957)
_SPEARMAN = 1.06


def figures_of(
    value: Any, k: int, n_obs: int | None = None, code: FunctionCode = UNKNOWN
) -> tuple[dict[str, Figure], bool]:
    """Read what a function gave for one set.

    Parameters
    ----------
    value : object
        A number; (estimate, variance) or (estimate, variance, df), of numbers or of vectors that match element by
        element; a mapping or Series of names to those; a correlation or a regression of ``scipy.stats``.
    k : int
        Number of the set, from 0.
    n_obs : int, optional
        Rows of the set.
    code : FunctionCode
        What the function asks for. Where it asks for p-values, or for standard errors that it does not square, the
        second of two numbers is no variance.

    Returns
    -------
    figures : dict
        Name -> (estimate[, variance[, df]]).
    correlation : bool
        Whether they are a correlation on Fisher's scale, whatever scale was asked for.

    Raises
    ------
    PoolingError
        If it is none of these, or a test, whose p-value is no variance.

    References
    ----------
    Fieller, E. C., Hartley, H. O. and Pearson, E. S. (1957). Tests for rank correlation coefficients I. *Biometrika*
    44, 470-481. doi:10.1093/biomet/44.3-4.470

    Examples
    --------
    >>> figures_of((np.array([1.0, 2.0]), np.array([0.1, 0.2])), 0)[0]
    {'x0': (1.0, 0.1), 'x1': (2.0, 0.2)}
    """
    if isinstance(value, pd.Series | Mapping):
        out: dict[str, Figure] = {}
        named = {str(name).lower() for name, _ in value.items()}
        if named & {*P_VALUES} or ("p" in named and named & {*_STATISTIC}):
            raise _no_test(value, k, n_obs, code)
        apart = replace(code, tests=code.tests and not code.variance)  # named, beside p-values
        for name, one in value.items():
            inner, _ = figures_of(one, k, n_obs, apart)
            alone = list(inner) == ["estimate"]
            out.update({str(name) if alone else f"{name}:{label}": figure for label, figure in inner.items()})
        return out, False
    if _is_test(value):
        return _known_test(value, k, n_obs, code)
    if (fields := getattr(value, "_fields", None)) is not None and not _means_variance(fields):
        raise PoolingError(
            f"set {k} gave a {type(value).__name__} ({', '.join(fields)}); nothing says that {fields[-1]!r} is a "
            "variance.",
            do="imp.map(lambda d: (d.iloc[:, 0].count() / len(d), 0.25 / len(d))).pool()   # (estimate, variance)",
        )
    if isinstance(value, tuple | list) and any(isinstance(one, tuple | Mapping) or _is_test(one) for one in value):
        raise PoolingError(
            f"set {k} gave a {type(value).__name__} of {len(value)} results, which have no names.",
            do="imp.map(lambda d: {c: (d[c].mean(), d[c].var() / len(d)) for c in d.select_dtypes('number')}).pool()",
        )
    vectors = isinstance(value, tuple | list) and len(value) > 0 and _is_vector(value[0])
    figures = _by_element(value, k) if vectors else {"estimate": _figure(value, k)}
    if refused := _no_variance(figures, k, n_obs, code):
        raise refused
    return figures, False


def _no_variance(figures: Mapping[str, Figure], k: int, n_obs: int | None, code: FunctionCode) -> PoolingError | None:
    """The refusal of numbers of which nothing says that the second is the variance of the first, else None."""
    first, *others = figures.values()
    pair = len(first) > 1 and first[1] is not None
    do = _pooled_ranks(code.ranks) or code.instead() or f"{_EXAMPLE}   # (estimate, variance)"
    given = " and ".join(f"{one:.4g}" for one in first[:2] if one is not None)
    unread = "nothing says that the second number is a variance"
    if pair and code.unsquared:
        return PoolingError(
            f"set {k} gave {given} by a function that asks for {code.unsquared!r} and squares nothing: {unread}.",
            wanted="an estimate with its variance, which is its standard error squared",
            do=do,
        )
    if code.tests and all(0 <= (one[1] if pair else one[0]) <= 1 for one in figures.values()):
        return PoolingError(
            f"set {k} gave {given} by a function that asks for p-values: "
            f"{unread if pair else 'a p-value is not averaged'}.",
            wanted="an estimate with its variance, by name: {'mean': (estimate, variance)}",
            do=do,
        )
    if pair and not others and _is_tail(first[0], first[1], n_obs, first[2] if len(first) > 2 else None):
        return PoolingError(
            f"set {k} gave {given}, its p-value: a p-value is no variance.",
            wanted="an estimate with its variance, (estimate, variance)",
            do=do,
        )
    return None


def _pooled_ranks(asked: str) -> str:
    """The line that pools a rank correlation on Fisher's scale, where its variance is known; empty else."""
    variance = next((one for name, one in RANKS.items() if one and f".{name}(" in asked), None)
    if not variance:
        return ""
    kind, name = ("kendall", "tau") if "kendall" in asked else ("spearman", "rho")
    x, y = re.findall(r"d\[.*?\](?=, d\[|\)$)", asked)
    return (
        f"imp.map(lambda d: {{{name!r}: (r := {x}.corr({y}, {kind!r}), {variance} * (1 - r**2) ** 2)}})"
        ".pool(scale='fisher')"
    )


def _is_test(value: Any) -> bool:
    """Tell whether a value is the result of a test: not a number, and it has a p-value."""
    if isinstance(value, Real | str | np.ndarray | pd.DataFrame):
        return False
    if type(value).__module__.startswith("scipy.") and not isinstance(value, np.ndarray):
        return True
    return any(hasattr(value, name) for name in P_VALUES if name.isidentifier())


def _means_variance(fields: tuple[str, ...]) -> bool:
    """Tell whether the fields of a named tuple are an estimate, its variance and degrees of freedom."""
    names = [name.lower() for name in fields]
    return len(names) == 1 or (
        len(names) <= 3 and names[1] in _VARIANCES and all(name in _DEGREES for name in names[2:])
    )


def _known_test(value: Any, k: int, n_obs: int | None, code: FunctionCode) -> tuple[dict[str, Figure], bool]:
    """Read the results whose statistic has a known scale: correlations, and the coefficients of a regression."""
    if hasattr(value, "slope") and hasattr(value, "stderr"):
        slope, stderr, r = (float(getattr(value, name)) for name in ("slope", "stderr", "rvalue"))
        implied_df = (slope / stderr) ** 2 * (1 - r**2) / r**2 if stderr > 0 and r else np.inf
        df = float(np.rint(implied_df)) if np.isfinite(implied_df) else None
        found = {"slope": (slope, stderr**2, df)}
        if getattr(value, "intercept_stderr", None) is not None:
            found["intercept"] = (float(value.intercept), float(value.intercept_stderr) ** 2, df)
        return dict(found), False
    if hasattr(value, "correlation") and np.ndim(value.statistic) == 0:
        r = float(value.statistic)
        n, factor = _rows_of(value, r, n_obs)
        if n is not None and abs(r) < 1 and n > 3:
            return {"correlation": (r, factor * (1 - r**2) ** 2 / (n - 3))}, True
        estimate = f"imp.map(lambda d: {code.ranks}.statistic).pool()   # without a standard error: none is known"
        raise PoolingError(
            f"set {k} gave a {type(value).__name__}, and the number of rows behind the correlation {r:.4g} cannot be "
            "computed from its p-value.",
            scale="on Fisher's, Spearman's rho has the variance 1.06 / (n - 3), Kendall's tau 0.437 / (n - 4)",
            do=_pooled_ranks(code.ranks) or (f"from scipy import stats; {estimate}" if code.ranks else _RHO),
        )
    raise _no_test(value, k, n_obs, code)


def _rows_of(value: Any, r: float, n_obs: int | None) -> tuple[int | None, float]:
    """Return the number of pairs behind a correlation, which its limits or its p-value tell, and a variance factor."""
    if hasattr(value, "confidence_interval"):
        limits = value.confidence_interval(0.95)
        width = np.arctanh(min(limits[1], 1.0)) - np.arctanh(max(limits[0], -1.0)) if abs(r) < 1 else np.inf
        if np.isfinite(width) and width > 0:
            return int(np.rint(3 + (2 * 1.959963984540054 / width) ** 2)), 1.0
        return getattr(value, "_n", n_obs), 1.0
    if n_obs is None or abs(r) >= 1:
        return None, 1.0
    rows = np.arange(n_obs, 3, -1)
    wanted = float(value.pvalue)
    told = 2 * stdtr(rows - 2, -abs(r) * np.sqrt((rows - 2) / (1 - r**2)))
    if wanted == 0 and told[0] == 0:
        return None, 1.0
    alike = np.flatnonzero(np.isclose(told, wanted, rtol=1e-7, atol=0))
    return (int(rows[alike[0]]) if len(alike) else None), _SPEARMAN


def _no_test(value: Any, k: int, n_obs: int | None, code: FunctionCode) -> PoolingError:
    """Return the refusal of a test: its p-value is no variance, and its statistic has its own rule."""
    name = "p-value by name" if isinstance(value, pd.Series | Mapping) else type(value).__name__
    kind, df = _STATISTICS.get(name, ("", None))
    do = code.instead(name) or f"{_EXAMPLE}   # (estimate, variance)"
    if kind:
        df = df or _degrees(value, kind, n_obs)
        do = f"mifit.pool_statistics({STATISTICS}, df={df or 1}, kind={kind!r})"
        do += "" if df else "   # df of the test, such as groups - 1"
    return PoolingError(
        f"set {k} gave a {name}, the result of a test: a p-value is no variance, a statistic has no standard error.",
        wanted="an estimate with its variance, (estimate, variance); mifit.pool_statistics pools chi-square and F "
        "statistics of all sets",
        do=do,
    )


def _degrees(value: Any, kind: str, n_obs: int | None) -> int | None:
    """Degrees of freedom of a chi-square, or of the numerator of an F, by its p-value; None where it does not tell."""
    own = getattr(value, "dof", None)
    if isinstance(own, int | np.integer):
        return int(own)
    statistic, p = float(value.statistic), float(value.pvalue)
    if kind == "chi2":
        tails = chdtrc(np.arange(1.0, 201.0), statistic)[:, None]
    else:
        tails = fdtrc(np.arange(1.0, 51.0)[:, None], np.arange(1.0, (n_obs or 1000) + 1.0), statistic)
    alike = np.isclose(tails, p, rtol=1e-9, atol=0).any(axis=1)
    return int(np.flatnonzero(alike)[0]) + 1 if alike.sum() == 1 else None


def _is_tail(statistic: Any, other: Any, n_obs: int | None, given: Any = None) -> bool:
    """Tell whether the second of two numbers is the p-value of the first: of a z, t, F, chi-square or correlation."""
    if not all(isinstance(one, Real) and np.isfinite(float(one)) for one in (statistic, other)):
        return False
    s, p = float(statistic), float(other)
    if not 0 < p < 1:
        return False
    most = 2 * (n_obs or 100) + 1
    df = np.arange(5.0, most)  # with fewer, round numbers are tails of each other
    tails = [np.array([ndtr(-abs(s))]), stdtr(df, -abs(s))]
    rest = [chdtrc(np.arange(1.0, 101.0), s) if s >= 0 else df[:0]]
    if isinstance(given, Real) and 0 < float(given) < np.inf:
        tails.append(np.array([stdtr(float(given), -abs(s))]))
        rest += [np.array([chdtrc(float(given), s)]), fdtrc(float(given), df, s)] if s >= 0 else []
    if s >= 0:
        rest.append(fdtrc(np.arange(1.0, 13.0)[:, None], df, s).ravel())
    if abs(s) < 1:
        tails.append(stdtr(df, -abs(s) * np.sqrt(df / (1 - s * s))))
        pairs = np.arange(4.0, most)
        tails.append(ndtr(-abs(s) * np.sqrt(9 * pairs * (pairs - 1) / (2 * (2 * pairs + 5)))))  # Kendall's
    every = np.concatenate(tails)
    every = np.concatenate([2 * every, every, 1 - every, *rest])
    return bool(np.isclose(every, p, rtol=1e-9, atol=0).any())


def _is_vector(value: Any) -> bool:
    """Tell whether a value is a vector of numbers."""
    if isinstance(value, list | tuple):
        return all(isinstance(one, Real) for one in value)
    return isinstance(value, pd.Series | np.ndarray) and np.ndim(value) == 1


def _by_element(value: Any, k: int) -> dict[str, Figure]:
    """Return the figures of vectors that match element by element; a covariance matrix gives its diagonal."""
    first, parts = value[0], list(value)
    size = len(first)
    names = [str(name) for name in first.index] if isinstance(first, pd.Series) else [f"x{j}" for j in range(size)]
    rows = [_numbers(first)]
    for part in parts[1:]:
        if part is not None and np.ndim(part) == 0:
            rows.append(np.full(size, float(part)))
            continue
        if isinstance(part, pd.Series) and isinstance(first, pd.Series) and set(part.index) == set(first.index):
            part = part.reindex(first.index)
        numbers = _numbers(part) if part is not None else np.full(size, np.nan)
        square = numbers.shape == (size, size) and len(rows) == 1
        if square and not np.allclose(numbers, numbers.T, rtol=1e-6, equal_nan=True):
            raise PoolingError(
                f"set {k} gave {size} estimates and a matrix that is not symmetric, so no covariance matrix; limits "
                "of an interval are no variances.",
                do=_EXAMPLE,
            )
        rows.append(np.diag(numbers) if square else numbers)
    if not 1 <= len(rows) <= 3 or any(row.shape != (size,) for row in rows) or len(set(names)) < size:
        shapes = ", ".join(str(row.shape) for row in rows)
        raise PoolingError(
            f"set {k} gave vectors that do not match element by element: {shapes}.",
            do=_EXAMPLE,
        )
    whole = [tuple(float(row[j]) for row in rows) for j in range(size)]
    return dict(zip(names, whole, strict=True))


def _numbers(part: Any) -> Array:
    """Return a vector or matrix as floats; what is none has no shape."""
    try:
        return np.asarray(part, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def _figure(value: Any, k: int) -> Figure:
    """Return one figure as a tuple, or refuse what is none."""
    parts = tuple(value) if isinstance(value, tuple | list) else (value,)
    if 1 <= len(parts) <= 3 and all(isinstance(p, Real) or (j and p is None) for j, p in enumerate(parts)):
        return parts
    raise PoolingError(
        f"set {k} gave {type(value).__name__}; an estimate, (estimate, variance), (estimate, variance, df), vectors of "
        "those, or a mapping of names to them is needed.",
        do=_EXAMPLE,
    )

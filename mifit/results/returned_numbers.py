"""Read what a user's function returned for one set: named estimates, with variances and degrees of freedom."""

from __future__ import annotations

import dis
import re
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from types import CellType, CodeType, FunctionType
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc, fdtrc, ndtr, stdtr

from ..errors import PoolingError
from ..typing import Array

__all__ = ["STATISTICS", "Figure", "asks_for_p_values", "figures_of", "rank_correlation"]

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

#: what packages call a p-value
_P_VALUES = ("pvalue", "p_value", "pval", "p_val", "p-val", "p-value", "p.value")

#: what results of statsmodels call theirs, and how the columns of its tables begin
_OF_FITS, _OF_TABLES = ("pvalues", "f_pvalue", "llr_pvalue"), "P>|"

#: what a test statistic is called beside a p-value
_STATISTIC = ("stat", "statistic", "t", "z", "f", "u", "w", "h", "chi2", "chi-square", "tstat", "test")

#: functions of scipy.stats and statsmodels that give a statistic with its p-value, and nothing that is an estimate
_TESTS = frozenset([
    "mannwhitneyu", "wilcoxon", "ks_2samp", "ks_1samp", "kstest", "f_oneway", "kruskal", "shapiro", "levene",
    "bartlett", "fligner", "ansari", "mood", "brunnermunzel", "chi2_contingency", "chisquare", "power_divergence",
    "friedmanchisquare", "median_test", "normaltest", "jarque_bera", "skewtest", "kurtosistest", "ttest_ind",
    "ttest_rel", "ttest_1samp", "ttest_ind_from_stats", "cramervonmises", "cramervonmises_2samp",
    "epps_singleton_2samp", "anderson_ksamp", "alexandergovern", "barnard_exact", "boschloo_exact", "binomtest",
    "page_trend_test", "permutation_test", "monte_carlo_test", "quantile_test", "poisson_means_test",
    "combine_pvalues", "logrank", "bws_test", "multiscale_graphcorr", "goodness_of_fit", "proportions_ztest",
    "proportions_chisquare", "lilliefors", "normal_ad", "kstest_normal", "mcnemar", "cochrans_q",
    "het_breuschpagan", "het_white", "adfuller",
])  # fmt: skip

#: functions whose statistic is an estimate, which their p-value does not tell by itself
_ESTIMATES = frozenset(["kendalltau", "somersd", "fisher_exact", "chatterjeexi"])

#: what the second and third field of a named tuple must be called to be read as variance and degrees of freedom
_VARIANCES, _DEGREES = ("variance", "var", "within"), ("df", "dof", "df_resid", "dfcom")

#: variance of Fisher's transformation of Spearman's correlation, times n - 3 (Fieller, Hartley and Pearson 1957)
_SPEARMAN = 1.06
#: rank correlations of scipy.stats -> that variance, of n pairs (the same); None where it is not known
_RANKS = {
    "spearmanr": "1.06 / (len(d) - 3)",
    "kendalltau": "0.437 / (len(d) - 4)",
    "somersd": None,
    "weightedtau": None,
}


def figures_of(
    value: Any, k: int, n_obs: int | None = None, tested: bool = False, asked: str = ""
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
    tested : bool, default False
        Whether the function asks for p-values: two bare numbers are then no estimate with its variance.
    asked : str, optional
        The call of a rank correlation in the function, as :func:`rank_correlation` finds it.

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
        if named & {*_P_VALUES} or ("p" in named and named & {*_STATISTIC}):
            raise _no_test(value, k)
        for name, one in value.items():
            inner, _ = figures_of(one, k, n_obs, asked=asked)
            alone = list(inner) == ["estimate"]
            out.update({str(name) if alone else f"{name}:{label}": figure for label, figure in inner.items()})
        return out, False
    if _is_test(value):
        return _known_test(value, k, n_obs, asked)
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
    if tested and all(len(one) >= 2 and one[1] is not None and 0 <= one[1] <= 1 for one in figures.values()):
        first = next(iter(figures.values()))
        raise PoolingError(
            f"set {k} gave {first[0]:.4g} and {first[1]:.4g} by a function that asks for p-values: nothing says that "
            "the second number is a variance.",
            wanted="the name of the estimate, {'mean': (estimate, variance)}",
            do=_pooled_ranks(asked)
            or "imp.map(lambda d: {c: (d[c].mean(), d[c].var() / len(d)) for c in d.select_dtypes('number')}).pool()",
        )
    if vectors:
        return figures, False
    figure = figures["estimate"]
    if len(figure) >= 2 and _is_tail(figure[0], figure[1], n_obs, figure[2] if len(figure) > 2 else None):
        raise PoolingError(
            f"set {k} gave {figure[0]:.4g} and {figure[1]:.4g}, its p-value: a p-value is no variance.",
            wanted="an estimate with its variance, (estimate, variance)",
            do=_pooled_ranks(asked) or f"{_EXAMPLE}   # (estimate, variance)",
        )
    return {"estimate": figure}, False


def rank_correlation(func: Any, columns: Iterable[Any]) -> str:
    """The call of a rank correlation that the code of a function contains, of the columns it names; empty else.

    Parameters
    ----------
    func : callable
    columns : iterable
        Of the frame that the function is given.

    Examples
    --------
    >>> rank_correlation(lambda d: stats.kendalltau(d["x"], d.y).statistic, ["y", "z", "x"])
    "stats.kendalltau(d['x'], d['y'])"
    """
    func = getattr(func, "func", func)
    if not isinstance(func, FunctionType):
        return ""
    used = [*_words(func.__code__)]
    found = list(dict.fromkeys(word for word in used if word in _RANKS))
    known = set(columns)
    named = list(dict.fromkeys(word for word in used if word in known))
    return f"stats.{found[0]}({', '.join(f'd[{n!r}]' for n in named)})" if len(found) == 1 and len(named) == 2 else ""


def _words(code: CodeType) -> Iterator[str]:
    """Names and texts of a piece of code in the order in which they are used."""
    for one in dis.get_instructions(code):
        if isinstance(one.argval, CodeType):
            yield from _words(one.argval)
        elif isinstance(one.argval, str):
            yield one.argval


def _pooled_ranks(asked: str) -> str:
    """The line that pools a rank correlation on Fisher's scale, where its variance is known; empty else."""
    variance = next((one for name, one in _RANKS.items() if one and f".{name}(" in asked), None)
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
    return any(hasattr(value, name) for name in _P_VALUES if name.isidentifier())


def _means_variance(fields: tuple[str, ...]) -> bool:
    """Tell whether the fields of a named tuple are an estimate, its variance and degrees of freedom."""
    names = [name.lower() for name in fields]
    return len(names) == 1 or (
        len(names) <= 3 and names[1] in _VARIANCES and all(name in _DEGREES for name in names[2:])
    )


def _known_test(value: Any, k: int, n_obs: int | None, asked: str = "") -> tuple[dict[str, Figure], bool]:
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
        estimate = f"imp.map(lambda d: {asked}.statistic).pool()   # without a standard error: none is known"
        raise PoolingError(
            f"set {k} gave a {type(value).__name__}, and the number of rows behind the correlation {r:.4g} cannot be "
            "computed from its p-value.",
            scale="on Fisher's, Spearman's rho has the variance 1.06 / (n - 3), Kendall's tau 0.437 / (n - 4)",
            do=_pooled_ranks(asked) or (f"from scipy import stats; {estimate}" if asked else _RHO),
        )
    raise _no_test(value, k)


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


def _no_test(value: Any, k: int) -> PoolingError:
    """Return the refusal of a test: its p-value is no variance, and its statistic has its own rule."""
    name = "p-value by name" if isinstance(value, pd.Series | Mapping) else type(value).__name__
    own = getattr(value, "dof", None)
    kind, df = _STATISTICS.get(name, ("", None))
    if kind:
        degrees = own if isinstance(own, int | np.integer) else df or 1
        note = "" if isinstance(own, int | np.integer) or df else "   # df of the test, such as groups - 1"
        do = f"mifit.pool_statistics({STATISTICS}, df={degrees}, kind={kind!r}){note}"
    elif "Ttest" in name:
        do = "imp.fit('y ~ group')   # the difference of means with its standard error"
    else:
        do = f"{_EXAMPLE}   # (estimate, variance)"
    return PoolingError(
        f"set {k} gave a {name}, the result of a test: a p-value is no variance, a statistic has no standard error.",
        wanted="an estimate with its variance, (estimate, variance); mifit.pool_statistics pools chi-square and F "
        "statistics of all sets",
        do=do,
    )


def asks_for_p_values(func: Any, depth: int = 3) -> bool:
    """Whether the code of a function, or of one beside it that it calls, names a p-value or a test without an estimate.

    Examples
    --------
    >>> asks_for_p_values(lambda d: (f(d).statistic, f(d).pvalue)), asks_for_p_values(lambda d: (d.mean(), d.var()))
    (True, False)
    """
    func = getattr(func, "func", func)
    if not isinstance(func, FunctionType):
        return False
    names = set(_names(func.__code__))
    whole = names & _ESTIMATES and not names & {"statistic", "correlation"}
    if whole or names & {*_P_VALUES, *_OF_FITS, *_TESTS} or any(name.startswith(_OF_TABLES) for name in names):
        return True
    beside = [cell.cell_contents for cell in func.__closure__ or () if cell != CellType()]
    beside += [func.__globals__[name] for name in names if name in func.__globals__]
    own = [one for one in beside if isinstance(one, FunctionType) and one.__module__ == func.__module__]
    return depth > 0 and any(asks_for_p_values(one, depth - 1) for one in own)


def _names(code: CodeType) -> Iterator[str]:
    """Names that a piece of code looks up, those of the functions inside it too."""
    yield from code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _names(one)
        elif isinstance(one, str) and one.startswith(_OF_TABLES):
            yield one


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
        rows.append(np.diag(numbers) if numbers.shape == (size, size) and len(rows) == 1 else numbers)
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

"""What the code of a user's function asks for: p-values, standard errors that are not squared, a rank correlation."""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from ..calls import call
from ..formula.model_facts import USUAL_MODEL, model_facts
from ..formula.terms import code_of

__all__ = ["P_VALUES", "RANKS", "UNKNOWN", "FunctionCode", "rank_correlation"]


#: what packages call a p-value
P_VALUES = ("pvalue", "p_value", "pval", "p_val", "p-val", "p-value", "p.value")

#: what results of statsmodels call theirs, and how the columns of its tables begin
_OF_FITS, _OF_TABLES = ("pvalues", "f_pvalue", "llr_pvalue"), "P>|"

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

#: variance of Fisher's transformation of rank correlations of scipy.stats, of n pairs; None where it is not known
RANKS = {
    "spearmanr": "1.06 / (len(d) - 3)",
    "kendalltau": "0.437 / (len(d) - 4)",
    "somersd": None,
    "weightedtau": None,
}

#: names of standard deviations, standard errors, ratios to them and limits: none is a variance
_NOT_SQUARED = (
    "bse", "sem", "std_err", "stderr", "std_error", "std_errors", "standard_errors", "intercept_stderr", "HC0_se",
    "HC1_se", "HC2_se", "HC3_se", "tvalues", "tvalue", "zvalues", "t_test", "conf_int", "confidence_interval", "std",
    "nanstd", "stdev", "tstat", "standard_errors_", "zconfint_mean", "tconfint_mean", "Std.Err.", "Std. Error",
    "std err", "[0.025",
)  # fmt: skip
#: names of variances, and of functions that make one of a standard error
_VARIANCES = frozenset([
    "var", "nanvar", "variance", "variances", "pvariance", "cov", "cov_params", "cov_HC0", "cov_HC1", "cov_HC2",
    "cov_HC3", "vcov", "variance_matrix_", "covariance", "square", "power", "pow", "__pow__", "float_power", "outer",
    "normalized_cov_params", "tmvar", "tvar", "bootstrap", "bayes_mvs", "mvsdist",
])  # fmt: skip
#: tests of two groups by one number
_TWO_GROUPS = ("ttest_ind", "mannwhitneyu", "brunnermunzel", "ranksums")
#: how long an expression may be that is multiplied by itself, in instructions
_LONGEST = 24


@dataclass(frozen=True)
class FunctionCode:
    """What is known of a function that gives estimates, from its code and that of functions beside it.

    Parameters
    ----------
    tests : bool
        Whether it asks for p-values, or for a test without an estimate.
    unsquared : str
        A name of standard errors, ratios or limits that it asks for, where it neither squares nor asks for a variance.
    variance : bool
        Whether it squares something or asks for a variance.
    ranks : str
        The call of a rank correlation, of the columns it names.
    test : str
        The test it asks for, as scipy.stats calls it; empty where there is none or more than one.
    fit : str
        The call of ``imp.fit`` for the formula and the model that it names; empty where there is none or more than one.
    numbers, groups : tuple
        The columns of the frame that it names, in their order: numbers, and what has few levels.
    """

    tests: bool = False
    unsquared: str = ""
    variance: bool = False
    ranks: str = ""
    test: str = ""
    fit: str = ""
    numbers: tuple[Any, ...] = ()
    groups: tuple[Any, ...] = ()

    @classmethod
    def of(cls, func: Any, frame: pd.DataFrame | None = None) -> FunctionCode:
        """Read the code of a function.

        Parameters
        ----------
        func : callable
            What has no code of its own tells nothing.
        frame : DataFrame, optional
            A frame that the function is given.

        Examples
        --------
        >>> FunctionCode.of(lambda d: (f(d).params, f(d).bse)).unsquared
        'bse'
        >>> FunctionCode.of(lambda d: (f(d).params, f(d).bse ** 2)).variance
        True
        """
        code = [one.__code__ for one in _functions(func)]
        own = {name for name in frame.columns if isinstance(name, str)} if frame is not None else set()
        names = [name for one in code for name in _names(one) if name not in own]
        variance = any(name in _VARIANCES for name in names) or any(_squares(one) for one in code)
        whole = {*names} & _ESTIMATES and not {*names} & {"statistic", "correlation"}
        asked = {*names} & {*P_VALUES, *_OF_FITS, *_TESTS} or any(name.startswith(_OF_TABLES) for name in names)
        unsquared = "" if variance else next((name for name in names if name in _NOT_SQUARED), "")
        tests = [name for name in dict.fromkeys(names) if name in _TESTS | _ESTIMATES]
        used = [*dict.fromkeys(word for one in code[:1] for word in _words(one) if word in own)]
        numbers = [name for name in used if frame is not None and _is_measured(frame[name])]
        return cls(
            tests=bool(whole or asked), unsquared=unsquared, variance=variance, ranks=rank_correlation(func, own),
            test=tests[0] if len(tests) == 1 else "", fit=_fit_of(names), numbers=tuple(numbers),
            groups=tuple(name for name in used if name not in numbers),
        )  # fmt: skip

    def instead(self, result: str = "") -> str:
        """The line that pools what the function asks for, with a variance; empty where none is known.

        Parameters
        ----------
        result : str
            Name of the class of what it gave.

        Examples
        --------
        >>> FunctionCode(test="ttest_rel", numbers=("before", "after")).instead()
        "imp.map(lambda d: ((x := d['before'] - d['after']).mean(), x.var() / len(x), len(x) - 1)).pool()"
        """
        test = self.test or ("ttest_ind" if "Ttest" in result else "")
        x, y = ([f"d[{name!r}]" for name in self.numbers] + ["", ""])[:2]
        pooled = "imp.map(lambda d: ((x := {}).mean(), x.var() / len(x), len(x) - 1)).pool()"
        if test == "ttest_rel" and y:
            return pooled.format(f"{x} - {y}")
        if test == "ttest_1samp" and x:
            return pooled.format(x)
        if test in _TWO_GROUPS and x and self.groups:
            remark = "" if test == "ttest_ind" else "; of ranks there is no estimate with a variance"
            formula = f"{code_of(self.numbers[0])} ~ {code_of(self.groups[0])}"
            return f"imp.fit({formula!r})   # the difference of means{remark}"
        if test == "ttest_ind" and y:
            return f"imp.map(lambda d: ({x}.mean() - {y}.mean(), ({x}.var() + {y}.var()) / len(d))).pool()"
        return self.fit if self.unsquared or not self.test else ""


#: a function whose code cannot be read
UNKNOWN = FunctionCode()


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
    found = list(dict.fromkeys(word for word in used if word in RANKS))
    known = set(columns)
    named = list(dict.fromkeys(word for word in used if word in known))
    return f"stats.{found[0]}({', '.join(f'd[{n!r}]' for n in named)})" if len(found) == 1 and len(named) == 2 else ""


def _fit_of(names: Iterable[str]) -> str:
    """The call of ``imp.fit`` for the one formula and the one model among the words of a function; empty else."""
    formulas = {name for name in names if "~" in name}
    models = {name for name in names if model_facts(name).family and not model_facts(name).by_family}
    if len(formulas) != 1 or len(models) != 1:
        return ""
    model = models.pop()
    return call("imp.fit", formulas.pop(), **({} if model == USUAL_MODEL else {"model": model}))


def _is_measured(column: pd.Series) -> bool:
    """Whether a column is a number with more than two values, as a measurement is."""
    return bool(is_numeric_dtype(column) and column.nunique() > 2)


def _functions(func: Any, depth: int = 3) -> Iterator[FunctionType]:
    """A function, and those of its own module that it calls, to a depth."""
    func = getattr(func, "func", func)
    if not isinstance(func, FunctionType):
        return
    yield func
    if not depth:
        return
    names = set(_names(func.__code__))
    beside = [cell.cell_contents for cell in func.__closure__ or () if cell != CellType()]
    beside += [func.__globals__[name] for name in names if name in func.__globals__]
    for one in beside:
        if isinstance(one, FunctionType) and one.__module__ == func.__module__ and one is not func:
            yield from _functions(one, depth - 1)


def _names(code: CodeType) -> Iterator[str]:
    """Names that a piece of code looks up, those of the functions inside it too, and names of columns of tables."""
    for one in dis.get_instructions(code):
        if isinstance(one.argval, CodeType):
            yield from _names(one.argval)
        elif one.opname == "LOAD_CONST":
            words = one.argval if isinstance(one.argval, tuple) else (one.argval,)
            yield from (word for word in words if isinstance(word, str))
        elif isinstance(one.argval, str) and one.argval in code.co_names:
            yield one.argval


def _words(code: CodeType) -> Iterator[str]:
    """Names and texts of a piece of code in the order in which they are used."""
    for one in dis.get_instructions(code):
        if isinstance(one.argval, CodeType):
            yield from _words(one.argval)
        elif isinstance(one.argval, str):
            yield one.argval
        elif isinstance(one.argval, tuple):
            yield from (word for word in one.argval if isinstance(word, str))


def _squares(code: CodeType) -> bool:
    """Whether a piece of code raises to a power, or multiplies an expression by itself."""
    steps = [(one.opname, one.argval, one.argrepr) for one in dis.get_instructions(code) if one.opname != "CACHE"]
    for at, (name, _, sign) in enumerate(steps):
        if "POWER" in name or sign in ("**", "**=", "@"):
            return True
        if "MULTIPLY" in name or sign in ("*", "*="):
            sizes = range(1, min(_LONGEST, at // 2) + 1)
            if any(steps[at - 2 * n : at - n] == steps[at - n : at] for n in sizes):
                return True
    return any(_squares(one) for one in code.co_consts if isinstance(one, CodeType))

"""What a user of another program may have meant: the formula said again as it is said here."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import FormulaError, call
from ..frame.kinds import Kind
from ..frame.numbers_as_text import spelled
from ..frame.table import Column, Table
from .column_code import usable
from .marks import is_mark, line_of_marks
from .model_facts import MIXED_MODEL_OF_LEVELS, MIXED_MODEL_OF_TWO
from .terms import code_of, take_apart

#: words of other programs, in small letters without _ and points -> the word of impute
MEANT = {
    **dict.fromkeys(("seed", "randomseed", "rngseed", "rseed", "seedvalue", "randomstate"), "rng"),
    **dict.fromkeys(
        ("maxit", "maxiter", "maxiterations", "niter", "niterations", "nit", "numit", "iter", "iters", "burnin",
         "cycles", "ncycles", "sweeps", "niters"), "iterations",
    ),
    **dict.fromkeys(
        ("m", "nimp", "nimps", "nimpute", "nimputations", "nimputation", "numimputations", "imputations", "nsim",
         "nsims", "nsets", "ndatasets", "numdatasets", "ndraws", "nsamples", "add"), "m",
    ),
    **dict.fromkeys(("method", "meth", "imputer", "imputers"), "methods"),
    **dict.fromkeys(("predictormatrix", "pred", "preds", "predictor"), "predictors"),
    **dict.fromkeys(("visitsequence", "visit"), "order"),
    **dict.fromkeys(("ncore", "ncores", "cores", "nworkers", "workers", "njob", "threads", "nthreads"), "n_jobs"),
    **dict.fromkeys(("verbose", "printflag", "print"), "progress"),
}  # fmt: skip

_MANY_LEVELS = 10  # levels of text that are numbers, from which they are no codes

__all__ = ["MEANT", "instead_of", "mixed_models", "model_for", "respelled"]

_IMPUTE = "df.mice.impute"
_SURVIVAL = re.compile(r"\s*Surv\(([^()]*)\)\s*")
_STRATA = re.compile(r"(?:\+\s*)?\bstrata\(([^()]*)\)")


def instead_of(name: str, formula: str) -> str:
    """The call that does what an unknown function would have done; empty where none is known.

    Parameters
    ----------
    name : str
        The function: one of numpy's without its module, or ``Surv`` and ``strata`` as in R.
    formula : str

    Returns
    -------
    str

    Examples
    --------
    >>> instead_of("log", "y ~ log(bmi)")
    "df.mice.impute('y ~ np.log(bmi)')"
    >>> instead_of("Surv", "Surv(t, d) ~ x + strata(site)")
    "df.mice.impute('t ~ x', model='phreg', status='d', strata='site')"
    """
    if name in ("Surv", "strata"):
        return _proportional_hazards(formula)
    said = respelled(formula)
    if said:
        return said
    if isinstance(getattr(np, name, None), np.ufunc):
        spelled = re.sub(rf"(?<![.\w]){name}(?=\()", f"np.{name}", formula)
        return call(_IMPUTE, spelled).in_place_of(formula)
    return ""


def respelled(formula: str, columns: Iterable[Hashable] = (), mixed: Mapping[str, str] | None = None) -> str:
    """The call for a formula that is written as in R or Stata; empty where nothing is.

    Parameters
    ----------
    formula : str
    columns : iterable of hashable, optional
        All columns, for ``y ~ .``.
    mixed : mapping of str to str, optional
        The model with random effects of an outcome that is no number.

    Examples
    --------
    >>> respelled("y ~ factor(g) + ns(x, 3) + I(z^2)")
    "df.mice.impute('y ~ C(g) + cr(x, df=3) + I(z**2)')"
    >>> respelled("y ~ x + (1 | id)")
    "df.mice.impute('y ~ x', model='mixedlm', groups='id')"
    >>> respelled("died ~ x + (1 | id)", mixed={"died": "mixed_logit"})
    "df.mice.impute('died ~ x', model='mixed_logit', groups='id')"
    >>> respelled("y ~ x + offset(log(t))")
    "df.mice.impute('y ~ x', model='poisson', exposure='t')"
    """
    found, words = formula, dict[str, str]()
    for pattern, instead in _RESPELLED:
        found = re.sub(pattern, instead, found)
    inside = re.compile(r"I\(([^()]*)\)")
    found = inside.sub(lambda m: f"I({m[1].replace('^', '**')})", found)
    found = re.sub(r"\)\s*\^\s*(\d+)", r")**\1", found)
    found = re.sub(r"(?<![\w.(])([^\W\d]\w*)\s*\^\s*(\d+)", r"I(\1**\2)", found)
    left, tilde, right = found.partition("~")
    known = list(columns)
    used = _columns_of(left, known)
    names = [code_of(name) for name in known if name not in used]
    if tilde and names and re.search(r"(?:^|[+~\s])\.(?=\s*(?:$|[-+]))", right):
        right = re.sub(r"(^|[+\s])\.(?=\s*(?:$|[-+]))", lambda m: m[1] + " + ".join(names), right)
    for piece, make in _OUTSIDE:
        for one in piece.finditer(right):
            words.update(make(*(group or "" for group in one.groups())))
        right = piece.sub("", right)
    if "groups" in words:
        words["model"] = (mixed or {}).get(left.strip(), words["model"])
    right = re.sub(r"^\s*\+\s*", " ", right)
    found = f"{left}{tilde}{right if right.strip() else ' 1'}".rstrip() if tilde else found
    return "" if found == formula else call(_IMPUTE, found, **words).in_place_of(formula)


def mixed_models(table: Table) -> dict[str, str]:
    """Return the model with random effects of each outcome that is no number.

    Parameters
    ----------
    table : Table

    Returns
    -------
    dict of str to str
        By the column's name in a formula; columns of two values, and ordered ones that are no rating in numbers.
    """
    models = {Kind.BINARY: MIXED_MODEL_OF_TWO, Kind.ORDINAL: MIXED_MODEL_OF_LEVELS}
    found = {name: models.get(table[name].kind) for name in table.columns}
    number = {name for name in found if table[name].number and table[name].kind is Kind.ORDINAL}  # a rating in numbers
    return {code_of(name): model for name, model in found.items() if model and name not in number}


def _columns_of(side: str, columns: list[Hashable]) -> set[Hashable]:
    """Columns that the left side of a formula is made of."""
    try:
        return set(take_apart(side.strip(), columns).variables)
    except FormulaError:
        return {name for name in columns if code_of(name) == side.strip()}


def _random(inner: str, group: str) -> dict[str, str]:
    """Words for R's ``(1 + x | id)``."""
    slopes = re.sub(r"^\s*1\s*(?:\+\s*)?", "", inner).strip()
    return {"model": "mixedlm", "groups": group.strip(), **({"re_formula": f"~ {slopes}"} if slopes else {})}


#: functions of R and Stata, and what does the same here
_RESPELLED: tuple[tuple[str, Any], ...] = (
    (r"(?<![\w.])(?:as\.factor|as_factor|factor|ordered|as\.ordered|as\.character)\(", "C("),
    (r"(?<![\w.])i\.(?=[^\W\d])([\w]+)", r"C(\1)"),
    (r"(?<![\w.])c\.(?=[^\W\d])([\w]+)", r"\1"),
    (r"(?<![\w.])as\.(?:numeric|integer|double)\(([^()]*)\)", r"\1"),
    (
        r"(?<![\w.])(?:ns|rcs|ncs)\(\s*([^(),]+?)\s*(?:,\s*(?:df\s*=\s*)?(\d+)\s*)?\)",
        lambda m: f"cr({m[1]}, df={m[2] or 3})",
    ),
    (r"(?<![\w.])(?:s|pspline|lo)\(\s*([^(),]+?)\s*(?:,[^()]*)?\)", r"bs(\1, df=4)"),
    (
        r"(?<![\w.])poly\(\s*([^(),]+?)\s*,\s*(?:degree\s*=\s*)?(\d)\s*(?:,[^()]*)?\)",
        lambda m: " + ".join([m[1], *(f"I({m[1]}**{power})" for power in range(2, int(m[2]) + 1))]),
    ),
    (r"(?<![\w.])(?:scale|zscore|standardise)\(", "standardize("),
    (r"(?<![\w.])(?:ifelse|if_else|cond)\(", "np.where("),
    (r"(?<![\w.])ln\(", "np.log("),
    (r"(?<![\w.])(log|log2|log10|log1p|exp|sqrt)\((?=[^()]*\))(?![^()]*\)\s*\))", r"np.\1("),
)

#: pieces that stand beside the formula here, and their words
_OUTSIDE: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"\s*\+?\s*\(([^()|]*)\|\|?([^()|]*)\)"), _random),
    (
        re.compile(r"\s*\+?\s*offset\((?:np\.)?log\(\s*([^()]*?)\s*\)\s*\)"),
        lambda name: {"model": "poisson", "exposure": name},
    ),
    (re.compile(r"\s*\+?\s*offset\(\s*([^()]*?)\s*\)"), lambda name: {"model": "poisson", "offset": name}),
)


def model_for(column: Column, formula: str) -> str:
    """The call that models an outcome of several levels: in order, or without."""
    if column.kind is Kind.OTHER:
        return usable(column)
    if is_mark(column):
        return call(_IMPUTE, formula).after(f"{line_of_marks(column)}; ")
    if (found := spelled(column.coding.levels)) is not None and (found.odd or len(column.coding.levels) > _MANY_LEVELS):
        return found.line(column.name)
    return call(_IMPUTE, formula, model="ordinal" if column.kind is Kind.ORDINAL else "mnlogit")


def _proportional_hazards(formula: str) -> str:
    """R's ``Surv(start, stop, event) ~ x + strata(g)`` as a formula and keywords; empty where it is neither."""
    left, _, right = formula.partition("~")
    words = {"model": "phreg"}
    survival = _SURVIVAL.fullmatch(left)
    if survival is not None:
        parts = [part.strip() for part in survival[1].split(",")]
        if not 1 <= len(parts) <= 3:
            return ""
        left = f"{parts[-2] if len(parts) > 1 else parts[0]} "
        words.update({"status": parts[-1]} if len(parts) > 1 else {})
        words.update({"entry": parts[0]} if len(parts) == 3 else {})
    strata = _STRATA.search(right)
    if strata is not None:
        right = _STRATA.sub("", right).strip().removeprefix("+")
        words["strata"] = strata[1].strip()
    return call(_IMPUTE, f"{left.strip()} ~ {right.strip() or 1}", **words).in_place_of(formula)

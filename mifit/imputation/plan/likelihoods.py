"""The likelihood of an analysis, chosen from its model and keywords: it weights the draws of the covariates."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import numpy as np

from ...formula.question import Question
from ...frame.kinds import Kind
from ...frame.table import Table
from ...typing import Array
from ..contract import Method, facts_of
from ..methods import Cox, Glm, Logistic, Mixed, MixedLogistic, Multinomial, NegBin, Normal, Ordinal, Poisson, Probit

__all__ = ["AROUND", "keyword_vector", "likelihood_of"]

#: keywords that describe sampling or follow-up, not the outcome: their columns may be predictors of a covariate
AROUND = ("strata", "entry", "weights", "var_weights", "offset", "exposure")


def likelihood_of(question: Question, table: Table, weighted: bool = True) -> Method | None:
    """The method with the likelihood of an analysis; None where it has none here.

    ``weighted`` says whether its weights multiply the likelihood, where it has any.

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.formula.question import ask
    >>> from mifit.frame.table import read
    >>> table = read(pd.DataFrame({"y": [0.1, 2.0, 3.5], "x": [1.2, 2.1, 3.3]}))
    >>> likelihood_of(ask("y ~ x", table), table)
    Normal()
    """
    if question.model not in _LIKELIHOODS:
        return None
    words, make = _LIKELIHOODS[question.model]
    given = {word for word, value in question.keywords.items() if value is not None}
    if not given <= set(words):
        return None
    if not weighted:
        question = replace(question, keywords={w: v for w, v in question.keywords.items() if w != "var_weights"})
    return make(question, table)


def keyword_vector(question: Question, word: str, table: Table) -> Array | None:
    """A keyword's column, number or array as numbers (level codes of text), shape (n,); None where it is not given."""
    given = question.keywords.get(word)
    if given is None:
        return None
    if isinstance(given, Hashable) and given in table:
        column = table[given]
        return column.numbers(column.values) if column.number else column.values
    return np.broadcast_to(np.asarray(given, dtype=np.float64), (table.n_rows,))


def _glm(question: Question, table: Table) -> Method:
    """A family and link by its own method where there is one, else by the general one."""
    family: Any = question.keywords.get("family")
    given = {word for word, value in question.keywords.items() if value is not None}
    weighted = "var_weights" in given
    pair = (type(family).__name__, type(family.link).__name__) if family is not None else ("Gaussian", "Identity")
    if pair == ("Gaussian", "Identity") and "offset" not in given:
        return Normal()
    if pair == ("Poisson", "Log") and not weighted:
        return Poisson()
    two = question.bare and table[question.outcome[0]].kind is Kind.BINARY
    if pair == ("Binomial", "Logit") and two and not weighted:
        return Logistic(rescue="firth")
    return Glm(family)


def _ordinal(question: Question) -> Method | None:
    """Ordered levels by the distribution of the latent variable, a normal as in statsmodels if none is named."""
    given: Any = question.keywords.get("distr") or "probit"
    link = {"probit": "probit", "norm": "probit", "logit": "logit", "logistic": "logit"}.get(
        given if isinstance(given, str) else getattr(given, "name", "")
    )
    return None if link is None else Ordinal(link)


def _mixed(question: Question, table: Table) -> Method | None:
    """A linear mixed model of clusters that a column names; a linear model where no two rows share one."""
    unit, random = question.keywords.get("groups"), question.keywords.get("re_formula") or "~1"
    if not isinstance(unit, Hashable) or unit not in table or len(table[unit].missing) or not isinstance(random, str):
        return None
    many = len(np.unique(table[unit].values))
    if many < _FEWEST_CLUSTERS:
        return None
    return Normal() if many == table.n_rows else Mixed(random, unit)


def _gee(question: Question, table: Table) -> Method | None:
    """The random-intercept model whose mean and correlations are those of an equation of normal rows.

    Of two values it is the random-intercept model of the same terms, whose coefficients are not those of the equation.
    """
    family: Any = question.keywords.get("family")
    pair = ("Gaussian", "Identity") if family is None else (type(family).__name__, type(family.link).__name__)
    structure = type(question.keywords.get("cov_struct")).__name__
    alike = structure in ("NoneType", "Independence", "Exchangeable")
    if pair == ("Binomial", "Logit"):
        return _mixed_logit(question, table)
    return _mixed(question, table) if pair == ("Gaussian", "Identity") and alike else None


def _mixed_logit(question: Question, table: Table) -> Method | None:
    """A logistic model with a random intercept, of an outcome of two values as it stands."""
    two = question.bare and table[question.outcome[0]].kind is Kind.BINARY
    found: Any = _mixed(question, table) if two else None
    if found is None or not facts_of(found).clustered:
        return None if found is None else Logistic(rescue="firth")
    return MixedLogistic(unit=found.unit) if found.random.rpartition("~")[2].strip() == "1" else None


_FEWEST_CLUSTERS = 2

_LIKELIHOODS: dict[str, tuple[tuple[str, ...], Callable[[Question, Table], Method | None]]] = {
    "ols": ((), lambda q, t: Normal()),
    "wls": (("weights",), lambda q, t: Normal()),
    "logit": (("offset",), lambda q, t: Logistic(rescue="firth")),
    "probit": (("offset",), lambda q, t: Probit()),
    "poisson": (("offset", "exposure"), lambda q, t: Poisson()),
    "negativebinomial": (("offset", "exposure"), lambda q, t: NegBin()),
    "glm": (("family", "offset", "exposure", "var_weights", "freq_weights"), _glm),
    "ordinal": (("distr", "offset"), lambda q, t: _ordinal(q)),
    "mnlogit": ((), lambda q, t: Multinomial()),
    "mixedlm": (("groups", "re_formula"), _mixed),
    "mixed_logit": (("groups", "re_formula"), _mixed_logit),
    "gee": (("groups", "family", "cov_struct"), _gee),
    "phreg": (("status", "entry", "strata", "ties", "offset"), lambda q, t: Cox(q.keywords.get("ties") or "breslow")),
}

"""The certificate, term by term: how far each term of an analysis is covered by the imputations."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from ..formula.design import Design, freeze
from ..formula.question import Question
from ..frame.table import Table
from ..impute.plan import Plan
from .check import Verdict, verdict

__all__ = ["breusch_pagan", "certificate"]

_CURES = {
    "exact": "",
    "implied": "",
    "unknown": "impute here: imp = df.mice.impute({formula!r})",
    "absent": "imp = df.mice.impute({formula!r})",
    "approximate": "imp = df.mice.impute({formula!r})",
}


def certificate(
    plan: Plan | None, table: Table, question: Question, asked: Question, robust: bool = False
) -> pd.DataFrame:
    """Compare an analysis with the imputations, one row per term.

    Parameters
    ----------
    plan : Plan or None
        None for sets made elsewhere.
    table : Table
    question : Question
        In terms of what was drawn: derived columns written out.
    asked : Question
        The same as the user wrote it.
    robust : bool, default False
        Whether the covariance does without the likelihood.

    Returns
    -------
    DataFrame
        Index the terms; columns ``verdict`` (exact, implied, approximate, absent, unknown), ``imputed`` (how many of
        its cells are imputed), ``reason``, and ``do`` (the call that cures it).

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
    >>> imp.check("chl ~ age * bmi")["verdict"].to_dict()
    {'Intercept': 'implied', 'age': 'implied', 'bmi': 'implied', 'age:bmi': 'absent'}
    """
    found = verdict(plan, table, question, robust)
    needs = _needs(question, table)
    rows = []
    spelled = dict(zip(question.terms.codes, asked.terms.codes, strict=True))
    reasons = found.reason
    for code in sorted(spelled, key=len, reverse=True):
        reasons = reasons.replace(code, spelled[code])
    for code, shown in spelled.items():
        word = _word(found, code)
        holes = sum(len(table[name].missing) for name in needs[code])
        cure = _CURES[word].format(formula=asked.formula)
        if word == "approximate" and plan is not None and plan.mode == "compatible":
            cure = ""  # the draws are as good as the working model
        reason = reasons if word == found.word else f"nested in {' and '.join(_declared(plan))}"
        rows.append((shown, word, holes, reason, cure))
    return pd.DataFrame(rows, columns=["term", "verdict", "imputed", "reason", "do"]).set_index("term")


def _word(found: Verdict, code: str) -> str:
    """The verdict on one term: a term inside the span is implied where another one is absent."""
    if found.word != "absent" or not found.unseen:
        return found.word
    return "absent" if code in found.unseen else "implied"


def _declared(plan: Plan | None) -> list[str]:
    """Formulas the imputations were made for."""
    return list(plan.written) if plan is not None and plan.questions else ["main effects"]


def _needs(question: Question, table: Table) -> dict[str, set[object]]:
    """Columns each term is computed from."""
    design: Design = freeze(question, table)
    needs: dict[str, set[object]] = {code: set() for code in question.terms.codes}
    for column in design.columns:
        needs[question.terms.codes[column.term]] |= column.variables
    return needs


def breusch_pagan(question: Question, table: Table) -> float:
    """p-value for residual variance that depends on the predictors, on complete rows.

    Parameters
    ----------
    question : Question
        A linear analysis.
    table : Table

    Returns
    -------
    float
        NaN where there are too few complete rows.

    References
    ----------
    Breusch, T. S. and Pagan, A. R. (1979). A simple test for heteroscedasticity and random coefficient variation.
    *Econometrica* 47(5), 1287-1294; studentised by Koenker, R. (1981). *Journal of Econometrics* 17(1), 107-112.
    """
    design = freeze(question, table)
    rows = table.complete_rows((*design.variables, *question.outcome))
    data = {name: table[name].values[rows] for name in (*design.variables, *question.outcome)}
    X = design.evaluate(range(len(design.columns)), data, len(rows))
    y = design.response(data)
    good = np.isfinite(X).all(axis=1) & np.isfinite(y)
    X, y = X[good], y[good]
    size = np.sqrt((X * X).sum(axis=0))
    X = X / np.where(size > 0, size, 1.0)
    rank = int(np.linalg.matrix_rank(X))
    if len(y) < 3 * rank or rank < 2:
        return float("nan")
    squared = (y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2
    explained = X @ np.linalg.lstsq(X, squared, rcond=None)[0]
    total = float(np.sum((squared - squared.mean()) ** 2))
    share = 1.0 - float(np.sum((squared - explained) ** 2)) / total if total > 0 else 0.0
    return float(chdtrc(rank - 1, len(y) * max(share, 0.0)))

"""Hypotheses about pooled coefficients: one, several at once, term by term, and nested models against each other."""

from __future__ import annotations

import dataclasses
import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.tables import contrast_results
from ..errors import FormulaError, ModelError, listed
from ..formula.constraint import constraints
from ..pooling.joint_tests import Joint, d1, f_pvalue
from ..pooling.rubin import Pooled, pool
from ..typing import Array
from .estimates import PooledEstimates

__all__ = ["JointTest", "constraint", "positions_by_term", "t_test", "wald_test", "wald_test_terms"]


@dataclass(frozen=True, slots=True)
class JointTest:
    """A test of k parameters at once, under statsmodels' names and the literature's."""

    statistic: float  #: F
    df1: float  #: k
    df2: float
    p_value: float
    riv: float  #: relative increase in variance, averaged over the k parameters
    method: str  #: "D1", "D2", "D3", "D4", or "t" for one hypothesis
    hypothesis: str
    note: str = ""

    @classmethod
    def of(cls, joint: Joint, hypothesis: str, note: str = "") -> JointTest:
        """Name what was tested."""
        notes = " ".join(filter(None, (joint.note, note)))
        return cls(**{**dataclasses.asdict(joint), "note": notes}, hypothesis=hypothesis)

    @property
    def fvalue(self) -> float:
        """The statistic, as statsmodels calls it."""
        return self.statistic

    @property
    def pvalue(self) -> float:
        """The p-value, as statsmodels calls it."""
        return self.p_value

    @property
    def df_num(self) -> float:
        """Degrees of freedom of the numerator, as statsmodels calls them."""
        return self.df1

    @property
    def df_denom(self) -> float:
        """Degrees of freedom of the denominator, as statsmodels calls them."""
        return self.df2

    def summary_frame(self) -> pd.DataFrame:
        """Return one row: statistic, df1, df2, p_value, riv, method; the index holds the hypothesis."""
        figures = ("statistic", "df1", "df2", "p_value", "riv", "method")
        return pd.DataFrame([{name: getattr(self, name) for name in figures}], index=[self.hypothesis])

    def __str__(self) -> str:
        df2 = math.inf if self.df2 >= 1e15 else self.df2  # what rounding leaves between equal sets
        figures = f"F({self.df1:g}, {df2:.4g}) = {self.statistic:.4g}, p = {self.p_value:.4g}, riv = {self.riv:.3g}"
        note = f"\n  {self.note}" if self.note else ""
        return f"{self.method}: {self.hypothesis}\n  {figures}{note}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Show the test in a notebook."""
        return f"<pre>{html.escape(str(self))}</pre>"


def wald_test(results: PooledEstimates, hypothesis: Any, df_method: str | None = None) -> JointTest:
    """Test linear hypotheses at once; see :meth:`PooledResults.wald_test`."""
    matrix, value = constraint(results, hypothesis)
    said = hypothesis if isinstance(hypothesis, str) else _said(results, matrix, value)
    return _wald(results, matrix, value, said, df_method)


def t_test(results: PooledEstimates, hypothesis: Any) -> Any:
    """Test linear hypotheses one by one; see :meth:`PooledResults.t_test`."""
    pooled = _contrasts(results, *constraint(results, hypothesis))
    found = contrast_results(pooled.params, pooled.std_error, pooled.df)
    found.pooled = pooled
    return found


def wald_test_terms(results: PooledEstimates, df_method: str | None = None) -> pd.DataFrame:
    """Test each term of the formula; see :meth:`PooledResults.wald_test_terms`."""
    identity = np.eye(len(results.fits.names))
    rows = {
        term: _wald(results, identity[which], np.zeros(len(which)), term, df_method)
        for term, which in positions_by_term(results).items()
    }
    figures = ("statistic", "df1", "df2", "p_value", "riv", "method")
    table = pd.DataFrame([[getattr(test, f) for f in figures] for test in rows.values()], list(rows), figures)
    table.attrs["notes"] = sorted({test.note for test in rows.values() if test.note})
    return table


def constraint(results: PooledEstimates, hypothesis: Any) -> tuple[Array, Array]:
    """Turn hypotheses into a matrix and the values they state, as :func:`~mifit.formula.constraint.constraints` does.

    Parameters
    ----------
    results : PooledResults
        Has q coefficients.
    hypothesis : str, sequence of str, mapping, ndarray or (ndarray, ndarray)
        Words; the name of a term, ``"site"``: all its coefficients are zero; a matrix (k, q), or one and its values
        (k,), of the right width.
    """
    names = list(results.fits.names)
    if not names:
        raise ModelError(f"{results.fits.formula!r} has no coefficient to test.", do="larger.compare(res)")
    worded = isinstance(hypothesis, str | Mapping) or (
        isinstance(hypothesis, list | tuple) and all(isinstance(one, str) for one in hypothesis)
    )
    if worded:
        return _of_term(results, hypothesis) or constraints(names, hypothesis)
    pair = isinstance(hypothesis, tuple) and len(hypothesis) == 2
    given, stated = hypothesis if pair else (hypothesis, 0.0)
    try:
        matrix = np.atleast_2d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError):
        matrix = np.empty((0, 0, 0))
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise FormulaError(
            f"{_shape(given)} does not match {len(names)} coefficients.",
            names=listed(names, 8),
            do=f"res.wald_test('{names[-1]} = 0')",
        )
    return matrix, np.broadcast_to(np.asarray(stated, dtype=np.float64).ravel(), len(matrix)).copy()


def _shape(given: Any) -> str:
    """Return what was given for a matrix of hypotheses."""
    return (
        f"a hypothesis matrix of shape {given.shape}" if isinstance(given, np.ndarray) else f"the hypothesis {given!r}"
    )


def _of_term(results: PooledEstimates, hypothesis: Any) -> tuple[Array, Array] | None:
    """Return that all coefficients of a term are zero, if a hypothesis is a term's name and no coefficient's."""
    word = re.sub(r"\s*=\s*0\s*$", "", hypothesis).strip() if isinstance(hypothesis, str) else ""
    if results.design is None or word in results.fits.names:
        return None
    which = positions_by_term(results).get(word, [])
    return (np.eye(len(results.fits.names))[which], np.zeros(len(which))) if which else None


def positions_by_term(results: PooledEstimates) -> dict[str, list[int]]:
    """Return the positions of each term's coefficients; what belongs to no term (a threshold) is left out.

    Raises
    ------
    ModelError
        If the coefficients come from no formula.
    """
    design = results.design
    if design is None:
        raise ModelError(
            "these coefficients come from no formula, so it is not known which belong to one term.",
            do=f"res.wald_test('{results.fits.names[-1]} = 0')",
        )
    codes, columns = design.question.terms.codes, design.columns
    found: dict[str, list[int]] = {codes[column.term]: [] for column in columns}
    for position, name in enumerate(results.fits.names):
        # A model of several levels repeats each column: "High:age".
        term = next((c.term for c in columns if c.name == name), None)
        if term is None:
            ends = [c for c in columns if name.endswith(f":{c.name}")]
            term = max(ends, key=lambda c: len(c.name)).term if ends else None
        if term is not None:
            found[codes[term]].append(position)
    return {term: which for term, which in found.items() if which}


def _wald(results: PooledEstimates, matrix: Array, value: Array, said: str, df_method: str | None) -> JointTest:
    """Return D1, or the t test of a single hypothesis unless its degrees of freedom are asked for by name."""
    if len(matrix) == 1 and df_method is None:
        one = _contrasts(results, matrix, value)
        statistic = float(one.params[0] ** 2 / one.total[0, 0])
        df2 = float(one.df[0])
        return JointTest(statistic, 1.0, df2, f_pvalue(statistic, 1, df2), float(one.riv[0]), "t", said)
    pooled = results.pooled
    chosen = df_method or ("reiter" if results.df_method == "barnard-rubin" else "li")
    estimate = matrix @ pooled.params - value
    within, between = (matrix @ part @ matrix.T for part in (pooled.within, pooled.between))
    few = float(pooled.df_of(matrix).min(initial=np.inf))
    return JointTest.of(d1(estimate, within, between, pooled.m, few, chosen), said)


def _contrasts(results: PooledEstimates, matrix: Array, value: Array) -> Pooled:
    """Return k linear combinations, pooled from those of each set."""
    fits, pooled = results.fits, results.pooled
    return pool(
        fits.estimates @ matrix.T - value,
        matrix @ fits.covariances @ matrix.T,
        pooled.df_of(matrix),
        pooled.df_method,
        names=_rows(results, matrix),
    )


def _rows(results: PooledEstimates, matrix: Array) -> list[str]:
    """Return each row of a matrix in words: ``"x1 - x2"``."""
    rows = []
    for row in matrix:
        parts = [(f"{'-' if c < 0 else '+'} {'' if abs(c) == 1 else f'{abs(c):g} '}", n)
                 for c, n in zip(row, results.fits.names, strict=True) if c]  # fmt: skip
        rows.append(" ".join(sign + name for sign, name in parts).removeprefix("+ ") or "0")
    return rows


def _said(results: PooledEstimates, matrix: Array, value: Array) -> str:
    """Return hypotheses in words: ``"x1 = 0, x2 = 0"``."""
    return ", ".join(f"{row} = {v:g}" for row, v in zip(_rows(results, matrix), value, strict=True))

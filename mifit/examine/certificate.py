"""The certificate, term by term: how far each term of an analysis is covered by the imputations."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from ..analysis.models import spec
from ..display import Markup, block, chip, facts, latex, markdown, table
from ..formula.design import Designs
from ..formula.question import Question
from ..imputation.plan.likelihoods import likelihood_of
from ..imputation.plan.plan import Plan
from .verdict import Verdict, Where, law_of, verdict

__all__ = ["Certificate", "breusch_pagan", "certificate", "in_users_terms", "judged"]

_COLUMNS = ["verdict", "imputed", "reason", "do"]
_UNEQUAL_VARIANCES = 0.01  # p-value below which unequal variances are reported


def certificate(
    plan: Plan | None, designs: Designs, question: Question, as_written: Question, robust: str = "", do: str = "",
    where: Where | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Compare an analysis with the imputations, one row per term.

    Parameters
    ----------
    plan : Plan or None
        None for sets made elsewhere.
    designs : Designs
        Of analyses, on the table whose missing values were drawn.
    question : Question
        In terms of what was drawn: derived columns written out.
    as_written : Question
        The same as the user wrote it.
    robust : str, default ""
        What the covariance allows for beyond the likelihood, as in :func:`~mifit.examine.verdict.verdict`.
    do : str
        The call that imputes for it.
    where : Where, optional
        The rows, if they are not all.

    Returns
    -------
    Certificate
        A DataFrame. Index the terms; columns ``verdict`` (exact, same mean, implied, approximate, absent, unknown),
        ``imputed`` (how many of its cells are imputed), ``reason``, and ``do`` (the call that cures it).

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
    >>> imp.check("chl ~ age * bmi")["verdict"].to_dict()
    {'Intercept': 'implied', 'age': 'implied', 'bmi': 'implied', 'age:bmi': 'absent'}
    """
    table = designs.table
    found = judged(plan, designs, question, as_written, robust, where)[0]
    needs = _needs(question, designs)
    rows = []
    free = do if plan is None else do.replace(f", congeniality={plan.options.congeniality!r}", "")
    curable = plan is None or plan.mode != "compatible" and likelihood_of(question, table) is not None
    for code, shown in _spelled(question, as_written).items():
        if code == "Intercept" and not spec(question.model).constant:
            continue
        word = _word(found, shown)
        n_imputed = sum(len(table[name].missing) for name in needs[code])
        # draws from the working model, or from the terms of an analysis without a likelihood, cannot be bettered
        cure = free if word == "approximate" or (plan is not None and plan.mode == "ignore") else do
        cure = cure if word in ("absent", "unknown") or (word == "approximate" and curable) else ""
        reason = found.reason if word == found.word else f"nested in {' and '.join(_declared(plan))}"
        rows.append((shown, word, n_imputed, reason, cure))
    return Certificate(pd.DataFrame(rows, columns=["term", "verdict", "imputed", "reason", "do"]).set_index("term"))


class Certificate(pd.DataFrame):
    """The certificate: an ordinary DataFrame that a notebook shows with its verdicts marked."""

    def _repr_html_(self) -> str:
        """The table, and each cure once beneath it."""
        if list(self.columns) != _COLUMNS:  # somebody took a part of it
            return str(pd.DataFrame(self)._repr_html_())
        rows = [(term, chip(row.verdict), row.imputed, row.reason) for term, row in self.iterrows()]
        cures = [Markup(f"<code>{html.escape(one)}</code>") for one in dict.fromkeys(self["do"]) if one]
        shown = table(("term", "verdict", "imputed cells", "reason"), rows, numbers=(2,))
        return block("Certificate", shown, facts(("do", cure) for cure in cures))

    def to_latex(self, *args: Any, **words: Any) -> str | None:
        """As pandas does, with names that LaTeX prints as they are unless ``escape=False``."""
        plain = pd.DataFrame(self)
        if words.pop("escape", True):
            plain = _written(plain, latex)
        return plain.to_latex(*args, **{**words, "escape": False})

    def to_markdown(self, *args: Any, **words: Any) -> str | None:
        """As pandas does, with names that Markdown prints as they are."""
        return _written(pd.DataFrame(self), markdown).to_markdown(*args, **words)


def _written(frame: pd.DataFrame, how: Callable[[object], str]) -> pd.DataFrame:
    """A frame whose texts are in a markup."""
    texts = frame.astype(object).map(lambda cell: how(cell) if isinstance(cell, str) else cell)
    return texts.rename(index=how, columns=how).rename_axis(index=how(frame.index.name or ""))


def judged(
    plan: Plan | None, designs: Designs, question: Question, as_written: Question, robust: str = "",
    where: Where | None = None,
) -> tuple[Verdict, str]:  # fmt: skip
    """The verdict in the user's words, and what speaks against the working model of robust standard errors.

    Returns
    -------
    found : Verdict
    warning : str
        Empty, or that the residual variances are unequal although the draws assume equal ones.
    """
    found = in_users_terms(verdict(plan, designs, question, robust, where), plan, question, as_written)
    if robust == "spread" and "error_law=" in found.reason:  # the user chose a law that the data contradict
        return found, found.reason
    drawn = any(len(designs.table[name].missing) for name in question.variables(designs.table))
    law = None if plan is None else law_of(plan, question)
    known = law is not None and (law.learned or bool(law.doubt))
    if known or not (robust and found.word == "approximate" and question.facts.one_variance and drawn):
        return found, ""
    p_value = breusch_pagan(question, designs)
    if not p_value < _UNEQUAL_VARIANCES:
        return found, ""
    said = f"the draws assume equal residual variances, the complete rows speak against it (p = {p_value:.2g})"
    return dataclasses.replace(found, reason=f"{found.reason}; {said}"), said


def in_users_terms(found: Verdict, plan: Plan | None, question: Question, as_written: Question) -> Verdict:
    """A verdict on an analysis whose derived columns are written out, in the user's own words."""
    spelled = _spelled(question, as_written)
    reason = found.reason
    written = {q.formula: one for q, one in zip(plan.questions, plan.written, strict=False)} if plan else {}
    for words in (written, spelled):
        for code in sorted(words, key=len, reverse=True):
            reason = reason.replace(code, words[code])
    return dataclasses.replace(found, reason=reason, unseen=tuple(spelled.get(code, code) for code in found.unseen))


def _spelled(question: Question, as_written: Question) -> dict[str, str]:
    """How the user wrote each term; as it is where derived columns made two terms one."""
    codes, shown = question.terms.codes, as_written.terms.codes
    return dict(zip(codes, shown if len(shown) == len(codes) else codes, strict=True))


def _word(found: Verdict, code: str) -> str:
    """The verdict on one term: a term inside the span is implied where another one is absent."""
    if found.word != "absent" or not found.unseen:
        return found.word
    return "absent" if code in found.unseen else "implied"


def _declared(plan: Plan | None) -> list[str]:
    """Formulas the imputations were made for."""
    return list(plan.written) if plan is not None and plan.questions else ["main effects"]


def _needs(question: Question, designs: Designs) -> dict[str, set[object]]:
    """Columns each term is computed from."""
    design = designs.of(question)
    needs: dict[str, set[object]] = {code: set() for code in question.terms.codes}
    for column in design.columns:
        needs[question.terms.codes[column.term]] |= column.variables
    return needs


def breusch_pagan(question: Question, designs: Designs) -> float:
    """p-value for residual variance that depends on the predictors, on complete rows.

    Parameters
    ----------
    question : Question
        A linear analysis.
    designs : Designs

    Returns
    -------
    float
        NaN where there are too few complete rows.

    References
    ----------
    Breusch, T. S. and Pagan, A. R. (1979). A simple test for heteroscedasticity and random coefficient variation.
    *Econometrica* 47(5), 1287-1294; studentised by Koenker, R. (1981). *Journal of Econometrics* 17(1), 107-112.
    """
    design, table = designs.of(question), designs.table
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

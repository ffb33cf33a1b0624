"""What the weights of an analysis are: precisions multiply its likelihood in the draws, sampling weights do not."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import PlanError, call
from ...formula.design import Design
from ...formula.question import Question
from ...formula.terms import code_of
from ...frame.table import Table
from ...typing import Array
from .defaults import nearly_determines
from .draft import Draft
from .likelihoods import keyword_vector
from .plan import Piece
from .usable_columns import is_constant

__all__ = ["WEIGHTS", "WEIGHTS_AS", "AsPredictor", "as_predictor", "check_weights_as", "weigh_by"]

WEIGHTS = ("weights", "var_weights")  #: words of an analysis that may be either
WEIGHTS_AS = ("sampling", "precision")
_CLASSES, _ROWS = 12, 20  # most values of weights that are classes of rows, and rows for each
_STEPS = 50
_SCATTER = 1.8  # least standard deviation of log r^2 around its line in log w; 2.2 of a normal


def check_weights_as(draft: Draft) -> None:
    """Refuse ``weights_as=`` of another sort, or without weights of an analysis."""
    option = draft.options.weights_as
    if option is None:
        return
    if option not in WEIGHTS_AS:
        raise PlanError(
            f"weights_as is {option!r}.", known=", ".join(WEIGHTS_AS), do=call("df.mice.impute", weights_as="sampling")
        )
    if not any(_given(question) for question in draft.questions):
        raise PlanError(
            "weights_as= says what the weights of an analysis are; none has any.",
            do=call("df.mice.impute", weights_as=None),
        )


def weigh_by(draft: Draft, question: Question, design: Design) -> str:
    """Whether the weights of an analysis multiply its likelihood in the draws.

    Parameters
    ----------
    draft : Draft
    question : Question
    design : Design

    Returns
    -------
    {"likelihood", "predictor"}
        "predictor": rows count alike in the draws; see :func:`as_predictor`.

    Notes
    -----
    Sampling and inverse-probability weights say how many others a row stands for. Its outcome is no surer for that: a
    likelihood to the power of the weight takes it for surer, and draws of covariates follow the outcome too closely.

    Unless ``weights_as=`` says which they are, the complete rows do:

    1. Where the outcome is a share or a rate of events, and the outcome times the weight is whole in every row, the
       weight counts trials: a precision. Other counts, and outcomes of two values, have sampling weights.
    2. The weights w of a number are precisions where the residuals r of the unweighted model, over the square root of
       the variance function, are those of variance phi / w: by their normal log-likelihood, which is then larger than
       with one variance, sum(log w) > n log(sum(w r^2) / sum(r^2)); log w does not depend on the outcome given the
       complete predictors (|t| < 3, in all rows that have an outcome); and log r^2 scatters around its line in log w
       as the logarithm of a chi-squared does (standard deviation 2.2, at least 1.8). Weights of rows that were sampled
       by their outcome fail the last two.
    """
    words = _given(question)
    if not words:
        return "likelihood"
    shown = ", ".join(f"{word}={_name(question, word)}" for word in words)
    told, taken = draft.options.weights_as, draft.options.weights_as
    if told is None:
        taken = "precision" if _precise(question, design, draft.table) else "sampling"
    other = next(one for one in WEIGHTS_AS if one != taken)
    how = {
        "precision": "precisions, which multiply the likelihood of the draws",
        "sampling": "sampling weights: the draws are made without them, and the fit is weighted",
    }[str(taken)]
    if told is None:
        fact = f"{shown}: taken for {how}; if they are not: "
        draft.note(call("df.mice.impute", weights_as=other).after(fact))
    else:
        draft.note(f"{shown}: {how}")
    return "likelihood" if taken == "precision" else "predictor"


class AsPredictor(NamedTuple):
    """What sampling weights are in the draws."""

    pieces: list[Piece]  #: among the predictors of the covariates and of the outcome
    after: list[Hashable]  #: columns that come after the outcome: auxiliaries

    @property
    def word(self) -> str:
        """The same in a word."""
        return "predictor" if self.pieces else "auxiliary" if self.after else "none"


def as_predictor(draft: Draft, question: Question, design: Design) -> AsPredictor:
    """Where the weights of an analysis enter the draws, if they do not multiply the likelihood.

    Notes
    -----
    1. Weights that (nearly) follow from the outcome say nothing beyond it, and would stand for it in its model: none.
    2. Weights of a few values are classes of rows, as regions are, and enter as such, unless the classes explain more
       than half of the outcome's variance.
    3. Other weights that depend on the outcome given the complete predictors, |t| > 3, come after it, as auxiliaries
       do: among the predictors of a count they brought -15 % where chances followed the count.
    4. All others are predictors, or their logarithm where that is less skewed.
    """
    pieces: list[Piece] = []
    after: list[Hashable] = []
    outcome = design.response({v: draft.table[v].values for v in question.outcome})
    for word in _given(question):
        name, values = question.keywords[word], keyword_vector(question, word, draft.table)
        assert values is not None
        if not isinstance(name, Hashable) or name not in draft.table:
            if np.ndim(name):
                draft.note(f"{word}= is no column: the draws do not use it")
        elif nearly_determines(draft.table, name, outcome):
            draft.note(f"{word}={_name(question, word)} (nearly) follows from the outcome: not a predictor")
        elif (classes := _classes(values)) is not None and not _explained(outcome, classes):
            pieces.append(Piece("formula", draft.formula(None, f"C({code_of(name)})")))
        elif _follows_outcome(values, design, draft.table):
            after.append(name)
        elif not is_constant(draft.table[name]):
            code = code_of(name)
            logged = abs(_skewness(np.log(values))) < abs(_skewness(values))
            pieces.append(Piece("formula", draft.formula(None, f"np.log({code})" if logged else code)))
    return AsPredictor(pieces, after)


def _classes(values: Array) -> npt.NDArray[np.int64] | None:
    """Classes of rows with equal weights, shape (n,); None where there is one, or where they are many."""
    levels, codes = np.unique(values, return_inverse=True)
    return codes.reshape(-1) if 2 <= len(levels) <= min(_CLASSES, len(values) // _ROWS) else None


def _explained(outcome: Array, classes: npt.NDArray[np.int64]) -> bool:
    """Whether classes of rows explain more than half of the variance of an outcome."""
    seen = np.isfinite(outcome)
    y, codes = outcome[seen], classes[seen]
    means = np.bincount(codes, y) / np.maximum(np.bincount(codes), 1)
    return bool(np.var(means[codes]) > 0.5 * np.var(y))


def _given(question: Question) -> list[str]:
    """Words by which an analysis has weights that may be either."""
    return [word for word in WEIGHTS if question.keywords.get(word) is not None]


def _name(question: Question, word: str) -> str:
    """The weights as a reader knows them."""
    value = question.keywords[word]
    return repr(value) if isinstance(value, str) else "an array"


def _skewness(values: Array) -> float:
    """Third standardised moment; 0 without spread."""
    apart = values - values.mean()
    spread = float(np.sqrt(np.mean(apart**2)))
    return float(np.mean((apart / spread) ** 3)) if spread > 0 else 0.0


def _precise(question: Question, design: Design, table: Table) -> bool:
    """Whether the complete rows speak for precisions."""
    parts = [found for word in _given(question) if (found := keyword_vector(question, word, table)) is not None]
    names = (*design.variables, *question.outcome)
    rows = table.complete_rows(names)
    data = {name: table[name].values[rows] for name in names}
    w = np.prod(parts, axis=0)[rows]
    if question.level is not None or len(rows) < 3 * len(design.columns) or np.ptp(w) == 0:
        return question.level is None
    y, X = design.response(data), design.evaluate(range(len(design.columns)), data, len(rows))
    if _of_events(question):
        return bool((y != np.rint(y)).any() and np.allclose(y * w, np.rint(y * w), rtol=0, atol=1e-6 * np.max(w)))
    good = np.isfinite(X).all(axis=1) & np.isfinite(y)
    y, w, X, offset = y[good], w[good], X[good], _offset(question, table, rows[good])
    squared = _squared_residuals(question.keywords.get("family"), y, X, offset)
    return _falls(w, squared) and not _follows_outcome(np.prod(parts, axis=0), design, table)


def _falls(w: Array, squared: Array) -> bool:
    """Whether squared residuals are those of variances that are one over the weights, each of shape (n,)."""
    logged, seen = np.log(w), squared > 0
    if not logged.sum() > len(w) * np.log(w @ squared / squared.sum()):
        return False
    return bool(np.std(_beyond(np.log(squared[seen]), logged[seen][:, None])) > _SCATTER)


def _follows_outcome(weight: Array, design: Design, table: Table) -> bool:
    """Whether log weights depend on the outcome, |t| > 3, given the columns that are known wherever it is.

    Rows whose covariates are missing count too: complete rows are a choice by the outcome.
    """
    incomplete = {name for name in design.variables if len(table[name].missing)}
    complete = [place for place, column in enumerate(design.columns) if not incomplete & column.variables]
    rows = table.complete_rows(design.question.outcome)
    data = {name: table[name].values[rows] for name in (*design.variables, *design.question.outcome)}
    X, y = design.evaluate(complete, data, len(rows)), design.response(data)
    good = np.isfinite(X).all(axis=1) & np.isfinite(y)
    own, other = _beyond(y[good], X[good]), _beyond(np.log(weight[rows][good]), X[good])
    both, total = float(own @ other) ** 2, float(own @ own) * float(other @ other)
    return both > total * 9 / (9 + len(own))


def _beyond(y: Array, X: Array) -> Array:
    """What least squares leave of a column, given others and a constant."""
    X = np.column_stack([np.ones(len(y)), X])
    return np.asarray(y - X @ np.linalg.lstsq(X, y, rcond=None)[0])


def _of_events(question: Question) -> bool:
    """Whether the outcome is a number of events, or a share or a rate of them."""
    return type(question.keywords.get("family")).__name__ in ("Binomial", "Poisson", "NegativeBinomial")


def _offset(question: Question, table: Table, rows: Any) -> Array | float:
    """The known part of the linear predictor."""
    offset, exposure = (keyword_vector(question, word, table) for word in ("offset", "exposure"))
    return (0.0 if offset is None else offset[rows]) + (0.0 if exposure is None else np.log(exposure[rows]))


def _squared_residuals(family: Any, y: Array, X: Array, offset: Array | float) -> Array:
    """Squared residuals over the variance function, of the model fitted without weights, shape (n,)."""
    if family is None:
        return np.asarray((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2)
    with np.errstate(all="ignore"):
        mean = np.asarray(family.starting_mu(y), dtype=np.float64)
        for _ in range(_STEPS):
            slope = family.link.deriv(mean)
            root = 1 / np.sqrt(family.variance(mean) * slope**2)
            response = family.link(mean) - offset + (y - mean) * slope
            beta = np.linalg.lstsq(X * root[:, None], response * root, rcond=None)[0]
            fresh = np.asarray(family.link.inverse(X @ beta + offset), dtype=np.float64)
            if not np.isfinite(fresh).all():
                break
            settled = np.max(np.abs(fresh - mean)) <= 1e-8 * np.max(np.abs(mean))
            mean = fresh
            if settled:
                break
        found = np.asarray((y - mean) ** 2 / family.variance(mean))
    return np.where(np.isfinite(found), found, 0.0)

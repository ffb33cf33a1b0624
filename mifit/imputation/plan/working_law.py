"""Which distribution gives the likelihood of an analysis of counts, shares or two values, and what is said of it.

Complete data forgive a wrong law: the mean is still found. Draws do not, for they multiply a covariate's model by the
likelihood. The complete rows decide the form of the law once; its parameters are drawn anew in every sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...typing import Array
from ..contract import Method, Visit
from ..methods import NB1, DoublePoisson, Logistic, NegBin, Poisson, Shares, ZeroInflated
from ..methods.nb1 import nb1_peak
from ..methods.negbin import overdispersed
from ..methods.poisson import CLIP, poisson_estimate
from ..methods.shares import correlation, dispersion
from ..methods.zero_inflated import zero_inflated_peak
from ..numerics.newton import maximise
from ..numerics.separation import columns

__all__ = ["AUTO", "DECLARED", "LEARNED", "OTHER_MEAN", "WorkingLaw", "of_counts", "of_shares", "of_two_values"]

AUTO, DECLARED, LEARNED, OTHER_MEAN = "auto", "declared", "learned", "another mean"
_SURE = 2.0  # standard errors below 1 of a dispersion that is taken to lie there
_SIGN = 1.645  # and above 0 of a correlation
_MORE = 2.0  # log-likelihood by which another law must exceed a declared negative binomial
_WHOLE = 1e-6  # how far successes may be from a whole number, as a share of the trials
_EDGE = 1e-9
_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, slots=True)
class WorkingLaw:
    """The law of an outcome around its mean: which one is drawn from, and what the complete rows say of it."""

    form: str  #: "declared"; "learned" with the mean of the analysis; or "another mean"
    fact: str  #: what was found of the outcome
    drawn: str = ""  #: how it is drawn instead
    option: str = AUTO  #: what the user asked for
    contradicted: bool = False  #: whether the fact speaks against the declared law

    @property
    def learned(self) -> bool:
        """Whether the draws use a law of the same mean that is learned from the data."""
        return self.form == LEARNED

    @property
    def supported(self) -> bool:
        """Whether the declared law is used and nothing speaks against it."""
        return self.form == DECLARED and not self.contradicted

    @property
    def against(self) -> str:
        """What speaks against the declared law; empty where nothing does."""
        return self.fact if self.contradicted else ""

    @property
    def said(self) -> str:
        """The law and why, as a certificate says it."""
        return f"{self.fact}, {self.drawn}" if self.drawn else self.fact

    @property
    def doubt(self) -> str:
        """Why the draws are approximate; empty where they are not."""
        if self.form == OTHER_MEAN:
            return self.said
        if self.form == DECLARED and self.contradicted:
            return f"the draws use the declared law, the complete rows speak against it ({self.fact})"
        return ""

    def __str__(self) -> str:
        """One line of a printed plan."""
        return self.doubt or self.said


Choice = tuple[Method, WorkingLaw]


def of_two_values(method: Method, link: str, option: str = AUTO) -> Choice:
    """Choose the law of an outcome of two values under a model of other ones: a logistic regression of its terms."""
    if option == DECLARED:
        return method, WorkingLaw(DECLARED, "the outcome has two values", "", option, True)
    drawn = f"is drawn by a logistic model with the same terms; its mean is not the analysis' ({link})"
    return Logistic(rescue="firth"), WorkingLaw(OTHER_MEAN, f"a 0/1 outcome {drawn}", "", option, True)


def of_counts(method: Method, seen: Visit, weight: Array, option: str = AUTO) -> Choice:
    """Choose the law of counts whose log mean is linear.

    Parameters
    ----------
    method : Method
        That of the declared likelihood: Poisson, or the negative binomial.
    seen : Visit
        The complete rows.
    weight : ndarray, shape (n_fit,)
        One over the chance of each row to be complete, up to a factor.
    option : {"auto", "declared", "learned"}
        Whether complete rows decide, the declared law stays, or a law is learned in any case.

    Notes
    -----
    1. Where Pearson's dispersion of the weighted rows lies below 1 by two of its standard errors sqrt(2 / (n - p)):
       the double Poisson. Complete rows that are selected by the outcome vary less than all; the weights undo that.
    2. Otherwise the law with the largest log-likelihood of the complete rows, less one unit for each parameter (Akaike
       1974, IEEE Transactions on Automatic Control 19(6), 716-723): Poisson; negative binomial with variance
       mean + alpha mean² (NB2) or (1 + delta) mean (NB1); counts with a share of zeros besides. All have the mean of
       the analysis.
    """
    phi, worth = _dispersion(seen, weight)
    varied = f"(variance/mean {phi:.2f})"
    if np.any(seen.y != np.floor(seen.y)):
        fact = f"the numbers are no counts {varied}"
        return _chosen(method, DoublePoisson(), fact, "drawn with a learned dispersion", option)
    if not np.any(seen.y > 0):
        return method, WorkingLaw(DECLARED, "every count is 0", "", option)
    if isinstance(method, Poisson) and phi < 1 - _SURE * np.sqrt(2 / max(worth - seen.X.shape[1], 1.0)):
        return _chosen(
            method, DoublePoisson(), f"counts vary less than a Poisson {varied}", "drawn as double Poisson", option
        )
    gains = _gains(seen)
    best = max(gains, key=lambda word: gains[word])
    if isinstance(method, NegBin):
        if gains[best] - gains["NB2"] < _MORE:
            return method, WorkingLaw(DECLARED, "counts: nothing speaks against a negative binomial", "", option)
    elif gains[best] == 0.0:
        fact = f"counts: nothing speaks against a Poisson {varied}"
        return NegBin() if option == LEARNED else method, WorkingLaw(DECLARED, fact, "", option)
    zeros = f"{100 * np.mean(seen.y == 0):.0f} % of the counts are 0"
    fact = f"{zeros}, more than their spread explains" if best == "zeros" else "counts vary more than a Poisson"
    learned, drawn = _LAWS[best]
    return _chosen(method, learned, f"{fact} {varied}", drawn, option)


_LAWS: dict[str, tuple[Method, str]] = {
    "NB2": (NegBin(), "drawn as negative binomial"),
    "NB1": (NB1(), "drawn as negative binomial with a variance in proportion to the mean"),
    "zeros": (ZeroInflated(), "drawn as zero-inflated counts of the same mean"),
}


def _chosen(declared: Method, learned: Method, fact: str, drawn: str, option: str) -> Choice:
    """The learned law; the declared one where the user wants that."""
    if option == DECLARED:
        return declared, WorkingLaw(DECLARED, fact, "", option, True)
    return learned, WorkingLaw(LEARNED, fact, drawn, option, True)


def _gains(seen: Visit) -> dict[str, float]:
    """Log-likelihood of each law above that of a Poisson, less one unit for each parameter more; at least 0."""
    found = columns(seen.X, np.arange(seen.X.shape[1], dtype=np.int64))
    plain, warm_start, _ = poisson_estimate(found, seen.y, None, seen.offset)
    start = (found, seen.y, plain, warm_start.rescued, None, 0.0 if seen.offset is None else seen.offset)
    constant = bool(np.all(seen.X[:, 0] == 1.0))
    peaks = {
        "NB2": overdispersed(*start), "NB1": nb1_peak(*start), "zeros": zero_inflated_peak(*start) if constant else None
    }  # fmt: skip
    p = len(plain.estimate)
    return {
        word: 0.0 if top is None else max(top.value - plain.value - (len(top.estimate) - p), 0.0)
        for word, top in peaks.items()
    }


def _dispersion(seen: Visit, weight: Array) -> tuple[float, float]:
    """Pearson's dispersion around the weighted Poisson regression, and how many rows the weighted ones are worth."""
    X, y, w = seen.X, seen.y, weight / np.mean(weight)
    offset = np.zeros(len(y)) if seen.offset is None else seen.offset

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        linear = np.minimum(X @ beta + offset, CLIP)
        mean = np.exp(linear)
        return float(w @ (y * linear - mean)), X.T @ (w * (y - mean)), -((X * (w * mean)[:, None]).T @ X)

    start = np.zeros(X.shape[1])
    start[0] = np.log(max(np.sum(y) / np.sum(np.exp(np.minimum(offset, CLIP))), _EDGE))
    mean = np.maximum(np.exp(np.minimum(X @ maximise(likelihood, start).estimate + offset, CLIP)), _TINY)
    worth = float(np.sum(w) ** 2 / np.sum(w * w))
    found = float(np.sum(w * (y - mean) ** 2 / mean) / np.sum(w))
    return found * worth / max(worth - X.shape[1], 1.0), worth


def of_shares(method: Any, seen: Visit, weight: Array, option: str = AUTO) -> Choice:
    """Choose the law of shares: binomial, with a correlation of the trials of a row, or with a learned dispersion.

    Parameters
    ----------
    method : Glm
        Of a binomial family.
    seen, weight, option
        As in :func:`of_counts`; the prior weights are the trials.

    Notes
    -----
    1. Where share times weight is whole in every row the weights count trials: their correlation within a row is
       learned where it is above 0 by 1.645 standard errors.
    2. Otherwise the dispersion is learned: a share without trials is no 0/1 outcome.
    """
    y, k = seen.y, np.ones(len(seen.y)) if seen.weights is None else seen.weights
    warm_start = method.fit(seen, np.random.default_rng(0)).warm
    linear = seen.X[:, warm_start.kept] @ warm_start.estimate + (0.0 if seen.offset is None else seen.offset)
    mean = np.clip(np.asarray(method.family.link.inverse(linear), dtype=np.float64), _EDGE, 1 - _EDGE)
    if np.any(np.abs(k * y - np.rint(k * y)) > _WHOLE * np.maximum(k, 1.0)):
        fact = f"shares without whole trials (dispersion {dispersion(y, mean, k):.2g})"
        return _chosen(method, Shares(method.family, trials=False), fact, "drawn with a learned dispersion", option)
    rho, error = correlation(y, mean, k, weight, len(warm_start.estimate))
    if rho > _SIGN * error:
        fact = f"shares vary more than a binomial (overdispersion rho = {rho:.2f})"
        return _chosen(method, Shares(method.family), fact, "drawn with rho learned", option)
    fact = f"shares: nothing speaks against a binomial (overdispersion rho = {rho:.2f})"
    return Shares(method.family) if option == LEARNED else method, WorkingLaw(DECLARED, fact, "", option)

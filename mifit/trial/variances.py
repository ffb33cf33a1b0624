"""Two variances of a reference-based estimate: Rubin's, anchored in information, and that over repeated trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..pooling.rubin import each
from ..typing import Array, Rows
from .analyses import Analysis, Figures
from .model import TrialModel

__all__ = ["Inference", "bootstrap_of_means", "jackknife_of_means", "rubin_of_draws"]


class Inference(NamedTuple):
    """Estimates with their standard errors; q figures, T visits."""

    method: str
    estimate: Array  #: (q, T)
    std_error: Array  #: (q, T)
    df: Array  #: (q, T) infinite where the normal distribution is used
    fmi: Array  #: (q, T) NaN where it has no meaning


def rubin_of_draws(figures: Sequence[Figures]) -> Inference:
    """Rubin's rules over the completed sets."""
    values, variances = np.array([one.values for one in figures]), np.array([one.variances for one in figures])
    shape, m = values.shape[1:], len(values)
    one = each(
        values.mean(axis=0).ravel(), variances.mean(axis=0).ravel(), values.var(axis=0, ddof=1).ravel(), m,
        figures[0].df,
    )  # fmt: skip
    return Inference(
        f"{m} draws, Rubin's variance", one.params.reshape(shape), one.std_error.reshape(shape), one.df.reshape(shape),
        one.fmi.reshape(shape),
    )  # fmt: skip


def jackknife_of_means(
    models: Sequence[TrialModel], analyses: Sequence[Analysis], shift: Callable[[Array], Array]
) -> Inference:
    """Conditional mean imputation, each subject left out once.

    Parameters
    ----------
    models, analyses : sequence
        One of each; several where covariates were drawn: the variance between them is then added as by Rubin's rules.
    shift : callable
        Adds delta to a completed outcome.

    Notes
    -----
    With n subjects the variance is (n - 1)/n times the sum of squares of the n estimates around their mean.

    References
    ----------
    Wolbers, M., Noci, A., Delmar, P., Gower-Page, C., Yiu, S. and Bartlett, J. W. (2022). Standard and reference-based
    conditional mean imputation. *Pharmaceutical Statistics* 21(6), 1246-1257. doi:10.1002/pst.2234
    """

    def spread(model: TrialModel, analysis: Analysis) -> Array:
        n = len(model.course.outcome)
        everyone, found = np.arange(n), []
        for i in range(n):
            rows = np.delete(everyone, i)
            found.append(_of_means(model, analysis, shift, rows))
        return np.asarray((n - 1) / n * ((np.array(found) - np.mean(found, axis=0)) ** 2).sum(axis=0))

    return _combined(models, analyses, shift, spread, "conditional means, jackknife")


def bootstrap_of_means(
    models: Sequence[TrialModel],
    analyses: Sequence[Analysis],
    shift: Callable[[Array], Array],
    n_samples: int,
    rng: np.random.Generator,
    arm: Rows,
) -> Inference:
    """Conditional mean imputation in bootstrap samples of subjects, drawn within their arms; see the jackknife."""

    def spread(model: TrialModel, analysis: Analysis) -> Array:
        members = [np.flatnonzero(arm == k) for k in range(arm.max() + 1)]
        samples = [
            np.concatenate([rng.choice(rows, len(rows)) for rows in members]) for _ in range(n_samples)
        ]  # fmt: skip
        found = [_of_means(model, analysis, shift, rows) for rows in samples]
        return np.asarray(np.var(found, axis=0, ddof=1))

    return _combined(models, analyses, shift, spread, f"conditional means, {n_samples} bootstrap samples")


def _of_means(model: TrialModel, analysis: Analysis, shift: Callable[[Array], Array], rows: Rows) -> Array:
    """The estimates of one selection of subjects, the model fitted to them alone."""
    weights = np.bincount(rows, minlength=len(model.course.outcome)).astype(np.float64)
    return analysis.figures(shift(model.conditional_mean(weights)), rows).values


def _combined(
    models: Sequence[TrialModel],
    analyses: Sequence[Analysis],
    shift: Callable[[Array], Array],
    spread: Callable[[TrialModel, Analysis], Array],
    method: str,
) -> Inference:
    """Estimates and variances given the covariates; the variance between draws of these is added."""
    everyone = np.arange(len(models[0].course.outcome))
    pairs = list(zip(models, analyses, strict=True))
    values = np.array([a.figures(shift(m.conditional_mean()), everyone).values for m, a in pairs])
    variance = np.mean([spread(model, analysis) for model, analysis in pairs], axis=0)
    if len(pairs) > 1:
        variance = variance + (1 + 1 / len(pairs)) * values.var(axis=0, ddof=1)
    nothing = np.full(variance.shape, np.nan)
    return Inference(
        method, values.mean(axis=0), np.sqrt(variance), np.full(variance.shape, np.inf), nothing
    )  # fmt: skip

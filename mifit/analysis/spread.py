"""What a mixed model says of spread in one set: variances, correlations, shares between groups, R²."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ..typing import Array
from .mixed_maximum import MixedFit, fixed_covariance, information_at, scale_parameters

__all__ = ["CONDITIONAL", "MARGINAL", "Spread", "generalised_shares", "linear_spread", "shares", "spread_names"]

MARGINAL, CONDITIONAL = "R-squared (marginal)", "R-squared (conditional)"

#: share of the variance that is none
_NOTHING = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Figures of one set, or of m sets, each with the scale on which it is roughly normal; f figures."""

    names: tuple[str, ...]  #: (f,)
    scales: tuple[str, ...]  #: (f,) "log", "fisher" or "logit"
    estimates: Array  #: (f,) or (m, f), as they are
    variances: Array  #: of the same shape, on the scale; NaN where a variance is at its boundary


def spread_names(random: Sequence[str], further: Sequence[str], residual: bool) -> tuple[tuple[str, ...], list[str]]:
    """Return names of variances, correlations, further components and the residual variance, and their scales.

    Examples
    --------
    >>> spread_names(["g", "x"], ["room"], True)[0]
    ('g Var', 'x Var', 'g x x Cor', 'room Var', 'Residual Var')
    """
    correlations = [f"{random[j]} x {random[i]} Cor" for i in range(len(random)) for j in range(i)]
    components = [*(f"{name} Var" for name in further), *(["Residual Var"] if residual else [])]
    names = (*(f"{name} Var" for name in random), *correlations, *components)
    return names, ["log"] * len(random) + ["fisher"] * len(correlations) + ["log"] * len(components)


def linear_spread(fit: MixedFit, exog: Array, group: str, random: Sequence[str], further: Sequence[str]) -> Spread:
    """Figures of a linear mixed model.

    Parameters
    ----------
    fit : MixedFit
    exog : ndarray, shape (n, p)
    group : str
        What the groups are called.
    random, further : sequence of str
        Names of the random effects and of the further components.

    Returns
    -------
    Spread
        Variances; then of each kind of unit the share of variance that lies between its units, and R².
    """
    names, scales = spread_names(random, further, True)
    found, q = scale_parameters(fit), len(fit.cov_re)
    sizes = np.sqrt(np.diag(fit.cov_re)) if q else np.zeros(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = fit.cov_re / np.outer(sizes, sizes) if q else np.zeros((0, 0))
    correlations = [alike[i, j] for i in range(q) for j in range(i)]
    own = np.concatenate([sizes**2, correlations, fit.vcomp, [fit.scale]])
    variances = np.full(len(own), np.nan) if found is None else np.diag(found[1])
    parts = _means(fit)
    covariance = _of_residuals(fit, len(parts)) if found is None else _covariance(fit)
    units = [*([group] if q else []), *further]
    more = shares(units, parts, covariance, exog, fit.fe_params, fixed_covariance(fit), found is None)
    return Spread(
        (*names, *more.names), (*scales, *more.scales), np.concatenate([own, more.estimates]),
        np.concatenate([variances, more.variances]),
    )  # fmt: skip


def shares(
    units: Sequence[str], parts: Array, covariance: Array, exog: Array, beta: Array, fixed: Array,
    singular: bool = False,
) -> Spread:  # fmt: skip
    r"""Shares of variance between units (intraclass correlations), marginal and conditional R².

    Parameters
    ----------
    units : sequence of str, length c
    parts : ndarray, shape (c + 1,)
        Variance that each kind of unit adds to a row, on average over the rows, and the residual variance.
    covariance : ndarray, shape (c + 1, c + 1)
        Of their logarithms.
    exog : ndarray, shape (n, p)
    beta : ndarray, shape (p,)
    fixed : ndarray, shape (p, p)
        Covariance of ``beta``.
    singular : bool, default False
        Whether a variance is at its boundary: intraclass correlations then have no standard error.

    Returns
    -------
    Spread
        c + 2 figures, with variances of their logits by the delta method.

    Notes
    -----
    With f the variance of the fixed part over the rows, a the sum of the parts of the units and e the residual
    variance: R² is f / (f + a + e) without, (f + a) / (f + a + e) with the random effects; the intraclass correlation
    of a unit is its part over a + e.

    References
    ----------
    Nakagawa, S. and Schielzeth, H. (2013). A general and simple method for obtaining R² from generalized linear
    mixed-effects models. *Methods in Ecology and Evolution* 4, 133-142. doi:10.1111/j.2041-210x.2012.00261.x
    Johnson, P. C. D. (2014). Extension of Nakagawa & Schielzeth's R²GLMM to random slopes models. *Methods in Ecology
    and Evolution* 5, 944-946. doi:10.1111/2041-210X.12225
    """
    total, c = parts.sum(), len(units)
    # slopes of each logit by the logarithms of the parts
    between = np.array([np.where(np.arange(c + 1) == j, 1.0, -parts / (total - parts[j])) for j in range(c)])
    centred = exog - exog.mean(axis=0)
    linear = centred @ beta
    f = float(linear @ linear) / max(len(linear) - 1, 1)
    by_beta = 2 * (linear @ centred) / max(len(linear) - 1, 1)
    own = float(by_beta @ fixed @ by_beta)
    random = float(parts[:-1].sum())
    slopes = np.vstack(
        [between.reshape(c, c + 1), -parts / total, np.append(parts[:-1] / max(f + random, _NOTHING * total), -1)]
    )
    some, any_ = f > _NOTHING * total, f + random > _NOTHING * total
    by_f = np.array([0.0] * c + [1 / f if some else np.nan, 1 / (f + random) if any_ else np.nan])
    variances = np.einsum("ij,jk,ik->i", slopes, covariance, slopes) + by_f**2 * own
    variances[:c] = np.where(singular, np.nan, variances[:c])
    estimates = np.append(parts[:-1] / total, [f / (f + total), (f + random) / (f + total)])
    names = (*(f"{unit} ICC" for unit in units), MARGINAL, CONDITIONAL)
    return Spread(names, ("logit",) * (c + 2), estimates, np.where(variances > 0, variances, np.nan))


def generalised_shares(result: Any, group: str) -> Spread:
    r"""Intraclass correlation and R² of a generalised mixed model, on the scale of its linear predictor.

    Parameters
    ----------
    result : GeneralisedMixedResults
    group : str

    Returns
    -------
    Spread

    Notes
    -----
    The residual variance is that of the logistic distribution, :math:`\pi^2/3`; of a Poisson model
    :math:`\log(1 + 1/\lambda)`, with the mean :math:`\log\lambda = \bar\eta + a/2`, :math:`\bar\eta` the mean of
    the fixed part and a the variance of the random effects.

    References
    ----------
    Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). The coefficient of determination R² and intra-class
    correlation coefficient from generalized linear mixed-effects models revisited and expanded. *Journal of the Royal
    Society Interface* 14, 20170213. doi:10.1098/rsif.2017.0213
    """
    model, fit = result.model, result.fit
    p = model.exog.shape[1]
    beta, fixed = fit.coefficients[:p], result.joint[:p, :p]
    half = model.random @ (fit.rows.random @ fit.root)
    random = float((half**2).sum() / len(half))
    level = float(np.mean(model.exog @ beta + model.offset)) + random / 2
    residual = float(np.logaddexp(0.0, -level)) if model.family == "poisson" else np.pi**2 / 3
    covariance = np.zeros((2, 2))
    if not result.singular:
        q, many = len(fit.root), len(fit.theta)
        lower = np.tril_indices(q)
        by_root = 2 * (model.random @ fit.rows.random).T @ half / len(half)
        slope = by_root[lower] / random
        own = float(slope @ np.linalg.inv(fit.information)[many:, many:] @ slope)
        # the residual variance of counts moves with the random effects' variance
        chance = float(expit(-level))
        along = np.array([1.0, -chance * random / 2 / residual if model.family == "poisson" else 0.0])
        covariance = own * np.outer(along, along)
    return shares([group], np.array([random, residual]), covariance, model.exog, beta, fixed, result.singular)


def _means(fit: MixedFit) -> Array:
    """Return the variance that groups and each further component add on average, and the residual variance."""
    data, q = fit.data, len(fit.data.random)
    effects = data.factors @ fit.root
    squares = (effects**2).sum(axis=(0, 1)) / data.n_rows * fit.scale
    first = [squares[:q].sum()] if q else []
    return np.array([*first, *(squares[part].sum() for part in data.slices), fit.scale])


def _of_residuals(fit: MixedFit, many: int) -> Array:
    """Return the same where a variance is at its boundary: that of the residual variance alone."""
    out = np.zeros((many, many))
    out[-1, -1] = 2 / max(fit.data.n_rows - len(fit.fe_params), 1)
    return out


def _covariance(fit: MixedFit) -> Array:
    """Return the covariance of the logarithms of :func:`_means`."""
    information, moved = information_at(fit)
    step, k = 1e-4, len(information) - 1
    slopes = [
        (np.log(_means(moved(step * way))) - np.log(_means(moved(-step * way)))) / (2 * step) for way in np.eye(k)
    ]
    jacobian = np.array([*slopes, np.ones(len(_means(fit)))]).T
    return np.asarray(jacobian @ np.linalg.inv(information) @ jacobian.T)

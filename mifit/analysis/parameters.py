"""Parameters of a fitted model: names, estimates and covariance on scales that can be averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import Array
from .degrees import RULES, between_within, satterthwaite, units_of
from .mixed_maximum import fit_of, fixed_covariance, scale_parameters
from .ordered import DISTRIBUTIONS, information, row_scores
from .sandwich import cox_scores, sandwich
from .spread import Spread, generalised_shares, linear_spread, spread_names

if TYPE_CHECKING:
    from .job import Job

__all__ = [
    "Reading",
    "as_it_is",
    "by_choice",
    "by_column",
    "by_level",
    "cut_points",
    "cut_points_of",
    "degrees_of",
    "generalised_effects",
    "generalised_spread",
    "hazard_scores",
    "increments_of",
    "log_dispersion",
    "log_precision",
    "mixed_effects",
    "mixed_spread",
    "proportional_hazards",
]


#: variance over mean, minus one, per unit of the mean: less than this is none
_NO_DISPERSION = 1e-4


@dataclass(frozen=True, slots=True)
class Reading:
    """Parameters of one fit, q of them; the last ``n_scale`` describe spread, not location."""

    names: tuple[str, ...]
    estimate: Array  #: (q,)
    covariance: Array  #: (q, q)
    n_scale: int = 0
    boundary: str = ""  #: why the spread has no finite estimate here; those parameters are then left out


def as_it_is(result: Any, job: Job) -> Reading:
    """Read a result whose parameters are a named Series."""
    return Reading(tuple(map(str, result.params.index)), _array(result.params), _array(result.cov_params()))


def by_column(result: Any, job: Job) -> Reading:
    """Read a result with one parameter for each column of the design, whether statsmodels was given names or not."""
    return Reading(tuple(map(str, job.exog.columns)), _array(result.params), _array(result.cov_params()))


def proportional_hazards(result: Any, job: Job) -> Reading:
    """Read a Cox model: one coefficient for each column of the design; clusters give a sandwich covariance.

    statsmodels' own score residuals are Breslow's whatever the ties, and NaN for rows censored before the first event.
    """
    params = _array(result.params)
    if job.fit.get("groups") is None:
        return Reading(tuple(job.exog.columns), params, _array(result.cov_params()))
    groups = np.asarray(job.fit["groups"])
    summed = np.zeros((int(groups.max()) + 1, len(params)))
    np.add.at(summed, groups, hazard_scores(result, job))
    bread = np.linalg.inv(_array(result.model.hessian(params)))
    return Reading(tuple(job.exog.columns), params, bread @ (summed.T @ summed) @ bread)


def hazard_scores(result: Any, job: Job) -> Array:
    """Return the score of each row of a Cox model at a result, shape (n, p)."""
    given = {word: None if job.init.get(word) is None else _array(job.init[word]) for word in _OF_ROWS}
    time, exog = _array(job.endog), job.exog.to_numpy()
    event = np.ones(len(time)) if given["status"] is None else given["status"]
    exog = exog - exog.mean(axis=0)  # a partial likelihood has no origin
    linear = exog @ _array(result.params) + (0.0 if given["offset"] is None else given["offset"])
    efron = str(result.model.ties) == "efron"
    return cox_scores(exog, linear, time, event, given["entry"], given["strata"], efron)


#: words of a Cox model with a value for each row
_OF_ROWS = ("status", "entry", "strata", "offset")


def by_level(result: Any, job: Job) -> Reading:
    """Read a multinomial result: ``"level:term"``, the terms of the second level first.

    statsmodels has parameters of shape (p, K - 1) and a covariance whose order is that of their transpose.
    """
    names = [f"{level}:{column}" for level in job.levels[1:] for column in job.exog.columns]
    return Reading(tuple(names), np.ravel(_array(result.params), order="F"), _array(result.cov_params()))


def by_choice(result: Any, job: Job) -> Reading:
    """Read a conditional multinomial result, whose parameters lie term by term, as :func:`by_level` does."""
    params = _array(result.params).reshape(len(job.exog.columns), -1)
    # the covariance that statsmodels attaches has the wrong labels, and their number
    inverse = _array(np.linalg.inv(-_array(result.model.hessian(params.ravel()))))
    order = np.arange(params.size).reshape(params.shape).ravel(order="F")
    names = [f"{level}:{column}" for level in job.levels[1:] for column in job.exog.columns]
    return Reading(tuple(names), params.ravel(order="F"), inverse[np.ix_(order, order)])


def cut_points(result: Any, job: Job) -> Reading:
    """Read an ordered model: slopes as they are, thresholds as cut points named ``"1/2"``.

    statsmodels has the first cut point and the logarithms of the increments, and second derivatives by finite
    differences; those of a logit or probit are known. For another distribution the covariance goes by the delta method.
    """
    exog = job.exog.to_numpy()
    p, params = exog.shape[1], _array(result.params)
    cuts = cut_points_of(params[p:])
    names = [*job.exog.columns, *(f"{low}/{high}" for low, high in zip(job.levels, job.levels[1:], strict=False))]
    given = job.init.get("distr", "probit")
    if isinstance(given, str) and given in DISTRIBUTIONS:
        offset = job.init.get("offset")
        linear = exog @ params[:p] + (0.0 if offset is None else _array(offset))
        data = job.endog.to_numpy().astype(np.int64), exog, linear, cuts, given
        covariance = _array(np.linalg.inv(information(*data)))
        if job.robust:
            covariance = sandwich(row_scores(*data), covariance, job.robust, job.fit.get("cov_kwds") or {})
    else:
        jacobian = np.eye(len(params))
        jacobian[p:, p] = 1.0
        for j in range(1, len(cuts)):
            jacobian[p + j :, p + j] = np.exp(params[p + j])
        covariance = jacobian @ _array(result.cov_params()) @ jacobian.T
    return Reading(tuple(names), np.concatenate([params[:p], cuts]), covariance)


def cut_points_of(increments: Array) -> Array:
    """Return cut points from the first of them and the logarithms of the increments, shape (K - 1,).

    Examples
    --------
    >>> cut_points_of(np.array([-1.0, 0.0, np.log(2.0)])).round(2)
    array([-1.,  0.,  2.])
    """
    return np.asarray(np.cumsum(np.concatenate([increments[:1], np.exp(increments[1:])])))


def increments_of(cuts: Array) -> Array:
    """Undo :func:`cut_points_of`."""
    return np.concatenate([cuts[:1], np.log(np.diff(cuts))])


def log_dispersion(result: Any, job: Job) -> Reading:
    """Read a negative binomial result: its dispersion alpha as a logarithm.

    Where alpha is (about) zero, the model is Poisson's: coefficients with that covariance, and no alpha.
    """
    names = tuple(map(str, result.params.index))
    if names[-1] != "alpha":  # the geometric model has none
        return as_it_is(result, job)
    alpha = float(result.params.iloc[-1])
    if alpha > _NO_DISPERSION:
        return _log_last(as_it_is(result, job), "log(alpha)")
    exog, mean = job.exog.to_numpy(), _array(result.predict())
    estimate, where = _array(result.params)[:-1], "the overdispersion alpha is zero"
    covariance = np.linalg.inv(exog.T @ (exog * mean[:, None]))
    if job.robust:
        scores = exog * (_array(job.endog) - mean)[:, None]
        covariance = sandwich(scores, covariance, job.robust, job.fit.get("cov_kwds") or {})
    return Reading(names[:-1], estimate, covariance, boundary=where)


def log_precision(result: Any, job: Job) -> Reading:
    """Read a beta regression: its precision as a logarithm, whatever its link."""
    plain = as_it_is(result, job)
    link = result.model.link_precision
    if "exog_precision" in job.init or plain.names[-1] != "precision":
        return plain
    if type(link).__name__ == "Log":
        return Reading((*plain.names[:-1], "log(precision)"), plain.estimate, plain.covariance, n_scale=1)
    return _log_last(plain, "log(precision)")


def mixed_effects(result: Any, job: Job) -> Reading:
    """Read a linear mixed model: fixed effects as they are, then its variances as logarithms.

    The covariance of the fixed effects is that of generalised least squares; statsmodels inverts their
    information together with that of the variances, which moves it by a few in a thousand.
    """
    fit = fit_of(result, job)
    beta, fixed, found = fit.fe_params, fixed_covariance(fit), scale_parameters(fit)
    columns = tuple(map(str, job.exog.columns))
    if found is None:
        return Reading(columns, beta, fixed, boundary="a variance is at its boundary")
    names = _spread_names(job, len(fit.cov_re))
    p, q = len(beta), len(beta) + len(names)
    covariance = np.zeros((q, q))
    covariance[:p, :p], covariance[p:, p:] = fixed, found[1]
    return Reading((*columns, *names), np.concatenate([beta, found[0]]), covariance, n_scale=len(names))


def mixed_spread(result: Any, job: Job) -> Spread:
    """Variance components of a linear mixed model, intraclass correlations and R²."""
    fit = fit_of(result, job)
    random, further = _random_names(job, len(fit.cov_re)), list(job.init.get("components") or ())
    return linear_spread(fit, job.exog.to_numpy(), job.named.get("groups", "Group"), random, further)


def generalised_effects(result: Any, job: Job) -> Reading:
    """Read a generalised mixed model: coefficients and cut points as they are, then its variances as logarithms."""
    names = (*map(str, job.exog.columns), *result.model.parameter_names[job.exog.shape[1] :])
    estimate, covariance = _array(result.params), np.asarray(result.joint, dtype=np.float64)
    if result.singular:
        return Reading(names, estimate, covariance, boundary="a variance is at its boundary")
    figures = result.scale_figures[0]
    spread = _spread_names(job, len(result.fit.root), residual=False)
    return Reading((*names, *spread), np.concatenate([estimate, figures]), covariance, n_scale=len(figures))


def generalised_spread(result: Any, job: Job) -> Spread:
    """Variance components of a generalised mixed model, intraclass correlation and R²."""
    psi, q = result.fit.psi, len(result.fit.root)
    names, scales = spread_names(_random_names(job, q), [], False)
    sizes = np.sqrt(np.diag(psi))
    with np.errstate(invalid="ignore", divide="ignore"):
        alike = psi / np.outer(sizes, sizes)
    own = np.append(sizes**2, [alike[i, j] for i in range(q) for j in range(i)])
    k = len(own)
    variances = np.full(k, np.nan) if result.singular else np.diag(result.joint)[-k:]
    more = generalised_shares(result, job.named.get("groups", "Group"))
    return Spread(
        (*names, *more.names), (*scales, *more.scales), np.concatenate([own, more.estimates]),
        np.concatenate([variances, more.variances]),
    )  # fmt: skip


def degrees_of(job: Job, result: Any, rule: str) -> Array:
    """Complete-data degrees of freedom of each coefficient of a mixed model, shape (p,)."""
    if rule == RULES[1]:
        return satterthwaite(fit_of(result, job))
    exog, n = job.exog.to_numpy(), len(job.endog)
    random = job.init["exog_re"].to_numpy() if "exog_re" in job.init else np.ones((n, 1))
    cuts = max(len(job.levels) - 1, 0)  # of an ordinal model: constants, which count as one
    exog = np.column_stack([exog, np.ones(n)]) if cuts else exog
    units = units_of(np.asarray(job.init["groups"]), list((job.init.get("components") or {}).values()))
    found = between_within(exog, units, random)
    return np.append(found[:-1], np.repeat(found[-1], cuts)) if cuts else found


def _random_names(job: Job, q: int) -> list[str]:
    """Return the names of q random effects, the intercept's being that of the groups."""
    group = job.named.get("groups", "Group")
    effects = job.init["exog_re"].columns if "exog_re" in job.init else ["Group"][:q]
    return [group if name == "Group" else str(name) for name in effects]


def _spread_names(job: Job, q: int, residual: bool = True) -> list[str]:
    """Return the names of the variance components on their scales, in the order of ``n_scale``."""
    plain, scales = spread_names(_random_names(job, q), list(job.init.get("components") or ()), residual)
    words = {"log": "log", "fisher": "atanh"}
    return [f"{words[scale]}({name})" for name, scale in zip(plain, scales, strict=True)]


def _log_last(plain: Reading, name: str) -> Reading:
    """Return a reading whose last parameter is on the log scale."""
    scale = np.ones(len(plain.names))
    scale[-1] = 1 / plain.estimate[-1]
    estimate = np.concatenate([plain.estimate[:-1], np.log(plain.estimate[-1:])])
    return Reading((*plain.names[:-1], name), estimate, plain.covariance * np.outer(scale, scale), n_scale=1)


def _array(values: Any) -> Array:
    """Return numbers of any shape as floats."""
    return np.asarray(values, dtype=np.float64)

"""Log-likelihoods of an analysis: at each set's own maximum, at given parameters, and on the m stacked sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import FitError, ModelError
from ..typing import Array
from .build import empty, in_turn, job_of, model_of, outcome_levels, stack, usable
from .job import CompletedSets, FrozenDesign, Job
from .mixed import loglik_at as mixed_loglik
from .mixed_maximum import fit_of, grouped_of
from .models import MODELS, Call, is_robust
from .parameters import cut_points_of, increments_of
from .problems import failure, stopped_short
from .settling import Unsettled, settled_fit

__all__ = ["LogLikelihoods", "loglik_at", "loglik_fits", "stacked", "without_likelihood"]


@dataclass(frozen=True, slots=True, eq=False)
class LogLikelihoods:
    """Maximised log-likelihoods of m sets, and where they are; q parameters."""

    logliks: Array  #: (m,) NaN where there is none
    params: Array  #: (m, q) in the parametrisation of ``loglik_at``; shape (m, 0) where there is none
    additive: bool  #: whether the model has a log-likelihood that adds up over rows
    reason: str = ""  #: why not


def loglik_fits(design: FrozenDesign, completed: CompletedSets, call: Call) -> LogLikelihoods:
    """Maximise the likelihood in each completed set.

    Likelihood-ratio tests of multiply imputed data are made of these (Meng and Rubin 1992, Chan and Meng 2022).

    Parameters
    ----------
    design, completed, call
        As in :func:`~mifit.analysis.fit.fit_sets`. A mixed model is fitted by maximum likelihood even where
        the analysis itself is restricted: restricted likelihoods of different fixed effects do not compare.

    Returns
    -------
    LogLikelihoods
        Parameters are averaged as they are here, so their scale matters: coefficients; then the variance
        RSS / n of a linear model, the maximum-likelihood dispersion of a GLM family that has one, cut points of
        an ordered model, log alpha of a negative binomial, covariances of the random effects (lower triangle, by
        rows), variance components and the residual variance of a mixed model.

    Raises
    ------
    FitError
        If a model fails in some set.

    References
    ----------
    Meng, X. L. and Rubin, D. B. (1992). Performing likelihood ratio tests with multiply-imputed data sets.
    *Biometrika* 79(1), 103-111. doi:10.1093/biomet/79.1.103
    """
    m, reason = len(completed), without_likelihood(call)
    if reason:
        return LogLikelihoods(np.full(m, np.nan), np.empty((m, 0)), False, reason)
    levels, origin = outcome_levels(design, completed, call), _origin(design, completed, call)
    jobs = (_moved(job_of(design, completed, call, k, levels), origin) for k in range(m))
    found = [_maximum(job) for job in in_turn(jobs)]
    return LogLikelihoods(np.array([value for _, value in found]), np.array([params for params, _ in found]), True)


def loglik_at(design: FrozenDesign, completed: CompletedSets, call: Call, k: int, params: Array) -> float:
    """Log-likelihood of set k at given parameters.

    Parameters
    ----------
    design, completed, call
        As in :func:`loglik_fits`.
    k : int
        Number of the set, from 0.
    params : ndarray, shape (q,)
        In the order and on the scales that :func:`loglik_fits` returns.

    Returns
    -------
    float

    Raises
    ------
    ModelError
        If the model has no additive log-likelihood.
    """
    _require(call)
    job = _moved(job_of(design, completed, call, k), _origin(design, completed, call))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _kind(job).at(model_of(usable(job)), job, np.asarray(params, dtype=np.float64))


def stacked(design: FrozenDesign, completed: CompletedSets, call: Call) -> float:
    """Maximised log-likelihood of the m sets stacked as m n rows.

    Parameters
    ----------
    design, completed, call
        As in :func:`loglik_fits`.

    Returns
    -------
    float
        Of all m n rows; divide by m for Chan and Meng's statistic. Groups and strata of different sets are
        different ones, and a Cox model has the set as a stratum.

    Raises
    ------
    ModelError
        If the model has no additive log-likelihood, or the sets cannot be stacked.
    FitError
        If the model fails on the stacked sets.

    References
    ----------
    Chan, K. W. and Meng, X. L. (2022). Multiple improvements of multiple imputation likelihood ratio tests.
    *Statistica Sinica* 32, 1489-1514. doi:10.5705/ss.202019.0314
    """
    _require(call)
    levels = outcome_levels(design, completed, call)
    return _maximum(stack([job_of(design, completed, call, k, levels) for k in range(len(completed))]))[1]


def without_likelihood(call: Call) -> str:
    """Return why an analysis has no log-likelihood that adds up over rows; empty when it has one.

    Examples
    --------
    >>> without_likelihood(Call("ols")), without_likelihood(Call("gee"))
    ('', 'GEE has no likelihood')
    """
    spec = call.spec
    if not spec.likelihood:
        return f"{spec.label} has no likelihood"
    if is_robust(call.fit.get("cov_type")) or call.clusters:
        return f"cov_type={call.cov_type!r} does without the likelihood"
    if spec.equation == "family" and (call.fit.get("scale") is not None or _quasi(call.init.get("family"))):
        return "a quasi-likelihood is no likelihood"
    return ""


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a family of models gives its log-likelihood."""

    at: Callable[[Any, Job, Array], float]  # statsmodels model, job, parameters
    best: Callable[[Any, Job], Array]  # parameters of a fitted result that maximise it


def _maximum(job: Job) -> tuple[Array, float]:
    """Fit one job by maximum likelihood: its parameters and its log-likelihood."""
    kind, spec = _kind(job), MODELS[job.model]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = model_of(usable(job))
            if empty(job):
                return np.empty(0), kind.at(model, job, np.empty(0))
            found = settled_fit(replace(job, fit=_words(job)))
            params = kind.best(found.result, found.job)
            if found.level is not None:
                params = found.level.params(params, found.reading.names)
            value = kind.at(model, job, params)
        except ModelError:
            raise
        except Unsettled as short:
            raise stopped_short(spec.label, job.k, str(short)) from short
        except Exception as error:
            raise failure(spec.label, job.k, job.exog, error) from error
    if not np.isfinite(value):
        raise FitError(f"the log-likelihood of the {spec.label} model is not finite in completed set {job.k}.")
    return params, value


def _origin(design: FrozenDesign, completed: CompletedSets, call: Call) -> Array | None:
    """Return means of the random columns in the first set, shape (q,), 0 for constants; None where they stay.

    Covariances of effects of columns far from 0 are averaged to few digits: of columns near 0 to all of them. An
    unrestricted covariance of random effects with an intercept among them says the same wherever the columns begin.
    """
    if (
        call.spec.likelihood not in ("mixed", "generalised mixed")
        or "re_formula" not in call.init
        or call.fit.keys() & {"free", "cov_pen"}
    ):
        return None
    random = job_of(design, completed, call, 0).init["exog_re"].to_numpy()
    constant = np.ptp(random, axis=0) == 0
    return np.where(constant, 0.0, random.mean(axis=0)) if (constant & (random[0] != 0)).any() else None


def _moved(job: Job, origin: Array | None) -> Job:
    """Return a job whose random columns begin at an origin."""
    return job if origin is None else replace(job, init={**job.init, "exog_re": job.init["exog_re"] - origin})


def _words(job: Job) -> dict[str, Any]:
    """Return the words of a fit by maximum likelihood."""
    return {**job.fit, "reml": False} if MODELS[job.model].equation == "mixed" else job.fit


def _kind(job: Job) -> _Kind:
    """Return how the model of a job gives its log-likelihood."""
    return _KINDS[MODELS[job.model].likelihood]


def _require(call: Call) -> None:
    """Refuse a model without an additive log-likelihood."""
    reason = without_likelihood(call)
    if reason:
        raise ModelError(f"no likelihood-ratio test: {reason}.", do="res.compare(smaller, method='D1')")


def _quasi(family: Any) -> bool:
    """Tell whether a family's dispersion or variance leaves no density."""
    return type(family).__name__ == "Tweedie"


def _flat(result: Any, job: Job) -> Array:
    """Return the parameters as statsmodels has them, levels one after the other."""
    return np.ravel(np.asarray(result.params, dtype=np.float64), order="F")


def _plain_at(model: Any, job: Job, params: Array) -> float:
    """Return statsmodels' own log-likelihood."""
    given = params if len(params) else np.zeros(1)
    return float(model.loglike(given))


def _choice_at(model: Any, job: Job, params: Array) -> float:
    """Return the log-likelihood of a conditional multinomial model, which takes its parameters term by term."""
    given = params if len(params) else np.zeros(len(job.levels) - 1)
    return float(model.loglike(given.reshape(len(job.levels) - 1, -1).T.ravel()))


def _choice_best(result: Any, job: Job) -> Array:
    """Return the parameters level by level."""
    return np.asarray(result.params, dtype=np.float64).reshape(len(job.exog.columns), -1).ravel(order="F")


def _linear_at(model: Any, job: Job, params: Array) -> float:
    """Return the normal log-likelihood at coefficients and variance, weights included."""
    beta, variance = params[:-1], params[-1]
    n = len(job.endog)
    own = _residual_squares(model, beta)
    # statsmodels' own has the best variance inside; what is left is the constant of the weights
    constant = float(model.loglike(beta)) + n / 2 * (np.log(2 * np.pi * own / n) + 1)
    return float(constant - n / 2 * np.log(2 * np.pi * variance) - own / (2 * variance))


def _linear_best(result: Any, job: Job) -> Array:
    """Return coefficients and RSS / n."""
    beta = _flat(result, job)
    return np.append(beta, _residual_squares(result.model, beta) / len(job.endog))


def _residual_squares(model: Any, beta: Array) -> float:
    """Return the weighted sum of squared residuals."""
    return float(np.sum((model.wendog - model.wexog @ beta) ** 2))


def _family_at(model: Any, job: Job, params: Array) -> float:
    """Return the log-likelihood of a GLM at coefficients and, where its family has one, dispersion."""
    free = _has_dispersion(model)
    beta, dispersion = (params[:-1], float(params[-1])) if free else (params, 1.0)
    rows = model.family.loglike_obs(model.endog, model.predict(beta), model.var_weights, dispersion)
    return float(np.sum(model.freq_weights * rows))


def _family_best(result: Any, job: Job) -> Array:
    """Return coefficients and the dispersion that maximises the likelihood."""
    from scipy.optimize import minimize_scalar

    beta, model = _flat(result, job), result.model
    if not _has_dispersion(model):
        return beta
    if type(model.family).__name__ == "Gaussian":
        squares = model.freq_weights * model.var_weights * (model.endog - model.predict(beta)) ** 2
        return np.append(beta, np.sum(squares) / np.sum(model.freq_weights))
    near = np.log(result.scale)

    def depth(log_dispersion: float) -> float:
        return -_family_at(model, job, np.append(beta, np.exp(log_dispersion)))

    found = minimize_scalar(depth, bounds=(near - 5, near + 5), method="bounded", options={"xatol": 1e-10})
    return np.append(beta, np.exp(found.x))


def _has_dispersion(model: Any) -> bool:
    """Tell whether a GLM's family has a dispersion to estimate."""
    return type(model.family).__name__ not in ("Binomial", "Poisson", "NegativeBinomial")


def _dispersion_at(model: Any, job: Job, params: Array) -> float:
    """Return the log-likelihood of a negative binomial at coefficients and log alpha.

    Not statsmodels' own: whether that takes alpha or its logarithm depends on whether the model has been fitted.
    """
    from scipy.special import gammaln

    geometric = model.loglike_method == "geometric"
    beta, alpha = (params, 1.0) if geometric else (params[:-1], np.exp(params[-1]))
    y, mean = job.endog.to_numpy(), np.asarray(model.predict(np.append(beta, alpha)), dtype=np.float64)
    size = (mean if model.loglike_method == "nb1" else 1.0) / alpha
    chance = size / (size + mean)
    rows = gammaln(size + y) - gammaln(y + 1) - gammaln(size) + size * np.log(chance) + y * np.log1p(-chance)
    return float(rows.sum())


def _dispersion_best(result: Any, job: Job) -> Array:
    """Return coefficients and log alpha."""
    flat = _flat(result, job)
    if result.model.loglike_method == "geometric":
        return flat
    return np.append(flat[:-1], np.log(max(flat[-1], 1e-10)))


def _cut_points_at(model: Any, job: Job, params: Array) -> float:
    """Return the log-likelihood of an ordered model at slopes and cut points."""
    p = len(job.exog.columns)
    return float(model.loglike(np.concatenate([params[:p], increments_of(params[p:])])))


def _cut_points_best(result: Any, job: Job) -> Array:
    """Return slopes and cut points."""
    flat, p = _flat(result, job), len(job.exog.columns)
    return np.concatenate([flat[:p], cut_points_of(flat[p:])])


def _mixed_at(model: Any, job: Job, params: Array) -> float:
    """Return the log-likelihood of a mixed model at coefficients, covariances and residual variance."""
    data = grouped_of(job)
    p, q = len(data.fixed), len(data.random)
    psi, lower = np.zeros((q, q)), np.tril_indices(q)
    rest = p + len(lower[0])
    psi[lower] = params[p:rest]
    psi.T[lower] = params[p:rest]
    return mixed_loglik(data, params[:p], psi, params[rest:-1], float(params[-1]))


def _mixed_best(result: Any, job: Job) -> Array:
    """Return coefficients, lower triangle of the random effects' covariance, further components, residual variance."""
    fit = fit_of(result, job)
    lower = fit.cov_re[np.tril_indices(len(fit.cov_re))]
    return np.concatenate([fit.fe_params, lower, fit.vcomp, [fit.scale]])


def _generalised_best(result: Any, job: Job) -> Array:
    """Return coefficients, cut points, and the lower triangle of the random effects' covariance."""
    return np.concatenate([result.fit.coefficients, result.fit.psi[np.tril_indices(len(result.fit.psi))]])


_KINDS: dict[str, _Kind] = {
    "plain": _Kind(_plain_at, _flat),
    "choice": _Kind(_choice_at, _choice_best),
    "linear": _Kind(_linear_at, _linear_best),
    "family": _Kind(_family_at, _family_best),
    "dispersion": _Kind(_dispersion_at, _dispersion_best),
    "cut points": _Kind(_cut_points_at, _cut_points_best),
    "mixed": _Kind(_mixed_at, _mixed_best),
    "generalised mixed": _Kind(_plain_at, _generalised_best),
}

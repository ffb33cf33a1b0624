"""One fit at its optimum: its score is checked, and it is fitted again where statsmodels stopped too early."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..typing import Array
from . import ordered_maximum
from .build import model_of
from .cox_maximum import CoxModel
from .job import FrozenDesign, Job
from .mixed_maximum import MixedFit, fixed_covariance, grouped_of, maximised, start_of
from .models import MODELS, is_robust
from .optimum import SETTLED, curvature, distance, height, information_of, log_odds, params_of, slope
from .parameters import Reading, by_column
from .problems import runs_away, warned
from .scaling import Scaled, scaled, standardised

__all__ = ["Settled", "Unsettled", "blocks", "settled_fit"]


#: errors of numbers, which another way to the optimum may not meet
_NUMERICAL = (ArithmeticError, ValueError, np.linalg.LinAlgError)

#: words of an optimizer, which another way does without
_OPTIMIZER = ("method", "maxiter", "start_params", "tol", "gtol", "tol_criterion", "conv", "max_iter", "p_tol", "ctol")


#: words of a mixed model that change what is maximised, and those that choose the way
_ANOTHER_CRITERION = {"cov_pen", "fe_pen", "free"}
_OWN_WAY = {"method", "start_params"} | _ANOTHER_CRITERION


class Unsettled(ArithmeticError):
    """No optimizer reached the optimum."""


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """A fit, its parameters on the user's scale, and its distance from the optimum."""

    result: Any  #: on the scale of ``job``
    reading: Reading  #: on the scale of the user's columns
    information: Reading  #: the same with the inverse information, whatever covariance the user asked for
    job: Job  #: as it was fitted
    level: Scaled | None  #: the way back, where the design was standardised
    distance: float  #: squared, in squared standard errors
    separated: bool  #: the estimate is not finite
    again: bool  #: statsmodels alone did not get there
    caught: tuple[warnings.WarningMessage, ...]  #: what was said on the way

    @property
    def settled(self) -> bool:
        """Whether it is at its optimum."""
        return bool(abs(self.distance) <= SETTLED)  # negative: the information is indefinite


def settled_fit(job: Job, design: FrozenDesign | None = None) -> Settled:
    """Fit a job, check its score, and fit again where the optimizer stopped too early.

    Parameters
    ----------
    job : Job
    design : FrozenDesign, optional
        Attached to the statsmodels model where its result is to be kept.

    Returns
    -------
    Settled
        At the optimum, without one (separated), or short of it because the user limited the steps (``maxiter``).

    Raises
    ------
    Unsettled
        If neither statsmodels, nor Newton's method with halved steps, nor BFGS on standardised columns gets there.
    Exception
        What the first attempt raised, where no other succeeded.

    Notes
    -----
    Each way ends with statsmodels evaluating its result at the point that was found, so that covariances of every kind
    are its own.
    """
    if MODELS[job.model].equation == "mixed" and len(job.exog.columns):
        return _settle_mixed(job, design)
    if MODELS[job.model].equation == "generalised mixed":
        return _settle_generalised(job, design)
    if len(job.exog.columns) and not job.fit.keys() & {*_OPTIMIZER}:
        found = _settle_alone(job, design)
        if found is not None:
            return found
    first, runaway, error = None, None, None
    try:
        first = _attempt(job, scaled(job), job.fit, design)
        if first.settled or first.separated or _limited(job):
            return first
    except _NUMERICAL as failed:
        if _limited(job):
            raise
        error = failed
    if len(job.exog.columns):
        level = standardised(job)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for words in _other_ways(level.job, first):
                with suppress(*_NUMERICAL):
                    found = _attempt(job, level, words, design)
                    if (found.separated and error is None) or (found.settled and not found.separated):
                        return replace(found, again=True)
                    runaway = found if found.separated else runaway
    if runaway is not None and isinstance(error, FloatingPointError | np.linalg.LinAlgError):
        return replace(runaway, again=True)
    if error is not None:
        raise error
    assert first is not None
    raise _short_of_it(first)


def _short_of_it(found: Settled) -> Unsettled:
    """Return the error for a fit that stopped somewhere else."""
    far = np.sqrt(abs(found.distance))
    return Unsettled(f"it stopped {far:.3g} standard errors short of its optimum, and no other optimizer reached it")


def blocks(job: Job, reading: Reading) -> tuple[Array, list[slice]]:
    """Return the design, centred where the model has no constant, and its blocks of p coefficients, one per level."""
    spec = MODELS[job.model]
    exog = job.exog.to_numpy()
    if not spec.constant:
        exog = exog - exog.mean(axis=0)
    p = exog.shape[1]
    first = [j for j, name in enumerate(reading.names) if job.exog.columns[0] == name] if p else []
    starts = range(0, len(reading.names), p) if spec.facts.levels and not spec.facts.ordered else first
    return exog, [slice(j, j + p) for j in starts]


def _attempt(job: Job, level: Scaled | None, words: Mapping[str, Any], design: FrozenDesign | None) -> Settled:
    """Fit once, with some words, on some scale."""
    spec, used = MODELS[job.model], level.job if level else job
    bare = spec.reading is by_column and design is None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = spec.fit(model_of(used, None if level else design, bare), words)
        own = spec.reading(result, used)
        reading = level.raw(own) if level else own
        if not (np.isfinite(reading.covariance).all() and np.isfinite(reading.estimate).all()):
            raise FloatingPointError("the estimate or its covariance is not finite")
        if (np.diag(reading.covariance) <= 0).any():
            raise FloatingPointError("a variance of the estimate is not positive")
        far = distance(result, used, own)
        known = _by_information(result, used, own)
    information = reading if known is own else level.raw(known) if level else known
    separated = _separated(job, result, information) or warned(caught, "PerfectSeparationWarning")
    return Settled(result, reading, information, used, level, far, separated, False, tuple(caught))


def _settle_alone(job: Job, design: FrozenDesign | None) -> Settled | None:
    """Fit a Cox or an ordered model without statsmodels, which evaluates it where its result is to be kept.

    None for other models, and where no maximum is found.
    """
    facts = MODELS[job.model].facts
    if not (facts.hazard or facts.ordered):
        return None
    level = scaled(job)
    used = level.job if level else job
    fit: Any = CoxModel(used).maximised() if facts.hazard else ordered_maximum.maximised(used)
    if fit is None:
        return None
    if design is not None:
        return _kept_at(fit.params if level is None else level.start(fit), job, design)
    plain = {word: value for word, value in used.fit.items() if word not in ("groups", "cov_type", "cov_kwds")}
    own, known = (MODELS[job.model].reading(fit, one) for one in (used, replace(used, fit=plain)))
    if not (np.isfinite(own.covariance).all() and (np.diag(own.covariance) > 0).all()):
        return None
    reading, information = (level.raw(one) if level else one for one in (own, known))
    separated = _separated(job, fit, information)
    return Settled(fit, reading, information, used, level, distance(fit, used, own), separated, False, ())


def _kept_at(params: Array, job: Job, design: FrozenDesign) -> Settled | None:
    """Let statsmodels evaluate a model at its maximum; None where it does not find it one."""
    with suppress(*_NUMERICAL):
        kept = _attempt(job, None, {**job.fit, "start_params": params, "method": "newton", "maxiter": 0}, design)
        if kept.settled or kept.separated:
            said = (one for one in kept.caught if "failed to converge" not in str(one.message))  # no step was taken
            return replace(kept, caught=tuple(said))
    return None


def _settle_mixed(job: Job, design: FrozenDesign | None) -> Settled:
    """Fit a mixed model without statsmodels' optimizers, unless the user chose one of them and it gets there."""
    alone = bool(job.fit.keys() & _ANOTHER_CRITERION) or _limited(job)
    if job.fit.keys() & _OWN_WAY:
        with nullcontext() if alone else suppress(*_NUMERICAL):
            found = _attempt(job, None, job.fit, design)
            if found.settled or _limited(job):
                return found
            if alone:
                raise _short_of_it(found)
    try:
        found = _by_ourselves(job, design)
    except FloatingPointError as failed:
        raise Unsettled(str(failed)) from failed
    if not found.settled:
        raise _short_of_it(found)
    return found


def _settle_generalised(job: Job, design: FrozenDesign | None) -> Settled:
    """Fit a generalised mixed model, whose columns are brought to one size where it is maximised."""
    spec = MODELS[job.model]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = spec.fit(model_of(job, design), job.fit)
            reading = spec.reading(result, job)
    except FloatingPointError as failed:
        raise Unsettled(str(failed)) from failed
    far = distance(result, job, reading)
    found = Settled(
        result, reading, reading, job, None, far, _separated(job, result, reading), False, tuple(caught)
    )  # fmt: skip
    if not (found.settled or found.separated):
        raise _short_of_it(found)
    return found


def _by_ourselves(job: Job, design: FrozenDesign | None) -> Settled:
    """Fit a mixed model without statsmodels, which evaluates it where its result is to be kept."""
    spec, reml = MODELS[job.model], bool(job.fit.get("reml", True))
    fit = maximised(grouped_of(job), reml)
    reading, result = spec.reading(fit, job), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if design is not None:
            result = _evaluated(fit, job, design)
    far = distance(fit, job, reading)
    return Settled(result or fit, reading, reading, job, None, far, False, False, tuple(caught))


def _evaluated(fit: MixedFit, job: Job, design: FrozenDesign) -> Any:
    """Return statsmodels' result at a fit; coefficients and errors are put right where its arithmetic does not follow.

    It inverts the covariance of the random effects on the user's columns: nearly singular where a column is far from 0.
    """
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    model, words = model_of(job, design), {"method": "bfgs", "gtol": np.inf, "reml": fit.reml}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = MODELS[job.model].fit(model, {"start_params": start_of(fit, model.use_sqrt), **words})
    bare, covariance, p = result._results, fixed_covariance(fit), len(fit.fe_params)
    errors, own = np.sqrt(np.diag(covariance)), np.sqrt(np.diag(bare.normalized_cov_params)[:p] * bare.scale)
    near = np.abs(bare.fe_params - fit.fe_params) <= 1e-3 * errors
    if (near & (np.abs(own - errors) <= 2e-2 * errors)).all():
        for one in caught:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return result
    bare.fe_params, bare.scale = fit.fe_params, fit.scale
    bare.params[:p] = fit.fe_params
    bare.normalized_cov_params[:p] = bare.normalized_cov_params[:, :p] = 0.0
    bare.normalized_cov_params[:p, :p] = covariance / fit.scale
    warnings.warn(
        "statsmodels cannot evaluate this model: a variance is zero, or a column of the random effects is far from 0. "
        "Fixed effects and their errors are right; do not use its llf and random_effects.",
        ConvergenceWarning,
        stacklevel=2,
    )
    return result


def _separated(job: Job, result: Any, reading: Reading) -> bool:
    """Tell whether some block of p coefficients diverged."""
    if not MODELS[job.model].separates(result):
        return False
    exog, parts = blocks(job, reading)
    linear = log_odds(result)
    return any(runs_away(exog, reading.estimate[b], reading.covariance[b, b], linear) for b in parts)


def _by_information(result: Any, job: Job, own: Reading) -> Reading:
    """Return a reading with the inverse information: a sandwich is small where an estimate is infinite."""
    if not MODELS[job.model].separates(result):
        return own
    words = {word: value for word, value in job.fit.items() if word != "groups"}
    equations = MODELS[job.model].equation == "estimating equations"
    if not equations and job.clusters is None and not is_robust(words.get("cov_type")):
        return own
    with suppress(*_NUMERICAL, AttributeError):
        covariance = information_of(result, job)
        return MODELS[job.model].reading(_Informed(result, covariance), replace(job, fit=words))
    return own


class _Informed:
    """A result of statsmodels with another covariance."""

    def __init__(self, result: Any, covariance: Array) -> None:
        self._result, self._covariance = result, covariance

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)

    def cov_params(self) -> Array:
        """Return the covariance that was given."""
        return self._covariance


def _limited(job: Job) -> bool:
    """Tell whether the user limited the steps: so many were wanted and no more."""
    return "maxiter" in job.fit and job.fit["maxiter"] != MODELS[job.model].quiet.get("maxiter")


def _other_ways(job: Job, first: Settled | None) -> Iterator[dict[str, Any]]:
    """Return words of further fits of a standardised job, the most promising first."""
    plain = {word: value for word, value in job.fit.items() if word not in _OPTIMIZER}
    if MODELS[job.model].equation not in ("likelihood", "ordered", "family"):
        yield from ({**plain, **words} for words in MODELS[job.model].again)
        return
    for climb in (_newton, _bfgs):
        for start in _starts(job, first):
            with suppress(*_NUMERICAL):
                found = climb(model_of(job), job, start)
                if found is not None:
                    yield {**plain, "start_params": found, "method": "newton", "maxiter": 0}
    yield {**plain, **({} if MODELS[job.model].facts.hazard else {"maxiter": 1000})}


def _starts(job: Job, first: Settled | None) -> Iterator[Array]:
    """Return starting values: no effect of any column, and the end of a fit on the same scale."""
    if first is not None and first.level is not None and np.isfinite(params_of(first.result)).all():
        yield params_of(first.result)
    model = model_of(job)
    size = len(job.exog.columns) * max(len(job.levels) - 1, 1)
    spec = MODELS[job.model]
    if spec.facts.ordered or spec.facts.share:
        yield np.asarray(model.start_params, dtype=np.float64)
    if spec.facts.ordered:
        return
    size += int(getattr(model, "k_inflate", 0))
    start = np.zeros(size)
    if spec.dispersion is not None and getattr(model, "loglike_method", "") != "geometric":
        start = np.append(start, spec.dispersion)
    if "Intercept" in job.exog.columns and spec.facts.counts:
        at = list(job.exog.columns).index("Intercept") + (size - len(job.exog.columns))
        start[at] = np.log(max(float(np.mean(job.endog)), 1e-8))
    yield start


def _newton(model: Any, job: Job, start: Array) -> Array | None:
    """Maximise by Newton's method with halved steps; None where no step from the start increases the likelihood."""
    at, top = start, height(model, job, start)
    if not np.isfinite(top):
        return None
    for _ in range(200):
        rise, bend = slope(model, job, at), curvature(model, job, at)
        values, vectors = np.linalg.eigh(bend)
        values = np.maximum(np.abs(values), 1e-10 * np.abs(values).max())
        step = vectors @ ((vectors.T @ rise) / values)
        if not np.isfinite(step).all():
            return None
        if rise @ step <= 1e-18:
            break
        share = 1.0
        while share > 1e-10:
            there = at + share * step
            new = height(model, job, there)
            if np.isfinite(new) and new > top + 1e-4 * share * float(rise @ step):
                break
            share /= 2
        else:
            # the log-likelihood has no digits left: a last full step is Newton's own
            return np.asarray(at + step if rise @ step < SETTLED else at)
        at, top = there, new
    return np.asarray(at)


def _bfgs(model: Any, job: Job, start: Array) -> Array | None:
    """Maximise by BFGS, then by Newton steps."""
    from scipy.optimize import minimize

    def depth(params: Array) -> float:
        value = -height(model, job, params)
        return value if np.isfinite(value) else 1e300

    found = minimize(depth, start, jac=lambda params: -slope(model, job, params), method="BFGS")
    return _newton(model, job, np.asarray(found.x, dtype=np.float64))

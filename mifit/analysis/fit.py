"""One analysis on each of m completed sets: design and sets in, estimates and covariances out."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from numbers import Real
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import calls
from ..errors import FitError, ModelError, near
from ..typing import Array
from ..workers import alone, died
from .build import empty, in_turn, job_of, model_of, outcome_levels, usable
from .degrees import RULES
from .job import CompletedSets, FrozenDesign, Job
from .models import MODELS, Call
from .parameters import Reading, degrees_of
from .problems import (
    all_events_note,
    boundary_note,
    failure,
    few_groups_note,
    leverage_note,
    loose,
    messages,
    near_singular_note,
    notes,
    rank_error,
    stopped_short,
    warn_once,
)
from .rank import full_rank, ranked
from .settling import Settled, Unsettled, blocks, settled_fit
from .spread import Spread

__all__ = ["Fits", "fit_one", "fit_sets"]


#: warnings are caught for a whole process: threads of a joblib backend take turns
_ALONE = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Estimates and facts of m fits of one analysis; q coefficients."""

    names: tuple[str, ...]  #: (q,) as statsmodels spells them
    estimates: Array  #: (m, q)
    covariances: Array  #: (m, q, q)
    df_complete: float  #: residual degrees of freedom had nothing been missing
    df_source: str  #: where that number comes from
    n_obs: int  #: rows of each set, the least where they differ
    label: str  #: name of the model, "OLS"
    outcome: str  #: what is modelled, "chl" or "P(hyp = yes)"
    formula: str
    cov_label: str  #: covariance estimator, "cluster (id)"
    facts: Mapping[str, str]  #: lines the model adds to a summary, such as the family
    converged: npt.NDArray[np.bool_]  #: (m,)
    separated: npt.NDArray[np.bool_]  #: (m,) the estimate of this set is not finite
    notes: tuple[str, ...]  #: warnings of statsmodels, each with its sets
    kept: tuple[Any, ...] | None = None  #: (m,) statsmodels results, if they were to be kept
    df_each: Array | None = None  #: (q,) complete-data degrees of freedom of each coefficient, where they differ
    spread: Spread | None = None  #: variance components of a mixed model in every set
    n_scale: int = 0  #: how many of the last coefficients are parameters of spread

    @property
    def complete(self) -> float | Array:
        """Complete-data degrees of freedom, of each coefficient where they differ, as ``pool`` takes them."""
        return self.df_complete if self.df_each is None else self.df_each


@dataclass(frozen=True, slots=True)
class _One:
    """What one fit leaves behind."""

    reading: Reading
    n_obs: int
    df: float
    full_rank: bool
    converged: bool
    separated: bool
    infinite: tuple[str, ...]
    messages: tuple[str, ...]
    facts: Mapping[str, str]
    scale: Mapping[str, float]
    condition: float
    result: Any = None
    df_each: Array | None = None  #: of the coefficients but for those of spread
    spread: Spread | None = None
    rows: tuple[int, int] = (0, 0)  #: number of groups of a mixed model, and rows of the largest


def fit_sets(
    design: FrozenDesign,
    completed: CompletedSets,
    call: Call,
    *,
    keep: bool = False,
    n_jobs: int | None = None,
    dfcom: float | str | None = None,
) -> Fits:
    """Fit one model to each completed set, on one frozen design.

    Parameters
    ----------
    design : FrozenDesign
        Gives names, outcome (n,) and matrix (n, p) of each set, and patsy's DesignInfo.
    completed : CompletedSets
        The m completed sets.
    call : Call
        The model and its words; strings among them name columns, read from each set.
    keep : bool, default False
        Keep the statsmodels results (then the fits run in this process).
    n_jobs : int, optional
        Number of joblib workers; None follows an ambient ``joblib.parallel_config``.
    dfcom : float or {"between-within", "satterthwaite"}, optional
        Complete-data degrees of freedom, instead of what the model reports; of mixed models also a rule.

    Returns
    -------
    Fits

    Raises
    ------
    FitError
        If a model fails in some set, a design is not of full rank there, or a level of the outcome is absent.
    ModelError
        If a word names a column that cannot be used, or has the wrong length; if ``dfcom`` is no positive number.

    Warns
    -----
    ConvergenceWarning, SeparationWarning
        At most one each, naming the sets.
    """
    rule = _rule(design, call, dfcom)
    levels = outcome_levels(design, completed, call)
    jobs = (job_of(design, completed, call, k, levels) for k in range(len(completed)))
    if keep or alone(n_jobs):
        with _one_thread():
            ones = [_run(job, design if keep else None, rule) for job in in_turn(jobs)]
    else:
        from joblib import Parallel, delayed

        try:
            ones = _unless_failed(Parallel(n_jobs=n_jobs)(delayed(_attempt)(job, rule) for job in jobs))
        except Exception as error:
            if not died(error):
                raise
            fact = f"a worker died during the fits of {design.formula!r}, most often because memory ran out."
            raise FitError(fact, do=f"imp.fit({design.formula!r}, n_jobs=1)") from error
    deficient = [k for k, one in enumerate(ones) if not one.full_rank]
    if deficient:
        job = job_of(design, completed, call, deficient[0], levels)
        raise rank_error(call.spec.label, deficient, ranked(job))
    return _gathered(design, completed, call, ones, dfcom, keep)


def _gathered(
    design: FrozenDesign, completed: CompletedSets, call: Call, ones: Sequence[_One], dfcom: float | str | None,
    keep: bool,
) -> Fits:  # fmt: skip
    """Put m fits together; what has no finite estimate in some set is left out of all."""
    converged, separated = (np.array([getattr(one, what) for one in ones]) for what in ("converged", "separated"))
    infinite = tuple(dict.fromkeys(name for one in ones for name in one.infinite))
    warn_once(call.spec.label, converged, separated, infinite)
    each = _df_each(ones)
    df, source = _df_complete(ones, call, dfcom)
    at_boundary = [k for k, one in enumerate(ones) if one.reading.boundary]
    readings = [_without_scale(one.reading) if at_boundary else one.reading for one in ones]
    said = notes([one.messages for one in ones], converged, separated, infinite)
    table = ones[0].spread is not None
    if at_boundary:
        said = (*said, boundary_note(ones[at_boundary[0]].reading.boundary, at_boundary, len(ones), table))
    if not readings[0].names:
        said = (*said, "no coefficient: the smallest model, which others are compared with")
    said = (*design.never_observed, *near_singular_note([one.condition for one in ones]), *said)
    if call.spec.facts.hazard and call.init.get("status") is None:
        said = (all_events_note(design.formula), *said)
    if call.without_leverage:
        said = (*said, leverage_note(call.spec.label, call.cov_type))
    said = (*said, *few_groups_note(*ones[0].rows))
    means = {label: f"{np.mean([one.scale[label] for one in ones]):.4g}" for label in ones[0].scale}
    return Fits(
        names=readings[0].names,
        estimates=np.array([reading.estimate for reading in readings]),
        covariances=np.array([reading.covariance for reading in readings]),
        df_complete=df,
        df_source=source,
        n_obs=min(one.n_obs for one in ones),
        label=call.spec.label,
        outcome=design.outcome_label,
        formula=design.formula,
        cov_label=call.cov_label,
        facts={**ones[0].facts, **means},
        converged=converged,
        separated=separated,
        notes=said,
        kept=tuple(one.result for one in ones) if keep else None,
        df_each=None if each is None else np.append(each, np.full(len(readings[0].names) - len(each), np.inf)),
        spread=_spreads(ones),
        n_scale=readings[0].n_scale,
    )


def fit_one(design: FrozenDesign, completed: CompletedSets, call: Call, k: int) -> Any:
    """Fit one completed set and return the statsmodels result as it is, warnings included.

    Parameters
    ----------
    design, completed, call
        As in :func:`fit_sets`.
    k : int
        Number of the set, from 0.

    Returns
    -------
    statsmodels results
        With the formula and the design attached: ``summary()`` shows the names, ``predict(frame)`` works.
    """
    job = job_of(design, completed, call, k)
    with _one_thread():
        return _native(job, design)


def _run(job: Job, design: FrozenDesign | None = None, rule: str = "") -> _One:
    """Fit one job with its warnings caught; keep the result if a design to attach is given."""
    spec = MODELS[job.model]
    if empty(job):
        with _ALONE:
            try:
                return _nothing(job)
            except (ArithmeticError, ValueError) as error:
                raise failure(spec.label, job.k, job.exog, error) from error
    with _ALONE:
        if not _determined(job):
            return _nothing(job, full_rank=False)
        try:
            found = settled_fit(job, design)
        except Unsettled as short:
            if not full_rank(job):
                return _nothing(job, full_rank=False)
            raise stopped_short(spec.label, job.k, str(short)) from short
        except ModelError:
            raise
        except Exception as error:
            raise failure(spec.label, job.k, ranked(job), error, job.endog.to_numpy(dtype=float)) from error
        kept = None if design is None else _native(job, design, found) if found.level or found.again else found.result
    result, reading = found.result, found.reading
    judged = spec.rank is None and spec.equation != "least squares"  # before the fit, on the design alone
    determined = judged or full_rank(job, result if found.level is None else None)
    return _One(
        reading=reading,
        n_obs=len(job.endog),
        df=_df_of(job, result),
        full_rank=determined,
        converged=found.settled or (found.separated and _converged(result)),
        separated=found.separated,
        infinite=_infinite(job, found.information) if found.separated else (),
        messages=() if found.separated else messages(found.caught, found.settled),
        facts=spec.lines(result, job),
        scale={label: figure * _in_outcome(label, found) for label, figure in spec.scale(result).items()},
        condition=_condition(job, spec.inverse(result) if determined and found.level is None else None),
        result=kept,
        **_of_groups(job, result, rule),
    )


def _nothing(job: Job, full_rank: bool = True) -> _One:
    """Return a fit without coefficients: the smallest model that others are compared with, or one not of full rank."""
    if not full_rank:
        none = Reading((), np.empty(0), np.empty((0, 0)))
        return _One(none, len(job.endog), np.inf, False, False, False, (), (), {}, {}, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bare = SimpleNamespace(model=model_of(usable(job)))
    return _One(
        reading=Reading((), np.empty(0), np.empty((0, 0))),
        n_obs=len(job.endog),
        df=_df_of(job, None),
        full_rank=True,
        converged=True,
        separated=False,
        infinite=(),
        messages=(),
        facts=MODELS[job.model].lines(bare, job),
        scale={},
        condition=1.0,
    )


def _native(job: Job, design: FrozenDesign, found: Settled | None = None) -> Any:
    """Fit a job on its own scale with the design attached, from where a fit on another scale ended."""
    if empty(job):
        raise ModelError(
            f"a {MODELS[job.model].label} model has no constant: {design.formula!r} leaves statsmodels nothing to fit.",
            do="larger.compare(res)",
        )
    fit = MODELS[job.model].fit
    if found is None:
        found = settled_fit(job, design)
        if found.level is None:
            for one in found.caught:
                warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if found.level is None:
        return found.result
    if MODELS[job.model].equation not in ("likelihood", "ordered", "family"):
        return fit(model_of(job, design), job.fit)
    start = found.level.start(found.result)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ArithmeticError, ValueError, np.linalg.LinAlgError):
            near = fit(model_of(job, design), {**job.fit, "start_params": start})
            if np.isfinite(np.asarray(near.params, dtype=np.float64)).all():
                return near
    return fit(model_of(job, design), {**job.fit, "start_params": start, "method": "newton", "maxiter": 0})


def _determined(job: Job) -> bool:
    """Tell, before an iterative fit, whether the design determines every coefficient; a closed form tells itself."""
    if MODELS[job.model].equation == "least squares":
        return len(job.exog) >= job.exog.shape[1]
    return full_rank(job)


def _in_outcome(label: str, found: Settled) -> float:
    """Return what a scale of a standardised outcome is multiplied by: a variance, of a robust fit a deviation."""
    unit = found.level.unit if found.level else 1.0
    return unit if MODELS[found.job.model].equation == "robust" else unit**2


def _infinite(job: Job, reading: Reading) -> tuple[str, ...]:
    """Return the names of the coefficients without a finite estimate."""
    exog, parts = blocks(job, reading)
    return tuple(str(reading.names[b][j]) for b in parts for j in loose(exog, reading.covariance[b, b]))


def _condition(job: Job, inverse: Array | None) -> float:
    """Return the condition number of the design, every column centred (but for the constant) and of unit length.

    The inverse of its cross-products tells it, where a fit leaves that behind: without the constant's row and column it
    is the inverse of those about the means.
    """
    columns = job.exog.to_numpy()
    if inverse is not None and "Intercept" in job.exog.columns and columns.shape[1] > 1:
        rest = [j for j, name in enumerate(job.exog.columns) if name != "Intercept"]
        with suppress(np.linalg.LinAlgError), np.errstate(invalid="ignore"):
            sizes = np.sqrt(np.diag(np.linalg.inv(inverse[np.ix_(rest, rest)])))
            if np.isfinite(sizes).all():
                roots = np.linalg.eigvalsh(inverse[np.ix_(rest, rest)] * np.outer(sizes, sizes))
                return float(np.sqrt(roots[-1] / max(roots[0], np.finfo(float).eps * roots[-1])))
    if "Intercept" in job.exog.columns or not MODELS[job.model].constant:
        columns = columns - columns.mean(axis=0)
    norms = np.sqrt((columns**2).sum(axis=0))
    scaled_columns = columns[:, norms > 0] / norms[norms > 0]
    if not scaled_columns.shape[1]:
        return 1.0
    roots = np.linalg.eigvalsh(scaled_columns.T @ scaled_columns)
    return float(np.sqrt(roots[-1] / max(roots[0], np.finfo(float).eps * roots[-1])))


def _of_groups(job: Job, result: Any, rule: str) -> dict[str, Any]:
    """Return what a model of groups leaves behind beside its coefficients; nothing for another model."""
    spec = MODELS[job.model]
    if spec.spread is None:
        return {}
    groups = np.asarray(job.init["groups"])
    found = degrees_of(job, result, rule) if rule else None
    rows = (len(np.unique(groups)), int(np.bincount(groups).max()))
    return {"df_each": found, "spread": spec.spread(result, job), "rows": rows}


def _without_scale(reading: Reading) -> Reading:
    """Return a reading without its parameters of spread."""
    q = len(reading.names) - reading.n_scale
    return replace(
        reading,
        names=reading.names[:q],
        estimate=reading.estimate[:q],
        covariance=reading.covariance[:q, :q],
        n_scale=0,
    )


def _one_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: the number of threads changes the last bits, and is slow for small matrices."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _attempt(job: Job, rule: str) -> _One | FitError:
    """Return the error instead of raising it, so that the error of the first set is the one raised."""
    try:
        with _one_thread():
            return _run(job, None, rule)
    except FitError as error:
        return error


def _unless_failed(ones: Iterable[_One | FitError]) -> list[_One]:
    """Raise the error of the first set that failed."""
    done = []
    for one in ones:
        if isinstance(one, FitError):
            raise one
        done.append(one)
    return done


def _converged(result: Any) -> bool:
    """Tell whether an optimizer converged; a closed form always has."""
    retvals = getattr(result, "mle_retvals", None) or {}
    return bool(retvals.get("converged", getattr(result, "converged", True)))


def _df_of(job: Job, result: Any) -> float:
    """Return the complete-data degrees of freedom of one fit."""
    clusters = job.clusters
    if clusters is None or MODELS[job.model].groups:
        return MODELS[job.model].df(result, job)
    return float(min(len(np.unique(column)) for column in np.atleast_2d(clusters.T)) - 1)


def _df_complete(ones: Sequence[_One], call: Call, dfcom: float | str | None) -> tuple[float, str]:
    """Return the complete-data degrees of freedom of all fits, the fewest of them, and where they come from."""
    if dfcom is not None and not isinstance(dfcom, str):
        return float(dfcom), "given"
    each = _df_each(ones)
    if each is not None:
        return float(each.min(initial=np.inf)), dfcom or RULES[0]
    return min(one.df for one in ones), "clusters - 1" if call.clusters else call.spec.df_source


def _df_each(ones: Sequence[_One]) -> Array | None:
    """Return the complete-data degrees of freedom of each coefficient, averaged over the sets."""
    found = [one.df_each for one in ones if one.df_each is not None]
    return np.mean(found, axis=0) if found else None


def _spreads(ones: Sequence[_One]) -> Spread | None:
    """Return the variance components of all sets, figures of shape (m, f)."""
    found = [one.spread for one in ones if one.spread is not None]
    if not found:
        return None
    estimates, variances = (np.array([getattr(one, what) for one in found]) for what in ("estimates", "variances"))
    return replace(found[0], estimates=estimates, variances=variances)


def _rule(design: FrozenDesign, call: Call, dfcom: float | str | None) -> str:
    """Return the rule for degrees of freedom of each coefficient, empty for none; refuse what is neither."""
    mixed = call.spec.spread is not None
    if isinstance(dfcom, str) and (mixed or dfcom in RULES):
        known = [rule for rule in RULES if mixed and (rule == RULES[0] or call.spec.equation == "mixed")]
        if dfcom in known:
            return dfcom
        raise ModelError(
            f"dfcom is {dfcom!r}, which {call.spec.label} does not have.",
            known=", ".join(["a number", *known]),
            do=calls.call("imp.fit", design.formula, dfcom=near(dfcom, known) or (known[0] if known else None)),
        )
    if dfcom is not None and (not isinstance(dfcom, Real) or not dfcom > 0):
        raise ModelError(
            f"dfcom is {dfcom!r}; a positive number is needed.", do=f"imp.fit({design.formula!r}, dfcom=96)"
        )
    return RULES[0] if mixed and dfcom is None else ""

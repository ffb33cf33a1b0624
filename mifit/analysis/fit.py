"""One analysis on each of m completed sets: design and sets in, estimates and covariances out."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import FitError, ModelError
from .incidents import failure, messages, notes, rank_error, runs_away, warn_once, warned
from .models import CLUSTER_WORDS, COLUMN_WORDS, MODELS, Call, load, names_in

__all__ = ["CompletedSets", "Fits", "FrozenDesign", "fit_one", "fit_sets"]

Array = npt.NDArray[np.float64]

#: warnings are caught for a whole process: threads of a joblib backend take turns
_ALONE = threading.Lock()


class FrozenDesign(Protocol):
    """What a fit needs of a design."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of the matrix, as statsmodels spells them (p)."""

    @property
    def outcome_label(self) -> str:
        """The outcome as a summary names it."""

    @property
    def formula(self) -> str:
        """The formula as it was given."""

    @property
    def info(self) -> Any:
        """Return patsy's DesignInfo of the right side."""

    def outcome(self, values: Any) -> Array:
        """Outcome of one completed set, shape (n,)."""

    def matrix(self, values: Any) -> Array:
        """Design of one completed set, shape (n, p)."""


class CompletedSets(Protocol):
    """What a fit needs of the m completed sets."""

    @property
    def index(self) -> pd.Index:
        """Row labels of the user's frame (n)."""

    def __len__(self) -> int: ...

    def values(self, k: int) -> Any:
        """Set k as the design wants it: column -> numbers or level codes, each of shape (n,)."""

    def series(self, k: int, name: str) -> pd.Series:
        """One column of set k, rows numbered from 0 (n)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """What m fits of one analysis leave behind; q coefficients."""

    names: tuple[str, ...]  #: (q,) as statsmodels spells them
    estimates: Array  #: (m, q)
    covariances: Array  #: (m, q, q)
    df_complete: float  #: residual degrees of freedom had nothing been missing
    df_source: str  #: where that number comes from
    n_obs: int  #: rows of each set
    label: str  #: name of the model, "OLS"
    outcome: str  #: what is modelled, "chl" or "P(hyp = yes)"
    formula: str
    cov_label: str  #: covariance estimator, "cluster (id)"
    facts: Mapping[str, str]  #: lines the model adds to a summary, such as the family
    converged: npt.NDArray[np.bool_]  #: (m,)
    separated: npt.NDArray[np.bool_]  #: (m,) the estimate of this set is not finite
    notes: tuple[str, ...]  #: what statsmodels had to say, each with its sets
    kept: tuple[Any, ...] | None = None  #: (m,) statsmodels results, if they were to be kept


@dataclass(frozen=True, slots=True)
class _Job:
    """One fit, as plain data that can cross a process."""

    k: int
    endog: pd.Series
    exog: pd.DataFrame
    model: str
    init: dict[str, Any]
    fit: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _One:
    """What one fit leaves behind."""

    names: tuple[str, ...]
    estimate: Array  # (q,)
    covariance: Array  # (q, q)
    df: float
    full_rank: bool
    converged: bool
    separated: bool
    messages: tuple[str, ...]
    facts: Mapping[str, str]
    result: Any = None


def fit_sets(
    design: FrozenDesign,
    completed: CompletedSets,
    call: Call,
    *,
    keep: bool = False,
    n_jobs: int | None = None,
    dfcom: float | None = None,
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
        Number of joblib workers; None fits here.
    dfcom : float, optional
        Complete-data degrees of freedom, instead of what the model reports.

    Returns
    -------
    Fits

    Raises
    ------
    FitError
        If a model fails in some set, or a design is not of full rank there.
    ModelError
        If a word names a column that cannot be used, or has the wrong length.

    Warns
    -----
    ConvergenceWarning, SeparationWarning
        At most one each, naming the sets.
    """
    jobs = (_job(design, completed, call, k) for k in range(len(completed)))
    if n_jobs in (None, 1) or keep:
        with _one_thread():
            ones = [_run(job, design if keep else None) for job in jobs]
    else:
        from joblib import Parallel, delayed

        ones = _unless_failed(Parallel(n_jobs=n_jobs)(delayed(_attempt)(job) for job in jobs))
    first = ones[0]
    deficient = [k for k, one in enumerate(ones) if not one.full_rank]
    if deficient:
        raise rank_error(call.spec.label, deficient, _job(design, completed, call, deficient[0]).exog)
    converged, separated = (np.array([getattr(one, what) for one in ones]) for what in ("converged", "separated"))
    warn_once(call.spec.label, converged, separated)
    df, source = _df_complete(ones, call, dfcom)
    return Fits(
        names=first.names,
        estimates=np.array([one.estimate for one in ones]),
        covariances=np.array([one.covariance for one in ones]),
        df_complete=df,
        df_source=source,
        n_obs=len(completed.index),
        label=call.spec.label,
        outcome=design.outcome_label,
        formula=design.formula,
        cov_label=call.cov_label,
        facts=first.facts,
        converged=converged,
        separated=separated,
        notes=notes([one.messages for one in ones], converged, separated),
        kept=tuple(one.result for one in ones) if keep else None,
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
    job = _job(design, completed, call, k)
    with _one_thread():
        return _model(job, design).fit(**job.fit)


def _job(design: FrozenDesign, completed: CompletedSets, call: Call, k: int) -> _Job:
    """Return the arrays of set k, every named column read from it."""
    values = completed.values(k)
    endog = pd.Series(design.outcome(values), index=completed.index, name=design.outcome_label)
    exog = pd.DataFrame(design.matrix(values), index=completed.index, columns=list(design.names))
    init = {w: _numbers(w, v, completed, k) if w in COLUMN_WORDS else v for w, v in call.init.items()}
    fit = {**call.spec.quiet, **call.fit}
    if fit.get("cov_kwds"):
        given = fit["cov_kwds"].items()
        fit["cov_kwds"] = {w: _codes(w, v, completed, k) if w in CLUSTER_WORDS else v for w, v in given}
    return _Job(k, endog, exog, call.model, init, fit)


def _numbers(word: str, given: Any, completed: CompletedSets, k: int) -> Any:
    """Return a column as floats, shape (n,); a number or None stays as it is."""
    if given is None or (np.ndim(given) == 0 and not isinstance(given, str)):
        return given
    column = completed.series(k, given) if isinstance(given, str) else given
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{word}={_short(given)} is not numeric.") from error
    _refuse_length(word, len(numbers), completed)
    if not np.isfinite(numbers).all():
        raise ModelError(f"{word}={_short(given)} is not a finite number in every row of set {k}.")
    return numbers


def _codes(word: str, given: Any, completed: CompletedSets, k: int) -> npt.NDArray[np.int64]:
    """Return clusters as codes 0..G-1, shape (n,), or (n, 2) for two columns."""
    columns = [completed.series(k, name) for name in names_in(given)] or list(np.atleast_2d(np.asarray(given).T))
    codes = np.column_stack([pd.factorize(column, sort=True)[0] for column in columns]).astype(np.int64)
    _refuse_length(word, len(codes), completed)
    if (codes < 0).any():
        raise ModelError(f"{word}={_short(given)} has missing values in set {k}: every row needs one.")
    return codes if codes.shape[1] > 1 else codes[:, 0]


def _run(job: _Job, design: FrozenDesign | None = None) -> _One:
    """Fit one job with its warnings caught; keep the result if a design to attach is given."""
    spec = MODELS[job.model]
    with _ALONE, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = _model(job, design).fit(**job.fit)
            params, covariance = result.params, np.asarray(result.cov_params(), dtype=np.float64)
            if not (np.isfinite(covariance).all() and np.isfinite(params).all()):
                raise FloatingPointError("the estimate or its covariance is not finite")
        except Exception as error:
            raise failure(spec.label, job.k, job.exog, error) from error
        far = spec.separates(result) and runs_away(job.exog.to_numpy(), np.asarray(params), covariance)
        separated = far or warned(caught, "PerfectSeparationWarning")
    return _One(
        names=tuple(params.index),
        estimate=np.asarray(params, dtype=np.float64),
        covariance=covariance,
        df=_df_of(job, result),
        full_rank=spec.rank(result) >= job.exog.shape[1],
        converged=_converged(result),
        separated=separated,
        messages=() if separated else messages(caught),
        facts=spec.facts(result),
        result=result if design is not None else None,
    )


def _one_thread() -> AbstractContextManager[Any]:
    """Keep BLAS to one thread: its number changes the last bits, and many threads on small matrices only wait."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _attempt(job: _Job) -> _One | FitError:
    """Return the error instead of raising it: which worker is first is chance, which set is first is not."""
    try:
        with _one_thread():
            return _run(job)
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


def _model(job: _Job, design: FrozenDesign | None) -> Any:
    """Return the statsmodels model of a job, with formula and design attached if there is a design."""
    cls = load(job.model)
    if design is None:
        return cls(job.endog, job.exog, **job.init)
    attached = {_spec_word(): design.info, "formula": design.formula}
    model = cls(job.endog, job.exog, **job.init, **attached)
    model.formula = design.formula
    return model


def _spec_word() -> str:
    """Return the word under which this statsmodels takes a patsy design."""
    import statsmodels

    return "model_spec" if tuple(map(int, statsmodels.__version__.split(".")[:2])) >= (0, 15) else "design_info"


def _converged(result: Any) -> bool:
    """Tell whether an optimizer reached its end; a closed form always has."""
    retvals = getattr(result, "mle_retvals", None) or {}
    return bool(retvals.get("converged", getattr(result, "converged", True)))


def _df_of(job: _Job, result: Any) -> float:
    """Return the complete-data degrees of freedom of one fit."""
    groups = (job.fit.get("cov_kwds") or {}).get("groups")
    if groups is None:
        return float(result.df_resid)
    return float(min(len(np.unique(column)) for column in np.atleast_2d(np.asarray(groups).T)) - 1)


def _df_complete(ones: Sequence[_One], call: Call, dfcom: float | None) -> tuple[float, str]:
    """Return the complete-data degrees of freedom of all fits and where they come from."""
    if dfcom is not None:
        return float(dfcom), "given"
    clustered = "groups" in (call.fit.get("cov_kwds") or {})
    return min(one.df for one in ones), "clusters - 1" if clustered else "residual"


def _refuse_length(word: str, length: int, completed: CompletedSets) -> None:
    """Raise ModelError when an array given for a column has another length."""
    if length != len(completed.index):
        raise ModelError(f"{word}= has {length} values, the frame {len(completed.index)} rows.")


def _short(given: object) -> str:
    """Return a column's name, or a word for an array."""
    return repr(given) if isinstance(given, str) else "an array"

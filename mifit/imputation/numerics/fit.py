"""The maximum-likelihood fit of all models that need iterations: warm start, cold start, a penalty if separated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...typing import Array
from .newton import Concave, Likelihood, Peak, again, maximise, variances
from .separation import Columns
from .shrinkage import SHRUNK, shrunk, spreads

__all__ = [
    "DIVERGED",
    "SUSPECT",
    "Estimate",
    "Problem",
    "Sketch",
    "WarmStart",
    "estimate",
    "incidents",
    "maximise_or_rescue",
    "repeated",
    "resume",
    "sketched",
]

SUSPECT = 1e2  #: variance, relative to that without effects, above which a warm fit is taken to convergence
DIVERGED = 1e7  #: and above which the estimate is not finite; one event among a million rows gives 2.5e5
Codes = npt.NDArray[np.int64]

_SKETCH = 2_000  # rows of a subsample that gives starting values


class WarmStart(NamedTuple):
    """Warm start: what one fit stores for the next fit of the same variable."""

    estimate: Array  #: (q,) before the draw
    kept: Codes  #: positions of the columns used
    levels: Codes  #: codes that occurred
    rescued: bool
    prior_variance: Array | None = None  #: variances of groups of coefficients that share a prior
    root: Array | None = None  #: (q, q) root of its :class:`Peak`
    yardstick: Array | None = None  #: (q,) variances of the estimates in a model without effects
    n_fit: int = 0  #: rows
    joint: Array | None = None  #: estimate of a larger model found from this one

    @classmethod
    def of(
        cls, peak: Peak, kept: Codes, levels: Codes, rescued: bool, yardstick: Array | None, n_fit: int
    ) -> WarmStart:
        """The warm start after a fit on n_fit rows; without curvature if rescued or without reference variances."""
        if rescued or yardstick is None:
            return cls(peak.estimate, kept, levels, rescued)
        return cls(peak.estimate, kept, levels, rescued, None, peak.root, yardstick, n_fit)

    def then(self, peak: Peak, n_fit: int) -> WarmStart:
        """The warm start after another fit of the same columns."""
        assert self.yardstick is not None  # set wherever a fit was made
        yardstick = self.yardstick if n_fit == self.n_fit else self.yardstick * (self.n_fit / n_fit)
        return WarmStart(peak.estimate, self.kept, self.levels, False, None, peak.root, yardstick, n_fit)

    def within(self, room: int) -> WarmStart:
        """The same without the information matrix, where that has more than ``room`` numbers."""
        return self if self.root is None or self.root.size <= room else self._replace(root=None, yardstick=None)


@dataclass(frozen=True, slots=True)
class Problem:
    """A model to be estimated: its likelihood, starting values and rules."""

    likelihood: Callable[[bool], Likelihood]  #: log-likelihood as it is (False), or made finite by a rescue (True)
    null: Array  #: (q,) estimates without effects, the cold start
    yardstick: Array  #: (q,) variances of the estimates at `null`; infinite where no estimate can diverge
    rescue: str = ""  #: the event that tells of a rescue
    subsample: Sketch | None = None  #: a subsample of the rows
    groups: Codes | None = None  #: (q,) number of the prior that a parameter shares, -1 for none; None without priors
    valid: Callable[[Array], bool] | None = None  #: whether an estimate lies in the parameter space
    keeps_curvature: bool = True  #: whether the next fit may begin with the information found here
    near: bool = False  #: whether the Hessian is approximate, so that every maximisation goes to convergence


class Estimate(NamedTuple):
    """What an estimation finds."""

    peak: Peak
    warm_start: WarmStart  #: for the next fit of the same variable
    events: tuple[str, ...]


def estimate(problem: Problem, found: Columns, levels: Codes, warm: Any, n_fit: int) -> Estimate:
    """Estimate a model by maximum likelihood, with a penalty where the data are separated.

    Parameters
    ----------
    problem : Problem
    found : Columns
        The independent columns of the design.
    levels : ndarray
        Codes that occur in the outcome; none where it has no levels.
    warm : WarmStart or None
        What the last fit of the same variable left.
    n_fit : int
        Rows.

    Notes
    -----
    1. Start from the last estimate if it belongs to the same columns and levels, else from no effects.
    2. With shared priors: estimate their variances along with the parameters.
    3. Otherwise climb. Where the variances run away the likelihood has no maximum: climb again on the rescued one.
    4. An estimate outside the parameter space is replaced by a climb to convergence from no effects.
    """
    start, rescued = resume(warm, found.kept, levels, len(problem.null))
    begin = problem.null if start is None else start
    if problem.groups is not None and np.any(problem.groups >= 0):
        peak, variance = shrunk(problem.likelihood(False), begin, problem.groups, spreads(warm))
        said = SHRUNK.format(len(variance), "s" if len(variance) > 1 else "")
        warm_start = WarmStart(peak.estimate, found.kept, levels, False, variance)
        return Estimate(peak, warm_start, (*incidents(peak, False, ""), said))
    if problem.near:
        peak, rescued = maximise(problem.likelihood(False), begin), False
    else:
        peak, rescued = maximise_or_rescue(
            problem.likelihood, problem.null, start, problem.yardstick, rescued, problem.subsample
        )
    if problem.valid is not None and not problem.valid(peak.estimate):
        peak = maximise(problem.likelihood(rescued), problem.null)
    warm_start = WarmStart.of(
        peak, found.kept, levels, rescued, problem.yardstick if problem.keeps_curvature else None, n_fit
    )
    return Estimate(peak, warm_start, incidents(peak, rescued, problem.rescue))


def repeated(
    warm_start: WarmStart | None, shape: tuple[int, ...], many: int, n_levels: int, likelihood: Callable[[], Concave]
) -> Peak | None:
    """Estimate from the previous warm start, same columns and levels; None where that does not suffice.

    Parameters
    ----------
    warm_start : WarmStart or None
    shape : (n_fit, p)
        Of the design, whose columns the last fit must have used, all of them: one that depends on others now, or
        explains the levels perfectly, shows in variances that run away from the yardstick.
    many, n_levels : int
        Levels that occur, and all there are: every one must, now as then.
    likelihood : callable
        Makes the log-likelihood of all columns.
    """
    if (
        not isinstance(warm_start, WarmStart) or warm_start.root is None or warm_start.yardstick is None
    ):  # older files hold plain tuples
        return None
    if len(warm_start.kept) != shape[1] or not len(warm_start.levels) == many == n_levels:
        return None
    more = shape[0] / warm_start.n_fit  # the information grows with the rows
    peak = again(likelihood(), warm_start.estimate, warm_start.root if more == 1.0 else np.sqrt(more) * warm_start.root)
    return peak if peak is not None and more * _loose(peak, warm_start.yardstick) <= SUSPECT else None


def resume(warm: Any, kept: Codes, levels: Codes, size: int) -> tuple[Array | None, bool]:
    """Read a warm start: the estimate, None unless it fits the same columns and levels, and the rescue decision."""
    if warm is None:
        return None, False
    estimate, old_kept, old_levels, rescued = warm[:4]  # older files hold plain tuples
    same = len(estimate) == size and old_kept.tolist() == kept.tolist() and old_levels.tolist() == levels.tolist()
    return (estimate if same and np.isfinite(estimate).all() else None), bool(rescued)


class Sketch(NamedTuple):
    """A subsample that gives starting values and an approximate Hessian, where rows are many."""

    pilot: Likelihood  #: of the subsample alone: its maximum is the starting value for all rows
    rough: Likelihood  #: of all rows, with the Hessian of the subsample, for the first step


def sketched(position: Codes, n_levels: int, width: int) -> slice | None:
    """Every k-th row as a subsample; None where rows are too few, or a level is too rare.

    Parameters
    ----------
    position : ndarray, shape (n_fit,)
        Position of each row's level among the observed ones.
    n_levels : int
        Observed levels.
    width : int
        Parameters of one level.
    """
    step = len(position) // max(_SKETCH, 50 * width)
    if step < 3 or np.bincount(position[::step], minlength=n_levels).min() < 2 * width:
        return None
    return slice(None, None, step)


def maximise_or_rescue(
    make: Callable[[bool], Likelihood], null: Array, warm: Array | None, yardstick: Array, rescued: bool,
    sketch: Sketch | None = None,
) -> tuple[Peak, bool]:  # fmt: skip
    """Find a finite estimate: plain if there is one, else the rescued one.

    Parameters
    ----------
    make : callable
        Takes whether to rescue, returns the log-likelihood.
    null : ndarray, shape (q,)
        Estimates without effects, the cold start.
    warm : ndarray, shape (q,), or None
        Estimates of almost the same data.
    yardstick : ndarray, shape (q,)
        Variances of the estimates at `null`. Where the data have no finite estimate the variances run away from
        these: at convergence by a factor of about 1e11.
    rescued : bool
        Whether this variable was rescued before: it stays so.
    sketch : Sketch, optional
        Stands for the plain likelihood where its rows are many: a cold climb starts from its top.

    Returns
    -------
    peak : Peak
    rescued : bool
    """
    if not rescued:
        if warm is None and sketch is not None:
            pilot = maximise(
                sketch.pilot, null
            )  # run to convergence: if the subsample shows no separation, the full data have none
            warm = pilot.estimate if pilot.converged and _loose(pilot, yardstick) < SUSPECT else None
        peak, loose = _climb(make(False), null, warm, yardstick, sketch.rough if sketch else None)
        if peak.converged and loose < DIVERGED:
            return peak, False
        warm = None
    return _climb(make(True), null, warm, np.full(len(null), np.inf), None)[0], True


def _climb(
    likelihood: Likelihood, null: Array, warm: Array | None, yardstick: Array, rough: Likelihood | None
) -> tuple[Peak, float]:
    """Maximise from the warm start, to convergence if its variances look suspicious, else from no effects."""
    if warm is not None:
        peak = maximise(likelihood, warm, warm=True, rough=rough)
        loose = _loose(peak, yardstick)
        if peak.converged and loose > SUSPECT:
            peak = maximise(likelihood, peak.estimate)
            loose = _loose(peak, yardstick)
        if peak.converged:
            return peak, loose
    peak = maximise(likelihood, null)
    return peak, _loose(peak, yardstick)


def _loose(peak: Peak, yardstick: Array) -> float:
    """Largest ratio of an estimate's variance to its reference variance."""
    return float((variances(peak.root) / yardstick).max()) if len(yardstick) else 0.0


def incidents(peak: Peak, rescued: bool, text: str) -> tuple[str, ...]:
    """Events of the maximisation that are reported; `text` describes the rescue."""
    return ((text,) if rescued else ()) + (() if peak.converged else ("the estimates did not converge",))

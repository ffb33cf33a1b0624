"""What keeps an iterative fit finite: independent columns, and a rescue when the likelihood has no top.

Some data are explained perfectly by a predictor (a rare level whose rows all have the same outcome): the likelihood
then rises for ever, the estimates run away and their standard errors with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import lapack

from .contract import Array
from .gram import independent
from .newton import Concave, Likelihood, Peak, again, maximise, variances

__all__ = [
    "AUGMENTED",
    "NEVER",
    "Columns",
    "Extra",
    "Left",
    "Sketch",
    "augmentation",
    "columns",
    "incidents",
    "marginal",
    "narrowed",
    "observed",
    "repeated",
    "resume",
    "settle",
    "sketched",
]

NEVER = 200.0  #: log odds against what was never observed: e^-200 is nought to every random number
SUSPECT = 1e2  #: variance, relative to that without effects, above which a warm fit is taken to convergence
DIVERGED = 1e7  #: and above which the estimate is not finite; one event among a million rows gives 2.5e5
_NARROW = 8  # columns up to which arithmetic runs faster down them than along the rows
_SKETCH = 2_000  # rows from which a few parameters are known well enough for a start
AUGMENTED = "separation: augmented with {} rows (White, Daniel & Royston 2010)"

Codes = npt.NDArray[np.int64]


class Columns(NamedTuple):
    """The independent columns of a design."""

    X: Array  #: (n_fit, q)
    kept: Codes  #: (q,) their positions in the design
    unit: Array  #: (q,) variances of their coefficients were all weights 1, the diagonal of (X'X)^-1
    dropped: tuple[int, ...]  #: terms that depend on the ones before them

    @property
    def events(self) -> tuple[str, ...]:
        """What a reader should know about the columns."""
        many = len(self.dropped)
        return (f"dropped {many} dependent term{'s' if many > 1 else ''}",) if many else ()


class Extra(NamedTuple):
    """Augmentation rows."""

    X: Array  #: (n_extra, q)
    level: Codes  #: (n_extra,) position among the observed levels
    weight: float  #: of each row; together p + 1 rows


def columns(X: Array, terms: Codes, squares: tuple[Array, Array | None] | None = None) -> Columns:
    """Return the columns of X, shape (n_fit, p), that do not depend on earlier ones, terms dropped whole.

    ``squares`` are its cross-products and what rows were subtracted from, where they are known.
    """
    xx, before = squares or (X.T @ X, None)
    kept, root, size, dropped = independent(xx, terms, before)
    inverse = lapack.dtrtri(root, lower=1)[0] if len(kept) else root
    unit = np.einsum("ij,ij->j", inverse, inverse) / size**2
    found = X if len(kept) == X.shape[1] else X[:, kept]
    return Columns(narrowed(found), kept, unit, dropped)


def narrowed(X: Array) -> Array:
    """A design laid out by columns where these are few."""
    return np.asfortranarray(X) if X.shape[1] <= _NARROW else X


def observed(y: Array, n_levels: int) -> tuple[Codes, Codes, Array, tuple[str, ...]]:
    """Find the levels that occur.

    Parameters
    ----------
    y : ndarray, shape (n_fit,)
        Level codes 0..K-1.
    n_levels : int
        K.

    Returns
    -------
    levels : ndarray, shape (L,)
        Codes that occur, sorted.
    position : ndarray, shape (n_fit,)
        Each row's position among them.
    count : ndarray, shape (L,)
        Rows at each.
    events : tuple of str
        One line when a level is empty.
    """
    codes = y.astype(np.int64)
    count = np.bincount(codes, minlength=n_levels)
    levels = count.nonzero()[0]
    position = codes if len(levels) == len(count) else np.searchsorted(levels, codes)
    empty = max(n_levels, len(count)) - len(levels)
    events = (f"{empty} level{'s' if empty > 1 else ''} without a row to fit on: never drawn",) if empty else ()
    if not len(levels):
        events = ("no row to fit on: every level equally likely",)
    return levels, position, count[levels].astype(np.float64), events


def augmentation(X: Array, n_levels: int, first: int = 1) -> Extra:
    """Make rows that pull every slope a little towards 0, and with it back to a finite value.

    For every predictor and level, two rows: the predictor at its mean plus and minus half a standard deviation
    (within its range), the others at their means. Together they weigh as much as p + 1 rows.

    Parameters
    ----------
    X : ndarray, shape (n_fit, q)
        Design; its columns from `first` on are the p predictors.
    n_levels : int
        Observed levels L of the variable.
    first : int, default 1
        Columns before this one are constant.

    Returns
    -------
    Extra
        2 p L rows; none where there is no predictor.

    References
    ----------
    White, I. R., Daniel, R. and Royston, P. (2010). Avoiding bias due to perfect prediction in multiple
    imputation of incomplete categorical variables. *Computational Statistics & Data Analysis* 54(10), 2267-2275,
    section 5. doi:10.1016/j.csda.2010.04.005
    """
    centre, p = X.mean(axis=0), X.shape[1] - first
    reach = X.std(axis=0) / 2
    ends = np.clip([centre - reach, centre + reach], X.min(axis=0), X.max(axis=0))
    block = np.tile(centre, (2, p, 1))
    slopes = np.arange(p)
    block[:, slopes, first + slopes] = ends[:, first:]
    rows = np.tile(block.reshape(2 * p, X.shape[1]), (n_levels, 1))
    return Extra(rows, np.repeat(np.arange(n_levels), 2 * p), (p + 1) / max(len(rows), 1))


class Left(NamedTuple):
    """What a fit leaves for the next one of the same variable."""

    estimate: Array  #: (q,) before the draw
    kept: Codes  #: positions of the columns used
    levels: Codes  #: codes that occurred
    rescued: bool
    spread: Array | None = None  #: variances of groups of coefficients that share a prior
    root: Array | None = None  #: (q, q) root of its :class:`Peak`
    yardstick: Array | None = None  #: (q,) as :func:`settle` takes it
    n_fit: int = 0  #: rows

    @classmethod
    def of(cls, peak: Peak, kept: Codes, levels: Codes, rescued: bool, yardstick: Array | None, n_fit: int) -> Left:
        """What a fit on so many rows leaves; no curvature of what was rescued or has no yardstick."""
        if rescued or yardstick is None:
            return cls(peak.estimate, kept, levels, rescued)
        return cls(peak.estimate, kept, levels, rescued, None, peak.root, yardstick, n_fit)

    def then(self, peak: Peak, n_fit: int) -> Left:
        """What the next fit of the same columns leaves in its turn."""
        assert self.yardstick is not None  # else no fit came of it
        yardstick = self.yardstick if n_fit == self.n_fit else self.yardstick * (self.n_fit / n_fit)
        return Left(peak.estimate, self.kept, self.levels, False, None, peak.root, yardstick, n_fit)

    def within(self, room: int) -> Left:
        """The same without a curvature that takes more numbers than there is room for."""
        return self if self.root is None or self.root.size <= room else self._replace(root=None, yardstick=None)


def repeated(
    left: Left | None, shape: tuple[int, ...], many: int, n_levels: int, likelihood: Callable[[], Concave]
) -> Peak | None:
    """Find the estimate from what the last fit left, with its columns and levels; None where that is not enough.

    Parameters
    ----------
    left : Left or None
    shape : (n_fit, p)
        Of the design, whose columns the last fit must have used, all of them: one that depends on others now, or
        explains the levels perfectly, shows in variances that run away from the yardstick.
    many, n_levels : int
        Levels that occur, and all there are: every one must, now as then.
    likelihood : callable
        Makes the log-likelihood of all columns.
    """
    if not isinstance(left, Left) or left.root is None or left.yardstick is None:  # files of old hold plain tuples
        return None
    if len(left.kept) != shape[1] or not len(left.levels) == many == n_levels:
        return None
    more = shape[0] / left.n_fit  # the information grows with the rows
    peak = again(likelihood(), left.estimate, left.root if more == 1.0 else np.sqrt(more) * left.root)
    return peak if peak is not None and more * _loose(peak, left.yardstick) <= SUSPECT else None


def resume(warm: Any, kept: Codes, levels: Codes, size: int) -> tuple[Array | None, bool]:
    """Read a warm start: the estimate, None unless it fits the same columns and levels, and the rescue decision."""
    if warm is None:
        return None, False
    estimate, old_kept, old_levels, rescued = warm[:4]
    same = len(estimate) == size and old_kept.tolist() == kept.tolist() and old_levels.tolist() == levels.tolist()
    return (estimate if same and np.isfinite(estimate).all() else None), bool(rescued)


class Sketch(NamedTuple):
    """Some rows that stand for all, where there are very many."""

    pilot: Likelihood  #: of these rows alone: its top is a start for all rows
    rough: Likelihood  #: of all rows, with a Hessian from these alone: enough for a first step


def sketched(position: Codes, n_levels: int, width: int) -> slice | None:
    """Every k-th row, where a sketch of them will do; None where there are too few, or a level is too rare.

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


def settle(
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
            pilot = maximise(sketch.pilot, null)  # to convergence: what is not separated here is not in more rows
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
    """By how much the largest variance exceeds its yardstick."""
    return float((variances(peak.root) / yardstick).max()) if len(yardstick) else 0.0


def incidents(peak: Peak, rescued: bool, text: str) -> tuple[str, ...]:
    """What a reader should know about the climb; `text` tells of the rescue."""
    return ((text,) if rescued else ()) + (() if peak.converged else ("the estimates did not converge",))


def marginal(count: Array) -> Array:
    """Log odds of each observed level against the first, without predictors, shape (L - 1,)."""
    return np.log(count[1:] / count[0])

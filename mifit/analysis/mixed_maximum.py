"""The maximum of a mixed model's likelihood: maximisation, distance of a fit from it, standard errors of variances."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..typing import Array
from .mixed import Grouped, Point, composed, grouped, point, root_of

if TYPE_CHECKING:
    from .job import Job

__all__ = [
    "MixedFit",
    "distance",
    "fit_of",
    "fixed_covariance",
    "grouped_of",
    "information_at",
    "maximised",
    "scale_parameters",
    "start_of",
]

#: step of finite differences, in natural units
_STEP = 1e-4

#: a squared distance from the maximum, in squared standard errors, from which one step more leads there
_ARRIVED = 1e-9

#: steps of Newton's method at most
_MANY_STEPS = 200

#: a residual variance below this share of that of least squares is none
_NO_RESIDUAL = 1e-12

#: the same where there are as many random effects as rows
_LITTLE_RESIDUAL = 1e-4

#: a variance without which the log-likelihood is lower by no more than this is at its boundary
_NO_GAIN = 1e-3

#: a deviation that statsmodels cannot tell from none, in units of the residuals
_NEARLY = 1e-5

#: a curvature below this share of the largest is none
_FLAT = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class MixedFit:
    """A mixed model at some covariance of its random effects, under the names that statsmodels has for its parts."""

    data: Grouped
    root: Array  #: (w, w) of that covariance, in units of the residual variance
    reml: bool
    fe_params: Array  #: (p,) on the user's scale, like all that follows
    scale: float  #: residual variance
    cov_re: Array  #: (q, q)
    vcomp: Array  #: (c,)
    converged: bool = True


def grouped_of(job: Job) -> Grouped:
    """Return the data of the job of a mixed model by groups; a random intercept where it has no other random effect."""
    parts, n = list((job.init.get("components") or {}).values()), len(job.endog)
    random = job.init["exog_re"].to_numpy() if "exog_re" in job.init else np.ones((n, 0 if parts else 1))
    y, exog = job.endog.to_numpy(dtype=np.float64), job.exog.to_numpy(dtype=np.float64)
    return grouped(y, exog, np.asarray(random, dtype=np.float64), parts, np.asarray(job.init["groups"]))


def fit_of(result: Any, job: Job) -> MixedFit:
    """Return what a result says of a job, a result of statsmodels as well as one that is made here."""
    if isinstance(result, MixedFit):
        return result
    data, scale = grouped_of(job), float(result.scale)
    psi, components = np.asarray(result.cov_re, dtype=np.float64), np.asarray(result.vcomp, dtype=np.float64)
    psi = psi if psi.size else np.zeros((0, 0))
    root, beta = root_of(data, psi, components, scale), np.asarray(result.fe_params, dtype=np.float64)
    return MixedFit(data, root, bool(result.reml), beta, scale, psi, components)


def start_of(fit: MixedFit, roots: bool) -> Array:
    """Return what statsmodels starts from to stay where a fit is: a triangular root of the covariance, deviations.

    Or, without ``roots``, covariance and variances. statsmodels inverts them: what is singular becomes nearly so.
    """
    q = len(fit.data.random)
    own = np.hstack([fit.data.random @ fit.root[:q, :q], fit.data.random * _NEARLY])
    lower = np.asarray(np.linalg.qr(own.T, mode="r")).T if q else np.zeros((0, 0))
    further = fit.vcomp / fit.scale + (_NEARLY * fit.data.sizes) ** 2
    matrix = lower * np.where(np.diag(lower) < 0, -1.0, 1.0) if roots else lower @ lower.T
    return np.concatenate([matrix[_lower(q)], np.sqrt(further) if roots else further])


@dataclass(frozen=True, slots=True, eq=False)
class _Chart:
    """Coordinates around one covariance: the lower triangle of a root on its principal axes, then the components' own.

    All are zero at that covariance, and one unit of each is a sizeable change.
    """

    data: Grouped
    axes: Array  #: (q, q) principal axes, the widest first
    deviations: Array  #: (q + c,) standard deviations along them and of the components
    units: Array  #: (k,)

    @property
    def middle(self) -> Array:
        """The root where all coordinates are zero, shape (w, w); another one of the same covariance than that given."""
        return self.root(np.zeros(len(self.units)))

    def root(self, at: Array) -> Array:
        """Return the root at coordinates, shape (w, w)."""
        q = len(self.axes)
        rows, columns = _lower(q)
        lower, moved = np.diag(self.deviations[:q]), at * self.units
        lower[rows, columns] += moved[: len(rows)]
        return composed(self.axes @ lower, self.deviations[q:] + moved[len(rows) :], self.data.widths)

    def slope(self, by_root: Array) -> Array:
        """Return the derivative by coordinates, shape (k,), of what has a derivative by the root."""
        q = len(self.axes)
        own = (self.axes.T @ by_root[:q, :q])[_lower(q)]
        further = [float(np.trace(by_root[part, part])) for part in self.data.slices]
        return np.concatenate([own, further]) * self.units


def maximised(data: Grouped, reml: bool) -> MixedFit:
    """Maximise the likelihood of a mixed model over the covariance of its random effects.

    Parameters
    ----------
    data : Grouped
    reml : bool
        Restricted likelihood.

    Returns
    -------
    MixedFit

    Raises
    ------
    FloatingPointError
        If the residual variance goes to zero, or Newton's method comes to no end.

    Notes
    -----
    Newton's method with halved steps on a root of the covariance, whose principal axes are taken anew at each step: a
    variance of zero is no edge of these coordinates, only a point where the slope is zero. There the curvature tells
    a maximum from a saddle, which is left along its steepest side.
    """
    found: list[tuple[Array, Point]] = []
    for start in _starts(data):
        with suppress(ArithmeticError, np.linalg.LinAlgError):
            root, here = _climbed(data, start, reml)
            if here.residual > _least_residual(data):
                found.append((root, here))
                if not _at_boundary(_chart(data, root), here, reml):
                    break
    if not found:
        raise FloatingPointError(
            "the random effects leave no residual variance; use fewer of them, such as an intercept alone"
        )
    root, best = max(found, key=lambda one: one[1].loglik)
    q, back = len(data.random), data.unit**2 * best.residual
    own = data.random @ root[:q, :q]
    return MixedFit(
        data=data,
        root=root,
        reml=reml,
        fe_params=data.least + data.fixed @ best.coefficients * data.unit,
        scale=back,
        cov_re=own @ own.T * back,
        vcomp=np.array([root[part.start, part.start] ** 2 for part in data.slices]) * data.sizes**2 * back,
    )


def fixed_covariance(fit: MixedFit) -> Array:
    """Covariance of the coefficients by generalised least squares, (X'V^-1X)^-1, shape (p, p).

    References
    ----------
    Laird, N. M. and Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics* 38(4),
    963-974, eq. 3.3. doi:10.2307/2529876
    """
    inverse = np.linalg.inv(point(fit.data, fit.root, fit.reml).information)
    out = fit.data.fixed @ inverse @ fit.data.fixed.T * fit.scale
    return np.asarray((out + out.T) / 2)


def distance(fit: MixedFit) -> float:
    """Squared distance of a mixed model from its maximum, in squared standard errors.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    float
        Of the coefficients, of the residual variance and of the root of the random effects' covariance. Where the
        likelihood rises on both sides of a root, such as a variance of zero that should be none, twice that rise.
    """
    data, chart = fit.data, _chart(fit.data, fit.root)
    here = point(data, chart.middle, fit.reml)
    away = np.linalg.solve(data.fixed, fit.fe_params - data.least) / data.unit - here.coefficients
    df = data.n_rows - (len(away) if fit.reml else 0)
    others = away @ here.information @ away / here.residual
    others += df / 2 * np.log(fit.scale / (data.unit**2 * here.residual)) ** 2
    rise = chart.slope(here.slope)
    bend = _curvature(chart, fit.reml)
    values, vectors = np.linalg.eigh(bend)
    values = np.maximum(values, _FLAT * max(float(np.abs(values).max(initial=0.0)), 1.0))
    along = vectors.T @ rise
    return float(others + (along**2 / values).sum() + 2 * _saddle(chart, fit.reml, here, bend)[0])


def scale_parameters(fit: MixedFit) -> tuple[Array, Array] | None:
    """Variance components on scales where they are roughly normal, and their covariance.

    Parameters
    ----------
    fit : MixedFit

    Returns
    -------
    estimates : ndarray, shape (q (q + 1) / 2 + c + 1,)
        Logarithms of the q variances, inverse hyperbolic tangents of their correlations (in the order of the
        lower triangle, by rows), logarithms of the components and of the residual variance.
    covariance : ndarray
        Inverse of the observed information. None at the boundary: where the log-likelihood is as high without the
        variance of some component or along some principal axis of the random effects, or has no maximum.
    """
    chart, here, information = _ended(fit)
    if _at_boundary(chart, here, fit.reml):
        return None
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        return None
    k, last = len(chart.units), np.log(fit.scale)

    def figures(at: Array) -> Array:
        return _figures(fit.data, chart.root(at[:k]), last + at[k])

    steps = _STEP * np.eye(k + 1)
    jacobian = np.array([(figures(step) - figures(-step)) / (2 * _STEP) for step in steps]).T
    return figures(np.zeros(k + 1)), np.asarray(jacobian @ np.linalg.inv(information) @ jacobian.T)


def information_at(fit: MixedFit) -> tuple[Array, Callable[[Array], MixedFit]]:
    """Observed information of the parameters of spread, and the fit at others of them.

    Parameters
    ----------
    fit : MixedFit
        At its maximum.

    Returns
    -------
    information : ndarray, shape (k + 1, k + 1)
        Of the k coordinates of a root of the random effects' covariance, and of the log residual variance.
    moved : callable
        Takes coordinates, shape (k,), and returns a fit there with the same residual variance.
    """
    chart, _, information = _ended(fit)
    return information, lambda at: replace(fit, root=chart.root(at))


@lru_cache(maxsize=2)  # asked for by everything that is read from one fit
def _ended(fit: MixedFit) -> tuple[_Chart, Point, Array]:
    """Return coordinates around a fit, the likelihood there, and the information of coordinates and residuals."""
    chart = _chart(fit.data, fit.root, least=0.0)
    here = point(fit.data, chart.middle, fit.reml)
    return chart, here, _information(chart, fit.reml, here)


@lru_cache(maxsize=16)
def _lower(q: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of a lower triangle."""
    return np.tril_indices(q)


def _figures(data: Grouped, root: Array, log_residual: float) -> Array:
    """Return log variances, correlations as inverse hyperbolic tangents, log components and log residual variance."""
    q = len(data.random)
    rows = data.random @ root[:q, :q]
    sizes = np.sqrt((rows**2).sum(axis=1))
    ways = rows / sizes[:, None]
    # far from the origin of its column an intercept is nearly a slope: one minus the squared correlation has no digits
    cosines = [(float(ways[i] @ ways[j]), ways[i], ways[j]) for i in range(q) for j in range(i)]
    sines = [float(np.linalg.norm(one - cosine * other)) for cosine, one, other in cosines]
    correlations = [
        np.sign(cosine) * np.log((1 + abs(cosine)) / sine) for (cosine, *_), sine in zip(cosines, sines, strict=True)
    ]
    parts = np.array([root[part.start, part.start] for part in data.slices]) * data.sizes
    logs = 2 * np.log(np.abs(parts)) + log_residual
    return np.concatenate([2 * np.log(sizes) + log_residual, correlations, logs, [log_residual]])


def _starts(data: Grouped) -> list[Array]:
    """Return starting values: random effects that vary as much as the residuals, and less and more than that."""
    q, c = len(data.random), len(data.widths)
    return [composed(size * np.eye(q), np.full(c, size), data.widths) for size in (0.5, 0.05, 5.0)]


def _least_residual(data: Grouped) -> float:
    """Return the residual variance below which there is none, the outcome's own being 1.

    With as many random effects as rows the likelihood may grow without end as the residuals vanish, far from the
    maximum that is meant.
    """
    n_effects = int(data.factors.any(axis=1).sum())
    return _NO_RESIDUAL if n_effects < data.n_rows else _LITTLE_RESIDUAL


def _climbed(data: Grouped, root: Array, reml: bool) -> tuple[Array, Point]:
    """Maximise by Newton's method with halved steps from a root, shape (w, w)."""
    for _ in range(_MANY_STEPS):
        chart = _chart(data, root)
        root, here = chart.middle, point(data, chart.middle, reml)
        rise = chart.slope(here.slope)
        values, vectors = np.linalg.eigh(_curvature(chart, reml, before=rise))
        sizes = np.maximum(np.abs(values), _FLAT * max(float(np.abs(values).max(initial=0.0)), 1.0))
        step = vectors @ ((vectors.T @ rise) / sizes)
        gain = float(rise @ step)
        share = min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-8))
        while gain > _ARRIVED and share > 1e-8:
            if point(data, chart.root(share * step), reml).loglik > here.loglik + 1e-4 * share * gain:
                break
            share /= 2
        if gain > _ARRIVED and share > 1e-8:
            root = chart.root(share * step)
            continue
        higher, at = _saddle(chart, reml, here)
        if not higher:  # the log-likelihood has no digits left for the last step
            last = chart.root(step) if gain <= _ARRIVED else root
            return last, point(data, last, reml)
        root = chart.root(at)
    raise FloatingPointError("Newton's method did not converge")


def _chart(data: Grouped, root: Array, least: float | None = None) -> _Chart:
    """Return coordinates around a root; units are the deviations there, or what is large for one that is smaller."""
    q = len(data.random)
    axes, deviations, _ = np.linalg.svd(root[:q, :q])
    further = np.array([root[part.start, part.start] for part in data.slices])
    rows, _ = _lower(q)
    units = np.maximum(np.concatenate([deviations[rows], np.abs(further)]), data.faint if least is None else least)
    return _Chart(data, axes, np.concatenate([deviations, further]), units)


def _curvature(chart: _Chart, reml: bool, residual: float | None = None, before: Array | None = None) -> Array:
    """Return minus the second derivatives of the log-likelihood by coordinates, shape (k, k).

    By central differences, or from the slope ``before`` each step: half the work, and four digits.
    """
    k = len(chart.units)
    out = np.empty((k, k))
    for j, step in enumerate(_STEP * np.eye(k)):
        after = chart.slope(point(chart.data, chart.root(step), reml, residual).slope)
        if before is None:
            opposite = chart.slope(point(chart.data, chart.root(-step), reml, residual).slope)
            out[j] = (opposite - after) / (2 * _STEP)
        else:
            out[j] = (before - after) / _STEP
    return (out + out.T) / 2


def _information(chart: _Chart, reml: bool, here: Point) -> Array:
    """Return the observed information of the coordinates and of the log residual variance, shape (k + 1, k + 1)."""
    k = len(chart.units)
    out = np.empty((k + 1, k + 1))
    out[:k, :k] = _curvature(chart, reml, here.residual)
    nothing = np.zeros(k)
    twice = chart.slope(point(chart.data, chart.root(nothing), reml, 2 * here.residual).slope)
    # the part of the slope that the residual variance divides: twice what doubling it takes away
    out[:k, k] = out[k, :k] = 2 * (chart.slope(here.slope) - twice)
    out[k, k] = here.squares / (2 * here.residual)
    return out


def _saddle(chart: _Chart, reml: bool, here: Point, bend: Array | None = None) -> tuple[float, Array]:
    """Return the rise of the log-likelihood along a direction of zero slope, and where; 0 at a maximum."""
    values, vectors = np.linalg.eigh(_curvature(chart, reml) if bend is None else bend)
    best, where = 0.0, np.zeros(len(values))
    for value, way in zip(values, vectors.T, strict=True):
        if value < -_FLAT * max(float(np.abs(values).max()), 1.0):
            for length in (0.1, 0.3, 1.0, 3.0):
                for at in (length * way, -length * way):
                    rise = point(chart.data, chart.root(at), reml).loglik - here.loglik
                    if rise > max(best, 1e-9):
                        best, where = rise, at
    return best, where


def _at_boundary(chart: _Chart, here: Point, reml: bool) -> bool:
    """Tell whether the log-likelihood is as high without one of the variances."""
    q, less = len(chart.axes), []
    for j in range(len(chart.deviations)):
        kept = chart.deviations.copy()
        kept[j] = 0.0
        less.append(composed(chart.axes @ np.diag(kept[:q]), kept[q:], chart.data.widths))
    return any(here.loglik - point(chart.data, one, reml).loglik <= _NO_GAIN for one in less)

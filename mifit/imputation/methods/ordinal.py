"""Ordered levels: one set of coefficients and a cut point between neighbours; proportional odds, or ordered probit."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit, log_ndtr, ndtri

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Problem, Sketch, estimate, repeated, sketched
from ..numerics.newton import Likelihood, Peak, Thinned, draw, squares
from ..numerics.separation import AUGMENTED, Columns, Extra, augmentation, columns, observed
from ..numerics.shrinkage import shared
from .multinomial import draw_levels

__all__ = ["Ordinal", "OrdinalFitted"]

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ordinal:
    """Ordered levels, drawn from a proportional-odds regression whose parameters are drawn first.

    Parameters
    ----------
    link : {"logit", "probit"}
    shrink : bool, default False
        Whether the coefficients of the levels of one predictor share a normal prior around 0, its spread estimated:
        rare levels borrow strength.

    Notes
    -----
    The model is logit P(Y <= k) = cut_k - X beta (or its probit); the constant column takes no part.

    1. Find the estimates of beta and the cut points; the log-likelihood is concave in them.
    2. Draw (beta, cut_1, log(cut_2 - cut_1), ...) from their normal approximation, once per fit: cut points stay
       ordered.
    3. Draw each value from its probabilities.

    A level without a row in the fit is merged with its neighbour: the cut points around it coincide and it is
    never drawn. The levels of a count are the counts that were observed: a bounded score that has a 0 stays one of
    its possible values.

    References
    ----------
    McCullagh, P. (1980). Regression models for ordinal data. *Journal of the Royal Statistical Society B* 42(2),
    109-142.
    """

    link: str = "logit"
    shrink: bool = False
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.ORDINAL, Kind.BINARY, Kind.COUNT})
    reference: ClassVar[str] = (
        "McCullagh, P. (1980). Regression models for ordinal data. Journal of the Royal Statistical Society B "
        "42(2), 109-142. doi:10.1111/j.2517-6161.1980.tb01109.x"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), unseen=False, weighted=True, truncates=False, linear=True, curvature=True,
        called="proportional-odds regression", link="the log odds of a higher level, cut points aside",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> OrdinalFitted:
        """Estimate, then draw coefficients and cut points."""
        X, y, n_levels = visit.X, visit.y, _levels_of(visit)
        levels, position, count, events = observed(y, n_levels)
        events = () if visit.kind is Kind.COUNT and len(levels) else events
        coef, many, width = np.zeros(X.shape[1]), len(levels), X.shape[1] - 1
        if many < 2:
            return OrdinalFitted(coef, _over_levels(np.zeros(0), levels, n_levels), visit.warm, events, link=self.link)
        peak = repeated(visit.warm, X.shape, many, n_levels, lambda: _Cumulative(X, position, many, visit))
        if peak is not None and _ordered(peak.estimate[width:]):
            coef[1:], cuts = _draw(peak, width, rng)
            return OrdinalFitted(coef, cuts, visit.warm.then(peak, len(y)))
        found = columns(X, visit.terms, visit.squares())
        peak, warm_start, said = estimate(
            self._problem(visit, found, position, count), found, levels, visit.warm, len(y)
        )
        coef[found.kept[1:]], cuts = _draw(peak, len(found.kept) - 1, rng)
        cuts = _over_levels(cuts, levels, n_levels)
        return OrdinalFitted(coef, cuts, warm_start, found.events + events + said, found.dropped, self.link)

    def log_likelihood(self, visit: Visit) -> float:
        """Largest log-likelihood of the observed levels: what a plan compares with that of other models."""
        found = columns(visit.X, visit.terms)
        levels, position, count, _ = observed(visit.y, _levels_of(visit))
        return estimate(self._problem(visit, found, position, count), found, levels, None, len(visit.y)).peak.value

    def _problem(self, visit: Visit, found: Columns, position: Codes, count: Array) -> Problem:
        """Likelihood, its rescue, and what stands for them."""
        X, n_fit, many, weights = found.X[:, 1:], len(position), len(count), visit.weights
        offset = np.zeros(n_fit) if visit.offset is None else visit.offset
        width, share = X.shape[1], count / n_fit
        below = np.cumsum(share)[:-1]
        cuts = ndtri(below) if self.link == "probit" else np.log(below / (1 - below))
        null = np.concatenate([np.zeros(width), cuts + offset.mean()])
        # Whitehead 1993, Statistics in Medicine 12, 2257-2271: the information per row without effects
        yardstick = np.full(len(null), np.inf)
        yardstick[:width] = found.unit[1:] * 3 / (1 - np.sum(share**3))

        def likelihood(rescue: bool) -> Likelihood:
            cumulative = _probit if self.link == "probit" else _cumulative
            return cumulative(X, position, many, augmentation(X, many, first=0) if rescue else None, offset, weights)

        some = None if self.link == "probit" or weights is not None else sketched(position, many, width)
        return Problem(
            likelihood, null, yardstick, AUGMENTED.format(2 * width * many),
            some and Sketch(
                _cumulative(X[some], position[some], many, None, offset[some]),
                functools.partial(_cumulative(X, position, many, None, offset), some=some),
            ),
            groups=np.append(shared(visit.terms[found.kept])[1:], np.full(many - 1, -1)) if self.shrink else None,
            valid=lambda theta: _ordered(theta[width:]), keeps_curvature=self.link == "logit",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class OrdinalFitted:
    """Drawn coefficients and cut points of a proportional-odds regression."""

    coef: Array  #: (p,) 0 for the constant and for dropped columns
    cuts: Array  #: (K - 1,) logit P(Y <= k) = cuts[k] - X @ coef; -inf and inf beyond the observed levels
    warm: Any  #: estimates of coefficients and cut points before the draw, columns, levels, whether augmented
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out
    link: str = "logit"

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of every level, shape (n_draw, K)."""
        return self._weigh(X @ self.coef)

    def sample(self, X: Array, rng: np.random.Generator, shift: float | Array = 0.0) -> Array:
        """Draw codes, shape (n_draw,); `shift` is added to X @ coef, so that a positive one raises the level."""
        return draw_levels(self._weigh(X @ self.coef + shift), rng)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log probability of the level that y, shape (n,), has when X @ coef is `linear`, shape (n,).

        A level that no fit row had counts as the next one above it that some row had, or else as the highest.
        """
        edges = _edges(self.cuts)
        level = _fitted_level(y.astype(np.int64), edges)
        if self.link == "probit":
            return _log_between(edges[level] - linear, edges[level + 1] - linear)
        upper, lower = log_expit(edges[level + 1] - linear), log_expit(linear - edges[level])
        return np.asarray(upper + lower + _log_width(edges)[level])

    @property
    def likelihood(self) -> str:
        """Its name where many of them are summed at once; none of a probit."""
        return "cumulative" if self.link == "logit" else ""

    def between(self, y: Array) -> tuple[Array, Array]:
        """Cut points below and above the levels y, each (n,), infinite where there is none."""
        edges = _edges(self.cuts)
        level = _fitted_level(y.astype(np.int64), edges)
        return edges[level], edges[level + 1]

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        low, high = self.between(y)
        below, above = low - linear, high - linear
        if self.link == "probit":
            return _derivatives_between(below, above)
        up, down = expit(below), expit(-above)
        return up - down, up * (1.0 - up) + down * (1.0 - down)

    def _weigh(self, linear: Array) -> Array:
        """Log probability of every level from X @ coef."""
        edges, linear = _edges(self.cuts), linear[:, None]
        if self.link == "probit":
            return _log_between(edges[:-1] - linear, edges[1:] - linear)
        return np.asarray(log_expit(edges[1:] - linear) + log_expit(linear - edges[:-1]) + _log_width(edges))


def _levels_of(visit: Visit) -> int:
    """How many levels there are; of a count those up to the largest one."""
    return int(np.max(visit.y, initial=0.0)) + 1 if visit.kind is Kind.COUNT else visit.n_levels


def _edges(cuts: Array) -> Array:
    """Return the cut points between -inf and inf, shape (K + 1,)."""
    return np.concatenate([[-np.inf], cuts, [np.inf]])


def _fitted_level(level: Codes, edges: Array) -> Codes:
    """Levels, those without a row in the fit replaced by the neighbour that they are merged with."""
    known = np.flatnonzero(edges[1:] > edges[:-1])
    if len(known) == len(edges) - 1 and level.max(initial=0) < len(known):
        return level
    return known[np.minimum(np.searchsorted(known, level), len(known) - 1)]


def _log_between(lower: Array, upper: Array) -> Array:
    """Log probability of a standard normal between two points; -inf where they coincide."""
    mirrored = lower > 0.0  # the lower tail keeps its digits
    low, high = np.where(mirrored, -upper, lower), np.where(mirrored, -lower, upper)
    top = log_ndtr(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = top + np.log(-np.expm1(log_ndtr(low) - top))
    return np.where(high > low, found, -np.inf)


def _derivatives_between(lower: Array, upper: Array) -> tuple[Array, Array]:
    """First derivative of :func:`_log_between` by a shift of the normal, and minus the second, each (n,)."""
    share = _log_between(lower, upper)
    ends = [np.where(np.isfinite(end), end, 0.0) for end in (lower, upper)]
    low, high = (
        np.where(np.isfinite(end), np.exp(-0.5 * point * point - share) / np.sqrt(2 * np.pi), 0.0)
        for end, point in zip((lower, upper), ends, strict=True)
    )
    first = low - high
    return first, np.maximum(first * first + high * ends[1] - low * ends[0], 0.0)


def _log_width(edges: Array) -> Array:
    """Log of 1 - exp(-width) of every level, shape (K,); -inf where its cut points coincide."""
    # P = s(u) - s(l) = s(u) s(-l) (1 - exp(l - u)), s the logistic function: no difference of near equals.
    apart = edges[1:] > edges[:-1]
    width = np.subtract(edges[1:], edges[:-1], out=np.zeros(len(apart)), where=apart)
    return np.log(-np.expm1(-width), out=np.full(len(apart), -np.inf), where=apart)


def _ordered(cuts: Array) -> bool:
    """Whether cut points rise."""
    return bool(np.all(np.diff(cuts) > 0))


def _over_levels(cuts: Array, levels: Codes, n_levels: int) -> Array:
    """Repeat the cut points between observed levels for all K levels, shape (K - 1,)."""
    if not len(levels):
        share = np.arange(1, n_levels) / n_levels
        return np.log(share / (1 - share))
    return _edges(cuts)[np.searchsorted(levels, np.arange(n_levels - 1), side="right")]


def _draw(peak: Peak, slopes: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the coefficients, and the cut points on the scale of their log distances."""
    move = draw(np.zeros(len(peak.estimate)), peak.root, rng)
    beta, cuts = peak.estimate[:slopes] + move[:slopes], peak.estimate[slopes:]
    gap = np.diff(cuts)
    # At the peak the move of log(gap) is the move of the gap over the gap (the delta method is exact for N(., I^-1)).
    stretch = np.exp(np.clip(np.diff(move[slopes:]) / gap, -50, 50))
    return beta, cuts[0] + move[slopes] + np.concatenate([[0.0], np.cumsum(gap * stretch)])


def _augmented(
    X: Array, position: Codes, extra: Extra | None, offset: Array, prior: Array | None
) -> tuple[Array, Codes, Array, Array]:
    """Design, levels, known parts and weights of the rows and of those added to them, whose known part is the mean."""
    weight = np.ones(len(position)) if prior is None else prior
    if extra is None:
        return X, position, offset, weight
    many = len(extra.X)
    return (
        np.vstack([X, extra.X]), np.concatenate([position, extra.level]),
        np.concatenate([offset, np.full(many, offset.mean())]), np.concatenate([weight, np.full(many, extra.weight)]),
    )  # fmt: skip


def _cumulative(
    X: Array, position: Codes, n_levels: int, extra: Extra | None, offset: Array, prior: Array | None = None
) -> Thinned:
    """Weighed log-likelihood of proportional odds in the coefficients and the cut points; X has no constant."""
    X, position, offset, weight = _augmented(X, position, extra, offset, prior)
    p = X.shape[1]
    inner = np.bincount(position, weight, n_levels)[1:-1].astype(np.float64)

    def likelihood(theta: Array, some: slice | None = None) -> tuple[float, Array, Array]:
        gap = np.diff(theta[p:])
        if np.any(gap <= 0):
            return -np.inf, theta, np.eye(len(theta))
        edges, linear = _edges(theta[p:]), X @ theta[:p] + offset
        up, lost = _tail(linear - edges[position + 1])
        down, missed = _tail(edges[position] - linear)
        value = inner @ np.log(-np.expm1(-gap)) - weight @ (lost + missed)
        pull = inner / np.expm1(np.minimum(gap, 600.0))
        at_cut = np.bincount(position, weight * up, n_levels)[:-1] - np.bincount(position, weight * down, n_levels)[1:]
        gradient = np.concatenate([X.T @ (weight * (down - up)), at_cut])
        gradient[p + 1 :] += pull
        gradient[p:-1] -= pull
        chosen = slice(None) if some is None else some
        design, level = X[chosen], position[chosen]
        above, below = ((weight * side * (1.0 - side))[chosen] for side in (up, down))
        hessian = _curvature(design, level, above, below, n_levels)
        if some is not None:
            hessian *= len(X) / len(design)
        _bend(hessian[p:, p:], inner, gap)
        return float(value), gradient, hessian

    return likelihood


class _Cumulative:
    """The slope and the curve of :func:`_cumulative`, in few steps; X has the constant that its design lacks."""

    def __init__(self, X: Array, position: Codes, n_levels: int, visit: Visit) -> None:
        self.X, self.n_levels, self.offset, self.weight = X[:, 1:], n_levels, visit.offset, visit.weights
        self.position, self.above = position, position + 1
        self.inner = np.bincount(position, visit.weights, n_levels)[1:-1].astype(np.float64)

    def _tails(self, theta: Array) -> tuple[Array, Array, Array]:
        """What lies beyond the cut points above and below each row, and the gradient."""
        p, weight = self.X.shape[1], self.weight
        edges, linear = _edges(theta[p:]), self.X @ theta[:p]
        if self.offset is not None:
            linear += self.offset
        with np.errstate(over="ignore"):
            up = 1.0 / (1.0 + np.exp(edges.take(self.above) - linear))
            down = 1.0 / (1.0 + np.exp(linear - edges.take(self.position)))
        gradient = np.empty(len(theta))
        over, under = (up, down) if weight is None else (weight * up, weight * down)
        gradient[:p] = (under - over) @ self.X
        gradient[p:] = np.bincount(self.position, over, self.n_levels)[:-1]
        gradient[p:] -= np.bincount(self.position, under, self.n_levels)[1:]
        pull = self.inner / np.expm1(np.minimum(np.diff(theta[p:]), 600.0))
        gradient[p + 1 :] += pull
        gradient[p:-1] -= pull
        return up, down, gradient

    def slope(self, theta: Array) -> Array:
        """Gradient."""
        return self._tails(theta)[2]

    def curve(self, theta: Array) -> tuple[Array, Array]:
        """Gradient and Hessian."""
        p = self.X.shape[1]
        if not _ordered(theta[p:]):
            return theta, np.zeros((len(theta), len(theta)))
        up, down, gradient = self._tails(theta)
        above, below = up - up * up, down - down * down
        if self.weight is not None:
            above, below = self.weight * above, self.weight * below
        hessian = _curvature(self.X, self.position, above, below, self.n_levels)
        _bend(hessian[p:, p:], self.inner, np.diff(theta[p:]))
        return gradient, hessian


def _tail(x: Array) -> tuple[Array, Array]:
    """Logistic function of x, and minus the log of one minus it."""
    tail = np.exp(-np.abs(x))
    total = 1.0 + tail
    return np.where(x >= 0, 1.0, tail) / total, np.maximum(x, 0.0) + np.log(total)


def _probit(
    X: Array, position: Codes, n_levels: int, extra: Extra | None, offset: Array, prior: Array | None = None
) -> Likelihood:
    """Weighed log-likelihood of an ordered probit in the coefficients and the cut points; X has no constant."""
    X, position, offset, weight = _augmented(X, position, extra, offset, prior)
    rows, (n, p) = np.arange(len(X)), X.shape
    log_root = 0.5 * np.log(2 * np.pi)

    def likelihood(theta: Array) -> tuple[float, Array, Array]:
        if np.any(np.diff(theta[p:]) <= 0):
            return -np.inf, theta, np.eye(len(theta))
        edges, linear = _edges(theta[p:]), X @ theta[:p] + offset
        low, high = edges[position] - linear, edges[position + 1] - linear
        log_share = _log_between(low, high)
        down, up = (np.exp(-0.5 * at * at - log_root - log_share) for at in (low, high))  # density over probability
        at_low, at_high = (np.where(np.isfinite(at), at, 0.0) for at in (low, high))
        both = weight * down * up
        slope, curve = np.zeros((n, n_levels + 1)), np.zeros((n, n_levels + 1))
        slope[rows, position], slope[rows, position + 1] = -weight * down, weight * up
        low_low, high_high = weight * down * (at_low - down), -weight * up * (at_high + up)
        curve[rows, position], curve[rows, position + 1] = low_low + both, high_high + both
        slope, curve = slope[:, 1:-1], curve[:, 1:-1]
        gradient = np.concatenate([-(X.T @ slope.sum(axis=1)), slope.sum(axis=0)])
        hessian = np.zeros((len(theta), len(theta)))
        hessian[:p, :p] = (X * curve.sum(axis=1)[:, None]).T @ X
        hessian[:p, p:] = -(X.T @ curve)
        hessian[p:, :p] = hessian[:p, p:].T
        cuts = np.arange(p, len(theta))
        beside = np.bincount(position, both, n_levels)[1:-1]
        hessian[cuts, cuts] = curve.sum(axis=0)
        hessian[cuts[:-1], cuts[:-1]] -= beside
        hessian[cuts[1:], cuts[1:]] -= beside
        hessian[cuts[:-1], cuts[1:]] += beside
        hessian[cuts[1:], cuts[:-1]] += beside
        return float(weight @ log_share), gradient, hessian

    return likelihood


def _curvature(X: Array, position: Codes, above: Array, below: Array, n_levels: int) -> Array:
    """Hessian from the second derivatives at the cut points above and below each row, each (n,)."""
    p = X.shape[1]
    hessian = np.zeros((p + n_levels - 1, p + n_levels - 1))
    hessian[:p, :p] = -squares(X, above + below)
    for cut in range(n_levels - 1):
        curve = np.where(position == cut, above, 0.0)
        np.copyto(curve, below, where=position == cut + 1)
        hessian[p + cut, :p] = curve @ X
        hessian[p + cut, p + cut] = -curve.sum()
    hessian[:p, p:] = hessian[p:, :p].T
    return hessian


def _bend(hessian: Array, inner: Array, gap: Array) -> None:
    """Add what the widths between cut points contribute to their own block of the Hessian, shape (L - 1, L - 1)."""
    bend = inner / (4 * np.sinh(np.minimum(gap, 600.0) / 2) ** 2)
    lower = np.arange(len(gap))
    upper = lower + 1
    hessian[lower, lower] -= bend
    hessian[upper, upper] -= bend
    hessian[lower, upper] += bend
    hessian[upper, lower] += bend

"""Poisson regression: counts whose variance equals their mean, the log mean linear in the predictors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, pdtrc

from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Facts, Offers, Visit
from ..numerics.fit import Estimate, Problem, estimate
from ..numerics.newton import Likelihood, draw
from ..numerics.priors import weak_prior
from ..numerics.separation import NEVER, Columns, columns

__all__ = [
    "SHRUNK", "Poisson", "PoissonFitted", "all_zero", "ceiling", "mean_of", "poisson", "poisson_estimate", "support",
]  # fmt: skip

LARGEST = 4096  #: counts beyond this are not enumerated unless the data reach a quarter of it
TAIL = 1e-8  #: probability left out above the support
CLIP = 300.0  #: log means are held below this while climbing
SHRUNK = "separation: slopes shrunk by a N(0, 2.5^2) prior (Gelman et al. 2008)"
NO_LEVELS: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Poisson:
    """Counts, drawn from a Poisson regression whose coefficients are drawn first.

    Notes
    -----
    1. Find the estimate b and the information I of the log-likelihood with a log link.
    2. Draw the coefficients from N(b, I^-1), once per fit.
    3. Draw each value from its Poisson distribution.

    Where the likelihood has no top (a group with zeros only) the slopes of the standardised predictors get a
    N(0, 2.5^2) prior. The log link extrapolates exponentially, so means are held below a quarter of the largest
    count that can be enumerated: 4096, or four times the largest count seen. Inside the data that never binds.

    References
    ----------
    Nelder, J. A. and Wedderburn, R. W. M. (1972). Generalized linear models. *Journal of the Royal Statistical
    Society A* 135(3), 370-384.

    Gelman, A., Jakulin, A., Pittau, M. G. and Su, Y.-S. (2008). A weakly informative default prior distribution
    for logistic and other regression models. *Annals of Applied Statistics* 2(4), 1360-1383.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.COUNT})
    reference: ClassVar[str] = (
        "Nelder, J. A. and Wedderburn, R. W. M. (1972). Generalized linear models. Journal of the Royal "
        "Statistical Society A 135(3), 370-384. doi:10.2307/2344614"
    )
    facts: ClassVar[Facts] = Facts(
        offers=Offers(levels=True), truncates=False, offset=True, lowest=0.0, doubted="count",
        called="Poisson regression", link="the log of the mean",
    )  # fmt: skip

    def fit(self, visit: Visit, rng: np.random.Generator) -> PoissonFitted:
        """Estimate, then draw the coefficients."""
        X, y = visit.X, visit.y
        if not np.any(y > 0):
            return PoissonFitted(*all_zero(X.shape[1]), visit.warm)
        found = columns(X, visit.terms)
        peak, warm_start, events = poisson_estimate(found, y, visit.warm, visit.offset)
        coef = np.zeros(X.shape[1])
        coef[found.kept] = draw(peak.estimate, peak.root, rng)
        return PoissonFitted(coef, ceiling(y), warm_start, found.events + events, found.dropped)


@dataclass(frozen=True, slots=True, eq=False)
class PoissonFitted:
    """Drawn coefficients of a Poisson regression."""

    coef: Array  #: (p,) log means are X @ coef; 0 for dropped columns
    largest: int  #: largest count that is enumerated; means are held below a quarter of it
    warm: Any  #: estimate before the draw, columns, nothing, whether shrunk
    events: tuple[str, ...] = ()
    dropped: tuple[int, ...] = ()  #: terms left out

    def mean(self, X: Array, shift: float = 0.0) -> Array:
        """Means, shape (n_draw,), in counts."""
        return mean_of(X @ self.coef + shift, self.largest)

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of the counts 0..K - 1, shape (n_draw, K), K - 1 beyond every row's 1 - 1e-8 quantile."""
        mean = self.mean(X)
        top = float(np.max(mean, initial=0.0))
        counts = support(lambda k: float(pdtrc(k, top)), top, self.largest)
        return np.asarray(np.log(mean)[:, None] * counts - mean[:, None] - gammaln(counts + 1))

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw counts, shape (n_draw,); `shift` is added to the log mean."""
        return rng.poisson(self.mean(X, shift)).astype(np.float64)

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log of (mean / y)^y exp(y - mean) for counts y and log means `linear`, shape (n,)."""
        positive = y > 0
        # y (d - (e^d - 1)) with d = log(mean / y): no difference of large logarithms
        distance = np.minimum(linear - np.log(np.where(positive, y, 1.0)), 2 * CLIP)
        excess = np.expm1(distance)
        value = np.where(positive, y * (distance - excess), -1.0 - excess)
        return np.asarray(np.where(y < 0, -np.inf, np.minimum(value, 0.0)))

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of :meth:`log_accept` by `linear`, and minus the second, each (n,)."""
        mean = np.exp(np.minimum(linear, CLIP))
        return y - mean, mean


def all_zero(p: int) -> tuple[Array, int]:
    """Coefficients and largest count of a variable that was never above 0: it stays there."""
    coef = np.zeros(p)
    coef[:1] = -NEVER
    return coef, LARGEST


def mean_of(linear: Array, largest: int) -> Array:
    """Return means above 0 and at most a quarter of the largest count that is enumerated."""
    return np.asarray(np.exp(np.clip(linear, -2 * CLIP, np.log(largest / 4))))


def ceiling(y: Array) -> int:
    """Return the largest count worth enumerating: beyond anything the data make plausible."""
    return max(LARGEST, 4 * int(np.max(y)))


def support(survival: Callable[[int], float], mean: float, largest: int) -> Array:
    """Counts 0, 1, ... up to where no more than 1e-8 of the probability lies beyond, shape (K,).

    Parameters
    ----------
    survival : callable
        Probability of more than k, for the row with the largest mean.
    mean : float
        That mean, in counts.
    largest : int
        The support never goes further; what is cut off is spread over the rest.

    Returns
    -------
    ndarray, shape (K,)
    """
    upper = min(int(mean + 6 * np.sqrt(mean)) + 8, largest)
    while upper < largest and survival(upper) > TAIL:
        upper = min(upper + upper // 4 + 8, largest)
    return np.arange(upper + 1, dtype=np.float64)


def poisson_estimate(found: Columns, y: Array, warm: Any, offset: Array | None = None) -> Estimate:
    """Estimate a Poisson regression, under a weak prior where it has no finite estimate."""
    centre = float(np.mean(y))
    null = np.zeros(len(found.kept))
    null[0] = np.log(centre)
    if offset is not None:
        null[0] = np.log(np.sum(y) / np.sum(np.exp(np.minimum(offset, CLIP))))

    def likelihood(rescue: bool) -> Likelihood:
        plain = poisson(found.X, y, 0.0 if offset is None else offset)
        return weak_prior(plain, found.X) if rescue else plain

    problem = Problem(likelihood, null, found.unit / centre, SHRUNK, keeps_curvature=False)
    return estimate(problem, found, NO_LEVELS, warm, len(y))


def poisson(X: Array, y: Array, offset: Array | float) -> Likelihood:
    """Log-likelihood of a Poisson regression, without the factorials."""

    def likelihood(beta: Array) -> tuple[float, Array, Array]:
        linear = np.minimum(X @ beta + offset, CLIP)
        mean = np.exp(linear)
        root = X * np.sqrt(mean)[:, None]
        return float(y @ linear - np.sum(mean)), X.T @ (y - mean), -(root.T @ root)

    return likelihood

"""The interface between a univariate imputation method and the sampler.

A method is a frozen dataclass whose fields are its options. ``fit`` looks at a :class:`Visit` and draws
the *parameters*; the :class:`Fitted` it returns draws the *values*. Two calls, two sources of uncertainty:
that is what makes an imputation proper, and it lets a sampler propose many times from one parameter draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ..frame.kinds import Kind
from ..typing import Array

__all__ = [
    "Clusters",
    "Cross",
    "Differentiable",
    "Discrete",
    "Facts",
    "Fitted",
    "Method",
    "Offers",
    "Scaled",
    "ScoresOutcome",
    "Visit",
    "facts_of",
]


class Cross(NamedTuple):
    """Cross-products of a linear model on its fit rows, the response centred and scaled."""

    xx: Array  #: (p, p) design with itself
    xy: Array  #: (p,) design with the standardised response
    yy: float  #: the standardised response with itself
    n: float  #: number of fit rows
    centre: float  #: the response is centre + scale * standardised
    scale: float
    before: Array | None = None  #: (p,) sums of squares before rows were subtracted, if they were


class Clusters(NamedTuple):
    """Which cluster each fit row belongs to, and what differs between clusters."""

    codes: npt.NDArray[np.int64]  #: (n_fit,)
    many: int  #: clusters, those without a fit row too
    Z: Array  #: (n_fit, w) columns whose effects differ by cluster: a column of ones for their level
    widths: tuple[int, ...] = ()  #: how many of the last columns share one variance, for each further component


@dataclass(slots=True)
class Visit:
    """What a method sees of one variable at one moment; read-only.

    *fit* rows are the observed ones in plain chained equations and all rows in a compatible draw: a method
    never needs to know which.
    """

    y: Array  #: (n_fit,) the variable, in the user's units; level codes 0..K-1 for discrete kinds
    X: Array  #: (n_fit, p) predictors: a column of ones first, the others centred and scaled near 1
    terms: npt.NDArray[np.int64]  #: (p,) the term each column belongs to; terms are dropped whole
    kind: Kind
    n_levels: int = 0  #: levels of a discrete variable; 0 for numbers and counts
    warm: Any = None  #: what the last Fitted of this variable left in ``warm``
    weights: Array | None = None  #: (n_fit,) prior weights of an analysis
    offset: Array | None = None  #: (n_fit,) known part of the linear predictor of an analysis
    limits: tuple[Array, Array] | None = None  #: (n_fit,) each: bounds that the variable never leaves
    clusters: Clusters | None = None  #: of a method that has them

    def cross(self) -> Cross:
        """Return the cross-products of the fit rows."""
        centre = float(np.average(self.y, weights=self.weights)) if len(self.y) else 0.0
        z = self.y - centre
        rms = float(np.sqrt(np.mean(z * z))) if len(z) else 0.0
        scale = float(2.0 ** np.round(np.log2(rms))) if rms > 0 and np.isfinite(rms) else 1.0
        z = z / scale
        weighted = self.X if self.weights is None else self.X * self.weights[:, None]
        total = float(z @ z) if self.weights is None else float(z @ (self.weights * z))
        return Cross(weighted.T @ self.X, weighted.T @ z, total, float(len(z)), centre, scale)

    def observed(self) -> npt.NDArray[np.bool_]:
        """Return which of the fit rows hold an observed value, not one that was drawn, shape (n_fit,)."""
        return np.ones(len(self.y), dtype=np.bool_)

    def squares(self) -> tuple[Array, Array | None]:
        """Return the design's cross-products, shape (p, p), and the sums of squares that rows were subtracted from."""
        return self.X.T @ self.X, None

    def linear(self, coef: Array) -> Array:
        """Return the linear predictor of the fit rows, shape (n_fit,) or (n_fit, k)."""
        return self.X @ coef


@runtime_checkable
class Fitted(Protocol):
    """Drawn parameters, ready to draw values."""

    @property
    def warm(self) -> Any:
        """Plain data from which the next fit of the same variable may start."""

    @property
    def events(self) -> tuple[str, ...]:
        """What a reader should know: separation, dropped terms."""

    def sample(self, X: Array, rng: np.random.Generator, shift: float = 0.0) -> Array:
        """Draw one value per row of X, shape (n_draw,); ``shift`` is added on the linear scale."""
        ...


@runtime_checkable
class Scaled(Fitted, Protocol):
    """A continuous own factor: normal on its scale."""

    def mean_sd(self, X: Array) -> tuple[Array, Array | float]:
        """Mean, shape (n_draw,), and standard deviation, one for all or each, both on the method's scale."""
        ...

    def forward(self, values: Array) -> Array:
        """From the user's units to the method's scale."""
        ...

    def backward(self, scaled: Array) -> Array:
        """From the method's scale to the user's units; NaN outside the range of the scale."""
        ...

    def log_density(self, values: Array, X: Array) -> Array:
        """Log density of values in the user's units, shape (n_draw,)."""
        ...


@runtime_checkable
class Discrete(Fitted, Protocol):
    """A discrete own factor: every level can be weighed; one of two levels may add ``log_odds(X)``, shape (n_draw,)."""

    def log_probabilities(self, X: Array) -> Array:
        """Log probability of each level (codes 0..K-1, or counts 0..K-1), shape (n_draw, K)."""
        ...


@runtime_checkable
class ScoresOutcome(Fitted, Protocol):
    """A fitted model that gives the log-likelihood of its outcome as a function of its predictors."""

    @property
    def coef(self) -> Array:
        """Coefficients, shape (p,) or (p, k): the linear predictor is X @ coef."""

    def log_accept(self, y: Array, linear: Array) -> Array:
        """Log likelihood of y minus its largest possible value (<= 0; -inf outside the domain), shape (n,)."""
        ...


@runtime_checkable
class Differentiable(ScoresOutcome, Protocol):
    """A likelihood with derivatives in closed form: optional, without them samplers take differences.

    Where it is one of those that are summed many at once, its ``likelihood`` says so: "normal" (in a linear predictor
    on the scale of ``standardised``), "bernoulli" (a logit), "categorical" (logits against the first level),
    "cumulative" (a logit between the points of ``between(y)``).
    """

    def derivatives(self, y: Array, linear: Array) -> tuple[Array, Array]:
        """First derivative of ``log_accept`` by ``linear``, and minus the second.

        Each of shape (n,); of k linear predictors (n, k) and (n, k, k). Finite wherever ``linear`` is.
        """
        ...


class Offers(NamedTuple):
    """What the samplers may ask of the fitted half of a method."""

    normal: bool = False  #: ``mean_sd``: values are normal on its scale
    direct: bool = False  #: that scale is the user's own units
    levels: bool = False  #: ``log_probabilities``: every level can be weighed
    donors: bool = False  #: ``sample_within``, ``sample_among``: observed values are copied, among those allowed
    gaussian: bool = False  #: ``standardised``: its outcome is normal in the linear predictor
    components: bool = False  #: ``labelled``: it is so once the component of each row is drawn, of a mixture of normals


class Facts(NamedTuple):
    """What plans and chains know of a method before it is fitted; the defaults hold where a method states none."""

    offers: Offers | None = None  #: what samplers may ask of its fitted half; None: it is tried on some observed values
    density: bool = True  #: whether it has a density; False: it draws copies of observed values
    unseen: bool = True  #: whether it can draw values that were not observed; False: levels, or copies
    weighted: bool = False  #: uses ``Visit.weights`` in chained equations
    truncates: bool = True  #: uses ``Visit.limits``; False: it is fitted as if nothing were cut off
    linear: bool = False  #: its fitted half, a dataclass, uses X only through X @ coef: more coefficients may be 0
    cross: bool = False  #: asks for ``Visit.cross``, which then is kept up to date
    curvature: bool = False  #: goes on from the curvature of its last fit
    opened: bool = False  #: its first fit takes long: chains go on from one on complete rows
    offset: bool = False  #: uses ``Visit.offset``, and its coefficients are one number for each column
    clustered: bool = False  #: draws what each cluster of rows adds to the mean: ``Visit.clusters``
    by_cluster: str = ""  #: the name of the same model with a level of its own for each cluster
    matches: bool = False  #: copies the value of a row whose prediction is near
    errors_learned: bool = False  #: its normal errors may be learned from complete rows instead
    heteroscedastic: bool = False  #: has the option of that name: its residual sd may follow the mean
    tuned: bool = False  #: ``tuned`` takes its constants from observed values when the plan is made
    scores: bool = True  #: whether its fitted half has ``log_accept``, as models of auxiliaries must
    needs: str = ""  #: the extra of mifit that it needs
    survival: bool = False  #: ``bound`` gives it times and events before it is fitted; it has no constant
    lowest: float = -np.inf  #: no value that it draws is below
    doubted: str = ""  #: what its outcome is taken for and need not be: "number", "count", "family"; the data are asked
    called: str = ""  #: its name in a paper
    link: str = ""  #: what its linear predictor gives, where that is not the value itself

    @property
    def donors(self) -> bool:
        """Whether it chooses among observed values those that are allowed."""
        return self.offers is not None and self.offers.donors


def facts_of(method: Any) -> Facts:
    """What a method states of itself in its class variable ``facts``, or what holds where it states nothing."""
    found: Facts = getattr(method, "facts", _UNSTATED)
    return found


_UNSTATED = Facts()


@runtime_checkable
class Method(Protocol):
    """A univariate model: options are fields, what is known of it are class variables; ``facts`` may be among them."""

    kinds: ClassVar[frozenset[Kind]]
    reference: ClassVar[str]  #: complete citations, one a line; the methods paragraph prints them

    def fit(self, visit: Visit, rng: np.random.Generator) -> Fitted:
        """Estimate, then draw the parameters from their posterior."""
        ...

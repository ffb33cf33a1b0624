"""Which sampler draws a column: decided in one place, for the plan that states it and for the chain that runs it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...formula.question import Inverse
from ...frame.table import Column
from ..contract import Method, Offers, Visit, facts_of
from ..methods.check_method import offered

__all__ = [
    "ACCEPTING",
    "NOTHING_KNOWN",
    "Choice",
    "ConstraintKind",
    "Errors",
    "Sampler",
    "choose",
    "multiplies",
    "offers",
]

_PROBED = 200  # observed values on which a method is tried that does not state what it offers
_ONTO = frozenset({"identity", "affine", "log", "log10", "log2", "log1p"})  # expressions that take every number


class Sampler(enum.StrEnum):
    """The ways to draw a column, as plans and reports name them."""

    OWN = "own"  #: a draw from its own model; with bounds, from the part of it that lies between them
    ENUMERATE = "enumerate"  #: every level is weighed
    CLOSED_FORM = "closed form"  #: a draw from the product of normal models
    GIBBS = "Gibbs"  #: the components of mixtures given the value as it stands, then the product of normal models
    STEPS = "steps"  #: Metropolis steps proposed by the product of normal models, the spread of one taken as it stands
    METROPOLIS = "metropolis"  #: proposals around the top of the density, accepted or refused
    GRID = "grid"  #: proposals from the density on a grid of points, accepted or refused
    REJECTION = "rejection"  #: proposals of its own model, accepted or not; rows that wait too long take steps


#: samplers that may refuse a proposal, so that a row keeps its value
ACCEPTING = frozenset({Sampler.STEPS, Sampler.METROPOLIS, Sampler.GRID, Sampler.REJECTION})


class Errors(enum.Enum):
    """How the outcome of a model that contains a column varies around its mean."""

    DECLARED = enum.auto()  #: as its family says
    MIXTURE = enum.auto()  #: as a mixture of normals
    HETEROSCEDASTIC = enum.auto()  #: as a mixture of normals whose spread changes with the column


class ConstraintKind(NamedTuple):
    """What is known of missing values before they are drawn."""

    bounded: bool = False  #: they lie between bounds
    conditional: bool = False  #: conditions of other columns must hold for them


NOTHING_KNOWN = ConstraintKind()


class Choice(NamedTuple):
    """How one column is drawn."""

    sampler: Sampler
    normals: bool = False  #: values, or proposals, are normal on the own model's scale; else the own model draws them
    multiplied: tuple[bool, ...] = ()  #: for each model that contains the column: whether it is part of that normal
    labelled: bool = False  #: the components of its own model are drawn first, given the value as it stands
    summed_out: bool = False  #: the components of one model that contains it are drawn along with the new value
    joint: bool = False  #: so are the components of its own model; those are drawn first only where that fails


def offers(method: Method, column: Column) -> Offers:
    """What the fitted half of a method offers; a method that does not state it is tried on some observed values.

    Parameters
    ----------
    method : Method
    column : Column
        One that the method draws.

    Returns
    -------
    Offers
        Nothing of a method that cannot be fitted without predictors: what it draws serves as proposals.

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.frame.table import read
    >>> from mifit.imputation.methods import Power
    >>> column = read(pd.DataFrame({"x": [1.5, 2.1, None, 3.3]}))["x"]
    >>> offers(Power(), column)
    Offers(normal=True, direct=False, levels=False, donors=False, gaussian=True, components=False)
    """
    known = facts_of(method).offers
    if known is not None:
        return known
    y = column.values[column.observed][:_PROBED].copy()
    visit = Visit(y, np.ones((len(y), 1)), np.zeros(1, dtype=np.int64), column.kind, column.n_levels)
    try:
        with np.errstate(all="ignore"):
            fitted: Any = method.fit(visit, np.random.default_rng(0))
            return offered(fitted, y)
    except Exception:  # whatever code of others raises on a trial
        return Offers()


def multiplies(own: Offers, gaussian: bool, affine: bool, inverse: Inverse | None = None) -> bool:
    """Whether a model that contains a column can be multiplied into the column's own normal.

    Parameters
    ----------
    own : Offers
        Of the column's own model.
    gaussian : bool
        Whether the other model is normal in its linear predictor.
    affine : bool
        Whether that linear predictor is affine in the column; in its expression, where there is an ``inverse``.
    inverse : Inverse, optional
        How the outcome expression is undone that is drawn in place of the column.

    Returns
    -------
    bool
        On a power scale a model that is affine in the column is not affine in what is drawn.
    """
    return own.normal and (own.direct or inverse is not None) and gaussian and affine


def choose(
    own: Offers, multiplied: Sequence[bool] = (), known: ConstraintKind = NOTHING_KNOWN, *,
    inverse: Inverse | None = None, weights: bool = False, offset: bool = False, errors: Sequence[Errors] = (),
    shared: bool = False, straight: bool = True,
) -> Choice:  # fmt: skip
    """Choose the sampler of a column.

    Parameters
    ----------
    own : Offers
        Of its own model.
    multiplied : sequence of bool
        For each other model that contains it, whether :func:`multiplies`.
    known : ConstraintKind
    inverse : Inverse, optional
        How its expression is undone, where that is drawn.
    weights, offset : bool
        Whether its own model is an analysis with weights or an offset.
    errors : sequence of Errors, optional
        Of each other model that contains it; as declared if not given.
    shared : bool
        Whether all rows of an id share its values.
    straight : bool
        Whether the linear predictors of all those models are lines in the column, or in its expression.

    Returns
    -------
    Choice

    Notes
    -----
    A mixture of normals is multiplied as the normal of each row's component. The components of one model can be drawn
    with the value summed out: the draw is exact. So can those of the own model where no other is a mixture. Those of a
    second one, of values that rows share or that are constrained are drawn given the value as it stands: a step of
    Gibbs. A spread that changes with the column is settled by steps of Metropolis where it is the only such and nothing
    else is known. What is left is drawn around the top of the density; beside conditions, or linear predictors that are
    no lines, on a grid.

    Examples
    --------
    >>> choose(Offers(normal=True, direct=True), [True]).sampler.value
    'closed form'
    >>> choose(Offers(normal=True, direct=True), [True, False]).sampler.value
    'metropolis'
    >>> choose(Offers(normal=True, direct=True), [True, False], straight=False).sampler.value
    'grid'
    >>> mixture = Offers(normal=True, direct=True, components=True)
    >>> choose(mixture, [True]).sampler.value
    'closed form'
    >>> choose(mixture, [True], errors=[Errors.MIXTURE]).sampler.value
    'Gibbs'
    """
    multiplied = tuple(multiplied)
    errors = tuple(errors) or (Errors.DECLARED,) * len(multiplied)
    free = not (multiplied or any(known)) and inverse is None
    if own.normal:
        if free:
            return Choice(Sampler.GIBBS if weights and own.components else Sampler.OWN, weights, (), own.components)
        onto = own.direct if inverse is None else inverse.name in _ONTO
        closed = onto and not known.conditional and all(multiplied)
        rest = Sampler.METROPOLIS if straight and not known.conditional else Sampler.GRID
        together = own.components and not (any(known) or shared or weights) and inverse is None
        if together and set(errors) <= {Errors.DECLARED}:
            return Choice(Sampler.CLOSED_FORM if closed else rest, True, multiplied, True, joint=True)
        return _of_normals(own.components, multiplied, errors, closed, closed and not (known.bounded or shared), rest)
    if free or (own.donors and not multiplied):
        return Choice(Sampler.OWN)
    if own.levels and not (weights or offset):
        return Choice(Sampler.ENUMERATE)
    return Choice(Sampler.REJECTION)


def _of_normals(
    labelled: bool, multiplied: tuple[bool, ...], errors: tuple[Errors, ...], closed: bool, free: bool, rest: Sampler
) -> Choice:
    """The sampler of normal models, some of them mixtures; ``closed``: their product is all; ``free``: no bounds.

    ``rest`` draws where their product is not all.
    """
    n_varying = errors.count(Errors.HETEROSCEDASTIC)
    if free and n_varying == 1:
        return Choice(Sampler.STEPS, True, multiplied, labelled, True)
    multiplied = tuple(one and kind is not Errors.HETEROSCEDASTIC for one, kind in zip(multiplied, errors, strict=True))
    if not closed or n_varying:
        return Choice(rest, True, multiplied, labelled)
    mixtures = errors.count(Errors.MIXTURE)
    if labelled or mixtures > 1 or (mixtures and not free):
        return Choice(Sampler.GIBBS, True, multiplied, labelled, free)
    return Choice(Sampler.CLOSED_FORM if multiplied else Sampler.OWN, True, multiplied, False, free)

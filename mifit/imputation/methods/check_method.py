"""The contract test: whether a built-in or user-defined method fulfils its interface."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...errors import PlanError
from ...frame.kinds import Kind
from ...typing import Array
from ..contract import Differentiable, Discrete, Facts, Fitted, Method, Offers, Scaled, ScoresOutcome, Visit, facts_of
from ..numerics.derivatives import along, differences

__all__ = ["check_method", "offered"]

N_FIT, N_DRAW, LEVELS = 60, 400, {Kind.BINARY: 2, Kind.NOMINAL: 4, Kind.ORDINAL: 4}
_NEAR = 1e-3  # of a derivative to the difference that it is compared with


def check_method(method: Method) -> None:
    """Test whether a method keeps its contract, on small data of every kind it serves.

    Asked of every fit: one finite value per row, codes in range; the same generator gives the same draw, another one
    gives other *parameters*; global random state and inputs untouched; it pickles; it can start from its own `warm`.
    Where it states derivatives of its likelihood, they are those of differences.
    Asked of it in sickness: one row to draw, none, an intercept only, collinear columns, scales of 1e9, a constant
    variable, perfect separation, an unused level.

    Parameters
    ----------
    method : Method
        An instance: its options are part of the test.

    Raises
    ------
    PlanError
        When a duty is not kept; the first line names it.

    Examples
    --------
    >>> from mifit.imputation.methods.logistic import Logistic
    >>> check_method(Logistic(firth=True))
    """
    name = type(method).__name__
    kinds = getattr(method, "kinds", None)
    _owe(isinstance(method, Method), name, "has kinds, a reference and fit(visit, rng)", "the class")
    _owe(isinstance(kinds, frozenset) and bool(kinds) and all(isinstance(k, Kind) for k in kinds),
         name, "names its kinds in a frozenset of Kind", "the class")  # fmt: skip
    _owe(isinstance(method.reference, str) and bool(method.reference), name, "cites a reference", "the class")
    _owe(isinstance(facts_of(method), Facts), name, "states what is known of it in mifit's Facts", "the class")
    for kind in sorted(method.kinds, key=lambda k: k.value):
        for patient, visit, X_draw in _patients(kind):
            _examine(method, name, f"{kind.value}, {patient}", visit, X_draw)
        _proper(method, name, kind)


def _owe(kept: bool, name: str, duty: str, where: str) -> None:
    """Refuse a method that does not keep a duty."""
    if not kept:
        raise PlanError(f"{name} does not keep its contract: {duty}.", seen=where, do=f"mifit.check_method({name}())")


def _healthy(kind: Kind) -> tuple[Array, Array]:
    """A variable of the kind and a design of three columns that predict it a little."""
    rng = np.random.default_rng(20240229)
    X = np.column_stack([np.ones(N_FIT), rng.standard_normal((N_FIT, 2))])
    noisy = 0.8 * X[:, 1] - 0.5 * X[:, 2] + rng.standard_normal(N_FIT)
    if kind is Kind.NUMERIC:
        return np.exp(0.5 * noisy) + 1.0, X
    if kind is Kind.COUNT:
        return np.floor(np.exp(0.5 * noisy + 0.5)), X
    ranks = np.argsort(np.argsort(noisy, kind="stable"), kind="stable")
    return np.floor(ranks * LEVELS[kind] / N_FIT), X


def _visit(y: Array, X: Array, kind: Kind) -> Visit:
    """A visit without history."""
    return Visit(y, X, np.arange(X.shape[1], dtype=np.int64), kind, LEVELS.get(kind, 0))


def _patients(kind: Kind) -> Iterator[tuple[str, Visit, Array]]:
    """Name, fit data and rows to draw: one healthy, then the sick."""
    y, X = _healthy(kind)
    yield "an ordinary variable", _visit(y, X, kind), X
    yield "one missing row", _visit(y, X, kind), X[:1]
    yield "no missing row", _visit(y, X, kind), X[:0]
    yield "one row to fit on", _visit(y[:1], X[:1], kind), X
    yield "two rows to fit on", _visit(y[[0, -1]], X[[0, -1]], kind), X
    yield "an intercept only", _visit(y, X[:, :1], kind), X[:, :1]
    twin = np.column_stack([X, 2 * X[:, 1], np.zeros(N_FIT)])
    yield "collinear and empty columns", _visit(y, twin, kind), twin
    large = X * np.array([1.0, 1e9, 1e-9])
    yield "scales of 1e9 and 1e-9", _visit(y, large, kind), large
    yield "a constant variable", _visit(np.full(N_FIT, y[0]), X, kind), X
    if kind is Kind.COUNT:
        yield "zeros only", _visit(np.zeros(N_FIT), X, kind), X
        rare = np.column_stack([X, np.arange(N_FIT) % 10 == 0])
        yield "a group of zeros only", _visit(np.where(rare[:, 3] > 0, 0.0, y), rare, kind), rare
    if kind in LEVELS:
        apart = np.column_stack([np.ones(N_FIT), y - np.mean(y)])
        yield "perfect separation", _visit(y, apart, kind), apart
        for unused in range(LEVELS[kind]):
            rest = y != unused
            yield f"level {unused} unused", _visit(y[rest], X[rest], kind), X


def _world() -> tuple[Any, ...]:
    """Global random states, as plain values."""
    legacy: Any = np.random.get_state(legacy=True)  # noqa: NPY002 - it must be read to see that it stays
    return legacy[0], tuple(legacy[1].tolist()), *legacy[2:], random.getstate()


def _examine(method: Method, name: str, where: str, visit: Visit, X_draw: Array) -> None:
    """Fit and draw once, and check every requirement."""
    inputs = [visit.y, visit.X, visit.terms, X_draw]
    before, world = [a.copy() for a in inputs], _world()
    fitted = method.fit(visit, np.random.default_rng(1))
    _owe(isinstance(fitted, Fitted), name, "fit returns warm, events and sample", where)
    _owe(isinstance(fitted.events, tuple) and all(isinstance(e, str) for e in fitted.events),
         name, "events are a tuple of texts", where)  # fmt: skip
    values = fitted.sample(X_draw, np.random.default_rng(2))
    _values(name, where, visit, fitted, values, len(X_draw))
    again = method.fit(visit, np.random.default_rng(1)).sample(X_draw, np.random.default_rng(2))
    _owe(np.array_equal(values, again), name, "the same generator gives the same draw", where)
    again = _copy(name, where, fitted).sample(X_draw, np.random.default_rng(2))
    _owe(np.array_equal(values, again), name, "a pickled fit draws the same values", where)
    warm = Visit(visit.y, visit.X, visit.terms, visit.kind, visit.n_levels, fitted.warm)
    next_time = method.fit(warm, np.random.default_rng(3)).sample(X_draw, np.random.default_rng(4), 0.5)
    _values(name, f"{where}, warm and shifted", visit, fitted, next_time, len(X_draw))
    _faces(name, where, fitted, visit, X_draw, values)
    same = all(np.array_equal(a, b) for a, b in zip(inputs, before, strict=True))
    _owe(same, name, "inputs stay as they were", where)
    _owe(_world() == world, name, "the global random state is left alone", where)


def _copy(name: str, where: str, fitted: Fitted) -> Fitted:
    """Send the fit and its warm start through a pickle."""
    try:
        pickle.loads(pickle.dumps(fitted.warm))
        copy: Fitted = pickle.loads(pickle.dumps(fitted))
    except Exception as reason:
        raise PlanError(f"{name} does not keep its contract: it pickles.", seen=where, because=reason) from reason
    return copy


def _values(name: str, where: str, visit: Visit, fitted: Fitted, values: Array, n_draw: int) -> None:
    """Values are float64, one per row, finite, and possible."""
    _owe(isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == (n_draw,),
         name, "sample returns float64, one value per row", where)  # fmt: skip
    _owe(bool(np.all(np.isfinite(values))), name, "values are finite", where)
    # a continuous method may serve counts: they are rounded to the dtype only in the completed set
    if visit.kind is Kind.NUMERIC or isinstance(fitted, Scaled):
        return
    _owe(bool(np.all(values == np.floor(values))), name, "codes and counts are whole numbers", where)
    top = visit.n_levels - 1 if visit.kind in LEVELS else np.inf
    _owe(bool(np.all((values >= 0) & (values <= top))), name, "codes and counts are in range", where)
    if visit.kind in LEVELS:
        _owe(bool(np.all(np.isin(values, visit.y))), name, "a level without a row is never drawn", where)


def _faces(name: str, where: str, fitted: Fitted, visit: Visit, X: Array, values: Array) -> None:
    """Checks of a discrete fit, a continuous one and one with a likelihood, beyond their values."""
    if isinstance(fitted, Discrete):
        weights = fitted.log_probabilities(X)
        _owe(len(weights) == len(X), name, "log_probabilities gives one row per row of X", where)
        _owe(visit.kind not in LEVELS or weights.shape[1] == visit.n_levels, name, "one column per level", where)
        _owe(bool(np.all(np.abs(np.exp(weights).sum(axis=1) - 1) < 1e-6)), name, "probabilities sum to 1", where)
    if isinstance(fitted, Scaled):
        mean, sd = fitted.mean_sd(X)
        _owe(mean.shape == (len(X),), name, "mean_sd gives one mean per row", where)
        if np.all(np.asarray(sd) > 0):  # a constant variable has no density
            density = fitted.log_density(values, X)
            _owe(density.shape == (len(X),), name, "log_density gives one value per row", where)
    if isinstance(fitted, ScoresOutcome):
        verdict = fitted.log_accept(visit.y, visit.linear(fitted.coef))
        _owe(verdict.shape == visit.y.shape, name, "log_accept gives one value per row", where)
        _owe(bool(np.all(verdict <= 0)), name, "log_accept is never above 0", where)


def _proper(method: Method, name: str, kind: Kind) -> None:
    """Two generators at the fit, one and the same at the draw: the values must differ, or no parameter was drawn."""
    y, X = _healthy(kind)
    rows = np.resize(np.arange(N_FIT), 10 * N_DRAW)
    first, second = (method.fit(_visit(y, X, kind), np.random.default_rng(seed)) for seed in (1, 2))
    one, two = (fitted.sample(X[rows], np.random.default_rng(5)) for fitted in (first, second))
    _owe(not np.array_equal(one, two), name, "another generator draws other parameters", kind.value)
    said = facts_of(method).offers
    _owe(said is None or said == offered(first, y), name, "its fitted half offers what facts say", kind.value)
    if isinstance(first, Differentiable):
        _differentiated(name, kind.value, first, y, X)


def _differentiated(name: str, where: str, fitted: Differentiable, y: Array, X: Array) -> None:
    """Its derivatives are those of its ``log_accept``, along each linear predictor and along all of them."""
    linear = X @ fitted.coef
    one, two = fitted.derivatives(y, linear)
    _owe(one.shape == linear.shape and two.shape == linear.shape + linear.shape[1:], name,
         "derivatives gives (n,) and (n,), or (n, k) and (n, k, k)", where)  # fmt: skip
    _owe(bool(np.isfinite(one).all() and np.isfinite(two).all()), name, "derivatives are finite", where)
    lines = [np.ones(linear.shape)]
    if linear.ndim == 2:
        lines += [np.tile(axis, (len(y), 1)) for axis in np.eye(linear.shape[1])]
    for line in lines:
        wanted = differences(lambda step, line=line: fitted.log_accept(y, linear + step * line))  # type: ignore[misc]
        for found, true, what in zip(along(fitted, y, linear, line), wanted, ("first", "second"), strict=True):
            near = np.abs(found - true) <= _NEAR * (1.0 + np.abs(true))
            _owe(bool(near.all()), name, f"its {what} derivative is that of log_accept", where)


def offered(fitted: Any, y: Array) -> Offers:
    """What the fitted half of a method offers, seen from outside; ``y`` holds some values of its variable."""
    normal = hasattr(fitted, "mean_sd")
    return Offers(
        normal, normal and fitted.forward(y) is y, hasattr(fitted, "log_probabilities"),
        hasattr(fitted, "sample_within"), hasattr(fitted, "standardised"), hasattr(fitted, "labelled"),
    )  # fmt: skip

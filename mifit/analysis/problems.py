"""Problems in some of the m fits: each kind reported once, with the numbers of the sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ConvergenceWarning, FitError, MifitWarning, SeparationWarning, listed, warn
from ..typing import Array, Flags

__all__ = [
    "all_events_note",
    "boundary_note",
    "failure",
    "few_groups_note",
    "leverage_note",
    "loose",
    "messages",
    "near_singular_note",
    "notes",
    "rank_error",
    "runs_away",
    "stopped_short",
    "warn_once",
    "warned",
]


#: a linear predictor beyond this, less certain than it is large, has no finite estimate behind it
_FAR = 10.0

#: with fewer groups, what varies between them only needs a t of its own
_MANY_GROUPS = 20

#: condition numbers of centred and scaled columns beyond which estimates depend on a few rows: always, and where
#: another set has a tenth of it
_NEAR_SINGULAR, _NEARER_THAN_OTHERS = 1e4, 1e3

#: what mifit says itself, in one place and with the sets
_SPOKEN = ("ConvergenceWarning", "HessianInversionWarning", "PerfectSeparationWarning", "SingularMatrixWarning")


def runs_away(exog: Array, params: Array, covariance: Array, linear: Array | None = None) -> bool:
    """Tell whether some linear predictor is far out and has a standard error larger than itself.

    That is what an infinite estimate looks like when an optimizer gives up on it: the predictor of the
    separated rows grows like k, its standard error like exp(k / 2).

    Parameters
    ----------
    exog : ndarray, shape (n, p)
    params : ndarray, shape (q,)
        The p coefficients of ``exog`` first.
    covariance : ndarray, shape (q, q)
    linear : ndarray, shape (n,), optional
        The linear predictor on a scale without ends, where its link has some; by default the product of the two.

    Returns
    -------
    bool

    Examples
    --------
    >>> runs_away(np.array([[1.0]]), np.array([24.0]), np.array([[1e6]]))
    True
    >>> runs_away(np.array([[1.0]]), np.array([24.0]), np.array([[4.0]]))
    False
    """
    p = exog.shape[1]
    linear = exog @ params[:p] if linear is None else linear
    far = np.abs(linear) > _FAR / 2
    variance = np.einsum("ij,jk,ik->i", exog[far], covariance[:p, :p], exog[far])
    # A probit's optimizer gives up before 10, where its standard errors are in the thousands.
    return bool((variance > np.where(np.abs(linear[far]) > _FAR, linear[far] ** 2, (_FAR * _FAR) ** 2)).any())


def loose(exog: Array, covariance: Array) -> npt.NDArray[np.int64]:
    """Find the coefficients behind estimates that are not finite.

    Parameters
    ----------
    exog : ndarray, shape (n, p)
    covariance : ndarray, shape (p, p)
        Of the coefficients of ``exog``.

    Returns
    -------
    ndarray, shape (k,)
        Columns whose standard error leaves the linear predictor open by more than 10 over their range.

    Examples
    --------
    >>> loose(np.array([[1.0, 0.0], [1.0, 1.0]]), np.diag([0.04, 1e8]))
    array([1])
    """
    reach = np.ptp(exog, axis=0)
    reach = np.where(reach > 0, reach, np.abs(exog).max(axis=0, initial=0.0))
    variance = np.diag(covariance)
    return np.flatnonzero((variance < 0) | (np.sqrt(np.maximum(variance, 0.0)) * reach > _FAR))


def warned(caught: Sequence[warnings.WarningMessage], name: str) -> bool:
    """Tell whether a statsmodels warning of this name was caught."""
    return any(name in (kind.__name__ for kind in warning.category.__mro__) for warning in caught)


def messages(caught: Sequence[warnings.WarningMessage], healthy: bool = False) -> tuple[str, ...]:
    """Return what statsmodels said that mifit does not say itself, deprecations left out.

    A fit that is at its optimum, by its own score, may have met infinities on the way there; they say nothing of it.
    """
    deprecations = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)
    rest = [w for w in caught if not issubclass(w.category, deprecations) and w.category.__name__ not in _SPOKEN]
    if healthy:
        rest = [w for w in rest if not _on_the_way(w)]
    return tuple(dict.fromkeys(str(w.message) for w in rest))


def _on_the_way(warning: warnings.WarningMessage) -> bool:
    """Tell whether a warning is about arithmetic or about the number of steps."""
    arithmetic = issubclass(warning.category, RuntimeWarning) and " encountered in " in str(warning.message)
    return arithmetic or warning.category.__name__ in ("IterationLimitWarning", "LinAlgWarning")


def notes(
    said: Sequence[tuple[str, ...]], converged: Flags, separated: Flags, infinite: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the notes of a summary about the m fits.

    Examples
    --------
    >>> notes([(), ("overflow in exp",)], np.array([True, False]), np.array([False, False]))
    ('The fit did not converge in set 1.', 'statsmodels in set 1: overflow in exp')
    """
    m, lines = len(said), []
    if not converged.all():
        lines.append(f"The fit did not converge in {_sets(np.flatnonzero(~converged), m)}.")
    if separated.any():
        where = _sets(np.flatnonzero(separated), m)
        of = f" of {', '.join(infinite)}" if infinite else ""
        lines.append(f"The predictors separate the outcome in {where}: the estimate{of} is not finite there.")
    for message in dict.fromkeys(one for each in said for one in each):
        lines.append(f"statsmodels in {_sets([k for k in range(m) if message in said[k]], m)}: {message}")
    return tuple(lines)


def near_singular_note(conditions: Sequence[float]) -> tuple[str, ...]:
    """Return which sets nearly fail to determine their estimates, if any.

    Parameters
    ----------
    conditions : sequence of float
        Condition number of the design of each set, its columns centred and of unit length.

    Examples
    --------
    >>> near_singular_note([9.0, 71616.0])
    ('The design is nearly singular in set 1 (condition number up to 7e+04): the estimates depend on it strongly.',)
    """
    odd = max(_NEARER_THAN_OTHERS, 10 * min(conditions))
    flagged = [k for k, one in enumerate(conditions) if one > min(_NEAR_SINGULAR, odd)]
    if not flagged:
        return ()
    where = _sets(flagged, len(conditions))
    worst = f"condition number up to {max(conditions):.1g}"
    return (f"The design is nearly singular in {where} ({worst}): the estimates depend on {_it(flagged)} strongly.",)


def all_events_note(formula: str) -> str:
    """Return that a Cox model without ``status=`` has no censored row.

    Examples
    --------
    >>> all_events_note("t ~ x")
    "Every row is counted as an event; name the event column: imp.fit('t ~ x', model='phreg', status='event')."
    """
    call = f"imp.fit({formula!r}, model='phreg', status='event')"
    return f"Every row is counted as an event; name the event column: {call}."


def boundary_note(what: str, sets: Sequence[int], m: int, table: bool = False) -> str:
    """Return why parameters of spread are not pooled; with a table of their own the other sets are.

    Examples
    --------
    >>> boundary_note("a variance is at its boundary", [3, 7], 20)
    'a variance is at its boundary in sets 3, 7: such parameters have no standard error there and are not pooled.'
    """
    where = f"{what} in {_sets(sets, m)}: such parameters have no standard error there"
    if table and m - len(sets) > 1:
        return f"{where}; limits of variance components are those of the other {m - len(sets)} sets."
    return f"{where} and are not pooled."


def few_groups_note(n_groups: int, largest: int) -> tuple[str, ...]:
    """Return a note when groups are too few, or too small, for what is said of their variance.

    Parameters
    ----------
    n_groups : int
        0 for a model without random effects.
    largest : int
        Rows of the largest group.

    Examples
    --------
    >>> few_groups_note(12, 5)
    ('Only 12 groups: below 20 the variances between groups are imprecise.',)
    """
    if n_groups and largest == 1:
        return ("No group has two rows: a variance between groups cannot be told from the residual variance.",)
    if not n_groups or n_groups >= _MANY_GROUPS:
        return ()
    return (f"Only {n_groups} groups: below {_MANY_GROUPS} the variances between groups are imprecise.",)


def leverage_note(label: str, cov_type: str) -> str:
    """Return what is said of a correction that the model does not have.

    Examples
    --------
    >>> leverage_note("Logit", "HC3")
    'HC3 corrects for leverage in linear models only: the standard errors of this Logit model are those of HC0.'
    """
    return (
        f"{cov_type} corrects for leverage in linear models only: the standard errors of this {label} model are those "
        "of HC0."
    )


def warn_once(label: str, converged: Flags, separated: Flags, infinite: Sequence[str] = ()) -> None:
    """Warn at most once of each kind of trouble; a separated fit that did not converge counts as separated."""
    m, stuck = len(converged), np.flatnonzero(~converged & ~separated)
    if len(stuck):
        _say(f"{len(stuck)} of {m} {label} fits did not converge: {_sets(stuck)}.", ConvergenceWarning)
    if separated.any():
        of = f" of {', '.join(infinite)}" if infinite else ""
        _say(
            f"the predictors separate the outcome in {separated.sum()} of {m} {label} fits, whose estimates{of} are "
            f"not finite: {_sets(np.flatnonzero(separated))}.",
            SeparationWarning,
        )


def failure(label: str, k: int, exog: pd.DataFrame, error: Exception, outcome: Array | None = None) -> FitError:
    """Return the error for a set that could not be fitted."""
    columns = exog.to_numpy()
    sizes = np.sqrt((columns**2).sum(axis=0))
    if exog.shape[1] and np.linalg.matrix_rank(columns / np.where(sizes > 0, sizes, 1.0)) < exog.shape[1]:
        return rank_error(label, [k], exog)
    numerical = isinstance(error, np.linalg.LinAlgError | FloatingPointError)
    lines = {"often": "the predictors separate the outcome there, or a column is huge"} if numerical else {}
    alone = _of_one_outcome(exog, outcome) if numerical and outcome is not None else []
    if alone:
        lines["columns"] = ", ".join(alone) + "   (one value of the outcome where it is not 0)"
    return FitError(
        f"the {label} fit failed on completed set {k}.",
        said=f"{type(error).__name__}: {error}",
        **lines,
        do=f"imp[{k}]   # that set: fit it alone to see more",
    )


def stopped_short(label: str, k: int, said: str) -> FitError:
    """Return the error for a set whose optimum no optimizer finds."""
    return FitError(
        f"the {label} fit of completed set {k} does not reach its optimum.",
        said=said,
        often="a coefficient without a finite estimate, a nearly singular design, or a level with very few rows",
        do=f"imp[{k}].describe()   # that set: merge rare levels, or leave a term out",
    )


def _of_one_outcome(exog: pd.DataFrame, outcome: Array) -> list[str]:
    """Return the columns that are not 0 only where the outcome has one value."""
    used = exog.to_numpy() != 0
    return [str(n) for n, on in zip(exog.columns, used.T, strict=True) if on.any() and np.ptp(outcome[on]) == 0]


def rank_error(label: str, sets: list[int], exog: pd.DataFrame) -> FitError:
    """Return the error for sets whose design, the first of them given, determines no estimate."""
    return FitError(
        f"the {label} design is not of full rank in {_sets(sets)}: a coefficient has no estimate there.",
        columns=", ".join(_dependent(exog)) + "   (an absent level, or a combination of the columns before)",
        do=f"imp[{sets[0]}]   # that set: leave the term out, or merge its levels",
    )


def _it(sets: Sequence[int]) -> str:
    """Return the pronoun for one set or several."""
    return "it" if len(sets) == 1 else "them"


def _dependent(exog: pd.DataFrame) -> list[str]:
    """Return the names of the columns that those before them determine."""
    columns = exog.to_numpy()
    norms = np.sqrt((columns**2).sum(axis=0))
    sizes = np.abs(np.diag(np.linalg.qr(columns / np.where(norms > 0, norms, 1.0), mode="r")))
    names = [str(name) for name, size in zip(exog.columns, sizes, strict=False) if size < 1e-9]
    return names or [", ".join(map(str, exog.columns))]


def _say(message: str, category: type[MifitWarning]) -> None:
    """Warn at the user's line that led here."""
    warn(message, category)


def _sets(sets: Iterable[int], m: int | None = None) -> str:
    """Return "set 4", "sets 4, 9, 17" or, when m are all, "all 20 sets"."""
    numbers = [int(k) for k in sets]
    if len(numbers) == m:
        return f"all {m} sets"
    return f"set{'s' if len(numbers) > 1 else ''} {listed(numbers, 20)}"

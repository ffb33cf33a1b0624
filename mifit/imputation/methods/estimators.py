"""Estimators in the manner of scikit-learn: recognised, copied with a seed, fitted on one thread; imported late."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import random
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...calls import written
from ...errors import PlanError, StorageError

__all__ = [
    "DOOVE",
    "Absent",
    "alone",
    "code_of_estimator",
    "draws_levels",
    "is_estimator",
    "refuse_without_sklearn",
    "seeded",
]

#: what is cited for draws from trees
DOOVE = (
    "Doove, L. L., van Buuren, S. and Dusseldorp, E. (2014). Recursive partitioning for missing data imputation in "
    "the presence of interaction effects. Computational Statistics & Data Analysis 72, 92-104. "
    "doi:10.1016/j.csda.2013.10.025"
)
_SEEDS = 2**31 - 1  # a seed of numpy's older generator


@dataclass(frozen=True, slots=True)
class Absent:
    """An estimator that a file tells of and does not bring with it."""

    text: str  #: the code that makes it

    def refused(self) -> StorageError:
        """Return the error for what cannot be drawn without it."""
        return StorageError(
            f"the file says that a column is drawn by {self.text:.300}, which it does not bring with it.",
            do=f"imp = mifit.load(path, names={{{self.text!r}: {self.text}}})",
        )


def is_estimator(given: Any) -> bool:
    """Whether something is an estimator, not a method and no class.

    Examples
    --------
    >>> is_estimator("norm"), is_estimator(Absent("Ridge()"))
    (False, True)
    """
    if isinstance(given, type) or hasattr(given, "kinds"):
        return False
    return isinstance(given, Absent) or all(callable(getattr(given, w, None)) for w in ("get_params", "fit", "predict"))


def draws_levels(estimator: Any) -> bool | None:
    """Whether an estimator predicts levels, not numbers; None where it predicts neither, but clusters, say.

    Raises
    ------
    PlanError
        If scikit-learn is not installed.
    """
    if isinstance(estimator, Absent):
        return False
    refuse_without_sklearn(code_of_estimator(estimator))
    from sklearn.base import is_classifier, is_regressor

    return True if is_classifier(estimator) else False if is_regressor(estimator) else None


def refuse_without_sklearn(what: str) -> None:
    """Refuse what needs scikit-learn where it is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        raise PlanError(f"{what:.200} needs scikit-learn, which is not installed.", do='pip install "mifit[sklearn]"')


def code_of_estimator(estimator: Any) -> str:
    """An estimator as the code that makes it: its class, and the parameters that are not at their defaults.

    Examples
    --------
    >>> code_of_estimator(Absent("Ridge(alpha=2.0)"))
    'Ridge(alpha=2.0)'
    """
    return estimator.text if isinstance(estimator, Absent) else written(estimator)


def seeded(estimator: Any, rng: np.random.Generator) -> Any:
    """An unfitted copy whose every ``random_state``, nested ones too, is drawn from a stream.

    Parameters
    ----------
    estimator : estimator
        It stays as it is.
    rng : Generator

    Raises
    ------
    StorageError
        If a file told of the estimator and nobody passed it.
    """
    if isinstance(estimator, Absent):
        raise estimator.refused()
    from sklearn.base import clone

    copy = clone(estimator)
    words = sorted(w for w in copy.get_params(deep=True) if w == "random_state" or w.endswith("__random_state"))
    return copy.set_params(**{word: int(rng.integers(_SEEDS)) for word in words})


@contextlib.contextmanager
def alone(events: list[str]) -> Iterator[None]:
    """One thread, whatever libraries an estimator brings, and random states of its own; warnings become events.

    Some estimators draw from the global random states: they find them the same each time, and leave no trace.
    """
    legacy, plain = np.random.get_state(), random.getstate()  # noqa: NPY002 - put back as it was
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    try:
        with _libraries(len(sys.modules)).limit(limits=1), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(plain)
    events += dict.fromkeys(f"{one.category.__name__}: {str(one.message).partition('.')[0]}" for one in caught)


@functools.lru_cache(maxsize=1)
def _libraries(n_modules: int) -> Any:
    """What limits threads of the libraries that are loaded; looked for again where modules came in."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()

"""Multiple imputation for people who write formulas: impute congenially, fit on every set, pool.

Importing this package gives every DataFrame the accessor ``.mice``; whatever is slow is loaded when it is used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from .accessor import impute, missingness, pattern, plan
from .errors import (
    ClusterWarning,
    CongenialityError,
    CongenialityWarning,
    ConvergenceWarning,
    DataError,
    FitError,
    FormulaError,
    ImputationError,
    IncompleteWarning,
    Interrupted,
    MifitError,
    MifitWarning,
    ModelError,
    PlanError,
    PoolingError,
    SeparationWarning,
    StorageError,
    StorageWarning,
    help,
)

if TYPE_CHECKING:
    from . import datasets, trial
    from .frame.kinds import Kind
    from .imputation.methods import (
        PMM,
        Cart,
        DonorResiduals,
        Forest,
        Learner,
        Logistic,
        LogitNormal,
        Mixed,
        Mixture,
        Multinomial,
        NegBin,
        Normal,
        Ordinal,
        Poisson,
        Power,
        Sample,
        TwoPart,
    )
    from .imputation.methods.check_method import check_method
    from .imputed import ImputedSet, from_frames, from_long, load
    from .planning.advise import advise
    from .planning.ampute import ampute
    from .results.compare import anova
    from .results.external import pool, pool_table
    from .results.pooled import PooledResults
    from .results.statistics import pool_statistics

    __version__: str

__all__ = [
    "PMM",
    "Cart",
    "ClusterWarning",
    "CongenialityError",
    "CongenialityWarning",
    "ConvergenceWarning",
    "DataError",
    "DonorResiduals",
    "FitError",
    "Forest",
    "FormulaError",
    "ImputationError",
    "ImputedSet",
    "IncompleteWarning",
    "Interrupted",
    "Kind",
    "Learner",
    "Logistic",
    "LogitNormal",
    "MifitError",
    "MifitWarning",
    "Mixed",
    "Mixture",
    "ModelError",
    "Multinomial",
    "NegBin",
    "Normal",
    "Ordinal",
    "PlanError",
    "Poisson",
    "PooledResults",
    "PoolingError",
    "Power",
    "Sample",
    "SeparationWarning",
    "StorageError",
    "StorageWarning",
    "TwoPart",
    "__version__",
    "advise",
    "ampute",
    "anova",
    "check_method",
    "datasets",
    "from_frames",
    "from_long",
    "help",
    "impute",
    "load",
    "missingness",
    "pattern",
    "plan",
    "pool",
    "pool_statistics",
    "pool_table",
    "trial",
]

# Where the names live that are loaded on first use; an empty home is the module of that name.
_HOMES = {
    **dict.fromkeys(
        (
            "PMM",
            "Cart",
            "DonorResiduals",
            "Forest",
            "Learner",
            "Logistic",
            "LogitNormal",
            "Mixed",
            "Mixture",
            "Multinomial",
            "NegBin",
            "Normal",
            "Ordinal",
            "Poisson",
            "Power",
            "Sample",
            "TwoPart",
        ),
        "imputation.methods",
    ),
    "ImputedSet": "imputed",
    "Kind": "frame.kinds",
    "PooledResults": "results.pooled",
    "advise": "planning.advise",
    "ampute": "planning.ampute",
    "anova": "results.compare",
    "check_method": "imputation.methods.check_method",
    "datasets": "",
    "from_frames": "imputed",
    "from_long": "imputed",
    "load": "imputed",
    "pool": "results.external",
    "pool_statistics": "results.statistics",
    "pool_table": "results.external",
    "trial": "",
}
logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            found: Any = version("mifit")
        except PackageNotFoundError:  # run from a source tree that was never installed
            found = "0+unknown"
    elif name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    elif _HOMES[name]:
        found = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    else:
        found = importlib.import_module(f".{name}", __name__)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List what is public, loaded or not."""
    return sorted({*globals(), *__all__})

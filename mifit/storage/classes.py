"""The classes that a file may name, each under a plain name that stays when the class moves or is renamed."""

from __future__ import annotations

import dataclasses
import enum
import importlib
from functools import cache
from typing import Any

__all__ = ["CLASSES", "class_named", "fields_in_file", "fields_of", "name_of"]

_METHODS = "Cox Glm Logistic Mixture Multinomial NegBin Normal Ordinal PMM Poisson Power Probit Sample"

#: name in a file -> where the class is; no other class is ever made from a file
CLASSES = {
    "Bounds": "imputation.plan.bounds:Bounds",
    "Cart": "imputation.methods:Cart",
    "Chain": "imputation.sampler.chain:Chain",
    "Coding": "frame.kinds:Coding",
    "Condition": "formula.condition:Condition",
    "DoublePoisson": "imputation.methods:DoublePoisson",
    "DonorResiduals": "imputation.methods:DonorResiduals",
    "ErrorLaw": "imputation.plan.error_law:ErrorLaw",
    "Factor": "imputation.plan.plan:Factor",
    "Forest": "imputation.methods:Forest",
    "Kind": "frame.kinds:Kind",
    "Learner": "imputation.methods:Learner",
    "LogitNormal": "imputation.methods:LogitNormal",
    "Mask": "frame.masks:Mask",
    "Mixed": "imputation.methods.mixed:Mixed",
    "MixedLogistic": "imputation.methods.mixed_logistic:MixedLogistic",
    "MixedPMM": "imputation.methods.mixed_pmm:MixedPMM",
    "MixedPower": "imputation.methods.mixed_power:MixedPower",
    "NB1": "imputation.methods:NB1",
    "Piece": "imputation.plan.plan:Piece",
    "Plan": "imputation.plan.plan:Plan",
    "PowerScale": "imputation.methods.power:PowerScale",
    "Question": "formula.question:Question",
    "Reference": "formula.source:Reference",
    "Seed": "imputation.seed:Seed",
    "Shares": "imputation.methods:Shares",
    "Skip": "imputation.plan.skip_rules:Skip",
    "Terms": "formula.terms:Terms",
    "TwoPart": "imputation.methods:TwoPart",
    "Variable": "imputation.plan.plan:Variable",
    "WarmStart": "imputation.numerics.fit:WarmStart",
    "Wishes": "imputation.plan.options:Options",
    "WorkingLaw": "imputation.plan.working_law:WorkingLaw",
    "ZeroInflated": "imputation.methods:ZeroInflated",
    **{name: f"imputation.methods:{name}" for name in _METHODS.split() if name not in ("Cox", "Glm", "Probit")},
    **{name: f"imputation.methods.{name.lower()}:{name}" for name in ("Cox", "Glm", "Probit")},
}

#: class -> field -> what files call it, where it was renamed
_RENAMED = {
    "Chain": {"imputed": "holes"},
    "Plan": {"options": "wishes"},
    "Power": {"heteroscedastic": "uneven"},
    "WarmStart": {"prior_variance": "spread"},
}

#: class -> fields that no file holds: they are computed from the frame when it is read
_COMPUTED = {"Plan": ("together",)}

#: how files of the first protocol named them: the path of the module then, and the class
_FIRST = {
    "mifit.formula.condition:Condition": "Condition",
    "mifit.formula.question:Question": "Question",
    "mifit.formula.question:Reference": "Reference",
    "mifit.formula.terms:Terms": "Terms",
    "mifit.frame.cells:Mask": "Mask",
    "mifit.frame.kinds:Coding": "Coding",
    "mifit.frame.kinds:Kind": "Kind",
    "mifit.impute.chain:Chain": "Chain",
    "mifit.impute.chain:Seed": "Seed",
    "mifit.impute.limits:Bounds": "Bounds",
    "mifit.impute.limits:Skip": "Skip",
    "mifit.impute.methods.multinomial:Multinomial": "Multinomial",
    "mifit.impute.plan:Factor": "Factor",
    "mifit.impute.plan:Plan": "Plan",
    "mifit.impute.plan:Variable": "Variable",
    "mifit.impute.plan:Wishes": "Wishes",
    "mifit.impute.separation:Left": "WarmStart",
    "mifit.impute.store:Piece": "Piece",
    **{f"mifit.impute.methods.{name.lower()}:{name}": name for name in _METHODS.split()},
    "mifit.impute.methods.norm:Normal": "Normal",
    "mifit.impute.methods.power:PowerScale": "PowerScale",
}


def class_named(name: Any) -> type[Any]:
    """Return the class that a file names.

    Raises
    ------
    ValueError
        If it is none of those that a file may name.

    Examples
    --------
    >>> class_named("Plan").__name__, class_named("mifit.impute.plan:Plan").__name__
    ('Plan', 'Plan')
    """
    plain = _FIRST.get(name, name) if isinstance(name, str) else None
    if plain not in CLASSES:
        raise ValueError(f"it holds a {name!r:.60}")
    return _loaded(CLASSES[plain])


def name_of(kind: type) -> str | None:
    """Return the name of a class in a file, None if a file may not hold it."""
    return _names().get(kind)


def fields_in_file(kind: type[Any]) -> dict[str, str]:
    """Return the fields of a dataclass or a named tuple that files hold, each with what they call it."""
    renamed, computed = _RENAMED.get(kind.__name__, {}), _COMPUTED.get(kind.__name__, ())
    return {name: renamed.get(name, name) for name in fields_of(kind) if name not in computed}


def fields_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the fields that make an instance of a dataclass or a named tuple."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind) if field.init)
    return tuple(kind._fields)


@cache
def _names() -> dict[type, str]:
    """Every class that a file may hold, and its name there."""
    return {_loaded(path): name for name, path in CLASSES.items()}


def _loaded(path: str) -> type[Any]:
    """Return the class at ``module:Class``: a dataclass, a named tuple or an enumeration of this package."""
    module, _, name = path.partition(":")
    found: type[Any] = getattr(importlib.import_module(f"{__package__.rpartition('.')[0]}.{module}"), name)
    assert dataclasses.is_dataclass(found) or hasattr(found, "_fields") or issubclass(found, enum.Enum)
    return found

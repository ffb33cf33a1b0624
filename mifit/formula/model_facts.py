"""What a formula and an imputation have to know of a model: what its outcome is, and what it is beside that.

How statsmodels fits it stands in ``analysis/catalogue.py``; by which method imputations are made for it, in
``imputation/plan/likelihoods.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = [
    "MIXED_MODEL_OF_LEVELS",
    "MIXED_MODEL_OF_TWO",
    "MODEL_OF_LEVELS",
    "MODEL_OF_ORDERED_LEVELS",
    "USUAL_MODEL",
    "USUAL_MODEL_OF_TWO",
    "ModelFacts",
    "model_facts",
]

USUAL_MODEL = "ols"  #: the model of an outcome in numbers, where none is named
USUAL_MODEL_OF_TWO = "logit"  #: the same of an outcome with two values
MIXED_MODEL_OF_TWO = "mixed_logit"  #: the model with random effects of an outcome with two values
MIXED_MODEL_OF_LEVELS = "mixed_ordinal"  #: the same of an outcome with ordered levels
MODEL_OF_LEVELS = "mnlogit"  #: what messages name for an outcome of several levels
MODEL_OF_ORDERED_LEVELS = "ordinal"  #: the same where they are in order


class ModelFacts(NamedTuple):
    """What is known of a model; the defaults hold for one that is not in the table."""

    family: tuple[str, str] | None = None  #: family and link of the generalized linear model that it is
    by_family: bool = False  #: ``family=`` says how its outcome is distributed
    one_variance: bool = False  #: the errors of all rows have one variance
    levels: bool = False  #: its outcome is a category of several levels
    ordered: bool = False  #: these are in order, and it has cut points instead of a constant
    binary: bool = False  #: its outcome is one of two values
    share: bool = False  #: its outcome lies between 0 and 1
    counts: bool = False  #: its outcome is a count, and its coefficients are of the logarithm of a mean
    hazard: bool = False  #: its outcome is a time at risk, with an event
    clustered: bool = False  #: of a number, it is a normal one with the level of its cluster
    support: str = ""  #: which values its outcome may have, in words; empty where any, or where the family says it
    shared: str = ""  #: what all rows share beside the coefficients, and an interaction does not free


_FACTS: Mapping[str, ModelFacts] = {
    "ols": ModelFacts(("Gaussian", "Identity"), one_variance=True),
    "wls": ModelFacts(("Gaussian", "Identity")),
    "logit": ModelFacts(("Binomial", "Logit"), binary=True, support="of two values"),
    "probit": ModelFacts(("Binomial", "Probit"), binary=True, support="of two values"),
    "conditional_logit": ModelFacts(binary=True),
    "betareg": ModelFacts(share=True),
    "poisson": ModelFacts(("Poisson", "Log"), counts=True, support="0 or more"),
    "negativebinomial": ModelFacts(counts=True, support="whole numbers from 0"),
    "conditional_poisson": ModelFacts(counts=True),
    "generalizedpoisson": ModelFacts(counts=True),
    "zeroinflatedpoisson": ModelFacts(counts=True),
    "mnlogit": ModelFacts(levels=True),
    "conditional_mnlogit": ModelFacts(levels=True),
    "ordinal": ModelFacts(levels=True, ordered=True, shared="one set of cut points"),
    "glm": ModelFacts(("Gaussian", "Identity"), by_family=True),
    "gee": ModelFacts(by_family=True, clustered=True),
    "mixedlm": ModelFacts(clustered=True),
    "mixed_logit": ModelFacts(binary=True, support="of two values"),
    "mixed_poisson": ModelFacts(counts=True, support="whole numbers from 0"),
    "mixed_ordinal": ModelFacts(levels=True, ordered=True, shared="one set of cut points"),
    "phreg": ModelFacts(hazard=True, shared="one baseline hazard"),
}
_NOTHING_KNOWN = ModelFacts()


def model_facts(model: str) -> ModelFacts:
    """What is known of a model, by its name in statsmodels.

    Examples
    --------
    >>> model_facts("phreg").hazard, model_facts("mixedlm").hazard
    (True, False)
    """
    return _FACTS.get(model, _NOTHING_KNOWN)

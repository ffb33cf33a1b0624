"""One file per univariate model; the registry of their names."""

from __future__ import annotations

from typing import Any

from ...frame.kinds import Kind
from ..contract import Method, facts_of
from .check_method import check_method
from .cox import Cox
from .donor_residuals import DonorResiduals
from .double_poisson import DoublePoisson
from .estimators import is_estimator, refuse_without_sklearn
from .forest import Cart, Forest
from .glm import Glm
from .learner import Learner
from .logistic import Logistic
from .logit_normal import LogitNormal
from .mixed import Mixed
from .mixed_logistic import MixedLogistic
from .mixed_pmm import MixedPMM
from .mixed_power import MixedPower
from .mixture import Mixture
from .multinomial import Multinomial
from .nb1 import NB1
from .negbin import NegBin
from .norm import Normal
from .ordinal import Ordinal
from .pmm import PMM
from .poisson import Poisson
from .power import Power
from .probit import Probit
from .sample import Sample
from .shares import Shares
from .two_part import TwoPart
from .zero_inflated import ZeroInflated

__all__ = [
    "CHAINED",
    "COMPATIBLE",
    "METHODS",
    "NB1",
    "PMM",
    "Cart",
    "Cox",
    "DonorResiduals",
    "DoublePoisson",
    "Forest",
    "Glm",
    "Learner",
    "Logistic",
    "LogitNormal",
    "Mixed",
    "MixedLogistic",
    "MixedPMM",
    "MixedPower",
    "Mixture",
    "Multinomial",
    "NegBin",
    "Normal",
    "Ordinal",
    "Poisson",
    "Power",
    "Probit",
    "Sample",
    "Shares",
    "TwoPart",
    "ZeroInflated",
    "check_method",
    "compatible_with_density",
    "method_of_option",
    "name_of",
]

METHODS: dict[str, Method] = {
    "pmm": PMM(),
    "norm": Normal(),
    "mixture": Mixture(),
    "power": Power(),
    "logistic": Logistic(),
    "multinomial": Multinomial(),
    "ordinal": Ordinal(),
    "poisson": Poisson(),
    "negbin": NegBin(),
    "sample": Sample(),
    "donors": DonorResiduals(),
    "two-part": TwoPart(),
    "logit-normal": LogitNormal(),
    "forest": Forest(),
    "cart": Cart(),
    "2l.norm": Mixed(),
    "2l.pmm": MixedPMM(),
    "2l.logit": MixedLogistic(),
    "2l.power": MixedPower(),
}

#: default by kind in plain chained equations
CHAINED: dict[Kind, str] = {
    Kind.NUMERIC: "pmm",
    Kind.COUNT: "pmm",
    Kind.BINARY: "logistic",
    Kind.NOMINAL: "multinomial",
    Kind.ORDINAL: "ordinal",
}

#: default by kind where a density is needed; for numbers norm or power, as their residuals say
COMPATIBLE: dict[Kind, str] = {**CHAINED, Kind.NUMERIC: "norm", Kind.COUNT: "negbin"}


def name_of(method: Method) -> str:
    """The label that a method gives itself, its registered name, or the name of its class."""
    if isinstance(label := getattr(method, "label", None), str):
        return label
    for name, known in METHODS.items():
        if type(known) is type(method):
            return name
    return type(method).__name__


def method_of_option(option: Any) -> Method:
    """The method that a user names, hands over, or hands over as an estimator.

    Raises
    ------
    PlanError
        If it needs scikit-learn, which is not installed, or is an estimator of neither numbers nor levels.

    Examples
    --------
    >>> method_of_option("norm")
    Normal()
    """
    if isinstance(option, str):
        method = METHODS[option]
        if facts_of(method).needs == "sklearn":
            refuse_without_sklearn(f"method {option!r}")
        return method
    made: Any = Learner(option) if is_estimator(option) else option
    return made


def compatible_with_density(method: Any, kind: Kind) -> Any:
    """The method that one without a density is in a compatible plan; None where there is none.

    Examples
    --------
    >>> compatible_with_density(PMM(), Kind.NUMERIC).label, compatible_with_density(PMM(), Kind.ORDINAL)
    ('donors', None)
    """
    if isinstance(method, PMM):
        return None if kind.discrete else DonorResiduals()
    make = getattr(method, "compatible", None)
    return None if make is None else make(kind)

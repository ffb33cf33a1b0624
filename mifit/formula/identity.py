"""What makes two analyses the same but for their columns; the plan, the verdict and imputing again all ask here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .question import Question

__all__ = ["likelihood", "parameters"]


def likelihood(question: Question) -> tuple[Any, ...]:
    """What two analyses must share besides their columns: outcome, level, family, link and keywords.

    Examples
    --------
    >>> import pandas as pd
    >>> from mifit.formula.question import ask
    >>> from mifit.frame.table import read
    >>> likelihood(ask("y ~ x", read(pd.DataFrame({"y": [0.1, 2.0, 3.5], "x": [1.2, 2.1, 3.3]}))))
    ('y', None, 'Gaussian', 'Identity')
    """
    family, link = question.facts.family or (question.model, "")
    words = dict(question.keywords)
    given = words.pop("family", None)
    if given is not None and question.facts.by_family and question.facts.family is not None:
        family, link = _named(given), _link(given.link)
    rest = tuple(sorted((word, _told(value)) for word, value in words.items() if value is not None))
    return (question.terms.outcome, question.level, family, link, *rest)


def parameters(part: Any) -> Mapping[str, float]:
    """What a family or a link was given besides its name: an alpha, a power.

    Parameters
    ----------
    part : object
        A statsmodels family or link, or one of the user's.

    Returns
    -------
    mapping
        Word -> number.

    Examples
    --------
    >>> import statsmodels.api as sm
    >>> parameters(sm.families.Tweedie(var_power=1.6)), parameters(sm.families.Poisson())
    ({'var_power': 1.6}, {})
    """
    found = {word: getattr(part, word, None) for word in ("alpha", "var_power", "power")}
    return {word: float(value) for word, value in found.items() if isinstance(value, int | float | np.number)}


def _link(link: Any) -> str:
    """A link's name; powers are compared by their exponent, distributions by the one they are the quantiles of."""
    power = parameters(link).get("power")
    if power is not None:
        return _POWERS.get(power, f"Power(power={power:g})")
    own = getattr(link, "dbn", None)
    if type(link).__name__ != "CDFLink" or own is None:
        return _named(link)
    return f"CDFLink of {getattr(own, 'name', None) or (own.dist.name, own.args, own.kwds)}"


def _named(part: Any) -> str:
    """The name of a family or link with its parameters."""
    given = ", ".join(f"{word}={value!r}" for word, value in parameters(part).items())
    return type(part).__name__ + (f"({given})" if given else "")


def _told(value: Any) -> str:
    """A keyword's value in words that tell it from others; arrays by their bytes."""
    array = np.asarray(value) if hasattr(value, "__len__") and not isinstance(value, str) else None
    return repr(value) if array is None else f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


_POWERS = {1.0: "Identity", 0.5: "Sqrt", -1.0: "InversePower", -2.0: "InverseSquared"}

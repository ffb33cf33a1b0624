"""What makes two analyses the same but for their columns; the plan, the verdict and imputing again all ask here."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .question import Question

__all__ = ["likelihood"]


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
    family, link = _FAMILIES.get(question.model, (question.model, ""))
    words = dict(question.keywords)
    given = words.pop("family", None)
    if question.model == "glm":
        family = type(given).__name__ if given is not None else "Gaussian"
        link = type(given.link).__name__ if given is not None else "Identity"
    rest = tuple(sorted((word, _told(value)) for word, value in words.items() if value is not None))
    return (question.terms.outcome, question.level, family, link, *rest)


def _told(value: Any) -> str:
    """A keyword's value in words that tell it from others; arrays by their bytes."""
    array = np.asarray(value) if hasattr(value, "__len__") and not isinstance(value, str) else None
    return repr(value) if array is None else f"{array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"


_FAMILIES = {
    "ols": ("Gaussian", "Identity"), "wls": ("Gaussian", "Identity"), "logit": ("Binomial", "Logit"),
    "poisson": ("Poisson", "Log"),
}  # fmt: skip

"""What complete rows say of the errors of a model of a number, and which error law is therefore drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...typing import Array

__all__ = [
    "DECLARED",
    "FEW_VALUES",
    "LEARNED",
    "NORMAL_AT",
    "SPREAD_AT",
    "WITH_SPREAD",
    "ErrorLaw",
    "repeated",
    "said_p",
]

DECLARED, LEARNED, WITH_SPREAD = "declared", "learned", "learned, with spread"
FEW_VALUES = 10  #: distinct values up to which no law is learned
NORMAL_AT = 0.05  #: p-value of the test of normal errors below which the law is learned
SPREAD_AT = 0.01  #: p-value below which the spread is learned too: 5 % would take skewness for it too often
_REPEATED = 0.05  # share of one value that no density has
_AROUND = 4  # as many times as often as the values beside it: rounded values are no atom


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLaw:
    """The error law of one model of a number: which is used, and what the complete rows say of it."""

    form: str  #: "declared", "learned", or "learned, with spread"
    option: str = "auto"  #: what the user asked for
    rows: int = 0  #: complete rows that were looked at
    components: int = 0  #: normals in the mixture
    normal: float | None = None  #: p-value of normal errors (Jarque and Bera); None where it was not tested
    skewness: float = 0.0
    tails: float = 0.0  #: excess kurtosis
    spread: float | None = None  #: p-value of equal spread
    by: tuple[str, ...] = ()  #: what the spread differs with
    untested: str = ""  #: why nothing was tested
    value: float | None = None  #: one that is repeated
    share: float = 0.0  #: how often

    @property
    def learned(self) -> bool:
        """Whether the draws use a law that is learned from the data."""
        return self.form != DECLARED

    @property
    def tested(self) -> bool:
        """Whether complete rows were asked."""
        return self.normal is not None

    @property
    def odd(self) -> bool:
        """Whether the errors are not normal."""
        return self.normal is not None and self.normal < NORMAL_AT

    @property
    def heteroscedastic(self) -> bool:
        """Whether their spread is not the same in all rows."""
        return self.spread is not None and self.spread < SPREAD_AT

    @property
    def shape(self) -> str:
        """How the errors differ from normal ones, in words."""
        skewed = self.skewness**2 / 6.0 >= self.tails**2 / 24.0
        found = f"skewness {self.skewness:.1f}" if skewed else f"excess kurtosis {self.tails:.1f}"
        return f"{found} in complete rows, {said_p(self.normal)}"

    @property
    def unequal(self) -> str:
        """What the spread differs with, in words."""
        return f"spread differs with {' and '.join(self.by) or 'the predictors'}, {said_p(self.spread)}"

    @property
    def against(self) -> str:
        """What speaks against equal normal errors; empty where nothing does."""
        found = [self.shape] * self.odd + [self.unequal] * self.heteroscedastic
        return "; ".join(found)

    @property
    def supported(self) -> bool:
        """Whether the declared law is used, was tested, and nothing speaks against it."""
        return not self.learned and self.tested and not self.against and not self.share

    @property
    def said(self) -> str:
        """The law and why, as a certificate says it; empty where nothing is known."""
        if self.form == WITH_SPREAD:
            reasons = [self.shape] * self.odd + [self.unequal]
            return f"error law and spread were learned ({'; '.join(reasons)})"
        if self.learned:
            why = self.shape if self.odd or not self.asked_for else f"as asked; {said_p(self.normal)}"
            return f"the error law was learned ({self.components} normals, {why})"
        if self.supported:
            even = "" if self.spread is None else f", equal spread ({said_p(self.spread)})"
            return f"residuals: nothing speaks against a normal law ({said_p(self.normal)}){even}"
        return ""

    @property
    def asked_for(self) -> bool:
        """Whether the user chose the law."""
        return self.option != "auto"

    @property
    def doubt(self) -> str:
        """Why the declared law is approximate; empty where it is not."""
        if self.learned:
            return ""
        if self.share:
            return f"{100 * self.share:.0f} % of the outcome are {self.value:g}; drawn by the normal law"
        if self.against:
            return f"the draws use the normal law, the complete rows speak against it ({self.against})"
        return ""

    def __str__(self) -> str:
        """One line of a printed plan."""
        if self.learned or self.supported:
            return self.said if self.learned else f"normal as declared; {self.said}"
        return f"normal as declared; {self.doubt or self.untested}"


def said_p(p_value: float | None) -> str:
    """A p-value as journals print it; empty where there is none.

    Examples
    --------
    >>> said_p(0.412), said_p(0.0312), said_p(1e-9)
    ('p = .41', 'p = .031', 'p < .001')
    """
    if p_value is None:
        return ""
    if p_value < 0.001:
        return "p < .001"
    digits = 2 if p_value >= 0.1 else 3
    return f"p = {p_value:.{digits}f}".replace("0.", ".", 1)


def repeated(values: Array) -> tuple[float | None, float]:
    """A value that is repeated as no density repeats it, and its share; (None, 0.0) where there is none.

    Examples
    --------
    >>> repeated(np.concatenate([np.zeros(30), np.linspace(0.1, 9.0, 70)]))
    (0.0, 0.3)
    """
    found, count = np.unique(values, return_counts=True)
    for place in np.argsort(-count, kind="stable")[:3]:
        near = np.delete(count[max(place - 2, 0) : place + 3], min(place, 2))
        if count[place] < _REPEATED * len(values):
            break
        if count[place] >= _AROUND * near.max(initial=1):
            return float(found[place]), float(count[place] / len(values))
    return None, 0.0

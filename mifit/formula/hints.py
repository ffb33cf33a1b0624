"""What a user of another program may have meant: the formula said again as it is said here."""

from __future__ import annotations

import re

import numpy as np

from ..frame.kinds import Kind
from ..frame.table import Column

__all__ = ["instead_of", "model_for"]

_SURVIVAL = re.compile(r"\s*Surv\(([^()]*)\)\s*")
_STRATA = re.compile(r"(?:\+\s*)?\bstrata\(([^()]*)\)")


def instead_of(name: str, formula: str) -> str:
    """The call that does what an unknown function would have done; empty where none is known.

    Parameters
    ----------
    name : str
        The function: one of numpy's without its module, or ``Surv`` and ``strata`` as in R.
    formula : str

    Returns
    -------
    str

    Examples
    --------
    >>> instead_of("log", "y ~ log(bmi)")
    "df.mice.impute('y ~ np.log(bmi)')"
    >>> instead_of("Surv", "Surv(t, d) ~ x + strata(site)")
    "df.mice.impute('t ~ x', model='phreg', status='d', strata='site')"
    """
    if name in ("Surv", "strata"):
        return _proportional_hazards(formula)
    if isinstance(getattr(np, name, None), np.ufunc):
        spelled = re.sub(rf"(?<![.\w]){name}(?=\()", f"np.{name}", formula)
        return f"df.mice.impute({spelled!r})"
    return ""


def model_for(column: Column, formula: str) -> str:
    """The call that models an outcome of several levels: in order, or without."""
    if column.kind is Kind.OTHER:
        return f"df[{column.name!r}] = pd.to_numeric(df[{column.name!r}], errors='coerce')"
    return f"df.mice.impute({formula!r}, model={'ordinal' if column.kind is Kind.ORDINAL else 'mnlogit'!r})"


def _proportional_hazards(formula: str) -> str:
    """R's ``Surv(start, stop, event) ~ x + strata(g)`` as a formula and keywords; empty where it is neither."""
    left, _, right = formula.partition("~")
    words = ["model='phreg'"]
    survival = _SURVIVAL.fullmatch(left)
    if survival is not None:
        parts = [part.strip() for part in survival[1].split(",")]
        if not 1 <= len(parts) <= 3:
            return ""
        left = f"{parts[-2] if len(parts) > 1 else parts[0]} "
        words += [f"status={parts[-1]!r}"] if len(parts) > 1 else []
        words += [f"entry={parts[0]!r}"] if len(parts) == 3 else []
    strata = _STRATA.search(right)
    if strata is not None:
        right = _STRATA.sub("", right).strip().removeprefix("+")
        words.append(f"strata={strata[1].strip()!r}")
    return f"df.mice.impute({f'{left.strip()} ~ {right.strip() or 1}'!r}, {', '.join(words)})"

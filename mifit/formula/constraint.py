"""Hypotheses in words: patsy's language for linear constraints, over any list of coefficients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import patsy

from ..errors import FormulaError, listed, nearest
from ..typing import Array

__all__ = ["constraints"]


def constraints(names: Sequence[str], hypothesis: str | Sequence[str] | Mapping[str, Any]) -> tuple[Array, Array]:
    """Turn hypotheses in words into a matrix and the values they state.

    Parameters
    ----------
    names : sequence of str, length q
        Names of the coefficients, brackets and colons included.
    hypothesis : str, sequence of str or mapping
        ``"x1 = x2 = 0"``, ``["x1 - x2", "x3 = 1"]``, ``{"x1": 0}``.

    Returns
    -------
    matrix : ndarray, shape (k, q)
    value : ndarray, shape (k,)

    Raises
    ------
    FormulaError
        If a hypothesis does not parse, or names no coefficient.

    Examples
    --------
    >>> matrix, value = constraints(["Intercept", "x[T.b]"], "x[T.b] = 2")
    >>> matrix, value
    (array([[0., 1.]]), array([2.]))
    """
    try:
        linear = patsy.DesignInfo(list(names)).linear_constraint(
            hypothesis if isinstance(hypothesis, str | Mapping) else list(hypothesis)
        )
    except (patsy.PatsyError, ValueError, IndexError) as error:
        stranger = _stranger(names, hypothesis)
        fact = f"the hypothesis {hypothesis!r} cannot be read"
        raise FormulaError(
            f"{fact}: {stranger!r} is no coefficient{_hint(stranger, names)}." if stranger else f"{fact}.",
            said=getattr(error, "message", str(error)),
            names=listed(names, 8),
            do=f"res.wald_test('{names[-1]} = 0')",
        ) from None
    return np.asarray(linear.coefs, float), np.asarray(linear.constants, float).ravel()


def _hint(word: str, names: Sequence[str]) -> str:
    """Return the coefficients of a term that was taken for one, or the nearest name."""
    own = [name for name in names if name.startswith(f"{word}[")]
    return f" but a term of several: {listed(own, 4)}" if own else nearest(word, names)


def _stranger(names: Sequence[str], hypothesis: str | Sequence[str] | Mapping[str, Any]) -> str:
    """Return the first word of a hypothesis that is neither a coefficient nor arithmetic; empty if all are."""
    if isinstance(hypothesis, Mapping):
        return next((str(word) for word in hypothesis if word not in names), "")
    text = hypothesis if isinstance(hypothesis, str) else ", ".join(hypothesis)
    for name in sorted(names, key=len, reverse=True):  # x1:x2 before x1
        text = re.sub(rf"(?<![\w.:]){re.escape(name)}(?![\w.\[:])", " ", text)
    pieces = [piece.strip() for piece in re.split(r"[=,]|\s[-+*/]\s", text)]
    close = next((piece for piece in pieces if re.search(r"[^\W\d]", piece) and _hint(piece, names)), "")
    if close:
        return close
    words = [word.strip() for word in re.split(r"[-+*/=,()\s]+", text)]
    return next((word for word in words if word and not re.fullmatch(r"[\d.]+(e\d+)?", word)), "")

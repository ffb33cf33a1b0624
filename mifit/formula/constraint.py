"""Hypotheses in words: patsy's language for linear constraints, over any list of coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import patsy

from ..errors import FormulaError, nearest
from ..frame.kinds import Array

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
        word = str(hypothesis).split("=")[0].strip()
        raise FormulaError(
            f"the hypothesis {hypothesis!r} cannot be read{nearest(word, names)}.",
            said=getattr(error, "message", str(error)),
            names=", ".join(list(names)[:8]),
            do=f"res.wald_test('{names[-1]} = 0')",
        ) from None
    return np.asarray(linear.coefs, float), np.asarray(linear.constants, float).ravel()

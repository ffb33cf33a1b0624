"""The maximum of a concave log-likelihood whose derivatives are known, by Newton's method with halved steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..typing import Array

__all__ = ["Point", "climbed"]

#: a log-likelihood at one point, its derivative (q,) and its information (q, q)
Point = tuple[float, Array, Array]

_STEPS, _HALVINGS = 60, 30
_LAST = 1e-12  #: squared length of a step, in squared standard errors, after which none is needed
_ROUNDING = 1e-12  #: of the height: a fall that counts as none


def climbed(
    of: Callable[[Array], Point], start: Array, inside: Callable[[Array], bool] = lambda at: True
) -> tuple[Array, Point] | None:
    """Climb from a point to the maximum.

    Parameters
    ----------
    of : callable
        The log-likelihood and its derivatives at a point (q,).
    start : ndarray, shape (q,)
    inside : callable, optional
        Whether a point lies in the parameter space.

    Returns
    -------
    (ndarray of shape (q,), Point) or None
        None where the information is singular or indefinite, or no halved step climbs.

    Examples
    --------
    >>> at, _ = climbed(lambda x: (-float(x @ x), -2 * x, 2 * np.eye(1)), np.array([3.0]))
    >>> at.tolist()
    [0.0]
    """
    at, here = start, of(start)
    for _ in range(_STEPS):
        try:
            step = np.linalg.solve(here[2], here[1])
        except np.linalg.LinAlgError:
            return None
        far = float(step @ here[1])
        if not np.isfinite(far) or far < 0:
            return None
        if far <= _LAST:
            return at + step, of(at + step)
        for halved in range(_HALVINGS):
            there = at + step / 2.0**halved
            new = of(there) if inside(there) else None
            if new is not None and np.isfinite(new[0]) and new[0] >= here[0] - _ROUNDING * abs(here[0]):
                break
        else:
            return None
        at, here = there, new
    return None

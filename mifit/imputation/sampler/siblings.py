"""Detection of a trapped chain: its traces stay far from those of all other chains.

One influential row can trap a chain: its drawn value bends the coefficients, and these keep the value where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...typing import Array
from .chain import Chain

__all__ = ["ATTEMPTS", "DRAWN_AGAIN", "STAYS", "apart", "far_from_others"]

ATTEMPTS = 2  #: how often a chain is drawn again
DRAWN_AGAIN = "the chain stayed far from all others and was drawn again"  #: an event
STAYS = "the chain stays far from all others, drawn again too"  #: an event
_CHAINS, _SWEEPS = 5, 10  # fewer cannot tell a trapped chain from chance
_FAR = 12.0  # deviations; five independent chains of 10 strongly dependent draws reach it once in some thousand runs
_SPREAD = 1.4826  # from the median of absolute deviations to a normal's standard deviation


def apart(chains: Sequence[Chain]) -> dict[int, str]:
    """Chains whose analysis coefficients lie far from those of all others: their numbers, each with such a trace."""
    found: dict[int, str] = {}
    named: Mapping[str, Array] = chains[0].traces if chains else {}
    if len(chains) < _CHAINS or min(chain.sweeps for chain in chains) < _SWEEPS:
        return found
    for trace in (name for name in named if "beta(" in name):
        values = [chain.traces.get(trace) for chain in chains]
        sweeps = min(len(one) if one is not None else 0 for one in values)
        if sweeps < _SWEEPS:
            continue
        stacked = np.array([one[-(sweeps // 2) :] for one in values if one is not None])
        for place in np.flatnonzero(far_from_others(stacked)).tolist():
            found.setdefault(chains[place].number, trace)
    return found


def far_from_others(values: Array) -> npt.NDArray[np.bool_]:
    """Tell which chains lie far from the others, shape (m,) of bool.

    Parameters
    ----------
    values : ndarray, shape (m, T)
        m chains of T values.

    Returns
    -------
    ndarray, shape (m,)
        Whether a chain's mean lies more than 12 deviations from the median of the others' means; a deviation is the
        larger of the spread between these (by their median absolute deviation) and that within a chain (the median).

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> far_from_others(rng.normal(size=(5, 8)) + np.array([[0], [0], [100], [0], [0]]))
    array([False, False,  True, False, False])
    """
    mean, within = values.mean(axis=1), values.std(axis=1, ddof=1)
    found = np.zeros(len(values), dtype=np.bool_)
    for place in range(len(values)):
        others = np.delete(mean, place)
        middle = np.median(others)
        spread = max(_SPREAD * float(np.median(np.abs(others - middle))), float(np.median(np.delete(within, place))))
        found[place] = abs(mean[place] - middle) > _FAR * spread > 0
    return found

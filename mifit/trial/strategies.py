"""What is assumed of the visits after an event: the mean profile and covariance matrix of a subject who stopped.

========= ============================================================================================================
strategy  the visits from the event on
========= ============================================================================================================
MAR       missing at random: as those of the own arm who went on
J2R       jump to reference: as the reference arm, with the own arm's profile before the event
CR        copy reference: as if the subject had been in the reference arm from the beginning
CIR       copy increments in reference: changes from visit to visit as in the reference arm, from the own arm's mean
LMCF      last mean carried forward: the own arm's mean stays where it was at the last visit before the event
========= ============================================================================================================

References
----------
Carpenter, J. R., Roger, J. H. and Kenward, M. G. (2013). Analysis of longitudinal trials with protocol deviation.
*Journal of Biopharmaceutical Statistics* 23(6), 1352-1371. doi:10.1080/10543406.2013.834911
"""

from __future__ import annotations

import numpy as np

from ..typing import Array

__all__ = ["STRATEGIES", "covariance_after", "mean_after"]

STRATEGIES = ("MAR", "J2R", "CR", "CIR", "LMCF")


def mean_after(strategy: str, own: Array, reference: Array, event: int) -> Array:
    """Mean profiles of subjects with the same event, given those of their own and of the reference arm.

    Parameters
    ----------
    strategy : {"MAR", "J2R", "CR", "CIR", "LMCF"}
    own, reference : ndarray, shape (n, T)
        Means with the subjects' own covariates, in their own and in the reference arm.
    event : int
        Position of the first visit that the event affects; T for none.

    Returns
    -------
    ndarray, shape (n, T)

    Examples
    --------
    >>> own, reference = np.array([[10.0, 20.0, 30.0]]), np.array([[1.0, 2.0, 4.0]])
    >>> [mean_after(one, own, reference, 2).tolist()[0] for one in ("J2R", "CIR", "LMCF")]
    [[10.0, 20.0, 4.0], [10.0, 20.0, 22.0], [10.0, 20.0, 20.0]]
    """
    if strategy == "CR":
        return reference.copy()
    found = own.copy()
    if strategy == "MAR" or event >= own.shape[1]:
        return found
    if strategy == "J2R" or (strategy == "CIR" and event == 0):
        found[:, event:] = reference[:, event:]
    elif strategy == "CIR":
        found[:, event:] = own[:, [event - 1]] + reference[:, event:] - reference[:, [event - 1]]
    elif event:
        found[:, event:] = own[:, [event - 1]]
    return found


def covariance_after(strategy: str, own: Array, reference: Array, event: int) -> Array:
    """Covariance matrix of the visits under a strategy.

    Parameters
    ----------
    strategy, event
        As in :func:`mean_after`.
    own, reference : ndarray, shape (T, T)
        Covariance matrices of the own and of the reference arm.

    Returns
    -------
    ndarray, shape (T, T)
        Of the own arm before the event; later visits depend on the earlier ones, and vary around that, as in the
        reference arm (J2R, CIR).

    Notes
    -----
    With 1 the visits before the event, 2 those from it on, a the own arm and r the reference arm:
    S11 = a11, S21 = r21 r11^-1 a11, S22 = r22 - r21 r11^-1 (r11 - a11) r11^-1 r12.

    Examples
    --------
    >>> a, r = np.array([[4.0, 1.0], [1.0, 2.0]]), np.array([[1.0, 0.5], [0.5, 1.0]])
    >>> covariance_after("J2R", a, r, 1).tolist()
    [[4.0, 2.0], [2.0, 1.75]]
    """
    if strategy == "CR":
        return reference
    if strategy in ("MAR", "LMCF") or event >= len(own) or own is reference:
        return own
    if event == 0:
        return reference
    before, after = slice(None, event), slice(event, None)
    slope = np.linalg.solve(reference[before, before], reference[before, after]).T
    found = own.copy()
    found[after, before] = slope @ own[before, before]
    found[before, after] = found[after, before].T
    found[after, after] = reference[after, after] - slope @ (reference - own)[before, before] @ slope.T
    return found

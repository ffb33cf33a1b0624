"""Notes below a summary: where a pooled estimate or interval must not be used as it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import listed
from ..pooling.rubin import Pooled

__all__ = ["cautions"]

#: with fewer degrees of freedom a t has no variance, and its limits say nothing
_FEW = 3.0


def cautions(pooled: Pooled, names: Sequence[str], incomplete: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return what a reader must know before the figures are used.

    Parameters
    ----------
    pooled : Pooled
        q coefficients.
    names : sequence of str, length q
    incomplete : sequence of str, optional
        Columns of the analysis that have missing values; None where nobody knows.

    Returns
    -------
    tuple of str
        Too few degrees of freedom; estimates that are equal in all sets.

    Examples
    --------
    >>> from mifit.pooling.rubin import pool
    >>> equal = pool(np.array([[1.0], [1.0]]), np.ones((2, 1, 1)), df_complete=96)
    >>> cautions(equal, ["x"], incomplete=[])
    ('No value it rests on was imputed; FMI shows the small-sample term 2/(df + 3).',)
    """
    return (*_few_degrees(pooled, names), *_nothing_between(pooled, incomplete))


def _few_degrees(pooled: Pooled, names: Sequence[str]) -> tuple[str, ...]:
    """Return which intervals cannot be used, and what would help."""
    few = np.flatnonzero(pooled.df < _FEW).tolist()
    if not few:
        return ()
    who = f"all {len(names)} coefficients" if len(few) == len(names) > 1 else listed((names[j] for j in few), 6)
    cures = []
    if pooled.df_complete < 2 * len(names):
        room = f"the complete data leave {pooled.df_complete:.4g} beside {len(names)} coefficients"
        cures.append(f"{room}: ask fewer terms of these rows")
    if pooled.fmi[few].max() > 0.5:
        cures.append(f"the {pooled.m} sets differ by more than each is uncertain: fewer terms, or more imputations")
    why = "; ".join(cures) or f"{pooled.m} imputations are too few"
    return (f"Fewer than {_FEW:g} degrees of freedom for {who}: the interval is not usable ({why}).",)


def _nothing_between(pooled: Pooled, incomplete: Sequence[str] | None) -> tuple[str, ...]:
    """Return why a fraction of missing information is not zero where nothing differs between the sets."""
    if np.diag(pooled.between).any() or not pooled.fmi.any():
        return ()
    term = "FMI shows the small-sample term 2/(df + 3)."
    if incomplete is None:
        return (f"The {pooled.m} sets gave the same estimates; {term}",)
    if incomplete:
        which = f"missing values of {listed(incomplete, 6)} were imputed"
        return (
            f"The {pooled.m} sets gave the same estimates although {which}: see that they differ between the sets.",
        )
    return (f"No value it rests on was imputed; {term}",)

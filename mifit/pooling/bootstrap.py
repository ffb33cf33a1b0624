"""Bootstrap, then impute: variances that hold where imputation and analysis do not agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import PoolingError
from ..typing import Array

__all__ = ["BootstrapPooled", "pool_bootstrap"]


class BootstrapPooled(NamedTuple):
    """Estimates of B bootstrap samples with M imputations each, combined; q coefficients."""

    params: Array  #: (q,) mean of all estimates
    variance: Array  #: (q,) NaN where the estimate of it is not positive
    df: Array  #: (q,) degrees of freedom
    between: Array  #: (q,) mean square between samples
    within: Array  #: (q,) mean square within samples: of the imputations


def pool_bootstrap(estimates: Array) -> BootstrapPooled:
    r"""Combine the estimates of bootstrap samples that were imputed a few times each.

    Parameters
    ----------
    estimates : ndarray, shape (B, M, q)
        B samples, M imputations of each, both at least 2.

    Returns
    -------
    BootstrapPooled

    Raises
    ------
    PoolingError
        If B or M is below 2.

    Notes
    -----
    An analysis of variance with the samples as groups has the mean squares MSB and MSW. The variance is
    :math:`(1 + 1/B)(MSB - MSW)/M + MSW/(BM)`, its degrees of freedom those of Satterthwaite.

    References
    ----------
    von Hippel, P. T. and Bartlett, J. W. (2021). Maximum likelihood multiple imputation: faster imputations and
    consistent standard errors without posterior draws. *Statistical Science* 36(3), 400-420. doi:10.1214/20-STS793

    Examples
    --------
    >>> found = pool_bootstrap(np.array([[[1.0], [2.0]], [[3.0], [4.0]], [[8.0], [9.0]]]))
    >>> found.params, found.variance.round(3), found.df.round(3)
    (array([4.5]), array([17.083]), array([1.942]))
    """
    estimates = np.asarray(estimates, dtype=np.float64)
    n_samples, n_sets = estimates.shape[:2]
    if n_samples < 2 or n_sets < 2:
        raise PoolingError(
            f"{n_samples} samples with {n_sets} imputations each; both are at least 2.", do="imp.bootstrap(B=200, M=2)"
        )
    means = estimates.mean(axis=1)
    between = n_sets * means.var(axis=0, ddof=1)
    within = estimates.var(axis=1, ddof=1).mean(axis=0)
    first, second = (n_samples + 1) / (n_samples * n_sets) * between, within / n_sets
    variance = first - second
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = first**2 / (n_samples - 1) + second**2 / (n_samples * (n_sets - 1))
        df = np.where(variance > 0, variance**2 / spread, np.nan)
    return BootstrapPooled(means.mean(axis=0), np.where(variance > 0, variance, np.nan), df, between, within)

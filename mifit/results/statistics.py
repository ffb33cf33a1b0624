"""Pool a test by D2, from the statistic of each set alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from ..errors import PoolingError
from ..pooling.joint_tests import d2
from .hypotheses import JointTest

__all__ = ["pool_statistics"]

#: what a statistic may be
_KINDS = ("chi2", "F", "lr")

#: with fewer sets the statistics alone say little of what is missing
_FEW_SETS = 20


def pool_statistics(values: Iterable[float], df: float, method: str = "D2", *, kind: str = "chi2") -> JointTest:
    r"""Pool the statistics of one test over the m completed sets.

    For a test whose estimates and covariances are not at hand, such as a table's chi-square or a Kruskal-Wallis test.

    Parameters
    ----------
    values : iterable of float, length m
        The statistic of each set: chi-squares of Wald, score or likelihood-ratio tests, or F values. Not p-values.
    df : float
        Degrees of freedom of the test; of an F value those of its numerator.
    method : {"D2"}
        The one rule that needs no more than the statistics.
    kind : {"chi2", "lr", "F"}
        What the values are: ``"lr"``, twice the difference of log-likelihoods, is pooled as a chi-square is; an F value
        counts as a chi-square over its degrees of freedom, which takes its denominator as large.

    Returns
    -------
    JointTest
        F, its degrees of freedom, the p-value, and in ``note`` how far it can be trusted.

    Raises
    ------
    PoolingError
        If there are fewer than two values, one is negative or no finite number, or ``df`` is no positive number.

    Notes
    -----
    :math:`r = (1 + 1/m)\,\mathrm{var}(\sqrt{d})`,
    :math:`D_2 = (\bar d/k - r (m + 1)/(m - 1)) / (1 + r)` against F with k and
    :math:`k^{-3/m} (m - 1) (1 + 1/r)^2` degrees of freedom. It knows the missing information from the spread of m
    statistics only: with few sets it has little power, and its level can be off in either direction, the more so the
    more is missing. Where estimates and covariances are at hand use ``res.wald_test`` (D1), where likelihoods are
    ``res.compare`` (D4).

    References
    ----------
    Li, K. H., Meng, X. L., Raghunathan, T. E. and Rubin, D. B. (1991). Significance levels from repeated p-values
    with multiply-imputed data. *Statistica Sinica* 1, 65-92.

    Grund, S., Lüdtke, O. and Robitzsch, A. (2023). Pooling methods for likelihood ratio tests in multiply imputed
    data sets. *Psychological Methods* 28(5), 1207-1221. doi:10.1037/met0000556

    Examples
    --------
    >>> test = pool_statistics([5.0, 7.0, 6.0], df=2)
    >>> round(test.statistic, 3), round(test.df2, 1), round(test.p_value, 4)
    (2.735, 355.8, 0.0663)
    """
    if method != "D2":
        raise PoolingError(
            f"method {method!r} needs estimates or likelihoods, not the statistics alone.",
            known="D2; D1 by res.wald_test, D3 and D4 by res.compare",
            do=f"mifit.pool_statistics([5.0, 7.0, 6.0], df={df!r})",
        )
    if kind not in _KINDS:
        raise PoolingError(
            f"unknown kind {kind!r} of statistic.",
            known=", ".join(_KINDS),
            do="mifit.pool_statistics([5.0, 7.0, 6.0], df=2, kind='chi2')",
        )
    if not isinstance(df, Real) or isinstance(df, bool) or not 0 < df < np.inf:
        raise PoolingError(
            f"df is {df!r}; the degrees of freedom of the test, a number above 0, are needed.",
            do="mifit.pool_statistics([5.0, 7.0, 6.0], df=2)",
        )
    found = _read(values)
    joint = d2(found * (float(df) if kind == "F" else 1.0), df)
    note = _caveat(len(found), kind) + (_LIKE_P_VALUES if (found <= 1).all() else "")
    return JointTest.of(joint, f"{len(found)} statistics ({kind}, df = {df:g})", note)


_LIKE_P_VALUES = (
    " All values lie between 0 and 1: p-values are not pooled by this rule, the statistics they belong to are."
)


def _caveat(m: int, kind: str) -> str:
    """Return how far D2 can be trusted."""
    few = f"only {m} statistics tell" if m < _FEW_SETS else "the spread of the statistics alone tells"
    said = f"{few} how much is missing: low power, and a level that can be off; prefer D1 or D4 where there are fits."
    denominator = " F values count as chi-squares over df: their denominator is taken as large." if kind == "F" else ""
    return said[0].upper() + said[1:] + denominator


def _read(values: Any) -> Any:
    """Return the m statistics as floats, or refuse."""
    do = "mifit.pool_statistics([func(d).statistic for d in imp], df=1)"
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise PoolingError(f"the statistics of the m sets are needed, not {type(values).__name__}.", do=do)
    given = list(values)
    for k, one in enumerate(given):
        if not isinstance(one, Real) or isinstance(one, bool):
            raise PoolingError(f"statistic {k} is {type(one).__name__}, no number.", do=do)
        if not 0 <= float(one) < np.inf:
            raise PoolingError(f"statistic {k} is {one}; a chi-square or F is a number from 0.", do=do)
    if len(given) < 2:
        raise PoolingError(f"pooling needs at least 2 sets, got {len(given)}.", do=do)
    return np.array(given, dtype=np.float64)

"""Apply any function to each completed frame, and pool its estimates on a scale where they are nearly normal."""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, overload

import numpy as np
import pandas as pd

from ..errors import FitError, PoolingError, call, listed, warn
from ..pooling.rubin import columns
from ..pooling.scales import SCALES, Scale, on_scale, scale_named
from ..typing import Array
from ..workers import alone, died
from .function_code import UNKNOWN, FunctionCode
from .returned_numbers import STATISTICS, figures_of

__all__ = ["Mapped", "map_sets", "pool_figures"]


#: scales whose zero means "no effect"; elsewhere a test against zero would say nothing
_TESTED = ("identity", "log", "fisher")
#: the largest variance over the smallest of one figure; beyond it they are something else
_VARIES = 1000


class Mapped(Sequence[Any]):
    """The m results of one function, in the order of the sets.

    Parameters
    ----------
    values : sequence
        What the function returned for each set.
    n_obs : int
        Rows of each set.
    code : FunctionCode
        What the function asks for.

    Examples
    --------
    >>> Mapped([(1.0, 0.1), (1.2, 0.1), (0.9, 0.1)], n_obs=50).pool()[["estimate", "std_error"]].round(3)
              estimate  std_error
    estimate     1.033      0.362
    """

    def __init__(self, values: Sequence[Any], n_obs: int, code: FunctionCode = UNKNOWN) -> None:
        self._values, self.n_obs, self._code = list(values), n_obs, code

    @property
    def m(self) -> int:
        """Number of completed data sets."""
        return len(self._values)

    def __len__(self) -> int:
        return self.m

    @overload
    def __getitem__(self, k: int) -> Any: ...
    @overload
    def __getitem__(self, k: slice) -> list[Any]: ...
    def __getitem__(self, k: int | slice) -> Any:
        """Return what the function gave for set k, or a list for a slice."""
        return self._values[k]

    def __repr__(self) -> str:
        return f"<{self.m} results of a function of each set; pool() makes one>"

    def _repr_html_(self) -> str:
        """Show the first results in a notebook."""
        shown = "\n".join(f"{k}: {one!r:.200}" for k, one in enumerate(self._values[:5]))
        return f"<pre>{html.escape(f'{self!r}{chr(10)}{shown}')}</pre>"

    def pool(
        self, scale: str | Mapping[str, str] | None = None, *, dfcom: float | None = None, alpha: float = 0.05
    ) -> pd.DataFrame:
        """Pool by Rubin's rules.

        Parameters
        ----------
        scale : str or mapping, optional
            "logit" for proportions and areas under a curve, "fisher" for correlations, "log" for ratios and
            variances, "cloglog" for survival probabilities; by default as they are. A mapping gives each figure its
            own.
        dfcom : float, optional
            Complete-data degrees of freedom; by default the least the function gave, else infinite.
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame, one row a figure
            The columns of ``to_frame``; estimate, its standard error and limits are back from the scale. Without
            variances only the estimate (a correlation on the scale "fisher" has variance 1/(n - 3) there).

        Warns
        -----
        MifitWarning
            If the function gave a figure without its variance.

        Raises
        ------
        PoolingError
            If the sets name different figures, the function gave something else than estimate, variance and degrees
            of freedom (numbers, or vectors pooled element by element), or a figure lies at the end of its scale. The
            result of a test is never read as an estimate with its variance: of ``scipy.stats`` a correlation is pooled
            on Fisher's scale and a ``linregress`` by its standard errors; the others are refused, and
            :func:`mifit.pool_statistics` is named.
        """
        return pool_figures(self._values, self.n_obs, scale, dfcom, alpha, self._code)


def map_sets(
    frames: Iterable[pd.DataFrame], func: Callable[[pd.DataFrame], Any], n_jobs: int | None = None
) -> list[Any]:
    """Call a function on each completed frame.

    Parameters
    ----------
    frames : iterable of DataFrame
        The m completed frames.
    func : callable
    n_jobs : int, optional
        joblib workers; None follows an ambient ``joblib.parallel_config``.

    Returns
    -------
    list of length m

    Raises
    ------
    FitError
        If the function fails on a set; the first one is named.

    Examples
    --------
    >>> map_sets([pd.DataFrame({"x": [1.0, 2.0]})], lambda frame: len(frame))
    [2]
    """
    if alone(n_jobs):
        return [_applied(func, frame, k) for k, frame in enumerate(frames)]
    from joblib import Parallel, delayed

    try:
        return list(Parallel(n_jobs=n_jobs)(delayed(_applied)(func, frame, k) for k, frame in enumerate(frames)))
    except Exception as error:
        if not died(error):
            raise
        raise FitError(
            "a worker died while the function was called, most often because memory ran out.",
            do=f"imp.map({_named(func)}, n_jobs=1)" if _named(func) else "n_jobs = 1  # for imp.map",
        ) from error


def pool_figures(
    values: Sequence[Any],
    n_obs: int | None = None,
    scale: str | Mapping[str, str] | None = None,
    dfcom: float | None = None,
    alpha: float = 0.05,
    code: FunctionCode = UNKNOWN,
) -> pd.DataFrame:
    """Pool what a function gave for each set; see :meth:`Mapped.pool`."""
    if len(values) < 2:
        raise PoolingError(
            f"pooling needs at least 2 sets, got {len(values)}.", do=call("df.mice.impute", "y ~ x1 + x2", m=20)
        )
    try:
        read = [figures_of(value, k, n_obs, code) for k, value in enumerate(values)]
    except PoolingError as error:
        raise _with_numbers(error, values) from None
    sets = [figures for figures, _ in read]
    if scale is None and all(correlation for _, correlation in read):
        scale = "fisher"
    names = list(sets[0])
    for k, one in enumerate(sets):
        if set(one) != set(names):
            odd = ", ".join(sorted(map(str, set(one) ^ set(names))))
            raise PoolingError(
                f"the function returned other estimates for set {k} than for set 0: {odd}.", do=f"imp[{k}]  # its frame"
            )
    chosen = scale if isinstance(scale, Mapping) else dict.fromkeys(names, scale)
    if unknown := [name for name in chosen if name not in names]:
        raise PoolingError(f"scale= names {unknown[0]!r}, which is no estimate.", figures=", ".join(map(str, names)))
    for name in names:
        _refuse_p_values(name, [one[name] for one in sets])
    rows = {name: _row(name, [one[name] for one in sets], chosen.get(name), n_obs, dfcom, alpha) for name in names}
    table = pd.DataFrame.from_dict(rows, orient="index")
    bare = [str(name) for name in table.index[table["std_error"].isna()]]
    if bare:
        table.attrs["reason"] = reason = (
            f"the function returned no variance for {listed(bare, 8)}: a standard error needs (estimate, variance)"
        )
        warn(f"{reason}.")
    return table


def _refuse_p_values(name: Hashable, figures: Sequence[tuple[Any, ...]]) -> None:
    """Refuse second numbers that vary from set to set as p-values do, and variances do not."""
    second = np.array([one[1] for one in figures if len(one) > 1 and one[1] is not None], dtype=np.float64)
    if len(second) == len(figures) and ((second > 0) & (second < 1)).all() and second.max() > _VARIES * second.min():
        raise PoolingError(
            f"the variances of {name!r} lie between {second.min():.3g} and {second.max():.3g}: so much do p-values "
            "vary from set to set, and variances do not.",
            do="imp.map(lambda d: (d.mean(numeric_only=True), d.var(numeric_only=True) / len(d))).pool()",
        )


def _with_numbers(error: PoolingError, values: Sequence[Any]) -> PoolingError:
    """The refusal of a test with the statistics of all sets in the call that pools them."""
    found = [getattr(value, "statistic", None) for value in values]
    if STATISTICS not in (error.do or "") or not all(isinstance(one, Real) for one in found):
        return error
    numbers = ", ".join(f"{float(one):.6g}" for one in found if one is not None)
    return PoolingError(error.fact, do=str(error.do).replace(STATISTICS, f"[{numbers}]"), **error.lines)


def _row(
    name: str, figures: Sequence[tuple[Any, ...]], scale: str | None, n_obs: int | None, dfcom: float | None,
    alpha: float,
) -> dict[str, float]:  # fmt: skip
    """Return the pooled columns of one figure."""
    on = scale_named(scale)
    estimates = np.array([[f[0]] for f in figures], dtype=np.float64)
    variances = _variances(figures, estimates, on, n_obs)
    known = variances is not None
    pooled = on_scale(estimates, variances if variances is not None else np.ones_like(estimates), on, names=[name])
    if not known:
        return {key: float(pooled.estimate[0]) if key == "estimate" else np.nan for key in columns(pooled.pooled)}
    assert variances is not None
    given = [float(f[2]) for f in figures if len(f) > 2 and f[2] is not None]
    df_complete = dfcom if dfcom is not None else min(given, default=np.inf)
    back = on_scale(estimates, variances, on, df_complete, alpha, [name])
    row = {key: float(values[0]) for key, values in columns(back.pooled, alpha).items()}
    row |= {"estimate": float(back.estimate[0])}
    row |= {"conf_low": float(back.conf_low[0]), "conf_high": float(back.conf_high[0])}
    row["std_error"] /= abs(float(np.asarray(on.slope(back.estimate))[0]))
    return row if on.name in _TESTED else {**row, "statistic": np.nan, "p_value": np.nan}


def _variances(figures: Sequence[tuple[Any, ...]], estimates: Array, on: Scale, n_obs: int | None) -> Array | None:
    """Return the variance of each figure, shape (m, 1); None where the function gave none."""
    given = [f[1] if len(f) > 1 else None for f in figures]
    if all(v is not None for v in given):
        return np.array([[v] for v in given], dtype=np.float64)
    if on is SCALES["fisher"] and n_obs is not None and n_obs > 3 and (np.abs(estimates) < 1).all():
        return np.asarray(1 / (n_obs - 3) / on.slope(estimates) ** 2)
    return None


def _applied(func: Callable[[pd.DataFrame], Any], frame: pd.DataFrame, k: int) -> Any:
    """Call the function on set k; its error names the set."""
    try:
        return func(frame)
    except Exception as error:
        raise FitError(
            f"the function failed on completed set {k}: {type(error).__name__}.",
            said=str(error),
            do=f"{_named(func)}(imp[{k}])" if _named(func) else f"imp[{k}]  # its frame",
        ) from error


def _named(func: Callable[[pd.DataFrame], Any]) -> str | None:
    """Return the name of a function; None where it has none that its caller could write."""
    name = getattr(func, "__name__", "")
    return name if name.isidentifier() else None

"""The pooled figures of an analysis and what they were made from: the state behind ``PooledResults``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..analysis.fit import Fits
from ..analysis.models import Call
from ..pooling.rubin import Pooled, t_pvalue, t_quantile, upper_level
from ..typing import Array
from .notes import cautions
from .pickling import packed, unpacked

__all__ = ["ModelNames", "PooledEstimates", "RefittedResults", "Stability", "of_each"]


@dataclass(frozen=True, slots=True)
class Stability:
    """Whether a table is stable enough, and what is missing if not."""

    enough: bool
    what: str  #: one sentence for a summary or an error
    m: int  #: how many sets would do, as far as these can tell


@dataclass(frozen=True, slots=True)
class ModelNames:
    """Stands in for a statsmodels model where other tools ask one for names."""

    endog_names: str
    exog_names: list[str]
    formula: str


class RefittedResults(Sequence[Any]):
    """The m statsmodels results, each fitted again when it is asked for."""

    def __init__(self, m: int, refit: Callable[[int], Any], kept: Sequence[Any] | None = None) -> None:
        self._m, self._refit, self._kept = m, refit, kept

    def __len__(self) -> int:
        return self._m

    @overload
    def __getitem__(self, k: int) -> Any: ...
    @overload
    def __getitem__(self, k: slice) -> list[Any]: ...
    def __getitem__(self, k: int | slice) -> Any:
        """Return the result of set k, or a list for a slice."""
        if not isinstance(k, slice | int | np.integer):
            raise TypeError(f"a result is chosen by its number from 0 to {self._m - 1}, not by {k!r}")
        if not isinstance(k, slice) and not -self._m <= k < self._m:
            raise IndexError(f"there is no result {k}: the {self._m} results are numbered 0 to {self._m - 1}")
        which = range(self._m)[k]
        return [self[j] for j in which] if isinstance(which, range) else self._one(which)

    def __repr__(self) -> str:
        return f"<{self._m} statsmodels results, {'fitted again when asked for' if self._kept is None else 'kept'}>"

    def _one(self, k: int) -> Any:
        """Return the result of set k, from 0."""
        return self._refit(k) if self._kept is None else self._kept[k]


class PooledEstimates:
    """Pooled coefficients under the names statsmodels gives them, with the fits and the design behind them.

    The functions that test, predict, compare and draw read this class; :class:`PooledResults` adds them as methods.

    Parameters
    ----------
    pooled : Pooled
        The pooled figures, q coefficients.
    fits : Fits
        What the m fits left behind.
    refit : callable
        Fits set k again: ``refit(k)`` returns a statsmodels result.
    header : mapping of str to str, optional
        Facts for the top of the summary, such as ``{"Iterations": "10"}``. Long ones become notes.
    notes : sequence of str, optional
        Sentences for the bottom of the summary.
    imputations : object, optional
        The imputed set that was analysed.
    congeniality : object, optional
        The verdict: does the analysis fit the imputations?
    design : Design, optional
        The frozen design; with ``completed`` and ``call`` it makes predictions and likelihood tests possible.
    completed : Completed, optional
        The m completed sets.
    call : Call, optional
        The model and its words.
    stability : Stability, optional
        What was asked of the Monte-Carlo error; the summary then prints only the digits that it supports.
    incomplete : sequence of str, optional
        Columns of the analysis that have missing values, where that is known.
    """

    def __init__(
        self,
        pooled: Pooled,
        fits: Fits,
        *,
        refit: Callable[[int], Any],
        header: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        imputations: Any = None,
        congeniality: Any = None,
        design: Any = None,
        completed: Any = None,
        call: Call | None = None,
        stability: Stability | None = None,
        incomplete: Sequence[str] | None = None,
    ) -> None:
        self.pooled, self.fits = pooled, fits
        self.header, self.notes = dict(header or {}), (*notes, *fits.notes, *cautions(pooled, fits.names, incomplete))
        self.imputations, self.congeniality = imputations, congeniality
        self.design, self.completed, self.call, self.settled = design, completed, call, stability
        self.results = RefittedResults(pooled.m, refit, fits.kept)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot cross a process: patsy's design and the statsmodels results."""
        return packed(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Freeze the design anew; the single results are fitted again when they are asked for."""
        self.__dict__.update(state)
        self.design, refit = unpacked(state)
        self.results = RefittedResults(self.m, refit)

    @property
    def params(self) -> pd.Series:
        """Pooled coefficients, indexed by their names (q)."""
        return self._series(self.pooled.params)

    @property
    def bse(self) -> pd.Series:
        """Standard errors: the root of within plus (1 + 1/m) between (q)."""
        return self._series(self.pooled.std_error)

    @property
    def tvalues(self) -> pd.Series:
        """Coefficients over their standard errors (q)."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided p-values, each from a t on its own degrees of freedom (q)."""
        return self._series(t_pvalue(self.tvalues.to_numpy(), self.pooled.df))

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of each coefficient (q)."""
        return self._series(self.pooled.df)

    @property
    def riv(self) -> pd.Series:
        """Relative increase in variance due to the missing values (q)."""
        return self._series(self.pooled.riv)

    @property
    def lambda_(self) -> pd.Series:
        """Share of the variance that is due to the missing values, in [0, 1] (q)."""
        return self._series(self.pooled.lambda_)

    @property
    def fmi(self) -> pd.Series:
        """Fraction of missing information, in [0, 1] (q)."""
        return self._series(self.pooled.fmi)

    @property
    def within(self) -> pd.DataFrame:
        """Mean of the m covariance matrices (q, q)."""
        return self._matrix(self.pooled.within)

    @property
    def between(self) -> pd.DataFrame:
        """Covariance matrix of the m estimates (q, q)."""
        return self._matrix(self.pooled.between)

    @property
    def total(self) -> pd.DataFrame:
        """Pooled covariance matrix, within + (1 + 1/m) between (q, q)."""
        return self._matrix(self.pooled.total)

    @property
    def m(self) -> int:
        """Number of completed data sets."""
        return self.pooled.m

    @property
    def nobs(self) -> int:
        """Rows of each completed data set."""
        return self.fits.n_obs

    @property
    def dfcom(self) -> float:
        """Residual degrees of freedom had nothing been missing."""
        return self.pooled.df_complete

    @property
    def df_method(self) -> str:
        """The rule behind ``df``."""
        return self.pooled.df_method

    @property
    def converged(self) -> npt.NDArray[np.bool_]:
        """Which of the m fits converged, shape (m,)."""
        return self.fits.converged

    @property
    def model(self) -> ModelNames:
        """Names of the outcome and the coefficients, and the formula, where other tools look for them."""
        return ModelNames(self.fits.outcome, list(self.fits.names), self.fits.formula)

    @cached_property
    def scale(self) -> float:
        """Mean of the m residual variances (dispersions); a model without one has no such attribute."""
        found = of_each(self, "scale")
        if found is None:
            raise AttributeError(f"{self.fits.label} has no residual variance")
        return float(found.mean())

    def cov_params(self) -> pd.DataFrame:
        """Return the pooled covariance matrix of the coefficients, shape (q, q)."""
        return self.total

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return confidence limits, one row a coefficient, columns 0 and 1.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage.
        """
        half = t_quantile(upper_level(alpha), self.pooled.df) * self.bse
        return pd.DataFrame({0: self.params - half, 1: self.params + half})

    def _series(self, values: Array) -> pd.Series:
        """Return q figures under the coefficients' names."""
        return pd.Series(values, index=list(self.fits.names), copy=True)

    def _matrix(self, values: Array) -> pd.DataFrame:
        """Return a (q, q) matrix under the coefficients' names."""
        return pd.DataFrame(values, index=list(self.fits.names), columns=list(self.fits.names), copy=True)


def of_each(results: PooledEstimates, name: str) -> npt.NDArray[np.float64] | None:
    """Return a figure of each of the m fits, shape (m,); None if they have none. What the fits say was said before."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in results.results:
            value = getattr(one, name, None)
            if value is None:
                return None
            found.append(float(value))
    return np.array(found)

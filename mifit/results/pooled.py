"""What the user holds after a fit: pooled coefficients under the names statsmodels gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..analysis.fit import Fits
from ..pool.rubin import Pooled, t_pvalue, t_quantile
from .summary import summarise

__all__ = ["ModelNames", "PooledResults", "RefittedResults"]

Array = npt.NDArray[np.float64]


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
        which = range(self._m)[k]
        return [self[j] for j in which] if isinstance(which, range) else self._one(which)

    def __repr__(self) -> str:
        return f"<{self._m} statsmodels results, {'fitted again when asked for' if self._kept is None else 'kept'}>"

    def _one(self, k: int) -> Any:
        """Return the result of set k, from 0."""
        return self._refit(k) if self._kept is None else self._kept[k]


class PooledResults:
    """An analysis of m completed data sets, pooled by Rubin's rules.

    Verbs and attributes carry statsmodels' names; what only multiple imputation has carries the literature's.

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

    Examples
    --------
    >>> from mifit.pool.rubin import pool
    >>> estimates, covariances = np.array([[1.0], [2.0]]), np.ones((2, 1, 1))
    >>> every = np.ones(2, bool)
    >>> fits = Fits(("x",), estimates, covariances, 96.0, "residual", 97, "OLS", "y", "y ~ 0 + x", "nonrobust", {},
    ...             converged=every, separated=~every, notes=())
    >>> res = PooledResults(pool(estimates, covariances, 96.0), fits, refit=lambda k: None)
    >>> res.to_frame().round(2).loc["x", ["estimate", "std_error", "df"]].tolist()
    [1.5, 1.32, 4.94]
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
    ) -> None:
        self.pooled, self.fits = pooled, fits
        self.header, self.notes = dict(header or {}), (*notes, *fits.notes)
        self.imputations, self.congeniality = imputations, congeniality
        self.results = RefittedResults(pooled.m, refit, fits.kept)

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
    def mc_error(self) -> pd.Series:
        """Monte-Carlo error of each coefficient: what another seed would change, about (q)."""
        return self._series(self.pooled.mc_error)

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
        half = t_quantile(1 - alpha / 2, self.pooled.df) * self.bse
        return pd.DataFrame({0: self.params - half, 1: self.params + half})

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return everything about each coefficient in one tidy frame.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame, shape (q, 10)
            Columns estimate, std_error, statistic, df, p_value, conf_low, conf_high, riv, lambda, fmi; the
            index holds the coefficients' names.
        """
        return _tidy(self, self.conf_int(alpha))

    def summary(self, alpha: float = 0.05) -> Any:
        """Return the printable summary, a statsmodels ``Summary``.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the intervals.
        """
        return summarise(self, alpha)

    def __repr__(self) -> str:
        return f"<PooledResults: {self.fits.label}, {self.fits.formula!r}, m = {self.m}; summary() prints the table>"

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        return str(self.summary().as_html())

    def _series(self, values: Array) -> pd.Series:
        """Return q figures under the coefficients' names."""
        return pd.Series(values, index=list(self.fits.names), copy=True)

    def _matrix(self, values: Array) -> pd.DataFrame:
        """Return a (q, q) matrix under the coefficients' names."""
        return pd.DataFrame(values, index=list(self.fits.names), columns=list(self.fits.names), copy=True)


def _tidy(results: PooledResults, limits: pd.DataFrame) -> pd.DataFrame:
    """Return one row a coefficient."""
    return pd.DataFrame(
        {
            "estimate": results.params,
            "std_error": results.bse,
            "statistic": results.tvalues,
            "df": results.df,
            "p_value": results.pvalues,
            "conf_low": limits[0],
            "conf_high": limits[1],
            "riv": results.riv,
            "lambda": results.lambda_,
            "fmi": results.fmi,
        }
    )

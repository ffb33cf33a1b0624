"""What the user holds after a fit: pooled coefficients under the names statsmodels gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..analysis.fit import Fits
from ..analysis.models import Call
from ..pool.rubin import Pooled, t_pvalue, t_quantile, upper_level
from . import compare, effects, precision, predict, quality, tables, tests
from .cautions import cautions
from .levels import LevelPrediction
from .packing import packed, unpacked
from .plots import ResultPlots
from .summary import shown, summarise

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
    design : Design, optional
        The frozen design; with ``completed`` and ``call`` it makes predictions and likelihood tests possible.
    completed : Completed, optional
        The m completed sets.
    call : Call, optional
        The model and its words.
    stability : Stability, optional
        What was asked of the Monte-Carlo error; the summary then prints only the digits that it supports.

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
        design: Any = None,
        completed: Any = None,
        call: Call | None = None,
        stability: precision.Stability | None = None,
    ) -> None:
        self.pooled, self.fits = pooled, fits
        self.header, self.notes = dict(header or {}), (*notes, *fits.notes, *cautions(pooled, fits.names))
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

    def to_frame(self, alpha: float = 0.05, exponentiate: bool = False) -> pd.DataFrame:
        """Return everything about each coefficient in one tidy frame.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.
        exponentiate : bool, default False
            Ratios (odds, hazard, rate) instead of coefficients: estimate and limits are exponentials of those on the
            log scale, the standard error is that of the ratio; statistic and p-value stay, and so do rows that are no
            coefficients (thresholds, variances).

        Returns
        -------
        DataFrame, shape (q, 10)
            Columns estimate, std_error, statistic, df, p_value, conf_low, conf_high, riv, lambda, fmi; the
            index holds the coefficients' names.
        """
        return tables.tidy(self, alpha, exponentiate)

    def summary(self, alpha: float = 0.05, exponentiate: bool = False) -> Any:
        """Return the printable summary, a statsmodels ``Summary``.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the intervals.
        exponentiate : bool, default False
            Print ratios instead of coefficients.
        """
        return summarise(self, alpha, exponentiate)

    def to_html(self, alpha: float = 0.05, exponentiate: bool = False, digits: int = 3) -> str:
        """Return the table of coefficients as HTML, without styles."""
        return tables.to_text(self, "html", alpha, exponentiate, digits)

    def to_latex(self, alpha: float = 0.05, exponentiate: bool = False, digits: int = 3) -> str:
        """Return the table of coefficients as a LaTeX tabular (package booktabs)."""
        return tables.to_text(self, "latex", alpha, exponentiate, digits)

    def to_markdown(self, alpha: float = 0.05, exponentiate: bool = False, digits: int = 3) -> str:
        """Return the table of coefficients in Markdown."""
        return tables.to_text(self, "markdown", alpha, exponentiate, digits)

    def forest(self, alpha: float = 0.05, exponentiate: bool = False) -> pd.DataFrame:
        """Return the figures of a forest plot, ready to draw.

        Returns
        -------
        DataFrame
            Columns term, estimate, conf_low, conf_high, p_value, label ("1.20 (0.95 to 1.51)"), reference (where the
            line of no effect stands) and position (height, the first term on top). Intercepts, thresholds and variances
            are left out.
        """
        return tables.forest(self, alpha, exponentiate)

    @property
    def plot(self) -> ResultPlots:
        """Pictures: ``plot.forest()``, ``plot.predictions("x", by="z")``, ``plot.fmi()``; they need matplotlib."""
        return ResultPlots(self)

    # Hypotheses

    def wald_test(self, r_matrix: Any, *, df_method: str | None = None, scalar: bool = True) -> tests.JointTest:
        """Test linear hypotheses at once (D1).

        Parameters
        ----------
        r_matrix : str, sequence of str, mapping, ndarray or (ndarray, ndarray)
            ``"x1 = x2 = 0"``, ``["x1 - x2", "x3 = 1"]``, ``{"x1": 0}``, a matrix (k, q), or a matrix and values (k,).
        df_method : {"reiter", "li"}, optional
            Denominator degrees of freedom; by default Reiter's (Li's when the results use Rubin's), and for one
            hypothesis those of its t test.
        scalar : bool, default True
            statsmodels' word; the statistic is always a number.

        Returns
        -------
        JointTest
            statistic (F), df1, df2, p_value, riv, method; ``pvalue``, ``fvalue``, ``df_num``, ``df_denom`` too.

        Raises
        ------
        FormulaError
            If a hypothesis cannot be read.
        PoolingError
            If the hypotheses repeat each other.
        """
        return tests.wald_test(self, r_matrix, df_method)

    def t_test(self, r_matrix: Any) -> Any:
        """Test linear combinations of coefficients one by one.

        Parameters
        ----------
        r_matrix : str, sequence of str, mapping, ndarray or (ndarray, ndarray)
            As in :meth:`wald_test`: ``"x1 - x2"``.

        Returns
        -------
        statsmodels.stats.contrast.ContrastResults
            Each combination is pooled itself and has its own degrees of freedom; ``pooled`` holds riv and fmi.
        """
        return tests.t_test(self, r_matrix)

    def wald_test_terms(self, *, df_method: str | None = None) -> pd.DataFrame:
        """Test each term of the formula (D1): the table of an analysis of variance.

        Returns
        -------
        DataFrame
            One row a term: statistic (F), df1, df2, p_value, riv, method ("t" for a term of one coefficient).
        """
        return tests.wald_test_terms(self, df_method)

    def compare(
        self,
        smaller: PooledResults | str,
        method: str | None = None,
        *,
        use: str = "wald",
        ariv: str = "positive",
        df_method: str | None = None,
    ) -> tests.JointTest:
        """Test a smaller model against this one; both on the same completed sets.

        Parameters
        ----------
        smaller : PooledResults or str
            Its coefficients are some of this model's. A formula is fitted on the same sets, with the same words.
        method : {"D4", "D3", "D2", "D1"}, optional
            Likelihood ratio on stacked sets (the default), at pooled estimates, from m chi-squares, or Wald. Models
            without a likelihood that adds up over rows, and robust covariances, have D1 (the default there) and D2.
        use : {"wald", "likelihood"}
            Where the chi-squares of D2 come from.
        ariv : {"positive", "raw", "robust"}
            Increase in variance of D3 and D4: not below zero, as it comes out, or (D4) from the larger model alone.
        df_method : {"reiter", "li"}, optional
            Denominator degrees of freedom of D1.

        Returns
        -------
        JointTest

        Raises
        ------
        ModelError
            If the models are not nested, not on the same completed sets, or have no likelihood for the method.
        """
        return compare.compare(self, smaller, method, use, ariv, df_method)

    # Predictions

    def get_prediction(self, newdata: Any = None) -> predict.Prediction | LevelPrediction:
        """Predict rows, pooled on the link scale by Rubin's rules.

        A mixed model predicts its fixed part; a Cox model hazards relative to that of the mean covariates; a
        multinomial or ordered model the probability of each level.

        Parameters
        ----------
        newdata : DataFrame or mapping, optional
            Columns of the right side (and of the offset or exposure, if the model has one); by default the rows of the
            analysis, each with what was imputed for it.

        Returns
        -------
        Prediction or LevelPrediction
            ``summary_frame(alpha)`` has mean, mean_se, mean_ci_lower, mean_ci_upper, and for linear models the limits
            of a new observation; rows with a missing column are NaN. With levels its index is (row, level).

        Raises
        ------
        DataError
            If a column is absent or has a level the fit never saw.
        FormulaError
            If a value lies outside a spline's knots.
        ModelError
            If the model predicts nothing for a row (conditional and zero-inflated models).
        """
        return predict.get_prediction(self, newdata)

    def predict(self, newdata: Any = None) -> pd.Series | pd.DataFrame:
        """Return the predicted means alone, probabilities with one column a level; see :meth:`get_prediction`."""
        return self.get_prediction(newdata).predicted_mean

    def marginal_effects(self, variables: Any = None, alpha: float = 0.05) -> pd.DataFrame:
        """Average marginal effects on the mean, by the delta method in each set, pooled.

        Parameters
        ----------
        variables : name or list of names, optional
            By default every variable of the right side.
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            The columns of ``to_frame``. A number has one row, dy/dx; a variable of two values the contrast of the
            second and the first, a category each level against the first (``"g: b - a"``). An outcome of several levels
            has these rows for the probability of each (``"top:x"``).
        """
        return effects.marginal_effects(self, variables, alpha)

    # Fit and precision

    @cached_property
    def scale(self) -> float:
        """Mean of the m residual variances (dispersions)."""
        return quality.scale(self)

    @cached_property
    def rsquared(self) -> float:
        """R², pooled as the Fisher z of its root; a model without one has no such attribute."""
        return quality.rsquared(self)

    @property
    def rsquared_adj(self) -> float:
        """Adjusted R²: 1 - (1 - R²)(n - 1)/(n - p) of the pooled R².

        ``rsquared_frame`` also has what R's mice gives: the adjusted R² of each set, pooled.
        """
        return quality.rsquared_adj(self)

    def rsquared_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """R² and adjusted R² with limits.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame, 3 rows
            Columns estimate, conf_low, conf_high, fmi. "R-squared" is ``rsquared``. "Adj. R-squared" pools the adjusted
            R² of the m sets in the same way (Harel 2009; ``pool.r.squared(adjusted = TRUE)`` of R's mice). "Adj.
            R-squared (of the pooled)" adjusts the pooled R² instead, as ``rsquared_adj`` does. The last two differ
            little unless the sets do.
        """
        return quality.rsquared_frame(self, alpha)

    def auc(self, alpha: float = 0.05) -> pd.DataFrame:
        """Area under the ROC curve of a model for a yes-no outcome, pooled on the logit scale.

        Returns
        -------
        DataFrame, one row
            Columns estimate, conf_low, conf_high, fmi; variances by DeLong's method.
        """
        return quality.auc(self, alpha)

    def mc_error(self, alpha: float = 0.05) -> pd.DataFrame:
        """Monte-Carlo error of every column of ``to_frame``: what other imputations would change, about.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame, shape (q, 10)
            By the jackknife over imputations. With fewer than 3 sets NaN, but for the estimate, and
            ``attrs["reason"]`` says so.
        """
        return precision.mc_error(self, alpha)

    def stability(self, until: Mapping[str, float] | None = None) -> precision.Stability:
        """Judge whether there are enough imputations.

        Parameters
        ----------
        until : mapping, optional
            As in ``imp.fit(until=...)``; by default what was asked there, else ``{"se_cv": 0.05}``.

        Returns
        -------
        Stability
            ``enough``, ``what`` (one sentence) and ``m`` (how many sets would do).

        Raises
        ------
        PlanError
            If a word is unknown or a limit is not positive.
        """
        if until is None and self.settled is not None:
            return self.settled
        return precision.stable(self, {"se_cv": 0.05} if until is None else until)

    def recommend_m(self, cv: float = 0.05) -> int:
        """Return how many imputations would make the standard errors replicable (von Hippel 2020).

        Parameters
        ----------
        cv : float, default 0.05
            Wanted coefficient of variation of every standard error, over other seeds.
        """
        return precision.recommend_m(self, cv)

    # What other packages look for

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return tables.maketables_coefficients(self)

    def __maketables_stat__(self, key: str) -> Any:
        return tables.maketables_stat(self, key)

    @property
    def __maketables_depvar__(self) -> str:
        return self.fits.outcome

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "m"]

    @property
    def __maketables_stat_labels__(self) -> dict[str, str]:
        return {"m": "Imputations"}

    @property
    def __maketables_vcov_info__(self) -> dict[str, Any]:
        return {"vcov_type": self.fits.cov_label, "clustervar": ", ".join(self.call.clusters) if self.call else None}

    @property  # type: ignore[misc]
    def __class__(self) -> type[PooledResults]:
        # the first thing stargazer asks a model for: whichever was imported first, it can then read this one
        tables.ready_for_stargazer(type(self))
        return type(self)

    def __repr__(self) -> str:
        return f"<PooledResults: {self.fits.label}, {self.fits.formula!r}, m = {self.m}; summary() prints the table>"

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        return shown(self)

    def _series(self, values: Array) -> pd.Series:
        """Return q figures under the coefficients' names."""
        return pd.Series(values, index=list(self.fits.names), copy=True)

    def _matrix(self, values: Array) -> pd.DataFrame:
        """Return a (q, q) matrix under the coefficients' names."""
        return pd.DataFrame(values, index=list(self.fits.names), columns=list(self.fits.names), copy=True)

"""What the user holds after a fit: pooled coefficients under the names statsmodels gives them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from ..display import harmless
from ..errors import nearest
from . import (
    compare,
    effects,
    fit_statistics,
    hypotheses,
    monte_carlo,
    predict,
    predict_groups,
    tables,
    variance_components,
)
from .estimates import PooledEstimates, Stability
from .plots import ResultPlots
from .predict_levels import LevelPrediction
from .summary import shown, summarise

__all__ = ["PooledResults"]


class PooledResults(PooledEstimates):
    """An analysis of m completed data sets, pooled by Rubin's rules.

    Verbs and attributes carry statsmodels' names; what only multiple imputation has carries the literature's.

    What it is made from, and every pooled figure, stands in :class:`PooledEstimates`.

    Examples
    --------
    >>> import numpy as np
    >>> from mifit.analysis.fit import Fits
    >>> from mifit.pooling.rubin import pool
    >>> estimates, covariances = np.array([[1.0], [2.0]]), np.ones((2, 1, 1))
    >>> every = np.ones(2, bool)
    >>> fits = Fits(("x",), estimates, covariances, 96.0, "residual", 97, "OLS", "y", "y ~ 0 + x", "nonrobust", {},
    ...             converged=every, separated=~every, notes=())
    >>> res = PooledResults(pool(estimates, covariances, 96.0), fits, refit=lambda k: None)
    >>> res.to_frame().round(2).loc["x", ["estimate", "std_error", "df"]].tolist()
    [1.5, 1.32, 4.94]
    """

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

    def wald_test(self, r_matrix: Any, *, df_method: str | None = None, scalar: bool = True) -> hypotheses.JointTest:
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
        return hypotheses.wald_test(self, r_matrix, df_method)

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
        return hypotheses.t_test(self, r_matrix)

    def wald_test_terms(self, *, df_method: str | None = None) -> pd.DataFrame:
        """Test each term of the formula (D1): the table of an analysis of variance.

        Returns
        -------
        DataFrame
            One row a term: statistic (F), df1, df2, p_value, riv, method ("t" for a term of one coefficient).
        """
        return hypotheses.wald_test_terms(self, df_method)

    def compare(
        self,
        smaller: PooledResults | str,
        method: str | None = None,
        *,
        use: str = "wald",
        ariv: str = "positive",
        df_method: str | None = None,
    ) -> hypotheses.JointTest:
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

    def get_prediction(self, newdata: Any = None, *, random: bool = False) -> predict.Prediction | LevelPrediction:
        """Predict rows, pooled on the link scale by Rubin's rules.

        A mixed model predicts its fixed part; a Cox model hazards relative to that of the mean covariates; a
        multinomial or ordered model the probability of each level.

        Parameters
        ----------
        newdata : DataFrame or mapping, optional
            Columns of the right side (and of the offset or exposure, if the model has one); by default the rows of the
            analysis, each with what was imputed for it.
        random : bool, default False
            Add the random effects of each row's group (a column of new rows) to a mixed model's fixed part. A group
            that the data do not have is predicted as the fixed part is, with the variance between groups in its limits.

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
        return predict_groups.predict_groups(self, newdata) if random else predict.get_prediction(self, newdata)

    def predict(self, newdata: Any = None, *, random: bool = False) -> pd.Series | pd.DataFrame:
        """Return the predicted means alone, probabilities with one column a level; see :meth:`get_prediction`."""
        return self.get_prediction(newdata, random=random).predicted_mean

    def random_effects(self, alpha: float = 0.05) -> pd.DataFrame:
        """Random effects of the groups of a mixed model, given the data, pooled by Rubin's rules.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            One row for each group and effect; columns estimate, std_error (of the effect less its estimate), conf_low,
            conf_high, fmi.

        Raises
        ------
        ModelError
            If the model has no random effects, or has ``vc_formula=`` or ordered levels.
        """
        return predict_groups.random_effects(self, alpha)

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
    def rsquared(self) -> float:
        """R², pooled as the Fisher z of its root; a model without one has no such attribute."""
        return fit_statistics.rsquared(self)

    @property
    def rsquared_adj(self) -> float:
        """Adjusted R²: 1 - (1 - R²)(n - 1)/(n - p) of the pooled R².

        ``rsquared_frame`` also has what R's mice gives: the adjusted R² of each set, pooled.
        """
        return fit_statistics.rsquared_adj(self)

    def rsquared_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """R² and adjusted R² with limits.

        Parameters
        ----------
        alpha
            As in :meth:`to_frame`.

        Returns
        -------
        DataFrame, 3 rows
            Columns estimate, conf_low, conf_high, fmi. "R-squared" is ``rsquared``. "Adj. R-squared" pools the adjusted
            R² of the m sets in the same way (Harel 2009; ``pool.r.squared(adjusted = TRUE)`` of R's mice). "Adj.
            R-squared (of the pooled)" adjusts the pooled R² instead, as ``rsquared_adj`` does. The last two differ
            little unless the sets do. A mixed model has the rows "R-squared (marginal)", of the fixed effects alone,
            and "R-squared (conditional)", with the random effects (Nakagawa and Schielzeth 2013), pooled as logits.
        """
        return fit_statistics.rsquared_frame(self, alpha)

    def variance_components(self, alpha: float = 0.05) -> pd.DataFrame:
        """Variance components of a mixed model, and the share of variance between groups.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            Columns estimate (of a variance in squared units of the outcome), std_dev (its root), conf_low, conf_high,
            fmi, sets. Rows "g Var", "x Var", "g x x Cor", "Residual Var"; "g ICC" is the intraclass correlation: the
            variance between units of g over all variance that the fixed effects leave, with random slopes on average
            over the rows. Variances are pooled as logarithms, correlations as Fisher's z, shares as logits, over the
            ``sets`` where they are not at their boundary; with fewer than 2 of these the estimate is the plain mean
            and there are no limits.

        Raises
        ------
        ModelError
            If the model has no random effects.
        """
        return variance_components.variance_components(self, alpha)

    def auc(self, alpha: float = 0.05) -> pd.DataFrame:
        """Area under the ROC curve of a model for a yes-no outcome, pooled on the logit scale.

        Returns
        -------
        DataFrame, one row
            Columns estimate, conf_low, conf_high, fmi; variances by DeLong's method.
        """
        return fit_statistics.auc(self, alpha)

    def mc_error(self, alpha: float = 0.05) -> pd.DataFrame:
        """Monte-Carlo error of every column of ``to_frame``: what other imputations would change, about.

        Parameters
        ----------
        alpha
            As in :meth:`to_frame`.

        Returns
        -------
        DataFrame, shape (q, 10)
            By the jackknife over imputations. With fewer than 3 sets NaN, but for the estimate, and
            ``attrs["reason"]`` says so.
        """
        return monte_carlo.mc_error(self, alpha)

    def stability(self, until: Mapping[str, float] | None = None) -> Stability:
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
        return monte_carlo.stable(self, {"se_cv": 0.05} if until is None else until)

    def recommend_m(self, cv: float = 0.05) -> int:
        """Return how many imputations would make the standard errors replicable (von Hippel 2020).

        Parameters
        ----------
        cv : float, default 0.05
            Wanted coefficient of variation of every standard error, over other seeds.
        """
        return monte_carlo.recommend_m(self, cv)

    # What other packages look for

    @property
    def __maketables_coef_table__(self) -> pd.DataFrame:
        return tables.maketables_coefficients(self)

    def __maketables_stat__(self, key: str) -> Any:
        return tables.maketables_stat(self, key)

    @property
    def __maketables_depvar__(self) -> str:
        return harmless(self.fits.outcome)

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

    def __getattr__(self, name: str) -> Any:
        own = getattr(type(self), name, None)
        if isinstance(own, property | cached_property):  # this model has none, and the property says why
            return own.__get__(self, type(self))
        raise AttributeError(_absent(name))

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        return shown(self)


def _absent(name: str) -> str:
    """What to say of an attribute that pooled results do not have."""
    for words, said in _ELSEWHERE.items():
        if name in words:
            return f"pooled results have no {name!r}: {said}"
    return f"'PooledResults' object has no attribute {name!r}{nearest(name, _VERBS)}"


#: what a statsmodels result has, and why pooled results have not -> what there is
_ELSEWHERE = {
    ("aic", "bic", "llf", "llnull", "prsquared", "deviance", "pearson_chi2", "llr", "llr_pvalue", "aicc"): (
        "a likelihood of averaged estimates is no one's likelihood. Of set k: res.results[k].aic; "
        "nested models are compared by res.compare(smaller)"
    ),
    ("resid", "resid_response", "resid_pearson", "resid_deviance", "wresid", "fittedvalues", "get_influence"): (
        "each set has its own, for its own imputed values. Of set k: res.results[k].resid and .fittedvalues; "
        "pooled predictions with intervals: res.get_prediction()"
    ),
    ("fvalue", "f_pvalue", "f_test"): "all terms at once are tested by res.wald_test_terms() or res.compare('y ~ 1')",
    ("df_resid", "df_model"): (
        "each coefficient has degrees of freedom of its own, res.df; those of the complete data are res.dfcom"
    ),
    (
        "coef_",
        "coef",
        "coefficients",
        "intercept_",
        "estimate",
    ): "the pooled coefficients are res.params, the table res.to_frame()",
    ("conf", "ci", "confint", "conf_int_"): "intervals are res.conf_int()",
    (
        "save",
        "to_csv",
        "to_excel",
        "tidy",
        "summary2",
        "summary_frame",
    ): "the table is a DataFrame: res.to_frame(), so res.to_frame().to_csv(...)",
    ("fit", "refit"): "it is fitted; another analysis of the same sets: res.imputations.fit('y ~ x')",
}
_VERBS = (
    "params", "bse", "tvalues", "pvalues", "df", "riv", "lambda_", "fmi", "conf_int", "summary", "to_frame", "plot",
    "wald_test", "t_test", "compare", "predict", "get_prediction", "marginal_effects", "rsquared", "auc", "results",
    "variance_components", "rsquared_frame", "random_effects",
)  # fmt: skip

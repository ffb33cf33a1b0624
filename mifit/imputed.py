"""ImputedSet: the frame as given and m plausible completions of it; what is done with them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np
import pandas as pd

from .errors import DataError
from .examine.convergence import trace_frame
from .examine.events import events_of
from .examine.explain import Explanation, explain
from .examine.methods_text import citation, methods_text
from .examine.model_check import ModelCheck
from .examine.notebook import imputed_html
from .examine.plots import Plots
from .examine.report import report
from .examine.sensitivity import Sensitivity
from .examine.values import value_table
from .formula.question import caller_scope
from .frame.exports import to_r, to_spss, to_stata
from .frame.other_frames import as_came, taken_in
from .frame.sets_from_elsewhere import from_frames as _from_frames
from .frame.sets_from_elsewhere import from_long as _from_long
from .imputation.plan.plan import Plan
from .planning.rehearsal import Rehearsal
from .record.record import Record
from .results.function_code import FunctionCode
from .results.map import Mapped, map_sets
from .results.monte_carlo import more_sets_until
from .results.pooled import PooledResults
from .workflow.absent_names import said_of_absent
from .workflow.alternatives import Alternatives, alternatives
from .workflow.bootstrap import Bootstrapped, bootstrapped
from .workflow.check_model import cheap_model_check, model_check_of, model_checked
from .workflow.describe import convergence_of, described, remaining, said_of_remaining
from .workflow.fit import FitArguments, certified, fitted, with_covariance
from .workflow.impute import extended
from .workflow.new_rows import completed_rows
from .workflow.persist import loaded, saved
from .workflow.rehearse import rehearsed
from .workflow.sensitivity import sensitivity

__all__ = ["ImputedSet", "from_frames", "from_long", "load"]


class ImputedSet:
    """m completed data sets, of which only the missing values are stored.

    Indexing and iterating give completed DataFrames: index, columns, dtypes and observed values exactly as they
    came. ``fit`` analyses each and pools.

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.datasets.load("airquality").mice.impute("Ozone ~ Temp + Wind", m=3, rng=1)
    >>> imp[0].shape, int(imp[2]["Ozone"].isna().sum())
    ((153, 6), 0)
    """

    def __init__(self, record: Record) -> None:
        self._record = record

    @property
    def m(self) -> int:
        """Number of completed sets."""
        return self._record.m

    @property
    def plan(self) -> Plan | None:
        """The recipe; None for sets made elsewhere."""
        return self._record.plan

    @property
    def iterations(self) -> int:
        """Sweeps each chain has done."""
        return self._record.iterations

    @property
    def identity(self) -> str:
        """Eight characters that stand for what was asked, the same on every machine.

        A digest of the frame as given (numbers in single precision), the plan and the words that made it, the seed,
        the numbers of the chains and their sweeps, and the version of the draws. It knows nothing of how many workers
        there were, nor whether all was drawn at once. Of sets made elsewhere it is a digest of their values.
        """
        return self._record.identity

    @property
    def fingerprint(self) -> str:
        """Eight characters of what was drawn, bit for bit: another processor may round the last bits another way."""
        return self._record.fingerprint

    @property
    def events(self) -> pd.DataFrame:
        """What a reader should know: choices of the plan, and incidents in the chains.

        Returns
        -------
        DataFrame
            Columns ``source`` ("plan", "chain", "sampler" or "values"), ``event``, ``chains`` (how many saw it),
            ``visits`` (how often), ``variable``, ``which`` (numbers of the chains), ``first`` (the first iteration that
            saw it) and ``consequence`` (what follows from it).
        """
        return events_of(self._record)

    def __len__(self) -> int:
        return self.m

    @overload
    def __getitem__(self, k: int) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, k: slice) -> list[pd.DataFrame]: ...
    def __getitem__(self, k: int | slice) -> pd.DataFrame | list[pd.DataFrame]:
        """The k-th completed frame, from 0, or a list for a slice."""
        if isinstance(k, slice):
            return [self._frame(one) for one in range(self.m)[k]]
        if not isinstance(k, (int, np.integer)):
            raise TypeError(
                f"a set is chosen by its number from 0 to {self.m - 1}, not by {k!r}; a column: imp[0][{k!r}]"
            )
        if not -self.m <= k < self.m:
            raise IndexError(f"there is no set {k}: the {self.m} sets are numbered 0 to {self.m - 1}")
        return self._frame(int(k) % self.m)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return map(self._frame, range(self.m))

    def _frame(self, k: int) -> Any:
        """The k-th completed frame, of the kind that came."""
        return as_came(self._record.completed.frame(k), self._record.came_as)

    def to_long(self, original: bool = True, *, imp: Hashable = ".imp", id: Hashable = ".id") -> pd.DataFrame:
        """All sets stacked in R's long format.

        Parameters
        ----------
        original : bool, default True
            Whether the incomplete frame comes first, as set 0.
        imp, id : hashable, default ".imp" and ".id"
            Names of the two columns in front, which the frame must not have.

        Returns
        -------
        DataFrame, shape ((m + original) * n, 2 + p)
            Columns ``.imp`` (number of the set), ``.id`` (row number from 1), then the frame's own; its index, once
            for each set. :func:`from_long` reads it.

        Raises
        ------
        DataError
            If the frame has a column of such a name.
        """
        return as_came(self._record.completed.long(original, imp, id), self._record.came_as)

    def to_r(self, path: str | os.PathLike[str]) -> str:
        """Write all sets, and the incomplete frame as set 0, into a file that R reads.

        Parameters
        ----------
        path : path
            ``"study.rds"``. Categories become factors, dates are dates.

        Returns
        -------
        str
            The line of R that makes it mice's ``mids``.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        return to_r(self._record.completed, path)

    def to_stata(self, path: str | os.PathLike[str]) -> str:
        """Write all sets, and the incomplete frame as set 0, into a file of Stata (flong, for ``mi import``).

        Parameters
        ----------
        path : path
            ``"study.dta"``, of Stata 14 or later. Names that Stata does not take are changed and kept as labels.

        Returns
        -------
        str
            The lines of Stata that make it ``mi`` data.

        Raises
        ------
        StorageError
            If the file cannot be written.
        """
        return to_stata(self._record.completed, path)

    def to_spss(self, path: str | os.PathLike[str]) -> str:
        """Write all sets, and the incomplete frame as set 0, into a file of SPSS, numbered by ``Imputation_``.

        Parameters
        ----------
        path : path
            ``"study.sav"``. It needs the extra ``spss``.

        Returns
        -------
        str
            The lines of SPSS that make its procedures pool.

        Raises
        ------
        StorageError
            If the file cannot be written.
        DataError
            If pyreadstat is not installed.
        """
        return to_spss(self._record.completed, path)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(said_of_absent(name, self))

    def __repr__(self) -> str:
        return "\n".join(described(self._record))

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return imputed_html(self._record, said_of_remaining(remaining(self._record)))

    def extend(
        self, m: int | None = None, *, iterations: int | None = None, n_jobs: int | None = None,
        progress: bool | None = None, checkpoint: str | os.PathLike[str] | None = None,
    ) -> ImputedSet:  # fmt: skip
        """More sets, or more sweeps: a new ImputedSet with the same bits as all at once.

        Parameters
        ----------
        m : int, optional
            That many more sets.
        iterations : int, optional
            That many more sweeps of every chain.
        n_jobs, progress, checkpoint
            As in :func:`mifit.impute`.

        Returns
        -------
        ImputedSet

        Raises
        ------
        PlanError
            If the sets were made elsewhere, or neither or a negative number is asked for.
        """
        return ImputedSet(extended(self._record, ImputedSet, m, iterations, n_jobs, progress, checkpoint))

    def fit(
        self,
        formula: str | None = None,
        model: str | None = None,
        *,
        dfcom: float | str | None = None,
        df_method: str = "barnard-rubin",
        uncovered: str = "reimpute",
        cov_type: str | None = None,
        subset: Any = None,
        varying_n: bool = False,
        drop_imputed_outcome: bool = False,
        keep: str | None = None,
        n_jobs: int | None = None,
        until: Mapping[str, float] | None = None,
        max_m: int = 200,
        fit_kwds: Mapping[str, Any] | None = None,
        **model_keywords: Any,
    ) -> PooledResults:
        """Fit a statsmodels model to each set and pool by Rubin's rules.

        Parameters
        ----------
        formula : str, optional
            The analysis; by default the declared one.
        model : str, class or function, optional
            Any statsmodels model with a formula: "ols", "logit", "glm", "poisson", "ordinal", "mnlogit", "phreg",
            "mixedlm", "gee", ...; or ``sm.Logit``, ``smf.logit``. By default as declared, or by the outcome.
        dfcom : float or {"between-within", "satterthwaite"}, optional
            Complete-data degrees of freedom, instead of the model's own; of mixed models also a rule, which gives each
            coefficient its own (the first is theirs).
        df_method : {"barnard-rubin", "rubin"}
            How degrees of freedom are pooled.
        uncovered : {"reimpute", "raise", "ignore"}
            What to do about an analysis that the imputations never saw.
        cov_type : str, optional
            Covariance of each fit, as statsmodels names it ("HC1"; "cluster" with ``groups="id"``).
        subset : str or sequence of bool, optional
            The rows to analyse: a query that is read on each completed set (``"age > 50"``, as ``DataFrame.query``
            reads it), or a mask for the rows of the frame. The imputations foresaw it if they let every term differ
            there; otherwise ``uncovered`` says what to do.
        varying_n : bool, default False
            Whether the subset may have more rows in some sets than in others.
        drop_imputed_outcome : bool, default False
            Leave rows with an imputed outcome out of the fits (von Hippel 2007): they help to impute the covariates,
            and then add only noise. Refused where a column outside the analysis informs the outcome.
        keep : {None, "results"}
            Keep the statsmodels results; otherwise ``res.results[k]`` fits set k again.
        n_jobs : int, optional
            joblib workers.
        until : mapping, optional
            Add imputations until the table is stable: ``{"se_cv": 0.05}`` (every standard error replicable to 5 %),
            ``{"estimate": 0.1}`` (Monte-Carlo error in standard errors), ``{"p_value": 0.005}``. The summary then
            prints only digits that the Monte-Carlo error supports.
        max_m : int, default 200
            Not more sets than these.
        fit_kwds : mapping, optional
            Words that go to statsmodels' ``fit`` whatever its signature says.
        **model_keywords
            Words of the model and of its ``fit`` (``family=``, ``weights=``); a string may name a column.

        Returns
        -------
        PooledResults

        Raises
        ------
        CongenialityError
            If the imputations never saw the analysis and ``uncovered="raise"``; if imputed outcomes are to be left out
            that carry information.
        DataError
            If a subset cannot be evaluated, or has more rows in some sets than in others.
        ModelError, FormulaError, FitError, PoolingError
            If a word, a formula, a fit or the pooling fails.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)
        >>> list(imp.fit().params.index)
        ['Intercept', 'age[T.40-59]', 'age[T.60-99]', 'bmi']
        """
        given = FitArguments(
            formula=formula, model=model, keywords=with_covariance(model_keywords, cov_type), fit_kwds=fit_kwds,
            dfcom=dfcom, df_method=df_method, uncovered=uncovered, keep=keep, n_jobs=n_jobs, subset=subset,
            varying_n=varying_n, drop_imputed_outcome=drop_imputed_outcome,
        )  # fmt: skip
        return self._fit(given) if until is None else more_sets_until(lambda imp: imp._fit(given), self, until, max_m)

    def map(self, func: Callable[[pd.DataFrame], Any], *, n_jobs: int | None = None) -> Mapped:
        """Call a function on each completed frame; ``pool()`` of what comes back pools by Rubin's rules.

        Parameters
        ----------
        func : callable
            Takes a completed frame; returns an estimate, (estimate, variance), (estimate, variance, df), a mapping of
            names to those, or anything to be looked at set by set.
        n_jobs : int, optional
            joblib workers.

        Returns
        -------
        Mapped

        Raises
        ------
        FitError
            If the function fails on a set.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)
        >>> list(imp.map(lambda d: d["bmi"].corr(d["chl"])).pool("fisher").index)
        ['estimate']
        """
        frame = self._record.frame
        values = map_sets(self, func, n_jobs)
        return Mapped(values, len(frame), FunctionCode.of(func, self._record.completed.frame(0)))

    def check(
        self,
        formula: str | None = None,
        model: str | None = None,
        *,
        cov_type: str | None = None,
        subset: Any = None,
        **model_keywords: Any,
    ) -> pd.DataFrame:
        """The certificate: whether the imputations cover an analysis, term by term.

        Parameters
        ----------
        formula, model, cov_type, subset, **model_keywords
            As in :meth:`fit`; by default the declared analysis.

        Returns
        -------
        DataFrame
            Index the terms; columns ``verdict`` (exact, same mean, implied, approximate, absent, unknown),
            ``imputed`` (imputed cells the term is computed from), ``reason`` and ``do``, the call that cures it.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
        >>> imp.check("chl ~ age * bmi")["verdict"].to_dict()
        {'Intercept': 'implied', 'age': 'implied', 'bmi': 'implied', 'age:bmi': 'absent'}
        """
        words = with_covariance(model_keywords, cov_type)
        given = FitArguments(formula=formula, model=model, keywords=words, subset=subset, varying_n=True)
        return certified(self._record, given)

    def bootstrap(
        self, formula: str | None = None, model: str | None = None, *, B: int = 200, M: int = 2,
        id: Hashable | None = None, by: Hashable | None = None, cov_type: str | None = None, **model_keywords: Any,
    ) -> Bootstrapped:  # fmt: skip
        """Bootstrap, then impute: a variance that holds where imputation and analysis agree approximately only.

        Parameters
        ----------
        formula, model, cov_type, **model_keywords
            The analysis, as in :meth:`fit`; by default the declared one.
        B : int, default 200
            Bootstrap samples.
        M : int, default 2
            Imputations of each.
        id : hashable, optional
            Column of units that are resampled whole; by default the ``id=`` of the imputation, else rows.
        by : hashable, optional
            Column of strata within which they are resampled.

        Returns
        -------
        Bootstrapped
            Prints estimates with this variance and Rubin's beside it; ``to_frame()`` has limits and p-values.

        Raises
        ------
        FitError
            If more than a tenth of the samples cannot be analysed.
        PlanError, DataError
            If the sets were made elsewhere, B or M is below 2, or a column has missing values.

        Notes
        -----
        Each sample is imputed by the same plan, its streams follow from the seed of the imputation. The variance is
        that of von Hippel and Bartlett (2021), *Statistical Science* 36(3), 400-420.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("airquality").mice.impute("Ozone ~ Temp + Wind", m=5, rng=1)
        >>> list(imp.bootstrap(B=10).to_frame().index)
        ['Intercept', 'Temp', 'Wind']
        """
        words = with_covariance(model_keywords, cov_type)
        return bootstrapped(self._record, FitArguments(formula=formula, model=model, keywords=words), B, M, id, by)

    def sensitivity(
        self, grid: Mapping[Hashable, Sequence[float]], formula: str | None = None, model: str | None = None, *,
        kind: str | None = None, scale: str = "sd", times: Mapping[Hashable, Any] | None = None,
        cov_type: str | None = None, n_jobs: int | None = None, **model_keywords: Any,
    ) -> Sensitivity:  # fmt: skip
        """What if values are not missing at random? The analysis over a range of departures, on draws made for each.

        Parameters
        ----------
        grid : mapping
            One or two columns -> the values tried, 0 for missing at random: ``{"x": [-1, 0, 1]}``.
        formula, model, cov_type, **model_keywords
            The analysis, as in :meth:`fit`; by default the declared one. The imputations must have been made for it.
        kind : {"selection", "delta"}, optional
            "selection", by default for covariates: a value is the log odds ratio of being missing, given all else.
            "delta", by default elsewhere: it is added to the imputed values on the scale of their own model.
        scale : {"sd", "unit", "share"}, default "sd"
            Whether a value is for one standard deviation of the observed numbers, for one unit, or (delta) a share of
            their mean. Of categories, and on the scale of a logarithm or log odds, it is as it stands.
        times : mapping, optional
            Column -> expression of complete columns, or one number a row, that multiplies delta:
            ``{"y": "arm == 'active'"}``.
        n_jobs : int, optional
            joblib workers.

        Returns
        -------
        Sensitivity
            Prints as a table; ``to_frame()`` is tidy, ``plot("x")`` a curve or contours, ``tipping("x")`` the departure
            at which p crosses 0.05, ``methods_text()`` a paragraph.

        Raises
        ------
        CongenialityError
            If the imputations never saw the analysis.
        DataError, PlanError
            If a column has nothing that is drawn, or cannot depart in this way.

        Notes
        -----
        A selection is one more factor of the joint model, its coefficient of the column held: draws stay compatible
        with the analysis at every value. The chains have the same seeds at each, so that curves are smooth.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=5, rng=1)
        >>> sens = imp.sensitivity({"bmi": [0, 1]})
        >>> sens.kind, len(sens.to_frame())
        ('selection', 8)
        """
        words = with_covariance(model_keywords, cov_type)
        given = FitArguments(formula=formula, model=model, keywords=words, n_jobs=n_jobs)
        return sensitivity(self._record, grid, given, kind, scale, times, n_jobs)

    def alternatives(
        self, formula: str | None = None, model: str | None = None, *, cov_type: str | None = None,
        n_jobs: int | None = None, **model_keywords: Any,
    ) -> Alternatives:  # fmt: skip
        """Why did my estimate move? One analysis on complete cases and under each way to impute, side by side.

        Parameters
        ----------
        formula, model, cov_type, **model_keywords
            As in :meth:`fit`; by default the declared analysis.
        n_jobs : int, optional
            joblib workers for the fits.

        Returns
        -------
        Alternatives
            Prints complete cases, chained equations with main effects, with the terms of the analysis, and compatible
            draws, with the same m and seed; sets made elsewhere stand first, "as given". ``to_frame()`` is long;
            ``shifts`` and ``shares`` say what each variable brings; ``results`` holds the pooled fits; ``failed`` says
            which way failed, and why.

        Notes
        -----
        The shift of a coefficient is its estimate from compatible draws minus that from complete cases. The part of a
        variable is the shift when rows in which only it is missing are added to the complete cases, with its imputed
        values; "together" is the rest, from rows with several missing values. Parts sum to the shift; a share is a part
        divided by it.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=5, rng=1)
        >>> list(imp.alternatives().figures)
        ['complete cases', 'main effects', 'terms', 'compatible']
        """
        words = with_covariance(model_keywords, cov_type)
        given = FitArguments(formula=formula, model=model, keywords=words, n_jobs=n_jobs)
        return alternatives(self._record, given, self._present)

    def rehearse(
        self, frames: int = 200, n: int | None = None, *, m: int | None = None, formula: str | None = None,
        missing: Mapping[str, Any] | None = None, n_jobs: int | None = None, progress: bool | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> Rehearsal:  # fmt: skip
        """What this study can be expected to find: bias, coverage and width of each coefficient, by simulation.

        Parameters
        ----------
        frames : int, default 200
            How many frames are simulated, at least 2.
        n : int, optional
            Rows of each; by default as many as the study has.
        m : int, optional
            Imputations of each; by default as many as there are sets.
        formula : str, optional
            The analysis; by default the declared one.
        missing : mapping, optional
            How values are deleted, as words of :func:`mifit.ampute`: ``{"share": 0.3, "patterns": ["bmi"]}``. By
            default by a model of what is missing in this study.
        n_jobs : int, optional
            joblib workers; the bits do not depend on it.
        progress : bool, optional
            A progress bar; by default when someone watches.
        checkpoint : path, optional
            A folder for finished frames; the same call goes on from there.

        Returns
        -------
        Rehearsal
            Prints a table for data without missing values, for complete cases and for imputation, each figure with its
            Monte-Carlo error; ``to_frame()`` is that table, ``draws`` every estimate, ``plot()`` a picture of the bias.

        Raises
        ------
        PlanError
            If the sets were made elsewhere, or with an option that cannot be simulated (``by=``, ``id=``,
            ``conditional=``, ``derived=``, ``censored=``, ``where=``, ``ignore=``, joined levels).
        StorageError
            If the folder holds frames of another study.

        Notes
        -----
        1. A world of at least 20,000 rows is simulated from the joint model under the parameters of the first chain:
           columns without a model are drawn with replacement from the first completed set, all others given them.
        2. The truth is the analysis of the world. Each frame is a sample from it.
        3. Values are deleted by logistic regressions fitted to this study: of each incomplete column on the complete
           ones and on what the columns before it leave observed, so that they are missing at random.
        4. The plan is made anew for each frame and run, the analysis fitted and pooled.

        The world is as the models say: what :meth:`check_model` finds wrong with them is not in it.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1, iterations=2)
        >>> imp.rehearse(frames=2, n=60).to_frame()["way"].unique().tolist()
        ['no missing values', 'complete cases', 'imputation']
        """
        return rehearsed(self._record, frames, n, m, formula, missing, n_jobs, progress, checkpoint)

    def explain(self, row: Any, column: Hashable, *, k: int = 0, position: bool = False) -> Explanation:
        """Why a cell has the values it has.

        Parameters
        ----------
        row : label
            Of the frame's index.
        column : hashable
        k : int, default 0
            The set whose draw is shown in full; its chain is run again, which costs an m-th of the imputation.
        position : bool, default False
            Read ``row`` as a number from 0 instead of a label.

        Returns
        -------
        Explanation
            Prints the method, the model alone and after the analysis has weighed it, acceptance, and the m values;
            ``equation`` (predictors as they stood, coefficients as drawn), ``donors``, ``levels`` and ``values`` are
            frames.

        Raises
        ------
        DataError
            If the cell is not there, was observed, or several rows have the label.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=5, rng=1)
        >>> imp.explain(0, "bmi").equation.index.tolist()
        ['Intercept', 'age[T.40-59]', 'age[T.60-99]', 'sum']
        """
        return explain(self._record, row, column, position, k)

    def methods_text(self, results: PooledResults | None = None, style: str = "plain") -> str:
        """The paragraph a journal wants, with numbered references.

        What was missing, the assumption, the models, m, iterations, congeniality, software and seed; with results also
        the pooled model, the fractions of missing information, and whether m suffices.

        Parameters
        ----------
        results : PooledResults, optional
            What ``fit`` returned on these sets.
        style : {"plain", "latex"}
            Plain text, or LaTeX that needs no package.

        Returns
        -------
        str

        Raises
        ------
        PlanError
            If the style is unknown, or the results come from other imputations.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
        >>> print(imp.methods_text(imp.fit())[:74])
        Of 25 observations, 12 (48.0%) were incomplete: bmi was missing in 9 (36.0
        """
        return methods_text(self._record, results, style)

    def report(
        self, path: str | PathLike[str], results: PooledResults | None = None, *, title: str = "Imputation report",
        also: Sequence[Any] = (),
    ) -> Path:  # fmt: skip
        """Write everything one must be able to say of an analysis on one page of HTML, which loads nothing.

        What was missing, the plan, how each variable was drawn and why, convergence, congeniality, the pooled table,
        Monte-Carlo errors and advice on m, software and seed, the methods paragraph. It fits a phone and a desktop and
        prints.

        Parameters
        ----------
        path : str or path
            The file; written anew.
        results : PooledResults, optional
            What ``fit`` returned on these sets.
        title : str, default "Imputation report"
        also : sequence, optional
            More to show: anything that a notebook shows, such as ``imp.alternatives()`` or a DataFrame.

        Returns
        -------
        Path

        Raises
        ------
        PlanError
            If the results come from other imputations, or the file cannot be one.
        """
        model = partial(cheap_model_check, self._record)
        return report(self._record, self.plot, self.check, path, results, title, also, model)

    def citation(self) -> str:
        """What to cite: the software, and the methods that drew these sets, as numbered references."""
        return citation(self._record)

    def check_values(self) -> pd.DataFrame:
        """Whether the imputed values are possible: observed beside imputed ranges, the worst column first.

        Returns
        -------
        DataFrame
            One row for each imputed number, one for each level of each imputed category. Columns

            * ``column``, ``level`` (None of a number); ``observed`` and ``imputed``, how many values, over all sets;
            * ``observed_min``, ``_max``, ``_mean``, ``_sd`` and the same of ``imputed``; of a level ``_mean`` is its
              share, in [0, 1];
            * ``beyond``: share of the imputed values beyond the observed range; ``far``: how far, in observed ranges.

        Notes
        -----
        A column that is imputed more than half its observed range beyond it, or below 0 where no observed value is,
        stands in ``print(imp)`` and in ``imp.events``, with the call that keeps it within ``bounds=``.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=5, rng=1)
        >>> imp.check_values()["column"].tolist()
        ['chl', 'bmi', 'hyp', 'hyp']
        """
        return value_table(self._record.completed)

    def check_model(self, columns: Any = None, *, cells: int = 400) -> ModelCheck:
        """Whether the models that imputed could have produced the observed values.

        Parameters
        ----------
        columns : hashable or sequence, optional
            Which to check; by default every column that a model draws, and complete outcomes of the analyses.
        cells : int, default 400
            At most so many observed cells of a column are redrawn often; the analyses see all of them redrawn.

        Returns
        -------
        ModelCheck
            Prints a verdict and its tables; ``plot("overimputed")`` and ``plot("shares")`` draw. Frames:

            * ``columns``, index the columns: ``method``, ``cells``; ``inside_50`` and ``inside_95``, shares of the
              observed values inside the central intervals of the redrawn ones; ``size``, ``p_value`` and ``respect`` of
              the largest departure, corrected for their number; ``verdict`` ("fits" or "departs") and ``do``.
            * ``coefficients``: ``formula``, ``column`` (redrawn), ``term``, ``estimate``, ``redrawn``, ``shift`` (in
              standard errors), ``p_value``, ``verdict`` ("stays" or "moves").
            * ``response``: ``column``, ``level``, ``missing``, ``raw`` and ``adjusted`` (imputed less observed, in
              standard deviations; adjusted for the probability of being missing), ``std_error``, ``p_value``,
              ``verdict`` ("alike" or "differs").

        Raises
        ------
        PlanError
            If nothing was drawn here, or by groups, conditions, ids or joined levels.
        DataError
            If a column has no model, or fewer than 20 observed values.

        Notes
        -----
        1. Each observed cell is redrawn from its own model times the analyses it feeds, 100 times in each of three
           sets, under parameters of their chains, all other cells as completed. Its rank among the redrawn values is
           its probability integral transform, uniform if the model is right. Columns drawn by matching are left out:
           a few donors are no distribution.
        2. The ranks' normal scores are compared with those of the replicates: shift, spread, skewness, tails; slope,
           curvature and changing spread along other columns.
        3. Each declared analysis is fitted with the observed values of one column redrawn.
        4. Imputed values are compared with observed ones that were as likely to be missing.

        The chains' parameters were estimated from the same values: what is found is there, what is not may be.

        References
        ----------
        Bondarenko, I. and Raghunathan, T. (2016). Graphical and numerical diagnostic tools to assess suitability of
        multiple imputations and imputation models. *Statistics in Medicine* 35(17), 3007-3020. doi:10.1002/sim.6926

        He, Y. and Zaslavsky, A. M. (2012). Diagnosing imputation models by applying target analyses to posterior
        replicates of completed data. *Statistics in Medicine* 31(1), 1-18. doi:10.1002/sim.4413

        Nguyen, C. D., Carlin, J. B. and Lee, K. J. (2017). Model checking in multiple imputation: an overview and case
        study. *Emerging Themes in Epidemiology* 14, 8. doi:10.1186/s12982-017-0062-6

        Examples
        --------
        >>> import mifit
        >>> df = mifit.datasets.load("airquality")
        >>> imp = df.mice.impute("Ozone ~ Temp + Wind", m=5, rng=1, error_law="declared")
        >>> imp.check_model("Ozone").verdict
        'Ozone: curved in Wind, curved in its mean'
        """
        if columns is None and cells == 400:
            return model_check_of(self._record)
        return model_checked(self._record, columns, cells)

    def convergence(self) -> pd.DataFrame:
        """Whether the chains have settled, trace by trace.

        Returns
        -------
        DataFrame
            Index the traces: mean and sd of what is drawn for each numeric column, the share of each level, each
            coefficient of the analysis as it was drawn. Columns

            * ``mean``: over chains, of the last sweep;
            * ``drift``: mean over chains of the last sweep less the one halfway; ``t`` and ``p`` of that, on
              m - 1 degrees of freedom;
            * ``verdict``: "drifts" where p times the number of traces is below 0.01 and the drift is larger than a
              tenth of the standard deviation over chains (of a coefficient: of its standard error); "stable" or
              "constant"; "one sweep suffices" where the plan says so; "too few sweeps" below 5, "too few chains" below
              10, where silence would say little (below 5 chains nothing can drift);
            * ``rhat``, ``ess_bulk``: rank-normalised split R-hat and bulk effective sample size, NaN below 50 sweeps;
            * ``mixing``: "good", "slow" where R-hat exceeds 1.05, or "too few sweeps".

        Raises
        ------
        PlanError
            If the sets were made elsewhere.

        Notes
        -----
        ``fit`` warns once (``ConvergenceWarning``) if a trace drifts or mixes slowly; ``extend(iterations=...)`` goes
        on.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)
        >>> imp.convergence()["verdict"].unique().tolist()
        ['stable']
        """
        return convergence_of(self._record).copy()

    @property
    def trace(self) -> pd.DataFrame:
        """Every trace in long form.

        Returns
        -------
        DataFrame
            Columns ``trace`` ("mean(bmi)"), ``variable`` (the column, or the name of a coefficient), ``statistic``
            ("mean", "sd", "share", "beta"), ``chain`` (from 0, as ``imp[0]``), ``iteration`` (from 1) and ``value``.

        Raises
        ------
        PlanError
            If the sets were made elsewhere.
        """
        return trace_frame(self._record.chains, self._record.plan, self._record.table.drawn)

    @property
    def plot(self) -> Plots:
        """Pictures: ``plot.trace()``, ``density()``, ``strip()``, ``scatter("x", "y")``, ``pattern()``, ``fmi()``."""
        return Plots(self._record.completed, lambda: self.trace, self.convergence, self.fit)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one file: the frame, the plan, the draws, and what is needed to go on.

        Parameters
        ----------
        path : path
            By custom ``"study.mifit"``. A file that is there is replaced at once, when all is written, or not at all.

        Raises
        ------
        StorageError
            If a column is of a type that no file holds, or the disk refuses.

        Warns
        -----
        StorageWarning
            If a formula calls a function that cannot be kept in a file: it says what to pass to :func:`mifit.load`.

        Notes
        -----
        A zip of JSON and arrays, with a numbered protocol and checksums. It holds no code and no pickle.

        Examples
        --------
        >>> import mifit, tempfile
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     imp.save(folder + "/study.mifit")
        ...     mifit.load(folder + "/study.mifit").identity == imp.identity
        True
        """
        saved(self._record, path)

    def impute_new(self, frame: pd.DataFrame, *, iterations: int | None = None) -> ImputedSet:
        """Complete new rows m times with the models as they were drawn; nothing is fitted to the new rows.

        Parameters
        ----------
        frame : DataFrame, shape (n_new, p)
            Rows that came later, with the columns that were imputed; any index and other columns. The outcome may be
            observed, missing or absent.
        iterations : int, optional
            Visits to every incomplete column; by default as many as the plan says.

        Returns
        -------
        ImputedSet
            m completed copies of the new rows, made elsewhere as far as ``fit`` is concerned. A column that is absent
            stays absent.

        Raises
        ------
        DataError
            If a column holds a level that was never seen, is of another kind, or belongs to a subject (``id=``) that
            was imputed already.
        PlanError
            If a column that was complete when the models were made is missing in a new row, and no model draws it:
            the error has the call that imputes old and new rows together. Columns that the plan leaves alone keep
            their missing values, and the printed set names them.

        Notes
        -----
        Set k is drawn under parameters that are drawn given completed set k, as the next iteration of its chain would
        draw them: so no parameters have to be stored, a loaded study gives the same bits, and the m sets differ by as
        much as the parameters are uncertain.

        Examples
        --------
        >>> import mifit
        >>> df = mifit.datasets.load("nhanes2")
        >>> imp = df.head(20).mice.impute("chl ~ age + bmi", m=5, rng=1)
        >>> new = imp.impute_new(df.tail(5))
        >>> len(new), int(new[0].isna().sum().sum())
        (5, 0)
        """
        data, came_as = taken_in(frame)
        return ImputedSet(dataclasses.replace(completed_rows(self._record, data, iterations), came_as=came_as))

    def _fit(self, given: FitArguments) -> PooledResults:
        """Fit and pool; the results hold this very set, or the one that was imputed again."""
        return fitted(self._record, given, self._present)

    def _present(self, record: Record) -> ImputedSet:
        """What the user sees of a record."""
        return self if record is self._record else ImputedSet(record)


def load(path: str | os.PathLike[str], *, names: Mapping[str, Any] | None = None) -> ImputedSet:
    """Read imputed sets that :meth:`ImputedSet.save` wrote; ``extend``, ``fit`` and ``check`` go on where they stood.

    Parameters
    ----------
    path : path
    names : mapping, optional
        Functions and methods that the analyses use and a file cannot bring with it: ``{"f": f}``, those of a module
        as ``{"mine.half": mine.half}``. What is passed here is trusted; of what the file names by itself only
        functions of numpy and scipy.special that compute are used, and nothing is imported.

    Returns
    -------
    ImputedSet
        The same bits as before, and the same from ``extend(m=)`` and ``extend(iterations=)``.

    Raises
    ------
    StorageError
        If there is no such file, it is damaged or of a later protocol, or it asks for more than plain computing.
        No text of the file is ever evaluated, here or by what is called later, unless it only computes.

    Examples
    --------
    >>> import mifit, tempfile
    >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     imp.save(folder + "/study.mifit")
    ...     again = mifit.load(folder + "/study.mifit")
    >>> again.extend(m=3).identity == imp.extend(m=3).identity
    True
    """
    return ImputedSet(loaded(path, names))


def from_long(
    long: pd.DataFrame, imp: Hashable = ".imp", id: Hashable = ".id", original: pd.DataFrame | None = None
) -> ImputedSet:
    """Take completed sets made elsewhere, such as R's long format.

    Parameters
    ----------
    long : DataFrame
        The sets stacked, with two columns that number sets and rows.
    imp : hashable, default ".imp"
        Column with the number of the set, as a number or as text; rows numbered 0 are the incomplete frame. Where there
        is none, Stata's ``_mi_m`` is taken.
    id : hashable, default ".id"
        Column with the number of the row within its set; where there is none, Stata's ``_mi_id``. Stata's ``_mi_miss``
        and the names of rows that R writes into a file ("Unnamed: 0") are no columns of the sets.
    original : DataFrame, optional
        The incomplete frame, where ``long`` has no set 0. Without either, the cells that differ between sets are taken
        for the missing ones, and the repr says so.

    Returns
    -------
    ImputedSet
        Never imputed again: the verdict on every analysis is "unknown".

    Raises
    ------
    DataError
        If there are fewer than two sets, they differ in their rows, a completed cell is missing, or a set has another
        value where the incomplete frame has one.

    Examples
    --------
    >>> imp = from_long(pd.DataFrame({".imp": [1, 1, 2, 2], ".id": [1, 2, 1, 2], "x": [1.5, 3.0, 1.5, 4.0]}))
    >>> imp.m, imp[1]["x"].tolist()
    (2, [1.5, 4.0])
    """
    try:
        data, came_as = taken_in(long)
        return ImputedSet(Record.elsewhere(*_from_long(data, imp, id, taken_in(original)[0]), came_as))
    except DataError as error:
        error.rename({"long": long, "df": original}, caller_scope())
        raise


def from_frames(frames: Sequence[pd.DataFrame], original: pd.DataFrame | None = None) -> ImputedSet:
    """Take completed frames made elsewhere.

    Parameters
    ----------
    frames : sequence of DataFrame
        At least two, with the same rows in the same order and the same columns.
    original : DataFrame, optional
        The incomplete frame; without it the cells that differ between sets are taken for the missing ones, and the repr
        says so.

    Returns
    -------
    ImputedSet
        Never imputed again: the verdict on every analysis is "unknown".

    Raises
    ------
    DataError
        If there are fewer than two, their rows or columns differ, a completed cell is missing, or a set has another
        value where the incomplete frame has one.

    Examples
    --------
    >>> imp = from_frames([pd.DataFrame({"x": [1.5, 3.0]}), pd.DataFrame({"x": [1.5, 4.0]})])
    >>> imp.m, imp[1]["x"].tolist()
    (2, [1.5, 4.0])
    """
    try:
        several = isinstance(frames, Sequence) and not isinstance(frames, pd.DataFrame)
        pairs = list(map(taken_in, frames)) if several else []
        came_as = pairs[0][1] if pairs else None
        data = [frame for frame, _ in pairs] if came_as else frames
        return ImputedSet(Record.elsewhere(*_from_frames(data, taken_in(original)[0]), came_as))
    except DataError as error:
        error.rename({"frames": frames, "df": original}, caller_scope())
        raise

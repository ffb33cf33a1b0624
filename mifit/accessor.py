"""``df.mice`` and its typed twins, such as ``mifit.impute`` and ``mifit.plan``: a facade without state."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import pandas as pd

if TYPE_CHECKING:
    from .examine.missingness import Missingness
    from .frame.other_frames import Origin
    from .imputation.plan.plan import Plan
    from .imputed import ImputedSet
    from .planning.rehearsal import Rehearsal

__all__ = ["MiceAccessor", "impute", "missingness", "pattern", "plan"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def _with_arguments_of(twin: Callable[Given, Any]) -> Callable[[Callable[..., Result]], Callable[Given, Result]]:
    """Show a function, to ``help`` and to type checkers, with the arguments of its twin."""

    def dress(function: Any) -> Any:
        arguments = list(inspect.signature(twin).parameters.values())
        function.__signature__ = inspect.signature(function).replace(parameters=arguments)
        return function

    return dress


def _method_of(
    twin: Callable[Concatenate[pd.DataFrame, Given], Result],
) -> Callable[[Callable[..., Any]], Callable[Concatenate[MiceAccessor, Given], Result]]:
    """Show a method with the arguments and the docstring of its twin, which takes the frame first."""

    def dress(method: Any) -> Any:
        own, signature = inspect.signature(method).parameters["self"], inspect.signature(twin)
        method.__signature__ = signature.replace(parameters=[own, *list(signature.parameters.values())[1:]])
        method.__doc__ = twin.__doc__
        return method

    return dress


def impute(
    frame: pd.DataFrame,
    formula: str | Sequence[str] | Plan | None = None,
    *,
    model: str | Sequence[str] | None = None,
    m: int = 20,
    iterations: int | None = None,
    methods: Mapping[Hashable, Any] | Any = None,
    predictors: Mapping[Hashable, Any] | None = None,
    auxiliary: str | Mapping[str, Sequence[Hashable]] = "response",
    congeniality: str = "compatible",
    order: Sequence[Hashable] | None = None,
    derived: Mapping[Hashable, str] | None = None,
    id: Hashable | None = None,
    link: str = "independent",
    kinds: Mapping[Hashable, Any] | None = None,
    bounds: Mapping[Hashable, Any] | None = None,
    censored: Mapping[Hashable, Any] | None = None,
    truncated: Mapping[Hashable, Any] | None = None,
    conditional: Mapping[Hashable, Any] | None = None,
    where: Any = None,
    ignore: Any = None,
    by: Hashable | None = None,
    weights: Any = None,
    weights_as: str | None = None,
    collapse: Mapping[Hashable, Any] | None = None,
    min_count: int | None = None,
    clusters: Hashable | None = None,
    error_law: str = "auto",
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    **model_keywords: Any,
) -> ImputedSet:
    """Draw m plausible completions of an incomplete frame, compatible with the analysis to come.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)
        Any index; unique column names in one level. ``df.mice.impute(...)`` is the same. A frame of polars, a table of
        pyarrow or a relation of DuckDB is read through Arrow, and completed sets are of the same kind.
    formula : str, sequence of str or Plan, optional
        The analysis, or several, of one outcome or of more. Without it: plain chained equations.
    model : str or sequence of str, optional
        Its statsmodels model, such as "ols" or "logit"; by default OLS for numbers, Logit for two values. A list names
        that of each analysis; a keyword then goes to every model that takes it.
    m : int, default 20
        Number of completed sets; pooling needs at least 2.
    iterations : int, optional
        Sweeps per chain; by default 10, 20 when more than half of a column is missing, 1 when one visit suffices.
    methods : mapping, str or estimator, optional
        Column -> "pmm", "norm", "power", "logistic", "multinomial", "ordinal", "poisson", "negbin", "sample", "donors",
        "two-part", "logit-normal", "forest", "cart", an estimator of scikit-learn, a method object, or "leave" (neither
        imputed nor a predictor). A kind in place of a column stands for all columns of that kind:
        ``{"numeric": "forest"}``; "forest" or an estimator in place of the mapping for all that it draws.
    predictors : mapping, optional
        Column -> list of columns, or the right side of a formula: ``{"bmi": ["age", "chl"]}``, ``{"bmi": "age*chl"}``.
    auxiliary : {"response", "ignore"} or {"baseline": [...]}
        Columns outside the analysis: further outcomes (default), not used, or known to precede the outcome. Text that
        only names its rows is left alone, with its missing values.
    congeniality : {"compatible", "terms", "ignore"}
        Draw from the joint model with the analysis; approximately, with its terms as predictors; or ignore it.
    order : sequence, optional
        Columns in the order of their visits; by default fewest missing values first.
    derived : mapping, optional
        Column -> expression of others: ``{"bmi": "wgt / (hgt/100)**2"}``. Written out in formulas, kept consistent with
        its parents, never a predictor of them.
    id : hashable, optional
        Column of subjects with several rows: what is constant within one is drawn once, judged by all its rows.
    link : {"independent", "sequence"}
        Several outcomes: independent given the covariates, or each given the ones before it.
    kinds : mapping, optional
        Column -> "numeric", "count", "binary", "nominal", "ordinal", or the list of its levels in order.
    bounds : mapping, optional
        Column -> (low, high), None for an open end: ``{"age": (0, 120)}``. Numbers that every observed value keeps to;
        draws are truncated to them, never clipped. Otherwise one of the next two words says what is meant.
    censored : mapping, optional
        Column -> (low, high), numbers or columns: ``{"crp": (None, "lod"), "pay": ("from", "to")}``. What is known of
        the missing values; observed ones are exact and lie anywhere. An end that is missing is open.
    truncated : mapping, optional
        Column -> (low, high), numbers or columns: ``{"stay": (0, None)}``. No value lies outside, seen or not: the
        distribution of the whole column is cut off there.
    conditional : mapping, optional
        Column -> condition, or (condition, value elsewhere): ``{"cigarettes": ("smoker == 'yes'", 0)}``. Not drawn
        where the condition does not hold: there it has the value given, the only one observed there, or stays missing.
    where : DataFrame, array or mapping of truth values, optional
        Cells to impute; observed ones are then drawn as if they were missing, missing ones outside stay missing.
    ignore : str or array of truth values, optional
        Rows (a condition, or a mask) that are imputed while no model is fitted on them.
    by : hashable, optional
        Column of groups that are imputed separately.
    weights : hashable or {"frequency": column}, optional
        Column of survey weights, or of frequencies, for the imputation models of chained equations.
    weights_as : {"sampling", "precision"}, optional
        What ``weights=`` of WLS or ``var_weights=`` of a GLM are. Sampling and inverse-probability weights do not enter
        the likelihood of the draws: they are predictors, and the fit is weighted. Precisions (known variances, numbers
        of trials) multiply it. By default the complete rows decide, and the plan says how.
    collapse : mapping, optional
        Column -> {new level: [levels]}: drawn together, then one of them by their observed shares.
    min_count : int, optional
        The same for all levels of a column that are observed in fewer rows than this.
    clusters : hashable, optional
        Column of clusters, such as schools: columns of rows have a level of their own for each ("2l.pmm", "2l.norm",
        "2l.power", "2l.logit"), what is constant within one is drawn once. ``groups=`` of a mixed analysis says so.
    error_law : {"auto", "declared", "learned"}
        The law of outcomes around their mean, which stays that of the analysis: as declared unless complete rows speak
        against it, then learned from the data (errors of numbers: a mixture of normals; counts and shares: another
        variance, a share of zeros); as declared in any case; learned in any case.
    rng : int, SeedSequence or Generator, optional
        Source of randomness; the same one gives the same bits. ``random_state`` is an alias.
    n_jobs : int, optional
        joblib workers; None follows an ambient ``joblib.parallel_config``. The bits do not depend on it.
    progress : bool, optional
        A progress bar; by default when someone watches and it takes long.
    checkpoint : path, optional
        A folder for finished chains. The same call goes on from there after a crash, with the same bits; chains of
        another frame, plan or seed are refused. Needs ``rng=``.
    **model_keywords
        Keywords of the model, such as ``family=``; a string may name a column.

    Returns
    -------
    ImputedSet

    Raises
    ------
    Interrupted
        By the keyboard; a KeyboardInterrupt whose ``partial`` holds the finished sets.
    ImputationError
        If a chain cannot go on or a worker dies; its ``partial`` holds the finished sets.
    DataError
        If the frame is empty, or a column cannot be used (infinite, all missing, dates with missing values).
    FormulaError
        If the formula does not parse or names what is not there.
    PlanError
        If an option cannot be met.

    References
    ----------
    Bartlett, J. W., Seaman, S. R., White, I. R. and Carpenter, J. R. (2015). Multiple imputation of covariates by
    fully conditional specification: accommodating the substantive model. *SMMR* 24(4), 462-487.
    doi:10.1177/0962280214521348

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.impute(mifit.datasets.load("nhanes2"), "chl ~ age + bmi", m=5, rng=1)
    >>> len(imp), int(imp[0].isna().sum().sum())
    (5, 0)
    """
    from .imputation.plan.options import Arguments
    from .imputed import ImputedSet
    from .workflow.impute import imputed

    given = Arguments(
        formula=formula, model=model, m=m, iterations=iterations, methods=methods, predictors=predictors,
        auxiliary=auxiliary, congeniality=congeniality, order=order, derived=derived, id=id, link=link,
        kinds=kinds, bounds=bounds, censored=censored, truncated=truncated, conditional=conditional,
        where=where, ignore=ignore, by=by, weights=weights, weights_as=weights_as, collapse=collapse,
        min_count=min_count, clusters=clusters, error_law=error_law, rng=rng, n_jobs=n_jobs, progress=progress,
        checkpoint=checkpoint, model_keywords=model_keywords,
    )  # fmt: skip
    data, origin = _taken_in(frame)
    return ImputedSet(imputed(data, given, ImputedSet, origin))


@_with_arguments_of(impute)
def plan(frame: pd.DataFrame, formula: Any = None, **options: Any) -> Plan:
    """Show what ``impute`` would do to each column, and why, before a second is spent.

    Parameters
    ----------
    frame, formula, **options
        As in :func:`impute`, whose call needs no change but that of the verb: ``m``, ``rng``, ``n_jobs``, ``progress``
        and ``checkpoint`` make no difference to a plan, and are refused where :func:`impute` would refuse them. A plan
        in place of a formula is checked against the frame.

    Returns
    -------
    Plan
        Prints as a table; ``df.mice.impute(plan)`` runs it.

    Raises
    ------
    DataError, FormulaError, PlanError
        As :func:`impute` would.

    Examples
    --------
    >>> import mifit
    >>> made = mifit.plan(mifit.datasets.load("nhanes2"), "chl ~ age + bmi")
    >>> made["bmi"].label, made["bmi"].role
    ('norm', 'covariate')
    """
    from .imputation.plan.options import Arguments
    from .workflow.impute import plan_of

    return plan_of(_taken_in(frame)[0], Arguments.split(formula, options))


def pattern(frame: pd.DataFrame) -> pd.DataFrame:
    """Which columns are missing together, and how often.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)

    Returns
    -------
    DataFrame
        One row per pattern, the most frequent first: ``rows`` (how many rows show it), ``holes`` (how many columns
        are missing in it), then one column per column of the frame, fewest missing values first: True where observed.
        The last row, labelled ``total``, counts the missing values of each column.

    Raises
    ------
    DataError
        If the frame is empty or its column names repeat.

    Examples
    --------
    >>> import mifit
    >>> mifit.pattern(mifit.datasets.load("nhanes2"))["rows"].tolist()
    [13, 7, 3, 1, 1, 25]
    """
    from .frame.table import patterns

    return patterns(_taken_in(frame)[0])


def missingness(frame: pd.DataFrame) -> Missingness:
    r"""Who has missing values, what goes with a value's being missing, and which columns can help.

    Parameters
    ----------
    frame : DataFrame, shape (n, p)

    Returns
    -------
    Missingness
        Prints the most telling lines. ``plot()`` draws influx against outflux, ``plot("odds")`` odds ratios. Frames:

        * ``flux``, index the columns: ``missing`` and ``observed``, shares of its rows; ``influx``, how well its
          missing values are connected to observed values of others, in [0, 1]; ``outflux``, how well its observed
          values are connected to missing values of others; ``fico``, the share of rows that miss something among those
          that have it.
        * ``rows``: ``column``, ``level`` (None of a number), ``complete`` and ``incomplete`` (means of what was
          observed; of a level its share), ``smd`` (their difference in standard deviations), ``p_value``.
        * ``predictors``: ``missing`` (the column), ``given`` (another), ``level`` (against the first one; None of a
          number or an order, whose odds ratio is for one standard deviation), ``odds_ratio``, ``low``, ``high``
          (95 %), ``p_value`` (of the whole column), ``rows`` (where the other is observed); of the 500 pairs of columns
          with the smallest p-values.

        ``little`` is Little's test with ``statistic``, ``df``, ``p_value``, ``patterns``.

    Raises
    ------
    DataError
        If the frame is empty or its column names repeat.

    Notes
    -----
    With r = 1 where column j is observed in row i, influx is
    :math:`\sum_{i,k} (1 - r_{ij}) r_{ik} / \sum_{i,k} r_{ik}`, outflux
    :math:`\sum_{i,k} r_{ij} (1 - r_{ik}) / \sum_{i,k} (1 - r_{ik})`.

    Each odds ratio is of one predictor alone, by logistic regression with Firth's penalty, so that it is finite; its
    p-value is that of the score test. They are many: a few will be small by chance.

    References
    ----------
    van Buuren, S. (2018). *Flexible Imputation of Missing Data*, 2nd ed., Chapman & Hall/CRC, section 4.1.3.

    Little, R. J. A. (1988). A test of missing completely at random for multivariate data with missing values. *JASA*
    83(404), 1198-1202. doi:10.1080/01621459.1988.10478722

    Examples
    --------
    >>> import mifit
    >>> found = mifit.missingness(mifit.datasets.load("airquality"))
    >>> print(found.little)
    Little's test of MCAR: chi2 = 35.11, df = 14, p = 0.00142
    >>> found.flux.loc["Ozone", ["influx", "outflux"]].round(3).tolist()
    [0.209, 0.114]
    """
    from .examine.missingness import missingness_of

    return missingness_of(_taken_in(frame)[0])


class MiceAccessor:
    """What ``df.mice`` offers; it keeps nothing but the frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    @_method_of(impute)  # type: ignore[arg-type]  # the frame may be given by name there
    def impute(self, formula: Any = None, **options: Any) -> ImputedSet:
        """Draw m completed sets; see :func:`mifit.impute`."""
        return impute(self._frame, formula, **options)

    @_method_of(plan)  # type: ignore[arg-type]
    def plan(self, formula: Any = None, **options: Any) -> Plan:
        """Show what would be done; see :func:`mifit.plan`."""
        return plan(self._frame, formula, **options)

    @_method_of(pattern)
    def pattern(self) -> pd.DataFrame:
        """Missing-data patterns with counts; see :func:`mifit.pattern`."""
        return pattern(self._frame)

    def rehearse(
        self, formula: Any = None, *, frames: int = 200, n: int | None = None, missing: Any = None, **options: Any
    ) -> Rehearsal:
        """Rehearse a study that is planned, with these rows as its pilot; see :meth:`mifit.ImputedSet.rehearse`.

        Parameters
        ----------
        formula : str or Plan
            As in :func:`impute`.
        frames, n, missing
            As in :meth:`mifit.ImputedSet.rehearse`: how many frames, their rows, how values are deleted.
        **options
            As in :func:`impute`; ``checkpoint`` is a folder for finished frames.

        Returns
        -------
        Rehearsal

        Examples
        --------
        >>> import mifit
        >>> pilot = mifit.datasets.load("airquality").dropna()
        >>> words = {"missing": {"share": 0.3, "patterns": ["Temp"]}, "m": 2, "rng": 1}
        >>> pilot.mice.rehearse("Ozone ~ Temp + Wind", n=60, frames=2, **words).n
        60
        """
        words = {word: options.pop(word, None) for word in ("n_jobs", "progress", "checkpoint")}
        return impute(self._frame, formula, **options).rehearse(frames, n, missing=missing, **words)

    @_method_of(missingness)
    def missingness(self) -> Missingness:
        """Who has missing values, and what goes with them; see :func:`mifit.missingness`."""
        return missingness(self._frame)

    def plot_pattern(self, ax: Any = None) -> Any:
        """Draw which columns are missing together, and in how many rows; columns with fewest missing values first.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a figure of its own.

        Returns
        -------
        Axes
            ``ax.figure.savefig("pattern.png")`` writes it.

        Raises
        ------
        DataError
            If the frame is empty or its column names repeat.
        """
        from .examine.patterns import draw_pattern, pattern_frame

        return draw_pattern(pattern_frame(_taken_in(self._frame)[0]), ax)


def _taken_in(frame: Any) -> tuple[Any, Origin | None]:
    """A frame of another library as a DataFrame, and what it was."""
    from .frame.other_frames import taken_in

    found = taken_in(frame)
    _register()
    return found


def _register() -> None:
    """Give DataFrames the accessor, once; those of polars too, where it is loaded."""
    present = getattr(pd.DataFrame, "mice", None)
    if getattr(present, "__name__", None) != MiceAccessor.__name__:
        pd.api.extensions.register_dataframe_accessor("mice")(MiceAccessor)
    polars = sys.modules.get("polars")
    if polars is not None and hasattr(polars, "api") and not hasattr(polars.DataFrame, "mice"):
        polars.api.register_dataframe_namespace("mice")(MiceAccessor)


_register()

"""ImputedSet: the frame as given and m plausible completions of it; what is done with them."""

from __future__ import annotations

import html
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, overload

import numpy as np
import pandas as pd

from .describing import described, events_of, identity_of
from .errors import DataError, PlanError
from .fitting import Request, certified, fitted
from .frame.completed import Completed, copied
from .frame.completed import from_long as _from_long
from .impute.chain import Chain, Seed
from .impute.plan import Plan
from .impute.wishes import Asked, advised, is_whole
from .imputing import Ground, chains_of, checked, completed_of, more_chains, plan_for, seed_of
from .results.mapped import Mapped, map_sets
from .results.pooled import PooledResults
from .results.precision import settle

__all__ = ["ImputedSet", "create", "from_frames", "from_long"]


class ImputedSet:
    """m completed data sets, of which only the holes are stored.

    Indexing and iterating give completed DataFrames: index, columns, dtypes and observed values exactly as they
    came. ``fit`` analyses each and pools.

    Examples
    --------
    >>> import mifit
    >>> imp = mifit.datasets.load("airquality").mice.impute("Ozone ~ Temp + Wind", m=3, rng=1)
    >>> imp[0].shape, int(imp[2]["Ozone"].isna().sum())
    ((153, 6), 0)
    """

    def __init__(
        self, frame: pd.DataFrame, ground: Ground, plan: Plan | None, chains: Sequence[Chain], seed: Seed | None,
        completed: Completed | None = None, said: str = "",
    ) -> None:  # fmt: skip
        self._frame, self._ground, self._plan, self._chains, self._seed = frame, ground, plan, tuple(chains), seed
        self._table = ground.table
        self._made, self._said = completed, said

    @cached_property
    def _completed(self) -> Completed:
        return self._made or completed_of(self._frame, self._ground, self._chains, self._plan, self._seed)

    @property
    def m(self) -> int:
        """Number of completed sets."""
        return len(self._completed)

    @property
    def plan(self) -> Plan | None:
        """The recipe; None for sets made elsewhere."""
        return self._plan

    @property
    def iterations(self) -> int:
        """Sweeps each chain has done."""
        return self._chains[0].sweeps if self._chains else 0

    @cached_property
    def identity(self) -> str:
        """Eight characters that tell these completed sets from any others."""
        return identity_of(self._table.columns, self._completed)

    @property
    def events(self) -> pd.DataFrame:
        """What a reader should know: choices of the plan, and incidents in the chains.

        Returns
        -------
        DataFrame
            Columns ``source`` ("plan", "chain" or "sampler"), ``event``, ``chains`` (how many saw it) and ``visits``
            (how often).
        """
        return events_of(self)

    def __len__(self) -> int:
        return self.m

    @overload
    def __getitem__(self, k: int) -> pd.DataFrame: ...
    @overload
    def __getitem__(self, k: slice) -> list[pd.DataFrame]: ...
    def __getitem__(self, k: int | slice) -> pd.DataFrame | list[pd.DataFrame]:
        """The k-th completed frame, from 0, or a list for a slice."""
        if isinstance(k, slice):
            return [self._completed.frame(one) for one in range(self.m)[k]]
        if not isinstance(k, (int, np.integer)):
            raise TypeError(
                f"a set is chosen by its number from 0 to {self.m - 1}, not by {k!r}; a column: imp[0][{k!r}]"
            )
        if not -self.m <= k < self.m:
            raise IndexError(f"there is no set {k}: the {self.m} sets are numbered 0 to {self.m - 1}")
        return self._completed.frame(int(k) % self.m)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter(self._completed)

    def to_long(self, original: bool = True) -> pd.DataFrame:
        """All sets stacked in R's long format.

        Parameters
        ----------
        original : bool, default True
            Whether the incomplete frame comes first, as set 0.

        Returns
        -------
        DataFrame, shape ((m + original) * n, 2 + p)
            Columns ``.imp`` (number of the set), ``.id`` (row number from 1), then the frame's own.
        """
        return self._completed.long(original)

    def __getattr__(self, name: str) -> Any:
        if name in _AVERAGING:
            raise AttributeError(
                f"an ImputedSet has no {name}(): averaging completed sets loses the uncertainty between them. "
                f'Estimate in each and pool: imp.fit("y ~ 1")'
            )
        known = f"; a completed DataFrame has one: imp[0].{name}" if hasattr(pd.DataFrame, name) else ""
        raise AttributeError(f"'ImputedSet' object has no attribute {name!r}{known}")

    def __repr__(self) -> str:
        return "\n".join(described(self))

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return "<pre>" + html.escape(repr(self)) + "</pre>"

    def extend(
        self, m: int | None = None, *, iterations: int | None = None, n_jobs: int | None = None,
        progress: bool | None = None,
    ) -> ImputedSet:  # fmt: skip
        """More sets, or more sweeps: a new ImputedSet with the same bits as all at once.

        Parameters
        ----------
        m : int, optional
            That many more sets.
        iterations : int, optional
            That many more sweeps of every chain.
        n_jobs, progress
            As in :func:`mifit.impute`.

        Returns
        -------
        ImputedSet

        Raises
        ------
        PlanError
            If the sets were made elsewhere, or neither or a negative number is asked for.
        """
        chains = more_chains(self, m, iterations, n_jobs, progress)
        return ImputedSet(self._frame, self._ground, self._plan, chains, self._seed)

    def fit(
        self,
        formula: str | None = None,
        model: str | None = None,
        *,
        dfcom: float | None = None,
        df_method: str = "barnard-rubin",
        uncovered: str = "reimpute",
        cov_type: str | None = None,
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
        dfcom : float, optional
            Complete-data degrees of freedom, instead of the model's own.
        df_method : {"barnard-rubin", "rubin"}
            How degrees of freedom are pooled.
        uncovered : {"reimpute", "raise", "ignore"}
            What to do about an analysis that the imputations never saw.
        cov_type : str, optional
            Covariance of each fit, as statsmodels names it ("HC1"; "cluster" with ``groups="id"``).
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
            If the imputations never saw the analysis and ``uncovered="raise"``.
        ModelError, FormulaError, FitError, PoolingError
            If a word, a formula, a fit or the pooling fails.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)
        >>> list(imp.fit().params.index)
        ['Intercept', 'age[T.40-59]', 'age[T.60-99]', 'bmi']
        """
        words = _with_covariance(model_keywords, cov_type)
        asked = Request(formula, model, words, fit_kwds, dfcom, df_method, uncovered, keep, n_jobs)
        return fitted(self, asked) if until is None else settle(partial(fitted, asked=asked), self, until, max_m)

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
        return Mapped(map_sets(self, func, n_jobs), len(self._frame))

    def check(
        self,
        formula: str | None = None,
        model: str | None = None,
        *,
        cov_type: str | None = None,
        **model_keywords: Any,
    ) -> pd.DataFrame:
        """The certificate: whether the imputations cover an analysis, term by term.

        Parameters
        ----------
        formula, model, cov_type, **model_keywords
            As in :meth:`fit`; by default the declared analysis.

        Returns
        -------
        DataFrame
            Index the terms; columns ``verdict`` (exact, implied, approximate, absent, unknown), ``imputed`` (imputed
            cells the term is computed from), ``reason`` and ``do``, the call that cures it.

        Examples
        --------
        >>> import mifit
        >>> imp = mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=2, rng=1)
        >>> imp.check("chl ~ age * bmi")["verdict"].to_dict()
        {'Intercept': 'implied', 'age': 'implied', 'bmi': 'implied', 'age:bmi': 'absent'}
        """
        return certified(self, Request(formula, model, _with_covariance(model_keywords, cov_type)))

    @property
    def _written(self) -> tuple[str, ...]:
        """The declared formulas as the user wrote them."""
        if self._plan is None:
            return ()
        return self._plan.written or tuple(q.formula for q in self._plan.questions)


_AVERAGING = frozenset({"mean", "median", "std", "var", "describe", "sum", "average", "groupby", "corr"})


def create(
    frame: pd.DataFrame, formula: Any, model: str | None, m: int, asked: Asked, rng: Any,
    n_jobs: int | None, progress: bool | None, keywords: dict[str, Any],
) -> ImputedSet:  # fmt: skip
    """Plan and run; see :func:`mifit.impute`."""
    with advised(formula, {"model": repr(model)} if isinstance(model, str) else None):
        plan, given, seed = _prepared(frame, formula, model, m, asked, rng, keywords)
    chains = chains_of(given.known, plan, range(int(m)), plan.iterations, seed, n_jobs, progress)
    return ImputedSet(copied(frame if given.frame is None else given.frame), given, plan, chains, seed)


def _prepared(
    frame: pd.DataFrame, formula: Any, model: str | None, m: int, asked: Asked, rng: Any, keywords: dict[str, Any]
) -> tuple[Plan, Ground, Seed]:
    """Everything that is decided before a chain runs."""
    if "random_state" in keywords:
        if rng is not None:
            raise PlanError("rng= and random_state= are the same; give one.", do="df.mice.impute(rng=1)")
        rng = keywords.pop("random_state")
    if not is_whole(m) or m < 2:
        raise PlanError(f"m is {m!r}; at least 2 completed sets are needed to pool.", do="df.mice.impute(m=20)")
    if isinstance(formula, Plan):
        plan, given = checked(formula, frame, model, asked, keywords)
    else:
        plan, given = plan_for(frame, formula, model, asked, keywords)
    return plan, given, seed_of(rng)


def _with_covariance(keywords: Mapping[str, Any], cov_type: str | None) -> dict[str, Any]:
    """Words of an analysis with the covariance among them."""
    return {**keywords, **({} if cov_type is None else {"cov_type": cov_type})}


def from_long(
    long: pd.DataFrame, imp: Hashable = ".imp", id: Hashable = ".id", original: pd.DataFrame | None = None
) -> ImputedSet:
    """Take completed sets made elsewhere, such as R's long format.

    Parameters
    ----------
    long : DataFrame
        The sets stacked, with two columns that number sets and rows.
    imp : hashable, default ".imp"
        Column with the number of the set; rows numbered 0 are the incomplete frame.
    id : hashable, default ".id"
        Column with the number of the row within its set.
    original : DataFrame, optional
        The incomplete frame, where ``long`` has no set 0. Without either, the holes are the cells that differ
        between sets, and the repr says so.

    Returns
    -------
    ImputedSet
        Never imputed again: the verdict on every analysis is "unknown".

    Raises
    ------
    DataError
        If there are fewer than two sets, they differ in their rows, or a completed cell is missing.

    Examples
    --------
    >>> imp = from_long(pd.DataFrame({".imp": [1, 1, 2, 2], ".id": [1, 2, 1, 2], "x": [1.5, 3.0, 1.5, 4.0]}))
    >>> imp.m, imp[1]["x"].tolist()
    (2, [1.5, 4.0])
    """
    completed, said = _from_long(long, imp, id, original)
    given = Ground(completed.table, completed.table)
    return ImputedSet(completed.original, given, None, (), None, completed, said)


def from_frames(frames: Sequence[pd.DataFrame], original: pd.DataFrame | None = None) -> ImputedSet:
    """Take completed frames made elsewhere.

    Parameters
    ----------
    frames : sequence of DataFrame
        At least two, with the same rows in the same order and the same columns.
    original : DataFrame, optional
        The incomplete frame; without it the holes are the cells that differ between sets, and the repr says so.

    Returns
    -------
    ImputedSet
        Never imputed again: the verdict on every analysis is "unknown".

    Raises
    ------
    DataError
        If there are fewer than two, their rows or columns differ, or a completed cell is missing.

    Examples
    --------
    >>> imp = from_frames([pd.DataFrame({"x": [1.5, 3.0]}), pd.DataFrame({"x": [1.5, 4.0]})])
    >>> imp.m, imp[1]["x"].tolist()
    (2, [1.5, 4.0])
    """
    frames = list(frames)
    for k, frame in enumerate(frames):
        if list(frame.columns) != list(frames[0].columns) or len(frame) != len(frames[0]):
            fact = f"frame {k} has {frame.shape[0]} rows x {frame.shape[1]} columns, or other columns than frame 0."
            raise DataError(fact, do=f"frames[{k}].columns.difference(frames[0].columns)")
    numbered = [f.assign(**{".imp": k, ".id": range(len(f))}) for k, f in enumerate(frames, start=1)]
    return from_long(pd.concat(numbered) if numbered else pd.DataFrame(), original=original)

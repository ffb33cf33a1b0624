"""ImputedSet: the frame as given and m plausible completions of it; what is done with them."""

from __future__ import annotations

import dataclasses
import hashlib
import html
import sys
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, overload

import numpy as np
import pandas as pd

from .analysis.fit import fit_one, fit_sets
from .analysis.models import call, is_robust, spec
from .errors import CongenialityError, CongenialityWarning, DataError, MifitError, PlanError
from .examine.certificate import certificate, judged
from .examine.check import Verdict
from .formula.derived import substitute
from .formula.design import freeze
from .formula.identity import likelihood
from .formula.question import Question, ask, caller_scope, resolve
from .formula.terms import parse
from .frame.completed import Completed, copied
from .frame.completed import from_long as _from_long
from .impute.chain import Chain, Seed
from .impute.plan import Plan
from .impute.wishes import Asked, advised, is_whole
from .imputing import (
    Ground,
    as_call,
    by_column,
    chains_of,
    checked,
    completed_of,
    ground,
    plan_for,
    planned,
    require_columns,
    scope_of,
    seed_of,
)
from .pool.rubin import pool
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
        return self._made or completed_of(self._frame, self._ground, self._chains)

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
        digest = hashlib.sha256()
        for holes in self._completed.holes:
            for name in (name for name in self._table.columns if name in holes):
                digest.update(repr(name).encode() + np.ascontiguousarray(holes[name]).tobytes())
        return digest.hexdigest()[:8]

    @property
    def events(self) -> pd.DataFrame:
        """What a reader should know: choices of the plan, and incidents in the chains.

        Returns
        -------
        DataFrame
            Columns ``source`` ("plan", "chain" or "sampler"), ``event``, ``chains`` (how many saw it) and ``visits``
            (how often).
        """
        rows = [("plan", text, self.m, 1) for text in (self._plan.events if self._plan else ())]
        if self._plan is not None and not self._plan.order:
            rows.append(("plan", "nothing is missing: the m sets are equal", self.m, 1))
        seen: dict[str, list[int]] = {}
        for chain in self._chains:
            for text, visits in chain.events.items():
                seen.setdefault(text, []).append(visits)
        rows += [("chain", text, len(visits), sum(visits)) for text, visits in seen.items()]
        for name in dict.fromkeys(name for chain in self._chains for name in chain.sampled):
            drawn, tried, sliced = np.sum([chain.sampled.get(name, (0, 0, 0)) for chain in self._chains], axis=0)
            text = f"{name}: {100 * (drawn - sliced) / tried:.1f} % of proposals accepted"
            by_slice = f", {100 * sliced / drawn:.1f} % of draws by slice steps" if sliced else ""
            rows.append(("sampler", text + by_slice, self.m, int(drawn)))
        return pd.DataFrame(rows, columns=["source", "event", "chains", "visits"])

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
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return "<pre>" + html.escape("\n".join(self._lines())) + "</pre>"

    def _lines(self) -> list[str]:
        n, p = self._frame.shape
        holes = {name: len(self._table[name].missing) for name in self._completed.holes[0]}
        lines = [
            f"ImputedSet {self.identity}: {self.m} completed sets of {n} rows x {p} columns; "
            f"{sum(holes.values())} holes in {len(holes)} columns"
        ]
        if self._plan is None:
            return [*lines, f"  made elsewhere ({self._said})"]
        pairs = zip(self._written, self._plan.questions, strict=True)
        lines += [f"  analysis : {one}   ({q.model})" for one, q in pairs]
        lines.append(f"  drawn    : {self._plan.title}, {self.iterations} iterations")
        for name, count in holes.items():
            variable = self._plan[name]
            if variable.method is None:
                lines.append(f"  {name!s:<12.12} {100 * count / n:5.1f} % missing   {variable.why}")
                continue
            how = variable.label + (f", {variable.sampler}" if variable.sampler not in ("own", "") else "")
            lines.append(f"  {name!s:<12.12} {100 * count / n:5.1f} % missing   {how}")
        return lines

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
        if self._plan is None or self._seed is None:
            raise PlanError("sets made elsewhere cannot be extended.", do="df.mice.impute(...)")
        for word, given in (("m", m), ("iterations", iterations)):
            if given is not None and not is_whole(given):
                raise PlanError(f"{word} is {given!r}; a whole number is needed.", do=f"imp.extend({word}=10)")
        more, sweeps = m or 0, self.iterations + (iterations or 0)
        if more < 0 or (iterations or 0) < 0 or not (m or iterations):
            raise PlanError(
                f"extend needs more sets or more sweeps, not m={m}, iterations={iterations}.", do="imp.extend(m=10)"
            )
        chains, known = list(self._chains), self._ground.known
        if iterations and self._plan.order:
            chains = chains_of(known, self._plan, range(self.m), sweeps, self._seed, n_jobs, progress, chains)
        if more:
            numbers = range(self.m, self.m + more)
            chains += chains_of(known, self._plan, numbers, sweeps, self._seed, n_jobs, progress)
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
        if until is not None:
            again = partial(
                ImputedSet.fit, formula=formula, model=model, dfcom=dfcom, df_method=df_method, uncovered=uncovered,
                cov_type=cov_type, keep=keep, n_jobs=n_jobs, fit_kwds=fit_kwds, **model_keywords,
            )  # fmt: skip
            return settle(again, self, until, max_m)
        if uncovered not in ("reimpute", "raise", "ignore"):
            raise PlanError(
                f"uncovered is {uncovered!r}.", known="reimpute, raise, ignore", do='imp.fit(uncovered="raise")'
            )
        if keep not in (None, "results"):
            raise PlanError(f"keep is {keep!r}.", known='None, "results"', do='imp.fit(keep="results")')
        covariance = {} if cov_type is None else {"cov_type": cov_type}
        question, words = self._question(formula, model, {**model_keywords, **covariance}, fit_kwds)
        robust = is_robust(words.cov_type) or bool(words.clusters)
        foreseen = self._foreseen(question)
        found, doubt = judged(self._plan, self._ground.known, foreseen, question, robust)
        used = self
        if found.word == "absent" and uncovered != "ignore" and self._plan is not None and self._plan.mode != "ignore":
            used = self._again(question, found, uncovered, n_jobs)
            found, doubt = judged(used._plan, used._ground.known, foreseen, question, robust)
            if found.word == "exact":
                found = dataclasses.replace(found, reason="imputed again for it")
        if doubt:
            warnings.warn(CongenialityWarning(f"{question.formula}: {doubt}."), stacklevel=_outside())
        used._require_complete(question, words.columns)
        design = freeze(question, used._ground.known)  # the knots of the imputation
        completed = used._completed
        fits = fit_sets(design, completed, words, keep=keep == "results", n_jobs=n_jobs, dfcom=dfcom)
        pooled = pool(fits.estimates, fits.covariances, fits.df_complete, df_method, names=fits.names)
        return PooledResults(
            pooled, fits, refit=lambda k: fit_one(design, completed, words, k), header=used._header(question),
            notes=used._notes(), imputations=used, congeniality=found,
            design=design, completed=completed, call=words,
        )  # fmt: skip

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
        covariance = {} if cov_type is None else {"cov_type": cov_type}
        question, words = self._question(formula, model, {**model_keywords, **covariance}, None)
        robust = is_robust(words.cov_type) or bool(words.clusters)
        foreseen, do = self._foreseen(question), self._call_for(question)[1]
        return certificate(self._plan, self._ground.known, foreseen, question, robust, do)

    def _question(
        self, formula: str | None, model: str | None, keywords: Mapping[str, Any], fit_kwds: Mapping[str, Any] | None
    ) -> tuple[Question, Any]:
        """The analysis asked for, its words sorted by who takes them."""
        declared = self._plan.questions if self._plan else ()
        written = self._written
        if formula is None and len(declared) != 1:
            calls = "  or  ".join(f'imp.fit("{one}")' for one in written) or 'imp.fit("y ~ x1 + x2")'
            raise PlanError(f"{len(declared)} analyses were declared; say which to fit.", do=calls)
        formula = written[0] if formula is None else formula
        wanted = None if model is None else spec(model).name
        pairs = zip(written, declared, strict=True)
        keywords = by_column(keywords, self._table, [formula])
        same = [q for one, q in pairs if one == formula and wanted in (None, q.model)]
        outcome = parse(formula).outcome
        alike = [*same, *(q for q in declared if q.terms.outcome == outcome and wanted in (None, q.model))]
        if alike:
            model, keywords = alike[0].model, {**alike[0].keywords, **keywords}
        scope = scope_of(declared, same)
        name = spec(model).name if model is not None else ask(formula, self._table, scope=scope).model
        words = call(name, keywords, fit_kwds, formula)
        require_columns(self._table, words)
        question = ask(formula, self._table, model=model and name, keywords=words.init, scope=scope)
        if alike:
            question = dataclasses.replace(question, said=alike[0].said)
        return question, words

    @property
    def _written(self) -> tuple[str, ...]:
        """The declared formulas as the user wrote them."""
        if self._plan is None:
            return ()
        return self._plan.written or tuple(q.formula for q in self._plan.questions)

    def _foreseen(self, question: Question) -> Question:
        """An analysis in terms of what was drawn: derived columns written out."""
        if not self._ground.derived:
            return question
        formula = substitute(question.formula, self._ground.derived)
        scope = {**self._derived_scope(), **resolve(question.names)}
        asked = ask(formula, self._table, model=question.model, keywords=question.keywords, scope=scope)
        return dataclasses.replace(asked, said=question.said)

    def _derived_scope(self) -> dict[str, Any]:
        """Functions that derived columns are made with."""
        return {name: value for one in self._ground.derived for name, value in resolve(one.names).items()}

    def _call_for(self, question: Question) -> tuple[list[str], str]:
        """Formulas that imputations for an analysis would be made for, and the call."""
        declared = self._plan.questions if self._plan else ()
        joins = bool(declared) and all(likelihood(q) == likelihood(question) for q in declared)
        shown = [*(one for one in self._written if joins and one != question.formula), question.formula]
        model = question.model if question.said == f"model={question.model!r}" else ""
        return shown, as_call(shown, model, question.keywords, self._plan, self.m, self._seed)

    def _again(self, question: Question, found: Verdict, uncovered: str, n_jobs: int | None) -> ImputedSet:
        """Impute again for an analysis that was not foreseen, or refuse."""
        assert self._plan is not None and self._seed is not None
        shown, do = self._call_for(question)
        pairs = zip(self._written, self._plan.questions, strict=True)
        declared = tuple(q for one, q in pairs if one in shown[:-1])
        questions = (*declared, self._foreseen(question))
        if uncovered == "raise":
            raise CongenialityError(
                "the analysis was not foreseen by the imputations.",
                analysis=question.formula, reason=found.reason, do=do,
            )  # fmt: skip
        started = time.perf_counter()
        scope = {**caller_scope(), **self._derived_scope()}
        try:
            given, events = ground(self._frame, self._plan.wishes, scope)
            plan, given = planned(given, questions, self._plan.wishes, scope, shown, events)
        except MifitError as error:
            raise CongenialityError(
                f"the analysis was not foreseen, and imputing again as before fails: {error.fact}",
                analysis=question.formula, do=error.do,
            ) from error  # fmt: skip
        sweeps = plan.iterations + max(self.iterations - self._plan.iterations, 0)  # as many more as were asked for
        chains = chains_of(given.known, plan, range(self.m), sweeps, self._seed, n_jobs, None)
        again = ImputedSet(self._frame, given, plan, chains, self._seed)
        seconds = time.perf_counter() - started
        text = f"{question.formula}: {found.reason}. Imputed again in {seconds:.1f} s; to avoid it: {do}"
        warnings.warn(CongenialityWarning(text), stacklevel=_outside())
        return again

    def _require_complete(self, question: Question, columns: Sequence[str]) -> None:
        """Refuse an analysis of a column that was left with holes."""
        for name in dict.fromkeys((*question.variables(self._table), *question.outcome, *columns)):
            column = self._table.require(name, "the analysis")
            if len(column.missing) and name not in self._completed.holes[0]:
                raise DataError(
                    f"the analysis needs {name!r}, which was not imputed and has {len(column.missing)} holes.",
                    do=f'imp = df.mice.impute("{question.formula}")',
                )

    def _header(self, question: Question) -> dict[str, str]:
        """Facts of the imputation for a summary."""
        if self._plan is None:
            return {"Imputed Set": self.identity, "Holes": f"made elsewhere; {self._said}"}
        seed = self._seed.entropy if self._seed else None
        shown = {"Seed": str(seed)} if isinstance(seed, int) and seed < 10**10 else {}
        chosen = {"Model Chosen": question.said} if not question.said.startswith("model=") else {}
        facts = {**chosen, "Iterations": f"{self.iterations}", "Imputed Set": self.identity, **shown}
        return {**facts, "Holes": self._plan.short_title}

    def _notes(self) -> list[str]:
        """Incidents worth a line in a summary, the most frequent first."""
        events = self.events
        if not len(events):
            return []
        chain = events[events["source"] == "chain"].sort_values("visits", ascending=False, kind="stable")
        lines = [f"{e.event} (in {e.chains} of {self.m} chains)" for e in chain.itertuples()]
        more = [f"{len(lines) - 4} more in imp.events"] if len(lines) > 5 else []
        return [*lines[: 4 if more else 5], *more]


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


def _outside() -> int:
    """Stack level of the first caller outside this package, for warnings."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).split(".")[0] == "mifit":
        level, frame = level + 1, frame.f_back
    return level


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

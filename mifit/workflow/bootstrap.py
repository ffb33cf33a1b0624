"""Bootstrap, then impute: the whole imputation and analysis repeated on samples of rows, of ids, within strata."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.fit import fit_sets
from ..errors import DataError, FitError, MifitError, PlanError, call
from ..formula.design import Designs
from ..frame.kinds import Coding, Kind
from ..frame.masks import Mask
from ..frame.table import Column, Table, Views
from ..imputation.plan.check_arguments import is_whole
from ..imputation.sampler.runs import run
from ..pooling.bootstrap import pool_bootstrap
from ..pooling.rubin import t_pvalue, t_quantile, upper_level
from ..record.record import Record
from ..typing import Array, Rows
from .fit import FitArguments, fitted, question_of

__all__ = ["Bootstrapped", "bootstrapped"]

_SAMPLES = 2_000_000_000  # the streams of bootstrap samples, beyond the numbers of chains
_FAILED = 0.1  # share of samples that may fail


@dataclass(frozen=True, eq=False)
class Bootstrapped:
    """An analysis with the variance over bootstrap samples, beside Rubin's."""

    formula: str
    estimates: Array  #: (B, M, q)
    names: tuple[str, ...]
    rubin: pd.DataFrame  #: ``res.to_frame()`` of the imputed sets themselves
    sampled: str  #: what was resampled
    failed: int  #: samples without a fit
    verdict: str

    def to_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return both in one frame.

        Parameters
        ----------
        alpha : float, default 0.05
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            Index the coefficients; ``estimate``, ``std_error``, ``df``, ``conf_low``, ``conf_high``, ``p_value`` of the
            bootstrap, then ``rubin_estimate`` and ``rubin_std_error``, and ``ratio`` of the standard errors.
        """
        found = pool_bootstrap(self.estimates)
        error = np.sqrt(found.variance)
        half = t_quantile(upper_level(alpha), found.df) * error
        frame = pd.DataFrame(
            {
                "estimate": found.params, "std_error": error, "df": found.df, "conf_low": found.params - half,
                "conf_high": found.params + half, "p_value": t_pvalue(found.params / error, found.df),
            },
            index=list(self.names),
        )  # fmt: skip
        frame["rubin_estimate"] = self.rubin["estimate"].reindex(frame.index)
        frame["rubin_std_error"] = self.rubin["std_error"].reindex(frame.index)
        frame["ratio"] = frame["std_error"] / frame["rubin_std_error"]
        return frame

    def __repr__(self) -> str:
        n_samples, n_sets = self.estimates.shape[:2]
        lines = [
            f"{self.formula}: {n_samples} bootstrap samples of {self.sampled}, {n_sets} imputations of each",
            f"imputations and analysis: {self.verdict}",
            "",
            self.to_frame().round(4).to_string(),
        ]
        if self.failed:
            lines.append(f"\n{self.failed} samples could not be analysed and are left out")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return f"<pre>{html.escape(repr(self))}</pre>"


def bootstrapped(
    record: Record, given: FitArguments, B: int, M: int, id: Hashable | None, by: Hashable | None
) -> Bootstrapped:
    """Repeat imputation and analysis on bootstrap samples; see :meth:`mifit.ImputedSet.bootstrap`."""
    plan, seed = record.plan, record.seed
    if plan is None or seed is None or plan.groups:
        what = "sets made elsewhere" if plan is None else "imputations of groups by themselves (by=)"
        raise PlanError(f"{what} cannot be repeated on bootstrap samples.", do=call("df.mice.impute", by=None))
    for word, value in (("B", B), ("M", M)):
        if not is_whole(value) or value < 2:
            raise PlanError(f"{word} is {value!r}; a whole number from 2 is needed.", do="imp.bootstrap(B=200, M=2)")
    unit = plan.options.id if id is None else id
    for name in (unit, by):
        if name is not None:
            record.table.given.require(name, "id=" if name == unit else "by=")
    base = fitted(record, dataclasses.replace(given, uncovered="raise"), lambda _: None)
    question, words = question_of(record, given)
    clusters, strata = _codes(record.table.given, unit), _codes(record.table.given, by)
    found, failed, reason = [], 0, ""
    for b in range(B):
        rows, owner = _sample(seed.stream(_SAMPLES, b), record.table.n_rows, clusters, strata)
        try:
            found.append(_estimates(_resampled(record, rows, owner, unit), question, words, rows, b, M))
        except MifitError as error:
            failed, reason = failed + 1, error.fact
    if len(found) < 2 or failed > _FAILED * B:
        raise FitError(f"{failed} of {B} bootstrap samples could not be analysed: {reason}", do="imp.fit()")
    sampled = f"{'rows' if unit is None else repr(unit)}{'' if by is None else f' within {by!r}'}"
    names = tuple(map(str, base.params.index))
    return Bootstrapped(
        question.formula, np.array(found), names, base.to_frame(), sampled, failed, base.congeniality.word
    )  # fmt: skip


def _codes(table: Table, name: Hashable | None) -> Rows | None:
    """Which unit or stratum each row belongs to, 0, 1, ...; None where there are none."""
    if name is None:
        return None
    column = table[name]
    if len(column.missing):
        raise DataError(
            f"{name!r} has missing values: what is resampled must be known.", do=f"df[{name!r}].isna().sum()"
        )
    if column.kind is Kind.OTHER:
        raise DataError(f"{name!r} {column.coding.problem}.", do="imp.bootstrap(B=200, M=2)")
    return np.unique(column.values, return_inverse=True)[1].reshape(-1)


def _sample(rng: np.random.Generator, n: int, clusters: Rows | None, strata: Rows | None) -> tuple[Rows, Rows]:
    """Rows of one sample, and which drawn unit each belongs to."""
    unit = np.arange(n) if clusters is None else clusters
    first = np.unique(unit, return_index=True)[1]
    layer = np.zeros(len(first), dtype=np.int64) if strata is None else strata[first]
    chosen = np.concatenate([rng.choice(at, len(at)) for at in (np.flatnonzero(layer == k) for k in np.unique(layer))])
    order = np.argsort(unit, kind="stable")
    begin = np.searchsorted(unit[order], np.arange(len(first) + 1))
    rows = np.concatenate([order[begin[k] : begin[k + 1]] for k in chosen])
    owner = np.repeat(np.arange(len(chosen)), [begin[k + 1] - begin[k] for k in chosen])
    return rows, owner


def _resampled(record: Record, rows: Rows, owner: Rows, unit: Hashable | None) -> Record:
    """The record of the rows of a sample, before anything is drawn; a unit that is drawn twice is two units."""
    plan, none = record.plan, np.empty(0, dtype=np.int64)
    assert plan is not None
    frame = record.frame.iloc[rows].reset_index(drop=True)
    views = [table.part(rows) for table in record.table]
    if unit is not None:
        frame[unit] = owner
        new = Column(unit, Coding(Kind.NUMERIC), owner.astype(np.float64), none)
        views = [Table({**view.columns, unit: new}, view.n_rows) for view in views]
    ignored = Mask.of(plan.ignored.marked[rows]) if isinstance(plan.ignored, Mask) else plan.ignored
    where = None if record.where is None else {n: Mask.of(m.marked[rows]) for n, m in record.where.items()}
    made = Views(*views)
    return Record(
        frame, made, Designs(made.filled), record.derived, record.skips, where, record.shared,
        dataclasses.replace(plan, n_rows=len(rows), ignored=ignored), seed=record.seed,
    )  # fmt: skip


def _estimates(record: Record, question: Any, words: Any, rows: Rows, sample: int, n_sets: int) -> Array:
    """Impute a sample, fit each set: estimates, shape (M, q)."""
    plan, seed = record.plan, record.seed
    assert plan is not None and seed is not None
    drawn = record.table.drawn
    chains = run(drawn, plan, range(n_sets), plan.iterations, seed.child(_SAMPLES + sample), derived=record.derived)
    completed = record.with_chains(chains).completed

    def chosen(value: Any) -> Any:
        return np.asarray(value)[rows] if not isinstance(value, str) and np.ndim(value) == 1 else value

    fewer = dataclasses.replace(words, init={word: chosen(value) for word, value in words.init.items()})
    fits = fit_sets(record.design(question), completed, fewer)
    return np.asarray(fits.estimates)

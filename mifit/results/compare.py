"""Nested models against each other, on the same completed sets: D1 to D4, and the table of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..analysis.likelihood import loglik_at, loglik_fits, stacked, without_likelihood
from ..errors import ModelError, call, listed
from ..formula.model_facts import USUAL_MODEL
from ..frame.subset import Sample
from ..pooling.joint_tests import Joint, d1, d2, d3, d4, d4_robust
from ..typing import Array
from .estimates import PooledEstimates
from .hypotheses import JointTest, positions_by_term
from .predict import require_source

__all__ = ["anova", "compare"]


_METHODS = ("D1", "D2", "D3", "D4")
_USES = ("wald", "likelihood")
_ARIVS = ("positive", "raw", "robust")


def compare(
    larger: PooledEstimates,
    smaller: PooledEstimates | str,
    method: str | None = None,
    use: str = "wald",
    ariv: str = "positive",
    df_method: str | None = None,
) -> JointTest:
    """Test a smaller model against a larger one; see :meth:`PooledResults.compare`."""
    if (
        method not in (None, *_METHODS)
        or use not in ("wald", "likelihood")
        or ariv not in ("positive", "raw", "robust")
    ):
        raise ModelError(
            f"there is no comparison method={method!r}, use={use!r}, ariv={ariv!r}.",
            known="method D1, D2, D3, D4; use wald, likelihood (for D2); ariv positive, raw, robust (for D3, D4)",
            do="res.compare(smaller, method='D4')",
        )
    smaller = _fitted(larger, smaller)
    tested = _tested(larger, smaller)
    said = f"{', '.join(larger.fits.names[j] for j in tested)} = 0"
    if method is None:
        why = _no_likelihood(larger)
        method, note = ("D1", f"D1 instead of a likelihood ratio: {why}.") if why else ("D4", "")
    else:
        note = ""
    if method == "D1":
        return JointTest.of(_wald(larger, tested, df_method), said, note)
    if method == "D2" and use == "wald":
        return JointTest.of(d2(_chi_squares(larger, tested), len(tested)), said, note)
    return JointTest.of(_likelihood(larger, smaller, method, ariv, len(tested)), said, note)


def anova(*results: PooledEstimates, method: str | None = None) -> pd.DataFrame:
    """Compare nested models, each with the next smaller one.

    Parameters
    ----------
    *results : PooledResults
        Two or more, on the same completed sets, in any order.
    method : {"D4", "D3", "D2", "D1"}, optional
        As in :meth:`PooledResults.compare`.

    Returns
    -------
    DataFrame
        One row a model, the smallest first: the index holds the formulas; columns n_params, statistic (F), df1, df2,
        p_value, riv, method. The first row has no test.

    Raises
    ------
    ModelError
        If there is one model only, or neighbours are not nested or not on the same completed sets.
    """
    if len(results) < 2:
        raise ModelError(f"{len(results)} model; at least 2 are compared.", do="mifit.anova(smaller, larger)")
    ordered = sorted(results, key=lambda one: len(_coefficients(one)))
    tests: list[Any] = [None, *(compare(b, a, method) for a, b in zip(ordered, ordered[1:], strict=False))]
    figures = ("statistic", "df1", "df2", "p_value", "riv")
    rows = [
        {"n_params": len(one.fits.names), **{f: getattr(test, f, np.nan) for f in figures},
         "method": getattr(test, "method", "")}
        for one, test in zip(ordered, tests, strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows, index=[one.fits.formula for one in ordered])
    table.attrs["notes"] = [test.note for test in tests[1:] if test.note]
    return table


def _fitted(larger: PooledEstimates, smaller: Any) -> PooledEstimates:
    """Return the smaller model; one given by its formula is fitted on the same sets, with the same words."""
    if not isinstance(smaller, str) and hasattr(smaller, "fits"):
        known: PooledEstimates = smaller
        return known
    call, sets = larger.call, larger.imputations
    if not isinstance(smaller, str) or call is None or sets is None:
        elsewhere = f"{smaller!r} cannot be fitted: these results were pooled from fits made elsewhere."
        fact = (
            elsewhere
            if isinstance(smaller, str)
            else f"a smaller model is pooled results or a formula, not {smaller!r:.60}."
        )
        raise ModelError(fact, do="res.compare(imp.fit('y ~ x1'))")
    given = {"given": larger.dfcom, "satterthwaite": "satterthwaite"}.get(larger.fits.df_source)
    rows = {"subset": larger.completed} if isinstance(larger.completed, Sample) else {}
    words = {**call.init, **rows}
    fitted: PooledEstimates = sets.fit(
        smaller, call.model, dfcom=given, df_method=larger.df_method, uncovered="ignore", fit_kwds=call.fit, **words
    )
    return fitted


def _tested(larger: PooledEstimates, smaller: PooledEstimates) -> list[int]:
    """Return the positions of the coefficients that only the larger model has, matched by name."""
    small, large = set(_coefficients(smaller)), set(_coefficients(larger))
    about = {"larger": larger.fits.formula or larger.fits.label, "smaller": smaller.fits.formula or smaller.fits.label}
    kinds = [_kind(one) for one in (larger, smaller)]
    if kinds[0] != kinds[1]:
        raise ModelError(f"{' '.join(kinds[0])} and {' '.join(kinds[1])} are not the same model.", **about)
    if larger.fits.outcome != smaller.fits.outcome:
        raise ModelError(f"the outcomes differ: {larger.fits.outcome} and {smaller.fits.outcome}.", **about)
    if not small < large:
        if large < small:
            raise ModelError("the model compared with is the larger one.", **about, do="larger.compare(smaller)")
        only = listed(sorted(small - large)) or "no coefficient less"
        raise ModelError(
            f"the models are not nested: the smaller one has {only}.", **about, do=_with_all_terms(larger, smaller)
        )
    _refuse_other_sets(larger, smaller, about)
    _refuse_other_columns(larger, smaller)
    return [j for j, name in enumerate(larger.fits.names) if name in large - small]


def _with_all_terms(larger: PooledEstimates, smaller: PooledEstimates) -> str:
    """The call that compares a model with the terms of both with the smaller one."""
    left, right = larger.fits.formula, smaller.fits.formula
    if not left or not right or {*_coefficients(larger)} == {*_coefficients(smaller)}:
        return "res.wald_test(f'{res.params.index[-1]} = 0')   # one coefficient of the larger model"
    both = f"{left} + {right.partition('~')[2].strip()}"
    model = larger.call.model if larger.call is not None else None
    words = {} if model in (None, USUAL_MODEL) else {"model": model}
    return call("imp.fit", both, **words).then(f".compare({right!r})   # the terms of both, against those of one")


def _coefficients(results: PooledEstimates) -> list[str]:
    """Return the names of the coefficients of terms; thresholds and variances are in both models, or at a boundary."""
    if results.design is None:
        return list(results.fits.names)
    return [results.fits.names[j] for which in positions_by_term(results).values() for j in which]


def _kind(results: PooledEstimates) -> list[str]:
    """Return what two models must share to be compared: the model, its family and its link."""
    facts = results.fits.facts
    return [results.fits.label, *(facts[word] for word in ("Model Family", "Link Function") if word in facts)]


def _refuse_other_sets(larger: PooledEstimates, smaller: PooledEstimates, about: dict[str, str]) -> None:
    """Raise ModelError unless both models were fitted on the same completed sets."""
    one, other = larger.imputations, smaller.imputations
    if one is None or other is None:
        same = larger.m == smaller.m and larger.completed is smaller.completed
    else:
        same = one is other or (one.fingerprint == other.fingerprint and larger.nobs == smaller.nobs)
    if same and not _same_rows(larger.completed, smaller.completed):
        fact = f"the models were fitted on different rows ({larger.nobs} and {smaller.nobs})."
        raise ModelError(fact, **about, do=f"res.compare({smaller.fits.formula!r})   # on the rows of this model")
    if not same:
        names = [getattr(x, "identity", "made elsewhere") for x in (one, other)]
        if names[0] == names[1] and one is not None and other is not None:  # the same request, drawn on two machines
            names = [f"{x.identity}, drawn as {x.fingerprint}" for x in (one, other)]
        raise ModelError(
            f"the models were fitted on different completed sets ({names[0]} and {names[1]}).",
            **about,
            do=f"smaller = larger.imputations.fit({smaller.fits.formula!r})",
        )


def _same_rows(one: Any, other: Any) -> bool:
    """Tell whether two analyses of the same sets have the same rows in each."""
    rows = [sets.rows if isinstance(sets, Sample) else None for sets in (one, other)]
    if rows[0] is None or rows[1] is None:
        return rows[0] is rows[1]
    return all(np.array_equal(a, b) for a, b in zip(*rows, strict=True))


def _refuse_other_columns(larger: PooledEstimates, smaller: PooledEstimates) -> None:
    """Raise ModelError when a column of the same name holds other values in the two designs."""
    if larger.design is None or smaller.design is None:
        return
    values = larger.completed.values(0)
    big, small = larger.design.matrix(values), smaller.design.matrix(values)
    for j, name in enumerate(smaller.design.names):
        if name in larger.design.names and not np.allclose(big[:, larger.design.names.index(name)], small[:, j]):
            raise ModelError(
                f"{name!r} is not the same column in both models: a constant in it, or its centre, has changed.",
                do=f"larger.imputations.fit({smaller.fits.formula!r})",
            )


def _wald(larger: PooledEstimates, tested: list[int], df_method: str | None) -> Joint:
    """Return D1 of some coefficients."""
    pooled, block = larger.pooled, np.ix_(tested, tested)
    chosen = df_method or ("reiter" if pooled.df_method == "barnard-rubin" else "li")
    few = float(pooled.df_of(np.eye(len(pooled.params))[tested]).min(initial=np.inf))
    return d1(pooled.params[tested], pooled.within[block], pooled.between[block], pooled.m, few, chosen)


def _chi_squares(larger: PooledEstimates, tested: list[int]) -> Array:
    """Return the Wald chi-square of some coefficients in each set, shape (m,)."""
    estimates = larger.fits.estimates[:, tested]
    blocks = larger.fits.covariances[:, tested][:, :, tested]
    return np.array([q @ np.linalg.solve(u, q) for q, u in zip(estimates, blocks, strict=True)])


def _no_likelihood(larger: PooledEstimates) -> str:
    """Return why a model has no likelihood ratio; empty if it has one."""
    if larger.design is None or larger.completed is None or larger.call is None:
        return "the fits were made elsewhere"
    return without_likelihood(larger.call)


def _likelihood(larger: PooledEstimates, smaller: PooledEstimates, method: str, ariv: str, k: int) -> Joint:
    """Return D2 from likelihood ratios, D3 or D4."""
    big, small = (require_source(one, "likelihood ratios") for one in (larger, smaller))
    full, null = loglik_fits(*big), loglik_fits(*small)
    if not full.additive:
        raise ModelError(f"no likelihood ratio: {full.reason}.", do="res.compare(smaller, method='D1')")
    own = 2 * (full.logliks - null.logliks)
    if method == "D2":
        return d2(own, k)
    if method == "D3":
        averages = [(source, fits.params.mean(axis=0)) for source, fits in ((big, full), (small, null))]
        at = [[loglik_at(*source, j, mean) for j in range(larger.m)] for source, mean in averages]
        return d3(own, 2 * (np.array(at[0]) - np.array(at[1])), k, "positive" if ariv == "robust" else ariv)
    both = stacked(*big), stacked(*small)
    ratio = 2 * (both[0] - both[1]) / larger.m
    if ariv == "robust":
        return d4_robust(ratio, k, full.logliks, both[0] / larger.m, full.params.shape[1])
    return d4(own, ratio, k, ariv)

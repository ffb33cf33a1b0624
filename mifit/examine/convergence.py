"""Whether chains have settled: drift over chains for every trace, R-hat and effective sample size in long ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtr

from ..errors import PlanError, call, listed
from ..frame.table import Table
from ..imputation.plan.plan import Plan
from ..imputation.sampler.chain import Chain
from ..imputation.sampler.traces import spelled
from ..typing import Array

__all__ = ["bulk_ess", "convergence", "drift", "rhat", "state", "trace_frame", "unsettled"]


_FALSE_ALARM = 0.01  # chance of a false alarm over all traces, were they normal
_SMALL_DRIFT = 0.1  # drift that matters, in standard deviations over chains
_LEAST_CHAINS = 5  # fewer cannot tell a drift from chance
_ENOUGH_CHAINS = 10  # with fewer chains the test has little power: no drift is not evidence of convergence
_LEAST_SWEEPS = 5  # fewer have no second half worth the name
_DRAWS_FOR_RHAT = 50  # draws of each chain from which R-hat and effective sample size can be told
_RHAT = 1.05  # above it, chains have not mixed
_SHOWN_TRACES = 4  # traces that a warning names


def convergence(chains: Sequence[Chain], plan: Plan | None, table: Table) -> pd.DataFrame:
    """Judge every trace of some chains; see :meth:`mifit.ImputedSet.convergence`."""
    plan = _required(plan)
    values, (m, sweeps) = _stacked(chains), (len(chains), chains[0].sweeps if chains else 0)
    figures = {name: np.full(len(values), np.nan) for name in ("drift", "t", "p", "size", "rhat", "ess_bulk")}
    every = np.array(list(values.values())).reshape(len(values), m, sweeps)
    if sweeps > 1 and m > 1:
        about = _about(plan, table)
        steps = [about[t].step if t in about else 0.0 for t in values]
        figures |= dict(zip(("drift", "t", "p", "size"), drift(every, np.array(steps)), strict=True))
    if sweeps >= _DRAWS_FOR_RHAT and m > 1:
        figures |= {"rhat": np.array([rhat(one) for one in every]), "ess_bulk": np.array([bulk_ess(o) for o in every])}
    beyond = (figures["p"] * len(values) < _FALSE_ALARM) & (figures["size"] > _SMALL_DRIFT) & (m >= _LEAST_CHAINS)
    still = (every == every[:, :1, :1]).all(axis=(1, 2)) & (sweeps > 1)
    usual = _too_few(m, sweeps, plan) or "stable"
    unmixed = np.where(figures["rhat"] > _RHAT, "slow", "good") if sweeps >= _DRAWS_FOR_RHAT else "too few sweeps"
    return pd.DataFrame(
        {
            "mean": every[:, :, -1].mean(axis=1) if sweeps else np.empty(0),
            **{name: figures[name] for name in ("drift", "t", "p")},
            "verdict": np.where(still, "constant", np.where(beyond, "drifts", usual)),
            **{name: figures[name] for name in ("rhat", "ess_bulk")},
            "mixing": np.where(still, "constant", unmixed),
        },
        index=pd.Index(list(values), name="trace", dtype=object),
    ).astype({"verdict": object, "mixing": object})


def drift(values: Array, steps: Array | float = 0.0) -> tuple[Array, Array, Array, Array]:
    """Compare the last sweep of every chain with the one halfway, over chains.

    A chain settles in distribution, never in its values: one chain cannot show it, many side by side can.

    Parameters
    ----------
    values : ndarray, shape (S, m, T)
        S traces of m chains over T sweeps, at least 2 of both.
    steps : ndarray, shape (S,), or 0.0
        Of a trace that moves in steps, their size; 0 for one that moves freely.

    Returns
    -------
    drift : ndarray, shape (S,)
        Mean over chains of the last value less the one halfway.
    t : ndarray, shape (S,)
        The same over its standard error, on m - 1 degrees of freedom; 0 where nothing moved.
    p : ndarray, shape (S,)
        Two-sided, of one trace alone.
    size : ndarray, shape (S,)
        Absolute drift in standard deviations of the last values over chains: for a coefficient, of whose posterior each
        chain holds a draw, about its pooled standard error.

    Notes
    -----
    A share of few cells can move by the same step in every chain, which leaves no spread to judge it by; so the
    variance of rounding to a step, steps² / 12, is added to that of the differences.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> settled = rng.normal(size=(1, 20, 10))
    >>> moving = settled + np.arange(10.0)
    >>> [float(np.round(drift(values)[1][0], 1)) for values in (settled, moving)]
    [-0.9, 14.9]
    """
    m, sweeps = values.shape[1:]
    last = values[:, :, -1]
    with np.errstate(all="ignore"):  # an infinite trace has no drift, 0 / 0 is none
        moved = last - values[:, :, sweeps // 2 - 1]
        largest = np.maximum(np.abs(moved).max(axis=1, initial=0.0), np.abs(last).max(axis=1, initial=0.0))
        known = np.isfinite(largest) & (largest > 0)
        unit = np.exp2(np.floor(np.log2(np.where(known, largest, 1.0))))  # of a number of 1e200 there is no square
        moved, last = moved / unit[:, None], last / unit[:, None]
        mean = moved.mean(axis=1)
        error = np.sqrt((moved.var(axis=1, ddof=1) + np.square(steps / unit) / 12) / m)
        t = np.where(mean == 0, 0.0, mean / error)
        size = np.where(mean == 0, 0.0, np.abs(mean) / last.std(axis=1, ddof=1))
        mean = mean * unit
    return mean, t, 2 * stdtr(m - 1, -np.abs(t)), size


def rhat(values: Array) -> float:
    """Rank-normalised split R-hat of one quantity: near 1 where chains cannot be told from one another.

    Parameters
    ----------
    values : ndarray, shape (m, T)
        m chains of T draws, T at least 4.

    Returns
    -------
    float
        The larger of that for location and that for spread; NaN for a constant, or what is not finite.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B. and Bürkner, P.-C. (2021). Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC. *Bayesian Analysis* 16(2), 667-718, eq. 4 and
    section 3.2. doi:10.1214/20-BA1221

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> draws = rng.normal(size=(4, 100))
    >>> round(rhat(draws), 2), round(rhat(draws + np.arange(4)[:, None]), 2)
    (1.0, 1.62)
    """
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    halves = _split(values)
    return max(_ratio(_normal_scores(halves)), _ratio(_normal_scores(np.abs(halves - np.median(halves)))))


def bulk_ess(values: Array) -> float:
    """Bulk effective sample size: how many independent draws would tell as much about the centre.

    Parameters
    ----------
    values : ndarray, shape (m, T)
        m chains of T draws, T at least 8.

    Returns
    -------
    float
        NaN for a constant, or what is not finite.

    Notes
    -----
    Autocorrelations of the rank-normalised half chains are combined over chains, summed in pairs of lags, cut before
    the first negative pair and made monotone (Geyer 1992); half of the next even lag is added where it is positive.

    References
    ----------
    Vehtari et al. (2021), as for :func:`rhat`, eq. 10-13; Geyer, C. J. (1992). Practical Markov chain Monte Carlo.
    *Statistical Science* 7(4), 473-483.

    Examples
    --------
    >>> white = np.random.default_rng(1).normal(size=(4, 250))
    >>> slow = np.cumsum(white, axis=1)
    >>> round(bulk_ess(white)), round(bulk_ess(slow))
    (1048, 9)
    """
    if not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    scores = _normal_scores(_split(values))
    n_chains, n = scores.shape
    covariance = _autocovariances(scores)  # (chains, n)
    within = covariance[:, 0].mean() * n / (n - 1)
    total = covariance[:, 0].mean() + scores.mean(axis=1).var(ddof=1)
    rho = 1 - (within - covariance.mean(axis=0)) / total
    rho[0] = 1.0
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)[: (n - 3) // 2 + 1]
    negative = np.flatnonzero(pairs < 0)
    end = int(negative[0]) if len(negative) else len(pairs) - 1
    tau = -1 + 2 * np.minimum.accumulate(pairs[:end]).sum() + max(rho[2 * end], 0.0)
    return float(n_chains * n / max(tau, 1 / np.log10(n_chains * n)))


def state(table: pd.DataFrame) -> str:
    """What a table of convergence comes to, in a few words."""
    drifting, slow = (table["verdict"] == "drifts").sum(), (table["mixing"] == "slow").sum()
    bad = [f"{drifting} of {len(table)} traces drift"] if drifting else []
    bad += [f"{slow} of {len(table)} traces mix slowly"] if slow else []
    if bad or table.empty:
        return ", ".join(bad)
    few = set(table["verdict"]) - {"stable", "constant"}
    if few:
        word = few.pop()
        return f"{word} to judge drift" if word.startswith("too few") else word
    return f"no drift in {len(table)} traces"


def unsettled(table: pd.DataFrame, sweeps: int) -> str:
    """What speaks against a set of chains, with names and figures; empty if nothing does."""
    drifting = table[table["verdict"] == "drifts"].sort_values("p", kind="stable")
    slow = table[table["mixing"] == "slow"].sort_values("rhat", ascending=False, kind="stable")
    shown = [f"{name} (by {row['drift']:+.3g}, p = {row['p']:.1g})" for name, row in drifting.iterrows()]
    mixed = [f"{name} (R-hat {row['rhat']:.2f})" for name, row in slow.iterrows()]
    span = f"of {len(table)} traces drift from sweep {sweeps // 2} to {sweeps}"
    said = [f"{len(shown)} {span}: {listed(shown, _SHOWN_TRACES)}"] if shown else []
    if mixed:
        said.append(f"{len(mixed)} of {len(table)} traces mix slowly: {listed(mixed, _SHOWN_TRACES)}")
    return "; ".join(said)


def trace_frame(chains: Sequence[Chain], plan: Plan | None, table: Table) -> pd.DataFrame:
    """Return every trace in long form; see :attr:`mifit.ImputedSet.trace`."""
    plan = _required(plan)
    values, sweeps = _stacked(chains), chains[0].sweeps if chains else 0
    about = _about(plan, table)
    known = [about.get(trace) or _About(trace.partition("(")[2][:-1], trace.partition("(")[0]) for trace in values]
    size = len(chains) * sweeps
    labels: dict[str, list[Any]] = {
        "trace": list(values),
        "variable": [o.variable for o in known],
        "statistic": [o.statistic for o in known],
    }
    return pd.DataFrame(
        {
            # of any sort: no dtype of text holds all of them
            **{word: pd.Series([o for o in each for _ in range(size)], dtype=object) for word, each in labels.items()},
            "chain": np.tile(np.repeat(np.arange(len(chains)), sweeps), len(values)),
            "iteration": np.tile(np.arange(1, sweeps + 1), len(values) * len(chains)),
            "value": np.concatenate([one.ravel() for one in values.values()]) if values else np.empty(0),
        }
    )


class _About(NamedTuple):
    """What a trace follows."""

    variable: Hashable  #: a column, or the name of a coefficient
    statistic: str  #: "mean", "sd", "share" or "beta"
    step: float = 0.0  #: by how much it moves at least


def _required(plan: Plan | None) -> Plan:
    """The plan of sets made here, or a refusal: sets made elsewhere came without their chains."""
    if plan is None:
        raise PlanError(
            "sets made elsewhere have no chains here: their convergence cannot be judged; the call below imputes anew.",
            do=call("df.mice.impute", m=20, rng=1).after("imp = ").then("; imp.convergence()"),
        )
    return plan


def _stacked(chains: Sequence[Chain]) -> dict[str, Array]:
    """Each trace of all chains, shape (m, T), if every chain has a value for every sweep."""
    found = {name: [chain.traces.get(name, ()) for chain in chains] for name in (chains[0].traces if chains else ())}
    return {name: np.array(each) for name, each in found.items() if {len(t) for t in each} == {chains[0].sweeps}}


def _too_few(m: int, sweeps: int, plan: Plan) -> str:
    """Why a trace without drift is not thereby stable; empty if it is."""
    if sweeps == 1 and plan.options.iterations is None:
        return "one sweep suffices"
    return "too few sweeps" if sweeps < _LEAST_SWEEPS else "too few chains" if m < _ENOUGH_CHAINS else ""


def _about(plan: Plan, table: Table) -> dict[str, _About]:
    """What the traces of imputed values follow: a share of n cells moves by 1/n at least."""
    found: dict[str, _About] = {}
    spellings = spelled(plan.columns)
    for name, shown in ((name, spellings[name]) for name in plan.order):
        step = 1 / max(len(table[name].missing), 1)
        found |= {f"{word}({shown})": _About(name, word) for word in ("mean", "sd")}
        found |= {f"share({shown} = {level})": _About(name, "share", step) for level in table[name].coding.levels}
    return found


def _split(values: Array) -> Array:
    """Halves of chains as chains, shape (2 m, T // 2); the middle of an odd number is left out."""
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, -half:]])


def _normal_scores(values: Array) -> Array:
    """Normal quantiles of the ranks over all chains, ties at their mean rank (Vehtari et al. 2021, eq. 14)."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return np.asarray(ndtri((rank[place.reshape(values.shape)] - 0.375) / (values.size + 0.25)))


def _ratio(values: Array) -> float:
    """R-hat of split chains: the root of total over within variance."""
    n = values.shape[1]
    within = values.var(axis=1, ddof=1).mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt((n - 1) / n + values.mean(axis=1).var(ddof=1) / within))


def _autocovariances(values: Array) -> Array:
    """Autocovariances of each chain at every lag, divided by its length, shape (chains, n)."""
    n = values.shape[1]
    centred = values - values.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * n, axis=1)
    return np.asarray(np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=1)[:, :n] / n)

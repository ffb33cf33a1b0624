"""Convergence: drift is a paired t test over chains, R-hat and ESS are those of Vehtari et al., a drift is told."""

import dataclasses
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mifit
from mifit.errors import ConvergenceWarning, MifitError
from mifit.examine.convergence import bulk_ess, drift, rhat
from mifit.imputed import ImputedSet
from support.traces import moved

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


def autoregressive(phi, shape, seed=1):
    """Stationary chains of unit variance, shape (m, T)."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=shape)
    for t in range(1, shape[-1]):
        values[..., t] = phi * values[..., t - 1] + np.sqrt(1 - phi**2) * values[..., t]
    return values


@pytest.fixture(scope="module")
def imp():
    return mifit.datasets.load("nhanes2").mice.impute("chl ~ age + bmi", m=20, rng=1)


@pytest.fixture(scope="module")
def drifting(imp):
    return moved(imp, {"beta(bmi)": 8.0, "mean(chl)": 6.0})


# The figures


@pytest.mark.parametrize(("m", "sweeps"), [(2, 2), (5, 7), (20, 10)])
def test_drift_is_the_paired_t_test_of_the_last_sweep_against_the_one_halfway(m, sweeps):
    values = autoregressive(0.5, (6, m, sweeps))
    mean, t, p, size = drift(values)
    last, half = values[:, :, -1], values[:, :, sweeps // 2 - 1]
    truth = stats.ttest_rel(last, half, axis=1)
    np.testing.assert_allclose(t, truth.statistic)
    np.testing.assert_allclose(p, truth.pvalue)
    np.testing.assert_allclose(mean, (last - half).mean(axis=1))
    np.testing.assert_allclose(size, np.abs(mean) / last.std(axis=1, ddof=1))


def test_settled_normal_chains_raise_the_alarm_in_one_of_a_hundred_runs():
    """2,000 runs of 10 traces; the two bounds are each passed by chance once in 10,000."""
    values = autoregressive(0.5, (20_000, 20, 10))
    alarms = (drift(values)[2].reshape(2000, 10) * 10 < 0.01).any(axis=1).sum()
    assert stats.binom.ppf(1e-4, 2000, 0.01) <= alarms <= stats.binom.isf(1e-4, 2000, 0.01)


def test_a_trace_that_never_moves_does_not_drift_and_one_that_all_chains_share_does():
    still, climbing = np.ones((1, 5, 10)), np.ones((1, 5, 1)) * np.arange(10.0)
    assert [float(x[0]) for x in drift(still)] == [0, 0, 1, 0]
    mean, t, p, size = drift(climbing)
    assert (mean[0], t[0], p[0], size[0]) == (5, np.inf, 0, np.inf)


def test_one_step_of_a_share_of_few_cells_in_every_chain_is_no_alarm():
    """Four cells, five chains, all by one step: as likely as 1 in 100 when the share is even, so p may not be below."""
    share = np.full((1, 5, 10), 0.5)
    share[..., -1] = 0.75
    assert drift(share)[2][0] == 0
    assert drift(share, np.array([0.25]))[2][0] * 10 > 0.01


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.95, -0.6])
@pytest.mark.parametrize("shape", [(2, 50), (4, 51), (20, 60), (3, 200)])
@pytest.mark.parametrize("ties", [False, True])
def test_rhat_and_ess_are_those_of_arviz(phi, shape, ties):
    oracle = pytest.importorskip("arviz_stats.base").array_stats
    values = autoregressive(phi, shape)
    values = np.round(2 * values) if ties else values
    axes = {"chain_axis": 0, "draw_axis": 1}
    assert rhat(values) == pytest.approx(float(oracle.rhat(values, method="rank", **axes)), rel=1e-10)
    assert bulk_ess(values) == pytest.approx(float(oracle.ess(values, method="bulk", **axes)), rel=1e-10)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7])
def test_an_autoregression_has_the_effective_sample_size_of_theory(phi):
    """Its autocorrelations are phi^t: n (1 - phi) / (1 + phi). Seeded; the sampling error is about 4 %."""
    assert bulk_ess(autoregressive(phi, (8, 2000))) == pytest.approx(16_000 * (1 - phi) / (1 + phi), rel=0.15)


def test_rhat_sees_another_centre_and_another_spread_and_no_monotone_change_of_scale():
    values = autoregressive(0.0, (4, 200))
    apart, wider = values.copy(), values.copy()
    apart[0] += 1.0
    wider[0] *= 4.0
    assert rhat(values) < 1.02 < 1.05 < min(rhat(apart), rhat(wider))
    # ranks do not move; folding is around the median, so that only an odd change of scale leaves it
    centred = values - np.median(values)
    assert rhat(centred**3) == pytest.approx(rhat(centred))
    assert bulk_ess(np.exp(values)) == pytest.approx(bulk_ess(values))


def test_a_constant_has_neither():
    assert np.isnan(rhat(np.ones((4, 60)))) and np.isnan(bulk_ess(np.ones((4, 60))))


# The table


def test_the_table_has_a_row_for_every_trace_and_its_figures(imp):
    table = imp.convergence()
    assert list(table.index) == list(imp._record.chains[0].traces)
    assert list(table) == ["mean", "drift", "t", "p", "verdict", "rhat", "ess_bulk", "mixing"]
    values = np.array([chain.traces["sd(chl)"] for chain in imp._record.chains])
    assert table["mean"]["sd(chl)"] == pytest.approx(values[:, 9].mean())
    assert table["drift"]["sd(chl)"] == pytest.approx((values[:, 9] - values[:, 4]).mean())
    assert set(table["verdict"]) == {"stable"} and set(table["mixing"]) == {"too few sweeps"}
    assert table[["rhat", "ess_bulk"]].isna().all(axis=None)


def test_long_chains_have_rhat_and_effective_sample_size():
    imp = mifit.datasets.load("airquality").mice.impute("Ozone ~ Temp + Wind", m=4, iterations=50, rng=1)
    table = imp.convergence()
    values = np.array([chain.traces["mean(Ozone)"] for chain in imp._record.chains])
    assert table["rhat"]["mean(Ozone)"] == rhat(values)
    assert table["ess_bulk"]["mean(Ozone)"] == bulk_ess(values)
    assert np.array_equal(table["mixing"] == "slow", table["rhat"] > 1.05)


def test_chains_that_differ_for_good_mix_slowly_and_fit_says_so():
    imp = mifit.datasets.load("airquality").mice.impute("Ozone ~ Temp + Wind", m=4, iterations=50, rng=1)
    spread = np.std([c.traces["mean(Ozone)"] for c in imp._record.chains])
    chains = [
        dataclasses.replace(c, traces={**c.traces, "mean(Ozone)": c.traces["mean(Ozone)"] + 2 * c.number * spread})
        for c in imp._record.chains
    ]
    apart = ImputedSet(imp._record.with_chains(chains))
    assert apart.convergence()["mixing"]["mean(Ozone)"] == "slow"
    assert "mix slowly" in repr(apart)
    with pytest.warns(ConvergenceWarning, match=r"mix slowly: mean\(Ozone\) \(R-hat"):
        apart.fit()


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ({"m": 3}, "too few chains"),
        ({"m": 9}, "too few chains"),
        ({"m": 10, "iterations": 1}, "too few sweeps"),
        ({"m": 10, "iterations": 4}, "too few sweeps"),
        ({"m": 10, "iterations": 5}, "stable"),
    ],
)
def test_what_cannot_be_judged_is_not_called_stable(words, verdict):
    imp = mifit.datasets.load("nhanes2").mice.impute(rng=1, **words)
    assert set(imp.convergence()["verdict"]) == {verdict}
    shown = "no drift in 6 traces" if verdict == "stable" else f"{verdict} to judge drift"
    assert f"{imp.iterations} iteration{'s' * (imp.iterations > 1)}, {shown}" in repr(imp)


def test_one_sweep_suffices_where_one_column_has_holes_and_nothing_is_drawn_where_none_has():
    frame = mifit.datasets.load("nhanes2")
    one = frame[["age", "bmi"]].mice.impute(m=10, rng=1)
    assert set(one.convergence()["verdict"]) == {"one sweep suffices"}
    assert set(one.extend(iterations=9).convergence()["verdict"]) == {"stable"}
    none = frame[["age"]].mice.impute(m=6, rng=1)
    assert none.convergence().empty and none.trace.empty
    assert list(none.convergence()) == list(one.convergence()) and list(none.trace) == list(one.trace)


def test_a_trace_that_overflows_has_no_figures_and_spoils_no_other(imp):
    chains = [dataclasses.replace(c, traces={**c.traces, "sd(bmi)": np.full(10, np.inf)}) for c in imp._record.chains]
    table = ImputedSet(imp._record.with_chains(chains)).convergence()
    assert np.isnan(table["t"]["sd(bmi)"])
    pd.testing.assert_frame_equal(table.drop(index="sd(bmi)"), imp.convergence().drop(index="sd(bmi)"))


def test_a_table_that_is_changed_does_not_change_the_next(imp):
    table = imp.convergence()
    table["verdict"] = "drifts"
    assert set(imp.convergence()["verdict"]) == {"stable"}


# What is said


def test_a_drift_is_told_once_at_fit_with_the_remedy(drifting):
    with pytest.warns(ConvergenceWarning) as heard:
        res = drifting.fit()
    assert len(heard) == 1 and heard[0].filename == __file__
    text = str(heard[0].message)
    assert "2 of 10 traces drift from sweep 5 to 10: " in text
    assert re.search(r"beta\(bmi\) \(by \+[\d.]+, p = [\de.-]+\)", text) and "mean(chl)" in text
    assert "imp.extend(iterations=10)" in text
    assert any("2 of 10 traces drift" in note for note in res.notes)
    assert "2 of 10 traces drift" in str(res.summary()).replace("\n    ", " ")


def test_a_drift_is_flagged_in_the_repr_and_settled_chains_are_not_warned_about(drifting, imp):
    assert "10 iterations, 2 of 10 traces drift\n" in repr(drifting)
    assert "10 iterations, no drift in 10 traces\n" in repr(imp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imp.fit()


def test_the_verdict_needs_a_drift_that_is_sure_and_large(imp):
    """A thousand times as many chains would find any drift; only one above a tenth of a standard error matters."""
    table = moved(imp, {"beta(bmi)": 8.0}).convergence()
    assert table["verdict"]["beta(bmi)"] == "drifts" and table["p"]["beta(bmi)"] * 10 < 0.01
    rng, chains = np.random.default_rng(1), []
    for number in range(20):
        noise = rng.normal(size=10)
        noise[4] = noise[9] - 0.05 + 1e-3 * rng.normal()  # the same small step in every chain
        chains.append(dataclasses.replace(imp._record.chains[number], traces={"beta(bmi)": noise}))
    small = ImputedSet(imp._record.with_chains(chains)).convergence().loc["beta(bmi)"]
    assert small["p"] < 1e-10 and small["verdict"] == "stable"


def test_five_chains_can_be_alarmed_and_four_cannot(imp):
    for m, verdict in ((4, "too few chains"), (5, "drifts")):
        some = ImputedSet(imp._record.with_chains(imp._record.chains[:m]))
        assert moved(some, {"beta(bmi)": 400.0}).convergence()["verdict"]["beta(bmi)"] == verdict


def test_going_on_joins_the_traces_and_heals(drifting):
    longer = drifting.extend(iterations=30)
    for before, after in zip(drifting._record.chains, longer._record.chains, strict=True):
        np.testing.assert_array_equal(after.traces["beta(bmi)"][:10], before.traces["beta(bmi)"])
        assert len(after.traces["beta(bmi)"]) == longer.iterations == 40
    assert longer.convergence()["verdict"]["beta(bmi)"] == "stable"


def test_while_imputations_are_added_a_drift_is_told_once(drifting):
    with pytest.warns(ConvergenceWarning) as heard:
        drifting.fit(until={"se_cv": 0.5})
    assert len(heard) == 1


def test_sets_made_elsewhere_are_refused_by_every_verb_that_needs_chains(imp):
    foreign = mifit.from_long(imp.to_long())
    for verb in (lambda: foreign.convergence(), lambda: foreign.trace, lambda: foreign.plot.data("trace")):
        with pytest.raises(MifitError, match="made elsewhere"):
            verb()
    assert "made elsewhere" in repr(foreign)
    foreign.fit("chl ~ age + bmi")


# The traces


def test_the_long_frame_holds_every_value_of_every_chain(imp):
    trace = imp.trace
    assert list(trace) == ["trace", "variable", "statistic", "chain", "iteration", "value"]
    assert len(trace) == 10 * 20 * 10
    wide = trace.pivot(index=["trace", "chain"], columns="iteration", values="value")
    for chain in imp._record.chains:
        for name, values in chain.traces.items():
            np.testing.assert_array_equal(wide.loc[(name, chain.number)], values)
    last = trace[(trace["trace"] == "mean(bmi)") & (trace["iteration"] == 10) & (trace["chain"] == 3)]
    holes = mifit.datasets.load("nhanes2")["bmi"].isna().to_numpy()
    assert last["value"].item() == pytest.approx(imp[3]["bmi"][holes].mean())
    about = trace.drop_duplicates("trace").set_index("trace")
    assert about.loc["share(hyp = yes)", ["variable", "statistic"]].tolist() == ["hyp", "share"]
    assert about.loc["beta(age[T.40-59])", ["variable", "statistic"]].tolist() == ["age[T.40-59]", "beta"]


def two_of_a_kind():
    """Columns 1 and "1", two outcomes."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(80, 4)), columns=pd.Index([1, "1", "y", "z"], dtype=object))
    frame["y"] += frame[1]
    for name in (1, "1"):
        frame[name] = frame[name].mask(rng.random(80) < 0.3)
    return frame


def test_names_that_print_alike_and_outcomes_that_share_a_predictor_have_traces_of_their_own():
    frame = two_of_a_kind()
    plain = frame.mice.impute(m=2, rng=1)
    assert set(plain._record.chains[0].traces) == {"mean(1)", "sd(1)", "mean('1')", "sd('1')"}
    assert set(plain.trace["variable"]) == {1, "1"}
    both = frame.rename(columns={1: "a", "1": "b"}).mice.impute(["y ~ a + b", "z ~ a"], m=2, iterations=5, rng=1)
    traces = both._record.chains[0].traces
    assert {"beta(y: a)", "beta(y: b)", "beta(z: a)"} <= set(traces)
    assert {len(values) for values in traces.values()} == {5}


# What was measured, measured again


@pytest.mark.slow
def test_the_measured_false_alarms_and_power_hold():
    """40 frames each; both bounds are passed by chance less than once in 1,000, were the stored rates true."""
    import convergence

    from support.scenarios_linear import LINEAR

    found = pd.concat(convergence.settled(LINEAR["linear interaction"], 40, 7))
    alarms = (found["verdict"] == "drifts").groupby([found["m"], found["frame"]]).any()
    assert alarms[20].sum() <= stats.binom.isf(1e-3, 40, 0.03)
    off = convergence.unsettled(40, 7)
    off = off[(off["m"] == 20) & (off["sweeps"] == 5)]
    assert off["off"].mean() < -2
    assert off["alarm"].sum() >= stats.binom.ppf(1e-3, 40, 0.8)

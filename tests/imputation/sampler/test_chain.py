"""Chains: the same bits however they are run, the start, the number of sweeps, traces, and what reaches what."""

import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit import ImputationError
from mifit.formula.question import ask
from mifit.frame.table import read
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.first_fill import start
from mifit.imputation.sampler.runs import _chain, run
from mifit.imputation.seed import Seed
from support.made import make
from support.mixed_kinds import ASKED, mixed, same
from support.scenarios import run_after_run


def asked(formula, **more):
    frame = mixed()
    if formula == "log outcome":
        frame["later"] = np.exp(frame["later"] / 4)
    return frame, {"formula": ASKED[formula], "rng": 3, "progress": False, **more}


def holes(frame, formula, k=0, sweeps=5, seed=5, chains=2, **options):
    """Imputed values by column, of a few chains."""
    table = read(frame)
    questions = [ask(formula, table, scope={"np": np})] if formula else []
    plan, table = make(table, questions, Options(**options), {})
    return [chain.imputed for chain in run(table, plan, list(range(chains)), sweeps, Seed(seed), n_jobs=1)]


# Law 4: the same bits


@pytest.mark.parametrize("formula", list(ASKED))
def test_more_sets_and_more_sweeps_are_those_of_all_at_once(formula):
    frame, words = asked(formula)
    whole = mifit.impute(frame, m=4, iterations=7, **words)
    same(mifit.impute(frame, m=2, iterations=7, **words).extend(m=2), whole)
    fewer = mifit.impute(frame, m=4, iterations=5, **words)
    more = fewer.extend(iterations=2)
    same(more, whole)
    assert (more.iterations, fewer.iterations) == (7, 5)
    for one, other in zip(more._record.chains, whole._record.chains, strict=True):
        assert one.traces.keys() == other.traces.keys()
        for name in one.traces:
            np.testing.assert_array_equal(one.traces[name], other.traces[name])
        assert one.events == other.events
        assert one.sampled == other.sampled


@pytest.mark.parametrize("formula", ["plain", "rejection"])
def test_workers_give_the_same_bits(formula):
    frame, words = asked(formula)
    same(
        mifit.impute(frame, m=3, iterations=5, n_jobs=2, **words),
        mifit.impute(frame, m=3, iterations=5, n_jobs=1, **words),
    )


@pytest.mark.parametrize("formula", ["plain", "closed form"])
def test_row_labels_do_not_matter(formula):
    frame, words = asked(formula)
    other = frame.set_index(pd.Index(np.random.default_rng(1).permutation(len(frame)).astype(str)))
    same(mifit.impute(frame, m=2, **words), mifit.impute(other, m=2, **words))


@pytest.mark.parametrize("formula", [None, "x0 ~ x1 * x2 + x3"])
def test_a_chain_works_in_three_times_its_design(formula):
    rng = np.random.default_rng(1)
    columns = {f"x{j}": rng.standard_normal(20_000) for j in range(20)}
    frame = pd.DataFrame(columns).mask(rng.random((20_000, 20)) < 0.1)
    table = read(frame)
    plan, table = make(table, [ask(formula, table)] if formula else [], Options(iterations=2), {})
    run(table, plan, [0], 1, Seed(1))  # loads what is imported late
    tracemalloc.start()
    try:
        engine = Engine(table, plan)
        shared = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        _chain(engine, 0, None, 2, Seed(1), None, 0)
        worked = tracemalloc.get_traced_memory()[1] - shared
    finally:
        tracemalloc.stop()
    assert worked <= 3 * 8 * table.n_rows * len(engine.layout)


def test_the_same_seed_gives_the_same_sets_and_another_one_others():
    frame, words = asked("closed form")
    one, two = (mifit.impute(frame, m=2, **words) for _ in range(2))
    same(one, two)
    three = mifit.impute(frame, m=2, **{**words, "rng": 4})
    assert not np.array_equal(one[0]["x"], three[0]["x"])
    assert not np.array_equal(one[0]["x"], one[1]["x"])


# Law 7: units and origins


UNITS = [
    ("y ~ x * z + g", {"methods": {"x": "norm"}}), ("y ~ z + x + I(x**2)", {"methods": {"x": "norm"}}),
    (None, {"methods": {"x": "norm", "y": "pmm"}}), (None, {}), ("y ~ x * z", {"auxiliary": "ignore"}),
]  # fmt: skip


@pytest.mark.parametrize("power", [-7, 3, 30])
@pytest.mark.parametrize(("formula", "options"), UNITS)
def test_a_power_of_two_in_the_units_of_a_column_gives_the_same_bits(formula, options, power):
    frame = mixed()
    scaled = frame.assign(x=frame["x"] * 2.0**power)
    for one, other in zip(holes(frame, formula, **options), holes(scaled, formula, **options), strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(other[name], values * (2.0**power if name == "x" else 1.0), err_msg=str(name))


@pytest.mark.parametrize("power", [-9, -3, 3, 9])
@pytest.mark.parametrize(
    ("formula", "method", "shift"),
    [("y ~ x * z + g", "norm", 0.0), ("y ~ x * z + g", "power", 0.0), ("y ~ x * z + g", "power", 9.0),
     ("y ~ z + x + I(x**2)", "norm", 0.0), ("y ~ z + np.log(x)", "power", 9.0), (None, "pmm", 0.0),
     (None, "power", 9.0), ("b ~ x * z", "norm", 0.0)],
)  # fmt: skip
def test_other_units_give_the_same_values_in_other_units(formula, method, shift, power):
    frame = mixed()
    frame["x"] += shift
    scaled = frame.assign(x=frame["x"] * 10.0**power)
    options = {"methods": {"x": method}}
    for one, other in zip(holes(frame, formula, **options), holes(scaled, formula, **options), strict=True):
        for name, values in one.items():
            back = other[name] / (10.0**power if name == "x" else 1.0)
            np.testing.assert_allclose(back, values, rtol=1e-8, atol=1e-8 * values.std(), err_msg=str(name))


@pytest.mark.parametrize("power", [-9, 9])
def test_units_leave_no_trace_in_slice_steps(power, monkeypatch):
    from mifit.imputation.sampler import samplers

    monkeypatch.setattr(samplers, "ROUNDS", (1,))
    frame = mixed()
    scaled = frame.assign(x=frame["x"] * 10.0**power)
    formula, options = "y ~ z + x + I(x**2)", {"methods": {"x": "norm"}}
    for one, other in zip(holes(frame, formula, **options), holes(scaled, formula, **options), strict=True):
        np.testing.assert_allclose(other["x"] / 10.0**power, one["x"], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("formula", "method", "origin"),
    [("y ~ x * z + g", "norm", -50.0), ("y ~ x * z + g", "norm", 300.0), ("y ~ x + z", "power", -1e4),
     (None, "pmm", 1e4), (None, "norm", -1e4), ("b ~ x + z", "norm", 1e4)],
)  # fmt: skip
def test_another_origin_gives_the_same_values_from_another_origin(formula, method, origin):
    # A product x:z far from its origin loses the square of the distance: 1e4 standard deviations leave 1e-8.
    frame = mixed()
    moved = frame.assign(x=frame["x"] + origin)
    options = {"methods": {"x": method}}
    for one, other in zip(holes(frame, formula, **options), holes(moved, formula, **options), strict=True):
        for name, values in one.items():
            back = other[name] - (origin if name == "x" else 0.0)
            np.testing.assert_allclose(back, values, rtol=1e-8, atol=1e-8 * max(values.std(), 1.0), err_msg=str(name))


# What reaches what


def next_x(frame, shove, **options):
    """x as the next visit draws it after values of the missing outcome were changed."""
    table = read(frame)
    plan, table = make(table, [ask("y ~ x * z", table)], Options(**options), {})
    before = run(table, plan, [0], 3, Seed(6), n_jobs=1)[0]
    changed = {**before.imputed, "y": before.imputed["y"] + shove}
    running = ChainState(Engine(table, plan), dataclasses.replace(before, imputed=changed))
    running.store.refresh()
    return running.visit(plan["x"], np.random.default_rng(7)).draw.values, plan


def test_values_of_a_missing_outcome_never_reach_a_covariate_without_an_auxiliary():
    frame = mixed()[["y", "x", "z"]]
    plain, plan = next_x(frame, 0.0)
    assert plan.factors[0].rows == "observed"
    np.testing.assert_array_equal(next_x(frame, 1e6)[0], plain)


def test_with_an_auxiliary_they_must():
    frame = mixed()[["y", "x", "z", "later"]]
    plain, plan = next_x(frame, 0.0)
    assert plan.factors[0].rows == "all"
    assert np.abs(next_x(frame, 10.0)[0] - plain).max() > 0.1


def test_an_ignored_auxiliary_is_as_if_it_were_not_there():
    frame = mixed()
    one = holes(frame[["y", "x", "z", "later"]], "y ~ x * z", auxiliary="ignore")
    two = holes(frame[["y", "x", "z"]], "y ~ x * z")
    for left, right in zip(one, two, strict=True):
        for name in ("x", "y"):
            np.testing.assert_array_equal(left[name], right[name])


# Start


def started(frame, formula, **options):
    table = read(frame)
    plan, table = make(table, [ask(formula, table)], Options(**options), {})
    running = ChainState(Engine(table, plan), None)
    start(running, np.random.default_rng(8))
    return running


def test_parameters_start_from_complete_rows_where_they_suffice():
    frame = mixed(n=400)
    running = started(frame, "y ~ x * z", auxiliary="ignore")
    complete = np.flatnonzero(frame[["y", "x", "z"]].notna().all(axis=1))
    np.testing.assert_array_equal(running.start_rows[("factor", 0)], complete)
    np.testing.assert_array_equal(running.start_rows["x"], np.flatnonzero(frame["x"].notna()))


def test_too_few_complete_rows_start_with_an_ordinary_pass():
    frame = mixed(n=400)[["y", "x", "z"]]
    frame.loc[frame.index[:392], "x"] = np.where(np.arange(392) % 2, np.nan, frame["x"][:392])
    frame.loc[frame["x"].notna() & (np.arange(400) > 10), "z"] = np.nan
    running = started(frame, "y ~ x * z")
    assert not running.start_rows
    assert all(np.isfinite(running.values[name]).all() for name in ("x", "y", "z"))
    assert running.store.verify() < 1e-12


def test_a_level_that_complete_rows_lack_starts_with_an_ordinary_pass():
    frame = mixed(n=400)[["y", "x", "g", "z"]]
    assert started(frame, "y ~ x + g + z").start_rows
    frame.loc[frame["g"] == "c", "x"] = np.nan
    running = started(frame, "y ~ x + g + z")
    assert not running.start_rows
    chain = holes(frame, "y ~ x + g + z", chains=1, sweeps=5)[0]
    assert np.isfinite(chain["x"]).all()


def test_the_first_fill_follows_the_data_and_is_not_blind():
    rng = np.random.default_rng(9)
    z = rng.standard_normal(300)
    x = z + 0.1 * rng.standard_normal(300)
    frame = pd.DataFrame({"y": x + rng.standard_normal(300), "x": np.where(rng.random(300) < 0.4, np.nan, x), "z": z})
    frame["w"] = np.where(np.arange(300) < 295, np.nan, z)
    running = started(frame, "y ~ x + z + w")
    assert not running.start_rows
    missing = running.table["x"].missing
    assert np.corrcoef(running.values["x"][missing], x[missing])[0, 1] > 0.95


# Number of sweeps


def planned(frame, formula=None, **options):
    table = read(frame)
    return make(table, [ask(formula, table)] if formula else [], Options(**options), {})[0]


def lacking(**shares):
    """Numbers with missing values at the end of each column, so that they are nested."""
    rng = np.random.default_rng(10)
    frame = pd.DataFrame(rng.standard_normal((100, 4)), columns=list("yxwz"))
    for name, share in shares.items():
        frame.loc[100 - int(100 * share) :, name] = np.nan
    return frame


def test_ten_sweeps_twenty_when_more_than_half_of_a_column_is_missing():
    assert planned(lacking(x=0.3), "y ~ x + z").iterations == 10
    assert planned(lacking(x=0.6), "y ~ x + z").iterations == 20
    frame = lacking(x=0.3)
    frame.loc[:35, "z"] = np.nan  # a third of the rows is complete, and each column mostly observed
    assert planned(frame, "y ~ x + z").iterations == planned(frame, "y ~ x").iterations == 10
    skewed = lacking(x=0.3).assign(x=lambda f: np.exp(f["x"]))
    assert planned(skewed, "y ~ x + z").iterations == 20
    assert planned(lacking(x=0.2).assign(x=lambda f: np.exp(f["x"])), "y ~ x + z").iterations == 10


@pytest.mark.slow
def test_ten_sweeps_settle_where_few_rows_are_complete():
    # five covariates, two fifths of each missing: 8 % complete rows. Coefficients after ten sweeps
    # less those of the same chains 20 sweeps later, paired over 12 frames x 10 chains; within 0.15 of their spread over
    # chains, and 3.5 errors: a false alarm in 400 runs
    off = []
    for seed in range(12):
        rng = np.random.default_rng([3, seed])
        x = rng.normal(size=(600, 5)) + 0.8 * rng.normal(size=(600, 1))
        frame = pd.DataFrame(x, columns=list("abcde")).mask(rng.random((600, 5)) < 0.4)
        frame["y"] = x.sum(axis=1) + 2 * rng.normal(size=600)
        imp = frame.mice.impute("y ~ a + b + c + d + e", m=10, iterations=10, rng=seed)  # the default but for skewness
        longer = imp.extend(iterations=20)
        ends = [np.array([chain.traces["beta(a)"][t] for chain in longer._record.chains]) for t in (9, 29)]
        off.append((ends[0].mean() - ends[1].mean()) / ends[1].std(ddof=1))
    assert abs(np.mean(off)) < 0.15 + 3.5 * np.std(off, ddof=1) / np.sqrt(len(off)), off


def test_one_sweep_where_nothing_has_to_settle():
    assert planned(lacking(x=0.3)).iterations == 1
    nested = lacking(x=0.1, w=0.3, y=0.4)
    plan = planned(nested)
    assert (plan.iterations, plan.order) == (1, ("x", "w", "y"))
    assert [plan[name].predictors for name in plan.order] == [("z",), ("x", "z"), ("x", "w", "z")]
    crossed = nested.copy()
    crossed.loc[0, "x"] = np.nan
    assert planned(crossed).iterations == 10
    assert planned(lacking(x=0.6, w=0.7).assign(w=lambda f: f["w"][::-1].to_numpy())).iterations == 20


def test_one_incomplete_variable_still_takes_several_compatible_sweeps():
    assert planned(lacking(x=0.3), "y ~ x * z").iterations >= 5
    few = planned(lacking(x=0.3), "y ~ x * z", iterations=2)
    assert few.iterations == 2
    assert any("at least 5" in event for event in few.events)


# Traces


def test_traces_have_a_name_for_every_statistic_and_a_value_for_every_sweep():
    frame, words = asked("closed form")
    chain = mifit.impute(frame, m=2, iterations=6, **words)._record.chains[0]
    wanted = {"mean(x)", "sd(x)", "mean(y)", "sd(y)", "mean(c)", "sd(c)", "mean(later)", "sd(later)",
              "share(g = a)", "share(g = b)", "share(g = c)", "share(b = 0.0)", "share(b = 1.0)"}  # fmt: skip
    wanted |= {f"beta({name})" for name in ("Intercept", "g[T.b]", "g[T.c]", "x", "z", "x:z", "b", "c")}
    assert set(chain.traces) == wanted
    assert {len(values) for values in chain.traces.values()} == {6}
    assert all(np.isfinite(values).all() for values in chain.traces.values())
    np.testing.assert_allclose(chain.traces["mean(x)"][-1], chain.imputed["x"].mean())
    np.testing.assert_allclose(chain.traces["sd(x)"][-1], chain.imputed["x"].std(ddof=1))
    np.testing.assert_allclose(chain.traces["share(g = b)"][-1], np.mean(chain.imputed["g"] == 1))


@pytest.mark.parametrize(
    ("formula", "fit"),
    [
        ("y ~ x * z + g + I(x**2)", smf.ols),
        ("y ~ 0 + g + x:z", smf.ols),
        ("b ~ x * z + g", smf.logit),
        ("b ~ 0 + g + x:z", smf.logit),
        ("b ~ 0 + x + z", smf.logit),
    ],
)
def test_traced_coefficients_are_those_of_the_analysis_in_the_users_units(formula, fit):
    frame = mixed(n=400, share=0.0)
    frame["x"] = 40 + 3 * frame["x"]
    frame.loc[::40, "x"] = np.nan
    imp = mifit.impute(frame, formula, m=40, iterations=5, rng=11, progress=False, auxiliary="ignore")
    words = {} if fit is smf.ols else {"disp": 0}
    fits = [fit(formula, completed).fit(**words) for completed in imp]
    for name in fits[0].params.index:
        traced = np.array([chain.traces[f"beta({name})"][-1] for chain in imp._record.chains])
        estimate = np.mean([f.params[name] for f in fits])
        error = fits[0].bse[name]
        # five standard errors of a mean of 40 draws, at most eight figures: false alarm 5e-6
        assert abs(traced.mean() - estimate) < 5 * error / np.sqrt(40), name
        assert 0.6 < traced.std(ddof=1) / error < 1.5, name


# Simulations


def interaction(rng, n, level=-0.4):
    """x1 continuous, x2 binary, x1 missing given y; 40 % at the usual level."""
    x2 = (rng.random(n) < 0.5).astype(float)
    x1 = 0.5 * x2 + rng.standard_normal(n)
    y = 1 + x1 + x2 + x1 * x2 + 1.5 * rng.standard_normal(n)
    frame = pd.DataFrame({"y": y, "x1": x1, "x2": x2})
    score = (y - y.mean()) / y.std()
    frame.loc[rng.random(n) < 1 / (1 + np.exp(-level - 0.8 * score)), "x1"] = np.nan
    return frame


def follow_up(rng, n):
    """The same with a later measurement of the outcome, correlation .95."""
    frame = interaction(rng, n)
    return frame.assign(later=frame["y"] + 0.33 * frame["y"].std() * rng.standard_normal(n))


def much_missing(rng, n):
    """The same with two thirds missing."""
    return interaction(rng, n, 0.85)


def paired(make_frame, formula, name, frames, one, two, n=500):
    """Difference of a coefficient between two ways to impute the same frames: mean and standard error."""
    found = []
    for number in range(frames):
        frame = make_frame(np.random.default_rng([12, number]), n)
        with run_after_run():
            pair = [mifit.impute(change(frame), formula, m=10, rng=number, progress=False, **words).fit().params[name]
                    for change, words in (one, two)]  # fmt: skip
        found.append(pair[0] - pair[1])
    return np.mean(found), np.std(found, ddof=1) / np.sqrt(frames)


def unchanged(frame):
    return frame


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x1", "x1:x2"])
def test_five_sweeps_are_as_good_as_forty_with_one_incomplete_covariate(name):
    gap, error = paired(interaction, "y ~ x1 * x2", name, 100,
                        (unchanged, {"iterations": 5}), (unchanged, {"iterations": 40}))  # fmt: skip
    # three paired standard errors: false alarm 0.3 % each
    assert abs(gap) < 3 * error


@pytest.mark.slow
def test_the_default_sweeps_suffice_with_two_thirds_missing():
    gap, error = paired(much_missing, "y ~ x1 * x2", "x1:x2", 100, (unchanged, {}), (unchanged, {"iterations": 80}))
    # three paired standard errors: false alarm 0.3 %
    assert abs(gap) < 3 * error


def noisy(frame):
    return frame.assign(noise=np.random.default_rng(len(frame)).standard_normal(len(frame)))


@pytest.mark.slow
def test_a_follow_up_as_an_auxiliary_does_not_bend_the_interaction():
    gap, error = paired(follow_up, "y ~ x1 * x2", "x1:x2", 100, (unchanged, {}), (unchanged, {"auxiliary": "ignore"}))
    # two paired standard errors would sound a false alarm in 5 %, three in 0.3 %; 0.03 is 3 % of the truth
    assert abs(gap) < max(2 * error, 0.03)
    assert abs(gap) < 3 * error


@pytest.mark.slow
def test_noise_as_an_auxiliary_changes_nothing():
    gap, error = paired(interaction, "y ~ x1 * x2", "x1:x2", 100, (noisy, {}), (unchanged, {}))
    # three paired standard errors: false alarm 0.3 %
    assert abs(gap) < 3 * error


def test_a_run_that_fails_suggests_a_call_that_can_be_made(monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 4)), columns=list("yxza"))
    for name in "xa":
        frame.loc[rng.random(80) < 0.3, name] = np.nan

    def broken(*args, **kwargs):
        raise ValueError("no luck")

    for where, formula, do in (
        ("_record", "y ~ x*z", "df.mice.impute('y ~ x*z', congeniality='terms', m=2, rng=1)"),
        ("visit", "y ~ x*z", "df.mice.impute('y ~ x*z', congeniality='terms', m=2, rng=1)"),
        ("visit", None, "df.mice.impute(methods={'a': 'leave'}, m=2, rng=1)"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(ChainState, where, broken)
            with pytest.raises(ImputationError, match="could not be drawn \\(no luck\\)") as found:
                frame.mice.impute(formula, m=2, rng=1)
            assert found.value.do == do
        exec(do.replace("impute(", "plan("), {"df": frame})  # it is a call to paste

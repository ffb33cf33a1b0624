"""Several rows per subject: one value for all rows of an id, judged by all of them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from mifit import DataError, MifitWarning, PlanError
from mifit.frame.table import read
from mifit.imputation.plan.deductive import BUT_FOR
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.likelihood_terms import GroupedRows, GroupedTerm

COX = {"model": "phreg", "status": "ev"}
SPLIT = {**COX, "entry": "start"}


def survival(n=150, seed=0, holes=0.3):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, n))
    g = rng.integers(0, 2, n).astype(float)
    time, end = rng.exponential(np.exp(-0.6 * x - 0.5 * g)), rng.exponential(1.5, n)
    frame = pd.DataFrame({"t": np.minimum(time, end) + 0.001, "ev": (time <= end) * 1.0, "x": x, "g": g, "w": w})
    for name in ("x", "g"):
        frame.loc[rng.random(n) < holes, name] = np.nan
    return frame


def split(frame):
    """Three intervals per subject, the event in the last."""
    third = frame["t"] / 3
    parts = [
        frame.assign(start=0.0, t=third, ev=0.0),
        frame.assign(start=third, t=2 * third, ev=0.0),
        frame.assign(start=2 * third),
    ]
    return pd.concat([part.assign(subject=range(100, 100 + len(frame))) for part in parts], ignore_index=True)


def visits(n=120, k=4, seed=3, holes=0.25):
    """Long data: x, b, c, k, r belong to the subject, v to the visit."""
    rng = np.random.default_rng(seed)
    i = np.repeat(np.arange(n), k)
    x, t = rng.normal(size=n), np.tile(np.arange(k), n).astype(float)
    level = {
        "x": x, "b": rng.integers(0, 2, n), "c": rng.choice(list("abc"), n), "k": rng.poisson(2, n),
        "r": rng.integers(1, 6, n),
    }  # fmt: skip
    frame = pd.DataFrame({"who": [f"s{j}" for j in i], "t": t, "v": rng.normal(size=n * k) + x[i]})
    frame["y"] = x[i] + level["b"][i] + 0.2 * t * x[i] + rng.normal(size=n * k)
    for name, values in level.items():
        frame[name] = pd.Series(values[i]).mask((rng.random(n) < holes)[i])
    frame["v"] = frame["v"].mask(rng.random(n * k) < 0.2)
    return frame


def traces(imp):
    """Mean over the last two sweeps of each trace, one row per chain."""
    return pd.DataFrame([{k: v[-2:].mean() for k, v in chain.traces.items()} for chain in imp._record.chains])


def test_a_counting_process_split_is_the_unsplit_frame():
    """Every trace agrees in its mean over 40 chains; 7 traces at 4 standard errors: one false alarm in 2,000."""
    frame = survival()
    words = {"m": 40, "rng": 1, "iterations": 5, "auxiliary": "ignore"}
    whole = traces(frame.mice.impute("t ~ x + g + w", **COX, **words))
    pieces = traces(split(frame).mice.impute("t ~ x + g + w", **SPLIT, id="subject", **{**words, "rng": 2}))
    assert list(whole) == list(pieces)
    error = np.sqrt((whole.var() + pieces.var()) / 40)
    assert (np.abs(whole.mean() - pieces.mean()) < 4 * error).all()
    np.testing.assert_allclose(whole.std(), pieces.std(), rtol=0.6)


def test_a_normal_value_is_as_certain_as_all_its_rows_make_it():
    """Variance over 200 chains is 1/(1/tau^2 + k b^2/sigma^2); its mean over 40 subjects is good to 3 %."""
    full = visits(n=160, holes=0.0)[["who", "y", "x"]]
    frame = full.copy()
    frame["x"] = frame["x"].mask(np.repeat(np.arange(160) < 40, 4))
    imp = frame.mice.impute("y ~ x", id="who", m=200, rng=1, iterations=5)
    assert imp.plan["x"].sampler == "closed form"
    drawn = np.array([done["x"].to_numpy()[:160:4] for done in imp])
    fit = smf.ols("y ~ x", full).fit()
    tau = full["x"].to_numpy()[::4].var(ddof=1)
    expected = 1 / (1 / tau + 4 * fit.params["x"] ** 2 / fit.scale)
    assert abs(drawn.var(axis=0, ddof=1).mean() / expected - 1) < 0.15
    assert expected < 0.6 / (1 / tau + fit.params["x"] ** 2 / fit.scale)  # what a single row would leave


class Rows:
    """A judge of rows: log-density -(value - row)^2 / 2."""

    components = False

    def __init__(self, n):
        self.n = n

    def log_accept(self, at, values):
        return -0.5 * (values - at) ** 2

    def information(self, backward, mean, unit):
        return np.ones(self.n), np.arange(self.n) - mean


def test_the_rows_of_a_unit_multiply():
    unit = np.array([2, 0, 1, 2, 0, 2])
    members = GroupedRows.of(unit)
    judge = GroupedTerm(Rows(6), members)
    at, values = np.array([2, 0, 2]), np.array([0.5, -1.0, 3.0])
    direct = [sum(-0.5 * (v - row) ** 2 for row in np.flatnonzero(unit == u)) for u, v in zip(at, values, strict=True)]
    np.testing.assert_allclose(judge.log_accept(at, values), direct)
    precision, pull = judge.information(lambda x: x, np.array([1.0, 2.0, 3.0]), 1.0)
    assert precision.tolist() == [2, 1, 3]
    assert pull.tolist() == [1 + 4 - 2, 2 - 2, 0 + 3 + 5 - 9]
    assert [unit[head] for head in members.first_rows] == [0, 1, 2]


EVERY = "y ~ x*t + b + c + k + r + v"


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (EVERY, {}),
        (EVERY, {"methods": {"x": "power"}}),
        ("y ~ x*t + I(x**2) + b", {"auxiliary": "ignore"}),
        ("y ~ x", {}),  # the others are auxiliaries
        ("y ~ x", {"auxiliary": {"baseline": ["b", "c"]}}),
        (EVERY, {"congeniality": "terms"}),
        (None, {}),
    ],
)
def test_what_is_constant_within_a_subject_stays_so_in_every_set(formula, words):
    frame = visits()
    imp = frame.mice.impute(formula, id="who", m=2, rng=1, iterations=5, **words)
    for done in imp:
        for name in ("x", "b", "c", "k", "r"):
            if name in imp.plan.order:
                assert done.groupby("who")[name].nunique().max() == 1, name
                assert "one value for each who" in imp.plan[name].why
        if "v" in imp.plan.order:
            assert done.groupby("who")["v"].nunique().max() == 4
        assert (done.dtypes == frame.dtypes).all()


def test_the_id_is_neither_drawn_nor_a_predictor_nor_an_auxiliary():
    for formula in ("y ~ x", None):
        for frame in (visits(), split(survival()).rename(columns={"subject": "who", "t": "y"})):
            plan = frame.mice.plan(formula, id="who")
            assert plan["who"].why == "names the subjects"
            assert all("who" not in v.predictors for v in plan.variables)
            assert all(factor.variable != "who" for factor in plan.factors)


def test_what_one_row_of_a_subject_knows_all_know():
    frame = split(survival())
    scattered = frame.copy()
    scattered.loc[frame.index % 450 >= 150, "x"] = np.nan  # known in the first interval only
    words = {"m": 2, "rng": 1, "iterations": 5, "id": "subject", **SPLIT}
    imp, whole = (one.mice.impute("t ~ x + g", **words) for one in (scattered, frame))
    for left, right in zip(imp, whole, strict=True):
        pd.testing.assert_frame_equal(left, right)
    assert any("'x': " in event and "missing values follow from the same subject" in event for event in imp.plan.events)
    assert imp.check()["imputed"]["x"] == frame["x"].isna().sum()
    pd.testing.assert_frame_equal(imp.extend(m=1)[1], imp[1])
    plan = scattered.mice.plan("t ~ x + g", **{k: v for k, v in words.items() if k not in ("m", "rng")})
    pd.testing.assert_frame_equal(scattered.mice.impute(plan, m=2, rng=1)[1], imp[1])
    assert imp.fit().params.equals(whole.fit().params)


def test_chained_intervals_without_an_id_are_refused():
    frame = split(survival())
    said = "300 rows continue the interval of another row with the same 'subject'"
    with pytest.raises(PlanError, match=said) as caught:
        frame.mice.impute("t ~ x + g", **SPLIT)
    assert caught.value.do.endswith("id='subject')")
    text = frame.assign(subject=[f"p{s}" for s in frame["subject"]])
    with pytest.raises(PlanError, match="'subject'"):
        text.mice.impute("t ~ x + g", **SPLIT)


def test_late_entry_of_single_rows_and_complete_data_need_no_id():
    frame = survival()
    frame["start"] = frame["t"] * np.random.default_rng(5).uniform(0, 0.5, len(frame))
    frame.mice.plan("t ~ x + g", **SPLIT)
    frame["site"] = np.arange(len(frame)) % 7
    frame.mice.plan("t ~ x + g", **SPLIT)
    split(survival(holes=0.0)).mice.plan("t ~ x + g", **SPLIT)


def test_an_id_with_holes_or_of_no_column_is_refused():
    frame = visits()
    frame.loc[:2, "who"] = None
    with pytest.raises(PlanError, match="has 3 missing values") as caught:
        frame.mice.plan("y ~ x", id="who")
    names = {"df": frame.copy(), "np": np}
    exec(caught.value.do, names)
    made, known = names["df"]["who"], frame["who"].notna()
    assert made.notna().all() and (made[known] == frame["who"][known]).all()
    assert made[~known].is_unique and not set(made[~known]) & set(made[known])
    with pytest.raises(DataError, match="did you mean 'who'"):
        visits().mice.plan("y ~ x", id="whom")


def test_terms_of_single_intervals_do_not_draw_a_subject():
    with pytest.raises(PlanError, match="compatible draws do") as caught:
        split(survival()).mice.plan("t ~ x + g", **SPLIT, id="subject", congeniality="terms")
    assert "id='subject'" in caught.value.do


def test_an_auxiliary_of_the_subject_is_one_observation_however_many_rows():
    """Judged on the first row of each subject, with the mean of a complete outcome: not once for every row."""
    frame = visits().drop(columns=["v"])
    imp = frame.mice.impute("y ~ x*t", id="who", m=2, rng=1, iterations=5)
    factors = {factor.variable: factor for factor in imp.plan.factors if factor.role == "auxiliary"}
    assert {name: factor.rows for name, factor in factors.items()} == dict.fromkeys("bckr", "units")
    assert [q.formula for q in imp.plan.extra] == ["outcome ~ I(total_within(y, who) / total_within(1 + 0 * y, who))"]
    engine = Engine(read(frame), imp.plan)
    heads = np.flatnonzero(frame["t"] == 0)
    for ready in engine.factors[1:]:
        np.testing.assert_array_equal(ready.rows, heads)
    place = engine.layout.formula[1][-1]
    store = engine.new_store({n: np.nan_to_num(c.values) for n, c in read(frame).columns.items()})
    means = frame.groupby("who")["y"].transform("mean").to_numpy()
    np.testing.assert_allclose(store.X[:, place] * engine.layout.scale[place] + engine.layout.centre[place], means)


def test_more_rows_of_the_same_leave_an_auxiliary_as_certain_as_before():
    """A subject's rows repeated k times say nothing new of it: the slope of its auxiliary keeps its spread."""
    rng = np.random.default_rng(0)
    n = 300
    x = rng.normal(size=n)
    spreads = []
    for k in (1, 6):
        i = np.repeat(np.arange(n), k)
        frame = pd.DataFrame({"who": i, "t": np.tile(np.arange(k), n) * 1.0, "y": rng.normal(size=n)[i]})
        frame["x"], frame["a"] = x[i], (x + rng.normal(size=n))[i]
        frame["x"] = frame["x"].mask((np.arange(n) % 3 == 0)[i])
        imp = frame.mice.impute("y ~ x + t" if k > 1 else "y ~ x", id="who", m=40, rng=1, iterations=5)
        first = frame["t"] == 0
        slopes = [np.polyfit(done.loc[first, "a"], done.loc[first, "x"], 1)[0] for done in imp]
        spreads.append(np.std(slopes))
    # counted six times it would be pulled to where the draws barely differ; a ratio of two spreads of 40 draws
    assert 0.5 < spreads[1] / spreads[0] < 2.0


def test_totals_of_a_subject_are_those_of_survival():
    frame = split(survival())
    frame["a"] = np.tile(np.random.default_rng(1).normal(size=len(frame) // 3), 3)
    imp = frame.mice.impute("t ~ x", id="subject", m=2, rng=1, iterations=5, **SPLIT)
    formula = next(q.formula for q in imp.plan.extra if "total_within" in q.formula)
    assert formula == (
        "outcome ~ total_within(ev, subject) + total_within(nelson_aalen(t, ev, entry=start), subject)"
        " + np.log(total_within(t - start, subject))"
    )


@pytest.mark.parametrize("model", ["gee", "mixedlm"])
def test_groups_of_an_analysis_imply_which_columns_belong_to_them(model):
    frame = visits().drop(columns=["v", "b", "c", "k", "r"])
    words = {"model": model, "groups": "who"}
    imp = frame.mice.impute("y ~ x*t", **words, m=2, rng=1, iterations=3)
    stated = frame.mice.impute("y ~ x*t", **words, id="who", m=2, rng=1, iterations=3)
    for one, other in zip(imp, stated, strict=True):
        assert one.groupby("who")["x"].nunique().max() == 1
        pd.testing.assert_frame_equal(one, other)
    assert "one value for each who" in imp.plan["x"].why
    known = frame.assign(x=frame["x"].mask(np.arange(len(frame)) % 7 == 0))  # the other rows tell it
    whole = known.mice.impute("y ~ x*t", **words, m=2, rng=1, iterations=3)
    pd.testing.assert_frame_equal(whole[0], imp[0])
    frame["x"] = frame["t"].mask(np.arange(len(frame)) % 7 == 0)  # differs within
    assert frame.mice.plan("y ~ x", **words).options.id is None


def test_a_column_seen_once_in_each_group_may_be_of_rows_and_nothing_is_implied():
    frame = visits()[["who", "t", "y", "x"]]
    frame["first"] = np.where(frame["t"] == 0, frame["y"], np.nan)
    with pytest.raises(PlanError, match="'x' is constant within 'who'") as found:
        frame.mice.plan("y ~ x*t", model="mixedlm", groups="who")
    assert found.value.do == "df.mice.impute('y ~ x*t', model='mixedlm', groups='who', id='who')"
    plan = eval(found.value.do.replace("impute", "plan"), {"df": frame})
    assert plan["x"].together and "first" not in plan.order  # what one row of a group says holds for all


def constant_but_for(cells, kind="number"):
    """60 subjects of 5 rows with one value each, some cells of which are off, and the truth."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(60), 5)
    x = rng.normal(size=60)[subject] if kind == "number" else rng.choice(["p", "q"], 60)[subject].astype(object)
    frame = pd.DataFrame({"s": subject, "x": x, "y": rng.normal(size=300)})
    truth = frame["x"].copy()
    for cell in cells:
        frame.loc[cell, "x"] = frame.loc[cell, "x"] + 0.01 if kind == "number" else "qp"["pq".index(truth[cell])]
    frame.loc[np.isin(subject, rng.choice(np.arange(10, 60), 15, False)), "x"] = np.nan
    return frame, truth


@pytest.mark.parametrize("kind", ["number", "text"])
@pytest.mark.parametrize("cells", [[12], [3, 21]])
def test_cells_that_differ_from_others_of_their_id_are_named_and_the_printed_call_draws_subjects(kind, cells):
    frame, truth = constant_but_for(cells, kind)
    with pytest.warns(MifitWarning, match=f"'x' has one value for each s but for {len(cells)} of 45") as caught:
        frame.mice.impute("y ~ x", id="s", m=1, iterations=5, rng=1)
    text = str(caught[0].message)
    assert f"rows that differ: {', '.join(map(str, cells))};" in text
    *before, call = text.partition("if these are wrong: ")[2].split("\n")[0].split("; ")
    space = {"df": frame.copy(), "np": np}
    for line in before:
        exec(line, space)
    imp = eval(call, space)
    assert imp.plan["x"].together
    for one in imp:
        assert (one.groupby("s")["x"].nunique() == 1).all()
        assert (one.loc[cells, "x"] == truth[cells]).all()


def test_what_varies_in_many_ids_or_is_rare_is_no_slip():
    rng = np.random.default_rng(1)
    frame, _ = constant_but_for([])
    frame["v"] = rng.normal(size=300)
    frame["rare"] = 0.0
    frame.loc[[7, 90], "rare"] = 1.0
    some = frame["x"].copy()
    some[::7] += 0.1
    frame["some"] = some
    frame.loc[rng.random(300) < 0.1, ["v", "rare", "some"]] = np.nan
    frame.loc[[7, 90], "rare"] = 1.0
    assert not [event for event in frame.mice.plan("y ~ x + v", id="s").events if BUT_FOR in event]

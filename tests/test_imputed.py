"""The facade: what one holds after ``impute``, and what can be done with it."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.accessor import MiceAccessor
from mifit.imputation.plan.options import Arguments, Options
from mifit.imputation.plan.plan import Plan

N = 120


def study(seed=1):
    """Numbers, text and clusters; x, z, g and a have missing values, the others are complete."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, N))
    frame = pd.DataFrame(
        {
            "y": 1 + x + z + rng.normal(size=N),
            "x": x,
            "z": z,
            "g": rng.choice(list("abc"), N),
            "hyp": np.where(rng.random(N) < 1 / (1 + np.exp(-x)), "yes", "no"),
            "w": rng.uniform(1, 2, N),
            "id": np.repeat([f"c{i}" for i in range(12)], N // 12),
            "a": x + rng.normal(size=N),
        }
    )
    for name, share in (("x", 0.3), ("z", 0.1), ("g", 0.15), ("a", 0.2)):
        frame[name] = frame[name].mask(rng.random(N) < share)
    return frame


FAST = {"m": 3, "rng": 1, "iterations": 5}
LEAN = {**FAST, "auxiliary": "ignore"}


@pytest.fixture(scope="module")
def imp():
    """Sets drawn for y ~ x + z, without the other columns."""
    return study().mice.impute("y ~ x + z", **LEAN)


def same(one, other):
    """Whether two sets of imputations are the same, bit for bit."""
    return len(one) == len(other) and all(one[k].equals(other[k]) for k in range(len(one)))


# What it is


def test_it_is_a_sequence_of_frames(imp):
    assert len(imp) == imp.m == 3 and imp.iterations == 5
    frames = list(imp)
    assert [type(f) for f in frames] == [pd.DataFrame] * 3
    pd.testing.assert_frame_equal(frames[2], imp[-1])
    pd.testing.assert_frame_equal(frames[0], imp[np.int64(0)])
    assert [f.equals(g) for f, g in zip(imp[1:], frames[1:], strict=True)] == [True, True]
    assert not frames[0].equals(frames[1])


def test_its_repr_says_what_it_is(imp):
    lines = repr(imp).splitlines()
    drawn, left = (int(study()[columns].isna().sum().sum()) for columns in (["x", "z"], ["g", "a"]))
    size = "3 completed sets of 120 rows x 8 columns"
    facts = f"{drawn} missing values in 2 columns; {left} values in 2 columns still missing"
    assert lines[0] == f"ImputedSet {imp.identity}: {size}; {facts}"
    assert lines[1].split() == ["analysis", ":", "y", "~", "x", "+", "z", "(ols)"]
    assert "5 iterations" in lines[2]
    assert any(line.split()[0] == "x" and "% missing" in line and "norm" in line for line in lines[3:])
    assert f"<h4>ImputedSet {imp.identity}</h4>" in imp._repr_html_() and "y ~ x + z" in imp._repr_html_()


def test_its_repr_tells_long_names_apart():
    long = "concentration of a marker in serum, "
    imp = study().rename(columns={"x": long + "1", "z": long + "2"}).mice.impute(m=2, rng=1, iterations=1)
    assert all(f"  {long}{k}  " in repr(imp) for k in (1, 2))


def test_html_is_escaped():
    frame = study().rename(columns={"x": "<b>x</b>"})
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    assert "<b>x</b>" not in imp._repr_html_() and "&lt;b&gt;x" in imp._repr_html_()
    assert "<b>x</b>" not in imp.plan._repr_html_()


def test_the_plan_prints_a_row_for_every_column_with_holes(imp):
    made = study().mice.plan("y ~ x + z")
    text = str(made)
    for name in ("x", "z", "g", "a"):
        assert any(line.split()[:1] == [name] for line in text.splitlines())
    assert "analysis   : y ~ x + z   (ols, numeric outcome)" in text
    assert made["x"].role == "covariate" and made["g"].role == "auxiliary"
    assert "<table>" in made._repr_html_()
    with pytest.raises(KeyError):
        made["nothing"]


def test_identity_tells_sets_apart(imp):
    assert imp.identity == study().mice.impute("y ~ x + z", **LEAN).identity
    assert imp.identity != study().mice.impute("y ~ x + z", **{**LEAN, "rng": 2}).identity
    assert len(imp.identity) == 8


def test_it_survives_pickling_and_copying(imp):
    assert same(pickle.loads(pickle.dumps(imp)), imp)
    assert same(copy.deepcopy(imp), imp)
    assert pickle.loads(pickle.dumps(imp)).extend(m=1).fingerprint == imp.extend(m=1).fingerprint


def test_events_are_a_frame():
    frame = study().assign(constant=1.0, when=pd.date_range("2020", periods=N))
    events = frame.mice.impute("y ~ x + z", **FAST).events
    assert events.columns.tolist()[:4] == ["source", "event", "chains", "visits"]
    assert events.columns.tolist()[4:] == ["variable", "which", "first", "consequence"]
    said = " ".join(events["event"])
    assert "'constant' is constant" in said and "'when' holds dates or times" in said


def test_the_accessor_keeps_no_state_and_never_raises():
    odd = pd.DataFrame({"a": [1]}).set_axis(pd.MultiIndex.from_tuples([("a", "b")]), axis=1)
    assert hasattr(odd, "mice") and hasattr(pd.DataFrame(), "mice") and "mice" in dir(odd)
    assert vars(odd.mice).keys() == {"_frame"}


def test_the_typed_twins_do_the_same():
    frame = study()
    assert same(mifit.impute(frame, "y ~ x + z", **LEAN), frame.mice.impute("y ~ x + z", **LEAN))
    assert mifit.plan(frame, "y ~ x") == frame.mice.plan("y ~ x")
    pd.testing.assert_frame_equal(mifit.pattern(frame), frame.mice.pattern())


def test_impute_and_plan_take_the_same_arguments_and_so_do_the_methods():
    taken = inspect.signature(mifit.impute).parameters
    assert inspect.signature(mifit.plan).parameters == taken
    for method in (MiceAccessor.impute, MiceAccessor.plan):
        assert list(inspect.signature(method).parameters.values())[1:] == list(taken.values())[1:]
    words = [one for one in taken.values() if one.name not in ("frame", "model_keywords")]
    assert [one.name for one in words] == ["formula", *Arguments.names()]
    assert [one.default for one in words] == [getattr(Arguments(), one.name) for one in words]


def test_every_option_is_part_of_a_plan_or_of_a_run():
    of_plan = {field.name for field in dataclasses.fields(Options)}
    assert {*Arguments.names()} == of_plan | {"model", "m", "rng", "n_jobs", "progress", "checkpoint"}


def test_a_plan_in_place_of_a_formula_is_checked_against_the_frame():
    frame = study()
    made = mifit.plan(frame, "y ~ x * z")
    assert str(mifit.plan(frame, made)) == str(made)
    with pytest.raises(mifit.PlanError, match="made for"):
        mifit.plan(frame.head(50), made)


def test_a_frame_with_a_column_called_mice_is_imputed_all_the_same():
    frame = study().rename(columns={"x": "mice"})
    assert len(frame.mice.impute(m=2, rng=1, iterations=1)) == 2


# Where the randomness comes from


def test_the_same_source_gives_the_same_bits():
    draw = study().mice.impute
    base = draw("y ~ x + z", **LEAN)
    seeds = [np.int64(1), np.random.SeedSequence(1)]
    assert all(same(draw("y ~ x + z", **{**LEAN, "rng": seed}), base) for seed in seeds)
    rest = {word: value for word, value in LEAN.items() if word != "rng"}
    assert same(draw("y ~ x + z", random_state=1, **rest), base)


def test_a_generator_differs_at_its_second_use_and_both_can_be_had_again():
    def two():
        source = np.random.default_rng(5)
        return [study().mice.impute("y ~ x + z", **{**LEAN, "rng": source}) for _ in range(2)]

    first, again = two(), two()
    assert same(first[0], again[0]) and same(first[1], again[1])
    assert not same(first[0], first[1])


def test_no_source_differs_every_time_and_the_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, other = (study().mice.impute("y ~ x + z", **{**LEAN, "rng": None}) for _ in range(2))
    assert not same(one, other)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("formula", ["y ~ x + z", None], ids=["compatible", "chained"])
def test_more_sets_and_more_sweeps_are_the_bits_of_all_at_once(formula):
    frame = study()
    short = frame.mice.impute(formula, m=2, rng=1, iterations=5)
    whole = frame.mice.impute(formula, m=4, rng=1, iterations=8)
    assert same(short.extend(m=2).extend(iterations=3), whole)
    assert same(short.extend(2, iterations=3), whole)
    assert same(short, frame.mice.impute(formula, m=2, rng=1, iterations=5))
    assert len(short.extend(m=2)) == 4 and short.extend(iterations=1).iterations == 6


def test_progress_is_written_to_stderr_only(capsys):
    study().mice.impute("y ~ x + z", **LEAN, progress=True)
    out, err = capsys.readouterr()
    assert out == "" and "imputing" in err and "15/15" in err
    study().mice.impute("y ~ x + z", **LEAN, progress=False)
    study().mice.impute("y ~ x + z", **LEAN)
    assert capsys.readouterr() == ("", "")


# Options


def test_a_plan_is_run_as_it_is():
    frame = study()
    plan = frame.mice.plan("y ~ x + z", auxiliary="ignore", iterations=5)
    assert isinstance(plan, Plan) and plan == pickle.loads(pickle.dumps(plan))
    imp = frame.mice.impute(plan, m=3, rng=1)
    assert same(imp, frame.mice.impute("y ~ x + z", **LEAN)) and imp.plan == plan
    assert frame.mice.impute(plan, m=2, rng=1, iterations=7).iterations == 7
    other = frame.assign(y=frame["y"] * 2)
    assert len(other.mice.impute(plan, m=2, rng=1)) == 2


def test_a_complete_frame_gives_m_equal_sets_and_an_event():
    frame = study().dropna()
    for formula in (None, "y ~ x + z"):
        imp = frame.mice.impute(formula, m=3, rng=1)
        assert all(one.equals(frame) for one in imp)
        assert "nothing is missing: the m sets are equal" in set(imp.events["event"])
        assert len(imp.extend(m=2, iterations=4)) == 5
        res = imp.fit("y ~ x + z")
        plain = sm.OLS(frame["y"], sm.add_constant(frame[["x", "z"]])).fit()
        np.testing.assert_allclose(res.params, plain.params, rtol=1e-10)
        np.testing.assert_allclose(res.bse, plain.bse, rtol=1e-10)
        assert (res.lambda_ == 0).all() and res.congeniality.word == "exact"


def test_a_column_left_alone_keeps_its_holes_and_predicts_nothing():
    frame = study()
    for formula in (None, "y ~ x + z"):
        imp = frame.mice.impute(formula, **FAST, methods={"a": "leave"})
        pd.testing.assert_series_equal(imp[0]["a"], frame["a"])
        assert imp.plan["a"].role == "left"
        assert all("a" not in v.predictors for v in imp.plan.variables)
        assert not imp[0].drop(columns="a").isna().any().any()


def test_other_columns_are_further_outcomes_or_ignored_or_baseline():
    frame = study()
    response = frame.mice.impute("y ~ x + z", **FAST)
    assert {f.variable for f in response.plan.factors if f.role == "auxiliary"} >= {"g", "a"}
    assert not response[0].isna().any().any()
    ignored = frame.mice.impute("y ~ x + z", **LEAN)
    assert ignored[0]["a"].isna().any() and not ignored[0]["x"].isna().any()
    assert any("not imputed, missing values remain: 'g', 'a'" in event for event in ignored.events["event"])
    baseline = frame.mice.impute("y ~ x + z", **FAST, auxiliary={"baseline": ["a"]})
    assert baseline.plan["a"].role == "covariate" and "a" in baseline.plan["x"].predictors
    assert not baseline[0].isna().any().any()


def test_predictors_are_a_list_or_a_formula():
    frame = study()
    imp = frame.mice.impute(**FAST, predictors={"x": ["z", "y"], "z": "x*y", "g": "bs(y, df=4)"})
    assert imp.plan["x"].predictors == ("z", "y") and imp.plan["z"].predictors == ("x*y",)
    assert not imp[0].isna().any().any()
    joint = frame.mice.impute("y ~ x + z", **LEAN, predictors={"x": "z + I(z**2)"})
    assert joint.plan["x"].predictors == ("z + I(z**2)",)


def test_the_order_of_the_visits_is_by_holes_or_as_asked():
    frame = study()
    assert frame.mice.plan().order == ("z", "g", "a", "x")
    assert frame.mice.plan(order=["x", "g"]).order == ("x", "g", "z", "a")


def test_methods_are_names_or_objects():
    frame = study()
    by_name = frame.mice.impute(**FAST, methods={"x": "norm"})
    assert by_name.plan["x"].label == "norm" and by_name.plan["x"].why == "as asked"
    by_object = frame.mice.impute(**FAST, methods={"x": mifit.Normal()})
    assert same(by_name, by_object)


@pytest.mark.parametrize("word", ["compatible", "terms", "ignore"])
def test_every_way_of_congeniality_fills_all_holes(word):
    imp = study().mice.impute("y ~ x*z + g", **FAST, congeniality=word)
    assert imp.plan.mode == word and not imp[1].isna().any().any()
    shown = {"compatible": "compatible with", "terms": "approximate", "ignore": "ignored"}[word]
    assert shown in repr(imp)


def test_terms_of_a_nominal_column_are_its_predictors_too():
    imp = study().mice.impute("y ~ x*g", **FAST, congeniality="terms")
    assert not imp[0].isna().any().any()
    assert any("x" in shown for shown in imp.plan["g"].predictors)


def test_several_analyses_of_one_outcome_join():
    imp = study().mice.impute(["y ~ x + z", "y ~ x*g"], **LEAN)
    assert [f.role for f in imp.plan.factors] == ["analysis"]
    for formula in ("y ~ x + z", "y ~ x*g", "y ~ x*g + z"):
        assert imp.fit(formula, uncovered="raise").congeniality.word == "exact"


def test_several_analyses_of_different_outcomes_are_drawn_together():
    imp = study().mice.impute(["y ~ x + z", "hyp ~ x"], **LEAN)
    assert [q.model for q in imp.plan.questions] == ["ols", "logit"]
    assert [f.role for f in imp.plan.factors] == ["analysis", "analysis"]
    for formula in ("y ~ x + z", "hyp ~ x"):
        assert imp.fit(formula, uncovered="raise").congeniality.word == "exact"


def test_one_outcome_may_be_a_covariate_of_the_other():
    frame = study()
    frame.loc[:15, "y"] = np.nan
    imp = frame.mice.impute(["y ~ x + z", "hyp ~ x + y"], **LEAN)
    assert not imp[0][["x", "y", "z"]].isna().any().any()
    assert imp.fit("hyp ~ x + y", uncovered="raise").congeniality.word == "exact"


# Fitting


def test_fit_alone_fits_what_was_declared(imp):
    res = imp.fit()
    assert list(res.params.index) == ["Intercept", "x", "z"]
    pd.testing.assert_frame_equal(res.to_frame(), imp.fit("y ~ x + z").to_frame())
    pd.testing.assert_frame_equal(res.to_frame(), imp.fit(model="OLS").to_frame())


def test_each_result_is_what_statsmodels_gives_on_that_set(imp):
    res, kept = imp.fit(), imp.fit(keep="results")
    for k in range(3):
        direct = sm.OLS.from_formula("y ~ x + z", imp[k]).fit()
        for one in (res.results[k], kept.results[k]):
            np.testing.assert_allclose(one.params, direct.params, rtol=1e-9)
            assert list(one.params.index) == list(direct.params.index)
    estimates = np.array([r.params for r in kept.results])
    np.testing.assert_allclose(res.params, estimates.mean(axis=0), rtol=1e-12)
    assert "fitted again" in repr(res.results) and "kept" in repr(kept.results)


def test_the_summary_says_the_model_chosen_the_verdict_and_the_set(imp):
    text = imp.fit().summary().as_text()
    assert "numeric outcome" in text and imp.identity in text and "exact: as declared" in " ".join(text.split())
    logit = study().mice.impute("hyp ~ x", **LEAN).fit()
    shown = logit.summary().as_text()
    assert "P(hyp = yes)" in shown and "two-valued outcome" in shown
    assert logit.params["x"] > 0


@pytest.mark.parametrize("values", [(False, True), ("no", "yes"), (0, 1), (1, 2)], ids=str)
@pytest.mark.parametrize("model", ["logit", "glm"])
def test_the_last_level_is_modelled_whatever_the_codes(values, model):
    frame = study()
    frame["o"] = np.where(frame["hyp"] == "yes", values[1], values[0])
    words = {"family": sm.families.Binomial()} if model == "glm" else {}
    res = frame.mice.impute("o ~ x", **LEAN).fit("o ~ x", model=model, **words)
    wanted = study().mice.impute("hyp ~ x", **LEAN).fit()
    np.testing.assert_allclose(res.params, wanted.params, rtol=1e-6)
    assert res.congeniality.word == "exact"


def test_weights_and_clusters_are_columns_by_name(imp):
    weighted = imp.fit("y ~ x + z", model="wls", weights="w", uncovered="ignore")
    direct = sm.WLS.from_formula("y ~ x + z", imp[0], weights=imp[0]["w"]).fit()
    np.testing.assert_allclose(weighted.results[0].params, direct.params, rtol=1e-10)
    robust = imp.fit(cov_type="cluster", cov_kwds={"groups": "id"})
    codes = pd.factorize(imp[0]["id"])[0]
    direct = sm.OLS.from_formula("y ~ x + z", imp[0]).fit(cov_type="cluster", cov_kwds={"groups": codes})
    np.testing.assert_allclose(robust.results[0].bse, direct.bse, rtol=1e-9)
    pd.testing.assert_frame_equal(imp.fit(cov_type="cluster", groups="id").to_frame(), robust.to_frame())
    assert "cluster (id)" in robust.summary().as_text()


def test_another_model_of_the_declared_formula_needs_no_formula(imp):
    res = imp.fit(model="glm")
    np.testing.assert_allclose(res.params, imp.fit().params, rtol=1e-8)


def test_workers_fit_the_same(imp):
    pd.testing.assert_frame_equal(imp.fit(n_jobs=2).to_frame(), imp.fit().to_frame(), check_exact=True)

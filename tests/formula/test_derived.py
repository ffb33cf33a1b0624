"""Derived columns: the same bits as their expression, in step in every set, solved where they can be."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import CongenialityError, CongenialityWarning, DataError, FormulaError, PlanError
from mifit.formula.derived import solve, substitute, understand
from mifit.frame.table import read

BMI = {"bmi": "wgt / (hgt/100)**2"}
WISHES = {"m": 3, "rng": 1, "iterations": 5}


def bodies(n=200, holes=0.3):
    rng = np.random.default_rng(0)
    hgt = rng.normal(170, 9, n)
    wgt = 70 + 0.5 * (hgt - 170) + rng.normal(0, 9, n)
    bmi = wgt / (hgt / 100) ** 2
    frame = pd.DataFrame({"y": 0.3 * bmi + rng.normal(size=n), "wgt": wgt, "hgt": hgt, "z": rng.normal(size=n)})
    frame["bmi"] = bmi
    frame.loc[rng.random(n) < holes, ["wgt", "bmi"]] = np.nan
    return frame


def off(frame):
    return float((frame["bmi"] - frame["wgt"] / (frame["hgt"] / 100) ** 2).abs().max())


def test_a_derived_covariate_is_its_expression_bit_for_bit():
    frame = bodies()
    named = frame.mice.impute("y ~ bmi + z", derived=BMI, **WISHES)
    spelled = frame.drop(columns="bmi").mice.impute("y ~ I(wgt / (hgt/100)**2) + z", **WISHES)
    for left, right in zip(named, spelled, strict=True):
        assert np.array_equal(left["wgt"], right["wgt"])
    assert np.array_equal(named.fit().params.to_numpy(), spelled.fit().params.to_numpy())
    assert list(named.fit().params.index) == ["Intercept", "bmi", "z"]
    assert str(named.fit().congeniality).startswith("same mean: as declared; ")  # residuals are skewed by chance


@pytest.mark.parametrize("formula", ["y ~ bmi + z", "y ~ bmi*z", "y ~ np.log(bmi)", "y ~ bs(bmi, df=4)", None])
@pytest.mark.parametrize("congeniality", ["compatible", "terms", "ignore"])
def test_every_set_keeps_it_in_step(formula, congeniality):
    imp = bodies().mice.impute(formula, derived=BMI, congeniality=congeniality, **WISHES)
    assert len(imp) == 3
    for frame in imp:
        assert off(frame) < 1e-12
        assert not frame.isna().any().any()
    if formula and not (congeniality != "compatible" and "bs(" in formula):  # other draws may leave the knots
        assert np.isfinite(imp.fit(uncovered="ignore").params).all()


def test_more_sets_more_sweeps_a_plan_workers_and_the_long_format_keep_it_in_step():
    frame = bodies()
    imp = frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    wider = imp.extend(m=2)
    pd.testing.assert_frame_equal(wider[0], imp[0])
    planned = frame.mice.plan("y ~ bmi", derived=BMI, iterations=5)
    pd.testing.assert_frame_equal(frame.mice.impute(planned, m=3, rng=1)[2], imp[2])
    pd.testing.assert_frame_equal(frame.mice.impute("y ~ bmi", derived=BMI, n_jobs=2, **WISHES)[1], imp[1])
    stacked = imp.to_long(original=False)
    assert max(off(stacked), *map(off, wider), *map(off, imp.extend(iterations=1))) < 1e-12
    assert "derived    : bmi = wgt / (hgt/100)**2" in str(planned)
    assert "analysis   : y ~ bmi " in str(planned)


def test_a_column_the_frame_does_not_have_is_added():
    frame = bodies()
    bare = frame.drop(columns="bmi")
    imp = bare.mice.impute("y ~ bmi + z", derived=BMI, **WISHES)
    pd.testing.assert_frame_equal(imp[1], frame.mice.impute("y ~ bmi + z", derived=BMI, **WISHES)[1])
    assert "bmi" not in bare
    plan = bare.mice.plan("y ~ bmi + z", derived=BMI, iterations=5)
    pd.testing.assert_frame_equal(bare.mice.impute(plan, m=3, rng=1)[1], imp[1])
    with pytest.warns(CongenialityWarning):
        assert "bmi:z" in imp.fit("y ~ bmi*z").params


def test_an_analysis_that_was_not_foreseen_is_named_as_the_user_wrote_it():
    imp = bodies().mice.impute("y ~ bmi + z", derived=BMI, **WISHES)
    table = imp.check("y ~ bmi*z")
    assert table["verdict"].to_dict() == {"Intercept": "implied", "bmi": "implied", "z": "implied", "bmi:z": "absent"}
    assert table.loc["bmi:z", "reason"] == "the imputations never saw bmi:z"
    assert table.loc["bmi:z", "do"].startswith("imp = df.mice.impute(['y ~ bmi + z', 'y ~ bmi*z'], ")
    assert imp.check("y ~ bmi").loc["bmi", "reason"].startswith("nested in y ~ bmi + z; the error law was learned")
    with pytest.raises(CongenialityError) as caught:
        imp.fit("y ~ bmi*z", uncovered="raise")
    assert "wgt" not in caught.value.lines["reason"] + caught.value.lines["analysis"]
    with pytest.warns(CongenialityWarning, match="never saw bmi:z") as seen:
        again = imp.fit("y ~ bmi*z").imputations
    assert len(seen) == 1
    assert set(again.check("y ~ bmi*z")["verdict"]) == {"same mean"}
    assert max(map(off, again)) < 1e-12


def test_a_function_of_the_user_goes_along_to_another_scope():
    def declare():
        def index(weight, height):
            return weight / (height / 100) ** 2

        options = {"derived": {"bmi": "index(wgt, hgt)"}}
        return bodies().mice.plan("y ~ bmi", **options), bodies().mice.impute("y ~ bmi", **options, **WISHES)

    plan, imp = declare()
    assert off(bodies().mice.impute(plan, m=2, rng=1)[0]) < 1e-12
    assert imp.check("y ~ bmi*z")["verdict"]["bmi:z"] == "absent"
    with pytest.warns(CongenialityWarning):
        imp.fit("y ~ bmi*z")


def test_a_parent_is_solved_where_it_alone_is_missing():
    full = bodies(holes=0.0)
    frame = full.copy()
    frame.loc[:39, "wgt"] = np.nan
    frame.loc[60:99, "hgt"] = np.nan
    frame.loc[120:139, "bmi"] = np.nan
    imp = frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    pd.testing.assert_frame_equal(imp[2], full, rtol=1e-12)
    notes = " ".join(imp.plan.events)
    assert "'wgt': 40 missing values follow from 'bmi'" in notes
    assert "'hgt': 40 missing values follow from 'bmi'" in notes
    assert imp.plan.order == ()


def test_solved_and_drawn_parents_live_together():
    frame = bodies()
    solvable = frame.index[frame["wgt"].isna()][:20]
    given = np.linspace(22.0, 29.0, 20)
    frame.loc[solvable, "bmi"] = given
    imp = frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    assert imp.plan["wgt"].n_missing == frame["wgt"].isna().sum() - 20
    for done in imp:
        assert off(done) < 1e-12
        assert (done.loc[solvable, "bmi"] == given).all()
    assert imp.check()["imputed"]["bmi"] == frame["wgt"].isna().sum() - 20


def test_two_missing_parents_of_an_observed_derived_value_move_together(tmp_path):
    frame = bodies(holes=0.1)
    full = frame["bmi"].notna()
    both = frame.index[full][:40]
    frame.loc[both, ["wgt", "hgt"]] = np.nan
    imp = frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    assert any(event.startswith("'bmi': 40 observed values are kept: ") for event in imp.plan.events)
    assert (set(imp.check()["verdict"]), set(imp.check("y ~ z")["verdict"])) == ({"same mean"}, {"exact"})
    for done in imp:
        assert off(done) < 1e-9
        pd.testing.assert_series_equal(done["bmi"][full], frame["bmi"][full])
    imp.save(tmp_path / "bodies.mifit")
    pd.testing.assert_frame_equal(mifit.load(tmp_path / "bodies.mifit")[1], imp[1])


def test_a_parent_that_all_rows_of_an_id_share_follows_none():
    frame = bodies(holes=0.0)
    frame["who"] = np.repeat(np.arange(50), 4)
    frame["hgt"] = frame.groupby("who")["hgt"].transform("first")
    frame["bmi"] = frame["wgt"] / (frame["hgt"] / 100) ** 2
    frame.loc[frame["who"] < 10, ["wgt", "hgt"]] = np.nan
    frame.loc[60:79, "wgt"] = np.nan
    imp = frame.mice.impute("y ~ bmi", derived=BMI, id="who", auxiliary="ignore", **WISHES)
    for done in imp:
        assert off(done) < 1e-9
        assert (done.groupby("who")["hgt"].nunique() == 1).all()


def test_two_sums_that_say_the_same_of_missing_parts_are_both_kept():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    frame["total"], frame["part"] = frame.sum(axis=1), frame["a"] + frame["b"]
    frame["y"] = frame["total"] + rng.normal(size=120)
    frame.loc[:29, ["a", "b"]] = np.nan
    derived = {"total": "a + b + c", "part": "a + b"}
    done = frame.mice.impute("y ~ total", derived=derived, **WISHES)[0]
    np.testing.assert_allclose(done["a"] + done["b"] + done["c"], done["total"])
    np.testing.assert_allclose(done["a"] + done["b"], done["part"])
    frame["less"] = np.where(frame.index < 30, rng.normal(size=120), frame["a"] - frame["b"])
    with pytest.raises(PlanError, match="'part' and 'less' are both observed in 30 rows"):
        frame.mice.impute("y ~ total", derived={"part": "a + b", "less": "a - b"}, **WISHES)


@pytest.mark.parametrize("code", ["x**2", "np.abs(x)"])
def test_a_derived_value_with_several_solutions_cannot_be_kept_and_is_refused_by_name(code):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=100), "y": rng.normal(size=100)})
    frame["f"] = eval(code, {"np": np, "x": frame["x"]})
    frame.loc[:29, "x"] = np.nan
    with pytest.raises(PlanError, match="30 observed values of 'f' do not determine what is missing of x") as caught:
        frame.mice.plan("y ~ x", derived={"f": code}, auxiliary="ignore")
    less = frame.copy()
    exec(caught.value.do.replace("df", "less"), {"less": less})
    assert frame.drop(columns="f").mice.plan("y ~ x", derived={"f": code}, auxiliary="ignore")["x"].n_missing == 30


@pytest.mark.parametrize("code", ["np.floor(x)", "(x > 0) * 1", "x > 0.5"])
@pytest.mark.parametrize("formula", [None, "y ~ x"])
def test_an_observed_class_of_a_missing_value_is_kept(code, formula):
    """By rejection: a draw of another class is none."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    f = eval(code, {"np": np, "x": frame["x"]})
    frame["f"] = f
    frame.loc[:59, "x"] = np.nan
    for done in frame.mice.impute(formula, derived={"f": code}, auxiliary="ignore", methods={"x": "norm"}, **WISHES):
        np.testing.assert_array_equal(eval(code, {"np": np, "x": done["x"]}), f)


@pytest.mark.parametrize("code", ["(x > 0.5) * 1", "x > 0.5", "np.where(x > 1, 2, np.where(x > 0, 1, 0))"])
def test_a_flag_made_before_imputing_is_no_observation(code):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(size=200)})
    frame.loc[:59, "x"] = np.nan
    frame["f"] = eval(code, {"np": np, "x": frame["x"]})
    with pytest.raises(DataError, match="'f' was made before imputing: in all 60 rows") as caught:
        frame.mice.impute("y ~ x", derived={"f": code}, **WISHES)
    exec(caught.value.do, {"df": frame})
    assert frame["f"].isna().sum() == 60
    for done in frame.mice.impute("y ~ x", derived={"f": code}, **WISHES):
        np.testing.assert_array_equal(eval(code, {"np": np, "x": done["x"]}), done["f"].astype(float))


def test_where_nothing_was_rounded_one_wrong_total_is_refused_by_count_and_row():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.integers(0, 50, (200, 3)), columns=list("abc")).astype(float)
    frame["total"] = frame.sum(axis=1)
    frame.loc[7, "total"] += 1
    frame.loc[:2, "a"] = np.nan
    with pytest.raises(DataError, match=r"'total' contradicts 'a \+ b \+ c' in 1 rows of") as caught:
        frame.mice.impute(derived={"total": "a + b + c"}, **WISHES)
    assert caught.value.lines["rows"].startswith("7: ")


def test_solving_undoes_logarithms_near_the_edge_of_their_domain():
    rng = np.random.default_rng(4)
    x = rng.uniform(-0.9, 5, 100)
    frame = pd.DataFrame({"x": x, "f": np.log1p(x)})
    frame.loc[:49, "x"] = np.nan
    table = read(frame)
    known, _ = solve(understand({"f": "np.log1p(x)"}, table, {}), table)
    np.testing.assert_allclose(known["x"], x, rtol=1e-9, atol=1e-12)


def test_derived_columns_of_derived_columns_names_with_blanks_and_truth_values():
    frame = bodies().rename(columns={"wgt": "my wgt"})
    frame["obese"] = (frame["bmi"] > 24).astype("boolean").where(frame["bmi"].notna())
    options = {"bmi": "Q('my wgt') / (hgt/100)**2", "lb": "np.log(bmi)", "obese": "bmi > 24"}
    imp = frame.mice.impute("y ~ lb*z + obese", derived=options, **WISHES)
    assert imp.plan["obese"].n_missing == frame["obese"].isna().sum()  # nan > 24 is no False
    for done in imp:
        np.testing.assert_allclose(done["lb"], np.log(done["my wgt"] / (done["hgt"] / 100) ** 2))
        assert (done["obese"] == (done["bmi"] > 24)).all()
        assert done["obese"].dtype == frame["obese"].dtype
    assert list(imp.check().index) == ["Intercept", "lb", "z", "lb:z", "obese"]
    assert "obese[T.True]" in imp.fit().params


def test_sum_scores_of_rating_scales_in_whole_dtypes():
    rng = np.random.default_rng(1)
    items = [f"q{k}" for k in range(4)]
    frame = pd.DataFrame({q: np.clip(np.rint(3 + rng.normal(size=300)), 1, 5) for q in items})
    frame["total"] = frame.sum(axis=1)
    frame["y"] = frame["total"] + rng.normal(size=300)
    full = frame.copy()
    lost = rng.random(300)
    frame.loc[lost < 0.2, ["q0", "total"]] = np.nan
    frame.loc[(lost > 0.3) & (lost < 0.4), ["q0", "q2", "total"]] = np.nan
    frame.loc[lost > 0.9, "q1"] = np.nan  # solved
    frame = frame.astype(dict.fromkeys([*items, "total"], "Int64"))
    imp = frame.mice.impute("y ~ total", derived={"total": "q0 + q1 + q2 + q3"}, **WISHES)
    assert set(imp.plan.order) == {"q0", "q2"}
    for done in imp:
        assert (done[items].sum(axis=1) == done["total"]).all()
        assert (done["q1"] == full["q1"]).all()
        assert done["q0"].between(1, 5).all()
        assert (done.dtypes == frame.dtypes).all()
    assert abs(imp.fit().params["total"] - 1) < 0.15


def test_integer_parents_are_rounded_before_the_derived_column_is_made():
    frame = bodies().drop(columns="bmi")
    frame["wgt"] = frame["wgt"].round().astype("Int64")
    imp = frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    for done in imp:
        assert done["wgt"].dtype == "Int64"
        np.testing.assert_allclose(done["bmi"], done["wgt"].astype(float) / (done["hgt"] / 100) ** 2, rtol=1e-12)


def test_a_derived_value_may_be_rounded_but_not_wrong():
    frame = bodies()
    frame["bmi"] = frame["bmi"].round(1)
    frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    frame.loc[frame.index[frame["bmi"].notna()][0], "bmi"] += 1
    with pytest.raises(DataError, match="contradicts .* in 1 rows") as caught:
        frame.mice.impute("y ~ bmi", derived=BMI, **WISHES)
    assert caught.value.do.startswith("df = df.drop(columns=['bmi'])")


def test_it_predicts_neither_its_parents_nor_anything_else():
    plan = bodies().assign(w=bodies()["z"].mask(np.arange(200) < 20)).mice.plan(derived=BMI)
    for name in plan.order:
        assert "bmi" not in plan[name].predictors
    assert plan["bmi"].role == "left"
    joint = bodies().mice.plan("y ~ z", derived=BMI)
    assert "bmi" not in joint.order
    assert all(factor.variable != "bmi" for factor in joint.factors)


REFUSED = [
    ("y ~ bmi", {"methods": {"bmi": "norm"}}, PlanError, "cannot stand in methods="),
    ("y ~ bmi", {"predictors": {"bmi": ["z"]}}, PlanError, "cannot stand in predictors="),
    ("y ~ bmi", {"predictors": {"wgt": ["bmi"]}}, PlanError, "its parents do"),
    ("y ~ bmi", {"predictors": {"wgt": "bmi + z"}}, PlanError, "its parents do"),
    ("y ~ bmi", {"order": ["bmi"]}, PlanError, "cannot stand in order="),
    ("y ~ bmi", {"id": "bmi"}, PlanError, "cannot stand in id="),
    ("y ~ z", {"auxiliary": {"baseline": ["bmi"]}}, PlanError, "cannot stand in auxiliary="),
    ("bmi ~ z", {}, PlanError, "the outcome 'bmi' is derived and has"),
    ("np.log(bmi) ~ z", {}, PlanError, "the outcome 'bmi' is derived and has"),
    ("wgt ~ bmi", {}, FormulaError, "both sides"),
    ("y ~ bmi", {"derived": {"bmi": "2*wgt", "wgt": "bmi/2"}}, FormulaError, "in a circle: bmi -> wgt -> bmi"),
    ("y ~ bmi", {"derived": {"bmi": "2*bmi"}}, FormulaError, "in a circle"),
    ("y ~ bmi", {"derived": {"bmi": "wgt / hgtt"}}, FormulaError, "did you mean 'hgt'"),
    ("y ~ bmi", {"derived": {"bmi": "wgt /"}}, FormulaError, "does not parse"),
    ("y ~ bmi", {"derived": {"bmi": 3}}, FormulaError, "is text, not int"),
    ("y ~ bmi", {"derived": {"bmi": "center(wgt)"}}, FormulaError, r"depends on other rows than its own: center\(\)"),
    ("y ~ bmi", {"derived": {"bmi": "wgt - np.mean(wgt)"}}, FormulaError, "depends on other rows"),
    ("y ~ bmi", {"derived": {"bmi": "wgt * g"}}, FormulaError, "'g', which is no number"),
    ("y ~ z", {"derived": {"g": "wgt > 70"}}, FormulaError, "derived column 'g' is no number"),
    ("y ~ bmi", {"derived": "wgt"}, PlanError, "maps column names to settings"),
]


@pytest.mark.parametrize(("formula", "options", "kind", "said"), REFUSED)
def test_what_cannot_be_is_refused_with_a_call(formula, options, kind, said):
    frame = bodies().assign(g=list("ab") * 100)
    with pytest.raises(kind, match=said) as caught:
        frame.mice.impute(formula, **{"derived": BMI, **options})
    assert "(" in caught.value.do


def test_a_formula_is_substituted_piece_by_piece():
    known = understand(BMI, read(bodies()), {})
    code = "wgt / (hgt/100)**2"
    for written, spelled in [
        ("y ~ z +\n bmi", f"y ~ z +  I({code})"),
        ("y ~ z:bmi - 1", f"y ~ z:I({code}) - 1"),
        ("y ~ f(bmi, bmi=2)", f"y ~ f(({code}), bmi=2)"),
        ("y ~ Q('bmi') + Q(\"bmi\")", f"y ~ I({code}) + I({code})"),
        ("y ~ a.bmi + bmi2 + (bmi + z)**2", f"y ~ a.bmi + bmi2 + (I({code}) + z)**2"),
        ("bmi ~ z", "bmi ~ z"),
    ]:
        assert substitute(written, known) == spelled


def test_the_same_term_twice_does_no_harm():
    imp = bodies().mice.impute("y ~ bmi", derived=BMI, **WISHES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(imp.check("y ~ bmi + I(wgt / (hgt/100)**2)")["verdict"]) == {"same mean"}


def test_sets_made_elsewhere_have_no_derived_columns():
    imp = bodies().mice.impute("y ~ bmi", derived=BMI, **WISHES)
    assert set(mifit.from_long(imp.to_long()).check("y ~ bmi")["verdict"]) == {"unknown"}


def test_a_spline_has_the_knots_of_the_imputation_also_where_holes_followed():
    """The basis of the fit is learnt on all values that were not drawn, solved ones among them."""
    frame = bodies()
    lost = frame.index[frame["bmi"].notna()][:60]
    named = frame.copy()
    named.loc[lost, "bmi"] = np.nan  # its parents are there
    left, right = (
        one.mice.impute("y ~ bs(bmi, df=4)", derived=BMI, **WISHES).fit().params.to_numpy() for one in (named, frame)
    )
    np.testing.assert_allclose(left, right, rtol=1e-8)


@pytest.mark.parametrize("code", ["2 * x", "x / z", "x + z", "x * x", "x - 3 * z"])
@pytest.mark.parametrize("power", [-200, -160, -100, 0, 70, 100, 140, 200])
def test_the_units_of_the_parents_do_not_matter_or_are_named(power, code):
    """Warnings are errors here: none of numpy's reaches the user, whatever the units."""
    rng = np.random.default_rng(abs(power))
    n, unit = 80, 10.0**power
    x, z, w = rng.lognormal(size=n), rng.lognormal(size=n), rng.standard_normal(n)
    frame = pd.DataFrame({"x": x * unit, "z": z * unit, "w": w, "y": w + x + rng.standard_normal(n)})
    given = frame.assign(out=frame.eval(code)).replace([np.inf, -np.inf], np.nan)
    for name, one in (("x", frame), ("x", given), ("out", given)):
        holed = one.assign(**{name: one[name].mask(np.arange(n) % 4 == 0)})
        for formula in (None, "y ~ out + w"):
            try:
                imp = mifit.impute(holed, formula, derived={"out": code}, m=2, iterations=2, rng=1)
            except mifit.MifitError as error:
                assert power >= 70 and "squares overflow" in str(error)
                continue
            for made in imp:
                assert made["x"].notna().all()
                if "out" in made and power > -160:
                    np.testing.assert_allclose(made["out"] / unit, made.eval(code) / unit, rtol=1e-6)


def test_an_expression_beyond_all_squares_is_refused_with_one_in_other_units():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": 1e100 * rng.lognormal(size=60), "y": rng.standard_normal(60)})
    frame.loc[::5, "x"] = np.nan
    with pytest.raises(mifit.FormulaError, match=r"I\(x \*\* 2\)' has values up to") as caught:
        frame.mice.impute("y ~ I(x**2)", m=2, rng=1)
    imp = eval(caught.value.do, {"df": frame})
    assert imp[0]["x"].notna().all()

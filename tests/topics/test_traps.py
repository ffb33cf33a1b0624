"""The traps of other programs, one test for each that the code can meet by now."""

import inspect

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import CongenialityWarning, DataError, MifitError, PlanError, PoolingError
from mifit.imputation.methods import METHODS

FAST = {"m": 2, "rng": 1, "iterations": 5}


def study(n=150, seed=0):
    """x and g have missing values that depend on y; z, t and y are complete."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    frame = pd.DataFrame(
        {
            "y": 1 + x + 0.5 * z + rng.normal(size=n),
            "x": x,
            "z": z,
            "g": np.array(["lo", "mid", "hi"])[np.digitize(x + rng.normal(size=n), [-0.5, 0.5])],
            "t": rng.normal(size=n),
        }
    )
    frame["x"] = frame["x"].mask(rng.random(n) < 1 / (1 + np.exp(1 - frame["y"] / 2)))
    frame["g"] = frame["g"].mask(rng.random(n) < 0.2)
    return frame


FORMULAS = pytest.mark.parametrize("formula", [None, "y ~ x*z"], ids=["chained", "compatible"])


def complete(imp):
    """Whether no missing value is left."""
    return not any(f.isna().any().any() for f in imp)


@FORMULAS
@pytest.mark.parametrize("factor", [2.0**-40, 2.0**30])
def test_01_changing_units_rescales_the_imputations_and_nothing_else(formula, factor):
    methods = {"x": "norm"} if formula else {}
    plain = study().mice.impute(formula, **FAST, methods=methods)
    scaled = study().assign(x=lambda f: f["x"] * factor).mice.impute(formula, **FAST, methods=methods)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_array_equal(one["x"] * factor, other["x"])
        pd.testing.assert_frame_equal(one.drop(columns="x"), other.drop(columns="x"), check_exact=True)


@FORMULAS
def test_02_a_collinear_column_leaves_no_hole_and_one_readable_event(formula):
    frame = study().assign(z2=lambda f: 3 * f["z"] - 1)
    frame.loc[:10, "t"] = np.nan
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    dropped = imp.events["event"].str.contains("which depends on other predictors")
    assert dropped.any() and imp.events.loc[dropped, "event"].is_unique


def test_03_a_predictor_that_keeps_its_holes_is_refused():
    with pytest.raises(PlanError, match=r"'g' predicts 'x' but has \d+ missing values and is not imputed"):
        study().mice.plan(methods={"g": "leave"}, predictors={"x": ["g"]})
    plan = study().mice.plan(methods={"g": "leave"})
    assert all("g" not in v.predictors for v in plan.variables)


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_04_matching_takes_any_number_of_donors_and_only_observed_values(k):
    frame = study().assign(z=lambda f: f["z"].round(0))
    imp = frame.mice.impute(m=2, rng=1, iterations=2, methods={"x": mifit.PMM(k)})
    assert set(imp[0]["x"]) <= set(frame["x"].dropna())


def test_04_recipients_with_one_prediction_do_not_share_a_few_donors():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"b": np.repeat(["no", "yes"], 300), "x": rng.normal(size=600)})
    frame["x"] = frame["x"].mask(rng.random(600) < 0.4)
    drawn = frame.mice.impute(m=2, rng=1, iterations=1)[0]["x"][frame["x"].isna()]
    assert drawn.nunique() > 100


def test_05_donors_that_do_not_reach_the_recipients_are_reported():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"z": rng.normal(size=300)})
    frame["x"] = frame["z"] + 0.1 * rng.normal(size=300)
    frame["x"] = frame["x"].mask(frame["z"] > 0.5)
    events = frame.mice.impute(m=2, rng=1).events["event"]
    assert events.str.contains("outside those of all donors").any() and events.str.contains("'norm'").any()


def test_06_options_belong_to_the_method_of_one_column():
    imp = study().mice.plan(methods={"x": mifit.PMM(1)})
    frame = study().assign(t=lambda f: f["t"].mask(f.index < 20))
    plan = frame.mice.plan(methods={"x": mifit.PMM(1), "t": mifit.PMM(20)})
    assert (plan["x"].method, plan["t"].method) == (mifit.PMM(1), mifit.PMM(20))
    assert imp["x"].method == mifit.PMM(1) and METHODS["pmm"] == mifit.PMM()


@pytest.mark.parametrize("name", ["pmm", "norm", "power"])
def test_07_and_08_parameters_are_drawn_so_imputed_means_vary_as_rubin_says(name):
    # One column, 50 of 100 missing: between variance of the mean of the drawn values is s2/n_mis + s2/n_obs.
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(10, 1, 100), "z": rng.normal(size=100)})
    frame.loc[:49, "x"] = np.nan
    imp = frame.mice.impute(m=300, rng=1, iterations=1, methods={"x": name})
    means = [f["x"][:50].mean() for f in imp]
    # The variance of 300 means is within 40 % of its expectation but for a false alarm below 1e-4. Matching on a
    # predictor that says nothing overstates it: recipients whose predictions lie apart share the donors at the edge.
    most = 2.5 if name == "pmm" else 1.4
    assert 0.6 < np.var(means) / (frame["x"].var() * (1 / 50 + 1 / 50)) < most


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_09_perfect_prediction_keeps_the_draws_finite_and_sensible():
    frame = study().assign(b=lambda f: np.where(f["z"] > 0, "yes", "no"))
    truth = frame["b"].copy()
    frame.loc[::5, "b"] = None
    imp = frame.mice.impute(**FAST)
    wrong = [(f["b"] != truth).mean() for f in imp]
    assert complete(imp) and max(wrong) < 0.1


def test_10_the_order_of_levels_is_the_dtypes_and_not_the_alphabets():
    levels = pd.CategoricalDtype(["lo", "mid", "hi"], ordered=True)
    named = study().assign(g=lambda f: f["g"].astype(levels))
    coded = named.assign(g=named["g"].cat.rename_categories({"lo": "z", "mid": "y", "hi": "x"}))
    one, other = (f.mice.impute("y ~ x + g", **FAST) for f in (named, coded))
    assert named.mice.plan()["g"].kind.value == "ordinal"
    pd.testing.assert_series_equal(one[0]["g"].cat.codes, other[0]["g"].cat.codes)


def test_11_a_plan_meets_a_level_it_never_saw_by_freezing_anew():
    plan = study().mice.plan("y ~ x + g")
    other = study().assign(g=lambda f: f["g"].replace("hi", "higher"))
    assert set(other.mice.impute(plan, m=2, rng=1)[0]["g"]) == {"lo", "mid", "higher"}


def test_12_every_set_has_the_same_columns_and_reference():
    imp = study().mice.impute("y ~ x + g", **FAST)
    names = {tuple(r.params.index) for r in imp.fit().results}
    assert names == {("Intercept", "g[T.lo]", "g[T.mid]", "x")}


def test_13_a_spline_keeps_its_knots_in_every_set():
    res = study().mice.impute("y ~ bs(x, df=4) + center(z)", **FAST).fit()
    x0 = np.quantile(study()["x"].dropna(), 0.5)
    designs = [r.model.exog for r in res.results]
    observed = study()["x"].notna().to_numpy()
    np.testing.assert_array_equal(designs[0][observed], designs[1][observed])
    assert np.isfinite(x0)


def test_14_the_complete_data_degrees_of_freedom_are_the_models_own():
    res = study().mice.impute("y ~ x*z", **FAST).fit()
    assert res.fits.df_complete == 146 and (res.df <= 146).all()
    assert study().mice.impute("y ~ x*z", **FAST).fit(dfcom=np.inf).fits.df_complete == np.inf


def test_15_limits_are_numbers():
    frame = study()[["y", "z"]]
    res = frame.mice.impute("y ~ 1", m=2, rng=1).fit()
    assert np.isfinite(res.to_frame().to_numpy(dtype=float)).all()
    with pytest.raises(PoolingError, match="at least 2"):
        frame.mice.impute("y ~ z", m=1).fit()


def test_16_fmi_and_lambda_are_two_columns_and_t_has_its_own_df():
    table = study().mice.impute("y ~ x*z", m=5, rng=1).fit().to_frame()
    assert (table["fmi"] > table["lambda"]).all() and table["df"].nunique() == len(table)


def test_19_a_richer_analysis_than_the_imputations_foresaw_never_passes_in_silence():
    imp = study().mice.impute("y ~ x + z", **FAST)
    with pytest.warns(CongenialityWarning, match="x:z"):
        assert imp.fit("y ~ x*z").imputations is not imp
    marked = imp.fit("y ~ x*z", uncovered="ignore")
    assert marked.congeniality.word == "absent"


def test_20_the_outcome_informs_the_covariates():
    plan = study().mice.plan()
    assert "y" in plan["x"].predictors and "y" in plan["g"].predictors
    draws = study(n=600).mice.impute("y ~ x + z", m=2, rng=1, auxiliary="ignore")[0]
    gone = study(n=600)["x"].isna()
    assert draws["x"][gone].corr(draws["y"][gone]) > 0.4


def test_22_a_covariate_that_stands_only_inside_an_expression_is_in_the_covariates_model():
    assert study().mice.plan("y ~ x + I(z**2)")["x"].predictors == ("z",)
    assert study().mice.plan("y ~ x + np.exp(t)")["x"].predictors == ("np.exp(t)",)


def test_23_missing_outcomes_are_drawn_anew_in_every_sweep():
    frame = study()
    frame.loc[:30, "y"] = np.nan
    for formula in ("y ~ x + z", None):
        short = frame.mice.impute(formula, m=2, rng=1, iterations=5)
        longer = short.extend(iterations=1)
        fresh = (short[0]["y"][:31] != longer[0]["y"][:31]).mean()
        assert fresh == 1.0 if formula else fresh > 0.5  # a donor may be drawn twice


def test_24_and_25_a_hard_target_keeps_no_rejected_value_and_no_nan():
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"y": 30 * x**2 + 0.01 * rng.normal(size=200), "x": x})
    frame["x"] = frame["x"].mask(rng.random(200) < 0.3)
    imp = frame.mice.impute("y ~ x + I(x**2)", **FAST)
    drawn = imp[0]["x"][frame["x"].isna()]
    assert complete(imp) and np.isfinite(drawn).all()
    assert imp.plan["x"].sampler == "grid" and not imp.events["event"].str.contains("kept their value").any()
    assert 0.2 < (drawn > 0).mean() < 0.8  # both signs of x, whose squares are the same
    near = np.abs(30 * drawn**2 - frame["y"][frame["x"].isna()])
    assert np.median(near) < 3.0


def test_26_a_logarithm_never_meets_a_negative_draw():
    frame = study().assign(x=lambda f: np.exp(f["x"]))
    imp = frame.mice.impute("y ~ np.log(x) + z", **FAST)
    assert imp.plan["x"].label == "power"
    assert all((f["x"] > 0).all() for f in imp)
    assert np.isfinite(imp.fit().params).all()


def test_27_bounds_do_not_pile_mass_at_the_edge():
    frame = study(n=300)
    imp = frame.mice.impute("y ~ bs(x, df=4)", **FAST)
    drawn = imp[0]["x"][frame["x"].isna()]
    low, high = frame["x"].min(), frame["x"].max()
    assert drawn.between(low, high).all() and not drawn.isin([low, high]).any()


def test_28_weights_and_clusters_of_the_analysis_are_no_exact_match():
    imp = study().assign(w=1.0 + np.arange(150) % 3, id=np.arange(150) // 5).mice.impute("y ~ x + z", **FAST)
    assert imp.fit(cov_type="cluster", cov_kwds={"groups": "id"}).congeniality.word == "approximate"
    assert imp.fit(model="wls", weights="w", uncovered="ignore").congeniality.word == "absent"


def test_29_chains_start_from_draws_of_their_own():
    imp = study().mice.impute("y ~ x + z", m=3, rng=1, iterations=1)
    gone = study()["x"].isna()
    assert len({tuple(f["x"][gone]) for f in imp}) == 3


def test_30_nothing_is_dropped_or_recast():
    frame = study().assign(n=pd.Series(np.arange(150) % 7, dtype="Int64"), f=lambda f: f["z"] > 0)
    frame.loc[:9, "n"] = pd.NA
    frame.index = frame.index[::-1] * 2
    for completed in frame.mice.impute("y ~ x + z", **FAST):
        assert completed.index.equals(frame.index) and completed.dtypes.equals(frame.dtypes)


def test_31_a_subset_at_fit_is_refused():
    with pytest.raises(MifitError, match="subset"):
        study().mice.impute("y ~ x + z", **FAST).fit(subset="x > 0")


@FORMULAS
def test_32_the_bits_do_not_depend_on_the_number_of_workers(formula):
    one, two = (study().mice.impute(formula, m=3, rng=1, iterations=5, n_jobs=n) for n in (1, 2))
    assert one.fingerprint == two.fingerprint


def test_33_completed_sets_are_not_averaged():
    with pytest.raises(AttributeError, match=r"Estimate in each and pool: imp.fit"):
        study().mice.impute(**FAST).mean()


def test_34_an_infinite_value_and_a_mixed_column_are_errors_by_name():
    with pytest.raises(DataError, match="'z' holds infinite values"):
        study().assign(z=lambda f: f["z"].where(f.index > 0, -np.inf)).mice.impute(**FAST)
    mixed = pd.Series([1, "a", None] * 50, dtype=object)
    with pytest.raises(DataError, match="'q' mixes values of the types int, str"):
        study().assign(q=mixed).mice.impute(**FAST)


def test_36_no_formula_is_built_for_the_default_models():
    plan = study().mice.plan()
    assert plan.extra == () and all(piece.what == "main" for v in plan.variables for piece in v.pieces)
    plan = study().mice.plan("y ~ x + z")
    assert plan.extra == ()


def test_37_an_auxiliary_is_a_further_outcome_and_never_predicts_a_covariate():
    plan = study().assign(after=lambda f: f["y"] + 1).mice.plan("y ~ x + z")
    assert all(name not in plan["x"].predictors for name in ("after", "g", "t"))
    (analysis,) = [f for f in plan.factors if f.role == "analysis"]
    assert [piece.what for piece in analysis.pieces] == ["formula"]


def test_37_an_auxiliary_that_is_the_outcome_in_disguise_is_left_out_with_an_event():
    frame = study().assign(copy=lambda f: np.exp(f["y"]))
    imp = frame.mice.impute("y ~ x + z", **FAST)
    assert "'copy' (nearly) determines the outcome: not an auxiliary" in set(imp.events["event"])


def test_38_columns_of_the_keywords_belong_to_the_analysis():
    plan = study().assign(w=1.0 + np.arange(150) % 9 / 10).mice.plan("y ~ x + z", model="wls", weights="w")
    assert plan["w"].role == "left"  # no auxiliary; who is in the data may predict a covariate (statistics, not fate)
    assert all(f.variable != "w" for f in plan.factors)
    survival = study().assign(time=np.arange(1.0, 151.0), died=np.arange(150) % 2).drop(columns="y")
    plan = mifit.plan(survival, "time ~ x + z", model="phreg", status="died")
    assert not any({"time", "died"} & set(v.predictors) for v in plan.variables)
    assert all(f.variable not in ("time", "died") for f in plan.factors)


def test_39_a_new_term_of_complete_variables_is_not_covered():
    imp = study().mice.impute("y ~ x + z", **FAST)
    assert imp.fit("y ~ x + z + I(z**2)", uncovered="ignore").congeniality.word == "absent"
    assert imp.fit("y ~ x + z + t", uncovered="ignore").congeniality.word == "absent"


@FORMULAS
def test_40_integers_are_drawn_by_their_kind(formula):
    rng = np.random.default_rng(4)
    frame = study().assign(
        two=pd.Series(rng.integers(1, 3, 150), dtype="Int64"),
        rating=pd.Series(rng.integers(1, 6, 150), dtype="Int64"),
        count=pd.Series(rng.poisson(2, 150), dtype="Int64"),
        year=pd.Series(rng.integers(1950, 2020, 150), dtype="Int64"),
    )
    frame.loc[rng.random(150) < 0.2, ["two", "rating", "count", "year"]] = pd.NA
    formula = formula and "y ~ x + two + rating + count + year"
    imp = frame.mice.impute(formula, **FAST)
    assert complete(imp)
    assert [imp.plan[n].kind.value for n in ("two", "rating", "count", "year")] == [
        "binary",
        "ordinal",
        "count",
        "numeric",
    ]
    assert set(imp[0]["two"]) == {1, 2} and set(imp[0]["rating"]) <= {1, 2, 3, 4, 5} and (imp[0]["count"] >= 0).all()
    if formula:
        assert imp[0]["year"].dtype == "Int64" and not imp[0]["year"].isin(frame["year"].dropna()).all()


def test_41_a_compatible_draw_takes_at_least_five_sweeps_and_fewer_are_said():
    frame = study()[["y", "x", "z"]]
    assert frame.mice.plan("y ~ x + z").iterations >= 5
    events = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=1).events["event"]
    assert events.str.contains("compatible draws need at least 5").any()


def test_42_a_proposal_outside_the_domain_is_a_rejection():
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"x": rng.uniform(0.05, 1.0, 200)})
    frame["y"] = np.sqrt(frame["x"]) + 0.1 * rng.normal(size=200)
    frame["x"] = frame["x"].mask(rng.random(200) < 0.3)
    imp = frame.mice.impute("y ~ np.sqrt(x)", **FAST)
    assert all((f["x"] > 0).all() for f in imp) and np.isfinite(imp.fit().params).all()


def test_every_trap_that_the_code_can_meet_has_its_test():
    named = {int(part) for name in globals() if name.startswith("test_") for part in name.split("_") if part.isdigit()}
    later = {17, 18, 21, 35}  # averaged ratios, joint tests, derived columns, event times: not built, or tested there
    assert set(range(1, 43)) - named == later
    assert inspect.getdoc(inspect.getmodule(study))

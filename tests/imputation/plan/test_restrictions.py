"""Options about rows and cells: skip patterns, masks, ignored rows, groups, weights, levels taken together."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mifit
from mifit import DataError, FormulaError, MifitError, PlanError

FAST = {"m": 3, "rng": 1}


def smokers(n=400, seed=0, asked="zero"):
    """Cigarettes are asked of smokers; both have missing values."""
    rng = np.random.default_rng(seed)
    age = rng.normal(size=n)
    smoker = np.where(rng.random(n) < 0.4, "yes", "no")
    many = np.where(smoker == "yes", rng.poisson(np.exp(2 + 0.3 * age)) + 1.0, 0.0 if asked == "zero" else np.nan)
    frame = pd.DataFrame({"smoker": smoker, "cigarettes": many, "age": age})
    frame["y"] = 1 + age + 0.05 * np.nan_to_num(many) + rng.normal(size=n)
    for name in ("smoker", "cigarettes"):
        frame[name] = frame[name].mask(rng.random(n) < 0.2)
    return frame


def sites(n=240, seed=3):
    """Three sites with relations of their own."""
    rng = np.random.default_rng(seed)
    site = np.repeat(["A", "B", "C"], n // 3)[rng.permutation(n)]
    z = rng.normal(size=n)
    x = z * np.select([site == "A", site == "B"], [1.0, -1.0], 3.0) + 0.3 * rng.normal(size=n)
    frame = pd.DataFrame({"site": site, "z": z, "x": x, "y": x + z + rng.normal(size=n)})
    frame["g"] = np.array(["p", "q"])[(rng.random(n) < 0.5).astype(int)]
    frame.loc[rng.random(n) < 0.25, "x"] = np.nan
    frame.loc[rng.random(n) < 0.15, "g"] = None
    return frame.set_index(rng.permutation(n) * 2)


@pytest.mark.parametrize("option", ["smoker == 'yes'", ("smoker == 'yes'", 0)])
def test_a_skip_pattern_holds_in_every_set_also_where_its_condition_was_imputed(option):
    frame = smokers()
    imp = frame.mice.impute(conditional={"cigarettes": option}, **FAST)
    for one in imp:
        assert not one.isna().any().any()
        assert ((one["cigarettes"] > 0) == (one["smoker"] == "yes")).all()
    assert len({tuple(f["smoker"]) for f in imp}) > 1
    assert "where smoker == 'yes'" in str(imp.plan) and imp.plan.order.index("cigarettes") > imp.plan.order.index(
        "smoker"
    )


def test_a_column_that_is_not_asked_stays_missing_where_its_condition_does_not_hold():
    frame = smokers(asked="never")
    imp = frame.mice.impute(conditional={"cigarettes": "smoker == 'yes'"}, **FAST)
    for one in imp:
        assert (one["cigarettes"].isna() == (one["smoker"] == "no")).all()
        seen = frame["cigarettes"].notna()
        assert (one["smoker"][seen] == "yes").all()
        pd.testing.assert_series_equal(one["cigarettes"][seen], frame["cigarettes"][seen])
    assert all("cigarettes" not in v.predictors for v in imp.plan.variables)
    with pytest.raises(DataError, match="was not imputed"):
        imp.fit("y ~ cigarettes", uncovered="ignore")


def test_inside_its_condition_a_column_is_drawn_from_the_rows_inside_alone():
    # Normal given age within smokers, 0 elsewhere; were the zeros part of the fit, the spread would be near 6.
    rng = np.random.default_rng(1)
    frame = smokers(1500).assign(smoker=np.where(rng.random(1500) < 0.5, "yes", "no"))
    frame["cigarettes"] = np.where(frame["smoker"] == "yes", 12 + frame["age"] + rng.normal(size=1500), 0.0)
    gone = (rng.random(1500) < 0.3) & (frame["smoker"] == "yes")
    frame.loc[gone, "cigarettes"] = np.nan
    option = {"conditional": {"cigarettes": ("smoker == 'yes'", 0)}, "methods": {"cigarettes": "norm"}}
    for formula in (None, "y ~ age + cigarettes"):
        one = frame.assign(y=rng.normal(size=1500)).mice.impute(formula, **FAST, **option)[0]
        # 230 draws at drawn parameters against the law at the true ones: false alarm below 1e-3
        assert stats.kstest((one["cigarettes"] - 12 - one["age"])[gone], "norm").pvalue > 1e-3


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_a_condition_on_a_number_and_one_on_two_columns():
    frame = smokers().assign(extra=lambda f: np.where(f["age"] > 0.3, f["age"], np.nan))
    frame.loc[frame.index[:60], "age"] = np.nan
    frame.loc[frame.index[30:90], "extra"] = np.nan
    imp = frame.mice.impute(conditional={"extra": "age > 0.3"}, methods={"extra": "norm"}, **FAST)
    assert all((one["extra"].isna() == ~(one["age"] > 0.3)).all() for one in imp)
    both = frame.mice.impute(conditional={"cigarettes": ("(smoker == 'yes') & (age > -9)", 0)}, **FAST)
    assert ((both[0]["cigarettes"] > 0) == (both[0]["smoker"] == "yes")).all()


def test_a_skip_pattern_is_the_same_at_once_and_extended():
    option = {"conditional": {"cigarettes": "smoker == 'yes'"}, "rng": 1}
    for asked in ("zero", "never"):
        frame = smokers(asked=asked)
        at_once = frame.mice.impute(m=3, iterations=6, **option)
        later = frame.mice.impute(m=2, iterations=4, **option).extend(1).extend(iterations=2)
        for one, other in zip(at_once, later, strict=True):
            pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.parametrize(
    ("formula", "option", "said"),
    [
        (None, {"cigarettes": "smokr == 'yes'"}, "smokr"),
        (None, {"cigarettes": "smoker == 'maybe'"}, "holds in no row"),
        (None, {"cigarettes": "smoker =="}, "does not parse"),
        (None, {"cigarettes": "cigarettes > 3"}, "looks at 'cigarettes' itself"),
        (None, {"cigarettes": ("smoker == 'yes'", 5)}, "is to be 5"),
        (None, {"cigarettes": "age > 0"}, "values where its condition does not hold"),
        (None, {"cigarettes": "(smoker == 'yes') and (age > 0)"}, "values where its condition does not hold"),
        (None, {"cigarettes": "(smoker == 'yes') if age > 0 else (age > 1)"}, "join conditions by &"),
        (None, {"cigarettes": "smoker == 'yes'", "smoker": "cigarettes > 0"}, "circle"),
        (None, {"nope": "smoker == 'yes'"}, "not a column"),
        ("y ~ age + cigarettes", {"cigarettes": ("smoker == 'yes'", 0)}, "chained equations draw both"),
    ],
)
def test_a_condition_that_cannot_be_met_is_one_clear_error(formula, option, said):
    with pytest.raises((PlanError, DataError, FormulaError), match=said) as found:
        smokers().mice.impute(formula, conditional=option, **FAST)
    assert found.value.do


def test_cells_outside_a_mask_stay_missing_and_observed_cells_inside_are_drawn():
    frame = sites()
    where = frame.isna()
    where.iloc[:60] = False
    where.iloc[200:, where.columns.get_loc("z")] = True
    for formula in (None, "y ~ x + z"):
        imp = frame.mice.impute(formula, where=where, **FAST)
        for one in imp:
            kept = frame.isna() & ~where
            assert one.isna().equals(kept)
            left = ~where["z"]
            pd.testing.assert_series_equal(one["z"][left], frame["z"][left])
            assert (one["z"][~left] != frame["z"][~left]).all()
            pd.testing.assert_series_equal(one.dtypes, frame.dtypes)
        assert "stay missing" in " ".join(imp.events["event"])
    with pytest.raises(DataError, match="was not imputed"):
        imp.fit()


def test_overimputed_values_are_drawn_as_if_they_had_been_missing():
    frame = sites()
    where = pd.DataFrame({"x": frame["x"].isna(), "z": np.arange(240) < 30, "g": frame["g"].isna()})
    opened = frame.mask(where.reindex(columns=frame.columns, fill_value=False))
    one, other = frame.mice.impute(where=where, **FAST), opened.mice.impute(**FAST)
    pd.testing.assert_frame_equal(one[1], other[1], check_exact=True)


@pytest.mark.parametrize(
    "where",
    [np.zeros((3, 3), bool), {"nope": np.zeros(240, bool)}, {"x": np.zeros(5, bool)}, {"x": np.ones(240)},
     pd.DataFrame({"x": np.zeros(240, bool)}), {"x": np.ones(240, bool)}],
)  # fmt: skip
def test_a_mask_that_does_not_fit_is_one_clear_error(where):
    with pytest.raises(PlanError) as found:
        sites().mice.impute(where=where, **FAST)
    assert found.value.do and "where=" in str(found.value)


@pytest.mark.parametrize("formula", [None, "y ~ x + z"])
def test_ignored_rows_are_imputed_and_teach_nothing(formula):
    frame = sites()
    ignored = (frame["site"] == "C").to_numpy()
    wild = frame.assign(y=frame["y"].where(~ignored, 64 + frame["y"]), x=frame["x"].where(~ignored, -99))
    wild["x"] = wild["x"].mask(frame["x"].isna())
    option = {"auxiliary": "ignore", "methods": {"x": "norm"}}
    one, other = (f.mice.impute(formula, ignore="site == 'C'", **option, **FAST) for f in (frame, wild))
    kept = ~ignored
    for left, right in zip(one, other, strict=True):
        assert left.drop(columns="g").isna().sum().sum() == 0
        np.testing.assert_allclose(left["x"][kept], right["x"][kept], rtol=1e-7, atol=1e-8)
    masked = frame.mice.impute(formula, ignore=ignored, **option, **FAST)
    pd.testing.assert_frame_equal(masked[0], one[0], check_exact=True)


def test_donors_come_from_rows_that_are_not_ignored():
    frame = sites()
    imp = frame.mice.impute(ignore=frame["site"] != "A", **FAST)
    gone = frame["x"].isna()
    assert imp[0]["x"][gone].isin(frame["x"][(frame["site"] == "A") & ~gone]).all()


@pytest.mark.parametrize("ignore", ["site == 'Z' or", "g == 'p'", np.ones(3, bool), np.ones(240, bool), np.ones(240)])
def test_rows_that_cannot_be_ignored_are_one_clear_error(ignore):
    with pytest.raises(MifitError) as found:
        sites().mice.impute(ignore=ignore, **FAST)
    assert found.value.do


@pytest.mark.parametrize("formula", [None, "y ~ x + z", "y ~ x*z"])
def test_groups_are_imputed_as_each_of_them_alone(formula):
    frame = sites()
    together = frame.mice.impute(formula, by="site", iterations=6, **FAST)
    for position, site in enumerate("ABC"):
        rows = frame["site"] == site
        child = np.random.SeedSequence(1, spawn_key=(position,))
        alone = frame[rows].mice.impute(formula, iterations=6, m=3, rng=child)
        for one, whole in zip(alone, together, strict=True):
            pd.testing.assert_frame_equal(one, whole[rows], check_exact=True)


def test_groups_keep_their_own_relations():
    frame = sites()
    one = frame.mice.impute(by="site", methods={"x": "norm"}, **FAST)[0]  # matching would flatten lines at their ends
    gone = frame["x"].isna()
    for site, slope in (("A", 1), ("B", -1), ("C", 3)):
        rows = gone & (frame["site"] == site)
        # About 20 drawn values around a line with a residual spread of 0.3: off by 0.5 with probability below 1e-4
        assert abs(np.polyfit(one["z"][rows], one["x"][rows], 1)[0] - slope) < 0.5


@pytest.mark.parametrize("formula", [None, "y ~ x*z"])
def test_groups_extend_run_in_workers_and_fit(formula):
    frame = sites()
    at_once = frame.mice.impute(formula, by="site", m=4, rng=1, iterations=6, n_jobs=2)
    later = frame.mice.impute(formula, by="site", m=2, rng=1, iterations=4).extend(2).extend(iterations=2)
    for one, other in zip(at_once, later, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert np.isfinite(later.fit("y ~ x*z", uncovered="ignore").params).all()
    again = frame.mice.impute(at_once.plan, m=4, rng=1)
    pd.testing.assert_frame_equal(again[0], at_once[0], check_exact=True)
    assert "each group imputed separately" in str(at_once.plan) and "site = B: " in "".join(
        at_once._record.chains[0].traces
    )


@pytest.mark.parametrize(
    ("change", "by", "said"),
    [
        (lambda f: f.assign(site=f["site"].mask(np.arange(240) == 3)), "site", "1 missing values"),
        (lambda f: f.assign(site=f["site"].mask(np.arange(240) < 4, "tiny")), "site", r"tiny \(4 rows\)"),
        (lambda f: f.assign(x=f["x"].mask(f["site"] == "B")), "site", "0 observed values where site = B"),
        (lambda f: f.assign(site="A"), "site", "one group"),
        (lambda f: f, "sight", "not a column"),
    ],
)
def test_groups_that_cannot_be_imputed_are_named(change, by, said):
    with pytest.raises(MifitError, match=said) as found:
        change(sites()).mice.impute(by=by, **FAST)
    assert found.value.do


def test_frequencies_are_rows_written_out():
    rng = np.random.default_rng(5)
    frame = (
        sites().reset_index(drop=True).assign(n=lambda f: np.where(f.isna().any(axis=1), 1, rng.integers(1, 4, 240)))
    )
    wide = frame.loc[frame.index.repeat(frame["n"])].reset_index()
    option = {"predictors": {"x": ["z", "y"], "g": ["z", "x"]}, "methods": {"x": "norm"}, "m": 2, "rng": 1}
    one = frame.mice.impute(weights={"frequency": "n"}, **option)
    other = wide.mice.impute(**option, order=one.plan.order)
    rows = wide.groupby("index").head(1).index
    for left, right in zip(one, other, strict=True):
        gone = frame["x"].isna()
        np.testing.assert_allclose(left["x"][gone].mean(), right["x"][rows][gone.to_numpy()].mean(), atol=0.35)
    # Exact where it can be: the fits see the same cross-products.
    from mifit.frame.table import read
    from mifit.imputation.plan.options import Options
    from mifit.imputation.sampler.engine import Engine
    from support.made import make

    plan, table = make(read(frame), [], Options(weights={"frequency": "n"}), {})
    repeated = Engine(table, plan).repeated(None)
    np.testing.assert_array_equal(np.bincount(repeated), frame["n"])


@pytest.mark.parametrize("factor", [1.0, 7.5])
def test_survey_weights_weigh_the_fit_and_their_scale_does_not_matter(factor):
    # Two halves with opposite slopes; the weights leave one of them.
    rng = np.random.default_rng(6)
    half = np.arange(2000) < 1000
    z = rng.normal(size=2000)
    frame = pd.DataFrame({"z": z, "x": np.where(half, z, -z) + 0.1 * rng.normal(size=2000)})
    frame["b"] = np.where(rng.random(2000) < 1 / (1 + np.exp(-np.where(half, 2 * z, -2 * z))), "u", "v")
    frame["w"] = np.where(half, 1.0, 1e-4) * factor
    truth = frame["x"].copy()
    frame["x"] = frame["x"].mask(rng.random(2000) < 0.2)
    frame["b"] = frame["b"].mask(rng.random(2000) < 0.2)
    option = {"predictors": {"x": ["z"], "b": ["z"]}, "methods": {"x": "norm"}}
    one = frame.mice.impute(weights="w", **option, **FAST)[0]
    gone = frame["x"].isna()
    # Slope of 400 drawn values, spread 0.1: 1 within 0.05 but for a false alarm of 1e-6; unweighted it is 0.
    assert abs(np.polyfit(z[gone], one["x"][gone], 1)[0] - 1) < 0.05
    drawn = frame["b"].isna()
    assert np.corrcoef(z[drawn], one["b"][drawn] == "u")[0, 1] > 0.4
    assert truth.notna().all()


def test_a_weighted_logistic_fit_is_that_of_statsmodels():
    import statsmodels.api as sm

    from mifit.frame.kinds import Kind
    from mifit.imputation.contract import Visit
    from mifit.imputation.methods.logistic import Logistic
    from mifit.imputation.methods.multinomial import Multinomial

    rng = np.random.default_rng(7)
    X = np.column_stack([np.ones(300), rng.normal(size=(300, 2))])
    y = (rng.random(300) < 1 / (1 + np.exp(-X[:, 1]))).astype(float)
    w = rng.uniform(0.2, 3, 300)
    truth = sm.GLM(y, X, family=sm.families.Binomial(), freq_weights=w).fit().params
    visit = Visit(y, X, np.arange(3), Kind.BINARY, n_levels=2, weights=w)
    for method in (Logistic(), Multinomial()):
        np.testing.assert_allclose(method.fit(visit, rng).warm[0], truth, rtol=1e-6)


@pytest.mark.parametrize("link", ["logit", "probit"])
@pytest.mark.parametrize("separated", [False, True])
def test_a_weighted_ordinal_fit_is_that_of_rows_written_out(link, separated):
    from mifit.frame.kinds import Kind
    from mifit.imputation.contract import Visit
    from mifit.imputation.methods.ordinal import Ordinal

    rng = np.random.default_rng(8)
    x = rng.normal(size=200)
    y = np.digitize(x + (0.0 if separated else 1.0) * rng.logistic(size=200), [-0.7, 0.4]).astype(float)
    many = rng.integers(1, 4, 200)
    X = np.column_stack([np.ones(200), x])
    weighed = Visit(y, X, np.arange(2), Kind.ORDINAL, n_levels=3, weights=many.astype(float))
    written = Visit(y.repeat(many), X.repeat(many, axis=0), np.arange(2), Kind.ORDINAL, n_levels=3)
    found, truth = (Ordinal(link).fit(visit, rng).warm for visit in (weighed, written))
    assert found[3] == truth[3] == separated
    # Augmentation rows lie at half a standard deviation of the rows, which repetition moves a little.
    np.testing.assert_allclose(found[0], truth[0], rtol=0.1 if separated else 1e-5)


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_survey_weights_reach_ordered_levels_and_are_refused_by_a_penalty():
    frame = sites().assign(w=np.linspace(0.5, 2, 240), o=lambda f: pd.cut(f["z"], 3, labels=list("abc")))
    frame["o"] = frame["o"].mask(np.arange(240) % 5 == 0)
    for one in frame.mice.impute(weights="w", **FAST):
        assert one["o"].notna().all() and one["o"].dtype == frame["o"].dtype
    with pytest.raises(PlanError, match="Firth's penalty of 'g' takes no weights"):
        frame.mice.impute(weights="w", methods={"g": mifit.Logistic(firth=True)}, **FAST)


@pytest.mark.parametrize(
    ("formula", "option", "said"),
    [
        ("y ~ x + z", "w", "model='wls', weights='w'"),
        ("y ~ x + z", {"frequency": "n"}, "freq_weights='n'"),
        (None, "nope", "not a column"),
        (None, "x", "missing values"),
        (None, "z", "above 0"),
        (None, {"frequency": "w"}, "whole numbers"),
        (None, {"often": "w"}, "frequency"),
        (None, {"frequency": "n"}, "stand for several"),
    ],
)
def test_weights_that_cannot_be_are_one_clear_error(formula, option, said):
    frame = sites().assign(w=np.linspace(0.5, 2, 240), n=2)
    with pytest.raises(MifitError) as found:
        frame.mice.impute(formula, weights=option, **FAST)
    assert said in str(found.value)


def test_weights_of_a_weighted_analysis_stay_its_own():
    frame = sites().assign(w=np.linspace(0.5, 2, 240))
    plan = frame.mice.plan("y ~ x + z", model="wls", weights="w")
    assert plan.questions[0].keywords == {"weights": "w"} and plan.options.weights is None


def diets(n=600, seed=8):
    """Diets of which two are rare."""
    rng = np.random.default_rng(seed)
    diet = np.array(["meat", "fish", "vegan", "raw"])[rng.choice(4, n, p=[0.55, 0.35, 0.07, 0.03])]
    frame = pd.DataFrame({"diet": diet, "z": rng.normal(size=n) + (diet == "fish"), "y": rng.normal(size=n)})
    frame["diet"] = (
        frame["diet"].mask(rng.random(n) < 0.3).astype(pd.CategoricalDtype(["raw", "vegan", "fish", "meat", "never"]))
    )
    frame.loc[:20, "z"] = np.nan
    return frame


@pytest.mark.parametrize("formula", [None, "y ~ z"])
@pytest.mark.parametrize("option", [{"collapse": {"diet": {"other": ["vegan", "raw"]}}}, {"min_count": 60}])
def test_levels_drawn_together_come_back_apart_by_their_observed_shares(formula, option):
    frame = diets()
    imp = frame.mice.impute(formula, m=40, rng=1, iterations=5, **option)
    gone = frame["diet"].isna()
    drawn = pd.concat([f["diet"][gone] for f in imp])
    seen = frame["diet"].value_counts()
    rare = drawn[drawn.isin(["vegan", "raw"])]
    assert imp[0]["diet"].dtype == frame["diet"].dtype and not drawn.isna().any() and "never" not in set(drawn)
    share = seen["raw"] / (seen["raw"] + seen["vegan"])
    assert stats.binomtest(int((rare == "raw").sum()), len(rare), share).pvalue > 1e-4  # false alarm 1e-4
    assert "are drawn together as 'other'" in " ".join(imp.events["event"])
    assert imp.plan["diet"].why == "3 levels" or formula


def test_levels_told_apart_do_not_depend_on_how_the_sets_came_about():
    frame, option = diets(), {"collapse": {"diet": {"other": ["vegan", "raw"]}}, "rng": 1}
    at_once = frame.mice.impute(m=4, iterations=6, **option)
    later = frame.mice.impute(m=2, iterations=4, **option).extend(2).extend(iterations=2)
    for one, other in zip(at_once, later, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    again = frame.mice.impute(at_once.plan, m=4, rng=1)
    pd.testing.assert_frame_equal(again[0], at_once[0], check_exact=True)
    assert np.isfinite(at_once.fit("y ~ diet", uncovered="ignore").params).all()


@pytest.mark.parametrize(
    ("formula", "option", "said"),
    [
        (None, {"diet": {"other": ["vegn"]}}, "did you mean 'vegan'"),
        (None, {"diet": {"meat": ["vegan", "raw"]}}, "is a level of 'diet' already"),
        (None, {"diet": {"a": ["vegan"], "b": ["vegan"]}}, "twice"),
        (None, {"diet": ["vegan"]}, "maps a new level"),
        (None, {"z": {"a": [1]}}, "no levels"),
        (None, {"diet": {"all": ["raw", "vegan", "fish", "meat"]}}, "one level"),
        ("y ~ diet", {"diet": {"other": ["vegan", "raw"]}}, "distinguishes the levels"),
    ],
)
def test_levels_that_cannot_be_taken_together_are_one_clear_error(formula, option, said):
    with pytest.raises(PlanError, match=said) as found:
        diets().mice.impute(formula, collapse=option, **FAST)
    assert found.value.do


@pytest.mark.parametrize("option", [{"collapse": {"diet": {"other": ["vegan", "raw", "fish"]}}}, {"min_count": 60}])
def test_a_set_with_levels_taken_together_comes_back_from_its_file(option, tmp_path):
    imp = diets().mice.impute(**option, **FAST)
    imp.save(tmp_path / "diets.mifit")
    again = mifit.load(tmp_path / "diets.mifit")
    assert again.fingerprint == imp.fingerprint
    assert again.extend(1).fingerprint == imp.extend(1).fingerprint


KINDS = {
    "levels in order": ("g", ["hi", "mid", "lo"], "ordinal"),
    "codes without order": ("code", "nominal", "nominal"),
    "codes with order": ("code", "ordinal", "ordinal"),
    "codes in another order": ("code", [7, 5, 6, 9], "ordinal"),
    "a count as a number": ("count", "numeric", "numeric"),
    "a number as a count": ("big", "count", "count"),
    "two values as a number": ("two", "numeric", "numeric"),
    "text of two values": ("flag", "binary", "binary"),
}


def kinds(n=200, seed=9):
    """Columns whose kind a dtype does not tell, all with missing values."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "g": np.array(["lo", "mid", "hi"])[rng.integers(0, 3, n)],
            "code": np.array([5, 6, 7, 9])[rng.integers(0, 4, n)],
            "count": rng.poisson(3, n),
            "big": rng.poisson(300, n),
            "two": rng.integers(1, 3, n),
            "flag": np.array(["j", "n"])[rng.integers(0, 2, n)],
        }
    )
    frame = frame.astype(dict.fromkeys(("code", "count", "big", "two"), "Int64"))
    frame = frame.mask(pd.DataFrame(rng.random(frame.shape) < 0.15, columns=frame.columns))
    return frame.assign(y=rng.normal(size=n), z=rng.normal(size=n))


@pytest.mark.parametrize("formula", [None, "y ~ z"])
@pytest.mark.parametrize("case", KINDS)
def test_a_kind_that_is_said_is_the_kind_that_is_drawn(case, formula):
    name, option, kind = KINDS[case]
    frame = kinds()
    imp = frame.mice.impute(formula, kinds={name: option}, m=2, rng=1, iterations=5)
    assert imp.plan[name].kind.value == kind
    one = imp[1]
    pd.testing.assert_series_equal(one.dtypes, frame.dtypes)
    seen = frame[name].notna()
    pd.testing.assert_series_equal(one[name][seen], frame[name][seen])
    assert not one.isna().any().any()
    if kind not in ("numeric", "count"):
        assert set(one[name]) <= set(frame[name].dropna())


def test_the_order_that_is_said_is_the_order_of_the_dtype():
    frame = kinds().assign(g=lambda f: f["g"].astype(object))
    ordered = frame.assign(g=frame["g"].astype(pd.CategoricalDtype(["hi", "lo", "mid"], ordered=True)))
    one, other = frame.mice.impute(kinds={"g": ["hi", "lo", "mid"]}, **FAST), ordered.mice.impute(**FAST)
    assert (one[1]["g"] == other[1]["g"].astype(object)).all()


def test_codes_without_order_enter_the_analysis_as_levels():
    imp = kinds().mice.impute("y ~ code + z", kinds={"code": "nominal"}, m=2, rng=1)
    assert [n for n in imp.fit().params.index if n.startswith("code")] == ["code[T.6]", "code[T.7]", "code[T.9]"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"g": "ordinal"}, "order of the levels"),
        ({"g": "nominl"}, "did you mean 'nominal'"),
        ({"g": ["lo", "mid"]}, "the level 'hi' of 'g' is not in"),
        ({"g": ["lo", "mid", "hi", "hi"]}, "repeats"),
        ({"g": "numeric"}, "it cannot be numeric"),
        ({"z": "count"}, "no counts"),
        ({"code": "binary"}, "has 4 values"),
        ({"nope": "nominal"}, "not a column"),
        ({"g": 3}, "wants the kind"),
    ],
)
def test_a_kind_that_cannot_be_is_one_clear_error(option, said):
    with pytest.raises(PlanError, match=said) as found:
        kinds().mice.impute(kinds=option, **FAST)
    assert found.value.do


def test_every_word_about_rows_and_cells_is_in_both_signatures():
    import inspect

    words = {
        "kinds",
        "bounds",
        "censored",
        "truncated",
        "conditional",
        "where",
        "ignore",
        "by",
        "weights",
        "collapse",
        "min_count",
    }
    assert words <= set(inspect.signature(mifit.impute).parameters) & set(inspect.signature(mifit.plan).parameters)


LEFT_OPEN = ("mask", "compatible mask", "mask within groups", "skip pattern", "skip pattern, two index levels")


def left_open(case):
    """Imputations that leave cells missing."""
    if "mask" in case:
        frame = sites()
        options = {"where": {"x": np.arange(len(frame)) % 3 == 0}, **({"by": "site"} if "groups" in case else {})}
        return frame.mice.impute("y ~ x + z" if case == "compatible mask" else None, **options, **FAST)
    frame = smokers(asked="never")
    if "two" in case:
        frame.index = pd.MultiIndex.from_arrays([np.arange(len(frame)) // 2, np.arange(len(frame)) % 2])
    return frame.mice.impute(conditional={"cigarettes": "smoker == 'yes'"}, methods={"cigarettes": "pmm"}, **FAST)


def same_sets(one, other):
    """Assert that completed sets are equal to the bit."""
    for left, right in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


@pytest.mark.parametrize("case", LEFT_OPEN)
def test_cells_that_stay_missing_stay_so_in_a_file_and_after_it(case, tmp_path):
    imp = left_open(case)
    imp.save(tmp_path / "study.mifit")
    back = mifit.load(tmp_path / "study.mifit")
    same_sets(imp, back)
    same_sets(imp.extend(m=1), back.extend(m=1))
    assert repr(back) == repr(imp)


@pytest.mark.parametrize("case", LEFT_OPEN)
def test_cells_that_stay_missing_are_neither_drawn_nor_explained(case):
    pytest.importorskip("matplotlib")
    imp = left_open(case)
    name = "x" if "mask" in case else "cigarettes"
    missing = imp._record.table.given[name].missing
    there = np.array([one[name].iloc[missing].notna() for one in imp])
    filled, never = missing[there.all(axis=0)], missing[~there.any(axis=0)]
    explained = imp.explain(int(filled[0]), name, position=True)
    assert [*explained.values] == [one[name].iloc[filled[0]] for one in imp] and name in str(explained)
    with pytest.raises(DataError, match="stays missing"):
        imp.explain(int(never[0]), name, position=True)
    shown = imp.plot.data("density", name)
    assert [int((shown["set"] == k).sum()) for k in range(imp.m)] == there.sum(axis=1).tolist()
    assert imp._record.completed.filled[name] == int(there.any(axis=0).sum())
    imp.plot.density()
    imp.plot.strip()

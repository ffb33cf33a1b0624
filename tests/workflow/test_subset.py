"""Rows of an analysis: queries, masks, imputed outcomes left out; what of it the imputations foresaw."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit.errors import CongenialityError, CongenialityWarning, DataError, ModelError
from mifit.formula.query import as_factor, crossed, named_in, widened_by


def frame(n=300, seed=1, slope=1.0):
    """y depends on x, twice as much where g is a (more with ``slope``); x alone is incomplete."""
    rng = np.random.default_rng(seed)
    d = pd.DataFrame({"g": pd.Categorical(rng.choice(list("abc"), n)), "x": rng.normal(size=n)})
    d["age"], d["sys bp"], d["w"] = rng.uniform(20, 80, n), rng.normal(120, 10, n), rng.uniform(0.5, 2, n)
    d["id"], d["s"] = np.arange(n) // 5, rng.random(n) < 0.5
    d["y"] = 1 + d["x"] * (1 + slope * (d["g"] == "a")) + 0.02 * d["age"] + rng.normal(size=n)
    d.loc[rng.random(n) < 0.3, "x"] = np.nan
    return d


def by_hand(imp, formula, choose, m=4):
    """The same analysis of chosen rows, set by set, by statsmodels itself."""
    return mifit.pool([smf.ols(formula, choose(imp[k])).fit() for k in range(m)])


@pytest.fixture(scope="module")
def interacted():
    return frame().mice.impute("y ~ x*g", m=4, rng=1, auxiliary="ignore")


@pytest.fixture(scope="module")
def additive():
    return frame().mice.impute("y ~ x + g", m=4, rng=1, auxiliary="ignore")


def test_a_query_is_read_on_each_completed_set(interacted):
    res = interacted.fit("y ~ x", subset="g == 'a'")
    hand = by_hand(interacted, "y ~ x", lambda d: d.query("g == 'a'"))
    np.testing.assert_allclose(res.to_frame(), hand.to_frame(), rtol=1e-9)
    assert res.nobs == (frame()["g"] == "a").sum() and res.dfcom == res.nobs - 2
    assert "g == 'a'" in str(res.summary())


def test_rows_chosen_by_an_imputed_value_may_vary_only_when_allowed(interacted):
    counts = [int((one["x"] > 0).sum()) for one in interacted]
    said = f"{min(counts)} to {max(counts)} rows"
    with pytest.raises(DataError, match=said) as caught:
        interacted.fit("y ~ age", subset="x > 0", uncovered="ignore")
    assert caught.value.lines["rows by set"] == ", ".join(f"{k}: {n}" for k, n in enumerate(counts))
    res = interacted.fit("y ~ age", subset="x > 0", varying_n=True, uncovered="ignore")
    hand = by_hand(interacted, "y ~ age", lambda d: d.query("x > 0"))
    np.testing.assert_allclose(res.params, hand.params, rtol=1e-9)
    np.testing.assert_allclose(res.bse, hand.bse, rtol=1e-9)
    assert res.nobs == min(counts) and said in str(res.summary())
    with pytest.raises(ModelError, match="rows of the subset differ"):
        res.predict()
    assert len(res.predict(frame().head(3))) == 3


@pytest.mark.parametrize(
    ("declared", "asked", "query", "word"),
    [
        ("y ~ x*g", "y ~ x", "g == 'a'", "implied"),
        ("y ~ x*g", "y ~ x", "g in ['a', 'b']", "implied"),
        ("y ~ x*g", "y ~ x*g", "g != 'a'", "implied"),
        ("y ~ 0 + g + x:g", "y ~ x", "g == 'b'", "implied"),
        ("y ~ x + g", "y ~ x", "g == 'a'", "absent"),
        ("y ~ x*g", "y ~ x", "age > 50", "absent"),
        ("y ~ x*age", "y ~ x", "age > 50", "implied"),
        ("y ~ x + age", "y ~ x", "age > 50", "absent"),
        ("y ~ x*age", "y ~ x", "age > 50 and g == 'a'", "absent"),
        ("y ~ x*age*g", "y ~ x", "age > 50 and g == 'a'", "implied"),
        ("y ~ x + g", "y ~ g", "age > 50", "exact"),
        ("y ~ x + g", "y ~ x + g", "age > 0", "exact"),
        ("y ~ x*s", "y ~ x", "s", "implied"),
        ("y ~ x*s", "y ~ x", "not s", "implied"),
        ("y ~ x + s", "y ~ x", "s", "absent"),
    ],
)
def test_a_subset_is_covered_iff_every_term_interacts_with_its_variables(declared, asked, query, word):
    imp = frame().mice.impute(declared, m=2, rng=1, iterations=5, auxiliary="ignore")
    table = imp.check(asked, subset=query)
    verdicts = set(table["verdict"])
    assert (word in verdicts) if word == "absent" else verdicts == {word}
    if word == "absent":
        assert table.loc["x", "verdict"] == "absent" and table.loc["x", "do"].startswith("imp = df.mice.impute(")


def test_a_rare_subset_is_not_taken_for_a_covered_one():
    d = frame(n=2000)
    d["rare"] = np.arange(2000) % 400 == 0
    imp = d.mice.impute("y ~ x + age", m=2, rng=1, iterations=5, auxiliary="ignore")
    assert imp.check("y ~ age", subset="rare and x == x")["verdict"].eq("absent").any()


def test_an_uncovered_subset_is_imputed_again_with_terms_that_may_differ_there(additive):
    with pytest.warns(CongenialityWarning, match=r"never let x differ by g == 'a'.*I\(g == 'a'\)"):
        res = additive.fit("y ~ x", subset="g == 'a'")
    assert str(res.congeniality) == "implied: imputed again for it"
    with pytest.raises(CongenialityError, match="not foreseen"):
        additive.fit("y ~ x", subset="g == 'a'", uncovered="raise")
    assert additive.fit("y ~ x", subset="g == 'a'", uncovered="ignore").congeniality.word == "absent"


def test_imputing_again_frees_the_slope_of_the_subset():
    """Slopes 3 in a and 1 elsewhere: common imputations pull that of a down; se about 0.035, false alarms < 1e-4."""
    imp = frame(n=4000, slope=2.0).mice.impute("y ~ x + g + age", m=5, rng=2, auxiliary="ignore")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CongenialityWarning)
        again = imp.fit("y ~ x + age", subset="g == 'a'")
    kept = imp.fit("y ~ x + age", subset="g == 'a'", uncovered="ignore")
    assert abs(again.params["x"] - 3) < 0.16 and kept.params["x"] < 2.8


def test_a_mask_is_taken_as_it_is_and_foreseen_only_where_nothing_was_imputed(interacted):
    d = frame()
    res = interacted.fit("y ~ x*g", subset=d["x"].notna())
    assert str(res.congeniality) == "exact: no imputed value is used"
    np.testing.assert_allclose(res.params, smf.ols("y ~ x*g", d.dropna()).fit().params)
    with pytest.raises(CongenialityError, match="no condition describes those rows"):
        interacted.fit("y ~ x*g", subset=(d["age"] > 50).to_numpy())
    masked = interacted.fit("y ~ x*g", subset=(d["age"] > 50).tolist(), uncovered="ignore")
    queried = interacted.fit("y ~ x*g", subset="age > 50", uncovered="ignore")
    np.testing.assert_array_equal(masked.params, queried.params)


@pytest.mark.parametrize(
    ("subset", "said"),
    [
        ("agee > 50", "cannot be evaluated"),
        ("age + 50", "not True or False"),
        ("age > 500", "no row of completed set 0"),
        ([True, False], "2 values; one truth value for each of 300 rows"),
        (pd.Series(True, index=np.arange(300) + 1), "other row labels"),
        (7, "a int"),
    ],
)
def test_a_subset_that_cannot_be_is_refused(interacted, subset, said):
    with pytest.raises(DataError, match=said):
        interacted.fit("y ~ x", subset=subset)


def test_odd_names_outside_values_and_odd_indices_work_in_a_query():
    d = frame().rename(columns={"age": "class"}).set_index(pd.Index([7] * 300))
    imp = d.mice.impute("y ~ x * Q('sys bp') * Q('class')", m=2, rng=1, iterations=5, auxiliary="ignore")
    limit = 110
    res = imp.fit("y ~ x", subset="`sys bp` > @limit and `class` < 70")
    assert res.congeniality.word == "implied"
    assert res.nobs == ((d["sys bp"] > limit) & (d["class"] < 70)).sum()


def test_weights_and_clusters_follow_the_rows(interacted):
    d = frame()
    rows = d["g"] == "a"
    res = interacted.fit("y ~ x", "wls", weights="w", subset="g == 'a'", uncovered="ignore")
    hand = mifit.pool([smf.wls("y ~ x", one[rows], weights=d["w"][rows]).fit() for one in interacted])
    np.testing.assert_allclose(res.bse, hand.bse, rtol=1e-9)
    array = interacted.fit(
        "y ~ x", "wls", weights=(d["w"] ** 2 + d["s"]).to_numpy(), subset="g == 'a'", uncovered="ignore"
    )
    hand = mifit.pool([smf.wls("y ~ x", one[rows], weights=(d["w"] ** 2 + d["s"])[rows]).fit() for one in interacted])
    np.testing.assert_allclose(array.bse, hand.bse, rtol=1e-9)
    clustered = interacted.fit("y ~ x", cov_type="cluster", groups="id", subset="g == 'a'")
    hand = [
        smf.ols("y ~ x", one[rows]).fit(cov_type="cluster", cov_kwds={"groups": d["id"][rows]}) for one in interacted
    ]
    np.testing.assert_allclose(clustered.bse, mifit.pool(hand).bse, rtol=1e-9)
    assert clustered.dfcom == d["id"][rows].nunique() - 1


@pytest.mark.parametrize("method", ["D1", "D2", "D3", "D4"])
def test_models_are_compared_on_the_same_rows(interacted, method):
    res = interacted.fit("y ~ x + age", subset="x > 0", varying_n=True, uncovered="ignore")
    named = interacted.fit("y ~ age", subset="x > 0", varying_n=True, uncovered="ignore")
    assert res.compare("y ~ age", method) == res.compare(named, method)
    with pytest.raises(ModelError, match="different rows"):
        res.compare(interacted.fit("y ~ age"), method)


def test_results_of_a_subset_survive_a_pickle(interacted):
    res = interacted.fit("y ~ x", subset="g == 'a'")
    again = pickle.loads(pickle.dumps(res))
    np.testing.assert_array_equal(again.results[1].params, res.results[1].params)
    pd.testing.assert_series_equal(again.predict(), res.predict())
    assert res.predict().index.equals(frame().index[frame()["g"] == "a"])
    assert np.isfinite(res.marginal_effects().to_numpy(dtype=float)).all()


# von Hippel's MID


def incomplete_outcome():
    d = frame()[["y", "x", "g", "age"]]
    return d.assign(y=d["y"].where(np.random.default_rng(3).random(300) > 0.3))


def test_rows_with_an_imputed_outcome_are_left_out_of_each_fit():
    d = incomplete_outcome()
    imp = d.mice.impute("y ~ x + g", m=4, rng=1, auxiliary="ignore")
    res = imp.fit(drop_imputed_outcome=True)
    hand = by_hand(imp, "y ~ x + g", lambda one: one[d["y"].notna()])
    np.testing.assert_allclose(res.params, hand.params, rtol=1e-9)
    np.testing.assert_allclose(res.bse, hand.bse, rtol=1e-9)
    missing = int(d["y"].isna().sum())
    assert res.nobs == 300 - missing and f"{missing} rows with an imputed outcome" in str(res.summary())
    assert res.congeniality.word == "exact"


@pytest.mark.parametrize("words", [{}, {"auxiliary": {"baseline": ["age"]}}, {"congeniality": "terms"}])
def test_imputed_outcomes_that_an_auxiliary_informs_are_worth_keeping(words):
    imp = incomplete_outcome().mice.impute("y ~ x + g", m=2, rng=1, iterations=5, **words)
    with pytest.raises(CongenialityError, match="'age' predicts the imputed values of 'y'"):
        imp.fit(drop_imputed_outcome=True)
    assert imp.fit("y ~ x + g + age", drop_imputed_outcome=True, uncovered="ignore").nobs < 300


def test_an_undeclared_set_whose_other_columns_predict_the_outcome_keeps_its_rows():
    imp = incomplete_outcome().mice.impute(m=2, rng=1, iterations=5)
    with pytest.raises(CongenialityError, match="'age' predicts"):
        imp.fit("y ~ x + g", drop_imputed_outcome=True)


def test_a_complete_outcome_leaves_no_row_out(interacted):
    assert interacted.fit(drop_imputed_outcome=True).nobs == 300


# Queries as formulas


@pytest.mark.parametrize(
    ("query", "factor"),
    [
        ("age > 50", "I(age > 50)"),
        ("20 < age <= 50", "I((20 < age) & (age <= 50))"),
        ("g == 'a' or not s", "I((g == 'a') | ((s == True) == False))"),
        ("g not in ['a', 'b']", "I(((g == 'a') | (g == 'b')) == False)"),
        ("(age > 1) & (g == 'a')", "I((age > 1) & (g == 'a'))"),
        ("`sys bp` * 2 > @k", "I(Q('sys bp') * 2 > 3)"),
        ("g < 'b'", None),
        ("g.str.startswith('a')", None),
        ("index > 3", None),
        ("age >", None),
    ],
)
def test_a_query_becomes_a_factor_or_says_it_cannot(query, factor):
    assert as_factor(query, ["age", "g", "s", "sys bp"], {"k": 3}) == factor


def test_the_columns_of_a_query_are_found():
    assert named_in("age > 50 & `sys bp` < @age", ["age", "g", "sys bp"]) == ("age", "sys bp")
    assert named_in("age >", ["age", "g"]) == ("age", "g")


def test_every_term_may_differ_by_a_factor_and_the_constant_too():
    assert widened_by("y ~ x + z", ["s"]) == "y ~ x + z + s + x:s + z:s"
    assert widened_by("y ~ 0 + x", ["s"]) == "y ~ 0 + x + s + x:s"
    assert crossed("y ~ x", ["g", "a b"]) == "y ~ x + g + Q('a b') + g:Q('a b') + x:g + x:Q('a b') + x:g:Q('a b')"


@pytest.mark.parametrize("words", [{"groups": "id"}, {"groups": ["id"]}, {"cov_kwds": {"groups": "id"}}])
def test_standard_errors_by_imputed_clusters_are_refused(words):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=120), "id": np.arange(120) // 6 % 7 + 0.0, "g": np.arange(120) % 2})
    frame["y"] = frame["x"] + rng.normal(size=120)
    frame.loc[::7, "x"] = np.nan
    frame.loc[1:23:11, "id"] = np.nan
    imp = frame.mice.impute("y ~ x", m=2, rng=1)
    with pytest.raises(DataError, match="'id' defines the clusters and was imputed in 3 rows") as told:
        imp.fit(cov_type="cluster", **words)
    kept = eval(told.value.do.partition("  #")[0], {"df": frame})
    assert len(kept[0]) == 117 and kept.fit(cov_type="cluster", **words).nobs == 117
    assert imp.fit(cov_type="cluster", subset=np.arange(120) > 23, uncovered="ignore", **words).nobs == 96
    assert imp.fit(cov_type="HC1").nobs == 120

"""Predictions and marginal effects: statsmodels' own on copies of one data set, hand formulas on several."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from mifit.analysis.models import Call
from mifit.errors import DataError, FormulaError, ModelError
from mifit.pooling.rubin import pool, t_quantile
from mifit.results.newdata import link_of
from support.pooled import fit, frames, imputed

BINOMIAL = {"family": sm.families.Binomial()}
POISSON = {"family": sm.families.Poisson()}
NEW = pd.DataFrame({"x": [0.0, 1.5, -0.3], "z": [0.2, 0.0, 1.0], "g": ["lo", "top", "mid"], "t": [1.0, 2.0, 0.5]},
                   index=["a", "b", "c"])  # fmt: skip


@pytest.fixture(scope="module")
def imp():
    return imputed(frames())


@pytest.fixture(scope="module")
def equal():
    return imputed(frames(m=3, equal=True))


@pytest.mark.parametrize(
    ("model", "formula", "keywords"),
    [
        ("ols", "y ~ x * g + np.log(t)", {}),
        ("ols", "y ~ bs(x, df=4, lower_bound=-5, upper_bound=5) + g", {}),
        ("ols", "y ~ center(x) + s", {"cov_type": "HC1"}),
        ("wls", "y ~ x + g", {"weights": "t"}),
        ("logit", "b ~ x + g", {}),
        ("poisson", "c ~ x + g", {"exposure": "t"}),
        ("glm", "b ~ x + g", BINOMIAL),
        ("glm", "c ~ x", POISSON),
        ("glm", "t ~ x", {"family": sm.families.Gamma(sm.families.links.Log())}),
    ],
)
def test_copies_of_one_data_set_predict_as_statsmodels(equal, model, formula, keywords):
    res = fit(equal, formula, model, dfcom=np.inf, **keywords)
    own = res.results[0]
    new = NEW.assign(s=[True, False, True])
    found = res.get_prediction(new)
    extra = {"exposure": new["t"]} if "exposure" in keywords else {}
    np.testing.assert_allclose(found.predicted_mean, np.asarray(own.predict(new, **extra)), rtol=1e-9)
    assert list(found.predicted_mean.index) == ["a", "b", "c"]
    if model in ("ols", "wls"):
        theirs = own.get_prediction(new)
        np.testing.assert_allclose(found.se_mean, theirs.se_mean, rtol=1e-8)
        frame = found.summary_frame(0.1)
        low = theirs.predicted_mean - 1.6448536269514722 * theirs.se_mean
        np.testing.assert_allclose(frame["mean_ci_lower"], low, rtol=1e-7)
        half = 1.6448536269514722 * np.sqrt(theirs.se_mean**2 + own.scale)
        np.testing.assert_allclose(frame["obs_ci_upper"], theirs.predicted_mean + half, rtol=1e-7)
    elif model == "glm":
        frame, theirs = found.summary_frame(), own.get_prediction(new).summary_frame()
        assert list(frame.columns) == ["mean", "mean_se", "mean_ci_lower", "mean_ci_upper"]
        # limits are made on the link scale and brought back, in both
        np.testing.assert_allclose(frame, theirs, rtol=1e-6)


def test_the_rows_of_the_analysis_are_predicted_from_what_was_imputed_for_them(imp):
    res = fit(imp, "y ~ x + g")
    found = res.get_prediction()
    fits = [res.results[k] for k in range(res.m)]
    linear = np.array([f.fittedvalues for f in fits])
    variance = np.array([f.get_prediction().se_mean ** 2 for f in fits])
    row = 17
    by_hand = pool(linear[:, [row]], variance[:, [row], None], res.dfcom)
    assert found.predicted_mean.iloc[row] == pytest.approx(by_hand.params[0])
    assert found.se_mean.iloc[row] == pytest.approx(by_hand.std_error[0])
    assert found.df.iloc[row] == pytest.approx(by_hand.df[0])
    assert found.predicted_mean.index.equals(imp[0].index)


def test_new_rows_are_pooled_on_the_link_scale(imp):
    res = fit(imp, "b ~ x + g", "logit")
    found = res.get_prediction(NEW)
    linear, variance = [], []
    for one in res.results:
        x = np.array([[1.0, 0, 1, 1.5]])  # Intercept, g[T.mid], g[T.top], x
        assert list(one.params.index) == ["Intercept", "g[T.mid]", "g[T.top]", "x"]
        linear.append(x @ one.params)
        variance.append(x @ one.cov_params() @ x.T)
    by_hand = pool(np.array(linear), np.array(variance), res.dfcom)
    half = t_quantile(0.975, by_hand.df) * by_hand.std_error
    frame = found.summary_frame()
    assert frame.loc["b", "mean"] == pytest.approx(1 / (1 + np.exp(-by_hand.params[0])))
    assert frame.loc["b", "mean_ci_upper"] == pytest.approx(1 / (1 + np.exp(-(by_hand.params + half)[0])))
    assert found.linear_frame().loc["b", "fmi"] == pytest.approx(by_hand.fmi[0])
    assert (frame["mean_ci_lower"] < frame["mean"]).all()
    pd.testing.assert_series_equal(res.predict(NEW), found.predicted_mean)


def test_a_new_observation_adds_the_residual_variance(imp):
    res = fit(imp, "y ~ x")
    found, frame = res.get_prediction(NEW), res.get_prediction(NEW).summary_frame()
    sigma2 = np.mean([f.scale for f in res.results])
    assert res.scale == pytest.approx(sigma2)
    total = found.se_mean["a"] ** 2 + sigma2
    assert found.observation.variance[0] == pytest.approx(total)
    half = t_quantile(0.975, found.observation.df)[0] * np.sqrt(total)
    assert frame.loc["a", "obs_ci_upper"] - frame.loc["a", "mean"] == pytest.approx(half)


def test_a_falling_link_keeps_its_limits_in_order(imp):
    res = fit(imp, "t ~ x", "glm", family=sm.families.InverseGaussian())
    frame = res.get_prediction(NEW).summary_frame()
    assert (frame["mean_ci_lower"] < frame["mean"]).all()
    assert (frame["mean"] < frame["mean_ci_upper"]).all()


def test_new_rows_may_come_as_a_mapping_or_one_series_and_keep_their_holes(imp):
    res = fit(imp, "y ~ x + g")
    wanted = res.predict(NEW)
    np.testing.assert_allclose(res.predict({"x": 1.5, "g": "top"}), [wanted["b"]])
    np.testing.assert_allclose(res.predict({"x": [1.5, 0.0], "g": ["top", "lo"]}), wanted[["b", "a"]])
    np.testing.assert_allclose(res.predict(NEW.loc["b"]), [wanted["b"]])
    holed = res.predict(NEW.assign(x=[0.0, np.nan, -0.3]))
    assert holed.isna().tolist() == [False, True, False]
    assert holed["c"] == pytest.approx(wanted["c"])


def test_ratings_and_two_valued_numbers_may_lie_between_their_levels():
    rng = np.random.default_rng(1)
    sets = [f.assign(r=rng.integers(1, 6, len(f)), k=rng.integers(0, 2, len(f))) for f in frames(m=2)]
    res = fit(imputed(sets), "y ~ r + k + x")
    assert res.design.table["r"].kind.discrete
    frame = pd.DataFrame({"r": [2.5], "k": [0.3], "x": [0.0]})
    beta = res.params
    assert res.predict(frame)[0] == pytest.approx(beta["Intercept"] + 2.5 * beta["r"] + 0.3 * beta["k"])


def test_rows_that_cannot_be_predicted_are_refused_by_name(imp):
    res = fit(imp, "y ~ x + g")
    with pytest.raises(DataError, match="g = 'zoo', a level that the fit never saw") as caught:
        res.predict(NEW.assign(g="zoo"))
    assert caught.value.lines["levels"] == "'lo', 'mid', 'top'"
    with pytest.raises(DataError, match="lacks the column 'g'"):
        res.predict(NEW[["x"]])
    with pytest.raises(DataError, match="'x' of newdata is not numeric"):
        res.predict(NEW.assign(x=["1", "two", "3"]))
    with pytest.raises(DataError, match="newdata is list"):
        res.predict([1.0])
    spline = fit(imp, "y ~ bs(x, df=4, lower_bound=-5, upper_bound=5)")
    with pytest.raises(FormulaError, match=r"x = 9, outside the outermost knots of bs\(x"):
        spline.predict(NEW.assign(x=9.0))
    with pytest.raises(FormulaError, match=r"'np.log\(t\)' is not a finite number"):
        fit(imp, "y ~ np.log(t)").predict(NEW.assign(t=-1.0))
    with pytest.raises(DataError, match="lacks 't', which the model takes as offset or exposure"):
        fit(imp, "c ~ x", "poisson", exposure="t").predict(NEW[["x"]])
    given = fit(imp, "c ~ x", "poisson", exposure=np.random.default_rng(0).uniform(1, 2, 150))
    with pytest.raises(ModelError, match="exposure= was an array of 150 values"):
        given.predict(NEW)


def test_links_have_the_slopes_they_say():
    eta = np.linspace(-2, 2, 9)
    for call in (Call("ols"), Call("logit"), Call("poisson")):
        link = link_of(call)
        numeric = (link.mean(eta + 1e-6) - link.mean(eta - 1e-6)) / 2e-6
        np.testing.assert_allclose(link.slope(eta) * np.ones(9), numeric, rtol=1e-8)


# Marginal effects


@pytest.mark.parametrize(("model", "formula"), [("logit", "b ~ x * z"), ("poisson", "c ~ x * z")])
def test_copies_of_one_data_set_have_statsmodels_marginal_effects(equal, model, formula):
    linear = formula.replace("*", "+")
    res = fit(equal, linear, model, dfcom=np.inf)
    theirs = res.results[0].get_margeff()
    found = res.marginal_effects()
    assert list(found.index) == ["x", "z"]
    np.testing.assert_allclose(found["estimate"], theirs.margeff, rtol=1e-6)
    np.testing.assert_allclose(found["std_error"], theirs.margeff_se, rtol=1e-6)


def test_effects_see_through_interactions_and_powers(equal):
    res = fit(equal, "y ~ x * z + I(x ** 2)", dfcom=np.inf)
    beta, frame = res.params, equal[0]
    wanted = beta["x"] + beta["x:z"] * frame["z"].mean() + 2 * beta["I(x ** 2)"] * frame["x"].mean()
    combination = pd.Series(0.0, index=beta.index)
    combination[["x", "x:z", "I(x ** 2)"]] = 1, frame["z"].mean(), 2 * frame["x"].mean()
    found = res.marginal_effects("x").loc["x"]
    assert found["estimate"] == pytest.approx(wanted, rel=1e-7)
    assert found["std_error"] == pytest.approx(np.sqrt(combination @ res.cov_params() @ combination), rel=1e-7)


def test_categories_and_yes_no_variables_have_contrasts(imp):
    res = fit(imp, "b ~ x + g + s", "logit")
    found = res.marginal_effects(["g", "s"])
    assert list(found.index) == ["g: mid - lo", "g: top - lo", "s: True - False"]
    by_hand = []
    for one, frame in zip(res.results, imp, strict=True):
        by_hand.append((one.predict(frame.assign(g="top")) - one.predict(frame.assign(g="lo"))).mean())
    assert found.loc["g: top - lo", "estimate"] == pytest.approx(np.mean(by_hand))
    # the delta method against the curve of a bootstrap in parameters, false alarm below 1 in 1000 at this seed
    one, frame = res.results[0], imp[0]
    draws = np.random.default_rng(0).multivariate_normal(one.params, one.cov_params(), 4000)
    matrices = [np.asarray(res.design.matrix(imp._record.completed.values(0))) for _ in range(2)]
    names = list(res.params.index)
    for matrix, level in zip(matrices, ("top", "lo"), strict=True):
        matrix[:, names.index("g[T.mid]")] = 0.0
        matrix[:, names.index("g[T.top]")] = level == "top"
    effects = [np.mean(1 / (1 + np.exp(-matrices[0] @ b)) - 1 / (1 + np.exp(-matrices[1] @ b))) for b in draws]
    equal = fit(imputed([frame, frame]), "b ~ x + g + s", "logit", dfcom=np.inf).marginal_effects("g")
    assert equal.loc["g: top - lo", "std_error"] == pytest.approx(np.std(effects), rel=0.05)


def test_effects_of_a_linear_model_are_its_coefficients(imp):
    res = fit(imp, "y ~ x + g")
    found = res.marginal_effects(alpha=0.1)
    wanted = res.to_frame(alpha=0.1).loc[["x", "g[T.mid]", "g[T.top]"]]
    np.testing.assert_allclose(found.loc[["x", "g: mid - lo", "g: top - lo"]], wanted, rtol=1e-6)


def test_effects_within_the_knots_of_a_spline_take_half_a_step_at_the_ends(equal):
    res = fit(equal, "y ~ bs(x, df=4)", dfcom=np.inf)
    one, frame = res.results[0], equal[0]
    inside = frame["x"].clip(frame["x"].min() + 1e-4, frame["x"].max() - 1e-4)
    up, down = (one.predict(frame.assign(x=inside + h)) for h in (1e-5, -1e-5))
    wanted = ((up - down) / 2e-5).mean()
    assert res.marginal_effects("x")["estimate"].iloc[0] == pytest.approx(wanted, rel=1e-2)


def test_effects_of_what_is_not_in_the_formula_are_refused(imp):
    with pytest.raises(FormulaError, match=r"'xx' is no variable of the right side \(did you mean 'x'\?\)"):
        fit(imp, "y ~ x").marginal_effects("xx")


def test_exposures_and_frequency_weights_count(imp):
    sets = [f.assign(w=np.arange(len(f)) % 2 + 1.0) for f in frames(m=2, equal=True)]
    twice = [pd.concat([f, f[f["w"] == 2]], ignore_index=True) for f in sets]
    weighted = fit(imputed(sets), "c ~ x", "glm", freq_weights="w", offset="z", **POISSON)
    rows = fit(imputed(twice), "c ~ x", "glm", offset="z", **POISSON)
    one, other = weighted.marginal_effects("x"), rows.marginal_effects("x")
    np.testing.assert_allclose(one[["estimate", "std_error"]], other[["estimate", "std_error"]], rtol=1e-6)


# Cox


def test_a_cox_model_predicts_the_hazard_over_that_of_mean_covariates(imp):
    res = fit(imp, "t ~ x + z", "phreg", status="b")
    mean = np.mean([one[["x", "z"]].mean() for one in imp], axis=0)
    at_mean = res.get_prediction(pd.DataFrame([mean], columns=["x", "z"])).summary_frame()
    assert list(at_mean) == [f"relative_hazard{end}" for end in ("", "_se", "_ci_lower", "_ci_upper")]
    np.testing.assert_allclose(at_mean.to_numpy()[0], [1, 0, 1, 1], atol=1e-7)
    one_more = res.predict(pd.DataFrame([mean + [1, 0]], columns=["x", "z"]))
    np.testing.assert_allclose(one_more, np.exp(res.params["x"]))
    assert (one_more.name, res.predict().name) == ("relative_hazard", "relative_hazard")
    shifted = imputed([f.assign(x=f["x"] + 100) for f in frames()])
    np.testing.assert_allclose(fit(shifted, "t ~ x + z", "phreg", status="b").predict(), res.predict(), rtol=1e-5)


def test_a_cox_model_has_no_marginal_effects(imp):
    with pytest.raises(ModelError, match="its effects are hazard ratios") as caught:
        fit(imp, "t ~ x", "phreg", status="b").marginal_effects()
    assert caught.value.do == "res.to_frame(exponentiate=True)"

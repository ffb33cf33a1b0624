"""Generalised mixed models: lme4's and ordinal's figures, integrals, slopes by differences, hard columns."""

import json
import time

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.special import expit
from scipy.stats import norm, poisson

import mifit
from mifit.analysis.glmm import clustered, height, information, levelled
from mifit.analysis.glmm_maximum import maximised, prepared
from mifit.analysis.likelihood import loglik_fits
from mifit.errors import ModelError, SeparationWarning
from support.pooled import imputed
from support.references import stored

OUTCOME = {"logit": "b", "poisson": "c", "ordinal": "o"}
EXTRA = {"logit": {}, "poisson": {"exposure": "t"}, "ordinal": {}}


def case(name):
    """One of the data sets of lme4's figures."""
    data = pd.read_csv(stored("glmm") / "data.csv")
    return data[data["case"] == name].drop(columns="case").reset_index(drop=True)


def fit(frame, model, right="x + w", **words):
    """Fit a model on a frame as its own two completed sets."""
    words = {"groups": "g", **EXTRA[model], **words}
    return imputed([frame, frame]).fit(f"{OUTCOME[model]} ~ {right}", f"mixed_{model}", **words)


def small(model, q=1, seed=0):
    """A small data set, ready for the likelihood, and parameters to look at."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 7, 60)
    x = rng.normal(size=(60, 1))
    linear = 0.5 * x[:, 0] + rng.normal(size=7)[groups]
    ones, root = np.column_stack([np.ones(60), x]), np.array([[0.8, 0.0], [0.2, 0.5]])[:q, :q]
    none = np.zeros(60)
    if model == "ordinal":
        levels = np.digitize(linear + rng.logistic(size=60), [-1, 0.2, 1])
        return levelled(levels, 4, x, ones[:, :q], none, groups), np.array([0.4, -1.0, 0.3, 1.1]), root
    y = rng.random(60) < expit(linear) if model == "logit" else rng.poisson(np.exp(linear))
    return clustered(model, y.astype(float), ones, ones[:, :q], none, groups), np.array([0.2, 0.4]), root


@pytest.mark.parametrize("number", range(15))
def test_figures_are_those_of_lme4_and_ordinal(number):
    wanted = json.loads((stored("glmm") / "expected.json").read_text())[number]
    model, slopes = wanted["model"], wanted["case"] == "slopes"
    words = {"re_formula": "~ x"} if slopes else {"nodes": 25 if wanted["nodes"] == 13 else 1}
    res = fit(case(wanted["case"]), model, **words)
    own, errors = res.results[0], np.array(wanted["error"])
    np.testing.assert_allclose(own.params, wanted["fixed"], atol=2e-4 * errors.min())
    hessian = 2e-2 if model == "ordinal" and wanted["nodes"] == 1 else 2e-5  # clmm's own is by differences
    np.testing.assert_allclose(res.bse[: len(errors)], errors, rtol=hessian)
    np.testing.assert_allclose(np.ravel(own.cov_re), wanted["covariance"], atol=5e-5)
    if not (model == "poisson" and wanted["nodes"] > 1):  # glmer leaves constants out there
        assert own.llf == pytest.approx(wanted["loglik"], abs=1e-5)
    assert res.converged.all()


@pytest.mark.parametrize("model", OUTCOME)
@pytest.mark.parametrize(("q", "nodes"), [(1, 25), (1, 1), (2, 25)])
def test_slope_and_information_are_derivatives(model, q, nodes):
    data, theta, root = small(model, q)
    lower, at = np.tril_indices(q), np.append(theta, root[np.tril_indices(q)])

    def there(where):
        moved = np.zeros((q, q))
        moved[lower] = where[len(theta) :]
        return height(data, where[: len(theta)], moved, nodes=nodes)

    steps = 1e-5 * np.eye(len(at))
    rise = [(there(at + step).loglik - there(at - step).loglik) / 2e-5 for step in steps]
    np.testing.assert_allclose(there(at).slope, rise, atol=1e-6)
    bend = [(there(at - step).slope - there(at + step).slope) / 2e-5 for step in steps]
    np.testing.assert_allclose(information(data, theta, root, nodes=nodes), bend, atol=1e-5)


@pytest.mark.parametrize("model", OUTCOME)
def test_the_likelihood_is_the_integral_over_the_random_effect(model):
    data, theta, root = small(model)
    rng = np.random.default_rng(0)
    groups, x = rng.integers(0, 7, 60), rng.normal(size=(60, 1))
    linear = 0.5 * x[:, 0] + rng.normal(size=7)[groups]
    v = np.linspace(-9, 9, 4001)
    if model == "ordinal":
        levels = np.digitize(linear + rng.logistic(size=60), [-1, 0.2, 1])
        ends = np.concatenate([[-np.inf], theta[1:], [np.inf]])
        eta = theta[0] * x + 0.8 * v
        each = np.log(expit(ends[levels + 1, None] - eta) - expit(ends[levels, None] - eta))
    else:
        eta = theta[0] + theta[1] * x + 0.8 * v
        if model == "logit":
            y = rng.random(60) < expit(linear)
            each = np.where(y[:, None], np.log(expit(eta)), np.log(expit(-eta)))
        else:
            each = poisson.logpmf(rng.poisson(np.exp(linear))[:, None], np.exp(eta))
    wanted = 0.0
    for group in range(7):
        f = np.exp(each[groups == group].sum(axis=0)) * norm.pdf(v)
        wanted += np.log(f.sum() * (v[1] - v[0]))
    assert height(data, theta, root).loglik == pytest.approx(wanted, abs=1e-8)


@pytest.mark.parametrize("model", OUTCOME)
@pytest.mark.parametrize(("shift", "unit"), [(2000.0, 1.0), (0.0, 1e6), (-1e4, 1e-4)])
def test_origins_and_units_of_columns_change_nothing_else(model, shift, unit):
    near = fit(case("even"), model)
    frame = case("even")
    far = fit(frame.assign(x=shift + unit * frame["x"]), model)
    np.testing.assert_allclose(far.params["x"] * unit, near.params["x"], rtol=1e-6)
    np.testing.assert_allclose(far.bse["x"] * unit, near.bse["x"], rtol=1e-6)
    kept = ["w", "log(g Var)"]
    np.testing.assert_allclose(far.params[kept], near.params[kept], rtol=1e-5)
    np.testing.assert_allclose(far.bse[kept], near.bse[kept], rtol=1e-5)


def test_a_random_slope_of_a_column_far_away_is_that_of_the_column_near_0():
    frame = case("slopes")
    near, far = fit(frame, "logit", re_formula="~ x"), fit(frame.assign(x=frame["x"] + 300), "logit", re_formula="~ x")
    for name in ("x", "w", "log(x Var)"):
        np.testing.assert_allclose(far.params[name], near.params[name], rtol=1e-5)
        np.testing.assert_allclose(far.bse[name], near.bse[name], rtol=1e-4)
    np.testing.assert_allclose(
        far.variance_components().loc["g ICC"], near.variance_components().loc["g ICC"], rtol=1e-3
    )


@pytest.mark.parametrize("model", ["logit", "poisson"])
def test_without_variance_between_groups_it_is_the_model_without_groups(model):
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"g": np.repeat(np.arange(25), 6), "x": rng.normal(size=150), "t": 1.0})
    # the same share of events, or the same sum, in every group: less alike within than by chance
    frame["b"], frame["c"] = np.tile([0, 1, 0, 1, 0, 1], 25), np.tile([0, 1, 2, 3, 1, 1], 25)
    res = fit(frame, model, "x")
    plain = {"logit": smf.logit, "poisson": smf.poisson}[model](f"{OUTCOME[model]} ~ x", frame).fit(disp=0)
    np.testing.assert_allclose(res.params, plain.params, atol=1e-5)
    np.testing.assert_allclose(res.bse, plain.bse, rtol=1e-4)
    assert any("a variance is at its boundary in all 2 sets" in note for note in res.fits.notes)
    assert res.variance_components().loc["g Var", "sets"] == 0


def test_a_column_that_separates_is_said():
    frame = case("even").assign(z=lambda d: (d["x"] > 0.5).astype(float))
    frame["b"] = np.where(frame["z"] == 1, 1, frame["b"])
    with pytest.warns(SeparationWarning, match="predictors separate the outcome in 2 of 2 MixedLogit fits"):
        res = fit(frame, "logit", "z + w")
    assert any("estimate of" in note and "z" in note for note in res.fits.notes)


@pytest.mark.parametrize("model", OUTCOME)
def test_likelihood_ratios_are_those_of_the_fits(model):
    frame = case("even")
    large, less = fit(frame, model), fit(frame, model, "x")
    wanted = 2 * (large.results[0].llf - less.results[0].llf)
    for method in ("D3", "D4"):
        assert large.compare(f"{OUTCOME[model]} ~ x", method).statistic == pytest.approx(wanted, abs=1e-4)
    fits = loglik_fits(large.design, large.completed, large.call)
    np.testing.assert_allclose(fits.logliks, large.results[0].llf, atol=1e-6)
    d1 = large.compare(f"{OUTCOME[model]} ~ x", "D1")
    assert d1.statistic == pytest.approx(float(large.tvalues["w"] ** 2), rel=1e-6)


def test_terms_between_groups_have_the_degrees_of_the_groups():
    res = fit(case("even"), "logit")
    np.testing.assert_array_equal(res.fits.df_each, [38, 320 - 41, 38, np.inf])
    ordinal = fit(case("even"), "ordinal")
    np.testing.assert_array_equal(ordinal.fits.df_each, [320 - 41, 38, 38, 38, 38, np.inf])
    assert np.isinf(fit(case("even"), "logit", dfcom=np.inf).fits.df_complete)
    with pytest.raises(ModelError, match="dfcom is 'satterthwaite', which MixedLogit does not have"):
        fit(case("even"), "logit", dfcom="satterthwaite")


def test_predictions_are_those_of_a_usual_group():
    frame = case("even")
    new = frame.head(4)
    for model in ("logit", "poisson"):
        res = fit(frame, model)
        linear = res.params["Intercept"] + new["x"] * res.params["x"] + new["w"] * res.params["w"]
        mean = expit(linear) if model == "logit" else new["t"] * np.exp(linear)
        np.testing.assert_allclose(res.predict(new), mean)
    res = fit(frame, "ordinal")
    linear = new["x"] * res.params["x"] + new["w"] * res.params["w"]
    chances = res.predict(new)
    assert list(chances.columns) == ["1", "2", "3", "4"]
    np.testing.assert_allclose(chances["1"], expit(res.params["1/2"] - linear))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert res.get_prediction(new).summary_frame().shape == (16, 4)


def test_shares_of_variance_are_those_of_the_latent_scale():
    frame = case("even")
    for model in OUTCOME:
        res = fit(frame, model)
        psi = float(np.exp(res.params["log(g Var)"]))
        fixed = np.var(res.params["x"] * frame["x"] + res.params["w"] * frame["w"], ddof=1)
        residual = np.pi**2 / 3
        if model == "poisson":
            mean = res.params["Intercept"] + res.params["x"] * frame["x"] + res.params["w"] * frame["w"]
            residual = np.log1p(np.exp(-(mean + np.log(frame["t"])).mean() - psi / 2))
        np.testing.assert_allclose(
            res.variance_components().loc["g ICC", "estimate"], psi / (psi + residual), rtol=1e-5
        )
        wanted = np.array([fixed, fixed + psi]) / (fixed + psi + residual)
        np.testing.assert_allclose(res.rsquared_frame()["estimate"], wanted, rtol=1e-5)


def test_the_error_of_a_share_goes_by_the_delta_method():
    res = fit(case("even"), "logit")
    share = res.variance_components().loc["g ICC"]
    spread = res.fits.spread
    at = spread.names.index("g ICC")
    # logit(share) = log psi - log(pi^2 / 3)
    np.testing.assert_allclose(spread.variances[0, at], res.fits.covariances[0][-1, -1], rtol=1e-6)
    assert share["conf_low"] < share["estimate"] < share["conf_high"]


@pytest.mark.parametrize("model", OUTCOME)
def test_incomplete_frames_are_imputed_and_pooled(model):
    frame = case("even").drop(columns=[one for one in "bco" if one != OUTCOME[model]])
    frame.loc[::6, "x"] = np.nan
    words = {"groups": "g", **EXTRA[model]}
    imp = frame.mice.impute(f"{OUTCOME[model]} ~ x + w", model=f"mixed_{model}", m=3, rng=1, **words)
    res = imp.fit()
    assert res.fits.label.startswith("Mixed")
    assert (res.fmi[["x"]] > 0).all()
    assert f"mixed_{model}" in imp.check().attrs.get("model", f"mixed_{model}")
    assert abs(res.params["x"] - fit(case("even"), model).params["x"]) < 3 * res.bse["x"]


def test_negative_outcomes_are_no_counts():
    frame = case("even").assign(c=lambda d: d["c"] - 1)
    with pytest.raises(ModelError, match="MixedPoisson models counts; 'c' is negative in") as caught:
        fit(frame, "poisson")
    assert "mixedlm" in str(caught.value.do)
    with pytest.raises(ModelError, match="nodes is 0"):
        fit(case("even"), "logit", nodes=0)
    with pytest.raises(ModelError, match="needs to know the groups"):
        imputed([frame, frame]).fit("b ~ x", "mixed_logit")


def test_names_of_other_programs_lead_here():
    frame = case("even")
    for name, meant in (("glmer", "mixed_logit"), ("clmm", "mixed_ordinal"), ("mepoisson", "mixed_poisson")):
        with pytest.raises(ModelError, match=f"did you mean '{meant}'"):
            imputed([frame, frame]).fit("b ~ x", name, groups="g")


def test_thousands_of_groups_are_fitted_in_seconds():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(4000), 5)
    exog = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 2))])
    linear = exog @ [0.2, 0.5, -0.5] + rng.normal(size=4000)[groups]
    y = (rng.random(20_000) < expit(linear)).astype(float)
    start = time.process_time()
    found = maximised(prepared("logit", y, exog, np.ones((20_000, 1)), np.zeros(20_000), groups))
    assert time.process_time() - start < 15
    np.testing.assert_allclose(found.coefficients, [0.2, 0.5, -0.5], atol=0.1)
    np.testing.assert_allclose(found.psi, 1.0, atol=0.2)


def test_results_of_each_set_have_statsmodels_names():
    own = mifit.from_frames([case("even")] * 2, original=None).fit("b ~ x", "mixed_logit", groups="g").results[1]
    assert list(own.params.index) == ["Intercept", "x"]
    np.testing.assert_allclose(own.bse, np.sqrt(np.diag(own.cov_params())))
    assert len(own.random_effects) == 40
    effects = np.array([one.iloc[0] for one in own.random_effects.values()])
    assert np.var(effects) < own.cov_re.iloc[0, 0]  # shrunken
    assert list(own.summary().columns) == ["coef", "std err", "z"]

"""Models: every statsmodels class by name, by class and by formula function; odd parameters, groups, events."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.discrete.conditional_models import ConditionalLogit, ConditionalPoisson
from statsmodels.discrete.count_model import ZeroInflatedPoisson
from statsmodels.discrete.discrete_model import GeneralizedPoisson
from statsmodels.miscmodels.ordinal_model import OrderedModel
from statsmodels.othermod.betareg import BetaModel
from statsmodels.regression.mixed_linear_model import MixedLM

import mifit
from mifit import FitError, ModelError
from mifit.analysis import ordered_maximum
from mifit.analysis.models import MODELS, load, model_name, sorted_words, spec, words
from support.outcomes import N_GROUPS, design, frames


@pytest.fixture(scope="module")
def completed():
    return frames()


def imputed(completed):
    """The same as an ImputedSet."""
    long = pd.concat([f.assign(**{".imp": k + 1, ".id": np.arange(len(f))}) for k, f in enumerate(completed)])
    return mifit.from_long(long.reset_index(drop=True))


@pytest.fixture(scope="module")
def imp(completed):
    return imputed(completed)


#: model, outcome, words of mifit, and the same by statsmodels alone
ALONE = {
    "gls": ("y", {"sigma": "w"}, lambda f: sm.GLS(f["y"], design(f), sigma=f["w"]).fit()),
    "rlm": ("y", {}, lambda f: sm.RLM(f["y"], design(f)).fit()),
    "quantreg": ("y", {"q": 0.7}, lambda f: sm.QuantReg(f["y"], design(f)).fit(q=0.7)),
    "probit": ("b", {}, lambda f: sm.Probit(f["b"], design(f)).fit(disp=0)),
    "generalizedpoisson": ("c", {}, lambda f: GeneralizedPoisson(f["c"], design(f)).fit(disp=0, maxiter=1000)),
    "zeroinflatedpoisson": ("c", {}, lambda f: ZeroInflatedPoisson(f["c"], design(f)).fit(disp=0, maxiter=1000)),
    "gee": (
        "b",
        {"groups": "id", "family": sm.families.Binomial(), "cov_struct": sm.cov_struct.Exchangeable()},
        lambda f: sm.GEE(
            f["b"], design(f), f["id"], family=sm.families.Binomial(), cov_struct=sm.cov_struct.Exchangeable()
        ).fit(),
    ),
    "phreg": (
        "t",
        {"status": "d", "strata": "g", "ties": "efron"},
        lambda f: sm.PHReg(f["t"], design(f, "x + z", False), f["d"], strata=f["g"].cat.codes, ties="efron").fit(),
    ),
    "conditional_logit": (
        "b",
        {"groups": "id"},
        lambda f: ConditionalLogit(f["b"], design(f, constant=False), groups=f["id"]).fit(),
    ),
    "conditional_poisson": (
        "c",
        {"groups": "id"},
        lambda f: ConditionalPoisson(f["c"], design(f, constant=False), groups=f["id"]).fit(),
    ),
}


@pytest.mark.parametrize("model", ALONE)
def test_every_set_is_fitted_as_statsmodels_would(model, imp, completed):
    outcome, keywords, alone = ALONE[model]
    res = imp.fit(f"{outcome} ~ {'x + z' if model == 'phreg' else 'x + g'}", model=model, **keywords)
    for k, frame in enumerate(completed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = alone(frame)
        params = np.asarray(wanted.params)
        # statsmodels alone stops a little before the maximum where mifit standardises the design
        near = 1e-3 if MODELS[model].scaled else 1e-8
        np.testing.assert_allclose(res.fits.estimates[k], params, rtol=near, atol=near / 10)
        np.testing.assert_allclose(
            res.fits.covariances[k], np.asarray(wanted.cov_params()), rtol=10 * near, atol=near / 10
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = res.results[k]
        np.testing.assert_allclose(np.asarray(again.params), params, rtol=near, atol=near / 10)
    assert res.fits.converged.all()
    assert np.isfinite(res.to_frame().to_numpy()).all()
    assert res.fits.label in res.summary().as_text()


@pytest.mark.parametrize("name", MODELS)
def test_a_name_a_class_and_a_formula_function_are_the_same_model(name):
    cls = load(name)
    assert model_name(name) == model_name(name.upper()) == model_name(cls) == model_name(cls.__name__) == name
    if cls.__module__.startswith("statsmodels."):
        assert model_name(cls.from_formula) == name
    assert spec(cls) is spec(name)
    if hasattr(smf, name):
        assert model_name(getattr(smf, name)) == name


@pytest.mark.parametrize("given", ["logti", int, len, 3, None, sm.tsa.ARIMA])
def test_what_is_no_model_is_refused_with_the_list(given):
    with pytest.raises(ModelError, match="unknown model") as caught:
        model_name(given)
    assert "logit" in caught.value.lines["known"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_which_words_it_takes(name):
    init, fit = words(name)
    assert not {"formula", "data", "missing", "endog", "exog", "exog_vc"} & init
    assert ("cov_type" in fit) == (MODELS[name].robust or name == "gee")
    with pytest.raises(ModelError, match="has no keyword 'nonsense'"):
        sorted_words(name, {"nonsense": 1})


def test_words_that_name_columns_are_found_among_those_of_the_model_and_of_the_fit():
    assert sorted_words("phreg", {"status": "d", "entry": "e", "strata": "s"}).columns == ("d", "e", "s")
    robust = sorted_words("phreg", {"status": "d", "groups": "id"})
    assert (robust.columns, robust.clusters, robust.cov_label) == (("d", "id"), ("id",), "cluster (id)")
    gee = sorted_words("gee", {"groups": "id", "time": "year"})
    assert (gee.columns, gee.clusters, gee.cov_label) == (("id", "year"), (), "robust")


@pytest.mark.parametrize("model", ["gee", "mixedlm", "conditional_logit"])
def test_a_model_of_groups_ends_in_the_call_that_names_them(model, imp):
    with pytest.raises(ModelError, match="needs to know the groups") as caught:
        imp.fit("b ~ x", model=model)
    assert f"model={model!r}, groups='id'" in caught.value.do


def test_complete_data_degrees_of_freedom_follow_the_model(imp, completed):
    events = int(completed[0]["d"].sum())
    binomial = {"family": sm.families.Binomial()}
    wanted = {
        ("phreg", "t ~ x + z"): ({"status": "d"}, events - 2, "events - p"),
        ("gee", "b ~ x + g"): ({"groups": "id", **binomial}, N_GROUPS - 4, "groups - p"),
        ("mixedlm", "y ~ x + z"): ({"groups": "id"}, N_GROUPS - 1, "between-within"),
        ("mnlogit", "o ~ x"): ({}, 240 - 6, "residual"),
        ("ordinal", "o ~ x"): ({}, 240 - 4, "residual"),
        ("glm", "b ~ x"): ({**binomial, "cov_type": "cluster", "groups": "id"}, N_GROUPS - 1, "clusters - 1"),
        ("glm", "c ~ x"): (
            {"family": sm.families.Poisson(), "freq_weights": np.full(240, 2.0)},
            480 - 2,
            "residual",
        ),
    }
    for (model, formula), (keywords, df, source) in wanted.items():
        res = imp.fit(formula, model=model, **keywords)
        assert (res.dfcom, res.fits.df_source) == (df, source), model
        assert source in res.summary().as_text()
    given = imp.fit("t ~ x", model="phreg", status="d", dfcom=12)
    assert (given.dfcom, given.fits.df_source) == (12, "given")


def test_conditional_models_count_rows_within_informative_groups(imp, completed):
    res = imp.fit("b ~ x + z", model="conditional_logit", groups="id")
    by_group = completed[0].groupby("id")["b"]
    informative = by_group.transform("nunique") > 1
    assert res.dfcom == informative.sum() - completed[0].loc[informative, "id"].nunique() - 2


def test_multinomial_parameters_are_labelled_level_and_term(imp, completed):
    res = imp.fit("o ~ x + z", model=sm.MNLogit)
    assert list(res.params.index) == [f"{level}:{term}" for level in "123" for term in ("Intercept", "x", "z")]
    alone = sm.MNLogit(completed[1]["o"], design(completed[1], "x + z")).fit(disp=0)
    np.testing.assert_allclose(res.fits.estimates[1], alone.params.T.to_numpy().ravel(), rtol=1e-9)
    np.testing.assert_allclose(res.fits.covariances[1], alone.cov_params().to_numpy(), rtol=1e-8)


def test_thresholds_are_cut_points_with_delta_method_errors(imp, completed):
    res = imp.fit("o ~ x + z", model=OrderedModel, distr="logit")
    assert list(res.params.index) == ["x", "z", "0/1", "1/2", "2/3"]
    frame = completed[2]
    model = OrderedModel(frame["o"], frame[["x", "z"]], distr="logit")
    alone = model.fit(method="bfgs", disp=0, gtol=1e-8)
    cuts = model.transform_threshold_params(alone.params.to_numpy())[1:-1]
    np.testing.assert_allclose(res.fits.estimates[2], [*alone.params.iloc[:2], *cuts], rtol=1e-5)
    jacobian = np.eye(5)
    for j in range(2, 5):
        step = np.zeros(5)
        step[j] = 1e-6
        up, down = (model.transform_threshold_params(alone.params.to_numpy() + s)[1:-1] for s in (step, -step))
        jacobian[2:, j] = (up - down) / 2e-6
    wanted = jacobian @ alone.cov_params().to_numpy() @ jacobian.T
    np.testing.assert_allclose(res.fits.covariances[2], wanted, rtol=1e-3, atol=1e-6)
    assert res.fits.facts["Distribution"] == "logit"


def test_an_ordered_model_without_predictors_has_the_quantiles_of_its_shares(imp, completed):
    res = imp.fit("o ~ 1", model="ordinal", distr="logit")
    below = np.cumsum(completed[0]["o"].value_counts(sort=False).sort_index() / 240)[:-1]
    np.testing.assert_allclose(res.params, np.log(below / (1 - below)), rtol=1e-5)
    assert list(res.params.index) == ["0/1", "1/2", "2/3"]


@pytest.mark.parametrize(
    ("model", "outcome", "keywords"),
    [
        ("ordinal", "o", {"distr": "logit"}),
        ("mnlogit", "o", {}),
        ("negativebinomial", "c", {}),
        ("generalizedpoisson", "c", {}),
        ("zeroinflatedpoisson", "c", {}),
        ("betareg", "p", {}),
        ("conditional_logit", "b", {"groups": "id"}),
        ("conditional_poisson", "c", {"groups": "id"}),
        ("phreg", "t", {"status": "d"}),
        ("mixedlm", "y", {"groups": "id"}),
        ("gee", "y", {"groups": "id"}),
    ],
)
@pytest.mark.parametrize(("scale", "shift"), [(1e4, 0.0), (10.0, 2000.0)])
def test_units_and_origin_of_a_predictor_change_nothing_else(model, outcome, keywords, scale, shift, imp, completed):
    moved = imputed([f.assign(x=scale * f["x"] + shift) for f in completed])
    here, there = (one.fit(f"{outcome} ~ x + z", model=model, **keywords) for one in (imp, moved))
    terms = [name for name in here.params.index if name.rpartition(":")[2] in ("x", "z")]
    # a likelihood may be differentiated numerically
    np.testing.assert_allclose(there.tvalues[terms], here.tvalues[terms], rtol=1e-5)
    np.testing.assert_allclose(there.df[terms], here.df[terms], rtol=1e-5)
    slope = next(name for name in terms if name.rpartition(":")[2] == "x")
    np.testing.assert_allclose(there.params[slope] * scale, here.params[slope], rtol=1e-6)


def test_a_conditional_multinomial_model_has_a_block_for_each_level():
    sets = [f.assign(id=np.arange(240) // 3, o=np.minimum(f["o"], 2)) for f in frames()]
    res = imputed(sets).fit("o ~ x + z", model="conditional_mnlogit", groups="id")
    assert list(res.params.index) == ["1:x", "1:z", "2:x", "2:z"]
    assert 0 < res.params["1:x"] < res.params["2:x"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # groups that show one level only are dropped
        full = res.results[0]
    np.testing.assert_allclose(np.ravel(np.asarray(full.params), order="F"), res.fits.estimates[0], rtol=1e-6)


@pytest.mark.parametrize(
    "outcome, model, words",
    [("t", "phreg", {"status": "d", "ties": "efron"}), ("b", "conditional_logit", {"groups": "id"})],
)
def test_a_model_without_coefficients_is_the_smallest_to_compare_with(outcome, model, words, completed):
    for sets in (completed, completed[:1] * 3):
        imp = imputed(sets)
        larger, smaller = (imp.fit(f"{outcome} ~ {right}", model, **words) for right in ("x + z", "1"))
        assert list(smaller.params) == [] and "no coefficient" in str(smaller.summary())
        assert (smaller.recommend_m(), smaller.stability().enough, smaller.nobs) == (2, True, larger.nobs)
        wald = larger.wald_test("x = z = 0")
        assert larger.compare(smaller, "D1").p_value == pytest.approx(wald.p_value, rel=1e-12)
        assert larger.compare(f"{outcome} ~ 1").p_value == larger.compare(smaller).p_value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # groups without variation are dropped
        full = larger.results[0]  # of three copies: the ordinary likelihood ratio
        ratio = full.llf - full.model.loglike(np.zeros(2))
    assert [larger.compare(smaller, method).statistic for method in ("D3", "D4")] == pytest.approx(
        [ratio] * 2, rel=1e-8
    )
    with pytest.raises(ModelError, match="leaves statsmodels nothing to fit"):
        smaller.results[0]
    with pytest.raises(ModelError, match="no coefficient to test"):
        smaller.wald_test("x = 0")


@pytest.mark.parametrize("model", ["ordinal", "mnlogit"])
def test_levels_may_be_numbers_text_or_categories_in_an_order_of_their_own(model, imp):
    texts = np.array(["c", "a", "d", "b"])
    kinds = {
        "rating": lambda o: o + 1,
        "even": lambda o: 2 * o,
        "numbers as text": lambda o: pd.Categorical((3 - o).astype(str), ["3", "2", "1", "0"], ordered=True),
        "category": lambda o: pd.Categorical(texts[o], list(texts), ordered=True),
    }
    wanted = imp.fit("o ~ x", model=model)
    for kind, change in kinds.items():
        res = imputed([f.assign(o=change(f["o"].to_numpy())) for f in frames()]).fit("o ~ x", model=model)
        np.testing.assert_allclose(res.params, wanted.params, rtol=1e-9, err_msg=kind)
    assert list(res.params.index)[-1] == ("d/b" if model == "ordinal" else "b:x")


def test_an_ordered_model_falls_back_where_newton_fails(imp, monkeypatch):
    methods, fit = [], OrderedModel.fit

    def failing(self, *args, **kwargs):
        methods.append(kwargs["method"])
        if kwargs["method"] == "newton":
            raise np.linalg.LinAlgError("singular")
        return fit(self, *args, **kwargs)

    wanted = imp.fit("o ~ x", model="ordinal")
    monkeypatch.setattr(ordered_maximum, "maximised", lambda job: None)  # our own Newton steps come first
    monkeypatch.setattr(OrderedModel, "fit", failing)
    found = imp.fit("o ~ x", model="ordinal")
    assert methods == ["newton", "bfgs"] * 3
    np.testing.assert_allclose(found.params, wanted.params, rtol=1e-4)


def test_dispersion_and_precision_are_pooled_as_logarithms(imp, completed):
    res = imp.fit("c ~ x", model="negativebinomial")
    assert list(res.params.index) == ["Intercept", "x", "log(alpha)"]
    alone = sm.NegativeBinomial(completed[0]["c"], design(completed[0], "x")).fit(disp=0, maxiter=1000)
    np.testing.assert_allclose(res.fits.estimates[0], [*alone.params.iloc[:2], np.log(alone.params.iloc[2])], 1e-4)
    np.testing.assert_allclose(
        np.sqrt(res.fits.covariances[0][2, 2]), alone.bse.iloc[2] / alone.params.iloc[2], rtol=1e-4
    )
    np.testing.assert_allclose(
        res.fits.covariances[0][1, 2], alone.cov_params().iloc[1, 2] / alone.params.iloc[2], rtol=1e-3
    )
    res = imp.fit("p ~ x", model=BetaModel)
    alone = BetaModel(completed[0]["p"], design(completed[0], "x")).fit()
    assert list(res.params.index) == ["Intercept", "x", "log(precision)"]
    np.testing.assert_allclose(res.fits.estimates[0], alone.params, rtol=1e-4)
    again = imp.fit("p ~ x", model="betareg", link_precision=sm.families.links.Identity())
    np.testing.assert_allclose(again.params, res.params, rtol=1e-3)


def test_a_poisson_sample_has_no_log_dispersion():
    rng = np.random.default_rng(3)
    sets = [f.assign(c=rng.binomial(20, 0.3, len(f)).astype(float)) for f in frames()]  # less spread than Poisson
    sets = [f.assign(c=sets[0]["c"]) for f in sets]
    res = imputed(sets).fit("c ~ x", model="negativebinomial")
    poisson = imputed(sets).fit("c ~ x", model="poisson")
    np.testing.assert_allclose(res.params, poisson.params, rtol=1e-3)
    np.testing.assert_allclose(res.bse, poisson.bse, rtol=1e-3)
    assert list(res.params.index) == ["Intercept", "x"]
    assert any("not pooled" in note and "alpha" in note for note in res.fits.notes)


def test_a_cox_model_says_how_it_breaks_ties_and_has_no_constant(imp):
    res = imp.fit("t ~ x + g", model=smf.phreg, status="d")
    assert list(res.params.index) == ["g[T.b]", "g[T.c]", "x"]
    assert res.fits.facts["Ties"] == "breslow"
    assert "breslow" in res.summary().as_text()
    fresh = pd.DataFrame({"x": [0.0, 1.0], "g": ["a", "b"]})
    one = res.results[0]
    hazard = one.predict(exog=fresh, pred_type="lhr").predicted_values
    np.testing.assert_allclose(hazard, [0.0, one.params[0] + one.params[2]], atol=1e-12)


def test_events_may_be_booleans_and_nothing_but_events():
    sets = frames()
    numbers = imputed(sets).fit("t ~ x", model="phreg", status="d")
    flags = imputed([f.assign(d=f["d"] == 1) for f in sets]).fit("t ~ x", model="phreg", status="d")
    np.testing.assert_array_equal(numbers.params, flags.params)
    for wrong in (lambda d: d + 1, lambda d: d.map({0: "alive", 1: "dead"})):
        with pytest.raises(ModelError, match="status='d' is not 1 for an event") as caught:
            imputed([f.assign(d=wrong(f["d"])) for f in sets]).fit("t ~ x", model="phreg", status="d")
        names = {"df": sets[0].assign(d=wrong(sets[0]["d"]).where(sets[0].index > 2))}
        exec(caught.value.do, names)
        event = names["df"]["event"]
        assert event[:3].isna().all() and (event[3:].astype(bool) == (sets[0]["d"][3:] == 1)).all()


def test_a_cox_model_with_clusters_has_their_covariance(imp, completed):
    res = imp.fit("t ~ x", model="phreg", status="d", groups="id")
    frame = completed[0].sort_values("t")
    risk = np.exp(res.fits.estimates[0][0] * frame["x"].to_numpy())
    x, t, d = (frame[name].to_numpy() for name in ("x", "t", "d"))
    later = t[None, :] >= t[:, None]
    mean = (later * risk * x).sum(axis=1) / (later * risk).sum(axis=1)
    hazard = d / (later * risk).sum(axis=1)
    before = later.T  # the row was still at risk at the time of the column
    scores = d * (x - mean) - risk * (before * hazard * (x[:, None] - mean)).sum(axis=1)
    meat = (pd.Series(scores).groupby(frame["id"].to_numpy()).sum() ** 2).sum()
    plain = imp.fit("t ~ x", model="phreg", status="d").fits.covariances[0][0, 0]
    np.testing.assert_allclose(res.fits.covariances[0][0, 0], plain**2 * meat, rtol=1e-8)
    assert (res.dfcom, res.fits.df_source, res.fits.cov_label) == (N_GROUPS - 1, "clusters - 1", "cluster (id)")


def test_mixed_models_have_the_errors_of_generalised_least_squares(imp, completed):
    res = imp.fit("y ~ x + z", model="mixedlm", groups="id")
    assert list(res.params.index) == ["Intercept", "x", "z", "log(id Var)", "log(Residual Var)"]
    frame = completed[0]
    alone = smf.mixedlm("y ~ x + z", frame, groups=frame["id"]).fit(method="bfgs", gtol=1e-8)
    same = (frame["id"].to_numpy()[:, None] == frame["id"].to_numpy()).astype(float)
    variance = alone.scale * np.eye(len(frame)) + float(alone.cov_re.iloc[0, 0]) * same
    exog = design(frame, "x + z").to_numpy()
    wanted = np.linalg.inv(exog.T @ np.linalg.solve(variance, exog))
    np.testing.assert_allclose(res.fits.covariances[0][:3, :3], wanted, rtol=1e-6)
    np.testing.assert_allclose(res.fits.estimates[0][:3], alone.fe_params, rtol=1e-7)
    variances = [np.log(float(alone.cov_re.iloc[0, 0])), np.log(alone.scale)]
    np.testing.assert_allclose(res.fits.estimates[0][3:], variances, rtol=1e-5)
    score = res.results[0].model.score_full(res.results[0].params_object, True)[0]
    np.testing.assert_allclose(score, 0, atol=1e-4)
    assert (res.fits.facts["Method"], res.fits.facts["No. Groups"]) == ("REML", str(N_GROUPS))
    maximum = imp.fit("y ~ x + z", model="mixedlm", groups="id", reml=False)
    assert maximum.fits.facts["Method"] == "ML"


def test_designs_that_fits_leave_in_cycles_do_not_pile_up(completed, monkeypatch):
    import gc
    import tracemalloc

    monkeypatch.setattr("mifit.analysis.build._PILE", 10**5)
    imp = imputed([pd.concat([frame] * 20) for frame in completed * 4])
    one = 4800 * 3 * 8
    imp.fit("b ~ x + z", "glm")  # what is imported and remembered at the first call
    gc.collect()
    gc.disable()  # as if the collector did not come round
    tracemalloc.start()
    try:
        res = imp.fit("b ~ x + z", "glm")
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert res.m == 12
    assert kept < 30 * one  # a fit leaves about 8 designs; without care it is 100


def test_mixed_models_never_use_the_optimizer_that_calls_zero_converged(imp, monkeypatch):
    asked, fit = [], MixedLM.fit

    def watched(self, *args, **kwargs):
        asked.append(kwargs.get("method"))
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(MixedLM, "fit", watched)
    imp.fit("y ~ x", model="mixedlm", groups="id")
    assert not asked
    assert imp.fit("y ~ x", model="mixedlm", groups="id").results[0].converged
    imp.fit("y ~ x", model="mixedlm", groups="id", fit_kwds={"method": "bfgs"})
    assert asked
    assert all(method is not None and "lbfgs" not in method for method in asked)


def test_random_slopes_add_their_variance_and_correlation(completed):
    slope = np.random.default_rng(2).normal(size=N_GROUPS)
    sets = [frame.assign(y=frame["y"] + slope[frame["id"]] * frame["z"]) for frame in completed]
    res = imputed(sets).fit("y ~ x + z", model="mixedlm", groups="id", re_formula="~ z")
    alone = smf.mixedlm("y ~ x + z", sets[0], groups=sets[0]["id"], re_formula="~ z").fit(method="bfgs", gtol=1e-8)
    np.testing.assert_allclose(res.fits.estimates[0][:3], alone.fe_params, rtol=1e-6)
    assert list(res.params.index[3:]) == ["log(id Var)", "log(z Var)", "atanh(id x z Cor)", "log(Residual Var)"]
    covariance = alone.cov_re.to_numpy()
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    wanted = [*np.log(np.diag(covariance)), np.arctanh(correlation), np.log(alone.scale)]
    np.testing.assert_allclose(res.fits.estimates[0][3:], wanted, rtol=1e-5)
    assert "z Var" in str(res.results[0].summary())


def test_a_variance_of_zero_is_not_pooled_and_said():
    rng = np.random.default_rng(1)
    sets = [f.assign(y=rng.normal(size=len(f))) for f in frames()]
    sets = [f.assign(y=f["y"] - f.groupby("id")["y"].transform("mean")) for f in sets]
    sets = [f.assign(y=sets[0]["y"]) for f in sets]
    res = imputed(sets).fit("y ~ x", model="mixedlm", groups="id")
    assert list(res.params.index) == ["Intercept", "x"]
    assert any("a variance is at its boundary in" in note for note in res.fits.notes)


def test_terms_constant_within_groups_count_the_groups():
    sets = [f.assign(size=(f["id"] % 7).astype(float)) for f in frames()]
    res = imputed(sets).fit("y ~ x + size", model="mixedlm", groups="id")
    np.testing.assert_array_equal(res.fits.df_each[:3], [28, 240 - 30 - 1, 28])
    assert (res.df.iloc[:3] <= res.fits.df_each[:3]).all()
    assert not any("groups" in note for note in res.fits.notes)
    given = imputed(sets).fit("y ~ x + size", model="mixedlm", groups="id", dfcom=28)
    assert given.dfcom == 28
    assert given.fits.df_each is None


def test_fewer_than_twenty_groups_are_noted():
    sets = [f[f["id"] < 12].reset_index(drop=True) for f in frames()]
    res = imputed(sets).fit("y ~ x", model="mixedlm", groups="id")
    assert [note for note in res.fits.notes if "groups" in note] == [
        "Only 12 groups: below 20 the variances between groups are imprecise."
    ]


def test_a_working_correlation_does_not_remember_the_set_before():
    sets = frames()
    shared = sm.cov_struct.Exchangeable()
    keywords = {"model": "gee", "groups": "id", "cov_struct": shared}
    whole = imputed(sets).fit("y ~ x", **keywords)
    last = imputed(sets[1:]).fit("y ~ x", **keywords)
    np.testing.assert_array_equal(whole.fits.estimates[1:], last.fits.estimates)
    assert whole.fits.facts["Dependence"] == "Exchangeable"
    assert whole.fits.cov_label == "robust"


def test_an_absent_level_of_the_outcome_names_level_and_set():
    sets = frames()
    sets[1] = sets[1].assign(o=sets[1]["o"].replace({3: 2}))
    for model in ("mnlogit", "ordinal"):
        with pytest.raises(FitError, match="no row of completed set 1 has o = 3"):
            imputed(sets).fit("o ~ x", model=model)


@pytest.mark.parametrize(
    ("model", "outcome", "keywords"),
    [
        ("mnlogit", "o", {}),
        ("ordinal", "o", {}),
        ("phreg", "t", {"status": "d"}),
        ("gee", "y", {"groups": "id"}),
        ("mixedlm", "y", {"groups": "id"}),
        ("quantreg", "y", {}),
        ("rlm", "y", {}),
        ("negativebinomial", "c", {}),
        ("conditional_logit", "b", {"groups": "id"}),
    ],
)
def test_an_absent_level_of_a_predictor_is_refused_not_pooled_as_a_certain_zero(model, outcome, keywords):
    sets = frames()
    sets[2] = sets[2].assign(g=sets[2]["g"].where(sets[2]["g"] != "c", "a"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(FitError, match="not of full rank in set 2") as caught:
            imputed(sets).fit(f"{outcome} ~ x + g", model=model, **keywords)
    assert "g[T.c]" in caught.value.lines["columns"]


def test_a_category_with_many_values_is_no_category(imp):
    with pytest.raises(ModelError, match="has 240 values"):
        imp.fit("y ~ x", model="mnlogit")


def test_two_workers_find_the_same_as_one(imp):
    for model, formula, keywords in (("ordinal", "o ~ x", {}), ("mixedlm", "y ~ x", {"groups": "id"})):
        here, there = (imp.fit(formula, model=model, n_jobs=n, **keywords) for n in (None, 2))
        np.testing.assert_array_equal(here.fits.estimates, there.fits.estimates)


def test_a_cox_model_without_events_says_that_every_row_counts_as_one(imp):
    with pytest.warns(mifit.MifitWarning, match="no status= is given"):
        result = imp.fit("t ~ x", "phreg")
    assert any("Every row is counted as an event" in note for note in result.notes)
    assert not any("counted" in note for note in imp.fit("t ~ x", "phreg", status="d").notes)

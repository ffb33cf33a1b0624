"""Robust standard errors are robust under that name, for every model that takes the word; the others refuse it."""

from functools import partial
from importlib import import_module

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import approx_fprime
from scipy.special import expit, ndtr

import mifit
from mifit.analysis.models import MODELS
from mifit.analysis.sandwich import cox_scores
from support.scaled_models import CASES, completed, frame

TAKING = sorted(name for name, spec in MODELS.items() if spec.robust)
WORDS = {
    "HC0": {"cov_type": "HC0"},
    "cluster": {"cov_type": "cluster", "groups": "id"},
    "HAC": {"cov_type": "HAC", "cov_kwds": {"maxlags": 2}},
}


def case_of(model):
    """The first case of a model: its outcome and words."""
    return next((outcome, words) for name, outcome, words in CASES.values() if name == model)


def of_statsmodels(model, outcome, words, asked, data):
    """Standard errors of the slopes, by statsmodels on one completed set."""
    exog = sm.add_constant(data[["x", "z"]].astype(float), prepend=True)
    init = {word: data[given] if isinstance(given, str) and given in data else given for word, given in words.items()}
    kwds = {word: value for word, value in asked.items() if word != "groups"}
    if asked["cov_type"] == "cluster":
        kwds["cov_kwds"] = {"groups": np.asarray(data["id"])}
    module, _, name = MODELS[model].path.rpartition(".")
    cls = getattr(import_module(module), name)
    if model in ("ols", "wls", "gls", "glm"):
        fitted = cls(data[outcome], exog, **init).fit(**kwds)
    else:
        fitted = cls(data[outcome], exog, **init).fit(disp=0, maxiter=2000, **kwds)
    errors = np.asarray(fitted.bse)
    first = 2 if model == "zeroinflatedpoisson" else 1
    return np.ravel(errors[first : first + 2], order="F")


@pytest.mark.parametrize("asked", WORDS)
@pytest.mark.parametrize("model", [name for name in TAKING if name != "ordinal"])
def test_robust_errors_are_those_of_statsmodels(model, asked):
    outcome, words = case_of(model)
    imp = completed()
    fits = imp.fit(f"{outcome} ~ x + z", model=model, **words, **WORDS[asked]).fits
    plain = imp.fit(f"{outcome} ~ x + z", model=model, **words).fits
    places = [j for j, name in enumerate(fits.names) if name.rpartition(":")[2] in ("x", "z")]
    for k in range(2):
        found = np.sqrt(np.diag(fits.covariances[k]))[places]
        wanted = of_statsmodels(model, outcome, words, WORDS[asked], imp[k])
        np.testing.assert_allclose(found, wanted, rtol=2e-3)
        assert np.abs(found / np.sqrt(np.diag(plain.covariances[k]))[places] - 1).max() > 2e-3


def ordered_loglik(codes, exog, link):
    """Log-likelihood of each row by slopes and cut points, written by hand."""

    def loglik(params):
        ends = np.concatenate([[-np.inf], params[2:], [np.inf]])
        linear = exog @ params[:2]
        return np.log(link(ends[codes + 1] - linear) - link(ends[codes] - linear))

    return loglik


@pytest.mark.parametrize("asked", ["HC0", "cluster"])
@pytest.mark.parametrize("distr, link", [("logit", expit), ("probit", ndtr)])
def test_an_ordered_model_has_a_sandwich_written_by_hand(distr, link, asked):
    imp = completed()
    fits = imp.fit("o ~ x + z", model="ordinal", distr=distr, **WORDS[asked]).fits
    for k in range(3):
        data = imp[k]
        loglik = ordered_loglik(data["o"].to_numpy().astype(int), data[["x", "z"]].to_numpy(), link)
        params = fits.estimates[k]
        scores = np.array([(loglik(params + h) - loglik(params - h)) / 2e-5 for h in 1e-5 * np.eye(len(params))]).T
        gradient = partial(approx_fprime, f=lambda q, f=loglik: f(q).sum(), epsilon=1e-4)
        bread = np.linalg.inv(-approx_fprime(params, gradient, 1e-4))
        factor = 1.0
        if asked == "cluster":
            groups = data["id"].to_numpy()
            scores, n, q = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)]), *scores.shape
            factor = len(scores) / (len(scores) - 1) * (n - 1) / (n - q)
        wanted = factor * bread @ scores.T @ scores @ bread
        np.testing.assert_allclose(np.sqrt(np.diag(fits.covariances[k])), np.sqrt(np.diag(wanted)), rtol=1e-2)


@pytest.mark.parametrize("model", [name for name in TAKING if MODELS[name].equation != "least squares"])
def test_a_correction_for_leverage_is_not_claimed_where_there_is_none(model):
    outcome, words = case_of(model)
    imp = completed()
    plain = imp.fit(f"{outcome} ~ x + z", model=model, **words, cov_type="HC0")
    asked = imp.fit(f"{outcome} ~ x + z", model=model, **words, cov_type="HC3")
    np.testing.assert_array_equal(asked.fits.covariances, plain.fits.covariances)
    assert asked.fits.cov_label == "HC0"
    assert any("HC3 corrects for leverage in linear models only" in note for note in asked.fits.notes)
    assert imp.fit("y ~ x + z", cov_type="HC3").fits.cov_label == "HC3"


@pytest.mark.parametrize("model", [name for name in MODELS if name not in TAKING])
def test_a_model_without_them_refuses_the_word(model):
    outcome, words = case_of(model)
    with pytest.raises(mifit.ModelError, match="cov_type|has no covariance 'HC0'"):
        completed().fit(f"{outcome} ~ x + z", model=model, **words, cov_type="HC0")


@pytest.mark.parametrize(
    "model, outcome, words, label",
    [
        ("rlm", "y", {"cov": "H2"}, "H2"),
        ("quantreg", "y", {"vcov": "iid", "q": 0.3}, "iid"),
        ("gee", "y", {"groups": "id", "cov_type": "naive"}, "naive"),
    ],
)
def test_the_label_is_that_of_the_word_each_model_has(model, outcome, words, label):
    imp = completed()
    asked = imp.fit(f"{outcome} ~ x + z", model=model, **words)
    assert asked.fits.cov_label == label
    own = {word: value for word, value in words.items() if word in ("groups", "q")}
    assert not np.allclose(asked.fits.covariances, imp.fit(f"{outcome} ~ x + z", model=model, **own).fits.covariances)


@pytest.mark.parametrize("given", ["hc1", "robust", "HC4"])
@pytest.mark.parametrize("model, outcome", [("ols", "y"), ("ordinal", "o"), ("logit", "b")])
def test_an_unknown_estimator_is_refused_with_a_call_that_runs(model, outcome, given):
    imp = completed()
    with pytest.raises(mifit.ModelError, match="has no covariance") as caught:
        imp.fit(f"{outcome} ~ x + z", model=model, cov_type=given)
    call = str(caught.value).rpartition(" : ")[2].partition("#")[0].strip()
    assert eval(call, {"imp": imp}).fits.cov_label.startswith("HC") or "nonrobust" in call


def test_without_overdispersion_the_errors_of_a_negative_binomial_are_robust_too():
    data = frame(seed=5).drop(columns=["y", "c"])
    rng = np.random.default_rng(4)
    data["c"] = rng.binomial(4, expit(0.5 * data["x"]))  # less spread than a Poisson's
    hole = rng.random(len(data)) < 0.1
    imp = mifit.impute(
        data.assign(x=data["x"].where(~hole))[["c", "x", "z", "id"]], "c ~ x + z", model="negativebinomial", m=2, rng=1
    )
    fits = imp.fit("c ~ x + z", model="negativebinomial", cov_type="HC0").fits
    for k in range(2):
        exog = sm.add_constant(imp[k][["x", "z"]])
        known = sm.Poisson(imp[k]["c"], exog).fit(disp=0, cov_type="HC0")
        np.testing.assert_allclose(np.sqrt(np.diag(fits.covariances[k])), known.bse, rtol=1e-3)


def cox_scores_by_hand(exog, linear, time, event, entry, strata, efron):
    """The same by loops over deaths and all rows."""
    n = len(time)
    found, hazard = np.zeros_like(exog), np.exp(linear)
    for level in np.unique(strata):
        for t in np.unique(time[(event > 0) & (strata == level)]):
            risk = (strata == level) & (time >= t) & (entry < t)
            dying = (strata == level) & (time == t) & (event > 0)
            d = dying.sum()
            for j in range(d):
                weight = hazard * risk * np.where(dying, 1 - (j / d if efron else 0), 1.0)
                mean = weight @ exog / weight.sum()
                for i in range(n):
                    found[i] += (exog[i] - mean) * (dying[i] / d - weight[i] / weight.sum())
    return found


@pytest.mark.parametrize("efron", [True, False])
@pytest.mark.parametrize("late", [True, False])
@pytest.mark.parametrize("several", [True, False])
def test_score_residuals_of_a_cox_model(efron, late, several):
    data = frame(n=80, seed=2)
    strata = data["s"].to_numpy() if several else np.zeros(80)
    entry = data["early"].to_numpy() if late else np.full(80, -np.inf)
    exog, beta = data[["x", "z"]].to_numpy(), np.array([0.3, -0.2])
    given = (exog, exog @ beta, data["t"].to_numpy(), data["d"].to_numpy(), entry, strata, efron)
    found = cox_scores(*given[:4], entry if late else None, strata if several else None, efron)
    np.testing.assert_allclose(found, cox_scores_by_hand(*given), atol=1e-12)
    words = {"entry": entry} if late else {}
    words |= {"strata": strata} if several else {}
    ties = "efron" if efron else "breslow"
    model = sm.PHReg(data["t"], data[["x", "z"]], status=data["d"], ties=ties, **words)
    np.testing.assert_allclose(found.sum(axis=0), model.score(beta), atol=1e-8)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_clustered_errors_of_a_cox_model_use_the_residuals_of_its_ties(ties):
    imp = completed()
    fits = imp.fit("t ~ x + z", model="phreg", status="d", ties=ties, fit_kwds={"groups": "id"}).fits
    for k in range(3):
        data = imp[k]
        exog, params = data[["x", "z"]].to_numpy(), fits.estimates[k]
        rest = (np.full(len(data), -np.inf), np.zeros(len(data)), ties == "efron")
        scores = cox_scores_by_hand(exog, exog @ params, data["t"].to_numpy(), data["d"].to_numpy(), *rest)
        groups = data["id"].to_numpy()
        summed = np.array([scores[groups == g].sum(axis=0) for g in np.unique(groups)])
        model = sm.PHReg(data["t"], data[["x", "z"]], status=data["d"], ties=ties)
        bread = np.linalg.inv(model.hessian(params))
        np.testing.assert_allclose(fits.covariances[k], bread @ summed.T @ summed @ bread, rtol=1e-6)

"""Log-likelihoods: at the maximum, at given parameters, stacked; for every model that has one."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import mifit
from mifit import ModelError
from mifit.analysis.likelihood import loglik_at, loglik_fits, stacked, without_likelihood
from mifit.analysis.models import MODELS, Call, sorted_words
from mifit.formula.design import freeze
from mifit.formula.question import ask
from mifit.frame.sets_from_elsewhere import from_long
from support.outcomes import N_GROUPS, design, frames


def sets_of(completed):
    """Completed sets from frames."""
    long = pd.concat([f.assign(**{".imp": k + 1, ".id": np.arange(len(f))}) for k, f in enumerate(completed)])
    return from_long(long.reset_index(drop=True), ".imp", ".id", None)[0]


@pytest.fixture(scope="module")
def completed():
    return sets_of([f.assign(trio=np.arange(len(f)) // 3) for f in frames()])


def parts(completed, model, formula, keywords):
    """Design, sets and call."""
    words = sorted_words(model, keywords)
    question = ask(formula, completed.table, model=model, keywords=words.init)
    return freeze(question, completed.table), completed, words


GAMMA = sm.families.Gamma(sm.families.links.Log())
WORDS = {
    "ols": ("y ~ x + g", {}),
    "wls": ("y ~ x + g", {"weights": "w"}),
    "gls": ("y ~ x + g", {"sigma": "w"}),
    "logit": ("b ~ x + g", {}),
    "probit": ("b ~ x + g", {}),
    "poisson": ("c ~ x + g", {"exposure": "w"}),
    "negativebinomial": ("c ~ x + g", {}),
    "generalizedpoisson": ("c ~ x + g", {}),
    "zeroinflatedpoisson": ("c ~ x + g", {}),
    "mnlogit": ("o ~ x + z", {}),
    "ordinal": ("o ~ x + z", {"distr": "logit"}),
    "betareg": ("p ~ x + z", {}),
    "glm": ("t ~ x + g", {"family": GAMMA, "freq_weights": np.tile([1.0, 2.0], 120)}),
    "mixedlm": ("y ~ x + z", {"groups": "id"}),
    "mixed_logit": ("b ~ x + z", {"groups": "id"}),
    "mixed_poisson": ("c ~ x + z", {"groups": "id", "exposure": "w"}),
    "mixed_ordinal": ("o ~ x + z", {"groups": "id"}),
    "phreg": ("t ~ x + z", {"status": "d", "ties": "efron", "strata": "g"}),
    "conditional_logit": ("b ~ x + z", {"groups": "id"}),
    "conditional_poisson": ("c ~ x + z", {"groups": "id"}),
    "conditional_mnlogit": ("o ~ x + z", {"groups": "trio"}),
}


def test_every_model_with_a_likelihood_is_tried():
    assert {name for name, entry in MODELS.items() if entry.likelihood} == {*WORDS}


# statsmodels enumerates every order of a group: half a minute for one model
MOST = [pytest.param(m, marks=pytest.mark.slow) if m == "conditional_mnlogit" else m for m in WORDS]


@pytest.mark.parametrize("model", MOST)
def test_the_maximum_is_a_maximum_and_the_value_there_is_the_same(model, completed):
    asked = parts(completed, model, *WORDS[model])
    found = loglik_fits(*asked)
    assert found.additive
    assert found.reason == ""
    for k in range(len(completed)):
        at = found.params[k]
        np.testing.assert_allclose(loglik_at(*asked, k, at), found.logliks[k], rtol=1e-12)
        for j in range(len(at)):
            for sign in (-1, 1):
                step = np.zeros(len(at))
                step[j] = sign * 1e-3 * max(abs(at[j]), 0.1)
                assert loglik_at(*asked, k, at + step) < found.logliks[k] + 1e-7


@pytest.mark.parametrize("model", MOST)
def test_equal_sets_stacked_have_m_times_the_likelihood(model, completed):
    frame = completed.frame(1)
    asked = parts(sets_of([frame, frame, frame]), model, *WORDS[model])
    found = loglik_fits(*asked)
    np.testing.assert_allclose(stacked(*asked), found.logliks.sum(), rtol=1e-7)


@pytest.mark.parametrize("model", MOST)
def test_stacked_sets_fit_no_better_than_each_set_alone(model, completed):
    asked = parts(completed, model, *WORDS[model])
    found = loglik_fits(*asked)
    at_mean = sum(loglik_at(*asked, k, found.params.mean(axis=0)) for k in range(len(completed)))
    assert at_mean - 1e-6 <= stacked(*asked) <= found.logliks.sum() + 1e-6


def test_values_are_those_of_statsmodels_where_it_means_the_same(completed):
    frame = completed.frame(0)
    same = {
        "wls": sm.WLS(frame["y"], design(frame), weights=frame["w"]).fit().llf,
        "gls": sm.GLS(frame["y"], design(frame), sigma=frame["w"]).fit().llf,
        "poisson": sm.Poisson(frame["c"], design(frame), exposure=frame["w"]).fit(disp=0).llf,
        "mixedlm": smf.mixedlm("y ~ x + z", frame, groups=frame["id"]).fit(reml=False).llf,
        "negativebinomial": sm.NegativeBinomial(frame["c"], design(frame)).fit(disp=0, maxiter=1000).llf,
    }
    for model, wanted in same.items():
        np.testing.assert_allclose(loglik_fits(*parts(completed, model, *WORDS[model])).logliks[0], wanted, rtol=1e-9)


def test_a_normal_family_has_the_likelihood_of_least_squares(completed):
    glm = loglik_fits(*parts(completed, "glm", "y ~ x", {"var_weights": "w"}))
    wls = loglik_fits(*parts(completed, "wls", "y ~ x", {"weights": "w"}))
    np.testing.assert_allclose(glm.logliks, wls.logliks)
    np.testing.assert_allclose(glm.params, wls.params)


def test_restricted_mixed_models_are_compared_by_maximum_likelihood(completed):
    asked = {reml: parts(completed, "mixedlm", "y ~ x", {"groups": "id", "reml": reml}) for reml in (True, False)}
    np.testing.assert_array_equal(loglik_fits(*asked[True]).logliks, loglik_fits(*asked[False]).logliks)


@pytest.mark.parametrize(
    ("model", "keywords"), [("phreg", {"status": "d"}), ("conditional_logit", {"groups": "id"}), ("ordinal", {})]
)
def test_a_model_without_predictors_has_a_likelihood(model, keywords, completed):
    outcome = {"phreg": "t", "ordinal": "o"}.get(model, "b")
    null, full = (loglik_fits(*parts(completed, model, f"{outcome} ~ {right}", keywords)) for right in ("1", "x"))
    assert (null.logliks < full.logliks).all()
    assert null.params.shape[1] == full.params.shape[1] - 1
    assert stacked(*parts(completed, model, f"{outcome} ~ 1", keywords)) <= null.logliks.sum() + 1e-6


NONE = {
    "gee": ({"groups": "id"}, "GEE has no likelihood"),
    "rlm": ({}, "RLM has no likelihood"),
    "quantreg": ({}, "QuantReg has no likelihood"),
    "ols": ({"cov_type": "HC1"}, "cov_type='HC1' does without the likelihood"),
    "logit": ({"cov_type": "cluster", "groups": "id"}, "cov_type='cluster' does without"),
    "phreg": ({"status": "d", "groups": "id"}, "cov_type='cluster' does without"),
    "glm": ({"scale": "X2"}, "quasi-likelihood"),
}


@pytest.mark.parametrize("model", NONE)
def test_an_analysis_without_an_additive_likelihood_says_why(model, completed):
    keywords, reason = NONE[model]
    asked = parts(completed, model, "b ~ x", keywords)
    found = loglik_fits(*asked)
    assert not found.additive
    assert reason in found.reason == without_likelihood(asked[2])
    assert np.isnan(found.logliks).all()
    assert found.params.shape == (3, 0)
    for call_it in (lambda: stacked(*asked), lambda: loglik_at(*asked, 0, np.zeros(2))):
        with pytest.raises(ModelError, match="no likelihood-ratio test") as caught:
            call_it()
        assert "D1" in caught.value.do
    assert without_likelihood(Call("glm", {"family": sm.families.Tweedie()}))


def test_groups_of_different_sets_are_different_groups(completed):
    asked = parts(completed, "mixedlm", "y ~ x", {"groups": "id"})
    found = loglik_fits(*asked)
    frame = pd.concat(
        [completed.frame(k).assign(id=completed.frame(k)["id"] + k * N_GROUPS) for k in range(3)], ignore_index=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = smf.mixedlm("y ~ x", frame, groups=frame["id"]).fit(reml=False).llf
    np.testing.assert_allclose(stacked(*asked), wanted, rtol=1e-9)
    assert stacked(*asked) < found.logliks.sum()


def test_a_matrix_of_all_rows_against_all_cannot_be_stacked(completed):
    asked = parts(completed, "gls", "y ~ x", {"sigma": np.diag(np.linspace(1, 2, 240))})
    assert loglik_fits(*asked).additive
    with pytest.raises(ModelError, match="cannot be stacked"):
        stacked(*asked)


def test_ratios_of_random_slopes_do_not_depend_on_where_a_column_begins():
    """Average covariances of effects of a column at a million keep no digits; of the same column at 0 they keep all."""
    rng = np.random.default_rng(1)
    group, n = np.repeat(np.arange(40), 6), 240
    effects = rng.normal(size=(40, 2)) @ [[0.8, 0.2], [0.0, 0.4]]
    x, z = rng.normal(size=n), rng.normal(size=n)
    y = 0.1 * x + 0.3 * z + effects[group, 0] + effects[group, 1] * x + rng.normal(size=n)
    sets = [pd.DataFrame({"g": group, "x": x + 0.3 * rng.normal(size=n), "z": z, "y": y}) for _ in range(4)]
    found = {}
    for origin in (0.0, 1e6):
        imp = mifit.from_frames([one.assign(x=one["x"] + origin) for one in sets], original=None)
        words = {"model": "mixedlm", "groups": "g", "re_formula": "~ x"}
        larger, smaller = (imp.fit(formula, **words) for formula in ("y ~ x + z", "y ~ x"))
        found[origin] = [larger.compare(smaller, method=method).statistic for method in ("D3", "D4")]
    np.testing.assert_allclose(found[1e6], found[0.0], rtol=1e-6)

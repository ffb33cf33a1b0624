"""Truth: figures that R gives for the same completed data; reference/README.md says how they were made."""

import numpy as np
import pandas as pd
import pytest

from mifit.analysis.likelihood import loglik_at, loglik_fits, stacked
from mifit.analysis.models import sorted_words
from mifit.formula.design import freeze
from mifit.formula.question import ask
from mifit.frame.sets_from_elsewhere import from_long
from mifit.pooling.rubin import pool, t_pvalue, t_quantile
from support.references import CASES, QUANTILE, assert_figures, models_of, read, read_long, wanted_frame


def closed_form(expected, df_complete):
    """Pool the recorded fits; every column of the recorded pooled figures."""
    fits = expected["per_imputation"]
    pooled = pool(np.array(fits["estimate"]), np.array(fits["vcov"]), df_complete, names=fits["terms"])
    statistic = pooled.params / pooled.std_error
    half = t_quantile(0.975, pooled.df) * pooled.std_error
    return pd.DataFrame(
        {
            "estimate": pooled.params,
            "std.error": pooled.std_error,
            "statistic": statistic,
            "df": pooled.df,
            "p.value": t_pvalue(statistic, pooled.df),
            "conf.low": pooled.params - half,
            "conf.high": pooled.params + half,
            "riv": pooled.riv,
            "lambda": pooled.lambda_,
            "fmi": pooled.fmi,
            "ubar": np.diag(pooled.within),
            "b": np.diag(pooled.between),
            "t": np.diag(pooled.total),
        },
        index=fits["terms"],
    )


@pytest.mark.parametrize("name", CASES)
def test_the_pooling_formulas_alone_give_every_figure(name):
    case, expected = read(name)
    tolerance = case["tolerance"]["pooled_closed_form"]
    for rows, df_complete in ((expected["pooled"], case["dfcom"]), (expected["pooled_large_sample"], np.inf)):
        wanted = wanted_frame(rows)
        found = closed_form(expected, df_complete).loc[wanted.index]
        for column in found.columns.intersection(wanted.columns):
            rtol = max(tolerance, QUANTILE if column.startswith("conf") else 0.0)
            np.testing.assert_allclose(found[column], wanted[column], rtol=rtol, atol=0, err_msg=column)


@pytest.mark.parametrize("original", [True, False], ids=["with set 0", "without set 0"])
@pytest.mark.parametrize("name", CASES)
def test_long_data_fitted_and_pooled_give_every_figure(name, original):
    assert_figures(name, read_long(name, read(name)[0], original))


def parts_of(case, imp, formula):
    """Return design, completed sets and call of one formula of a case."""
    keywords = models_of(case)[0]
    words = sorted_words(keywords.pop("model"), keywords)
    question = ask(formula, imp.table, model=words.model, keywords=words.init)
    return freeze(question, imp.table), imp, words


#: lme4 and statsmodels stop their optimizers at slightly different places
LOGLIK = {"lmer_random_intercept": 1e-6}


@pytest.mark.parametrize("name", CASES)
def test_log_likelihoods_of_every_set_are_those_of_r(name):
    case, expected = read(name)
    imp, _ = from_long(read_long(name, case), ".imp", ".id", None)
    wanted = expected["per_imputation"].get("loglik")
    full = parts_of(case, imp, case["formula"])
    found = loglik_fits(*full)
    if wanted is None or not found.additive:
        robust = "cov_type" in case["statsmodels"]
        assert found.additive != robust
        assert np.isnan(found.logliks).all() == robust
        return
    allowed = LOGLIK.get(name, 1e-9)
    np.testing.assert_allclose(found.logliks, wanted, rtol=0, atol=allowed)
    again = [loglik_at(*full, k, found.params[k]) for k in range(len(imp))]
    np.testing.assert_allclose(again, found.logliks, rtol=1e-12)
    for test in expected["tests"] or []:
        if "loglik_null" in test:
            null = loglik_fits(*parts_of(case, imp, test["null_formula"]))
            np.testing.assert_allclose(null.logliks, test["loglik_null"], rtol=0, atol=allowed)


LIKELIHOOD_CASES = [name for name in CASES if any("D4" in test for test in read(name)[1]["tests"] or [])]


@pytest.mark.parametrize("name", LIKELIHOOD_CASES)
def test_likelihood_ratios_at_pooled_estimates_and_on_stacked_sets_are_those_of_r(name):
    case, expected = read(name)
    imp, _ = from_long(read_long(name, case), ".imp", ".id", None)
    m, full = len(imp), parts_of(case, imp, case["formula"])
    top, on_all = loglik_fits(*full), stacked(*full)
    for test in expected["tests"]:
        small = parts_of(case, imp, test["null_formula"])
        null = loglik_fits(*small)
        found = 2 * (on_all - stacked(*small)) / m
        np.testing.assert_allclose(found, test["D4"]["lrt_stacked"], rtol=1e-8, atol=1e-9)
        np.testing.assert_allclose(on_all / m, test["loglik_stacked_over_m"]["full"], rtol=1e-9)
        if "D3" not in test:
            continue
        both = ((full, top.params.mean(axis=0)), (small, null.params.mean(axis=0)))
        high, low = (np.mean([loglik_at(*parts, k, at) for k in range(m)]) for parts, at in both)
        np.testing.assert_allclose(2 * (high - low), test["D3"]["lrt_at_pooled"], rtol=1e-8, atol=1e-9)


def test_a_cox_model_is_stacked_with_the_set_as_its_stratum():
    case, expected = read("coxph_efron")
    imp, _ = from_long(read_long("coxph_efron", case), ".imp", ".id", None)
    full, small = (parts_of(case, imp, formula) for formula in (case["formula"], expected["tests"][0]["null_formula"]))
    mean = 2 * np.mean(loglik_fits(*full).logliks - loglik_fits(*small).logliks)
    on_all = 2 * (stacked(*full) - stacked(*small)) / len(imp)
    assert 0.8 * mean < on_all < mean

"""Truth: figures that R gives for the same completed data; reference/README.md says how they were made."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
import statsmodels.api as sm

from mifit.analysis.likelihood import loglik_at, loglik_fits, stacked
from mifit.analysis.models import call
from mifit.formula.design import freeze
from mifit.formula.question import ask
from mifit.frame.elsewhere import from_long
from mifit.pooling.rubin import pool, t_pvalue, t_quantile

REFERENCE = Path(__file__).parent / "reference"
CASES = sorted(path.parent.name for path in REFERENCE.glob("*/case.json"))


def older(package, *version):
    """Tell whether a package is older than a version."""
    return tuple(map(int, package.__version__.split(".")[:2])) < version


#: scipy before 1.12 finds quantiles of t to nine digits only, and a limit near zero loses some of them
QUANTILE = 1e-7 if older(scipy, 1, 12) else 0.0

#: pandas from 3.1 always reads floats exactly
EXACT = {"float_precision": "round_trip"} if older(pd, 3, 1) else {}


def stored(name):
    """Return the folder of a case; the source distribution has none, for the data are under other terms."""
    if not REFERENCE.is_dir():
        pytest.skip("tests/reference stays in the repository")
    return REFERENCE / name


def read(name):
    """Return a case and what must come out of it."""
    folder = stored(name)
    case, expected = (json.loads((folder / f"{file}.json").read_text()) for file in ("case", "expected"))
    case["dfcom"] = float(case["dfcom"])
    return case, expected


def read_long(name, case, original=True):
    """Return the completed sets stacked, with the incomplete data as set 0 if wanted."""
    text = {c: str for c, s in case["columns"].items() if s["type"] in ("factor", "ordered")}
    options = {"dtype": text, "keep_default_na": False, "na_values": [""], **EXACT}
    long = pd.read_csv(REFERENCE / name / "completed.csv.gz", **options)
    if original:
        zero = pd.read_csv(REFERENCE / name / "data.csv", **options)
        zero.insert(0, ".id", np.arange(1, len(zero) + 1))
        zero.insert(0, ".imp", 0)
        long = pd.concat([zero, long], ignore_index=True)
    for column in text:
        about = case["columns"][column]
        long[column] = pd.Categorical(long[column], about["levels"], ordered=about["type"] == "ordered")
    return long


def wanted_frame(rows):
    """Return pooled figures as a frame under the names of their terms."""
    frame = pd.DataFrame([{k: float(v) if v == "Inf" else v for k, v in row.items()} for row in rows])
    if "y.level" in frame:
        frame["term"] = frame["y.level"] + ":" + frame["term"]
    return frame.set_index("term")


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


def models_of(case):
    """Return the calls of ``fit`` that must reproduce a case: the model's own and its equals."""
    about = case["statsmodels"]
    keywords = {"model": about["model"]}
    keywords |= {
        word: about[word] for word in ("exposure", "cov_type", "groups", "status", "ties", "distr") if word in about
    }
    if "family" in about:
        link = getattr(sm.families.links, about["link"])()
        keywords["family"] = getattr(sm.families, about["family"])(link)
    equal = {"Binomial": "logit", "Poisson": "poisson"}.get(about.get("family"))
    more = [{**{k: v for k, v in keywords.items() if k != "family"}, "model": equal}] if equal else []
    return [keywords, *more]


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
    mifit = importlib.import_module("mifit")
    case, expected = read(name)
    wanted = wanted_frame(expected["pooled"])
    tolerance = case["tolerance"]["default_fit"]
    estimate, error, rest = (tolerance[f"pooled_{word}"] for word in ("estimate", "std.error", "df_fmi"))
    imp = mifit.from_long(read_long(name, case, original), imp=".imp", id=".id", original=None)
    assert len(imp) == case["m"]
    for keywords in models_of(case):
        res = imp.fit(case["formula"], **keywords)
        assert res.dfcom == case["dfcom"]
        found = res.to_frame().loc[wanted.index]
        assert sorted(found.index) == sorted(name for name in res.params.index if not name.startswith("log("))
        scale = np.maximum(wanted["estimate"].abs(), wanted["std.error"])
        assert (np.abs(found["estimate"] - wanted["estimate"]) <= estimate * scale).all()
        np.testing.assert_allclose(found["std_error"], wanted["std.error"], rtol=error)
        both = estimate + error
        t = wanted["statistic"].abs()
        assert (np.abs(found["statistic"] - wanted["statistic"]) <= both * np.maximum(t, 1)).all()
        # d log p / d log t is at most about t^2 + 1
        np.testing.assert_array_less(np.abs(np.log(found["p_value"] / wanted["p.value"])), (both + rest) * (t**2 + 2))
        for mine, theirs in (("conf_low", "conf.low"), ("conf_high", "conf.high")):
            allowed = (both + rest + QUANTILE) * (scale + 3 * wanted["std.error"])
            assert (np.abs(found[mine] - wanted[theirs]) <= allowed).all()
        for column in ("df", "riv", "lambda", "fmi"):
            np.testing.assert_allclose(found[column], wanted[column], rtol=rest, err_msg=column)
        for column, matrix in (("ubar", res.within), ("b", res.between), ("t", res.total)):
            diagonal = pd.Series(np.diag(matrix), index=matrix.index).loc[wanted.index]
            np.testing.assert_allclose(diagonal, wanted[column], rtol=2 * error, err_msg=column)


def parts_of(case, imp, formula):
    """Return design, completed sets and call of one formula of a case."""
    keywords = models_of(case)[0]
    words = call(keywords.pop("model"), keywords)
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

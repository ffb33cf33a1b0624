"""Truth: figures that R gives for the same completed data; reference/README.md says how they were made."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
import statsmodels.api as sm

from mifit.pool.rubin import pool, t_pvalue, t_quantile

REFERENCE = Path(__file__).parent / "reference"
CASES = sorted(folder.name for folder in REFERENCE.glob("*_*") if (folder / "case.json").is_file())


def older(package, *version):
    """Tell whether a package is older than a version."""
    return tuple(map(int, package.__version__.split(".")[:2])) < version


#: scipy before 1.12 finds quantiles of t to nine digits only, and a limit near zero loses some of them
QUANTILE = 1e-7 if older(scipy, 1, 12) else 0.0

#: pandas from 3.1 always reads floats exactly
EXACT = {"float_precision": "round_trip"} if older(pd, 3, 1) else {}


def read(name):
    """Return a case and what must come out of it."""
    folder = REFERENCE / name
    return json.loads((folder / "case.json").read_text()), json.loads((folder / "expected.json").read_text())


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
    return pd.DataFrame([{k: float(v) if v == "Inf" else v for k, v in row.items()} for row in rows]).set_index("term")


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
    if "family" in about:
        link = getattr(sm.families.links, about["link"])()
        keywords["family"] = getattr(sm.families, about["family"])(link)
    if "exposure" in about:
        keywords["exposure"] = about["exposure"]
    if "cov_type" in about:
        keywords["cov_type"] = about["cov_type"]
    if "groups" in about:
        keywords["cov_kwds"] = {"groups": about["groups"]}
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

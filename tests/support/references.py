"""Pooled analyses that R computed: the cases of tests/reference, their data, and the calls that must agree."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy
import statsmodels.api as sm

import mifit

REFERENCE = Path(__file__).parents[1] / "reference"
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


def wanted_frame(rows):
    """Return pooled figures as a frame under the names of their terms."""
    frame = pd.DataFrame([{k: float(v) if v == "Inf" else v for k, v in row.items()} for row in rows])
    if "y.level" in frame:
        frame["term"] = frame["y.level"] + ":" + frame["term"]
    return frame.set_index("term")


def assert_figures(name, long):
    """Fit and pool the sets of a case, stacked, by every equal call; compare each figure with R's."""
    case, expected = read(name)
    wanted = wanted_frame(expected["pooled"])
    tolerance = case["tolerance"]["default_fit"]
    estimate, error, rest = (tolerance[f"pooled_{word}"] for word in ("estimate", "std.error", "df_fmi"))
    imp = mifit.from_long(long, imp=".imp", id=".id", original=None)
    assert len(imp) == case["m"]
    for keywords in models_of(case):
        by_group = {"dfcom": np.inf} if case["dfcom"] == np.inf else {}  # R pools lme4's fits with a normal quantile
        res = imp.fit(case["formula"], **keywords, **by_group)
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

"""What impute refuses, plan refuses in the same words; what plan accepts, impute runs."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit

N = 80


def frame():
    """Columns of every kind, seven of them with missing values."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, N))
    out = pd.DataFrame({"y": x + z + rng.normal(size=N), "x": x, "z": z, "g": rng.choice(list("abc"), N)})
    out = out.assign(
        b=rng.integers(0, 2, N).astype(float), c=rng.poisson(2, N).astype(float), id=np.repeat(np.arange(N // 4), 4),
        t=rng.exponential(1, N) + 0.01, d=rng.integers(0, 2, N), p=rng.uniform(0.1, 0.9, N), w=rng.uniform(1, 3, N),
    )  # fmt: skip
    for name in ("y", "x", "b", "c", "g"):
        out[name] = out[name].where(rng.random(N) > 0.2)
    out["k"] = out["w"].where(rng.random(N) > 0.2)
    return out


def zeros(data):
    return data.assign(z=data["z"].where(data.index % 9 != 0, 0.0))


COX = {"model": "phreg", "status": "d"}
#: name -> (what is done to the frame, the formula, words)
REFUSED = {
    "three rows": (lambda d: d.iloc[:3], "y ~ x + z", {}),
    "a level for each row": (lambda d: d.assign(h=[f"l{i}" for i in range(N)]), "y ~ C(h) + x", {}),
    "ratio to a column with zeros, beside the analysis": (zeros, "y ~ x + z", {"derived": {"q": "x / z"}}),
    "ratio to a column with zeros, in the analysis": (zeros, "y ~ q", {"derived": {"q": "x / z"}}),
    "ratio without an analysis": (zeros, None, {"derived": {"q": "x / z"}}),
    "ratio, not congenial": (zeros, "y ~ q", {"derived": {"q": "x / z"}, "congeniality": "ignore"}),
    "ratio of terms": (zeros, "y ~ x", {"derived": {"q": "x / z"}, "congeniality": "terms"}),
    "ratio to a count": (None, "y ~ x", {"derived": {"q": "x / c"}}),
    "logarithm of both signs": (None, "y ~ z", {"derived": {"q": "np.log(x)"}}),
    "a function that overflows": (None, "y ~ z", {"derived": {"q": "np.exp(1000 * x)"}}),
    "a number plus a text": (None, "y ~ z", {"derived": {"q": "x + 'a'"}}),
    "a derived circle": (None, "y ~ x", {"derived": {"q": "r + x", "r": "q + x"}}),
    "a derived value that contradicts": (lambda d: d.assign(s=d.x + d.z + 1), "y ~ s", {"derived": {"s": "x + z"}}),
    "a derived outcome": (lambda d: d.assign(s=d.x + d.z), "s ~ w", {"derived": {"s": "x + z"}}),
    "logarithm in the formula": (None, "y ~ np.log(x) + z", {}),
    "zeros in the formula": (zeros, "y ~ I(x / z)", {}),
    "an outcome without logarithm": (None, "np.log(y) ~ x", {}),
    "overflow in the formula": (None, "y ~ np.exp(1000 * x) + z", {}),
    "squares that are no numbers": (lambda d: d.assign(x=d.x * 1e200), "y ~ x + I(x**2) + z", {}),
    "bounds that no value keeps": (None, "y ~ x + z", {"bounds": {"x": (5, 6)}}),
    "bounds that cross": (None, "y ~ x + z", {"bounds": {"x": (2, -2)}}),
    "a lower end of infinity": (None, "y ~ x + z", {"censored": {"x": (np.inf, None)}}),
    "an upper end of minus infinity": (None, "y ~ x + z", {"censored": {"x": (None, -np.inf)}}),
    "truncated where values were observed": (None, "y ~ x + z", {"truncated": {"x": (5, 6)}}),
    "bounds by an incomplete column": (None, "y ~ x + z", {"censored": {"x": ("y", None)}}),
    "bounds of a text": (None, "y ~ x + z", {"bounds": {"g": (0, 1)}}),
    "a condition that never holds": (None, "y ~ k + z", {"conditional": {"k": "z > 100"}}),
    "a condition that is contradicted": (None, "y ~ k + z", {"conditional": {"k": "z > 0"}}),
    "conditions in a circle": (None, "y ~ x + z", {"conditional": {"x": "c > 0", "c": "x > 0"}}),
    "no rows to learn from": (None, "y ~ x + z", {"ignore": "z > -100"}),
    "cells of another shape": (None, "y ~ x + z", {"where": np.ones((3, 3), dtype=bool)}),
    "groups with missing values": (None, "y ~ x + z", {"by": "g"}),
    "ids with missing values": (lambda d: d.assign(id=d["id"].where(d.index > 3)), "y ~ x", {"id": "id"}),
    "weights with missing values": (None, "y ~ x + z", {"weights": "c", "model": "wls"}),
    "an unknown method": (None, "y ~ x + z", {"methods": {"x": "zzz"}}),
    "a method for other columns": (None, "y ~ x + z", {"methods": {"g": "norm"}}),
    "a predictor with zeros": (zeros, None, {"predictors": {"k": "I(x / z)"}}),
    "a predictor that is not there": (None, None, {"predictors": {"k": ["nope"]}}),
    "an order with a name twice": (None, "y ~ x", {"order": ["x", "x", "y"]}),
    "a kind it cannot be": (None, "y ~ x + z", {"kinds": {"x": "count"}}),
    "levels that are not there": (None, "y ~ x + z", {"collapse": {"g": {"ab": ["a", "zz"]}}}),
    "nothing observed": (lambda d: d.assign(x=np.nan), "y ~ x + z", {}),
    "infinite": (lambda d: d.assign(x=d.x.where(d.index != 2, np.inf)), "y ~ x + z", {}),
    "a number as yes and no": (None, "y ~ x + z", {"model": "logit"}),
    "counts below 0": (None, "y ~ x + z", {"model": "poisson"}),
    "a status of 1 and 2": (lambda d: d.assign(d=d.d + 1), "t ~ x", COX),
    "entry after the end": (lambda d: d.assign(e=d.t + 1), "t ~ x", {**COX, "entry": "e"}),
    "an offset with missing values": (None, "c ~ x", {"model": "poisson", "offset": "y"}),
    "a word of the fit": (None, "y ~ x", {"cov_type": "HC1"}),
    "two analyses that explain each other": (None, ["y ~ x", "x ~ y"], {}),
    "no sets": (None, "y ~ x", {"m": 0}),
    "sets in words": (None, "y ~ x", {"m": "many"}),
    "no sweeps": (None, "y ~ x", {"iterations": 0}),
    "a seed below 0": (None, "y ~ x", {"rng": -4}),
    "a seed in words": (None, "y ~ x", {"rng": "a"}),
    "two seeds": (None, "y ~ x", {"rng": 1, "random_state": 1}),
    "no workers": (None, "y ~ x", {"n_jobs": 0}),
    "a checkpoint without a seed": (None, "y ~ x", {"checkpoint": "chains", "rng": None}),
    "a checkpoint that is no folder": (None, "y ~ x", {"checkpoint": __file__}),
    "a checkpoint inside a file": (None, "y ~ x", {"checkpoint": f"{__file__}/chains"}),
    "a name of no column": (None, "y ~ nope", {}),
    "a mark that is made or missing": (lambda d: d.assign(x=d.x * 0 + 1), "y ~ x + z", {}),
    "one level left": (lambda d: d.assign(g=d.g.where(d.g == "a")), "y ~ C(g) + x", {}),
}

ACCEPTED = {
    "a ratio of positive columns": (None, "y ~ q", {"derived": {"q": "x / w"}}),
    "a ratio to a drawn number": (None, "y ~ z", {"derived": {"q": "w / x"}}),
    "a logarithm of a bounded column": (None, "y ~ z", {"derived": {"q": "np.log(k)"}, "bounds": {"k": (0.5, None)}}),
    "a ratio where it is asked for": (
        lambda d: zeros(d).assign(k=lambda f: f.k.where(f.z != 0)),
        "y ~ z",
        {"derived": {"q": "k / z"}, "conditional": {"k": "z != 0"}},
    ),
    "a flag": (None, "y ~ z + q", {"derived": {"q": "x > 0"}}),
    "a derived total": (None, "y ~ q", {"derived": {"q": "x + k"}}),
    "one row in three": (None, "y ~ x", {"ignore": "id > 12"}),
    "bounds of columns": (None, "y ~ x + k", {"censored": {"k": (None, "w")}}),
    "a constant": (lambda d: d.assign(x=[np.nan] + [1.0] * (N - 1)), "y ~ x + z", {}),
    "a copy of the outcome": (lambda d: d.assign(z=d.y), "y ~ x + z", {}),
    "no event": (lambda d: d.assign(d=0), "t ~ x", COX),
    "a level that nobody has": (lambda d: d.assign(g=pd.Categorical(d.g, list("abcd"))), "y ~ g + x", {}),
    "more coefficients than rows": (lambda d: d.iloc[:6], "y ~ x + z + w + t + p", {}),
    "many levels": (lambda d: d.assign(h=[f"l{i % 9}" for i in range(N)]), "y ~ C(h) + x", {}),
    "products of 1e100": (lambda d: d.assign(x=d.x * 1e70, w=d.w * 1e70), "y ~ I(x * w) + z", {}),
    "a condition": (lambda d: d.assign(k=d.k.where(d.d == 1)), "y ~ x + z", {"conditional": {"k": "d == 1"}}),
}


def said(verb, case, **more):
    """The class and words of a refusal; None where there is none."""
    change, formula, words = case
    data = frame() if change is None else change(frame())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mifit.MifitWarning)
            verb(data, formula, **{"rng": 1, "m": 2, "iterations": 2, "progress": False, **more, **words})
    except mifit.MifitError as error:
        return type(error), str(error)
    return None


@pytest.mark.parametrize("case", REFUSED)
def test_plan_refuses_what_impute_refuses_in_the_same_words(case):
    by_impute = said(mifit.impute, REFUSED[case])
    assert by_impute is not None
    assert said(mifit.plan, REFUSED[case]) == by_impute


@pytest.mark.parametrize("case", ACCEPTED)
def test_impute_runs_what_plan_accepts(case):
    assert said(mifit.plan, ACCEPTED[case]) is None
    assert said(mifit.impute, ACCEPTED[case]) is None


def test_a_derived_column_stays_missing_where_a_parent_is_not_asked_for():
    change, formula, words = ACCEPTED["a ratio where it is asked for"]
    data = change(frame())
    imp = mifit.impute(data, formula, m=2, iterations=2, rng=1, **words)
    for k in range(2):
        assert (imp[k]["q"].isna() == (data["z"] == 0)).all()
        asked = data["z"] != 0
        np.testing.assert_allclose(imp[k]["q"][asked], (imp[k]["k"] / imp[k]["z"])[asked])


def test_a_plan_leaves_the_generator_and_the_disk_as_they_were(tmp_path):
    rng = np.random.default_rng(1)
    mifit.plan(frame(), "y ~ x", rng=rng, checkpoint=tmp_path / "chains")
    assert not list(tmp_path.iterdir())
    assert rng.bit_generator.seed_seq.n_children_spawned == 0

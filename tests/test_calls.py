"""Advised calls: how they are written, and that none loses what else was asked."""

import ast
import dataclasses
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels import api as sm

import mifit
from mifit import MifitError
from mifit.calls import Advice, Code, left_alone, written
from mifit.errors import PlanError, call, listed
from mifit.imputation.plan.options import Options
from mifit.record.request import request_of

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

N = 80


def study():
    """Numbers x, z, w and levels g with missing values; y, a count k, a binary b, times t, events d, subjects id."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=N)
    frame = pd.DataFrame(
        {
            "y": x + rng.normal(size=N),
            "x": x,
            "z": rng.normal(size=N),
            "w": rng.normal(size=N),
            "k": rng.poisson(3, N).astype(float),
            "b": rng.integers(0, 2, N).astype(float),
            "g": pd.Series(rng.choice(list("abc"), N), dtype=object),
            "t": rng.exponential(2, N) + 0.1,
            "d": rng.integers(0, 2, N),
            "id": np.repeat(np.arange(N // 4), 4),
        }
    )
    for name in ("x", "z", "w", "g"):
        frame.loc[rng.random(N) < 0.2, name] = np.nan
    return frame


held_out = np.arange(N) < 5
METHOD = mifit.Normal()

#: what is asked besides, in every situation
OTHERS = {
    "methods": {"w": METHOD},
    "bounds": {"z": (-9, 9)},
    "kinds": {"k": "numeric"},
    "ignore": held_out,
    "iterations": 2,
    "m": 2,
    "rng": 3,
    "n_jobs": 1,
}

#: situation -> formula, what is wrong
WRONG = {
    "methods: unknown": ("y ~ x + z", {"methods": {"x": "nrom"}}),
    "methods: not for this kind": ("y ~ x + z", {"methods": {"x": "logistic"}}),
    "methods: without a density": ("y ~ x + z", {"methods": {"x": "sample"}}),
    "methods: of the outcome": ("x ~ y + z", {"methods": {"x": "norm"}}),
    "methods: of a complete column": ("y ~ x + z", {"methods": {"y": "logistic"}}),
    "methods: what the analysis needs is left": ("y ~ x + z", {"methods": {"x": "leave"}}),
    "predictors: itself": (None, {"predictors": {"x": "x + y"}}),
    "predictors: the outcome": ("y ~ x + z", {"predictors": {"x": ["y"]}}),
    "order: twice": ("y ~ x + z", {"order": ["x", "z", "x"]}),
    "order: text": ("y ~ x + z", {"order": "x"}),
    "auxiliary: a list": ("y ~ x + z", {"auxiliary": ["w"]}),
    "auxiliary: another word": ("y ~ x + z", {"auxiliary": {"basline": ["w"]}}),
    "auxiliary: a name": ("y ~ x + z", {"auxiliary": {"baseline": "w"}}),
    "auxiliary: unknown": ("y ~ x + z", {"auxiliary": "ignored"}),
    "congeniality: unknown": ("y ~ x + z", {"congeniality": "term"}),
    "link: unknown": ("y ~ x + z", {"link": "sequences"}),
    "bounds: no pair": ("y ~ x + z", {"bounds": {"x": 3}}),
    "bounds: crossed": ("y ~ x + z", {"bounds": {"x": (3, 1)}}),
    "bounds: two meanings": ("y ~ x + z", {"bounds": {"x": (0, None)}}),
    "bounds: of levels": ("y ~ x + z", {"bounds": {"g": (0, 1)}}),
    "bounds: left alone": ("y ~ z", {"bounds": {"x": (-9, 9)}, "methods": {"x": "leave"}}),
    "bounds: and censored": ("y ~ x + z", {"bounds": {"x": (-9, 9)}, "censored": {"x": (0, None)}}),
    "truncated: observed beyond": ("y ~ x + z", {"truncated": {"x": (0, None)}}),
    "bounds: of a derived column": ("y ~ x", {"derived": {"s": "x + z"}, "bounds": {"s": (-0.5, 0.5)}}),
    "derived: among methods": ("y ~ x", {"derived": {"s": "x + z"}, "methods": {"s": "norm"}}),
    "derived: in order": ("y ~ x", {"derived": {"s": "x + z"}, "order": ["x", "s"]}),
    "derived: a predictor": (None, {"derived": {"s": "x + z"}, "predictors": {"w": ["s"]}}),
    "derived: no text": ("y ~ x", {"derived": {"s": 3}}),
    "derived: other rows": ("y ~ x", {"derived": {"s": "center(x)"}}),
    "derived: a circle": ("y ~ x", {"derived": {"s": "u + x", "u": "s + z"}}),
    "conditional: three parts": ("y ~ x", {"conditional": {"c": ("d == 1", 0, 1)}}),
    "conditional: no value of it": ("y ~ x", {"conditional": {"h": ("d == 1", "q")}}),
    "conditional: itself": ("y ~ x", {"conditional": {"w": "w > 0"}}),
    "kinds: unknown": ("y ~ x + z", {"kinds": {"b": "nominl"}}),
    "kinds: no counts": ("y ~ x + z", {"kinds": {"y": "count"}}),
    "kinds: binary": ("y ~ x + z", {"kinds": {"g": "binary"}}),
    "kinds: no order": ("y ~ x + z", {"kinds": {"g": "ordinal"}}),
    "kinds: a level is not there": ("y ~ x + z", {"kinds": {"g": ["a", "b"]}}),
    "kinds: neither": ("y ~ x + z", {"kinds": {"b": 3}}),
    "collapse: no levels": ("y ~ x", {"collapse": {"x": {"other": [1, 2]}}}),
    "collapse: unknown level": ("y ~ x", {"collapse": {"g": {"other": ["a", "q"]}}}),
    "min_count: no number": ("y ~ x", {"min_count": 0}),
    "where: unknown column": ("y ~ x + z", {"where": {"q": held_out}}),
    "ignore: too short": ("y ~ x + z", {"ignore": [True, False]}),
    "by: one value": (None, {"by": "one"}),
    "weights: compatible draws": ("y ~ x + z", {"weights": {"frequency": "k1"}}),
    "weights: not of a method": (None, {"weights": "t", "methods": {"w": "sample"}}),
    "m: text": ("y ~ x + z", {"m": "2"}),
    "iterations: 0": ("y ~ x + z", {"iterations": 0}),
    "rng: negative": ("y ~ x + z", {"rng": -3}),
    "rng: and random_state": ("y ~ x + z", {"random_state": 3}),
    "seed": ("y ~ x + z", {"rng": None, "seed": 3}),
    "n_jobs: 0": ("y ~ x + z", {"n_jobs": 0}),
    "formula: a power": ("y ~ x^2 + z", {}),
    "formula: spelled as in R": ("y ~ factor(g) + z", {}),
    "formula: a function of numpy": ("y ~ exp(x) + z", {}),
    "formula: a method of a module": ("y ~ np.epx(x) + z", {}),
    "formula: nothing on the right": ("y ~ 0", {}),
    "formula: an outcome of a category": ("C(b) ~ x + z", {}),
    "formula: an outcome that cannot be undone": ("I(x * z) ~ y", {}),
    "formulas: a circle": (["y ~ x + b", "b ~ y"], {}),
    "formulas: out of order": (["y ~ x + b", "b ~ z"], {"link": "sequence"}),
    "model: ordered levels wanted": ("g ~ y + z", {}),
    "model: an outcome that it cannot have": ("k ~ x", {"model": "logit"}),
    "model: too many levels": ("y ~ x", {"model": "mnlogit"}),
    "model: a word of the fit": ("y ~ x", {"maxiter": 9}),
    "models: too few": (["y ~ x", "k ~ z"], {"model": ["ols"]}),
    "id: intervals": ("stop ~ x", {"model": "phreg", "status": "d", "entry": "start"}),
    "checkpoint: no path": ("y ~ x + z", {"checkpoint": 3}),
    "an array that follows from a column": ("y ~ x", {"model": "wls", "weights": np.exp(np.arange(N) / 50.0)}),
}


def asked(wrong):
    """All words of a call: the others, with what is wrong among them."""
    words = {word: dict(value) if isinstance(value, dict) else value for word, value in OTHERS.items()}
    for word, value in wrong.items():
        both = isinstance(value, dict) and isinstance(words.get(word), dict)
        words[word] = {**words[word], **value} if both else value
    return words


def wide():
    """The study, with a column of one value, counts from 1, intervals, and what belongs to whole groups."""
    df = study()
    number = df.groupby("id").cumcount()
    groups = pd.Series(np.random.default_rng(1).normal(size=N // 4)).mask(np.arange(N // 4) % 5 == 0)
    c = df["x"].where(df["d"] == 1, 0.0).mask(df["d"].eq(1) & (number == 1))
    h = df["g"].where(df["d"] == 1, "a").mask(df["d"].eq(1) & (number == 1))
    whole = df.assign(c=c, h=h, level=groups.to_numpy()[df["id"]]).notna().all(axis=1)
    return df.assign(
        one="a", k1=(df["k"] + 1).where(whole, 1.0), number=np.arange(float(N)), start=number * 1.0, stop=number + 1.0,
        level=groups.to_numpy()[df["id"]], c=c, h=h,
    )  # fmt: skip


def pasted(do, df):
    """What is there after an advised call, or its lines, were pasted."""
    names = {"df": df, "np": np, "pd": pd, "sm": sm, "mifit": mifit, "held_out": held_out, "METHOD": METHOD}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(re.sub(r"(^|; )(df\S*\.mice\.impute\()", r"\1imp = \2", do), names)
    return names["imp"]


@pytest.mark.parametrize("case", WRONG)
def test_an_advised_call_keeps_what_else_was_asked(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    formula, wrong = WRONG[case]
    weights = wrong.get("weights")
    with pytest.raises(MifitError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wide().mice.impute(formula, **asked(wrong))
    df = wide() if not isinstance(weights, np.ndarray) else wide().assign(weights=weights)
    do = caught.value.do.replace("df['weights'] = weights; ", "")
    imp = pasted(do, df)
    options, left = imp.plan.options, {n for n, how in imp.plan.options.methods.items() if isinstance(how, str)}
    mended = set(wrong)
    assert imp.m == 2 and options.kinds["k"] == "numeric"
    assert mended & {"rng", "seed"} or imp._record.seed.entropy == 3
    assert mended & {"iterations", "maxiter"} or options.iterations == 2
    assert "ignore" in mended or options.ignore.marked.tolist() == held_out.tolist()
    assert "z" in left or options.bounds["z"] == (-9, 9)
    assert "w" in wrong.get("methods", {}) or options.methods["w"] is METHOD
    if not case.startswith(("formula", "derived: other rows")):
        assert (
            set(imp._record.written) <= {formula}
            if isinstance(formula, str | None)
            else set(imp._record.written) <= set(formula)
        )
        assert bool(imp._record.written) == (formula is not None)


def test_a_formula_replaces_that_of_its_outcome_among_several():
    base = call("df.mice.impute", ["y ~ x^2", "k ~ z"], model=["ols", "poisson"], m=5)
    assert call("df.mice.impute", "y ~ I(x**2)").joined(base) == (
        "df.mice.impute(['y ~ I(x**2)', 'k ~ z'], model=['ols', 'poisson'], m=5)"
    )
    assert call("df.mice.impute", "k ~ z", model="glm").joined(base) == (
        "df.mice.impute(['y ~ x^2', 'k ~ z'], model=['ols', 'glm'], m=5)"
    )
    assert call("df.mice.impute", ["k ~ z", "y ~ x"]).joined(base) == (
        "df.mice.impute(['k ~ z', 'y ~ x^2'], model=['poisson', 'ols'], m=5)"
    )
    renamed = call("df.mice.impute", "outcome ~ x").in_place_of("k ~ z").joined(base)
    assert renamed == "df.mice.impute(['y ~ x^2', 'outcome ~ x'], model=['ols', 'poisson'], m=5)"


def test_a_call_is_completed_once():
    base = call("df.mice.impute", "y ~ x", m=5)
    error = PlanError("no.", do=call("df.mice.impute", methods={"x": "norm"}), other=call("df.mice.impute", m=9))
    error.complete(base)
    assert error.do == "df.mice.impute('y ~ x', methods={'x': 'norm'}, m=5)"
    assert error.lines["other"] == "df.mice.impute('y ~ x', m=9)"
    error.complete(call("df.mice.impute", "z ~ x", m=7, rng=1))
    assert error.do == "df.mice.impute('y ~ x', methods={'x': 'norm'}, m=5)" and error.do in str(error)


def test_an_error_that_crosses_a_process_can_still_be_completed():
    error = pickle.loads(pickle.dumps(PlanError("no.", do=call("df.mice.impute", bounds={("a", 1): (0, None)}))))
    error.complete(call("df.mice.impute", "y ~ x", bounds={"x": (1, 2)}))
    assert error.do == "df.mice.impute('y ~ x', bounds={'x': (1, 2), ('a', 1): (0, None)})"


def test_what_has_no_spelling_is_named_as_the_user_named_it():
    class Own:
        pass

    mine, own, other = np.arange(9) > 3, Own(), lambda x: x
    names = {"mine": mine, "own": own, "other": other, "Own": Own}
    assert [written(one, names) for one in (mine, own, other)] == ["mine", "own", "other"]
    assert written(np.zeros(9), names, "weights") == "weights"
    assert (
        written({"x": [np.int64(3), (1.5, None)], ("a", 2): Code("np.pi")})
        == "{'x': [3, (1.5, None)], ('a', 2): np.pi}"
    )
    assert written(pd.Timestamp("2020-01-02")) == "pd.Timestamp('2020-01-02 00:00:00')"
    assert written(mifit.PMM(donors=3)).startswith("mifit.PMM(donors=3")


def test_a_column_that_is_left_alone_has_nothing_else_said_of_it():
    base = call("df.mice.impute", bounds={"x": (0, 1), "z": (0, 2)}, methods={"x": "norm"}, predictors={"x": ["z"]})
    advice = call("df.mice.impute", **left_alone("x")).joined(base)
    assert advice == "df.mice.impute(methods={'x': 'leave'}, bounds={'z': (0, 2)})"


def test_every_wish_stands_in_the_call_of_a_plan():
    df = wide()
    words = {
        "methods": {"w": "norm"}, "auxiliary": {"baseline": ["k"]}, "order": ["z", "x"], "iterations": 3,
        "derived": {"s": "x + z"}, "kinds": {"k": "numeric"}, "bounds": {"z": (-9, 9)}, "ignore": held_out,
        "conditional": {"c": ("d == 1", 0)}, "collapse": {"g": {"ab": ["a", "b"]}}, "min_count": 3,
        "censored": {"w": (None, 5)}, "truncated": {"x": (-9, None)}, "where": df.isna(), "link": "sequence",
    }  # fmt: skip
    plan = df.mice.plan("y ~ x + z", **words)
    mask, cells = held_out, words["where"]
    advice = request_of(plan, 4)
    names = {"df": df, "mask": mask, "cells": cells, "held_out": held_out}
    again = eval(advice.replace(".impute(", ".plan("), names)
    for field in dataclasses.fields(Options):
        assert getattr(again.options, field.name) == getattr(plan.options, field.name), field.name


def test_no_message_writes_a_call_of_impute_by_hand():
    found = []
    for path in Path(mifit.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
        found += [
            f"{path.name}: {text.value}"
            for text in texts
            if id(text) not in said and re.search(r"\.mice\.(impute|plan)\(", text.value)
        ]
    assert found == []


def test_lists_of_names_are_shortened_with_their_number():
    assert listed(["a", "b"]) == "a, b"
    assert listed("abcdefghijkl") == "a, b, c, d, ... (12)"
    assert isinstance(call("f"), Advice)

"""Advised calls: how they are written, and that none loses what else was asked."""

import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from statsmodels import api as sm

import mifit
from mifit import MifitError
from mifit.calls import Advice, Code, call, written

N = 80


def study():
    """Numbers x, z, w and levels g with holes; y, a count k, a binary b, times t, events d, subjects id."""
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

#: situation -> formula, what is wrong, what is printed of it
WRONG = {
    "methods: unknown": ("y ~ x + z", {"methods": {"x": "nrom"}}),
    "methods: not for this kind": ("y ~ x + z", {"methods": {"x": "logistic"}}),
    "methods: without a density": ("y ~ x + z", {"methods": {"x": "pmm"}}),
    "methods: of the outcome": ("x ~ y + z", {"methods": {"x": "norm"}}),
    "methods: of a complete column": ("y ~ x + z", {"methods": {"y": "logistic"}}),
    "methods: what the analysis needs is left": ("y ~ x + z", {"methods": {"x": "leave"}}),
    "methods: no mapping": ("y ~ x + z", {"methods": "norm"}),
    "predictors: itself": (None, {"predictors": {"x": "x + y"}}),
    "predictors: the outcome": ("y ~ x + z", {"predictors": {"x": ["y"]}}),
    "predictors: of an auxiliary": ("y ~ x + z", {"predictors": {"w": ["z"]}}),
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
    "conditional: three parts": ("y ~ x", {"conditional": {"w": ("d == 1", 0, 1)}}),
    "conditional: no value of it": ("y ~ x", {"conditional": {"g": ("d == 1", "q")}}),
    "conditional: itself": ("y ~ x", {"conditional": {"w": "w > 0"}}),
    "kinds: unknown": ("y ~ x + z", {"kinds": {"b": "nominl"}}),
    "kinds: no counts": ("y ~ x + z", {"kinds": {"y": "count"}}),
    "kinds: binary": ("y ~ x + z", {"kinds": {"g": "binary"}}),
    "kinds: no order": ("y ~ x + z", {"kinds": {"g": "ordinal"}}),
    "kinds: a level is not there": ("y ~ x + z", {"kinds": {"g": ["a", "b"]}}),
    "kinds: neither": ("y ~ x + z", {"kinds": {"g": 3}}),
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
    "formula: a method of a module": ("y ~ np.lg(x) + z", {}),
    "formula: learns in every set": ("y ~ x + (z - z.mean())", {}),
    "formula: nothing on the right": ("y ~ 0", {}),
    "formula: an outcome of a category": ("C(b) ~ x + z", {}),
    "formula: an outcome that cannot be undone": ("I(x * z) ~ y", {}),
    "formulas: a circle": (["y ~ x + b", "b ~ y"], {}),
    "formulas: out of order": (["y ~ x + b", "b ~ z"], {"link": "sequence"}),
    "model: ordered levels wanted": ("g ~ y + z", {}),
    "model: an outcome that it cannot have": ("k ~ x", {"model": "logit"}),
    "model: too many levels": ("y ~ x", {"model": "mnlogit"}),
    "model: no status": ("t ~ x", {"model": "phreg", "status": "dd"}),
    "model: a word of the fit": ("y ~ x", {"maxiter": 9}),
    "models: too few": (["y ~ x", "k ~ z"], {"model": ["ols"]}),
    "id: intervals": ("stop ~ x", {"model": "phreg", "status": "d", "entry": "start"}),
    "id: groups": ("y ~ level", {"model": "mixedlm", "groups": "id"}),
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
    return df.assign(
        one="a", k1=df["k"] + 1, number=np.arange(float(N)), start=number * 1.0, stop=number + 1.0,
        level=groups.to_numpy()[df["id"]],
    )  # fmt: skip

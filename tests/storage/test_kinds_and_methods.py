"""Every kind of column with every method that the default plan gives it: saved, loaded and pickled bit for bit."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.frame.kinds import Kind
from mifit.imputation.methods import Mixture
from support.mixed_kinds import same

N = 200
_G = np.random.default_rng(3)
_X = _G.normal(size=N)
COLUMNS = {
    "whole numbers that are no count": _G.integers(0, 20, N),
    "the same in a small dtype": _G.integers(0, 15, N).astype("int8"),
    "the same in a dtype with missing values": pd.array(_G.integers(0, 30, N), dtype="Int64"),
    "the same as objects": _G.integers(0, 20, N).astype(object),
    "whole numbers of both signs": _G.integers(-10, 10, N),
    "a score": np.clip(np.rint(2 + _G.normal(size=N)), 0, 4).astype(int),
    "a count": _G.poisson(2, N),
    "a count with many zeros": np.where(_G.random(N) < 0.4, 0, _G.integers(3, 40, N)),
    "ages": _G.integers(18, 90, N),
    "normal": _X + _G.normal(size=N),
    "skewed": np.exp(_G.normal(size=N) + _X),
    "heavy tails": _G.standard_t(2, size=N),
    "two values": _G.integers(0, 2, N),
    "truth values": pd.array(_G.random(N) < 0.5, dtype="boolean"),
    "levels": _G.choice(list("abc"), N),
    "ordered levels": pd.Categorical(_G.choice(list("abc"), N), ordered=True),
    "a rating scale": pd.Categorical(_G.integers(0, 12, N), ordered=True),
}
ANALYSES = {
    "further column": ("y ~ x", {}),
    "covariate": ("y ~ x + k", {}),
    "learned laws": ("y ~ x", {"error_law": "learned"}),
    "chained": (None, {}),
}
SOME = ["whole numbers that are no count", "a count", "skewed"]


def frame_with(name, incomplete):
    """An outcome, an incomplete covariate, and a column of some kind."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"y": _X + rng.normal(size=N), "x": _X, "k": COLUMNS[name], "w": rng.uniform(0.5, 2, N)})
    frame["x"] = frame["x"].mask(rng.random(N) < 0.2)
    if incomplete:
        frame["k"] = frame["k"].mask(rng.random(N) < 0.2)
    return frame


def imputed(frame, formula, **words):
    """Two sets; what is said of the data is tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        return mifit.impute(frame, formula, m=2, iterations=2, rng=1, **words)


def comes_back(imp, tmp_path):
    """Whether a file, a pickle and a deep copy of a set are the set, and go on as it does."""
    imp.save(tmp_path / "study.mifit")
    for back in (mifit.load(tmp_path / "study.mifit"), pickle.loads(pickle.dumps(imp)), copy.deepcopy(imp)):
        same(back, imp)
        assert repr(back) == repr(imp)
        assert back.plan == imp.plan
    back = mifit.load(tmp_path / "study.mifit")
    same(back.extend(m=1), imp.extend(m=1))
    same(back.extend(iterations=1), imp.extend(iterations=1))


@pytest.mark.parametrize("incomplete", [False, True], ids=["complete", "incomplete"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_further_column_of_every_kind_comes_back(name, incomplete, tmp_path):
    comes_back(imputed(frame_with(name, incomplete), "y ~ x"), tmp_path)


@pytest.mark.parametrize("asked", [word for word in ANALYSES if word != "further column"])
@pytest.mark.parametrize("name", SOME)
def test_a_column_comes_back_whatever_its_part_in_the_analysis(name, asked, tmp_path):
    formula, words = ANALYSES[asked]
    comes_back(imputed(frame_with(name, True), formula, **words), tmp_path)


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("two ~ x + k", {}),
        (["y ~ x", "two ~ x"], {}),
        (["y ~ x", "k ~ x"], {}),
        ("y ~ x + k", {"model": "wls", "weights": "w"}),
        ("y ~ x", {"by": "two"}),
        ("y ~ x", {"congeniality": "terms"}),
    ],
)
def test_mixed_outcomes_weights_and_groups_come_back(formula, words, tmp_path):
    frame = frame_with(SOME[0], True).assign(two=np.resize([0, 1, 1, 0], N))
    comes_back(imputed(frame, formula, **words), tmp_path)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("asked", ANALYSES)
def test_a_plan_gives_a_column_only_methods_that_say_they_draw_its_kind(name, asked):
    formula, words = ANALYSES[asked]
    for incomplete in (False, True):
        imp = imputed(frame_with(name, incomplete), formula, **words)
        kinds = {column: imp._record.table.drawn[column].kind for column in imp._record.table.drawn.columns}
        for variable in imp.plan.variables:
            assert variable.method is None or kinds[variable.name] in variable.method.kinds
        for factor in imp.plan.factors:
            assert factor.question is not None or kinds[factor.variable] in factor.method.kinds


@pytest.mark.parametrize("incomplete", [False, True], ids=["complete", "incomplete"])
def test_the_law_of_whole_numbers_that_are_no_count_is_learned_and_comes_back(incomplete, tmp_path):
    imp = imputed(frame_with(SOME[0], incomplete), "y ~ x")
    assert imp._record.table.drawn["k"].kind is Kind.COUNT
    assert any(factor.variable == "k" and isinstance(factor.method, Mixture) for factor in imp.plan.factors)
    comes_back(imp, tmp_path)


def test_a_checkpoint_of_whole_numbers_that_are_no_count_is_gone_on_with(tmp_path):
    frame, folder = frame_with(SOME[0], True), tmp_path / "chains"
    first = imputed(frame, "y ~ x", checkpoint=folder)
    kept = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert kept
    same(imputed(frame, "y ~ x", checkpoint=folder), first)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == kept  # read, not drawn again
    same(imputed(frame, "y ~ x"), first)

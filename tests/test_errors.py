"""One clear error for each thing that cannot be: the right class, the user's names first, a call to paste last."""

import contextlib
import io
import pickle
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import (
    CongenialityError,
    DataError,
    FitError,
    FormulaError,
    ImputationError,
    MifitError,
    ModelError,
    PlanError,
    PoolingError,
    errors,
)
from mifit.errors import MifitWarning, nearest
from support.refused import N, check, of, study

ROOT = Path(__file__).parents[1]


# The options: class, what the first line names, and the cure where it is one line.
WISHES = {
    "unknown column in methods": (
        {"methods": {"xx": "norm"}},
        None,
        DataError,
        "methods= names 'xx', which is not a column (did you mean 'x'?)",
    ),
    "unknown column in predictors": ({"predictors": {"zz": ["x"]}}, None, DataError, "predictors= names 'zz'"),
    "unknown predictor": ({"predictors": {"x": ["zz"]}}, None, DataError, "predictors of 'x' names 'zz'"),
    "unknown column in a predictor formula": ({"predictors": {"x": "zz*y"}}, None, FormulaError, "names 'zz'"),
    "unknown column in order": ({"order": ["xx"]}, None, DataError, "order= names 'xx'"),
    "unknown baseline column": ({"auxiliary": {"baseline": ["zzz"]}}, "y ~ x", DataError, "auxiliary= names 'zzz'"),
    "unknown method": (
        {"methods": {"x": "nrom"}},
        None,
        PlanError,
        "unknown method 'nrom' for 'x' (did you mean 'norm'?)",
    ),
    "no method": ({"methods": {"x": None}}, None, PlanError, "unknown method None for 'x'"),
    "method for the wrong kind": (
        {"methods": {"b": "norm"}},
        None,
        PlanError,
        "'norm' does not draw a binary column such as 'b'",
    ),
    "method for the wrong kind, complete": (
        {"methods": {"g": "norm"}},
        None,
        PlanError,
        "'norm' does not draw a nominal column such as 'g'",
    ),
    "methods as a list": (
        {"methods": ["x"]},
        None,
        PlanError,
        "methods= maps column names to settings; it cannot be list",
    ),
    "predictors as a list": ({"predictors": ["x"]}, None, PlanError, "predictors= maps column names to settings"),
    "text for order": ({"order": "x"}, None, PlanError, "order= is a list of columns, not 'x'"),
    "number for order": ({"order": 3}, None, PlanError, "order= is a list of columns, not 3"),
    "order names a column twice": ({"order": ["x", "y", "x"]}, None, PlanError, "order= names 'x' twice"),
    "text for baseline": (
        {"auxiliary": {"baseline": "z"}},
        "y ~ x",
        PlanError,
        "wants a list of baseline columns, not 'z'",
    ),
    "list for auxiliary": ({"auxiliary": ["z"]}, "y ~ x", PlanError, "auxiliary= does not say what the list is"),
    "auxiliary misspelt": ({"auxiliary": "ignor"}, "y ~ x", PlanError, "auxiliary is 'ignor' (did you mean 'ignore'?)"),
    "baseline misspelt": (
        {"auxiliary": {"base": ["z"]}},
        "y ~ x",
        PlanError,
        "the word 'base' (did you mean 'baseline'?)",
    ),
    "congeniality misspelt": (
        {"congeniality": "compatibel"},
        "y ~ x",
        PlanError,
        "congeniality is 'compatibel' (did you mean 'compatible'?)",
    ),
    "m of 0": ({"m": 0}, None, PlanError, "m is 0"),
    "m that is no whole number": ({"m": 2.0}, None, PlanError, "m must be a whole number, not 2.0"),
    "m as text": ({"m": "20"}, None, PlanError, "m must be a whole number, not '20'"),
    "m as a bool": ({"m": True}, None, PlanError, "m must be a whole number, not True"),
    "iterations 0": ({"iterations": 0}, None, PlanError, "iterations is 0"),
    "iterations as text": ({"iterations": "many"}, None, PlanError, "iterations is 'many'"),
    "iterations as a bool": ({"iterations": True}, None, PlanError, "iterations is True"),
    "rng as text": ({"rng": "1"}, None, PlanError, "rng is str"),
    "rng as a float": ({"rng": 1.0}, None, PlanError, "rng is float"),
    "rng negative": ({"rng": -1}, None, PlanError, "rng is -1"),
    "rng as RandomState": ({"rng": np.random.RandomState(1)}, None, PlanError, "rng is RandomState"),
    "rng and random_state": ({"rng": 1, "random_state": 1}, None, PlanError, "rng= and random_state= are the same"),
    "unknown word": (
        {"metods": {"x": "norm"}},
        "y ~ x",
        PlanError,
        "impute() has no argument 'metods' (did you mean 'methods'?)",
    ),
    "unknown word without a formula": ({"speed": 9}, None, PlanError, "impute() has no argument 'speed'"),
    "unknown word of a model": (
        {"wieghts": "z", "model": "wls"},
        "y ~ x",
        ModelError,
        "The WLS model has no keyword 'wieghts' (did you mean 'weights'?)",
    ),
    "word of the fit": ({"cov_type": "HC1"}, "y ~ x", PlanError, "cov_type= is an argument of fit"),
    "unknown model": ({"model": "osl"}, "y ~ x", ModelError, "unknown model 'osl' (did you mean 'ols'?)"),
    "itself as predictor": ({"predictors": {"x": ["x", "z"]}}, None, PlanError, "'x' cannot predict itself"),
    "itself in a formula": ({"predictors": {"x": "x + z"}}, None, PlanError, "'x' cannot predict itself"),
    "the outcome as predictor": (
        {"predictors": {"x": ["y", "z"]}},
        "y ~ x + z",
        PlanError,
        "predictors of 'x' name the outcome 'y'",
    ),
    "the outcome in a predictor formula": (
        {"predictors": {"x": "z*y"}},
        "y ~ x + z",
        PlanError,
        "predictors of 'x' name the outcome 'y'",
    ),
    "a predictor that keeps its missing values": (
        {"methods": {"b": "leave"}, "predictors": {"x": ["b"]}},
        None,
        PlanError,
        "'b' predicts 'x' but has 11 missing values",
    ),
    "copies without a model for a covariate": (
        {"methods": {"x": "sample"}},
        "y ~ x + z",
        PlanError,
        "'sample' has no density and cannot draw 'x'",
    ),
    "a method for the outcome": (
        {"methods": {"y": "pmm"}},
        "y ~ x",
        PlanError,
        "the outcome 'y' is drawn from its analysis",
    ),
    "the analysis needs a column left alone": (
        {"methods": {"x": "leave"}},
        "y ~ x",
        PlanError,
        "the analysis needs 'x', which has 21 missing values",
    ),
}


@pytest.mark.parametrize("case", WISHES)
def test_a_wish_that_cannot_be_met(case):
    options, formula, kind, said = WISHES[case]
    check(of(options, formula=formula), kind, said)


FORMULAS = {
    "unknown column": ("y ~ x + zz", FormulaError, "names 'zz', which is not a column (did you mean 'z'?)"),
    "does not parse": ("y ~ x + (z", FormulaError, "the formula does not parse"),
    "two nouns": ("y ~ x z", FormulaError, "the formula does not parse"),
    "no right side": ("y ~ ", FormulaError, "the formula does not parse"),
    "nothing on the right": ("y ~ 0", FormulaError, "no column on its right side"),
    "no outcome": ("~ x + z", FormulaError, "one outcome on its left side"),
    "no tilde": ("x + z", FormulaError, "one outcome on its left side"),
    "two outcomes": ("y + z ~ x", FormulaError, "one outcome on its left side"),
    "empty": ("", FormulaError, "one outcome on its left side"),
    "no text": (5, FormulaError, "a formula is text, not int"),
    "outcome on both sides": ("y ~ x + y", FormulaError, "'y' stands on both sides"),
    "outcome on both sides, inside": ("np.log(y) ~ x + I(y**2)", FormulaError, "'y' stands on both sides"),
    "three levels": ("g ~ x", ModelError, "outcome 'g' has neither numbers nor two values"),
    "outcome that cannot be undone": ("I(y**2) ~ x", FormulaError, "has missing values ('y') and cannot be inverted"),
    "logarithm of a negative": ("y ~ np.log(z)", FormulaError, "'np.log(z)' is not a finite number in row"),
    "levels of a number with missing values": (
        "y ~ C(x)",
        FormulaError,
        "makes levels of 'x', which is a number with 21 missing values",
    ),
}


@pytest.mark.parametrize("case", FORMULAS)
def test_a_formula_that_cannot_be_used(case):
    formula, kind, said = FORMULAS[case]
    check(of({}, formula=formula), kind, said)


def test_three_levels_under_logit_name_the_outcome_and_the_cure():
    error = check(of({"model": "logit"}, formula="g ~ x"), ModelError, "outcome 'g' has 3 levels")
    line = "df['outcome'] = (df['g'] == 'c').where(df['g'].notna())"
    call = "df.mice.impute('outcome ~ x', model='logit', methods={'g': 'leave'}, m=2, rng=1)"
    assert error.do == f"{line}; {call}"


def mixed(holes):
    """An object column of numbers and text."""
    cells = [1 if i % 2 else "a" for i in range(N)]
    cells[0] = None if holes else "a"
    return study().assign(q=pd.Series(cells, dtype=object))


def dates(holes):
    """A column of dates."""
    days = pd.Series(pd.date_range("2020-01-01", periods=N))
    return study().assign(q=days.mask(days.index < 3) if holes else days)


FRAMES = {
    "all values missing": (
        lambda: study().assign(q=np.nan),
        None,
        DataError,
        "all 80 values of column 'q' are missing",
    ),
    "infinite values": (
        lambda: study().assign(q=np.where(np.arange(N) < 3, np.inf, 1.5)),
        None,
        DataError,
        "column 'q' holds infinite values",
    ),
    "infinite values in the formula": (
        lambda: study().assign(q=np.where(np.arange(N) < 3, -np.inf, 1.5)),
        "y ~ q",
        DataError,
        "column 'q' holds infinite values",
    ),
    "mixed types with missing values": (
        lambda: mixed(True),
        None,
        DataError,
        "column 'q' mixes values of the types int, str ('a') and has 1 missing values",
    ),
    "dates with missing values": (
        lambda: dates(True),
        None,
        DataError,
        "column 'q' holds dates or times and has 3 missing values",
    ),
    "mixed types in the formula": (
        lambda: mixed(False),
        "y ~ q",
        FormulaError,
        "column 'q' mixes values of the types int, str",
    ),
    "dates in the formula": (lambda: dates(False), "y ~ q", FormulaError, "column 'q' holds dates or times"),
    "repeated names": (
        lambda: pd.concat([study(), study()[["x"]]], axis=1),
        None,
        DataError,
        "column names repeat: 'x'",
    ),
    "names in levels": (
        lambda: study().set_axis(pd.MultiIndex.from_product([["a"], list("yxzgb")]), axis=1),
        None,
        DataError,
        "column names are in 2 levels",
    ),
    "a column without a name": (lambda: study().rename(columns={"g": None}), None, DataError, "a column has no name"),
}
CURABLE = [name for name in FRAMES if name != "infinite values in the formula"]


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_cannot_be_used(case):
    frame, formula, kind, said = FRAMES[case]
    check(of({}, frame, formula), kind, said)


@pytest.mark.parametrize("case", CURABLE)
def test_the_cure_of_a_frame_works(case):
    frame, formula, _, _ = FRAMES[case]
    df = frame()
    with pytest.raises(MifitError) as caught:
        df.mice.impute(formula, m=2, iterations=5, rng=1)
    cure = caught.value.do.replace("df.mice.impute(", "result = df.mice.impute(")
    names = {"df": df, "pd": pd, "np": np}
    exec(cure, names)
    if "result" not in names:
        names["df"].mice.impute(formula, m=2, iterations=5, rng=1)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (study().iloc[:0], "the frame is empty: 0 rows, 5 columns"),
        (study().iloc[:, :0], "the frame is empty: 80 rows, 0 columns"),
        ({"x": [1.0, None]}, "a pandas DataFrame is needed, not dict"),
        (study()["x"], "a pandas DataFrame is needed, not Series"),
        (study().to_numpy(), "a pandas DataFrame is needed, not ndarray"),
        (None, "a pandas DataFrame is needed, not NoneType"),
    ],
    ids=["no rows", "no columns", "dict", "Series", "array", "None"],
)
@pytest.mark.parametrize("verb", [mifit.impute, mifit.plan, mifit.pattern], ids=["impute", "plan", "pattern"])
def test_what_is_no_frame_is_refused_by_every_verb(verb, frame, said):
    check(lambda: verb(frame), DataError, said)


PASTED = [
    ({"methods": {"x": "nrom"}}, None),
    ({"methods": {"b": "norm"}}, None),
    ({"methods": {"x": "sample"}}, "y ~ x + z"),
    ({"methods": {"y": "pmm"}}, "y ~ x"),
    ({"predictors": {"x": ["y"]}}, "y ~ x + z"),
    ({"predictors": {"x": "x + z"}}, None),
    ({"order": "x"}, None),
    ({"order": ["x", "y", "x"]}, None),
    ({"m": 0}, None),
    ({"iterations": 0}, None),
    ({"rng": "1"}, None),
    ({"auxiliary": ["z"]}, "y ~ x"),
    ({"auxiliary": {"base": ["z"]}}, "y ~ x"),
    ({"auxiliary": {"baseline": "z"}}, "y ~ x"),
    ({"congeniality": "compatibel"}, "y ~ x"),
    ({"methods": {"x": "leave"}}, "y ~ x"),
    ({"cov_type": "HC1"}, "y ~ x"),
]


@pytest.mark.parametrize(("options", "formula"), PASTED, ids=[str(w) for w, _ in PASTED])
def test_the_call_to_paste_runs(options, formula):
    with pytest.raises(MifitError) as caught:
        of(options, formula=formula)()
    assert eval(caught.value.do, {"df": study()}) is not None


# The tree itself

KINDS = [DataError, FormulaError, PlanError, ModelError, CongenialityError, ImputationError, FitError, PoolingError]


@pytest.mark.parametrize("kind", [MifitError, *KINDS])
def test_an_error_survives_pickling_whole(kind):
    error = kind("column 'a b' is empty.", rows=25, columns="a, b", do="df.drop(columns=['a b'])")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)
    assert (again.fact, again.do, again.lines) == (error.fact, error.do, error.lines)


def test_labels_stand_in_a_column_and_do_comes_last():
    lines = str(MifitError("fact.", rows=1, analysis="y ~ x", do="call()")).splitlines()
    more = 'mifit.help("mifiterror")'
    assert lines == ["fact.", "  rows     : 1", "  analysis : y ~ x", f"  more     : {more}", "  do       : call()"]
    assert str(MifitError("fact.")) == f"fact.\n  more : {more}"


SAID = [kind for kind in map(errors.__dict__.get, errors.__all__) if isinstance(kind, type)]


@pytest.mark.parametrize("kind", SAID)
def test_a_message_points_to_where_the_documentation_explains_it(kind):
    message = str(kind("fact."))
    call = message.removeprefix("fact.\n  more : ")
    assert call == f'mifit.help("{kind.__name__.lower()}")'
    for asked in (call, f"mifit.help(mifit.{kind.__name__})", f"mifit.help('{kind.__name__}')"):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            eval(asked, {"mifit": mifit})
        title, _, body = said.getvalue().partition("\n\n")
        assert title == kind.__name__ and len(body) > 60 and "](" not in body


def test_help_lists_what_it_knows_and_refuses_what_it_does_not(capsys):
    mifit.help()
    listed = capsys.readouterr().out.split()
    assert sorted(listed) == sorted(f'mifit.help("{kind.__name__.lower()}")' for kind in SAID)
    mifit.help(type("Mine", (PlanError,), {"__module__": "elsewhere"})("fact."))
    assert capsys.readouterr().out.startswith("PlanError\n")
    for name in ("planeror", "", 3, ValueError, "mifit"):
        with pytest.raises(MifitError, match="there is no help on") as caught:
            mifit.help(name)
        exec(caught.value.do, {"mifit": mifit})
    assert "did you mean 'planerror'" in str(pytest.raises(MifitError, mifit.help, "planeror").value)


def test_the_page_of_messages_is_the_text_that_the_package_brings_along():
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    assert page.split() == ["```{include}", "../mifit/messages.md", "```"]
    brought = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    assert "messages.md" in brought["mifit"]


def test_a_class_derived_from_ours_points_to_the_nearest_of_ours():
    derived = type("Mine", (PlanError,), {"__module__": "elsewhere"})
    assert 'more : mifit.help("planerror")' in str(derived("fact."))


def test_a_warning_that_crosses_a_process_points_once():
    again = pickle.loads(pickle.dumps(MifitWarning("fact.")))
    assert str(again) == 'fact.\n  more : mifit.help("mifitwarning")'


def test_errors_are_also_pythons_own():
    assert issubclass(DataError, ValueError) and issubclass(FitError, RuntimeError)
    assert all(issubclass(kind, MifitError) for kind in KINDS)
    assert issubclass(MifitWarning, UserWarning)


def test_the_nearest_word_takes_any_names():
    assert nearest("bim", ["bmi", 3, ("a", 1)]) == " (did you mean 'bmi'?)"
    assert nearest("qqq", ["bmi"]) == "" and nearest(31, [3, 31]) == " (did you mean 31?)"

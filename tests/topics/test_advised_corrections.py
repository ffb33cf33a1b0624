"""A name that is no column: the advised call is the call that was written, with the column that was meant, and runs."""

import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import MifitError

N = 120


def study():
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.normal(size=N), "zeta": rng.normal(size=N), "age": rng.normal(50, 9, N)})
    df = df.assign(y=df["x"] + rng.normal(size=N), site=np.repeat(np.arange(12), 10), w=rng.uniform(1, 2, N))
    df = df.assign(t=rng.exponential(1, N), dead=rng.integers(0, 2, N), part=rng.choice(list("abc"), N))
    df["resp"] = pd.Series(np.where(rng.random(N) < 0.5, "yes", "no")).mask(rng.random(N) < 0.2)
    df["x"] = df["x"].mask(rng.random(N) < 0.2)
    return df


#: formula, words with a wrong name, the same words as they were meant
WRONG = {
    "ignore": ("y ~ x", {"ignore": "zetta > 1"}, {"ignore": "zeta > 1"}),
    "derived": ("y ~ x", {"derived": {"q": "xx + zeta"}}, {"derived": {"q": "x + zeta"}}),
    "bounds": ("y ~ x", {"bounds": {"xx": (-9, 9)}}, {"bounds": {"x": (-9, 9)}}),
    "methods": ("y ~ x", {"methods": {"xx": "norm"}}, {"methods": {"x": "norm"}}),
    "predictors": (None, {"predictors": {"xx": ["y"]}}, {"predictors": {"x": ["y"]}}),
    "order": ("y ~ x", {"order": ["xx"]}, {"order": ["x"]}),
    "by": (None, {"by": "partt"}, {"by": "part"}),
    "weights": (None, {"weights": "ww"}, {"weights": "w"}),
    "no weights": (None, {"weights": "quantity"}, {}),
    "auxiliary": ("y ~ x", {"auxiliary": {"baseline": ["Age"]}}, {"auxiliary": {"baseline": ["age"]}}),
    "kinds": ("y ~ x", {"kinds": {"partt": "nominal"}}, {"kinds": {"part": "nominal"}}),
    "collapse": ("y ~ x", {"collapse": {"partt": {"ab": ["a", "b"]}}}, {"collapse": {"part": {"ab": ["a", "b"]}}}),
    "status": ("t ~ x", {"model": "phreg", "status": "deadd"}, {"model": "phreg", "status": "dead"}),
    "groups": ("y ~ x", {"model": "gee", "groups": "sitee"}, {"model": "gee", "groups": "site"}),
    "no groups": ("y ~ x", {"model": "gee"}, {"model": "gee", "groups": "site"}),
    "no groups, mixed": ("y ~ x", {"model": "mixedlm"}, {"model": "mixedlm", "groups": "site"}),
}
KEPT = {"iterations": 5, "m": 2, "rng": 1}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_name_is_corrected_and_all_else_that_was_asked_stays(case):
    formula, wrong, meant = WRONG[case]
    df, given = study(), [] if formula is None else [formula]
    with pytest.raises(MifitError) as caught:
        df.mice.impute(*given, **wrong, **KEPT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mifit.MifitWarning)
        imp = eval(caught.value.do, {"df": df, "np": np, "pd": pd})
        assert imp.identity == df.mice.impute(*given, **meant, **KEPT).identity


def test_an_outcome_that_is_a_condition_becomes_one_of_yes_and_no():
    df = study()
    with pytest.raises(MifitError) as caught:
        df.mice.impute('resp == "yes" ~ age', m=2, rng=1)
    *before, last = caught.value.do.split("; ")
    names = {"df": df, "np": np, "pd": pd}
    exec("\n".join(before), names)
    imp = eval(last, names)
    assert imp.plan.questions[0].model == "logit"
    known = df["resp"].notna()
    assert all((one["outcome"][known].astype(bool) == (df["resp"][known] == "yes")).all() for one in imp)


@pytest.mark.parametrize(("given", "meant"), [("no", "ignore"), ("never", "raise")])
def test_a_wrong_word_of_uncovered_is_named_beside_those_that_are_known(given, meant):
    imp = study().mice.impute("y ~ x", **KEPT)
    with pytest.raises(MifitError, match="'reimpute', 'raise' or 'ignore'") as caught:
        imp.fit("y ~ x", uncovered=given)
    assert caught.value.do == f"imp.fit('y ~ x', uncovered={meant!r})"
    assert len(eval(caught.value.do, {"imp": imp}).params) == 2

"""Errors of what comes after imputing: a plan on another frame, extend, indexing, fit; each with its call to paste."""

import numpy as np
import pytest
import statsmodels.api as sm

import mifit
from mifit import CongenialityError, DataError, FormulaError, MifitError, ModelError, PlanError, PoolingError
from support.refused import N, check, of, study


@pytest.fixture(scope="module")
def imputed():
    """Sets drawn for y ~ x + z."""
    return study().mice.impute("y ~ x + z", m=2, rng=1, iterations=5, auxiliary="ignore")


@pytest.fixture(scope="module")
def elsewhere(imputed):
    """The same, as if made by others."""
    return mifit.from_long(imputed.to_long()[[".imp", ".id", "y", "x", "z"]])


def test_a_plan_does_not_run_on_another_frame():
    plan = study().mice.plan("y ~ x + z")
    other = {
        "rows": study().iloc[:40],
        "columns": study().rename(columns={"z": "w"}),
        "order": study()[["x", "y", "z", "g", "b"]],
    }
    for frame in other.values():
        check(
            lambda frame=frame: frame.mice.impute(plan, m=2),
            PlanError,
            "the plan was made for 80 rows and columns y, x",
        )
    filled = study().fillna({"x": 0.0})
    check(lambda: filled.mice.impute(plan, m=2), PlanError, "the plan was made for 'x' with missing values")
    holed = study().assign(z=study()["z"].mask(study().index > 70))
    check(lambda: holed.mice.impute(plan, m=2), PlanError, "the plan was made for 'z' without missing values")
    count = study().assign(x=study()["x"].rank() - 1)
    check(lambda: count.mice.impute(plan, m=2), PlanError, "the plan was made for 'x' as numeric; now it is count")


@pytest.mark.parametrize(
    "late", [{"methods": {"x": "norm"}}, {"predictors": {"x": ["z"]}}, {"order": ["x"]}, {"congeniality": "terms"},
             {"auxiliary": "ignore"}, {"model": "ols"}, {"weights": "z"}],
)  # fmt: skip
def test_a_wish_beside_a_plan_comes_too_late(late):
    check(of(late, formula=study().mice.plan("y ~ x")), PlanError, f"{next(iter(late))}= cannot change a plan")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "extend needs more sets or more sweeps"),
        ({"m": 0}, "extend needs more sets or more sweeps"),
        ({"m": -1}, "extend needs more sets or more sweeps"),
        ({"m": 1.5}, "m is 1.5"),
        ({"m": "a"}, "m is 'a'"),
        ({"iterations": True}, "iterations is True"),
        ({"m": 1, "iterations": -1}, "extend needs more sets or more sweeps"),
    ],
)
def test_extend_refuses_what_is_no_more(imputed, given, said):
    check(lambda: imputed.extend(**given), PlanError, said)


def test_sets_made_elsewhere_cannot_be_extended(elsewhere):
    check(lambda: elsewhere.extend(m=2), PlanError, "sets made elsewhere cannot be extended")


def test_an_average_of_sets_is_refused_with_what_to_do_instead(imputed):
    for verb in ("mean", "median", "describe", "groupby"):
        with pytest.raises(AttributeError, match=r"averaging completed sets loses the uncertainty.*imp\.fit\("):
            getattr(imputed, verb)
    assert not hasattr(imputed, "mean")


def test_another_verb_of_frames_is_sent_to_one_set(imputed):
    with pytest.raises(AttributeError, match=r"a completed DataFrame has one: imp\[0\].head"):
        imputed.head()
    with pytest.raises(AttributeError, match=r"no attribute 'haed'$"):
        imputed.haed  # noqa: B018


def test_a_set_is_chosen_by_its_number(imputed):
    with pytest.raises(IndexError, match="there is no set 2: the 2 sets are numbered 0 to 1"):
        imputed[2]
    with pytest.raises(IndexError, match="there is no set -3"):
        imputed[-3]
    with pytest.raises(TypeError, match=r"not by 'x'; a column: imp\[0\]\['x'\]"):
        imputed["x"]
    with pytest.raises(TypeError, match="chosen by its number"):
        imputed[0.0]


FITS = {
    "unknown word": ({"cov_typ": "HC1"}, None, ModelError, "no keyword 'cov_typ' (did you mean 'cov_type'?)"),
    "unknown model": ({"model": "logt"}, None, ModelError, "unknown model 'logt' (did you mean 'logit'?)"),
    "uncovered": ({"uncovered": "rais"}, None, PlanError, "uncovered is 'rais'"),
    "keep": ({"keep": True}, None, PlanError, "keep is True"),
    "unknown column": ({}, "y ~ x + qq", FormulaError, "names 'qq', which is not a column"),
    "unknown weights": (
        {"model": "wls", "weights": "qq"},
        None,
        DataError,
        "the analysis names 'qq', which is not a column",
    ),
    "no text": ({}, 5, FormulaError, "a formula is text, not int"),
    "a list": ({}, ["y ~ x"], FormulaError, "a formula is text, not list"),
    "df_method": ({"df_method": "rubins"}, None, PoolingError, "rubins"),
    "family by name": ({"model": "glm", "family": "Poisson"}, None, ModelError, "family='Poisson' is not a family"),
    "a column outside that kept its missing values": (
        {"uncovered": "ignore"},
        "y ~ x + b",
        DataError,
        "the analysis needs 'b', which was not imputed and has 11 missing values",
    ),
    "uncovered raises": ({"uncovered": "raise"}, "y ~ x*z", CongenialityError, "the analysis was not foreseen"),
}


@pytest.mark.parametrize("case", FITS)
def test_a_fit_that_cannot_be(imputed, case):
    options, formula, kind, said = FITS[case]
    with pytest.raises(MifitError) as caught:
        imputed.fit(formula, **options)
    assert type(caught.value) is kind and said in str(caught.value).splitlines()[0], caught.value


def test_which_analysis_is_asked_when_none_or_several_were_declared(elsewhere):
    check(lambda: elsewhere.fit(), PlanError, "no analyses were declared; say which to fit")
    two = study().mice.impute(["y ~ x", "y ~ z"], m=2, rng=1, iterations=5, auxiliary="ignore")
    error = check(lambda: two.fit(), PlanError, "2 analyses were declared; say which to fit")
    assert error.do == "imp.fit('y ~ x')  or  imp.fit('y ~ z')"


def test_a_value_outside_a_splines_knots_names_the_column_and_the_cure_works(imputed):
    error = check(
        lambda: imputed.fit("y ~ bs(x, df=4)", uncovered="ignore"),
        FormulaError,
        "outside the outermost knots of bs(x, df=4)",
    )
    assert error.args[0].startswith("row ") and " has x = " in error.args[0]
    with pytest.warns(mifit.CongenialityWarning):
        assert len(eval(error.do, {"imp": imputed}).params) == 5


def test_the_cure_of_an_uncovered_analysis_covers_it(imputed):
    with pytest.raises(CongenialityError) as caught:
        imputed.fit("y ~ x*z", uncovered="raise")
    names = {"df": study()}
    exec(caught.value.do, names)
    assert names["imp"].fit("y ~ x*z", uncovered="raise").congeniality.word == "exact"


def test_the_call_that_avoids_a_warning_names_the_family_too():
    with pytest.warns(mifit.CongenialityWarning, match=r"model='glm', family=sm.families.Poisson\(\), .*m=2, rng=1\)"):
        _counts()


def _counts():
    """Fit a count with a family, on sets that never saw it."""
    frame = study().assign(c=np.arange(N) % 5)
    drawn = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=5, auxiliary="ignore")
    return drawn.fit("c ~ x", model="glm", family=sm.families.Poisson())

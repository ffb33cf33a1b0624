"""Formulas: the frozen design is patsy's, names are columns, outcomes can be undone."""

import sys

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

import mifit
from mifit import FormulaError, ModelError
from mifit.formula.design import covered, freeze
from mifit.formula.question import ask, caller_scope
from mifit.formula.terms import code_of, parse, take_apart
from mifit.frame.table import read

N = 120


def complete(seed=1, n=N):
    """One column of every sort a formula may meet."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "y": rng.normal(size=n),
            "x": rng.normal(size=n),
            "w": rng.uniform(40, 90, n),
            "h": rng.uniform(1.5, 2.0, n),
            "g": rng.choice(list("abc"), n),
            "k": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), categories=["lo", "mid", "hi"], ordered=True),
            "b": rng.random(n) < 0.5,
            "yn": rng.choice(["no", "yes"], n),
            "stage": rng.integers(1, 5, n),
            "cnt": rng.poisson(3, n),
            "one": rng.integers(1, 3, n),
            "z01": rng.integers(0, 2, n).astype(float),
            "whole": rng.integers(-50, 1000, n),
            "a b": rng.normal(size=n),
            "class": rng.normal(size=n),
            "é": rng.normal(size=n),
            "ob": pd.Series(rng.random(n) < 0.5).astype(object),
        }
    )


def design(formula, frame, model="ols"):
    """The frozen design of a formula on a frame."""
    table = read(frame)
    return freeze(ask(formula, table, scope=caller_scope(), model=model), table)


def values(frame):
    """Columns as the design takes them."""
    return {name: column.values for name, column in read(frame).columns.items()}


ks = [-0.5, 0.0, 0.5]
shift = 2.0


def double(v):
    """A function of the module."""
    return 2 * v


EXACT = """
y ~ x | y ~ x + w + h | y ~ x*w | y ~ x:w - 1 | y ~ g | y ~ g*x | y ~ g*k | y ~ g:k | y ~ x:g | y ~ g/x
y ~ (x + w + g)**2 | y ~ x**2 | y ~ 0 + g | y ~ 0 + x | y ~ x - 1 | y ~ 1 | y ~ g + 0 + x:g | y ~ k
y ~ C(g, Treatment(2)) | y ~ C(g, Treatment('c'))*x | y ~ C(g, Sum) | y ~ C(k, Poly) | y ~ C(g, Helmert)*x
y ~ C(k, Treatment('mid')) | y ~ C(k, Diff) | y ~ C(stage, levels=[4, 3, 2, 1]) | y ~ C(b, Treatment(True))
y ~ bs(x, df=4) | y ~ bs(x, 4) + g | y ~ bs(x, df=5, degree=2)*g | y ~ bs(x, knots=ks) | y ~ bs(np.log(w), df=4)
y ~ bs(w, df=4, lower_bound=0, upper_bound=100) | y ~ bs(x=w, df=5) | y ~ cr(x, df=4) | y ~ cc(x, df=4)
y ~ te(cr(x, df=3), cr(w, df=3)) | y ~ center(x) | y ~ center(np.log(w)):b | y ~ np.log(w) | y ~ np.log(w) + np.exp(x)
y ~ I(w/h**2) | y ~ I(w/h**2)*g | y ~ I(x + shift) | y ~ I(x > 0) | y ~ (x > 0) | y ~ np.where(x > 0, 1, 0)
y ~ double(x)*g | y ~ pow(x, 2) | y ~ abs(x) | y ~ np.maximum(x, shift)
y ~ Q('a b') | y ~ Q("a b"):g | y ~ Q('class')*x | y ~ é
y ~ b | y ~ b*x | y ~ b:g | y ~ C(b) | y ~ I(b) | y ~ I(b*x) | y ~ ob | y ~ ob*x | y ~ yn*b | y ~ I(g == 'a')
y ~ stage | y ~ C(stage) | y ~ C(stage)*x | y ~ stage*g | y ~ C(stage > 2) | y ~ I(stage/2) | y ~ C(stage % 2)
y ~ cnt | y ~ C(cnt) | y ~ np.log(cnt + 1) | y ~ stage:cnt | y ~ I(cnt//2) | y ~ whole | y ~ I(whole**2) | y ~ C(whole)
y ~ one | y ~ C(one) | y ~ one*x | y ~ C(one):C(stage) | y ~ I(one == 2) | y ~ z01 | y ~ C(z01):x | y ~ C(np.round(x))
"""
FORMULAS = [formula.strip() for line in EXACT.strip().splitlines() for formula in line.split("|")]


@pytest.mark.parametrize("formula", FORMULAS)
def test_the_design_is_patsys_names_included(formula):
    frame = complete()
    wanted = patsy.dmatrix(formula.split("~")[1], frame)
    found = design(formula, frame)
    assert found.redundant == REDUNDANT.get(formula, ())
    whole = pd.DataFrame(np.asarray(wanted), columns=wanted.design_info.column_names)
    kept = whole.drop(columns=list(found.redundant))
    assert found.names == tuple(kept.columns)
    # up to rounding: a product of matrices may add up in another order
    np.testing.assert_allclose(found.matrix(values(frame)), kept.to_numpy(), rtol=1e-12, atol=1e-13)
    if found.redundant:  # they are nothing new, and nothing more can go
        assert np.linalg.matrix_rank(whole) == np.linalg.matrix_rank(kept) == kept.shape[1]


#: columns of splines that sum to the constant
REDUNDANT = {
    "y ~ cr(x, df=4)": ("cr(x, df=4)[3]",),
    "y ~ cc(x, df=4)": ("cc(x, df=4)[3]",),
    "y ~ te(cr(x, df=3), cr(w, df=3))": ("te(cr(x, df=3), cr(w, df=3))[8]",),
}


@pytest.mark.parametrize("formula", ["y ~ standardize(x)", "y ~ scale(w)*g"])
def test_standardised_columns_are_patsys_to_the_last_digit(formula):
    frame = complete()
    wanted = np.asarray(patsy.dmatrix(formula.split("~")[1], frame))
    np.testing.assert_allclose(design(formula, frame).matrix(values(frame)), wanted, rtol=1e-12, atol=1e-13)


def test_a_formula_may_have_more_terms_than_calls_may_nest():
    names = [f"x{j}" for j in range(600)]
    table = read(pd.DataFrame(np.random.default_rng(1).normal(size=(700, 600)), columns=names))
    usual = sys.getrecursionlimit()
    design = freeze(ask("x0 ~ " + " + ".join(names[1:]), table), table)
    assert design.names == ("Intercept", *names[1:])
    assert sys.getrecursionlimit() == usual


def test_an_unused_category_makes_no_column():
    frame = complete().assign(u=pd.Categorical(["u", "v"] * (N // 2), categories=["u", "v", "never"]))
    assert design("y ~ u", frame).names == ("Intercept", "u[T.v]")


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "string", "category"])
def test_nullable_and_text_dtypes_give_the_design_of_their_plain_twin(dtype):
    source = {"Int64": "whole", "Float64": "x", "boolean": "b", "string": "g", "category": "g"}[dtype]
    frame = complete()
    other = frame.assign(**{source: frame[source].astype(dtype)})
    formula = f"y ~ {source}*w"
    one, two = design(formula, frame), design(formula, other)
    assert one.names == two.names
    np.testing.assert_array_equal(one.matrix(values(frame)), two.matrix(values(other)))


# Frozen


def punctured(frame, name, rows):
    """The frame with missing values in one column."""
    return frame.assign(**{name: frame[name].mask(frame.index.isin(rows))})


@pytest.mark.parametrize("formula", ["y ~ bs(x, df=5) + w", "y ~ center(x)*w", "y ~ cr(x, df=4)", "y ~ standardize(x)"])
def test_knots_and_centres_are_learnt_once_on_the_observed_rows(formula):
    frame = complete()
    frozen = design(formula, punctured(frame, "x", range(40, N)))
    info = patsy.dmatrix(formula.split("~")[1], frame.iloc[:40]).design_info
    inside = frame["x"].between(frame["x"][:40].min(), frame["x"][:40].max()).to_numpy()
    wanted = np.asarray(patsy.build_design_matrices([info], frame[inside])[0])
    wanted = wanted[:, [name not in frozen.redundant for name in info.column_names]]
    found = frozen.evaluate(range(len(frozen.columns)), values(frame), N)[inside]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


def test_each_factor_learns_on_the_rows_where_its_own_variables_are_observed():
    frame = punctured(punctured(complete(), "x", range(50)), "w", range(70, N))
    found = design("y ~ center(x) + center(w)", frame).evaluate([1, 2], values(complete()), N)
    np.testing.assert_allclose(found[50:, 0].mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(found[:70, 1].mean(), 0.0, atol=1e-12)
    assert abs(found[:, 0].mean()) > 1e-6 and abs(found[:, 1].mean()) > 1e-6


def test_levels_are_fixed_whatever_a_completed_set_holds():
    frame = complete()
    frozen = design("y ~ g", frame)
    only_a = values(frame) | {"g": np.zeros(N)}
    np.testing.assert_array_equal(frozen.matrix(only_a)[:, 1:], 0.0)
    assert frozen.names == ("Intercept", "g[T.b]", "g[T.c]")


def test_all_sets_share_the_columns_and_the_knots():
    frame = punctured(complete(), "x", range(0, N, 3))
    imp = frame.mice.impute("y ~ bs(x, df=4) + w", m=3, rng=1, iterations=5, auxiliary="ignore")
    results = imp.fit().results
    probe = complete(seed=9).query("-1 < x < 1")
    designs = [patsy.build_design_matrices([_info(r)], probe)[0] for r in (results[0], results[2])]
    np.testing.assert_allclose(*designs, rtol=1e-12, atol=1e-13)


def _info(result):
    """patsy's description of a result, under the name this statsmodels has for it."""
    data = result.model.data
    return getattr(data, "model_spec", None) or data.design_info


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("y ~ I(x - np.mean(x))", "depends on other rows"),
        ("y ~ np.cumsum(x)", "depends on other rows"),
        ("y ~ pd.cut(x, 3)", "depends on other rows"),
        ("y ~ I(stage - np.mean(stage))", "depends on other rows"),
        ("y ~ I(x - x.mean())", "method of a column"),
        ("y ~ g.str.upper()", "method of a column"),
        ("y ~ patsy.bs(x, df=4)", "anew in every set"),
    ],
)
def test_what_could_not_be_frozen_is_refused(formula, said):
    with pytest.raises(FormulaError, match=said):
        design(formula, complete())


def test_levels_of_a_number_with_holes_are_refused_and_the_cure_works():
    frame = punctured(complete(), "whole", range(9))
    with pytest.raises(FormulaError, match=r"makes levels of 'whole', which is a number with 9 missing values"):
        design("y ~ C(whole)", frame)
    design("y ~ C(stage)", punctured(complete(), "stage", range(9)))


# Names


def test_a_misspelt_name_is_an_error_even_where_the_caller_has_a_variable_of_that_name():
    X = np.arange(float(N))
    assert len(X)
    for formula in ("y ~ X + w", "y ~ np.log(X) + w", "y ~ I(X*w)", "X ~ x"):
        with pytest.raises(FormulaError, match=r"names 'X', which is not a column"):
            complete().mice.impute(formula, m=2)


def test_the_nearest_column_is_named():
    with pytest.raises(FormulaError, match=r"\(did you mean 'stage'\?\)"):
        complete().mice.impute("y ~ stgae", m=2)


def test_functions_and_constants_of_the_callers_scope_work():
    limit = 0.3
    knots = [1.7, 1.8]  # noqa: F841

    def above(v):
        return np.where(v > limit, v - limit, 0.0)

    frame = punctured(complete(), "x", range(0, N, 4))
    imp = frame.mice.impute("y ~ above(x) + I(limit*w) + bs(h, knots=knots)", m=2, rng=1, iterations=5)
    assert "above(x)" in imp.fit().params.index
    assert "limit = 0.3" in str(imp.plan)


def test_local_functions_and_lambdas_cross_to_workers():
    square = lambda v: v**2  # noqa: E731, F841
    frame = punctured(complete(), "x", range(0, N, 4))
    option = {"m": 2, "rng": 1, "iterations": 5, "auxiliary": "ignore"}
    here = frame.mice.impute("y ~ square(x)", **option)
    there = frame.mice.impute("y ~ square(x)", n_jobs=2, **option)
    assert here.identity == there.identity


def declared_elsewhere():
    """An analysis whose function no other scope knows."""

    def hinge(v):
        return np.maximum(v, 0.0)

    frame = punctured(complete(), "x", range(0, N, 4))
    return frame.mice.impute("y ~ hinge(x)", m=2, rng=1, iterations=5, auxiliary="ignore")


def test_a_declared_formula_keeps_the_names_it_captured():
    imp = declared_elsewhere()
    assert list(imp.fit().params.index) == ["Intercept", "hinge(x)"]
    assert imp.fit("y ~ hinge(x)").congeniality.word == "exact"


def test_a_variable_of_the_caller_does_not_hide_patsys_words():
    C, bs, scale = 5, "text", 1.0  # noqa: F841
    made = complete().mice.plan("y ~ C(g) + bs(x, df=4) + scale(w)", auxiliary="ignore")
    assert made.questions[0].names == {}


def test_a_column_that_hides_a_function_is_named():
    frame = complete().rename(columns={"w": "Q"})
    with pytest.raises(FormulaError, match="column 'Q' hides the function"):
        design("y ~ Q('Q')", frame)
    assert design("y ~ Q", frame).names == ("Intercept", "Q")


@pytest.mark.parametrize(
    ("formula", "name"),
    [("y ~ lag(x)", "lag"), ("y ~ Log(x)", "Log"), ("y ~ x + missing_function(w)", "missing_function")],
)
def test_an_undefined_function_is_named(formula, name):
    with pytest.raises(FormulaError, match=f"calls '{name}', which is not defined"):
        design(formula, complete())


# What does not parse


@pytest.mark.parametrize(
    ("formula", "under"),
    [
        ("y ~ x + (w", "("),
        ("y ~ x +* w", "*"),
        ("y ~ x w", "x w"),
        ("y ~ x + f(1 +)", "f(1 +)"),
        ("y ~ np.log(x", "np.log(x"),
        ("y ~ 2*x", "2"),
    ],
)
def test_a_caret_stands_under_the_place_that_does_not_parse(formula, under):
    with pytest.raises(FormulaError) as caught:
        parse(formula)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("the formula does not parse")
    assert lines[1].strip() == formula
    start, stop = lines[2].index("^"), lines[2].rindex("^") + 1
    assert lines[1][start:stop] == under
    assert lines[-1].strip().startswith("do")


@pytest.mark.parametrize("formula", ["", "~ x", "x + w", "y + w ~ x", "y:w ~ x", "1 ~ x", "0 ~ x"])
def test_a_formula_has_one_outcome(formula):
    with pytest.raises(FormulaError, match="one outcome"):
        parse(formula)


def test_a_power_written_as_in_r_names_the_cure():
    with pytest.raises(FormulaError) as caught:
        design("y ~ x^2 + w", complete())
    assert caught.value.do == "df.mice.impute('y ~ I(x**2) + w')"


def test_pieces_and_spelling():
    assert take_apart("np.log(x + Q('a b'))", ["x", "a b"]).variables == ("x", "a b")
    assert take_apart("Q(('t', 1)) + Q(2)", [("t", 1), 2]).variables == (("t", 1), 2)
    assert [code_of(n) for n in ("x", "a b", "class", 3, "C", "é")] == [
        "x",
        "Q('a b')",
        "Q('class')",
        "Q(3)",
        "Q('C')",
        "é",
    ]


# Outcomes


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("w ~ x", "identity"),
        ("Q('w') ~ x", "identity"),
        ("np.log(w) ~ x", "log"),
        ("np.log10(w) ~ x", "log10"),
        ("np.log2(w) ~ x", "log2"),
        ("np.log1p(w) ~ x", "log1p"),
        ("np.sqrt(w) ~ x", "sqrt"),
        ("np.exp(x) ~ w", "exp"),
        ("I((w - 50)/10) ~ x", "affine"),
        ("I(w*-2.5 + 1) ~ x", "affine"),
        ("np.log(Q('w')) ~ x", "log"),
    ],
)
def test_an_outcome_expression_is_undone(formula, name):
    frame = complete()
    table = read(frame)
    question = ask(formula, table, scope={})
    inverse = question.inverse(table)
    assert inverse.name == name
    expression = freeze(question, table).response(values(frame))
    np.testing.assert_allclose(inverse.undo(expression), frame[question.outcome[0]], rtol=1e-12)


@pytest.mark.parametrize(
    "left", ["I(w**2)", "np.log(w + 1)", "np.abs(w)", "I(w + h)", "scale(w)", "I(1/w)", "I(w > 50)"]
)
def test_other_expressions_with_holes_are_refused_by_column(left):
    frame = punctured(complete(), "w", range(9))
    with pytest.raises(FormulaError, match=r"has missing values \('w'\) and cannot be inverted"):
        frame.mice.plan(f"{left} ~ x", auxiliary="ignore")
    assert complete().mice.plan(f"{left} ~ x", auxiliary="ignore").questions


@pytest.mark.parametrize("expression", ["np.log(w)", "np.sqrt(w)", "I((w - 50)/10)", "np.log1p(w)"])
def test_an_undone_outcome_is_drawn_in_the_users_units(expression):
    frame = punctured(complete(), "w", range(0, N, 3))
    imp = frame.mice.impute(f"{expression} ~ x + h", m=2, rng=1, iterations=5, auxiliary="ignore")
    drawn = imp[0]["w"][frame["w"].isna()]
    assert 20 < drawn.mean() < 110 and drawn.nunique() == len(drawn)


@pytest.mark.parametrize(
    ("outcome", "model", "label"),
    [
        ("y", "ols", "y"), ("b", "logit", "P(b = True)"), ("yn", "logit", "P(yn = yes)"), ("z01", "logit", "z01"),
        ("one", "logit", "P(one = 2)"), ("stage", "ols", "stage"), ("cnt", "ols", "cnt"),
        ("np.log(w)", "ols", "np.log(w)"),
    ],
)  # fmt: skip
def test_the_model_follows_from_the_outcome_and_the_last_level_is_modelled(outcome, model, label):
    question = ask(f"{outcome} ~ x", read(complete()), scope={})
    assert (question.model, question.outcome_label) == (model, label)


@pytest.mark.parametrize("outcome", ["g", "k"])
def test_an_outcome_of_three_levels_needs_a_model(outcome):
    with pytest.raises(ModelError, match=f"outcome '{outcome}' has neither numbers nor two values"):
        ask(f"{outcome} ~ x", read(complete()), scope={})


# What a design knows of itself


@pytest.mark.parametrize(
    ("formula", "variable", "affine"),
    [
        ("y ~ x", "x", True),
        ("y ~ x*w", "x", True),
        ("y ~ x*g + center(x)", "x", True),
        ("y ~ I(2*x + w)", "x", True),
        ("y ~ I(x*w)", "x", True),
        ("y ~ w", "x", False),
        ("y ~ I(x**2)", "x", False),
        ("y ~ x + np.log(w)", "x", True),
        ("y ~ x + np.log(w)", "w", False),
        ("y ~ bs(x, df=4)", "x", False),
        ("y ~ I(w/h)", "w", True),
        ("y ~ I(w/h)", "h", False),
        ("y ~ np.abs(x)", "x", False),
        ("y ~ np.where(x > 1.5, x, 0)", "x", False),
        ("y ~ np.maximum(w, 60)", "w", False),
    ],
)
def test_affine_in_a_variable(formula, variable, affine):
    found = design(formula, complete())
    assert (bool(found.columns_of(variable)) and found.affine_in(variable)) is affine


@pytest.mark.parametrize(
    ("formula", "variable", "needed"),
    [
        ("y ~ np.log(w)", "w", True),
        ("y ~ np.sqrt(w)*g", "w", True),
        ("y ~ I(w**0.5)", "w", True),
        ("y ~ I(1/w)", "w", False),
        ("y ~ w", "w", False),
        ("y ~ I(w**2)", "w", False),
        ("y ~ np.log(h) + w", "w", False),
        ("y ~ bs(w, df=4)", "w", False),
    ],
)
def test_a_formula_that_needs_a_positive_variable(formula, variable, needed):
    assert design(formula, complete()).needs_positive(variable) is needed


@pytest.mark.parametrize(
    ("asked", "known", "inside"),
    [
        ("y ~ x", ["y ~ x + w"], True),
        ("y ~ x + I(w**2)", ["y ~ x + w"], False),
        ("y ~ x", ["y ~ bs(x, 4)"], True),
        ("y ~ I(x**3)", ["y ~ bs(x, 4)"], True),
        ("y ~ I(x**4)", ["y ~ bs(x, 4)"], False),
        ("y ~ C(g, Treatment(2))", ["y ~ g"], True),
        ("y ~ 0 + g", ["y ~ g"], True),
        ("y ~ g", ["y ~ 0 + g"], True),
        ("y ~ x", ["y ~ x*w"], True),
        ("y ~ x*w", ["y ~ x + w"], False),
        ("y ~ x:w", ["y ~ x*w"], True),
        ("y ~ x*g + w", ["y ~ x + w", "y ~ x*g"], True),
        ("y ~ x", ["y ~ center(x)"], True),
        ("y ~ C(stage)", ["y ~ stage"], False),
        ("y ~ stage", ["y ~ C(stage)"], True),
        ("y ~ np.log(w)", ["y ~ w"], False),
        ("y ~ I(2*w + 3)", ["y ~ w"], True),
        ("y ~ I(w/1e9)", ["y ~ w"], True),
        ("y ~ x - 1", ["y ~ x"], True),
        ("y ~ x", ["y ~ x - 1"], False),
        ("y ~ h", ["y ~ x + w"], False),
    ],
)
def test_covered_is_a_matter_of_span(asked, known, inside):
    frame = complete()
    assert covered(design(asked, frame), [design(one, frame) for one in known]) is inside


def test_a_value_outside_a_splines_knots_names_row_value_knots_and_a_wider_spline():
    frame = complete()
    frozen = design("y ~ bs(x, df=4)*g + h", frame)
    outside = values(frame) | {"x": np.where(np.arange(N) == 7, 9.5, frame["x"])}
    with pytest.raises(FormulaError) as caught:
        frozen.matrix(outside)
    lines = str(caught.value).splitlines()
    assert lines[0] == "row 7 has x = 9.5, outside the outermost knots of bs(x, df=4)."
    wider = caught.value.do.removeprefix("imp.fit('").removesuffix("')")
    assert np.isfinite(design(wider, frame).matrix(outside)).all()
    assert len(design(wider, frame).names) == len(frozen.names)


def test_a_logarithm_of_an_observed_zero_names_the_row():
    frame = complete().assign(w=np.where(np.arange(N) == 4, 0.0, 5.0))
    with pytest.raises(FormulaError, match=r"'np.log\(w\)' is not a finite number in row 4"):
        design("y ~ np.log(w)", frame)
    with pytest.raises(FormulaError, match="row 4"):
        mifit.impute(frame, "np.log(w) ~ x", m=2).fit()


def test_successes_and_failures_are_refused_with_a_call_that_analyses_their_share():
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.normal(size=200), "no of hits": rng.integers(0, 9, 200), "fail": 3})
    full = df.copy()
    df.loc[::4, "x"] = np.nan
    with pytest.raises(FormulaError, match="one outcome on its left") as caught:
        df.mice.impute("Q('no of hits') + fail ~ x", model="glm", family=sm.families.Binomial())
    call = caught.value.do.replace(".mice.impute(", ".mice.impute(m=2, rng=1, iterations=2, formula=")
    assert eval(call).fit().congeniality.word == "exact"
    whole = eval(call, {**globals(), "df": full}).fit().params
    both = smf.glm("Q('no of hits') + fail ~ x", full, family=sm.families.Binomial()).fit().params
    np.testing.assert_allclose(whole, both, rtol=1e-8)

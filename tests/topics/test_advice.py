"""The line that a message ends in is run, on frames with missing values, and what it makes is what it ought to be."""

import ast
import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit

N = 120
MISSING = slice(0, 12)  # rows without a value in every column made here


def base(seed=0):
    """Numbers with missing values, and times."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.normal(size=N), "z": rng.normal(size=N), "t": rng.exponential(size=N) + 0.1})
    frame.loc[30:45, "x"] = np.nan
    return frame


def spread(values, dtype=object, seed=1, holes=True):
    """A column of some values, each often, with missing values in the first rows."""
    rng = np.random.default_rng(seed)
    drawn = np.array(values, dtype=object)[np.r_[np.arange(len(values)), rng.integers(0, len(values), N - len(values))]]
    drawn = drawn[rng.permutation(N)]
    if holes:
        drawn[MISSING] = None
    return pd.Series(drawn).astype(dtype)


def followed(call, names, again=None, most=5):
    """Do as a user does: run the call, paste what its error says, until it runs; the lines that were pasted."""
    pasted = []
    for _ in range(most):
        try:
            return evaluated(call, names), pasted
        except mifit.MifitError as error:
            assert error.do and "..." not in error.do, error
            pasted.append(error.do)
            call = again or call
            if ast.unparse(ast.parse(error.do).body[-1]).startswith(("df.mice", "imp.", "df.assign", "df[df[")):
                call = error.do
            else:
                exec(error.do, names)
    raise AssertionError(pasted)


def evaluated(code, names):
    """Run statements and return the value of the last."""
    *before, last = ast.parse(code).body
    exec(compile(ast.Module(before, []), "pasted", "exec"), names)
    return eval(compile(ast.Expression(last.value), "pasted", "eval"), names)


def scope(df):
    return {"df": df, "np": np, "pd": pd, "sm": sm, "mifit": mifit}


def truth_of(series):
    """A column as floats, NaN where missing."""
    return series.astype(object).where(series.notna(), np.nan).astype(float).to_numpy()


# How a status may be coded, and which code is the event.
STATUS = {
    "1 and 2": ([1, 2], "int64", 2),
    "1 and 2 as floats": ([1.0, 2.0], "float64", 2),
    "1 and 2, nullable": ([1, 2], "Int64", 2),
    "0, 1 and 2": ([0, 1, 2], "int64", 2),
    "0, 1 and 2, nullable": ([0, 1, 2], "Int64", 2),
    "0 and 2": ([0, 2], "int64", 2),
    "text": (["alive", "dead"], object, "dead"),
    "text, the other way round": (["dead", "living"], object, "dead"),
    "text, none": (["event", "none"], object, "event"),
    "text, yes": (["no", "yes"], "string", "yes"),
    "text of numbers": (["1", "2"], object, "2"),
    "text of 0 and 1": (["0", "1"], object, "1"),
    "three words": (["censored", "transplant", "death"], object, "death"),
    "categories": (["dead", "alive"], pd.CategoricalDtype(["dead", "alive"]), "dead"),
    "categories of numbers": ([1, 2], "category", 2),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("name", ["status", "état à la fin"])
@pytest.mark.parametrize("coding", STATUS)
def test_a_status_of_any_coding_becomes_the_events_that_are_meant(coding, name):
    values, dtype, event = STATUS[coding]
    df = base().assign(**{name: spread(values, dtype, holes=False).to_numpy()})
    df[name] = df[name].astype(dtype)
    names = scope(df)
    call = "df.mice.impute('t ~ x + z', model='phreg', status={!r}, m=2, rng=1)"
    imp, pasted = followed(call.format(name), names, call.format("event"))
    assert len(pasted) == 1 and repr(event) in pasted[0] and "status='event'" in pasted[0]
    assert imp.plan[name].why == "left alone, as asked"  # it is the outcome again, no auxiliary
    np.testing.assert_array_equal(truth_of(names["df"]["event"]), (df[name] == event).astype(float))
    assert np.abs(imp.fit().params).max() > 0
    # the same line keeps a missing status missing
    holed = df.drop(columns="event").assign(
        **{name: df[name].astype(dtype if dtype in (object, "string", "Int64") else object)}
    )
    holed[name] = holed[name].mask(np.arange(N) < 12)
    names = scope(holed)
    exec(pasted[0].partition("; df.mice")[0], names)
    assert names["df"]["event"].isna().sum() == 12 and names["df"]["event"].isna()[MISSING].all()


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("coding", ["1 and 2", "0, 1 and 2", "text"])
def test_a_status_that_is_an_array_becomes_a_column_of_events(coding):
    values, dtype, event = STATUS[coding]
    status = spread(values, dtype, holes=False).to_numpy()
    names = {**scope(base()), "status": status}
    call = "df.mice.impute('t ~ x + z', model='phreg', status={}, m=2, rng=1)"
    _, pasted = followed(call.format("status"), names, call.format("'event'"))
    np.testing.assert_array_equal(truth_of(names["df"]["event"]), (status == event).astype(float))


def test_a_fit_of_sets_made_elsewhere_says_which_events_too():
    df = base().assign(status=spread([1, 2], "int64", holes=False))
    imp = df.mice.impute(m=2, rng=1, iterations=1)
    elsewhere = mifit.from_frames(list(imp), original=df)
    with pytest.raises(mifit.MifitError, match="is not 1 for an event") as caught:
        elsewhere.fit("t ~ z", model="phreg", status="status")
    names = scope(df)
    exec(caught.value.do, names)
    np.testing.assert_array_equal(truth_of(names["df"]["event"]), (df["status"] == 2).astype(float))


OUTCOMES = {
    "text": (list("abc"), object, "c"),
    "categories": (list("abc"), "category", "c"),
    "text of pandas": (list("abc"), "string", "c"),
    "arrow": (list("abc"), "string[pyarrow]", "c"),
    "categories of numbers": ([1, 2, 3], "category", 3),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize(
    ("name", "coding", "words"),
    [
        *product(["g"], OUTCOMES, ["model='logit'", "model='probit'", "model='glm', family=sm.families.Binomial()"]),
        *product(["gr öße", "class"], ["text", "categories"], ["model='logit'", "model='probit'"]),
    ],
)
def test_one_level_against_the_others_is_missing_where_the_level_is(coding, name, words):
    values, dtype, level = OUTCOMES[coding]
    if "arrow" in str(dtype):
        pytest.importorskip("pyarrow")
    df = base().assign(**{name: spread(values, dtype)})
    names = scope(df)
    spelled = name if name == "g" else f"Q({name!r})"
    imp, pasted = followed(f"df.mice.impute({f'{spelled} ~ x + z'!r}, {words}, m=2, rng=1)", names)
    made = names["df"]["outcome"]
    expected = [np.nan if pd.isna(v) else float(v == level) for v in df[name].tolist()]
    np.testing.assert_array_equal(truth_of(made), expected)
    assert made.isna().sum() == 12 and not imp[0]["outcome"].isna().any()
    assert imp.fit().params.abs().max() < 50


NUMBERS = {
    "counts": (np.arange(7), "float64", "y ~ x + z", "y"),
    "most of them the greatest": ([0, 2, 5, 5, 5, 5], "Int64", "y ~ x + z", "y"),
    "a rating": ([1, 2, 3, 4, 5], "Int64", "y ~ x + z", "y"),
    "odd name": ([1.5, 2.5, 7.0], "float64", "Q('y / n') ~ x + z", "y / n"),
    "an expression": ([1.5, 2.5, 7.0], "float64", "I(y * 2) ~ x + z", "y"),
    "a logarithm": ([1.5, 2.5, 70.0, 80.0], "float64", "np.log(y) ~ x + z", "y"),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("coding", NUMBERS)
def test_a_threshold_for_yes_and_no_is_missing_where_the_number_is(coding):
    values, dtype, formula, name = NUMBERS[coding]
    df = base().assign(**{name: spread(list(values), dtype)})
    names = {**scope(df), "imp": df.mice.impute(formula, m=2, rng=1, iterations=2)}
    with pytest.raises(mifit.MifitError, match="models yes and no") as caught:
        names["imp"].fit(formula, model="logit", uncovered="ignore")
    imp = evaluated(caught.value.do, names)
    made, y = names["df"]["outcome"], truth_of(df[name])
    assert made.isna().sum() == 12 and made.isna()[MISSING].all()
    there = ~np.isnan(y)
    split = truth_of(made)[there].astype(bool)
    assert 0 < split.sum() < len(split) and y[there][split].min() > y[there][~split].max()
    assert imp.fit().params.notna().all()


EXPRESSIONS = {
    "a comparison": ("I(y > 1)", lambda y: y > 1),
    "numpy's where": ("np.where(y > 1, 1, 0)", lambda y: y > 1),
    "a range": ("I((y > 1) & (y < 4))", lambda y: (y > 1) & (y < 4)),
    "a square": ("I(y**2)", lambda y: y**2),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("how", EXPRESSIONS)
@pytest.mark.parametrize("dtype", ["float64", "Int64"])
def test_an_outcome_that_is_an_expression_becomes_a_column_with_its_missing_values(how, dtype):
    code, expected = EXPRESSIONS[how]
    df = base().assign(y=spread([0, 1, 2, 3, 4, 5], dtype))
    names = scope(df)
    imp, pasted = followed(f"df.mice.impute('{code} ~ x + z', m=2, rng=1)", names)
    y = truth_of(df["y"])
    np.testing.assert_array_equal(truth_of(names["df"]["outcome"]), np.where(np.isnan(y), np.nan, expected(y)))
    assert len(pasted) == 1 and imp[0]["outcome"].notna().all()


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("dtype", [object, "category", "string"])
@pytest.mark.parametrize("values", [["no", "yes"], ["none", "one", "two", "three"], ["1", "2", "3+"]])
def test_levels_under_a_model_of_counts_get_numbers(values, dtype):
    df = base().assign(n=spread(values, dtype))
    names = scope(df)
    _, pasted = followed("df.mice.impute('n ~ x + z', model='poisson', m=2, rng=1)", names)
    made = names["df"]["n"]
    assert made.isna().sum() == 12 and pd.api.types.is_float_dtype(made.dtype)
    assert len(made.dropna().unique()) == len(values)


SPELLED = {
    "a decimal comma": (lambda v: f"{v:.1f}".replace(".", ","), True),
    "points between thousands": (lambda v: f"{v * 1000:,.1f}".translate(str.maketrans(".,", ",.")), True),
    "commas between thousands": (lambda v: f"{v * 1000:,.1f}", True),
    "NA": (lambda v: f"{v:.1f}", False),
    "blanks": (lambda v: f" {v:.1f} ", False),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("how", SPELLED)
@pytest.mark.parametrize(
    ("name", "dtype", "formula"),
    [
        *product(["bmi"], ["object", "category", "string", "mixed"], ["{} ~ x", "x ~ {} + z", None]),
        *product(["body mass"], ["object"], ["{} ~ x", "x ~ {} + z"]),
    ],
)
def test_numbers_spelled_as_text_become_numbers_and_no_row_is_lost(how, name, dtype, formula):
    write, _ = SPELLED[how]
    numbers = np.round(np.random.default_rng(2).normal(27, 4, N), 1)
    text = [write(v) for v in numbers]
    text[20], text[21], text[22] = "NA", "n/a", "."
    text[MISSING] = [None] * 12
    if dtype == "mixed":
        text[60] = 27.5
        numbers[60] = 27.5 / (1000 if "thousands" in how else 1)
    df = base().assign(**{name: pd.Series(text, dtype=object).astype(object if dtype == "mixed" else dtype)})
    names = scope(df)
    spelled = None if formula is None else formula.format(name if name == "bmi" else f"Q({name!r})")
    _, pasted = followed(f"df.mice.impute({spelled!r}, m=2, rng=1, iterations=2)", names)
    expected = numbers * (1000 if "thousands" in how else 1)
    expected[[*range(12), 20, 21, 22]] = np.nan
    np.testing.assert_allclose(names["df"][name], expected, rtol=1e-12)
    assert len(pasted) == 1 and len(names["df"]) == N


@pytest.mark.parametrize("dtype", ["float64", "int64", "Int64", "float32", "int64[pyarrow]", object])
@pytest.mark.parametrize("name", ["x", "two words", "número", 3])
def test_a_code_for_missing_is_noted_with_the_call_that_makes_it_missing(dtype, name):
    rng = np.random.default_rng(4)
    numbers = rng.integers(20, 60, N)
    numbers[[3, 8, 20]] = -99
    df = pd.DataFrame({name: pd.Series(numbers).astype(dtype), "y": rng.normal(size=N)})
    df.loc[5:9, "y"] = np.nan
    note = next(one for one in df.mice.plan().events if "-99" in one)
    least = numbers[numbers > 0].min()
    assert f"{name!r} is -99 in 3 rows, the next value is {least}" in note
    names = scope(df)
    exec(note.partition("missing value, ")[2], names)
    assert names["df"][name].isna().sum() == 3
    assert not any("-99" in one for one in names["df"].mice.plan().events)


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*range(20, 60), -99, -98, -98], [-99, -98]),
        ([1, 2, 3, 4, 5] * 6 + [9] * 5, [9]),
        ([0, 1] * 20 + [99] * 4, [99]),
        ([*np.linspace(18, 35, 40), 999.0, 999.0, 999.0], [999]),
        ([*-np.linspace(18, 35, 40), -999.0, -999.0], [-999]),
        ([*range(30), *range(30), -1, -1], [-1]),
        ([*range(20, 98), 99, 99, 99], []),
        ([-1, 0, 1] * 10, []),
        ([*np.linspace(-12.0, 30.0, 40), -9.0], []),
        ([0, 1] * 20, []),
        ([*range(40), 88], []),
        ([5, 6, 7, 8, 9] * 8, []),
        ([*range(10)] * 4, []),
        ([1, 2, 3] * 8 + [7, 8, 9] * 3, [7, 8, 9]),
    ],
)
def test_what_is_a_code_for_missing_and_what_is_none(values, codes):
    df = pd.DataFrame({"x": values, "y": np.arange(len(values)) / 7 % 3})
    df.loc[1:3, "y"] = np.nan
    noted = [one for one in df.mice.plan().events if "stands for a missing value" in one]
    assert len(noted) == (1 if codes else 0)
    assert all(f"{code} in" in noted[0] or f"{code}: np.nan" in noted[0] for code in codes)


def test_codes_for_missing_are_warned_of_once_and_printed_until_they_are_gone_or_called_values():
    rng = np.random.default_rng(1)
    df = pd.DataFrame({"x": rng.normal(30, 4, N), "g": spread(["a", "b", "NA"]), "y": rng.normal(size=N)})
    df.loc[:3, "x"], df.loc[10:15, "x"] = -99, np.nan
    with pytest.warns(mifit.MifitWarning, match="stands for a missing value") as seen:
        imp = df.mice.impute(m=2, rng=1)
    assert len(seen) == 1 and "'x' is -99" in str(seen[0].message) and "level 'NA'" in str(seen[0].message)
    lines = [line for line in repr(imp).splitlines() if "look at" in line]
    names, kinds = scope(df.copy()), {}
    for line in lines:
        exec(line.partition("missing value, ")[2], names)
        kinds |= eval(line.partition("else kinds=")[2])
    assert names["df"]["x"].isna().sum() == df["x"].isna().sum() + 4 and set(names["df"]["g"].dropna()) == {"a", "b"}
    assert "look at" not in repr(names["df"].mice.impute(m=2, rng=1))
    kept = df.mice.impute(m=2, rng=1, kinds=kinds)
    assert "look at" not in repr(kept) and (kept[0]["x"] == -99).sum() >= 4


@pytest.mark.filterwarnings("ignore:.*but imputed independently")
def test_a_level_that_nothing_tells_is_merged_and_no_row_is_lost():
    df = base().assign(g=spread(list("abcd"), "category", holes=False), y=lambda d: d["z"] + 1)
    df.loc[df["g"] == "d", "y"] = np.nan
    names = scope(df)
    imp, pasted = followed("df.mice.impute('y ~ g + x', m=2, rng=1)", names)
    assert len(names["df"]) == N and len(pasted) == 1 and set(names["df"]["g"]) == set("abc")
    two = base().assign(g=spread(["no", "yes"], holes=False), y=lambda d: d["z"] + 1)
    two.loc[two["g"] == "yes", "y"] = np.nan
    imp, _ = followed("df.mice.impute('y ~ g + x', m=2, rng=1)", scope(two))
    assert list(imp.fit().params.index) == ["Intercept", "x"]


@pytest.mark.parametrize("dtype", [object, "category", "string"])
@pytest.mark.parametrize("number", [False, True])
def test_a_value_where_a_condition_is_known_not_to_hold_is_cleared_and_only_there(dtype, number):
    df = base().assign(smoker=spread(["no", "yes"], dtype), n=spread([1.0, 2.0, 3.5, 4.0, 7.25], "float64", 5, False))
    given = "('smoker == \"yes\"', 0)" if number else "'smoker == \"yes\"'"
    names = scope(df)
    followed(f"df.mice.impute(conditional={{'n': {given}}}, m=2, rng=1, iterations=2)", names)
    made, known = names["df"]["n"], df["smoker"].notna().to_numpy()
    outside = known & (df["smoker"].astype(object).fillna("?") == "no").to_numpy()
    assert (made[outside] == 0).all() if number else made[outside].isna().all()
    pd.testing.assert_series_equal(made[~outside], df["n"][~outside])


@pytest.mark.parametrize("dtype", [object, "category"])
def test_a_column_of_many_levels_keeps_its_missing_values_when_rare_ones_are_merged(dtype):
    rng = np.random.default_rng(5)
    n = 2000
    df = pd.DataFrame({"g": [f"k{v:03d}" for v in rng.integers(0, 150, n)], "y": rng.normal(size=n)})
    df.loc[:19, "g"] = None
    df["g"] = df["g"].astype(dtype)
    names = scope(df)
    with pytest.raises(mifit.MifitError, match="can be weighed by the analysis") as caught:
        df.mice.plan("y ~ g")
    exec(caught.value.do, names)
    made = names["df"]["g"]
    assert made.isna().sum() == 20 and made.nunique() == 31 and "other" in set(made)
    names["df"].mice.plan("y ~ g")


@pytest.mark.parametrize("labels", [[f"s{k}" for k in range(5)], list(range(5))])
@pytest.mark.parametrize("dtype", [None, "category"])
def test_small_groups_are_put_together(labels, dtype):
    df = base()
    df["site"] = pd.Series(np.repeat(labels, [50, 50, 8, 7, 5])).astype(dtype or object if dtype else type(labels[0]))
    names = scope(df)
    followed("df.mice.impute(by='site', m=2, rng=1, iterations=2)", names)
    assert names["df"]["site"].nunique() == 3


@pytest.mark.parametrize("count", ["int64", "float64", "Int64"])
def test_rows_that_stand_for_several_are_written_out_whatever_the_index(count):
    df = base().set_axis(np.arange(N) // 3, axis=0)
    df["n"] = np.where(np.arange(N) % 4 == 0, 3, 1)
    df["n"] = df["n"].astype(count)
    names = scope(df)
    call = "df.mice.impute('z ~ x', model='glm', family=sm.families.Gaussian(), freq_weights='n', m=2, rng=1)"
    followed(call, names)
    assert len(names["df"]) == df["n"].sum() and names["df"]["x"].isna().sum() == df.loc[df["x"].isna(), "n"].sum()


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "object", "period", "tz", "date32[day][pyarrow]"])
def test_dates_in_a_formula_become_days(dtype):
    when = pd.Series(pd.date_range("2020-03-01 06:00", periods=N, freq="D"))
    when[MISSING] = pd.NaT
    made = {
        "datetime64[ns]": lambda: when,
        "object": lambda: when.dt.date.astype(object).where(when.notna(), None),
        "period": lambda: when.dt.to_period("D"),
        "tz": lambda: when.dt.tz_localize("UTC"),
        "date32[day][pyarrow]": lambda: when.astype(dtype) if pytest.importorskip("pyarrow") else None,
    }[dtype]()
    df = base().assign(when=made)
    names = scope(df)
    imp, _ = followed("df.mice.impute('z ~ when + x', m=2, rng=1)", names)
    np.testing.assert_allclose(names["df"]["when"][12:], np.arange(N - 12))
    assert names["df"]["when"].isna().sum() == 12


# Words of other programs, and what is meant by them.

WORDS = {
    "seed": ("seed=1", "rng=1"),
    "random seed": ("random_seed=1", "rng=1"),
    "a capital": ("M=3", "m=3"),
    "imputations": ("n_imputations=3", "m=3"),
    "sets": ("n_imp=3", "m=3"),
    "simulations": ("nsim=3", "m=3"),
    "sweeps": ("maxit=4", "iterations=4"),
    "sklearn's": ("max_iter=4", "iterations=4"),
    "rounds": ("n_iter=4", "iterations=4"),
    "text": ("m='3'", "m=3"),
    "cores": ("n_cores=1", "n_jobs=1"),
    "lm": ("model='lm'", "model='ols'"),
    "regress": ("model='regress'", "model='ols'"),
    "gaussian": ("model='gaussian'", "model='ols'"),
}


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize(
    ("case", "formula"),
    [(case, text) for case in WORDS for text in ("'z ~ x', ", "") if text or "model" not in WORDS[case][0]],
)
def test_a_word_of_another_program_is_answered_with_the_word_that_does_it(case, formula):
    given, meant = WORDS[case]
    names = scope(base())
    with pytest.raises(mifit.MifitError) as caught:
        evaluated(f"df.mice.impute({formula}{given})", names)
    assert caught.value.do == f"df.mice.impute({formula}{meant})"


FORMULAS = {
    "y ~ factor(g)": "y ~ C(g)",
    "y ~ as.factor(g) + x": "y ~ C(g) + x",
    "y ~ ns(z, 3)": "y ~ cr(z, df=3)",
    "y ~ poly(z, 3)": "y ~ z + I(z**2) + I(z**3)",
    "y ~ s(z) + x": "y ~ bs(z, df=4) + x",
    "y ~ I(z^2)": "y ~ I(z**2)",
    "y ~ z^2 + x": "y ~ I(z**2) + x",
    "y ~ ifelse(z > 0, 1, 0)": "y ~ np.where(z > 0, 1, 0)",
    "y ~ ln(t)": "y ~ np.log(t)",
    "y ~ i.g + c.x": "y ~ C(g) + x",
    "y ~ .": "y ~ x + z + t + g",
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_of_another_program_is_said_again_and_runs(formula):
    rng = np.random.default_rng(7)
    df = base().assign(g=spread(list("ab"), holes=False), y=rng.normal(size=N))
    with pytest.raises(mifit.MifitError) as caught:
        df.mice.plan(formula)
    assert caught.value.do == f"df.mice.impute({FORMULAS[formula]!r})"
    assert df.mice.plan(FORMULAS[formula]).questions


def test_a_random_effect_and_an_offset_become_words_of_a_model():
    df = base().assign(id=np.arange(N) // 4, n=np.arange(N) % 5, y=lambda d: d["z"])
    df["died"] = np.random.default_rng(1).integers(0, 2, N)
    df["pain"] = pd.Categorical.from_codes(np.arange(N) % 3, ["none", "some", "much"], ordered=True)
    for formula, do in {
        "y ~ z + (1 | id)": "df.mice.impute('y ~ z', model='mixedlm', groups='id')",
        "y ~ z + (z | id)": "df.mice.impute('y ~ z', model='mixedlm', groups='id', re_formula='~ z')",
        "died ~ z + (1 | id)": "df.mice.impute('died ~ z', model='mixed_logit', groups='id')",
        "pain ~ z + (1 | id)": "df.mice.impute('pain ~ z', model='mixed_ordinal', groups='id')",
        "n ~ z + offset(log(t))": "df.mice.impute('n ~ z', model='poisson', exposure='t')",
        "n ~ z + offset(t)": "df.mice.impute('n ~ z', model='poisson', offset='t')",
    }.items():
        with pytest.raises(mifit.MifitError) as caught:
            df.mice.plan(formula)
        assert caught.value.do == do
        assert eval(do.replace("impute", "plan"), scope(df)).questions


@pytest.fixture(scope="module")
def small():
    df = base().assign(y=lambda d: d["z"] + np.random.default_rng(8).normal(size=N))
    return df, df.mice.impute("y ~ x + z", m=3, rng=1, iterations=2)


@pytest.mark.parametrize("name", ["to_csv", "to_excel", "to_parquet", "complete", "to_frame", "pool", "loggedEvents"])
def test_an_imputed_set_says_where_to_find_what_others_have(small, name):
    with pytest.raises(AttributeError, match=r"imp\.|imp\[") as caught:
        getattr(small[1], name)
    if name.startswith("to_"):
        assert "imp.to_long()" in str(caught.value)


@pytest.mark.parametrize("name", ["aic", "bic", "llf", "resid", "fittedvalues", "df_resid", "fvalue", "coef_"])
def test_results_say_why_a_figure_is_not_pooled_and_what_there_is(small, name):
    res = small[1].fit()
    with pytest.raises(AttributeError, match=f"no '{name}': .*res\\.") as caught:
        getattr(res, name)
    assert not hasattr(res, name) and str(caught.value).count("\n") == 0


@pytest.mark.parametrize("name", ["rsquared", "rsquared_adj", "scale"])
def test_a_figure_that_a_model_has_not_is_refused_in_the_words_of_the_figure(name):
    df = base().assign(hit=lambda d: (d["z"] > 0).astype(float)).assign(n=lambda d: np.arange(N) % 4)
    res = df.mice.impute("hit ~ x", m=2, rng=1, iterations=1).fit(uncovered="ignore")
    if name == "scale":
        res = pickle.loads(pickle.dumps(res))
        res.results = [object(), object()]  # of a package whose fits have no residual variance
    with pytest.raises(AttributeError, match=r"has no (R²|residual variance)") as caught:
        getattr(res, name)
    assert "did you mean" not in str(caught.value) and not hasattr(res, name)


def test_a_plot_that_is_called_draws_the_usual_picture(small):
    pytest.importorskip("matplotlib")
    assert small[1].plot() is not None and small[1].fit().plot() is not None


def test_one_completed_set_is_drawn_and_only_pooling_is_refused(small):
    one = small[0].mice.impute("y ~ x + z", m=1, rng=1, iterations=2)
    assert len(one) == 1 and one[0].notna().all().all() and "1 completed set" in repr(one)
    pd.testing.assert_frame_equal(one[0], small[1][0])
    with pytest.raises(mifit.PoolingError, match="no between-imputation variance") as caught:
        one.fit()
    res = eval(caught.value.do.replace("m=19", "m=2"), {"imp": one})
    pd.testing.assert_series_equal(res.params, small[1].fit().params)


@pytest.mark.parametrize(("name", "link"), [("ologit", "logit"), ("oprobit", "probit")])
def test_an_ordered_model_takes_its_link_from_its_name_and_says_it(name, link):
    df = base().assign(grade=pd.Categorical(spread(["low", "mid", "top"]), ["low", "mid", "top"], ordered=True))
    imp = df.mice.impute("grade ~ x + z", model=name, m=2, rng=1, iterations=2)
    assert imp.fit().fits.facts["Distribution"] == link and link in imp.fit().summary().as_text()
    other = df.mice.impute("grade ~ x + z", model="ordinal", distr=link, m=2, rng=1, iterations=2)
    pd.testing.assert_series_equal(imp.fit().params, other.fit().params)


@pytest.mark.parametrize("formula", ["y ~ x", None])
@pytest.mark.parametrize("how", ["flag", "level", "number", "mask", "the others"])
def test_a_column_that_says_which_rows_are_ignored_is_no_predictor(how, formula):
    df = base().assign(y=lambda d: d["z"])
    test = np.arange(N) % 3 == 0
    column = {"level": np.where(test, "test", "train"), "number": test.astype(int)}.get(how, test)
    df["split"] = column
    option = {"flag": "split", "level": "split == 'test'", "number": "split == 1", "mask": test, "the others": ~test}[
        how
    ]
    plan = df.mice.plan(formula, ignore=option)
    assert plan["split"].role == "left" and "ignored" in plan["split"].why
    assert not any("split" in v.predictors for v in plan.variables)


def test_text_that_names_the_rows_is_refused_in_a_formula():
    df = base().assign(pid=[f"P{k:03d}" for k in range(N)], y=lambda d: d["z"])
    imp, pasted = followed("df.mice.impute('y ~ x + pid', m=2, rng=1)", scope(df))
    assert len(pasted) == 1 and list(imp.fit().params.index) == ["Intercept", "x"]


def test_names_are_found_whatever_their_case():
    from mifit.errors import nearest

    assert nearest("BMI", ["age", "bmi"]) == " (did you mean 'bmi'?)"
    assert nearest("m", ["M", "age"]) == " (did you mean 'M'?)" and nearest("AGEE", ["age"]) == " (did you mean 'age'?)"


@pytest.mark.parametrize("newdata", [{"x": [0.5, 1.0]}, {"Z": [0.5], "x": [2.0]}, {"zz": [0.5], "x": [2.0]}])
@pytest.mark.parametrize("as_frame", [True, False])
def test_new_rows_without_a_column_are_answered_with_that_column(small, newdata, as_frame):
    res, newdata = small[1].fit(), pd.DataFrame(newdata) if as_frame else newdata
    with pytest.raises(mifit.DataError, match="newdata lacks the column 'z'") as caught:
        res.get_prediction(newdata)
    names = {"pd": pd, "newdata": newdata}
    exec(caught.value.do, names)
    assert np.isfinite(res.predict(names["newdata"])).all()

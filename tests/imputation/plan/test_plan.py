"""The printed plan: short, whole sentences, no word unexplained; and columns of no use set aside in it."""

import numpy as np
import pandas as pd
import pytest

from mifit import DataError, IncompleteWarning, plan

N = 100


def study(**more):
    """An outcome and a covariate with missing values."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"y": rng.normal(size=N), "x": rng.normal(size=N), "z": rng.normal(size=N)})
    frame.loc[:14, "x"] = np.nan
    return frame.assign(**more)


def with_holes(values, many=10):
    """Values, the first ones missing."""
    return pd.Series(values, dtype=object).mask(np.arange(N) < many)


def test_a_comment_with_holes_stops_nothing():
    frame = study(comment=with_holes([f"said {i}" for i in range(N)]))
    for formula in ("y ~ x", None):
        made = plan(frame, formula)
        assert made["comment"].role == "left" and "comment" not in made.order
        assert "not imputed, missing values remain: 'comment'" in made.events
    with pytest.warns(IncompleteWarning, match=r"'comment' \(10\)"):
        imp = frame.mice.impute("y ~ x", m=2, rng=1)
    assert imp[0]["comment"].isna().sum() == 10
    assert "; 10 values in 1 column still missing" in repr(imp).splitlines()[0] and "comment (10)" in repr(imp)


def test_a_comment_that_is_to_be_drawn_is_not_set_aside():
    made = plan(study(comment=with_holes([f"said {i}" for i in range(N)])), methods={"comment": "sample"})
    assert made["comment"].label == "sample"


def test_dates_with_holes_are_still_refused():
    days = pd.Series(pd.date_range("2020-01-01", periods=N))
    with pytest.raises(DataError, match="holds dates or times and has 3 missing values") as found:
        plan(study(day=days.mask(days.index < 3)), "y ~ x")
    assert found.value.do == "df.mice.impute('y ~ x', methods={'day': 'leave'})"


def test_numbers_kept_as_text_are_said():
    ages = with_holes([str(20 + i % 37) for i in range(N)])
    said = "'age' holds numbers as text, read as 37 levels: df['age'] = pd.to_numeric(df['age']) makes it a number"
    assert said in plan(study(age=ages), "y ~ x").events
    codes = with_holes([f"{1 + i % 37:05d}" for i in range(N)])
    assert not any("as text" in event for event in plan(study(zip=codes), "y ~ x").events)
    few = with_holes([str(i % 4) for i in range(N)])
    assert not any("as text" in event for event in plan(study(arm=few), "y ~ x").events)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ x + k", None])
def test_a_column_with_one_observed_value_gets_it(formula):
    frame = study(k=pd.Series(np.ones(N)).mask(np.arange(N) < 7))
    made = plan(frame, formula)
    assert (made["k"].label, made["k"].why) == ("sample", "constant")
    assert "'k' has one observed value: every missing value gets it" in made.events
    if formula != "y ~ x + k":
        assert (frame.mice.impute(formula, m=2, rng=1, iterations=5)[1]["k"] == 1.0).all()


def test_many_columns_left_for_one_reason_share_a_line():
    rng = np.random.default_rng(1)
    more = {f"v{i}": np.where(rng.random(N) < 0.2, np.nan, rng.normal(size=N)) for i in range(60)}
    made = plan(study(**more).drop(columns="z"), "y ~ x", auxiliary="ignore")
    text = str(made)
    assert "60 columns" in text and "outside the analysis; missing values remain in 60" in text
    assert text.count("outside the analysis") == 1
    note = next(line for line in text.splitlines() if "not imputed, missing values remain" in line)
    assert all(repr(name) in note for name in more) and "+" not in note


def test_no_line_of_the_table_is_very_wide():
    terms = " + ".join(f"I(x**{k}) + I(z**{k})" for k in range(2, 12))
    frame = study()
    frame.loc[50:60, "y"] = np.nan
    lines = str(plan(frame, f"y ~ {terms}")).splitlines()
    assert max(len(line) for line in lines if "analysis   :" not in line and "parameters :" not in line) < 160


def test_every_role_and_sampler_of_the_table_is_explained():
    made = plan(study(a=np.where(np.arange(N) % 9 == 0, np.nan, 1.0 * np.arange(N) % 13)), "y ~ x")
    legend = str(made).rsplit("\n\n", 1)[1]
    for word in {v.role for v in made.variables} | {v.sampler for v in made.variables}:
        assert f"\n{word} " in "\n" + legend
    assert "rejection" in made._repr_html_() or "closed form" in made._repr_html_()


def test_nothing_missing_is_said_in_words():
    text = str(plan(study().drop(columns="x"), "y ~ z"))
    assert "nothing is missing in 100 rows." in text and "column  kind" not in text


def test_one_column_is_not_several():
    assert "1 column with missing values" in str(plan(study(), "y ~ x"))


def test_a_spline_that_confines_what_is_drawn_says_so_with_the_formula_that_frees_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    frame = pd.DataFrame({"y": x + rng.normal(size=200), "x": x, "z": rng.normal(size=200)})
    frame.loc[x < -1.0, "x"] = np.nan
    imp = frame.mice.impute("y ~ bs(x, df=4) * z", m=2, rng=1)
    said = [event for event in imp.events["event"] if "outermost knots" in event]
    assert len(said) == 1 and f"{frame['x'].min():.6g}" in said[0]
    assert min(one["x"].min() for one in imp) >= frame["x"].min()
    free = frame.mice.impute(said[0].rpartition(": ")[2].strip("'"), m=2, rng=1)
    assert not free.events["event"].str.contains("outermost knots").any()
    assert min(one["x"].min() for one in free) < frame["x"].min()
    complete = frame.assign(x=x).mice.plan("y ~ bs(x, df=4)")
    assert "outermost" not in str(complete)


def test_a_column_with_many_zeros_is_drawn_in_two_parts():
    rng = np.random.default_rng(2)
    x = np.where(rng.random(300) < 0.3, 0.0, rng.gamma(2.0, 1.0, 300))
    df = pd.DataFrame({"x": x, "z": x + rng.normal(size=300), "y": x + rng.normal(size=300)})
    df.loc[::4, "x"] = np.nan
    assert df.mice.plan("y ~ x + z")["x"].why == "35 % are 0, the others above"
    imp = df.mice.impute("y ~ x + z", m=2, rng=1, iterations=5)
    done = imp[1].loc[::4, "x"]
    assert 0 < (done == 0).sum() < len(done) and (done >= 0).all()
    assert imp.fit().congeniality.word in ("exact", "same mean")


def test_levels_that_differ_by_capitals_and_spaces_only_are_named_with_the_line_that_joins_them():
    rng = np.random.default_rng(1)
    df = pd.DataFrame(
        {"x": rng.normal(size=90), "g": rng.choice(["yes", "no", "Yes", " no"], 90, p=[0.45, 0.4, 0.1, 0.05])}
    )
    df.loc[:9, "x"] = np.nan
    df.loc[80:, "g"] = np.nan
    plan = df.mice.plan("x ~ g")
    (said,) = [one for one in plan.events if "if they are the same" in one]
    made = df.copy()
    exec(said.partition("if they are the same, ")[2], {"df": made})
    assert set(made["g"].dropna()) == {"yes", "no"}
    assert (made["g"].isna() == df["g"].isna()).all()
    assert not [one for one in made.mice.plan("x ~ g").events if "if they are the same" in one]

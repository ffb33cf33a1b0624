"""Words of other programs: the call that the answer prints runs on a frame with missing values, and is right."""

import ast

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit

N = 120


def study(seed=0):
    """Columns of most kinds, with odd names, nullable dtypes and missing values; a few complete ones."""
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(
        {
            "chl": rng.normal(200, 30, N), "age": rng.normal(50, 9, N).round(), "bmi": rng.normal(25, 3, N),
            "grp": pd.Categorical(rng.choice(list("abc"), N)), "sys bp": rng.normal(120, 10, N),
            "hyp": rng.choice(["no", "yes"], N), "n_ev": rng.poisson(1.2, N), "time": rng.exponential(3, N) + 0.1,
            "status": rng.integers(0, 3, N), "dead": rng.integers(0, 2, N),
        }
    )  # fmt: skip
    df["kids"] = pd.Series(rng.integers(0, 4, N)).astype("Int64")
    for name in ("chl", "bmi", "sys bp", "kids", "grp", "hyp"):
        df[name] = df[name].mask(rng.random(N) < 0.12)
    return df


def scope(df):
    return {"df": df, "np": np, "pd": pd, "sm": sm, "mifit": mifit}


def refused(call, names):
    """The error of a call."""
    with pytest.raises(mifit.MifitError) as caught:
        eval(call, names)
    assert caught.value.do and "..." not in caught.value.do, caught.value
    return caught.value


def pasted(error, names):
    """Run the line that an error ends in; the value of its last statement."""
    *before, last = ast.parse(error.do).body
    exec(compile(ast.Module(before, []), "pasted", "exec"), names)
    return eval(compile(ast.Expression(last.value), "pasted", "eval"), names)


pytestmark = pytest.mark.filterwarnings("ignore::mifit.MifitWarning")

MEANT = {
    "'chl age bmi'": "chl ~ age + bmi",
    "'chl, age, bmi'": "chl ~ age + bmi",
    "['chl', 'bmi']": "chl ~ bmi",
    "('CHL', 'Age', 'sys bp')": "chl ~ age + Q('sys bp')",
    "'sys bp, age'": "Q('sys bp') ~ age",
    "'chl = age + sys bp'": "chl ~ age + Q('sys bp')",
    "'age + bmi'": "chl ~ age + bmi",
    "'~ age + bmi'": "chl ~ age + bmi",
    "'C(grp) + chl'": "age ~ C(grp) + chl",
    "'chl'": "chl ~ age + bmi",
    "''": "chl ~ age + bmi",
    "'CHL ~ Age + np.log(BMI)'": "chl ~ age + np.log(bmi)",
    "'Chl ~ Sys BP'": "chl ~ Q('sys bp')",
    "'chl ~ agee + bmi'": "chl ~ age + bmi",
    "'chl ~ bss(age, df=4)'": "chl ~ bs(age, df=4)",
    "'chl ~ age + chl'": "chl ~ age",
    "['hyp', 'age']": "hyp ~ age",
    "{'chl': 'age'}": "chl ~ age + bmi",
}


@pytest.mark.parametrize("given", MEANT)
def test_names_without_a_formula_become_an_analysis_of_the_users_columns(given):
    names = scope(study())
    error = refused(f"df.mice.impute({given}, m=2, rng=1, iterations=1)", names)
    imp = pasted(error, names)
    assert imp.plan.written == (MEANT[given],) and imp.m == 2 and imp.iterations == 1


@pytest.mark.parametrize(("given", "model"), [("['grp', 'age']", "mnlogit"), ("'hyp age bmi'", "logit")])
def test_an_outcome_of_levels_is_told_its_model_where_it_needs_one(given, model):
    names = scope(study())
    imp = pasted(refused(f"df.mice.impute({given}, m=2, rng=1, iterations=1)", names), names)
    assert imp.plan.questions[0].model == model


def test_one_of_several_formulas_is_mended_and_the_others_stay():
    names = scope(study())
    imp = pasted(refused("df.mice.impute(['age + bmi', 'bmi ~ kids'], m=2, rng=1, iterations=1)", names), names)
    assert imp.plan.written == ("chl ~ age + bmi", "bmi ~ kids")


@pytest.mark.parametrize("left", ["chl", "np.log(chl)", "Q('sys bp')"])
def test_all_other_columns_are_written_out(left):
    df = study()[["chl", "age", "sys bp", "kids", "hyp"]]
    for call in (
        "df.mice.impute({!r}, m=2, rng=1, iterations=1)",
        "df.mice.impute(m=2, rng=1, iterations=1).fit({!r})",
    ):
        names = scope(df)
        names["imp"] = df.mice.impute(m=2, rng=1, iterations=1)
        made = pasted(refused(call.format(f"{left} ~ ."), names), names)
        assert isinstance(made, mifit.ImputedSet) or list(made.params.index)[0] == "Intercept"
        own = "sys bp" if "sys" in left else "chl"
        formula = made.plan.written[0] if isinstance(made, mifit.ImputedSet) else made.design.formula
        right = formula.partition("~")[2]
        assert own not in right and all(name in right for name in df.columns if name != own)


def test_a_fit_answers_in_the_words_of_the_fit():
    df = study()[["chl", "age", "bmi"]]
    names = {**scope(df), "imp": df.mice.impute("chl ~ age + bmi", m=2, rng=1)}
    error = refused("imp.fit('age + bmi', cov_type='HC1')", names)
    assert error.do == "imp.fit('chl ~ age + bmi', cov_type='HC1')  # your outcome on the left"
    assert pasted(error, names).fits is not None
    error = refused("imp.fit('chl ~ age', seed=1, cov_type='HC1')", names)
    assert error.do.startswith("imp.fit('chl ~ age', cov_type='HC1')") and pasted(error, names) is not None
    error = refused("imp.fit('chl ~ age', model='lm', cov_type='HC1', uncovered='ignore')", names)
    assert error.do == "imp.fit('chl ~ age', model='ols', cov_type='HC1', uncovered='ignore')"


SCALED = {
    "standardize(y)": lambda y: (y - np.nanmean(y)) / np.nanstd(y),
    "scale(y)": lambda y: (y - np.nanmean(y)) / np.nanstd(y),
    "center(y)": lambda y: y - np.nanmean(y),
    "standardize(y, ddof=1)": lambda y: (y - np.nanmean(y)) / np.nanstd(y, ddof=1),
    "scale(y, center=False)": lambda y: y / np.nanstd(y),
    "standardize(np.log(y))": lambda y: (np.log(y) - np.nanmean(np.log(y))) / np.nanstd(np.log(y)),
    "center(y + age)": None,
}


@pytest.mark.parametrize("code", SCALED)
@pytest.mark.parametrize("dtype", ["float64", "Int64"])
@pytest.mark.parametrize("name", ["chl", "sys bp"])
def test_a_scaled_outcome_keeps_its_missing_values(code, dtype, name):
    df = study()
    df[name] = df[name].round().astype(dtype)
    spelled = code.replace("y", name if name == "chl" else f"Q({name!r})", 1) if code != "center(y + age)" else None
    spelled = spelled or f"center({name if name == 'chl' else f'Q({name!r})'} + age)"
    names = scope(df)
    imp = pasted(refused(f"df.mice.impute({f'{spelled} ~ bmi'!r}, m=2, rng=1, iterations=1)", names), names)
    y = df[name].astype(object).where(df[name].notna(), np.nan).astype(float).to_numpy()
    y, rule = (y, SCALED[code]) if SCALED[code] else (y + df["age"].to_numpy(), SCALED["center(y)"])
    made = names["df"]["outcome"]
    made = made.astype(object).where(made.notna(), np.nan).astype(float)
    np.testing.assert_allclose(made, rule(y), rtol=1e-12, atol=1e-12)
    assert imp[0]["outcome"].notna().all()


MODELS = {
    "'ZeroInflatedNegativeBinomialP'": ("n_ev", "negativebinomial"),
    "sm.ZeroInflatedNegativeBinomialP": ("n_ev", "negativebinomial"),
    "'tobit'": ("chl", "ols"),
    "'lm'": ("chl", "ols"),
    "'osl'": ("chl", "ols"),
    "sm.tsa.ARIMA": ("chl", "ols"),
    "'lasso'": ("chl", "glm"),
}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_is_not_offered_is_answered_with_one_that_is(model):
    outcome, expected = MODELS[model]
    df = study()[[outcome, "age", "bmi"]]
    names = {**scope(df), "imp": df.mice.impute(m=2, rng=1, iterations=1)}
    formula = f"{outcome} ~ age"
    imp = pasted(refused(f"df.mice.impute({formula!r}, model={model}, m=2, rng=1, iterations=1)", names), names)
    assert imp.plan.questions[0].model == expected
    error = refused(f"imp.fit({formula!r}, model={model}, uncovered='ignore')", names)
    res = pasted(error, names)
    assert res.call.model == expected and "uncovered='ignore'" in error.do


@pytest.mark.parametrize(
    ("formula", "words", "family"),
    [
        ("hyp ~ age", "family='binomial'", "Binomial"),
        ("hyp ~ age", "model='glm', family='Binomial'", "Binomial"),
        ("n_ev ~ age", "family='poisson'", "Poisson"),
        ("n_ev ~ age", "model='glm', family=sm.families.Poisson", "Poisson"),
        ("n_ev ~ age", "model='glm', family='quasipoisson'", "Poisson"),
        ("chl ~ age", "family='gaussian'", "Gaussian"),
    ],
)
def test_a_family_in_text_becomes_an_object(formula, words, family):
    names = scope(study()[["hyp", "n_ev", "chl", "age"]])
    imp = pasted(refused(f"df.mice.impute({formula!r}, {words}, m=2, rng=1, iterations=1)", names), names)
    question = imp.plan.questions[0]
    assert question.model == "glm" and type(question.keywords["family"]).__name__ == family and imp.m == 2


@pytest.mark.parametrize(("model", "link"), [("ordinal", "probit"), ("ologit", "logit"), ("oprobit", "probit")])
def test_the_summary_of_an_ordered_model_names_its_link(model, link):
    rng = np.random.default_rng(1)
    df = study()[["age", "bmi"]].assign(stage=pd.Categorical(rng.choice(["I", "II", "III"], N), ordered=True))
    res = df.mice.impute("stage ~ age + bmi", model=model, m=2, rng=1, iterations=1).fit()
    assert f"Distribution:{link:>31}" in str(res.summary()).replace(" " * 9 + link, " " * 9 + link) or link in next(
        line for line in str(res.summary()).splitlines() if line.startswith("Distribution:")
    )


def test_competing_risks_become_the_hazard_of_one_cause():
    names = scope(study())
    error = refused("df.mice.impute('time ~ age + bmi', model='finegray', status='status', m=2, rng=1)", names)
    imp = pasted(error, names)
    np.testing.assert_array_equal(names["df"]["event"].astype(float), (names["df"]["status"] == 1).astype(float))
    known = sm.PHReg(names["df"]["time"], names["df"][["age"]], status=names["df"]["event"].astype(float)).fit()
    fitted = imp.fit("time ~ age", model="phreg", status="event", uncovered="ignore")
    np.testing.assert_allclose(fitted.params, known.params, rtol=1e-4)


def test_interval_censored_times_become_middles():
    df = study().assign(left=lambda d: d["time"], right=lambda d: d["time"] + 1.0)
    df.loc[:9, "right"] = np.nan  # no event so far
    df.loc[10:14, "right"] = np.inf
    df.loc[15:19, "left"] = np.nan  # before the first visit
    names = scope(df)
    imp = pasted(refused("df.mice.impute('time ~ age + bmi', model='icenreg', m=2, rng=1)", names), names)
    made = names["df"]
    assert (made["event"] == (df.index >= 15)).all()
    np.testing.assert_allclose(made["midpoint"][20:], df["time"][20:] + 0.5)
    np.testing.assert_allclose(made["midpoint"][15:20], df["right"][15:20] / 2)
    np.testing.assert_allclose(made["midpoint"][:15], df["left"][:15])
    assert imp.plan.questions[0].keywords["status"] == "event"


def test_an_effect_that_varies_with_time_becomes_two_periods():
    names = scope(study())
    error = refused("df.mice.impute('time ~ age + tt(bmi)', model='phreg', status='dead', m=2, rng=1)", names)
    imp = pasted(error, names)
    long, df = names["long"], names["df"]
    assert (long["stop"] > long["start"]).all() and long["event"].sum() == df["dead"].sum()
    at_risk = (long["stop"] - long["start"]).groupby(long["subject"]).sum()
    np.testing.assert_allclose(at_risk, df["time"])
    res = imp.fit()
    assert list(res.params.index) == ["age", "bmi", "bmi:late"] and res.bse.between(0, 5).all()


def test_a_case_cohort_keeps_the_users_formula_and_status():
    names = scope(study())
    call = "df.mice.impute('time ~ age + bmi', model='phreg', status='dead', weights='kids', m=2, rng=1, n_jobs=1)"
    error = refused(call, names)
    assert error.do.startswith("df.mice.impute('time ~ age + bmi', model='phreg', status='dead', m=2, rng=1, n_jobs=1)")
    assert pasted(error, names).m == 2


WISHES = [
    "methods='pmm'", "methods=['pmm']", "methods='rf'", "method='pmm'", "methods={'bmi': 'rf', 'grp': 'polyreg'}",
    "methods={'sys bp': 'rpart'}", "predictors=['age']", "derived='a + b'", "kinds='nominal'", "bounds=(0, 500)",
    "bounds=(0, 1)", "censored=(0, 1)", "truncated=(0, None)", "conditional='age > 3'", "collapse=['a', 'b']",
    "n_jobs='all'", "order='chl'", "by='hyp'", "id='kids'", "maxit=2", "print=False",
]  # fmt: skip


@pytest.mark.parametrize("formula", ["None", "'chl ~ age + bmi'"])
@pytest.mark.parametrize("option", WISHES)
def test_a_wish_of_another_form_is_granted_on_the_users_columns(option, formula):
    names = scope(study().drop(columns=["time", "status"]))
    error = refused(f"df.mice.impute({formula}, {option}, m=2, rng=1)", names)
    if "mice" not in error.do:
        exec(error.do, names)
        assert eval(f"df.mice.impute({formula}, {option}, m=2, rng=1)", names).m == 2
        return
    imp = pasted(error, names)
    assert imp.m == 2 and len(imp[0]) == N
    assert imp.plan.written == (() if formula == "None" else ("chl ~ age + bmi",))


def test_a_method_for_all_columns_is_given_to_each_that_it_draws():
    names = scope(study())
    imp = pasted(refused("df.mice.impute(methods='pmm', m=2, rng=1, iterations=1)", names), names)
    assert imp.plan.options.methods == dict.fromkeys(["chl", "bmi", "sys bp", "hyp", "kids"], "pmm") or set(
        imp.plan.options.methods
    ) >= {"chl", "bmi", "sys bp", "kids"}
    assert imp.plan["bmi"].label == "pmm" and imp.plan["grp"].label == "multinomial"


def completed():
    df = study()[["chl", "age", "sys bp", "grp"]]
    return df, df.mice.impute(m=3, rng=1, iterations=1)


RENAMED = [{".imp": "Imp"}, {".imp": "_Imputation_", ".id": "_mi"}, {".imp": "_mj", ".id": "_mi"}, {".id": "ID"}]


@pytest.mark.parametrize("names_", RENAMED, ids=str)
def test_long_formats_of_other_programs_are_read_by_the_call_that_is_printed(names_):
    df, imp = completed()
    names = {**scope(df), "long": imp.to_long().rename(columns=names_)}
    made = pasted(refused("mifit.from_long(long)", names), names)
    assert made.m == 3
    pd.testing.assert_frame_equal(made[2], imp[2], check_index_type=False)


@pytest.mark.parametrize("word", [".imp", ".id"])
@pytest.mark.parametrize("zero", [True, False])
def test_a_long_format_without_numbers_gets_them(word, zero):
    df, imp = completed()
    long = imp.to_long()
    long = (long if zero else long[long[".imp"] > 0]).drop(columns=word)
    names = {**scope(df), "long": long}
    made = pasted(refused("mifit.from_long(long)", names), names)
    assert made.m == 3
    np.testing.assert_allclose(made[1]["chl"], imp[1]["chl"])


def test_one_frame_where_several_are_wanted():
    df, imp = completed()
    names = {**scope(df), "frames": df, "long": imp.to_long()}
    assert pasted(refused("mifit.from_frames(frames)", names), names).m == 20
    assert (
        pasted(refused("mifit.from_frames(df.fillna({'chl': 1.0, 'sys bp': 1.0, 'grp': 'a'}))", names), names).m == 20
    )
    names["frames"] = imp.to_long()
    assert pasted(refused("mifit.from_frames(frames)", names), names).m == 3
    assert pasted(refused("mifit.from_long(df)", {**names, "long": df}), {**names, "long": df}).m == 20
    assert mifit.from_frames({"a": imp[0], "b": imp[1]}).m == 2
    names["long"] = [imp[0], imp[1]]
    assert pasted(refused("mifit.from_long(long)", names), names).m == 2


KEPT = {
    "a time": ("t ~ age", "model='phreg', status='dead'", "t"),
    "a status": ("time ~ age", "model='phreg', status='d'", "d"),
    "weights": ("chl ~ age", "model='wls', weights='w'", "w"),
    "an entry after the end": ("time ~ age", "model='phreg', status='dead', entry='late'", None),
    "a negative time": ("minus ~ age", "model='phreg', status='dead'", None),
    "an exposure of zero": ("n_ev ~ age", "model='poisson', exposure='zero'", None),
}


@pytest.mark.parametrize("case", KEPT)
def test_no_row_of_the_frame_is_deleted(case):
    formula, words, holed = KEPT[case]
    rows = np.arange(N) < 9
    df = study()[["chl", "age", "bmi", "n_ev", "time", "dead"]].assign(
        t=lambda d: d["time"].mask(rows), d=lambda d: d["dead"].astype(float).mask(rows),
        w=lambda d: d["time"].mask(rows), late=lambda d: np.where(rows, d["time"] + 1, 0.0),
        minus=lambda d: np.where(rows, -1.0, d["time"]), zero=lambda d: np.where(rows, 0.0, d["time"]),
    )  # fmt: skip
    used = [
        name
        for name in ("t", "d", "w", "late", "minus", "zero")
        if name in f"{formula} {words}".replace("'", " ").split()
    ]
    df = df[["chl", "age", "bmi", "n_ev", "time", "dead", *used]]
    names = scope(df.copy())
    imp = pasted(refused(f"df.mice.impute({formula!r}, {words}, m=2, rng=1, iterations=1)", names), names)
    pd.testing.assert_frame_equal(names["df"], df)
    assert len(imp[0]) == N - 9 and imp.fit().nobs == N - 9


def test_new_rows_without_a_column_are_imputed_with_the_old_ones():
    df = study()[["chl", "age", "bmi"]]
    imp = df.mice.impute("chl ~ age + bmi", m=2, rng=1, iterations=1)
    names = {**scope(df), "imp": imp, "new": study(1)[["chl", "bmi"]].head(30)}
    exec(refused("imp.impute_new(new)", names).do, names)
    made = names["imp"][0]
    assert len(made) == N + 30 and made["age"].notna().all()
    np.testing.assert_array_equal(made["age"][:N], df["age"])


def test_frequencies_under_another_name_keep_the_users_column():
    names = scope(study().drop(columns="kids").dropna(subset=["chl", "bmi", "sys bp", "grp", "hyp"]).assign(n=1))
    names["df"].loc[names["df"].index[:3], "age"] = np.nan
    assert pasted(refused("df.mice.impute(weights={'freq': 'n'}, m=2, rng=1)", names), names).plan.options.weights == {
        "frequency": "n"
    }


COVARIANCES = {
    "robust": ("cov_type='robust'", "cov_type='HC1'"),
    "robust in Stata": ("vce='robust'", "cov_type='HC1'"),
    "robust as a flag": ("robust=True", "cov_type='HC1'"),
    "clusters in Stata": ("vce='cluster site'", "cov_type='cluster', groups='site'"),
    "clusters": ("cluster='site'", "cov_type='cluster', groups='site'"),
}


@pytest.mark.parametrize("asked", COVARIANCES)
def test_words_for_robust_errors_lead_to_robust_errors(asked):
    given, meant = COVARIANCES[asked]
    rng = np.random.default_rng(3)
    df = pd.DataFrame({"x": rng.normal(size=90), "site": np.repeat(range(15), 6)})
    df["y"] = df["x"] + rng.normal(size=90)
    df.loc[::7, "y"] = np.nan
    imp = df.mice.impute("y ~ x", m=3, rng=1, methods={"site": "leave"})
    with pytest.raises(mifit.ModelError) as caught:
        eval(f"imp.fit('y ~ x', {given})")
    found, wanted = eval(caught.value.do), eval(f"imp.fit('y ~ x', {meant})")
    pd.testing.assert_series_equal(found.bse, wanted.bse)
    assert not np.allclose(found.bse, imp.fit("y ~ x").bse)


@pytest.mark.parametrize("word", ["by", "id"])
def test_an_option_that_names_one_column_takes_no_list(word):
    df = pd.DataFrame({"x": [1.0, np.nan, 2.0, 3.0] * 10, "y": np.arange(40.0), "g": ["a", "b"] * 20})
    with pytest.raises(mifit.DataError, match=f"{word}= names one column, not a list") as caught:
        df.mice.impute(m=2, rng=1, **{word: ["g"]})
    assert caught.value.do == f"df.mice.impute({word}='g', m=2, rng=1)"


@pytest.mark.parametrize("formula", ["y ~ x + Intercept", "y ~ <script>alert(1)</script>", "y ~ x ~ ", "y ~ x \n + z"])
def test_formulas_that_patsy_cannot_read_are_one_clear_error(formula):
    df = pd.DataFrame({"x": [1.0, np.nan, 2.0, 3.0] * 10, "y": np.arange(40.0), "Intercept": np.arange(40.0) % 7})
    with pytest.raises(mifit.FormulaError) as caught:
        df.mice.impute(formula)
    assert caught.value.do


def test_a_plan_is_asked_for_its_columns():
    plan = pd.DataFrame({"x": [1.0, np.nan, 2.0, 3.0] * 10, "y": np.arange(40.0)}).mice.plan("y ~ x")
    assert list(plan) == ["x"] and "x" in plan and "z" not in plan

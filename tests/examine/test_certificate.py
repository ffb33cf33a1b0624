"""The certificate term by term, and the warning about unequal variances."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.stats.diagnostic import het_breuschpagan

import mifit
from mifit import CongenialityWarning
from mifit.examine.certificate import breusch_pagan
from mifit.formula.design import Designs
from mifit.formula.question import ask
from mifit.frame.table import read

N = 300
WISHES = {"m": 2, "rng": 1, "iterations": 5, "auxiliary": "ignore"}


def study(unequal=False):
    rng = np.random.default_rng(1)
    x, z, e = rng.normal(size=(3, N))
    g = rng.choice(list("abc"), N)
    frame = pd.DataFrame({"x": x, "z": z, "g": g, "c": rng.poisson(2, N), "who": np.repeat(np.arange(30), 10)})
    frame["y"] = 1 + x + z + e * (np.exp(0.5 * x) if unequal else 1.0)
    frame["x"] = frame["x"].mask(rng.random(N) < 0.3)
    frame["g"] = frame["g"].mask(rng.random(N) < 0.1)
    return frame


@pytest.fixture(scope="module")
def drawn():
    made = {}

    def of(formula, **words):
        key = (formula, tuple(words))
        if key not in made:
            made[key] = study().mice.impute(formula, **{**WISHES, **words})
        return made[key]

    return of


POISSON = {"model": "glm", "family": sm.families.Poisson()}
# statistics.md, section 7
TABLE = [
    ("y ~ x + z", "y ~ x + z", {}, {"Intercept": "exact", "x": "exact", "z": "exact"}),
    ("y ~ x + z", "y ~ x + z + I(z**2)", {}, {"x": "implied", "z": "implied", "I(z ** 2)": "absent"}),
    ("y ~ bs(x, 4)", "y ~ x", {}, {"Intercept": "implied", "x": "implied"}),
    ("y ~ x + g", "y ~ x*g", {}, {"x": "implied", "g": "implied", "x:g": "absent"}),
    ("y ~ x*g", "y ~ x + g", {}, {"x": "implied", "g": "implied"}),
    ("c ~ x + z", "c ~ x + z", POISSON, {"Intercept": "absent", "x": "absent", "z": "absent"}),
    ("y ~ x + z", "y ~ x + z", {"cov_type": "HC1"}, {"x": "exact", "z": "exact"}),
    ("y ~ x + z", "y ~ x + z", {"cov_type": "cluster", "groups": "who"}, {"x": "approximate", "z": "approximate"}),
    ("y ~ x + g", "y ~ x + C(g, Treatment(2))", {}, {"x": "exact", "C(g, Treatment(2))": "exact"}),
    ("y ~ x*z", "y ~ x", {}, {"x": "implied"}),
    ("y ~ x", "np.log(c + 1) ~ x", {}, {"x": "absent"}),
    ("y ~ x", "y ~ z", {}, {"z": "exact"}),
    (None, "y ~ x + z", {}, {"x": "approximate", "z": "approximate"}),
    (None, "y ~ x*z", {}, {"x": "implied", "z": "implied", "x:z": "absent"}),
]


@pytest.mark.parametrize(("declared", "asked", "words", "expected"), TABLE)
def test_each_term_gets_its_word(drawn, declared, asked, words, expected):
    table = drawn(declared).check(asked, **words)
    found = table["verdict"].to_dict()
    assert {term: found[term] for term in expected} == expected
    assert list(table.columns) == ["verdict", "imputed", "reason", "do"]
    assert (table["reason"].str.len() > 5).all()
    for term, row in table.iterrows():
        assert (row["do"] != "") == (
            row["verdict"] == "absent" or (declared is None and row["verdict"] != "implied")
        ), term


@pytest.mark.parametrize(("declared", "asked", "words", "expected"), TABLE)
def test_the_worst_term_is_what_fit_says(drawn, declared, asked, words, expected):
    imp = drawn(declared)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = imp.fit(asked, **words, uncovered="ignore").congeniality
    order = ["absent", "approximate", "implied", "exact"]
    assert found.word == min(imp.check(asked, **words)["verdict"], key=order.index)


def test_a_term_counts_the_imputed_cells_it_is_made_of(drawn):
    frame = study()
    table = drawn("y ~ x*g + z").check()
    holes = frame.isna().sum()
    assert table["imputed"].to_dict() == {
        "Intercept": 0, "x": holes["x"], "g": holes["g"], "x:g": holes["x"] + holes["g"], "z": 0
    }  # fmt: skip


def test_the_call_cures_it(drawn):
    imp = drawn("y ~ x + z")
    do = imp.check("y ~ x*z").loc["x:z", "do"]
    assert do.startswith("imp = df.mice.impute(['y ~ x + z', 'y ~ x*z']")
    scope = {"df": study(), "sm": sm, "np": np}
    exec(do, scope)
    assert set(scope["imp"].check("y ~ x*z")["verdict"]) == {"exact"}
    cure = drawn("c ~ x + z").check("c ~ x + z", **POISSON)["do"].iloc[0]
    exec(cure, scope)
    assert set(scope["imp"].check()["verdict"]) == {"exact"}


@pytest.mark.parametrize("congeniality", ["terms", "ignore"])
def test_an_approximate_term_is_cured_by_compatible_draws(congeniality):
    table = study().mice.impute("y ~ x + z", congeniality=congeniality, **WISHES).check()
    assert set(table["verdict"]) == {"approximate"}
    scope = {"df": study()}
    exec(table["do"].iloc[1], scope)
    assert set(scope["imp"].check()["verdict"]) == {"exact"}


def test_sets_made_elsewhere_are_unknown(drawn):
    imp = mifit.from_long(drawn("y ~ x + z").to_long())
    table = imp.check("y ~ x + z")
    assert set(table["verdict"]) == {"unknown"}
    assert set(table["reason"]) == {"the sets were made elsewhere"}
    assert table["imputed"]["x"] == study()["x"].isna().sum()


@pytest.mark.parametrize("formula", ["y ~ x + z", "y ~ x*z", "y ~ bs(z, df=4) + x", "y ~ x + z + g"])
@pytest.mark.parametrize("unequal", [False, True])
def test_breusch_pagan_is_that_of_statsmodels(formula, unequal):
    frame = study(unequal)
    fit = smf.ols(formula, frame.dropna(subset=["x", "g"] if "g" in formula else ["x"])).fit()
    expected = het_breuschpagan(fit.resid, fit.model.exog)[1]
    table = read(frame)
    found = breusch_pagan(ask(formula, table), Designs(table))
    if "bs(" in formula:  # knots learnt on all rows
        assert (found < 0.01) == (expected < 0.01)
    else:
        assert found == pytest.approx(expected, rel=1e-8)


def test_robust_errors_on_unequal_variances_that_were_declared_equal_warn_once_with_the_p_value():
    imp = study(unequal=True).mice.impute("y ~ x + z", error_law="declared", **WISHES)
    with pytest.warns(CongenialityWarning, match=r"complete rows speak against it \(.*spread differs.*p [=<] ") as seen:
        pooled = imp.fit(cov_type="HC1")
    assert len(seen) == 1
    assert pooled.congeniality.word == "approximate"
    assert "error_law='learned'" in pooled.congeniality.reason
    assert "speak against it" in imp.check(cov_type="HC3").loc["x", "reason"]


def test_robust_errors_on_unequal_variances_agree_with_draws_that_learned_them():
    imp = study(unequal=True).mice.impute("y ~ x + z", **WISHES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pooled = imp.fit(cov_type="HC1")
    assert pooled.congeniality.word == "same mean"
    assert "spread differs with" in pooled.congeniality.reason
    assert imp.fit(cov_type="cluster", groups=np.arange(len(imp[0])) // 4).congeniality.word == "approximate"


@pytest.mark.parametrize(
    ("unequal", "formula", "words"),
    [
        (False, None, {"cov_type": "HC1"}),  # nothing speaks against it
        (True, None, {}),  # not asked for
        (True, "y ~ z", {"cov_type": "HC1"}),  # no imputed covariate
    ],
)
def test_otherwise_nothing_is_said(unequal, formula, words):
    imp = study(unequal).mice.impute("y ~ x + z", **WISHES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pooled = imp.fit(formula, **words)
    assert "variances" not in pooled.congeniality.reason


def test_too_few_rows_give_no_p_value():
    frame = study().head(6)
    assert np.isnan(breusch_pagan(ask("y ~ x + z", read(frame)), Designs(read(frame))))

"""The methods paragraph: what it says is so, in good English, with every mark backed by a citation."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit.examine.references import KNOWN
from mifit.imputation.methods import METHODS, Cox, Glm, Probit


@pytest.fixture(scope="module")
def nhanes():
    return mifit.datasets.load("nhanes2")


@pytest.fixture(scope="module")
def imp(nhanes):
    return nhanes.mice.impute("chl ~ age + bmi", m=5, rng=1, iterations=3)


def body(text: str) -> str:
    """The paragraph on one line, without its references."""
    return " ".join(re.split(r"\n\nReferences\n|\n\n\\begin", text)[0].split())


def test_it_names_what_a_journal_asks_for(imp):
    res = imp.fit()
    said = body(imp.methods_text(res))
    for word in (
        "Of 25 observations, 12 (48.0%) were incomplete: bmi was missing in 9 (36.0%), hyp in 8 (32.0%) and chl in "
        "10 (40.0%).",
        "missing at random",
        "linear regression of chl ~ age + bmi",
        "imputed 5 times (m = 5)",
        "compatible with the analysis",
        "congenial",
        "a separate chain of 3 iterations",
        "logistic regression [2] for hyp",
        "Missing values of the outcome chl were drawn from the analysis model",
        "hyp is not part of the analysis and served as an auxiliary variable",
        "Rubin's rules",
        "The imputations were made for this analysis.",
        f"ranged from {res.fmi.min():.2f}",
        f"{res.recommend_m()} imputations are needed",
        "random seed 1",
        "statsmodels",
    ):
        assert word in said, word


def test_without_results_it_says_what_is_known(imp):
    said = body(imp.methods_text())
    assert "fraction of missing information" not in said and "random seed 1" in said


def test_it_is_the_same_every_time(imp):
    assert imp.methods_text(imp.fit()) == imp.methods_text(imp.fit())


@pytest.mark.parametrize("style", ["plain", "latex"])
def test_every_mark_has_its_citation_and_every_citation_its_mark(imp, style):
    text = imp.methods_text(imp.fit(), style=style)
    marks = {int(number) for mark in re.findall(r" \[([\d, ]+)\]", body(text)) for number in mark.split(",")}
    below = text.split("\n\n", 1)[1]
    listed = re.findall(r"^\[\d+\]" if style == "plain" else r"^\\item", below, re.M)
    assert marks == set(range(1, len(listed) + 1))


def test_marks_first_appear_in_order(imp):
    first = dict.fromkeys(
        int(number)
        for mark in re.findall(r" \[([\d, ]+)\]", body(imp.methods_text(imp.fit())))
        for number in mark.split(",")
    )
    assert list(first) == sorted(first)


def test_latex_leaves_no_special_character_bare():
    frame = pd.DataFrame({"50%_a&b": [1.0, None, 3, 4, 6, 5, 4, 7], "y": [1.0, 2, 3, 4, 5, 6, 7, 9]})
    imp = frame.mice.impute("y ~ Q('50%_a&b')", m=2, rng=1, iterations=1, methods={"50%_a&b": "norm"})
    text = imp.methods_text(imp.fit(), style="latex")
    assert re.findall(r"(?<!\\)[%&#_]", text) == [] and r"50\%\_a\&b" in text
    assert "~" not in text.replace(r"\textasciitilde", "")
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize(("holes", "said"), [(1, "x was missing in 1 of 12 observations (8.3%)."), (3, "in 3 of 12")])
def test_singular_and_plural(holes, said):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": rng.normal(size=12), "y": rng.normal(size=12)})
    frame.loc[: holes - 1, "x"] = np.nan
    imp = frame.mice.impute("y ~ x", m=2, rng=1, iterations=1, methods={"x": "norm"})
    text = body(imp.methods_text())
    assert said in text and "a separate chain of 1 iteration." in text
    assert "The imputation model was Bayesian linear regression [2] for x." in text


def test_many_columns_are_summed_up():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(60, 12)), columns=[f"v{i}" for i in range(12)])
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    said = body(frame.mice.impute(m=2, rng=1, iterations=1).methods_text())
    assert "the share missing in 12 variables ranged from" in said and "predictive mean matching with 5 donors" in said


def test_each_way_to_impute_is_named(nhanes):
    plain = body(nhanes.mice.impute(m=2, rng=1, iterations=1).methods_text())
    assert "by chained equations" in plain and "not derived from an analysis" in plain and "congenial" not in plain
    terms = body(nhanes.mice.impute("hyp ~ bmi", congeniality="terms", m=2, rng=1, iterations=1).methods_text())
    assert (
        "with the terms of the analysis among the predictors" in terms and "logistic regression of hyp ~ bmi" in terms
    )


def test_an_analysis_that_was_not_foreseen_is_owned_up_to(imp):
    said = body(imp.methods_text(imp.fit("chl ~ age * bmi", uncovered="ignore")))
    assert "The imputations were not made for this analysis (the imputations never saw age:bmi)" in said


def test_nothing_missing_and_sets_made_elsewhere(nhanes):
    whole = nhanes.dropna().mice.impute("chl ~ bmi", m=2, rng=1)
    said = body(whole.methods_text(whole.fit()))
    assert said.startswith("No value was missing in 13 observations.") and "missing at random" not in said
    filled = [nhanes.assign(bmi=nhanes["bmi"].fillna(value))[["age", "bmi"]] for value in (20.0, 30.0)]
    elsewhere = mifit.from_frames(filled, original=nhanes[["age", "bmi"]])
    said = body(elsewhere.methods_text(elsewhere.fit("bmi ~ age")))
    assert "had been imputed 2 times" in said and "random seed" not in said


def test_fits_made_elsewhere_and_other_standard_errors_are_named(imp):
    fits = [smf.ols("chl ~ age + bmi", one).fit() for one in imp]
    assert "Fits made elsewhere (OLS) were combined by Rubin's rules" in body(imp.methods_text(mifit.pool(fits)))
    said = body(imp.methods_text(imp.fit(cov_type="HC1")))
    assert "The linear regression of chl ~ age + bmi with HC1 standard errors was fitted" in said
    assert "Imputations and analysis agree approximately" in said


def test_derived_columns_are_said_to_be_computed():
    frame = pd.DataFrame({"w": [60, 70, None, 80, 75, 62, 90.0, 66], "h": [1.6, 1.7, 1.8, 1.75, 1.8, 1.6, 1.9, 1.7]})
    frame["y"] = frame["h"] * 3 + np.arange(8) % 3
    imp = frame.mice.impute("y ~ bmi", derived={"bmi": "w / h**2"}, m=2, rng=1, methods={"w": "norm"})
    assert "bmi was not imputed but computed as w / h**2 in every data set." in body(imp.methods_text())


def test_results_of_other_sets_are_refused_with_the_call(imp, nhanes):
    other = nhanes.mice.impute("chl ~ age + bmi", m=5, rng=2, iterations=3).fit()
    with pytest.raises(mifit.PlanError, match="come from imputed set") as caught:
        imp.methods_text(other)
    assert eval(caught.value.do, {"res": other}) == other.imputations.methods_text(other)
    with pytest.raises(mifit.PlanError, match="style is 'tex'"):
        imp.methods_text(style="tex")


def test_citation_lists_the_software_first_and_each_work_once(imp):
    said = imp.citation()
    numbers = re.findall(r"^\[(\d+)\] (\w+)", said, re.M)
    assert numbers[0] == ("1", "The") and "mifit developers" in said
    assert [int(number) for number, _ in numbers] == list(range(1, len(numbers) + 1))
    assert "Bartlett" in said and said.count("Nonresponse in Surveys") == 1


#: authors (year). title. the rest.
COMPLETE = re.compile(r"^[A-Za-z][^()]+ \((19|20)\d\d\)\. [^.]{8,}\..{8,}")


@pytest.mark.parametrize(
    "method", [*METHODS.values(), Cox(), Glm.__new__(Glm), Probit()], ids=lambda m: type(m).__name__
)
def test_every_method_cites_completely(method):
    for line in method.reference.split("\n"):
        assert COMPLETE.match(line) and ("doi:10." in line or "Press" in line), line


@pytest.mark.parametrize("key", KNOWN)
def test_every_known_citation_is_complete(key):
    assert COMPLETE.match(KNOWN[key]) and re.search(r"doi:10\.\d{4,}/\S+$", KNOWN[key])

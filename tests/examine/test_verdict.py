"""The certificate: exact, implied, approximate, absent or unknown; and what is done about it."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import statsmodels.api as sm
from statsmodels.genmod.families import links

import mifit
from mifit import CongenialityError, CongenialityWarning
from mifit.examine.verdict import verdict
from mifit.formula.design import Designs
from mifit.formula.identity import likelihood
from mifit.formula.question import ask
from mifit.frame.table import read

F = sm.families
N = 200


def study():
    """Numbers, text, counts and clusters; x, z and g have missing values, the others are complete."""
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, N))
    frame = pd.DataFrame(
        {
            "y": 1 + x + z + rng.normal(size=N),
            "x": x,
            "z": z,
            "g": rng.choice(list("abc"), N),
            "b": np.where(rng.random(N) < 1 / (1 + np.exp(-x)), "yes", "no"),
            "w": rng.uniform(1, 2, N),
            "v": rng.normal(size=N),
            "c": rng.poisson(2, N),
            "id": np.repeat(np.arange(20), 10),
        }
    )
    for name, share in (("x", 0.3), ("z", 0.1), ("g", 0.1)):
        frame[name] = frame[name].mask(rng.random(N) < share)
    return frame


WISHES = {"m": 2, "rng": 1, "iterations": 5, "auxiliary": "ignore"}


@pytest.fixture(scope="module")
def drawn():
    """Imputed sets by what was declared, each made once."""
    made = {}

    def of(*formulas, **options):
        key = (formulas, tuple(sorted(options.items())))
        if key not in made:
            asked = {**WISHES, **options} if formulas else {**WISHES, "auxiliary": "response", **options}
            made[key] = study().mice.impute(list(formulas) or None, **asked)
        return made[key]

    return of


POISSON = {"model": "poisson"}
WORDS = [
    # declared, asked, words of the fit, verdict
    (["y ~ x + z"], None, {}, "exact"),
    (["y ~ x + z"], "y~z+x", {}, "exact"),
    (["y ~ x + z"], "y ~ center(x) + z", {}, "exact"),
    (["y ~ x + z"], "y ~ I(2*x - 3) + z", {}, "exact"),
    (["y ~ x + z"], "y ~ x", {}, "implied"),
    (["y ~ x + z"], "y ~ 0 + x + z", {}, "implied"),
    (["y ~ x + z"], "y ~ I(x + z)", {}, "implied"),
    (["y ~ x + z"], "y ~ x + z + I(z**2)", {}, "absent"),
    (["y ~ x + z"], "y ~ x*z", {}, "absent"),
    (["y ~ x + z"], "y ~ x + z + g", {}, "absent"),
    (["y ~ x + v"], "y ~ x + v + I(v**2)", {}, "absent"),  # v is complete
    (["y ~ x + v"], "y ~ x + v + w", {}, "absent"),
    (["y ~ x + z"], "y ~ w + v", {}, "exact"),  # no imputed value
    (["y ~ x + z"], "b ~ w", {}, "exact"),
    (["y ~ x + z"], "c ~ w", POISSON, "exact"),
    (["y ~ bs(x, 4)"], "y ~ x", {}, "implied"),
    (["y ~ x"], "y ~ bs(x, 4)", {}, "absent"),
    (["y ~ x*z"], "y ~ x", {}, "implied"),
    (["y ~ x*g"], "y ~ x + g", {}, "implied"),
    (["y ~ C(g)"], "y ~ C(g, Treatment(2))", {}, "exact"),
    (["y ~ g"], "y ~ 0 + g", {}, "exact"),
    (["y ~ x + z"], "y ~ x + z", {"model": "poisson"}, "absent"),
    (["c ~ x + z"], "c ~ x + z", POISSON, "absent"),
    (["y ~ x + z"], "np.log(w) ~ x + z", {}, "absent"),
    (["y ~ x + z"], "x ~ y + z", {}, "absent"),
    (["y ~ x + z"], "b ~ x + z", {}, "absent"),
    (["y ~ x + z"], "y ~ x + z", {"model": "wls", "weights": "w"}, "absent"),
    (["y ~ x + z"], "y ~ x + z", {"model": "glm"}, "exact"),  # Gaussian with identity link is OLS
    (["y ~ x + z"], "y ~ x + z", {"model": "glm", "family": sm.families.Gaussian(sm.families.links.Log())}, "absent"),
    (["b ~ x + z"], "b ~ x", {"model": "glm", "family": sm.families.Binomial()}, "implied"),
    (["b ~ x + z"], "b ~ x", {"model": "glm", "family": sm.families.Binomial(sm.families.links.Probit())}, "absent"),
    (["y ~ x + z"], None, {"cov_type": "HC1"}, "exact"),  # nothing speaks against equal variances
    (["y ~ x + z"], None, {"cov_type": "HAC", "cov_kwds": {"maxlags": 1}}, "approximate"),
    (["y ~ x + z"], "y ~ x", {"cov_type": "cluster", "cov_kwds": {"groups": "id"}}, "approximate"),
    (["y ~ x + z"], "y ~ x*z", {"cov_type": "HC1"}, "absent"),
    (["y ~ x + z", "y ~ x*g"], "y ~ x*g", {}, "exact"),
    (["y ~ x + z", "y ~ x*g"], "y ~ z", {}, "implied"),
    (["y ~ x + z", "b ~ x"], "b ~ x", {}, "exact"),
    (["y ~ x + z", "b ~ x"], "b ~ x + z", {}, "absent"),
    ([], "y ~ x + z + g", {}, "approximate"),
    ([], "b ~ x + C(g)", {}, "approximate"),
    ([], "y ~ center(x) + z", {}, "approximate"),
    ([], "y ~ x*z", {}, "absent"),
    ([], "y ~ I(x**2)", {}, "absent"),
    ([], "y ~ bs(x, 4)", {}, "absent"),
    ([], "np.log(w) ~ x", {}, "absent"),
    ([], "c ~ x", POISSON, "absent"),
]


def asked_of(imp, formula, words):
    """The verdict on an analysis, without a second imputation."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some fits of y as a count do not converge
            return imp.fit(formula, uncovered="raise", **words).congeniality.word
    except CongenialityError:
        return "absent"


def _label(declared, asked, words, word):
    """A name that is the same in every process."""
    shown = ", ".join(f"{k}={type(v).__name__ if hasattr(v, 'link') else v}" for k, v in words.items())
    return f"{declared} | {asked} {shown} is {word}"


@pytest.mark.parametrize(("declared", "asked", "words", "word"), WORDS, ids=[_label(*case) for case in WORDS])
def test_the_verdict_is_a_matter_of_span_and_likelihood(drawn, declared, asked, words, word):
    assert asked_of(drawn(*declared), asked, words) == word


def test_terms_are_approximate_and_cover_as_much(drawn):
    imp = drawn("y ~ x*z", congeniality="terms")
    assert asked_of(imp, None, {}) == "approximate"
    assert asked_of(imp, "y ~ x", {}) == "approximate"
    assert asked_of(imp, "y ~ x*g", {}) == "absent"


def test_an_analysis_ignored_on_purpose_is_fitted_and_marked(drawn):
    imp = drawn("y ~ x*z", congeniality="ignore")
    res = imp.fit()
    assert str(res.congeniality) == "absent: x:z ignored, as asked"
    assert res.imputations is imp
    assert imp.fit("y ~ x").congeniality.word == "approximate"


def test_sets_made_elsewhere_are_never_imputed_again(drawn):
    imp = mifit.from_long(drawn("y ~ x + z").to_long()[[".imp", ".id", "y", "x", "z"]])
    for uncovered in ("reimpute", "raise", "ignore"):
        res = imp.fit("y ~ x*z", uncovered=uncovered)
        assert res.congeniality.word == "unknown" and res.imputations is imp
    assert "unknown: the sets were made elsewhere" in res.summary().as_text()


def test_sets_of_nested_questions_name_what_was_unseen(drawn):
    found = verdict(drawn("y ~ x + z").plan, Designs(read(study())), ask("y ~ x*g + I(z**2)", read(study())))
    assert found.word == "absent" and set(found.unseen) == {"g", "x:g", "I(z ** 2)"}


def test_ignoring_an_absent_analysis_fits_it_on_these_sets_and_says_so(drawn):
    imp = drawn("y ~ x + z")
    res = imp.fit("y ~ x*z", uncovered="ignore")
    assert res.imputations is imp
    assert "Congeniality: absent: the imputations never saw x:z" in " ".join(res.summary().as_text().split())


def test_an_absent_analysis_is_imputed_again_with_one_warning():
    imp = study().mice.impute("y ~ x + z", **WISHES)
    with pytest.warns(CongenialityWarning) as caught:
        res = imp.fit("y ~ x*z")
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "y ~ x*z: the imputations never saw x:z. Imputed again in" in text
    assert "imp = df.mice.impute(['y ~ x + z', 'y ~ x*z'], auxiliary='ignore', iterations=5, m=2, rng=1)" in text
    assert caught[0].filename == __file__
    at_once = study().mice.impute(["y ~ x + z", "y ~ x*z"], **WISHES)
    assert res.imputations is not imp and res.imputations.fingerprint == at_once.fingerprint
    for k in range(2):
        pd.testing.assert_frame_equal(res.imputations[k], at_once[k], check_exact=True)
    assert str(res.congeniality).startswith("exact: imputed again for it; residuals: nothing speaks against")
    assert res.imputations.identity in res.summary().as_text()


def test_another_outcome_replaces_the_declared_analysis():
    imp = study().mice.impute("y ~ x + z", **WISHES)
    with pytest.warns(
        CongenialityWarning, match=r"df.mice.impute\('b ~ x', auxiliary='ignore', iterations=5, m=2, rng=1\)"
    ):
        res = imp.fit("b ~ x")
    assert res.imputations.fingerprint == study().mice.impute("b ~ x", **WISHES).fingerprint


def test_nothing_declared_and_an_interaction_is_imputed_again():
    imp = study().mice.impute(m=2, rng=1, iterations=5)
    with pytest.warns(CongenialityWarning, match="x:z never declared"):
        res = imp.fit("y ~ x*z")
    assert res.congeniality.word == "exact"
    assert res.imputations.fingerprint == study().mice.impute("y ~ x*z", m=2, rng=1, iterations=5).fingerprint


def test_imputing_again_keeps_the_wishes_the_sets_and_the_sweeps():
    options = {**WISHES, "m": 3, "methods": {"x": "norm", "g": "leave"}}
    imp = study().mice.impute("y ~ x + z", **options).extend(iterations=2)
    with pytest.warns(CongenialityWarning):
        again = imp.fit("y ~ x*z").imputations
    assert (again.m, again.iterations) == (3, 7)
    assert again[0]["g"].isna().sum() == study()["g"].isna().sum()
    whole = study().mice.impute(["y ~ x + z", "y ~ x*z"], **{**options, "iterations": 7})
    assert again.fingerprint == whole.fingerprint


def test_an_analysis_without_a_likelihood_is_drawn_by_its_terms_and_said_to_be_approximate():
    imp = study().mice.impute("y ~ x + z", model="quantreg", m=2, rng=1)
    assert imp.plan.mode == "terms"
    assert any("no compatible draws" in event for event in imp.events["event"])
    res = imp.fit()
    assert res.congeniality.word == "approximate"
    assert "approximate: analysis terms as predictors" in " ".join(res.summary().as_text().split())


def test_likelihoods_are_compared_by_family_link_level_and_words():
    table = read(study())
    gaussian = likelihood(ask("y ~ x", table))
    assert gaussian == likelihood(ask("y ~ z", table, model="glm"))
    assert gaussian != likelihood(ask("y ~ x", table, model="glm", keywords={"family": sm.families.Gamma()}))
    assert gaussian != likelihood(ask("y ~ x", table, model="wls", keywords={"weights": "w"}))
    assert gaussian != likelihood(ask("v ~ x", table))
    binomial = {"family": sm.families.Binomial()}
    assert likelihood(ask("b ~ x", table)) == likelihood(ask("b ~ x", table, model="glm", keywords=binomial))


def test_parameters_of_families_and_links_are_part_of_a_likelihood():
    table = read(study())

    def told(family):
        return likelihood(ask("y ~ x", table, model="glm", keywords={"family": family}))

    with warnings.catch_warnings():  # statsmodels warns of links that leave their domain
        warnings.simplefilter("ignore")
        negative, tweedie, gamma = F.NegativeBinomial, F.Tweedie, F.Gamma
        assert told(negative(alpha=0.5)) == told(negative(alpha=0.5)) != told(negative(alpha=0.6))
        assert told(tweedie(var_power=1.5)) != told(tweedie(var_power=1.6))
        powers = [gamma(links.Power(power=p), check_link=False) for p in (0.3, 0.4)]
        assert told(powers[0]) != told(powers[1])
        assert told(gamma(links.Power(power=-1.0), check_link=False)) == told(gamma(links.InversePower()))
        by_t = [F.Binomial(links.CDFLink(dbn=scipy.stats.t(k)), check_link=False) for k in (4, 5)]
        assert told(by_t[0]) != told(by_t[1])
    glm = ask("b ~ x", table, model="glm", keywords={"family": F.Binomial(links.Probit())})
    assert likelihood(glm) == likelihood(ask("b ~ x", table, model="probit"))


def test_another_alpha_is_absent_and_its_call_names_it():
    frame = study().assign(y=lambda d: d["y"].abs().round())
    words = {"model": "glm", "m": 2, "rng": 1, "iterations": 5}
    imp = frame[["y", "x", "z"]].mice.impute("y ~ x", family=F.NegativeBinomial(alpha=0.5), **words)
    assert set(imp.check("y ~ x", model="glm", family=F.NegativeBinomial(alpha=0.5))["verdict"]) == {"exact"}
    found = imp.check("y ~ x", model="glm", family=F.NegativeBinomial(alpha=0.9))
    assert set(found["verdict"]) == {"absent"}
    assert "NegativeBinomial(alpha=0.5)" in found["reason"].iloc[0]
    assert "family=sm.families.NegativeBinomial(alpha=0.9)" in found["do"].iloc[0]


def test_an_incomplete_outcome_of_two_values_under_ols_is_approximate():
    frame = study()[["b", "x", "z"]].copy()
    frame["b"] = (frame["b"] == "yes").astype(float).mask(np.arange(len(frame)) % 9 == 0)
    imp = frame.mice.impute("b ~ x + z", model="ols", m=2, rng=1, iterations=5)
    assert set(imp.check()["verdict"]) == {"approximate"}
    reason = imp.fit().congeniality.reason
    assert reason.startswith("a 0/1 outcome is drawn by a logistic model with the same terms")
    assert reason.endswith("(identity)")

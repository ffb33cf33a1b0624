"""The antidepressant trial: figures that were published for it, and analyses against those of other packages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit

TRIAL = {
    "outcome": "CHANGE", "visit": "VISIT", "subject": "PATIENT", "arm": "THERAPY", "reference": "PLACEBO",
    "covariates": "BASVAL*VISIT",
}  # fmt: skip
# The documentation of rbmi (Gower-Page, Noci and Wolbers; Apache License 2.0): jump to reference of all who stopped,
# effects of placebo against the drug, analysis of covariance with the baseline.
CONDITIONAL_MEAN = {4: (-0.092, 0.695), 5: (1.305, 0.878), 6: (1.929, 0.862), 7: (2.126, 0.858)}
DRAWS = {4: (-0.092, 0.683), 5: (1.329, 0.921), 6: (1.945, 0.995), 7: (2.156, 1.113)}


@pytest.fixture(scope="module")
def sets():
    df = mifit.datasets.load("antidepressant")
    return mifit.trial.impute(df, **TRIAL, strategy="J2R", m=150, rng=1)


@pytest.fixture(scope="module")
def results(sets):
    return sets.ancova()


def of(results, variance):
    """Rows of the effects with one variance, by visit."""
    return results.effects.query("variance == @variance").set_index("visit")


def test_conditional_means_and_jackknife_are_the_published_figures_to_every_digit(results):
    found = of(results, "jackknife")
    assert (found["estimand"] == "DRUG - PLACEBO").all()
    for visit, (estimate, error) in CONDITIONAL_MEAN.items():
        assert f"{-found.loc[visit, 'estimate']:.3f}" == f"{estimate:.3f}"
        assert f"{found.loc[visit, 'std_error']:.3f}" == f"{error:.3f}"


def test_draws_agree_with_the_published_ones_within_monte_carlo_error(results, sets):
    found = of(results, "rubin")
    for visit, (estimate, error) in DRAWS.items():
        row = found.loc[visit]
        between = row["fmi"] * row["std_error"] ** 2
        # two runs of 150 draws: the difference of two means, and of two standard errors (4 Monte-Carlo errors)
        assert abs(-row["estimate"] - estimate) < 4 * np.sqrt(2 * between / 150) + 5e-4
        assert abs(row["std_error"] - error) < 4 * between * np.sqrt(2 * 2 / 149) / (2 * row["std_error"]) + 5e-4


def test_the_analysis_of_a_set_is_that_of_statsmodels(sets):
    few = sets.under(m=12)
    effects = few.ancova(variance=None).effects.set_index("visit")
    fits = [smf.ols("CHANGE ~ THERAPY + BASVAL", d[d["VISIT"] == 7]).fit() for d in few]
    params = -np.array([one.params["THERAPY[T.PLACEBO]"] for one in fits])
    within = np.mean([one.bse["THERAPY[T.PLACEBO]"] ** 2 for one in fits])
    assert effects.loc[7, "estimate"] == pytest.approx(params.mean(), rel=1e-10)
    total = within + (1 + 1 / 12) * params.var(ddof=1)
    assert effects.loc[7, "std_error"] == pytest.approx(np.sqrt(total), rel=1e-10)


def test_adjusted_means_are_predictions_averaged_over_all_subjects(sets):
    few, found = sets.under(m=12), []
    means = few.ancova(6, variance=None).means.set_index("estimand")["estimate"]
    for one in few:
        part = one[one["VISIT"] == 6]
        fit = smf.ols("CHANGE ~ THERAPY + BASVAL", part).fit()
        found.append(fit.predict(part.assign(THERAPY="DRUG")).mean())
    assert means["mean of DRUG"] == pytest.approx(np.mean(found), rel=1e-10)


def test_an_mmrm_of_complete_profiles_is_the_analysis_at_each_visit(sets):
    # with every covariate at every visit and nothing missing, both are the same least squares
    few = sets.under(m=3)
    mmrm, ancova = few.mmrm(variance=None).to_frame(), few.ancova(variance=None).to_frame()
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(mmrm[column], ancova[column], rtol=1e-6)


def test_sets_are_those_of_an_imputed_set_elsewhere(sets):
    few = sets.under(m=3)
    imp = mifit.from_frames(list(few), few.original)
    pooled = imp.fit("CHANGE ~ THERAPY + BASVAL", subset="VISIT == 7")
    expected = few.ancova(7, variance=None).effects["estimate"][0]
    assert -pooled.params["THERAPY[T.PLACEBO]"] == pytest.approx(expected, rel=1e-9)


def test_the_bootstrap_agrees_with_the_jackknife(sets, results):
    found = sets.under(m=2).ancova(7, variance="bootstrap", samples=150)
    error = found.effects.query("variance == 'bootstrap'")["std_error"].iloc[0]
    # a standard deviation of 150 samples has a relative error of 1/sqrt(300); 4 of them
    assert abs(error / of(results, "jackknife").loc[7, "std_error"] - 1) < 4 / np.sqrt(300)


def test_under_missing_at_random_both_variances_agree_and_the_reference_does_not_matter(sets):
    found = sets.under(strategy="MAR").ancova(7)
    rubin, jackknife = (found.effects.query("variance == @w").iloc[0] for w in ("rubin", "jackknife"))
    assert rubin["std_error"] == pytest.approx(jackknife["std_error"], rel=0.1)
    turned = sets.under(strategy="MAR", reference="DRUG", m=2).ancova(7).effects.query("variance == 'jackknife'")
    assert turned["estimate"].iloc[0] == pytest.approx(-jackknife["estimate"], rel=1e-6)


def test_the_strategies_are_ordered_as_their_definitions_say(sets):
    effect = {
        s: -sets.under(strategy=s, m=2).ancova(7).effects.query("variance == 'jackknife'")["estimate"].iloc[0]
        for s in ("MAR", "CIR", "J2R")
    }
    assert effect["MAR"] > effect["CIR"] > effect["J2R"]  # the drug's effect is given up by degrees


def test_delta_moves_the_effect_by_its_share_of_the_drug_arm(sets):
    few = sets.under(m=3)
    moved = few.under(delta={"DRUG": 2.0})
    for variance in ("rubin", "jackknife"):
        one, other = (of(s.ancova(7), variance).loc[7] for s in (few, moved))
        share = (few.subjects["event"].notna() & (few.subjects["arm"] == "DRUG")).sum() / 84
        # by least squares with the baseline: nearly the difference of means
        assert other["estimate"] - one["estimate"] == pytest.approx(2.0 * share, abs=0.05)
    expression = few.under(delta="2.0 * (THERAPY == 'DRUG')")
    pd.testing.assert_frame_equal(expression[1], moved[1])

"""Pooled results: statsmodels' verbs on pooled figures, and the printed page."""

import pickle
import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col

import mifit
from mifit.analysis.fit import Fits
from mifit.errors import ConvergenceWarning, ModelError, PlanError, PoolingError
from mifit.pooling.rubin import pool
from mifit.results.monte_carlo import Stability, more_sets_until, stable, undecided
from mifit.results.pooled import PooledResults
from support.pooled import fit, frames, imputed

NAMES = ("Intercept", "age[T.40-59]", "np.log(bmi):hyp")


def fits_of(m=5, seed=7, names=NAMES, **changes):
    """Fits with estimates near 1, 2, 3 and unequal covariances."""
    rng = np.random.default_rng(seed)
    q = len(names)
    roots = rng.normal(size=(m, q, q)) / 5
    facts = {
        "names": names,
        "estimates": np.arange(1, q + 1) + rng.normal(size=(m, q)) / 9,
        "covariances": roots @ roots.transpose(0, 2, 1) + np.eye(q) / 30,
        "df_complete": 21.0,
        "df_source": "residual",
        "n_obs": 25,
        "label": "OLS",
        "outcome": "chl",
        "formula": "chl ~ age + np.log(bmi):hyp",
        "cov_label": "nonrobust",
        "facts": {},
        "converged": np.ones(m, bool),
        "separated": np.zeros(m, bool),
        "notes": (),
    }
    return Fits(**{**facts, **changes})


def results_of(fits=None, refit=lambda k: f"fit {k}", df_method="barnard-rubin", **more):
    fits = fits_of() if fits is None else fits
    pooled = pool(fits.estimates, fits.covariances, fits.df_complete, df_method)
    return PooledResults(pooled, fits, refit=refit, **more)


def test_every_verb_answers_under_the_names_of_the_coefficients():
    res = results_of()
    for verb in ("params", "bse", "tvalues", "pvalues", "df", "riv", "lambda_", "fmi"):
        found = getattr(res, verb)
        assert isinstance(found, pd.Series)
        assert list(found.index) == list(NAMES)
        assert np.isfinite(found).all()
    for verb in ("within", "between", "total"):
        found = getattr(res, verb)
        assert list(found.index) == list(found.columns) == list(NAMES)
    assert (res.m, res.nobs, res.dfcom, res.df_method) == (5, 25, 21.0, "barnard-rubin")


def test_the_verbs_agree_with_each_other():
    res = results_of()
    np.testing.assert_allclose(res.bse**2, np.diag(res.cov_params()))
    np.testing.assert_allclose(res.total, res.within + 1.2 * res.between)
    np.testing.assert_allclose(res.tvalues, res.params / res.bse)
    limits = res.conf_int()
    assert list(limits.columns) == [0, 1]
    np.testing.assert_allclose(limits.mean(axis=1), res.params)
    for name in NAMES:  # a limit at zero is a p-value equal to alpha
        alpha = res.pvalues[name]
        np.testing.assert_allclose(np.abs(res.conf_int(alpha).loc[name]).min(), 0, atol=1e-8)
    assert (res.conf_int(0.01)[1] > res.conf_int(0.1)[1]).all()


def test_copies_of_one_large_data_set_give_back_statsmodels():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=80)}).assign(y=lambda d: d["x"] + rng.normal(size=80))
    alone = smf.ols("y ~ x", frame).fit(use_t=False)
    names = tuple(alone.params.index)
    estimates, covariances = np.tile(alone.params, (4, 1)), np.tile(alone.cov_params(), (4, 1, 1))
    res = results_of(fits_of(m=4, names=names, estimates=estimates, covariances=covariances, df_complete=np.inf))
    pd.testing.assert_series_equal(res.params, alone.params)
    pd.testing.assert_series_equal(res.bse, alone.bse)
    pd.testing.assert_series_equal(res.tvalues, alone.tvalues)
    pd.testing.assert_series_equal(res.pvalues, alone.pvalues, check_names=False)
    pd.testing.assert_frame_equal(res.conf_int(), alone.conf_int())
    pd.testing.assert_frame_equal(res.cov_params(), alone.cov_params())


def test_the_tidy_frame_holds_ten_columns_in_a_known_order():
    res = results_of()
    frame = res.to_frame(alpha=0.1)
    assert list(frame.columns) == [
        "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "riv", "lambda", "fmi",
    ]  # fmt: skip
    assert list(frame.index) == list(NAMES)
    np.testing.assert_array_equal(frame["conf_low"], res.conf_int(0.1)[0])
    np.testing.assert_array_equal(frame["lambda"], res.lambda_)


def test_changing_what_is_returned_changes_nothing_inside():
    res = results_of()
    before = res.to_frame()
    params, matrix, frame = res.params, res.cov_params(), res.to_frame()
    params.iloc[:] = 0
    matrix.iloc[:, :] = 0
    frame.iloc[:, :] = 0
    pd.testing.assert_frame_equal(res.to_frame(), before)


def test_the_summary_has_statsmodels_look():
    res = results_of(
        header={
            "Iterations": "10",
            "Draws": "bmi: norm, closed form; hyp: logistic, enumerated; chl from the analysis",
        },
        notes=("Row 3 was hard.",),
        congeniality="exact",
    )
    text = res.summary().as_text()
    lines = text.splitlines()
    assert lines[0].strip() == "Pooled OLS Regression Results"
    rules = [line for line in lines if set(line) <= set("=") and line]
    assert len(rules) == 3
    assert len({len(line) for line in rules}) == 1
    assert max(map(len, lines)) <= len(rules[0])
    head = next(line for line in lines if "coef" in line).split()
    assert head == ["coef", "std", "err", "t", "df", "P>|t|", "[0.025", "0.975]", "FMI"]
    for fact in ("chl", "nonrobust", "21 (residual)", "barnard-rubin", "exact", "Iterations:"):
        assert fact in text
    assert "[1] Draws: bmi: norm, closed form; hyp: logistic, enumerated; chl from the analysis" in text.replace(
        "\n    ", " "
    )
    assert "[2] Row 3 was hard." in text


def test_the_printed_figures_are_the_figures():
    res = results_of()
    row = next(line for line in str(res.summary(alpha=0.1)).splitlines() if line.startswith("age[T.40-59]"))
    frame = res.to_frame(alpha=0.1).loc["age[T.40-59]"]
    printed = [float(word) for word in row.split()[1:]]
    wanted = frame[["estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "fmi"]]
    np.testing.assert_allclose(printed, wanted, atol=0.06)
    assert "[0.05" in str(res.summary(alpha=0.1))


def test_long_names_and_extreme_figures_keep_the_page_straight():
    names = ("Intercept", "C(neighbourhood_of_residence, Treatment('north'))[T.south-west by the river]")
    covariances = np.tile(np.diag([1e-16, 1e16]), (5, 1, 1))
    estimates = np.array([[1e-9 * k, 1e9 * k] for k in range(1, 6)])
    text = str(results_of(fits_of(names=names, estimates=estimates, covariances=covariances)).summary())
    lines = text.partition("Notes:")[0].rstrip().splitlines()
    assert len({len(line) for line in lines[1:]}) == 1
    assert "nan" not in text


def test_infinite_degrees_of_freedom_are_written_inf():
    text = str(results_of(fits_of(m=3, estimates=np.ones((3, 3)), df_complete=np.inf)).summary())
    assert "inf (residual)" in text
    assert " inf " in next(line for line in text.splitlines() if line.startswith("Intercept"))


def test_notes_of_the_fits_come_last():
    res = results_of(fits_of(notes=("The fit did not converge in set 3.",)), notes=("First.",))
    assert res.notes == ("First.", "The fit did not converge in set 3.")


def test_a_notebook_shows_tables_that_are_well_formed():
    class Balance(HTMLParser):
        depth = 0

        def handle_starttag(self, tag, attrs):
            self.depth += tag == "table"

        def handle_endtag(self, tag):
            self.depth -= tag == "table"

    page = results_of(notes=("A note.",))._repr_html_()
    parser = Balance()
    parser.feed(page)
    assert page.count("<table") == 1
    assert parser.depth == 0
    assert "A note." in page


def test_the_other_formats_of_statsmodels_work():
    summary = results_of().summary()
    assert "tabular" in summary.as_latex()
    assert "coef" in summary.as_csv()


def test_the_repr_is_one_line():
    assert repr(results_of()) == (
        "<PooledResults: OLS, 'chl ~ age + np.log(bmi):hyp', m = 5; summary() prints the table>"
    )


def test_summary_col_takes_pooled_results_beside_statsmodels_own():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=30), "y": rng.normal(size=30)})
    own = smf.ols("y ~ x", frame).fit()
    res = results_of(fits_of(outcome="y"))
    table = summary_col([res, own], stars=True, info_dict={"N": lambda r: f"{int(r.nobs)}"}).as_text()
    assert f"{res.params['age[T.40-59]']:.4f}" in table
    assert f"({res.bse['age[T.40-59]']:.4f})" in table
    assert "25" in table
    assert res.model.exog_names == list(NAMES)
    assert res.model.formula == "chl ~ age + np.log(bmi):hyp"


def test_single_results_are_fitted_when_they_are_asked_for():
    asked = []
    res = results_of(refit=lambda k: asked.append(k) or f"fit {k}")
    assert len(res.results) == 5
    assert asked == []
    assert res.results[3] == "fit 3"
    assert res.results[-1] == "fit 4"
    assert res.results[1:3] == ["fit 1", "fit 2"]
    assert asked == [3, 4, 1, 2]
    with pytest.raises(IndexError):
        res.results[5]
    assert [*res.results] == [f"fit {k}" for k in range(5)]


def test_kept_results_are_not_fitted_again():
    res = results_of(fits_of(kept=tuple("abcde")), refit=None)
    assert res.results[2] == "c"
    assert "kept" in repr(res.results)
    assert "again" in repr(results_of().results)


def test_imputations_and_verdict_are_handed_through():
    holder = object()
    res = results_of(imputations=holder, congeniality="implied")
    assert res.imputations is holder
    assert res.congeniality == "implied"


# Precision


def test_monte_carlo_errors_are_the_jackknife_of_every_column():
    res = results_of(fits_of(m=6))
    errors = res.mc_error()
    assert list(errors.columns) == list(res.to_frame().columns)
    np.testing.assert_allclose(errors["estimate"], res.fits.estimates.std(axis=0, ddof=1) / np.sqrt(6))
    tables = []
    for k in range(6):
        left = np.delete(np.arange(6), k)
        fits = fits_of(m=5, estimates=res.fits.estimates[left], covariances=res.fits.covariances[left])
        tables.append(results_of(fits).to_frame().to_numpy())
    spread = np.sqrt(5 / 6 * ((np.array(tables) - np.mean(tables, axis=0)) ** 2).sum(axis=0))
    np.testing.assert_allclose(errors, spread, rtol=1e-9)


def test_two_sets_have_no_jackknife_and_say_why():
    errors = results_of(fits_of(m=2)).mc_error()
    assert errors["estimate"].notna().all()
    assert errors.drop(columns="estimate").isna().all(axis=None)
    assert "at least 3 sets" in errors.attrs["reason"]


def test_monte_carlo_errors_forecast_what_another_seed_does():
    # 200 tables of m = 20 from one superpopulation; the ratio of mean error to true spread is within 15 %
    rng = np.random.default_rng(5)
    tables, errors = [], []
    for _ in range(200):
        estimates = rng.normal(size=(20, 1)) * 0.5 + 1
        res = results_of(fits_of(m=20, names=("x",), estimates=estimates, covariances=np.full((20, 1, 1), 0.3)))
        tables.append(res.to_frame().iloc[0])
        errors.append(res.mc_error().iloc[0])
    for column in ("estimate", "std_error", "p_value", "conf_low", "fmi"):
        true = np.std([t[column] for t in tables], ddof=1)
        assert np.mean([e[column] for e in errors]) == pytest.approx(true, rel=0.15), column


def test_the_number_of_imputations_follows_von_hippel():
    res = results_of(fits_of(m=20))
    logit = np.log(res.fmi / (1 - res.fmi)) + 1.96 * np.sqrt(2 / 20)
    upper = 1 / (1 + np.exp(-logit))
    assert res.recommend_m() == int(np.ceil(1 + 0.5 * (upper.max() / 0.05) ** 2))
    assert res.recommend_m(cv=0.01) > res.recommend_m(cv=0.1) >= 2
    with pytest.raises(PoolingError, match="cv is 0"):
        res.recommend_m(0)


def test_equal_sets_need_no_more():
    equal = fits_of(m=5, estimates=np.ones((5, 3)), covariances=np.tile(np.eye(3), (5, 1, 1)), df_complete=np.inf)
    res = results_of(equal)
    assert res.recommend_m() == 2
    assert (res.mc_error() == 0).all(axis=None)
    assert stable(res, {"se_cv": 0.05, "estimate": 0.01, "p_value": 0.001}).enough


def test_a_table_is_stable_or_says_what_is_missing():
    res = results_of(fits_of(m=5))
    found = stable(res, {"estimate": 0.1})
    share = (res.mc_error()["estimate"] / res.bse).max()
    assert not found.enough
    assert found.m == np.ceil(5 * (share / 0.1) ** 2)
    assert found.what.startswith(f"estimate <= 0.1 needs about m = {found.m} for ")
    easy = stable(res, {"estimate": 10.0})
    assert (easy.enough, easy.m, easy.what) == (True, 5, "estimate <= 10 at m = 5")
    assert stable(res, {"se_cv": 0.05}).m == res.recommend_m(0.05)
    assert stable(results_of(fits_of(m=2)), {"p_value": 0.01}).m == 4
    for until in ({"se": 1}, {"se_cv": 0}, {}, 0.05):
        with pytest.raises(PlanError, match="until="):
            stable(res, until)


def test_p_values_that_another_seed_could_move_are_named():
    estimates = np.column_stack([np.linspace(0.5, 0.9, 6), np.linspace(0.1, 3.0, 6)])
    res = results_of(fits_of(m=6, names=("x", "z"), estimates=estimates, covariances=np.tile(np.eye(2) / 9, (6, 1, 1))))
    error, p = res.mc_error()["p_value"], res.pvalues
    assert undecided(res) == [n for n in ("x", "z") if abs(p[n] - 0.05) < 1.96 * error[n]]
    assert "x" in undecided(res, level=float(p["x"]))


def test_a_stable_summary_prints_supported_digits_and_what_is_open():
    res = results_of(fits_of(m=5), stability=Stability(True, "se_cv <= 0.05 at m = 5", 5))
    text = str(res.summary())
    error = res.mc_error()["estimate"]
    digits = int(np.floor(-np.log10(error["Intercept"] / 2)))
    row = next(line for line in text.splitlines() if line.startswith("Intercept"))
    assert row.split()[1] == f"{res.params['Intercept']:.{digits}f}"
    assert "se_cv <= 0.05 at m = 5. Figures are printed to the digits" in " ".join(text.split())
    assert ("other side of 0.05" in " ".join(text.split())) == bool(undecided(res))


class Growing:
    """Imputations of which more can be had: estimates of one coefficient."""

    def __init__(self, m):
        self.m = m

    def extend(self, m):
        return Growing(self.m + m)

    def fit(self):
        estimates = np.random.default_rng(8).normal(size=(400, 1))[: self.m]
        warnings.warn(ConvergenceWarning(f"{self.m} fits"), stacklevel=1)
        fits = fits_of(m=self.m, names=("x",), estimates=estimates, covariances=np.ones((self.m, 1, 1)))
        return results_of(fits, imputations=self)


def test_imputations_are_added_until_the_table_is_stable():
    with pytest.warns(ConvergenceWarning) as caught:
        res = more_sets_until(Growing.fit, Growing(4), {"estimate": 0.1})
    assert len(caught) == 1
    assert caught[0].message.args == (f"{res.m} fits",)
    assert res.stability().enough
    assert res.mc_error().loc["x", "estimate"] <= 0.1 * res.bse["x"]
    assert 20 < res.m < 200
    assert res.stability().what == f"estimate <= 0.1 at m = {res.m}"


def test_too_few_imputations_are_said_at_the_limit():
    with pytest.warns(ConvergenceWarning):
        res = more_sets_until(Growing.fit, Growing(4), {"estimate": 0.1}, max_m=9)
    assert (res.m, res.stability().enough) == (9, False)
    assert res.stability().what.startswith("Not stable at max_m = 9: estimate <= 0.1 needs about m = ")
    with pytest.raises(PlanError, match="max_m is 2"):
        more_sets_until(Growing.fit, Growing(4), {"estimate": 0.1}, max_m=2)


# R², area under the curve


def test_rsquared_is_pooled_as_fisher_z():
    sets = frames()
    res = fit(imputed(sets), "y ~ x + g")
    own = np.array([smf.ols("y ~ x + g", f).fit().rsquared for f in sets])
    wanted = np.tanh(np.arctanh(np.sqrt(own)).mean()) ** 2
    assert res.rsquared == pytest.approx(wanted)
    n, p = 150, 4
    assert res.rsquared_adj == pytest.approx(1 - (1 - wanted) * (n - 1) / (n - p))
    frame = res.rsquared_frame()
    assert frame.loc["R-squared", "conf_low"] < wanted < frame.loc["R-squared", "conf_high"]
    equal = fit(imputed(frames(m=2, equal=True)), "y ~ x + g")
    theirs = smf.ols("y ~ x + g", frames(m=2, equal=True)[0]).fit()
    assert equal.rsquared == pytest.approx(theirs.rsquared)
    assert equal.rsquared_adj == pytest.approx(theirs.rsquared_adj)


def test_a_model_without_rsquared_says_so_and_is_asked_politely():
    res = fit(imputed(frames()), "b ~ x", "logit")
    assert not hasattr(res, "rsquared")
    with pytest.raises(ModelError, match="Logit has no R²"):
        res.rsquared_frame()


def test_the_area_under_the_curve_is_that_of_all_pairs():
    sets = frames()
    res = fit(imputed(sets), "b ~ x + g", "logit")
    areas = []
    for k, frame in enumerate(sets):
        score = np.asarray(res.results[k].predict())
        yes, no = score[frame["b"] == 1], score[frame["b"] == 0]
        areas.append(np.mean((yes[:, None] > no) + 0.5 * (yes[:, None] == no)))
    logit = np.log(np.array(areas) / (1 - np.array(areas))).mean()
    found = res.auc().loc["AUC"]
    assert found["estimate"] == pytest.approx(1 / (1 + np.exp(-logit)))
    assert 0.5 < found["conf_low"] < found["estimate"] < found["conf_high"] < 1
    with pytest.raises(ModelError, match="yes and no"):
        fit(imputed(sets), "y ~ x").auc()


# Cautions


def test_few_degrees_of_freedom_are_said_with_their_reason():
    wide = fits_of(estimates=100.0 * np.arange(15).reshape(5, 3), df_complete=1.0)
    (note,) = results_of(wide).notes
    assert note.startswith("Fewer than 3 degrees of freedom for all 3 coefficients: the interval is not usable")
    assert "the complete data leave 1 beside 3 coefficients" in note and "more imputations" in note
    text = str(results_of(wide).summary())
    assert "not usable" in " ".join(text.split())
    assert " 0.0 " not in text  # degrees of freedom near zero keep a figure
    one = fits_of(estimates=np.column_stack([np.arange(5) * 100.0, np.ones(5), np.ones(5)]), df_complete=np.inf)
    assert not any("Fewer" in note for note in results_of(one).notes)  # 4 of them
    two = fits_of(m=2, estimates=np.array([[0.0, 1, 1], [9, 1, 1]]), covariances=np.stack([np.eye(3)] * 2))
    assert results_of(two).notes[0].startswith("Fewer than 3 degrees of freedom for Intercept: ")


def test_estimates_equal_in_all_sets_explain_their_missing_information():
    res = results_of(fits_of(estimates=np.ones((5, 3))))
    assert res.notes == ("The 5 sets gave the same estimates; FMI shows the small-sample term 2/(df + 3).",)
    assert (res.fmi > 0).all()
    assert results_of(fits_of(estimates=np.ones((5, 3)), df_complete=np.inf)).notes == ()
    assert results_of().notes == ()


def test_the_verdict_is_in_the_header_and_its_reason_the_first_note():
    for reason, n_notes in (("as declared", 0), ("a reason " * 20, 1)):
        res = results_of(congeniality=f"exact: {reason.strip()}")
        header, _, notes = str(res.summary()).partition("Notes:")
        assert "Congeniality:" in header
        assert notes.count("Congeniality: exact: a reason") == n_notes


# Pickles


@pytest.mark.parametrize(
    ("formula", "model", "keywords"),
    [
        ("y ~ x * g + np.log(t)", None, {}),
        ("y ~ bs(x, df=4, lower_bound=-6, upper_bound=6)", None, {"cov_type": "HC1"}),
        ("b ~ x", "logit", {}),
        ("c ~ x", "poisson", {"exposure": "t"}),
        ("t ~ x + z", "phreg", {"status": "b"}),
    ],
)
def test_results_cross_a_process(formula, model, keywords):
    res = fit(imputed(frames()), formula, model, **keywords)
    again = pickle.loads(pickle.dumps(res))
    assert str(again.summary()) == str(res.summary())
    pd.testing.assert_frame_equal(again.to_frame(), res.to_frame())
    pd.testing.assert_series_equal(again.predict(), res.predict())
    np.testing.assert_array_equal(again.results[1].params, res.results[1].params)
    predicted = again.get_prediction()
    assert pickle.loads(pickle.dumps(predicted)).summary_frame().equals(predicted.summary_frame())


def test_pickled_results_are_compared_with_others_on_the_same_sets():
    imp = imputed(frames())
    larger, smaller = fit(imp, "y ~ x + z"), fit(imp, "y ~ x")
    again = pickle.loads(pickle.dumps(larger))
    assert str(again.compare(smaller)) == str(again.compare("y ~ x")) == str(larger.compare(smaller))


def test_kept_results_stay_behind_and_those_made_elsewhere_say_so():
    res = results_of(fits_of(kept=tuple("abcde")), refit=lambda k: k)
    again = pickle.loads(pickle.dumps(res))
    assert again.params.equals(res.params) and res.results[0] == "a"
    with pytest.raises(ModelError, match="fit 2 was made elsewhere and was not pickled"):
        again.results[2]


# What cannot be


def test_limits_need_a_level_between_0_and_1():
    res = results_of()
    for alpha in (5, -1, 0, 1, "a", np.nan):
        for verb in (res.conf_int, res.to_frame, res.summary, res.mc_error):
            with pytest.raises(PoolingError, match="one minus the coverage lies between 0 and 1"):
                verb(alpha=alpha)


def test_ratios_are_asked_for_with_a_truth_value():
    for verb in (results_of().to_frame, results_of().summary, results_of().forest):
        with pytest.raises(ModelError, match="exponentiate is 'a'; True or False is needed"):
            verb(exponentiate="a")


def test_a_single_result_is_chosen_by_its_number():
    res = results_of()
    assert res.results[-1] == "fit 4"
    with pytest.raises(IndexError, match="no result 9: the 5 results are numbered 0 to 4"):
        res.results[9]
    with pytest.raises(TypeError, match="not by 'x'"):
        res.results["x"]


def test_stability_can_be_asked_at_any_time():
    res = results_of(fits_of(m=5))
    assert res.stability() == stable(res, {"se_cv": 0.05})
    assert res.stability({"se_cv": 1e6}).enough
    with pytest.raises(PlanError, match="until= is a mapping"):
        res.stability(3)
    with pytest.raises(PoolingError, match="cv is 'x'"):
        res.recommend_m("x")


@pytest.mark.parametrize("noise, shown", [(1e-13, "inf"), (1e-2, "")])
def test_degrees_of_freedom_of_rounding_are_printed_as_without_end(noise, shown):
    """Sets that differ in the last digits of a fit have 1e50 degrees of freedom by the formula."""
    frame = pd.DataFrame({"x": np.arange(40.0) % 7, "y": np.arange(40.0) % 5})
    sets = [frame.assign(x=frame["x"] + k * noise * (frame["y"] > 2)) for k in range(3)]
    res = mifit.from_frames(sets, original=None).fit("y ~ x", dfcom=np.inf)
    row = next(line for line in str(res.summary()).splitlines() if line.startswith("x "))
    assert (row.split()[4] == "inf") == (shown == "inf")
    assert np.isfinite(res.df["x"])

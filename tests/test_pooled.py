"""The results room: statsmodels' verbs on pooled figures, and the printed page."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col

from mifit.analysis.fit import Fits
from mifit.pool.rubin import pool
from mifit.results.pooled import PooledResults

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
    for verb in ("params", "bse", "tvalues", "pvalues", "df", "riv", "lambda_", "fmi", "mc_error"):
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
    lines = text.splitlines()
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
    assert page.count("<table") == 2
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

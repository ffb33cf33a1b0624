"""Tables that people publish: ratios, markups, forest plots, and what other packages read."""

import pickle
import re
import sys
import types
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col

from mifit.results.map import Mapped
from mifit.results.pooled import PooledResults
from support.pooled import fit, frames, imputed


@pytest.fixture(scope="module")
def imp():
    return imputed(frames())


@pytest.fixture(scope="module")
def res(imp):
    return fit(imp, "b ~ x + C(g)", "logit")


def test_ratios_have_limits_from_the_log_scale(res):
    plain, ratios = res.to_frame(0.1), res.to_frame(0.1, exponentiate=True)
    for column in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios[column], np.exp(plain[column]))
    np.testing.assert_allclose(ratios["std_error"], np.exp(plain["estimate"]) * plain["std_error"])
    same = ["statistic", "df", "p_value", "riv", "lambda", "fmi"]
    pd.testing.assert_frame_equal(ratios[same], plain[same])


def test_the_summary_names_the_ratio(imp, res):
    assert "odds ratio" in str(res.summary(exponentiate=True))
    assert f"{np.exp(res.params['x']):.4f}" in str(res.summary(exponentiate=True))
    rates = fit(imp, "c ~ x", "poisson", exposure="t")
    assert "rate ratio" in rates.to_markdown(exponentiate=True)
    assert "odds ratio" in fit(imp, "b ~ x", "glm", family=sm.families.Binomial()).to_html(exponentiate=True)
    assert "exp(coef)" in fit(imp, "y ~ x").to_latex(exponentiate=True)


def test_markdown_is_a_table_of_pipes(res):
    lines = res.to_markdown().splitlines()
    assert len({len(line) for line in lines[:-2]}) == 1
    assert re.fullmatch(r"\|-+(\|-+:)+\|", lines[1])
    cells = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert cells[0] == "Intercept"
    assert float(cells[1]) == pytest.approx(res.params["Intercept"], abs=6e-4)
    assert lines[-1] == "Logit, b; n = 150, m = 4 imputations"


def test_html_is_well_formed_and_escaped(imp):
    class Balance(HTMLParser):
        depth = 0
        cells = 0

        def handle_starttag(self, tag, attrs):
            self.depth += 1
            self.cells += tag == "td"

        def handle_endtag(self, tag):
            self.depth -= 1

    page, parser = fit(imp, "y ~ I((x < 0) * 1.0)").to_html(), Balance()
    parser.feed(page)
    assert (parser.depth, parser.cells) == (0, 16)
    assert "x &lt; 0" in page


def test_latex_escapes_what_it_would_read(imp):
    text = fit(imp, "y ~ I(x ** 2) + C(g)").to_latex(digits=2)
    assert r"\begin{tabular}{lrrrrrrrr}" in text
    assert "I(x ** 2)" in text
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    assert all(line.count("&") == 8 and line.endswith(r"\\") for line in body.strip().splitlines())
    named = fit(imputed([f.rename(columns={"x": "x_1"}) for f in frames()]), "y ~ x_1").to_latex()
    assert r"x\_1" in named


def test_a_forest_plot_has_its_figures(res):
    plot = res.forest(exponentiate=True)
    assert plot["term"].tolist() == ["C(g)[T.mid]", "C(g)[T.top]", "x"]
    assert plot["position"].tolist() == [2, 1, 0]
    assert (plot["reference"] == 1).all()
    row, ratios = plot.iloc[2], res.to_frame(exponentiate=True).loc["x"]
    assert row["label"] == f"{ratios['estimate']:.2f} ({ratios['conf_low']:.2f} to {ratios['conf_high']:.2f})"


def test_maketables_finds_what_it_looks_for(imp, res):
    table = res.__maketables_coef_table__
    assert {"b", "se", "t", "p", "ci95l", "ci95u"} <= set(table.columns)
    np.testing.assert_array_equal(table["b"], res.params)
    assert res.__maketables_stat__("N") == 150
    assert res.__maketables_stat__("m") == 4
    assert res.__maketables_stat__("r2") is None
    assert res.__maketables_stat__("unheard of") is None
    assert res.__maketables_depvar__ == "b"
    assert res.__maketables_default_stat_keys__ == ["N", "m"]
    assert res.__maketables_stat_labels__ == {"m": "Imputations"}
    assert res.__maketables_vcov_info__["vcov_type"] == "nonrobust"
    linear = fit(imp, "y ~ x")
    assert linear.__maketables_stat__("r2") == linear.rsquared


def test_summary_col_sets_pooled_results_beside_others(imp):
    res, own = fit(imp, "y ~ x + z"), smf.ols("y ~ x + z", imp[0]).fit()
    text = summary_col([res, own], stars=True).as_text()
    assert f"{res.params['x']:.4f}" in text
    assert f"{res.rsquared:.4f}" in text


def test_what_is_no_coefficient_is_neither_exponentiated_nor_plotted(imp):
    res = fit(imp, "c ~ x", "negativebinomial")
    plain, ratios = res.to_frame(), res.to_frame(exponentiate=True)
    spread = [name for name in plain.index if name not in ("Intercept", "x")]
    assert len(spread) == 1
    pd.testing.assert_frame_equal(plain.loc[spread], ratios.loc[spread])
    assert ratios.loc["x", "estimate"] == pytest.approx(np.exp(plain.loc["x", "estimate"]))
    assert res.forest()["term"].tolist() == ["x"]
    assert "rate ratio" in str(res.summary(exponentiate=True))


def test_notebooks_show_tests_predictions_and_mapped_results(imp, res):
    assert "D1: x = C(g)[T.mid] = 0" in res.wald_test("x = C(g)[T.mid] = 0")._repr_html_()
    shown = fit(imp, "y ~ x").get_prediction({"x": 0.0})
    assert "mean_ci_lower" in shown._repr_html_()
    assert repr(shown).startswith("<Prediction of 1 rows")
    assert "0: &#x27;&lt;b&gt;" in Mapped(["<b>", "c"], 2)._repr_html_()


def test_stargazer_is_told_how_to_read_pooled_results(monkeypatch):
    readers = {}
    fake = types.SimpleNamespace(register_class=readers.__setitem__)
    res = fit(imputed(frames()), "y ~ x + g")
    again = pickle.loads(pickle.dumps(res))
    monkeypatch.setitem(sys.modules, "stargazer.translators", fake)  # imported after the fit
    for one in (res, again):
        readers.clear()
        assert one.__class__ is PooledResults and isinstance(one, PooledResults)
    told = readers[type(res)](res)
    assert list(told["cov_names"]) == list(res.params.index) and told["nobs"] == res.nobs
    assert told["r2"] == res.rsquared and told["resid_std_err"] == pytest.approx(np.sqrt(res.scale))
    assert readers[type(res)](fit(imputed(frames()), "b ~ x", "logit"))["r2"] is None


def test_stargazer_itself_prints_pooled_results():
    stargazer = pytest.importorskip("stargazer.stargazer")
    res = fit(imputed(frames()), "y ~ x + g")
    shown = stargazer.Stargazer([res])
    shown.add_line("Imputations", [res.m], stargazer.LineLocation.FOOTER_TOP)
    assert f"{res.params['x']:.3f}" in shown.render_latex()

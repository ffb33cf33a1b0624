"""Variance components, intraclass correlations and R² of mixed models: closed forms, pooling, singular sets."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from mifit.errors import ModelError
from support.pooled import imputed


def frame(seed=0, n_groups=30, k=6, slope=0.6, own=1.0):
    """Rows in groups of one size, x within and w between groups."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), k)
    x, w = rng.normal(size=len(g)), rng.normal(size=n_groups)[g]
    y = 1 + 0.8 * x + 0.5 * w + own * rng.normal(size=n_groups)[g] + slope * rng.normal(size=n_groups)[g] * x
    return pd.DataFrame({"y": y + rng.normal(size=len(g)), "x": x, "w": w, "g": g})


def sets(m=4, **words):
    """Completed sets that differ in x."""
    base = frame(**words)
    return [base.assign(x=base["x"] + 0.4 * np.random.default_rng(k).normal(size=len(base))) for k in range(m)]


def test_a_balanced_intraclass_correlation_has_the_error_of_its_f_ratio():
    one = frame(3, slope=0.0)
    n_groups, k = 30, 6
    res = imputed([one, one]).fit("y ~ 1", "mixedlm", groups="g")
    mean = one["y"].groupby(one["g"]).mean()
    within = ((one["y"] - one["g"].map(mean)) ** 2).sum() / (n_groups * (k - 1))
    between = k * ((mean - mean.mean()) ** 2).sum() / (n_groups - 1)
    ratio = between / within
    error = ratio / (ratio - 1) * np.sqrt(2 / (n_groups - 1) + 2 / (n_groups * (k - 1)))
    at = np.log((ratio - 1) / k)
    row = res.variance_components().loc["g ICC"]
    np.testing.assert_allclose(row["estimate"], expit(at), rtol=1e-6)
    np.testing.assert_allclose(
        row[["conf_low", "conf_high"]], expit(at + np.array([-1, 1]) * 1.959964 * error), rtol=1e-4
    )
    shown = res.rsquared_frame()
    assert shown.loc["R-squared (marginal)", "estimate"] == 0
    np.testing.assert_allclose(shown.loc["R-squared (conditional)", "estimate"], row["estimate"])


def test_figures_of_random_slopes_are_averages_over_the_rows():
    for shift in (0.0, 100.0):
        moved = [one.assign(x=one["x"] + shift) for one in [frame(1), frame(1)]]
        res = imputed(moved).fit("y ~ x + w", "mixedlm", groups="g", re_formula="~ x")
        table, shares = res.variance_components(), res.rsquared_frame()["estimate"]
        sd = np.sqrt(table.loc[["g Var", "x Var"], "estimate"].to_numpy())
        psi = np.outer(sd, sd) * np.array([[1, table.loc["g x x Cor", "estimate"]]] * 2)
        psi[0, 1] = psi[1, 0] = sd[0] * sd[1] * table.loc["g x x Cor", "estimate"]
        np.fill_diagonal(psi, sd**2)
        z = np.column_stack([np.ones(180), moved[0]["x"]])
        random = np.einsum("ij,jk,ik->i", z, psi, z).mean()
        fixed = np.var(res.params["x"] * moved[0]["x"] + res.params["w"] * moved[0]["w"], ddof=1)
        residual = table.loc["Residual Var", "estimate"]
        np.testing.assert_allclose(table.loc["g ICC", "estimate"], random / (random + residual), rtol=1e-4)
        total = fixed + random + residual
        np.testing.assert_allclose(shares, [fixed / total, (fixed + random) / total], rtol=1e-4)


def test_errors_of_shares_go_by_the_delta_method():
    one = frame(2, slope=0.0)
    res = imputed([one, one]).fit("y ~ x + w", "mixedlm", groups="g")

    def logits(at):
        fixed = np.var(at[1] * one["x"] + at[2] * one["w"], ddof=1)
        group, residual = np.exp(at[3:])
        total = fixed + group + residual
        return logit(np.array([group / (group + residual), fixed / total, (fixed + group) / total]))

    at, steps = res.params.to_numpy(), 1e-6 * np.eye(5)
    jacobian = np.array([(logits(at + step) - logits(at - step)) / 2e-6 for step in steps]).T
    wanted = np.diag(jacobian @ res.fits.covariances[0] @ jacobian.T)
    np.testing.assert_allclose(res.fits.spread.variances[0, 2:], wanted, rtol=1e-5)
    assert res.fits.spread.names[2:] == ("g ICC", "R-squared (marginal)", "R-squared (conditional)")


def test_components_are_pooled_on_their_scales():
    res = imputed(sets()).fit("y ~ x + w", "mixedlm", groups="g", re_formula="~ x")
    table, plain = res.variance_components(alpha=0.1), res.to_frame(alpha=0.1)
    for name in ("g Var", "x Var", "Residual Var"):
        row = plain.loc[f"log({name})"]
        np.testing.assert_allclose(
            table.loc[name, ["estimate", "conf_low", "conf_high"]], np.exp(row[["estimate", "conf_low", "conf_high"]])
        )
        np.testing.assert_allclose(table.loc[name, "fmi"], row["fmi"])
        np.testing.assert_allclose(table.loc[name, "std_dev"] ** 2, table.loc[name, "estimate"])
    np.testing.assert_allclose(table.loc["g x x Cor", "estimate"], np.tanh(plain.loc["atanh(g x x Cor)", "estimate"]))
    assert (table["sets"] == 4).all()


def test_nested_components_have_a_share_each():
    rng = np.random.default_rng(4)
    one = frame(5, n_groups=40, k=9, slope=0.0).assign(room=np.tile(np.repeat(np.arange(3), 3), 40))
    one["y"] += rng.normal(size=120)[one["g"] * 3 + one["room"]]
    res = imputed([one, one]).fit("y ~ x", "mixedlm", groups="g", re_formula="1", vc_formula={"room": "0 + C(room)"})
    table = res.variance_components()["estimate"]
    total = table[["g Var", "room Var", "Residual Var"]].sum()
    np.testing.assert_allclose(table["g ICC"], table["g Var"] / total, rtol=1e-6)
    np.testing.assert_allclose(table["room ICC"], table["room Var"] / total, rtol=1e-6)


def test_a_singular_set_leaves_the_limits_to_the_others():
    base = sets(5, slope=0.0)
    flat = base[2].copy()
    flat["y"] -= flat["y"].groupby(flat["g"]).transform("mean")
    res = imputed([*base[:2], flat, *base[3:]]).fit("y ~ x", "mixedlm", groups="g")
    table = res.variance_components()
    assert table.loc["g Var", "sets"] == 4
    own = res.fits.spread.estimates[:, 0]
    assert own[2] < 1e-8
    np.testing.assert_allclose(table.loc["g Var", "estimate"], np.exp(np.log(np.delete(own, 2)).mean()))
    assert any("limits of variance components are those of the other 4 sets" in note for note in res.fits.notes)
    assert "log(g Var)" not in res.params
    everywhere = imputed([flat, flat]).fit("y ~ x", "mixedlm", groups="g")
    none = everywhere.variance_components()
    assert none.loc["g Var", "sets"] == 0
    assert none["conf_low"].isna().all()
    assert none.loc["Residual Var", "estimate"] > 0
    assert "g Var" in str(everywhere.summary())


def test_the_summary_has_a_table_of_them():
    res = imputed(sets()).fit("y ~ x + w", "mixedlm", groups="g")
    text = str(res.summary())
    assert "log(" not in text
    for name in ("g Var", "Residual Var", "g ICC", "R-squared (marginal)", "R-squared (conditional)"):
        assert any(line.startswith(name) for line in text.splitlines()), name
    assert "28 to 149 (between-within)" in text
    assert "g ICC" in res._repr_html_()
    assert "g ICC" in res.summary().as_html()


def test_one_group_is_refused_with_the_model_without_groups():
    base = frame(1, n_groups=1, k=60)
    base.loc[::7, "x"] = np.nan
    imp = base.mice.impute("y ~ x", m=2, rng=1)
    with pytest.raises(ModelError, match="groups='g' has one value in all 60 rows of set 0") as caught:
        imp.fit("y ~ x", "mixedlm", groups="g", re_formula="~ x", uncovered="ignore")
    assert str(caught.value.do) == "imp.fit('y ~ x', model='ols', uncovered='ignore')"
    found = eval(str(caught.value.do), {"imp": imp})
    np.testing.assert_array_equal(found.params, imp.fit().params)


def test_groups_of_one_row_are_noted():
    base = frame(1).assign(g=lambda d: np.arange(len(d)))
    res = imputed([base, base]).fit("y ~ x", "mixedlm", groups="g")
    assert any("No group has two rows" in note for note in res.fits.notes)
    assert list(res.params.index) == ["Intercept", "x"]


def test_other_models_have_none():
    res = imputed(sets()).fit("y ~ x")
    with pytest.raises(ModelError, match="OLS has no variance components") as caught:
        res.variance_components()
    assert "mixedlm" in str(caught.value.do)
    mixed = imputed(sets()).fit("y ~ x", "mixedlm", groups="g")
    assert not hasattr(mixed, "rsquared")
    with pytest.raises(AttributeError, match="rsquared_frame"):
        _ = mixed.rsquared

"""Mixed models: the likelihood, its maximum as lme4 and statsmodels find it, and the origins and units of columns."""

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from mifit.analysis.likelihood import loglik_fits
from mifit.analysis.mixed import composed, grouped, loglik_at, packed_columns, point, root_of
from mifit.analysis.mixed_maximum import MixedFit, _climbed, distance, fixed_covariance, maximised, scale_parameters
from mifit.errors import FitError
from support.pooled import imputed
from support.references import stored

ROOM = {"room": "0 + C(room)"}
#: a column moved and in other units
MOVED = [(0, 1.0), (10, 1.0), (2000, 1.0), (1e6, 1.0), (0, 1e-3), (0, 1e3), (2000, 1e-2), (-2000, 1e3)]


def read():
    """The data of lme4's figures, and the figures."""
    folder = stored("lmer_slopes")
    return pd.read_csv(folder / "data.csv"), json.loads((folder / "expected.json").read_text())


def case(name):
    """One of the data sets."""
    data = read()[0]
    return data[data["case"] == name].drop(columns="case").reset_index(drop=True)


def moved(frame, shift, unit):
    """The same data with x in other units from another origin."""
    return frame.assign(x=shift + unit * frame["x"])


def fit(frame, reml=True, formula="y ~ x", **words):
    """Fit random slopes on a frame as its own two completed sets."""
    return imputed([frame, frame]).fit(formula, "mixedlm", groups="g", reml=reml, **{"re_formula": "~ x", **words})


def back(res, shift, unit):
    """Intercept, slope and their covariance, and the random effects' where it is estimated, on the column near 0."""
    turn = np.array([[1.0, shift], [0.0, unit]])
    fixed = turn @ res.params.iloc[:2].to_numpy()
    covariance = turn @ res.cov_params().iloc[:2, :2].to_numpy() @ turn.T
    if "log(x Var)" not in res.params:
        return fixed, covariance, None
    sd = np.exp(res.params[["log(g Var)", "log(x Var)"]].to_numpy() / 2)
    correlation = np.tanh(res.params["atanh(g x x Cor)"])
    psi = np.outer(sd, sd) * np.array([[1.0, correlation], [correlation, 1.0]])
    return fixed, covariance, turn @ psi @ turn.T


@pytest.mark.parametrize(("shift", "unit"), MOVED)
def test_random_slopes_are_those_of_lme4_wherever_the_column_begins(shift, unit):
    data, figures = read()
    for wanted in figures:
        frame = moved(data[data["case"] == wanted["case"]].reset_index(drop=True), shift, unit)
        words = {"vc_formula": ROOM} if wanted["case"] == "rooms" else {}
        res = fit(frame, wanted["reml"], **words)
        fixed, covariance, psi = back(res, shift, unit)
        errors = np.sqrt(np.diag(wanted["vcov"]))
        np.testing.assert_allclose(fixed, wanted["fixed"], rtol=1e-6, atol=1e-4 * errors.min())
        left = 1e-3 if shift == 1e6 else 1e-5  # moving 1e6 back takes twelve digits of sixteen
        np.testing.assert_allclose(covariance, wanted["vcov"], rtol=max(left, 1e-4), atol=left * errors.min() ** 2)
        assert res.converged.all()
        if wanted["case"] == "none":
            assert psi is None
            assert any("a variance is at its boundary in all 2 sets" in note for note in res.fits.notes)
        else:
            np.testing.assert_allclose(psi, wanted["covariance"], rtol=1e-3, atol=left)
            np.testing.assert_allclose(np.exp(res.params["log(Residual Var)"]), wanted["residual"], rtol=1e-4)
        if wanted["case"] == "rooms":
            np.testing.assert_allclose(np.exp(res.params["log(room Var)"]), wanted["room"], rtol=1e-4)
        if not wanted["reml"]:
            logliks = loglik_fits(res.design, res.completed, res.call).logliks
            np.testing.assert_allclose(logliks, wanted["loglik"], atol=1e-5)


@pytest.mark.parametrize("reml", [True, False])
def test_errors_of_variances_move_with_their_column(reml):
    near = fit(case("correlated"), reml)
    for shift, unit in MOVED:
        far = fit(moved(case("correlated"), shift, unit), reml)
        same = ["x", "log(x Var)", "log(Residual Var)"]
        scale = np.array([unit, 1.0, 1.0])
        np.testing.assert_allclose(far.bse[same] * scale, near.bse[same], rtol=1e-5)
        expected = near.params[same] + [0.0, -2 * np.log(unit), 0.0]
        np.testing.assert_allclose(far.params[same] * scale, expected * [1.0, 1.0, 1.0], rtol=1e-6, atol=1e-7)
        if shift == 0:
            np.testing.assert_allclose(far.bse["atanh(g x x Cor)"], near.bse["atanh(g x x Cor)"], rtol=1e-5)


def test_the_error_of_a_correlation_far_away_goes_by_the_delta_method():
    near, shift = fit(case("correlated")), 2000.0
    far = fit(moved(case("correlated"), shift, 1.0))
    names = ["log(g Var)", "log(x Var)", "atanh(g x x Cor)"]

    def there(at):
        sd, correlation = np.exp(at[:2] / 2), np.tanh(at[2])
        variance = sd[0] ** 2 - 2 * shift * correlation * sd[0] * sd[1] + shift**2 * sd[1] ** 2
        tangent = (correlation * sd[0] - shift * sd[1]) / (sd[0] * np.sqrt(1 - correlation**2))
        return np.array([np.log(variance), at[1], np.arcsinh(tangent)])

    at, covariance = near.params[names].to_numpy(), near.cov_params().loc[names, names].to_numpy()
    jacobian = np.array([(there(at + step) - there(at - step)) / 2e-5 for step in 1e-5 * np.eye(3)]).T
    np.testing.assert_allclose(far.params[names], there(at), rtol=1e-6)
    np.testing.assert_allclose(far.cov_params().loc[names, names], jacobian @ covariance @ jacobian.T, rtol=1e-4)


def test_calendar_years_give_what_statsmodels_gives_for_centred_ones():
    rng = np.random.default_rng(5)
    year, group = np.tile(np.arange(1990, 2021, 2), 30), np.repeat(np.arange(30), 16)
    effects = rng.multivariate_normal([0, 0], [[1.0, 0.02], [0.02, 0.004]], size=30)
    y = 3 + 0.1 * (year - 2005) + effects[group, 0] + effects[group, 1] * (year - 2005) + rng.normal(size=480)
    frame = pd.DataFrame({"y": y, "x": year, "g": group, "near": (year - 2005) / 10})
    res = fit(frame)
    own = smf.mixedlm("y ~ near", frame, groups="g", re_formula="~ near").fit(method="bfgs", gtol=1e-8)
    np.testing.assert_allclose(res.params["x"] * 10, own.fe_params["near"], rtol=1e-5)
    np.testing.assert_allclose(res.bse["x"] * 10, own.bse_fe["near"], rtol=1e-2)
    np.testing.assert_allclose(np.exp(res.params["log(x Var)"]) * 100, own.cov_re.iloc[1, 1], rtol=1e-4)
    full = smf.mixedlm("y ~ near", frame, groups="g", re_formula="~ near").fit(method="bfgs", gtol=1e-8, reml=False)
    assert loglik_fits(res.design, res.completed, res.call).logliks[0] == pytest.approx(full.llf, abs=1e-5)
    less = smf.mixedlm("y ~ 1", frame, groups="g", re_formula="~ near").fit(method="bfgs", gtol=1e-8, reml=False)
    for method in ("D3", "D4"):
        assert res.compare("y ~ 1", method).statistic == pytest.approx(2 * (full.llf - less.llf), abs=1e-3)


@pytest.mark.parametrize("unit", [1e-6, 1e-3, 1e3, 1e6])
def test_the_units_of_the_outcome_and_of_a_second_slope_change_nothing_but_units(unit):
    rng = np.random.default_rng(3)
    frame = case("rooms").assign(w=rng.normal(size=180))
    near = fit(frame, formula="y ~ x + w", re_formula="~ x + w", vc_formula=ROOM)
    turned = frame.assign(y=frame["y"] * unit, w=50 + frame["w"] / unit)
    far = fit(turned, formula="y ~ x + w", re_formula="~ x + w", vc_formula=ROOM)
    np.testing.assert_allclose(far.params[["x", "w"]] / [unit, unit**2], near.params[["x", "w"]], rtol=1e-5)
    np.testing.assert_allclose(far.bse[["x", "w"]] / [unit, unit**2], near.bse[["x", "w"]], rtol=1e-5)
    assert list(far.params.index) == list(near.params.index)
    kept = [name for name in near.params.index if name in ("log(x Var)", "log(room Var)", "log(Residual Var)")]
    np.testing.assert_allclose(far.params[kept] - 2 * np.log(unit), near.params[kept], rtol=1e-5, atol=1e-5)


def test_without_a_random_intercept_a_column_is_not_centred():
    frame = moved(case("correlated"), 3.0, 1.0)
    res = fit(frame, re_formula="0 + x")
    own = smf.mixedlm("y ~ x", frame, groups="g", re_formula="0 + x").fit(method="bfgs", gtol=1e-8)
    np.testing.assert_allclose(res.params.iloc[:2], own.fe_params, rtol=1e-5)
    np.testing.assert_allclose(np.exp(res.params["log(x Var)"]), own.cov_re.iloc[0, 0], rtol=1e-4)


def test_estimates_have_six_digits_of_lme4s():
    data, figures = read()
    for wanted in figures:
        frame = data[data["case"] == wanted["case"]]
        ones, groups = np.column_stack([np.ones(len(frame)), frame["x"]]), frame["g"].to_numpy()
        rooms = [packed_columns(pd.get_dummies(frame["room"]).to_numpy(float), groups)]
        found = maximised(
            grouped(frame["y"].to_numpy(), ones, ones, rooms if wanted["case"] == "rooms" else [], groups),
            wanted["reml"],
        )
        np.testing.assert_allclose(found.fe_params, wanted["fixed"], rtol=1e-6)
        np.testing.assert_allclose(fixed_covariance(found), wanted["vcov"], rtol=5e-6)
        np.testing.assert_allclose(found.cov_re, wanted["covariance"], atol=1e-6 * np.abs(wanted["covariance"]).max())
        np.testing.assert_allclose(found.scale, wanted["residual"], rtol=1e-6)
        if wanted["case"] == "rooms":
            np.testing.assert_allclose(found.vcomp, wanted["room"], rtol=1e-6)


def test_a_boundary_is_where_no_variance_raises_the_likelihood():
    frame = moved(case("none"), 10.0, 1.0)
    ones = np.column_stack([np.ones(len(frame)), frame["x"]])
    data = grouped(frame["y"].to_numpy(), ones, ones, [], frame["g"].to_numpy())
    best = maximised(data, False)
    height = point(data, best.root, False).loglik
    assert scale_parameters(best) is None
    assert abs(distance(best)) < 1e-9
    rng = np.random.default_rng(0)
    for size in np.repeat([1e-3, 1e-2, 1e-1], 20):
        assert point(data, best.root + size * rng.normal(size=(2, 2)), False).loglik <= height + 1e-9


def test_a_fit_that_stopped_at_a_saddle_is_not_settled():
    frame = case("correlated")
    ones = np.column_stack([np.ones(len(frame)), frame["x"]])
    data = grouped(frame["y"].to_numpy(), ones, ones, [], frame["g"].to_numpy())
    best = maximised(data, True)
    for axis in range(2):  # without one of the two variances the slope is zero, and still there is a way up
        psi = np.diag(np.diag(best.cov_re) * (np.arange(2) != axis))
        root = root_of(data, psi, np.zeros(0), best.scale)
        here = point(data, root, True)
        stopped = MixedFit(
            data, root, True, data.least + data.fixed @ here.coefficients * data.unit,
            here.residual * data.unit**2, psi, np.zeros(0),
        )  # fmt: skip
        assert distance(stopped) > 0.1
    assert abs(distance(best)) < 1e-9


def test_where_the_climb_begins_does_not_matter():
    rng = np.random.default_rng(1)
    for seed in range(6):
        group = np.repeat(np.arange(15), 4)
        x = rng.normal(size=60)
        y = x + rng.normal(size=15)[group] * (seed % 2) + 0.4 * rng.normal(size=15)[group] * x + rng.normal(size=60)
        ones = np.column_stack([np.ones(60), x])
        data = grouped(y, ones, ones, [], group)
        best = maximised(data, bool(seed % 2))
        height = point(data, best.root, best.reml).loglik
        for _ in range(4):
            root, here = _climbed(data, rng.normal(size=(2, 2)) * 10 ** rng.uniform(-1, 0.5), best.reml)
            assert here.loglik <= height + 1e-7
            if here.loglik > height - 1e-7:
                np.testing.assert_allclose(root @ root.T, best.root @ best.root.T, atol=1e-5)


def test_a_kept_result_is_right_where_the_arithmetic_of_statsmodels_is_not():
    for name, shift in (("correlated", 0.0), ("correlated", 2000.0), ("none", 2000.0), ("correlated", 1e6)):
        res = fit(moved(case(name), shift, 1.0))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            own = res.results[0]
        errors = res.bse.iloc[:2].to_numpy()
        np.testing.assert_allclose(own.fe_params, res.params.iloc[:2], atol=1e-3 * errors.min())
        np.testing.assert_allclose(own.bse_fe, errors, rtol=2e-2)
        np.testing.assert_allclose(own.tvalues.iloc[1], own.fe_params.iloc[1] / own.bse_fe.iloc[1])
        cannot = any("cannot evaluate" in str(one.message) for one in said)
        assert cannot == (name == "none" or shift == 1e6)
        if not cannot and shift == 0:
            assert own.llf == pytest.approx(read()[1][0]["loglik"], abs=1e-6)


def test_words_of_an_optimizer_are_followed_where_they_lead_to_the_optimum():
    frame = moved(case("correlated"), 2000.0, 1.0)
    plain = fit(frame)
    for method in ("bfgs", "powell"):
        res = fit(frame, fit_kwds={"method": method})
        np.testing.assert_allclose(res.params, plain.params, rtol=1e-3, atol=1e-3)
        assert res.converged.all()


def test_the_number_of_steps_is_no_choice_of_an_optimizer():
    plain = fit(moved(case("correlated"), 2000.0, 1.0))
    for words in ({"maxiter": 200}, {"gtol": 1e-3}):
        np.testing.assert_array_equal(fit(moved(case("correlated"), 2000.0, 1.0), fit_kwds=words).params, plain.params)


def test_statsmodels_reports_the_same_on_either_of_its_scales():
    for sqrt in (True, False):
        own = fit(case("correlated"), use_sqrt=sqrt).results[0]
        assert own.llf == pytest.approx(read()[1][0]["loglik"], abs=1e-6)


def test_as_many_random_effects_as_rows_leave_the_coefficients():
    frame = case("small groups").groupby("g").head(1).reset_index(drop=True)
    res = fit(frame, re_formula="1")
    plain = sm.OLS(frame["y"], sm.add_constant(frame["x"])).fit()
    np.testing.assert_allclose(res.params, plain.params, rtol=1e-8)
    np.testing.assert_allclose(res.bse, plain.bse, rtol=1e-8)
    assert any("at its boundary" in note for note in res.fits.notes)


def test_random_effects_that_leave_no_residuals_are_refused_in_these_words():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.arange(12), "x": rng.normal(size=12)}).loc[lambda d: d.index.repeat(2)]
    frame = frame.reset_index(drop=True).assign(x=rng.normal(size=24))
    frame["y"] = rng.normal(size=12)[frame["g"]] + rng.normal(size=12)[frame["g"]] * frame["x"]
    with pytest.raises(FitError, match="does not reach its optimum") as caught:
        fit(frame)
    assert "leave no residual variance; use fewer of them" in caught.value.lines["said"]
    assert fit(frame, re_formula="1").converged.all()
    with pytest.raises(FitError) as caught:
        fit(frame.assign(y=2 * frame["x"]))
    assert caught.value.lines["said"] == "the fixed effects leave no residual variance"


def test_a_random_effect_of_a_column_of_zeros_is_none():
    frame = case("correlated").assign(q=0.0)
    res = fit(frame, re_formula="0 + q")
    plain = sm.OLS(frame["y"], sm.add_constant(frame["x"])).fit()
    np.testing.assert_allclose(res.params, plain.params, rtol=1e-8)
    assert any("at its boundary" in note for note in res.fits.notes)


def test_thousands_of_groups_are_fitted_in_a_moment():
    rng = np.random.default_rng(9)
    group, x = np.repeat(np.arange(3000), 5), 1e4 + rng.normal(size=15_000)
    y = rng.normal(size=3000)[group] + 0.5 * rng.normal(size=3000)[group] * x + rng.normal(size=15_000)
    frame = pd.DataFrame({"y": y, "x": x, "g": group})
    imp = imputed([frame, frame])
    start = time.process_time()
    imp.fit("y ~ x", "mixedlm", groups="g", re_formula="~ x")
    assert time.process_time() - start < 15  # statsmodels takes minutes


def test_the_likelihood_by_groups_is_that_of_the_whole_covariance():
    rng = np.random.default_rng(8)
    groups = rng.integers(0, 7, 60)
    exog, random = rng.normal(size=(60, 3)), np.column_stack([np.ones(60), 5 + rng.normal(size=60)])
    part, y = np.eye(2)[rng.integers(0, 2, 60)], rng.normal(size=60)
    data = grouped(y, exog, random, [part], groups)
    same, scale, component = groups[:, None] == groups, 0.8, np.array([0.6])
    for psi in (np.array([[1.0, 0.3], [0.3, 0.5]]), np.zeros((2, 2)), np.outer([1.0, 2.0], [1.0, 2.0])):
        all_random = np.hstack([random, part])
        variance = scale * np.eye(60) + same * (all_random @ composed(psi, component, [2]) @ all_random.T)
        information = exog.T @ np.linalg.solve(variance, exog)
        best = np.linalg.solve(information, exog.T @ np.linalg.solve(variance, y))
        for beta in (best, np.array([0.2, -0.1, 0.5])):
            left = y - exog @ beta
            wanted = -0.5 * (
                60 * np.log(2 * np.pi) + np.linalg.slogdet(variance)[1] + left @ np.linalg.solve(variance, left)
            )
            np.testing.assert_allclose(loglik_at(data, beta, psi, component, scale), wanted)
        here = MixedFit(data, root_of(data, psi, component, scale), False, best, scale, psi, component)
        np.testing.assert_allclose(fixed_covariance(here), np.linalg.inv(information), rtol=1e-9)
        found = point(data, here.root, False, scale / data.unit**2)
        np.testing.assert_allclose(data.least + data.fixed @ found.coefficients * data.unit, best)
        np.testing.assert_allclose(
            found.loglik - 60 * np.log(data.unit), loglik_at(data, best, psi, component, scale), rtol=1e-10
        )


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("residual", [None, 0.7])
def test_the_slope_of_the_likelihood_is_its_derivative(reml, residual):
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 9, 50)
    exog, part = rng.normal(size=(50, 2)), rng.normal(size=(50, 1))
    data = grouped(rng.normal(size=50), exog, rng.normal(size=(50, 2)), [part], groups)
    root = rng.normal(size=(3, 3))
    wanted = np.empty((3, 3))
    for i, j in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[i, j] = 1e-5
        ahead, behind = (point(data, root + sign * step, reml, residual).loglik for sign in (1, -1))
        wanted[i, j] = (ahead - behind) / 2e-5
    np.testing.assert_allclose(point(data, root, reml, residual).slope, wanted, rtol=1e-6, atol=1e-6)


def test_the_error_of_a_balanced_variance_component_is_the_classical_one():
    # One way, G groups of k: the residual mean square has variance 2 s^2 / (G (k - 1)).
    rng = np.random.default_rng(4)
    n_groups, k = 40, 6
    groups = np.repeat(np.arange(n_groups), k)
    y = rng.normal(size=n_groups)[groups] * 1.5 + rng.normal(size=n_groups * k)
    means = pd.Series(y).groupby(groups).transform("mean").to_numpy()
    within = ((y - means) ** 2).sum() / (n_groups * (k - 1))
    between = k * ((np.unique(means) - y.mean()) ** 2).sum() / (n_groups - 1)
    ones = np.ones((len(y), 1))
    at, covariance = scale_parameters(maximised(grouped(y, ones, ones, [], groups), True))
    np.testing.assert_allclose(at, np.log([(between - within) / k, within]))
    np.testing.assert_allclose(covariance[1, 1], 2 / (n_groups * (k - 1)), rtol=1e-4)
    component = 2 / k**2 * (between**2 / (n_groups - 1) + within**2 / (n_groups * (k - 1)))
    np.testing.assert_allclose(covariance[0, 0], component / ((between - within) / k) ** 2, rtol=1e-4)

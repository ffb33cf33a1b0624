"""Predictions with random effects: Henderson's equations, statsmodels' random effects, groups never seen."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.special import expit

from mifit.errors import DataError, ModelError
from support.pooled import imputed


def frame(seed=0, n_groups=15):
    """Unequal groups with names, a random slope, a yes-no and a count outcome."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), rng.integers(2, 9, n_groups))
    x, w = rng.normal(size=len(g)), rng.normal(size=n_groups)[g]
    linear = 0.3 + 0.8 * x + 0.5 * w + rng.normal(size=n_groups)[g] + 0.6 * rng.normal(size=n_groups)[g] * x
    return pd.DataFrame(
        {
            "y": linear + rng.normal(size=len(g)),
            "b": (rng.random(len(g)) < expit(linear)).astype(int),
            "c": rng.poisson(np.exp(linear / 2)),
            "x": x,
            "w": w,
            "g": np.array([f"s{k:02d}" for k in range(n_groups)])[g],
        }
    )


def henderson(exog, random, groups, psi, weights, scale):
    """Covariance of coefficients and of all random effects less their estimates, from the joint normal equations."""
    codes = pd.factorize(groups, sort=True)[0]
    n_groups, q = codes.max() + 1, random.shape[1]
    wide = np.zeros((len(codes), n_groups * q))
    for row, code in enumerate(codes):
        wide[row, code * q : (code + 1) * q] = random[row]
    whole = np.hstack([exog, wide])
    precision = (whole * weights[:, None]).T @ whole / scale
    precision[exog.shape[1] :, exog.shape[1] :] += np.kron(np.eye(n_groups), np.linalg.inv(psi))
    return whole, np.linalg.inv(precision)


@pytest.mark.parametrize("shift", [0.0, 50.0])
@pytest.mark.parametrize("slopes", [False, True])
def test_a_linear_model_solves_hendersons_equations(slopes, shift):
    one = frame().assign(x=lambda d: d["x"] + shift)
    words = {"re_formula": "~ x"} if slopes else {}
    res = imputed([one, one]).fit("y ~ x + w", "mixedlm", groups="g", dfcom=np.inf, **words)
    own = smf.mixedlm("y ~ x + w", one, groups="g", **words).fit(method="bfgs", gtol=1e-9) if not shift else None
    table = res.variance_components()["estimate"]
    psi = np.array([[table["g Var"]]])
    if slopes:
        both = np.sqrt(table["g Var"] * table["x Var"]) * table["g x x Cor"]
        psi = np.array([[table["g Var"], both], [both, table["x Var"]]])
    exog = np.column_stack([np.ones(len(one)), one["x"], one["w"]])
    whole, covariance = henderson(exog, exog[:, : len(psi)], one["g"], psi, np.ones(len(one)), table["Residual Var"])
    left = covariance @ whole.T @ one["y"].to_numpy() / table["Residual Var"]
    found = res.get_prediction(random=True)
    np.testing.assert_allclose(found.predicted_mean, whole @ left, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.se_mean, np.sqrt(np.einsum("ij,jk,ik->i", whole, covariance, whole)), rtol=1e-4)
    effects = res.random_effects()
    np.testing.assert_allclose(effects["estimate"], left[3:], rtol=1e-3, atol=1e-3 * (1 + shift))
    np.testing.assert_allclose(effects["std_error"], np.sqrt(np.diag(covariance))[3:], rtol=1e-3)
    assert effects.index.names == ["g", "effect"]
    if own is not None:
        theirs = np.concatenate([own.random_effects[name] for name in sorted(one["g"].unique())])
        np.testing.assert_allclose(effects["estimate"], theirs, atol=1e-3)


@pytest.mark.parametrize(("outcome", "model"), [("b", "mixed_logit"), ("c", "mixed_poisson")])
def test_a_generalised_model_does_so_at_its_working_weights(outcome, model):
    one = frame(2)
    res = imputed([one, one]).fit(f"{outcome} ~ x + w", model, groups="g", dfcom=np.inf)
    psi = res.variance_components().loc[["g Var"], ["estimate"]].to_numpy()
    exog = np.column_stack([np.ones(len(one)), one["x"], one["w"]])
    effects = res.random_effects()["estimate"].droplevel("effect")
    linear = exog @ res.params.iloc[:3].to_numpy() + one["g"].map(effects).to_numpy()
    mean = expit(linear) if model == "mixed_logit" else np.exp(linear)
    # the mode: what the data say of each group and what the normal law says of it cancel
    pull = (one[outcome] - mean).groupby(one["g"]).sum()
    np.testing.assert_allclose(pull, effects / psi[0, 0], atol=1e-6)
    found = res.get_prediction(random=True)
    np.testing.assert_allclose(found.predicted_mean, mean, rtol=1e-8)
    weights = mean * (1 - mean) if model == "mixed_logit" else mean
    whole, covariance = henderson(exog, exog[:, :1], one["g"], psi, weights, 1.0)
    # Henderson's covariance of the coefficients is the working model's; here it is the likelihood's
    inside = np.linalg.inv(np.linalg.inv(covariance)[3:, 3:])
    pulls = inside @ np.linalg.inv(covariance)[3:, :3]
    moved = whole[:, :3] - whole[:, 3:] @ pulls
    variance = np.einsum("ij,jk,ik->i", whole[:, 3:], inside, whole[:, 3:])
    variance += np.einsum("ij,jk,ik->i", moved, res.fits.covariances[0][:3, :3], moved)
    np.testing.assert_allclose(found.linear.std_error, np.sqrt(variance), rtol=1e-6)


def test_sets_are_pooled_and_new_groups_have_the_fixed_part():
    sets = [
        frame().assign(x=lambda d, k=k: d["x"] + 0.4 * np.random.default_rng(k).normal(size=len(d))) for k in range(3)
    ]
    res = imputed(sets).fit("y ~ x + w", "mixedlm", groups="g", dfcom=np.inf)
    new = pd.DataFrame({"x": [0.5, 0.5, 0.5], "w": [0.0, 0.0, 0.0], "g": ["s03", "unknown", None]})
    found, fixed = res.get_prediction(new, random=True), res.get_prediction(new)
    assert found.predicted_mean[0] != pytest.approx(fixed.predicted_mean[0])
    np.testing.assert_allclose(found.predicted_mean[1:], fixed.predicted_mean[1:])
    between = res.fits.spread.estimates[:, 0].mean()
    np.testing.assert_allclose(found.se_mean[1:] ** 2, fixed.se_mean[1:] ** 2 + between, rtol=1e-6)
    assert (found.summary_frame()["obs_ci_upper"] > found.summary_frame()["mean_ci_upper"]).all()
    alone = [imputed([one, one]).fit("y ~ x + w", "mixedlm", groups="g").random_effects() for one in sets]
    estimates = np.array([one["estimate"] for one in alone])
    effects = res.random_effects()
    np.testing.assert_allclose(effects["estimate"], estimates.mean(axis=0))
    total = np.mean([one["std_error"] ** 2 for one in alone], axis=0) + 4 / 3 * estimates.var(axis=0, ddof=1)
    np.testing.assert_allclose(effects["std_error"], np.sqrt(total))
    np.testing.assert_allclose(res.predict(new, random=True), found.predicted_mean)


def test_what_has_no_random_effects_says_so():
    one = frame()
    imp = imputed([one, one])
    with pytest.raises(ModelError, match="OLS has no random effects"):
        imp.fit("y ~ x").random_effects()
    nested = imp.fit("y ~ x", "mixedlm", groups="g", vc_formula={"w": "0 + w"})
    with pytest.raises(ModelError, match="random effects of vc_formula= are not predicted"):
        nested.get_prediction(random=True)
    res = imp.fit("y ~ x", "mixedlm", groups="g")
    with pytest.raises(DataError, match="newdata lacks 'g', the groups of the model"):
        res.get_prediction({"x": 1.0}, random=True)
    array = imp.fit("y ~ x", "mixedlm", groups=pd.factorize(one["g"])[0])
    assert len(array.random_effects()) == 15
    with pytest.raises(ModelError, match="the groups of new rows are not known"):
        array.get_prediction(one, random=True)

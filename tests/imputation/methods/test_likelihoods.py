"""Likelihoods that judge covariates: estimates, acceptance, dispersions and samples against independent figures."""

import warnings

import numpy as np
import pytest
import scipy.stats as st
import statsmodels.api as sm
from scipy.special import expit, gammaln
from statsmodels.genmod.families import links
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.check_method import check_method
from mifit.imputation.methods.cox import Cox, Times
from mifit.imputation.methods.glm import Glm, GlmFitted
from mifit.imputation.methods.negbin import NegBin
from mifit.imputation.methods.ordinal import Ordinal
from mifit.imputation.methods.poisson import Poisson
from mifit.imputation.methods.probit import Probit, ProbitFitted

F = sm.families


def family(make, *args, **more):
    """A family; statsmodels warns of links that leave its domain, which is what is tested here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **more)


FAMILIES = {
    "gaussian": family(F.Gaussian),
    "gaussian log": family(F.Gaussian, links.Log()),
    "gaussian inverse": family(F.Gaussian, links.InversePower()),
    "binomial": family(F.Binomial),
    "binomial probit": family(F.Binomial, links.Probit()),
    "binomial cloglog": family(F.Binomial, links.CLogLog()),
    "binomial loglog": family(F.Binomial, links.LogLog()),
    "binomial cauchit": family(F.Binomial, links.Cauchy()),
    "binomial log": family(F.Binomial, links.Log()),
    "binomial logc": family(F.Binomial, links.LogC()),
    "binomial identity": family(F.Binomial, links.Identity()),
    "poisson": family(F.Poisson),
    "poisson identity": family(F.Poisson, links.Identity()),
    "poisson sqrt": family(F.Poisson, links.Sqrt()),
    "negative binomial": family(F.NegativeBinomial, alpha=0.7),
    "negative binomial identity": family(F.NegativeBinomial, links.Identity(), alpha=0.7),
    "negative binomial cloglog": family(F.NegativeBinomial, links.CLogLog(), alpha=0.7),
    "negative binomial own": family(F.NegativeBinomial, links.NegativeBinomial(alpha=0.7), alpha=0.7),
    "negative binomial power": family(F.NegativeBinomial, links.Power(power=0.4), alpha=0.7),
    "gamma inverse": family(F.Gamma),
    "gamma log": family(F.Gamma, links.Log()),
    "gamma identity": family(F.Gamma, links.Identity()),
    "inverse gaussian": family(F.InverseGaussian),
    "gamma power": family(F.Gamma, links.Power(power=0.3), check_link=False),
    "inverse gaussian log": family(F.InverseGaussian, links.Log()),
    "inverse gaussian inverse": family(F.InverseGaussian, links.InversePower()),
    "inverse gaussian identity": family(F.InverseGaussian, links.Identity()),
    "tweedie log": family(F.Tweedie, links.Log(), var_power=1.5),
    "tweedie power": family(F.Tweedie, links.Power(power=0.5), var_power=1.5),
}


def frame(kind, n=500, seed=0):
    """A design, and an outcome of the family whose means stay well inside every domain."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.uniform(-1, 1, (n, 2))])
    mean = 0.45 + 0.15 * X[:, 1] - 0.1 * X[:, 2]
    name = type(kind).__name__
    if name == "Gaussian":
        return X, 2.0 + mean + 0.3 * rng.normal(size=n)
    if name == "Binomial":
        return X, (rng.random(n) < mean).astype(float)
    if name in ("Poisson", "NegativeBinomial"):
        size = 1.0 if isinstance(kind.link, links.CLogLog) else 4.0  # its means stay below 1
        return X, rng.poisson(size * mean * (rng.gamma(2, 0.5, n) if name != "Poisson" else 1.0)).astype(float)
    if name == "Tweedie":
        return X, np.array([rng.gamma(2.0, 0.5, k).sum() for k in rng.poisson(3 * mean)])
    return X, (rng.gamma(3.0, mean / 3) if name == "Gamma" else rng.wald(mean, 2.0))


def visit(y, X, **more):
    """A visit whose every column is a term."""
    return Visit(np.asarray(y, float), X, np.arange(X.shape[1]), Kind.NUMERIC, **more)


def fit(method, y, X, seed=1, **more):
    return method.fit(visit(y, X, **more), np.random.default_rng(seed))


def test_every_family_and_link_of_statsmodels_is_tried():
    links_of = {name: {link.__name__ for link in getattr(F, name).links} for name in st_families()}
    tried = {name: {type(k.link).__name__ for k in FAMILIES.values() if type(k).__name__ == name} for name in links_of}
    assert {name: sorted(wanted - tried[name]) for name, wanted in links_of.items() if wanted - tried[name]} == {}


def st_families():
    """Names of statsmodels' families."""
    return [
        name
        for name in vars(F)
        if isinstance(getattr(F, name), type) and issubclass(getattr(F, name), F.Family) and name != "Family"
    ]


# Contract


def of_kind(kind):
    """Glm offered for one kind only."""
    return type("Glm", (Glm,), {"kinds": frozenset({kind}), "__module__": __name__})


@pytest.mark.parametrize("method", [Probit(), Ordinal("probit")], ids=repr)
def test_every_method_keeps_its_contract(method):
    check_method(method)


@pytest.mark.parametrize("name", ["gaussian", "gaussian log", "gamma log", "inverse gaussian log", "poisson"])
def test_a_family_keeps_the_contract_of_its_kind(name):
    kind = Kind.COUNT if name == "poisson" else Kind.NUMERIC
    check_method(of_kind(kind)(FAMILIES[name]))


# Estimates


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", FAMILIES)
def test_glm_estimates_equal_those_of_statsmodels(name, weighted):
    kind = FAMILIES[name]
    X, y = frame(kind)
    rng = np.random.default_rng(1)
    offset = 0.02 * rng.normal(size=len(y))
    weights = rng.integers(1, 4, len(y)).astype(float) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(y, X, family=kind, offset=offset, var_weights=weights)
        start = fit(Glm(kind), y, X, weights=weights, offset=offset).warm[0]
        truth = model.fit(start_params=start * 1.001, tol=1e-14, maxiter=500)
    found = fit(Glm(kind), y, X, weights=weights, offset=offset)
    assert found.events == ()
    np.testing.assert_allclose(found.warm[0], truth.params, rtol=1e-6, atol=1e-6)
    again = fit(Glm(kind), y, X, weights=weights, offset=offset, warm=found.warm)
    np.testing.assert_allclose(again.warm[0], truth.params, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["gamma log", "poisson sqrt", "binomial cloglog", "inverse gaussian log", "gaussian"])
def test_draws_have_the_covariance_of_statsmodels(name):
    kind = FAMILIES[name]
    X, y = frame(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        truth = sm.GLM(y, X, family=kind).fit(tol=1e-13, maxiter=300)
    first, m = fit(Glm(kind), y, X), 2000
    draws = np.array([fit(Glm(kind), y, X, seed=k, warm=first.warm).coef for k in range(m)])
    cov = np.asarray(truth.cov_params())
    if "inverse" in name:  # statsmodels divides Pearson's sum, not the deviance
        cov = cov / truth.scale * truth.deviance / truth.df_resid
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / m)
    # five standard errors, twelve figures: false alarm about 1e-5
    assert np.all(np.abs(draws.mean(axis=0) - truth.params) < 5 * np.sqrt(np.diag(cov) / m))
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)


@pytest.mark.parametrize("name", ["gaussian log", "gamma log", "inverse gaussian", "tweedie log"])
def test_dispersions_are_scaled_inverse_chi_squares(name):
    kind = FAMILIES[name]
    X, y = frame(kind, n=60)
    weights = np.random.default_rng(2).integers(1, 4, 60).astype(float)
    first = fit(Glm(kind), y, X, weights=weights)
    mean = kind.link.inverse(X @ first.warm[0])
    share = kind.resid_dev(y, mean) ** 2 if "gauss" in name else (y - mean) ** 2 / kind.variance(mean)
    total = np.sum(weights * share)
    draws = [fit(Glm(kind), y, X, seed=k, weights=weights, warm=first.warm).dispersion for k in range(2000)]
    assert st.kstest(total / np.array(draws), st.chi2(57).cdf).pvalue > 1e-3


@pytest.mark.parametrize("method, model", [(Poisson(), "Poisson"), (NegBin(), "NegativeBinomial")])
def test_counts_with_an_exposure_equal_statsmodels(method, model):
    rng = np.random.default_rng(4)
    X = np.column_stack([np.ones(800), rng.normal(size=(800, 2))])
    exposure = rng.uniform(0.5, 30, 800)
    y = rng.poisson(exposure * np.exp(X @ [-1.0, 0.4, -0.3]) * rng.gamma(2, 0.5, 800)).astype(float)
    start = {} if model == "Poisson" else {"start_params": [-1, 0.4, -0.3, 0.5], "method": "newton"}
    truth = getattr(sm, model)(y, X, exposure=exposure).fit(disp=0, tol=1e-13, **start)
    found = fit(method, y, X, offset=np.log(exposure))
    estimate = found.warm[0] if model == "Poisson" else found.warm.joint
    np.testing.assert_allclose(estimate[:3], truth.params[:3], rtol=1e-6, atol=1e-6)
    if model != "Poisson":
        np.testing.assert_allclose(np.exp(estimate[3]), truth.params[3], rtol=1e-5)


def test_probit_equals_statsmodels_and_keeps_its_draws():
    X, _ = frame(FAMILIES["binomial"])
    y = (X @ [0.2, 1.0, -0.6] + np.random.default_rng(5).normal(size=len(X)) > 0).astype(float)
    truth = sm.Probit(y, X).fit(disp=0, tol=1e-13)
    first, m = fit(Probit(), y, X), 1500
    np.testing.assert_allclose(first.warm[0], truth.params, rtol=1e-6, atol=1e-6)
    draws = np.array([fit(Probit(), y, X, seed=k, warm=first.warm).coef for k in range(m)])
    cov = truth.cov_params()
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / m)
    # observed and expected information differ a little; five standard errors otherwise
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)


def test_ordered_probit_equals_statsmodels_and_keeps_its_draws():
    X, _ = frame(FAMILIES["binomial"])
    latent = X @ [0.0, 1.0, -0.6] + np.random.default_rng(5).normal(size=len(X))
    y = np.digitize(latent, [-0.8, 0.1, 1.0]).astype(float)
    model = OrderedModel(y, X[:, 1:], distr="probit")
    quiet = {"disp": 0, "warn_convergence": False}
    truth = model.fit(method="newton", tol=1e-12, start_params=model.fit(method="bfgs", **quiet).params, **quiet)
    first, m = fit(Ordinal("probit"), y, X, n_levels=4), 1500
    theta = first.warm[0]
    estimate = np.concatenate([theta[:3], np.log(np.diff(theta[2:]))])
    np.testing.assert_allclose(estimate, truth.params, rtol=1e-6, atol=1e-6)
    assert first.events == ()
    draws = [fit(Ordinal("probit"), y, X, seed=k, warm=first.warm, n_levels=4) for k in range(m)]
    draws = np.array([np.concatenate([d.coef[1:], d.cuts[:1], np.log(np.diff(d.cuts))]) for d in draws])
    cov = np.asarray(truth.cov_params())
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / m)
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)
    share = np.exp(first.log_probabilities(X[:5]))
    edges = np.r_[-np.inf, first.cuts, np.inf]
    hand = np.diff(st.norm.cdf(edges - (X[:5] @ first.coef)[:, None]), axis=1)
    np.testing.assert_allclose(share, hand, rtol=1e-10)
    judged = first.log_accept(y[:5], X[:5] @ first.coef)
    np.testing.assert_allclose(judged, np.log(hand[np.arange(5), y[:5].astype(int)]), rtol=1e-10)


# Acceptance


def density(name, y, mean, phi, w, kind):
    """Log density of y, from scipy."""
    scale = phi / w
    if name == "Gaussian":
        return st.norm.logpdf(y, mean, np.sqrt(scale))
    if name == "Binomial":
        return st.binom.logpmf(np.rint(y * w), w, mean)
    if name == "Poisson":
        return st.poisson.logpmf(y, mean)
    if name == "NegativeBinomial":
        return st.nbinom.logpmf(y, 1 / kind.alpha, 1 / (1 + kind.alpha * mean))
    if name == "Gamma":
        return st.gamma.logpdf(y, 1 / scale, scale=mean * scale)
    if name == "InverseGaussian":
        return st.invgauss.logpdf(y, mean * scale, scale=1 / scale)
    rate, size = mean**0.5 / (0.5 * scale), scale * 0.5 * mean**0.5  # compound Poisson-gamma, power 1.5
    if y == 0:
        return -rate
    jumps = np.arange(1, 400)
    terms = jumps * np.log(rate) - rate - gammaln(jumps + 1) + st.gamma.logpdf(y, jumps, scale=size)
    return np.logaddexp.reduce(terms)


GRID = {
    "Gaussian": ([-1.0, 0.0, 2.3], [0.2, 1.0, 4.0]),
    "Binomial": ([0.0, 0.25, 0.5, 1.0], [0.02, 0.3, 0.8, 0.97]),
    "Poisson": ([0.0, 1.0, 7.0], [0.05, 1.0, 9.0]),
    "NegativeBinomial": ([0.0, 1.0, 7.0], [0.05, 1.0, 9.0]),
    "Gamma": ([0.01, 1.0, 6.0], [0.3, 1.0, 5.0]),
    "InverseGaussian": ([0.05, 1.0, 6.0], [0.3, 1.0, 5.0]),
    "Tweedie": ([0.0, 0.4, 6.0], [0.3, 1.0, 5.0]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_acceptance_is_the_likelihood_over_its_largest_value(name):
    kind = FAMILIES[name]
    law = type(kind).__name__
    weights = {"Binomial": [4], "Poisson": [1], "NegativeBinomial": [1]}.get(law, [1, 3])
    phi = 1.0 if law in ("Binomial", "Poisson", "NegativeBinomial") else 0.6
    fitted = GlmFitted(kind, np.zeros(1), phi, None)
    for w in weights:
        for y in GRID[law][0]:
            for mean in (m for m in GRID[law][1] if m < 1 or not isinstance(kind.link, links.CLogLog)):
                linear = kind.link(np.array([mean]))
                found = fitted.log_accept(np.array([y]), linear)[0] * w
                own = density(law, y, mean, phi, w, kind) - density(law, y, y if y else 1e-300, phi, w, kind)
                assert found <= 0
                assert found == pytest.approx(own, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(
    "name, linear",
    [
        ("gamma identity", [-1.0, -1e-9, 0.0, np.inf, np.nan]),
        ("gamma inverse", [-0.5, 0.0, np.inf]),
        ("poisson identity", [-0.3, np.inf]),
        ("binomial identity", [-0.2, 1.2, np.nan]),
        ("binomial log", [0.1, 3.0]),
        ("inverse gaussian", [-2.0, 0.0]),
    ],
)
def test_means_outside_the_domain_are_never_accepted(name, linear):
    kind = FAMILIES[name]
    y = np.full(len(linear), 1.0)
    with np.errstate(all="ignore"):
        assert np.all(GlmFitted(kind, np.zeros(1), 1.0, None).log_accept(y, np.array(linear)) == -np.inf)


def test_a_mean_rounded_to_its_edge_explains_the_outcome_there():
    fitted = GlmFitted(FAMILIES["binomial cloglog"], np.zeros(1), 1.0, None)
    assert fitted.log_accept(np.array([1.0, 0.0]), np.array([5.0, 5.0])).tolist() == [0.0, -np.inf]
    fitted = GlmFitted(FAMILIES["poisson identity"], np.zeros(1), 1.0, None)
    assert fitted.log_accept(np.array([0.0, 2.0]), np.array([0.0, 0.0])).tolist() == [0.0, -np.inf]


def test_a_cloglog_fit_survives_probabilities_that_round_to_one():
    X = np.column_stack([np.ones(400), np.random.default_rng(0).normal(size=400)])
    y = (np.random.default_rng(1).random(400) < -np.expm1(-np.exp(X @ [0.5, 1.5]))).astype(float)
    found = fit(Glm(FAMILIES["binomial cloglog"]), y, X)
    truth = sm.GLM(y, X, family=FAMILIES["binomial cloglog"]).fit(tol=1e-13)
    np.testing.assert_allclose(found.warm[0], truth.params, rtol=1e-5)
    assert found.events == ()


def test_probit_acceptance_is_the_probability_of_what_was_seen():
    linear = np.array([-9.0, -1.0, 0.0, 2.0, 40.0])
    fitted = ProbitFitted(np.zeros(1), None)
    for y in (0.0, 1.0):
        found = fitted.log_accept(np.full(5, y), linear)
        np.testing.assert_allclose(found, st.norm.logcdf((2 * y - 1) * linear), rtol=1e-9)


# Weights


def test_a_binomial_of_n_trials_equals_n_bernoulli_rows():
    kind = FAMILIES["binomial probit"]
    X, _ = frame(kind, n=80)
    rng = np.random.default_rng(6)
    trials = rng.integers(1, 6, 80)
    hits = rng.binomial(trials, expit(X @ [0.2, 1.0, -0.5]))
    rows = np.repeat(np.arange(80), trials)
    ones = np.concatenate([np.r_[np.ones(s), np.zeros(n - s)] for s, n in zip(hits, trials, strict=True)])
    together, apart = (
        fit(Glm(kind), hits / trials, X, weights=trials.astype(float)),
        fit(Glm(kind), ones, X[rows]),
    )
    np.testing.assert_allclose(together.warm[0], apart.warm[0], atol=1e-8)
    np.testing.assert_allclose(together.coef, apart.coef, atol=1e-8)
    linear = np.array([-0.5, 0.9])
    judged = 3 * together.log_accept(np.full(2, 1 / 3), linear)
    rowwise = sum(together.log_accept(np.full(2, y), linear) for y in (1.0, 0.0, 0.0))
    assert judged[1] - judged[0] == pytest.approx(rowwise[1] - rowwise[0], rel=1e-10)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_samples_have_the_moments_of_their_family(name, weight):
    kind = FAMILIES[name]
    law, n = type(kind).__name__, 100_000
    phi = 1.0 if law in ("Binomial", "Poisson", "NegativeBinomial") else 0.4
    mean = 0.6
    X = np.ones((n, 1))
    fitted = GlmFitted(kind, kind.link(np.array([mean])), phi, None)
    weights = None if weight == 1.0 else np.full(n, weight)
    drawn = fitted.sample(X, np.random.default_rng(3), 0.0, weights)
    variance = phi / (1.0 if law == "NegativeBinomial" else weight) * float(kind.variance(np.array([mean]))[0])
    noise = np.sqrt(np.var((drawn - mean) ** 2) / n)
    # five standard errors, 76 figures: false alarm about 5e-5
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / n)
    assert abs(np.mean((drawn - mean) ** 2) - variance) < 5 * noise


# Estimates that do not exist


def test_coefficients_are_drawn_inside_the_domain():
    kind = FAMILIES["poisson identity"]
    rng = np.random.default_rng(7)
    X = np.column_stack([np.ones(60), rng.uniform(0, 1, 60)])
    y = rng.poisson(0.02 + 2 * X[:, 1]).astype(float)
    for seed in range(100):
        found = fit(Glm(kind), y, X, seed=seed)
        assert np.all(X @ found.coef > 0)


@pytest.mark.parametrize("what", ["binomial cloglog", "poisson", "probit", "cox"])
def test_separation_is_rescued_and_said(what):
    rng = np.random.default_rng(8)
    rare = (np.arange(200) % 20 == 0).astype(float)
    X = np.column_stack([np.ones(200), rng.normal(size=200), rare])
    y = np.where(rare > 0, 0.0, (rng.random(200) < 0.5).astype(float))
    method = {"probit": Probit()}.get(what) or Glm(FAMILIES.get(what, FAMILIES["poisson"]))
    if what == "cox":
        X, method = X[:, 1:], Cox().bound(Times.of(rng.exponential(size=200), y))
        y = np.arange(200.0)
    first = fit(method, y, X)
    again = fit(method, y, X, warm=first.warm)
    for found in (first, again):
        assert any("separation" in event for event in found.events)
        assert np.all(np.abs(found.coef) < 40)


def test_a_square_root_link_converges_on_data_it_does_not_fit():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(1000, 3))
    X = np.column_stack([np.ones(1000), x, x[:, 0] * x[:, 1]])
    y = rng.poisson(np.exp(X @ [0.2, 0.8, -0.6, 0.5, 0.5])).astype(float)
    kind = FAMILIES["poisson sqrt"]
    found = fit(Glm(kind), y, X)
    assert found.events == ()
    mean = (X @ found.warm[0]) ** 2
    score = X.T @ ((y / mean - 1) * 2 * (X @ found.warm[0]))
    assert np.all(np.abs(score) < 1e-3)

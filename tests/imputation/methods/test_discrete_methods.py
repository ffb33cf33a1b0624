"""The iterative univariate methods: estimates, draws, densities and rescues against independent figures."""

from dataclasses import fields

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import statsmodels.api as sm
from scipy.special import expit
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mifit.errors import PlanError
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Discrete, ScoresOutcome
from mifit.imputation.methods import negbin
from mifit.imputation.methods.check_method import check_method
from mifit.imputation.methods.logistic import Logistic, LogisticFitted
from mifit.imputation.methods.multinomial import Multinomial, MultinomialFitted, draw_levels
from mifit.imputation.methods.negbin import NegBin, NegBinFitted
from mifit.imputation.methods.ordinal import Ordinal, OrdinalFitted
from mifit.imputation.methods.poisson import Poisson, PoissonFitted
from mifit.imputation.numerics import fit as numerics_fit
from support.discrete import OWN, SLOPES, estimates, fit, frame, visit

METHODS = [Logistic(), Logistic(firth=True), Multinomial(), Ordinal(), Poisson(), NegBin()]


def parameters(fitted, X=None):
    """The drawn parameters in the order of the estimates in ``warm``, cut points as log distances."""
    if isinstance(fitted, OrdinalFitted):
        return np.concatenate([fitted.coef[1:], fitted.cuts[:1], np.log(np.diff(fitted.cuts))])
    if isinstance(fitted, NegBinFitted):
        return np.append(fitted.coef, np.log(fitted.alpha))
    return fitted.coef.T.ravel()


def truth(method, y, X):
    """Estimates and covariance from statsmodels, in the order of `parameters`."""
    if isinstance(method, Multinomial):
        res = sm.MNLogit(y, X).fit(disp=0, tol=1e-12)
        return np.asarray(res.params).T.ravel(), np.asarray(res.cov_params())
    if isinstance(method, Ordinal):
        model = OrderedModel(y, X[:, 1:], distr="logit")
        quiet = {"disp": 0, "warn_convergence": False}  # it stops at the precision of its numerical derivatives
        res = model.fit(method="newton", tol=1e-12, start_params=model.fit(method="bfgs", **quiet).params, **quiet)
        return np.asarray(res.params), np.asarray(res.cov_params())
    if isinstance(method, NegBin):
        res = sm.NegativeBinomial(y, X).fit(method="newton", start_params=np.r_[SLOPES, 0.6], tol=1e-12, disp=0)
        scale = np.r_[np.ones(4), 1 / res.params[-1]]
        return np.r_[res.params[:-1], np.log(res.params[-1])], res.cov_params() * np.outer(scale, scale)
    res = {Logistic: sm.Logit, Poisson: sm.Poisson}[type(method)](y, X).fit(disp=0, tol=1e-12)
    return res.params, res.cov_params()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_every_method_keeps_its_contract(method):
    check_method(method)


@pytest.mark.parametrize("method", [m for m in METHODS if m != Logistic(True)], ids=repr)
def test_estimates_agree_with_statsmodels_and_draws_have_its_covariance(method):
    y, X = frame(OWN[type(method)])
    wanted, cov = truth(method, y, X)
    fitted = fit(method, y, X)
    np.testing.assert_allclose(estimates(method, fitted), wanted, rtol=1e-6, atol=1e-6)
    m = 1500
    draws = np.array([parameters(fit(method, y, X, seed=k, warm=fitted.warm)) for k in range(m)])
    # five standard errors for at most 90 figures: false alarm about 5e-5
    assert np.all(np.abs(draws.mean(axis=0) - wanted) < 5 * np.sqrt(np.diag(cov) / m))
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / m)
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)


@pytest.mark.parametrize("apart", [False, True])
def test_firth_maximises_the_likelihood_times_jeffreys_prior(apart):
    y, X = frame(Kind.BINARY, n=30, seed=4)
    if apart:
        y = (X[:, 1] > 0).astype(float)

    def penalised(beta):
        linear = X @ beta
        p = expit(linear)
        information = (X * (p * (1 - p))[:, None]).T @ X
        return -(y @ linear - np.sum(np.logaddexp(0, linear)) + np.linalg.slogdet(information)[1] / 2)

    options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000}
    brute = scipy.optimize.minimize(penalised, np.zeros(4), method="Nelder-Mead", options=options)
    fitted = fit(Logistic(firth=True), y, X)
    np.testing.assert_allclose(fitted.warm[0], brute.x, atol=1e-5)
    assert fitted.events == ()
    p = expit(X @ brute.x)
    cov = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    draws = np.array([fit(Logistic(firth=True), y, X, seed=k, warm=fitted.warm).coef for k in range(1000)])
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / 1000)
    # five standard errors, sixteen figures: false alarm about 1e-5
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_warm_start_ends_where_a_cold_one_does(method):
    y, X = frame(OWN[type(method)])
    before = fit(method, y, X).warm
    moved = X.copy()
    moved[:100, 1] = np.random.default_rng(5).standard_normal(100)
    cold, warm = fit(method, y, moved), fit(method, y, moved, warm=before)
    # A step of a tenth of a standard error (about 0.1 here) leaves a hundredth of one.
    np.testing.assert_allclose(estimates(method, warm), estimates(method, cold), atol=0.002)


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("apart", [False, True])
def test_powers_of_two_in_the_predictors_change_no_bit(method, apart):
    kind = OWN[type(method)]
    y, X = frame(kind)
    if apart:
        y = np.where(X[:, 1] > 1.2, 0.0, y)
        X = np.column_stack([X, X[:, 1] > 1.2])
    unit = np.exp2([0, 30, -30, 7, 3])[: X.shape[1]]
    one, two = fit(method, y, X), fit(method, y, X * unit)
    assert one.events == two.events
    assert bool(one.events) == (apart and method != Logistic(True))
    values = [f.sample(x, np.random.default_rng(2)) for f, x in ((one, X), (two, X * unit))]
    assert np.array_equal(*values)
    assert np.array_equal(one.coef.T, (two.coef.T * unit))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_units_of_1e9_change_the_estimates_by_their_inverse(method):
    y, X = frame(OWN[type(method)])
    unit = np.array([1, 1e9, 1e-9, 1e3])
    one, two = fit(method, y, X), fit(method, y, X * unit)
    np.testing.assert_allclose(one.coef.T, two.coef.T * unit, rtol=1e-8)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_dependent_term_is_dropped_and_named(method):
    y, X = frame(OWN[type(method)])
    wide = np.column_stack([X, X[:, 1] - X[:, 2], np.full(len(y), 7.0)])
    one, two = fit(method, y, X), fit(method, y, wide)
    assert two.dropped == (4, 5)
    assert two.events == ("dropped 2 dependent terms",)
    np.testing.assert_allclose(two.coef[:4], one.coef, rtol=1e-9)
    assert np.all(two.coef[4:] == 0)


def test_swapping_the_two_levels_turns_the_log_odds_around():
    y, X = frame(Kind.BINARY)
    for method in (Logistic(), Logistic(firth=True)):
        np.testing.assert_allclose(fit(method, 1 - y, X).warm[0], -fit(method, y, X).warm[0], rtol=1e-8)


def test_renaming_levels_permutes_multinomial_probabilities():
    y, X = frame(Kind.NOMINAL)
    rename = np.array([2, 0, 3, 1])
    one, two = fit(Multinomial(), y, X).warm[0].reshape(3, 4), fit(Multinomial(), rename[y.astype(int)], X).warm[0]
    full = np.vstack([np.zeros(4), one])[np.argsort(rename)]
    np.testing.assert_allclose((full - full[0])[1:].ravel(), two, atol=1e-8)


def test_reversing_the_order_mirrors_proportional_odds():
    y, X = frame(Kind.ORDINAL)
    one, two = fit(Ordinal(), y, X).warm[0], fit(Ordinal(), 3 - y, X).warm[0]
    np.testing.assert_allclose(two, np.r_[-one[:3], -one[:2:-1]], atol=1e-8)


def test_two_levels_are_the_same_model_under_three_names():
    y, X = frame(Kind.BINARY)
    plain = fit(Logistic(), y, X).warm[0]
    nominal = Multinomial().fit(visit(y, X, Kind.BINARY), np.random.default_rng(1)).warm[0]
    ordinal = Ordinal().fit(visit(y, X, Kind.BINARY), np.random.default_rng(1)).warm[0]
    np.testing.assert_allclose(nominal, plain, rtol=1e-8)
    np.testing.assert_allclose(ordinal, np.r_[plain[1:], -plain[0]], rtol=1e-8)


def separated():
    """A rare group whose rows all have level 0, and a healthy predictor."""
    y, X = frame(Kind.BINARY, n=200)
    rare = np.arange(200) < 6
    y[rare] = 0
    return y, np.column_stack([X[:, :2], rare])


def test_separation_is_augmented_as_white_daniel_and_royston_say():
    y, X = separated()
    fitted = fit(Logistic(), y, X)
    assert fitted.events == ("separation: augmented with 8 rows (White, Daniel & Royston 2010)",)
    rows, centre, reach = [], X.mean(axis=0), X.std(axis=0) / 2
    for j in (1, 2):
        for end in (-1, 1):
            row = centre.copy()
            row[j] = np.clip(centre[j] + end * reach[j], X[:, j].min(), X[:, j].max())
            rows += [(row, 0.0), (row, 1.0)]
    weights = np.r_[np.ones(200), np.full(8, 3 / (2 * 2 * 2))]
    both = np.vstack([X, *[r for r, _ in rows]]), np.r_[y, [level for _, level in rows]]
    wanted = sm.GLM(both[1], both[0], sm.families.Binomial(), freq_weights=weights).fit(tol=1e-14)
    np.testing.assert_allclose(fitted.warm[0], wanted.params, rtol=1e-6)


@pytest.mark.parametrize("method", [Logistic(), Multinomial(), Ordinal(), Poisson(), NegBin()], ids=repr)
def test_separation_found_in_a_warm_fit_is_rescued_and_stays_so(method):
    y, X = frame(OWN[type(method)], n=300)
    rare = np.column_stack([X, np.arange(300) < 8])
    y[:8] = np.tile([0, 1, 2, 3], 2) % (2 if isinstance(method, Logistic) else 4)
    healthy = fit(method, y, rare)
    assert healthy.events == ()
    apart = np.where(rare[:, 4] > 0, 0.0, y)
    warm = healthy.warm
    for _ in range(4):
        sick = fit(method, apart, rare, warm=warm)
        warm = sick.warm
        assert np.max(np.abs(estimates(method, sick))) < 20
    assert sick.events[0].startswith("separation")
    assert fit(method, y, rare, warm=warm).events == sick.events


def test_one_event_in_a_large_group_is_not_separation():
    y, X = frame(Kind.BINARY, n=5000)
    group = np.arange(5000) < 2500
    y[group] = 0
    y[0] = 1
    X = np.column_stack([X, group])
    assert fit(Logistic(), y, X).events == ()
    np.testing.assert_allclose(fit(Logistic(), y, X).warm[0], truth(Logistic(), y, X)[0], rtol=1e-6)


def test_a_group_of_zeros_gets_a_normal_prior_on_its_standardised_slope():
    y, X = frame(Kind.COUNT, n=200, overdispersed=False)
    y[:10] = 0
    X = np.column_stack([X[:, :2], np.arange(200) < 10])
    precision = np.r_[0, (X[:, 1:].std(axis=0) / 2.5) ** 2]

    def negative(beta):
        return np.sum(np.exp(X @ beta)) - y @ X @ beta + precision @ beta**2 / 2

    def slope(beta):
        return X.T @ (np.exp(X @ beta) - y) + precision * beta

    brute = scipy.optimize.minimize(negative, np.zeros(3), jac=slope, method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(fit(Poisson(), y, X).warm[0], brute.x, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_values_have_the_enumerated_probabilities(method):
    y, X = frame(OWN[type(method)])
    fitted = fit(method, y, X)
    assert isinstance(fitted, Discrete)
    assert isinstance(fitted, ScoresOutcome)
    row = X[:1]
    probability = np.exp(fitted.log_probabilities(row))[0]
    values = fitted.sample(np.repeat(row, 20_000, axis=0), np.random.default_rng(8))
    often = probability > 0.01
    seen = np.bincount(values.astype(int), minlength=len(probability))
    np.testing.assert_allclose(probability.sum(), 1, atol=1e-7)
    # five standard errors for at most 20 counts: false alarm below 1e-4
    noise = np.sqrt(20_000 * probability * (1 - probability))
    assert np.all(np.abs(seen - 20_000 * probability)[often] < 5 * noise[often])


def test_enumerated_counts_are_the_textbook_probabilities_beyond_the_observed_maximum():
    X = np.array([[1.0, -1.0], [1.0, 0.0], [1.0, 2.5]])
    coef = np.array([0.5, 0.7])
    mean = np.exp(X @ coef)[:, None]
    poisson, counts = PoissonFitted(coef, 4096, None), None
    for fitted, law in [
        (poisson, lambda k: scipy.stats.poisson(mean)),
        (NegBinFitted(coef, 0.0, 4096, None), lambda k: scipy.stats.poisson(mean)),
        (NegBinFitted(coef, 0.8, 4096, None), lambda k: scipy.stats.nbinom(1.25, 1 / (1 + 0.8 * mean))),
        (NegBinFitted(coef, 1e-6, 4096, None), lambda k: scipy.stats.nbinom(1e6, 1 / (1 + 1e-6 * mean))),
    ]:
        weights = fitted.log_probabilities(X)
        counts = np.arange(weights.shape[1])
        law = law(counts)
        np.testing.assert_allclose(weights, law.logpmf(counts), rtol=1e-7, atol=1e-7)
        assert np.all(law.sf(counts[-1]) <= 1e-8)


def test_an_extrapolated_mean_is_held_below_a_quarter_of_the_support():
    fitted = NegBinFitted(np.array([0.0, 1.0]), 0.5, 4096, None)
    far = np.array([[1.0, 500.0]])
    assert fitted.mean(far) == pytest.approx(1024)
    assert fitted.log_probabilities(far).shape == (1, 4097)
    assert np.isfinite(fitted.sample(far, np.random.default_rng(1))).all()


def test_log_accept_is_the_log_density_minus_its_largest_value():
    linear = np.linspace(-12, 5, 35)
    for y in (0.0, 1.0, 2.0, 7.0, 40.0):
        mean = np.exp(linear)
        values = np.full(35, y)
        top = scipy.stats.poisson.logpmf(y, y)
        wanted = scipy.stats.poisson.logpmf(y, mean) - top
        got = PoissonFitted(np.zeros(1), 4096, None).log_accept(values, linear)
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-11)
        assert np.all(got <= 0)
        for alpha in (0.05, 1.0, 6.0):
            law = [scipy.stats.nbinom(1 / alpha, 1 / (1 + alpha * m)) for m in (mean, y)]
            got = NegBinFitted(np.zeros(1), alpha, 4096, None).log_accept(values, linear)
            np.testing.assert_allclose(got, law[0].logpmf(y) - law[1].logpmf(y), rtol=1e-8, atol=1e-10)
            assert np.all(got <= 0)
    at_top = np.log(np.arange(1.0, 50))
    for fitted in (PoissonFitted(np.zeros(1), 4096, None), NegBinFitted(np.zeros(1), 0.7, 4096, None)):
        np.testing.assert_allclose(fitted.log_accept(np.arange(1.0, 50), at_top), 0, atol=1e-12)
        assert fitted.log_accept(np.array([-1.0]), np.zeros(1)) == -np.inf
        assert -np.inf < fitted.log_accept(np.zeros(1), np.array([1000.0])) < -800


def test_log_accept_of_levels_is_the_log_probability_of_the_observed_one():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(50), 30 * rng.standard_normal(50)])
    y, two = rng.integers(0, 4, 50), rng.integers(0, 2, 50)
    cases = [
        (LogisticFitted(np.array([0.3, 2.0]), None), two),
        (MultinomialFitted(rng.standard_normal((2, 3)), None), y),
        (OrdinalFitted(np.array([0.0, 1.5]), np.array([-2.0, 0.1, 0.3]), None), y),
    ]
    for fitted, level in cases:
        got = fitted.log_accept(level.astype(float), X @ fitted.coef)
        np.testing.assert_allclose(got, fitted.log_probabilities(X)[np.arange(50), level], rtol=1e-12)
        assert np.all((got <= 0) & np.isfinite(got))


def test_proportional_odds_probabilities_are_differences_of_logistic_functions():
    fitted = OrdinalFitted(np.array([0.0, 1.5]), np.array([-2.0, 0.1, 0.3]), None)
    X = np.column_stack([np.ones(9), np.linspace(-4, 4, 9)])
    below = expit(fitted.cuts - (X @ fitted.coef)[:, None])
    wanted = np.diff(np.column_stack([np.zeros(9), below, np.ones(9)]), axis=1)
    np.testing.assert_allclose(np.exp(fitted.log_probabilities(X)), wanted, rtol=1e-10)
    assert fitted.coef[0] == 0


@pytest.mark.parametrize("method", [m for m in METHODS if not isinstance(m, Ordinal)], ids=repr)
def test_a_shift_moves_the_intercept(method):
    y, X = frame(OWN[type(method)])
    fitted = fit(method, y, X)
    coef = fitted.coef.copy()
    coef[0] += 0.7
    moved = {name: getattr(fitted, name) for name in (one.name for one in fields(fitted))} | {"coef": coef}
    other = type(fitted)(**moved)
    one = fitted.sample(X, np.random.default_rng(1), 0.7)
    assert np.array_equal(one, other.sample(X, np.random.default_rng(1)))
    assert not np.array_equal(one, fitted.sample(X, np.random.default_rng(1)))


def test_a_positive_shift_raises_ordered_levels():
    y, X = frame(Kind.ORDINAL)
    fitted = fit(Ordinal(), y, X)
    low, high = (fitted.sample(X, np.random.default_rng(1), shift) for shift in (0.0, 1.0))
    assert np.all(high >= low)
    assert high.mean() > low.mean() + 0.2


@pytest.mark.parametrize("method", [Multinomial(), Ordinal()], ids=repr)
@pytest.mark.parametrize("unused", [0, 2, 3])
def test_an_unused_level_is_merged_and_never_drawn(method, unused):
    y, X = frame(OWN[type(method)])
    rest = y != unused
    gap, packed = fit(method, y[rest], X[rest]), y[rest] - (y[rest] > unused)
    assert gap.events == ("1 level without a row to fit on: never drawn",)
    full = fit(method, packed, X[rest], levels=3)
    np.testing.assert_allclose(gap.warm[0], full.warm[0])
    probability = np.exp(gap.log_probabilities(X))
    assert np.all(probability[:, unused] < 1e-50)
    np.testing.assert_allclose(np.delete(probability, unused, axis=1), np.exp(full.log_probabilities(X)), rtol=1e-9)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_no_row_at_all_is_survived(method):
    fitted = fit(method, np.zeros(0), np.zeros((0, 2)))
    values = fitted.sample(np.ones((3, 2)), np.random.default_rng(1))
    assert np.all(np.isfinite(values))


def test_without_overdispersion_a_negative_binomial_is_a_poisson():
    y, X = frame(Kind.COUNT, overdispersed=False)
    fitted = fit(NegBin(), y, X)
    assert fitted.alpha == 0
    assert np.array_equal(fitted.coef, fit(Poisson(), y, X).coef)
    steady = fit(NegBin(), np.full(60, 3.0), X[:60])
    assert steady.alpha == 0


def test_large_counts_are_summed_by_the_gamma_function(monkeypatch):
    y, X = frame(Kind.COUNT)
    tabled = fit(NegBin(), y, X).warm.joint
    monkeypatch.setattr(negbin, "TABLE", 0)
    np.testing.assert_allclose(fit(NegBin(), y, X).warm.joint, tabled, rtol=1e-8)


def test_levels_are_drawn_by_their_weights_even_where_all_underflow():
    weights = np.tile(np.log([0.2, 0.5, 0.3]) - 5000, (30_000, 1))
    values = draw_levels(weights, np.random.default_rng(1))
    share = np.bincount(values.astype(int)) / len(values)
    np.testing.assert_allclose(share, [0.2, 0.5, 0.3], atol=0.015)
    impossible = draw_levels(np.array([[-np.inf, 0.0, -np.inf]] * 1000), np.random.default_rng(2))
    assert np.all(impossible == 1)


class Careless(Logistic):
    """Breaks one duty."""

    def fit(self, visit, rng):
        np.random.rand()  # noqa: NPY002
        return super().fit(visit, rng)


class Improper(Logistic):
    """Draws no parameters."""

    def fit(self, visit, rng):
        return super().fit(visit, np.random.default_rng(0))


class Greedy(Logistic):
    """Changes its input."""

    def fit(self, visit, rng):
        visit.y[:1] = 1 - visit.y[:1]
        return super().fit(visit, rng)


@pytest.mark.parametrize(
    ("method", "duty"),
    [
        (Careless(), "global random state"),
        (Improper(), "other parameters"),
        (Greedy(), "contract"),
        (object(), "has kinds"),
    ],
)
def test_the_contract_test_names_the_duty_that_was_not_kept(method, duty):
    with pytest.raises(PlanError, match=duty):
        check_method(method)


@pytest.mark.parametrize("method", [Logistic(), Multinomial(), Ordinal()])
def test_many_rows_are_climbed_from_a_sketch_to_the_same_top(method, monkeypatch):
    y, X = frame(OWN[type(method)], n=20_000)
    found = fit(method, y, X)
    monkeypatch.setattr(numerics_fit, "_SKETCH", 10**9)
    truth = fit(method, y, X)
    draws = np.array([parameters(fit(method, y, X, seed=s, warm=truth.warm)) for s in range(20)])
    # What is left of the way to the top is a few hundredths of a standard error
    assert np.all(np.abs(found.warm[0] - truth.warm[0])[: X.shape[1] - 1] < 0.05 * draws.std(axis=0)[: X.shape[1] - 1])
    again = fit(method, y, X, warm=found.warm)
    assert np.all(np.abs(again.warm[0] - truth.warm[0])[: X.shape[1] - 1] < 0.02 * draws.std(axis=0)[: X.shape[1] - 1])


@pytest.mark.parametrize("method", [Logistic(), Multinomial(), Ordinal()])
def test_a_rare_group_that_is_separated_is_found_among_many_rows(method):
    y, X = frame(OWN[type(method)], n=20_000)
    for rows in (np.arange(3, 20_000, 4_000), np.arange(0, 20_000, 4_000)):  # outside and inside the sketch
        rare = np.zeros(20_000)
        rare[rows] = 1.0
        level = np.where(rare > 0, y.max(), y)
        found = fit(method, level, np.column_stack([X, rare]))
        assert found.events[0].startswith("separation: augmented")

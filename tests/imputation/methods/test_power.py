"""Power scales and predictive mean matching: round trips, maxima, truncation, and donors found by brute force."""

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import mifit
from mifit.errors import PlanError
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods import PMM, Normal, Power, Sample, check_method
from mifit.imputation.methods.pmm import ascending, match
from mifit.imputation.methods.power import PowerFitted, PowerScale, _HeteroscedasticProfile, _Profile, _scale_of
from mifit.imputation.numerics.linear import solve
from mifit.imputation.numerics.truncated import truncated_normal

BOX_COX = PowerScale(True, 0.0, 3.0)
YEO_JOHNSON = PowerScale(False, 1.5, 0.8)
POWERS = [-1.0, -0.3, -1e-9, 0.0, 1e-9, 1e-4, 0.5, 1.0, 1.7, 2.0]


def visit(y, X=None, warm=None):
    X = np.ones((len(y), 1)) if X is None else X
    return Visit(y, X, np.arange(X.shape[1]), Kind.NUMERIC, 0, warm)


def skewed(n=300, seed=0, power=0.3):
    """A positive variable that is normal given two predictors once raised to a power."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    w = 4 + X @ [0, 0.6, -0.4] + 0.7 * rng.standard_normal(n)
    return (1 + power * w) ** (1 / power), X


def profile(y, X, on):
    seen = visit(y, X)
    cross = seen.cross()
    return _Profile(X, y, on, cross, solve(cross, seen.terms), seen.terms)


@pytest.mark.parametrize(
    "method",
    [
        Power(),
        Power(on=YEO_JOHNSON),
        Power(heteroscedastic=True),
        Power(on=YEO_JOHNSON, heteroscedastic=True),
        Normal(),
        PMM(),
        PMM(donors=12),
        Sample(),
    ],
    ids=repr,
)
def test_every_method_keeps_its_contract(method):
    check_method(method)


@pytest.mark.parametrize("power", POWERS)
def test_box_cox_agrees_with_scipy_and_comes_back(power):
    values = np.geomspace(1e-3, 1e3, 200)
    w = BOX_COX.forward(values, power)
    np.testing.assert_allclose(w, special.boxcox(values / 3.0, power), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(BOX_COX.backward(w, power), values, rtol=1e-9)


@pytest.mark.parametrize("power", [p for p in POWERS if p >= 0])
def test_yeo_johnson_agrees_with_scipy_and_comes_back(power):
    values = np.concatenate([-np.geomspace(1e-3, 1e3, 100), [1.5], np.geomspace(1e-3, 1e3, 100)])
    w, unit = YEO_JOHNSON.forward(values, power), (values - 1.5) / 0.8
    expected = stats.yeojohnson(unit, power)
    if 0 < power < 1e-6:  # older versions of scipy lose digits to cancellation there
        expected = np.where(unit >= 0, np.expm1(power * np.log1p(np.abs(unit))) / power, stats.yeojohnson(unit, 0.0))
    np.testing.assert_allclose(w, expected, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(YEO_JOHNSON.backward(w, power), values, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("on", [BOX_COX, YEO_JOHNSON])
@pytest.mark.parametrize("power", [0.0, 0.4, 1.0, 2.0])
def test_the_jacobian_is_the_derivative_of_the_scale(on, power):
    values = np.array([0.2, 1.0, 1.6, 3.0, 8.0])
    step = 1e-6 * values
    slope = (on.forward(values + step, power) - on.forward(values - step, power)) / (2 * step)
    np.testing.assert_allclose(on.log_slope(values, power), np.log(slope), atol=1e-7)


def test_values_outside_a_scale_have_no_number():
    assert np.isnan(BOX_COX.forward(np.array([0.0, -1.0]), 0.5)).all()
    assert np.isnan(BOX_COX.backward(np.array([-2.0, -5.0]), 0.5)).all()
    assert np.isnan(BOX_COX.backward(np.array([1.0, 2.0]), -1.0)).all()
    assert np.isfinite(YEO_JOHNSON.backward(np.array([-1e6, 1e6]), 1.0)).all()


@pytest.mark.parametrize("power", [-1.0, -0.5, 0.5, 2.0])
def test_the_bounds_are_where_the_scale_ends(power):
    low, high = BOX_COX.bounds(power)
    edge = low if np.isfinite(low) else high
    inside, outside = edge * (1 - 1e-9), edge * (1 + 1e-9)
    assert np.isfinite(BOX_COX.backward(np.array([inside]), power)).all()
    assert np.isnan(BOX_COX.backward(np.array([outside]), power)).all()


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_without_predictors_the_profile_is_scipys_box_cox_likelihood(unit):
    y = skewed()[0] * unit
    found = profile(y, np.ones((300, 1)), _scale_of(y))
    wanted = np.array([stats.boxcox_llf(p, y / unit) for p in (-0.5, 0.0, 0.3, 1.0)])
    values = np.array([found.value(p) for p in (-0.5, 0.0, 0.3, 1.0)])
    np.testing.assert_allclose(np.diff(values), np.diff(wanted), rtol=1e-8)
    estimate, spread = found.maximum(None)
    assert abs(estimate - stats.boxcox_normmax(y / unit, method="mle")) < 0.01 * spread


@pytest.mark.parametrize("on", ["Box-Cox", "Yeo-Johnson"])
@pytest.mark.parametrize("power", [0.3, 0.7, 1.2])
def test_the_estimate_is_where_the_profile_is_highest(on, power):
    y, X = skewed(power=power)
    scale = _scale_of(y) if on == "Box-Cox" else PowerScale(False, float(np.median(y)), float(np.std(y)))
    found = profile(y, X, scale)
    brute = optimize.minimize_scalar(lambda p: -found.value(p), bounds=scale.range, method="bounded",
                                     options={"xatol": 1e-8}).x  # fmt: skip
    bend = (found.value(brute + 1e-3) - 2 * found.value(brute) + found.value(brute - 1e-3)) / 1e-6
    estimate, spread = found.maximum(None)
    assert abs(estimate - brute) < 0.01 * spread
    np.testing.assert_allclose(spread, 1 / np.sqrt(-bend), rtol=0.02)
    warm, _ = found.maximum(estimate + spread)
    assert abs(warm - brute) < 0.02 * spread


def test_the_profile_with_predictors_is_that_of_a_regression():
    y, X = skewed()
    found = profile(y, X, _scale_of(y))

    def by_hand(p):
        w = special.boxcox(y, p)
        rss = np.linalg.lstsq(X, w, rcond=None)[1][0]
        return -150 * np.log(rss) + (p - 1) * np.log(y).sum()

    powers = (-0.9, -0.2, 0.0, 0.6, 1.9)
    np.testing.assert_allclose(
        np.diff([found.value(p) for p in powers]), np.diff([by_hand(p) for p in powers]), rtol=1e-9
    )


def test_drawn_exponents_scatter_around_the_estimate_by_their_standard_error():
    y, X = skewed(n=500)
    estimate, spread = profile(y, X, _scale_of(y)).maximum(None)
    assert -1 + 5 * spread < estimate < 2 - 5 * spread
    rng = np.random.default_rng(1)
    drawn = [Power().fit(visit(y, X), rng).power for _ in range(1500)]
    # Kolmogorov-Smirnov: false alarm 1e-3
    assert stats.kstest(drawn, stats.norm(estimate, spread).cdf).pvalue > 1e-3


def heteroscedastic(n=800, seed=0, slope=0.35, power=0.4):
    """The same where the log spread rises with the mean on the power scale."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    mean = X @ [4, 0.6, -0.4]
    w = mean + 0.7 * np.exp(slope * (mean - 4)) * rng.standard_normal(n)
    return (1 + power * w) ** (1 / power), X


def profile_of(y, X):
    seen = visit(y, X)
    cross = seen.cross()
    return _HeteroscedasticProfile(X, y, _scale_of(y), cross, solve(cross, seen.terms), seen.terms)


@pytest.mark.parametrize("power", [0.1, 0.4, 0.8])
def test_the_heteroscedastic_profile_is_that_of_a_weighted_regression(power):
    y, X = heteroscedastic()
    found = profile_of(y, X)
    z, _, scale = found.scaled(power)
    fit = X @ np.linalg.lstsq(X, z, rcond=None)[0]
    lean = fit - fit.mean()

    def against(theta):  # the likelihood of the residuals, spread and slope unknown
        return -stats.norm(fit, np.exp(theta[0] + theta[1] * lean)).logpdf(z).sum()

    def derivatives(theta):  # with r² e^(-2 (a + b l)) for each row: gradient and Hessian of the above
        spread = (z - fit) ** 2 * np.exp(-2 * (theta[0] + theta[1] * lean))
        both = np.column_stack([np.ones(len(z)), lean])
        return both.T @ (1 - spread), 2 * (both * spread[:, None]).T @ both

    words = {"jac": lambda t: derivatives(t)[0], "hess": lambda t: derivatives(t)[1]}
    brute = optimize.minimize(against, np.zeros(2), method="trust-exact", **words)
    slope, hessian = brute.x, derivatives(brute.x)[1]
    np.testing.assert_allclose(derivatives(slope)[0] @ np.linalg.solve(hessian, derivatives(slope)[0]), 0, atol=1e-6)
    log_sd_slope, known = found.log_sd_slope(z)
    np.testing.assert_allclose(found.slope, slope[1], atol=0.01 / np.sqrt(known))
    np.testing.assert_allclose(1 / np.sqrt(known), np.sqrt(np.linalg.inv(hessian)[1, 1]), rtol=0.1)
    np.testing.assert_allclose(X @ log_sd_slope, found.slope * lean, atol=1e-10)
    root = np.exp(-found.slope * lean)
    rss = np.linalg.lstsq(X * root[:, None], z * root, rcond=None)[1][0]
    jumps = (power - 1) * found.log_sum - len(y) * np.log(scale)
    np.testing.assert_allclose(found.value(power), -len(y) / 2 * np.log(rss) + jumps, rtol=1e-5)


def test_the_slope_is_the_likeliest_one_also_with_a_value_far_out():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(300)
        y = np.exp(0.3 * x + 0.6 * rng.standard_t(3 if seed % 2 else 30, 300))
        X = np.column_stack([np.ones(300), x])
        if seed % 3 == 0:
            x[0], y[0] = X[0, 1], y.max() * 50
        found = profile_of(y, X)
        z, _, _ = found.scaled(float(rng.choice([-0.5, 0.0, 0.5, 1.0])))
        found.log_sd_slope(z)
        fit = X @ np.linalg.lstsq(X, z, rcond=None)[0]
        lean = fit - fit.mean()
        grid = np.linspace(-1, 1, 4001) * np.log(10) / np.abs(lean).max()
        height = [-np.log(np.mean((z - fit) ** 2 * np.exp(-2 * slope * lean))) for slope in grid]
        assert abs(found.slope - grid[np.argmax(height)]) <= grid[1] - grid[0]


def test_a_drawn_slope_of_the_log_sd_scatters_around_its_estimate_by_its_standard_error():
    y, X = heteroscedastic()
    found = profile_of(y, X)
    log_sd_slope, known = found.log_sd_slope(found.scaled(0.4)[0])
    slope, rng = found.slope, np.random.default_rng(2)
    drawn = np.array([found.drawn(0.4, rng)[1][1] for _ in range(1500)]) / (log_sd_slope[1] / slope)
    # Kolmogorov-Smirnov: false alarm 1e-3
    assert stats.kstest(drawn, stats.norm(found.slope, 1 / np.sqrt(known)).cdf).pvalue > 1e-3
    rows = np.column_stack([np.ones(3), [-2.0, 0.0, 2.0], np.zeros(3)])
    fits = [Power(heteroscedastic=True).fit(visit(y, X), np.random.default_rng(k)) for k in range(200)]
    ratio = np.array([np.log(sd[2] / sd[0]) for _, sd in (fit.mean_sd(rows) for fit in fits)])
    wanted = 0.35 * 0.6 * 4  # by how much the log spread differs between these rows
    assert abs(ratio.mean() - wanted) < 4 * ratio.std()
    assert wanted / ratio.std() > 4  # it is seen


def test_a_constant_sd_gets_no_slope_beyond_chance():
    found = []
    for seed in range(40):
        profile = profile_of(*heteroscedastic(seed=seed, slope=0.0))
        _, known = profile.log_sd_slope(profile.scaled(0.4)[0])
        found.append(profile.slope * np.sqrt(known))
    assert abs(np.mean(found)) < 4 / np.sqrt(40)
    assert 0.6 < np.std(found) < 1.5


def test_a_spread_never_leaves_a_tenth_and_ten_times_the_usual_one():
    y, X = heteroscedastic(n=60, slope=0.0)
    fit = Power(heteroscedastic=True).fit(visit(y, X), np.random.default_rng(1))
    far = np.column_stack([np.ones(2), [-1e6, 1e6], np.zeros(2)])
    _, sd = fit.mean_sd(far)
    assert np.all((sd > 0.0999 * fit.scale * fit.sigma) & (sd < 10.001 * fit.scale * fit.sigma))
    plain = Power(heteroscedastic=True).fit(visit(y), np.random.default_rng(1))  # the sd has no predictor
    assert np.all(plain.log_sd_slope == 0)


def test_heavy_tails_and_few_rows_leave_an_exponent_that_is_drawn():
    fits = []
    with np.errstate(all="raise", under="ignore"):  # a slope that runs away overflows
        for seed in range(60):
            rng = np.random.default_rng(seed)
            n = 500 if seed % 2 else 60
            x = rng.standard_normal(n)
            y = np.exp(0.7 * x + 0.7 * rng.standard_t(3, n) * np.exp(0.3 * x))
            X = np.column_stack([np.ones(n), x])
            fits.append(Power(heteroscedastic=True).fit(visit(y, X), np.random.default_rng(seed)))
        for power in (-1.0, -3.0):  # one row has all the weight
            y, X = heteroscedastic(n=60, slope=0.0)
            X[0, 1], y[0] = 1e3, 1e3
            profile = profile_of(y, X)
            profile.slope = power
            fits.append(Power(heteroscedastic=True).fit(visit(y, X), np.random.default_rng(1)))
            assert np.isfinite(profile.drawn(0.5, np.random.default_rng(1))[1]).all()
    assert all(np.isfinite([*fit.coef, fit.sigma, fit.power]).all() for fit in fits)
    assert all(fit.power != fit.warm for fit in fits)


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
def test_the_curvature_of_the_heteroscedastic_profile_does_not_hang_on_where_its_search_began(spread):
    for seed in range(10):
        rng = np.random.default_rng([100, seed])
        x = rng.standard_normal(100)
        y = np.exp(spread * 0.7 * (x + rng.standard_normal(100) * np.exp(0.3 * x)))
        X = np.column_stack([np.ones(100), x])
        estimate, width = profile_of(y, X).maximum(None)
        found = profile_of(y, X)
        found.slope = 0.5
        heights = [found.value(estimate + d) for d in (-0.02, 0.0, 0.02)]
        bend = (heights[0] - 2 * heights[1] + heights[2]) / 0.02**2
        np.testing.assert_allclose(width, 1 / np.sqrt(-bend), rtol=0.05)


def test_a_gamma_covariate_leaves_its_companion_alone():
    # Of 12 frames of 4,000 rows: 2.6 % too much with an even spread.
    gaps = []
    for seed in range(12):
        rng = np.random.default_rng([7, seed])
        z = rng.normal(size=4_000)
        x = rng.gamma(2.0, np.exp(0.3 * z) / 2.0)
        data = pd.DataFrame({"y": 1 + x + 0.5 * z + rng.normal(size=4_000), "x": x, "z": z})
        held = data.assign(x=data["x"].mask(rng.random(4_000) < special.expit(-0.5 + 0.7 * stats.zscore(data["y"]))))
        full = np.linalg.lstsq(np.column_stack([np.ones(4_000), x, z]), data["y"], rcond=None)[0]
        imp = mifit.impute(held, "y ~ x + z", m=5, rng=seed, progress=False)
        assert imp.plan["x"].method.heteroscedastic
        gaps.append(imp.fit().params["z"] - full[2])
    assert abs(np.mean(gaps)) < 0.01 + 3 * np.std(gaps, ddof=1) / np.sqrt(12)


def test_an_exponent_beyond_its_interval_is_drawn_inside():
    y = np.exp(np.exp(np.random.default_rng(2).standard_normal(400) / 3))
    y = 1 / np.log(y / y.min() * 1.0001) ** 4
    rng = np.random.default_rng(3)
    drawn = np.array([Power().fit(visit(y), rng).power for _ in range(200)])
    assert np.all((drawn >= -1) & (drawn <= 2))


def test_a_warm_start_where_the_profile_bends_upwards_starts_again():
    rng = np.random.default_rng(3)
    y = np.concatenate([rng.gamma(1.0, 1.0, 6), [1e6, 2e6]])
    found = profile(y, np.ones((8, 1)), PowerScale(True, 0.0, 1.0))
    cold = found.maximum(None)
    assert cold[1] > 0
    for warm in np.linspace(-1, 2, 13):
        _, spread = found.maximum(warm)
        assert spread > 0


def test_a_constant_or_tiny_sample_says_nothing_about_the_exponent():
    for y in (np.full(20, 3.0), np.array([1.0, 2.0])):
        fitted = Power().fit(visit(y), np.random.default_rng(1))
        assert np.isfinite(fitted.sample(np.ones((5, 1)), np.random.default_rng(1))).all()
    assert Power().fit(visit(np.full(20, 3.0)), np.random.default_rng(1)).power == 1.0


@pytest.mark.parametrize(
    ("mean", "low", "high"),
    [(0.0, -np.inf, np.inf), (0.5, -1.0, np.inf), (-4.0, -1.0, np.inf), (6.0, -np.inf, 2.0), (-30.0, -1.0, np.inf),
     (200.0, -np.inf, 1.0), (0.0, -1.0, 0.5), (9.0, 0.0, 1.0)],
)  # fmt: skip
def test_truncation_is_exact_also_far_in_the_tail(mean, low, high):
    share = np.random.default_rng(4).random(20_000)
    drawn = truncated_normal(np.full(20_000, mean), 1.5, low, high, share)
    truth = stats.truncnorm((low - mean) / 1.5, (high - mean) / 1.5, mean, 1.5)
    assert np.all((drawn >= low) & (drawn <= high))
    # Kolmogorov-Smirnov: false alarm 1e-3 each
    assert stats.kstest(drawn, truth.cdf).pvalue > 1e-3


@pytest.mark.parametrize("power", [-1.0, -0.4, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("mean", [-1e8, -50.0, -3.0, 0.5, 4.0, 1e8])
@pytest.mark.parametrize("sigma", [0.0, 0.7])
def test_draws_are_positive_and_finite_wherever_the_mean_lies(power, mean, sigma):
    fitted = PowerFitted(np.array([mean]), sigma, 0.0, 1.0, power, BOX_COX, power)
    drawn = fitted.sample(np.ones((2000, 1)), np.random.default_rng(5))
    assert np.isfinite(drawn).all()
    assert np.all(drawn > 0)
    assert np.isfinite(fitted.forward(drawn)).all()


@pytest.mark.parametrize(("on", "power"), [(BOX_COX, 0.5), (BOX_COX, -0.7), (BOX_COX, 0.0), (YEO_JOHNSON, 0.4)])
def test_draws_have_the_density_the_method_states(on, power):
    fitted = PowerFitted(np.array([-0.8]), 0.9, 0.0, 1.0, power, on, power)
    drawn = fitted.sample(np.ones((50_000, 1)), np.random.default_rng(6))
    ends = (-np.inf, np.inf) if on is YEO_JOHNSON else (0.0, np.inf)
    grid = np.concatenate([np.linspace(-40, 0, 20_001)[:-1], np.geomspace(1e-9, 1e6, 60_000)])
    grid = grid[grid > ends[0]]
    density = np.exp(fitted.log_density(grid, np.ones((len(grid), 1))))
    mass = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(grid))])
    np.testing.assert_allclose(mass[-1], 1.0, atol=2e-3)
    # Kolmogorov-Smirnov: false alarm 1e-3 each
    assert stats.kstest(drawn, lambda v: np.interp(v, grid, mass / mass[-1])).pvalue > 1e-3


@pytest.mark.parametrize("unit", [1e-9, 1e3, 1e9])
@pytest.mark.parametrize("shift", [0.0, -6.0])
def test_units_leave_no_trace(unit, shift):
    y, X = skewed()
    y = y + shift

    def draw(values):
        fitted = Power().tuned(values).fit(visit(values, X), np.random.default_rng(7))
        return fitted.power, fitted.sample(X, np.random.default_rng(8))

    (one, drawn), (other, scaled) = draw(y), draw(y * unit)
    assert Power().tuned(y).on.positive == (shift == 0.0)
    np.testing.assert_allclose(other, one, rtol=1e-10)
    np.testing.assert_allclose(scaled / unit, drawn, rtol=1e-8)


def test_a_shift_of_origin_leaves_no_trace_on_the_yeo_johnson_scale():
    y, X = skewed()

    def draw(origin):
        values = y + origin
        on = PowerScale(False, float(np.median(values)), 0.8)
        return Power(on=on).fit(visit(values, X), np.random.default_rng(7)).sample(X, np.random.default_rng(8)) - origin

    np.testing.assert_allclose(draw(1000.0), draw(0.0), atol=1e-8)


def brute(predicted, target, k):
    """Rows among the k nearest, ties at the edge included."""
    distance = np.abs(predicted - target)
    edge = np.sort(distance)[k - 1]
    return set(np.flatnonzero(distance <= edge * (1 + 1e-12)).tolist())


@pytest.mark.parametrize("donors", [1, 2, 5, 12, 40, 500])
def test_matching_takes_one_of_the_nearest_by_brute_force(donors):
    rng = np.random.default_rng(9)
    predicted = np.sort(rng.standard_normal(60))
    target = np.concatenate([rng.standard_normal(100), [-9.0, 9.0, predicted[0], predicted[-1]]])
    k = min(donors, 60)
    seen = [set() for _ in target]
    for _ in range(60 * k):
        for found, position in zip(seen, match(predicted, target, donors, rng), strict=True):
            found.add(int(position))
    # A donor that is never taken in 60 k draws: below 104 * 60 * exp(-60)
    assert seen == [brute(predicted, t, k) for t in target]


def test_each_of_the_nearest_donors_is_as_likely_as_the_others():
    rng = np.random.default_rng(10)
    predicted = np.sort(rng.standard_normal(500))
    taken = match(predicted, np.full(50_000, 0.3), 5, rng)
    counts = np.unique(taken, return_counts=True)[1]
    # chi-square: false alarm 1e-3
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > 1e-3


def test_donors_with_equal_predictions_share_the_draws_evenly():
    rng = np.random.default_rng(11)
    predicted = np.repeat([0.0, 1.0], [300, 200])
    taken = match(predicted, np.array([0.1, 0.9]).repeat(60_000), 5, rng)
    for part, start, n in ((taken[:60_000], 0, 300), (taken[60_000:], 300, 200)):
        counts = np.bincount(part - start, minlength=n)
        assert len(counts) == n
        # chi-square: false alarm 1e-3 each
        assert stats.chisquare(counts).pvalue > 1e-3


def test_a_rounding_error_does_not_break_a_run_of_equal_predictions():
    rng = np.random.default_rng(12)
    predicted = np.sort(np.repeat([0.0, 1.0], [300, 200]) + 1e-15 * rng.standard_normal(500))
    taken = match(predicted, np.full(20_000, 1.0), 5, rng)
    assert len(np.unique(taken)) == 200


def test_all_predictions_equal_is_a_draw_from_all_donors():
    taken = match(np.full(50, 2.5), np.full(20_000, 7.0), 5, np.random.default_rng(13))
    # chi-square: false alarm 1e-3
    assert stats.chisquare(np.bincount(taken, minlength=50)).pvalue > 1e-3


def test_a_single_donor_serves_everybody():
    np.testing.assert_array_equal(match(np.array([1.0]), np.array([-5.0, 1.0, 9.0]), 5, np.random.default_rng(1)), 0)
    assert match(np.array([1.0, 2.0]), np.empty(0), 5, np.random.default_rng(1)).shape == (0,)


@pytest.mark.parametrize("n", [0, 1, 900, 5_000, 60_000])
@pytest.mark.parametrize("shape", ["normal", "tied", "heavy", "constant", "spike", "tiny"])
def test_sorting_by_bits_is_sorting(shape, n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n)
    values = {
        "normal": x, "tied": np.round(x, 1), "heavy": np.sinh(30 * x), "constant": np.full(n, 2.5),
        "spike": np.where(x > 0, 1e300, x), "tiny": 1.0 + 1e-15 * x,
    }[shape]  # fmt: skip
    order = ascending(values)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(values[order], np.sort(values))
    np.testing.assert_array_equal(ascending(values / 4), order)  # a power of two changes no bit of what follows


def test_pmm_needs_a_donor():
    with pytest.raises(PlanError, match="donors is 0"):
        PMM(donors=0)


def test_pmm_gives_donors_that_belong_to_their_predictions():
    rng = np.random.default_rng(14)
    X = np.column_stack([np.ones(200), rng.standard_normal(200)])
    y = 3 * X[:, 1]
    fitted = PMM(donors=1).fit(visit(y, X), rng)
    np.testing.assert_allclose(fitted.sample(X, rng), y, atol=1e-8)


def test_sampling_without_predictors_is_a_bayesian_bootstrap():
    values = np.arange(6.0)
    share = np.empty(4000)
    for k in range(4000):
        fitted = Sample().fit(visit(values), np.random.default_rng([15, k]))
        share[k] = fitted.cumulative[0] / fitted.cumulative[-1]
    # Kolmogorov-Smirnov: the weight of one of six is Beta(1, 5); false alarm 1e-3
    assert stats.kstest(share, stats.beta(1, 5).cdf).pvalue > 1e-3
    drawn = fitted.sample(np.ones((60_000, 1)), np.random.default_rng(16))
    weights = np.diff(fitted.cumulative, prepend=0) / fitted.cumulative[-1]
    assert stats.chisquare(np.bincount(drawn.astype(int), minlength=6), 60_000 * weights).pvalue > 1e-3


@pytest.mark.parametrize("n", [60, 5000])
def test_donors_and_recipients_that_are_equal_but_for_rounding_are_drawn_alike_on_every_machine(n):
    rng = np.random.default_rng(7)
    groups = rng.integers(0, 9, n)  # equal predictors: predictions that a processor tells apart by the last bits alone
    X, y = np.column_stack([np.ones(n), groups / 7]), groups + rng.normal(size=n)
    one = PMM().fit(visit(y, X), np.random.default_rng(1))
    drawn = one.sample(X, np.random.default_rng(2))
    for seed in range(5):
        shaken = X.copy()
        shaken[:, 1] *= 1 + 4e-16 * np.random.default_rng(seed).integers(-4, 5, n)
        other = PMM().fit(visit(y, shaken), np.random.default_rng(1))
        np.testing.assert_array_equal(other.sample(shaken, np.random.default_rng(2)), drawn)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("power", [-0.7, 0.0, 0.5, 1.0, 1.6])
def test_rates_are_the_derivatives_of_the_way_back(positive, power):
    on = PowerScale(positive, 0.0 if positive else 2.5, 2.0)
    if not positive and power < 0:
        return
    values = np.array([0.3, 1.0, 2.4, 5.0, 9.0]) if positive else np.array([-4.0, 0.3, 2.4, 5.0, 9.0])
    w, h = on.forward(values, power), 1e-4
    below, above = on.backward(w - h, power), on.backward(w + h, power)
    first, second = on.rates(values, power)
    np.testing.assert_allclose(first, (above - below) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(second, (above - 2 * values + below) / (h * h), rtol=1e-3, atol=1e-5)

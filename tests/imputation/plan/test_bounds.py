"""Bounds: every draw lies within them, with the density of the truncated law; nothing piles up at an edge."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mifit import MifitError, PlanError
from mifit.frame.kinds import Kind
from mifit.imputation.contract import Visit
from mifit.imputation.methods.norm import Normal, NormalFitted
from mifit.imputation.methods.pmm import PMM
from mifit.imputation.methods.poisson import Poisson, PoissonFitted
from mifit.imputation.methods.power import Power, PowerFitted, PowerScale
from mifit.imputation.numerics.linear import solve
from mifit.imputation.numerics.truncated import truncated_normal, truncated_regression
from mifit.imputation.plan.sampler_choice import Choice, ConstraintKind, Sampler, choose, offers
from mifit.imputation.sampler.constraint import Constraint
from mifit.imputation.sampler.samplers import draw, draw_continuous

DRAWS = 40_000
MODES = pytest.mark.parametrize("formula", [None, "y ~ x + z", "y ~ x*z", "y ~ z + I(x**2)"])


def study(n=300, seed=0):
    """x, with missing values at random, lies between 0 and 2; y is complete."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = stats.truncnorm.rvs(-1 - 0.5 * z, 1 - 0.5 * z, 1 + 0.5 * z, 1, random_state=rng)
    frame = pd.DataFrame({"y": 1 + x + z + rng.normal(size=n), "x": x, "z": z, "top": 2 + rng.random(n)})
    frame["x"] = frame["x"].mask(rng.random(n) < 0.3)
    return frame


def fenced(low, high, n=DRAWS):
    """The same bounds for n missing values."""
    return Constraint(np.full(n, low), np.full(n, high), lambda values: values)


def draw_within(method, own, constraint, current, seed):
    """Values of an own factor without predictors that nothing judges, within bounds."""
    choice = choose(offers(method, None), (), ConstraintKind(bounded=True))
    return draw(choice, own, np.ones((DRAWS, 1)), (), constraint, current, np.random.default_rng(seed)).values


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.5), (2.0, np.inf), (-np.inf, -3.0), (8.0, 8.1)])
def test_normal_draws_have_the_truncated_law(low, high):
    own = NormalFitted(np.array([0.3]), 1.2, 0.5, 1.0)
    drawn = draw_within(Normal(), own, fenced(low, high), np.zeros(DRAWS), 1)
    a, b = (low - 0.8) / 1.2, (high - 0.8) / 1.2
    # Kolmogorov-Smirnov: false alarm 1e-4 each
    assert stats.kstest(drawn, stats.truncnorm(a, b, 0.8, 1.2).cdf).pvalue > 1e-4
    assert drawn.min() >= low and drawn.max() <= high and np.unique(drawn).size > 0.999 * DRAWS


def test_a_bound_of_its_own_in_every_row():
    rng = np.random.default_rng(2)
    low = rng.normal(size=DRAWS)
    constraint = Constraint(low, low + rng.random(DRAWS), lambda values: values)
    own = NormalFitted(np.array([0.0]), 1.0, 0.0, 1.0)
    drawn = draw_within(Normal(), own, constraint, low, 21)
    share = (stats.norm.cdf(drawn) - stats.norm.cdf(low)) / (stats.norm.cdf(constraint.high) - stats.norm.cdf(low))
    assert stats.kstest(share, "uniform").pvalue > 1e-4  # false alarm 1e-4


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.5])
def test_draws_on_a_power_scale_have_its_truncated_law(power):
    on = PowerScale(True, 0.0, 2.0)
    own = PowerFitted(np.array([0.2]), 0.5, 0.0, 1.0, power, on, power)
    drawn = draw_within(Power(), own, fenced(1.5, 4.0), np.full(DRAWS, 2.0), 3)
    ends = stats.norm.cdf(on.forward(np.array([1.5, 4.0]), power), 0.2, 0.5)
    share = (stats.norm.cdf(on.forward(drawn, power), 0.2, 0.5) - ends[0]) / (ends[1] - ends[0])
    assert stats.kstest(share, "uniform").pvalue > 1e-4  # false alarm 1e-4


class Square:
    """A judge that is no normal factor: the outcome 1.0 has mean v² and spread 0.5."""

    components = False

    def log_accept(self, at, values):
        return -0.5 * ((1.0 - values**2) / 0.5) ** 2

    def derivatives(self, at, values):
        return None


@pytest.mark.parametrize("sampler", [Sampler.GRID, Sampler.METROPOLIS])
def test_a_judged_draw_is_truncated_too(sampler):
    own = NormalFitted(np.array([0.2]), 1.0, 0.0, 1.0)
    values, rng = np.full(DRAWS, 0.9), np.random.default_rng(4)
    for _ in range(3 if sampler is Sampler.GRID else 12):  # two tops: those of the grid are found at once
        values = draw_continuous(
            own, np.ones((DRAWS, 1)), [Square()], Choice(sampler, True, (False,)), values, rng,
            constraint=fenced(-0.7, 1.1),
        ).values  # fmt: skip
    grid = np.linspace(-0.7, 1.1, 20_001)
    density = np.exp(-0.5 * (grid - 0.2) ** 2 - 0.5 * ((1 - grid**2) / 0.5) ** 2)
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    share = np.interp(values, grid, cumulative / cumulative[-1])
    assert stats.kstest(share, "uniform").pvalue > 1e-4  # false alarm 1e-4


def test_counts_have_the_truncated_probabilities():
    own = PoissonFitted(np.array([1.2]), 4096, None)
    drawn = draw_within(Poisson(), own, fenced(2.0, 5.0), np.zeros(DRAWS), 5)
    weights = stats.poisson.pmf(np.arange(2, 6), np.exp(1.2))
    counts = np.bincount(drawn.astype(int), minlength=6)[2:]
    assert counts.sum() == DRAWS
    assert stats.chisquare(counts, DRAWS * weights / weights.sum()).pvalue > 1e-4  # false alarm 1e-4


def test_matching_copies_the_nearest_donors_between_the_bounds():
    rng = np.random.default_rng(6)
    z = np.sort(rng.normal(size=400))
    X = np.column_stack([np.ones(400), z])
    fitted = PMM(3).fit(Visit(z + 0.1 * rng.normal(size=400), X, np.arange(2), Kind.NUMERIC), rng)
    low, high = np.repeat([-0.5, 1.0], 200), np.repeat([0.5, 1.5], 200)
    drawn = fitted.sample_within(X, rng, low, high)
    assert np.all((low <= drawn) & (drawn <= high)) and np.isin(drawn, fitted.values).all()
    inside = np.flatnonzero((fitted.values >= -0.5) & (fitted.values <= 0.5))
    nearest = inside[np.argsort(np.abs(fitted.predicted[inside] - X[0] @ fitted.coef))[:3]]
    assert drawn[0] in fitted.values[nearest]


def test_a_truncated_regression_has_the_likelihood_of_scipy_at_its_top_and_its_draws_that_curvature():
    rng = np.random.default_rng(7)
    x = rng.normal(size=1500)
    y = 0.5 + x + rng.normal(size=1500)
    kept = (y > 0) & (y < 2)
    X, y = np.column_stack([np.ones(kept.sum()), x[kept]]), y[kept]
    cross = Visit(y, X, np.arange(2), Kind.NUMERIC).cross()
    z, low, high = ((v - cross.centre) / cross.scale for v in (y, np.zeros(len(y)), np.full(len(y), 2.0)))
    solution = solve(cross, np.arange(2))
    draws = np.array(
        [(*(c := truncated_regression(X, z, low, high, solution, None, rng)).coef, c.sigma) for _ in range(2000)]
    )
    estimate = truncated_regression(X, z, low, high, solution, None, rng).warm

    def minus(theta):
        mean, sd = X @ theta[:2] / theta[2], 1 / theta[2]
        return -stats.truncnorm.logpdf(z, (low - mean) / sd, (high - mean) / sd, mean, sd).sum()

    from scipy.optimize import minimize

    found = minimize(
        minus, estimate * 1.1, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 5000}
    )
    np.testing.assert_allclose(found.x, estimate, rtol=1e-4)
    slope = draws[:, 1] * cross.scale
    # The truth is 1; the posterior of the slope covers it but for a false alarm of 1e-4.
    assert abs(np.mean(slope) - 1) < 3.9 * np.std(slope)
    least = solution.beta[1] * cross.scale
    assert least < 0.8  # least squares on what was not cut off is biased: the test can fail


def test_bounded_holes_of_a_truncated_covariate_follow_its_law_and_least_squares_would_not():
    frame = study(4000, seed=1)
    truth = study(4000, seed=1)["x"]
    imp = frame.mice.impute(m=5, rng=1, bounds={"x": (0, 2)}, methods={"x": "norm"}, predictors={"x": ["z"]})
    gone, z = frame["x"].isna(), frame["z"]
    ends = [stats.norm.cdf(end - 1 - 0.5 * z[gone]) for end in (0.0, 2.0)]
    share = (stats.norm.cdf(imp[0]["x"][gone] - 1 - 0.5 * z[gone]) - ends[0]) / (ends[1] - ends[0])
    # 1200 draws at drawn parameters against the law at the true ones: false alarm below 1e-3
    assert stats.kstest(share, "uniform").pvalue > 1e-3
    assert truth.isna().sum() == gone.sum()


def test_values_below_a_limit_of_detection_give_back_the_slope():
    rng = np.random.default_rng(8)
    z = rng.normal(size=1500)
    x = 1 + z + rng.normal(size=1500)
    lod = rng.uniform(0.3, 1.3, 1500)
    frame = pd.DataFrame({"x": np.where(x < lod, np.nan, x), "z": z, "lod": lod})
    imp = frame.mice.impute(m=10, rng=1, censored={"x": (None, "lod")}, predictors={"x": ["z"]})
    assert all((f["x"][frame["x"].isna()] <= lod[frame["x"].isna()]).all() for f in imp)
    res = imp.fit("x ~ z", uncovered="ignore")
    assert abs(res.params["z"] - 1) < 3.9 * res.bse["z"]  # false alarm 1e-4
    observed = np.polyfit(z[x >= lod], x[x >= lod], 1)[0]
    assert observed < 0.75  # complete cases are biased: the test can fail
    assert "'x' is censored" in " ".join(imp.events["event"])


@pytest.mark.parametrize("formula", ["x ~ z", "y ~ x + z"])
def test_a_limit_of_detection_in_a_compatible_plan(formula):
    rng = np.random.default_rng(9)
    z = rng.normal(size=1500)
    x = 1 + z + rng.normal(size=1500)
    frame = pd.DataFrame({"y": x + z + rng.normal(size=1500), "x": np.where(x < 0.5, np.nan, x), "z": z})
    # Nothing observed tells what lies below the limit: the chains need longer than usual.
    imp = frame.mice.impute(formula, m=10, rng=1, censored={"x": (None, 0.5)}, auxiliary="ignore", iterations=40)
    res = imp.fit()
    assert all(f["x"][frame["x"].isna()].max() <= 0.5 for f in imp)
    assert abs(res.params["z"] - 1) < 3.9 * res.bse["z"]  # false alarm 1e-4


@MODES
@pytest.mark.parametrize("method", ["norm", "power", "pmm"])
def test_every_draw_lies_within_its_bounds_and_none_piles_up_at_them(formula, method):
    frame = study()
    frame = frame[~(frame["x"] < 0.1)].reset_index(drop=True)
    cut = {"x": (0.1, "top")}
    imp = frame.mice.impute(formula, m=2, rng=1, iterations=5, truncated=cut, methods={"x": method})
    gone = frame["x"].isna()
    for one in imp:
        drawn = one["x"][gone]
        assert (drawn >= 0.1).all() and (drawn <= frame["top"][gone]).all()
        assert not drawn.isin([0.1]).any() and not (drawn == frame["top"][gone]).any()
        pd.testing.assert_series_equal(one["x"][~gone], frame["x"][~gone])
    assert "from 0.1 to top" in str(imp.plan)


@MODES
def test_bounds_that_never_bind_change_no_observed_value_and_keep_the_law(formula):
    frame = study()
    wide, free = (
        frame.mice.impute(formula, m=40, rng=1, iterations=5, bounds=b, methods={"x": "norm"})
        for b in ({"x": (-1e6, 1e6)}, None)
    )
    gone = frame["x"].isna()
    means = [[f["x"][gone].mean() for f in imp] for imp in (wide, free)]
    assert stats.ttest_ind(*means).pvalue > 1e-4  # false alarm 1e-4


def test_whole_numbers_stay_within_their_bounds_when_they_are_rounded():
    rng = np.random.default_rng(10)
    age = pd.Series(rng.integers(300, 321, 300), dtype="Int64").mask(pd.Series(rng.random(300) < 0.4))
    frame = pd.DataFrame({"age": age, "z": rng.normal(size=300), "y": rng.normal(size=300)})
    for formula in (None, "y ~ age + z"):
        imp = frame.mice.impute(formula, m=3, rng=1, bounds={"age": (300, 320.4)}, methods={"age": "norm"})
        drawn = pd.concat([f["age"][age.isna()] for f in imp])
        assert drawn.min() == 300 and drawn.max() == 320 and drawn.dtype == "Int64"


@pytest.mark.parametrize("formula", [None, "y ~ c + z", "y ~ c * z"])
def test_counts_and_ratings_are_drawn_within_bounds(formula):
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"z": rng.normal(size=300), "r": rng.integers(1, 6, 300).astype(float)})
    frame["c"] = rng.poisson(np.exp(0.5 + 0.3 * frame["z"])).astype(float)
    frame["y"] = frame["c"] + frame["z"] + rng.normal(size=300)
    frame.loc[rng.random(300) < 0.3, "c"] = np.nan
    frame.loc[rng.random(300) < 0.3, "r"] = np.nan
    imp = frame.mice.impute(formula, m=3, rng=1, iterations=5, censored={"c": (1, 4), "r": (2, 3)})
    for one in imp:
        assert one["c"][frame["c"].isna()].between(1, 4).all() and one["r"][frame["r"].isna()].between(2, 3).all()


def test_bounds_with_extend_give_the_same_bits_as_at_once():
    frame, option = study(), {"truncated": {"x": (0, "top")}, "methods": {"x": "norm"}}
    at_once = frame.mice.impute(m=4, rng=1, iterations=7, **option)
    later = frame.mice.impute(m=2, rng=1, iterations=4, **option).extend(2).extend(iterations=3)
    for one, other in zip(at_once, later, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_other_units_give_the_same_values_in_other_units():
    frame, methods = study(), {"x": "norm"}
    for formula in (None, "y ~ x + z"):
        one = frame.mice.impute(formula, m=2, rng=1, iterations=5, bounds={"x": (0, 2)}, methods=methods)
        grams = frame.assign(x=frame["x"] * 1000)
        other = grams.mice.impute(formula, m=2, rng=1, iterations=5, bounds={"x": (0, 2000)}, methods=methods)
        np.testing.assert_allclose(other[0]["x"] / 1000, one[0]["x"], rtol=1e-7)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"x": 3}, "pair"),
        ({"x": (3, 1)}, "nothing lies between"),
        ({"x": (0, "tap")}, "neither a number nor a column"),
        ({"x": ("w", None)}, "has 5 missing values itself"),
        ({"g": (0, 1)}, "only numbers have bounds"),
        ({"nope": (0, 1)}, "not a column"),
        ({"x": (5, 6)}, "has two meanings: 2.* of 2.* observed values lie outside"),
        ({"x": (0, "top")}, "has two meanings: 'top' is a column"),
        ([("x", 0)], "maps column names"),
    ],
)
def test_a_bound_that_cannot_be_is_one_clear_error(option, said):
    frame = study().assign(g="a", w=np.arange(300.0))
    frame.loc[:4, ["w", "g"]] = [np.nan, "b"]
    with pytest.raises(MifitError, match=said) as found:
        frame.mice.impute(m=2, rng=1, bounds=option, methods={"x": "pmm"})
    assert found.value.do


def test_a_complete_column_takes_its_bounds_as_a_note():
    frame = study()
    imp = frame.mice.impute(m=2, rng=1, bounds={"z": (0, 1)})
    assert "bounds of 'z': it has no missing values" in " ".join(imp.events["event"])
    with pytest.raises(PlanError, match="cannot change a plan that is already made"):
        frame.mice.impute(imp.plan, m=2, bounds={"x": (0, 1)})


def test_quantiles_keep_their_digits_far_out():
    share = np.array([0.25, 0.5, 0.75])
    found = truncated_normal(np.zeros(3), 1.0, 30.0, np.inf, share)
    np.testing.assert_allclose(found, stats.norm.isf(stats.norm.sf(30.0) * share), rtol=1e-12)


def test_a_method_sees_its_bounds_on_the_rows_it_is_fitted_on():
    rng = np.random.default_rng(12)
    y = stats.truncnorm.rvs(0, np.inf, size=4000, random_state=rng)
    X, terms = np.ones((4000, 1)), np.arange(1)
    limits = (np.zeros(4000), np.full(4000, np.inf))
    fits = [Normal().fit(Visit(y, X, terms, Kind.NUMERIC, limits=limits), rng) for _ in range(50)]
    mean, sd = np.mean([f.mean_sd(X[:1])[0][0] for f in fits]), np.mean([f.mean_sd(X[:1])[1] for f in fits])
    assert abs(mean) < 0.5 and abs(sd - 1) < 0.2  # 0 and 1 are the truth; 0.80 and 0.60 are those of least squares

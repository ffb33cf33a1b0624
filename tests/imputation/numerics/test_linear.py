"""Linear models from cross-products: the answers of QR, whatever the units, and draws that have the theory's law."""

import numpy as np
import pandas as pd
import pytest

from mifit.formula.question import ask
from mifit.frame.kinds import Kind
from mifit.frame.table import read
from mifit.imputation.contract import Visit
from mifit.imputation.numerics.linear import draw_coefficients, draw_sigma, independent, rooted, solve
from mifit.imputation.plan.options import Options
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.visit import Response, StoreVisit
from support.made import make


def design(n=200, p=5, seed=0):
    """A constant, p - 1 correlated columns, and a response."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.5)
    X[:, 0] = 1.0
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n), rng


def visit(X, y, terms=None):
    """A visit to a number; each column its own term unless said otherwise."""
    return Visit(y, X, np.arange(X.shape[1]) if terms is None else np.array(terms), Kind.NUMERIC)


def users(solution, cross):
    """Estimates in the units of the response; the constant is the first column."""
    beta = cross.scale * solution.beta
    beta[0] += cross.centre
    return beta


def analysis(frame, formula):
    """A store with the columns of a formula, its design, and a visit to the outcome on all rows."""
    table = read(frame)
    plan, table = make(table, [ask(formula, table)], Options(), {})
    engine = Engine(table, plan)
    values = {n: np.where(np.isnan(c.values), np.nanmean(c.values), c.values) for n, c in table.columns.items()}
    store, ready = engine.new_store(values), engine.factors[0]
    return engine, StoreVisit(store, ready.model, Response(ready.response(values)), ready.place), values


def test_least_squares_from_cross_products_equal_lstsq():
    X, y, _ = design()
    cross = visit(X, y).cross()
    solution = solve(cross, np.arange(5))
    beta, rss = np.linalg.lstsq(X, y, rcond=None)[:2]
    np.testing.assert_allclose(users(solution, cross), beta, rtol=1e-11)
    np.testing.assert_allclose(solution.rss * cross.scale**2, rss[0], rtol=1e-11)
    assert (solution.df, solution.dropped, solution.kept.tolist()) == (195, (), [0, 1, 2, 3, 4])


@pytest.mark.parametrize("factor", [1e-9, 1e-3, 1e3, 1e9])
def test_units_of_columns_and_response_leave_no_trace(factor):
    X, y, _ = design()
    beta = users(solve(c := visit(X, y).cross(), np.arange(5)), c)
    units = np.array([1, factor, 1 / factor, 1, factor])
    other = users(solve(c := visit(X * units, y * factor).cross(), np.arange(5)), c)
    np.testing.assert_allclose(other * units / factor, beta, rtol=1e-10)


@pytest.mark.parametrize("years", [(1990, 2020), (0, 30)])
@pytest.mark.parametrize("holes", [0, 60])
def test_a_year_and_its_square_are_told_apart_as_well_as_by_qr(years, holes):
    rng = np.random.default_rng(7)
    year = rng.integers(years[0], years[1] + 1, 300).astype(float)
    far = year - years[0]
    y = 3 + 0.2 * far - 0.01 * far**2 + 0.5 * rng.standard_normal(300)
    frame = pd.DataFrame({"y": y, "year": year})
    frame.loc[rng.choice(300, holes, replace=False), "year"] = np.nan
    engine, seen, values = analysis(frame, "y ~ year + I(year**2)")
    cross = seen.cross()
    solution = solve(cross, seen.terms)
    assert solution.dropped == ()
    places = engine.layout.formula[0]
    slope = cross.scale * solution.beta / engine.layout.scale[places]
    constant = cross.centre - slope[1:] @ engine.layout.centre[places][1:] + slope[0]
    # The oracle works in years from the first, where QR has digits to spare.
    u = values["year"] - years[0]
    a, b, c = np.linalg.lstsq(np.column_stack([np.ones(300), u, u * u]), values["y"], rcond=None)[0]
    first = years[0]
    np.testing.assert_allclose(slope[1:], [b - 2 * c * first, c], rtol=1e-6)
    np.testing.assert_allclose(constant, a - b * first + c * first**2, rtol=1e-6)


def test_of_dependent_terms_the_later_one_goes_and_goes_whole():
    X, y, rng = design()
    twin = np.column_stack([X, rng.standard_normal(200), X[:, 1] - 2 * X[:, 3]])
    terms = [0, 1, 2, 3, 4, 5, 5]
    cross = visit(twin, y, terms).cross()
    solution = solve(cross, np.array(terms))
    assert solution.dropped == (5,)
    assert solution.kept.tolist() == [0, 1, 2, 3, 4]
    assert np.all(solution.beta[5:] == 0)
    np.testing.assert_allclose(users(solution, cross)[:5], np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-11)


def test_two_dependencies_take_two_terms():
    X, y, _ = design()
    many = np.column_stack([X, X[:, 1] + X[:, 2], X[:, 3] - X[:, 4], y + X[:, 1]])
    solution = solve(visit(many, y).cross(), np.arange(8))
    assert solution.dropped == (5, 6)
    assert solution.df == 200 - 6


def test_constant_and_empty_columns_are_dropped():
    X, y, _ = design()
    odd = np.column_stack([X, np.zeros(200), np.full(200, 3.7)])
    solution = solve(visit(odd, y).cross(), np.arange(7))
    assert solution.dropped == (5, 6)


def test_a_design_of_nothing_but_empty_columns_still_has_a_solution():
    solution = solve(visit(np.zeros((20, 2)), np.arange(20.0)).cross(), np.arange(2))
    assert solution.dropped == (0, 1)
    assert solution.df == 20
    np.testing.assert_array_equal(solution.beta, 0.0)


def test_more_columns_than_rows_keep_as_many_as_there_are_rows():
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(4), rng.standard_normal((4, 6))])
    kept, _, _, dropped = independent(X.T @ X, np.arange(7))
    assert kept.tolist() == [0, 1, 2, 3]
    assert dropped == (4, 5, 6)


def test_a_nearly_dependent_column_is_kept_while_it_has_digits():
    X, y, rng = design()
    near = np.column_stack([X, X[:, 1] + 1e-4 * rng.standard_normal(200)])
    cross = visit(near, y).cross()
    solution = solve(cross, np.arange(6))
    assert solution.dropped == ()
    np.testing.assert_allclose(users(solution, cross), np.linalg.lstsq(near, y, rcond=None)[0], rtol=1e-5)


@pytest.mark.parametrize("n", [8, 200])
def test_draws_of_the_spread_follow_the_inverse_chi_square(n):
    from scipy import stats

    X, y, rng = design(n=n)
    solution = solve(visit(X, y).cross(), np.arange(5))
    share = np.array([solution.rss / draw_sigma(solution, rng) ** 2 for _ in range(20_000)])
    # Kolmogorov-Smirnov: false alarm 1e-3
    assert stats.kstest(share, stats.chi2(n - 5).cdf).pvalue > 1e-3


def test_draws_of_the_coefficients_have_their_mean_and_covariance():
    X, y, rng = design()
    cross = visit(X, y).cross()
    solution = solve(cross, np.arange(5))
    m, sigma = 40_000, 0.7
    draws = np.array([draw_coefficients(solution, sigma, rng) for _ in range(m)])
    cov = sigma**2 * np.linalg.inv(X.T @ X)
    # five standard errors, 5 + 25 figures: false alarm below 2e-5
    assert np.all(np.abs(draws.mean(axis=0) - solution.beta) < 5 * np.sqrt(np.diag(cov) / m))
    noise = np.sqrt((cov**2 + np.outer(np.diag(cov), np.diag(cov))) / m)
    assert np.all(np.abs(np.cov(draws.T) - cov) < 5 * noise)


def test_a_draw_of_both_is_a_multivariate_t():
    X, y, rng = design(n=12)
    cross = visit(X, y).cross()
    solution = solve(cross, np.arange(5))
    draws = np.array([draw_coefficients(solution, draw_sigma(solution, rng), rng)[2] for _ in range(20_000)])
    from scipy import stats

    sd = np.sqrt(solution.rss / solution.df * np.linalg.inv(X.T @ X)[2, 2])
    # Kolmogorov-Smirnov: false alarm 1e-3
    assert stats.kstest((draws - solution.beta[2]) / sd, stats.t(solution.df).cdf).pvalue > 1e-3


def test_dropped_columns_keep_a_coefficient_of_nought_in_every_draw():
    X, y, rng = design()
    twin = np.column_stack([X, X[:, 2]])
    solution = solve(visit(twin, y).cross(), np.arange(6))
    assert draw_coefficients(solution, 1.0, rng)[5] == 0.0


@pytest.mark.parametrize("n", [3_000, 1_000_000])
def test_a_level_seen_only_where_the_variable_is_missing_is_dropped_not_guessed(n):
    # Its column is constant on the fit rows. By subtraction only rounding is left of it, which is not information.
    rng = np.random.default_rng(2)
    group = np.where(np.arange(n) < 1, "rare", np.where(rng.random(n) < 0.5, "a", "b"))
    x = rng.standard_normal(n)
    x[: n // 10] = np.nan
    table = read(pd.DataFrame({"x": x, "group": pd.Categorical(group), "z": rng.standard_normal(n)}))
    plan, table = make(table, [], Options(methods={"x": "norm"}), {})
    engine = Engine(table, plan)
    store = engine.new_store({name: np.nan_to_num(c.values) for name, c in table.columns.items()})
    rows = table["x"].observed
    seen = StoreVisit(store, engine.own["x"], Response(store.values["x"]), engine.place("x"), rows=rows, without="x")
    solution = solve(seen.cross(), seen.terms)
    assert np.linalg.matrix_rank(store.X[np.ix_(rows[:2000], engine.own["x"].columns)]) == 3
    assert solution.dropped == (engine.layout.terms[engine.layout.main["group"][0]],)


def test_normal_vectors_do_not_depend_on_the_signs_of_eigenvectors(monkeypatch):
    rng = np.random.default_rng(3)
    half = rng.normal(size=(5, 3, 3))
    covariance, noise = half @ half.transpose(0, 2, 1), rng.normal(size=(5, 3))
    found, real = rooted(covariance, noise), np.linalg.eigh
    monkeypatch.setattr(
        np.linalg, "eigh", lambda matrix: (real(matrix)[0], real(matrix)[1] * np.array([-1.0, 1.0, -1.0]))
    )
    np.testing.assert_allclose(rooted(covariance, noise), found, rtol=1e-12)
    monkeypatch.undo()
    root = np.stack([rooted(covariance, np.tile(one, (5, 1))) for one in np.eye(3)], axis=-1)
    np.testing.assert_allclose(root @ root.transpose(0, 2, 1), covariance, atol=1e-12)
    np.testing.assert_allclose(rooted(np.ones((2, 2)), np.array([1.0, -1.0])), 0.0, atol=1e-7)

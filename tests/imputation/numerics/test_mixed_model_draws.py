"""Draws from the posterior of a linear mixed model, beside grids and direct formulas."""

import numpy as np
import pytest

from mifit.imputation.numerics.mixed import Covariances, cluster_sums, draw_mixed, shrinkage

WIDE, DF = 10.0, 2.0


def rows(seed=3, many=9, width=1):
    """Unbalanced clusters, one of a single row, one without any."""
    rng = np.random.default_rng(seed)
    sizes = np.array([1, 2, 3, 4, 5, 6, 7, 5, 4, 0])[: many + 1]
    g = np.repeat(np.arange(len(sizes)), sizes)
    X = np.column_stack([np.ones(len(g)), rng.normal(size=len(g)), rng.normal(size=len(sizes))[g]])
    own = 0.7 * rng.normal(size=(len(sizes), width))
    y = X @ [0.3, 0.5, -0.4] + (X[:, :width] * own[g]).sum(axis=1) + 0.8 * rng.normal(size=len(g))
    return X, y, g, len(sizes)


def dense(X, y, Z, g, lam):
    """Log of the likelihood of the rows with coefficients and residual variance integrated out, from n x n matrices."""
    H = np.eye(len(y)) + (Z @ lam @ Z.T) * (g[:, None] == g)
    inverse = np.linalg.inv(H)
    information = X.T @ inverse @ X
    b = np.linalg.solve(information, X.T @ inverse @ y)
    rss = (y - X @ b) @ inverse @ (y - X @ b)
    dets = np.linalg.slogdet(H)[1] + np.linalg.slogdet(information)[1]
    return -0.5 * dets - 0.5 * (len(y) - X.shape[1]) * np.log(rss), b, information, rss


def test_one_deviation_and_the_coefficients_follow_a_grid_of_dense_matrices():
    """4,000 independent draws: errors of means sd / 63; five figures at 5 standard errors, one false alarm in 1e5."""
    X, y, g, many = rows()
    Z, p = X[:, :1], X.shape[1]
    logs = np.linspace(-9, 4, 261)
    found = [dense(X, y, Z, g, np.exp(2 * t) * np.eye(1)) for t in logs]
    height = np.array([one[0] for one in found]) + logs - 1.5 * np.log1p(np.exp(2 * logs) / (DF * WIDE**2))
    share = np.exp(height - height.max())
    share /= share.sum()
    expected = [share @ logs, share @ np.array([np.log(one[3]) for one in found])]
    expected += list(share @ np.array([one[1] for one in found]))
    sums, rng = cluster_sums(np.column_stack([X, y]), Z, g, many), np.random.default_rng(1)
    draws = [draw_mixed(sums, Covariances(1), rng) for _ in range(4000)]
    chi = rng.chisquare(len(y) - p, 200_000)
    seen = np.array([[np.log(one.root[0, 0]), np.log(one.variance), *one.coef] for one in draws])
    seen[:, 1] += np.log(chi).mean()  # of RSS / chi² there is left RSS
    error = seen.std(axis=0) / np.sqrt(len(seen))
    assert np.all(np.abs(seen.mean(axis=0) - expected) < 5 * error)
    spread = np.sqrt(share @ (logs - expected[0]) ** 2)
    assert 0.93 < seen[:, 0].std() / spread < 1.07


def test_several_parameters_keep_their_density():
    """Iterated resampling of a level and a slope: means of the log density's slopes are 0 under the density itself."""
    X, y, g, many = rows(width=2)
    Z = X[:, :2]
    sums, rng, warm = cluster_sums(np.column_stack([X, y]), Z, g, many), np.random.default_rng(2), None
    covariances, seen = Covariances(2), []
    for _ in range(2500):
        one = draw_mixed(sums, covariances, rng, warm)
        warm = one.warm
        seen.append(warm[3:])
    seen = np.array(seen)

    def height(point):
        root = covariances.roots(point[None])[0]
        return dense(X, y, Z, g, root @ root.T)[0] + covariances.log_prior(point[None])[0]

    step, some = 1e-5 * np.eye(3), seen[::3]
    slopes = np.array([[(height(at + e) - height(at - e)) / 2e-5 for e in step] for at in some])
    # Stein's identity, with weights that keep variances finite: E[f'(x) + f(x) d log p] = 0 for f = tanh
    f, slope = np.tanh(some / 2), 0.5 / np.cosh(some / 2) ** 2
    figures = slope + f * slopes
    score = figures.mean(axis=0) / (figures.std(axis=0) / np.sqrt(len(some) / 2))
    assert np.all(np.abs(score) < 4)  # three figures: one false alarm in 5,000
    assert np.corrcoef(seen[:-1, 0], seen[1:, 0])[0, 1] < 0.5


def test_the_prior_of_a_covariance_has_half_t_deviations_and_flat_correlations():
    """Huang and Wand (2013), property 2 and 4: by quadrature over the other parameters."""
    covariances = Covariances(2)
    logs, low = np.linspace(-12, 12, 97), np.sinh(np.linspace(-10, 10, 801))
    grid = np.array([(a, b, c) for a in (-1.0, 0.0, 1.0) for b in low for c in logs])
    # parameters in the order of the lower triangle: log L11, L21, log L22
    density = np.exp(covariances.log_prior(grid)).reshape(3, len(low), len(logs))
    over = np.trapezoid(np.trapezoid(density, logs, axis=2), low, axis=1)
    sd = np.exp(np.array([-1.0, 0.0, 1.0]))
    half_t = sd * (1 + sd**2 / (DF * WIDE**2)) ** -1.5  # of the logarithm
    np.testing.assert_allclose(over / over[1], half_t / half_t[1], rtol=0.02)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_effects_given_the_rows_have_the_covariance_of_a_dense_solution(width):
    rng = np.random.default_rng(4)
    Z, root = rng.normal(size=(7, width)), np.tril(rng.normal(size=(width, width)))
    inner, log_det = shrinkage(root[None], (Z.T @ Z)[None])
    lam = root @ root.T
    H = np.eye(7) + Z @ lam @ Z.T
    np.testing.assert_allclose(inner[0, 0], lam - lam @ Z.T @ np.linalg.inv(H) @ Z @ lam, atol=1e-10)
    np.testing.assert_allclose(log_det[0, 0], np.linalg.slogdet(H)[1])


def test_components_are_independent_and_share_one_deviation_each():
    covariances = Covariances(1, (2, 3))
    root = covariances.roots(np.log([[2.0, 3.0, 5.0]]))[0]
    np.testing.assert_allclose(root, np.diag([2.0, 3, 3, 5, 5, 5]))
    assert covariances.width == 6 and covariances.many == 3


def test_neither_labels_nor_the_order_of_rows_matter():
    X, y, g, many = rows()
    sums = cluster_sums(np.column_stack([X, y]), X[:, :1], g, many)
    order, label = np.random.default_rng(0).permutation(len(y)), np.random.default_rng(1).permutation(many)
    other = cluster_sums(np.column_stack([X, y])[order], X[order, :1], label[g[order]], many)
    one, two = (draw_mixed(each, Covariances(1), np.random.default_rng(7)) for each in (sums, other))
    np.testing.assert_allclose(one.coef, two.coef, rtol=1e-8)
    np.testing.assert_allclose([one.variance, one.root[0, 0]], [two.variance, two.root[0, 0]], rtol=1e-8)


def test_rows_without_residual_variance_are_said_to_leave_none():
    X, _, g, many = rows()
    sums = cluster_sums(np.column_stack([X, np.zeros(len(X))]), X[:, :1], g, many)
    with pytest.raises(FloatingPointError):
        draw_mixed(sums, Covariances(1), np.random.default_rng(1))

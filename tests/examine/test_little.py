"""Little's test: a published figure, a formula by hand, its size and its power."""

import numpy as np
import pytest

import mifit
from mifit.examine.little import little_test, normal_moments


def test_it_is_the_published_figure_for_airquality():
    """As the documentation of R's naniar prints it: 35.1 on 14 degrees of freedom, p 0.00142, 4 patterns."""
    found = little_test(mifit.datasets.load("airquality").to_numpy(dtype=float))
    assert round(found.statistic, 1) == 35.1
    assert (found.df, round(found.p_value, 5), found.patterns) == (14, 0.00142, 4)


def test_two_nested_patterns_compare_the_means_of_the_column_both_have():
    """The other column is fitted by a regression through its own mean, and adds nothing."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=(90, 2)) @ np.array([[1, 0.7], [0, 1]])
    y[y[:, 0] > 0.4, 1] = np.nan
    gone = np.isnan(y[:, 1])
    x = y[:, 0]
    by_hand = sum(rows.sum() * (x[rows].mean() - x.mean()) ** 2 for rows in (gone, ~gone)) / x.var()
    found = little_test(y)
    assert found.df == 1 and np.isclose(found.statistic, by_hand, rtol=1e-6)


def test_moments_are_those_of_the_factored_likelihood():
    """Two nested patterns: the mean of y is the regression at the mean of all x."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=200)
    y = 1 + 0.5 * x + rng.normal(size=200)
    gone = rng.random(200) < 1 / (1 + np.exp(-x))
    slope, constant = np.polyfit(x[~gone], y[~gone], 1)
    rest = np.mean((y[~gone] - constant - slope * x[~gone]) ** 2)
    mean, covariance = normal_moments(np.column_stack([x, np.where(gone, np.nan, y)]))
    assert np.allclose(mean, [x.mean(), constant + slope * x.mean()], atol=1e-6)
    assert np.allclose(
        covariance, [[x.var(), slope * x.var()], [slope * x.var(), rest + slope**2 * x.var()]], atol=1e-5
    )


def test_units_and_copies_of_columns_make_no_difference():
    y = mifit.datasets.load("airquality").to_numpy(dtype=float)
    one, other = little_test(y), little_test(np.column_stack([y * 1e6 + 5, y[:, [2]] * 3 - 1]))
    assert one.df == other.df and np.isclose(one.statistic, other.statistic, rtol=1e-5)


@pytest.mark.parametrize("values", [np.ones((5, 2)), np.full((4, 1), np.nan), np.arange(6.0).reshape(3, 2)])
def test_without_patterns_there_is_no_test(values):
    found = little_test(values)
    assert found.df == 0 and np.isnan(found.p_value) and "no two patterns" in str(found)


def test_it_rejects_as_often_as_it_should():
    """300 frames: under MCAR 5 % within four standard errors, under MAR nearly always."""
    rng = np.random.default_rng(3)
    p_values = {"MCAR": [], "MAR": []}
    for _ in range(300):
        y = rng.normal(size=(200, 3)) @ np.array([[1, 0.5, 0.2], [0, 1, 0.3], [0, 0, 1]])
        for how, linear in (("MCAR", 0.0), ("MAR", 2 * y[:, 0])):
            z = y.copy()
            z[rng.random(200) < 0.5 / (1 + np.exp(-linear)), 1] = np.nan
            z[rng.random(200) < 0.3, 2] = np.nan
            p_values[how].append(little_test(z).p_value)
    size, power = (np.mean(np.array(p_values[how]) < 0.05) for how in ("MCAR", "MAR"))
    assert abs(size - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 300) and power > 0.8

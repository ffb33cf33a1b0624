"""What is assumed after an event, against its definition step by step."""

from __future__ import annotations

import numpy as np
import pytest

from mifit.trial.completion import Course, completed
from mifit.trial.strategies import STRATEGIES, covariance_after, mean_after

OWN = np.array([[10.0, 12.0, 15.0, 19.0]])
REFERENCE = np.array([[1.0, 2.0, 4.0, 7.0]])
#: Carpenter, Roger and Kenward (2013), p. 1357: the means after an event that affects the third visit
AFTER_TWO = {
    "MAR": [10, 12, 15, 19], "J2R": [10, 12, 4, 7], "CR": [1, 2, 4, 7], "CIR": [10, 12, 14, 17],
    "LMCF": [10, 12, 12, 12],
}  # fmt: skip


def matrices(size=4, seed=2):
    rng = np.random.default_rng(seed)
    return [a @ a.T + np.eye(size) for a in rng.normal(size=(2, size, size))]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_means_are_those_of_the_definition(strategy):
    assert mean_after(strategy, OWN, REFERENCE, 2).tolist() == [AFTER_TWO[strategy]]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_before_any_visit_is_seen_there_is_nothing_to_carry(strategy):
    expected = OWN if strategy in ("MAR", "LMCF") else REFERENCE
    np.testing.assert_array_equal(mean_after(strategy, OWN, REFERENCE, 0), expected)
    own, reference = matrices()
    found = covariance_after(strategy, own, reference, 0)
    np.testing.assert_array_equal(found, own if strategy in ("MAR", "LMCF") else reference)


@pytest.mark.parametrize("strategy", ["J2R", "CIR"])
@pytest.mark.parametrize("event", [1, 2, 3])
def test_later_visits_depend_on_earlier_ones_as_in_the_reference_arm(strategy, event):
    own, reference = matrices()
    found = covariance_after(strategy, own, reference, event)
    before, after = slice(None, event), slice(event, None)
    np.testing.assert_allclose(found[before, before], own[before, before])
    for part in (found, reference):  # the slope and what is left around it are those of the reference arm
        slope = np.linalg.solve(part[before, before], part[before, after])
        left = part[after, after] - part[after, before] @ slope
        np.testing.assert_allclose(slope, np.linalg.solve(reference[before, before], reference[before, after]))
        np.testing.assert_allclose(left, reference[after, after] - reference[after, before] @ slope)
    assert np.linalg.eigvalsh(found).min() > 0


def test_draws_have_the_conditional_mean_and_covariance():
    own, reference = matrices(3)
    n = 4000
    outcome = np.tile([2.0, np.nan, np.nan], (n, 1))
    design = np.tile(np.eye(3), (n, 1, 1))
    course = Course(outcome, design, design, np.zeros(n, dtype=int), 1, np.full(n, 2), ("CIR",) * n)
    coef = np.array([1.0, 3.0, 5.0])
    mean = completed(course, course.alike(), coef, np.array([own, reference]))
    matrix = covariance_after("CIR", own, reference, 2)
    slope = matrix[1:, :1] / matrix[0, 0]
    # own design is also that of the reference here, so the mean profile is coef itself
    np.testing.assert_allclose(mean[:, 1:], np.tile(coef[1:] + slope[:, 0], (n, 1)))
    normal = np.random.default_rng(3).standard_normal((n, 3))
    drawn = completed(course, course.alike(), coef, np.array([own, reference]), normal)
    left = matrix[1:, 1:] - slope @ matrix[:1, 1:]
    assert np.all(np.abs(drawn[:, 1:].mean(axis=0) - mean[0, 1:]) < 4 * np.sqrt(np.diag(left) / n))
    np.testing.assert_allclose(np.cov(drawn[:, 1:].T), left, atol=5 * left.max() / np.sqrt(n))
    np.testing.assert_array_equal(drawn[:, 0], outcome[:, 0])

"""A variable whose own model is a mixture of normals far apart: no row is held by the component it had."""

import numpy as np
import pytest
from scipy import stats

from mifit.imputation.methods.mixture import MixtureFitted
from mifit.imputation.numerics.mixture import Law
from mifit.imputation.plan.sampler_choice import Choice, Sampler
from mifit.imputation.sampler.samplers import draw_continuous

N = 20_000
WEIGHT, MEAN, SD = np.array([0.3, 0.7]), np.array([4.2, -1.8]), np.array([0.5, 0.4])


class Term:
    """A likelihood of one outcome, normal around a mean that is a line or a square in the variable."""

    moving = None

    def __init__(self, square=False, y=1.0, slope=0.3, sd=1.0):
        self.square, self.y, self.slope, self.sd = square, y, slope, sd

    def log_accept(self, at, values):
        return -0.5 * ((self.y - self.slope * (values**2 if self.square else values)) / self.sd) ** 2

    def derivatives(self, at, values):
        return None

    def information(self, backward, mean, unit):
        residual = (self.y - self.slope * mean) / self.sd**2
        return np.full(len(mean), (self.slope / self.sd) ** 2), self.slope * residual


class Silent(Term):
    """The same line, of which the sampler only knows how likely a value is."""


def own():
    coef = np.array([0.5])
    return MixtureFitted(coef, Law(WEIGHT, MEAN, SD**2, 1.0, coef, np.empty(0)), None, 0.0, 1.0)


CASES = {
    "nothing": ([], []),
    "a line": ([Term()], [True]),
    "two lines": ([Term(), Term(y=-1.0, slope=0.2)], [True, True]),
    "a square": ([Term(True, y=3.0)], [False]),
    "a line and a square": ([Term(), Term(True, y=3.0)], [True, False]),
    "a line that is not multiplied": ([Silent()], [False]),
    "a square that nearly no proposal meets": ([Term(True, y=14.0, slope=1.0, sd=0.05)], [False]),
}


def choice(terms, multiplied):
    sampler = Sampler.GRID if any(term.square for term in terms) else Sampler.METROPOLIS
    return Choice(Sampler.CLOSED_FORM if all(multiplied) else sampler, True, tuple(multiplied), True, joint=True)


def exact(terms):
    """The distribution function on a fine grid."""
    grid = np.linspace(-6, 9, 60_001)
    density = sum(w * stats.norm(0.5 + m, s).pdf(grid) for w, m, s in zip(WEIGHT, MEAN, SD, strict=True))
    height = density * np.exp(sum((term.log_accept(None, grid) for term in terms), np.zeros(len(grid))))
    total = np.cumsum(height)
    return grid, total / total[-1]


@pytest.mark.parametrize("case", CASES)
def test_draws_from_the_rarer_component_have_the_law_of_the_grid(case):
    """One draw is exact unless proposals may be refused; p < 1e-5 of Kolmogorov's test in seven cases: alarm 7e-5."""
    terms, multiplied = CASES[case]
    current = np.full(N, 4.7)
    rng = np.random.default_rng(3)
    for _ in range(1 if all(multiplied) else 20):
        found = draw_continuous(own(), np.ones((N, 1)), terms, choice(terms, multiplied), current, rng)
        current = found.values
    grid, below = exact(terms)
    assert stats.kstest(current, lambda v: np.interp(v, grid, below)).pvalue > 1e-5


def test_a_component_that_is_drawn_given_the_value_would_be_seen():
    grid, below = exact(CASES["a line"][0])
    current, rng = np.full(N, 4.7), np.random.default_rng(3)
    held = own().labelled(np.ones((N, 1)), current, rng)
    stuck = held.sample(np.ones((N, 1)), rng)
    assert stats.kstest(stuck, lambda v: np.interp(v, grid, below)).pvalue < 1e-100


def test_proposals_are_counted_where_they_may_be_refused():
    X, current, rng = np.ones((N, 1)), np.full(N, 4.7), np.random.default_rng(3)
    assert draw_continuous(own(), X, [Term()], choice([Term()], [True]), current, rng).tried == 0
    square = [Term(True, y=3.0)]
    found = draw_continuous(own(), X, square, choice(square, [False]), current, rng)
    assert found.tried > N and found.stayed < N

"""Ordered models by our own Newton steps: where a finely converged fit of statsmodels ends, and faster."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.miscmodels.ordinal_model import OrderedModel

from mifit.analysis.job import Job
from mifit.analysis.ordered import climb_of
from mifit.analysis.ordered_maximum import maximised
from mifit.analysis.parameters import cut_points_of


def study(n=400, levels=4, offset=False):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, 2))
    shift = 0.5 * rng.normal(size=n) * offset
    ends = np.linspace(-1.5, 1.5, levels - 1)
    codes = np.digitize(x @ [0.8, -0.5] + shift + rng.logistic(size=n), ends)
    return codes, x, shift


def job_of(codes, x, **words):
    labels = tuple(map(str, range(int(codes.max()) + 1)))
    exog = pd.DataFrame(x, columns=["a", "b"])
    return Job(0, pd.Series(codes.astype(float)), exog, "ordinal", words, {}, labels)


@pytest.mark.filterwarnings("ignore:Maximum Likelihood optimization failed")  # of theirs, at digits it does not have
@pytest.mark.parametrize("levels", [2, 3, 6])
@pytest.mark.parametrize("distr", ["logit", "probit"])
@pytest.mark.parametrize("offset", [False, True])
def test_the_maximum_is_that_of_statsmodels(distr, levels, offset):
    codes, x, shift = study(levels=levels, offset=offset)
    words = {"distr": distr, **({"offset": shift} if offset else {})}
    fit = maximised(job_of(codes, x, **words))
    theirs = OrderedModel(codes, x, **words).fit(disp=0, method="bfgs", gtol=1e-9, maxiter=500)
    assert fit.llf == pytest.approx(theirs.llf, abs=1e-8)
    np.testing.assert_allclose(fit.params, theirs.params, atol=2e-4 * np.abs(theirs.bse).max())


@pytest.mark.parametrize("distr", ["logit", "probit"])
def test_derivatives_are_those_of_the_likelihood(distr):
    codes, x, shift = study()
    cuts = np.array([-1.0, 0.1, 1.2])

    def height(at):
        return climb_of(codes, x, x @ at[:2] + shift, at[2:], distr)[0]

    at = np.concatenate([[0.3, -0.2], cuts])
    _, slope, bend = climb_of(codes, x, x @ at[:2] + shift, cuts, distr)
    step = 1e-5 * np.eye(5)
    np.testing.assert_allclose(slope, [(height(at + h) - height(at - h)) / 2e-5 for h in step], rtol=1e-5, atol=1e-5)
    twice = [climb_of(codes, x, x @ (at + h)[:2] + shift, (at + h)[2:], distr)[1] for h in step]
    back = [climb_of(codes, x, x @ (at - h)[:2] + shift, (at - h)[2:], distr)[1] for h in step]
    np.testing.assert_allclose(bend, -(np.array(twice) - back) / 2e-5, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_neither_unit_nor_origin_of_a_column_matters(unit):
    codes, x, _ = study()
    plain, moved = (maximised(job_of(codes, one, distr="logit")) for one in (x, (x + 10.0) * unit))
    np.testing.assert_allclose(moved.params[:2] * unit, plain.params[:2], rtol=1e-6)
    np.testing.assert_allclose(
        cut_points_of(moved.params[2:]) - 10.0 * unit * moved.params[:2].sum(),
        cut_points_of(plain.params[2:]),
        rtol=1e-6,
    )


def test_what_has_no_maximum_is_left_to_other_ways():
    codes, x, _ = study()
    assert maximised(job_of(codes, np.column_stack([x[:, 0], np.ones(len(x))]), distr="logit")) is None
    assert maximised(job_of(codes, x, distr="cauchy")) is None
    separated = maximised(job_of(codes, np.column_stack([codes.astype(float), x[:, 0]]), distr="logit"))
    assert separated is None or np.abs(separated.params[0]) > 10

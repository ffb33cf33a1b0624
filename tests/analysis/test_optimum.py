"""Every fit is at its optimum by its own score, whatever the units of the columns, or it is refused."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import mifit
from mifit.analysis.build import job_of, model_of
from mifit.analysis.models import MODELS
from mifit.analysis.parameters import hazard_scores
from support.scaled_models import CASES, completed

# statsmodels takes minutes for a conditional multinomial model
EACH = [pytest.param(case, marks=[pytest.mark.slow] * (case == "conditional_mnlogit")) for case in CASES]


def test_every_model_of_the_catalogue_has_its_case():
    assert {model for model, _, _ in CASES.values()} == set(MODELS)


def pooled(case, **sizes):
    """Fit a case; statsmodels' warnings become notes, mifit's are errors."""
    model, outcome, words = CASES[case]
    return completed(**sizes).fit(f"{outcome} ~ x + z", model=model, **words)


@pytest.mark.parametrize("x, z", [(1e6, 1e-6), (1e-6, 1e6)])
@pytest.mark.parametrize("case", EACH)
def test_estimates_scale_exactly_as_their_columns_do(case, x, z):
    here, there = pooled(case), pooled(case, x=x, z=z)
    assert here.fits.converged.all() and there.fits.converged.all()
    assert there.fits.notes == here.fits.notes
    assert here.fits.names == there.fits.names
    for k in range(3):
        se = np.sqrt(np.diag(here.fits.covariances[k]))
        factor = np.array([_factor(name, x, z) for name in here.fits.names])
        shift = np.array([_shift(name, x) for name in here.fits.names])
        np.testing.assert_allclose(
            (there.fits.estimates[k] * factor + shift - here.fits.estimates[k]) / se, 0, atol=5e-3
        )
        np.testing.assert_allclose(
            np.sqrt(np.diag(there.fits.covariances[k])) * factor / se, 1, rtol=5e-3 if case != "quantreg" else 0.02
        )


def _factor(name, x, z):
    """What a coefficient of the scaled columns is multiplied by."""
    last = name.rpartition(":")[2]
    return {"x": x, "z": z}.get(last, 1.0)


def _shift(name, x):
    """What a log variance of a random slope is short of."""
    return 2 * np.log(x) if name == "log(x Var)" else 0.0


def test_the_cox_model_that_ended_at_zero_reaches_its_optimum():
    pbc = mifit.datasets.load("pbc")
    pbc["dead"] = (pbc["status"] == 2).astype(int)
    columns = ["time", "dead", "age", "bili", "albumin", "hepato", "stage", "chol"]
    formula = "time ~ age + bili * albumin + hepato + stage + chol"
    imp = pbc[columns].mice.impute(formula, model="phreg", status="dead", m=3, iterations=2, rng=1)
    res = imp.fit()
    assert res.fits.notes == () and res.fits.converged.all()
    assert not any("No value" in note for note in res.notes)
    for k in range(3):
        exog = imp[k].assign(both=imp[k]["bili"] * imp[k]["albumin"])
        exog = exog[["age", "bili", "albumin", "both", "hepato", "stage", "chol"]].astype(float)
        size = exog.std()
        model = sm.PHReg(imp[k]["time"], (exog - exog.mean()) / size, status=imp[k]["dead"])
        wanted = np.asarray(model.fit(method="bfgs", disp=False, gtol=1e-8).params) / size
        order = [res.fits.names.index(n) for n in ("age", "bili", "albumin", "bili:albumin", "hepato", "stage", "chol")]
        np.testing.assert_allclose(res.fits.estimates[k][order], wanted, rtol=1e-4)


@pytest.mark.parametrize("name", EACH)
def test_estimates_of_zero_are_never_at_the_optimum(name):
    from mifit.analysis.build import job_of, model_of
    from mifit.analysis.job import Job
    from mifit.analysis.models import sorted_words
    from mifit.analysis.optimum import SETTLED, curvature, slope
    from mifit.analysis.scaling import standardised
    from mifit.formula.design import freeze
    from mifit.workflow.fit import FitArguments, question_of

    model, outcome, words = CASES[name]
    if MODELS[model].equation not in ("likelihood", "family"):
        return  # the others are judged by what follows
    imp = completed()
    kwds = dict(words)
    asked = FitArguments(formula=f"{outcome} ~ x + z", model=model, fit_kwds=kwds.pop("fit_kwds", None), keywords=kwds)
    question, found = question_of(imp._record, asked)
    job = standardised(job_of(freeze(question, imp._record.table.filled), imp._record.completed, found, 0)).job
    assert isinstance(job, Job) and sorted_words(model, {}).model == model
    made = model_of(job)
    fitted = MODELS[model].fit(made, job.fit)
    size = np.size(np.asarray(fitted.params))
    zero = np.full(size, 1e-3 if model in ("negativebinomial", "generalizedpoisson") else 0.0)
    s, bend = slope(made, job, zero), curvature(made, job, zero)
    assert abs(s @ np.linalg.pinv(bend) @ s) > SETTLED * 100 or not np.isfinite(s).all()


def test_a_fit_that_no_way_settles_is_refused_with_its_set(monkeypatch):
    from mifit import FitError
    from mifit.analysis import settling

    monkeypatch.setattr(settling, "distance", lambda result, job, reading: 4.0)
    with pytest.raises(FitError, match="completed set 0 does not reach its optimum") as caught:
        completed().fit("b ~ x + z", model="logit")
    assert "2 standard errors short" in caught.value.lines["said"]
    assert caught.value.do.startswith("imp[0]")


def test_the_users_own_limit_of_steps_stands_and_is_said():
    with pytest.warns(mifit.ConvergenceWarning, match="3 of 3 PHReg fits did not converge"):
        res = completed().fit("t ~ x + z", model="phreg", status="d", fit_kwds={"maxiter": 0})
    assert not res.fits.converged.any()


def test_a_wrong_choice_of_optimizer_is_put_right():
    wanted = completed().fit("c ~ x + z", model="poisson")
    for method in ("nm", "powell", "bfgs"):
        res = completed(x=1e6).fit("c ~ x + z", model="poisson", fit_kwds={"method": method})
        assert res.fits.converged.all()
        assert res.params["x"] * 1e6 == pytest.approx(wanted.params["x"], rel=1e-3)


@pytest.mark.parametrize("model", [name for name in MODELS if not name.startswith("conditional")])
def test_more_parameters_than_rows_are_refused_before_the_fit(model):
    rng = np.random.default_rng(1)
    columns = {f"x{j}": rng.random(12) for j in range(14)}
    data = pd.DataFrame(
        {**columns, "y": np.tile([0.2, 0.5, 0.7], 4), "o": np.tile([0, 1, 2], 4), "b": np.tile([0, 1], 6)}
    )
    data["id"] = np.repeat(np.arange(4), 3)
    long = pd.concat([data.assign(**{".imp": k, ".id": np.arange(12)}) for k in (1, 2)])
    imp = mifit.from_long(long.reset_index(drop=True))
    outcome = {"ordinal": "o", "mnlogit": "o", "logit": "b", "probit": "b", "poisson": "o"}.get(model, "y")
    words = {"groups": "id"} if MODELS[model].groups else {}
    with pytest.raises(mifit.FitError, match="not of full rank in sets 0, 1"):
        imp.fit(f"{outcome} ~ {' + '.join(columns)}", model=model, **words)


def test_the_units_of_an_outcome_change_nothing_but_units():
    for model, words in (("quantreg", {}), ("rlm", {}), ("gee", {"groups": "id"}), ("mixedlm", {"groups": "id"})):
        here = completed().fit("y ~ x + z", model=model, **words)
        for unit in (1e8, 1e-8):
            there = completed(y=unit).fit("y ~ x + z", model=model, **words)
            np.testing.assert_allclose(there.params.iloc[:3] / unit, here.params.iloc[:3], rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(there.bse.iloc[:3] / unit, here.bse.iloc[:3], rtol=1e-2)


def test_a_negative_variance_is_no_number_to_take_a_root_of():
    from mifit.analysis.problems import loose

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = loose(np.array([[1.0, 0.0], [1.0, 1.0]]), np.diag([0.04, -1e-3]))
    assert found.tolist() == [1]


@pytest.mark.parametrize("words", [{}, {"ties": "efron"}, {"ties": "efron", "strata": "s"}, {"entry": "early"}])
def test_the_score_of_a_cox_model_is_that_of_statsmodels_where_it_is_not_zero(words):
    res = completed().fit("t ~ x + z", model="phreg", status="d", **words)
    job = job_of(res.design, res.completed, res.call, 0)
    model = model_of(job)
    for away in (np.zeros(2), np.array([0.4, -0.7])):
        there = SimpleNamespace(params=away, model=model)
        np.testing.assert_allclose(hazard_scores(there, job).sum(axis=0), model.score(away), rtol=1e-8)

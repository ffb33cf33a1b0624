"""Probabilities of levels: statsmodels' own on copies of one data set, finite differences, hand formulas on several."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from mifit.errors import DataError
from support.pooled import imputed

NEW = pd.DataFrame({"x": [0.0, 1.5, -0.3], "g": ["u", "v w", "u"]}, index=["a", "b", "c"])


def sets(m=4, equal=False, n=240):
    """Sets that differ in x unless they are to be equal; o is ordered, k is not, s is a number from 1 to 3."""
    rng = np.random.default_rng(8)
    d = pd.DataFrame({"x": rng.normal(size=n), "g": pd.Categorical(rng.choice(["u", "v w"], n))})
    d["o"] = pd.Categorical.from_codes(np.digitize(d["x"] + rng.logistic(size=n), [-1, 1]), ["lo", "mid", "top"], True)
    chance = np.column_stack([rng.gumbel(size=n), d["x"] + rng.gumbel(size=n), rng.gumbel(size=n)])
    d["k"] = pd.Categorical(np.array(["a", "b", "c"])[chance.argmax(axis=1)])
    d["s"] = d["o"].cat.codes + 1
    hole = np.zeros(n, bool) if equal else rng.random(n) < 0.25
    return [d.assign(x=d["x"].where(~hole, rng.normal(size=n))) for _ in range(m)]


@pytest.fixture(scope="module")
def imp():
    return imputed(sets())


@pytest.fixture(scope="module")
def equal():
    return imputed(sets(m=3, equal=True))


CASES = {
    "mnlogit": ("k ~ x + g", "mnlogit", {}),
    "ordered logit": ("o ~ x + g", "ordinal", {"distr": "logit"}),
    "ordered probit": ("o ~ x + g", "ordinal", {}),
    "numbers": ("s ~ x + g", "ordinal", {"distr": "logit"}),
}


@pytest.mark.parametrize("name", CASES)
def test_copies_of_one_data_set_predict_as_statsmodels(equal, name):
    formula, model, words = CASES[name]
    res = equal.fit(formula, model, **words)
    found = res.get_prediction().predicted_mean
    np.testing.assert_allclose(found, np.asarray(res.results[0].predict()), rtol=1e-6)
    assert list(found.columns) == {"mnlogit": ["a", "b", "c"], "numbers": ["1", "2", "3"]}.get(
        name, ["lo", "mid", "top"]
    )
    assert list(res.predict(NEW).index) == ["a", "b", "c"]
    first = res.predict(equal[0].head(5))
    np.testing.assert_allclose(first, found.head(5), rtol=1e-12)


def test_marginal_effects_on_copies_are_statsmodels_own(equal):
    res = equal.fit("k ~ x", "mnlogit", df_method="rubin")
    theirs = res.results[0].get_margeff(at="overall", method="dydx")
    found = res.marginal_effects("x")
    assert list(found.index) == ["a:x", "b:x", "c:x"]
    np.testing.assert_allclose(found["estimate"], np.ravel(theirs.margeff), rtol=1e-6)
    np.testing.assert_allclose(found["std_error"], np.ravel(theirs.margeff_se), rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_standard_errors_are_the_delta_method_by_finite_differences(equal, name):
    formula, model, words = CASES[name]
    res = equal.fit(formula, model, **words)
    found = res.get_prediction(NEW)
    design = np.column_stack([np.ones(3), (NEW["g"] == "v w").astype(float), NEW["x"]])

    def chances(b):
        if model == "mnlogit":
            odds = np.exp(np.column_stack([np.zeros(3), design @ b.reshape(2, 3).T]))
            return odds / odds.sum(axis=1, keepdims=True)
        from scipy.stats import norm

        cdf = expit if words else norm.cdf
        upper = cdf(b[2:] - (design[:, 1:] @ b[:2])[:, None])
        return np.diff(np.column_stack([np.zeros(3), upper, np.ones(3)]), axis=1)

    b, h = res.params.to_numpy(), 1e-6
    np.testing.assert_allclose(found.predicted_mean, chances(b), rtol=1e-9)
    slopes = np.stack([(chances(b + h * e) - chances(b - h * e)) / (2 * h) for e in np.eye(len(b))], axis=-1)
    wanted = np.sqrt(np.einsum("njp,pq,njq->nj", slopes, res.cov_params().to_numpy(), slopes))
    np.testing.assert_allclose(found.se_mean, wanted, rtol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_logits_of_the_probabilities_are_pooled_by_rubins_rules(imp, name):
    formula, model, words = CASES[name]
    res = imp.fit(formula, model, **words)
    found = res.get_prediction(NEW)
    frame = found.summary_frame(0.1)
    assert frame.index.tolist()[:2] == [("a", found.labels[0]), ("a", found.labels[1])]
    np.testing.assert_allclose(found.predicted_mean.sum(axis=1), 1.0, rtol=1e-12)
    one = imp.fit(formula, model, keep="results", **words)
    single = np.array([np.asarray(one.results[k].predict(NEW)) for k in range(4)])
    between = logit(single).var(axis=0, ddof=1)
    within = np.mean([_own_variance(imp, k, formula, model, words) for k in range(4)], axis=0)
    wanted = np.sqrt(within + 1.25 * between)
    np.testing.assert_allclose(np.column_stack([e.std_error for e in found.log_odds]), wanted, rtol=1e-4)
    middle = logit(frame[["mean_ci_lower", "mean_ci_upper"]]).mean(axis=1)
    np.testing.assert_allclose(middle, logit(frame["mean"]), atol=1e-9)


def _own_variance(imp, k, formula, model, words):
    """Variance of the logits in one set alone, from copies of it."""
    alone = imputed([imp[k]] * 2).fit(formula, model, **words).get_prediction(NEW)
    return np.column_stack([e.std_error**2 for e in alone.log_odds])


def test_rows_with_a_missing_value_have_no_probability(imp):
    res = imp.fit("k ~ x + g", "mnlogit")
    frame = res.get_prediction(NEW.assign(x=[np.nan, 0.0, 1.0])).summary_frame()
    assert frame.loc["a"].isna().all().all() and frame.loc["b"].notna().all().all()
    with pytest.raises(DataError, match="newdata lacks the column 'g'"):
        res.predict(NEW[["x"]])


def test_effects_on_the_probabilities_add_up_to_nothing(imp):
    for formula, model, words in CASES.values():
        table = imp.fit(formula, model, **words).marginal_effects()
        estimate = table["estimate"].to_numpy().reshape(3, -1)
        np.testing.assert_allclose(estimate.sum(axis=0), 0.0, atol=1e-12)

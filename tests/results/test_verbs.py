"""Every model of the catalogue with every verb of pooled results: each works, or refuses with one clear error."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from mifit.analysis.models import MODELS
from mifit.errors import ModelError
from support.pooled import imputed


def sets(m=3, n=160):
    """Sets that differ in x; an outcome for every model, groups of four rows."""
    rng = np.random.default_rng(0)
    d = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n)})
    d["g"], d["id"] = pd.Categorical(rng.choice(["u", "v w"], n)), np.repeat(np.arange(n // 4), 4)
    between = np.repeat(rng.normal(size=n // 4) * 0.7, 4)
    d["y"] = 1 + d["x"] + 0.5 * d["z"] + between + rng.normal(size=n)
    d["b"] = (d["x"] + between + rng.logistic(size=n) > 0).astype(int)
    d["c"] = rng.negative_binomial(2, 1 / (1 + np.exp(0.3 * d["x"] + 0.3 * between)))
    d["zi"] = d["c"].where(rng.random(n) > 0.4, 0)
    d["share"] = np.clip(expit(0.5 * d["x"] + rng.normal(size=n)), 0.01, 0.99)
    d["t"], d["event"] = rng.exponential(np.exp(-0.5 * d["x"])), rng.random(n) < 0.8
    d["o"] = pd.Categorical.from_codes(np.digitize(d["x"] + rng.logistic(size=n), [-1, 1]), list("rst"), ordered=True)
    chance = np.column_stack([rng.gumbel(size=n), d["x"] + rng.gumbel(size=n), rng.gumbel(size=n) - d["z"]])
    d["k"] = pd.Categorical(np.array(["a", "b", "c"])[chance.argmax(axis=1)])
    hole = rng.random(n) < 0.2
    return [d.assign(x=d["x"].where(~hole, rng.normal(size=n) + 0.3 * d["y"])) for _ in range(m)]


def expit(z):
    return 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def imp():
    return imputed(sets())


GROUPS = {"groups": "id"}
FEW = {"groups": "id", "subset": "id < 20"}  # their likelihoods loop over groups
WORDS = {
    "ols": ("y", {}), "wls": ("y", {"weights": "t"}), "gls": ("y", {}), "rlm": ("y", {}), "quantreg": ("y", {}),
    "logit": ("b", {}), "probit": ("b", {}), "poisson": ("c", {"exposure": "t"}), "negativebinomial": ("c", {}),
    "generalizedpoisson": ("c", {}), "zeroinflatedpoisson": ("zi", {}), "mnlogit": ("k", {}),
    "ordinal": ("o", {"distr": "logit"}), "betareg": ("share", {}), "glm": ("c", {"family": sm.families.Poisson()}),
    "gee": ("b", {**GROUPS, "family": sm.families.Binomial()}), "mixedlm": ("y", GROUPS),
    "mixed_logit": ("b", GROUPS), "mixed_poisson": ("c", GROUPS), "mixed_ordinal": ("o", GROUPS),
    "phreg": ("t", {"status": "event"}), "conditional_logit": ("b", FEW), "conditional_poisson": ("c", FEW),
    "conditional_mnlogit": ("k", FEW),
}  # fmt: skip

VERBS = {
    "summary": lambda r, d: r.summary().as_text(),
    "summary in ratios": lambda r, d: r.summary(exponentiate=True).as_text(),
    "to_frame": lambda r, d: r.to_frame(),
    "exponentiate": lambda r, d: r.to_frame(exponentiate=True),
    "conf_int": lambda r, d: r.conf_int(),
    "t_test": lambda r, d: r.t_test(slopes(r)[0]),
    "t_test of a matrix": lambda r, d: r.t_test(np.eye(len(r.params))),
    "wald_test": lambda r, d: r.wald_test(slopes(r)),
    "wald_test of a term": lambda r, d: r.wald_test("g"),
    "wald_test_terms": lambda r, d: r.wald_test_terms(),
    "D1": lambda r, d: r.compare(smaller(r), "D1"),
    "D2": lambda r, d: r.compare(smaller(r), "D2"),
    "D2 of likelihoods": lambda r, d: r.compare(smaller(r), "D2", use="likelihood"),
    "D3": lambda r, d: r.compare(smaller(r), "D3"),
    "D4": lambda r, d: r.compare(smaller(r), "D4"),
    "compare": lambda r, d: r.compare(smaller(r)),
    "predict": lambda r, d: r.predict(),
    "get_prediction": lambda r, d: r.get_prediction(d).summary_frame(),
    "marginal_effects": lambda r, d: r.marginal_effects(),
    "mc_error": lambda r, d: r.mc_error(),
    "recommend_m": lambda r, d: r.recommend_m(),
    "to_html": lambda r, d: r.to_html(),
    "to_latex": lambda r, d: r.to_latex(exponentiate=True),
    "to_markdown": lambda r, d: r.to_markdown(),
    "forest": lambda r, d: r.forest(exponentiate=True),
    "rsquared": lambda r, d: r.rsquared_frame(),
    "auc": lambda r, d: r.auc(),
    "results": lambda r, d: r.results[1].summary(),
}

CONDITIONAL = {"conditional_logit", "conditional_poisson", "conditional_mnlogit"}
ROWLESS = {*CONDITIONAL, "zeroinflatedpoisson"}
NO_LIKELIHOOD = {"rlm", "quantreg", "gee"}
REFUSED = {
    **dict.fromkeys(("D2 of likelihoods", "D3", "D4"), NO_LIKELIHOOD),
    "predict": ROWLESS,
    "get_prediction": ROWLESS,
    "marginal_effects": {*ROWLESS, "phreg"},
    "rsquared": set(MODELS) - {"ols", "wls", "gls", "mixedlm", "mixed_logit", "mixed_poisson", "mixed_ordinal"},
    "auc": set(MODELS) - {"logit", "probit", "gee", "conditional_logit", "mixed_logit"},
}


def slopes(res):
    """Names of the coefficients of x and z."""
    return [name for name in res.params.index if name.split(":")[-1] in ("x", "z")]


def smaller(res):
    return res.fits.formula.replace(" + z", "")


def test_the_table_names_every_model():
    assert WORDS.keys() == MODELS.keys()


@pytest.mark.filterwarnings("ignore:Dropped:UserWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("model", WORDS)
def test_every_verb_works_or_refuses_with_a_call_to_paste(imp, model):
    outcome, words = WORDS[model]
    res = imp.fit(f"{outcome} ~ x + z + g", model, **words)
    new = imp[0].head(3)
    for verb, ask in VERBS.items():
        if model in REFUSED.get(verb, ()):
            with pytest.raises(ModelError) as caught:
                ask(res, new)
            assert caught.value.do, verb
            continue
        found = ask(res, new)
        if isinstance(found, pd.DataFrame | pd.Series):
            numbers = found.select_dtypes("number") if isinstance(found, pd.DataFrame) else found
            assert len(found) and not np.isnan(np.asarray(numbers, dtype=float)).any(), verb

"""Imputing again for an analysis that was not foreseen, whatever was wished of the imputations before."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import CongenialityWarning


def frame(n=120, seed=1):
    """A small frame with missing values in three columns and one that is asked for in some rows only."""
    rng = np.random.default_rng(seed)
    out = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "w": rng.integers(1, 4, n).astype(float)})
    out["y"] = out["x"] + out["z"] + rng.normal(size=n)
    out["g"] = rng.choice(["a", "b"], n)
    out["id"] = np.repeat(np.arange(n // 3), 3)
    out["c"] = rng.choice(list("pqrs"), n, p=[0.4, 0.3, 0.2, 0.1])
    out["b"] = (rng.random(n) < 0.5).astype(int)
    out["k"] = np.where(out["b"] == 1, rng.normal(size=n), np.nan)
    for name in ("x", "y", "c", "k"):
        out.loc[rng.random(n) < 0.2, name] = np.nan
    out["f"] = np.where(out.notna().all(axis=1), rng.integers(1, 4, n), 1)  # a row with a missing value stands for one
    return out


#: options of the imputation
WISHES = {
    "weights": {"weights": "w"},
    "frequencies": {"weights": {"frequency": "f"}},
    "by": {"by": "g"},
    "conditional": {"conditional": {"k": "b == 1"}},
    "bounds": {"bounds": {"x": (-5, 5)}},
    "collapse": {"collapse": {"c": {"rest": ["r", "s"]}}},
    "where": {"where": frame().isna()},
    "ignore": {"ignore": "z > 1.5"},
    "kinds": {"kinds": {"b": "nominal"}},
    "derived": {"derived": {"xz": "x * z"}},
    "id": {"id": "id"},
    "pmm": {"methods": {"x": "pmm"}},
    "a method of the outcome": {"methods": {"y": "norm"}},
    "predictors": {"predictors": {"x": ["y", "z"]}},
    "order": {"order": ["x", "y", "c", "k"]},
    "weights and pmm": {"weights": "w", "methods": {"x": "pmm"}},
    "bounds and derived": {"bounds": {"x": (-5, 5)}, "derived": {"xz": "x * z"}},
}

#: analyses that need imputing again
ANALYSES = {
    "interaction": ("y ~ x * z", {}),
    "square": ("y ~ x + I(x ** 2)", {}),
    "weighted": ("y ~ x * z", {"model": "wls", "weights": "w"}),
    "frequencies": ("y ~ x * z", {"model": "glm", "freq_weights": "f"}),
    "another outcome": ("b ~ x * z", {"model": "logit"}),
    "turned": ("x ~ y * z", {}),
    "some rows": ("y ~ x * z", {"subset": "z > 0"}),
}


def made(option, formula):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = [] if formula is None else [formula]
        return frame().mice.impute(*args, m=2, iterations=1, rng=1, **WISHES[option])


@pytest.mark.parametrize("option", WISHES)
def test_an_analysis_that_was_not_foreseen_is_imputed_again_for_whatever_was_wished(option):
    imp = made(option, None)
    for name, (formula, words) in ANALYSES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            res = imp.fit(formula, **words)
        assert np.isfinite(res.to_frame()["estimate"]).all(), name
        assert res.congeniality.word != "absent", name
        again = res.imputations
        kept = again.plan.options
        for word, value in WISHES[option].items():
            granted = getattr(kept, word)
            weighed = word == "weights" and name in ("weighted", "frequencies")
            assert weighed or _same(granted, value), (name, word)


@pytest.mark.parametrize(
    "option, analysis",
    list(itertools.product(["weights", "frequencies", "pmm", "predictors"], ["interaction", "weighted"])),
)
def test_the_call_that_avoids_imputing_again_gives_the_same_numbers(option, analysis):
    formula, words = ANALYSES[analysis]
    with pytest.warns(CongenialityWarning, match="to avoid it: imp = ") as caught:
        res = made(option, None).fit(formula, **words)
    code = next(str(w.message) for w in caught if "to avoid it" in str(w.message)).partition("to avoid it: ")[2]
    code = code.partition("\n")[0]
    scope = {"df": frame(), "mifit": mifit}
    exec(code, scope)  # the call as printed
    with warnings.catch_warnings():
        warnings.simplefilter("error", CongenialityWarning)
        direct = scope["imp"].fit(formula, **words)
    if option == "frequencies" and analysis == "weighted":  # one word for two sorts of weights: the analysis has it
        assert direct.congeniality.word != "absent"
    else:
        pd.testing.assert_frame_equal(direct.to_frame(), res.to_frame())


def _same(granted, value):
    """Whether an option was kept; masks are kept in a smaller form."""
    return granted is not None if isinstance(value, pd.DataFrame) else list(granted) == list(value)

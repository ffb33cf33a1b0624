"""Outcomes that a covariate nearly tells, and levels in 1 % of the rows or in none: named, never a silent zero."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.errors import FitError, PlanError, SeparationWarning

N, RARE = 400, 4
CATEGORIES = ["a", "b", "c", "rare"]


def frame(seed=0):
    """A two-valued outcome, a number, a binary and three levels; nothing missing."""
    rng = np.random.default_rng(seed)
    x, g, b = rng.normal(size=N), rng.choice(list("abc"), N), (rng.random(N) < 0.5).astype(float)
    y = (rng.random(N) < 1 / (1 + np.exp(0.3 - 0.7 * x - 0.5 * b - 0.4 * (g == "b")))).astype(float)
    return pd.DataFrame({"y": y, "x": x, "b": b, "g": g})


def with_rare(**changes):
    """The first four rows at a level of their own, and other columns changed there."""
    found = frame()
    found["g"] = found["g"].where(np.arange(N) >= RARE, "rare")
    for column, value in changes.items():
        found.loc[: RARE - 1, column] = value
    return found


def holed(found, columns, seed=1, keep=0):
    """A fifth of some columns missing, the first rows kept."""
    rng = np.random.default_rng(seed)
    for column in columns:
        found[column] = found[column].mask((rng.random(N) < 0.2) & (np.arange(N) >= keep))
    return found


def impute(found, formula="y ~ x + g", model="logit", **words):
    """A few sets, complete ones."""
    imp = found.mice.impute(formula, model=model, m=3, rng=1, iterations=5, **words)
    asked = [name for name in found if name in formula]
    assert not any(one[asked].isna().any().any() for one in imp)
    return imp


def finite(result):
    """Every figure a finite number, no variance zero."""
    table = result.to_frame()
    assert np.isfinite(table[["estimate", "std_error"]].to_numpy()).all()
    assert (table["std_error"] > 0).all()


def told(found):
    """A binary that is 1 only where the outcome is."""
    return found.assign(b=np.where(found["y"] == 0, 0.0, found["b"]))


SEPARATED = {
    "a complete binary": (lambda: holed(told(frame()), ["x"]), "y ~ x + b", "logit", "b"),
    "an incomplete binary": (lambda: holed(told(frame()), ["b"]), "y ~ x + b", "logit", "b"),
    "every event in the rare level": (lambda: holed(with_rare().assign(y=lambda f: 1.0 * (f["g"] == "rare")), ["x"]),
                                      "y ~ x + g", "logit", r"g\[T.rare\]"),
    "only events in the rare level": (lambda: holed(with_rare(y=1.0), ["x"]), "y ~ x + g", "logit", r"g\[T.rare\]"),
    "and the level incomplete": (lambda: holed(with_rare(y=0.0), ["x", "g"], keep=RARE), "y ~ x + g", "logit",
                                 r"g\[T.rare\]"),
    "only counts of 0": (lambda: holed(with_rare(y=0.0), ["x"]), "y ~ x + g", "poisson", r"g\[T.rare\]"),
    "by a probit": (lambda: holed(with_rare(y=1.0), ["x"]), "y ~ x + g", "probit", r"g\[T.rare\]"),
    "a number": (lambda: holed(frame().assign(y=lambda f: 1.0 * (f["x"] > 0)), ["b"]), "y ~ x + b", "logit", "x"),
}  # fmt: skip


@pytest.mark.parametrize("case", SEPARATED)
def test_a_coefficient_without_a_finite_estimate_is_named(case):
    make, formula, model, name = SEPARATED[case]
    imp = impute(make(), formula, model)
    assert imp.events["event"].str.contains("separation").any()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = imp.fit()
        except FitError as error:  # an older statsmodels stops
            assert re.search(rf"columns : .*{name}", str(error))
            return
    said = [str(one.message) for one in caught if issubclass(one.category, SeparationWarning)]
    assert len(said) == 1 and re.search(rf"estimates of .*{name}.* are not finite", said[0])
    finite(result)
    assert any("not finite there" in note for note in result.notes)


def test_a_rare_level_that_never_dies_is_named_in_a_cox_analysis():
    found = with_rare().drop(columns="y").assign(time=np.random.default_rng(2).exponential(size=N))
    found["died"] = np.where(found["g"] == "rare", 0, np.random.default_rng(3).integers(0, 2, N))
    imp = impute(holed(found, ["x"]), "time ~ x + g", "phreg", status="died")
    with pytest.warns(SeparationWarning, match=r"estimates of g\[T.rare\] are not finite"):
        finite(imp.fit())


@pytest.mark.parametrize("model", ["logit", "ols"])
@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_level_seen_only_where_the_outcome_is_missing_is_refused(model, auxiliary):
    found = holed(with_rare(y=np.nan), ["x"])
    if auxiliary:  # it repeats the outcome's model and tells nothing of that level either
        found["later"] = found["y"].fillna(0.5) + np.random.default_rng(4).normal(size=N)
    with pytest.raises(PlanError, match="'g' is 'rare' only where 'y' is missing") as caught:
        impute(found, model=model)
    call = str(caught.value).splitlines()[-1].partition(" : ")[2]
    scope = {"df": found}
    exec(call, scope)
    finite(impute(scope["df"], model=model).fit())


def test_a_binary_that_varies_only_where_the_outcome_is_missing_is_refused():
    found = holed(frame().assign(b=0.0), ["x"])
    found.loc[:3, ["b", "y"]] = 1.0, np.nan
    with pytest.raises(PlanError, match=r"'b' is 1\.0 only where 'y' is missing"):
        impute(found, "y ~ x + b")


@pytest.mark.parametrize("order", [CATEGORIES, CATEGORIES[::-1]], ids=["last", "first"])
@pytest.mark.parametrize("role", ["covariate", "outcome", "auxiliary", "chained"])
def test_a_category_that_is_never_observed_is_dropped_by_name(role, order):
    found = holed(with_rare(g=None), ["x", "g"])
    found["g"] = pd.Categorical(found["g"], order)
    formula = {"outcome": "g ~ x + b", "auxiliary": "y ~ x + b"}.get(role, "y ~ x + g")
    model = "mnlogit" if role == "outcome" else "logit"
    imp = found.mice.impute(m=2, rng=1) if role == "chained" else impute(found, formula, model)
    assert any("'rare' never observed" in event for event in imp.events["event"])
    assert all((one["g"] != "rare").all() and one["g"].dtype == found["g"].dtype for one in imp)
    result = imp.fit(formula, model=model, uncovered="ignore")
    finite(result)
    assert not any("rare" in name for name in result.params.index)
    assert ("'rare' never observed" in " ".join(str(result.summary()).split())) == (role != "auxiliary")


def test_an_ordered_outcome_with_an_empty_level_drops_it_by_name():
    found = holed(frame(), ["x"])
    cut = np.digitize(frame()["x"] + np.random.default_rng(5).normal(size=N), [-0.5, 0.5])
    found["o"] = pd.Categorical.from_codes(cut, ["low", "middle", "high", "top"], ordered=True)
    found["o"] = found["o"].mask(np.random.default_rng(6).random(N) < 0.2)
    imp = impute(found.drop(columns=["y", "g"]), "o ~ x + b", "ordinal")
    assert imp.events["event"].str.contains("'top' never observed").any()
    finite(imp.fit())


def test_an_empty_cell_of_an_interaction_is_named():
    found = holed(with_rare(b=0.0), ["x"])
    with pytest.raises(FitError, match=r"b:g\[T.rare\]"):
        impute(found, "y ~ x + b * g").fit()


def test_a_level_that_only_the_formula_knows_is_named():
    imp = impute(holed(frame(), ["x", "g"]), f"y ~ x + C(g, levels={CATEGORIES!r})")
    assert imp.events["event"].str.contains(r"dropped .*\[T.rare\]").any()
    with pytest.raises(mifit.MifitError, match=r"\[T.rare\]"):
        imp.fit()

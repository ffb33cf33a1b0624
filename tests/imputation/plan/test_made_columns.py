"""Columns made of others before imputing: named by plan and warning, in step once the printed call is pasted."""

import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import mifit
from mifit import MifitWarning, PlanError
from mifit.imputation.plan.made_columns import APART

N = 300


def full(n=N, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.normal(2, 1, n),
            "z": rng.normal(size=n),
            "g": rng.choice(list("abc"), n),
            "k": rng.choice([1.0, 2.0, 3.0], n),
            "wgt": rng.normal(75, 10, n).round(1),
            "hgt": rng.normal(170, 9, n).round(),
            "a": rng.integers(0, 5, n) * 1.0,
            "b": rng.integers(0, 5, n) * 1.0,
            "c": rng.integers(0, 5, n) * 1.0,
            "trt": rng.integers(0, 2, n) * 1.0,
        }
    )
    frame["y"] = 1 + 0.5 * frame["x"] + 0.3 * frame["z"] + rng.normal(size=n)
    return frame


def with_missing(frame, columns=("x", "g", "k", "wgt", "hgt", "a", "b", "c"), share=0.15, seed=1):
    rng = np.random.default_rng(seed)
    return frame.assign(**{name: frame[name].mask(rng.random(len(frame)) < share) for name in columns})


def flag(truth, *parents):
    """1 and 0, missing where a parent is."""
    return truth.astype(float).where(np.all([p.notna() for p in parents], axis=0))


def cut(x, labels=None):
    return pd.cut(x, [-np.inf, 1, 2, np.inf], labels=labels)


#: what a user adds -> what the plan says it is; the truth of a completed set is the same function of its columns
NUMBERS = {
    "above": (lambda d: {"hi": flag(d.x > 2, d.x)}, {"hi": "x > 2"}),
    "false where missing": (lambda d: {"hi": d.x > 2}, {"hi": "x > 2"}),
    "0 where missing": (lambda d: {"lo": (d.x <= 2).astype(int)}, {"lo": "x <= 2"}),
    "between": (lambda d: {"normal": flag(d.x.between(1, 3), d.x)}, {"normal": "(x > 1) & (x <= 3)"}),
    "square": (lambda d: {"x2": d.x**2}, {"x2": "x ** 2"}),
    "centred square": (lambda d: {"z2": (d.x - d.x.mean()) ** 2}, None),
    "cube": (lambda d: {"x3": d.x**3}, {"x3": "x ** 3"}),
    "log": (lambda d: {"lw": np.log(d.wgt)}, {"lw": "np.log(wgt)"}),
    "standardised log": (lambda d: {"lw": (np.log10(d.wgt) - 1.9) / 0.05}, {"lw": "20 * np.log10(wgt) - 38"}),
    "exp": (lambda d: {"e": np.exp(d.x)}, {"e": "np.exp(x)"}),
    "root": (lambda d: {"r": np.sqrt(d.a)}, {"r": "np.sqrt(a)"}),
    "inverse": (lambda d: {"i": 1 / d.wgt}, {"i": "1 / wgt"}),
    "codes of cut": (lambda d: {"c3": pd.cut(d.x, [-9, 1, 2, 9], labels=False)}, None),
    "quartiles": (lambda d: {"q": pd.qcut(d.x, 4, labels=False)}, None),
    "one code": (lambda d: {"k2": flag(d.k == 2, d.k)}, {"k2": "k == 2"}),
    "one code or less": (lambda d: {"few": flag(d.a <= 1, d.a)}, {"few": "a <= 1"}),
    "sum": (lambda d: {"tot": d.a + d.b + d.c}, {"tot": "a + b + c"}),
    "mean": (lambda d: {"av": d[["a", "b", "c"]].mean(axis=1, skipna=False)}, {"av": "(a + b + c) / 3"}),
    "weighted": (lambda d: {"w": 2 * d.a - 0.5 * d.b + 1}, {"w": "2 * a - 0.5 * b + 1"}),
    "change": (lambda d: {"change": d.x - d.z}, {"change": "x - z"}),
    "bmi": (lambda d: {"bmi": d.wgt / (d.hgt / 100) ** 2}, {"bmi": "10000 * wgt / hgt ** 2"}),
    "ratio": (lambda d: {"r": d.wgt / d.hgt}, {"r": "wgt / hgt"}),
    "product": (lambda d: {"xz": d.x * d.z}, {"xz": "x * z"}),
    "product with 0 and 1": (lambda d: {"xt": d.x * d.trt}, {"xt": "trt * x"}),
    "of what was made": (
        lambda d: {"bmi": d.wgt / d.hgt**2, "fat": flag(d.wgt / d.hgt**2 > 0.0027, d.wgt, d.hgt)},
        {"bmi": "wgt / hgt ** 2", "fat": None},
    ),
}
LEVELS = {
    "cut": lambda d: {"c3": cut(d.x)},
    "cut with labels": lambda d: {"c3": cut(d.x, ["low", "mid", "high"])},
    "text": lambda d: {"c3": cut(d.x, ["low", "mid", "high"]).astype(object)},
    "dummy": lambda d: {"ga": flag(d.g == "a", d.g)},
    "dummy, 0 where missing": lambda d: {"ga": (d.g == "a").astype(int)},
    "dummies": lambda d: {f"g_{v}": d.g == v for v in "abc"},
    "groups": lambda d: {"ab": d.g.map({"a": "first", "b": "first", "c": "last"})},
}


def said(plan):
    found = [event for event in plan.events if APART in event]
    assert len(found) <= 1
    return found[0] if found else ""


def pasted(text, df, **words):
    """What the printed call gives, with fewer sets and iterations."""
    code = re.search(rf"{APART}; (.*) keeps them consistent", text)[1]
    *before, call = code.split("; ")
    space = {"df": df.copy(), "np": np, "pd": pd}
    for line in before:
        exec(line, space)
    assert call.endswith(")")
    given = "".join(f", {word}={value!r}" for word, value in words.items())
    call = call[:-1] + (given if not call.endswith("impute()") else given[2:]) + ")"
    return eval(call, space)


def agree(made, one, frame):
    """Each made column of a completed set is the function of its other columns; observed values are as they were."""
    for name, truth in made(one).items():
        np.testing.assert_allclose(one[name].astype(float), np.asarray(truth, dtype=float), rtol=1e-6)
        known = frame[name].notna() & (frame[name] != 0)  # what was False for a missing value may change
        np.testing.assert_allclose(one[name][known].astype(float), frame[name][known].astype(float))


@pytest.mark.parametrize("formula", [None, "y ~ z + {}"])
@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_made_of_others_is_named_and_the_pasted_call_keeps_every_set_in_step(case, formula):
    make, expected = NUMBERS[case]
    df = with_missing(full())
    made = make(df)
    frame = df.assign(**made)
    if case == "centred square":  # the centre is that of the observed values
        centre = df["x"].mean()
        make = lambda d: {"z2": (d.x - centre) ** 2}  # noqa: E731
    if case == "quartiles":
        edges = pd.qcut(df["x"], 4, retbins=True)[1]
        make = lambda d: {"q": np.digitize(d.x, edges[1:-1], right=True)}  # noqa: E731
    formula = formula and formula.format(next(iter(made)))
    text = said(frame.mice.plan(formula))
    for name, code in (expected or {}).items():
        assert code is None or f"{name!r} is {code} in all" in text
    with pytest.warns(MifitWarning, match=APART):
        frame.mice.impute(formula, m=1, iterations=1, rng=1)
    imp = pasted(text, frame, m=2, iterations=5, rng=1)
    assert said(imp.plan) == ""
    for one in imp:
        assert one.notna().all().all()
        if case == "quartiles":  # any cut between two observed values is as good
            assert one.groupby("q")["x"].agg(["min", "max"]).to_numpy().ravel().tolist() == sorted(
                one.groupby("q")["x"].agg(["min", "max"]).to_numpy().ravel()
            )
        else:
            agree(make, one, frame)


@pytest.mark.parametrize("case", LEVELS)
def test_levels_made_of_others_are_written_into_the_formula(case):
    frame = full()
    frame["y"] += 2.0 * (frame["g"] == "a") + 1.5 * (frame["x"] > 2)
    frame = with_missing(frame).assign(**LEVELS[case](with_missing(frame)))
    name = next(iter(LEVELS[case](frame)))
    imp = pasted(said(frame.mice.plan(f"y ~ z + {name}")), frame, m=5, rng=1)
    assert said(imp.plan) == ""
    assert name not in imp[0]
    assert imp[0].notna().all().all()
    res = imp.fit()
    everything = full()
    everything["y"] += 2.0 * (everything["g"] == "a") + 1.5 * (everything["x"] > 2)
    whole = everything.assign(**{n: pd.Series(v).astype(object) for n, v in LEVELS[case](everything).items()})
    expected = smf.ols(f"y ~ z + C({name})", whole.astype({name: str})).fit()
    spread = np.ptp([0.0, *expected.params.filter(like=name)])
    found = [0.0, *(v for term, v in res.params.items() if term not in ("Intercept", "z"))]
    assert abs(np.ptp(found) - spread) < 4 * expected.bse.filter(like=name).max()


def test_dummies_without_their_category_become_one_column():
    frame = full().drop(columns=["k", "a", "b", "c"])
    frame["y"] += 2.0 * (frame["g"] == "a")
    truth = frame["g"]
    frame = frame.assign(**{f"g_{v}": (frame["g"] == v).astype(float) for v in "abc"}).drop(columns="g")
    frame.loc[np.random.default_rng(3).random(N) < 0.2, ["g_a", "g_b", "g_c"]] = np.nan
    text = said(frame.mice.plan("y ~ z + g_b + g_c"))
    assert text.startswith("one of 'g_a', 'g_b', 'g_c' is 1 in all ")
    imp = pasted(text, frame, m=5, rng=1)
    known = frame["g_a"].notna()
    for one in imp:
        assert set(one["g"]) == {"g_a", "g_b", "g_c"}
        assert (one["g"].str[-1][known] == truth[known]).all()
    params = imp.fit().params
    assert list(params.index) == ["Intercept", "I(g == 'g_b')[T.True]", "I(g == 'g_c')[T.True]", "z"]
    assert params.iloc[1] == pytest.approx(-2, abs=0.6)
    assert params.iloc[2] == pytest.approx(-2, abs=0.6)


def test_what_is_observed_where_its_source_is_missing_is_kept_or_made_anew():
    whole = full()
    frame = with_missing(whole).assign(hi=flag(whole["x"] > 2, whole["x"]), x2=whole["x"] ** 2)
    imp = pasted(said(frame.mice.plan("y ~ x + z")), frame, m=2, iterations=5, rng=1)
    for one in imp:
        assert ((one["x"] > 2) == (frame["hi"] == 1)).all()
        np.testing.assert_allclose(one["x2"], one["x"] ** 2)


def test_other_options_stay_and_those_of_the_made_column_go():
    frame = with_missing(full()).assign(x2=lambda d: d.x**2)
    text = said(
        frame.mice.plan(
            "y ~ x + z", methods={"x2": "norm", "wgt": "norm"}, order=["x2", "x"], derived={"s": "a + b"},
            bounds={"wgt": (0, None)}, iterations=7, auxiliary="response",
        )
    )  # fmt: skip
    assert text.endswith(
        "df.mice.impute('y ~ x + z', methods={'wgt': 'norm'}, order=['x'], iterations=7, "
        "derived={'s': 'a + b', 'x2': 'x ** 2'}, bounds={'wgt': (0, None)}) keeps them consistent"
    )


def test_an_analysis_of_a_sum_and_all_it_sums_is_refused():
    df = with_missing(full()).assign(tot=lambda d: d.a + d.b)
    assert "derived={'tot': 'a + b'}" in said(df.mice.plan("y ~ a + tot"))
    with pytest.raises(PlanError, match="cannot tell their coefficients apart") as caught:
        df.mice.impute("y ~ a + b + tot", m=2, rng=1)
    assert caught.value.do == "df.mice.impute('y ~ a + b', derived={'tot': 'a + b'}, m=2, rng=1)"
    for one in eval(caught.value.do):
        np.testing.assert_allclose(one["tot"], one["a"] + one["b"])


def random_frame(kind, n, p, seed):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 3)) @ rng.normal(size=(3, p)) + rng.normal(size=(n, p))
    columns = {
        "binary": lambda v: (v > rng.normal()).astype(float),
        "rare": lambda v: (v > np.quantile(v, 1 - 4 / n)).astype(float) * (rng.random(n) < 0.8),
        "scale": lambda v: np.clip(np.round(v + 3), 1, 6),
        "count": lambda v: np.clip(np.round(2 * v + 4), 0, None),
        "number": lambda v: v,
        "rounded": lambda v: v.round(1) + 30,
        "text": lambda v: np.array(list("abcde"))[np.clip(np.round(v + 2), 0, 4).astype(int)],
    }
    names = list(columns) if kind == "all" else [kind]
    made = {f"{names[j % len(names)]}{j}": columns[names[j % len(names)]](latent[:, j]) for j in range(p)}
    frame = pd.DataFrame(made)
    return frame.mask(rng.random(frame.shape) < 0.1)


@pytest.mark.parametrize("n", [25, 60, 200, 1000])
@pytest.mark.parametrize("kind", ["binary", "rare", "scale", "count", "number", "rounded", "text", "all"])
def test_unrelated_columns_are_not_named(kind, n):
    for seed in range(4):  # 128 frames: none may be named; the chance that one is lies below 1e-6
        frame = random_frame(kind, n, 12, seed)
        try:
            plan = frame.mice.plan()
        except mifit.MifitError:  # a frame too small for its levels is refused for other reasons
            continue
        assert said(plan) == ""


@pytest.mark.parametrize(
    "made",
    [
        lambda d: {"near": d.x**2 + 1e-3 * d.z},
        lambda d: {"near": d.a + d.b + (np.arange(N) == 30)},  # one row apart
        lambda d: {"near": flag((d.x > 2) ^ (np.arange(N) == np.nanargmin(d.x)), d.x)},
        lambda d: {"rare": flag(d.x > np.sort(d.x.dropna())[-4], d.x)},  # three rows tell nothing
        lambda d: {"few": (d.x > 2).astype(float).where(np.arange(N) < 9)},
    ],
)
def test_near_functions_and_accidents_are_not_named(made):
    df = with_missing(full())
    assert said(df.assign(**made(df)).mice.plan("y ~ x + z")) == ""


def test_functions_of_complete_columns_and_those_of_a_questionnaire_are_not_named():
    whole = full()
    assert said(with_missing(whole, ["g"]).assign(hi=whole["x"] > 2, x2=whole["x"] ** 2).mice.plan()) == ""
    asked = with_missing(whole, ["wgt"]).assign(smokes=(whole["a"] > 0).astype(float))
    asked["cigarettes"] = with_missing(whole)["a"].where(asked["smokes"] == 1)
    assert said(asked.drop(columns="a").mice.plan(conditional={"cigarettes": "smokes == 1"})) == ""

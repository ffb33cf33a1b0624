"""Relations: bounds of derived columns truncate draws of their parents; observed derived values are given exactly."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mifit
from mifit import ImputationError, PlanError
from mifit.formula.linear import linear_in
from mifit.frame.kinds import Kind

FAST: dict[str, Any] = {"m": 2, "rng": 1, "iterations": 4}
GAP = {"derived": {"gap": "hi - lo"}, "bounds": {"gap": (0, None)}}


def pressures(n=3000, seed=0):
    """Two normals of which only rows with hi above lo are seen; each is missing in a fifth, both in a twentieth."""
    rng = np.random.default_rng(seed)
    lo = rng.normal(size=n)
    hi = 0.5 + 0.6 * lo + rng.normal(size=n)
    frame = pd.DataFrame({"lo": lo, "hi": hi, "y": rng.normal(size=n)})[hi > lo].reset_index(drop=True)
    u = rng.random(len(frame))
    frame["lo"] = frame["lo"].mask(u < 0.2)
    frame["hi"] = frame["hi"].mask((u > 0.15) & (u < 0.35))
    return frame


@pytest.mark.parametrize("formula", [None, "y ~ lo + hi"])
def test_a_bounded_difference_has_the_law_of_the_truncated_normal(formula):
    """The conditionals of a bivariate normal cut off at hi > lo are truncated normals of the untruncated ones."""
    frame = pressures(4000)
    methods = {"lo": "norm", "hi": "norm"}
    done = frame.mice.impute(formula, **GAP, methods=methods, m=2, rng=1)[0]
    mean = 0.5 + 0.6 * done["lo"]
    share = 1 - stats.norm.sf(done["hi"] - mean) / stats.norm.sf(done["lo"] - mean)
    one, both = frame["hi"].isna() & frame["lo"].notna(), frame["hi"].isna() & frame["lo"].isna()
    # about 500 and 200 draws at drawn parameters: false alarm below 1e-3 each
    assert stats.kstest(share[one], "uniform").pvalue > 1e-3
    assert stats.kstest(share[both], "uniform").pvalue > 1e-3
    gap, seen = done["hi"] - done["lo"], (frame["hi"] - frame["lo"]).dropna()
    assert gap.min() >= 0
    assert stats.ks_2samp(gap[both], seen).pvalue > 1e-3
    free = frame.mice.impute(formula, derived=GAP["derived"], methods=methods, m=2, rng=1)[0]
    assert (free["hi"] < free["lo"]).sum() > 20  # the test can fail


@dataclass(frozen=True)
class Shifted:
    """A method of a user's: values around the mean, whatever the predictors say."""

    by: float = 0.0
    kinds: ClassVar = frozenset({Kind.NUMERIC, Kind.COUNT})
    reference: ClassVar = ""

    def fit(self, visit, rng):
        return ShiftedFitted(float(np.mean(visit.y)) + self.by, float(np.std(visit.y)))


@dataclass(frozen=True)
class ShiftedFitted:
    mean: float
    sd: float
    warm: Any = None
    events: tuple = ()

    def sample(self, X, rng, shift=0.0):
        return self.mean + self.sd * rng.standard_normal(len(X))


@pytest.mark.parametrize(
    ("method", "formula"),
    [
        ("norm", None),
        ("pmm", None),
        ("power", None),
        (Shifted(), None),
        ("norm", "y ~ lo * hi"),
        ("power", "y ~ lo * hi"),
    ],
    ids=["norm", "pmm", "power", "own", "norm with an analysis", "power with an analysis"],
)
def test_no_method_leaves_the_bounds_of_a_derived_column(method, formula):
    frame = pressures(400)
    imp = frame.mice.impute(formula, **GAP, methods={"lo": method, "hi": method}, **FAST)
    for done in imp:
        assert (done["hi"] >= done["lo"]).all() and (done["gap"] >= 0).all()
        assert done["hi"].nunique() > 0.9 * len(frame) or method == "pmm"


def counts(n=300, seed=3):
    """Parts of a whole as counts, a rating, and a truth value."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.poisson(4, n), "b": rng.poisson(6, n), "z": rng.normal(size=n)}).astype("float64")
    frame["r"] = rng.integers(1, 6, n).astype(float)
    frame["flag"] = rng.random(n) < 0.5
    frame["y"] = frame["a"] + frame["z"] + rng.normal(size=n)
    return frame


@pytest.mark.parametrize("formula", [None, "y ~ a + b + r + flag"])
@pytest.mark.parametrize(
    ("derived", "bounds"),
    [
        ({"d": "a + b"}, (5, 15)),
        ({"d": "a * r"}, (None, 20)),
        ({"d": "a * flag"}, (None, 6)),
        ({"d": "np.sqrt(a + 1) * r"}, (None, 9)),
        ({"half": "a / 2", "d": "half + r"}, (2, 6)),
        ({"d": "a - z"}, ("least", None)),
    ],
)
def test_counts_ratings_truth_values_curves_and_columns_of_columns_keep_their_bounds(formula, derived, bounds):
    frame = counts().assign(least=-2.0)
    made = frame.eval("half = a / 2") if "half" in derived else frame
    d = eval(derived["d"], {"np": np, **{c: made[c] for c in made}})
    low = -np.inf if bounds[0] is None else frame["least"] if bounds[0] == "least" else bounds[0]
    high = np.inf if bounds[1] is None else bounds[1]
    frame = frame[(d >= low) & (d <= high)].reset_index(drop=True)
    rng = np.random.default_rng(1)
    for name in ["a", "b", "r", "flag"]:
        gone = rng.random(len(frame)) < 0.2
        frame[name] = frame[name].astype("boolean").mask(gone) if name == "flag" else frame[name].mask(gone)
    imp = frame.mice.impute(formula, derived=derived, bounds={"d": bounds}, methods={"least": "leave"}, **FAST)
    for done in imp:
        assert not done.isna().any().any()
        assert (done["d"] >= (-2 if bounds[0] == "least" else low)).all() and (done["d"] <= high).all()


def test_whole_numbers_keep_the_bounds_of_their_sum_when_they_are_rounded():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.integers(300, 340, (300, 3)), columns=list("abc"))
    frame = frame[frame.sum(axis=1) <= 960].reset_index(drop=True).astype("Int64")
    for name in "abc":
        frame[name] = frame[name].mask(pd.Series(rng.random(len(frame)) < 0.3))
    option = {"derived": {"s": "a + b + c"}, "bounds": {"s": (None, 960)}, "methods": dict.fromkeys("abc", "norm")}
    for done in frame.mice.impute(**option, **FAST):
        assert (done[list("abc")].sum(axis=1) <= 960).all() and (done.dtypes[list("abc")] == "Int64").all()


def test_complete_rows_outside_are_refused_by_count_and_row_with_a_call_that_runs():
    frame = pressures(300)
    frame.loc[frame.dropna().index[:3], "hi"] = -9.0
    with pytest.raises(PlanError, match="'gap' lies outside its bounds in 3 of") as caught:
        frame.mice.impute(**GAP, **FAST)
    assert caught.value.lines["rows"].count(":") == 3
    eval(caught.value.do.replace("impute(", "plan("), {"df": frame})


def test_what_cannot_be_drawn_within_is_one_error_and_never_a_set():
    frame = pressures(300)
    frame.loc[frame.index[frame["lo"].isna() & frame["hi"].notna()][0], "hi"] = -50.0
    with pytest.raises(ImputationError, match="1 completed values of 'gap' lie outside") as caught:
        frame.mice.impute(**GAP, methods={"lo": Shifted()}, **FAST)
    assert "gap = hi - lo" in str(caught.value)


@pytest.mark.parametrize("word", ["censored", "truncated"])
def test_a_derived_column_takes_bounds_only(word):
    with pytest.raises(PlanError, match="'gap' is derived") as caught:
        pressures(100).mice.impute(derived=GAP["derived"], **{word: {"gap": (0, None)}}, **FAST)
    assert "bounds={'gap': (0, None)}" in caught.value.do


COVARIANCE = np.array([[4.0, 1.5, 0.5], [1.5, 3.0, 0.8], [0.5, 0.8, 2.0]])


def parts(n=2000, seed=0, full=False):
    """Three correlated normals and their observed total; two or all three are missing in half of the rows."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.multivariate_normal([5.0, 3.0, 1.0], COVARIANCE, n), columns=list("abc"))
    frame["tot"] = frame.sum(axis=1)
    if full:
        return frame
    frame.loc[: n // 4, ["a", "b"]] = np.nan
    frame.loc[n // 4 + 1 : n // 2, ["a", "b", "c"]] = np.nan
    return frame


def test_parts_given_their_total_have_the_conditional_law_of_the_multivariate_normal():
    frame = parts()
    imp = frame.mice.impute(derived={"tot": "a + b + c"}, methods=dict.fromkeys("abc", "norm"), m=2, rng=1)
    done = imp[0]
    np.testing.assert_allclose(done[["a", "b", "c"]].sum(axis=1), frame["tot"], rtol=1e-12)
    assert done["a"].notna().all() and (done["tot"] == frame["tot"]).all()
    mean = np.array([5.0, 3.0, 1.0])
    # (a, a + b, c) and (a, b, a + b + c): the first given the others, the first two given the last
    for rows, known, asked in (
        (slice(0, 500), [[1, 1, 0], [0, 0, 1]], [1, 0, 0]),
        (slice(501, 1000), [[1, 1, 1]], [1, -1, 0]),
    ):
        A = np.array([asked, *known], dtype=float)
        V, centre = A @ COVARIANCE @ A.T, A @ mean
        pull = np.linalg.solve(V[1:, 1:], V[1:, 0])
        values = done[list("abc")].to_numpy()[rows] @ A.T
        expected = centre[0] + (values[:, 1:] - centre[1:]) @ pull
        z = (values[:, 0] - expected) / np.sqrt(V[0, 0] - V[0, 1:] @ pull)
        assert stats.kstest(z, "norm").pvalue > 1e-3  # 500 draws at drawn parameters: false alarm below 1e-3


@pytest.mark.parametrize("formula", ["y ~ a + b", "y ~ a * z", "np.log(y) ~ a + b + c"])
def test_an_analysis_of_parts_whose_total_was_observed_is_recovered(formula):
    rng = np.random.default_rng(5)
    frame = parts(1200)
    full = parts(1200).assign(
        **{
            c: np.random.default_rng(0).multivariate_normal([5.0, 3.0, 1.0], COVARIANCE, 1200)[:, k]
            for k, c in enumerate("abc")
        }
    )
    frame["z"] = rng.normal(size=1200)
    eta = {"y ~ a + b": full["a"] - full["b"], "y ~ a * z": full["a"] * frame["z"] + full["a"]}.get(
        formula, full["a"] - full["b"]
    )
    frame["y"] = eta + rng.normal(size=1200)
    if formula.startswith("np.log"):
        frame["y"] = np.exp(frame["y"])
    imp = frame.mice.impute(formula, derived={"tot": "a + b + c"}, methods=dict.fromkeys("abc", "norm"), m=4, rng=1)
    res = imp.fit()
    assert set(imp.check()["verdict"]) == {"exact"}
    truth = {"y ~ a * z": {"a": 1.0, "a:z": 1.0}}.get(formula, {"a": 1.0, "b": -1.0})
    for name, value in truth.items():
        assert abs(res.params[name] - value) < 4.5 * res.bse[name]  # false alarm 1e-4 for each analysis


@pytest.mark.parametrize("formula", [None, "y ~ q0 + q1"])
@pytest.mark.parametrize("dtype", ["float64", "Int64", "count"])
def test_totals_of_ratings_whole_numbers_and_counts_stay_whole_and_exact(formula, dtype):
    rng = np.random.default_rng(6)
    items = [f"q{k}" for k in range(4)]
    frame = pd.DataFrame({q: np.clip(np.rint(3 + rng.normal(size=200)), 1, 5) for q in items})
    if dtype == "count":
        frame = pd.DataFrame({q: rng.poisson(8, 200).astype(float) for q in items})
    elif dtype == "Int64":
        frame = pd.DataFrame({q: rng.integers(100, 300, 200).astype(float) for q in items})
    frame["total"] = frame[items].sum(axis=1)
    frame["y"] = frame["q0"] + rng.normal(size=200)
    full = frame.copy()
    gone = rng.random((200, 4)) < 0.4
    frame[items] = frame[items].mask(gone)
    if dtype == "Int64":
        frame = frame.astype(dict.fromkeys([*items, "total"], "Int64"))
    kinds = dict.fromkeys(items, "count") if dtype == "count" else None
    imp = frame.mice.impute(formula, derived={"total": "q0 + q1 + q2 + q3"}, kinds=kinds, **FAST)
    drawn = items
    for done in imp:
        assert (done[drawn].sum(axis=1) == full["total"]).all()
        assert (done[drawn].dtypes == frame[drawn].dtypes).all()
        assert done["q0"].between(full["q0"].min() - 400, full["q0"].max() + 400).all()
        if dtype == "float64":
            assert done[items].isin([1, 2, 3, 4, 5]).all().all()


def test_bounds_of_the_parts_hold_and_a_total_at_the_very_end_too():
    rng = np.random.default_rng(7)
    frame = pd.DataFrame(rng.uniform(0, 1, (300, 5)), columns=list("abcde"))
    frame.iloc[:5] = 0.999
    frame["tot"] = frame.sum(axis=1)
    frame.loc[:99, list("abcd")] = np.nan
    option = {"bounds": dict.fromkeys("abcd", (0, 1)), "methods": dict.fromkeys("abcd", "norm")}
    for done in frame.mice.impute(derived={"tot": "a + b + c + d + e"}, **option, **FAST):
        assert done[list("abcd")].stack().between(0, 1).all()
        np.testing.assert_allclose(done[list("abcde")].sum(axis=1), frame["tot"], rtol=1e-12)
    tight = {**option, "bounds": dict.fromkeys("abcd", (0, 0.99999))}
    frame.loc[0, "tot"] = 4.9999
    with pytest.raises(ImputationError, match="within their bounds give the observed 'tot' in 1 rows"):
        frame.mice.impute(derived={"tot": "a + b + c + d + e"}, **tight, **FAST)


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ a * x", "y ~ np.log(b) + x"])
def test_parts_on_a_power_scale_stay_above_0_whatever_their_total(formula):
    rng = np.random.default_rng(3)
    n = 150
    frame = pd.DataFrame({"a": rng.gamma(3, 2, n), "b": rng.gamma(2, 2, n), "c": rng.gamma(4, 1, n)})
    frame["x"] = rng.normal(size=n) + frame["a"] / 3
    frame["tot"] = frame["a"] + frame["b"] + frame["c"]
    frame["y"] = frame["tot"] + rng.normal(size=n)
    for name in "abcx":
        frame.loc[rng.random(n) < 0.25, name] = np.nan
    option = {"derived": {"tot": "a + b + c"}, "methods": {"a": "power", "b": "power", "c": "power"}}
    for done in frame.mice.impute(formula, **option, **FAST):
        assert done.notna().all(axis=None) and (done[list("abc")] > 0).all(axis=None)
        np.testing.assert_allclose(done[list("abc")].sum(axis=1), done["tot"], rtol=1e-12)
    missing = frame[["a", "b"]].isna().all(axis=1) & frame["c"].notna()
    frame.loc[missing, "tot"] = frame["c"] - 1.0  # no two numbers above 0 give it: the advice takes a normal model
    with pytest.raises(ImputationError, match="give the observed 'tot'") as caught:
        frame.mice.impute(formula.replace("np.log(b)", "b"), **option, **FAST)
    assert str(caught.value).startswith("no values")
    for done in eval(str(caught.value.do), {"df": frame}):
        np.testing.assert_allclose(done[list("abc")].sum(axis=1), done["tot"], rtol=1e-12)


def test_a_method_without_a_density_is_refused_where_it_would_have_to_give_a_total():
    with pytest.raises(PlanError, match="'pmm' has no density, and 'a'") as caught:
        parts(200).mice.impute(derived={"tot": "a + b + c"}, methods={"a": "pmm"}, **FAST)
    assert "'a': 'norm'" in caught.value.do and "derived=" in caught.value.do
    assert parts(200).mice.plan(derived={"tot": "a + b + c"})["a"].label == "norm"


def test_relations_follow_into_files_workers_groups_more_sweeps_new_rows_and_explanations(tmp_path):
    frame = parts(200).assign(site=np.arange(200) % 2)
    frame["least"] = frame["tot"] * 0 - 9.0
    option = {
        "derived": {"tot": "a + b + c", "gap": "a - b"},
        "bounds": {"gap": (-9, 9)},
        "methods": {"least": "leave"},
    }
    imp = frame.mice.impute(**option, **FAST)
    later = frame.mice.impute(**option, m=2, rng=1, iterations=2, n_jobs=2).extend(iterations=2)
    pd.testing.assert_frame_equal(imp[1], later[1], check_exact=True)
    imp.save(tmp_path / "one.mifit")
    pd.testing.assert_frame_equal(mifit.load(tmp_path / "one.mifit").extend(1)[2], imp.extend(1)[2], check_exact=True)
    new = parts(60, seed=8).assign(site=0, least=-9.0)
    for done in (*imp.impute_new(new), *frame.mice.impute(**option, by="site", **FAST)):
        np.testing.assert_allclose(done[list("abc")].sum(axis=1), done["tot"], rtol=1e-9)
        assert (done["a"] - done["b"]).abs().max() <= 9
    assert "drawn together with" in str(imp.explain(0, "a"))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a + 2 * b - c / 3", "abc"),
        ("a * b", "ab"),
        ("a / b", "a"),
        ("-(a - b) * 2", "ab"),
        ("a * a", ""),
        ("np.log(a) + b", "b"),
        ("a > b", ""),
        ("np.maximum(a, b) + c", "c"),
        ("Q('a') + I(b)", "ab"),
        ("a ** 1 + b", "b"),
    ],
)
def test_an_expression_is_linear_in_a_column_only_if_it_is_written_so(code, found):
    assert linear_in(code, list("abc")) == frozenset(found)


@pytest.mark.parametrize("of_hi", [0.0, 0.3], ids=["hi complete where asked", "hi incomplete"])
@pytest.mark.parametrize("of_g", [0.0, 0.15], ids=["condition known", "condition incomplete"])
@pytest.mark.parametrize("words", [{}, {"by": "site"}], ids=["", "by"])
def test_a_bound_of_a_derived_column_holds_nothing_where_a_parent_is_not_asked_for(of_hi, of_g, words):
    """Rows of b have no hi: their lo is drawn as if there were no bound. A mean of 400 draws of N(70, 8) away by more
    than 5 standard errors, 2, has probability below 1e-5."""
    rng = np.random.default_rng(3)
    n = 800
    lo = rng.normal(70, 8, n)
    frame = pd.DataFrame({"lo": lo, "hi": lo + rng.uniform(1, 9, n), "g": rng.choice(["a", "b"], n), "site": "s"})
    frame["site"] = np.resize(["s", "t"], n)
    elsewhere = (frame["g"] == "b").to_numpy()
    frame["hi"] = frame["hi"].mask(elsewhere | (rng.random(n) < of_hi))
    frame["lo"] = frame["lo"].mask(rng.random(n) < 0.3)
    frame["g"] = frame["g"].mask(rng.random(n) < of_g)
    gone = frame["lo"].isna().to_numpy() & elsewhere
    imp = frame.mice.impute(
        m=4, rng=1, iterations=4, n_jobs=1, conditional={"hi": "g == 'a'"}, derived={"gap": "hi - lo"},
        bounds={"gap": (0, 10)}, **words,
    )  # fmt: skip
    for done in imp:
        there = (done["g"] == "a").to_numpy()
        assert done["hi"].notna().to_numpy()[there].all() and done["hi"].isna().to_numpy()[~there].all()
        gap = (done["hi"] - done["lo"])[there]
        assert gap.between(-1e-6, 10 + 1e-6).all()
    drawn = np.concatenate([done["lo"].to_numpy()[gone & (done["g"] == "b").to_numpy()] for done in imp])
    assert abs(drawn.mean() - lo[elsewhere].mean()) < 2 and drawn.std() > 6


def test_a_truncated_column_is_refused_where_it_is_observed_outside_even_if_nothing_is_missing():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=90), "y": rng.normal(size=90)})
    frame.loc[::5, "x"] = np.nan
    with pytest.raises(PlanError, match=r"'y' is truncated, and \d+ of 90 observed values lie outside"):
        frame.mice.plan("y ~ x", truncated={"y": (0, None)})
    frame["y"] = frame["y"].abs()
    assert "x" in str(frame.mice.plan("y ~ x", truncated={"y": (0, None)}))


def test_a_column_that_is_left_alone_may_say_where_another_lies():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=200), "k": rng.normal(10, 2, 200)})
    rough = rng.random(200) < 0.4
    frame["low"] = np.floor(frame["k"]).where(rough)
    frame["high"] = frame["low"] + 1
    frame["k"] = frame["k"].mask(rough)
    left = {"low": "leave", "high": "leave"}
    imp = frame.mice.impute("k ~ x", censored={"k": ("low", "high")}, methods=left, m=2, rng=1, iterations=3)
    for done in imp:
        assert done["k"][rough].between(frame["low"][rough], frame["high"][rough]).all()


def test_items_of_a_total_that_have_no_bounds_are_said_to_leave_their_range_with_the_call_that_keeps_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({name: rng.integers(0, 5, 150) * 1.0 for name in "abc"})
    frame["tot"] = frame.sum(axis=1)
    frame["y"] = frame["tot"] + rng.normal(size=150)
    frame[["a", "b", "c"]] = frame[["a", "b", "c"]].mask(rng.random((150, 3)) < 0.25)
    derived = {"tot": "a + b + c"}
    events = frame.mice.plan("y ~ tot", derived=derived).events
    text = next(event for event in events if "not within the range that was observed" in event)
    call = text.partition("with it: ")[2]
    assert "bounds={'a': (0, 4), 'b': (0, 4), 'c': (0, 4)}" in call
    imp = eval(call[:-1] + ", m=2, iterations=5, rng=1)", {"df": frame})
    for one in imp:
        assert set(one[["a", "b", "c"]].to_numpy().ravel()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
        np.testing.assert_array_equal(one[["a", "b", "c"]].sum(axis=1), frame["tot"])
    assert not [event for event in imp.plan.events if "not within the range" in event]

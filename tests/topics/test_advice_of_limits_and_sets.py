"""Advice that keeps what is known: limits written as text, sets of other programs, subsets, analyses beside others."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit import CongenialityError, DataError, ModelError, PlanError

N = 200
FAST = {"m": 2, "iterations": 2, "rng": 1}
pytestmark = pytest.mark.filterwarnings("ignore::mifit.MifitWarning")


def frame():
    rng = np.random.default_rng(1)
    out = pd.DataFrame({"age": rng.normal(50, 10, N), "bmi": rng.normal(27, 4, N), "z": rng.normal(size=N)})
    out["chl"] = rng.normal(190, 30, N) + out["age"] + out["bmi"]
    for name in ("bmi", "chl"):
        out.loc[rng.random(N) < 0.2, name] = np.nan
    return out


def pasted(code, **names):
    """Run a line as its reader does; the value of the last statement, and the names afterwards."""
    names = {"pd": pd, "np": np, "mifit": mifit, **names}
    *before, last = code.split("; ")
    exec("; ".join(before), names)
    return eval(last, names), names


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("limit", ["<0.3", "< 0.3", "<=0.3", "\u22640.3", " <0.3 "])
@pytest.mark.parametrize("kept", ["numbers", "text", "decimal comma"])
def test_a_limit_written_as_text_becomes_what_is_known_of_the_value(kept, limit, both):
    df = frame()
    crp = (df["bmi"] - 26).abs().round(2)
    low, high = crp < 0.3, (crp > 5) & both
    column = crp.astype(object) if kept == "numbers" else crp.map("{:.2f}".format, na_action="ignore").astype(object)
    column[low], column[high] = limit, ">5"
    if kept == "decimal comma":
        column = column.map(lambda v: v.replace(".", ","), na_action="ignore")
    df["crp"] = column
    with pytest.raises(DataError) as caught:
        df.mice.impute("chl ~ age + crp", bounds={"chl": (0, None)}, **FAST)
    assert "missing" not in caught.value.fact or kept == "numbers"
    assert "bounds={'chl': (0, None)}" in caught.value.do
    imp, _ = pasted(caught.value.do, df=df)
    seen = crp.notna() & ~low & ~high
    for one in imp:
        assert one["crp"].notna().all() and (one["crp"][low] <= 0.3).all() and (one["crp"][high] >= 5).all()
        np.testing.assert_array_equal(one["crp"][seen], crp[seen])
    assert (imp[0]["crp"] != imp[1]["crp"])[~seen].mean() > 0.9


@pytest.mark.parametrize("word", ["bounds", "censored", "truncated"])
def test_an_unknown_end_leaves_the_known_one(word):
    df = frame().assign(ceiling=60.0)
    for pair, wanted in (((0, "celing"), "(0, 'ceiling')"), ((0, "q"), "(0, None)")):
        with pytest.raises(PlanError, match="neither a number nor a column") as caught:
            df.mice.impute("chl ~ age + bmi", **{word: {"bmi": pair, "chl": (0, 999)}}, **FAST)
        assert f"{word}={{'bmi': {wanted}, 'chl': (0, 999)}}" in caught.value.do
    assert len(pasted(caught.value.do, df=df)[0]) == 2


def long_sets():
    imp = frame().mice.impute("chl ~ age + bmi", **FAST)
    return imp, imp.to_long().reset_index(drop=True)


def test_the_columns_of_stata_and_of_written_row_names_are_read():
    imp, long = long_sets()
    stata = long.rename(columns={".imp": "_mi_m", ".id": "_mi_id"})
    marked = stata.assign(_mi_miss=np.where(stata["_mi_m"] == 0, stata["bmi"].isna() * 1.0, np.nan))
    written = long.copy()
    written.insert(0, "Unnamed: 0", np.arange(len(long)) + 1)
    for one in (stata, marked, written):
        found = mifit.from_long(one)
        assert list(found[0].columns) == ["age", "bmi", "z", "chl"] and found.m == 2
        np.testing.assert_array_equal(found[1]["bmi"], imp[1]["bmi"])


def test_an_incomplete_frame_that_lacks_a_column_is_said_by_name():
    imp, long = long_sets()
    fewer, drawn, completed = frame()[["age", "bmi", "z"]], long[long[".imp"] > 0], list(imp)
    for call in (
        lambda: mifit.from_long(drawn, original=fewer),
        lambda: mifit.from_frames(completed, original=fewer),
    ):
        with pytest.raises(DataError, match=r"original= lacks a column of the sets: 'chl'") as caught:
            call()
        found, _ = pasted(caught.value.do, drawn=drawn, completed=completed, fewer=fewer)
        np.testing.assert_array_equal(found[0]["bmi"], imp[0]["bmi"])


def test_what_is_advised_of_sets_has_the_names_that_the_user_gave():
    imp, long = long_sets()
    mine, incomplete = long[long[".imp"] > 0], frame()[["age", "bmi", "z"]]
    with pytest.raises(DataError) as caught:
        mifit.from_long(mine, original=incomplete)
    assert caught.value.do == "mifit.from_long(mine.drop(columns=['chl']), original=incomplete)"
    assert str(caught.value).endswith(caught.value.do)
    again, other = frame().sample(frac=1, random_state=1), list(imp)
    with pytest.raises(DataError, match="another order") as caught:
        mifit.from_frames(other, original=again)
    found, _ = pasted(caught.value.do, other=other, again=again)
    np.testing.assert_array_equal(found[1]["chl"], imp[1]["chl"])


def test_sets_made_elsewhere_say_that_the_advised_call_imputes_anew():
    elsewhere = mifit.from_long(long_sets()[1])
    for call in (lambda: elsewhere.extend(2), elsewhere.convergence, lambda: elsewhere.impute_new(frame())):
        with pytest.raises(PlanError, match="the call below imputes anew") as caught:
            call()
        pasted(caught.value.do.replace("m=20", "m=2"), df=frame())


@pytest.mark.parametrize(
    ("subset", "meant"),
    [
        ("age >", None),
        ("age > 50 and", None),
        ("(age > 50", "(age > 50)"),
        ("agee > 50", "age > 50"),
        ("Age > 50 and zz < 0", None),
        ("grp = 'b'", "grp == 'b'"),
        ("grp > 1", None),
        ("age + 1", None),
        ("`odd nme` > 0", None),
        ("", None),
    ],
)
def test_a_subset_that_is_no_condition_is_answered_by_one_that_runs(subset, meant):
    df = frame().assign(grp=np.where(np.arange(N) % 3 == 0, "b", "a"), **{"odd name": np.arange(N) - 50.0})
    imp = df.mice.impute("chl ~ age + bmi", **FAST)
    with pytest.raises(DataError, match="the subset") as caught:
        imp.fit("chl ~ age + bmi", subset=subset, uncovered="ignore")
    assert repr(subset) not in caught.value.do and "uncovered='ignore'" in caught.value.do
    assert "<unknown>" not in str(caught.value)
    res, _ = pasted(caught.value.do, imp=imp)
    if meant is not None:
        assert res.nobs == len(imp[0].query(meant))


def test_a_mask_with_other_labels_is_called_by_its_own_name():
    imp = frame().mice.impute("chl ~ age + bmi", **FAST)
    older = pd.Series(imp[0]["age"].to_numpy() > 50, index=np.arange(N) + 1)
    with pytest.raises(DataError, match="other row labels") as caught:
        imp.fit("chl ~ age + bmi", subset=older, uncovered="ignore")
    res, _ = pasted(caught.value.do, imp=imp, older=older)
    assert res.nobs == older.sum()


def test_measures_of_fit_do_not_send_in_a_circle():
    df = frame().assign(dead=(np.arange(N) % 2).astype(float), k=np.arange(N) % 5, t=np.arange(N) / N + 0.1)
    fits = [("t ~ age + bmi", {"model": "phreg", "status": "dead"}), ("k ~ age + bmi", {"model": "poisson"})]
    fits += [("dead ~ age + bmi", {"model": "logit"}), ("chl ~ age + bmi", {})]
    for formula, words in fits:
        res = df.mice.impute(formula, **words, **FAST).fit()
        for ask in (lambda: res.auc(), lambda: res.rsquared):  # noqa: B023
            try:
                ask()
            except (ModelError, AttributeError) as error:
                advised = error.do if isinstance(error, ModelError) else re.search(r"do +: (.*)", str(error))[1]
                assert eval(advised, {"res": res}) is not None


def test_many_numbers_are_not_nominal_and_codes_are():
    df = frame().assign(site=np.arange(N) % 25)
    with pytest.raises(PlanError, match="too many to be nominal") as caught:
        df.mice.impute("chl ~ age + bmi", kinds={"bmi": "nominal"}, **FAST)
    assert pasted(caught.value.do, df=df)[0].plan["bmi"].kind.value == "numeric"
    with pytest.raises(PlanError, match="cannot be binary") as caught:
        df.mice.impute("chl ~ age + bmi", kinds={"bmi": "binary"}, **FAST)
    assert pasted(caught.value.do, df=df)[0].plan["bmi"].kind.value == "numeric"
    assert df.mice.plan("chl ~ age", kinds={"site": "nominal"}) is not None


def test_a_condition_that_most_values_contradict_may_be_the_error():
    df = frame().assign(dead=np.arange(N) % 2)
    with pytest.raises(DataError, match="where its condition does not hold") as caught:
        df.mice.impute("chl ~ age + bmi", conditional={"bmi": "dead == 1"}, **FAST)
    many = int(df["bmi"][df["dead"] == 0].notna().sum())
    assert caught.value.do.endswith(f"# {many} of {df['bmi'].notna().sum()} observed values are lost")
    imp, _ = pasted(caught.value.lines["otherwise"], df=df)
    seen = df["bmi"].notna()
    np.testing.assert_array_equal(imp[0]["bmi"][seen], df["bmi"][seen])


@pytest.mark.parametrize("dtype", ["timedelta64[ns]", "timedelta64[s]"])
def test_spans_of_time_are_called_so_and_become_seconds(dtype):
    df = frame()
    days = df["bmi"].round()
    df["stay"] = pd.to_timedelta(days, unit="D").astype(dtype)
    with pytest.raises(DataError, match="'stay' holds spans of time") as caught:
        df.mice.impute("chl ~ age + stay", **FAST)
    names = {"df": df, "pd": pd}
    exec(caught.value.do, names)
    np.testing.assert_allclose(names["df"]["stay"], days * 86400)
    assert df.mice.impute("chl ~ age + stay", **FAST).m == 2


@pytest.mark.parametrize("first", [None, "chl ~ age + bmi"])
@pytest.mark.parametrize(
    ("pair", "together"),
    [
        (("chl ~ age * bmi", "z ~ bmi * chl"), True),
        (("np.log(chl) ~ bmi", "z ~ I(bmi > 25)"), True),
        (("chl ~ age * bmi", "bmi ~ age + I(chl**2)"), False),
    ],
)
def test_two_analyses_that_were_not_foreseen_do_not_take_turns(first, pair, together):
    df = frame()
    names = {"df": df, "np": np, "imp": df.mice.impute(first, **FAST)}
    for formula in pair:
        with pytest.raises(CongenialityError) as caught:
            names["imp"].fit(formula, uncovered="raise")
        exec(caught.value.do, names)
    holds = {formula: names["imp" if together or formula == pair[0] else "imp2"] for formula in pair}
    for formula, imp in holds.items():
        assert np.isfinite(imp.fit(formula, uncovered="raise").params).all()
    assert together or "explain each other" in caught.value.lines["declared"]


def test_the_warning_of_imputing_again_names_the_call_for_all():
    df = frame()
    imp = df.mice.impute("chl ~ age * bmi", **FAST)
    with pytest.warns(mifit.CongenialityWarning) as found:
        imp.fit("z ~ bmi * chl")
    line = re.search(r"to avoid it: (imp = .*)", str(found[0].message))[1]
    names = {"df": df}
    exec(line, names)
    with warnings.catch_warnings():
        warnings.simplefilter("error", mifit.CongenialityWarning)
        names["imp"].fit("z ~ bmi * chl")
        names["imp"].fit("chl ~ age * bmi")


def test_a_family_is_imported_where_its_reader_has_no_name_for_the_library():
    df = frame()
    df["cost"] = df["bmi"] ** 2
    with pytest.raises(PlanError) as caught:
        df.mice.impute("cost ~ age", model="poisson", **FAST)
    assert "sm.families" in caught.value.do
    imp, _ = pasted(caught.value.do, df=df)
    assert (imp[0]["cost"] > 0).all() and np.isfinite(imp.fit().params).all()


def test_a_function_that_fails_is_called_by_its_name():
    imp = frame().mice.impute("chl ~ age + bmi", **FAST)

    def slope(one):
        return one["nope"].mean()

    with pytest.raises(mifit.FitError) as caught:
        imp.map(slope)
    assert caught.value.do == "slope(imp[0])"
    with pytest.raises(mifit.FitError) as caught:
        imp.map(lambda one: one["nope"])
    pd.testing.assert_frame_equal(pasted(caught.value.do, imp=imp)[0], imp[0])

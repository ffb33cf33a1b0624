"""Nested skip patterns: no completed set contradicts them, whatever is nested in what."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mifit.errors import DataError, ImputationError, PlanError
from mifit.frame.table import read
from mifit.imputation.plan.skip_patterns import SkipPattern, refuse_contradiction
from mifit.imputation.plan.skip_rules import skips

FAST = {"m": 3, "iterations": 3, "rng": 1}


#: kind -> conditions on such a column: as written, and what they mean
_ASKS = {
    "yes": [("{0} == 'y'", lambda v: v == "y"), ("{0} != 'n'", lambda v: v == "y")],
    "levels": [
        ("{0} == 'now'", lambda v: v == "now"),
        ("({0} == 'now') | ({0} == 'once')", lambda v: v != "never"),
        ("{0}.isin(['now', 'once'])", lambda v: v != "never"),
        ("~({0} == 'never')", lambda v: v != "never"),
    ],
    "flag": [("{0}", bool), ("{0} == True", bool)],
    "count": [
        ("{0} > 2", lambda v: v > 2),
        ("({0} >= 2) & ({0} < 5)", lambda v: 2 <= v < 5),
        ("{0} * 2 > 5", lambda v: v * 2 > 5),
    ],
    "number": [
        ("{0} > 45", lambda v: v > 45),
        ("abs({0} - 50) < 12", lambda v: abs(v - 50) < 12),
        ("({0} > 60) | ({0} < 40)", lambda v: v > 60 or v < 40),
        ("{0} / 10 > 4.2", lambda v: v / 10 > 4.2),
    ],
}
_ELSEWHERE = {"yes": "n", "levels": "never", "flag": False, "count": 0.0, "number": 0.0}


def _column(rng, n, kind):
    """Values of one question, as if everybody were asked."""
    if kind == "yes":
        return np.where(rng.random(n) < 0.6, "y", "n").tolist()
    if kind == "levels":
        return np.array(["never", "now", "once"])[rng.integers(0, 3, n)].tolist()
    if kind == "flag":
        return (rng.random(n) < 0.6).tolist()
    if kind == "count":
        return (rng.poisson(3, n) + 1.0).tolist()
    return rng.normal(50, 15, n).tolist()


def _asked(rule, columns):
    """Who is asked, worked out row by row: a comparison with an answer that is not there is false."""
    atoms, both = rule
    told = [[v is not None and v == v and bool(means(v)) for v in columns[name]] for name, _, means in atoms]
    return np.array([all(row) if both else any(row) for row in zip(*told, strict=True)])


def tree(seed, n=120):
    """A frame of nested questions with three in ten answers missing; column -> rule; the option that says the same."""
    rng = np.random.default_rng(seed)
    full, option, kinds, rules = {}, {}, {}, {}
    for number in range(int(rng.integers(3, 7))):
        name, kind = f"q{number}", str(rng.choice(list(_ASKS)))
        values = _column(rng, n, kind)
        if number and rng.random() < 0.85:
            many = 1 + int(rng.random() < 0.3)
            parents = [str(p) for p in rng.choice(list(kinds), size=min(len(kinds), many), replace=False)]
            atoms = [(p, *_ASKS[kinds[p]][rng.integers(len(_ASKS[kinds[p]]))]) for p in parents]
            rule = (atoms, bool(rng.random() < 0.6))
            asked = _asked(rule, full)
            if 15 < asked.sum() < n:
                rest = _ELSEWHERE[kind] if rng.random() < 0.5 else None
                values = [v if inside else rest for v, inside in zip(values, asked, strict=True)]
                codes = [code.format(p) for p, code, _ in atoms]
                code = codes[0] if len(codes) == 1 else (" & " if rule[1] else " | ").join(f"({one})" for one in codes)
                rules[name], option[name] = (rule, rest), code if rest is None else (code, rest)
        full[name], kinds[name] = values, kind
    frame = pd.DataFrame({"z": rng.normal(size=n)})
    dtypes = {"count": ["float64", "Int64"], "number": ["float64", "Float64"], "flag": ["boolean"]}
    for name, kind in kinds.items():
        dtype = str(rng.choice(dtypes.get(kind, ["object", "category", "string"])))
        frame[name] = pd.Series(full[name], dtype=dtype).mask(rng.random(n) < 0.3)
    order, names = ["z", *rng.permutation(list(kinds))], list(option)
    rng.shuffle(names)
    return frame[order].set_index(rng.permutation(n) * 3), rules, {name: option[name] for name in names}


def plain(frame):
    """Columns as lists; what is missing as None."""
    return {name: [None if pd.isna(v) else v for v in frame[name]] for name in frame}


def contradictions(frame, one, rules):
    """Cells of a completed set that say otherwise than the rules, or otherwise than the frame."""
    answers, found = plain(one), []
    for name, (rule, rest) in rules.items():
        asked = _asked(rule, answers)
        elsewhere = [v for v, inside in zip(answers[name], asked, strict=True) if not inside]
        found += [(name, v) for v in elsewhere if v != rest]
        if rest is None:
            found += [(name, v) for v, inside in zip(answers[name], asked, strict=True) if inside and v is None]
    for name in frame:
        seen = frame[name].notna().to_numpy()
        found += [name] * int((one[name][seen] != frame[name][seen]).sum())
        if rules.get(name, (None, 0))[1] is not None:
            found += [name] * int(one[name].isna().sum())
    return found


@pytest.mark.parametrize("seed", range(16))
def test_no_completed_set_contradicts_nested_conditions(seed):
    frame, rules, option = tree(seed)
    assert not any(contradictions(frame.iloc[:0], frame.iloc[:0], rules))
    for one in frame.mice.impute(conditional=option, **FAST):
        assert contradictions(frame, one, rules) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16, 300))
def test_no_completed_set_contradicts_any_of_many_nested_conditions(seed):
    frame, rules, option = tree(seed, n=int(np.random.default_rng(seed).integers(80, 300)))
    methods = {n: "norm" for n in frame if seed % 2 == 0 and frame[n].dtype.kind == "f" and n != "z"}
    for one in frame.mice.impute(conditional=option, methods=methods, **FAST):
        assert contradictions(frame, one, rules) == []


def smoking(n=400, seed=0, asked="never"):
    """Three questions, each put to those who said yes to the one before; ``asked``: what stands elsewhere."""
    rng = np.random.default_rng(seed)
    age = rng.normal(50, 12, n)
    ever = rng.random(n) < stats.norm.cdf((age - 50) / 12)
    now = ever & (rng.random(n) < 0.6)
    packs = np.where(now, rng.poisson(10, n) + 1.0, 0.0)
    frame = pd.DataFrame({"packs": packs, "now": np.where(now, "y", "n"), "ever": np.where(ever, "y", "n"), "age": age})
    if asked == "never":
        frame["now"], frame["packs"] = frame["now"].where(ever), frame["packs"].where(now)
    return frame.mask(rng.random(frame.shape) < [0.2, 0.2, 0.2, 0.0])


NESTED = {"packs": "now == 'y'", "now": "ever == 'y'"}


@pytest.mark.parametrize("asked", ["never", "value"])
@pytest.mark.parametrize(
    "words", [{"by": "site"}, {"n_jobs": 2}, {"congeniality": "terms"}, {"order": ["packs", "now", "ever"]}]
)
def test_nested_conditions_hold_with_every_other_word(asked, words):
    frame = smoking(asked=asked).assign(site=lambda f: np.where(np.arange(len(f)) % 3 == 0, "A", "B"))
    formula = "age ~ ever" if "congeniality" in words else None
    rest = {"packs": None, "now": None} if asked == "never" else {"packs": 0.0, "now": "n"}
    rules = {
        "packs": (([("now", "", lambda v: v == "y")], True), rest["packs"]),
        "now": (([("ever", "", lambda v: v == "y")], True), rest["now"]),
    }
    for one in frame.mice.impute(formula, conditional=NESTED, **FAST, **words):
        assert contradictions(frame, one, rules) == []


def test_nested_conditions_are_the_same_at_once_and_extended():
    frame = smoking()
    at_once = frame.mice.impute(conditional=NESTED, m=3, iterations=4, rng=1)
    later = frame.mice.impute(conditional=NESTED, m=2, iterations=2, rng=1).extend(1).extend(iterations=2)
    for one, other in zip(at_once, later, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_what_was_observed_below_decides_above_and_only_there():
    frame = smoking(2000)
    frame["ever"] = frame["ever"].mask(np.random.default_rng(1).random(2000) < 0.3)
    known = frame["packs"].notna() & frame["ever"].isna()
    one = frame.mice.impute(conditional=NESTED, m=2, iterations=3, rng=1)[0]
    assert known.any() and (one["ever"][known] == "y").all() and (one["now"][known] == "y").all()
    # Elsewhere a missing answer is drawn as the answers of the same age are: 8 in 10 of those above 60.
    free = frame["ever"].isna() & frame["now"].isna() & frame["packs"].isna() & (frame["age"] > 55)
    truth = stats.norm.cdf((frame["age"][free] - 50) / 12)
    # Nothing observed below does not say that nobody was asked: a fifth are missing at random at each level, so that
    # the rows in question hold fewer who ever smoked. P(ever | both missing) by Bayes' rule.
    below = 0.4 + 0.6 * 0.2
    expected = truth * 0.2 * below / (truth * 0.2 * below + (1 - truth))
    drawn = (one["ever"][free] == "y").mean()
    assert expected.mean() < drawn <= 1.0  # missing at random given what was observed, not given what was not asked


def test_a_number_above_is_drawn_from_its_law_within_the_condition():
    # age ~ N(50, 10); the question is put to those above 60 and always answered. Where it was answered and the age is
    # missing, age follows the normal law cut off at 60; elsewhere the one cut off above.
    rng = np.random.default_rng(2)
    age = rng.normal(50, 10, 6000)
    frame = pd.DataFrame({"age": age, "pension": np.where(age > 60, rng.normal(size=6000), np.nan)})
    frame["age"] = frame["age"].mask(rng.random(6000) < 0.4)
    imp = frame.mice.impute(conditional={"pension": "age > 60"}, methods={"age": "norm"}, m=2, iterations=2, rng=1)
    drawn = imp[0]["age"][frame["age"].isna() & frame["pension"].notna()]
    law = stats.truncnorm(1.0, np.inf, 50, 10)
    # some 380 draws at drawn parameters against the law at the true ones: false alarm below 1e-3
    assert drawn.min() > 60 and stats.kstest(drawn, law.cdf).pvalue > 1e-3


def test_whole_numbers_keep_a_condition_after_they_are_rounded():
    rng = np.random.default_rng(3)
    visits = rng.poisson(1.0, 500) + 0
    frame = pd.DataFrame(
        {"z": rng.normal(size=500), "visits": visits, "cost": np.where(visits > 0, visits * 2.5, np.nan)}
    )
    frame["visits"] = frame["visits"].astype("Int64").mask(rng.random(500) < 0.3)
    frame["cost"] = frame["cost"].mask(rng.random(500) < 0.2)
    for method in ("norm", "pmm"):
        imp = frame.mice.impute(conditional={"cost": "visits > 0"}, methods={"visits": method}, **FAST)
        assert all((one["cost"].notna() == (one["visits"] > 0)).all() for one in imp)


def test_a_condition_on_a_derived_column_looks_at_its_parents():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"wgt": rng.normal(75, 12, 300), "hgt": rng.normal(1.7, 0.1, 300)})
    heavy = frame["wgt"] / frame["hgt"] ** 2 > 26
    frame["diet"] = pd.Series(np.where(rng.random(300) < 0.5, "yes", "no")).where(heavy)
    frame["weeks"] = (rng.poisson(5, 300) + 1.0) * np.where(frame["diet"] == "yes", 1, np.nan)
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    option = {"weeks": "diet == 'yes'", "diet": "bmi > 26"}
    imp = frame.mice.impute(derived={"bmi": "wgt / hgt**2"}, conditional=option, **FAST)
    for one in imp:
        assert (one["diet"].notna() == (one["bmi"] > 26)).all()
        assert (one["weeks"].notna() == (one["diet"] == "yes")).all()


def test_what_is_drawn_once_for_a_subject_agrees_with_all_its_rows():
    rng = np.random.default_rng(5)
    ever = np.where(rng.random(80) < 0.5, "y", "n")
    frame = pd.DataFrame({"id": np.repeat(np.arange(80), 3), "ever": np.repeat(ever, 3), "z": rng.normal(size=240)})
    frame["packs"] = np.where(frame["ever"] == "y", rng.poisson(9, 240) + 1.0, np.nan)
    frame["packs"] = frame["packs"].mask(rng.random(240) < 0.5)
    frame["ever"] = frame["ever"].mask(np.repeat(rng.random(80) < 0.5, 3))
    for one in frame.mice.impute(id="id", conditional={"packs": "ever == 'y'"}, **FAST):
        assert (one.groupby("id")["ever"].nunique() == 1).all()
        assert (one["packs"].notna() == (one["ever"] == "y")).all()


def test_observed_values_that_contradict_each_other_are_refused_by_name():
    frame = smoking()
    row = int(np.flatnonzero(frame["packs"].notna())[0])
    frame.loc[row, ["ever", "now"]] = ["n", None]
    with pytest.raises(DataError, match="'packs' has 1 values where its condition does not hold") as found:
        frame.mice.impute(conditional=NESTED, **FAST)
    exec(found.value.do, {"df": frame})
    frame.mice.impute(conditional=NESTED, m=2, iterations=1, rng=1)
    both = smoking().assign(none=lambda f: np.where(f["now"] == "n", 1.0, np.nan), other=1.0)
    both.loc[both["packs"].notna().idxmax(), ["now", "none"]] = [None, 1.0]
    with pytest.raises(DataError, match="no value of 'now' agrees, in 1 rows, with the observed columns that depend"):
        both.mice.impute(conditional={**NESTED, "none": "now == 'n'"}, **FAST)


def test_a_circle_of_conditions_is_refused_by_name():
    with pytest.raises(PlanError, match="packs -> now -> ever -> packs"):
        smoking().mice.impute(conditional={**NESTED, "ever": "packs > 0"}, **FAST)


def test_a_chain_that_ends_in_a_contradiction_is_an_error():
    frame = smoking(asked="value")
    table = read(frame)
    pattern = SkipPattern(table, skips({"now": ("ever == 'y'", "n")}, table, {}), ["ever", "now"])
    drawn = {name: column.values.copy() for name, column in table.columns.items()}
    for name in ("ever", "now"):
        drawn[name][table[name].missing] = 0.0  # "n"
    with pytest.raises(ImputationError, match="'now' and what was drawn of its condition disagree in") as found:
        refuse_contradiction(pattern, drawn, 0)
    assert len(eval(found.value.do, {"df": frame}))


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("now.isin(['y'])", "now == 'y'"),
        ("age.between(40, 60)", "(age >= 40) & (age <= 60)"),
        ("now in ['y', 'maybe']", "(now == 'y') | (now == 'maybe')"),
        ("now not in ('n',)", "~(now == 'n')"),
    ],
)
def test_membership_and_lying_between_are_read_as_comparisons(code, same):
    frame = smoking(asked="value").assign(more=lambda f: np.where(f["age"] > -1, 1.0, np.nan))
    table = read(frame)
    values = {name: column.values for name, column in table.columns.items()}
    from mifit.formula.condition import condition

    one, other = condition(code, table, {}, "x"), condition(same, table, {}, "x")
    assert (one.holds(table, values) == other.holds(table, values)).all() and one.holds(table, values).any()

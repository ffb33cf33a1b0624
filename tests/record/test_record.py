"""A record: three views of one frame, levels taken together as a field of its plan, what is computed from it once."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.examine.events import far_out
from mifit.imputation.plan import rare_levels
from mifit.record.record import remembered
from mifit.workflow import prepare

pytestmark = pytest.mark.filterwarnings("ignore:.*but imputed independently")  # frames of columns made of others

N = 120


def frame(seed=0, rare=6):
    """Levels of which one is rare, a rating in numbers, a column and its double; each incomplete."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    g = np.r_[["c"] * rare, ["d"] * rare, rng.choice(list("ab"), N - 2 * rare)]
    found = pd.DataFrame({"x": x, "twice": 2 * x, "g": g, "o": rng.integers(1, 5, N).astype(float)})
    for name in ("x", "g", "o"):
        found[name] = found[name].mask((rng.random(N) < 0.2) & (np.arange(N) > 2 * rare))
    return found


WORDS = {
    "collapse": {"g": {"rare": ["c", "d"]}}, "kinds": {"o": "ordinal"}, "methods": {"o": "norm"},
    "derived": {"twice": "2 * x"}, "m": 2, "iterations": 1, "rng": 1,
}  # fmt: skip


def test_the_views_differ_in_what_is_missing_and_in_levels_taken_together():
    record = frame().mice.impute(**WORDS)._record
    table = record.table
    assert len(table.given["x"].missing) > 0 == len(table.filled["x"].missing)  # half of its double
    assert table.given["g"].coding.levels == table.filled["g"].coding.levels == ("a", "b", "c", "d")
    assert table.drawn["g"].coding.levels == ("a", "b", "rare")
    assert {view["o"].kind for view in table} == {mifit.Kind.NUMERIC}
    assert set(record.plan.together) == {"g"} and record.plan.numeric == ("o",)


@pytest.mark.parametrize("words", [{"collapse": WORDS["collapse"]}, {"min_count": 10}], ids=["asked", "rare"])
def test_levels_are_taken_together_once_for_each_plan(words, monkeypatch):
    asked = []
    monkeypatch.setattr(prepare, "levels_together", lambda *a: asked.append(a) or rare_levels.levels_together(*a))
    imp = frame().mice.impute(m=2, iterations=1, rng=1, **words)
    imp.extend(1).fit("x ~ twice")
    imp.explain(int(np.flatnonzero(frame()["g"].isna())[0]), "g")
    assert len(asked) == 1


def test_a_file_does_not_hold_levels_taken_together_and_a_plan_learns_them_on_its_frame(tmp_path):
    imp = frame().mice.impute(**WORDS)
    imp.save(tmp_path / "imp.mifit")
    again = mifit.load(tmp_path / "imp.mifit")
    for one, other in zip(imp._record.plan.together["g"], again._record.plan.together["g"], strict=True):
        assert np.array_equal(one, other)
    assert again[0].equals(imp[0]) and again._record.table.drawn["g"].coding.levels == ("a", "b", "rare")
    fewer = frame(rare=3).where(frame().notna() | frame(rare=3).isna())  # the same columns, other shares
    moved = mifit.impute(fewer, imp.plan, m=2, rng=1)
    assert moved._record.plan.together["g"].seen[2:].tolist() == [3, 3]
    assert imp._record.plan.together["g"].seen[2:].tolist() == [6, 6]


def test_what_is_remembered_of_a_record_is_computed_once_and_not_handed_to_its_successor():
    counted = []

    @remembered
    def chains(record):
        counted.append(len(record.chains))
        return len(record.chains)

    record = frame().mice.impute(**WORDS)._record
    before = set(vars(record))
    assert chains(record) == chains(record) == 2 and counted == [2]
    assert set(vars(record)) == before  # a frozen value is not written into
    assert chains(record.with_chains(record.chains[:1])) == 1
    assert far_out(record) is far_out(record)
    assert dataclasses.replace(record).memo == {}

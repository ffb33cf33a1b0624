"""The rehearsal: its promises against a direct simulation, the same bits for any workers, frames of all kinds."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.frame.table import read
from mifit.planning.rehearsal import WAYS
from mifit.workflow.missing_model import fit_missing


def study(n, seed):
    """Return rows of a study in which x is missing more often where the outcome is high."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + x + 0.5 * z + 0.4 * x * z + rng.normal(size=n)
    df = pd.DataFrame({"y": y, "x": x, "z": z})
    df.loc[rng.random(n) < 1 / (1 + np.exp(1 - y)), "x"] = np.nan
    return df


@pytest.fixture(scope="module")
def small():
    """Return a small study that was imputed, and its rehearsal."""
    imp = study(150, 1).mice.impute("y ~ x*z", m=3, rng=1, iterations=3)
    return imp, imp.rehearse(frames=6)


def test_it_has_a_line_for_each_way_and_term(small):
    found = small[1]
    table = found.to_frame()
    assert list(dict.fromkeys(table["way"])) == list(WAYS) and len(table) == 3 * 4
    assert (table["frames"] == 6).all() and table["coverage"].between(0, 1).all() and not found.failed
    assert (
        set(found.missing.index) == {"x"}
        and abs(found.missing["x"] - small[0]._record.table.given.gone("x").mean()) < 0.1
    )
    assert repr(found) and found._repr_html_() and found.plot().figure is not None


def test_measures_are_those_of_the_draws(small):
    found = small[1]
    one = found.to_frame().query("way == 'imputation' and term == 'x'").iloc[0]
    draws = found.draws.query("way == 'imputation' and term == 'x'")
    assert np.isclose(one["bias"], draws["estimate"].mean() - found.truth["x"])
    assert np.isclose(one["bias_mce"], draws["estimate"].std() / np.sqrt(6))
    assert np.isclose(one["empirical_se"], draws["estimate"].std())


def test_workers_and_checkpoints_make_no_difference(small, tmp_path):
    imp, first = small
    imp.rehearse(frames=3, checkpoint=tmp_path / "frames")
    for words in ({"n_jobs": 2}, {"checkpoint": tmp_path / "frames"}):
        again = imp.rehearse(frames=6, **words)
        pd.testing.assert_frame_equal(first.draws, again.draws)
    assert len(list((tmp_path / "frames").iterdir())) == 6
    path = tmp_path / "frames" / "frame-00002.json"
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text("cut", encoding="utf-8")
    pd.testing.assert_frame_equal(first.draws, imp.rehearse(frames=6, checkpoint=tmp_path / "frames").draws)
    assert json.loads(path.read_text(encoding="utf-8")) == held
    with pytest.raises(mifit.StorageError, match="another study") as error:
        imp.rehearse(frames=6, n=100, checkpoint=tmp_path / "frames")
    assert "n=100" in error.value.do and "frames-2" in error.value.do


def test_the_missing_values_of_a_frame_are_modelled_at_random():
    """Shares and what they depend on come back, and what is deleted does not depend on values that are hidden."""
    rng = np.random.default_rng(3)
    n = 20_000
    z, a, b = rng.normal(size=(3, n))
    df = pd.DataFrame({"z": z, "a": a, "b": b, "c": b + 1})
    gone = rng.random(n) < 1 / (1 + np.exp(1 - z))
    other = rng.random(n) < 1 / (1 + np.exp(-np.where(gone, -2.0, a)))
    df.loc[gone, "a"], df.loc[other, ["b", "c"]] = np.nan, np.nan
    model = fit_missing(read(df), ["a", "b", "c"])
    assert [step.columns for step in model.steps] == [("a",), ("b", "c")]
    whole = pd.DataFrame({"z": z, "a": a, "b": b, "c": b + 1})
    again = model.deleted(read(whole), np.random.default_rng(4))
    assert (again["b"] == again["c"]).all()
    hidden = model.deleted(read(whole.assign(a=np.where(again["a"], 99.0, a))), np.random.default_rng(4))
    assert all((again[name] == hidden[name]).all() for name in again)
    for name, mark in (("a", gone), ("b", other)):
        assert abs(again[name].mean() - mark.mean()) < 0.02
    assert abs(np.mean(a[again["b"] & ~again["a"]]) - np.mean(a[other & ~gone])) < 0.05


def test_complete_pilot_data_are_rehearsed_with_values_deleted_as_one_says():
    pilot = study(200, 2).dropna()
    imp = pilot.mice.impute("y ~ x*z", m=2, rng=1)
    with pytest.raises(mifit.PlanError, match="say how values are to be deleted") as error:
        imp.rehearse(frames=2, n=80)
    found = eval(str(error.value.do), {"imp": imp})
    assert found.n == 80 and found.frames == 2 and set(found.missing.index) == {"y", "x", "z"}
    found = pilot.mice.rehearse("y ~ x*z", n=60, frames=2, m=2, rng=1, missing={"share": 0.4, "patterns": ["x"]})
    assert found.n == 60 and set(found.missing.index) == {"x"}


def kinds():
    rng = np.random.default_rng(5)
    n = 150
    df = pd.DataFrame({"z": rng.normal(size=n), "k": rng.poisson(2, n), "c": rng.choice(["p", "q", "r"], n)})
    df["b"] = pd.array(rng.random(n) < 1 / (1 + np.exp(-df["z"])), dtype="boolean")
    df["t"], df["d"] = rng.exponential(size=n), rng.integers(0, 2, n)
    df["day"] = pd.date_range("2020-01-01", periods=n)
    some = (rng.random(df.shape) < 0.15) & ~df.columns.isin(["t", "d", "day"])
    df = df.astype({"k": "Int64"}).mask(some)
    df.index = np.arange(n) // 2
    return {
        "logit": (df[["b", "z", "c"]], {"formula": "b ~ z + c"}),
        "poisson": (df[["k", "z", "c", "day"]], {"formula": "k ~ z + c", "model": "poisson"}),
        "cox": (df[["t", "d", "z", "c"]], {"formula": "t ~ z + c", "model": "phreg", "status": "d"}),
        "auxiliary": (df[["k", "z", "b"]], {"formula": "k ~ z", "bounds": {"z": (-5, 5)}}),
    }


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("name", kinds())
def test_studies_of_every_kind_are_rehearsed(name):
    df, words = kinds()[name]
    found = df.mice.impute(m=2, rng=1, iterations=2, **words).rehearse(frames=2)
    assert not found.failed and np.isfinite(found.to_frame()["bias"]).all()
    assert found.truth.index.equals(df.mice.impute(m=2, rng=1, iterations=2, **words).fit().params.index)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"frames": 1}, "frames is 1"),
        ({"n": 3}, "n is 3"),
        ({"m": 1}, "m is 1"),
        ({"frames": "all"}, "frames is 'all'"),
    ],
)
def test_a_number_that_is_none_is_refused_with_one_that_is(small, words, said):
    with pytest.raises(mifit.PlanError, match=said) as error:
        small[0].rehearse(**words)
    assert str(error.value.do).startswith("imp.rehearse(") and "1)" not in str(error.value.do)


def test_what_cannot_be_rehearsed_is_refused():
    df = study(60, 3).assign(g=np.repeat(["a", "b"], 30))
    with pytest.raises(mifit.PlanError, match="by= cannot be rehearsed"):
        df.mice.impute(m=2, rng=1, by="g", iterations=2).rehearse()
    sets = mifit.from_frames([df.dropna(), df.dropna().assign(x=1.0)], df.dropna().assign(x=np.nan))
    with pytest.raises(mifit.PlanError, match="made elsewhere"):
        sets.rehearse()


@pytest.mark.slow
def test_its_promises_are_kept_by_a_direct_simulation():
    """One study of 1,500 rows foretells what studies of 150 rows will find: bias of complete cases, standard errors."""
    promised = study(1500, 7).mice.impute("y ~ x*z", m=5, rng=1).rehearse(frames=150, n=150).to_frame()
    figures = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(150):
            df = study(150, 1000 + seed)
            table = df.mice.impute("y ~ x*z", m=5, rng=seed).fit().to_frame()
            complete = df.dropna().mice.impute("y ~ x*z", m=2, rng=1).fit().to_frame()
            figures.append([table["estimate"], table["std_error"], complete["estimate"]])
    figures = np.array(figures)
    truth = np.array([1, 1, 0.5, 0.4])
    ours = promised[promised["way"] == "imputation"].set_index("term")
    alone = promised[promised["way"] == "complete cases"].set_index("term")
    spread = figures[:, 0].std(axis=0)
    error = spread * np.sqrt(2 / 150)  # of a difference of two means of 150
    assert (np.abs(ours["bias"] - (figures[:, 0].mean(axis=0) - truth)) < 4 * error).all()
    off = alone["bias"] - (figures[:, 2].mean(axis=0) - truth)
    assert (np.abs(off) < 4 * figures[:, 2].std(axis=0) * np.sqrt(2 / 150) + 0.05).all()
    assert np.allclose(ours["model_se"], np.sqrt((figures[:, 1] ** 2).mean(axis=0)), rtol=0.15)
    assert (alone["bias"].abs() > 3 * alone["bias_mce"]).any() and ours["coverage"].min() > 0.88

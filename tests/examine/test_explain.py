"""A cell explained: the replayed visit has the bits of the imputation, and its parts agree with one another."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from scipy.stats import poisson

import mifit
from mifit.imputation.sampler.chain import ChainState
from mifit.imputation.sampler.engine import Engine
from mifit.imputation.sampler.first_fill import start
from mifit.imputation.sampler.replay import replay


def mixed(n: int = 90) -> pd.DataFrame:
    """A number, a skewed number, a count, text, a rating, an ordered category, with missing values in all."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "z": z,
            "x": z + rng.normal(size=n),
            "long tail": np.exp(rng.normal(size=n) + 0.3 * z),
            "visits": rng.poisson(3, n).astype(float),
            "clinic": rng.choice(["north", "south", "west"], n),
            "grade": pd.Categorical(rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True),
            "smoker": rng.choice([True, False], n),
        }
    ).astype({"smoker": "boolean"})
    frame["y"] = 1 + frame["x"] + 0.5 * z + rng.normal(size=n)
    for name in [name for name in frame if name != "z"]:
        frame.loc[rng.random(n) < 0.15, name] = pd.NA if name == "smoker" else np.nan
    return frame.set_axis([f"p{i}" for i in range(n)])


def watched(imp, at: int):
    """The last visit of set 0 to a missing value of x, the only incomplete column, and the term of the analysis."""
    running = ChainState(Engine(imp._record.table.filled, imp.plan), None)
    start(running, imp._record.seed.stream(0, 0))
    seen = []
    for sweep in range(1, imp.iterations + 1):
        running.sweep(imp._record.seed.stream(0, sweep), sweep, seen.append)
    chain, row = imp._record.chains[0], imp._record.table.given["x"].missing[at]
    told = replay(imp._record.table.filled, imp.plan, imp._record.seed, chain.number, chain.sweeps, "x", row)
    return told, seen[-1].terms[0]


CALLS = {
    "compatible": {"formula": "y ~ x * z + Q('long tail')"},
    "logistic analysis": {"formula": "smoker ~ x + z"},
    "terms": {"formula": "y ~ x * z", "congeniality": "terms"},
    "plain": {},
}


@pytest.fixture(scope="module", params=CALLS)
def imp(request):
    return mixed().mice.impute(**CALLS[request.param], m=3, rng=1, iterations=3)


def test_the_replayed_visit_draws_what_the_imputation_drew(imp):
    frame = mixed()
    for name in imp.plan.order:
        for row in frame.index[frame[name].isna()][:2]:
            told = imp.explain(row, name, k=1)
            assert told.values.iloc[1] == imp[1].loc[row, name]
            assert "last bits differ" not in str(told)


def test_all_m_values_of_the_cell_are_there(imp):
    row = mixed().index[mixed()["x"].isna()][0]
    assert imp.explain(row, "x").values.tolist() == [one.loc[row, "x"] for one in imp]


def test_the_equation_sums_to_what_the_own_model_says():
    frame = mixed()
    imp = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=2, methods={"x": "norm", "smoker": "logistic"})
    told = imp.explain(frame.index[frame["x"].isna()][0], "x")
    assert told.equation.loc["sum", "product"] == pytest.approx(sum(told.equation["product"].iloc[:-1]))
    assert f"median {told.equation.loc['sum', 'product']:.4g}," in dict(told.said)["own model"]
    told = imp.explain(frame.index[frame["smoker"].isna()][0], "smoker")
    odds = told.levels["own model"].iloc[1] / told.levels["own model"].iloc[0]
    assert np.log(odds) == pytest.approx(told.equation.loc["sum", "product"])


def test_the_predictors_stood_as_in_the_frame():
    frame = mixed()
    told = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=2).explain(frame.index[frame["x"].isna()][0], "x")
    assert told.equation.loc["z", "value"] == pytest.approx(frame.loc[told.row, "z"])


def test_a_normal_weighed_by_a_normal_is_their_product():
    rng = np.random.default_rng(5)
    z, x = rng.normal(size=(2, 60))
    frame = pd.DataFrame({"z": z, "x": np.where(rng.random(60) < 0.3, np.nan, x), "y": x * z + rng.normal(size=60)})
    imp = frame.mice.impute("y ~ x * z", m=2, rng=2, iterations=4, methods={"x": "norm"})
    assert imp.plan["x"].sampler == "closed form"
    seen, bench = watched(imp, at=4)
    spread = (seen.own.high - seen.own.low) / (2 * ndtri(0.95))
    mean = np.full(len(bench.rows), seen.own.median)
    precision, pull = (part[4] for part in bench.information(lambda w: w, mean, spread))
    narrowed = 1 / (1 / spread**2 + precision)
    assert seen.weighed.median == pytest.approx(seen.own.median + narrowed * pull, abs=0.01 * spread)
    width = (seen.weighed.high - seen.weighed.low) / (2 * ndtri(0.95))
    assert width == pytest.approx(np.sqrt(narrowed), rel=0.01)


def test_a_matched_value_was_observed_in_one_of_the_donors():
    frame = mixed()
    imp = frame.mice.impute(m=2, rng=4, iterations=2)
    assert imp.plan["x"].label == "pmm"
    for row in frame.index[frame["x"].isna()]:
        told = imp.explain(row, "x")
        assert told.values.iloc[0] in told.donors["observed"].to_list()
        assert told.donors["distance"].is_monotonic_increasing and len(told.donors) >= 5
        assert (frame.loc[told.donors.index, "x"] == told.donors["observed"]).all()


@pytest.mark.parametrize(
    "words", [{"ignore": "z < 0"}, {"weights": {"frequency": "times"}}], ids=["ignored", "repeated"]
)
def test_donors_are_among_the_rows_that_were_fitted(words):
    frame = mixed()
    frame["times"] = np.where(frame.isna().any(axis=1), 1, np.random.default_rng(1).integers(1, 4, len(frame)))
    imp = frame.mice.impute(m=2, rng=4, iterations=2, **words)
    fitted = frame.index[frame["x"].notna() & ((frame["z"] >= 0) | ("ignore" not in words))]
    for row in frame.index[frame["x"].isna()][:8]:
        told = imp.explain(row, "x")
        assert set(told.donors.index) <= set(fitted) and told.donors.index.is_unique
        assert told.values.iloc[0] in told.donors["observed"].to_list()


def test_probabilities_of_levels_sum_to_one_and_are_weighed():
    frame = mixed()
    imp = frame.mice.impute("y ~ x + C(clinic) + C(grade)", m=3, rng=1, iterations=2)
    for name in ("clinic", "grade"):
        told = imp.explain(frame.index[frame[name].isna()][0], name)
        assert list(told.levels.sum()) == pytest.approx([1.0, 1.0, 1.0])
        assert not np.allclose(told.levels["own model"], told.levels["weighed"])


def test_acceptance_is_the_share_of_proposals_that_pass():
    """100,000 proposals; false alarm below 1e-8 (6 standard errors)."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=80)
    frame = pd.DataFrame({"x": np.where(np.arange(80) < 20, np.nan, x), "y": rng.poisson(np.exp(0.5 * x)) * 1.0})
    imp = frame.mice.impute("y ~ x", model="poisson", m=2, rng=2, iterations=3, methods={"x": "norm"})
    seen, bench = watched(imp, at=7)
    spread = (seen.own.high - seen.own.low) / (2 * ndtri(0.95))
    proposed = seen.own.median + spread * rng.standard_normal(100_000)
    passed = np.exp(bench.log_accept(np.full(100_000, 7), proposed))
    assert abs(passed.mean() - seen.acceptance) < 6 * passed.std() / np.sqrt(100_000)
    told = dict(imp.explain(7, "x").said)
    assert told["sampler"] == "metropolis" and "acceptance" not in told  # proposals are not those of the own model


def test_derived_cells_and_sets_made_elsewhere_are_explained_without_a_draw():
    frame = pd.DataFrame({"w": [60, 70, None, 80, 75, 62, 90.0], "h": [1.6, 1.7, 1.8, 1.75, 1.8, 1.6, 1.9]})
    frame["y"] = frame["h"] * 3 + np.arange(7) % 3
    imp = frame.mice.impute("y ~ bmi", derived={"bmi": "w / h**2"}, m=2, rng=1, methods={"w": "norm"})
    told = imp.explain(2, "bmi")
    assert "bmi = w / h**2" in str(told) and told.values.iloc[0] == imp[0].loc[2, "bmi"]
    elsewhere = mifit.from_frames([frame.fillna(61.0), frame.fillna(65.0)], original=frame)
    assert elsewhere.explain(2, "w").values.tolist() == [61.0, 65.0]


def test_what_cannot_be_explained_says_why_and_what_can():
    frame = mixed()
    imp = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=1)
    hole, seen = frame.index[frame["x"].isna()][0], frame.index[frame["x"].notna()][0]
    for call, fact in (
        (lambda: imp.explain(seen, "x"), "was observed in row"),
        (lambda: imp.explain("nobody", "x"), "no row is labelled 'nobody'"),
        (lambda: imp.explain(hole, "z"), "'z' has no missing values"),
        (lambda: imp.explain(hole, "xx"), "did you mean 'x'"),
        (lambda: imp.explain(200, "x", position=True), "position 200 is not one of 0 to 89"),
    ):
        with pytest.raises(mifit.DataError, match=fact.replace("?", r"\?")) as caught:
            call()
        if caught.value.do.startswith("imp."):
            eval(caught.value.do, {"imp": imp})
    with pytest.raises(mifit.PlanError, match="there is no set 2"):
        imp.explain(hole, "x", k=2)


def test_a_label_that_several_rows_share_needs_a_position():
    frame = mixed().set_axis(["same"] * 90)
    imp = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=1)
    with pytest.raises(mifit.DataError, match="rows labelled 'same' have missing values in 'x'") as caught:
        imp.explain("same", "x")
    told = eval(caught.value.do, {"imp": imp})
    assert pd.isna(frame["x"].iloc[int(caught.value.do.split("(")[1].split(",")[0])]) and told.column == "x"


def test_an_explanation_in_a_notebook_is_escaped():
    frame = mixed().rename(columns={"x": "<script>"})
    imp = frame.mice.impute(m=2, rng=1, iterations=1)
    page = imp.explain(frame.index[frame["<script>"].isna()][0], "<script>")._repr_html_()
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_extended_sets_are_replayed_to_their_last_sweep():
    frame = mixed()
    imp = frame.mice.impute("y ~ x + z", m=2, rng=1, iterations=2).extend(m=1).extend(iterations=2)
    row = frame.index[frame["x"].isna()][0]
    told = imp.explain(row, "x", k=2)
    assert told.values.iloc[2] == imp[2].loc[row, "x"] and "last bits differ" not in str(told)


def test_a_count_has_whole_quantiles_and_they_are_its_own():
    frame = mixed()
    imp = frame.mice.impute("y ~ visits", m=2, rng=1, iterations=2, methods={"visits": "poisson"})
    told = imp.explain(frame.index[frame["visits"].isna()][0], "visits")
    mean = np.exp(told.equation.loc["sum", "product"])
    words = dict(told.said)["own model"].replace(",", "").split()
    assert [float(words[1]), float(words[5]), float(words[7])] == [poisson.ppf(q, mean) for q in (0.5, 0.05, 0.95)]


@pytest.mark.parametrize("formula", [None, "x ~ z + smoker"])
def test_levels_that_were_drawn_together_are_replayed_as_they_were_drawn(formula):
    frame = mixed()
    words = {"collapse": {"clinic": {"other": ["south", "west"]}}, "auxiliary": "response"}
    imp = frame.mice.impute(formula, **words, m=2, rng=1, iterations=3)
    for name in ("x", "clinic"):
        for row in frame.index[frame[name].isna()][:4]:
            assert "last bits differ" not in str(imp.explain(row, name))
    followed = imp.trace.loc[imp.trace["statistic"] == "share", "variable"]
    assert set(followed) <= set(frame.columns) and "clinic" in set(followed)

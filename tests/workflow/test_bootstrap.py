"""Bootstrap, then impute: rows, ids and strata are resampled; both variances stand side by side."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.errors import DataError, PlanError
from mifit.workflow.bootstrap import _resampled, _sample


def incomplete(n=200, seed=3):
    """A linear model with 30 % of one covariate missing; ids of five rows, two strata."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = 0.5 * z + rng.normal(size=n)
    y = 1 + x + z + rng.normal(size=n)
    x[rng.random(n) < 0.3] = np.nan
    return pd.DataFrame({"x": x, "z": z, "y": y, "s": np.where(np.arange(n) < 140, "a", "b"), "g": np.arange(n) // 5})


def test_where_the_imputations_are_exact_both_variances_agree():
    imp = incomplete()[["x", "z", "y"]].mice.impute("y ~ x + z", m=20, rng=1)
    frame = imp.bootstrap(B=100).to_frame()
    assert list(frame.index) == list(imp.fit().params.index)
    # a standard error of 100 samples has a relative error of 7 %, Rubin's with 20 sets of about 5 %
    assert frame["ratio"].between(0.7, 1.4).all()
    assert (abs(frame["estimate"] - frame["rubin_estimate"]) < 0.5 * frame["std_error"]).all()
    assert (frame["conf_low"] < frame["estimate"]).all() and (frame["df"] < 100).all()


def test_the_bootstrap_sees_unequal_spread_that_the_model_does_not():
    rng = np.random.default_rng(4)
    n = 400
    x = rng.normal(size=n)
    y = x + np.abs(x) ** 1.5 * rng.normal(size=n)
    df = pd.DataFrame({"x": x, "y": np.where(rng.random(n) < 0.2, np.nan, y)})
    imp = df.mice.impute("y ~ x", m=10, rng=1)
    robust = imp.fit(cov_type="HC1")
    frame = imp.bootstrap(B=80).to_frame()
    assert frame.loc["x", "std_error"] > 1.3 * frame.loc["x", "rubin_std_error"]
    assert frame.loc["x", "std_error"] == pytest.approx(robust.bse["x"], rel=0.35)


def test_the_same_seed_gives_the_same_samples():
    imp = incomplete(100)[["x", "z", "y"]].mice.impute("y ~ x + z", m=2, rng=1)
    one, two = imp.bootstrap(B=4).estimates, imp.bootstrap(B=6).estimates
    assert np.array_equal(one, two[:4]) and one.shape == (4, 2, 3)
    assert np.ptp(one[:, 0, 1]) > 0


def test_units_are_drawn_whole_and_twice_as_two():
    clusters = np.repeat(np.arange(20), 5)
    rows, owner = _sample(np.random.default_rng(1), 100, clusters, None)
    for unit in np.unique(owner):
        drawn = clusters[rows[owner == unit]]
        assert len(drawn) == 5 and np.ptp(drawn) == 0
    assert len(np.unique(owner)) == 20 and len(np.unique(clusters[rows])) < 20
    df = incomplete(100).drop(columns="s")
    imp = df.mice.impute("y ~ x + z", m=2, rng=1, id="g")
    record = _resampled(imp._record, rows, owner, "g")
    assert record.frame["g"].nunique() == 20 and len(np.unique(record.table.drawn["g"].values)) == 20
    np.testing.assert_array_equal(record.frame["z"], df["z"].to_numpy()[rows])
    assert "samples of 'g'" in repr(imp.bootstrap(B=3))


def test_strata_keep_their_sizes():
    strata = np.repeat([0, 1], [70, 30])
    rows, _ = _sample(np.random.default_rng(1), 100, None, strata)
    assert np.bincount(strata[rows]).tolist() == [70, 30]
    imp = incomplete(100).drop(columns="g").mice.impute("y ~ x + z + s", m=2, rng=1)
    assert "rows within 's'" in repr(imp.bootstrap(B=3, by="s"))


def test_the_summary_of_an_approximate_analysis_offers_it():
    df = incomplete(100)[["x", "z", "y"]]
    loose = df.mice.impute("y ~ x * z", m=2, rng=1, congeniality="terms")
    exact = df.mice.impute("y ~ x * z", m=2, rng=1)
    text = " ".join(str(loose.fit().summary()).split())
    offered = re.search(r"Variance that allows for it: (imp\.bootstrap\('[^']*', model='\w+'\))", text)[1]
    found = eval(offered.replace(")", ", B=3)"), {"imp": loose})
    assert found.verdict == "approximate" and list(found.names) == list(loose.fit().params.index)
    assert "imp.bootstrap" not in str(exact.fit().summary())


def test_what_cannot_be_repeated_is_refused():
    imp = incomplete(100)[["x", "z", "y"]].mice.impute("y ~ x + z", m=2, rng=1)
    with pytest.raises(PlanError, match="B is 1") as caught:
        imp.bootstrap(B=1)
    assert str(caught.value.do) == "imp.bootstrap(B=200, M=2)"
    with pytest.raises(DataError, match="'x' has missing values"):
        imp.bootstrap(B=2, by="x")
    with pytest.raises(PlanError, match="made elsewhere"):
        mifit.from_long(imp.to_long()).bootstrap("y ~ x + z")

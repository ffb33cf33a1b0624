"""A file tells of an estimator and never brings one with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import mifit


def imputed():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80), "c": rng.normal(size=80)})
    df = df.assign(g=rng.choice(list("uvw"), 80)).mask(rng.random((80, 4)) < 0.2)
    methods = {
        "a": RandomForestRegressor(3), "b": mifit.Forest(trees=3), "c": make_pipeline(StandardScaler(), Ridge(2.0)),
        "g": mifit.Learner(RandomForestClassifier(3)),
    }  # fmt: skip
    return df.mice.impute(methods=methods, m=2, iterations=1, rng=1)


def test_sets_are_read_without_the_estimators_and_go_on_with_them(tmp_path):
    imp, path = imputed(), tmp_path / "study.mifit"
    with pytest.warns(mifit.StorageWarning, match="tells of .*to draw more after loading") as told:
        imp.save(path)
    back = mifit.load(path)
    assert all(one.equals(other) for one, other in zip(back, imp, strict=True))
    assert back.identity == imp.identity and back.plan["a"].label == "RandomForestRegressor"
    assert back.fit("a ~ b").params.equals(imp.fit("a ~ b").params)
    back.methods_text()
    with pytest.raises(mifit.StorageError, match="does not bring with it"):
        back.extend(m=3)
    call = str(told[0].message).partition("after loading, ")[2].partition("\n")[0]
    names = {
        "mifit": mifit, "Pipeline": type(make_pipeline(Ridge())),
        **{c.__name__: c for c in (RandomForestRegressor, RandomForestClassifier, StandardScaler, Ridge)},
    }  # fmt: skip
    whole = eval(call, names)
    assert whole.extend(m=3)[2].equals(imp.extend(m=3)[2])
    with pytest.warns(mifit.StorageWarning, match="tells of"):
        back.save(tmp_path / "again.mifit")  # what was not passed is told of again
    assert mifit.load(tmp_path / "again.mifit")[1].equals(imp[1])


def test_another_estimator_than_that_of_the_file_is_refused(tmp_path):
    imp, path = imputed(), tmp_path / "study.mifit"
    with pytest.warns(mifit.StorageWarning):
        imp.save(path)
    code = "RandomForestRegressor(n_estimators=3)"
    with pytest.raises(mifit.StorageError, match=r"tells of RandomForestRegressor\(n_estimators=3\), not of Ridge"):
        mifit.load(path, names={code: Ridge()})


def test_trees_by_name_are_plain_data(tmp_path, recwarn):
    df = imputed().data if hasattr(mifit.ImputedSet, "data") else imputed()._record.frame
    imp = df.mice.impute(methods="forest", m=2, iterations=1, rng=1)
    imp.save(tmp_path / "forest.mifit")
    assert not recwarn.list
    assert mifit.load(tmp_path / "forest.mifit").extend(m=3)[2].equals(imp.extend(m=3)[2])

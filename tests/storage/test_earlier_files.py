"""Files that earlier versions wrote are read, whatever has moved since; every class that a study holds has a name."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

import mifit
from mifit.storage.classes import CLASSES, class_named, name_of

STORED = Path(__file__).parents[1] / "stored"
FIRST = sorted(STORED.glob("*.mifit"), key=str)


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.stem)
def test_a_study_of_the_first_protocol_has_its_values_and_goes_on(path):
    imp = mifit.load(path)
    now = pd.read_csv(io.StringIO(imp.to_long().to_csv(index=False)))
    pd.testing.assert_frame_equal(now, pd.read_csv(path.with_suffix(".csv")))
    more = imp.extend(m=1)
    assert more.m == 3
    pd.testing.assert_frame_equal(more[0], imp[0])


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.stem)
def test_a_study_that_was_read_is_written_with_plain_names(path, tmp_path):
    mifit.load(path).save(tmp_path / "study.mifit")
    with zipfile.ZipFile(tmp_path / "study.mifit") as parts:
        named = set(classes(json.loads(parts.read("document.json"))))
    assert "Plan" in named and named <= set(CLASSES)
    pd.testing.assert_frame_equal(mifit.load(tmp_path / "study.mifit")[1], mifit.load(path)[1])


def classes(stored):
    """Every class that a document names."""
    if isinstance(stored, dict):
        if "class" in stored:
            yield stored["class"]
        for value in stored.values():
            yield from classes(value)
    elif isinstance(stored, list):
        for value in stored:
            yield from classes(value)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_class_and_its_name_lead_to_each_other(name):
    assert name_of(class_named(name)) == name


@pytest.mark.parametrize(
    "name", ["os:system", "mifit.imputed:ImputedSet", "Draft", "plan", "", None, 3, ["Plan"], "mifit.impute.plan:Draft"]
)
def test_no_other_class_is_made(name):
    with pytest.raises(ValueError, match="it holds a"):
        class_named(name)

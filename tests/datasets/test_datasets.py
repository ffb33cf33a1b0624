"""The embedded frames are what their sources say, and a name that is not known says which one is near."""

from __future__ import annotations

import csv
import math
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

import mifit.datasets
from mifit.errors import DataError

# Columns with missing values, counted in the sources named in mifit/datasets/README.md.
HOLES = {
    "airquality": {"Ozone": 37, "Solar.R": 7},  # Chambers et al. 1983
    "antidepressant": {"PGIIMP": 3},  # Goldstein et al. 2004; visits that did not take place have no row
    "nhanes2": {"bmi": 9, "hyp": 8, "chl": 10},  # Schafer 1997, p. 237
    "pbc": {  # Fleming & Harrington 1991, Appendix D
        **dict.fromkeys(["trt", "ascites", "hepato", "spiders", "alk.phos", "ast"], 106),
        **{"chol": 134, "copper": 108, "trig": 136, "platelet": 11, "protime": 2, "stage": 6},
    },
}
SHAPES = {"airquality": (153, 6), "antidepressant": (608, 11), "nhanes2": (25, 4), "pbc": (418, 20)}


def test_every_frame_has_a_row_in_the_tables_above():
    assert mifit.datasets.names() == sorted(HOLES) == sorted(SHAPES)


@pytest.mark.parametrize("name", mifit.datasets.names())
def test_shape_and_holes_are_those_of_the_source(name):
    frame = mifit.datasets.load(name)
    holes = frame.isna().sum()
    assert frame.shape == SHAPES[name]
    assert holes[holes > 0].to_dict() == HOLES[name]
    assert isinstance(frame.index, pd.RangeIndex)


def test_the_liver_trial_has_1033_holes_in_12_columns():
    holes = mifit.datasets.load("pbc").isna().sum()
    assert (holes.sum(), (holes > 0).sum()) == (1033, 12)


@pytest.mark.parametrize("name", mifit.datasets.names())
def test_every_number_is_read_to_the_last_bit(name):
    frame = mifit.datasets.load(name)
    with files("mifit.datasets").joinpath(f"{name}.csv").open(encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    for column in frame.select_dtypes("number"):
        expected = [float(row[column]) if row[column] else math.nan for row in rows]
        np.testing.assert_array_equal(frame[column].to_numpy(), expected)


def test_groups_are_categorical_in_their_natural_order():
    nhanes2, pbc = mifit.datasets.load("nhanes2"), mifit.datasets.load("pbc")
    assert nhanes2["age"].dtype == pd.CategoricalDtype(["20-39", "40-59", "60-99"], ordered=True)
    assert nhanes2["hyp"].dtype == pd.CategoricalDtype(["no", "yes"])
    assert nhanes2["age"].notna().all()
    assert pbc["sex"].value_counts().to_dict() == {"f": 374, "m": 44}  # a wrong level would have become a missing value


def test_two_loads_share_nothing():
    first, second = mifit.datasets.load("nhanes2"), mifit.datasets.load("nhanes2")
    first["bmi"] = 0.0
    assert second["bmi"].isna().sum() == 9


@pytest.mark.parametrize(
    ("asked", "offered"), [("nhanes", "nhanes2"), ("PBC", "pbc"), ("air quality", "airquality"), ("iris", "nhanes2")]
)
def test_an_unknown_name_ends_in_a_call_to_paste(asked, offered):
    with pytest.raises(DataError, match="no data set") as caught:
        mifit.datasets.load(asked)
    assert str(caught.value).splitlines()[-1].endswith(f"mifit.datasets.load({offered!r})")


def test_the_antidepressant_trial_is_that_of_its_source_and_brings_its_licence():
    trial = mifit.datasets.load("antidepressant")
    patients = trial.drop_duplicates("PATIENT")
    assert patients["THERAPY"].value_counts().to_dict() == {"PLACEBO": 88, "DRUG": 84}
    assert (trial["CHANGE"] == trial["HAMDTL17"] - trial["BASVAL"]).all()
    assert trial.groupby("VISIT")["PATIENT"].nunique().to_dict() == {4: 172, 5: 158, 6: 149, 7: 129}
    text = files("mifit.datasets").joinpath("LICENSE-antidepressant.txt").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0" in text and len(text) > 10_000

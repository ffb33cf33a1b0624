"""Files for R, Stata and SPSS: what they hold is read back by other programs."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import subprocess

import numpy as np
import pandas as pd
import pyreadstat
import pytest

import mifit


def imputed():
    rng = np.random.default_rng(0)
    n = 60
    df = pd.DataFrame({
        "sys bp": rng.normal(120, 10, n), "n": rng.integers(-5, 90, n), "yes": rng.integers(0, 2, n).astype(bool),
        "g": pd.Categorical(rng.choice(["lo", "mid", "hi"], n), ["lo", "mid", "hi"], ordered=True),
        "site": rng.choice(["Köln", "Rom"], n),
    })  # fmt: skip
    df["when"] = pd.date_range("2020-01-01", periods=n, freq="D")
    holes = rng.random((n, 6)) < np.array([0.2, 0, 0, 0.2, 0.2, 0])
    return df, df.mask(holes).astype({"n": "int64", "yes": "bool"}).mice.impute(m=2, iterations=1, rng=1)


@functools.cache
def has(*packages):
    """Whether R is here with some packages."""
    if shutil.which("Rscript") is None:
        return False
    code = f"q(status = !all(sapply(c({', '.join(map(repr, packages))}), requireNamespace, quietly = TRUE)))"
    return subprocess.run(["Rscript", "-e", code], capture_output=True, timeout=120).returncode == 0


def asked(code, *packages):
    """What R prints."""
    if not has(*packages):
        pytest.skip(f"no R with {', '.join(packages)} here")
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_r_makes_a_mids_of_it_and_pools_as_we_do(tmp_path):
    _, imp = imputed()
    path = tmp_path / "study.rds"
    line = imp.to_r(path)
    assert path.name in line
    code = (
        "d <- mice::complete(imp, 2); cat(imp$m, sum(d$sys.bp), class(d$g), levels(d$g), sum(d$yes), sum(d$n), "
        'levels(d$site), format(d$when[60], "%Y-%m-%d"), class(d$n), "\\n"); '
        "cat(sum(is.na(imp$data)), nrow(imp$imp$g))"
    )
    told = asked(f"Sys.setlocale('LC_ALL', 'C.UTF-8') -> s; {line}; {code}", "mice")
    one, first = imp[1], imp._record.frame
    words = told[0].split()
    assert words[0] == "2" and float(words[1]) == pytest.approx(one["sys bp"].sum(), rel=1e-6)
    whole = [str(one["yes"].sum()), str(one["n"].sum())]
    assert words[2:] == ["ordered", "factor", "lo", "mid", "hi", *whole, "Köln", "Rom", "2020-02-29", "integer"]
    assert told[1].split() == [str(int(first.isna().sum().sum())), str(int(first["g"].isna().sum()))]


def test_stata_has_all_sets_and_is_read_back(tmp_path):
    _, imp = imputed()
    path = tmp_path / "study.dta"
    lines = imp.to_stata(path)
    assert "mi import flong, m(mi_m) id(mi_id) imputed(sys_bp g site) clear" in lines
    back = pd.read_stata(path)
    assert list(back) == ["mi_m", "mi_id", "sys_bp", "n", "yes", "g", "site", "when"] and len(back) == 180
    second = back[back["mi_m"] == 2].reset_index(drop=True)
    np.testing.assert_array_equal(second["sys_bp"], imp[1]["sys bp"])
    assert second["g"].tolist() == imp[1]["g"].tolist() and second["site"].tolist() == imp[1]["site"].tolist()
    assert (second["when"] == imp[1]["when"]).all()
    first = back[back["mi_m"] == 0]
    assert first["sys_bp"].isna().sum() == imp._record.frame["sys bp"].isna().sum()
    with pd.io.stata.StataReader(path) as reader:
        assert reader.variable_labels()["sys_bp"] == "sys bp"
    made = mifit.from_long(back, imp="mi_m", id="mi_id")
    np.testing.assert_array_equal(made[1]["sys_bp"], imp[1]["sys bp"])


def test_stata_files_are_read_by_haven(tmp_path):
    _, imp = imputed()
    imp.to_stata(tmp_path / "study.dta")
    told = asked(
        f'd <- haven::read_dta("{(tmp_path / "study.dta").as_posix()}"); e <- d[d$mi_m == 1, ]; '
        'cat(nrow(d), sum(e$sys_bp), sum(is.na(d$g)), names(attr(d$g, "labels")))',
        "haven",
    )
    words = told[0].split()
    assert words[0] == "180" and float(words[1]) == pytest.approx(imp[0]["sys bp"].sum(), rel=1e-6)
    assert words[2] == str(imp._record.frame["g"].isna().sum()) and words[3:] == ["lo", "mid", "hi"]


def test_spss_numbers_the_sets_and_labels_the_levels(tmp_path):
    _, imp = imputed()
    lines = imp.to_spss(tmp_path / "study.sav")
    assert "SPLIT FILE LAYERED BY Imputation_" in lines
    back, meta = pyreadstat.read_sav(tmp_path / "study.sav", apply_value_formats=True)
    assert list(back)[:3] == ["Imputation_", "case_", "sys_bp"] and len(back) == 180
    second = back[back["Imputation_"] == 2].reset_index(drop=True)
    np.testing.assert_allclose(second["sys_bp"], imp[1]["sys bp"])
    assert second["g"].astype(str).tolist() == imp[1]["g"].astype(str).tolist()
    assert meta.column_names_to_labels["sys_bp"] == "sys bp"


def test_names_that_become_one_are_kept_apart(tmp_path):
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"a b": rng.normal(size=30), "A_b": rng.normal(size=30), "1x": rng.normal(size=30)})
    df.loc[:5, "a b"] = np.nan
    df.mice.impute(m=2, iterations=1, rng=1).to_stata(tmp_path / "s.dta")
    assert list(pd.read_stata(tmp_path / "s.dta")) == ["mi_m", "mi_id", "a_b", "A_b_", "v1x"]


def test_without_pyreadstat_the_extra_is_named_and_folders_are_refused(tmp_path, monkeypatch):
    _, imp = imputed()
    for write in (imp.to_r, imp.to_stata, imp.to_spss):
        with pytest.raises(mifit.StorageError):
            write(tmp_path)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pyreadstat" else found(name, *a))
    with pytest.raises(mifit.DataError, match="needs pyreadstat") as caught:
        imp.to_spss(tmp_path / "study.sav")
    assert caught.value.do == 'pip install "mifit[spss]"'

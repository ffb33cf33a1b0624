"""``python -m mifit``: a file in, results, tables and reports out; errors in one line."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mifit
from mifit.__main__ import _parser, main, read

ROOT = Path(__file__).parents[1]


def study(n=80):
    rng = np.random.default_rng(4)
    df = pd.DataFrame({"age": rng.integers(20, 80, n), "sex": rng.choice(["m", "f"], n), "bp": rng.normal(120, 10, n)})
    df["bp"] = df["bp"].round(1)
    df["died"] = (rng.random(n) < 0.4).astype(int)
    return df.assign(bp=df["bp"].mask(rng.random(n) < 0.2), sex=df["sex"].mask(rng.random(n) < 0.1))


@pytest.fixture
def path(tmp_path):
    study().to_csv(tmp_path / "study.csv", index=False)
    return str(tmp_path / "study.csv")


def test_the_command_does_what_the_calls_do(path, tmp_path, capsys):
    names = {word: str(tmp_path / name) for word, name in
             {"report": "r.html", "table": "t.csv", "sets": "l.csv", "save": "s.mifit"}.items()}  # fmt: skip
    options = [part for word, name in names.items() for part in (f"--{word}", name)]
    assert main([path, "died ~ age + sex + bp", "--m", "3", "--seed", "1", "--exponentiate", *options]) == 0
    out = capsys.readouterr().out
    imp = read(path).mice.impute("died ~ age + sex + bp", m=3, rng=1)
    res = imp.fit()
    assert str(res.summary(exponentiate=True)) in out
    assert [line for line in out.splitlines() if line.startswith("written: ")] == [
        f"written: {names[word]}" for word in ("table", "report", "sets", "save")
    ]
    table = pd.read_csv(names["table"], index_col=["analysis", "term"]).loc["died ~ age + sex + bp"]
    pd.testing.assert_frame_equal(table, res.to_frame(exponentiate=True), check_names=False)
    assert mifit.load(names["save"]).identity == imp.identity
    assert len(pd.read_csv(names["sets"])) == 4 * 80
    assert "<html" in Path(names["report"]).read_text(encoding="utf-8")


def test_several_analyses_and_options_anywhere(path, capsys):
    words = ["--option", "bounds={'bp': (60, 200)}", "--seed", "1", "--m", "2", "bp ~ age", "died ~ sex"]
    assert main([path, *words]) == 0
    assert capsys.readouterr().out.count("Regression Results") == 2
    assert main([path, "--plan", "bp ~ age", "--option", "bounds={'bp': (60, 200)}"]) == 0
    assert "60 to 200" in capsys.readouterr().out.replace("[60, 200]", "60 to 200")


FORMS = {
    "semicolons and commas": ("s.csv", lambda df, p: df.to_csv(p, index=False, sep=";", decimal=",")),
    "tabs": ("s.tsv", lambda df, p: df.to_csv(p, index=False, sep="\t")),
    "a byte order mark": ("s.txt", lambda df, p: df.to_csv(p, index=False, encoding="utf-8-sig")),
    "codes of missing values": ("s.csv", lambda df, p: df.fillna({"bp": -99, "sex": "unknown"}).to_csv(p, index=False)),
    "parquet": ("s.parquet", lambda df, p: df.to_parquet(p)),
    "feather": ("s.feather", lambda df, p: df.to_feather(p)),
    "Stata": ("s.dta", lambda df, p: df.fillna({"sex": "unknown"}).to_stata(p, write_index=False)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_kind_of_file_is_read_as_the_frame_it_was(form, tmp_path):
    name, write = FORMS[form]
    if name.endswith(("parquet", "feather")):
        pytest.importorskip("pyarrow")
    df = study()
    write(df, tmp_path / name)
    found = read(str(tmp_path / name), ["-99", "unknown"])
    assert list(found.columns) == list(df.columns)
    for column in df:
        assert (found[column].isna() == df[column].isna()).all()
        known = df[column].notna()
        assert found[column][known].tolist() == df[column][known].tolist()


WRONG = {
    "a name": (["bp ~ agee"], r"names 'agee', which is not a column .*df\.mice\.impute\('bp ~ age'"),
    "an option": (["bp ~ age", "--option", "bounds"], r"'bounds' is not NAME=VALUE\. --option"),
    "an unknown option": (["bp ~ age", "--option", "bonds=1"], "bonds"),
    "a table of nothing": (["--m", "2", "--seed", "1", "--table", "t.csv"], "--table needs an analysis"),
    "m": (["bp ~ age", "--m", "0"], "m"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_error_is_one_line_and_a_status(name, path, capsys):
    words, said = WRONG[name]
    assert main([path, *words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("mifit: error: ") and error.count("\n") == 1
    assert re.search(said, error)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("absent.csv", None, "there is no file"),
        ("study.pdf", b"%PDF", "no kind of file that is read here"),
        ("study.csv", b"", "cannot be read"),
        ("study.csv", b"a,b\n", "holds no rows"),
        ("study.csv", b"\xff\xfe\x00\x01", "cannot be read"),
        ("study.dta", b"nothing", "cannot be read"),
    ],
)
def test_files_that_are_none_are_refused_in_one_line(name, content, said, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main([str(tmp_path / name), "y ~ x"]) == 1
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_the_page_shows_what_the_command_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mifit.datasets.load("nhanes2").to_csv("study.csv", index=False)
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    command = re.search(r"```sh\npython -m mifit (.*)\n```", page)[1]
    assert main(shlex.split(command)) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"study.csv", "study.html", "study.mifit"}
    capsys.readouterr()
    assert main(["study.csv", "chl ~ agee * bmi"]) == 1
    assert capsys.readouterr().err == re.search(r"```text\n(mifit: error.*\n)```", page)[1]
    words = set(re.findall(r"(?<=`)--\w+", page))
    known = set(re.findall(r"--\w+", _parser().format_help()))
    assert words | {"--help"} == known


def test_the_process_itself(path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "mifit", path, "bp ~ age", "--m", "2", "--seed", "1"]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert "Pooled OLS Regression Results" in done.stdout
    failed = subprocess.run([*words[:4], "bp ~ nothing"], capture_output=True, text=True, env=env)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr

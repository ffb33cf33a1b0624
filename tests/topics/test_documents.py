"""The pages under docs/: their Python runs, what they show is what it prints, and they point at what is there."""

from __future__ import annotations

import ast
import inspect
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

import mifit
import mifit.sklearn
from support.documents import difference, played

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SHIPPED = ROOT / "mifit" / "messages.md"  # a page under docs/ includes it


@pytest.mark.parametrize("page", [*PAGES, SHIPPED], ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_a_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages may write files
    for block in played(page):
        assert (block.shown is None) == (not block.printed), (
            f"run tests/support/documents.py {page.name} after:\n{block.code}"
        )
        if block.shown is not None:
            assert not difference(block.shown, block.printed), block.printed


@pytest.fixture(scope="module")
def equivalents():
    """What the tables of equivalents speak of."""
    rng = np.random.default_rng(1)
    df = mifit.datasets.load("nhanes2")
    df = df.assign(**{name: rng.normal(size=len(df)) for name in ("x", "y", "z")}, t=rng.exponential(size=len(df)))
    df = df.assign(id=np.arange(len(df)) // 2, d=rng.integers(0, 2, len(df)))
    formula = "chl ~ age + bmi"
    imp = df[["age", "bmi", "hyp", "chl", "id"]].mice.impute(formula, m=3, rng=1)
    long = imp.to_long().rename(columns={".imp": "_mi_m", ".id": "_mi_id"})
    return {
        "df": df, "imp": imp, "res": imp.fit(), "smaller": imp.fit("chl ~ age"), "formula": formula, "new": df.head(3),
        "np": np, "mifit": mifit, "file": "study.mifit", "func": lambda d: (d["bmi"].mean(), 1.0), "long": long,
        "RandomForestRegressor": partial(RandomForestRegressor, n_estimators=10),
    }  # fmt: skip


def spans(page):
    """The pieces of code in the last cell of each row of a page's tables."""
    rows = re.findall(r"^\|.*\| (.+) \|$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [code for cell in rows for code in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.filterwarnings("ignore::mifit.MifitWarning")
@pytest.mark.parametrize("code", sorted(set(spans(ROOT / "docs" / "coming-from.md"))))
def test_the_mifit_side_of_a_table_of_equivalents_runs(code, equivalents, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if code.startswith(("imp", "res", "df.", "mifit.", "list(", '"')) and "..." not in code:
        if code == "mifit.load(file)":
            equivalents["imp"].save("study.mifit")
        eval(code, dict(equivalents))
    elif "=" in code:  # words of a call, `where=` or `by="site"`
        call = ast.parse(f"call({code}0)" if code.endswith("=") else f"call({code})", mode="eval").body
        taken = {*inspect.signature(mifit.impute).parameters, *inspect.signature(mifit.ImputedSet.fit).parameters}
        taken |= {"groups"}  # of mixed models
        assert {word.arg for word in call.keywords} <= taken
    else:
        assert "..." in code or code == "I(x**2)"


def test_every_page_stands_in_the_table_of_contents():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w-]+)$", contents, flags=re.MULTILINE))
    assert {page.stem for page in PAGES} - {"index"} <= listed


def test_every_link_between_pages_finds_its_file():
    for page in [*PAGES, SHIPPED]:
        for target in re.findall(r"\]\(([\w./-]+\.(?:md|py|png))(?:#[\w-]+)?\)", page.read_text(encoding="utf-8")):
            assert (ROOT / "docs" / target).exists(), f"{page.name} links to {target}"

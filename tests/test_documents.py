"""The pages under docs/: their Python runs, what they show is what it prints, and they point at what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import played, words_and_numbers

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages may write files
    for block in played(page):
        assert (block.shown is None) == (not block.printed), f"run tests/documents.py {page.name} after:\n{block.code}"
        if block.shown is not None:
            (words, numbers), (printed_words, printed_numbers) = map(words_and_numbers, (block.shown, block.printed))
            assert words == printed_words
            # Other versions of numpy may round another way, and a draw may then differ; not by more than this.
            assert printed_numbers == pytest.approx(numbers, rel=0.02, abs=0.02)


def test_every_page_stands_in_the_table_of_contents():
    contents = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w-]+)$", contents, flags=re.MULTILINE))
    assert {page.stem for page in PAGES} - {"index"} <= listed


def test_every_link_between_pages_finds_its_file():
    for page in PAGES:
        for target in re.findall(r"\]\(([\w./-]+\.(?:md|py|png))(?:#[\w-]+)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

"""What the README shows is what happens: its Python runs, its printed result is printed, its commands are CI's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.documents import difference

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The fenced block under the comment <!-- mark -->."""
    found = re.search(rf"<!-- {mark} -->\n```\w*\n(.*?)```", TEXT, flags=re.DOTALL)
    assert found, f"README.md has no block marked {mark}"
    return found[1]


def run_example(name: str) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import runpy; runpy.run_path('examples/{name}', run_name='__main__')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_of_the_readme_runs(capsys):
    pieces = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(pieces) >= 2
    scope: dict[str, object] = {"__name__": "readme"}
    for piece in pieces:
        exec(compile(piece, "README.md", "exec"), scope)
    assert "bmi" in capsys.readouterr().out


def test_the_result_shown_is_what_the_example_prints():
    shown, printed = block("result").strip(), run_example("nhanes.py").strip()
    assert shown, "paste the output of examples/nhanes.py under <!-- result --> in README.md"
    assert not difference(shown, printed), printed


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_short_and_runs(path):
    if "from distributed" in path.read_text(encoding="utf-8"):
        pytest.importorskip("distributed")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[0] == "# %% [markdown]"  # cells, from which notebooks are made
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= 30  # code; the text is free
    assert run_example(path.name)


def test_every_file_that_the_documents_link_to_is_there():
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{document.name} links to {target}"


def test_the_commands_that_ci_runs_are_one_line_each():
    assert [len(block(mark).splitlines()) for mark in ("setup", "tests")] == [1, 1]

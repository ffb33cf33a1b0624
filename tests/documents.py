"""Pages whose Python runs and prints what they show; as a script, it pastes what is printed now into the pages named.

A fence of python is run, all of one page in one namespace; a fence of text right beneath it shows what it prints.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", flags=re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


class Block(NamedTuple):
    """A piece of a page: its code, what the page shows beneath, what it prints."""

    code: str
    shown: str | None
    printed: str


def played(page: Path) -> Iterator[Block]:
    """Run a page from the top; what a reader would see after each block."""
    page_as_module = sys.modules["page"] = types.ModuleType("page")  # classes of a page pickle by its name
    for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(found["code"], page.name, "exec"), page_as_module.__dict__)
        yield Block(found["code"], found["shown"], _trimmed(said.getvalue()))


def words_and_numbers(text: str) -> tuple[list[str], list[float]]:
    """A text as its words, numbers and rules masked, and its numbers."""
    masked = re.sub(r"[-─=]{3,}", "-", NUMBER.sub("#", text))
    return masked.split(), [float(number) for number in NUMBER.findall(text)]


def paste(page: Path) -> None:
    """Write what each block prints beneath it."""
    blocks = iter(list(played(page)))

    def renewed(found: re.Match[str]) -> str:
        printed = next(blocks).printed
        return f"```python\n{found['code']}```\n" + (f"\n```text\n{printed}```\n" if printed else "")

    page.write_text(BLOCK.sub(renewed, page.read_text(encoding="utf-8")), encoding="utf-8")


def _trimmed(text: str) -> str:
    """A printed text without blanks at the ends of its lines, and without empty lines at its ends."""
    lines = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    return lines + "\n" if lines else ""


if __name__ == "__main__":
    warnings.simplefilter("error")
    for name in sys.argv[1:]:
        paste(Path(name))

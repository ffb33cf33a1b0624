"""Pages whose Python runs and prints what they show; as a script, it pastes what is printed now into the pages named.

A fence of python is run, all of one page in one namespace; a fence of text right beneath it shows what it prints.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<shown>.*?)^```\n)?", flags=re.DOTALL | re.MULTILINE
)
NUMBER = re.compile(r"-?\d+(?:\.(\d+))?(?:e([-+]?\d+))?")
IDENTITY = re.compile(r"(?<=ImputedSet )[0-9a-f]{8}\b|(?<=Imputed Set:)\s*[0-9a-f]{8}\b|(?<=mputed set )[0-9a-f]{8}\b")


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


def difference(shown: str, printed: str) -> str:
    """The first difference between a text and what is printed now; empty where every digit stands.

    Identities are words. A number may differ by one unit of its last digit: on another processor what is rounded for
    print may lie on the other side. Whole numbers may not.
    """
    (words, numbers), (other_words, other_numbers) = map(_words_and_numbers, (shown, printed))
    for one, other in zip(words, other_words, strict=False):
        if one != other:
            return f"{one!r} is shown, {other!r} is printed"
    if len(words) != len(other_words):
        return f"{len(words)} words are shown, {len(other_words)} are printed"
    for (one, unit), (other, _) in zip(numbers, other_numbers, strict=True):
        if not abs(one - other) <= 1.01 * unit:
            return f"{one!r} is shown, {other!r} is printed"
    return ""


def _words_and_numbers(text: str) -> tuple[list[str], list[tuple[float, float]]]:
    """A text as its words, numbers and rules masked, and its numbers with the unit of their last decimal."""
    text = IDENTITY.sub(lambda found: found[0].translate(_LETTERS), text)
    masked = re.sub(r"[-─=]{3,}", "-", NUMBER.sub("#", text))
    return masked.split(), [(float(found[0]), _unit(found)) for found in NUMBER.finditer(text)]


_LETTERS = str.maketrans("0123456789", "ghijklmnop")  # an identity holds no number


def _unit(found: re.Match[str]) -> float:
    """One unit of the last decimal; 0 of a whole number."""
    if found[1] is None and found[2] is None:
        return 0.0
    return 10.0 ** (int(found[2] or 0) - len(found[1] or ""))


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
    for name in [Path(one).resolve() for one in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # pages write files
            paste(name)

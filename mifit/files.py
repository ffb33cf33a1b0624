"""Files that users name: written whole or not at all, read only where they are files, refused in one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from .errors import StorageError

__all__ = ["bytes_of", "path_of", "replacing", "target_of", "way_back", "write_text"]

#: what a path may lead to besides a file
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOSYS})


def path_of(path: Any, call: str, name: str) -> str:
    """Return a path as text; anything that cannot be the name of a file is refused.

    Parameters
    ----------
    path : str or PathLike of str
    call : str
        The call it was given to, with ``{}`` for the path: ``"imp.save({})"``.
    name : str
        A name that serves as an example.

    Raises
    ------
    StorageError
        If it is of another type, empty, or holds what no system allows in a name.

    Examples
    --------
    >>> path_of(Path("study.mifit"), "imp.save({})", "study.mifit")
    'study.mifit'
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise StorageError(
            f"a file is named by text or a pathlib.Path, not by {type(path).__name__}.", do=call.format(repr(name))
        )
    if not text.strip() or "\0" in text:
        what = "is empty" if not text.strip() else f"{_shown(text)} holds a null character"
        raise StorageError(f"the name of a file {what}.", do=call.format(repr(name)))
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise StorageError(
            f"{_shown(text)} holds a character that no name of a file can have.", do=call.format(repr(name))
        ) from None
    return text


def target_of(path: Any, call: str, name: str) -> tuple[str, os.stat_result | None]:
    """Return a path as text and what is known of the file that will be replaced; None where there is none yet.

    Parameters
    ----------
    path, call, name
        As in :func:`path_of`.

    Raises
    ------
    StorageError
        If the path leads to something that is no file, or can lead nowhere.
    """
    text = path_of(path, call, name)
    do = call.format(repr(name))
    try:
        there = os.stat(text)
    except FileNotFoundError as error:
        if way_back(text):
            raise StorageError(f"{_shown(text)} could not be written{_gone(text)}.", do=way_back(text)) from error
        if text.endswith(("/", os.sep)):
            raise StorageError(
                f"{_shown(text)} could not be written: it names a folder, not a file.",
                do=call.format(repr(text.rstrip("/" + os.sep) or name)),
            ) from error
        return text, None
    except OSError as error:
        raise StorageError(f"{_shown(text)} could not be written: {error.strerror or error}.", do=do) from error
    inside = call.format(repr(os.path.join(text, name)))
    _refuse_other_kinds(text, there, "written", inside if stat.S_ISDIR(there.st_mode) else do)
    return text, there


@contextlib.contextmanager
def replacing(path: Any, call: str = "imp.save({})", name: str = "study.mifit") -> Iterator[BinaryIO]:
    """Open a temporary file beside a path; it takes the path's name once all is written, and never before.

    A link is followed and stays; the file it leads to keeps its permissions.

    Parameters
    ----------
    path, call, name
        As in :func:`path_of`.

    Raises
    ------
    StorageError
        If the path leads to something that is no file, or the disk refuses. What was there before is as it was, and no
        other file is left.
    """
    text, there = target_of(path, call, name)
    temporary = None
    try:
        target = Path(os.path.realpath(text))
        temporary = target.parent / f".{target.name[:40]}.{secrets.token_hex(4)}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        # While it is written, nobody sees more of it than of the file it replaces.
        with os.fdopen(os.open(temporary, flags, 0o666 if there is None else 0o600), "w+b") as file:
            yield file
            file.flush()
            _allowed(os.fsync, file.fileno())
        if there is not None:
            _allowed(getattr(os, "chown", lambda *_: None), temporary, there.st_uid, there.st_gid)
            _allowed(os.chmod, temporary, stat.S_IMODE(there.st_mode))
        os.replace(temporary, target)
        temporary = None
        _sync_folder(target.parent)
    except OSError as error:
        kept = "; the file that was there is as it was" if there is not None else ""
        raise StorageError(
            f"{_shown(text)} could not be written: {error.strerror or error}{kept}.",
            do=_elsewhere(text, error, call, name),
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path: Any, text: str, call: str, name: str) -> Path:
    """Write text as one file, whole or not at all; see :func:`replacing`.

    Half a character, which no encoding has, is written as its number.
    """
    with replacing(path, call, name) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return Path(path)


def bytes_of(path: Any, call: str, name: str, begins: bytes = b"") -> bytes:
    """Return all bytes of a file.

    Parameters
    ----------
    path, call, name
        As in :func:`path_of`.
    begins : bytes
        What it must begin with; of a file that begins otherwise no more is read.

    Raises
    ------
    StorageError
        If the path leads to no file, or the disk refuses. Nothing waits: what is no file is not opened.
    """
    text = path_of(path, call, name)
    do = call.format(repr(name))
    try:
        _refuse_other_kinds(text, os.stat(text), "read", do)
        wait_not = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(text, os.O_RDONLY | wait_not), "rb") as file:
            _refuse_other_kinds(text, os.fstat(file.fileno()), "read", do)  # it may have changed between
            head = file.read(len(begins))
            return head if head != begins else head + (file.read() or b"")
    except OSError as error:
        raise StorageError(
            f"{_shown(text)} could not be read: {error.strerror or error}{_gone(text)}.", do=way_back(text) or do
        ) from error
    except MemoryError as error:
        raise StorageError(f"{_shown(text)} could not be read: it is larger than the memory.", do=do) from error


def _refuse_other_kinds(text: str, there: os.stat_result, verb: str, do: str) -> None:
    """Refuse what is no file."""
    if not stat.S_ISREG(there.st_mode):
        kind = next((said for matches, said in _KINDS if matches(there.st_mode)), "no file")
        raise StorageError(f"{_shown(text)} could not be {verb}: it is {kind}, not a file.", do=do)


def _allowed(change: Any, *words: Any) -> None:
    """Do what some file systems cannot do, where this one can."""
    try:
        change(*words)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def _sync_folder(folder: Path) -> None:
    """Let a new name reach the disk, where the system can say so."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            number = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def way_back(text: str) -> str:
    """Return the call that leads out of a working directory that was removed; empty where a path does without one."""
    try:
        if not os.path.isabs(text):
            os.getcwd()
    except OSError:
        return "import os; os.chdir(os.path.expanduser('~'))"
    return ""


def _gone(text: str) -> str:
    """What to add where the working directory was removed."""
    return ": the working directory was removed" if way_back(text) else ""


def _elsewhere(text: str, error: OSError, call: str, name: str) -> str:
    """The same call with a place that can be written to, on another disk where this one is full."""
    if error.errno == errno.ENAMETOOLONG:
        return call.format(repr(name))
    folder = os.path.dirname(text) or "."
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
    for place in (".", os.path.expanduser("~"), tempfile.gettempdir()):
        with contextlib.suppress(OSError):
            same = os.path.exists(folder) and (
                os.path.samefile(place, folder) or (full and os.stat(place).st_dev == os.stat(folder).st_dev)
            )
            if os.path.isdir(place) and os.access(place, os.W_OK) and not same:
                return call.format(repr(name if place == "." else os.path.join(place, name)))
    return call.format(repr(name))


def _shown(text: str) -> str:
    """A path in a sentence, cut in the middle where it is long."""
    return repr(text if len(text) <= 120 else f"{text[:60]}...{text[-50:]}")

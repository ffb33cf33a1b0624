"""Every file a user names: refused where it is none, written whole or not at all, and never waited for."""

import errno
import io
import os
import re
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import mifit
from mifit import files
from support.mixed_kinds import mixed

POSIX = pytest.mark.skipif(os.name != "posix", reason="kinds of files that other systems lack")


@pytest.fixture(scope="module")
def imp():
    return mifit.impute(mixed(40), "y ~ x", m=2, iterations=1, rng=1)


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    """They take most of the time of a report."""
    monkeypatch.setattr("mifit.examine.report.picture", lambda *_, **__: "")


#: every public call that is given the name of one file
WRITERS = {
    "save": lambda imp, path: imp.save(path),
    "report": lambda imp, path: imp.report(path),
}
READERS = {"load": lambda imp, path: mifit.load(path)}
CALLS = WRITERS | READERS


def device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    except (PermissionError, OSError):
        pytest.skip("devices are made by the superuser")


def bound(path):
    """A socket; its name may be short only."""
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


OTHERS = {
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else None,
    "socket": bound,
    "folder": os.mkdir,
    "full folder": lambda path: (path.mkdir(), (path / "inside").touch()),
    "device": device,
    "link to a device": lambda path: path.symlink_to("/dev/null"),
    "link to a folder": lambda path: path.symlink_to(path.parent),
    "link to itself": lambda path: path.symlink_to(path),
}


@POSIX
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_file_is_refused_at_once_and_stays(call, kind, imp, tmp_path):
    path = tmp_path / "it"
    OTHERS[kind](path)
    before = os.lstat(path)
    caught = []

    def tried():
        try:
            CALLS[call](imp, path)
        except mifit.MifitError as error:
            caught.append(error)

    thread = threading.Thread(target=tried, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits"
    assert len(caught) == 1 and caught[0].do.startswith(("imp.", "mifit.load("))
    after = os.lstat(path)
    assert (before.st_mode, before.st_ino, before.st_rdev) == (after.st_mode, after.st_ino, after.st_rdev)
    assert os.listdir(tmp_path) == ["it"]


@POSIX
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "/dev/tty", "/dev/stdin"])
def test_the_devices_of_the_system_are_refused(call, path, imp):
    if not os.path.exists(path):
        pytest.skip("not here")
    mode = os.lstat(path).st_mode
    with pytest.raises(mifit.MifitError):
        CALLS[call](imp, path)
    assert os.lstat(path).st_mode == mode


class Odd:
    def __fspath__(self):
        return b"bytes"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "path",
    [None, 0, 1, 5, True, 2.5, b"study", bytearray(b"x"), ["x"], {}, Odd(), io.BytesIO(), "", " ", "a\0b", "\0",
     "x" * 300, "x" * 5000, "d/" * 3000 + "x", "a\ud800b", "no folder/x", "no folder/", Path("no folder/x"), "new/"],
    ids=lambda path: repr(path)[:20].replace("\0", "0"),
)  # fmt: skip
def test_what_is_no_name_of_a_file_is_one_clear_error(call, path, imp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mifit.MifitError) as caught:
        CALLS[call](imp, path)
    assert len(caught.value.fact) < 400 and caught.value.do
    str(caught.value).encode()  # an error about half a character can be printed
    assert os.listdir(tmp_path) == []
    if call in READERS:
        return
    eval(caught.value.do, {"imp": imp, "mifit": mifit})  # the advice works
    written = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert len(written) == 1


@POSIX
@pytest.mark.parametrize("call", CALLS)
def test_a_removed_working_directory_is_told(call, imp, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(mifit.StorageError, match="working directory was removed") as caught:
        CALLS[call](imp, "study")
    exec(caught.value.do)
    assert os.getcwd()


FAULTS = [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES, errno.EDQUOT]


@pytest.mark.parametrize("call", WRITERS)
@pytest.mark.parametrize("where", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("fault", [*FAULTS, None], ids=lambda f: errno.errorcode.get(f, "interrupt"))
def test_a_disk_that_refuses_leaves_what_was_there(call, where, fault, imp, tmp_path, monkeypatch):
    path = tmp_path / "it"
    path.write_bytes(b"before")
    what = KeyboardInterrupt() if fault is None else OSError(fault, os.strerror(fault))

    def fail(*_, **__):
        raise what

    with monkeypatch.context() as patch:
        if where == "write":
            real = files.os.fdopen

            class Broken(io.BytesIO):
                def __init__(self, number):
                    super().__init__()
                    self.under = real(number, "wb")

                def write(self, data):
                    self.under.write(data[: len(data) // 2])
                    self.under.flush()
                    fail()

                def close(self):
                    self.under.close()
                    super().close()

            patch.setattr(files.os, "fdopen", lambda number, mode: Broken(number))
        else:
            patch.setattr(files.os, where, fail)
        with pytest.raises(KeyboardInterrupt if fault is None else mifit.StorageError) as caught:
            WRITERS[call](imp, path)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["it"]
    if fault is not None:
        assert os.strerror(fault) in str(caught.value) and "is as it was" in str(caught.value)
        assert caught.value.do.startswith(f"imp.{call}(")


@POSIX
@pytest.mark.parametrize("call", WRITERS)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_a_file_that_is_replaced_keeps_its_mode_and_links_to_it_stay(call, mode, imp, tmp_path):
    real, link, chain = tmp_path / "real", tmp_path / "link", tmp_path / "chain"
    real.write_text("before")
    real.chmod(mode)
    link.symlink_to("real")
    chain.symlink_to(link)
    WRITERS[call](imp, chain)
    assert link.is_symlink() and chain.is_symlink() and not real.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == mode and real.read_bytes() != b"before"
    assert len(os.listdir(tmp_path)) == 3


@POSIX
@pytest.mark.parametrize("call", WRITERS)
def test_a_new_file_has_the_mode_the_umask_gives(call, imp, tmp_path):
    before = os.umask(0o027)
    try:
        WRITERS[call](imp, tmp_path / "new")
        (tmp_path / "dangling").symlink_to("beyond")
        WRITERS[call](imp, tmp_path / "dangling")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "beyond").stat().st_mode) == 0o640


def test_a_file_that_is_no_study_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(2**40)  # a terabyte of nothing
    with pytest.raises(mifit.StorageError, match="no study"):
        mifit.load(path)


def test_nothing_else_of_the_package_opens_a_file_to_write():
    """All files of users go through one function: what is opened elsewhere is the parcel of the workers."""
    package = Path(mifit.__file__).parent
    calls = ("write_text(", "write_bytes(", ".tofile(", "np.save", "mkstemp(", "os.replace(", '"wb"', '"w+b"')
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if any(call in re.sub(r"(?<!\.)\bwrite_text\(|.*fileobj=.*", "", line) for call in calls)
    }
    assert found == {"files.py", "workers.py"}


@POSIX
def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file(tmp_path):
    path = tmp_path / "study.mifit"
    mifit.impute(mixed(40), "y ~ x", m=2, iterations=1, rng=1).save(path)
    before = path.read_bytes()
    script = textwrap.dedent(f"""
        import os, signal
        from mifit.files import replacing
        with replacing({str(path)!r}) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    assert path.read_bytes() == before


HALF = "a\ud800"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({HALF: 1.0}, {"formula": "y ~ x"}),
        ({HALF: 1.0}, {}),
        ({}, {"formula": f"y ~ x + {HALF}"}),
        ({}, {"formula": f"y ~ x + Q('{HALF}')"}),
        ({}, {"derived": {"d": f"x + (z == '{HALF}')"}}),
        ({}, {"conditional": {"x": f"g == '{HALF}'"}}),
        ({}, {"ignore": f"g == '{HALF}'"}),
    ],
)
def test_half_a_character_in_a_name_or_a_formula_is_one_clear_error(columns, words):
    with pytest.raises(mifit.MifitError) as caught:
        frame = mixed(40)
        frame.columns = frame.columns.astype(object)  # other labels cannot hold it
        mifit.impute(frame.assign(**columns), m=2, iterations=1, rng=1, **words)
    str(caught.value).encode()
    assert caught.value.do

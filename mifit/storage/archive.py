"""One zip of a JSON document and arrays: written whole or not at all, read only after its sizes and checksums."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import StorageError
from ..files import bytes_of, replacing
from ..typing import AnyArray

__all__ = ["PROTOCOL", "dtype_of", "read", "write"]

#: number of the form of the file; a reader refuses a higher one. 2: classes by plain names, not by modules
PROTOCOL = 2

_FORMAT = "mifit"
_BEGINS = b"PK"  # as every zip does
_MEMBER = re.compile(r"document\.json|manifest\.json|arrays/\d{1,7}\.npy")
_DTYPE = re.compile(r"[<>|][biufcmMSU]\d{1,4}(\[\d{0,4}[a-zA-Zμ]{1,2}\])?")
_MOST = 2**28  # bytes that a file may always hold once it is unpacked
_CONTAINERS = 2**21  # lists and mappings that a document may hold: each takes 60 bytes and more, however short it is
_TEXTS, _MEMBERS = 2**23, 2**24  # its texts, and members of all its lists and mappings
_RATIO = 100  # beyond them, so many times its size
_EPOCH = (1980, 1, 1, 0, 0, 0)  # every member's date: the same study gives the same bytes


def write(path: str | os.PathLike[str], document: Any, arrays: Mapping[str, AnyArray]) -> None:
    """Write a document and its arrays as one file.

    Parameters
    ----------
    path : path
        Replaced if it is there, at once and only when all is written.
    document : JSON
    arrays : mapping
        Name -> array without Python objects.

    Raises
    ------
    StorageError
        If the disk refuses.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        sums = {f"arrays/{name}.npy": _put(archive, f"arrays/{name}.npy", *_npy(one)) for name, one in arrays.items()}
        text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
        if _vast(text):
            raise StorageError(
                f"{str(path)!r} would hold {_vast(text)}, more than a file may: text is kept value by value.",
                do="df = df.astype({name: 'category' for name in df.select_dtypes('object')})  # before imputing",
            )
        sums["document.json"] = _put(archive, "document.json", text)
        manifest = {"format": _FORMAT, "protocol": PROTOCOL, "members": sums}
        _put(archive, "manifest.json", json.dumps(manifest, indent=1).encode())


def _put(archive: zipfile.ZipFile, name: str, *parts: bytes | memoryview) -> dict[str, Any]:
    """Write one member; its size and checksum."""
    digest, size = hashlib.sha256(), 0
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = archive.compression
    info._compresslevel = archive.compresslevel  # type: ignore[attr-defined]
    with archive.open(info, "w", force_zip64=True) as member:
        for part in parts:
            digest.update(part)
            size += len(part)
            member.write(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _npy(array: AnyArray) -> tuple[bytes, memoryview]:
    """An array in numpy's own form: head and body."""
    body = np.asarray(array, order="C")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(body))
    return head.getvalue(), memoryview(body.reshape(-1).view(np.uint8).data)


def read(path: str | os.PathLike[str]) -> tuple[Any, dict[str, AnyArray]]:
    """Read what :func:`write` wrote; nothing in the file is run.

    Returns
    -------
    document : JSON
    arrays : dict
        Name -> array.

    Raises
    ------
    StorageError
        If there is no such file, it is no study, was changed or cut, holds more than it may, or is of a later form.
    """
    data = bytes_of(path, "mifit.load({})", "study.mifit", begins=_BEGINS)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = _checked(archive, len(data))
        manifest = _json(archive.read(members.pop("manifest.json")))
        _check_protocol(manifest)
        sums = manifest["members"]
        if set(sums) != set(members):
            raise ValueError("its members are not those of its manifest")
        document, arrays = None, {}
        for name, info in members.items():
            content = archive.read(info)
            if hashlib.sha256(content).hexdigest() != sums[name]["sha256"]:
                raise ValueError(f"{name} is not what was written")
            if name == "document.json":
                document = _json(content)
            else:
                arrays[name.removeprefix("arrays/").removesuffix(".npy")] = _array(content)
    return document, arrays


def _checked(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, if their names, sizes and compression are such as are written."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(members) < len(infos) or not {"manifest.json", "document.json"} <= members.keys():
        raise ValueError("its members repeat or lack a document")
    for info in infos:
        if not _MEMBER.fullmatch(info.filename) or info.filename != info.orig_filename:
            raise ValueError(f"it has a member {info.filename[:60]!r}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 1:
            raise ValueError(f"{info.filename} is packed in an unknown way")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > max(_MOST, _RATIO * size):
        raise ValueError(f"{size} bytes would unpack to {unpacked}")
    return members


def _check_protocol(manifest: Any) -> None:
    """Refuse what is no study, or one of a later form."""
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ValueError("it is not a study of mifit")
    protocol = manifest.get("protocol")
    if type(protocol) is not int or protocol < 1:
        raise ValueError("it does not say its protocol")
    if protocol > PROTOCOL:
        raise StorageError(
            f"the file is of protocol {protocol}, written by a later mifit; this one reads up to {PROTOCOL}.",
            do="pip install --upgrade mifit",
        )


def _json(content: bytes) -> Any:
    """Strict JSON: no infinities, no key twice, no more values than memory bears."""
    if _vast(content):
        raise ValueError(f"its document holds {_vast(content)}")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            raise ValueError("a key of its document repeats")
        return made

    def constant(word: str) -> None:
        raise ValueError(f"its document holds {word}")

    return json.loads(content.decode("utf-8"), parse_constant=constant, object_pairs_hook=pairs)


def _vast(content: bytes) -> str:
    """What a document has too much of, counted before any of it is made; nothing if it is of a usual size."""
    counts = {
        "lists": (content.count(b"{") + content.count(b"["), _CONTAINERS),
        "texts": (content.count(b'"') // 2, _TEXTS),
        "values": (content.count(b","), _MEMBERS),
    }
    return ", ".join(f"{many} {what}" for what, (many, most) in counts.items() if many > most)


def _array(content: bytes) -> AnyArray:
    """An array from numpy's own form, its size checked before anything of that size is made."""
    stream = io.BytesIO(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("an array is of an unknown form")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=1000)
    dtype_of(dtype.str)
    body = memoryview(content)[stream.tell() :]
    if fortran or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError("an array is not of its size")
    return np.frombuffer(body, dtype).reshape(shape).copy()


def dtype_of(text: str) -> np.dtype[Any]:
    """The dtype of an array in a file: numbers, times, bytes or text of fixed width, never objects."""
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise ValueError(f"an array has the dtype {text!r:.40}")
    return np.dtype(text)

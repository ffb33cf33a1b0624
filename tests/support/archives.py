"""Files of imputed sets taken apart, and put together again with right checksums."""

import hashlib
import io
import json
import zipfile


def parts_of(data):
    """Document and arrays of a file."""
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        members = {name: parts.read(name) for name in parts.namelist()}
    return json.loads(members.pop("document.json")), {n: v for n, v in members.items() if n.endswith(".npy")}


def repacked(document, arrays, names=()):
    """A file with checksums that are right, whatever is in it."""
    content = {**arrays, "document.json": json.dumps(document).encode()}
    sums = {n: {"bytes": len(v), "sha256": hashlib.sha256(v).hexdigest()} for n, v in content.items()}
    manifest = {"format": "mifit", "protocol": 2, "members": sums}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as parts:
        for name, value in {**content, "manifest.json": json.dumps(manifest).encode(), **dict(names)}.items():
            parts.writestr(name, value)
    return stream.getvalue()

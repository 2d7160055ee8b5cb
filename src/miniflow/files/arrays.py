"""Arrays in a file, and a few words about them: the safetensors format, with one metadata key.

The key `"miniflow"` holds JSON, sorted, so that the same contents give the same bytes. It begins
with the SHA-256 checksum of the whole file, computed with zeros in the checksum's own place: a disk
that lost a bit is found out, wherever the bit was. (That guards against accidents. Whoever forges a
file can compute a checksum too.) Nothing in such a file is ever executed; a file is believed only
as far as it has been checked. (`models` and `checkpoints` say what is in their files and check it.)
"""

import hashlib
import io
import json
import os
import stat
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from miniflow.errors import ModelFileError, shown
from miniflow.files.atomic import write_bytes

KEY = "miniflow"
UNSEALED = "0" * 64  # stands for the checksum while that is computed
MAX_TEXT = 1 << 25  # letters of JSON; what it is made into takes some ten times the memory
Path = str | os.PathLike[str]
Arrays = dict[str, np.ndarray[Any, Any]]


def write_arrays(
    path: Path,
    kind: str,
    arrays: Mapping[str, Any],
    about: dict[str, Any],
    *,
    old_to: Path | None = None,
) -> None:
    """Replace the file at `path`, in one step, by one that holds `arrays` and `about`.

    Args:
        path: the file; its folder exists.
        kind: what the file is, said to whoever reads it as another kind: "model", "checkpoint".
        arrays: name → array.
        about: what JSON can hold.
        old_to: where the old file is moved, once the new one is on the disk; by default it goes.

    Raises OSError if it cannot be written; then the old file is as it was.
    """
    write_bytes(path, sealed(arrays, {"kind": kind, **about}), old_to=old_to)


def read_arrays(path: Path, kind: str, *others: str) -> tuple[Arrays, dict[str, Any]]:
    """What `write_arrays` wrote, as one of these kinds: the arrays, and what was said about them.

    Raises:
        ModelFileError: the file is damaged, was written by another program, or is of another kind.
        OSError: there is no such file, or it cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # they may never end
        raise ModelFileError(f"{path}: is a pipe or a device, and no file.")
    with open(path, "rb"):
        pass  # whatever keeps a file from being opened is told by the system's own error
    try:
        arrays, metadata = _read(path)
    except Exception as error:  # the reader of a damaged file may raise nearly anything
        reason = shown(" ".join(str(error).split()) or type(error).__name__)
        raise ModelFileError(f"{path}: is damaged, or no safetensors file: {reason}.") from error
    if KEY not in metadata:
        raise ModelFileError(f"{path}: was not written by miniflow.")
    if len(metadata[KEY]) > MAX_TEXT:
        raise ModelFileError(
            f"{path}: is damaged: it says {len(metadata[KEY]):,} letters of itself."
        )
    try:
        about = json.loads(metadata[KEY])
        found = about["kind"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(f"{path}: is damaged: what it says of itself is no JSON.") from error
    if found not in (kind, *others):
        raise ModelFileError(f"{path}: is a {shown(found, 40)} and not a {kind}.")
    told = str(about.pop("sha256", None))
    with open(path, "rb") as file:
        if _checksum(file, told) != told:
            raise ModelFileError(f"{path}: is damaged: its checksum is not that of its contents.")
    return arrays, about


def sealed(arrays: Mapping[str, Any], about: Mapping[str, Any]) -> bytes:
    """The bytes of a file that holds `arrays` and `about`, with their checksum in it.

    >>> contents = sealed({"W": np.zeros(3)}, {"kind": "note"})
    >>> contents == sealed({"W": np.zeros(3)}, {"kind": "note"})
    True
    """
    from safetensors.numpy import save

    in_order = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    text = json.dumps(about, sort_keys=True, separators=(",", ":"))
    text = f'{{"sha256":"{UNSEALED}",{text[1:]}'  # it comes first: there is no mistaking it
    contents: bytes = save(in_order, {KEY: text})
    checksum = _checksum(io.BytesIO(contents), UNSEALED)
    return contents.replace(_seal(UNSEALED), _seal(checksum), 1)


def _checksum(file: BinaryIO, seal: str) -> str:
    """SHA-256 of a file, with zeros where its seal is. The file begins with its header's length."""
    length = file.read(8)
    header = file.read(int.from_bytes(length, "little"))
    sums = hashlib.sha256(length + header.replace(_seal(seal), _seal(UNSEALED), 1))
    while piece := file.read(1 << 20):
        sums.update(piece)
    return sums.hexdigest()


def _seal(checksum: str) -> bytes:
    """How a checksum stands in the header: in JSON that is a string of JSON."""
    return rf"\"sha256\":\"{checksum}\"".encode()


def _read(path: Path) -> tuple[Arrays, dict[str, str]]:
    from safetensors import safe_open

    with safe_open(os.fspath(path), framework="np") as file:
        names = file.keys()  # the file is no dictionary: it cannot be iterated over
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}

"""Arrays in a file, and a few words about them: the safetensors format, with one metadata key.

The key `"miniflow"` holds JSON, sorted, so that the same contents give the same bytes. Nothing in
such a file is ever executed; a file is believed only as far as it has been checked. (`networks` and
`checkpoints` say what is in their files and check it.)
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from miniflow.atomic import write_bytes
from miniflow.errors import ModelFileError

KEY = "miniflow"
MAX_TEXT = 1 << 25  # letters of JSON; what it is made into takes some ten times the memory
Path = str | os.PathLike[str]
Arrays = dict[str, np.ndarray[Any, Any]]


def write_arrays(path: Path, kind: str, arrays: Mapping[str, Any], about: dict[str, Any]) -> None:
    """Replace the file at `path`, in one step, by one that holds `arrays` and `about`.

    Args:
        path: the file; its folder exists.
        kind: what the file is, said to whoever reads it as another kind: "model", "checkpoint".
        arrays: name → array.
        about: what JSON can hold.

    Raises OSError if it cannot be written.
    """
    from safetensors.numpy import save

    text = json.dumps({"kind": kind, **about}, sort_keys=True, separators=(",", ":"))
    in_order = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    write_bytes(path, save(in_order, {KEY: text}))


def read_arrays(path: Path, kind: str) -> tuple[Arrays, dict[str, Any]]:
    """What `write_arrays` wrote: the arrays, and what was said about them.

    Raises:
        ModelFileError: the file is damaged, was written by another program, or is of another kind.
        OSError: there is no such file, or it cannot be opened.
    """
    with open(path, "rb"):
        pass  # whatever keeps a file from being opened is told by the system's own error
    try:
        arrays, metadata = _read(path)
    except Exception as error:  # the reader of a damaged file may raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelFileError(
            f"{path}: is damaged, or no safetensors file: {reason[:200]}."
        ) from error
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
    if found != kind:
        raise ModelFileError(f"{path}: is a {str(found)[:40]} and not a {kind}.")
    return arrays, about


def _read(path: Path) -> tuple[Arrays, dict[str, str]]:
    from safetensors import safe_open

    with safe_open(os.fspath(path), framework="np") as file:
        names = file.keys()  # the file is no dictionary: it cannot be iterated over
        return {name: file.get_tensor(name) for name in names}, file.metadata() or {}

"""Reading arrays from an `.npz` file, NumPy's zip of arrays, that a stranger may have made.

`np.load` reserves whatever memory a header asks for and finds out later whether the data are there.
Here each array's header is first compared with the size of its member in the zip, and that with
what so many packed bytes could possibly hold. Pickled objects, which could run code, are refused.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.errors import DataError, shown
from miniflow.files.limits import too_much_unpacked

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable
    from typing import IO

    from numpy.typing import NDArray


def read_npz(
    path: str | os.PathLike[str], required: Iterable[str], optional: Iterable[str] = ()
) -> dict[str, NDArray[Any]]:
    """Read the arrays called `required`, and those called `optional` that there are.

    Raises `DataError`, with the file's name, if it is no `.npz` file, lacks a required array, is
    damaged, claims more than it holds, or holds Python objects; `OSError` if it cannot be opened.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "points.npz")
    ...     np.savez(path, images=np.eye(2), labels=[0, 1])
    ...     read_npz(path, ["labels"])
    {'labels': array([0, 1])}
    """
    import zipfile

    with open(path, "rb") as file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # see below
            raise DataError(
                f"{path}: not an .npz file, a zip of arrays ({shown(error)})."
            ) from error
        with archive:
            members = archive.namelist()
            found = [name[: -len(".npy")] for name in members if name.endswith(".npy")]
            missing = [name for name in required if name not in found]
            if missing:
                holds = shown(", ".join(sorted(found))) or "nothing"
                raise DataError(f"{path}: lacks {' and '.join(missing)}; it holds {holds}.")
            wanted = [*required, *(name for name in optional if name in found)]
            return {name: _read_member(archive, name, path) for name in wanted}


def _read_member(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> NDArray[Any]:
    try:
        _check_claims(archive, name, path)
        with archive.open(f"{name}.npy") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # reaching the end makes the zip compare checksums
    except DataError:
        raise
    except Exception as error:
        # A damaged zip or header makes these libraries raise a dozen kinds of exception, none of
        # them documented, and all of them mean the same to the user.
        raise DataError(f"{path}: {name} cannot be read ({shown(error)}).") from error
    return array


def _check_claims(archive: zipfile.ZipFile, name: str, path: str | os.PathLike[str]) -> None:
    """Refuse an array whose header claims what its member does not, or cannot, hold."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        shape, dtype = _read_header(stream)
        held = member.file_size - stream.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds Python objects, which are never loaded.")
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != held:
        raise DataError(
            f"{path}: the header of {name} claims {dtype} of shape {shape}, {claimed:,} bytes, "
            f"but there are {held:,}."
        )
    if too_much_unpacked(member.file_size, os.path.getsize(path)):
        raise DataError(
            f"{path}: {name} claims {claimed:,} bytes, which is too much for a packed file of "
            f"{os.path.getsize(path):,}. If you trust it, save it anew with np.savez, which packs "
            "nothing."
        )


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # 3.0 differs only in the field names of records
        raise ValueError(f"version {version} of the format is not one of plain numbers")
    shape, _, dtype = readers[version](stream)
    return shape, dtype

"""IDX files: how MNIST, and the sets made in its likeness, store an array.

An IDX file is two zero bytes, a byte that names the type of the elements, a byte that counts the
dimensions, the length of each dimension as an unsigned 32-bit number, and then the elements in C
order; every number is big-endian. Often the whole is packed with gzip.

A header is a claim made by a stranger. Reading therefore never reserves memory for what the header
says: it takes the bytes as they come, up to one more than claimed, and then compares. That one byte
tells a file that goes on too long, and stops a small gzip file that would unpack to gigabytes.
"""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from miniflow.errors import DataError, shown
from miniflow.files.atomic import write_bytes
from miniflow.files.limits import too_much_unpacked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_DTYPE_OF_CODE: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(np.uint8),
    0x09: np.dtype(np.int8),
    0x0B: np.dtype(np.int16),
    0x0C: np.dtype(np.int32),
    0x0D: np.dtype(np.float32),
    0x0E: np.dtype(np.float64),
}
_CODE_OF_DTYPE = {dtype: code for code, dtype in _DTYPE_OF_CODE.items()}
_DTYPE_NAMES = ", ".join(dtype.name for dtype in _CODE_OF_DTYPE)

_MOST_DIMENSIONS = 64  # NumPy's limit; IDX itself could count to 255
_GREATEST_LENGTH = 2**32 - 1
_PIECE = 1 << 20  # bytes taken from a file at a time


class _Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype.name} of shape {self.shape}, {self.nbytes:,} bytes"


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read the array, of shape (d1, ..., dk) with k ≥ 1, from an IDX file, plain or gzip-packed.

    Which of the two it is shows in the file's first bytes; its name does not matter. The array has
    the machine's own byte order and can be written to. Memory stays in proportion to the data that
    are really there, whatever the header claims.

    Raises `DataError`, with the file's name, if the file is not IDX, is cut short, goes on after
    its data, has an unknown type of element or no dimensions, or its gzip packing is damaged or
    would unpack to more than a hundred times its size; `OSError` if it cannot be opened.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte.gz")
    ...     write_idx(path, np.array([7, 2, 1], np.uint8))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    with open(path, "rb") as file, _unpack(file) as stream:
        header = _read_header(stream, path)
        claim = f"{path}: its header claims {header}"
        packed = os.fstat(file.fileno()).st_size
        if stream is not file and too_much_unpacked(header.nbytes, packed):
            raise DataError(
                f"{claim}, which is too much for a gzip file of {packed:,} bytes. If you trust it, "
                "unpack it with gunzip."
            )
        body = _take(stream, header.nbytes + 1, trouble=f"{claim}, but")
    if len(body) < header.nbytes:
        raise DataError(f"{claim}, but only {len(body):,} bytes follow.")
    if len(body) > header.nbytes:
        raise DataError(f"{claim}, but the file goes on after them.")
    elements = np.frombuffer(body, header.dtype.newbyteorder(">"))
    try:
        return elements.reshape(header.shape).astype(header.dtype, copy=False)
    except ValueError as error:  # no elements, yet lengths whose product NumPy cannot count
        raise DataError(f"{claim}, a shape that NumPy cannot hold ({error}).") from error


def write_idx(path: str | os.PathLike[str], array: ArrayLike) -> None:
    """Write `array`, of shape (d1, ..., dk) with k ≥ 1, as an IDX file; as gzip if `path` has .gz.

    The elements are uint8, int8, int16, int32, float32 or float64, in any byte order. The same
    array gives the same bytes each time: the gzip header carries neither a time nor a name. A file
    that exists is replaced whole or not at all.

    Raises `DataError` if IDX has no code for the type of the elements (convert them first, for
    instance with `array.astype(np.int32)`) or cannot express the shape (an array without dimensions
    needs `array.reshape(1)`); `OSError` if the file cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "pair")
    ...     write_idx(path, np.array([1, 258], np.int16))
    ...     path.read_bytes().hex(" ", 4)
    '00000b01 00000002 00010102'
    """
    array = np.asarray(array)
    code = _CODE_OF_DTYPE.get(array.dtype.newbyteorder("="))
    if code is None:
        raise DataError(f"{path}: IDX cannot store {array.dtype}; convert it to {_DTYPE_NAMES}.")
    if array.ndim == 0:
        raise DataError(f"{path}: IDX needs at least one dimension; write array.reshape(1).")
    if max(array.shape) > _GREATEST_LENGTH:
        raise DataError(f"{path}: IDX cannot store shape {array.shape}: its lengths have 32 bits.")
    header = struct.pack(f">2xBB{array.ndim}I", code, array.ndim, *array.shape)
    contents = header + array.astype(array.dtype.newbyteorder(">"), copy=False).tobytes()
    packed = os.fspath(path).lower().endswith(".gz")
    write_bytes(path, _gzip(contents) if packed else contents)


def _gzip(contents: bytes) -> bytes:
    """`contents` as a gzip file; not `gzip.compress`, which notes the system that it ran on."""
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=packed, mtime=0) as file:
        file.write(contents)
    return packed.getvalue()


def _unpack(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The stream of IDX bytes in `file`: the file itself, or what its gzip packing holds."""
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.GzipFile(fileobj=file) if packed else file


def _read_header(stream: BinaryIO | gzip.GzipFile, path: str | os.PathLike[str]) -> _Header:
    magic = _take(stream, 4, trouble=f"{path}:")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        seen = f"starts with {magic.hex(' ')}" if magic else "is empty"
        raise DataError(f"{path}: not an IDX file, which starts with two zero bytes: it {seen}.")
    dtype, rank = _DTYPE_OF_CODE.get(magic[2]), magic[3]
    if dtype is None:
        known = ", ".join(f"{code:#04x} {dtype.name}" for code, dtype in _DTYPE_OF_CODE.items())
        raise DataError(f"{path}: unknown type of element, code {magic[2]:#04x}; known: {known}.")
    if not 1 <= rank <= _MOST_DIMENSIONS:
        limits = f"1 to {_MOST_DIMENSIONS} can be read"
        raise DataError(f"{path}: its header claims {rank} dimensions; {limits}.")
    lengths = _take(stream, 4 * rank, trouble=f"{path}:")
    if len(lengths) < 4 * rank:
        raise DataError(f"{path}: ends inside its header, which claims {rank} dimensions.")
    return _Header(dtype, struct.unpack(f">{rank}I", lengths))


def _take(stream: BinaryIO | gzip.GzipFile, count: int, trouble: str) -> bytearray:
    """Take `count` bytes, or as many as there are; `trouble` opens the message about bad gzip."""
    taken = bytearray()
    try:
        while piece := stream.read(min(_PIECE, count - len(taken))):
            taken += piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{trouble} its gzip data are damaged or cut short ({shown(error)})."
        ) from error
    return taken

"""ONNX's messages as bytes: what a file of ONNX is made of, in Protocol Buffers' encoding.

A message is a run of fields. Each begins with a number, eight times its own plus the kind of what
follows: 0, a whole number in groups of seven bits, the lowest first; 2, a length and so many bytes,
which are text, numbers, or another message; 5, four bytes. What a field's number means stands in
`onnx.proto`; here are the numbers that are written. Nothing is read here, and no field is left to a
default that matters.

Sources: Protocol Buffers, "Encoding"; ONNX, `onnx/onnx.proto`, IR version 8.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from miniflow.ir.dtypes import Array, dtype_name

IR_VERSION: Final = 8
OPSET: Final = 18

DATA_TYPES: Final[Mapping[str, int]] = {
    "f32": 1, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6, "i64": 7, "bool": 9, "f16": 10,
    "f64": 11, "u32": 12, "u64": 13,
}  # fmt: skip
"""The numbers of the dtypes in a tensor's `data_type`."""


class Subgraph(bytes):
    """The bytes of a graph that is an attribute of a node: the body of a loop."""


def whole(field: int, number: int) -> bytes:
    """A field that is a whole number of 64 bits.

    >>> whole(1, 300).hex(), whole(1, -1).hex()
    ('08ac02', '08ffffffffffffffffff01')
    """
    return _varint(field << 3) + _varint(number & (1 << 64) - 1)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def piece(field: int, content: bytes | str) -> bytes:
    r"""A field that is text, bytes or a message.

    >>> piece(2, "ab")
    b'\x12\x02ab'
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def single(field: int, number: float) -> bytes:
    """A field that is a number of single precision."""
    return _varint(field << 3 | 5) + struct.pack("<f", number)


def tensor(array: Array, name: str = "") -> bytes:
    """A TensorProto: dtype, shape, and the numbers as they lie in memory, the lowest byte first."""
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    dims = b"".join(whole(1, length) for length in array.shape)
    kind = whole(2, DATA_TYPES[dtype_name(array.dtype)])
    return dims + kind + (piece(8, name) if name else b"") + piece(9, data.tobytes())


def value_info(name: str, dtype: str, shape: Sequence[int | str], about: str = "") -> bytes:
    """A ValueInfoProto: a value's name, dtype and shape; a length that is not known has a name."""
    dims = (whole(1, d) if isinstance(d, int) else piece(2, d) for d in shape)
    kind = whole(1, DATA_TYPES[dtype]) + piece(2, b"".join(piece(1, dim) for dim in dims))
    return piece(1, name) + piece(2, piece(1, kind)) + (piece(3, about) if about else b"")


def attribute(name: str, value: Any) -> bytes:
    """An AttributeProto of a number, a text, an array, a graph, or several whole numbers."""
    head = piece(1, name)
    match value:
        case Subgraph():
            return head + piece(6, value) + whole(20, 5)
        case str():
            return head + piece(4, value) + whole(20, 3)
        case int():
            return head + whole(3, value) + whole(20, 2)
        case float():
            return head + single(2, value) + whole(20, 1)
        case np.ndarray():
            return head + piece(5, tensor(value)) + whole(20, 4)
        case _:
            return head + b"".join(whole(8, entry) for entry in value) + whole(20, 7)


def node(
    operator: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    name: str,
    attributes: Mapping[str, Any],
) -> bytes:
    """A NodeProto: an operator, the names of what it reads and of what it makes, its settings."""
    return (
        b"".join(piece(1, entry) for entry in inputs)
        + b"".join(piece(2, entry) for entry in outputs)
        + piece(3, name)
        + piece(4, operator)
        + b"".join(piece(5, attribute(key, attributes[key])) for key in sorted(attributes))
    )


def graph(
    name: str,
    nodes: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
    initializers: Iterable[bytes] = (),
) -> bytes:
    """A GraphProto."""
    return (
        b"".join(piece(1, entry) for entry in nodes)
        + piece(2, name)
        + b"".join(piece(5, entry) for entry in initializers)
        + b"".join(piece(11, entry) for entry in inputs)
        + b"".join(piece(12, entry) for entry in outputs)
    )


def model(content: bytes, version: str, about: str, metadata: Mapping[str, str]) -> bytes:
    """A ModelProto, which is what a file holds: a graph, the operators' version, who wrote it."""
    return (
        whole(1, IR_VERSION)
        + piece(2, "miniflow")
        + piece(3, version)
        + piece(6, about)
        + piece(7, content)
        + piece(8, piece(1, "") + whole(2, OPSET))
        + b"".join(piece(14, piece(1, k) + piece(2, metadata[k])) for k in sorted(metadata))
    )

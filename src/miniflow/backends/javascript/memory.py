"""The arrays that the function allocates, once: those that share memory are views of one piece."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from miniflow.backends.javascript.values import TYPED_ARRAYS, entry_text
from miniflow.ir.dtypes import Array
from miniflow.lowering.loop_program import CONSTANT, KEPT, SCRATCH, Buffer


def itemsize(dtype: str) -> int:
    """How many bytes a number takes: a half lies in a Float32Array.

    >>> itemsize("f16"), itemsize("i64"), itemsize("bool")
    (4, 8, 1)
    """
    kind = TYPED_ARRAYS[dtype]
    bits = "".join(filter(str.isdigit, kind))
    return int(bits) // 8


def memory_lines(buffers: Mapping[str, Buffer], given: Mapping[str, str]) -> Iterator[str]:
    """Declare all that is kept between runs; `given` has the texts of constants that are handed in,
    in their order.

    Whoever is as large as the array in whose memory it lies, and of its kind, is that array. Others
    are views of a piece of memory that has room for each of them.
    """
    for name, text in given.items():
        yield f"const {name} = {text};"
    sharing: dict[str, list[str]] = {}
    for name, buffer in buffers.items():
        if buffer.role == CONSTANT and name not in given:
            assert buffer.value is not None
            yield f"const {name} = {_array_text(buffer.value, buffer.dtype)};"
        elif buffer.role in (KEPT, SCRATCH):
            sharing.setdefault(buffer.alias or name, []).append(name)
    for names in sharing.values():
        yield from _place_lines([(name, buffers[name]) for name in names])


def _place_lines(sharing: list[tuple[str, Buffer]]) -> Iterator[str]:
    kinds = {(TYPED_ARRAYS[b.dtype], b.size): None for _, b in sharing}
    if len(kinds) == 1:
        ((kind, size),) = kinds
        first, *others = (name for name, _ in sharing)
        yield f"const {first} = new {kind}({size});"
        for name in others:
            yield f"const {name} = {first};"
        return
    memory = f"{sharing[0][0]}_memory"
    room = max(b.size * itemsize(b.dtype) for _, b in sharing)
    yield f"const {memory} = new ArrayBuffer({room});"
    for name, buffer in sharing:
        yield f"const {name} = new {TYPED_ARRAYS[buffer.dtype]}({memory}, 0, {buffer.size});"


def _array_text(value: Array, dtype: str) -> str:
    """An array that is known beforehand."""
    kind, flat = TYPED_ARRAYS[dtype], value.ravel()
    if not flat.size:
        return f"new {kind}(0)"
    is_float = value.dtype.kind == "f"
    if np.array_equal(flat, np.full_like(flat, flat[0]), equal_nan=is_float):
        is_zero = flat[0] == 0 and not np.signbit(np.float64(flat[0]))
        return f"new {kind}({flat.size})" + (
            "" if is_zero else f".fill({entry_text(flat[0], dtype)})"
        )
    if dtype in ("u32", "i32") and np.array_equal(flat, np.arange(flat.size)):
        return f"new {kind}({flat.size}).map((_, i) => i)"
    return f"new {kind}([{', '.join(entry_text(entry, dtype) for entry in flat)}])"

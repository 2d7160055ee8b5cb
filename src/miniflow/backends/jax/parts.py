"""Primitives that read and write parts of arrays, in `jax.lax`; what is not there is flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from miniflow.backends.jax.operands import OperandWriter, Shape, WriteEquation, tuple_text
from miniflow.errors import CompileError
from miniflow.ir.program import Equation, Operand


def _slice(w: OperandWriter, e: Equation) -> str:
    return f"functions.part({w.as_it_is(e.operands[0])}, {e.params['index']})"


def _slice_written(w: OperandWriter, e: Equation, function: str) -> str:
    x, value = e.operands
    index = e.params["index"]
    place = tuple(entry[1] for entry in index if not isinstance(entry, int))
    text = w.text(value, x.dtype, place)
    return f"functions.{function}({w.as_it_is(x)}, {text}, {index})"


def _indexed(w: OperandWriter, x: Operand, indices: Sequence[Operand], axes: Shape) -> str:
    """Indices that are all there, as a tuple; what is not is flagged."""
    names = []
    for index, axis in zip(indices, axes, strict=True):
        dtype = "i64" if index.kind == "python" else index.dtype
        if (index, x.shape[axis]) in w.checked:
            names.append(w.checked[index, x.shape[axis]])
            continue
        name, bad = w.new_name("at"), w.new_name("bad")
        text, length = w.text(index, dtype), x.shape[axis]
        w.line(f"{name}, {bad} = functions.index_of({text}, {length})")
        w.indices.append(bad)
        names.append(name)
        w.checked[index, length] = name
    return tuple_text(names)


def _gather(w: OperandWriter, e: Equation) -> str:
    x, *indices = e.operands
    at = _indexed(w, x, indices, e.params["axes"])
    return f"functions.gather({w.read(x)}, {at}, {e.params['axes']})"


def _written_at(w: OperandWriter, e: Equation, function: str) -> str:
    x, value, *indices = e.operands
    axes = e.params["axes"]
    if function == "added_at" and value.dtype[0] == "f" and x.dtype[0] != "f":
        raise CompileError(
            f"JAX cannot run {e.origin.node if e.origin else 'this'}: it adds fractions to "
            f"entries of an array of whole numbers, each rounded by itself. "
            'backend="numpy" can.'
        )
    at = _indexed(w, x, indices, axes)
    gathered = _gathered_shape(x.shape, [i.shape for i in indices], axes)
    text = w.text(value, x.dtype, gathered)
    return f"functions.{function}({w.read(x)}, {text}, {at}, {axes})"


def _gathered_shape(shape: Shape, indices: Sequence[Shape], axes: Shape) -> Shape:
    """The shape of `x[indices]`."""
    indexed = np.broadcast_shapes(*indices)
    others = [n for axis, n in enumerate(shape) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    return (*others[:first], *indexed, *others[first:])


PARTS: Final[Mapping[str, WriteEquation]] = {
    "slice": _slice,
    "slice_update": partial(_slice_written, function="part_written"),
    "slice_add": partial(_slice_written, function="part_added"),
    "gather": _gather,
    "gather_update": partial(_written_at, function="written_at"),
    "scatter_add": partial(_written_at, function="added_at"),
}
"""How each of these primitives is written."""

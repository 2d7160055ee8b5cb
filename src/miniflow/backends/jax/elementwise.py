"""Primitives that compute entry by entry, in `jax.lax`: in the dtype in which NumPy would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from miniflow.backends.jax.operands import OperandWriter, Shape, WriteEquation
from miniflow.backends.jax.operations import ELEMENTWISE, HALF_AS_SINGLE, LOGICAL
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Operand
from miniflow.lowering.loop_dtypes import loop_dtypes

_BOTH: Final = {"greater": (0, 1), "greater_equal": (0, 1), "less": (1, 0), "less_equal": (1, 0)}


def write_elementwise(w: OperandWriter, e: Equation) -> str | None:
    """Return the text of an equation that computes entry by entry; None if lines are written."""
    dtypes, shape, result = loop_dtypes(e), e.result.shape, e.result.dtype
    if e.primitive in LOGICAL:
        dtypes = ("bool",) * len(e.operands)
    if dtypes == (None,):  # of a Python int alone
        dtypes = ("f64",)
    if None in dtypes:
        return _compared(w, e, dtypes)
    if dtypes[0] == "f16" and e.primitive in HALF_AS_SINGLE:
        operands = [w.text(o, "f16", shape) for o in e.operands]
        wide = [f"lax.convert_element_type({text}, f32)" for text in operands]
        text = ELEMENTWISE[e.primitive].of("f32").format(*wide)
        return f"lax.convert_element_type({text}, f16)" if result == "f16" else text
    operands = [w.text(o, str(dtype), shape) for o, dtype in zip(e.operands, dtypes, strict=True)]
    of = str(dtypes[0])
    text = ELEMENTWISE[e.primitive].of(of).format(*operands, shape=shape)
    if e.primitive == "power" and of[0] in "iu":
        wrong = w.new_name("bad")
        w.line(f"{w.read(e.result)}, {wrong} = {text}", str(e.result.type))
        w.wrong.append(wrong)
        return None
    return text


def _compared(w: OperandWriter, e: Equation, dtypes: Sequence[str | None]) -> str:
    """A comparison with a Python int that may lie outside of the other's dtype."""
    place = dtypes.index(None)
    number, other = e.operands[place], e.operands[1 - place]
    dtype, shape = str(dtypes[1 - place]), e.result.shape
    if isinstance(number, Literal):
        info, value = np.iinfo(DTYPES[dtype]), int(number.value)
        side = f"i32({int(value > info.max) - int(value < info.min)})"
        kept = Literal(DTYPES[dtype].type(min(max(value, info.min), info.max)))
        clipped = w.text(kept, dtype, shape)
    else:
        side = w.number(number, dtype, "side")
        name = w.number(number, dtype, "clip")
        clipped = f"lax.broadcast_in_dim({name}, {shape}, ())" if shape else name
    texts = [clipped, w.text(other, dtype, shape)]
    text = ELEMENTWISE[e.primitive].of(dtype).format(*(texts if place == 0 else texts[::-1]))
    if e.primitive in _BOTH:
        above = _BOTH[e.primitive][place] == 0
        below = not above
    else:
        above = below = e.primitive == "not_equal"
    return f"functions.compare_outside({text}, {side}, {above}, {below})"


def _where(w: OperandWriter, e: Equation) -> str:
    condition, *values = e.operands
    dtype, shape = e.result.dtype, e.result.shape
    texts = [
        _number_wrapped(w, x, dtype, shape)
        if x.kind == "python" and x.dtype == "i64" and dtype[0] in "iu"
        else w.text(x, dtype, shape)
        for x in values
    ]
    return f"lax.select({w.text(condition, 'bool', shape)}, {', '.join(texts)})"


def _number_wrapped(w: OperandWriter, x: Operand, dtype: str, shape: Shape) -> str:
    if isinstance(x, Literal):
        kept = Literal(DTYPES[dtype].type(np.asarray(x.value).astype(DTYPES[dtype])[()]))
        return w.text(kept, dtype, shape)
    name = w.number(x, dtype, "wrap")
    return f"lax.broadcast_in_dim({name}, {shape}, ())" if shape else name


def _cast(w: OperandWriter, e: Equation) -> str:
    return w.text(e.operands[0], e.result.dtype)


CHOICES: Final[Mapping[str, WriteEquation]] = {"where": _where, "cast": _cast}
"""Those that do not compute, but choose and convert."""

"""Questions that the shape and the dtype alone answer: their answers are plain Python."""

from math import prod
from typing import Any

import numpy

from miniflow.ir.dtypes import DTYPES
from miniflow.tracing.arrays import is_traced_array, operand_of
from miniflow.tracing.functions.registry import answers
from miniflow.tracing.traced import is_traced

np: Any = numpy  # its own types know nothing of tracers


@answers(np.shape)
def _shape(x: Any) -> Any:
    return operand_of(x).shape


@answers(np.ndim)
def _ndim(x: Any) -> int:
    return len(operand_of(x).shape)


@answers(np.size)
def _size(x: Any, axis: Any = None) -> int:
    shape = operand_of(x).shape
    return prod(shape) if axis is None else shape[axis]


@answers(np.result_type)
def _result_type(*values: Any) -> Any:
    return np.result_type(*(_stand_in(value) if is_traced(value) else value for value in values))


def _stand_in(value: Any) -> Any:
    type_ = operand_of(value).type
    if type_.kind == "python":
        return DTYPES[type_.dtype].type(0).item()
    return np.empty(0, DTYPES[type_.dtype])


@answers(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return False


@answers(np.may_share_memory, np.shares_memory)
def _share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    return is_traced_array(a) and is_traced_array(b) and a.storage is b.storage

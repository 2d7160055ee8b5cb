"""The nest of an equation that is part of no group: its arrays have any rank, and lie anyhow.

Sums and maxima over any axes, and where a maximum is; running sums; products of matrices in any
dtype (`alone_reductions`); what is indexed along any axes (`alone_indexing`); and what is
elementwise, but laid over a space as no loop over rows and columns is (`alone_elementwise`).
"""

from __future__ import annotations

from typing import Final

from miniflow.ir import Equation, Variable
from miniflow.lowering.alone_elementwise import ElementwiseWriter
from miniflow.lowering.alone_indexing import IndexingWriter, indices_of
from miniflow.lowering.alone_reductions import REDUCTIONS, ReductionWriter
from miniflow.lowering.expressions import EXPRESSIONS, has_term, is_python_int
from miniflow.lowering.kernels import GroupKernel
from miniflow.lowering.loop_dtypes import loop_dtypes
from miniflow.lowering.nest_walk import COMPARISONS
from miniflow.lowering.strided_loops import StepsOf

MAX_RANK: Final = 7  # of what is left when axes are counted as one
_INDEXED: Final = ("gather", "gather_update", "scatter_add")
_REDUCED: Final = ("argmax", "argmin", "cumsum", "matmul", *REDUCTIONS)


def write_alone(
    equation: Equation, steps_of: StepsOf, without_python: bool = False, stays: bool = False
) -> GroupKernel | None:
    """Write an equation by itself; None if no nest can compute it.

    `steps_of` says how far apart the elements of an array lie along each axis. The result's memory
    is nobody else's, but that of the first operand where it `stays`. `without_python`: there is
    nobody else to compute what Python and NumPy would otherwise do: with numbers alone, with
    Python's ints of any size, and what raises.
    """
    primitive = equation.primitive
    if not _has_nest(equation) or not (without_python or _is_for_arrays(equation)):
        return None
    if primitive in _INDEXED:
        indexing = IndexingWriter(equation, steps_of)
        indexing.write(stays)
        return indexing.kernel()
    writer: ElementwiseWriter | ReductionWriter
    if primitive in _REDUCED:
        writer = ReductionWriter(equation, steps_of)
    else:
        writer = ElementwiseWriter(equation, steps_of)
    writer.write()
    return writer.kernel()


def _has_nest(equation: Equation) -> bool:
    primitive = equation.primitive
    if any(len(o.shape) > MAX_RANK for o in (*equation.operands, equation.result)):
        return False
    if primitive in _REDUCED:
        return isinstance(equation.operands[0], Variable)
    if primitive not in EXPRESSIONS:
        return False
    if primitive == "power" or _is_compared_with_python(equation):
        return True
    return has_term(equation)


def _is_for_arrays(equation: Equation) -> bool:
    """Whether it computes with arrays, and cannot raise anything but an IndexError."""
    operands, primitive = equation.operands, equation.primitive
    variables = [o for o in (*operands, equation.result) if isinstance(o, Variable)]
    if any(map(is_python_int, variables)) or (
        primitive in ("full", "matmul") and _is_float(equation)
    ):
        return False
    if not any(isinstance(o, Variable) and o.kind == "array" for o in operands):
        return False
    if primitive == "power" and not has_term(equation):
        return operands[1].dtype[0] in "ub"
    if primitive in ("max", "min") and operands[0].type.size == 0:
        return False
    return primitive not in _INDEXED or all(i.dtype != "u64" for i in indices_of(equation))


def _is_float(equation: Equation) -> bool:
    return equation.result.dtype in ("f32", "f64")


def _is_compared_with_python(equation: Equation) -> bool:
    """Whether a Python int, which may lie outside of the other's dtype, is one of two operands."""
    return equation.primitive in COMPARISONS and None in loop_dtypes(equation)

"""What takes a few cycles in compiled code: less than to read it from memory, where it is kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Operand, Variable

_MOST_READ: Final = 2  # times the bytes of something, to compute it anew rather than read it
_FEW_CYCLES: Final = frozenset(
    (
        *("add", "subtract", "multiply", "maximum", "minimum", "negative", "absolute", "sign"),
        *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "where", "cast"),
        *("logical_and", "logical_or", "logical_not", "isnan", "isfinite", "full"),
    )
)


def is_short(equation: Equation) -> bool:
    """Whether an equation is one instruction for each of its numbers."""
    return equation.primitive in _FEW_CYCLES


def is_view(equation: Equation) -> bool:
    """Whether it computes nothing, but looks at something else."""
    return PRIMITIVES[equation.primitive].is_view


def is_soon_read(result: Variable, reads: Collection[Operand]) -> bool:
    """Whether what has to be read to compute something anew is not much more than that itself."""
    nbytes = sum(operand.type.nbytes for operand in reads)
    return nbytes <= _MOST_READ * result.type.nbytes
